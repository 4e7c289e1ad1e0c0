"""The demo: a data folder of its own with half a year of operations, their media really made by the local engine, all marked.

Nothing of a person's is ever touched: a folder that holds anything else is refused. What is planned is fixed by `demo.json`, the
first file written, so that a repeated or interrupted run adds what is missing and nothing twice.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opstore.demo.plan import SESSIONS, planned
from opstore.errors import FileMissing, NotADemo, OperationExists, said, shown
from opstore.storage.data_folder import FOLDERS
from opstore.storage.operation import parse_time, timestamp
from opstore.storage.store import Store

MARK = "demo.json"
SCHEMA = "opstore-demo/1"
SEED = 7
MAX_MARK_BYTES = 10_000
#: Processes at a time: each holds the engine, about 150 MB.
MOST_PROCESSES = 4
#: What is in `cache/` can be made again, and is nobody's.
_KEPT = tuple(name for name in FOLDERS if name != "cache")


@dataclass(frozen=True, slots=True)
class Filled:
    """What a run did: how many operations the demo has, and how many of them were made now."""

    operations: int
    made: int


def fill(
    store: Store,
    *,
    seed: int = SEED,
    sessions: int = SESSIONS,
    now: datetime | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Filled:
    """Fill the data folder of `store`; raise NotADemo where it holds anything else.

    `seed`, `sessions` and `now` count for an empty folder only: one that a demo was begun in goes on as it was begun. `report`
    is called with the operations done and their number.
    """
    mark = _mark(store) or _begin(store, seed, sessions, (now or datetime.now(UTC)).replace(microsecond=0))
    story = planned(mark["seed"], mark["end"], mark["sessions"])
    total = sum(map(len, story))
    done = created = 0
    report(0, total)
    # Spawned: a fork of a process with threads may hang, and the server's threads may be there.
    processes = max(1, min(MOST_PROCESSES, os.cpu_count() or 1, len(story)))
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        from opstore.demo.making import make_session

        # The longest first, so that no process ends alone on a long one.
        ordered = sorted(story, key=len, reverse=True)
        with _undisturbed():
            waiting = {pool.submit(make_session, store.data.address, session): len(session) for session in ordered}
        try:
            for future in as_completed(waiting):
                created += future.result()
                done += waiting[future]
                report(done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    from opstore.demo.voting import vote

    vote(store, story, mark["seed"], mark["end"])
    return Filled(total, created)


def _begin(store: Store, seed: int, sessions: int, end: datetime) -> dict[str, Any]:
    """Mark an empty folder as a demo's."""
    foreign = _foreign(store)
    if foreign:
        raise NotADemo(folder=shown(store.data.address), what=foreign)
    store.initialize_storage()
    mark = {"schema": SCHEMA, "seed": seed, "sessions": sessions, "end": timestamp(end)}
    try:
        store.data.top.create("demo", [{MARK: json.dumps(mark, indent=2).encode() + b"\n"}])
    except OperationExists:  # another run was faster: go on with its plan
        return _mark(store) or mark | {"end": end}
    return mark | {"end": end}


def _foreign(store: Store) -> str | None:
    """Return what is in the folder that no demo has put there, by name; None where it is empty or missing."""
    if not store.data.exists():
        return None
    others = sorted(name for name in store.data.top.names() if name not in (*FOLDERS, "drafts"))
    within = (f"{folder}/{name}" for folder in _KEPT for name in sorted(store.data.folder(folder).names()))
    found = next((name for name in (*others, *within)), None)
    return None if found is None else shown(found)


def _mark(store: Store) -> dict[str, Any] | None:
    """Return what the demo in this folder was begun with, None if there is none."""
    try:
        data = store.data.top.read(MARK, MAX_MARK_BYTES)
    except FileMissing:
        return None
    try:
        stored = json.loads(data)
        end = parse_time(stored["end"])
        seed, sessions = stored["seed"], stored["sessions"]
        if stored["schema"] == SCHEMA and end and isinstance(seed, int) and isinstance(sessions, int) and 0 < sessions <= 5_000:
            return {"seed": seed, "sessions": sessions, "end": end}
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise NotADemo(folder=shown(store.data.address), what=said("{name} cannot be read", name=MARK))


__all__ = ["Filled", "fill"]


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let processes that are started in the block know no Ctrl-C: it is the one that started them that ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
