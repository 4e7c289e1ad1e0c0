"""The frame of one data folder as a process holds it: loaded once, extended by what is new, shared read-only by all who look.

Truth is the folder, as the index follows it: `refresh` asks the index what has changed, reads those sidecars, and now and then
writes the snapshot, so that a fresh process has little to read. Any number of processes may do so beside each other.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa

from opstore.analytics import snapshot
from opstore.analytics.frame import frame_of
from opstore.analytics.reading import SCHEMA as READ
from opstore.analytics.reading import read
from opstore.analytics.snapshot import Snapshot
from opstore.index import Index

NAME = "frame.arrow"
#: The snapshot is written again when it lacks this share of the rows, or this many.
STALE_SHARE, STALE = 0.01, 500
#: A look for what is new may take this share of the time of a process.
_SHARE = 0.1
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Held:
    """A state of the frame that never changes; `version` is another for every other content, in this process."""

    version: int
    frame: pd.DataFrame
    snapshot: Snapshot
    problems: int


class Holder:
    """The frame of one index's folder."""

    def __init__(self, index: Index, clock: Callable[[], float] = time.monotonic) -> None:
        """Follow `index`; nothing is read before the first question."""
        self.index = index
        self.path = index.store.cache / NAME
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._unsaved = 0
        self._is_kept = False
        self._not_before = 0.0
        self._asked: str | None = None
        #: Sidecars read of those that must be, while very many are.
        self.progress: tuple[int, int] | None = None

    def held(self, *, fresh: bool = True) -> Held:
        """Return the present state; with `fresh` after a look for what is new, unless one was made a moment ago."""
        held = self._held
        if held is None or (fresh and self._clock() >= self._not_before):
            with self._lock:
                held = self._held
                if held is None or self._clock() >= self._not_before:
                    started = self._clock()
                    held = self._refreshed(held)
                    ended = self._clock()
                    self._not_before = ended + (ended - started) / _SHARE
        return held

    def peek(self) -> Held | None:
        """Return the state that is there, None before the first; it never waits."""
        return self._held

    def is_stale(self) -> bool:
        """Say, cheaply, whether the index holds something that has not been looked at yet."""
        return self._held is None or self.index.version() != self._asked

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _refreshed(self, held: Held | None) -> Held:
        asked = self.index.version()
        before = held.snapshot if held else self._loaded()
        latest = self._caught_up(before)
        problems = len(self.index.problems())
        if held is None or latest.table is not before.table or problems != held.problems:
            frame = frame_of(latest.table) if held is None or latest.table is not before.table else held.frame
            held = Held(next(_numbers), frame, latest, problems)
        elif latest is not before:
            held = replace(held, snapshot=latest)
        self._held, self._asked, self.progress = held, asked, None
        self._save(latest)
        return held

    def _loaded(self) -> Snapshot:
        found = snapshot.load(self.path)
        self._is_kept = found is not None
        return found or Snapshot.empty()

    def _caught_up(self, old: Snapshot) -> Snapshot:
        changes = self.index.changes_since(old.cursor)
        if changes.cursor == old.cursor:
            return old
        if changes.ids is None:
            return self._compared(old, changes.cursor)
        rows = self._read(list(changes.ids))
        if old.same(rows, changes.ids):
            return replace(old, cursor=changes.cursor)
        self._unsaved += len(changes.ids)
        return old.changed(rows, changes.ids, self.index.places(changes.ids), changes.cursor)

    def _compared(self, old: Snapshot, cursor: str) -> Snapshot:
        """Compare all that the index has with all that is held, by the stamps of the files."""
        listing = self.index.listing()
        known = dict(zip(old.table["operation_id"].to_pylist(), old.table["stamp"].to_pylist(), strict=True))
        wanted = [operation_id for operation_id, _, stamp in listing if not stamp or known.get(operation_id) != stamp]
        places = {operation_id: at for operation_id, at, _ in listing}
        gone = known.keys() - places.keys()
        if not wanted and not gone:
            # To be kept: otherwise every process after this one would compare everything again.
            self._unsaved, self._is_kept = self._unsaved + 1, False
            return old.moved(places, cursor)
        self._unsaved += len(wanted) + len(gone)
        found = old.changed(self._read(wanted), {*wanted, *gone}, places, cursor)
        return found.moved(places, cursor)

    def _read(self, ids: list[str]) -> pa.Table:
        def told(done: int) -> None:
            self.progress = done, len(ids)

        if not ids:
            return READ.empty_table()
        return read(self.index.store.operations, ids, told)

    def _save(self, found: Snapshot) -> None:
        if self._unsaved > (max(STALE, found.count * STALE_SHARE) if self._is_kept else 0):
            self.save()

    def save(self) -> None:
        """Write the snapshot if it lacks something; a disk that does not take it costs the next process time, nothing else."""
        if self._held is not None and self._unsaved:
            with contextlib.suppress(OSError):
                snapshot.save(self.path, self._held.snapshot)
                self._is_kept = True
            self._unsaved = 0
