"""What the Library finds, on tiles: the grid of a search, the grid of the trash, and what is said if there is nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import streamlit as st
from babel.dates import format_date

from opstore.cards import cards
from opstore.errors import InvalidQuery
from opstore.index import Count
from opstore.index.search_language import can_ask, parse, values, with_values, with_words
from opstore.service import Service
from opstore.storage.operation import Operation
from opstore.storage.trash import KEPT
from opstore.ui import bulk_acts, drawer_annotations, drilldown, parts, words
from opstore.ui.components.choices import choices
from opstore.ui.components.grid import grid
from opstore.ui.library import LOOKS, View, go, ways
from opstore.ui.opened_app import again, opened, stay
from opstore.ui.status_bar import IDLE
from opstore.ui.studio import batch_captions
from opstore.ui.take_selection import leave
from opstore.ui.words import _

GRID = "library"
#: Trashed operations that are shown; the rest comes when these are gone.
TRASH_SHOWN = 2_000
#: Of the prompt that a stack has in common as much is searched for.
LONGEST_PHRASE = 200


def results(service: Service, current: View, facets: Mapping[str, Mapping[str, int]]) -> str | None:
    """Show what the search finds; return the id of the operation that was just opened."""
    first = _first(service, current)
    total, span = drilldown.extent(service, current.query, current.mark) if current.mark else _extent(service, current.query)
    if not total.n:
        nothing(service, current.query)
        st.fragment(_appears, run_every=IDLE)(service, current)
    session = bulk_acts.acts()
    _toast(session)
    if not current.operation:
        drawer_annotations.tell_refused()
    opened, unstacked, away = grid(
        key=GRID,
        words={**bulk_acts.spoken(service), "notes": _notes(current)},
        on_act=lambda: bulk_acts.take(service, GRID),
        on_open=lambda operation_id: go(operation=operation_id),
        source=current.source(),
        first=first,
        total={"n": total.n, "exact": total.exact and service.is_indexed()},
        span=span,
        open=current.operation,
        tags=list(facets.get("tag", ()))[:500],
        ways=ways(current, facets) if not current.mistake else {},
        outcome=session.outcome(),
        trash=False,
    )
    if unstacked:
        _unstack(service, current, unstacked)
    if away:
        leave(service, *away, current.query, current.order)
    return opened


def _appears(service: Service, current: View) -> None:
    """Draw the page anew once something is found: the grid shows it by itself, beside the words that there is nothing."""
    stay(service)
    total = drilldown.extent(service, current.query, current.mark)[0] if current.mark else service.index.count(current.query)
    if total.n:
        again()


def _first(service: Service, current: View) -> dict[str, Any] | None:
    """Return the first page of what is found where the grid does not have it: it need not ask, and its pictures are on the way.

    A grid that stands, and has looked by itself for what was typed or what a chip leads to, has it.
    """
    looks = st.session_state.pop(LOOKS, False)
    stands, shown = GRID in st.session_state, current.source()
    if stands and (looks or st.session_state.get("grid-source") == shown):
        page = None
    else:
        page = cards(service, current.query, order=current.order, group=current.group, mark=current.mark)
    st.session_state["grid-source"] = shown
    return page


def _notes(found: View) -> dict[str, str]:
    """Return what stands under each variant where one batch is shown: a stack that was opened is a contact sheet."""
    batches = values(found.query, "batch")
    return batch_captions.captions(opened().generation.batch(batches[0])) if len(batches) == 1 else {}


def _unstack(service: Service, current: View, operation_id: str) -> None:
    """Search for what stands behind a stack."""
    row = service.index.get(operation_id)
    query = current.query
    if row and current.group == "batch" and row.batch_id:
        query = with_values(query, "batch", [row.batch_id])
    elif row and current.group == "inputs":
        query = with_values(query, "images", [row.id])
    elif row and current.group == "prompt":
        query = of_prompt(query, row.prompt)
    go(q=query, group=None)
    st.rerun()


def of_prompt(query: str, prompt: str) -> str:
    """Return a search that finds of what `query` finds what has the words with which a prompt begins, in a row.

    `query` itself where no search can ask for them.
    """
    # Whole words: half of one is a word that no prompt has. What is written without spaces has only letters.
    beginning = textwrap.shorten(prompt, LONGEST_PHRASE, placeholder="") or prompt.strip()[:LONGEST_PHRASE]
    found = with_words(query, beginning)
    return found if _readable(found) else query


def _toast(session: bulk_acts.Acts) -> None:
    """Say once what was done elsewhere, and why something was not done."""
    if done := st.session_state.pop("done", None):
        st.toast(done)
    if session.last and st.session_state.get("told") != session.last.id:
        st.session_state["told"] = session.last.id
        if failures := session.failures():
            st.toast(parts.plain(failures))


def _extent(service: Service, query: str) -> tuple[Count, str]:
    """Return how many operations are found, and from when to when they were made."""
    ends = [service.index.search(query, order=order, size=1).rows for order in ("oldest", "newest")]
    told = [format_date(words.local(rows[0].moment), "medium", locale=words.language()) for rows in ends if rows]
    return service.index.count(query), " – ".join(dict.fromkeys(told))


def nothing(service: Service, query: str = "") -> None:
    """Say that nothing is found, and what would be; or that there is nothing yet, and the way to make the first one."""
    newest = service.index.search(size=1).rows
    if not newest:
        if service.is_indexed():
            if service.may(Service.create):
                parts.note(_("The library is empty. Make the first one."))
                st.page_link(parts.CREATE, label=_("Create"))
            else:
                parts.note(_("The library is empty."))
        return
    better = service.index.meant(query)
    if better:
        parts.note(_("Nothing matches. Did you mean:"))
        if choices([(better, "", better)], key="meant"):
            go(q=better, mark=None)
            st.rerun()
        return
    parts.note(_("Nothing matches. Searches with results:"))
    first = newest[0]
    word = next((word for word in first.prompt.split() if len(word) > 3 and word.isalpha()), "")
    kind = with_values("", "type", [first.type]) if can_ask("type", first.type) else ""
    examples = [word, kind, f"date:{first.moment.year:04}-{first.moment.month:02}"]
    chosen = choices([(text, "", text) for text in examples if _finds(service, text)], key="examples")
    if chosen:
        go(q=chosen, mark=None)
        st.rerun()


def _finds(service: Service, text: str) -> bool:
    """Say whether a search can be run and finds something."""
    return _readable(text) and bool(service.index.count(text).n)


def _readable(text: str) -> bool:
    try:
        return bool(parse(text).root)
    except InvalidQuery:
        return False


# -- trash ---------------------------------------------------------------------------------------------------------------


def trash(service: Service) -> None:
    """Show what is in the trash, to be restored or removed for good, whoever puts it there or takes it out."""
    ids, trashed = service.curation.trashed_ids(), service.curation.trashed()
    kept = words.number(KEPT.days)
    if not trashed:
        parts.note(_("The trash is empty. What you move here is kept for {days} days.").format(days=kept))
    else:
        st.caption(_("These operations can be restored. They are removed for good after {days} days.").format(days=kept))
    session = bulk_acts.acts()
    _toast(session)
    grid(
        key="trash",
        words=bulk_acts.spoken(service),
        on_act=lambda: bulk_acts.take(service, "trash"),
        rows=[_trashed(item.operation_id, item.trashed_at, item.sidecar) for item in trashed[:TRASH_SHOWN]],
        total={"n": len(trashed), "exact": True},
        tags=[],
        outcome=session.outcome(),
        trash=True,
    )
    st.fragment(_stays, run_every=IDLE)(service, ids)


def _stays(service: Service, ids: frozenset[str]) -> None:
    """Draw the trash anew where it holds something else: its grid has its rows from the page, and asks for none."""
    stay(service)
    if service.curation.trashed_ids() != ids:
        again()


def _trashed(operation_id: str, moment: datetime, sidecar: Mapping[str, Any] | None) -> dict[str, Any]:
    operation = Operation.of(sidecar or {"operationId": operation_id})
    shown = operation.output or next(iter(operation.inputs), None)
    leaves = format_date(words.local(moment + KEPT), "medium", locale=words.language())
    return {
        "id": operation_id,
        "type": operation.type,
        "status": operation.status,
        "prompt": operation.prompt[:160],
        "model": operation.model,
        "output": None,
        "thumbnail": parts.thumbnail_address(shown) if shown else None,
        "video": False,
        "rating": None,
        "favorite": False,
        "tags": [],
        "stack": 1,
        "note": _("until {day}").format(day=leaves),
    }
