"""One act of a person: the analysis is stored with what overrode it, errors are operations, variants and sweeps are batches."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opstore.app import App, Settings
from opstore.errors import BudgetReached, InvalidRequest, OpstoreError, SpendingUnknown, StorageError, UnsupportedMedia
from opstore.generation import MAX_BATCH, Axis, Generation, Outcome, SmartRequest
from opstore.generation.variants import differing
from opstore.jobs import JobFolder, finalization
from opstore.smart.analysis import StepPrompts
from opstore.storage.operation import Operation
from tests.samples import ID, JPG, MP4, PNG, WEBP, plant, sidecar_file
from tests.standin.client import set_up

PATIENCE = 30.0


@pytest.fixture
def app(tmp_path: Path) -> App:
    """An app that does not run: what is created stays under way."""
    return App(Settings(data=tmp_path / "data"))


@pytest.fixture
def paid(tmp_path: Path) -> App:
    """An app with a provider that costs money, and that does not run."""
    return App(Settings(data=tmp_path / "data", environment=set_up("r8_standin", "http://127.0.0.1:9")))


@pytest.fixture
def making(app: App) -> Generation:
    return app.generation


def test_what_failed_for_one_of_its_images_is_not_made_from_the_others(making: Generation) -> None:
    """The ones that could be read were kept, and those alone were asked for, and paid, by running it again."""
    images = (JPG, PNG, b"no picture")
    ended = making.execute(SmartRequest("a grid of these", images, workflow="image_edit_multiple"))
    assert ended.error
    failed = making.service.operation(ended.ids[0])
    assert len(failed.inputs) == 2 and failed.sidecar["inputsGiven"] == 3
    with pytest.raises(InvalidRequest, match="images kept: 2 of 3"):
        making.service.again(failed.id)
    assert making.remix(failed.id).left_out == ("images",) and not making.service.jobs()


@pytest.mark.parametrize("odd", ["\ud800", "nobody", 5, object()])
def test_a_request_that_failed_for_who_was_to_make_it_is_kept_and_nothing_else_of_that(making: Generation, odd: Any) -> None:
    ended = making.execute(SmartRequest("a sea", workflow="text_to_image", provider=odd, models={"text_to_image": odd}))
    kept = making.service.operation(ended.ids[0]).sidecar
    assert ended.error and kept["status"] == "failed" and kept["provider"] is None
    fine = making.execute(SmartRequest("", workflow="text_to_image", provider="local", models={"text_to_image": "opstore/local"}))
    kept = making.service.operation(fine.ids[0]).sidecar
    assert (kept["provider"], kept["models"]) == ("local", {"text_to_image": "opstore/local"})


def queued(app: App, operation_id: str) -> Any:
    return JobFolder(app.store.pending, app.store.cache / "progress").get(operation_id)


def all_queued(app: App, outcome: Outcome) -> list[Any]:
    assert outcome.error is None, outcome.error
    return [queued(app, operation_id) for operation_id in outcome.ids]


def finished(app: App, count: int) -> list[Operation]:
    app.start()
    deadline = time.monotonic() + PATIENCE
    while len(found := app.service.page(size=100).operations) < count or app.service.count_jobs():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return list(found)


# -- the analysis decides ------------------------------------------------------------------------------------------------


def test_the_analysis_decides_and_is_kept(app: App, making: Generation) -> None:
    prompt = "remplace le personnage de l'image 2 par celui de l'image 1"
    (job,) = all_queued(app, making.execute(SmartRequest(prompt, (PNG, JPG))))
    assert job.operation["operationType"] == "image_edit_multiple"
    analysis = job.operation["workflowAnalysis"]
    assert analysis["workflow"] == {"id": "image_edit_multiple", "name": "Édition d'images multiples"}
    assert 0.5 < analysis["confidence"] <= 1 and "remplace" in analysis["reasoning"]
    assert analysis["analyzer"] == "rules" and analysis["overriddenTo"] is None


def test_what_a_person_chose_instead_wins_and_is_kept(app: App, making: Generation) -> None:
    (job,) = all_queued(app, making.execute(SmartRequest("remove the background", (PNG,), workflow="image_to_video_single")))
    assert job.operation["operationType"] == "image_to_video_single"
    assert job.operation["workflowAnalysis"]["workflow"]["id"] == "image_edit_single"
    assert job.operation["workflowAnalysis"]["overriddenTo"] == "image_to_video_single"


@pytest.mark.long
def test_an_override_survives_to_the_sidecar_and_is_found(app: App, making: Generation) -> None:
    making.execute(SmartRequest("sepia", (PNG,), workflow="image_to_video_single", parameters={"duration": 1}))
    making.execute(SmartRequest("sepia", (PNG,)))
    found = {item.type: item for item in finished(app, 2)}
    app.service.index.update()
    ids = [row.id for row in app.service.index.search("overridden:yes").rows]
    assert ids == [found["image_to_video_single"].id]
    assert [row.id for row in app.service.index.search("overridden:no").rows] == [found["image_edit_single"].id]
    app.stop()


def test_a_chain_tells_each_step_its_own_prompt(app: App, making: Generation) -> None:
    request = SmartRequest("put a hat on the dog, then let it run", (PNG,))
    analysis = making.analyze(request.prompt, request.images)
    assert analysis.steps == StepPrompts("put a hat on the dog", "let it run")
    (job,) = all_queued(app, making.execute(replace(request, analysis=analysis, steps=StepPrompts("a red hat", "it runs"))))
    assert [(step.operation_type, step.prompt) for step in job.steps] == [
        ("image_edit_single", "a red hat"),
        ("image_to_video_single", "it runs"),
    ]
    assert job.operation["parameters"] == {"editPrompt": "a red hat", "videoPrompt": "it runs"}
    assert job.operation["prompt"] == request.prompt


def test_a_chain_of_which_nobody_worded_the_steps_tells_them_what_is_proposed(app: App, making: Generation) -> None:
    prompt = "put a hat on the dog, then let it run"
    told = {"editPrompt": "put a hat on the dog", "videoPrompt": "let it run"}
    plain, named, worded = (
        *all_queued(app, making.execute(SmartRequest(prompt, (PNG,)))),
        *all_queued(app, making.execute(SmartRequest(prompt, (PNG,), workflow="edit_then_video"))),
        *all_queued(app, making.execute(SmartRequest("run", (PNG,), "edit_then_video", optimized=prompt, use_optimized=True))),
    )
    for job in (plain, named, worded):
        assert [step.prompt for step in job.steps] == list(told.values())
        assert job.operation["parameters"].items() >= told.items(), "what each step was told is kept"


def test_both_wordings_are_kept_as_the_original_backend_did(app: App, making: Generation) -> None:
    better = SmartRequest("a sea", optimized="a calm sea at dusk, long exposure", use_optimized=True)
    (used,) = all_queued(app, making.execute(better))
    (unused,) = all_queued(app, making.execute(replace(better, use_optimized=False)))
    wordings = {"originalPrompt": "a sea", "optimizedPrompt": "a calm sea at dusk, long exposure"}
    assert used.operation["prompt"] == "a calm sea at dusk, long exposure"
    assert used.operation["parameters"] == wordings | {"useOptimizedPrompt": True}
    assert unused.operation["prompt"] == "a sea"
    assert unused.operation["parameters"] == wordings | {"useOptimizedPrompt": False}


# -- errors are operations -----------------------------------------------------------------------------------------------

FAILING: list[tuple[str, SmartRequest, type[OpstoreError], str]] = [
    ("no prompt", SmartRequest("  ", (PNG,)), InvalidRequest, "image_edit_single"),
    ("too many images", SmartRequest("combine", (PNG,) * 6), InvalidRequest, "unknown"),
    ("more than are accepted", SmartRequest("combine", (PNG,) * 12), InvalidRequest, "unknown"),
    ("no picture", SmartRequest("sepia", (MP4,)), UnsupportedMedia, "image_edit_single"),
    ("a type that is none", SmartRequest("sepia", (PNG,), workflow="img_to_img"), InvalidRequest, "unknown"),
    ("a type that the images rule out", SmartRequest("x", (), workflow="image_edit_single"), InvalidRequest, "image_edit_single"),
    ("a bad value", SmartRequest("a sea", parameters={"aspectRatio": "1:7"}), InvalidRequest, "text_to_image"),
    ("no such model", SmartRequest("a sea", models={"text_to_image": "acme/none"}), InvalidRequest, "text_to_image"),
    ("no such provider", SmartRequest("a sea", provider="replicate"), InvalidRequest, "text_to_image"),
    ("too many variants", SmartRequest("a sea", variants=9), InvalidRequest, "text_to_image"),
    ("too long", SmartRequest("a sea " * 5_000), InvalidRequest, "text_to_image"),
    ("half a character", SmartRequest("a sea \ud83c"), OpstoreError, "text_to_image"),
]


@pytest.mark.parametrize(("request_", "kind", "stored_as"), [row[1:] for row in FAILING], ids=[row[0] for row in FAILING])
def test_a_request_that_fails_is_stored_with_its_error(
    app: App, making: Generation, request_: SmartRequest, kind: type[OpstoreError], stored_as: str
) -> None:
    outcome = making.execute(request_)
    assert isinstance(outcome.error, kind)
    (operation_id,) = outcome.ids
    operation = app.service.operation(operation_id)
    assert (operation.status, operation.type) == ("failed", stored_as)
    assert operation.error and operation.error == str(outcome.error)
    assert operation.sidecar["inputCount"] == (len(operation.inputs) or len(request_.images))
    assert operation.sidecar["cost"]["amount"] == 0 and operation.sidecar["success"] is False
    assert app.service.count_jobs() == 0
    assert app.store.verify(deep=True) == []


def test_the_images_of_a_request_that_fails_are_kept(app: App, making: Generation) -> None:
    outcome = making.execute(SmartRequest("a bad ratio", (PNG, b"no picture", WEBP), parameters={"aspectRatio": "1:7"}))
    operation = app.service.operation(outcome.ids[0])
    assert [app.store.read_file(name) for name in operation.inputs] == [PNG, WEBP]


def test_a_request_that_the_budget_forbids_is_refused_and_stores_nothing(paid: App) -> None:
    paid.service.change_preferences(daily_budget=0.05)
    one = paid.generation.execute(SmartRequest("a sea"))
    assert one.error is None
    with pytest.raises(BudgetReached):  # one of them would fit, all four do not
        paid.generation.execute(SmartRequest("a sea", variants=4))
    assert paid.service.count_jobs() == 1 and not paid.store.list_operations()


def test_where_nobody_knows_what_was_spent_presses_store_no_failures(paid: App) -> None:
    paid.service.change_preferences(daily_budget=5.0)
    (paid.store.root / "spent.json").write_bytes(b"{")
    for _ in range(2):
        with pytest.raises(SpendingUnknown):
            paid.generation.execute(SmartRequest("a sea"))
    assert not paid.service.count_jobs() and not paid.store.list_operations()


def test_where_nothing_can_be_stored_that_is_said(app: App, making: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError(reason="no space left on device")

    monkeypatch.setattr(app.store, "save_input_image", full)
    with pytest.raises(StorageError):
        making.execute(SmartRequest("sepia", (PNG,)))


# -- variants and sweeps -------------------------------------------------------------------------------------------------


def test_variants_differ_by_their_seeds_and_nothing_else(app: App, making: Generation) -> None:
    outcome = making.execute(SmartRequest("a sea", variants=4, parameters={"seed": 7}))
    jobs = all_queued(app, outcome)
    assert [job.operation["parameters"]["seed"] for job in jobs] == [7, 8, 9, 10]
    assert {job.operation["batchId"] for job in jobs} == {outcome.batch_id}
    assert [job.operation["batchIndex"] for job in jobs] == [1, 2, 3, 4]
    free = all_queued(app, making.execute(SmartRequest("a sea", variants=8)))
    assert len({job.operation["parameters"]["seed"] for job in free}) == 8


def test_a_seed_that_was_given_is_the_one_that_is_used_however_it_was_given(app: App, making: Generation) -> None:
    text = all_queued(app, making.execute(SmartRequest("a sea", variants=2, parameters={"seed": "7"})))
    swept = all_queued(app, making.execute(SmartRequest("a sea", axes=(Axis("seed", (3, 9)),))))
    assert [[job.steps[0].parameters["seed"] for job in jobs] for jobs in (text, swept)] == [[7, 8], [3, 9]]


def test_a_batch_carries_the_cost_of_its_analysis_once(app: App, making: Generation) -> None:
    cost = {"amount": 0.005, "currency": "USD", "basis": "question", "estimated": True}
    seen = replace(making.propose("a sea", ()), cost=cost)
    jobs = all_queued(app, making.execute(SmartRequest("a sea", variants=3, analysis=seen)))
    assert [job.operation["workflowAnalysis"].get("cost") for job in jobs] == [cost, None, None]


def test_one_variant_is_no_batch(app: App, making: Generation) -> None:
    outcome = making.execute(SmartRequest("a sea"))
    assert outcome.batch_id is None and queued(app, outcome.ids[0]).operation["batchId"] is None


@pytest.mark.parametrize(
    ("most", "seed", "made"),
    [(2**32 - 1, 2**32 - 2, [2**32 - 2, 2**32 - 1, 0]), (2**32 - 1, 2**31, [2**31, 2**31 + 1, 2**31 + 2]), (9, 8, [8, 9, 0])],
)
def test_variants_have_seeds_that_their_model_takes_the_one_that_was_given_first(
    tmp_path: Path, most: int, seed: int, made: list[int]
) -> None:
    tmp_path.joinpath("models.toml").write_text(
        f'["opstore/local".parameters]\nseed = {{ kind = "integer", minimum = 0, maximum = {most} }}'
    )
    app = App(Settings(data=tmp_path, provider="local"))
    jobs = all_queued(app, app.generation.execute(SmartRequest("a sea", variants=3, parameters={"seed": seed})))
    assert [job.operation["parameters"]["seed"] for job in jobs] == made
    free = all_queued(app, app.generation.execute(SmartRequest("a sea", variants=8)))
    seeds = {job.operation["parameters"]["seed"] for job in free}
    assert len(seeds) == 8 and max(seeds) <= most


def test_the_seed_of_a_chain_is_kept_whichever_of_its_models_takes_one(app: App, making: Generation) -> None:
    (job,) = all_queued(app, making.execute(SmartRequest("sepia, then zoom in", (PNG,), workflow="edit_then_video")))
    edit, video = job.steps
    kept = finalization.sidecar(
        replace(job, steps=(replace(edit, parameters={}), video)), "canceled", None, (), datetime.now(UTC)
    )
    assert kept["parameters"]["seed"] == video.parameters["seed"]


def test_a_sweep_goes_through_every_pair_with_one_seed(app: App, making: Generation) -> None:
    axes = (Axis("aspectRatio", ("1:1", "16:9")), Axis("outputQuality", (50, 90)))
    jobs = all_queued(app, making.execute(SmartRequest("a sea", axes=axes)))
    found = [(job.operation["parameters"]["aspectRatio"], job.operation["parameters"]["outputQuality"]) for job in jobs]
    assert found == [("1:1", 50), ("1:1", 90), ("16:9", 50), ("16:9", 90)]
    assert len({job.operation["parameters"]["seed"] for job in jobs}) == 1


def test_a_sweep_through_models_tells_each_only_what_it_takes(paid: App) -> None:
    axes = (Axis("model", ("qwen/qwen-image", "black-forest-labs/flux-kontext-pro")),)
    request = SmartRequest("a sea", parameters={"outputFormat": "webp", "aspectRatio": "16:9"}, axes=axes)
    jobs = all_queued(paid, paid.generation.execute(request))
    assert [job.steps[0].model for job in jobs] == ["qwen/qwen-image", "black-forest-labs/flux-kontext-pro"]
    assert [job.operation["parameters"].get("outputFormat") for job in jobs] == ["webp", None], "which knows jpg and png only"
    costs = paid.generation.estimate(request)
    assert [round(cost.amount or 0, 3) for (cost,) in costs if cost] == [0.025, 0.04]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_sweep_through_models_and_values_makes_what_was_asked_for_or_nothing(paid: App, turn: int) -> None:
    models = Axis("model", ("qwen/qwen-image", "black-forest-labs/flux-kontext-pro"))
    formats = Axis("outputFormat", ("png", "webp"))  # which kontext does not make
    outcome = paid.generation.execute(SmartRequest("a sea", axes=(models, formats)[::turn]))
    assert "outputFormat is 'webp'" in str(outcome.error) and paid.service.count_jobs() == 0


def test_a_model_is_not_paid_twice_for_a_parameter_that_it_does_not_have(paid: App) -> None:
    axes = (Axis("steps", (10, 20)), Axis("model", ("qwen/qwen-image", "black-forest-labs/flux-kontext-pro")))
    jobs = all_queued(paid, paid.generation.execute(SmartRequest("a sea", axes=axes, variants=2)))
    found = [(job.steps[0].model.partition("/")[2], job.steps[0].parameters.get("steps")) for job in jobs]
    once = [("qwen-image", 10), ("flux-kontext-pro", None), ("qwen-image", 20)]
    assert found == [item for item in once for _ in range(2)]


@pytest.mark.parametrize(
    ("axes", "variants", "says"),
    [
        ((Axis("aspectRatio", ("1:1",)), Axis("seed", (1,)), Axis("outputFormat", ("png",))), 1, "one or two"),
        ((Axis("aspectRatio", ("1:1",)), Axis("aspectRatio", ("16:9",))), 1, "one or two"),
        ((Axis("outputQuality", tuple(range(1, 10))),), 3, f"at most {MAX_BATCH}"),
        ((Axis("model", ("acme/none",)),), 1, "acme/none"),
        ((), 0, "1 to 8"),
    ],
)
def test_a_sweep_that_makes_no_sense_queues_nothing(
    app: App, making: Generation, axes: tuple[Axis, ...], variants: int, says: str
) -> None:
    outcome = making.execute(SmartRequest("a sea", variants=variants, axes=axes))
    assert says in str(outcome.error) and app.service.count_jobs() == 0


def test_one_bad_value_of_a_sweep_queues_nothing(app: App, making: Generation) -> None:
    outcome = making.execute(SmartRequest("a sea", axes=(Axis("aspectRatio", ("1:1", "1:7")),)))
    assert outcome.error is not None and app.service.count_jobs() == 0


@pytest.mark.long
def test_a_batch_is_seen_in_order_while_it_runs_and_when_it_is_done(app: App, making: Generation) -> None:
    outcome = making.execute(SmartRequest("a sea", axes=(Axis("aspectRatio", ("1:1", "16:9", "9:16")),), variants=1))
    assert outcome.batch_id
    under_way = making.batch(outcome.batch_id)
    assert [variant.differs for variant in under_way] == [{"aspectRatio": value} for value in ("1:1", "16:9", "9:16")]
    assert {variant.status for variant in under_way} == {"queued"}
    finished(app, 3)
    app.service.index.update()
    done = making.batch(outcome.batch_id)
    assert [variant.id for variant in done] == list(outcome.ids)
    assert [variant.differs["aspectRatio"] for variant in done] == ["1:1", "16:9", "9:16"]
    assert all(variant.output and variant.status == "stored" for variant in done)
    app.stop()


def test_what_differs_is_only_what_is_not_the_same_for_all() -> None:
    assert differing([({"a": 1, "seed": 5}, "m"), ({"a": 2, "seed": 6}, "m")]) == [{"a": 1}, {"a": 2}]
    assert differing([({"seed": 5}, "m"), ({"seed": 6}, "m")]) == [{"seed": 5}, {"seed": 6}]
    assert differing([({"a": [1]}, "m"), ({}, "n")]) == [{"a": [1], "model": "m"}, {"model": "n"}]
    assert differing([({"a": 1, "seed": 5}, None), ({"a": 1, "seed": 6}, None), ({"a": 2, "seed": 5}, None)]) == [
        {"a": 1, "seed": 5},
        {"a": 1, "seed": 6},
        {"a": 2, "seed": 5},
    ]
    assert differing([({}, None)]) == [{}] and differing([]) == []


# -- remix ---------------------------------------------------------------------------------------------------------------


def test_a_remix_takes_over_everything_that_was_set(app: App, making: Generation) -> None:
    steps = StepPrompts("make it sepia", "zoom in")
    made = SmartRequest(
        "sepia then zoom in", (PNG,), workflow="edit_then_video", parameters={"duration": 1, "seed": 5}, steps=steps
    )
    making.execute(made)
    (operation,) = finished(app, 1)
    again = making.remix(operation.id)
    assert (again.prompt, again.workflow, again.steps) == (made.prompt, "edit_then_video", steps)
    assert again.images == operation.inputs
    assert again.parameters == {"duration": 1, "seed": 5}
    assert again.models == {"image_edit_single": "opstore/local", "image_to_video_single": "opstore/local"}
    assert again.left_out == ()
    app.stop()


def test_a_remix_of_the_original_backend_keeps_what_can_be_used_and_names_the_rest(paid: App) -> None:
    sidecar = json.loads(sidecar_file("specification.json"))
    plant(paid.store, f"{sidecar['operationId']}.json", json.dumps(sidecar).encode())
    for name in sidecar["inputFiles"]:
        plant(paid.store, name, JPG)
    found = paid.generation.remix(sidecar["operationId"])
    assert found.workflow == "image_edit_multiple" and found.images == tuple(sidecar["inputFiles"])
    assert found.parameters == sidecar["parameters"], "its default model takes all of the example"
    paid.service.change_preferences(provider="local")
    local = paid.generation.remix(sidecar["operationId"])
    assert set(local.parameters) == {"aspectRatio", "outputFormat", "outputQuality"}
    assert set(local.left_out) == {"disableSafetyChecker", "goFast"}


@pytest.mark.parametrize(
    ("fields", "workflow", "left_out"),
    [
        ({}, None, ()),
        ({"operationType": "img_to_img", "inputFiles": [f"{ID}_in.jpg"], "inputCount": 1}, "image_edit_single", ()),
        ({"operationType": "image_to_video_single_step_2", "inputFiles": [f"{ID}_in.jpg"]}, "image_to_video_single", ()),
        ({"operationType": "image_edit_multiple", "inputFiles": [f"{ID}_in_2.jpg"], "inputCount": 2}, None, ("images",)),
        ({"operationType": 5, "parameters": [], "steps": 5, "prompt": {}, "inputFiles": "x", "inputCount": "x"}, None, ()),
        ({"operationType": "text_to_image", "model": "acme/gone", "parameters": {"x": {}}}, "text_to_image", ("model", "x")),
        ({"operationType": "text_to_image", "parameters": {"outputQuality": "95"}}, "text_to_image", ()),
    ],
)
def test_a_remix_of_odd_data_never_fails(
    app: App, making: Generation, fields: dict[str, Any], workflow: str | None, left_out: tuple[str, ...]
) -> None:
    plant(app.store, f"{ID}.json", json.dumps({"operationId": ID} | fields).encode())
    plant(app.store, f"{ID}_in.jpg", JPG)
    found = making.remix(ID)
    assert (found.workflow, found.left_out) == (workflow, left_out)
