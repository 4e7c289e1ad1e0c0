"""Planning: every operation type becomes the right provider calls; what could not be run is refused before anything happens."""

from __future__ import annotations

from typing import Any

import pytest

from opstore.errors import InvalidInput, InvalidRequest
from opstore.providers.models import ModelTable, Parameter
from opstore.storage.operation import OPERATION_TYPES
from opstore.workflows import MAX_PROMPT, SEED_BITS, fitting, plan, step_types, suggest

TABLE = ModelTable.load()
EDIT, COMBINE, ANIMATE = "image_edit_single", "image_edit_multiple", "image_to_video_single"


def planned(kind: str, count: int, parameters: Any = None, **options: Any) -> Any:
    chosen: dict[str, Any] = {"prompt": "a sea", "provider": "local", "table": TABLE} | options
    return plan(kind, parameters=chosen.pop("parameters", parameters or {}), inputs=count, **chosen)


CALLS = [
    ("text_to_image", 0, ["text_to_image"]),
    (EDIT, 1, [EDIT]),
    *((COMBINE, count, [COMBINE]) for count in (2, 3, 4, 5)),
    ("text_to_video", 0, ["text_to_video"]),
    (ANIMATE, 1, [ANIMATE]),
    ("image_to_video_transition", 2, ["image_to_video_transition"]),
    ("edit_then_video", 1, [EDIT, ANIMATE]),
    *(("edit_then_video", count, [COMBINE, ANIMATE]) for count in (2, 3, 4, 5)),
]


@pytest.mark.parametrize("provider", ["local", "replicate"])
@pytest.mark.parametrize(("kind", "count", "calls"), CALLS)
def test_each_type_is_its_calls_with_a_model_and_a_seed_of_their_own(
    provider: str, kind: str, count: int, calls: list[str]
) -> None:
    steps = planned(kind, count, provider=provider)
    assert [step.operation_type for step in steps] == calls == list(step_types(kind, count))
    for step in steps:
        assert step.model == TABLE.default(provider, step.operation_type) and step.prompt == "a sea"
        seed = step.parameters.get("seed")
        assert (isinstance(seed, int) and 0 <= seed < 2**SEED_BITS) if step.model.takes_seed else seed is None


@pytest.mark.parametrize("kind", OPERATION_TYPES)
@pytest.mark.parametrize("count", range(-1, 12))
def test_only_the_number_of_images_that_a_type_takes_is_planned(kind: str, count: int) -> None:
    if (kind, count) in {(name, number) for name, number, _ in CALLS}:
        assert planned(kind, count) and kind in fitting(count)
        return
    assert kind not in fitting(count)
    with pytest.raises(InvalidRequest, match=kind):
        planned(kind, count)


def test_the_suggestion_fits_the_images() -> None:
    for count in range(6):
        assert suggest(count) in fitting(count)
    assert [suggest(count, wants_video=True) for count in range(3)] == ["text_to_video", ANIMATE, "image_to_video_transition"]
    assert fitting(6) == ()


def test_seeds_are_kept_where_given_and_differ_where_not() -> None:
    assert [step.parameters["seed"] for step in planned("edit_then_video", 1, {"seed": 0})] == [0, 0]
    assert len({planned("text_to_image", 0)[0].parameters["seed"] for _ in range(20)}) == 20
    assert isinstance(planned("text_to_image", 0, {"seed": None})[0].parameters["seed"], int)


def test_a_chain_has_one_seed_so_that_the_one_that_is_kept_makes_all_of_it_again() -> None:
    first, second = planned("edit_then_video", 1)
    assert first.parameters["seed"] == second.parameters["seed"]


def test_a_seed_is_drawn_within_the_limits_of_its_model() -> None:
    narrow = ModelTable.load('["opstore/local".parameters]\nseed = { kind = "integer", minimum = 5, maximum = 9 }')
    drawn = {planned("text_to_image", 0, table=narrow)[0].parameters["seed"] for _ in range(60)}
    assert drawn <= set(range(5, 10)) and len(drawn) > 1


def test_a_seed_of_64_bits_is_sent_as_it_was_given() -> None:
    seed = Parameter("seed", "seed", "integer", minimum=0, maximum=2**64 - 1)
    assert [seed.check(value) for value in (2**53 + 1, str(2**64 - 1), "7.0", 7.0)] == [2**53 + 1, 2**64 - 1, 7, 7]


def test_a_chain_has_a_prompt_for_each_step_and_elsewhere_the_prompt_is_the_prompt() -> None:
    own = {"editPrompt": "sepia", "videoPrompt": "zoom"}
    assert [step.prompt for step in planned("edit_then_video", 1, own)] == ["sepia", "zoom"]
    assert [step.prompt for step in planned("edit_then_video", 1, {"editPrompt": " ", "videoPrompt": 5})] == ["a sea", "a sea"]
    assert planned(ANIMATE, 1, own)[0].prompt == planned(EDIT, 1, own)[0].prompt == "a sea"
    with pytest.raises(InvalidRequest, match="characters"):
        planned("edit_then_video", 1, {"videoPrompt": "x" * (MAX_PROMPT + 1)})


def test_each_step_gets_the_parameters_it_knows_and_no_others() -> None:
    edit, video = planned(
        "edit_then_video", 1, {"outputFormat": "jpg", "duration": 2, "framesPerSecond": 8, "junk": 1, "seed": 5}
    )
    assert edit.parameters == {"outputFormat": "jpg", "seed": 5}
    assert video.parameters == {"duration": 2, "framesPerSecond": 8, "seed": 5}


def chain(edit: str, video: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    steps = planned("edit_then_video", 1, parameters, provider="replicate", models={EDIT: edit, ANIMATE: video})
    return [{name: value for name, value in step.parameters.items() if name != "seed"} for step in steps]


@pytest.mark.parametrize("seconds", [0, -3, 1e308, "auto"])
def test_a_length_of_which_no_frames_can_be_made_is_refused_by_name(seconds: object) -> None:
    lengths = 'choices = ["auto", 5]' if seconds == "auto" else 'kind = "number"'
    table = ModelTable.load(
        f'["a/b"]\ntypes = ["text_to_video"]\nparameters = {{ duration = {{ {lengths}, frames = [81, 121] }} }}'
    )
    with pytest.raises(InvalidRequest, match=r"duration is .* from 5.0625 to 7.5625 s"):
        planned("text_to_video", 0, {"duration": seconds}, provider="replicate", table=table, models={"text_to_video": "a/b"})


def test_what_only_one_model_of_a_chain_can_be_told_is_told_to_it_alone() -> None:
    seedream, wan, qwen, veo = "bytedance/seedream-4", "wan-video/wan-2.2-i2v-fast", "qwen/qwen-image-edit-plus", "google/veo-3.1"
    assert chain(seedream, wan, {"resolution": "4K"}) == [{"resolution": "4K"}, {}]
    assert chain(seedream, wan, {"resolution": "720p"}) == [{}, {"resolution": "720p"}]
    assert chain(qwen, veo, {"aspectRatio": "match_input_image"}) == [{"aspectRatio": "match_input_image"}, {}]
    assert chain(qwen, veo, {"aspectRatio": "9:16"}) == [{"aspectRatio": "9:16"}] * 2
    for parameters in ({"resolution": "5K"}, {"resolution": ""}):
        with pytest.raises(InvalidRequest, match="resolution"):
            chain(seedream, wan, parameters)
    with pytest.raises(InvalidRequest, match="aspectRatio is '1:1'"):
        chain(qwen, veo, {"aspectRatio": "1:1"})  # a shape that was asked for, of which the video would be another


def test_a_length_is_the_same_with_and_without_its_decimals() -> None:
    veo = TABLE.get("google/veo-3.1")
    assert [veo.validate("text_to_video", {"duration": given})["duration"] for given in (4, 4.0, "4", "4.0")] == [4] * 4
    for wrong in (4.5, 5.0, True, "", "four", float("nan")):
        with pytest.raises(InvalidRequest, match="duration"):
            veo.parameters_for("text_to_video")[2].check(wrong)


def test_a_model_is_chosen_by_name_for_a_step() -> None:
    chosen = {"image_edit_single": "black-forest-labs/flux-kontext-pro"}
    steps = planned("edit_then_video", 1, provider="replicate", models=chosen)
    assert [step.model.name for step in steps] == [chosen[EDIT], TABLE.default("replicate", ANIMATE).name]


REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("an unknown type", "img_to_img", {}, "not an operation type"),
    ("no type", "", {}, "not an operation type"),
    ("a type that is a list", ["text_to_image"], {}, "not an operation type"),
    ("a type in another case", "TEXT_TO_IMAGE", {}, "not an operation type"),
    ("no prompt", "text_to_image", {"prompt": ""}, "no prompt"),
    ("white space", "text_to_image", {"prompt": " \n\t\u2003"}, "no prompt"),
    ("a prompt that is a number", "text_to_image", {"prompt": 5}, "no prompt"),
    ("a prompt that is too long", "text_to_image", {"prompt": "x" * (MAX_PROMPT + 1)}, "20001"),
    ("parameters that are a list", "text_to_image", {"parameters": [1]}, "object"),
    ("a value that JSON lacks", "text_to_image", {"parameters": {"junk": float("nan")}}, "nan"),
    ("a ratio that is none", "text_to_image", {"parameters": {"aspectRatio": "17:4"}}, "aspectRatio"),
    ("a quality beyond the best", "text_to_image", {"parameters": {"outputQuality": 101}}, "outputQuality"),
    ("a quality in words", "text_to_image", {"parameters": {"outputQuality": "best"}}, "outputQuality"),
    ("a negative seed", "text_to_image", {"parameters": {"seed": -1}}, "seed"),
    ("a seed of 100 digits", "text_to_image", {"parameters": {"seed": 10**100}}, "seed"),
    ("an unknown model", "text_to_image", {"models": {"text_to_image": "nobody/nothing"}}, "no model"),
    ("a model of another provider", "text_to_image", {"models": {"text_to_image": "qwen/qwen-image"}}, "qwen/qwen-image"),
    ("a provider without models", "text_to_image", {"provider": "nobody"}, "nobody"),
]


@pytest.mark.parametrize(("kind", "options", "word"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_run_is_refused_by_name(kind: Any, options: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        planned(kind, 0, **options)


def test_the_longest_prompt_is_planned() -> None:
    assert planned("text_to_image", 0, prompt="x" * MAX_PROMPT)
