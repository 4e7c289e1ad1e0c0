"""Comparisons of stored files; frames and heat maps are made once and lie in `cache/`, where they may be deleted at any time.

A stored file never changes under its name, so what was made of it is found by name. One comparison at a time is computed in a
process: two of them would need 400 MB, and be done no sooner.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from opstore import media
from opstore.access.roles import Role, part
from opstore.comparing.align import Box, Fit, best_fit, likeness, place, same_shape
from opstore.comparing.pixels import MAX_SIDE, Figures, difference
from opstore.comparing.subjects import Pair, Subject
from opstore.errors import FileMissing, OpstoreError, UnsupportedMedia
from opstore.media import renderings
from opstore.storage.files import storage_errors
from opstore.storage.store import Store

#: Raise this when the same pictures come to give something else.
_VERSION = 1
#: Files kept; beyond that the oldest go. A heat map has about 0.3 MB.
MAX_KEPT = 600


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the second of two pictures lies on the first, in pixels of the first; `chosen` where the pixels decided."""

    first: tuple[int, int]
    second: tuple[int, int]
    fit: Fit
    chosen: bool

    @property
    def box(self) -> Box:
        """Return where the second picture lies."""
        return place(self.first, self.second, self.fit)


@part(*Role)
class Comparisons:
    """What is known of how the files of one store compare."""

    def __init__(self, store: Store) -> None:
        """Compare files of `store`; what is made lies in its cache."""
        self._store = store
        self._folder = store.cache / "comparisons"
        self._turn = threading.Lock()
        self._alike: dict[tuple[str, ...], int] = {}

    def kind(self, name: str) -> str | None:
        """Return what a stored file is by its bytes, `image` or `video`; None for all else, a missing one first."""
        try:
            with self._store.open_file(name) as file:
                found = media.sniff(file.read(4096))
        except OpstoreError:
            return None
        return found.kind if found else None

    def frame(self, subject: Subject) -> Path:
        """Return a frame of a stored video as a PNG, made now if need be; raise FileMissing or UnsupportedMedia."""
        self._store.open_file(subject.name).close()  # of what is in the trash, or gone, none is shown, though it was made
        return self._made(f"{subject.name}@{subject.at or 'first'}", (subject,), lambda: self._frame(subject))

    def _frame(self, subject: Subject) -> bytes:
        return renderings.frame(self._store.read_file(subject.name), subject.seconds)

    def frame_rate(self, name: str) -> float | None:
        """Return how many frames a second a stored video has, None where it does not say."""
        return media.frame_rate(self._store.read_file(name))

    def picture(self, subject: Subject) -> bytes:
        """Return the bytes of a picture, of a video those of one frame."""
        if self.kind(subject.name) == "video":
            return self.frame(subject).read_bytes()
        return self._store.read_file(subject.name)

    def alignment(self, first: Subject, second: Subject, fit: Fit | None = None) -> Alignment:
        """Return how two pictures lie on each other: by `fit`, else as their pixels say.

        Raise FileMissing, or UnsupportedMedia for what is no picture.
        """
        pictures = self.picture(first), self.picture(second)
        sizes = _size(pictures[0]), _size(pictures[1])
        if same_shape(*sizes):
            return Alignment(*sizes, "whole", chosen=False)
        if fit is not None:
            return Alignment(*sizes, fit, chosen=False)
        one, other = (renderings.still(data, 160) for data in pictures)
        return Alignment(*sizes, best_fit(one, other), chosen=True)

    def telling(self, pairs: Sequence[Pair]) -> int:
        """Return the place of the pair that tells most of what was made first: of several pictures, the one that was edited.

        “Put the person of image 1 into image 2” keeps image 2. The first one where they cannot be read, or of videos.
        """
        ours = [pair for pair in pairs if pair.after == pairs[0].after and pair.after.subject.at is None]
        key = tuple(str(pair.before.subject) for pair in ours)
        if len(ours) < 2:
            return 0
        if key not in self._alike:
            if len(self._alike) >= MAX_KEPT:
                self._alike.clear()
            self._alike[key] = self._most_alike(ours)
        return pairs.index(ours[self._alike[key]])

    def _most_alike(self, pairs: Sequence[Pair]) -> int:
        try:
            after = renderings.still(self.picture(pairs[0].after.subject), 160)
            found = [likeness(renderings.still(self.picture(pair.before.subject), 160), after) for pair in pairs]
        except OpstoreError:
            return 0
        return found.index(max(found))

    def difference(self, first: Subject, second: Subject, fit: Fit | None = None) -> tuple[Alignment, Figures, Path]:
        """Return how two pictures lie on each other, their figures, and a PNG of where they differ."""
        found = self.alignment(first, second, fit)
        name = f"{first}~{second}~{found.fit}.{_VERSION}"
        path = self._made(name, (first, second), lambda: self._difference(first, second, found))
        return found, Figures.read(path), path

    def _difference(self, first: Subject, second: Subject, found: Alignment) -> bytes:
        with self._turn:
            one, other = (renderings.still(self.picture(subject), MAX_SIDE) for subject in (first, second))
            return difference(one, other, found.fit, found.first)[1]

    # -- the cache -------------------------------------------------------------------------------------------------------

    def _made(self, name: str, of: Sequence[Subject], make: Callable[[], bytes]) -> Path:
        path = self._folder / f"{name}.png"
        with contextlib.suppress(OSError):
            known = path.lstat()
            if stat.S_ISREG(known.st_mode) and known.st_size:  # a planted link must not lead out of the folder
                return path
        data = make()
        temp = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with storage_errors():
                self._folder.mkdir(parents=True, exist_ok=True)
                temp.write_bytes(data)
                os.replace(temp, path)
        except OpstoreError:
            with contextlib.suppress(OSError):
                temp.unlink(missing_ok=True)
            raise
        for subject in of:  # who removes one for good looks for this file once more then: of the two, the later one finds it
            if not self._store.is_kept(subject.name):
                path.unlink(missing_ok=True)
                raise FileMissing(name=subject.name)
        self._trim()
        return path

    def _trim(self) -> None:
        """Let the oldest go if there are too many, a quarter at a time."""
        with contextlib.suppress(OSError):
            found = [(entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in os.scandir(self._folder)]
            for _, path in sorted(found)[: len(found) - MAX_KEPT * 3 // 4] if len(found) > MAX_KEPT else ():
                with contextlib.suppress(OSError):
                    os.unlink(path)


def _size(data: bytes) -> tuple[int, int]:
    known = media.facts(data)
    if not known.width or not known.height:
        raise UnsupportedMedia(index=1)
    return known.width, known.height
