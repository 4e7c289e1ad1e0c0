"""What operations were about, as small tables: prompts, words, parameters, routing, opinions, storage. Pure, as `numbers` is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from opstore.analytics.numbers import SHOWN, Tally, counted, crossed, main_cost, periods_of, wilson
from opstore.analytics.ranking import win_rates
from opstore.analytics.selection import Selection, Whole

#: Words that say nothing of a prompt, French and English, folded.
_SMALL = """
a an and are as at be by for from has have i in into is it its no not of on or so that the their then this to up was with you
au aux avec ce ces cet cette d dans de des du elle en est et il ils je l la le les leur lui ma mais me mes n ne nous on ou
par pas pour qu que qui s sa sans se ses son sont sous sur ta te tes toi ton tu un une vers vous y
"""
STOP = frozenset(_SMALL.split())
#: Confidences are counted in tenths.
BINS = 10


def top_prompts(selection: Selection, count: int = SHOWN) -> Tally:
    """Return the commonest prompts, those that differ in writing only as one.

    Columns: prompt (as the newest has it), n, succeeded, tried, rating (mean, NaN: none), rated, cost, priced, example (the id
    of the newest that has a result, None: none). `extra["different"]`: how many different prompts there are.
    """
    codes = selection.prompts()
    _, newest = selection.base.keys()
    n = counted(codes, len(newest))
    blank = _blank(selection)
    if blank is not None:
        n[blank] = 0
    different = int(np.count_nonzero(n))
    top = _greatest(n, min(count, different))
    slots = np.full(len(newest) + 1, -1, np.int64)
    slots[top] = np.arange(len(top))
    chosen = np.flatnonzero(slots[codes] >= 0) if len(codes) else np.array([], np.int64)
    places = slots[codes[chosen]]
    rows = selection.index()[chosen]
    outcome, money = selection.outcome()[chosen], main_cost(selection)
    rating, cost = selection.number("rating")[chosen], money.values[chosen]
    size = len(top)
    rated, priced = ~np.isnan(rating), ~np.isnan(cost)
    sums = np.bincount(places, np.where(rated, rating, 0), minlength=size)
    votes = np.bincount(places[rated], minlength=size)
    examples, shown = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    examples[places[outcome == 0][::-1]] = rows[outcome == 0][::-1]
    shown[places[::-1]] = rows[::-1]
    frame = selection.base.frame
    ids = frame["operation_id"]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(votes > 0, sums / np.maximum(votes, 1), np.nan)
    table = pd.DataFrame(
        {
            "prompt": frame["prompt"].take(shown).tolist(),
            "n": n[top],
            "succeeded": np.bincount(places[outcome == 0], minlength=size),
            "tried": np.bincount(places[outcome != 2], minlength=size),
            "rating": means,
            "rated": votes,
            "cost": np.bincount(places, np.where(priced, cost, 0), minlength=size),
            "priced": np.bincount(places[priced], minlength=size),
            "example": pd.Series([None if row < 0 else ids[int(row)] for row in examples], dtype=object),
        }
    )
    total = int(n.sum())
    return Tally(table, total, len(selection) - total, {"different": different, "currency": money.currency})


def _blank(selection: Selection) -> int | None:
    """Return the number of the prompt that says nothing."""

    def make() -> int | None:
        _, newest = selection.base.keys()
        texts = selection.base.frame["prompt"].take(newest)
        found = np.flatnonzero((texts.str.strip() == "").to_numpy())
        return int(found[0]) if len(found) else None

    return selection.base.once("blank", make)


def _greatest(n: Whole, count: int) -> Whole:
    """Return the places of the greatest numbers, greatest first, of equal ones the first."""
    if not count:
        return np.array([], np.int64)
    # Very many are 1: the least that counts is found among the counts, not by sorting all.
    sizes = np.bincount(np.minimum(n, 1_000_000))
    enough = np.flatnonzero(np.cumsum(sizes[::-1])[::-1] >= count)
    places = np.flatnonzero(n >= max(int(enough[-1]) if len(enough) else 1, 1))
    return places[np.argsort(-n[places], kind="stable")][:count]


def top_words(selection: Selection, count: int = 20) -> Tally:
    """Return the commonest words of prompts: word, n (operations whose prompt has it); accents and small words do not count."""
    offsets, numbers, words, folded = selection.base.words()
    groups, heads = selection.base.once("word groups", lambda: _groups(folded))
    lengths = np.diff(offsets)
    if selection.rows is not None:
        numbers = numbers[np.repeat(selection.rows, lengths)]
        lengths = lengths[selection.rows]
    each = np.bincount(numbers, minlength=len(words))
    n = np.bincount(groups, each, minlength=len(heads)).astype(np.int64) if len(words) else np.array([], np.int64)
    n[[place for place, word in enumerate(heads) if word in STOP or len(word) < 2 or word.isdigit()]] = 0
    top = _greatest(n, min(count, int(np.count_nonzero(n))))
    shown = []
    for place in top:
        spellings = np.flatnonzero(groups == place)
        shown.append(words[int(spellings[np.argmax(each[spellings])])])
    table = pd.DataFrame({"word": shown, "n": n[top]})
    spoken = int(np.count_nonzero(lengths))
    return Tally(table, spoken, len(selection) - spoken)


def _groups(folded: list[str]) -> tuple[Whole, list[str]]:
    heads: dict[str, int] = {}
    groups = np.array([heads.setdefault(word, len(heads)) for word in folded], np.int64)
    return groups, list(heads)


def parameters(selection: Selection) -> Tally:
    """Return how often each value of each parameter was asked for: parameter, value (JSON), n; the commonest first."""
    codes, names = selection.codes("parameters")
    n = counted(codes, len(names))
    sets: list[dict[str, Any]] = selection.base.once("parameter sets", lambda: [json.loads(name) for name in names])
    totals: Counter[str] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for place in np.flatnonzero(n):
        for name, value in sets[place].items():
            found[name, json.dumps(value, ensure_ascii=False)] += int(n[place])
            totals[name] += int(n[place])
    rows = [(name, value, times) for (name, value), times in found.items()]
    rows.sort(key=lambda row: (-totals[row[0]], row[0], -row[2], row[1]))
    empty = int(sum(n[place] for place in np.flatnonzero(n) if not sets[place]))
    total = int(n.sum()) - empty
    return Tally(pd.DataFrame(rows, columns=["parameter", "value", "n"]), total, len(selection) - total)


# -- routing -------------------------------------------------------------------------------------------------------------


def calibration(selection: Selection) -> Tally:
    """Return per tenth of confidence: low_edge, n, kept (not overridden), share, low, high, tried, succeeded, success."""
    sure = selection.number("confidence")
    decided = selection.number("overridden")
    there = ~np.isnan(sure) & ~np.isnan(decided)
    bins = np.where(there, np.minimum((np.where(there, sure, 0) * BINS + 1e-9).astype(np.int64), BINS - 1), -1)
    outcome = selection.outcome()
    n = counted(bins, BINS)
    kept = counted(np.where(decided == 0, bins, -1), BINS)
    tried = counted(np.where(outcome != 2, bins, -1), BINS)
    good = counted(np.where(outcome == 0, bins, -1), BINS)
    low, high = wilson(kept, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        table = pd.DataFrame(
            {
                "low_edge": np.arange(BINS) / BINS,
                "n": n,
                "kept": kept,
                "share": np.where(n > 0, kept / np.maximum(n, 1), np.nan),
                "low": low,
                "high": high,
                "tried": tried,
                "succeeded": good,
                "success": np.where(tried > 0, good / np.maximum(tried, 1), np.nan),
            }
        )
    total = int(n.sum())
    return Tally(table, total, len(selection) - total)


def workflows(selection: Selection) -> Tally:
    """Return how often each proposed type (rows) was proposed with each tenth of confidence (columns 0 to 9); commonest first."""
    codes, names = selection.codes("workflow_id")
    sure = selection.number("confidence")
    there = ~np.isnan(sure)
    bins = np.where(there, np.minimum((np.where(there, sure, 0) * BINS + 1e-9).astype(np.int64), BINS - 1), -1)
    cells = crossed(codes, len(names), bins, BINS)
    table = pd.DataFrame(cells, index=names)
    table = table[cells.sum(axis=1) > 0]
    table = table.iloc[np.argsort(-table.sum(axis=1).to_numpy(), kind="stable")]
    total = int(cells.sum())
    return Tally(table, total, len(selection) - total)


# -- opinions ------------------------------------------------------------------------------------------------------------


def ratings(selection: Selection, by: str = "model") -> Tally:
    """Return per model: n (rated), mean, stars_1 … stars_5; most rated first."""
    codes, names = selection.codes(by)
    rating = selection.number("rating")
    stars = np.where(np.isnan(rating), -1, np.nan_to_num(rating) - 1).astype(np.int64)
    cells = crossed(codes, len(names), stars, 5)
    n = cells.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(n > 0, cells @ np.arange(1, 6) / np.maximum(n, 1), np.nan)
    table = pd.DataFrame({by: names, "n": n, "mean": means, **{f"stars_{star + 1}": cells[:, star] for star in range(5)}})
    table = table[table["n"] > 0].sort_values(["n", by], ascending=[False, True], ignore_index=True)
    return Tally(table, int(n.sum()), len(selection) - int(n.sum()))


def wins(selection: Selection, votes: Sequence[Mapping[str, Any]], by: str = "model") -> Tally:
    """Return per model what blind votes say: model, rate, low, high (of 1), votes, wins, ties; the best first.

    `votes` are rows with `left`, `right` (ids) and `winner` (an id, None for a tie). n counts the votes between two of the
    selection that differ in `by`; missing are the others.
    """
    frame, rows = selection.base.frame, selection.index()
    ids = {vote[side] for vote in votes for side in ("left", "right")}
    chosen = rows[frame["operation_id"].iloc[rows].isin(ids).to_numpy()] if ids else rows[:0]
    named = zip(frame["operation_id"].iloc[chosen], frame[by].iloc[chosen], strict=True)
    known = {str(key): str(name) for key, name in named if pd.notna(name)}
    pairs = [(known.get(vote["left"]), known.get(vote["right"])) for vote in votes]
    met = [
        vote for vote, (one, other) in zip(votes, pairs, strict=True) if one is not None and other is not None and one != other
    ]
    columns = ("rate", "low", "high", "votes", "wins", "ties")
    lines = [[item.name, *(getattr(item, name) for name in columns)] for item in win_rates(met, known.get)]
    return Tally(pd.DataFrame(lines, columns=[by, *columns]), len(met), len(votes) - len(met))


# -- storage -------------------------------------------------------------------------------------------------------------

KINDS = ("inputs", "intermediates", "images", "videos")


def storage(selection: Selection) -> Tally:
    """Return per month (UTC): start, inputs, intermediates, images, videos (bytes, as sidecars say), and the total so far."""
    seconds = selection.seconds()
    said = [selection.number(name) for name in ("bytes_in", "bytes_between", "bytes_out")]
    known = ~np.isnan(said[0]) | ~np.isnan(said[1]) | ~np.isnan(said[2])
    there = known & (seconds > np.iinfo(np.int64).min)
    video = selection.has("media", "video")[there]
    inputs, between, out = (np.where(np.isnan(values), 0, values)[there] for values in said)
    periods, places = periods_of(seconds[there], "month")
    sums = [np.bincount(places, values, minlength=len(periods)) for values in (inputs, between, out * ~video, out * video)]
    table = pd.DataFrame({"start": pd.to_datetime(periods, utc=True), **dict(zip(KINDS, sums, strict=True))})
    table["total"] = table[list(KINDS)].sum(axis=1).cumsum()
    n = int(np.count_nonzero(there))
    return Tally(table, n, len(selection) - n)
