"""The parts of the Create page: pictures given, workflow, choices, the request, and what is under way and just made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from opstore import media, workflows
from opstore.errors import OpstoreError
from opstore.names import own_name, parse_name
from opstore.operation import OPERATION_TYPES, Operation
from opstore.providers.models import Model
from opstore.providers.parameters import Parameter
from opstore.service import NewOperation, Service
from opstore.store import MAX_INPUTS
from opstore.ui import panel, parts, words
from opstore.ui.components.gallery import gallery
from opstore.ui.components.paste import pasted_images
from opstore.ui.words import _

PICTURE_TYPES = ["jpg", "jpeg", "png", "webp", "gif"]
#: A second click within this time on the same request is a double click, not a second wish: each could be paid.
DOUBLE_CLICK_SECONDS = 2.0
LATEST = 9


def fill_in() -> None:
    """Take over a prompt that was chosen elsewhere, before its widget stands."""
    wanted = st.session_state.pop("wanted-prompt", None)
    if wanted:
        st.session_state["prompt"] = wanted


# -- pictures given ------------------------------------------------------------------------------------------------------


def images(service: Service) -> list[tuple[bytes, str | None]]:
    """Show the ways to give pictures; return each picture's bytes and the operation whose output it is, if it is one."""
    uploaded = st.file_uploader(
        _("Images"),
        type=PICTURE_TYPES,
        accept_multiple_files=True,
        max_upload_size=10,
        key=f"upload-{st.session_state.get('upload-round', 0)}",
        help=_("Drop files here, or paste a picture anywhere on this page."),
    )
    pasted = st.session_state.setdefault("pasted", [])
    pasted += pasted_images(key="paste")
    if st.button(_("From the library"), key="pick"):
        _pick(service)
    given: list[tuple[bytes, str | None]] = [(file.getvalue(), None) for file in uploaded or ()]
    given += [(data, None) for data in pasted]
    given += _picked(service)
    if given:
        _preview([data for data, _parent in given], removable=bool(pasted or st.session_state.get("picked")))
    return given[:MAX_INPUTS]


def _picked(service: Service) -> list[tuple[bytes, str | None]]:
    found: list[tuple[bytes, str | None]] = []
    for name in list(st.session_state.get("picked", [])):
        parts_of_name = parse_name(name)
        try:
            found.append((service.store.read_file(name), parts_of_name.operation_id if parts_of_name else None))
        except OpstoreError as error:
            parts.show_error(error)
            st.session_state["picked"].remove(name)
    return found


def _preview(pictures: Sequence[bytes], removable: bool) -> None:
    """Show the pictures given, in the order in which they count; one that cannot be used is told at once."""
    with st.container(horizontal=True, vertical_alignment="center"):
        for number, data in enumerate(pictures, 1):
            try:
                media.check_image(data, number)
            except OpstoreError as error:
                parts.show_error(error)
            else:
                st.image(media.thumbnail(data, 160), width=80, alt=_("Image {number}").format(number=number))
        if removable and st.button(_("Remove pasted and picked"), type="tertiary", key="remove-images"):
            st.session_state["pasted"] = []
            st.session_state["picked"] = []
            st.rerun()


def _pick(service: Service) -> None:
    @st.dialog(_("Pick a picture from the library"), width="large")
    def picker() -> None:
        page = service.page(size=24, statuses=["stored"])
        pictures = [item for item in page.operations if item.output and not item.output.endswith((".mp4", ".webm"))]
        if not pictures:
            parts.note(_("The library has no pictures yet. Make one first, or upload a file."))
        chosen = gallery([parts.tile(item) for item in pictures], key="picker", tile_size=140)
        for item in pictures:
            if item.id == chosen and item.output:
                use(item.output)
                st.rerun()

    picker()


def use(name: str) -> None:
    """Put a stored picture among those given on the Create page."""
    picked: list[str] = st.session_state.setdefault("picked", [])
    if name not in picked:
        picked.append(name)


# -- what to make --------------------------------------------------------------------------------------------------------


def workflow(count: int) -> str:
    """Let the person choose the operation type among those that fit the pictures given; return it."""
    fitting = list(workflows.fitting(count))
    if not fitting:
        parts.note(_("That is more images than any workflow takes. Remove some."), bad=True)
        return "image_edit_multiple"
    wanted = st.session_state.pop("wanted-type", None)
    key = f"type-{count}"
    if wanted in fitting:
        st.session_state[key] = wanted
    chosen = st.segmented_control(
        _("Workflow"),
        fitting,
        default=None if key in st.session_state else fitting[0],
        required=True,
        format_func=words.type_name,
        key=key,
        help=_("Chosen by the number of images you gave; change it here."),
        persist_state="session",
    )
    return chosen or fitting[0]


def local_engine_note(kind: str, text: str) -> None:
    """Say what the local engine is, what it understood of an edit, and where its list of abilities is."""
    from opstore.providers.local import capabilities, understood

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            _("Local engine: classical image processing, no AI model. Add a Replicate token for real models."), width="content"
        )
        with st.popover(_("What it can do"), type="tertiary"):
            for line in capabilities("fr" if words.language() == "fr" else "en", kind if kind != "edit_then_video" else None):
                st.text(line)
    if kind in ("image_edit_single", "image_edit_multiple", "edit_then_video"):
        # Always a line, also before there is a prompt: leaving the prompt for Generate must not move Generate away.
        with st.container(horizontal=True, gap="small", key="understood"):
            st.caption(_("Understood:"), width="content")
            st.text(" → ".join(understood(text)) or _("nothing yet"))


def choices(service: Service, kind: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Let the person choose a model a step and its parameters; return the models by step type, and the parameters."""
    models: dict[str, str] = {}
    offered: dict[str, Parameter] = {}
    for step in workflows.step_types(kind, 1 if kind == "edit_then_video" else 0):
        model = _model(service, step)
        if model is None:
            parts.note(_("No model here does this. Choose another workflow or provider."), bad=True)
            continue
        models[step] = model.name
        for parameter in model.parameters_for(step):
            offered.setdefault(parameter.name, parameter)
    return models, _parameters(kind, offered)


def _model(service: Service, step: str) -> Model | None:
    found = list(service.models(step))
    if len(found) < 2:
        return found[0] if found else None
    return st.selectbox(
        _("Model") if step in OPERATION_TYPES else step,
        found,
        format_func=lambda model: model.title,
        key=f"model-{step}",
        persist_state="session",
    )


def _parameters(kind: str, offered: Mapping[str, Parameter]) -> dict[str, Any]:
    plain = [parameter for parameter in offered.values() if not parameter.advanced]
    more = [parameter for parameter in offered.values() if parameter.advanced]
    values: dict[str, Any] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for parameter in plain:
            values[parameter.name] = _widget(kind, parameter)
        if more:
            with st.popover(_("More")):
                for parameter in more:
                    values[parameter.name] = _widget(kind, parameter)
    return {name: value for name, value in values.items() if value is not None}


def _widget(kind: str, parameter: Parameter) -> Any:
    label, key = words.parameter_name(parameter.name), f"{kind}-{parameter.name}"
    if parameter.unit:
        label = f"{label} ({parameter.unit})"
    if parameter.kind == "choice":
        choices = list(parameter.choices)
        index = choices.index(parameter.default) if parameter.default in choices else 0
        return st.selectbox(
            label, choices, index=index, format_func=words.choice_name, key=key, width=160, persist_state="session"
        )
    if parameter.kind == "boolean":
        return st.toggle(label, value=bool(parameter.default), key=key, persist_state="session")
    if parameter.kind == "text":
        return st.text_input(label, value=parameter.default or "", key=key, persist_state="session") or None
    return _number(label, key, parameter)


def _number(label: str, key: str, parameter: Parameter) -> Any:
    whole = parameter.kind == "integer"
    turn = int if whole else float
    limits = [turn(limit) if limit is not None else None for limit in (parameter.minimum, parameter.maximum)]
    if parameter.name == "seed":
        return st.number_input(
            label, limits[0], limits[1], None, 1, key=key, width=150, placeholder=_("random"), persist_state="session"
        )
    start = turn(parameter.default) if parameter.default is not None else None
    step = 1 if whole else 0.5
    return st.number_input(label, limits[0], limits[1], start, step, key=key, width=150, persist_state="session")


# -- the request ---------------------------------------------------------------------------------------------------------


def request(
    kind: str, text: str, given: Sequence[tuple[bytes, str | None]], models: Mapping[str, str], parameters: Mapping[str, Any]
) -> NewOperation:
    """Return what the page would ask for now."""
    return NewOperation(
        operation_type=kind,
        prompt=text.strip(),
        images=tuple(data for data, _parent in given),
        parameters=dict(parameters),
        models=dict(models),
        parents=tuple(dict.fromkeys(parent for _data, parent in given if parent)),
    )


def estimate(service: Service, wanted: NewOperation) -> None:
    """Show what the request will probably cost, or what is missing for it to run; before there is a prompt too: nothing jumps."""
    try:
        costs = service.estimate(service.plan(replace(wanted, prompt=wanted.prompt or "…")))
    except OpstoreError as error:
        parts.show_error(error)
        return
    if any(cost is None or cost.amount is None for cost in costs):
        st.caption(_("Price unknown: the list has no price for this model."))
    elif any(cost.amount for cost in costs if cost):
        total = sum(cost.amount or 0.0 for cost in costs if cost)
        st.caption(" · ".join([_("about {amount} (estimate)").format(amount=words.money(total)), *_budget(service)]))
    else:
        st.caption(_("Free: made on this machine."))


def _budget(service: Service) -> list[str]:
    limits = service.preferences()
    if limits.daily_budget is None and limits.monthly_budget is None:
        return []
    spent = service.spending()
    told = []
    if limits.daily_budget is not None:
        used, limit = words.money(spent.today + spent.bound), words.money(limits.daily_budget)
        told.append(_("today {used} of {limit}").format(used=used, limit=limit))
    if limits.monthly_budget is not None:
        used, limit = words.money(spent.month + spent.bound), words.money(limits.monthly_budget)
        told.append(_("this month {used} of {limit}").format(used=used, limit=limit))
    return told


def generate(service: Service, wanted: NewOperation) -> None:
    """Hand the request over; a double click is one request."""
    mark = (hash((wanted.operation_type, wanted.prompt, wanted.images, repr(wanted.parameters))), time.monotonic())
    last = st.session_state.get("last-request")
    if last and last[0] == mark[0] and mark[1] - last[1] < DOUBLE_CLICK_SECONDS:
        return
    st.session_state["last-request"] = mark
    if not wanted.prompt:
        parts.note(_("Write a prompt first: say in a few words what you want to see."), bad=True)
        return
    st.session_state["followed"] = service.create(wanted)


# -- what happens --------------------------------------------------------------------------------------------------------


def follow(service: Service) -> None:
    """Show what is under way and what was made last, by itself up to date."""
    busy = service.count_jobs() > 0
    st.fragment(_results, run_every=panel.BUSY if busy else panel.IDLE)(service, busy)


def _results(service: Service, was_busy: bool) -> None:
    jobs = service.jobs()
    if bool(jobs) != was_busy:
        st.rerun()
    # Two places that are always there: a result that is shown keeps its element, and a video plays on, when a job begins or ends.
    now, made = st.container(key="now"), st.container(key="made")
    with now:
        if jobs:
            st.subheader(_("Now"), anchor=False)
        for job in jobs:
            panel.job_row(service, job, "create")
    latest = service.page(size=LATEST).operations
    with made:
        if latest:
            _latest(service, latest)
        elif not jobs:
            _examples()


def _latest(service: Service, operations: Sequence[Operation]) -> None:
    st.subheader(_("Latest results"), anchor=False)
    with st.container(key=f"result-{operations[0].id}"):
        result(service, operations[0], "create")
    opened = gallery([parts.tile(item) for item in operations[1:]], key="latest", tile_size=130)
    if opened:
        st.switch_page(parts.LIBRARY, query_params={"operation": opened})


def _examples() -> None:
    parts.note(_("Your results appear here. Closing the page stops nothing: come back and they are there."))
    st.caption(_("For a start, try one of these:"))
    examples = (
        _("The sea at sunset, calm mood"),
        _("Snowy mountains under a starry night sky"),
        _("A city at dusk in blue and violet, rain"),
    )
    for number, example in enumerate(examples):
        if st.button(example, key=f"example-{number}", width="stretch"):
            st.session_state["wanted-prompt"] = example
            st.rerun()


def result(service: Service, operation: Operation, place: str) -> None:
    """Show one operation's result, or what went wrong, with what can be done next."""
    title = " ".join(operation.prompt.split())
    if operation.error:
        parts.note(words.stored(operation.error), bad=operation.status != "canceled")
    for name in operation.outputs[:1]:
        parts.media(service, name, f"{words.type_name(operation.type)}: {title[:200]}", title[:200], of=operation)
    actions(service, operation, place)


def actions(service: Service, operation: Operation, place: str) -> None:
    """Show what can be done with an operation: edit, animate, download, run again, look at it in the library."""
    still = next((name for name in (*operation.outputs, *operation.intermediates) if not name.endswith((".mp4", ".webm"))), None)
    with st.container(horizontal=True, gap="xsmall"):
        if operation.output:
            _download(service, operation.output, place)
        if still and st.button(_("Edit this"), key=f"edit-{place}-{operation.id}"):
            _go(still, "image_edit_single")
        if still and st.button(_("Animate this"), key=f"animate-{place}-{operation.id}"):
            _go(still, "image_to_video_single")
        if operation.output and operation.inputs and st.button(_("Compare with input"), key=f"compare-{place}-{operation.id}"):
            st.switch_page(parts.COMPARE, query_params={"ids": operation.id})
        if operation.type in OPERATION_TYPES and st.button(_("Run again"), key=f"again-{place}-{operation.id}"):
            _again(service, operation)
        if place != "library" and st.button(_("See in library"), key=f"see-{operation.id}"):
            st.switch_page(parts.LIBRARY, query_params={"operation": operation.id})


def _download(service: Service, name: str, place: str) -> None:
    try:
        path, kind = service.media(name)
    except OpstoreError:
        return  # said where the picture would be
    stem = own_name(name, name[:23].split("_in")[0].split("_out")[0])
    extension = kind.extension if kind else (stem.extension if stem else "bin")
    st.download_button(
        _("Download"),
        data=path.read_bytes,
        file_name=f"{path.stem}.{extension}",
        mime=kind.name if kind else "application/octet-stream",
        on_click="ignore",
        key=f"download-{place}-{name}",
    )


def _go(name: str, kind: str) -> None:
    st.session_state["picked"] = [name]
    st.session_state["pasted"] = []
    st.session_state["upload-round"] = st.session_state.get("upload-round", 0) + 1
    st.session_state["wanted-type"] = kind
    st.switch_page(parts.CREATE)


def _again(service: Service, operation: Operation) -> None:
    try:
        service.again(operation.id)
    except OpstoreError as error:
        parts.show_error(error)
    else:
        st.switch_page(parts.CREATE)
