"""What happens, as server-sent events: one look at the folder and the index for all listeners, none while nobody listens.

A listener that comes back with `Last-Event-ID` gets what it missed: for some time the folder is looked at for whoever has gone.
Where that is not known any more, also after a restart, it is told everything that is under way, and how all that ended meanwhile
did. A listener holds no thread; there are only so many; one that reads too slowly is let go and may come back.

`job` tells of one under way, `ended` how one ended, also one that came and went between two looks, `changed` which operations of
the library are others than before, in whatever process (null: so many that everything is to be asked anew).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from opstore.api.route_table import TEXT, Call, Parameter, Told
from opstore.api.shapes import job_record
from opstore.errors import OpstoreError, TooManyListeners
from opstore.service import Service
from opstore.storage.operation import parse_time

if TYPE_CHECKING:
    from opstore.app import Acting

#: How often the folder is looked at while somebody listens, in seconds.
LOOK_SECONDS = 0.5
#: Listeners at a time: a browser opens one a tab.
MAX_LISTENERS = 100
#: Events that are kept for those who come back: minutes of a busy runner.
KEPT = 1_000
#: How long the folder is looked at after the last listener has gone: a page is back after seconds, a laptop after minutes.
STAY_SECONDS = 300.0
#: Operations that are looked at for whether they have ended since: more come at once only by an import.
MOST_ENDED = 200
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
        #: When the folder was last looked at, by the clock of the sidecars; and what was told to have ended.
        self._read_at = datetime.now(UTC)
        self._ended: deque[str] = deque(maxlen=KEPT)
        self._staying: asyncio.Task[None] | None = None

    def calls(self) -> tuple[Call, ...]:
        """Return the route."""
        last = Parameter("Last-Event-ID", "the last event that was seen", TEXT, "header")
        told = {200: Told("events without end: `jobs`, then `job`, `ended`, `changed`", None, ("text/event-stream",))}
        return (Call("GET", "/api/events", self._listen, "What happens, as it happens", told, (last,), errors=(503,)),)

    async def _listen(self, request: Request) -> Response:
        self._check()  # here, where a refusal is still an answer
        if self._listeners >= MAX_LISTENERS:
            raise TooManyListeners
        if request.method == "HEAD":  # as a stream its answer would have no end, and nobody would see it
            return StreamingResponse(iter(()), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
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
                for ended in await run_in_threadpool(self._ended_since, last):
                    yield self._event(seen, "ended", json.dumps(ended))
            while True:
                await run_in_threadpool(self._check)
                if self._kept and self._kept[0][0] > seen + 1:
                    return  # some were lost before they could be sent: who comes back is told all
                for number, name, data in [kept for kept in self._kept if kept[0] > seen]:
                    yield self._event(number, name, data)
                    seen = number  # and no further: while it is sent, another listener's look may find more
                await anyio.sleep(LOOK_SECONDS)
                await self._look()
        except OpstoreError:  # rights that have gone, or a folder that cannot be read for a moment
            return  # who comes back is told why, or what happened meanwhile
        finally:
            self._listeners -= 1
            if not self._listeners and (self._staying is None or self._staying.done()):
                self._staying = asyncio.create_task(self._stay())

    def _check(self) -> None:
        """Raise what refuses a listener more: its line is open for hours, and its rights are those of this moment."""
        self._app().service.person.check(Service.jobs)

    async def _stay(self) -> None:
        """Go on looking for who may come back."""
        end = anyio.current_time() + STAY_SECONDS
        with contextlib.suppress(OpstoreError):  # it looks with the rights of who listened last
            while not self._listeners and anyio.current_time() < end:
                await anyio.sleep(LOOK_SECONDS)
                await self._look()

    def _event(self, number: int, name: str, data: str) -> ServerSentEvent:
        now = int(self._read_at.timestamp() * 1000)
        return ServerSentEvent(data, event=name, id=f"{self._origin}-{number}-{now}", retry=2_000, sep="\n")

    def _seen(self, last: str) -> int | None:
        """Return the number of the last event that a listener has seen, None where what followed is not known any more."""
        origin, number, _time = _parts(last)
        if origin != self._origin:
            return None
        oldest = self._kept[0][0] if self._kept else self._number + 1
        return number if oldest - 1 <= number <= self._number else None

    async def _look(self, first: bool = False) -> None:
        """Look at what is under way, once for all who want to look now, and keep what has changed as events."""
        if self._looking or (not first and anyio.current_time() - self._looked < LOOK_SECONDS * 0.9):
            return
        self._looking = True
        try:
            jobs, happened = await run_in_threadpool(self._read)
        finally:
            self._looking, self._looked = False, anyio.current_time()
        for name, record in happened:
            self._number += 1
            self._kept.append((self._number, name, json.dumps(record)))
        self._known = jobs

    def _ended_since(self, last: str) -> list[dict[str, Any]]:
        """Return how operations ended after an event of which this process knows nothing any more."""
        since = _parts(last)[2]
        if not since:
            return []
        newest = [row.id for row in self._app().service.index.search(size=MOST_ENDED).rows]
        return self._endings(newest, datetime.fromtimestamp(since / 1000, UTC))

    def _endings(self, ids: Sequence[str], since: datetime) -> list[dict[str, Any]]:
        """Return how those of some operations ended that have ended after a time."""
        endings = []
        for operation_id in ids[:MOST_ENDED]:
            with contextlib.suppress(OpstoreError):  # trashed at once, or damaged
                operation = self._app().service.operation(operation_id)
                ended = parse_time(operation.sidecar.get("completedAt"))
                if ended and ended >= since:
                    endings.append(_told_ended(operation_id, operation.status))
        return endings

    def _read(self) -> tuple[dict[str, dict[str, Any]], list[tuple[str, dict[str, Any]]]]:
        """Return what is under way by id, and what has happened since the last look."""
        service = self._app().service
        now = datetime.now(UTC)
        jobs = {job.id: job_record(job) for job in service.jobs()}
        happened = [("job", record) for key, record in jobs.items() if _differs(self._known.get(key), record)]
        for operation_id in self._known.keys() - jobs.keys():
            try:
                status = service.operation(operation_id).status
            except OpstoreError:  # trashed at once, or damaged
                status = "gone"
            happened.append(("ended", _told_ended(operation_id, status)))
        changes = service.index.changes_since(self._cursor)
        if self._cursor is None:  # what is there already ended before anybody listened, whatever is changed of it later
            self._ended.extend(row.id for row in service.index.search(size=MOST_ENDED).rows)
        if self._cursor is not None and changes.ids != ():
            fresh = [
                name for name in changes.ids or () if name not in self._ended and name not in jobs and name not in self._known
            ]
            happened += [("ended", ended) for ended in self._endings(fresh, self._read_at - _CLOSE)]
            happened.append(("changed", {"operationIds": None if changes.ids is None else list(changes.ids)}))
        self._ended.extend(record["operationId"] for name, record in happened if name == "ended")
        self._cursor, self._read_at = changes.cursor, now
        return jobs, happened


#: An operation may have ended this long before a look that found it: the index follows the folder a moment later.
_CLOSE = timedelta(seconds=10)


def _told_ended(operation_id: str, status: str) -> dict[str, Any]:
    return {"operationId": operation_id, "status": status, "location": f"/api/history/{operation_id}"}


def _parts(event_id: str) -> tuple[str, int, int]:
    """Return an event's process, its number and its time; empty and zero where it is no id of ours."""
    found = _ID.fullmatch(event_id)
    return (found[1], int(found[2]), int(found[3])) if found else ("", 0, 0)


_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})-([0-9]{1,14})", re.ASCII)


def _differs(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    """Say whether a job is another than it was; the time that has gone by is no event."""
    return before is None or {**before, "seconds": 0} != {**now, "seconds": 0}
