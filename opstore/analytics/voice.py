"""How charts speak: numbers, money, times and shares in one language, for pages, reports and exports alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from babel.dates import format_date, format_skeleton
from babel.numbers import format_currency, format_decimal, format_percent

from opstore import translations

_LARGEST = 1e15


@dataclass(frozen=True)
class Voice:
    """A language that charts are told in."""

    language: str = "en"

    def say(self, text: str) -> str:
        """Return `text` in this language."""
        return translations.translated(text, self.language)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with at most `digits` decimals."""
        return str(format_decimal(round(min(max(value, -_LARGEST), _LARGEST), digits), locale=self.language))

    def money(self, amount: float, currency: str | None) -> str:
        """Return an amount with its currency; a small one keeps the digits that count."""
        digits = 2 if amount >= 1 or not amount else min(6, 1 - math.floor(math.log10(amount)))
        if not currency:
            return self.number(amount, digits)
        decimals = "0" * 2 + "#" * max(0, digits - 2)
        pattern = f"¤#,##0.{decimals}" if self.language == "en" else f"#,##0.{decimals}\u00a0¤"
        return str(format_currency(min(amount, _LARGEST), currency, pattern, locale=self.language, currency_digits=False))

    def seconds(self, value: float) -> str:
        """Return a length of time: 0.8 s, 12 s, 3 min, 2 h."""
        if value < 60:
            return self.say("{seconds} s").format(seconds=self.number(value, 1 if value < 10 else 0))
        if value < 5_400:
            return self.say("{minutes} min").format(minutes=self.number(value / 60, 1 if value < 600 else 0))
        return self.say("{hours} h").format(hours=self.number(value / 3_600, 1))

    def share(self, value: float) -> str:
        """Return a share of 1 in percent."""
        return str(format_percent(value, "#,##0%" if self.language == "en" else "#,##0\u00a0%", locale=self.language))

    def size(self, count: float) -> str:
        """Return a number of bytes."""
        for unit in (self.say("bytes"), self.say("kB"), self.say("MB")):
            if count < 1_000:
                return f"{self.number(count, 0 if unit == self.say('bytes') else 1)}\u00a0{unit}"
            count /= 1_000
        return f"{self.number(count, 1)}\u00a0{self.say('GB')}"

    def day(self, moment: date, unit: str = "day") -> str:
        """Return a day, the first day of a week, or a month."""
        if unit == "month":
            return str(format_skeleton("yMMM", moment, locale=self.language))
        return str(format_date(moment, "medium", locale=self.language))

    def type_name(self, name: str) -> str:
        """Return what an operation type is called."""
        return translations.type_name(name, self.say)

    def rate(self, k: float, n: float, low: float, high: float) -> str:
        """Return a share as it may be said: with its interval, or of few as counts."""
        if n < FEW:
            return self.say("{k} of {n}").format(k=self.number(k), n=self.number(n))
        return f"{self.share(k / n)} ({self.number(low * 100)}–{self.share(high)})"


#: Of fewer than these no share is told, only counts.
FEW = 10
