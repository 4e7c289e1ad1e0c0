"""What very many new rows leave for later, when it costs a tenth: indexes of columns, keys of contents in their order, the
full-text engine's lists in one piece. Each step is a transaction of its own, so that who saves meanwhile does not wait for all.

Rows that go in one batch after the other touch every page of such an index with every batch.
"""

from __future__ import annotations

from collections.abc import Sequence

from opstore.index import content_key_blocks
from opstore.index.sqlite import COLUMN_INDEXES, Connection

#: Lists of the full-text engine in one level before it merges them by itself: its own choice, and while very many rows come.
_MERGE, _LATER, _MERGING = (4, 16), (0, 1_999), (5, 1_999)
#: Pages of 4 kB that are merged in one step: some 20 ms.
_PAGES = 500
#: Free pages that are left: less is not worth a step.
_SPARE = 100


def begun(connection: Connection) -> bool:
    """Put off what `settled` makes up for; it is all one step."""
    _configure(connection, _LATER)
    return True


def settled(connection: Connection) -> bool:
    """Do one step of what was put off; say whether nothing is left to do."""
    if not _is_merged(connection):
        return False
    # The pages that merging has left free are used for what follows: 27 bytes an operation.
    if not content_key_blocks.settled(connection):
        return False
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    for name, sql in COLUMN_INDEXES.items():
        if name not in there:
            connection.execute(sql)
            return False
    # What is free all the same is given back, but for what the next saves need.
    if connection.execute("PRAGMA freelist_count").fetchone()[0] > _SPARE:
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        return False
    return True


def _is_merged(connection: Connection) -> bool:
    setting = connection.execute("SELECT v FROM body_config WHERE k = 'automerge'").fetchone()
    if setting is None or setting[0] == _MERGE[0]:
        return True
    # The first step, of a negative number, puts all lists on one level, the following ones go on with it.
    pages = -_PAGES if setting[0] == _LATER[0] else _PAGES
    if pages < 0:
        _configure(connection, _MERGING)
    before = connection.total_changes
    connection.execute("INSERT INTO body (body, rank) VALUES ('merge', ?)", (pages,))
    if connection.total_changes - before < 2:  # the engine's own sign that nothing is left to merge
        _configure(connection, _MERGE)
        return True
    return False


def _configure(connection: Connection, values: Sequence[int]) -> None:
    for name, value in zip(("automerge", "crisismerge"), values, strict=True):
        connection.execute("INSERT INTO body (body, rank) VALUES (?, ?)", (name, value))
