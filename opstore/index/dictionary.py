"""What operations have in common: all that is told by numbered names (type, status, tags, coarse sizes …), worked out once. Pure.

Some 18,000 of 100,000 operations differ in it. The numbers are those of one file of the index (`word`), where they never change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

from opstore.index.entry import KEPT, Entry
from opstore.index.keywords import bucket, marks_of, names_of, size_name, word_field
from opstore.index.row_lookup import NAMED

Numbers = Mapping[tuple[str, str], int]

#: Kinds that are remembered: 20 MB.
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """The numbers of an operation's names, and what is made of them: marked words, columns of its row.

    `pairs` are those of a coarse cost or time with a type or model; `numbers` those of `rows.NAMED`, several with spaces between.
    """

    words: tuple[int, ...]
    marks: str
    pairs: tuple[tuple[int, int], ...]
    numbers: tuple[int | str | None, ...]


class Kinds:
    """The kinds that have been met, by the names that `numbers` has."""

    def __init__(self, numbers: Numbers) -> None:
        """Look names up in `numbers`, which may be added to."""
        self._numbers = numbers
        self._known: dict[tuple[object, ...], Kind] = {}

    def of(self, entry: Entry) -> Kind:
        """Return the kind of an entry; raise KeyError where one of its names has no number yet."""
        key = (_same(entry), not entry.note, not entry.batch, entry.seed is None, *map(_size, _coarse(entry)))
        kind = self._known.get(key)
        if kind is None:
            kind = _kind_of(entry, self._numbers)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = kind
        return kind


def _kind_of(entry: Entry, numbers: Numbers) -> Kind:
    words = tuple(numbers[name] for name in names_of(entry))
    named = tuple(_number(name, getattr(entry, name), numbers) for name in NAMED)
    return Kind(words, marks_of(words), _pairs_of(entry, numbers), named)


def _number(field: str, value: str | tuple[str, ...] | None, numbers: Numbers) -> int | str | None:
    """Return the number of a field's name, or those of its names; None where it has none."""
    if not value:
        return None
    word = word_field(field)
    return numbers[word, value] if isinstance(value, str) else " ".join(str(numbers[word, name]) for name in value)


def _pairs_of(entry: Entry, numbers: Numbers) -> tuple[tuple[int, int], ...]:
    values = (("cost", entry.cost), ("elapsed", entry.elapsed))
    names = [numbers["type", entry.type], *([numbers["model", entry.model]] if entry.model else ())]
    return tuple((numbers[field, size_name(value)], name) for field, value in values if value is not None for name in names)


def _size(value: int | None) -> int | None:
    return None if value is None else bucket(value)


#: What makes a kind: numbers by their coarse size, note, batch and seed by whether they are there, all else as it is.
_COARSE = [name for name, kept in KEPT.items() if kept.mark == "coarse"]
_coarse = attrgetter(*_COARSE)
_same = attrgetter(
    *[name for name, kept in KEPT.items() if (kept.mark or name in NAMED) and name not in (*_COARSE, "note", "batch", "seed")]
)
