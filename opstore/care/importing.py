"""Import: a folder of the original backend or of another opstore, loose pictures, or a zip of these; the source is only read.

Operations come as they are, under their own ids. A loose picture becomes an operation whose id ends in the first digits of its
SHA-256 and begins with its file's time; where the same content was imported before, under whatever name and time, that operation
is it: importing twice makes nothing new. No name from a source ever becomes a path, and nothing that is there is written over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from opstore import media
from opstore.care import embedded
from opstore.care.progress import Report, quiet
from opstore.care.sources import FIRST, MAX_FILE, MAX_TOGETHER, Entry, Source, check_size, content
from opstore.errors import DamagedOperation, FileMissing, InvalidInput, OperationExists, OpstoreError, UnsafeFile, said
from opstore.storage.files import digest, is_passing
from opstore.storage.names import EXTENSIONS, parse_name, sidecar_name
from opstore.storage.operation import MAX_SIDECAR_BYTES, decode, timestamp
from opstore.storage.store import Store

_PICTURES = (*EXTENSIONS, "jpe", "jfif")
_LAST = datetime(9999, 1, 1, tzinfo=UTC)


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
        self._trash = store.data.folder("trash")
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
        with self._alone() if loose and not self._dry else nullcontext():
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
            raise InvalidInput(reason=said("a media file that no metadata file names"))
        data = content(files[sidecar], MAX_SIDECAR_BYTES)
        stored = decode(data, operation_id)
        media_files = {name: entry for name, entry in files.items() if name != sidecar}
        check_size(sum(entry.size for entry in media_files.values()), MAX_TOGETHER)
        contents = {name: content(entry, MAX_FILE) for name, entry in media_files.items()}
        # Nobody saves it, or moves it to the trash, between these looks and the end.
        with nullcontext() if self._dry else self._store.operations.held([operation_id]):
            self._add(operation_id, stored, [contents, {sidecar: data}])

    def _add(self, operation_id: str, stored: Mapping[str, Any], stages: Sequence[Mapping[str, bytes]]) -> None:
        sidecar = sidecar_name(operation_id)
        if self._trash.has(sidecar):
            raise InvalidInput(reason=said("it is in the trash"))
        if self._store.pending.has(sidecar):
            raise InvalidInput(reason=said("it is under way here"))
        if self._store.operations.has(sidecar):
            if not self._is_same(operation_id, stored):
                raise InvalidInput(reason=said("what is there differs, and stays"))
            self._same += 1
            return
        if not self._dry:
            self._store.initialize_storage()
            try:
                self._store.operations.create(operation_id, stages)
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

    def _alone(self) -> AbstractContextManager[None]:
        """Let nobody else import loose pictures meanwhile: under another time the same one would have another id."""
        self._store.initialize_storage()
        return self._store.data.top.locked("import")

    def _suffixes(self) -> dict[str, list[str]]:
        """Return the operations, trashed ones too, by the last eight digits of their ids: one look at the names."""
        by_suffix: dict[str, list[str]] = defaultdict(list)
        # The trash twice: what comes back from it, or goes there, while the library is listed is in one of the three.
        for folder in (self._trash, self._store.operations, self._trash):
            for name in folder.names():
                parts = parse_name(name)
                if parts and parts.role == "sidecar":
                    by_suffix[parts.operation_id[15:]].append(parts.operation_id)
        return by_suffix

    def _picture(self, entry: Entry, suffixes: dict[str, list[str]]) -> None:
        data = content(entry, MAX_FILE)
        kind = media.sniff(data)
        if kind is None:
            raise InvalidInput(reason=said("not a picture or video that is kept here"))
        sha256 = digest(data)
        if sha256 in self._imported or any(self._holds(key, sha256) for key in suffixes.get(sha256[:8], ())):
            self._same += 1
            return
        moment = min(max(entry.moment, FIRST), _LAST)
        while (operation_id := f"{moment:%Y%m%d%H%M%S}_{sha256[:8]}") in suffixes.get(sha256[:8], ()):
            moment += timedelta(seconds=1)
        if not self._dry:
            about = _metadata(entry, moment, data, kind, sha256)
            with self._store.operations.held([operation_id]):
                if self._holds(operation_id, sha256):  # by another import at this moment, and perhaps in the trash by now
                    self._same += 1
                    return
                self._store.save(operation_id, about, outputs=[data])
        suffixes.setdefault(sha256[:8], []).append(operation_id)
        self._imported[sha256] = operation_id
        self._new.append(operation_id)

    def _holds(self, operation_id: str, sha256: str) -> bool:
        for folder in (self._store.operations, self._trash, self._store.operations):
            try:
                stored = decode(folder.read(sidecar_name(operation_id), MAX_SIDECAR_BYTES), operation_id)
            except (FileMissing, UnsafeFile, DamagedOperation):
                continue
            origin = stored.get("imported")
            if isinstance(origin, Mapping) and origin.get("sha256") == sha256:
                return True
        return False


def _metadata(entry: Entry, moment: datetime, data: bytes, kind: media.MediaType, sha256: str) -> dict[str, Any]:
    written = embedded.read(data)
    operation_type = "text_to_video" if kind.kind == "video" else "text_to_image"
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in entry.name.encode("utf-8", "replace").decode())
    return {
        "timestamp": timestamp(moment),
        "completedAt": timestamp(moment),
        "operationType": operation_type if written.prompt else "unknown",
        "prompt": written.prompt,
        "parameters": dict(written.parameters),
        "provider": written.tool,
        "model": written.model,
        "imported": {"name": name[:255], "sha256": sha256, "tool": written.tool, "texts": dict(written.texts)},
    }
