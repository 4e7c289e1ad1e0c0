"""The form of Create: what was chosen in it is what is asked for, also by who comes back to it; nothing stale is added."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from opstore.app import App, Settings
from opstore.generation import Remix
from opstore.providers.models import Cost
from opstore.ui import controls
from opstore.ui.opened_app import running
from opstore.ui.studio import input_pictures, reuse, settings
from tests.samples import ID, LATER, MP4, PNG, SHORT
from tests.standin.client import set_up
from tests.told import control, generate, html, opened, sound, tell

LIBRARY, CREATE = "../../pages/library.py", "../../pages/create.py"


class Words:
    """A language model with a better wording."""

    name, title = "acme/words", "Acme"

    def cost(self) -> Cost:
        return Cost(0.005, "USD", "a question", True)

    def ask(self, instruction: str, question: str, pictures: Sequence[bytes] = ()) -> str:
        return "a red barn at dawn"


@pytest.fixture
def app() -> Iterator[App]:
    """The app that the pages open; nothing runs, so that what is handed over stays in its queue."""
    found = running()
    yield found
    found.stop()


def asked_for(app: App, name: str) -> list[Any]:
    return [job.parameters.get(name) for job in app.service.jobs()]


def sweeping(at: AppTest, name: str, values: str | list[str]) -> AppTest:
    """Write a prompt, and let a sweep go through these values of a parameter."""
    at.text_area(key="prompt").set_value("a red barn")
    sound(control(at, "selectbox", "axis-text_to_image-1").set_value(name).run())
    key = f"axis-text_to_image-1-{name}"
    box = at.text_input(key=key).set_value(values) if isinstance(values, str) else at.multiselect(key=key).set_value(values)
    return sound(box.run())


# -- sweeps ----------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("values", "says"), [("40; 50; x", "a whole number from 1 to 100"), (";".join(map(str, range(1, 31))), "30")]
)
def test_a_sweep_is_made_whole_or_not_at_all_and_it_is_said_why(app: App, values: str, says: str) -> None:
    at = generate(sweeping(opened(), "outputQuality", values))
    assert asked_for(app, "outputQuality") == [] and says in html(at)


def test_a_sweep_through_more_than_a_few_numbers_makes_each_of_them(app: App) -> None:
    generate(sweeping(opened(), "outputQuality", "10; 20; 30; 40; 50; 60; 70; 80; 90; 100"))
    assert sorted(asked_for(app, "outputQuality")) == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


@pytest.mark.long
@pytest.mark.parametrize(("name", "values"), [("outputQuality", "40; 50"), ("aspectRatio", ["4:3", "3:4"])])
def test_a_sweep_is_still_there_when_the_person_comes_back_from_another_page(
    app: App, name: str, values: str | list[str]
) -> None:
    at = sweeping(opened(), name, values)
    sound(at.switch_page(LIBRARY).run())
    generate(sound(at.switch_page(CREATE).run()))
    assert len(asked_for(app, name)) == 2


@pytest.mark.long
def test_the_settings_of_an_operation_are_not_swept_over_by_what_was_swept_before(app: App) -> None:
    app.store.save(
        ID, {"operationType": "text_to_image", "prompt": "a sea", "parameters": {"aspectRatio": "16:9"}}, outputs=[PNG]
    )
    at = sweeping(opened(), "aspectRatio", ["4:3", "3:4"])
    sound(at.button(key=f"remix-create-{ID}").click().run())
    generate(sound(at.run()))
    assert asked_for(app, "aspectRatio") == ["16:9"]


# -- pictures of the library -----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_picture_that_has_gone_from_the_library_is_not_left_out_unseen(app: App) -> None:
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    at = opened()
    sound(at.button(key=f"edit-create-{ID}").click().run())
    at.text_area(key="prompt").set_value("make it black and white")
    sound(at.run())
    app.service.curation.put_in_trash([ID])
    generate(at)
    assert app.service.jobs() == [] and "Press Generate again to go on without it" in html(at)


def test_a_picture_that_is_picked_while_others_are_made_is_the_one_that_was_clicked(app: App) -> None:
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    at = sound(opened().button(key="pick").click().run())
    for number in range(25):
        app.store.save(f"202611301200{number:02}_0123abcd", {"operationType": "text_to_image", "prompt": "a hill"}, outputs=[PNG])
    app.service.index.update()
    at.session_state["presses"]["picker opened"] = (ID, time.monotonic())
    sound(at.button(key="pick").click().run())
    assert at.session_state["gathered"].picked == [f"{ID}_out.png"]


def test_what_cannot_be_an_input_picture_is_said_by_whoever_takes_the_rest_to_create(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    app.store.save(LATER, {"operationType": "text_to_video", "prompt": "a film"}, outputs=[MP4])
    said: list[str] = []
    went: list[object] = []
    monkeypatch.setattr("streamlit.session_state", {})
    monkeypatch.setattr("streamlit.toast", said.append)
    monkeypatch.setattr("streamlit.switch_page", went.append)
    reuse.use_outputs(app.service, [LATER])
    assert not went and said == ["1 result is not a still picture, and was left out"]
    reuse.use_outputs(app.service, [ID, LATER, SHORT])
    assert len(went) == 1 and input_pictures.gathered().picked == [f"{ID}_out.png"]
    assert "There is no operation" in said[1] and said[2:] == said[:1]


# -- from one operation to the next ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_steps_of_what_was_asked_for_are_not_the_steps_of_the_next_wish(app: App) -> None:
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    at = opened()
    sound(at.button(key=f"edit-create-{ID}").click().run())
    at.text_area(key="prompt").set_value("make the sky pink, then zoom in slowly")
    sound(at.run())
    at.text_area[2].set_value("spin like mad")
    generate(sound(at.run()))
    sound(at.button(key=f"edit-create-{ID}").click().run())
    at.text_area(key="prompt").set_value("turn the grass blue, then pan to the left")
    sound(at.run())
    tell(at, "workflow", triggers={"chosen": {"value": "edit_then_video", "turn": 1}})
    assert "pan" in str(at.text_area[2].value)


def test_a_type_that_was_chosen_for_other_words_is_not_added_to_the_settings_of_an_operation(app: App) -> None:
    app.store.save(ID, {"operationType": "image_edit_single", "prompt": "a sea", "inputCount": 1}, outputs=[PNG])
    at = opened()
    tell(at, "workflow", triggers={"chosen": {"value": "text_to_video", "turn": 1}})
    assert at.session_state["override"] == "text_to_video"
    sound(at.button(key=f"remix-create-{ID}").click().run())
    assert "override" not in at.session_state


def test_the_settings_of_a_chain_are_shown_as_its_first_step_had_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both models have a resolution, and mean other things."""
    app = App(Settings(data=tmp_path, environment=set_up("r8_standin", "http://127.0.0.1:9")))
    models = {"image_edit_single": "bytedance/seedream-4", "image_to_video_single": "wan-video/wan-2.2-i2v-fast"}
    state: dict[str, Any] = {}
    monkeypatch.setattr("streamlit.session_state", state)
    remixed = Remix("", "a sea", "edit_then_video", ("",), models, {"resolution": "4K", "duration": 5}, None, ())
    settings.fill_in(app.service, "edit_then_video", remixed)
    assert state[controls.key_of("edit_then_video-resolution")] == "4K"
    assert state[controls.key_of("edit_then_video-duration")] == 5


# -- a better wording ------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_what_was_chosen_of_a_better_wording_still_holds_after_another_page(app: App) -> None:
    app.generation.asker = lambda: Words()
    at = opened()
    at.text_area(key="prompt").set_value("a red barn")
    sound(at.run())
    sound(at.button(key="ask-wording").click().run())
    at.session_state["question-wording"].answer.result(60)
    sound(at.run())
    (better,) = [item for item in at.text_area if item.label == "Improved prompt"]
    (used,) = [item for item in at.toggle if item.label == "Use this prompt"]
    better.set_value("a red barn in the rain")
    used.set_value(False)
    sound(at.run())
    sound(at.switch_page(LIBRARY).run())
    sound(at.switch_page(CREATE).run())
    assert [item.value for item in at.text_area if item.label == "Improved prompt"] == ["a red barn in the rain"]
    assert [item.value for item in at.toggle if item.label == "Use this prompt"] == [False]
