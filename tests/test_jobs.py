"""Paid jobs between servers, cancels and twins: several processes on one folder, one stopped or dead, and one create each."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opstore.app import App
from opstore.errors import OperationNotFound, StorageError
from opstore.jobs import machine
from opstore.jobs.liveness import Signs
from opstore.jobs.lookup import Lookup
from opstore.jobs.pending_folder import JobFolder
from opstore.providers import Prediction, Report, StepRequest
from opstore.providers.replicate import Replicate
from opstore.storage.files import Folder
from opstore.storage.operation import timestamp
from tests.job_programs import CANARY, PATIENCE, Place, ask, end_all, ended, finish, folder, serve, start, until
from tests.replicate_standin import StandIn
from tests.standin.samples import sample


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with StandIn(token=CANARY, start=0.05, run=0.1) as running:
        yield running


@pytest.fixture
def place(standin: StandIn, tmp_path: Path) -> Place:
    return Place.at(tmp_path / "data", standin)


@pytest.fixture
def app(place: Place) -> Iterator[App]:
    with place.working() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    end_all()


# -- two servers ---------------------------------------------------------------------------------------------------------


def owners(app: App) -> set[str]:
    return {job.lease.owner for job in folder(app).all() if job.lease}


@pytest.mark.long
def test_two_servers_share_the_jobs_and_one_that_is_killed_leaves_its_own_to_the_other(
    standin: StandIn, place: Place, app: App
) -> None:
    standin.set(run=1.0)
    ids = [ask(app, prompt=f"cat {number}") for number in range(20)]
    servers = [start(serve, place, "", signal.SIGKILL, True) for _ in range(2)]
    until(lambda: len(owners(app)) == 2 and len(standin.world.records) >= 6)
    os.kill(servers[0].pid or 0, signal.SIGKILL)
    killed = time.monotonic()
    for operation_id in ids:
        assert ended(app, operation_id).status == "stored"
    assert time.monotonic() - killed < place.lease, "the kernel said that it was gone: nobody waits for its leases"
    os.kill(servers[1].pid or 0, signal.SIGKILL)
    assert [finish(server) for server in servers] == [-9, -9]
    assert standin.accepted == 20 and not [p for p in app.store.verify(deep=True) if p.kind != "leftover"]


def is_stopped(pid: int | None) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.long
@pytest.mark.parametrize(
    "step",
    ["after the request", "before running", "after running", "before fetching", "after the download", "before the sidecar"],
)
def test_a_server_stopped_beyond_its_lease_is_taken_over_and_writes_nothing_more(
    standin: StandIn, tmp_path: Path, step: str
) -> None:
    place = Place.at(tmp_path / "data", standin, lease=1.0)
    app = place.app()
    operation_id = ask(app)
    first = start(serve, place, step, signal.SIGSTOP)
    until(lambda: is_stopped(first.pid))
    assert finish(start(serve, place)) == 0, "the other one brings it to its end"
    operation = app.service.operation(operation_id)
    before = {path: path.read_bytes() for path in app.store.operations.path.iterdir() if path.suffix != ".tmp"}
    os.kill(first.pid or 0, signal.SIGCONT)
    assert finish(first) == 0
    after = {path: path.read_bytes() for path in app.store.operations.path.iterdir() if path.suffix != ".tmp"}
    assert before == after and operation.status == "stored" and standin.accepted == 1
    assert not app.store.pending.has(f"{operation_id}.json")


@pytest.mark.long
def test_a_record_that_a_stopped_process_keeps_locked_holds_up_no_other(standin: StandIn, app: App) -> None:
    held, free = ask(app), ask(app)
    with app.store.pending.locked(held):
        app.runner.start()
        assert ended(app, free).status == "stored" and folder(app).get(held).lease is None
    assert ended(app, held).status == "stored"


@pytest.mark.long
@pytest.mark.parametrize("then", [signal.SIGCONT, signal.SIGKILL])
def test_while_a_stopped_server_may_still_send_its_request_nobody_else_does(
    standin: StandIn, tmp_path: Path, then: signal.Signals
) -> None:
    place = Place.at(tmp_path / "data", standin, lease=0.5, settle=0.3)
    app = place.app()
    operation_id = ask(app)
    first = start(serve, place, "before the request", signal.SIGSTOP)
    until(lambda: is_stopped(first.pid))
    first_owner = folder(app).get(operation_id).step.sender
    second = start(serve, place)
    until(lambda: owners(app) != {first_owner})
    time.sleep(2.0)  # six times as long as a lost request needs to be listed
    assert standin.report()["requests"].get("create", 0) == 0 and folder(app).get(operation_id).state == "creating"
    os.kill(first.pid or 0, then)
    assert ended(app, operation_id).status == "stored"
    finish(first), finish(second)
    assert standin.accepted == 1


@pytest.mark.long
def test_a_sender_of_whom_no_sign_is_left_is_waited_for_and_then_the_person_decides(standin: StandIn, tmp_path: Path) -> None:
    place = Place.at(tmp_path / "data", standin, settle=0.3)
    with place.working() as app:
        ids = [ask(app, prompt=prompt) for prompt in ("never accepted", "accepted")]
        gone = "another-machine-1-00000000"
        now = timestamp(app.runner._around.clock())
        for operation_id in ids:
            lease = folder(app).get(operation_id).leased(gone, 1.0).lease
            folder(app).update(
                operation_id,
                lambda job, lease=lease: replace(  # type: ignore[misc] # mypy infers no default
                    job.with_step(creating_at=now, sender=gone), state="creating", lease=lease
                ),
            )
        job = folder(app).get(ids[1])
        provider = app.runner._around.providers["replicate"]
        provider.create(machine.Machine(app.runner._around, job, gone)._request(), lambda share, note: None)
        app.runner.start()
        time.sleep(0.5)
        assert owners(app) == {gone}, "its lease holds until its time is up"
        lost, found = (ended(app, operation_id) for operation_id in ids)
    assert (lost.status, found.status, standin.accepted) == ("unknown", "stored", 1)


def test_signs_of_life(tmp_path: Path) -> None:
    ours, theirs = Signs(tmp_path / "runners", "ours"), Signs(tmp_path / "runners", "theirs")
    assert ours.lives("theirs") is None and ours.dead() == []
    theirs.show()
    assert ours.lives("theirs") is True and theirs.lives("theirs") is True and ours.dead() == []
    held = theirs._held
    assert held is not None
    shutil.rmtree(tmp_path / "runners")  # somebody empties the cache
    assert ours.lives("theirs") is None
    theirs.show()
    assert ours.lives("theirs") is True
    os.close(theirs._held or 0)  # what the kernel does for a process that dies
    theirs._held = None
    assert ours.lives("theirs") is False and ours.dead() == ["theirs"] and theirs.dead() == []
    ours.forget("theirs")
    assert ours.lives("theirs") is None


@pytest.mark.long
def test_a_server_that_stops_amid_a_request_keeps_its_sign_until_it_is_gone(standin: StandIn, place: Place) -> None:
    standin.fault(on="create", kind="slow", seconds=1.5)
    with place.working() as app:
        operation_id = ask(app)
        app.runner.start()
        until(lambda: standin.world.requests["create"])
        app.runner.stop(0.1)
        assert (app.store.cache / "runners" / f"{app.runner.owner}.lock").exists()
        with place.working() as second:
            second.runner.start()
            assert ended(second, operation_id).status == "stored"
    assert standin.accepted == 1


# -- many ----------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_forty_jobs_twenty_at_a_time_are_stored_and_paid_once_each(standin: StandIn, app: App) -> None:
    standin.set(enforce_rates=True)
    app.service.change_preferences(parallel=20)
    ids = [ask(app, prompt=f"cat {number}") for number in range(40)]
    app.runner.start()
    assert {ended(app, operation_id).status for operation_id in ids} == {"stored"}
    report = standin.report()
    assert report["creates_accepted"] == report["requests"]["create"] == 40
    assert report["busiest_minute"]["create"] <= 600 and report["busiest_minute"]["other"] <= 3000
    assert len({prediction["input"]["seed"] for prediction in report["predictions"]}) == 40
    assert not app.store.verify(deep=True)


@pytest.mark.long
def test_being_asked_to_wait_is_no_failure_however_often(standin: StandIn, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CREATE_ATTEMPTS", 1)
    standin.fault(on="create", kind="rate", retry_after=1, count=3)
    app.runner.start()
    assert ended(app, ask(app)).status == "stored" and standin.accepted == 1


# -- cancel and again ----------------------------------------------------------------------------------------------------


def canceled(app: App, operation_id: str, seconds: float = PATIENCE) -> Any:
    operation = ended(app, operation_id, seconds)
    assert (operation.status, operation.sidecar["success"], operation.outputs) == ("canceled", False, ())
    return operation


def test_a_queued_job_that_is_canceled_is_never_sent(standin: StandIn, app: App) -> None:
    operation_id = ask(app)
    app.service.cancel(operation_id)
    app.runner.start()
    assert canceled(app, operation_id).sidecar["cost"]["amount"] == 0
    assert standin.report()["requests"].get("create", 0) == 0


@pytest.mark.parametrize("by", ["a person", "the server"])
def test_what_is_stopped_right_before_its_request_leaves_was_never_sent_and_is_not_looked_for(
    standin: StandIn, app: App, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    operation_id, sending = ask(app), machine.Machine._sending

    def stopped(self: machine.Machine, share: float, note: str = "") -> None:
        app.service.cancel(operation_id) if by == "a person" else app.runner._around.stop.set()
        sending(self, share, note)

    monkeypatch.setattr(machine.Machine, "_sending", stopped)
    app.runner.start()
    if by == "a person":
        canceled(app, operation_id)
    else:
        until(app.runner._around.stop.is_set)
        until(lambda: (job := folder(app).get(operation_id)).state == "queued" and job.lease is None)
    assert not standin.report()["requests"]


def test_a_job_that_waits_for_the_rate_limit_is_canceled_at_once(standin: StandIn, app: App) -> None:
    standin.fault(on="create", kind="rate", retry_after=200)
    app.runner.start()
    operation_id = ask(app)
    until(lambda: folder(app).progress(operation_id).note)
    app.service.cancel(operation_id)
    canceled(app, operation_id, 10)
    assert standin.accepted == 0


def test_a_job_canceled_while_its_request_is_on_the_wire_is_canceled_at_the_provider(standin: StandIn, app: App) -> None:
    standin.set(run=30.0)
    standin.fault(on="create", kind="slow", seconds=0.7)
    app.runner.start()
    operation_id = ask(app)
    until(lambda: standin.world.requests["create"])
    app.service.cancel(operation_id)
    canceled(app, operation_id)
    report = standin.report()
    assert report["predictions"][0]["status"] == "canceled" and report["requests"]["cancel"] == 1


def test_a_running_job_is_canceled_once_and_may_have_been_billed(standin: StandIn, app: App) -> None:
    standin.set(start=0.0, run=30.0)
    app.runner.start()
    operation_id = ask(app)
    until(lambda: folder(app).progress(operation_id).logs)
    app.service.cancel(operation_id)
    operation = canceled(app, operation_id)
    assert "may have been billed" in (operation.error or "")
    step = operation.sidecar["steps"][0]
    assert step["cost"] is None or "may have billed" in step["cost"]["basis"]
    assert standin.report()["requests"]["cancel"] == 1 and standin.accepted == 1


@pytest.mark.parametrize("fault", [{"kind": "json", "status": 422}, {"kind": "json", "status": 500}, {"kind": "reset"}])
def test_a_cancel_that_the_provider_refuses_loses_no_result(standin: StandIn, app: App, fault: dict[str, Any]) -> None:
    standin.set(start=0.0, run=1.5)
    standin.fault(on="cancel", count=1, **fault)
    app.runner.start()
    operation_id = ask(app)
    until(lambda: folder(app).get(operation_id).state == "running")
    app.service.cancel(operation_id)
    assert ended(app, operation_id).status == ("stored" if fault.get("status") == 422 else "canceled")


def test_what_has_ended_cannot_be_canceled(app: App) -> None:
    app.runner.start()
    operation_id = ask(app)
    ended(app, operation_id)
    with pytest.raises(OperationNotFound):
        app.service.cancel(operation_id)


def test_a_failed_one_run_again_names_the_old_and_asks_for_the_same_with_a_seed_of_its_own(standin: StandIn, app: App) -> None:
    standin.plan(status="failed")
    app.runner.start()
    old = ended(app, ask(app, "image_edit_single", parameters={"aspectRatio": "16:9"}))
    new = ended(app, app.service.again(old.id))
    assert (old.status, new.status, new.sidecar["retryOf"]) == ("failed", "stored", old.id)
    assert [app.store.read_file(name) for name in new.inputs] == [app.store.read_file(name) for name in old.inputs]
    first, second = (prediction["input"] for prediction in standin.report()["predictions"])
    assert first | {"seed": None} == second | {"seed": None} and first["seed"] != second["seed"]
    assert [each.sidecar["parameters"]["seed"] for each in (old, new)] == [first["seed"], second["seed"]]


def test_a_page_is_told_what_a_job_waits_for(standin: StandIn, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(JobFolder, "report", lambda self, operation_id, progress: notes.append(progress.note))
    standin.fault(on="status", kind="json", status=500)
    standin.fault(on="delivery", kind="html", status=503)
    app.runner.start()
    assert ended(app, ask(app)).status == "stored"
    for told in ("waiting for the provider: ", "fetching result 1 of 1", " Trying again."):
        assert any(told in note for note in notes), told


def test_every_request_asks_the_provider_to_give_up_after_half_an_hour(standin: StandIn, app: App) -> None:
    app.runner.start()
    ended(app, ask(app))
    created = [headers for headers in standin.report()["headers"] if headers["verb"] == "create"]
    assert [headers["cancel-after"] for headers in created] == ["1800s"]
    assert not any("cancel-after" in headers for headers in standin.report()["headers"] if headers["verb"] != "create")


# -- twins ---------------------------------------------------------------------------------------------------------------

SAME: dict[str, Any] = {"prompt": "the same", "parameters": {"seed": 7}}


@pytest.mark.long
def test_a_lost_request_never_takes_the_prediction_of_a_twin(standin: StandIn, app: App) -> None:
    app.runner.start()
    first = ended(app, ask(app, **SAME))
    standin.fault(on="create", kind="reset")  # the second one's never arrives
    second = ended(app, ask(app, **SAME))
    ids = [operation.sidecar["steps"][0]["predictionId"] for operation in (first, second)]
    assert ids[0] != ids[1] and standin.accepted == 2 and second.status == "stored"


@pytest.mark.long
def test_a_lost_request_waits_for_a_twin_that_is_still_being_sent(standin: StandIn, tmp_path: Path) -> None:
    with Place.at(tmp_path / "data", standin, settle=0.7, each=8.0).working() as app:
        standin.set(run=2.0)
        accept = standin.world.create
        held: list[str] = []

        def slow(*given: Any) -> dict[str, Any]:
            shown = accept(*given)
            if not held:  # accepted and listed, and its answer still on the way when the other looks at the list
                held.append(shown["id"])
                time.sleep(1.5)
            return shown

        setattr(standin.world, "create", slow)  # noqa: B010 # an assignment mypy refuses
        app.runner.start()
        first = ask(app, **SAME)
        until(lambda: held)
        standin.fault(on="create", kind="reset")
        second = ask(app, **SAME)
        ends = [ended(app, operation_id) for operation_id in (first, second)]
    ids = [operation.sidecar["steps"][0]["predictionId"] for operation in ends]
    assert [operation.status for operation in ends] == ["stored", "stored"]
    assert ids[0] == held[0] and ids[1] != held[0] and standin.accepted == 2


@pytest.mark.long
def test_two_lost_twins_of_which_one_was_accepted_are_both_unknown(
    standin: StandIn, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.fault(on="create", kind="reset", after=True)
    standin.fault(on="create", kind="reset")
    both, create = threading.Barrier(2), Replicate.create
    sent: set[str] = set()

    def together(self: Replicate, request: StepRequest, report: Report) -> Prediction:
        if request.operation_id not in sent:  # neither looks for its own before the other one is lost, too
            sent.add(request.operation_id)
            both.wait(PATIENCE)
        return create(self, request, report)

    monkeypatch.setattr(Replicate, "create", together)
    ids = [ask(app, **SAME) for _ in range(2)]
    app.runner.start()
    ends = [ended(app, operation_id) for operation_id in ids]
    assert [operation.status for operation in ends] == ["unknown", "unknown"] and standin.accepted == 1
    assert all("may have been billed" in (operation.error or "") for operation in ends)


# -- the disk, and what an attempt left ----------------------------------------------------------------------------------


def test_an_id_that_the_disk_does_not_take_is_kept_until_it_does(
    standin: StandIn, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[bytes] = []
    replacing = Folder.replace

    def full(self: Folder, key: str, name: str, data: bytes, expected: str | None) -> str:
        if b'"state": "running"' in data and len(refused) < 3:
            refused.append(data)
            raise StorageError(reason="the disk is full; free some space and try again")
        return replacing(self, key, name, data, expected)

    monkeypatch.setattr(Folder, "replace", full)
    app.runner.start()
    assert ended(app, ask(app)).status == "stored" and len(refused) == 3
    assert standin.accepted == 1 and standin.report()["requests"].get("list", 0) == 0, "nothing had to be looked for"


@pytest.mark.parametrize("kind", ["text_to_image", "edit_then_video"])
def test_other_bytes_that_a_killed_attempt_left_stop_nothing(standin: StandIn, app: App, kind: str) -> None:
    operation_id = ask(app, kind)
    app.store.operations.create(operation_id, [{f"{operation_id}_out.png": sample("png")}])
    app.store.operations.create(operation_id, [{f"{operation_id}_out_2.png": sample("png")}])
    app.runner.start()
    operation = ended(app, operation_id)
    assert operation.status == "stored" and not app.store.verify(deep=True)
    assert len(operation.outputs) == 1 and standin.accepted == (1 if kind == "text_to_image" else 2)


@pytest.mark.long
def test_a_model_that_left_the_table_meanwhile_costs_its_price_but_not_the_result(standin: StandIn, app: App) -> None:
    standin.set(run=1.0)
    app.runner.start()
    operation_id = ask(app)
    until(lambda: folder(app).get(operation_id).state == "running")
    table = app.runner._around.table
    object.__setattr__(table, "by_name", {})
    operation = ended(app, operation_id)
    assert operation.status == "stored" and operation.sidecar["cost"] is None


def test_a_twin_that_notes_its_id_while_the_list_is_read_keeps_it(standin: StandIn, app: App) -> None:
    ours, twin = ask(app, **SAME), ask(app, **SAME)
    replicate, seen = app.runner._around.providers["replicate"], []
    around, moment = app.runner._around, app.runner._around.clock()
    request = machine.Machine(around, folder(app).get(ours), "nobody")._request()
    theirs = replicate.create(request, lambda share, note: None)

    class Slow:
        def find(self, *given: Any) -> Any:
            found = replicate.find(*given)
            seen.append(found.found)
            folder(app).update(twin, lambda job: replace(job.with_step(prediction_id=theirs.id), state="running"))
            return found

    provider: Any = Slow()
    search = Lookup(app.store, folder(app), ours).find(provider, request, folder(app).get(ours).step, moment)
    assert (search.found, search.complete) == (None, True) and len(seen) == 2 and seen[0] is not None
