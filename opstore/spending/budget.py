"""Money that may still be spent: no paid request leaves once a day's or a month's budget would be passed, in any process.

Spent is what the sidecars say, those in the trash too, on the day in UTC on which the operation ended, and what was noted of
those removed for good and of questions to language models (`spent.py`); what is under way counts with its estimate, and so does
what may have been billed without anybody knowing (`unknown`, or an end whose cost is not known). A model without a price counts
nothing, but is stopped like any other once a budget is used up. Where the limits, or a file that tells what was spent, cannot be
read, nothing that costs money passes; nor where a budget of dollars would have to count another currency, since nothing is
converted here.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from opstore import clocks
from opstore.clocks.leaps import Leaps
from opstore.errors import (
    BudgetInOtherCurrency,
    BudgetReached,
    BudgetReachedUnpriced,
    DamagedOperation,
    OperationNotFound,
    OpstoreError,
    SpendingUnknown,
    SpentInOtherCurrency,
    said,
)
from opstore.jobs import Job, JobFolder, Step
from opstore.spending.spent import NAME, Gone, Money, Paid, first, money, paid_by
from opstore.storage.names import generate_operation_id, parse_name, sidecar_name
from opstore.storage.operation import timestamp
from opstore.storage.packs import FOLDER
from opstore.storage.preferences import Preferences
from opstore.storage.store import Store
from opstore.storage.trash import Trash

#: An operation may wait this long in the queue before it ends: its id is from the day on which it was asked for.
WAITING = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent, and what is bound by operations under way, in US dollars, today and this month (UTC).

    `unread` names the files that might say more, and cannot be read. `today_others` and `month_others` are the other currencies
    in which something was spent or is bound, each with an operation of which that is true.
    """

    today: float
    month: float
    bound: float
    unread: tuple[str, ...] = ()
    today_others: Mapping[str, str] = field(default_factory=dict)
    month_others: Mapping[str, str] = field(default_factory=dict)


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
        self._gate = store.data.top
        self._leaps = Leaps(self._gate)
        self._noted = Gone(self._gate, clock)
        # An operation that has ended keeps its cost: each sidecar is read once a process.
        self._paid: dict[str, Paid] = {}

    def spending(self, without: Job | None = None) -> Spending:
        """Return what was spent and is bound; of the job `without` only the steps that are behind it count."""
        now = self._clock().astimezone(UTC)
        # A clock that leapt begins no new day: what either clock calls today, or later, was spent today.
        leap = self._leaps.standing()
        begun = min(now, leap.earliest) if leap else now
        month, today = f"{begun:%Y%m}", f"{begun:%Y%m%d}"
        # Records before sidecars: a job that ends meanwhile is counted once at least, and below not twice.
        unread: list[str] = []
        underway = self._underway(unread)
        oldest = f"{begun.replace(day=1) - WAITING:%Y%m%d}"
        unread += self._damaged_packs(oldest)
        trashed = self._trash.folder.names
        # Twice: what comes back from the trash, or goes there, while the library is listed is in one of the three.
        names = (*trashed(), *self._store.operations.names(), *trashed())
        ended = {name for name in map(_sidecar_id, names, itertools.repeat(oldest)) if name}
        found = {operation_id: item for operation_id in ended if (item := self._of(operation_id, unread))}
        paid = self._gone(unread) | found  # what goes meanwhile is noted before: so what is noted is read last
        own = without.operation_id if without else None
        bound = {job.operation_id: _bound(job) for job in underway if job.operation_id not in ended and job.operation_id != own}
        bound |= {without.operation_id: _behind(without)} if without else {}
        of_day, of_month = (_within(paid, period, leap is not None) for period in (today, month))
        return Spending(
            today=_dollars(of_day),
            month=_dollars(of_month),
            bound=_dollars(bound),
            unread=tuple(sorted(unread)),
            today_others=_others(of_day | bound),
            month_others=_others(of_month | bound),
        )

    def check(self, estimates: Sequence[Mapping[str, Any] | None], *, without: Job | None = None) -> None:
        """Raise BudgetReached if a paid request of these estimated step costs (None where unknown) must not be made now.

        What is in another currency must not, where there is a budget. Raise SettingsDamaged where nobody knows what the limits
        are, SpendingUnknown where nobody knows what was spent.
        """
        limits = self._preferences()
        if limits.daily_budget is None and limits.monthly_budget is None:
            return
        amounts = [money(estimate) for estimate in estimates]
        wanted = sum((amount for amount in amounts if amount), Money())
        if wanted.others:
            raise BudgetInOtherCurrency(currency=min(wanted.others))
        spent = self.spending(without)
        if spent.unread:
            raise SpendingUnknown(name=spent.unread[0])
        day = (limits.daily_budget, spent.today, spent.today_others, said("day"))
        month = (limits.monthly_budget, spent.month, spent.month_others, said("month"))
        for limit, used, others, period in (day, month):
            if limit is None:
                continue
            if others:
                currency, operation_id = min(others.items())
                raise SpentInOtherCurrency(period=period, currency=currency, operation_id=operation_id)
            used += spent.bound
            if used >= limit or used + wanted.dollars > limit + 1e-9:
                kind = BudgetReachedUnpriced if None in amounts else BudgetReached
                figures = {"limit": limit, "used": used, "wanted": wanted.dollars}
                raise kind(period=period, **{name: _written(amount) for name, amount in figures.items()})

    @contextlib.contextmanager
    def admitted(self, job: Job) -> Iterator[None]:
        """Hold the one gate of the data folder while a job's record says that its paid step is about to be sent.

        Raise as `check` does where it must not be: two processes cannot both pass with money for one.
        """
        if not is_paid(job.step):
            yield
            return
        with self._gate.locked("budget"):
            self.check([step.estimate for step in job.steps[job.current :]], without=job)
            yield

    def pay(self, cost: Mapping[str, Any]) -> None:
        """Count for good what is about to be paid and becomes no operation; raise as `check` does where it must not be.

        Whoever pays goes through the one gate: two cannot both pass with money for one.
        """
        with self._gate.locked("budget"):
            self.check([cost])
            now = self._clock()
            self._noted.note(generate_operation_id(now), {"completedAt": timestamp(now), "cost": cost})

    def _underway(self, unread: list[str]) -> list[Job]:
        """Return the operations under way; name in `unread` the records that do not say what they bind."""
        jobs = []
        for operation_id in self._jobs.ids():
            try:
                jobs.append(self._jobs.get(operation_id))
            except OperationNotFound:
                continue  # it has ended meanwhile: its sidecar is there
            except (OpstoreError, ValueError):
                unread.append(f"pending/{sidecar_name(operation_id)}")
        return jobs

    def _damaged_packs(self, oldest: str) -> list[str]:
        packs = self._store.operations.packs
        damaged = []
        for month in packs.months():
            try:
                if month >= oldest[:6]:
                    packs.pack(month)
            except OpstoreError:
                damaged.append(f"{FOLDER}/{packs.name(month)}")
        return damaged

    def _gone(self, unread: list[str]) -> dict[str, Paid]:
        try:
            return self._noted.all()
        except (OpstoreError, ValueError):
            unread.append(NAME)
            return {}

    def _of(self, operation_id: str, unread: list[str]) -> Paid | None:
        if operation_id not in self._paid:
            try:
                self._paid[operation_id] = paid_by(operation_id, self._sidecar(operation_id))
            except OperationNotFound:
                return None  # removed for good at this very moment
            except OpstoreError:
                unread.append(sidecar_name(operation_id))
                return None
        return self._paid[operation_id]

    def _sidecar(self, operation_id: str) -> Mapping[str, Any]:
        with contextlib.suppress(OperationNotFound):
            return self._store.get_operation_metadata(operation_id)
        with contextlib.suppress(OperationNotFound):
            if (sidecar := self._trash.find(operation_id).sidecar) is None:
                raise DamagedOperation(operation_id=operation_id, reason=said("it cannot be read"))
            return sidecar
        return self._store.get_operation_metadata(operation_id)  # restored at this very moment


def is_paid(step: Step) -> bool:
    """Say whether a step costs money at all: everything does that is not known to be free."""
    return not (step.estimate and step.estimate.get("amount") == 0 and not step.estimate.get("estimated"))


def rounded_up(amount: float) -> float:
    """Return an amount with two decimals, a small one with two digits that count: never less than it is, and so never nothing."""
    digits = 2 if amount >= 0.1 or not amount else min(6, 1 - math.floor(math.log10(amount)))
    unit = float(10**digits)
    return math.ceil(round(amount * unit, 6)) / unit


def _written(amount: float) -> str:
    whole, _, part = f"{rounded_up(amount):.6f}".rstrip("0").partition(".")
    return f"{whole}.{part:0<2}"


def _bound(job: Job) -> Money:
    if job.state == "queued" and not job.current:
        return Money()  # nothing sent yet: it is checked again before it is
    return sum((first(step.cost, step.estimate) for step in job.steps), Money())


def _behind(job: Job) -> Money:
    return sum((first(step.cost, step.estimate) for step in job.steps[: job.current]), Money())


def _within(paid: Mapping[str, Paid], period: str, leapt: bool) -> dict[str, Money]:
    """Return what was paid on a day or in a month, as its digits: where the clock leapt, later too."""
    return {name: entry.money for name, entry in paid.items() if entry.day.startswith(period) or (leapt and entry.day > period)}


def _dollars(amounts: Mapping[str, Money]) -> float:
    return sum(amount.dollars for amount in amounts.values())


def _others(amounts: Mapping[str, Money]) -> dict[str, str]:
    return {currency: name for name, amount in amounts.items() for currency in amount.others}


def _sidecar_id(name: str, oldest: str) -> str | None:
    parts = parse_name(name) if name.endswith(".json") and name[:8] >= oldest else None
    return parts.operation_id if parts else None
