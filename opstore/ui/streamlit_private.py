"""The private names of Streamlit that opstore touches: what a person did is heard whole before anything newer.

Streamlit (1.67) looks for a newer request before it applies the one in its hands, and at every word of a callback: a press that
is overtaken is then gone before its callback has run, or in the midst of it. Here a request is applied, and its callbacks run, in
one piece; and a run that has taken a press (`hold`) goes on to its end before it looks for what is newer. That takes one thread a
session (`runner.fastReruns = false`): a second one would run beside the held one, on the same state. A press of a button
that the last run did not draw, or drew as one that cannot be pressed, has no callback that Streamlit would call: whoever installs
this is told of it.

Of what a component has told in two requests that wait, Streamlit keeps the last, and of two tellings in one it gives the last one
twice. Here both are heard (`told`). A request for a part of a page (a fragment, a dialog) that has gone, or stands elsewhere now,
it drops with all that was pressed or written in it. Here the whole page is run with it, also where a timer asked before it
was taken up: of two that are made one, Streamlit asks the last alone whether a timer sent it. A timer of a page that was left is
not followed: the bar that all pages have is one part to Streamlit, which ran it as the old page, and cleared the new one.

Every request brings the address that the browser has, and Streamlit takes it for the page's: what was sent before the browser
knew of a page's own change of it (Next, in an open operation) takes that change back. Here it does not.

What a page sets a control to, Streamlit sends once, beside the default that the control begins with. A browser that is given two
runs at once draws the second alone: the control stands with its default, and hands that in as what a person wants. Here a control
begins with what it was set to.

What is large a browser keeps for two runs, and is sent its name alone. A request that waited named what the browser had let go
meanwhile, and the page was dead. It is kept for more runs than a request ever waits for (also in .streamlit/config.toml, for
sessions that begin before this is imported).

Where a run begins, Streamlit also throws away what it has not sent yet, its answers with it: a browser that asked where to put a
file would wait for ever, and show nothing of it. Here it is answered.

`install` refuses a Streamlit whose names are others, so that a new version is read before it is used.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Protocol

from streamlit import config
from streamlit.delta_generator import DeltaGenerator
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils import script_requests
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests, ScriptRequestType
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx
from streamlit.runtime.state.common import user_key_from_element_id
from streamlit.runtime.state.query_params import QueryParams
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState


class _Held(threading.local):
    """Of the run of this thread: whether it is not to be interrupted, whether it has just asked for another run itself; and what
    components have told in the request that is being applied, by key and name, in the order of the telling."""

    now = False
    asked = False
    told: Mapping[tuple[str, str], list[Any]] = {}


_held = _Held()
#: What is replaced, and the parameters it must have to be what was read.
_KNOWN: dict[tuple[type | ModuleType, str], tuple[str, ...]] = {
    (AppSession, "request_rerun"): ("self", "client_state"),
    (AppSession, "has_fragment"): ("self", "fragment_id"),
    (ScriptRunner, "_run_script"): ("self", "rerun_data"),
    (script_requests, "_coalesce_widget_states"): ("old_states", "new_states"),
    (ScriptRunner, "_maybe_handle_execution_control_request"): ("self",),
    (ScriptRunner, "_set_execing_flag"): ("self",),
    (ScriptRequests, "request_rerun"): ("self", "new_data"),
    (SafeSessionState, "on_script_will_rerun"): (
        "self",
        "fresh_widget_states",
        "replay_trigger_states",
        "replay_trigger_values",
        "is_history_navigation",
    ),
    (ForwardMsgQueue, "clear"): ("self", "retain_lifecycle_msgs", "fragment_ids_this_run"),
    (QueryParams, "_send_query_param_msg"): ("self",),
    (DeltaGenerator, "_enqueue"): (
        "self",
        "delta_type",
        "element_proto",
        "layout_config",
        "has_one_shot_effect",
        "agent_props",
    ),
}
#: What is said to a browser once, and that no later run says again: where a file goes and a download lies, that the server is
#: there, where to sign in.
_SAID_ONCE = frozenset({"file_urls_response", "backend_operation_response", "heartbeat_ack", "auth_redirect"})
#: Runs for which a browser keeps what is large: 20 MB where as many searches are looked at.
_KEPT_RUNS = 500
_originals: dict[tuple[type | ModuleType, str], Callable[..., Any]] = {}
_guard = threading.Lock()


class Session(Protocol):
    """What a session remembers, by name."""

    def __contains__(self, name: str) -> bool:
        """Say whether there is something under this name."""

    def __getitem__(self, name: str) -> Any:
        """Return what there is under this name."""


_Unheard = Callable[[Session, str], None]


def hold() -> None:
    """Let this run of the page go on to its end; what has arrived meanwhile comes after it."""
    _held.now = True


def told(key: str, name: str) -> Any:
    """Return what the component `key` has told next under `name`, each once; for its callback, which is called once for each."""
    values = _held.told.get((key, name))
    return values.pop(0) if values else None


def install(unheard: _Unheard) -> None:
    """Make Streamlit hear every press; once a process. Raise RuntimeError where this Streamlit is not the one that is known.

    `unheard` is called with a session's state and the key of each button that was pressed and has no callback any more.
    """
    with _guard:
        if _originals:
            return
        # All of it, or nothing: a refusal is one the next time too.
        read: dict[tuple[type | ModuleType, str], Callable[..., Any]] = {}
        for (owner, name), expected in _KNOWN.items():
            found = getattr(owner, name, None)
            if found is None or tuple(inspect.signature(found).parameters) != expected:
                raise RuntimeError(f"Streamlit has another {owner.__name__}.{name} than the one that opstore knows.")
            read[owner, name] = found
        _originals.update(read)
        if config.get_option("runner.fastReruns"):
            config.set_option("runner.fastReruns", False)
        config.set_option("global.maxCachedMessageAge", _KEPT_RUNS)
        _replace(ScriptRunner, "_maybe_handle_execution_control_request", _look_for_newer)
        _replace(ScriptRunner, "_set_execing_flag", _run)
        _replace(ScriptRequests, "request_rerun", _ask)
        _replace(SafeSessionState, "on_script_will_rerun", _apply(unheard))
        _replace(ForwardMsgQueue, "clear", _begin_anew)
        _replace(script_requests, "_coalesce_widget_states", _put_together)
        _replace(AppSession, "request_rerun", _ask_for_part)
        _replace(QueryParams, "_send_query_param_msg", _change_address)
        _replace(DeltaGenerator, "_enqueue", _draw)
        _replace(ScriptRunner, "_run_script", _run_part)


def remove() -> None:
    """Leave Streamlit as it came; for the test that shows what it loses."""
    with _guard:
        for (owner, name), original in _originals.items():
            setattr(owner, name, original)
        _originals.clear()


def _replace(owner: type | ModuleType, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    setattr(owner, name, make(_originals[owner, name]))


def _look_for_newer(original: Callable[..., Any]) -> Callable[..., Any]:
    def look(runner: ScriptRunner) -> None:
        if not _held.now or _held.asked:
            _held.asked = False
            original(runner)

    return look


def _ask(original: Callable[..., Any]) -> Callable[..., Any]:
    def ask(requests: ScriptRequests, new_data: RerunData) -> bool:
        """Ask for a run. A held run that asks for one (`st.rerun`, `st.switch_page`) ends there, as every other one does."""
        _held.asked = _held.now
        waiting = requests._rerun_data
        if new_data.is_auto_rerun and requests._state is ScriptRequestType.RERUN and not waiting.is_auto_rerun:
            # What a person asked for and a timer's request are made one, which Streamlit takes for the timer's.
            back = new_data.is_history_navigation or waiting.is_history_navigation
            new_data = replace(new_data, is_auto_rerun=False, is_history_navigation=back)
        taken: bool = original(requests, new_data)
        return taken

    return ask


def _run(original: Callable[..., Any]) -> Callable[..., Any]:
    @contextlib.contextmanager
    def run(runner: ScriptRunner) -> Iterator[None]:
        """Run a script; a hold ends with the run that asked for it."""
        with original(runner):
            try:
                yield
            finally:
                _held.now = _held.asked = False

    return run


def _apply(unheard: _Unheard) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def applying(original: Callable[..., Any]) -> Callable[..., Any]:
        def apply(state: SafeSessionState, fresh_widget_states: Any, **rest: Any) -> None:
            _held.now = True
            try:
                lost = _without_callback(state, fresh_widget_states)
                _held.told = _told_in(fresh_widget_states)
                original(state, fresh_widget_states, **rest)
                for key in lost:
                    unheard(state, key)
            finally:
                _held.now, _held.told = False, {}

        return apply

    return applying


def _without_callback(state: SafeSessionState, sent: Any) -> list[str]:
    """Return the keys of the buttons that were pressed, and of which Streamlit calls no callback: gone, or disabled, since."""
    known = state._state._new_widget_state.widget_metadata  # what `SessionState._call_callbacks` asks
    keys = []
    for widget in sent.widgets if sent is not None else ():
        metadata = known.get(widget.id) if widget.trigger_value else None
        key = user_key_from_element_id(widget.id)
        if widget.trigger_value and key and (metadata is None or metadata.disabled):
            keys.append(key)
    return keys


def _begin_anew(original: Callable[..., Any]) -> Callable[..., Any]:
    def clear(
        queue: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None
    ) -> None:
        """Throw away what an ended run has drawn and nobody was sent, and not what is said once."""
        said = [message for message in queue._queue if message.WhichOneof("type") in _SAID_ONCE]
        original(queue, retain_lifecycle_msgs, fragment_ids_this_run)
        if retain_lifecycle_msgs:  # else everything has just been sent
            kept = {id(message) for message in queue._queue}
            queue._queue.extend(message for message in said if id(message) not in kept)

    return clear


def _told_in(sent: Any) -> dict[tuple[str, str], list[Any]]:
    """Return what components tell in a request."""
    events: dict[tuple[str, str], list[Any]] = {}
    for widget in sent.widgets if sent is not None else ():
        key = (user_key_from_element_id(widget.id) or "").removesuffix("__events")
        for event in _events(widget.json_trigger_value):
            if isinstance(event, Mapping):
                events.setdefault((key, str(event.get("event"))), []).append(event.get("value"))
    return events


def _events(text: str) -> list[Any]:
    try:
        read = json.loads(text) if text else []
    except ValueError:
        return []
    return read if isinstance(read, list) else [read]


def _put_together(original: Callable[..., Any]) -> Callable[..., Any]:
    def put_together(old_states: Any, new_states: Any) -> Any:
        """Make one of two requests; of a component both tell something, it tells both."""
        states = original(old_states, new_states)
        if old_states and new_states:
            newer = {widget.id: widget.json_trigger_value for widget in new_states.widgets}
            both = {
                widget.id: json.dumps([*_events(widget.json_trigger_value), *_events(newer[widget.id])])
                for widget in old_states.widgets
                if widget.json_trigger_value and newer.get(widget.id)
            }
            for widget in states.widgets:
                if widget.id in both:
                    widget.json_trigger_value = both[widget.id]
        return states

    return put_together


def _ask_for_part(original: Callable[..., Any]) -> Callable[..., Any]:
    def ask(session: AppSession, client_state: ClientState | None) -> None:
        """Ask for a run of the whole page where a person asks for a part of it that has gone; a timer of one is not answered."""
        timer = client_state and client_state.is_auto_rerun and client_state.fragment_id
        if client_state and timer and _of_another_page(session._pages_manager, client_state.page_script_hash):
            return
        if client_state:
            asked = ClientState()
            asked.CopyFrom(client_state)
            asked.query_string = _address(session, client_state)
            if not session.has_fragment(asked.fragment_id) and not asked.is_auto_rerun:
                asked.fragment_id = ""
            client_state = asked
        original(session, client_state)

    return ask


@dataclass(slots=True)
class _Address:
    """The address that a page has given itself, and those before it that its browser may still have."""

    now: str
    left: set[str]


#: Of each session, by its name; the latest ones. Two threads ask: the page's script, and who takes its requests.
_addresses: dict[str, _Address] = {}
_MOST_ADDRESSES = 10_000
_address_guard = threading.Lock()


def _change_address(original: Callable[..., Any]) -> Callable[..., Any]:
    def send(parameters: QueryParams) -> None:
        """Tell the browser of a page's own change of its address, and remember what it had before."""
        context = get_script_run_ctx()
        before = context.query_string if context else ""
        original(parameters)
        if context and context.query_string != before:
            with _address_guard:
                known = _addresses.pop(context.session_id, None)
                left = {*(known.left if known else ()), before} - {context.query_string}
                _addresses[context.session_id] = _Address(context.query_string, left)
                if len(_addresses) > _MOST_ADDRESSES:
                    del _addresses[next(iter(_addresses))]

    return send


def _address(session: AppSession, asked: ClientState) -> str:
    """Return the address of a request: the page's own where the browser did not know of it yet when it asked."""
    address = asked.query_string
    elsewhere = asked.is_history_navigation or _of_another_page(session._pages_manager, asked.page_script_hash)
    with _address_guard:
        known = _addresses.get(session.id)
        if known and address in known.left and not elsewhere:
            return known.now
        if known:
            known.left.clear()  # the browser knows, or has gone elsewhere by itself
    return address


def _of_another_page(pages: PagesManager, asked: str) -> bool:
    """Say whether a page has been left meanwhile: a timer of what all pages have would clear the one that is shown now."""
    return bool(asked and pages.current_page_script_hash) and asked != pages.current_page_script_hash


def _run_part(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(runner: ScriptRunner, rerun_data: RerunData) -> None:
        """Run the parts of a page that are asked for, or all of it where one has gone while the request waited."""
        gone = not all(map(runner._fragment_storage.contains, rerun_data.fragment_id_queue))
        timer = rerun_data.is_auto_rerun
        if rerun_data.fragment_id_queue and timer and _of_another_page(runner._pages_manager, rerun_data.page_script_hash):
            return
        if gone and not timer:
            rerun_data = replace(rerun_data, fragment_id_queue=[], is_fragment_scoped_rerun=False, is_auto_rerun=False)
        original(runner, rerun_data)

    return run


#: Under which a session remembers what its controls were set to, by their ids; the latest ones, for nobody has more on a page.
_SET = "opstore-set"
_MOST_SET = 300


def _draw(original: Callable[..., Any]) -> Callable[..., Any]:
    def enqueue(generator: DeltaGenerator, delta_type: str, element_proto: Any, *rest: Any, **options: Any) -> Any:
        """Draw an element; a control begins with what it was set to."""
        context = get_script_run_ctx()
        if context and "set_value" in element_proto.DESCRIPTOR.fields_by_name:
            _begin_with_what_was_set(context.session_state._state, element_proto)
        return original(generator, delta_type, element_proto, *rest, **options)

    return enqueue


def _begin_with_what_was_set(state: SessionState, control: Any) -> None:
    known = dict(state[_SET]) if _SET in state else {}
    if control.set_value:
        others = [item for item in known.items() if item[0] != control.id]
        state[_SET] = known = dict([*others, (control.id, _default_of(control))][-_MOST_SET:])
    if control.id not in known:
        return
    default = known[control.id]
    if isinstance(default, list):
        control.default[:] = default
    elif default is None:
        control.ClearField("default")
    else:
        control.default = default


def _default_of(control: Any) -> Any:
    """Return the default of a control that begins with its value: of what is chosen among options the places; None: nothing."""
    names = control.DESCRIPTOR.fields_by_name
    if "raw_values" in names:
        options = [getattr(option, "content", option) for option in control.options]
        return [options.index(value) for value in control.raw_values if value in options]
    if "value" in names and names["value"].is_repeated:
        return list(control.value)
    name = "value" if "value" in names else "raw_value"
    if names[name].has_presence and not control.HasField(name):
        return None  # no star, no number: what is unset reads as 0
    value = getattr(control, name)
    if name == "value":
        return value
    return list(control.options).index(value) if value in control.options else None
