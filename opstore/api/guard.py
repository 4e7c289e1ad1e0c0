"""What stands around every HTTP answer: who is let in, which methods, and the one place that turns errors into answers.

Every answer that is not a file is JSON, every error `{"success": false, "error": "…"}`; nothing that is served can run as a page.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opstore.access.roles import LOCAL, PROGRAM, Person
from opstore.api import rates
from opstore.api.rates import Rates, caller_at, caller_with
from opstore.api.route_table import Answer
from opstore.errors import (
    ForeignOrigin,
    InvalidQuery,
    MethodNotAllowed,
    NotAdmitted,
    OpstoreError,
    TooManyWrong,
    said,
    shown,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from opstore.app import Acting, App

log = logging.getLogger("opstore.api")

#: What a browser on this machine calls it; any other Host is a name that somebody pointed here (DNS rebinding).
HOSTS = ["127.0.0.1", "localhost", "[::1]"]
READING = ("GET", "HEAD")
#: How a caller is told of an error; None is a fault of the program itself.
Telling = Callable[[Request, OpstoreError | None], Response]
#: Says who has signed in, None where no sign-in is set up; raises SignInWanted or NoRole.
Identify = Callable[[Request], Person | None]
#: Threads in which visitors of links are answered: theirs alone, so that however many come, the house goes on.
VISITORS = 10
#: Below this lies what was handed on to others; nothing else answers under a published name.
SHARED = "/s"


#: Who was let in to the answer under way; without a default: an answer that nobody was let in to can use nothing.
_admitted: ContextVar[Person] = ContextVar("opstore-admitted")


def no_sign_in(request: Request) -> None:
    """Say that no sign-in is set up."""


class Guard:
    """Makes endpoints over one opened app, which is asked for at each request: it may be opened after the routes are made."""

    def __init__(self, app: Callable[[], App], identify: Identify = no_sign_in) -> None:
        """Guard answers of what `app` returns; `identify` says who has signed in."""
        self._app = app
        self._identify = identify
        self._rates = Rates()
        self._visitors = anyio.CapacityLimiter(VISITORS)

    async def for_visitors(self, call: Callable[[], Response]) -> Response:
        """Do in one of the threads for visitors what takes its time."""
        return await anyio.to_thread.run_sync(call, limiter=self._visitors)

    def acting(self) -> Acting:
        """Return what whoever was let in to the answer under way may use; raise LookupError outside of one."""
        return self._app().acting_as(_admitted.get())

    def endpoint(
        self, answer: Answer, methods: Sequence[str] = READING, *, everyone: bool = False, telling: Telling | None = None
    ) -> ASGIApp:
        """Return `answer` as an endpoint that tells whatever goes wrong, in JSON or by `telling`; no `methods` means all of them.

        `everyone` is let in to an answer that decides itself who may see it. An ASGI endpoint gets every method from its route:
        otherwise the framework would refuse some, and in plain text.
        """

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive, send)
            try:
                if not everyone:
                    _admitted.set(self._admit(request))
                if methods and request.method not in methods:
                    raise MethodNotAllowed(method=shown(request.method))
                if not everyone and request.method not in READING:
                    _check_origin(request)
                threads = self._visitors if everyone else None
                found = await anyio.to_thread.run_sync(answer, request, limiter=threads)  # of an async answer its beginning
                response = await found if isinstance(found, Awaitable) else found
            except OpstoreError as error:
                if isinstance(error, TooManyWrong):
                    await anyio.sleep(rates.SLOW_SECONDS)
                response = (telling or _in_json)(request, error)
            except Exception:  # a fault of the program itself: the caller gets an answer all the same, the log the details
                log.exception("%s %s", request.method, ascii(_told_path(request.url.path)))
                response = (telling or _in_json)(request, None)
            if response.status_code == MethodNotAllowed.status:
                response.headers["Allow"] = ", ".join(methods)
            await response(scope, receive, send)

        return _Endpoint(handle)

    def _admit(self, request: Request) -> Person:
        """Let in whoever holds the token, has signed in, or, where no sign-in is set up, sits at this machine; only so often."""
        settings = self._app().settings
        token, address = settings.api_token, request.client.host if request.client else ""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if token and scheme.lower() == "bearer":
            # Header bytes are read as Latin-1: encoded back they are what was sent, a token in UTF-8 too.
            if secrets.compare_digest(given.strip().encode("latin-1"), token.encode()):
                self._rates.count(settings.api_rate, caller_with(token))
                return PROGRAM
            self._rates.wrong(address)
        person = self._identify(request)
        if person is None:
            if not _is_loopback(address):
                raise NotAdmitted
            person = LOCAL
        self._rates.count(settings.api_rate, person.email or caller_at(address))
        return person


def _check_origin(request: Request) -> None:
    """Refuse what another site's page sends: a form posts to any address without asking, with this machine's standing here."""
    if not _is_own(request.headers):
        raise ForeignOrigin


def _is_own(headers: Headers) -> bool:
    """Say whether no other page sent this, one of another port included.

    Browsers say where a request comes from, and no page can make them lie; programs say nothing.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:
        return False


class _Endpoint:
    """An ASGI app that is an object: a route takes it as it is, where it would take a function for one of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _in_json(request: Request, error: OpstoreError | None) -> Response:
    if error is None:
        return error_answer(FAULT, 500)
    if isinstance(error, InvalidQuery):
        place = {key: error.details[key] for key in ("position", "length")}
        return JSONResponse({"success": False, "error": str(error), **place}, status_code=error.status)
    answer = error_answer(str(error), error.status)
    if error.status == 429 and "seconds" in error.details:
        answer.headers["Retry-After"] = str(error.details["seconds"])
    if isinstance(error, NotAdmitted):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _told_path(path: str) -> str:
    """Return a path as the log may have it: a link is as good as what it opens."""
    return f"{SHARED}/…" if path.startswith(f"{SHARED}/") else path


def error_answer(text: str, status: int) -> JSONResponse:
    """Return an error as every caller gets it."""
    return JSONResponse({"success": False, "error": text}, status_code=status)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A server that listens on :: sees IPv4 callers as ::ffff:127.0.0.1.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


FAULT = said("Something went wrong here. The server's log has the details.")


class SecurityHeaders:
    """Adds to every answer what keeps a browser from guessing types, framing the app, or telling others where it was.

    An answer of /api that says nothing else is kept nowhere.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the headers of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        extra = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"SAMEORIGIN"),
            (b"referrer-policy", b"same-origin"),
        ]
        if _is_api(scope):
            extra.append((b"content-security-policy", b"default-src 'none'; sandbox"))
            extra.append((b"cross-origin-resource-policy", b"same-origin"))  # no other site may show, or guess at, what is here

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *extra]
                # Else a proxy may keep it, an error too (RFC 9111, 4.2.2), and show it to whoever was never let in.
                if _is_api(scope) and "cache-control" not in Headers(raw=message["headers"]):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        await self._app(scope, receive, complete)


class Shaped:
    """Gives the errors of what stands below our routes (a wrong `Host`, an address that is none) the one form of all errors."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; put the form around an error of /api that comes back without it."""
        if scope["type"] != "http" or not _is_api(scope):
            await self._app(scope, receive, send)
            return
        refusal: Response | None = None

        async def told(message: Message) -> None:
            nonlocal refusal
            if message["type"] == "http.response.start" and message["status"] >= 400:
                kind = Headers(raw=message["headers"]).get("content-type", "")
                if not kind.startswith("application/json"):
                    refusal = error_answer(_BELOW if message["status"] < 500 else FAULT, message["status"])
            if refusal is None:
                await send(message)

        await self._app(scope, receive, told)
        if refusal is not None:
            await refusal(scope, receive, send)


def _is_api(scope: Scope) -> bool:
    """Say whether a request is for /api, also one that writes it in an odd way."""
    path: str = "/" + scope["path"].replace("\\", "/").lstrip("/")
    return path == "/api" or path.startswith("/api/")


_BELOW = "This server does not answer to this address, or not under this name (Host)."
#: RFC 6455, 7.4.1.
_POLICY_VIOLATION = 1008


class Published:
    """Lets a published name reach what was handed on, and nothing else: the app itself answers under this machine's own names.

    So a proxy that passes everything on for that name opens the links to others, and neither pages nor /api. Where people sign
    in, the name at which they do so reaches the app as well.
    """

    def __init__(self, app: ASGIApp, host: str | None = None, own: str | None = None) -> None:
        """Wrap `app`; `host` is the published name, if there is one, and `own` the name at which people sign in."""
        self._app = app
        self._here = TrustedHostMiddleware(app, allowed_hosts=[*HOSTS, *([own] if own else [])], www_redirect=False)
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if its name may ask for that path; a socket, which changes things, only to the app's own pages."""
        if scope["type"] == "websocket" and not _is_own(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})  # before it was accepted: 403
            return
        shared = scope["type"] == "http" and scope["path"].startswith(f"{SHARED}/")
        if self._host and shared and Headers(scope=scope).get("host", "").lower() == self._host:
            await self._app(scope, receive, send)
        else:
            await self._here(scope, receive, send)


class Private:
    """Keeps from whoever has not signed in what Streamlit itself serves by address alone: uploads, prepared files, figures."""

    def __init__(self, app: ASGIApp, identify: Identify, addresses: tuple[str, ...]) -> None:
        """Wrap `app`; `identify` says who has signed in, `addresses` how these addresses begin."""
        self._app = app
        self._addresses = addresses
        self._identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unless it must be signed in and is not."""
        if scope["type"] == "http" and scope["path"].startswith(self._addresses):
            request = Request(scope)
            try:
                self._identify(request)
            except OpstoreError as error:
                await _in_json(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def middleware(
    share_url: str | None = None, own: str | None = None, identify: Identify = no_sign_in, private: tuple[str, ...] = ()
) -> list[Middleware]:
    """Return what stands before every route and page.

    `share_url` is the address under which share links are published, `own` the name at which people sign in, `identify` says who
    has; at `private` addresses the pages' own server asks nobody.
    """
    return [
        Middleware(Shaped),
        Middleware(Published, host=share_url.partition("://")[2].lower() if share_url else None, own=own),
        Middleware(SecurityHeaders),
        Middleware(Private, identify=identify, addresses=private),
    ]
