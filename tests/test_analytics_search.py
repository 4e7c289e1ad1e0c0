"""Which rows of the frame a search selects, and which the period before it: just those that the library finds."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pytest

from opstore.analytics.queries import Analytics
from opstore.errors import InvalidQuery
from opstore.index import Index
from tests.index_samples import TODAY, Queries, clock, rows_of
from tests.search_oracle import matching
from tests.test_analytics_frame import folder


def test_a_search_selects_what_the_library_finds(tmp_path: Path) -> None:
    store = folder(tmp_path, 100)
    index = Index(store, clock=clock)
    index.update()
    desk = Analytics(index, clock=clock)
    rows = rows_of(store)
    queries = Queries(random.Random(4))
    met = 0
    by_hand = ("-type:unknown", "elapsed:>=0", "-cost:>=0", "cost:<1", "-(chat or date:2025) rating:>=1", "chat -status:stored")
    for text in (*by_hand, *(queries.text() for _ in range(150))):
        wanted = sorted((row.id for row in matching(text, rows, TODAY)), reverse=True)
        selection = desk.select(text)
        assert desk.held().frame["operation_id"].take(selection.index()).tolist() == wanted, text
        assert len(selection) == len(wanted)
        met += bool(wanted)
    assert met > 50
    with pytest.raises(InvalidQuery):
        desk.select("(")
    index.stop()


def test_the_period_before_has_the_same_length(tmp_path: Path) -> None:
    desk = Analytics(Index(folder(tmp_path, 1)), clock=clock)
    assert desk.before("date:7d cat") == "date:2025-10-21..2025-10-27 cat"
    assert desk.before("date:2025-10") == "date:2025-08-31..2025-09-30"
    assert desk.before("date:today") == "date:2025-11-02"
    assert desk.before("date:2025-11") == "date:2025-10-29..2025-10-31", "the present month has three days yet"
    assert [
        desk.before(text) for text in ("", "cat", "date:..2025", "date:2025-01,2025-03", "date:>=2030", "date:0001..today")
    ] == [None] * 6
    assert desk.period("date:>=2025-10-30") is not None
    assert desk.period("date:>=2025-10-30").days == 5  # type: ignore[union-attr]
    assert desk.today() == date(2025, 11, 3)
