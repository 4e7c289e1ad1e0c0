"""The folder of operations with what is packed behind it: loose files first, then the pack of the month.

Reading, nobody sees where a file lies. Before anything changes an operation (every way of `Folder` to write, move or remove), it
comes back as loose files, durably, and leaves its pack; only then the change goes on as if there had never been a pack. Both, and
the way into a pack, happen under the operation's own lock; into a pack comes only what under that lock is still loose, as it was
read. So an operation is whole in one of the two places at every moment, and no pack knows one that is gone, or an older one.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from opstore.access.roles import Role, act, part
from opstore.errors import DamagedPack, FileMissing, OperationExists, StorageError, said
from opstore.storage import disk
from opstore.storage.files import Folder, storage_errors
from opstore.storage.names import parse_name, sidecar_name
from opstore.storage.packs.copies import Copies
from opstore.storage.packs.sidecars import Sidecars
from opstore.storage.stored_file import Reader, Stat
from opstore.storage.watch import Watch

if TYPE_CHECKING:
    from opstore.storage.packs.pack import Entry, Pack

#: The folder of packs in a data folder, and what a pack's name ends in.
FOLDER, SUFFIX = "packed", ".sqlite"
_MONTH = 6
#: From how many files on, and how many at a time, they are written and synced side by side: a disk answers such syncs together.
_MANY, _AT_A_TIME = 16, 8


class Packs:
    """The packs of one data folder; they are opened when they are needed, and stay open."""

    def __init__(self, path: Path) -> None:
        """Speak of the folder at `path`, which need not exist."""
        self.folder = Folder(path)
        self._guard = threading.Lock()
        self._open: dict[str, tuple[tuple[int, int], Pack]] = {}

    def name(self, month: str) -> str:
        """Return what the pack of a month (`202511`) is called."""
        return f"{month}{SUFFIX}"

    def taken(self, month: str) -> int:
        """Return what the pack of a month takes of the disk, 0 if there is none."""
        known = self.folder.stat(self.name(month))
        return known.taken if known else 0

    def _path(self, month: str) -> Path:
        return self.folder.path / self.name(month)

    def months(self) -> list[str]:
        """Return the months that have a pack, the oldest first."""
        names = (name.removesuffix(SUFFIX) for name in self.folder.names() if name.endswith(SUFFIX))
        return sorted(name for name in names if len(name) == _MONTH and name.isascii() and name.isdigit())

    def pack(self, month: str) -> Pack | None:
        """Return a month's pack, None if there is none; raise DamagedPack for a file that is none."""
        while (identity := self._identity(month)) is not None:
            with self._guard:
                known = self._open.get(month)
                if known is not None and known[0] == identity:
                    return known[1]
                from opstore.storage.packs.pack import Pack  # and with it a database: only if there is a pack

                try:
                    known = self._open[month] = (identity, Pack(self._path(month), month))
                except StorageError:  # it was unpacked, or packed anew, since it was looked for: so is it looked for again
                    if self._identity(month) == identity:
                        raise
                else:
                    return known[1]
        self._open.pop(month, None)  # who still reads from it goes on; its last reader closes it
        return None

    def _identity(self, month: str) -> tuple[int, int] | None:
        """Return what tells the file of a month's pack from any other one, None if there is none."""
        path = self._path(month)
        with storage_errors():
            try:
                state = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
        if not stat.S_ISREG(state.st_mode) or not os.access(path, os.R_OK):
            raise DamagedPack(name=path.name, reason=said("it is no plain file, or may not be read"))
        return state.st_dev, state.st_ino

    def again(self, month: str) -> Pack:
        """Open the pack of a month once more, to see what is in its file; whoever asks closes it."""
        from opstore.storage.packs.pack import Pack

        return Pack(self._path(month), month)

    def of(self, name: str) -> Pack | None:
        """Return the pack that a file or an operation of that name would be in; None if there is none that can be read."""
        with contextlib.suppress(DamagedPack):  # `verify` lists it; what it held cannot be told from what was never there
            return self.pack(name[:_MONTH]) if name[:_MONTH].isdigit() else None
        return None

    def readable(self) -> Iterator[Pack]:
        """Yield all packs that can be read, the oldest first."""
        for month in self.months():
            pack = self.of(month)
            if pack is not None:
                yield pack

    def entry(self, name: str) -> Entry | None:
        """Return what is known of a packed file, None if there is none of that name."""
        pack = self.of(name)
        with contextlib.suppress(DamagedPack):
            return pack.entry(name) if pack else None
        return None

    def entries(self, operation_id: str) -> list[Entry]:
        """Return the packed files of an operation."""
        pack = self.of(operation_id)
        with contextlib.suppress(DamagedPack):
            return pack.of(operation_id) if pack else []
        return []

    def read(self, name: str) -> bytes | None:
        """Return a packed file's bytes, None if there is none of that name; raise DamagedPack."""
        pack = self.of(name)
        return pack.read(name) if pack else None

    def changed(self) -> int:
        """Return when packs last came, went or changed (nanoseconds since 1970), 0 if there never was one."""
        return self.folder.changed()  # a change makes and removes a journal in the folder

    def begin(self, month: str, sidecars: Sequence[bytes]) -> Pack:
        """Return the pack of a month, made now if need be, with a dictionary of what `sidecars` share."""
        pack = self.pack(month)
        if pack is None:
            from opstore.storage.packs.codecs import dictionary_of
            from opstore.storage.packs.pack import empty

            self.folder.make()
            # Under the name that its temp file begins with: a repair at this moment sees that somebody is writing it.
            self.folder.create(month, [{self.name(month): empty(month, dictionary_of(sidecars))}])
            pack = self.pack(month)
        if pack is None:
            raise FileMissing(name=self.name(month))
        return pack

    def discard(self, month: str) -> bool:
        """Remove the pack of a month if nothing is left in it; nobody may be adding to it. Say whether it is gone."""
        found = self.pack(month)
        if found is not None and found.is_empty():
            self.folder.remove(month, [self.name(month)])
        return self.pack(month) is None

    def close(self) -> None:
        """Close what was opened."""
        with self._guard:
            packs, self._open = self._open, {}
        for _, pack in packs.values():
            pack.close()


@part(Role.ADMIN)
class Library(Folder):
    """The operations of a data folder, loose or packed."""

    def __init__(self, root: Path) -> None:
        """Speak of the operations in the data folder `root`, which need not exist yet."""
        super().__init__(root / "operations")
        self.packs = Packs(root / FOLDER)
        #: The loose files alone.
        self.loose = Folder(self.path)
        self.copies = Copies(root / "cache" / "unpacked")

    @property
    def address(self) -> str:
        """Return what another process on this machine opens it by."""
        return str(self.path.parent.resolve())

    # -- reading ---------------------------------------------------------------------------------------------------------

    def sidecars(self) -> Sidecars:
        """Return what reads many sidecars, one after another."""
        return Sidecars(self.path, Packs(self.packs.folder.path))

    def watch(self) -> Watch:
        """Begin to watch for what others change."""
        return Watch(self.path)

    def changed(self) -> int:
        """Return when a name last came or went, loose or packed (nanoseconds since 1970); 0 if there is nothing."""
        return max(super().changed(), self.packs.changed())

    def open(self, name: str, *, again: bool = False) -> Reader:
        """Open a file for reading, as `Folder.open` does; raise DamagedPack as well.

        A packed one is a file in memory, or, where it will be opened `again`, a copy in the cache.
        """
        try:
            return super().open(name)
        except FileMissing:
            packed = self._copy(name) if again else self._in_memory(name)
            # Not there either: it may have come back between the two looks.
            return super().open(name) if packed is None else packed

    def _bytes(self, name: str, limit: int | None) -> bytes:
        try:
            return super()._bytes(name, limit)
        except FileMissing:
            data = self.packs.read(name)
            return super()._bytes(name, limit) if data is None else data if limit is None else data[: limit + 1]

    def _in_memory(self, name: str) -> Reader | None:
        data, entry = self.packs.read(name), self.packs.entry(name)
        if data is None or entry is None:
            return None
        return Reader(io.BytesIO(data), _stat(entry))  # type: ignore[arg-type] # read as a raw one is

    def _copy(self, name: str) -> Reader | None:
        entry = self.packs.entry(name)
        if entry is None:
            return None
        copy = self.copies.opened(entry, lambda: self.read(name))
        if self.packs.entry(name) is not None:
            return copy
        # It has come back, and perhaps been removed for good by somebody who found no copy yet.
        copy.close()
        if parts := parse_name(name):
            self.copies.forget(parts.operation_id)
        return None

    def size(self, name: str) -> int:
        """Return a file's size in bytes; raise as `open` does."""
        try:
            return self.loose.size(name)
        except FileMissing:
            entry = self.packs.entry(name)
            return self.loose.size(name) if entry is None else entry.size

    @act(*Role)
    def has(self, name: str) -> bool:
        """Say whether something of that name is there, of whatever kind."""
        return super().has(name) or self.packs.entry(name) is not None or super().has(name)

    def present(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that are there, of whatever kind."""
        loose = super().present(names)
        missing = set(names).difference(loose)
        if not missing or not self.packs.changed():
            return loose
        ids = {parts.operation_id for name in missing if (parts := parse_name(name))}
        packed = {entry.name for operation_id in ids for entry in self.packs.entries(operation_id)}
        # Of what is in neither some may have come back between the two looks.
        there = {*loose, *packed, *super().present([*missing - packed])}
        return [name for name in names if name in there]

    def names(self) -> list[str]:
        """Return every name, unordered; none that moves between loose and packed meanwhile is left out."""
        names = super().names()
        for _ in range(3):
            seen = self.packs.changed()
            if not seen:
                break
            packed: set[str] = set()
            for pack in self.packs.readable():
                with contextlib.suppress(DamagedPack):
                    packed.update(pack.names())
            names = [*packed.union(names, super().names())]
            if self.packs.changed() == seen:
                break
        return names

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield every name and the bytes that it takes: packed ones what they take in their pack, shared contents shared out."""
        loose = dict(super().sizes())
        yield from loose.items()
        for pack in self.packs.readable():
            with contextlib.suppress(DamagedPack):
                entries = pack.entries()
                sharing = Counter(entry.sha256 for entry in entries)
                for entry in entries:
                    if entry.name not in loose:
                        yield entry.name, round(entry.stored / sharing[entry.sha256])

    def stat(self, name: str) -> Stat | None:
        """Return what is known of whatever has that name, without opening it; None if there is nothing."""
        known = super().stat(name)
        return _stat(entry) if known is None and (entry := self.packs.entry(name)) else known

    def packed(self, name: str) -> tuple[str, int] | None:
        """Return the SHA-256 and the bytes of a file that is packed and not loose, as its pack says; None for any other."""
        entry = None if super().has(name) else self.packs.entry(name)
        return (entry.sha256.hex(), entry.size) if entry else None

    # -- writing ---------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def held(self, ids: Iterable[str]) -> Iterator[int]:
        """Lend the folder while nobody else changes, moves or removes these operations, here or in the trash."""
        self.make()
        with contextlib.ExitStack() as held:
            with storage_errors():
                folder = held.enter_context(disk.opened(self.path))
                for operation_id in sorted(set(ids)):  # in order: two that want the same do not wait for each other in a ring
                    held.enter_context(disk.locked(folder, operation_id))
            yield folder

    def sync(self) -> None:
        """Make sure that what has gone here stays gone through a power cut."""
        with storage_errors(), disk.opened(self.path) as folder:
            os.fsync(folder)

    def settle(self, name: str) -> None:
        """Make sure that a file survives a power cut, as `Folder.settle` does; a packed one comes back first."""
        parts = parse_name(name)
        if parts and self.packs.entries(parts.operation_id):
            self.unpack([parts.operation_id])
        super().settle(name)

    def set_aside(self, name: str, target: Folder, new_name: str) -> str:
        """Move whatever has that name as `Folder.set_aside` does; of a packed file that cannot be read, what its pack has."""
        parts = parse_name(name)
        if parts and self.packs.entries(parts.operation_id):
            self._let_out(parts.operation_id)
        return super().set_aside(name, target, new_name)

    def unpack(self, ids: Sequence[str]) -> None:
        """Bring packed operations back as loose files, durably; those that are not packed are passed over.

        Raise DamagedPack for one whose files cannot all be read; nothing of it has left the pack then.
        """
        with self.held(ids) as folder, storage_errors():
            self._bring_back(folder, ids)

    def rescue(self, pack_name: str) -> list[str]:
        """Bring back what can be read of a damaged pack (by its file's name), and return the operations that came back whole."""
        back = []
        pack = self.packs.of(pack_name)
        with contextlib.suppress(DamagedPack):
            for name in pack.names() if pack else []:
                parts = parse_name(name)
                if parts and parts.role == "sidecar":
                    with contextlib.suppress(DamagedPack):
                        self.unpack([parts.operation_id])
                        back.append(parts.operation_id)
        return back

    @act(*Role)
    def is_empty(self) -> bool:
        """Say whether there is nothing at all, without reading all names."""
        with storage_errors():
            try:
                with os.scandir(self.path) as files:
                    empty = next(files, None) is None
            except FileNotFoundError:
                empty = True
        return empty and not self.packs.months()

    def stands(self, read: Mapping[str, tuple[str, bytes]]) -> bool:
        """Say whether loose files are what was read of them (name → stamp, bytes); who asks holds their operation's lock.

        A sidecar is compared byte for byte: it is what people change, and what they wrote must win.
        """
        with contextlib.suppress(FileMissing):
            return all(
                self.loose.stamp(name) == stamp and (not name.endswith(".json") or self.loose.read(name, len(data)) == data)
                for name, (stamp, data) in read.items()
            )
        return False

    def let_go(self, operation_id: str, taken: Mapping[str, tuple[str, bytes]]) -> bool:
        """Remove the loose files of an operation that was packed as `taken` says (name → stamp, SHA-256); not yet durably.

        Return False where it is not so any more: then the loose files are right, and one that has gone stays gone.
        """
        with storage_errors(), self.held([operation_id]) as folder:
            packed = {entry.name: entry.sha256 for entry in self.packs.entries(operation_id)}
            if not packed.items() >= {name: sha256 for name, (_, sha256) in taken.items()}.items():
                return False  # somebody has brought it back, to change it
            if any(self.loose.stamp(name) != stamp for name, (stamp, _) in taken.items()):
                # By a program that knows no lock: what changes an operation otherwise takes it out of its pack.
                for name in taken:
                    _sync(folder, name)
                os.fsync(folder)
                self._drop(taken)
                self._bring_back(folder, [operation_id])  # what else of it is packed
                return False
            sidecar = sidecar_name(operation_id)
            for name in sorted(taken, key=lambda name: name == sidecar):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
        return True

    def _ready(self, folder: int, key: str, names: Iterable[str]) -> None:
        ids = {parts.operation_id for name in names if (parts := parse_name(name))}
        packed = [operation_id for operation_id in sorted(ids) if self.packs.entries(operation_id)]
        with contextlib.ExitStack() as held:
            for operation_id in packed:
                if operation_id != key:
                    held.enter_context(disk.locked(folder, operation_id))
            self._bring_back(folder, packed)

    def _bring_back(self, folder: int, ids: Iterable[str]) -> None:
        """Write what is packed of these operations where it is not loose; then it leaves its pack. Their locks are held."""
        packed = {entry.name: entry for operation_id in ids for entry in self.packs.entries(operation_id)}
        if not packed:
            return  # as nearly always: a save must not wait for the disk once more
        there = set(disk.present(folder, packed))
        temps = {name: disk.temp_name(name) for name in packed if name not in there}
        try:
            _side_by_side(lambda name: self._write(folder, packed[name], temps[name]), list(temps))
            _side_by_side(lambda name: _sync(folder, temps.get(name, name)), list(packed))
            sidecars = [name for name in temps if name.endswith(".json")]
            for stage in ([name for name in temps if name not in sidecars], sidecars):
                for name in stage:
                    with contextlib.suppress(OperationExists):  # made by another program at this moment: it wins
                        disk.link(folder, name, temps[name], name)
                os.fsync(folder)
        finally:
            disk.discard(folder, temps.values())
        self._drop(packed)

    def _write(self, folder: int, entry: Entry, temp: str) -> None:
        """Write a packed file under a name of its own, with its old time, and read it again."""
        data = self.packs.read(entry.name)
        if data is None:
            raise FileMissing(name=entry.name)
        disk.write(folder, temp, data, private=False)
        os.utime(temp, ns=(entry.modified, entry.modified), dir_fd=folder, follow_symlinks=False)
        with disk.open_regular(folder, temp) as file:
            if file.read() != data:
                raise StorageError(reason=said("{name} was not written correctly", name=entry.name))

    def _let_out(self, operation_id: str) -> None:
        """Bring an operation back whose files cannot all be read: of one that cannot, what the pack has of it."""
        with storage_errors(), disk.opened(self.path) as folder, disk.locked(folder, operation_id):
            pack = self.packs.of(operation_id)
            for entry in self.packs.entries(operation_id):
                if pack is not None and not disk.present(folder, [entry.name]) and not _is_readable(pack, entry.name):
                    disk.write(folder, entry.name, pack.raw(entry.name), private=False)
            self._bring_back(folder, [operation_id])

    def _drop(self, names: Iterable[str]) -> None:
        by_month: dict[str, list[str]] = {}
        for name in names:
            by_month.setdefault(name[:_MONTH], []).append(name)
        for month, packed in by_month.items():
            pack = self.packs.of(month)
            if pack is not None:
                pack.drop(packed)


def _stat(entry: Entry) -> Stat:
    return Stat(entry.size, entry.modified, entry.modified, f"packed {entry.sha256.hex()}:{entry.modified}", entry.stored)


def _sync(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # a loose one that somebody has just removed
        disk.sync(folder, name)


def _side_by_side(act: Callable[[str], None], names: Sequence[str]) -> None:
    """Do it for all, and be done with all in the end; if there are many, some at a time, since each waits for the disk."""
    if len(names) < _MANY:
        for name in names:
            act(name)
        return
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="opstore-unpack") as pool:
        for _ in pool.map(act, names):
            pass


def _is_readable(pack: Pack, name: str) -> bool:
    with contextlib.suppress(DamagedPack):
        return pack.read(name) is not None
    return False
