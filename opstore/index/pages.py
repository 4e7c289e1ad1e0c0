"""Runs a plan in an order, a page at a time. A page begins behind the row that the cursor names, so that rows that come or
go meanwhile neither repeat nor hide another.

An order is a sequence of pieces, each a walk that ends when the page is full: ratings from 5 to none, costs from the highest
coarse size down, relevance from "begins with these words" to "has all of them". No order sorts more than one piece, and closeness
is looked for among the newest only (`LOOK`): reading positions takes a microsecond a prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from opstore.errors import InvalidRequest, said
from opstore.index.compile import Check, Plan
from opstore.index.entry import Entry
from opstore.index.keywords import name_word, span
from opstore.index.row_lookup import COLUMNS, boundary, entry_of_row, find
from opstore.index.sqlite import Connection
from opstore.storage.names import is_operation_id

ORDERS = ("newest", "oldest", "rating", "cost", "elapsed", "relevance")
#: A total is exact up to here.
EXACT = 10_000
#: What a search finds is sorted as a whole up to here: 3 µs each where the rows lie far apart.
SORTED_WHOLE = 3_000
#: Of a coarse size of more rows, a value that many have is walked by itself, newest first: prices are few. So many are asked.
MANY = 20_000
_SAMPLE = 200
#: In the order of relevance the newest of these are told apart; older ones follow by their time.
LOOK = 5_000
_LAST = 10**16
_SELECT = ", ".join(f"op.{name}" for name in COLUMNS) + ", prompt.text"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in an order: its piece, its value in it, its id."""

    tier: int
    value: int
    id: str

    def __str__(self) -> str:
        """Write it as a cursor."""
        return f"{self.tier}~{self.value}~{self.id}"

    @classmethod
    def read(cls, cursor: str) -> Place:
        """Read a cursor; raise InvalidRequest for one that is none."""
        parts = cursor.split("~")
        try:
            tier, value, operation_id = int(parts[0][:9]), int(parts[1][:18]), parts[2]
        except (ValueError, IndexError):
            operation_id = ""
        if len(parts) != 3 or not is_operation_id(operation_id):
            raise InvalidRequest(reason=said("this is not a place in the list; begin again at its top"))
        return cls(tier, value, operation_id)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One walk: a plan, by which column its rows are sorted, and which way; that column has values from `low` to `high`."""

    tier: int
    plan: Plan
    column: str | None = None
    ascending: bool = False
    low: int = -_LAST
    high: int = _LAST


class Pages:
    """The rows that a plan finds, in an order, from one connection."""

    def __init__(self, connection: Connection, plan: Plan, order: str) -> None:
        """Run `plan` in `order`, one of ORDERS."""
        if order not in ORDERS:
            raise InvalidRequest(
                reason=said("there is no order {order}; there are {names}", order=ascii(order)[:40], names=ORDERS)
            )
        self._db = connection
        self._plan = plan
        self._order = order
        self._edge: int | None = None
        connection.learn()

    def page(self, after: Place | None, size: int, backwards: bool = False) -> list[tuple[Entry, Place]]:
        """Return up to `size` rows behind a place, or before it with `backwards`, the nearest first."""
        rows: list[tuple[Entry, Place]] = []
        if self._plan.nothing:
            return rows
        for piece in self._pieces(after, backwards):
            rows += self._walk(piece, size - len(rows))
            if len(rows) >= size:
                break
        return rows

    def place(self, operation_id: str) -> Place | None:
        """Return where an operation stands in this order, None where it is not among what is found."""
        at = find(self._db, operation_id)
        if at is None or self._plan.nothing:
            return None
        for piece in self._all_pieces(backwards=False):
            rows = list(self._walk(replace(piece, plan=piece.plan.narrowed(low=at, high=at + 1)), 1))
            if rows:
                return rows[0][1]
        return None

    def count(self, limit: int = EXACT) -> int:
        """Return how many there are, at most `limit` + 1."""
        plan = self._plan
        if plan == Plan():  # each row has one status, and the names are counted: 170 pages less to read from a cold disk
            counted = self._db.execute("SELECT total(n) FROM word WHERE field = 'status'").fetchone()[0]
            return min(int(counted), limit + 1)
        total = self._count(plan, limit)
        if plan.doubtful is None or total > limit:
            return total
        if plan.merged is not None and self._count(replace(plan.doubtful, checks=()), 2 * EXACT) > 2 * EXACT:
            return Pages(self._db, plan.merged, "newest").count(limit)
        return total + self._count(plan.doubtful, limit - total)

    def _count(self, plan: Plan, limit: int) -> int:
        if plan.nothing or plan.low >= plan.high:
            return 0
        source, values = _source(plan, "at")
        return int(self._db.execute(f"SELECT count(*) FROM (SELECT 1 {source} LIMIT ?)", (*values, limit + 1)).fetchone()[0])

    def numbers(self) -> str:
        """Return the numbers of all rows that are found, with commas between, in any order: for who holds the rows already.

        As one text made by the engine, which takes a third of the time of as many rows.
        """
        plan = self._plan.merged or self._plan
        return ",".join(filter(None, map(self._numbers, filter(None, (plan, plan.doubtful)))))

    def _numbers(self, plan: Plan) -> str | None:
        if plan.nothing or plan.low >= plan.high:
            return None
        source, values = _source(plan, "at")
        number = "op.at" if plan.match is None else "body.rowid"
        found: str | None = self._db.execute(f"SELECT group_concat({number}) {source}", values).fetchone()[0]
        return found

    def changes(self) -> tuple[int, ...]:
        """Return numbers that are others as soon as the index holds something else."""
        rows = self._db.execute("SELECT value FROM state WHERE key IN ('born', 'changes') ORDER BY key").fetchall()
        return tuple(value for (value,) in rows)

    # -- pieces ----------------------------------------------------------------------------------------------------------

    def _all_pieces(self, backwards: bool) -> Iterator[_Piece]:
        pieces = list(self._forwards())
        for piece in reversed(pieces) if backwards else pieces:
            yield replace(piece, ascending=piece.ascending != backwards)

    def _pieces(self, after: Place | None, backwards: bool) -> Iterator[_Piece]:
        """Return the walks in order, those before the place left out and the one that it is in cut there."""
        if after is not None and self._order == "relevance":
            self._edge = after.value  # where it was when the first page was made
        for piece in self._all_pieces(backwards):
            if after is None:
                yield piece
            elif piece.tier == after.tier:
                yield from self._cut(piece, after)
            elif (piece.tier > after.tier) != backwards:
                yield piece

    def _cut(self, piece: _Piece, after: Place) -> Iterator[_Piece]:
        edge = boundary(self._db, after.id)
        beyond = edge + 1 if find(self._db, after.id) is not None else edge
        rest = piece.plan.narrowed(low=beyond) if piece.ascending else piece.plan.narrowed(high=edge)
        if self._order not in _COLUMN_PLACES or piece.tier:
            yield replace(piece, plan=rest)
        elif not piece.low <= after.value <= piece.high:
            if (piece.low > after.value) == piece.ascending:
                yield piece
        elif piece.column is None:
            yield replace(piece, plan=rest)
        else:
            same = Check(f"op.{piece.column} = ?", (after.value,))
            yield replace(piece, plan=rest.narrowed(check=same), column=None)
            sign = ">" if piece.ascending else "<"
            yield replace(piece, plan=piece.plan.narrowed(check=Check(f"op.{piece.column} {sign} ?", (after.value,))))

    def _forwards(self) -> Iterator[_Piece]:
        if self._order in ("newest", "oldest"):
            yield _Piece(0, self._plan, ascending=self._order == "oldest")
        elif self._order == "rating":
            yield from self._ratings()
        elif self._order == "relevance":
            yield from self._relevance()
        else:
            yield from self._amounts(self._order)

    def _ratings(self) -> Iterator[_Piece]:
        words = dict(self._db.execute("SELECT CAST(text AS INTEGER), id FROM word WHERE field = 'rating'").fetchall())
        for rating in sorted(words, reverse=True):
            yield _Piece(5 - rating, self._plan.narrowed(f'"{name_word(words[rating])}"'))
        yield _Piece(9, self._plan.narrowed(check=Check("op.rating IS NULL")))

    def _relevance(self) -> Iterator[_Piece]:
        """Begins with the words, has them in a row, has them close together, has them."""
        words = [word for word in self._plan.words if any(map(str.isalnum, word))]
        if not words:
            yield _Piece(3, self._plan)
            return
        phrase = f'"{" ".join(words)}"'
        near = f"NEAR({' '.join(chr(34) + word + chr(34) for word in words)}, 5)"
        tiers = [f"^{phrase}", phrase] if len(words) == 1 else [f"^{phrase}", phrase, near]
        edge = self._newest()
        for tier, wanted in enumerate(tiers):
            yield _Piece(tier, self._plan.narrowed(f"({wanted})", low=edge, without=tiers[tier - 1] if tier else None))
        if self._plan.match:
            yield _Piece(3, self._plan.narrowed(low=edge, without=tiers[-1]))
        if edge > -_LAST:
            yield _Piece(4, self._plan.narrowed(high=edge))

    def _newest(self) -> int:
        """Return the number of the last row that is among the newest of what is found."""
        if self._edge is None:
            source, values = _source(self._plan, "at")
            number = "op.at" if self._plan.match is None else "body.rowid"
            keys = f"SELECT {number} {source} ORDER BY {number} DESC LIMIT 1 OFFSET {LOOK}"
            row = self._db.execute(keys, values).fetchone()
            self._edge = row[0] if row else -_LAST
        return self._edge

    def _amounts(self, column: str) -> Iterator[_Piece]:
        """From the highest to the lowest, then those without."""
        some = Check(f"op.{column} IS NOT NULL")
        if (self._plan.match is None and not self._plan.checks) or self.count(SORTED_WHOLE) <= SORTED_WHOLE:
            yield _Piece(0, self._plan.narrowed(check=some), column)
        else:
            rows = self._db.execute("SELECT CAST(text AS INTEGER), id, n FROM word WHERE field = ? AND n > 0", (column,))
            never = self._never()
            for size, word, n in sorted(rows, reverse=True):
                if word in never:
                    continue
                plan, (low, high) = self._plan.narrowed(f'"{name_word(word)}"'), span(size)
                prices = self._prices(column, word) if n > MANY else []
                for value in prices:
                    if self._is_there(column, value + 1, high):
                        yield _Piece(0, plan.narrowed(check=_between(column, value + 1, high)), column, low=value + 1, high=high)
                    yield _Piece(0, plan.narrowed(check=_between(column, value, value)), low=value, high=value)
                    high = value - 1
                if not prices or self._is_there(column, low, high):
                    yield _Piece(0, plan.narrowed(check=_between(column, low, high)), column, low=low, high=high)
        yield _Piece(10_000, self._plan.narrowed(check=Check(f"op.{column} IS NULL")))

    def _never(self) -> set[int]:
        """Return the coarse sizes that no row of the plan can have, by the types and models it asks for."""
        rows = self._db.execute("SELECT size, name FROM pair WHERE n > 0").fetchall() if self._plan.names else []
        sizes = {size for size, _ in rows}
        return {size for names in self._plan.names for size in sizes - {size for size, name in rows if name in names}}

    def _prices(self, column: str, word: int) -> list[int]:
        """Return the values, from the highest, that very many rows of a coarse size seem to have; a guess costs only time."""
        rows = self._db.execute(
            f"SELECT {column} FROM (SELECT rowid AS number FROM body WHERE body MATCH ? ORDER BY rowid DESC LIMIT {_SAMPLE})"
            f" CROSS JOIN op ON op.at = number GROUP BY {column} HAVING count(*) > {_SAMPLE} / 20 ORDER BY {column} DESC",
            (f'"{name_word(word)}"',),
        )
        return [value for (value,) in rows]

    def _is_there(self, column: str, low: int, high: int) -> bool:
        """Say whether some row with a value between has the types and models that the plan asks for."""
        checks = [
            f"(type IN ({text}) OR model IN ({text}))" for text in (", ".join(map(str, names)) for names in self._plan.names)
        ]
        where = " AND ".join([f"{column} BETWEEN ? AND ?", *checks])
        return self._db.execute(f"SELECT 1 FROM op {self._by(column)} WHERE {where} LIMIT 1", (low, high)).fetchone() is not None

    def _by(self, column: str) -> str:
        return f"INDEXED BY op_{column}" if self._db.has_indexes() else ""

    # -- the walk --------------------------------------------------------------------------------------------------------

    def _walk(self, piece: _Piece, size: int) -> Iterator[tuple[Entry, Place]]:
        rows = self._rows(piece, size)
        further = piece.plan.doubtful
        if further is not None:
            if piece.column is None and len(rows) == size:
                last = rows[-1][0]
                further = further.narrowed(high=last) if piece.ascending else further.narrowed(low=last)
            rows += self._rows(replace(piece, plan=further), size)
            by = _COLUMN_PLACES[piece.column] if piece.column else 0
            rows.sort(key=lambda row: (row[by], row[0]), reverse=not piece.ascending)
        place = _COLUMN_PLACES.get(self._order)
        for row in rows[:size]:
            value = row[place] if place is not None and row[place] is not None else 0
            entry = entry_of_row(row, self._db.names)
            yield entry, Place(piece.tier, self._edge if self._edge is not None else value, entry.id)

    def _rows(self, piece: _Piece, size: int) -> list[tuple[Any, ...]]:
        way = "ASC" if piece.ascending else "DESC"
        plan = piece.plan
        if plan.nothing or plan.low >= plan.high:
            return []
        column = piece.column or "at"
        if piece.column and plan.match is None and self._db.has_indexes() and not self._is_short(plan):
            column = f"by {column}"
        source, values = _source(plan, column)
        by = f"op.{piece.column} {way}, " if piece.column else ""
        number = "op.at" if plan.match is None else "body.rowid"
        keys = f"SELECT {number} AS number {source} ORDER BY {by}{number} {way} LIMIT ?"
        return self._db.execute(
            f"SELECT {_SELECT} FROM ({keys}) AS found"
            " CROSS JOIN op ON op.at = found.number CROSS JOIN prompt ON prompt.id = op.prompt",
            (*values, size),
        ).fetchall()

    def _is_short(self, plan: Plan) -> bool:
        """Say whether a plan's range of numbers has so few rows that they can be sorted."""
        return self._count(Plan(low=plan.low, high=plan.high), SORTED_WHOLE) <= SORTED_WHOLE


_COLUMN_PLACES = {name: COLUMNS.index(name) for name in ("cost", "elapsed")}


def _between(column: str, low: int, high: int) -> Check:
    return Check(f"op.{column} BETWEEN ? AND ?", (low, high))


def _source(plan: Plan, column: str) -> tuple[str, tuple[object, ...]]:
    """Return the FROM and WHERE of a plan that is walked by a column, and their parameters."""
    checks = [check.sql for check in plan.checks]
    values = [value for check in plan.checks for value in check.values]
    if plan.match is None:
        # By number, not by whichever column a check names: the walk must come in the order of the page. By a column only where
        # that is what it is sorted by, and the numbers are looked up in its index.
        hint = f"INDEXED BY op_{column.removeprefix('by ')}" if column.startswith("by ") else "NOT INDEXED"
        where = " AND ".join(["op.at >= ? AND op.at < ?" if hint == "NOT INDEXED" else "+op.at >= ? AND +op.at < ?", *checks])
        return f"FROM op {hint} WHERE {where}", (plan.low, plan.high, *values)
    join = " CROSS JOIN op ON op.at = body.rowid" if checks or column in _COLUMN_PLACES else ""
    where = " AND ".join(["body MATCH ? AND body.rowid >= ? AND body.rowid < ?", *checks])
    return f"FROM body{join} WHERE {where}", (plan.match, plan.low, plan.high, *values)
