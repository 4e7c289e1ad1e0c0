"""Runs that were lost and are found again, and the token that nobody gets to see."""

from __future__ import annotations

import logging
import pickle
import time
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opstore.errors import (
    OpstoreError,
    ProviderRefused,
    ProviderUnavailable,
)
from opstore.providers import Prediction
from opstore.providers.models import ModelTable
from opstore.providers.replicate import Replicate
from opstore.providers.replicate.search import search
from tests.replicate_standin import StandIn
from tests.standin.client import CANARY, request, silent, soon, wait
from tests.standin.samples import sample

pytest_plugins = ("tests.standin.fixtures",)

# -- found again ----------------------------------------------------------------------------------------------------------


def test_a_lost_run_is_found_among_others(standin: StandIn, replicate: Replicate) -> None:
    standin.set(page_size=3)
    since = datetime.now(UTC)
    for seed in range(5):
        replicate.create(request(seed=seed), silent)
    mine = replicate.create(request(seed=99), silent)
    for other in (request(prompt="a dog", seed=99), request("text_to_video", "wan-video/wan-2.2-t2v-fast", seed=99)):
        replicate.create(other, silent)
    search = replicate.find(request(seed=99), since)
    assert search.found is not None and search.found.id == mine.id
    assert search.complete
    assert replicate.find(request(seed=100), since).found is None
    assert replicate.find(request(seed=100), since).complete


def test_older_runs_are_somebody_elses(standin: StandIn, replicate: Replicate) -> None:
    replicate.create(request(), silent)
    later = datetime.now(UTC) + timedelta(minutes=15, seconds=2)
    search = replicate.find(request(), later)
    assert (search.found, search.complete) == (None, True)
    # a clock that is minutes ahead of Replicate's is allowed for
    assert replicate.find(request(), datetime.now(UTC) + timedelta(minutes=14)).found is not None


def test_what_can_no_longer_be_read_is_not_taken_for_absent(standin: StandIn, replicate: Replicate) -> None:
    since = datetime.now(UTC)
    replicate.create(request(seed=1), silent)
    replicate.create(request("text_to_video", "wan-video/wan-2.2-t2v-fast"), silent)
    standin.advance(3700)
    search = replicate.find(request(seed=2), since)
    assert (search.found, search.complete) == (None, False)
    # of another model only: surely not ours
    assert replicate.find(request("image_edit_single", "qwen/qwen-image-edit-plus", (sample("png"),)), since).complete


def test_without_a_seed_all_else_must_agree_and_twins_are_left_to_a_person(standin: StandIn, replicate: Replicate) -> None:
    since = datetime.now(UTC)
    first = replicate.create(request(model="google/nano-banana", aspectRatio="1:1"), silent)
    replicate.create(request(model="google/nano-banana", aspectRatio="16:9"), silent)
    found = replicate.find(request(model="google/nano-banana", aspectRatio="1:1"), since).found
    assert found is not None and found.id == first.id
    assert replicate.find(request(model="google/nano-banana", aspectRatio="3:2"), since).found is None
    twin = replicate.create(request(model="google/nano-banana", aspectRatio="1:1"), silent)
    search = replicate.find(request(model="google/nano-banana", aspectRatio="1:1"), since)
    assert (search.found, search.complete) == (None, False)
    known = replicate.find(request(model="google/nano-banana", aspectRatio="1:1"), since, exclude=[first.id or ""]).found
    assert known is not None and known.id == twin.id


def test_a_record_that_names_no_prediction_is_neither_found_nor_absent() -> None:
    asked, since = request(model="google/nano-banana", aspectRatio="1:1"), datetime.now(UTC)
    model = ModelTable.load().get(asked.model)
    arguments = model.arguments(asked, [])
    record = {"id": None, "model": model.name, "input": arguments, "status": "processing", "created_at": since.isoformat()}
    found = search([[record]], model, arguments, since - timedelta(minutes=1), ())
    assert (found.found, found.complete) == (None, False)
    assert search([[record | {"id": "p"}]], model, arguments, since - timedelta(minutes=1), ()).found


def test_a_list_that_cannot_be_read_is_no_absence(standin: StandIn, replicate: Replicate) -> None:
    for fault in ({"kind": "empty"}, {"kind": "list"}, {"kind": "reset"}, {"kind": "html", "status": 502}):
        standin.fault(on="list", **fault)
        with pytest.raises(ProviderUnavailable):
            replicate.find(request(), soon())


def test_recent_stops_at_the_moment_asked_for(standin: StandIn, replicate: Replicate) -> None:
    standin.set(page_size=2)
    old = replicate.create(request(seed=1), silent)
    time.sleep(0.02)
    since = datetime.now(UTC)
    new = [replicate.create(request(seed=seed), silent).id for seed in range(2, 5)]
    found = [one.id for one in replicate.recent(since)]
    assert found == new[::-1]
    assert old.id not in found


# -- the token ------------------------------------------------------------------------------------------------------------


def everything_said(error: BaseException) -> str:
    details = getattr(error, "details", {})
    return "".join(traceback.format_exception(error)) + repr(error) + repr(details) + str(error)


@pytest.mark.long
def test_the_token_is_seen_by_nobody(
    standin: StandIn, replicate: Replicate, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [repr(replicate), str(vars(replicate).keys())]
    found = replicate.create(request(), silent)
    records: list[Prediction] = [found, *wait(replicate, found), *replicate.recent(soon())]
    faults: list[dict[str, Any]] = [
        {"kind": "echo", "status": 422},
        {"kind": "echo", "status": 400},
        {"kind": "echo", "status": 200},
        {"kind": "reset"},
        {"kind": "hang", "seconds": 5},
        {"kind": "html", "status": 502},
        {"kind": "empty"},
        {"kind": "redirect"},
    ]
    for on in ("create", "status", "list"):
        for fault in faults:
            standin.fault(on=on, **fault)
            with pytest.raises(OpstoreError) as caught:
                if on == "create":
                    replicate.create(request(), silent)
                elif on == "status":
                    replicate.status(found.id or "")
                else:
                    list(replicate.recent(soon()))
            said.append(everything_said(caught.value))
            pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own error, across a process border
    said += [repr(record) for record in records]
    said += [record.getMessage() + str(record.args) for record in caplog.records]
    said += list(capfd.readouterr())
    assert len(said) > 24 and any("[token]" in text for text in said)
    assert not [text for text in said if CANARY in text]


def test_the_token_goes_to_no_other_host(standin: StandIn, replicate: Replicate) -> None:
    with StandIn() as elsewhere:
        with pytest.raises(ProviderRefused, match="another host"):
            replicate._page(f"{elsewhere.url}/v1/predictions")
        with pytest.raises(ProviderRefused, match="another host"):
            replicate._page(standin.url.replace("127.0.0.1", "localhost") + "/v1/predictions")
        standin.fault(on="status", kind="redirect", header=f"{elsewhere.url}/v1/predictions/abc")
        with pytest.raises(ProviderUnavailable, match="redirects elsewhere"):
            replicate.status("abc")
        assert elsewhere.report()["requests"] == {}


def test_the_environment_changes_neither_token_nor_host(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_another")
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    provider = Replicate(standin.token, standin.url)
    assert provider.create(request(), silent).id
    provider.close()
