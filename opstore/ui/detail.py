"""One operation opened: the result first, beside what it was made from, then everything that is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from opstore.errors import OpstoreError
from opstore.index.field_entry import Written
from opstore.index.shown import shown_of
from opstore.service import Service
from opstore.storage.operation import Operation
from opstore.ui import drawer_annotations, parts, presses, share, words
from opstore.ui.components.zoom import zoom
from opstore.ui.opened_app import stay
from opstore.ui.streamlit_private import Refused
from opstore.ui.studio import reuse, stored_analysis
from opstore.ui.words import _

#: Of the drawer, in pixels: room for a result of 600 beside its inputs, and a third of a laptop's screen left for the grid.
WIDTH = 960


def drawer(service: Service, operation_id: str, query: str = "", order: str = "newest", mark: str = "") -> None:
    """Open an operation at the side (a whole page on a phone); closing it returns to the list as it was.

    `query`, `order` and the `mark` of a chart say what it is one of, so that the arrow keys lead to its neighbours there.
    """

    @st.dialog(_("Operation"), width=WIDTH, position="right", on_dismiss=close)
    def show_it() -> None:
        stay(service)
        with st.container(key="opened"):
            shown = st.query_params.get("operation") or operation_id  # the drawer goes on by itself, without the page
            try:
                operation = service.operation(shown)
            except OpstoreError as error:
                parts.show_error(error)
                if service.job(shown):
                    parts.note(_("It is still under way; this link will show it when it is done."))
                return
            _strip(service, operation, query, order, mark)
            show(service, operation)
            # At the end: they have no place to be seen in, and would take one in the strip.
            drawer_annotations.keys(service, operation, _turn(operation.id))

    show_it()


def close() -> None:
    """Forget which operation was open."""
    st.query_params.pop("operation", None)
    closed()


def closed() -> None:
    """Know that the page is drawn without a drawer: the next one begins anew."""
    _turn("")


def _turn(shown: str) -> int:
    """Return how often another operation than the one before has been shown, or one did not lead on as its button said."""
    known: tuple[str, int] = st.session_state.get("drawer-turn", ("", 0))
    last, turn = known
    stays = st.session_state.pop("drawer-stays", False)
    if stays or last != shown:
        turn += 1
        st.session_state["drawer-turn"] = shown, turn
    return turn


def _strip(service: Service, operation: Operation, query: str, order: str, mark: str) -> None:
    around = service.analytics.neighbours(operation.id, query, mark) if mark else None
    before, after = around or service.index.neighbours(operation.id, query, order)
    with st.container(horizontal=True, gap="xsmall", key="strip"):
        for label, key, target in ((_("Previous"), "left", before), (_("Next"), "right", after)):
            if target is None and f"neighbour-{key}" in presses.noted():
                st.session_state["drawer-stays"] = True  # its keys wait for a neighbour that is no more
            if parts.button(label, shortcut=key, disabled=target is None, key=f"neighbour-{key}") and target:
                st.query_params["operation"] = target
                _draw_anew()
        if operation.outputs:
            zoom(key="zoom", compare=bool(operation.inputs))
        share.button(service, [operation.id], "operation", f"drawer-{operation.id}")
        drawer_annotations.trash(service, operation)


def _draw_anew() -> None:
    """Run the drawer anew; the page with it only where it is being run, for a page that is drawn closes the drawer meanwhile."""
    try:
        st.rerun(scope="fragment")
    except Refused:
        st.rerun()


def show(service: Service, operation: Operation) -> None:
    """Show everything that is known of an operation."""
    if operation.error or operation.status != "stored":
        parts.note(words.stored(operation.error or "") or _missing(operation), bad=operation.status not in ("canceled", "stored"))
    _pictures(service, operation)
    parts.prompt(operation.prompt)
    drawer_annotations.opinion(service, operation)
    reuse.actions(service, operation, "library")
    parts.facts(_facts(operation))
    stored_analysis.steps(operation)
    _files(operation)
    with st.expander(_("Metadata file (JSON)")):
        parts.sidecar(operation)


def _missing(operation: Operation) -> str:
    if operation.status == "result missing":
        return _("The result is missing: it was never downloaded, and the provider keeps results for one hour only.")
    return _("This operation has no result.")


def _pictures(service: Service, operation: Operation) -> None:
    title = words.labelled(words.type_name(operation.type), " ".join(operation.prompt.split())[:200])
    results = [(name, title, _("Result")) for name in operation.outputs]
    results += [(name, title, _("Intermediate")) for name in operation.intermediates]
    names = [(name, _("Input image {number}").format(number=number)) for number, name in enumerate(operation.inputs, 1)]
    given = [(name, caption, caption) for name, caption in names]
    places = iter(st.columns([2, 1] if given else 1))
    for key, pictures in (("outputs", results), ("inputs", given)):
        if pictures:
            with next(places), st.container(key=key):
                for name, alt, caption in pictures:
                    parts.media(service, name, alt, caption, of=operation)


def _facts(operation: Operation) -> dict[str, str | None]:
    """Return what the page says of an operation: what led to it stands behind what it is."""
    every = shown_of(operation, _FIRST, _LAST)
    texts = [(name, how.label, _written(how.written, value)) for name, how, value in every if how.label]
    rows = {_(label): text for name, label, text in texts if name not in _LAST}
    rows |= {words.parameter_name(name): _value(value) for name, value in operation.parameters().items()}
    rows |= stored_analysis.facts(operation.sidecar.get("workflowAnalysis"))
    return rows | {_(label): text for name, label, text in texts if name in _LAST}


def _written(how: Written, value: Any) -> str | None:
    if how == "cost":
        return parts.cost_text(value) or _("unknown")
    return None if value is None else _WRITTEN.get(how, str)(value)


#: The order of what the page says: a field that is none of these comes between.
_FIRST = ("type", "status", "moment", "created_by", "model", "provider", "elapsed", "cost")
_LAST = ("parents", "id")
_WRITTEN: Mapping[Written, Callable[[Any], str]] = {
    "type": words.type_name,
    "status": words.status_name,
    "moment": lambda moment: f"{words.exact(moment)} ({words.ago(moment)})",
    "flag": lambda value: _("yes") if value else _("no"),
    "number": lambda value: words.number(value, 3),
    "seconds": words.seconds,
    "texts": ", ".join,
}


def _value(value: Any) -> str | None:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None or isinstance(value, Mapping | list):
        return None if not value else str(value)
    return words.decimal(value) if isinstance(value, float) else str(words.choice_name(value))


def _files(operation: Operation) -> None:
    entries = operation.sidecar.get("files")
    rows = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    if not rows:
        return
    st.caption(_("Files"))
    parts.facts({str(entry.get("name")): _about(entry) for entry in rows}, stacked=True)


def _about(entry: Mapping[str, Any]) -> str:
    facts = [str(entry.get("mediaType") or _("unknown"))]
    if isinstance(entry.get("width"), int) and isinstance(entry.get("height"), int):
        facts.append(f"{entry['width']} × {entry['height']}")
    if isinstance(entry.get("seconds"), int | float):
        facts.append(words.seconds(entry["seconds"]))
    if isinstance(entry.get("bytes"), int):
        facts.append(words.size(entry["bytes"]))
    if isinstance(entry.get("sha256"), str):
        facts.append(f"sha256 {entry['sha256'][:12]}…")
    return " · ".join(facts)
