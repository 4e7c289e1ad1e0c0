"""The labelled prompts of `tests/data/smart_prompts.jsonl`, and how often the rules are right about them.

The set was written whole, and split by a hash of the text, before any rule was. Rules are developed on the training part; of the
unseen part only sums are looked at, never its prompts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "data" / "smart_prompts.jsonl"


@dataclass(frozen=True)
class Labelled:
    """A prompt with its number of images, and the workflow that its author meant."""

    prompt: str
    language: str
    images: int
    type: str
    split: str


def labelled(split: str | None = None) -> list[Labelled]:
    """Return the prompts of a part, `train` or `unseen`, or all."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in PATH.read_text("utf-8").splitlines()]
    return [prompt for prompt in (Labelled(**row) for row in rows) if split in (None, prompt.split)]


def right(prompts: Sequence[Labelled]) -> int:
    """Return for how many prompts the rules choose what was meant."""
    from opstore.smart import rules

    return sum(rules.analyze(item.prompt, item.images).workflow == item.type for item in prompts)


def share(prompts: Sequence[Labelled]) -> float:
    """Return the share of prompts for which the rules choose what was meant."""
    return right(prompts) / len(prompts)
