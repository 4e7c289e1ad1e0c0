"""How each field that the index keeps is read from a sidecar: with care, for a key may hold anything; pure, and total.

The table is `fields`; what only charts ask for is read by `charted`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from opstore.providers.old_failures import error_kind
from opstore.storage.names import EXTENSIONS, FileName, is_operation_id, own_name, parse_name
from opstore.storage.operation import model_of, pixels_of, seed_of

Sidecar = Mapping[str, Any]

#: What is kept of a name (type, model, tag, …): longer ones are cut.
MAX_NAME = 200
MAX_LIST = 100
MAX_NOTE = 10_000
#: Money and confidences are kept in millionths, times in milliseconds: whole numbers take half the room of doubles.
MILLION, THOUSAND = 1_000_000, 1_000
_NUMBERS = (int, float)


class Source:
    """A sidecar that is read, with what several fields are told by: the id, the main output's name, and how it ended."""

    __slots__ = ("id", "output", "sidecar", "status")

    def __init__(self, sidecar: Sidecar, operation_id: str) -> None:
        """Look for the main output first."""
        self.sidecar = sidecar
        self.id = operation_id
        self.output = _output(sidecar, operation_id)
        self.status = _status(sidecar, self.output is not None)


#: What reads a field that the index keeps.
Reader = Callable[[Source], Any]


# -- what the index keeps ------------------------------------------------------------------------------------------------


def type_of(source: Source) -> str:
    """Return the type, `unknown` if none is said."""
    return _name(source.sidecar.get("operationType")) or "unknown"


def name_at(key: str) -> Reader:
    """Return what reads a name that stands under a key."""
    return lambda source: _name(source.sidecar.get(key))


def thousandths_at(key: str) -> Reader:
    """Return what reads a number that stands under a key, in thousandths."""
    return lambda source: _whole(source.sidecar.get(key), THOUSAND)


def model_name(source: Source) -> str | None:
    """Return the model that made the main output."""
    return _name(model_of(source.sidecar))


def count_of_inputs(source: Source) -> int:
    """Return how many inputs there are: as it is said, else as many as are named."""
    count = source.sidecar.get("inputCount")
    if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 1000:
        return count
    files = source.sidecar.get("inputFiles")
    return len({name for name in files if own_name(name, source.id)}) if isinstance(files, list) else 0


def rating_of(source: Source) -> int | None:
    """Return the stars, 1 to 5."""
    value = source.sidecar.get("annotations")
    rating = value.get("rating") if isinstance(value, dict) else None
    return None if isinstance(rating, bool) or not isinstance(rating, int) or not 1 <= rating <= 5 else rating


def is_favorite(source: Source) -> bool:
    """Say whether it is a favourite."""
    value = source.sidecar.get("annotations")
    return isinstance(value, dict) and value.get("favorite") is True


def tags_of(source: Source) -> tuple[str, ...]:
    """Return the tags, tidied, in the order of the alphabet."""
    value = source.sidecar.get("annotations")
    tags = value.get("tags") if isinstance(value, dict) else None
    if not tags or not isinstance(tags, list):
        return ()
    names = {" ".join(tag.split())[:MAX_NAME] for tag in tags if isinstance(tag, str)}
    return tuple(sorted(names - {""})[:MAX_LIST])


def note_of(source: Source) -> str | None:
    """Return the note."""
    value = source.sidecar.get("annotations")
    note = value.get("note") if isinstance(value, dict) else None
    return note[:MAX_NOTE] if isinstance(note, str) and note.strip() else None


def parents_of(source: Source) -> tuple[str, ...]:
    """Return the declared parents."""
    value = source.sidecar.get("parents")
    if not value or not isinstance(value, list):
        return ()
    return tuple(sorted({name for name in value if is_operation_id(name)})[:MAX_LIST])


def cost_of(source: Source) -> int | None:
    """Return what it cost, in millionths."""
    value = source.sidecar.get("cost")
    return _whole(value.get("amount"), MILLION) if isinstance(value, dict) else None


def currency_of(source: Source) -> str | None:
    """Return the currency of a cost."""
    value = source.sidecar.get("cost")
    return _name(value.get("currency")) if isinstance(value, dict) and _whole(value.get("amount"), MILLION) is not None else None


def error_of(source: Source) -> str | None:
    """Return the cause under which a failure counts."""
    if source.status in ("stored", "result missing"):
        return None
    error = source.sidecar.get("error")
    return _name(source.sidecar.get("errorKind")) or error_kind(error if isinstance(error, str) else None, source.status)


def confidence_of(source: Source) -> int | None:
    """Return how sure the analysis was: today's place, the one inside the analysis, and the original backend's."""
    analysis, parameters = source.sidecar.get("workflowAnalysis"), source.sidecar.get("parameters")
    for place in (analysis, analysis.get("analysis") if isinstance(analysis, dict) else None, parameters):
        value = _whole(place.get("confidence"), MILLION) if isinstance(place, dict) else None
        if value is not None:
            return value
    return None


def inputs_hash(source: Source) -> int | None:
    """Return a number for the inputs, the same for the same bytes in the same order; None if none have hashes."""
    files = source.sidecar.get("files")
    entries = files if isinstance(files, list) else []
    hashes = [entry.get("sha256") for entry in entries if isinstance(entry, dict) and entry.get("role") == "input"]
    if not hashes or not all(isinstance(value, str) for value in hashes):
        return None
    return int.from_bytes(blake2b(" ".join(map(str, hashes)).encode(), digest_size=6).digest())


def is_overridden(source: Source) -> bool:
    """Say whether a person chose another workflow than the one that was proposed."""
    analysis = source.sidecar.get("workflowAnalysis")
    return isinstance(analysis, dict) and isinstance(analysis.get("overriddenTo"), str)


def used_seed(source: Source) -> int | None:
    """Return the seed."""
    return seed_of(source.sidecar)


def size_of(source: Source) -> str | None:
    """Return the main output's size in pixels: 1024x768."""
    width, height = pixels_of(source.sidecar, source.output)
    return f"{width}x{height}" if width and height else None


def _output(sidecar: Sidecar, operation_id: str) -> str | None:
    value = sidecar.get("outputFile")
    if isinstance(value, str) and is_made(value, operation_id):
        return value
    files = sidecar.get("files")
    for entry in files if isinstance(files, list) else ():
        name = entry.get("name") if isinstance(entry, dict) and entry.get("role") == "output" else None
        if isinstance(name, str) and is_made(name, operation_id):
            return name
    return None


def is_made(name: str, operation_id: str) -> bool:
    """Say whether a file of the operation is called an output: what is called an input is none, whoever says so."""
    code = output_code(name, operation_id)
    return code is not None and not code % 2


def _status(sidecar: Mapping[str, Any], has_output: bool) -> str:
    """Return `Operation.status`."""
    if sidecar.get("success") is True and not sidecar.get("error"):
        return "stored" if has_output else "result missing"
    status = sidecar.get("status")
    return status if isinstance(status, str) and status in ("canceled", "aborted", "expired", "unknown") else "failed"


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
