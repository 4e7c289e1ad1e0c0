"""What a route declares of itself: parameters, body, answers. From this one table the routes are mounted and described.

`openapi.py` makes its document of it: no route is served that is not described, and none described that is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from opstore.access.roles import Act
from opstore.errors import InvalidRequest, RepeatedParameter, UnknownParameter, said, shown

#: A plain function runs in a thread; one that waits (for a body, for an end) is awaited and holds no thread meanwhile.
Answer = Callable[[Request], Response | Awaitable[Response]]
Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
_YES, _NO = ("", "1", "yes", "true"), ("0", "no", "false")
#: `?download`, `?download=1`: yes; left out: no.
FLAG: Schema = {"type": "string", "enum": [*_YES, *_NO]}
_ID, _FILE = r"[0-9]{14}_[0-9a-f]{6,8}", r"_(in|out)(_[1-9][0-9]{0,3})?\.[a-z0-9]{2,5}"
OPERATION_ID: Schema = {"type": "string", "pattern": f"^{_ID}$"}
FILE_NAME: Schema = {"type": "string", "pattern": f"^{_ID}{_FILE}$"}
#: A file, or the operation that it shows.
SHOWN: Schema = {"type": "string", "pattern": f"^{_ID}({_FILE})?$"}
#: A file, or a frame of a video.
SUBJECT: Schema = {"type": "string", "pattern": f"^{_ID}{_FILE}(@(first|last|[0-9]{{1,7}}))?$"}
DAY: Schema = {"type": "string", "pattern": "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", "examples": ["2025-11-03"]}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the address or a header of the request, as text."""

    name: str
    what: str
    schema: Schema = field(default_factory=lambda: TEXT)
    place: Literal["query", "path", "header"] = "query"


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: its media type and its shape."""

    media_type: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer of one status carries: its media types (none: an empty body), its shape where it is JSON, its headers."""

    what: str
    schema: Schema | None = None
    media_types: tuple[str, ...] = ("application/json",)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one address. `answers` are those that belong to it alone: errors that every call can meet are left out."""

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    answer: Answer
    what: str
    answers: Mapping[int, Told]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    #: Error statuses beyond those that every call has.
    errors: tuple[int, ...] = ()
    #: What it comes to: who may not do that is told so before anything else of the request is looked at.
    act: Act | None = None

    def __post_init__(self) -> None:
        """Raise TypeError for a call that changes something and does not say what."""
        if self.method != "GET" and self.act is None:
            raise TypeError(f"{self.method} {self.path} does not say which act it is")

    def check_query(self, request: Request) -> None:
        """Raise UnknownParameter for one that this call has not: a typing error must not mean something else."""
        known = [parameter.name for parameter in self.parameters if parameter.place == "query"]
        given = [name for name, _value in request.query_params.multi_items()]
        for name in given:
            if name not in known:
                raise UnknownParameter(name=shown(name), known=", ".join(known) or "-")
            if given.count(name) > 1:
                raise RepeatedParameter(name=name)


def flag(request: Request, name: str) -> bool:
    """Read a FLAG; raise InvalidRequest for another value."""
    given = request.query_params.get(name)
    if given is None or given in _NO:
        return False
    if given in _YES:
        return True
    raise InvalidRequest(reason=said("{key} must be {wanted}", key=name, wanted="1, 0"))


def thing(**properties: Schema) -> dict[str, Any]:
    """Return the schema of an object with these properties, all required; others may come with a later version."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def listed(items: Schema) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": dict(items)}


def done(**properties: Schema) -> dict[str, Any]:
    """Return the schema of an answer that went well."""
    return thing(success={"const": True}, **properties)


def by_id(what: str = "the operation's id") -> Parameter:
    """Return the parameter that names an operation in the path."""
    return Parameter("operation_id", what, OPERATION_ID, "path")
