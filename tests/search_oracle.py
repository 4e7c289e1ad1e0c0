"""What a search must find, said a second time: slowly, row by row, without any code of the index but the parsed search."""

from __future__ import annotations

import functools
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from opstore.index import Row
from opstore.index.search_language import parse
from opstore.index.terms import And, Field, Node, Not, Or, Query, Span, Text, Word

NUMBERS = ("rating", "inputs", "cost", "elapsed", "confidence")


@functools.cache
def folded(text: str) -> str:
    """Small letters without accents; what is written as one letter and read as two is two."""
    for letter, two in {"œ": "oe", "æ": "ae", "ß": "ss"}.items():
        text = text.lower().replace(letter, two)
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")


@functools.cache
def tokens(text: str) -> tuple[str, ...]:
    """The words of a text."""
    spaced = "".join(f" {letter} " if is_unspaced(letter) else letter for letter in text)
    return tuple(re.findall(r"[^\W_]+", folded(spaced)))


def is_unspaced(letter: str) -> bool:
    """Whether a letter is of a script without spaces between words: each is a word of its own."""
    return unicodedata.name(letter, "").startswith(_UNSPACED)


_UNSPACED = ("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "HANGUL SYLLABLE")


def found(query: Query, row: Row, today: date) -> bool:
    """Say whether a search finds a row."""
    return query.root is None or holds(query.root, row, today)


def matching(text: str, rows: list[Row], today: date) -> list[Row]:
    """The rows that a search finds, in the order given."""
    query = parse(text)
    return [row for row in rows if found(query, row, today)]


def holds(node: Node, row: Row, today: date) -> bool:
    """Say whether a row is what a node asks for."""
    if isinstance(node, And):
        return all(holds(part, row, today) for part in node.nodes)
    if isinstance(node, Or):
        return any(holds(part, row, today) for part in node.nodes)
    if isinstance(node, Not):
        return not holds(node.node, row, today)
    if isinstance(node, Field):
        return any(has(node.name, value, row, today) for value in node.values)
    return in_row(tokens(node.text), tokens(row.prompt), isinstance(node, Word) and node.prefix)


def in_row(wanted: tuple[str, ...], words: tuple[str, ...], prefix: bool) -> bool:
    """Say whether the wanted words follow each other somewhere, the last perhaps only as a beginning."""
    size = len(wanted)
    for start in range(len(words) - size + 1):
        part = words[start : start + size]
        if part[:-1] == wanted[:-1] and (part[-1:] == wanted[-1:] or (prefix and part[-1].startswith(wanted[-1]))):
            return bool(wanted)
    return False


def has(name: str, value: Text | Span, row: Row, today: date) -> bool:
    """Say whether a row has a field's value."""
    if isinstance(value, Span):
        return dated(value, row.moment, today) if name == "date" else counted(value, getattr(row, name))
    if name in ("favorite", "overridden"):
        return bool(getattr(row, name)) == (value.text == "yes")
    if name in ("rated", "tagged"):
        return bool(row.rating if name == "rated" else row.tags) == (value.text == "yes")
    if name == "note":
        words = tokens(row.note or "")
        return bool(row.note) if value.prefix and not value.text else in_row(tokens(value.text), words, value.prefix)
    if name == "seed":
        return row.seed is not None and (value.prefix or row.seed == int(value.text))
    if name == "size":
        return sized(value, row.size)
    if name == "parent":
        return value.text in row.parents
    if name == "batch":
        return bool(row.batch_id) if value.prefix else row.batch_id == value.text
    if name == "id":
        return row.id.startswith(value.text) if value.prefix else row.id == value.text
    stored = row.tags if name == "tag" else (getattr(row, "error_kind" if name == "error" else name),)
    return any(named(name, value, text) for text in stored if text)


def named(name: str, value: Text, stored: str) -> bool:
    """Say whether a stored name is the one asked for."""

    def compared(text: str) -> str:
        text = " ".join(re.sub('["“”„«»]', " ", folded(text)).split())
        return re.sub(r"[-_ ]+", " ", text) if name in ("type", "status", "error") else text

    candidates = [compared(stored)]
    if name == "model":
        candidates.append(candidates[0].split("/")[-1])
    wanted = compared(value.text)
    return any(text.startswith(wanted) if value.prefix else text == wanted for text in candidates)


def sized(value: Text, size: str | None) -> bool:
    """Say whether a size in pixels is the one asked for, begins so, or has the shape."""
    if size is None:
        return False
    width, height = map(int, size.split("x"))
    shape = "square" if width == height else "landscape" if width > height else "portrait"
    return size.startswith(value.text) if value.prefix else value.text in (size, shape)


def counted(span: Span, number: float | None) -> bool:
    """Say whether a number lies in a span."""
    if number is None:
        return False
    exact = Fraction(str(number))
    low_fits = span.low is None or (exact > Fraction(span.low) if span.above else exact >= Fraction(span.low))
    high_fits = span.high is None or (exact < Fraction(span.high) if span.below else exact <= Fraction(span.high))
    return low_fits and high_fits


def dated(span: Span, moment: datetime, today: date) -> bool:
    """Say whether a moment lies in a span of days."""
    low = span.low is None or (moment > last(span.low, today) if span.above else moment >= first(span.low, today))
    high = span.high is None or (moment < first(span.high, today) if span.below else moment <= last(span.high, today))
    return low and high


def first(text: str, today: date) -> datetime:
    """The first moment of a day, month or year."""
    if text.endswith("d"):
        day = today - timedelta(int(text[:-1]) - 1)
    elif text.isalpha():
        day = {"today": today, "yesterday": today - timedelta(1)}[text]
    else:
        day = date.fromisoformat(text + "-01-01"[len(text) - 4 :] if len(text) < 10 else text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def last(text: str, today: date) -> datetime:
    """The last second of it."""
    start = first(text, today)
    if text.endswith("d"):
        return first("today", today) + timedelta(days=1, seconds=-1)
    days = {4: 366, 7: 31}.get(len(text), 1) if text[0].isdigit() else 1
    end = start + timedelta(days=days, seconds=-1)
    while len(text) in (4, 7) and text[0].isdigit() and not end.isoformat().startswith(text):
        end -= timedelta(days=1)
    return end


def ordered(rows: list[Row], order: str) -> list[Row]:
    """The rows in one of the orders that compare a value."""
    newest = sorted(rows, key=lambda row: row.id, reverse=True)
    if order == "newest":
        return newest
    if order == "oldest":
        return newest[::-1]

    def value(row: Row) -> Any:
        number = getattr(row, order)
        return (number is not None, number or 0)

    return sorted(newest, key=value, reverse=True)
