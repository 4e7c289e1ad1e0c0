"""Reads sidecars for the index: many at a time, each with a stamp that changes when the file does."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from opstore.errors import DamagedOperation, DamagedPack, OpstoreError, UnsafeFile, said
from opstore.index.entry import read_entry
from opstore.index.observed import UNSETTLED, Broken, Observed, broken
from opstore.storage.operation import MAX_SIDECAR_BYTES
from opstore.storage.packs import Library

#: A file younger than this may be written again within one tick of its clock: its stamp says nothing yet.
SETTLED = 2.0
#: Threads that read: while one decodes the others wait for the disk (5 s against 13 s for 100,000 cold files).
THREADS = 4
#: Where so many files took less than so many seconds each, they lie in memory: threads would only fight for the interpreter's
#: lock, at twice the time (50 µs a file on a quiet machine; a cold one takes 200 and more).
_SAMPLE, _WARM = 20, 0.000_15

_UNSAFE = UnsafeFile(name="", reason=said("not a plain file"))


class Reader:
    """The sidecars of a folder of operations, opened once for many."""

    def __init__(self, operations: Library) -> None:
        """Read from `operations`, inside a `with`."""
        self._sidecars = operations.sidecars()

    def __enter__(self) -> Self:
        """Open the folder; raise StorageError if there is none."""
        self._sidecars.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the folder."""
        self._sidecars.__exit__(kind, error, trace)

    def ids(self) -> Iterator[str]:
        """Yield the ids that have a loose sidecar, one at a time."""
        return self._sidecars.ids()

    def packed(self) -> Iterator[tuple[str, int]]:
        """Yield the id of every packed operation that is not loose as well, and its stamp, the same that it had loose."""
        return ((operation_id, _stamp(*known)) for operation_id, known in self._sidecars.packed())

    def read(self, operation_id: str) -> Observed | None:
        """Return what the index keeps of an operation and its file's stamp, None if there is no file.

        Raise as `data` does.
        """
        observed = self.data(operation_id)
        if observed is None:
            return None
        data, stamp = observed
        if isinstance(data, Broken):
            return data, stamp
        found = read_entry(data, operation_id)
        return (unreadable(found) if isinstance(found, DamagedOperation) else found), stamp

    def data(self, operation_id: str) -> tuple[bytes | Broken, int] | None:
        """Return a sidecar's bytes and its file's stamp, None if there is no file.

        Raise StorageError only for what passes (too many open files, no memory): it says nothing of the file.
        """
        read = self._sidecars.read(operation_id, MAX_SIDECAR_BYTES)
        if read is None:
            return None
        data, known = read
        return (data if isinstance(data, bytes) else _broken(operation_id, data)), _stamp(*known) if known else UNSETTLED

    def stamp(self, operation_id: str) -> int | None:
        """Return a file's stamp without reading it, None if there is no file."""
        known = self._sidecars.stat(operation_id)
        return _stamp(*known) if known else None

    def read_many(self, ids: Sequence[str], threads: ThreadPoolExecutor) -> Iterator[tuple[str, Observed | None]]:
        """Read, in parallel where the disk is waited for, and return every id with what was read, in the order given."""
        began = time.monotonic()
        first = self._read_chunk(ids[:_SAMPLE])
        if time.monotonic() - began < _WARM * _SAMPLE:
            return zip(ids, first + self._read_chunk(ids[_SAMPLE:]), strict=True)
        size = max(1, min(200, len(ids) // THREADS))
        chunks = [ids[start : start + size] for start in range(0, len(ids), size)]
        results = threads.map(self._read_chunk, chunks)
        return (pair for chunk, found in zip(chunks, results, strict=True) for pair in zip(chunk, found, strict=True))

    def _read_chunk(self, ids: Sequence[str]) -> list[Observed | None]:
        return [self.read(operation_id) for operation_id in ids]


def unreadable(error: DamagedOperation) -> Broken:
    """Return the problem of a sidecar that cannot be read."""
    return broken(error.details["operation_id"], error.details["problem"], error)


def _broken(operation_id: str, error: OpstoreError) -> Broken:
    """Return the problem of a sidecar whose file was not read."""
    if isinstance(error, UnsafeFile) and not isinstance(error, DamagedPack):
        return broken(operation_id, "unsafe", _UNSAFE)
    reason = str(error) if isinstance(error, DamagedPack) else error.details["reason"]
    return broken(operation_id, "unparsable", DamagedOperation(operation_id=operation_id, reason=reason))


def _stamp(size: int, modified: int) -> int:
    """Return a number for size and time (nanoseconds) of a file: four bytes an operation."""
    if -SETTLED < time.time() - modified / 1e9 < SETTLED:
        return UNSETTLED
    return (zlib.crc32(b"%d:%d" % (size, modified)) & 0x7FFFFFFF) or 1
