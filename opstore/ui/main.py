"""The main script: page settings, navigation and the bar that every page has; it decides nothing else."""

from pathlib import Path

import streamlit as st

from opstore.ui import panel, parts, presses, signin
from opstore.ui.state import drawn, running
from opstore.ui.studio import giving
from opstore.ui.words import _

ROOT = Path(__file__).resolve().parent.parent.parent
ICON = Path(__file__).parent / "static" / "icon.png"

# A local icon, and before the navigation: otherwise the browser asks a font server for one.
st.set_page_config(page_title="opstore", page_icon=str(ICON), layout="wide")

parts.style()
who = signin.gate(running().settings)

#: Pages by file, title, and an act that nobody has use for the page without.
OFFERED = (
    ("create", _("Create"), "create"),
    ("library", _("Library"), "page"),
    ("compare", _("Compare"), "comparisons.kind"),
    ("analytics", _("Analytics"), "analytics.held"),
    ("storage", _("Storage"), "care.desk"),
    ("settings", _("Settings"), "preferences"),
)
PAGES = [
    st.Page(ROOT / "pages" / f"{name}.py", title=title, url_path=name, default=name == "create")
    for name, title, act in OFFERED
    if who.may(act)
]

#: Pages that something leads to, and that nobody begins with.
BESIDES = [
    st.Page(ROOT / "pages" / "lineage.py", title=_("Family"), url_path="lineage", visibility="hidden"),
    st.Page(ROOT / "pages" / "review.py", title=_("Blind review"), url_path="review", visibility="hidden"),
]


def _home() -> None:
    """Lead whoever makes nothing to what was made; Library itself must stay at its own address."""
    st.switch_page(PAGES[0])


if not who.may("create"):
    BESIDES.append(st.Page(_home, url_path="home", default=True, visibility="hidden"))

page = st.navigation([*PAGES, *BESIDES], position="top")
if not who.may("create") and not page.url_path:
    page.run()  # before anything is drawn that the next page draws again
if page.url_path not in ("", "create"):
    giving.leave()
panel.bar(page, PAGES)
try:
    page.run()
    presses.over()
finally:
    drawn()
