"""The search language: what is read, what a mistake says and where, and that text, filters and chips are one state."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opstore.errors import InvalidQuery
from opstore.index.search_language import FIELDS, MAX_LENGTH, chips, corrected, parse, render, values, with_values
from opstore.index.suggestions import meant
from opstore.index.terms import And, Field, Not, Or, Phrase, Query, Span, Text, Word, days

DOCS = Path(__file__).resolve().parents[1] / "docs" / "search.md"


def test_words_fields_and_operators_are_read() -> None:
    found = parse('chat "bord de mer" -nuit plag* (soir OR aube) type:text_to_image,unknown -(a b)')
    assert found == Query(
        And(
            (
                Word("chat"),
                Phrase("bord de mer"),
                Not(Word("nuit")),
                Word("plag", prefix=True),
                Or((Word("soir"), Word("aube"))),
                Field("type", (Text("text_to_image"), Text("unknown"))),
                Not(And((Word("a"), Word("b")))),
            )
        )
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rating:4", Span("4", "4")),
        ("rating:>=4", Span("4", None)),
        ("cost:>0.10", Span("0.1", None, above=True)),
        ("elapsed:<60", Span(None, "60", below=True)),
        ("elapsed:<=1.50", Span(None, "1.5")),
        ("inputs:2..", Span("2", None)),
        ("inputs:..2", Span(None, "2")),
        ("confidence:0.5..0.7", Span("0.5", "0.7")),
        ("date:2025-11..2025-12", Span("2025-11", "2025-12")),
        ("DATE:Today", Span("today", "today")),
        ("date:7d", Span("7d", "7d")),
        ("favorite:true", Text("yes")),
        ("tag:“bord de mer”", Text("bord de mer")),
        ('tag:"bord de"*', Text("bord de", prefix=True)),
        ("model:qwen*", Text("qwen", prefix=True)),
        ("id:202511", Text("202511", prefix=True)),
        ("id:20251103143022_ABC123DE", Text("20251103143022_abc123de")),
        ("seed:42", Text("42")),
        ("seed:007", Text("7")),
        ("seed:18446744073709551615", Text("18446744073709551615")),
        ("seed:*", Text("", prefix=True)),
        ("size:1024x768", Text("1024x768")),
        ("size:1024X0768", Text("1024x768")),
        ("size:1024×768", Text("1024x768")),
        ('size:"1024 x 768"', Text("1024x768")),
        ("size:1024*", Text("1024", prefix=True)),
        ("size:1024×*", Text("1024x", prefix=True)),
        ("size:*", Text("", prefix=True)),
        ("size:Landscape", Text("landscape")),
        ("parent:20251103143022_abc123", Text("20251103143022_abc123")),
    ],
)
def test_a_value_is_read(text: str, value: Text | Span) -> None:
    root = parse(text).root
    assert isinstance(root, Field) and root.values == (value,)
    assert parse(render(Query(root))).root == root


@pytest.mark.parametrize("text", ["16:9 ratio", "l'eau", "semi-réaliste", '"style: anime"', "a--b", "ormeau", "or*pheline*"[:3]])
def test_ordinary_words_are_words(text: str) -> None:
    assert parse(render(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "start", "length", "words"),
    [
        ("chat style:anime", 5, 6, "there is no field 'style'"),
        ("chat ratng:5", 5, 6, "did you mean rating:?"),
        ("étiquette:mer", 0, 10, "did you mean tag:?"),
        ("mer untagged:yes", 4, 9, "did you mean -tagged:?"),
        ("mer status:sotred", 11, 6, "did you mean stored?"),
        ("status:done", 7, 4, 'it is one of stored, failed, canceled, aborted, expired, unknown, "result missing"'),
        ("batch:2025*", 6, 5, "takes a whole name, or a star for any: batch:*"),
        ("cost:>0,1", 5, 4, "decimals follow a point: cost:>0.1"),
        ("mer cost:0.1..0,5", 9, 8, "decimals follow a point: cost:0.1..0.5"),
        ("confidence:<=1,0 mer", 11, 5, "decimals follow a point"),
        ("chat or", 5, 2, "must follow"),
        ("or chat", 0, 2, "must stand before"),
        ("chat (or mer)", 6, 2, "must stand before"),
        ("chat -", 5, 1, "minus"),
        ("chat - mer", 5, 1, "minus"),
        ("(chat", 0, 1, "never closed"),
        ("chat (", 5, 1, "never closed"),
        ("chat) mer", 4, 1, "closes nothing"),
        ("chat ()", 5, 2, "nothing between"),
        ('"chat', 0, 1, "never closed"),
        ('chat ""', 5, 2, "no word"),
        ("chat 🦊", 5, 1, "no letter or digit"),
        ("p*", 0, 2, "two letters"),
        ("ch*t", 2, 1, "end of a word"),
        ("rating:gut", 7, 3, "takes a number"),
        ("rating:", 7, 0, "a value must follow"),
        ("tag:a,", 6, 0, "a value must follow"),
        ("favorite:maybe", 9, 5, "yes or no"),
        ("date:2025-13", 5, 7, "day, month or year"),
        ("date:2025-02-30", 5, 10, "day, month or year"),
        ("date:2025-12..2025-11", 5, 16, "ends before it begins"),
        ("cost:3..2", 5, 4, "ends before it begins"),
        ("cost:..", 5, 2, "at least one end"),
        ("id:abc", 3, 3, "takes an id"),
        ("parent:2025", 7, 4, "takes an id"),
        ("seed:-7", 5, 2, "takes a whole number, as in seed:42"),
        ("seed:42*", 5, 3, "takes a whole number"),
        ("seed:7.0", 5, 3, "takes a whole number"),
        ("seed:18446744073709551616", 5, 20, "takes a whole number"),
        ("graine:42", 0, 7, "did you mean seed:?"),
        ("mer size:1024", 9, 4, "did you mean 1024x*?"),
        ("size:squar", 5, 5, "did you mean square?"),
        ("size:large", 5, 5, "takes pixels or a shape, as in size:1024x768"),
        ("a\0b", 1, 1, "cannot be searched"),
        ("\ud800", 0, 1, "cannot be searched"),
        ("(" * 40 + "a", 30, 1, "nested"),
        ("a " * 101, 200, 1, "more than 100"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH, 1, "more than 2000"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, start: int, length: int, words: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse(text)
    details = caught.value.details
    assert (details["position"], details["length"]) == (start, length)
    assert words in str(caught.value) and caught.value.status == 400


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("chat ratng:5 mer", "chat rating:5 mer"),
        ("étiquette:mer", "tag:mer"),
        ("mer status:stored,sotred", "mer status:stored,stored"),
        ('status:"reslt missing"', 'status:"result missing"'),
        ("mer cost:0.1..0,5 -nuit", "mer cost:0.1..0.5 -nuit"),
        ("size:640x480,1024 mer", "size:640x480,1024x* mer"),
        ("size:portait", "size:portrait"),
        ("rating:gut", None),
        ("xyzzy:1", None),
        ("chat (", None),
    ],
)
def test_what_was_probably_meant_is_a_search_to_click(text: str, wanted: str | None) -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse(text)
    assert corrected(text, caught.value) == wanted
    assert wanted is None or parse(wanted)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2025", date(2025, 1, 1), date(2026, 1, 1)),
        ("2025-12", date(2025, 12, 1), date(2026, 1, 1)),
        ("2024-02-29", date(2024, 2, 29), date(2024, 3, 1)),
        ("today", date(2025, 11, 3), date(2025, 11, 4)),
        ("yesterday", date(2025, 11, 2), date(2025, 11, 3)),
        ("7d", date(2025, 10, 28), date(2025, 11, 4)),
        (">2025-11", date(2025, 12, 1), None),
        ("<2025-11", None, date(2025, 11, 1)),
        ("<=2025-11", None, date(2025, 12, 1)),
        ("2025-11..today", date(2025, 11, 1), date(2025, 11, 4)),
        ("9999", date(9999, 1, 1), None),
    ],
)
def test_dates_are_days(text: str, low: date | None, high: date | None) -> None:
    root = parse(f"date:{text}").root
    assert isinstance(root, Field) and isinstance(root.values[0], Span)
    assert days(root.values[0], date(2025, 11, 3)) == (low, high)


PIECES = st.sampled_from(
    [
        *(f"{name}:" for name in FIELDS),
        *'()"-*,:<>=. ',
        "or",
        "..",
        "chat",
        "été",
        "2025-11",
        "7d",
        ">=",
        "4",
        "yes",
        "16:9",
        "1024x768",
        "1024",
        "square",
        "«",
        "🦊",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40)


@given(TEXTS)
def test_any_text_is_read_or_refused_at_a_place(text: str) -> None:
    try:
        query = parse(text)
    except InvalidQuery as error:
        position, length = error.details["position"], error.details["length"]
        assert 0 <= position <= len(text) and 0 <= length <= len(text) - position
        return
    assert parse(render(query)) == query
    assert len(chips(text)) == (0 if query.root is None else len(query.root.nodes) if isinstance(query.root, And) else 1)
    for _, rest in chips(text):
        parse(rest)


NAMES = st.text(st.characters(exclude_characters='"“”„«»*\0', exclude_categories=("C", "Z")) | st.just(" "), min_size=1).map(
    lambda text: " ".join(text.split())
)
WANTED = st.one_of(
    st.tuples(st.sampled_from(["tag", "model", "type"]), st.lists(NAMES.filter(bool), max_size=4, unique=True)),
    st.tuples(st.just("rating"), st.lists(st.sampled_from(["1", "5", ">=4", "<2", "2..3", "<=4"]), max_size=3, unique=True)),
    st.tuples(
        st.just("date"),
        st.lists(st.sampled_from(["2025", "2025-11", "7d", ">today", "2024..2025-01-31"]), max_size=3, unique=True),
    ),
    st.tuples(st.just("seed"), st.lists(st.sampled_from(["7", "42", str(2**64 - 1), "*"]), max_size=3, unique=True)),
    st.tuples(st.just("size"), st.lists(st.sampled_from(["1024x768", "1024*", "*", "square"]), max_size=3, unique=True)),
    st.tuples(st.just("favorite"), st.lists(st.sampled_from(["yes", "no"]), max_size=2, unique=True)),
)


@given(TEXTS, WANTED)
def test_filters_and_text_are_one_state(text: str, wanted: tuple[str, list[str]]) -> None:
    try:
        parse(text)
    except InvalidQuery:
        text = "chat (mer or plage) -tag:x tag:a"
    field, asked = wanted
    changed = with_values(text, field, asked)
    assert values(changed, field) == tuple(asked)
    assert with_values(changed, field, values(changed, field)) == changed  # setting what is set changes nothing
    others = [name for name in FIELDS if name != field]
    assert [values(changed, name) for name in others] == [values(text, name) for name in others]


@pytest.mark.parametrize("text", ["cost:>5,1", "rating:>0,1", "elapsed:<=60,90", "status:fail*", "error:rate-limit,rate_limit"])
def test_what_makes_sense_is_no_mistake(text: str) -> None:
    assert parse(render(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("chat AND mer", "chat mer"),
        ("(chat AND mer) or plage NOT nuit", "chat mer or plage -nuit"),
        ("mer NOT type:text_to_imge", "mer -type:text_to_image"),
        ("tag:mountans,sea mer", "tag:mountains,sea mer"),
        ("model:qwen-imag", "model:qwen/qwen-image"),
        ("tag:mount* and", None),
        ("tag:quite-another", None),
        ("NOT", None),
        ("", None),
    ],
)
def test_what_was_perhaps_meant_is_proposed(text: str, better: str | None) -> None:
    known = {"tag": ["sea", "mountains"], "type": ["text_to_image"], "model": ["qwen/qwen-image"], "status": ["stored"]}
    assert meant(text, known) == better


def test_a_filter_keeps_its_place_and_leaves_what_is_negated() -> None:
    assert with_values('chat tag:a "x y" -tag:b', "tag", ["c", "d e"]) == 'chat tag:c,"d e" "x y" -tag:b'
    assert with_values("chat tag:a mer", "tag", []) == "chat mer"
    assert with_values("chat or mer", "rating", [">=4"]) == "(chat or mer) rating:>=4"
    assert values("tag:a -tag:b (tag:c or tag:d)", "tag") == ("a",)
    with pytest.raises(InvalidQuery):
        with_values("chat", "rating", ["many"])


def test_chips_are_the_parts_of_a_search() -> None:
    assert chips("chat (soir or aube) -tag:x") == [
        ("chat", "(soir or aube) -tag:x"),
        ("soir or aube", "chat -tag:x"),
        ("-tag:x", "chat (soir or aube)"),
    ]
    assert chips("") == []


def test_every_example_of_the_page_on_searching_is_one() -> None:
    page = DOCS.read_text("utf-8")
    examples = re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)
    assert len(examples) > 20
    for example in examples:
        parse(example.replace("\\|", "|"))
