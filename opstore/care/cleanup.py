"""Cleanup: a rule says what is old enough to go; what people care for, share, work on or built upon stays whatever the rule says.

What goes, goes to the trash, one operation after the other: a cleanup that is killed has moved some of them whole, and run again
moves the rest. Nothing is decided from the index alone: every sidecar is read again at the moment it would leave.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opstore import clocks
from opstore.care.progress import Report, quiet
from opstore.care.survey import Fact, Survey, ancestors, cared_for, named_in, survey
from opstore.clocks.leaps import Leaps
from opstore.errors import InvalidInput, OperationNotFound, OpstoreError, StorageError, said
from opstore.index import Index
from opstore.index.search_language import parse
from opstore.storage.names import sidecar_name
from opstore.storage.store import Store
from opstore.storage.trash import Trash

#: The specification's own script keeps this many days.
DAYS = 30
_MAX_DAYS = 100_000
_PAGE = 1_000
#: The folders whose records bind the operations that they name, and why.
_BINDING = (("shares", "shared"), ("branches", "in use"), ("reviews", "reviewed"), ("pending", "in use"))
#: A second change within the same tick of a file system's clock leaves a folder's time as it was (the coarsest take two seconds).
_SETTLED = 3.0


@dataclass(frozen=True, slots=True)
class Rule:
    """What may go: all of it must hold. `larger_than` is in bytes of all files of an operation; `query` is a library search."""

    days: int = DAYS
    types: tuple[str, ...] = ()
    succeeded: bool | None = None
    larger_than: int = 0
    query: str = ""

    def __post_init__(self) -> None:
        """Refuse what makes no sense before anything is looked at; raise InvalidInput or InvalidQuery."""
        if isinstance(self.days, bool) or not isinstance(self.days, int) or not 0 <= self.days <= _MAX_DAYS:
            raise InvalidInput(reason=said("an age is a whole number of days from 0 to {limit}", limit=_MAX_DAYS))
        if self.larger_than < 0:
            raise InvalidInput(reason=said("a size is a number from 0"))
        parse(self.query)

    def covers(self, fact: Fact, now: datetime) -> bool:
        """Say whether the rule, its query aside, is about an operation; one whose time nobody can tell is never old."""
        return (
            fact.moment is not None
            and fact.moment < now - timedelta(days=self.days)
            and (not self.types or fact.type in self.types)
            and (self.succeeded is None or fact.succeeded == self.succeeded)
            and fact.bytes >= self.larger_than
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rule would move to the trash, oldest first, and how many operations that it covers stay, by reason."""

    rule: Rule
    leaving: tuple[Fact, ...]
    kept: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Return the bytes that the trash would hold, to be freed when it is purged."""
        return sum(fact.bytes for fact in self.leaving)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a cleanup moved, and what it left all the same: by id, why."""

    moved: tuple[str, ...]
    bytes: int
    left: Mapping[str, str] = field(default_factory=dict)


class Cleanup:
    """Rules over one store."""

    def __init__(self, store: Store, index: Index, trash: Trash, *, clock: Callable[[], datetime] = clocks.now) -> None:
        """Read `store`, find with `index`, move to `trash`."""
        self._store = store
        self._index = index
        self._trash = trash
        self._clock = clock
        self._root = store.data.top
        #: What the records of a folder name, and the folder's time when they were read.
        self._named: dict[str, tuple[int, set[str]]] = {}

    def plan(self, rule: Rule, report: Report = quiet, *, seen: Survey | None = None) -> Plan:
        """Say what a rule would move; changes nothing. `seen` spares the look at the folder, for several rules at once."""
        facts = (seen or survey(self._store, report)).facts
        now = self._clock()
        wanted = self._found(rule.query)
        covered = [fact for fact in facts if rule.covers(fact, now) and (wanted is None or fact.id in wanted)]
        reasons = self._reasons(covered, facts)
        leaving = tuple(sorted((fact for fact in covered if fact.id not in reasons), key=lambda fact: fact.id))
        return Plan(rule, leaving, dict(Counter(reasons.values())))

    def apply(self, plan: Plan, report: Report = quiet) -> Cleaned:
        """Move what a plan names to the trash, each operation after a last look at it; what cannot be moved is told and stays.

        Raise ClockLeapt for a rule about an age that nobody can tell.
        """
        if plan.rule.days:
            Leaps(self._root).check()
        going = {fact.id for fact in plan.leaving}
        moved: list[str] = []
        left: dict[str, str] = {}
        freed = 0
        for number, fact in enumerate(plan.leaving):
            report(number, len(plan.leaving), said("moving to the trash"))
            try:
                reason = self._leave(fact.id, going)
            except OperationNotFound:
                continue  # somebody else took it away
            except OpstoreError as error:
                reason = str(error)
            if reason:
                left[fact.id] = reason
            else:
                moved.append(fact.id)
                freed += fact.bytes
        report(len(plan.leaving), len(plan.leaving), said("moving to the trash"))
        return Cleaned(tuple(moved), freed, left)

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _leave(self, operation_id: str, going: Collection[str]) -> str | None:
        """Move one operation, unless there is a reason by now; reviewers, who might be giving it one, wait for the answer."""
        with self._root.locked(f"annotating-{operation_id}"):
            reason = cared_for(self._store.get_operation_metadata(operation_id)) or self._bound(operation_id)
            if reason is None and self._is_parent(operation_id, going):
                reason = "ancestor"
            if reason is None:
                self._trash.put(operation_id)
        return reason

    def _is_parent(self, operation_id: str, going: Collection[str]) -> bool:
        """Say whether something that stays was made of an operation: since the plan, of which the index knows within seconds."""
        with contextlib.suppress(StorageError):  # the plan has looked, and a full disk is what one cleans up for
            children = self._index.used_as_input(operation_id)
            return any(self._store.operations.has(sidecar_name(child)) for child in children if child not in going)
        return False

    def _bound(self, operation_id: str) -> str | None:
        """Return why an operation is shared, reviewed or worked on at this moment; a link that has ended shares nothing."""
        return next((why for name, why in _BINDING if operation_id in self._names_of(name)), None)

    def _names_of(self, name: str) -> set[str]:
        """Return what the records in a folder name; they are read again wherever one may have come or changed."""
        folder = self._store.data.folder(name)
        changed = folder.changed()
        known = self._named.get(name)
        if known is None or known[0] != changed or abs(time.time() - changed / 1e9) < _SETTLED:
            known = self._named[name] = (changed, named_in(folder, *([self._has_ended] if name == "shares" else [])))
        return known[1]

    def _has_ended(self, name: str, content: bytes) -> bool:
        from opstore.shares.record import has_ended  # and with it what signs links: only if there is one

        return has_ended(name, content, self._clock())

    def _reasons(self, covered: Collection[Fact], facts: Collection[Fact]) -> dict[str, str]:
        """Return why operations that a rule covers stay; of several reasons the first."""
        reasons = {fact.id: reason for fact in covered if (reason := fact.cared or self._bound(fact.id))}
        bound = set().union(*(self._names_of(name) for name, _ in _BINDING))
        going = {fact.id for fact in covered} - reasons.keys()
        parents = {fact.id: fact.parents for fact in facts if fact.parents}
        staying = [operation_id for operation_id in (*parents, *bound) if operation_id not in going]
        for ancestor in ancestors(staying, parents) & going:
            reasons[ancestor] = "ancestor"
        return reasons

    def _found(self, query: str) -> set[str] | None:
        """Return what a search finds, None for one that says nothing."""
        if parse(query).root is None:
            return None
        self._index.update()
        found = self._index.search(query, order="oldest", size=_PAGE)
        ids = {row.id for row in found.rows}
        while found.next:
            found = self._index.search(query, order="oldest", after=found.next, size=_PAGE)
            ids.update(row.id for row in found.rows)
        return ids
