"""A gallery: the few tiles that a page has just read, which one opens or chooses; only pictures near the screen are fetched.

The grid of the Library (`grid`) has the same tiles. It is another thing for what it holds: a search of any length, of which it
draws what is in the window, with a selection, acts and keys of its own. Here everything is in the page, and Tab reaches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from opstore.ui import presses
from opstore.ui.components import script, style


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the grid. `source` is the address of its thumbnail, None if there is none; `badge` a short word on it."""

    id: str
    source: str | None
    alt: str
    title: str
    badge: str = ""
    tone: str = ""


_HTML = '<ul class="grid"></ul>'
_CSS = style("tiles.css", "gallery.css")
_JS = script("gallery.js")

_mount = st.components.v2.component("opstore_gallery", html=_HTML, css=_CSS, js=_JS)


def gallery(tiles: Sequence[Tile], *, key: str, open_id: str | None = None, tile_size: int = 190) -> str | None:
    """Show `tiles` in a grid of cells at least `tile_size` pixels wide; return the id of the one just opened, else None."""
    _mount(
        key=key,
        data={"tiles": [asdict(tile) for tile in tiles], "open": open_id, "size": tile_size},
        **presses.hear(key, "opened"),
    )
    opened = presses.take(presses.heard(key, "opened"))
    return opened if isinstance(opened, str) else None
