"""The runner: works on the jobs of a data folder, several at a time, and takes over those whose worker has died.

A job belongs to the process whose lease stands in its record. A lease ends by its time, or at once when the kernel says that
the process is gone (`liveness`); then whatever stands in a record under its name is taken out, so that others may go on. One
that is stopped within the milliseconds of a write holds that one record until it goes on or dies; nobody waits for it in line.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from opstore import clocks
from opstore.errors import OperationNotFound, OpstoreError, said
from opstore.jobs.liveness import Signs
from opstore.jobs.machine import Dependencies, LeaseLost, Machine, Stopping
from opstore.jobs.retry_limits import due
from opstore.storage.job import Job, Lease

log = logging.getLogger("opstore.jobs")

#: A lease holds this long after the last sign of life of whoever has it; of a process of this machine that has ended, no longer.
LEASE_SECONDS = 30.0
#: The folder is looked at this often for jobs of other processes; one's own are announced by `wake`.
SCAN_SECONDS = 0.5
#: After a fault that nobody foresaw a job rests this long before it is tried again.
REST_SECONDS = 30.0


class Runner:
    """Works on jobs in threads of this process from `start` until `stop`."""

    def __init__(
        self,
        around: Dependencies,
        locks: Path,
        *,
        parallel: Callable[[], int],
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """Keep this runner's sign of life in the folder `locks`; `parallel` is asked anew before each job is taken."""
        self._around = around
        self._parallel = parallel
        self._lease_seconds = lease_seconds
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._active: dict[str, threading.Thread] = {}
        self._resting: dict[str, float] = {}
        self._due: dict[str, float] = {}  # of the jobs that wait here: their records are read once
        self._seen: dict[str, tuple[Lease, float]] = {}
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._signs = Signs(locks, self.owner)
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to work, with the jobs that are there already."""
        self._signs.show()
        for target in (self._scan, self._renew):
            thread = threading.Thread(target=target, name=f"opstore-{target.__name__.strip('_')}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = 5.0) -> None:
        """Stop working, waiting at most `seconds`; what is under way stays recorded and is taken up by the next runner."""
        self._around.stop.set()
        self._wake.set()
        deadline = time.monotonic() + seconds
        threads = [*self._threads, *self._active.values()]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in threads):
            self._signs.hide()  # one that still waits for an answer, say, ends with the process, and its sign with it

    def wake(self) -> None:
        """Look for new jobs now."""
        self._wake.set()

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        while not self._around.stop.is_set():
            self._wake.clear()
            try:
                self._bury()
                self._take_jobs()
            except (OpstoreError, OSError) as error:
                log.warning("the jobs cannot be read now: %s", error)
            except Exception:  # a fault of the program itself: a runner that has died would never be missed
                log.exception("looking for jobs: unforeseen")
            self._wake.wait(SCAN_SECONDS)

    def _bury(self) -> None:
        """Take the names of dead runners out of all records; only then nobody needs their signs any more."""
        for owner in self._signs.dead():
            ids = self._around.folder.ids()
            if any(map(self._is_held, ids)):
                return
            for operation_id in ids:
                with contextlib.suppress(OperationNotFound, ValueError):  # just ended, or damaged
                    self._around.folder.update(operation_id, lambda job, owner=owner: job.without(owner))  # type: ignore[misc] # mypy infers no default
            self._signs.forget(owner)
            self._due.clear()  # what it did since is in the records

    def _take_jobs(self) -> None:
        now = time.monotonic()
        waiting = [name for name in self._around.folder.ids() if name not in self._active and self._resting.get(name, 0.0) < now]
        for operation_id in self._in_order(waiting):
            if len(self._active) >= max(1, self._parallel()):
                return
            if not self._is_held(operation_id):
                self._take(operation_id)

    def _in_order(self, waiting: list[str]) -> list[str]:
        """Return first the jobs whose results must be fetched, by when they are deleted, then those still to be sent, by age."""
        if len(self._active) >= max(1, self._parallel()):
            return []
        self._due = {name: self._due[name] if name in self._due else self._due_of(name) for name in waiting}
        return sorted(waiting, key=lambda name: (self._due[name], name))

    def _due_of(self, operation_id: str) -> float:
        try:
            return due(self._around.folder.get(operation_id))
        except (OpstoreError, ValueError):
            return math.inf  # just ended, or damaged

    def _is_held(self, operation_id: str) -> bool:
        """Say whether a record is being written: this thread serves all jobs, and must not wait for one."""
        return self._around.folder.folder.in_progress(operation_id)

    def _take(self, operation_id: str) -> None:
        def claim(job: Job) -> Job:
            if job.lease is not None and job.lease.owner != self.owner and self._holds(operation_id, job.lease):
                raise LeaseLost
            return job.leased(self.owner, self._lease_seconds)

        try:
            job = self._around.folder.update(operation_id, claim)
        except (LeaseLost, OpstoreError, ValueError):
            self._due.pop(operation_id, None)  # where it is somebody else's its record goes on
            return  # somebody else's, just ended, or damaged: verify() lists the last
        self._seen.pop(operation_id, None)
        thread = threading.Thread(target=self._work, args=(job,), name=f"opstore-job-{operation_id}", daemon=True)
        with self._guard:
            self._active[operation_id] = thread
        thread.start()

    def _holds(self, operation_id: str, lease: Lease) -> bool:
        """Say whether a lease still counts: its holder is not known to be dead, and its time is not up.

        Of one that was given in another boot, or on another machine, nobody here can tell the time: it holds for as long as it
        is renewed, and then as long again as any.
        """
        if self._signs.lives(lease.owner) is False:
            return False
        if lease.boot == clocks.boot():
            return lease.steady >= clocks.steady()
        seen, since = self._seen.get(operation_id, (None, 0.0))
        if seen != lease:
            self._seen[operation_id] = (lease, clocks.steady())
            return True
        return clocks.steady() - since <= self._lease_seconds

    def _work(self, job: Job) -> None:
        try:
            Machine(self._around, job, self.owner, self._signs.lives).run()
        except LeaseLost:
            log.warning("%s: another process has taken it over", job.operation_id)
        except Stopping:
            self._release(job.operation_id)
        except OpstoreError as error:
            self._rest(job.operation_id, error)
        except Exception as error:
            # A fault of the program itself: the job must neither vanish nor take the runner down with it.
            log.exception("%s: unforeseen", job.operation_id)
            self._rest(job.operation_id, error)
        finally:
            with self._guard:
                self._active.pop(job.operation_id, None)
            self._wake.set()

    def _rest(self, operation_id: str, error: Exception) -> None:
        log.warning("%s: resting after %s", operation_id, error)
        self._resting[operation_id] = time.monotonic() + REST_SECONDS
        if isinstance(error, OpstoreError):
            seen = self._around.folder.progress(operation_id)
            self._around.folder.report(operation_id, replace(seen, note=said("waiting: {reason}", reason=error.sentence)))

    def _release(self, operation_id: str) -> None:
        def free(job: Job) -> Job:
            return replace(job, lease=None) if job.lease and job.lease.owner == self.owner else job

        try:
            self._around.folder.update(operation_id, free)
        except (OpstoreError, ValueError):
            log.warning("%s: its lease could not be given back; it ends by itself", operation_id)

    def _renew(self) -> None:
        while not self._around.stop.wait(self._lease_seconds / 3):
            with contextlib.suppress(OSError):
                self._signs.show()  # somebody may have emptied the cache
            for operation_id in list(self._active):
                with contextlib.suppress(OpstoreError, OSError):
                    if not self._is_held(operation_id):  # two more turns come before the lease ends
                        self._extend(operation_id)

    def _extend(self, operation_id: str) -> None:
        def extend(job: Job) -> Job:
            if job.lease is None or job.lease.owner != self.owner:
                raise LeaseLost
            return job.leased(self.owner, self._lease_seconds)

        try:
            self._around.folder.update(operation_id, extend)
        except (LeaseLost, OpstoreError, ValueError):
            log.info("%s: no lease to extend", operation_id)
