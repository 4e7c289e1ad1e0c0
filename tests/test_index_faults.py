"""The index where its ground gives way: a full disk, a replaced file, failures for days, a save within a question."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from opstore.errors import StorageError
from opstore.index import Index, follow
from opstore.index.follow import Follower
from opstore.index.pages import Pages
from opstore.index.sqlite import Damaged, Database, make, remove
from opstore.storage.packs import Library
from opstore.storage.store import Store
from tests.care_samples import care_of
from tests.index_samples import plant, settle

FIRST, SECOND = "20251103143022_abc123de", "20251103143023_abc123de"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.initialize_storage()
    for name in (FIRST, SECOND):
        plant(store, {"operationId": name, "prompt": "chat", "operationType": "text_to_image", "success": True})
    settle(store)
    return store


def found(index: Index, text: str = "") -> list[str]:
    return [row.id for row in index.search(text).rows]


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """Let no file grow beyond a few bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_takes_nobody_s_index_away(store: Store) -> None:
    index = Index(store)
    index.update()
    index.stop()
    file = index.path.stat().st_ino
    with no_room(), pytest.raises(StorageError):
        found(index)
    with no_room(), pytest.raises(StorageError):
        index.update()
    assert index.path.stat().st_ino == file and found(index) == [SECOND, FIRST]


def test_an_index_that_takes_the_place_of_another_during_a_look_is_not_taken_for_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(store)
    index.update()
    settled = Follower._settle

    def replaced(self: Follower, begin: bool = False) -> None:
        """Once, right before it is noted that all is in it."""
        monkeypatch.setattr(Follower, "_settle", settled)
        settled(self, begin)
        remove(index.path)

    monkeypatch.setattr(Follower, "_settle", replaced)
    with pytest.raises(Damaged):
        index._follower.reconcile()
    assert not index.progress().ready
    index._follower._turn()
    assert index.progress().ready and found(index) == [SECOND, FIRST]


def test_one_that_is_not_whole_in_its_file_takes_no_place(store: Store) -> None:
    index = Index(store)
    index.update()
    made = index.path.with_name("index.rebuilt.db")
    make(made)
    other = sqlite3.connect(made)  # as where there is no room to move the log into the file
    other.execute("SELECT * FROM state").fetchall()
    with contextlib.closing(Database(made)) as database:
        Follower(database, store.operations).reconcile(stamps=True)
    with pytest.raises(StorageError):
        index._database.install(made)
    other.close()
    assert found(index) == [SECOND, FIRST]


def test_two_who_build_it_anew_at_one_moment_are_both_done(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    settled, begun, go = Follower._settle, threading.Event(), threading.Event()

    def slowly(self: Follower, begin: bool = False) -> None:
        begun.set()
        assert go.wait(30)
        settled(self, begin)

    monkeypatch.setattr(Follower, "_settle", slowly)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(Index(store).rebuild)
        assert begun.wait(30)
        second = threads.submit(Index(store).rebuild)
        with contextlib.suppress(TimeoutError):
            second.result(0.5)  # long enough to take the first one's file away, if it does not wait
        go.set()
        assert (first.result(30), second.result(30)) == (None, None)
    assert found(Index(store)) == [SECOND, FIRST]
    assert not [path.name for path in store.cache.iterdir() if "rebuilt" in path.name]


def test_who_fails_for_days_follows_when_it_is_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    index, failed = Index(store), 0
    follower = index._follower

    def turn() -> None:
        nonlocal failed
        failed += 1
        if failed > 1_100:
            follower._stop.set()
        raise StorageError(reason="the disk is full")

    monkeypatch.setattr(follower, "_turn", turn)
    monkeypatch.setattr(follow, "TICK", 0.0)
    follower._run()
    assert failed == 1_101


def test_a_save_between_two_steps_of_a_question_changes_no_answer_halfway(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new is not in the search that was made ready, and must not be noted as counted."""
    index = Index(store)
    index.update()
    changes = Pages.changes

    def saves(self: Pages) -> tuple[int, ...]:
        monkeypatch.setattr(Pages, "changes", changes)
        other = Index(store)
        plant(store, {"operationId": FIRST, "prompt": "chat", "annotations": {"tags": ["mer"]}})
        other.refresh(FIRST)
        other.stop()
        return changes(self)

    monkeypatch.setattr(Pages, "changes", saves)
    first = index.search("tag:mer")
    assert (len(first.rows), first.total.n) == (0, 0)
    second = index.search("tag:mer")
    assert (len(second.rows), second.total.n) == (1, 1)


def test_what_is_rewritten_in_place_before_a_new_watch_is_found_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much happened at once for the system to tell, and it went on."""
    follower = Index(store)._follower
    for _ in range(2):
        follower._turn()
    watch = follower._watch
    assert watch is not None
    monkeypatch.setattr(watch, "changes", lambda: watch.close())
    follower._turn()
    plant(store, {"operationId": FIRST, "prompt": "rewritten"})
    settle(store)
    follower._turn()
    assert found(Index(store), "rewritten") == [FIRST]


def test_a_pack_that_goes_or_comes_is_seen_also_where_something_else_is_told_at_that_moment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_SHARE_NAMES", 1e9)
    care_of(store).compression.apply(0)
    assert not store.operations.loose.names()
    follower = Index(store)._follower
    for _ in range(2):
        follower._turn()
    (pack,) = store.operations.packs.folder.path.glob("*.sqlite")
    for third, target in ((f"{FIRST[:-1]}0", store.root / "away.pack"), (f"{FIRST[:-1]}1", pack)):
        os.rename(pack if pack.exists() else store.root / "away.pack", target)
        plant(store, {"operationId": third, "prompt": "chat"})
        follower._turn()
        assert set(found(Index(store))) >= {third} and (SECOND in found(Index(store))) == pack.exists()


def test_who_begins_to_be_told_looks_at_what_came_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Index(store)._follower
    with monkeypatch.context() as now:
        now.setattr(Library, "watch", lambda operations: SimpleNamespace(works=False))
        for _ in range(2):
            follower._turn()
    plant(store, {"operationId": FIRST, "prompt": "rewritten"})
    settle(store)
    follower._turn()
    assert found(Index(store), "rewritten") == [FIRST]
