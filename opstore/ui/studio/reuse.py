"""What can be done with an operation, wherever it is shown: use its result, its settings, or make it once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from opstore.errors import OpstoreError
from opstore.generation import Remix
from opstore.service import Service
from opstore.storage.names import is_video
from opstore.storage.operation import OPERATION_TYPES, Operation
from opstore.storage.store import MAX_INPUTS
from opstore.ui import controls, parts, presses, words
from opstore.ui.components import bring
from opstore.ui.opened_app import opened
from opstore.ui.studio import input_pictures, settings, variations, workflow_choice
from opstore.ui.words import _, ngettext


def result(service: Service, operation: Operation, place: str) -> None:
    """Show one operation's result, or what went wrong, with what can be done next."""
    title = " ".join(operation.prompt.split())
    if operation.error:
        parts.note(words.stored(operation.error), bad=operation.status != "canceled")
    for name in operation.outputs[:1]:
        parts.media(service, name, words.labelled(words.type_name(operation.type), title[:200]), title[:200], of=operation)
    actions(service, operation, place)


def actions(service: Service, operation: Operation, place: str) -> None:
    """Show what can be done with an operation: edit, animate, download, redo with changes or as it is, see it in the library."""
    makes = service.may(Service.create)
    still = _still(operation) if makes else None
    with st.container(horizontal=True, gap="xsmall"):
        if operation.output:
            _download(service, operation.output)
        if still and parts.button(_("Edit this"), key=f"edit-{place}-{operation.id}"):
            _edit(service, operation)
        if still and parts.button(_("Animate this"), key=f"animate-{place}-{operation.id}"):
            _animate(service, operation)
        if operation.output and operation.inputs and parts.button(_("Compare with input"), key=f"compare-{place}-{operation.id}"):
            st.switch_page(parts.COMPARE, query_params={"ids": operation.id})
        if place == "library" and parts.button(_("Family"), key=f"family-{operation.id}"):
            st.switch_page(parts.LINEAGE, query_params={"id": operation.id})
        if makes and parts.button(_("Use these settings"), key=f"remix-{place}-{operation.id}"):
            remix(operation.id)
        known = makes and operation.type in OPERATION_TYPES
        if known and parts.button(_("Run again"), key=f"again-{place}-{operation.id}"):
            _again(service, operation)
        if place != "library" and parts.button(_("View in library"), key=f"see-{operation.id}"):
            st.switch_page(parts.LIBRARY, query_params={"operation": operation.id})


def _download(service: Service, name: str) -> None:
    try:
        service.media(name)
    except OpstoreError:
        return  # said where the picture would be
    parts.saved(_("Download"), f"/api/files/{name}?download=1")


def _still(operation: Operation) -> str | None:
    """Return the file that can be the input of a next operation: an edit or a video starts from a still."""
    stills = (name for name in (*operation.outputs, *operation.intermediates) if not is_video(name))
    return next(stills, None)


def _edit(service: Service, operation: Operation) -> None:
    _go(operation, "image_edit_single")


def _animate(service: Service, operation: Operation) -> None:
    _go(operation, "image_to_video_single")


def _go(operation: Operation, kind: str) -> None:
    if still := _still(operation):
        input_pictures.use_only([still])
        st.session_state["wanted-type"] = kind
        _to_form()


def _to_form() -> None:
    bring.wanted()
    st.switch_page(parts.CREATE)


def use_outputs(service: Service, ids: Sequence[str]) -> None:
    """Go to Create with the results of these operations as its pictures; say which of them cannot be."""
    names, without = [], 0
    for operation_id in ids[:MAX_INPUTS]:
        try:
            still = _still(service.operation(operation_id))
        except OpstoreError as error:
            st.toast(parts.plain(words.told(error)))  # which another page does not take away
            continue
        names += [still] if still else []
        without += not still
    if without:
        st.toast(
            ngettext(
                "{count} result is not a still picture, and was left out",
                "{count} results are not still pictures, and were left out",
                without,
            )
        )
    if names:
        input_pictures.use_only(names)
        _to_form()


def remix(operation_id: str) -> None:
    """Go to Create with everything that an operation was made with."""
    try:
        st.session_state["wanted-remix"] = opened().generation.remix(operation_id)
    except OpstoreError as error:
        parts.show_error(error)
    else:
        _to_form()


def _again(service: Service, operation: Operation) -> None:
    if presses.doubled(f"again-{operation.id}"):
        st.toast(_("This was requested a moment ago. Press once more for another one."))
        return
    try:
        service.again(operation.id)
    except OpstoreError as error:
        presses.came_to_nothing(f"again-{operation.id}")
        parts.show_error(error)
    else:
        st.switch_page(parts.CREATE)


#: What is asked of one operation and needs none of what the page shows of it.
_BY_NAME: Mapping[str, Callable[[Service, Operation], None]] = {
    "again": _again,
    "edit": _edit,
    "animate": _animate,
    "remix": lambda _, operation: remix(operation.id),
}


def overtaken(service: Service) -> None:
    """Do what was pressed of an operation whose buttons have gone meanwhile, since another one took its place.

    To be called where a page has been drawn to its end.
    """
    for key in presses.left():
        kind, _place, operation_id = ([*key.split("-", 2), "", ""])[:3]
        if kind not in _BY_NAME or not service.may(Service.create):
            continue
        try:
            operation = service.operation(operation_id)
        except OpstoreError:
            continue  # it is said that this is no longer on offer
        if presses.take(key):
            _BY_NAME[kind](service, operation)


def fill_in(service: Service) -> None:
    """Take over what was chosen elsewhere, before the widgets stand; say what could not be taken over."""
    state = st.session_state
    if wanted := state.pop("wanted-prompt", None):
        controls.set_to("prompt", wanted)
    chosen: Remix | None = state.pop("wanted-remix", None)
    if chosen is None:
        return
    controls.set_to("prompt", chosen.prompt)
    input_pictures.use_only(chosen.images)
    if chosen.workflow:
        state["wanted-type"] = chosen.workflow
        settings.fill_in(service, chosen.workflow, chosen)
        variations.sweep_nothing(chosen.workflow)
    else:
        state.pop("override", None)  # chosen for what stood here before
    workflow_choice.word_steps(chosen.steps)
    if chosen.left_out:
        names = ", ".join(_left(name) for name in chosen.left_out)
        st.toast(parts.plain(_("Not carried over (not supported here): {names}").format(names=names)))


def _left(name: str) -> str:
    names = {"images": _("Images"), "model": _("Model")}
    return names.get(name) or words.parameter_name(name)
