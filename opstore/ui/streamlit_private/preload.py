"""Says with a page which parts of Streamlit's front end it will need: a browser has them when the page's script has run.

Streamlit loads the script of each kind of element when the first one arrives, and that script's own imports after it. What is
named here is only loaded sooner, never more: a name that a version does not have is left out.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import streamlit as st

from opstore.ui.scripts import PLOTLY
from opstore.ui.streamlit_private.served import FRONT_END, SCRIPT

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FILTERS = (
    "bidicomponent",
    "html",
    "pagelink",
    "buttongroup",
    "textinput",
    "selectbox",
    "multiselect",
    "dateinput",
    "checkbox",
)
#: Kinds of elements by the page whose first screen has them: the names of their scripts in small letters.
NEEDED = {"/library": _FILTERS, "/analytics": ("metric", *_FILTERS)}
#: Of our own.
OURS = {"/analytics": (f"<{PLOTLY}>;rel=preload;as=script;fetchpriority=low",)}
#: Bytes from which a script is named. All of them are 53 names of 3 kB, where a proxy has 4 kB for a head; and over half a
#: second of network, where they queue with what the page begins with, the library stood 3 s later than without any.
LEAST = 20_000
_IMPORT = re.compile(r"""(?:from|import)\s*["']\./([\w.-]+\.js)["']""")


class Early:
    """Adds to a page's answer the links to what it will need."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and complete the headers of a page."""
        if scope["type"] != "http" or scope["path"] not in NEEDED:
            await self._app(scope, receive, send)
            return
        link = links(scope["path"])

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start" and link:
                message["headers"] = [*message["headers"], (b"link", link)]
            await send(message)

        await self._app(scope, receive, complete)


@functools.cache
def links(path: str) -> bytes:
    """Return the Link header of a page: scripts of its elements and all that they import, beyond what every page begins with."""
    if st.get_option("server.baseUrlPath"):
        return b""
    scripts = FRONT_END / "static" / "js"
    wanted = [found.name for found in sorted(scripts.glob("*.js")) if found.name.partition(".")[0].lower() in NEEDED[path]]
    begun = set(SCRIPT.findall((FRONT_END / "index.html").read_text("utf-8")))
    known: dict[str, None] = {}
    while wanted:
        name = wanted.pop()
        if name not in known and name not in begun:
            known[name] = None
            wanted += _IMPORT.findall((scripts / name).read_text("utf-8"))
    named = [f"</static/js/{name}>; rel=modulepreload" for name in known if (scripts / name).stat().st_size >= LEAST]
    return ", ".join([*OURS.get(path, ()), *named]).encode()
