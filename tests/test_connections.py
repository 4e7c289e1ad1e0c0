"""Below the framework: heads that never end, what is no request, floods of log lines; and files that nobody else may read."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from opstore.api import connections
from opstore.app import App, Settings
from opstore.cli import main
from opstore.launcher import serving
from opstore.shares import Scope, Shares
from opstore.storage.store import Store
from tests import loops
from tests.samples import ID, PNG
from tests.share_samples import CHEAP

HOST = b"Host: x\r\n"
WHOLE = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


async def plain(scope: Any, receive: Any, send: Any) -> None:
    while scope["path"] != "/early" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def talked(*acts: Act) -> list[bytes]:
    """Return what each act got from a server of such connections, all at once."""

    async def run() -> list[bytes]:
        config = uvicorn.Config(plain, lifespan="off", ws="none", log_config=None, timeout_keep_alive=30)
        config.load()
        state, loop = ServerState(), asyncio.get_running_loop()
        server = await loop.create_server(lambda: connections.Connection(config, state, {}), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def one(act: Act) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await asyncio.wait_for(act(reader, writer), 20)
            finally:
                writer.close()

        try:
            return await asyncio.gather(*map(one, acts))
        finally:
            server.close()

    return loops.run(run())


def sending(data: bytes) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for at in range(0, len(data), 30_000):
            writer.write(data[at : at + 30_000])
            await writer.drain()
        return await reader.read()

    return act


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send a head a byte at a time, without end: each byte wins no time."""
    writer.write(WHOLE[:-4])
    answer = asyncio.ensure_future(reader.read())
    while not answer.done():
        writer.write(b"a")
        await asyncio.wait([answer], timeout=0.02)
    return await answer


async def second_one_drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(WHOLE)
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    return await dripping(reader, writer)


async def body_goes_on_after_its_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET /early HTTP/1.1\r\nContent-Length: 9999\r\n" + HOST + b"\r\n")
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    for _ in range(75):  # half as long again as it may: who has not looked for an end meets no broken line
        writer.write(b"a")
        await asyncio.sleep(0.02)
    return b"let go" + await reader.read()


async def body_takes_its_time(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 9\r\n" + HOST + b"\r\n")
    for _ in range(9):
        await asyncio.sleep(0.3)  # in all nearly three times what a head may take
        writer.write(b"a")
    return await reader.read()


def told(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    document = json.loads(body)
    assert b"content-type: application/json" in head and sorted(document) == ["error", "success"] and document["success"] is False
    return int(head.split()[1]), document["error"]


def test_a_head_has_a_time_limit_and_a_body_does_not_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    acts = (dripping, second_one_drips, sending(b""), body_takes_its_time, body_goes_on_after_its_answer)
    slow, again, silent, body, late = talked(*acts)
    assert late == b"let go"
    assert told(slow)[0] == told(again)[0] == 408 and silent == b"" and body.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02 hello\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET /" + b"a" * 300_000, 414),
        (b"GET / HTTP/1.1\r\n" + HOST + b"a: " + b"a" * 300_000, 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + HOST + b"\r\n", 501),
    ],
)
def test_what_is_no_request_is_refused_in_the_one_form_of_errors(data: bytes, status: int) -> None:
    assert told(talked(sending(data))[0])[0] == status


def test_the_log_tells_a_flood_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("opstore.api.connections.time.monotonic", lambda: now[0])
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign] # a log in memory
    handler.addFilter(connections.Brake())
    log = logging.getLogger("opstore.test.flood")
    log.propagate = False
    log.addHandler(handler)
    for number in range(10_000):
        log.warning("no request: %d", number)
    log.warning("something else")
    assert len(lines) == connections.LINES + 1 and lines[-1] == "something else"
    now[0] += connections.WINDOW_SECONDS
    log.warning("no request: %d", 5)
    assert lines[-1] == "no request: 5 (and 9,970 more like it)"
    for number in range(5_000):
        log.warning(f"made up {number}")
    assert len(lines) < connections._KINDS + 100


# -- files -------------------------------------------------------------------------------------------------------------------


def modes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}


def test_what_is_private_is_for_this_user_alone_and_folders_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    app = App(Settings(data=tmp_path / "data"))
    app.store.initialize_storage()
    app.store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    app.service.change_preferences(parallel=2)
    app.service.curation.save_search("sea", "tag:sea")
    shares = Shares(app.store, cost=CHEAP)
    shares.visited(shares.create(Scope("operation", (ID,)), password="correct horse"))
    found = modes(tmp_path / "data")
    for name in (".", "shares", "pending", "reviews", "branches", "cache"):
        assert found[name] == 0o700, name
    private = [
        name for name in found if name.startswith("shares/") or name in ("settings.json", "searches.json", "share-keys.json")
    ]
    assert len(private) >= 5 and {found[name] for name in private} == {0o600}

    given = tmp_path / "given"
    (given / "shares").mkdir(parents=True)
    for path, mode in ((given, 0o2775), (given / "shares", 0o750)):
        path.chmod(mode)
    Store(given).initialize_storage()
    assert (given.stat().st_mode & 0o7777, (given / "shares").stat().st_mode & 0o777) == (0o2775, 0o750)


def test_a_command_knows_where_the_server_answers_for_as_long_as_it_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "data")
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])

    def printed() -> str:
        assert main(["share", "create", ID, "--data", str(store.root)]) == 0
        return capsys.readouterr().out

    with serving.shown(store.cache, "http://127.0.0.1:8777"):
        assert printed().startswith("http://127.0.0.1:8777/s/")
    assert printed().startswith("http://127.0.0.1:8501/s/"), "what a server has left says nothing"
