"""Why a prediction of Replicate's failed: its kind by what its text contains, and a sentence that says what to do; total."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from opstore.errors import Said, said

#: What a failed prediction's text contains, by the kind of failure that it is; the first that fits counts.
SAYS: Mapping[str, str] = {
    "nsfw": r"nsfw|flagged as sensitive|\bE005\b|safety (?:filter|checker|system)|content policy|moderation",
    "interrupted": (
        r"prediction interrupted|code: PA\b|\bE(?:8367|8765|98\d\d|9243|6716)\b|unexpected error handling prediction"
    ),
    "rate limit": r"high demand|\bE00[34]\b|temporarily unavailable|overloaded|rate limit|too many requests",
    "memory": r"out of memory|\bE1001\b",
    "timeout": r"timed? ?out|deadline",
    "invalid input": (
        r"\bE006\b|invalid input|input validation|cannot identify image|unsupported (?:image|file)|must be (?:one of|a valid)"
    ),
}
_PATTERNS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in SAYS.items()}
#: What happened, and what to do.
_SENTENCES: Mapping[str, Said] = {
    "nsfw": said(
        "The model's safety filter refused this prompt or image. Say it differently or use another image; "
        "the same request will be refused again."
    ),
    "interrupted": said("Replicate interrupted the run. Try it again as it is."),
    "rate limit": said("The model is overloaded at the moment. Try again in a few minutes, or take another model."),
    "memory": said("The model ran out of memory. Choose a lower resolution, a shorter clip or smaller input images."),
    "timeout": said("The run took longer than is allowed. Try again, with a shorter or smaller result."),
    "invalid input": said("The model could not use this input. Check the images and the parameters."),
    "crash": said("The model failed. Try again, or take another model."),
}
_SILENT = said("The model failed. Try again, or take another model. (Replicate gave no reason)")
_MAX_TEXT = 2_000


def explain(status: str, error: Any) -> tuple[str | None, Said | None]:
    """Return the kind and the sentence for how a prediction ended; (None, None) if nothing is wrong."""
    if status == "aborted":
        return "aborted", said("Replicate gave up before the model started, so it was not billed. Try again later.")
    if status == "canceled":
        return "canceled", said("The run was canceled at Replicate. What had run by then may have been billed.")
    if status != "failed":
        return None, None
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, default=str) if error else ""
    text = " ".join(text.split())[:_MAX_TEXT]
    kind = next((kind for kind, pattern in _PATTERNS.items() if pattern.search(text)), "crash")
    return kind, quoting(_SENTENCES[kind], text) if text else _SILENT


def quoting(sentence: Said, text: str) -> Said:
    """Return a sentence of ours with what Replicate itself said."""
    return said("{sentence} (Replicate: {quoted})", sentence=sentence, quoted=text)
