"""The stand-in of Replicate: its answers have the shapes that the real API documents, and its faults are what they claim to be.

Where OPSTORE_REPLICATE_OPENAPI names a file with Replicate's own OpenAPI document, the answers are checked against that too.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.replicate_standin import StandIn, StandInProcess
from tests.standin.samples import CONTENT_TYPES, sample
from tests.standin.world import host_of

#: Read at import: no test sees the OPSTORE_ settings of whoever runs it.
OPENAPI = os.environ.get("OPSTORE_REPLICATE_OPENAPI")

DATE = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
ADDRESS = {"type": "string", "pattern": "^https?://"}
PREDICTION: dict[str, Any] = {
    "type": "object",
    "required": ["id", "model", "version", "input", "output", "data_removed", "error", "status", "created_at", "urls"],
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z0-9]{20,30}$"},
        "model": {"type": "string"},
        "version": {"anyOf": [{"const": "hidden"}, {"type": "string", "pattern": "^[0-9a-f]{64}$"}]},
        "input": {"type": "object"},
        "data_removed": {"type": "boolean"},
        "error": {"type": ["string", "null"]},
        "logs": {"type": "string"},
        "status": {"enum": ["starting", "processing", "succeeded", "failed", "canceled", "aborted"]},
        "created_at": DATE,
        "started_at": DATE,
        "completed_at": DATE,
        "deadline": DATE,
        "source": {"enum": ["web", "api"]},
        "metrics": {
            "type": "object",
            "properties": {"total_time": {"type": "number"}, "predict_time": {"type": "number"}},
            "required": ["total_time"],
        },
        "urls": {
            "type": "object",
            "required": ["web", "get", "cancel"],
            "additionalProperties": ADDRESS,
        },
    },
    "additionalProperties": False,
}
PREDICTION["properties"]["output"] = {}
FILE = {
    "type": "object",
    "required": [
        *("id", "name", "content_type", "size", "etag", "checksums", "metadata", "created_at", "expires_at", "urls"),
    ],
    "properties": {"size": {"type": "integer"}, "created_at": DATE, "expires_at": DATE, "urls": {"required": ["get"]}},
}
PROBLEM = {
    "type": "object",
    "required": ["detail", "status"],
    "properties": {
        "detail": {"type": "string"},
        "status": {"type": "integer"},
        "invalid_fields": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["type", "field", "description"]},
        },
    },
}


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with StandIn(start=0.1, run=0.1) as running:
        yield running


def ask(standin: Any, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
    """Return status, document and headers of one plain request with the token."""
    connection = http.client.HTTPConnection(host_of(standin.url), timeout=5)
    try:
        data = json.dumps(body) if isinstance(body, dict | list) else body
        head = {"Authorization": f"Bearer {standin.token}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, data, head)
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw else None, {name.lower(): text for name, text in answer.getheaders()}
    finally:
        connection.close()


def create(standin: Any, model: str = "qwen/qwen-image", **given: Any) -> dict[str, Any]:
    status, document, _ = ask(standin, "POST", f"/v1/models/{model}/predictions", {"input": {"prompt": "a cat"} | given})
    assert status == 201, document
    found: dict[str, Any] = document
    return found


def until_ended(standin: Any, prediction_id: str) -> list[dict[str, Any]]:
    """Return each different state of a prediction until it has ended."""
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["status"] in ("starting", "processing"):
        _, document, _ = ask(standin, "GET", f"/v1/predictions/{prediction_id}")
        if not seen or document["status"] != seen[-1]["status"]:
            seen.append(document)
        time.sleep(0.01)
    return seen


def samples_of_every_shape(standin: StandIn) -> dict[str, list[dict[str, Any]]]:
    """Return answers of every kind, by the name of their schema."""
    predictions = [create(standin, seed=1)]
    predictions += until_ended(standin, predictions[0]["id"])
    for plan in ({"status": "failed", "error": "NSFW"}, {"status": "aborted"}, {"status": "canceled"}, {"output": "null"}):
        standin.plan(**plan, start=0, run=0)
        predictions += until_ended(standin, create(standin)["id"])
    page = ask(standin, "GET", "/v1/predictions")[1]["results"]
    part = 'Content-Disposition: form-data; name="content"; filename="a.png"\r\nContent-Type: image/png\r\n\r\nabc'
    uploaded = ask(standin, "POST", "/v1/files", f"--x\r\n{part}\r\n--x--\r\n", Content_Type="multipart/form-data; boundary=x")[1]
    standin.advance(3700)
    removed = ask(standin, "GET", f"/v1/predictions/{predictions[0]['id']}")[1]
    return {"prediction": [*predictions, *page, removed], "file": [uploaded]}


# -- shapes ----------------------------------------------------------------------------------------------------------------


def test_answers_have_the_documented_shapes(standin: StandIn) -> None:
    found = samples_of_every_shape(standin)
    assert {document["status"] for document in found["prediction"]} == set(PREDICTION["properties"]["status"]["enum"])
    for document in found["prediction"]:
        jsonschema.validate(document, PREDICTION)
    for document in found["file"]:
        jsonschema.validate(document, FILE)


def test_answers_fit_replicates_own_document(standin: StandIn) -> None:
    if not OPENAPI:
        pytest.skip("OPSTORE_REPLICATE_OPENAPI names no copy of Replicate's OpenAPI document")
    with open(OPENAPI, encoding="utf-8") as file:
        schemas = json.load(file)["components"]["schemas"]
    for name, documents in samples_of_every_shape(standin).items():
        schema = json.loads(
            json.dumps(schemas[f"schemas_{name}_response"]).replace(
                '"nullable": true, "type": "string"', '"type": ["string", "null"]'
            )
        )
        if name == "prediction":
            # `hidden` is itself a string, so by the letter of `oneOf` it never fits: the document means either.
            schema["properties"]["version"]["anyOf"] = schema["properties"]["version"].pop("oneOf")
        for document in documents:
            jsonschema.validate(document, schema)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/models/qwen/qwen-image/predictions", {"input": {}}, 422),
        ("POST", "/v1/models/qwen/qwen-image/predictions", {"input": {"prompt": "x", "size": 3}}, 422),
        ("POST", "/v1/models/qwen/qwen-image/predictions", {"input": {"prompt": "x", "output_quality": 101}}, 422),
        ("POST", "/v1/models/qwen/qwen-image/predictions", {"input": {"prompt": "x"}, "lifetime": "5m"}, 422),
        ("POST", "/v1/models/qwen/qwen-image-edit-plus/predictions", {"input": {"prompt": "x", "image": "https://a"}}, 422),
        ("POST", "/v1/models/no/body/predictions", {"input": {}}, 404),
        ("POST", "/v1/predictions", {"version": "abc", "input": {}}, 422),
        ("POST", "/v1/predictions", "not json", 400),
        ("GET", "/v1/predictions/nothing", None, 404),
        ("GET", "/v1/files/nothing", None, 404),
        ("GET", "/v1/nothing", None, 404),
    ],
)
def test_what_the_real_one_refuses_is_refused(standin: StandIn, method: str, path: str, body: Any, status: int) -> None:
    found, document, headers = ask(standin, method, path, body)
    assert (found, headers["content-type"]) == (status, "application/problem+json")
    jsonschema.validate(document, PROBLEM)
    assert standin.accepted == 0


def test_bad_fields_are_named(standin: StandIn) -> None:
    given = {"prompt": "x", "aspect_ratio": "5:1", "lora": 1}
    _, document, _ = ask(standin, "POST", "/v1/models/qwen/qwen-image/predictions", {"input": given})
    assert [entry["field"] for entry in document["invalid_fields"]] == ["input.aspect_ratio", "input.lora"]


def test_only_the_token_opens_it(standin: StandIn) -> None:
    for header in ("", "Bearer wrong", standin.token):
        status, document, _ = ask(standin, "GET", "/v1/predictions", None, Authorization=header)
        assert (status, document["title"]) == (401, "Unauthenticated")


def test_money_that_is_gone(standin: StandIn) -> None:
    standin.set(credit=0)
    assert ask(standin, "POST", "/v1/models/qwen/qwen-image/predictions", {"input": {"prompt": "x"}})[0] == 402
    standin.set(credit=3, low_credit=True)
    create(standin)
    status, document, headers = ask(standin, "POST", "/v1/models/qwen/qwen-image/predictions", {"input": {"prompt": "x"}})
    assert (status, document["retry_after"], headers["retry-after"]) == (429, 5, "5")


# -- time ------------------------------------------------------------------------------------------------------------------


def test_a_prediction_ripens_and_its_log_grows(standin: StandIn) -> None:
    standin.set(start=0.15, run=0.3)
    states = until_ended(standin, create(standin, seed=3)["id"])
    assert [state["status"] for state in states] == ["starting", "processing", "succeeded"]
    assert len(states[0]["logs"]) < len(states[1]["logs"]) < len(states[2]["logs"])
    assert states[2]["metrics"] == {"total_time": 0.45, "predict_time": 0.3}


def test_a_deadline_aborts_what_has_not_started_and_cancels_what_has(standin: StandIn) -> None:
    path, body = "/v1/models/qwen/qwen-image/predictions", {"input": {"prompt": "x"}}
    standin.plan(start=-1, count=1)
    waiting = ask(standin, "POST", path, body, Cancel_After="5s")[1]
    standin.plan(start=0, run=1000, count=1)
    running = ask(standin, "POST", path, body, Cancel_After="1m30s")[1]
    standin.advance(91)
    ended = [ask(standin, "GET", f"/v1/predictions/{found['id']}")[1] for found in (waiting, running)]
    assert [found["status"] for found in ended] == ["aborted", "canceled"]
    assert "predict_time" not in ended[0]["metrics"]
    assert ended[1]["metrics"]["predict_time"] == pytest.approx(90, abs=0.01)


def test_cancel_stops_a_run_once(standin: StandIn) -> None:
    standin.set(run=1000)
    found = create(standin)
    canceled = ask(standin, "POST", f"/v1/predictions/{found['id']}/cancel")[1]
    assert canceled["status"] == "canceled"
    assert ask(standin, "POST", f"/v1/predictions/{found['id']}/cancel")[1]["completed_at"] == canceled["completed_at"]


def test_after_an_hour_nothing_is_left_of_it(standin: StandIn) -> None:
    done = until_ended(standin, create(standin)["id"])[-1]
    path = urlsplit(done["output"][0]).path
    assert deliver(standin, path)[0] == 200
    standin.advance(3601)
    gone = ask(standin, "GET", f"/v1/predictions/{done['id']}")[1]
    assert (gone["status"], gone["data_removed"], gone["input"], gone["output"], gone["logs"]) == (
        "succeeded",
        True,
        {},
        None,
        "",
    )
    assert deliver(standin, path)[0] == 404


def test_pages_lead_from_one_to_the_next(standin: StandIn) -> None:
    standin.set(page_size=2)
    made = [create(standin, seed=number)["id"] for number in range(5)]
    found, path = [], "/v1/predictions"
    while path:
        page = ask(standin, "GET", path)[1]
        assert len(page["results"]) <= 2
        found += [document["id"] for document in page["results"]]
        path = (page["next"] or "").removeprefix(standin.url)
    assert found == made[::-1]
    last = ask(standin, "GET", f"/v1/predictions/{made[3]}")[1]["created_at"]
    assert len(ask(standin, "GET", f"/v1/predictions?created_after={last}")[1]["results"]) <= 2


# -- delivery and faults -----------------------------------------------------------------------------------------------------


def deliver(standin: Any, path: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(host_of(standin.delivery_url), timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): text for name, text in answer.getheaders()}
    finally:
        connection.close()


@pytest.mark.parametrize("kind", ["webp", "png", "jpg"])
def test_pictures_can_be_decoded(kind: str) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(sample(kind))) as picture:
        assert picture.size == (96, 64)
        picture.load()


def test_videos_can_be_decoded() -> None:
    import av

    with av.open(io.BytesIO(sample("mp4")), "r") as video:
        assert len(list(video.decode(video=0))) == 8


@pytest.mark.parametrize(
    ("model", "given", "extension", "listed"),
    [
        ("qwen/qwen-image", {"output_format": "png"}, "png", True),
        ("google/nano-banana", {"output_format": "jpg"}, "jpg", False),
        ("wan-video/wan-2.2-t2v-fast", {}, "mp4", False),
    ],
)
def test_outputs_have_the_models_shape(standin: StandIn, model: str, given: Any, extension: str, listed: bool) -> None:
    done = until_ended(standin, create(standin, model, **given)["id"])[-1]
    assert isinstance(done["output"], list) == listed
    status, data, headers = deliver(standin, urlsplit(done["output"][0] if listed else done["output"]).path)
    assert (status, data, headers["content-type"]) == (200, sample(extension), CONTENT_TYPES[extension])


def test_delivery_faults(standin: StandIn) -> None:
    path = urlsplit(until_ended(standin, create(standin)["id"])[-1]["output"][0]).path
    whole = sample("webp")
    standin.fault(on="delivery", kind="truncated")
    with pytest.raises(http.client.IncompleteRead):
        deliver(standin, path)
    standin.fault(on="delivery", kind="unmeasured")
    assert deliver(standin, path)[1] == whole[: len(whole) // 2]
    standin.fault(on="delivery", kind="oversized")
    assert len(deliver(standin, path)[1]) == 10 * len(whole)
    standin.fault(on="delivery", kind="wrong_type")
    assert deliver(standin, path)[2]["content-type"] == "text/html"
    standin.fault(on="delivery", kind="redirect", header="http://127.0.0.1:9/x")
    assert deliver(standin, path)[2]["location"] == "http://127.0.0.1:9/x"
    standin.fault(on="delivery", kind="not_found")
    assert deliver(standin, path)[0] == 404
    standin.fault(on="delivery", kind="reset")
    with pytest.raises(ConnectionResetError):
        deliver(standin, path)
    began = time.monotonic()
    standin.fault(on="delivery", kind="slow", seconds=0.3)
    assert deliver(standin, path)[1] == whole
    assert time.monotonic() - began >= 0.3
    assert deliver(standin, path)[1] == whole
    assert len(standin.report()["deliveries"]) == 9


def test_a_reset_before_is_not_accepted_and_one_after_is(standin: StandIn) -> None:
    standin.fault(on="create", kind="reset")
    with pytest.raises(ConnectionResetError):
        create(standin)
    assert standin.accepted == 0
    standin.fault(on="create", kind="reset", after=True)
    with pytest.raises(ConnectionResetError):
        create(standin)
    assert standin.accepted == 1


def test_a_hang_holds_the_connection(standin: StandIn) -> None:
    standin.fault(on="status", kind="hang", seconds=30)
    found = create(standin)
    with socket.create_connection((urlsplit(standin.url).hostname or "", urlsplit(standin.url).port or 0)) as raw:
        raw.sendall(f"GET /v1/predictions/{found['id']} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        raw.settimeout(0.3)
        with pytest.raises(TimeoutError):
            raw.recv(1)


def test_faults_strike_as_often_as_they_are_told(standin: StandIn) -> None:
    ids = [create(standin)["id"] for _ in range(2)]
    standin.fault(on="status", kind="html", status=502, each=True)
    assert [ask_status(standin, found) for found in (*ids, *ids)] == [502, 502, 200, 200]
    standin.clear()
    standin.fault(on="status", kind="status", status=500, count=2, every=2)
    assert [ask_status(standin, ids[0]) for _ in range(6)] == [200, 500, 200, 500, 200, 200]


def ask_status(standin: StandIn, prediction_id: str) -> int:
    connection = http.client.HTTPConnection(host_of(standin.url), timeout=5)
    try:
        connection.request("GET", f"/v1/predictions/{prediction_id}", headers={"Authorization": f"Bearer {standin.token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_counts_what_it_accepted_and_was_asked(standin: StandIn) -> None:
    for number in range(3):
        create(standin, seed=number)
    ask(standin, "GET", "/v1/predictions")
    report = standin.report()
    assert (report["creates_accepted"], report["requests"]) == (3, {"create": 3, "list": 1})
    assert report["busiest_minute"] == {"create": 3, "other": 1}


def test_rates_can_be_enforced(standin: StandIn) -> None:
    standin.set(enforce_rates=True, creates_per_minute=2)
    create(standin)
    create(standin)
    assert ask(standin, "POST", "/v1/models/qwen/qwen-image/predictions", {"input": {"prompt": "x"}})[0] == 429
    assert standin.accepted == 2


def test_it_runs_as_a_process_of_its_own() -> None:
    with StandInProcess(start=0, run=0) as standin:
        done = until_ended(standin, create(standin, seed=5)["id"])[-1]
        assert deliver(standin, urlsplit(done["output"][0]).path)[1] == sample("webp")
        assert standin.accepted == 1
