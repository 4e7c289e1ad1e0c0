"""A stored file as it is read: what is known of it without reading, and its bytes, whole or a part of them, wherever they lie."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import NamedTuple

#: Bytes read at a time where a file is handed on in pieces.
PART = 256 * 1024


class Stat(NamedTuple):
    """What is known of a file; times are nanoseconds since 1970."""

    size: int
    #: When its bytes were last written.
    modified: int
    #: Since when it is as it is, and where it is.
    since: int
    #: Another text after every change, empty for what is no plain file.
    etag: str
    #: The bytes that it takes of the disk.
    taken: int


def stat_of(state: os.stat_result) -> Stat:
    """Return what the system says of a file."""
    is_plain = stat.S_ISREG(state.st_mode)
    etag = f"{state.st_ino}:{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}" if is_plain else ""
    return Stat(state.st_size, state.st_mtime_ns, state.st_ctime_ns, etag, state.st_blocks * 512)


class Reader(io.BufferedReader):
    """An open file, for one reader at a time; whoever opened it closes it."""

    def __init__(self, raw: io.RawIOBase, stat: Stat) -> None:
        """Read from `raw`, of which `stat` is known."""
        super().__init__(raw)
        self.stat = stat

    def range(self, start: int, count: int) -> bytes:
        """Return `count` bytes from `start` on, fewer where the file ends."""
        self.seek(start)
        return self.read(count)


def opened(path: Path) -> Reader:
    """Open a copy in a cache as if it were a stored file; raise OSError."""
    file = io.FileIO(path)
    try:
        return Reader(file, stat_of(os.fstat(file.fileno())))
    except BaseException:
        file.close()
        raise
