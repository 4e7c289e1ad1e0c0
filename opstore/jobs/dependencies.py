"""What a machine works with, and how it is told to let go of a job; a machine reaches nothing that is not named here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from opstore import clocks
from opstore.fetch import FetchPolicy
from opstore.jobs.pending_folder import JobFolder
from opstore.providers import Provider
from opstore.providers.models import ModelTable
from opstore.storage.job import Job
from opstore.storage.store import Store


class LeaseLost(Exception):
    """Somebody else works on the job now; this worker must not touch it any more."""


class Stopping(Exception):
    """The server is going down; the job stays as it is and is taken up again."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between two attempts: `first`, then twice as long each time, up to `longest`."""

    first: float = 1.0
    longest: float = 30.0

    def after(self, attempts: int) -> float:
        """Return how long to wait after that many attempts in vain."""
        return min(self.first * 2.0 ** min(attempts, 30), self.longest)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a machine works with; `stop` ends all waiting.

    `admit` is held while the record says that a step is about to be sent, and raises where it must not be (a budget).
    """

    store: Store
    folder: JobFolder
    providers: Mapping[str, Provider]
    table: ModelTable
    policy: FetchPolicy
    stop: threading.Event
    admit: Callable[[Job], AbstractContextManager[None]] = lambda job: nullcontext()
    clock: Callable[[], datetime] = clocks.now
    pauses: Pauses = field(default_factory=Pauses)
