"""The main script: page settings, navigation and the bar that every page has; it decides nothing else."""

from pathlib import Path

import streamlit as st

from opstore.ui import panel, parts
from opstore.ui.words import _

ROOT = Path(__file__).resolve().parent.parent.parent
ICON = Path(__file__).parent / "static" / "icon.png"

# A local icon, and before the navigation: otherwise the browser asks a font server for one.
st.set_page_config(page_title="opstore", page_icon=str(ICON), layout="wide")

PAGES = [
    st.Page(ROOT / "pages" / "create.py", title=_("Create"), url_path="create", default=True),
    st.Page(ROOT / "pages" / "library.py", title=_("Library"), url_path="library"),
    st.Page(ROOT / "pages" / "compare.py", title=_("Compare"), url_path="compare"),
    st.Page(ROOT / "pages" / "analytics.py", title=_("Analytics"), url_path="analytics"),
    st.Page(ROOT / "pages" / "storage.py", title=_("Storage"), url_path="storage"),
    st.Page(ROOT / "pages" / "settings.py", title=_("Settings"), url_path="settings"),
]

#: Pages that something leads to, and that nobody begins with.
BESIDES = [
    st.Page(ROOT / "pages" / "lineage.py", title=_("Family"), url_path="lineage", visibility="hidden"),
    st.Page(ROOT / "pages" / "review.py", title=_("Blind review"), url_path="review", visibility="hidden"),
]

page = st.navigation([*PAGES, *BESIDES], position="top")
parts.style()
panel.bar(page, PAGES)
page.run()
