"""Sends the Library's first screen with the page's answer: its pictures are there before Streamlit's front end has been read.

The rows are what `/api/search` answers to the same person, asked within this process: nobody sees here what is refused there, and
where it answers nothing the page is as Streamlit sends it. The grid takes the pictures over when it stands.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import streamlit as st

from opstore.language import translations
from opstore.storage.operation import OPERATION_TYPES, STATUSES
from opstore.ui.components import script, style
from opstore.ui.inner_request import Answer, asked
from opstore.ui.streamlit_private.served import STYLE, TITLE
from opstore.ui.words import COOKIE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/library"
#: More tiles than a large screen shows at their usual size.
TILES = 60
#: Pictures that are asked for before anything else: three rows of a laptop's window; a phone shows six.
SOON = 15
#: What the page's script asks for where the address says nothing.
SEARCH = urlencode({"q": "", "order": "newest", "group": "", "limit": TILES}).encode()
#: The typeface, which Streamlit asks for when it knows the theme.
_FACE = "@font-face { font-family: Inter; src: url(/app/static/InterVariable.woff2); font-weight: 100 900; }"
#: What Streamlit says of its page, which is another one now.
_OTHER = (b"content-length", b"etag", b"last-modified", b"cache-control")


class First:
    """Completes the answer for the Library with what it shows first."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`, which answers the page and `/api/search`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; where a window opens the Library as it is without a search, send the first screen along."""
        rows = _rows(await asked(self._app, scope, receive, "/api/search", SEARCH)) if _opens(scope) else []
        if not rows:
            await self._app(scope, receive, send)
            return
        page = await asked(self._app, scope, receive, PATH, b"")
        if not page.status:
            return  # the window was closed meanwhile
        body = page.body
        if page.status == 200 and body.count(TITLE) == 1:
            body = body.replace(TITLE, TITLE + screen(rows))
        kept = [(name, value) for name, value in page.headers if name.lower() not in _OTHER]
        headers = [
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"link", _links(rows, page.body)),
        ]
        await send({"type": "http.response.start", "status": page.status, "headers": [*kept, *headers]})
        await send({"type": "http.response.body", "body": body})


def _opens(scope: Scope) -> bool:
    """Say whether a browser's window asks for the Library and nothing more."""
    if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "GET" or scope["query_string"]:
        return False
    return (b"sec-fetch-dest", b"document") in scope["headers"] and not st.get_option("server.baseUrlPath")


def _rows(answer: Answer) -> list[Any]:
    """Return the rows of a search, none where it was refused."""
    rows: list[Any] = json.loads(answer.body)["rows"] if answer.status == 200 else []
    return rows


def _links(rows: list[Any], page: bytes) -> bytes:
    """Return the Link header that asks for the style sheet, for which every picture waits, and for the first pictures.

    Of the scripts there are a hundred, and all of them would come before.
    """
    styles = [f"</{name}>;rel=preload;as=style;crossorigin" for name in STYLE.findall(page.decode("utf-8", "replace"))]
    shown = [row["thumbnail"] for row in rows[:SOON] if row.get("thumbnail")]
    pictures = [f"<{address}>;rel=preload;as=image;fetchpriority=high" for address in shown]
    return ", ".join([*styles, *pictures]).encode("latin-1", "ignore")


def screen(rows: list[Any]) -> bytes:
    """Return what draws these rows: the tiles' own code and style, and the words on them in every language."""
    grounds = {mode: st.get_option(f"theme.{mode}.backgroundColor") for mode in ("light", "dark")}
    contents = {
        "rows": rows,
        "words": _words(),
        "cookie": COOKIE,
        "colours": _colours(),
        "grounds": grounds,
        "form": _style(),
    }
    code = script("grid_first.js")
    # Within a script only these letters could end it; nothing stored is read as HTML.
    data = (
        json.dumps(contents, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )
    return f"<style>{_FACE}</style><script>(() => {{ {code}\nfirstScreen({data}); }})()</script>".encode()


@functools.cache
def _style() -> str:
    return style("tiles.css", "grid.css")


@functools.cache
def _words() -> dict[str, dict[str, Any]]:
    """Return what tiles say, by language; what only those who cannot see them hear comes with the grid."""
    by_language = {}
    for language in translations.LANGUAGES:
        say = functools.partial(translations.translated, language=language)
        by_language[language] = {
            "language": language,
            "labelled": say("{name}: {value}"),
            "types": {name: translations.type_name(name, say) for name in OPERATION_TYPES},
            "statuses": {name: translations.status_name(name, say) for name in STATUSES},
        }
    return by_language


def _option(name: str) -> str:
    return f"light-dark({st.get_option(f'theme.light.{name}')}, {st.get_option(f'theme.dark.{name}')})"


def _colours() -> str:
    """Return the theme as the grid's style wants it, for both modes."""
    named = {
        "background-color": "backgroundColor",
        "secondary-background-color": "secondaryBackgroundColor",
        "text-color": "textColor",
    }
    values = "".join(f"--st-{name}: {_option(option)}; " for name, option in named.items())
    return f"{values}--st-font: {st.get_option('theme.font')}"
