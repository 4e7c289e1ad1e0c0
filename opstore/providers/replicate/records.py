"""Reads Replicate's JSON into a Prediction, whatever shape the output has; pure, and total: no record makes it raise.

The client's own objects are not used: they refuse a prediction that was aborted, and drop `data_removed` and `deadline`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from opstore.errors import Said, said
from opstore.providers import Past, Prediction, Status

_STATUSES: tuple[str, ...] = get_args(Status)
#: A model that writes each step to its log fills megabytes; what is shown is the end.
MAX_LOG = 20_000
_MAX_TEXT = 2_000
_PERCENT = re.compile(r"(\d{1,3})%\|")


def prediction(record: Mapping[str, Any]) -> Prediction:
    """Return what `record` says; an unknown status counts as still running, so that nothing paid for is given up."""
    status = record.get("status")
    known: Any = status if status in _STATUSES else "processing"
    kind, sentence = explain(known, record.get("error"))
    metrics, urls = _mapping(record.get("metrics")), _mapping(record.get("urls"))
    logs = _text(record.get("logs"))
    return Prediction(
        status=known,
        id=_text(record.get("id")) or None,
        outputs=tuple(_outputs(record.get("output"))),
        error=sentence,
        error_kind=kind,
        progress=1.0 if known == "succeeded" else _progress(logs),
        logs=logs[-MAX_LOG:],
        predict_seconds=_seconds(metrics.get("predict_time")),
        created_at=_text(record.get("created_at")) or None,
        started_at=_text(record.get("started_at")) or None,
        completed_at=_text(record.get("completed_at")) or None,
        web_url=_text(urls.get("web")) or None,
        expired=bool(record.get("data_removed")),
        raw=slim(record),
    )


def past(record: Mapping[str, Any]) -> Past:
    """Return what `record` says of a prediction that this program need not have made."""
    model = _text(record.get("model"))
    return Past(prediction(record), (model, f"{model}:{_text(record.get('version'))}"), _mapping(record.get("input")))


def _outputs(value: Any) -> Iterator[str]:
    """Yield the addresses in an output: a string, a list (also short, or with gaps), an object of these, or nothing."""
    if isinstance(value, str):
        if value.startswith(("https://", "http://", "data:")):
            yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _outputs(part)
    elif isinstance(value, list):
        for part in value:
            yield from _outputs(part)


def slim(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return `record` without what is stored elsewhere: logs, and the bytes inside data URIs."""
    return {key: _short(value) for key, value in record.items() if key != "logs"}


def _short(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("data:") and len(value) > 100:
        return f"{value[:40]}… ({len(value)} characters)"
    if isinstance(value, Mapping):
        return {str(key): _short(part) for key, part in value.items()}
    return [_short(part) for part in value] if isinstance(value, list) else value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and 0 <= value < 1e9 else None


def _progress(logs: str) -> float | None:
    """Return the share done as the last progress bar in `logs` has it (tqdm writes ` 45%|####`)."""
    found = _PERCENT.findall(logs[-MAX_LOG:])
    return min(int(found[-1]), 100) / 100 if found else None


# -- why it failed -------------------------------------------------------------------------------------------------------

#: What a failed prediction's text contains, the kind of failure that it is, and the sentence: what happened and what to do.
_FAILURES: tuple[tuple[re.Pattern[str], str, Said], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, sentence)
    for pattern, kind, sentence in (
        (
            r"nsfw|flagged as sensitive|E005|safety (?:filter|checker|system)|content (?:policy|moderation)|moderation",
            "nsfw",
            said(
                "The model's safety filter refused this prompt or image. Say it differently or use another image; "
                "the same request will be refused again."
            ),
        ),
        (
            r"prediction interrupted|code: PA\b|E8367|E8765|E98\d\d|E9243|E6716|unexpected error handling prediction",
            "interrupted",
            said("Replicate interrupted the run. Try it again as it is."),
        ),
        (
            r"high demand|E003|E004|temporarily unavailable|overloaded|rate limit|too many requests",
            "rate limit",
            said("The model is overloaded at the moment. Try again in a few minutes, or take another model."),
        ),
        (
            r"out of memory|E1001",
            "memory",
            said("The model ran out of memory. Choose a lower resolution, a shorter clip or smaller input images."),
        ),
        (
            r"timed? ?out|deadline",
            "timeout",
            said("The run took longer than is allowed. Try again, with a shorter or smaller result."),
        ),
        (
            r"E006|invalid input|input validation|cannot identify image|unsupported (?:image|file)|must be (?:one of|a valid)",
            "invalid input",
            said("The model could not use this input. Check the images and the parameters."),
        ),
    )
)
_CRASHED = said("The model failed. Try again, or take another model.")
_SILENT = said("The model failed. Try again, or take another model. (Replicate gave no reason)")


def explain(status: str, error: Any) -> tuple[str | None, Said | None]:
    """Return the kind and the sentence for how a prediction ended; (None, None) where nothing is wrong."""
    if status == "aborted":
        return "aborted", said("Replicate gave up before the model started, so it was not billed. Try again later.")
    if status == "canceled":
        return "canceled", said("The run was canceled at Replicate. What had run by then may have been billed.")
    if status != "failed":
        return None, None
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, default=str) if error else ""
    text = " ".join(text.split())[:_MAX_TEXT]
    for pattern, kind, sentence in _FAILURES:
        if pattern.search(text):
            return kind, quoting(sentence, text)
    return "crash", quoting(_CRASHED, text) if text else _SILENT


def quoting(sentence: Said, text: str) -> Said:
    """Return a sentence of ours with what Replicate itself said."""
    return said("{sentence} (Replicate: {quoted})", sentence=sentence, quoted=text)
