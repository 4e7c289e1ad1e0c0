"""CSV and JSON Lines: streamed line by line."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Generator, Sequence
from typing import Any

from opstore.analytics.columns import NAMES
from opstore.analytics.frame_row import Row
from opstore.exports.cells import csv_line, french_csv_line
from opstore.exports.column_titles import heads
from opstore.exports.work import PART, Work

# Valid inside JSON, but line ends to readers that split text: escaped, so that a line stays a line.
_LINE_ENDS = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029", "\u0085": "\\u0085"})


class Lines:
    """CSV lines (RFC 4180: CRLF, quotes doubled, UTF-8 without a mark) as they are written."""

    def __init__(self, names: Sequence[str] = NAMES, between: str = ",") -> None:
        """Begin with the names of the columns; `between` stands between two cells."""
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, delimiter=between)
        self._writer.writerow(names)

    def add(self, line: list[str]) -> None:
        """Write a line."""
        self._writer.writerow(line)

    def full(self) -> bool:
        """Say whether there is enough to hand on."""
        return self._text.tell() >= PART

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        data = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return data


def csv_parts(work: Work) -> Generator[bytes]:
    """Yield a CSV file of the frame's columns."""
    yield from _parts(work, Lines(), csv_line)


def _parts(work: Work, lines: Lines, told: Callable[[Row], list[str]]) -> Generator[bytes]:
    for _sidecar, row in work.rows():
        lines.add(told(row))
        if lines.full():
            yield lines.taken()
    yield lines.taken()


def excel_csv_parts(work: Work) -> Generator[bytes]:
    """Yield the same file with a mark in front: without, Excel takes it for text of the machine's old code page."""
    yield codecs.BOM_UTF8
    yield from csv_parts(work)


def french_csv_parts(work: Work) -> Generator[bytes]:
    """Yield the table as an Excel set to French opens it in columns: a mark, its language, semicolons."""
    yield codecs.BOM_UTF8
    yield from _parts(work, Lines(heads("fr"), ";"), french_csv_line)


def json_line(sidecar: dict[str, Any]) -> bytes:
    """Return a sidecar as one line, its keys in their order."""
    text = json.dumps(sidecar, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_LINE_ENDS).encode() + b"\n"


def json_parts(work: Work) -> Generator[bytes]:
    """Yield the sidecars as they are, one a line."""
    held = bytearray()
    for sidecar, _data in work.sidecars:
        held += json_line(sidecar)
        if len(held) >= PART:
            yield bytes(held)
            held.clear()
    yield bytes(held)
