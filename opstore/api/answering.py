"""Says of every request, until the last byte of its answer, that somebody is being answered: background work gives way.

A stream of events is open for as long as a window is, and counts until it begins; of what comes over a page's own connection
nobody here can tell when it is answered, so it counts as asked for at that moment.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from opstore.giving_way import traffic

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LASTING = "text/event-stream"


class Answering:
    """Counts who is being answered."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counted."""
        if scope["type"] == "http":
            with contextlib.ExitStack() as counted:
                counted.enter_context(traffic.answering())

                async def sent(message: Message) -> None:
                    if message["type"] == "http.response.start" and _lasts(message):
                        counted.close()
                    await send(message)

                await self._app(scope, receive, sent)
            return
        if scope["type"] == "websocket":

            async def received() -> Message:
                message = await receive()
                traffic.asked()
                return message

            await self._app(scope, received, send)
            return
        await self._app(scope, receive, send)


def _lasts(beginning: Message) -> bool:
    return Headers(raw=beginning["headers"]).get("content-type", "").startswith(_LASTING)
