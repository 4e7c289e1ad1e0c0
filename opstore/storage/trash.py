"""The trash: operations taken out of the library with all their files, under the same names, until they are restored or purged.

An operation is whole in `operations/` or whole in `trash/` at every moment: its files are durable in the one before its sidecar
leaves the other. An act that was cut short may leave it in both; then it is in the library, since its sidecar is there, and
either act, repeated, completes itself. Every act looks and does under the operation's lock in `operations/`, which whoever writes
it, moves it or packs it holds too. What is removed for good is gone with its sidecar, which goes first.

When it came here is the time of its sidecar's last change of inode (ctime), which no file has to record; a copy on another disk
starts anew, so that a purge is only ever late.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from opstore import clocks
from opstore.clocks.leaps import Leaps
from opstore.errors import DamagedOperation, FileMissing, OperationExists, OperationNotFound, OpstoreError, UnsafeFile
from opstore.spending.spent import Gone
from opstore.storage.files import Folder, digest, is_passing
from opstore.storage.names import EXTENSIONS, FileName, Role, check_operation_id, parse_name, sidecar_name
from opstore.storage.operation import MAX_SIDECAR_BYTES, Operation, decode
from opstore.storage.store import MAX_INPUTS, Store

#: Trashed operations are kept this long unless somebody purges earlier.
KEPT = timedelta(days=30)
#: Media without a sidecar that are younger may be somebody's who is copying a whole trash here by hand.
_LEFT = timedelta(hours=1)
_ROLES: tuple[Role, ...] = ("input", "output")


@dataclass(frozen=True, slots=True)
class Trashed:
    """An operation in the trash; `sidecar` is None where it cannot be read."""

    operation_id: str
    trashed_at: datetime
    sidecar: dict[str, Any] | None


class Trash:
    """The trash of one store."""

    def __init__(self, store: Store) -> None:
        """Keep trashed operations in the data folder's `trash/`."""
        self._store = store
        self._library = store.operations
        self.folder = store.data.folder("trash")
        self._spent = Gone(store.data.top)

    def put(self, operation_id: str, check: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Move an operation to the trash, durably; raise OperationNotFound. Repeating an interrupted move completes it.

        Where the trash holds another operation of that id, raise OperationExists and change nothing. Nor is anything moved where
        `check` raises, which is given the sidecar when nobody can change it any more.
        """
        self._move(self._library, self.folder, operation_id, check)

    def restore(self, operation_id: str) -> None:
        """Move an operation back to the library, durably; raise OperationNotFound, or OperationExists if its id is taken."""
        self._move(self.folder, self._library, operation_id)

    def look(self, operation_id: str, *, back: bool = False) -> None:
        """Raise what `put`, or with `back` `restore`, would raise now, and move nothing."""
        source, target = (self.folder, self._library) if back else (self._library, self.folder)
        sidecar = sidecar_name(check_operation_id(operation_id))
        if self._has_moved(source, target, operation_id):
            return
        media = target.present(self._media(source, operation_id))
        if (target.has(sidecar) and not _both(self.folder, self._library, operation_id)) or any(
            source.read(name) != target.read(name) for name in media
        ):
            raise OperationExists(operation_id=operation_id)

    def all(self) -> list[Trashed]:
        """Return what is in the trash, the last trashed first."""
        found = [self._trashed(operation_id) for operation_id in self._ids()]
        return sorted((item for item in found if item), key=lambda item: item.trashed_at, reverse=True)

    def count(self) -> int:
        """Return how many operations are in the trash."""
        return sum(1 for _ in self._ids())

    def ids(self) -> frozenset[str]:
        """Return which operations are in the trash, by their names alone."""
        return frozenset(self._ids())

    def find(self, operation_id: str) -> Trashed:
        """Return one trashed operation; raise OperationNotFound."""
        found = self._trashed(check_operation_id(operation_id))
        if found is None:
            raise OperationNotFound(operation_id=operation_id)
        return found

    def bytes(self, operation_id: str) -> int:
        """Return how many bytes the files of a trashed operation have."""
        total = 0
        for name in (*self._media(self.folder, check_operation_id(operation_id)), sidecar_name(operation_id)):
            with contextlib.suppress(FileMissing, UnsafeFile):
                total += self.folder.size(name)
        return total

    def due(self, older_than: timedelta = KEPT, now: datetime | None = None) -> list[str]:
        """Return what a purge would remove, by id."""
        limit = (now or clocks.now()) - older_than
        moments = ((operation_id, self._moment(operation_id)) for operation_id in self._ids())
        return sorted(operation_id for operation_id, moment in moments if moment is not None and moment <= limit)

    def purge(self, older_than: timedelta = KEPT, now: datetime | None = None) -> list[str]:
        """Remove for good what was trashed longer ago than `older_than`; return the ids.

        What cannot be removed now stays in the list, and the others go all the same; so does what cut-short removals left here.
        Raise ClockLeapt where the clock, unless it is given, cannot tell what is older.
        """
        if now is None and older_than:
            Leaps(self._store.data.top).check()
        limit = (now or clocks.now()) - older_than
        gone = []
        for operation_id in self._ids():
            moment = self._moment(operation_id)
            if moment is not None and moment <= limit:
                with contextlib.suppress(OpstoreError):
                    self._remove(operation_id, limit)
                    gone.append(operation_id)
        self._sweep((now or clocks.now()) - _LEFT)
        return gone

    def remove(self, operation_id: str) -> None:
        """Remove one trashed operation for good; raise OperationNotFound. Where the library has that id too, it keeps it.

        The sidecar goes first, durably: from then on it is nowhere, and what a kill leaves of its media the next purge removes.
        """
        self._remove(check_operation_id(operation_id), None)

    def _remove(self, operation_id: str, limit: datetime | None) -> None:
        """Remove one, unless it came here after `limit`: during a long purge somebody may restore it, and trash it again."""
        from opstore.media.thumbnails import copies_of, forget  # nobody who lists or saves needs it

        sidecar = sidecar_name(operation_id)
        if not self.folder.has(sidecar):
            raise OperationNotFound(operation_id=operation_id)
        with self._library.held([operation_id]):  # nobody moves it: that it is here, and since when, stays true
            moment = self._moment(operation_id)
            if moment is None or (limit is not None and moment > limit):
                raise OperationNotFound(operation_id=operation_id)
            media = self._media(self.folder, operation_id)
            # Who removes an operation for good wants nothing of it to stay: neither small pictures nor what was handed on.
            copies = copies_of(self._store.cache, operation_id, lambda name: digest(self.folder.read(name)))
            left = self._library.present(media)
            if left:  # by a move that was cut short behind its sidecar, unless others lie under these names by now
                with contextlib.suppress(OperationExists):
                    self.folder.bring(self._library, operation_id, [left], unless=sidecar)
            forget(copies)
            found = self._trashed(operation_id)
            known = _hashes(found.sidecar if found else None)
            if found and found.sidecar is not None:  # else nobody can tell any more
                self._spent.note(operation_id, found.sidecar)
            self.folder.remove(operation_id, [sidecar])
            self.folder.remove(operation_id, media)
            # One that was being made of what was read before: whoever makes it looks, too, whether the media are still there.
            forget(copies_of(self._store.cache, operation_id, lambda name: known.get(name, "")))
        self._library.copies.forget(operation_id)

    def _sweep(self, limit: datetime) -> None:
        """Remove media that a removal or a move was cut short over before `limit`: their sidecar has gone from here."""
        media: dict[str, list[str]] = {}
        for name in self.folder.names():
            parts = parse_name(name)
            since = self.folder.since(name) if parts and parts.role != "sidecar" else None
            if parts and since is not None and since < limit.timestamp():
                media.setdefault(parts.operation_id, []).append(name)
        for operation_id, names in media.items():
            if not self.folder.has(sidecar_name(operation_id)):
                with contextlib.suppress(OpstoreError), self._library.held([operation_id]):
                    if not self.folder.has(sidecar_name(operation_id)):  # else somebody has brought it here
                        self.folder.remove(operation_id, names)

    def finish(self, operation_id: str) -> None:
        """Complete a move to the trash that was cut short behind its sidecar; nothing where it is not so, or no longer."""
        with self._library.held([operation_id]):
            left = self._library.present(self._media(self.folder, operation_id))
            if left and self.folder.has(sidecar_name(operation_id)):
                self.folder.bring(self._library, operation_id, [left], unless=sidecar_name(operation_id))
        self._store.changed(operation_id)

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _move(
        self, source: Folder, target: Folder, operation_id: str, check: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        check_operation_id(operation_id)
        sidecar = sidecar_name(operation_id)
        if not source.exists() and not target.exists():
            raise OperationNotFound(operation_id=operation_id)
        target.make()
        source.make()
        with self._library.held([operation_id]):  # what is looked at here is still so when it moves
            if self._has_moved(source, target, operation_id):
                # Cut short behind the sidecar, perhaps: what is left of it goes, and the move becomes durable.
                left = source.present(self._media(target, operation_id))
                target.bring(source, operation_id, [left], unless=sidecar)
            else:
                self._agree(operation_id)
                # Of a job that was killed between its sidecar and its record: the sidecar wins, or it would be made once more.
                if self._store.pending.has(sidecar):
                    self._store.pending.remove(operation_id, [sidecar])
                stages = [self._media(source, operation_id), [sidecar]]

                def checked() -> None:
                    if check:
                        check(decode(source.read(sidecar, MAX_SIDECAR_BYTES), operation_id))

                target.bring(source, operation_id, stages, check=checked)
        self._store.changed(operation_id)

    def _has_moved(self, source: Folder, target: Folder, operation_id: str) -> bool:
        """Say whether an operation is in the target and not in the source; raise OperationNotFound where it is in neither."""
        sidecar = sidecar_name(operation_id)
        if source.has(sidecar):
            return False
        if target.has(sidecar):
            return True
        raise OperationNotFound(operation_id=operation_id)

    def _agree(self, operation_id: str) -> None:
        """Where a move was cut short and the operation annotated in the library since, bring the older sidecar up to date.

        Anything else that differs is another operation: the move will refuse it.
        """
        both = _both(self.folder, self._library, operation_id)
        if both and both[0] != both[1]:
            self.folder.replace(operation_id, sidecar_name(operation_id), both[1], digest(both[0]))

    def _media(self, folder: Folder, operation_id: str) -> list[str]:
        """Return the media of an operation in a folder: those that its sidecar names, and others within the usual numbers.

        All names are looked through (1.5 s at a million operations) only where the sidecar cannot be read.
        """
        try:
            view = Operation.of(decode(folder.read(sidecar_name(operation_id), MAX_SIDECAR_BYTES), operation_id))
        except (FileMissing, UnsafeFile, DamagedOperation):
            found = (parse_name(name) for name in folder.names() if name.startswith(operation_id))
            return sorted(str(name) for name in found if name and name.operation_id == operation_id and name.role != "sidecar")
        return folder.present([*dict.fromkeys((*view.inputs, *view.outputs, *view.intermediates, *_usual(operation_id)))])

    def _ids(self) -> Iterator[str]:
        for name in self.folder.names():
            parts = parse_name(name)
            if parts and parts.role == "sidecar":
                yield parts.operation_id

    def _moment(self, operation_id: str) -> datetime | None:
        since = self.folder.since(sidecar_name(operation_id))
        return None if since is None else datetime.fromtimestamp(since, UTC)

    def _trashed(self, operation_id: str) -> Trashed | None:
        moment = self._moment(operation_id)
        sidecar: dict[str, Any] | None = None
        try:
            sidecar = decode(self.folder.read(sidecar_name(operation_id), MAX_SIDECAR_BYTES), operation_id)
        except FileMissing:
            return None  # restored or removed meanwhile
        except OpstoreError as error:
            if is_passing(error):
                raise
        return None if moment is None else Trashed(operation_id, moment, sidecar)


def _both(here: Folder, library: Folder, operation_id: str) -> tuple[bytes, bytes] | None:
    """Return the sidecars that an operation has in both folders; None where one has none, or more than annotations differ."""
    try:
        old, new = (folder.read(sidecar_name(operation_id), MAX_SIDECAR_BYTES) for folder in (here, library))
        first, second = decode(old, operation_id), decode(new, operation_id)
    except (FileMissing, UnsafeFile, DamagedOperation):
        return None
    keys = (first.keys() | second.keys()) - {"annotations"}
    return (old, new) if all(key in first and key in second and first[key] == second[key] for key in keys) else None


def _hashes(sidecar: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the SHA-256 of the media by name, as a sidecar has them."""
    files = sidecar.get("files") if sidecar else None
    entries = [entry for entry in files if isinstance(entry, dict)] if isinstance(files, list) else []
    return {str(entry.get("name")): str(entry.get("sha256")) for entry in entries}


def _usual(operation_id: str) -> Iterator[str]:
    """Return the names that an operation's media usually have (154 of them: 0.2 ms to look for)."""
    for role in _ROLES:
        for number in (None, *range(1, MAX_INPUTS + 1)):
            for extension in EXTENSIONS:
                yield str(FileName(operation_id, role, number, extension))
