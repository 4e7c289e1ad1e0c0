"""How often the rules choose the workflow that was meant, by type and language, and how long they take: no network, no model.

The prompts are the labelled set of the tests; a third of it was kept unseen while the rules were written.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from bench import Table, milliseconds, percentile
from opstore.smart import rules
from opstore.storage.operation import OPERATION_TYPES
from tests.smart_prompts import Labelled, labelled, right

CELLS = (("train", "fr"), ("train", "en"), ("unseen", "fr"), ("unseen", "en"))


def run() -> Iterable[Table]:
    """Count over the whole set, then measure one prompt at a time."""
    prompts = labelled()
    yield Table(
        title=f"workflow chosen as meant, {len(prompts)} labelled prompts",
        columns=("", *(f"{split} {language}" for split, language in CELLS)),
        rows=[(name, *(_cell(_some(prompts, *cell, name)) for cell in CELLS)) for name in OPERATION_TYPES]
        + [("all", *(_cell(_some(prompts, *cell)) for cell in CELLS))],
        notes=[f"{split}: {_cell([item for item in prompts if item.split == split])}" for split in ("train", "unseen")],
    )
    yield Table(
        title="confidence against how often it is right, unseen prompts",
        columns=("confidence", "prompts", "said", "right"),
        rows=list(_calibration([item for item in prompts if item.split == "unseen"])),
    )
    seconds = sorted(_seconds(item) for item in prompts for _ in range(3))
    yield Table(
        title="time for one analysis",
        columns=("", "median", "p99", "longest"),
        rows=[("rules", *(milliseconds(value) for value in (percentile(seconds, 0.5), percentile(seconds, 0.99), seconds[-1])))],
    )


def _some(prompts: Sequence[Labelled], split: str, language: str, kind: str | None = None) -> list[Labelled]:
    return [item for item in prompts if item.split == split and item.language == language and kind in (None, item.type)]


def _cell(prompts: Sequence[Labelled]) -> str:
    return f"{right(prompts)}/{len(prompts)} {right(prompts) / len(prompts):.0%}" if prompts else "–"


def _calibration(prompts: Sequence[Labelled]) -> Iterable[tuple[str, ...]]:
    found = [(rules.analyze(item.prompt, item.images), item.type) for item in prompts]
    for low, high in ((0.0, 0.7), (0.7, 0.9), (0.9, 0.97), (0.97, 1.01)):
        some = [(analysis, meant) for analysis, meant in found if low <= analysis.confidence < high]
        if some:
            said = sum(analysis.confidence for analysis, _ in some) / len(some)
            hits = sum(analysis.workflow == meant for analysis, meant in some) / len(some)
            yield f"{low:.2f} to {min(high, 1.0):.2f}", str(len(some)), f"{said:.0%}", f"{hits:.0%}"


def _seconds(item: Labelled) -> float:
    began = time.perf_counter()
    rules.analyze(item.prompt, item.images)
    return time.perf_counter() - began
