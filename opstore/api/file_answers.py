"""Files as answers: stored ones and copies in the cache, whole or in parts, or 304 where the caller has this very file.

What is sent is read from the file that was opened when the answer was made, whatever becomes of its name meanwhile.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterable
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from opstore.api.guard import error_answer
from opstore.errors import FileMissing
from opstore.storage.stored_file import PART, Reader, Stat, opened

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

#: A stored file never changes under its name.
FOREVER = "private, max-age=31536000, immutable"
#: Who asks for more parts than these gets the whole file, which is no more than it asked for.
MAX_PARTS = 100
_PART = re.compile(r"[ \t]*([0-9]{0,18})[ \t]*-[ \t]*([0-9]{0,18})[ \t]*")
_Parts = list[tuple[int, int]]


class StoredFile(StreamingResponse):
    """A file, or parts of it, as RFC 9110 wants them: parts are for GET only (14.2), and a refusal is told as every error is."""

    def __init__(self, reader: Reader, media_type: str, keep: str = FOREVER) -> None:
        """Answer with what `reader` reads, and close it; a browser may `keep` it as Cache-Control says."""
        self._reader = reader
        told = {"Cache-Control": keep, "Accept-Ranges": "bytes", "Content-Length": str(reader.stat.size)}
        super().__init__(self._sent([]), media_type=media_type, headers={**told, **_validators(reader.stat)})

    def close(self) -> None:
        """Give the file back where nobody is answered with it."""
        self._reader.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self._reader:
            headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"range", b"if-range")}
            try:
                parts = self._asked(headers) if scope["method"] == "GET" else []
            except ValueError as error:
                refusal = error_answer("There is no such part of this file.", 416 if error.args else 400)
                if error.args:
                    refusal.headers["Content-Range"] = f"bytes */{self._reader.stat.size}"
                await refusal(scope, receive, send)
                return
            if parts:
                self._become(parts)
            elif scope["method"] != "HEAD":
                self.body_iterator = self._sent([(b"", 0, self._reader.stat.size)])
            await super().__call__(scope, receive, send)

    def _asked(self, headers: dict[bytes, str]) -> _Parts:
        """Return which parts a request asks for, none where the whole file is the answer; raise as `parts_of` does."""
        unit, _, ranges = headers.get(b"range", "").partition("=")
        wanted = headers.get(b"if-range")
        is_this = wanted is None or wanted in (self.headers["etag"], self.headers["last-modified"])
        return parts_of(ranges, self._reader.stat.size) if unit.strip().lower() == "bytes" and is_this else []

    def _become(self, parts: _Parts) -> None:
        """Answer with these parts alone."""
        size, kind, self.status_code = self._reader.stat.size, self.headers["content-type"], 206
        if len(parts) == 1:
            ((start, end),) = parts
            self.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            pieces = [(b"", start, end)]
        else:
            mark = secrets.token_hex(13)
            self.headers["Content-Type"] = f"multipart/byteranges; boundary={mark}"
            head = f"--{mark}\r\nContent-Type: {kind}\r\nContent-Range: bytes {{}}-{{}}/{size}\r\n\r\n"
            heads = [head.format(start, end - 1).encode("latin-1") for start, end in parts]
            pieces = [(b"\r\n" * (at > 0) + heads[at], *part) for at, part in enumerate(parts)]
            pieces.append((f"\r\n--{mark}--".encode("latin-1"), 0, 0))
        self.headers["Content-Length"] = str(sum(len(before) + end - start for before, start, end in pieces))
        self.body_iterator = self._sent(pieces)

    async def _sent(self, pieces: Iterable[tuple[bytes, int, int]]) -> AsyncIterator[bytes]:
        """Yield of each piece what stands before it, and the file's bytes from its start to before its end."""
        for before, start, end in pieces:
            if before:
                yield before
            while start < end and (part := await run_in_threadpool(self._reader.range, start, min(end - start, PART))):
                start += len(part)
                yield part


def parts_of(ranges: str, size: int) -> _Parts:
    """Return the parts that a request names, each from its first to before its last byte, in order, those that overlap as one.

    There are none where it names so many that the whole file is less. Raise ValueError for a text that names no part, with an
    argument for one that the file does not have.
    """
    named = ranges.split(",")
    if len(named) > MAX_PARTS:
        return []
    parts = []
    for first, last in (found.groups() for name in named if (found := _PART.fullmatch(name)) and any(found.groups())):
        start = int(first) if first else max(size - int(last), 0)
        parts.append((start, min(int(last) + 1, size) if first and last else size))
    if any(start >= size for start, _ in parts):
        raise ValueError("beyond its end")
    if not parts or any(start >= end for start, end in parts):
        raise ValueError
    merged: _Parts = []
    for start, end in sorted(parts):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def kept_file(path: Path, media_type: str, keep: str = FOREVER) -> StoredFile:
    """Return a copy in the cache as an answer; raise FileMissing where it has gone meanwhile."""
    try:
        return StoredFile(opened(path), media_type, keep)
    except FileNotFoundError:  # deleted since it was looked at
        raise FileMissing(name=path.name) from None


def thumbnail_file(path: Path, keep: str = FOREVER) -> Response:
    """Return a small picture as an answer, read at once: a file in pieces goes through other threads twice."""
    try:
        with opened(path) as file:
            data = file.read()
            told = _validators(file.stat)
    except FileNotFoundError:  # the cache was deleted at this very moment
        raise FileMissing(name=path.name) from None
    kind = "image/webp" if data[:4] == b"RIFF" else "image/png" if data[:4] == b"\x89PNG" else "image/jpeg"
    return Response(data, media_type=kind, headers={"Cache-Control": keep, **told})


def unless_known(answer: Response, request: Request) -> Response:
    """Return 304 where the caller says that it has this very file, else the file."""
    tags, since = request.headers.get("if-none-match"), request.headers.get("if-modified-since")
    if tags is not None:
        known = tags.strip() == "*" or answer.headers["etag"] in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    else:
        known = since is not None and _is_not_after(answer.headers["last-modified"], since)
    if not known:
        return answer
    if isinstance(answer, StoredFile):
        answer.close()
    kept = {name: answer.headers[name] for name in ("cache-control", "etag", "last-modified")}
    return Response(status_code=304, headers=kept)


def _validators(stat: Stat) -> dict[str, str]:
    """Return what tells this state of a file; a packed one has the time that it had before."""
    return {"ETag": f'"{stat.modified:x}-{stat.size:x}"', "Last-Modified": formatdate(stat.modified / 1e9, usegmt=True)}


def _is_not_after(modified: str, since: str) -> bool:
    """Compare two HTTP dates; one that is none says nothing (RFC 9110, 13.1.3)."""
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(since)
    except (ValueError, TypeError, OverflowError):  # TypeError: without a zone
        return False
