"""Tells a browser the language of a page with its first byte: Streamlit's page says English until its script has run.

A screen reader takes its voice, and a browser its offer to translate, from what the page says first.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from opstore.language import translations
from opstore.language.translations import LANGUAGES
from opstore.ui.inner_request import UNWANTED
from opstore.ui.streamlit_private.served import LANGUAGE
from opstore.ui.words import COOKIE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Pages that say their own language.
_OWN = ("/s/", "/api/")
#: What would let a browser keep one page for all languages.
_KEPT = (b"etag", b"last-modified", b"cache-control")


class PageLanguage:
    """Puts the reader's language into the pages that a window opens."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`, which answers Streamlit's page."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and change what a page says of its language where the reader's is another than English."""
        language = language_of(scope) if _opens(scope) else "en"
        if language == "en":
            await self._app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in _KEPT]
                message["headers"] = [*kept, (b"cache-control", b"no-cache"), (b"vary", b"Accept-Language, Cookie")]
            elif message["type"] == "http.response.body":
                message["body"] = message.get("body", b"").replace(LANGUAGE, LANGUAGE.replace(b"en", language.encode()), 1)
            await send(message)

        wanted = [(name, value) for name, value in scope["headers"] if name.lower() not in UNWANTED]
        await self._app({**scope, "headers": wanted}, receive, tell)


def _opens(scope: Scope) -> bool:
    """Say whether a browser's window asks for a page."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith(_OWN):
        return False
    return (b"sec-fetch-dest", b"document") in scope["headers"]


def language_of(scope: Scope) -> str:
    """Return the language of a request as `words.language` tells it of a session: the one chosen, else the browser's first."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get(b"cookie", ""))
    except CookieError:
        cookies.clear()
    if (chosen := cookies.get(COOKIE)) and chosen.value in LANGUAGES:
        return str(chosen.value)
    return translations.language_of(headers.get(b"accept-language", "").partition(",")[0])
