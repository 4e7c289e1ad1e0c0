"""Stacks: operations that belong together, shown by the newest that a search finds; exact over all pages.

Together are the variants of a batch, operations with the same prompt, or with the same inputs (by their hashes). An operation
that belongs to nothing is a stack of one. Only newest first: in another order the first of a stack would be no one's choice.
"""

from __future__ import annotations

from opstore.errors import InvalidRequest, said
from opstore.index.compile import Plan
from opstore.index.entry import Entry
from opstore.index.keywords import batch_word, inputs_word
from opstore.index.pages import Pages, Place
from opstore.index.row_lookup import batch_of, find
from opstore.index.sqlite import Connection

#: What can be stacked by, and in which column it stands.
STACKS = {"batch": "batch", "prompt": "prompt", "inputs": "source"}
#: Rows that one page looks at: a page of a library of nothing but twins is short rather than slow.
LOOK = 5_000
_STEP = 200


class Stacks:
    """The stacks of a search, from one connection."""

    def __init__(self, connection: Connection, plan: Plan, by: str) -> None:
        """Stack what `plan` finds by one of STACKS."""
        if by not in STACKS:
            raise InvalidRequest(
                reason=said("there is no stack {name}; there are {names}", name=ascii(by)[:40], names=tuple(STACKS))
            )
        self._db = connection
        self._plan = plan
        self._pages = Pages(connection, plan, "newest")
        self._column = STACKS[by]

    def page(self, after: Place | None, size: int) -> tuple[list[tuple[Entry, int]], Place | None]:
        """Return up to `size` stacks, each its newest entry and how many it holds, and where to go on, None at the end."""
        stacks: list[tuple[Entry, int]] = []
        seen: set[object] = set()
        place = after
        for _ in range(LOOK // _STEP):
            rows = self._pages.page(place, _STEP)
            for entry, row_place in rows:
                if len(stacks) == size:
                    return stacks, place
                place = row_place
                at = find(self._db, entry.id)
                alone = at is None or (self._column == "prompt" and not entry.prompt.strip())
                key = None if alone else self._key(at)
                if at is not None and key is not None:
                    if key in seen or self._newest(key, at) != at:
                        continue
                    seen.add(key)
                stacks.append((entry, 1 if key is None else self._size(key)))
            if len(rows) < _STEP:
                return stacks, None
        return stacks, place

    def _key(self, at: int | None) -> object:
        row = self._db.execute(f"SELECT {self._column} FROM op WHERE at = ?", (at,)).fetchone()
        return row[0] if row else None

    def _size(self, key: object) -> int:
        rows, values = self._together(key)
        return int(self._db.execute(f"SELECT count(*) {rows}", values).fetchone()[0])

    def _newest(self, key: object, at: int) -> int:
        """Return the number of the newest row of the stack that the search finds; `at` is one that it does."""
        rows, values = self._together(key)
        newer = self._db.execute(f"SELECT number {rows} AND number > ? ORDER BY number DESC LIMIT {LOOK}", (*values, at))
        for (number,) in newer.fetchall():
            if Pages(self._db, self._plan.narrowed(low=number, high=number + 1), "newest").page(None, 1):
                return int(number)
        return at

    def _together(self, key: object) -> tuple[str, tuple[object, ...]]:
        """Return the FROM and WHERE of a stack's rows; batch and inputs are words of the full-text table and need no index."""
        if self._column != "prompt":
            word = inputs_word(int(str(key))) if self._column == "source" else batch_word(str(batch_of(key)))
            return "FROM (SELECT rowid AS number FROM body WHERE body MATCH ?) WHERE 1", (f'"{word}"',)
        return f"FROM (SELECT at AS number FROM op WHERE {self._column} = ?) WHERE 1", (key,)
