"""What people ask of the frame of one data folder: a search of the library's language, and the rows it finds.

A chart counts exactly what the library shows: what the index answers comes as numbers of rows, which the snapshot knows too, and
what the columns say is compared by the index's rules (`finding`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from opstore.access.roles import Role, act, part
from opstore.errors import InvalidRequest, said, shown
from opstore.index import Count, Found, Index
from opstore.index.pages import Place
from opstore.index.search_language import parse, values, with_values
from opstore.index.terms import Span, days, value_of

if TYPE_CHECKING:  # pandas and scipy take half a second: a server is up before anybody asks for a chart
    import pandas as pd

    from opstore.analytics.chart import Search
    from opstore.analytics.selection import Base, Bools, Numbered, Selection
    from opstore.analytics.shared_frame import FrameVersion, Holder

#: Selections that are kept until something changes.
KEPT = 24


@dataclass(frozen=True)
class Period:
    """The days that a search asks for, the last one included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Return how many days it has."""
        return (self.last - self.first).days + 1


@part(Role.ANALYST)
class Analytics:
    """The frame of a data folder, shared by all sessions of a process; nothing is loaded before the first question."""

    def __init__(self, index: Index, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Follow `index`."""
        self._opened: Holder | None = None
        self._index = index
        self._clock = clock
        self._lock = threading.Lock()
        self._base: tuple[int, Base] | None = None
        self._selections: dict[tuple[int, str, date], Selection] = {}

    def frame(self) -> pd.DataFrame:
        """Return all operations, as `load_frame` does."""
        return self.held().frame.copy(deep=False)

    def held(self, *, fresh: bool = True) -> FrameVersion:
        """Return the present state; raise StorageError where the folder cannot be read."""
        return self._holder.held(fresh=fresh)

    def is_loaded(self) -> bool:
        """Say whether the frame is there: the first time it may have to be read."""
        return self._opened is not None and self._opened.peek() is not None

    def progress(self) -> tuple[int, int] | None:
        """Return how many sidecars were read of how many, while very many are."""
        return self._opened.progress if self._opened else None

    def version(self) -> int:
        """Return the present state's version; where nothing has happened since the last look, in a tenth of a millisecond."""
        return self.held(fresh=self._holder.is_stale()).version

    def select(self, text: str = "", held: FrameVersion | None = None) -> Selection:
        """Return what a search finds; raise InvalidQuery that points at a mistake in it."""
        from opstore.analytics.finding import Finder
        from opstore.analytics.selection import Selection

        state = held or self.held()
        base = self._based(state)
        key = (state.version, text.strip() and text, self.today())
        selection = self._selections.get(key)
        if selection is None:
            query = parse(text)
            if query.root is None:
                selection = Selection(base)
            else:
                finder = Finder(base, base.id_seconds(), self.today(), lambda asked: self._rows(state, asked))
                selection = Selection(base, finder.rows(query))
            for other in list(self._selections.values()):
                other.slim()
            if len(self._selections) >= KEPT:
                self._selections.clear()
            self._selections[key] = selection
        return selection

    def behind(self, text: str, mark: str, held: FrameVersion | None = None) -> Selection:
        """Return what a search finds of what a mark of a chart counts; raise InvalidRequest for a text that is no mark."""
        from opstore.analytics.drilldown import behind, mark_of

        found = mark_of(mark)
        if found is None:
            raise InvalidRequest(reason=said("{value} is no mark of a chart", value=shown(mark)))
        chosen = self.select(text, held)
        return chosen.once(("behind", found), lambda: behind(chosen, found))

    def ids_behind(self, text: str, mark: str) -> list[str]:
        """Return the ids of what a mark counts, newest first."""
        chosen = self.behind(text, mark)
        ids: list[str] = chosen.base.frame["operation_id"].take(chosen.index()).tolist()
        return ids

    def page(self, text: str, mark: str, *, after: str | None = None, size: int = 50) -> Found:
        """Return a page of what a mark counts, newest first, as `Index.search` does."""
        from opstore.analytics.drilldown import ids_after

        chosen = self.behind(text, mark)
        ids, more = ids_after(chosen, Place.read(after).id if after else None, size)
        rows = tuple(row for row in map(self._index.get, ids) if row)
        return Found(rows, str(Place(0, 0, ids[-1])) if more and ids else None, Count(len(chosen), exact=True))

    def neighbours(self, operation_id: str, text: str, mark: str) -> tuple[str | None, str | None]:
        """Return the ids before and after an operation in what a mark counts, None at an end or where it is not found."""
        from opstore.analytics.drilldown import around

        return around(self.behind(text, mark), operation_id)

    def _rows(self, held: FrameVersion, text: str) -> Bools:
        """Return which rows the index finds; those that the frame does not know yet are nobody's."""
        import numpy as np

        found = self._index.numbers(text)
        numbers = np.fromstring(found, np.int64, sep=",") if found else np.array([], np.int64)
        places = held.snapshot.table["at"].to_numpy()[::-1]
        rows = np.zeros(len(places), bool)
        if len(numbers) and len(places):
            at = np.minimum(np.searchsorted(places, numbers), len(places) - 1)
            rows[at[places[at] == numbers]] = True
        return rows[::-1]

    def search(self, text: str) -> Search:
        """Return a search as charts count it: around the days of their marks are those that it asks for, future ones too."""
        from opstore.analytics.chart import Search

        first, end = self._days(text)
        return Search(text, first, None if first is None or end is None else end - timedelta(1))

    def period(self, text: str) -> Period | None:
        """Return the days that a search asks for, until today; None where it asks for none, for several spans or one without a
        beginning.
        """
        first, end = self._days(text)
        last = self.today() if end is None else min(end - timedelta(1), self.today())
        return None if first is None or first > last else Period(first, last)

    def _days(self, text: str) -> tuple[date | None, date | None]:
        """Return the first day that a search asks for and the day after the last, if it asks for one span of days."""
        found = values(text, "date")
        span = value_of("date", found[0]) if len(found) == 1 else None
        first, end = days(span, self.today()) if isinstance(span, Span) else (None, None)
        return (None, None) if first and end and first >= end else (first, end)

    def before(self, text: str) -> str | None:
        """Return the search for the period of the same length before the one that a search asks for, None if there is none."""
        period = self.period(text)
        if period is None or (period.first - date.min).days < period.days:
            return None
        last = period.first - timedelta(1)
        first = last - timedelta(period.days - 1)
        return with_values(text, "date", [str(first) if first == last else f"{first}..{last}"])

    def today(self) -> date:
        """Return today, in UTC, as the search language counts days."""
        return self._clock().astimezone(UTC).date()

    @act(Role.ADMIN)
    def save(self) -> None:
        """Keep what has been read, for the next process."""
        if self._opened:
            self._opened.save()

    @property
    def _holder(self) -> Holder:
        from opstore.analytics.shared_frame import Holder

        with self._lock:
            self._opened = self._opened or Holder(self._index)
            return self._opened

    def _based(self, held: FrameVersion) -> Base:
        from opstore.analytics.selection import Base

        known = self._base
        if known is None or known[0] != held.version:
            # Both from one reading: whoever comes second replaces an equal one.
            known = held.version, Base(held.frame, _words(held), held.snapshot.table["second"].to_numpy())
            self._base = known
            self._selections = {}
        return known[1]


def _words(held: FrameVersion) -> Numbered:
    import numpy as np

    column = held.snapshot.table["words"]
    column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which copies
    offsets = column.offsets.to_numpy().astype(np.int64)
    vocabulary = held.snapshot.vocabulary
    numbers = column.values.to_numpy()
    return offsets, numbers, vocabulary["word"].to_pylist(), vocabulary["folded"].to_pylist()
