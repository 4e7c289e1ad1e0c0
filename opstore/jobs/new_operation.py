"""A request for an operation, and the record of the job that it becomes; pure: the service checks what may be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opstore.clocks import mark
from opstore.errors import InvalidRequest, said
from opstore.providers.models import Cost
from opstore.storage.job import Job, Step
from opstore.storage.names import check_operation_id, generate_operation_id, is_operation_id
from opstore.storage.operation import MAX_SIDECAR_BYTES, timestamp
from opstore.workflows import StepPlan

#: A record becomes a sidecar, with a record of each step besides: what is larger than this would not fit into one.
MAX_JOB_BYTES = MAX_SIDECAR_BYTES // 4


@dataclass(frozen=True, slots=True)
class NewOperation:
    """A request for an operation. `images` are whole files; `parents` the operations whose outputs are among them.

    `models` chooses a model by name for a step's type; `retry_of` names the operation that is run again; `batch_index` counts the
    operations of one batch from 1; `operation_id` is a new one that somebody has chosen already.
    """

    operation_type: str
    prompt: str
    images: tuple[bytes, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    provider: str | None = None
    parents: tuple[str, ...] = ()
    batch_id: str | None = None
    batch_index: int | None = None
    retry_of: str | None = None
    workflow_analysis: Mapping[str, Any] | None = None
    operation_id: str | None = None

    def job(self, steps: Sequence[StepPlan], costs: Sequence[Cost | None], now: datetime, created_by: str | None) -> Job:
        """Return the record of this request, its images not yet named in it; raise InvalidRequest for more than one can hold."""
        operation: dict[str, Any] = {
            "operationType": self.operation_type,
            "prompt": self.prompt,
            "parameters": dict(self.parameters),
            "inputCount": 0,
            "inputFiles": [],
            "workflowAnalysis": dict(self.workflow_analysis) if self.workflow_analysis else None,
            "parents": [parent for parent in self.parents if is_operation_id(parent)],
            "batchId": self.batch_id,
        }
        operation |= {"batchIndex": self.batch_index} if self.batch_index else {}
        operation |= {"createdBy": created_by} if created_by else {}
        operation |= {"retryOf": check_operation_id(self.retry_of)} if self.retry_of else {}
        chosen_id = check_operation_id(self.operation_id or generate_operation_id(now))
        planned = tuple(_step(step, cost) for step, cost in zip(steps, costs, strict=True))
        job = Job(chosen_id, "queued", timestamp(now), operation, planned, born=mark())
        if len(job.encode()) > MAX_JOB_BYTES:
            raise InvalidRequest(reason=said("prompt, parameters and analysis together are too long; shorten them"))
        return job


def _step(planned: StepPlan, cost: Cost | None) -> Step:
    return Step(
        operation_type=planned.operation_type,
        prompt=planned.prompt,
        provider=planned.model.provider,
        model=planned.model.name,
        parameters=dict(planned.parameters),
        estimate=cost.record() if cost else None,
    )


__all__ = ["MAX_JOB_BYTES", "NewOperation"]
