"""What is under way and what was just made, by itself up to date: jobs, the contact sheet of a batch, the latest results."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from opstore.errors import OperationNotFound, OpstoreError
from opstore.generation import Generation, Variant
from opstore.service import Service
from opstore.storage.names import is_video
from opstore.storage.operation import Operation
from opstore.ui import parts, presses, status_bar, words
from opstore.ui.components.gallery import Tile, gallery
from opstore.ui.opened_app import stay
from opstore.ui.studio.batch_captions import differs
from opstore.ui.studio.last_request import last_request
from opstore.ui.studio.reuse import result
from opstore.ui.words import _, ngettext

LATEST = 9


def follow(generation: Generation) -> None:
    """Show what is under way and what was made last, by itself up to date."""
    busy = generation.service.count_jobs() > 0
    st.fragment(_by_itself, run_every=status_bar.BUSY if busy else status_bar.IDLE)(generation, busy, [True])


def _by_itself(generation: Generation, was_busy: bool, within: list[bool]) -> None:
    """Show the results; `within` says once that the page runs, which looks for what was pressed and is not here any more."""
    _results(generation, was_busy)
    if within:
        within.clear()
    elif presses.left():
        st.rerun()


def _results(generation: Generation, was_busy: bool) -> None:
    service = generation.service
    stay(service)
    jobs = service.jobs()
    if bool(jobs) != was_busy:
        st.rerun()
    sheet = last_request().sheet
    # Places that are always there: a result that is shown keeps its element, and a video plays on, when a job begins or ends.
    now, together, recent = st.container(key="now"), st.container(key="sheet"), st.container(key="made")
    with now:
        alone = [job for job in jobs if not sheet or job.batch_id != sheet]
        if alone:
            st.subheader(_("In progress"), anchor=False)
        for job in alone:
            status_bar.job_row(service, job, "create")
    with together:
        if sheet:
            _sheet(generation, sheet)
    latest = service.latest(LATEST)
    with recent:
        if latest:
            _latest(service, latest)
        elif not jobs:
            _examples()


def _sheet(generation: Generation, batch_id: str) -> None:
    """Show the operations of one request side by side, under each what tells it from the others."""
    variants = generation.batch(batch_id)
    if not variants:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(ngettext("{count} variant", "{count} variants", len(variants)), anchor=False)
        if parts.button(_("View in library"), key="see-sheet", type="tertiary"):
            st.switch_page(parts.LIBRARY, query_params={"q": f"batch:{batch_id}"})
        under_way = any(variant.status in UNDER_WAY for variant in variants)
        # A key of its own for every batch: a press of the one before arrives at no other.
        if under_way and parts.button(_("Cancel all"), key=f"cancel-sheet-{batch_id}"):
            _cancel(generation.service, variants)
    opened = gallery(
        [_variant(variant) for variant in variants], key="sheet-tiles", tile_size=200 if len(variants) in (2, 4) else 150
    )
    if opened in [variant.id for variant in variants if variant.status not in UNDER_WAY]:
        st.switch_page(parts.LIBRARY, query_params={"operation": opened})


UNDER_WAY = ("queued", "creating", "running", "fetching")


def _cancel(service: Service, variants: Sequence[Variant]) -> None:
    """Stop each that is under way still: one that cannot be stopped keeps no other from it."""
    for variant in variants:
        if variant.status not in UNDER_WAY:
            continue
        try:
            service.cancel(variant.id)
        except OperationNotFound:
            pass  # it has ended since
        except OpstoreError as error:
            parts.show_error(error)


def _variant(variant: Variant) -> Tile:
    name = differs(variant) or words.type_name(variant.type)
    tones = {"stored": "", "failed": "failed", "result missing": "failed", "unknown": "unknown"}
    done = words.spoken().share(variant.share) if variant.share else words.status_name(variant.status)
    playing = "▶" if is_video(variant.output) else ""
    return Tile(
        id=variant.id,
        source=parts.thumbnail_address(variant.output) if variant.output else None,
        alt=words.labelled(name, " ".join(variant.prompt.split())[:120]),
        title=name,
        badge=playing if variant.status == "stored" else done,
        tone=tones.get(variant.status, "quiet"),
    )


def _latest(service: Service, operations: Sequence[Operation]) -> None:
    st.subheader(_("Latest results"), anchor=False)
    with st.container(key=f"result-{operations[0].id}"):
        result(service, operations[0], "create")
    opened = gallery([parts.tile(item) for item in operations[1:]], key="latest", tile_size=130)
    if opened:
        st.switch_page(parts.LIBRARY, query_params={"operation": opened})


def _examples() -> None:
    parts.note(_("Your results appear here. You can close the page: they will be there when you come back."))
    st.caption(_("To get started, try one of these:"))
    examples = (
        _("The sea at sunset, calm mood"),
        _("Snowy mountains under a starry night sky"),
        _("A city at dusk in blue and violet, rain"),
    )
    for number, example in enumerate(examples):
        if parts.button(example, key=f"example-{number}", width="stretch"):
            st.session_state["wanted-prompt"] = example
            st.rerun()
