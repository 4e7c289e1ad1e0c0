"""Controls whose value the page sets: each time it is a new control, so that no old value of a browser passes for a choice.

A request brings every value that the browser shows. Where the page has set another one meanwhile, the old one would be taken for
what a person wants now; of a control that is no longer there nothing is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from opstore.index.fields import FILTERS
from opstore.ui.streamlit_private import styles as streamlit_styles

#: Those that the page sets while a person looks at them.
_FILTERS = [f"filter-{name}" for name in (*FILTERS, "rating", "favorite", "date")]
_SEEN = ("prompt", "variants", "search", "order", "group", "period", *_FILTERS)


def style() -> str:
    """Return the style that shows each control once, whatever stood in its place before."""
    return streamlit_styles.once(_SEEN)


def key_of(name: str) -> str:
    """Return the key under which the control `name` stands now."""
    turn = _turns()[name]
    return f"{name}-t{turn}" if turn else name


def set_to(name: str, value: object) -> None:
    """Let the control `name` show a value; before it stands."""
    _turns()[name] += 1
    _set(name, value)


def offer(name: str, value: object) -> None:
    """Let the control `name` show a value, before it stands; where somebody writes in it already, what they write stays."""
    _set(name, value)


def align(name: str, value: object) -> None:
    """Let the control `name` show a value, and stay the one that it is where it does; before it stands."""
    key = key_of(name)
    # Of one that does not stand a browser that came back quickly still has what it showed last.
    if st.session_state.get(key, _told().get(key, value)) != value:
        set_to(name, value)
    elif key not in st.session_state:
        _set(name, value)


def follow(name: str, stored: Mapping[str, object]) -> bool:
    """Let controls show what is stored, and say whether that is something else than this window has drawn; before they stand.

    What somebody has set and not saved yet stays for as long as nobody else saves.
    """
    known = st.session_state.get(f"{name}-drawn")
    if known != stored or any(key_of(control) not in st.session_state for control in stored):
        for control, value in stored.items():
            align(control, value)
    remember(name, stored)
    return known not in (None, stored)


def remember(name: str, stored: Mapping[str, object]) -> None:
    """Know that this is stored by this window itself."""
    st.session_state[f"{name}-drawn"] = dict(stored)


def shown(name: str) -> Any:
    """Return what the control `name` shows."""
    return st.session_state[key_of(name)]


def heard(name: str, change: Callable[[Any], None]) -> dict[str, Any]:
    """Return the options of the control `name`: its key, and what is called with what a person has changed it to.

    A control that has gone is heard as long as a browser shows it: what it had been set to, or told before, is no change.
    """
    key = key_of(name)
    last_values = _told()

    def changed() -> None:
        given = st.session_state[key]
        if key not in last_values or given != last_values[key]:
            last_values[key] = given
            change(given)

    return {"key": key, "on_change": changed}


def _set(name: str, value: object) -> None:
    key = key_of(name)
    st.session_state[key] = _told()[key] = value


def _told() -> dict[str, Any]:
    """Return what each control was set to last, or told since."""
    found: dict[str, Any] = st.session_state.setdefault("controls-told", {})
    return found


def _turns() -> defaultdict[str, int]:
    found: defaultdict[str, int] = st.session_state.setdefault("turns", defaultdict(int))
    return found
