"""How many, and what changes between them: variants by seed, and a sweep through one or two parameters or models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from opstore import workflows
from opstore.errors import InvalidRequest
from opstore.generation import MAX_AXES, MAX_VARIANTS, MODEL_AXIS, Axis
from opstore.providers.model_parameters import Parameter
from opstore.providers.models import Model
from opstore.service import Service
from opstore.ui import controls, words
from opstore.ui.studio.batch_captions import axis_name, spoken
from opstore.ui.studio.settings import Choices
from opstore.ui.words import _

#: Longest list of numbers, in characters: more than one request may have.
MAX_LIST = 300
AXES = range(1, MAX_AXES + 1)


def vary(service: Service, kind: str, count: int, chosen: Choices) -> tuple[int, list[Axis]]:
    """Let the person say how many variants, and what to sweep; return both."""
    with chosen.row:
        key = controls.key_of("variants")
        variants = st.number_input(_("Variants"), 1, MAX_VARIANTS, 1, key=key, width=110, persist_state="session")
        axes: list[Axis] = []
        with st.popover(_("Sweep")):
            st.caption(_("Creates one operation per value, shown side by side."))
            for number in AXES:
                axes += _axis(service, kind, count, chosen.offered, number, [axis.name for axis in axes])
    return int(variants), axes


def sweep_nothing(kind: str) -> None:
    """Let no parameter of a workflow be swept; before the widgets stand."""
    for number in AXES:
        controls.set_to(f"axis-{kind}-{number}", "")


def fill_in(service: Service, kind: str, count: int, offered: Mapping[str, Parameter], kept: object) -> None:
    """Let the sweep be what a draft says of it, as far as that can still be chosen; before the widgets stand."""
    models = _models(service, kind, count)
    axes = [axis for axis in kept if isinstance(axis, Mapping)] if isinstance(kept, list) else []
    usable: dict[str, str | list[Any]] = {}
    for axis in axes[:MAX_AXES]:
        name, values = axis.get("name"), axis.get("values")
        if isinstance(name, str) and isinstance(values, list) and (shown := _as_shown(name, values, offered.get(name), models)):
            usable[name] = shown
    sweep_nothing(kind)
    for number, (name, shown) in enumerate(usable.items(), 1):
        controls.set_to(f"axis-{kind}-{number}", name)
        st.session_state[f"axis-{kind}-{number}-{name}"] = shown


def _as_shown(name: str, values: list[Any], parameter: Parameter | None, models: Mapping[str, Model]) -> str | list[Any]:
    """Return what the widget of these values shows, nothing for what cannot be swept."""
    if name == MODEL_AXIS:
        return [value for value in values if isinstance(value, str) and value in models] if len(models) > 1 else []
    if parameter is None or name == "seed" or parameter.kind == "text":
        return []
    if parameter.kind == "choice":
        return [value for value in values if value in parameter.choices]
    return "; ".join(str(value) for value in values if isinstance(value, str | int | float))[:MAX_LIST]


def _axis(
    service: Service, kind: str, count: int, offered: Mapping[str, Parameter], number: int, taken: Sequence[str]
) -> list[Axis]:
    models = _models(service, kind, count)
    names = [MODEL_AXIS] if len(models) > 1 else []
    names += [name for name, item in offered.items() if item.kind != "text" and name != "seed"]
    names = [name for name in names if name not in taken]
    label = _("Parameter") if number == 1 else _("Second parameter")
    name = st.selectbox(
        label,
        ["", *names],
        format_func=lambda item: axis_name(item) if item else "–",
        key=controls.key_of(f"axis-{kind}-{number}"),
        persist_state="session",
    )
    if not name:
        return []
    values = _values(name, offered.get(name), models, f"axis-{kind}-{number}-{name}")
    return [Axis(name, tuple(values))] if values else []


def _models(service: Service, kind: str, count: int) -> dict[str, Model]:
    return {model.name: model for step in workflows.step_types(kind, count) for model in service.models(step)}


def _values(name: str, parameter: Parameter | None, models: Mapping[str, Model], key: str) -> list[Any]:
    several: Any = {"key": key, "placeholder": _("Choose values"), "persist_state": "session"}
    if parameter is None or name == MODEL_AXIS:
        return st.multiselect(_("Values"), list(models), format_func=lambda item: models[item].title, **several)
    if parameter.kind == "boolean":
        return [False, True]
    if parameter.kind == "choice":
        return st.multiselect(_("Values"), list(parameter.choices), format_func=spoken, **several)
    text = st.text_input(
        _("Values, separated by semicolons"),
        key=key,
        max_chars=MAX_LIST,
        placeholder=words.stored(parameter.limits),
        persist_state="session",
    )
    written = (part.strip().replace(",", ".") for part in (text or "").split(";"))
    return [_number(part, parameter) for part in written if part]


def _number(written: str, parameter: Parameter) -> Any:
    """Return the number that somebody wrote; what is none stays as it is, and the whole request is refused for it."""
    try:
        return parameter.check(written)
    except InvalidRequest:
        return written
