"""Whatever a mark of a chart says it counts, the Library shows behind it: every mark of every chart, in several zones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from opstore.analytics import content_charts, content_tables, usage_charts
from opstore.analytics.chart import Chart, Search
from opstore.analytics.drilldown import Mark, asked_by, mark_of
from opstore.analytics.selection import Base, Selection
from opstore.app import App, Settings
from opstore.index.prompts import prompt_key
from opstore.language.chart_formatter import ChartFormatter
from tests.frame_samples import ids, usual
from tests.index_samples import plant

ZONES = ("UTC", "Europe/Paris", "America/St_Johns", "Pacific/Auckland")
QUERIES = (
    "",
    "chat or sunset",
    "status:failed,expired -type:text_to_video",
    "date:2025-10-15..2025-11-04 confidence:0.35..0.95",
    "date:2025-10-25..2025-10-26",
    "elapsed:<60 rating:>=3",
    "type:text_to_image,image_edit_single type:image_edit_single,edit_then_video",
    "date:2025-09,2025-11 model:qwen*",
)
#: Names that a search takes for one, or for the end of another.
MODELS = ("qwen-image", "Qwen/Qwen-Image", "qwen/qwen-image", "a model, of “ours”", "star*", "wan-video/wan-2.2-t2v-fast")
PROMPTS = (
    "Un cœur, la nuit",
    "un coeur la nuit",
    "Ｕｎ　ｃｏｅｕｒ　ｌａ　ｎｕｉｔ",
    "が 港",
    "か 港",
    "мой дом",
    "мои дом",
    "or type:x",
    "",
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app over operations with odd names, of which some were asked for at another moment than their id says."""
    found = App(Settings(data=tmp_path_factory.mktemp("marks") / "data"))
    chance = random.Random(11)
    for number, operation_id in enumerate(ids(chance, 240)):
        sidecar = usual(chance, operation_id)
        if number % 3 == 0:
            sidecar |= {"model": chance.choice(MODELS), "prompt": chance.choice(PROMPTS)}
        if number % 7 == 0:
            sidecar["operationType"] = chance.choice(("Text to image", "TEXT_TO_IMAGE", "my own: type", "*"))
        if number % 11 == 0:
            sidecar["timestamp"] = "2025-10-26T00:30:00.000Z"
        if number % 5 == 0:
            sidecar["cost"] = {"amount": 0.5, "currency": chance.choice(("EUR", "USD", None))}
        if number % 4 == 0:
            sidecar["parameters"] = {"outputQuality": chance.choice((95, 95.0, "95", 0.5)), "goFast": chance.choice((True, 1))}
        plant(found.store, sidecar)
    found.index.update()
    yield found
    found.stop()


Said = Callable[[dict[str, Any], int], float]


def told(at: int) -> Said:
    """What a mark says in words: the part of its data with that number."""
    return lambda trace, number: float(trace["customdata"][number][at].replace(",", ""))


def along(axis: str) -> Said:
    """How long a mark is drawn."""
    return lambda trace, number: trace[axis][number]


def makers(zone: str) -> list[tuple[Callable[..., Chart], Said]]:
    """Every chart whose marks count operations, and what each of them says."""
    kinds = ("operation_type", "model")
    return [
        (usage_charts.over_time, along("y")),
        (usage_charts.by_type, along("x")),
        (usage_charts.errors, along("x")),
        *((partial(usage_charts.success, by=by), told(2)) for by in kinds),
        *(
            (partial(usage_charts.times, by=by, column=name), told(2))
            for by in kinds
            for name in ("elapsed_seconds", "predict_seconds")
        ),
        (content_charts.words, along("x")),
        (content_charts.parameters, along("x")),
        (partial(content_charts.rhythm, zone=ZoneInfo(zone)), told(1)),
        (content_charts.calibration, told(2)),
        (content_charts.workflows, told(1)),
        (content_charts.ratings, told(1)),
    ]


def marks(made: Chart) -> Iterator[tuple[dict[str, Any], int, str]]:
    """Yield every mark that leads somewhere: its trace, its number there, and what it asks for."""
    assert made.figure is not None
    for trace in made.figure["data"]:
        for number, given in enumerate(trace.get("customdata", ())):
            asked = given if isinstance(given, str) else given[0]
            if trace["type"] != "heatmap" and asked is not None:
                yield trace, number, asked


def shown(app: App, asked: str) -> Selection:
    """Return what the Library shows behind a mark; where a search is enough, the index itself must find just as many."""
    query, mark = asked_by(asked)
    if mark:
        return app.service.analytics.behind(query, mark)
    found = app.service.analytics.select(query)
    assert app.service.index.count(query).n == len(found), query
    return found


@pytest.mark.long
@pytest.mark.parametrize("query", QUERIES)
def test_behind_each_mark_are_just_the_operations_that_it_counts(app: App, query: str) -> None:
    selection, search = app.service.analytics.select(query), app.service.analytics.search(query)
    seen = 0
    for zone in ZONES:
        for make, said in makers(zone) if zone == "UTC" else [(partial(content_charts.rhythm, zone=ZoneInfo(zone)), told(1))]:
            made = make(selection, search, ChartFormatter("en"))
            for trace, number, asked in marks(made) if made.figure else ():
                assert len(shown(app, asked)) == said(trace, number), (query, zone, made.key, asked)
                seen += 1
    assert seen > 60


@pytest.mark.long
@pytest.mark.parametrize("query", QUERIES)
def test_behind_each_amount_are_just_the_operations_that_it_adds_up(app: App, query: str) -> None:
    selection, search = app.service.analytics.select(query), app.service.analytics.search(query)
    kinds = {"input images": "bytes_in", "intermediates": "bytes_between", "images": "bytes_out", "videos": "bytes_out"}
    for make, axis in ((usage_charts.cost_over_time, "y"), (usage_charts.cost_by_model, "x"), (content_charts.storage, "y")):
        made = make(selection, search, ChartFormatter("en"))
        for trace, number, asked in marks(made) if made.figure else ():
            behind = shown(app, asked)
            column = kinds.get(trace["name"], "cost")
            assert math.fsum(behind.of_rows(behind.base.amount(column))) == pytest.approx(trace[axis][number]), (made.key, asked)


def test_prompts_and_names_are_one_where_a_search_takes_them_for_one(app: App) -> None:
    assert len({prompt_key(text) for text in PROMPTS[:3]}) == 1
    assert len({prompt_key(text) for text in PROMPTS[3:7]}) == 4
    types = app.service.analytics.select("").base.codes("operation_type")[1]
    assert sorted(types, key=str.lower).count("TEXT_TO_IMAGE") == 0 and "text_to_image" in types


def test_behind_a_word_are_its_operations_in_any_script(tmp_path: Path) -> None:
    found = App(Settings(data=tmp_path / "data"))
    for number, prompt in enumerate(("夕日", "夕日、海", "海辺の夕日", "İstanbul", "istanbul I\u0307stanbul", "été", "été 🦊")):
        told = usual(random.Random(number), f"2025110309150{number}_abcdef")
        plant(found.store, told | {"prompt": prompt})
    found.index.update()
    made = content_charts.words(found.service.analytics.select(""), Search(""), ChartFormatter("en"))
    counted = {}
    for trace, number, asked in marks(made):
        counted[trace["y"][number]] = len(shown(found, asked))
        assert counted[trace["y"][number]] == trace["x"][number], asked
    assert counted == {"夕日": 2, "海辺の夕日": 1, "istanbul": 2, "été": 2}
    found.stop()


def sampled(tmp_path: Path, *operation_ids: str, **said: Any) -> App:
    """An app over operations with these ids."""
    found = App(Settings(data=tmp_path / "data"))
    for number, operation_id in enumerate(operation_ids):
        told = usual(random.Random(number), "20251103091500_abcdef")
        plant(found.store, told | {"operationId": operation_id} | said)
    found.index.update()
    return found


@pytest.mark.long
@pytest.mark.parametrize(
    ("operation_ids", "query"),
    [
        (("20251103091500_abcdef", "20251103256161_abcdef", "20251103991500_abcdef", "20251103236161_abcdef"), ""),
        (("20251031235959_abcdef", "20251032001500_abcdef", "20251101001500_abcdef"), ""),
        (("20251103091500_abcdef", "20991103091500_abcdef", "20991104091500_abcdef"), "date:2025.."),
        (("20251103091500_abcdef", "20991103091500_abcdef", "20991204091500_abcdef"), "date:2099-10..2099-12"),
        (("20991103091500_abcdef", "20991103101500_abcdef"), "date:2025.. or chat"),
        (("02010203091500_abcdef", "02010203101500_abcdef"), ""),
        (("02010203091500_abcdef", "02010303101500_abcdef"), ""),
        (("99990103091500_abcdef", "99991231235959_abcdef"), ""),
        (("99990103091500_abcdef", "99991231235959_abcdef"), "date:9999"),
        (("99991203091500_abcdef", "99991231235959_abcdef"), "date:9999-12.."),
    ],
)
def test_behind_a_column_are_its_operations_wherever_in_time(tmp_path: Path, operation_ids: tuple[str, ...], query: str) -> None:
    app = sampled(tmp_path, *operation_ids, cost={"amount": 0.5, "currency": "EUR"})
    selection, search = app.service.analytics.select(query), app.service.analytics.search(query)
    for make, each in ((usage_charts.over_time, 1), (usage_charts.cost_over_time, 0.5)):
        counted = 0
        for trace, number, asked in marks(make(selection, search, ChartFormatter("fr"))):
            counted += len(shown(app, asked))
            assert len(shown(app, asked)) * each == trace["y"][number], (make.__name__, asked)
        assert counted == len(selection) > 0
    app.stop()


def test_what_was_spent_on_results_was_spent_on_none_that_failed_or_was_stopped(app: App) -> None:
    selection = app.service.analytics.select("")
    seen: set[str] = set()
    for trace, number, asked in marks(usage_charts.cost_by_model(selection, Search(""), ChartFormatter("en"))):
        ends = {"on results": 0, "on failures": 1, "stopped": 2}[trace["name"]]
        if trace["x"][number]:
            seen.add(trace["name"])
            assert set(shown(app, asked).of_rows(selection.base.axis("outcome").codes)) == {ends}, asked
    assert len(seen) == 3


def test_the_days_of_two_years_say_which_year_they_are_of(tmp_path: Path) -> None:
    app = sampled(tmp_path, "20241230091500_abcdef", "20250115091500_abcdef")
    made = usage_charts.over_time(app.service.analytics.select(""), Search(""), ChartFormatter("en"))
    app.stop()
    assert made.figure is not None
    ticks = made.figure["layout"]["xaxis"]["ticktext"]
    assert ticks[0].endswith("2024") and ticks[-1].endswith("2025")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "cat",
            "x:1:2",
            "parameter:",
            "parameter:a",
            "parameter:a:",
            "parameter:a:[1]",
            "parameter:a:null",
            "parameter:a:NaN",
        ),
        *("parameter:a: 1", "parameter:a:1e999", "hour:UTC:168", "hour:UTC:-1", "hour:Europe:3", "hour:../UTC:3", "hour:UTC:٣"),
        *("proposed:text_to_image:10", "proposed:text_to_image:", "proposed:text_to_image:1:1"),
    ],
)
def test_what_is_no_mark_is_none(text: str) -> None:
    assert mark_of(text) is None


def test_a_number_that_no_float_holds_is_a_value_like_any_other() -> None:
    assert mark_of(f"parameter:a:{10**400}") == Mark("parameter", "a", str(10**400))


def test_models_that_a_search_takes_for_one_meet_in_no_vote() -> None:
    frame = pd.DataFrame({"operation_id": ["a", "b", "c"], "model": pd.Categorical(["qwen/qwen-image", "Qwen/Qwen-Image", "y"])})
    votes = [{"left": "a", "right": "b", "winner": "a"}, {"left": "b", "right": "c", "winner": "b"}]
    tally = content_tables.wins(Selection.of(frame), votes)
    assert (tally.n, tally.missing, sorted(tally.table["model"].str.lower())) == (1, 1, ["qwen/qwen-image", "y"])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99, 1.0])
def test_of_few_rows_and_of_most_the_same_is_counted_and_summed(share: float) -> None:
    chance = np.random.default_rng(5)
    size = 400
    frame = pd.DataFrame(
        {
            "operation_type": pd.Categorical(chance.choice(["a", "b", "c"], size)),
            "model": pd.Categorical([None if value == "z" else value for value in chance.choice(["x", "y", "z"], size)]),
            "cost": np.where(chance.random(size) < 0.2, np.nan, chance.random(size)),
        }
    )
    rows = chance.random(size) < share
    chosen, alone = Selection(Base(frame), rows), Selection.of(frame[rows])
    for axes in (("operation_type",), ("operation_type", "model")):
        assert chosen.count(*axes).tolist() == alone.count(*axes).tolist()
        assert chosen.total("cost", *axes).tolist() == alone.total("cost", *axes).tolist()  # to the last bit


def test_a_selection_that_is_looked_at_no_more_keeps_its_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opstore.analytics.selection._LARGE", 1_000)
    frame = pd.DataFrame({"operation_type": pd.Categorical(["a", "b"] * 500), "cost": np.arange(1_000.0)})
    for rows in (np.arange(1_000) % 3 == 0, np.arange(1_000) % 3 > 0):
        chosen = Selection(Base(frame), rows)
        before = chosen.count("operation_type").tolist(), chosen.total("cost", "operation_type").tolist(), chosen.index().tolist()
        chosen.slim()
        kept = [value for value in chosen._taken.values() if isinstance(value, np.ndarray | Selection)]
        assert kept and all(isinstance(value, np.ndarray) and value.nbytes <= 1_000 for value in kept)
        assert (
            chosen.count("operation_type").tolist(),
            chosen.total("cost", "operation_type").tolist(),
            chosen.index().tolist(),
        ) == before
