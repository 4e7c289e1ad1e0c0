"""Leaps of the wall clock: nothing is destroyed for its age, and no budget begins anew, within a day of one.

`clock.json` in the data folder has the last moment that was seen, by both clocks. In one boot of the machine the steady clock
says how far the wall's was set. Across boots, where the machine may have been off, a clock that went back has leapt, and one
that is days ahead of all that is known may have. The day counts while the machine runs; a person may say that the clock is right.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from opstore import clocks
from opstore.clocks import Mark
from opstore.errors import ClockLeapt, OpstoreError
from opstore.storage.document import Document
from opstore.storage.files import Folder
from opstore.storage.operation import timestamp

NAME = "clock.json"
#: What clocks are set by in the course of things stays below: nothing that is kept for days is in danger by it.
LEAP = 600.0
#: A machine may be off so long, and its clock be believed when it is back.
AWAY = 2 * 86_400.0
#: So long nothing is destroyed after a leap.
HELD = 86_400.0
#: The last moment is written down so often.
EVERY = 900.0
_MAX_BYTES = 10_000
#: The last second of the year 9999: no later moment is a date.
_MOST = 253_402_300_799.0


@dataclass(frozen=True, slots=True)
class Leap:
    """A leap that counts: what the wall clock said before and after it (seconds since 1970), and the seconds run since."""

    before: float
    after: float
    ran: float = 0.0

    @property
    def told(self) -> dict[str, str]:
        """Return both moments as programs read them."""
        moments = {"before": self.before, "after": self.after}
        return {name: timestamp(datetime.fromtimestamp(wall, UTC)) for name, wall in moments.items()}

    @property
    def earliest(self) -> datetime:
        """Return the earlier of the two, in UTC: whatever came later may be of this very day."""
        return datetime.fromtimestamp(min(self.before, self.after), UTC)


@dataclass(frozen=True, slots=True)
class _Known:
    """The file's content: the last moment, the leap that counts, and the latest time ever believed."""

    seen: Mark
    leap: Leap | None
    latest: float


class Leaps:
    """What is known of the wall clock over one data folder."""

    def __init__(self, folder: Folder, mark: Callable[[], Mark] | None = None) -> None:
        """Keep `clock.json` in `folder`, the data folder itself."""
        self._folder = folder
        self._file = Document(folder, NAME, _MAX_BYTES, key="clock")
        self._mark = mark or _mark

    def look(self) -> Leap | None:
        """Return the leap that counts, None if there is none, and write down what time it is."""
        for _ in range(3):
            data, known = self._read()
            now = self._mark()
            fresh = _after(known, now, self._newest)
            due = known is None or fresh.leap != known.leap or not 0 <= now.wall - known.seen.wall < EVERY
            if due:
                try:
                    self._write(data, fresh)
                except OpstoreError:  # somebody else wrote it, or nobody can: what it is to say holds all the same
                    continue
            return fresh.leap
        return fresh.leap

    def standing(self) -> Leap | None:
        """Return the leap that counts, None if there is none; nothing is written."""
        return _after(self._read()[1], self._mark(), self._newest).leap

    def check(self) -> None:
        """Raise ClockLeapt if nothing may be destroyed for its age."""
        if leap := self.look():
            raise ClockLeapt(before=shown(leap.before), after=shown(leap.after))

    def trust(self) -> None:
        """Take the clock for right from now on: a person has said so."""
        now = self._mark()
        self._write(self._read()[0], _Known(now, None, now.wall))

    def now(self) -> datetime:
        """Return the time, and never an earlier one than was believed before: what had ended by then stays ended."""
        known = self._read()[1]
        return datetime.fromtimestamp(max(clocks.wall(), known.latest if known else 0.0), UTC)

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[bytes | None, _Known | None]:
        try:
            data = self._file.find()
        except OpstoreError:
            return b"", None
        return data, None if data is None else _decoded(data)

    def _write(self, before: bytes | None, known: _Known) -> None:
        data = json.dumps({"schema": "opstore-clock/1", **asdict(known)}, indent=1).encode() + b"\n"
        if before == b"":  # it could not be read, whatever it is
            self._file.overwrite(data)
        else:
            self._file.write(data, before)

    def _newest(self) -> float | None:
        """Return when the data folder was last changed as its folders have it, None if there is nothing in it yet."""
        changed = (self._folder.below(name).changed() for name in ("operations", "pending", "trash"))
        return max((moment / 1e9 for moment in changed if moment), default=None)


def shown(wall: float) -> str:
    """Return a moment as people of any language read it."""
    return f"{datetime.fromtimestamp(wall, UTC):%Y-%m-%d %H:%M} UTC"


def _after(known: _Known | None, now: Mark, newest: Callable[[], float | None]) -> _Known:
    """Return what is known at `now`, given what was known before; without that the newest change of the folder is asked."""
    if known is None:
        changed = newest()
        if changed is None or -LEAP <= now.wall - changed <= AWAY:
            return _Known(now, None, now.wall)
        return _Known(now, Leap(changed, now.wall), min(changed, now.wall))
    seen, passed = known.seen, now.wall - known.seen.wall
    same = now.boot == seen.boot and now.steady >= seen.steady
    ran = now.steady - seen.steady if same else 0.0
    unproved = passed - (ran if same else 0.0)
    if unproved < -LEAP or unproved > (LEAP if same else AWAY):
        return _Known(now, Leap(known.leap.before if known.leap else seen.wall + ran, now.wall), known.latest)
    leap = replace(known.leap, ran=known.leap.ran + ran) if known.leap else None
    if leap and leap.ran >= HELD:
        leap = None
    return _Known(now, leap, known.latest if leap else max(known.latest, now.wall))


def _mark() -> Mark:
    """Return this moment; its steady part from the kernel's own file, which is right even where a library turns the clocks."""
    try:
        with open("/proc/uptime", encoding="ascii") as file:
            return Mark(clocks.wall(), clocks.boot(), float(file.read().split()[0]))
    except (OSError, ValueError, IndexError):
        return Mark(clocks.wall(), f"{clocks.boot()} {os.getpid()}", time.monotonic())


def _decoded(data: bytes) -> _Known | None:
    """Return what the file says, None where it says nothing: the folder itself then tells when it was last changed."""
    try:
        record = json.loads(data)
        seen, leap = Mark(**record["seen"]), Leap(**record["leap"]) if record["leap"] else None
        numbers = (seen.wall, seen.steady, record["latest"], *((leap.before, leap.after, leap.ran) if leap else ()))
        if not all(isinstance(number, int | float) and 0 <= number < _MOST for number in numbers):
            return None
        return _Known(seen, leap, float(record["latest"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
