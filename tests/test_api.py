"""The HTTP interface as callers and attackers meet it: shapes, types from bytes, caching, who is let in; never a 500."""

from __future__ import annotations

import builtins
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from opstore.api import Api, middleware
from opstore.api.guard import Shaped
from opstore.app import App, Settings
from tests.samples import GIF, HOSTILE_IDS, HOSTILE_NAMES, ID, JPG, LATER, MP4, PNG, WEBP, plant
from tests.standin.client import set_up

HERE = "http://127.0.0.1:8501"
HTML = b"<!doctype html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
TOKEN = "a token, é, 🔑"


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(Settings(data=tmp_path / "data"))


def client_of(app: App, host: str = "127.0.0.1", base: str = HERE) -> TestClient:
    """Return a caller at the address `host`; a fault of the server is an answer, as it is for a real caller."""
    served = Starlette(routes=Api(lambda: app).routes(), middleware=middleware())
    return TestClient(served, base_url=base, client=(host, 50_000), raise_server_exceptions=False)


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with client_of(app) as client:
        yield client


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A caller of an empty store, for what must not get as far as the store anyway."""
    with client_of(App(Settings(data=tmp_path_factory.mktemp("empty")))) as client:
        yield client


def save(app: App, operation_id: str = ID, **changes: Any) -> dict[str, Any]:
    outputs = changes.pop("outputs", [PNG])
    app.store.save(operation_id, {"operationType": "text_to_image", "prompt": "é <b>"} | changes, outputs=outputs)
    return app.store.get_operation_metadata(operation_id)


def refused(answer: Any, *statuses: int) -> str:
    """Check that an answer is the one form of an error, and return its sentence."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:200])
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert sorted(body) == ["error", "success"] and body["success"] is False and isinstance(body["error"], str) and body["error"]
    return str(body["error"])


# -- history -------------------------------------------------------------------------------------------------------------


def test_the_history_is_the_sidecars_newest_first(app: App, client: TestClient) -> None:
    assert client.get("/api/history").json() == {"success": True, "count": 0, "operations": []}
    older, newer = save(app, ID), save(app, LATER)
    plant(app.store, "20251103143024_abc123df.json", b"damaged")
    answer = client.get("/api/history")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert answer.json() == {"success": True, "count": 2, "operations": [newer, older]}
    assert client.get("/api/history?limit=1").json()["operations"] == [newer]
    assert client.get("/api/history?limit=0").json() == {"success": True, "count": 0, "operations": []}
    assert client.get("/api/history?limit=10000").json()["count"] == 2


def test_fifty_are_the_default(app: App, client: TestClient) -> None:
    for number in range(52):
        save(app, f"2025110314{number:04}_abc123de", outputs=[])
    assert client.get("/api/history").json()["count"] == 50


@pytest.mark.parametrize("limit", ["-1", "10001", "1e3", "abc", "", " 5", "5.0", "٥", "9" * 5000, "0x5", "5;drop", "NaN", "null"])
def test_a_limit_that_is_no_number_is_refused(empty: TestClient, limit: str) -> None:
    assert "limit" in refused(empty.get(f"/api/history?limit={quote(limit)}"), 400)


def test_one_operation(app: App, client: TestClient) -> None:
    sidecar = save(app)
    assert client.get(f"/api/history/{ID}").json() == {"success": True, "operation": sidecar}
    assert "is not an operation id" in refused(client.get("/api/history/20251103143022"), 400)
    assert LATER in refused(client.get(f"/api/history/{LATER}"), 404)
    plant(app.store, f"{LATER}.json", b'{"operationId": "')
    refused(client.get(f"/api/history/{LATER}"), 422)


@pytest.mark.parametrize("value", [value for value in HOSTILE_IDS if isinstance(value, str)], ids=lambda value: ascii(value)[:30])
def test_a_malformed_id_is_refused(empty: TestClient, value: str) -> None:
    address = quote(value.encode("utf-8", "surrogatepass")[:3000], safe="")
    if address in ("", ".", ".."):
        refused(empty.get(f"/api/history/{address}".rstrip(".")), 404)
        return
    refused(empty.get(f"/api/history/{address}"), 400, 404)


# -- files ---------------------------------------------------------------------------------------------------------------

TYPES = [(PNG, "image/png"), (JPG, "image/jpeg"), (WEBP, "image/webp"), (GIF, "image/gif"), (MP4, "video/mp4")]


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "gif", "mp4", "webm", "jpeg"])
@pytest.mark.parametrize(("data", "kind"), TYPES, ids=[kind for _, kind in TYPES])
def test_a_file_is_what_its_bytes_are_whatever_it_is_called(
    app: App, client: TestClient, extension: str, data: bytes, kind: str
) -> None:
    plant(app.store, f"{ID}_out.{extension}", data)
    answer = client.get(f"/api/files/{ID}_out.{extension}")
    assert answer.status_code == 200 and answer.content == data and answer.headers["content-type"] == kind
    right = {"image/jpeg": "jpg"}.get(kind, kind.split("/")[1])
    assert answer.headers["content-disposition"] == f'inline; filename="{ID}_out.{right}"'
    assert answer.headers["content-length"] == str(len(data)) and answer.headers["accept-ranges"] == "bytes"
    check_headers(answer)
    saved = client.get(f"/api/files/{ID}_out.{extension}?download=1")
    assert saved.headers["content-disposition"] == f'attachment; filename="{ID}_out.{right}"'


def check_headers(answer: Any) -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN" and answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers.get_list("cache-control") == ["private, max-age=31536000, immutable"]


@pytest.mark.parametrize("data", [HTML, SVG, b"#!/bin/sh\n", b"", b"%PDF-1.7", b"GIF", b"RIFF\0\0\0\0WAVE", b"\0" * 64, b"MZ"])
def test_what_is_no_medium_is_only_ever_a_file_to_save(app: App, client: TestClient, data: bytes) -> None:
    plant(app.store, f"{ID}_out.jpg", data)
    answer = client.get(f"/api/files/{ID}_out.jpg")
    assert answer.status_code == 200 and answer.content == data
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    check_headers(answer)


def test_who_has_the_file_already_is_told_so(app: App, client: TestClient) -> None:
    plant(app.store, f"{ID}_out.png", PNG)
    for url in (f"/api/files/{ID}_out.png", f"/api/thumbnails/{ID}_out.png"):
        first = client.get(url)
        etag, modified = first.headers["etag"], first.headers["last-modified"]
        for headers in (
            {"If-None-Match": etag},
            {"If-None-Match": f'"x", W/{etag}'},
            {"If-None-Match": "*"},
            {"If-Modified-Since": modified},
            {"If-None-Match": etag, "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        ):
            again = client.get(url, headers=headers)
            assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == etag, headers
        for headers in (
            {"If-None-Match": '"other"'},
            {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
            {"If-Modified-Since": "junk"},
            {"If-None-Match": '"other"', "If-Modified-Since": modified},
        ):
            assert client.get(url, headers=headers).content == first.content


def test_head_says_what_get_would(app: App, client: TestClient) -> None:
    plant(app.store, f"{ID}_out.png", PNG)
    for url in (f"/api/files/{ID}_out.png", f"/api/thumbnails/{ID}_out.png"):
        head, get = client.head(url), client.get(url)
        assert head.status_code == 200 and head.content == b"" and head.headers == get.headers
    assert client.head("/api/history").status_code == 200
    assert client.head(f"/api/files/{LATER}_out.png").status_code == 404


def test_parts_and_conditions_are_as_rfc_9110_says(app: App, client: TestClient) -> None:
    plant(app.store, f"{ID}_out.mp4", MP4)
    url = f"/api/files/{ID}_out.mp4"
    whole = client.get(url)
    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    # 14.2: parts are for GET; 15.5.17: a refusal says how long it is, and 15.5: in words
    assert client.head(url, headers={"Range": "bytes=0-9"}).status_code == 200
    beyond = client.get(url, headers={"Range": f"bytes={len(MP4)}-"})
    assert "part" in refused(beyond, 416) and beyond.headers["content-range"] == f"bytes */{len(MP4)}"
    refused(client.get(url, headers={"Range": "bytes=x"}), 400)
    # 13.1.3: a date is compared, not spelt; 13.2.2: what is known already is not given in parts
    for later in ("Fri, 01 Jan 2100 00:00:00 GMT", "Friday, 01-Jan-68 00:00:00 GMT"):
        assert client.get(url, headers={"If-Modified-Since": later}).status_code == 304
    for nothing in ("yesterday", "Fri, 99 Jan 2100 00:00:00 GMT", "2100-01-01", ""):
        assert client.get(url, headers={"If-Modified-Since": nothing}).status_code == 200
    assert client.get(url, headers={"Range": "bytes=0-9", "If-None-Match": etag}).status_code == 304
    # 13.1.5: a part only of these very bytes; a weak tag names none
    for tag, status in ((etag, 206), (modified, 206), (f"W/{etag}", 200), ('"x"', 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
        assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": tag}).status_code == status, tag


def test_sidecars_are_no_files(app: App, client: TestClient) -> None:
    save(app)
    for route in ("files", "thumbnails"):
        refused(client.get(f"/api/{route}/{ID}.json"), 404)


# -- names that mean harm ------------------------------------------------------------------------------------------------

RAW = [
    "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5cx", "%00", f"{ID}_out.png%00", f"{ID}_out.png%00.html",
    f"..%2foperations%2f{ID}_out.png", f"{ID}_out.png%2f", f"{ID}_out.png%0a", f".%2f{ID}_out.png", f"%2f{ID}_out.png",
    "%2fetc%2fpasswd", "a" * 8_000, "%ff%fe", "%ED%A0%80", f"{ID}_out.png;.html", f"{ID}_out.png%3f", "..;%2fx",
    "%252e%252e%252fx", "settings.json", ".settings.lock", f".{ID}.lock", "con", "%E2%80%AE", f"{ID}_OUT.PNG",
]  # fmt: skip


@pytest.mark.parametrize("route", ["files", "thumbnails", "history"])
@pytest.mark.parametrize("name", RAW, ids=lambda name: name[:30])
def test_a_raw_hostile_name_is_refused_as_json(empty: TestClient, route: str, name: str) -> None:
    refused(empty.get(f"/api/{route}/{name}"), 400, 404)


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if isinstance(name, str)], ids=lambda name: ascii(name)[:30])
def test_a_hostile_name_is_refused_as_json(empty: TestClient, name: str) -> None:
    address = quote(name.encode("utf-8", "surrogatepass")[:3000], safe="")
    for route in ("files", "thumbnails"):
        if address.strip("."):
            refused(empty.get(f"/api/{route}/{address}"), 400, 404)


def test_nothing_outside_the_folder_is_opened(
    app: App, client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links, pipes and folders under good names; every path that is opened meanwhile is looked at."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    folder = app.store.operations.path
    (folder / f"{ID}_out.png").symlink_to(secret)
    (folder / f"{ID}_out.jpg").symlink_to(tmp_path / "missing")
    (folder / f"{ID}_out.webp").symlink_to("/dev/zero")
    (folder / f"{ID}_out.gif").mkdir()
    os.mkfifo(folder / f"{ID}_out.mp4")
    (folder / f"{ID}.json").symlink_to(secret)
    opened: list[str] = []
    real_open, real_os = builtins.open, os.open

    def watched(path: Any, *args: Any, **options: Any) -> Any:
        opened.append(str(path))
        return real_open(path, *args, **options)

    def watched_os(path: Any, *args: Any, **options: Any) -> Any:
        found = real_os(path, *args, **options)
        opened.append(os.readlink(f"/proc/self/fd/{found}"))
        return found

    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr(os, "open", watched_os)
    for extension in ("png", "jpg", "webp", "gif", "mp4"):
        for route in ("files", "thumbnails"):
            refused(client.get(f"/api/{route}/{ID}_out.{extension}"), 404)
    refused(client.get(f"/api/history/{ID}"), 404)
    assert opened and not [path for path in opened if "secret" in path or "/dev/" in path]


# -- thumbnails ----------------------------------------------------------------------------------------------------------


def test_thumbnails(app: App, client: TestClient, photo: Callable[..., bytes]) -> None:
    save(app, outputs=[photo("astronaut", "png")])
    answer = client.get(f"/api/thumbnails/{ID}_out.png")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg" and answer.content[:2] == b"\xff\xd8"
    check_headers(answer)
    shutil.rmtree(app.store.cache)
    assert client.get(f"/api/thumbnails/{ID}_out.png").content == answer.content
    refused(client.get(f"/api/thumbnails/{LATER}_out.png"), 404)
    plant(app.store, f"{LATER}_out.png", HTML)
    for _ in range(2):
        refused(client.get(f"/api/thumbnails/{LATER}_out.png"), 404)


def test_a_cache_that_cannot_be_written_hides_no_picture(app: App, client: TestClient) -> None:
    save(app)
    (app.store.cache / "thumbnails").write_text("a file where the folder should be")
    first, again = (client.get(f"/api/thumbnails/{ID}_out.png") for _ in range(2))
    assert first.status_code == 200 and first.content[:2] == b"\xff\xd8"
    assert again.headers["last-modified"] == first.headers["last-modified"], "made once, in a temporary folder"


# -- everything else below /api ------------------------------------------------------------------------------------------

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "x" * 300]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method[:10])
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nope", "/api/files", "/api/files/", "/api/history/x/y", "/api//history"])
def test_an_unknown_address_is_404_for_every_method(empty: TestClient, method: str, path: str) -> None:
    refused(empty.request(method, path), 404)


@pytest.mark.parametrize("method", METHODS[1:], ids=lambda method: method[:10])
@pytest.mark.parametrize("path", ["/api/health", "/api/history", "/api/problems", f"/api/files/{ID}_out.png"])
def test_a_method_that_an_address_does_not_have_is_405(empty: TestClient, method: str, path: str) -> None:
    answer = empty.request(method, path)
    refused(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


def test_health(app: App, client: TestClient) -> None:
    health = client.get("/api/health").json()
    assert health.pop("version")
    assert health == {"success": True, "jobs": 0, "index": {"done": 0, "total": None, "ready": False}}


def test_a_fault_of_the_program_is_json_without_its_details(
    app: App, client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(type(app.store), "list_operations", lambda *_: 1 // 0)
    sentence = refused(client.get("/api/history"), 500)
    assert "ZeroDivision" not in sentence and "ZeroDivision" in caplog.text


WRONG_NAMES = [
    "/api/export?frmat=zip",
    "/api/search?query=a",
    "/api/history?limt=2",
    "/api/health?x",
    "/api/jobs?q=",
    "/api/report?lang=fr",
]


@pytest.mark.parametrize("path", [*WRONG_NAMES, "/api/search?q=a&q=b", f"/api/files/{ID}_out.png?dwnload=1", "/api/events?x=1"])
def test_a_parameter_that_an_address_does_not_have_is_refused(empty: TestClient, path: str) -> None:
    """An export of everything, by a typing error in `ids`, is what nobody asked for."""
    assert "parameter" in refused(empty.get(path), 400)


def test_every_query_parameter_that_is_described_is_taken(empty: TestClient) -> None:
    for path, methods in empty.get("/api/openapi.json").json()["paths"].items():
        named = [one["name"] for one in methods.get("get", {}).get("parameters", ()) if one["in"] == "query"]
        if named and "{" not in path:
            answer = empty.get(path, params=dict.fromkeys(named, "\0"))
            assert "There is no parameter" not in answer.text, path


@pytest.mark.parametrize("path", ["/api/health", "/api/files/..%2f..%2fetc", "/api"])
def test_what_stands_below_the_routes_refuses_in_the_same_form(empty: TestClient, path: str) -> None:
    refused(empty.get(path, headers={"Host": "evil.example"}), 400)
    assert empty.head("/api/health", headers={"Host": "evil.example"}).status_code == 400


def test_errors_of_the_server_around_the_routes_get_the_form_too() -> None:
    async def odd(scope: Any, receive: Any, send: Any) -> None:
        status = int(scope["path"].rpartition("/")[2])
        await PlainTextResponse("Bad Request: <b>secret</b>", status)(scope, receive, send)

    client = TestClient(Shaped(odd), base_url=HERE)
    for status in (400, 404, 405, 413, 500, 503):
        assert "secret" not in refused(client.get(f"/api/{status}"), status)
        assert "secret" not in refused(client.get(f"/%2Fapi/{status}"), status)
    assert client.get("/page/404").text == "Bad Request: <b>secret</b>" and client.get("/api/200").text.startswith("Bad")


def test_a_socket_opens_to_our_own_pages_and_to_programs_only() -> None:
    """Streamlit's own check lets every port of localhost in: another program's page would hold the whole app."""

    async def accepting(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    def opens(host: str = "127.0.0.1:8501", **headers: str) -> bool:
        served = Starlette(routes=[Mount("/_stcore", accepting)], middleware=middleware(own="opstore.example.org"))
        try:
            with TestClient(served).websocket_connect("/_stcore/stream", headers={"host": host, **headers}):
                return True
        except WebSocketDisconnect as refusal:
            assert refusal.code == 1008
            return False

    assert opens() and opens(origin=HERE) and opens("opstore.example.org", origin="https://opstore.example.org")
    for origin in (
        "http://127.0.0.1:9999",
        "http://localhost:8501",
        "https://evil.example",
        "null",
        "http://[",
        "http://127.0.0.1",
    ):
        assert not opens(origin=origin), origin
    assert not opens(origin=HERE, **{"sec-fetch-site": "same-site"})


# -- who is let in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "testserver", "0.0.0.0", ""]
)
def test_a_name_that_somebody_pointed_here_is_refused(empty: TestClient, host: str) -> None:
    answer = empty.get("/api/history", headers={"Host": host})
    assert answer.status_code == 400 and "operations" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:1", "[::1]:8501", "LOCALHOST:80"])
def test_the_names_of_this_machine_are_accepted(empty: TestClient, host: str) -> None:
    assert empty.get("/api/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_needs_no_token(app: App, address: str) -> None:
    assert client_of(app, address).get("/api/history").status_code == 200


@pytest.mark.parametrize(
    "address",
    ["10.0.0.5", "192.168.1.7", "8.8.8.8", "::ffff:10.0.0.5", "fe80::1%eth0", "testclient", "localhost", "", "127.0.0.1.x"],
)
def test_elsewhere_there_is_no_way_in_without_one(app: App, address: str) -> None:
    save(app)
    caller = client_of(app, address)
    for path in (
        "/api/history",
        f"/api/history/{ID}",
        f"/api/files/{ID}_out.png",
        f"/api/thumbnails/{ID}_out.png",
        "/api/health",
    ):
        refused(caller.get(path), 401)
        refused(caller.get(path, headers={"Authorization": "Bearer "}), 401)
        refused(caller.get(path, headers={"Authorization": "Bearer None"}), 401)
        refused(caller.get(path, headers={"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}), 401)
    refused(caller.post("/api/nope"), 401)


@pytest.mark.parametrize("token", ["secret", TOKEN, "x" * 4_000, "with spaces in it"])
def test_elsewhere_the_token_opens(app: App, token: str) -> None:
    app.settings = replace(app.settings, api_token=token)
    caller = client_of(app, "10.0.0.5")

    def ask(value: str) -> Any:
        return caller.get("/api/history", headers={b"Authorization": value.encode()})

    assert ask(f"Bearer {token}").status_code == 200 and ask(f"bearer {token}").status_code == 200
    for wrong in (token, f"Basic {token}", f"Bearer {token}x", f"Bearer {token[:-1]}", "Bearer", "Bearer é", "Bearer \x7f", ""):
        refused(ask(wrong), 401)


def test_no_answer_holds_the_token(app: App) -> None:
    app.settings = replace(app.settings, api_token="very-secret", environment=set_up("r8_secret"))
    assert "secret" not in repr(app.settings)
    caller = client_of(app, "10.0.0.5")
    for path in ("/api/history", "/api/nope"):
        assert "very-secret" not in json.dumps(dict(caller.get(path).headers)) + caller.get(path).text
