"""What only the browser's document can be told: the language it is read in, and the one that was chosen, for the next visit."""

from __future__ import annotations

import streamlit as st

from opstore.ui import words

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = """
export default function ({ data }) {
  document.documentElement.lang = data.language;
  if (window.opstoreChosen === data.chosen) return;
  window.opstoreChosen = data.chosen;
  // Only what was chosen in this window: another tab, drawn before, would bring its older choice back.
  if (data.chosen) document.cookie = `${data.cookie}=${data.language}; path=/; max-age=31536000; SameSite=Lax`;
}
"""

_mount = st.components.v2.component("opstore_document", html=_HTML, css=_CSS, js=_JS)


def tell(*, key: str) -> None:
    """Tell the document the viewer's language; each choice of one is kept in a cookie, once."""
    chosen = st.session_state.get("language-choices", 0)
    _mount(key=key, data={"language": words.language(), "cookie": words.COOKIE, "chosen": chosen})
