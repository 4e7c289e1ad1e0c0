"""A row of small choices whose labels are other people's words: shown as text only, where a button's label would be Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from opstore.ui import presses
from opstore.ui.components import script

_HTML = '<div class="row" role="list"></div>\n<span hidden></span>'
_CSS = """
.row { display: flex; flex-wrap: wrap; gap: 8px; font-family: var(--st-font); font-size: 14px; color: var(--st-text-color); }
button { font: inherit; color: inherit; display: inline-flex; align-items: center; gap: 8px; min-height: 32px; max-width: 100%;
  padding: 2px 12px; border: 1px solid color-mix(in srgb, currentColor 18%, transparent); border-radius: 16px; cursor: pointer;
  background: var(--st-secondary-background-color); }
button span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
button:hover { border-color: currentColor; }
button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
@media (pointer: coarse) { button { min-height: 40px; border-radius: 20px; } }
"""
_JS = script("choices.js")

_mount = st.components.v2.component("opstore_choices", html=_HTML, css=_CSS, js=_JS)


def choices(
    offered: Sequence[tuple[str, str, str]],
    *,
    key: str,
    on_choice: Callable[[str], None] | None = None,
    source: Callable[[str], str] | None = None,
) -> str | None:
    """Show (label, name of the click, value) as small buttons, those with a name with a ✕; return the value just chosen.

    With `on_choice` that is called with it before the page is run: one run of the page instead of two. `source` says where the
    grid finds what a choice leads to: it looks there at once, while the page is run.
    """
    shown = [
        {"label": label, "name": name, "value": value, "source": source(value) if source else None}
        for label, name, value in offered
    ]
    values = [choice[2] for choice in offered]

    def chosen() -> None:
        value = _value((st.session_state.get(key) or {}).get("chosen"), values)
        if on_choice and value is not None:
            on_choice(value)

    listening = {"on_chosen_change": chosen} if on_choice else presses.hear(key, "chosen")
    _mount(key=key, data={"choices": shown}, **listening)
    return None if on_choice else _value(presses.take(presses.heard(key, "chosen")), values)


def _value(chosen: object, values: Sequence[str]) -> str | None:
    value = chosen.get("value") if isinstance(chosen, Mapping) else None
    return value if value in values else None
