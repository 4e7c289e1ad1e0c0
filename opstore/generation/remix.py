"""The settings of a stored operation as a new request can use them; whoever wrote it, it never fails for what it lacks.

What cannot be taken over (a model that is not here, a value that no model takes, images that are gone) is named, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opstore.generation.variants import MODEL_AXIS, takes
from opstore.providers.models import Model
from opstore.service import Service, images_given, named_models
from opstore.smart.analysis import StepPrompts
from opstore.storage.operation import OPERATION_TYPES, Operation
from opstore.workflows import fitting, step_types

#: Types that the original backend wrote and nobody runs any more.
_OLD_TYPES = {"img_to_img": "image_edit_single"}
_OLD_STEP = re.compile(r"\A(?P<type>\w+?)(?:_step_\d+)\Z")
#: Kept among the parameters, and not settings of a model: wordings, prompts of steps, what the original backend noted there.
_NOTES = frozenset(
    {"originalPrompt", "optimizedPrompt", "useOptimizedPrompt", "optimized", "editPrompt", "videoPrompt", "prompt", "imageCount"}
    | {"workflowName", "workflowId", "confidence"}
)


@dataclass(frozen=True, slots=True)
class Remix:
    """What a new request takes over. `images` are stored files' names; `left_out` names what cannot be taken over."""

    operation_id: str
    prompt: str
    workflow: str | None
    images: tuple[str, ...]
    models: Mapping[str, str]
    parameters: Mapping[str, Any]
    steps: StepPrompts | None
    left_out: tuple[str, ...]


def remix(service: Service, operation_id: str) -> Remix:
    """Return the settings of an operation; raise OperationNotFound or DamagedOperation if there is none to read."""
    old = service.operation(operation_id)
    images = tuple(name for name in old.inputs if service.store.operations.has(name))
    workflow = _workflow(old.type, len(images))
    steps = step_types(workflow, len(images)) if workflow else ()
    named = named_models(old, steps)
    offered = {step: {model.name: model for model in service.models(step)} for step in steps}
    models = {step: name for step, name in named.items() if name in offered.get(step, {})}
    used = {step: offered[step][models[step]] if step in models else next(iter(offered[step].values()), None) for step in steps}
    parameters = {name: value for name, value in old.parameters().items() if name not in _NOTES and value is not None}
    taken = {name: value for name, value in parameters.items() if _is_taken(used, name, value)}
    gone = ["images"] if len(images) < images_given(old) else []
    gone += [MODEL_AXIS] if named and len(models) < len(named) else []
    return Remix(
        operation_id=old.id,
        prompt=old.prompt,
        workflow=workflow,
        images=images,
        models=models,
        parameters=taken,
        steps=_prompts(old) if workflow == "edit_then_video" else None,
        left_out=(*gone, *(name for name in parameters if workflow and name not in taken)),
    )


def _workflow(kind: str, count: int) -> str | None:
    """Return the workflow that an operation's type means today, None where its images are gone or nobody knows."""
    step = _OLD_STEP.match(kind)
    meant = _OLD_TYPES.get(kind, step["type"] if step else kind)
    return meant if meant in OPERATION_TYPES and meant in fitting(count) else None


def _is_taken(used: Mapping[str, Model | None], name: str, value: Any) -> bool:
    return any(model is not None and takes(model, step, name, value) for step, model in used.items())


def _prompts(old: Operation) -> StepPrompts | None:
    edit, video = (old.parameters().get(name) for name in ("editPrompt", "videoPrompt"))
    return StepPrompts(edit, video) if isinstance(edit, str) and isinstance(video, str) else None
