"""The one search language, of the search box, the address, the command line and the HTTP interface; pure.

    chat "bord de mer" -nuit plage* (soir or aube) type:text_to_image rating:>=4 date:2025-11..2025-12

`parse` reads it, or raises InvalidQuery that points at the mistake; `render` writes it, and `parse(render(q)) == q`. Filters,
chips, the text and the address are one state: the text. `values`, `with_values` and `chips` read and change it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NoReturn

from opstore.errors import InvalidQuery, Said, said
from opstore.index.terms import (
    ANY,
    CALLED,
    FIELDS,
    QUOTES,
    UNITS,
    VALUE_END,
    And,
    Field,
    Node,
    Not,
    Or,
    Phrase,
    Query,
    Span,
    Text,
    Word,
    Wrong,
    fold,
    nearest,
    render,
    span_text,
    unquoted,
    value_of,
)

__all__ = [
    "FIELDS",
    "Query",
    "can_ask",
    "chips",
    "corrected",
    "excluded",
    "narrowed",
    "parse",
    "render",
    "values",
    "with_values",
    "with_words",
]

#: Longer than any search a person types; an address may hold 2,000 characters.
MAX_LENGTH = 2_000
#: Words and values in one search; each costs the engine a walk of its own.
MAX_TERMS = 100
MAX_DEPTH = 30

_QUOTES = str.maketrans(dict.fromkeys(QUOTES, '"'))
_FIELD = re.compile(r"([^\W\d_]+):")
#: A bound at the end of a value, and what would be its decimals.
_BOUND = re.compile(r"(?:[<>]=?|[0-9.]*\.\.)(?P<number>[0-9]{1,12})")
_DECIMALS = re.compile(r",([0-9]{1,12})(?=[\s()]|\Z)")
_WORD_END = re.compile(r'[\s()"]')


# -- reading -------------------------------------------------------------------------------------------------------------


def parse(text: str) -> Query:
    """Read a search; raise InvalidQuery with `reason`, `position` and `length` for one that cannot be read."""
    return _Parser(text).whole()


class _Parser:
    """Walks through the text once, by recursive descent: or < and < not < one term."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            self.text = text
            self.fail(said("it has more than {limit} characters", limit=MAX_LENGTH), MAX_LENGTH, len(text) - MAX_LENGTH)
        self.text = text.translate(_QUOTES)
        self.at = 0
        self.depth = 0
        self.terms = 0
        for position, character in enumerate(text):
            if unicodedata.category(character) == "Cs" or character == "\0":
                self.fail(said("this character cannot be searched for"), position, 1)

    def fail(self, reason: str, position: int, length: int) -> NoReturn:
        start = min(max(position, 0), len(self.text))
        raise InvalidQuery(reason=reason, position=start, length=max(min(length, len(self.text) - start), 0))

    def whole(self) -> Query:
        self.space()
        if self.at == len(self.text):
            return Query()
        root = self.any_of()
        if self.at < len(self.text):
            self.fail(said("this parenthesis closes nothing"), self.at, 1)
        return Query(root)

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def is_or(self) -> bool:
        """Say whether the word `or` stands here, as a word of its own."""
        end = self.at + 2
        return self.text[self.at : end].lower() == "or" and (end == len(self.text) or bool(_WORD_END.match(self.text, end)))

    def any_of(self) -> Node:
        nodes = [self.all_of()]
        while self.is_or():
            start = self.at
            self.at += 2
            self.space()
            if self.ends():
                self.fail(said("something must follow “or”; to search for the word itself, put it in quotes"), start, 2)
            nodes.append(self.all_of())
        flat = [part for node in nodes for part in (node.nodes if isinstance(node, Or) else (node,))]
        return flat[0] if len(flat) == 1 else Or(tuple(flat))

    def ends(self) -> bool:
        return self.at == len(self.text) or self.text[self.at] == ")"

    def all_of(self) -> Node:
        nodes: list[Node] = []
        while not self.ends() and not self.is_or():
            nodes.append(self.one())
            self.space()
        if not nodes:  # only an `or` can stand here: the callers have looked for the end
            self.fail(said("something must stand before “or”; to search for the word itself, put it in quotes"), self.at, 2)
        flat = [part for node in nodes for part in (node.nodes if isinstance(node, And) else (node,))]
        return flat[0] if len(flat) == 1 else And(tuple(flat))

    def one(self) -> Node:
        start = self.at
        if self.text[start] == "-":
            return self.negated(start)
        if self.text[start] == "(":
            return self.group(start)
        self.terms += 1
        if self.terms > MAX_TERMS:
            self.fail(said("it has more than {limit} words and fields", limit=MAX_TERMS), start, 1)
        if self.text[start] == '"':
            return self.phrase()
        named = _FIELD.match(self.text, start)
        return self.field(named) if named else self.word()

    def negated(self, start: int) -> Node:
        self.at += 1
        if self.ends() or self.text[self.at].isspace():
            self.fail(said("something must follow the minus at once: -night"), start, 1)
        self.deeper(start)
        node = self.one()
        self.depth -= 1
        return node.node if isinstance(node, Not) else Not(node)

    def deeper(self, start: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(said("it is nested more than {limit} levels deep", limit=MAX_DEPTH), start, 1)

    def group(self, start: int) -> Node:
        self.at += 1
        self.deeper(start)
        self.space()
        if self.ends():
            empty = self.at < len(self.text)
            reason = said("there is nothing between the parentheses") if empty else said("this parenthesis is never closed")
            self.fail(reason, start, self.at + 1 - start if empty else 1)
        node = self.any_of()
        if self.at == len(self.text):
            self.fail(said("this parenthesis is never closed"), start, 1)
        self.at += 1
        self.depth -= 1
        return node

    def quoted(self) -> str:
        """Read from one quotation mark to the next."""
        start = self.at
        end = self.text.find('"', start + 1)
        if end < 0:
            self.fail(said("this quotation mark is never closed"), start, 1)
        self.at = end + 1
        return self.text[start + 1 : end]

    def phrase(self) -> Node:
        start = self.at
        text = self.quoted()
        if not any(map(str.isalnum, text)):
            self.fail(said("there is no word between these quotation marks"), start, self.at - start)
        return Phrase(" ".join(text.split()))

    def word(self) -> Node:
        start = self.at
        found = _WORD_END.search(self.text, start)
        self.at = found.start() if found else len(self.text)
        text = self.text[start : self.at]
        bare = text.removesuffix("*")
        if "*" in bare:
            self.fail(said("the star goes to the end of a word: plag*"), start + text.index("*"), 1)
        if not any(map(str.isalnum, bare)):
            self.fail(said("there is no letter or digit in this word"), start, len(text))
        if bare != text and (sum(map(str.isalnum, bare)) < 2 or not bare[-2:].isalnum()):
            self.fail(said("at least two letters must stand before the star"), start, len(text))
        # Written without quotes it would be the operator.
        return Phrase(text) if text.lower() == "or" else Word(bare, bare != text)

    def field(self, named: re.Match[str]) -> Node:
        name = named[1].lower()
        if name not in FIELDS:
            self.fail(_no_field(named[1]), named.start(), len(named[0]))
        self.at = named.end()
        values = [self.value(name)]
        while self.at < len(self.text) and self.text[self.at] == ",":
            self.at += 1
            values.append(self.value(name))
        if len(values) > MAX_TERMS:
            self.fail(said("it has more than {limit} words and fields", limit=MAX_TERMS), named.start(), len(named[0]))
        return Field(name, tuple(dict.fromkeys(values)))

    def no_decimals(self, name: str, start: int) -> None:
        """Fail where a comma begins the decimals of a bound: `>0,1` would ask for what is above 0, or 1, which is above 0."""
        bound, decimals = _BOUND.fullmatch(self.text, start, self.at), _DECIMALS.match(self.text, self.at)
        if name in UNITS and bound and decimals:
            low, other = int(bound["number"]), int(decimals[1])
            if low == 0 or (other >= low if ">" in bound[0] else other <= low):
                better = f"{name}:{bound[0]}.{decimals[1]}"
                self.fail(said("decimals follow a point: {better}", better=better), start, decimals.end() - start)

    def value(self, name: str) -> Text | Span:
        start = self.at
        if self.text[start : start + 1] == '"':
            text = self.quoted()
            prefix = self.text[self.at : self.at + 1] == "*"
            self.at += prefix
        else:
            found = VALUE_END.search(self.text, start)
            self.at = found.start() if found else len(self.text)
            text = self.text[start : self.at]
            text, prefix = text.removesuffix("*"), text.endswith("*")
            self.no_decimals(name, start)
        if not text.strip() and not (prefix and name in ANY):
            self.fail(said("a value must follow {name}:", name=name), start, max(self.at - start, 1))
        try:
            return value_of(name, text.strip(), prefix)
        except Wrong as wrong:
            return self.fail(wrong.reason, start, self.at - start)


def corrected(text: str, mistake: InvalidQuery) -> str | None:
    """Return the search with what was probably meant in the place of the mistake, None if nobody can tell."""
    details = getattr(mistake.details.get("reason"), "details", {})
    better = details.get("better")
    meant = str(better).partition(":")[2] if better else details.get("meant")
    at, length = mistake.details.get("position"), mistake.details.get("length")
    if not isinstance(meant, str) or not isinstance(at, int) or not isinstance(length, int):
        return None
    before = text[:at]
    if meant.startswith("-") and before.endswith("-"):  # what is not what is not so
        before, meant = before[:-1], meant[1:]
    return before + meant + text[at + length :]


def _no_field(name: str) -> Said:
    """Say that there is no such field, and which one is probably meant; `name` is letters only."""
    quoted, found = f"'{name[:40]}'", CALLED.get(fold(name)) or nearest(name, FIELDS)
    if found:
        return said(
            "there is no field {name}; did you mean {meant}? A text with a colon goes into quotes", name=quoted, meant=f"{found}:"
        )
    return said(
        "there is no field {name}; there are {names}. A text with a colon goes into quotes", name=quoted, names=tuple(FIELDS)
    )


# -- one state with filters and chips ------------------------------------------------------------------------------------


def _parts(query: Query) -> tuple[Node, ...]:
    """Return what must all hold, at the top."""
    if query.root is None:
        return ()
    return query.root.nodes if isinstance(query.root, And) else (query.root,)


def _joined(parts: Sequence[Node]) -> Query:
    return Query(None if not parts else parts[0] if len(parts) == 1 else And(tuple(parts)))


def values(text: str, field: str) -> tuple[str, ...]:
    """Return the values that a search asks of a field, of the terms at its top that are not negated."""
    return tuple(dict.fromkeys(_said(value) for term in _terms(parse(text), field) for value in term.values))


def _terms(query: Query, field: str) -> Iterator[Field]:
    return (part for part in _parts(query) if isinstance(part, Field) and part.name == field)


def _said(value: Text | Span) -> str:
    return value.text + ("*" if value.prefix else "") if isinstance(value, Text) else span_text(value)


def with_values(text: str, field: str, wanted: Sequence[str]) -> str:
    """Return the search with exactly these values asked of a field, any of them; with none the field is asked for nothing.

    A star at the end of a value means what begins with it; quotation marks in it do not count. Raise InvalidQuery for a value
    that the field cannot have.
    """
    parts = _parts(parse(text))
    term = [Field(field, tuple(dict.fromkeys(_checked(field, value) for value in wanted)))] if wanted else []
    places = [number for number, part in enumerate(parts) if isinstance(part, Field) and part.name == field]
    kept = [part for part in parts if not (isinstance(part, Field) and part.name == field)]
    place = places[0] if places else len(parts)
    return render(_joined([*kept[:place], *term, *kept[place:]]))


def can_ask(field: str, name: str) -> bool:
    """Say whether a search can ask for a stored name: one of blanks, or with half a character, can stand in none."""
    try:
        return bool(parse(with_values("", field, [name])).root)
    except InvalidQuery:
        return False


def narrowed(text: str, field: str, wanted: Sequence[Text | Span], without: Sequence[Text | Span] = ()) -> str:
    """Return a search that finds of what `text` finds that which has one of these values of a field, and none of `without`.

    It never finds more: what `text` asks of the field stays, unless that is a choice of names of which these are some.
    """
    parts, term = list(_parts(parse(text))), Field(field, tuple(wanted))
    mine = [part for part in parts if isinstance(part, Field) and part.name == field]
    if len(mine) == 1 and set(term.values) <= set(mine[0].values):
        parts[parts.index(mine[0])] = term
    elif term not in parts:
        parts.append(term)
    return excluded(render(_joined(parts)), field, without)


def excluded(text: str, field: str, without: Sequence[Text | Span]) -> str:
    """Return a search that finds of what `text` finds that which has none of these values of a field."""
    return render(_joined([*_parts(parse(text)), Not(Field(field, tuple(without)))])) if without else text


def with_words(text: str, words: str) -> str:
    """Return a search that finds of what `text` finds that which has these words, one after the other."""
    node = Word(words) if words.isalnum() and words.lower() != "or" else Phrase(unquoted(words))
    return render(_joined([*_parts(parse(text)), node]))


def _checked(field: str, value: str) -> Text | Span:
    text = unquoted(value) if FIELDS[field] == "name" else value.strip()
    try:
        if not text:
            raise Wrong(said("a value must follow {name}:", name=field))
        bare = text.removesuffix("*")
        if not bare and field not in ANY:
            raise Wrong(said("something must stand before the star"))
        return value_of(field, bare, bare != text)
    except Wrong as wrong:
        raise InvalidQuery(reason=wrong.reason, position=0, length=0) from None


def chips(text: str) -> list[tuple[str, str]]:
    """Return each part of a search as it is written, with the search that is left without it."""
    parts = _parts(parse(text))
    return [(render(Query(part)), render(_joined([*parts[:at], *parts[at + 1 :]]))) for at, part in enumerate(parts)]
