"""Storage: what takes space, what may go, what is safe elsewhere, what is broken; each act says first what it would do."""

import streamlit as st

from opstore.ui import backups, drilldown, importing, packing, parts, storage, storage_charts
from opstore.ui.opened_app import opened
from opstore.ui.words import _, pgettext

service = opened().service
drilldown.follow_mark()
desk = service.care.desk
running = storage.progress(service)
busy = storage.hinders(running)
last = desk.last("look")
look = storage.measured(last)
if running is None and storage.is_stale(desk, last):
    storage.measure(desk)

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.subheader(_("Storage"), anchor=False)
    if parts.button(_("Measure again"), disabled=busy, key="look"):
        storage.begin(desk.look)
storage.clock(service)
if look:
    storage.figures(service, last, look)
    storage_charts.charts(look)
elif last and last.state in ("failed", "interrupted"):
    storage.outcome(last, lambda result: "")
else:
    parts.note(_("The folder is being measured."))

left, right = st.columns(2, gap="large")
with left:
    with st.container(border=True):
        st.subheader(_("Clean-up"), anchor=False)
        storage.cleanup(service, look, busy)
    with st.container(border=True):
        st.subheader(_("Trash"), anchor=False)
        storage.trash(service, look, busy)
    with st.container(border=True):
        st.subheader(_("Packed months"), anchor=False)
        packing.packing(service, busy)
with right:
    with st.container(border=True):
        st.subheader(_("Backups"), anchor=False)
        backups.backups(service, busy)
    with st.container(border=True):
        st.subheader(pgettext("heading", "Import"), anchor=False)
        importing.importing(service, busy)
    with st.container(border=True):
        st.subheader(_("Problems"), anchor=False)
        storage.problems(service, busy)
    with st.container(border=True):
        st.subheader(_("Index"), anchor=False)
        storage.index(service, busy)
