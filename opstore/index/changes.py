"""What has changed since somebody last looked: a short log of ids, so that who derives from the index extends, not rebuilds.

The log holds the newest changes only. Who comes later than its oldest entry, or after a change of very many operations at once
(a first build), or to another file, is told to compare everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opstore.index import order
from opstore.index.sqlite import Connection

#: Entries kept: 35 bytes each, so a million operations pay one byte each for it.
KEPT = 30_000
#: More changes in one transaction are not listed but noted as "everything".
LISTED = 1_000
_EVERYTHING = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """Which operations were added, changed, moved or removed up to `cursor`; `ids` None: nobody knows, compare everything."""

    cursor: str
    ids: tuple[str, ...] | None


def note(connection: Connection, ids: Sequence[str], more: bool = False) -> None:
    """Add operations to the log, inside the transaction that changes them; `more` says that very many others changed, too."""
    if not ids and not more:
        return
    # The newest number goes on where the log was emptied: a cursor is never met twice.
    newest = connection.execute("SELECT coalesce(max(n), 0) FROM change").fetchone()[0]
    if more or len(ids) > LISTED:
        connection.execute("DELETE FROM change")
        connection.execute("INSERT INTO change VALUES (?, ?)", (newest + 1, _EVERYTHING))
        return
    connection.executemany("INSERT INTO change VALUES (?, ?)", enumerate(ids, newest + 1))
    connection.execute("DELETE FROM change WHERE n <= ?", (newest + len(ids) - KEPT,))


def since(connection: Connection, cursor: str | None) -> Changes:
    """Return what has changed since `cursor` (as an earlier answer had it)."""
    born = connection.execute("SELECT value FROM state WHERE key = 'born'").fetchone()[0]
    oldest, newest = connection.execute("SELECT coalesce(min(n), 0), coalesce(max(n), 0) FROM change").fetchone()
    here = f"{born}-{newest}"
    file, _, number = (cursor or "").partition("-")
    if file != str(born) or not number.isdecimal() or not oldest - 1 <= int(number) <= newest:
        return Changes(here, None)
    rows = connection.execute("SELECT id FROM change WHERE n > ? AND n <= ? ORDER BY n", (int(number), newest))
    ids = tuple(dict.fromkeys(name for (name,) in rows))
    return Changes(here, None if _EVERYTHING in ids else ids)


def listing(connection: Connection) -> Iterator[tuple[str, int, int]]:
    """Yield every row's id, number and stamp, newest first."""
    for at, key, stamp in connection.execute("SELECT at, key, stamp FROM op ORDER BY at DESC"):
        yield order.id_of(at, key), at, stamp
