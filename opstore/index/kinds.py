"""What operations have in common: all that is told by numbered names (type, status, tags, coarse sizes …), worked out once. Pure.

Some 18,000 of 100,000 operations differ in it. The numbers are those of one file of the index (`word`), where they never change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opstore.index.marks import bucket, marks_of, names_of, size_name
from opstore.index.table import Entry

Numbers = Mapping[tuple[str, str], int]

#: Kinds that are remembered: 20 MB.
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """The numbers of an operation's names, and what is made of them: marked words, columns of its row.

    `pairs` are those of a coarse cost or time with a type or model; `tags` are numbers with spaces between.
    """

    words: tuple[int, ...]
    marks: str
    pairs: tuple[tuple[int, int], ...]
    type: int
    status: int
    model: int | None
    provider: int | None
    tags: str | None
    currency: int | None
    error: int | None
    size: int | None


class Kinds:
    """The kinds that have been met, by the names that `numbers` has."""

    def __init__(self, numbers: Numbers) -> None:
        """Look names up in `numbers`, which may be added to."""
        self._numbers = numbers
        self._known: dict[tuple[object, ...], Kind] = {}

    def of(self, entry: Entry) -> Kind:
        """Return the kind of an entry; raise KeyError where one of its names has no number yet."""
        cost, elapsed, confidence = entry.cost, entry.elapsed, entry.confidence
        key = (
            *(entry.type, entry.status, entry.model, entry.provider, entry.inputs, entry.error, entry.tags, entry.rating),
            *(entry.favorite, entry.overridden, entry.currency, bool(entry.note)),
            *(entry.seed is None, entry.size),
            None if cost is None else bucket(cost),
            None if elapsed is None else bucket(elapsed),
            None if confidence is None else bucket(confidence),
        )
        found = self._known.get(key)
        if found is None:
            found = _kind_of(entry, self._numbers)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = found
        return found


def _kind_of(entry: Entry, numbers: Numbers) -> Kind:
    def number(field: str, name: str | None) -> int | None:
        return numbers[field, name] if name else None

    words = tuple(numbers[name] for name in names_of(entry))
    return Kind(
        words=words,
        marks=marks_of(words),
        pairs=_pairs_of(entry, numbers),
        type=numbers["type", entry.type],
        status=numbers["status", entry.status],
        model=number("model", entry.model),
        provider=number("provider", entry.provider),
        tags=" ".join(str(numbers["tag", tag]) for tag in entry.tags) or None,
        currency=number("currency", entry.currency),
        error=number("error", entry.error),
        size=number("size", entry.size),
    )


def _pairs_of(entry: Entry, numbers: Numbers) -> tuple[tuple[int, int], ...]:
    values = (("cost", entry.cost), ("elapsed", entry.elapsed))
    names = [numbers["type", entry.type], *([numbers["model", entry.model]] if entry.model else ())]
    return tuple((numbers[field, size_name(value)], name) for field, value in values if value is not None for name in names)
