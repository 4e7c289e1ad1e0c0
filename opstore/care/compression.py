"""Compression: whole months of old operations go into packs (docs/format.md), and come back, with the same bytes.

Of every batch: its files are read and encoded while people go on. Then, under the locks of its operations, those that are still
there as they were read are added to the pack in one durable transaction; what was moved, removed or annotated meanwhile stays as
it is, so that nothing comes back. What was added is read back through another connection and compared bit for bit with what was
read first; only then the loose files go, one operation after the other under its lock, and only if none has changed since.
A kill or a power cut at any moment leaves every operation whole, loose or packed or both, where the loose one counts; begun again
it goes on.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from opstore.care.estimate import Loose, Operations, samples, size_packed
from opstore.care.progress import Report, quiet
from opstore.errors import DamagedPack, InvalidInput, OpstoreError, StorageError, said, shown
from opstore.storage.files import is_passing, storage_errors
from opstore.storage.names import parse_name, sidecar_name, time_of
from opstore.storage.operation import MAX_SIDECAR_BYTES, decode
from opstore.storage.packs import DAYS, PACKING
from opstore.storage.packs.codecs import MAX_BYTES, MAX_SAMPLES
from opstore.storage.packs.pack import Pack
from opstore.storage.store import Store

_MAX_DAYS = 100_000
#: What is packed or unpacked together: as much is held in memory, and shares the syncs.
_BATCH_FILES, _BATCH_BYTES = 1_000, 32 * 1024 * 1024
#: Unpacked together: each holds a lock, an open file, and a process may have 1,024 of them.
_BATCH_OPERATIONS = 200
_MONTH = re.compile(r"\A(?P<year>[0-9]{4})-?(?P<month>0[1-9]|1[0-2])\Z")


@dataclass(frozen=True, slots=True)
class Month:
    """What of a month (`2025-11`) is, or would be, packed: `bytes` of its files, what they took of the disk, what they take now.

    Where it was only estimated, `after` is about right, and `bytes` and `before` are exact.
    """

    month: str
    operations: int
    files: int
    bytes: int
    before: int
    after: int

    @property
    def saved(self) -> int:
        """Return the bytes of the disk that are free now; fewer than none where packing does not pay."""
        return self.before - self.after


@dataclass(frozen=True, slots=True)
class Compressed:
    """What an act came to, the oldest month first, and what it left loose, or packed: by operation or pack, why."""

    months: tuple[Month, ...]
    left: Mapping[str, str] = field(default_factory=dict)

    @property
    def operations(self) -> int:
        """Return how many operations moved."""
        return sum(month.operations for month in self.months)

    @property
    def saved(self) -> int:
        """Return the bytes of the disk that it freed."""
        return sum(month.saved for month in self.months)


class Compression:
    """The packing of one store's months."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Pack the operations of `store`."""
        self._store = store
        self._library = store.operations
        self._clock = clock

    # -- what is there ---------------------------------------------------------------------------------------------------

    def months(self) -> dict[str, int]:
        """Return the packed months (`2025-11`), the oldest first, and what their packs take of the disk."""
        found = {}
        for month in self._library.packs.months():
            if taken := self._library.packs.taken(month):
                found[_told(month)] = taken
        return found

    def packed(self, month: str | None = None) -> Compressed:
        """Return what is packed now, or of one month: `bytes` of the files, and in `after` what the pack takes of the disk.

        Raise InvalidInput for no month.
        """
        months, left = [], {}
        only = None if month is None else _key(month)
        for key in self._library.packs.months():
            if only not in (None, key):
                continue
            try:
                pack = self._library.packs.pack(key)
                entries = pack.entries() if pack else []
                taken = self._library.packs.taken(key)
            except DamagedPack as error:
                left[self._library.packs.name(key)] = str(error)
                continue
            if not taken:  # unpacked meanwhile
                continue
            count = len({parts.operation_id for entry in entries if (parts := parse_name(entry.name))})
            size = sum(entry.size for entry in entries)
            before = sum(_whole_blocks(entry.size) for entry in entries)
            months.append(Month(_told(key), count, len(entries), size, before, taken))
        return Compressed(tuple(months), left)

    def plan(self, days: int = DAYS, month: str | None = None, report: Report = quiet) -> Compressed:
        """Say what packing would save, from samples of each month; nothing changes. Raise InvalidInput for no month."""
        found = self._packable(days, month)
        months = []
        for number, (key, operations) in enumerate(sorted(found.items())):
            report(number, len(found), said("estimating what packing saves"))
            files = [file for loose in operations.values() for file in loose]
            sizes = sum(file.bytes for file in files), sum(file.taken for file in files)
            after = size_packed(self._store, operations)
            months.append(Month(_told(key), len(operations), len(files), *sizes, after))
        return Compressed(tuple(months))

    # -- packing ---------------------------------------------------------------------------------------------------------

    def apply(self, days: int = DAYS, month: str | None = None, report: Report = quiet) -> Compressed:
        """Pack the months that ended more than `days` ago, or one (`2025-11`) however old; raise InvalidInput for no month."""
        left: dict[str, str] = {}
        months = []
        with self._store.data.top.locked(PACKING):
            found = self._packable(days, month)
            total, done = sum(map(len, found.values())), 0
            for key, operations in sorted(found.items()):
                try:
                    months.append(self._pack(key, operations, left, _shifted(report, done, total, said("packing"))))
                except DamagedPack as error:
                    left[self._library.packs.name(key)] = str(error)
                done += len(operations)
        return Compressed(tuple(months), left)

    def _pack(self, key: str, operations: Operations, left: dict[str, str], report: Callable[[int], None]) -> Month:
        pack = self._library.packs.begin(key, samples(self._library.loose, operations, MAX_SAMPLES))
        before = 0 if pack.is_empty() else self._library.packs.taken(key)
        gone: list[str] = []
        twice = contextlib.closing(self._library.packs.again(key))
        with twice as again, ThreadPoolExecutor(2, thread_name_prefix="opstore-pack") as pool:
            done = 0
            for batch in _batches(operations):
                report(done)
                done += len(batch)
                gone += self._pack_batch(pack, again, batch, left, pool)
        pack.shrink()
        self._library.packs.discard(key)  # where all that was to be packed has changed meanwhile
        files = [file for operation_id in gone for file in operations[operation_id]]
        after = self._library.packs.taken(key)
        sizes = sum(file.bytes for file in files), sum(file.taken for file in files)
        return Month(_told(key), len(gone), len(files), *sizes, after - before)

    def _pack_batch(
        self, pack: Pack, again: Pack, batch: Operations, left: dict[str, str], pool: ThreadPoolExecutor
    ) -> list[str]:
        """Pack some operations, and return those whose loose files are gone."""
        read: dict[str, dict[str, tuple[str, bytes]]] = {}
        for operation_id, files in batch.items():
            try:
                read[operation_id] = self._read(operation_id, files)
            except OpstoreError as error:
                if is_passing(error):
                    raise
                left[operation_id] = str(error)
        contents = {name: found for files in read.values() for name, found in files.items()}
        names = sorted(contents, key=lambda name: name.endswith(".json"))  # pictures begin in their threads, sidecars here
        coded = {name: pool.submit(pack.encode, name, contents[name][1]) for name in names if not name.endswith(".json")}
        encoded = {name: coded[name].result() if name in coded else pack.encode(name, contents[name][1]) for name in names}
        with self._library.held(read):
            standing = {operation_id for operation_id, known in read.items() if self._library.stands(known)}
            added = [name for operation_id in sorted(standing) for name in read[operation_id]]
            if added:
                pack.add({name: (_modified(contents[name][0]), encoded[name]) for name in added})
        for name in added:
            data = again.read(name)
            if data is not None and data != contents[name][1]:  # none: it has left its pack already, to be changed
                raise StorageError(reason=said("{name} was not written correctly", name=name))
        gone = []
        for operation_id, known in read.items():
            taken = {name: (stamp, encoded[name].sha256) for name, (stamp, _) in known.items()}
            if operation_id in standing and self._library.let_go(operation_id, taken):
                gone.append(operation_id)
            else:
                left[operation_id] = said("it was changed meanwhile")
        self._library.sync()
        return gone

    def _read(self, operation_id: str, files: Sequence[Loose]) -> dict[str, tuple[str, bytes]]:
        """Return the stamp and the bytes of an operation's loose files; raise for one that cannot be read, or is no operation."""
        contents = {}
        for file in files:
            stamp = self._library.loose.stamp(file.name)  # before the bytes: a change in between is seen when they are to go
            data = self._library.loose.read(file.name, MAX_BYTES)
            if stamp is None or len(data) > MAX_BYTES:
                raise StorageError(reason=said("{name} is too large to be packed", name=file.name))
            contents[file.name] = stamp, data
        if sidecar_name(operation_id) in contents:
            decode(contents[sidecar_name(operation_id)][1], operation_id)
        return contents

    # -- unpacking -------------------------------------------------------------------------------------------------------

    def unpack(self, month: str | None = None, report: Report = quiet) -> Compressed:
        """Bring all packed months back as loose files, or one; raise StorageError, with nothing done, where they have no room."""
        left: dict[str, str] = {}
        months = []
        packs, only = self._library.packs, None if month is None else _key(month)
        with self._store.data.top.locked(PACKING):
            wanted = [key for key in packs.months() if only in (None, key)]
            opened = {}
            for key in wanted:
                try:
                    opened[key] = packs.pack(key)
                except DamagedPack as error:
                    left[packs.name(key)] = str(error)
            whole = {key: pack for key, pack in opened.items() if pack is not None}
            self._check_room(sum(entry.size for pack in whole.values() for entry in pack.entries()))
            total, done = sum(len(pack.sidecars()) for pack in whole.values()), 0
            for key, pack in whole.items():
                months.append(self._unpack(key, pack, left, _shifted(report, done, total, said("unpacking"))))
                done += months[-1].operations
        return Compressed(tuple(months), left)

    def _unpack(self, key: str, pack: Pack, left: dict[str, str], report: Callable[[int], None]) -> Month:
        packs = self._library.packs
        before = packs.taken(key)
        operations: Operations = defaultdict(list)
        for entry in pack.entries():
            parts = parse_name(entry.name)
            if parts:
                operations[parts.operation_id].append(Loose(entry.name, entry.size, _whole_blocks(entry.size)))
        back: list[str] = []
        for batch in _batches(operations):
            report(len(back))
            try:
                self._library.unpack(list(batch))
                back += batch
            except DamagedPack:
                back += [operation_id for operation_id in batch if self._unpack_one(operation_id, left)]
        if not packs.discard(key):
            pack.shrink()
        files = [file for operation_id in back for file in operations[operation_id]]
        rest = packs.taken(key)
        sizes = sum(file.bytes for file in files), before - rest, sum(file.taken for file in files)
        return Month(_told(key), len(back), len(files), *sizes)

    def _unpack_one(self, operation_id: str, left: dict[str, str]) -> bool:
        try:
            self._library.unpack([operation_id])
        except DamagedPack as error:
            left[operation_id] = str(error)
        return operation_id not in left

    def _check_room(self, wanted: int) -> None:
        free = self._store.data.free()
        if wanted > free:
            told = said(
                "unpacked, the files take {wanted} MB, and {free} MB are free", wanted=wanted // 10**6, free=free // 10**6
            )
            raise StorageError(reason=told)

    # -- what may be packed ----------------------------------------------------------------------------------------------

    def _packable(self, days: int, month: str | None) -> dict[str, Operations]:
        """Return the whole loose operations of the months that are wanted, by month (`202511`) and id."""
        if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= _MAX_DAYS:
            raise InvalidInput(reason=said("an age is a whole number of days from 0 to {limit}", limit=_MAX_DAYS))
        only = None if month is None else _key(month)
        limit = f"{self._clock() - timedelta(days=days):%Y%m}"
        underway = {name.removesuffix(".json") for name in self._store.pending.names()}
        by_month: dict[str, Operations] = defaultdict(lambda: defaultdict(list))
        odd = set()
        with storage_errors():
            for name, known in self._library.loose.entries():
                parts = parse_name(name)
                key = name[:6]
                if parts is None or (key != only if only else key >= limit) or time_of(parts.operation_id) is None:
                    continue
                by_month[key][parts.operation_id].append(Loose(name, known.size, known.taken))
                if known.size > (MAX_SIDECAR_BYTES if parts.role == "sidecar" else MAX_BYTES):
                    odd.add(parts.operation_id)
        for operations in by_month.values():
            for operation_id, files in list(operations.items()):
                sidecar = sidecar_name(operation_id)
                # A power cut may have left media whose sidecar is in the pack already.
                exists = any(file.name == sidecar for file in files) or self._library.packs.entry(sidecar) is not None
                if not exists or operation_id in odd or operation_id in underway:
                    del operations[operation_id]
        return {key: dict(sorted(operations.items())) for key, operations in by_month.items() if operations}


def _batches(operations: Operations) -> Iterator[Operations]:
    """Yield the operations, some at a time."""
    batch: Operations = {}
    files = size = 0
    for operation_id, found in operations.items():
        batch[operation_id] = found
        files += len(found)
        size += sum(file.bytes for file in found)
        if len(batch) >= _BATCH_OPERATIONS or files >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, files, size = {}, 0, 0
    if batch:
        yield batch


def _shifted(report: Report, done: int, total: int, what: str) -> Callable[[int], None]:
    return lambda more: report(done + more, total, what)


def _modified(stamp: str) -> int:
    """Return the time in a file's stamp (inode:size:mtime:ctime)."""
    return int(stamp.split(":")[2])


def _whole_blocks(size: int) -> int:
    """Return what a loose file of that size takes of the disk, in the blocks of 4 KiB that most file systems have."""
    return -(-size // 4096) * 4096


def _key(month: str) -> str:
    found = _MONTH.match(month)
    if found is None:
        raise InvalidInput(reason=said("{month} is no month; write it as 2025-11", month=shown(month)))
    return found["year"] + found["month"]


def _told(key: str) -> str:
    return f"{key[:4]}-{key[4:]}"
