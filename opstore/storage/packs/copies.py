"""Copies of packed files for those who ask for a part of one again and again, as players do; in the cache, and few.

`cache/unpacked/{hash}/{name}`: a copy is of one content and never another's. The least lately used go first.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from opstore.storage.files import storage_errors
from opstore.storage.stored_file import Reader, opened

if TYPE_CHECKING:
    from opstore.storage.packs.pack import Entry

#: Bytes that are kept, and seconds for which a copy that was just asked for stays whatever else comes.
MAX_BYTES, _IN_USE = 512 * 1024 * 1024, 60.0


class Copies:
    """The copies in one folder."""

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`, which need not exist."""
        self._folder = folder

    def opened(self, entry: Entry, read: Callable[[], bytes]) -> Reader:
        """Open the copy of a file, made now from `read` if need be."""
        path = self._folder / entry.sha256.hex()[:32] / entry.name
        with contextlib.suppress(OSError):
            known = path.lstat()
            if stat.S_ISREG(known.st_mode) and (known.st_size, known.st_mtime_ns) == (entry.size, entry.modified):
                os.utime(path.parent)
                return opened(path)
        data = read()
        with storage_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            temp = path.with_name(f".{secrets.token_hex(8)}.tmp")
            try:
                with temp.open("xb") as file:
                    file.write(data)
                    file.flush()  # before its time is set, or what was still to be written gives it another
                    os.utime(file.fileno(), ns=(entry.modified, entry.modified))
                    os.fsync(file.fileno())  # or a power cut leaves a file of the right size without its bytes
                copy = opened(temp)
                os.replace(temp, path)
            except BaseException:
                temp.unlink(missing_ok=True)
                raise
        self._trim()
        return copy

    def forget(self, operation_id: str) -> None:
        """Remove the copies of an operation's files."""
        for path in self._folder.glob(f"*/{operation_id}_*"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _trim(self) -> None:
        with contextlib.suppress(OSError):
            copies = []
            for entry in os.scandir(self._folder):
                size = sum(file.stat(follow_symlinks=False).st_size for file in os.scandir(entry.path))
                copies.append((entry.stat().st_mtime, size, entry.path))
            kept = sum(size for _, size, _ in copies)
            for used, size, path in sorted(copies):
                if kept <= MAX_BYTES or used > time.time() - _IN_USE:
                    return
                shutil.rmtree(path, ignore_errors=True)
                kept -= size
