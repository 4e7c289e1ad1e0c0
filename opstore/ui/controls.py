"""Controls whose value the page sets: each time it is a new control, so that no old value of a browser passes for a choice.

A request brings every value that the browser shows. Where the page has set another one meanwhile, the old one would be taken for
what a person wants now; of a control that is no longer there nothing is taken.
"""

from __future__ import annotations

from collections import defaultdict

import streamlit as st


def key_of(name: str) -> str:
    """Return the key under which the control `name` stands now."""
    turn = _turns()[name]
    return f"{name}-t{turn}" if turn else name


def set_to(name: str, value: object) -> None:
    """Let the control `name` show a value; before it stands."""
    _turns()[name] += 1
    st.session_state[key_of(name)] = value


def _turns() -> defaultdict[str, int]:
    found: defaultdict[str, int] = st.session_state.setdefault("turns", defaultdict(int))
    return found
