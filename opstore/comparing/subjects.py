"""Which pictures of an operation stand against each other: its inputs are recorded, so nobody has to pick two files. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from opstore.errors import InvalidFileName
from opstore.storage.names import check_name
from opstore.storage.operation import Operation

Role = Literal["input", "intermediate", "output"]
#: What a file is by its bytes: `image`, `video`, or None for anything that cannot be shown.
Kind = Callable[[str], str | None]

_KEY = re.compile(r"\A(?P<name>[^@]{1,60})(?:@(?P<at>first|last|[0-9]{1,8}))?\Z")


@dataclass(frozen=True, slots=True)
class Subject:
    """A stored picture or video, or one frame of a video: `at` is `first`, `last`, or a time in milliseconds."""

    name: str
    at: str | None = None

    def __str__(self) -> str:
        """Write it as it stands in an address."""
        return self.name if self.at is None else f"{self.name}@{self.at}"

    @classmethod
    def read(cls, key: object) -> Subject:
        """Return what an address names; raise InvalidFileName for anything that is none of our files."""
        found = _KEY.match(key) if isinstance(key, str) else None
        if found is None or check_name(found["name"]).role == "sidecar":
            raise InvalidFileName(key)
        return cls(found["name"], found["at"])

    @property
    def seconds(self) -> float | None:
        """Return the time of its frame; None for the last one."""
        return None if self.at == "last" else 0.0 if self.at in (None, "first") else int(self.at) / 1000


@dataclass(frozen=True, slots=True)
class Part:
    """One thing of an operation that can be looked at: its role and its number there, from 1."""

    subject: Subject
    role: Role
    number: int


@dataclass(frozen=True, slots=True)
class Pair:
    """What was there before, and what was made of it."""

    before: Part
    after: Part


def main_part(operation: Operation, kind: Kind) -> Part | None:
    """Return what shows an operation's result: its first output that can be shown, None if there is none."""
    found = _parts(operation.outputs, "output", kind)
    return found[0][0] if found else None


def pairs(operation: Operation, kind: Kind) -> list[Pair]:
    """Return what stands against what in one operation, the most telling first; empty without inputs or without a result.

    A picture stands against each input. A video's first frame stands against the first input (or the picture in between), its
    last frame against the last input.
    """
    inputs = [part for part, what in _parts(operation.inputs, "input", kind) if what == "image"]
    between = [part for part, what in _parts(operation.intermediates, "intermediate", kind) if what == "image"]
    matched: list[Pair] = []
    for part, what in _parts(operation.outputs, "output", kind):
        if what == "image":
            matched += [Pair(before, part) for before in (*inputs, *between)]
            continue
        starts = between or inputs
        if starts:
            matched.append(Pair(starts[0], _frame(part, "first")))
            matched.append(Pair(starts[-1], _frame(part, "last")))
    return matched + [Pair(before, after) for after in between for before in inputs]


def _frame(part: Part, at: str) -> Part:
    return Part(Subject(part.subject.name, at), part.role, part.number)


def _parts(names: tuple[str, ...], role: Role, kind: Kind) -> list[tuple[Part, str]]:
    numbered = ((Part(Subject(name), role, number), kind(name)) for number, name in enumerate(names, 1))
    return [(part, what) for part, what in numbered if what]
