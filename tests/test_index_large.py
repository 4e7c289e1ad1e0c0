"""What the index does in large libraries only, with thresholds so low that a small one is large: the answers stay the same."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opstore.index import Count, Index, Row, beginnings
from opstore.index.beginnings import Beginnings, long_beginning
from opstore.index.keywords import bucket, span
from opstore.index.prompts import spelt
from tests.examples import some
from tests.index_samples import TODAY, Queries, all_rows, clock, folder_of, plant, rows_of
from tests.search_oracle import matching, ordered

SEARCHES = (
    *("", "chat", "chat*", "-pla*", "nui* cost:>0", "chat* or cost:>0.1", "cost:>=0 or mer", "-cost:>0.1", "elapsed:>60 -chat"),
    *(
        "type:text_to_image",
        "model:wan",
        "-status:failed",
        "plag* rating:>=4 date:2025",
        "confidence:<0.7",
        "seed:32768",
        "-seed:32768 mer",
        "seed:42 or cost:>0.1",
        "size:landscape chat",
        "tag:mer elapsed:<=60",
    ),
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Index, list[Row]]]:
    """An index that takes 200 operations for very many."""
    small = {"pages.SORTED_WHOLE": 2, "pages.MANY": 2, "pages.LOOK": 20, "beginnings._ENOUGH": 1, "beginnings._WORDS": 1}
    with pytest.MonkeyPatch.context() as changed:
        for name, value in small.items():
            changed.setattr(f"opstore.index.{name}", value)
        store = folder_of(tmp_path_factory.mktemp("large"), 200, 3)
        index = Index(store, clock=clock)
        index.update()
        yield index, rows_of(store)
        index.stop()


@pytest.mark.long
def test_every_search_finds_what_a_look_at_every_row_finds(library: tuple[Index, list[Row]]) -> None:
    index, rows = library
    queries = Queries(random.Random(12))
    for text in [*SEARCHES, *(queries.text() for _ in range(250))]:
        wanted = [row.id for row in matching(text, ordered(rows, "newest"), TODAY)]
        assert [row.id for row in index.search(text, size=1000).rows] == wanted, text
        assert index.count(text) == Count(len(wanted), True), text
        assert sorted(map(int, filter(None, index.numbers(text).split(",")))) == sorted(index.places(wanted).values()), text


@pytest.mark.long
@pytest.mark.parametrize("order", ["newest", "oldest", "rating", "cost", "elapsed"])
def test_every_order_is_paged_as_sorted(library: tuple[Index, list[Row]], order: str) -> None:
    index, rows = library
    for text in SEARCHES:
        expected = [row.id for row in ordered(matching(text, rows, TODAY), order)]
        assert [row.id for row in all_rows(index, text, order)] == expected, text
        between = list(zip([None, *expected], expected, [*expected[1:], None], strict=False))
        for before, this, after in between[:3] + between[3:-3:4] + between[-3:]:
            assert index.neighbours(this, text, order) == (before, after), text


def test_relevance_tells_only_the_newest_apart(library: tuple[Index, list[Row]]) -> None:
    index, rows = library
    for text in ("chat", "chat mer", "chat cost:>0.1", "nui* plage"):
        ids = [row.id for row in all_rows(index, text, "relevance")]
        newest = [row.id for row in matching(text, ordered(rows, "newest"), TODAY)]
        assert sorted(ids) == sorted(newest), text
        assert ids[21:] == newest[21:], text
    assert [row.prompt for row in index.search("chat", order="relevance", size=3).rows if row.prompt.lower().startswith("chat ")]


def test_totals_end_at_the_limit(library: tuple[Index, list[Row]], monkeypatch: pytest.MonkeyPatch) -> None:
    index, rows = library
    for limit in (1, 5, 20):
        monkeypatch.setattr("opstore.index.pages.EXACT", limit)
        monkeypatch.setattr("opstore.index.EXACT", limit)
        index.forget_counts()
        for text in SEARCHES:
            n = len(matching(text, rows, TODAY))
            assert index.count(text) == Count(min(n, limit), n <= limit), text
    index.forget_counts()


def test_other_scripts_are_left_to_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginnings, "_ENOUGH", 1)
    index = Index(folder_of(tmp_path, 10, 1), clock=clock)
    for number, prompt in enumerate(("Ελλάδα plagiat", "œuvre’plage", "🦊plagal", "x\u0301plagal", "Ⅷ plagal", "日本plagal")):
        plant(index.store, {"operationId": f"2025110314302{number}_abc123de", "prompt": prompt})
    index.update()
    by_look = {row.prompt for row in all_rows(index, "plagal* or plagi* or plag*")}
    monkeypatch.setattr(beginnings, "_ENOUGH", 1000)
    by_engine = {row.prompt for row in all_rows(Index(index.store, clock=clock), "plagal* or plagi* or plag*")}
    assert by_look == by_engine and {"Ελλάδα plagiat", "œuvre’plage", "Ⅷ plagal"} <= by_look


# -- what a word is ------------------------------------------------------------------------------------------------------


def test_latin_words_are_what_the_engine_takes_for_words() -> None:
    engine = sqlite3.connect(":memory:")
    engine.execute(f"CREATE VIRTUAL TABLE body USING fts5 (text, {beginnings._TOKENS})")
    engine.execute("CREATE VIRTUAL TABLE said USING fts5vocab(body, 'instance')")
    sure = [code for code in range(1, 0x30000) if not 0xD800 <= code < 0xE000 and not beginnings._DOUBT.search(chr(code))]
    engine.executemany("INSERT INTO body (rowid, text) VALUES (?, ?)", [(code, spelt(f"a{chr(code)}b")) for code in sure])
    words = defaultdict[int, list[str]](list)
    for word, code in engine.execute("SELECT term, doc FROM said ORDER BY doc, offset"):
        words[code].append(word)
    assert len(sure) > 1_500
    for code in sure:
        text = spelt(f"a{chr(code)}b")
        assert beginnings._TOKEN.findall(beginnings.folded(text)) == words[code], hex(code)
        if code < 256 and code != 0xB5:
            assert text.encode("latin-1").translate(beginnings._BYTES).decode("latin-1").split() == words[code]


@given(st.text("aéplœ-_ Eß'x\u0301ΣяА1", max_size=12), st.sampled_from(("apl", "eep", "ple", "pa1", "oepl", "sspl")))
@settings(deadline=None, max_examples=some(300))
def test_a_text_begins_so_where_the_engine_says_it(text: str, beginning: str) -> None:
    with sqlite3.connect(":memory:") as connection:
        looked = Beginnings(connection)
        assert looked.begins(text, beginning) == looked._asked(spelt(text), beginning)


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("Été", "ete"),
        ("cœu", "coeu"),
        ("phot", "phot"),
        ("ph", None),
        ("l'ea", None),
        ("日本語", None),
        ("\ue000\ue000p1", None),
        ("µmx", None),
    ],
)
def test_only_long_latin_words_are_looked_for(text: str, beginning: str | None) -> None:
    assert long_beginning(text) == beginning


@given(st.integers(-(10**15), 10**15))
def test_a_number_lies_in_its_coarse_size(value: int) -> None:
    low, high = span(bucket(value))
    assert low <= value <= high
