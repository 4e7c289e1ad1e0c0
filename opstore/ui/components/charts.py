"""Charts of Plotly's that are drawn when they come near the window, with their sentence, their data, and marks that keys reach.

`st.plotly_chart` draws whatever a run sends, at once, again where a number has changed, and its marks are for the mouse alone.
Here words and heights stand from the beginning, so that nothing jumps and the browser's search finds every sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from opstore.ui.components import script, style
from opstore.ui.scripts import PLOTLY
from opstore.ui.words import _, labelled

_HTML = '<div class="ops-charts"></div>\n<span hidden></span>'
_CSS = style("charts.css")
_JS = script("charts.js")

# In the page itself: Plotly's own rules stand in the page's head, and reach into no shadow.
_mount = st.components.v2.component("opstore_charts", html=_HTML, css=_CSS, js=_JS, isolate_styles=False)


def charts(*, key: str, drawn: Sequence[Mapping[str, Any]], on_pick: Callable[[str], None]) -> None:
    """Show charts, two a row if there is room.

    Each has `key`, `title`, `sentence`, `figure` (`data` and `layout`, None if there is nothing to draw), `columns` and `rows`
    (texts) and `csv` of its data, `count` of all its rows, and `said`, what stands under it: a word, a count and a text each.
    `on_pick` is called before the script runs, with what the chosen mark has as its `customdata`, or the first part of it.
    """

    def picked() -> None:
        sent = (st.session_state.get(key) or {}).get("picked")
        if isinstance(sent, Mapping) and isinstance(sent.get("asked"), str):
            on_pick(sent["asked"])

    words = {
        "data": _("Chart data"),
        "labelled": labelled(_("Chart data"), "{title}"),
        "csv": _("Download as CSV"),
        "marks": _("Chart elements; arrow keys move between them, Enter shows the operations"),
        "more": _("More rows in the file: {count}"),
        "said": _("Most common messages"),
        "unloaded": _("The charts could not be loaded. Reload the page to try again."),
    }
    _mount(key=key, data={"script": PLOTLY, "words": words, "charts": list(drawn)}, on_picked_change=picked)
