"""The Create page with a language model in the settings: asked by a click, in the background, and never needed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from opstore.app import App
from opstore.errors import ProviderUnavailable
from opstore.providers.models import Cost
from opstore.ui.state import running
from tests.samples import PNG

PROMPT = "mets le ciel en rose"
CHAIN = {
    "workflow": "edit_then_video",
    "confidence": 0.8,
    "reasoning": "On veut un ciel rose qui bouge.",
    "editPrompt": "un ciel rose",
    "videoPrompt": "il bouge",
}


class Model:
    """A language model that answers what it was made with."""

    name, title = "acme/words", "Acme"

    def __init__(self, answer: str | Exception) -> None:
        self.answer, self.asked = answer, 0

    def cost(self) -> Cost:
        return Cost(0.005, "USD", "a question", True)

    def ask(self, instruction: str, question: str, pictures: Sequence[bytes] = ()) -> str:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def app() -> Iterator[App]:
    found = running()
    yield found
    found.stop()


def page(app: App, model: Model) -> AppTest:
    """Open Create with a photo and a prompt."""
    app.generation.asker = lambda: model
    at = AppTest.from_file("../opstore/ui/main.py", default_timeout=30)
    at.run()
    at.file_uploader(key="upload-0").upload("photo.png", PNG, "image/png")
    at.text_area(key="prompt").set_value(PROMPT)
    return sound(at.run())


def sound(at: AppTest) -> AppTest:
    assert not at.exception, [item.value for item in at.exception]
    return at


def answered(at: AppTest, model: Model, key: str) -> AppTest:
    """Press a button and wait for what it asks."""
    sound(at.button(key=key).click().run())
    deadline = time.monotonic() + 10
    while not at.session_state["question-" + key.removeprefix("ask-")][1].done():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert model.asked == 1
    return sound(at.run())


def html(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def request(app: App) -> Any:
    (operation,) = app.service.jobs()
    return operation


def test_the_models_proposal_is_taken_with_its_prompts_for_the_steps(app: App) -> None:
    model = Model(json.dumps(CHAIN))
    at = page(app, model)
    assert at.segmented_control(key="type-1").value == "image_edit_single" and model.asked == 0
    answered(at, model, "ask-analysis")
    assert at.segmented_control(key="type-1").value == "edit_then_video"
    assert (at.text_area(key="edit-prompt").value, at.text_area(key="video-prompt").value) == ("un ciel rose", "il bouge")
    assert str(CHAIN["reasoning"]) in html(at)
    assert "ask-analysis" not in [item.key for item in at.button], "it has been asked exactly this"
    assert "ask-wording" not in [item.key for item in at.button], "steps have prompts of their own"


def test_a_model_that_fails_changes_nothing_and_is_told(app: App) -> None:
    model = Model(ProviderUnavailable(reason="no connection", kind="network"))
    at = answered(page(app, model), model, "ask-analysis")
    assert at.segmented_control(key="type-1").value == "image_edit_single"
    assert "the rules decided" in html(at)


def test_a_better_wording_is_shown_as_a_change_and_stored_with_the_old_one(app: App) -> None:
    model = Model("mets le ciel en rose vif")
    at = answered(page(app, model), model, "ask-wording")
    assert "<ins" in html(at) and "vif" in html(at)
    sound(next(item for item in at.button if item.label == "Generate").click().run())
    job = request(app)
    assert job.prompt == "mets le ciel en rose vif"
    wordings = {"originalPrompt": PROMPT, "optimizedPrompt": "mets le ciel en rose vif", "useOptimizedPrompt": True}
    assert wordings.items() <= job.parameters.items()
