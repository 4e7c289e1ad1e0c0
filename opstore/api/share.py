"""The routes of share links, `/s/…`: the only ones that answer everybody. Each one opens the link anew before it answers.

What a link shows, and whether it shows it now, is `Shares.open`'s to say; a page, a file, a part of a file and a small picture
alike ask it. Browsers may keep a copy but must ask before they show it again, so that an end is an end for them too.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from opstore.api.body import pieces
from opstore.api.file_answers import kept_file, thumbnail_file, unless_known
from opstore.api.guard import FAULT, SHARED, Guard
from opstore.api.rates import caller_at
from opstore.api.route_table import Answer
from opstore.errors import (
    InvalidInput,
    MethodNotAllowed,
    OpstoreError,
    PasswordWanted,
    PasswordWrong,
    ShareError,
    ShareNotFound,
    TooManyTries,
)
from opstore.language.translations import language_of, translated
from opstore.shares import Share, Shares, page
from opstore.shares.signing_keys import KNOWN_SECONDS

if TYPE_CHECKING:
    from opstore.app import App
    from opstore.shares.redaction import Picture

log = logging.getLogger("opstore.api")

#: What the browser of whoever gave the password keeps, and what it keeps for the half hour in which it counts as one visit.
ADMISSION, SEEN, SEEN_SECONDS = "opstore-admission", "opstore-seen", 1800
#: Kept, but asked for before every use.
_ASK = "private, no-cache"
#: A form of one password.
_MAX_FORM, _FORM_SECONDS = 4_096, 20.0


class ShareRoutes:
    """The answers of share links over one opened app."""

    def __init__(self, app: Callable[[], App]) -> None:
        """Answer from what `app` returns."""
        self._app = app

    def routes(self, guard: Guard) -> list[Route]:
        """Return the routes; the last two catch every other path below, which the pages' server would answer with the app."""

        def open_to_all(answer: Answer, *methods: str) -> Any:
            return guard.endpoint(answer, ("GET", "HEAD", *methods), everyone=True, telling=_told)

        def whole_page(request: Request) -> Response | Awaitable[Response]:
            return self._asked_in(request, guard) if request.method == "POST" else self._page(request)

        return [
            Route(f"{SHARED}/{{token}}", open_to_all(whole_page, "POST")),
            Route(f"{SHARED}/{{token}}/file/{{key}}", open_to_all(self._file)),
            Route(f"{SHARED}/{{token}}/small/{{key}}", open_to_all(self._small)),
            Route(f"{SHARED}/{{rest:path}}", open_to_all(_nothing)),
            Route(SHARED, open_to_all(_nothing)),
        ]

    @property
    def _shares(self) -> Shares:
        return self._app().service.shares

    def _page(self, request: Request) -> Response:
        share, token = self._opened(request), request.path_params["token"]
        items = self._shares.items(share.scope)

        def address(picture: Picture, small: bool) -> str:
            return f"{token}/{'small' if small else 'file'}/{picture.key}"  # below where the page is: right behind any proxy

        reader = page.Reader(_language(request), address)
        answer = _html(page.gallery(share.scope, items, reader, share.expires))
        if request.method == "GET" and SEEN not in request.cookies:
            self._shares.visited(share)
            self._remember(answer, request, SEEN, "1", SEEN_SECONDS)
        return answer

    async def _asked_in(self, request: Request, guard: Guard) -> Response:
        """Try the password that comes in; however slowly it comes, it holds no thread."""
        body = await _body(request)
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        return await guard.for_visitors(lambda: self._enter(request, given))

    def _enter(self, request: Request, given: str) -> Response:
        """Try a password; the browser is led to the page by GET, so that a reload sends no password again."""
        caller = caller_at(request.client.host if request.client else "")
        admission = self._shares.enter(request.path_params["token"], given, caller, request.cookies.get(ADMISSION))
        answer = RedirectResponse(request.path_params["token"], 303)
        self._remember(answer, request, ADMISSION, admission, KNOWN_SECONDS)
        return answer

    def _file(self, request: Request) -> Response:
        picture, path = self._shares.file(self._opened(request).scope, request.path_params["key"])
        answer = kept_file(path, picture.media.name, _ASK)
        how = "attachment" if "download" in request.query_params else "inline"
        answer.headers["Content-Disposition"] = f'{how}; filename="{picture.key}.{picture.media.extension}"'
        return _closed(unless_known(answer, request))

    def _small(self, request: Request) -> Response:
        _picture, path = self._shares.file(self._opened(request).scope, request.path_params["key"], "small")
        return _closed(unless_known(thumbnail_file(path, _ASK), request))

    def _opened(self, request: Request) -> Share:
        return self._shares.open(request.path_params["token"], request.cookies.get(ADMISSION))

    def _remember(self, answer: Response, request: Request, name: str, value: str, seconds: int) -> None:
        """Let the browser keep something for this one link; over https where that is how it came."""
        published = self._app().settings.share_url or ""
        secure = request.url.scheme == "https" or (
            published.startswith("https://") and request.url.hostname == urlsplit(published).hostname
        )
        path = f"{SHARED}/{request.path_params['token']}"
        answer.set_cookie(name, value, max_age=seconds, path=path, secure=secure, httponly=True, samesite="lax")


async def _body(request: Request) -> bytes:
    """Return the body of a form; raise ShareNotFound for one that is none, or does not come."""
    try:
        return b"".join([piece async for piece in pieces(request, _MAX_FORM, _FORM_SECONDS)])
    except InvalidInput:
        raise ShareNotFound from None


def _nothing(request: Request) -> Response:
    raise ShareNotFound


def _told(request: Request, error: OpstoreError | None) -> Response:
    """Return an error as a visitor is told it: a page of one sentence, or the question for the password.

    An error of another kind names files and folders of this house: the log has it, the visitor that something is wrong here.
    """
    language = _language(request)
    if error is not None and not isinstance(error, ShareError | MethodNotAllowed):
        log.warning("a share link could not be answered: %s", error)
        error = ShareNotFound() if error.status == 404 else None
    if error is None:
        return _html(page.sentence(translated(FAULT, language), language), 500)
    text = translated(error.template(), language).format(**error.details)
    if isinstance(error, PasswordWanted | PasswordWrong | TooManyTries):
        wrong = "" if isinstance(error, PasswordWanted) else text
        answer = _html(page.password(wrong, language), error.status)
        if isinstance(error, TooManyTries):
            answer.headers["Retry-After"] = str(error.details["seconds"])
        return answer
    return _html(page.sentence(text, language), error.status)


def _html(text: str, status: int = 200) -> Response:
    headers = {"Content-Security-Policy": page.policy(), "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return HTMLResponse(text, status, headers)


def _closed(answer: Response) -> Response:
    """Return a file as something that runs nothing, even opened by itself."""
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def _language(request: Request) -> str:
    return language_of(request.headers.get("accept-language", ""))
