"""The HTTP routes over the service, served by the same process as the pages.

Each group of routes is a module; `guard` is around all of them, and every path of /api answers in JSON,
also one that is not there; below /s, what was handed on to others, a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opstore.api.answering import Answering
from opstore.api.body import Bodies
from opstore.api.change_routes import Changing
from opstore.api.compare import Compare
from opstore.api.connections import brake_logs, end_soon, guard_connections
from opstore.api.events import Events
from opstore.api.export import Exporting
from opstore.api.generation_routes import Making
from opstore.api.guard import READING, Guard, Identify, SecurityHeaders, error_answer, middleware, no_sign_in
from opstore.api.openapi import Describing
from opstore.api.read_routes import Look
from opstore.api.route_table import Answer, Call
from opstore.api.share import ShareRoutes
from opstore.errors import NotAdmitted

if TYPE_CHECKING:
    from opstore.app import Acting, App


class Api:
    """The routes over one opened app, which is asked for at each request: it may be opened after the routes are made."""

    def __init__(self, app: Callable[[], App], identify: Identify = no_sign_in) -> None:
        """Serve what `app` returns, to whom `identify` says has signed in."""
        self._app = app
        self._identify = identify

    @staticmethod
    def calls(acting: Callable[[], Acting]) -> tuple[Call, ...]:
        """Return every call of /api over what `acting` returns: the one table from which they are mounted and described."""
        bodies = Bodies()
        groups = (
            Look(acting),
            Making(acting, bodies),
            Changing(acting, bodies),
            Events(acting),
            Compare(acting),
            Exporting(acting, bodies),
            Describing(lambda: found),
        )
        found = tuple(call for group in groups for call in group.calls())
        return found

    def routes(self) -> list[Route]:
        """Return the routes; the last two catch every other path of /api, which the pages' server would answer with 200."""
        guard = Guard(self._app, self._identify)
        by_path: dict[str, list[Call]] = {}
        for call in self.calls(guard.acting):
            by_path.setdefault(call.path, []).append(call)
        return [
            *(Route(path, guard.endpoint(_by_method(calls, guard.acting), _methods(calls))) for path, calls in by_path.items()),
            *ShareRoutes(self._app).routes(guard),
            Route("/api/{rest:path}", guard.endpoint(_nothing, ())),
            Route("/api", guard.endpoint(_nothing, ())),
        ]


def _methods(calls: Sequence[Call]) -> tuple[str, ...]:
    return tuple(method for call in calls for method in (READING if call.method == "GET" else (call.method,)))


def _by_method(calls: Sequence[Call], acting: Callable[[], Acting]) -> Answer:
    by_method = {call.method: call for call in calls}

    def answer(request: Request) -> Response | Awaitable[Response]:
        call = by_method["GET" if request.method == "HEAD" else request.method]  # type: ignore[index] # the guard knows no other
        if call.act is not None:
            acting().service.person.check(call.act)
        call.check_query(request)
        return call.answer(request)

    return answer


def _nothing(request: Request) -> Response:
    return error_answer("There is nothing at this address.", 404)


__all__ = ["Answering", "Api", "NotAdmitted", "SecurityHeaders", "brake_logs", "end_soon", "guard_connections", "middleware"]
