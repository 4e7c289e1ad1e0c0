"""Opens the pictures of the drawer on a stage of the whole window, to look closely, and at what a result was made from."""

from __future__ import annotations

import streamlit as st

from opstore.ui.components import script, style
from opstore.ui.words import _

_HTML = '<div class="root"></div>\n<span hidden></span>'
_CSS = style("compare_stage.css", "zoom.css")
_JS = script("zoom.js")

_mount = st.components.v2.component("opstore_zoom", html=_HTML, css=_CSS, js=_JS)


def zoom(*, key: str, compare: bool) -> None:
    """Show the button that opens the pictures of the container `.st-key-opened`; a click on one of them does the same."""
    words = {
        "zoom": _("Zoom"),
        "close": _("Close"),
        "before": _("Before"),
        "after": _("Result"),
        "smaller": _("Smaller (−)"),
        "larger": _("Larger (+)"),
        "fitted": _("Fit into the window (0)"),
        "hint": _("Wheel, two fingers or + −: zoom. 0: fit. 1: true pixels. Hold B: before."),
        "plain": _("Wheel, two fingers or + −: zoom. 0: fit. 1: true pixels."),
    }
    _mount(key=key, data={"words": words, "compare": compare})
