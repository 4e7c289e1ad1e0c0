"""Where an import reads from: a folder or a zip archive, as a list of plain files; nothing there is written or becomes a path."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from opstore.errors import InvalidInput, said
from opstore.storage.files import Folder, storage_errors

#: The largest file that is taken, the most files, and the most bytes of an archive for one of its own.
MAX_FILE, MAX_FILES, MAX_RATIO = 512 * 1024 * 1024, 500_000, 200
#: The most bytes of all files of one operation: they are in memory together.
MAX_TOGETHER = 2 * MAX_FILE
#: A small archive may hold what is easily compressed: only above this its ratio counts.
FREE_BYTES = 50 * 1024 * 1024
#: The first time that a zip can say.
FIRST = datetime(1980, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source; `path` is only ever told, never opened. `place` is where it lies, if it is a file of its own."""

    path: str
    size: int
    moment: datetime
    read: Callable[[], bytes] = field(repr=False)
    open: Callable[[], BinaryIO] = field(repr=False)
    place: Path | None = None

    @property
    def name(self) -> str:
        """Return the last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def above(self) -> str:
        """Return the path of the folder that it lies in, empty for the source itself."""
        return self.path.rpartition("/")[0]


class Source(Protocol):
    """Where files come from."""

    def entries(self, left: dict[str, str]) -> Iterator[Entry]:
        """Yield every plain file; note in `left` what is not taken, and why."""

    def close(self) -> None:
        """Let go of it: nothing is read any more."""


class FolderSource:
    """A folder and everything below it; links are not followed."""

    def __init__(self, path: Path) -> None:
        """Read the folder at `path`."""
        self._root = path

    def entries(self, left: dict[str, str]) -> Iterator[Entry]:
        """Yield every plain file whose name does not begin with a dot."""
        for above, folders, names in os.walk(self._root, followlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            folder = Folder(Path(above))
            for name in sorted(names):
                path = os.path.relpath(os.path.join(above, name), self._root)
                if name.startswith("."):
                    continue
                with storage_errors():
                    state = os.lstat(os.path.join(above, name))
                if not stat.S_ISREG(state.st_mode):
                    left[path] = said("not a plain file")
                    continue
                moment = moment_of(state.st_mtime)
                read, opened = partial(folder.read, name, MAX_FILE), partial(folder.open, name)
                yield Entry(path, state.st_size, moment, read, opened, folder.path / name)

    def close(self) -> None:
        """Nothing is held open."""


class ZipSource:
    """A zip archive, read member by member: nothing is unpacked to a path, and no member may be larger than it says."""

    def __init__(self, path: Path) -> None:
        """Open the archive; raise InvalidInput for one that is damaged, or whose sizes are those of a bomb."""
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise InvalidInput(reason=said("{path} is no zip archive that can be read", path=str(path))) from None
        members = self._archive.infolist()
        total, packed = sum(member.file_size for member in members), path.stat().st_size
        if len(members) > MAX_FILES or (total > FREE_BYTES and total > MAX_RATIO * packed):
            self._archive.close()
            raise InvalidInput(reason=said("the archive would unpack to far more than it holds; it is not opened"))

    def entries(self, left: dict[str, str]) -> Iterator[Entry]:
        """Yield every member that is a plain file."""
        for member in self._archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                continue
            if kind not in (0, stat.S_IFREG):
                left[member.filename] = said("not a plain file")
            elif member.flag_bits & 0x1:
                left[member.filename] = said("it is encrypted")
            else:
                read, opened = partial(self._read, member), partial(self._open, member)
                yield Entry(member.filename, member.file_size, _moment(member), read, opened)

    def close(self) -> None:
        """Let go of the archive."""
        self._archive.close()

    def _read(self, member: zipfile.ZipInfo) -> bytes:
        with self._open(member) as file, damage_told():
            data = file.read(member.file_size + 1)
        if len(data) != member.file_size:
            raise InvalidInput(reason=said("it is damaged in the archive"))
        return data

    def _open(self, member: zipfile.ZipInfo) -> BinaryIO:
        with damage_told():
            return cast(BinaryIO, self._archive.open(member))


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn what reading from an archive can raise into an InvalidInput."""
    try:
        yield
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError, zlib.error):
        raise InvalidInput(reason=said("it is damaged in the archive")) from None


def source_of(path: str) -> Source:
    """Return the source at a path: a folder, or a zip archive; raise InvalidInput for anything else."""
    place = Path(path)
    with storage_errors():
        if path and place.is_dir():  # a variable of a shell that is empty is not the folder that one is in
            return FolderSource(place)
        if place.is_file() and zipfile.is_zipfile(place):
            return ZipSource(place)
    raise InvalidInput(reason=said("{path} is neither a folder nor a zip archive", path=path))


def content(entry: Entry, limit: int) -> bytes:
    """Return a file's bytes; raise InvalidInput for one that is empty, damaged or has more than `limit` bytes."""
    check_size(entry.size, limit)
    data = entry.read()
    check_size(len(data), limit)
    if not data:
        raise InvalidInput(reason=said("it is empty"))
    return data


def check_size(size: int, limit: int) -> None:
    """Raise InvalidInput for what has more than `limit` bytes."""
    if size > limit:
        raise InvalidInput(reason=said("it has more than {limit} MB", limit=limit // 1024 // 1024))


def moment_of(seconds: float) -> datetime:
    """Return a file's time, told in seconds since 1970; an impossible one is the first that a zip can say."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return FIRST


def _moment(member: zipfile.ZipInfo) -> datetime:
    """Return a member's time, which has no zone, as if it were UTC; an impossible one is the format's first."""
    try:
        return datetime(*member.date_time, tzinfo=UTC)
    except ValueError:
        return FIRST
