"""Which tab of the browser this is: a secret that outlives a reload, and that a duplicate of the tab does not share.

The browser copies a tab's storage into its duplicate. A lock that only one living page can hold tells the two apart, where the
browser has locks (on this machine, and by https); the duplicate takes a secret of its own and says of which tab it is a copy.
Each time the page is opened the tab also tells what was written in it and is kept there alone (`draft`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from opstore.ui.components import script

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = script("tab.js")

_mount = st.components.v2.component("opstore_tab", html=_HTML, css=_CSS, js=_JS)
_SECRET = re.compile(r"\A[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab by its secret; `copied` is that of the tab of which it is a duplicate.

    `turn` is another one each time it is told; `left` is what was kept in the tab then, and over which text it was written.
    """

    secret: str
    copied: str | None
    turn: object = None
    left: tuple[str, str] | None = None


def ask(kept: str, *, key: str) -> None:
    """Have the browser tell which tab this is, and what it has under the name `kept`; `known` returns it from the next run on."""
    _mount(key=key, data={"kept": kept}, on_tab_change=lambda: None)


def known(*, key: str) -> Tab | None:
    """Return which tab this is, None where the browser has not told, or cannot."""
    state = st.session_state.get(key)
    answer = state.get("tab") if isinstance(state, Mapping) else None
    secret, copied = (answer.get("id"), answer.get("from")) if isinstance(answer, Mapping) else (None, None)
    if not isinstance(secret, str) or not _SECRET.match(secret):
        return None
    left = answer.get("left") if isinstance(answer, Mapping) else None
    over, text = (left.get("over"), left.get("text")) if isinstance(left, Mapping) else (None, None)
    return Tab(
        secret,
        copied if isinstance(copied, str) and _SECRET.match(copied) else None,
        answer.get("turn") if isinstance(answer, Mapping) else None,
        (over, text) if isinstance(over, str) and isinstance(text, str) else None,
    )
