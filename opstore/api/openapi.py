"""The OpenAPI 3.1 document of the HTTP interface, made from the table that the routes are mounted from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import opstore
from opstore.api.route_table import Call, Parameter, Schema, Told
from opstore.api.shapes import CARD, ERROR, JOB, SIDECAR

#: What any call may answer: a value that makes no sense, no token, too often, a fault of ours, a disk that says no.
_ALWAYS = {
    400: "something in it makes no sense",
    401: "it came from another machine without the token, or nobody has signed in",
    403: "the role of whoever has signed in does not allow it, or another site's page sent it",
    429: "too many requests; Retry-After says how long to wait",
    500: "a fault of the program",
    507: "the disk said no",
}
#: What only some calls answer, by their `errors`.
_ELSE = {
    402: "a budget is used up",
    404: "there is nothing of that name",
    408: "the body did not come in time",
    409: "somebody else was first",
    412: "it is not in a state that If-Match names",
    413: "the body is too large",
    415: "the body, or an image in it, is of another type",
    422: "it was understood and cannot be done",
    503: "too many at this moment",
}
#: Schemas that several answers share are named, and stand in the document once.
_NAMED: Mapping[str, Schema] = {"Operation": SIDECAR, "Job": JOB, "Card": CARD, "Error": ERROR}


class Describing:
    """The document as a route of the table that it describes."""

    def __init__(self, calls: Callable[[], Iterable[Call]]) -> None:
        """Describe what `calls` returns, this route included."""
        self._all = calls

    def calls(self) -> tuple[Call, ...]:
        """Return the route."""
        told = {200: Told("the document", {"type": "object"})}
        return (Call("GET", "/api/openapi.json", self._document, "This document", told),)

    def _document(self, request: Request) -> Response:
        return JSONResponse(document(self._all()))


def document(calls: Iterable[Call]) -> dict[str, Any]:
    """Return the document of these calls."""
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "opstore",
            "version": opstore.__version__,
            "summary": "Every generative-media operation, kept as plain files.",
            "description": "docs/http.md explains what this document lists, with examples.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # No address of its own: whoever reads it here finds the routes here.
        "servers": [{"url": "/"}],
        # From this machine nothing is asked for.
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {name: _plain(schema, name) for name, schema in _NAMED.items()},
        },
    }


def _operation(call: Call) -> dict[str, Any]:
    errors = _ALWAYS | {status: _ELSE[status] for status in call.errors}
    answers = {**{status: Told(what, ERROR) for status, what in errors.items()}, **call.answers}
    operation: dict[str, Any] = {
        "operationId": _name(call),
        "summary": call.what,
        "parameters": [_parameter(parameter) for parameter in call.parameters],
        "responses": {str(status): _answer(answers[status], status) for status in sorted(answers)},
    }
    if call.body:
        content = {"schema": _plain(call.body.schema)}
        operation["requestBody"] = {"required": True, "content": {call.body.media_type: content}}
    return operation


def _name(call: Call) -> str:
    """Return a name for programs that make functions of it, such as getHistoryOperationId."""
    words = re.findall(r"[A-Za-z]+", call.path.removeprefix("/api"))
    return call.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.what,
        "required": parameter.place == "path",
        "schema": _plain(parameter.schema),
    }


def _answer(response: Told, status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": response.what}
    headers = dict(response.headers) | ({"Retry-After": "seconds"} if status == 429 else {})
    if headers:
        answer["headers"] = {name: {"description": what, "schema": {"type": "string"}} for name, what in headers.items()}
    if response.media_types:
        schema = {"schema": _plain(response.schema)} if response.schema is not None else {}
        answer["content"] = {kind: schema for kind in response.media_types}
    return answer


def _plain(value: Any, naming: str | None = None) -> Any:
    """Return a schema as JSON; one that has a name stands there by its name, except where it is named."""
    for name, schema in _NAMED.items():
        if value is schema and name != naming:
            return {"$ref": f"#/components/schemas/{name}"}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
