"""What a writer of any format is given: the operations one by one, a folder for what cannot be streamed, pictures if wanted."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from opstore.analytics.frame_row import Row, row_of
from opstore.errors import StorageError
from opstore.storage.files import Folder, storage_errors
from opstore.storage.operation import Operation
from opstore.storage.store import Store

#: Bytes handed on at a time.
PART = 256 * 1024
#: A sidecar, and its bytes as they are stored.
Stored = tuple[dict[str, Any], bytes]


@dataclass
class Work:
    """One export under way. `left_out` holds what could not be read: (operation or file, reason), at most MOST_NOTED of them.

    `thumbnail` returns the small picture of an operation; None where no pictures are wanted. `originals`: media byte for byte as
    they are stored, without the mark of what made them.
    """

    store: Store
    sidecars: Iterator[Stored]
    about: tuple[tuple[str, str], ...] = ()
    thumbnail: Callable[[Operation], Path | None] | None = None
    originals: bool = False
    left_out: list[tuple[str, str]] = field(default_factory=list)
    missing: int = 0
    written: int = 0

    def leave_out(self, name: str, reason: str) -> None:
        """Note that something could not be exported."""
        self.missing += 1
        if len(self.left_out) < MOST_NOTED:
            self.left_out.append((name, reason))

    def rows(self) -> Iterator[tuple[dict[str, Any], Row]]:
        """Yield every sidecar with its row."""
        for sidecar, _data in self.sidecars:
            yield sidecar, row_of(sidecar, sidecar["operationId"])

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Let the block have a folder that is gone after it, whatever happens."""
        place = self.store.cache / "exports"
        sweep(place)
        with contextlib.ExitStack() as held:
            with storage_errors():
                place.mkdir(parents=True, exist_ok=True)
                with Folder(place).locked("exports"):  # nobody finds it before it is held
                    made = Path(tempfile.mkdtemp(dir=place))
                    held.enter_context(_held(made))
            held.callback(shutil.rmtree, made, ignore_errors=True)
            yield made


#: Left out operations that are told by name.
MOST_NOTED = 1_000


def sweep(place: Path) -> int:
    """Remove what exports that were killed have left; return how much. The kernel says whose process lives, no clock."""
    count = 0
    with contextlib.suppress(OSError, StorageError):
        if not place.is_dir():
            return 0
        with Folder(place).locked("exports"):
            for path in place.iterdir():
                with contextlib.suppress(OSError):
                    if path.is_dir() and not path.is_symlink():
                        with _held(path):
                            shutil.rmtree(path)
                        count += 1
    return count


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, or raise BlockingIOError where somebody else does."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


class Sink(io.RawIOBase):
    """A file that is written from front to back and handed on in between: `taken` returns what has come since the last time."""

    def __init__(self) -> None:
        """Begin empty."""
        self._parts: list[bytes] = []
        self._held = 0
        self._at = 0
        self._file: BinaryIO | None = None

    def divert(self, file: BinaryIO) -> None:
        """Write to `file` from now on, what is held first."""
        file.write(self.taken())
        self._file = file

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._at

    def write(self, data: Any) -> int:
        """Take bytes."""
        part = bytes(data)
        self._at += len(part)
        if self._file:
            return self._file.write(part)
        self._parts.append(part)
        self._held += len(part)
        return len(part)

    def full(self) -> bool:
        """Say whether there is enough to hand on."""
        return self._held >= PART

    def taken(self) -> bytes:
        """Return what is held, and forget it."""
        data = b"".join(self._parts)
        self._parts, self._held = [], 0
        return data
