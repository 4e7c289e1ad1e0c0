"""Copies made of stored media, small pictures first, each once, ahead where time is; in `cache/`, where they may be deleted.

A copy is kept by the content it was made of, and every stored file of that content has a name of its own for it, a hard link: one
look finds it, and the same picture in a hundred operations is made and kept once. A stored file never changes under its name.
What cannot be made is remembered: a broken picture costs one attempt, not one a visit. Where the cache cannot be written, copies
lie in a temporary folder.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import secrets
import shutil
import stat
import tempfile
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from opstore.access.roles import Role, act, part
from opstore.errors import FileMissing, OpstoreError, StorageError
from opstore.media import renderings
from opstore.storage.files import digest, is_passing, storage_errors
from opstore.storage.names import check_name, is_operation_id
from opstore.storage.operation import Operation
from opstore.storage.store import Store

log = logging.getLogger("opstore.media.thumbnails")

#: Longest side in pixels: a card of the library is at most 320 CSS pixels wide.
SIDE = 480
#: What is kept for a file that nobody can read; an empty file is none of ours, but what a power cut leaves of a copy.
UNREADABLE = b"-"
#: How many are made ahead at most: three pages of the library's grid, 15 screens of a laptop.
AHEAD = 300
#: The folder of copies by content.
CONTENT = "content"


def small_jpeg(path: Path, side: int) -> bytes | None:
    """Return a small picture as a JPEG of at most `side` pixels, which every program shows; None where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
            small.thumbnail((side, side))
            if small.mode == "RGBA":  # nobody sees what lies under what is transparent, which a JPEG would show
                small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
            data = io.BytesIO()
            small.save(data, "JPEG", quality=80)
            return data.getvalue()
    except (OSError, ValueError, SyntaxError):
        return None


class Copies:
    """Copies of one kind of the media of one store."""

    def __init__(self, store: Store, kind: str, ending: str, make: Callable[[bytes], bytes]) -> None:
        """Keep what `make` makes of a file in the cache's folder `kind`, under the file's name and `ending`."""
        self._store = store
        self._folder = store.cache / kind
        self._ending = ending
        self._copy = make
        #: Where copies are that the cache did not take; it goes with this object.
        self._makeshift: Path | None = None
        self._opening = threading.Lock()
        #: One of them is held while a copy of some content is made: who asks for the same one meanwhile waits for it.
        self._making = [threading.Lock() for _ in range(64)]

    def path(self, name: str) -> Path | None:
        """Return the copy of a stored media file, made now if need be; None where the file is nothing that can be read.

        Raise InvalidFileName, FileMissing or UnsafeFile for a file that cannot be served, StorageError where neither the cache
        nor a temporary folder takes the copy.
        """
        path = self._path(name)
        for place in [path, *([self._spare(path)] if self._makeshift else [])]:
            if known := _kept(place):
                return place if known > len(UNREADABLE) else None
        try:
            data = self._store.read_file(name)
            path = self._made(path, data)
            self._check_still_there(name, data)
        except OpstoreError as error:
            if error.status in (404, 507):
                raise
            return None  # says nothing of the picture: not remembered
        return path if _kept(path) > len(UNREADABLE) else None

    def _check_still_there(self, name: str, data: bytes) -> None:
        """Raise FileMissing, with its copies gone, for a file that was removed for good while its copy was made of `data`.

        Who removes looks for copies once more when the files have gone: of the two, the later one finds the copy.
        """
        if self._store.is_kept(name):
            return
        forget(copies_of(self._store.cache, check_name(name).operation_id, lambda _: digest(data)))
        raise FileMissing(name=name)

    def _made(self, path: Path, data: bytes) -> Path:
        """Give the copy of `data` its name, made now unless the same bytes were seen before; return where it lies."""
        content = digest(data)
        with self._making[int(content[:8], 16) % len(self._making)]:
            if _kept(_by_content(self._folder, content, self._ending)):
                with contextlib.suppress(StorageError):  # it may go at this moment, with the last operation that had it
                    return self._keep(self._folder, path, content, None)
            copy = self._copied(data)
            try:
                return self._keep(self._folder, path, content, copy)
            except StorageError as error:
                log.info("%s: the copy goes to a temporary folder", error)
                spare = self._spare(path)
                return self._keep(Path(str(self._makeshift)), spare, content, copy)

    def _copied(self, data: bytes) -> bytes:
        """Return the copy of a file's bytes, or what stands for one that cannot be made; raise where that may change."""
        try:
            return self._copy(data)
        except OpstoreError as error:
            if error.status == 507 or isinstance(error.__cause__, MemoryError) or is_passing(error.__cause__ or error):
                raise
            return UNREADABLE

    def _keep(self, folder: Path, path: Path, content: str, copy: bytes | None) -> Path:
        """Put a copy into `folder` by its content, None where it is there, and under the name at `path`."""
        whole = _by_content(folder, content, self._ending)
        if copy is not None:
            with _arriving(whole) as temp:
                temp.write_bytes(copy)
        with _arriving(path) as temp:
            try:
                os.link(whole, temp)
            except OSError:  # a disk without links, or with as many to one file as it takes
                temp.write_bytes(whole.read_bytes())
        return path

    def _spare(self, path: Path) -> Path:
        with self._opening:
            if self._makeshift is None:
                with storage_errors():
                    self._makeshift = Path(tempfile.mkdtemp(prefix="opstore-copies-"))
                weakref.finalize(self, shutil.rmtree, self._makeshift, ignore_errors=True)
        return self._makeshift / path.relative_to(self._folder)

    def _path(self, name: str) -> Path:
        # One folder a day keeps folders at some thousands of entries.
        return self._folder / check_name(name).operation_id[:8] / f"{name}.{self._ending}"


def _by_content(folder: Path, content: str, ending: str) -> Path:
    return folder / CONTENT / content[:2] / f"{content}.{ending}"


def _kept(path: Path) -> int:
    """Return the bytes of a copy, 0 if there is none; a planted link must not lead out of the folder."""
    with contextlib.suppress(OSError):
        known = path.lstat()
        return known.st_size if stat.S_ISREG(known.st_mode) else 0
    return 0


@contextlib.contextmanager
def _arriving(path: Path) -> Iterator[Path]:
    """Lend a name for a file that is at `path`, whole, when the block has ended; raise StorageError where that cannot be."""
    temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with storage_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temp
            os.replace(temp, path)
    finally:
        with contextlib.suppress(OSError):
            temp.unlink(missing_ok=True)  # also where both were names of one file: then a rename does nothing


def copies_of(cache: Path, operation_id: str, content: Callable[[str], str]) -> list[Path]:
    """Return the files in which a cache keeps copies of an operation's media, of every kind, by name and by content.

    Frames of its videos are among them, and where its pictures differ from others; copies that other operations have as well are
    not. `content` gives the SHA-256 of a media file by its name.
    """
    with storage_errors():
        names = list(cache.glob(f"*/{operation_id[:8]}/{operation_id}_*"))
        compared = list(cache.glob(f"comparisons/*{operation_id}_*"))  # their names say of which files they are
    wholes = []
    for path in names:
        stem, extension, ending = path.name.split(".", 2)
        with contextlib.suppress(OpstoreError):
            wholes.append(_by_content(path.parents[1], content(f"{stem}.{extension}"), ending))
    own = Counter(_file_number(path) for path in (*names, *dict.fromkeys(wholes)))
    return [*names, *compared, *(path for path in dict.fromkeys(wholes) if _links(path) <= own[_file_number(path)])]


def forget(copies: Iterable[Path]) -> None:
    """Remove copies from the cache; what cannot be removed stays."""
    for path in copies:
        with contextlib.suppress(OSError):
            path.unlink()


def _file_number(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_ino
    return 0


def _links(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_nlink
    return 0


@part(Role.ADMIN)
class Thumbnails(Copies):
    """The thumbnails of one store, those that somebody will probably look at made ahead, one at a time, while nobody waits."""

    def __init__(self, store: Store) -> None:
        """Keep thumbnails in the store's cache; call `start` to have them made ahead."""
        super().__init__(store, "thumbnails", str(SIDE), lambda data: renderings.thumbnail(data, SIDE))
        self._worker: threading.Thread | None = None
        #: Names of files, and ids of operations for all that they have, in the order in which they are wanted.
        self._expected: deque[str] = deque()
        self._turn = threading.Condition()
        self._waiting = 0

    def start(self) -> None:
        """Make the thumbnails of every operation from now on, and of what is expected, in the background."""
        with self._turn:
            if self._worker is None:
                self._store.listeners.append(self._saved)
                self._worker = threading.Thread(target=self._work, name="opstore-thumbnail", daemon=True)
                self._worker.start()

    def stop(self) -> None:
        """Stop making thumbnails; what is left is made when it is asked for."""
        with self._turn:
            if self._worker is not None:
                self._store.listeners.remove(self._saved)
                self._worker = None
                self._expected.clear()
                self._turn.notify_all()

    @act(*Role)
    def path(self, name: str) -> Path | None:
        """Return the thumbnail of a stored media file, as `Copies.path` does; what is made ahead waits meanwhile."""
        with self._turn:
            self._waiting += 1
        try:
            return super().path(name)
        finally:
            with self._turn:
                self._waiting -= 1
                if not self._waiting:
                    self._turn.notify_all()

    def expect(self, names: Sequence[str]) -> None:
        """Say what will probably be looked at next, files by name or operations by id, the nearest first.

        It is made before all that was expected earlier, of which the last is forgotten: there are never more than AHEAD.
        """
        with self._turn:
            if self._worker is None:
                return
            known = dict.fromkeys((*names, *self._expected))
            self._expected = deque(islice(known, AHEAD))
            self._turn.notify_all()

    def _saved(self, operation_id: str) -> None:
        self.expect((operation_id,))

    def _work(self) -> None:
        while (name := self._next()) is not None:
            try:
                for file in self._files(name):
                    super().path(file)
            except OpstoreError as error:
                log.info("no thumbnails of %s: %s", name, error)

    def _next(self) -> str | None:
        """Wait for what is to be made next while nobody waits for another; None at the end."""
        with self._turn:
            while self._worker is threading.current_thread():
                if self._expected and not self._waiting:
                    return self._expected.popleft()
                self._turn.wait()
        return None

    def _files(self, name: str) -> tuple[str, ...]:
        if not is_operation_id(name):
            return (name,)
        view = Operation.of(self._store.get_operation_metadata(name))
        return (*view.outputs, *view.inputs, *view.intermediates)
