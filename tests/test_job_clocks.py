"""Clocks that are wrong or leap, lists that lag or come in no order: a request is paid once, and no result is given up for it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opstore import clocks
from opstore.errors import RateLimited
from opstore.jobs import machine
from opstore.jobs.machine import Machine
from opstore.providers.replicate.refusals import Answered, refusal
from opstore.providers.replicate.server_clock import FarClock, date_of
from opstore.storage.job import Lease
from opstore.storage.operation import timestamp
from tests.conftest import Sampled
from tests.job_programs import CANARY, TYPES, Place, ask, end_all, ended, finish, folder, serve, start, until
from tests.replicate_standin import StandIn
from tests.test_job_sweep import check_media

LOST = {"on": "create", "kind": "reset", "after": True}
NEVER_ACCEPTED = {"on": "create", "kind": "reset"}


def quick(**settings: Any) -> StandIn:
    return StandIn(token=CANARY, start=0.05, run=0.1, **settings)


def end_of(data: Path, standin: StandIn, script: Callable[[StandIn], object], **around: Any) -> tuple[str, int]:
    """Return how an operation ends that meets what `script` lets go wrong, and how often it was accepted."""
    with Place.at(data, standin).working(**around) as app:
        script(standin)
        app.runner.start()
        return ended(app, ask(app)).status, standin.accepted


# -- the provider's clock ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [16, 600, -16, -600])
def test_an_answer_lost_on_a_machine_whose_clock_is_wrong_is_paid_once(tmp_path: Path, minutes: int) -> None:
    with quick(skew=-60.0 * minutes) as standin:
        assert end_of(tmp_path / "data", standin, lambda standin: standin.fault(**LOST)) == ("stored", 1)


def test_a_provider_that_never_says_what_time_it_is_proves_no_absence(tmp_path: Path) -> None:
    with quick(skew=-3600.0, dated=False) as standin:
        assert end_of(tmp_path / "data", standin, lambda standin: standin.fault(**LOST)) == ("unknown", 1)


def test_the_other_clock_is_kept_by_the_steady_one_and_believes_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    far, told = FarClock(), "Sun, 29 Nov 2026 12:00:00 GMT"
    assert far.now() is None and date_of({"date": "soon"}) is None
    far.note({"date": told, "age": "70"})
    assert far.now() is None
    far.note({"date": told})
    monkeypatch.setattr(clocks, "wall", lambda: time.time() + 10 * 86_400)
    now = far.now()
    assert now and 0 <= (now - datetime(2026, 11, 29, 12, tzinfo=UTC)).total_seconds() < 60


def test_a_date_to_come_again_at_is_measured_from_the_answer_s_own() -> None:
    headers = {"date": "Sun, 29 Nov 2026 12:00:00 GMT", "retry-after": "Sun, 29 Nov 2026 12:00:42 GMT"}
    error = refusal(Answered(429, headers, b"{}"), creating=False, now=datetime(2026, 11, 29, 13, tzinfo=UTC))
    assert isinstance(error, RateLimited) and error.details["seconds"] == 42


# -- lists ---------------------------------------------------------------------------------------------------------------


def test_a_list_that_lags_behind_the_settling_time_creates_nothing_twice(tmp_path: Path) -> None:
    with quick(list_lag=0.75) as standin:  # three times the settling time of `Place`
        assert end_of(tmp_path / "data", standin, lambda standin: standin.fault(**LOST)) == ("stored", 1)


def test_what_nobody_can_look_for_is_given_up_after_an_hour_and_never_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "SOUGHT", timedelta(seconds=0.5))
    with quick() as standin:

        def script(standin: StandIn) -> None:
            standin.fault(**LOST)
            standin.fault(on="list", kind="json", status=500, count=999)

        assert end_of(tmp_path / "data", standin, script) == ("unknown", 1)


def test_a_lost_request_that_is_found_is_followed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, pause = [], Machine._pause

    def noted(self: Machine, seconds: float) -> None:
        pauses.append(seconds)
        pause(self, seconds)

    monkeypatch.setattr(Machine, "_pause", noted)
    with quick() as standin:
        assert end_of(tmp_path / "data", standin, lambda standin: standin.fault(**LOST)) == ("stored", 1)
    assert max(pauses, default=0.0) <= machine.HEED_SECONDS


def test_right_before_a_second_request_the_list_is_looked_at_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    giving_up = Machine._not_found
    with quick(list_lag=3600.0) as standin:

        def give_up(machine: Machine, search: Any) -> None:
            giving_up(machine, search)
            standin.set(list_lag=0.0)

        monkeypatch.setattr(Machine, "_not_found", give_up)
        assert end_of(tmp_path / "data", standin, lambda standin: standin.fault(**LOST)) == ("stored", 1)


@pytest.mark.parametrize(("fault", "end"), [(LOST, ("stored", 1)), (NEVER_ACCEPTED, ("unknown", 0))])
def test_a_list_in_no_order_finds_what_it_shows_and_proves_nothing_absent(
    tmp_path: Path, fault: dict[str, Any], end: tuple[str, int]
) -> None:
    with quick(shuffled=True, page_size=1) as standin, Place.at(tmp_path / "others", standin).working() as app:
        app.runner.start()
        for _ in range(2):
            ended(app, ask(app))
        status, accepted = end_of(tmp_path / "data", standin, lambda standin: standin.fault(**fault))
        assert (status, accepted - 2) == end


# -- leaps of this machine's clock ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"on": "status", "kind": "reset"}, {"on": "delivery", "kind": "html", "status": 503}])
def test_a_clock_that_leaps_ends_no_paid_job(tmp_path: Path, fault: dict[str, Any]) -> None:
    with quick() as standin:

        def leapt() -> datetime:
            hours = 40 * 24 if standin.world.requests["status"] > 1 else 0
            return datetime.now(UTC) + timedelta(hours=hours)

        assert end_of(tmp_path / "data", standin, lambda standin: standin.fault(**fault, count=4), clock=leapt) == ("stored", 1)


def test_a_machine_that_wakes_after_hours_asks_before_it_gives_up(tmp_path: Path) -> None:
    with quick() as standin, Place.at(tmp_path / "data", standin).working() as app:
        operation_id, long_ago = ask(app), clocks.mark()
        long_ago = dataclasses.replace(long_ago, wall=long_ago.wall - 9_000, steady=long_ago.steady - 9_000)
        made = app.runner._around.providers["replicate"].create(
            Machine(app.runner._around, folder(app).get(operation_id), "")._request(), lambda share, note: None
        )
        folder(app).update(
            operation_id,
            lambda job: dataclasses.replace(
                job.with_step(prediction_id=made.id, sent=long_ago, creating_at="2026-01-01T00:00:00.000Z"), state="running"
            ),
        )
        standin.fault(on="status", kind="reset", count=2)  # no network yet
        app.runner.start()
        assert ended(app, operation_id).status == "stored"


def test_how_long_an_operation_took_is_told_by_no_clock_that_somebody_set(tmp_path: Path) -> None:
    with (
        quick() as standin,
        Place.at(tmp_path / "data", standin).working(
            clock=lambda: datetime.now(UTC) - timedelta(days=1 if standin.accepted else 0)
        ) as app,
    ):
        app.runner.start()
        took = ended(app, ask(app)).elapsed_seconds
        assert took is not None and 0 < took < 60


def test_how_long_an_operation_took_that_began_before_a_restart_is_told_by_the_wall_clock(tmp_path: Path) -> None:
    with quick() as standin, Place.at(tmp_path / "data", standin).working() as app:
        operation_id, asked = ask(app), timestamp(datetime.now(UTC) - timedelta(hours=1))
        folder(app).update(operation_id, lambda job: dataclasses.replace(job, born=None, created_at=asked))
        app.runner.start()
        took = ended(app, operation_id).elapsed_seconds
        assert took is not None and 3600 <= took < 3660


def test_a_pause_is_as_long_as_was_asked_for_unless_somebody_cancels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[float] = []

    class Passing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            passed.append(timeout or 0.0)
            return False

    with quick() as standin, Place.at(tmp_path / "data", standin).working() as app:
        operation_id = ask(app)
        job = folder(app).update(operation_id, lambda job: job.leased("ours", 60.0))
        working = Machine(dataclasses.replace(app.runner._around, stop=Passing()), job, "ours")
        monkeypatch.setattr(clocks, "steady", lambda: sum(passed))
        working._wait(1.25)
        assert passed == [0.5, 0.5, 0.25]
        app.service.cancel(operation_id)
        working._wait(1.25)
        assert passed[3:] == [0.5]
        working._wait(1.25, canceled=True)
        assert passed[4:] == [0.5, 0.5, 0.25]


def test_a_lease_is_renewed_while_its_holder_works_and_never_where_it_is_another_s(tmp_path: Path) -> None:
    with quick() as standin, Place.at(tmp_path / "data", standin, lease=0.6).working() as app:
        standin.set(run=30.0)
        app.runner.start()
        operation_id = ask(app)
        first = until(lambda: folder(app).get(operation_id).lease)
        until(lambda: (lease := folder(app).get(operation_id).lease) and lease.steady > first.steady)
        folder(app).update(operation_id, lambda job: job.leased("another", 60.0))
        app.runner._extend(operation_id)
        lease = folder(app).get(operation_id).lease
        assert lease and lease.owner == "another"


def test_a_lease_ends_by_the_steady_clock_or_where_nobody_renews_it_any_more(tmp_path: Path) -> None:
    with quick() as standin, Place.at(tmp_path / "data", standin, lease=0.2).working() as app:
        holds, far = app.runner._holds, "elsewhere-1-00000000"
        here = Lease(far, time.time() - 3600, clocks.boot(), clocks.steady() + 5)
        assert holds("a", here), "the wall clock leapt"
        assert not holds("a", dataclasses.replace(here, until=time.time() + 3600, steady=clocks.steady() - 1))
        there = Lease(far, time.time() - 3600, "another boot", 1.0)
        assert holds("b", there)
        until(lambda: not holds("b", there), 5)
        assert holds("b", dataclasses.replace(there, steady=2.0)), "renewed"


# -- all of it at random -------------------------------------------------------------------------------------------------

FAULTS: list[dict[str, Any]] = [
    *({"on": "create", "kind": "reset", "after": after} for after in (False, True)),
    *({"on": "create", "kind": "hang", "seconds": 3.0, "after": after} for after in (False, True)),
    *({"on": "create", "kind": "html", "status": 502, "after": after} for after in (False, True)),
    {"on": "create", "kind": "empty", "after": True},
    {"on": "create", "kind": "slow", "seconds": 0.4},
    {"on": "create", "kind": "rate", "retry_after": 1},
    {"on": "create", "kind": "json", "status": 503},
    *({"on": on, "kind": "reset"} for on in ("status", "list", "delivery")),
    *({"on": on, "kind": "html", "status": 503, "count": 2} for on in ("status", "list", "delivery")),
    {"on": "status", "kind": "json", "status": 404},
    {"on": "list", "kind": "list"},
    {"on": "delivery", "kind": "unmeasured"},
]
SKEWS = (0.0, 0.0, 20.0, 960.0, 7_200.0, 40 * 86_400.0)
KINDS = ("text_to_image", "image_edit_single", "edit_then_video")


def one_history(seed: int, data: Path) -> str:
    """Make one operation through kills, faults and clocks that are wrong; fail unless it was paid once at most and tells so."""
    chance = random.Random(seed)  # no secret: a history is repeated by its number
    kind = chance.choice(KINDS)
    data.parent.mkdir(parents=True)
    clock = data.parent / "clock"

    def set_clock() -> None:
        fresh = clock.with_suffix(".new")
        fresh.write_text(str(chance.choice((-1, 1)) * chance.choice(SKEWS)))
        os.replace(fresh, clock)

    set_clock()
    with quick(
        skew=chance.choice((-1, 1)) * chance.choice(SKEWS[:4]),
        list_lag=chance.choice((0.0, 0.0, 0.3, 0.8)),
        shuffled=chance.random() < 0.15,
        page_size=chance.choice((1, 2, 100)),
    ) as standin:
        place = Place.at(data, standin, each=1.0, clock=clock)
        app = place.app()
        operation_id = ask(app, kind)
        told = []
        for fault in chance.sample(FAULTS, chance.randint(1, 4)):
            standin.fault(**fault)
            told.append("{on} {kind}".format(**fault) + (" after" if fault.get("after") else ""))
        kills = 0
        for _ in range(chance.randint(1, 3)):
            server = start(serve, place)
            time.sleep(chance.choice((0.05, 0.15, 0.3, 0.6, 1.0, 2.0)) * chance.random())
            set_clock()
            time.sleep(chance.random() * 0.2)
            with contextlib.suppress(ProcessLookupError):  # it has come to its end just now
                server.kill()
            kills += finish(server) == -signal.SIGKILL
        assert finish(start(serve, place), 90) == 0, f"seed {seed}: it did not come to its end: {told}"
        accepted = Counter(prediction["model"] for prediction in standin.report()["predictions"])
        operation = app.service.operation(operation_id)
        about = f"seed {seed}: {kind} {operation.status}, accepted {dict(accepted)}, {told}, {standin.world.settings}"
        assert all(count == 1 for count in accepted.values()), f"paid twice, {about}"
        assert not [problem for problem in app.store.verify(deep=True) if problem.kind != "leftover"], about
        amount = (operation.cost or {}).get("amount")
        if operation.status == "stored":
            assert sorted(accepted) == sorted(TYPES[kind][1]), about
            check_media(app, operation, kind)
        elif operation.status == "failed":
            assert not accepted and amount == 0 and "none of many attempts" in (operation.error or ""), about
        else:
            assert operation.status == "unknown" and amount is None, f"{operation.error}, {about}"
            assert "may have been billed" in (operation.error or ""), about
        return f"{operation.status} of {accepted.total()} after {kills} kills"


@pytest.mark.long
def test_whatever_is_killed_lost_or_set_wrong_each_step_is_accepted_once_at_most(
    tmp_path: Path, sampled: Sampled, record_property: Callable[[str, object], None]
) -> None:
    seeds = sampled(range(400), 10)
    failures: list[str] = []

    def history(seed: int) -> str:
        try:
            return one_history(seed, tmp_path / str(seed) / "data")
        except AssertionError as error:
            failures.append(f"{seed}: {str(error)[:600]}")
            return "FAILED"

    try:
        with ThreadPoolExecutor(10) as pool:
            ends = Counter(pool.map(history, seeds))
    finally:
        end_all()
    record_property("ends", dict(ends))
    print(f"{len(seeds)} histories: {dict(ends)}")
    assert not failures, "\n".join(failures)
