"""HTTP as the real server speaks it: its own document tried out by schemathesis, the examples of the docs, sockets that lie."""

from __future__ import annotations

import contextlib
import functools
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page
from starlette.routing import Route

from opstore.api import Api
from opstore.api.openapi import document
from opstore.app import App, Settings
from opstore.ui.streamlit_private.server import send_at_once
from tests.browser import ROOT, Server, Windows
from tests.samples import ID, LATER, MP4, PNG

pytest_plugins = ("tests.browser_fixtures",)

DOCUMENT = document(Api.calls(lambda: pytest.fail("nothing is opened to describe it")))
OPERATIONS = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, photo: Callable[..., bytes]) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("http") / "data", OPSTORE_API_RATE="off")
    store = App(Settings(data=served.data, provider="local")).store
    picture = photo("chelsea", "png", size=(64, 48))
    store.save(ID, {"operationType": "text_to_image", "prompt": "a cat", "model": "m/n"}, outputs=[picture])
    store.save(LATER, {"operationType": "text_to_video", "prompt": "a film"}, outputs=[MP4])
    served.start()
    yield served
    served.stop()


# -- the document --------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_document_holds_every_route_and_is_served(server: Server) -> None:
    told = server.get("/api/openapi.json")
    assert told == DOCUMENT
    routes = Api(lambda: pytest.fail("nothing is opened to mount it")).routes()
    mounted = {route.path for route in routes if isinstance(route, Route) and route.path.startswith("/api/")}
    assert mounted - {"/api/{rest:path}"} == set(DOCUMENT["paths"])
    assert "/api/edit/image" in mounted and "/api/events" in mounted


def test_the_document_is_openapi_3_1_and_its_schemas_are_sound() -> None:
    for _method, path in OPERATIONS:
        named = set(re.findall(r"{(\w+)}", path))
        for call in DOCUMENT["paths"][path].values():
            assert {item["name"] for item in call["parameters"] if item["in"] == "path"} == named
            assert set(call["responses"]) >= {"200", "400", "401", "429", "500"} or "202" in call["responses"]
    names = [call["operationId"] for path in DOCUMENT["paths"].values() for call in path.values()]
    assert len(set(names)) == len(names) and all(name.isalpha() for name in names)

    def schemas(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            if "schema" in value and isinstance(value["schema"], dict):
                yield value["schema"]
            for item in value.values():
                yield from schemas(item)
        elif isinstance(value, list):
            for item in value:
                yield from schemas(item)

    for schema in [*schemas(DOCUMENT), *DOCUMENT["components"]["schemas"].values()]:
        jsonschema.Draft202012Validator.check_schema(schema)


@functools.cache
def schemathesis() -> tuple[Any, dict[str, Any], list[Any]]:
    """Return the document, ways of asking and checks of schemathesis, which only the process that asks loads: it takes 2 s."""
    from schemathesis import GenerationMode, checks, openapi
    from schemathesis.specs.openapi import checks as told

    named = ("status_code", "content_type", "response_headers", "response_schema")
    fits = [checks.not_a_server_error, *(getattr(told, f"{name}_conformance") for name in named)]
    modes = {"fits": GenerationMode.POSITIVE, "does-not-fit": GenerationMode.NEGATIVE}
    return openapi.from_dict(DOCUMENT), modes, [*fits, told.negative_data_rejection, told.unsupported_method]


THERE = {
    "operation_id": ID,
    "name": f"{ID}_out.png",
    "subject": f"{LATER}_out.mp4@first",
    "first": f"{ID}_out.png",
    "second": f"{ID}_out.png",
}
#: Without end; told of below, and listened to in test_api_act.py.
ENDLESS = ("/api/events",)


def asked() -> Iterator[tuple[str, str, str]]:
    """Yield how every operation can be asked: as it allows, and wrongly where anything can be wrong with it."""
    for method, path in OPERATIONS:
        call = DOCUMENT["paths"][path][method]
        if path not in ENDLESS:
            yield "fits", method, path
            if "requestBody" in call or any(item["in"] in ("path", "query") for item in call["parameters"]):
                yield "does-not-fit", method, path


@pytest.mark.long
@pytest.mark.parametrize(("mode", "method", "path"), [*asked()], ids=str)
def test_everything_that_the_document_allows_and_forbids_is_answered_as_it_says(
    server: Server, mode: str, method: str, path: str
) -> None:
    schema, modes, checks = schemathesis()
    operation = schema[path][method.upper()]
    session = requests.Session()

    @seed(int(os.environ.get("FUZZ_SEED", "20251103")))
    @settings(
        max_examples=int(os.environ.get("FUZZ_EXAMPLES", "8")),
        deadline=None,
        derandomize=False,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=modes[mode]), known=st.booleans())
    def fuzz(case: Any, known: bool) -> None:
        if known and mode == "fits":  # an id out of thin air is none that is here
            case.path_parameters = {name: THERE[name] for name in case.path_parameters or {}}
        answer = case.call(base_url=server.address, session=session, timeout=30)
        # What is too long is refused as that, which the check does not know.
        left = [check for check in checks if not (check.__name__ == "negative_data_rejection" and answer.status_code == 413)]
        case.validate_response(answer, checks=left)

    with contextlib.closing(session):
        fuzz()


# -- the examples --------------------------------------------------------------------------------------------------------


def example(language: str, address: str) -> str:
    """Return the one example in a language, with the address of the test's server."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "http.md").read_text(), re.DOTALL)
    return str(found).replace("http://127.0.0.1:8501", address)


def test_the_example_in_curl(server: Server, program: Callable[[str], str], photo: Callable[..., bytes], tmp_path: Path) -> None:
    program("curl")
    (tmp_path / "photo.jpg").write_bytes(photo("coffee", size=(80, 60)))
    command = ["bash", "-euc", example("sh", server.address)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    told = json.loads(done.stdout)
    assert told["success"] is True and told["operation"]["prompt"] == "black and white"
    assert server.read(f"/api/files/{told['operation']['outputFile']}")[:4] in (b"RIFF", b"\x89PNG", b"\xff\xd8\xff\xe0")


def test_the_example_in_python(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-c", example("python", server.address)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    workflow, kind, size = done.stdout.split()
    assert workflow == "text_to_image" and kind.startswith("image/") and int(size) == (tmp_path / "result.bin").stat().st_size
    (made,) = server.by_prompt("a red circle")
    assert made["annotations"]["rating"] == 5


@pytest.mark.long
def test_the_example_in_javascript(server: Server, windows: Windows) -> None:
    with windows.visit(server) as visitor:
        said: list[str] = []
        visitor.page.on("console", lambda message: said.append(message.text))
        visitor.page.goto(f"{server.address}/_stcore/health")
        visitor.page.evaluate(f"async () => {{ {example('js', server.address)} }}")
        (made,) = server.by_prompt("a blue circle")
        assert said == [made["outputFile"]]
        with another_site() as elsewhere:
            attack(visitor.page, elsewhere, server)


@contextlib.contextmanager
def another_site() -> Iterator[str]:
    """Serve an empty page under another origin of this machine."""
    site = http.server.HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{site.server_port}/"
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


class _Page(http.server.BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


_FORM = """address => {
    const form = document.createElement("form");
    Object.assign(form, { action: address, method: "post", enctype: "multipart/form-data" });
    form.append(Object.assign(document.createElement("input"), { name: "prompt", value: "foreign" }));
    document.body.append(form);
    form.submit();
}"""


def attack(page: Page, elsewhere: str, server: Server) -> None:
    """Let another site's page, in a browser as it is, try to change and to read what is here."""
    before = server.operations()
    page.goto(elsewhere)
    # A form needs nobody's leave to be sent, and the person who presses it sees what comes back.
    with page.expect_navigation():
        page.evaluate(_FORM, f"{server.address}/api/smart/execute")
    assert "Another site" in page.inner_text("body") and page.url.endswith("/api/smart/execute")
    page.goto(elsewhere)
    for request in (f"'{server.address}/api/history'", f"'{server.address}/api/history/{ID}', {{method: 'DELETE'}}"):
        with pytest.raises(BrowserError):
            page.evaluate(f"fetch({request}).then(answer => answer.text())")
    shown = """address => new Promise(done => {
        Object.assign(new Image(), { onload: () => done(true), onerror: () => done(false), src: address });
    })"""
    assert page.evaluate(shown, f"{server.address}/api/files/{ID}_out.png") is False, "nor are pictures shown elsewhere"
    assert server.operations() == before and not server.jobs()


# -- sockets -------------------------------------------------------------------------------------------------------------


def raw(server: Server, data: bytes, seconds: float = 10) -> bytes:
    """Send bytes as they are, and return what comes back until the other side closes or is silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as line:
        line.sendall(data)
        found = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while part := line.recv(65_536):
                found += part
                head, _, body = found.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                if length and len(body) >= int(length[1]):
                    break
        return found


def head(server: Server, *lines: str) -> bytes:
    return "\r\n".join(["POST /api/edit/image HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *lines, "", ""]).encode()


def test_lengths_that_lie(server: Server) -> None:
    kind = "Content-Type: multipart/form-data; boundary=b"
    assert b" 413 " in raw(server, head(server, kind, "Content-Length: 999999999999")).split(b"\r\n")[0]
    assert b" 400 " in raw(server, head(server, kind, "Content-Length: x")).split(b"\r\n")[0]
    assert b" 400 " in raw(server, head(server, kind, "Content-Length: 3") + b"abcdef").split(b"\r\n")[0]
    both = head(server, kind, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    assert b" 4" in raw(server, both).split(b"\r\n")[0]
    assert server.get("/api/health")["success"] is True


def test_an_upload_of_eleven_megabytes_gets_its_answer_over_a_real_line(server: Server) -> None:
    answer = requests.post(
        f"{server.address}/api/edit/image",
        data={"prompt": "x"},
        files=[("images", ("a.png", PNG + b"x" * 11_000_000))],
        timeout=30,
    )
    assert answer.status_code == 413 and "Image 1" in answer.json()["error"]


def test_head_of_what_streams_has_an_end_and_no_length_that_is_none(server: Server) -> None:
    """Each kept a place of the hundred listeners for as long as its line stood."""
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    found = []
    for path in ("/api/events", "/api/events", "/api/export", "/api/jobs"):
        line.request("HEAD", path)
        answer = line.getresponse()
        answer.read()
        found.append((answer.status, answer.headers["content-length"] is None))
    line.close()
    assert found == [(200, True)] * 3 + [(200, False)]


def test_answers_leave_at_once_whatever_the_listening_socket_was_made_as() -> None:
    with socket.socket(socket.AF_INET) as listening:  # as Streamlit makes it: no protocol said, so asyncio leaves it alone
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert send_at_once() >= 1
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.long
def test_listeners_that_go_away_are_let_go_and_an_end_is_not_held_up(tmp_path: Path) -> None:
    own = Server(tmp_path / "own" / "data")
    own.start()
    try:
        lines = [http.client.HTTPConnection("127.0.0.1", own.port, timeout=10) for _ in range(20)]
        threads = threads_of(own.pid)
        for line in lines:
            line.request("GET", "/api/events")
            answer = line.getresponse()
            assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream")
            assert answer.readline().startswith(b"id: ")
        assert threads_of(own.pid) <= threads + 4, "a listener holds no thread"
        for line in lines[1:]:
            line.close()
        began = time.monotonic()
        own.stop()
        assert time.monotonic() - began < 10, "the last listener does not hold the end up"
        lines[0].close()
    finally:
        own.stop()


@pytest.mark.long
def test_whoever_stops_reading_does_not_hold_the_end_up(tmp_path: Path) -> None:
    own = Server(tmp_path / "own" / "data")
    store = App(Settings(data=own.data, provider="local")).store
    store.save(LATER, {"operationType": "text_to_video", "prompt": "a long film"}, outputs=[MP4])
    os.truncate(store.operations.path / f"{LATER}_out.mp4", 60_000_000)  # more than the sockets between take
    own.start()
    with contextlib.closing(socket.create_connection(("127.0.0.1", own.port))) as line:
        line.sendall(f"GET /api/files/{LATER}_out.mp4 HTTP/1.1\r\nHost: 127.0.0.1:{own.port}\r\n\r\n".encode())
        assert line.recv(12) == b"HTTP/1.1 200"
        own.stop()
    assert "Traceback" not in own.log()


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_the_server_listens_on_this_machine_only(server: Server) -> None:
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = {
        fields[1].split(":")[0] for fields in lines if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == server.port
    }
    assert listening == {"0100007F"}, "127.0.0.1, and no other address"


@pytest.mark.parametrize("page", ["", *(path.stem for path in sorted((ROOT / "pages").glob("*.py"))), "api/health"])
def test_the_head_of_an_answer_fits_twice_into_what_a_proxy_has_for_it(server: Server, page: str) -> None:
    answer = requests.get(f"{server.address}/{page}", timeout=30)
    assert answer.status_code == 200
    assert sum(len(name) + len(value) + 4 for name, value in answer.headers.items()) < 2_048, dict(answer.headers)


def test_a_foreign_name_reaches_neither_pages_nor_their_lines(server: Server) -> None:
    """A name that somebody pointed here, and a page of another site, for pages, their files and their WebSocket."""

    def status(path: str, host: str, *more: str) -> bytes:
        request = "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *more, "", ""])
        return raw(server, request.encode()).split(b"\r\n")[0].split(b" ")[1]

    here = f"127.0.0.1:{server.port}"
    line = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    for path in ("/", "/library", "/api/health", "/_stcore/health", "/_stcore/host-config"):
        assert status(path, here) == b"200", path
        assert status(path, "evil.example") == status(path, f"evil.example:{server.port}") == b"400", path
    for host, origin in (("evil.example", "http://evil.example"), (here, "http://evil.example")):
        assert status("/_stcore/stream", host, *line, f"Origin: {origin}") in (b"400", b"403"), (host, origin)
