"""What every page shows of the work under way, and who makes things; it follows files, not sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import streamlit as st

from opstore.access.roles import LOCAL
from opstore.errors import OperationNotFound
from opstore.service import JobView, Service
from opstore.ui import parts, signin, words
from opstore.ui.components.clicks import clicks
from opstore.ui.markup import Markup, show
from opstore.ui.opened_app import again, opened, stay
from opstore.ui.streamlit_private import Page
from opstore.ui.words import _, ngettext

#: Seconds between two looks: quick while something runs, slow while nothing does (a tick costs 5 to 10 ms).
BUSY, IDLE = 1.0, 4.0


def bar(page: Page, pages: Sequence[Page]) -> None:
    """Show the bar on top: what is under way (on pages that do not show it anyway), who makes things.

    On a phone it has the way to every page too: Streamlit folds its own navigation into a drawer there.
    """
    app = opened()
    service = app.service
    with st.container(horizontal=True, vertical_alignment="center", key="phone-pages"):
        for other in pages:
            with st.container(key="phone-page-open", width="content") if other is page else contextlib.nullcontext():
                st.page_link(other, width="content")
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="bar"):
        if page.url_path:
            running = {job.id for job in service.jobs()}
            st.fragment(_count, run_every=BUSY if running else IDLE)(service, running, page.url_path == "library")
        if service.person != LOCAL:
            signin.sign_out(service.person, "bar", app.settings)
        st.caption(words.provider_name(service.provider()), width="content")
        clicks()


def _count(service: Service, known: set[str], shows_results: bool) -> None:
    stay(service)
    jobs = service.jobs()
    if bool(jobs) != bool(known) or (shows_results and known - {job.id for job in jobs}):
        again()  # at another pace, or with what has just been made
    if jobs:
        with st.popover(ngettext("{count} under way", "{count} under way", len(jobs))):
            for job in jobs:
                job_row(service, job, "panel")


def job_row(service: Service, job: JobView, place: str) -> None:
    """Show one operation under way: its prompt, how far it is, and a way to stop it."""
    # What is computed here is never "sent" anywhere.
    state = "running" if job.state == "creating" and job.local else job.state
    state = _("stopping") if job.cancel else words.status_name(state)
    share = job.progress.share
    with st.container(key=f"job-{place}-{job.id}", gap="xsmall"):
        line = f"{state} · {words.seconds(job.seconds)}"
        title = " ".join(job.prompt.split()) or words.type_name(job.type)
        show(Markup('<div class="ops-job"><b dir="auto" title="{}">{}</b><span>{}</span></div>').format(title, title, line))
        st.progress(min(max(share or 0.0, 0.0), 1.0))
        # The line of the note is there before there is a note: nothing jumps when a job progresses.
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            show(Markup('<div class="ops-job"><span>{}</span></div>').format(words.stored(job.progress.note)[:200]))
            _cancel(service, job, place)
        if job.progress.logs:
            with st.expander(_("Log")):
                st.code(job.progress.logs, language=None)


def _cancel(service: Service, job: JobView, place: str) -> None:
    if not service.may(Service.cancel):
        return
    if parts.button(_("Cancel"), key=f"cancel-{place}-{job.id}", disabled=job.cancel, width="content"):
        try:
            service.cancel(job.id)
        except OperationNotFound:
            parts.note(_("It had ended already."))
