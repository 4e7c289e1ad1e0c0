"""A zip of media with their metadata: the data folder's own names, so that what is unpacked is a data folder again.

`operations/…` holds sidecars and files, `metadata.csv` the table of them, `left_out.csv` what could not be read, if anything.
Media are stored, not packed: they are compressed already. A file that ends early has no directory: no reader takes it for whole.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Generator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from opstore.analytics.rows import Row
from opstore.errors import OpstoreError
from opstore.exports.cells import csv_line, guarded
from opstore.exports.texts import Lines
from opstore.exports.work import Sink, Work
from opstore.files import storage_errors
from opstore.names import sidecar_name
from opstore.operation import Operation, encode

PART = 1024 * 1024
#: A zip knows no time before 1980, and none after 2107.
_FIRST, _LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)


def zip_parts(work: Work) -> Generator[bytes]:
    """Yield a zip archive, as it is made."""
    sink = Sink()
    with work.folder() as folder, zipfile.ZipFile(sink, "w", allowZip64=True) as archive:
        yield from _members(work, archive, sink, folder / "metadata.csv")
        if work.left_out:
            archive.writestr(_info("left_out.csv", None, packed=True), _left_out(work))
        archive.close()  # the directory
        yield sink.taken()


def _members(work: Work, archive: zipfile.ZipFile, sink: Sink, table: Path) -> Iterator[bytes]:
    lines = Lines()
    with storage_errors(), table.open("w+b") as kept:
        for sidecar, row in work.rows():
            lines.add(csv_line(row))
            if lines.full():
                kept.write(lines.taken())
            yield from _operation(work, archive, sink, sidecar, row)
        kept.write(lines.taken())
        size = kept.tell()
        kept.seek(0)
        yield from _copied(archive, sink, _info("metadata.csv", None, packed=True), kept, size)


def _operation(work: Work, archive: zipfile.ZipFile, sink: Sink, sidecar: dict[str, Any], row: Row) -> Iterator[bytes]:
    operation = Operation.of(sidecar)
    # Names that the grammar grants to this operation, and no others: nothing that is unpacked can leave its folder.
    for name in dict.fromkeys((*operation.inputs, *operation.intermediates, *operation.outputs)):
        try:
            file = work.store.open_file(name)
        except OpstoreError as error:
            work.leave_out(name, str(error))
            continue
        with file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            yield from _copied(archive, sink, _info(f"operations/{name}", row.timestamp), file, size)
    archive.writestr(_info(f"operations/{sidecar_name(operation.id)}", row.timestamp, packed=True), encode(sidecar))
    if sink.full():
        yield sink.taken()


def _copied(archive: zipfile.ZipFile, sink: Sink, info: zipfile.ZipInfo, file: BinaryIO, size: int) -> Iterator[bytes]:
    info.file_size = size  # more than 2 GiB needs another kind of entry, which must be known before its first byte
    with archive.open(info, "w") as member:
        while part := file.read(PART):
            member.write(part)
            if sink.full():
                yield sink.taken()


def _info(name: str, moment: datetime | None, *, packed: bool = False) -> zipfile.ZipInfo:
    time = moment.timetuple()[:6] if moment else _FIRST
    info = zipfile.ZipInfo(name, min(max(time, _FIRST), _LAST))
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    info.external_attr = 0o644 << 16
    return info


def _left_out(work: Work) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("name", "reason"))
    writer.writerows((guarded(name), guarded(reason)) for name, reason in work.left_out)
    return text.getvalue().encode()
