"""Durable bytes in one flat folder: create, replace, append, read, list, remove, and nothing else writes.

What a call acknowledges survives a power cut: bytes go to a temp name in the same folder, are synced, get their real name by
link (create: never over an existing file) or rename (replace), then the folder is synced. Every shortcut loses acknowledged data
on ext4, xfs and btrfs alike: without the folder's sync the last rename is lost, without the file's sync a 0-byte file shows.

Names that start with a dot are this module's own: `.{name}.{random}.tmp` and `.{key}.lock`. A lock is taken by the kernel
(flock), so one that a killed process left behind holds nobody up.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from opstore.errors import FileMissing, OperationBusy, OperationExists, StorageError, said
from opstore.storage import disk
from opstore.storage.stored_file import Reader, Stat, stat_of

_REASONS = {
    errno.ENOSPC: said("the disk is full; free some space and try again"),
    errno.EDQUOT: said("the disk quota is used up; free some space and try again"),
    errno.EFBIG: said("a file is larger than the system allows here"),
    errno.EIO: said("the disk reports an error; check it before you go on"),
    errno.EROFS: said("the folder is on a read-only disk"),
    errno.EACCES: said("this program may not write or read there; check the folder's permissions"),
    errno.EPERM: said("this program may not write or read there; check the folder's permissions"),
    errno.EBUSY: said("somebody else changes it at this moment; try again in a moment"),
    errno.EMFILE: said("too many files are open; try again in a moment"),
    errno.ENFILE: said("too many files are open on this machine; try again in a moment"),
    errno.ENOENT: said("the folder is not there; check that its disk is connected"),
    errno.ENOTDIR: said("the folder's path leads through a file"),
    errno.ENAMETOOLONG: said("the folder's path is too long"),
}


#: What passes without anybody mending the disk: it says nothing of the file that was asked for.
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EBUSY)


def is_passing(error: BaseException) -> bool:
    """Say whether an error tells of a machine short of something at this moment, not of the file it was raised for."""
    cause = error.__cause__ if isinstance(error, StorageError) else error
    return isinstance(cause, OSError) and cause.errno in _PASSING


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn an OSError of the block into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(reason=_REASONS.get(error.errno or 0, os.strerror(error.errno or errno.EIO))) from error


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex (1.8 GB/s measured: not the bottleneck of a save)."""
    return hashlib.sha256(data).hexdigest()


class Folder:
    """One flat folder of files; every name given to it has been checked by the name grammar before."""

    def __init__(self, path: Path, *, private: bool = False) -> None:
        """Speak of the folder at `path`, which need not exist yet.

        A `private` one is made for this program's user alone (0700), and so is every file in it (0600); one that is there already
        keeps the permissions that somebody gave it.
        """
        self.path = path
        self.private = private

    def below(self, name: str, *, private: bool = False) -> Folder:
        """Return a folder in this one, which need not exist."""
        return Folder(self.path / name, private=private)

    def folders(self) -> set[str]:
        """Return the names of the folders in this one; a link to one is none."""
        with storage_errors():
            try:
                with os.scandir(self.path) as found:
                    return {entry.name for entry in found if entry.is_dir(follow_symlinks=False)}
            except FileNotFoundError:
                return set()

    def exists(self) -> bool:
        """Say whether the folder is there."""
        return self.path.is_dir()

    def changed(self) -> int:
        """Return when a name last came or went here (nanoseconds since 1970), 0 if there is no folder."""
        with contextlib.suppress(OSError):
            return os.stat(self.path).st_mtime_ns
        return 0

    def make(self) -> None:
        """Create the folder and its parents durably; do nothing where it exists."""
        with storage_errors():
            missing = [path for path in (self.path, *self.path.parents) if not path.is_dir()]
            for path in reversed(missing):
                path.mkdir(0o700 if self.private and path == self.path else 0o777, exist_ok=True)
                with disk.opened(path.parent) as parent:
                    os.fsync(parent)

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Let only one caller at a time into the block, across threads and processes; one that dies lets the next in."""
        with contextlib.ExitStack() as held:
            with storage_errors():
                folder = held.enter_context(disk.opened(self.path))
                held.enter_context(disk.locked(folder, key))
            yield

    # -- writing ---------------------------------------------------------------------------------------------------------

    def create(
        self,
        key: str,
        stages: Sequence[Mapping[str, bytes]],
        rivals: Sequence[str] = (),
        *,
        private: bool = False,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        """Create all files of `stages`, or none; a later stage becomes visible only when the earlier ones are durable.

        A file that exists with the same bytes is accepted, so a repeat after a crash succeeds; other bytes raise
        OperationExists(`key`) and nothing changes, and so does any file of the names `rivals`. Only one caller at a time works
        under one `key`, across processes. A `private` file, and any in a private folder, can be read by this program's user only.
        Nor does anything change where `check`, which is called when nobody else can change anything under `key`, raises.
        """
        with storage_errors(), disk.opened(self.path) as folder, disk.locked(folder, key):
            self._ready(folder, key, (*itertools.chain(*stages), *rivals))
            check()
            if disk.present(folder, rivals):
                raise OperationExists(operation_id=key)
            fresh = [{n: d for n, d in stage.items() if not self._accepted(folder, key, n, d)} for stage in stages]
            temps: dict[str, str] = {}
            try:
                for name, data in ((name, data) for stage in fresh for name, data in stage.items()):
                    temps[name] = temp = disk.temp_name(name)
                    disk.write(folder, temp, data, private or self.private)
                for temp in temps.values():
                    disk.sync(folder, temp)
                for stage in fresh:
                    for name in stage:
                        disk.link(folder, key, temps[name], name)
                    os.fsync(folder)
            except BaseException:
                disk.withdraw(folder, temps)
                raise
            disk.discard(folder, temps.values())

    def replace(self, key: str, name: str, data: bytes, expected: str | None, *, private: bool = False) -> str:
        """Put `data` in the place of the file whose digest is `expected` (None: whatever is there); return the new digest.

        Raise OperationBusy(`key`) if somebody changed the file meanwhile: a compare-and-swap across processes.
        """
        with storage_errors(), disk.opened(self.path) as folder, disk.locked(folder, key):
            self._ready(folder, key, [name])
            if expected is not None and digest(self._read(folder, name, None)) != expected:
                raise OperationBusy(operation_id=key)
            temp = disk.temp_name(name)
            try:
                disk.write(folder, temp, data, private or self.private)
                disk.sync(folder, temp)
                os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                disk.discard(folder, [temp])
                raise
            os.fsync(folder)
        return digest(data)

    def append(self, name: str, line: bytes) -> None:
        """Add a line to a log, in one write that no other's falls into; it outlives a kill, but waits for no disk."""
        with storage_errors(), disk.opened(self.path) as folder:
            file = os.open(name, disk.APPEND, 0o600 if self.private else 0o644, dir_fd=folder)
            try:
                os.write(file, line)
            finally:
                os.close(file)

    def settle(self, name: str) -> None:
        """Make sure that a file survives a power cut: whoever wrote it may have died before the sync; or raise FileMissing."""
        with storage_errors(), disk.opened(self.path) as folder:
            try:
                disk.sync(folder, name)
            except FileNotFoundError:
                raise FileMissing(name=name) from None
            os.fsync(folder)

    def bring(
        self,
        source: Folder,
        key: str,
        stages: Sequence[Sequence[str]],
        unless: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Move files here from another folder of the same disk: all are durable here before the first leaves there.

        Stages arrive in order and leave in reverse order, so that what the last one makes valid is whole in one of the two
        folders at every moment. Names already moved by an interrupted call are passed over. A name that is in neither folder
        raises FileMissing, one with other content here OperationExists; what had arrived by then is taken back. Nothing is moved
        where `unless` is in `source`, or where `check`, which is called when nobody can change anything any more, raises.
        """
        first, second = sorted((self, source), key=lambda folder: str(folder.path))
        with (
            first.locked(key),
            second.locked(key),
            storage_errors(),
            disk.opened(self.path) as here,
            disk.opened(source.path) as there,
        ):
            names = [name for stage in stages for name in stage]
            self._ready(here, key, names)
            source._ready(there, key, [*names, *([unless] if unless else ())])
            if unless is not None and disk.present(there, [unless]):
                return
            check()
            arrived: list[str] = []
            try:
                for stage in stages:
                    for name in stage:
                        if disk.carry(there, here, key, name):
                            arrived.append(name)
                    os.fsync(here)
            except BaseException:
                disk.discard(here, reversed(arrived))
                raise
            for stage in reversed(stages):
                for name in stage:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=there)
                os.fsync(there)

    def remove(self, key: str, names: Sequence[str]) -> None:
        """Remove `names` durably and in order; those already gone are passed over."""
        with storage_errors(), disk.opened(self.path) as folder, disk.locked(folder, key):
            self._ready(folder, key, names)
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            os.fsync(folder)

    def set_aside(self, name: str, target: Folder, new_name: str) -> str:
        """Move whatever has that name, of whatever kind, to a folder of the same disk; return the name it got there.

        Nothing is written over: where `new_name` is taken there, a number is added to it. Raise FileMissing.
        """
        target.make()
        with target.locked(new_name), storage_errors(), disk.opened(self.path) as here, disk.opened(target.path) as there:
            free = new_name
            for number in itertools.count(2):
                if not disk.present(there, [free]):
                    break
                free = f"{new_name}.{number}"
            try:
                os.rename(name, free, src_dir_fd=here, dst_dir_fd=there)
            except FileNotFoundError:
                raise FileMissing(name=name) from None
            os.fsync(there)
            os.fsync(here)
        return free

    def keep(self, name: str, new_name: str) -> str:
        """Give whatever has `name`, but a folder, a second name, which stays when another file takes its place; return that.

        Nothing is written over, as by `set_aside`. Raise FileMissing.
        """
        with storage_errors(), disk.opened(self.path) as folder:
            for number in itertools.count(1):
                free = new_name if number == 1 else f"{new_name}.{number}"
                try:
                    os.link(name, free, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                except FileExistsError:
                    continue
                except FileNotFoundError:
                    raise FileMissing(name=name) from None
                break
            os.fsync(folder)
        return free

    def _ready(self, folder: int, key: str, names: Iterable[str]) -> None:
        """Bring here what these names have elsewhere before any of them is changed; `key` is locked. Here is all there is."""

    def _accepted(self, folder: int, key: str, name: str, data: bytes) -> bool:
        try:
            existing = self._read(folder, name, len(data))
        except FileMissing:
            return False
        if existing != data:
            raise OperationExists(operation_id=key)
        disk.sync(folder, name)  # another program may have written it without
        return True

    # -- reading ---------------------------------------------------------------------------------------------------------

    def open(self, name: str, *, again: bool = False) -> Reader:
        """Open a regular file for reading; raise FileMissing, or UnsafeFile for a link, a pipe or a folder.

        `again`: it will be opened more often, each time for a part of it, as players do.
        """
        return self._open(name)

    def _open(self, name: str) -> Reader:
        with storage_errors():
            try:
                with disk.opened(self.path) as folder:
                    return disk.open_regular(folder, name)
            except (FileNotFoundError, NotADirectoryError):
                raise FileMissing(name=name) from None

    def read(self, name: str, limit: int | None = None) -> bytes:
        """Return a file's bytes, at most `limit` + 1 of them (the one more says that there is more)."""
        return self._bytes(name, limit)

    def _bytes(self, name: str, limit: int | None) -> bytes:
        with self._open(name) as file, storage_errors():
            return file.read(-1 if limit is None else limit + 1)

    def size(self, name: str) -> int:
        """Return a regular file's size in bytes; raise as `open` does."""
        with self.open(name) as file:
            return file.stat.size

    def has(self, name: str) -> bool:
        """Say whether something of that name is in the folder, of whatever kind."""
        with storage_errors():
            return os.path.lexists(self.path / name)

    def present(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that are in the folder, of whatever kind (1.3 µs a name)."""
        with storage_errors():
            try:
                with disk.opened(self.path) as folder:
                    return disk.present(folder, names)
            except FileNotFoundError:
                return []

    def names(self) -> list[str]:
        """Return every name in the folder, unordered; empty if there is no folder (1.5 s at a million operations)."""
        with storage_errors():
            try:
                return os.listdir(self.path)
            except FileNotFoundError:
                return []

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the name and the bytes of every regular file in the folder, unordered (3.5 µs a file)."""
        return ((name, state.st_size) for name, state in self._states())

    def entries(self) -> Iterator[tuple[str, Stat]]:
        """Yield the name of every regular file in the folder, unordered, and what is known of it."""
        return ((name, stat_of(state)) for name, state in self._states())

    def _states(self) -> Iterator[tuple[str, os.stat_result]]:
        with storage_errors():
            try:
                found = os.scandir(self.path)
            except FileNotFoundError:
                return
        with found:
            for entry in found:
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False):
                        yield entry.name, entry.stat(follow_symlinks=False)

    def stat(self, name: str) -> Stat | None:
        """Return what is known of whatever has that name, without opening it; None if there is nothing."""
        with storage_errors():
            try:
                return stat_of(os.lstat(os.path.join(self.path, name)))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def age(self, name: str) -> float | None:
        """Return how many seconds ago a file was last written, None if there is none."""
        known = self.stat(name)
        return known and time.time() - known.modified / 1e9

    def stamp(self, name: str) -> str | None:
        """Return a text that is another after every change of a regular file, None if there is none of that name."""
        known = self.stat(name)
        return (known and known.etag) or None

    def since(self, name: str) -> float | None:
        """Return when a file came to be as and where it is (seconds since 1970), None if there is none."""
        known = self.stat(name)
        return known and known.since / 1e9

    def in_progress(self, key: str) -> bool:
        """Say whether somebody writes under `key` at this moment."""
        with storage_errors():
            try:
                with disk.opened(self.path) as folder:
                    lock = os.open(disk.lock_name(key), disk.READ, dir_fd=folder)
            except OSError as error:
                if is_passing(error):
                    raise
                return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except OSError:
            return True
        finally:
            os.close(lock)

    def _read(self, folder: int, name: str, limit: int | None) -> bytes:
        try:
            with disk.open_regular(folder, name) as file:
                return file.read(-1 if limit is None else limit + 1)
        except FileNotFoundError:
            raise FileMissing(name=name) from None


def leftover_of(name: str) -> str | None:
    """Return the operation that a temp or lock name of this module was made for, None for any other name."""
    if name.startswith(".") and name.endswith((".tmp", ".lock")):
        return name[1:].split(".", 1)[0].split("_in", 1)[0].split("_out", 1)[0]
    return None
