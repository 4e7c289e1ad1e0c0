"""Which tab of the browser this is: a secret that outlives a reload, and that a duplicate of the tab does not share.

The browser copies a tab's storage into its duplicate. A lock that only one living page can hold tells the two apart, where the
browser has locks (on this machine, and by https); the duplicate takes a secret of its own and says of which tab it is a copy.
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
    """A tab by its secret; `copied` is that of the tab of which it is a duplicate."""

    secret: str
    copied: str | None


def ask(*, key: str) -> None:
    """Have the browser tell which tab this is; `known` returns it from the next run on."""
    _mount(key=key, on_tab_change=lambda: None)


def known(*, key: str) -> Tab | None:
    """Return which tab this is, None where the browser has not told, or cannot."""
    state = st.session_state.get(key)
    told = state.get("tab") if isinstance(state, Mapping) else None
    secret, copied = (told.get("id"), told.get("from")) if isinstance(told, Mapping) else (None, None)
    if not isinstance(secret, str) or not _SECRET.match(secret):
        return None
    return Tab(secret, copied if isinstance(copied, str) and _SECRET.match(copied) else None)
