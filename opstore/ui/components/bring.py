"""Brings the form of Create into view when it was filled in from elsewhere; where it is in view, nothing moves."""

from __future__ import annotations

import streamlit as st

from opstore.ui.components import script

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = script("bring.js")
_TURN = "brought"
_mount = st.components.v2.component("opstore_bring", html=_HTML, css=_CSS, js=_JS)


def wanted() -> None:
    """Have the form brought into view when it is shown next."""
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def into_view(of: str, *, key: str) -> None:
    """Bring the text area with the key `of` into view, once each time it is wanted."""
    _mount(key=key, data={"where": f".st-key-{of}", "turn": st.session_state.get(_TURN, 0)})
