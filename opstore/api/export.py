"""Exports and reports over HTTP, under a name to save: exports are streamed, and one that is given up leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from anyio import from_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from opstore.api.guard import READING, Answer, Guard
from opstore.errors import InvalidRequest, said, shown
from opstore.translations import LANGUAGES

if TYPE_CHECKING:
    from opstore.app import Acting

#: A million ids, with their commas encoded.
MAX_FORM = 32 * 1024 * 1024


class Exporting:
    """The answers over one opened app."""

    def __init__(self, app: Callable[[], Acting]) -> None:
        """Export what `app` returns."""
        self._app = app

    def answers(self) -> dict[str, Answer]:
        """Return the answer of each address."""
        return {"/api/report": self._report}

    def route(self, guard: Guard) -> Route:
        """Return the route of exports, which also takes a form: a selection may be longer than an address."""
        return Route("/api/export", guard.endpoint(self._export, (*READING, "POST")))

    def _report(self, request: Request) -> Response:
        from opstore.report import Speech, html, usage  # pandas: half a second that no other answer pays

        asked, app = request.query_params, self._app()
        language, now = asked.get("language", "en"), datetime.now(UTC)
        if language not in LANGUAGES:
            raise InvalidRequest(
                reason=said("there is no language {value}; use one of {names}", value=shown(language), names=tuple(LANGUAGES))
            )
        speech = Speech(language, _zone(asked.get("zone") or "UTC"))
        found = usage(app.service.analytics, asked.get("q", ""), since=_day(asked, "since"), until=_day(asked, "until"), now=now)
        # To save, not to show: nothing of /api may run as a page, and the report brings its own policy along.
        headers = {
            "Content-Disposition": f'attachment; filename="opstore-report-{now:%Y-%m-%d}.html"',
            "Cache-Control": "no-store",
        }
        return HTMLResponse(html(found, speech), headers=headers)

    def _export(self, request: Request) -> Response:
        asked = request.query_params
        ids = asked.get("ids")
        if request.method == "POST":
            form = parse_qs(from_thread.run(_body, request).decode("ascii", "replace"))
            ids = form["ids"][0] if "ids" in form else ids
        export = self._app().service.exports.prepare(
            asked.get("format", "csv"),
            query=asked.get("q", ""),
            ids=None if ids is None else [name for name in ids.split(",") if name],
            order=asked.get("order") or "newest",
            thumbnails=asked.get("thumbnails") in ("1", "yes", "true"),
        )
        headers = {"Content-Disposition": f'attachment; filename="{export.filename}"', "Cache-Control": "no-store"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type=export.format.media_type)
        return StreamingResponse(_streamed(export.parts()), headers=headers, media_type=export.format.media_type)


async def _body(request: Request) -> bytes:
    """Return the body of a form; raise InvalidRequest for one that is too large."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > MAX_FORM:
            raise InvalidRequest(reason=said("the list of ids is too long; export what a search finds"))
    return bytes(found)


def _day(asked: Mapping[str, str], name: str) -> date | None:
    text = asked.get(name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidRequest(reason=said("{name} must be a day such as 2025-11-01", name=name)) from None


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as Europe
        raise InvalidRequest(reason=said("there is no time zone {value}", value=shown(name))) from None


async def _streamed(parts: Generator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts, each made in a thread; whoever goes away in between ends the export at the next one."""
    try:
        while (part := await run_in_threadpool(next, parts, None)) is not None:
            if part:
                yield part
    finally:
        parts.close()
