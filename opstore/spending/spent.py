"""What operations cost, by their sidecars; what has no sidecar, or will have none, is noted in `spent.json` and stays counted.

It has, by operation removed for good and by question to a language model, the day and the amount (and the other currencies in
which there was more), and nothing else; it is durable before the sidecar goes, or the question leaves, and forgets what no budget
of a month can ask for any more. Where it is damaged nobody knows what was spent. Nothing here converts: dollars are added up, of
other money is known that it was paid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from opstore import clocks
from opstore.clocks.leaps import Leaps
from opstore.errors import FileMissing, OperationBusy, OperationExists
from opstore.storage.document import Document
from opstore.storage.files import Folder
from opstore.storage.names import is_operation_id
from opstore.storage.operation import parse_time

NAME = "spent.json"
_SCHEMA = "opstore-spent/1"
_MAX_BYTES = 16_000_000
#: In US dollars, of one operation: what says more is no cost.
MAX_AMOUNT = 1e9
#: Longer than any month: an amount of a day further back than this is nobody's any more.
_KEPT = timedelta(days=32)


#: What an amount is in where nobody says it.
NO_CURRENCY = "?"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in US dollars, and the other currencies in which there was more."""

    dollars: float = 0.0
    others: frozenset[str] = frozenset()

    def __add__(self, more: Money) -> Money:
        """Return both together."""
        return Money(self.dollars + more.dollars, self.others | more.others)


@dataclass(frozen=True, slots=True)
class Paid:
    """What one operation that has ended cost, and on which day (YYYYMMDD, UTC)."""

    day: str
    money: Money


class Gone:
    """What was paid in one data folder and no sidecar tells: operations that are there no more, and questions."""

    def __init__(self, folder: Folder, clock: Callable[[], datetime] = clocks.now) -> None:
        """Keep it in `folder`, the data folder itself."""
        self._folder = folder
        self._file = Document(folder, NAME, _MAX_BYTES, key="spent")
        self._clock = clock

    def all(self) -> dict[str, Paid]:
        """Return what is counted, by operation; raise ValueError where the file does not tell, or a StorageError."""
        data = self._file.find()
        return {} if data is None else _decoded(data)

    def note(self, operation_id: str, sidecar: Mapping[str, Any]) -> None:
        """Note durably what an operation cost that is about to go, or what is about to be asked; a repeat changes nothing.

        A damaged file stays as it is: nothing is paid while it is there, whatever else goes.
        """
        paid = paid_by(operation_id, sidecar)
        leap = Leaps(self._folder).standing()
        now = self._clock().astimezone(UTC)
        oldest = f"{(min(now, leap.earliest) if leap else now) - _KEPT:%Y%m%d}"
        while (paid.money.dollars > 0 or paid.money.others) and paid.day >= oldest:
            before = self._file.find()
            try:
                known = _decoded(before) if before is not None else {}
            except ValueError:
                return
            kept = {name: item for name, item in known.items() if item.day >= oldest} | {operation_id: paid}
            if kept == known:
                return
            try:
                self._file.write(_encoded(kept), before)
                return
            except (OperationExists, OperationBusy, FileMissing):
                continue  # another process notes what another one cost


def paid_by(operation_id: str, sidecar: Mapping[str, Any]) -> Paid:
    """Return what a stored operation cost, on the day on which it ended, where it says so."""
    ended = parse_time(sidecar.get("completedAt"))
    return Paid(f"{ended.astimezone(UTC):%Y%m%d}" if ended else operation_id[:8], spent_on(sidecar))


def spent_on(sidecar: Mapping[str, Any]) -> Money:
    """Return what a stored operation counts with: its cost, or its steps' estimates where billing is not known."""
    if (total := money(sidecar.get("cost"))) is not None:
        return total
    steps = sidecar.get("steps")
    found = [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
    return sum((first(step.get("cost"), step.get("estimate") if step.get("status") else None) for step in found), Money())


def first(*costs: object) -> Money:
    """Return the first of several costs that is known, nothing where none is."""
    return next((amount for cost in costs if (amount := money(cost)) is not None), Money())


def money(cost: object) -> Money | None:
    """Return what a cost as sidecars write it counts with, None where it is not known."""
    amount = cost.get("amount") if isinstance(cost, Mapping) else None
    # An amount below nothing would give back what others were paid.
    if not isinstance(cost, Mapping) or not _is_amount(amount):
        return None
    currency = cost.get("currency")
    if currency == "USD" or not amount:
        return Money(float(amount))
    return Money(others=frozenset([currency if _is_currency(currency) else NO_CURRENCY]))


def _is_amount(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MAX_AMOUNT


def _is_currency(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(re.fullmatch("[A-Z]{3}", value))


def _encoded(known: Mapping[str, Paid]) -> bytes:
    gone = {name: [paid.day, paid.money.dollars, *sorted(paid.money.others)] for name, paid in sorted(known.items())}
    return json.dumps({"schema": _SCHEMA, "gone": gone}, indent=1).encode() + b"\n"


def _decoded(data: bytes) -> dict[str, Paid]:
    try:
        found = json.loads(data)
        if found["schema"] != _SCHEMA:
            raise ValueError("a file of another kind")
        known = {
            name: Paid(day, Money(float(amount), frozenset(others))) for name, (day, amount, *others) in found["gone"].items()
        }
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise ValueError("no amounts by operation") from None
    if not all(is_operation_id(name) and _is_sound(paid) for name, paid in known.items()):
        raise ValueError("no amounts by operation")
    return known


def _is_sound(paid: Paid) -> bool:
    currencies = (currency == NO_CURRENCY or _is_currency(currency) for currency in paid.money.others)
    return isinstance(paid.day, str) and _is_amount(paid.money.dollars) and all(currencies)
