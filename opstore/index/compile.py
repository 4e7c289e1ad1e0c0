"""Turns a search into what the engine runs: full-text expressions, a range of row numbers, and a check where those are wider.

Every field but a few is a marked word in the full-text table, so a search is one walk through sorted lists, newest first, that
ends when enough is found. Costs, times and confidences are found by their coarse size and then compared; dates and ids are ranges
of row numbers. Where an expression can only be too narrow or too wide, both are made: what the narrow one finds is certain, and
only what the wide one finds beyond it is looked at (`Plan.doubtful`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from opstore.index import order
from opstore.index.beginnings import SHORT, long_beginning
from opstore.index.fields import SEARCHES, TABLE
from opstore.index.keywords import (
    batch_word,
    bucket,
    inputs_word,
    is_sure_seed,
    name_word,
    note_words,
    parent_word,
    plain,
    seed_word,
)
from opstore.index.row_lookup import boundary, find, seed_value
from opstore.index.sqlite import Connection
from opstore.index.terms import FIELDS, UNITS, And, Field, Node, Not, Or, Phrase, Query, Span, Text, Word, days, matches

#: The columns of fields that are compared there: numbers in their units, and names by their numbers.
_COLUMNS = {
    field.search.name: field.name
    for field in TABLE
    if field.search and field.kept and (field.kept.unit > 1 or field.kept.form == "name")
}
_FIRST, _LAST = -(2**62), 2**62
_NO_ROW = f'"{batch_word("")}"'


@dataclass(frozen=True, slots=True)
class Check:
    """A condition in SQL, with its parameters."""

    sql: str
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: rows whose text matches (None: all), whose number is from `low` and below `high`, and that pass the checks.

    Every one of them has one of each set of `names`. To these come the rows of `doubtful`, all of them others. `merged`, where
    there is one, finds the same rows as both together and takes long however few are wanted.
    """

    match: str | None = None
    low: int = _FIRST
    high: int = _LAST
    checks: tuple[Check, ...] = ()
    nothing: bool = False
    words: tuple[str, ...] = field(default=())
    names: tuple[frozenset[int], ...] = field(default=())
    doubtful: Plan | None = None
    merged: Plan | None = None

    def narrowed(
        self,
        match: str | None = None,
        low: int = _FIRST,
        high: int = _LAST,
        check: Check | None = None,
        without: str | None = None,
    ) -> Plan:
        """Return a plan for those of the rows that also match, do not match `without`, and lie between, and pass."""
        wanted = _all((self.match, match))
        return replace(
            self,
            match=wanted if without is None else f"({wanted}) NOT ({without})",
            low=max(self.low, low),
            high=min(self.high, high),
            checks=(*self.checks, check) if check else self.checks,
            doubtful=self.doubtful.narrowed(match, low, high, check, without) if self.doubtful else None,
            merged=None,
        )


def _all(parts: Iterable[str | None]) -> str | None:
    found = [part for part in parts if part is not None]
    return None if not found else found[0] if len(found) == 1 else " AND ".join(f"({part})" for part in found)


@dataclass(frozen=True, slots=True)
class _Cover:
    """An expression; `match` None: everything."""

    match: str | None
    nothing: bool = False


_NOTHING, _EVERYTHING = _Cover(None, nothing=True), _Cover(None)


def compiled(connection: Connection, query: Query, today: date) -> Plan:
    """Return the plan of a search, for the names that the index knows now."""
    compiler = _Compiler(connection, today)
    plan = compiler.plan(query)
    beginnings = compiler.common_beginnings()
    if not beginnings or plan.nothing:
        return plan
    return replace(_Compiler(connection, today, beginnings).plan(query), merged=plan)


class _Compiler:
    """`beginnings` names, for each long beginning that is looked for in the prompts, the commonest words that begin so."""

    def __init__(self, connection: Connection, today: date, beginnings: Mapping[str, Sequence[str]] | None = None) -> None:
        self.db = connection
        self.today = today
        self.beginnings = beginnings or {}
        self._long: set[str] = set()
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
        words = tuple(
            plain(node.text) for node in kept if isinstance(node, Phrase) or (isinstance(node, Word) and not node.prefix)
        )
        names = tuple(
            frozenset(self.numbers(node)) for node in kept if isinstance(node, Field) and node.name in ("type", "model")
        )
        outer, inner = self.conjunction(kept, True), self.conjunction(kept, False)
        plan = Plan(outer.match, low, high, (), outer.nothing or low >= high, words, names)
        if outer == inner or plan.nothing:
            return plan
        checks = self.checks(kept, found_certain=not inner.nothing and outer.match is not None)
        if inner.nothing or outer.match is None:
            return replace(plan, checks=checks)
        if inner.match is None:
            return replace(plan, match=None)
        return replace(
            plan, match=inner.match, doubtful=replace(plan, match=f"({outer.match}) NOT ({inner.match})", checks=checks)
        )

    def checks(self, nodes: Sequence[Node], found_certain: bool) -> tuple[Check, ...]:
        """Return what must hold of a row that the wide expression matches."""
        if found_certain and len(nodes) == 1 and isinstance(nodes[0], Or):
            # Whichever of the others holds makes a row certain: of a doubtful one, none does.
            rest = [part for part in nodes[0].nodes if self.is_inexact(part)]
            return (self.check(Or(tuple(rest))),)
        return tuple(self.check(node) for node in nodes if self.is_inexact(node))

    def is_inexact(self, node: Node) -> bool:
        return self.cover(node, True) != self.cover(node, False)

    def common_beginnings(self) -> dict[str, tuple[str, ...]]:
        """Return the long beginnings that the plan was made with and that are better looked for in the prompts."""
        found = {beginning: self.db.beginnings.common(self.db, beginning) for beginning in self._long}
        return {beginning: words for beginning, words in found.items() if words}

    # -- too wide, or too narrow -----------------------------------------------------------------------------------------

    def cover(self, node: Node, wide: bool) -> _Cover:
        """Return an expression that matches at least what a node asks for (`wide`), or at most that."""
        if isinstance(node, And):
            return self.conjunction(node.nodes, wide)
        if isinstance(node, Or):
            return self.disjunction(node, wide)
        if isinstance(node, Not):
            inner = self.cover(node.node, not wide)
            if inner.nothing:
                return _EVERYTHING
            return _Cover(f"({self.everything()}) NOT ({inner.match})") if inner.match else _NOTHING
        if isinstance(node, Field):
            return self.field(node, wide)
        return self.words(node, wide)

    def conjunction(self, nodes: Iterable[Node], wide: bool) -> _Cover:
        """Return what matches all; what is negated is taken away from the rest, and from everything only if there is no rest."""
        wanted: list[str | None] = []
        unwanted: list[str] = []
        for node in nodes:
            inner = self.cover(node.node, not wide) if isinstance(node, Not) else self.cover(node, wide)
            if isinstance(node, Not):
                if not inner.nothing:
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
        return _Cover(match)

    def disjunction(self, node: Or, wide: bool) -> _Cover:
        covers = [cover for cover in (self.cover(part, wide) for part in node.nodes) if not cover.nothing]
        if not covers:
            return _NOTHING
        if any(cover.match is None for cover in covers):
            return _EVERYTHING
        return _Cover(" OR ".join(f"({cover.match})" for cover in covers))

    def everything(self) -> str:
        """Return an expression that every row matches: each has one status."""
        return _any(number for number, _ in self.names("status")) or _NO_ROW

    def words(self, node: Word | Phrase, wide: bool) -> _Cover:
        beginning = long_beginning(node.text) if isinstance(node, Word) and node.prefix else None
        if beginning is not None:
            self._long.add(beginning)
            words = self.beginnings.get(beginning)
            if words:
                return _Cover(f'"{beginning[:SHORT]}"*' if wide else " OR ".join(f'"{word}"' for word in words))
        text = plain(node.text).replace('"', " ")
        return _Cover(f'"{text}"*' if isinstance(node, Word) and node.prefix else f'"{text}"')

    def field(self, node: Field, wide: bool) -> _Cover:
        if node.name in ("date", "id"):
            return _EVERYTHING if wide else _NOTHING
        if node.name == "note":
            return self.note(node)
        if node.name == "seed":
            return self.seed(node, wide)
        if node.name == "parent":
            return _Cover(" OR ".join(f'"{parent_word(value.text)}"' for value in node.values if isinstance(value, Text)))
        if node.name == "batch":
            return self.batch(node)
        if node.name == "images":
            inputs = (self.inputs(value.text) for value in node.values if isinstance(value, Text))
            either = " OR ".join(f'"{text}"' for text in inputs if text)
            return _Cover(either) if either else _NOTHING
        if FIELDS[node.name] == "flag":
            return self.flag(node)
        found = _any(self.numbers(node, wide))
        return _Cover(found) if found else _NOTHING

    def note(self, node: Field) -> _Cover:
        """Return what finds words of a note, one after the other; for a star alone, what has one."""
        parts = []
        for value in node.values:
            words = note_words(value.text) if isinstance(value, Text) else []
            if words:
                parts.append(f'"{" ".join(words)}"{"*" if isinstance(value, Text) and value.prefix else ""}')
            elif isinstance(value, Text) and value.prefix and (noted := _any(n for n, _ in self.names("note"))):
                parts.append(noted)
        return _Cover(" OR ".join(f"({part})" for part in parts)) if parts else _NOTHING

    def batch(self, node: Field) -> _Cover:
        """Return what finds batches by their whole names; for a star alone, what is in one."""
        values = [value for value in node.values if isinstance(value, Text)]
        words = [f'"{batch_word(value.text)}"' for value in values if not value.prefix]
        if len(words) < len(values) and (in_one := _any(number for number, _ in self.names("batch"))):
            words.append(in_one)
        return _Cover(" OR ".join(words)) if words else _NOTHING

    def seed(self, node: Field, wide: bool) -> _Cover:
        """Return what finds seeds, and with `wide` those that share a word with them; for a star alone, any seed at all."""
        seeds = _seeds(node)
        if seeds is None:
            without = _any(number for number, _ in self.names("seed"))
            return _Cover(f"({self.everything()}) NOT ({without})") if without else _EVERYTHING
        words = dict.fromkeys(seed_word(seed) for seed in seeds if wide or is_sure_seed(seed))
        return _Cover(" OR ".join(f'"{word}"' for word in words)) if words else _NOTHING

    def inputs(self, operation_id: str) -> str | None:
        """Return the word of an operation's inputs, None where it is not there or has none that are known."""
        row = self.db.execute("SELECT source FROM op WHERE at = ?", (find(self.db, operation_id),)).fetchone()
        return None if row is None or row[0] is None else inputs_word(row[0])

    def flag(self, node: Field) -> _Cover:
        wanted = {value.text for value in node.values if isinstance(value, Text)}
        if len(wanted) == 2:
            return _EVERYTHING
        yes = _any(number for number, _ in self.names(SEARCHES[node.name].having or node.name))
        if "yes" in wanted:
            return _Cover(yes) if yes else _NOTHING
        return _Cover(f"({self.everything()}) NOT ({yes})") if yes else _EVERYTHING

    def numbers(self, node: Field, wide: bool = True) -> list[int]:
        """Return the words that a field's values name; of coarse sizes those that may fit (`wide`), or those that do."""
        known = self.names(node.name)
        matching: dict[int, None] = {}
        for value in node.values:
            if isinstance(value, Text):
                matching |= {number: None for number, name in known if matches(node.name, value, name)}
                continue
            low, high = whole(value, UNITS.get(node.name, 1))
            if node.name in UNITS:
                # A size whose ends lie on both sides of a bound is in no narrow expression.
                low, high = _bound(low, 0 if wide else 1), _bound(high, 0 if wide else -1)
            fits = (number for number, name in known if (low is None or int(name) >= low) and (high is None or int(name) <= high))
            matching |= dict.fromkeys(fits)
        return list(matching)

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
            return Check(f"ifnull(op.{_COLUMNS[node.name]} IN ({', '.join(map(str, self.numbers(node)))}), 0)")
        if isinstance(node, Field) and node.name == "seed" and (seeds := _seeds(node)) is not None:
            return Check(f"ifnull(op.seed IN ({', '.join(str(seed_value(seed)) for seed in seeds)}), 0)")
        ranges = self.ranges(node) if isinstance(node, Field) else None
        if ranges is not None:
            sql = " OR ".join("op.at >= ? AND op.at < ?" for _ in ranges)
            return Check(f"({sql})", tuple(end for pair in ranges for end in pair))
        beginning = long_beginning(node.text) if isinstance(node, Word) and node.prefix else None
        if beginning in self.beginnings:
            return Check("begins((SELECT text FROM prompt WHERE id = op.prompt), ?)", (beginning,))
        cover = self.cover(node, True)
        if cover.nothing or cover.match is None:
            return Check("0" if cover.nothing else "1")
        return Check("(op.at IN (SELECT rowid FROM body WHERE body MATCH ?))", (cover.match,))

    def compared(self, node: Field) -> Check:
        parts, values = [], []
        for value in node.values:
            if isinstance(value, Span):
                low, high = whole(value, UNITS[node.name])
                parts.append(f"op.{_COLUMNS[node.name]} BETWEEN ? AND ?")
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


def _seeds(node: Field) -> list[int] | None:
    """Return the seeds that are asked for, None for any."""
    texts = [value for value in node.values if isinstance(value, Text)]
    return None if any(value.prefix for value in texts) else [int(value.text) for value in texts]


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


def _bound(value: int | None, inward: int) -> int | None:
    """Return the coarse size of a bound, or the next one inwards."""
    return None if value is None else bucket(value) + inward


def _any(numbers: Iterable[int]) -> str | None:
    return " OR ".join(f'"{name_word(number)}"' for number in numbers) or None


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
