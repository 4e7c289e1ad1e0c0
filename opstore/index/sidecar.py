"""How each field is read from a sidecar: with care, for a key may hold anything; pure, and total. The table is `fields`.

What the index keeps is read of a `Source`; what only charts ask for, of the sidecar and of what the index keeps of it: what a
sidecar does not say, or says in a way that cannot be one, is missing there; nothing is ever made up, not even a zero.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Protocol

from opstore.index.prompts import prompt_key
from opstore.providers.old_failures import error_kind
from opstore.storage.names import EXTENSIONS, FileName, is_operation_id, is_video, own_name, parse_name, time_of
from opstore.storage.operation import model_of, parse_time, pixels_of, seed_of

Sidecar = Mapping[str, Any]

#: What is kept of a name (type, model, tag, …): longer ones are cut.
MAX_NAME = 200
MAX_LIST = 100
MAX_NOTE = 10_000
#: Money and confidences are kept in millionths, times in milliseconds: whole numbers take half the room of doubles.
MILLION, THOUSAND = 1_000_000, 1_000
_NUMBERS = (int, float)
#: Parameters that are another one each time, or texts of their own: they say nothing when counted.
_UNCOUNTED = ("seed", "prompt", "originalPrompt", "optimizedPrompt", "negativePrompt", "confidence")
MAX_PARAMETERS, MAX_TEXT = 40, 60


class Source:
    """A sidecar that is read, with what several fields are told by: the id, the main output's name, and how it ended."""

    __slots__ = ("id", "output", "sidecar", "status")

    def __init__(self, sidecar: Sidecar, operation_id: str) -> None:
        """Look for the main output first."""
        self.sidecar = sidecar
        self.id = operation_id
        self.output = _output(sidecar, operation_id)
        self.status = _status(sidecar, self.output is not None)


class Read(Protocol):
    """What charts know of what the index keeps."""

    @property
    def id(self) -> str:
        """The operation's id."""

    @property
    def output(self) -> str | None:
        """The main output's name."""

    @property
    def inputs(self) -> int:
        """How many inputs there are."""

    @property
    def currency(self) -> str | None:
        """The currency of a cost."""


#: What reads a field that the index keeps, and what reads one that only charts ask for.
Reader = Callable[[Source], Any]
ChartReader = Callable[[Sidecar, Read], Any]


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


# -- what charts ask for -------------------------------------------------------------------------------------------------


def moment(sidecar: Sidecar, entry: Read) -> datetime | None:
    """Return when it was asked for."""
    return parse_time(sidecar.get("timestamp")) or time_of(entry.id)


def text_at(key: str) -> ChartReader:
    """Return what reads a text that stands under a key."""
    return lambda sidecar, entry: _text(sidecar.get(key))


def flag_at(key: str) -> ChartReader:
    """Return what reads a yes or no that stands under a key."""
    return lambda sidecar, entry: _flag(sidecar.get(key))


def number_at(key: str) -> ChartReader:
    """Return what reads a number that stands under a key."""
    return lambda sidecar, entry: _number(sidecar.get(key))


def bytes_of(role: str) -> ChartReader:
    """Return what adds up the sizes of the files of a role."""
    return lambda sidecar, entry: _bytes(sidecar, role)


def key_of_prompt(sidecar: Sidecar, entry: Read) -> int | None:
    """Return the number that the same prompts share."""
    prompt = _text(sidecar.get("prompt"))
    return None if prompt is None else prompt_key(prompt)


def amount(sidecar: Sidecar, entry: Read) -> float | None:
    """Return what it cost."""
    return _number(_mapping(sidecar.get("cost")).get("amount"))


def currency(sidecar: Sidecar, entry: Read) -> str | None:
    """Return the currency of a cost that can be one."""
    cost = _mapping(sidecar.get("cost"))
    return None if _number(cost.get("amount")) is None else entry.currency or _text(cost.get("currency")) or None


def is_estimated(sidecar: Sidecar, entry: Read) -> bool | None:
    """Say whether a cost is an estimate."""
    cost = _mapping(sidecar.get("cost"))
    return None if _number(cost.get("amount")) is None else _flag(cost.get("estimated"))


def width(sidecar: Sidecar, entry: Read) -> int | None:
    """Return the main output's width."""
    return pixels_of(sidecar, entry.output)[0]


def height(sidecar: Sidecar, entry: Read) -> int | None:
    """Return the main output's height."""
    return pixels_of(sidecar, entry.output)[1]


def favorite(sidecar: Sidecar, entry: Read) -> bool | None:
    """Say whether it is a favourite, None if nobody said."""
    return _flag(_mapping(sidecar.get("annotations")).get("favorite"))


def note(sidecar: Sidecar, entry: Read) -> str | None:
    """Return the note."""
    return _text(_mapping(sidecar.get("annotations")).get("note")) or None


def seed(sidecar: Sidecar, entry: Read) -> str | None:
    """Return the seed that was used."""
    found = seed_of(sidecar)
    return None if found is None else str(found)


def input_count(sidecar: Sidecar, entry: Read) -> int | None:
    """Return how many inputs are said, or named."""
    count = sidecar.get("inputCount")
    said = isinstance(count, int) and not isinstance(count, bool) and count == entry.inputs
    return entry.inputs if said or isinstance(sidecar.get("inputFiles"), list) else None


def output_count(sidecar: Sidecar, entry: Read) -> int:
    """Return how many results are named."""
    named = [sidecar.get("outputFile"), *(item.get("name") for item in _files(sidecar) if item.get("role") == "output")]
    return len({name for name in named if isinstance(name, str) and own_name(name, entry.id)})


def media(sidecar: Sidecar, entry: Read) -> str | None:
    """Return what the main output is, by its name."""
    if entry.output is None:
        return None
    return "video" if is_video(entry.output) else "image"


def predicted(sidecar: Sidecar, entry: Read) -> float | None:
    """Return the computing time of all steps that say it."""
    found = [_number(step.get("predictSeconds")) for step in _list(sidecar.get("steps")) if isinstance(step, Mapping)]
    said = [seconds for seconds in found if seconds is not None]
    return math.fsum(said) if said else None


def workflow(sidecar: Sidecar, entry: Read) -> str | None:
    """Return the proposed type: in the specification's place, or in the original backend's, one level further down."""
    analysis = _mapping(sidecar.get("workflowAnalysis"))
    for place in (analysis, _mapping(analysis.get("analysis"))):
        name = _text(_mapping(place.get("workflow")).get("id")) or _text(place.get("workflowId"))
        if name:
            return name[:200]
    return None


def confidence(sidecar: Sidecar, entry: Read) -> float | None:
    """Return how sure the analysis was, 0 to 1."""
    analysis = _mapping(sidecar.get("workflowAnalysis"))
    places = (analysis, _mapping(analysis.get("analysis")), _mapping(sidecar.get("parameters")))
    found = (_number(place.get("confidence")) for place in places)
    return next((value for value in found if value is not None and value <= 1), None)


def overridden(sidecar: Sidecar, entry: Read) -> bool | None:
    """Say whether somebody chose another type than the proposed one."""
    chosen, proposed = _text(_mapping(sidecar.get("workflowAnalysis")).get("overriddenTo")), workflow(sidecar, entry)
    if chosen:
        return chosen != proposed
    return False if proposed else None


def parameters(sidecar: Sidecar, entry: Read) -> str | None:
    """Return the parameters that can be counted, as one text that is the same for the same ones."""
    value = sidecar.get("parameters")
    if not isinstance(value, Mapping):
        return None
    kept = {name: _plain(item) for name, item in value.items() if name not in _UNCOUNTED and _counts(item)}
    names = sorted(kept)[:MAX_PARAMETERS]
    return json.dumps({name[:MAX_TEXT]: kept[name] for name in names}, ensure_ascii=False, separators=(",", ":"))


def _number(value: object) -> float | None:
    """Return a stored number that is 0 or more, None for anything else; money and times have no others."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _files(sidecar: Sidecar) -> list[Mapping[str, Any]]:
    return [item for item in _list(sidecar.get("files")) if isinstance(item, Mapping)]


def _bytes(sidecar: Sidecar, role: str) -> int | None:
    sizes = [_size(item.get("bytes")) for item in _files(sidecar) if item.get("role") == role]
    said = [size for size in sizes if size is not None]
    return min(sum(said), 2**53) if said else None


def _plain(value: Any) -> Any:
    """Return a whole number as one: 95.0 is 95."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _counts(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= MAX_TEXT
    return isinstance(value, bool | int | float)
