"""Puts our own in the place of what Streamlit does by itself, all of it or nothing; what each is for: hearing, aiming, sending.

`install` refuses a Streamlit whose names are others, so that a new version is read before it is used. What is large a browser
keeps for two runs, and is sent its name alone: a request that waited named what the browser had let go meanwhile, and the page
was dead. So it is kept for more runs than a request ever waits for (also in .streamlit/config.toml, for sessions that begin
before this is imported).
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from streamlit import config
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils import script_requests
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests
from streamlit.runtime.state.query_params import QueryParams
from streamlit.runtime.state.safe_session_state import SafeSessionState

from opstore.ui.streamlit_private import aiming, hearing, sending

#: What is replaced, and the parameters it must have to be what was read.
_KNOWN: dict[tuple[type | ModuleType, str], tuple[str, ...]] = {
    (AppSession, "request_rerun"): ("self", "client_state"),
    (AppSession, "has_fragment"): ("self", "fragment_id"),
    (AppSession, "_create_scriptrunner"): ("self", "initial_rerun_data"),
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
#: Runs for which a browser keeps what is large: 20 MB where as many searches are looked at.
_KEPT_RUNS = 500
_originals: dict[tuple[type | ModuleType, str], Callable[..., Any]] = {}
_guard = threading.Lock()


def install(unheard: hearing.Unheard) -> None:
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
        _replace(ScriptRunner, "_maybe_handle_execution_control_request", hearing.look_for_newer)
        _replace(ScriptRunner, "_set_execing_flag", hearing.run)
        _replace(ScriptRequests, "request_rerun", hearing.ask)
        _replace(SafeSessionState, "on_script_will_rerun", hearing.apply(unheard))
        _replace(ForwardMsgQueue, "clear", sending.begin_anew)
        _replace(AppSession, "_create_scriptrunner", sending.begin_after)
        _replace(script_requests, "_coalesce_widget_states", hearing.put_together)
        _replace(AppSession, "request_rerun", aiming.ask_for_part)
        _replace(QueryParams, "_send_query_param_msg", aiming.change_address)
        _replace(DeltaGenerator, "_enqueue", sending.draw)
        _replace(ScriptRunner, "_run_script", aiming.run_part)


def remove() -> None:
    """Leave Streamlit as it came; for the test that shows what it loses."""
    with _guard:
        for (owner, name), original in _originals.items():
            setattr(owner, name, original)
        _originals.clear()


def _replace(owner: type | ModuleType, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    setattr(owner, name, make(_originals[owner, name]))
