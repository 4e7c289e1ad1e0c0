"""Completes the page that a window opens with what it must say, and hear, before its script runs: language, server, a key.

A screen reader takes its voice, and a browser its offer to translate, from what the page says first: Streamlit's says English. It
does not say where its server answers: at a deep link its front end would ask below that link first, and be refused twice. And who
has written a wish presses Ctrl+Enter before the button that hears it has arrived.
"""

from __future__ import annotations

import functools
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

import streamlit as st

from opstore.language import translations
from opstore.language.translations import LANGUAGES
from opstore.ui.components import script
from opstore.ui.inner_request import UNWANTED
from opstore.ui.streamlit_private.served import ADDRESSES, LANGUAGE, SERVER, TITLE
from opstore.ui.words import COOKIE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Pages that say all this themselves, and what is no page.
_OWN = ("/s/", "/api/", "/app/", *ADDRESSES)
#: What would let a browser keep one page for all languages, and what is another one now.
_OTHER = (b"etag", b"last-modified", b"cache-control", b"content-length")


class PageOpening:
    """Completes the pages that a window opens."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`, which answers Streamlit's page."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and complete what is answered where it is a page; of another kind nothing is touched."""
        if not _opens(scope):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                held.append(message)
                return
            if held:
                begin = held.pop()
                body = opening(message.get("body", b""), language_of(scope))
                kept = [(name, value) for name, value in begin["headers"] if name.lower() not in _OTHER]
                headers = [*kept, (b"cache-control", b"no-cache"), (b"vary", b"Accept-Language, Cookie")]
                if not message.get("more_body"):
                    headers.append((b"content-length", str(len(body)).encode()))
                await send({**begin, "headers": headers})
                message = {**message, "body": body}
            await send(message)

        wanted = [(name, value) for name, value in scope["headers"] if name.lower() not in UNWANTED]
        await self._app({**scope, "headers": wanted}, receive, tell)


def _opens(scope: Scope) -> bool:
    """Say whether a browser's window asks for a page."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith(_OWN):
        return False
    return (b"sec-fetch-dest", b"document") in scope["headers"]


def _is_page(message: Message) -> bool:
    named = {name.lower(): value for name, value in message["headers"]}
    return message["status"] == 200 and bytes(named.get(b"content-type", b"")).startswith(b"text/html")


def opening(page: bytes, language: str) -> bytes:
    """Return the beginning of Streamlit's page as it is for readers of a language; of a page that is another one, as it is."""
    said = page.replace(LANGUAGE, LANGUAGE.replace(b"en", language.encode()), 1)
    server = b"" if st.get_option("server.baseUrlPath") else SERVER
    return said.replace(TITLE, TITLE + server + hearing(), 1)


@functools.cache
def hearing() -> bytes:
    """Return the script that every page has from its first byte."""
    return f"<script>(() => {{ {script('send_key.js')} }})()</script>".encode()


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
