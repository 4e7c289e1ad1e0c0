"""The mark of what made a picture: told from an operation and its family, found by other readers in every copy that leaves."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from opstore.app import App
from opstore.media import AVIF, GIF, HEIC, JPEG, MP4, PNG, WEBM, WEBP, MediaType, facts, sniff, xmp
from opstore.media.provenance import ALGORITHM, ALTERED, EDITED, SOURCES, TRAINED, Provenance, address, declared
from opstore.shares import Scope, Shown, bundle
from opstore.shares.clean import cleaned, source_stamp
from opstore.storage.operation import Operation
from opstore.storage.store import Store
from tests.media_samples import SAMPLES, encoded, opened
from tests.samples import ID, LATER
from tests.share_samples import SECRET, filled, visitor

SOURCE = address(TRAINED)


def named(data: bytes) -> str | None:
    """Return the source type as an independent reader finds it: Pillow for pictures, the box or tag itself for videos."""
    kind = sniff(data)
    if kind in (MP4, AVIF, HEIC):
        at = 0
        while at < len(data):
            size, name = struct.unpack(">I4s", data[at : at + 8])
            if name == b"uuid" and data[at + 8 : at + 24].hex() == "be7acfcb97a942e89c71999491e3afac":
                return between(data[at + 24 : at + size])
            at += size
        if kind is not AVIF:
            return None
    if kind is WEBM:
        return between(data, b"DigitalSourceType\x44\x87\x10\0\0", b"\0", skip=1)
    if kind is GIF:
        return between(data[data.find(b"XMP DataXMP") :]) if b"\x21\xff\x0bXMP DataXMP" in data else None
    found = opened(data).info.get("xmp")
    if found is None:
        return None
    root = ElementTree.fromstring(found)
    return root.findtext(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")


def between(data: bytes, start: bytes = b"<Iptc4xmpExt:DigitalSourceType>", end: bytes = b"<", skip: int = 0) -> str | None:
    _, found, rest = data.partition(start)
    return (rest[skip:] + end).partition(end)[0].decode() if found else None


@pytest.mark.parametrize("media", SAMPLES, ids=lambda media: media.extension)
def test_a_file_is_marked_where_readers_look_and_is_else_the_same(media: MediaType) -> None:
    data = SAMPLES[media]
    marked = xmp.spliced(data, xmp.with_source(io.BytesIO(data), media, SOURCE))
    assert named(marked) == SOURCE and named(data) is None and declared(io.BytesIO(marked)) == TRAINED
    assert facts(marked) == facts(data)
    if media.kind == "image":
        assert (np.asarray(opened(marked).convert("RGBA")) == np.asarray(opened(data).convert("RGBA"))).all()


@pytest.mark.parametrize("media", [JPEG, PNG, WEBP], ids=lambda media: media.extension)
def test_what_a_file_says_already_stays_beside_the_mark(media: MediaType) -> None:
    theirs = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' + (
        b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:format>theirs</dc:format></rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    data = xmp.written(SAMPLES[media], media, theirs, "")
    marked = xmp.spliced(data, xmp.with_source(io.BytesIO(data), media, SOURCE))
    assert named(marked) == SOURCE and b">theirs<" in opened(marked).info["xmp"]
    assert marked.count(b"xmpmeta xmlns") == 1, "one packet"


@pytest.mark.parametrize("media", SAMPLES, ids=lambda media: media.extension)
def test_a_file_that_is_cut_or_odd_is_never_made_worse(media: MediaType) -> None:
    data, seen = SAMPLES[media], 0
    for size in range(12, len(data), max(1, len(data) // 60)):
        cut = data[:size]
        marked = xmp.spliced(cut, xmp.with_source(io.BytesIO(cut), media, SOURCE))
        seen += marked == cut
        kept = io.BytesIO(marked).getvalue()
        assert sniff(kept) is sniff(cut)
    assert seen or media in (JPEG, PNG, GIF)


# -- what is said ------------------------------------------------------------------------------------------------------------


def store_with(root: Path) -> Store:
    return Store(root / "data")


def made(store: Store, operation_id: str, **known: Any) -> Operation:
    files = {name: known.pop(name) for name in ("inputs", "outputs") if name in known}
    kind = "image_edit_single" if files.get("inputs") else "text_to_image"
    store.save(operation_id, {"operationType": kind, "prompt": "a sea"} | known, **files)
    return Operation.of(store.get_operation_metadata(operation_id))


def name_of(number: int) -> str:
    return f"20251103143022_{number:08x}"


def shade(value: int) -> bytes:
    return encoded(Image.new("RGB", (8, 8), (value, 0, 0)), "PNG")


def test_the_source_is_told_from_what_made_it_and_from_what_it_was_made_of(tmp_path: Path) -> None:
    store = store_with(tmp_path)
    of = Provenance(store).of
    trained = made(store, name_of(1), provider="replicate", outputs=[shade(1)])
    local = made(store, name_of(2), provider="local", outputs=[shade(2)])
    assert (of(trained), of(local)) == (TRAINED, ALGORITHM)
    assert of(made(store, name_of(3), outputs=[shade(3)])) == TRAINED, "a provider nobody knows"
    photo = made(store, name_of(4), provider="replicate", inputs=[shade(90)], outputs=[shade(4)])
    assert of(photo) == EDITED
    assert of(made(store, name_of(5), provider="local", inputs=[shade(90)], outputs=[shade(5)])) == ALTERED
    # who edits a generated picture by the classical engine washes nothing off: declared, or told by the file itself
    washed = made(store, name_of(6), provider="local", parents=[trained.id], inputs=[shade(1)], outputs=[shade(6)])
    assert of(washed) == TRAINED
    again = made(
        store, name_of(7), provider="local", parents=[photo.id, washed.id], inputs=[shade(4), shade(6)], outputs=[shade(7)]
    )
    assert of(again) == EDITED
    theirs = xmp.written(shade(91), PNG, xmp.source_packet(SOURCE), SOURCE)
    assert of(made(store, name_of(8), provider="local", inputs=[theirs], outputs=[shade(8)])) == TRAINED
    assert of(made(store, name_of(9), imported={"name": "a.png"}, prompt="", outputs=[shade(92)])) == ""
    ring = made(store, name_of(10), provider="local", parents=[name_of(10)], inputs=[shade(10)], outputs=[shade(10)])
    assert of(ring) in (ALGORITHM, ALTERED)


def test_a_family_whose_ways_meet_again_is_asked_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = store_with(tmp_path), list[str]()
    last = made(store, name_of(1), provider="replicate", outputs=[shade(1)])
    for number in range(2, 11):
        twice = [shade(number - 1), shade(number - 1)]
        last = made(store, name_of(number), provider="local", parents=[last.id], inputs=twice, outputs=[shade(number)])
    read = store.get_operation_metadata

    def counted(operation_id: str) -> dict[str, Any]:
        asked.append(operation_id)
        return read(operation_id)

    monkeypatch.setattr(store, "get_operation_metadata", counted)
    assert Provenance(store).of(last) == TRAINED
    assert len(asked) <= 2 * 9, "two ways a step, and not two to the power of the steps"


# -- every way out -----------------------------------------------------------------------------------------------------------


def stored_in(store: Store) -> dict[str, bytes]:
    """Return every media file by name, as it is stored."""
    return {name: store.read_file(name) for name in (f"{ID}_in_1.jpg", f"{ID}_out.png", f"{LATER}_out.mp4")}


@pytest.fixture
def app(tmp_path: Path) -> App:
    return filled(tmp_path)


WITHHELD = Shown(prompt=False, parameters=False, inputs=True)


@pytest.mark.parametrize("embed", [False, True])
def test_shared_copies_and_bundles_carry_it_and_say_it_in_words(app: App, embed: bool) -> None:
    before = stored_in(app.store)
    shares, scope = app.service.shares, Scope("selection", (ID, LATER), WITHHELD)
    if not embed:
        _picture, path = shares.file(scope, "1-result-1")
        assert named(path.read_bytes()) == address(EDITED)
    with zipfile.ZipFile(io.BytesIO(bundle.zipped(shares, scope, language="fr", embed=embed))) as archive:
        told = {name: named(archive.read(name)) for name in archive.namelist() if name.startswith("media/1") or "media/2" in name}
        page, records = archive.read("index.html").decode(), json.loads(archive.read("metadata.json"))["results"]
        assert address(EDITED) in archive.read("metadata.csv").decode()
        assert SECRET not in page and not any(SECRET.encode() in archive.read(name) for name in archive.namelist())
    assert told["media/1-result-1.png"] == address(EDITED) and told["media/2-result-1.mp4"] == SOURCE
    assert told["media/1-input-1.jpg"] is None, "a photograph is no work of a model"
    assert "une IA générative" in page and [record["digitalSourceType"] for record in records] == [address(EDITED), SOURCE]
    assert stored_in(app.store) == before


def test_an_export_carries_it_and_its_sidecars_tell_the_bytes_that_are_there(app: App, tmp_path: Path) -> None:
    def unpacked(where: str, **options: Any) -> Store:
        data = b"".join(app.service.exports.prepare("zip", ids=[ID, LATER], **options).parts())
        zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path / where)
        return Store(tmp_path / where)

    marked = unpacked("marked")
    assert marked.verify(deep=True) == []
    assert named(marked.read_file(f"{ID}_out.png")) == address(EDITED) and named(marked.read_file(f"{LATER}_out.mp4")) == SOURCE
    assert marked.read_file(f"{ID}_in_1.jpg") == app.store.read_file(f"{ID}_in_1.jpg")
    stored = unpacked("stored", originals=True)
    assert stored_in(stored) == stored_in(app.store)


#: Files that are recognised, and tell lengths that lead nowhere, or a picture without a side.
LYING = {
    "mp4 of 2^63 bytes": struct.pack(">I12sI4sQ", 16, b"ftypisom\0\0\0\0", 1, b"mdat", 2**63) + bytes(40),
    "mp4 of 2^62 bytes": struct.pack(">I12sI4sQ", 16, b"ftypisom\0\0\0\0", 1, b"mdat", 2**62) + bytes(40),
    "webm with a head of 2^56 bytes": b"\x1a\x45\xdf\xa3\x01" + b"\xff" * 7 + b"\x42\x82\x84webm" + bytes(60),
    "webp without a side": struct.pack("<4sI8sI10x", b"RIFF", 22, b"WEBPVP8 ", 10),
}


@pytest.mark.parametrize("data", LYING.values(), ids=LYING.keys())
def test_a_file_whose_lengths_lead_nowhere_is_handed_on_and_ends_no_export(app: App, data: bytes) -> None:
    odd, whole = made(app.store, name_of(1), outputs=[data]), made(app.store, name_of(2), outputs=[shade(1)])
    copy = Provenance(app.store).copy(odd, str(odd.output))
    assert copy is None or sniff(b"".join(copy.parts)) is sniff(data)
    exported = b"".join(app.service.exports.prepare("zip", ids=[odd.id, whole.id]).parts())
    names = zipfile.ZipFile(io.BytesIO(exported)).namelist()
    assert {f"operations/{odd.output}", f"operations/{whole.output}"} <= set(names) and "left_out.csv" not in names


def test_a_file_that_is_saved_carries_it_and_one_that_is_looked_at_is_as_stored(app: App) -> None:
    name = f"{ID}_out.png"
    stored = app.store.read_file(name)
    copy = app.service.copy_to_save(name)
    assert copy
    saved = b"".join(copy.parts)
    assert len(saved) == copy.size and named(saved) == address(EDITED) and app.store.read_file(name) == stored
    assert app.service.copy_to_save(f"{ID}_in_1.jpg") is None


def test_a_likeness_that_is_saved_carries_it_too(app: App) -> None:
    other = "20251103143026_abc123df"
    app.store.save(other, {"operationType": "text_to_image", "prompt": "a", "model": "m"}, outputs=[SAMPLES[HEIC]])
    client = visitor(app, base="http://127.0.0.1:8501", host="127.0.0.1")
    for query, media in (("download", HEIC), ("shown&download", WEBP)):
        answer = client.get(f"/api/files/{other}_out.heic?{query}")
        assert answer.headers["content-type"] == media.name and named(answer.content) == SOURCE
        assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_large_file_is_not_in_memory_while_it_is_saved(app: App) -> None:
    other, png = "20251103143027_abc123df", encoded(Image.new("RGB", (8, 8)), "PNG")
    chunk = b"juNk" + bytes(40_000_000)
    large = png[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]
    app.store.save(other, {"operationType": "text_to_image", "prompt": "a", "model": "m"}, outputs=[large])
    tracemalloc.start()
    try:
        copy = app.service.copy_to_save(f"{other}_out.png")
        assert copy and sum(map(len, copy.parts)) == copy.size > len(large)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("media", SAMPLES, ids=lambda media: media.extension)
def test_a_clean_copy_of_every_type_carries_it(media: MediaType) -> None:
    copy = cleaned(SAMPLES[media], source_stamp(TRAINED))
    assert named(copy) == SOURCE and facts(copy).width == facts(SAMPLES[media]).width


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_is_said_in_both_languages_and_written_into_a_clean_copy(source: str) -> None:
    from opstore.language.translations import translated
    from opstore.media.provenance import IN_WORDS

    assert translated(IN_WORDS[source], "fr") != IN_WORDS[source]
    assert named(cleaned(SAMPLES[WEBP], source_stamp(source))) == address(source)
