"""Excel: typed columns, a header that stays, filters, pictures if wanted; every text is a text, whatever it begins with.

Rows go to disk as they come, so that memory does not grow with them. A sheet takes 1,048,576 rows: what is more goes on in
another one. A cell takes 32,767 characters, an emoji counted as two: longer texts are cut and end in …
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from opstore.analytics.columns import COLUMNS, Kind
from opstore.analytics.frame_row import Row
from opstore.errors import InvalidRequest, said
from opstore.exports.cells import cells, is_dangerous
from opstore.exports.work import PART, Work
from opstore.media.thumbnails import small_jpeg
from opstore.storage.files import storage_errors
from opstore.storage.operation import Operation

#: Rows of a sheet, the header included.
SHEET_ROWS = 1_048_576
MAX_TEXT = 32_767
#: Beyond this whole number Excel rounds: what identifies something is written as text.
_EXACT = 2**53
#: Longest side of a picture in pixels, and how many fit: each stays in memory until the end, about 4 kB.
SIDE, MOST_PICTURES = 96, 2_000
_WIDTHS: dict[Kind, int] = {"text": 30, "category": 20, "moment": 20, "flag": 11, "whole": 12, "number": 13, "texts": 22}
_BEAT = 500


def excel_parts(work: Work) -> Generator[bytes]:
    """Yield an Excel file; while it is being made, nothing at times, so that whoever waits may give up."""
    with work.folder() as folder:
        path = folder / "operations.xlsx"
        with storage_errors():
            yield from _Book(work, path).written()
            with path.open("rb") as file:
                while part := file.read(PART):
                    yield part


class _Book:
    """One workbook being written."""

    def __init__(self, work: Work, path: Path) -> None:
        options = {
            "constant_memory": True,
            "tmpdir": str(path.parent),
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "use_zip64": True,
        }
        self._work = work
        self._book = xlsxwriter.Workbook(str(path), options)
        self._head = self._book.add_format({"bold": True, "bottom": 1, "valign": "vcenter"})
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", "valign": "top"})
        self._plain = self._book.add_format({"valign": "top"})
        # A text that looks like a formula would become one when somebody edits its cell: this keeps it a text then, too.
        self._guarded = self._book.add_format({"quote_prefix": True, "valign": "top"})
        self._font = self._book.add_format()
        self._first = 1 if work.thumbnail else 0
        self._pictures = 0
        self._sheet: Any = None
        self._row = 0
        self._sheets = 0

    def written(self) -> Iterator[bytes]:
        whole = False
        try:
            for number, (sidecar, row) in enumerate(self._work.rows()):
                if self._sheet is None or self._row >= SHEET_ROWS - 1:
                    self._open()
                self._add(sidecar, row)
                if number % _BEAT == 0:
                    yield b""
            if self._sheet is None:
                self._open()
            self._finish()
            self._about()
            whole = True
        finally:
            if whole:
                self._close()
            else:
                self._abandon()

    def _close(self) -> None:
        try:
            self._book.close()
        except FileCreateError as error:  # the library's wrapping of what the disk said
            self._abandon()
            reason = error.args[0] if error.args else None
            raise (reason if isinstance(reason, OSError) else error) from error

    def _abandon(self) -> None:
        """Close the files of the rows: the folder they lie in goes, and nothing is put together."""
        self._book.fileclosed = 1
        for sheet in self._book.worksheets():
            with contextlib.suppress(OSError):  # what was not written yet has no room either
                if sheet.row_data_fh is not None:
                    sheet.row_data_fh.close()

    def _open(self) -> None:
        if self._sheet is not None:
            self._finish()
        self._sheets += 1
        self._sheet = self._book.add_worksheet("Operations" if self._sheets == 1 else f"Operations {self._sheets}")
        self._sheet.freeze_panes(1, self._first + 1)
        if self._first:
            self._sheet.set_column(0, 0, SIDE / 7)
        for at, column in enumerate(COLUMNS, self._first):
            self._sheet.set_column(at, at, 60 if column.name == "prompt" else _WIDTHS[column.kind], self._plain)
        if self._first:
            self._sheet.write_string(0, 0, "picture", self._head)
        for at, column in enumerate(COLUMNS, self._first):
            self._sheet.write_string(0, at, column.name, self._head)
        self._row = 0

    def _finish(self) -> None:
        self._sheet.autofilter(0, 0, max(self._row, 1), self._first + len(COLUMNS) - 1)

    def _add(self, sidecar: dict[str, Any], row: Row) -> None:
        self._row += 1
        if self._work.thumbnail:
            self._picture(sidecar)
        for at, (_column, value) in enumerate(cells(row), self._first):
            if value is not None:
                self._cell(at, value)

    def _cell(self, at: int, value: Any) -> None:
        sheet, row = self._sheet, self._row
        if isinstance(value, bool):
            sheet.write_boolean(row, at, value, self._plain)
        elif isinstance(value, datetime) and 1900 < value.year < 10_000:
            sheet.write_datetime(row, at, value.astimezone(UTC).replace(tzinfo=None), self._time)
        elif isinstance(value, int | float) and abs(value) < _EXACT:
            sheet.write_number(row, at, value, self._plain)
        else:
            self._text(sheet, row, at, ", ".join(value) if isinstance(value, tuple) else str(value))

    def _text(self, sheet: Any, row: int, at: int, text: str) -> None:
        text = _fitting(text)
        kind = self._guarded if is_dangerous(text) else self._plain
        if text.startswith("<r>"):  # the library takes it for its own markup, and writes it into the file as it is
            sheet.write_rich_string(row, at, text[:1], self._font, text[1:], kind)
        else:
            sheet.write_string(row, at, text, kind)

    def _picture(self, sidecar: dict[str, Any]) -> None:
        self._sheet.set_row_pixels(self._row, SIDE + 4)
        find = self._work.thumbnail
        path = find(Operation.of(sidecar)) if find else None
        if path is None:
            return
        self._pictures += 1
        if self._pictures > MOST_PICTURES:
            reason = said(
                "an Excel file takes pictures of {limit} operations at most; export fewer, or without", limit=MOST_PICTURES
            )
            raise InvalidRequest(reason=reason)
        data = small_jpeg(path, SIDE)
        if data:
            options = {"image_data": io.BytesIO(data), "x_offset": 2, "y_offset": 2, "object_position": 1, "decorative": True}
            self._sheet.insert_image(self._row, 0, f"{self._pictures}.jpg", options)

    def _about(self) -> None:
        """Say what the columns are, and what the file holds, on a sheet of its own."""
        sheet = self._book.add_worksheet("About")
        sheet.set_column(0, 0, 20, self._plain)
        sheet.set_column(1, 1, 14, self._plain)
        sheet.set_column(2, 2, 100, self._plain)
        rows = [("column", "unit", "what it says"), *((column.name, column.unit, column.what) for column in COLUMNS)]
        rows += [("", "", ""), *((name, "", text) for name, text in self._work.about)]
        rows += [("left out", "", f"{name}: {reason}") for name, reason in self._work.left_out]
        for at, texts in enumerate(rows):
            for place, text in enumerate(texts):
                if at == 0:
                    sheet.write_string(at, place, text, self._head)
                else:
                    self._text(sheet, at, place, text)


def _fitting(text: str) -> str:
    """Return as much of a text as a cell takes, in units of UTF-16, as Excel counts: with one more it calls the file damaged."""
    units = text.encode("utf-16-le", "surrogatepass")
    return text if len(units) <= 2 * MAX_TEXT else f"{units[: 2 * (MAX_TEXT - 1)].decode('utf-16-le', 'ignore')}…"
