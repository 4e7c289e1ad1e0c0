"""In what a folder and its index differ, by the names of files alone or by their stamps too; looking changes neither.

`python -m opstore.index.folder_diff DATA INDEX names|stamps` looks in a process of its own, which gives way to all others: a
pass over a million stamps computes for 17 s, and within the app it would hold the interpreter's lock against everybody who asks.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from opstore.errors import OpstoreError, StorageError
from opstore.index import order
from opstore.index.known_ids import Known
from opstore.index.observed import UNSETTLED
from opstore.index.reader import Reader
from opstore.index.sqlite import Damaged, Database
from opstore.storage.packs import Library

#: How much a process gives way: names that have changed are waited for, a file that was rewritten in place by hand is not.
_NICE = {False: 5, True: 19}
#: Names between two pauses of a thousandth of a second: 15 ms.
_BREATH = 5_000
#: Seconds between two looks whether the app stops meanwhile.
_LOOK = 0.2


class Difference(msgspec.Struct, array_like=True):
    """Ids of files that the index does not know, of files with another stamp than it knows, and of rows whose file has gone."""

    fresh: list[str]
    changed: list[str]
    gone: list[str]


def difference(
    database: Database, operations: Library, *, stamps: bool, breathe: Callable[[], None] = lambda: None
) -> Difference:
    """Look at the folder of operations now, without `stamps` at names and at what was not settled when it was read.

    `breathe` is called all 15 ms, and may end the look by what it raises. Raise StorageError for what passes, Damaged for the
    index's file.
    """
    known = _known(database)
    fresh: list[str] = []
    changed: list[str] = []
    try:
        with Reader(operations) as reader:
            loose = ((operation_id, None) for operation_id in reader.ids())
            for count, (operation_id, packed) in enumerate(itertools.chain(loose, reader.packed())):
                stamp = known.take(operation_id)
                if stamp is None:
                    fresh.append(operation_id)
                elif stamp == UNSETTLED or (stamps and (packed or reader.stamp(operation_id)) != stamp):
                    changed.append(operation_id)
                if count % _BREATH == _BREATH - 1:
                    breathe()
    except StorageError:
        if operations.exists():
            raise
    # What is left was not seen in the folder: it is gone.
    return Difference(fresh, changed, list(known.left()))


def difference_beside(database: Database, operations: Library, *, stamps: bool, breathe: Callable[[], None]) -> Difference:
    """Look as `difference` does, in a process of its own; in this one if none can be started or it dies."""
    found = _asked(database.path, operations, stamps, breathe)
    return found or difference(database, operations, stamps=stamps, breathe=breathe)


def _asked(index: Path, operations: Library, stamps: bool, breathe: Callable[[], None]) -> Difference | None:
    """Return what a process has found, None if it has failed."""
    ways = "stamps" if stamps else "names"
    command = [sys.executable, "-m", "opstore.index.folder_diff", operations.address, str(index.resolve()), ways]
    root = Path(__file__).resolve().parents[2]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=root)
    except OSError:
        return None
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                answer = process.communicate(timeout=_LOOK)[0]
                return msgspec.msgpack.decode(answer, type=Difference) if process.returncode == 0 else None
            breathe()
    except (OSError, msgspec.MsgspecError):
        return None
    finally:
        process.kill()
        process.communicate()


def _known(database: Database) -> Known:
    """Return the ids in the index with their stamps."""
    with database.reading() as connection:
        rows = connection.execute("SELECT at, key, stamp FROM op ORDER BY at")
        problems = connection.execute("SELECT id, stamp FROM problem")
        return Known(itertools.chain(((order.id_of(at, key), stamp) for at, key, stamp in rows), problems))


def main(address: str, index: str, ways: str) -> None:
    """Write the difference to the standard output."""
    stamps = ways == "stamps"
    os.nice(_NICE[stamps])
    database = Database(Path(index))
    try:
        sys.stdout.buffer.write(msgspec.msgpack.encode(difference(database, Library(Path(address)), stamps=stamps)))
    finally:
        database.close()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OpstoreError, OSError, Damaged):
        sys.exit(1)  # the app looks by itself, and meets it again
