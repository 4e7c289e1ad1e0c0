"""What the columns of a table are called where people read it: each column of the frame has a name here.

Programs read the frame's own names, which never change; these are texts, in the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping

from opstore.analytics.columns import NAMES
from opstore.errors import said
from opstore.language.translations import translated

HEADS: Mapping[str, str] = {
    "operation_id": said("Id"),
    "timestamp": said("Date (UTC)"),
    "operation_type": said("Operation type"),
    "status": said("Status"),
    "success": said("Success"),
    "prompt": said("Prompt"),
    "prompt_key": said("Prompt key"),
    "error": said("Error"),
    "error_kind": said("Cause of failure"),
    "provider": said("Provider"),
    "model": said("Model"),
    "workflow_id": said("Suggested type"),
    "confidence": said("Confidence"),
    "overridden": said("Another type chosen"),
    "input_count": said("Input images"),
    "outputs": said("Results"),
    "media": said("Image or video"),
    "elapsed_seconds": said("Elapsed time (s)"),
    "predict_seconds": said("Computing time (s)"),
    "clip_seconds": said("Clip length (s)"),
    "cost": said("Cost"),
    "currency": said("Currency"),
    "cost_estimated": said("Estimated cost"),
    "bytes_in": said("Inputs (bytes)"),
    "bytes_between": said("Intermediates (bytes)"),
    "bytes_out": said("Results (bytes)"),
    "width": said("Width (px)"),
    "height": said("Height (px)"),
    "parameters": said("Parameters"),
    "tags": said("Tags"),
    "rating": said("Rating"),
    "favorite": said("Favorite"),
    "batch_id": said("Variants of"),
    "parents": said("Created from"),
    "created_by": said("Created by"),
    "note": said("Note"),
    "seed": said("Seed"),
}


def heads(language: str) -> list[str]:
    """Return what the columns are called in a language, in their order."""
    return [translated(HEADS[name], language) for name in NAMES]
