"""Opens the pictures of the drawer over the whole window: their true pixels, and what a result was made from at a key's press."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from opstore.ui.words import _

_HERE = Path(__file__).parent
_HTML = '<div class="root"></div>\n<span hidden></span>'
_CSS = (_HERE / "zoom.css").read_text("utf-8")
_JS = (_HERE / "zoom.js").read_text("utf-8")

_mount = st.components.v2.component("opstore_zoom", html=_HTML, css=_CSS, js=_JS)


def zoom(*, key: str, compare: bool) -> None:
    """Show the button that opens the pictures of the container `.st-key-opened`; a click on one of them does the same."""
    words = {
        "zoom": _("Zoom"),
        "close": _("Close"),
        "before": _("Before"),
        "hint": _("Click: true pixels. Hold B or the button: before."),
        "plain": _("Click: true pixels."),
    }
    _mount(key=key, data={"words": words, "compare": compare})
