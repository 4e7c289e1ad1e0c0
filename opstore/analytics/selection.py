"""Some rows of a frame, as the arrays that numbers are told from; what all selections of a frame share is made once.

A column is asked for by name and comes as numpy: categories as codes with their names, all else as doubles with NaN where it is
missing. Nothing of the frame is copied that nobody asks for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from opstore.analytics.rows import fold, words_of

Bools = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
#: The offsets and numbers of each row's words, the vocabulary, and its folded twin.
Numbered = tuple[Whole, Whole, list[str], list[str]]
_T = TypeVar("_T")

#: Zones differ from UTC by quarters of an hour.
QUARTER = 900
_NEVER = np.iinfo(np.int64).min


class Base:
    """A whole frame, and what is made of it once."""

    def __init__(self, frame: pd.DataFrame, words: Numbered | None = None) -> None:
        """`words` are the offsets and numbers of each row's words, the vocabulary, and its folded twin."""
        self.frame = frame
        self._made: dict[Any, Any] = {} if words is None else {"words": words}
        self._lock = threading.RLock()

    def once(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return what `make` made the first time."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            found: _T = self._made[key]
            return found

    def codes(self, name: str) -> tuple[Whole, list[str]]:
        """Return a category's codes (-1: missing) and their names."""

        def make() -> tuple[Whole, list[str]]:
            values = self.frame[name].astype("category").cat
            return values.codes.to_numpy().astype(np.int64), [str(item) for item in values.categories]

        return self.once(("codes", name), make)

    def number(self, name: str) -> Numbers:
        """Return a column as doubles, NaN where it is missing."""
        return self.once(("number", name), lambda: self.frame[name].to_numpy("float64", na_value=np.nan))

    def keys(self) -> tuple[Whole, Whole]:
        """Return each row's number among the different prompts (-1: none), and of each prompt its newest row."""

        def make() -> tuple[Whole, Whole]:
            keys = self.frame["prompt_key"]
            codes, _ = pd.factorize(keys.array, use_na_sentinel=True)
            codes = codes.astype(np.int64)
            newest = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
            rows = np.flatnonzero(codes >= 0)[::-1]
            newest[codes[rows]] = rows
            return codes, newest

        return self.once("keys", make)

    def seconds(self) -> Whole:
        """Return each row's moment in seconds of UTC, the least number where it is missing."""

        def make() -> Whole:
            moments = self.frame["timestamp"]
            values = moments.to_numpy("datetime64[s]").astype(np.int64)
            return np.where(moments.isna().to_numpy(), _NEVER, values)

        return self.once("seconds", make)

    def order(self, name: str) -> Whole:
        """Return the rows that have a number, from the least to the greatest."""

        def make() -> Whole:
            values = self.number(name)
            rows = np.flatnonzero(~np.isnan(values))
            return rows[np.argsort(values[rows], kind="stable")]

        return self.once(("order", name), make)

    def words(self) -> Numbered:
        """Return the offsets and numbers of each row's words, the vocabulary, and its folded twin."""

        def make() -> Numbered:
            known: dict[str, int] = {}
            offsets, numbers = [0], []
            for prompt in self.frame["prompt"]:
                found = words_of(prompt) if isinstance(prompt, str) else ()
                numbers += [known.setdefault(word, len(known)) for _, word in found]
                offsets.append(len(numbers))
            return np.array(offsets, np.int64), np.array(numbers, np.int64), list(known), [fold(word) for word in known]

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

    def codes(self, name: str) -> tuple[Whole, list[str]]:
        """Return a category's codes (-1: missing) and their names."""
        codes, names = self.base.codes(name)
        return self.once(("codes", name), lambda: self._of(codes)), names

    def number(self, name: str) -> Numbers:
        """Return a column as doubles, NaN where it is missing."""
        return self.once(("number", name), lambda: self._of(self.base.number(name)))

    def has(self, name: str, value: str) -> Bools:
        """Return where a category is `value`."""
        codes, names = self.codes(name)
        found: Bools = codes == (names.index(value) if value in names else -2)
        return found

    def seconds(self) -> Whole:
        """Return each moment in seconds of UTC, the least number where it is missing."""
        return self.once("seconds", lambda: self._of(self.base.seconds()))

    def prompts(self) -> Whole:
        """Return each row's number among the different prompts of the frame, -1 where there is none."""
        return self.once("prompts", lambda: self._of(self.base.keys()[0]))

    def index(self) -> Whole:
        """Return the rows' places in the frame."""
        rows = self.rows
        return self.once("index", lambda: np.arange(len(self)) if rows is None else np.flatnonzero(rows))

    def ordered(self, name: str) -> Whole:
        """Return the places in the frame of the rows that have a number, from the least to the greatest."""
        order = self.base.order(name)
        return order if self.rows is None else order[self.rows[order]]

    def outcome(self) -> Whole:
        """Return how each ended: 0 with a result, 1 failed, 2 stopped by somebody."""

        def make() -> Whole:
            codes, names = self.base.codes("status")
            kinds = [OUTCOMES.index(outcome_of(name)) for name in names]
            return np.array([*kinds, 1], np.int64)[codes]

        base = self.base.once("outcome", make)
        return self.once("outcome", lambda: self._of(base))

    def _of(self, values: _T) -> _T:
        return values if self.rows is None else values[self.rows]  # type: ignore[index] # an array

    def once(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return what `make` made the first time: tables and figures of these rows are kept with them."""
        if key not in self._taken:
            self._taken[key] = make()
        found: _T = self._taken[key]
        return found


#: How operations end, in the order in which they are stacked.
OUTCOMES = ("succeeded", "failed", "stopped")


def outcome_of(status: str) -> str:
    """Return the outcome that a status counts as; what somebody stopped is neither a success nor a failure."""
    if status in ("canceled", "aborted"):
        return "stopped"
    return "succeeded" if status == "stored" else "failed"


def local_quarters(seconds: Whole, zone: tzinfo) -> tuple[Whole, Whole]:
    """Return of moments their weekday (0 Monday) and hour in a zone; each quarter of an hour is looked up once."""
    quarters = seconds // QUARTER
    low, high = int(quarters.min()), int(quarters.max())
    if high - low > 5_000_000:  # 140 years: some moments are nonsense, look up those that there are
        known, places = np.unique(quarters, return_inverse=True)
    else:
        used = np.flatnonzero(np.bincount(quarters - low))
        table = np.zeros(high - low + 1, np.int64)
        table[used] = np.arange(len(used))
        known, places = used + low, table[quarters - low]
    offsets = _offsets(known, zone)
    local = known * QUARTER + offsets
    weekdays, hours = (local // 86_400 + 3) % 7, local // 3_600 % 24
    return weekdays[places], hours[places]


def _offsets(quarters: Whole, zone: tzinfo) -> Whole:
    """Return the seconds by which a zone is ahead of UTC, asked once a day where it is the same at both ends of the day."""
    days = np.unique(quarters // 96)
    ends = {int(day): _offset(int(day) * 86_400, zone) for day in np.unique(np.concatenate([days, days + 1]))}
    found = np.array([ends[int(day)] for day in days], np.int64)[np.searchsorted(days, quarters // 96)]
    for day in days:
        if ends[int(day)] != ends[int(day) + 1]:
            for place in np.flatnonzero(quarters // 96 == day):
                found[place] = _offset(int(quarters[place]) * QUARTER, zone)
    return found


def _offset(second: int, zone: tzinfo) -> int:
    try:
        offset = datetime.fromtimestamp(second, zone).utcoffset()
    except (ValueError, OverflowError, OSError):
        offset = None
    return int(offset.total_seconds()) if offset else 0
