"""The stage on which pictures and videos are compared; it draws by itself, the page hears only what belongs into its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from opstore.ui.components import script, style

_HTML = '<div class="root"></div>\n<span hidden></span>'
_CSS = style("../../browser/divider.css", "compare_stage.css", "compare.css")
_JS = script("compare.js")

#: The ways to look, in the order of their keys.
VIEWS = ("slider", "side", "blink", "overlay", "difference")

_mount = st.components.v2.component("opstore_compare", html=_HTML, css=_CSS, js=_JS)


def stage(*, key: str, heard: Mapping[str, Callable[[], None]], **data: Any) -> None:
    """Show a comparison; `heard` has what to do when a person changes `view`, `pair`, `fit`, `panel`, or makes a `step`."""
    acts: dict[str, Any] = {f"on_{name}_change": act for name, act in heard.items()}
    _mount(key=key, data=data, **acts)


def heard_of(key: str, name: str) -> Any:
    """Return the value that has just arrived from the stage `key` under `name`, None if there is none."""
    state = st.session_state.get(key)
    sent = state.get(name) if isinstance(state, Mapping) else None
    return sent.get("value") if isinstance(sent, Mapping) else None
