"""What is sent to a browser: nothing that was drawn or answered is thrown away, and a control begins with what it was set to.

What a page sets a control to, Streamlit sends once, beside the default that the control begins with. A browser that is given two
runs at once draws the second alone: the control stands with its default, and hands that in as what a person wants. Here a control
begins with what it was set to.

Where a run begins, Streamlit also throws away what it has not sent yet, its answers with it: a browser that asked where to put a
file would wait for ever, and show nothing of it. Here it is answered.

A run is told of by a thread, and taken by the loop that also takes requests. A request that finds the thread ended begins another
one, and Streamlit throws away what the loop had not taken of the first (its issue 9921): on a busy machine all that a press had
led to, its new address too, was never seen. Here the request waits until that has been taken (`begin_after`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx
from streamlit.runtime.state.session_state import SessionState

#: What is said to a browser once, and that no later run says again: where a file goes and a download lies, that the server is
#: there, where to sign in.
_SAID_ONCE = frozenset({"file_urls_response", "backend_operation_response", "heartbeat_ack", "auth_redirect"})


def begin_anew(original: Callable[..., Any]) -> Callable[..., Any]:
    """Throw away what an ended run has drawn and nobody was sent, and not what is said once."""

    def clear(
        queue: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None
    ) -> None:
        said = [message for message in queue._queue if message.WhichOneof("type") in _SAID_ONCE]
        original(queue, retain_lifecycle_msgs, fragment_ids_this_run)
        if retain_lifecycle_msgs:  # else everything has just been sent
            kept = {id(message) for message in queue._queue}
            queue._queue.extend(message for message in said if id(message) not in kept)

    return clear


#: Requests that wait, of each session by its name, in the order in which they came.
_waiting: dict[str, list[RerunData]] = {}
#: How often it is looked whether a run that was stopped has ended, in seconds: one that has taken a press goes on to its end.
_LOOK = 0.01


_Begin = Callable[[AppSession, RerunData], None]


def begin_after(original: _Begin) -> _Begin:
    """Begin to run the page's script in another thread once the last one has ended and all that it has told is taken."""

    def begin(session: AppSession, initial_rerun_data: RerunData) -> None:
        line = _waiting.get(session.id)
        if line is not None:
            line.append(initial_rerun_data)
        elif session._scriptrunner is None:
            original(session, initial_rerun_data)
        else:
            _waiting[session.id] = [initial_rerun_data]
            session._call_soon_on_event_loop(lambda: _look(session, original, ended=False))

    return begin


def _look(session: AppSession, begin: _Begin, *, ended: bool) -> None:
    """Go on where there is no thread any more: what one has told before it `ended` stands in line before the next look."""
    if session._state is AppSessionState.SHUTDOWN_REQUESTED:
        _waiting.pop(session.id, None)
    elif session._scriptrunner is None or ended:
        _go_on(session, begin)
    elif session._scriptrunner._script_thread and session._scriptrunner._script_thread.is_alive():
        session._event_loop.call_later(_LOOK, lambda: _look(session, begin, ended=False))
    else:
        session._call_soon_on_event_loop(lambda: _look(session, begin, ended=True))


def _go_on(session: AppSession, begin: _Begin) -> None:
    """Begin with the first request that waits; the others join it, or wait for its end where that has come already."""
    first, *others = _waiting.pop(session.id)
    try:
        begin(session, first)
        for asked in others:
            if not (session._scriptrunner and session._scriptrunner.request_rerun(asked)):
                begin_after(begin)(session, asked)
    except Exception as error:  # no thread to be had, say: told as where the request came
        session.handle_backmsg_exception(error)


#: Under which a session remembers what its controls were set to, by their ids; the latest ones, for nobody has more on a page.
_SET = "opstore-set"
_MOST_SET = 300


def draw(original: Callable[..., Any]) -> Callable[..., Any]:
    """Draw an element; a control begins with what it was set to."""

    def enqueue(generator: DeltaGenerator, delta_type: str, element_proto: Any, *rest: Any, **options: Any) -> Any:
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
