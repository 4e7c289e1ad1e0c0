"""Replicate in time: polls that fail once, requests that hang, answers that ask for a day, and the pace of all of them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from opstore.errors import (
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from opstore.providers.replicate import Replicate
from opstore.providers.replicate.rate_limits import MAX_WAIT, Lane, Polled, RateLimiter, poll_delay
from opstore.providers.replicate.refusals import Answered, refusal
from tests.replicate_standin import StandIn
from tests.standin.client import CANARY, QUICK, request, silent, soon
from tests.standin.samples import sample

pytest_plugins = ("tests.standin.fixtures",)

#: Seconds that a loaded machine may take for what takes a moment; what must not be waited for takes 60 and more.
LONG = 20

# -- polls ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "html", "status": 500},
        {"kind": "html", "status": 502},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 504},
        {"kind": "rate", "retry_after": 1},
        {"kind": "empty"},
        {"kind": "list"},
        {"kind": "hang", "seconds": 60},
        {"kind": "redirect"},
    ],
    ids=lambda fault: f"{fault['kind']}{fault.get('status', '')}",
)
def test_a_poll_that_fails_is_one_error_at_once_and_the_next_one_works(standin: StandIn, fault: dict[str, Any]) -> None:
    provider = Replicate(standin.token, standin.url, timeouts=QUICK, limiter=RateLimiter(sleep=lambda _seconds: None))
    found = provider.create(request(), silent)
    standin.fault(on="status", **fault)
    began = time.monotonic()
    with pytest.raises((ProviderUnavailable, RateLimited)) as caught:
        provider.status(found.id or "")
    assert time.monotonic() - began < LONG
    assert standin.report()["requests"]["status"] == 1  # nothing repeats it behind our back
    assert str(caught.value)[0].isupper() and str(caught.value).endswith(".")
    assert provider.status(found.id or "").id == found.id
    provider.close()


def test_an_answer_about_another_prediction_is_not_believed(replicate: Replicate) -> None:
    with pytest.raises(ProviderUnavailable, match="not the prediction asked for"):
        replicate._one("abc", {"id": "def", "status": "succeeded"})


def test_what_replicate_no_longer_knows_is_refused(replicate: Replicate) -> None:
    with pytest.raises(ProviderRefused) as caught:
        replicate.status("nothing0nothing0nothing0")
    assert caught.value.failure == "not found"


# -- time -----------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("verb", ["create", "status", "cancel", "list", "upload"])
def test_no_request_waits_longer_than_its_timeout(standin: StandIn, replicate: Replicate, verb: str) -> None:
    found = replicate.create(request(), silent)
    large = request("image_edit_single", "qwen/qwen-image-edit-plus", (sample("png") + b"\0" * 300_000,))
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: replicate.create(request(), silent),
        "status": lambda: replicate.status(found.id or ""),
        "cancel": lambda: replicate.cancel(found.id or ""),
        "list": lambda: list(replicate.recent(soon())),
        "upload": lambda: replicate.create(large, silent),
    }
    standin.fault(on=verb, kind="hang", seconds=60)
    began = time.monotonic()
    with pytest.raises(ProviderError, match="no answer came in time"):
        calls[verb]()
    assert 0.35 < time.monotonic() - began < LONG


@pytest.mark.long
def test_an_answer_that_drips_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop, began = threading.Event(), time.monotonic()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
                with contextlib.suppress(OSError):
                    while not stop.wait(0.05) and time.monotonic() < began + 60:
                        connection.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        provider = Replicate(CANARY, f"http://127.0.0.1:{server.getsockname()[1]}", timeouts=QUICK)
        with pytest.raises(ProviderUnavailable, match="in time"):
            provider.status("abc")
        assert 0.9 < time.monotonic() - began < LONG  # each read is in time; the whole is not
        stop.set()
        thread.join()
        provider.close()


NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        (b'{"retry_after": 5}', "", 5),
        (b'{"retry_after": 5}', "7", 5),
        (b'{"retry_after": 0.2}', "", 1),
        (b"{}", "7", 7),
        (b"<html>", "86400", 300),
        (b"{}", "9" * 400, 300),
        (b"{}", format_datetime(NOW + timedelta(seconds=42)), 42),
        (b"{}", format_datetime(NOW + timedelta(days=1)), 300),
        (b"{}", format_datetime(NOW - timedelta(days=1)), 1),
        (b'{"retry_after": 1e999}', "", 300),
        (b'{"retry_after": NaN}', "", 300),
        (b'{"retry_after": -3}', "", 1),
        (b'{"retry_after": true}', "soon", 10),
        (b'{"retry_after": "x"}', "", 10),
        (b"[]", "", 10),
    ],
)
def test_a_throttled_answer_says_how_long_at_most_five_minutes(body: bytes, header: str, seconds: int) -> None:
    error = refusal(Answered(429, {"retry-after": header}, body), creating=True, now=NOW)
    assert isinstance(error, RateLimited)
    assert error.details["seconds"] == seconds


def test_a_day_of_retry_after_is_not_slept(standin: StandIn, replicate: Replicate) -> None:
    found = replicate.create(request(), silent)
    standin.fault(on="status", kind="rate", header="86400")
    began = time.monotonic()
    with pytest.raises(RateLimited, match="300 s "):
        replicate.status(found.id or "")
    with pytest.raises(RateLimited):  # and nobody else of this process asks meanwhile
        replicate.status(found.id or "")
    assert time.monotonic() - began < LONG
    assert standin.report()["requests"]["status"] == 1


# -- the pace -------------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that only sleep moves, and the times at which requests were let through."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("lane", "limit"), [("create", 600), ("other", 3000)])
def test_no_minute_has_more_requests_than_its_limit(lane: Lane, limit: int) -> None:
    clock = Clock()
    limiter = RateLimiter(clock=clock, sleep=clock.sleep)
    moments = []
    for number in range(4 * limit):
        limiter.acquire(lane)
        moments.append(clock.now)
        if number == limit:
            clock.now += 37  # a lull fills the bucket, and no more than the bucket
    busiest = max(sum(1 for other in moments if moment <= other < moment + 60) for moment in moments[::37])
    assert limit * 0.9 <= busiest <= limit
    assert moments[-1] - moments[0] < 37 + 4 * 60 * 1.15  # and the limit is used


def test_lanes_do_not_wait_for_each_other() -> None:
    clock = Clock()
    limiter = RateLimiter(1, 3000, clock=clock, sleep=clock.sleep)
    limiter.acquire("create")
    limiter.acquire("other")
    assert clock.now == 1000.0
    with pytest.raises(RateLimited) as caught:
        limiter.acquire("create")
    assert MAX_WAIT < caught.value.details["seconds"] <= 120


def test_a_pause_holds_its_lane_and_ends() -> None:
    clock = Clock()
    limiter = RateLimiter(clock=clock, sleep=clock.sleep)
    limiter.pause("other", 86_400)
    limiter.acquire("create")
    with pytest.raises(RateLimited, match="300 s "):
        limiter.acquire("other")
    clock.now += 301
    limiter.acquire("other")


def test_threads_share_one_pace() -> None:
    clock = Clock()
    slept: list[float] = []
    limiter = RateLimiter(clock=clock, sleep=slept.append)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: limiter.acquire("create"), range(120)))
    assert len(slept) == 60  # the burst of 60 went at once; each of the others waits its own turn
    assert max(slept) == pytest.approx(60 / 9, rel=0.01)


def test_polls_slow_down_with_age_and_stay_below_the_limit_together() -> None:
    ages = [poll_delay(age, 1, lambda: 0.0) for age in (0, 5, 10, 45, 1000)]
    assert ages == [0.5, 1.0, 1.5, 5.0, 5.0]
    assert poll_delay(0, 1, lambda: 1.0) == pytest.approx(0.6)
    for jobs in (1, 20, 200, 1000):
        assert jobs * 60 / poll_delay(0, jobs, lambda: 0.0) <= 3000


def test_the_provider_knows_how_many_it_polls(standin: StandIn) -> None:
    clock = Clock()
    polled = Polled()
    for number in range(300):
        polled.note(str(number), clock())
    assert polled.count(clock()) == 300
    assert polled.count(clock() + 16) == 0
    provider = Replicate(standin.token, standin.url)
    assert 0.5 <= provider.poll_delay(0.0) <= 0.6
    provider.close()


def test_importing_it_loads_neither_the_client_nor_httpx() -> None:
    code = "import sys, opstore.providers.replicate; print([n for n in ('replicate', 'httpx', 'pydantic') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
