"""What a person did is heard whole before anything newer: a press, and all that components tell.

Streamlit (1.67) looks for a newer request before it applies the one in its hands, and at every word of a callback: a press that
is overtaken is then gone before its callback has run, or in the midst of it. Here a request is applied, and its callbacks run, in
one piece; and a run that has taken a press (`hold`) goes on to its end before it looks for what is newer. That takes one thread a
session (`runner.fastReruns = false`): a second one would run beside the held one, on the same state. A press of a button
that the last run did not draw, or drew as one that cannot be pressed, has no callback that Streamlit would call: whoever installs
this is told of it.

Of what a component has told in two requests that wait, Streamlit keeps the last, and of two tellings in one it gives the last one
twice. Here both are heard (`told`). Who goes to another page sends nothing of what stood in the fields of the page that is left:
where the request before still waits, Streamlit drops its values. Here they are kept. Of two requests that are made one, Streamlit
asks the last alone whether a timer sent it.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests, ScriptRequestType
from streamlit.runtime.state.common import user_key_from_element_id
from streamlit.runtime.state.safe_session_state import SafeSessionState


class _Held(threading.local):
    """Of the run of this thread: whether it is not to be interrupted, whether it has just asked for another run itself; and what
    components have told in the request that is being applied, by key and name, in the order of the telling."""

    now = False
    asked = False
    told: Mapping[tuple[str, str], list[Any]] = {}


_held = _Held()


class Session(Protocol):
    """What a session remembers, by name."""

    def __contains__(self, name: str) -> bool:
        """Say whether there is something under this name."""

    def __getitem__(self, name: str) -> Any:
        """Return what there is under this name."""


Unheard = Callable[[Session, str], None]


def hold() -> None:
    """Let this run of the page go on to its end; what has arrived meanwhile comes after it."""
    _held.now = True


def told(key: str, name: str) -> Any:
    """Return what the component `key` has told next under `name`, each once; for its callback, which is called once for each."""
    values = _held.told.get((key, name))
    return values.pop(0) if values else None


def look_for_newer(original: Callable[..., Any]) -> Callable[..., Any]:
    """Look for a newer request, unless this run goes on to its end."""

    def look(runner: ScriptRunner) -> None:
        if not _held.now or _held.asked:
            _held.asked = False
            original(runner)

    return look


def ask(original: Callable[..., Any]) -> Callable[..., Any]:
    """Ask for a run. A held run that asks for one (`st.rerun`, `st.switch_page`) ends there, as every other one does."""

    def ask(requests: ScriptRequests, new_data: RerunData) -> bool:
        _held.asked = _held.now
        waiting = requests._rerun_data
        if new_data.is_auto_rerun and requests._state is ScriptRequestType.RERUN and not waiting.is_auto_rerun:
            # What a person asked for and a timer's request are made one, which Streamlit takes for the timer's.
            back = new_data.is_history_navigation or waiting.is_history_navigation
            new_data = replace(new_data, is_auto_rerun=False, is_history_navigation=back)
        taken: bool = original(requests, new_data)
        return taken

    return ask


def run(original: Callable[..., Any]) -> Callable[..., Any]:
    """Run a script; a hold ends with the run that asked for it."""

    @contextlib.contextmanager
    def run(runner: ScriptRunner) -> Iterator[None]:
        with original(runner):
            try:
                yield
            finally:
                _held.now = _held.asked = False

    return run


def apply(unheard: Unheard) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Apply a request and run its callbacks, in one piece; tell `unheard` of presses that none was called for."""

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


def put_together(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make one of two requests: of a component both tell something, it tells both, and of what only the older has, its values."""

    def put_together(old_states: Any, new_states: Any) -> Any:
        states = original(old_states, new_states)
        if old_states and new_states:
            newer = {widget.id: widget.json_trigger_value for widget in new_states.widgets}
            both = {
                widget.id: json.dumps([*_events(widget.json_trigger_value), *_events(newer[widget.id])])
                for widget in old_states.widgets
                if widget.json_trigger_value and newer.get(widget.id)
            }
            known = {widget.id for widget in states.widgets}
            for widget in states.widgets:
                if widget.id in both:
                    widget.json_trigger_value = both[widget.id]
            states.widgets.extend(widget for widget in old_states.widgets if widget.id not in known)
        return states

    return put_together
