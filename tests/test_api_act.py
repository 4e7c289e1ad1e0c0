"""What is changed over HTTP, what is under way and what happens: annotations, trash, cancel, jobs, problems, numbers, events."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from opstore.access.roles import LOCAL
from opstore.api import Api, events
from opstore.app import App
from opstore.curation import Edit
from opstore.service import NewOperation
from tests.loops import run
from tests.samples import HOSTILE_IDS, ID, LATER, PNG, plant
from tests.test_api import client as client
from tests.test_api import client_of, refused, save
from tests.test_api_make import app as app

ITEM = f"/api/history/{ID}"


def annotated(app: App) -> dict[str, Any]:
    found: dict[str, Any] = app.store.get_operation_metadata(ID)["annotations"]
    return found


# -- annotations ---------------------------------------------------------------------------------------------------------


def test_rating_tags_favourite_and_note(app: App, client: TestClient) -> None:
    save(app)
    answer = client.patch(ITEM, json={"rating": 4, "favorite": True, "addTags": ["Mer", "aube"], "note": "é\n"})
    assert answer.status_code == 200 and answer.json()["operation"] == app.store.get_operation_metadata(ID)
    assert annotated(app) == {"tags": ["Mer", "aube"], "favorite": True, "rating": 4, "note": "é\n"}
    client.patch(ITEM, json={"removeTags": ["mer"], "rating": None})
    assert annotated(app) == {"tags": ["aube"], "favorite": True, "rating": None, "note": "é\n"}
    before = app.store.get_operation_metadata(ID)
    assert client.patch(ITEM, json={}).json()["operation"] == before


def test_nothing_is_changed_that_was_changed_unseen(app: App, client: TestClient) -> None:
    save(app)
    seen = client.get(ITEM).headers["etag"]
    first = client.patch(ITEM, json={"rating": 1}, headers={"If-Match": seen})
    assert first.status_code == 200 and first.headers["etag"] != seen
    assert first.headers["etag"] == client.get(ITEM).headers["etag"]
    for stale in (seen, '"x"', f"W/{first.headers['etag']}", f'"x", {seen}', ",", "", " "):
        refused(client.patch(ITEM, json={"rating": 2}, headers={"If-Match": stale}), 412)
    assert annotated(app)["rating"] == 1
    for good in (f'"x", {first.headers["etag"]}', "*"):
        assert client.patch(ITEM, json={"favorite": True}, headers={"If-Match": good}).status_code == 200, good
    assert annotated(app) == {"tags": [], "favorite": True, "rating": 1, "note": ""}


def test_nothing_is_moved_to_the_trash_that_was_changed_unseen(app: App, client: TestClient) -> None:
    save(app)
    seen = client.get(ITEM).headers["etag"]
    now = client.patch(ITEM, json={"rating": 5}, headers={"If-Match": seen}).headers["etag"]
    for stale in (seen, '"x"', f"W/{now}", ",", ""):
        refused(client.delete(ITEM, headers={"If-Match": stale}), 412)
    assert annotated(app)["rating"] == 5 and not app.service.curation.trashed()
    assert client.delete(ITEM, headers={"If-Match": f'"x", {now}'}).status_code == 200
    assert [item.operation_id for item in app.service.curation.trashed()] == [ID]
    assert client.delete(ITEM, headers={"If-Match": now}).status_code == 200, "repeated: it is where it was wanted"


def test_of_many_who_have_seen_the_same_one_wins(app: App) -> None:
    save(app)
    client = client_of(app)
    seen = client.get(ITEM).headers["etag"]
    statuses: list[int] = []

    def rate(number: int) -> None:
        statuses.append(client_of(app).patch(ITEM, json={"note": str(number)}, headers={"If-Match": seen}).status_code)

    threads = [threading.Thread(target=rate, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 412, 412, 412, 412, 412]


@pytest.mark.parametrize(
    "document",
    [
        {"rating": 6}, {"rating": -1}, {"rating": "5"}, {"rating": True}, {"rating": 1.5}, {"rating": []}, {"favorite": 1},
        {"favorite": None}, {"note": None}, {"note": 5}, {"note": "x" * 10_001}, {"note": "\ud800"}, {"addTags": "mer"},
        {"addTags": [1]}, {"addTags": [""]}, {"addTags": ["x" * 61]}, {"addTags": [f"t{n}" for n in range(101)]},
        {"removeTags": {}}, {"removeTags": [None]}, {"prompt": "other"}, {"operationId": LATER}, {"tags": ["x"]},
    ],
    ids=lambda document: json.dumps(document)[:30],
)  # fmt: skip
def test_an_annotation_that_makes_no_sense_changes_nothing(app: App, client: TestClient, document: dict[str, Any]) -> None:
    before = save(app)
    refused(client.patch(ITEM, content=json.dumps(document), headers={"Content-Type": "application/json"}), 400)
    assert app.store.get_operation_metadata(ID) == before


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"5", b"[" * 50_000, b"\xff", b'{"rating": ' + b"9" * 5_000 + b"}"])
def test_a_body_that_is_no_object_is_refused(app: App, client: TestClient, data: bytes) -> None:
    save(app)
    refused(client.patch(ITEM, content=data, headers={"Content-Type": "application/json"}), 400)
    refused(client.patch(ITEM, content=data), 415)


def test_what_is_not_there_cannot_be_changed(app: App, client: TestClient) -> None:
    refused(client.patch(ITEM, json={"rating": 1}), 404)
    refused(client.delete(ITEM), 404)
    refused(client.post(f"/api/jobs/{ID}/cancel"), 404)
    plant(app.store, f"{LATER}.json", b"{")
    refused(client.patch(f"/api/history/{LATER}", json={"rating": 1}), 422)
    for value in HOSTILE_IDS[:12]:
        if isinstance(value, str) and value.isalnum():
            for method, path in (("PATCH", f"/api/history/{value}"), ("DELETE", f"/api/history/{value}")):
                refused(client.request(method, path, json={}), 400)
            refused(client.post(f"/api/jobs/{value}/cancel"), 400)


def test_into_the_trash(app: App, client: TestClient) -> None:
    sidecar = save(app)
    app.store.save(LATER, {"operationType": "text_to_image", "parents": [ID]}, outputs=[PNG])
    app.index.update()
    assert client.delete(ITEM).json() == {"success": True, "operationId": ID, "usedBy": [LATER]}
    refused(client.get(ITEM), 404)
    assert app.service.curation.trashed()[0].sidecar == sidecar
    app.service.curation.restore([ID])
    assert client.get(ITEM).json()["operation"] == sidecar


@pytest.mark.parametrize("path", ["/api/edit/image", "/api/smart/execute"])
@pytest.mark.parametrize("wait", [{}, {"Prefer": "wait=9"}])
def test_who_sends_again_what_is_in_the_trash_is_told_so_and_does_not_wait(
    app: App, client: TestClient, path: str, wait: dict[str, str]
) -> None:
    def asked(**headers: str) -> Any:
        return client.post(path, data={"prompt": "sepia"}, files={"images": PNG}, headers={"Idempotency-Key": "a", **headers})

    operation_id = asked().json()["operationId"]
    record = json.loads(app.store.pending.read(f"{operation_id}.json"))
    app.store.pending.remove(operation_id, [f"{operation_id}.json"])
    app.store.save(operation_id, record["operation"] | {"success": True, "status": "stored", "steps": [{}]}, outputs=[PNG])
    assert asked(**wait).json()["operationId"] == operation_id
    app.service.curation.put_in_trash([operation_id])
    begun = time.monotonic()
    assert operation_id in refused(asked(**wait), 404) and time.monotonic() - begun < 9
    assert not app.service.jobs()


# -- what is under way, wrong, and how much ------------------------------------------------------------------------------


def test_jobs_and_cancel(app: App, client: TestClient) -> None:
    assert client.get("/api/jobs").json() == {"success": True, "count": 0, "jobs": []}
    operation_id = app.service.create(NewOperation("text_to_image", "a sea é"))
    (job,) = client.get("/api/jobs").json()["jobs"]
    assert (job["operationId"], job["state"], job["prompt"], job["cancel"]) == (operation_id, "queued", "a sea é", False)
    answer = client.post(f"/api/jobs/{operation_id}/cancel")
    assert answer.status_code == 202 and answer.headers["location"] == f"/api/history/{operation_id}"
    assert client.get("/api/jobs").json()["jobs"][0]["cancel"] is True
    app.start()
    deadline = time.monotonic() + 20
    while (found := client.get(f"/api/history/{operation_id}")).status_code == 202 and time.monotonic() < deadline:
        time.sleep(0.05)
    app.stop()
    assert found.json()["operation"]["success"] is False


def test_problems(app: App, client: TestClient) -> None:
    assert client.get("/api/problems").json() == {"success": True, "count": 0, "problems": [], "clock": None}
    plant(app.store, f"{ID}.json", b"{")
    (problem,) = client.get("/api/problems").json()["problems"]
    assert problem["kind"] == "unparsable" and problem["name"] == f"{ID}.json" and problem["operation_id"] == ID


def test_the_numbers_of_a_search(app: App, client: TestClient) -> None:
    save(app, ID)
    save(app, LATER, operationType="text_to_video", success=False, error="no", outputs=[])
    app.index.update()
    told = client.get("/api/stats").json()
    assert told["success"] is True and told["headline"]["tried"] == 2 and told["headline"]["succeeded"] == 1
    assert {row["operation_type"]: row["n"] for row in told["operationsByType"]["rows"]} == {
        "text_to_image": 1,
        "text_to_video": 1,
    }
    assert client.get("/api/stats?q=type:text_to_video").json()["headline"]["succeeded"] == 0
    assert client.get("/api/stats?since=2030-01-01").json()["headline"]["tried"] in (0, None)
    wrong = client.get("/api/stats?q=rating:")
    assert wrong.status_code == 400 and wrong.json()["position"] >= 0
    refused(client.get("/api/stats?since=yesterday"), 422)


# -- events --------------------------------------------------------------------------------------------------------------


class Listener:
    """A caller of /api/events at the routes themselves, which can hang up."""

    def __init__(self, served: Starlette, last: str | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self._gone = asyncio.Event()
        headers = [(b"host", b"127.0.0.1")] + ([(b"last-event-id", last.encode())] if last else [])
        scope = {
            "type": "http", "method": "GET", "path": "/api/events", "raw_path": b"/api/events", "query_string": b"",
            "root_path": "", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http",
            "http_version": "1.1",
        }  # fmt: skip
        self.task = asyncio.create_task(served(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def events(self) -> list[tuple[str, str, Any]]:
        """Return id, name and data of what was told."""
        text = b"".join(message.get("body", b"") for message in self.messages[1:]).decode()
        found = []
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
            if "event" in fields:
                found.append((fields["id"], fields["event"], json.loads(fields["data"])))
        return found

    async def until(self, name: str) -> tuple[str, str, Any]:
        """Return the first event of this name, as soon as it is told."""
        for _ in range(400):
            for event in self.events:
                if event[1] == name:
                    return event
            await asyncio.sleep(0.025)
        raise AssertionError(f"no {name} in {self.events}")

    async def hang_up(self) -> None:
        self._gone.set()
        await asyncio.wait_for(self.task, 5)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)


def served(app: App) -> Starlette:
    return Starlette(routes=Api(lambda: app).routes())


@pytest.mark.usefixtures("quick")
def test_events_tell_what_happens_and_what_was_missed(app: App) -> None:
    save(app)
    app.index.update()

    async def listen() -> None:
        routes = served(app)
        first = Listener(routes)
        _, name, jobs = await first.until("jobs")
        assert (name, jobs) == ("jobs", [])
        start = {key.decode(): value.decode() for key, value in first.messages[0]["headers"]}
        assert start["content-type"].startswith("text/event-stream") and start["cache-control"] == "no-store"
        operation_id = await asyncio.to_thread(app.service.create, NewOperation("text_to_image", "é\nevent: x\n\ndata: y"))
        last, _, job = await first.until("job")
        assert job["operationId"] == operation_id and job["prompt"] == "é\nevent: x\n\ndata: y"
        await first.hang_up()

        await asyncio.to_thread(app.start)
        await asyncio.to_thread(app.service.curation.annotate, [ID], Edit(rating=2))
        while app.service.job(operation_id):
            await asyncio.sleep(0.02)
        back = Listener(routes, last)
        _, _, ended = await back.until("ended")
        assert ended == {"operationId": operation_id, "status": "stored", "location": f"/api/history/{operation_id}"}
        await asyncio.to_thread(app.index.update)
        _, _, changed = await back.until("changed")
        assert changed["operationIds"] is None or changed["operationIds"]
        assert "jobs" not in [event[1] for event in back.events], "what was missed was told, and nothing twice"
        assert len({event[0] for event in back.events}) == len(back.events)
        await back.hang_up()

        for unknown in ("x", "abcd1234-1", last.replace("-", "-9"), "-", "é" * 10):
            again = Listener(routes, unknown)
            assert (await again.until("jobs"))[2] == []
            await again.hang_up()

    try:
        run(listen())
    finally:
        app.stop()


@pytest.mark.usefixtures("quick")
def test_who_comes_back_is_told_of_what_began_and_ended_meanwhile(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of what nobody saw under way, and by a process that was started since."""
    save(app)
    app.index.update()

    async def made(prompt: str) -> str:
        operation_id = await asyncio.to_thread(app.service.create, NewOperation("text_to_image", prompt))
        while app.service.job(operation_id):
            await asyncio.sleep(0.02)
        await asyncio.to_thread(app.index.update)
        return operation_id

    async def come_back(routes: Starlette, last: str, wanted: str) -> list[tuple[str, str]]:
        back = Listener(routes, last)
        for _ in range(400):
            told = [(name, data["operationId"]) for _, name, data in back.events if name in ("job", "ended")]
            if ("ended", wanted) in told:
                break
            await asyncio.sleep(0.025)
        await back.hang_up()
        return told

    async def listen() -> None:
        routes = served(app)
        first = Listener(routes)
        last = (await first.until("jobs"))[0]
        await first.hang_up()
        await asyncio.to_thread(app.start)
        seen = await made("a red circle")
        told = await come_back(routes, last, seen)
        assert told.count(("ended", seen)) == 1 and ("job", seen) in told and not any(other == ID for _, other in told)

        monkeypatch.setattr(events, "STAY_SECONDS", 0.0)  # from here on nobody looks while nobody listens
        again = Listener(routes)
        last = (await again.until("jobs"))[0]
        await again.hang_up()
        unseen = await made("a blue circle")
        assert ("ended", unseen) in await come_back(routes, last, unseen)
        told = await come_back(served(app), last, unseen)
        assert ("ended", unseen) in told and ("ended", seen) not in told and not any(other == ID for _, other in told)

    try:
        run(listen())
    finally:
        app.stop()


@pytest.mark.usefixtures("quick")
def test_listeners_are_few_and_hold_no_thread(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = 40  # that the server's event loop has at most; on a slow machine every first look may have one
    monkeypatch.setattr(events, "MAX_LISTENERS", threads + 12)

    async def listen() -> None:
        routes = served(app)
        many = [Listener(routes) for _ in range(threads + 12)]
        for listener in many:
            await listener.until("jobs")  # if each held a thread, the last ones would wait for ever
        another = Listener(routes)
        await asyncio.wait_for(another.task, 30)
        assert another.messages[0]["status"] == 503
        for listener in many:
            await listener.hang_up()
        again = Listener(routes)
        await again.until("jobs")
        await again.hang_up()

    run(listen())


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_nothing_is_looked_at_while_nobody_listens(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    real = app.service.jobs

    def counted() -> Any:
        looks.append(1)
        return real()

    monkeypatch.setattr(app.service, "jobs", counted)
    monkeypatch.setattr(events, "STAY_SECONDS", 0.0)  # for who may come back; then no more

    async def listen() -> None:
        routes = served(app)
        several = [Listener(routes) for _ in range(5)]
        for listener in several:
            await listener.until("jobs")
        await asyncio.sleep(0.5)
        assert 3 <= len(looks) <= 14, "one look for all of them"
        for listener in several:
            await listener.hang_up()
        await asyncio.sleep(0.1)
        looks.clear()
        await asyncio.sleep(0.3)
        assert not looks

    run(listen())


@pytest.mark.usefixtures("quick")
def test_who_reads_slowly_is_told_all_or_let_go(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others' looks find while something is being sent to it comes next; where that is not kept any more, the line ends."""
    source, found = events.Events(lambda: app.acting_as(LOCAL)), list[str]()

    def read() -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
        happened: list[tuple[str, dict[str, Any]]] = [("changed", {"operationIds": [name]}) for name in found]
        found.clear()
        return {}, happened

    monkeypatch.setattr(source, "_read", read)

    async def look(*names: str) -> None:
        found.extend(names)
        await source._look(first=True)

    async def listen() -> None:
        slow = source._told("")
        assert (await anext(slow)).event == "jobs"
        await look("a", "b")
        assert "a" in str((await anext(slow)).data)
        await look("c")
        told = [str((await asyncio.wait_for(anext(slow), 5)).data) for _ in range(2)]
        assert "b" in told[0] and "c" in told[1]
        await look(*map(str, range(events.KEPT + 1)))
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(slow), 5)

    run(listen())
