"""What the tests of paid jobs run: an app with short pauses over a stand-in, here or in a process that is killed at a named step.

A step is named after what the server does there, `after creating` or `before the sidecar`, with ` 2` for the second call of a
chain. The hooks are laid around the program from outside; nothing in it knows them. Processes are forked from one that has all
imports done (20 ms instead of 2 s each); `kill -9` leaves nothing to tidy, so a fork shows the same as a fresh start.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import httpcore
import httpx
import PIL.Image
import replicate.client

from opstore import clocks
from opstore.app import App, Settings
from opstore.errors import BudgetReached
from opstore.fetch import FetchPolicy, fetch
from opstore.generation import SmartRequest
from opstore.jobs import JobFolder, Runner, machine
from opstore.jobs.dependencies import Pauses
from opstore.jobs.liveness import Signs
from opstore.jobs.machine import Dependencies, Machine
from opstore.providers import local
from opstore.providers.models import ModelTable
from opstore.providers.replicate import Replicate
from opstore.providers.replicate.transport import Guard, Timeouts, certificates, lane_of
from opstore.service import NewOperation
from opstore.smart.analysis import StepPrompts
from opstore.storage.files import Folder
from opstore.storage.operation import Operation
from tests.replicate_standin import Controls
from tests.standin.client import set_up
from tests.standin.samples import sample

LOADED = (
    av,
    httpcore,
    httpx,
    PIL.Image,
    local,
    replicate.client,
    certificates(),
    ModelTable.load(),
)  # forked children find them there
PATIENCE = 60.0
CANARY = "r8_CanaryOfTheJobs0123456789abcdefghij"
#: Each type with its number of inputs and the models of its steps, one stand-in prediction each.
TYPES = {
    "text_to_image": (0, ["qwen/qwen-image"]),
    "image_edit_single": (1, ["qwen/qwen-image-edit-plus"]),
    "image_edit_multiple": (2, ["qwen/qwen-image-edit-plus"]),
    "text_to_video": (0, ["wan-video/wan-2.2-t2v-fast"]),
    "image_to_video_single": (1, ["wan-video/wan-2.2-i2v-fast"]),
    "image_to_video_transition": (2, ["wan-video/wan-2.2-i2v-fast"]),
    "edit_then_video": (1, ["qwen/qwen-image-edit-plus", "wan-video/wan-2.2-i2v-fast"]),
}
#: What the steps of a chain are told.
CHAIN = ("make the roof red", "let the cat run")
WARM = multiprocessing.get_context("forkserver")
#: `start` looks after all processes, and the exit code of each can be read once: two threads must not do it at a time.
ONE_AT_A_TIME = threading.Lock()
WARM.set_forkserver_preload(["tests.job_programs"])


class Quick(Replicate):
    """Replicate, looked at ten times as often."""

    def poll_delay(self, seconds: float) -> float:
        return super().poll_delay(seconds) / 10


@dataclass(frozen=True)
class Place:
    """Where a server works, and how patient it is; it can be sent to another process."""

    data: Path
    url: str
    delivery: str
    token: str = CANARY
    settle: float = 0.25  # after a request that may have left whole six times as long (`jobs.patience.LAG`)
    lease: float = 30.0
    each: float = 2.0
    fetch_seconds: float = 3.0
    max_bytes: int = 5_000_000
    pauses: Pauses = field(default_factory=lambda: Pauses(0.05, 0.3))
    poll: type[Replicate] = Quick
    clock: Path | None = None  # a file that says how many seconds the wall clock of a server there is ahead

    @classmethod
    def at(cls, data: Path, standin: Controls, **changes: Any) -> Place:
        return cls(data, standin.url, standin.delivery_url, standin.token, **changes)

    def app(self, **around: Any) -> App:
        """Return an app over the folder, not started."""
        policy = FetchPolicy(hosts=(), origins=(self.delivery,), max_bytes=self.max_bytes, deadline_seconds=self.fetch_seconds)
        app = App(Settings(data=self.data, environment=set_up(self.token, self.url), policy=policy))
        known = app.runner._around
        provider = self.poll(
            self.token,
            self.url,
            table=known.table,
            timeouts=Timeouts(5, self.each, 3 * self.each, self.each),
            settle_seconds=self.settle,
        )
        changed = replace(known, providers={**known.providers, "replicate": provider}, pauses=self.pauses, **around)
        app.runner = Runner(changed, app.store.cache / "runners", parallel=app.runner._parallel, lease_seconds=self.lease)
        app.service._wake = app.runner.wake
        return app

    @contextmanager
    def working(self, **around: Any) -> Iterator[App]:
        """Let an app work, and close it; none of its jobs may have met a fault that nobody foresaw, also where it got over it."""
        app = self.app(**around)
        try:
            yield app
            assert not app.runner._resting
        finally:
            app.runner.stop()
            for provider in app.runner._around.providers.values():
                if isinstance(provider, Replicate):
                    provider.close()


def ask(app: App, kind: str = "text_to_image", **changes: Any) -> str:
    """Ask for an operation of a type as a person would, and return its id."""
    images = tuple(sample(("png", "jpg")[number % 2]) for number in range(TYPES[kind][0]))
    if kind == "edit_then_video" and not changes:  # as the page asks for it: analysed, and with a prompt a step
        request = SmartRequest(f"{CHAIN[0]}, then {CHAIN[1]}", images, steps=StepPrompts(*CHAIN))
        outcome = app.generation.execute(request)
        assert outcome.error is None and outcome.analysis and outcome.analysis.workflow == kind
        return outcome.ids[0]
    return app.service.create(NewOperation(kind, **{"prompt": "a cat on a red roof", "images": images, **changes}))


def folder(app: App) -> JobFolder:
    return JobFolder(app.store.pending, app.store.cache / "progress")


def until(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


def ended(app: App, operation_id: str, seconds: float = PATIENCE) -> Operation:
    """Wait until an operation has ended, and return it."""
    until(lambda: not app.store.pending.has(f"{operation_id}.json"), seconds)
    return app.service.operation(operation_id)


# -- named steps ---------------------------------------------------------------------------------------------------------


class Hooks:
    """Calls `strike` the first time that a named step is reached, and notes every step."""

    def __init__(self, step: str, strike: Callable[[], None]) -> None:
        self.step, self.strike = step, strike
        self.met: Counter[str] = Counter()
        self.number = 1

    def at(self, name: str) -> None:
        self.met[name] += 1
        if f"{name}{f' {self.number}' if self.number > 1 else ''}" == self.step and self.met[name] >= 1:
            self.step = ""
            self.strike()

    def lay(self) -> None:
        """Lay the hooks around durable writes, requests and downloads."""
        self._around_writes()
        self._around_requests()

        def fetching(url: str, policy: Any) -> bytes:
            self.at("before the download")
            data = fetch(url, policy)
            self.at("after the download")
            return data

        setattr(machine, "fetch", fetching)  # noqa: B010 # an assignment mypy refuses

    def _around_writes(self) -> None:
        replacing, creating, removing = Folder.replace, Folder.create, Folder.remove

        def replace_(where: Folder, key: str, name: str, data: bytes, expected: str | None) -> str:
            what = self._change(where, name, data)
            self.at(f"before {what}")
            result = replacing(where, key, name, data, expected)
            if what == "queued":
                self.number = 2
            self.at(f"after {what}")
            return result

        def create(where: Folder, key: str, stages: Any, rivals: Any = (), **options: Any) -> None:
            what = "the sidecar" if len(stages) > 1 or any(n.endswith(".json") for n in stages[-1]) else "the picture between"
            self.at(f"before {what}")
            creating(where, key, stages, rivals, **options)
            self.at(f"after {what}")

        def remove(where: Folder, key: str, names: Any) -> None:
            self.at("before the record goes")
            removing(where, key, names)
            self.at("after the record went")

        for name, hook in (("replace", replace_), ("create", create), ("remove", remove)):
            setattr(Folder, name, hook)

    @staticmethod
    def _change(where: Folder, name: str, data: bytes) -> str:
        """Return what a change of a record is about: its new state, or `the lease`."""
        before, after = json.loads((where.path / name).read_bytes()), json.loads(data)
        moved = (before["state"], before["current"]) != (after["state"], after["current"])
        return str(after["state"]) if moved else "the lease" if before["lease"] != after["lease"] else "a note"

    def _around_requests(self) -> None:
        handle, polls = Guard.handle_request, Counter[int]()

        def handling(guard: Guard, request: httpx.Request) -> httpx.Response:
            what = "the request" if lane_of(request) == "create" else "a poll"
            if what == "a poll":
                polls[self.number] += 1
                what = f"poll {polls[self.number]}"
            self.at(f"before {what}")
            answer = handle(guard, request)
            self.at(f"after {what}")
            return answer

        setattr(Guard, "handle_request", handling)  # noqa: B010 # an assignment mypy refuses


ONCE = [
    *("before creating", "after creating", "before the request", "after the request", "before running", "after running"),
    *("before poll 1", "after poll 1", "before poll 2", "before fetching", "after fetching"),
    *("before the download", "after the download"),
]
LAST = ["before the sidecar", "after the sidecar", "before the record goes", "after the record went"]
BETWEEN = ["before the picture between", "after the picture between", "before queued"]
LEASE = ["before the lease", "after the lease"]


def steps_of(kind: str) -> list[str]:
    """Return every named step of a type, in order."""
    if len(TYPES[kind][1]) == 1:
        return [*LEASE, *ONCE, *LAST]
    return [*LEASE, *ONCE, *BETWEEN, "after queued 2", *(f"{step} 2" for step in (*ONCE, *LAST))]


# -- processes -----------------------------------------------------------------------------------------------------------


def serve(place: Place, step: str = "", signal_number: int = signal.SIGKILL, stay: bool = False) -> None:
    """Work until nothing is under way (`stay`: for ever); at `step` send this process a signal."""
    logging.basicConfig(filename=place.data.with_suffix(".log"), level=logging.DEBUG, force=True)
    if step:
        Hooks(step, lambda: strike(signal_number)).lay()
    app = place.app(**({"clock": set_clock(place.clock)} if place.clock else {}))
    app.runner.start()
    while stay or app.service.count_jobs():
        time.sleep(0.02)
    app.runner.stop(2.0)


def set_clock(file: Path) -> Callable[[], datetime]:
    """Let the wall clock of this process be ahead as a file says, from reading to reading; return it."""

    def wall() -> float:
        return time.time() + float(file.read_text())

    setattr(clocks, "wall", wall)  # noqa: B010 # an assignment mypy refuses
    return clocks.now


def strike(signal_number: int) -> None:
    """Send this process a signal, but not while another of its threads writes a record: a stopped process keeps its locks."""
    renewing = Runner._extend
    writing = threading.Lock()

    def extend(runner: Runner, operation_id: str) -> None:
        with writing:
            renewing(runner, operation_id)

    if signal_number == signal.SIGSTOP:
        setattr(Runner, "_extend", extend)  # noqa: B010 # an assignment mypy refuses
        time.sleep(0.05)
    with writing:
        os.kill(os.getpid(), signal_number)
        time.sleep(0.2)  # the signal may reach another thread first, and this one would get beyond the step meanwhile


def work_alone(place: Place, operation_id: str) -> None:
    """Do one job in the main thread, once a tracer is attached: strace counts the calls of each thread by itself."""
    app = place.app()
    owner = f"{socket.gethostname()}-{os.getpid()}-00000000"
    Signs(app.store.cache / "runners", owner).show()
    around: Dependencies = app.runner._around
    until(lambda: "TracerPid:\t0\n" not in Path("/proc/self/status").read_text())
    job = around.folder.update(operation_id, lambda job: job.leased(owner, 30))
    Machine(around, job, owner).run()


def admit_when_told(place: Place, number: int, gate: Any, said: Any) -> None:
    """Let the folder's job of that number pass the budget as soon as all others are ready too, and say how that ended."""
    around = place.app().runner._around
    job = around.folder.all()[number]
    gate.wait()
    try:
        with around.admit(job):
            around.folder.update(job.operation_id, lambda job: replace(job, state="creating"))
        said.put("passed")
    except BudgetReached as error:
        said.put(str(error))


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a program in a process of its own."""
    with ONE_AT_A_TIME:
        process = WARM.Process(target=target, args=arguments, daemon=True)
        main = sys.modules["__main__"]
        # A child runs the main module anew: Streamlit's AppTest leaves a page there, which costs 0.4 s of computing each time.
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main
        return process


def finish(process: BaseProcess, seconds: float = PATIENCE) -> int | None:
    """Wait for a process and return its exit code, None for one that had to be killed here."""
    deadline = time.monotonic() + seconds
    while (code := exit_code(process)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if code is None:
        process.kill()
    return code


def exit_code(process: BaseProcess) -> int | None:
    with ONE_AT_A_TIME:
        return process.exitcode


def end_all() -> None:
    """Kill what a test that failed has left: a stopped process would keep the test run from ending."""
    for process in multiprocessing.active_children():
        process.kill()


def secrets_in(root: Path, secret: str) -> list[Path]:
    """Return the files below a folder that hold a secret."""
    return [path for path in root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
