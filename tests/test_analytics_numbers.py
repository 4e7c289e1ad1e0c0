"""Every number of the analytics page, told a second time by plain loops and pandas over the raw JSON, on folders of oddities."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from opstore.analytics import content_charts, content_tables, usage_charts, usage_tables
from opstore.analytics.chart import Search
from opstore.analytics.drilldown import Mark, around, asked_by, behind, ids_after, mark_of
from opstore.analytics.queries import Analytics
from opstore.analytics.selection import QUARTER, Selection, ascending, local_quarters, outcome_of
from opstore.index import Index
from opstore.index.order import moment_of
from opstore.language.chart_formatter import ChartFormatter
from opstore.language.formats import local as in_zone
from tests.frame_twin import expected, tokens
from tests.test_analytics_frame import folder

Rows = list[dict[str, Any]]


def spelt(name: str) -> str:
    """Return a type as most write it."""
    return "text_to_image" if name == "Text to image" else name


@pytest.fixture(scope="module", params=[1, 2])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A selection and its raw rows: everything of a folder, and a part of it."""
    store = folder(tmp_path_factory.mktemp(f"numbers{request.param}"), 150, request.param)
    index = Index(store)
    index.update()
    desk = Analytics(index)
    text = "" if request.param == 1 else "-type:workflow_execution"
    rows = [
        # As a search sees them: days are those of the ids, and two spellings of a type are one, as most write it.
        row | {"timestamp": moment_of(row["operation_id"]), "operation_type": spelt(row["operation_type"])}
        for row in expected(store.operations.path)
        if not text or row["operation_type"] != "workflow_execution"
    ]
    yield desk.select(text), rows
    index.stop()


def of(rows: Rows, **wanted: Any) -> Rows:
    """The rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def outcomes(rows: Rows) -> tuple[int, int, int]:
    """How many succeeded, failed, were stopped."""
    count = Counter(outcome_of(row["status"]) for row in rows)
    return count["succeeded"], count["failed"], count["stopped"]


def priced(rows: Rows) -> Rows:
    """The rows with a cost in the commonest currency."""
    count = Counter(row["currency"] for row in rows if row["cost"] is not None and row["currency"])
    main = min(count, key=lambda name: (-count[name], name))
    return [row for row in rows if row["cost"] is not None and row["currency"] == main]


def test_headline(told: Any) -> None:
    selection, rows = told
    good, bad, _ = outcomes(rows)
    elapsed = [row["elapsed_seconds"] for row in rows if row["elapsed_seconds"] is not None]
    paid = priced(rows)
    interval = binomtest(good, good + bad).proportion_ci(method="wilson")
    assert usage_tables.headline(selection) == {
        "operations": len(rows),
        "tried": good + bad,
        "succeeded": good,
        "low": pytest.approx(interval.low),
        "high": pytest.approx(interval.high),
        "median_seconds": pytest.approx(float(np.median(elapsed))),
        "timed": len(elapsed),
        "cost": pytest.approx(math.fsum(row["cost"] for row in paid)),
        "priced": len(paid),
        "estimated": sum(row["cost_estimated"] is True for row in paid),
        "other_currencies": sum(row["cost"] is not None for row in rows) - len(paid),
        "currency": "USD",
    }


@pytest.mark.parametrize("name", ["operation_type", "model", "provider"])
def test_by_category(told: Any, name: str) -> None:
    selection, rows = told
    tally = usage_tables.by_category(selection, name)
    count = Counter(row[name] for row in rows if row[name] is not None)
    assert dict(zip(tally.table[name], tally.table["n"], strict=True)) == count
    assert (tally.n, tally.missing) == (count.total(), len(rows) - count.total())
    assert list(tally.table["n"]) == sorted(count.values(), reverse=True)
    for line in tally.table.to_dict("records"):
        good, bad, stopped = outcomes(of(rows, **{name: line[name]}))
        assert (line["succeeded"], line["failed"], line["stopped"]) == (good, bad, stopped)
        if good + bad:
            interval = binomtest(good, good + bad).proportion_ci(method="wilson")
            ends = (line["share"], line["low"], line["high"])
            assert ends == pytest.approx((good / (good + bad), interval.low, interval.high), abs=1e-12)


@pytest.mark.parametrize("name", ["operation_type", "model"])
def test_success_counts_those_that_nobody_stopped(told: Any, name: str) -> None:
    selection, rows = told
    tally = usage_tables.success(selection, name)
    tried = [row for row in rows if outcome_of(row["status"]) != "stopped"]
    count = Counter(row[name] for row in tried if row[name] is not None)
    assert dict(zip(tally.table[name], tally.table["tried"], strict=True)) == count
    assert (tally.n, tally.missing) == (count.total(), len(tried) - count.total())
    made = usage_charts.success(selection, Search(), ChartFormatter(), by=name)
    assert len(tried) < len(rows) and f"n = {count.total()}." in made.sentence


@pytest.mark.long
@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
def test_over_time_and_cost_over_time(told: Any, unit: str) -> None:
    selection, rows = told
    count: Counter[tuple[datetime, str]] = Counter()
    money: defaultdict[tuple[datetime, str], float] = defaultdict(float)
    paid = {row["operation_id"] for row in priced(rows)}
    dated = [row for row in rows if row["timestamp"]]
    for row in dated:
        moment = row["timestamp"]
        start = moment.replace(minute=0, second=0, microsecond=0)
        if unit != "hour":
            start = start.replace(hour=0) - timedelta(moment.weekday() if unit == "week" else 0)
            start = start.replace(day=1) if unit == "month" else start
        count[start, outcome_of(row["status"])] += 1
        if row["operation_id"] in paid:
            money[start, outcome_of(row["status"])] += row["cost"]
    for tally, wanted in (
        (usage_tables.over_time(selection, unit), count),
        (usage_tables.cost_over_time(selection, unit), money),
    ):
        seen = {
            (line["start"].to_pydatetime(), kind): line[kind]
            for line in tally.table.to_dict("records")
            for kind in ("succeeded", "failed", "stopped")
            if line[kind]
        }
        assert seen == pytest.approx({key: value for key, value in wanted.items() if value})
        assert tally.table["start"].is_monotonic_increasing
    assert usage_tables.over_time(selection, unit).missing == len(rows) - len(dated)


def test_the_unit_follows_the_span() -> None:
    assert [usage_tables.unit_for(days * 86_400) for days in (0, 2, 4, 92, 400, 4000)] == [
        "hour",
        "hour",
        "day",
        "day",
        "week",
        "month",
    ]


def test_errors(told: Any) -> None:
    selection, rows = told
    failed = [row for row in rows if outcome_of(row["status"]) == "failed" and row["error_kind"]]
    tally = usage_tables.errors(selection)
    assert dict(zip(tally.table["error_kind"], tally.table["n"], strict=True)) == Counter(row["error_kind"] for row in failed)
    for line in tally.table.to_dict("records"):
        texts = Counter(row["error"] for row in of(failed, error_kind=line["error_kind"]) if row["error"] is not None)
        assert line["of_them"] == max(texts.values(), default=0)
        assert not texts or texts[line["example"]] == line["of_them"]


@pytest.mark.parametrize(
    "values",
    [
        [],
        [3.0],
        [0.1, 0.3, 0.2, 0.3, 0.1],
        [1e-7, 3e-7, 2e-7],
        [5.0, -1.0],
        [1e12, 1.0, 2.0**48],
        [70_000.5, 65.536, 0.0, 4_295.0],
    ],
)
def test_numbers_are_put_in_order_of_equal_ones_the_first_first(values: list[float]) -> None:
    assert ascending(np.array(values)).tolist() == sorted(range(len(values)), key=values.__getitem__)


@pytest.mark.parametrize("column", ["elapsed_seconds", "predict_seconds"])
@pytest.mark.parametrize("by", ["operation_type", "model"])
def test_times(told: Any, by: str, column: str) -> None:
    selection, rows = told
    tally = usage_tables.times(selection, by, column)
    frame = pd.DataFrame([{by: row[by], column: row[column]} for row in rows if row[by] and row[column] is not None])
    wanted = frame.groupby(by)[column].quantile(np.array([0.5, 0.95])).unstack()
    for line in tally.table.to_dict("records"):
        assert (line["median"], line["p95"]) == pytest.approx(tuple(wanted.loc[line[by]]))
        assert sum(line["bins"]) == line["n"] == int((frame[by] == line[by]).sum())
    assert len(tally.table) == len(wanted)
    assert tally.n + tally.missing == len(rows)


def test_cost_by_model(told: Any) -> None:
    selection, rows = told
    paid = [row for row in priced(rows) if row["model"]]
    tally = usage_tables.cost_by(selection, "model")
    assert set(tally.table["model"]) == {row["model"] for row in paid}
    for line in tally.table.to_dict("records"):
        mine = of(paid, model=line["model"])
        total = math.fsum(row["cost"] for row in mine)
        good = sum(outcome_of(row["status"]) == "succeeded" for row in mine)
        assert (line["n"], line["succeeded"]) == (len(mine), good)
        assert line["cost"] == pytest.approx(total)
        assert line["on_failures"] == pytest.approx(
            math.fsum(row["cost"] for row in mine if outcome_of(row["status"]) == "failed")
        )
        assert line["per_success"] == pytest.approx(total / good if good else math.nan, nan_ok=True)
    assert tally.extra["estimated"] == sum(row["cost_estimated"] is True for row in paid)


def test_what_costs_another_currency_lacks_no_cost() -> None:
    paid = {"status": "stored", "model": "x", "cost": 1.0, "currency": "USD", "cost_estimated": True}
    odd: tuple[dict[str, Any], ...] = (
        {},
        {"model": None},
        {"currency": "EUR"},
        {"currency": "EUR", "model": None},
        {"cost": None, "currency": None},
    )
    rows = [paid | {"operation_id": f"2025110309150{at}_abcdef"} | other for at, other in enumerate(({}, *odd))]
    names = {name: "category" for name in ("status", "model", "currency")}
    selection = Selection.of(pd.DataFrame(rows[::-1]).astype(names | {"cost_estimated": "boolean"}))
    over, by = usage_tables.cost_over_time(selection, "day"), usage_tables.cost_by(selection)
    assert (over.n, over.missing, over.extra["others"], over.extra["estimated"]) == (3, 1, 2, 3)
    assert (by.n, by.missing, by.extra["others"], by.extra["estimated"]) == (2, 3, 1, 2)


def test_votes_count_between_two_models_of_the_selection_only() -> None:
    frame = pd.DataFrame({"operation_id": ["a", "b", "c", "d"], "model": pd.Categorical(["x", "y", "x", None])})
    votes: list[dict[str, Any]] = [
        {"left": "a", "right": "b", "winner": "a"},
        {"left": "b", "right": "c", "winner": "c"},
        {"left": "a", "right": "b", "winner": None},
        {"left": "a", "right": "c", "winner": "a"},  # one model against itself
        {"left": "a", "right": "d", "winner": "a"},  # of no model
        {"left": "a", "right": "gone", "winner": "gone"},
    ]
    tally = content_tables.wins(Selection.of(frame), votes)
    assert (tally.n, tally.missing) == (3, 3)
    table = tally.table.set_index("model")
    assert list(table.index) == ["x", "y"] and [table[name].iloc[0] for name in ("votes", "wins", "ties")] == [3, 2, 1]
    best, other = table["rate"].tolist()
    assert best + other == pytest.approx(1) and 0.5 < best < 1
    assert (table["low"] < table["rate"]).all() and (table["rate"] < table["high"]).all()
    only = content_tables.wins(Selection.of(frame).where(np.array([True, True, False, True])), votes)
    assert (only.n, only.missing) == (2, 4)
    assert content_tables.wins(Selection.of(frame), []).n == 0


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Asia/Kathmandu", "America/St_Johns"])
def test_rhythm(told: Any, zone: str) -> None:
    selection, rows = told
    there = ZoneInfo(zone)
    local = [in_zone(row["timestamp"], there) for row in rows]
    wanted = Counter((moment.weekday(), moment.hour) for moment in local)
    tally = usage_tables.rhythm(selection, there)
    assert {(day, hour): n for day, line in enumerate(tally.table.to_numpy()) for hour, n in enumerate(line) if n} == wanted


def test_every_quarter_of_an_hour_around_a_change_of_clocks() -> None:
    zone = ZoneInfo("Europe/Paris")
    for day in (datetime(2025, 3, 30, tzinfo=UTC), datetime(2025, 10, 26, tzinfo=UTC)):
        seconds = np.arange(int(day.timestamp()) - 86_400, int(day.timestamp()) + 2 * 86_400, 450)
        weekdays, hours = local_quarters(seconds // QUARTER, zone)
        local = [datetime.fromtimestamp(int(second), zone) for second in seconds]
        assert list(zip(weekdays, hours, strict=True)) == [(moment.weekday(), moment.hour) for moment in local]


def test_top_prompts(told: Any) -> None:
    selection, rows = told
    groups: defaultdict[str, Rows] = defaultdict(list)
    for row in rows:
        if row["prompt"] and row["prompt"].strip():
            groups[" ".join(tokens(row["prompt"])) or row["prompt"].strip()].append(row)
    tally = content_tables.top_prompts(selection, 10)
    paid = {row["operation_id"] for row in priced(rows)}
    assert list(tally.table["n"]) == sorted(map(len, groups.values()), reverse=True)[:10]
    assert tally.extra["different"] == len(groups)
    for line in tally.table.to_dict("records"):
        mine = groups[" ".join(tokens(line["prompt"])) or line["prompt"].strip()]
        stars = [row["rating"] for row in mine if row["rating"] is not None]
        good, bad, _ = outcomes(mine)
        assert line["prompt"] == mine[0]["prompt"]
        assert (line["n"], line["succeeded"], line["tried"], line["rated"]) == (len(mine), good, good + bad, len(stars))
        assert line["rating"] == pytest.approx(sum(stars) / len(stars) if stars else math.nan, nan_ok=True)
        assert line["cost"] == pytest.approx(math.fsum(row["cost"] for row in mine if row["operation_id"] in paid))
        assert line["example"] == next((row["operation_id"] for row in mine if row["status"] == "stored"), None)


def test_top_words(told: Any) -> None:
    selection, rows = told
    count = Counter(word for row in rows for word in set(tokens(row["prompt"] or "")))
    kept = {word: n for word, n in count.items() if word not in content_tables.STOP and len(word) > 1 and not word.isdigit()}
    tally = content_tables.top_words(selection, 15)
    assert list(tally.table["n"]) == sorted(kept.values(), reverse=True)[:15]
    assert all(kept[tokens(str(line.word))[0]] == line.n for line in tally.table.itertuples())
    assert tally.n == sum(bool(tokens(row["prompt"] or "")) for row in rows)


def test_parameters(told: Any) -> None:
    selection, rows = told
    wanted: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for name, value in json.loads(row["parameters"] or "{}").items():
            wanted[name, json.dumps(value, ensure_ascii=False)] += 1
    table = content_tables.parameters(selection).table
    assert {(line.parameter, line.value): line.n for line in table.itertuples()} == wanted
    assert "seed" not in set(table["parameter"])


def test_calibration_and_workflows(told: Any) -> None:
    selection, rows = told
    for line in content_tables.calibration(selection).table.to_dict("records"):
        low = line["low_edge"]
        mine = [
            row
            for row in rows
            if row["confidence"] is not None and row["overridden"] is not None and tenth(row["confidence"]) == round(low * 10)
        ]
        good, bad, _ = outcomes(mine)
        kept = sum(row["overridden"] is False for row in mine)
        assert (line["n"], line["kept"], line["tried"], line["succeeded"]) == (len(mine), kept, good + bad, good)
    table = content_tables.workflows(selection).table
    wanted = Counter(
        (row["workflow_id"], tenth(row["confidence"])) for row in rows if row["workflow_id"] and row["confidence"] is not None
    )
    assert {(name, bin_): n for name, line in table.iterrows() for bin_, n in enumerate(line) if n} == wanted


def tenth(confidence: float) -> int:
    """The tenth that a confidence lies in; 1.0 is of the last."""
    return min(int(confidence * 10 + 1e-9), 9)


def test_ratings(told: Any) -> None:
    selection, rows = told
    for line in content_tables.ratings(selection).table.to_dict("records"):
        stars = [row["rating"] for row in rows if row["model"] == line["model"] and row["rating"] is not None]
        assert (line["n"], line["mean"]) == (len(stars), pytest.approx(sum(stars) / len(stars)))
        assert [line[f"stars_{star}"] for star in range(1, 6)] == [stars.count(star) for star in range(1, 6)]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_behind_a_mark_are_just_the_operations_that_it_counts(told: Any, zone: str) -> None:
    selection, rows = told
    there = ZoneInfo(zone)
    drawn = [
        content_charts.parameters(selection, Search(), ChartFormatter()),
        content_charts.workflows(selection, Search(), ChartFormatter()),
    ]
    drawn.append(content_charts.rhythm(selection, Search(), ChartFormatter(), there))
    met = 0
    for made in drawn:
        assert made.figure is not None
        traces = [trace for trace in made.figure["data"] if "customdata" in trace]
        if made.key == "parameters":
            told_of = [(mark, [n]) for trace in traces for mark, n in zip(trace["customdata"], trace["text"], strict=True)]
        else:
            told_of = [(mark, rest) for trace in traces for mark, *rest in trace["customdata"]]
        for text, told in told_of:
            query, written = asked_by(text)
            mark = mark_of(written)
            assert mark is not None and str(mark) == written and query == ""
            found = behind(selection, mark)
            ids = found.base.frame["operation_id"].take(found.index()).tolist()
            assert ids == [row["operation_id"] for row in rows if counts(row, mark, there)]
            assert str(len(ids)) in map(str, told)
            pages = list(paged(found, 3))
            assert [name for page in pages for name in page] == ids and all(len(page) == 3 for page in pages[:-1])
            neighbours = [around(found, name) for name in ids]
            assert neighbours == list(zip([None, *ids], [*ids[1:], None], strict=False))
            met += 1
    assert met > 20


def paged(found: Selection, size: int) -> Iterator[list[str]]:
    """Turn the pages of a selection."""
    after, more = None, True
    while more:
        ids, more = ids_after(found, after, size)
        yield ids
        after = ids[-1]


def test_a_page_goes_on_where_the_last_one_ended_also_when_that_operation_is_gone(told: Any) -> None:
    selection, _rows = told
    ids = selection.base.frame["operation_id"].tolist()
    gone = f"{ids[4][:14]}_ffffffff"
    assert ids_after(selection, gone, 2)[0] == [name for name in ids if name < gone][:2]
    assert ids_after(selection, ids[-1], 2) == ([], False) and around(selection, gone) == (None, None)


def counts(row: dict[str, Any], mark: Mark, zone: ZoneInfo) -> bool:
    """Say whether a mark counts a raw row."""
    if mark.kind == "parameter":
        given = json.loads(row["parameters"] or "{}")
        return mark.name in given and json.dumps(given[mark.name], ensure_ascii=False) == mark.value
    if mark.kind == "proposed":
        return row["workflow_id"] == mark.name and row["confidence"] is not None and tenth(row["confidence"]) == int(mark.value)
    moment = in_zone(row["timestamp"], zone)
    return moment is not None and (moment.weekday(), moment.hour) == divmod(int(mark.value), 24)


def test_storage(told: Any) -> None:
    selection, rows = told
    wanted: Counter[tuple[datetime, str]] = Counter()
    for row in rows:
        if row["timestamp"]:
            month = row["timestamp"].replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            wanted[month, "inputs"] += row["bytes_in"] or 0
            wanted[month, "intermediates"] += row["bytes_between"] or 0
            wanted[month, "videos" if row["media"] == "video" else "images"] += row["bytes_out"] or 0
    table = content_tables.storage(selection).table
    seen = {
        (line["start"].to_pydatetime(), kind): line[kind]
        for line in table.to_dict("records")
        for kind in content_tables.KINDS
        if line[kind]
    }
    assert seen == {key: value for key, value in wanted.items() if value}
    assert table["total"].iloc[-1] == sum(wanted.values())


def test_nothing_gives_empty_tables_and_no_numbers() -> None:
    nothing = Selection.of(expected_frame())
    assert usage_tables.headline(nothing)["cost"] is None
    assert usage_tables.headline(nothing)["median_seconds"] is None
    told = [
        usage_tables.by_category(nothing, "model"),
        usage_tables.over_time(nothing),
        usage_tables.errors(nothing),
        usage_tables.times(nothing, "model"),
    ]
    told += [
        usage_tables.cost_by(nothing),
        usage_tables.cost_over_time(nothing),
        usage_tables.rhythm(nothing),
        content_tables.top_prompts(nothing),
    ]
    told += [
        content_tables.top_words(nothing),
        content_tables.parameters(nothing),
        content_tables.calibration(nothing),
        content_tables.workflows(nothing),
    ]
    told += [content_tables.ratings(nothing), content_tables.storage(nothing)]
    assert not any(told)


def expected_frame() -> pd.DataFrame:
    """An empty frame."""
    from opstore.analytics.frame import frame_of
    from opstore.analytics.snapshot import SCHEMA

    return frame_of(SCHEMA.empty_table())
