"""Runs a plan in an order, a page at a time. A page begins behind the row that the cursor names, so that rows that come or
go meanwhile neither repeat nor hide another.

An order is a sequence of pieces, each a walk that ends when the page is full: ratings from 5 to none, costs from the highest
coarse size down, relevance from "begins with these words" to "has all of them". No order sorts more than one piece.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace

from opstore.errors import InvalidRequest, said
from opstore.index.compile import Check, Plan
from opstore.index.sqlite import Connection
from opstore.index.table import Entry
from opstore.index.writer import COLUMNS, MARK, boundary, entry_of_row, find
from opstore.names import is_operation_id

ORDERS = ("newest", "oldest", "rating", "cost", "elapsed", "relevance")
#: A total is exact up to here.
EXACT = 10_000
_NONE = -1
_SELECT = ", ".join(f"op.{name.strip()}" for name in COLUMNS.split(",")) + ", prompt.text"


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
    """One walk: a plan, by which column its rows are sorted, and which way."""

    tier: int
    plan: Plan
    column: str | None = None
    ascending: bool = False


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
        connection.learn()

    def page(self, after: Place | None, size: int, backwards: bool = False) -> list[tuple[Entry, Place]]:
        """Return up to `size` rows behind a place, or before it with `backwards`, the nearest first."""
        found: list[tuple[Entry, Place]] = []
        if self._plan.nothing:
            return found
        for piece in self._pieces(after, backwards):
            found += self._walk(piece, size - len(found))
            if len(found) >= size:
                break
        return found

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
        if self._plan.nothing:
            return 0
        source, values = _source(self._plan, "count")
        return int(self._db.execute(f"SELECT count(*) FROM (SELECT 1 {source} LIMIT ?)", (*values, limit + 1)).fetchone()[0])

    def numbers(self) -> array[int]:
        """Return the numbers of all rows that are found, ascending: for who holds the rows already."""
        if self._plan.nothing:
            return array("q")
        name = "op.at" if self._plan.match is None else "body.rowid"
        source, values = _source(self._plan, "at")
        return array("q", (at for (at,) in self._db.execute(f"SELECT {name} {source} ORDER BY {name}", values)))

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
        if piece.column is None:
            yield replace(piece, plan=rest)
            return
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
            yield _Piece(5 - rating, self._plan.narrowed(f'"{MARK}{words[rating]}"'))
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
        for tier, wanted in enumerate(tiers):
            better = f" NOT ({tiers[tier - 1]})" if tier else ""
            yield _Piece(tier, self._plan.narrowed(f"({wanted}){better}"))
        if self._plan.match:
            yield _Piece(3, replace(self._plan, match=f"({self._plan.match}) NOT ({tiers[-1]})"))

    def _amounts(self, column: str) -> Iterator[_Piece]:
        """From the highest to the lowest, then those without."""
        some = Check(f"op.{column} IS NOT NULL")
        if self._plan.match is None and not self._plan.checks:
            yield _Piece(0, self._plan.narrowed(check=some), column)
        else:
            rows = self._db.execute("SELECT CAST(text AS INTEGER), id FROM word WHERE field = ? AND n > 0", (column,))
            for size, word in sorted(rows, reverse=True):
                yield _Piece(-size, self._plan.narrowed(f'"{MARK}{word}"'), column)
        yield _Piece(10_000, self._plan.narrowed(check=Check(f"op.{column} IS NULL")))

    # -- the walk --------------------------------------------------------------------------------------------------------

    def _walk(self, piece: _Piece, size: int) -> Iterator[tuple[Entry, Place]]:
        way = "ASC" if piece.ascending else "DESC"
        source, values = _source(piece.plan, piece.column or "at")
        by = f"op.{piece.column} {way}, " if piece.column else ""
        number = "op.at" if piece.plan.match is None else "body.rowid"
        if piece.plan.low >= piece.plan.high:
            return
        keys = f"SELECT {number} AS number {source} ORDER BY {by}{number} {way} LIMIT ?"
        rows = self._db.execute(
            f"SELECT {_SELECT} FROM ({keys}) AS found"
            " CROSS JOIN op ON op.at = found.number CROSS JOIN prompt ON prompt.id = op.prompt",
            (*values, size),
        ).fetchall()
        place = _COLUMN_PLACES.get(self._order)
        for row in rows:
            value = row[place] if place is not None and row[place] is not None else 0
            entry = entry_of_row(row, self._db.names)
            yield entry, Place(piece.tier, value, entry.id)


_COLUMN_PLACES = {name: [part.strip() for part in COLUMNS.split(",")].index(name) for name in ("cost", "elapsed")}


def _source(plan: Plan, column: str) -> tuple[str, tuple[object, ...]]:
    """Return the FROM and WHERE of a plan, and their parameters."""
    checks = [check.sql for check in plan.checks]
    values = [value for check in plan.checks for value in check.values]
    if plan.match is None:
        # By number, not by whichever column a check names: the walk must come in the order of the page.
        hint = "NOT INDEXED" if column == "at" else ""
        where = " AND ".join(["op.at >= ? AND op.at < ?", *checks])
        return f"FROM op {hint} WHERE {where}", (plan.low, plan.high, *values)
    join = " CROSS JOIN op ON op.at = body.rowid" if checks or column in ("cost", "elapsed") else ""
    where = " AND ".join(["body MATCH ? AND body.rowid >= ? AND body.rowid < ?", *checks])
    return f"FROM body{join} WHERE {where}", (plan.match, plan.low, plan.high, *values)
