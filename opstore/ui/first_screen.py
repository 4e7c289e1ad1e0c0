"""Sends the Library's first screen with the page's answer: the grid is there, and hears, before Streamlit's front end is read.

The rows are what `/api/search` answers to the same person, asked within this process, and what it offers is what that person may
do: nobody sees here what is refused there, and where it answers nothing the page is as Streamlit sends it. The grid of the page
is the same one, in its place.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import anyio.to_thread
import streamlit as st
from starlette.requests import Request

from opstore.errors import OpstoreError
from opstore.ui import bulk_acts, scripts, words
from opstore.ui.components import script
from opstore.ui.inner_request import Answer, asked
from opstore.ui.page_opening import language_of
from opstore.ui.streamlit_private.served import ENTRY, STYLE, TITLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from opstore.access.roles import Person

PATH = "/library"
#: Rows that the grid asks for at once: with fewer it would ask for the next page before it has painted these.
TILES = 100
#: Pictures that are asked for before anything else: three rows of a laptop's window; a phone shows six.
SOON = 15
#: What the page's script asks for where the address says nothing.
SEARCH = urlencode({"q": "", "order": "newest", "group": ""})
_ROWS = f"{SEARCH}&limit={TILES}".encode()
#: The typeface, which Streamlit asks for when it knows the theme.
_FACE = "@font-face { font-family: Inter; src: url(/app/static/InterVariable.woff2); font-weight: 100 900; }"
#: What Streamlit says of its page, which is another one now.
_OTHER = (b"content-length", b"etag", b"last-modified", b"cache-control")


class First:
    """Completes the answer for the Library with what it shows first."""

    def __init__(self, app: ASGIApp, who: Callable[[Request], Person]) -> None:
        """Wrap `app`, which answers the page and `/api/search`; `who` says who sent a request, or raises."""
        self._app = app
        self._who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; where a window opens the Library as it is without a search, send the first screen along."""
        answer = _found(await asked(self._app, scope, receive, "/api/search", _ROWS)) if _opens(scope) else None
        spoken = await anyio.to_thread.run_sync(self._spoken, scope) if answer else None
        if not answer or not spoken:
            await self._app(scope, receive, send)
            return
        page = await asked(self._app, scope, receive, PATH, b"")
        if not page.status:
            return  # the window was closed meanwhile
        body = page.body
        if page.status == 200 and body.count(TITLE) == 1:
            body = ENTRY.sub(_later, body.replace(TITLE, TITLE + screen(answer, spoken)), 1)
        kept = [(name, value) for name, value in page.headers if name.lower() not in _OTHER]
        headers = [
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"link", _links(answer["rows"], page.body)),
        ]
        await send({"type": "http.response.start", "status": page.status, "headers": [*kept, *headers]})
        await send({"type": "http.response.body", "body": body})

    def _spoken(self, scope: Scope) -> dict[str, Any] | None:
        """Return the grid's words for whoever sent a request, and what it does without; None for whom nothing is open."""
        try:
            person = self._who(Request(scope))
        except OpstoreError:
            return None
        with words.spoken_in(language_of(scope)):
            return bulk_acts.spoken(person)


def _opens(scope: Scope) -> bool:
    """Say whether a browser's window asks for the Library and nothing more."""
    if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "GET" or scope["query_string"]:
        return False
    return (b"sec-fetch-dest", b"document") in scope["headers"] and not st.get_option("server.baseUrlPath")


def _found(answer: Answer) -> dict[str, Any] | None:
    """Return what a search has found, None where it was refused or there is nothing."""
    found: dict[str, Any] = json.loads(answer.body) if answer.status == 200 else {}
    return found if found.get("rows") else None


def _links(rows: list[Any], page: bytes) -> bytes:
    """Return the Link header: the style sheet, for which every picture waits, the grid's code, and the first pictures.

    Of the scripts there are a hundred, and all of them would come before.
    """
    styles = [f"</{name}>;rel=preload;as=style;crossorigin" for name in STYLE.findall(page.decode("utf-8", "replace"))]
    shown = [row["thumbnail"] for row in rows[:SOON] if row.get("thumbnail")]
    pictures = [f"<{address}>;rel=preload;as=image;fetchpriority=high" for address in shown]
    return ", ".join([*styles, f"<{scripts.grid_address()}>;rel=preload;as=script", *pictures]).encode("latin-1", "ignore")


def screen(answer: dict[str, Any], spoken: dict[str, Any]) -> bytes:
    """Return what stands in the page: rows, words, what keeps keys until the grid's code has come, and where that is."""
    grounds = {mode: st.get_option(f"theme.{mode}.backgroundColor") for mode in ("light", "dark")}
    contents = {"answer": answer, "source": f"/api/search?{SEARCH}", "words": spoken, "colours": _colours(), "grounds": grounds}
    # Within a script only these letters could end it; nothing stored is read as HTML.
    data = (
        json.dumps(contents, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )
    code = f'<script src="{scripts.grid_address()}"></script>'  # run before all of Streamlit's, which take the browser's time
    return f"<style>{_FACE}</style><script>{_sooner()}window.opstoreGiven = {data};</script>{code}".encode()


@functools.cache
def _sooner() -> str:
    return f"(() => {{ {script('grid_sooner.js')}\nkeepKeys(); window.opstoreAfterFrame = afterFrame; }})();\n"


def _later(entry: re.Match[bytes]) -> bytes:
    """Return what has the browser load the script that begins the front end, and run it once the first screen is seen."""
    begin = b'<script>opstoreAfterFrame("%s")</script>' % entry[1]
    return b'<link rel="modulepreload" crossorigin href="%s">' % entry[1] + begin


def _option(name: str) -> str:
    return f"light-dark({st.get_option(f'theme.light.{name}')}, {st.get_option(f'theme.dark.{name}')})"


def _colours() -> str:
    """Return the theme as the grid's style wants it, for both modes."""
    named = {
        "primary-color": "primaryColor",
        "background-color": "backgroundColor",
        "secondary-background-color": "secondaryBackgroundColor",
        "text-color": "textColor",
    }
    values = "".join(f"--st-{name}: {_option(option)}; " for name, option in named.items())
    return f"{values}--st-font: {st.get_option('theme.font')}"
