"""What a person has pressed: noted before the page's script runs, taken once by the run that gets to it, never lost on the way.

Streamlit tells a script of a press once, and a rerun that is asked for meanwhile (a field that is left, a component's value) ends
that script before it gets to the button. A callback runs before the script: it notes the press in a plain dictionary, from which
the next run takes it; who has taken one is not interrupted any more (`hearing.hold`). A press of what had gone when it
arrived is noted too: it is done where it can be, else the page says that it came too late.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from opstore.ui.streamlit_private import hearing, replacing

#: How long a press waits for a run that gets to its button, where no run of the page comes to its end.
PRESS_SECONDS = 60.0
#: A second click within this time of what the first has led to is a double click, not a second wish: each could be paid.
DOUBLE_CLICK_SECONDS = 2.0
#: A browser presses as many buttons at once as it likes; nobody does.
MOST_UNHEARD = 20
_Noted = dict[str, tuple[Any, float]]


def unheard(state: hearing.Session, key: str) -> None:
    """Note a press of a button that had gone, or could not be pressed any more, when it arrived."""
    if "presses" not in state:
        return  # a session that has drawn no button has none to press
    found: _Noted = state["presses"]
    if len(found) < MOST_UNHEARD:
        note(found, key)


replacing.install(unheard)


def noted() -> _Noted:
    """Return the presses of this session that nobody has taken yet, by the key of what was pressed."""
    found: _Noted = st.session_state.setdefault("presses", {})
    return found


def note(presses: _Noted, key: str, value: object = True) -> None:
    """Note a press, to be taken by the next run that gets to it; called from callbacks."""
    presses[key] = (value, time.monotonic())


def take(key: str) -> Any:
    """Return what was pressed under `key`, None if nothing was; from here to its end the run is not interrupted."""
    value, moment = noted().pop(key, (None, 0.0))  # a plain dictionary: nothing comes between the two
    if value is None or time.monotonic() - moment >= PRESS_SECONDS:
        return None
    hearing.hold()
    _last_taken()[key] = time.monotonic()
    st.session_state["press-came"] = moment
    return value


def _last_taken() -> dict[str, float]:
    found: dict[str, float] = st.session_state.setdefault("presses-taken", {})
    return found


def left() -> list[str]:
    """Return the buttons that were pressed and that this run has not got to; other halves of double clicks are not among them."""
    now, taken = time.monotonic(), _last_taken()
    return [
        key
        for key, (value, moment) in noted().items()
        if value is True and now - moment < PRESS_SECONDS and now - taken.get(key, -PRESS_SECONDS) >= DOUBLE_CLICK_SECONDS
    ]


def hear(key: str, *names: str) -> dict[str, Any]:
    """Return what a component with this key calls for each of its triggers: each is noted, for `take(heard(key, name))`."""
    presses = noted()

    def listen(name: str) -> Callable[[], None]:
        def told() -> None:
            if (value := told_by(key, name)) is not None:
                earlier = presses.get(heard(key, name), (None, 0.0))[0]
                both = isinstance(earlier, list) and isinstance(value, list)  # of what is pasted twice both are wanted
                note(presses, heard(key, name), [*earlier, *value] if both else value)

        return told

    return {f"on_{name}_change": listen(name) for name in names}


def told_by(key: str, name: str) -> Any:
    """Return what the component `key` tells under `name`, None for nothing; for its callback, called for each telling."""
    told = hearing.told(key, name)
    if told is not None:
        return told
    state = st.session_state.get(key)
    return state.get(name) if isinstance(state, Mapping) else None


def heard(key: str, name: str) -> str:
    """Return the key under which the trigger `name` of the component `key` is noted."""
    return f"{key} {name}"


def doubled(key: str) -> bool:
    """Say whether a press that was taken is the second half of a double click; for what is made anew, or paid, by every press.

    What the first half led to counts from when it was drawn (`over`): on a busy machine nobody has seen it before; and the second
    until it came, however long the run took from there to its button.
    """
    done, now = _done(), time.monotonic()
    came: float = st.session_state.get("press-came", now)
    moment, drawn = done.get(key, (-PRESS_SECONDS, False))
    if came - moment < (DOUBLE_CLICK_SECONDS if drawn else PRESS_SECONDS):
        return True
    done[key] = (now, False)
    return False


def came_to_nothing(key: str) -> None:
    """Let the next press that is taken count as a first one: of this one nothing came."""
    _done().pop(key, None)


def _done() -> dict[str, tuple[float, bool]]:
    """Return when each key was last acted on, and whether what came of it has been drawn since."""
    found: dict[str, tuple[float, bool]] = st.session_state.setdefault("pressed", {})
    return found


def over() -> bool:
    """Forget what nobody took: the page has been drawn to its end, and what was pressed is not on it any more.

    Return whether a button was pressed that this page does not have, so that it can be said.
    """
    late, taken = bool(left()), _last_taken()
    noted().clear()
    done, now = _done(), time.monotonic()
    for key, (moment, drawn) in list(done.items()):
        if not drawn:
            done[key] = (now, True)
        elif now - moment >= DOUBLE_CLICK_SECONDS:
            del done[key]
    for key in [key for key, moment in taken.items() if now - moment >= DOUBLE_CLICK_SECONDS]:
        del taken[key]
    return late
