"""What a person can do: every request is checked whole before anything is stored, and every look says what the folder holds."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opstore.app import App, Settings
from opstore.errors import (
    DamagedOperation,
    EmptyFile,
    FileMissing,
    InputTooLarge,
    InvalidFileName,
    InvalidInput,
    InvalidMetadata,
    InvalidOperationId,
    InvalidRequest,
    OperationNotFound,
    OpstoreError,
    StorageError,
    UnsupportedMedia,
)
from opstore.generation.remix import remix
from opstore.jobs import JobFolder
from opstore.jobs.new_operation import MAX_JOB_BYTES
from opstore.service import NewOperation, Service
from opstore.storage.operation import OPERATION_TYPES
from opstore.storage.store import MAX_INPUT_BYTES, Store
from tests.samples import (
    GIF,
    HOSTILE_IDS,
    HOSTILE_NAMES,
    ID,
    JPG,
    LATER,
    MP4,
    PNG,
    SHORT,
    WEBP,
    plant,
    sidecar_file,
    tree,
    unstorable,
)
from tests.standin.client import set_up

EDIT = "image_edit_single"


@pytest.fixture
def app(tmp_path: Path) -> App:
    """An app that does not run: what is created stays under way."""
    return App(Settings(data=tmp_path / "data"))


@pytest.fixture
def service(app: App) -> Service:
    return app.service


def pending(app: App, operation_id: str) -> Any:
    return JobFolder(app.store.pending, app.store.cache / "progress").get(operation_id)


# -- create --------------------------------------------------------------------------------------------------------------


def test_a_request_is_durable_with_all_that_is_known(app: App, service: Service) -> None:
    request = NewOperation(
        "image_edit_multiple",
        "side by side\n<b>é</b>",
        (PNG, JPG, WEBP, GIF),
        {"seed": 5, "mine": {"x": [1]}},
        parents=(ID, "junk", LATER),
        batch_id="b1",
        workflow_analysis={"reasoning": "because"},
    )
    operation_id = service.create(request)
    job = pending(app, operation_id)
    assert job.state == "queued" and not job.cancel and job.lease is None
    names = [f"{operation_id}_in_{n}.{kind}" for n, kind in enumerate(("png", "jpg", "webp", "gif"), 1)]
    assert job.operation == {
        "operationType": "image_edit_multiple",
        "prompt": "side by side\n<b>é</b>",
        "parameters": {"seed": 5, "mine": {"x": [1]}},
        "inputCount": 4,
        "inputFiles": names,
        "workflowAnalysis": {"reasoning": "because"},
        "parents": [ID, LATER],
        "batchId": "b1",
    }
    assert [app.store.read_file(name) for name in names] == [PNG, JPG, WEBP, GIF]
    assert not service.problems(deep=True), "what is under way is no problem"
    with pytest.raises(OperationNotFound):
        service.operation(operation_id)


BIG = PNG + b"\0" * (MAX_INPUT_BYTES + 1 - len(PNG))
HTML = b"<!doctype html><html><script>alert(1)</script></html>"
REFUSED: dict[str, tuple[NewOperation, type[OpstoreError]]] = {
    "too few images": (NewOperation("image_edit_multiple", "x", (PNG,)), InvalidRequest),
    "too many images": (NewOperation(EDIT, "x", (PNG, PNG)), InvalidRequest),
    "eleven images": (NewOperation("image_edit_multiple", "x", (PNG,) * 11), InvalidRequest),
    "an image for none": (NewOperation("text_to_image", "x", (PNG,)), InvalidRequest),
    "an unknown type": (NewOperation("workflow_execution", "x"), InvalidRequest),
    "no prompt": (NewOperation("text_to_image", "  "), InvalidRequest),
    "half a character": (NewOperation(EDIT, "x \ud800", (PNG,)), InvalidMetadata),
    "half a character in a key": (NewOperation(EDIT, "x", (PNG,), {"\ud800": 1}), InvalidMetadata),
    "half a character in the analysis": (NewOperation(EDIT, "x", (PNG,), workflow_analysis={"x": "\ud800"}), InvalidMetadata),
    "an analysis that JSON lacks": (NewOperation(EDIT, "x", (PNG,), workflow_analysis={"x": {1}}), InvalidMetadata),
    "deep parameters": (NewOperation(EDIT, "x", (PNG,), {"x": unstorable("deep lists")[0]}), InvalidMetadata),
    "parameters beyond a sidecar": (NewOperation(EDIT, "x", (PNG,), {"x": "y" * MAX_JOB_BYTES}), InvalidRequest),
    "a batch that JSON lacks": (NewOperation(EDIT, "x", (PNG,), batch_id=b"x"), InvalidMetadata),  # type: ignore[arg-type] # meant
    "a retry of junk": (NewOperation(EDIT, "x", (PNG,), retry_of="../../x"), InvalidOperationId),
    "a bad quality": (NewOperation(EDIT, "x", (PNG,), {"outputQuality": 101}), InvalidRequest),
    "a bad ratio": (NewOperation(EDIT, "x", (PNG,), {"aspectRatio": "../.."}), InvalidRequest),
    "an unknown model": (NewOperation(EDIT, "x", (PNG,), models={EDIT: "no/model"}), InvalidRequest),
    "another provider's model": (NewOperation(EDIT, "x", (PNG,), models={EDIT: "qwen/qwen-image-edit-plus"}), InvalidRequest),
    "a provider that is not set up": (NewOperation(EDIT, "x", (PNG,), provider="replicate"), InvalidRequest),
    "a provider of nowhere": (NewOperation(EDIT, "x", (PNG,), provider="nobody"), InvalidRequest),
    "an empty image": (NewOperation(EDIT, "x", (b"",)), EmptyFile),
    "HTML as an image": (NewOperation(EDIT, "x", (HTML,)), UnsupportedMedia),
    "a video as an image": (NewOperation(EDIT, "x", (MP4,)), UnsupportedMedia),
    "a cut image": (NewOperation(EDIT, "x", (PNG[:40],)), UnsupportedMedia),
    "a bad second image": (NewOperation("image_edit_multiple", "x", (PNG, HTML)), UnsupportedMedia),
    "more than 10 MB": (NewOperation(EDIT, "x", (BIG,)), InputTooLarge),
    "more than 10 MB as the second": (NewOperation("image_edit_multiple", "x", (PNG, BIG)), InputTooLarge),
    "more than 10 MB of junk": (NewOperation(EDIT, "x", (b"x" * (MAX_INPUT_BYTES + 1),)), InputTooLarge),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_run_is_refused_and_the_folder_is_as_it_was(app: App, service: Service, tmp_path: Path, what: str) -> None:
    request, error = REFUSED[what]
    before = tree(tmp_path, times=True)
    with pytest.raises(InvalidInput) as raised:
        service.create(request)
    assert type(raised.value) is error and str(raised.value)
    assert tree(tmp_path, times=True) == before and service.jobs() == []


@pytest.mark.long
def test_exactly_10_mb_are_accepted(app: App, service: Service) -> None:
    data = PNG + b"\0" * (MAX_INPUT_BYTES - len(PNG))
    assert pending(app, service.create(NewOperation(EDIT, "sepia", (data,)))).operation["inputCount"] == 1


@pytest.mark.parametrize("at", ["second input", "record"])
def test_a_disk_that_fills_up_meanwhile_leaves_no_orphans(
    app: App, service: Service, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    save = Store.save_input_image

    def full(*_: Any, **__: Any) -> Any:
        raise StorageError(reason="the disk is full")

    def second(self: Store, operation_id: str, data: bytes, index: int = 1) -> Path:
        return full() if index == 2 else save(self, operation_id, data, index)

    if at == "record":
        monkeypatch.setattr(JobFolder, "add", full)
    else:
        monkeypatch.setattr(Store, "save_input_image", second)
    with pytest.raises(StorageError):
        service.create(NewOperation("image_edit_multiple", "x", (PNG, JPG)))
    assert app.store.operations.names() == [] and app.store.pending.names() == [] and not service.problems()


def test_a_preferred_model_of_another_provider_stops_nobody(app: App, service: Service) -> None:
    service.change_preferences(models={EDIT: "qwen/qwen-image-edit-plus", "text_to_image": "gone/for-ever", "junk": "junk"})
    operation_id = service.create(NewOperation(EDIT, "sepia", (PNG,)))
    assert pending(app, operation_id).step.model == "opstore/local"


def test_a_preferred_model_is_used_and_the_request_s_own_goes_before_it(tmp_path: Path) -> None:
    service = App(Settings(data=tmp_path / "data", environment=set_up())).service
    assert service.provider() == "replicate"
    service.change_preferences(models={"text_to_image": "bytedance/seedream-4"})
    assert service.plan(NewOperation("text_to_image", "x"))[0].model.name == "bytedance/seedream-4"
    own = NewOperation("text_to_image", "x", models={"text_to_image": "qwen/qwen-image"})
    assert service.plan(own)[0].model.name == "qwen/qwen-image"
    assert service.plan(replace(own, models={}, provider="local"))[0].model.name == "opstore/local"
    with pytest.raises(InvalidRequest):
        service.plan(replace(own, provider="local"))


# -- again ---------------------------------------------------------------------------------------------------------------


def store_ours(app: App, operation_id: str = ID, **changes: Any) -> None:
    step = {"operationType": EDIT, "provider": "local", "model": "opstore/local", "status": "succeeded"}
    known = {"operationType": EDIT, "prompt": "sepia", "parameters": {"outputFormat": "png", "seed": 9}, "parents": [LATER]}
    app.store.save(
        operation_id,
        known | {"provider": "local", "model": "opstore/local", "steps": [step]} | changes,
        inputs=[JPG],
        outputs=[PNG],
    )


def test_again_asks_for_the_same_and_names_the_old(app: App, service: Service) -> None:
    store_ours(app)
    new = service.again(ID)
    job = pending(app, new)
    assert new != ID and job.operation["retryOf"] == ID and job.operation["parents"] == [LATER]
    assert (job.operation["operationType"], job.operation["prompt"]) == (EDIT, "sepia")
    assert job.step.model == "opstore/local" and job.step.parameters["outputFormat"] == "png"
    assert app.store.read_file(f"{new}_in_1.jpg") == JPG
    seeds = [pending(app, service.again(ID)).step.parameters.get("seed") for _ in range(3)]
    assert 9 not in seeds and len({job.step.parameters.get("seed"), *seeds}) == 4, "the same seed would pay for the same picture"
    assert remix(service, ID).parameters["seed"] == 9, "whoever wants that very picture takes its settings"
    with_image = pending(app, service.again(ID, (PNG,), ()))
    assert with_image.step.parameters["seed"] == 9, "of a branch on another image nothing else is another"


@pytest.mark.parametrize(
    "steps", [None, 5, "x", [], [5], {"a": 1}, [{"operationType": EDIT}], [{"operationType": [], "model": {}}]]
)
def test_again_does_not_depend_on_what_a_sidecar_says_of_its_steps(app: App, service: Service, steps: Any) -> None:
    store_ours(app, steps=steps, provider=None, model=None)
    assert pending(app, service.again(ID)).step.model == "opstore/local"


@pytest.mark.parametrize("provider", ["replicate", "nobody", 5, None])
def test_again_without_the_old_provider_uses_the_one_that_is_here(app: App, service: Service, provider: Any) -> None:
    model = "qwen/qwen-image-edit-plus"
    store_ours(app, provider=provider, model=model, steps=[{"operationType": EDIT, "model": model}])
    assert pending(app, service.again(ID)).step.model == "opstore/local"


def test_again_is_not_paid_for_at_a_model_that_nobody_chose(app: App, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation whose model has gone was made, and paid, with whatever stands first today."""
    gone = "black-forest-labs/gone"
    store_ours(app, provider="replicate", model=gone, steps=[{"operationType": EDIT, "model": gone}])
    store_ours(app, LATER, provider="replicate", model=gone, steps=None)
    monkeypatch.setitem(service._providers, "replicate", service._providers["local"])
    monkeypatch.setattr(service, "_provider", lambda: "replicate")
    for operation_id in (ID, LATER):
        with pytest.raises(InvalidRequest, match=f"{gone} is no longer on offer"):
            service.again(operation_id)
        with pytest.raises(InvalidRequest, match=f"{gone} is no longer on offer"):
            service.again(operation_id, (PNG,), ())
    assert service.jobs() == []
    store_ours(app, SHORT, provider="replicate", model="google/nano-banana", steps=None)
    again = pending(app, service.again(SHORT)).step
    assert (again.provider, again.model) == ("replicate", "google/nano-banana"), "also where it stands in no step"


@pytest.mark.parametrize("clip", [None, "gone/model", "google/veo-3.1"])
def test_again_of_a_chain_that_ended_in_its_first_step_knows_the_model_of_the_second(
    app: App, service: Service, monkeypatch: pytest.MonkeyPatch, clip: str | None
) -> None:
    edit = {"operationType": EDIT, "provider": "replicate", "model": "google/nano-banana", "status": "failed"}
    asked_for: dict[str, Any] = {"models": {EDIT: edit["model"], "image_to_video_single": clip}} if clip else {}
    known: dict[str, Any] = {"operationType": "edit_then_video", "parameters": {"editPrompt": "sepia", "videoPrompt": "waves"}}
    store_ours(app, provider="replicate", steps=[edit], success=False, error="x", **known, **asked_for)
    monkeypatch.setitem(service._providers, "replicate", service._providers["local"])
    monkeypatch.setattr(service, "_provider", lambda: "replicate")
    if clip == "google/veo-3.1":
        assert [step.model for step in pending(app, service.again(ID)).steps] == [edit["model"], clip]
        return
    with pytest.raises(InvalidRequest, match="no longer on offer" if clip else "models of all its steps"):
        service.again(ID)
    assert service.jobs() == []


@pytest.mark.parametrize("lost", [{"inputsGiven": 3}, {"imported": {"inputsMissing": 1}}])
def test_again_is_not_made_from_fewer_images_than_there_were(app: App, service: Service, lost: dict[str, Any]) -> None:
    """Of a request that failed for one image, or came from an account, the others are kept: those alone were asked for."""
    known = {"operationType": "image_edit_multiple", "prompt": "grid", "provider": "local", "success": False, "error": "x"}
    app.store.save(ID, known | lost, inputs=[JPG, PNG])
    for images in (None, (JPG, PNG)):  # a branch has those that were kept, and another one in the place of one
        with pytest.raises(InvalidRequest, match="images kept: 2 of 3"):
            service.again(ID, images)
    assert service.jobs() == [] and remix(service, ID).left_out == ("images",)


def test_again_works_for_the_original_backend_s_operations(app: App, service: Service) -> None:
    """No steps, no model, `_in.jpg`, PNG bytes under the name of a JPEG."""
    record = {
        "operationId": SHORT,
        "timestamp": "2025-11-03T14:30:22.123Z",
        "operationType": EDIT,
        "prompt": "make it black and white",
        "parameters": {"aspectRatio": "16:9", "outputFormat": "webp", "outputQuality": 80},
        "inputCount": 1,
        "inputFiles": [f"{SHORT}_in.jpg"],
        "outputFile": f"{SHORT}_out.jpg",
        "success": True,
    }
    plant(app.store, f"{SHORT}_in.jpg", PNG)
    plant(app.store, f"{SHORT}_out.jpg", WEBP)
    plant(app.store, f"{SHORT}.json", json.dumps(record).encode())
    new = service.again(SHORT)
    job = pending(app, new)
    assert job.operation["inputFiles"] == [f"{new}_in_1.png"] and app.store.read_file(f"{new}_in_1.png") == PNG
    assert job.step.parameters["outputQuality"] == 80 and job.operation["retryOf"] == SHORT


def test_again_of_the_specification_s_own_example(app: App, service: Service) -> None:
    record = json.loads(sidecar_file("specification.json"))
    plant(app.store, f"{record['operationId']}.json", sidecar_file("specification.json"))
    with pytest.raises((FileMissing, InvalidRequest)):  # its files are not here
        service.again(record["operationId"])
    assert service.jobs() == []


@pytest.mark.parametrize("kind", ["img_to_img", "unknown", "workflow_execution", "\x1b[31m"])
def test_again_of_a_type_that_cannot_be_run_is_refused(app: App, service: Service, kind: str) -> None:
    app.store.save(ID, {"operationType": kind, "prompt": "x"}, outputs=[PNG])
    with pytest.raises(InvalidRequest):
        service.again(ID)


def test_again_of_what_is_gone_or_damaged_says_so(app: App, service: Service) -> None:
    with pytest.raises(OperationNotFound):
        service.again(ID)
    with pytest.raises(InvalidOperationId):
        service.again("../../x")
    plant(app.store, f"{ID}.json", b"{")
    with pytest.raises(DamagedOperation):
        service.again(ID)
    store_ours(app, LATER)
    (app.store.operations.path / f"{LATER}_in_1.jpg").unlink()
    with pytest.raises(FileMissing):
        service.again(LATER)
    assert service.jobs() == []


# -- following -----------------------------------------------------------------------------------------------------------


def test_the_view_of_what_is_under_way(app: App, service: Service) -> None:
    ids = [service.create(NewOperation(EDIT, f"sepia {n}", (PNG,))) for n in range(3)]
    views = service.jobs()
    assert sorted(view.id for view in views) == sorted(ids) and service.count_jobs() == 3
    view = service.job(ids[0])
    assert view is not None and view in [replace(item, seconds=view.seconds) for item in views]
    assert (view.type, view.prompt, view.state, view.model, view.local, view.cancel) == (
        *(EDIT, "sepia 0", "queued", "opstore/local"),
        *(True, False),
    )
    assert view.inputs == (f"{ids[0]}_in_1.png",) and 0 <= view.seconds < 60 and view.progress.share is None
    service.cancel(ids[0])
    cancelled = service.job(ids[0])
    assert cancelled and cancelled.cancel


def test_there_is_no_job_of_any_other_name(app: App, service: Service) -> None:
    for value in [ID, *(value for value in HOSTILE_IDS if isinstance(value, str))]:
        assert service.job(value) is None
    with pytest.raises(OperationNotFound):
        service.cancel(ID)
    with pytest.raises(InvalidOperationId):
        service.cancel("../x")


def test_a_damaged_record_is_said_where_it_is_asked_for(app: App, service: Service) -> None:
    (app.store.pending.path / f"{ID}.json").write_text("{")
    assert service.job(ID) is None and service.jobs() == []
    with pytest.raises(DamagedOperation):
        service.cancel(ID)
    assert [problem.kind for problem in service.problems()] == ["unparsable"]


# -- looking -------------------------------------------------------------------------------------------------------------

STATES: Mapping[str, Mapping[str, Any]] = {
    "stored": {"success": True, "outputs": [PNG]},
    "failed": {"success": False, "error": "no"},
    "canceled": {"success": False, "error": "no", "status": "canceled"},
    "result missing": {"success": True},
}
KINDS = (*OPERATION_TYPES, "img_to_img")


@pytest.mark.long
@settings(max_examples=25, deadline=None)
@given(
    made=st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(sorted(STATES))), max_size=14),
    types=st.sets(st.sampled_from(KINDS), max_size=3),
    statuses=st.sets(st.sampled_from(sorted(STATES)), max_size=2),
    size=st.integers(1, 6),
)
def test_pages_with_filters_are_the_whole_list_filtered(
    made: list[tuple[str, str]], types: set[str], statuses: set[str], size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = App(Settings(data=Path(folder)))
        for number, (kind, state) in enumerate(made):
            known = dict(STATES[state])
            outputs = known.pop("outputs", [])
            app.store.save(f"2025110314{number:04}_abc123de", {"operationType": kind, **known}, outputs=outputs)
        plant(app.store, "20251103150000_abc123de.json", b"damaged")
        wanted = [
            f"2025110314{number:04}_abc123de"
            for number, (kind, state) in reversed(list(enumerate(made)))
            if (not types or kind in types) and (not statuses or state in statuses)
        ]
        found, before = [], None
        for _ in itertools.count():
            page = app.service.page(before=before, size=size, types=sorted(types), statuses=sorted(statuses))
            assert len(page.operations) <= size
            found += [operation.id for operation in page.operations]
            if page.older is None:
                break
            assert len(page.operations) == size and page.older == found[-1]
            before = page.older
        assert found == wanted


def test_the_newest_come_from_the_index_once_it_has_all_and_the_folder_is_listed_no_more(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"2025110314{number:04}_abc123de" for number in range(5)]
    for name in names:
        outputs = [] if name == names[3] else [PNG]
        app.store.save(name, {"operationType": "text_to_image", "success": bool(outputs), "error": None}, outputs=outputs)

    def newest(*asked: Any) -> list[str]:
        return [operation.id for operation in app.service.latest(*asked)]

    wanted = [names[4], names[3], names[2]], [names[4], names[2], names[1]]
    assert (newest(3), newest(3, "stored")) == wanted
    app.service.index.update()
    monkeypatch.setattr(type(app.store.operations), "names", lambda *_: pytest.fail("the folder was listed"))
    assert (newest(3), newest(3, "stored")) == wanted
    (app.store.operations.path / f"{names[4]}.json").unlink()
    assert newest(2) == [names[3]], "gone since the index looked"


@pytest.mark.parametrize("before", ["", "../x", "20251103"])
def test_a_page_before_junk_is_refused(service: Service, before: str) -> None:
    with pytest.raises(InvalidOperationId):
        service.page(before=before)


def test_media_are_what_their_bytes_are(app: App, service: Service) -> None:
    for kind, data in (("jpg", PNG), ("png", HTML), ("mp4", MP4)):
        plant(app.store, f"{ID}_out.{kind}", data)
        file, found = service.open_media(f"{ID}_out.{kind}")
        with file:
            assert file.read() == data and found is service.media(f"{ID}_out.{kind}")
        assert (found.name if found else None) == {PNG: "image/png", HTML: None, MP4: "video/mp4"}[data]
    plant(app.store, f"{ID}.json", b"{}")
    for name in (f"{ID}.json", f"{LATER}_out.png", f"{LATER}.json"):
        with pytest.raises(FileMissing):
            service.media(name)


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if isinstance(name, str)], ids=lambda name: ascii(name)[:30])
def test_media_of_a_hostile_name_are_refused(service: Service, name: str) -> None:
    with pytest.raises(InvalidFileName):
        service.media(name)


def test_estimates_are_free_here_and_cost_elsewhere(tmp_path: Path, service: Service) -> None:
    local = service.estimate(service.plan(NewOperation("edit_then_video", "x", (PNG,))))
    assert [cost and (cost.amount, cost.estimated) for cost in local] == [(0, False), (0, False)]
    paid = App(Settings(data=tmp_path / "paid", environment=set_up())).service
    costs = paid.estimate(paid.plan(NewOperation("text_to_image", "x")))
    assert costs[0] and costs[0].amount and costs[0].estimated


def test_who_makes_things_follows_the_environment_then_the_settings_then_the_token(tmp_path: Path) -> None:
    token: dict[str, Any] = {"environment": set_up()}

    def who(chosen: Callable[[Service], object] = lambda service: None, **options: Any) -> str:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            service = App(Settings(data=Path(folder), **options)).service
            chosen(service)
            return service.provider()

    assert who() == "local"
    assert who(**token) == "replicate"
    assert who(lambda service: service.change_preferences(provider="local"), **token) == "local"
    assert who(lambda service: service.change_preferences(provider="replicate"), provider="local", **token) == "local"
