"""The library's grid: it fetches its rows itself, so that scrolling runs no script; what people do in it arrives here as acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from opstore.ui import presses
from opstore.ui.components import script, style

#: What can be done with chosen operations; anything else that arrives is nobody's act.
KINDS = ("rate", "favorite", "tag", "trash", "restore", "remove", "undo")
#: Where the chosen operations can be taken to.
WAYS = ("compare", "share", "review", "use", "remix")

_HTML = '<div class="root"></div>\n<span hidden></span>'
_CSS = style("tiles.css", "grid.css")
_JS = script("grid.js")


@dataclass(frozen=True, slots=True)
class Act:
    """One act of a person; `id` tells it from every other, so that one that arrives twice is done once.

    `window` is the name that the window has given itself: it has it still when it is loaded anew.
    """

    id: str
    kind: str
    ids: tuple[str, ...]
    value: Any
    window: str = ""

    @classmethod
    def read(cls, sent: object) -> Act | None:
        """Return the act that a browser sent, None for anything that is none."""
        if not isinstance(sent, Mapping):
            return None
        name, kind, ids = sent.get("id"), sent.get("kind"), sent.get("ids")
        if not isinstance(name, str) or kind not in KINDS or not isinstance(ids, list):
            return None
        window, chosen = sent.get("window"), tuple(item for item in ids if isinstance(item, str))
        return cls(name[:64], str(kind), chosen, sent.get("value"), window[:64] if isinstance(window, str) else "")


_mount = st.components.v2.component("opstore_grid", html=_HTML, css=_CSS, js=_JS)


def grid(
    *,
    key: str,
    words: Mapping[str, Any],
    on_act: Callable[[], None],
    on_open: Callable[[str], None] = lambda _: None,
    source: str | None = None,
    rows: Sequence[Mapping[str, Any]] | None = None,
    **data: Any,
) -> tuple[str | None, str | None, tuple[str, tuple[str, ...]] | None]:
    """Show what `source`, an address of our own, gives page by page, or else `rows`.

    Return the id of the operation that was just opened, of the stack that was just taken apart, and where the chosen operations
    are to be taken: one of WAYS, and their ids.

    `on_act` is called when `sent(key)` has an act, `on_open` with what was opened, both before the script: a run that another one
    overtakes tells it all the same. Of `data` the grid knows: `total`, `span`, `open`, `tags` (known ones),
    `outcome` (of the last act), `trash` (whether it shows the trash), `first` (the answer of `source`, or None), `ways` (sources
    by the key of a box and the words of a choice in it, for which the grid looks as soon as it is made).
    """
    contents = {"source": source, "rows": rows, "words": words, **data}

    def opening() -> None:
        state = st.session_state.get(key)
        if isinstance(state, Mapping) and isinstance(opened := state.get("opened"), str):
            on_open(opened)

    result = _mount(
        key=key, data=contents, on_act_change=on_act, on_opened_change=opening, **presses.hear(key, "unstacked", "away")
    )
    unstacked, away = (presses.take(presses.heard(key, name)) for name in ("unstacked", "away"))
    opened, unstacked = (found if isinstance(found, str) else None for found in (result.opened, unstacked))
    return opened, unstacked, _away(away)


def _away(sent: object) -> tuple[str, tuple[str, ...]] | None:
    if not isinstance(sent, Mapping) or sent.get("way") not in WAYS or not isinstance(sent.get("ids"), list):
        return None
    return str(sent["way"]), tuple(item for item in sent["ids"] if isinstance(item, str))


def sent(key: str) -> Act | None:
    """Return the act that has just arrived from the grid `key`."""
    state = st.session_state.get(key)
    return Act.read(state.get("act")) if isinstance(state, Mapping) else None
