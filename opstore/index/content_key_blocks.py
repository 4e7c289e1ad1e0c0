"""The table of contents' keys (`same_bytes`): those of a few operations go in at once, those of very many wait in blocks until
all are there, and go in in their order: every key is in a block or in the table, and is found in both.

Keys are as good as random. In their order they fill the pages of the table: 14.5 bytes a key, and half a microsecond.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Sequence

#: Keys that go into the table in one step: 40 ms.
_STEP = 100_000


def put(connection: sqlite3.Connection, keys: Sequence[int]) -> None:
    """Put keys into the table."""
    connection.executemany("INSERT OR IGNORE INTO content VALUES (?)", [(key,) for key in sorted(keys)])


def put_off(connection: sqlite3.Connection, keys: Sequence[int]) -> None:
    """Lay keys aside as a block."""
    if keys:
        connection.execute("INSERT INTO block (is_sorted, keys) VALUES (0, ?)", (array("q", keys).tobytes(),))


def between(connection: sqlite3.Connection, first: int, last: int, limit: int) -> list[int]:
    """Return up to `limit` keys from `first` to `last`, in the table and in blocks."""
    keys = [
        key for (key,) in connection.execute("SELECT key FROM content WHERE key BETWEEN ? AND ? LIMIT ?", (first, last, limit))
    ]
    for (data,) in connection.execute("SELECT keys FROM block"):
        keys += [key for key in _keys(data) if first <= key <= last]
    return keys[:limit]


def settled(connection: sqlite3.Connection) -> bool:
    """Do one step of moving the blocks into the table; say whether there were none."""
    if connection.execute("SELECT 1 FROM block WHERE NOT is_sorted LIMIT 1").fetchone():
        _sort(connection)
        return False
    block = connection.execute("SELECT n, keys FROM block ORDER BY n LIMIT 1").fetchone()
    if block is None:
        return True
    keys = json.dumps(_keys(block[1]).tolist())
    connection.execute("INSERT OR IGNORE INTO content SELECT value FROM json_each(?)", (keys,))
    connection.execute("DELETE FROM block WHERE n = ?", (block[0],))
    return False


def _sort(connection: sqlite3.Connection) -> None:
    """Make blocks that follow each other of all blocks."""
    import numpy  # here: who only searches does without it

    blocks = [numpy.frombuffer(_keys(data), dtype=numpy.int64) for (data,) in connection.execute("SELECT keys FROM block")]
    keys = numpy.sort(numpy.concatenate(blocks))
    connection.execute("DELETE FROM block")
    connection.executemany(
        "INSERT INTO block (is_sorted, keys) VALUES (1, ?)",
        ((keys[start : start + _STEP].tobytes(),) for start in range(0, len(keys), _STEP)),
    )


def _keys(data: bytes) -> array[int]:
    keys = array("q")
    try:
        keys.frombytes(data)
    except (TypeError, ValueError) as error:
        raise sqlite3.DatabaseError("a block makes no sense") from error
    return keys
