"""Asks the system which sidecars somebody else has written, moved or removed: Linux tells (inotify), elsewhere nobody does.

A help and no more: what it misses (another machine's changes on a network disk, a queue that ran over) the follower finds by
comparing names and stamps.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from pathlib import Path

from opstore.storage.names import parse_name

# From <sys/inotify.h>. IN_CREATE is what a hard link makes: this is how a save appears.
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLY_FOLDER = 0x0100_0000
_LOST = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _OVERFLOW | _IGNORED
_MASK = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDER
_EVENT = struct.Struct("iIII")


class Watch:
    """The changes of one folder since the last look; `works` is False if nobody tells of them."""

    def __init__(self, path: Path) -> None:
        """Begin to watch the folder at `path`."""
        self._queue = -1
        if sys.platform != "linux":
            return
        library = ctypes.CDLL(None, use_errno=True)
        queue = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if queue >= 0:
            if library.inotify_add_watch(queue, os.fsencode(path), _MASK) >= 0:
                self._queue = queue
            else:
                os.close(queue)

    @property
    def works(self) -> bool:
        """Say whether changes are told."""
        return self._queue >= 0

    def changes(self) -> set[str] | None:
        """Return the ids whose sidecars were touched since the last look; None where that is not known, and then it is over."""
        touched: set[str] = set()
        while self.works:
            try:
                data = os.read(self._queue, 65_536)
            except BlockingIOError:
                return touched
            except OSError:
                break
            at = 0
            while at < len(data):
                _, mask, _, length = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
                at += _EVENT.size + length
                if mask & _LOST:
                    self.close()
                    return None
                parts = parse_name(os.fsdecode(name)) if name.endswith(b".json") else None
                if parts is not None:
                    touched.add(parts.operation_id)
        self.close()
        return None

    def close(self) -> None:
        """Stop watching."""
        if self._queue >= 0:
            with contextlib.suppress(OSError):
                os.close(self._queue)
            self._queue = -1
