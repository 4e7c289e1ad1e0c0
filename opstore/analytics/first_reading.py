"""The index's first reading of many sidecars, which is the frame's as well: none is read twice.

`python -m opstore.analytics.first_reading FOLDER` is `opstore.index.parallel`, and leaves what the frame holds of each sidecar
beside the snapshot, as parts: snapshots of some rows, with the stamps of their files. They are never trusted further than a
snapshot is: what has another stamp by now is read again, and so is all that no part has, or whose part is damaged or has gone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from opstore.analytics import snapshot
from opstore.analytics.frame_row import Row, row_of
from opstore.analytics.reading import table_of
from opstore.analytics.snapshot import Snapshot
from opstore.errors import StorageError
from opstore.index import parallel
from opstore.index.entry import Entry
from opstore.storage.files import Folder

FOLDER = "frame-parts"
#: Rows of a part, and those that are made a table at a time: while they are few, memory is used again and again.
ROWS, FEW = 20_000, 500
#: Where the disk has less room than this it is the index's; the frame reads by itself.
ROOM = 1_000_000_000


class Parts:
    """What becomes of the rows of one process; whatever fails, no more parts are written."""

    def __init__(self, cache: Path) -> None:
        """Write beside the snapshot in `cache`, unless there is one: then it has most of what is read."""
        self._folder = cache / FOLDER
        self._rows: list[tuple[Row, int]] = []
        self._tables: list[pa.Table] = []
        self._born = 0
        self._names = (f"{secrets.token_hex(4)}-{number}.arrow" for number in itertools.count())
        self._is_wanted = not snapshot.is_there(cache / snapshot.NAME)

    def take(self, sidecar: Mapping[str, Any], entry: Entry, stamp: int) -> None:
        """Make a row of a sidecar."""
        if self._is_wanted:
            self._rows.append((row_of(sidecar, entry.id, entry), stamp))

    def turn(self, born: int) -> None:
        """Write a part if there are rows for one; of another file of the index than before, what is left of that goes first."""
        if born != self._born and self._is_wanted:
            self._born = born
            with contextlib.suppress(OSError):
                _clear(self._folder, born)
        self._write(FEW, ROWS)

    def finish(self) -> None:
        """Write the rows that are left."""
        self._write(1, 1)

    def _write(self, few: int, many: int) -> None:
        """Make the rows a table if they are not fewer than `few`, and a part of the tables if these have `many`."""
        try:
            if len(self._rows) >= few:
                rows, self._rows = self._rows, []
                self._tables.append(table_of(rows))
            if sum(table.num_rows for table in self._tables) >= many:
                tables, self._tables = self._tables, []
                self._keep(Snapshot.empty().changed(pa.concat_tables(tables), (), {}, ""))
        except (OSError, StorageError, pa.ArrowException):
            self._is_wanted = False
            self._rows, self._tables = [], []

    def _keep(self, part: Snapshot) -> None:
        Folder(self._folder, private=True).make()
        if shutil.disk_usage(self._folder).free < ROOM:
            raise OSError("too little room")
        snapshot.save(self._folder / f"{self._born}-{next(self._names)}", part, compression="lz4")


def _clear(folder: Path, born: int) -> None:
    """Remove what was read for other files of the index: nobody has asked for it."""
    for name in os.listdir(folder):
        if not name.lstrip(".").startswith(f"{born}-"):
            (folder / name).unlink(missing_ok=True)


def load(cache: Path) -> tuple[list[Snapshot], list[Path]]:
    """Return the parts that can be used, what was read last first, and the files of all."""
    paths: list[Path] = []
    with contextlib.suppress(OSError):
        paths = [path for path in (cache / FOLDER).iterdir() if not path.name.startswith(".")]
    whole = ((path, snapshot.load(path)) for path in sorted(paths, key=_written, reverse=True))
    return [part for _, part in whole if part], paths


def _written(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def remove(paths: list[Path]) -> None:
    """Remove parts whose rows the snapshot has now, and their folder with the last of them."""
    for path in paths:
        path.unlink(missing_ok=True)
    if paths:
        with contextlib.suppress(OSError):  # others have come meanwhile
            paths[0].parent.rmdir()


if __name__ == "__main__":
    with contextlib.suppress(StorageError, BrokenPipeError, KeyboardInterrupt):
        parallel.main(sys.argv[1], Parts(Path(sys.argv[1]).parent / "cache"))
