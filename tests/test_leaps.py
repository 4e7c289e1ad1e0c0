"""A wall clock that leaps, forward or back: nothing is destroyed for its age, no budget begins anew, nothing that ended opens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opstore import Store, clocks
from opstore.access.signouts import SignOuts
from opstore.app import App, Settings
from opstore.clocks import Mark
from opstore.clocks.leaps import AWAY, HELD, LEAP, NAME, Leaps
from opstore.errors import ClockLeapt, ShareExpired
from opstore.jobs import JobFolder
from opstore.jobs.idempotency import Once, Request
from opstore.shares import Scope, Shown
from opstore.spending.budget import Budget
from opstore.storage.files import Folder
from opstore.storage.operation import timestamp
from opstore.storage.preferences import Preferences
from opstore.storage.trash import KEPT, Trash
from tests.care_samples import care_of
from tests.samples import EDIT, ID, SHORT
from tests.test_api import client_of
from tests.test_cli import run

DAY = 86_400.0
BEGAN = Mark(1_800_000_000.0, "this boot", 1_000.0)
Set = Callable[[float], None]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "data")
    store.initialize_storage()
    store.save_complete_operation(EDIT)
    store.save_complete_operation({**EDIT, "operationId": SHORT})
    return store


@pytest.fixture
def leap(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Set the wall clock of this process so many seconds ahead."""
    return lambda seconds: monkeypatch.setattr(clocks, "wall", lambda: time.time() + seconds)


def leaps_of(store: Store) -> Leaps:
    return Leaps(Folder(store.root))


def leapt(root: Path, days: float = 40) -> None:
    """Leave the mark of a moment since which the wall clock was set so many days forward."""
    seen = replace(clocks.mark(), wall=time.time() - days * DAY)
    (root / NAME).write_text(json.dumps({"seen": vars_of(seen), "leap": None, "latest": seen.wall}))


def vars_of(mark: Mark) -> dict[str, Any]:
    return {"wall": mark.wall, "boot": mark.boot, "steady": mark.steady}


# -- what is a leap ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall", "boot", "steady", "is_leap"),
    [
        (5_000.0, "this boot", 5_000.0, False),
        (5_000.0 + LEAP - 1, "this boot", 5_000.0, False),
        (5_000.0 + LEAP + 1, "this boot", 5_000.0, True),
        (5_000.0 - LEAP - 1, "this boot", 5_000.0, True),
        (40 * DAY, "this boot", 40 * DAY, False),  # nobody looked for weeks, and the machine ran
        (40 * DAY, "this boot", 60.0, True),
        (DAY, "another boot", 20.0, False),  # it was off
        (AWAY + 1, "another boot", 20.0, True),  # or was it?
        (-LEAP - 1, "another boot", 20.0, True),
        (-LEAP + 1, "another boot", 20.0, False),
    ],
)
def test_what_the_two_clocks_cannot_both_be_right_about_is_a_leap(
    tmp_path: Path, wall: float, boot: str, steady: float, is_leap: bool
) -> None:
    assert Leaps(Folder(tmp_path), lambda: BEGAN).look() is None
    then = Mark(BEGAN.wall + wall, boot, BEGAN.steady + steady if boot == BEGAN.boot else steady)
    leaps = Leaps(Folder(tmp_path), lambda: then)
    assert bool(leaps.standing()) is bool(leaps.look()) is bool(leaps.standing()) is is_leap


def test_a_leap_counts_for_a_day_of_running_or_until_a_person_says_that_the_clock_is_right(tmp_path: Path) -> None:
    now = [BEGAN]
    leaps = Leaps(Folder(tmp_path), lambda: now[0])

    def pass_by(seconds: float, set_by: float = 0.0, boot: str = "this boot") -> bool:
        now[0] = Mark(now[0].wall + seconds + set_by, boot, now[0].steady + seconds if boot == now[0].boot else 10.0)
        return leaps.look() is not None

    assert not leaps.look() and pass_by(60, 40 * DAY) and pass_by(HELD / 2)
    assert pass_by(0.9 * AWAY, boot="the next"), "while it was off nothing was seen to be right"
    assert pass_by(HELD / 2 - 120, boot="the next") and not pass_by(121, boot="the next")
    assert pass_by(60, -40 * DAY, boot="the next")
    with pytest.raises(ClockLeapt, match="leapt from 2027-02-"):
        leaps.check()
    leaps.trust()
    leaps.check()
    assert not pass_by(60, boot="the next")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"seen": null}', b'{"seen": {"wall": 1e300, "boot": "", "steady": 0}}'])
def test_without_its_file_the_folder_tells_when_it_was_last_changed(store: Store, leap: Set, content: bytes) -> None:
    for days, found in ((0, False), (1, False), (40, True), (-40, True)):
        (store.root / NAME).write_bytes(content) if content else (store.root / NAME).unlink(missing_ok=True)
        leap(days * DAY)
        assert bool(leaps_of(store).look()) is found, days


# -- what is not destroyed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_a_server_that_starts_on_a_clock_that_leapt_purges_and_retains_nothing(
    store: Store, leap: Set, known: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opstore.app.STILL", 0.0)  # as if nobody were on the way
    Trash(store).put(ID)
    if known:
        leaps_of(store).look()
    leap(KEPT.total_seconds() + 10 * DAY)
    app = App(Settings(data=store.root))
    app.service.change_preferences(retention_days=30)
    app.start()
    try:
        deadline = time.monotonic() + 30
        while caplog.text.count("housekeeping could not be done") < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        app.stop()
    assert Trash(store).count() == 1 and store.operations.has(f"{SHORT}.json"), "destroyed on the word of a clock that leapt"
    assert caplog.text.count("clock leapt") == 2
    leaps_of(store).trust()
    assert Trash(store).purge() == [ID]


def test_what_a_person_asks_for_is_refused_too_and_emptying_the_trash_is_not(store: Store, leap: Set, tmp_path: Path) -> None:
    Trash(store).put(ID)
    leaps_of(store).look()
    leap(90 * DAY)
    care = care_of(store, Preferences(retention_days=1, backup_keep=(1, 0, 0)))
    for act in (Trash(store).purge, care.retain, lambda: care.prune_by_rule(str(tmp_path / "backups"))):
        with pytest.raises(ClockLeapt):
            act()
    assert Trash(store).purge(timedelta(0)) == [ID], "everything goes, whatever its age"


def test_a_request_that_is_sent_again_after_a_leap_is_still_known(store: Store, leap: Set) -> None:
    made = [Once(store).make(Request("k", "f"), lambda chosen: None)[0]]
    leaps_of(store).look()
    leap(8 * DAY)
    made.append(Once(store).make(Request("k", "f"), lambda chosen: None)[0])
    assert made[0] == made[1], "it would have been paid for twice"


def test_a_sign_in_that_ended_stays_ended_over_a_leap(store: Store, leap: Set) -> None:
    folder = Folder(store.root)
    SignOuts(folder).note({"sub": "a", "iat": 1})
    leaps_of(store).look()
    leap(40 * DAY)
    SignOuts(folder).note({"sub": "b", "iat": 2})
    leap(0)
    assert SignOuts(folder).has({"sub": "a", "iat": 1})


# -- what does not begin anew --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [1, 40, -1, -40])
def test_a_leap_begins_no_new_day_of_the_budget(store: Store, leap: Set, days: float) -> None:
    now = datetime.now(UTC)
    about = {"operationType": "text_to_image", "prompt": "x", "timestamp": timestamp(now), "completedAt": timestamp(now)}
    store.save(f"{now:%Y%m%d%H%M%S}_00000001", {**about, "cost": {"amount": 7.0, "currency": "USD"}})
    jobs = JobFolder(store.pending, store.cache / "progress")
    leaps_of(store).look()
    assert Budget(store, jobs, Preferences).spending().today == 7.0
    leap(days * DAY)
    spent = Budget(store, jobs, Preferences).spending()
    assert (spent.today, spent.month) == (7.0, 7.0)
    leaps_of(store).trust()
    assert Budget(store, jobs, Preferences).spending().today == 0.0


def test_a_link_that_has_ended_does_not_open_again_where_the_clock_is_set_back(store: Store, leap: Set) -> None:
    app = App(Settings(data=store.root))
    share = app.service.shares.create(Scope("operation", (ID,), Shown()), lasts=timedelta(hours=1))
    for hours, lasting in ((0, 0), (2, 2)):
        leap(hours * 3600)
        leaps = Leaps(
            Folder(store.root),
            lambda lasting=lasting: replace(  # type: ignore[misc] # mypy infers no default
                clocks.mark(), steady=clocks.steady() + 3600 * lasting
            ),
        )
        assert leaps.look() is None
    leap(-50 * DAY)
    with pytest.raises(ShareExpired):
        app.service.shares.open(app.service.shares.token(share))


# -- how it is said ------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_commands_and_programs_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSTORE_DATA", str(store.root))
    Trash(store).put(ID)
    leapt(store.root)
    for command in (["trash", "purge", "--yes"], ["cleanup", "--older-than", "20", "--yes"], ["backup", "b", "--prune", "--yes"]):
        done = run(*command)
        assert done.returncode == 1 and "clock leapt from" in done.stderr and "--trust-clock" in done.stderr, command
    dry = run("trash", "purge", "--dry-run")
    assert dry.returncode == 0 and "clock leapt" in dry.stderr
    app = App(Settings(data=store.root))
    client = client_of(app)
    clock = client.get("/api/problems").json()["clock"]
    assert clock["before"] < clock["after"]
    assert run("trash", "purge", "--yes", "--trust-clock").returncode == 0
    assert client.get("/api/problems").json()["clock"] is None
