"""Sends the scripts and styles of Streamlit's front end packed, each packed once a process: 0.9 MB to a new browser, not 3.7.

Streamlit sends them as they are, because it would pack them for every request. Their names tell their content, so what is packed
never gets old; what is no such file is passed on as it is.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import anyio.to_thread

from opstore.ui.inner_request import Answer, asked
from opstore.ui.streamlit_private.served import LASTING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Bytes from which packing pays, and that are kept of all together; the whole front end has 2 MB packed.
_LEAST, _MOST = 1_000, 16_000_000
#: What is another for a packed file.
_OTHER = (b"content-length", b"etag", b"vary", b"accept-ranges")


class CompressedScripts:
    """Answers for the files of the front end."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`, which has the files."""
        self._app = app
        self._kept: dict[str, Answer] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a packed file to a browser that takes one, and pass everything else on."""
        answer = await self._packed(scope, receive) if _is_wanted(scope) else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _packed(self, scope: Scope, receive: Receive) -> Answer | None:
        """Return a file packed, None for what is none."""
        path = scope["path"]
        if path in self._kept:
            return self._kept[path]
        answer = await asked(self._app, scope, receive, path, b"")
        if answer.status != 200 or len(answer.body) < _LEAST:
            return None
        answer.body = await anyio.to_thread.run_sync(lambda: gzip.compress(answer.body, 6, mtime=0))
        answer.headers = [(name, value) for name, value in answer.headers if name.lower() not in _OTHER]
        answer.headers += [
            (b"content-length", str(len(answer.body)).encode()),
            (b"content-encoding", b"gzip"),
            (b"vary", b"Accept-Encoding"),
        ]
        if sum(len(other.body) for other in self._kept.values()) + len(answer.body) <= _MOST:
            self._kept[path] = answer
        return answer


def _is_wanted(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(LASTING):
        return False
    headers = dict(scope["headers"])
    takes = b"gzip" in headers.get(b"accept-encoding", b"")
    return takes and not {b"range", b"if-none-match", b"if-modified-since"} & headers.keys()
