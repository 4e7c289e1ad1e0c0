"""The index: a table derived from the sidecars that finds any operation at once; it can be deleted at any moment.

The files stay the only truth. The index follows them (`follow`), answers the search language (`search_language`) and is replaced
by itself when it is missing, damaged or of another version; meanwhile it answers from what it has.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from opstore.access.roles import Role, act, part
from opstore.errors import StorageError, said
from opstore.index import changes, content_key_blocks, parallel, same_bytes, suggestions
from opstore.index.changes import Changes
from opstore.index.compile import Plan, compiled
from opstore.index.entry import Row
from opstore.index.fields import SEARCHES
from opstore.index.follow import Follower, Progress
from opstore.index.keywords import parent_word
from opstore.index.observed import reason_of
from opstore.index.pages import EXACT, ORDERS, Pages, Place
from opstore.index.row_lookup import find, ids_in
from opstore.index.search_language import parse
from opstore.index.sqlite import Connection, Damaged, Database, make, remove
from opstore.index.stacks import STACKS, Stacks
from opstore.index.terms import Query
from opstore.storage.files import Folder, storage_errors
from opstore.storage.names import sidecar_name
from opstore.storage.store import Store
from opstore.storage.verify import Problem

__all__ = ["EXACT", "ORDERS", "STACKS", "Changes", "Count", "Found", "Index", "Progress", "Row"]

log = logging.getLogger("opstore.index")

MAX_PAGE = 1_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Count:
    """How many operations a search finds; not `exact`: more than `n`."""

    n: int
    exact: bool

    def __str__(self) -> str:
        """Write it for a person: 9,999 or 10,000+."""
        return f"{self.n:,}{'' if self.exact else '+'}"


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search; `next` is the cursor of the following page, None at the end.

    `stacks` holds for each row how many operations stand behind it, empty if nothing was stacked. The total counts operations.
    """

    rows: tuple[Row, ...]
    next: str | None
    total: Count
    stacks: Mapping[str, int] = field(default_factory=dict)


@part(Role.ADMIN)
class Index:
    """What can be asked of a data folder without reading it."""

    path: Path

    def __init__(
        self, store: Store, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), program: str = parallel.PROGRAM
    ) -> None:
        """Index the operations of `store` in its cache folder; nothing happens before `start` or the first question.

        `program` is what reads very many sidecars, in processes of its own.
        """
        self.store = store
        self._program = program
        #: Where the index is while the cache folder cannot be written; it goes with this object.
        self.makeshift = None if _is_writable(store.cache) else tempfile.TemporaryDirectory(prefix="opstore-index-")
        if self.makeshift:
            log.warning("%s cannot be written: the index is made in %s, anew after each start", store.cache, self.makeshift.name)
        self.path = Path(self.makeshift.name if self.makeshift else store.cache) / "index.db"
        self._clock = clock
        self._database = Database(self.path)
        self._follower = Follower(self._database, store.operations, program)
        self._counts: dict[tuple[str, object], tuple[tuple[int, ...], Count]] = {}

    @classmethod
    def over(cls, source: Store | str | Path, program: str = parallel.PROGRAM) -> Index:
        """Return the index of a store, or of a data folder; nothing follows it."""
        return cls(source if isinstance(source, Store) else Store(source), program=program)

    # -- following -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Follow the folder from now on: this process's saves at once, everything else in the background."""
        if self._follower.saved not in self.store.listeners:
            self.store.listeners.append(self._follower.saved)
        self._follower.start()

    def stop(self) -> None:
        """Stop following, and close the file."""
        if self._follower.saved in self.store.listeners:
            self.store.listeners.remove(self._follower.saved)
        self._follower.stop()
        self._database.close()

    def update(self) -> int:
        """Make the index equal to the folder now, files rewritten in place included; return how many rows changed."""
        return self._ask(lambda: self._follower.reconcile(stamps=True))

    def catch_up(self) -> int:
        """Take in what was created or removed since the index last looked, for who asks once and does not follow."""
        return self._ask(self._follower.catch_up)

    def refresh(self, *ids: str) -> None:
        """Take in what has happened to these operations, now."""
        self._follower.refresh(ids)

    def rebuild(self) -> None:
        """Build the index anew beside the present one, which answers meanwhile, and put it in its place; else leave that.

        Of two who do so at one moment, in whatever process, the second waits.
        """
        fresh, cache = self.path.with_name("index.rebuilt.db"), Folder(self.path.parent)
        cache.make()
        with cache.locked("index-rebuilt"):
            try:
                with storage_errors():
                    make(fresh)
                    with contextlib.closing(Database(fresh)) as database:
                        following = Follower(database, self.store.operations, self._program)
                        self._ask(lambda: following.reconcile(stamps=True))
                    self._database.install(fresh)
            except BaseException:
                with contextlib.suppress(OSError):
                    remove(fresh)  # half of one would only fill the disk
                raise
        # What was saved into the old one meanwhile.
        self.update()

    @act(*Role)
    def version(self) -> str:
        """Return a text that is another as soon as the index holds something else, whichever process changed it."""

        def ask() -> str:
            with self._database.reading() as connection:
                return "-".join(map(str, Pages(connection, Plan(), "newest").changes()))

        return self._ask(ask)

    @property
    @act(*Role)
    def is_makeshift(self) -> bool:
        """Say whether the index goes with this object, because the cache folder cannot be written."""
        return self.makeshift is not None

    @act(*Role)
    def progress(self) -> Progress:
        """Return how far the index is, whichever process works on it."""
        return self._ask(lambda: self._follower.progress())

    # -- asking ----------------------------------------------------------------------------------------------------------

    @act(*Role)
    def search(
        self, text: str = "", *, order: str = "newest", after: str | None = None, size: int = 50, stack: str | None = None
    ) -> Found:
        """Return a page of what a search finds; raise InvalidQuery that points at a mistake in it.

        `order` is one of ORDERS; `after` the cursor of the page before; `stack` one of STACKS, which comes newest first.
        """
        query = parse(text)
        place = Place.read(after) if after else None
        size = min(max(size, 1), MAX_PAGE)

        def ask_stacks() -> Found:
            with self._database.reading() as connection:
                plan = self._plan(connection, query)
                found, further = Stacks(connection, plan, str(stack)).page(place, size)
                total = self._total(Pages(connection, plan, order), text)
            rows = tuple(Row.of(entry) for entry, _ in found)
            return Found(rows, str(further) if further else None, total, {entry.id: n for entry, n in found})

        def ask() -> Found:
            with self._database.reading() as connection:
                pages = Pages(connection, self._plan(connection, query), order)
                found = pages.page(place, size + 1)
                total = self._total(pages, text)
            rows = tuple(Row.of(entry) for entry, _ in found[:size])
            return Found(rows, str(found[size - 1][1]) if len(found) > size else None, total)

        return self._ask(ask_stacks if stack else ask)

    @act(*Role)
    def count(self, text: str = "") -> Count:
        """Return how many operations a search finds, exact up to 10,000."""
        query = parse(text)

        def ask() -> Count:
            with self._database.reading() as connection:
                return self._total(Pages(connection, self._plan(connection, query), "newest"), text)

        return self._ask(ask)

    @act(*Role)
    def held(self) -> int:
        """Return how many operations there are, however many: each has one status, and these are counted."""
        return sum(self.facets()["status"].values())

    def forget_counts(self) -> None:
        """Count anew at the next question: for measurements."""
        self._counts.clear()

    @act(*Role)
    def neighbours(self, operation_id: str, text: str = "", order: str = "newest") -> tuple[str | None, str | None]:
        """Return the ids before and after an operation in what a search finds, None at an end or where it is not found."""
        query = parse(text)

        def ask() -> tuple[str | None, str | None]:
            with self._database.reading() as connection:
                pages = Pages(connection, self._plan(connection, query), order)
                place = pages.place(operation_id)
                if place is None:
                    return None, None
                before, after = pages.page(place, 1, backwards=True), pages.page(place, 1)
            return before[0][0].id if before else None, after[0][0].id if after else None

        return self._ask(ask)

    @act(*Role)
    def get(self, operation_id: str) -> Row | None:
        """Return the row of an operation, None where it has none."""
        found = self.search(f"id:{operation_id}", size=1).rows
        return found[0] if found else None

    @act(*Role)
    def used_as_input(self, operation_id: str) -> list[str]:
        """Return the operations that name this one as the source of an input, newest first."""

        def ask() -> list[str]:
            with self._database.reading() as connection:
                pages = Pages(connection, Plan(match=f'"{parent_word(operation_id)}"'), "newest")
                return [entry.id for entry, _ in pages.page(None, MAX_PAGE)]

        return self._ask(ask)

    @act(*Role)
    def holding(self, sha256: str, *, results: bool) -> list[str]:
        """Return operations that probably have a file of this content, as an input or, with `results`, as a result; oldest first.

        Others of the same second are among them, one in a million is wrong (31 bits are compared), and some may be gone:
        whoever needs to know reads their sidecars.
        """
        first, last = same_bytes.keys_from(same_bytes.code_of(sha256, results))

        def ask() -> list[str]:
            with self._database.reading() as connection:
                keys = content_key_blocks.between(connection, first, last, MAX_PAGE)
                return sorted({name for key in keys for name in ids_in(connection, *same_bytes.seconds_of(key))})

        return self._ask(ask)

    def problems(self) -> list[Problem]:
        """Return the sidecars that cannot be read, by name."""

        def ask() -> list[Problem]:
            with self._database.reading() as connection:
                rows = connection.execute("SELECT id, kind, reason FROM problem ORDER BY id").fetchall()
            return [Problem(kind, sidecar_name(name), name, reason_of(reason)) for name, kind, reason in rows]

        return self._ask(ask)

    @act(*Role)
    def facets(self) -> Mapping[str, dict[str, int]]:
        """Return the types, statuses, models, tags and so on that are in use, each with its count, most used first."""

        def ask() -> dict[str, dict[str, int]]:
            counts: dict[str, dict[str, int]] = {name: {} for name, search in SEARCHES.items() if search.is_facet}
            with self._database.reading() as connection:
                for name, text, n in connection.execute("SELECT field, text, n FROM word WHERE n > 0 ORDER BY n DESC, text"):
                    if name in counts:
                        counts[name][text] = n
            return counts

        return self._ask(ask)

    @act(*Role)
    def meant(self, query: str) -> str | None:
        """Return a search that finds something and that `query`, which does not, was perhaps meant to be; None for none."""
        better = suggestions.meant(query, self.facets())
        return better if better and self.count(better).n else None

    # -- for what is derived from the index ------------------------------------------------------------------------------

    @act(*Role)
    def changes_since(self, cursor: str | None) -> Changes:
        """Return which operations have changed since the answer that had `cursor`."""

        def ask() -> Changes:
            with self._database.reading() as connection:
                return changes.since(connection, cursor)

        return self._ask(ask)

    def listing(self) -> list[tuple[str, int, int]]:
        """Return every operation's id, its row's number and its file's stamp, newest first."""

        def ask() -> list[tuple[str, int, int]]:
            with self._database.reading() as connection:
                return list(changes.listing(connection))

        return self._ask(ask)

    def places(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the numbers of these operations' rows; those that have none are left out."""

        def ask() -> dict[str, int]:
            with self._database.reading() as connection:
                found = {operation_id: find(connection, operation_id) for operation_id in ids}
            return {operation_id: at for operation_id, at in found.items() if at is not None}

        return self._ask(ask)

    def numbers(self, text: str) -> str:
        """Return the numbers of all rows that a search finds, with commas between, in any order."""
        query = parse(text)

        def ask() -> str:
            with self._database.reading() as connection:
                return Pages(connection, self._plan(connection, query), "newest").numbers()

        return self._ask(ask)

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _plan(self, connection: Connection, query: Query) -> Plan:
        return compiled(connection, query, self._clock().astimezone(UTC).date())

    def _total(self, pages: Pages, text: str) -> Count:
        """Return the total, counted once until something changes: turning a page asks for it again."""
        key = (text, self._clock().astimezone(UTC).date())
        changes = pages.changes()
        cached = self._counts.get(key)
        if cached is None or cached[0] != changes:
            n = pages.count(EXACT)
            cached = changes, Count(min(n, EXACT), n <= EXACT)
            if len(self._counts) > 500:
                self._counts.clear()
            self._counts[key] = cached
        return cached[1]

    def _ask(self, question: Callable[[], _T]) -> _T:
        """Return an answer; where the file turns out to be no good, from the one that takes its place."""
        for _ in range(3):
            try:
                return question()
            except Damaged:
                continue
        raise StorageError(reason=said("the index was replaced again and again"))


def _is_writable(cache: Path) -> bool:
    """Say whether files can be made in a folder, or the folder itself where it is not there yet; nothing is left behind."""
    try:
        with tempfile.TemporaryFile(dir=cache):
            return True
    except FileNotFoundError:
        above = next(folder for folder in cache.resolve().parents if folder.exists())
        return os.access(above, os.W_OK)
    except OSError:
        return False
