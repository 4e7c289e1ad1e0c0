"""Presses and words that come while Create changes: what was asked for is made, once, or a true word says why not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from opstore.app import App
from opstore.errors import OperationNotFound, StorageError
from opstore.jobs import JobFolder
from opstore.jobs.new_operation import NewOperation
from opstore.providers.models import Cost
from opstore.service import Service
from opstore.storage.job import Job
from opstore.ui import presses
from opstore.ui.opened_app import running
from opstore.ui.studio import request_form
from tests.samples import ID, LATER, PNG
from tests.told import generate, html, opened, press_late, sound, tell

VIDEO = "a video of waves, slow motion"


@pytest.fixture
def app() -> Iterator[App]:
    """The app that the pages open; nothing runs, so that what is handed over stays in its queue."""
    found = running()
    yield found
    found.stop()


@pytest.fixture
def paid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every request cost something."""
    costs: Sequence[Sequence[Cost]] = [[Cost(0.4, "USD", "a picture", True)]]
    monkeypatch.setattr(request_form, "price", lambda *_: costs)


def texts(at: AppTest) -> list[str]:
    return [element.value for element in at.text]


def kinds(app: App) -> list[str]:
    return [job.type for job in app.service.jobs()]


# -- run again -------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_run_again_is_done_once_though_another_result_has_taken_its_place(app: App) -> None:
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    at = opened()
    name = at.button(key=f"again-create-{ID}").id  # the browser shows it yet
    app.store.save(LATER, {"operationType": "text_to_image", "prompt": "a hill"}, outputs=[PNG])
    app.service.index.update()
    sound(at.run())
    assert f"again-create-{LATER}" in [item.key for item in at.button]
    press_late(at, name)
    assert [job.prompt for job in app.service.jobs()] == ["a sea"]
    assert [item.value for item in at.toast] == []


def test_a_double_click_on_run_again_pays_once_however_long_the_run_takes_to_its_button(app: App) -> None:
    app.store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    at = opened()
    sound(at.button(key=f"again-create-{ID}").click().run())
    take, late = presses.take, [0.0]

    def late_to(key: str) -> Any:
        if value := take(key):
            late[0] = 10.0
        return value

    with pytest.MonkeyPatch.context() as slow:
        slow.setattr(presses, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late[0]))
        slow.setattr(presses, "take", late_to)
        for key in at.session_state["pressed"]:
            at.session_state["pressed"][key] = (time.monotonic(), True)  # drawn just now, whatever this machine has to do
        sound(at.button(key=f"again-create-{ID}").click().run())
    assert late[0] and len(app.service.jobs()) == 1 and "requested a moment ago" in at.toast[0].value
    for key in at.session_state["pressed"]:
        at.session_state["pressed"][key] = (time.monotonic() - presses.DOUBLE_CLICK_SECONDS, True)
    sound(at.button(key=f"again-create-{ID}").click().run())
    assert len(app.service.jobs()) == 2, "who presses once more later wants another one"


def test_run_again_that_was_refused_was_not_requested_a_moment_ago(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presses, "DOUBLE_CLICK_SECONDS", 60.0)  # however long a busy machine takes to draw the page
    app.store.save(ID, {"operationType": "image_edit_single", "prompt": "a sea"}, outputs=[PNG])  # its input is not here
    at = opened()
    for _click in range(2):
        sound(at.button(key=f"again-create-{ID}").click().run())
        assert "This request cannot be run" in html(at) and not at.toast


def test_a_press_that_stops_one_batch_stops_no_other_that_has_taken_its_place(app: App) -> None:
    for batch, prompt in ((ID, "a sea"), (LATER, "a hill")):
        for number in (1, 2):
            app.service.create(NewOperation("text_to_image", prompt, batch_id=batch, batch_index=number))
    at = opened()
    at.session_state["asked"].sheet = ID
    sound(at.run())
    (stop,) = [item for item in at.button if item.label == "Cancel all"]
    at.session_state["asked"].sheet = LATER  # another request; the browser shows the first one's yet
    press_late(at, stop.id)
    stopped = {job.prompt for job in app.service.jobs() if job.cancel}
    assert "a hill" not in stopped


@pytest.mark.long
def test_one_that_ended_at_that_moment_keeps_no_other_of_its_batch_from_being_stopped(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        app.service.create(NewOperation("text_to_image", "a sea", batch_id=ID, batch_index=number))
    at, stop, asked = opened(), Service.cancel, list[str]()
    at.session_state["asked"].sheet = ID
    sound(at.run())

    def ends_first(service: Service, operation_id: str) -> None:
        asked.append(operation_id)
        if len(asked) < 3:
            raise (OperationNotFound(operation_id=operation_id), StorageError(reason="the disk is full"))[len(asked) - 1]
        stop(service, operation_id)

    monkeypatch.setattr(Service, "cancel", ends_first)
    sound(at.button(key=f"cancel-sheet-{ID}").click().run())
    assert [job.id for job in app.service.jobs() if job.cancel] == asked[2:] != []
    assert "the disk is full" in html(at), "and it is said why one was not"


def test_what_is_under_way_is_said_where_the_rest_of_a_batch_was_refused(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads that nothing was sent presses again, and pays twice for the first ones."""
    at, add = opened(), JobFolder.add

    def full(jobs: JobFolder, job: Job) -> None:
        if len(app.service.jobs()) == 2:
            raise StorageError(reason="the disk is full")
        add(jobs, job)

    monkeypatch.setattr(JobFolder, "add", full)
    at.text_area(key="prompt").set_value("a red barn")
    at.number_input(key="variants").set_value(4)
    generate(at)
    assert len(app.service.jobs()) == 2
    assert "2 operations are under way, the others were not requested: The storage did not do it: the disk is full" in html(at)


# -- which workflow --------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_what_costs_something_and_has_not_been_shown_is_asked_about_in_true_words(app: App, paid: None) -> None:
    at = opened()
    at.text_area(key="prompt").set_value("a red barn")
    sound(at.run())
    at.text_area(key="prompt").set_value(VIDEO)
    generate(at)  # the words and the press come with one request: nobody has seen what they ask for now
    said = html(at)
    assert kinds(app) == []
    assert "Your prompt now asks for “Video from text”, which is paid" in said, at.session_state["asked"]
    assert at.session_state["asked"].shown == "text_to_video", "and that is what the page shows"
    known = at.session_state["asked"]
    known.refusal = (*known.refusal[:2], known.refusal[2] - 1)  # a second later
    generate(at)
    assert kinds(app) == ["text_to_video"] and "Your prompt now asks" not in html(at)


def test_what_was_free_and_is_paid_since_another_window_changed_the_provider_is_asked_about(
    app: App, request: pytest.FixtureRequest
) -> None:
    at = opened()
    at.text_area(key="prompt").set_value("a red barn")
    sound(at.run())
    request.getfixturevalue("paid")
    generate(at)
    assert kinds(app) == [] and "This was free when it was shown, and is paid now." in html(at)
    known = at.session_state["asked"]
    known.refusal = (*known.refusal[:2], known.refusal[2] - 1)  # a second later
    generate(at)
    assert kinds(app) == ["text_to_image"]


@pytest.mark.long
def test_a_choice_that_is_on_offer_no_more_when_it_arrives_is_acknowledged(app: App) -> None:
    at = tell(opened(), "workflow", triggers={"chosen": {"value": "image_edit_single", "turn": 7}})
    (given,) = [json.loads(node.proto.json) for node in at.get("bidi_component") if "opstore_oneof" in node.proto.component_name]
    assert given["turn"] == 7 and given["shown"] == "text_to_image", "the browser shows its choice until it is told so"


@pytest.mark.long
def test_what_was_chosen_is_no_news(app: App, paid: None) -> None:
    at = opened()
    at.text_area(key="prompt").set_value("a red barn")
    sound(at.run())
    tell(at, "workflow", triggers={"chosen": {"value": "text_to_video", "turn": 1}})
    at.text_area(key="prompt").set_value("a red barn in the rain")
    generate(at)
    assert kinds(app) == ["text_to_video"]


def test_words_and_a_press_at_once_make_what_the_words_say_and_nobody_chose(app: App) -> None:
    """The control shows an image in the browser, the page proposes a video, the press brings what the browser shows."""
    at = opened()
    at.text_area(key="prompt").set_value("a red barn")
    generate(at)
    tell(at, "draft", draft={"over": "a red barn", "text": VIDEO, "turn": 1})
    assert at.session_state["asked"].shown == "text_to_video"
    at.text_area(key="prompt").set_value(VIDEO)
    generate(at)
    assert {job.prompt: job.type for job in app.service.jobs()} == {"a red barn": "text_to_image", VIDEO: "text_to_video"}
    assert "override" not in at.session_state


# -- words that are being written ------------------------------------------------------------------------------------------


@pytest.mark.long
def test_what_is_understood_is_of_the_words_that_stand_there(app: App) -> None:
    at = opened()
    at.file_uploader(key="upload-0").upload("photo.png", PNG, "image/png")
    at.text_area(key="prompt").set_value("sepia")
    sound(at.run())
    assert texts(at)[0] == "sepia"
    tell(at, "draft", draft={"over": "sepia", "text": "black and white", "turn": 1})
    assert texts(at)[0] == "black and white"


@pytest.mark.long
def test_a_draft_that_is_over_does_not_come_back_with_the_text_it_was_over(app: App) -> None:
    at = opened()
    at.text_area(key="prompt").set_value("a red barn")
    sound(at.run())
    tell(at, "draft", draft={"over": "a red barn", "text": VIDEO, "turn": 1})
    assert at.session_state["asked"].shown == "text_to_video"
    for text in ("a hill", "a red barn"):
        at.text_area(key="prompt").set_value(text)
        sound(at.run())
        assert at.session_state["asked"].shown == "text_to_image", text
