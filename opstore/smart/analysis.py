"""What an analyser says of a request: the workflow, how sure it is, why, and what else it may be.

`record()` is the specification's `workflowAnalysis`, with opstore's own keys after the specified ones; `overridden` notes what a
person chose instead, and changes nothing of what was analysed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Language = Literal["en", "fr"]

#: What a workflow is called in a record, in the prompt's language, as the original backend wrote it.
NAMES: Mapping[Language, Mapping[str, str]] = {
    "fr": {
        "text_to_image": "Génération d'image",
        "image_edit_single": "Édition d'image",
        "image_edit_multiple": "Édition d'images multiples",
        "text_to_video": "Génération de vidéo",
        "image_to_video_single": "Animation d'image",
        "image_to_video_transition": "Transition entre images",
        "edit_then_video": "Édition puis vidéo",
    },
    "en": {
        "text_to_image": "Image from text",
        "image_edit_single": "Image edit",
        "image_edit_multiple": "Edit of several images",
        "text_to_video": "Video from text",
        "image_to_video_single": "Image animation",
        "image_to_video_transition": "Transition between images",
        "edit_then_video": "Edit, then video",
    },
}


@dataclass(frozen=True, slots=True)
class StepPrompts:
    """What each step of a chain is told: `edit` makes the picture, `video` moves it."""

    edit: str
    video: str


@dataclass(frozen=True, slots=True)
class WorkflowAnalysis:
    """A choice of workflow with its reason. Confidences are from 0 to 1; with `alternatives` they sum up to at most 1.

    `analyzer` is `rules`, or the name of a language model; `fallback` says why a language model's answer was not used, `cost`
    what it cost (the sidecar's form of a cost). `steps` are proposed for a chain only.
    """

    workflow: str
    confidence: float
    reasoning: str
    language: Language
    alternatives: tuple[tuple[str, float], ...] = ()
    analyzer: str = "rules"
    steps: StepPrompts | None = None
    overridden_to: str | None = None
    fallback: str | None = None
    cost: Mapping[str, Any] | None = None

    @property
    def chosen(self) -> str:
        """Return the workflow that counts: the person's, where it was overridden."""
        return self.overridden_to or self.workflow

    def overridden(self, workflow: str) -> WorkflowAnalysis:
        """Return the analysis as a person answered it: agreeing is no override."""
        return replace(self, overridden_to=workflow if workflow != self.workflow else None)

    def paid(self, cost: Mapping[str, Any] | None) -> WorkflowAnalysis:
        """Return the analysis with the cost of one more question."""
        if not cost or not self.cost:
            return replace(self, cost=cost or self.cost)
        return replace(self, cost={**self.cost, "amount": round(self.cost["amount"] + cost["amount"], 6)})

    def record(self) -> dict[str, Any]:
        """Return the analysis as a sidecar keeps it."""
        record: dict[str, Any] = {
            "workflow": {"id": self.workflow, "name": NAMES[self.language][self.workflow]},
            "confidence": self.confidence,
            "reasoning": self.reasoning,
            "alternatives": [
                {"id": name, "name": NAMES[self.language][name], "confidence": share} for name, share in self.alternatives
            ],
            "analyzer": self.analyzer,
            "overriddenTo": self.overridden_to,
        }
        if self.steps:
            record["steps"] = {"editPrompt": self.steps.edit, "videoPrompt": self.steps.video}
        optional = {"fallback": self.fallback, "cost": dict(self.cost) if self.cost else None}
        return record | {key: value for key, value in optional.items() if value is not None}


def ranked(shares: Mapping[str, float]) -> Sequence[tuple[str, float]]:
    """Return workflows and their confidences, the most likely first, in hundredths."""
    return sorted(((name, round(share, 2)) for name, share in shares.items()), key=lambda item: -item[1])
