"""The HTTP routes over the service, served by the same process as the pages; one place turns errors into answers.

Every answer that is not a file is JSON, every error `{"success": false, "error": "…"}`. Media types come from the bytes, never
from a name or a sidecar, and nothing that is served can run as a page.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from opstore.errors import FileMissing, InvalidQuery, InvalidRequest, OpstoreError, UnsafeFile, shown
from opstore.index import MAX_PAGE, Row
from opstore.names import is_operation_id, parse_name
from opstore.operation import Operation, timestamp

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from opstore.app import App

log = logging.getLogger("opstore.api")

#: What a browser on this machine calls it; any other Host is a name that somebody pointed here (DNS rebinding).
HOSTS = ["127.0.0.1", "localhost", "[::1]"]
_FOREVER = "private, max-age=31536000, immutable"
_MAX_LIMIT = 10_000
#: Characters of a prompt on a tile; the whole of it is one click away.
MAX_CARD_PROMPT = 160


class Api:
    """The routes over one opened app, which is asked for at each request: it may be opened after the routes are made."""

    def __init__(self, app: Callable[[], App]) -> None:
        """Serve what `app` returns."""
        self._app = app

    def routes(self) -> list[Route]:
        """Return the routes; the last two catch every other path of /api, which the pages' server would answer with 200."""
        return [
            Route("/api/health", self._guarded(self._health)),
            Route("/api/search", self._guarded(self._search)),
            Route("/api/history", self._guarded(self._history)),
            Route("/api/history/{operation_id}", self._guarded(self._item)),
            Route("/api/files/{name}", self._guarded(self._file)),
            Route("/api/thumbnails/{name}", self._guarded(self._thumbnail)),
            Route("/api/{rest:path}", self._guarded(self._nothing, ())),
            Route("/api", self._guarded(self._nothing, ())),
        ]

    def _guarded(self, answer: Callable[[Request], Response], methods: Sequence[str] = ("GET", "HEAD")) -> ASGIApp:
        """Return `answer` as an endpoint that turns whatever goes wrong into JSON; no `methods` means all of them.

        An ASGI endpoint gets every method from its route: otherwise the framework would refuse some, and in plain text.
        """

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive, send)
            try:
                self._admit(request)
                if methods and request.method not in methods:
                    raise MethodNotAllowed(method=shown(request.method))
                response = await run_in_threadpool(answer, request)
            except InvalidQuery as error:
                place = {key: error.details[key] for key in ("position", "length")}
                response = JSONResponse({"success": False, "error": str(error), **place}, status_code=error.status)
            except OpstoreError as error:
                response = _error(str(error), error.status)
            except Exception:  # a fault of the program itself: the caller gets JSON all the same, the log the details
                log.exception("%s %s", request.method, ascii(request.url.path))
                response = _error("Something went wrong here. The server's log has the details.", 500)
            if response.status_code == MethodNotAllowed.status:
                response.headers["Allow"] = ", ".join(methods)
            await response(scope, receive, send)

        return _Endpoint(handle)

    def _admit(self, request: Request) -> None:
        """Let in whoever sits at this machine, or holds the token."""
        token = self._app().settings.api_token
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Header bytes are read as Latin-1: encoded back they are what was sent, a token in UTF-8 too.
        if token and scheme.lower() == "bearer" and secrets.compare_digest(given.strip().encode("latin-1"), token.encode()):
            return
        if request.client is None or not _is_loopback(request.client.host):
            raise NotAdmitted

    # -- the answers -----------------------------------------------------------------------------------------------------

    def _health(self, request: Request) -> Response:
        service = self._app().service
        progress = service.index.progress()
        indexed = {"done": progress.done, "total": progress.total, "ready": progress.ready}
        return JSONResponse(
            {"success": True, "jobs": service.count_jobs(), "version": service.index.version(), "index": indexed},
            headers={"Cache-Control": "no-store"},
        )

    def _search(self, request: Request) -> Response:
        asked = request.query_params
        index = self._app().service.index
        limit = min(_limit(asked.get("limit"), 100), MAX_PAGE)
        version = index.version()  # before the rows: what changes in between is seen again, never overlooked
        found = index.search(
            asked.get("q", ""),
            order=asked.get("order") or "newest",
            after=asked.get("cursor") or None,
            size=limit,
            stack=asked.get("group") or None,
        )
        document = {
            "success": True,
            "total": {"n": found.total.n, "exact": found.total.exact},
            "next": found.next if limit else None,
            "rows": [card(row, found.stacks.get(row.id, 1)) for row in found.rows[:limit]],
            "version": version,
        }
        return JSONResponse(document, headers={"Cache-Control": "no-store"})

    def _history(self, request: Request) -> Response:
        operations = self._app().store.list_operations(_limit(request.query_params.get("limit")))
        return JSONResponse({"success": True, "count": len(operations), "operations": operations})

    def _item(self, request: Request) -> Response:
        operation = self._app().store.get_operation_metadata(request.path_params["operation_id"])
        return JSONResponse({"success": True, "operation": operation})

    def _file(self, request: Request) -> Response:
        path, kind = self._app().service.media(request.path_params["name"])
        name = kind.name if kind else "application/octet-stream"
        # What cannot be recognised is handed over as a file to save, never shown.
        inline = kind is not None and request.query_params.get("download") is None
        answer = _file(path, name)
        parts = parse_name(path.name)
        stem = path.name.rsplit(".", 1)[0]
        label = f"{stem}.{kind.extension}" if kind else (str(parts) if parts else "file")
        answer.headers["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{label}"'
        return _unless_known(answer, request)

    def _thumbnail(self, request: Request) -> Response:
        name = request.path_params["name"]
        path = self._best_thumbnail(name) if is_operation_id(name) else self._app().thumbnails.path(name)
        if path is None:
            raise FileMissing(name=name)
        try:
            with path.open("rb") as file:
                head = file.read(16)
        except FileNotFoundError:  # the cache was deleted at this very moment
            raise FileMissing(name=path.name) from None
        kind = "image/webp" if head[:4] == b"RIFF" else "image/png" if head[:4] == b"\x89PNG" else "image/jpeg"
        return _unless_known(_file(path, kind), request)

    def _best_thumbnail(self, operation_id: str) -> Path | None:
        """Return what shows an operation best: where there is no result, or none that can be seen, what it was made from."""
        operation = Operation.of(self._app().store.get_operation_metadata(operation_id))
        for name in (*operation.outputs, *operation.intermediates, *operation.inputs):
            with contextlib.suppress(FileMissing, UnsafeFile):
                path = self._app().thumbnails.path(name)
                if path is not None:
                    return path
        return None

    def _nothing(self, request: Request) -> Response:
        return _error("There is nothing at this address.", 404)


class _Endpoint:
    """An ASGI app that is an object: a route takes it as it is, where it would take a function for one of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _error(text: str, status: int) -> JSONResponse:
    return JSONResponse({"success": False, "error": text}, status_code=status)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A server that listens on :: sees IPv4 callers as ::ffff:127.0.0.1.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _file(path: Path, media_type: str) -> FileResponse:
    try:
        found = path.lstat()
    except FileNotFoundError:  # deleted since it was looked at
        raise FileMissing(name=path.name) from None
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": _FOREVER}, stat_result=found)


def _unless_known(answer: FileResponse, request: Request) -> Response:
    """Return 304 where the caller says that it has this very file, else the file."""
    tags, since = request.headers.get("if-none-match"), request.headers.get("if-modified-since")
    if tags is not None:
        known = tags.strip() == "*" or answer.headers["etag"] in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    else:
        known = since is not None and since == answer.headers["last-modified"]
    if not known:
        return answer
    kept = {name: answer.headers[name] for name in ("cache-control", "etag", "last-modified")}
    return Response(status_code=304, headers=kept)


class NotAdmitted(OpstoreError):
    """This interface answers on this machine only; from elsewhere it wants a bearer token (OPSTORE_API_TOKEN)."""

    status = 401


class MethodNotAllowed(InvalidRequest):
    """This address does not answer {method}."""

    status = 405


def card(row: Row, stack: int = 1) -> dict[str, Any]:
    """Return what a tile of the library shows of an operation, and of the `stack` behind it."""
    shown_file = row.output or (row.id if row.inputs else None)
    return {
        "id": row.id,
        "time": timestamp(row.moment),
        "type": row.type,
        "status": row.status,
        "prompt": row.prompt[:MAX_CARD_PROMPT],
        "model": row.model,
        "output": row.output,
        "thumbnail": f"/api/thumbnails/{shown_file}" if shown_file else None,
        "video": (row.output or "").endswith((".mp4", ".webm")),
        "rating": row.rating,
        "favorite": row.favorite,
        "tags": list(row.tags),
        "batchId": row.batch_id,
        "inputs": row.inputs,
        "stack": stack,
    }


def _limit(text: str | None, default: int = 50) -> int:
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _MAX_LIMIT:
        return int(text)
    raise InvalidLimit


class InvalidLimit(InvalidRequest):
    """limit must be a whole number from 0 to 10000."""

    status = 400


class SecurityHeaders:
    """Adds to every answer what keeps a browser from guessing types, framing the app, or telling others where it was."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the headers of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        extra = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"SAMEORIGIN"),
            (b"referrer-policy", b"same-origin"),
        ]
        if scope["path"].startswith("/api/"):
            extra.append((b"content-security-policy", b"default-src 'none'; sandbox"))

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self._app(scope, receive, complete)


def middleware() -> list[Middleware]:
    """Return what stands before every route and page."""
    return [Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS), Middleware(SecurityHeaders)]


__all__ = ["Api", "NotAdmitted", "SecurityHeaders", "middleware"]
