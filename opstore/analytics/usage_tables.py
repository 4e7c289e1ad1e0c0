"""What can be told of a selection, as small tables: how much, how well, how fast. Pure; every table says what it leaves out.

A `Tally` holds the table, how many operations it counts, and how many lack what it is about. Shares come with Wilson's 95 %
interval; success is counted among those that nobody stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from opstore.analytics.selection import OUTCOMES, QUARTER, Base, Numbers, Selection, Whole, local_quarters, rated

#: The normal distribution's 97.5 % quantile; SciPy, which knows it, takes 0.1 s to load.
_Z = 1.959963984540054
#: Edges of the bins of times, in seconds: four to each doubling.
TIME_EDGES = 2.0 ** np.arange(-4, 14.01, 0.5)
SHOWN = 12


@dataclass(frozen=True)
class Tally:
    """A small table; `n` operations are in it, `missing` of the selection lack what it is about."""

    table: pd.DataFrame
    n: int
    missing: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether there is anything to show."""
        return self.n > 0


def optional(texts: Sequence[str | None]) -> pd.Series[Any]:
    """Return texts of which some are missing, as a column where None stays None: pandas makes NaN of it, which is true."""
    return pd.Series(texts, dtype=object)


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Numbers, Numbers]:
    """Return the ends of Wilson's 95 % interval of shares, NaN if nothing was counted."""
    k, n = np.asarray(successes, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (k + _Z**2 / 2) / (n + _Z**2)
        half = _Z / (n + _Z**2) * np.sqrt(k * (n - k) / n + _Z**2 / 4)
    empty = n == 0
    low, high = np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


# -- how much ------------------------------------------------------------------------------------------------------------


def headline(selection: Selection) -> dict[str, Any]:
    """Return the figures at the top: operations, tried, succeeded, low, high, median_seconds, timed, cost, priced, currency."""
    counts = selection.count("outcome")
    good, tried = int(counts[0]), int(rated(counts))
    low, high = wilson(good, tried)
    elapsed, _ = selection.ordered("elapsed_seconds")
    money = main_cost(selection)
    return {
        "operations": len(selection),
        "tried": tried,
        "succeeded": good,
        "low": float(low),
        "high": float(high),
        "median_seconds": quantile(elapsed, 0.5),
        "timed": len(elapsed),
        "cost": float(selection.total("cost", "currency")[money.code]) if money.n else None,
        "priced": money.n,
        "estimated": money.estimated,
        "other_currencies": money.others,
        "currency": money.currency,
    }


def by_category(selection: Selection, name: str) -> Tally:
    """Return per type (or model, provider, …): n, succeeded, failed, stopped, tried, share, low, high; most first."""
    names, cells = selection.base.codes(name)[1], selection.count(name, "outcome")
    n = cells.sum(axis=1)
    tried = rated(cells)
    low, high = wilson(cells[:, 0], tried)
    with np.errstate(invalid="ignore"):
        share = np.where(tried > 0, cells[:, 0] / np.maximum(tried, 1), np.nan)
    columns = {"n": n, **{kind: cells[:, at] for at, kind in enumerate(OUTCOMES)}, "tried": tried}
    table = pd.DataFrame({name: names, **columns, "share": share, "low": low, "high": high})
    table = table[table["n"] > 0].sort_values(["n", name], ascending=[False, True], ignore_index=True)
    return Tally(table, int(n.sum()), len(selection) - int(n.sum()))


def success(selection: Selection, name: str) -> Tally:
    """Return the same of those that nobody stopped: n counts what the shares are of."""
    table = by_category(selection, name).table
    table = table[table["tried"] > 0].reset_index(drop=True)
    n = int(table["tried"].sum())
    return Tally(table, n, int(selection.count("outcome")[:2].sum()) - n)


UNITS = ("hour", "day", "week", "month")


def unit_for(seconds: float) -> str:
    """Return by what a span of time is counted: at most some sixty bars."""
    days = seconds / 86_400
    return "hour" if days <= 3 else "day" if days <= 92 else "week" if days <= 550 else "month"


def starts(seconds: Whole, unit: str) -> npt.NDArray[np.datetime64]:
    """Return the beginning of the hour, day, week (Monday) or month of moments, in UTC, as the search language counts days."""
    moments = seconds.astype("datetime64[s]")
    if unit == "hour":
        return moments.astype("datetime64[h]").astype("datetime64[s]")
    days = moments.astype("datetime64[D]")
    if unit == "month":
        return days.astype("datetime64[M]").astype("datetime64[s]")
    if unit == "week":
        days = days - (days.astype(np.int64) + 3) % 7
    return days.astype("datetime64[s]")


def over_time(selection: Selection, unit: str | None = None) -> Tally:
    """Return per hour, day, week or month (by the span): start, succeeded, failed, stopped, n; empty ones too.

    `extra["unit"]` says which. The days are those of UTC.
    """
    cells = selection.count("quarter", "outcome")
    unit = unit or _unit_of(selection)
    table = _stacked(*by_period(selection.base, cells, unit))
    table["n"] = table[list(OUTCOMES)].sum(axis=1)
    n = int(cells.sum())
    return Tally(table, n, len(selection) - n, {"unit": unit})


def _unit_of(selection: Selection) -> str:
    first, last = selection.ends() or (0, 0)
    return unit_for(float(last - first))


def by_period(base: Base, cells: npt.NDArray[Any], unit: str) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[Any]]:
    """Return the periods from the first to the last that count, and what their quarters of an hour (rows) add up to.

    If there would be more than 2,000, only those that hold anything.
    """
    held = np.flatnonzero(cells.any(axis=1))
    if not len(held):
        return np.array([], "datetime64[s]"), cells[:0]
    begun = base.once(("starts", unit), lambda: np.unique(starts(base.quarters() * QUARTER, unit), return_inverse=True))
    first, last = begun[1][held[0]], begun[1][held[-1]]
    known, places = begun[0][first : last + 1], begun[1][held] - first
    every = _all_between(known[0], known[-1], unit)
    if len(every) > 2_000:
        every = np.unique(known[places])
    at = np.searchsorted(every, known)[places]
    # Quarters ascend, so the quarters of a period follow each other.
    beginnings = np.flatnonzero(np.diff(at, prepend=-1))
    found = np.zeros((len(every), cells.shape[1]), cells.dtype)
    found[at[beginnings]] = np.add.reduceat(cells[held], beginnings, axis=0)
    return every, found


def _stacked(periods: npt.NDArray[np.datetime64], cells: npt.NDArray[Any]) -> pd.DataFrame:
    start = pd.to_datetime(periods, utc=True)
    return pd.DataFrame({"start": start, **{kind: cells[:, at] for at, kind in enumerate(OUTCOMES)}})


def _all_between(first: np.datetime64, last: np.datetime64, unit: str) -> npt.NDArray[np.datetime64]:
    if unit == "month":
        return np.arange(first.astype("datetime64[M]"), last.astype("datetime64[M]") + 1).astype("datetime64[s]")
    step = np.timedelta64({"hour": 3_600, "day": 86_400, "week": 7 * 86_400}[unit], "s")
    return np.arange(first, last + step, step)


# -- how well ------------------------------------------------------------------------------------------------------------


def errors(selection: Selection) -> Tally:
    """Return per cause of failure: n, example (its commonest text), of_them (how many say just that); most first."""
    base = selection.base
    rows, pairs, texts = base.once("failures", lambda: _failures(base))
    names = base.codes("error_kind")[1]
    n = np.bincount(pairs if selection.rows is None else pairs[selection.rows[rows]], minlength=len(texts))
    kinds = np.array([kind for kind, _ in texts], np.int64)
    lines = []
    for kind in np.unique(kinds[n > 0]):
        mine = np.flatnonzero(kinds == kind)
        said = mine[[texts[pair][1] is not None for pair in mine]]
        best = int(said[np.argmax(n[said])]) if len(said) and n[said].any() else None
        example = (None, 0) if best is None else (texts[best][1], int(n[best]))
        lines.append((names[kind], int(n[mine].sum()), *example))
    table = pd.DataFrame(lines, columns=["error_kind", "n", "example", "of_them"])
    table["example"] = optional([line[2] for line in lines])
    table = table.sort_values("n", ascending=False, kind="stable", ignore_index=True)
    counted = int(n.sum())
    return Tally(table, counted, int(selection.count("outcome")[1]) - counted, {"of": len(selection)})


def _failures(base: Base) -> tuple[Whole, Whole, list[tuple[int, str | None]]]:
    """Return the rows that failed of a known cause, of each the number of its pair of cause and text, and the pairs."""
    kinds, _names = base.codes("error_kind")
    rows = np.flatnonzero((base.axis("outcome").codes == 1) & (kinds >= 0))
    texts, known = pd.factorize(base.frame["error"].take(rows), use_na_sentinel=True)
    pairs, places = np.unique(kinds[rows].astype(np.int64) * (len(known) + 1) + texts + 1, return_inverse=True)
    told = [(int(pair) // (len(known) + 1), int(pair) % (len(known) + 1) - 1) for pair in pairs]
    return rows, places, [(kind, None if text < 0 else str(known[text])) for kind, text in told]


# -- how fast ------------------------------------------------------------------------------------------------------------


def quantile(ordered: Numbers, share: float) -> float | None:
    """Return a quantile of sorted numbers, between two of them linearly as pandas does; None of none."""
    if not len(ordered):
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    rest = place - low
    return float(ordered[low] if not rest else ordered[low] + (ordered[low + 1] - ordered[low]) * rest)


def times(selection: Selection, by: str, column: str = "elapsed_seconds") -> Tally:
    """Return per type or model: n, median, p95, and `bins`, how many lie in each of TIME_EDGES; most first."""
    names = selection.base.codes(by)[1]
    values, groups = selection.ordered(column, by)
    # Group after group, each in order: quantiles and bins are places in it.
    ends = np.searchsorted(groups, np.arange(-1, len(names)), side="right")
    table = []
    for code, (start, end) in enumerate(itertools.pairwise(ends)):
        mine = values[start:end]
        if len(mine):
            bins = np.diff(np.searchsorted(mine, TIME_EDGES, side="left"), prepend=0, append=len(mine))
            table.append((names[code], len(mine), quantile(mine, 0.5), quantile(mine, 0.95), bins.tolist()))
    found = pd.DataFrame(table, columns=[by, "n", "median", "p95", "bins"])
    found = found.sort_values("n", ascending=False, kind="stable", ignore_index=True)
    n = int(found["n"].sum())
    return Tally(found, n, len(selection) - n)


# -- how dear ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Money:
    """The commonest currency: its place along the axis, how many cost something in it, how many estimates, how many others."""

    code: int
    currency: str | None
    n: int
    estimated: int
    others: int


def main_cost(selection: Selection) -> Money:
    """Return the commonest currency, which costs are told in: amounts of different money are never added up."""
    names, n = selection.base.currencies(), selection.count("currency")
    code = int(np.argmax(n[:-1])) if n[:-1].any() else len(names) - 1
    estimated = int(selection.count("currency", "cost_estimated")[code, 1])
    return Money(code, names[code], int(n[code]), estimated, int(n.sum() - n[code]))


def cost_over_time(selection: Selection, unit: str | None = None) -> Tally:
    """Return per period: start, succeeded, failed, stopped: what was spent on each, in `extra["currency"]`."""
    money = main_cost(selection)
    counts = selection.count("quarter", "currency")[:, money.code]
    sums = selection.total("cost", "quarter", "outcome", "currency")[:, :, money.code]
    held = selection.base.quarters()[counts > 0]
    unit = unit or unit_for(float((held[-1] - held[0]) * QUARTER) if len(held) else 0.0)
    periods, cells = by_period(selection.base, np.column_stack([sums, counts]), unit)
    n = int(counts.sum())
    return Tally(_stacked(periods, cells), n, len(selection) - n - money.others, {"unit": unit, **_spoken(money)})


def cost_by(selection: Selection, name: str = "model") -> Tally:
    """Return per model: n (priced), cost, on_failures, on_stopped, succeeded, per_success, estimated; dearest first.

    `per_success` (NaN: none succeeded) is all that was spent, failures too, by the priced operations that have a result.
    """
    money, names = main_cost(selection), selection.base.codes(name)[1]
    every = selection.count(name, "outcome", "currency")
    counts = every[:, :, money.code]
    sums = selection.total("cost", name, "outcome", "currency")[:, :, money.code]
    guessed = selection.count(name, "currency", "cost_estimated")[:, money.code, 1]
    n, cost, good = counts.sum(axis=1), sums.sum(axis=1), counts[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(good > 0, cost / np.maximum(good, 1), np.nan)
    lost = {"on_failures": sums[:, 1], "on_stopped": sums[:, 2]}
    columns = {"n": n, "cost": cost, **lost, "succeeded": good, "per_success": each, "estimated": guessed}
    table = pd.DataFrame({name: names, **columns})
    table = table[table["n"] > 0].sort_values(["cost", name], ascending=[False, True], ignore_index=True)
    named, counted = int(every.sum()), int(n.sum())
    here = replace(money, estimated=int(guessed.sum()), others=named - counted)
    return Tally(table, counted, len(selection) - named, _spoken(here))


def _spoken(money: Money) -> dict[str, Any]:
    return {"currency": money.currency, "estimated": money.estimated, "others": money.others}


# -- when ----------------------------------------------------------------------------------------------------------------


def rhythm(selection: Selection, zone: tzinfo = UTC) -> Tally:
    """Return how many operations began in each hour (columns 0 to 23) of each weekday (rows, Monday first) of a zone."""
    base, quarters = selection.base, selection.count("quarter")
    slots = base.once(("slots", str(zone)), lambda: slots_of(base.quarters(), zone))
    cells = np.bincount(slots, quarters, minlength=168).astype(np.int64).reshape(7, 24)
    n = int(quarters.sum())
    return Tally(pd.DataFrame(cells), n, len(selection) - n)


def slots_of(quarters: Whole, zone: tzinfo) -> Whole:
    """Return of each quarter of an hour (since 1970, UTC) its hour of the week in a zone: 0 is midnight to Monday."""
    if not len(quarters):
        return quarters
    weekdays, hours = local_quarters(quarters, zone)
    slots: Whole = weekdays * 24 + hours
    return slots


def span(selection: Selection) -> tuple[datetime, datetime] | None:
    """Return the first and the last moment, None of none."""
    ends = selection.ends()
    if ends is None:
        return None
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    return zero + timedelta(seconds=ends[0]), zero + timedelta(seconds=ends[1])
