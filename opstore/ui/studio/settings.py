"""Models and their parameters as a person sets them: each widget is made from the model's own entry in the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from opstore import workflows
from opstore.errors import InvalidRequest
from opstore.generation import Remix
from opstore.providers.model_parameters import Parameter
from opstore.providers.models import Model
from opstore.service import Service
from opstore.ui import controls, parts, words
from opstore.ui.streamlit_private import Area
from opstore.ui.words import _


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen: models by step, values by parameter; what is `offered`, and the `row` on the page that holds it."""

    models: dict[str, str]
    parameters: dict[str, Any]
    offered: dict[str, Parameter]
    row: Area


def choices(service: Service, kind: str, count: int) -> Choices:
    """Let the person choose a model a step and its parameters."""
    models: dict[str, str] = {}
    offered: dict[str, Parameter] = {}
    steps = workflows.step_types(kind, count)
    for step in steps:
        model = _model(service, step, len(steps) == 1)
        if model is None:
            parts.note(_("No model is available for this type. Choose another type or provider."), bad=True)
            continue
        models[step] = model.name
        for parameter in model.parameters_for(step):
            offered.setdefault(parameter.name, parameter)
    row = st.container(horizontal=True, vertical_alignment="bottom", key="choices")
    with row:
        return Choices(models, _parameters(kind, offered), offered, row)


def _model(service: Service, step: str, alone: bool) -> Model | None:
    models = list(service.models(step))
    if len(models) < 2:
        return models[0] if models else None
    return st.selectbox(
        _("Model") if alone else words.type_name(step),
        models,
        format_func=lambda model: model.title,
        key=controls.key_of(f"model-{step}"),
        persist_state="session",
    )


def _parameters(kind: str, offered: Mapping[str, Parameter]) -> dict[str, Any]:
    plain = [parameter for parameter in offered.values() if not parameter.advanced]
    more = [parameter for parameter in offered.values() if parameter.advanced]
    values: dict[str, Any] = {}
    for parameter in plain:
        values[parameter.name] = _widget(kind, parameter)
    if more:
        with st.popover(_("More parameters")):
            for parameter in more:
                values[parameter.name] = _widget(kind, parameter)
    return {name: value for name, value in values.items() if value is not None}


def _widget(kind: str, parameter: Parameter) -> Any:
    label, key = words.parameter_name(parameter.name), controls.key_of(f"{kind}-{parameter.name}")
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


# -- filled in from elsewhere --------------------------------------------------------------------------------------------


def fill_in(service: Service, kind: str, remix: Remix) -> dict[str, Parameter]:
    """Set every widget of a workflow as an operation had it, what it did not say to its default; before the widgets stand.

    Return the parameters that have widgets then.
    """
    offered: dict[str, Parameter] = {}  # of two steps that both have a parameter the first one's is shown, as in `choices`
    for step in workflows.step_types(kind, len(remix.images)):
        found = list(service.models(step))
        model = next((item for item in found if item.name == remix.models.get(step)), found[0] if found else None)
        if model is None:
            continue
        if len(found) > 1:
            controls.set_to(f"model-{step}", model)
        for parameter in model.parameters_for(step):
            offered.setdefault(parameter.name, parameter)
    for name, parameter in offered.items():
        controls.set_to(f"{kind}-{name}", _wanted(parameter, remix.parameters))
    return offered


def _wanted(parameter: Parameter, values: Mapping[str, Any]) -> Any:
    value = values.get(parameter.name, parameter.default)
    try:
        value = parameter.check(value) if value is not None else None
    except InvalidRequest:
        value = parameter.default
    if parameter.kind == "choice":
        return value if value is not None else parameter.choices[0]
    if parameter.kind == "boolean":
        return bool(value)
    if parameter.kind == "text":
        return value or ""
    return None if value is None else int(value) if parameter.kind == "integer" else float(value)
