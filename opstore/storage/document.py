"""A small file that is asked for at every act: one look at its name, and read again wherever it may have changed.

Whoever changes it says what it was: of two who do so at one moment the second is told, and begins anew on top of the first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from opstore import clocks
from opstore.errors import FileMissing
from opstore.storage.files import Folder, digest, storage_errors

#: A second change within the same tick of a file system's clock leaves the stamp as it was; the coarsest ticks take two seconds.
SETTLED_SECONDS = 3.0
_Stamp = tuple[int, ...]


class Document:
    """The bytes of one file; known ones are given where its stamp is still the one with which they were read, long after it."""

    def __init__(
        self, folder: Folder, name: str, limit: int, *, key: str = "", private: bool = False, links: bool = False
    ) -> None:
        """Speak of the file `name` of `folder`, of which at most `limit` + 1 bytes are read; with `links` of where one leads to.

        It is written under the lock `key`; a `private` one can be read by this program's user only.
        """
        self._folder = folder
        self._name = name
        self._limit = limit
        self._key = key or name
        self._private = private
        self._links = links
        self._path = os.path.join(folder.path, name)
        #: The stamp, when it was first seen by the steady clock, whether it was read long after that, and what was read.
        self._known: tuple[_Stamp, float, bool, bytes] = ((), 0.0, False, b"")

    @classmethod
    def at(cls, path: Path, limit: int) -> Self:
        """Speak of a file that somebody has named on this machine, or of where a link there leads to."""
        return cls(Folder(path.parent), path.name, limit, links=True)

    def read(self) -> bytes:
        """Return what is in the file now, the same object while that does not change; raise as `Folder.read` does."""
        stamp = self._stamp()
        known, seen, settled, data = self._known
        if settled and stamp == known:
            return data
        now = clocks.steady()
        seen = seen if stamp == known else now
        fresh = self._fresh()
        data = data if fresh == data else fresh
        self._known = (stamp, seen, now - seen >= SETTLED_SECONDS, data)
        return data

    def find(self) -> bytes | None:
        """Return what is in the file now, None if there is none; else as `read` does."""
        try:
            return self.read()
        except FileMissing:
            return None

    def write(self, data: bytes, before: bytes | None) -> None:
        """Put `data` durably in the place of `before`, None where there was no file.

        Raise OperationExists, OperationBusy or FileMissing where that is no longer so: somebody else changed it.
        """
        if before is None:
            self._folder.make()
            self._folder.create(self._key, [{self._name: data}], private=self._private)
        else:
            self._folder.replace(self._key, self._name, data, digest(before), private=self._private)

    def overwrite(self, data: bytes) -> None:
        """Put `data` durably in the place of whatever is there."""
        self._folder.replace(self._key, self._name, data, None, private=self._private)

    def keep(self, new_name: str) -> None:
        """Keep what is there, which is damaged, beside it under a name that nobody has yet."""
        self._folder.keep(self._name, new_name)

    def _fresh(self) -> bytes:
        if not self._links:
            return self._folder.read(self._name, self._limit)
        target = Path(os.path.realpath(self._path))
        return Folder(target.parent).read(target.name, self._limit)

    def _stamp(self) -> _Stamp:
        try:
            state = os.stat(self._path, follow_symlinks=self._links)
        except (FileNotFoundError, NotADirectoryError):
            raise FileMissing(name=self._name) from None
        except OSError:
            with storage_errors():
                raise
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
