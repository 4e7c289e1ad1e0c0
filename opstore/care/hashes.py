"""The hashes of files that have not changed since they were last read, so that a backup need not read them again; a cache.

A file is known by inode, size, and the times of its last change of content and of inode: no program can set back the latter.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from opstore.storage.files import storage_errors

#: A change within this time of a look may leave the times as they are (disks count in steps of up to two seconds).
_SETTLED = 3.0


class Hashes:
    """What is remembered in one file of the cache; a damaged one is begun anew."""

    def __init__(self, path: Path) -> None:
        """Remember in the file at `path`."""
        with storage_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = _opened(path)
        except sqlite3.Error:
            with contextlib.suppress(OSError):
                path.unlink()
            try:
                self._database = _opened(path)
            except sqlite3.Error:  # a disk too full for a cache must not stop a backup to another one
                self._database = _opened(":memory:")

    def get(self, name: str, stamp: str) -> str | None:
        """Return the SHA-256 of the file that has this stamp, None where it is not known."""
        try:
            row = self._database.execute("SELECT sha256 FROM hash WHERE name = ? AND stamp = ?", (name, stamp)).fetchone()
        except sqlite3.Error:
            return None
        return str(row[0]) if row else None

    def put(self, name: str, stamp: str, sha256: str) -> None:
        """Remember a hash, unless the file changed so lately that it could change again unseen."""
        if int(stamp.rsplit(":", 1)[1]) / 1e9 < time.time() - _SETTLED:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("INSERT OR REPLACE INTO hash VALUES (?, ?, ?)", (name, stamp, sha256))

    def close(self) -> None:
        """Keep what was remembered."""
        with contextlib.suppress(sqlite3.Error):
            self._database.commit()
        self._database.close()


def _opened(path: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=10, check_same_thread=False)
    try:
        database.execute("CREATE TABLE IF NOT EXISTS hash (name TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT) WITHOUT ROWID")
        database.execute("SELECT name, stamp, sha256 FROM hash LIMIT 1").fetchone()
    except sqlite3.Error:
        database.close()
        raise
    return database
