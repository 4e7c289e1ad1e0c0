"""What `files` asks of the system, one step at a time, on the open descriptor of a folder; nothing here follows a link."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from opstore.errors import FileMissing, OperationExists, UnsafeFile
from opstore.storage.stored_file import Reader, stat_of

WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# O_NONBLOCK: opening a planted FIFO must not hang; O_NOFOLLOW: a planted link must not lead out of the folder.
READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
#: Bytes read at a time where two files are compared.
PART = 1024 * 1024
#: `places`: the locks that a thread holds, by folder and key.
_holding = threading.local()


def temp_name(name: str) -> str:
    """Return a name that nobody else has, of a file that is about to get the name `name`."""
    return f".{name}.{secrets.token_hex(4)}.tmp"


def lock_name(key: str) -> str:
    """Return the name of the lock for `key`."""
    return f".{key}.lock"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """Lend the descriptor of a folder."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(folder: int, key: str) -> Iterator[None]:
    """Let only one at a time into the block, across threads and processes; who is in it may enter it again.

    Whoever takes several takes them in order: those of `operations/` before those of `trash/`, each by id.
    """
    state = os.fstat(folder)
    place, places = (state.st_dev, state.st_ino, key), _holding.__dict__.setdefault("places", set())
    if place in places:
        yield
        return
    with _taken(folder, lock_name(key)):
        places.add(place)
        try:
            yield
        finally:
            places.discard(place)


@contextlib.contextmanager
def _taken(folder: int, name: str) -> Iterator[None]:
    """Hold the kernel's lock on the file of that name, which is made and removed."""
    while True:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644, dir_fd=folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # The holder before us unlinked the file it had locked: only the lock that still has its name counts.
            if is_named(folder, name, os.fstat(lock)):
                break
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
    try:
        yield
    finally:
        discard(folder, [name])
        with contextlib.suppress(OSError):  # closing alone does not unlock while a child of fork() holds a copy
            fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def present(folder: int, names: Iterable[str]) -> list[str]:
    """Return those of `names` that are there, of whatever kind."""
    there = []
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            there.append(name)
    return there


def is_named(folder: int, name: str, file: os.stat_result) -> bool:
    """Say whether it is this very file that has the name."""
    try:
        return os.path.samestat(file, os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return False


def open_regular(folder: int, name: str) -> Reader:
    """Open a plain file for reading; raise FileNotFoundError, or UnsafeFile for anything else."""
    try:
        file = os.open(name, READ, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise UnsafeFile(name=name) from None
        raise
    state = os.fstat(file)
    if not stat.S_ISREG(state.st_mode):
        os.close(file)
        raise UnsafeFile(name=name)
    return Reader(io.FileIO(file), stat_of(state))


def write(folder: int, name: str, data: bytes, private: bool) -> None:
    """Write a new file; it is not durable before `sync`."""
    file = os.open(name, WRITE, 0o600 if private else 0o644, dir_fd=folder)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        # Starts writing back without waiting, so that the syncs of several files overlap (479 against 321 saves/s measured).
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def sync(folder: int, name: str) -> None:
    """Wait until a file is on the disk."""
    file = os.open(name, READ, dir_fd=folder)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def link(folder: int, key: str, temp: str, name: str) -> None:
    """Give a written file its name; raise OperationExists where that is taken."""
    try:
        os.link(temp, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:  # made by another program, which does not know the lock
        raise OperationExists(operation_id=key) from None


def withdraw(folder: int, temps: dict[str, str]) -> None:
    """Take back what a failed create has made, the sidecar first; where that cannot be done, its media stay with it."""
    with contextlib.suppress(OSError):
        for name, temp in reversed(temps.items()):
            # The disk is asked: a note of what was linked may lack the last one, whatever interrupted us before it was made.
            with contextlib.suppress(FileNotFoundError):
                if is_named(folder, name, os.stat(temp, dir_fd=folder, follow_symlinks=False)):
                    os.unlink(name, dir_fd=folder)
    discard(folder, temps.values())


def carry(there: int, here: int, key: str, name: str) -> bool:
    """Link a file here; say whether that was still to do."""
    try:
        os.link(name, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
        return True
    except FileNotFoundError:
        if not present(here, [name]):  # neither here nor moved by a call that was interrupted
            raise FileMissing(name=name) from None
    except FileExistsError:
        if not is_same(there, here, name):
            raise OperationExists(operation_id=key) from None
    return False


def is_same(there: int, here: int, name: str) -> bool:
    """Say whether a name is one file in both folders, or two of the same bytes; these are then durable here."""
    if os.path.samestat(state_of(there, name), state_of(here, name)):
        return True
    with open_regular(there, name) as first, open_regular(here, name) as second:
        while (part := first.read(PART)) == second.read(PART):
            if not part:
                os.fsync(second.fileno())
                return True
    return False


def state_of(folder: int, name: str) -> os.stat_result:
    """Return what the system says of a file."""
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def discard(folder: int, names: Iterable[str]) -> None:
    """Remove files; what cannot be removed stays as a leftover that `verify` lists."""
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
