"""What a run costs: a list price with its date, and the cost that follows from it; what is not known stays unknown, never zero.

A provider that names no price in its answers leaves only this: the list price, read on a day, times what
was made. So every cost here carries its sentence, and says that it is an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["image", "second_of_video", "second_of_compute", "run"]
UNITS: tuple[Unit, ...] = ("image", "second_of_video", "second_of_compute", "run")

#: How one and several of a unit are called in a sentence.
_WORDS: Mapping[str, tuple[str, str]] = {
    "image": ("image", "images"),
    "second_of_video": ("second of video", "seconds of video"),
    "second_of_compute": ("second of computing", "seconds of computing"),
    "run": ("run", "runs"),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money and where it comes from; `amount` is None where only the reason for not knowing is known."""

    amount: float | None
    currency: str
    basis: str
    estimated: bool

    def record(self) -> dict[str, Any]:
        """Return the cost as the sidecar keeps it."""
        return {"amount": self.amount, "currency": self.currency, "basis": self.basis, "estimated": self.estimated}


@dataclass(frozen=True, slots=True)
class Variant:
    """Another amount, for runs whose input document has exactly these values under the provider's own names."""

    when: Mapping[str, Any]
    amount: float

    def fits(self, arguments: Mapping[str, Any]) -> bool:
        """Say whether a run with `arguments` is priced by this variant."""
        return all(arguments.get(field) == value for field, value in self.when.items())


@dataclass(frozen=True, slots=True)
class Price:
    """A list price: `amount` for each `per`, as it stood on `date`; None where only its `variants` have one.

    `types` are the operation types it holds for, all where empty. `exact` marks the one price that is no estimate: nothing.
    """

    amount: float | None
    per: Unit
    currency: str = "USD"
    date: str = ""
    note: str = ""
    variants: tuple[Variant, ...] = ()
    types: tuple[str, ...] = ()
    exact: bool = False

    def unit_amount(self, operation_type: str, arguments: Mapping[str, Any]) -> float | None:
        """Return the price of one unit for a run with `arguments`, or None where the list does not say."""
        if self.types and operation_type not in self.types:
            return None
        return next((variant.amount for variant in self.variants if variant.fits(arguments)), self.amount)

    def times(self, unit_amount: float, count: float, prefix: str = "") -> Cost:
        """Return the cost of `count` units at `unit_amount` each."""
        if self.exact:
            return Cost(unit_amount * count, self.currency, self.note, False)
        one, many = _WORDS[self.per]
        listed = f"list price of {self.date}" if self.date else "list price, its date not known"
        sign = "$" if self.currency == "USD" else f"{self.currency} "
        basis = f"{prefix}{_number(count)} {one if count == 1 else many} × {sign}{_number(unit_amount)} ({listed})"
        # Six decimals: a tenth of a second at the cheapest hardware price is $0.00001; more is the noise of binary fractions.
        return Cost(round(unit_amount * count, 6), self.currency, basis, True)

    def unknown(self, reason: str) -> Cost:
        """Return the cost of a run of which only `reason` is known."""
        return Cost(None, self.currency, reason, True)


def _number(value: float) -> str:
    """Return `value` with up to six decimals and no trailing zeros."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
