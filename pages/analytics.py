"""Analytics: what was made, how well, how fast, how dear and what for, of the operations that the library's own search finds."""

import streamlit as st

from opstore.errors import OpstoreError
from opstore.ui import analytics, drilldown, indexing, library, parts
from opstore.ui.opened_app import opened

service = opened().service
view = library.view()
drilldown.follow_mark()

with st.sidebar, st.container(key="filter-panel"):
    library.filters(view, service.index.facets())

analytics.bar(service, view)
library.mistake(view)
library.chip_row(view)
indexing.progress(service)
try:
    # Of a search that cannot be run there are no figures: those of another would be taken for its own.
    if not view.mistake and analytics.loaded(service):
        shown = analytics.told(service, view)
        analytics.headline(shown)
        analytics.charts(service, shown)
        analytics.follow(service, shown)
except OpstoreError as error:
    parts.show_error(error)
