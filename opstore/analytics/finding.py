"""Which rows of the frame a search finds: what its columns say is compared here, everything else is asked of the index.

To compare a column of a million takes a millisecond, where a list of as many rows from the index takes a third of a second; so
negations and names that most rows have cost nothing. Both ways find the same (tests hold them to one oracle): names are matched
by the index's own rules, numbers in its own units.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import reduce

import numpy as np

from opstore.analytics.columns import FIELDS
from opstore.analytics.selection import Base, Bools, Numbers, Whole
from opstore.index import order
from opstore.index.compile import whole
from opstore.index.terms import UNITS, And, Field, Node, Not, Or, Query, Span, Text, days, matches, render

#: Fields whose column holds just what the index has.
NAMES = {field: column for column, field in FIELDS.items()}
NUMBERS = {"rating": "rating", "cost": "cost", "elapsed": "elapsed_seconds"}


class Finder:
    """Finds rows of one frame. `seconds` are those of the ids, since 2020; `ask` returns the rows that the index finds."""

    def __init__(self, base: Base, seconds: Whole, today: date, ask: Callable[[str], Bools]) -> None:
        """Days are counted from `today`."""
        self._base = base
        self._seconds = seconds
        self._today = today
        self._ask = ask

    def rows(self, query: Query) -> Bools:
        """Return where a search holds."""
        if query.root is None:
            return np.ones(len(self._base.frame), bool)
        return self._node(query.root)

    def _node(self, node: Node) -> Bools:
        if isinstance(node, And | Or):
            join = np.logical_and if isinstance(node, And) else np.logical_or
            here = [part for part in node.nodes if self._is_here(part)]
            there = [part for part in node.nodes if not self._is_here(part)]
            found = [self._node(part) for part in here]
            if there:  # one question
                found.append(self._asked(type(node)(tuple(there)) if len(there) > 1 else there[0]))
            joined: Bools = reduce(join, found)
            return joined
        if isinstance(node, Not):
            return ~self._node(node.node)
        return self._field(node) if isinstance(node, Field) and self._is_here(node) else self._asked(node)

    def _asked(self, node: Node) -> Bools:
        return self._ask(render(Query(node)))

    def _is_here(self, node: Node) -> bool:
        """Say whether the columns answer a node, or at least its greater part."""
        if isinstance(node, And | Or):
            return any(self._is_here(part) for part in node.nodes)
        if isinstance(node, Not):
            return True
        if not isinstance(node, Field):
            return False
        if node.name in ("cost", "elapsed"):
            # The index also keeps numbers that can be none, such as a negative time: whoever asks for these asks it.
            return all(isinstance(value, Span) and value.low is not None and float(value.low) >= 0 for value in node.values)
        return node.name in NAMES or node.name in NUMBERS or node.name == "date"

    def _field(self, node: Field) -> Bools:
        if node.name in NAMES:
            codes, names = self._base.codes(NAMES[node.name])
            texts = [value for value in node.values if isinstance(value, Text)]
            fits = [any(matches(node.name, value, name) for value in texts) for name in names]
            chosen: Bools = np.array([*fits, False])[codes]  # the last one is that of what is missing, -1
            return chosen
        spans = [value for value in node.values if isinstance(value, Span)]
        if node.name == "date":
            return _between(self._seconds, [self._days(span) for span in spans])
        unit = UNITS.get(node.name, 1)
        return _between(self._units(NUMBERS[node.name], unit), [whole(span, unit) for span in spans])

    def _units(self, name: str, unit: int) -> Numbers:
        """Return a column in whole units, NaN where it is missing."""
        return self._base.once(("units", name), lambda: np.rint(self._base.number(name) * unit))

    def _days(self, span: Span) -> tuple[int | None, int | None]:
        low, end = days(span, self._today)
        first = None if low is None else order.second_of_day(low)
        return first, None if end is None else order.second_of_day(end) - 1


def _between(values: Whole | Numbers, spans: list[tuple[int | None, int | None]]) -> Bools:
    """Return where a value lies in one of the spans, their ends included; NaN lies in none."""
    inside = np.zeros(len(values), bool)
    for low, high in spans:
        fits = values == values
        if low is not None:
            fits &= values >= low
        if high is not None:
            fits &= values <= high
        inside |= fits
    return inside
