"""One request as several: variants by their seeds, sweeps through one or two parameters or models; pure but for the models asked.

Every part says with explicit values what it is made with, so that a contact sheet can say what differs and each can be redone.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opstore.errors import InvalidRequest, said
from opstore.generation.request import Axis
from opstore.providers.models import Model
from opstore.service import NewOperation, Service
from opstore.workflows import SEED_BITS, StepPlan, seed_within, step_types

#: The most variants of one request: a contact sheet that can still be looked at.
MAX_VARIANTS = 8
#: The most operations that one request becomes, sweeps multiplied out.
MAX_BATCH = 24
#: The most parameters that a sweep goes through.
MAX_AXES = 2
#: What an axis is called that goes through models instead of a parameter's values.
MODEL_AXIS = "model"


def varied(service: Service, base: NewOperation, variants: int, axes: Sequence[Axis]) -> list[NewOperation]:
    """Return the operations that a request becomes, in the order of its axes; raise InvalidRequest for what makes no sense."""
    if not 1 <= variants <= MAX_VARIANTS:
        reason = said("variants requested: {count}; possible: 1 to {limit}", count=variants, limit=MAX_VARIANTS)
        raise InvalidRequest(reason=reason)
    used = [axis for axis in axes if axis.values]
    if len(used) > MAX_AXES or len({axis.name for axis in used}) < len(used):
        raise InvalidRequest(reason=said("a sweep goes through one or two different parameters"))
    points = list(itertools.product(*(dict.fromkeys(axis.values) for axis in used)))
    if len(points) * variants > MAX_BATCH:
        count = len(points) * variants
        reason = said("this would make {count} operations; at most {limit} at a time", count=count, limit=MAX_BATCH)
        raise InvalidRequest(reason=reason)
    # One seed for all points of a sweep: then nothing differs but what is looked at.
    random_seed = secrets.randbits(SEED_BITS - 1)
    operations: list[NewOperation] = []
    known: list[list[StepPlan]] = []
    for point in points:
        changed = base
        # The model first: a value that it cannot take is then refused, and not left out where nobody sees it.
        for axis, value in sorted(zip(used, point, strict=True), key=lambda pair: pair[0].name != MODEL_AXIS):
            changed = _with(service, changed, axis.name, value)
        own_seed = {"seed": changed.parameters.get("seed")}
        plan = service.plan(changed)
        steps = [replace(step, parameters={**step.parameters, **own_seed}) for step in plan]
        if steps in known:
            continue  # the model has no such parameter: it would be paid once more for the same
        known.append(steps)
        seeds = [step.parameters["seed"] for step in plan if step.model.takes_seed]  # as the models read what was given
        seeded = len(points) * variants > 1 and all(isinstance(seed, int) for seed in seeds) and seeds
        first = random_seed if own_seed["seed"] is None or not seeds else seeds[0]
        operations += _seeded(changed, plan, variants, first) if seeded else [changed] * variants
    return operations


def _seeded(base: NewOperation, plan: Sequence[StepPlan], count: int, first: int) -> Iterator[NewOperation]:
    models = [step.model for step in plan]
    for number in range(count):
        yield replace(base, parameters={**base.parameters, "seed": seed_within(models, first + number)})


def _with(service: Service, base: NewOperation, name: str, value: Any) -> NewOperation:
    """Return the request with one thing changed; another model is told only what it takes."""
    if name != MODEL_AXIS:
        return replace(base, parameters={**base.parameters, name: value})
    models, parameters, offered = dict(base.models), dict(base.parameters), False
    for step in step_types(base.operation_type, len(base.images)):
        for model in service.models(step, base.provider):
            if model.name == value:
                models[step], offered = model.name, True
                parameters = {key: item for key, item in parameters.items() if not _refuses(model, step, key, item)}
    if not offered:
        reason = said("the model {model} does not support {type}; choose another one", model=str(value), type=base.operation_type)
        raise InvalidRequest(reason=reason)
    return replace(base, models=models, parameters=parameters)


def _refuses(model: Model, step: str, name: str, value: Any) -> bool:
    """Say whether a model has a parameter and cannot take this value for it; what it does not have at all harms nothing."""
    return any(item.name == name for item in model.parameters_for(step)) and not takes(model, step, name, value)


def takes(model: Model, step: str, name: str, value: Any) -> bool:
    """Say whether a model has a parameter for this kind of step, and can take this value for it."""
    return any(item.name == name and item.takes(value) for item in model.parameters_for(step))


def differing(operations: Sequence[tuple[Mapping[str, Any], str | None]]) -> list[dict[str, Any]]:
    """Return for each of several (parameters, model) what tells it from the others: the names whose values are not all the same.

    Where a sweep goes through something, its seeds say nothing more and are left out.
    """
    rows = [{**parameters, **({MODEL_AXIS: model} if model else {})} for parameters, model in operations]
    names = list(dict.fromkeys(name for row in rows for name in row))
    different = [name for name in names if len({repr(row.get(name)) for row in rows}) > 1]
    told = [name for name in different if name != "seed"]
    points = [tuple(repr(row.get(name)) for name in told) for row in rows]
    shown = told if told and len(set(points)) == len(points) else different
    return [{name: row[name] for name in shown if name in row} for row in rows]
