"""The main script: page settings, the door, navigation and the bar that every page has; it decides nothing else."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import streamlit as st

from opstore import launcher
from opstore.access.roles import Person
from opstore.analytics.queries import Analytics
from opstore.care import Care
from opstore.comparing.kept_comparisons import Comparisons
from opstore.errors import OpstoreError
from opstore.giving_way import traffic
from opstore.service import Service
from opstore.ui import parts, presses, signin, status_bar
from opstore.ui.components import document
from opstore.ui.opened_app import drawn, opened, running, stay
from opstore.ui.streamlit_private import Page
from opstore.ui.studio import input_pictures, reuse, tab_draft
from opstore.ui.words import _

ICON = Path(__file__).parent / "static" / "icon.png"

# A local icon, and before the navigation: otherwise the browser asks a font server for one.
st.set_page_config(page_title="opstore", page_icon=str(ICON), layout="wide")

#: The name that Streamlit keeps for the page at "/" and answers under to nobody: `/create` leads to it.
HOME = "opstore-home"
#: Pages by file, title, and an act that nobody has use for the page without.
OFFERED = (
    ("create", _("Create"), Service.create),
    ("library", _("Library"), Service.page),
    ("compare", _("Compare"), Comparisons.kind),
    ("analytics", _("Analytics"), Analytics.held),
    ("storage", _("Storage"), Care),
    ("settings", _("Settings"), Service.preferences),
)


def _pages(who: Person) -> list[Page]:
    """Return the pages that somebody has use for."""
    return [
        st.Page(launcher.PAGES / f"{name}.py", title=title, url_path=HOME if name == "create" else name, default=name == "create")
        for name, title, act in OFFERED
        if who.may(act)
    ]


def _besides(who: Person, pages: list[Page]) -> tuple[list[Page], list[Page]]:
    """Return the pages that something leads to and that nobody begins with, and those that only lead to another."""

    def home() -> None:
        """Lead to the first page: from `/create` to Create at "/"; who makes nothing to Library, which stays at its address."""
        st.switch_page(pages[0])

    def nowhere() -> None:
        """Say that an address leads nowhere, or to what others may; Streamlit says it in English, over another page."""
        parts.note(_("There is no page at this address, or none open to you: /{name}").format(name=asked), bad=True)
        for other in pages:
            st.page_link(other)

    besides = [
        st.Page(launcher.PAGES / "lineage.py", title=_("Family"), url_path="lineage", visibility="hidden"),
        st.Page(launcher.PAGES / "review.py", title=_("Blind review"), url_path="review", visibility="hidden"),
    ]
    leads = [st.Page(home, title="opstore", url_path="create", visibility="hidden")]
    if not who.may(Service.create):
        leads.append(st.Page(home, title="opstore", url_path=HOME, default=True, visibility="hidden"))
    asked = unquote(urlsplit(st.context.url or "").path.rstrip("/").rpartition("/")[2]).strip()
    if asked and "/" not in asked and asked not in {HOME, *(other.url_path for other in (*pages, *besides, *leads))}:
        besides.append(st.Page(nowhere, title=_("No such page"), url_path=asked, visibility="hidden"))
    return besides, leads


def _run(page: Page, service: Service) -> None:
    """Run a page; anew, where its viewer's rights have changed under it: a refusal is none of the page's then."""
    try:
        page.run()
    except OpstoreError:
        stay(service)
        raise


def _within(who: Person) -> None:
    """Show the page that is asked for to somebody who was let in."""
    pages = _pages(who)
    besides, leads = _besides(who, pages)
    page = st.navigation([*pages, *besides, *leads], position="top")
    if page in leads:
        page.run()  # before anything is drawn that the next page draws again
    if page.url_path:
        input_pictures.leave()
        tab_draft.leave()
    parts.entitle(page.title)
    service = opened().service
    status_bar.bar(page, pages)
    try:
        with traffic.answering():
            _run(page, service)
        reuse.overtaken(service)
        if presses.over():
            parts.too_late()
        signin.tell_changed_roles(who)
    finally:
        drawn()


parts.style()
document.tell(key="document")
# Behind the door the script ends as any other: Streamlit forgets the parts of a page that was there before only then.
if viewer := signin.gate(running().settings):
    _within(viewer)
