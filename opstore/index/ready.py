"""Rows made ready to be written, by whoever has read the sidecars: all that takes time and needs no database. Pure.

The numbers of names are the database's (`word`): a row is made ready with those that are known, for the file they are known from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from opstore.index import order
from opstore.index.marks import marks_of, names_of, size_name
from opstore.index.rows import entry_of_row
from opstore.index.table import Entry, output_code
from opstore.names import is_operation_id

Numbers = Mapping[tuple[str, str], int]


class Ready(NamedTuple):
    """What is written for an operation. `values` are those of `rows.COLUMNS` but the last, the prompt's number."""

    values: Sequence[Any]
    prompt: str
    marks: str
    contents: Sequence[int]

    @property
    def at(self) -> int:
        """The row's number."""
        return int(self.values[0])

    @property
    def stamp(self) -> int:
        """The file's stamp."""
        return int(self.values[2])

    @property
    def id(self) -> str:
        """The operation's id."""
        return order.id_of(self.values[0], self.values[1])

    def entry(self, names: Mapping[int, str]) -> Entry:
        """Return what the row was made of, by the names of the numbers in it."""
        return replace(entry_of_row((*self.values, None, self.prompt), names), contents=tuple(self.contents))


@dataclass(slots=True)
class Tally:
    """How often each numbered name is there, and each coarse cost or time with a type or model."""

    words: Counter[int] = field(default_factory=Counter)
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)

    def take(self, entry: Entry, numbers: Numbers) -> None:
        """Count an operation no more."""
        self.words.subtract([numbers[name] for name in names_of(entry)])
        self.pairs.subtract(_pairs_of(entry, numbers))

    def join(self, other: Tally) -> None:
        """Add what another has counted."""
        self.words.update(other.words)
        self.pairs.update(other.pairs)


@dataclass(slots=True)
class Part:
    """What was read of some operations: rows made ready, in numbers that `names` has; all others as they were read.

    `born` tells the file whose numbers these are.
    """

    ready: list[Ready] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    others: dict[str, Any] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    born: int = 0

    def __len__(self) -> int:
        """Return how many operations it tells of."""
        return len(self.ready) + len(self.others)


def ready(entry: Entry, stamp: int, at: int, numbers: Numbers, tally: Tally) -> Ready:
    """Return the row of an entry, and count it; raise KeyError where one of its names has no number yet."""
    words = [numbers[name] for name in names_of(entry)]
    currency = numbers["currency", entry.currency] if entry.currency else None
    tally.words.update(words)
    tally.pairs.update(_pairs_of(entry, numbers))
    values = (
        at,
        order.short_key(entry.id, at),
        stamp,
        numbers["type", entry.type],
        numbers["status", entry.status],
        numbers["model", entry.model] if entry.model else None,
        numbers["provider", entry.provider] if entry.provider else None,
        output_code(entry.output, entry.id) if entry.output else None,
        entry.inputs,
        entry.rating,
        int(entry.favorite),
        " ".join(str(numbers["tag", tag]) for tag in entry.tags) or None,
        _as_number(entry.batch) if entry.batch else None,
        _as_number(" ".join(entry.parents)) if entry.parents else None,
        entry.elapsed,
        entry.cost,
        currency,
        numbers["error", entry.error] if entry.error else None,
        entry.confidence,
        entry.source,
        int(entry.overridden),
    )
    return Ready(values, entry.prompt, marks_of(entry, words), entry.contents)


def _as_number(name: str) -> int | str:
    """Return an id as a number: 8 bytes instead of 23; any other name as it is."""
    number = order.number_of(name) if is_operation_id(name) else None
    return name if number is None else number


def _pairs_of(entry: Entry, numbers: Numbers) -> list[tuple[int, int]]:
    values = (("cost", entry.cost), ("elapsed", entry.elapsed))
    names = [numbers["type", entry.type], *([numbers["model", entry.model]] if entry.model else ())]
    return [(numbers[field, size_name(value)], name) for field, value in values if value is not None for name in names]
