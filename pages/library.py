"""Library: everything that was made, newest first; a link of its own for every view and every operation."""

import streamlit as st

from opstore.errors import OpstoreError
from opstore.names import is_operation_id
from opstore.operation import OPERATION_TYPES
from opstore.ui import detail, parts, words
from opstore.ui.components.gallery import gallery
from opstore.ui.state import opened
from opstore.ui.words import _

SIZE = 36
STATUSES = ["stored", "failed", "canceled", "expired", "unknown", "result missing"]

service = opened().service

with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
    types = st.multiselect(
        _("Type"), list(OPERATION_TYPES), format_func=words.type_name, key="type", bind="query-params", placeholder=_("all")
    )
    statuses = st.multiselect(
        _("Status"), STATUSES, format_func=words.status_name, key="status", bind="query-params", placeholder=_("all")
    )

before = st.query_params.get("before")
page = service.page(before=before if is_operation_id(before) else None, size=SIZE, types=types, statuses=statuses)

if not page.operations:
    filtered = bool(types or statuses or before)
    parts.note(_("Nothing matches these filters.") if filtered else _("The library is empty. Make the first one."))
    if filtered and st.button(_("Show everything")):
        st.switch_page(parts.LIBRARY)
    if not filtered:
        st.page_link(parts.CREATE, label=_("Create"))

chosen = gallery([parts.tile(item) for item in page.operations], key="library", open_id=st.query_params.get("operation"))
if chosen:
    st.query_params["operation"] = chosen

with st.container(horizontal=True, horizontal_alignment="center"):
    if before and st.button(_("Newest")):
        st.query_params.pop("before")
        st.rerun()
    if page.older and st.button(_("Older")):
        st.query_params["before"] = page.older
        st.rerun()

operation_id = st.query_params.get("operation")
if operation_id:
    try:
        detail.drawer(service, operation_id)
    except OpstoreError as error:
        parts.show_error(error)
