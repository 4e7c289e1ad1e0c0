"""Turns a search into what the engine runs: one full-text expression, a range of row numbers, and a check where those are wider.

Every field but a few is a marked word in the full-text table, so a search is one walk through sorted lists, newest first, that
ends when enough is found. Costs, times and confidences are found by their coarse size (a superset) and then compared; dates and
ids are ranges of row numbers.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from opstore.index import order
from opstore.index.table import MILLION, THOUSAND
from opstore.index.terms import And, Field, Node, Not, Or, Phrase, Query, Span, Text, Word, days, matches
from opstore.index.writer import MARK, batch_word, boundary, bucket, find, parent_word, plain

#: Numbers that are kept as whole multiples of a unit and compared in their column.
UNITS = {"cost": MILLION, "elapsed": THOUSAND, "confidence": MILLION}
#: Numbers of which there are few: each is a word.
_FEW = ("rating", "inputs")
_COLUMNS = ("type", "status", "model", "provider", "error")
_FIRST, _LAST = -(2**62), 2**62


@dataclass(frozen=True, slots=True)
class Check:
    """A condition in SQL, with its parameters."""

    sql: str
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: rows whose text matches (None: all), whose number is from `low` and below `high`, and that pass the checks."""

    match: str | None = None
    low: int = _FIRST
    high: int = _LAST
    checks: tuple[Check, ...] = ()
    nothing: bool = False
    words: tuple[str, ...] = field(default=())

    def narrowed(self, match: str | None = None, low: int = _FIRST, high: int = _LAST, check: Check | None = None) -> Plan:
        """Return a plan for those of the rows that also match, and lie between, and pass."""
        return replace(
            self,
            match=_all((self.match, match)),
            low=max(self.low, low),
            high=min(self.high, high),
            checks=(*self.checks, check) if check else self.checks,
        )


def _all(parts: Iterable[str | None]) -> str | None:
    found = [part for part in parts if part is not None]
    return None if not found else found[0] if len(found) == 1 else " AND ".join(f"({part})" for part in found)


@dataclass(frozen=True, slots=True)
class _Cover:
    """An expression that matches at least what a node asks for; `match` None: everything. `exact`: and nothing else."""

    match: str | None
    exact: bool
    nothing: bool = False


_NOTHING = _Cover(None, True, nothing=True)


def compiled(connection: sqlite3.Connection, query: Query, today: date) -> Plan:
    """Return the plan of a search, for the names that the index knows now."""
    return _Compiler(connection, today).plan(query)


class _Compiler:
    def __init__(self, connection: sqlite3.Connection, today: date) -> None:
        self.db = connection
        self.today = today
        self._names: dict[str, list[tuple[int, str]]] = {}

    def plan(self, query: Query) -> Plan:
        if query.root is None:
            return Plan()
        root = _pushed(query.root)
        low, high, kept = _FIRST, _LAST, []
        for node in root.nodes if isinstance(root, And) else (root,):
            ranges = self.ranges(node) if isinstance(node, Field) else None
            if ranges is None or len(ranges) != 1:
                kept.append(node)
            else:
                low, high = max(low, ranges[0][0]), min(high, ranges[0][1])
        cover = self.conjunction(kept)
        checks = tuple(self.check(node) for node in kept if not self.cover(node).exact)
        words = tuple(
            plain(node.text) for node in kept if isinstance(node, Phrase) or (isinstance(node, Word) and not node.prefix)
        )
        return Plan(cover.match, low, high, checks, cover.nothing or low >= high, words)

    # -- the superset ----------------------------------------------------------------------------------------------------

    def cover(self, node: Node) -> _Cover:
        if isinstance(node, And):
            return self.conjunction(node.nodes)
        if isinstance(node, Or):
            return self.disjunction(node)
        if isinstance(node, Not):
            inner = self.cover(node.node)
            if inner.nothing:
                return _Cover(None, True)
            if not inner.exact:
                return _Cover(None, False)
            return _Cover(f"({self.everything()}) NOT ({inner.match})", True) if inner.match else _NOTHING
        if isinstance(node, Field):
            return self.field(node)
        return _Cover(_words(node), True)

    def conjunction(self, nodes: Iterable[Node]) -> _Cover:
        """Return what matches all; what is negated is taken away from the rest, and from everything only if there is no rest."""
        wanted: list[str | None] = []
        unwanted: list[str] = []
        exact = True
        for node in nodes:
            inner = self.cover(node.node if isinstance(node, Not) else node)
            exact = exact and inner.exact
            if isinstance(node, Not):
                if inner.exact and not inner.nothing:
                    if inner.match is None:
                        return _NOTHING
                    unwanted.append(inner.match)
            elif inner.nothing:
                return _NOTHING
            else:
                wanted.append(inner.match)
        match = _all(wanted)
        if unwanted:
            match = f"({match or self.everything()})" + "".join(f" NOT ({part})" for part in unwanted)
        return _Cover(match, exact)

    def disjunction(self, node: Or) -> _Cover:
        covers = [cover for cover in map(self.cover, node.nodes) if not cover.nothing]
        if not covers:
            return _NOTHING
        exact = all(cover.exact for cover in covers)
        if any(cover.match is None for cover in covers):
            return _Cover(None, exact and any(cover.match is None and cover.exact for cover in covers))
        return _Cover(" OR ".join(f"({cover.match})" for cover in covers), exact)

    def everything(self) -> str:
        """Return an expression that every row matches: each has one status."""
        return _any(number for number, _ in self.names("status")) or f'"{MARK}none"'

    def field(self, node: Field) -> _Cover:
        if node.name in ("date", "id"):
            return _Cover(None, False)
        if node.name in ("parent", "batch"):
            word = parent_word if node.name == "parent" else batch_word
            return _Cover(" OR ".join(f'"{word(value.text)}"' for value in node.values if isinstance(value, Text)), True)
        if node.name == "favorite":
            return self.favorite(node)
        found = _any(self.numbers(node))
        return _Cover(found, node.name not in UNITS) if found else _NOTHING

    def favorite(self, node: Field) -> _Cover:
        wanted = {value.text for value in node.values if isinstance(value, Text)}
        if len(wanted) == 2:
            return _Cover(None, True)
        yes = _any(number for number, _ in self.names("favorite"))
        if "yes" in wanted:
            return _Cover(yes, True) if yes else _NOTHING
        return _Cover(f"({self.everything()}) NOT ({yes})", True) if yes else _Cover(None, True)

    def numbers(self, node: Field) -> list[int]:
        """Return the words that a field's values name: those of the coarse sizes for a number that is compared afterwards."""
        known = self.names(node.name)
        found: dict[int, None] = {}
        for value in node.values:
            if isinstance(value, Text):
                found |= {number: None for number, name in known if matches(node.name, value, name)}
                continue
            low, high = whole(value, UNITS.get(node.name, 1))
            if node.name in UNITS:
                low, high = (None if end is None else bucket(end) for end in (low, high))
            fits = (number for number, name in known if (low is None or int(name) >= low) and (high is None or int(name) <= high))
            found |= dict.fromkeys(fits)
        return list(found)

    def names(self, name: str) -> list[tuple[int, str]]:
        """Return the numbered names of a field that are in use."""
        if name not in self._names:
            self._names[name] = self.db.execute("SELECT id, text FROM word WHERE field = ? AND n > 0", (name,)).fetchall()
        return self._names[name]

    # -- the whole condition in SQL --------------------------------------------------------------------------------------

    def check(self, node: Node) -> Check:
        if isinstance(node, And | Or):
            parts = [self.check(part) for part in node.nodes]
            word = " AND " if isinstance(node, And) else " OR "
            return Check(f"({word.join(part.sql for part in parts)})", tuple(value for part in parts for value in part.values))
        if isinstance(node, Not):
            inner = self.check(node.node)
            return Check(f"NOT {inner.sql}", inner.values)
        if isinstance(node, Field) and node.name in UNITS:
            return self.compared(node)
        if isinstance(node, Field) and node.name in _COLUMNS:
            return Check(f"ifnull(op.{node.name} IN ({', '.join(map(str, self.numbers(node)))}), 0)")
        ranges = self.ranges(node) if isinstance(node, Field) else None
        if ranges is not None:
            sql = " OR ".join("op.at >= ? AND op.at < ?" for _ in ranges)
            return Check(f"({sql})", tuple(end for pair in ranges for end in pair))
        cover = self.cover(node)
        if cover.nothing or cover.match is None:
            return Check("0" if cover.nothing else "1")
        return Check("(op.at IN (SELECT rowid FROM body WHERE body MATCH ?))", (cover.match,))

    def compared(self, node: Field) -> Check:
        parts, values = [], []
        for value in node.values:
            if isinstance(value, Span):
                low, high = whole(value, UNITS[node.name])
                parts.append(f"op.{node.name} BETWEEN ? AND ?")
                values += [_FIRST if low is None else low, _LAST if high is None else high]
        return Check(f"ifnull(({' OR '.join(parts)}), 0)", tuple(values))

    def ranges(self, node: Field) -> list[tuple[int, int]] | None:
        """Return the ranges of row numbers that a date or an id means, None for other fields."""
        if node.name == "date":
            return [self.dates(value) for value in node.values if isinstance(value, Span)]
        if node.name == "id":
            return [self.ids(value) for value in node.values if isinstance(value, Text)]
        return None

    def dates(self, span: Span) -> tuple[int, int]:
        low, high = days(span, self.today)
        first = _FIRST if low is None else boundary(self.db, "", order.second_of_day(low))
        return first, _LAST if high is None else boundary(self.db, "", order.second_of_day(high))

    def ids(self, value: Text) -> tuple[int, int]:
        digits, _, rest = value.text.partition("_")
        if not value.prefix:
            found = find(self.db, value.text)
            return (0, 0) if found is None else (found, found + 1)
        low = f"{digits.ljust(14, '0')}_{rest.ljust(6, '0')}"
        high = f"{digits.ljust(14, '9')}_{rest.ljust(8, 'f')}"
        last = find(self.db, high)
        return boundary(self.db, low), boundary(self.db, high) if last is None else last + 1


def whole(span: Span, unit: int) -> tuple[int | None, int | None]:
    """Return the least and the greatest whole number of units in a span of numbers."""
    low = high = None
    if span.low is not None:
        exact = Fraction(span.low) * unit
        low = math.floor(exact) + 1 if span.above else math.ceil(exact)
    if span.high is not None:
        exact = Fraction(span.high) * unit
        high = math.ceil(exact) - 1 if span.below else math.floor(exact)
    return low, high


def _words(node: Word | Phrase) -> str:
    text = plain(node.text).replace('"', " ")
    return f'"{text}"*' if isinstance(node, Word) and node.prefix else f'"{text}"'


def _any(numbers: Iterable[int]) -> str | None:
    return " OR ".join(f'"{MARK}{number}"' for number in numbers) or None


def _pushed(node: Node) -> Node:
    """Return the node with every negation at a leaf: not (a or b) is not a and not b."""
    if isinstance(node, And | Or):
        kind = And if isinstance(node, And) else Or
        return kind(
            tuple(part for inner in map(_pushed, node.nodes) for part in (inner.nodes if isinstance(inner, kind) else (inner,)))
        )
    if not isinstance(node, Not):
        return node
    inner = node.node
    if isinstance(inner, Not):
        return _pushed(inner.node)
    if isinstance(inner, And):
        return _pushed(Or(tuple(Not(part) for part in inner.nodes)))
    if isinstance(inner, Or):
        return _pushed(And(tuple(Not(part) for part in inner.nodes)))
    return node
