"""The routes of comparisons: frames of videos, the figures of two pictures, and the picture of where they differ.

What is compared is named by stored files, a frame of a video as `{name}@first`, `@last` or `@{milliseconds}`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opstore.api.file_answers import kept_file, unless_known
from opstore.api.route_table import SUBJECT, TEXT, Call, Parameter, Told, done
from opstore.comparing.align import FITS, Fit
from opstore.comparing.subjects import Subject
from opstore.errors import InvalidFit, said

if TYPE_CHECKING:
    from opstore.app import Acting


class Compare:
    """The answers over one opened app."""

    def __init__(self, app: Callable[[], Acting]) -> None:
        """Answer from what `app` returns."""
        self._app = app

    def calls(self) -> tuple[Call, ...]:
        """Return the routes."""
        picture = {200: Told("the picture", None, ("image/png",)), 304: Told("the caller has it already", None, ())}
        fit = Parameter("fit", "how to lay them on each other; without it, as fits best", {"enum": ["", *FITS]})
        two = (_subject("first"), _subject("second"), fit)
        schema = done(alignment={"type": "object"}, figures={"type": "object"}, heat=TEXT)
        pair = "/api/compare/{first}/{second}"
        return (
            Call(
                "GET",
                "/api/frames/{subject}",
                self._frame,
                "A frame of a video",
                picture,
                (_subject("subject"),),
                errors=(404, 422),
            ),
            Call(
                "GET",
                pair,
                self._figures,
                "How two pictures differ, in figures",
                {200: Told("the figures", schema)},
                two,
                errors=(404, 422),
            ),
            Call("GET", f"{pair}/heat.png", self._heat, "Where two pictures differ", picture, two, errors=(404, 422)),
        )

    def _frame(self, request: Request) -> Response:
        path = self._app().service.comparisons.frame(Subject.read(request.path_params["subject"]))
        return unless_known(kept_file(path, "image/png"), request)

    def _figures(self, request: Request) -> Response:
        first, second, fit = _asked(request)
        found, figures, _ = self._app().service.comparisons.difference(first, second, fit)
        heat = f"/api/compare/{first}/{second}/heat.png?{urlencode({'fit': found.fit})}"
        alignment = {"fit": found.fit, "chosen": found.chosen, "first": found.first, "second": found.second}
        return JSONResponse({"success": True, "alignment": alignment, "figures": asdict(figures), "heat": heat})

    def _heat(self, request: Request) -> Response:
        _, _, path = self._app().service.comparisons.difference(*_asked(request))
        return unless_known(kept_file(path, "image/png"), request)


def _subject(name: str) -> Parameter:
    return Parameter(name, "a stored file, or a frame of a video as {name}@first, @last or @{milliseconds}", SUBJECT, "path")


def _asked(request: Request) -> tuple[Subject, Subject, Fit | None]:
    first, second = (Subject.read(request.path_params[name]) for name in ("first", "second"))
    fit = request.query_params.get("fit")
    for known in FITS:
        if fit == known:
            return first, second, known
    if fit:
        raise InvalidFit(reason=said("fit must be one of {choices}", choices=FITS))
    return first, second, None
