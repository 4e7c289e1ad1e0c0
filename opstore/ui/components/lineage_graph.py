"""A family drawn as a graph whose pictures are buttons; where they stand is decided before, by `lineage.families.layout`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from opstore.ui import presses
from opstore.ui.components import script, style

_HTML = '<div class="root"></div>\n<span hidden></span>'
_CSS = style("lineage.css")
_JS = script("lineage.js")

_mount = st.components.v2.component("opstore_lineage", html=_HTML, css=_CSS, js=_JS)


def graph(
    members: Sequence[Mapping[str, Any]], links: Sequence[Mapping[str, str]], *, centre: str, words: Mapping[str, str], key: str
) -> str | None:
    """Show a family; return the id of the member that was just opened."""
    data = {"members": list(members), "links": list(links), "centre": centre, "words": dict(words)}
    _mount(key=key, data=data, **presses.hear(key, "opened"))
    opened, known = presses.take(presses.heard(key, "opened")), {member["id"] for member in members}
    return opened if isinstance(opened, str) and opened in known else None
