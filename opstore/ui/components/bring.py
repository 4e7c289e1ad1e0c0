"""Brings the form of Create into view when it was filled in from elsewhere; where it is in view, nothing moves."""

from __future__ import annotations

import streamlit as st

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
#: The page may still be on its way; a finger wants no keyboard over the picture it has just chosen.
_JS = """
const HEADER = 76, LABEL = 36, WAIT = 5000;

function bring(where, since) {
  const field = document.querySelector(`${where} textarea`);
  if (!field) { if (performance.now() - since < WAIT) setTimeout(bring, 50, where, since); return; }
  const { top, bottom } = field.getBoundingClientRect();
  field.style.scrollMarginTop = HEADER + LABEL + "px";
  if (top < HEADER || bottom > innerHeight) field.scrollIntoView({ block: "start" });
  if (matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
}

export default function ({ data }) {
  const before = window.opstoreBrought ?? 0;
  window.opstoreBrought = data.turn;
  if (data.turn > before) bring(data.where, performance.now());
}
"""
_TURN = "brought"
_mount = st.components.v2.component("opstore_bring", html=_HTML, css=_CSS, js=_JS)


def wanted() -> None:
    """Have the form brought into view when it is shown next."""
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def into_view(of: str, *, key: str) -> None:
    """Bring the text area with the key `of` into view, once each time it is wanted."""
    _mount(key=key, data={"where": f".st-key-{of}", "turn": st.session_state.get(_TURN, 0)})
