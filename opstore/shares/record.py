"""The record of a share link, `shares/{id}.json`: what it shows, until when, to whom; a link shows what its record says, now.

A link is the record's id and a signature: who has the files alone cannot make one, who has the link alone learns no id of an
operation. A record that cannot be read opens nothing, and is listed as damaged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from opstore.errors import DamagedOperation, InvalidInput, said
from opstore.storage.names import is_operation_id
from opstore.storage.operation import parse_time, plain, timestamp

SCHEMA = "opstore-share/1"
#: The most operations behind one link: a page of as many pictures is the most that a browser shows well.
MAX_OPERATIONS = 200
MAX_TITLE = 120
#: A record of as many operations has 8 kB.
MAX_BYTES = 200_000

Kind = Literal["operation", "selection", "comparison"]
_ID = re.compile(r"\A[0-9a-f]{16}\Z")
COUNTS: Mapping[str, tuple[int, int]] = {"operation": (1, 1), "selection": (1, MAX_OPERATIONS), "comparison": (2, 4)}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of each operation beside its results; `parameters` are model, parameters and time."""

    prompt: bool = True
    parameters: bool = True
    inputs: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    """What is handed on: operations by id, in order, and what is shown of them."""

    kind: Kind
    operations: tuple[str, ...]
    show: Shown = Shown()
    title: str = ""

    def __post_init__(self) -> None:
        """Raise InvalidInput for what cannot be handed on."""
        if self.kind not in get_args(Kind):
            raise InvalidInput(reason=said("what is shared is one operation, a selection or a comparison"))
        least, most = COUNTS[self.kind]
        if not least <= len(self.operations) <= most:
            count = len(self.operations)
            raise InvalidInput(reason=_counted(self.kind, count, least, most))
        if not isinstance(self.title, str) or len(self.title) > MAX_TITLE or not self.title.isprintable():
            raise InvalidInput(reason=said("a title has at most {limit} characters, in one line", limit=MAX_TITLE))


def _counted(kind: str, count: int, least: int, most: int) -> str:
    if kind == "comparison":
        return said("a comparison has {least} to {most} operations; given: {count}", least=least, most=most, count=count)
    return said("a link shows {least} to {most} operations; given: {count}", least=least, most=most, count=count)


@dataclass(frozen=True, slots=True)
class Password:
    """A password as it is kept: a salt and what scrypt made of the two, in hex, with the cost that it was made at."""

    salt: str
    digest: str
    n: int
    r: int
    p: int


@dataclass(frozen=True, slots=True)
class Share:
    """A share link; times are aware, in UTC."""

    id: str
    scope: Scope
    created: datetime
    expires: datetime | None = None
    password: Password | None = None
    revoked: datetime | None = None

    def ended(self, now: datetime) -> bool:
        """Say whether the link opens nothing any more."""
        return self.revoked is not None or (self.expires is not None and now >= self.expires)

    def encode(self) -> bytes:
        """Return the record's bytes."""
        record = {
            "schema": SCHEMA,
            "shareId": self.id,
            "kind": self.scope.kind,
            "operations": list(self.scope.operations),
            "show": {
                "prompt": self.scope.show.prompt,
                "parameters": self.scope.show.parameters,
                "inputs": self.scope.show.inputs,
            },
            "title": self.scope.title,
            "createdAt": timestamp(self.created),
            "expiresAt": timestamp(self.expires) if self.expires else None,
            "password": {"scheme": "scrypt", **asdict(self.password)} if self.password else None,
            "revokedAt": timestamp(self.revoked) if self.revoked else None,
        }
        return json.dumps(record, ensure_ascii=False, indent=2).encode() + b"\n"


def is_share_id(value: object) -> bool:
    """Say whether `value` is an id of a share link: nothing else becomes a file name."""
    return isinstance(value, str) and _ID.match(value) is not None


def decode(data: bytes, share_id: str) -> Share:
    """Return the record of `share_id`; raise DamagedOperation for what does not say everything that a link depends on."""
    try:
        found: Any = json.loads(data) if len(data) <= MAX_BYTES else None
        plain(found)
        return _read(found, share_id)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, InvalidInput) as error:
        reason = said("its record in shares/ is damaged")
        raise DamagedOperation(operation_id=share_id, reason=reason) from error


def has_ended(name: str, data: bytes, now: datetime) -> bool:
    """Say whether a file of `shares/` is the record of a link that has ended; a damaged one may be of a living link."""
    share_id = name.removesuffix(".json")
    try:
        return is_share_id(share_id) and decode(data, share_id).ended(now)
    except DamagedOperation:
        return False


def _read(record: Mapping[str, Any], share_id: str) -> Share:
    show, password = record["show"], record["password"]
    if record["shareId"] != share_id or not all(is_operation_id(item) for item in record["operations"]):
        raise ValueError("another link's record, or of something else")
    scope = Scope(
        kind=record["kind"],
        operations=tuple(record["operations"]),
        # What is not said to be shown is withheld.
        show=Shown(**{name: show.get(name) is True for name in ("prompt", "parameters", "inputs")}),
        title=record["title"],
    )
    return Share(
        id=share_id,
        scope=scope,
        created=_time(record["createdAt"]),
        expires=None if record["expiresAt"] is None else _time(record["expiresAt"]),
        password=None if password is None else _password(password),
        revoked=None if record["revokedAt"] is None else _time(record["revokedAt"]),
    )


def _time(value: object) -> datetime:
    moment = parse_time(value)
    if moment is None:
        raise ValueError("no time")
    return moment


def _password(record: Mapping[str, Any]) -> Password:
    cost = {name: record[name] for name in ("n", "r", "p")}
    # A record from elsewhere must not make every try cost gigabytes.
    fits = all(isinstance(value, int) and 0 < value <= 2**20 for value in cost.values()) and 128 * cost["n"] * cost["r"] <= 2**27
    if record["scheme"] != "scrypt" or not fits or cost["p"] > 16:
        raise ValueError("no password that can be checked")
    bytes.fromhex(record["salt"]), bytes.fromhex(record["digest"])
    return Password(salt=record["salt"], digest=record["digest"], **cost)


def revoked(share: Share, now: datetime) -> Share:
    """Return the share as it is when it was taken back; the first time counts."""
    return share if share.revoked else replace(share, revoked=now)
