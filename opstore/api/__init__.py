"""The HTTP routes over the service, served by the same process as the pages.

Each group of routes is a module; `guard` is around all of them, and every path of /api answers in JSON,
also one that is not there; below /s, what was handed on to others, a page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opstore.api.compare import Compare
from opstore.api.export import Exporting
from opstore.api.guard import Guard, Identify, NotAdmitted, SecurityHeaders, error_answer, middleware, no_sign_in
from opstore.api.look import MAX_CARD_PROMPT, Look, card
from opstore.api.share import ShareRoutes

if TYPE_CHECKING:
    from opstore.app import App


class Api:
    """The routes over one opened app, which is asked for at each request: it may be opened after the routes are made."""

    def __init__(self, app: Callable[[], App], identify: Identify = no_sign_in) -> None:
        """Serve what `app` returns, to whom `identify` says has signed in."""
        self._app = app
        self._identify = identify

    def routes(self) -> list[Route]:
        """Return the routes; the last two catch every other path of /api, which the pages' server would answer with 200."""
        guard = Guard(self._app, self._identify)
        exporting = Exporting(guard.acting)
        groups = (Look(guard.acting), Compare(guard.acting), exporting)
        return [
            *(Route(path, guard.endpoint(answer)) for group in groups for path, answer in group.answers().items()),
            exporting.route(guard),
            *ShareRoutes(self._app).routes(guard),
            Route("/api/{rest:path}", guard.endpoint(_nothing, ())),
            Route("/api", guard.endpoint(_nothing, ())),
        ]


def _nothing(request: Request) -> Response:
    return error_answer("There is nothing at this address.", 404)


__all__ = ["MAX_CARD_PROMPT", "Api", "NotAdmitted", "SecurityHeaders", "card", "middleware"]
