"""What can be told of a selection, as small tables: how much, how well, how fast. Pure; every table says what it leaves out.

A `Tally` holds the table, how many operations it counts, and how many lack what it is about. Shares come with Wilson's 95 %
interval; success is counted among those that nobody stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from opstore.analytics.selection import OUTCOMES, Bools, Numbers, Selection, Whole, local_quarters

_Z = float(ndtri(0.975))
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


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Numbers, Numbers]:
    """Return the ends of Wilson's 95 % interval of shares, NaN where nothing was counted."""
    k, n = np.asarray(successes, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (k + _Z**2 / 2) / (n + _Z**2)
        half = _Z / (n + _Z**2) * np.sqrt(k * (n - k) / n + _Z**2 / 4)
    empty = n == 0
    low, high = np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def counted(codes: Whole, size: int, weights: Numbers | None = None) -> npt.NDArray[Any]:
    """Return how often each code from 0 to `size` - 1 occurs; -1 counts nowhere."""
    return np.bincount(codes + 1, weights, minlength=size + 1)[1 : size + 1]


def crossed(rows: Whole, n_rows: int, columns: Whole, n_columns: int) -> Whole:
    """Return how often each pair of codes occurs; a missing one counts nowhere."""
    cells = np.bincount((rows + 1) * (n_columns + 1) + columns + 1, minlength=(n_rows + 1) * (n_columns + 1))
    return cells.reshape(n_rows + 1, n_columns + 1)[1:, 1:]


# -- how much ------------------------------------------------------------------------------------------------------------


def headline(selection: Selection) -> dict[str, Any]:
    """Return the figures at the top: operations, tried, succeeded, low, high, median_seconds, timed, cost, priced, currency."""
    outcome = np.bincount(selection.outcome(), minlength=3) if len(selection) else np.zeros(3, int)
    tried = int(outcome[0] + outcome[1])
    low, high = wilson(outcome[0], tried)
    timed = selection.ordered("elapsed_seconds")
    elapsed = selection.base.number("elapsed_seconds")[timed]
    money = main_cost(selection)
    return {
        "operations": len(selection),
        "tried": tried,
        "succeeded": int(outcome[0]),
        "low": float(low),
        "high": float(high),
        "median_seconds": quantile(elapsed, 0.5),
        "timed": len(elapsed),
        "cost": float(np.nansum(money.values)) if money.n else None,
        "priced": money.n,
        "estimated": money.estimated,
        "other_currencies": money.others,
        "currency": money.currency,
    }


def by_category(selection: Selection, name: str) -> Tally:
    """Return per type (or model, provider, …): n, succeeded, failed, stopped, tried, share, low, high; most first."""
    codes, names = selection.codes(name)
    cells = crossed(codes, len(names), selection.outcome(), 3)
    n = cells.sum(axis=1)
    tried = cells[:, 0] + cells[:, 1]
    low, high = wilson(cells[:, 0], tried)
    with np.errstate(invalid="ignore"):
        share = np.where(tried > 0, cells[:, 0] / np.maximum(tried, 1), np.nan)
    columns = {"n": n, **{kind: cells[:, at] for at, kind in enumerate(OUTCOMES)}, "tried": tried}
    table = pd.DataFrame({name: names, **columns, "share": share, "low": low, "high": high})
    table = table[table["n"] > 0].sort_values(["n", name], ascending=[False, True], ignore_index=True)
    return Tally(table, int(n.sum()), len(selection) - int(n.sum()))


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
    seconds = selection.seconds()
    there = seconds > np.iinfo(np.int64).min
    seconds, outcome = seconds[there], selection.outcome()[there]
    unit = unit or unit_for(float(seconds.max() - seconds.min()) if len(seconds) else 0.0)
    periods, places = periods_of(seconds, unit)
    cells = crossed(places, len(periods), outcome, 3)
    table = _stacked(periods, cells)
    table["n"] = cells.sum(axis=1)
    return Tally(table, len(seconds), len(selection) - len(seconds), {"unit": unit})


def periods_of(seconds: Whole, unit: str) -> tuple[npt.NDArray[np.datetime64], Whole]:
    """Return the periods from the first to the last, and of each moment its period; after 2,000 only those that hold anything."""
    if not len(seconds):
        return np.array([], "datetime64[s]"), np.array([], np.int64)
    hours = seconds // 3_600
    low = int(hours.min())
    if int(hours.max()) - low > 5_000_000:
        known, places = np.unique(starts(seconds, unit), return_inverse=True)
        return known, places.astype(np.int64)
    used = np.flatnonzero(np.bincount(hours - low))
    known, of_hour = np.unique(starts((used + low) * 3_600, unit), return_inverse=True)
    table = np.zeros(int(used[-1]) + 1, np.int64)
    table[used] = of_hour
    places = table[hours - low]
    every = _all_between(known[0], known[-1], unit)
    if len(every) > 2_000:
        return known, places
    return every, np.searchsorted(every, known)[places]


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
    codes, names = selection.codes("error_kind")
    failed = selection.outcome() == 1
    codes = np.where(failed, codes, -1)
    n = counted(codes, len(names))
    rows = selection.index()
    table = []
    for code in np.argsort(-n, kind="stable"):
        if n[code]:
            texts = selection.base.frame["error"].take(rows[codes == code][:5_000]).value_counts()
            table.append(
                (names[code], int(n[code]), str(texts.index[0]) if len(texts) else None, int(texts.iloc[0]) if len(texts) else 0)
            )
    found = pd.DataFrame(table, columns=["error_kind", "n", "example", "of_them"])
    return Tally(found, int(n.sum()), int(failed.sum()) - int(n.sum()), {"of": len(selection)})


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
    base = selection.base
    order, (codes, names) = base.order(column), base.codes(by)
    # Of all rows once: a filter then takes its part of what is sorted and binned already.
    values = base.once(("sorted", column), lambda: base.number(column)[order])
    bins = base.once(("bins", column), lambda: np.searchsorted(TIME_EDGES, values, side="right").astype(np.int64))
    groups = base.once(("sorted", column, by), lambda: codes[order])
    if selection.rows is not None:
        taken = selection.rows[order]
        values, bins, groups = values[taken], bins[taken], groups[taken]
    cells = crossed(groups, len(names), bins, len(TIME_EDGES) + 1)
    table = []
    for code in np.argsort(-cells.sum(axis=1), kind="stable"):
        mine = values[groups == code] if cells[code].any() else values[:0]
        if len(mine):
            table.append((names[code], len(mine), quantile(mine, 0.5), quantile(mine, 0.95), cells[code].tolist()))
    found = pd.DataFrame(table, columns=[by, "n", "median", "p95", "bins"])
    n = int(found["n"].sum())
    return Tally(found, n, len(selection) - n)


# -- how dear ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Money:
    """Costs in the commonest currency: a value a row (NaN: none), how many, how many estimates, how many in others."""

    values: Numbers
    currency: str | None
    n: int
    estimated: int
    others: int


def main_cost(selection: Selection) -> Money:
    """Return the costs in the commonest currency: amounts of different money are never added up."""
    return selection.once("money", lambda: _main_cost(selection))


def _main_cost(selection: Selection) -> Money:
    cost = selection.number("cost")
    codes, names = selection.codes("currency")
    priced = ~np.isnan(cost)
    n = counted(np.where(priced, codes, -1), len(names))
    if not n.any():
        return Money(np.where(priced, cost, np.nan), None, int(priced.sum()), _estimates(selection, priced), 0)
    main = int(np.argmax(n))
    mine = priced & (codes == main)
    return Money(
        np.where(mine, cost, np.nan), names[main], int(mine.sum()), _estimates(selection, mine), int(priced.sum() - mine.sum())
    )


def _estimates(selection: Selection, rows: Bools) -> int:
    return int(np.count_nonzero(selection.number("cost_estimated")[rows] == 1))


def cost_over_time(selection: Selection, unit: str | None = None) -> Tally:
    """Return per period: start, succeeded, failed, stopped: what was spent on each, in `extra["currency"]`."""
    money = main_cost(selection)
    seconds = selection.seconds()
    there = (seconds > np.iinfo(np.int64).min) & ~np.isnan(money.values)
    times, outcome = seconds[there], selection.outcome()[there]
    unit = unit or unit_for(float(times.max() - times.min()) if len(times) else 0.0)
    periods, places = periods_of(times, unit)
    sums = np.bincount(places * 3 + outcome, money.values[there], minlength=len(periods) * 3).reshape(-1, 3)
    table = _stacked(periods, sums)
    return Tally(table, len(times), len(selection) - len(times), {"unit": unit, **_spoken(money)})


def cost_by(selection: Selection, name: str = "model") -> Tally:
    """Return per model: n (priced), cost, on_failures, succeeded, per_success (NaN: none succeeded), estimated; dearest first.

    `per_success` is all that was spent, failures too, by the priced operations that have a result.
    """
    money = main_cost(selection)
    codes, names = selection.codes(name)
    priced = ~np.isnan(money.values)
    codes = np.where(priced, codes, -1)
    outcome, values = selection.outcome(), np.where(priced, money.values, 0.0)
    n, cost = counted(codes, len(names)), counted(codes, len(names), values)
    lost = counted(np.where(outcome == 1, codes, -1), len(names), values)
    good = counted(np.where(outcome == 0, codes, -1), len(names))
    guessed = counted(np.where(selection.number("cost_estimated") == 1, codes, -1), len(names))
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(good > 0, cost / np.maximum(good, 1), np.nan)
    table = pd.DataFrame(
        {name: names, "n": n, "cost": cost, "on_failures": lost, "succeeded": good, "per_success": each, "estimated": guessed}
    )
    table = table[table["n"] > 0].sort_values(["cost", name], ascending=[False, True], ignore_index=True)
    return Tally(table, int(n.sum()), len(selection) - int(n.sum()), _spoken(money))


def _spoken(money: Money) -> dict[str, Any]:
    return {"currency": money.currency, "estimated": money.estimated, "others": money.others}


# -- when ----------------------------------------------------------------------------------------------------------------


def rhythm(selection: Selection, zone: tzinfo = UTC) -> Tally:
    """Return how many operations began in each hour (columns 0 to 23) of each weekday (rows, Monday first) of a zone."""
    seconds = selection.seconds()
    seconds = seconds[seconds > np.iinfo(np.int64).min]
    cells = np.zeros((7, 24), np.int64)
    if len(seconds):
        weekdays, hours = local_quarters(seconds, zone)
        cells = np.bincount(weekdays * 24 + hours, minlength=168).reshape(7, 24)
    return Tally(pd.DataFrame(cells), len(seconds), len(selection) - len(seconds))


def span(selection: Selection) -> tuple[datetime, datetime] | None:
    """Return the first and the last moment, None of none."""
    seconds = selection.seconds()
    seconds = seconds[seconds > np.iinfo(np.int64).min]
    if not len(seconds):
        return None
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    return zero + timedelta(seconds=int(seconds.min())), zero + timedelta(seconds=int(seconds.max()))
