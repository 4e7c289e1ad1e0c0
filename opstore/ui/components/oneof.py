"""One of a few, as a row of radio buttons: a proposal is shown, and only what a person presses arrives as a choice.

A control of Streamlit tells what it shows; where the page has just set something else, that looks like somebody's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from opstore.ui.components import script, style

_HTML = '<div class="label" id="label"></div>\n<div class="row" role="radiogroup" aria-labelledby="label"></div>'
_CSS = style("oneof.css")
_JS = script("oneof.js")

_mount = st.components.v2.component("opstore_oneof", html=_HTML, css=_CSS, js=_JS)


def one_of(label: str, offered: Mapping[str, str], shown: str, *, key: str, on_choice: Callable[[str], None], note: str) -> None:
    """Show what is `offered` (names by value) with the one that is `shown` checked; `note` explains the label.

    `on_choice` is called before the page is run with what a person has just chosen, which may be what is shown.
    """

    def chosen() -> None:
        sent = (st.session_state.get(key) or {}).get("chosen")
        if not isinstance(sent, Mapping):
            return
        # It has arrived, also where it is on offer no more: the browser shows its choice until it is told so.
        st.session_state[f"{key}-turn"] = sent.get("turn")
        if isinstance(value := sent.get("value"), str) and value in offered:
            on_choice(value)

    contents = {
        "label": label,
        "note": note,
        "offered": [{"value": value, "name": name} for value, name in offered.items()],
        "shown": shown,
        "turn": st.session_state.get(f"{key}-turn"),
    }
    _mount(key=key, data=contents, on_chosen_change=chosen)
