"""Backup: one consistent picture of a data folder while people and programs go on writing in it; it only reads there.

An operation is in it whole. Files of operations are written once and their sidecars replaced at one stroke, so it is enough to
read a sidecar first and what it names after. Records of work under way are read before the operations: one that ends meanwhile is
then there as a record, as an operation, or as both, where the operation wins. An operation that moves between library and trash
is looked for again where it went. What is saved after the beginning may be in it or not. The cache is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from opstore.care.hashes import Hashes
from opstore.care.progress import Report, quiet
from opstore.care.vault import Snapshot, Vault, is_safe
from opstore.errors import DamagedOperation, DamagedPack, FileMissing, InvalidInput, OpstoreError, UnsafeFile, said
from opstore.storage.files import Folder, digest, is_passing, leftover_of
from opstore.storage.names import parse_name, sidecar_name
from opstore.storage.operation import Operation, decode
from opstore.storage.packs import FOLDER, Library
from opstore.storage.store import Store

#: Contents are handed on together: a folder's sync then serves many files, and as much is held in memory.
BATCH_FILES, BATCH_BYTES = 64, 32 * 1024 * 1024
#: An operation that moves between library and trash is looked for this often.
_PASSES = 3
#: Packed operations are read as if they were loose, and are in a backup as plain files.
_OWN = ("operations", "trash", "pending", FOLDER)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a backup holds, what of it was new to the folder of backups, and which files it left out, and why."""

    snapshot: str
    files: int
    operations: int
    new_files: int
    new_bytes: int
    left_out: dict[str, str] = field(default_factory=dict)


class Backup:
    """One backup of a store, taken once."""

    def __init__(
        self, store: Store, vault: Vault, report: Report = quiet, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Back up `store` into `vault`."""
        self._store = store
        self._vault = vault
        self._report = report
        self._clock = clock
        self._files: dict[str, str] = {}
        self._left_out: dict[str, str] = {}
        self._batch: dict[str, bytes] = {}
        self._new_files = self._new_bytes = 0
        #: Where each operation was found, and the paths of its files.
        self._places: dict[str, tuple[str, list[str]]] = {}
        #: The paths of the media that were taken with a record of work under way.
        self._begun: dict[str, list[str]] = {}
        self._listed: dict[str, dict[str, set[str]]] = {}
        self._folders = {"operations": store.operations, "trash": store.data.folder("trash"), "pending": store.pending}

    def take(self) -> Taken:
        """Take it; raise StorageError where either disk does not do it: what was there before is as good as it was."""
        moment = self._clock()
        self._hashes = Hashes(self._store.cache / "hashes.db")
        try:
            self._take_rest(self._store.data.top, ())
            self._take_pending()
            self._take_operations()
            self._note_packs()
            self._take_alone()
            self._flush()
        finally:
            self._hashes.close()
        found = self._vault.finish(self._files, moment)
        count = sum(path.endswith(".json") for _, paths in self._places.values() for path in paths)
        return Taken(found.name, len(self._files), count, self._new_files, self._new_bytes, self._left_out)

    # -- the parts of a data folder ------------------------------------------------------------------------------------------

    def _take_rest(self, folder: Folder, above: tuple[str, ...]) -> None:
        """Take settings, searches, shares and whatever other files there are, but the folders that have their own way."""
        inner = folder.folders()
        for name in sorted(folder.names()):
            path = (*above, name)
            if name.startswith(".") or path[0] == "cache" or (not above and name in _OWN):
                continue
            if not is_safe(path):
                self._left_out["/".join(path).encode("ascii", "backslashreplace").decode()] = said("its name is unusual")
            elif name in inner:
                self._take_rest(folder.below(name), path)
            else:
                self._take_file(folder, name, "/".join(path))

    def _note_packs(self) -> None:
        """Note packs that cannot be read: what they hold is in no backup."""
        packs = self._store.operations.packs
        for month in packs.months():
            try:
                packs.pack(month)
            except DamagedPack as error:
                self._left_out[f"{FOLDER}/{packs.name(month)}"] = str(error)

    def _take_pending(self, only: Iterable[str] | None = None) -> None:
        """Take the records of what is under way, and the files that belong to them."""
        for name in sorted(self._store.pending.names()) if only is None else only:
            parts = parse_name(name)
            if parts is None or parts.role != "sidecar":
                continue
            if self._take_file(self._store.pending, name, f"pending/{name}"):
                media = self._store.media_names(parts.operation_id)
                self._begun[parts.operation_id] = [f"operations/{name}" for name in media]
                for name in media:
                    self._take_file(self._store.operations, name, f"operations/{name}")

    def _take_operations(self) -> None:
        """Take every operation that is there now, wherever it goes meanwhile."""
        # Listed again after the trash: what came back from there while it was read was in neither.
        first = set(self._ids("operations")) | set(self._ids("trash")) | set(self._ids("operations"))
        total, done = len(first), 0
        for attempt in range(_PASSES):
            places = {operation_id: "trash" for operation_id in self._ids("trash") if operation_id in first}
            places |= {operation_id: "operations" for operation_id in self._ids("operations") if operation_id in first}
            moved = [key for key, place in places.items() if self._places.get(key, ("", []))[0] != place]
            if not moved:
                break
            for operation_id in sorted(moved):
                if attempt == 0 and done % 100 == 0:
                    self._report(done, total, said("copying the operations"))
                done += 1
                self._take_operation(operation_id, places[operation_id])
        for operation_id in sorted(first - self._places.keys()):
            with self._store.operations.held([operation_id]):  # it moved at every look: now nobody moves it
                for place in ("operations", "trash"):
                    if operation_id not in self._places:
                        self._take_operation(operation_id, place, is_held=True)

    def _take_operation(self, operation_id: str, place: str, *, is_held: bool = False) -> None:
        """Take an operation as it is in a folder, nothing where it is not there; `is_held`: nobody moves it at this moment."""
        folder, sidecar = self._folders[place], sidecar_name(operation_id)
        self._forget(operation_id)
        paths: list[str] = []
        try:
            data = folder.read(sidecar)
        except FileMissing:
            return  # it has moved: looked for again
        except UnsafeFile as error:
            self._left_out[f"{place}/{sidecar}"] = str(error)
            return
        named = self._listed[place].get(operation_id, set()) | set(_named(data, operation_id))
        for name in sorted(named):
            path = f"{place}/{name}"
            if self._take_file(folder, name, path):
                paths.append(path)
            elif not is_held:
                for taken in paths:
                    self._files.pop(taken, None)
                if folder.has(sidecar):  # it went and came back since its sidecar was read, or lacks a file
                    with self._store.operations.held([operation_id]):
                        self._take_operation(operation_id, place, is_held=True)
                return
        if place == "trash":  # it has ended since, and has been moved with them
            for path in self._begun.pop(operation_id, []):
                self._files.pop(path, None)
        self._keep(f"{place}/{sidecar}", data)
        self._places[operation_id] = place, [*paths, f"{place}/{sidecar}"]

    def _take_alone(self) -> None:
        """Take files that belong to no operation, unless somebody is saving one at this moment: then that is not done yet."""
        for place in ("operations", "trash"):
            folder = self._folders[place]
            for operation_id, names in self._listed[place].items():
                if operation_id in self._places:
                    continue
                settled = not folder.in_progress(operation_id) and not folder.has(sidecar_name(operation_id))
                if place == "operations" and self._store.pending.has(sidecar_name(operation_id)):
                    self._take_pending([sidecar_name(operation_id)])
                elif settled:
                    for name in names:
                        self._take_file(folder, name, f"{place}/{name}")
            for name in sorted(folder.names()):
                if parse_name(name) is None and leftover_of(name) is None:
                    if is_safe((place, name)):
                        self._take_file(folder, name, f"{place}/{name}")
                    else:
                        self._left_out[f"{place}/{name!a}"] = said("its name is unusual")

    def _ids(self, place: str) -> Iterator[str]:
        """Yield the operations in a folder, and note which media are there."""
        media: dict[str, set[str]] = defaultdict(set)
        ids = []
        for name in self._folders[place].names():
            parts = parse_name(name)
            if parts and parts.role == "sidecar":
                ids.append(parts.operation_id)
            elif parts:
                media[parts.operation_id].add(name)
        self._listed[place] = media
        yield from ids

    def _forget(self, operation_id: str) -> None:
        for path in self._places.pop(operation_id, ("", []))[1]:
            self._files.pop(path, None)

    # -- one file ------------------------------------------------------------------------------------------------------------

    def _take_file(self, folder: Folder, name: str, path: str) -> bool:
        """Take one file as it is now; say whether it is there. One that is no plain file is left out, and told."""
        if path in self._files and not path.endswith(".json"):
            return True  # media of a record under way, taken with it
        stamp = folder.stamp(name)
        known = self._known(folder, name, path, stamp)
        if known and not self._vault.missing(dict([known])):
            self._files[path] = known[0]
            return True
        try:
            data = folder.read(name)
        except FileMissing:
            return False
        except OpstoreError as error:
            if is_passing(error) or not isinstance(error, UnsafeFile):
                raise
            self._left_out[path] = str(error)
            return True
        sha256 = self._keep(path, data)
        if stamp and stamp == folder.stamp(name) and not stamp.startswith("packed"):
            self._hashes.put(path, stamp, sha256)
        return True

    def _known(self, folder: Folder, name: str, path: str, stamp: str | None) -> tuple[str, int] | None:
        """Return a file's SHA-256 and bytes where they are known without reading it: of a packed one its pack says them."""
        packed = folder.packed(name) if isinstance(folder, Library) else None
        if packed or stamp is None:
            return packed
        known = self._hashes.get(path, stamp)
        return (known, int(stamp.split(":")[1])) if known else None

    def _keep(self, path: str, data: bytes) -> str:
        sha256 = digest(data)
        self._files[path] = sha256
        if sha256 not in self._batch and self._vault.missing({sha256: len(data)}):
            self._batch[sha256] = data
            if len(self._batch) >= BATCH_FILES or sum(map(len, self._batch.values())) >= BATCH_BYTES:
                self._flush()
        return sha256

    def _flush(self) -> None:
        if self._batch:
            self._vault.add(self._batch)
            self._new_files += len(self._batch)
            self._new_bytes += sum(map(len, self._batch.values()))
            self._batch = {}


def _named(data: bytes, operation_id: str) -> tuple[str, ...]:
    try:
        view = Operation.of(decode(data, operation_id))
    except DamagedOperation:
        return ()
    return (*view.inputs, *view.outputs, *view.intermediates)


def check_apart(store: Store, target: Path) -> None:
    """Raise InvalidInput where backups would lie inside the data folder, or the data folder inside them."""
    if store.data.meets(target):
        raise InvalidInput(reason=said("backups must lie outside the data folder, best on another disk"))


__all__ = ["Backup", "Snapshot", "Taken", "check_apart"]
