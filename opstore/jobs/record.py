"""The record of an operation under way: one durable file in `pending/`, changed only by compare-and-swap.

States are `queued → creating → running → fetching`; each is written before what it announces is done, so that after a crash the
record tells what may have happened. The end of a job is a sidecar; then the record goes. Progress is not worth a sync: it lies
in `cache/progress/` and may be lost at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from opstore.errors import FileMissing, OperationBusy, OperationNotFound, OpstoreError
from opstore.files import Folder, digest
from opstore.names import check_operation_id, parse_name, sidecar_name
from opstore.operation import plain

SCHEMA = "opstore-job/1"
STATES = ("queued", "creating", "running", "fetching")


@dataclass(frozen=True, slots=True)
class Step:
    """One provider call of a job, and how far it has come; times are ISO 8601 in UTC.

    `sender` is the runner that set out to send the call and has not yet told how that ended: while it lives, nobody else sends.
    """

    operation_type: str
    prompt: str
    provider: str
    model: str
    parameters: Mapping[str, Any]
    prediction_id: str | None = None
    creating_at: str | None = None
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


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on a job, and until when (seconds since the epoch) nobody else may."""

    owner: str
    until: float


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

    def leased(self, owner: str, until: float) -> Job:
        """Return the job as leased to `owner` until then (seconds since the epoch)."""
        return replace(self, lease=Lease(owner, until))

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return json.dumps({"schema": SCHEMA, **plain(_camel(asdict(self)))}, ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Job:
        """Build a job from its record; raise ValueError for anything that is not one."""
        try:
            record = json.loads(data)
            if record.pop("schema") != SCHEMA or record["state"] not in STATES:
                raise ValueError("a record of another kind")
            fields = {_snake(key): value for key, value in record.items()}
            fields["steps"] = tuple(_step(step) for step in fields["steps"])
            fields["lease"] = _lease(fields["lease"]) if fields.get("lease") else None
            job = cls(**fields)
            check_operation_id(job.operation_id)
            job.steps[job.current]
            if not isinstance(job.operation, dict) or not isinstance(job.operation.get("inputFiles", []), list):
                raise TypeError("an operation of other types")
        except (TypeError, KeyError, AttributeError, IndexError, RecursionError, OpstoreError) as error:
            raise ValueError(f"not a job's record: {type(error).__name__}") from None
        return job


def _step(record: Mapping[str, Any]) -> Step:
    fields = {_snake(key): value for key, value in record.items()}
    step = Step(**{**fields, "urls": tuple(fields.get("urls", ()))})
    texts = (step.operation_type, step.prompt, step.provider, step.model, step.sender or "", *step.urls)
    if not all(isinstance(text, str) for text in texts) or not isinstance(step.parameters, dict):
        raise TypeError("a step of other types")
    return step


def _lease(record: Mapping[str, Any]) -> Lease:
    lease = Lease(**record)
    if not isinstance(lease.owner, str) or not isinstance(lease.until, int | float):
        raise TypeError("a lease of other types")
    return lease


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


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running step is: share from 0 to 1 (None: not known), what it does, and the tail of its log."""

    share: float | None = None
    note: str = ""
    logs: str = ""


#: Kept of a provider's log for the page: its end.
LOG_TAIL = 4000


class JobFolder:
    """The records of all operations under way in a data folder, and their progress."""

    def __init__(self, pending: Folder, progress: Path) -> None:
        """Keep records in `pending` and progress in the folder `progress`."""
        self.folder = pending
        self._progress = progress

    def add(self, job: Job) -> None:
        """Record a new job durably."""
        self.folder.create(job.operation_id, [{sidecar_name(job.operation_id): job.encode()}])

    def ids(self) -> list[str]:
        """Return the ids of all jobs, oldest first."""
        names = (parse_name(name) for name in self.folder.names())
        return sorted(name.operation_id for name in names if name and name.role == "sidecar")

    def get(self, operation_id: str) -> Job:
        """Return a job; raise OperationNotFound where there is none, ValueError where its record is damaged."""
        return Job.decode(self._bytes(operation_id))

    def all(self) -> list[Job]:
        """Return every readable job, oldest first; damaged records are left out (`verify` lists them)."""
        jobs = []
        for operation_id in self.ids():
            with contextlib.suppress(OpstoreError, ValueError):
                jobs.append(self.get(operation_id))
        return jobs

    def update(self, operation_id: str, change: Callable[[Job], Job]) -> Job:
        """Change a record by compare-and-swap, as often as it takes; return the new job. What `change` raises goes through."""
        while True:
            before = self._bytes(operation_id)
            job = change(Job.decode(before))
            data = job.encode()
            if data == before:
                return job
            try:
                self.folder.replace(operation_id, sidecar_name(operation_id), data, digest(before))
                return job
            except OperationBusy:
                continue
            except FileMissing:
                raise OperationNotFound(operation_id=operation_id) from None

    def remove(self, operation_id: str) -> None:
        """Remove a job that has ended, its progress too."""
        self.folder.remove(operation_id, [sidecar_name(operation_id)])
        with contextlib.suppress(OSError):
            self._progress_file(operation_id).unlink()

    def _bytes(self, operation_id: str) -> bytes:
        try:
            return self.folder.read(sidecar_name(operation_id))
        except FileMissing:
            raise OperationNotFound(operation_id=operation_id) from None

    # -- progress --------------------------------------------------------------------------------------------------------

    def report(self, operation_id: str, progress: Progress) -> None:
        """Note how far a job is; a full disk here stops nothing."""
        path = self._progress_file(operation_id)
        temp = path.with_suffix(".tmp")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temp.write_text(json.dumps([progress.share, progress.note, progress.logs[-LOG_TAIL:]]))
            os.replace(temp, path)

    def progress(self, operation_id: str) -> Progress:
        """Return how far a job is, as far as is known."""
        try:
            share, note, logs = json.loads(self._progress_file(operation_id).read_text())
            return Progress(share if isinstance(share, int | float) else None, str(note), str(logs))
        except (OSError, ValueError, TypeError):
            return Progress()

    def _progress_file(self, operation_id: str) -> Path:
        return self._progress / sidecar_name(operation_id)
