"""Visits and tried passwords of a share link: one short line each at the end of `shares/{id}.log`, of whom it says nothing.

A line is one write at the end of a file: it costs no lock, survives a kill, and several processes count together. The same lines
slow down whoever tries passwords, in every process and over restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from opstore.errors import FileMissing, TooManyTries, UnsafeFile
from opstore.files import Folder
from opstore.operation import parse_time, timestamp

Event = Literal["visit", "tried", "right"]

#: So many passwords may be tried at once; each one more waits twice as long as the one before it, up to LONGEST seconds.
FREE, LONGEST = 5, 300
#: Tries are forgotten after this.
WINDOW = timedelta(hours=1)
#: More than the tries of an hour, 32 bytes each.
_TAIL = 16_384


@dataclass(frozen=True, slots=True)
class Visits:
    """How often a link was opened and when last, and how often with a wrong password."""

    count: int = 0
    last: datetime | None = None
    wrong: int = 0


class Log:
    """The logs of one folder of shares."""

    def __init__(self, folder: Folder) -> None:
        """Keep a log beside each record in `folder`."""
        self._folder = folder

    def note(self, share_id: str, event: Event, now: datetime) -> None:
        """Write a line."""
        self._folder.append(log_name(share_id), f"{timestamp(now)} {event}\n".encode())

    def visits(self, share_id: str) -> Visits:
        """Return what the log says in all (2 ms a megabyte, which is 32,000 visits)."""
        try:
            lines = self._folder.read(log_name(share_id))
        except (FileMissing, UnsafeFile):
            return Visits()
        end = max(0, lines.rfind(b" visit\n"))
        last = lines[lines.rfind(b"\n", 0, end) + 1 : end]
        visits, tried, right = (lines.count(f" {event}\n".encode()) for event in ("visit", "tried", "right"))
        return Visits(visits, parse_time(last.decode("ascii", "replace")), max(0, tried - right))

    def begin_try(self, share_id: str, now: datetime) -> None:
        """Note that a password is about to be tried; raise TooManyTries, with nothing tried, while it is too soon for one.

        The note comes before the answer: of many tries at one moment only FREE are looked at.
        """
        with self._folder.locked(f"trying-{share_id}"):
            tries = self._wrong_tries(share_id, now)
            if len(tries) >= FREE:
                wait = min(2 ** (len(tries) - FREE), LONGEST) - (now - tries[-1]).total_seconds()
                if wait > 0:
                    raise TooManyTries(seconds=int(wait) + 1)
            self.note(share_id, "tried", now)

    def _wrong_tries(self, share_id: str, now: datetime) -> list[datetime]:
        """Return when passwords were tried within the window; each that was right takes one away, but not the last."""
        try:
            with self._folder.open(log_name(share_id)) as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL))
                lines = file.read().decode("ascii", "replace").splitlines()
        except FileMissing:
            return []
        pairs = [line.partition(" ") for line in lines]
        recent = [(moment, event) for text, _space, event in pairs if (moment := parse_time(text)) and now - moment < WINDOW]
        tried = [moment for moment, event in recent if event == "tried"]
        return tried[min(sum(event == "right" for _moment, event in recent), len(tried)) :]


def log_name(share_id: str) -> str:
    """Return the name of a share's log."""
    return f"{share_id}.log"
