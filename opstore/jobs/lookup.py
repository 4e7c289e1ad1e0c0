"""Looks for the prediction of a request whose answer never came, and never takes another operation's for it.

Two operations can ask for exactly the same: same model, seed and prompt. What belongs to another is left out by its id; and as
long as another of the same kind does not know its own id, nothing that is found can be said to be ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from opstore import clocks
from opstore.jobs.pending_folder import JobFolder
from opstore.providers import Provider, Search, StepRequest
from opstore.storage.job import Job, Step
from opstore.storage.names import time_of
from opstore.storage.store import Store
from opstore.storage.trash import Trash

#: A job may wait in the queue for days before it runs: sidecars of operations this old can name a prediction made just now.
LOOK_BACK = timedelta(days=7)


class Lookup:
    """The search for one job's prediction; what has ended is read once."""

    def __init__(self, store: Store, folder: JobFolder, operation_id: str) -> None:
        """Look on behalf of one operation."""
        self._store = store
        self._trash = Trash(store)
        self._folder = folder
        self._operation_id = operation_id
        self._ended: dict[str, list[Mapping[str, Any]]] = {}

    def find(self, provider: Provider, request: StepRequest, step: Step, since: datetime, ago: float | None = None) -> Search:
        """Return what the provider's list says of `request`; what may be another operation's is not found, nor absent."""
        known, _ = self._others(step, since)
        while True:
            search = provider.find(request, since, known, ago)
            if search.found is None or (request.chosen_id and search.found.id == request.chosen_id):
                return search  # an id that was chosen here is nobody else's
            # Another operation may have noted its id, or have begun to send, while the list was read.
            known, twin = self._others(step, since)
            if search.found.id not in known:
                return Search(None, complete=False) if twin else search

    def _others(self, step: Step, since: datetime) -> tuple[set[str], bool]:
        """Return the ids that belong to others, and whether another that asked for the same does not know its own."""
        # Records before sidecars: one that ends meanwhile is then seen in either.
        underway = [job for job in self._folder.all() if job.operation_id != self._operation_id]
        ids = {name for job in underway for step in job.steps for name in step.ids}
        twin = any(job.state == "creating" and _alike(job, step) for job in underway)
        for steps in self._sidecars(since):
            for ended in steps:
                if isinstance(ended.get("predictionId"), str):
                    ids.add(ended["predictionId"])
                elif ended.get("status") == "unknown":
                    twin = twin or _told(ended) == _asked(step)
        return ids, twin

    def _sidecars(self, since: datetime) -> list[list[Mapping[str, Any]]]:
        # Others' ids are from a clock that may have been set since: before, or after, this job was asked for and was sent.
        moments = [since, clocks.now(), time_of(self._operation_id) or since]
        oldest = f"{min(moments) - LOOK_BACK:%Y%m%d%H%M%S}"
        before = self._trash.all()  # and once more after: what comes back meanwhile is in neither list else
        for sidecar in self._store.iterate():
            if sidecar["operationId"] < oldest:
                break
            self._note(sidecar)
        for trashed in (*before, *self._trash.all()):
            self._note(trashed.sidecar or {})
        return list(self._ended.values())

    def _note(self, sidecar: Mapping[str, Any]) -> None:
        operation_id = sidecar.get("operationId")
        if isinstance(operation_id, str) and operation_id not in self._ended:
            steps = sidecar.get("steps")
            found = steps if isinstance(steps, list) else []
            self._ended[operation_id] = [entry for entry in found if isinstance(entry, Mapping)]


def _alike(job: Job, step: Step) -> bool:
    return not job.step.ids and _asked(job.step) == _asked(step)


def _asked(step: Step) -> tuple[object, ...]:
    return step.model, step.prompt, step.parameters.get("seed")


def _told(ended: Mapping[str, Any]) -> tuple[object, ...]:
    parameters = ended.get("parameters")
    return ended.get("model"), ended.get("prompt"), parameters.get("seed") if isinstance(parameters, Mapping) else None
