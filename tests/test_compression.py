"""Compression: a thousand operations of every kind packed, read in every way, and unpacked byte for byte; and its command."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opstore import Store
from opstore.analytics import load_frame
from opstore.app import App, Settings
from opstore.care import Rule
from opstore.care.compression import Compression
from opstore.cli import main
from opstore.errors import InvalidInput, StorageError
from opstore.exports import Exports, write
from opstore.index import Index
from opstore.index.reader import Reader
from opstore.lineage.families import Lineage
from opstore.media.thumbnails import Thumbnails
from opstore.shares import Scope, Shares
from opstore.storage import disk
from opstore.storage.operation import OPERATION_TYPES, encode, timestamp
from opstore.storage.packs.pack import Pack
from opstore.storage.trash import Trash
from tests.care_samples import NOW, annotated, care_of, made, old, save
from tests.media_samples import SAMPLES, encoded, photo, picture
from tests.samples import plant
from tests.test_api import client_of

COUNT = 1_000
#: Of what is 400 days old.
MONTH = "2025-10"
PHOTO = photo("skimage", "data/rocket.jpg")
IMAGES = [data for kind, data in SAMPLES.items() if kind.kind == "image"]
VIDEOS = [data for kind, data in SAMPLES.items() if kind.kind == "video"]


def of(number: int) -> str:
    """Return one of a thousand ids in three months."""
    return old(number, 95 + number % 70)


def fill(store: Store, count: int = COUNT) -> None:
    """Write operations of every type, status and kind of media, as another program would: nothing waits for the disk."""
    types = [*OPERATION_TYPES, "img_to_img", "unknown", "future_video_step_2"]
    media: dict[str, bytes] = {}
    sidecars: dict[str, bytes] = {}
    for number in range(count):
        operation_id, kind = of(number), types[number % len(types)]
        row = OPERATION_TYPES.get(kind)
        result = VIDEOS[number % len(VIDEOS)] if row and row.result == "video" else _picture(number)
        suffix = _extension(result)
        names = [f"{operation_id}_in_{n}.png" for n in range(1, 1 + number % 3)]
        failed = number % 17 == 0
        output = None if failed else f"{operation_id}_out.{suffix}"
        media |= {name: IMAGES[(number + at) % len(IMAGES)] for at, name in enumerate(names)}
        media |= {output: result} if output else {}
        sidecar: dict[str, Any] = {
            "operationId": operation_id,
            "timestamp": timestamp(NOW - timedelta(days=95 + number % 70)),
            "operationType": kind,
            "prompt": f"an été number {number} " + "of many " * (number % 5),
            "parameters": {"seed": number},
            "inputCount": len(names),
            "inputFiles": names,
            "outputFile": output,
            "error": "it failed" if failed else None,
            "success": not failed,
            "a key of somebody's own": {"n": [number, 1.5]},
        }
        sidecars[f"{operation_id}.json"] = json.dumps(sidecar).encode() if number % 2 else encode(sidecar)
    for name, data in (media | sidecars).items():
        (store.operations.path / name).write_bytes(data)


def _picture(number: int) -> bytes:
    if number % 40 == 0:
        return PHOTO
    return IMAGES[number % len(IMAGES)] if number % 4 else encoded(picture(size=(40 + number % 60, 30)), "JPEG", quality=90)


def _extension(data: bytes) -> str:
    return next(kind.extension for kind, known in SAMPLES.items() if known == data) if data in SAMPLES.values() else "jpg"


def state(store: Store) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the time of every loose file."""
    folder = store.operations.path
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir() if not path.name.startswith(".")}


def compression(store: Store) -> Compression:
    return Compression(store, clock=lambda: NOW)


def answers(store: Store, place: Path) -> dict[str, object]:
    """Return what every way of reading says of a store."""
    place.mkdir()
    index = Index(store)
    index.catch_up()
    ids = [row.id for row in index.search("", size=500).rows]
    shares, thumbnails = Shares(store), Thumbnails(store)
    found: dict[str, object] = {
        "list": store.list_operations(COUNT),
        "names": sorted(name for name in store.operations.names() if not name.startswith(".")),
        "search": [
            ids,
            [row.id for row in index.search("status:failed type:text_to_video", size=500).rows],
            dict(index.facets()),
        ],
        "verify": store.verify(deep=True),
        "frame": load_frame(store).to_csv(),
        "family": sorted(Lineage(store, index).family(ids[0]).members),
        "thumbnails": {name: thumbnails.path(name) is not None for name in store.media_names(ids[3])},
    }
    for name in ("csv", "jsonl", "zip"):
        write(Exports(store, index, clock=lambda: NOW).prepare(name, ids=ids[:60]), place / name)
        found[name] = (place / name).read_bytes()
    scope = Scope("selection", tuple(ids[:3]))
    found["share"] = [shares.file(scope, one.key)[1].read_bytes() for item in shares.items(scope) for one in item.pictures]
    backup = care_of(store).back_up(str(place / "vault"))
    found["backup"] = (place / "vault" / "snapshots" / f"{backup.snapshot}.sha256").read_bytes().count(b"operations/")
    index.stop()
    return found


@pytest.mark.long
def test_a_thousand_operations_of_every_kind_read_the_same_packed_and_come_back_the_same(tmp_path: Path) -> None:
    store = made(tmp_path)
    fill(store)
    before = state(store)
    assert len([name for name in before if name.endswith(".json")]) == COUNT
    loose = answers(store, tmp_path / "loose")
    done = compression(store).apply(60)
    assert done.operations == COUNT and not done.left and done.saved > 0
    assert state(store) == {} and len(done.months) >= 3
    assert answers(store, tmp_path / "packed") == loose
    back = compression(store).unpack()
    assert back.operations == COUNT and not back.left
    assert state(store) == before, "bytes or times are others"
    assert list((store.root / "packed").iterdir()) == []


@pytest.mark.long
def test_the_index_reads_nothing_again_when_a_month_is_packed_and_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made(tmp_path)
    fill(store, 60)
    for path in store.operations.path.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))  # younger files are looked at again whatever happens
    index = Index(store)
    index.catch_up()
    version, rows = index.version(), [row.id for row in index.search("", size=100).rows]
    read: list[str] = []
    data = Reader.data

    def noted(reader: Reader, operation_id: str) -> Any:
        read.append(operation_id)
        return data(reader, operation_id)

    monkeypatch.setattr(Reader, "data", noted)
    for packing in (True, False):
        done = compression(store).apply(60) if packing else compression(store).unpack()
        assert done.operations == 60
        assert index._follower.reconcile(stamps=True) == 0 and read == []
        assert (index.version(), [row.id for row in index.search("", size=100).rows]) == (version, rows)
    compression(store).apply(60)
    index.rebuild()
    assert [row.id for row in index.search("", size=100).rows] == rows, "built anew from packs"
    index.stop()


def test_over_http_packed_media_answer_as_loose_ones_do(tmp_path: Path) -> None:
    store = made(tmp_path)
    operation_id = save(store, 1, outputs=[PHOTO])
    name = f"{operation_id}_out.jpg"
    app = App(Settings(store.root))

    def seen() -> list[tuple[int, bytes, dict[str, str]]]:
        with client_of(app) as client:
            asked = [{}, {"Range": "bytes=100-199"}, {"Range": "bytes=-5"}, {"Range": "bytes=99999999-"}]
            found = [client.get(f"/api/files/{name}", headers=headers) for headers in asked]
            found.append(client.get(f"/api/files/{name}", headers={"If-None-Match": found[0].headers["etag"]}))
            found += [client.get(f"/api/history/{operation_id}"), client.get("/api/search?q=number")]
            kept = ("content-type", "etag", "last-modified", "content-range", "content-disposition", "cache-control")
            return [
                (one.status_code, one.content, {key: one.headers[key] for key in kept if key in one.headers}) for one in found
            ]

    loose = seen()
    assert [status for status, _, _ in loose] == [200, 206, 206, 416, 304, 200, 200] and loose[0][1] == PHOTO
    assert compression(store).apply(60).operations == 1
    packed = seen()
    assert [row[:2] for row in packed[:-1]] == [row[:2] for row in loose[:-1]]
    assert [row[2] for row in packed] == [row[2] for row in loose], "a browser's copy stays good"


def test_what_must_not_be_packed_stays_loose_and_is_told(tmp_path: Path) -> None:
    store = made(tmp_path)
    fine, young, damaged, underway = (save(store, number, days) for number, days in ((1, 100), (2, 10), (3, 100), (4, 100)))
    plant(store, f"{damaged}.json", b"{")
    plant(store, f"{old(5)}_out.png", b"alone")
    plant(store, "somebody else's.txt", b"other")
    plant(store, "x.json", b"{}").rename(store.pending.path / f"{underway}.json")
    before = state(store)
    planned = compression(store).plan(60)
    done = compression(store).apply(60)
    assert planned.operations == 2 and done.operations == 1 and set(done.left) == {damaged}
    assert {name: found for name, found in before.items() if not name.startswith(fine)} == state(store)
    assert compression(store).apply(60).operations == 0
    assert [month.operations for month in compression(store).packed().months] == [1]
    assert compression(store).apply(0, "2026-11").operations == 1 and not store.operations.loose.has(f"{young}.json")


@pytest.mark.parametrize("moment", ["read and encoded", "added", "about to go"])
def test_what_happens_while_a_month_is_packed_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """What is trashed, removed or annotated at any moment of packing does not come back, nor is it told as a fault."""
    store, trash = made(tmp_path), Trash(made(tmp_path))
    still, noted, trashed, removed, restored, unlinked = (save(store, number) for number in range(6))

    def note(operation_id: str) -> None:
        store.rewrite(operation_id, lambda sidecar: sidecar["annotations"].update(note="new"))

    def others_go_on() -> None:
        note(noted)
        note(restored)
        for operation_id in (trashed, removed, restored):
            trash.put(operation_id)
        trash.remove(removed)
        trash.restore(restored)
        for path in store.operations.path.glob(f"{unlinked}*"):  # by a program that knows no lock
            path.unlink()

    waiting = [others_go_on]

    def first(act: Callable[..., Any], *, after: bool = False) -> Callable[..., Any]:
        def acting(*args: Any, **options: Any) -> Any:
            done = act(*args, **options) if after else None
            if waiting:
                waiting.pop()()
            return done if after else act(*args, **options)

        return acting

    if moment == "about to go":
        monkeypatch.setattr(store.operations, "let_go", first(store.operations.let_go))
    else:
        name = "encode" if moment == "read and encoded" else "add"
        monkeypatch.setattr(Pack, name, first(getattr(Pack, name), after=True))
    done = compression(store).apply(60)
    assert not waiting and done.operations == 1 and {*done.left} == {noted, trashed, removed, restored, unlinked}

    def seen() -> dict[str, str]:
        return {sidecar["operationId"]: sidecar["annotations"]["note"] for sidecar in store.list_operations()}

    assert seen() == {still: "", noted: "new", restored: "new"} and store.verify(deep=True) == []
    assert [item.operation_id for item in trash.all()] == [trashed]
    assert {name[:23] for pack in store.operations.packs.readable() for name in pack.names()} == {still}
    compression(store).unpack()
    assert seen() == {still: "", noted: "new", restored: "new"} and store.verify(deep=True) == []


def test_a_folder_whose_name_is_no_text_is_packed_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "caf\udce9 \n%?#")
    store.initialize_storage()
    save(store, 1, 400)
    assert care_of(store).compression.apply().operations == 1
    assert not store.verify() and load_frame(store).shape[0] == 1


def test_packing_again_takes_up_what_came_back(tmp_path: Path) -> None:
    store = made(tmp_path)
    ids = [save(store, number) for number in (1, 2)]
    compression(store).apply(60)
    store.rewrite(ids[0], lambda sidecar: sidecar["annotations"]["tags"].append("now"))
    before = {name: store.operations.read(name) for name in store.operations.names()}
    assert compression(store).apply(60).operations == 1 and state(store) == {}
    compression(store).unpack("2026-08")
    assert {name: content for name, (content, _) in state(store).items()} == before


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "august", "2026-8", "../../x", "202608\n"])
def test_a_month_is_a_month(tmp_path: Path, month: str) -> None:
    packing = compression(made(tmp_path))
    with pytest.raises(InvalidInput, match="is no month"):
        packing.apply(0, month)
    with pytest.raises(InvalidInput, match="is no month"):
        packing.unpack(month)


def test_unpacking_begins_only_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(tmp_path)
    save(store, 1)
    compression(store).apply(60)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5))
    with pytest.raises(StorageError, match="are free"):
        compression(store).unpack()
    assert state(store) == {}


@pytest.mark.long
def test_many_operations_are_unpacked_with_few_open_files(tmp_path: Path) -> None:
    store = made(tmp_path)
    for number in range(500):
        sidecar = {"operationId": old(number), "operationType": "unknown", "prompt": str(number), "success": True}
        (store.operations.path / f"{old(number)}.json").write_bytes(encode(sidecar))
    assert compression(store).apply(60).operations == 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 250, hard))
    try:
        assert compression(store).unpack().operations == 500
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.long
def test_what_is_unpacked_together_waits_for_the_disk_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(tmp_path)
    ids = [save(store, number) for number in range(30)]
    compression(store).apply(60)
    acts: list[str] = []
    sync, link, whole = disk.sync, disk.link, os.fsync

    def noted(name: str, act: Callable[..., None]) -> Callable[..., None]:
        def done(*arguments: Any) -> None:
            act(*arguments)
            acts.append(name)

        return done

    monkeypatch.setattr(disk, "sync", noted("sync", sync))
    monkeypatch.setattr(disk, "link", noted("link", link))
    compression(store).unpack()
    assert acts == ["sync"] * 90 + ["link"] * 90, "every file is durable before the first has its name"
    before = os.listdir(store.operations.path)
    assert len(before) == 90 and {name[:23] for name in before} == set(ids)
    # One that fails among many: nothing has come back, nothing is left.
    compression(store).apply(60)
    calls = iter(range(1_000))
    monkeypatch.setattr(os, "fsync", lambda file: whole(file) if next(calls) < 40 else _refuse())
    with pytest.raises(StorageError, match="disk reports an error"):
        compression(store).unpack()
    monkeypatch.undo()
    assert os.listdir(store.operations.path) == [] and store.verify(deep=True) == []


def _refuse() -> None:
    raise OSError(errno.EIO, "broken")


# -- care of a folder with packs -----------------------------------------------------------------------------------------


def test_a_backup_is_the_same_before_and_after_and_comes_back_into_a_packed_folder(tmp_path: Path) -> None:
    store = made(tmp_path)
    for number in (1, 2, 3):
        save(store, number, outputs=[PHOTO])
    care, vault = care_of(store), str(tmp_path / "vault")
    first = care.back_up(vault)
    care.compression.apply(60)
    second = care.back_up(vault)
    assert (second.new_files, second.files, second.left_out) == (0, first.files, {})
    done = care.restore(vault)
    assert not done.operations and not done.conflicts and done.same == first.files
    fresh = made(tmp_path / "fresh")
    assert len(care_of(fresh).restore(vault).operations) == 3 and fresh.verify(deep=True) == []


def test_a_cleanup_moves_packed_operations_and_keeps_what_is_wanted(tmp_path: Path) -> None:
    store = made(tmp_path)
    going, wanted = save(store, 1), save(store, 2, annotations=annotated(rating=4))
    care = care_of(store)
    care.compression.apply(60)
    plan = care.cleanup.plan(Rule())
    assert [fact.id for fact in plan.leaving] == [going] and 0 < plan.bytes < 3_000
    assert care.cleanup.apply(plan).moved == (going,)
    assert [sidecar["operationId"] for sidecar in store.list_operations()] == [wanted]
    Trash(store).purge(timedelta(0))
    care.compression.unpack()
    assert not store.operations.has(f"{going}.json")


def test_a_repair_saves_what_it_can_of_a_damaged_pack_and_sets_the_rest_aside(tmp_path: Path) -> None:
    store = made(tmp_path)
    ids = [save(store, number, outputs=[bytes([number]) * 3_000 + b"RIFF"]) for number in (1, 2, 3)]
    care = care_of(store)
    care.compression.apply(60)
    pack = store.operations.packs.pack("202608")
    assert pack is not None
    with pack._changing() as database:
        content = "(SELECT content FROM files WHERE name = ?)"
        database.execute(f"UPDATE contents SET data = x'00' WHERE id = {content}", (f"{ids[0]}_out.jpg",))
    remedies = care.repair.apply(deep=True)
    assert (remedies[0].problem.kind, remedies[0].problem.name, remedies[0].done) == ("changed", f"{ids[0]}_out.jpg", True)
    assert (store.root / "quarantine" / f"{ids[0]}_out.jpg").read_bytes() == b"\0"
    assert {sidecar["operationId"] for sidecar in store.list_operations()} == set(ids)
    assert [problem.kind for problem in store.verify(deep=True)] == ["missing"]
    pack._database.execute("PRAGMA user_version = 7")
    store.operations.packs.close()
    assert [(item.problem.folder, item.done) for item in care.repair.apply() if item.problem.kind == "unparsable"] == [
        ("packed", True)
    ]
    assert (store.root / "quarantine" / "202608.sqlite").exists() and [one.kind for one in store.verify()] == ["missing"]


# -- the command and the page's acts -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    store = made(tmp_path)
    for number in range(3):
        save(store, number, 400)
    save(store, 9, 0)
    yield store.root


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert main(["compress", *arguments]) == code
    return json.loads(capsys.readouterr().out)


def test_the_command_says_packs_lists_and_brings_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(folder)
    before = state(store)
    planned = told(capsys, "--dry-run", "--json", "--data", str(folder))
    assert planned["estimated"] and planned["dryRun"] and planned["count"] == 3 and state(store) == before
    done = told(capsys, "--json", "--data", str(folder))
    assert done["success"] and done["count"] == 3 and [row["month"] for row in done["months"]] == [MONTH]
    assert told(capsys, "--list", "--json", "--data", str(folder))["count"] == 3
    assert told(capsys, "--unpack", "--dry-run", "--json", "--data", str(folder))["count"] == 3 and len(state(store)) == 3
    assert main(["compress", "--unpack", "--data", str(folder)]) == 0
    assert "3 operations came back" in capsys.readouterr().out and state(store) == before
    assert main(["compress", "--month", "nonsense", "--data", str(folder)]) == 2


def test_what_is_left_is_told_with_exit_code_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(Store(folder), f"{old(1, 400)}.json", b"{")
    assert set(told(capsys, "--json", "--data", str(folder), code=1)["left"]) == {old(1, 400)}


def test_the_acts_of_the_page_tell_what_they_came_to(folder: Path) -> None:
    care = care_of(Store(folder))
    care.desk.plan_packing(60)
    planned = _ended(care, "packable")
    care.desk.pack(60)
    for act in (planned, _ended(care, "pack")):
        assert act["count"] == 3 and act["days"] == 60 and len(act["months"]) == 1
    assert list(care.compression.months()) == [MONTH]
    care.desk.unpack(None)
    assert _ended(care, "unpack")["count"] == 3 and care.compression.months() == {}


def _ended(care: Any, kind: str) -> Any:
    for _ in range(500):
        act = care.desk.last(kind)
        if act is not None and act.state != "running":
            assert act.state == "done", act
            return act.result
        time.sleep(0.01)
    pytest.fail("it does not end")
