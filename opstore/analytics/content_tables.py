"""What operations were about, as small tables: prompts, words, parameters, routing, opinions, storage; pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from opstore.analytics.drilldown import parameter_sets
from opstore.analytics.ranking import win_rates
from opstore.analytics.selection import TENTHS, Base, Bools, Numbered, Selection, Whole, is_rated, rated
from opstore.analytics.usage_tables import SHOWN, Tally, by_period, main_cost, optional, wilson
from opstore.index.prompts import prompt_key

#: Words that say nothing of a prompt, French and English, folded.
_SMALL = """
a an and are as at be by for from has have i in into is it its no not of on or so that the their then this to up was with you
au aux avec ce ces cet cette d dans de des du elle en est et il ils je l la le les leur lui ma mais me mes n ne nous on ou
par pas pour qu que qui s sa sans se ses son sont sous sur ta te tes toi ton tu un une vers vous y
"""
STOP = frozenset(_SMALL.split())


def top_prompts(selection: Selection, count: int = SHOWN) -> Tally:
    """Return the commonest prompts, those that differ in writing only as one.

    Columns: prompt (as the newest has it), n, succeeded, tried, rating (mean, NaN: none), rated, cost, priced, example (the id
    of the newest that has a result, None: none). `extra["different"]`: how many different prompts there are.
    """
    base, money = selection.base, main_cost(selection)
    n = selection.count("prompt")
    blank = base.once("blank", lambda: _blank(base))
    if len(blank):
        n = n.copy()
        n[blank] = 0
    different = int(np.count_nonzero(n))
    top = _greatest(n, min(count, different))
    size = len(top)
    slots = np.full(len(n) + 1, -1, np.int8)
    slots[top] = np.arange(size)
    chosen = np.flatnonzero(slots[selection.of_rows(base.axis("prompt").codes)] >= 0) if size else np.array([], np.int64)
    rows = selection.index()[chosen]
    places = slots[base.axis("prompt").codes[rows]]
    outcome, rating = base.axis("outcome").codes[rows], base.number("rating")[rows]
    rated, priced = ~np.isnan(rating), base.axis("currency").codes[rows] == money.code
    cost = base.amount("cost")[rows]
    sums = np.bincount(places, np.where(rated, rating, 0), minlength=size)
    votes = np.bincount(places[rated], minlength=size)
    examples, shown = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    examples[places[outcome == 0][::-1]] = rows[outcome == 0][::-1]
    shown[places[::-1]] = rows[::-1]
    frame = base.frame
    ids = frame["operation_id"]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(votes > 0, sums / np.maximum(votes, 1), np.nan)
    table = pd.DataFrame(
        {
            "prompt": frame["prompt"].take(shown).tolist(),
            "n": n[top],
            "succeeded": np.bincount(places[outcome == 0], minlength=size),
            "tried": np.bincount(places[is_rated(outcome)], minlength=size),
            "rating": means,
            "rated": votes,
            "cost": np.bincount(places, np.where(priced, cost, 0), minlength=size),
            "priced": np.bincount(places[priced], minlength=size),
            "example": optional([None if row < 0 else ids[int(row)] for row in examples]),
        }
    )
    total = int(n.sum())
    return Tally(table, total, len(selection) - total, {"different": different, "currency": money.currency})


def _blank(base: Base) -> Whole:
    """Return the number of the prompt that says nothing, if there is one: all of these have one key."""
    rows = np.flatnonzero((base.frame["prompt_key"] == prompt_key("")).to_numpy(bool, na_value=False))
    return base.axis("prompt").codes[rows[:1]]


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
    base = selection.base
    words = base.words()[2]
    groups, silent = base.once("word groups", lambda: _groups(base.words()[3]))
    each, spoken = _each(selection)
    n = np.bincount(groups, each, minlength=len(silent)).astype(np.int64)
    n[silent] = 0
    top = _greatest(n, min(count, int(np.count_nonzero(n))))
    shown = []
    for place in top:
        spellings = np.flatnonzero(groups == place)
        shown.append(words[int(spellings[np.argmax(each[spellings])])])
    return Tally(pd.DataFrame({"word": shown, "n": n[top]}), spoken, len(selection) - spoken)


def _each(selection: Selection) -> tuple[Whole, int]:
    """Return how many rows have each word, and how many have any."""
    base, rows = selection.base, selection.rows
    lengths = base.once("word lengths", lambda: np.diff(base.words()[0]))
    everything = np.ones(len(lengths), bool)
    every = base.once("every word", lambda: (_of_many(everything, base.words(), lengths), int(np.count_nonzero(lengths))))
    if rows is None:
        return every
    # The smaller part is counted: words are eight times as many as rows.
    fewer = rows if 2 * len(selection) <= len(rows) else ~rows
    chosen = np.flatnonzero(fewer)
    few = 5 * len(chosen) <= len(rows)
    each = _of_some(chosen, base.words(), lengths) if few else _of_many(fewer, base.words(), lengths)
    found = each, int(np.count_nonzero(lengths[chosen]))
    return found if fewer is rows else (every[0] - found[0], every[1] - found[1])


#: Rows at a time: their words stay near the processor, which takes half the time.
_CHUNK = 50_000


def _of_some(chosen: Whole, words: Numbered, lengths: Whole) -> Whole:
    """Return how often each word stands in some rows, by looking at theirs."""
    offsets, numbers, names, _folded = words
    counts = np.zeros(len(names), np.int64)
    for start in range(0, len(chosen), _CHUNK):
        these = chosen[start : start + _CHUNK]
        part = lengths[these]
        ends = np.cumsum(part)
        taken = numbers[np.repeat(offsets[these] - (ends - part), part) + np.arange(ends[-1])]
        counts += np.bincount(taken, minlength=len(names))
    return counts


def _of_many(rows: Bools, words: Numbered, lengths: Whole) -> Whole:
    """Return the same by walking through all words."""
    offsets, numbers, names, _folded = words
    counts = np.zeros(len(names), np.int64)
    for start in range(0, len(rows), _CHUNK):
        end = min(start + _CHUNK, len(rows))
        part = numbers[offsets[start] : offsets[end]]
        counts += np.bincount(part[np.repeat(rows[start:end], lengths[start:end])], minlength=len(names))
    return counts


def _groups(folded: list[str]) -> tuple[Whole, npt.NDArray[np.bool_]]:
    """Return of each word the number of its group, words that differ in accents only being one, and which groups say nothing."""
    heads: dict[str, int] = {}
    groups = np.array([heads.setdefault(word, len(heads)) for word in folded], np.int64)
    return groups, np.array([word in STOP or len(word) < 2 or word.isdigit() for word in heads], bool)


def parameters(selection: Selection) -> Tally:
    """Return how often each value of each parameter was asked for: parameter, value (JSON), n; the commonest first."""
    n = selection.count("parameters")
    sets = selection.base.once("parameter sets", lambda: parameter_sets(selection.base))
    totals: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for place in np.flatnonzero(n):
        for name, value in sets[place].items():
            counts[name, json.dumps(value, ensure_ascii=False)] += int(n[place])
            totals[name] += int(n[place])
    rows = [(name, value, times) for (name, value), times in counts.items()]
    rows.sort(key=lambda row: (-totals[row[0]], row[0], -row[2], row[1]))
    empty = int(sum(n[place] for place in np.flatnonzero(n) if not sets[place]))
    total = int(n.sum()) - empty
    return Tally(pd.DataFrame(rows, columns=["parameter", "value", "n"]), total, len(selection) - total)


def choices(tally: Tally, count: int) -> pd.DataFrame:
    """Return the rows of `parameters` that say most: four values of each at most, and last what everybody sets alike."""
    spread = tally.table.groupby("parameter")["value"].transform("size")
    rows = tally.table.assign(single=spread == 1).sort_values("single", kind="stable")
    return rows.groupby("parameter", sort=False).head(4).head(count)


# -- routing -------------------------------------------------------------------------------------------------------------


def calibration(selection: Selection) -> Tally:
    """Return per tenth of confidence: low_edge, n, kept (not overridden), share, low, high, tried, succeeded, success."""
    cells = selection.count("confidence", "overridden", "outcome")
    n, kept = cells.sum(axis=(1, 2)), cells[:, 0].sum(axis=1)
    good = cells[:, :, 0].sum(axis=1)
    tried = rated(cells.sum(axis=1))
    low, high = wilson(kept, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        table = pd.DataFrame(
            {
                "low_edge": np.arange(TENTHS) / TENTHS,
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
    names, cells = selection.base.codes("workflow_id")[1], selection.count("workflow_id", "confidence")
    table = pd.DataFrame(cells, index=names)
    table = table[cells.sum(axis=1) > 0]
    table = table.iloc[np.argsort(-table.sum(axis=1).to_numpy(), kind="stable")]
    total = int(cells.sum())
    return Tally(table, total, len(selection) - total)


# -- opinions ------------------------------------------------------------------------------------------------------------


def ratings(selection: Selection, by: str = "model") -> Tally:
    """Return per model: n (rated), mean, stars_1 … stars_5; most rated first."""
    names, cells = selection.base.codes(by)[1], selection.count(by, "rating")
    n = cells.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(n > 0, cells @ np.arange(1, 6) / np.maximum(n, 1), np.nan)
    table = pd.DataFrame({by: names, "n": n, "mean": means, **{f"stars_{star + 1}": cells[:, star] for star in range(5)}})
    table = table[table["n"] > 0].sort_values(["n", by], ascending=[False, True], ignore_index=True)
    return Tally(table, int(n.sum()), len(selection) - int(n.sum()))


def wins(selection: Selection, votes: Sequence[Mapping[str, Any]], by: str = "model") -> Tally:
    """Return per model what blind votes say: model, rate, low, high (of 1), votes, wins, ties; in the order of `low`.

    `votes` are rows with `left`, `right` (ids) and `winner` (an id, None for a tie). n counts the votes between two of the
    selection that differ in `by`; missing are the others.
    """
    frame = selection.base.frame
    ids = frozenset(vote[side] for vote in votes for side in ("left", "right"))
    # Looking for texts among a million takes a tenth of a second: once for the votes there are.
    voted = selection.base.once(("rows of", ids), lambda: np.flatnonzero(frame["operation_id"].isin(ids).to_numpy()))
    chosen = voted if selection.rows is None else voted[selection.rows[voted]]
    codes, names = selection.base.codes(by)
    named = zip(frame["operation_id"].iloc[chosen], codes[chosen].tolist(), strict=True)
    known = {str(key): names[code] for key, code in named if code >= 0}
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
    axes = ("sized", "is_video")
    counts = selection.count(*axes)
    inputs, between, out = (selection.total(name, *axes) for name in ("bytes_in", "bytes_between", "bytes_out"))
    cells = np.column_stack([inputs.sum(axis=1), between.sum(axis=1), out, counts.sum(axis=1)])
    periods, sums = by_period(selection.base, cells, "month")
    table = pd.DataFrame({"start": pd.to_datetime(periods, utc=True), **{kind: sums[:, at] for at, kind in enumerate(KINDS)}})
    table["total"] = table[list(KINDS)].sum(axis=1).cumsum()
    n = int(counts.sum())
    return Tally(table, n, len(selection) - n)
