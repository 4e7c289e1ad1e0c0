"""Bodies of requests, read under limits while they come in: bytes a part and in all, parts, header lines, and time.

What is said about a body (its length, its type, the names in it) is never believed: a length may only make it refused earlier.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import anyio
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from opstore.errors import (
    BodyTooLarge,
    BodyTooSlow,
    InputTooLarge,
    TooManyBodies,
    TooManyInputs,
    UnknownField,
    WrongBody,
    WrongType,
    said,
    shown,
)
from opstore.storage.store import MAX_INPUT_BYTES

#: A field that is text: a prompt has at most 20,000 characters, of four bytes each at most.
MAX_TEXT = 100_000
URLENCODED = b"application/x-www-form-urlencoded"
#: Names, header lines and boundaries around the parts.
_FRAMING = 64_000
#: The longest pause, and the longest time in all: 100 MB at 350 kB/s.
PAUSE_SECONDS, BODY_SECONDS = 20.0, 300.0
#: Bodies that are read at a time: each may take 100 MB of memory.
READ_AT_A_TIME = 6


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: whole files of the one field that takes files, in order, and texts by the names of their fields."""

    files: tuple[bytes, ...]
    texts: Mapping[str, str]


class Bodies:
    """Reads bodies, only so many at a time."""

    def __init__(self) -> None:
        """Have none under way."""
        self._reading = 0

    async def form(self, request: Request, *, files: str, most: int, texts: Collection[str]) -> Form:
        """Read a multipart form with at most `most` files in the field `files`, and these `texts`; any other field is refused.

        A form without files may also be urlencoded, as clients send it that have none. Raise InputTooLarge, TooManyInputs,
        BodyTooLarge, BodyTooSlow, WrongBody, TooManyBodies.
        """
        kind, options = parse_options_header(request.headers.get("content-type"))
        if kind == URLENCODED:
            return Form((), await self.texts(request, texts, 3 * MAX_TEXT))  # %C3%A9: three bytes for one
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise WrongType(wanted="multipart/form-data")
        parts = _Parts(files, most, frozenset(texts))
        with self._slot(), _told_wrong():
            parser = MultipartParser(options[b"boundary"], parts.callbacks())
            async for piece in pieces(request, most * MAX_INPUT_BYTES + len(texts) * MAX_TEXT + _FRAMING):
                parser.write(piece)
            parser.finalize()
        return parts.form()

    async def texts(self, request: Request, names: Collection[str], most: int) -> dict[str, str]:
        """Read an urlencoded form of these fields, of at most `most` bytes; raise as `form` does."""
        kind, _ = parse_options_header(request.headers.get("content-type"))
        if kind != URLENCODED:
            raise WrongType(wanted=URLENCODED.decode())
        with self._slot():
            data = b"".join([piece async for piece in pieces(request, most)])
        return _unquoted(data, names)

    async def document(self, request: Request) -> dict[str, Any]:
        """Read a JSON object; raise WrongBody for anything else, BodyTooLarge, BodyTooSlow or TooManyBodies."""
        kind, _ = parse_options_header(request.headers.get("content-type"))
        if kind not in (b"application/json", b"application/merge-patch+json"):
            raise WrongType(wanted="application/json")
        with self._slot():
            data = b"".join([piece async for piece in pieces(request, MAX_TEXT)])
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            raise WrongBody(reason=said("it is not JSON")) from None
        if not isinstance(body, dict):
            raise WrongBody(reason=said("it must be an object of names and values"))
        return body

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        if self._reading >= READ_AT_A_TIME:
            raise TooManyBodies
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1


async def pieces(request: Request, most: int, seconds: float | None = None) -> AsyncIterator[bytes]:
    """Yield a body as it comes in; raise BodyTooLarge with the first byte too many, BodyTooSlow where it does not come."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 12 or int(length) > most):
        raise BodyTooLarge(limit=f"{most / 1_000_000:.1f}")
    end, size = time.monotonic() + (BODY_SECONDS if seconds is None else seconds), 0
    coming = request.stream()
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise BodyTooSlow
        try:
            with anyio.fail_after(min(PAUSE_SECONDS, left)):
                piece = await anext(coming, None)
        except TimeoutError:
            raise BodyTooSlow from None
        except ClientDisconnect:
            raise WrongBody(reason=said("it was cut short")) from None
        if piece is None:
            return
        size += len(piece)
        if size > most:
            raise BodyTooLarge(limit=f"{most / 1_000_000:.1f}")
        yield piece


def _unquoted(data: bytes, texts: Collection[str]) -> dict[str, str]:
    """Return the texts of an urlencoded form."""
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise WrongBody(reason=said("it is not a form in UTF-8")) from None
    for name, _ in pairs:
        if name not in texts:
            raise UnknownField(name=shown(name), known=", ".join(sorted(texts)))
    found = dict(pairs)
    if len(found) < len(pairs):
        raise WrongBody(reason=said("a field appears twice"))
    return found


@contextlib.contextmanager
def _told_wrong() -> Iterator[None]:
    try:
        yield
    except (FormParserError, ValueError):
        raise WrongBody(reason=said("it is not a multipart form")) from None


@dataclass(slots=True)
class _Part:
    """One part under way; `limit` is how many bytes it may have."""

    name: str
    filename: str | None
    is_file: bool
    data: bytearray = field(default_factory=bytearray)


class _Parts:
    """Collects the parts of one form as the parser finds them."""

    def __init__(self, files: str, most: int, texts: frozenset[str]) -> None:
        self._files, self._most, self._texts = files, most, texts
        self._found: list[bytes] = []
        self._said: dict[str, str] = {}
        self._part: _Part | None = None
        self._header: list[bytes] = [b"", b""]
        self._disposition = b""
        self._ended = False

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._collect(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._collect(1, data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._take,
            "on_part_end": self._close,
            "on_end": self._end,
        }

    def form(self) -> Form:
        if not self._ended:
            raise WrongBody(reason=said("it was cut short"))
        return Form(tuple(self._found), self._said)

    def _begin(self) -> None:
        self._disposition, self._header = b"", [b"", b""]

    def _collect(self, at: int, data: bytes) -> None:
        self._header[at] += data

    def _header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = [b"", b""]

    def _open(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        if kind != b"form-data" or name not in {self._files, *self._texts}:
            raise UnknownField(name=shown(name), known=", ".join(sorted({self._files, *self._texts})))
        is_file = name == self._files
        if is_file and len(self._found) >= self._most:
            raise TooManyInputs(count=len(self._found) + 1, limit=self._most)
        if not is_file and name in self._said:
            raise WrongBody(reason=said("the field {name} appears twice", name=name))
        self._part = _Part(name, None if filename is None else filename.decode("utf-8", "replace"), is_file)

    def _take(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        assert part
        if part.is_file and len(part.data) + end - start > MAX_INPUT_BYTES:
            megabytes = MAX_INPUT_BYTES // 1024 // 1024
            raise InputTooLarge(index=len(self._found) + 1, megabytes=f"> {megabytes}", limit=megabytes)
        if not part.is_file and len(part.data) + end - start > MAX_TEXT:
            raise WrongBody(reason=said("the field {name} is longer than {limit} bytes", name=part.name, limit=MAX_TEXT))
        part.data += data[start:end]

    def _close(self) -> None:
        part = self._part
        assert part
        if not part.is_file:
            try:
                self._said[part.name] = part.data.decode("utf-8")
            except UnicodeDecodeError:
                raise WrongBody(reason=said("the field {name} is not text in UTF-8", name=part.name)) from None
        elif part.data or part.filename:  # a browser sends a choice of no file as one without name and bytes
            self._found.append(bytes(part.data))

    def _end(self) -> None:
        self._ended = True
