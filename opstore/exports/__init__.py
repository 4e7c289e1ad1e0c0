"""Exports: a selection, what a search finds, or everything, in one of seven formats, streamed: memory does not grow.

The columns are those of the analytics frame, made from each sidecar by the same function. What cannot be read is left out and
told, never a reason to stop. Whatever ends an export early leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from opstore.access.roles import Role, part
from opstore.errors import DamagedOperation, InvalidRequest, OperationNotFound, OpstoreError, UnsafeFile, said, shown
from opstore.exports.work import Stored, Work
from opstore.index import MAX_PAGE, Index
from opstore.index.entry import sidecar_of
from opstore.index.reader import Reader
from opstore.index.search_language import parse
from opstore.media.thumbnails import Thumbnails
from opstore.storage.files import storage_errors
from opstore.storage.names import check_operation_id
from opstore.storage.operation import Operation, encode, timestamp
from opstore.storage.store import Store

Parts = Callable[[Work], Generator[bytes]]


def _loaded(module: str, function: str) -> Parts:
    """Return a writer whose module, and with it its library, is loaded when it is used."""

    def parts(work: Work) -> Generator[bytes]:
        made: Generator[bytes] = getattr(import_module(module), function)(work)
        return made

    return parts


@dataclass(frozen=True, slots=True)
class Format:
    """One row of the table of formats."""

    name: str
    extension: str
    media_type: str
    parts: Parts
    binary: bool = True


#: The one table of formats.
FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format(
            "csv",
            "csv",
            "text/csv; charset=utf-8; header=present",
            _loaded("opstore.exports.text_formats", "csv_parts"),
            binary=False,
        ),
        Format(
            "csv-excel",
            "csv",
            "text/csv; charset=utf-8; header=present",
            _loaded("opstore.exports.text_formats", "excel_csv_parts"),
            binary=False,
        ),
        Format(
            "csv-excel-fr",
            "csv",
            "text/csv; charset=utf-8; header=present",
            _loaded("opstore.exports.text_formats", "french_csv_parts"),
            binary=False,
        ),
        Format(
            "xlsx",
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            _loaded("opstore.exports.excel", "excel_parts"),
        ),
        Format(
            "jsonl",
            "jsonl",
            "application/jsonl; charset=utf-8",
            _loaded("opstore.exports.text_formats", "json_parts"),
            binary=False,
        ),
        Format("parquet", "parquet", "application/vnd.apache.parquet", _loaded("opstore.exports.parquet", "parquet_parts")),
        Format("zip", "zip", "application/zip", _loaded("opstore.exports.archive", "zip_parts")),
    )
}


@dataclass
class Export:
    """An export that can be made: `parts` yields its bytes, once; `left_out` afterwards tells what could not be read."""

    format: Format
    filename: str
    total: int | None
    work: Work

    def parts(self) -> Generator[bytes]:
        """Yield the file, part by part; closing the generator ends the export and removes what it had put aside.

        A part may be empty: the moment to give up, for whoever has waited long enough.
        """
        return self.format.parts(self.work)

    @property
    def written(self) -> int:
        """Return the number of operations in the file."""
        return self.work.written

    @property
    def left_out(self) -> Sequence[tuple[str, str]]:
        """Return what could not be read, by name, with the reason."""
        return self.work.left_out


@part(Role.CREATOR, Role.ANALYST)
class Exports:
    """The exports of one store."""

    def __init__(
        self,
        store: Store,
        index: Index,
        thumbnails: Thumbnails | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Read `store`; what a search finds is asked of `index`."""
        self._store = store
        self._index = index
        self._thumbnails = thumbnails or Thumbnails(store)
        self._clock = clock

    def prepare(
        self,
        name: str,
        *,
        query: str = "",
        ids: Sequence[str] | None = None,
        order: str = "newest",
        thumbnails: bool = False,
        originals: bool = False,
        report: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> Export:
        """Return the export of `ids`, or of what `query` finds (everything where it is empty), in the format `name`.

        Media in a zip carry the mark of what made them; `originals` leaves them byte for byte as they are stored.

        Raise InvalidRequest for what there is none of, InvalidQuery and InvalidOperationId for what cannot be read. `report` is
        called with the operations written and their number, where it is known.
        """
        chosen = FORMATS.get(name)
        if chosen is None:
            reason = said("there is no format {value}; use one of {names}", value=shown(name), names=tuple(FORMATS))
            raise InvalidRequest(reason=reason)
        if thumbnails and name != "xlsx":
            raise InvalidRequest(reason=said("only Excel files take pictures; the zip holds the media themselves"))
        if originals and name != "zip":
            raise InvalidRequest(reason=said("only a zip holds the media themselves"))
        if ids is not None:
            if query.strip():
                raise InvalidRequest(reason=said("give a search or ids, not both"))
            wanted = tuple(dict.fromkeys(check_operation_id(item) for item in ids))
            total: int | None = len(wanted)
            names: Iterator[str] = iter(wanted)
        else:
            parse(query)
            if not self._index.progress().ready:
                self._index.catch_up()  # a file says nothing of how far the index was: it waits for all
            count = self._index.count(query)
            total = count.n if count.exact else None
            names = self._found(query, order)
        self._index.search(
            query, order=order, size=1
        )  # an order that there is none of is told now, also where ids have their own
        now = self._clock()
        work = Work(
            self._store,
            iter(()),
            self._about("chosen operations" if ids is not None else query, total, now),
            self._thumbnail if thumbnails else None,
            originals,
        )
        if ids is None and not query.strip():
            for problem in self._index.problems():
                work.leave_out(problem.operation_id or problem.name, problem.detail)
        work.sidecars = self._sidecars(names, work, partial(_reported, report, total))
        return Export(chosen, f"opstore-{now:%Y-%m-%d}.{chosen.extension}", total, work)

    def _found(self, query: str, order: str) -> Iterator[str]:
        after = None
        while True:
            found = self._index.search(query, order=order, after=after, size=MAX_PAGE)
            yield from [row.id for row in found.rows]
            after = found.next
            if after is None:
                return

    def _sidecars(self, names: Iterator[str], work: Work, report: Callable[[int], None]) -> Iterator[Stored]:
        operations = self._store.operations
        with Reader(operations) if operations.exists() else contextlib.nullcontext() as reader:
            for done, operation_id in enumerate(names, 1):
                try:
                    stored = self._stored(reader, operation_id)
                except (OperationNotFound, DamagedOperation, UnsafeFile) as error:
                    work.leave_out(operation_id, str(error))
                else:
                    work.written += 1
                    yield stored
                report(done)

    def _stored(self, reader: Reader | None, operation_id: str) -> Stored:
        observed = reader.data(operation_id) if reader else None
        if observed and isinstance(observed[0], bytes):
            return sidecar_of(observed[0], operation_id), observed[0]
        sidecar = self._store.get_operation_metadata(operation_id)  # raises what is wrong
        return sidecar, encode(sidecar)

    def _thumbnail(self, operation: Operation) -> Path | None:
        for name in (*operation.outputs, *operation.intermediates, *operation.inputs):
            with contextlib.suppress(OpstoreError):
                path = self._thumbnails.path(name)
                if path is not None:
                    return path
        return None

    @staticmethod
    def _about(query: str, total: int | None, now: datetime) -> tuple[tuple[str, str], ...]:
        return (
            ("search", query or "everything"),
            ("operations", str(total) if total is not None else "more than 10,000"),
            ("data as of", timestamp(now)),
        )


def _reported(report: Callable[[int, int | None], None], total: int | None, done: int) -> None:
    report(done, total)


def write(export: Export, path: Path, *, replace: bool = False) -> int:
    """Write an export to a file as `put` does."""
    with contextlib.closing(export.parts()) as parts:
        return put(parts, path, replace=replace)


def put(parts: Iterable[bytes], path: Path, *, replace: bool = False) -> int:
    """Write parts to a file, whole or not at all, and return its bytes.

    Raise InvalidRequest where the file exists, or where what is to be replaced is no file (`/dev/null`).
    """
    if replace and path.exists() and not path.is_file():
        raise InvalidRequest(reason=said("{file} is no file that could be replaced", file=path))
    if not replace and os.path.lexists(path):
        raise InvalidRequest(reason=said("{file} exists already; name another file, or add --force", file=path))
    temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with storage_errors(), temp.open("xb") as file:
            size = sum(file.write(part) for part in parts)
            file.flush()
            os.fsync(file.fileno())
        with storage_errors():
            os.replace(temp, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temp.unlink(missing_ok=True)
        raise
    return size


def pour(export: Export, file: BinaryIO) -> int:
    """Write an export to an open file and return its bytes."""
    with contextlib.closing(export.parts()) as parts:
        return sum(file.write(part) for part in parts)


__all__ = ["FORMATS", "Export", "Exports", "Format", "pour", "put", "write"]
