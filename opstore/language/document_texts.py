"""One language and one zone for a whole document: what everything is told in, and moments, axes and intervals of a report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from babel.dates import format_datetime

from opstore.language.chart_texts import Voice
from opstore.language.formats import local


@dataclass(frozen=True)
class Speech(Voice):
    """How a document speaks: its language, and the zone of its times."""

    zone: tzinfo = UTC

    def exact(self, moment: datetime) -> str:
        """Return a moment in the zone, to the minute, with the zone's name."""
        return str(format_datetime(local(moment, self.zone), "d MMM y HH:mm z", locale=self.language))

    def tick(self, moment: datetime, unit: str) -> str:
        """Return the beginning of an hour, day, week or month, short enough for an axis."""
        pattern = {"hour": "d MMM HH:mm", "month": "MMM yy"}.get(unit, "d MMM")
        return str(format_datetime(moment, pattern, tzinfo=UTC, locale=self.language))

    def unit(self, unit: str) -> str:
        """Return by what something is counted over time."""
        _ = self.say
        names = {"hour": _("per hour"), "day": _("per day"), "week": _("per week"), "month": _("per month")}
        return names[unit]
