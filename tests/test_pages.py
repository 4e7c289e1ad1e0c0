"""The pages as Streamlit runs them: empty, full, and over a folder of oddities; a stored text is never more than a text."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from opstore import Store
from opstore.app import App
from opstore.providers.models import ModelTable
from opstore.service import NewOperation
from opstore.storage.operation import OPERATION_TYPES, Operation
from opstore.ui.opened_app import running
from opstore.ui.studio import workflow_choice
from tests.samples import ID, LATER, MP4, PNG, SHORT, WEBP, plant, sidecar_file

MAIN = "../opstore/ui/main.py"
LIBRARY = "../../pages/library.py"
PATIENCE = 30.0
EVIL = (
    "![](http://evil.invalid/x.png) <script>alert(1)</script> :red[x] $a$ :material/delete: **b** [l](http://evil.invalid) {x} %s"
)
#: What is left of EVIL wherever it is shown; escaping turns `<` into `&lt;`, shortening may cut the end.
MARKS = ("evil.invalid", "<script>alert", ":red[x]", "$a$")
Photo = Callable[..., bytes]


@pytest.fixture
def app() -> Iterator[App]:
    """The app of the test's data folder, the one that the pages open; it does not run unless a test starts it."""
    found = running()
    yield found
    found.stop()


@pytest.fixture
def store(app: App) -> Store:
    return app.store


def create(**state: Any) -> AppTest:
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    for key, value in state.items():
        at.session_state[key] = value
    return sound(at.run())


def shown(at: AppTest) -> str:
    """Return the workflow that the page shows as chosen."""
    workflow: str = at.session_state["asked"].shown
    return workflow


def library(**query: str) -> AppTest:
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    at.run()
    for key, value in query.items():
        at.query_params[key] = value
    return sound(at.switch_page(LIBRARY).run())


def sound(at: AppTest) -> AppTest:
    """Check that the page ran to its end."""
    assert not at.exception, [item.value for item in at.exception]
    return at


def nodes(at: AppTest) -> Iterator[tuple[str, str]]:
    """Yield every element of the page: what it is, and all that was sent for it."""
    for node in at._tree:
        proto = getattr(node, "proto", None)
        if proto is not None:
            yield node.type, str(proto)


def html(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def indexed(app: App) -> list[str]:
    """Return the ids of what the library's grid is given."""
    app.service.index.update()
    return [row.id for row in app.service.index.search(size=500).rows]


def button(at: AppTest, label: str) -> Any:
    found = [item for item in at.button if item.label == label]
    assert found, (label, [item.label for item in at.button])
    return found[0]


def until_done(app: App) -> list[Operation]:
    deadline = time.monotonic() + PATIENCE
    while app.service.count_jobs():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return list(app.service.page(size=100).operations)


# -- nothing there yet ---------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_create_page_of_an_empty_folder_has_something_to_start_with(app: App) -> None:
    at = create()
    assert "Your results appear here" in html(at)
    example = at.button(key="example-0")
    sound(example.click().run())
    assert at.text_area[0].value == example.label


def test_the_library_of_an_empty_folder_says_so(app: App) -> None:
    at = library()
    assert "The library is empty" in html(at)


@pytest.mark.long
def test_every_page_speaks_french(app: App) -> None:
    at = create(language="fr")
    assert any("Que voulez" in area.label or area.label != "What do you want to make?" for area in at.text_area)
    sound(at.switch_page(LIBRARY).run())
    assert "The library is empty" not in html(at)


# -- making --------------------------------------------------------------------------------------------------------------


def test_an_uploaded_photo_is_edited(app: App, photo: Photo) -> None:
    app.start()
    picture = photo("chelsea", size=(320, 240))
    at = create()
    at.file_uploader(key="upload-0").upload("cat.jpg", picture, "image/jpeg")
    at.text_area(key="prompt").set_value("make it black and white")
    sound(at.run())
    assert shown(at) == "image_edit_single"
    assert any("Free" in caption.value for caption in at.caption)
    sound(button(at, "Generate").click().run())
    (operation,) = until_done(app)
    assert (operation.status, operation.type, operation.prompt) == ("stored", "image_edit_single", "make it black and white")
    assert app.store.read_file(operation.inputs[0]) == picture
    sound(at.run())
    assert f"/api/files/{operation.output}" in html(at)


def test_a_double_click_is_one_request(app: App) -> None:
    at = create()
    at.text_area(key="prompt").set_value("a lighthouse")
    sound(at.run())
    for _ in range(2):
        sound(button(at, "Generate").click().run())
    assert app.service.count_jobs() == 1
    assert any(item.key and item.key.startswith("cancel-create-") for item in at.button), "and can be stopped"


@pytest.mark.long
def test_what_a_person_chose_stays_though_the_words_agreed_with_it_meanwhile(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    at = create()
    for text in ("waves", "a video of waves", "waves at night"):
        at.text_area(key="prompt").set_value(text)
        if text == "waves":
            sound(at.run()).session_state["override"] = "text_to_video"
        sound(at.run())
        assert shown(at) == "text_to_video", text
    known = at.session_state["asked"]
    assert known.proposed == "text_to_image"
    state = {"asked": known, "override": "text_to_video"}
    monkeypatch.setattr("streamlit.session_state", state)
    workflow_choice.choose("text_to_image")
    assert "override" not in state, "who chooses what is proposed leaves it to the words"


def test_without_a_prompt_nothing_is_asked_for(app: App) -> None:
    at = create()
    sound(button(at, "Generate").click().run())
    assert "Write a prompt first" in html(at) and app.service.count_jobs() == 0


@pytest.mark.parametrize("data", [b"<html><script>alert(1)</script></html>", PNG[:30], MP4], ids=["html", "cut", "video"])
def test_a_file_that_is_no_picture_is_said_at_once(app: App, data: bytes) -> None:
    at = create()
    at.file_uploader(key="upload-0").upload("photo.jpg", data, "image/jpeg")
    at.text_area(key="prompt").set_value("sepia")
    sound(at.run())
    assert "is not a picture that can be read here" in html(at)
    sound(button(at, "Generate").click().run())
    assert app.service.count_jobs() == 0 and not app.store.operations.names()


def test_a_file_above_the_limit_is_said(app: App) -> None:
    at = create()
    at.file_uploader(key="upload-0").upload("photo.png", PNG + b"\0" * (10 * 1024 * 1024), "image/png")
    at.text_area(key="prompt").set_value("sepia")
    sound(at.run())
    sound(button(at, "Generate").click().run())
    assert app.service.count_jobs() == 0 and not app.store.operations.names()
    assert "10 MB" in html(at)


def test_more_pictures_than_any_workflow_takes(app: App) -> None:
    at = create()
    for number in range(12):
        at.file_uploader(key="upload-0").upload(f"photo{number}.png", PNG, "image/png")
    at.text_area(key="prompt").set_value("together")
    sound(at.run())
    assert "more images than any operation type takes" in html(at)


@pytest.mark.long
@pytest.mark.parametrize("count", range(6))
def test_every_workflow_can_be_looked_at(app: App, count: int) -> None:
    at = create()
    for number in range(count):
        at.file_uploader(key="upload-0").upload(f"photo{number}.png", PNG, "image/png")
    at.text_area(key="prompt").set_value("zoom in")
    sound(at.run())
    for kind in [name for name, row in OPERATION_TYPES.items() if row.minimum <= count <= row.maximum]:
        at.session_state["override"] = kind
        sound(at.run())
        assert shown(at) == kind


# -- the settings --------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_settings_that_changed_or_were_damaged_since_they_were_shown_are_not_saved_over(app: App) -> None:
    app.service.change_preferences(daily_budget=5.0)
    at, file = create(), app.store.root / "settings.json"
    sound(at.switch_page("../../pages/settings.py").run())
    at.number_input[0].set_value(3)
    app.service.change_preferences(daily_budget=2.0)
    sound(at.button(key="settings-save").click().run())
    assert app.service.preferences().daily_budget == 2 and "Nothing was saved" in html(at)
    assert at.number_input[0].value == 2, "what stands there is what is set"
    file.write_text("{")
    sound(at.button(key="settings-save").click().run())
    assert file.read_text() == "{", "a budget does not go because nobody could read it"
    sound(at.button(key="settings-save").click().run())
    assert app.service.settings_damage() is None, "who has seen it, and saves, mends it"


def test_a_choice_that_is_not_to_be_had_here_is_said_and_stays_until_another_is_made(app: App) -> None:
    file = app.store.root / "settings.json"
    kept = {"provider": "kiln", "models": {"text_to_image": "kiln-1"}, "analyzer": "kiln/asker"}
    file.write_text(json.dumps(kept))
    at = create()
    assert "there is no provider" in html(at)
    sound(at.switch_page("../../pages/settings.py").run())
    assert "who is not registered here" in html(at) and "is damaged" not in html(at)
    assert at.selectbox[0].value == "kiln" and "kiln (not available here)" in at.selectbox[0].options
    at.number_input[0].set_value(3)
    sound(at.button(key="settings-save").click().run())
    saved = json.loads(file.read_text())
    assert {name: saved[name] for name in kept} == kept and saved["daily_budget"] == 3
    absent = [name for box in at.selectbox for name in box.options if "not available" in name]
    assert absent == [f"{name} (not available here)" for name in ("kiln", "kiln-1", "kiln/asker")], (
        "only what is chosen is offered though it cannot be had"
    )


def test_a_chosen_model_stays_where_there_is_no_other_for_its_type(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelTable, "models", lambda self, provider, kind: [])
    app.service.change_preferences(models={"text_to_image": "kiln-1"})
    at = create()
    sound(at.switch_page("../../pages/settings.py").run())
    sound(at.button(key="settings-save").click().run())
    assert app.service.preferences().models == {"text_to_image": "kiln-1"}


# -- the library ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("query", [{"type": "junk"}, {"status": "<b>"}, {"before": "../x"}, {"before": ID}, {"type": EVIL}])
def test_a_query_of_junk_breaks_nothing(app: App, store: Store, query: dict[str, str]) -> None:
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    literal(library(**query))


@pytest.mark.long
@pytest.mark.parametrize("value", [LATER, "../../x", "x" * 5_000, EVIL, f"{ID}.json", f"{ID}\n"])
def test_an_operation_that_is_not_there_is_said_once(app: App, store: Store, value: str) -> None:
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    at = literal(library(operation=value))
    said = html(at)
    assert said.count("There is no operation") + said.count("is not an operation id") == 1


def test_a_damaged_operation_is_said(app: App, store: Store) -> None:
    plant(store, f"{ID}.json", b'{"operationId": ')
    assert "cannot be read" in html(library(operation=ID))


def test_an_operation_under_way_says_that_it_is(app: App) -> None:
    operation_id = app.service.create(NewOperation("text_to_image", "a sea"))
    assert "still under way" in html(library(operation=operation_id))


def test_an_operation_opened_shows_all_of_it(app: App, store: Store) -> None:
    store.save(ID, {"operationType": "image_edit_single", "prompt": "a sea"}, inputs=[WEBP], outputs=[PNG])
    at = library(operation=ID)
    for name in (f"{ID}_in_1.webp", f"{ID}_out.png"):
        assert f'src="/api/files/{name}"' in html(at)
    assert json.loads(at.code[0].value)["operationId"] == ID


# -- oddities ------------------------------------------------------------------------------------------------------------

ODD: dict[str, dict[str, Any]] = {
    "nothing but an id": {},
    "an old type": {"operationType": "workflow_execution", "success": True, "outputFile": None},
    "types of the wrong kind": {
        "operationType": 5,
        "prompt": ["x"],
        "parameters": "x",
        "inputFiles": 5,
        "outputFile": {},
        "success": "yes",
        "error": {"a": 1},
        "timestamp": 5,
        "workflowAnalysis": [],
        "duration": "x",
        "steps": 5,
        "files": {},
        "cost": 5,
        "parents": "x",
        "annotations": [],
        "elapsedSeconds": "x",
        "provider": [],
        "model": {},
        "status": [],
    },
    "nulls": dict.fromkeys(
        ("operationType", "prompt", "parameters", "inputFiles", "success", "steps", "files", "cost", "timestamp", "annotations")
    ),
    "huge numbers": {
        "elapsedSeconds": 10**300,
        "duration": 10**300,
        "parameters": {"seed": 10**300},
        "cost": {"amount": 1e308, "currency": "USD", "estimated": True},
        "files": [{"name": "x", "bytes": 10**300, "seconds": 1e308, "width": 10**300, "height": -1}],
    },
    "negative numbers": {
        "elapsedSeconds": -5,
        "cost": {"amount": -1, "currency": "USD"},
        "files": [{"seconds": -1, "bytes": -1}],
    },
    "an odd currency": {"cost": {"amount": 1, "currency": EVIL, "basis": EVIL}},
    "a currency of the wrong kind": {"cost": {"amount": 1, "currency": ["EUR"]}},
    "an amount that is true": {"cost": {"amount": True, "currency": "USD"}},
    "a time before time": {"timestamp": "0001-01-01T00:00:00Z"},
    "a time at its end": {"timestamp": "9999-12-31T23:59:59.999Z"},
    "a time with a zone": {"timestamp": "2025-11-03T14:30:22+14:00"},
    "foreign names": {"inputFiles": ["../../etc/passwd", f"{LATER}_in_1.jpg"], "outputFile": "/etc/passwd", "success": True},
    "files that are not there": {"inputFiles": [f"{ID}_in_1.jpg"], "outputFile": f"{ID}_out.mp4", "success": True},
    "files that are no media": {"outputFile": f"{ID}_out.jpg", "success": True},
    "entries of the wrong kind": {"files": [5, None, "x", [], {"name": 5, "role": "output"}, {"role": []}]},
    "steps of the wrong kind": {"steps": [5, None, {"operationType": 5}]},
    "a long prompt": {"prompt": "lorem ipsum " * 20_000},
    "a prompt of control characters": {"prompt": "".join(map(chr, range(32))) + "\u202e\u2028\x7f\ufeff"},
    "braces": {"prompt": "{0} {x} {", "error": "{reason} {", "operationType": "{x}", "success": False},
    "deep parameters": {"parameters": {"a": {"b": [{"c": [1, None, {"d": "e"}]}]}}},
}


@pytest.mark.long
@pytest.mark.parametrize("what", ODD)
def test_an_odd_operation_can_be_opened(app: App, store: Store, what: str) -> None:
    plant(store, f"{ID}.json", json.dumps({"operationId": ID} | ODD[what]).encode())
    plant(store, f"{ID}_out.jpg", b"<html>")
    literal(library(operation=ID))
    assert indexed(app) == [ID]


def test_a_folder_full_of_oddities_breaks_no_page(app: App, store: Store, tmp_path: Path) -> None:
    store.save(LATER, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    for number, fields in enumerate(ODD.values()):
        name = f"2025110314{number:04}_abc123de"
        plant(store, f"{name}.json", json.dumps({"operationId": name} | fields).encode())
    for name, data in (("20251103143029_abc123.json", b"{"), (f"{SHORT}.json", b"\xff" * 99), ("x.json", b"{}"), ("é.txt", b"")):
        plant(store, name, data)
    plant(store, b"\xff\xfe.json", b"{}")
    (store.operations.path / "20251103150000_abc123de.json").mkdir()
    (store.operations.path / "20251103150001_abc123de.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(store.operations.path / "20251103150002_abc123de.json")
    example = json.loads(sidecar_file("specification.json"))["operationId"]
    plant(store, f"{example}.json", sidecar_file("specification.json"))
    (store.pending.path / f"{SHORT}.json").write_bytes(b"{")
    assert {LATER, example} <= set(indexed(app))
    literal(library())
    literal(create())


# -- texts that mean harm ------------------------------------------------------------------------------------------------

#: Elements whose texts are interpreted by nobody: HTML that was escaped is looked at by itself.
LITERAL = ("html", "code", "text", "bidi_component", "text_area", "text_input", "json", "multiselect")


def literal(at: AppTest) -> AppTest:
    """Check that no text of a stored operation is anywhere where Markdown or HTML would be made of it."""
    for kind, sent in nodes(at):
        if kind not in LITERAL:
            assert not [mark for mark in MARKS if mark in sent], (kind, sent[:300])
    body = html(at)
    assert "<script" not in body and "<b>" not in body.replace("<b title=", "")
    return at


def evil(**changes: Any) -> dict[str, Any]:
    step = {"operationType": EVIL, "prompt": EVIL, "model": EVIL, "provider": EVIL, "error": EVIL, "webUrl": EVIL}
    return {
        "operationType": EVIL,
        "prompt": EVIL,
        "error": EVIL,
        "success": False,
        "provider": EVIL,
        "model": EVIL,
        "parameters": {EVIL: EVIL, "list": [EVIL]},
        "workflowAnalysis": {"reasoning": EVIL},
        "steps": [step],
        "parents": [EVIL],
        "annotations": {"tags": [EVIL], "note": EVIL},
        "status": EVIL,
        EVIL: EVIL,
    } | changes


@pytest.mark.long
@pytest.mark.parametrize(
    "changes", [{}, {"error": None, "success": True, "operationType": "text_to_image"}], ids=["failed", "stored"]
)
def test_a_stored_text_is_only_ever_a_text(app: App, store: Store, changes: dict[str, Any]) -> None:
    store.save(ID, evil(**changes), outputs=[PNG])
    for at in (library(operation=ID), library(), create()):
        literal(at)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html(library(operation=ID)), "and it is shown"


def test_a_prompt_under_way_is_only_ever_a_text(app: App) -> None:
    app.service.create(NewOperation("text_to_image", EVIL))
    at = create()
    assert "&lt;script&gt;" in html(literal(at))
    literal(library())


@pytest.mark.long
def test_names_of_uploaded_files_and_typed_prompts_are_only_ever_texts(app: App) -> None:
    at = create()
    at.file_uploader(key="upload-0").upload(f"{EVIL.replace('/', '')}.png", PNG, "image/png")
    at.text_area(key="prompt").set_value(EVIL)
    sound(at.run())
    for kind, sent in nodes(at):
        assert kind in (*LITERAL, "file_uploader") or not [mark for mark in MARKS if mark in sent], kind


def test_a_look_that_brings_an_old_address_along_draws_nothing_for_it() -> None:
    """A part that runs by itself may have been asked for before somebody changed the address."""

    def page() -> None:
        import streamlit as st

        from opstore.ui.opened_app import again, drawn

        st.session_state["runs"] = st.session_state.get("runs", 0) + 1
        if st.session_state["runs"] == 1:
            drawn()
        if st.button("look"):
            again()

    app = AppTest.from_function(page).run()
    app.query_params["q"] = "date:2025-09"
    assert app.button[0].click().run().session_state["runs"] == 2, "it asks for another address than the page has"
    assert app.button[0].click().run().session_state["runs"] == 4, "the address stands"
