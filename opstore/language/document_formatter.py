"""One language and one zone for a whole document: what everything is told in, and moments, axes and intervals of a report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from babel.dates import format_skeleton

from opstore.language.chart_formatter import ChartFormatter


@dataclass(frozen=True)
class DocumentFormatter(ChartFormatter):
    """How a document speaks: its language, and the zone of its times."""

    zone: tzinfo = UTC

    def tick(self, moment: datetime, unit: str) -> str:
        """Return the beginning of an hour, day, week or month, short enough for an axis."""
        if unit == "month":
            return self.day(moment, "month")
        day = str(format_skeleton("MMMd", moment, tzinfo=UTC, locale=self.language))
        return f"{day} {moment:%H:%M}" if unit == "hour" else day

    def unit(self, unit: str) -> str:
        """Return by what something is counted over time."""
        _ = self.say
        names = {"hour": _("per hour"), "day": _("per day"), "week": _("per week"), "month": _("per month")}
        return names[unit]
