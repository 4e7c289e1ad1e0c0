"""Where operations that were chosen in the grid are taken: to another page, or to the form that shares them."""

from __future__ import annotations

import streamlit as st

from opstore.service import Service
from opstore.ui import parts
from opstore.ui.compare import address
from opstore.ui.studio import reuse


def leave(service: Service, way: str, ids: tuple[str, ...], query: str, order: str) -> None:
    """Take the chosen operations where `way` says; one alone takes its neighbours in this search along."""
    if way == "use":
        reuse.use_outputs(service, ids)
    if way == "remix" and ids:
        reuse.remix(ids[0])
    if way == "compare" and ids:
        st.switch_page(parts.COMPARE, query_params=address(ids, *((query, order) if len(ids) == 1 else ())))
    if way == "review":
        st.session_state["review-ids"] = list(ids)
        st.switch_page(parts.REVIEW)
    if way == "share":
        st.session_state["sharing"] = list(ids)
