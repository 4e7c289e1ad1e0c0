"""What happens, as server-sent events: one look at the folder and the index for all listeners, none while nobody listens.

A listener that comes back with `Last-Event-ID` gets what it missed, or, where that is not known any more, everything that is
under way. A listener holds no thread; there are only so many; one that reads too slowly is let go and may come back.

`job` tells of one under way, `ended` how one that was told of ended, `changed` which operations of the library are others than
before, also those that came and went between two looks, in whatever process (null: so many that everything is to be asked anew).
"""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from opstore.api.shapes import job_record
from opstore.api.table import TEXT, Call, Parameter, Told
from opstore.errors import OpstoreError

if TYPE_CHECKING:
    from opstore.app import Acting

#: How often the folder is looked at while somebody listens, in seconds.
LOOK_SECONDS = 0.5
#: Listeners at a time: a browser opens one a tab.
MAX_LISTENERS = 100
#: Events that are kept for those who come back: minutes of a busy runner.
KEPT = 1_000
#: A comment on a silent line, so that proxies keep it open, and a dead one is noticed; and how long one piece may take.
PING_SECONDS, SEND_SECONDS = 15, 30


class Events:
    """The events of one opened app, and who listens to them."""

    def __init__(self, app: Callable[[], Acting]) -> None:
        """Tell of what `app` returns; nothing is looked at before somebody listens."""
        self._app = app
        self._listeners = 0
        #: Numbers start anew with every process: an id from another one is met by none here.
        self._origin = secrets.token_hex(4)
        self._number = 0
        self._kept: deque[tuple[int, str, str]] = deque(maxlen=KEPT)
        self._known: Mapping[str, dict[str, Any]] = {}
        self._cursor: str | None = None
        self._looked = 0.0
        self._looking = False

    def calls(self) -> tuple[Call, ...]:
        """Return the route."""
        last = Parameter("Last-Event-ID", "the last event that was seen", TEXT, "header")
        told = {200: Told("events without end: `jobs`, then `job`, `ended`, `changed`", None, ("text/event-stream",))}
        return (Call("GET", "/api/events", self._listen, "What happens, as it happens", told, (last,), errors=(503,)),)

    async def _listen(self, request: Request) -> Response:
        self._app().service.person.check("jobs")  # here, where a refusal is still an answer
        if self._listeners >= MAX_LISTENERS:
            raise TooManyListeners
        last = request.headers.get("last-event-id", "")
        return EventSourceResponse(self._told(last), ping=PING_SECONDS, send_timeout=SEND_SECONDS)

    async def _told(self, last: str) -> AsyncIterator[ServerSentEvent]:
        """Yield events to one listener for as long as it is there."""
        if self._listeners >= MAX_LISTENERS:  # all came in at once
            return
        self._listeners += 1
        try:
            await self._look(first=self._listeners == 1)
            seen = self._seen(last)
            if seen is None:
                seen = self._number
                yield self._event(seen, "jobs", json.dumps(list(self._known.values())))
            while True:
                for number, name, data in [kept for kept in self._kept if kept[0] > seen]:
                    yield self._event(number, name, data)
                if self._kept and self._kept[0][0] > seen + 1:
                    return  # some were lost before they could be sent: who comes back is told all
                seen = self._number
                await anyio.sleep(LOOK_SECONDS)
                await self._look()
        finally:
            self._listeners -= 1

    def _event(self, number: int, name: str, data: str) -> ServerSentEvent:
        return ServerSentEvent(data, event=name, id=f"{self._origin}-{number}", retry=2_000, sep="\n")

    def _seen(self, last: str) -> int | None:
        """Return the number of the last event that a listener has seen, None where what followed is not known any more."""
        origin, _, text = last.partition("-")
        if origin != self._origin or not (text.isascii() and text.isdigit() and len(text) < 16):
            return None
        number = int(text)
        oldest = self._kept[0][0] if self._kept else self._number + 1
        return number if oldest - 1 <= number <= self._number else None

    async def _look(self, first: bool = False) -> None:
        """Look at what is under way, once for all who want to look now, and keep what has changed as events."""
        if self._looking or (not first and anyio.current_time() - self._looked < LOOK_SECONDS * 0.9):
            return
        self._looking = True
        try:
            found, happened = await run_in_threadpool(self._read)
        finally:
            self._looking, self._looked = False, anyio.current_time()
        for name, record in happened:
            self._number += 1
            self._kept.append((self._number, name, json.dumps(record)))
        self._known = found

    def _read(self) -> tuple[dict[str, dict[str, Any]], list[tuple[str, dict[str, Any]]]]:
        """Return what is under way by id, and what has happened since the last look."""
        service = self._app().service
        found = {job.id: job_record(job) for job in service.jobs()}
        happened = [("job", record) for key, record in found.items() if _differs(self._known.get(key), record)]
        for operation_id in self._known.keys() - found.keys():
            try:
                status = service.operation(operation_id).status
            except OpstoreError:  # trashed at once, or damaged
                status = "gone"
            told = {"operationId": operation_id, "status": status, "location": f"/api/history/{operation_id}"}
            happened.append(("ended", told))
        changes = service.index.changes_since(self._cursor)
        if self._cursor is not None and changes.ids != ():
            happened.append(("changed", {"operationIds": None if changes.ids is None else list(changes.ids)}))
        self._cursor = changes.cursor
        return found, happened


def _differs(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    """Say whether a job is another than it was; the time that has gone by is no event."""
    return before is None or {**before, "seconds": 0} != {**now, "seconds": 0}


class TooManyListeners(OpstoreError):
    """Too many programs listen for events at this moment. Close some, or ask /api/jobs."""

    status = 503
