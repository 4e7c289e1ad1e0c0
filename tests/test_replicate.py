"""Replicate through its own, unmodified client, over real sockets: each end of a create told apart, faults as sentences.

What is asked again and again here: was a run accepted (each is paid for), does the caller know, was the token seen by anybody.
"""

from __future__ import annotations

import base64
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from opstore.errors import (
    Canceled,
    CreateUncertain,
    InvalidSetting,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from opstore.providers import Provider, StepRequest
from opstore.providers.models import ModelTable
from opstore.providers.replicate import Replicate
from tests.replicate_standin import StandIn
from tests.standin.client import CANARY, QUICK, TABLE, VERSION, request, silent, soon, wait
from tests.standin.samples import sample

pytest_plugins = ("tests.standin.fixtures",)

# -- a run from end to end ------------------------------------------------------------------------------------------------


def test_it_fits_the_seam(replicate: Replicate) -> None:
    provider: Provider = replicate
    assert provider.name == "replicate"
    assert provider.settle_seconds > 0


@pytest.mark.parametrize(
    ("kind", "model", "pictures"),
    [
        ("text_to_image", "qwen/qwen-image", 0),
        ("image_edit_single", "qwen/qwen-image-edit-plus", 1),
        ("image_edit_multiple", "qwen/qwen-image-edit-plus", 5),
        ("text_to_video", "wan-video/wan-2.2-t2v-fast", 0),
        ("image_to_video_single", "wan-video/wan-2.2-i2v-fast", 1),
        ("image_to_video_transition", "wan-video/wan-2.2-i2v-fast", 2),
    ],
)
def test_every_type_of_the_original_models_runs(
    standin: StandIn, replicate: Replicate, kind: str, model: str, pictures: int
) -> None:
    states = wait(replicate, replicate.create(request(kind, model, (sample("png"),) * pictures), silent))
    assert [state.status for state in states][-1] == "succeeded"
    last = states[-1]
    assert len(last.outputs) == 1 and str(last.outputs[0]).startswith(standin.delivery_url)
    assert last.predict_seconds == 0.05
    assert last.created_at and last.started_at and last.completed_at and last.web_url
    assert last.progress == 1.0 and "100%|" in last.logs
    assert last.raw["id"] == last.id and last.raw["data_removed"] is False and "deadline" in last.raw
    assert standin.accepted == 1


def test_every_model_that_ships_is_accepted(standin: StandIn, replicate: Replicate) -> None:
    tried = 0
    for model in TABLE.by_name.values():
        if model.provider != "replicate" or model.name.startswith("acme/"):
            continue
        for kind in model.types:
            pictures = {"image_edit_multiple": 2, "image_to_video_transition": 2}.get(kind, int(kind.startswith("image")))
            replicate.create(request(kind, model.name, (sample("jpg"),) * pictures), silent)
            tried += 1
    assert standin.accepted == tried > 40


def test_a_run_goes_through_all_its_states(standin: StandIn, replicate: Replicate) -> None:
    standin.set(start=0.1, run=0.2)
    states = wait(replicate, replicate.create(request(), silent))
    assert [state.status for state in states] == ["starting", "processing", "succeeded"]
    assert states[1].progress is not None and states[1].progress < 1


@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
def test_the_other_ends_are_told(standin: StandIn, replicate: Replicate, status: str) -> None:
    standin.plan(status=status, error="CUDA out of memory")
    last = wait(replicate, replicate.create(request(), silent))[-1]
    assert last.status == status
    assert last.error_kind == {"failed": "memory"}.get(status, status)
    assert last.error and last.outputs == ()
    # The client itself cannot read an aborted prediction, and then not even a list that contains one.
    assert [found.status for found in replicate.recent(soon())] == [status]


@pytest.mark.parametrize(
    ("plan", "outputs"), [("normal", 1), ("null", 0), ("empty", 0), ("short", 1), ("two", 2), ("object", 1), ("data", 1)]
)
def test_outputs_of_every_shape(standin: StandIn, replicate: Replicate, plan: str, outputs: int) -> None:
    standin.plan(output=plan, start=0, run=0)
    last = wait(replicate, replicate.create(request(), silent))[-1]
    assert last.status == "succeeded"
    assert len(last.outputs) == outputs
    if plan == "data":
        assert base64.b64decode(str(last.outputs[0]).partition(",")[2]) == sample("webp")
        assert len(json.dumps(dict(last.raw))) < 3000  # the record for the sidecar does not hold the file once more


def test_cancel_ends_a_run(standin: StandIn, replicate: Replicate) -> None:
    standin.set(run=1000)
    found = replicate.create(request(), silent)
    assert replicate.cancel(found.id or "").status == "canceled"
    assert replicate.status(found.id or "").ended


def test_small_images_lie_in_the_request_and_large_ones_are_uploaded_first(standin: StandIn, replicate: Replicate) -> None:
    small, large = sample("png"), sample("jpg") + b"\0" * 400_000
    told: list[str] = []
    found = replicate.create(
        request("image_edit_multiple", "qwen/qwen-image-edit-plus", (small, large)), lambda _share, what: told.append(what)
    )
    uploaded = standin.report()["files"]
    assert [(file["size"], file["content_type"], file["name"]) for file in uploaded] == [
        (len(large), "image/jpeg", "input-2.jpg")
    ]
    sent = standin.report()["predictions"][0]["input"]["image"]
    assert base64.b64decode(sent[0].removeprefix("data:image/png;base64,")) == small
    assert sent[1] == uploaded[0]["urls"]["get"]
    assert told == ["uploading image 2", "sending the request"]
    assert "…" in found.raw["input"]["image"][0]


def test_a_run_carries_its_deadline_and_no_wish_to_wait(standin: StandIn) -> None:
    provider = Replicate(standin.token, standin.url, deadline_seconds=90)
    provider.status(provider.create(request(), silent).id or "")
    provider.close()
    create, status = standin.report()["headers"]
    assert create["cancel-after"] == "90s" and "prefer" not in create
    assert "cancel-after" not in status
    assert create["authorization"] == "Bearer (the token)"


def test_a_community_model_is_named_by_its_version(standin: StandIn, replicate: Replicate) -> None:
    found = replicate.create(request(model=f"acme/painter:{VERSION}"), silent)
    assert found.raw["version"] == VERSION
    standin.plan(start=0)
    assert replicate.find(request(model=f"acme/painter:{VERSION}"), soon()).complete


def test_one_provider_serves_many_threads(standin: StandIn, replicate: Replicate) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda seed: replicate.create(request(seed=seed), silent), range(48)))
        seeds = list(pool.map(lambda one: replicate.status(one.id or "").raw["input"]["seed"], found))
    assert seeds == list(range(48))
    assert standin.accepted == 48


# -- refused before it is sent --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (request(model="nobody/nothing"), "there is no model"),
        (request(model="opstore/local"), "not a model of Replicate"),
        (request(seed=None), "the seed is missing"),
        (request(prompt=" "), "the prompt is empty"),
        (request(prompt="\udcff"), "broken character"),
        (request(outputQuality=500), "outputQuality"),
        (request("text_to_video"), "does not support text_to_video"),
        (request("image_edit_single", "qwen/qwen-image-edit-plus"), "images for image_edit_single: 1; given: 0"),
    ],
)
def test_what_cannot_work_is_never_sent(standin: StandIn, replicate: Replicate, asked: StepRequest, said: str) -> None:
    with pytest.raises(ProviderRefused, match=said):
        replicate.create(asked, silent)
    assert standin.report()["requests"] == {}


def test_a_cancel_before_the_request_leaves_stops_it(standin: StandIn, replicate: Replicate) -> None:
    def stop(_share: float, _what: str) -> None:
        raise Canceled

    with pytest.raises(Canceled):
        replicate.create(request(), stop)
    assert standin.report()["requests"] == {}


@pytest.mark.parametrize("prediction_id", ["", "../account", "a/b", "x" * 65, "é", "a\n"])
def test_an_id_that_is_none_never_becomes_an_address(standin: StandIn, replicate: Replicate, prediction_id: str) -> None:
    for verb in (replicate.status, replicate.cancel):
        with pytest.raises(ProviderRefused, match="not the id"):
            verb(prediction_id)
    assert standin.report()["requests"] == {}


@pytest.mark.parametrize("token", ["", "  ", "r8_a b", "r8_é", "r8_a\nb", "r8_\x00"])
def test_a_token_that_no_header_can_carry_is_refused_unquoted(token: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Replicate(token)
    assert token.strip() == "" or token.strip() not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://api.replicate.com", "ftp://127.0.0.1", "https://", "https://me@api.replicate.com", "x"]
)
def test_the_token_travels_encrypted_or_not_at_all(address: str) -> None:
    with pytest.raises(InvalidSetting, match="REPLICATE_BASE_URL"):
        Replicate(CANARY, address)


# -- refused, accepted, not known -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ({"kind": "status", "status": 401}, "access", "Set REPLICATE_API_TOKEN"),
        ({"kind": "status", "status": 403}, "access", "Use a token"),
        ({"kind": "status", "status": 402}, "payment", "Add some at"),
        ({"kind": "status", "status": 404}, "not found", "Check its name"),
        ({"kind": "status", "status": 413}, "invalid input", "smaller images"),
        ({"kind": "status", "status": 422}, "invalid input", "Check the parameters"),
        ({"kind": "status", "status": 418}, "other", "HTTP 418"),
        ({"kind": "html", "status": 404}, "not found", "Check its name"),
        ({"kind": "list", "status": 400}, "other", "HTTP 400"),
    ],
)
def test_a_refused_create_says_what_to_do(
    standin: StandIn, replicate: Replicate, fault: dict[str, Any], kind: str, said: str
) -> None:
    standin.fault(on="create", **fault)
    with pytest.raises(ProviderRefused, match=said) as caught:
        replicate.create(request(), silent)
    assert caught.value.failure == kind
    assert standin.accepted == 0


def test_refused_inputs_are_named(standin: StandIn, replicate: Replicate) -> None:
    with pytest.raises(ProviderRefused, match="Replicate does not know this model"):
        replicate.create(request(model="acme/odd"), silent)
    wrong = ModelTable.load('["qwen/qwen-image"]\nparameters.lora = { kind = "integer", default = 1 }')
    provider = Replicate(standin.token, standin.url, table=wrong)
    with pytest.raises(ProviderRefused, match=r"refused these inputs: lora: Additional property is not allowed") as caught:
        provider.create(request(), silent)
    provider.close()
    assert caught.value.details["fields"] == ["lora"]


def test_no_credit_and_low_credit(standin: StandIn, replicate: Replicate) -> None:
    standin.set(credit=0)
    with pytest.raises(ProviderRefused, match="no credit left"):
        replicate.create(request(), silent)
    standin.set(credit=3, low_credit=True)
    replicate.create(request(), silent)
    with pytest.raises(RateLimited) as caught:
        replicate.create(request(seed=12), silent)
    assert caught.value.details["seconds"] == 5
    assert standin.accepted == 1


@pytest.mark.parametrize(
    ("fault", "accepted"),
    [
        ({"kind": "reset"}, 0),
        ({"kind": "reset", "after": True}, 1),
        ({"kind": "hang", "seconds": 5}, 0),
        ({"kind": "hang", "seconds": 5, "after": True}, 1),
        ({"kind": "html", "status": 500}, 0),
        ({"kind": "html", "status": 502, "after": True}, 1),
        ({"kind": "status", "status": 503, "after": True}, 1),
        ({"kind": "status", "status": 504}, 0),
        ({"kind": "status", "status": 408}, 0),
        ({"kind": "empty", "after": True}, 1),
        ({"kind": "list", "after": True}, 1),
    ],
)
def test_a_create_whose_end_is_not_known_says_so_and_can_be_found(
    standin: StandIn, replicate: Replicate, fault: dict[str, Any], accepted: int
) -> None:
    standin.fault(on="create", **fault)
    since = datetime.now(UTC)
    with pytest.raises(CreateUncertain, match=r"is not known.*may have been billed"):
        replicate.create(request(), silent)
    assert standin.report()["requests"] == {"create": 1}  # nothing sends it a second time
    assert standin.accepted == accepted
    search = replicate.find(request(), since)
    assert (search.found is not None, search.complete) == (bool(accepted), True)


def test_a_create_that_never_left_is_surely_not_accepted() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    provider = Replicate(CANARY, f"http://127.0.0.1:{port}", timeouts=QUICK)
    with pytest.raises(ProviderUnavailable, match=r"no connection to 127\.0\.0\.1"):
        provider.create(request(), silent)
    provider.close()


def test_an_upload_that_fails_is_no_create(standin: StandIn, replicate: Replicate) -> None:
    large = request("image_edit_single", "qwen/qwen-image-edit-plus", (sample("png") + b"\0" * 300_000,))
    for fault in ({"kind": "reset"}, {"kind": "html", "status": 502}, {"kind": "hang", "seconds": 5}, {"kind": "list"}):
        standin.fault(on="upload", **fault)
        with pytest.raises(ProviderUnavailable):
            replicate.create(large, silent)
    standin.fault(on="upload", kind="status", status=413)
    with pytest.raises(ProviderRefused, match="smaller images"):
        replicate.create(large, silent)
    assert standin.accepted == 0
    replicate.create(large, silent)
    assert standin.accepted == 1
