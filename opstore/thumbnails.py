"""Copies made of stored media, small pictures first, once and off the page's path; they lie in `cache/` and may be deleted.

A stored file never changes under its name, so a copy of it is found by name. One that cannot be made is remembered as an empty
file: a broken picture costs one attempt, not one a visit. Where the cache cannot be written, copies lie in a temporary folder.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from opstore import media
from opstore.errors import OpstoreError, StorageError
from opstore.files import is_passing, storage_errors
from opstore.names import check_name
from opstore.operation import Operation
from opstore.store import Store

log = logging.getLogger("opstore.thumbnails")

#: Longest side in pixels: a card of the library is at most 320 CSS pixels wide.
SIDE = 480


def small_jpeg(path: Path, side: int) -> bytes | None:
    """Return a small picture as a JPEG of at most `side` pixels, which every program shows; None where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            small = picture.convert("RGB")
            small.thumbnail((side, side))
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
        self._making = threading.Lock()

    def path(self, name: str) -> Path | None:
        """Return the copy of a stored media file, made now if need be; None where the file is nothing that can be read.

        Raise InvalidFileName, FileMissing or UnsafeFile for a file that cannot be served, StorageError where neither the cache
        nor a temporary folder takes the copy.
        """
        path = self._path(name)
        for place in [path, *([self._spare(path)] if self._makeshift else [])]:
            with contextlib.suppress(OSError):
                known = place.lstat()
                if stat.S_ISREG(known.st_mode):  # a planted link must not lead out of the folder
                    return place if known.st_size else None
        try:
            copy = self._copy(self._store.read_file(name))
        except OpstoreError as error:
            if error.status in (404, 507):
                raise
            if isinstance(error.__cause__, MemoryError) or is_passing(error.__cause__ or error):
                return None  # says nothing of the picture: not remembered
            copy = b""
        path = self._kept(path, copy)
        return path if copy else None

    def _kept(self, path: Path, copy: bytes) -> Path:
        try:
            self._put(path, copy)
        except StorageError as error:
            log.info("%s: the copy goes to a temporary folder", error)
            path = self._spare(path)
            self._put(path, copy)
        return path

    def _spare(self, path: Path) -> Path:
        with self._making:
            if self._makeshift is None:
                with storage_errors():
                    self._makeshift = Path(tempfile.mkdtemp(prefix="opstore-copies-"))
                weakref.finalize(self, shutil.rmtree, self._makeshift, ignore_errors=True)
        return self._makeshift / path.relative_to(self._folder)

    def _path(self, name: str) -> Path:
        # One folder a day keeps folders at some thousands of entries.
        return self._folder / check_name(name).operation_id[:8] / f"{name}.{self._ending}"

    def _put(self, path: Path, data: bytes) -> None:
        temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            with storage_errors():
                path.parent.mkdir(parents=True, exist_ok=True)
                temp.write_bytes(data)
                os.replace(temp, path)
        except OpstoreError:
            with contextlib.suppress(OSError):
                temp.unlink(missing_ok=True)
            raise


class Thumbnails(Copies):
    """The thumbnails of one store."""

    def __init__(self, store: Store) -> None:
        """Keep thumbnails in the store's cache; call `start` to have them made as operations are saved."""
        super().__init__(store, "thumbnails", str(SIDE), lambda data: media.thumbnail(data, SIDE))
        self._pool: ThreadPoolExecutor | None = None
        self._guard = threading.Lock()

    def start(self) -> None:
        """Make the thumbnails of every operation from now on, in the background."""
        with self._guard:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="opstore-thumbnail")
                self._store.listeners.append(self._saved)

    def stop(self) -> None:
        """Stop making thumbnails; what is left is made when it is asked for."""
        with self._guard:
            if self._pool is not None:
                self._store.listeners.remove(self._saved)
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None

    def _saved(self, operation_id: str) -> None:
        if self._pool is not None:
            with contextlib.suppress(RuntimeError):  # shut down in between
                self._pool.submit(self._make, operation_id)

    def _make(self, operation_id: str) -> None:
        try:
            view = Operation.of(self._store.get_operation_metadata(operation_id))
            for name in (*view.outputs, *view.inputs, *view.intermediates):
                self.path(name)
        except OpstoreError as error:
            log.info("no thumbnails of %s: %s", operation_id, error)
