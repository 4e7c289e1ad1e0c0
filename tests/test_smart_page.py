"""The Create page with a language model in the settings: asked by a click, in the background, and never needed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from opstore.app import App
from opstore.errors import ProviderUnavailable
from opstore.providers.models import Cost
from opstore.ui.opened_app import running
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
    while not at.session_state["question-" + key.removeprefix("ask-")].answer.done():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert model.asked == 1
    return sound(at.run())


def html(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def request(app: App) -> Any:
    (operation,) = app.service.jobs()
    return operation


@pytest.mark.long
def test_the_models_proposal_is_taken_with_its_prompts_for_the_steps(app: App) -> None:
    model = Model(json.dumps(CHAIN))
    at = page(app, model)
    assert at.session_state["asked"].shown == "image_edit_single" and model.asked == 0
    answered(at, model, "ask-analysis")
    assert at.session_state["asked"].shown == "edit_then_video"
    assert [box.value for box in at.text_area][1:] == ["un ciel rose", "il bouge"]
    assert str(CHAIN["reasoning"]) in html(at)
    assert "ask-analysis" not in [item.key for item in at.button], "it has been asked exactly this"
    assert "ask-wording" not in [item.key for item in at.button], "steps have prompts of their own"


def test_a_model_that_fails_changes_nothing_and_is_told(app: App) -> None:
    model = Model(ProviderUnavailable(reason="no connection", kind="network"))
    at = answered(page(app, model), model, "ask-analysis")
    assert at.session_state["asked"].shown == "image_edit_single"
    assert "the rules decided" in html(at)


@pytest.mark.long
def test_a_better_wording_is_shown_as_a_change_and_stored_with_the_old_one(app: App) -> None:
    model = Model("mets le ciel en rose vif")
    at = answered(page(app, model), model, "ask-wording")
    assert "<ins" in html(at) and "vif" in html(at)
    sound(next(item for item in at.button if item.label == "Generate").click().run())
    job = request(app)
    assert job.prompt == "mets le ciel en rose vif"
    wordings = {"originalPrompt": PROMPT, "optimizedPrompt": "mets le ciel en rose vif", "useOptimizedPrompt": True}
    assert wordings.items() <= job.parameters.items()


@pytest.mark.long
@pytest.mark.parametrize(("kind", "look"), [("analysis", 1), ("wording", 2)])
def test_an_answer_that_comes_while_the_page_is_drawn_is_shown_and_not_asked_for_again(
    app: App, monkeypatch: pytest.MonkeyPatch, kind: str, look: int
) -> None:
    """It comes right after the page has looked for it, where whoever offers to ask looks for a model."""
    model, answer, looks = Model(""), Future[object](), list[int]()
    monkeypatch.setattr(app.generation, "later", lambda _question: answer)
    at = page(app, model)
    sound(at.button(key=f"ask-{kind}").click().run())
    proposed = app.generation.propose(PROMPT, [PNG], "en")
    given: object = replace(proposed, reasoning="vif") if kind == "analysis" else (f"{PROMPT} vif", {})

    def asker() -> Model:
        looks.append(1)
        if len(looks) == look:
            answer.set_result(given)
        return model

    app.generation.asker = asker
    sound(at.run())
    assert "vif" in html(at) and f"ask-{kind}" not in [button.key for button in at.button]


@pytest.mark.long
def test_why_nothing_was_handed_over_stays_until_the_request_is_another_and_two_clicks_are_one(app: App) -> None:
    at = AppTest.from_file("../opstore/ui/main.py", default_timeout=30).run()
    at.button(key="generate").click().run()
    first = "Write a prompt first"
    assert first in html(at) and first in html(sound(at.run())), "it stays"
    at.text_area(key="prompt").set_value("a red barn")
    assert first not in html(sound(at.run())), "until the request is another"
    for _click in range(2):
        sound(at.button(key="generate").click().run())
    assert len(app.service.jobs()) == 1 and "requested a moment ago" in html(at)
    known = at.session_state["asked"]
    known.refusal = (*known.refusal[:2], known.refusal[2] - 1)  # a second later
    sound(at.button(key="generate").click().run())
    assert len(app.service.jobs()) == 2, "who was told, and presses once more, wants another one"


@pytest.mark.long
def test_what_the_page_sets_is_a_new_control_and_the_steps_follow_until_they_are_worded(app: App) -> None:
    at = page(app, Model("no"))
    at.session_state["override"] = "edit_then_video"
    at.text_area(key="prompt").set_value("make the sky pink, then zoom in slowly")
    edit, video = sound(at.run()).text_area[1:3]
    keys = edit.key, video.key
    at.text_area(key="prompt").set_value("turn the grass blue, then pan to the left")
    edit, video = sound(at.run()).text_area[1:3]
    assert "blue" in str(edit.value) and "pan" in str(video.value) and (edit.key, video.key) != keys
    video.set_value("stand still")
    assert sound(at.run()).text_area[2].value == "stand still"
    at.text_area(key="prompt").set_value("turn the grass red, then pan to the left")
    edit, video = sound(at.run()).text_area[1:3]
    assert "red" in str(edit.value) and video.value == "stand still"
    video.set_value("")
    assert "pan" in str(sound(at.run()).text_area[2].value), "nothing written is nothing chosen"
