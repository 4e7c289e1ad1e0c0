"""Kill -9 of the server at every step of a paid job, for every type: one accepted create a step, and the result stored whole."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from opstore import media
from opstore.app import App
from opstore.jobs.whole_results import is_whole
from opstore.storage.operation import OPERATION_TYPES, Operation
from tests.conftest import Sampled
from tests.job_programs import (
    CANARY,
    CHAIN,
    TYPES,
    Place,
    ask,
    ended,
    finish,
    secrets_in,
    serve,
    start,
    steps_of,
    until,
    work_alone,
)
from tests.ports import free_port
from tests.replicate_standin import StandIn

ROOT = Path(__file__).resolve().parents[1]
Program = Callable[[str], str]
#: Side by side: a case waits for the clock of its stand-in as long as it computes; more would starve what runs beside this file.
CASES_AT_ONCE = 5
#: While the request, or a result, is on the wire: what the stand-in does meanwhile, and what it has seen when the kill comes.
WIRES: dict[str, tuple[dict[str, Any], str]] = {
    "on the wire, never accepted": ({"on": "create", "kind": "hang"}, "create"),
    "on the wire, accepted after the kill": ({"on": "create", "kind": "slow", "seconds": 0.7}, "create"),
    "on the wire, accepted, unanswered": ({"on": "create", "kind": "hang", "after": True}, "create"),
    "on the wire of a poll": ({"on": "status", "kind": "hang"}, "status"),
    "amid the download": ({"on": "delivery", "kind": "drip", "seconds": 0.3}, "delivery"),
}


def quick_standin() -> StandIn:
    return StandIn(token=CANARY, start=0.05, run=0.1)


def check_end(app: App, operation_id: str, standin: StandIn, kind: str) -> str:
    """Return how an operation ended; fail unless each step was paid once, and what is stored is whole."""
    operation = app.service.operation(operation_id)
    report = standin.report()
    accepted = Counter(prediction["model"] for prediction in report["predictions"])
    models = TYPES[kind][1]
    assert all(count == 1 for count in accepted.values()), f"paid twice: {accepted}"
    assert [problem for problem in app.store.verify(deep=True) if problem.kind != "leftover"] == []
    assert not any(CANARY in str(delivery) for delivery in report["deliveries"]), "the token at the delivery host"
    assert not secrets_in(app.store.root.parent, CANARY)
    if operation.status == "unknown":
        assert operation.error and "may have been billed" in operation.error
        return f"unknown {accepted.total()}"
    assert operation.status == "stored", (operation.status, operation.error)
    assert sorted(accepted) == sorted(models), accepted
    check_media(app, operation, kind)
    return f"stored {accepted.total()}"


def check_media(app: App, operation: Operation, kind: str) -> None:
    assert len(operation.inputs) == TYPES[kind][0] and len(operation.outputs) == 1
    assert is_whole(app.store.read_file(operation.outputs[0]), OPERATION_TYPES[kind].result)
    for name in operation.intermediates:
        media.check_image(app.store.read_file(name), 1)
    steps = operation.sidecar["steps"]
    assert [step["status"] for step in steps] == ["succeeded"] * len(TYPES[kind][1])
    assert all(step["predictionId"] and step["outputFile"] for step in steps)
    if kind == "edit_then_video":
        assert tuple(step["prompt"] for step in steps) == CHAIN and len(operation.intermediates) == 1
        assert operation.sidecar["workflowAnalysis"]["workflow"]["id"] == kind


def killed_at(step: str, kind: str, data: Path) -> str:
    """Kill the server at one step, start it again, and return how the operation ended."""
    with quick_standin() as standin:
        place = Place.at(data, standin)
        app = place.app()
        operation_id = ask(app, kind)
        if "poll 2" in step:
            standin.set(run=1.5)  # it must not have ended at the first poll, however busy the machine
        if step in WIRES:
            fault, verb = WIRES[step]
            standin.fault(**fault)
            server = start(serve, place)
            until(lambda: standin.world.requests[verb])
            os.kill(server.pid or 0, signal.SIGKILL)
        else:
            server = start(serve, place, step)
        assert finish(server) == -signal.SIGKILL, f"the kill at {step!r} did not fire"
        killed = time.monotonic()
        assert finish(start(serve, place)) == 0
        assert not app.store.pending.has(f"{operation_id}.json")
        if "after the kill" in step:  # a second one would be accepted by then
            time.sleep(max(0.0, killed + 1.2 - time.monotonic()))
        return check_end(app, operation_id, standin, kind)


def table(cells: dict[tuple[str, str], str]) -> str:
    """Lay out steps × types."""
    kinds = list(TYPES)
    rows = list(dict.fromkeys(step for step, _ in cells))
    lines = [f"{'killed …':38}" + "".join(f"{kind[:25]:>27}" for kind in kinds)]
    return "\n".join([*lines, *(f"{row:38}" + "".join(f"{cells.get((row, kind), '·'):>27}" for kind in kinds) for row in rows)])


@pytest.mark.long
def test_a_server_killed_at_any_step_of_any_type_pays_once_and_loses_nothing(tmp_path: Path, sampled: Sampled) -> None:
    cases = [(step, kind) for kind in ("edit_then_video", *TYPES) for step in (*steps_of(kind), *WIRES)]
    cases = sampled(list(dict.fromkeys(cases)), 48)
    failures: list[str] = []
    cells: dict[tuple[str, str], str] = {}

    def run(number: int) -> None:
        step, kind = cases[number]
        try:
            cells[step, kind] = killed_at(step, kind, tmp_path / f"case{number}" / "data")
        except AssertionError as error:
            cells[step, kind] = "FAILED"
            failures.append(f"{kind}, {step}: {str(error)[:400]}")

    with ThreadPoolExecutor(CASES_AT_ONCE) as pool:
        list(pool.map(run, range(len(cases))))
    ordered = {case: cells[case] for case in cases}
    text = table(ordered)
    print(f"\n{text}\n{len(cases)} kills: {Counter(cells.values())}")
    (tmp_path / "sweep.txt").write_text(text)
    assert not failures, "\n".join(failures)
    assert set(cells.values()) == {"stored 1", "stored 2"}, "where the provider answers, nothing need be left unknown"


# -- every durable write -------------------------------------------------------------------------------------------------

WRITES = ("fsync", "fdatasync", "link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat")


def traced(strace: str, place: Place, operation_id: str, *options: str) -> int | None:
    """Do a job under strace and return the exit code; the process waits for strace, not the other way round."""
    worker = start(work_alone, place, operation_id)
    command = [strace, "-qq", "-y", "-p", str(worker.pid), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        code = finish(worker)
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracer.wait(5)
        tracer.kill()
    return code


@pytest.mark.long
def test_a_kill_in_place_of_any_durable_write_of_a_job_loses_nothing(tmp_path: Path, program: Program, sampled: Sampled) -> None:
    strace = program("strace")
    calls = ",".join(f"?{call}" for call in WRITES)

    def case(name: str, *options: str) -> tuple[int | None, str]:
        data = tmp_path / name / "data"
        data.parent.mkdir()
        with quick_standin() as standin:
            place = Place.at(data, standin)
            app = place.app()
            operation_id = ask(app, "image_edit_single")
            code = traced(strace, place, operation_id, "-e", f"trace={calls}", *options)
            if code == -signal.SIGKILL:
                assert finish(start(serve, place)) == 0
            return code, check_end(app, operation_id, standin, "image_edit_single")

    log = tmp_path / "trace.txt"
    code, end = case("whole", "-o", str(log))
    assert (code, end) == (0, "stored 1")
    seen: Counter[str] = Counter()
    kills = []
    for line in log.read_text().splitlines():
        if call := re.match(r"(?:\d+ +)?(\w+)\(", line):
            seen[call[1]] += 1
            if "/pending" in line or "/operations" in line:
                kills.append((call[1], seen[call[1]]))
    assert len(kills) >= 20 and {"fsync", "rename", "link"} <= {re.sub("at2?$", "", call) for call, _ in kills}, kills

    def kill(which: tuple[str, int]) -> str:
        call, number = which
        code, end = case(f"{call}{number}", "-o", os.devnull, "-e", f"inject={call}:signal=KILL:when={number}")
        assert code == -signal.SIGKILL, f"the kill at {call} {number} did not fire: {code}"
        return end

    with ThreadPoolExecutor(CASES_AT_ONCE) as pool:
        ends = list(pool.map(kill, sampled(kills, 16)))
    print(f"\n{len(kills)} kills in place of {dict(Counter(call for call, _ in kills))}: {dict(Counter(ends))}")
    assert set(ends) == {"stored 1"}


# -- the real server -----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_real_server_goes_on_after_kill_9_before_any_browser_comes(tmp_path: Path) -> None:
    with StandIn(token=CANARY, start=0.2, run=4.0) as standin:
        place = Place.at(tmp_path / "data", standin)
        app = place.app()
        operation_id = ask(app, "edit_then_video")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPSTORE_", "REPLICATE_"))}
        environment |= {
            "REPLICATE_API_TOKEN": CANARY,
            "REPLICATE_BASE_URL": standin.url,
            "OPSTORE_DELIVERY_HOSTS": standin.delivery_url,
            "PORT": str(free_port()),
        }
        log = (tmp_path / "serve.txt").open("ab")

        def server() -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "opstore", "serve", "--data", str(place.data)]
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

        def state() -> tuple[str, int]:
            job = next((job for job in app.runner._around.folder.all()), None)
            return (job.state, job.current) if job else ("", 0)

        for awaited in (("running", 0), ("running", 1)):
            running = server()
            until(lambda awaited=awaited: state() == awaited, 60)  # type: ignore[misc] # mypy infers no default
            running.kill()
            assert running.wait() == -signal.SIGKILL
        standin.set(run=0.1)
        running = server()
        try:
            ended(app, operation_id)
        finally:
            running.kill()
            running.wait()
            log.close()
        assert check_end(app, operation_id, standin, "edit_then_video") == "stored 2"
