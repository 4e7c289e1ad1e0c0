"""Packed months: every byte comes back, a change brings an operation back first, and no file in `packed/` can do harm."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from opstore import DamagedOperation, OperationExists, OperationNotFound, OpstoreError, Store
from opstore.care.compression import Compression
from opstore.errors import DamagedPack, StorageError
from opstore.storage.operation import encode
from opstore.storage.packs.codecs import Codec, Encoded, Undecodable, dictionary_of
from opstore.storage.packs.pack import Pack
from opstore.storage.trash import Trash
from tests.care_samples import NOW, annotated, made, old, save
from tests.media_samples import SAMPLES, photo
from tests.samples import JPG, PNG, tree

PHOTO = photo("skimage", "data/rocket.jpg")
CONTENTS: dict[str, bytes] = {
    **{kind.name: data for kind, data in SAMPLES.items()},
    "a photograph": PHOTO,
    "a photograph cut short": PHOTO[: len(PHOTO) // 2],
    "a photograph with something behind it": PHOTO + b"trailing" * 40,
    "a JPEG's first bytes": b"\xff\xd8\xff",
    "text": b"no media " * 900,
    "noise": random.Random(1).randbytes(20_000),
    "one byte": b"x",
}


def compression(store: Store) -> Compression:
    return Compression(store, clock=lambda: NOW)


@pytest.fixture
def packed(tmp_path: Path) -> Store:
    """A store with two packed operations and a loose one of this week."""
    store = made(tmp_path)
    for number, days in ((1, 100), (2, 100), (3, 5)):
        save(store, number, days, outputs=[PNG, JPG])
    done = compression(store).apply(60)
    assert done.operations == 2 and not done.left
    return store


def month(number: int = 1) -> str:
    return old(number)[:6]


def part(store: Store, name: str) -> bytes:
    with store.open_file(name, again=True) as file:
        return file.range(4, 4)


def held(store: Store) -> list[str]:
    """Return the ids in the pack."""
    return [operation_id for operation_id, _, _ in opened(store).sidecars()]


def pack_path(store: Store) -> Path:
    packs = store.operations.packs
    return packs.folder.path / packs.name(month())


def opened(store: Store) -> Pack:
    pack = store.operations.packs.pack(month())
    assert pack is not None
    return pack


def plain(store: Store) -> dict[str, bytes]:
    """Return every file of the library, wherever it lies."""
    return {name: store.operations.read(name) for name in store.operations.names() if not name.startswith(".")}


@contextlib.contextmanager
def edited(store: Store) -> Iterator[sqlite3.Connection]:
    """Let a test change the pack's file as somebody with bad intentions would."""
    store.operations.packs.close()
    with contextlib.closing(sqlite3.connect(pack_path(store))) as database:
        yield database
        database.commit()


# -- contents ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
@pytest.mark.parametrize("text", [True, False])
def test_what_is_encoded_comes_back_byte_for_byte_and_never_grows(content: bytes, text: bool) -> None:
    codec = Codec(None)
    encoded = codec.encode(content, text=text)
    assert codec.decode(encoded) == content
    assert len(encoded.data) <= len(content)


def test_a_photograph_is_kept_as_jpeg_xl_and_text_with_what_its_month_has_in_common() -> None:
    sidecars = [
        encode({"operationId": old(number), "prompt": f"a cat, number {number}"} | {"n": number}) for number in range(300)
    ]
    dictionary = dictionary_of(sidecars[::2])
    assert dictionary is not None and dictionary_of(sidecars[:20]) is None
    codec = Codec(dictionary)
    assert [codec.encode(PHOTO, text=False).codec, codec.encode(sidecars[1], text=True).codec] == ["jxl", "zstd-dictionary"]
    assert len(codec.encode(PHOTO, text=False).data) < 0.9 * len(PHOTO)
    alone, together = (len(one.encode(sidecars[1], text=True).data) for one in (Codec(None), codec))
    assert together < alone
    assert codec.decode(codec.encode(sidecars[1], text=True)) == sidecars[1]


@pytest.mark.parametrize(
    "hostile",
    [
        Encoded("plain", b"other", 5, bytes(32)),
        Encoded("plain", b"", -1, bytes(32)),
        Encoded("plain", b"", 2**50, bytes(32)),
        Encoded("from the future", b"x", 1, bytes(32)),
        Encoded("zstd", b"no frame", 8, bytes(32)),
        # A frame of a few bytes that says it holds more than there is memory.
        Encoded("zstd", zstandard.compress(b"x" * 60_000_000), 10, bytes(32)),
        Encoded("zstd-dictionary", zstandard.compress(b"x"), 1, bytes(32)),
        Encoded("jxl", b"\xff\x0a no picture", 9, bytes(32)),
    ],
    ids=lambda item: f"{item.codec} {item.size}",
)
def test_what_cannot_be_undone_is_refused(hostile: Encoded) -> None:
    with pytest.raises(Undecodable):
        Codec(None).decode(hostile)


# -- reading -------------------------------------------------------------------------------------------------------------


def test_a_packed_operation_reads_as_if_it_were_loose(tmp_path: Path) -> None:
    store = made(tmp_path)
    ids = [save(store, number, days, outputs=[PNG, JPG]) for number, days in ((1, 100), (2, 100), (3, 5))]
    before, listed = plain(store), store.list_operations()
    folder = store.operations
    known = {name: (folder.size(name), folder.has(name), folder.present([name])) for name in before}
    compression(store).apply(60)
    assert {name.split("_in")[0].split("_out")[0].removesuffix(".json") for name in os.listdir(folder.path)} == {ids[2]}
    assert plain(store) == before and store.list_operations() == listed
    assert {name: (folder.size(name), folder.has(name), folder.present([name])) for name in before} == known
    assert store.verify(deep=True) == []
    assert store.media_names(ids[0]) == [f"{ids[0]}_in_1.jpg", f"{ids[0]}_out.png", f"{ids[0]}_out_2.jpg"]
    with store.open_file(f"{ids[0]}_out.png") as file:
        file.seek(4)
        assert file.read(4) == PNG[4:8]
    with pytest.raises(OperationNotFound):
        store.get_operation_metadata(old(9))
    assert not folder.has(f"{old(9)}.json") and folder.stamp(f"{old(9)}.json") is None


def test_contents_that_are_the_same_are_kept_once(packed: Store) -> None:
    pack = opened(packed)
    assert len(pack.entries()) == 8
    with edited(packed) as database:
        assert database.execute("SELECT count(*) FROM contents").fetchone() == (4,)  # two pictures, two sidecars
    sizes = dict(packed.operations.sizes())
    assert sizes[f"{old(1)}_out.png"] == pytest.approx(len(PNG) / 2, abs=1), "what is shared counts in parts"


def test_a_packed_file_asked_for_part_by_part_is_unpacked_once_and_few_copies_stay(
    packed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, loose = f"{old(1)}_out_2.jpg", f"{old(3, 5)}_out.png"
    copies = packed.cache / "unpacked"
    assert part(packed, loose) == PNG[4:8] and not copies.exists() and part(packed, name) == JPG[4:8]
    (path,) = copies.glob(f"*/{name}")
    changed = path.stat().st_mtime_ns, path.stat().st_ino
    assert part(packed, name) == JPG[4:8] and (path.stat().st_mtime_ns, path.stat().st_ino) == changed
    path.write_bytes(b"cut")  # the cache is nobody's truth
    assert part(packed, name) == JPG[4:8] and path.read_bytes() == JPG
    monkeypatch.setattr("opstore.storage.packs.copies.MAX_BYTES", 1)
    monkeypatch.setattr("opstore.storage.packs.copies._IN_USE", -1.0)
    assert part(packed, f"{old(1)}_out.png") == PNG[4:8]
    assert not [*copies.rglob("*.*")], "more than may be kept"


# -- changing ------------------------------------------------------------------------------------------------------------


def annotate(store: Store) -> None:
    store.rewrite(old(1), lambda sidecar: sidecar["annotations"]["tags"].append("seen"))


def put(store: Store) -> None:
    Trash(store).put(old(1))


def purge(store: Store) -> None:
    Trash(store).put(old(1))
    Trash(store).remove(old(1))


def there_and_back(store: Store) -> None:
    Trash(store).put(old(1))
    Trash(store).restore(old(1))


def save_again(store: Store) -> None:
    save(store, 1, outputs=[PNG, JPG])


def take_away(store: Store) -> None:
    store.operations.remove(old(1), [f"{old(1)}_out_2.jpg"])


def set_aside(store: Store) -> None:
    store.operations.set_aside(f"{old(1)}_out_2.jpg", store.pending, f"{old(1)}_out_2.jpg")


@pytest.mark.parametrize("change", [annotate, put, purge, there_and_back, save_again, take_away, set_aside])
def test_a_change_of_a_packed_operation_does_what_it_does_to_a_loose_one(tmp_path: Path, change: Callable[[Store], None]) -> None:
    stores = [made(tmp_path / name) for name in ("loose", "packed")]
    for store in stores:
        for number in (1, 2):
            save(store, number, outputs=[PNG, JPG])
    compression(stores[1]).apply(60)
    for store in stores:
        change(store)
    assert plain(stores[0]) == plain(stores[1])
    assert tree(stores[0].root / "trash") == tree(stores[1].root / "trash")
    assert held(stores[1]) == [old(2)], "the other one stays packed"
    compression(stores[1]).unpack()
    assert plain(stores[0]) == plain(stores[1]), "nothing comes back that was changed or removed"


def test_what_is_removed_for_good_leaves_no_trace_in_the_pack(tmp_path: Path) -> None:
    store = made(tmp_path)
    secret = random.Random(2).randbytes(3_000)
    save(store, 1, outputs=[b"RIFF" + secret])
    save(store, 2)
    compression(store).apply(60)
    path = pack_path(store)
    assert secret in path.read_bytes()
    purge(store)
    store.operations.packs.close()
    assert secret not in path.read_bytes() and old(1).encode() not in path.read_bytes()


@pytest.mark.long
def test_what_was_written_into_operations_is_in_no_dictionary(tmp_path: Path) -> None:
    store, words = made(tmp_path), random.Random(3)
    wanted = "xylophagous zeppelin quandary"
    for number in range(120):
        prompt = f"{wanted} {number}" if number % 20 == 0 else " ".join(f"w{words.randrange(1 << 20):05x}" for _ in range(20))
        note = annotated(tags=["zeppelin-club"], note=prompt)
        private = {f"a key of {wanted}": prompt, "title": prompt, "model": "zeppelin-club: a text, no name"}
        save(store, number, prompt=prompt, annotations=note, parameters=private, error=f"{prompt} is not allowed")
    compression(store).apply(60)
    with edited(store) as database:
        dictionary = database.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()[0]
    assert b"operationType" in dictionary
    assert not [word for word in (*wanted.split(), "zeppelin-club") if word.encode() in dictionary]
    for number in range(0, 120, 20):
        Trash(store).put(old(number))
        Trash(store).remove(old(number))
    store.operations.packs.close()
    assert not [word for word in wanted.split() if word.encode() in pack_path(store).read_bytes()]


def test_another_content_under_a_packed_id_is_refused(packed: Store) -> None:
    before = plain(packed)
    for attempt in (lambda: save(packed, 1, outputs=[JPG]), lambda: packed.save_input_image(old(1), PNG, 2)):
        with pytest.raises(OperationExists):
            attempt()
    assert plain(packed) == before


def test_a_file_that_another_program_lays_beside_its_pack_wins(packed: Store) -> None:
    sidecar = packed.get_operation_metadata(old(1)) | {"prompt": "another"}
    (packed.operations.path / f"{old(1)}.json").write_bytes(encode(sidecar))
    assert packed.get_operation_metadata(old(1))["prompt"] == "another"
    annotate(packed)
    assert packed.get_operation_metadata(old(1))["prompt"] == "another" and old(1) not in held(packed)


def test_a_pack_that_is_unpacked_between_a_look_and_its_opening_is_no_fault(
    packed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanished(path: Path, asked: str) -> Pack:
        path.unlink()
        return Pack(path, asked)

    monkeypatch.setattr("opstore.storage.packs.pack.Pack", vanished)
    found = Store(packed.root).operations
    assert found.packs.pack(month()) is None and len(found.names()) == 4, "of the one that is loose"


@pytest.mark.long
def test_readers_never_miss_an_operation_that_is_packed_or_unpacked_meanwhile(tmp_path: Path) -> None:
    store = made(tmp_path)
    ids = [save(store, number, outputs=[PNG]) for number in range(1, 6)]
    ended, wrong = threading.Event(), list[str]()

    def read() -> None:
        while not ended.is_set():
            names = set(store.operations.names())
            for operation_id in ids:
                try:
                    assert store.get_operation_metadata(operation_id)["operationId"] == operation_id
                    assert store.read_file(f"{operation_id}_out.png") == PNG
                    assert {f"{operation_id}.json", f"{operation_id}_out.png"} <= names
                except (OpstoreError, AssertionError) as error:
                    wrong.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(6):
        assert compression(store).apply(60).operations == 5
        assert compression(store).unpack().operations == 5
    ended.set()
    for reader in readers:
        reader.join()
    assert wrong == []


# -- files that are none -------------------------------------------------------------------------------------------------


def not_a_database(store: Store) -> None:
    pack_path(store).write_bytes(b"no pack " * 1_000)


def an_empty_file(store: Store) -> None:
    pack_path(store).write_bytes(b"")


def cut_in_half(store: Store) -> None:
    path = pack_path(store)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_another_version(store: Store) -> None:
    with edited(store) as database:
        database.execute("PRAGMA user_version = 99")


def a_view_for_a_table(store: Store) -> None:
    with edited(store) as database:
        database.execute("ALTER TABLE files RENAME TO kept")
        database.execute("CREATE VIEW files AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")


def a_link(store: Store) -> None:
    path = pack_path(store)
    path.unlink()
    path.symlink_to("/etc/passwd")


def a_folder(store: Store) -> None:
    path = pack_path(store)
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "harm", [not_a_database, an_empty_file, cut_in_half, of_another_version, a_view_for_a_table, a_link, a_folder]
)
def test_a_file_that_is_no_pack_is_a_problem_and_breaks_nothing_else(packed: Store, harm: Callable[[Store], None]) -> None:
    packed.operations.packs.close()
    harm(packed)
    assert [sidecar["operationId"] for sidecar in packed.list_operations()] == [old(3, 5)]
    found = packed.verify(deep=True)
    assert [(problem.kind, problem.name, problem.folder) for problem in found] == [("unparsable", f"{month()}.sqlite", "packed")]
    with pytest.raises(OperationNotFound):
        packed.get_operation_metadata(old(1))
    assert compression(packed).packed().left.keys() == {f"{month()}.sqlite"}
    save(packed, 4)  # new operations of that month are kept all the same
    assert packed.get_operation_metadata(old(4))["prompt"] == "number 4"
    left = compression(packed).apply(60).left
    assert set(left) == {f"{month()}.sqlite"} and packed.operations.loose.has(f"{old(4)}.json")


def test_a_content_that_was_changed_is_never_handed_out(packed: Store) -> None:
    with edited(packed) as database:
        database.execute("UPDATE contents SET data = zeroblob(length(data)) WHERE codec != 'zstd'")
    name = f"{old(1)}_out.png"
    for attempt in (lambda: packed.read_file(name), lambda: part(packed, name), lambda: put(packed)):
        with pytest.raises(DamagedPack):
            attempt()
    assert len(packed.list_operations()) == 3, "its sidecar can be read"
    assert {problem.kind for problem in packed.verify(deep=True)} == {"changed"}
    done = compression(packed).unpack()
    assert set(done.left) == {old(1), old(2)} and held(packed) == [old(1), old(2)], "nothing has left the pack"


def test_a_sidecar_that_was_changed_is_passed_over(packed: Store) -> None:
    with edited(packed) as database:
        query = "UPDATE contents SET data = ? WHERE id = (SELECT content FROM files WHERE name = ?)"
        database.execute(query, (b"\0" * 50, f"{old(1)}.json"))
    assert [sidecar["operationId"] for sidecar in packed.list_operations()] == [old(3, 5), old(2)]
    assert [(problem.kind, problem.operation_id) for problem in packed.verify()] == [("unparsable", old(1))]


@pytest.mark.parametrize("name", ["../evil.json", "20200101000000_0000000a.json", "x" * 5_000, 7, b"\xff", None])
def test_a_name_that_is_no_name_of_the_month_leads_nowhere(packed: Store, name: object) -> None:
    with edited(packed) as database:
        database.execute("CREATE TABLE kept AS SELECT * FROM files")
        database.execute("DROP TABLE files")
        database.execute("CREATE TABLE files (name, content, modified)")
        database.execute("INSERT INTO files SELECT * FROM kept")
        database.execute("INSERT INTO files VALUES (?, 1, 0)", (name,))
    assert len(packed.list_operations()) == 3
    assert [problem.kind for problem in packed.verify(deep=True)] == ["foreign name"]
    compression(packed).unpack()
    assert sorted(os.listdir(packed.root.parent)) == ["data"] and len(packed.list_operations()) == 3
    assert all(child.name.startswith("2026") for child in packed.operations.path.iterdir())


@pytest.mark.parametrize("value", ["'text'", "NULL", "-1", "1 << 60", "x'00'"])
@pytest.mark.parametrize("column", ["size", "sha256", "codec", "data"])
def test_a_value_that_makes_no_sense_is_damage(packed: Store, column: str, value: str) -> None:
    with edited(packed) as database:
        database.execute("CREATE TABLE kept AS SELECT * FROM contents")
        database.execute("DROP TABLE contents")
        database.execute("CREATE TABLE contents (id INTEGER PRIMARY KEY, sha256, size, codec, data)")
        database.execute("INSERT INTO contents SELECT * FROM kept")
        database.execute(f"UPDATE contents SET {column} = {value}")
    assert [sidecar["operationId"] for sidecar in packed.list_operations()] == [old(3, 5)]
    assert {problem.folder for problem in packed.verify(deep=True)} <= {"operations", "packed"} and packed.verify()
    for attempt in (lambda: packed.get_operation_metadata(old(1)), lambda: packed.read_file(f"{old(1)}_out.png")):
        with pytest.raises((OperationNotFound, DamagedPack, DamagedOperation)):
            attempt()


def test_a_pack_that_somebody_holds_is_waited_for_and_then_told(packed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opstore.storage.packs.pack._PATIENCE", 0.05)
    with edited(packed) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="at this moment"):
            packed.list_operations()
    assert len(packed.list_operations()) == 3


def test_where_nothing_is_packed_no_database_is_opened_and_no_disk_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(tmp_path)
    syncs: list[int] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: syncs.append(file) or sync(file))  # type: ignore[func-returns-value]
    save(store, 1)
    assert len(syncs) == 5, "three files, and the folder after the media and after the sidecar"
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: pytest.fail("a database"))
    annotate(store)
    there_and_back(store)
    assert len(store.list_operations()) == 1 and not (store.root / "packed").exists()
    assert [name for name, _ in store.operations.sizes()].count(f"{old(1)}.json") == 1
