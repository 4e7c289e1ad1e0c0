"""Operations from request to sidecar with the local engine: every type on real photographs, and every way to be interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opstore import Store, media
from opstore.app import App, Settings
from opstore.errors import StorageError
from opstore.jobs import Job, JobFolder, machine, runner
from opstore.providers import Prediction, Report, StepRequest
from opstore.providers.local import LocalEngine
from opstore.service import NewOperation
from opstore.storage.job import Lease
from opstore.storage.operation import OPERATION_TYPES, Operation, parse_time
from tests.job_programs import ended, folder, until
from tests.samples import PNG

ROOT = Path(__file__).resolve().parents[1]
SHORT = {"duration": 1, "framesPerSecond": 8}
#: About 1.5 s of work: long enough to be met while it runs, short enough to be done twice.
LONG = {"duration": 3, "framesPerSecond": 24}
#: Half a minute of work at least: nothing in a test waits for it.
ENDLESS = {"duration": 10, "framesPerSecond": 60, "resolution": "720p"}
Photo = Callable[..., bytes]
Open = Callable[[], App]


@pytest.fixture
def new_app(tmp_path: Path) -> Iterator[Open]:
    """Return a way to open the test's data folder, as often as there are processes to play; all are stopped at the end."""
    apps: list[App] = []

    def make() -> App:
        apps.append(App(Settings(data=tmp_path / "data")))
        return apps[-1]

    yield make
    for app in apps:
        app.stop()


def computing(app: App, operation_id: str) -> bool:
    """Say whether the first frame is done."""
    return bool(folder(app).progress(operation_id).share)


# -- every type ----------------------------------------------------------------------------------------------------------

TYPES = [
    ("text_to_image", 0, "a lighthouse by the sea at sunset"),
    ("image_edit_single", 1, "make it black and white"),
    ("image_edit_multiple", 3, "put them side by side"),
    ("text_to_video", 0, "stars over snowy mountains"),
    ("image_to_video_single", 1, "zoom in slowly"),
    ("image_to_video_transition", 2, "cross-fade"),
    ("edit_then_video", 1, "make it sepia, then zoom in"),
    ("edit_then_video", 2, "put them side by side, then zoom in"),
]


@pytest.mark.long
@pytest.mark.parametrize(("kind", "count", "prompt"), TYPES, ids=lambda value: str(value)[:20])
def test_every_type_ends_stored_with_the_files_that_it_promises(
    new_app: Open, photo: Photo, kind: str, count: int, prompt: str
) -> None:
    app = new_app()
    app.start()
    pictures = tuple(photo(name, size=(320, 240)) for name in ("astronaut", "chelsea", "coffee")[:count])
    row = OPERATION_TYPES[kind]
    operation = ended(
        app, app.service.create(NewOperation(kind, prompt, pictures, parameters=SHORT if row.result == "video" else {}))
    )
    assert (operation.status, operation.error, operation.type, operation.prompt) == ("stored", None, kind, prompt)
    assert [app.store.read_file(name) for name in operation.inputs] == list(pictures)
    assert len(operation.outputs) == 1
    found = media.sniff(app.store.read_file(operation.outputs[0]))
    assert found is not None and found.kind == row.result
    assert operation.outputs[0] == f"{operation.id}_out.{found.extension}"
    check_files(app.store, operation)
    check_steps(operation)
    assert not app.store.verify(deep=True)
    until(lambda: app.store.pending.names() == [])  # the lock of the removal goes last


def check_files(store: Store, operation: Operation) -> None:
    """The facts in the sidecar are those of the bytes."""
    entries = {entry["name"]: entry for entry in operation.sidecar["files"]}
    assert sorted(entries) == sorted((*operation.inputs, *operation.outputs, *operation.intermediates))
    for name, entry in entries.items():
        data = store.read_file(name)
        facts = media.facts(data)
        assert (entry["bytes"], entry["mediaType"]) == (len(data), facts.media_type)
        assert (entry["width"], entry["height"]) == (facts.width, facts.height) and entry["width"]
        assert (entry["seconds"] is not None) == name.endswith(".mp4")


def check_steps(operation: Operation) -> None:
    """Each call is told, all of them free; the times are in order."""
    steps = operation.sidecar["steps"]
    assert len(steps) == (2 if operation.type == "edit_then_video" else 1)
    for step in steps:
        assert (step["provider"], step["model"], step["status"], step["error"]) == ("local", "opstore/local", "succeeded", None)
        assert step["cost"]["amount"] == 0 and step["predictSeconds"] > 0 and isinstance(step["parameters"]["seed"], int)
        assert step["outputFile"] in (*operation.outputs, *operation.intermediates)
    assert operation.cost is not None and (operation.cost["amount"], operation.cost["estimated"]) == (0, False)
    began, done = parse_time(operation.sidecar["timestamp"]), parse_time(operation.sidecar["completedAt"])
    assert began and done and operation.elapsed_seconds is not None
    assert operation.elapsed_seconds == pytest.approx((done - began).total_seconds(), abs=0.1)  # by another clock


def test_a_chain_keeps_the_picture_between_its_steps(new_app: Open, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[bytes, ...]] = []
    create = LocalEngine.create

    def creating(self: LocalEngine, request: StepRequest, report: Report) -> Prediction:
        given.append(request.inputs)
        return create(self, request, report)

    monkeypatch.setattr(LocalEngine, "create", creating)
    app = new_app()
    app.start()
    request = NewOperation(
        "edit_then_video",
        "make it sepia",
        (photo(size=(320, 240)),),
        {**SHORT, "videoPrompt": "zoom in", "outputFormat": "jpg", "seed": 7},
    )
    operation = ended(app, app.service.create(request))
    assert operation.intermediates == (f"{operation.id}_out.jpg",)
    assert given == [tuple(map(app.store.read_file, names)) for names in (operation.inputs, operation.intermediates)]
    assert operation.outputs == (f"{operation.id}_out.mp4",) and operation.sidecar["outputFile"] == operation.outputs[0]
    assert [step["prompt"] for step in operation.sidecar["steps"]] == ["make it sepia", "zoom in"]
    assert [step["parameters"]["seed"] for step in operation.sidecar["steps"]] == [7, 7]
    assert operation.sidecar["parameters"]["seed"] == 7 and operation.sidecar["duration"] == 1


def test_a_prompt_that_is_not_understood_ends_as_a_failed_operation_with_its_inputs(new_app: Open, photo: Photo) -> None:
    app = new_app()
    app.start()
    picture = photo("chelsea", size=(64, 48))
    operation = ended(app, app.service.create(NewOperation("image_edit_single", "frobnicate the qux", (picture,))))
    assert operation.status == "failed" and operation.sidecar["success"] is False
    assert operation.error and "did not find an edit" in operation.error
    assert [app.store.read_file(name) for name in operation.inputs] == [picture] and not operation.outputs
    assert operation.sidecar["steps"][0]["status"] == "failed"
    assert not app.store.verify(deep=True)


def test_a_chain_whose_second_step_fails_keeps_the_first_one_s_picture(new_app: Open, photo: Photo) -> None:
    app = new_app()

    class NoVideo(LocalEngine):
        def create(self, request: StepRequest, report: Report) -> Prediction:
            if request.operation_type == "image_to_video_single":
                return Prediction("failed", error="no video today")
            return super().create(request, report)

    put_provider(app, NoVideo())
    app.start()
    operation = ended(app, app.service.create(NewOperation("edit_then_video", "sepia", (photo(size=(64, 48)),), SHORT)))
    assert (operation.status, operation.error) == ("failed", "no video today")
    assert operation.intermediates == (f"{operation.id}_out.webp",) and not operation.outputs
    assert [step["status"] for step in operation.sidecar["steps"]] == ["succeeded", "failed"]
    assert not app.store.verify(deep=True)


def put_provider(app: App, provider: LocalEngine) -> None:
    providers = app.runner._around.providers
    assert isinstance(providers, dict)
    providers["local"] = provider


# -- cancel --------------------------------------------------------------------------------------------------------------


def test_cancel_while_queued_makes_nothing(new_app: Open, photo: Photo) -> None:
    app = new_app()
    operation_id = app.service.create(NewOperation("image_edit_single", "sepia", (photo(size=(64, 48)),)))
    app.service.cancel(operation_id)
    view = app.service.job(operation_id)
    assert view and view.cancel and view.state == "queued"
    app.start()
    operation = ended(app, operation_id)
    assert (operation.status, operation.sidecar["success"], operation.outputs) == ("canceled", False, ())
    assert len(operation.inputs) == 1 and operation.error
    assert not app.store.verify(deep=True)


@pytest.mark.long
def test_cancel_while_running_stops_between_two_frames(new_app: Open) -> None:
    app = new_app()
    app.start()
    operation_id = app.service.create(NewOperation("text_to_video", "stars", parameters=ENDLESS))
    until(lambda: computing(app, operation_id))
    asked = time.monotonic()
    app.service.cancel(operation_id)
    operation = ended(app, operation_id)
    assert operation.status == "canceled" and time.monotonic() - asked < 5
    assert not app.store.verify(deep=True)
    assert app.service.job(operation_id) is None


@pytest.mark.long
def test_only_as_many_run_at_a_time_as_the_settings_say(new_app: Open) -> None:
    app = new_app()
    app.service.change_preferences(parallel=1)
    app.start()
    first = app.service.create(NewOperation("text_to_video", "stars", parameters=ENDLESS))
    until(lambda: computing(app, first))
    second = app.service.create(NewOperation("text_to_image", "stars"))
    time.sleep(3 * runner.SCAN_SECONDS)
    waiting = app.service.job(second)
    assert waiting and waiting.state == "queued"
    app.service.cancel(first)
    assert ended(app, second).status == "stored"


# -- interrupted ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_what_a_stopped_runner_leaves_the_next_one_finishes(new_app: Open) -> None:
    first = new_app()
    first.start()
    operation_id = first.service.create(NewOperation("text_to_video", "stars", parameters=LONG))
    until(lambda: computing(first, operation_id))
    first.stop()
    assert folder(first).get(operation_id).lease is None, "given back, so that nobody has to wait"
    assert not first.store.operations.has(f"{operation_id}.json")
    second = new_app()
    second.start()
    assert ended(second, operation_id).status == "stored"
    assert not second.store.verify(deep=True)


_CHILD = """
import sys, time
from pathlib import Path
from opstore.app import App, Settings
app = App(Settings(data=Path(sys.argv[1])))
app.start()
print(app.runner.owner, flush=True)
time.sleep(60)
"""


@pytest.mark.long
def test_a_killed_process_s_job_is_taken_over_at_once(new_app: Open) -> None:
    app = new_app()
    operation_id = app.service.create(NewOperation("text_to_video", "stars", parameters=LONG))
    command = [sys.executable, "-c", _CHILD, str(app.store.root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        owner = child.stdout.readline().strip()
        until(lambda: computing(app, operation_id))
        os.kill(child.pid, signal.SIGKILL)
    left = folder(app).get(operation_id)
    assert left.lease and left.lease.owner == owner and left.lease.until > time.time() + 5
    began = time.monotonic()
    app.start()
    until(lambda: (lease := taken(app, operation_id)) and lease.owner == app.runner.owner)
    assert time.monotonic() - began < 5, "its lock said that it was gone: nobody waits for the lease"
    assert ended(app, operation_id).status == "stored"
    assert owner not in {path.stem for path in (app.store.cache / "runners").iterdir()}
    assert not app.store.verify(deep=True)


def taken(app: App, operation_id: str) -> Lease | None:
    return next((job.lease for job in folder(app).all() if job.operation_id == operation_id), None)


def lease(app: App, operation_id: str, owner: str, seconds: float) -> None:
    folder(app).update(operation_id, lambda job: job.leased(owner, seconds))


@pytest.mark.long
def test_a_lease_without_a_lock_to_ask_holds_until_its_time_is_up(new_app: Open) -> None:
    app = new_app()
    operation_id = app.service.create(NewOperation("text_to_image", "stars"))
    lease(app, operation_id, "another-machine-1-00000000", 3600.0)
    app.start()
    beside = app.service.create(NewOperation("text_to_image", "stars beside"))
    assert ended(app, beside).status == "stored", "the folder has been looked through"
    held = folder(app).get(operation_id).lease
    assert held and held.owner == "another-machine-1-00000000"
    lease(app, operation_id, "another-machine-1-00000000", 0.2)
    assert ended(app, operation_id).status == "stored"


@pytest.mark.long
def test_a_living_process_keeps_its_job(new_app: Open) -> None:
    first, second = new_app(), new_app()
    first.start()
    operation_id = first.service.create(NewOperation("text_to_video", "stars", parameters=ENDLESS))
    until(lambda: computing(first, operation_id))
    second.start()
    second.runner.wake()
    time.sleep(3 * runner.SCAN_SECONDS)
    held = taken(first, operation_id)
    assert held and held.owner == first.runner.owner
    second.service.cancel(operation_id)
    assert ended(second, operation_id).status == "canceled", "and hears what another process asks"


def test_two_runners_on_one_folder_do_each_job_once(new_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    saves: Counter[str] = Counter()
    made: Counter[str] = Counter()
    guard = threading.Lock()
    save, create = Store.save, LocalEngine.create

    def saving(self: Store, operation_id: str, *args: Any, **options: Any) -> dict[str, Any]:
        with guard:
            saves[operation_id] += 1
        return save(self, operation_id, *args, **options)

    def creating(self: LocalEngine, request: StepRequest, report: Report) -> Prediction:
        with guard:
            made[request.operation_id] += 1
        return create(self, request, report)

    monkeypatch.setattr(Store, "save", saving)
    monkeypatch.setattr(LocalEngine, "create", creating)
    apps = [new_app(), new_app()]
    for app in apps:
        app.start()
    ids = [
        apps[number % 2].service.create(NewOperation("image_edit_single", f"make it black and white {number}", images=(PNG,)))
        for number in range(12)
    ]
    for operation_id in ids:
        assert ended(apps[0], operation_id).status == "stored"
    assert saves == made == Counter(ids)


# -- odd records ---------------------------------------------------------------------------------------------------------

DAMAGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a list": lambda record: [record],
    "no steps": lambda record: record | {"steps": []},
    "a step too far": lambda record: record | {"current": 7},
    "an unknown state": lambda record: record | {"state": "dreaming"},
    "another schema": lambda record: record | {"schema": "opstore-job/99"},
    "an unknown key": lambda record: record | {"surprise": 1},
    "half a lease": lambda record: record | {"lease": {"owner": "x"}},
    "a lease of other types": lambda record: record | {"lease": {"owner": 5, "until": "soon"}},
    "an operation that is a list": lambda record: record | {"operation": []},
    "steps of text": lambda record: record | {"steps": ["text"]},
    "a step's fields of other types": lambda record: record | {"steps": [record["steps"][0] | {"model": 5, "parameters": []}]},
    "inputs of another kind": lambda record: record | {"operation": record["operation"] | {"inputFiles": 5}},
    "a time that is a number": lambda record: record | {"createdAt": 5},
}


@pytest.mark.long
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_record_breaks_neither_the_runner_nor_a_look_at_the_jobs(new_app: Open, damage: str) -> None:
    app = new_app()
    broken = app.service.create(NewOperation("text_to_image", "broken"))
    path = app.store.pending.path / f"{broken}.json"
    path.write_text(json.dumps(DAMAGED[damage](json.loads(path.read_text()))))
    app.service.jobs()
    app.service.job(broken)
    app.service.count_jobs()
    app.start()
    for number in range(2):  # the second proves that the runner is still there
        assert ended(app, app.service.create(NewOperation("text_to_image", f"whole {number}"))).status == "stored"


@pytest.mark.long
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"operationId": "other"}', b"[" * 100_000])
def test_a_record_that_cannot_be_read_stays_and_is_listed(new_app: Open, content: bytes) -> None:
    app = new_app()
    broken = "20251103143022_abc123de"
    app.store.initialize_storage()
    (app.store.pending.path / f"{broken}.json").write_bytes(content)
    app.start()
    assert ended(app, app.service.create(NewOperation("text_to_image", "whole"))).status == "stored"
    assert (app.store.pending.path / f"{broken}.json").read_bytes() == content
    assert [(item.kind, item.operation_id) for item in app.store.verify()] == [("unparsable", broken)]
    assert app.service.jobs() == [] and app.service.job(broken) is None


@pytest.mark.long
def test_a_folder_that_cannot_be_read_for_a_moment_stops_no_runner(new_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[Exception] = [OSError("gone"), StorageError(reason="gone"), RuntimeError("nobody foresaw this")]
    ids = JobFolder.ids

    def failing(self: JobFolder) -> list[str]:
        if faults and threading.current_thread().name == "opstore-scan":
            raise faults.pop()
        return ids(self)

    monkeypatch.setattr(JobFolder, "ids", failing)
    app = new_app()
    app.start()
    until(lambda: not faults)
    assert ended(app, app.service.create(NewOperation("text_to_image", "stars"))).status == "stored"


def test_where_a_sidecar_stands_the_record_just_goes(new_app: Open) -> None:
    app = new_app()
    operation_id = app.service.create(NewOperation("text_to_image", "stars"))
    app.store.save(operation_id, {"operationType": "text_to_image", "prompt": "stars", "error": "ended before"})
    path = app.store.operations.path / f"{operation_id}.json"
    before = path.read_bytes()
    app.start()
    until(lambda: not app.store.pending.has(f"{operation_id}.json"))
    assert path.read_bytes() == before and app.store.operations.names() == [path.name]


@pytest.mark.long
def test_a_vanished_input_ends_as_failed_and_costs_nothing(new_app: Open, photo: Photo) -> None:
    app = new_app()
    operation_id = app.service.create(NewOperation("image_edit_single", "sepia", (photo(size=(64, 48)),)))
    (app.store.operations.path / f"{operation_id}_in_1.jpg").unlink()
    app.start()
    assert ended(app, app.service.create(NewOperation("text_to_image", "stars"))).status == "stored"
    operation = ended(app, operation_id)
    assert operation.status == "failed" and operation.sidecar["cost"]["amount"] == 0


# -- the disk, and what nobody foresaw -----------------------------------------------------------------------------------


def test_a_disk_that_is_full_at_the_end_loses_nothing(new_app: Open, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    app = new_app()
    refused: list[str] = []
    notes: list[str] = []
    save, pause = Store.save, machine.Machine._pause

    def full(self: Store, operation_id: str, *args: Any, **options: Any) -> dict[str, Any]:
        if len(refused) < 2:
            refused.append(operation_id)
            raise StorageError(reason="the disk is full; free some space and try again")
        return save(self, operation_id, *args, **options)

    def short(self: machine.Machine, seconds: float) -> None:
        notes.append(folder(app).progress(self._job.operation_id).note)
        pause(self, min(seconds, 0.05))

    monkeypatch.setattr(Store, "save", full)
    monkeypatch.setattr(machine.Machine, "_pause", short)
    app.start()
    operation = ended(app, app.service.create(NewOperation("image_edit_single", "sepia", (photo(size=(64, 48)),))))
    assert refused == [operation.id, operation.id] and operation.status == "stored"
    assert any("the disk is full" in note for note in notes), "and the page says what it waits for"
    assert not app.store.verify(deep=True)


@pytest.mark.long
def test_a_fault_that_nobody_foresaw_rests_the_job_and_stops_nobody(new_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    app = new_app()

    class Faulty(LocalEngine):
        faults = 1

        def create(self, request: StepRequest, report: Report) -> Prediction:
            if request.prompt == "boom" and self.faults:
                self.faults -= 1
                raise AssertionError("nobody foresaw this")
            return super().create(request, report)

    put_provider(app, Faulty())
    app.start()
    faulty = app.service.create(NewOperation("text_to_image", "boom"))
    until(lambda: faulty in app.runner._resting)
    assert ended(app, app.service.create(NewOperation("text_to_image", "stars"))).status == "stored"
    assert app.store.pending.has(f"{faulty}.json"), "it rests, and is not lost"
    app.runner._resting[faulty] = 0.0  # its rest is over
    assert ended(app, faulty).status == "stored"


def test_a_record_is_the_same_after_a_round_trip(new_app: Open) -> None:
    app = new_app()
    operation_id = app.service.create(NewOperation("text_to_image", "stars", parameters={"seed": 1, "my_own": {"snake_key": 1}}))
    lease(app, operation_id, "x", 5.0)
    job = folder(app).get(operation_id)
    assert Job.decode(job.encode()) == job
    assert job.operation["parameters"] == {"seed": 1, "my_own": {"snake_key": 1}}
