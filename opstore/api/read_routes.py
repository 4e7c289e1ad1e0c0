"""The routes that only look: health, search, history, stored files, thumbnails.

Media types come from the bytes, never from a name or a sidecar.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from opstore.api.guard import error_answer
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
    from starlette.types import Message, Receive, Scope, Send

    from opstore.app import Acting

#: A stored file never changes under its name.
FOREVER = "private, max-age=31536000, immutable"
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
        path, kind = service.shown(asked) if flag(request, "shown") else service.media(asked)
        name = kind.name if kind else "application/octet-stream"
        # What cannot be recognised is handed over as a file to save, never shown.
        inline = kind is not None and not flag(request, "download")
        likeness = path if flag(request, "shown") else None
        copy = None if inline or kind is None else service.copy_to_save(asked, likeness)
        answer: Response = file_answer(path, name) if copy is None else _to_save(copy, name)
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


def thumbnail_file(path: Path, keep: str = FOREVER) -> Response:
    """Return a small picture as an answer, read at once: a file in pieces goes through other threads three times."""
    try:
        with path.open("rb") as file:
            found, data = os.fstat(file.fileno()), file.read()
    except FileNotFoundError:  # the cache was deleted at this very moment
        raise FileMissing(name=path.name) from None
    kind = "image/webp" if data[:4] == b"RIFF" else "image/png" if data[:4] == b"\x89PNG" else "image/jpeg"
    told = {"ETag": f'"{found.st_mtime_ns:x}-{len(data):x}"', "Last-Modified": formatdate(found.st_mtime, usegmt=True)}
    return Response(data, media_type=kind, headers={"Cache-Control": keep, **told})


class StoredFile(FileResponse):
    """A file, or parts of it, as RFC 9110 wants them: parts are for GET only (14.2), and a refusal is told as every error is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        unit = next((value for name, value in scope["headers"] if name == b"range"), b"").partition(b"=")[0].strip().lower()
        if scope["method"] != "GET" or unit != b"bytes":  # another unit is passed over
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"range"]}
        refusal: JSONResponse | None = None

        async def told(message: Message) -> None:
            nonlocal refusal
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                size = {"Content-Range": f"bytes */{self.headers['content-length']}"} if message["status"] == 416 else {}
                refusal = error_answer("There is no such part of this file.", message["status"])
                refusal.headers.update(size)
            elif refusal is None:
                await send(message)

        await super().__call__(scope, receive, told)
        if refusal is not None:
            await refusal(scope, receive, send)


def etag_of(operation: Mapping[str, Any]) -> str:
    """Return what names this state of a sidecar."""
    return f'"{version_of(operation)}"'


def file_answer(path: Path, media_type: str, keep: str = FOREVER) -> FileResponse:
    """Return a file, which a browser may `keep` as Cache-Control says; raise FileMissing where it has gone meanwhile."""
    try:
        found = path.lstat()
    except FileNotFoundError:  # deleted since it was looked at
        raise FileMissing(name=path.name) from None
    return StoredFile(path, media_type=media_type, headers={"Cache-Control": keep}, stat_result=found)


def unless_known(answer: Response, request: Request) -> Response:
    """Return 304 where the caller says that it has this very file, else the file."""
    tags, since = request.headers.get("if-none-match"), request.headers.get("if-modified-since")
    if tags is not None:
        known = tags.strip() == "*" or answer.headers["etag"] in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    else:
        known = since is not None and _is_not_after(answer.headers["last-modified"], since)
    if not known:
        return answer
    kept = {name: answer.headers[name] for name in ("cache-control", "etag", "last-modified")}
    return Response(status_code=304, headers=kept)


def _is_not_after(modified: str, since: str) -> bool:
    """Compare two HTTP dates; one that is none says nothing (RFC 9110, 13.1.3)."""
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(since)
    except (ValueError, TypeError, OverflowError):  # TypeError: without a zone
        return False


def _limit(text: str | None, default: int = 50) -> int:
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _MAX_LIMIT:
        return int(text)
    raise InvalidLimit
