"""An operation type as the provider calls it takes: one step, or for `edit_then_video` an edit and then a video of its result.

Planning is pure: it checks a whole request against the types and the models before anything is stored or sent.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opstore.errors import InvalidRequest, said
from opstore.providers.model_parameters import Parameter
from opstore.providers.models import Model, ModelTable
from opstore.storage.operation import OPERATION_TYPES, OperationType, plain

#: Models take seeds of 32 bits at least; 31 are safe where one reads them as signed.
SEED_BITS = 31
#: Longest prompt that is accepted: ten pages, and more than any listed model reads.
MAX_PROMPT = 20_000


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One provider call to be made: type, prompt, model and the parameters in opstore's names."""

    operation_type: str
    prompt: str
    model: Model
    parameters: Mapping[str, Any]


def operation_type(name: str) -> OperationType:
    """Return the row of the table for `name`; raise InvalidRequest for a type that cannot be run."""
    row = OPERATION_TYPES.get(name) if isinstance(name, str) else None
    if row is None:
        given, known = ascii(name)[:40], tuple(OPERATION_TYPES)
        raise InvalidRequest(reason=said("{value} is not an operation type; use one of {types}", value=given, types=known))
    return row


def step_types(name: str, inputs: int) -> tuple[str, ...]:
    """Return the types of the provider calls behind an operation type with `inputs` images."""
    if name == "edit_then_video":
        return ("image_edit_single" if inputs <= 1 else "image_edit_multiple", "image_to_video_single")
    return (name,)


def suggest(inputs: int, wants_video: bool = False) -> str:
    """Return the operation type that fits the number of images given."""
    if inputs == 0:
        return "text_to_video" if wants_video else "text_to_image"
    if wants_video:
        return "image_to_video_single" if inputs == 1 else "image_to_video_transition"
    return "image_edit_single" if inputs == 1 else "image_edit_multiple"


def fitting(inputs: int) -> tuple[str, ...]:
    """Return the operation types that take `inputs` images, in the table's order."""
    return tuple(row.name for row in OPERATION_TYPES.values() if row.minimum <= inputs <= row.maximum)


def plan(
    name: str,
    prompt: str,
    parameters: Mapping[str, Any],
    inputs: int,
    *,
    provider: str,
    table: ModelTable,
    models: Mapping[str, str] | None = None,
) -> tuple[StepPlan, ...]:
    """Return the steps of a request; raise InvalidRequest, naming what to change, if any of them could not be run.

    `models` chooses a model by its name for a step's type; the others get the provider's default. A model that takes a seed
    always gets an explicit one, so that its prediction can be recognised and the result made again; it is one for all steps.
    """
    operation_type(name).check_count(inputs)
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidRequest(reason=said("there is no prompt; say what you want to see"))
    _check_length(prompt)
    if not isinstance(parameters, Mapping):
        raise InvalidRequest(reason=said("parameters must be an object of names and values"))
    plain(parameters)
    kinds = step_types(name, inputs)
    chosen = [(kind, _chosen(kind, provider, table, models or {})) for kind in kinds]
    seed = seed_within([model for _, model in chosen], secrets.randbits(SEED_BITS))
    # Only a chain has prompts of its own for its steps: elsewhere the prompt that is stored is the one that is sent.
    own = parameters if len(kinds) > 1 else {}
    return tuple(
        _step(kind, _own_prompt(kind, prompt, own), _meant(kind, model, parameters, chosen), model, seed)
        for kind, model in chosen
    )


def _meant(step: str, model: Model, parameters: Mapping[str, Any], chosen: Sequence[tuple[str, Model]]) -> dict[str, Any]:
    """Return the parameters that one step of `chosen` is told: none of a name that both know whose value is the other's alone."""
    others = [item for kind, other in chosen if kind != step for item in other.parameters_for(kind)]
    known = {item.name: item for item in model.parameters_for(step)}
    return {
        name: value
        for name, value in parameters.items()
        if name in known
        and value is not None
        and (known[name].takes(value) or not any(_is_of(other, known[name], value) for other in others))
    }


def _is_of(other: Parameter, refusing: Parameter, value: Any) -> bool:
    """Say whether a value that `refusing` cannot take is `other`'s: of a scale of its own (2K, 720p), or its default."""
    if other.name != refusing.name or not other.takes(value):
        return False
    apart = other.choices and refusing.choices and not set(map(str, other.choices)) & set(map(str, refusing.choices))
    return bool(apart) or other.check(value) == other.default


def seed_within(models: Sequence[Model], seed: int) -> int:
    """Return `seed` if all of these models that take one take it, else one in its place that lies within their limits."""
    limits = [parameter for model in models for parameter in model.parameters if parameter.name == "seed"]
    low = max((math.ceil(item.minimum) for item in limits if item.minimum is not None), default=0)
    high = min((math.floor(item.maximum) for item in limits if item.maximum is not None), default=max(low, seed))
    return seed if low <= seed <= high or high < low else low + (seed - low) % (high - low + 1)


def _chosen(step: str, provider: str, table: ModelTable, models: Mapping[str, str]) -> Model:
    model = table.get(models[step]) if models.get(step) else table.default(provider, step)
    if model.provider != provider or step not in model.types:
        reason = said("the model {model} does not support {type}; choose another one", model=model.name, type=step)
        raise InvalidRequest(reason=reason)
    return model


def _step(step: str, prompt: str, parameters: Mapping[str, Any], model: Model, seed: int) -> StepPlan:
    given = model.validate(step, parameters)
    if model.takes_seed and given.get("seed") is None:
        given["seed"] = seed
    return StepPlan(step, prompt, model, given)


def _own_prompt(step: str, prompt: str, parameters: Mapping[str, Any]) -> str:
    own = parameters.get("videoPrompt" if OPERATION_TYPES[step].result == "video" else "editPrompt")
    if not isinstance(own, str) or not own.strip():
        return prompt
    _check_length(own)
    return own


def _check_length(prompt: str) -> None:
    if len(prompt) > MAX_PROMPT:
        reason = said("the prompt has {count} characters; at most {limit} are accepted", count=len(prompt), limit=MAX_PROMPT)
        raise InvalidRequest(reason=reason)
