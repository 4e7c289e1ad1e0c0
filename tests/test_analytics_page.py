"""The Analytics page as Streamlit runs it: nothing is drawn if there is nothing, and a mistake in the search loses nothing."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from io import StringIO

import pandas as pd
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from opstore.analytics import content_charts, usage_charts
from opstore.analytics.chart import TYPES, Search
from opstore.analytics.selection import Selection
from opstore.app import App
from opstore.language.chart_formatter import ChartFormatter
from opstore.language.formats import top_of_scale
from opstore.storage.operation import OPERATION_TYPES
from opstore.ui.chart_data import csv_of, sent
from opstore.ui.opened_app import running
from tests.frame_samples import ids, usual
from tests.index_samples import plant
from tests.test_analytics_numbers import expected_frame

MAIN = "../opstore/ui/main.py"
PAGE = "../../pages/analytics.py"
MAKERS = (
    *(
        usage_charts.by_type,
        usage_charts.over_time,
        usage_charts.success,
        usage_charts.errors,
        usage_charts.times,
        usage_charts.cost_over_time,
    ),
    *(
        usage_charts.cost_by_model,
        content_charts.words,
        content_charts.parameters,
        content_charts.rhythm,
        content_charts.calibration,
        content_charts.workflows,
    ),
    *(content_charts.ratings, content_charts.win_rates, content_charts.storage),
)


@pytest.fixture
def app() -> Iterator[App]:
    """The app of the test's data folder, empty."""
    found = running()
    found.index.start()
    yield found
    found.stop()


def page(**query: str) -> AppTest:
    at = AppTest.from_file(MAIN, default_timeout=60)
    at.run()
    for key, value in query.items():
        at.query_params[key] = value
    at = at.switch_page(PAGE).run()
    assert not at.exception, [item.value for item in at.exception]
    return at


def charts(at: AppTest) -> int:
    return sum(node.proto.component_name.endswith("opstore_charts") for node in at.get("bidi_component"))


@pytest.mark.long
def test_an_empty_folder_says_what_is_missing_and_draws_nothing(app: App) -> None:
    app.index.update()
    at = page()
    assert charts(at) == 0
    assert [metric.value for metric in at.metric] == ["0", "–", "–", "–"]
    assert "The library is empty" in "\n".join(element.proto.body for element in at.get("html"))


@pytest.mark.long
def test_filters_and_mistakes(app: App) -> None:
    chance = random.Random(1)
    for operation_id in ids(chance, 40):
        plant(app.store, usual(chance, operation_id))
    app.index.update()
    whole = page()
    assert whole.metric[0].value == "40" and charts(whole) == 8
    at = page(q="type:text_to_image")
    count = at.metric[0].value
    assert 0 < int(count) < 40
    at.query_params["q"] = "type:text_to_image ("
    at.run()
    assert not at.metric and not charts(at), "figures of another search would be taken for those of this one"
    assert "parenthesis" in "\n".join(element.proto.body for element in at.get("html"))
    at.query_params["q"] = "date:2025-09"
    at.run()
    assert at.metric[0].delta


@pytest.mark.parametrize("make", MAKERS)
def test_no_chart_where_there_is_no_data(make: object) -> None:
    for language in ("en", "fr"):
        made = make(Selection.of(expected_frame()), Search(), ChartFormatter(language))  # type: ignore[operator]
        assert made.figure is None
        assert len(made.sentence) > 10


def test_plotly_knows_every_word_of_a_chart_and_json_holds_all_that_is_sent(app: App) -> None:
    chance = random.Random(5)
    for operation_id in ids(chance, 60):
        plant(app.store, usual(chance, operation_id))
    app.index.update()
    selection = app.service.analytics.select("")
    for make in set(MAKERS) - {content_charts.win_rates}:
        for language in ("en", "fr"):
            made = make(selection, Search(), ChartFormatter(language))
            go.Figure(made.figure)  # which refuses what it does not know
            shown = json.loads(json.dumps(sent(made, ChartFormatter(language)), allow_nan=False))
            assert shown["count"] == len(made.table) == len(list(csv.reader(StringIO(shown["csv"])))) - 1
            assert [len(row) for row in shown["rows"]] == [len(shown["columns"])] * len(made.table.head(100))


def test_every_type_has_one_colour_of_its_own() -> None:
    assert TYPES.keys() == OPERATION_TYPES.keys()
    assert len(set(TYPES.values())) == len(TYPES)


def test_csv_is_read_back_and_no_spreadsheet_computes_with_it() -> None:
    table = pd.DataFrame({"prompt": ["=1+1", "@x", 'été, "a"\nb', None], "n": [1, 2, 3, -4]})
    back = pd.read_csv(StringIO(csv_of(table)))
    assert back["n"].tolist() == [1, 2, 3, -4]
    assert back["prompt"].tolist()[:3] == ["'=1+1", "'@x", 'été, "a"\nb']
    assert pd.isna(back["prompt"][3])


def test_a_scale_ends_at_a_round_number_that_is_no_smaller() -> None:
    tops = {1.0: 2, 3.0: 4, 10.0: 10, 47.0: 50, 101.0: 120, 1.07: 1.2, 0.031: 0.04, 9.9e6: 1e7, 0.5: 0.5}
    assert {most: top_of_scale(most) for most in tops} == pytest.approx(tops)


def test_shares_of_few_are_counts() -> None:
    voice = ChartFormatter("en")
    assert voice.rate(3, 9, 0.1, 0.7) == "3 of 9"
    assert voice.rate(90, 100, 0.825, 0.945) == "90% (82–94%)"
    assert ChartFormatter("fr").rate(90, 100, 0.825, 0.945) == "90\u00a0% (82–94\u00a0%)"
    assert voice.rate(91_230, 100_000, 0.9105, 0.9140) == "91.2% (91.0–91.4%)", "no interval is narrower than its digits"
    assert ChartFormatter("fr").rate(912_300, 10**6, 0.91223, 0.91237) == "91,23\u00a0% (91,22–91,24\u00a0%)"
    assert voice.rate(20, 20, 0.839, 1.0) == "100% (84–100%)"
    assert [voice.seconds(value) for value in (0.25, 12, 90, 1200, 7200)] == ["0.25 s", "12 s", "1 min 30 s", "20 min", "2 h"]
    assert [voice.money(value, "USD") for value in (0, 0.00312, 12.5, 1234)] == ["$0.00", "$0.0031", "$12.50", "$1,234.00"]


def test_what_is_behind_a_mark_is_a_search_of_the_library() -> None:
    search = Search("cat date:2025-10", pd.Timestamp("2025-10-01").date(), pd.Timestamp("2025-10-31").date())
    start = pd.Timestamp("2025-09-29", tz="UTC")
    assert search.narrowed(**search.period(start, "week")) == "cat date:2025-10-01..2025-10-05"
    assert search.narrowed(**search.period(start, "hour")) == "cat date:2025-10 id:2025092900*"
    assert search.narrowed(type=['"']) is None
    assert search.narrowed(model=["a b, c"]) == 'cat date:2025-10 model:"a b, c"'
