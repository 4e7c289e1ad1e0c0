"""Exports over HTTP: streamed as they are made, under a name to save; an export that is given up leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from opstore.api.guard import Answer

if TYPE_CHECKING:
    from opstore.app import App


class Exporting:
    """The answers over one opened app."""

    def __init__(self, app: Callable[[], App]) -> None:
        """Export what `app` returns."""
        self._app = app

    def answers(self) -> dict[str, Answer]:
        """Return the answer of each address."""
        return {"/api/export": self._export}

    def _export(self, request: Request) -> Response:
        asked = request.query_params
        ids = asked.get("ids")
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


async def _streamed(parts: Generator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts, each made in a thread; whoever goes away in between ends the export at the next one."""
    try:
        while (part := await run_in_threadpool(next, parts, None)) is not None:
            if part:
                yield part
    finally:
        parts.close()
