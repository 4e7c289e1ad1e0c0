"""The routes that only look: health, search, history, stored files, thumbnails.

Media types come from the bytes, never from a name or a sidecar.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from opstore.api.file_answers import StoredFile, thumbnail_file, unless_known
from opstore.api.route_table import FILE_NAME, FLAG, OPERATION_ID, SHOWN, Call, Parameter, Told, by_id, done, flag, listed
from opstore.api.shapes import ERROR, FILES, HEALTH, JOB, LIMIT, NUMBER, PAGE, SEARCH, SIDECAR, job_record
from opstore.cards import TILES, cards
from opstore.curation import version_of
from opstore.errors import FileMissing, InvalidLimit, OperationNotFound, UnsafeFile
from opstore.index import MAX_PAGE
from opstore.media.provenance import Copy
from opstore.storage.names import is_operation_id, parse_name
from opstore.storage.operation import Operation

if TYPE_CHECKING:
    from opstore.app import Acting

_MAX_LIMIT = 10_000


class Look:
    """The answers over one opened app."""

    def __init__(self, app: Callable[[], Acting]) -> None:
        """Answer from what `app` returns."""
        self._app = app

    def calls(self) -> tuple[Call, ...]:
        """Return the routes."""
        file = (Parameter("name", "a stored file's name", FILE_NAME, "path"),)
        return (
            Call("GET", "/api/health", self._health, "Whether the server works, and on how much", {200: Told("it does", HEALTH)}),
            Call(
                "GET", "/api/search", self._search, "Search, a page at a time", {200: Told("a page", PAGE)}, SEARCH, errors=(422,)
            ),
            Call(
                "GET",
                "/api/history",
                self._history,
                "The newest operations",
                {200: Told("their sidecars, newest first", done(count=NUMBER, operations=listed(SIDECAR)))},
                (LIMIT,),
            ),
            Call(
                "GET",
                "/api/history/{operation_id}",
                self._item,
                "One operation",
                {
                    200: Told("its sidecar", done(operation=SIDECAR), headers={"ETag": "names this state of it, for If-Match"}),
                    202: Told("it is under way", done(operationId=OPERATION_ID, job=JOB), headers={"Retry-After": "seconds"}),
                },
                (by_id(),),
                errors=(404, 422),
            ),
            Call(
                "GET",
                "/api/files/{name}",
                self._file,
                "A stored file, or parts of it",
                {
                    200: Told("the file", None, FILES, {"ETag": "names these bytes"}),
                    206: Told("the part that Range named", None, (*FILES, "multipart/byteranges")),
                    304: Told("the caller has it already", None, ()),
                    416: Told("there is no such part", ERROR),
                },
                (
                    *file,
                    Parameter("download", "a copy to save, which carries the mark of what made it", FLAG),
                    Parameter("shown", "as every browser shows it: a HEIC as WebP, all else as it is stored", FLAG),
                ),
                errors=(404, 415, 422),
            ),
            Call(
                "GET",
                "/api/thumbnails/{name}",
                self._thumbnail,
                "A small picture of a stored file, or of an operation",
                {200: Told("the picture", None, ("image/jpeg", "image/png", "image/webp")), 304: Told("known", None, ())},
                (Parameter("name", "a stored file's name, or an operation's id", SHOWN, "path"),),
                errors=(404, 422),
            ),
        )

    def _health(self, request: Request) -> Response:
        service = self._app().service
        progress = service.index.progress()
        indexed = {"done": progress.done, "total": progress.total, "ready": progress.ready}
        return JSONResponse({"success": True, "jobs": service.count_jobs(), "version": service.index.version(), "index": indexed})

    def _search(self, request: Request) -> Response:
        asked = request.query_params
        query, order, after, group, mark = (asked.get(name) or "" for name in ("q", "order", "cursor", "group", "mark"))
        document = cards(
            self._app().service,
            query,
            order=order or "newest",
            group=group,
            mark=mark,
            after=after or None,
            size=min(_limit(asked.get("limit"), TILES), MAX_PAGE),
            pictures="sec-fetch-site" in request.headers,  # a browser: a program may never ask for them
        )
        return JSONResponse(document)

    def _history(self, request: Request) -> Response:
        operations = self._app().service.store.list_operations(_limit(request.query_params.get("limit")))
        return JSONResponse({"success": True, "count": len(operations), "operations": operations})

    def _item(self, request: Request) -> Response:
        operation_id, service = request.path_params["operation_id"], self._app().service
        try:
            operation = service.store.get_operation_metadata(operation_id)
        except OperationNotFound:
            job = service.job(operation_id)
            if job is None:
                raise
            return JSONResponse(
                {"success": True, "operationId": operation_id, "job": job_record(job)}, 202, headers={"Retry-After": "1"}
            )
        return JSONResponse({"success": True, "operation": operation}, headers={"ETag": etag_of(operation)})

    def _file(self, request: Request) -> Response:
        service, asked = self._app().service, request.path_params["name"]
        shown = flag(request, "shown")
        file, kind = service.open_media(asked, shown=shown)
        name = kind.name if kind else "application/octet-stream"
        # What cannot be recognised is handed over as a file to save, never shown.
        inline = kind is not None and not flag(request, "download")
        copy = None if inline or kind is None else service.copy_to_save(asked, shown=shown)
        if copy is not None:
            file.close()
        answer: Response = StoredFile(file, name) if copy is None else _to_save(copy, name)
        parts = parse_name(asked)
        stem = asked.rsplit(".", 1)[0]
        label = f"{stem}.{kind.extension}" if kind else (str(parts) if parts else "file")
        answer.headers["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{label}"'
        return answer if copy is not None else unless_known(answer, request)

    def _thumbnail(self, request: Request) -> Response:
        name = request.path_params["name"]
        path = self._best_thumbnail(name) if is_operation_id(name) else self._app().service.thumbnails.path(name)
        if path is None:
            raise FileMissing(name=name)
        return unless_known(thumbnail_file(path), request)

    def _best_thumbnail(self, operation_id: str) -> Path | None:
        """Return what shows an operation best: if there is no result, or none that can be seen, what it was made from."""
        operation = Operation.of(self._app().service.store.get_operation_metadata(operation_id))
        for name in (*operation.outputs, *operation.intermediates, *operation.inputs):
            with contextlib.suppress(FileMissing, UnsafeFile):
                path = self._app().service.thumbnails.path(name)
                if path is not None:
                    return path
        return None


def _to_save(copy: Copy, media_type: str) -> Response:
    """Return a copy that is made for this answer: whole, and under no ETag of the stored file, whose bytes it has not."""
    headers = {"Accept-Ranges": "none", "Content-Length": str(copy.size)}
    return StreamingResponse(streamed(copy.parts), media_type=media_type, headers=headers)


async def streamed(parts: Generator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts, each made in a thread; whoever goes away in between ends them at the next one."""
    try:
        while (part := await run_in_threadpool(next, parts, None)) is not None:
            if part:
                yield part
    finally:
        parts.close()


def etag_of(operation: Mapping[str, Any]) -> str:
    """Return what names this state of a sidecar."""
    return f'"{version_of(operation)}"'


def _limit(text: str | None, default: int = 50) -> int:
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _MAX_LIMIT:
        return int(text)
    raise InvalidLimit
