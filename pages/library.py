"""Library: everything that was made, found by one search that box, chips, filters and address share; every view is a link."""

import streamlit as st

from opstore.errors import OpstoreError
from opstore.ui import detail, indexing, library, parts, search_results, share
from opstore.ui.opened_app import opened
from opstore.ui.words import _

service = opened().service
view = library.view()
library.entitle(service, view)

panel = st.sidebar.container(key="filter-panel")
if view.trash:
    st.subheader(_("Trash"), anchor=False)
    search_results.trash(service)
else:
    library.search_box(service, view)
    library.mistake(view)
    library.chip_row(view)
    indexing.progress(service)
    facets = service.index.facets()
    chosen = search_results.results(service, view, facets)
    if chosen:
        library.go(operation=chosen)

# What is found is on its way to the screen while the filters are made.
with panel:
    if view.trash:
        st.button(_("Back to the library"), width="stretch", on_click=library.go, kwargs={"view": None})
    else:
        library.filters(view, facets)
        st.button(_("Trash"), width="stretch", on_click=library.go, kwargs={"view": "trash", "operation": None})

if not view.trash:
    operation_id = chosen or view.operation
    if not share.asked(service) and operation_id:
        try:
            detail.drawer(service, operation_id, view.query, view.order, view.mark)
        except OpstoreError as error:
            parts.show_error(error)
    else:
        detail.closed()
