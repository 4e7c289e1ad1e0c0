"""A text area that follows a proposal until a person words it: what they wrote is theirs, what they did not touch is proposed.

A control that the page sets anew is a new one: of the old one a browser still tells what it showed, and that is nobody's words.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st


@dataclass(slots=True)
class Wording:
    """What a person wrote, None if nothing; how often the page has set the control, to what, and what it shows since."""

    own: str | None = None
    turn: int = 0
    set_to: str = ""
    shown: str = ""


def wording(name: str) -> Wording:
    """Return what is known of the control `name` in this session."""
    found: Wording = st.session_state.setdefault(f"wording-{name}", Wording())
    return found


def proposed_text(label: str, proposed: str, *, name: str, height: int) -> str:
    """Show a text area that says what a person wrote in it, else what is `proposed`; return that."""
    known = wording(name)
    wanted = known.own or proposed
    if known.shown != wanted:
        known.turn, known.shown = known.turn + 1, wanted
    key = f"{name}-{known.turn}"
    if key not in st.session_state:
        known.set_to = wanted

    def written() -> None:
        known.shown = st.session_state[key]
        known.own = known.shown if known.shown.strip() else None

    st.text_area(label, known.set_to, key=key, height=height, persist_state="session", on_change=written)
    return wanted
