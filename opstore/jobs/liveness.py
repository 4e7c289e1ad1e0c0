"""Signs of life: each runner holds a kernel lock on a file of its own for as long as its process lives, stopped or not.

Whether a runner is dead is only said where its file is there and unlocked; a file that is gone says nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class Signs:
    """The signs of life in a folder, and one's own among them."""

    def __init__(self, folder: Path, owner: str) -> None:
        """Keep the sign of `owner` in `folder`."""
        self._folder = folder
        self._owner = owner
        self._held: int | None = None

    def show(self) -> None:
        """Make one's own sign, or make it anew where somebody has removed it."""
        if self._held is not None and self._is_there(self._held):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        # Locked before it has its name: nobody may find it unlocked and take us for dead.
        temp = self._folder / f".{self._owner}.tmp"
        held = os.open(temp, _OPEN | os.O_CREAT, 0o644)
        fcntl.flock(held, fcntl.LOCK_EX)
        os.rename(temp, self._path(self._owner))
        before, self._held = self._held, held
        if before is not None:
            os.close(before)

    def hide(self) -> None:
        """Remove one's own sign: nothing more will be done under this name."""
        if self._held is not None:
            self.forget(self._owner)
            os.close(self._held)
            self._held = None

    def lives(self, owner: str) -> bool | None:
        """Say whether a runner lives; None if nobody can tell (its sign is gone, or the disk does not answer)."""
        try:
            sign = os.open(self._path(owner), _OPEN)
        except OSError:
            return None
        try:
            fcntl.flock(sign, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who ask must not take each other for the runner
        except BlockingIOError:
            return True
        except OSError:
            return None
        finally:
            os.close(sign)
        return False

    def dead(self) -> list[str]:
        """Return the owners whose signs are there, and who are gone."""
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []
        owners = (name.removesuffix(".lock") for name in names if name.endswith(".lock"))
        return [owner for owner in owners if owner != self._owner and self.lives(owner) is False]

    def forget(self, owner: str) -> None:
        """Remove a sign."""
        with contextlib.suppress(OSError):
            self._path(owner).unlink()

    def _path(self, owner: str) -> Path:
        return self._folder / f"{Path(owner).name}.lock"

    def _is_there(self, held: int) -> bool:
        try:
            return os.path.samestat(os.fstat(held), os.lstat(self._path(self._owner)))
        except OSError:
            return False
