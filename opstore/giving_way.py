"""Whether somebody is being answered, said in one place for the process: work that nobody waits for gives way to them.

Whoever answers says so (`traffic.answering`, `traffic.asked`). A thread whose work nobody waits for says at what pace it works
(`at`), and all that it calls asks before each small bite of it (`pause`); in any other thread, in that of a person's own request
too, a pause is none. However many ask, every pace keeps a share of the time: work ends, only later.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")

#: Of what takes microseconds each, names in a folder say, so many are a bite: a few milliseconds.
NAMES = 1_000
#: Of what is read and understood, sidecars say, so many.
FILES = 20

#: As many letters of an operation's id are its day.
_DAY = 8

#: The shortest time that work waits for those who are answered: as long as most answers take.
_LEAST = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """How work gives way: for how many seconds nobody must have asked, and which share of the time it takes all the same."""

    still: float
    share: float


#: What will probably be looked at next: soon, but not before what is looked at now.
EARLY = Pace(still=0.1, share=0.1)
#: The index in the background: what others changed is to be seen within seconds.
FOLLOWING = Pace(still=0.05, share=0.3)
#: What somebody has begun and sees the end of.
ASKED_FOR = Pace(still=0.1, share=0.2)
#: What is due once a day.
UPKEEP = Pace(still=1.0, share=0.02)


class Traffic:
    """Who is being answered by a process, and since when nobody was."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin when nobody has ever asked."""
        self.clock = clock
        self._answers = 0
        self._asked = float("-inf")
        self._turn = threading.Condition()

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Say that somebody is being answered meanwhile."""
        with self._turn:
            self._answers += 1
        try:
            yield
        finally:
            with self._turn:
                self._answers -= 1
                self._asked = self.clock()
                self._turn.notify_all()

    def asked(self) -> None:
        """Say that somebody has asked for something at this moment, where nobody can tell when the answer is there."""
        self._asked = self.clock()

    def is_still(self, seconds: float) -> bool:
        """Say whether nobody is being answered, and nobody has been for so long."""
        return not self._answers and self.clock() - self._asked >= seconds

    def wait(self, still: float, longest: float) -> None:
        """Wait until nobody has been answered for so many seconds, but never longer than the `longest`."""
        if self.is_still(still):
            return
        end = self.clock() + longest
        with self._turn:
            while not self.is_still(still) and (left := end - self.clock()) > 0:
                # Of an answer that ends all are told; that nobody came since, nobody tells.
                self._turn.wait(left if self._answers else min(left, max(0.001, self._asked + still - self.clock())))


#: That of this process.
traffic = Traffic()


class Work:
    """Work at a pace, between its bites."""

    def __init__(self, pace: Pace, among: Traffic) -> None:
        """Begin a bite now."""
        self._pace = pace
        self._traffic = among
        self._since = among.clock()

    def pause(self) -> None:
        """End a bite: wait for those who are answered, as many times as long as the bite took as the share allows."""
        spent = self._traffic.clock() - self._since
        self._traffic.wait(self._pace.still, max(_LEAST, spent * (1 / self._pace.share - 1)))
        self._since = self._traffic.clock()


_work: ContextVar[Work | None] = ContextVar("opstore-work", default=None)


@contextlib.contextmanager
def at(pace: Pace) -> Iterator[None]:
    """Say of what this thread does meanwhile that nobody waits for it: its pauses are of this pace."""
    before = _work.set(Work(pace, traffic))
    try:
        yield
    finally:
        _work.reset(before)


def pause() -> None:
    """Stand between two bites of work: where nobody waits for it, whoever is answered goes first."""
    work = _work.get()
    if work is not None:
        work.pause()


def in_bites(items: Iterable[_T], size: int) -> Iterator[_T]:
    """Yield `items` with a pause before each `size` of them."""
    for number, item in enumerate(items):
        if number % size == 0:
            pause()
        yield item


def in_order(names: Iterable[str], *, backwards: bool = False) -> Iterator[str]:
    """Yield names in order with pauses, those of operations a day at a time: nobody else computes while a million are sorted."""
    days: dict[str, list[str]] = defaultdict(list)
    rest = iter(names)
    while bite := list(islice(rest, NAMES)):
        pause()
        for name in bite:
            days[name[:_DAY]].append(name)
    for day in sorted(days, reverse=backwards):
        pause()
        yield from sorted(days.pop(day), reverse=backwards)


def be_idle() -> None:
    """Let this whole process compute only where nobody else would, its threads all alike.

    Never for a thread beside others: it would hold the interpreter's lock while it waits for a processor.
    """
    with contextlib.suppress(OSError, AttributeError):  # of Linux; disks take their order from it too
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        return
    with contextlib.suppress(OSError):
        os.nice(19)
