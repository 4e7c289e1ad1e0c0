"""The Library page as Streamlit runs it: one state in address, box, chips and filters; acts that arrive once, twice or broken."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from opstore import Store
from opstore.app import App
from opstore.curation import Change, Edit, annotations_of
from opstore.errors import StorageError
from opstore.index import Index
from opstore.service import NewOperation
from opstore.ui import bulk_acts as acting
from opstore.ui import drawer_annotations, parts, search_results
from opstore.ui.bulk_acts import Acts
from opstore.ui.components.grid import Act
from opstore.ui.opened_app import running
from tests.index_samples import plant
from tests.samples import ID, LATER, PNG
from tests.told import behind, control, press_late

MAIN = "../opstore/ui/main.py"
PAGE = "../../pages/library.py"


@pytest.fixture
def app() -> Iterator[App]:
    """The app of the test's data folder, with two operations."""
    found = running()
    found.store.save(ID, {"operationType": "text_to_image", "prompt": "a calm sea", "model": "a/b"}, outputs=[PNG])
    found.store.save(LATER, {"operationType": "text_to_video", "prompt": "a film", "error": "no", "parents": [ID]})
    found.index.start()
    found.index.update()
    yield found
    found.stop()


def page(**query: str) -> AppTest:
    at = AppTest.from_file(MAIN, default_timeout=30)
    at.run()
    for key, value in query.items():
        at.query_params[key] = value
    return sound(at.switch_page(PAGE).run())


def sound(at: AppTest) -> AppTest:
    assert not at.exception, [item.value for item in at.exception]
    return at


def given(at: AppTest, key: str = "library") -> dict[str, Any]:
    """Return what a component of ours was given."""
    for node in at._tree:
        proto: Any = getattr(node, "proto", None)
        if node.type == "bidi_component" and str(getattr(proto, "id", "")).endswith(f"-{key}"):
            return dict(json.loads(proto.json))
    return {}


def address(at: AppTest) -> dict[str, str]:
    return {key: value[0] if isinstance(value, list) else value for key, value in at.query_params.items()}


# -- one state -----------------------------------------------------------------------------------------------------------


def test_the_address_decides_and_every_control_follows(app: App) -> None:
    at = page(q="sea type:text-to-image rating:>=4 favorite:yes date:2025-11-01..2025-11-30", order="oldest")
    assert control(at, "text_input", "search").value == address(at)["q"]
    assert control(at, "selectbox", "order").value == "oldest"
    assert control(at, "multiselect", "filter-type").value == ["text_to_image"], "spelled as the filter does"
    assert control(at, "selectbox", "filter-rating").value == ">=4"
    assert control(at, "toggle", "filter-favorite").value is True
    assert at.date_input[0].value == (date(2025, 11, 1), date(2025, 11, 30))
    assert given(at, "chips")["choices"][0]["label"] == "sea"
    assert "order=oldest" in given(at)["source"] and given(at)["source"].startswith("/api/search?q=sea+type")


@pytest.mark.long
def test_a_filter_changes_the_text_and_the_address(app: App) -> None:
    at = page(q="sea")
    sound(control(at, "multiselect", "filter-type").set_value(["text_to_video", "text_to_image"]).run())
    assert address(at)["q"] == control(at, "text_input", "search").value == "sea type:text_to_video,text_to_image"
    sound(control(at, "selectbox", "filter-rating").set_value(">=3").run())
    sound(control(at, "multiselect", "filter-type").set_value([]).run())
    assert address(at)["q"] == "sea rating:>=3"
    sound(control(at, "text_input", "search").set_value("").run())
    assert "q" not in address(at) and control(at, "selectbox", "filter-rating").value == ""


@pytest.mark.long
def test_a_filter_that_was_taken_away_does_not_come_back_with_what_a_browser_still_shows(app: App) -> None:
    """Who takes a chip away and types at once sends the old filters along: those are nobody's choice."""
    at = page(q="sea type:text_to_image rating:>=4 favorite:yes", order="oldest")
    old = behind(at)
    at.query_params["q"] = "sea"
    at.query_params.pop("order")
    sound(at.run())
    sound(old())
    assert address(at) == {"q": "sea"}
    assert control(at, "multiselect", "filter-type").value == [] and control(at, "selectbox", "order").value == "newest"
    at.query_params["q"] = "hill"  # and what is typed is not undone by what stood there
    sound(at.run())
    sound(old())
    assert address(at) == {"q": "hill"}


@pytest.mark.long
def test_what_was_typed_before_can_be_typed_again_after_another_page(app: App) -> None:
    at = page(q="sea")
    sound(control(at, "text_input", "search").set_value("hill").run())
    sound(at.switch_page("../../pages/settings.py").run())
    at.query_params["q"] = "fog"
    sound(at.switch_page("../../pages/library.py").run())
    assert control(at, "text_input", "search").value == "fog"
    sound(control(at, "text_input", "search").set_value("hill").run())
    assert address(at)["q"] == "hill"


@pytest.mark.long
def test_a_bundle_that_was_asked_for_is_told_to_the_browser_until_another_one_is(app: App) -> None:
    at = page(operation=ID)
    sound(at.button(key=f"share-bundle-drawer-{ID}").click().run())
    told = given(at, f"share-saved-drawer-{ID}")
    assert f"ids={ID}" in told["address"]
    assert given(sound(at.run()), f"share-saved-drawer-{ID}") == told, "a busy browser draws the last of two runs only"


def test_typing_moves_the_filters(app: App) -> None:
    at = page()
    sound(control(at, "text_input", "search").set_value("status:failed tag:zine").run())
    assert control(at, "multiselect", "filter-status").value == ["failed"]
    assert control(at, "multiselect", "filter-tag").value == ["zine"], "though nobody has given this tag yet"
    assert given(at)["total"] == {"n": 0, "exact": True}


@pytest.mark.long
@pytest.mark.parametrize("text", ["rating:>=x", "(a", 'say "so', "-", "nofield:x", "a* b*c", "or", "x" * 3_000])
def test_a_mistake_is_pointed_at_and_the_last_good_search_stays(app: App, text: str) -> None:
    at = page(q="film")
    sound(control(at, "text_input", "search").set_value(text).run())
    said = "\n".join(element.proto.body for element in at.get("html"))
    assert "This search cannot be run" in said and 'class="ops-mistake"' in said and "^" in said
    assert given(at)["source"].startswith("/api/search?q=film&")


@pytest.mark.long
@pytest.mark.parametrize(
    "query",
    [{"q": "(((("}, {"order": "junk"}, {"group": "junk"}, {"view": "junk"}, {"q": "date:>2030", "group": "batch"},
     {"q": "rating:<3"}, {"q": "date:2025,2024"}, {"q": "date:0001..9999"}, {"view": "trash", "q": "("},
     {"q": "favorite:no"}, {"type": "old link"}],
)  # fmt: skip
def test_an_address_of_any_kind_opens(app: App, query: dict[str, str]) -> None:
    sound(page(**query).run())


@pytest.mark.long
def test_whoever_comes_back_from_another_page_finds_the_last_search(app: App) -> None:
    at = page(q="film", order="oldest")
    sound(at.switch_page("../../pages/create.py").run())
    at.query_params.clear()
    sound(at.switch_page(PAGE).run())
    assert address(at) == {"q": "film", "order": "oldest"}


def test_nothing_found_offers_searches_that_find_something(app: App) -> None:
    offered = [choice["value"] for choice in given(page(q="nosuchword"), "examples")["choices"]]
    assert len(offered) == 3
    assert all(app.index.count(text).n for text in offered), offered


# -- acts ----------------------------------------------------------------------------------------------------------------


def act(kind: str, value: Any = None, *ids: str, name: str = "1") -> Act:
    return Act(name, kind, ids or (ID,), value)


def judged(store: Store, operation_id: str = ID) -> dict[str, Any]:
    return dict(store.get_operation_metadata(operation_id)["annotations"])


def test_an_act_that_arrives_twice_is_done_once(app: App) -> None:
    session = Acts()
    for _ in range(2):
        session.do(app.service, act("tag", {"add": ["zine"]}))
    session.do(app.service, act("undo", name="2"))
    session.do(app.service, act("undo", name="2"))
    assert judged(app.store)["tags"] == [] and not session.undone


def test_a_long_act_says_how_far_it_is_and_then_what_came_of_it(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit begins another run while the first one still works: neither does the act again, nor says that it is done."""
    session, monitor = Acts(), threading.Barrier(2, timeout=30)
    annotate = type(app.service.curation).annotate

    def slow(*given: Any) -> Change:
        monitor.wait()
        monitor.wait()
        return annotate(*given)

    monkeypatch.setattr(acting, "PORTION", 1)
    monkeypatch.setattr(acting, "PATIENCE", 0.01)
    monkeypatch.setattr(type(app.service.curation), "annotate", slow)
    working = threading.Thread(target=session.do, args=(app.service, act("rate", 4, ID, LATER)))
    working.start()
    said = []
    for _ in range(2):
        monitor.wait()
        session.do(app.service, act("rate", 4, ID, LATER))
        said.append(session.outcome())
        monitor.wait()
    working.join()
    assert [told and told["busy"] for told in said] == ["0 of 2 done", "1 of 2 done"]
    assert all(told and told["done"] == [] for told in said)
    done = session.outcome()
    assert done and done["said"] == "2 changed" and "busy" not in done and len(session.undone) == 1


def test_a_window_that_is_loaded_anew_can_still_take_back_what_it_did(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded_anew(kind: str, value: Any, name: str, window: str = "mine") -> Acts:
        monkeypatch.setattr("streamlit.session_state", {})  # each time another session
        monkeypatch.setattr(acting, "sent", lambda _: replace(act(kind, value, name=name), window=window))
        acting.take(app.service, "library")
        return acting.acts()

    loaded_anew("rate", 4, "first")
    other = loaded_anew("undo", None, "second", window="another").outcome()
    assert other and other["said"] == "There is nothing to undo." and judged(app.store)["rating"] == 4
    loaded_anew("undo", None, "third")
    assert judged(app.store)["rating"] is None


def test_a_note_that_is_stored_between_look_and_write_is_not_overwritten(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two saves at once: the second writer saw the old note, and is told so whenever the first one comes."""
    seen = annotations_of(app.store.get_operation_metadata(ID))
    state: dict[str, Any] = {"note": "mine", "under-note": "", f"seen-{ID}": seen, "acts": Acts()}
    rewrite = Store.rewrite

    def second(store: Store, operation_id: str, change: Any) -> Any:
        rewrite(store, operation_id, lambda sidecar: sidecar.update(annotations={"note": "theirs"}))
        return rewrite(store, operation_id, change)

    monkeypatch.setattr("streamlit.session_state", state)
    monkeypatch.setattr(Store, "rewrite", second)
    drawer_annotations._changed(app.service, ID, "note", "note")
    assert judged(app.store)["note"] == "theirs" and "mine" in state[f"unstored-{ID}"][0]


def test_who_marks_by_key_what_somebody_else_has_marked_meanwhile_does_not_unmark_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.session_state", {f"under-favorite-{ID}": False, "acts": Acts()})
    app.service.curation.annotate([ID], Edit(favorite=True))
    for expected in (True, False, True):  # the second and third are pressed before the drawer is drawn anew
        drawer_annotations._pressed(app.service, ID, "favorite", None)
        assert judged(app.store)["favorite"] is expected


def test_a_note_that_the_disk_refuses_is_told_whole(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its box shows what is stored again: what was written stands nowhere else."""
    seen = annotations_of(app.store.get_operation_metadata(ID))
    state: dict[str, Any] = {"note": "mine", "under-note": "", f"seen-{ID}": seen, "acts": Acts()}

    def full(*_: Any) -> None:
        raise StorageError(reason="the disk is full")

    monkeypatch.setattr("streamlit.session_state", state)
    monkeypatch.setattr(Store, "rewrite", full)
    drawer_annotations._changed(app.service, ID, "note", "note")
    assert "the disk is full" in state[f"unstored-{ID}"][0] and "“mine”" in state[f"unstored-{ID}"][0]


def test_what_was_written_in_vain_outlives_the_next_note(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes on while another's note takes the place of the box has the first half nowhere else."""
    seen = annotations_of(app.store.get_operation_metadata(ID))
    state: dict[str, Any] = {"note": "the second half", "under-note": "", f"seen-{ID}": seen, "acts": Acts()}
    state[f"unstored-{ID}"] = ["Yours, which is not stored: “the first half”"]
    monkeypatch.setattr("streamlit.session_state", state)
    drawer_annotations._changed(app.service, ID, "note", "note")
    assert judged(app.store)["note"] == "the second half" and "the first half" in state[f"unstored-{ID}"][0]


@pytest.mark.long
def test_the_browser_is_told_which_note_its_window_has_stored_last(app: App) -> None:
    """What it keeps of a note that was handed in as the drawer closed must not come back once somebody has taken it back."""
    at = page(operation=ID)
    [box] = [box for box in at.text_area if str(box.key).startswith("note-")]
    assert given(at, f"note-draft-{ID}")["stored"] is None
    sound(box.set_value("mine").run())
    assert given(at, f"note-draft-{ID}")["stored"] == judged(app.store)["note"] == "mine"
    app.store.rewrite(ID, lambda sidecar: sidecar["annotations"].update(note=""))
    assert given(sound(at.run()), f"note-draft-{ID}")["stored"] == "mine"


@pytest.mark.long
@pytest.mark.parametrize("stays", [False, True])
def test_a_note_that_is_refused_as_its_drawer_closes_is_told_where_it_was_open(app: App, stays: bool) -> None:
    at = page(operation=ID)
    [box] = [box for box in at.text_area if str(box.key).startswith("note-")]
    app.service.curation.annotate([ID], Edit(note="theirs"))
    if not stays:
        del at.query_params["operation"]
    sound(box.set_value("mine").run())
    assert judged(app.store)["note"] == "theirs"
    told = [item.value for item in at.toast]
    assert len(told) == (0 if stays else 1), "the drawer says it, where it is open"
    assert stays or ("Somebody else has changed this note" in told[0] and "mine" in told[0])
    assert not sound(at.run()).toast, "once"


def test_a_note_that_a_window_stored_and_took_back_does_not_come_back_when_it_is_loaded_anew(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser kept it as the drawer closed; the session that knew of it is gone."""

    def loaded_anew(kind: str, name: str) -> Acts:
        monkeypatch.setattr("streamlit.session_state", {})
        monkeypatch.setattr(acting, "sent", lambda _: replace(act(kind, None, name=name), window="of notes"))
        acting.take(app.service, "library")
        return acting.acts()

    loaded_anew("rate", "first")
    streamlit.session_state.update({"note": "mine", "under-note": ""})
    drawer_annotations._changed(app.service, ID, "note", "note")
    assert judged(app.store)["note"] == "mine"
    session = loaded_anew("undo", "second")
    assert judged(app.store)["note"] == "" and session.notes == {ID: "mine"}


def test_acts_are_taken_back_one_by_one_and_what_others_did_stays(app: App) -> None:
    session = Acts()
    session.do(app.service, act("rate", 4))
    session.do(app.service, act("favorite", True, ID, LATER, name="2"))
    app.service.curation.annotate([ID], Edit(add_tags=("theirs",)))
    session.do(app.service, act("undo", name="3"))
    assert (judged(app.store)["favorite"], judged(app.store)["rating"]) == (False, 4)
    session.do(app.service, act("undo", name="4"))
    assert judged(app.store) == {"tags": ["theirs"], "favorite": False, "rating": None, "note": ""}


def test_what_others_were_made_from_goes_only_when_somebody_is_sure(app: App) -> None:
    session = Acts()
    session.do(app.service, act("trash"))
    assert session.users == [LATER] and app.store.operations.has(f"{ID}.json")
    session.do(app.service, act("trash", "sure", name="2"))
    assert not app.store.operations.has(f"{ID}.json")
    session.do(app.service, act("undo", name="3"))
    assert app.store.operations.has(f"{ID}.json") and app.store.operations.has(f"{ID}_out.png")


def test_removing_for_good_is_asked_first(app: App) -> None:
    session = Acts()
    app.service.curation.put_in_trash([LATER])
    session.do(app.service, act("remove", None, LATER))
    assert len(app.service.curation.trashed()) == 1
    session.do(app.service, act("remove", "sure", LATER, name="2"))
    assert app.service.curation.trashed() == [] and session.change == Change((LATER,), {}, session.change.inverse)


def test_what_fails_is_told_and_what_does_not_is_done(app: App) -> None:
    session = Acts()
    gone = "20240101000000_abc123de"
    session.do(app.service, act("rate", 5, ID, gone))
    assert judged(app.store)["rating"] == 5
    assert session.outcome() == {"id": "1", "done": ["1"], "failed": [gone], "gone": [gone], "said": "", "ask": None}
    assert gone in session.failures()
    session.do(app.service, act("tag", {"add": ["x" * 500]}, name="2"))
    assert "a tag has 1 to" in session.failures()


@pytest.mark.parametrize(
    "sent",
    [
        None,
        5,
        "x",
        [],
        {},
        {"id": 1, "kind": "rate", "ids": []},
        {"id": "1", "kind": "purge", "ids": []},
        {"id": "1", "kind": "rate", "ids": "x"},
    ],
)
def test_what_is_no_act_is_none(sent: object) -> None:
    assert Act.read(sent) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("rate", "many"),
        ("rate", 9),
        ("rate", True),
        ("favorite", "x"),
        ("tag", 5),
        ("tag", {"add": "x", "remove": [5]}),
        ("trash", 5),
    ],
)
def test_an_act_with_a_value_of_junk_harms_nothing(app: App, kind: str, value: Any) -> None:
    session = Acts()
    read = Act.read({"id": "1", "kind": kind, "ids": [LATER, 5, "../x"], "value": value})
    assert read is not None
    session.do(app.service, read)
    assert app.store.verify(deep=True) == []


# -- trash, progress, texts ----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_trash_view_shows_what_is_in_it_and_until_when(app: App) -> None:
    assert "The trash is empty" in "\n".join(element.proto.body for element in page(view="trash").get("html"))
    app.service.curation.put_in_trash([ID])
    rows = given(page(view="trash"), "trash")["rows"]
    assert [row["id"] for row in rows] == [ID] and rows[0]["note"].startswith("until ")
    assert rows[0]["thumbnail"] == f"/api/thumbnails/{ID}_out.png"


def test_an_index_that_is_being_made_says_how_far_it_is() -> None:
    found = running()
    found.store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    at = page()
    sent = [str(node.proto) for node in at._tree if hasattr(node, "proto")]
    assert not found.index.progress().ready
    assert any("0 of … indexed" in text for text in sent)
    assert not any("The library is empty" in text for text in sent)
    found.stop()


@pytest.mark.long
def test_the_drawer_leads_to_the_neighbours_of_the_search(app: App) -> None:
    at = page(operation=ID)
    assert [item.disabled for item in at.button if item.key and item.key.startswith("neighbour-")] == [False, True]
    alone = page(operation=ID, q="sea")
    assert [item.disabled for item in alone.button if item.key and item.key.startswith("neighbour-")] == [True, True]


def test_a_step_to_a_neighbour_that_has_gone_ends_the_wait_for_it(app: App) -> None:
    """Keys that follow it wait in the browser until another turn of the drawer; they were held back for half a minute."""
    at = page(operation=ID)
    (before,) = [item.id for item in at.button if item.key == "neighbour-left"]
    assert not at.button(key="neighbour-left").disabled
    _, turn = at.session_state["drawer-turn"]
    assert sound(at.run()).session_state["drawer-turn"] == (ID, turn), "drawn anew it is the same"
    app.service.curation.put_in_trash([item.id for item in app.service.page(size=9).operations if item.id != ID])
    app.service.index.update()
    press_late(at, before)
    assert at.session_state["drawer-turn"] == (ID, turn + 1)
    assert sound(at.run()).session_state["drawer-turn"] == (ID, turn + 1)


def test_words_under_way_stay_texts(app: App) -> None:
    app.service.create(NewOperation("text_to_image", "![](http://evil.invalid/x.png)"))
    sound(page())


@pytest.mark.parametrize("text", ["![](http://evil.invalid/x.png)", ":red[x] $a$ **b** `c` <b> [l](javascript:x) :material/x:"])
def test_a_text_in_a_toast_is_escaped(text: str) -> None:
    escaped = parts.plain(text)
    assert escaped.replace("\\", "") == text
    assert all(escaped[at - 1] == "\\" for at, letter in enumerate(escaped) if letter in "[]()*`<>:$!")


@pytest.mark.parametrize("query", ["", "harbour or pier", "-night"])
@pytest.mark.parametrize(
    "prompt", ["harbour " + "lighthouses " * 40, "the “old” pier of harbour", "pier, harbour", "海辺の夕日 harbour " + "海" * 300]
)
def test_a_stack_of_a_prompt_opens_to_its_operations_alone(tmp_path: Path, query: str, prompt: str) -> None:
    store = Store(tmp_path / "data")
    for number, text in enumerate((prompt, prompt, "harbour, pier", "“old”, pier: the harbour of")):
        name = f"2026010101010{number}_abcdef"
        plant(store, {"operationId": name, "prompt": text, "success": False, "error": "no"})
    index = Index(store)
    index.update()
    found = index.search(search_results.of_prompt(query, prompt)).rows
    assert [row.prompt.strip() for row in found] == [prompt.strip()] * 2, search_results.of_prompt(query, prompt)
    assert search_results.of_prompt(query, "?!") == query
