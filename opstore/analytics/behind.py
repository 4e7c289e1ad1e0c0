"""The operations behind marks that the search language has no words for: a value of a parameter, an hour of the week in the
viewer's zone, a type proposed with so much confidence. A mark is a text that comes back from the browser, and is read with care.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Literal, cast

import numpy as np

from opstore.analytics.numbers import slots_of
from opstore.analytics.selection import TENTHS, Base, Bools, Selection

Kind = Literal["parameters", "rhythm", "workflows"]
_BEGINNING = "mark:"


@dataclass(frozen=True)
class Mark:
    """A mark of a chart: of `parameters` a name and a value (JSON), of `rhythm` a weekday (0 Monday) and an hour, of `workflows`
    a type and a tenth of confidence.
    """

    kind: Kind
    name: str
    value: str

    def __str__(self) -> str:
        """Write it; no search begins so."""
        return _BEGINNING + json.dumps([self.kind, self.name, self.value])


def mark_of(text: str) -> Mark | None:
    """Read what a mark was written as; None for anything else."""
    try:
        kind, name, value = json.loads(text.removeprefix(_BEGINNING)) if text.startswith(_BEGINNING) else (None, None, None)
    except (ValueError, TypeError):
        return None
    if kind not in ("parameters", "rhythm", "workflows") or not isinstance(name, str) or not isinstance(value, str):
        return None
    if kind != "parameters" and not (value.isascii() and value.isdigit() and len(value) < 3):
        return None
    if kind == "rhythm" and name not in [str(day) for day in range(7)]:
        return None
    return Mark(cast("Kind", kind), name, value)


def behind(selection: Selection, mark: Mark, zone: tzinfo = UTC) -> Selection:
    """Return the rows of a selection that a mark counts."""
    find = {"parameters": _parameters, "rhythm": _rhythm, "workflows": _workflows}[mark.kind]
    return selection.where(find(selection.base, mark, zone))


def _parameters(base: Base, mark: Mark, zone: tzinfo) -> Bools:
    sets = base.once("parameter sets", lambda: parameter_sets(base))
    fits = [mark.name in given and json.dumps(given[mark.name], ensure_ascii=False) == mark.value for given in sets]
    return _where(fits, base.axis("parameters").codes)


def _rhythm(base: Base, mark: Mark, zone: tzinfo) -> Bools:
    slots = base.once(("slots", str(zone)), lambda: slots_of(base.quarters(), zone))
    return _where(slots == int(mark.name) * 24 + int(mark.value), base.axis("quarter").codes)


def _workflows(base: Base, mark: Mark, zone: tzinfo) -> Bools:
    proposed = _where([name == mark.name for name in base.codes("workflow_id")[1]], base.codes("workflow_id")[0])
    return proposed & _where([tenth == int(mark.value) for tenth in range(TENTHS)], base.axis("confidence").codes)


def _where(fits: Any, codes: Any) -> Bools:
    """Return where the code of a row is one that fits; what is missing, -1, does not."""
    found: Bools = np.array([*fits, False], bool)[codes]
    return found


def parameter_sets(base: Base) -> list[dict[str, Any]]:
    """Return the different sets of parameters, along the axis `parameters`."""
    return [json.loads(name) for name in base.codes("parameters")[1]]
