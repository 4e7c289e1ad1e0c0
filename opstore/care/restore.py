"""Restore: what a backup holds comes back into a data folder, empty or living; nothing there is ever written over.

Every content is checked against its hash before it is written, and read back after. An operation arrives whole, its sidecar last;
where its id is there already, the one that is there stays, and what differs is told.

Work that was under way is a matter of money: whether a request that had not left when the backup was taken has been sent since,
nobody can tell from the backup. So only records that can create nothing more that is paid for are taken up again; from others an
operation is made that ended as `unknown`, with its inputs, and the person decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from opstore.care.backup import BATCH_BYTES, BATCH_FILES
from opstore.care.progress import Report, quiet
from opstore.care.vault import Snapshot, Vault
from opstore.errors import (
    DamagedOperation,
    FileMissing,
    InvalidInput,
    OperationBusy,
    OperationExists,
    OpstoreError,
    StorageError,
    UnsafeFile,
    said,
)
from opstore.jobs import ending
from opstore.providers import registry
from opstore.storage.files import Folder, digest, is_passing
from opstore.storage.job import Job
from opstore.storage.names import parse_name, sidecar_name
from opstore.storage.operation import Operation, decode, no_annotations
from opstore.storage.store import Store

_CHUNK = 200
#: Files beside the folders that only this program's user may read.
_PRIVATE = ("share-keys.json", "settings.json", "signed-out.json", "searches.json")
_UNSENT = said(
    "It was under way when the backup was taken. It may have been sent and billed since: look at the "
    "provider's own list before you run it again."
)


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back (`operations`, and `files` of all kinds), how many files were there already, and what did not come back.

    `conflicts` maps a path to why what is there stays, `damaged` a path to what is wrong with it in the backup.
    """

    snapshot: str
    operations: tuple[str, ...]
    files: int
    same: int
    conflicts: Mapping[str, str] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)


class Restore:
    """One snapshot on its way back into a store."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        report: Report = quiet,
        *,
        dry: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Bring what `vault` holds back into `store`; where `dry` only say what would come back."""
        self._store = store
        self._vault = vault
        self._report = report
        self._dry = dry
        self._clock = clock
        self._operations: list[str] = []
        self._count = self._same = 0
        self._waiting: list[_Waiting] = []
        self._conflicts: dict[str, str] = {}
        self._damaged: dict[str, str] = {}
        self._trash = store.data.folder("trash")
        self._snapshot = Snapshot("", {})

    def run(self, name: str | None = None) -> Restored:
        """Restore the snapshot of that name, the newest by default; raise InvalidInput if there is none."""
        names = self._vault.snapshots()
        if not names:
            raise InvalidInput(reason=said("there is no backup here"))
        self._snapshot = snapshot = self._vault.load(name or names[0])
        if not self._dry:
            self._store.initialize_storage()
        groups = _grouped(snapshot)
        done, total = 0, len(groups.library) + len(groups.trash)
        for place, paths_of in (("operations", groups.library), ("trash", groups.trash)):
            ids = sorted(paths_of)
            for start in range(0, len(ids), _CHUNK):
                chunk = ids[start : start + _CHUNK]
                self._prepare(path for key in chunk for path in paths_of[key].values())
                for operation_id in chunk:
                    if done % 50 == 0:
                        self._report(done, total, said("restoring operations"))
                    done += 1
                    self._operation(place, operation_id, paths_of[operation_id])
            self._flush(self._store.operations if place == "operations" else self._trash)
        self._prepare([*groups.pending.values(), *groups.other])
        for operation_id, path in sorted(groups.pending.items()):
            self._pending(operation_id, path)
        for path in groups.other:
            self._file(path)
        return Restored(snapshot.name, tuple(self._operations), self._count, self._same, self._conflicts, self._damaged)

    # -- operations ------------------------------------------------------------------------------------------------------

    def _operation(self, place: str, operation_id: str, paths: Mapping[str, str]) -> None:
        """Bring one operation back; `paths` are its files' paths by name."""
        sidecar, here = sidecar_name(operation_id), self._store.operations if place == "operations" else self._trash
        elsewhere = self._trash if place == "operations" else self._store.operations
        if elsewhere.has(sidecar) and not here.has(sidecar):
            where = said("it is in the trash") if place == "operations" else said("it is in the library")
            self._conflicts[paths.get(sidecar, next(iter(paths.values())))] = where
            return
        if place == "operations" and sidecar in paths and self._unadopted(operation_id, paths[sidecar]):
            paths = {name: path for name, path in paths.items() if name != sidecar}
        same = self._same
        missing = {name: path for name, path in paths.items() if not self._is_there(here, name, path)}
        completes = sidecar not in missing and here.has(sidecar)
        if sidecar in paths and sidecar not in missing and not completes:
            self._same = same
            for path in paths.values():
                self._conflicts.pop(path, None)
            self._operation(place, operation_id, paths)  # it has been moved or removed since: everything is looked at again
            return
        if completes:
            # Its own sidecar stays, and decides which of the missing files belong to it.
            named = _named(here, operation_id)
            missing = {name: path for name, path in missing.items() if name in named}
        if not missing:
            return
        contents = self._contents(missing)
        media = {name: data for name, data in contents.items() if name != sidecar}
        last = {sidecar: contents[sidecar]} if sidecar in contents else {}
        seen = {} if completes else {name: path for name, path in paths.items() if name not in missing}
        self._waiting.append(_Waiting(operation_id, media, last, missing, completes, seen))
        # Together they share the syncs of the folder: one by one an operation takes 24 ms.
        files = [data for item in self._waiting for data in (*item.media.values(), *item.last.values())]
        if len(files) >= BATCH_FILES or sum(map(len, files)) >= BATCH_BYTES:
            self._flush(here)

    def _unadopted(self, operation_id: str, path: str) -> bool:
        """Put an operation's own sidecar in the place of one that a repair wrote since, for media that it found alone.

        A restore that was killed before the sidecars leaves such media. Say whether it was so: what people have judged stays.
        """
        folder, name = self._store.operations, sidecar_name(operation_id)
        with suppress(FileMissing, UnsafeFile, DamagedOperation, OperationBusy):  # or somebody judges or moves it at this moment
            there = folder.read(name)
            stored = decode(there, operation_id)
            if "adopted" not in stored or stored.get("annotations") != no_annotations():
                return False
            data = self._contents({name: path}).get(name)
            if data is None or "adopted" in decode(data, operation_id):
                return False
            if not self._dry:
                folder.replace(operation_id, name, data, digest(there))
                self._store.changed(operation_id)
            self._operations.append(operation_id)
            self._count += 1
            return True
        return False

    def _flush(self, folder: Folder) -> None:
        """Write what waits and is still wanted: all media, then all sidecars; where something came between, one by one."""
        waiting, self._waiting = self._waiting, []
        ids = [item.operation_id for item in waiting]
        # From afar before anybody waits at a lock; only what goes between the two is fetched behind it.
        if gone := [path for item in waiting for name, path in item.seen.items() if not folder.has(name)]:
            self._prepare(gone)
        with nullcontext() if self._dry else self._store.operations.held(ids):
            self._write(folder, [self._whole(folder, item) for item in waiting if self._is_wanted(folder, item)])

    def _whole(self, folder: Folder, item: _Waiting) -> _Waiting:
        """Return it with those of its media that were here when it was looked at and are not any more.

        They were what somebody removes for good, whose sidecar goes first: written alone, the sidecar would have no media.
        """
        gone = item.seen.keys() - set(folder.present([*item.seen]))
        if not gone:
            return item
        paths = {name: item.seen[name] for name in sorted(gone)}
        self._same -= sum(self._conflicts.pop(path, None) is None for path in paths.values())
        contents = self._contents(paths)
        return replace(item, media=item.media | contents)

    def _is_wanted(self, folder: Folder, item: _Waiting) -> bool:
        """Say whether nothing has come between since an operation was looked at: nobody else changes it now."""
        sidecar = sidecar_name(item.operation_id)
        if item.completes:
            return folder.has(sidecar)  # else it has gone, and nobody would ever find its files
        if not item.last:
            return True  # of work under way, or alone
        for place, why in ((self._store.operations, said("it is in the library")), (self._trash, said("it is in the trash"))):
            if place.has(sidecar):
                self._conflicts[item.paths[sidecar]] = why
                return False
        return True

    def _write(self, folder: Folder, waiting: list[_Waiting]) -> None:
        if not waiting:
            return
        media = {name: data for item in waiting for name, data in item.media.items()}
        last = {name: data for item in waiting for name, data in item.last.items()}
        whole = self._create(folder, "restoring", [media, last], None)
        for item in waiting:
            if (whole or self._create(folder, item.operation_id, [item.media, item.last], item.paths)) and item.last:
                self._operations.append(item.operation_id)
                if not self._dry:
                    self._store.changed(item.operation_id)

    def _is_there(self, folder: Folder, name: str, path: str) -> bool:
        """Say whether a name is taken, and note whether by the same content."""
        try:
            same = digest(folder.read(name)) == self._snapshot.files[path]
        except FileMissing:
            return False
        except UnsafeFile as error:
            self._conflicts[path] = str(error)
            return True
        if same:
            self._same += 1
        else:
            self._conflicts[path] = said("what is there differs, and stays")
        return True

    def _contents(self, wanted: Mapping[str, str]) -> dict[str, bytes]:
        contents = {}
        for name, path in wanted.items():
            try:
                contents[name] = self._vault.read(self._snapshot.files[path])
            except StorageError as error:
                if is_passing(error):
                    raise
                self._damaged[path] = str(error)
        return contents

    def _create(
        self, folder: Folder, key: str, stages: list[dict[str, bytes]], paths: Mapping[str, str] | None, *, private: bool = False
    ) -> bool:
        """Write files, and read back what was written; say whether nobody else has made one of them at this moment.

        That is told as a conflict of `paths` (None: it is not told, the caller goes on differently).
        """
        if not self._dry:
            folder.make()
            try:
                folder.create(key, [stage for stage in stages if stage], private=private)
            except OperationExists:
                if paths is not None:
                    self._conflicts[next(iter(paths.values()))] = said("what is there differs, and stays")
                return False
            for name, data in (pair for stage in stages for pair in stage.items()):
                if folder.read(name) != data:
                    raise StorageError(reason=said("{name} was not written correctly", name=name))
        self._count += sum(map(len, stages))
        return True

    # -- work under way ----------------------------------------------------------------------------------------------------

    def _pending(self, operation_id: str, path: str) -> None:
        # Nobody ends it here, or moves what it has become, between the looks: each end is a sidecar before its record goes.
        with nullcontext() if self._dry else self._store.operations.held([operation_id]):
            self._take_up(operation_id, path)

    def _take_up(self, operation_id: str, path: str) -> None:
        sidecar = sidecar_name(operation_id)
        if self._store.operations.has(sidecar) or self._trash.has(sidecar):
            self._same += 1  # it has ended: the operation wins
            return
        if self._is_there(self._store.pending, sidecar, path):
            return
        contents = self._contents({sidecar: path})
        job = _job(contents.get(sidecar))
        if job is None or not _may_pay(job):
            if contents:
                self._create(self._store.pending, operation_id, [contents], {sidecar: path})
            return
        self._conflicts[path] = said("it was under way, and ended here as unknown: nothing is sent again by itself")
        self._operations.append(operation_id)
        if not self._dry:
            metadata = ending.sidecar(job, "unknown", _UNSENT, [], self._clock())
            ending.save(self._store, job, metadata, [])

    # -- everything else ---------------------------------------------------------------------------------------------------

    def _file(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        folder = self._store.data.folder(above)
        if self._is_there(folder, name, path):
            return
        contents = self._contents({name: path})
        if contents:
            self._create(folder, "restoring", [contents], {name: path}, private=path in _PRIVATE)

    def _prepare(self, paths: Iterable[str]) -> None:
        self._vault.prepare({self._snapshot.files[path] for path in paths if not self._has(path)})

    def _has(self, path: str) -> bool:
        above, _, name = path.rpartition("/")
        folder = self._store.operations if above == "operations" else self._store.data.folder(above)
        return folder.has(name)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An operation that is about to be written: its media, its sidecar, the paths of both by name; or what one here lacks.

    `seen` are the media of one without a sidecar that were here already, by name, with their paths.
    """

    operation_id: str
    media: dict[str, bytes]
    last: dict[str, bytes]
    paths: Mapping[str, str]
    completes: bool
    seen: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Groups:
    """A snapshot's paths: of the operations by id and name, of records by id, and all others."""

    library: dict[str, dict[str, str]]
    trash: dict[str, dict[str, str]]
    pending: dict[str, str]
    other: list[str]


def _grouped(snapshot: Snapshot) -> _Groups:
    groups = _Groups(defaultdict(dict), defaultdict(dict), {}, [])
    for path in sorted(snapshot.files):
        above, _, name = path.rpartition("/")
        parts = parse_name(name)
        if parts and above in ("operations", "trash"):
            (groups.library if above == "operations" else groups.trash)[parts.operation_id][name] = path
        elif parts and parts.role == "sidecar" and above == "pending":
            groups.pending[parts.operation_id] = path
        else:
            groups.other.append(path)
    return groups


def _named(folder: Folder, operation_id: str) -> set[str]:
    try:
        view = Operation.of(decode(folder.read(sidecar_name(operation_id)), operation_id))
    except (FileMissing, UnsafeFile, DamagedOperation):
        return set()
    return {*view.inputs, *view.outputs, *view.intermediates}


def _job(data: bytes | None) -> Job | None:
    try:
        return Job.decode(data) if data else None
    except (ValueError, OpstoreError):
        return None


def _may_pay(job: Job) -> bool:
    """Say whether going on with a job could create something that is paid for, perhaps for the second time."""
    rest = job.steps[job.current :] if job.state in ("queued", "creating") else job.steps[job.current + 1 :]
    return not all(registry.is_free(step.provider) for step in rest)
