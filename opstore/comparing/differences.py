"""What operations differ in besides their pictures: parameters as a table, prompts word by word; pure, and never failing."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from opstore.storage.operation import Operation

Change = tuple[Literal["same", "gone", "new"], str]

#: Words compared at most; of longer texts only whether they are equal is told (difflib's worst case grows with the cube).
MAX_WORDS = 1_500
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


def word_changes(before: str, after: str) -> list[Change]:
    """Return `after` as a change of `before`: runs of words that stayed, went and came, in reading order."""
    if before == after:
        return [("same", after)] if after else []
    one, other = _WORD.findall(before), _WORD.findall(after)
    if max(len(one), len(other)) > MAX_WORDS:
        return _told("gone", before) + _told("new", after)
    changes: list[Change] = []
    for tag, start, end, begin, stop in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag == "equal":
            changes += _told("same", "".join(one[start:end]))
        else:
            changes += _told("gone", "".join(one[start:end])) + _told("new", "".join(other[begin:stop]))
    return changes


def _told(kind: Literal["same", "gone", "new"], text: str) -> list[Change]:
    return [(kind, text)] if text else []


def differing(operations: Sequence[Operation]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the parameters (after `operationType`, `model`, `provider`) whose values differ, each with one value an operation.

    A parameter that an operation does not have is None there.
    """
    rows: dict[str, tuple[Any, ...]] = {
        "operationType": tuple(item.type for item in operations),
        "model": tuple(item.model for item in operations),
        "provider": tuple(item.provider for item in operations),
    }
    names = dict.fromkeys(name for item in operations for name in item.parameters())
    rows |= {name: tuple(item.parameters().get(name) for item in operations) for name in names if name not in rows}
    return [(name, values) for name, values in rows.items() if len({spelt(value) for value in values}) > 1]


def spelt(value: Any) -> str:
    """Return a value as text by which equal ones are known: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
