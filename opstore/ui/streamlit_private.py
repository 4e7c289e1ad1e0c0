"""The private names of Streamlit that opstore touches: what a person did is heard whole before anything newer.

Streamlit (1.67) looks for a newer request before it applies the one in its hands, and at every word of a callback: a press that
is overtaken is then gone before its callback has run, or in the midst of it. Here a request is applied, and its callbacks run, in
one piece; and a run that has taken a press (`hold`) goes on to its end before it looks for what is newer. That takes one thread a
session (`runner.fastReruns = false`): a second one would run beside the held one, on the same state. `install` refuses a
Streamlit whose names are others, so that a new version is read before it is used.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

from streamlit import config
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests
from streamlit.runtime.state.safe_session_state import SafeSessionState


class _Held(threading.local):
    """Whether the run of this thread is not to be interrupted, and whether it has just asked for another run itself."""

    now = False
    asked = False


_held = _Held()
#: What is replaced, and the parameters it must have to be what was read.
_KNOWN: dict[tuple[type, str], tuple[str, ...]] = {
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
}
_originals: dict[tuple[type, str], Callable[..., Any]] = {}
_guard = threading.Lock()


def hold() -> None:
    """Let this run of the page go on to its end; what has arrived meanwhile comes after it."""
    _held.now = True


def install() -> None:
    """Make Streamlit hear every press; once a process. Raise RuntimeError where this Streamlit is not the one that is known."""
    with _guard:
        if _originals:
            return
        for (owner, name), expected in _KNOWN.items():
            found = getattr(owner, name, None)
            if found is None or tuple(inspect.signature(found).parameters) != expected:
                raise RuntimeError(f"Streamlit has another {owner.__name__}.{name} than the one that opstore knows.")
            _originals[owner, name] = found
        if config.get_option("runner.fastReruns"):
            config.set_option("runner.fastReruns", False)
        _replace(ScriptRunner, "_maybe_handle_execution_control_request", _look_for_newer)
        _replace(ScriptRunner, "_set_execing_flag", _run)
        _replace(ScriptRequests, "request_rerun", _ask)
        _replace(SafeSessionState, "on_script_will_rerun", _apply)


def remove() -> None:
    """Leave Streamlit as it came; for the test that shows what it loses."""
    with _guard:
        for (owner, name), original in _originals.items():
            setattr(owner, name, original)
        _originals.clear()


def _replace(owner: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
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


def _apply(original: Callable[..., Any]) -> Callable[..., Any]:
    def apply(state: SafeSessionState, fresh_widget_states: Any, **rest: Any) -> None:
        _held.now = True
        try:
            original(state, fresh_widget_states, **rest)
        finally:
            _held.now = False

    return apply
