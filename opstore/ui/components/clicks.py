"""Makes a press that is held on a button a click of that button, even where the page was drawn anew under the mouse meanwhile.

To press a button leaves the field that was being written in, and the page runs: the button may be lower, or another element, when
the mouse goes up. A browser makes no click of that. FrameVersion still, a press is meant for what it began on; where that
has gone, or can be pressed no more, the server is told which it was, and does it or says why not.
A key that is held is one press as well.
"""

from __future__ import annotations

import streamlit as st

from opstore.ui import presses
from opstore.ui.components import script

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = script("clicks.js")

_mount = st.components.v2.component("opstore_clicks", html=_HTML, css=_CSS, js=_JS)


def clicks() -> None:
    """Listen, on every page, from the first one on."""
    noted = presses.noted()

    def gone() -> None:
        key = presses.told_by("clicks", "gone")
        if isinstance(key, str):
            presses.note(noted, key[:200])

    _mount(key="clicks", on_gone_change=gone)
