"""A data folder by its parts: the folders in it and the documents at its top; what lies where is known here and nowhere above.

Whoever keeps something names the folder in which it lies. None of them knows a path, nor which folders are for this program's
user alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from opstore.storage.files import Folder, storage_errors

#: The folders that are made with a data folder.
FOLDERS = ("operations", "pending", "branches", "trash", "shares", "reviews", "cache")
#: Those that are for this program's user alone: they hold passwords' hashes, votes under names, and copies of everything.
_PRIVATE = ("pending", "branches", "requests", "shares", "reviews", "drafts", "cache")


class DataFolder:
    """What one data folder holds, by name."""

    def __init__(self, root: Path) -> None:
        """Speak of the data folder at `root`, which need not exist yet."""
        self.root = root
        #: The documents at its top: settings, saved searches, the keys of share links, `clock.json`.
        self.top = Folder(root)

    def folder(self, name: str) -> Folder:
        """Return one of the folders in it, which need not exist yet; `` is its top."""
        return self.top.below(name, private=name in _PRIVATE) if name else self.top

    @property
    def address(self) -> str:
        """Return what a person, or another process, names it by."""
        return str(self.root)

    def exists(self) -> bool:
        """Say whether it is there."""
        return self.top.exists()

    def meets(self, path: Path) -> bool:
        """Say whether a place of this machine is in the data folder, or the data folder in it."""
        data, place = self.root.resolve(), path.resolve()
        return data == place or data in place.parents or place in data.parents

    def free(self) -> int:
        """Return the bytes that are free where it lies."""
        with storage_errors():
            return shutil.disk_usage(self.root).free

    def make(self) -> None:
        """Create it with its folders, durably; do nothing where it exists."""
        # What is new is for this program's user alone: prompts and pictures are private until somebody says otherwise (chmod).
        Folder(self.root, private=True).make()
        for name in FOLDERS:
            self.folder(name).make()
