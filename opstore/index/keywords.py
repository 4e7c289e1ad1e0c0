"""The marked words: what can be asked of an operation beside its prompt, as words of the full-text table. Pure.

Every row has one text there: the prompt, then a marked word for each thing that can be asked of it (type, tag, rating, parent
and so on), so that any mixture of words and fields is one walk through sorted lists. The text is a function of the row
(`text_of`): taking a row out needs exactly the text it was put in with.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from opstore.index.entry import KEPT, Entry
from opstore.index.field_entry import Mark
from opstore.index.fields import BY_NAME
from opstore.index.prompts import spelt
from opstore.index.terms import fold, parted
from opstore.storage.names import is_operation_id

#: Characters for private use count as letters and are taken out of prompts and searches, so that no prompt can pretend to be a
#: field. Each numbered name is one of them: a word of one letter costs nothing in the index of two-letter beginnings (12 bytes an
#: operation less). Before further numbers, and before what is no number, the first one stands twice: one such beginning.
_FIRST, _LAST = 0xE000, 0xF8FF
#: Each seed up to 32,767, which people write themselves and again and again, has a letter of its own; all others, which chance
#: gives once, share 4,096: whoever looks for one looks at some 250 rows of a million. A word for each would cost 20 bytes.
_SEEDS, _OWN, _SHARED = 0xF0000, 0x8000, 0x1000
_PRIVATE = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}{chr(_SEEDS)}-{chr(_SEEDS + _OWN + _SHARED - 1)}]")
_MARK = chr(_FIRST) * 2
_WORD = re.compile(r"[^\W_]+")


@functools.lru_cache(maxsize=10_000)
def size_name(value: int) -> str:
    """Return the name of a number's coarse size."""
    return str(bucket(value))


def bucket(value: int) -> int:
    """Return the coarse size of a number, four steps to each doubling; never less for a greater number."""
    if value <= 0:
        return -1 if value else 0
    return 1 + math.floor(4 * math.log2(value))


def span(size: int) -> tuple[int, int]:
    """Return the least and the greatest number of a coarse size, or a little beyond."""
    if size <= 0:
        return (0, 0) if size == 0 else (-(2**62), -1)
    return math.floor(2 ** ((size - 1) / 4)) - 1, math.ceil(2 ** (size / 4)) + 1


def plain(text: str) -> str:
    """Return a text as its words are looked for, without the mark: nobody's prompt can pretend to be a field."""
    text = spelt(text)
    try:
        text.encode("latin-1")  # most prompts are: a tenth of the time of a search
    except UnicodeEncodeError:
        return _PRIVATE.sub(" ", parted(text))
    return text


@functools.lru_cache(maxsize=10_000)
def name_word(number: int) -> str:
    """Return the marked word of a numbered name."""
    return chr(_FIRST + number) if number <= _LAST - _FIRST else f"{_MARK}{number}"


def parent_word(operation_id: str) -> str:
    """Return the marked word of an operation that is used as an input."""
    return f"{_MARK}p{operation_id.replace('_', '')}"


def batch_word(batch: str) -> str:
    """Return the marked word of a batch."""
    if is_operation_id(batch):
        return f"{_MARK}b{batch.replace('_', '')}"
    return f"{_MARK}h{blake2b(batch.encode(), digest_size=8).hexdigest()}"


def inputs_word(source: int) -> str:
    """Return the marked word of the operations that have the same inputs."""
    return f"{_MARK}s{source:x}"


def seed_word(seed: int) -> str:
    """Return the marked word of a seed, perhaps not its alone (`is_sure_seed`)."""
    return chr(_SEEDS + seed if seed < _OWN else _SEEDS + _OWN + (seed * 2_654_435_761 >> 16) % _SHARED)


def is_sure_seed(seed: int) -> bool:
    """Say whether no other seed has the same marked word."""
    return seed < _OWN


def note_words(note: str) -> list[str]:
    """Return the marked words of a note, in their order: they are not to be found among those of the prompt."""
    return [f"{_MARK}n{word}" for word in _WORD.findall(fold(parted(note)))]


def word_field(name: str) -> str:
    """Return the field under which the names of a kept field stand in `word`: as a search calls it."""
    search = BY_NAME[name].search
    return search.name if search else name


def _texts(mark: Mark, value: Any) -> Iterable[str]:
    """Return the names that say what a value is."""
    if mark == "names":
        return tuple(value)
    if mark == "none":  # rather than that there is one: nearly all have
        return ("none",) if value is None else ()
    if value is None or (not value and mark in ("name", "yes")):
        return ()
    return ("yes" if mark == "yes" else size_name(value) if mark == "coarse" else str(value),)


_MARKED = [(name, word_field(name), kept.mark) for name, kept in KEPT.items() if kept.mark]
#: Fields of which only the names are numbered.
UNMARKED = [name for name, kept in KEPT.items() if kept.form == "name" and not kept.mark]


def names_of(entry: Entry) -> list[tuple[str, str]]:
    """Return the field and name of everything that is asked for by a number: what `word` holds."""
    return [(field, text) for name, field, mark in _MARKED for text in _texts(mark, getattr(entry, name))]


def marks_of(words: Iterable[int]) -> str:
    """Return the marked words of names that have these numbers."""
    return " ".join(map(name_word, words))


def own_marks(entry: Entry) -> str:
    """Return the marked words of what has no number, a space before each: an entry's parents, batch, inputs, seed and note."""
    marked = [parent_word(parent) for parent in entry.parents] if entry.parents else []
    if entry.batch:
        marked.append(batch_word(entry.batch))
    if entry.source is not None:
        marked.append(inputs_word(entry.source))
    if entry.seed is not None:
        marked.append(seed_word(entry.seed))
    if entry.note:
        marked += note_words(entry.note)
    return f" {' '.join(marked)}" if marked else ""


def text_of(prompt: str, marks: str) -> str:
    """Return what stands in the full-text table."""
    return f"{plain(prompt)} {marks}"
