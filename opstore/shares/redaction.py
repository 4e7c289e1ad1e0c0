"""What of an operation is handed on: the one place that decides it, by naming what may pass; all else stays here.

Ids, file names, tags, notes, costs, errors and keys that nobody here knows never pass. Pictures are known outside by their place:
`2-input-1` is the first input of the second operation, whatever it is called here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from opstore.errors import DamagedOperation, OperationNotFound, ShareNotFound, UnsafeFile
from opstore.language.translations import parameter_name
from opstore.media import MediaType, sniff
from opstore.media.likeness import shown_as
from opstore.media.provenance import Provenance, declared, stronger
from opstore.shares.record import Scope, Shown
from opstore.storage.operation import OPERATION_TYPES, Operation
from opstore.storage.store import Store

Role = Literal["input", "between", "result"]
_KEY = re.compile(r"\A([1-9][0-9]{0,4})-(input|between|result)-([1-9][0-9]{0,3})\Z")
#: A side of a picture beyond this is no side of a picture.
_MAX_SIDE = 100_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture or video of an operation: `key` is what it is called outside, `name` its file here, `media` what it leaves as.

    `source` is its digital source type (`provenance`), empty if nobody knows.
    """

    key: str
    name: str
    role: Role
    number: int
    media: MediaType
    width: int | None
    height: int | None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One operation as it is handed on; what is withheld is None or empty. `source`, what made its results, never is.

    `unread` is the number of its files that would be shown, and cannot be.
    """

    number: int
    type: str
    status: str
    pictures: tuple[Picture, ...]
    prompt: str | None = None
    id: str | None = None
    moment: datetime | None = None
    model: str | None = None
    provider: str | None = None
    parameters: Mapping[str, Any] | None = None
    source: str = ""
    unread: int = 0

    def of(self, *roles: Role) -> list[Picture]:
        """Return the pictures of these roles, in the order of the roles."""
        return [picture for role in roles for picture in self.pictures if picture.role == role]


def items(scope: Scope, store: Store) -> list[Item]:
    """Return what of a scope can be seen: operations that were trashed or damaged meanwhile are passed over."""
    return [item for number in range(1, len(scope.operations) + 1) if (item := _item(scope, store, number))]


def picture(scope: Scope, store: Store, key: str) -> Picture:
    """Return the picture of a key; raise ShareNotFound for one that this scope does not show."""
    found = _KEY.match(key)
    number = int(found[1]) if found else 0
    item = _item(scope, store, number) if 0 < number <= len(scope.operations) else None
    for one in item.pictures if item else ():
        if one.key == key:
            return one
    raise ShareNotFound


def _item(scope: Scope, store: Store, number: int) -> Item | None:
    try:
        operation = Operation.of(store.get_operation_metadata(scope.operations[number - 1]))
    except (OperationNotFound, DamagedOperation, UnsafeFile):
        return None
    show = scope.show
    known: dict[str, Any] = {"prompt": operation.prompt} if show.prompt else {}
    if show.parameters:
        known |= {
            "id": operation.id,
            "moment": operation.moment,
            "model": operation.model,
            "provider": operation.provider,
            "parameters": parameters(operation, show),
        }
    pictures = tuple(_pictures(operation, store, number, show))
    made = next((picture.source for picture in pictures if picture.role != "input"), "")
    unread = sum(len(names) for _, names in _named(operation, show)) - len(pictures)
    # A type from elsewhere is any text, which may say what was asked for.
    kind = operation.type if show.prompt or operation.type in OPERATION_TYPES else "unknown"
    return Item(number=number, type=kind, status=operation.status, pictures=pictures, source=made, unread=unread, **known)


def parameters(operation: Operation, show: Shown) -> dict[str, Any]:
    """Return the parameters that may be seen: numbers and yes or no of any name, texts only where opstore knows the name.

    Other texts may hold anything: a path, an address, what was asked for in other words. Where the prompt is withheld, so are
    other prompts, any text that is a sentence, and names that opstore does not know.
    """
    return {name: value for name, value in operation.parameters().items() if _passes(name, value, show)}


def _passes(name: str, value: object, show: Shown) -> bool:
    known = parameter_name(name, str) != name  # each name in the table differs from what it is called
    if isinstance(value, bool | int | float):
        return known or show.prompt
    telling = "prompt" in name.casefold() or (isinstance(value, str) and any(map(str.isspace, value)))
    return known and isinstance(value, str) and bool(value) and (show.prompt or not telling)


def _named(operation: Operation, show: Shown) -> Sequence[tuple[Role, Sequence[str]]]:
    given = {*operation.inputs, *_described_as_inputs(operation)}
    return (
        ("result", [name for name in operation.outputs if name not in given]),
        ("between", [name for name in operation.intermediates if name not in given]),
        ("input", operation.inputs if show.inputs else ()),
    )


def _described_as_inputs(operation: Operation) -> Iterator[object]:
    """Yield what is said to be an input in one place, whatever another says: it is withheld as one."""
    files = operation.sidecar.get("files")
    for entry in files if isinstance(files, list) else ():
        if isinstance(entry, Mapping) and entry.get("role") == "input" and isinstance(entry.get("name"), str):
            yield entry["name"]


def _pictures(operation: Operation, store: Store, number: int, show: Shown) -> Iterator[Picture]:
    provenance = Provenance(store)
    of_operation = provenance.of(operation)
    for role, names in _named(operation, show):
        for place, name in enumerate(names, 1):
            try:
                with store.open_file(name) as file:
                    media = sniff(file.read(4096))
                    file.seek(0)
                    in_file = declared(file)
            except (OperationNotFound, UnsafeFile):
                continue
            if media:
                wide, high = _size(operation, name)
                source = stronger(of_operation if role != "input" else provenance.of_input(operation, name), in_file)
                yield Picture(f"{number}-{role}-{place}", name, role, place, shown_as(media), wide, high, source)


def _size(operation: Operation, name: str) -> tuple[int | None, int | None]:
    files = operation.sidecar.get("files")
    for entry in files if isinstance(files, list) else ():
        if isinstance(entry, Mapping) and entry.get("name") == name:
            wide, high = entry.get("width"), entry.get("height")
            if isinstance(wide, int) and isinstance(high, int) and 0 < wide <= _MAX_SIDE and 0 < high <= _MAX_SIDE:
                return wide, high
    return None, None
