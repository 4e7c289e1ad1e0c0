"""How what only charts ask for is read from a sidecar, and of what the index keeps of it; pure, and total. The table is `fields`.

What a sidecar does not say, or says in a way that cannot be one, is missing; nothing is ever made up, not even a zero.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from opstore.index.prompts import prompt_key
from opstore.index.sidecar import is_made
from opstore.storage.names import is_video, time_of
from opstore.storage.operation import parse_time, pixels_of, seed_of

Sidecar = Mapping[str, Any]

#: Parameters that are another one each time, or texts of their own: they say nothing when counted.
_UNCOUNTED = frozenset(("seed", "prompt", "originalPrompt", "optimizedPrompt", "negativePrompt", "confidence"))
MAX_PARAMETERS, MAX_TEXT = 40, 60
#: More bytes than these, or a greater number of them, are none.
_MAX_BYTES = 2**53
#: A dictionary is told at a glance, which is what nearly all are.
_OBJECT = (dict, Mapping)
#: Sets of parameters whose texts are remembered: there are few.
_REMEMBERED = 5_000


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


class Charted:
    """A sidecar that is read for charts, with what several columns are told by, and what the index keeps of it."""

    __slots__ = ("amount", "analysis", "annotations", "cost", "entry", "files", "pixels", "proposed", "sidecar", "sizes")

    def __init__(self, sidecar: Sidecar, entry: Read) -> None:
        """Look once for what is asked for again and again."""
        self.sidecar = sidecar
        self.entry = entry
        self.files = [item for item in _list(sidecar.get("files")) if isinstance(item, _OBJECT)]
        self.sizes = _sizes(self.files)
        self.pixels = pixels_of(sidecar, entry.output)
        self.cost = _mapping(sidecar.get("cost"))
        self.amount = _number(self.cost.get("amount"))
        self.annotations = _mapping(sidecar.get("annotations"))
        self.analysis = _mapping(sidecar.get("workflowAnalysis"))
        self.proposed = _proposed(self.analysis) if self.analysis else None


#: What reads a column.
ChartReader = Callable[[Charted], Any]


def moment(source: Charted) -> datetime | None:
    """Return when it was asked for."""
    return parse_time(source.sidecar.get("timestamp")) or time_of(source.entry.id)


def text_at(key: str) -> ChartReader:
    """Return what reads a text that stands under a key."""
    return lambda source: _text(source.sidecar.get(key))


def flag_at(key: str) -> ChartReader:
    """Return what reads a yes or no that stands under a key."""
    return lambda source: _flag(source.sidecar.get(key))


def number_at(key: str) -> ChartReader:
    """Return what reads a number that stands under a key."""
    return lambda source: _number(source.sidecar.get(key))


def bytes_of(role: str) -> ChartReader:
    """Return what adds up the sizes of the files of a role."""
    return lambda source: source.sizes.get(role)


def key_of_prompt(source: Charted) -> int | None:
    """Return the number that the same prompts share."""
    prompt = _text(source.sidecar.get("prompt"))
    return None if prompt is None else prompt_key(prompt)


def amount(source: Charted) -> float | None:
    """Return what it cost."""
    return source.amount


def currency(source: Charted) -> str | None:
    """Return the currency of a cost that can be one."""
    return None if source.amount is None else source.entry.currency or _text(source.cost.get("currency")) or None


def is_estimated(source: Charted) -> bool | None:
    """Say whether a cost is an estimate."""
    return None if source.amount is None else _flag(source.cost.get("estimated"))


def width(source: Charted) -> int | None:
    """Return the main output's width."""
    return source.pixels[0]


def height(source: Charted) -> int | None:
    """Return the main output's height."""
    return source.pixels[1]


def favorite(source: Charted) -> bool | None:
    """Say whether it is a favourite, None if nobody said."""
    return _flag(source.annotations.get("favorite"))


def note(source: Charted) -> str | None:
    """Return the note."""
    return _text(source.annotations.get("note")) or None


def seed(source: Charted) -> str | None:
    """Return the seed that was used."""
    used = seed_of(source.sidecar)
    return None if used is None else str(used)


def input_count(source: Charted) -> int | None:
    """Return how many inputs are said, or named."""
    count, inputs = source.sidecar.get("inputCount"), source.entry.inputs
    is_said = isinstance(count, int) and not isinstance(count, bool) and count == inputs
    return inputs if is_said or isinstance(source.sidecar.get("inputFiles"), list) else None


def output_count(source: Charted) -> int:
    """Return how many results are named."""
    main, operation_id = source.entry.output, source.entry.id
    named = [source.sidecar.get("outputFile"), *[item.get("name") for item in source.files if item.get("role") == "output"]]
    return len({name for name in named if isinstance(name, str) and (name == main or is_made(name, operation_id))})


def media(source: Charted) -> str | None:
    """Return what the main output is, by its name."""
    output = source.entry.output
    return None if output is None else "video" if is_video(output) else "image"


def predicted(source: Charted) -> float | None:
    """Return the computing time of all steps that say it."""
    steps = _list(source.sidecar.get("steps"))
    told = [_number(step.get("predictSeconds")) for step in steps if isinstance(step, _OBJECT)]
    seconds = [value for value in told if value is not None]
    return math.fsum(seconds) if seconds else None


def workflow(source: Charted) -> str | None:
    """Return the proposed type."""
    return source.proposed


def confidence(source: Charted) -> float | None:
    """Return how sure the analysis was, 0 to 1."""
    analysis = source.analysis
    for place in (analysis, analysis.get("analysis"), source.sidecar.get("parameters")):
        value = _number(place.get("confidence")) if isinstance(place, _OBJECT) else None
        if value is not None and value <= 1:
            return value
    return None


def overridden(source: Charted) -> bool | None:
    """Say whether somebody chose another type than the proposed one."""
    chosen = _text(source.analysis.get("overriddenTo"))
    if chosen:
        return chosen != source.proposed
    return False if source.proposed else None


def parameters(source: Charted) -> str | None:
    """Return the parameters that can be counted, as one text that is the same for the same ones."""
    value = source.sidecar.get("parameters")
    if not isinstance(value, _OBJECT):
        return None
    # 1, 1.0 and True are one key of a dictionary, and three texts.
    key = tuple([(name, item, type(item)) for name, item in value.items() if name not in _UNCOUNTED])
    try:
        known = _parameters.get(key)
    except TypeError:  # something in it is a list, and counts for nothing
        return _counted(value)
    if known is None:
        if len(_parameters) >= _REMEMBERED:
            _parameters.clear()
        known = _parameters[key] = _counted(value)
    return known


_parameters: dict[tuple[tuple[str, Any, type], ...], str] = {}


def _counted(value: Mapping[str, Any]) -> str:
    kept = {name: _plain(item) for name, item in value.items() if name not in _UNCOUNTED and _counts(item)}
    names = sorted(kept)[:MAX_PARAMETERS]
    return json.dumps({name[:MAX_TEXT]: kept[name] for name in names}, ensure_ascii=False, separators=(",", ":"))


def _proposed(analysis: Mapping[str, Any]) -> str | None:
    """Return the proposed type: in the specification's place, or in the original backend's, one level further down."""
    for place in (analysis, _mapping(analysis.get("analysis"))):
        name = _text(_mapping(place.get("workflow")).get("id")) or _text(place.get("workflowId"))
        if name:
            return name[:200]
    return None


def _sizes(files: list[Any]) -> dict[str, int]:
    """Return the bytes of the files of each role together, as far as they are said."""
    sizes: dict[str, int] = {}
    for item in files:
        role, size = item.get("role"), item.get("bytes")
        if isinstance(role, str) and isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _MAX_BYTES:
            sizes[role] = min(sizes.get(role, 0) + size, _MAX_BYTES)
    return sizes


def _number(value: object) -> float | None:
    """Return a stored number that is 0 or more, None for anything else; money and times have no others."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, _OBJECT) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _plain(value: Any) -> Any:
    """Return a whole number as one: 95.0 is 95."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _counts(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= MAX_TEXT
    return isinstance(value, bool | int | float)
