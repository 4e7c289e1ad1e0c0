"""A grid of thumbnails: click or Enter opens one, arrows move; only what is near the screen is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from opstore.ui import presses
from opstore.ui.components import script


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the grid. `source` is the address of its thumbnail, None where there is none; `badge` a short word on it."""

    id: str
    source: str | None
    alt: str
    title: str
    badge: str = ""
    tone: str = ""


_HTML = '<ul class="grid"></ul>'

_CSS = """
.grid { list-style: none; margin: 0; padding: 0; display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(var(--tile, 190px), 44vw), 1fr)); gap: 12px; }
.tile { all: unset; box-sizing: border-box; position: relative; display: block; width: 100%; cursor: pointer; border-radius: 8px;
  overflow: hidden; content-visibility: auto; contain-intrinsic-size: 190px 220px; font-family: var(--st-font);
  color: var(--st-text-color); background: var(--st-secondary-background-color); }
.tile:focus-visible, .tile[aria-current="true"] { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
.frame { display: grid; place-items: center; aspect-ratio: 1; overflow: hidden; font-size: 13px; text-align: center; }
.frame img { width: 100%; height: 100%; object-fit: cover; display: block; }
.word { opacity: .75; padding: 16px; }
.title { display: block; padding: 8px 10px 10px; font-size: 13px; line-height: 1.35; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.marks { position: absolute; top: 8px; left: 8px; display: flex; }
.badge { padding: 2px 8px; border-radius: 8px; font-size: 12px; font-weight: 600;
  background: rgba(0, 0, 0, .72); color: #fff; }
.badge.failed { background: #A61B1B; }
.badge.quiet { background: #4A4A4A; }
.badge.unknown { background: #7A5200; }
@media (prefers-reduced-motion: no-preference) {
  .frame img { transition: transform .18s ease; }
  .tile:hover .frame img { transform: scale(1.03); }
}
"""

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
