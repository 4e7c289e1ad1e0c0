"""What stands below the framework: how long a head may take, how what is no request is refused, what is logged, when all ends.

Streamlit starts uvicorn itself and lets nothing of this be chosen; what its connections are made of is asked for at each new one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import time

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

#: How long the head of a request may take, from the connection or from its first byte on, in seconds.
HEAD_SECONDS = 20.0
#: How long whoever was refused may go on sending before the line is cut.
LINGER_SECONDS = 2.0
#: How long answers under way may go on once the server is asked to end: whoever has stopped reading one would hold it for ever.
LAST_SECONDS = 2
#: How long the process may take to end a second after that: all in all less than the 10 s that containers are given.
END_SECONDS = 6.0
#: Lines of one kind that a log gets in a minute; of all the others only the number is told.
LINES, WINDOW_SECONDS = 30, 60.0
#: Kinds of lines that are told apart: a flood of different ones is a flood.
_KINDS = 500

_SENTENCES = {
    400: "This is no request that can be read (HTTP/1.1).",
    408: "The head of this request did not come in time.",
    414: "The address of this request is too long.",
    431: "The head of this request is too large.",
    501: "This server does not know how this body is sent.",
}


class Connection(H11Protocol):
    """A connection whose request heads have a time limit, and on which every refusal has the form of all errors."""

    _clock: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Begin; a connection on which nothing comes has the same time as a slow head."""
        super().connection_made(transport)
        self._watch(fresh=True)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if not self._refused:
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """Go on to the next request; silence between two is uvicorn's own to end."""
        super().on_response_complete()
        self._watch()

    def shutdown(self) -> None:
        """Let the server end: an answer under way may go on for a moment, then the line is cut."""
        super().shutdown()
        self.loop.call_later(LAST_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self, fresh: bool = False) -> None:
        """Let the clock run while a head is under way, or a body that was answered already: more bytes of it win no time."""
        unread = self.conn.their_state is h11.SEND_BODY and self.conn.our_state in (h11.DONE, h11.MUST_CLOSE)
        waiting = (self.conn.their_state is h11.IDLE or unread) and not self._refused and not self.transport.is_closing()
        if not waiting or not (fresh or unread or self._clock or self.conn.trailing_data[0]):
            self._stop()
        elif self._clock is None:
            self._clock = self.loop.call_later(HEAD_SECONDS, self._late)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        self._clock = None
        if self.conn.trailing_data[0] and self.conn.their_state is h11.IDLE:
            self._refuse(408)
        elif self.conn.their_state is h11.IDLE:
            self.transport.close()
        else:
            self._let_go()  # of a body that was answered and has no end

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; uvicorn calls this while it handles what h11 says of it."""
        error = sys.exc_info()[1]
        status = getattr(error, "error_status_hint", 400)
        if status == 431 and b"\n" not in self.conn.trailing_data[0]:
            status = 414  # all that has come so far is one line
        self._refuse(status if status in _SENTENCES else 400)

    def _refuse(self, status: int) -> None:
        body = json.dumps({"success": False, "error": _SENTENCES[status]}).encode()
        reason = {400: "Bad Request", 408: "Request Timeout", 414: "URI Too Long", 431: "Request Header Fields Too Large"}
        head = (
            f"HTTP/1.1 {status} {reason.get(status, 'Not Implemented')}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._let_go()

    def _let_go(self) -> None:
        """Say no more, and for a moment read what still comes: closed at once, with bytes that nobody read, the line would break.

        A broken line takes an answer with it that the other side has not read yet (RFC 9112, 9.6).
        """
        self._stop()
        self._refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


class Brake(logging.Filter):
    """Lets only so many log lines of one kind pass in a minute: whoever sends nonsense as fast as it goes fills no disk."""

    def __init__(self) -> None:
        """Have let none pass."""
        super().__init__()
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line passes; the first of a new minute tells how many did not."""
        now = time.monotonic()
        with self._lock:
            kind = (record.name, record.levelno, str(record.msg)[:200])
            if kind not in self._seen and len(self._seen) >= _KINDS:
                kind = ("", record.levelno, "")
            begun, count = self._seen.setdefault(kind, (now, 0))
            if now - begun >= WINDOW_SECONDS:
                begun, left_out, count = now, max(0, count - LINES), 0
                if left_out:
                    record.msg, record.args = f"{record.getMessage()} (and {left_out:,} more like it)", None
            self._seen[kind] = (begun, count + 1)
            return count < LINES


def guard_connections(config: uvicorn.Config) -> None:
    """Have the server of this process, which is about to listen, make its connections so."""
    config.http_protocol_class = Connection  # whatever else is installed that uvicorn would prefer
    config.timeout_graceful_shutdown = LAST_SECONDS + 1


def end_soon(seconds: float = END_SECONDS) -> None:
    """End this process, which is about to, after so long, whatever holds it: a thread that makes somebody's answer, say."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def brake_logs() -> None:
    """Put the brake on every log of this process."""
    brake = Brake()
    loggers = [
        logging.getLogger(),
        *(item for item in logging.root.manager.loggerDict.values() if isinstance(item, logging.Logger)),
    ]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if not any(isinstance(kept, Brake) for kept in handler.filters):
            handler.addFilter(brake)
    if logging.lastResort is not None:
        logging.lastResort.addFilter(brake)
