"""Has the browser save a file once it was asked for: what is saved is what the page showed when the button was pressed.

Streamlit's own button that makes its file when pressed asks for the file of the page's last run: what was ticked since is not in
it yet, and a run on its way takes the file away under the press.
"""

from __future__ import annotations

import streamlit as st

from opstore.ui.components import script

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = script("save.js")
_mount = st.components.v2.component("opstore_save", html=_HTML, css=_CSS, js=_JS)


def save(address: str, wish: str, *, key: str) -> None:
    """Save what is at an address of ours, once for each `wish`; an empty address saves nothing."""
    _mount(key=key, data={"address": address, "wish": wish})
