"""Numbers, money, lengths of time, shares, sizes and days as one language writes them: for pages, charts and reports alike.

What is not known is a dash. Pure; English texts are the keys of the catalogue, as everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from babel.dates import format_date, format_skeleton
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_symbol

from opstore.language import translations

#: The largest number that is written out; no stored one means more.
_LARGEST = 1e15
UNKNOWN = "–"


@dataclass(frozen=True)
class Formatter:
    """A language that things are told in."""

    language: str = "en"

    def say(self, text: str) -> str:
        """Return `text` in this language."""
        return translations.translated(text, self.language)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return the form for `count`, with the count filled in as `{count}`."""
        return translations.catalogue(self.language).ngettext(one, many, count).format(count=self.number(count))

    def labelled(self, name: str, value: str) -> str:
        """Return a name and its value as one text."""
        _ = self.say
        return _("{name}: {value}").format(name=name, value=value)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with at most `digits` decimals."""
        pattern = f"#,##0.{'#' * digits}" if digits > 3 else None  # a language's own has three at most
        return str(format_decimal(round(_sayable(value), digits) + 0.0, pattern, locale=self.language))  # + 0: never -0

    def decimal(self, value: float) -> str:
        """Return a parameter's number with all its digits, so that two that differ are told apart."""
        digits = next((digits for digits in (3, 6, 9) if abs(value) <= _LARGEST and round(value, digits) == value), None)
        return str(value) if digits is None else self.number(value, digits)

    def money(self, amount: float | None, currency: str | None = "USD") -> str:
        """Return an amount with its currency; a small one keeps the digits that count."""
        if amount is None or math.isnan(amount):
            return UNKNOWN
        size = abs(amount)
        digits = 2 if size >= 1 or not size else min(6, 1 - math.floor(math.log10(size)))
        if not currency or currency.isspace():
            return self.number(amount, digits)
        decimals = "0" * 2 + "#" * max(0, digits - 2)
        # A sign such as $ stands at the number, letters such as CHF do not.
        apart = "\u00a0" if get_currency_symbol(currency, self.language)[-1].isalpha() else ""
        pattern = f"¤{apart}#,##0.{decimals}" if self.language == "en" else f"#,##0.{decimals}\u00a0¤"
        return str(format_currency(_sayable(amount), currency, pattern, locale=self.language, currency_digits=False))

    def cost(self, amount: float, currency: str | None = "USD", *, estimated: bool) -> str:
        """Return what something cost or will cost; what is an estimate says so."""
        money = self.money(amount, currency)
        return self.about(money) if estimated else money

    def about(self, money: str) -> str:
        """Return an amount as what it is: an estimate."""
        _ = self.say
        return _("about {amount} (estimate)").format(amount=money)

    def seconds(self, value: float | None) -> str:
        """Return a length of time in its two greatest units: 0.25 s, 12 s, 1 min 15 s, 2 h."""
        _ = self.say
        if value is None or math.isnan(value):
            return UNKNOWN
        if value < 59.5:
            return _("{seconds} s").format(seconds=self.number(value, 2 if value < 1 else 1 if value < 10 else 0))
        minutes, rest = divmod(round(_sayable(value)), 60)
        if minutes < 60:
            whole, part = _("{minutes} min"), _("{minutes} min {seconds} s")
            return (part if rest else whole).format(minutes=self.number(minutes), seconds=rest)
        hours, minutes = divmod(round(minutes + rest / 60), 60)
        whole, part = _("{hours} h"), _("{hours} h {minutes} min")
        return (part if minutes else whole).format(hours=self.number(hours), minutes=minutes)

    def share(self, value: float | None, digits: int = 0) -> str:
        """Return a share of 1 in percent, with so many decimals."""
        if value is None or math.isnan(value):
            return UNKNOWN
        number = "#,##0." + "0" * digits if digits else "#,##0"
        pattern = f"{number}%" if self.language == "en" else f"{number}\u00a0%"
        return str(format_percent(value, pattern, locale=self.language))

    def interval(self, low: float, high: float) -> str:
        """Return an interval of shares with as many decimals as its ends need to differ, nothing if there is none."""
        if math.isnan(low):
            return ""
        digits = decimals(low, high)
        begins = self.share(low, digits).removesuffix("%").rstrip()
        return f"{begins}–{self.share(high, digits)}"

    def size(self, count: float) -> str:
        """Return a number of bytes in the unit that fits."""
        _ = self.say
        if count < 1_000:
            return self.ngettext("{count} byte", "{count} bytes", round(count)).replace(" ", "\u00a0")
        units = (_("kB"), _("MB"), _("GB"))
        place, count = 0, count / 1_000
        while round(count, 1) >= 1_000 and place < len(units) - 1:
            count, place = count / 1_000, place + 1
        return f"{self.number(count, 1)}\u00a0{units[place]}"

    def hour(self, hour: int) -> str:
        """Return a full hour of the day."""
        _ = self.say
        return _("{hour}:00").format(hour=hour)

    def minute(self, moment: datetime, zone: tzinfo = UTC) -> str:
        """Return a moment in a zone, to the minute, with the name of the zone."""
        there = local(moment, zone)
        return f"{self.day(there)}, {there:%H:%M} {there.tzname()}"

    def day(self, moment: date, unit: str = "day") -> str:
        """Return a day, the first day of a week, or a month."""
        if unit == "month":
            return str(format_skeleton("yMMM", moment, locale=self.language))
        return str(format_date(moment, "medium", locale=self.language))

    def type_name(self, name: str) -> str:
        """Return what an operation type is called."""
        return translations.type_name(name, self.say)

    def cause(self, kind: str) -> str:
        """Return what a cause of failure is called."""
        return translations.error_kind_name(kind, self.say)


def local(moment: datetime, zone: tzinfo) -> datetime:
    """Return a moment in a zone; at the ends of the calendar, which an id can name and no zone goes beyond, as it is."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def decimals(low: float, high: float) -> int:
    """Return how many decimals of a percent the ends of an interval need to differ, two at most: 90.9–91.4 %, not 91–91 %."""
    return next((digits for digits in (0, 1) if round(high * 100, digits) > round(low * 100, digits)), 0 if high == low else 2)


def _sayable(value: float) -> float:
    """Return a stored number as one that can be written: the formatter fails beyond 28 digits, and on true."""
    return min(max(+value, -_LARGEST), _LARGEST)


def top_of_scale(most: float) -> float:
    """Return the top of a scale: a number whose half is short, too, and that is no smaller."""
    if most == round(most) and most <= 10:
        return most + most % 2  # half an operation is none
    ten = 10.0 ** math.floor(math.log10(most))
    return ten * next(step for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if most <= step * ten * (1 + 1e-9))
