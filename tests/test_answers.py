"""What a browser asks is answered, and what it tells is heard, whatever runs begin meanwhile: spoken as browsers do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from opstore import Store
from opstore.app import App, Settings
from opstore.ui.streamlit_private import aiming
from tests.browser import Server
from tests.samples import ID, PNG

EARLIER = "20250901100000_0000000a"
PATIENCE = 30.0
#: After a run of the page, in seconds: none follows.
QUIET = 1.0
ASKED = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("answers") / "data")
    store = App(Settings(data=served.data, provider="local")).store
    for operation_id in (EARLIER, ID):
        store.save(operation_id, {"operationType": "text_to_image", "prompt": "a cat", "model": "m/n"}, outputs=[PNG])
    served.start()
    yield served
    served.stop()


@dataclass
class Opened:
    """A page as it was drawn: the line to its session, the names of both, what takes the keys, and the part that is in."""

    line: ClientConnection
    session: str = ""
    page: str = ""
    keys: str = ""
    part: str = ""
    #: The switch of the operation that is open, and the button that leads to the next one.
    favorite: str = ""
    onward: str = ""
    #: The days between which what is found was made.
    days: str = ""
    #: For how many runs a browser is to keep what is large.
    kept_runs: int = 0


@contextmanager
def opened(server: Server, page: str = "", query: str = "") -> Iterator[Opened]:
    """Open a page as a browser does; give it once it has been drawn."""
    address, origin = f"ws://127.0.0.1:{server.port}/_stcore/stream", Origin(server.address)
    with connect(address, origin=origin, subprotocols=[Subprotocol("streamlit")], max_size=None) as line:
        found = Opened(line)
        asked = BackMsg()
        asked.rerun_script.page_name, asked.rerun_script.query_string = page, query
        line.send(asked.SerializeToString())
        while (said := heard(line)).WhichOneof("type") != "script_finished":
            found.days = said.delta.new_element.date_input.id or found.days
            if "-favorite-" in said.delta.new_element.checkbox.id:
                found.favorite = said.delta.new_element.checkbox.id
            if said.delta.new_element.button.id.endswith("-neighbour-right"):
                found.onward, found.part = said.delta.new_element.button.id, said.delta.fragment_id
            found.session = found.session or said.new_session.initialize.session_id
            found.kept_runs = said.new_session.config.max_cached_message_age or found.kept_runs
            found.page = said.navigation.page_script_hash or found.page
            component = said.delta.new_element.bidi_component
            if "-keys-" in component.id:
                found.keys, found.part = component.id, said.delta.fragment_id
        yield found


def run_anew(line: ClientConnection) -> None:
    """Ask for a run of the page, as a component does that tells something."""
    asked = BackMsg()
    asked.rerun_script.query_string = ""
    line.send(asked.SerializeToString())


def press(page: Opened, *pressed: tuple[str, object], part: str = "") -> None:
    """Press keys where an operation is open, in one request."""
    asked = BackMsg()
    asked.rerun_script.query_string, asked.rerun_script.fragment_id = f"operation={ID}", part or page.part
    widget = asked.rerun_script.widget_states.widgets.add()
    widget.id = f"$$STREAMLIT_INTERNAL_KEY_{page.keys}__events"
    told = [{"event": "pressed", "value": {"id": ID, "kind": kind, "value": value}} for kind, value in pressed]
    widget.json_trigger_value = json.dumps(told)
    page.line.send(asked.SerializeToString())


def judged(server: Server, rating: int | None, favorite: bool) -> None:
    """Wait until this is what is stored."""
    deadline, path = time.monotonic() + PATIENCE, server.data / "operations" / f"{ID}.json"
    while True:
        found = json.loads(path.read_text()).get("annotations", {})
        if (found.get("rating"), bool(found.get("favorite"))) == (rating, favorite):
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.mark.long
def test_keys_pressed_closely_are_each_heard_once(server: Server) -> None:
    with opened(server, "library", f"operation={ID}") as page:
        assert page.keys and page.part
        press(page, ("rate", 4), ("favorite", None))
        judged(server, 4, True)
        for rating, favorite in ((2, False), (5, True), (3, False)):
            for _ in range(5):
                run_anew(page.line)  # so that the two wait, and are made one
            press(page, ("rate", rating))
            press(page, ("favorite", None))
            judged(server, rating, favorite)


@pytest.mark.long
def test_a_key_is_heard_where_the_drawer_it_was_pressed_in_has_been_drawn_anew(server: Server) -> None:
    with opened(server, "library", f"operation={ID}") as page:
        press(page, ("rate", 1), part="one-that-was-here")
        judged(server, 1, False)


@pytest.mark.long
def test_what_was_asked_before_the_browser_knew_of_another_address_does_not_lead_back(server: Server) -> None:
    """A part of the page may tell something at any moment (a key, a pause in a note): the next operation stays open."""
    with opened(server, "library", f"operation={ID}") as page:
        assert page.onward
        onward = BackMsg()
        onward.rerun_script.page_script_hash = page.page
        onward.rerun_script.query_string, onward.rerun_script.fragment_id = f"operation={ID}", page.part
        widget = onward.rerun_script.widget_states.widgets.add()
        widget.id, widget.trigger_value = page.onward, True
        page.line.send(onward.SerializeToString())
        while (said := heard(page.line)).WhichOneof("type") != "page_info_changed":
            pass
        assert said.page_info_changed.query_string == f"operation={EARLIER}"
        ask(page, f"operation={ID}")  # before it has read that
        assert shown(page.line) == EARLIER
        ask(page, f"operation={EARLIER}")
        assert shown(page.line) == EARLIER
        ask(page, f"operation={ID}", back=True)
        assert shown(page.line) == ID
        ask(page, "")
        assert shown(page.line) == ""


def test_the_keys_begin_anew_where_an_operation_is_shown_again_and_stay_where_it_is_drawn_anew(server: Server) -> None:
    """A browser that went on and back before it had let go of the first drawer has its keys, and hears no other word of them."""
    with opened(server, "library", f"operation={ID}") as page:
        given = []
        for query in (f"operation={EARLIER}", f"operation={ID}", f"operation={ID}", "", f"operation={ID}"):
            ask(page, query)
            given.append(keys_of(page.line))
        assert given[1] == given[2] and len({str(keys) for keys in given}) == 4
        assert [keys.get("id") for keys in given] == [EARLIER, ID, ID, None, ID]


def keys_of(line: ClientConnection) -> dict[str, Any]:
    """Return what the drawer's keys are given in the next run of the page; nothing where none is open."""
    found: dict[str, Any] = {}
    while (said := heard(line)).WhichOneof("type") != "script_finished":
        component = said.delta.new_element.bidi_component
        if "-keys-" in component.id:
            found = json.loads(component.json)
    return found


def ask(page: Opened, query: str, *, back: bool = False) -> None:
    """Ask for a run of the page at an address, to which the browser's own way back may have led."""
    asked = BackMsg()
    asked.rerun_script.page_script_hash = page.page
    asked.rerun_script.query_string, asked.rerun_script.is_history_navigation = query, back
    page.line.send(asked.SerializeToString())


def shown(line: ClientConnection) -> str:
    """Return which operation is open once the page has been drawn, and is not drawn again."""
    found, drawn = "", False
    while True:
        try:
            said = heard(line, QUIET if drawn else PATIENCE)
        except TimeoutError:
            if drawn:
                return found
            raise
        kind, component = said.WhichOneof("type"), said.delta.new_element.bidi_component
        drawn = kind == "script_finished" or (drawn and kind != "new_session")
        if kind == "new_session":
            found = ""
        if "-keys-" in component.id:
            found = json.loads(component.json)["id"]


def heard(line: ClientConnection, patience: float = PATIENCE) -> ForwardMsg:
    """Return what the server says next."""
    said, found = line.recv(timeout=patience), ForwardMsg()
    assert isinstance(said, bytes)
    found.ParseFromString(said)
    return found


def test_whoever_gives_a_file_while_the_page_is_run_anew_is_told_where_it_goes(server: Server) -> None:
    with opened(server) as page:
        waiting = {f"file {number}" for number in range(ASKED)}
        for request in sorted(waiting):
            asked = BackMsg()
            asked.file_urls_request.request_id, asked.file_urls_request.session_id = request, page.session
            asked.file_urls_request.file_names.append("cat.jpg")
            page.line.send(asked.SerializeToString())
            run_anew(page.line)
        try:
            while waiting:
                said = heard(page.line)
                if said.WhichOneof("type") == "file_urls_response":
                    assert len(said.file_urls_response.file_urls) == 1
                    waiting.discard(said.file_urls_response.response_id)
        except TimeoutError:
            pytest.fail(f"{len(waiting)} of {ASKED} files were never told where to go")


def test_what_a_control_showed_before_a_key_was_pressed_is_no_change(server: Server) -> None:
    with opened(server, "library", f"operation={ID}") as page:
        before = json.loads((server.data / "operations" / f"{ID}.json").read_text()).get("annotations", {})
        rating, was = before.get("rating"), bool(before.get("favorite"))
        press(page, ("favorite", None))
        judged(server, rating, not was)
        drawn(page.line)
        hand_in(page, was)  # a browser that has not drawn that yet, closing the drawer, say
        judged(server, rating, not was)


def test_what_a_control_showed_before_another_operation_was_open_is_no_change(server: Server) -> None:
    """A browser on a busy machine that went on and back has not forgotten the control: it hands in what that one showed."""
    with opened(server, "library", f"operation={ID}") as page:
        stored = json.loads((server.data / "operations" / f"{ID}.json").read_text()).get("annotations", {})
        rating, was = stored.get("rating"), bool(stored.get("favorite"))
        ask(page, f"operation={EARLIER}")
        assert shown(page.line) == EARLIER
        press(page, ("favorite", None))
        judged(server, rating, not was)
        ask(page, f"operation={ID}")
        assert shown(page.line) == ID
        hand_in(page, was)
        judged(server, rating, not was)


def hand_in(page: Opened, favorite: bool) -> None:
    """Tell what the switch shows that was drawn first, and wait until that has been heard."""
    asked = BackMsg()
    asked.rerun_script.query_string, asked.rerun_script.fragment_id = f"operation={ID}", page.part
    widget = asked.rerun_script.widget_states.widgets.add()
    widget.id, widget.bool_value = page.favorite, favorite
    page.line.send(asked.SerializeToString())
    drawn(page.line)


def drawn(line: ClientConnection) -> None:
    """Wait until a run has come to its end."""
    while heard(line).WhichOneof("type") != "script_finished":
        pass


@pytest.mark.parametrize("rating", [4, None])
def test_a_control_begins_with_what_it_was_set_to_in_whatever_run_it_is_seen_first(server: Server, rating: int | None) -> None:
    """A browser that is given two runs at once draws the second alone: what was set in the first must stand in it."""
    note = {"note": "theirs", "tags": ["a", "b"], "favorite": True, "rating": rating}
    Store(server.data).rewrite(EARLIER, lambda sidecar: sidecar.update(annotations=note))
    with opened(server, "library", f"operation={EARLIER}") as page:
        for _ in range(2):
            ask(page, f"operation={EARLIER}")
            stood, ended = list[object](), False
            while not ended:
                said = heard(page.line)
                ended = said.WhichOneof("type") == "script_finished"
                element = said.delta.new_element
                if EARLIER in element.text_area.id:
                    stood.append(element.text_area.default)
                elif EARLIER in element.multiselect.id:
                    stood.append([element.multiselect.options[place] for place in element.multiselect.default])
                elif f"favorite-{EARLIER}" in element.checkbox.id:
                    stood.append(element.checkbox.default)
                elif EARLIER in element.feedback.id:
                    stood.append(element.feedback.default + 1 if element.feedback.HasField("default") else None)
            assert stood == [rating, True, ["a", "b"], "theirs"]


def test_days_that_were_taken_away_do_not_come_back_with_what_the_browser_still_shows(server: Server) -> None:
    with opened(server, "library", "q=date:2025-09") as page:
        assert page.days
        ask(page, "", back=True)
        assert shown(page.line) == ""
        late = BackMsg()
        late.rerun_script.page_script_hash = page.page
        widget = late.rerun_script.widget_states.widgets.add()
        widget.id = page.days
        widget.string_array_value.data.extend(["2025/09/01", "2025/09/30"])
        page.line.send(late.SerializeToString())
        while (said := heard(page.line)).WhichOneof("type") != "script_finished":
            assert said.WhichOneof("type") != "page_info_changed", said.page_info_changed.query_string


def test_a_browser_keeps_what_is_large_for_longer_than_any_request_waits(server: Server) -> None:
    """A request that had waited for two runs named what the browser had let go: the page was dead ("Cached ForwardMsg MISS")."""
    with opened(server, "library") as page:
        assert page.kept_runs >= 100


def test_a_timer_of_a_page_that_was_left_is_not_followed() -> None:
    followed: list[str] = []
    ask = aiming.ask_for_part(lambda _session, state: followed.append(state.page_script_hash))
    pages = PagesManager("main.py", setup_watcher=False)
    shown = SimpleNamespace(_pages_manager=pages, id="one", has_fragment=lambda _name: True)
    shown._pages_manager.set_current_page_script_hash("compare")
    for page in ("library", "compare"):
        for timer in (True, False):
            ask(shown, ClientState(page_script_hash=page, fragment_id="bar", is_auto_rerun=timer))
    assert followed == ["library", "compare", "compare"], "of the page that was left its presses alone"


@pytest.mark.parametrize("back", [True, False])
def test_a_press_that_a_timer_came_after_is_still_a_person_s_and_runs_the_page_where_its_part_has_gone(back: bool) -> None:
    requests, ran = ScriptRequests(), list[RerunData]()
    requests.request_rerun(RerunData(fragment_id="gone", page_script_hash="library", is_history_navigation=back))
    requests.request_rerun(RerunData(fragment_id="bar", page_script_hash="library", is_auto_rerun=True))
    asked = requests.on_scriptrunner_ready().rerun_data
    assert asked is not None and asked.is_history_navigation == back
    pages = SimpleNamespace(current_page_script_hash="library")
    runner = SimpleNamespace(_fragment_storage=SimpleNamespace(contains=lambda name: name == "bar"), _pages_manager=pages)
    aiming.run_part(lambda _runner, data: ran.append(data))(runner, asked)
    assert [(data.fragment_id_queue, data.is_auto_rerun) for data in ran] == [([], False)]


def asked_of(page: str, *controls: str, **more: Any) -> ClientState:
    state = ClientState(page_script_hash=page, query_string=f"at={page}", **more)
    for control in controls:
        state.widget_states.widgets.add().id = control
    return state


def test_what_a_page_tells_after_it_was_left_does_not_lead_back_to_it() -> None:
    """A field that is left by a press on another page tells what stands in it after that press."""
    followed: list[tuple[str, str, str]] = []
    ask = aiming.ask_for_part(
        lambda _session, state: followed.append((state.page_script_hash, state.query_string, state.fragment_id))
    )
    pages = PagesManager("main.py", setup_watcher=False)
    session: Any = SimpleNamespace(_pages_manager=pages, id="left", has_fragment=lambda _name: True)

    def leads(*requests: ClientState) -> list[str]:
        followed.clear()
        for request in requests:
            ask(session, request)
        assert all(address == f"at={page}" for page, address, _part in followed)
        return [page for page, _address, _part in followed]

    timer = {"fragment_id": "bar", "is_auto_rerun": True}
    assert leads(asked_of("compare", "language"), asked_of("library", "language"), asked_of("compare", "language", **timer)) == [
        "compare",
        "library",
    ], "a timer of a page without controls of its own, before the script has gone on"
    assert leads(asked_of("library", "language", **timer)) == ["library"]
    create, library = ("create", "language", "prompt"), ("library", "language", "search")
    assert leads(asked_of(*create)) == ["create"]
    assert leads(asked_of("library", "language"), asked_of(*create, fragment_id="results")) == ["library", "library"]
    assert followed[-1][2] == "", "the part is of the page that was left"
    assert leads(asked_of("library", "language"), asked_of(*create)) == ["library", "library"], "pressed twice"
    assert leads(asked_of("analytics", "language"), asked_of(*create)) == ["analytics", "analytics"], "and once more"
    assert leads(asked_of(*create, is_auto_rerun=True, fragment_id="results")) == [], "nobody asked"
    assert leads(asked_of("create", "language")) == ["create"], "whoever goes back gets there"
    assert leads(asked_of(*create), asked_of("library", "language")) == ["create", "library"]
    assert leads(asked_of(*create, is_history_navigation=True)) == ["create"]
    assert leads(asked_of("library", "language"), asked_of(*library), asked_of(*create)) == ["library", "library", "create"], (
        "the browser knew of the new page: the server itself has led it back"
    )
    assert leads(asked_of("lineage", "language", "graph"), asked_of(*create)) == ["lineage", "create"], (
        "the server has led it there and back: what is pressed first on a page shows that the browser is on it"
    )


def test_of_a_field_and_the_page_that_is_gone_to_after_it_nothing_is_lost() -> None:
    requests = ScriptRequests()
    written, gone = asked_of("create", "language", "prompt"), asked_of("library", "language")
    written.widget_states.widgets[1].string_value = "a hill"
    for state in (written, gone):
        requests.request_rerun(RerunData(page_script_hash=state.page_script_hash, widget_states=state.widget_states))
    asked = requests.on_scriptrunner_ready().rerun_data
    assert asked.page_script_hash == "library" and asked.widget_states
    assert [(widget.id, widget.string_value) for widget in asked.widget_states.widgets] == [
        ("language", ""),
        ("prompt", "a hill"),
    ]
