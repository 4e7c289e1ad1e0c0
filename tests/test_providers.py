"""What is asked of every provider, and that none is known by its name outside its folder: a new one is a folder and a line."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opstore import clocks
from opstore.app import App, Settings
from opstore.errors import FetchUnavailable, InvalidInput, InvalidRequest, InvalidSetting
from opstore.fetch import FetchPolicy
from opstore.jobs import JobFolder
from opstore.jobs.dependencies import Pauses
from opstore.jobs.retry_limits import due, is_lost, is_over, kept_for
from opstore.providers import Prediction, StepRequest, registry
from opstore.providers.local import steps
from opstore.providers.models import Cost, ModelTable
from opstore.providers.registry import LONGEST, SHORTEST, Registration
from opstore.providers.replicate import rate_limits
from opstore.service import NewOperation
from opstore.storage.files import Folder
from opstore.storage.job import Job, Step
from opstore.storage.operation import OPERATION_TYPES, STEP_TYPES, Operation, timestamp
from opstore.storage.preferences import PreferenceFile, Preferences
from opstore.ui import words
from opstore.ui.components import paste
from tests import kiln
from tests.job_programs import ended
from tests.kiln import COST, Kiln, registration
from tests.standin import world
from tests.standin.samples import sample

ROOT = Path(__file__).resolve().parent.parent
#: Texts of a provider stand in its folder, and their translations in the one catalogue.
OWN = ("opstore/providers/replicate/", "opstore/language/locale/")
LINE = '    "opstore.providers.replicate",'


def test_there_is_one_table_of_operation_types() -> None:
    assert set(steps._STEPS) == set(STEP_TYPES) < set(OPERATION_TYPES)
    most = max(row.maximum for row in OPERATION_TYPES.values())
    assert most + 1 == paste._MOST and "slice(0, most)" in paste._JS


def named(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.search("replicate", line, re.IGNORECASE)]


def test_nothing_outside_its_folder_knows_a_provider_by_its_name() -> None:
    found = {}
    for path in sorted(path for folder in ("opstore", "pages") for path in (ROOT / folder).rglob("*") if path.is_file()):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix != ".pyc" and not name.startswith(OWN):
            found[name] = named(path.read_bytes().decode("utf-8", "replace"))
    found["dashboard.py"] = named((ROOT / "dashboard.py").read_text("utf-8"))
    assert {name: lines for name, lines in found.items() if lines} == {"opstore/providers/registry.py": [LINE]}
    assert len(found) > 200 and named('x = "Replicate"')


@pytest.mark.parametrize("item", registry.registered(), ids=lambda item: item.name)
def test_a_registration_is_whole(item: Registration) -> None:
    assert f"opstore.providers.{item.name}" in registry.PROVIDERS, "it is called as its folder"
    table = ModelTable.load()
    own = [name for name, model in table.by_name.items() if model.provider == item.name]
    assert own and all(item.model_names.pattern.match(name) for name in own), (
        "its models stand in its folder, named by its grammar"
    )
    FetchPolicy(item.hosts)
    assert item.in_process or (item.token and item.hosts and item.keeps)
    if item.standin:
        standin = importlib.import_module(item.standin)
        assert any(hasattr(standin, name) for name in ("StandIn", "KILN"))
    assert bool(item.standin) != item.in_process


def test_the_stand_in_holds_a_provider_to_its_pace_and_to_the_time_that_it_has_registered() -> None:
    known = world.Settings()
    assert (known.creates_per_minute, known.others_per_minute) == (rate_limits.CREATES, rate_limits.OTHERS)
    assert registry.elsewhere()[0].keeps == timedelta(seconds=world.RETENTION)


def test_results_are_kept_from_ten_minutes_to_a_week() -> None:
    for kept in (SHORTEST - timedelta(seconds=1), LONGEST + timedelta(seconds=1)):
        with pytest.raises(ValueError, match="results are kept"):
            replace(registry.registered()[1], keeps=kept)
    assert [registry.span(kept) for kept in (SHORTEST, timedelta(hours=1), timedelta(days=1), LONGEST)] == [
        *("10 minutes", "one hour", "24 hours", "7 days")
    ]


# -- a provider that nothing here knows -----------------------------------------------------------------------------------


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Kiln:
    """Register it: this is the one line."""
    monkeypatch.setattr(registry, "PROVIDERS", (*registry.PROVIDERS, "tests.kiln"))
    monkeypatch.setattr(kiln, "KILN", Kiln())
    return kiln.KILN


@pytest.fixture
def app(far: Kiln, tmp_path: Path) -> Iterator[App]:
    found = App(Settings.from_env({"OPSTORE_DATA": str(tmp_path / "data"), "KILN_KEY": "k"}))
    object.__setattr__(found.runner._around, "pauses", Pauses(0.02, 0.05))
    found.runner.start()
    yield found
    found.stop()


def made(app: App) -> Operation:
    return ended(app, app.service.create(NewOperation("text_to_image", "a vase")))


def test_a_new_provider_is_a_folder_and_a_line(app: App, far: Kiln) -> None:
    settings = app.settings
    assert settings.environment["KILN_KEY"] == "k" and "KILN_KEY" not in repr(settings)
    allows = app.runner._around.policy.allows_host
    assert allows("cdn.kiln.example") and allows("pbxt.replicate.delivery") and not allows("example.org")
    assert app.service.provider() == "kiln" and words.provider_name("kiln") == "Kiln"
    assert Preferences(provider="kiln").provider == "kiln"
    assert Settings.from_env({"OPSTORE_PROVIDER": "kiln"}).provider == "kiln"
    table = ModelTable.load(
        '["kiln-2"]\nprovider = "kiln"\ntypes = ["text_to_image"]\n["kiln/3"]\nprovider = "kiln"\ntypes = ["text_to_image"]'
    )
    assert [model.name for model in table.models("kiln", "text_to_image")] == ["kiln-1", "kiln-2"]
    assert ["a name looks like kiln-1" in problem for problem in table.problems] == [True]
    operation = made(app)
    step = operation.sidecar["steps"][0]
    assert (operation.sidecar["status"], operation.sidecar["provider"], step["model"]) == ("stored", "kiln", "kiln-1")
    assert step["predictionId"] == far.accepted[0]
    assert operation.sidecar["cost"] == COST.record(), "what it says that it charges, not what a list does"


def test_without_the_line_nobody_knows_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting):
        PreferenceFile(Folder(tmp_path)).save(provider="kiln")
    with pytest.raises(InvalidSetting):
        Settings.from_env({"KILN_KEY": "k", "OPSTORE_PROVIDER": "kiln"})
    assert registry.default_registration({"KILN_KEY": "k"}).name == "local"


# -- one that is broken, or chosen and not there ---------------------------------------------------------------------------


def opened(tmp_path: Path, **environment: str) -> App:
    return App(Settings.from_env({"OPSTORE_DATA": str(tmp_path / "data"), **environment}))


def still_works(app: App) -> None:
    app.runner.start()
    try:
        operation_id = app.service.create(NewOperation("text_to_image", "a vase", provider="local"))
        assert ended(app, operation_id).status == "stored"
    finally:
        app.stop()


@pytest.mark.parametrize(
    "environment",
    [
        {"REPLICATE_API_TOKEN": "r8_ not a token", "OPSTORE_PROVIDER": "local"},
        {"REPLICATE_API_TOKEN": "r8_x" * 10, "REPLICATE_BASE_URL": "https://[::1"},
        {"REPLICATE_API_TOKEN": "r8_x" * 10, "REPLICATE_BASE_URL": "https://x:port"},
        {"REPLICATE_API_TOKEN": "r8_x" * 10, "REPLICATE_BASE_URL": "https://x y"},
        {"REPLICATE_API_TOKEN": "r8_x" * 10, "REPLICATE_BASE_URL": "ftp://x"},
    ],
)
def test_a_setting_that_one_provider_cannot_use_stops_no_other(tmp_path: Path, environment: dict[str, str]) -> None:
    app = opened(tmp_path, **environment)
    name = "REPLICATE_BASE_URL" if "REPLICATE_BASE_URL" in environment else "REPLICATE_API_TOKEN"
    (problem,) = app.service.setup_problems()
    assert problem.startswith("Replicate cannot be used.") and name in problem and "r8_" not in problem
    with pytest.raises(InvalidRequest, match=name):
        app.service.create(NewOperation("text_to_image", "a vase", provider="replicate"))
    with pytest.raises(InvalidInput, match=name):
        app.service.care.take_history("replicate", 1)
    still_works(app)


def test_a_provider_that_cannot_be_loaded_or_opened_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(environment: object, table: object) -> Kiln:
        raise ZeroDivisionError("r8_secret")

    monkeypatch.setattr(registry, "PROVIDERS", ("tests.nobody", *registry.PROVIDERS, "tests.kiln"))
    monkeypatch.setattr(registration, "REGISTRATION", replace(registration.REGISTRATION, open=broken))
    registry._registration.cache_clear()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models.toml").write_text('["a/b"]\ntypes = ["text_to_image"]\n')
    try:
        app = opened(tmp_path, KILN_KEY="k")
        assert app.service.setup_problems() == [
            "nobody cannot be used. Its program cannot be loaded (ModuleNotFoundError: No module named 'tests.nobody').",
            "Kiln cannot be used. Its program cannot be started (ZeroDivisionError).",
        ]
        assert app.provider() == "kiln" and words.provider_name("nobody") == "nobody"
        with pytest.raises(InvalidRequest, match="Kiln cannot be used"):
            app.service.create(NewOperation("text_to_image", "a vase"))
        still_works(app)
    finally:
        registry._registration.cache_clear()


def test_a_table_of_models_that_is_broken_leaves_out_its_models_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = registry.models_that_ship() | {"local": "not toml"}
    monkeypatch.setattr(registry, "models_that_ship", lambda: shipped)
    table = ModelTable.load()
    assert {model.provider for model in table.by_name.values()} == {"replicate"}
    assert [problem[:49] for problem in table.problems] == ["Local engine: models.toml was left out: it is not"]


def test_a_provider_that_was_chosen_and_is_registered_no_more_is_said_and_pays_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "settings.json").write_text('{"provider": "kiln", "daily_budget": 5.0, "monthly_budget": null}')
    app = opened(tmp_path)
    assert app.service.settings_damage() is None and app.service.preferences().daily_budget == 5
    assert [problem.kind for problem in app.service.problems()] == ["unusable"]
    assert "'kiln', who is not registered here" in app.service.setup_problems()[0]
    with pytest.raises(InvalidRequest, match="there is no provider 'kiln' here; choose local or replicate"):
        app.service.create(NewOperation("text_to_image", "a vase"))
    still_works(app)


def test_a_model_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "data" / "models.toml").mkdir(parents=True)
    app = opened(tmp_path)
    assert "models.toml was left out" in app.service.setup_problems()[0]
    still_works(app)


# -- ids of ours ------------------------------------------------------------------------------------------------------------


def test_an_id_of_ours_is_written_before_the_request_leaves(app: App, far: Kiln) -> None:
    seen: list[str | None] = []

    def heard(request: StepRequest) -> None:
        folder = JobFolder(app.store.pending, app.store.cache / "progress")
        seen.append(folder.get(request.operation_id).step.chosen_id)
        assert request.chosen_id == seen[-1]

    far.heard = heard
    made(app)
    assert seen == far.accepted and len(seen) == 1


@pytest.mark.parametrize(("breaks", "asked"), [("after", 1), ("before", 2)])
def test_a_lost_answer_costs_one_prediction(app: App, far: Kiln, breaks: str, asked: int) -> None:
    far.breaks = breaks
    operation = made(app)
    assert operation.sidecar["status"] == "stored"
    assert far.accepted == [operation.sidecar["steps"][0]["predictionId"]], "found by its own id, or sent again under it"
    assert dict(far.asked) == {far.accepted[0]: asked}


def test_two_that_ask_for_the_same_are_told_apart_by_their_ids(app: App, far: Kiln) -> None:
    far.breaks = "after"
    ids = [app.service.create(NewOperation("text_to_image", "a vase")) for _ in range(2)]
    assert {ended(app, name).sidecar["status"] for name in ids} == {"stored"}
    assert len(set(far.accepted)) == len(far.accepted) == 2


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (Cost(2.0, "usd", "charged", False), {"amount": 2.0, "currency": "USD", "basis": "charged", "estimated": False}),
        (Cost(-5.0, "USD", "charged", False), None),
        (Cost(float("nan"), "USD", "charged", False), None),
        (Cost(1.0, "\ud83d", "charged", False), None),
        (Cost(1.0, "USD", "\ud83d", False), {"amount": 1.0, "currency": "USD", "basis": "?", "estimated": False}),
    ],
)
def test_what_a_provider_says_it_charges_is_money_or_not_said(app: App, far: Kiln, said: Cost, kept: object) -> None:
    odd: dict[str, Any] = {"predict_seconds": float("nan"), "error_kind": "\ud83d", "fetch_by": 7}
    far.result = replace(far.result, cost=said, **odd)
    operation = made(app)
    assert operation.sidecar["status"] == "stored", "it was paid for, whatever else is odd"
    assert operation.sidecar["cost"] == kept and operation.sidecar["steps"][0]["predictSeconds"] is None


def test_a_job_waits_for_a_provider_that_is_not_set_up_any_more(far: Kiln, tmp_path: Path) -> None:
    app = App(Settings.from_env({"OPSTORE_DATA": str(tmp_path / "data")}))
    folder, name = JobFolder(app.store.pending, app.store.cache / "progress"), "20260101000001_00000000"
    folder.add(job(name, "running", prediction_id="kiln-1", started_at=at(0)))
    app.start()
    try:
        deadline = time.monotonic() + 30
        while "waiting for the provider" not in (note := folder.progress(name).note):
            assert time.monotonic() < deadline, note
            time.sleep(0.01)
        assert "kiln is not set up here" in note and folder.get(name).state == "running"
    finally:
        app.stop()


def test_a_result_that_its_provider_has_deleted_says_for_how_long_it_keeps_them(app: App, far: Kiln) -> None:
    far.result = Prediction("succeeded", expired=True)
    operation = made(app)
    assert operation.sidecar["status"] == "expired"
    assert "it keeps results for 10 minutes" in str(operation.sidecar["error"])


@pytest.mark.parametrize(("minutes", "end"), [(-1, "expired"), (9000, "stored")])
def test_a_result_that_cannot_be_had_is_tried_for_until_its_own_deadline(
    app: App, far: Kiln, minutes: float, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.result = replace(far.result, outputs=("https://cdn.kiln.example/1.png",), fetch_by=at(minutes), completed_at=at(-60))
    folder = JobFolder(app.store.pending, app.store.cache / "progress")
    tried: list[str | None] = []

    def fetching(address: str, policy: FetchPolicy) -> bytes:
        assert address == "https://cdn.kiln.example/1.png"
        tried.append(folder.all()[0].step.fetch_by)
        if len(tried) < 4:
            raise FetchUnavailable(reason="busy")
        return sample("png")

    monkeypatch.setattr("opstore.jobs.machine.fetch", fetching)
    operation = made(app)
    assert operation.sidecar["status"] == end and set(tried) == {far.result.fetch_by}
    assert len(tried) == (4 if end == "stored" else 1)


# -- when results are fetched ---------------------------------------------------------------------------------------------


def job(name: str, state: str, provider: str = "kiln", **step: object) -> Job:
    known = Step("text_to_image", "x", provider, "kiln-1", {})
    return Job(name, state, "2026-01-01T00:00:00.000Z", {"inputFiles": []}, (replace(known, **step),))  # type: ignore[arg-type] # any field


def at(minutes: float) -> str:
    return timestamp(clocks.now() + timedelta(minutes=minutes))


def test_what_is_deleted_first_is_fetched_first_and_what_is_not_sent_comes_last(
    far: Kiln, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(Settings.from_env({"OPSTORE_DATA": str(tmp_path / "data"), "KILN_KEY": "k"}))
    wanted = {
        "20260101000006_00000000": job("20260101000006_00000000", "fetching", completed_at=at(-5)),  # in 5 minutes
        "20260101000005_00000000": job("20260101000005_00000000", "running", started_at=at(0)),  # in 10
        "20260101000004_00000000": job("20260101000004_00000000", "fetching", completed_at=at(-20), fetch_by=at(30)),
        "20260101000003_00000000": job("20260101000003_00000000", "fetching", "replicate", completed_at=at(-20)),  # in 40
        "20260101000001_00000000": job("20260101000001_00000000", "queued"),
        "20260101000002_00000000": job("20260101000002_00000000", "queued"),
    }
    folder = JobFolder(app.store.pending, app.store.cache / "progress")
    for name in sorted(wanted):
        folder.add(wanted[name])
    assert folder.ids() == sorted(wanted)
    read: list[str] = []
    reading = JobFolder.get

    def noted(where: JobFolder, name: str) -> Job:
        read.append(name)
        return reading(where, name)

    monkeypatch.setattr(JobFolder, "get", noted)
    assert app.runner._in_order(folder.ids()) == app.runner._in_order(folder.ids()) == list(wanted)
    assert sorted(read) == sorted(wanted), "each is read once, however long it waits"


def test_what_a_provider_says_of_a_result_counts_before_what_it_does_in_general(far: Kiln) -> None:
    past, later = job("a", "fetching", fetch_by=at(-1)).step, job("b", "fetching", completed_at=at(-60), fetch_by=at(9000)).step
    assert is_over(past, far, 0.0) and not is_over(later, far, 3600.0)
    assert [is_over(job("c", "fetching", completed_at=at(-minutes)).step, far, 0.0) for minutes in (9, 11)] == [False, True]
    assert [is_over(job("d", "fetching").step, None, minutes * 60.0) for minutes in (9, 11)] == [False, True]
    assert due(job("e", "queued")) == float("inf") and kept_for(past) == "10 minutes"
    # Ten minutes are tried in any case; then one that ran for an hour at most, and whose result was kept for ten, is gone.
    assert [is_lost(job("f", "running", started_at=at(-minutes)).step, far, 601.0) for minutes in (69, 71)] == [False, True]
