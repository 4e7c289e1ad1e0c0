"""One sidecar as one row of the frame: what the index keeps of it, and what only charts ask for; pure, and total.

Types, statuses, models, tags and error kinds are the index's own (`entry_of`), so that a search and a chart never disagree.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from opstore.index import order
from opstore.index.table import MAX_PROMPT, Entry, entry_of
from opstore.index.terms import spelt
from opstore.names import own_name, time_of
from opstore.operation import parse_time, pixels_of

_TOKEN = re.compile(r"[^\W_]+")
#: Accents on Latin letters: on others they make another letter, for the search too (が, й).
_MARKS = re.compile(r"(?<=[a-z])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")
#: Parameters that are another one each time, or texts of their own: they say nothing when counted.
_UNCOUNTED = ("seed", "prompt", "originalPrompt", "optimizedPrompt", "negativePrompt", "confidence")
MAX_PARAMETERS, MAX_TEXT = 40, 60
VIDEO = ("mp4", "webm")


class Row(NamedTuple):
    """The frame's columns in their order, then what is kept beside it: the words of the prompt, and the id's second."""

    operation_id: str
    timestamp: datetime | None
    operation_type: str
    status: str
    success: bool | None
    prompt: str | None
    prompt_key: int | None
    error: str | None
    error_kind: str | None
    provider: str | None
    model: str | None
    workflow_id: str | None
    confidence: float | None
    overridden: bool | None
    input_count: int | None
    outputs: int
    media: str | None
    elapsed_seconds: float | None
    predict_seconds: float | None
    clip_seconds: float | None
    cost: float | None
    currency: str | None
    cost_estimated: bool | None
    bytes_in: int | None
    bytes_between: int | None
    bytes_out: int | None
    width: int | None
    height: int | None
    parameters: str | None
    tags: tuple[str, ...]
    rating: int | None
    favorite: bool | None
    batch_id: str | None
    parents: tuple[str, ...]
    words: tuple[str, ...]
    second: int


def row_of(sidecar: Mapping[str, Any], operation_id: str) -> Row:
    """Return the row of a decoded sidecar."""
    entry = entry_of(sidecar, operation_id)
    prompt, analysis = _text(sidecar.get("prompt")), _mapping(sidecar.get("workflowAnalysis"))
    files = [item for item in _list(sidecar.get("files")) if isinstance(item, Mapping)]
    words = dict(words_of((prompt or "")[:MAX_PROMPT]))  # what the search knows of it
    cost = _mapping(sidecar.get("cost"))
    amount = number(cost.get("amount"))
    width, height = pixels_of(sidecar, entry.output)
    workflow = _workflow(analysis)
    return Row(
        operation_id=operation_id,
        timestamp=parse_time(sidecar.get("timestamp")) or time_of(operation_id),
        operation_type=entry.type,
        status=entry.status,
        success=_flag(sidecar.get("success")),
        prompt=prompt,
        prompt_key=None if prompt is None else prompt_key(prompt),
        error=_text(sidecar.get("error")),
        error_kind=entry.error,
        provider=entry.provider,
        model=entry.model,
        workflow_id=workflow,
        confidence=_confidence(sidecar),
        overridden=_overridden(analysis, workflow),
        input_count=_input_count(sidecar, entry),
        outputs=len(_outputs(sidecar, files, operation_id)),
        media=_media(entry),
        elapsed_seconds=number(sidecar.get("elapsedSeconds")),
        predict_seconds=_predicted(sidecar.get("steps")),
        clip_seconds=number(sidecar.get("duration")),
        cost=amount,
        currency=None if amount is None else entry.currency or _text(cost.get("currency")) or None,
        cost_estimated=None if amount is None else _flag(cost.get("estimated")),
        bytes_in=_bytes(files, "input"),
        bytes_between=_bytes(files, "intermediate"),
        bytes_out=_bytes(files, "output"),
        width=width,
        height=height,
        parameters=_parameters(sidecar.get("parameters")),
        tags=entry.tags,
        rating=entry.rating,
        favorite=_flag(_mapping(sidecar.get("annotations")).get("favorite")),
        batch_id=entry.batch,
        parents=entry.parents,
        words=tuple(words.values()),
        second=order.second_of(operation_id),
    )


# -- texts ---------------------------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """Return `text` as the search compares words: small letters, Latin ones without accents, œ as oe."""
    if text.isascii():
        return text.lower()
    plain = _MARKS.sub("", unicodedata.normalize("NFD", spelt(text).lower()))
    return unicodedata.normalize("NFC", plain).replace("ς", "σ")


def words_of(prompt: str) -> Iterator[tuple[str, str]]:
    """Yield each word of a prompt once, as it is compared and as it is written (small letters)."""
    seen = set()
    for word in _TOKEN.findall(unicodedata.normalize("NFC", prompt).lower()):
        folded = fold(word)
        if folded not in seen:
            seen.add(folded)
            yield folded, word


def prompt_key(prompt: str) -> int:
    """Return a number that prompts share which are the same but for case, accents, width, spaces and punctuation."""
    folded = " ".join(_TOKEN.findall(fold(unicodedata.normalize("NFKC", prompt)))) or prompt.strip()
    return int.from_bytes(blake2b(folded.encode("utf-8", "replace"), digest_size=8).digest(), signed=True)


# -- numbers -------------------------------------------------------------------------------------------------------------


def number(value: object) -> float | None:
    """Return a stored number that is 0 or more, None for anything else; money and times have no others."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _predicted(steps: object) -> float | None:
    found = [number(step.get("predictSeconds")) for step in _list(steps) if isinstance(step, Mapping)]
    said = [seconds for seconds in found if seconds is not None]
    return math.fsum(said) if said else None


def _bytes(files: list[Mapping[str, Any]], role: str) -> int | None:
    sizes = [_whole(item.get("bytes")) for item in files if item.get("role") == role]
    said = [size for size in sizes if size is not None]
    return min(sum(said), 2**53) if said else None


# -- files ---------------------------------------------------------------------------------------------------------------


def _input_count(sidecar: Mapping[str, Any], entry: Entry) -> int | None:
    count = sidecar.get("inputCount")
    said = isinstance(count, int) and not isinstance(count, bool) and count == entry.inputs
    return entry.inputs if said or isinstance(sidecar.get("inputFiles"), list) else None


def _outputs(sidecar: Mapping[str, Any], files: list[Mapping[str, Any]], operation_id: str) -> set[str]:
    named = [sidecar.get("outputFile"), *(item.get("name") for item in files if item.get("role") == "output")]
    return {name for name in named if isinstance(name, str) and own_name(name, operation_id)}


def _media(entry: Entry) -> str | None:
    if entry.output is None:
        return None
    return "video" if entry.output.rpartition(".")[2] in VIDEO else "image"


# -- what the analysis said ----------------------------------------------------------------------------------------------


def _workflow(analysis: Mapping[str, Any]) -> str | None:
    """Return the proposed type: in the specification's place, or in the original backend's, one level further down."""
    for place in (analysis, _mapping(analysis.get("analysis"))):
        name = _text(_mapping(place.get("workflow")).get("id")) or _text(place.get("workflowId"))
        if name:
            return name[:200]
    return None


def _confidence(sidecar: Mapping[str, Any]) -> float | None:
    analysis = _mapping(sidecar.get("workflowAnalysis"))
    places = (analysis, _mapping(analysis.get("analysis")), _mapping(sidecar.get("parameters")))
    found = (number(place.get("confidence")) for place in places)
    return next((value for value in found if value is not None and value <= 1), None)


def _overridden(analysis: Mapping[str, Any], workflow: str | None) -> bool | None:
    """Say whether somebody chose another type than the proposed one."""
    chosen = _text(analysis.get("overriddenTo"))
    if chosen:
        return chosen != workflow
    return False if workflow else None


# -- parameters ----------------------------------------------------------------------------------------------------------


def _parameters(value: object) -> str | None:
    """Return the parameters that can be counted, as one text that is the same for the same ones."""
    if not isinstance(value, Mapping):
        return None
    kept = {name: _plain(item) for name, item in value.items() if name not in _UNCOUNTED and _counts(item)}
    names = sorted(kept)[:MAX_PARAMETERS]
    return json.dumps({name[:MAX_TEXT]: kept[name] for name in names}, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Return a whole number as one: 95.0 is 95."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _counts(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= MAX_TEXT
    return isinstance(value, bool | int | float)
