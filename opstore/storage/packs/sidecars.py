"""The sidecars of a folder of operations, read one after another while the folder is held open: the loose one, else the packed.

Whoever reads many waits for the disk alone: opening the folder for each would take as long as the file itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from opstore.errors import DamagedPack, OpstoreError, StorageError, UnsafeFile, said
from opstore.storage import disk
from opstore.storage.files import is_passing, storage_errors
from opstore.storage.names import is_operation_id

if TYPE_CHECKING:
    from opstore.storage.packs.library import Packs

#: Of a file: its bytes, and when they were last written (nanoseconds since 1970).
SizeTime = tuple[int, int]


class Sidecars:
    """The sidecars of one folder, inside a `with`; several threads may ask."""

    def __init__(self, path: Path, packs: Packs) -> None:
        """Read from the folder at `path`, and from `packs`, which are closed with it."""
        self._path = path
        self._folder = -1
        self._packs = packs

    def __enter__(self) -> Self:
        """Open the folder; raise StorageError if there is none."""
        with storage_errors():
            self._folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the folder."""
        os.close(self._folder)
        self._packs.close()

    def ids(self) -> Iterator[str]:
        """Yield the ids that have a loose sidecar. One at a time: a list of 2.6 million names takes 230 MB."""
        with os.scandir(self._path) as entries:
            for entry in entries:
                name = entry.name
                if name.endswith(".json") and is_operation_id(name := name[:-5]):
                    yield name

    def packed(self) -> Iterator[tuple[str, SizeTime]]:
        """Yield the id of every packed operation that is not loose as well, and what is known of its sidecar."""
        for pack in self._packs.readable():
            with contextlib.suppress(DamagedPack):
                for operation_id, size, modified in pack.sidecars():
                    if not self._is_loose(f"{operation_id}.json"):
                        yield operation_id, (size, modified)

    def stat(self, operation_id: str) -> SizeTime | None:
        """Return what is known of a sidecar without reading it, None if there is none."""
        name = f"{operation_id}.json"
        try:
            known = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            entry = self._packs.entry(name)
            return None if entry is None else (entry.size, entry.modified)
        return known.st_size, known.st_mtime_ns

    def read(self, operation_id: str, limit: int) -> tuple[bytes | OpstoreError, SizeTime | None] | None:
        """Return a sidecar's bytes, or why they cannot be read, and what is known of it; None if there is none.

        More than `limit` bytes are not read to their end. Raise StorageError only for what passes (too many open files, no
        memory): it says nothing of the file.
        """
        name = f"{operation_id}.json"
        try:
            file = os.open(name, disk.READ, dir_fd=self._folder)
        except FileNotFoundError:
            # Packed; or, where it is not, it came back between the two looks.
            return self._read_packed(name) or (self.read(operation_id, limit) if self._is_loose(name) else None)
        except OSError as error:
            return _unopened(name, error), self.stat(operation_id)
        try:
            before = os.fstat(file)
            if not stat.S_ISREG(before.st_mode):
                return UnsafeFile(name=name), (before.st_size, before.st_mtime_ns)
            # One read and one byte more than there is, as a rule: that it brings less shows that the end was reached.
            wanted = min(before.st_size, limit) + 1
            data = os.read(file, wanted)
            while wanted <= len(data) <= limit and (more := os.read(file, limit)):
                data += more
        except OSError as error:
            return _unopened(name, error), None
        finally:
            os.close(file)
        return data, (before.st_size, before.st_mtime_ns)

    def _is_loose(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _read_packed(self, name: str) -> tuple[bytes | OpstoreError, SizeTime] | None:
        """Return a packed sidecar's bytes, or what is wrong with its pack, and size and time that it had as a loose file."""
        entry = self._packs.entry(name)
        if entry is None:
            return None
        known = entry.size, entry.modified
        try:
            data = self._packs.read(name)
        except DamagedPack as error:
            return error, known
        return None if data is None else (data, known)


def _unopened(name: str, error: OSError) -> OpstoreError:
    if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
        return UnsafeFile(name=name)
    if is_passing(error):
        raise StorageError(reason=os.strerror(error.errno or 0)) from error
    return StorageError(reason=said("its file cannot be read: {reason}", reason=os.strerror(error.errno or 0)))
