"""Import of an account's history at Replicate: what its web site and others made, once, as data; nothing is ever asked for."""

from __future__ import annotations

import base64
import json
import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opstore.app import App, Settings
from opstore.care import Imported
from opstore.care.account_history import HistoryImport
from opstore.errors import InvalidInput, ProviderUnavailable
from opstore.fetch import FetchPolicy
from opstore.providers import Past
from opstore.providers.models import Cost, ModelTable
from opstore.providers.replicate import Replicate
from opstore.providers.replicate.records import past
from opstore.service import NewOperation
from opstore.storage.trash import Trash
from opstore.ui.opened_app import running
from tests.job_programs import until
from tests.replicate_standin import StandIn
from tests.samples import tree
from tests.standin.client import CANARY, VERSION, set_up
from tests.standin.samples import sample
from tests.test_cli import run
from tests.test_storage_page import page, press, shown

IMAGE, EDIT, VIDEO = "qwen/qwen-image", "qwen/qwen-image-edit-plus", "wan-video/wan-2.2-i2v-fast"
PNG_ADDRESS = f"data:image/png;base64,{base64.b64encode(sample('png')).decode()}"


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with StandIn(token=CANARY, start=0.0, run=0.0) as running:
        yield running


@pytest.fixture
def app(standin: StandIn, tmp_path: Path) -> Iterator[App]:
    settings = Settings(
        data=tmp_path / "data",
        environment=set_up(standin.token, standin.url),
        policy=FetchPolicy.parse(standin.delivery_url),
    )
    app = App(settings)
    yield app
    app.stop()


def on_the_web(app: App, standin: StandIn, model: str = IMAGE, plan: Mapping[str, Any] | None = None, **given: Any) -> str:
    """Make a prediction as the web site does; return its id."""
    standin.plan(**{"source": "web", **(plan or {})})
    provider = app._providers["replicate"]
    assert isinstance(provider, Replicate)
    return str(provider.submit(model, {"prompt": "a lighthouse", **given}, "900000s").id)


def imported(app: App, **options: Any) -> Imported:
    return app.service.care.take_history("replicate", **({"days": 14} | options))


def of(app: App, done: Imported) -> dict[str, dict[str, Any]]:
    """Return what came in by its prediction."""
    found = [app.store.get_operation_metadata(operation_id) for operation_id in done.operations]
    return {sidecar["steps"][0]["predictionId"]: sidecar for sidecar in found}


def test_what_the_web_site_made_comes_in_whole_and_once(app: App, standin: StandIn) -> None:
    image = on_the_web(app, standin, seed=7, aspect_ratio="3:4", output_format="png", go_fast=True)
    edit = on_the_web(app, standin, EDIT, image=[PNG_ADDRESS, PNG_ADDRESS], prompt="both side by side")
    video = on_the_web(app, standin, VIDEO, image=PNG_ADDRESS, prompt="it moves")
    standin.advance(13 * 86_400)
    before = standin.report()
    done = imported(app)
    assert (len(done.operations), done.same, done.left, done.without) == (3, 0, {}, 0)
    found = of(app, done)
    first = found[image]
    assert (first["operationType"], first["prompt"], first["model"], first["status"]) == (
        "text_to_image",
        "a lighthouse",
        IMAGE,
        "stored",
    )
    wanted = {"seed": 7, "aspectRatio": "3:4", "outputFormat": "png", "goFast": True}
    assert wanted.items() <= first["parameters"].items(), "by opstore's own names where the table has them"
    assert first["imported"] == {"from": "replicate", "predictionId": image, "inputsMissing": 0}
    assert first["steps"][0]["webUrl"] == f"https://replicate.com/p/{image}"
    assert app.store.read_file(first["outputFile"]) == sample("png")
    assert found[edit]["operationType"] == "image_edit_multiple"
    assert [app.store.read_file(name) for name in found[edit]["inputFiles"]] == [sample("png")] * 2
    assert "image" not in found[edit]["parameters"]
    assert found[video]["operationType"] == "image_to_video_single" and found[video]["outputFile"].endswith(".mp4")
    assert app.service.problems(deep=True) == []
    again = imported(app)
    assert (again.operations, again.same) == ((), 3)
    after = standin.report()
    assert after["creates_accepted"] == before["creates_accepted"] == 3, "an import asks for nothing to be made"
    assert after["requests"].get("create") == before["requests"].get("create")
    assert CANARY not in "".join(path.read_text(errors="replace") for path in (app.settings.data / "operations").iterdir())


def test_failures_and_what_is_gone_are_data(app: App, standin: StandIn) -> None:
    failed = on_the_web(app, standin, plan={"status": "failed", "error": "NSFW content detected"})
    lost = on_the_web(app, standin, plan={"output": "null"})
    gone = on_the_web(app, standin, plan={"source": "api"}, prompt="made by another program")
    standin.advance(3_700)
    done = imported(app)
    found = of(app, done)
    assert (len(found), done.without, done.left) == (3, 3, {})
    assert [found[name]["status"] for name in (failed, lost, gone)] == ["failed", "failed", "expired"]
    assert "safety filter" in found[failed]["error"] and "names no result" in found[lost]["error"]
    assert (
        found[gone]["prompt"] == "" and "for an hour" in found[gone]["error"] and found[gone]["operationType"] == "text_to_image"
    )
    assert all(not sidecar["success"] and sidecar["outputFile"] is None for sidecar in found.values())
    assert imported(app).operations == ()


def test_a_result_that_a_server_has_deleted_is_told_and_one_that_is_busy_is_left_for_the_next_time(
    app: App, standin: StandIn
) -> None:
    first = on_the_web(app, standin)
    standin.fault(on="delivery", kind="html", status=503)
    done = imported(app)
    assert done.operations == () and "busy" in done.left[first]
    assert list(of(app, imported(app))) == [first]
    second = on_the_web(app, standin)
    standin.fault(on="delivery", kind="html", status=404)
    sidecar = of(app, imported(app))[second]
    assert sidecar["status"] == "expired" and "does not have" in sidecar["error"]


def test_what_is_no_picture_or_not_done_is_left(app: App, standin: StandIn) -> None:
    on_the_web(app, standin, "google/gemini-2.5-flash", plan={"text": ["a plan"]})
    running = on_the_web(app, standin, plan={"run": 1e6})
    unknown = on_the_web(app, standin, f"acme/painter:{VERSION}", width=512)
    removed = on_the_web(app, standin, f"acme/painter:{VERSION}", plan={"source": "api"})
    standin.advance(3_700)
    done = imported(app)
    assert done.left == {running: "it is not done yet; import again later", removed: "nothing is known of it any more"}
    sidecar = of(app, done)[unknown]
    assert (sidecar["operationType"], sidecar["model"], sidecar["cost"]) == ("text_to_image", "community/model", None)
    assert sidecar["parameters"] == {"width": 512}


def test_what_was_made_here_is_passed_over_also_from_the_trash(app: App, standin: StandIn) -> None:
    app.start()
    mine = [app.service.create(NewOperation("text_to_image", f"boat {n}", provider="replicate")) for n in range(2)]
    until(lambda: app.service.count_jobs() == 0)
    app.service.curation.put_in_trash(mine[:1])
    done = imported(app)
    assert (done.operations, done.same, done.left) == ((), 2, {})


def test_what_may_belong_to_a_job_under_way_is_left(app: App, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a create was lost: its prediction is in the list, and the job does not know its name yet."""
    standin.fault(on="create", kind="reset", after=True)
    app.start()
    app.service.create(NewOperation("text_to_image", "boat", provider="replicate"))
    until(lambda: standin.accepted == 1)
    done = imported(app)
    assert done.operations == () and (done.same == 1 or "under way here" in next(iter(done.left.values())))


def test_a_look_changes_nothing(app: App, standin: StandIn) -> None:
    on_the_web(app, standin)
    before = tree(app.settings.data)
    done = imported(app, dry=True)
    assert len(done.operations) == 1 and tree(app.settings.data) == before
    assert not standin.report()["deliveries"]
    assert imported(app).operations == done.operations, "and says what the import then does"


def test_two_imports_at_once_make_nothing_twice(app: App, standin: StandIn) -> None:
    names = {on_the_web(app, standin, seed=number) for number in range(6)}
    others = App(app.settings)
    threads = [threading.Thread(target=imported, args=(one,)) for one in (app, others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    others.stop()
    stored = app.store.list_operations()
    assert {sidecar["steps"][0]["predictionId"] for sidecar in stored} == names and len(stored) == 6
    assert app.service.problems(deep=True) == []


def test_pages_of_the_list_are_followed_and_older_ones_are_not(app: App, standin: StandIn) -> None:
    standin.set(page_size=2)
    on_the_web(app, standin, prompt="too old")
    standin.advance(3 * 86_400)
    for number in range(5):
        on_the_web(app, standin, seed=number)
    # The stand-in's clock is three days ahead: of its last day are those of "three days from now".
    provider = app._providers["replicate"]
    assert isinstance(provider, Replicate)
    work = HistoryImport(app.store, Trash(app.store), provider.table, app.runner._around.policy)
    assert len(work.run(provider, datetime.now(UTC) + timedelta(days=2)).operations) == 5


def test_without_a_token_or_with_odd_days_it_says_so(app: App, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="REPLICATE_API_TOKEN"):
        App(Settings(data=tmp_path / "other")).service.care.take_history("replicate", 14)
    for days in (0, -1, 366, True, 1.5):
        with pytest.raises(InvalidInput, match="days"):
            imported(app, days=days)


def test_a_list_that_breaks_off_is_an_error_and_what_came_stays(app: App, standin: StandIn) -> None:
    for number in range(3):
        on_the_web(app, standin, seed=number)
    standin.set(page_size=2)
    standin.fault(on="list", kind="html", status=500, count=9, every=2)
    with pytest.raises(ProviderUnavailable):
        imported(app)
    standin.clear()
    assert len(imported(app).operations) + len(app.store.list_operations()) >= 3
    assert len(app.store.list_operations()) == 3


class Told:
    """A provider whose list holds just these records."""

    name = "replicate"

    def __init__(self, *records: Mapping[str, Any]) -> None:
        self.records = records

    def history(self, since: datetime) -> Iterator[Past]:
        return map(past, self.records)


SOUND = {"id": "abc", "model": IMAGE, "status": "failed", "created_at": "2026-01-02T03:04:05Z", "input": {"prompt": "x"}}


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "../../etc/passwd"},
        {"id": "x" * 100_000},
        {"input": {"prompt": ["no", "text"], "image": {"a": [1]}, "seed": float("inf"), "n": 10**400}},
        {"input": {"prompt": "half \ud800 a character \x00", "\ud800": 1, "style": "\ud800"}},
        {"input": [1, 2]},
        {"input": {"prompt": "y" * 9_000_000}},
        {"model": 5, "error": {"a": 1}},
        {"status": "succeeded", "output": ["file:///etc/passwd", "https://169.254.169.254/x"]},
        {"status": "succeeded", "output": "https://169.254.169.254/latest"},
        {"status": "succeeded", "output": "data:image/png;base64,AAAA"},
        {"completed_at": "yesterday", "started_at": 5, "metrics": {"predict_time": "long"}},
        {"created_at": "9999-12-31T23:59:59Z"},
        {"created_at": None},
        {"id": None},
        {"urls": {"web": "javascript:alert(1)"}},
    ],
)
def test_whatever_a_list_says_nothing_breaks(tmp_path: Path, odd: dict[str, Any]) -> None:
    store = App(Settings(data=tmp_path / "data")).store
    provider: Any = Told(SOUND | odd, SOUND | {"id": "next"})
    done = HistoryImport(store, Trash(store), ModelTable.load(), FetchPolicy()).run(provider, datetime(2026, 1, 1, tzinfo=UTC))
    assert "next" in {sidecar["steps"][0]["predictionId"] for sidecar in store.list_operations()}
    assert len(done.operations) + len(done.left) + (odd.get("id", "") is None) == 2
    assert store.verify(deep=True) == []
    assert not (tmp_path / "etc").exists()


class Charging(Told):
    """A provider whose list says what each run cost."""

    def __init__(self, amount: float, *records: Mapping[str, Any]) -> None:
        super().__init__(*records)
        self.cost = Cost(amount, "usd", "its bill", estimated=False)

    def history(self, since: datetime) -> Iterator[Past]:
        return (replace(found, prediction=replace(found.prediction, cost=self.cost)) for found in super().history(since))


@pytest.mark.parametrize(("amount", "counted"), [(0.5, 0.5), (-5.0, None), (math.nan, None), (math.inf, None), (1e12, None)])
def test_what_a_list_says_of_money_counts_only_where_it_can_be_money(
    amount: float, counted: float | None, tmp_path: Path
) -> None:
    store = App(Settings(data=tmp_path / "data")).store
    provider: Any = Charging(amount, SOUND | {"model": "community/model", "status": "canceled"})
    HistoryImport(store, Trash(store), ModelTable.load(), FetchPolicy()).run(provider, datetime(2026, 1, 1, tzinfo=UTC))
    (sidecar,) = store.list_operations()
    assert (sidecar["cost"] and (sidecar["cost"]["amount"], sidecar["cost"]["currency"])) == (counted and (counted, "USD"))


@pytest.mark.long
def test_the_command_tells_what_came(app: App, standin: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    on_the_web(app, standin)
    monkeypatch.setenv("OPSTORE_DATA", str(app.settings.data))
    monkeypatch.setenv("REPLICATE_API_TOKEN", standin.token)
    monkeypatch.setenv("REPLICATE_BASE_URL", standin.url)
    monkeypatch.setenv("OPSTORE_DELIVERY_HOSTS", standin.delivery_url)
    looked = json.loads(run("import", "replicate", "--days", "14", "--dry-run", "--json").stdout)
    assert looked["count"] == 1 and looked["dryRun"] is True
    assert run("import", "replicate").stdout == "1 operations came in; 0 were there already; 0 predictions left.\n"
    assert run("import", "replicate").stdout == "0 operations came in; 1 were there already; 0 predictions left.\n"
    assert run("import", "replicate", "--days", "0").returncode == 2


@pytest.mark.long
def test_the_page_says_first_what_would_come_in(app: App, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_web(app, standin)
    on_the_web(app, standin, plan={"run": 1e6})
    monkeypatch.setenv("REPLICATE_API_TOKEN", standin.token)
    monkeypatch.setenv("REPLICATE_BASE_URL", standin.url)
    monkeypatch.setenv("OPSTORE_DELIVERY_HOSTS", standin.delivery_url)
    shown_by = running()
    try:
        at = page(shown_by)
        press(shown_by, at, "history-replicate-True")
        assert "To import: 1 operation; already present: 0; predictions skipped: 1." in shown(at)
        press(shown_by, at, "history-replicate-False")
        assert "Imported 1 operation, of these without a result: 0" in shown(at)
        assert len(shown_by.store.list_operations()) == 1
    finally:
        shown_by.stop()
