"""A zip of media with their metadata: the data folder's own names, so that what is unpacked is a data folder again.

`operations/…` holds sidecars and files, `metadata.csv` the table of them, `left_out.csv` what could not be read, if anything.
Media carry the mark of what made them (`provenance`), and the sidecars here tell the bytes that they have here; with `originals`
all is as it is stored. Media are stored, not packed: they are compressed already. A file that ends early has no directory: no
reader takes it for whole. The directory, which `zipfile` would hold in memory (1 kB a file), is kept on disk until it is written.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from opstore.analytics.frame_row import row_of
from opstore.errors import OpstoreError
from opstore.exports.cells import csv_line, guarded
from opstore.exports.text_formats import Lines
from opstore.exports.work import Sink, Stored, Work
from opstore.media import xmp
from opstore.media.provenance import Provenance
from opstore.storage.files import storage_errors
from opstore.storage.names import sidecar_name
from opstore.storage.operation import Operation, encode

PART = 1024 * 1024
#: A zip knows no time before 1980, and none after 2107.
_FIRST, _LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)


def zip_parts(work: Work) -> Generator[bytes]:
    """Yield a zip archive, as it is made."""
    sink = Sink()
    with work.folder() as folder, Directory(folder / "directory") as directory:
        archive = zipfile.ZipFile(sink, "w", allowZip64=True)
        archive.filelist, archive.NameToInfo = directory, _Forgetful()  # type: ignore[assignment] # as far as a writer needs them
        try:
            yield from _members(work, archive, sink, folder / "metadata.csv")
            if work.left_out:
                archive.writestr(_info("left_out.csv", None, packed=True), _left_out(work))
            with storage_errors(), (folder / "end").open("w+b") as end:
                sink.divert(end)
                archive.close()  # writes the directory
                end.seek(0)
                while part := end.read(PART):
                    yield part
        finally:
            archive.fp = None  # given up: there is no directory to be written


class Directory:
    """The entries of a zip in their order, on disk: all that `zipfile` asks of its list while it writes."""

    _KEPT = (
        *("filename", "date_time", "compress_type", "create_system", "create_version", "extract_version", "flag_bits"),
        *("external_attr", "header_offset", "CRC", "compress_size", "file_size"),
    )

    def __init__(self, path: Path) -> None:
        """Keep them in a new file."""
        self._file = path.open("w+", encoding="utf-8")
        self._count = 0

    def __enter__(self) -> Directory:
        """Return itself."""
        return self

    def __exit__(self, *_ended: object) -> None:
        """Close the file."""
        self._file.close()

    def append(self, info: zipfile.ZipInfo) -> None:
        """Keep an entry, which is not changed any more."""
        with storage_errors():
            self._file.write(json.dumps([getattr(info, name) for name in self._KEPT]) + "\n")
        self._count += 1

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def __iter__(self) -> Iterator[zipfile.ZipInfo]:
        """Read them back."""
        self._file.seek(0)
        for line in self._file:
            info = zipfile.ZipInfo()
            for name, value in zip(self._KEPT, json.loads(line), strict=True):
                setattr(info, name, tuple(value) if isinstance(value, list) else value)
            yield info


class _Forgetful(dict[str, zipfile.ZipInfo]):
    """Names that are in the archive already; ours come once each, by the folder that they are from."""

    def __setitem__(self, name: str, info: zipfile.ZipInfo) -> None:
        """Remember nothing."""


def _members(work: Work, archive: zipfile.ZipFile, sink: Sink, table: Path) -> Iterator[bytes]:
    lines = Lines()
    with storage_errors(), table.open("w+b") as kept:
        for sidecar, data in work.sidecars:
            row = row_of(sidecar, sidecar["operationId"])
            lines.add(csv_line(row))
            if lines.full():
                kept.write(lines.taken())
            yield from _operation(work, archive, sink, (sidecar, data))
        kept.write(lines.taken())
        size = kept.tell()
        kept.seek(0)
        yield from _copied(archive, sink, _info("metadata.csv", None, packed=True), xmp.pieces(kept, ()), size)


def _operation(work: Work, archive: zipfile.ZipFile, sink: Sink, stored: Stored) -> Iterator[bytes]:
    sidecar, data = stored
    operation = Operation.of(sidecar)
    provenance = None if work.originals else Provenance(work.store)
    changed: dict[str, tuple[int, str]] = {}
    # Names that the grammar grants to this operation, and no others: nothing that is unpacked can leave its folder.
    for name in dict.fromkeys((*operation.inputs, *operation.intermediates, *operation.outputs)):
        try:
            file = work.store.open_file(name)
        except OpstoreError as error:
            work.leave_out(name, str(error))
            continue
        with file:
            splices = provenance.splices(operation, name, file) if provenance else []
            size = xmp.size(file, splices)
            content = hashlib.sha256()
            yield from _copied(
                archive, sink, _info(f"operations/{name}", operation.moment), xmp.pieces(file, splices), size, content
            )
            if splices:
                changed[name] = size, content.hexdigest()
    written = encode(_with_bytes(sidecar, changed)) if changed else data
    archive.writestr(_info(f"operations/{sidecar_name(operation.id)}", operation.moment, packed=True), written)
    if sink.full():
        yield sink.taken()


def _with_bytes(sidecar: Mapping[str, Any], changed: Mapping[str, tuple[int, str]]) -> dict[str, Any]:
    """Return a sidecar that says of files what they have become."""
    files = [
        {**entry, "bytes": changed[entry["name"]][0], "sha256": changed[entry["name"]][1]}
        if isinstance(entry, Mapping) and isinstance(name := entry.get("name"), str) and name in changed
        else entry
        for entry in (sidecar["files"] if isinstance(sidecar.get("files"), list) else ())
    ]
    return {**sidecar, **({"files": files} if files else {})}


def _copied(
    archive: zipfile.ZipFile, sink: Sink, info: zipfile.ZipInfo, parts: Iterable[bytes], size: int, content: Any = None
) -> Iterator[bytes]:
    info.file_size = size  # more than 2 GiB needs another kind of entry, which must be known before its first byte
    with archive.open(info, "w") as member:
        for part in parts:
            member.write(part)
            if content:
                content.update(part)
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
