"""The table of models: what it sends is what the models' schemas take, what it costs is said with its source or not at all."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opstore.errors import InvalidRequest
from opstore.providers import Prediction, StepRequest
from opstore.providers.models import Model, ModelTable, Parameter, Price
from opstore.storage.operation import OPERATION_TYPES, STEP_TYPES
from tests.examples import some
from tests.standin.world import SCHEMAS, Refused, Settings, World

DOCS = Path(__file__).parents[1] / "docs" / "models.md"
TABLE = ModelTable.load()
ORIGINAL = {
    "text_to_image": "qwen/qwen-image",
    "image_edit_single": "qwen/qwen-image-edit-plus",
    "image_edit_multiple": "qwen/qwen-image-edit-plus",
    "text_to_video": "wan-video/wan-2.2-t2v-fast",
    "image_to_video_single": "wan-video/wan-2.2-i2v-fast",
    "image_to_video_transition": "wan-video/wan-2.2-i2v-fast",
}
PAIRS = [(model, kind) for model in TABLE.by_name.values() for kind in model.types]
REMOTE = [(model, kind) for model, kind in PAIRS if model.provider == "replicate"]
IDS = [f"{model.name}-{kind}" for model, kind in REMOTE]


def request(model: Model, kind: str, parameters: dict[str, Any] | None = None, prompt: str = "a cat") -> StepRequest:
    return StepRequest("20251103143022_abc123de", kind, prompt, parameters or {}, (), model.name)


def addresses(kind: str, most: bool = False) -> list[str]:
    row = OPERATION_TYPES[kind]
    return [f"https://example.com/{n}.png" for n in range(row.maximum if most else row.minimum)]


def every_value(parameter: Parameter) -> Iterator[Any]:
    """Yield all choices, or both ends, of a parameter."""
    if parameter.kind == "choice":
        yield from parameter.choices
    elif parameter.kind == "boolean":
        yield from (True, False)
    elif parameter.kind == "text":
        yield "no people"
    else:
        yield from (value for value in (parameter.minimum, parameter.default, parameter.maximum) if value is not None)


# -- what is sent ----------------------------------------------------------------------------------------------------------


def test_what_ships_has_no_problems_and_a_model_for_every_type() -> None:
    assert TABLE.problems == ()
    for provider, kind in itertools.product(("local", "replicate"), STEP_TYPES):
        assert TABLE.default(provider, kind) == TABLE.models(provider, kind)[0]
    assert {kind: TABLE.default("replicate", kind).name for kind in STEP_TYPES} == ORIGINAL
    assert {TABLE.default("local", kind).name for kind in STEP_TYPES} == {"opstore/local"}


@pytest.mark.parametrize(("model", "kind"), REMOTE, ids=IDS)
def test_every_choice_of_every_model_is_one_its_schema_takes(model: Model, kind: str) -> None:
    world = World(Settings())
    sent = model.arguments(request(model, kind), addresses(kind, most=True))
    world._check_input(SCHEMAS[model.name], sent)
    tried = 0
    for parameter in model.parameters_for(kind):
        for value in every_value(parameter):
            try:
                sent = model.arguments(request(model, kind, {parameter.name: value}), addresses(kind))
            except InvalidRequest as error:  # a rule between two parameters, or frames that do not fit the rate
                assert parameter.frames or parameter.name in ("duration", "framesPerSecond"), error
                continue
            assert sent[parameter.field] is not None
            world._check_input(SCHEMAS[model.name], sent)
            tried += 1
    assert tried >= len(model.parameters_for(kind))


@pytest.mark.parametrize(("model", "kind"), REMOTE, ids=IDS)
def test_every_field_is_the_schemas_own(model: Model, kind: str) -> None:
    fields = SCHEMAS[model.name]["fields"]
    for parameter in model.parameters_for(kind):
        wanted = fields[parameter.field]
        if parameter.kind == "choice":
            assert {parameter.sent(choice) for choice in parameter.choices} <= set(wanted["enum"])
        elif not parameter.frames:
            expected = {"text": "string"}.get(parameter.kind, parameter.kind)
            assert wanted["type"] == expected
    assert model.takes_seed == ("seed" in fields)


def test_the_check_above_can_fail() -> None:
    with pytest.raises(Refused, match=r"input\.output_format"):
        World(Settings())._check_input(SCHEMAS["google/nano-banana"], {"prompt": "a", "output_format": "webp"})
    with pytest.raises(Refused, match=r"input\.outputFormat"):
        World(Settings())._check_input(SCHEMAS["google/nano-banana"], {"prompt": "a", "outputFormat": "jpg"})


def test_what_a_model_does_not_take_is_never_sent() -> None:
    model = TABLE.get("google/nano-banana")
    sent = model.arguments(
        request(model, "text_to_image", {"outputQuality": 5, "lora": "x", "seed": 1, "aspectRatio": "1:1"}), []
    )
    assert sent == {"prompt": "a cat", "aspect_ratio": "1:1", "output_format": "jpg"}
    assert model.validate("text_to_image", {"outputQuality": 5, "aspectRatio": None}) == {}


def test_inputs_go_where_the_schema_wants_them() -> None:
    two = addresses("image_to_video_transition")
    placed = {
        "wan-video/wan-2.2-i2v-fast": {"image": two[0], "last_image": two[1]},
        "google/veo-3.1": {"image": two[0], "last_frame": two[1]},
        "kwaivgi/kling-v2.5-turbo-pro": {"start_image": two[0], "end_image": two[1]},
        "minimax/hailuo-02": {"first_frame_image": two[0], "last_frame_image": two[1]},
    }
    for name, wanted in placed.items():
        sent = TABLE.get(name).arguments(request(TABLE.get(name), "image_to_video_transition"), two)
        assert wanted.items() <= sent.items()
    edit = TABLE.get("qwen/qwen-image-edit-plus")
    assert edit.arguments(request(edit, "image_edit_single"), ["https://a.example/1"])["image"] == ["https://a.example/1"]
    kontext = TABLE.get("black-forest-labs/flux-kontext-pro")
    assert (
        kontext.arguments(request(kontext, "image_edit_single"), ["https://a.example/1"])["input_image"] == "https://a.example/1"
    )


def test_kling_makes_transitions_in_its_pro_mode_only() -> None:
    model = TABLE.get("kwaivgi/kling-v2.1")
    assert model.fields("image_to_video_transition", {"resolution": "720p"})["mode"] == "pro"
    assert model.fields("image_to_video_single", {"resolution": "1080p"})["mode"] == "pro"
    assert model.fields("image_to_video_single", {})["mode"] == "standard"


def test_words_are_turned_into_the_providers() -> None:
    assert TABLE.get("openai/gpt-image-1.5").fields("text_to_image", {"outputFormat": "jpg"})["output_format"] == "jpeg"


# -- what is refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "parameters", "said"),
    [
        ("qwen/qwen-image", "text_to_image", {"outputQuality": 101}, r"outputQuality is '101'.*whole number from 0 to 100 %"),
        ("qwen/qwen-image", "text_to_image", {"outputQuality": 9.5}, "outputQuality"),
        ("qwen/qwen-image", "text_to_image", {"outputQuality": True}, "outputQuality"),
        ("qwen/qwen-image", "text_to_image", {"outputQuality": "many"}, "outputQuality"),
        ("qwen/qwen-image", "text_to_image", {"seed": -1}, "seed"),
        ("qwen/qwen-image", "text_to_image", {"guidance": float("nan")}, "guidance"),
        ("qwen/qwen-image", "text_to_image", {"guidance": "1e999"}, "guidance"),
        ("qwen/qwen-image", "text_to_image", {"goFast": "maybe"}, "goFast.*true or false"),
        ("qwen/qwen-image", "text_to_image", {"aspectRatio": ["1:1"]}, "aspectRatio"),
        ("qwen/qwen-image", "text_to_image", {"negativePrompt": "\ud800"}, "negativePrompt"),
        ("qwen/qwen-image", "text_to_image", {"negativePrompt": "x" * 20_001}, "negativePrompt.*20000"),
        ("google/nano-banana", "text_to_image", {"outputFormat": "webp"}, "outputFormat is 'webp', but must be one of jpg, png"),
        ("kwaivgi/kling-v2.5-turbo-pro", "text_to_video", {"duration": 7}, "duration.*one of 5, 10"),
        ("minimax/hailuo-02", "text_to_video", {"duration": 10}, "with duration 10, resolution must be one of 768p"),
        ("wan-video/wan-2.2-t2v-fast", "text_to_video", {"duration": 5, "framesPerSecond": 30}, "framesPerSecond from 17 to 24"),
        ("wan-video/wan-2.2-t2v-fast", "text_to_video", {"duration": 1}, "duration.*from 2.7 to 24.2 s"),
        ("qwen/qwen-image", "text_to_video", {}, "does not support text_to_video. Supported types: text_to_image"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, kind: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        TABLE.get(name).validate(kind, parameters)


def test_text_from_a_form_is_converted() -> None:
    model = TABLE.get("qwen/qwen-image")
    given_text = {"outputQuality": "90", "guidance": "2.5", "goFast": "false", "seed": "7", "aspectRatio": "1:1"}
    expected = {"aspectRatio": "1:1", "outputQuality": 90, "guidance": 2.5, "goFast": False, "seed": 7}
    assert model.validate("text_to_image", given_text) == expected
    assert TABLE.get("kwaivgi/kling-v2.5-turbo-pro").validate("text_to_video", {"duration": "10"}) == {"duration": 10}


@pytest.mark.parametrize("prompt", ["", "  \n", "a \udc80 cat"])
def test_a_prompt_that_cannot_be_sent_is_refused(prompt: str) -> None:
    model = TABLE.get("qwen/qwen-image")
    with pytest.raises(InvalidRequest, match="the prompt"):
        model.arguments(request(model, "text_to_image", prompt=prompt), [])


def test_more_images_than_fit_are_refused() -> None:
    model = TABLE.get("qwen/qwen-image-edit-plus")
    with pytest.raises(InvalidRequest, match="2 to 5"):
        model.arguments(request(model, "image_edit_multiple"), ["https://a.example/1"] * 6)
    with pytest.raises(InvalidRequest, match="at most 1"):
        TABLE.get("google/veo-3.1").inputs.place("image_to_video_single", ["a", "b"])


@pytest.mark.parametrize("name", ["nobody/nothing", "", "../../etc", None, 5])
def test_an_unknown_model_is_refused(name: Any) -> None:
    with pytest.raises(InvalidRequest, match="there is no model"):
        TABLE.get(name)


def test_a_provider_without_models_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'fal' has no model"):
        TABLE.default("fal", "text_to_image")


# -- the length of a clip --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "frames"),
    [
        ({}, 81),
        ({"duration": 5}, 81),
        ({"duration": 7.5}, 120),
        ({"duration": 7.6}, 121),
        ({"duration": 4, "framesPerSecond": 30}, 120),
    ],
)
def test_seconds_become_frames_where_the_model_counts_frames(parameters: dict[str, Any], frames: int) -> None:
    assert TABLE.get("wan-video/wan-2.2-t2v-fast").fields("text_to_video", parameters)["num_frames"] == frames


def test_every_length_is_offered_in_seconds() -> None:
    lengths = [p for model in TABLE.by_name.values() for p in model.parameters if p.name == "duration"]
    assert len(lengths) >= 8
    assert {p.unit for p in lengths} == {"s"}


# -- money -----------------------------------------------------------------------------------------------------------------


def ended(status: Any = "succeeded", outputs: int = 1, **more: Any) -> Prediction:
    return Prediction(status, outputs=tuple(f"https://example.com/{n}" for n in range(outputs)), **more)


def test_an_estimate_says_what_it_is_made_of() -> None:
    cost = TABLE.get("qwen/qwen-image").estimate("text_to_image", {}, outputs=3)
    assert cost is not None
    assert cost.record() == {
        "amount": 0.075,
        "currency": "USD",
        "basis": "3 images × $0.025 (list price of 2026-09)",
        "estimated": True,
    }


@pytest.mark.parametrize(
    ("name", "kind", "parameters", "amount"),
    [
        ("google/veo-3.1-fast", "text_to_video", {"duration": 6}, 0.9),
        ("google/veo-3.1-fast", "text_to_video", {"duration": 6, "generateAudio": False}, 0.6),
        ("google/nano-banana-2", "text_to_image", {"resolution": "4K"}, 0.151),
        ("openai/gpt-image-1.5", "text_to_image", {"quality": "low"}, 0.013),
        ("black-forest-labs/flux-2-pro", "text_to_image", {"resolution": "2 MP"}, 0.045),
        ("black-forest-labs/flux-2-pro", "image_edit_single", {}, None),  # depends on the input's megapixels
        ("wan-video/wan-2.2-t2v-fast", "text_to_video", {}, 0.05),
        ("wan-video/wan-2.2-i2v-fast", "image_to_video_single", {"resolution": "720p", "duration": 7.6}, 0.145),
        ("wan-video/wan-2.2-i2v-fast", "image_to_video_single", {"resolution": "720p"}, None),
        ("minimax/hailuo-02", "text_to_video", {}, None),
        ("opstore/local", "text_to_image", {}, 0.0),
    ],
)
def test_estimates_follow_what_would_be_sent(name: str, kind: str, parameters: dict[str, Any], amount: float | None) -> None:
    cost = TABLE.get(name).estimate(kind, parameters)
    assert (cost and cost.amount) == amount


def test_the_cost_afterwards_counts_what_came() -> None:
    image = TABLE.get("qwen/qwen-image")
    assert image.cost("text_to_image", {}, ended()) == image.estimate("text_to_image", {})
    two = image.cost("text_to_image", {}, ended(outputs=2))
    assert two is not None and two.amount == 0.05
    video = TABLE.get("kwaivgi/kling-v2.5-turbo-pro").cost("text_to_video", {"duration": 10}, ended(predict_seconds=93.0))
    assert video is not None and (video.amount, video.estimated) == (0.7, True)
    assert image.cost("text_to_image", {}, Prediction("processing")) is None
    assert TABLE.get("minimax/hailuo-02").cost("text_to_video", {}, ended()) is None


def test_what_did_not_succeed_says_whether_it_is_billed() -> None:
    image = TABLE.get("qwen/qwen-image")
    said = {
        status: image.cost("text_to_image", {}, ended(status, 0)) for status in ("failed", "aborted", "canceled", "succeeded")
    }
    assert {status: cost and cost.amount for status, cost in said.items()} == {
        "failed": 0.0,
        "aborted": 0.0,
        "canceled": None,
        "succeeded": None,
    }
    assert all(cost and cost.estimated and cost.basis for cost in said.values())
    assert "may have billed" in (said["canceled"].basis if said["canceled"] else "")


COMMUNITY = f"""
["me/mine:{"a" * 64}"]
title = "Mine"
types = ["text_to_image"]
price = {{ amount = 0.0014, per = "second_of_compute", date = 2026-11-02 }}
"""


def test_computing_time_is_priced_by_the_second_even_when_it_failed() -> None:
    model = ModelTable.load(COMMUNITY).get(f"me/mine:{'a' * 64}")
    assert model.estimate("text_to_image", {}) is None  # nobody knows before how long it will run
    done = model.cost("text_to_image", {}, ended(predict_seconds=2.5))
    assert done is not None and done.amount == 0.0035
    assert done.basis == "2.5 seconds of computing × $0.0014 (list price of 2026-11-02)"
    failed = model.cost("text_to_image", {}, ended("failed", 0, predict_seconds=1.0))
    assert failed is not None and failed.amount == 0.0014 and "failed, billed for the time it ran" in failed.basis
    unknown = model.cost("text_to_image", {}, ended("canceled", 0))
    assert unknown is not None and unknown.amount is None


def test_the_local_engine_is_free_and_that_is_no_estimate() -> None:
    local = TABLE.get("opstore/local")
    for status in ("succeeded", "failed", "canceled"):
        cost = local.cost("text_to_image", {}, ended(status, 0))
        assert cost is not None and cost.record() == {
            "amount": 0.0,
            "currency": "USD",
            "basis": "local engine: free",
            "estimated": False,
        }


def test_every_price_has_its_date_or_says_that_it_is_not_known() -> None:
    prices = {name: model.price for name, model in TABLE.by_name.items() if model.price and not model.price.exact}
    assert len(prices) >= 14
    undated = {name for name, price in prices.items() if not re.fullmatch(r"20\d\d-\d\d", price.date)}
    assert undated == {"wan-video/wan-2.2-t2v-fast", "wan-video/wan-2.2-i2v-fast"}
    cost = TABLE.get("wan-video/wan-2.2-t2v-fast").estimate("text_to_video", {})
    assert cost is not None and cost.basis == "1 run × $0.05 (list price, its date not known)"


# -- a user's own file -----------------------------------------------------------------------------------------------------


def test_a_user_mends_a_price_and_nothing_else_changes() -> None:
    table = ModelTable.load('["qwen/qwen-image".price]\namount = 0.5\nper = "image"\ndate = "2026-12"\n')
    assert table.problems == ()
    mended, shipped = table.get("qwen/qwen-image"), TABLE.get("qwen/qwen-image")
    assert mended.price == Price(0.5, "image", date="2026-12")
    assert mended.parameters == shipped.parameters
    assert {n: m for n, m in table.by_name.items() if n != mended.name} == {
        n: m for n, m in TABLE.by_name.items() if n != shipped.name
    }


def test_a_user_adds_a_model_and_a_parameter_and_a_default() -> None:
    table = ModelTable.load(
        """
        ["acme/painter"]
        types = ["text_to_image", "image_edit_single"]
        default_for = ["text_to_image"]
        inputs = { field = "picture" }
        parameters.brush = { choices = ["fine", "broad"], default = "fine" }
        ["qwen/qwen-image".parameters]
        strength = { kind = "number", minimum = 0, maximum = 1 }
        """
    )
    assert table.problems == ()
    painter = table.get("acme/painter")
    assert (painter.provider, painter.title, painter.price) == ("replicate", "acme/painter", None)
    assert painter.arguments(request(painter, "image_edit_single"), ["https://a.example/1"]) == {
        "prompt": "a cat",
        "brush": "fine",
        "picture": "https://a.example/1",
    }
    assert table.default("replicate", "text_to_image") == painter, "a user's own default comes before the one that ships"
    assert table.default("replicate", "image_edit_single") == TABLE.default("replicate", "image_edit_single")
    assert [p.name for p in table.get("qwen/qwen-image").parameters][-1] == "strength"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("this is not toml", "models.toml was left out: it is not valid TOML"),
        ("a = " + "[" * 5000, "models.toml was left out"),
        ("x" * 1_000_001, "more than 1000000 characters"),
        ("qwen = 5", "'qwen' was left out: it must be a table"),
        ('["no slash"]\ntypes = ["text_to_image"]', "a name looks like owner/name"),
        ('["../../etc/passwd"]\ntypes = ["text_to_image"]', "a name looks like owner/name"),
        ('["a/b"]\ntitle = "x"', "types must be a list"),
        (
            '["a/b"]\nprovider = "replicat"\ntypes = ["text_to_image"]',
            "'a/b' was left out: provider names 'replicat', who is not registered here; write local or replicate",
        ),
        ('["qwen/qwen-image"]\nprovider = "Replicate"', "provider names 'Replicate'"),
        ('["a/b"]\ntypes = []', "types must list at least one"),
        ('["a/b"]\ntypes = ["paint"]', "types has 'paint'; operation types are text_to_image"),
        ('["a/b"]\ntypes = ["edit_then_video"]', "types has 'edit_then_video'"),
        ('["a/b"]\ntypes = ["image_edit_single"]', "needs inputs.field"),
        ('["a/b"]\ntypes = ["image_edit_multiple"]\ninputs = { field = "x" }', "inputs.many = true"),
        ('["a/b"]\ntypes = ["image_to_video_transition"]\ninputs = { field = "x" }', "needs inputs.last_field"),
        ('["a/b"]\ntypes = ["text_to_image"]\nprise = 5', "the model has no 'prise'"),
        ('["qwen/qwen-image"]\nprice = { amount = -1, per = "image" }', "below zero"),
        ('["qwen/qwen-image"]\nprice = { amount = "much", per = "image" }', "price.amount must be a number"),
        ('["qwen/qwen-image"]\nprice = { amount = nan, per = "image" }', "price.amount must be a number"),
        ('["qwen/qwen-image"]\nprice = { amount = 1, per = "hour" }', "price.per must be one of image"),
        ('["qwen/qwen-image"]\nprice = { per = "image" }', "price.amount is missing"),
        ('["qwen/qwen-image"]\nprice = { amount = 1, per = "image", currency = "$" }', "price.currency must be three letters"),
        ('["a/b"]\ntypes = ["text_to_image"]\nparameters.x = { kind = "colour" }', "parameters.x.kind must be one of"),
        (
            '["a/b"]\ntypes = ["text_to_image"]\nparameters.x = { choices = [1], default = 2 }',
            "parameters.x.default does not fit",
        ),
    ],
)
def test_a_bad_entry_is_a_sentence_and_the_rest_goes_on(text: str, said: str) -> None:
    table = ModelTable.load(text)
    assert len(table.problems) == 1
    assert said in table.problems[0]
    assert table.by_name == TABLE.by_name


def test_a_good_entry_beside_a_bad_one_counts() -> None:
    table = ModelTable.load('["a/b"]\ntypes = ["text_to_image"]\n["c/d"]\ntypes = 5\n')
    assert "a/b" in table.by_name
    assert len(table.problems) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=some(200), deadline=None)
@given(st.text(max_size=60) | st.sampled_from([COMMUNITY]).map(lambda text: text[::2]))
def test_no_text_stops_the_program(text: str) -> None:
    assert TABLE.by_name.keys() <= ModelTable.load(text).by_name.keys()


@settings(max_examples=some(300), deadline=None)
@given(st.sampled_from(PAIRS), st.data())
def test_any_parameters_are_refused_or_fit(pair: tuple[Model, str], data: st.DataObject) -> None:
    model, kind = pair
    names = [parameter.name for parameter in model.parameters_for(kind)]
    parameters = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=3))
    try:
        sent = model.arguments(request(model, kind, parameters), addresses(kind))
    except InvalidRequest:
        return
    if model.provider == "replicate":
        World(Settings())._check_input(SCHEMAS[model.name], sent)


# -- what is written of it -------------------------------------------------------------------------------------------------


def price_in_words(model: Model) -> str:
    price = model.price
    if price is None:
        return "unknown"
    if price.exact:
        return "free"
    unit = {"image": "an image", "second_of_video": "a second", "second_of_compute": "a second", "run": "a run"}[price.per]
    amounts = [variant.amount for variant in price.variants] or [price.amount or 0.0]
    span = f"${min(amounts):g}" + (f"–{max(amounts):g}" if max(amounts) > min(amounts) else "")
    only = f", {' and '.join(price.types)} only" if price.types else ""
    return f"{span} {unit} ({price.date or 'date not known'}{only})"


def documented_row(model: Model) -> str:
    kinds = ", ".join(model.types) if len(model.types) < len(STEP_TYPES) else "all"
    seed = "yes" if model.takes_seed else "no"
    return f"| {model.title} | `{model.name}` | {kinds} | {seed} | {price_in_words(model)} |"


def test_the_page_lists_what_ships() -> None:
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if re.match(r"\| .* \| `.*/.*` \|", line)]
    assert rows == [documented_row(model) for model in TABLE.by_name.values()]


def test_the_examples_of_the_page_work() -> None:
    examples = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        table = ModelTable.load(example)
        assert table.problems == ()
        assert table.by_name != TABLE.by_name


def test_the_table_is_light() -> None:
    code = (
        "import sys, opstore.providers.models as m; m.ModelTable.load()\n"
        "print([n for n in ('replicate', 'httpx', 'PIL', 'av', 'pandas', 'streamlit') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
