"""What happens to one job from its record to its sidecar; a kill anywhere leaves a record with exactly one right next step.

The order is what keeps a paid prediction from being lost or paid twice: `creating` is durable before the request leaves, the
prediction's id before the first poll, its addresses before the first download, the sidecar before the record goes. A record in
`creating` without an id is first looked up at the provider, and nothing is created again before its sender is known to be silent:
it has told how its request ended, or is dead. Where that cannot be told (there is no idempotency key), it ends as `unknown`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from opstore import clocks
from opstore.errors import (
    BudgetReached,
    Canceled,
    CreateUncertain,
    FetchError,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    FetchUnavailable,
    FileMissing,
    InvalidInput,
    OperationExists,
    OperationNotFound,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    StorageError,
    UnsafeFile,
    said,
)
from opstore.fetch import fetch
from opstore.jobs import finalization
from opstore.jobs.dependencies import Dependencies, LeaseLost, Stopping
from opstore.jobs.lookup import Lookup
from opstore.jobs.pending_folder import Progress
from opstore.jobs.retry_limits import CREATE_ATTEMPTS, DOUBTS, FETCH_ATTEMPTS, SOUGHT, is_lost, is_over, kept_for, settling
from opstore.jobs.whole_results import is_whole
from opstore.providers import Prediction, Provider, Search, StepRequest
from opstore.storage.job import Job
from opstore.storage.names import sidecar_name
from opstore.storage.operation import OPERATION_TYPES, parse_time, timestamp

__all__ = ["Dependencies", "LeaseLost", "Machine", "Stopping"]

log = logging.getLogger("opstore.jobs")

#: While it waits a job looks this often whether somebody has canceled it.
HEED_SECONDS = 0.5


class Machine:
    """Brings one leased job to its end; `owner` must hold the job's lease all the while."""

    def __init__(
        self, around: Dependencies, job: Job, owner: str, lives: Callable[[str], bool | None] = lambda owner: None
    ) -> None:
        """Take up `job` where its record stands; `lives` says of another owner whether it does, None if nobody can tell."""
        self._around = around
        self._job = job
        self._owner = owner
        self._lives = lives
        self._accepted: Prediction | None = None
        self._whole = True  # the last request may have left whole: of one that a dead process sent nobody knows better
        self._lookup = Lookup(around.store, around.folder, job.operation_id)

    def run(self) -> None:
        """Work until the operation has its sidecar; raise LeaseLost or Stopping where somebody else will go on."""
        states = {"queued": self._start, "creating": self._reconcile, "running": self._poll, "fetching": self._fetch}
        while self._around.folder.folder.has(sidecar_name(self._job.operation_id)):
            if self._around.store.operations.has(sidecar_name(self._job.operation_id)):
                self._around.folder.remove(self._job.operation_id)  # the sidecar wins: killed between the two
                return
            try:
                states[self._job.state]()
            except StorageError as error:
                # Nothing that was paid for is given up because a disk is full: wait, say so, go on.
                self._note(said("waiting: {reason}", reason=error.sentence))
                self._pause(self._around.pauses.after(2))

    # -- queued: to be sent ----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._look().cancel:
            self._end("canceled", said("Canceled."))
            return
        try:
            provider, request = self._provider(), self._request()
            if self._job.step.doubts and self._is_seen(provider):
                return
            with self._around.admit(self._job):
                now, sent = self._now(), self._job.step.sent or clocks.mark()
                request = replace(request, chosen_id=request.chosen_id or provider.id_for(request))
                sending = {"creating_at": now, "sent": sent, "sender": self._owner, "chosen_id": request.chosen_id}
                self._update(lambda job: replace(job.with_step(**sending), state="creating"))
        except ProviderError as error:
            self._again(error)
        except (BudgetReached, FileMissing, UnsafeFile) as error:  # the latter: somebody took an input away or replaced it
            self._end_unsent(error.sentence, error.failure)
        else:
            self._send(provider, request)

    def _send(self, provider: Provider, request: StepRequest) -> None:
        """Let the one request leave, and write how that ended."""
        try:
            prediction = provider.create(request, self._sending)
        except CreateUncertain as error:
            self._whole = not error.details.get("unfinished")
            self._told(lambda job: job.with_step(sender=None))  # it stays in `creating`: looked up next
            self._note(error.sentence)
        except (RateLimited, ProviderUnavailable) as error:
            self._again(error)
        except (Canceled, Stopping, LeaseLost) as why:  # raised by ourselves, before the request left
            self._told(_unsent)
            if not isinstance(why, Canceled):  # the mark in the record is met again in `queued`
                raise
        except (ProviderError, InvalidInput) as error:
            self._end_unsent(error.sentence, error.failure)
        else:
            self._accept(prediction)

    def _again(self, error: ProviderError) -> None:
        """Go back to `queued`: the provider has surely not accepted, so the same request may be sent once more."""
        limited = isinstance(error, RateLimited)  # it asks to come again, however often: that is no failure
        if not limited and self._job.attempts >= CREATE_ATTEMPTS:
            self._end_unknown() if self._job.step.doubts else self._end_unsent(error.sentence, error.failure)
            return
        self._told(lambda job: replace(_unsent(job), attempts=job.attempts + (not limited)))
        self._note(error.sentence)
        self._wait(float(error.details["seconds"]) if limited else self._around.pauses.after(self._job.attempts))

    # -- creating: sent, or about to be ----------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        """Find out whether a request that left, or may have left, created a prediction; never create before that is known."""
        if self._accepted is not None:  # the answer is here, only the disk did not take it
            self._accept(self._accepted)
            return
        began, silent_since = clocks.steady(), None
        while (job := self._look()).state == "creating":
            self._job = job
            waited = clocks.steady() - began
            try:
                provider = self._provider()
                search = self._search(provider)
            except ProviderError as error:
                self._note(said("looking for the prediction: {reason}", reason=error.sentence))
                if waited > SOUGHT.total_seconds():
                    self._end_unknown()
                    return
                self._pause(min(5.0 + waited / 10, self._around.pauses.longest))
                continue
            if search.found is not None:
                self._accept(search.found)
                return
            if (sending := self._may_be_sent(provider)) is not False:
                # Its sender was stopped, say, and may go on at any moment: as long as it lives nobody else creates.
                if waited > (settling(provider, whole=True) if sending is None else SOUGHT.total_seconds()):
                    self._end_unknown()
                    return
                silent_since = None
                self._pause(min(1.0 + waited / 10, self._around.pauses.longest))
                continue
            # Counted from here and not from `creating_at`: minutes of uploads may lie between that and the request.
            silent_since = silent_since or clocks.steady()
            silent = clocks.steady() - silent_since
            if silent >= (enough := settling(provider, whole=self._whole or not search.complete)):
                self._not_found(search)
                return
            self._pause(min(2.0 + silent / 10, enough - silent))
        self._job = job

    def _search(self, provider: Provider) -> Search:
        """Look for what any of the step's requests became that may have been accepted."""
        step = self._job.step
        since = step.sent.moment if step.sent else parse_time(step.creating_at) or self._around.clock()
        return self._lookup.find(provider, self._request(reading=False), step, since, step.sent.ago() if step.sent else None)

    def _is_seen(self, provider: Provider) -> bool:
        """Look once more right before a request is repeated, and say whether there is nothing to send any more."""
        search = self._search(provider)
        if search.found is not None:
            self._accept(search.found)
        elif not search.complete:
            self._end_unknown()
        return search.found is not None or not search.complete

    def _may_be_sent(self, provider: Provider) -> bool | None:
        """Say whether somebody else may still send the request; None if nobody can tell."""
        sender = self._job.step.sender
        if sender in (None, self._owner) or not provider.settle_seconds:  # ours has ended, or the provider computes here
            return False
        return self._lives(str(sender))

    def _not_found(self, search: Search) -> None:
        if not search.complete:
            self._end_unknown()
        elif self._job.attempts >= CREATE_ATTEMPTS or self._job.step.doubts >= DOUBTS:
            self._end_unsent(finalization.IN_VAIN, ProviderUnavailable.kind)
        else:
            self._update(lambda job: replace(_unsent(job.with_step(doubts=job.step.doubts + 1)), attempts=job.attempts + 1))

    # -- running: accepted -----------------------------------------------------------------------------------------------

    def _accept(self, prediction: Prediction) -> None:
        prediction = finalization.sound(prediction)
        self._accepted = prediction  # until it is written: a full disk must not cost the id
        if prediction.id is not None:
            changes = {
                "sender": None,
                "creating_at": self._job.step.creating_at or self._now(),
                "prediction_id": prediction.id,
                "status": prediction.status,
                "started_at": finalization.clean(prediction.started_at or prediction.created_at) or self._now(),
                "web_url": finalization.clean(prediction.web_url),
            }
            self._told(lambda job: replace(job.with_step(**changes), state="running"))
            self._accepted = None
        if prediction.ended:
            self._finish(prediction)

    def _poll(self) -> None:
        misses, asked, missing_since, failing_since = 0, False, None, None
        began = clocks.steady()
        while True:
            provider: Provider | None = None
            try:
                provider, prediction_id = self._provider(), self._job.step.prediction_id or ""
                if self._look().cancel and not asked:
                    asked = self._ask_to_cancel(provider, prediction_id)
                prediction = finalization.sound(provider.status(prediction_id))
            except ProviderError as error:
                now = clocks.steady()
                missing_since = (missing_since or now) if error.failure == "not found" else None
                failing_since = failing_since or now
                gone = provider and missing_since and now - missing_since >= settling(provider, whole=True)
                if gone or (provider and is_lost(self._job.step, provider, now - failing_since)):
                    self._end("expired", self._linked(error.sentence))
                    return
                misses += 1
                self._note(said("waiting for the provider: {reason}", reason=error.sentence))
                limited = isinstance(error, RateLimited)
                self._wait(float(error.details["seconds"]) if limited else self._around.pauses.after(misses - 1), asked)
                continue
            misses, missing_since, failing_since = 0, None, None
            self._report(prediction.progress, "", prediction.logs)
            if prediction.ended:
                self._finish(prediction)
                return
            self._wait(provider.poll_delay(clocks.steady() - began), asked)

    def _ask_to_cancel(self, provider: Provider, prediction_id: str) -> bool:
        """Ask, and say whether that was heard; a prediction that cannot be canceled any more is followed to its end."""
        try:
            provider.cancel(prediction_id)
        except (ProviderUnavailable, RateLimited):
            raise
        except ProviderError as error:
            if error.failure in finalization.MENDABLE:
                raise
            self._note(error.sentence)
        return True

    # -- fetching: succeeded ---------------------------------------------------------------------------------------------

    def _finish(self, prediction: Prediction) -> None:
        step = self._job.step
        changes: dict[str, Any] = {
            "status": prediction.status,
            "started_at": finalization.clean(prediction.started_at) or step.started_at,
            "completed_at": finalization.clean(prediction.completed_at) or self._now(),
            "predict_seconds": prediction.predict_seconds,
            "web_url": finalization.clean(prediction.web_url) or step.web_url,
            "cost": finalization.cost_of(self._around.table, step, prediction),
            "error": finalization.clean(prediction.error),
            "fetch_by": finalization.clean(prediction.fetch_by),
        }
        if prediction.status != "succeeded":
            self._update(lambda job: job.with_step(**changes))
            told = changes["error"] or finalization.ENDINGS.get(prediction.status, finalization.SILENT)
            self._end(prediction.status, told, kind=prediction.error_kind)
            return
        if not prediction.outputs:
            self._update(lambda job: job.with_step(**changes))
            reason = finalization.gone(step.provider) if prediction.expired else finalization.NOTHING
            self._end("expired" if prediction.expired else "failed", self._linked(reason), kind="not understood")
            return
        if ready := [output for output in prediction.outputs if isinstance(output, bytes)]:
            self._job = self._job.with_step(**changes)  # computed here: in memory, and simply computed again after a crash
            self._deliver(ready)
            return
        urls = tuple(finalization.clean(output, limit=len(output)) for output in prediction.outputs if isinstance(output, str))
        self._update(lambda job: replace(job.with_step(urls=urls, **changes), state="fetching"))

    def _fetch(self) -> None:
        began, got = clocks.steady(), list[bytes]()
        problem: FetchError | None = None
        # Of a picture between two steps the second step takes one.
        urls = self._job.step.urls if self._is_last() else self._job.step.urls[:1]
        for number, url in enumerate(urls, 1):
            self._note(said("fetching result {number} of {count}", number=number, count=len(urls)))
            try:
                got.append(self._download(url))
            except FetchError as error:
                problem = problem or error
        if problem is None:
            self._deliver(got)
            return
        over, reason = self._is_gone(clocks.steady() - began), problem.sentence
        late = said("{reason} The provider keeps results for {span}.", reason=reason, span=kept_for(self._job.step))
        self._end("expired" if over else "failed", self._linked(late if over else reason), got, problem.failure)

    def _download(self, url: str) -> bytes:
        """Return a whole result; what may pass by itself is waited for as long as the provider keeps it, since it is paid for."""
        wanted = OPERATION_TYPES[self._job.step.operation_type].result
        began, attempt, broken = clocks.steady(), 0, 0
        while True:
            attempt += 1
            try:
                if is_whole(data := fetch(url, self._around.policy), wanted):
                    return data
                problem = FetchError(reason=finalization.BROKEN[wanted])
            except (FetchRefused, FetchTooLarge):
                raise
            except FetchError as error:
                problem = error
            broken += not isinstance(problem, FetchUnavailable | FetchTimeout)
            if broken >= FETCH_ATTEMPTS:
                raise problem
            trying = clocks.steady() - began
            if is_over(self._job.step, self._around.providers.get(self._job.step.provider), trying) and self._is_gone(trying):
                raise problem
            self._note(said("{reason} Trying again.", reason=problem.sentence))
            self._look()
            self._pause(self._around.pauses.after(attempt))

    def _is_gone(self, trying: float) -> bool:
        """Ask whether a result that cannot be had was deleted; its age counts by its provider's word, or if that is silent."""
        step, provider = self._job.step, self._around.providers.get(self._job.step.provider)
        try:
            prediction = self._provider().status(step.prediction_id or "")
        except ProviderError as error:
            return error.failure == "not found" or is_over(step, provider, trying)
        return prediction.expired or (step.fetch_by is not None and is_over(step, provider, trying))

    def _deliver(self, outputs: list[bytes]) -> None:
        if self._is_last():
            self._end("stored", None, outputs)
            return
        step, store = self._job.step, self._around.store
        with store.operations.held([self._job.operation_id]):
            self._look()
            try:
                path = store.save_output_file(self._job.operation_id, outputs[0], step.operation_type)
            except OperationExists:  # left by an attempt that was killed, with other bytes
                finalization.remove_orphaned_results(store, self._job)
                path = store.save_output_file(self._job.operation_id, outputs[0], step.operation_type)
        done = replace(step, output_file=path.name, sender=None)
        self._accepted = None
        self._update(
            lambda job: replace(
                job,
                steps=(*job.steps[: job.current], done, *job.steps[job.current + 1 :]),
                current=job.current + 1,
                state="queued",
                attempts=0,
            )
        )

    # -- the end ---------------------------------------------------------------------------------------------------------

    def _end_unknown(self) -> None:
        self._update(lambda job: job.with_step(status="unknown", prediction_id=job.step.chosen_id))
        self._end("unknown", finalization.UNKNOWN)

    def _end_unsent(self, reason: str, kind: str) -> None:
        """End as failed if nothing was accepted, so nothing is paid."""
        self._told(lambda job: _unsent(job).with_step(status="failed", error=reason))
        self._end("failed", reason, kind=kind)

    def _end(self, status: str, error: str | None, outputs: Sequence[bytes] = (), kind: str | None = None) -> None:
        metadata = finalization.sidecar(self._job, status, error, outputs, self._around.clock(), kind)
        # A worker that was stopped for longer than its lease must not write any more: it may be in the trash by now.
        finalization.save(self._around.store, self._job, metadata, outputs, self._look)
        self._around.folder.remove(self._job.operation_id)
        log.info("%s: %s", self._job.operation_id, status)

    # -- small parts -----------------------------------------------------------------------------------------------------

    def _provider(self) -> Provider:
        try:
            return self._around.providers[self._job.step.provider]
        except KeyError:
            raise ProviderUnavailable(reason=said("{provider} is not set up here", provider=self._job.step.provider)) from None

    def _request(self, reading: bool = True) -> StepRequest:
        """Return the step as its provider takes it; to look it up its inputs need not be read, only counted."""
        job, step = self._job, self._job.step
        previous = job.steps[job.current - 1].output_file if job.current else None
        names = [previous] if previous else list(job.operation.get("inputFiles", ()))
        inputs = tuple(self._around.store.read_file(name) if reading else b"" for name in names)
        return StepRequest(
            job.operation_id, step.operation_type, step.prompt, step.parameters, inputs, step.model, step.chosen_id
        )

    def _is_last(self) -> bool:
        return self._job.current + 1 == len(self._job.steps)

    def _look(self) -> Job:
        """Return the record as it is now; raise LeaseLost where it is somebody else's, or gone."""
        try:
            job = self._around.folder.get(self._job.operation_id)
        except OperationNotFound:
            raise LeaseLost from None
        if job.lease is None or job.lease.owner != self._owner:
            raise LeaseLost
        return job

    def _update(self, change: Callable[[Job], Job]) -> None:
        def fenced(job: Job) -> Job:
            if job.lease is None or job.lease.owner != self._owner:
                raise LeaseLost
            return change(job)

        self._write(fenced)

    def _told(self, change: Callable[[Job], Job]) -> None:
        """Write how a request ended: the right of whoever sent it, also where the lease went to somebody else meanwhile."""
        mine = self._job.current

        def fenced(job: Job) -> Job:
            leased = job.lease is not None and job.lease.owner == self._owner
            sent = job.step.sender == self._owner and job.current == mine and job.state == "creating"
            if not leased and not sent:
                raise LeaseLost
            return change(job)

        self._write(fenced)
        if self._job.lease is None or self._job.lease.owner != self._owner:
            raise LeaseLost

    def _write(self, change: Callable[[Job], Job]) -> None:
        try:
            self._job = self._around.folder.update(self._job.operation_id, change)
        except OperationNotFound:
            raise LeaseLost from None

    def _sending(self, share: float, note: str = "") -> None:
        """Take a provider's report while it prepares, or computes here; the last one comes right before a request leaves."""
        self._report(share, note)
        if self._look().cancel:
            raise Canceled

    def _report(self, share: float | None, note: str = "", logs: str = "") -> None:
        if self._around.stop.is_set():
            raise Stopping
        whole = None if share is None else (self._job.current + min(max(share, 0.0), 1.0)) / len(self._job.steps)
        self._around.folder.report(self._job.operation_id, Progress(whole, note, logs))

    def _note(self, note: str) -> None:
        self._around.folder.report(
            self._job.operation_id, replace(self._around.folder.progress(self._job.operation_id), note=note)
        )

    def _pause(self, seconds: float) -> None:
        if self._around.stop.wait(seconds):
            raise Stopping

    def _wait(self, seconds: float, canceled: bool = False) -> None:
        """Pause, but no longer than until somebody cancels; `canceled` says that this was heard already."""
        end = clocks.steady() + seconds
        while (left := end - clocks.steady()) > 0:
            self._pause(min(left, HEED_SECONDS))
            if self._look().cancel and not canceled:
                return

    def _now(self) -> str:
        return timestamp(self._around.clock())

    def _linked(self, text: str) -> str:
        """Return `text` with the prediction's page at the provider, where it has one."""
        url = self._job.step.web_url
        return said("{text} See {url}", text=text, url=url) if url else text


def _unsent(job: Job) -> Job:
    """Return the job as it was before its request, which has surely created nothing."""
    sent = job.step.sent if job.step.doubts else None
    return replace(job.with_step(creating_at=None, sent=sent, sender=None), state="queued")
