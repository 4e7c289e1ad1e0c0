"""The operations behind marks that the search language has no words for: a value of a parameter, an hour of the week in a zone, a
type proposed with so much confidence, a prompt or a word in any spelling, what says something at all. A mark is a text that
stands in addresses, beside a search, and is read with care.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from opstore.analytics.selection import TENTHS, Base, Bools, Selection
from opstore.analytics.usage_tables import slots_of
from opstore.index.prompts import fold_word

Kind = Literal["parameter", "hour", "proposed", "sure", "prompt", "word", "says", "cost"]
#: What an operation can say: the columns of it, and of files that are results, of which kind (`media`) they must be.
SAYS: dict[str, tuple[str, str | None]] = {
    "predict_seconds": ("predict_seconds", None),
    "inputs": ("bytes_in", None),
    "intermediates": ("bytes_between", None),
    "images": ("bytes_out", "image"),
    "videos": ("bytes_out", "video"),
}
#: No search begins so.
_BEGINNING = "mark:"
MAX_LENGTH = 2_000


@dataclass(frozen=True)
class Mark:
    """A mark of a chart: a `parameter` by its name and a value (JSON), an `hour` of the week (0: Monday, midnight) by its zone, a
    type that was `proposed` and a tenth of confidence, how `sure` the analysis was (a tenth), a `prompt` (how it begins, and its
    number), a `word` that stands by itself, something that an operation `says` (one of SAYS), or a `cost` in a currency.
    """

    kind: Kind
    name: str
    value: str

    def __str__(self) -> str:
        """Write it as it stands in an address: `parameter:aspectRatio:"16:9"`."""
        return f"{self.kind}:{quote(self.name, safe='/', errors='replace')}:{self.value}"

    def beside(self, query: str | None) -> str | None:
        """Return it with the search of which it counts a part, as both stand in a chart, where searches stand as well."""
        return None if query is None else f"{_BEGINNING}{self}\n{query}"


def asked_by(text: str) -> tuple[str, str]:
    """Return the search of what came back from a chart, and the mark beside it as addresses have it: empty where it has none."""
    if not text.startswith(_BEGINNING):
        return text, ""
    mark, _, query = text.removeprefix(_BEGINNING).partition("\n")
    return query, mark


def mark_of(text: str) -> Mark | None:
    """Read what a mark was written as; None for anything else."""
    kind, _, rest = text[:MAX_LENGTH].partition(":")
    quoted, _, value = rest.partition(":")
    name = unquote(quoted)
    fits = {
        "parameter": lambda: _is_scalar(value),
        "hour": lambda: _is_below(value, 168) and zone_of(name) is not None,
        "proposed": lambda: _is_below(value, TENTHS),
        "sure": lambda: not name and _is_below(value, TENTHS),
        "prompt": lambda: value.isascii() and value.removeprefix("-").isdigit() and abs(int(value)) < 2**63,
        "word": lambda: bool(name) and not value,
        "says": lambda: name in SAYS and not value,
        "cost": lambda: not value,
    }.get(kind)
    return Mark(cast("Kind", kind), name, value) if fits and fits() else None


def _is_below(text: str, end: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < end


def _is_scalar(text: str) -> bool:
    """Say whether a text is one JSON value that a parameter can have, as `json` writes it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    is_one = isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return is_one and _json(value) == text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def zone_of(name: str) -> ZoneInfo | None:
    """Return a time zone by its name, None if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as Europe
        return None


def behind(selection: Selection, mark: Mark) -> Selection:
    """Return the rows of a selection that a mark counts."""
    find = {
        "parameter": _parameter,
        "hour": _hour,
        "proposed": _proposed,
        "sure": _sure,
        "prompt": _prompt,
        "word": _word,
        "says": _says,
        "cost": _cost,
    }[mark.kind]
    return selection.where(find(selection.base, mark))


def ids_after(selection: Selection, after: str | None, size: int) -> tuple[list[str], bool]:
    """Return up to `size` ids of a selection, newest first, that come after an id, and whether more follow."""
    ids, rows = selection.base.frame["operation_id"], selection.index()
    start = 0 if after is None else _place(selection, after)
    start += start < len(rows) and ids.iloc[rows[start]] == after
    found: list[str] = ids.take(rows[start : start + size]).tolist()
    return found, len(rows) > start + size


def around(selection: Selection, operation_id: str) -> tuple[str | None, str | None]:
    """Return the ids before and after an operation in a selection, newest first; None at an end or where it is not in it."""
    ids, rows = selection.base.frame["operation_id"], selection.index()
    place = _place(selection, operation_id)
    if place == len(rows) or ids.iloc[rows[place]] != operation_id:
        return None, None
    before, after = (ids.iloc[rows[at]] if 0 <= at < len(rows) else None for at in (place - 1, place + 1))
    return before, after


def _place(selection: Selection, operation_id: str) -> int:
    """Return where an id stands among the ids of a selection, which descend, or would stand."""
    ids, rows = selection.base.frame["operation_id"], selection.index()
    return bisect_left(rows, True, key=lambda row: str(ids.iloc[row]) <= operation_id)


def _parameter(base: Base, mark: Mark) -> Bools:
    sets = base.once("parameter sets", lambda: parameter_sets(base))
    fits = [mark.name in given and _json(given[mark.name]) == mark.value for given in sets]
    return _where(fits, base.axis("parameters").codes)


def _hour(base: Base, mark: Mark) -> Bools:
    zone = zone_of(mark.name)
    if zone is None:
        return np.zeros(len(base.frame), bool)
    slots = base.once(("slots", str(zone)), lambda: slots_of(base.quarters(), zone))
    return _where(slots == int(mark.value), base.axis("quarter").codes)


def _proposed(base: Base, mark: Mark) -> Bools:
    proposed = _where([name == mark.name for name in base.codes("workflow_id")[1]], base.codes("workflow_id")[0])
    return proposed & _in_tenth(base, mark)


def _in_tenth(base: Base, mark: Mark) -> Bools:
    return _where([tenth == int(mark.value) for tenth in range(TENTHS)], base.axis("confidence").codes)


def _sure(base: Base, mark: Mark) -> Bools:
    kept_or_not: Bools = base.axis("overridden").codes >= 0
    return kept_or_not & _in_tenth(base, mark)


def _prompt(base: Base, mark: Mark) -> Bools:
    found: Bools = (base.frame["prompt_key"] == int(mark.value)).to_numpy(bool, na_value=False)
    return found


def _word(base: Base, mark: Mark) -> Bools:
    offsets, numbers, _names, folded = base.words()
    wanted = fold_word(mark.name)
    places = np.flatnonzero(np.isin(numbers, [at for at, word in enumerate(folded) if word == wanted]))
    found = np.zeros(len(base.frame), bool)
    found[np.searchsorted(offsets, places, side="right") - 1] = True
    return found


def _says(base: Base, mark: Mark) -> Bools:
    column, media = SAYS[mark.name]
    found: Bools = ~np.isnan(base.number(column))
    return found if media is None else found & ((base.axis("is_video").codes == 1) == (media == "video"))


def _cost(base: Base, mark: Mark) -> Bools:
    found: Bools = _where([(name or "") == mark.name for name in base.currencies()], base.axis("currency").codes)
    return found


def _where(fits: Any, codes: Any) -> Bools:
    """Return where the code of a row is one that fits; what is missing, -1, does not."""
    found: Bools = np.array([*fits, False], bool)[codes]
    return found


def parameter_sets(base: Base) -> list[dict[str, Any]]:
    """Return the different sets of parameters, along the axis `parameters`."""
    return [json.loads(name) for name in base.codes("parameters")[1]]
