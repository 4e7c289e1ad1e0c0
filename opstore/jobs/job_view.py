"""An operation under way as a person sees it, read from its record; whatever a foreign record says, it can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opstore.clocks import seconds_since
from opstore.jobs.pending_folder import Progress
from opstore.providers import registry
from opstore.storage.job import Job
from opstore.storage.names import parse_name
from opstore.storage.operation import parse_time


@dataclass(frozen=True, slots=True)
class JobView:
    """An operation under way as a person sees it."""

    id: str
    type: str
    prompt: str
    state: str
    model: str
    seconds: float
    progress: Progress
    cancel: bool
    inputs: tuple[str, ...]
    local: bool
    parameters: Mapping[str, Any]
    batch_id: str | None
    batch_index: int
    analysis: Mapping[str, Any] | None

    @classmethod
    def of(cls, job: Job, progress: Progress, now: datetime) -> JobView:
        """Return the view of a job that is as far as `progress`; without a time of its own it began `now`."""
        named, batch = job.operation.get("inputFiles"), job.operation.get("batchId")
        parameters, place = job.operation.get("parameters"), job.operation.get("batchIndex")
        analysis = job.operation.get("workflowAnalysis")
        return cls(
            id=job.operation_id,
            type=str(job.operation.get("operationType", "unknown")),
            prompt=str(job.operation.get("prompt", "")),
            state=job.state,
            model=job.step.model,
            seconds=seconds_since(job.born, parse_time(job.created_at) or now),
            progress=progress,
            cancel=job.cancel,
            inputs=tuple(name for name in named if parse_name(name)) if isinstance(named, list) else (),
            local=registry.computes_here(job.step.provider),
            parameters=parameters if isinstance(parameters, Mapping) else {},
            batch_id=batch if isinstance(batch, str) else None,
            batch_index=place if isinstance(place, int) else 0,
            analysis=analysis if isinstance(analysis, Mapping) else None,
        )


__all__ = ["JobView"]
