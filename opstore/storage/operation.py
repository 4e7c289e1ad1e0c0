"""What an operation is: the table of types, the sidecar codec, and one tolerant view that never breaks on what is stored.

A sidecar is UTF-8 JSON: the storage specification's 13 keys first and in its order, then opstore's own, then whatever else was
there. What `encode` accepts `decode` gives back equal, and keys that nobody here knows survive every rewrite in place.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from opstore.errors import DamagedOperation, InvalidMetadata, InvalidRequest, said, shown
from opstore.errors.failure import error_of
from opstore.storage.names import check_operation_id, own_name, time_of

SCHEMA = "opstore/1"

#: The specification's keys, in its order.
SPECIFIED = (
    "operationId",
    "timestamp",
    "operationType",
    "prompt",
    "parameters",
    "inputCount",
    "inputFiles",
    "outputFile",
    "resultUrl",
    "workflowAnalysis",
    "error",
    "success",
    "duration",
)
#: opstore's own keys, in the order they are written.
ADDED = (
    "schema",
    "status",
    "provider",
    "model",
    "steps",
    "files",
    "completedAt",
    "elapsedSeconds",
    "cost",
    "parents",
    "batchId",
    "annotations",
)

#: A sidecar of 500 steps and 10 kB of prompt has 0.3 MB; more than this is not a sidecar.
MAX_SIDECAR_BYTES = 4 * 1024 * 1024
#: Python's own JSON parser gives up at about 1,000 levels with RecursionError; nothing real is deeper than a dozen.
MAX_DEPTH = 100
#: Seeds have at most 64 bits, wherever pictures are made.
MAX_SEED = 2**64 - 1
_SEED = re.compile("[0-9]{1,20}")
#: The largest double has 309 digits: beyond, no other reader of the file could hold the number.
MAX_INTEGER_BITS = 1024


# -- types ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OperationType:
    """One row of the table of operation types: how many input images it takes and what it makes."""

    name: str
    minimum: int
    maximum: int
    result: Literal["image", "video"]

    @property
    def extension(self) -> str:
        """Return the extension for a result whose bytes do not tell: the specification's table, chains ending as video."""
        return "mp4" if self.result == "video" and self.name != "edit_then_video" else "jpg"

    def check_count(self, count: int) -> None:
        """Raise InvalidRequest unless `count` input images fit this type."""
        if self.minimum <= count <= self.maximum:
            return
        fixed = self.minimum == self.maximum
        wanted = str(self.minimum) if fixed else said("{minimum} to {maximum}", minimum=self.minimum, maximum=self.maximum)
        reason = said("number of images for {type}: {wanted}; given: {count}", type=self.name, wanted=wanted, count=count)
        raise InvalidRequest(reason=reason)


#: The one table of operation types (specification, "Types d'opérations").
OPERATION_TYPES: Mapping[str, OperationType] = MappingProxyType(
    {
        row.name: row
        for row in (
            OperationType("text_to_image", 0, 0, "image"),
            OperationType("image_edit_single", 1, 1, "image"),
            OperationType("image_edit_multiple", 2, 5, "image"),
            OperationType("text_to_video", 0, 0, "video"),
            OperationType("image_to_video_single", 1, 1, "video"),
            OperationType("image_to_video_transition", 2, 2, "video"),
            OperationType("edit_then_video", 1, 5, "video"),
        )
    }
)
#: Those that a provider makes in one step: `workflows` splits the others.
STEP_TYPES = tuple(name for name in OPERATION_TYPES if name != "edit_then_video")
#: More images than this no type takes.
MOST_IMAGES = max(row.maximum for row in OPERATION_TYPES.values())


def fallback_extension(operation_type: str) -> str:
    """Return the extension of a result of `operation_type` (any string) whose bytes do not say what they are."""
    row = OPERATION_TYPES.get(operation_type) if isinstance(operation_type, str) else None
    return row.extension if row else "jpg"


# -- the codec -----------------------------------------------------------------------------------------------------------


def timestamp(moment: datetime) -> str:
    """Return `moment` as the specification writes it: ISO 8601 in UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(value: object) -> datetime | None:
    """Return an ISO 8601 string as an aware time in UTC, or None for anything else; without a zone it is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def plain(value: object) -> Any:
    """Return a deep copy of `value` in plain JSON types; raise InvalidMetadata naming the place that JSON cannot hold."""
    return _plain(value, "", 0)


def _plain(value: object, place: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise InvalidMetadata(reason=said("it is nested more than {count} levels deep", count=MAX_DEPTH))
    if isinstance(value, Mapping):
        return {_text(key, place or "a key"): _plain(item, _below(place, key), depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{number}]", depth + 1) for number, item in enumerate(value)]
    return _scalar(value, place or "the value")


def _below(place: str, key: object) -> str:
    return f"{place}.{key}"[-80:].lstrip(".") if isinstance(key, str) and key.isprintable() else place


def _scalar(value: object, place: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, place)
    if isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise InvalidMetadata(reason=said("the number at {place} has too many digits; store it as text", place=place))
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            reason = said("the number at {place} is {value}, which JSON does not have; use null", place=place, value=str(value))
            raise InvalidMetadata(reason=reason)
        return float(value)
    raise InvalidMetadata(
        reason=said(
            "{place} is a {kind}; use text, numbers, true, false, null, lists or objects",
            place=shown(place),
            kind=type(value).__name__,
        )
    )


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        reason = said("{place} has a {kind} as a key; use text", place=shown(place), kind=type(value).__name__)
        raise InvalidMetadata(reason=reason)
    text = str.__str__(value)  # what it holds, not what a subclass (an Enum's member) makes of itself
    try:
        text.encode()
    except UnicodeEncodeError:
        reason = said("the text at {place} holds half a character (a lone surrogate)", place=shown(place))
        raise InvalidMetadata(reason=reason) from None
    return text


def encode(sidecar: Mapping[str, Any]) -> bytes:
    """Return a sidecar's bytes, keys in the order given; raise InvalidMetadata for what JSON cannot hold or what is too large."""
    data = json.dumps(plain(sidecar), ensure_ascii=False, allow_nan=False, indent=2).encode() + b"\n"
    if len(data) > MAX_SIDECAR_BYTES:
        size, limit = f"{len(data) / 1e6:.1f}", f"{MAX_SIDECAR_BYTES / 1e6:.1f}"
        reason = said("it has {megabytes} MB; at most {limit} MB fit. Shorten it", megabytes=size, limit=limit)
        raise InvalidMetadata(reason=reason)
    return data


def decode(data: bytes, operation_id: str) -> dict[str, Any]:
    """Return the sidecar of `operation_id` from its bytes; raise DamagedOperation for anything that is not whole and its own.

    Its detail `problem` is the kind under which `verify` lists it: `mismatch` where it is whole, and another operation's.
    """

    def damaged(reason: str) -> DamagedOperation:
        return DamagedOperation(operation_id=operation_id, reason=reason, problem="unparsable")

    if len(data) > MAX_SIDECAR_BYTES:
        raise damaged(said("it is too large"))
    try:
        sidecar = json.loads(data)
        plain(sidecar)
    except RecursionError:
        raise damaged(said("it is nested too deeply")) from None
    except InvalidMetadata as error:
        raise damaged(error.details["reason"]) from None
    except ValueError:  # JSONDecodeError, UnicodeDecodeError, and int() on more than 4,300 digits
        raise damaged(said("it is not complete and valid JSON")) from None
    if not isinstance(sidecar, dict):
        raise damaged(said("it is not a JSON object"))
    if sidecar.get("operationId") != operation_id:
        reason = said("it names another operation than its file name does")
        raise DamagedOperation(operation_id=operation_id, reason=reason, problem="mismatch")
    return sidecar


# -- writing -------------------------------------------------------------------------------------------------------------

_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "timestamp": ((str,), said("an ISO 8601 time")),
    "operationType": ((str,), said("text")),
    "prompt": ((str,), said("text")),
    "parameters": ((dict,), said("an object")),
    "inputCount": ((int,), said("a whole number")),
    "inputFiles": ((list,), said("a list of file names")),
    "outputFile": ((str, type(None)), said("a file name or null")),
    "resultUrl": ((str, type(None)), said("an address or null")),
    "workflowAnalysis": ((dict, type(None)), said("an object or null")),
    "error": ((str, type(None)), said("text or null")),
    "success": ((bool,), said("true or false")),
    "duration": ((int, float, type(None)), said("seconds or null")),
}


def checked(operation_id: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return `metadata` as plain JSON types with every specified key of the right type; raise InvalidMetadata otherwise.

    File names must be the operation's own: what the grammar cannot rebuild from `operation_id` is refused.
    """
    if not isinstance(metadata, Mapping):
        raise InvalidMetadata(reason=said("it is not a mapping of keys to values"))
    sidecar: dict[str, Any] = plain(metadata)
    if sidecar.setdefault("operationId", operation_id) != operation_id:
        raise InvalidMetadata(reason=said("its operationId is not the id it is to be saved under"))
    for key, (kinds, wanted) in _TYPES.items():
        if key in sidecar and (not isinstance(sidecar[key], kinds) or (isinstance(sidecar[key], bool) and bool not in kinds)):
            raise InvalidMetadata(reason=said("{key} must be {wanted}", key=key, wanted=wanted))
    if "timestamp" in sidecar and parse_time(sidecar["timestamp"]) is None:
        raise InvalidMetadata(reason=said("timestamp must be an ISO 8601 time such as 2025-11-03T14:30:22.123Z"))
    output = sidecar.get("outputFile")
    for name in [*sidecar.get("inputFiles", ()), *(() if output is None else (output,))]:
        if own_name(name, operation_id) is None:
            raise InvalidMetadata(reason=said("{name} is not a file name of this operation", name=shown(name)))
    return sidecar


def complete(operation_id: str, metadata: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a whole new sidecar from `metadata` (as `checked` returns it): every key present, in order, unknown keys last."""
    error = metadata.get("error")
    inputs = metadata.get("inputFiles", [])
    success = metadata.get("success", error is None)
    defaults: dict[str, Any] = {
        "operationId": operation_id,
        "timestamp": timestamp(now),
        "operationType": "unknown",
        "prompt": "",
        "parameters": {},
        "inputCount": len(inputs),
        "inputFiles": inputs,
        "outputFile": None,
        "resultUrl": None,
        "workflowAnalysis": None,
        "error": error,
        "success": success,
        "duration": metadata.get("parameters", {}).get("duration"),
        "schema": SCHEMA,
        "status": "stored" if success else "failed",
        "provider": None,
        "model": None,
        "steps": [],
        "files": [],
        "completedAt": timestamp(now),
        "elapsedSeconds": None,
        "cost": None,
        "parents": [],
        "batchId": None,
        "annotations": no_annotations(),
    }
    if not isinstance(defaults["duration"], int | float) or isinstance(defaults["duration"], bool):
        defaults["duration"] = None
    return {key: metadata.get(key, default) for key, default in defaults.items()} | dict(metadata)


def no_annotations() -> dict[str, Any]:
    """Return the annotations of an operation that nobody has judged."""
    return {"tags": [], "favorite": False, "rating": None, "note": ""}


# -- reading -------------------------------------------------------------------------------------------------------------


#: How an operation can have ended: there is no other `Operation.status`.
STATUSES = ("stored", "failed", "canceled", "aborted", "expired", "unknown", "result missing")


@dataclass(frozen=True, slots=True)
class Operation:
    """One stored operation as the program looks at it; built from any sidecar, whoever wrote it, without ever failing.

    Files are only those that the name grammar grants to this operation; what is called an input is never an output.
    `moment` falls back from the timestamp to the id.
    `status` is one of STATUSES; `result missing` is an operation that says success and has no output (a failed download of the
    original backend).
    """

    id: str
    moment: datetime | None
    type: str
    prompt: str
    status: str
    error: str | None
    provider: str | None
    model: str | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    intermediates: tuple[str, ...]
    elapsed_seconds: float | None
    cost: Mapping[str, Any] | None
    parents: tuple[str, ...]
    sidecar: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, sidecar: Mapping[str, Any]) -> Operation:
        """Build the view of a decoded sidecar."""
        operation_id = check_operation_id(sidecar.get("operationId"))
        described = _described(sidecar, operation_id)
        outputs = _made([sidecar.get("outputFile"), *described["output"]], operation_id)
        cost = sidecar.get("cost")
        return cls(
            id=operation_id,
            moment=parse_time(sidecar.get("timestamp")) or time_of(operation_id),
            type=_string(sidecar.get("operationType")) or "unknown",
            prompt=_string(sidecar.get("prompt")) or "",
            status=_status(sidecar, bool(outputs)),
            error=error_of(sidecar),
            provider=_string(sidecar.get("provider")),
            model=model_of(sidecar),
            inputs=_own(_list(sidecar.get("inputFiles")), operation_id),
            outputs=outputs,
            intermediates=_made(described["intermediate"], operation_id),
            elapsed_seconds=_number(sidecar.get("elapsedSeconds")),
            cost=cost if isinstance(cost, Mapping) else None,
            parents=tuple(item for item in _list(sidecar.get("parents")) if isinstance(item, str)),
            sidecar=sidecar,
        )

    @property
    def output(self) -> str | None:
        """Return the main output's file name."""
        return self.outputs[0] if self.outputs else None

    @property
    def succeeded(self) -> bool:
        """Say whether the operation ended with a result."""
        return self.status == "stored"

    def parameters(self) -> Mapping[str, Any]:
        """Return the stored parameters, empty where they are not an object."""
        found = self.sidecar.get("parameters")
        return found if isinstance(found, Mapping) else {}


def model_of(sidecar: Mapping[str, Any]) -> str | None:
    """Return the model: the sidecar's, or in data of the original backend, which has no such key, the one that was asked for."""
    if "model" in sidecar:
        return _string(sidecar["model"])
    parameters = sidecar.get("parameters")
    return (_string(parameters.get("model")) or None) if isinstance(parameters, Mapping) else None


def seed_of(sidecar: Mapping[str, Any]) -> int | None:
    """Return the seed that was used, from 0 to MAX_SEED: also where it was written as 7.0 or "7"; None for anything else."""
    parameters = sidecar.get("parameters")
    value = parameters.get("seed") if isinstance(parameters, Mapping) else None
    if isinstance(value, str):
        value = int(value) if _SEED.fullmatch(value) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SEED
    return value if fits else None


def pixels_of(sidecar: Mapping[str, Any], name: str | None) -> tuple[int | None, int | None]:
    """Return the width and the height that a sidecar says one of its files has, None for what it does not say."""
    files = sidecar.get("files")
    for entry in files if name and isinstance(files, list) else ():
        if isinstance(entry, Mapping) and entry.get("name") == name:
            return _pixels(entry.get("width")), _pixels(entry.get("height"))
    return None, None


def _pixels(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _described(sidecar: Mapping[str, Any], operation_id: str) -> dict[str, list[object]]:
    names: dict[str, list[object]] = {"input": [], "output": [], "intermediate": []}
    for entry in _list(sidecar.get("files")):
        role = _string(entry.get("role")) if isinstance(entry, Mapping) else None
        if role in names:
            names[role].append(entry.get("name"))
    return names


def _own(values: list[object], operation_id: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str) and own_name(value, operation_id)))


def _made(values: list[object], operation_id: str) -> tuple[str, ...]:
    """Return the names of what was made: what is called an input is none, whatever a sidecar from elsewhere says."""
    named = ((name, own_name(name, operation_id)) for name in _own(values, operation_id))
    return tuple(name for name, parts in named if parts and parts.role == "output")


def _status(sidecar: Mapping[str, Any], has_output: bool) -> str:
    if sidecar.get("success") is True and not sidecar.get("error"):
        return "stored" if has_output else "result missing"
    status = _string(sidecar.get("status"))
    return status if status in ("canceled", "aborted", "expired", "unknown") else "failed"


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:  # a whole number beyond the largest double
        return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
