"""Some rows of a frame, as the arrays that numbers are told from; what all selections of a frame share is made once.

Everything is counted along axes: an `Axis` gives each row a small whole number, made once for the whole frame, and a selection
counts (or adds up) its rows at each combination of some of them in one pass. Nothing of the frame is copied that nobody asks for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from opstore.analytics.columns import FIELDS
from opstore.index import order
from opstore.index.prompts import fold_word, words_of
from opstore.index.terms import fold_name

Bools = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
#: The offsets and numbers of each row's words, the vocabulary, and its folded twin.
Numbered = tuple[Whole, Whole, list[str], list[str]]
_T = TypeVar("_T")

#: Zones differ from UTC by quarters of an hour.
QUARTER = 900
_NEVER = np.iinfo(np.int64).min
_EPOCH = int(order.EPOCH.timestamp())
#: Bytes of an array that is kept no longer than its selection is looked at.
_LARGE = 100_000
#: Confidences are counted in tenths.
TENTHS = 10


@dataclass(frozen=True)
class Axis:
    """A whole number from 0 to `size` - 1 for each row of a frame, -1 where it has none."""

    codes: npt.NDArray[Any]
    size: int


class Base:
    """A whole frame, and what is made of it once."""

    def __init__(self, frame: pd.DataFrame, words: Numbered | None = None, seconds: Whole | None = None) -> None:
        """`words` are the offsets and numbers of each row's words, the vocabulary, and its folded twin; `seconds` the ids'."""
        self.frame = frame
        known = {"words": words, "id seconds": seconds}
        self._made: dict[Any, Any] = {name: values for name, values in known.items() if values is not None}
        self._lock = threading.Lock()
        self._making: dict[Any, threading.RLock] = {}

    def once(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return what `make` made the first time; several threads make different things beside each other."""
        if key not in self._made:
            with self._lock:
                making = self._making.setdefault(key, threading.RLock())
            with making:
                if key not in self._made:
                    self._made[key] = make()
        found: _T = self._made[key]
        return found

    # -- axes ------------------------------------------------------------------------------------------------------------

    def axis(self, name: str) -> Axis:
        """Return an axis: a column of categories by its name, or one of AXES."""

        def make() -> Axis:
            special = AXES.get(name)
            return special(self) if special else Axis(self.codes(name)[0], len(self.codes(name)[1]))

        return self.once(("axis", name), make)

    def cells(self, names: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the number of each row's combination of axes, the missing of each before its others."""

        def make() -> npt.NDArray[np.int32]:
            found = np.zeros(len(self.frame), np.int32)
            for axis in map(self.axis, names):
                found *= axis.size + 1
                found += axis.codes.astype(np.int32) + 1
            return found

        return self.once(("cells", *names), make)

    def codes(self, name: str) -> tuple[npt.NDArray[Any], list[str]]:
        """Return a category's codes (-1: missing) and their names; what no search can tell apart is one, as most write it."""

        def make() -> tuple[npt.NDArray[Any], list[str]]:
            values = self.frame[name].astype("category").cat
            codes, names = values.codes.to_numpy(), [str(item) for item in values.categories]
            return _joined(FIELDS[name], codes, names) if name in FIELDS else (codes, names)

        return self.once(("codes", name), make)

    def currencies(self) -> list[str | None]:
        """Return the currencies along the axis `currency`; None last: a cost without one."""
        return [*self.codes("currency")[1], None]

    def quarters(self) -> Whole:
        """Return the different quarters of an hour along the axis `quarter`, in quarters since 1970, ascending."""
        return self.once("quarters", lambda: self._quarters())[0]

    def _quarters(self) -> tuple[Whole, npt.NDArray[np.int32]]:
        seconds = self.seconds()
        there = seconds > _NEVER
        quarters = np.floor_divide(seconds, QUARTER)
        if there.all():
            known, places = distinct(quarters)
            return known, places.astype(np.int32)
        codes = np.full(len(seconds), -1, np.int32)
        known, places = distinct(quarters[there])
        codes[there] = places
        return known, codes

    # -- values ----------------------------------------------------------------------------------------------------------

    def number(self, name: str) -> Numbers:
        """Return a column as doubles, NaN where it is missing."""
        return self.once(("number", name), lambda: self.frame[name].to_numpy("float64", na_value=np.nan))

    def amount(self, name: str) -> Numbers:
        """Return a column as doubles that can be added up: 0 where it is missing."""
        return self.once(("amount", name), lambda: np.nan_to_num(self.number(name)))

    def id_seconds(self) -> Whole:
        """Return the seconds that the ids say, since 2020."""
        ids = self.frame["operation_id"]
        return self.once("id seconds", lambda: np.fromiter(map(order.second_of, ids), np.int64, len(ids)))

    def seconds(self) -> Whole:
        """Return each row's moment in seconds of UTC: the id's, as a search counts days. `timestamp` may say another."""
        return self.once("seconds", lambda: self.id_seconds() + _EPOCH)

    def newest(self) -> Whole:
        """Return of each different prompt, along the axis `prompt`, its newest row."""

        def make() -> Whole:
            codes = self.axis("prompt").codes
            newest = np.full(self.axis("prompt").size, -1, np.int64)
            rows = np.flatnonzero(codes >= 0)[::-1]
            newest[codes[rows]] = rows
            return newest

        return self.once("newest", make)

    def order(self, name: str, by: str | None = None) -> npt.NDArray[np.int32]:
        """Return the rows that have a number, from the least to the greatest; with `by` one group of that axis after another."""

        def make() -> npt.NDArray[np.int32]:
            if by is not None:
                rows = self.order(name)
                return rows[np.argsort(self.axis(by).codes[rows], kind="stable")]
            values = self.number(name)
            found = np.flatnonzero(~np.isnan(values)).astype(np.int32)
            return found[ascending(values[found])]

        return self.once(("order", name, by), make)

    def words(self) -> Numbered:
        """Return the offsets and numbers of each row's words, the vocabulary, and its folded twin."""

        def make() -> Numbered:
            known: dict[str, int] = {}
            offsets, numbers = [0], []
            for prompt in self.frame["prompt"]:
                found = words_of(prompt) if isinstance(prompt, str) else ()
                numbers += [known.setdefault(word, len(known)) for _, word in found]
                offsets.append(len(numbers))
            return np.array(offsets, np.int64), np.array(numbers, np.int64), list(known), [fold_word(word) for word in known]

        return self.once("words", make)


class Selection:
    """Rows of a frame, all or those where `rows` is true."""

    def __init__(self, base: Base, rows: Bools | None = None) -> None:
        """Select from `base`; None: everything."""
        self.base = base
        self.rows = rows
        self._taken: dict[Any, Any] = {}

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Selection:
        """Return all rows of a frame, as `load_frame` returns it or a part of it."""
        return cls(Base(frame.reset_index(drop=True)))

    def __len__(self) -> int:
        """Return how many rows there are."""
        rows = self.rows
        return len(self.base.frame) if rows is None else self.once("len", lambda: int(np.count_nonzero(rows)))

    def where(self, rows: Bools) -> Selection:
        """Return those of the rows (of the whole frame) that are also selected here."""
        return Selection(self.base, rows if self.rows is None else rows & self.rows)

    def count(self, *axes: str) -> Whole:
        """Return how many rows lie at each combination of axes, an array with as many dimensions; what one misses is in none."""

        def make() -> Whole:
            if self._are_most:  # the others are fewer: counted, and taken from all, which are counted once
                every = self.base.once(("count", *axes), lambda: Selection(self.base).count(*axes))
                return every - self.once("others", self._others).count(*axes)
            return self._shaped(np.bincount(self._cells(axes), minlength=self._size(axes)), axes)

        return self.once(("count", *axes), make)

    def total(self, column: str, *axes: str) -> Numbers:
        """Return what a column adds up to at each combination of axes, as `count` does."""

        def make() -> Numbers:
            rows = self.rows
            if rows is not None and self._are_most:
                # With nothing to add for the others: that takes less than to leave them out, and sums the same.
                weights = self.base.amount(column) * rows
                flat = np.bincount(self.base.cells(axes), weights, minlength=self._size(axes))
                return self._shaped(flat.astype(float), axes)
            weights = self.of_rows(self.base.amount(column))
            return self._shaped(np.bincount(self._cells(axes), weights, minlength=self._size(axes)).astype(float), axes)

        return self.once(("total", column, *axes), make)

    def _others(self) -> Selection:
        everything = np.ones(len(self.base.frame), bool)
        return Selection(self.base, ~(everything if self.rows is None else self.rows))

    @property
    def _are_most(self) -> bool:
        return self.rows is not None and 2 * len(self) > len(self.rows)

    def _cells(self, axes: Sequence[str]) -> npt.NDArray[np.int32]:
        return self.once(("cells", *axes), lambda: self.of_rows(self.base.cells(axes)))

    def _size(self, axes: Sequence[str]) -> int:
        return int(np.prod([self.base.axis(name).size + 1 for name in axes]))

    def _shaped(self, flat: _T, axes: Sequence[str]) -> _T:
        shape = [self.base.axis(name).size + 1 for name in axes]
        return flat.reshape(shape)[(slice(1, None),) * len(axes)]  # type: ignore[attr-defined,no-any-return] # an array

    def codes(self, name: str) -> tuple[npt.NDArray[Any], list[str]]:
        """Return a category's codes (-1: missing) and their names."""
        codes, names = self.base.codes(name)
        return self.of_rows(codes), names

    def number(self, name: str) -> Numbers:
        """Return a column as doubles, NaN where it is missing."""
        return self.once(("number", name), lambda: self.of_rows(self.base.number(name)))

    def ends(self) -> tuple[int, int] | None:
        """Return the first and the last second of UTC, None where no row has a time."""

        def make() -> tuple[int, int] | None:
            seconds = self.of_rows(self.base.seconds())
            seconds = seconds if len(seconds) and seconds.min() > _NEVER else seconds[seconds > _NEVER]
            return (int(seconds.min()), int(seconds.max())) if len(seconds) else None

        return self.once("ends", make)

    def odd_hours(self) -> dict[str, list[str]]:
        """Return how ids begin that name no hour of a day (2025110325), by the ten digits of the hour in which they count."""

        def make() -> dict[str, list[str]]:
            ids, seconds = self.base.frame["operation_id"].take(self.index()), self.of_rows(self.base.id_seconds())
            begun = {(text[:10], order.digits_of(int(second))[:10]) for text, second in zip(ids, seconds, strict=True)}
            found: dict[str, list[str]] = {}
            for beginning, hour in sorted(begun):
                if beginning != hour:
                    found.setdefault(hour, []).append(beginning)
            return found

        return self.once("odd hours", make)

    def index(self) -> npt.NDArray[Any]:
        """Return the rows' places in the frame."""
        rows = self.rows
        return self.once("index", lambda: np.arange(len(self)) if rows is None else np.flatnonzero(rows))

    def ordered(self, name: str, by: str | None = None) -> tuple[Numbers, npt.NDArray[Any]]:
        """Return the numbers of a column in order, and with `by` of each its group along that axis (-1 first), group by group."""
        base = self.base
        order = base.order(name, by)
        values = base.once(("ordered", name, by), lambda: base.number(name)[order])
        groups = base.once(("grouped", name, by), lambda: base.axis(by).codes[order] if by else order[:0])
        if self.rows is None:
            return values, groups
        rows = self.rows
        taken = self.once(("taken", name, by), lambda: np.flatnonzero(rows.take(order)))
        return values.take(taken), groups.take(taken) if by else groups

    def of_rows(self, values: _T) -> _T:
        """Return the values of these rows of an array that has one for each row of the frame."""
        # By their places: where rows lie here and there, a mask takes ten times as long.
        return values if self.rows is None else values.take(self.index())  # type: ignore[attr-defined] # an array

    def once(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return what `make` made the first time: tables and figures of these rows are kept with them."""
        try:
            known: _T = self._taken[key]
        except KeyError:
            known = self._taken[key] = make()
        return known

    def slim(self) -> None:
        """Let go of what is large and soon made again; the numbers stay. Of a million rows it is 70 MB."""
        for key, value in list(self._taken.items()):
            if isinstance(value, Selection) or (isinstance(value, np.ndarray) and value.nbytes > _LARGE):
                self._taken.pop(key, None)


def ascending(values: Numbers) -> npt.NDArray[np.int64]:
    """Return the places of numbers from the least to the greatest, of equal ones the first first.

    Whole milliseconds, or microseconds, are sorted digit by digit (of 16 bits), which takes a quarter of the time.
    """
    for unit in (1e3, 1e6):
        if len(values) and values.min() >= 0 and values.max() < 2**48 / unit:
            keys = np.rint(values * unit)
            if np.array_equal(keys / unit, values):
                return _by_digits(keys.astype(np.uint32) if keys.max() < 2**32 else keys.astype(np.uint64))
    return np.argsort(values, kind="stable")


def _by_digits(keys: npt.NDArray[np.uint32] | npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    places = np.argsort(keys.astype(np.uint16), kind="stable")
    for digit in range(16, int(keys.max()).bit_length(), 16):
        places = places[np.argsort((keys[places] >> digit).astype(np.uint16), kind="stable")]
    return places


def distinct(values: Whole) -> tuple[Whole, Whole]:
    """Return the different values, ascending, and of each its place among them; by counting where they lie close together."""
    if not len(values):
        return values, values
    low, high = int(values.min()), int(values.max())
    if high - low > 5_000_000:  # 140 years of quarters: some moments are nonsense
        known, places = np.unique(values, return_inverse=True)
        return known, places
    used = np.bincount(values - low) > 0
    known = np.flatnonzero(used) + low
    return known, (np.cumsum(used) - 1)[values - low]


def _joined(field: str, codes: npt.NDArray[Any], names: list[str]) -> tuple[npt.NDArray[Any], list[str]]:
    """Return codes in which names that a search takes for one have the code of the commonest of them."""
    folded = [fold_name(field, name) for name in names]
    if len(set(folded)) == len(folded):
        return codes, names
    counts = np.bincount(codes + 1, minlength=len(names) + 1)[1:]
    heads: dict[str, int] = {}
    for at in np.argsort(-counts, kind="stable"):
        heads.setdefault(folded[at], int(at))
    kept = sorted(heads.values())
    places = np.array([*(kept.index(heads[text]) for text in folded), -1], np.int32)
    return places[codes], [names[at] for at in kept]


# -- the axes that are no columns of categories --------------------------------------------------------------------------


def _outcome(base: Base) -> Axis:
    codes, names = base.codes("status")
    kinds = np.array([*([*OUTCOMES].index(outcome_of(name)) for name in names), 1], np.int8)
    return Axis(kinds[codes], 3)


def _currency(base: Base) -> Axis:
    """Costs only: what has none has no currency here; a cost without a currency is the last."""
    codes, names = base.codes("currency")
    codes = np.where(codes < 0, len(names), codes)
    return Axis(np.where(np.isnan(base.number("cost")), -1, codes).astype(np.int16), len(names) + 1)


def _confidence(base: Base) -> Axis:
    sure = base.number("confidence")
    there = ~np.isnan(sure)
    tenths = np.minimum((np.where(there, sure, 0) * TENTHS + 1e-9).astype(np.int8), TENTHS - 1)
    return Axis(np.where(there, tenths, -1).astype(np.int8), TENTHS)


def _whole(name: str, low: int, high: int) -> Callable[[Base], Axis]:
    """Return the axis of a column of few whole numbers, or of a flag."""

    def make(base: Base) -> Axis:
        values = base.number(name)
        there = (values >= low) & (values <= high)
        return Axis(np.where(there, np.where(there, values, 0) - low, -1).astype(np.int8), high - low + 1)

    return make


def _quarter(base: Base) -> Axis:
    return Axis(base.once("quarters", base._quarters)[1], len(base.quarters()))


def _sized(base: Base) -> Axis:
    """The quarters of those only that say how large any of their files are."""
    quarter = base.axis("quarter")
    said = [~np.isnan(base.number(name)) for name in ("bytes_in", "bytes_between", "bytes_out")]
    return Axis(np.where(said[0] | said[1] | said[2], quarter.codes, -1), quarter.size)


def _is_video(base: Base) -> Axis:
    codes, names = base.codes("media")
    return Axis((codes == (names.index("video") if "video" in names else -2)).astype(np.int8), 2)


def _prompt(base: Base) -> Axis:
    codes, known = pd.factorize(base.frame["prompt_key"].array, use_na_sentinel=True)
    return Axis(codes.astype(np.int32), len(known))


AXES: dict[str, Callable[[Base], Axis]] = {
    "outcome": _outcome,
    "currency": _currency,
    "confidence": _confidence,
    "overridden": _whole("overridden", 0, 1),
    "cost_estimated": _whole("cost_estimated", 0, 1),
    "rating": _whole("rating", 1, 5),
    "quarter": _quarter,
    "sized": _sized,
    "is_video": _is_video,
    "prompt": _prompt,
}

#: How operations end, in the order in which they are stacked, and the statuses of each as a search names them.
OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "succeeded": ("stored",),
    "failed": ("failed", "result missing", "expired", "unknown"),
    "stopped": ("canceled", "aborted"),
}
#: What somebody stopped says nothing of a rate of success.
UNRATED = "stopped"
_RATED = [at for at, outcome in enumerate(OUTCOMES) if outcome != UNRATED]


def is_rated(outcomes: Whole) -> Bools:
    """Say of which outcomes a rate of success is."""
    return np.isin(outcomes, _RATED)


def rated(counts: Whole) -> Whole:
    """Return how many a rate of success is of: `counts` are by outcome, along the last axis."""
    total: Whole = counts[..., _RATED].sum(axis=-1)
    return total


def outcome_of(status: str) -> str:
    """Return the outcome that a status counts as; what somebody stopped is neither a success nor a failure."""
    return next((outcome for outcome, statuses in OUTCOMES.items() if status in statuses), "failed")


def local_quarters(quarters: Whole, zone: tzinfo) -> tuple[Whole, Whole]:
    """Return of quarters of an hour since 1970, in UTC, their weekday (0 Monday) and hour in a zone."""
    local = quarters * QUARTER + _offsets(quarters, zone)
    return (local // 86_400 + 3) % 7, local // 3_600 % 24


def _offsets(quarters: Whole, zone: tzinfo) -> Whole:
    """Return the seconds by which a zone is ahead of UTC, asked once a day where it is the same at both ends of the day."""
    days = np.unique(quarters // 96)
    ends = {int(day): _offset(int(day) * 86_400, zone) for day in np.unique(np.concatenate([days, days + 1]))}
    offsets = np.array([ends[int(day)] for day in days], np.int64)[np.searchsorted(days, quarters // 96)]
    for day in days:
        if ends[int(day)] != ends[int(day) + 1]:
            for place in np.flatnonzero(quarters // 96 == day):
                offsets[place] = _offset(int(quarters[place]) * QUARTER, zone)
    return offsets


def _offset(second: int, zone: tzinfo) -> int:
    try:
        offset = datetime.fromtimestamp(second, zone).utcoffset()
    except (ValueError, OverflowError, OSError):
        offset = None
    return int(offset.total_seconds()) if offset else 0
