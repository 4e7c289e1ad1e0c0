"""The grammar of ids and file names, pure: a name is valid exactly when it can be rebuilt from its parts.

Ids are `{YYYYMMDDHHmmss}_{8 lower-case hex}` in UTC; readers accept 6 to 8 hex digits, since the specification's own examples
have 6. Files are `{id}_in.{ext}` (old data), `{id}_in_{n}.{ext}` (n ≥ 1), `{id}_out.{ext}`, `{id}_out_{n}.{ext}` (n ≥ 2) and
`{id}.json`. Checked on every write and on every read: nothing else ever becomes a path.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from opstore.errors import InvalidFileName, InvalidOperationId

#: Extensions a stored file may have. `jpeg` is only read: the original backend took it from result addresses.
EXTENSIONS = ("jpg", "png", "webp", "gif", "avif", "heic", "mp4", "webm", "jpeg")
#: Those of them that move.
VIDEOS = ("mp4", "webm")
#: The highest number of an input or an output: four digits.
MAX_NUMBER = 9999

# \A…\Z and [0-9], not ^…$ and \d: the latter accept a trailing newline and full-width digits.
_ID = r"[0-9]{14}_[0-9a-f]{6,8}"
_ID_ONLY = re.compile(rf"\A{_ID}\Z")
_FILE = re.compile(
    rf"\A(?P<id>{_ID})(?:\.json|_(?P<role>in|out)(?:_(?P<number>[1-9][0-9]{{0,3}}))?\.(?P<extension>{'|'.join(EXTENSIONS)}))\Z"
)

Role = Literal["sidecar", "input", "output"]


@dataclass(frozen=True, slots=True)
class FileName:
    """A file name in its parts; `number` is None where the name carries none."""

    operation_id: str
    role: Role
    number: int | None
    extension: str

    def __str__(self) -> str:
        """Rebuild the name."""
        if self.role == "sidecar":
            return f"{self.operation_id}.json"
        word = "in" if self.role == "input" else "out"
        number = "" if self.number is None else f"_{self.number}"
        return f"{self.operation_id}_{word}{number}.{self.extension}"

    @property
    def order(self) -> tuple[int, str]:
        """Sort key among the files of one operation and role: by number, then by extension."""
        return (self.number or 0, self.extension)


def is_video(name: str | None) -> bool:
    """Say whether a stored file is a video; its extension was taken from its bytes (`saving`)."""
    return (name or "").rpartition(".")[2] in VIDEOS


def generate_operation_id(now: datetime | None = None) -> str:
    """Return a new id for `now` (default: this moment), random enough that two of one second do not meet (32 bits)."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    # Not %Y: it writes years before 1000, which a dead clock may tell, with fewer than four digits.
    return f"{moment.year:04}{moment:%m%d%H%M%S}_{secrets.token_hex(4)}"


def check_operation_id(value: object) -> str:
    """Return `value` if it is a valid id; raise InvalidOperationId otherwise."""
    found = _ID_ONLY.match(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidOperationId(value)
    return found[0]  # a plain str: a subclass (an Enum's member) may format itself as something else


def is_operation_id(value: object) -> bool:
    """Say whether `value` is a valid id."""
    return isinstance(value, str) and _ID_ONLY.match(value) is not None


def parse_name(value: object) -> FileName | None:
    """Return the parts of a store's file name, or None for any other string."""
    match = _FILE.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    if match["role"] is None:
        return FileName(match["id"], "sidecar", None, "json")
    number = int(match["number"]) if match["number"] else None
    if match["role"] == "out" and number == 1:
        return None  # the first output carries no number
    return FileName(match["id"], "input" if match["role"] == "in" else "output", number, match["extension"])


def check_name(value: object) -> FileName:
    """Return the parts of `value`; raise InvalidFileName if the grammar cannot build it."""
    name = parse_name(value)
    if name is None:
        raise InvalidFileName(value)
    return name


def own_name(value: object, operation_id: str) -> FileName | None:
    """Return the parts of a media name found in a sidecar if it belongs to that very operation, else None."""
    name = parse_name(value)
    return name if name and name.operation_id == operation_id and name.role != "sidecar" else None


def sidecar_name(operation_id: str) -> str:
    """Return the name of an operation's sidecar."""
    return f"{check_operation_id(operation_id)}.json"


def input_name(operation_id: str, number: int, extension: str) -> str:
    """Return the name of input `number` (from 1)."""
    return _build(operation_id, "in", number, extension)


def output_name(operation_id: str, number: int, extension: str) -> str:
    """Return the name of output `number` (from 1; the first carries no number)."""
    return _build(operation_id, "out", None if number == 1 and not isinstance(number, bool) else number, extension)


def _build(operation_id: str, word: str, number: int | None, extension: str) -> str:
    prefix = f"{check_operation_id(operation_id)}_{word}"
    odd = number is not None and (isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_NUMBER)
    if odd or extension not in EXTENSIONS:
        raise InvalidFileName(f"{prefix}_?")  # not what was given: Python refuses to print a number of 5,000 digits
    return str(check_name(f"{prefix}{'' if number is None else f'_{number}'}.{extension}"))


def time_of(operation_id: str) -> datetime | None:
    """Return the moment an id names, in UTC, or None where its 14 digits are no calendar time (old or foreign ids)."""
    try:
        return datetime.strptime(check_operation_id(operation_id)[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
