"""Keeps the index equal to the folder: what this process saves at once, what others add, change or remove within seconds.

One process at a time follows a folder (a kernel lock); the others write their own saves and read. The follower compares the names
in the folder with those in the index when the folder's time has changed, newest first, so that a first build is usable from its
first moment, and the stamps of all files at the start and then now and again, since a file rewritten in place changes no folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from opstore.errors import OpstoreError, StorageError, said
from opstore.index import parallel
from opstore.index.deferred import begun, settled
from opstore.index.folder_diff import Difference, difference, difference_beside
from opstore.index.observed import Observed
from opstore.index.prepared import Part
from opstore.index.reader import SETTLED, THREADS, Reader
from opstore.index.sqlite import Connection, Damaged, Database
from opstore.index.writer import Written, put_all, put_parts
from opstore.storage.packs import Library
from opstore.storage.watch import Watch

#: Seconds between two looks at the folder's time.
TICK = 1.0
#: A pass over all names or stamps may take this share of the follower's time.
_SHARE_NAMES, _SHARE_STAMPS = 0.1, 0.01
#: Seconds between two passes over the stamps, at least.
STAMPS_EVERY = 60.0
#: Seconds between two passes over the names, at least, where the system has told what the changes were.
NAMES_EVERY = 600.0
#: Operations written in one transaction: the first few at once, so that the first page is there; more cost less each.
_BATCHES = (100, 1_000, 5_000, 20_000)
#: Batches that are read while one is written: with one, the readers would wait for a writer that takes longer than they do.
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the index is: operations done of those found in the folder (None: not counted yet); `ready` once it had all."""

    done: int
    total: int | None
    ready: bool


class Follower:
    """Brings the index up to date, on demand (`refresh`) and in the background (`start`)."""

    def __init__(self, database: Database, operations: Library, *, changed: Callable[[], None] = lambda: None) -> None:
        """Follow the folder `operations`; `changed` is called after rows have changed."""
        self._database = database
        self._operations = operations
        self._changed = changed
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._late: set[str] = set()
        self._young: dict[str, float] = {}
        self._leader: int | None = None
        self._watch: Watch | None = None
        self._stamps_at = 0.0
        self._has_missed = False
        self._names_at = 0.0
        self._names_cost = 0.0
        self._packs_seen: int | None = None

    # -- from outside ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow in a thread."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="opstore-index", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; what was written stays."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)
            self._thread = None

    def saved(self, operation_id: str) -> None:
        """Take in what was just saved: a listener of the store. It never raises; what fails now is done in the background."""
        try:
            self.refresh([operation_id])
        except (OpstoreError, OSError, Damaged):
            with self._lock:
                self._late.add(operation_id)
            self._wake.set()

    def refresh(self, ids: Iterable[str]) -> int:
        """Read these operations anew, whatever has happened to them; return how many rows changed."""
        parts = _parts(list(dict.fromkeys(ids)), 200)
        return sum(self._write(functools.partial(self._read_and_put, part)) for part in parts)

    def _read_and_put(self, ids: Sequence[str], connection: Connection) -> Written:
        return put_all(connection, self._read(ids))

    def _read(self, ids: Sequence[str]) -> dict[str, Observed | None]:
        try:
            with Reader(self._operations) as reader:
                return {operation_id: reader.read(operation_id) for operation_id in ids}
        except StorageError:
            if self._operations.exists():
                raise
            return dict.fromkeys(ids)

    def reconcile(self, *, stamps: bool = False) -> int:
        """Make the index equal to the folder now; with `stamps` also for files rewritten in place. Return how many changed."""
        before, born = self._operations.changed(), self._state().get("born")
        started = time.monotonic()
        self._has_missed, self._packs_seen = False, self._operations.packs.changed()
        found = self._difference(stamps)
        changed = sum(self.refresh(part) for part in _parts(found.gone, 500))
        fresh = sorted(found.fresh, reverse=True)
        changed += self._take_in(found.changed, 0, None)
        total = self._count()
        changed += self._take_in(fresh, total, total + len(fresh))
        self._settle()
        self._note_of(born, {"complete": 1, "seen": before, "done": total + len(fresh), "total": total + len(fresh)})
        self._names_at, self._names_cost = time.monotonic(), time.monotonic() - started
        if stamps or self._has_missed:
            self._stamps_at = 0.0 if self._has_missed else time.monotonic()
        return changed

    def catch_up(self) -> int:
        """Make the index equal to the folder's names unless the folder's own stamp says that it is; return how many changed."""
        with self._database.reading() as connection:
            state = dict(connection.execute("SELECT key, value FROM state").fetchall())
        if state.get("complete") and state.get("seen") == self._operations.changed():
            return 0
        return self.reconcile()

    def progress(self) -> Progress:
        """Return how far the index is, whichever process works on it."""
        with self._database.reading() as connection:
            state = dict(connection.execute("SELECT key, value FROM state").fetchall())
        return Progress(state.get("done", 0), state.get("total"), bool(state.get("complete")))

    # -- the thread ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._turn()
                failures = 0
            except (OpstoreError, OSError, Damaged):
                failures += 1  # a disk that is full, a file that was replaced: the next turn finds out
            self._wake.wait(min(TICK * 2 ** min(failures, 10), 60.0))  # a disk may be full for days
            self._wake.clear()
        self._resign()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _turn(self) -> None:
        with self._lock:
            late, self._late = self._late, set()
        self._refresh_or_keep(late)
        if not self._lead():
            with self._lock:
                self._young.clear()  # the follower's business
            return
        current = self._operations.changed()  # before the look at what was told: a change between the two is met again
        changed = self._told()
        self._refresh_or_keep(changed)
        state, now = self._state(), time.monotonic()
        # Clocks of older kernels tick in hundredths of a second: what came right after the look may bear the same time.
        is_newer = state.get("seen") != current or time.time() - current / 1e9 < SETTLED
        if is_newer and state.get("complete") and not self._names_at:
            self.reconcile()  # what came while nobody followed is there soon, however long the stamps take
        elif not state.get("complete") or not self._stamps_at or now - self._stamps_at > self._stamps_pause():
            self.reconcile(stamps=True)
        elif is_newer:
            self._follow_names(current, is_explained=bool(changed))
        self._look_again()

    def _refresh_or_keep(self, ids: set[str]) -> None:
        """Read these operations anew; where that fails they are read at the next turn: nobody tells of them again."""
        try:
            if ids:
                self.refresh(ids)
        except BaseException:
            with self._lock:
                self._late |= ids
            raise

    def _told(self) -> set[str]:
        """Return which operations the system has seen change since the last turn; empty where it does not tell."""
        before = self._watch if self._watch is not None and self._watch.works else None
        touched = before.changes() if before else None
        if touched is None:
            # Names that came before it the folder's time tells; what was rewritten in place, a look at all stamps from now on.
            self._watch = self._operations.watch()
            if before or self._watch.works:
                self._stamps_at = 0.0
        return touched or set()

    def _follow_names(self, current: int, is_explained: bool) -> None:
        now = time.monotonic()
        # Of what leaves a pack, or comes into one, nobody tells.
        if is_explained and self._packs_seen == self._operations.packs.changed() and now - self._names_at < NAMES_EVERY:
            self._note({"seen": current})
        elif now - self._names_at > self._names_cost / _SHARE_NAMES:
            self.reconcile()

    def _stamps_pause(self) -> float:
        """Return the seconds between two passes over the stamps: fewer if nobody tells of changes in place."""
        every = STAMPS_EVERY * (10 if self._watch is not None and self._watch.works else 1)
        return max(every, self._names_cost / _SHARE_STAMPS)

    def _look_again(self) -> None:
        """Read once more the files that were so young that a second write could have borne the same time."""
        now = time.monotonic()
        with self._lock:
            ripe = [operation_id for operation_id, since in self._young.items() if now - since > SETTLED + 0.5]
            for operation_id in ripe:
                del self._young[operation_id]
        self._refresh_or_keep(set(ripe))

    def _lead(self) -> bool:
        """Say whether this process is the one that follows the folder."""
        if self._leader is not None:
            return True
        lock = os.open(self._database.path.with_suffix(".leader"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._leader = lock
        return True

    def _resign(self) -> None:
        if self._leader is not None:
            os.close(self._leader)
            self._leader = None

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _difference(self, stamps: bool) -> Difference:
        """Look at the folder; in the background, and if there is much to look at, in a process of its own."""
        beside = threading.current_thread() is self._thread and self._count() > parallel.WORTHWHILE
        look = difference_beside if beside else difference
        return look(self._database, self._operations, stamps=stamps, breathe=self._meanwhile if beside else self._breathe)

    def _meanwhile(self) -> None:
        """Take in what the system tells of changes while a process looks: on a busy machine that takes minutes."""
        self._breathe()
        told = self._watch.changes() if self._watch is not None and self._watch.works else set()
        if told is None:
            self._has_missed = True
        self._refresh_or_keep(told or set())

    def _breathe(self) -> None:
        """Let the threads that answer people go first; raise where the app stops."""
        if self._stop.is_set() and threading.current_thread() is self._thread:
            raise StorageError(reason=said("the index is stopped"))
        time.sleep(0.001)

    def _take_in(self, ids: Sequence[str], done: int, total: int | None) -> int:
        """Read and write `ids` in their order, in batches that grow; while one is written the next ones are read."""
        changed = 0
        with self._reading(ids) as read:
            batches = _batches(ids)
            ahead = deque(read(next(batches, ())) for _ in range(_AHEAD))
            while parts := list(ahead.popleft()):
                ahead.append(read(next(batches, ())))
                done += sum(map(len, parts))
                state = {} if total is None else {"done": done, "total": total}
                changed += self._write(functools.partial(put_parts, parts=parts), state, relaxed=True)
                self._breathe()
        return changed

    @contextlib.contextmanager
    def _reading(self, ids: Sequence[str]) -> Iterator[Callable[[Sequence[str]], Iterable[Part]]]:
        """Lend what reads so many operations best: processes for very many, threads for some, neither for none."""
        if not ids:
            yield lambda batch: ()
            return
        with Reader(self._operations) as reader, contextlib.ExitStack() as stack:
            if len(ids) > parallel.WORTHWHILE:
                processes = stack.enter_context(parallel.Processes(reader, self._operations))

                def read(batch: Sequence[str]) -> Iterable[Part]:
                    with self._database.reading() as connection:
                        processes.learn(connection)
                    return processes.read_many(batch)

                self._settle(begin=True)
                yield read
            else:
                threads = stack.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="opstore-read"))

                def some(
                    batch: Sequence[str],
                ) -> Iterator[Part]:  # read when asked for: the first page is written before the next
                    if batch:
                        yield Part(others=dict(reader.read_many(batch, threads)))

                yield some

    def _write(
        self, write: Callable[[Connection], Written], state: Mapping[str, int] | None = None, relaxed: bool = False
    ) -> int:
        """Let `write` do what it does in one transaction, and take care of what it leaves to do; return how many rows changed.

        What it reads inside the transaction is right: of two processes the one that has read later also writes later.
        """
        for _ in range(3):
            try:
                with self._database.writing(relaxed) as connection:
                    written = write(connection)
                    if written.changed:
                        connection.execute("UPDATE state SET value = value + 1 WHERE key = 'changes'")
                    connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", (state or {}).items())
                break
            except Damaged:
                continue  # the file is a new one now; the follower will fill it
        else:
            raise StorageError(reason=said("the index was replaced again and again"))
        self._look_again_at(written.unsettled)
        if written.changed:
            self._changed()
        return written.changed + (self.refresh(written.doubtful) if written.doubtful else 0)

    def _settle(self, begin: bool = False) -> None:
        """Put in order what very many rows have left to do, a little at a time: who saves meanwhile does not wait."""
        step = begun if begin else settled
        while True:
            with self._database.writing(relaxed=True) as connection:
                if step(connection):
                    return
            self._breathe()

    def _look_again_at(self, ids: Iterable[str]) -> None:
        if self._thread is None:
            return  # nobody would; the follower, whichever process it is in, meets them as unsettled
        now = time.monotonic()
        with self._lock:
            self._young |= dict.fromkeys(ids, now)

    def _note_of(self, born: int | None, values: Mapping[str, int]) -> None:
        """Note what is true of the file that was born then; raise Damaged where it is another one by now, which is empty."""
        with self._database.writing() as connection:
            if connection.born != born:
                raise Damaged("replaced meanwhile")
            connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())

    def _note(self, values: Mapping[str, int]) -> None:
        with self._database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())

    def _state(self) -> dict[str, int]:
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT key, value FROM state").fetchall())

    def _count(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute("SELECT (SELECT count(*) FROM op) + (SELECT count(*) FROM problem)").fetchone()[0])


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    at = 0
    for size in itertools.chain(_BATCHES, itertools.repeat(_BATCHES[-1])):
        if at >= len(ids):
            return
        yield ids[at : at + size]
        at += size


def _parts(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
