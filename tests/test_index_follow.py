"""The index follows the folder: own saves at once, everybody else's within seconds, several processes at work."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opstore.errors import StorageError
from opstore.index import Index, follow, parallel, sqlite, writer
from opstore.index.entry import entry_of
from opstore.index.observed import UNSETTLED
from opstore.index.prepared import Part
from opstore.index.reader import Reader
from opstore.storage.store import Store
from opstore.storage.watch import Watch
from tests.index_samples import all_rows, folder_of, plant, random_sidecar, rows_of, settle
from tests.search_oracle import ordered

ID = "20251103143022_abc123de"
#: Seconds within which the follower must have seen what happened; usually it takes about one.
SOON = 15.0


def soon(holds: Callable[[], object]) -> float:
    """Wait until something holds, and return how long it took; fail if it does not."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < SOON, "it did not come to be"
        time.sleep(0.02)
    return time.monotonic() - start


def ids(index: Index, text: str = "") -> list[str]:
    return [row.id for row in all_rows(index, text, size=200)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.initialize_storage()
    return store


@pytest.fixture
def index(store: Store) -> Iterator[Index]:
    index = Index(store)
    index.start()
    yield index
    index.stop()


def test_own_saves_are_found_at_once(store: Store, index: Index) -> None:
    store.save_operation_metadata(ID, {"prompt": "chat", "operationType": "text_to_image"})
    assert ids(index, "chat") == [ID]

    def annotate(sidecar: dict[str, Any]) -> None:
        sidecar["annotations"] = {"tags": ["mer"], "rating": 5}

    store.rewrite(ID, annotate)
    assert ids(index, "tag:mer rating:5") == [ID]


@pytest.mark.long
def test_what_others_do_is_found_within_seconds(store: Store, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "STAMPS_EVERY", 1.0)
    chance = random.Random(3)
    many = [plant(store, random_sidecar(chance, f"202511031430{n:02}_abc123de")) for n in range(30)]
    soon(lambda: len(ids(index)) == 30)
    settle(store)
    plant(store, {"operationId": many[3], "prompt": "rewritten in place", "success": True})
    soon(lambda: ids(index, '"rewritten in place"') == [many[3]])
    shutil.move(store.operations.path / f"{many[4]}.json", store.root / "trash" / f"{many[4]}.json")
    soon(lambda: many[4] not in ids(index))
    shutil.move(store.root / "trash" / f"{many[4]}.json", store.operations.path / f"{many[4]}.json")
    soon(lambda: many[4] in ids(index))
    shutil.rmtree(store.operations.path)
    soon(lambda: ids(index) == [])
    store.operations.path.mkdir()
    plant(store, {"operationId": ID, "prompt": "restored"})
    soon(lambda: ids(index) == [ID])


@pytest.mark.long
def test_a_file_that_is_written_slowly_is_read_again(store: Store, index: Index) -> None:
    whole = json.dumps({"operationId": ID, "prompt": "chat"}).encode()
    path = store.operations.path / f"{ID}.json"
    with path.open("wb", buffering=0) as file:
        file.write(whole[:20])
        soon(index.problems)
        file.write(whole[20:])
    assert soon(lambda: ids(index, "chat") == [ID]) < SOON
    assert index.problems() == []


def test_what_was_just_written_or_may_be_older_than_the_row_is_to_be_read_again(tmp_path: Path) -> None:
    young, settled, other = (
        entry_of({"operationId": name, "prompt": text}, name)
        for name, text in ((ID, "chat"), ("20251103143023_abc123de", "mer"), (ID, "soir"))
    )
    database = sqlite.Database(tmp_path / "index.db")
    with database.writing() as connection:
        written = writer.put_all(connection, {young.id: (young, UNSETTLED), settled.id: (settled, 5)})
        assert (written.changed, written.unsettled) == (2, [ID])
    with database.writing() as connection:  # what was read before the transaction, in which another process has written
        written = writer.put_parts(connection, [Part(others={ID: (other, 5)})])
        assert (written.changed, written.doubtful) == (0, [ID])
    database.close()


def test_a_start_reads_only_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = folder_of(tmp_path, 50, 2)
    settle(store)
    Index(store).update()
    opened: list[str] = []
    read = Reader.read

    def counted(self: Reader, operation_id: str) -> Any:
        opened.append(operation_id)
        return read(self, operation_id)

    monkeypatch.setattr(Reader, "read", counted)
    changed = plant(store, {"operationId": ID, "prompt": "changed while nothing ran", "success": True})
    new = plant(store, {"operationId": "20251103143022_12345678", "prompt": "new while nothing ran"})
    index = Index(store)
    index.start()
    soon(lambda: set(ids(index, '"while nothing ran"')) == {changed, new})
    index.stop()
    assert set(opened) == {changed, new}


def test_a_first_build_is_usable_and_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = folder_of(tmp_path, 300, 2)
    monkeypatch.setattr(follow, "_BATCHES", (20, 50))
    go_on, read_many = threading.Semaphore(1), Reader.read_many

    def slow(*arguments: Any) -> Any:
        assert go_on.acquire(timeout=30)
        return read_many(*arguments)

    monkeypatch.setattr(Reader, "read_many", slow)
    index, other = Index(store), Index(store)
    assert not other.progress().ready and other.progress().total is None
    index.start()
    try:
        soon(lambda: other.progress().done == 20)
        progress = other.progress()
        assert (progress.total, progress.ready) == (300, False)
        assert ids(other) == sorted((row.id for row in rows_of(store)), reverse=True)[:20]  # the newest come first
        store.save_operation_metadata("20000101000000_abc123de", {"prompt": "saved meanwhile"})
        assert ids(index, '"saved meanwhile"') == ["20000101000000_abc123de"]
    finally:
        for _ in range(20):
            go_on.release()
    soon(lambda: other.progress().ready)
    assert all_rows(index, size=100) == sorted(rows_of(store), key=lambda row: row.id, reverse=True)
    index.stop()


def test_a_save_goes_on_while_another_process_holds_the_index(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "TIMEOUT", 0.05)
    index = Index(store)
    index.update()
    index.start()
    blocker = sqlite3.connect(index.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    store.save_operation_metadata(ID, {"prompt": "chat"})  # the listener must not raise
    assert ids(index) == []
    blocker.execute("ROLLBACK")
    blocker.close()
    soon(lambda: ids(index) == [ID])
    index.stop()


@pytest.mark.long
@pytest.mark.parametrize("leavings", [("",), ("", "-wal"), ("", "-wal", "-shm"), ("-wal",), ("-shm",)])
def test_the_index_deleted_under_a_running_app_comes_back(tmp_path: Path, leavings: tuple[str, ...]) -> None:
    store = folder_of(tmp_path, 60, 8)
    index = Index(store)
    index.start()
    soon(lambda: index.progress().ready)
    expected = ids(index)
    for ending in leavings:
        index.path.with_name(f"index.db{ending}").unlink(missing_ok=True)
    ids(index, "chat")
    store.save_operation_metadata("20251231143022_abc123de", {"prompt": "afterwards"})
    expected = sorted(["20251231143022_abc123de", *expected], reverse=True)
    soon(lambda: ids(index) == expected)
    index.stop()
    assert ids(Index(store)) == expected


@pytest.mark.long
def test_the_whole_cache_folder_deleted_comes_back(store: Store, index: Index) -> None:
    plant(store, {"operationId": ID, "prompt": "chat"})
    soon(lambda: ids(index) == [ID])
    shutil.rmtree(store.cache)
    soon(lambda: ids(index) == [ID])


@pytest.mark.long
@pytest.mark.parametrize("dies", [False, True])
def test_processes_that_read_are_a_help_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: bool) -> None:
    store = folder_of(tmp_path, 400, 5)
    plant(store, b"{", ID)
    monkeypatch.setattr(parallel, "WORTHWHILE", 100)
    monkeypatch.setattr(parallel, "CHUNK", 20)
    monkeypatch.setattr(follow, "_BATCHES", (40, 40, 60))
    answers: list[int] = []
    made: list[int] = []
    ask = parallel._Process.ask

    def counted(process: parallel._Process, ids: Sequence[str], names: parallel.Vocabulary) -> Part:
        if dies and len(answers) >= 3:
            process.popen.kill()
        found = ask(process, ids, names)
        answers.append(len(found))
        made.append(len(found.ready))
        return found

    monkeypatch.setattr(parallel._Process, "ask", counted)
    index = Index(store)
    index.update()
    assert all_rows(index, size=200) == sorted(rows_of(store), key=lambda row: row.id, reverse=True)
    assert [problem.operation_id for problem in index.problems()] == [ID]
    assert (sum(answers) == 400) != dies
    assert sum(made) > 100 or dies
    assert index.progress().ready


@pytest.mark.long
def test_a_build_that_was_cut_off_is_used_and_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = folder_of(tmp_path, 300, 5)
    ids = [ID, "20251399000000_abcdef", "00000000000000_00000000"]  # two of them with an impossible time
    for number, name in enumerate(ids):
        plant(store, {"operationId": name, "prompt": "x", "files": [{"role": "output", "sha256": f"{number + 1:02x}" * 32}]})
    rows = rows_of(store)
    dearest = [row.id for row in ordered(rows, "cost")]
    for module, name, value in ((parallel, "WORTHWHILE", 100), (writer, "LISTED", 20), (follow, "_BATCHES", (40, 60))):
        monkeypatch.setattr(module, name, value)

    def is_right(index: Index) -> bool:
        holders = [index.holding(f"{number + 1:02x}" * 32, results=True) for number in range(3)]
        return [row.id for row in all_rows(index, order="cost")] == dearest and all(map(list.__contains__, holders, ids))

    def left(index: Index) -> tuple[int, ...]:
        with contextlib.closing(sqlite3.connect(index.path)) as connection:
            questions = (
                "SELECT count(*) FROM block",
                "SELECT count(*) FROM sqlite_master WHERE name = 'op_cost'",
                "SELECT v FROM body_config WHERE k = 'automerge'",
            )
            return tuple(connection.execute(question).fetchone()[0] for question in questions)

    def cut_off(connection: sqlite.Connection) -> bool:
        raise StorageError(reason="the machine is switched off")

    with monkeypatch.context() as changed, pytest.raises(StorageError):
        changed.setattr(follow, "settled", cut_off)
        Index(store).update()
    assert is_right(Index(store)) and left(Index(store))[1:] == (0, 0)
    index = Index(store)
    index.update()
    assert is_right(index) and left(index) == (0, 1, 4)


def test_the_system_tells_of_changes(store: Store) -> None:
    if platform.system() != "Linux":
        pytest.skip("only Linux tells of changes")
    watch = Watch(store.operations.path)
    assert watch.changes() == set()
    store.save_complete_operation({"operationId": ID, "prompt": "x", "inputImages": [b"x"]})
    (store.operations.path / "notes.json").touch()
    assert watch.changes() == {ID}
    plant(store, {"operationId": ID})
    assert watch.changes() == {ID}
    (store.operations.path / f"{ID}.json").rename(store.root / "elsewhere")
    assert watch.changes() == {ID}
    shutil.rmtree(store.operations.path)
    assert watch.changes() is None
    assert not watch.works and not Watch(store.operations.path).works


def test_a_system_that_has_no_queue_left_tells_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    if platform.system() != "Linux":
        pytest.skip("only Linux tells of changes")
    refusing = SimpleNamespace(inotify_init1=lambda flags: -1, inotify_add_watch=lambda queue, path, mask: -1)
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: refusing)
    assert not Watch(store.operations.path).works


def test_a_sidecar_that_grows_while_it_is_read_is_read_to_its_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(store, {"operationId": ID, "prompt": "chat " * 100})
    told = os.fstat
    monkeypatch.setattr(
        os, "fstat", lambda file: SimpleNamespace(st_mode=told(file).st_mode, st_size=9, st_mtime_ns=told(file).st_mtime_ns)
    )
    with Reader(store.operations) as reader:
        data, _ = reader.data(ID) or (b"", 0)
    assert data == (store.operations.path / f"{ID}.json").read_bytes()


@pytest.mark.long
def test_a_folder_that_nobody_tells_of_is_followed_all_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "works", False)
    index = Index(store)
    index.start()
    soon(lambda: index.progress().ready)
    plant(store, {"operationId": ID, "prompt": "chat"})
    soon(lambda: ids(index) == [ID])
    (store.operations.path / f"{ID}.json").unlink()
    soon(lambda: ids(index) == [])
    index.stop()


# -- several processes ---------------------------------------------------------------------------------------------------

PROGRAM = """
import random, sys, time
from opstore.index import Index
from opstore.storage.store import Store
from tests.index_samples import random_sidecar
work, root, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = Store(root)
index = Index(store)
index.start()
if work == "follow":
    print("ready", flush=True)
    time.sleep(600)
if work == "read":
    print("ready", flush=True)
    most = 0
    while sys.stdin.readline():
        found = index.search("prompt or -absent", size=1000)
        index.search("tag:mer", order="rating"); index.facets(); index.count("chat")
        assert found.total.n >= most, "what was there has gone"
        most = found.total.n
        print(most, flush=True)
if work == "write":
    chance = random.Random(seed)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(40):
        sidecar = random_sidecar(chance, f"2025110314{number:02}00_{seed:08x}")
        store.save_operation_metadata(sidecar["operationId"], {"prompt": f"by {seed} number {number}"})
        annotations = {"tags": [f"t{seed}"], "rating": 1 + number % 5}
        store.rewrite(sidecar["operationId"], lambda stored: stored.update(annotations=annotations))
        found = index.get(sidecar["operationId"])
        assert found and found.tags == (f"t{seed}",), found
        print(number, flush=True)
    index.stop()
"""


def started(work: str, root: Path, seed: int = 0) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, work, str(root), str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    assert process.stdout and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.long
def test_four_processes_write_and_two_read(store: Store) -> None:
    writers = [started("write", store.root, seed) for seed in range(1, 5)]
    readers = [started("read", store.root) for _ in range(2)]
    try:
        for process in writers:
            assert process.stdin and process.stdout
            process.stdin.write("go\n")
            process.stdin.flush()
        victim = writers.pop()
        assert victim.stdout
        for _ in range(15):
            victim.stdout.readline()
        victim.kill()  # in the middle of whatever it does
        victim.communicate()
        while any(process.poll() is None for process in writers):
            for process in readers:
                assert process.stdin and process.stdout
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline(), "a reader has failed"
        assert [process.wait() for process in writers] == [0, 0, 0]
    finally:
        for process in [*writers, *readers]:
            process.kill()
            process.communicate()
    index = Index(store)
    index.start()  # somebody must take in what the victim had saved and not told
    expected = sorted(rows_of(store), key=lambda row: row.id, reverse=True)
    assert len(expected) >= 3 * 40 + 15
    soon(lambda: all_rows(index, size=200) == expected)
    index.stop()


@pytest.mark.long
def test_another_process_takes_over_when_the_follower_is_killed(store: Store) -> None:
    first = started("follow", store.root)
    index = Index(store)
    try:
        soon(lambda: index.progress().ready)
        index.start()
        time.sleep(1.2)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        plant(store, {"operationId": ID, "prompt": "chat"})
        soon(lambda: ids(index) == [ID])
    finally:
        first.kill()
        first.communicate()
        index.stop()
