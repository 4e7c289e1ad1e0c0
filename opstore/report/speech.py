"""One language for a whole document: its texts, numbers, money, times and days, as the pages write them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, format_percent

from opstore import translations

_UNITS = ("hour", "day", "week", "month")


@dataclass(frozen=True)
class Speech:
    """How a document speaks: its language, and the zone of its times."""

    language: str = "en"
    zone: tzinfo = UTC

    def _(self, text: str) -> str:
        """Return a text in the language."""
        return translations.translated(text, self.language)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return the form for `count`, with the count filled in as `{count}`."""
        return translations.catalogue(self.language).ngettext(one, many, count).format(count=self.number(count))

    def type(self, name: str) -> str:
        """Return what an operation type is called."""
        return translations.type_name(name, self._)

    def cause(self, kind: str) -> str:
        """Return what a cause of failure is called."""
        return translations.error_kind_name(kind, self._)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with at most `digits` decimals."""
        return format_decimal(round(value, digits), locale=self.language)

    def share(self, value: float | None) -> str:
        """Return a share in per cent, – for none."""
        return "–" if value is None or math.isnan(value) else format_percent(round(value, 2), locale=self.language)

    def interval(self, low: float, high: float) -> str:
        """Return an interval of shares, nothing where there is none."""
        return "" if math.isnan(low) else f"{self.number(low * 100)} – {self.share(high)}"

    def money(self, amount: float | None, currency: str | None) -> str:
        """Return an amount with its currency, – for none."""
        if amount is None or math.isnan(amount):
            return "–"
        pattern = "¤0.00##" if self.language == "en" else "0.00##\u00a0¤"
        return format_currency(amount, currency or "USD", pattern, locale=self.language, currency_digits=False)

    def seconds(self, value: float | None) -> str:
        """Return a length of time, – for none."""
        if value is None or math.isnan(value):
            return "–"
        if value < 60:
            return self._("{seconds} s").format(seconds=self.number(value, 2 if value < 1 else 1 if value < 10 else 0))
        minutes, rest = divmod(round(value), 60)
        return self._("{minutes} min {seconds} s").format(minutes=self.number(minutes), seconds=rest)

    def size(self, count: float) -> str:
        """Return a number of bytes in the unit that fits."""
        for unit in (self._("bytes"), self._("kB"), self._("MB")):
            if count < 1000:
                return f"{self.number(count, 0 if unit == self._('bytes') else 1)}\u00a0{unit}"
            count /= 1000
        return f"{self.number(count, 1)}\u00a0{self._('GB')}"

    def day(self, moment: date) -> str:
        """Return a day."""
        return str(format_date(moment, "medium", locale=self.language))

    def exact(self, moment: datetime) -> str:
        """Return a moment in the zone, to the minute, with the zone's name."""
        return str(format_datetime(moment.astimezone(self.zone), "d MMM y HH:mm z", locale=self.language))

    def tick(self, moment: datetime, unit: str) -> str:
        """Return the beginning of an hour, day, week or month, short enough for an axis."""
        pattern = {"hour": "d MMM HH:mm", "month": "MMM yy"}.get(unit, "d MMM")
        return str(format_datetime(moment, pattern, tzinfo=UTC, locale=self.language))

    def unit(self, unit: str) -> str:
        """Return by what something is counted over time."""
        names = {"hour": self._("per hour"), "day": self._("per day"), "week": self._("per week"), "month": self._("per month")}
        return names[unit]
