"""The one way by which the `replicate` client reaches the network: real timeouts, one host, a pace, no hidden retries.

Measured of replicate 1.0.7: a create without `wait` and an upload run without any timeout, whatever the client was given; its
retries sleep as long as a Retry-After says, a day included; addresses in answers are followed with the token. So every request
passes here, below all that: it gets its timeouts, goes to the API's own origin or nowhere, and an answer other than 2xx leaves
as an exception, which the client's retries never see.
"""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from opstore.errors import ProviderRefused, said
from opstore.providers.replicate.rate_limits import Lane, RateLimiter
from opstore.providers.replicate.refusals import Answered
from opstore.providers.replicate.server_clock import FarClock

#: 100 predictions a page, each with its inputs as data URIs of up to 0.35 MB: a page may honestly have 100 MB.
MAX_ANSWER = 160 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for each read and write, and for an answer in all; uploads have their own."""

    connect: float = 5.0
    each: float = 30.0
    answer: float = 90.0
    upload_each: float = 60.0

    def extension(self, upload: bool) -> Mapping[str, float]:
        """Return httpx's form of these timeouts."""
        each = self.upload_each if upload else self.each
        return {"connect": self.connect, "pool": self.connect + each, "read": each, "write": each}


@functools.cache
def certificates() -> ssl.SSLContext:
    """Return what servers must prove themselves with, read once a process (20 ms)."""
    return httpx.create_ssl_context()


class Guard(httpx.BaseTransport):
    """Sends a request within the rules of this module, and reads its answer whole."""

    def __init__(
        self,
        base_url: httpx.URL,
        token: str,
        timeouts: Timeouts,
        limiter: RateLimiter,
        inner: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        far_clock: FarClock | None = None,
    ) -> None:
        """Guard `inner` (httpx's own transport), which may reach nothing but the origin of `base_url`; set `far_clock` by it."""
        self._origin = _origin(base_url)
        self._token = token.encode("ascii")
        self._timeouts, self._limiter, self._clock = timeouts, limiter, clock
        self._far_clock = far_clock or FarClock()
        # No connection is kept longer than 2 s unused: one that the server has closed meanwhile would make a create uncertain.
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2.0)
        self._inner = inner or httpx.HTTPTransport(verify=certificates(), limits=limits)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; raise Answered for an answer other than 2xx, and httpx's errors if none came."""
        if _origin(request.url) != self._origin:
            raise ProviderRefused(reason=said("an answer pointed to another host. The token was not sent there."), kind="access")
        self._limiter.acquire(lane_of(request))
        request.extensions = {**request.extensions, "timeout": self._timeouts.extension(_is_upload(request))}
        deadline = self._clock() + self._timeouts.answer + (self._timeouts.upload_each if _is_upload(request) else 0)
        response = self._inner.handle_request(request)
        self._far_clock.note(response.headers)
        try:
            body = self._read(response, request, deadline)
        finally:
            response.close()
        if response.status_code // 100 != 2:
            raise Answered(response.status_code, response.headers, body)
        kind = response.headers.get("content-type", "application/json")
        return httpx.Response(response.status_code, headers={"content-type": kind}, content=body, request=request)

    def _read(self, response: httpx.Response, request: httpx.Request, deadline: float) -> bytes:
        """Return the body, decoded; a server that drips it or never ends it is cut off."""
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if self._clock() > deadline or len(body) > MAX_ANSWER:
                raise httpx.ReadTimeout("the answer was too long in coming", request=request)
        # A server that echoes what it was sent must not bring the token into a record, a log or an error.
        return bytes(body).replace(self._token, b"[token]")

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()


def lane_of(request: httpx.Request) -> Lane:
    """Return which of the two limits a request counts against."""
    return "create" if request.method == "POST" and request.url.path.endswith("/predictions") else "other"


def _is_upload(request: httpx.Request) -> bool:
    return request.method == "POST" and request.url.path.endswith("/files")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    port = url.port or {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, url.host, port
