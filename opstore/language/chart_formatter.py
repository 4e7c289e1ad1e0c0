"""How charts speak: as everything does, and of shares as they may be said of so many."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from opstore.language import translations
from opstore.language.formats import Formatter, decimals

#: Of fewer than these no share is told, only counts.
TOLD_AS_COUNTS = 10


@dataclass(frozen=True)
class ChartFormatter(Formatter):
    """A language that charts are told in."""

    def rate(self, k: float, n: float, low: float, high: float) -> str:
        """Return a share as it may be said: with its interval, or of few as counts."""
        if n < TOLD_AS_COUNTS:
            _ = self.say
            return _("{k} of {n}").format(k=self.number(k), n=self.number(n))
        return f"{self.share(k / n, decimals(low, high))} ({self.interval(low, high)})"

    def parameter(self, name: str, value: str) -> str:
        """Return a parameter with its value, which is JSON."""
        return self.labelled(translations.parameter_name(name, self.say), self._value(json.loads(value)))

    def _value(self, value: Any) -> str:
        _ = self.say
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        return self.decimal(value) if isinstance(value, int | float) else translations.choice_name(value, self.say)
