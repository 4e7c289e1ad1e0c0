"""The index's first reading is the frame's too: the frame is what the folder says, and no file is read for it that was read."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opstore.analytics import READING, first_reading, load_frame, reading, shared_frame, snapshot
from opstore.analytics.first_reading import Parts
from opstore.analytics.frame_row import row_of
from opstore.analytics.reading import table_of
from opstore.analytics.shared_frame import Holder
from opstore.analytics.snapshot import Snapshot
from opstore.app import App, Settings
from opstore.index import Index, changes, parallel
from opstore.index.entry import entry_of, sidecar_of
from opstore.index.reader import Reader
from opstore.storage.store import Store
from tests.frame_samples import ids, usual
from tests.frame_twin import expected, plain
from tests.index_samples import folder_of, plant

USUAL = ids(random.Random(1), 60)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids whose sidecars the frame reads; few operations are very many."""
    wanted: list[str] = []
    true = reading.read

    def counted(path: Path, these: Any, *rest: Any) -> Any:
        wanted.extend(these)
        return true(path, these, *rest)

    monkeypatch.setattr(shared_frame, "read", counted)
    monkeypatch.setattr(parallel, "WORTHWHILE", 10)
    monkeypatch.setattr(parallel, "CHUNK", 20)
    return wanted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of usual and odd operations and of broken files, all an hour old, whose index has just read all."""
    store = folder_of(tmp_path_factory.mktemp("read"), 40, 1)
    chance = random.Random(1)
    for operation_id in USUAL:
        plant(store, usual(chance, operation_id))
    plant(store, b"{", "20250101000000_0badc0de")
    plant(store, b'{"operationId": "other"}', "20250101000001_0badc0de")
    old(store)
    index = Index(store, program=READING)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(parallel, "WORTHWHILE", 10)
        changed.setattr(parallel, "CHUNK", 20)
        index.update()
    index.stop()
    return store.root


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Store:
    """A copy of that folder that nobody has read."""
    shutil.copytree(folder, tmp_path / "data", ignore=shutil.ignore_patterns("cache"))
    return Store(tmp_path / "data")


def old(store: Store) -> None:
    """Let all files be settled."""
    for path in store.operations.path.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)


@pytest.fixture
def index(folder: Path, store: Store) -> Iterator[Index]:
    """Its index that has just read all, for the frame too."""
    shutil.copytree(folder / "cache", store.cache)
    index = Index(store, program=READING)
    yield index
    index.stop()


def files(store: Store) -> list[Path]:
    """The parts that there are."""
    return sorted((store.cache / first_reading.FOLDER).glob("*.arrow"))


def test_what_the_index_has_read_is_not_read_again(index: Index, store: Store, asked: list[str]) -> None:
    assert files(store)
    held = Holder(index).held()
    assert plain(held.frame) == expected(store.operations.path) and not asked
    assert held.snapshot.table["at"].to_pylist() == [at for _, at, _ in index.listing()]
    # The snapshot has them now.
    assert not (store.cache / first_reading.FOLDER).exists() and snapshot.is_there(store.cache / snapshot.NAME)
    assert plain(load_frame(store)) == expected(store.operations.path) and not asked


def test_the_words_are_those_of_a_frame_that_is_read(index: Index, store: Store, asked: list[str]) -> None:
    joined = Holder(index).held().snapshot
    (store.cache / snapshot.NAME).unlink()
    alone = Holder(index).held().snapshot
    assert asked

    def words(of: Snapshot) -> list[list[str]]:
        known = of.vocabulary["word"].to_pylist()
        return [[known[number] for number in numbers] for numbers in of.table["words"].to_pylist()]

    assert words(joined) == words(alone) and sorted(joined.vocabulary.to_pylist(), key=str) == sorted(
        alone.vocabulary.to_pylist(), key=str
    )


def test_an_app_reads_for_both(store: Store, asked: list[str]) -> None:
    app = App(Settings.from_env({}, str(store.root)))
    app.index.update()
    assert plain(app.service.analytics.frame()) == expected(store.operations.path) and not asked
    app.index.stop()


def test_a_file_that_changed_after_the_first_look_is_read_again(index: Index, store: Store, asked: list[str]) -> None:
    changed, gone, *_ = USUAL
    plant(store, usual(random.Random(3), changed))
    (store.operations.path / f"{gone}.json").unlink()
    added = plant(store, usual(random.Random(4), "20260101000000_00000001"))
    index.refresh(changed, gone, added)
    assert plain(Holder(index).held().frame) == expected(store.operations.path)
    assert set(asked) == {changed, added}


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "flipped", "older"])
def test_a_part_that_cannot_be_trusted_is_read_instead(damage: str, index: Index, store: Store, asked: list[str]) -> None:
    for path in files(store):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        kept: dict[str, bytes] = {
            "empty": b"",
            "cut": path.read_bytes()[:-100],
            "flipped": bytes(data),
            "older": path.read_bytes().replace(b"opstore-frame-", b"opstore-fram3-", 1),
        }
        path.write_bytes(kept[damage]) if damage in kept else path.unlink()
    assert plain(Holder(index).held().frame) == expected(store.operations.path)
    assert len(asked) > 90 and not files(store)


def test_parts_of_another_folder_are_not_believed(index: Index, store: Store, asked: list[str], tmp_path: Path) -> None:
    other = folder_of(tmp_path / "other", 30, 2)
    old(other)
    theirs = Index(other, program=READING)
    theirs.update()
    for path in files(store):
        (other.cache / first_reading.FOLDER / f"9{path.name}").write_bytes(path.read_bytes())
    assert plain(Holder(theirs).held().frame) == expected(other.operations.path)
    theirs.stop()


def test_where_there_is_a_snapshot_no_parts_are_made(index: Index, store: Store, asked: list[str]) -> None:
    Holder(index).held()
    index.rebuild()
    assert not files(store)
    assert plain(load_frame(store)) == expected(store.operations.path) and not asked


def some(store: Store, parts: Parts, names: list[str], born: int = 1) -> None:
    """Take these operations in, as a process does that reads them."""
    with Reader(store.operations.path) as reader:
        for operation_id in names:
            data, stamp = reader.data(operation_id) or (b"", 0)
            assert isinstance(data, bytes)
            sidecar = sidecar_of(data, operation_id)
            parts.take(sidecar, entry_of(sidecar, operation_id), stamp)
    parts.turn(born)


def test_a_file_that_was_young_is_read_again(index: Index, store: Store, asked: list[str]) -> None:
    shutil.rmtree(store.cache / first_reading.FOLDER)
    parts = Parts(store.cache)
    some(store, parts, USUAL[1:])
    sidecar = usual(random.Random(8), USUAL[0])
    parts.take(sidecar, entry_of(sidecar, USUAL[0]), 0)
    parts.finish()
    assert plain(Holder(index).held().frame) == expected(store.operations.path)
    assert USUAL[0] in asked and not set(asked) & set(USUAL[1:])


def test_parts_that_come_while_the_frame_is_there_are_taken_in(
    store: Store, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LISTED", 10)
    parts, index = Parts(store.cache), Index(store)
    index.refresh(*USUAL[:20])
    holder = Holder(index, clock=lambda: 0.0)
    holder.held()
    some(store, parts, USUAL)
    parts.finish()
    asked.clear()
    index.update()
    assert plain(holder.held().frame) == expected(store.operations.path)
    assert not set(asked) & set(USUAL) and not files(store)
    index.stop()


def test_a_disk_without_room_is_left_to_the_index(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_reading, "ROOM", 2**62)
    parts = Parts(store.cache)
    some(store, parts, USUAL)
    parts.finish()
    assert not files(store)
    monkeypatch.setattr(first_reading, "ROOM", 0)
    some(store, parts, USUAL)
    parts.finish()
    assert not files(store)  # once is enough: half of all would spare little
    fresh = Parts(store.cache)
    (store.cache / first_reading.FOLDER).rmdir()
    (store.cache / first_reading.FOLDER).write_bytes(b"")
    some(store, fresh, USUAL)
    fresh.finish()


def test_parts_of_an_older_index_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_reading, "ROWS", 30)
    monkeypatch.setattr(first_reading, "FEW", 30)
    one, other = Parts(store.cache), Parts(store.cache)
    some(store, one, USUAL[:40])
    left = files(store)
    temp = left[0].with_name(f".{left[0].name}.1.tmp")
    temp.write_bytes(b"half")
    some(store, other, USUAL[:40])
    assert set(left) < set(files(store)) and temp.exists()
    some(store, Parts(store.cache), USUAL[:40], born=2)
    assert len(files(store)) == 1 and not set(left) & set(files(store)) and not temp.exists()


def test_of_one_operation_in_several_parts_the_first_counts(store: Store) -> None:
    chance = random.Random(2)
    names = ids(chance, 6)

    def part(these: list[str], stamp: int) -> Snapshot:
        sidecars = [usual(chance, operation_id) for operation_id in these]
        rows = [(row_of(sidecar, sidecar["operationId"]), stamp) for sidecar in sidecars]
        return Snapshot.empty().changed(table_of(rows), (), {}, "")

    parts = [part(names[:4], 3), part(names[2:], 2), part(names[:1], 1), Snapshot.empty()]
    joined = Snapshot.joined(parts)
    stamps = dict(zip(joined.table["operation_id"].to_pylist(), joined.table["stamp"].to_pylist(), strict=True))
    assert stamps == {**dict.fromkeys(names[2:], 2), **dict.fromkeys(names[:4], 3)}
    assert joined.table["operation_id"].to_pylist() == sorted(stamps, reverse=True)
    assert Snapshot.joined([Snapshot.empty()]).count == 0
