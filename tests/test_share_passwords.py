"""Passwords of share links: tried slowly, by each caller for itself and by all together; whoever was in gets in."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from opstore.app import App
from opstore.errors import OpstoreError
from opstore.shares import Shares
from opstore.shares.log import ALL_FREE, FREE, LONGEST
from tests import loops
from tests.share_samples import ORIGIN, PASSWORD, Clock, enter, made, opened_app, visitor

HOST = ORIGIN.partition("://")[2]


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> App:
    """One app for all tests that change no operation; each makes links of its own."""
    return opened_app(tmp_path_factory.mktemp("shares"), clock)


@pytest.fixture
def client(app: App) -> TestClient:
    return visitor(app)


def test_passwords_are_tried_slowly_and_the_visitor_who_is_in_stays_in(app: App, client: TestClient, clock: Clock) -> None:
    token = made(app, password=PASSWORD)[1]
    inside = visitor(app)
    assert enter(inside, token).status_code == 303
    for _ in range(FREE):
        assert enter(client, token, "wrong").status_code == 403
    waits = []
    for _ in range(12):
        answer = enter(client, token)
        assert answer.status_code == 429, "even the right one has to wait"
        waits.append(int(answer.headers["retry-after"]))
        assert f"{waits[-1]} s" in answer.text
        clock.now += timedelta(seconds=waits[-1])
        assert enter(client, token, "wrong").status_code == 403
    assert waits[:4] == [2, 3, 5, 9] and max(waits) == LONGEST + 1
    assert inside.get(f"/s/{token}").status_code == 200
    clock.now += timedelta(hours=2)
    assert enter(client, token).status_code == 303


def test_another_process_slows_down_as_well(app: App, client: TestClient, clock: Clock, tmp_path: Path) -> None:
    token = made(app, password=PASSWORD)[1]
    other = Shares(type(app.store)(app.store.root), clock=clock)
    for number in range(FREE):
        with pytest.raises(OpstoreError, match="not the password"):
            (other if number % 2 else app.service.shares).enter(token, "wrong")
    for shares in (other, app.service.shares):
        with pytest.raises(OpstoreError, match="Too many"):
            shares.enter(token, PASSWORD)


def test_of_a_hundred_tries_at_once_few_are_looked_at(app: App) -> None:
    from concurrent.futures import ThreadPoolExecutor

    token = made(app, password=PASSWORD)[1]

    def attempt(_number: int) -> str:
        try:
            app.service.shares.enter(token, "wrong")
        except OpstoreError as error:
            return type(error).__name__
        return "let in"

    with ThreadPoolExecutor(12) as pool:
        ends = list(pool.map(attempt, range(100)))
    assert sorted(set(ends)) == ["PasswordWrong", "TooManyTries"] and ends.count("PasswordWrong") == FREE


@pytest.mark.long
def test_a_stranger_who_guesses_makes_nobody_else_wait_and_many_strangers_nobody_who_was_in(app: App, clock: Clock) -> None:
    token, was_in, other = made(app, password=PASSWORD)[1], visitor(app), visitor(app, host="198.51.100.7")
    assert enter(was_in, token).status_code == 303
    clock.now += timedelta(seconds=1)
    for _ in range(FREE):
        enter(visitor(app), token, "wrong")
    assert enter(visitor(app), token).status_code == 429
    assert enter(other, token, "wrong").status_code == 403 and enter(other, token).status_code == 303
    for number in range(ALL_FREE):
        enter(visitor(app, host=f"2001:db8:{number:x}::1"), token, "wrong")
    assert enter(visitor(app, host="192.0.2.1"), token).status_code == 429, "many addresses have no more tries than that together"
    assert enter(was_in, token).status_code == 303
    clock.now += timedelta(hours=2)
    assert enter(visitor(app, host="192.0.2.1"), token).status_code == 303
    assert "198.51.100" not in "".join(path.read_text() for path in app.store.root.glob("shares/*.log"))


@pytest.mark.long
def test_slow_bodies_at_links_hold_nothing_up(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each held one of the forty threads in which the whole server answers, for as long as it liked, without a token."""
    served = visitor(app).app
    scope = {"type": "http", "method": "POST", "path": "/s/x", "query_string": b"", "headers": [(b"host", HOST.encode())]}
    scope |= {"client": ("203.0.113.9", 1), "server": (HOST, 443), "scheme": "https", "http_version": "1.1"}

    async def run() -> tuple[int, list[int]]:
        said: list[int] = []

        async def never() -> Any:
            await asyncio.sleep(3600)

        async def send(message: Any) -> None:
            said.extend([message["status"]] if "status" in message else ())

        async def drip() -> None:
            await served(dict(scope), never, send)

        slow = [asyncio.create_task(drip()) for _ in range(60)]
        try:
            async with asyncio.timeout(30), httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url=ORIGIN) as client:
                answer = await client.get("/s/x")
            await asyncio.gather(*slow)
        finally:
            for task in slow:
                task.cancel()
        return answer.status_code, said

    monkeypatch.setattr("opstore.api.share._FORM_SECONDS", 2.0)
    assert loops.run(run()) == (404, [404] * 60)


@pytest.mark.parametrize("body", [b"", b"password=", b"x" * 100_000, b"password=%ff%fe", b"\0", "password=\u00e9".encode()])
def test_any_body_is_a_wrong_password(app: App, client: TestClient, body: bytes) -> None:
    token = made(app, password=PASSWORD)[1]
    assert client.post(f"/s/{token}", content=body).status_code in (403, 404)
    assert client.get(f"/s/{token}").status_code == 401


def test_a_cookie_is_for_one_link_and_for_no_script(app: App, client: TestClient) -> None:
    token = made(app, password=PASSWORD)[1]
    cookie = enter(client, token).headers["set-cookie"]
    assert f"Path=/s/{token};" in cookie and "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" in cookie
    here = visitor(app, base="http://127.0.0.1:8501")
    assert "Secure" not in enter(here, token).headers["set-cookie"]
    assert PASSWORD not in cookie and "scrypt" not in cookie


def test_a_link_without_a_password_takes_none(app: App, client: TestClient) -> None:
    assert enter(client, made(app)[1]).status_code == 404
