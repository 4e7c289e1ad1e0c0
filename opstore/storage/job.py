"""What the record of an operation under way says: its steps, how far each is, who works on it; and its bytes.

One reading for who goes on with it and for who checks the folder: what the runner could not go on with is a problem.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from opstore.clocks import Mark, mark
from opstore.errors import OpstoreError
from opstore.storage.names import check_operation_id
from opstore.storage.operation import plain

SCHEMA = "opstore-job/1"
STATES = ("queued", "creating", "running", "fetching")


@dataclass(frozen=True, slots=True)
class Step:
    """One provider call of a job, and how far it has come; times are ISO 8601 in UTC.

    `sender` is the runner that set out to send the call and has not yet told how that ended: while it lives, nobody else sends.
    `sent` is when the first request left of which it is not sure that nobody accepted it, `doubts` how many such were given up.
    `chosen_id` is the prediction's id where it is chosen here, before the call; `fetch_by` until when its results can be fetched,
    where the provider tells.
    """

    operation_type: str
    prompt: str
    provider: str
    model: str
    parameters: Mapping[str, Any]
    prediction_id: str | None = None
    creating_at: str | None = None
    sent: Mark | None = None
    doubts: int = 0
    sender: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    predict_seconds: float | None = None
    status: str | None = None
    urls: tuple[str, ...] = ()
    web_url: str | None = None
    output_file: str | None = None
    cost: Mapping[str, Any] | None = None
    estimate: Mapping[str, Any] | None = None
    error: str | None = None
    chosen_id: str | None = None
    fetch_by: str | None = None

    @property
    def ids(self) -> set[str]:
        """Return the ids by which its prediction is known here: none before a provider has given one."""
        return {name for name in (self.prediction_id, self.chosen_id) if name}


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on a job, and until when nobody else may: seconds since the epoch, and the same moment of the boot then.

    Only the latter is by a clock that nobody sets; who reads the lease in another boot sees whether it is still renewed.
    """

    owner: str
    until: float
    boot: str = ""
    steady: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """An operation under way. `operation` holds the sidecar's keys that are known already, inputs included."""

    operation_id: str
    state: str
    created_at: str
    operation: Mapping[str, Any]
    steps: tuple[Step, ...]
    current: int = 0
    cancel: bool = False
    lease: Lease | None = None
    attempts: int = field(default=0)
    born: Mark | None = None

    @property
    def step(self) -> Step:
        """Return the step that is being worked on."""
        return self.steps[self.current]

    def with_step(self, **changes: Any) -> Job:
        """Return the job with the current step changed."""
        steps = list(self.steps)
        steps[self.current] = replace(self.step, **changes)
        return replace(self, steps=tuple(steps))

    def without(self, owner: str) -> Job:
        """Return the job as it is once that owner is dead: it neither works on it nor sends anything for it."""
        lease = None if self.lease and self.lease.owner == owner else self.lease
        return replace(self, lease=lease, steps=tuple(replace(s, sender=None) if s.sender == owner else s for s in self.steps))

    def leased(self, owner: str, seconds: float) -> Job:
        """Return the job as leased to `owner` for so long from now on."""
        now = mark()
        return replace(self, lease=Lease(owner, now.wall + seconds, now.boot, now.steady + seconds))

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return json.dumps({"schema": SCHEMA, **plain(_camel(asdict(self)))}, ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, operation_id: str | None = None) -> Job:
        """Build a job from its record; raise ValueError for anything that is none, or is another operation's."""
        try:
            record = json.loads(data)
            if record.pop("schema") != SCHEMA or record["state"] not in STATES:
                raise ValueError("a record of another kind")
            fields = {_snake(key): value for key, value in record.items()}
            fields["steps"] = tuple(_step(step) for step in fields["steps"])
            fields["lease"] = _lease(fields["lease"]) if fields.get("lease") else None
            fields["born"] = _mark(fields.get("born"))
            job = cls(**fields)
            check_operation_id(job.operation_id)
            if operation_id not in (None, job.operation_id):
                raise ValueError("the record of another operation")
            job.steps[job.current]
            if not isinstance(job.operation, dict) or not isinstance(job.operation.get("inputFiles", []), list):
                raise TypeError("an operation of other types")
        except (TypeError, KeyError, AttributeError, IndexError, RecursionError, OpstoreError) as error:
            raise ValueError(f"not a job's record: {type(error).__name__}") from None
        return job


def _step(record: Mapping[str, Any]) -> Step:
    fields = {_snake(key): value for key, value in record.items()}
    step = Step(**{**fields, "urls": tuple(fields.get("urls", ())), "sent": _mark(fields.get("sent"))})
    texts = (step.operation_type, step.prompt, step.provider, step.model, step.sender or "", *step.urls)
    typed = all(isinstance(text, str) for text in texts) and isinstance(step.parameters, dict)
    if not typed or not isinstance(step.doubts, int):
        raise TypeError("a step of other types")
    return step


def _lease(record: Mapping[str, Any]) -> Lease:
    lease = Lease(**record)
    texts, numbers = (lease.owner, lease.boot), (lease.until, lease.steady)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(number, int | float) for number in numbers):
        raise TypeError("a lease of other types")
    return lease


def _mark(record: Mapping[str, Any] | None) -> Mark | None:
    if record is None:
        return None
    found = Mark(**record)
    if not isinstance(found.boot, str) or not all(isinstance(number, int | float) for number in (found.wall, found.steady)):
        raise TypeError("a moment of other types")
    return found


#: Keys whose values are other people's: their inner names stay as they are.
_OPAQUE = {"operation", "parameters", "cost", "estimate"}


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel_name(key): item if key in _OPAQUE else _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list | tuple) else value


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
