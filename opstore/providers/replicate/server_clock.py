"""Replicate's own time, as the Date of its answers tells it; kept by the steady clock: setting this machine's moves nothing.

RFC 9110, section 6.6.1: an origin server with a clock dates every answer, to the second. An answer that a cache has kept (Age)
tells an old time and is not believed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from opstore import clocks


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Return when an answer was made by its server's clock, None where it does not say."""
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class FarClock:
    """The clock of the other side; one instance serves any number of threads."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._told: tuple[datetime, float] | None = None
        self._guard = threading.Lock()

    def note(self, headers: Mapping[str, str]) -> None:
        """Take the time from an answer that has just come."""
        moment = None if headers.get("age", "0") != "0" else date_of(headers)
        if moment is not None:
            with self._guard:
                self._told = (moment, clocks.steady())

    def now(self) -> datetime | None:
        """Return the time there, None where no answer has told it yet; right to a second or two."""
        with self._guard:
            told = self._told
        return told[0] + timedelta(seconds=clocks.steady() - told[1]) if told else None
