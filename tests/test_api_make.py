"""Operations made over HTTP: what is stored, what is answered, waiting; bodies that lie, swell, drip or come from elsewhere."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from opstore.api import Api, body
from opstore.app import App, Settings
from opstore.errors import ProviderRefused
from opstore.jobs import idempotency
from opstore.providers.local import LocalEngine
from opstore.service import NewOperation
from tests.loops import run
from tests.samples import GIF, HOSTILE_NAMES, PNG
from tests.test_api import HERE, client_of, refused
from tests.test_api import client as client

EDIT, SMART = "/api/edit/image", "/api/smart/execute"
TEN = 10 * 1024 * 1024


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(Settings(data=tmp_path / "data", provider="local"))


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, TestClient]]:
    """An app that works on what is asked, and a caller of it."""
    app = App(Settings(data=tmp_path_factory.mktemp("working"), provider="local"))
    app.start()
    with client_of(app) as client:
        yield app, client
    app.stop()


def images(*data: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("images", (f"{number}.png", item, "image/png")) for number, item in enumerate(data)]


def stored(app: App) -> set[str]:
    """Return the names of everything that a request may have left behind."""
    return {*app.store.operations.names(), *app.store.pending.names()}


# -- what is made --------------------------------------------------------------------------------------------------------


def test_an_edit_is_accepted_durably_and_found_where_it_says(app: App, client: TestClient) -> None:
    known = {"prompt": "make it blue é", "aspectRatio": "16:9", "outputFormat": "png", "outputQuality": "80"}
    answer = client.post(EDIT, data=known, files=images(PNG))
    told = answer.json()
    operation_id = told["operationId"]
    assert answer.status_code == 202 and told == {"success": True, "operationId": operation_id, "status": "queued"}
    assert answer.headers["location"] == f"/api/history/{operation_id}" and "preference-applied" not in answer.headers
    job = json.loads((app.store.pending.path / f"{operation_id}.json").read_text())["operation"]
    assert job["operationType"] == "image_edit_single" and job["prompt"] == known["prompt"]
    assert job["parameters"] == {"aspectRatio": "16:9", "outputFormat": "png", "outputQuality": 80, "imageCount": 1}
    assert app.store.read_file(job["inputFiles"][0]) == PNG
    waiting = client.get(answer.headers["location"])
    assert waiting.status_code == 202 and waiting.headers["retry-after"] == "1"
    assert waiting.json()["job"]["state"] == "queued" and waiting.json()["operationId"] == operation_id


def test_several_images_are_one_edit(app: App, client: TestClient) -> None:
    answer = client.post(EDIT, data={"prompt": "both"}, files=images(*[PNG] * 5))
    job = json.loads((app.store.pending.path / f"{answer.json()['operationId']}.json").read_text())["operation"]
    assert job["operationType"] == "image_edit_multiple" and job["inputCount"] == 5
    assert job["parameters"] == {"imageCount": 5}


def test_who_prefers_to_wait_gets_the_finished_operation(working: tuple[App, TestClient], photo: Callable[..., bytes]) -> None:
    _, client = working
    picture = photo("chelsea", "png", size=(64, 64))
    answer = client.post(EDIT, data={"prompt": "black and white"}, files=images(picture), headers={"Prefer": "wait=60"})
    assert answer.status_code == 200 and answer.headers["preference-applied"] == "wait=60"
    told = answer.json()
    assert told["success"] is True and told["operation"]["success"] is True
    assert answer.headers["content-location"] == answer.headers["location"] == f"/api/history/{told['operationId']}"
    assert told["operation"] == client.get(answer.headers["location"]).json()["operation"]
    assert client.get(f"/api/files/{told['operation']['outputFile']}").headers["content-type"].startswith("image/")
    assert client.get(f"/api/files/{told['operation']['inputFiles'][0]}").content == picture


def test_smart_says_which_workflow_was_chosen(working: tuple[App, TestClient]) -> None:
    app, client = working
    answer = client.post(SMART, data={"prompt": "a red square"}, headers={"Prefer": "wait=60"})
    told = answer.json()
    assert answer.status_code == 200, told
    assert told["workflow"] == {"id": "text_to_image", "name": "Image from text"} and told["optimizedPrompt"] is None
    assert told["operation"]["operationType"] == "text_to_image"
    assert told["operation"]["workflowAnalysis"]["workflow"]["id"] == "text_to_image"
    assert told["operation"]["workflowAnalysis"]["overriddenTo"] is None
    deadline = time.monotonic() + 10  # the record goes after the sidecar has come
    while app.service.jobs() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not app.service.jobs()


def test_smart_takes_the_workflow_that_it_is_told(app: App, client: TestClient) -> None:
    told = client.post(SMART, data={"prompt": "a film of the sea", "workflowId": "text_to_image", "useOptimizedPrompt": "true"})
    assert told.status_code == 202 and told.json()["workflow"]["id"] == "text_to_image"
    assert told.json()["optimizedPrompt"] is None, "no language model is set up: the prompt stays as it is"
    job = json.loads((app.store.pending.path / f"{told.json()['operationId']}.json").read_text())["operation"]
    assert job["prompt"] == "a film of the sea" and job["workflowAnalysis"]["overriddenTo"] == "text_to_image"


def test_a_smart_request_that_cannot_be_run_is_an_operation_with_its_error(app: App, client: TestClient) -> None:
    answer = client.post(SMART, data={"prompt": "both", "workflowId": "text_to_image"}, files=images(PNG, PNG))
    told = answer.json()
    assert answer.status_code == 422 and told["success"] is False and told["error"]
    kept = client.get(answer.headers["location"]).json()["operation"]
    assert kept["operationId"] == told["operationId"] and kept["error"] == told["error"] and kept["success"] is False
    assert len(kept["inputFiles"]) == 2


def test_no_longer_wait_than_was_asked_for(app: App, client: TestClient) -> None:
    for value in ("wait=0", "respond-async, Wait = 0", 'wait="0"; x=y'):
        answer = client.post(SMART, data={"prompt": "a sea"}, headers={"Prefer": value})
        assert answer.status_code == 202 and answer.headers["preference-applied"] == "wait=0", value
    for value in ("wait=soon", "wait", "waiting=5", "wait=-1", "wait=1.5"):
        assert "preference-applied" not in client.post(SMART, data={"prompt": "a sea"}, headers={"Prefer": value}).headers


def test_what_fails_while_a_caller_waits_is_an_error(working: tuple[App, TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    _, client = working

    def broken(*_: Any, **__: Any) -> Any:
        raise ProviderRefused(reason="not this one")

    monkeypatch.setattr(LocalEngine, "create", broken)
    answer = client.post(SMART, data={"prompt": "a sea"}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 502 and answer.json()["success"] is False and "not this one" in answer.json()["error"]
    assert answer.json()["operation"]["success"] is False


def test_the_budget_holds_here_too(app: App, client: TestClient) -> None:
    app = App(Settings(data=app.settings.data, provider="replicate", environment={"REPLICATE_API_TOKEN": "r8_x"}))
    app.service.change_preferences(daily_budget=0.0)
    with client_of(app) as client:
        before = stored(app)
        assert "budget" in refused(client.post(EDIT, data={"prompt": "blue"}, files=images(PNG)), 402)
        for key in ({}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "one"}):
            assert "budget" in refused(client.post(SMART, data={"prompt": "a sea"}, headers=key), 402)
        (app.settings.data / "settings.json").write_text("{")
        assert "settings.json is damaged" in refused(client.post(SMART, data={"prompt": "a sea"}), 503)
        assert stored(app) == before


# -- what is refused -----------------------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, str], list[Any], int, str]] = [
    ({"prompt": "x"}, [], 422, "no image"),
    ({"prompt": ""}, images(PNG), 422, "prompt"),
    ({}, images(PNG), 422, "prompt"),
    ({"prompt": "x" * 20_001}, images(PNG), 422, "20001"),
    ({"prompt": "x" * 100_001}, images(PNG), 400, "100000"),
    ({"prompt": "x", "outputQuality": "high"}, images(PNG), 422, "outputQuality"),
    ({"prompt": "x", "outputQuality": "101"}, images(PNG), 422, "outputQuality"),
    ({"prompt": "x", "outputQuality": "٥"}, images(PNG), 422, "outputQuality"),
    ({"prompt": "x", "aspectRatio": "0:0"}, images(PNG), 422, "aspectRatio"),
    ({"prompt": "x", "aspect_ratio": "1:1"}, images(PNG), 400, "aspect_ratio"),
    ({"prompt": "x"}, images(*[PNG] * 6), 400, "at most 5"),
    ({"prompt": "x"}, images(b"<svg/>"), 415, "Image 1"),
    ({"prompt": "x"}, images(PNG, b""), 400, "empty"),
    ({"prompt": "x"}, [("image", ("a.png", PNG, "image/png"))], 400, "image"),
    ({"prompt": "x"}, [*images(PNG), ("prompt", ("a.png", PNG, "image/png"))], 400, "prompt"),
]


@pytest.mark.parametrize(("data", "files", "status", "word"), BAD, ids=[f"{item[2]}-{n}" for n, item in enumerate(BAD)])
def test_what_cannot_be_edited_is_said_and_leaves_nothing(
    app: App, client: TestClient, data: dict[str, str], files: list[Any], status: int, word: str
) -> None:
    assert word in refused(client.post(EDIT, data=data, files=files), status)
    assert stored(app) == set()


@pytest.mark.parametrize(
    "name", [*HOSTILE_NAMES[:12], "../../x.png", "x.png\r\nX-Evil: 1", "a.html", "😀" * 50], ids=lambda name: ascii(name)[:20]
)
def test_the_name_and_type_of_an_upload_are_not_believed(app: App, client: TestClient, name: object) -> None:
    if not isinstance(name, str) or not name:
        return
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    answer = client.post(EDIT, data={"prompt": "x"}, files=[("images", (name, GIF, "text/html"))])
    assert answer.status_code == 202, answer.text
    (file,) = (entry for entry in app.store.operations.names() if "_in" in entry)
    assert file == f"{answer.json()['operationId']}_in_1.gif"


FORM = 'multipart/form-data; boundary="b"'
PART = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n'
PICTURE = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n' + PNG + b"\r\n"
RAW = [
    (FORM, b"", 400), (FORM, b"--b--", 422), (FORM, PART, 400), (FORM, PART + b"--b", 400), (FORM, PART + PICTURE, 400),
    (FORM, b"junk" * 100, 400), (FORM, b"\0" * 10_000, 400), ("multipart/form-data", PART, 415), ("", PART, 415),
    ("application/json", b"{}", 415), ("application/x-www-form-urlencoded", b"prompt=x&prompt=y", 400),
    ("application/x-www-form-urlencoded", b"prompt=%ff", 400), ("application/x-www-form-urlencoded", b"a=b", 400),
    ("application/x-www-form-urlencoded", b"prompt=" + b"x" * 400_000, 413), ("multipart/mixed; boundary=b", PART, 415),
    (f"multipart/form-data; boundary={'b' * 9_000}", PART, 400),
    (FORM, b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\xfe\r\n--b--\r\n', 400),
    (FORM, PART + PART + b"--b--\r\n", 400),
    (FORM, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", 400),
    (FORM, b"--b\r\n\r\nx\r\n--b--\r\n", 400),
    (FORM, b"--b\r\n" + b"X: y\r\n" * 5_000 + b"\r\nx\r\n--b--\r\n", 400),
    (FORM, b"--b\r\nX: " + b"y" * 50_000 + b"\r\n\r\nx\r\n--b--\r\n", 400),
    (FORM, PART * 3_000 + b"--b--\r\n", 400),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "status"), RAW, ids=range(len(RAW)))
def test_a_broken_form_is_refused(app: App, client: TestClient, kind: str, data: bytes, status: int) -> None:
    refused(client.post(EDIT, content=data, headers={"Content-Type": kind}), status)
    assert stored(app) == set()


# -- limits while reading ------------------------------------------------------------------------------------------------


def ask(app: App, path: str, pieces: Iterator[bytes], **headers: str) -> tuple[int, dict[str, Any], int]:
    """Send a body piece by piece to the routes themselves; return status, document, and how many bytes were taken."""
    served = Starlette(routes=Api(lambda: app).routes())
    told: list[Any] = []
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        piece = next(pieces, None)
        if piece is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        if piece == b"wait":
            await asyncio.sleep(60)
        if piece == b"gone":
            return {"type": "http.disconnect"}
        taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: Any) -> None:
        told.append(message)

    raw = [(b"host", b"127.0.0.1"), *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())]
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    run(served(scope, receive, send))
    document = b"".join(message.get("body", b"") for message in told)
    return told[0]["status"], json.loads(document), taken


def endless(start: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield b"x" * 65_536


HEAD = PICTURE[: PICTURE.index(b"\r\n\r\n") + 4]


def test_an_image_without_end_is_stopped_at_ten_megabytes(app: App) -> None:
    status, told, taken = ask(app, EDIT, endless(HEAD), content_type=FORM)
    assert status == 413 and "Image 1" in told["error"] and taken < TEN + 200_000
    assert stored(app) == set()


def test_a_body_without_end_is_stopped_whatever_its_length_says(app: App) -> None:
    """Many parts that are each small enough; and a length that says less than comes."""
    many = (HEAD + b"x" * 1_000_000 + b"\r\n" for _ in range(1_000_000))
    status, told, taken = ask(app, EDIT, many, content_type=FORM, content_length="10")
    assert status == 400 and "at most 5" in told["error"] and taken < 7_000_000
    status, told, taken = ask(app, EDIT, endless(b""), content_type=FORM)
    assert status == 400 and taken < 200_000, "no boundary at its start: it is no form"
    header = (b"--b\r\nContent-Disposition: form-data; name=prompt\r\n\r\n" if n == 0 else b"y" * 50_000 for n in range(10**9))
    status, told, taken = ask(app, SMART, header, content_type=FORM)
    assert status == 400 and taken < 300_000


def test_a_length_that_is_too_large_is_refused_unread(app: App) -> None:
    for length in (str(200 * TEN), "9" * 400):
        status, told, taken = ask(app, EDIT, endless(HEAD), content_type=FORM, content_length=length)
        assert (status, taken) == (413, 0) and "MB" in told["error"]


def test_a_body_that_drips_is_given_up(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "PAUSE_SECONDS", 0.05)
    status, told, _ = ask(app, EDIT, iter([HEAD, b"wait"]), content_type=FORM)
    assert status == 408 and "in time" in told["error"]
    monkeypatch.setattr(body, "PAUSE_SECONDS", 20.0)
    monkeypatch.setattr(body, "BODY_SECONDS", 0.0)
    status, _, taken = ask(app, EDIT, endless(HEAD), content_type=FORM)
    assert status == 408 and taken < TEN
    assert stored(app) == set()


def test_who_hangs_up_in_between_leaves_nothing(app: App) -> None:
    status, told, _ = ask(app, EDIT, iter([HEAD, PNG, b"gone"]), content_type=FORM)
    assert status == 400 and "cut short" in told["error"] and stored(app) == set()


def test_only_so_many_bodies_are_read_at_a_time(app: App, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "READ_AT_A_TIME", 0)
    assert "moment" in refused(client.post(EDIT, data={"prompt": "x"}, files=images(PNG)), 503)
    monkeypatch.undo()
    assert client.post(EDIT, data={"prompt": "x"}, files=images(PNG)).status_code == 202, "a refused one holds no place"


def test_many_who_wait_hold_no_thread(app: App) -> None:
    """A hundred callers wait, more than the forty threads that answer; others are answered meanwhile."""
    served = Starlette(routes=Api(lambda: app).routes())

    async def call(method: str, path: str, *headers: tuple[bytes, bytes], data: bytes = b"") -> int:
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            if receive.__dict__.setdefault("read", False):
                await asyncio.sleep(60)
            receive.__dict__["read"] = True
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "scheme": "http", "http_version": "1.1",
        }  # fmt: skip
        await served(scope, receive, send)
        return statuses[0]

    async def crowd() -> None:
        kind = (b"content-type", b"application/x-www-form-urlencoded")
        one = await call("POST", SMART, kind, (b"idempotency-key", b"k"), data=b"prompt=x")
        assert one == 202
        asked = (kind, (b"idempotency-key", b"k"), (b"prefer", b"wait=60"))  # the same one: a hundred operations take their time
        waiting = [asyncio.create_task(call("POST", SMART, *asked, data=b"prompt=x")) for _ in range(100)]
        await asyncio.sleep(1)
        for _ in range(5):
            assert await asyncio.wait_for(call("GET", "/api/health"), 20) == 200
        assert not any(task.done() for task in waiting)
        assert all(task.cancel() for task in waiting)
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await call("POST", SMART, kind, (b"idempotency-key", b"k"), (b"prefer", b"wait=1"), data=b"prompt=x") == 202

    run(crowd())


# -- from elsewhere ------------------------------------------------------------------------------------------------------

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8501@evil.example"},
    {"Origin": "http://evil.example/127.0.0.1:8501"},
    {"Origin": ""},
    {"Origin": HERE, "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_site_changes_nothing(app: App, headers: dict[str, str]) -> None:
    app.settings = replace(app.settings, api_token="t")
    for address, more in (("127.0.0.1", {}), ("10.0.0.5", {"Authorization": "Bearer t"})):
        client = client_of(app, address)
        for method, path in (("POST", EDIT), ("POST", SMART), ("PATCH", "/api/history/x"), ("DELETE", "/api/history/x")):
            assert "Another site" in refused(client.request(method, path, headers={**headers, **more}), 403)
    assert stored(app) == set()


@pytest.mark.parametrize("headers", [{}, {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}], ids=str)
def test_ones_own_page_and_programs_do(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post(EDIT, data={"prompt": "x"}, files=images(PNG), headers=headers).status_code == 202


# -- a request that is sent again ----------------------------------------------------------------------------------------


def ids(app: App) -> set[str]:
    """Return every operation that was stored or asked for."""
    names = [*app.store.operations.names(), *app.store.pending.names()]
    return {name[:-5] for name in names if name.endswith(".json")}


@pytest.mark.parametrize("path", [EDIT, SMART])
def test_what_is_sent_again_under_its_key_is_made_once(app: App, client: TestClient, path: str) -> None:
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    first = client.post(path, data={"prompt": "blue"}, files=images(PNG), headers=headers)
    for caller in (client, client_of(App(app.settings))):  # and after a restart
        again = caller.post(path, data={"prompt": "blue"}, files=images(PNG), headers=headers)
        assert (again.status_code, again.json()) == (202, first.json()) and first.status_code == 202
    assert ids(app) == {first.json()["operationId"]}
    other = client.post(path, data={"prompt": "blue"}, files=images(PNG), headers={"Idempotency-Key": "another"})
    assert other.json()["operationId"] != first.json()["operationId"]
    for data, files in (
        ({"prompt": "red"}, images(PNG)),
        ({"prompt": "blue"}, images(GIF)),
        ({"prompt": "blue"}, images(PNG, PNG)),
    ):
        assert "another request" in refused(client.post(path, data=data, files=files, headers=headers), 422)
    assert len(ids(app)) == 2


def test_a_crash_between_the_key_and_the_operation_is_completed(app: App) -> None:
    class Killed(BaseException):
        """The process ends here: nothing of it runs any more."""

    def killed(chosen: str) -> None:
        app.store.save_input_image(chosen, PNG, 1)
        raise Killed

    def create(chosen: str) -> None:
        app.service.create(NewOperation("image_edit_single", "blue", (PNG,), operation_id=chosen))

    asked = idempotency.Request("k", "f")
    with pytest.raises(Killed):
        app.service.once.make(asked, killed)
    (record,) = (json.loads(path.read_text()) for path in (app.store.root / "requests").glob("*.json"))
    restarted = App(app.settings)
    assert restarted.service.once.make(asked, create) == (record["operationId"], False)
    assert restarted.service.once.make(asked, create) == (record["operationId"], True)
    assert ids(app) == {record["operationId"]} and app.service.problems() == []


def test_many_who_send_the_same_at_once_are_one(app: App) -> None:
    told: list[Any] = []

    def ask_once() -> None:
        answer = client_of(app).post(EDIT, data={"prompt": "blue"}, files=images(PNG), headers={"Idempotency-Key": "k"})
        told.append((answer.status_code, answer.json()["operationId"]))

    threads = [threading.Thread(target=ask_once) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 6 and {status for status, _ in told} == {202} and len({name for _, name in told}) == 1
    assert len(ids(app)) == 1


def test_what_was_refused_may_be_sent_again_mended(app: App, client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    refused(client.post(EDIT, data={"prompt": ""}, files=images(PNG), headers=headers), 422)
    assert client.post(EDIT, data={"prompt": "blue"}, files=images(PNG), headers=headers).status_code == 202
    failed = client.post(
        SMART, data={"prompt": "x", "workflowId": "text_to_image"}, files=images(PNG), headers={"Idempotency-Key": "l"}
    )
    again = client.post(
        SMART, data={"prompt": "x", "workflowId": "text_to_image"}, files=images(PNG), headers={"Idempotency-Key": "l"}
    )
    assert failed.status_code == again.status_code == 422 and failed.json() == again.json()
    assert len(ids(app)) == 2


def test_a_key_says_nothing_and_may_hold_anything_printable(app: App, client: TestClient) -> None:
    for key in ("../../x", "a" * 255, "%00", '"quoted"'):
        assert client.post(EDIT, data={"prompt": key}, files=images(PNG), headers={"Idempotency-Key": key}).status_code == 202
    for key in ("", "a" * 256, "a\tb", "é"):
        answer = client.post(EDIT, data={"prompt": "x"}, files=images(PNG), headers={b"Idempotency-Key": key.encode()})
        assert "idempotency key" in refused(answer, 400)
    for name in (path.name for path in (app.store.root / "requests").glob("[!.]*")):
        assert len(name) == 37 and name.endswith(".json")
    damaged = next((app.store.root / "requests").glob("*.json"))
    damaged.write_text("{")
    assert app.service.problems() == []


def test_old_keys_are_forgotten(app: App) -> None:
    def make(moment: datetime) -> str:
        asked = idempotency.Request("k", "f")
        kept = idempotency.Once(app.store, clock=lambda: moment)

        def create(chosen: str) -> None:
            app.service.create(NewOperation("text_to_image", "x", operation_id=chosen))

        return kept.make(asked, create)[0]

    now = datetime.now(UTC)
    first = make(now)
    assert make(now + timedelta(days=6)) == first
    assert make(now + timedelta(days=8)) != first
