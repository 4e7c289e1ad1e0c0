"""Care of the storage: what is where, what may go, what is safe elsewhere, what is broken; nothing here deletes for good.

What a rule or a repair takes away goes to the trash or to `quarantine/`; every act completes when it is repeated after a kill.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from opstore.care.cleanup import Cleaned, Cleanup, Plan, Rule
from opstore.care.report import Report, quiet
from opstore.care.survey import Fact, Survey, survey
from opstore.index import Index
from opstore.preferences import Preferences
from opstore.store import Store
from opstore.trash import Trash

__all__ = ["Care", "Cleaned", "Cleanup", "Fact", "Plan", "Report", "Rule", "Survey", "quiet", "survey"]


class Care:
    """Everything that keeps one data folder in order."""

    def __init__(
        self,
        store: Store,
        index: Index,
        trash: Trash,
        preferences: Callable[[], Preferences],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take care of `store`; nothing happens before it is asked for."""
        self.store = store
        self.index = index
        self.trash = trash
        self.cleanup = Cleanup(store, index, trash, clock=clock)
        self._preferences = preferences

    def retain(self) -> Cleaned | None:
        """Do what the retention policy in the settings says, None where there is none: the daily housekeeping."""
        chosen = self._preferences()
        if chosen.retention_days is None:
            return None
        plan = self.cleanup.plan(Rule(chosen.retention_days, query=chosen.retention_query))
        return self.cleanup.apply(plan)
