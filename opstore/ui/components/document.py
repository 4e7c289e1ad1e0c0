"""What only the browser's document can be told: its language, the one that was chosen, for the next visit, and its history."""

from __future__ import annotations

import streamlit as st

from opstore.ui import words
from opstore.ui.components import script

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = script("document.js")

_mount = st.components.v2.component("opstore_document", html=_HTML, css=_CSS, js=_JS)


def tell(*, key: str) -> None:
    """Tell the document the viewer's language; each choice of one is kept in a cookie, once."""
    chosen = st.session_state.get("language-choices", 0)
    _mount(key=key, data={"language": words.language(), "cookie": words.COOKIE, "chosen": chosen})
