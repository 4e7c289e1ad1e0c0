"""How often a caller may ask, and how often it may guess at the token."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from opstore.api import Api, rates
from opstore.app import App, Settings
from opstore.errors import InvalidSetting
from tests.test_api import HERE, client_of, refused


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(Settings(data=tmp_path / "data", api_rate="5/minute", api_token="right"))


def callers(app: App) -> Callable[[str], TestClient]:
    """Return callers of one server, by their addresses."""
    served = Starlette(routes=Api(lambda: app).routes())
    return lambda address: TestClient(served, base_url=HERE, client=(address, 50_000), raise_server_exceptions=False)


class Clock:
    """A clock that is moved by hand, in the place of `time` in the library."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr("limits.storage.memory.time.time", lambda: self.now)


def test_a_caller_is_told_to_wait_and_may_go_on_afterwards(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    client = client_of(app)
    for _ in range(5):
        assert client.get("/api/health").status_code == 200
        clock.now += 1
    answer = client.get("/api/history")
    assert "Wait" in refused(answer, 429)
    assert answer.headers["retry-after"] == "55", "the first of the five leaves the moving minute then"
    refused(client.post("/api/edit/image"), 429)
    clock.now += 54
    refused(client.get("/api/history"), 429)
    clock.now += 1.5
    assert client.get("/api/history").status_code == 200
    refused(client.get("/api/history"), 429)


def test_each_caller_has_a_count_of_its_own(app: App) -> None:
    at = callers(app)
    here, there = at("127.0.0.1"), at("10.0.0.5")
    bearer = {"Authorization": "Bearer right"}
    for _ in range(5):
        assert here.get("/api/health").status_code == 200
    refused(here.get("/api/health"), 429)
    assert there.get("/api/health", headers=bearer).status_code == 200
    assert here.get("/api/health", headers=bearer).status_code == 200, "who holds the token is told by it"
    for _ in range(3):
        assert at("10.0.0.6").get("/api/health", headers=bearer).status_code == 200
    refused(at("10.0.0.7").get("/api/health", headers=bearer), 429)


def test_who_guesses_at_the_token_is_slowed_and_its_holder_is_not(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever locks an address out after wrong tokens lets anybody lock the holder out, behind a proxy above all."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(rates, "SLOW_SECONDS", 0.2)
    at = callers(app)

    def ask(token: str, address: str = "10.0.0.5") -> Any:
        return at(address).get("/api/health", headers={"Authorization": f"Bearer {token}"})

    answer = ask("wrong")
    refused(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    for number in range(9):
        refused(ask(f"wrong{number}"), 401)
    began = time.monotonic()
    answer = ask("wrong again")
    refused(answer, 429)
    assert time.monotonic() - began >= 0.2 and 1 <= int(answer.headers["retry-after"]) <= 60
    assert ask("right").status_code == 200
    clock.now += 61
    refused(ask("wrong"), 401)


def test_a_guesser_with_an_address_for_every_guess_is_slowed_too(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """`X-Forwarded-For` is where a server behind a proxy has an address from, and anybody can write one."""
    monkeypatch.setattr(rates, "SLOW_SECONDS", 0.0)
    at = callers(app)
    answers = [
        at(f"10.0.{number}.1").get("/api/health", headers={"Authorization": f"Bearer w{number}"}).status_code
        for number in range(70)
    ]
    assert answers.count(401) == 60 and answers[60:] == [429] * 10
    assert at("10.0.0.1").get("/api/health", headers={"Authorization": "Bearer right"}).status_code == 200


def test_a_network_of_ipv6_is_one_caller() -> None:
    assert rates.caller_at("2001:db8:1:2:3::4") == rates.caller_at("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert rates.caller_at("2001:db8:1:3::4") != rates.caller_at("2001:db8:1:2::4")
    assert rates.caller_at("::ffff:10.0.0.5") == rates.caller_at("10.0.0.5") == "10.0.0.5"
    assert rates.caller_at("x" * 5_000) == "x" * 60
    assert "right" not in rates.caller_with("right")


def test_the_limit_is_set_in_one_place(app: App) -> None:
    def rate(text: str) -> str:
        return Settings.from_env({"OPSTORE_API_RATE": text}).api_rate

    assert (rate(""), rate("10/second"), rate(" 3 / Hour "), rate("off")) == ("6000/minute", "10/second", "3/hour", "")
    for wrong in ("many", "0/minute", "-1/minute", "10", "10/week", "9" * 99 + "/minute", "10/minute; 5/second"):
        with pytest.raises(InvalidSetting, match="OPSTORE_API_RATE"):
            rate(wrong)
    app.settings = replace(app.settings, api_rate="")
    client = client_of(app)
    for _ in range(20):
        assert client.get("/api/health").status_code == 200
