"""The routes that change what is there or is under way: annotations, trash, cancel; and what is under way or wrong.

Nothing is overwritten unseen: with `If-Match` a change is made only to the state that the caller has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opstore.api.body import Bodies
from opstore.api.read_routes import etag_of
from opstore.api.route_table import OPERATION_ID, TEXT, Body, Call, Parameter, Schema, Told, by_id, done, listed, thing
from opstore.api.shapes import JOB, NUMBER, SIDECAR, job_record
from opstore.curation import MAX_NOTE, MAX_TAG, MAX_TAGS, Change, Curation, Edit
from opstore.errors import InvalidInput, said, shown
from opstore.service import Service

if TYPE_CHECKING:
    from opstore.app import Acting

_TAGS: Schema = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": MAX_TAG}, "maxItems": MAX_TAGS}
EDIT: Schema = {
    "type": "object",
    "properties": {
        "rating": {"type": ["integer", "null"], "minimum": 0, "maximum": 5, "description": "0 or null takes it away"},
        "favorite": {"type": "boolean"},
        "addTags": _TAGS,
        "removeTags": _TAGS,
        "note": {"type": "string", "maxLength": MAX_NOTE},
    },
    "additionalProperties": False,
}
_IF_MATCH = Parameter("If-Match", "ETags of the states that may be changed", TEXT, "header")
_PROBLEM = thing(folder=TEXT, name=TEXT, kind=TEXT, detail=TEXT, operation_id={"type": ["string", "null"]})
#: The moments that the clock said before and after a leap: for a day nothing is removed for its age; null without one.
_CLOCK = {"type": ["object", "null"], "properties": {"before": TEXT, "after": TEXT}, "required": ["before", "after"]}


class Changing:
    """The answers over one opened app."""

    def __init__(self, app: Callable[[], Acting], bodies: Bodies) -> None:
        """Change what `app` returns."""
        self._app = app
        self._bodies = bodies

    def calls(self) -> tuple[Call, ...]:
        """Return the routes."""
        item = "/api/history/{operation_id}"
        changed = {200: Told("it is as wanted", done(operation=SIDECAR), headers={"ETag": "names its new state"})}
        gone = {200: Told("it is in the trash", done(operationId=OPERATION_ID, usedBy=listed(OPERATION_ID)))}
        under_way = {200: Told("what is under way, oldest first", done(count=NUMBER, jobs=listed(JOB)))}
        asked = {202: Told("it was asked to stop", done(operationId=OPERATION_ID), headers={"Location": "how it ended"})}
        wrong = {200: Told("what is wrong", done(count=NUMBER, problems=listed(_PROBLEM), clock=_CLOCK))}
        edit = Body("application/json", EDIT)
        trashing = "Move to the trash, where it stays for 30 days"
        reading = (404, 408, 409, 412, 413, 415, 422, 503)
        return (
            Call(
                "PATCH", item, self._annotate, "Rate, tag, note", changed, (by_id(), _IF_MATCH), edit, reading, Curation.annotate
            ),
            Call(
                "DELETE",
                item,
                self._trash,
                trashing,
                gone,
                (by_id(), _IF_MATCH),
                errors=(404, 409, 412),
                act=Curation.put_in_trash,
            ),
            Call("GET", "/api/jobs", self._jobs, "What is under way", under_way),
            Call(
                "POST",
                "/api/jobs/{operation_id}/cancel",
                self._cancel,
                "Stop it",
                asked,
                (by_id(),),
                errors=(404, 422),
                act=Service.cancel,
            ),
            Call("GET", "/api/problems", self._problems, "What is wrong in the data folder (docs/care.md)", wrong),
        )

    async def _annotate(self, request: Request) -> Response:
        edit = _edit(await self._bodies.document(request))
        return await run_in_threadpool(self._annotated, request.path_params["operation_id"], edit, _versions(request))

    def _annotated(self, operation_id: str, edit: Edit, versions: list[str] | None) -> Response:
        service = self._app().service
        _done(service.curation.annotate([operation_id], edit, versions), operation_id)
        operation = service.store.get_operation_metadata(operation_id)
        return JSONResponse({"success": True, "operation": operation}, headers={"ETag": etag_of(operation)})

    def _trash(self, request: Request) -> Response:
        operation_id = request.path_params["operation_id"]
        curation = self._app().service.curation
        users = curation.used_by([operation_id])
        _done(curation.put_in_trash([operation_id], _versions(request)), operation_id)
        return JSONResponse({"success": True, "operationId": operation_id, "usedBy": users})

    def _jobs(self, request: Request) -> Response:
        found = [job_record(job) for job in self._app().service.jobs()]
        return JSONResponse({"success": True, "count": len(found), "jobs": found})

    def _cancel(self, request: Request) -> Response:
        operation_id = request.path_params["operation_id"]
        self._app().service.cancel(operation_id)
        return JSONResponse(
            {"success": True, "operationId": operation_id}, 202, headers={"Location": f"/api/history/{operation_id}"}
        )

    def _problems(self, request: Request) -> Response:
        service = self._app().service
        found, leap = [asdict(problem) for problem in service.problems()], service.clock_leap()
        told = {"success": True, "count": len(found), "problems": found, "clock": leap.told if leap else None}
        return JSONResponse(told)


def _done(change: Change, operation_id: str) -> None:
    """Raise what stopped a change of one operation."""
    if operation_id in change.failed:
        raise change.failed[operation_id]


def _edit(document: Mapping[str, Any]) -> Edit:
    """Return the change that a document describes; what its values may be is the service's to say."""
    unknown = document.keys() - EDIT["properties"].keys()
    if unknown:
        names = tuple(EDIT["properties"])
        raise InvalidInput(reason=said("there is no field {name}; use {names}", name=shown(min(unknown)), names=names))
    tags = {name: document.get(name, []) for name in ("addTags", "removeTags")}
    if not all(isinstance(names, list) for names in tags.values()):
        raise InvalidInput(reason=said("tags must be a list of texts"))
    for name in ("favorite", "note"):
        if name in document and document[name] is None:
            raise InvalidInput(reason=said("{name} must not be null; leave it out to keep what is there", name=name))
    return Edit(
        rating=(0 if document["rating"] is None else document["rating"]) if "rating" in document else None,
        favorite=document.get("favorite"),
        add_tags=tuple(tags["addTags"]),
        remove_tags=tuple(tags["removeTags"]),
        note=document.get("note"),
    )


def _versions(request: Request) -> list[str] | None:
    """Return the states that `If-Match` names, None where any will do; a weak one names none (RFC 9110, 13.1.1).

    An empty header names none either: who lost the tag has not seen what is there.
    """
    headers = request.headers.getlist("if-match")
    given = ",".join(headers).strip()
    if not headers or given == "*":
        return None
    return [tag.strip().strip('"') for tag in given.split(",")]
