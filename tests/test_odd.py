"""A folder of oddities through everything that reads it in this process: charts, reports, commands, HTTP, exports.

The pages over the same folder are in `test_browser_odd`. What is odd is made in `odd_samples`, case by case, by name.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from opstore.analytics import content_charts, usage_charts
from opstore.analytics.chart import Chart, Search
from opstore.analytics.selection import Selection
from opstore.api import Api
from opstore.app import App, Settings
from opstore.cli import main
from opstore.index.search_language import can_ask, with_values
from opstore.language.chart_formatter import ChartFormatter
from opstore.report import DocumentFormatter, document, html, usage
from opstore.ui.chart_data import sent
from tests.conftest import Sampled
from tests.odd_samples import lay, oddities
from tests.test_api import client_of

_TIMES = ("elapsed_seconds", "predict_seconds")
#: Every chart of the page, with each of its choices.
MAKERS: tuple[Callable[..., Chart], ...] = (
    *(usage_charts.over_time, usage_charts.by_type, usage_charts.errors, usage_charts.cost_over_time, usage_charts.cost_by_model),
    *(partial(usage_charts.success, by=by) for by in ("operation_type", "model")),
    *(partial(usage_charts.times, by=by, column=name) for by in ("operation_type", "model") for name in _TIMES),
    *(
        content_charts.words,
        content_charts.parameters,
        content_charts.rhythm,
        content_charts.ratings,
        content_charts.calibration,
        content_charts.workflows,
        content_charts.storage,
    ),
)
#: What a missing value looks like where somebody made a text of it, alone in a cell.
NOTHING = re.compile(r">\s*(?:nan|NaN|NaT|&lt;NA&gt;|None|null|undefined)\s*<")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app over all oddities, its index made."""
    folder = tmp_path_factory.mktemp("odd") / "data"
    lay(folder)
    found = App(Settings(data=folder))
    found.index.update()
    yield found
    found.stop()


def groups() -> dict[str, list[str]]:
    """Return the ids of what belongs together: each key with all its wrong values, and every other case by itself."""
    found: dict[str, list[str]] = {}
    for oddity in oddities():
        what, _, which = oddity.name.partition(": ")
        alone = what in ("everything", "text", "failed", "value", "old", "media", "moment", "broken")
        found.setdefault(f"{what}: {which.split()[0]}" if alone else what, []).append(oddity.id)
    return found


@pytest.mark.long
def test_every_chart_of_every_oddity_is_drawn_and_shows_no_missing_value_as_a_text(app: App, sampled: Sampled) -> None:
    frame = app.service.analytics.frame()
    ids = frame["operation_id"]
    plain = {oddity.id for oddity in oddities() if oddity.name in ("value: failed with a word", "media: webp in a png")}
    shown = 0
    for name, members in [*sampled(list(groups().items()), 12), ("everything at once", list(ids))]:
        selection = Selection.of(frame[ids.isin({*members, *plain})])
        for make, language in itertools.product(MAKERS, ("en", "fr") if name == "everything at once" else ("en",)):
            made = sent(make(selection, Search(), ChartFormatter(language)), ChartFormatter(language))
            text = json.dumps([made["figure"], made["sentence"], made["said"]], allow_nan=False, ensure_ascii=False)
            assert not re.search(r'"(?:nan|NaN|NaT|<NA>|None)\b', text), (name, made["key"], text)
            shown += made["figure"] is not None
            if name == "everything at once":
                go.Figure(made["figure"])
    assert shown > 80


def test_a_failure_without_a_word_beside_another_says_nothing_and_breaks_nothing(app: App) -> None:
    """One cause has a text and the other has none: pandas makes NaN of the None beside it."""
    found = {oddity.name: oddity.id for oddity in oddities()}
    frame = app.service.analytics.frame()
    both = [found["value: failed without a word"], found["value: failed with a word"]]
    made = usage_charts.errors(Selection.of(frame[frame["operation_id"].isin(both)]), Search(), ChartFormatter("en"))
    assert made.table["example"].tolist() == [None, "NSFW content detected"]
    assert made.figure is not None
    assert [mark[2] for mark in made.figure["data"][0]["customdata"]] == ["–", "NSFW content detected"]


@pytest.mark.long
def test_figures_as_json_and_report_in_both_languages(app: App) -> None:
    for query in ("", "status:failed", "type:text_to_image -harbour", "date:2025-06"):
        found = usage(app.service.analytics, query, now=datetime.now(UTC))
        json.dumps(document(found), allow_nan=False)
        for language in ("en", "fr"):
            page = html(found, DocumentFormatter(language, UTC))
            assert not NOTHING.search(page), language


# -- HTTP ----------------------------------------------------------------------------------------------------------------


Get = Callable[..., Any]


@pytest.fixture
def got(app: App) -> Iterator[Get]:
    """Ask for an address, and see that neither the status nor the JSON is a fault of the server."""
    with client_of(app) as client:

        def ask(address: str, **asked: str | int) -> Any:
            answer = client.get(address, params=asked)
            assert answer.status_code < 500, (address, asked, answer.text[:300])
            if answer.headers.get("content-type", "").partition(";")[0] == "application/json":
                json.loads(answer.text, parse_constant=lambda word: pytest.fail(f"{address} says {word}"))
            return answer

        yield ask


@pytest.mark.long
def test_http_answers_for_each_oddity(got: Get, sampled: Sampled) -> None:
    found = oddities()
    for oddity in sampled(found, 60):
        got(f"/api/history/{oddity.id}")
        for ending in {*oddity.files, "_out.png"}:
            for kind in ("files", "thumbnails", "frames"):
                got(f"/api/{kind}/{oddity.id}{ending}")
        got(f"/api/compare/{oddity.id}/{sampled.random.choice(found).id}")


@pytest.mark.long
def test_http_answers_for_all_of_them_together(app: App, got: Get) -> None:
    for order in ("newest", "oldest", "rating", "cost", "elapsed"):
        page = got("/api/search", order=order, limit=200).json()
        seen = {row["id"] for row in page["rows"]}
        while page["next"]:
            page = got("/api/search", order=order, limit=200, cursor=page["next"]).json()
            seen |= {row["id"] for row in page["rows"]}
        assert len(seen) == len(app.service.analytics.select("")), order
    for group in ("batch", "prompt", "inputs"):
        got("/api/search", group=group, limit=200)
    for query in ("", "status:failed"):
        got("/api/stats", q=query)
        got("/api/report", q=query, language="fr", zone="Europe/Paris", plain=1)
    for format in ("csv", "xlsx", "jsonl", "zip", "parquet"):
        assert got("/api/export", format=format).status_code == 200
    got("/api/history", limit=1000)
    fixed = {
        call.path
        for call in Api.calls(lambda: pytest.fail("it is only described"))
        if call.method == "GET" and "{" not in call.path
    }
    some = ",".join(row["id"] for row in got("/api/search", limit=200).json()["rows"])
    assert got("/api/bundle", ids=some).status_code == 200
    for path in sorted(fixed - {"/api/events", "/api/export", "/api/report", "/api/bundle"}):  # events never end
        assert got(path).status_code == 200, path


# -- commands ------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_every_command_ends_as_it_says_it_does_and_prints_nothing_that_moves_a_terminal(
    tmp_path: Path, sampled: Sampled, capsys: pytest.CaptureFixture[str]
) -> None:
    data, found = tmp_path / "data", sampled(oddities(), 150)
    lay(data, found)

    def step(*words: str, ends: tuple[int, ...] = (0, 1)) -> str:
        status = main([*words, "--data", str(data)])
        said = capsys.readouterr()
        assert status in ends, (words, status, said.err)
        printed = said.out + said.err
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|Traceback", printed), words
        if "--json" in words:
            json.loads(said.out, parse_constant=lambda word: pytest.fail(f"{words} says {word}"))
        else:
            assert not re.search(r"(?:^| )(?:nan|NaT|<NA>|None)(?: |$)", said.out, re.MULTILINE), words
        return said.out

    for oddity in found:
        step("show", oddity.id)
        step("show", oddity.id, "--json")
    for form in ((), ("--json",)):
        step("list", "--limit", "2000", *form, ends=(0,))
        step("search", "harbour", *form, ends=(0,))
        step("verify", "--deep", *form, ends=(1,))
        step("stats", *form, ends=(0,))
        step("stats", "status:failed", *form, ends=(0,))
        step("cleanup", "--older-than", "0", "--dry-run", *form, ends=(0,))
        step("repair", *form)
    step("stats", "--report", str(tmp_path / "report.html"), "--language", "fr", ends=(0,))
    for format in ("csv", "xlsx", "jsonl", "parquet", "zip"):
        step("export", "--output", str(tmp_path / f"all.{format}"), ends=(1,))  # some cannot be read
    readable = [json.loads(line)["operationId"] for line in (tmp_path / "all.jsonl").read_text("utf-8").splitlines()]
    rows = list(csv.reader(io.StringIO((tmp_path / "all.csv").read_text("utf-8-sig"))))
    assert len(rows) == len(readable) + 1 > 100 and len({*map(len, rows)}) == 1
    assert len(pd.read_parquet(tmp_path / "all.parquet")) == len(readable)
    step("share", "create", *readable[:30], ends=(0,))
    step("share", "bundle", *readable[-30:], "--to", str(tmp_path / "bundle.zip"), ends=(0,))
    step("backup", str(tmp_path / "backup"))
    step("restore", str(tmp_path / "backup"), "--dry-run")
    step("compress", "--older-than", "0")
    found[0].lay(data / "operations")  # packed, and there as a file again
    step("show", found[0].id, ends=(0,))
    step("list", "--limit", "2000", ends=(0,))
    step("stats", "--json", ends=(0,))
    some = [oddity.id for oddity in found[::3]]
    step("trash", "put", *some)
    step("trash", "list", ends=(0,))
    step("trash", "restore", *some)
    step("rebuild", ends=(0,))
    step("compress", "--unpack")
    step("repair", "--apply")


@pytest.mark.long
def test_a_name_of_blanks_is_no_choice_and_no_example_is_broken(app: App) -> None:
    facets = app.service.index.facets()
    assert any(not name.strip() for name in facets["model"]), "there is one"
    for field in ("type", "model", "provider", "tag"):
        for name in facets[field]:
            if can_ask(field, name):
                assert app.service.index.count(with_values("", field, [name])).n >= facets[field][name], (field, name)
    assert not can_ask("model", " \t ") and not can_ask("type", '""') and can_ask("type", "my own: type")
