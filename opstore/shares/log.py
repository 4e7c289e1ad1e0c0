"""Visits and tried passwords of a share link: one short line each at the end of `shares/{id}.log`, of whom it says nothing.

A line is one write at the end of a file: it costs no lock, survives a kill, and several processes count together. The same lines
slow down whoever tries passwords, in every process and over restarts: each caller by its own tries, so that a stranger who
guesses makes nobody else wait, and all together by theirs, so that many addresses do not win many guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opstore.errors import FileMissing, TooManyTries, UnsafeFile
from opstore.storage.files import Folder
from opstore.storage.operation import parse_time, timestamp

#: So many passwords may be tried at once; each one more waits twice as long as the one before it, up to LONGEST seconds.
FREE, LONGEST = 5, 300
#: So many by all callers together.
ALL_FREE = 50
#: Tries are forgotten after this.
WINDOW = timedelta(hours=1)
#: More than the tries of an hour, 36 bytes each.
_TAIL = 32_768


@dataclass(frozen=True, slots=True)
class Visits:
    """How often a link was opened and when last, and how often with a wrong password."""

    count: int = 0
    last: datetime | None = None
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Tries:
    """Whose tries are counted: those under this `mark`, and everybody's unless it is `known` as one that was let in."""

    mark: str
    known: bool = False


class Log:
    """The logs of one folder of shares."""

    def __init__(self, folder: Folder) -> None:
        """Keep a log beside each record in `folder`."""
        self._folder = folder

    def note(self, share_id: str, event: str, now: datetime) -> None:
        """Write a line."""
        self._folder.append(log_name(share_id), f"{timestamp(now)} {event}\n".encode())
        if not self._folder.has(f"{share_id}.json"):  # forgotten since: its record goes first, its log last
            self._folder.remove(share_id, [log_name(share_id)])

    def visits(self, share_id: str) -> Visits:
        """Return what the log says in all (2 ms a megabyte, which is 32,000 visits)."""
        try:
            lines = self._folder.read(log_name(share_id))
        except (FileMissing, UnsafeFile):
            return Visits()
        end = max(0, lines.rfind(b" visit\n"))
        last = lines[lines.rfind(b"\n", 0, end) + 1 : end]
        visits, tried, right = (lines.count(f"Z {event}".encode()) for event in ("visit", "tried", "right"))
        return Visits(visits, parse_time(last.decode("ascii", "replace")), max(0, tried - right))

    def begin_try(self, share_id: str, tries: Tries, now: datetime) -> None:
        """Note that a password is about to be tried; raise TooManyTries, with nothing tried, while it is too soon for one.

        The note comes before the answer: of many tries at one moment only FREE are looked at.
        """
        with self._folder.locked(f"trying-{share_id}"):
            lines = self._recent(share_id, now)
            counted = [(FREE, _wrong([line for line in lines if line[2] == tries.mark]))]
            counted += [] if tries.known else [(ALL_FREE, _wrong(lines))]
            wait = max(_wait(free, wrong, now) for free, wrong in counted)
            if wait > 0:
                raise TooManyTries(seconds=int(wait) + 1)
            self.note(share_id, f"tried {tries.mark}", now)

    def _recent(self, share_id: str, now: datetime) -> list[tuple[datetime, str, str]]:
        """Return the lines within the window: when, what, and by whose mark."""
        try:
            with self._folder.open(log_name(share_id)) as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL))
                lines = file.read().decode("ascii", "replace").splitlines()
        except FileMissing:
            return []
        words = [[*line.split(" "), "", ""] for line in lines]
        return [
            (moment, event, mark) for text, event, mark, *_ in words if (moment := parse_time(text)) and now - moment < WINDOW
        ]


def _wrong(lines: Sequence[tuple[datetime, str, str]]) -> list[datetime]:
    """Return when passwords were tried; each that was right takes one away, but not the last."""
    tried = [moment for moment, event, _mark in lines if event == "tried"]
    return tried[min(sum(event == "right" for _moment, event, _mark in lines), len(tried)) :]


def _wait(free: int, wrong: Sequence[datetime], now: datetime) -> float:
    """Return how many seconds are left until the next try."""
    if len(wrong) < free:
        return 0.0
    return min(2.0 ** min(len(wrong) - free, 20), LONGEST) - (now - wrong[-1]).total_seconds()


def log_name(share_id: str) -> str:
    """Return the name of a share's log."""
    return f"{share_id}.log"
