"""A server on loopback that answers byte for byte what a test tells it to, however wrong, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest

from opstore.errors import FetchError
from opstore.fetch import FetchPolicy, fetch

#: What is served where it does not matter, and what no message may show.
BODY = random.Random(2).randbytes(200_000)  # the same in every process: it is part of parameters
SECRET = "X-Signature=c0ffee5ec2e7"

Answer = bytes | Callable[[socket.socket], None]


class HostileServer:
    """Serves `answers` (path → bytes, or a function that writes to the socket) one thread a connection until it is left."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.connections = 0
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for connected in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connected)
                thread = threading.Thread(target=self._serve, args=(connected,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connected: socket.socket) -> None:
        # What the client does to the connection (refusing a certificate, hanging up) is its affair, and tested there.
        with contextlib.suppress(OSError), connected:
            if self._tls:
                connected = self._tls.wrap_socket(connected, server_side=True)
                self._open.append(connected)
            with connected:
                self._answer(connected)

    def _answer(self, connected: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connected.recv(65_536)
            if not piece:
                return
            head += piece
            if head[:1] == b"\x16":  # the other side speaks TLS
                return connected.sendall(http(status="400 Bad Request"))
        request = head.decode("latin-1")
        self.requests.append(request)
        answer = self.answers[request.split(" ", 2)[1].partition("?")[0]]
        if callable(answer):
            answer(connected)
        else:
            connected.sendall(answer)
        with contextlib.suppress(OSError):  # an orderly end: closing with unread bytes would reset the connection
            connected.shutdown(socket.SHUT_WR)


def http(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return a well-formed answer; `length` states another length than the body has, -1 leaves it out."""
    stated = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {stated}"] if stated >= 0 else [])]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def redirect(location: str, *headers: str) -> bytes:
    return http(b"", f"Location: {location}", *headers, status="302 Found")


def drip(first: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """Write `first`, then `piece` ten times a second until the other side has gone."""

    def answer(connected: socket.socket) -> None:
        connected.sendall(first)
        for _ in range(600):
            connected.sendall(piece)
            time.sleep(0.1)

    return answer


def get(server: HostileServer, answer: Any, path: str = "/a/out.png", **limits: Any) -> bytes:
    """Fetch `answer` from the server, whose origin is allowed."""
    server.answers[path] = answer
    return fetch(f"{server.origin}{path}?{SECRET}", FetchPolicy(origins=(server.origin,), **{"deadline_seconds": 20, **limits}))


def refused(kind: type[FetchError], server: HostileServer, answer: Any, **limits: Any) -> str:
    """Return the message with which `answer` is refused: exactly as `kind`, and without the query in text or traceback."""
    with pytest.raises(FetchError) as caught:
        get(server, answer, **limits)
    assert type(caught.value) is kind, caught.value
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def short(value: object) -> str | None:
    """Name a parameter that is bytes or a long text, which pytest would write out in full."""
    return ascii(value)[:40] if isinstance(value, bytes | str) else None
