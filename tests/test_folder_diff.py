"""What has changed in a folder is found alike here and by a process beside, which gives way and is a help and no more."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from opstore.errors import StorageError
from opstore.index import Index, folder_diff, follow, parallel
from opstore.index.folder_diff import Difference, difference, difference_beside
from opstore.index.follow import Follower
from opstore.index.sqlite import Database
from opstore.storage.packs import Library
from opstore.storage.store import Store
from tests.index_samples import all_rows, folder_of, plant, settle

NEW, CHANGED, GONE = "20240229120000_0000000a", "20240229120001_0000000a", "20240229120002_0000000a"
Look = Callable[..., Difference]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """An index that is behind its folder by a file that is new, one rewritten in place, and one that is gone."""
    store = folder_of(tmp_path, 60, 4)
    for operation_id in (CHANGED, GONE):
        plant(store, {"operationId": operation_id, "prompt": "before"})
    plant(store, b"{", "20240229120003_0000000a")
    settle(store)
    Index(store).update()
    plant(store, {"operationId": NEW, "prompt": "new"})
    path = store.operations.path / f"{CHANGED}.json"
    path.write_bytes(path.read_bytes().replace(b"before", b"changed in place"))
    (store.operations.path / f"{GONE}.json").unlink()
    return Database(Index(store).path)


@pytest.mark.parametrize("look", [difference, difference_beside])
@pytest.mark.parametrize("stamps", [False, True])
def test_what_is_new_changed_and_gone_is_found(database: Database, look: Look, stamps: bool) -> None:
    folder = Library(database.path.parent.parent)
    found = look(database, folder, stamps=stamps, breathe=lambda: None)
    assert found == Difference([NEW], [CHANGED] if stamps else [], [GONE])


def test_a_process_that_cannot_be_started_or_dies_is_done_without(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Library(database.path.parent.parent)
    for program in ("/bin/false", "/bin/echo", "/no/such/program"):
        monkeypatch.setattr(sys, "executable", program)
        assert folder_diff._asked(database.path, folder, True, lambda: None) is None
        assert difference_beside(database, folder, stamps=True, breathe=lambda: None) == Difference([NEW], [CHANGED], [GONE])


def test_an_app_that_stops_waits_for_nobody(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def kept(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", kept)

    def stops() -> None:
        raise StorageError(reason="the app stops")

    with pytest.raises(StorageError):
        difference_beside(database, Library(database.path.parent.parent), stamps=True, breathe=stops)
    assert [process.returncode for process in started] == [-9]


def looks_beside(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Let a process look through few operations already; return what will be each of its looks, whether at the stamps too."""
    monkeypatch.setattr(parallel, "WORTHWHILE", 20)
    looks: list[bool] = []
    asked = folder_diff._asked

    def counted(index: Path, folder: Library, stamps: bool, breathe: Callable[[], None]) -> Difference | None:
        looks.append(stamps)
        return asked(index, folder, stamps, breathe)

    monkeypatch.setattr(folder_diff, "_asked", counted)
    return looks


@pytest.mark.long
def test_who_follows_many_lets_a_process_look_that_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.initialize_storage()
    ids = [f"202511031430{number}_abc123de" for number in range(10, 40)]
    for operation_id in ids:
        plant(store, {"operationId": operation_id, "prompt": "before"})
    settle(store)
    Index(store).update()
    looks = looks_beside(monkeypatch)
    path = store.operations.path / f"{ids[0]}.json"
    path.write_bytes(path.read_bytes().replace(b"before", b"changed in place"))
    index = Index(store)
    index.start()
    try:
        deadline = time.monotonic() + 30
        while [row.id for row in all_rows(index, '"changed in place"')] != [ids[0]]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        index.stop()
    assert True in looks


def test_what_others_do_is_found_while_a_process_looks_however_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "data")
    store.initialize_storage()
    for number in range(10, 40):
        plant(store, {"operationId": f"202511031430{number}_abc123de", "prompt": "before"})
    settle(store)
    Index(store).update()
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    looks = looks_beside(monkeypatch)
    index = Index(store)
    index.start()
    try:
        deadline = time.monotonic() + 30
        while not looks:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        plant(store, {"operationId": NEW, "prompt": "saved by another meanwhile"})
        while [row.id for row in all_rows(index, '"by another meanwhile"')] != [NEW]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        index.stop()


class Told:
    """What the system tells of changes, as a test has it: one answer a look."""

    works = True
    answers: ClassVar[list[set[str] | None]] = []

    def changes(self) -> set[str] | None:
        return self.answers.pop(0) if self.answers else set()


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Follower:
    """One that has looked at all of a folder, and whose thread is this one; each look of its process lasts a while."""

    def look(database: Database, operations: Library, *, stamps: bool, breathe: Callable[[], None]) -> Difference:
        breathe()
        return difference(database, operations, stamps=stamps)

    monkeypatch.setattr(Library, "watch", lambda operations: Told())
    monkeypatch.setattr(follow, "difference_beside", look)
    monkeypatch.setattr(follow, "_SHARE_NAMES", 1e9)
    monkeypatch.setattr(parallel, "WORTHWHILE", 0)
    store = Store(tmp_path)
    store.initialize_storage()
    plant(store, {"operationId": CHANGED, "prompt": "before"})
    settle(store)
    following = Index(store)._follower
    following._thread = threading.current_thread()
    for _ in range(2):
        following._turn()
    return following


@pytest.mark.long
def test_what_the_system_could_not_tell_during_a_look_at_the_names_is_looked_for(follower: Follower, tmp_path: Path) -> None:
    store = Store(tmp_path)
    plant(store, {"operationId": CHANGED, "prompt": "changed in place"})
    plant(store, {"operationId": NEW, "prompt": "new"})
    settle(store)
    Told.answers = [set(), None]  # at the turn's begin, and while the process looks: there were too many
    follower._turn()
    assert not Told.answers and {row.prompt for row in all_rows(Index(store), "")} == {"before", "new"}
    follower._turn()
    assert {row.prompt for row in all_rows(Index(store), "")} == {"changed in place", "new"}


@pytest.mark.long
@pytest.mark.parametrize("answers", [[{CHANGED}], [set(), {CHANGED}]], ids=["at its begin", "during a look"])
def test_what_was_told_and_could_not_be_read_then_is_read_at_the_next_turn(
    follower: Follower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[set[str] | None]
) -> None:
    store = Store(tmp_path)
    plant(store, {"operationId": CHANGED, "prompt": "changed in place"})
    plant(store, {"operationId": NEW, "prompt": "new"})
    settle(store)
    Told.answers = answers

    def full(self: Follower, *given: object) -> None:
        raise StorageError(reason="too many open files")

    with monkeypatch.context() as now, pytest.raises(StorageError):
        now.setattr(Follower, "_read", full)
        follower._turn()
    follower._turn()
    assert {row.prompt for row in all_rows(Index(store), "")} == {"changed in place", "new"}
