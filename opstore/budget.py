"""Money that may still be spent: no paid request leaves once a day's or a month's budget would be passed, in any process.

Spent is what the sidecars say, those in the trash too, on the day in UTC on which the operation ended; what is under way counts
with its estimate, and so does what may have been billed without anybody knowing (`unknown`, or an end whose cost is not known). A
model without a price counts nothing, but is stopped like any other once a budget is used up. Where the limits themselves
cannot be read, nothing that costs money passes.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from opstore import clocks
from opstore.errors import BudgetReached, BudgetReachedUnpriced, OperationNotFound, OpstoreError, said
from opstore.files import Folder
from opstore.jobs import Job, JobFolder, Step
from opstore.leaps import Leaps
from opstore.names import parse_name
from opstore.operation import parse_time
from opstore.preferences import Preferences
from opstore.store import Store
from opstore.trash import Trash

#: An operation may wait this long in the queue before it ends: its id is from the day on which it was asked for.
WAITING = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent, and what is bound by operations under way, in US dollars, today and this month (UTC)."""

    today: float
    month: float
    bound: float


@dataclass(frozen=True, slots=True)
class _Paid:
    """What one operation that has ended cost, and on which day (YYYYMMDD)."""

    day: str
    amount: float


class Budget:
    """The money of one data folder, shared by every process that uses it."""

    def __init__(
        self,
        store: Store,
        jobs: JobFolder,
        preferences: Callable[[], Preferences],
        clock: Callable[[], datetime] = clocks.now,
    ) -> None:
        """Count the operations of `store` and `jobs` against the limits of `preferences`, which raises SettingsDamaged."""
        self._store = store
        self._jobs = jobs
        self._preferences = preferences
        self._clock = clock
        self._trash = Trash(store)
        self._gate = Folder(store.root)
        self._leaps = Leaps(self._gate)
        # An operation that has ended keeps its cost: each sidecar is read once a process.
        self._paid: dict[str, _Paid] = {}

    def spending(self, without: Job | None = None) -> Spending:
        """Return what was spent and is bound; of the job `without` only the steps that are behind it count."""
        now = self._clock().astimezone(UTC)
        # A clock that leapt begins no new day: what either clock calls today, or later, was spent today.
        leap = self._leaps.standing()
        first = min(now, leap.earliest) if leap else now
        month, today = f"{first:%Y%m}", f"{first:%Y%m%d}"
        # Records before sidecars: a job that ends meanwhile is counted once at least, and below not twice.
        underway = self._jobs.all()
        oldest = f"{first.replace(day=1) - WAITING:%Y%m%d}"
        names = (*self._store.operations.names(), *self._trash.folder.names())
        ended = {name for name in map(_sidecar_id, names, itertools.repeat(oldest)) if name}
        paid = [self._of(operation_id) for operation_id in ended]
        own = without.operation_id if without else None
        bound = sum(_bound(job) for job in underway if job.operation_id not in ended and job.operation_id != own)
        return Spending(
            today=sum(entry.amount for entry in paid if entry.day == today or (leap and entry.day > today)),
            month=sum(entry.amount for entry in paid if entry.day.startswith(month) or (leap and entry.day > month)),
            bound=bound + (_behind(without) if without else 0.0),
        )

    def check(self, estimates: Sequence[float | None], *, without: Job | None = None) -> None:
        """Raise BudgetReached if a paid request of these estimated step costs (None where unknown) must not be made now.

        Raise SettingsDamaged where nobody knows what the limits are.
        """
        limits = self._preferences()
        if limits.daily_budget is None and limits.monthly_budget is None:
            return
        spent = self.spending(without)
        wanted = sum(amount or 0.0 for amount in estimates)
        day, month = (limits.daily_budget, spent.today, said("day")), (limits.monthly_budget, spent.month, said("month"))
        for limit, used, period in (day, month):
            if limit is not None and (used + spent.bound >= limit or used + spent.bound + wanted > limit + 1e-9):
                kind = BudgetReachedUnpriced if None in estimates else BudgetReached
                amounts = {"limit": limit, "used": used + spent.bound, "wanted": wanted}
                raise kind(period=period, **{name: _written(amount) for name, amount in amounts.items()})

    @contextlib.contextmanager
    def admitted(self, job: Job) -> Iterator[None]:
        """Hold the one gate of the data folder while a job's record says that its paid step is about to be sent.

        Raise BudgetReached or SettingsDamaged where it must not be: two processes cannot both pass with money for one.
        """
        if not is_paid(job.step):
            yield
            return
        with self._gate.locked("budget"):
            self.check([_estimate(step) for step in job.steps[job.current :]], without=job)
            yield

    def _of(self, operation_id: str) -> _Paid:
        if operation_id not in self._paid:
            try:
                sidecar = self._sidecar(operation_id)
            except OpstoreError:
                return _Paid(operation_id[:8], 0.0)  # damaged: nothing can be counted, and verify() lists it
            ended = parse_time(sidecar.get("completedAt"))
            day = f"{ended.astimezone(UTC):%Y%m%d}" if ended else operation_id[:8]
            self._paid[operation_id] = _Paid(day, spent_on(sidecar))
        return self._paid[operation_id]

    def _sidecar(self, operation_id: str) -> Mapping[str, Any]:
        with contextlib.suppress(OperationNotFound):
            return self._store.get_operation_metadata(operation_id)
        with contextlib.suppress(OperationNotFound):
            if (sidecar := self._trash.find(operation_id).sidecar) is not None:
                return sidecar
        return self._store.get_operation_metadata(operation_id)  # restored at this very moment


def is_paid(step: Step) -> bool:
    """Say whether a step costs money at all: everything does that is not known to be free."""
    return not (step.estimate and step.estimate.get("amount") == 0 and not step.estimate.get("estimated"))


def spent_on(sidecar: Mapping[str, Any]) -> float:
    """Return the US dollars that a stored operation counts with: its cost, or its steps' estimates where billing is not known."""
    asked, total = _asked(sidecar), _dollars(sidecar.get("cost"))
    if total is not None:
        return asked + total
    steps = sidecar.get("steps")
    found = [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
    return asked + sum(
        _first(_dollars(step.get("cost")), _dollars(step.get("estimate")) if step.get("status") else 0.0) for step in found
    )


def rounded_up(amount: float) -> float:
    """Return an amount with two decimals, a small one with two digits that count: never less than it is, and so never nothing."""
    digits = 2 if amount >= 0.1 or not amount else min(6, 1 - math.floor(math.log10(amount)))
    unit = float(10**digits)
    return math.ceil(round(amount * unit, 6)) / unit


def _written(amount: float) -> str:
    whole, _, part = f"{rounded_up(amount):.6f}".rstrip("0").partition(".")
    return f"{whole}.{part:0<2}"


def _asked(known: Mapping[str, Any]) -> float:
    """Return what a language model was paid for the analysis that led to an operation."""
    analysis = known.get("workflowAnalysis")
    return _first(_dollars(analysis.get("cost"))) if isinstance(analysis, Mapping) else 0.0


def _bound(job: Job) -> float:
    asked = _asked(job.operation)
    if job.state == "queued" and not job.current:
        return asked  # nothing else sent yet: it is checked again before it is
    return asked + sum(_first(_dollars(step.cost), _dollars(step.estimate)) for step in job.steps)


def _behind(job: Job) -> float:
    return sum(_first(_dollars(step.cost), _dollars(step.estimate)) for step in job.steps[: job.current])


def _estimate(step: Step) -> float | None:
    return _dollars(step.estimate)


def _first(*amounts: float | None) -> float:
    return next((amount for amount in amounts if amount is not None), 0.0)


def _dollars(cost: object) -> float | None:
    if not isinstance(cost, Mapping) or cost.get("currency") != "USD":
        return None
    amount = cost.get("amount")
    return float(amount) if isinstance(amount, int | float) and not isinstance(amount, bool) else None


def _sidecar_id(name: str, oldest: str) -> str | None:
    parts = parse_name(name) if name.endswith(".json") and name[:8] >= oldest else None
    return parts.operation_id if parts else None
