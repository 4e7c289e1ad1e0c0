"""What the index keeps of an operation: read from a sidecar's bytes, as `Operation` would show it, whatever is in them.

A million sidecars are read at the first build, so this is the fast twin of `operation.decode` and `Operation.of`: where the bytes
leave any doubt the slow ones decide. `tests/test_index.py` holds the two against each other.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from opstore.errors import DamagedOperation
from opstore.errors.old import error_kind
from opstore.index.contents import codes_of
from opstore.index.order import moment_of
from opstore.names import EXTENSIONS, FileName, is_operation_id, own_name, parse_name
from opstore.operation import MAX_DEPTH, MAX_SIDECAR_BYTES, decode, model_of, pixels_of, seed_of

#: What is kept of a prompt, for the tile and for words; the sidecar has all of it.
MAX_PROMPT = 10_000
#: What is kept of a name (type, model, tag, …): longer ones are cut.
MAX_NAME = 200
MAX_LIST = 100
#: Money and confidences are kept in millionths, times in milliseconds: whole numbers take half the room of doubles.
MILLION, THOUSAND = 1_000_000, 1_000
_NUMBERS = (int, float)


class Entry(msgspec.Struct, frozen=True, gc=False, array_like=True, tag_field="record", tag="entry"):
    """What the index keeps of one operation. `cost` and `confidence` are millionths, `elapsed` milliseconds.

    `source` is a number for the inputs, the same for the same bytes in the same order; None where there are none or no hashes.
    `size` is the main output's in pixels: 1024x768.
    `contents` are codes of what its files hold (`contents`), which the rows themselves do not keep: none in an entry of a row.
    """

    id: str
    type: str
    status: str
    prompt: str
    model: str | None
    provider: str | None
    output: str | None
    inputs: int
    rating: int | None
    favorite: bool
    tags: tuple[str, ...]
    batch: str | None
    parents: tuple[str, ...]
    elapsed: int | None
    cost: int | None
    currency: str | None
    error: str | None
    confidence: int | None
    source: int | None
    overridden: bool
    note: str | None = None
    seed: int | None = None
    size: str | None = None
    contents: tuple[int, ...] = ()


class Row(msgspec.Struct, frozen=True, gc=False):
    """What a tile shows of an operation, without a look at its files. `moment` is the time in the id, UTC."""

    id: str
    moment: datetime
    type: str
    status: str
    prompt: str
    model: str | None
    provider: str | None
    output: str | None
    inputs: int
    rating: int | None
    favorite: bool
    tags: tuple[str, ...]
    batch_id: str | None
    parents: tuple[str, ...]
    elapsed: float | None
    cost: float | None
    currency: str | None
    error_kind: str | None
    confidence: float | None
    overridden: bool
    note: str | None = None
    seed: int | None = None
    size: str | None = None

    @classmethod
    def of(cls, entry: Entry) -> Row:
        """Return the row of an entry."""
        return cls(
            id=entry.id,
            moment=moment_of(entry.id),
            type=entry.type,
            status=entry.status,
            prompt=entry.prompt,
            model=entry.model,
            provider=entry.provider,
            output=entry.output,
            inputs=entry.inputs,
            rating=entry.rating,
            favorite=entry.favorite,
            tags=entry.tags,
            batch_id=entry.batch,
            parents=entry.parents,
            elapsed=None if entry.elapsed is None else entry.elapsed / THOUSAND,
            cost=None if entry.cost is None else entry.cost / MILLION,
            currency=entry.currency,
            error_kind=entry.error,
            confidence=None if entry.confidence is None else entry.confidence / MILLION,
            overridden=entry.overridden,
            note=entry.note,
            seed=entry.seed,
            size=entry.size,
        )


# -- bytes to a sidecar --------------------------------------------------------------------------------------------------


_FAST = msgspec.json.Decoder()
#: Whole numbers of 19 digits and more may be too large; a look at the bytes costs less than a look at each number.
_DIGITS, _LONG = bytes.maketrans(b"123456789", b"000000000"), b"0" * 19


def sidecar_of(data: bytes, operation_id: str) -> dict[str, Any]:
    """Return what `operation.decode` returns, or raise what it raises, at a fifth of its cost for ordinary sidecars."""
    # Brackets may nest too deeply: the careful way looks. What else it refuses (half a character, no number), the fast one does.
    if len(data) < MAX_SIDECAR_BYTES and _LONG not in data.translate(_DIGITS):
        try:
            if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
                sidecar = _FAST.decode(data)
                if isinstance(sidecar, dict) and sidecar.get("operationId") == operation_id:
                    return sidecar
        except ValueError:
            pass
    return decode(data, operation_id)


def read_entry(data: bytes, operation_id: str) -> Entry | DamagedOperation:
    """Return what the index keeps of a sidecar, or why it cannot be read."""
    try:
        return entry_of(sidecar_of(data, operation_id), operation_id)
    except DamagedOperation as error:
        return error


# -- a sidecar to an entry -----------------------------------------------------------------------------------------------


def entry_of(sidecar: Mapping[str, Any], operation_id: str) -> Entry:
    """Return what the index keeps of a decoded sidecar."""
    output = _output(sidecar, operation_id)
    status = _status(sidecar, output is not None)
    rating, favorite, tags = _annotations(sidecar.get("annotations"))
    amount, currency = _cost(sidecar.get("cost"))
    parents = sidecar.get("parents")
    prompt = sidecar.get("prompt")
    return Entry(
        id=operation_id,
        type=_name(sidecar.get("operationType")) or "unknown",
        status=status,
        prompt=prompt[:MAX_PROMPT] if isinstance(prompt, str) else "",
        model=_name(model_of(sidecar)),
        provider=_name(sidecar.get("provider")),
        output=output,
        inputs=_inputs(sidecar, operation_id),
        rating=rating,
        favorite=favorite,
        tags=tags,
        batch=_name(sidecar.get("batchId")),
        parents=_parents(parents) if parents else (),
        elapsed=_whole(sidecar.get("elapsedSeconds"), THOUSAND),
        cost=amount,
        currency=currency,
        error=_error(sidecar, status),
        confidence=_confidence(sidecar),
        source=_source(sidecar),
        overridden=_overridden(sidecar.get("workflowAnalysis")),
        note=_note(sidecar.get("annotations")),
        seed=seed_of(sidecar),
        size=_size(sidecar, output),
        contents=codes_of(sidecar),
    )


def _output(sidecar: Mapping[str, Any], operation_id: str) -> str | None:
    value = sidecar.get("outputFile")
    if isinstance(value, str) and output_code(value, operation_id) is not None:
        return value
    files = sidecar.get("files")
    for entry in files if isinstance(files, list) else ():
        name = entry.get("name") if isinstance(entry, dict) and entry.get("role") == "output" else None
        if isinstance(name, str) and output_code(name, operation_id) is not None:
            return name
    return None


def _status(sidecar: Mapping[str, Any], has_output: bool) -> str:
    """Return `Operation.status`."""
    if sidecar.get("success") is True and not sidecar.get("error"):
        return "stored" if has_output else "result missing"
    status = sidecar.get("status")
    return status if isinstance(status, str) and status in ("canceled", "aborted", "expired", "unknown") else "failed"


def _error(sidecar: Mapping[str, Any], status: str) -> str | None:
    if status in ("stored", "result missing"):
        return None
    error = sidecar.get("error")
    return _name(sidecar.get("errorKind")) or error_kind(error if isinstance(error, str) else None, status)


def _inputs(sidecar: Mapping[str, Any], operation_id: str) -> int:
    count = sidecar.get("inputCount")
    if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 1000:
        return count
    files = sidecar.get("inputFiles")
    return len({name for name in files if own_name(name, operation_id)}) if isinstance(files, list) else 0


def _annotations(value: object) -> tuple[int | None, bool, tuple[str, ...]]:
    if not isinstance(value, dict):
        return None, False, ()
    rating, tags = value.get("rating"), value.get("tags")
    if isinstance(rating, bool) or not isinstance(rating, int) or not 1 <= rating <= 5:
        rating = None
    return rating, value.get("favorite") is True, _tags(tags) if tags and isinstance(tags, list) else ()


def _note(value: object) -> str | None:
    note = value.get("note") if isinstance(value, dict) else None
    return note[:MAX_PROMPT] if isinstance(note, str) and note.strip() else None


def _size(sidecar: Mapping[str, Any], output: str | None) -> str | None:
    width, height = pixels_of(sidecar, output)
    return f"{width}x{height}" if width and height else None


def _tags(tags: list[Any]) -> tuple[str, ...]:
    names = {" ".join(tag.split())[:MAX_NAME] for tag in tags if isinstance(tag, str)}
    return tuple(sorted(names - {""})[:MAX_LIST])


def _cost(value: object) -> tuple[int | None, str | None]:
    if not isinstance(value, dict):
        return None, None
    amount = _whole(value.get("amount"), MILLION)
    return amount, None if amount is None else _name(value.get("currency"))


def _parents(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else []
    return tuple(sorted({name for name in names if is_operation_id(name)})[:MAX_LIST])


def _source(sidecar: Mapping[str, Any]) -> int | None:
    files = sidecar.get("files")
    entries = files if isinstance(files, list) else []
    hashes = [entry.get("sha256") for entry in entries if isinstance(entry, dict) and entry.get("role") == "input"]
    if not hashes or not all(isinstance(value, str) for value in hashes):
        return None
    return int.from_bytes(blake2b(" ".join(map(str, hashes)).encode(), digest_size=6).digest())


def _overridden(analysis: object) -> bool:
    """Say whether a person chose another workflow than the one that was proposed."""
    return isinstance(analysis, dict) and isinstance(analysis.get("overriddenTo"), str)


def _confidence(sidecar: Mapping[str, Any]) -> int | None:
    """Return how sure the analysis was: today's place, the one inside the analysis, and the original backend's."""
    analysis, parameters = sidecar.get("workflowAnalysis"), sidecar.get("parameters")
    for place in (analysis, analysis.get("analysis") if isinstance(analysis, dict) else None, parameters):
        value = _whole(place.get("confidence"), MILLION) if isinstance(place, dict) else None
        if value is not None:
            return value
    return None


def _name(value: object) -> str | None:
    return value[:MAX_NAME] if isinstance(value, str) and value else None


def _whole(value: object, unit: int) -> int | None:
    if value is None or isinstance(value, bool) or not isinstance(value, _NUMBERS) or not -1e9 < value < 1e9:
        return None
    return round(value * unit)


# -- an output's name as a number ----------------------------------------------------------------------------------------


def output_code(name: str | None, operation_id: str) -> int | None:
    """Return a number for a file name of the operation: one byte instead of thirty; None for what is none."""
    return None if name is None or not name.startswith(operation_id) else _code_of(name[len(operation_id) :])


@functools.lru_cache(maxsize=1_000)  # there are few: 3 µs the first time
def _code_of(ending: str) -> int | None:
    parts = parse_name(f"20200101000000_00000000{ending}")
    if parts is None or parts.role == "sidecar":
        return None
    return ((parts.number or 0) * 8 + EXTENSIONS.index(parts.extension)) * 2 + (parts.role == "input")


def output_of(code: int | None, operation_id: str) -> str | None:
    """Return the file name that `output_code` made a number of."""
    if code is None:
        return None
    number, extension = divmod(code // 2, 8)
    return str(FileName(operation_id, "input" if code % 2 else "output", number or None, EXTENSIONS[extension]))
