"""Where the server of a data folder answers, as it says itself: a command beside it prints addresses that open.

The file in `cache/` counts only while the server holds the kernel's lock on it, so what a killed one has left says nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from opstore.storage.files import Folder

NAME = "serving"
_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_MOST = 300


@contextlib.contextmanager
def shown(cache: Path, origin: str | None) -> Iterator[None]:
    """Say for the length of the block where this process answers; where the cache cannot be written, nothing is said."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            if origin:
                Folder(cache, private=True).make()
                temp = cache / f".{NAME}.{secrets.token_hex(4)}.tmp"
                file = os.open(temp, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
                held.callback(os.close, file)
                fcntl.flock(file, fcntl.LOCK_EX)  # before it has its name: nobody may find it unlocked
                os.write(file, origin.encode())
                os.rename(temp, cache / NAME)
        yield


def origin_of(cache: Path) -> str | None:
    """Return the origin at which the folder's server answers, such as http://127.0.0.1:8600; None if none runs."""
    try:
        file = os.open(cache / NAME, _OPEN)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(file, _MOST).decode("ascii", "replace")
    except OSError:
        return None
    finally:
        os.close(file)
    return None
