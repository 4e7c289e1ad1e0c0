"""What a person asks for in one act, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opstore.errors import OpstoreError
from opstore.smart.analysis import StepPrompts, WorkflowAnalysis


@dataclass(frozen=True, slots=True)
class Axis:
    """What a sweep changes: a parameter by its name, or `model`, and the values it goes through."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SmartRequest:
    """What a person asks for. Without a `workflow` the analysis decides; one that differs from it is an override.

    `analysis` is what the person has already seen, `steps` what each step of a chain is told, if absent as is proposed.
    `optimized` is a better prompt that was proposed, `use_optimized` whether it is to be used. `variants` (1 to 8) and `axes` (up
    to two) make it several operations; of one only, `operation_id` is a new id that somebody has chosen already.
    """

    prompt: str
    images: tuple[bytes, ...] = ()
    workflow: str | None = None
    analysis: WorkflowAnalysis | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    provider: str | None = None
    parents: tuple[str, ...] = ()
    steps: StepPrompts | None = None
    optimized: str | None = None
    use_optimized: bool = False
    variants: int = 1
    axes: tuple[Axis, ...] = ()
    operation_id: str | None = None

    @property
    def wording(self) -> str:
        """Return the prompt that is sent: the better one where it was chosen."""
        return self.optimized if self.use_optimized and self.optimized else self.prompt

    def stored_parameters(self, workflow: str) -> dict[str, Any]:
        """Return the parameters as they are stored: with both wordings if there are two, and a chain's own prompts."""
        parameters = dict(self.parameters)
        if self.optimized is not None:
            parameters |= {
                "originalPrompt": self.prompt,
                "optimizedPrompt": self.optimized,
                "useOptimizedPrompt": self.use_optimized,
            }
        if self.steps and workflow == "edit_then_video":
            parameters |= {"editPrompt": self.steps.edit, "videoPrompt": self.steps.video}
        return parameters


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: the operations that are under way, or the one that keeps the error."""

    ids: tuple[str, ...]
    analysis: WorkflowAnalysis | None = None
    error: OpstoreError | None = None
    batch_id: str | None = None
