"""What a search consists of: its nodes, the fields and their values, how they are compared and how they are written; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from opstore.errors import said, shown
from opstore.index.field_entry import Values
from opstore.index.fields import SEARCHES, TABLE
from opstore.index.prompts import spelt
from opstore.storage.operation import MAX_SEED

#: Every field, and what its values are.
FIELDS: dict[str, Values] = {name: search.values for name, search in SEARCHES.items()}
#: Numbers that are not only whole, kept as whole multiples of a unit.
UNITS = {field.search.name: field.kept.unit for field in TABLE if field.search and field.kept and field.kept.unit > 1}
#: What is to be written for what people of other searches, or of another language, write; none of it is taken as it is.
CALLED = {called: name for name, search in SEARCHES.items() for called in search.called} | {
    denied: f"-{name}" for name, search in SEARCHES.items() for denied in search.denied
}
#: All of these are quotation marks: keyboards and word processors choose for people.
QUOTES = '"“”„«»'
_UNQUOTED = str.maketrans(dict.fromkeys(QUOTES, " "))
VALUE_END = re.compile(r'[\s(),"]')
_NUMBER = re.compile(r"\A-?[0-9]{1,12}(?:\.[0-9]{1,9})?\Z")
_DATE = re.compile(r"\A(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?\Z")
_AGO = re.compile(r"\A[0-9]{1,4}d\Z")
_ID = re.compile(r"\A[0-9]{14}_[0-9a-f]{6,8}\Z")
_ID_START = re.compile(r"\A(?:[0-9]{4,14}|[0-9]{14}_[0-9a-f]{0,8})\Z")
#: Han, kana and Hangul: written without spaces between words, or with endings that are parts of the word.
_UNSPACED = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
#: Pictures of the planes after Unicode 6.1, the tables that SQLite's tokenizer has: to it, what it does not know is a letter.
_SIGNS = re.compile("[\U0001f000-\U0001fbff]")
_SEED = re.compile(r"\A[0-9]{1,20}\Z")
_SIZE = re.compile(r"\A([0-9]{1,16})x([0-9]{1,16})\Z")
_SIZE_START = re.compile(r"\A[0-9]{1,16}(?:x[0-9]{0,16})?\Z")
_TIMES = re.compile(r"\s*[x×✕✖*]\s*(?=[0-9]|\Z)")
#: What a size may be called, by the signs of width less height.
SHAPES = {"landscape": 1, "portrait": -1, "square": 0}
_FLAGS = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
#: Fields of which a star alone asks whether they have anything at all.
ANY = [name for name, search in SEARCHES.items() if search.may_be_any]


# -- what a search is ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the prompt, or with `prefix` the beginning of one."""

    text: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words of the prompt that follow each other."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A field's value that is a name; with `prefix` what it begins with."""

    text: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A field's value that is a number or a date, from `low` to `high`, as they are written; None: no end on that side.

    `above` and `below` say that the bound itself is left out: `>4` is low 4, above.
    """

    low: str | None
    high: str | None
    above: bool = False
    below: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field that has one of the values."""

    name: str
    values: tuple[Text | Span, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """What does not match."""

    node: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two."""

    nodes: tuple[Node, ...]


Node = Word | Phrase | Field | Not | And | Or


@dataclass(frozen=True, slots=True)
class Query:
    """A whole search; without a root it finds everything."""

    root: Node | None = None


# -- values --------------------------------------------------------------------------------------------------------------


class Wrong(ValueError):
    """A value that its field cannot have; the parser knows where it stands."""

    def __init__(self, reason: str) -> None:
        """Keep the `reason`, a sentence for a person."""
        super().__init__(reason)
        self.reason = reason


def value_of(name: str, text: str, prefix: bool = False) -> Text | Span:
    """Return a field's value from its text, or raise Wrong; with `prefix` a star followed it."""
    kind = FIELDS[name]
    if kind == "name":
        return _name(name, Text(text, prefix))
    if kind in ("seed", "size"):
        return (_seed if kind == "seed" else _size)(name, text.lower(), prefix)
    if prefix:
        text += "*"
    if kind == "flag":
        if text.lower() not in _FLAGS:
            raise Wrong(said("{name}: takes yes or no", name=name))
        return Text(_FLAGS[text.lower()])
    if kind == "id":
        return _id_value(name, text.lower())
    return _span(name, text.lower())


def _name(name: str, value: Text) -> Text:
    """Return a name; one that is none of all there are is a mistake, if these are known. A batch is found by its whole name."""
    if name == "batch" and value.prefix and value.text:
        raise Wrong(said("{name}: takes a whole name, or a star for any: {name}:*", name=name))
    names = SEARCHES[name].names
    if names and not any(matches(name, value, known) for known in names):
        found, details = nearest(value.text, names), {"name": name, "value": shown(value.text)}
        if found:
            raise Wrong(said("{name}: is never {value}; did you mean {meant}?", **details, meant=value_text(Text(found))))
        raise Wrong(
            said("{name}: is never {value}; it is one of {names}", **details, names=tuple(map(value_text, map(Text, names))))
        )
    return value


def nearest(text: str, names: Iterable[str]) -> str | None:
    """Return the name that a text was probably meant to be, None if none is like it."""
    from difflib import get_close_matches  # nobody needs it who makes no mistake

    folded = {" ".join(re.split("[-_ ]+", fold(name))): name for name in names}
    found = get_close_matches(" ".join(re.split("[-_ ]+", fold(text))), folded, 1, 0.7)
    return folded[found[0]] if found else None


def _id_value(name: str, text: str) -> Text:
    bare = text.removesuffix("*")
    if _ID.match(bare) and (bare == text or name == "id"):
        return Text(bare, bare != text)
    if name == "id" and _ID_START.match(bare):
        return Text(bare, True)
    raise Wrong(said("{name}: takes an id like 20251103143022_abc123de", name=name))


def _seed(name: str, text: str, prefix: bool) -> Text:
    if prefix and not text:
        return Text("", True)
    if prefix or not _SEED.match(text) or int(text) > MAX_SEED:
        raise Wrong(said("{name}: takes a whole number, as in {name}:42, or a star for any: {name}:*", name=name))
    return Text(str(int(text)))


def _size(name: str, text: str, prefix: bool) -> Text:
    """Return a size as it is kept (1024x768), its beginning, or a shape."""
    text = _TIMES.sub("x", text)
    whole = _SIZE.match(text)
    if whole and not prefix:
        return Text(f"{int(whole[1])}x{int(whole[2])}")
    if prefix and (not text or _SIZE_START.match(text)):
        return Text(text, True)
    if text in SHAPES and not prefix:
        return Text(text)
    meant = f"{text.rstrip('x')}x*" if _SIZE_START.match(text) else nearest(text, SHAPES)
    if meant:
        raise Wrong(said("{name}: is never {value}; did you mean {meant}?", name=name, value=shown(text), meant=meant))
    raise Wrong(said("{name}: takes pixels or a shape, as in {name}:1024x768, {name}:1024x* or {name}:landscape", name=name))


def _span(name: str, text: str) -> Span:
    read = _day if FIELDS[name] == "date" else _number
    for sign, above, below in ((">=", False, False), ("<=", False, False), (">", True, False), ("<", False, True)):
        if text.startswith(sign):
            bound = read(name, text.removeprefix(sign))
            return Span(bound, None, above=above) if sign[0] == ">" else Span(None, bound, below=below)
    if ".." not in text:
        bound = read(name, text)
        return Span(bound, bound)
    first, _, last = text.partition("..")
    if not first and not last:
        raise Wrong(said("a range needs at least one end: 2.. or ..5"))
    low, high = (read(name, part) if part else None for part in (first, last))
    if low is not None and high is not None and _backwards(name, low, high):
        raise Wrong(said("this range ends before it begins"))
    return Span(low, high)


def _number(name: str, text: str) -> str:
    if not _NUMBER.match(text):
        raise Wrong(said("{name}: takes a number, as in {name}:2, {name}:>0.5 or {name}:1..3", name=name))
    number = float(text)
    return str(int(number)) if number.is_integer() else format(number, ".9f").rstrip("0")


def _day(name: str, text: str) -> str:
    if text in ("today", "yesterday") or _AGO.match(text):
        return text
    try:
        _days(text, date(2000, 1, 1))
    except ValueError:
        examples = said("2025-11-03, 2025-11, 2025, today, yesterday or 7d (the last seven days)")
        raise Wrong(said("{name}: takes a day, month or year: {examples}", name=name, examples=examples)) from None
    return text


def _backwards(name: str, low: str, high: str) -> bool:
    if FIELDS[name] != "date":
        return float(low) > float(high)
    if not (_DATE.match(low) and _DATE.match(high)):
        return False  # whether 2025-11..today goes forwards, tomorrow may decide
    end = _days(high, date.min)[1]
    return end is not None and _days(low, date.min)[0] >= end


def _days(text: str, today: date) -> tuple[date, date | None]:
    """Return the first day that a date's text means, and the day after the last, None at the end of the calendar."""
    if text == "today":
        return today, _later(today, 1)
    if text == "yesterday":
        return _later(today, -1) or today, today
    if _AGO.match(text):
        return _later(today, 1 - int(text[:-1])) or date.min, _later(today, 1)
    parts = _DATE.match(text)
    if parts is None:
        raise ValueError(text)
    year, month, day = int(parts["year"]), int(parts["month"] or 1), int(parts["day"] or 1)
    first = date(year, month, day)
    if parts["day"]:
        return first, _later(first, 1)
    months = year * 12 + month if parts["month"] else year * 12 + 12
    return first, date(months // 12, months % 12 + 1, 1) if months < 120_000 else None


def _later(day: date, days: int) -> date | None:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return None


def days(span: Span, today: date) -> tuple[date | None, date | None]:
    """Return the first day of a span of dates and the day after its last, None where it has no end there."""
    low = high = None
    if span.low is not None:
        first, end = _days(span.low, today)
        low = (end or date.max) if span.above else first
    if span.high is not None:
        first, end = _days(span.high, today)
        high = first if span.below else end
    return low, high


# -- folding -------------------------------------------------------------------------------------------------------------


def parted(text: str) -> str:
    """Return `text` with each letter of a script without spaces as a word of its own: 夕日 is found within 海辺の夕日.

    Signs such as 🦊 part words, as any other sign does.
    """
    return text if text.isascii() else _UNSPACED.sub(r" \g<0> ", _SIGNS.sub(" ", text))


def fold(text: str) -> str:
    """Return `text` without accents and in small letters: what is compared."""
    plain = "".join(part for part in unicodedata.normalize("NFKD", spelt(text)) if unicodedata.category(part) != "Mn")
    return unicodedata.normalize("NFKC", plain.casefold())


def unquoted(text: str) -> str:
    """Return a name without quotation marks: no search can contain them, so they do not count."""
    return " ".join(text.translate(_UNQUOTED).split())


def fold_name(field: str, text: str) -> str:
    """Return a field's value as it is compared; in types, statuses and errors `_`, `-` and a space are one."""
    folded = " ".join(fold(unquoted(text)).split())
    return re.sub(r"[-_ ]+", " ", folded).strip() if SEARCHES[field].is_loose else folded


def matches(field: str, value: Text, stored: str) -> bool:
    """Say whether a stored name is what the value asks for; a model is also found by what follows its owner."""
    if FIELDS[field] == "size":
        return _is_size(value, stored)
    wanted, has = fold_name(field, value.text), fold_name(field, stored)
    names = [has, has.rpartition("/")[2]] if field == "model" else [has]
    return any(name.startswith(wanted) if value.prefix else name == wanted for name in names)


def _is_size(value: Text, stored: str) -> bool:
    if value.prefix:
        return stored.startswith(value.text)
    if value.text in SHAPES:
        width, _, height = stored.partition("x")
        return (int(width) > int(height)) - (int(width) < int(height)) == SHAPES[value.text]
    return stored == value.text


# -- writing -------------------------------------------------------------------------------------------------------------


def render(query: Query) -> str:
    """Write a search so that `parse` reads the same one."""
    return "" if query.root is None else _render(query.root)


def _render(node: Node) -> str:
    if isinstance(node, Word):
        return node.text + ("*" if node.prefix else "")
    if isinstance(node, Phrase):
        return f'"{node.text}"'
    if isinstance(node, Field):
        return f"{node.name}:{','.join(_listed(node))}"
    if isinstance(node, Not):
        return f"-{_inside(node.node)}"
    if isinstance(node, And):
        return " ".join(f"({_render(part)})" if isinstance(part, Or) else _render(part) for part in node.nodes)
    return " or ".join(map(_render, node.nodes))


def _listed(node: Field) -> Iterator[str]:
    """Give the values of a field; one that would be read as the decimals of a bound before it stands in quotes."""
    before = ""
    for value in map(value_text, node.values):
        bound = before.startswith((">", "<")) or ".." in before
        yield f'"{value}"' if bound and value.isdigit() and node.name in UNITS else value
        before = value


def _inside(node: Node) -> str:
    return f"({_render(node)})" if isinstance(node, And | Or) else _render(node)


def value_text(value: Text | Span) -> str:
    """Write one value of a field."""
    if isinstance(value, Span):
        return span_text(value)
    plain = not VALUE_END.search(value.text) and not value.text.endswith("*")
    return (value.text if plain else f'"{value.text}"') + ("*" if value.prefix else "")


def span_text(span: Span) -> str:
    """Write a span of numbers or dates."""
    if span.low == span.high and span.low is not None:
        return span.low
    if span.high is None:
        return f"{'>' if span.above else '>='}{span.low}"
    if span.low is None:
        return f"{'<' if span.below else '<='}{span.high}"
    return f"{span.low}..{span.high}"
