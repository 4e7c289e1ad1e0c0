"""Exports, reports and bundles over HTTP, under a name to save: what is streamed and given up leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, date, datetime, tzinfo
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from opstore.api.body import Bodies
from opstore.api.read_routes import streamed
from opstore.api.route_table import DAY, FLAG, TEXT, Body, Call, Parameter, Told, flag
from opstore.api.shapes import MARK, QUERY, STATS
from opstore.errors import InvalidRequest, RepeatedParameter, said, shown
from opstore.exports import FORMATS, Exports
from opstore.index import ORDERS
from opstore.language.translations import LANGUAGES
from opstore.shares import Scope, Shown, bundle

if TYPE_CHECKING:
    from opstore.app import Acting
    from opstore.shares import Kind

#: A million ids, with their commas encoded.
MAX_FORM = 32 * 1024 * 1024
#: What a bundle may leave out of every operation.
_WITHHELD = tuple(field.name for field in fields(Shown))
_MISSING = {"X-Opstore-Missing": "how many of the operations are left out: removed, or unreadable; absent if none is"}


class Exporting:
    """The answers over one opened app."""

    def __init__(self, app: Callable[[], Acting], bodies: Bodies) -> None:
        """Export what `app` returns."""
        self._app = app
        self._bodies = bodies

    def calls(self) -> tuple[Call, ...]:
        """Return the routes."""
        period = (Parameter("since", "from this day on", DAY), Parameter("until", "to this day, which is included", DAY))
        language = Parameter("language", "of the report", {"enum": list(LANGUAGES)})
        zone = Parameter("zone", "a time zone such as Europe/Paris; UTC by default")
        report = (QUERY, *period, language, zone, Parameter("plain", "without small pictures of results", FLAG))
        export = (
            Parameter("format", "csv by default", {"enum": list(FORMATS)}),
            QUERY,
            MARK,
            Parameter("ids", "these operations, with commas between, instead of a search"),
            Parameter("order", "newest by default", {"enum": ["", *ORDERS]}),
            Parameter("thumbnails", "with small pictures, in xlsx", FLAG),
            Parameter("originals", "media in a zip byte for byte as stored, without the mark of what made them", FLAG),
        )
        kinds = tuple(dict.fromkeys(kind.media_type for kind in FORMATS.values()))
        file = {200: Told("the file", None, kinds)}
        what = "A selection as a file: as a form it may be longer than an address"
        ids = Body(
            "application/x-www-form-urlencoded", {"type": "object", "properties": {"ids": TEXT}, "additionalProperties": False}
        )
        return (
            Call("GET", "/api/export", self._export, "Operations as a file", file, export, errors=(404, 422)),
            Call("POST", "/api/export", self._posted, what, file, export, ids, (404, 408, 413, 415, 422, 503), Exports.prepare),
            Call(
                "GET",
                "/api/report",
                self._report,
                "A usage report",
                {200: Told("one page", None, ("text/html",))},
                report,
                errors=(422,),
            ),
            Call(
                "GET",
                "/api/stats",
                self._stats,
                "The numbers of a search and a period",
                {200: Told("the numbers", STATS)},
                (QUERY, *period),
                errors=(422,),
            ),
            Call(
                "GET",
                "/api/bundle",
                self._bundle,
                "Operations to hand on, as a zip with a page that needs no server",
                {200: Told("the zip", None, ("application/zip",), _MISSING)},
                (
                    Parameter("ids", "one to 200 operations, with commas between"),
                    Parameter(
                        "kind", "how they are shown; a selection by default", {"enum": ["operation", "selection", "comparison"]}
                    ),
                    Parameter("withhold", f"what no file of it has, with commas between: {', '.join(_WITHHELD)}"),
                    Parameter("title", "above the page"),
                    language,
                    Parameter("embed", "the metadata that is shown in the pictures as well", FLAG),
                ),
                errors=(422,),
            ),
        )

    def _bundle(self, request: Request) -> Response:
        asked = request.query_params
        withheld = [name for name in asked.get("withhold", "").split(",") if name]
        if not set(withheld) <= set(_WITHHELD):  # a typing error must not hand it on
            raise InvalidRequest(reason=said("{key} must be {wanted}", key="withhold", wanted=", ".join(_WITHHELD)))
        ids = tuple(name for name in asked.get("ids", "").split(",") if name)
        scope = Scope(
            cast("Kind", asked.get("kind") or "selection"),
            ids,
            Shown(**{name: name not in withheld for name in _WITHHELD}),
            asked.get("title", ""),
        )
        language = _spoken(asked)
        headers = {"Content-Disposition": 'attachment; filename="opstore-results.zip"'}
        shares = self._app().service.shares
        if missing := len(bundle.missing(shares, scope)):
            headers["X-Opstore-Missing"] = str(missing)
        if request.method == "HEAD":
            bundle.check(shares, scope)
            return StreamingResponse(iter(()), headers=headers, media_type="application/zip")  # its length is not known
        whole = bundle.zipped(shares, scope, language=language, embed=flag(request, "embed"))
        return Response(whole, headers=headers, media_type="application/zip")

    def _stats(self, request: Request) -> Response:
        from opstore.report import document, usage  # pandas, as below

        asked = request.query_params
        service = self._app().service
        figures = usage(
            service.analytics,
            asked.get("q", ""),
            since=_day(asked, "since"),
            until=_day(asked, "until"),
            now=datetime.now(UTC),
            votes=service.reviews.rows(),
        )
        return JSONResponse({"success": True, **document(figures)})

    def _report(self, request: Request) -> Response:
        from opstore.report import DocumentFormatter, html, pictures, usage  # pandas: half a second that no other answer pays

        asked, app = request.query_params, self._app()
        language, now = _spoken(asked), datetime.now(UTC)
        speech = DocumentFormatter(language, _zone(asked.get("zone") or "UTC"))
        figures = usage(
            app.service.analytics,
            asked.get("q", ""),
            since=_day(asked, "since"),
            until=_day(asked, "until"),
            now=now,
            votes=app.service.reviews.rows(),
            picture=None if flag(request, "plain") else pictures(app.service.store, app.service.thumbnails),
        )
        # To save, not to show: nothing of /api may run as a page, and the report brings its own policy along.
        headers = {
            "Content-Disposition": f'attachment; filename="opstore-report-{now:%Y-%m-%d}.html"',
        }
        return HTMLResponse(html(figures, speech), headers=headers)

    async def _posted(self, request: Request) -> Response:
        form = await self._bodies.texts(request, ("ids",), MAX_FORM)
        return await run_in_threadpool(self._export, request, form.get("ids"))

    def _export(self, request: Request, ids_text: str | None = None) -> Response:
        asked = request.query_params
        service, query = self._app().service, asked.get("q", "")
        if ids_text is not None and asked.get("ids"):  # empty in the address of a form that holds what no address could
            raise RepeatedParameter(name="ids")
        ids_text = asked.get("ids") if ids_text is None else ids_text
        ids = None if ids_text is None else [name for name in ids_text.split(",") if name]
        if mark := asked.get("mark"):
            if ids is not None:
                raise InvalidRequest(reason=said("give a search or ids, not both"))
            query, ids = "", service.analytics.ids_behind(query, mark)
        export = service.exports.prepare(
            asked.get("format", "csv"),
            query=query,
            ids=ids,
            order=asked.get("order") or "newest",
            thumbnails=flag(request, "thumbnails"),
            originals=flag(request, "originals"),
        )
        headers = {"Content-Disposition": f'attachment; filename="{export.filename}"'}
        if request.method == "HEAD":
            return StreamingResponse(iter(()), headers=headers, media_type=export.format.media_type)  # its length is not known
        return StreamingResponse(streamed(export.parts()), headers=headers, media_type=export.format.media_type)


def _spoken(asked: Mapping[str, str]) -> str:
    language = asked.get("language", "en")
    if language not in LANGUAGES:
        raise InvalidRequest(
            reason=said("there is no language {value}; use one of {names}", value=shown(language), names=tuple(LANGUAGES))
        )
    return language


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
