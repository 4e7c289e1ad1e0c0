"""Reads sidecars for the index: many at a time, each with a stamp that changes when the file does."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from opstore.errors import DamagedOperation, DamagedPack, StorageError, UnsafeFile, said
from opstore.index.entry import Entry, entry_of, sidecar_of
from opstore.index.observed import UNSETTLED, Broken, Observed, broken
from opstore.storage.files import is_passing, storage_errors
from opstore.storage.operation import MAX_SIDECAR_BYTES
from opstore.storage.packs import FOLDER, Packs

#: A file younger than this may be written again within one tick of its clock: its stamp says nothing yet.
SETTLED = 2.0
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
#: Threads that read: while one decodes the others wait for the disk (5 s against 13 s for 100,000 cold files).
THREADS = 4
#: Where so many files took less than so many seconds each, they lie in memory: threads would only fight for the interpreter's
#: lock, at twice the time (50 µs a file on a quiet machine; a cold one takes 200 and more).
_SAMPLE, _WARM = 20, 0.000_15

_UNSAFE = UnsafeFile(name="", reason=said("not a plain file"))

#: What gets a decoded sidecar, what the index keeps of it, and its file's stamp; several threads may call it at a time.
Beside = Callable[[Mapping[str, Any], Entry, int], None]


class Reader:
    """The folder of operations, opened once for many files."""

    def __init__(self, path: Path, beside: Beside | None = None) -> None:
        """Read from the folder at `path` and what is packed beside it, inside a `with`; `beside` gets what is decoded, too."""
        self._path = path
        self._beside = beside
        self._folder = -1
        self._packs = Packs(path.parent / FOLDER)

    def __enter__(self) -> Self:
        """Open the folder; raise StorageError if there is none."""
        with storage_errors():
            self._folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the folder."""
        os.close(self._folder)
        self._packs.close()

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
        try:
            sidecar = sidecar_of(data, operation_id)
            entry = entry_of(sidecar, operation_id)
        except DamagedOperation as error:
            return unreadable(error), stamp
        if self._beside:
            self._beside(sidecar, entry, stamp)
        return entry, stamp

    def data(self, operation_id: str) -> tuple[bytes | Broken, int] | None:
        """Return a sidecar's bytes and its file's stamp, None if there is no file.

        Raise StorageError only for what passes (too many open files, no memory): it says nothing of the file.
        """
        name = f"{operation_id}.json"
        try:
            file = os.open(name, _READ, dir_fd=self._folder)
        except FileNotFoundError:
            # Packed; or, where it is not, it came back between the two looks.
            return self._packed(name, operation_id) or (self.data(operation_id) if self._is_loose(name) else None)
        except OSError as error:
            return self._unopened(operation_id, error), self.stamp(operation_id) or UNSETTLED
        try:
            before = os.fstat(file)
            if not stat.S_ISREG(before.st_mode):
                return broken(operation_id, "unsafe", _UNSAFE), _stamp(before.st_size, before.st_mtime_ns)
            # One read and one byte more than there is, as a rule: that it brings less shows that the end was reached.
            wanted = min(before.st_size, MAX_SIDECAR_BYTES) + 1
            data = os.read(file, wanted)
            while wanted <= len(data) <= MAX_SIDECAR_BYTES and (more := os.read(file, MAX_SIDECAR_BYTES)):
                data += more
        except OSError as error:
            return self._unopened(operation_id, error), UNSETTLED
        finally:
            os.close(file)
        return data, _stamp(before.st_size, before.st_mtime_ns)

    def stamp(self, operation_id: str) -> int | None:
        """Return a file's stamp without reading it, None if there is no file."""
        try:
            file = os.stat(f"{operation_id}.json", dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            entry = self._packs.entry(f"{operation_id}.json")
            return None if entry is None else _stamp(entry.size, entry.modified)
        return _stamp(file.st_size, file.st_mtime_ns)

    def packed(self) -> Iterator[tuple[str, int]]:
        """Yield the id of every packed operation that is not loose as well, and its stamp."""
        for pack in self._packs.readable():
            with contextlib.suppress(DamagedPack):
                for operation_id, size, modified in pack.sidecars():
                    if not self._is_loose(f"{operation_id}.json"):
                        yield operation_id, _stamp(size, modified)

    def _is_loose(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _packed(self, name: str, operation_id: str) -> tuple[bytes | Broken, int] | None:
        """Return a packed sidecar's bytes and its stamp, the same that it had as a loose file."""
        entry = self._packs.entry(name)
        if entry is None:
            return None
        stamp = _stamp(entry.size, entry.modified)
        try:
            data = self._packs.read(name)
        except DamagedPack as error:
            return broken(operation_id, "unparsable", DamagedOperation(operation_id=operation_id, reason=str(error))), stamp
        return None if data is None else (data, stamp)

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

    @staticmethod
    def _unopened(operation_id: str, error: OSError) -> Broken:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return broken(operation_id, "unsafe", _UNSAFE)
        if is_passing(error):
            raise StorageError(reason=os.strerror(error.errno or 0)) from error
        reason = said("its file cannot be read: {reason}", reason=os.strerror(error.errno or 0))
        return broken(operation_id, "unparsable", DamagedOperation(operation_id=operation_id, reason=reason))


def unreadable(error: DamagedOperation) -> Broken:
    """Return the problem of a sidecar that cannot be read."""
    return broken(error.details["operation_id"], error.details["problem"], error)


def _stamp(size: int, modified: int) -> int:
    """Return a number for size and time (nanoseconds) of a file: four bytes an operation."""
    if -SETTLED < time.time() - modified / 1e9 < SETTLED:
        return UNSETTLED
    return (zlib.crc32(b"%d:%d" % (size, modified)) & 0x7FFFFFFF) or 1
