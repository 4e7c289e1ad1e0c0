"""Family: what an operation was made from and what was made of it, as a graph; its branch can be run again on another image."""

import streamlit as st

from opstore.errors import OpstoreError
from opstore.ui import lineage, parts
from opstore.ui.opened_app import opened
from opstore.ui.words import _

service = opened().service
asked = st.query_params.get("id", "")

if asked:
    try:
        lineage.show_family(service, asked)
    except OpstoreError as error:
        parts.show_error(error)
else:
    parts.note(_("Open an operation in the library and choose Family to see where it comes from and what was made from it."))
    st.page_link(parts.LIBRARY, label=_("Library"))
    lineage.under_way(service)
