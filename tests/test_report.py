"""The report and `stats`: each figure against plain pandas over the raw JSON, one file without a request, on paper, inert."""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Request
from starlette.applications import Starlette
from starlette.testclient import TestClient

from opstore import Operation, Store
from opstore.analytics.queries import Analytics
from opstore.api import Api, middleware
from opstore.app import App, Settings
from opstore.cli import main
from opstore.errors import InvalidQuery, InvalidRequest
from opstore.index import Index
from opstore.index.terms import fold_name
from opstore.report import DocumentFormatter, Usage, document, html, usage
from tests import index_samples
from tests.browser import ROOT, Server, Windows
from tests.browser_library import fill, small
from tests.samples import PNG

pytest_plugins = ("tests.browser_fixtures",)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVIL = (
    "</style></title></svg><script>document.title='taken'</script>",
    "<img src=http://evil.invalid/x.png onerror=\"document.title='taken'\">",
    "\"'><iframe src=//evil.invalid></iframe>{{7*7}}{0}%s",
    "javascript:alert(1)",
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A hundred and fifty sidecars with every oddity, markup in every text, and one that cannot be read."""
    store = index_samples.folder_of(tmp_path_factory.mktemp("report") / "data", 150, 5)
    for number, text in enumerate(EVIL * 4):
        operation_id = f"20251104{number:06}_0000{number:04x}"
        places = dict.fromkeys(("operationType", "prompt", "error", "model", "provider", "batchId"), text)
        analysis = {"workflow": {"id": text}, "confidence": 0.9}
        cost = {"amount": 0.5, "currency": text}
        sidecar = {"operationId": operation_id, "success": number % 2 == 0, "workflowAnalysis": analysis, "cost": cost, **places}
        index_samples.plant(store, sidecar | {"annotations": {"rating": 4, "tags": [text]}, "elapsedSeconds": 2})
    index_samples.plant(store, b"{", "20251105000000_00000000")
    return store


def told(store: Store, query: str = "", **period: Any) -> Usage:
    index = Index(store, clock=lambda: NOW)
    index.update()
    return usage(Analytics(index, clock=lambda: NOW), query, now=NOW, **period)


# -- figures -------------------------------------------------------------------------------------------------------------


def test_the_five_statistics_are_what_the_raw_files_say(odd: Store) -> None:
    raw = odd.list_operations(10_000)
    operations = [Operation.of(sidecar) for sidecar in raw]
    found = document(told(odd))
    by_type = {row["operation_type"]: row for row in found["operationsByType"]["rows"]}
    # Types that a search takes for one are one here, too: "Text to image" is text_to_image.
    as_searched = {operation.id: fold_name("type", operation.type[:200]) for operation in operations}
    assert {fold_name("type", name): row["n"] for name, row in by_type.items()} == Counter(as_searched.values())
    head = found["headline"]
    tried = [operation for operation in operations if operation.status not in ("canceled", "aborted")]
    good = [operation for operation in operations if operation.status == "stored"]
    assert (head["operations"], head["tried"], head["succeeded"]) == (len(raw), len(tried), len(good))
    assert head["success_rate"] == pytest.approx(len(good) / len(tried)) and head["low"] < head["success_rate"] < head["high"]
    assert head["failure_rate"] == pytest.approx(1 - len(good) / len(tried))
    times = [s for operation in operations if (s := operation.elapsed_seconds) is not None and 0 <= s < 1e9]
    assert head["mean_seconds"] == pytest.approx(statistics.fmean(times))
    assert head["median_seconds"] == pytest.approx(statistics.median(times)) and head["timed"] == len(times)
    for name, row in {row["operation_type"]: row for row in found["meanTimeByType"]["rows"]}.items():
        kind = fold_name("type", name)
        mine = [s for o in operations if as_searched[o.id] == kind and (s := o.elapsed_seconds) is not None and 0 <= s < 1e9]
        assert row["n"] == len(mine) and row["mean"] == pytest.approx(statistics.fmean(mine))
    top = found["mostUsedPrompts"]["rows"][0]
    assert top["n"] >= 4 and found["mostUsedPrompts"]["missing"] + found["mostUsedPrompts"]["n"] == len(raw)
    assert sum(row["n"] for row in found["errors"]["rows"]) + found["errors"]["missing"] == len(tried) - len(good)
    assert found["unreadable"] == 1
    json.dumps(found, allow_nan=False)


def test_a_period_a_search_and_the_period_before(odd: Store) -> None:
    raw = [Operation.of(sidecar) for sidecar in odd.list_operations(10_000)]
    found = told(odd, since=date(2025, 11, 2), until=date(2025, 11, 3))
    days = [operation.id[:8] for operation in raw]
    assert len(found.selection) == sum(day in ("20251102", "20251103") for day in days)
    assert found.before is not None and len(found.before) == sum(day in ("20251031", "20251101") for day in days) > 0
    some = told(odd, "type:unknown", since=date(2025, 1, 1))
    assert 0 < len(some.selection) < len(raw) and some.query == "type:unknown date:>=2025-01-01"
    with pytest.raises(InvalidRequest, match="ends before"):
        told(odd, since=date(2025, 2, 1), until=date(2025, 1, 1))
    with pytest.raises(InvalidQuery):
        told(odd, "rating:x")


def test_nothing_is_a_report_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    store.initialize_storage()
    found = document(told(store))
    assert found["headline"]["operations"] == 0 and found["headline"]["mean_seconds"] is None
    assert "No operations in this period." in html(told(store), DocumentFormatter())


# -- the file ------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(("language", "title"), [("en", "Usage report"), ("fr", "Rapport d’utilisation")])
def test_the_file_opens_without_a_request_and_prints(
    odd: Store, windows: Windows, tmp_path: Path, language: str, title: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(html(told(odd), DocumentFormatter(language)), "utf-8")
    assert path.stat().st_size < 300_000
    context = windows._browser.new_context(viewport={"width": 1100, "height": 900})
    asked: list[str] = []
    complaints: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    context.on("request", note)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    assert asked == [path.as_uri()] and complaints == []
    assert page.title().startswith(title) and page.locator("html").get_attribute("lang") == language
    assert page.locator("h1").inner_text() == title
    assert page.locator("script, iframe, img, link, object, form").count() == 0
    assert page.locator("svg").count() >= 12
    assert page.locator("h1").evaluate("node => getComputedStyle(node).fontSize") == "30px", "its own style is let in"
    assert EVIL[0][:20] in page.locator("body").inner_text(), "markup is shown as the text it is"
    bars = page.locator("section").first.locator("svg .value").all_text_contents()
    rows = document(told(odd))["operationsByType"]["rows"]
    assert [int(re.sub(r"\D", "", text)) for text in bars] == [row["n"] for row in rows], "the drawn values are the counted ones"
    for scheme, width in (("light", 1100), ("dark", 1100), ("light", 390)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        (ROOT / "screenshots").mkdir(exist_ok=True)
        page.screenshot(path=ROOT / f"screenshots/report-{language}-{scheme}-{width}.png", full_page=True)
    pdf = page.pdf(prefer_css_page_size=True, tagged=True)
    assert pdf[:5] == b"%PDF-" and 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 12
    assert b"/MediaBox [0 0 594" in pdf or b"/MediaBox [0 0 595" in pdf, "A4"
    assert b"/Font" in pdf and len(pdf) > 20_000, "text, not a picture of it"
    context.close()


def test_the_policy_forbids_everything_but_its_style(odd: Store) -> None:
    text = html(told(odd), DocumentFormatter())
    assert """content="default-src 'none'; style-src 'unsafe-inline'; img-src data:\"""" in text
    assert text.count("<style>") == text.count("</style>") == 1 and "<script" not in text and "@import" not in text
    assert not re.search(r"url\(|(?:src|href)=", text.replace("src=http", "").replace("src=//", "")), "nothing is loaded"


# -- numbers in words ----------------------------------------------------------------------------------------------------


def test_what_is_not_known_is_a_dash() -> None:
    say = DocumentFormatter()
    assert [say.share(None), say.share(math.nan), say.money(None, "USD"), say.seconds(math.nan), say.interval(math.nan, 1)] == [
        *("–",) * 4,
        "",
    ]
    french = DocumentFormatter("fr")
    assert (
        french.money(1.5, "EUR") == "1,50\u00a0€" and say.money(0.025, "USD") == "$0.025" and say.size(1_500_000) == "1.5\u00a0MB"
    )


# -- command line and HTTP -----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_stats_for_people_and_programs(odd: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--data", str(odd.root)]) == 0
    out = capsys.readouterr().out
    for title in (
        "Operations by type, rates of success and failure",
        "Mean time per operation",
        "Most used prompts",
        "Failures by",
    ):
        assert title in out
    assert all(letter.isprintable() or letter == "\n" for letter in out) and "1 sidecars that cannot be read" in out
    assert main(["stats", "--data", str(odd.root), "--json", "type:unknown"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["success"] is True and found["headline"]["operations"] == len(told(odd, "type:unknown").selection)
    path = tmp_path / "report.html"
    arguments = ["stats", "--data", str(odd.root), "--report", str(path), "--since", "2025-11-01", "--language", "fr"]
    assert main(arguments) == 0 and "Rapport" in path.read_text("utf-8")
    assert main(arguments) == 2 and "--force" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0


def test_every_operation_stands_in_the_line_of_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    store.initialize_storage()
    costs: list[Any] = [
        {"amount": 1, "currency": "USD"},
        {"amount": 2, "currency": "USD"},
        {"amount": 5, "currency": "EUR"},
        None,
    ]
    for number, cost in enumerate(costs):
        store.save(f"2025110314302{number}_abc123de", {"operationType": "text_to_image", "cost": cost}, outputs=[PNG])
    assert main(["stats", "--data", str(tmp_path)]) == 0
    assert "Cost           $3.00 (of 2; 0 estimated, 1 unknown, 1 in other currencies)" in capsys.readouterr().out


def test_stats_wrong_usage(odd: Store) -> None:
    command = [sys.executable, "-m", "opstore", "stats", "--data", str(odd.root), "--since", "yesterday"]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "is not a day" in done.stderr


def test_hours_of_summer_and_winter_are_those_of_the_clock_on_the_wall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At nine in Paris, on a Tuesday of July and one of December."""
    store = Store(tmp_path / "data")
    for operation_id in ("20250701070000_abcdef", "20251202080000_abcdef"):
        index_samples.plant(store, {"operationId": operation_id, "success": False, "error": "no"})
    monkeypatch.setattr("babel.localtime.LOCALTZ", ZoneInfo("Europe/Paris"))
    path = tmp_path / "report.html"
    assert main(["stats", "--data", str(store.root), "--report", str(path)]) == 0, capsys.readouterr()
    assert "Tue 9:00 · 2</title>" in path.read_text("utf-8") and "time zone Europe/Paris" in path.read_text("utf-8")


def test_the_report_over_http(odd: Store) -> None:
    # A small picture of a result is in the file, unless it is asked for without.
    odd.save("20251103143024_abc123e0", {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    app = App(Settings(data=odd.root))
    app.index.update()
    served = Starlette(routes=Api(lambda: app).routes(), middleware=middleware())
    with TestClient(served, base_url="http://127.0.0.1:8501", client=("127.0.0.1", 50_000)) as client:
        answer = client.get("/api/report?language=fr&zone=Europe/Paris&since=2025-11-01")
        assert answer.status_code == 200 and "Europe/Paris" in answer.text and 'lang="fr"' in answer.text
        assert answer.headers["content-disposition"].startswith('attachment; filename="opstore-report-')
        one = "/api/report?q=id:20251103143024_abc123e0"
        assert client.get(one).text.count("data:image/jpeg;base64,") == 1
        assert "data:image/jpeg" not in client.get(f"{one}&plain=1").text
        for wrong in (
            "plain=x",
            "language=xx",
            "zone=Mars",
            "zone=Europe",
            "since=x",
            "q=rating:x",
            "since=2025-02-01&until=2025-01-01",
        ):
            assert client.get(f"/api/report?{wrong}").status_code in (400, 422), wrong


@pytest.mark.long
def test_the_report_from_the_page(windows: Windows, photo: Any, tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    fill(server, small(photo), 40, 4)
    server.start()
    try:
        with windows.visit(server, locale="fr-FR") as visitor:
            page = visitor.open("/settings")
            link = page.get_by_role("link", name=re.compile("^Tout"))
            with page.expect_download() as waiting:
                link.click()
            text = Path(waiting.value.path()).read_text("utf-8")
            assert waiting.value.suggested_filename.endswith(".html") and "Rapport d’utilisation" in text
            assert "Europe/Paris" in text
    finally:
        server.stop()
