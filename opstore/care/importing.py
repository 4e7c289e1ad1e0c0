"""Import: a folder of the original backend, a loose folder of pictures, or a zip of either; the source is only read.

Operations come as they are, under their own ids. A loose picture becomes an operation whose id ends in the first digits of its
SHA-256 and begins with its file's time; where the same content was imported before, under whatever name and time, that operation
is it: importing twice makes nothing new. No name from a source ever becomes a path, and nothing that is there is written over.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from opstore import media
from opstore.care import embedded
from opstore.care.report import Report, quiet
from opstore.errors import DamagedOperation, FileMissing, InvalidInput, OperationExists, OpstoreError, UnsafeFile, said
from opstore.files import Folder, digest, is_passing, storage_errors
from opstore.names import EXTENSIONS, parse_name, sidecar_name
from opstore.operation import MAX_SIDECAR_BYTES, decode, timestamp
from opstore.store import Store

#: The largest file that is taken, the most files, and the most bytes of an archive for one of its own.
MAX_FILE, MAX_FILES, MAX_RATIO = 512 * 1024 * 1024, 500_000, 200
#: A small archive may hold what is easily compressed: only above this its ratio counts.
_FREE_BYTES = 50 * 1024 * 1024
_PICTURES = (*EXTENSIONS, "jpe", "jfif")
#: What a year of four digits and a zip can say.
_FIRST, _LAST = datetime(1980, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source; `path` is only ever told, never opened."""

    path: str
    size: int
    moment: datetime
    read: Callable[[], bytes] = field(repr=False)

    @property
    def name(self) -> str:
        """Return the last part of its path."""
        return self.path.rpartition("/")[2]


class Source(Protocol):
    """Where files come from."""

    def entries(self, left: dict[str, str]) -> Iterator[Entry]:
        """Yield every plain file; note in `left` what is not taken, and why."""

    def close(self) -> None:
        """Let go of it: nothing is read any more."""


class FolderSource:
    """A folder and everything below it; links are not followed."""

    def __init__(self, path: Path) -> None:
        """Read the folder at `path`."""
        self._root = path

    def entries(self, left: dict[str, str]) -> Iterator[Entry]:
        """Yield every plain file whose name does not begin with a dot."""
        for above, folders, names in os.walk(self._root, followlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            folder = Folder(Path(above))
            for name in sorted(names):
                path = os.path.relpath(os.path.join(above, name), self._root)
                if name.startswith("."):
                    continue
                with storage_errors():
                    state = os.lstat(os.path.join(above, name))
                if not stat.S_ISREG(state.st_mode):
                    left[path] = said("not a plain file")
                    continue
                moment = datetime.fromtimestamp(state.st_mtime, UTC)
                yield Entry(path, state.st_size, moment, partial(folder.read, name, MAX_FILE))

    def close(self) -> None:
        """Nothing is held open."""


class ZipSource:
    """A zip archive, read member by member: nothing is unpacked to a path, and no member may be larger than it says."""

    def __init__(self, path: Path) -> None:
        """Open the archive; raise InvalidInput for one that is damaged, or whose sizes are those of a bomb."""
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise InvalidInput(reason=said("{path} is no zip archive that can be read", path=str(path))) from None
        members = self._archive.infolist()
        total, packed = sum(member.file_size for member in members), path.stat().st_size
        if len(members) > MAX_FILES or (total > _FREE_BYTES and total > MAX_RATIO * packed):
            self._archive.close()
            raise InvalidInput(reason=said("the archive would unpack to far more than it holds; it is not opened"))

    def entries(self, left: dict[str, str]) -> Iterator[Entry]:
        """Yield every member that is a plain file."""
        for member in self._archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                continue
            if kind not in (0, stat.S_IFREG):
                left[member.filename] = said("not a plain file")
            elif member.flag_bits & 0x1:
                left[member.filename] = said("it is encrypted")
            else:
                yield Entry(member.filename, member.file_size, _moment(member), partial(self._read, member))

    def close(self) -> None:
        """Let go of the archive."""
        self._archive.close()

    def _read(self, member: zipfile.ZipInfo) -> bytes:
        try:
            with self._archive.open(member) as file:
                data = file.read(member.file_size + 1)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError, zlib.error):
            raise InvalidInput(reason=said("it is damaged in the archive")) from None
        if len(data) != member.file_size:
            raise InvalidInput(reason=said("it is damaged in the archive"))
        return data


def source_of(path: str) -> Source:
    """Return the source at a path: a folder, or a zip archive; raise InvalidInput for anything else."""
    place = Path(path)
    with storage_errors():
        if place.is_dir():
            return FolderSource(place)
        if place.is_file() and zipfile.is_zipfile(place):
            return ZipSource(place)
    raise InvalidInput(reason=said("{path} is neither a folder nor a zip archive", path=path))


@dataclass(frozen=True, slots=True)
class Imported:
    """What came in, by id; how many were there already; what was left, by path, and why; how many came `without` a result."""

    operations: tuple[str, ...]
    same: int
    left: Mapping[str, str] = field(default_factory=dict)
    without: int = 0


class Import:
    """One import into a store."""

    def __init__(self, store: Store, source: Source, report: Report = quiet, *, dry: bool = False) -> None:
        """Take what `source` holds into `store`; where `dry` only say what would come in."""
        self._store = store
        self._source = source
        self._report = report
        self._dry = dry
        self._trash = Folder(store.root / "trash")
        self._new: list[str] = []
        self._same = 0
        self._left: dict[str, str] = {}
        self._imported: dict[str, str] = {}

    def run(self) -> Imported:
        """Import everything; what cannot be taken is told, and the others come all the same."""
        try:
            return self._run()
        finally:
            self._source.close()

    def _run(self) -> Imported:
        groups: dict[tuple[str, str], dict[str, Entry]] = defaultdict(dict)
        loose: list[Entry] = []
        for entry in self._source.entries(self._left):
            parts = parse_name(entry.name)
            if parts:
                groups[entry.path.rpartition("/")[0], parts.operation_id][entry.name] = entry
            elif entry.name.rpartition(".")[2].lower() in _PICTURES:
                loose.append(entry)
        total, done = len(groups) + len(loose), 0
        for (_above, operation_id), files in sorted(groups.items()):
            self._report(done, total, said("importing"))
            done += 1
            self._one(next(iter(files.values())).path, partial(self._operation, operation_id, files))
        suffixes = self._suffixes() if loose else {}
        for entry in loose:
            self._report(done, total, said("importing"))
            done += 1
            self._one(entry.path, partial(self._picture, entry, suffixes))
        return Imported(tuple(self._new), self._same, self._left)

    def _one(self, path: str, act: Callable[[], None]) -> None:
        try:
            act()
        except OpstoreError as error:
            if is_passing(error):
                raise
            self._left[path] = error.details.get("reason") or str(error)

    # -- operations as they are ------------------------------------------------------------------------------------------

    def _operation(self, operation_id: str, files: Mapping[str, Entry]) -> None:
        sidecar = sidecar_name(operation_id)
        if sidecar not in files:
            raise InvalidInput(reason=said("a media file that no sidecar names"))
        data = _content(files[sidecar], MAX_SIDECAR_BYTES)
        stored = decode(data, operation_id)
        if self._trash.has(sidecar):
            raise InvalidInput(reason=said("it is in the trash"))
        if self._store.pending.has(sidecar):
            raise InvalidInput(reason=said("it is under way here"))
        if self._store.operations.has(sidecar):
            if not self._is_same(operation_id, stored):
                raise InvalidInput(reason=said("what is there differs, and stays"))
            self._same += 1
            return
        contents = {name: _content(entry, MAX_FILE) for name, entry in files.items() if name != sidecar}
        if not self._dry:
            self._store.initialize_storage()
            try:
                self._store.operations.create(operation_id, [contents, {sidecar: data}])
            except OperationExists:
                raise InvalidInput(reason=said("what is there differs, and stays")) from None
            self._store.changed(operation_id)
        self._new.append(operation_id)

    def _is_same(self, operation_id: str, stored: Mapping[str, Any]) -> bool:
        """Say whether an operation that is there is the one that comes, however it was annotated since."""
        try:
            there = self._store.get_operation_metadata(operation_id)
        except (DamagedOperation, UnsafeFile):
            return False
        keys = (there.keys() | stored.keys()) - {"annotations"}
        return all(there.get(key) == stored.get(key) for key in keys)

    # -- loose pictures --------------------------------------------------------------------------------------------------

    def _suffixes(self) -> dict[str, list[str]]:
        """Return the operations, trashed ones too, by the last eight digits of their ids: one look at the names."""
        found: dict[str, list[str]] = defaultdict(list)
        for folder in (self._store.operations, self._trash):
            for name in folder.names():
                parts = parse_name(name)
                if parts and parts.role == "sidecar":
                    found[parts.operation_id[15:]].append(parts.operation_id)
        return found

    def _picture(self, entry: Entry, suffixes: dict[str, list[str]]) -> None:
        data = _content(entry, MAX_FILE)
        kind = media.sniff(data)
        if kind is None:
            raise InvalidInput(reason=said("not a picture or video that is kept here"))
        sha256 = digest(data)
        if sha256 in self._imported or any(self._holds(key, sha256) for key in suffixes.get(sha256[:8], ())):
            self._same += 1
            return
        moment = min(max(entry.moment, _FIRST), _LAST)
        while (operation_id := f"{moment:%Y%m%d%H%M%S}_{sha256[:8]}") in suffixes.get(sha256[:8], ()):
            moment += timedelta(seconds=1)
        if not self._dry:
            self._store.save(operation_id, _metadata(entry, moment, data, kind, sha256), outputs=[data])
        suffixes.setdefault(sha256[:8], []).append(operation_id)
        self._imported[sha256] = operation_id
        self._new.append(operation_id)

    def _holds(self, operation_id: str, sha256: str) -> bool:
        for folder in (self._store.operations, self._trash):
            try:
                stored = decode(folder.read(sidecar_name(operation_id), MAX_SIDECAR_BYTES), operation_id)
            except (FileMissing, UnsafeFile, DamagedOperation):
                continue
            origin = stored.get("imported")
            if isinstance(origin, Mapping) and origin.get("sha256") == sha256:
                return True
        return False


def _metadata(entry: Entry, moment: datetime, data: bytes, kind: media.MediaType, sha256: str) -> dict[str, Any]:
    told = embedded.read(data)
    made = "text_to_video" if kind.kind == "video" else "text_to_image"
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in entry.name.encode("utf-8", "replace").decode())
    return {
        "timestamp": timestamp(moment),
        "completedAt": timestamp(moment),
        "operationType": made if told.prompt else "unknown",
        "prompt": told.prompt,
        "parameters": dict(told.parameters),
        "provider": told.tool,
        "model": told.model,
        "imported": {"name": name[:255], "sha256": sha256, "tool": told.tool, "texts": dict(told.texts)},
    }


def _content(entry: Entry, limit: int) -> bytes:
    if entry.size > limit:
        raise InvalidInput(reason=said("it has more than {limit} MB", limit=limit // 1024 // 1024))
    data = entry.read()
    if len(data) > limit:
        raise InvalidInput(reason=said("it has more than {limit} MB", limit=limit // 1024 // 1024))
    if not data:
        raise InvalidInput(reason=said("it is empty"))
    return data


def _moment(member: zipfile.ZipInfo) -> datetime:
    """Return a member's time, which has no zone, as if it were UTC; an impossible one is the format's first."""
    try:
        return datetime(*member.date_time, tzinfo=UTC)
    except ValueError:
        return _FIRST
