"""What a writer of any format is given: the operations one by one, a folder for what cannot be streamed, pictures if wanted."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from opstore.analytics.rows import Row, row_of
from opstore.files import storage_errors
from opstore.operation import Operation
from opstore.store import Store

#: Bytes handed on at a time.
PART = 256 * 1024
#: What a killed process left behind is swept away by the next export after this many seconds.
_LEFT = 24 * 3600.0
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
        with storage_errors():
            place.mkdir(parents=True, exist_ok=True)
            sweep(place)
            made = Path(tempfile.mkdtemp(dir=place))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


#: Left out operations that are told by name.
MOST_NOTED = 1_000


def sweep(place: Path) -> None:
    """Remove what exports that were killed have left, a day ago or longer."""
    for path in place.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT:
                shutil.rmtree(path, ignore_errors=True)


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
