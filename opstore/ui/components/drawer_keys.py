"""The grid's keys in the drawer: what is pressed there arrives here as an act, unless somebody is writing.

It also watches whether others change what is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from opstore.ui import presses
from opstore.ui.components import script

#: What a key can ask for; anything else that arrives is nobody's key.
KINDS = ("rate", "favorite", "trash")

_HTML = "<span hidden></span>"
_JS = script("drawer_keys.js")

_mount = st.components.v2.component("opstore_keys", html=_HTML, js=_JS)


def keys(
    *,
    key: str,
    operation_id: str,
    turn: int,
    state: str,
    tags: str,
    kinds: Sequence[str],
    on_press: Callable[[str, Any], None],
) -> None:
    """Listen to the keys of KINDS that are among `kinds`, and to T, which leads to the field with the key `tags`.

    `on_press` is called before the script runs, with the kind and its value (a rating, 0 to take it away). The script also runs
    where the operation is no longer in the `state` (its ETag) that is shown. A browser that went on and back before the page was
    drawn to its end still has this component, and would not begin to listen again: each `turn` of one has another number.
    """

    def pressed() -> None:
        sent = presses.told_by(key, "pressed")
        if isinstance(sent, Mapping) and sent.get("id") == operation_id and sent.get("kind") in kinds:
            on_press(str(sent["kind"]), sent.get("value"))

    given = {"id": operation_id, "turn": turn, "state": state, "kinds": list(kinds), "tags": f".st-key-{tags}"}
    _mount(key=key, data=given, on_pressed_change=pressed, on_changed_change=lambda: None)
