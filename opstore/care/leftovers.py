"""What killed processes have left is swept when the app starts: only where the kernel says that nobody holds it any more.

Whoever writes holds a lock meanwhile, which its death gives back; how old a file is says nothing, since clocks leap and programs
are stopped for days. What may still be somebody's stays for the next start, and `verify` lists it.
"""

from __future__ import annotations

import contextlib

from opstore.errors import OpstoreError
from opstore.exports.work import sweep as sweep_exports
from opstore.storage.files import Folder, leftover_of
from opstore.storage.store import Store

#: Folders of the data folder where every temp name tells the lock under which it was made.
_KEYED = ("operations", "pending", "trash")
#: Other folders whose files are written by `files`; "" is the data folder itself.
_OTHERS = ("", "shares", "requests", "reviews", "branches")


def sweep(store: Store) -> int:
    """Remove what is left of processes that died; return how much that was."""
    count = 0
    for name in (*_KEYED, *_OTHERS):
        with contextlib.suppress(OpstoreError):
            count += _sweep_folder(store.data.folder(name), keyed=name in _KEYED)
    return count + sweep_exports(store.cache / "exports")


def _sweep_folder(folder: Folder, *, keyed: bool) -> int:
    left = [name for name in folder.names() if leftover_of(name)]
    # Looked at after the names: who had made one of them by then still holds its lock, or has done with it.
    held = {name for name in folder.names() if name.endswith(".lock") and folder.in_progress(name[1:-5])}
    count = 0
    for name in left:
        key = name[1:-5] if name.endswith(".lock") else leftover_of(name)
        if key and name not in held and (keyed or not held) and not folder.in_progress(key) and folder.has(name):
            folder.remove(key, [name])
            count += 1
    return count
