"""How far the index is while it is being made, on the pages that search; what it has already can be used meanwhile."""

from __future__ import annotations

import streamlit as st

from opstore.service import Service
from opstore.ui import words
from opstore.ui.opened_app import again, stay
from opstore.ui.words import _


def progress(service: Service) -> None:
    """Show how far the index is while it is being made; the library can be used meanwhile."""
    if service.index.is_makeshift:
        st.caption(_("The cache folder cannot be written: the library is indexed in a temporary folder, anew after each start."))
    if not service.index.progress().ready:
        st.fragment(_progress, run_every=1.0)(service)


def _progress(service: Service) -> None:
    stay(service)
    state = service.index.progress()
    if state.ready:
        again()
    total = state.total or 0
    text = _("{done} of {total} indexed").format(done=words.number(state.done), total=words.number(total) if total else "…")
    st.progress(min(state.done / total, 1.0) if total else 0.0, text=text)
