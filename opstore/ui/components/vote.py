"""The booth in which people vote on two results; it hears keys, and shows nothing of who made what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from opstore.ui import presses
from opstore.ui.components import script, style

_HTML = '<div class="root"></div>\n<span hidden></span>'
_CSS = style("vote.css")
_JS = script("vote.js")

_mount = st.components.v2.component("opstore_vote", html=_HTML, css=_CSS, js=_JS)


@dataclass(frozen=True, slots=True)
class Cast:
    """What has just been cast: a choice of `reviews` or `undo`, and for which pair; `turn` tells it from every other."""

    choice: str
    left: str
    right: str
    turn: int


def booth(*, key: str, **data: Any) -> None:
    """Show a pair; what is cast arrives with the next run of the page, from `cast_in`."""
    _mount(key=key, data=data, **presses.hear(key, "cast"))


def cast_in(key: str) -> Cast | None:
    """Return what has just been cast in the booth `key`, None if there is nothing, or nothing of ours."""
    sent = presses.take(presses.heard(key, "cast"))
    if not isinstance(sent, Mapping) or not isinstance(sent.get("turn"), int | float):
        return None
    choice, left, right = (str(sent.get(name)) for name in ("choice", "left", "right"))
    return Cast(choice, left, right, int(sent["turn"]))
