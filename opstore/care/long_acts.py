"""Long acts in the background of the app, one at a time for a data folder; how far one is lies in a file that every page reads.

The files are in `cache/acts/` and may go at any time. A kernel lock says whether an act is at work: one whose process died is
shown as interrupted, and every act of care goes on when it is begun again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opstore.care.progress import Report
from opstore.errors import InvalidInput, OpstoreError, said
from opstore.giving_way import ASKED_FOR, at, pause
from opstore.storage.files import storage_errors
from opstore.storage.operation import parse_time, timestamp

log = logging.getLogger("opstore.care")

_EVERY = 0.25
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Act:
    """An act: `state` is `running`, `done`, `failed` or `interrupted`; `result` is what it came to, as plain JSON.

    An act that was begun later has a greater `number`, whatever the clock said.
    """

    kind: str
    state: str
    began: str
    ended: str | None = None
    done: int = 0
    total: int | None = None
    note: str = ""
    error: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0

    @property
    def moment(self) -> datetime | None:
        """Return when it ended, or began."""
        return parse_time(self.ended or self.began)


class Acts:
    """The acts over one data folder."""

    def __init__(self, folder: Path) -> None:
        """Keep their states in `folder`."""
        self._folder = folder

    def start(self, kind: str, work: Callable[[Report], Mapping[str, Any]]) -> threading.Thread:
        """Begin an act in a thread of its own; raise InvalidInput while another one is at work, in whatever process."""
        with storage_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
        lock = self._lock()
        if lock is None:
            raise InvalidInput(reason=said("something else is being done at this moment; wait until it has ended"))
        try:
            number = 1 + max((act.number for act in self._all()), default=0)
            act = Act(kind, "running", timestamp(datetime.now(UTC)), number=number)
            self._write(act)
        except BaseException:
            os.close(lock)  # a disk that is full now must not hold up every later act
            raise
        thread = threading.Thread(target=self._work, args=(act, work, lock), name=f"opstore-{kind}", daemon=True)
        thread.start()
        return thread

    def last(self, kind: str) -> Act | None:
        """Return the last act of a kind, None if there was none."""
        act = self._read(kind)
        if act is None or act.state != "running" or self._busy():
            return act
        # Nobody is at work now; it may have ended between the two looks, and has said so before it let go.
        act = self._read(kind)
        return replace(act, state="interrupted") if act and act.state == "running" else act

    def _read(self, kind: str) -> Act | None:
        try:
            act = Act(**json.loads((self._folder / f"{kind}.json").read_bytes()))
            kinds = ((act.result, dict), (act.note, str), (act.began, str), (act.number, int))
            if not all(isinstance(value, kind) for value, kind in kinds):
                return None
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return act

    def running(self) -> Act | None:
        """Return the act that is at work, None if there is none."""
        try:
            kinds = [name.removesuffix(".json") for name in os.listdir(self._folder) if name.endswith(".json")]
        except OSError:
            return None
        return next((act for act in map(self.last, kinds) if act and act.state == "running"), None)

    def keep_list(self, kind: str, ids: Sequence[str]) -> str:
        """Keep the list that an act of a kind has found, in the place of the last one, and return its name.

        Beside the act's state, which every page reads at every look: a list may be of a million.
        """
        name = f"{kind}-{secrets.token_hex(8)}.list"
        with storage_errors():
            for path in self._folder.glob(f"{kind}-*.list"):
                path.unlink(missing_ok=True)
            (self._folder / name).write_text("\n".join(ids))
        return name

    def kept_list(self, kind: str, name: str) -> set[str]:
        """Return the list of that name; raise InvalidInput where a later one has taken its place."""
        for path in self._folder.glob(f"{kind}-*.list"):
            if path.name == name:
                return set(path.read_text().split())
        raise InvalidInput(reason=said("somebody has looked into it anew meanwhile; begin with the preview again"))

    def states(self) -> frozenset[tuple[str, str, str, str | None]]:
        """Return what is another as soon as an act has begun or ended, in whatever process."""
        return frozenset((act.kind, act.state, act.began, act.ended) for act in self._all())

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _work(self, act: Act, work: Callable[[Report], Mapping[str, Any]], lock: int) -> None:
        due = 0.0

        def report(done: int, total: int | None, what: str) -> None:
            nonlocal due
            pause()
            if time.monotonic() >= due:
                due = time.monotonic() + _EVERY
                with contextlib.suppress(OpstoreError):  # no room to say how far it is: what frees room must go on
                    self._write(replace(act, done=done, total=total, note=what))

        try:
            with at(ASKED_FOR):
                ended = replace(act, state="done", result=dict(work(report)))
        except OpstoreError as error:
            ended = replace(act, state="failed", error=str(error))
        except Exception:  # a fault of the program itself: an act that has died must not look as if it went on
            log.exception("%s failed", act.kind)
            ended = replace(act, state="failed", error=said("It failed unexpectedly; the log has the details."))
        finally:
            with contextlib.suppress(OpstoreError):
                self._write(replace(ended, ended=timestamp(datetime.now(UTC))))
            os.close(lock)

    def _write(self, act: Act) -> None:
        """Write a state at one stroke, without a sync: it is only worth something while the machine runs."""
        path = self._folder / f"{act.kind}.json"
        with storage_errors():
            temp = path.with_suffix(f".{threading.get_ident()}.tmp")
            temp.write_text(json.dumps(asdict(act)))
            os.replace(temp, path)

    def _lock(self) -> int | None:
        """Take the lock and return it, None where it is taken; a page that only looks holds it for an instant."""
        for _ in range(20):
            with storage_errors():
                lock = os.open(self._folder / "lock", _OPEN, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                os.close(lock)
                if self._is_at_work():
                    return None
                time.sleep(0.01)
        return None

    def _is_at_work(self) -> bool:
        return any(act.state == "running" for act in self._all())

    def _all(self) -> Iterator[Act]:
        for path in self._folder.glob("*.json"):
            act = self.last(path.stem)
            if act:
                yield act

    def _busy(self) -> bool:
        try:
            lock = os.open(self._folder / "lock", _OPEN, 0o644)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except OSError:
            return True
        finally:
            os.close(lock)
