"""The analytics frame said a second time: slowly, sidecar by sidecar, in plain Python over the raw JSON."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from opstore.analytics import COLUMNS
from opstore.errors import DamagedOperation
from opstore.providers.old_failures import error_kind
from opstore.storage.names import is_operation_id
from opstore.storage.operation import Operation, decode

#: Columns that are a name under a key of the sidecar and nothing else, and what a search calls them.
PLAIN: dict[str, tuple[str, str]] = {
    "provider": ("provider", "provider"),
    "batch_id": ("batchId", "batch"),
    "created_by": ("createdBy", "by"),
}


def expected(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a folder of sidecars, newest first."""
    rows = []
    for path in sorted(folder.glob("*.json"), reverse=True):
        if is_operation_id(path.stem):
            try:
                rows.append(row(decode(path.read_bytes(), path.stem)))
            except DamagedOperation:
                continue
    return rows


def row(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the frame must hold of a sidecar; None is missing."""
    view = Operation.of(sidecar)
    files = [item for item in many(sidecar.get("files")) if isinstance(item, dict)]
    main = next((item for item in files if view.output and item.get("name") == view.output), {})
    analysis = some(sidecar.get("workflowAnalysis"))
    cost, notes = some(sidecar.get("cost")), some(sidecar.get("annotations"))
    amount = positive(cost.get("amount"))
    proposed = next(
        filter(None, (text(spot) for place in (analysis, some(analysis.get("analysis"))) for spot in spots(place))), None
    )
    chosen = text(analysis.get("overriddenTo")) or None
    rating = notes.get("rating")
    return {
        "operation_id": view.id,
        "timestamp": view.moment,
        "operation_type": view.type[:200] or "unknown",
        "status": view.status,
        "success": flag(sidecar.get("success")),
        "prompt": text(sidecar.get("prompt")),
        "error": text(sidecar.get("error")),
        "error_kind": kind(sidecar, view.status),
        "model": name(sidecar.get("model")),
        "workflow_id": proposed and proposed[:200],
        "confidence": confidence(sidecar, analysis),
        "overridden": chosen != (proposed and proposed[:200]) if chosen else False if proposed else None,
        "input_count": inputs(sidecar, view),
        "outputs": len(view.outputs),
        "media": view.output and ("video" if view.output.endswith((".mp4", ".webm")) else "image"),
        "elapsed_seconds": positive(sidecar.get("elapsedSeconds")),
        "predict_seconds": total(
            [positive(step.get("predictSeconds")) for step in many(sidecar.get("steps")) if isinstance(step, dict)]
        ),
        "clip_seconds": positive(sidecar.get("duration")),
        "cost": amount,
        "currency": None if amount is None else name(cost.get("currency")),
        "cost_estimated": None if amount is None else flag(cost.get("estimated")),
        "bytes_in": size(files, "input"),
        "bytes_between": size(files, "intermediate"),
        "bytes_out": size(files, "output"),
        "width": whole(main.get("width")),
        "height": whole(main.get("height")),
        "parameters": parameters(sidecar.get("parameters")),
        "tags": tags(notes.get("tags")),
        "rating": rating if isinstance(rating, int) and not isinstance(rating, bool) and 1 <= rating <= 5 else None,
        "favorite": flag(notes.get("favorite")),
        "parents": sorted({item for item in many(sidecar.get("parents")) if is_operation_id(item)})[:100],
        "note": text(notes.get("note")) or None,
        "seed": seed(some(sidecar.get("parameters")).get("seed")),
        **{column: name(sidecar.get(key)) for column, (key, _) in PLAIN.items()},
    }


def spots(place: Mapping[str, Any]) -> tuple[Any, Any]:
    """Where a proposed type may stand."""
    return some(place.get("workflow")).get("id"), place.get("workflowId")


def seed(value: Any) -> str | None:
    """A seed of 64 bits, however it was written, in digits."""
    if isinstance(value, float) and value == value // 1:
        value = int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    return str(value) if type(value) is int and 0 <= value < 2**64 else None


def many(value: Any) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def some(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str | None:
    """A text."""
    return value if isinstance(value, str) else None


def name(value: Any) -> str | None:
    """A text that names something."""
    return value[:200] if isinstance(value, str) and value else None


def flag(value: Any) -> bool | None:
    """True or false."""
    return value if value is True or value is False else None


def positive(value: Any) -> float | None:
    """A number from 0."""
    if type(value) not in (int, float) or not value >= 0 or value >= 1e9:
        return None
    return float(value)


def whole(value: Any) -> int | None:
    """A whole number from 0."""
    return value if type(value) is int and 0 <= value < 2**53 else None


def total(values: Iterable[float | None]) -> float | None:
    """The sum of what is there."""
    found = [value for value in values if value is not None]
    return math.fsum(found) if found else None


def size(files: list[dict[str, Any]], role: str) -> int | None:
    """The bytes of the files of a role."""
    found = [n for n in (whole(item.get("bytes")) for item in files if item.get("role") == role) if n is not None]
    return min(sum(found), 2**53) if found else None


def kind(sidecar: Mapping[str, Any], status: str) -> str | None:
    """Why it failed."""
    if status in ("stored", "result missing"):
        return None
    return name(sidecar.get("errorKind")) or error_kind(text(sidecar.get("error")), status)


def confidence(sidecar: Mapping[str, Any], analysis: Mapping[str, Any]) -> float | None:
    """How sure the analysis was, wherever it stands."""
    for place in (analysis, some(analysis.get("analysis")), some(sidecar.get("parameters"))):
        value = positive(place.get("confidence"))
        if value is not None and value <= 1:
            return value
    return None


def inputs(sidecar: Mapping[str, Any], view: Operation) -> int | None:
    """How many images went in."""
    count = sidecar.get("inputCount")
    if type(count) is int and 0 <= count < 1000:
        return count
    return len(view.inputs) if isinstance(sidecar.get("inputFiles"), list) else None


def tags(value: Any) -> list[str]:
    """The tags, tidied."""
    return sorted({tag for tag in (" ".join(item.split())[:200] for item in many(value) if isinstance(item, str)) if tag})[:100]


def parameters(value: Any) -> str | None:
    """The parameters that can be counted."""
    if not isinstance(value, dict):
        return None
    left = ("seed", "prompt", "originalPrompt", "optimizedPrompt", "negativePrompt", "confidence")
    kept = {
        key: item
        for key, item in value.items()
        if key not in left and (isinstance(item, bool | int | float) or (isinstance(item, str) and 0 < len(item) <= 60))
    }
    return json.dumps({key[:60]: kept[key] for key in sorted(kept)[:40]}, ensure_ascii=False, separators=(",", ":"))


def tokens(prompt: str) -> list[str]:
    """The words of a prompt, in small letters without accents."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", prompt) if not unicodedata.category(c).startswith("M"))
    return re.findall(r"[^\W_]+", plain.casefold())


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows in plain Python values, missing ones as None, for a comparison."""
    columns: dict[str, list[Any]] = {}
    for column in COLUMNS:
        if column.name != "prompt_key":
            values = frame[column.name].astype(object)
            if column.kind == "texts":
                columns[column.name] = [list(value) for value in values]
            else:
                columns[column.name] = [None if pd.isna(value) else value for value in values]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
