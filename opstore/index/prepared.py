"""Rows made ready to be written, by whoever has read the sidecars: all that takes time and needs no database. Pure.

The numbers of names are the database's (`word`): a row is made ready with those that are known, for the file they are known from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from opstore.index import order, same_bytes
from opstore.index.dictionary import Kind
from opstore.index.entry import Entry
from opstore.index.keywords import own_marks, text_of
from opstore.index.observed import Observed
from opstore.index.row_lookup import entry_of_row, values_of


class Ready(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is written for an operation: `values` are those of `row_lookup.COLUMNS` but the last, the prompt's number.

    `text` is that of the full-text table, `keys` tell what the files hold (`same_bytes`).
    """

    values: tuple[Any, ...]
    prompt: str
    text: str
    keys: tuple[int, ...]

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

    def entry(self, names: dict[int, str]) -> Entry:
        """Return what the row was made of, by the names of the numbers in it."""
        entry = entry_of_row((*self.values, None, self.prompt), names)
        return msgspec.structs.replace(entry, contents=tuple(same_bytes.code_in(key) for key in self.keys))


@dataclass(slots=True)
class Tally:
    """How often each numbered name is there, and each coarse cost or time with a type or model."""

    words: dict[int, int] = field(default_factory=dict)
    pairs: dict[tuple[int, int], int] = field(default_factory=dict)

    def count(self, kind: Kind, n: int = 1) -> None:
        """Count `n` more operations of a kind, or fewer."""
        for word in kind.words:
            self.words[word] = self.words.get(word, 0) + n
        for pair in kind.pairs:
            self.pairs[pair] = self.pairs.get(pair, 0) + n

    def join(self, other: Tally) -> None:
        """Add what another has counted."""
        for word, n in other.words.items():
            self.words[word] = self.words.get(word, 0) + n
        for pair, n in other.pairs.items():
            self.pairs[pair] = self.pairs.get(pair, 0) + n


@dataclass(slots=True)
class Part:
    """What was read of some operations: rows made ready, in numbers that `names` has; all others as they were read.

    `born` tells the file whose numbers these are.
    """

    ready: list[Ready] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    others: dict[str, Observed | None] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    born: int = 0

    def __len__(self) -> int:
        """Return how many operations it tells of."""
        return len(self.ready) + len(self.others)


def ready(entry: Entry, stamp: int, kind: Kind, at: int | None = None) -> Ready:
    """Return the row of an entry of a kind, for the place `at` or the one it would like."""
    wanted, key = order.place_of(entry.id)
    if at is not None and at != wanted:
        key = order.short_key(entry.id, at)
    values = (wanted if at is None else at, key, stamp, *values_of(entry, kind.numbers))
    keys = same_bytes.keys_of(entry.contents, wanted // order.WIDTH) if entry.contents else ()
    return Ready(values, entry.prompt, text_of(entry.prompt, kind.marks + own_marks(entry)), tuple(keys))
