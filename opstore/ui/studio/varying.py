"""How many, and what changes between them: variants by seed, and a sweep through one or two parameters or models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from opstore import workflows
from opstore.errors import InvalidRequest
from opstore.generation import MAX_VARIANTS, MODEL_AXIS, Axis
from opstore.providers.model_parameters import Parameter
from opstore.providers.models import Model
from opstore.service import Service
from opstore.ui import controls, parts
from opstore.ui.studio.naming import axis_name, spoken
from opstore.ui.studio.settings import Choices
from opstore.ui.words import _

#: The most values of a number that a sweep goes through.
MAX_VALUES = 8


def vary(service: Service, kind: str, count: int, chosen: Choices) -> tuple[int, list[Axis]]:
    """Let the person say how many variants, and what to sweep; return both."""
    with chosen.row:
        key = controls.key_of("variants")
        variants = st.number_input(_("Variants"), 1, MAX_VARIANTS, 1, key=key, width=110, persist_state="session")
        axes: list[Axis] = []
        with st.popover(_("Sweep")):
            st.caption(_("Creates one operation per value, shown side by side."))
            for number in (1, 2):
                axes += _axis(service, kind, count, chosen.offered, number, [axis.name for axis in axes])
    return int(variants), axes


def _axis(
    service: Service, kind: str, count: int, offered: Mapping[str, Parameter], number: int, taken: Sequence[str]
) -> list[Axis]:
    models = _models(service, kind, count)
    names = [MODEL_AXIS] if len(models) > 1 else []
    names += [name for name, item in offered.items() if item.kind != "text" and name != "seed"]
    names = [name for name in names if name not in taken]
    label = _("Parameter") if number == 1 else _("Second parameter")
    name = st.selectbox(
        label, ["", *names], format_func=lambda item: axis_name(item) if item else "–", key=f"axis-{kind}-{number}"
    )
    if not name:
        return []
    values = _values(name, offered.get(name), models, f"axis-{kind}-{number}-{name}")
    return [Axis(name, tuple(values))] if values else []


def _models(service: Service, kind: str, count: int) -> dict[str, Model]:
    return {model.name: model for step in workflows.step_types(kind, count) for model in service.models(step)}


def _values(name: str, parameter: Parameter | None, models: Mapping[str, Model], key: str) -> list[Any]:
    if parameter is None or name == MODEL_AXIS:
        return st.multiselect(
            _("Values"), list(models), format_func=lambda item: models[item].title, key=key, placeholder=_("Choose values")
        )
    if parameter.kind == "boolean":
        return [False, True]
    if parameter.kind == "choice":
        return st.multiselect(_("Values"), list(parameter.choices), format_func=spoken, key=key, placeholder=_("Choose values"))
    text = st.text_input(_("Values, separated by semicolons"), key=key, placeholder=str(parameter.limits))
    return _numbers(text or "", parameter)


def _numbers(text: str, parameter: Parameter) -> list[Any]:
    values: list[Any] = []
    for part in [part.strip().replace(",", ".") for part in text.split(";") if part.strip()][:MAX_VALUES]:
        try:
            values.append(parameter.check(part))
        except InvalidRequest as error:
            parts.show_error(error)
            return []
    return values
