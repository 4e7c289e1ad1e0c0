"""The folder of the operations under way: one durable record each in `pending/`, changed only by compare-and-swap.

States are `queued → creating → running → fetching`; each is written before what it announces is done, so that after a crash the
record tells what may have happened. The end of a job is a sidecar; then the record goes. Progress is not worth a sync: it lies
in `cache/progress/` and may be lost at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opstore.errors import FileMissing, OperationBusy, OperationNotFound, OpstoreError, Said
from opstore.errors.sentence import parts, sentence_of
from opstore.storage.files import Folder, digest
from opstore.storage.job import Job
from opstore.storage.names import parse_name, sidecar_name


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
        """Return a job; raise OperationNotFound if there is none, ValueError where its record is damaged."""
        return Job.decode(self._bytes(operation_id), operation_id)

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
            job = change(Job.decode(before, operation_id))
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
            note = parts(progress.note) if isinstance(progress.note, Said) else progress.note
            temp.write_text(json.dumps([progress.share, note, progress.logs[-LOG_TAIL:]]))
            os.replace(temp, path)

    def progress(self, operation_id: str) -> Progress:
        """Return how far a job is, as far as is known."""
        try:
            share, note, logs = json.loads(self._progress_file(operation_id).read_text())
            told = note if isinstance(note, str) else sentence_of(note) or ""
            return Progress(share if isinstance(share, int | float) else None, told, str(logs))
        except (OSError, ValueError, TypeError):
            return Progress()

    def _progress_file(self, operation_id: str) -> Path:
        return self._progress / sidecar_name(operation_id)
