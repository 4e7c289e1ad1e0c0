"""What tells an operation of a batch from the others, in words: "Seed 7", "Aspect ratio 16:9 · Quality 90"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opstore.generation import MODEL_AXIS, Variant
from opstore.ui import words
from opstore.ui.words import _


def captions(variants: Sequence[Variant]) -> dict[str, str]:
    """Return the caption of each variant of a batch by its id; without one there is nothing to tell them apart by."""
    return {variant.id: text for variant in variants if (text := differs(variant))}


def differs(variant: Variant) -> str:
    """Return the names and values in which a variant differs."""
    return " · ".join(_pair(name, value) for name, value in variant.differs.items())


def _pair(name: str, value: Any) -> str:
    if name == MODEL_AXIS:
        return str(value).rpartition("/")[2]
    return f"{words.parameter_name(name)} {spoken(value)}"


def axis_name(name: str) -> str:
    """Return what a sweep's parameter is called."""
    return _("Model") if name == MODEL_AXIS else words.parameter_name(name)


def spoken(value: Any) -> str:
    """Return a parameter's value as a person reads it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int):
        return str(value)  # a seed is no amount: nothing between its digits
    return words.decimal(value) if isinstance(value, float) else str(words.choice_name(value))
