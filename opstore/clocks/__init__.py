"""The machine's two clocks: the wall's, which people and NTP set, and the steady one, which only runs.

How long ago something was is told by the steady clock, also across processes of one boot of the machine. Across boots nothing
can be known for certain, and is not said.
"""

from __future__ import annotations

import functools
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

#: Seconds since the machine was booted, sleep included where the system counts it (Linux; elsewhere it may stand still asleep).
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def wall() -> float:
    """Return the seconds since 1970 as the wall clock has them."""
    return time.time()


def now() -> datetime:
    """Return the moment in UTC as the wall clock has it."""
    return datetime.fromtimestamp(wall(), UTC)


def steady() -> float:
    """Return the seconds that this boot of the machine has lasted; they never run back and nobody sets them."""
    return time.clock_gettime(_STEADY)


@functools.cache
def boot() -> str:
    """Return the name of this boot of the machine; where the system gives none, a name of this process alone."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment by both clocks, to be kept in a file: seconds since 1970, and seconds of the boot of that name."""

    wall: float
    boot: str
    steady: float

    def ago(self) -> float | None:
        """Return how many seconds ago this was, None where it was in another boot or on another machine."""
        return max(0.0, steady() - self.steady) if self.boot == boot() else None

    @property
    def moment(self) -> datetime:
        """Return the moment in UTC as the wall clock had it."""
        return datetime.fromtimestamp(self.wall, UTC)


def mark() -> Mark:
    """Return this moment by both clocks."""
    return Mark(wall(), boot(), steady())


def seconds_since(moment: Mark | None, wall_then: datetime) -> float:
    """Return the seconds since a moment: as the steady clock tells where it can, else by the wall clock, never below zero."""
    passed = moment.ago() if moment else None
    return max(0.0, (now() - wall_then).total_seconds()) if passed is None else passed
