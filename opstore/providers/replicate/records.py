"""Reads Replicate's JSON into a Prediction, whatever shape the output has; pure, and total: no record makes it raise.

The client's own objects are not used: they refuse a prediction that was aborted, and drop `data_removed` and `deadline`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from opstore.providers import Past, Prediction, Status
from opstore.providers.replicate.failures import explain

_STATUSES: tuple[str, ...] = get_args(Status)
#: A model that writes each step to its log fills megabytes; what is shown is the end.
MAX_LOG = 20_000
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
