"""A row's values as cells: exact and documented for programs, and never a formula for the spreadsheet that opens them.

Spreadsheets run a cell that begins with = + - @, a tab or a line end, whoever wrote it. In CSV such a text gets an apostrophe in
front, and so does one that begins with an apostrophe, so that taking one off gives back every text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from opstore.analytics.columns import COLUMNS, Column
from opstore.analytics.frame_row import Row

#: Full-width forms count as well: some spreadsheets read them as the narrow ones.
DANGEROUS = "=+-@\t\r\n＝＋－＠"
_GUARDED = DANGEROUS + "'"
#: Blanks and control characters in front, which some spreadsheets pass over or drop.
_PASSED_OVER = "".join(
    letter
    for letter in map(chr, (*range(0x3001), 0xFEFF))
    if letter not in DANGEROUS and (letter.isspace() or not letter.isprintable())
)


def cells(row: Row) -> Iterator[tuple[Column, Any]]:
    """Yield the columns with the row's values."""
    return zip(COLUMNS, row, strict=False)  # what is kept beside the columns comes after them


def is_dangerous(text: str) -> bool:
    """Say whether a spreadsheet might run a text; blanks and control characters in front are passed over by some."""
    return text.lstrip(_PASSED_OVER)[:1] in tuple(DANGEROUS)


def csv_line(row: Row) -> list[str]:
    """Return a row as a line of CSV: missing is empty."""
    return [csv_cell(value) for _column, value in cells(row)]


def french_csv_line(row: Row) -> list[str]:
    """Return a row as a line of CSV that an Excel set to French reads: decimal commas, vrai and faux, days before months."""
    return [_french_cell(value) for _column, value in cells(row)]


def _french_cell(value: Any) -> str:
    if isinstance(value, bool):
        return "vrai" if value else "faux"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%d/%m/}{value.astimezone(UTC).year:04}{value.astimezone(UTC): %H:%M:%S}"
    return csv_cell(value).replace(".", ",") if isinstance(value, float) else csv_cell(value)


def csv_cell(value: Any) -> str:
    """Return a value as CSV has it: times in ISO 8601 and UTC, true and false, lists as JSON, texts that nothing runs."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        exact = "microseconds" if value.microsecond % 1000 else "milliseconds"
        return value.astimezone(UTC).isoformat(timespec=exact).replace("+00:00", "Z")
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    return guarded(value) if isinstance(value, str) else repr(value)


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if is_dangerous(text) or text[:1] in tuple(_GUARDED) else text
