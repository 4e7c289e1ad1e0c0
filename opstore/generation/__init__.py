"""What a person asks for in one act: the analysis decides, one request becomes several variants, an old operation is redone.

One function for every way in: a request that fails at any point is stored with its error like any other operation, under the type
`unknown` where no workflow was chosen; of several parts nothing is queued before every one of them was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from opstore.access.roles import Authorization, Role, act, acting, part
from opstore.errors import (
    BudgetReached,
    InvalidMetadata,
    InvalidRequest,
    OpstoreError,
    SettingsDamaged,
    SpendingUnknown,
    StorageError,
    said,
)
from opstore.errors.failure import recorded
from opstore.generation.remix import Remix, remix
from opstore.generation.request import Axis, Outcome, SmartRequest
from opstore.generation.variants import MAX_AXES, MAX_BATCH, MAX_VARIANTS, MODEL_AXIS, differing, varied
from opstore.jobs.finalization import UNSENT, clean
from opstore.media import renderings
from opstore.providers import registry
from opstore.providers.models import Cost
from opstore.service import NewOperation, Service
from opstore.smart import model, rules
from opstore.smart.analysis import Language, WorkflowAnalysis
from opstore.storage.names import generate_operation_id
from opstore.storage.operation import OPERATION_TYPES, plain
from opstore.storage.saving import MAX_INPUTS, check_image
from opstore.workflows import MAX_PROMPT

__all__ = [
    "MAX_AXES",
    "MAX_BATCH",
    "MAX_VARIANTS",
    "MODEL_AXIS",
    "Axis",
    "Generation",
    "Outcome",
    "Remix",
    "SmartRequest",
    "Variant",
]


#: Longer side, in pixels, of the pictures that a language model is shown: enough to see what is on them, and a few kB.
LOOK_SIZE = 512
#: What refuses a request that is right in itself.
_MONEY = (BudgetReached, SettingsDamaged, SpendingUnknown)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Variant:
    """One operation of a batch, under way or ended: `share` done from 0 to 1, and what tells it from the others."""

    id: str
    status: str
    output: str | None
    share: float | None
    differs: Mapping[str, Any]
    prompt: str
    type: str


@part(Role.CREATOR)
class Generation(Authorization):
    """The acts of people who make things, over one service."""

    service: Service
    asker: model.Ask

    def __init__(
        self,
        service: Service,
        asker: model.Ask = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make things with `service`; `asker` gives the language model that the settings name, None if there is none."""
        self.service = service
        self.asker = asker
        self._clock = clock
        self._questions = ThreadPoolExecutor(2, "opstore-question")

    # -- analysis --------------------------------------------------------------------------------------------------------

    def propose(self, prompt: str, images: Sequence[bytes], spoken: Language | None = None) -> WorkflowAnalysis:
        """Return what the rules say at once, and for nothing; raise InvalidRequest where no workflow takes so many images."""
        return rules.analyze(prompt, len(images), spoken)

    def analyze(self, prompt: str, images: Sequence[bytes], spoken: Language | None = None) -> WorkflowAnalysis:
        """Return the workflow that a prompt and its images ask for, from the language model where the settings name one.

        Its budget used up, its answer missing, late or nonsense: then the rules answer, and the analysis says so.
        """
        asker, proposed = self.asker(), self.propose(prompt, images, spoken)
        if asker is None or not prompt.strip():
            return proposed
        pictures = [renderings.thumbnail(image, LOOK_SIZE) for image in images]
        try:
            self.service.pay(asker.cost())
        except (StorageError, *_MONEY) as error:
            return replace(proposed, fallback=said("the rules decided: {reason}", reason=error.sentence))
        return model.analyze(asker, prompt, pictures, spoken)

    def improve(self, prompt: str, workflow: str) -> tuple[str, Mapping[str, Any]]:
        """Return a better wording from the language model, and what it cost; raise InvalidRequest if there is none."""
        asker = self.asker()
        if asker is None:
            raise InvalidRequest(reason=said("improving the prompt needs a language model; choose one in the settings"))
        self.service.pay(asker.cost())
        try:
            return model.improve(asker, prompt, workflow), asker.cost().record()
        except model.Nonsense:
            raise InvalidRequest(reason=said("the language model gave no improved prompt; try again")) from None

    def later(self, question: Callable[[], Answer]) -> Future[Answer]:
        """Ask in the background: a page must not wait for a provider, and its run may end at any time."""
        return self._questions.submit(question)

    @act(Role.ADMIN)
    def close(self) -> None:
        """Wait for no answer any more."""
        self._questions.shutdown(wait=False, cancel_futures=True)

    # -- one request -----------------------------------------------------------------------------------------------------

    def requests(self, request: SmartRequest) -> list[NewOperation]:
        """Return the operations that a request becomes, in order; raise InvalidRequest for one that makes no sense."""
        analysis = self._analysis(request, self.propose)
        if analysis.chosen == "edit_then_video" and request.steps is None:
            proposed = analysis.steps if request.wording == request.prompt else None
            request = replace(request, steps=proposed or rules.steps(request.wording))
        base = NewOperation(
            operation_type=analysis.chosen,
            prompt=request.wording,
            images=request.images,
            parameters=request.stored_parameters(analysis.chosen),
            models=request.models,
            provider=request.provider,
            parents=request.parents,
            workflow_analysis=analysis.record(),
        )
        operations = varied(self.service, base, request.variants, request.axes)
        if len(operations) == 1:
            return [replace(operations[0], operation_id=request.operation_id)]
        batch_id = generate_operation_id(self._clock())
        # What the analysis cost was paid once: the first one says so.
        free = {key: value for key, value in analysis.record().items() if key != "cost"}
        rest = [replace(item, workflow_analysis=free) for item in operations[1:]]
        return [replace(item, batch_id=batch_id, batch_index=number) for number, item in enumerate([operations[0], *rest], 1)]

    @staticmethod
    def _analysis(request: SmartRequest, analyze: Callable[[str, Sequence[bytes]], WorkflowAnalysis]) -> WorkflowAnalysis:
        analysis = request.analysis or analyze(request.prompt, request.images)
        return analysis.overridden(request.workflow) if request.workflow else analysis

    def estimate(self, request: SmartRequest) -> list[list[Cost | None]]:
        """Return what each step of each operation will probably cost; raise InvalidRequest where one could not be run."""
        return [self.service.estimate(self.service.plan(item)) for item in self.requests(request)]

    def execute(self, request: SmartRequest) -> Outcome:
        """Queue what a request asks for, or store it with its error; raise StorageError only where not even that is possible.

        Raise BudgetReached, SettingsDamaged or SpendingUnknown, with nothing stored, where it would cost what must not be spent:
        nothing is wrong with the request, and who presses ten times has not made ten failures.
        """
        analysis = request.analysis
        try:
            analysis = self._analysis(
                request, self.propose if request.workflow else self.analyze
            )  # nobody pays for what is known
            wanted = self.requests(replace(request, analysis=analysis))
            costs = [cost for item in wanted for cost in self.service.estimate(self.service.plan(item))]
            self.service.afford(costs)
        except (StorageError, *_MONEY):
            raise
        except OpstoreError as error:
            return Outcome((self.record_failure(request, analysis, error),), analysis, error)
        return self._queue(wanted, request, analysis)

    def _queue(self, wanted: Sequence[NewOperation], request: SmartRequest, analysis: WorkflowAnalysis) -> Outcome:
        ids: list[str] = []
        for item in wanted:
            try:
                ids.append(self.service.create(item))
            except OpstoreError as error:
                if ids:  # some are on their way: they are the outcome, and the error says why there are not more
                    return Outcome(tuple(ids), analysis, error, item.batch_id)
                if isinstance(error, (StorageError, *_MONEY)):
                    raise
                return Outcome((self.record_failure(request, analysis, error),), analysis, error)
        return Outcome(tuple(ids), analysis, None, wanted[0].batch_id)

    def record_failure(self, request: SmartRequest, analysis: WorkflowAnalysis | None, error: OpstoreError) -> str:
        """Store a request that could not be run as an operation with its error; return the operation's id."""
        operation_id = request.operation_id or generate_operation_id(self._clock())
        chosen = analysis.chosen if analysis else request.workflow
        workflow = chosen if chosen and chosen in OPERATION_TYPES else "unknown"
        metadata = {
            "operationType": workflow,
            "prompt": clean(request.wording, MAX_PROMPT) if isinstance(request.wording, str) else "",
            "parameters": _storable(request.stored_parameters(workflow)),
            "inputCount": len(request.images),
            "workflowAnalysis": _storable(analysis.record()) or None if analysis else None,
            **recorded(clean(error.sentence), "failed", error.failure),
            "success": False,
            "cost": dict(UNSENT),
            "parents": list(request.parents),
        } | ({"createdBy": by} if (by := acting().recorded) else {})
        if len(kept := _readable(request.images)) < len(request.images):
            metadata["inputsGiven"] = len(request.images)
        if models := _storable(request.models):
            metadata["models"] = models
        if registry.find(request.provider):
            metadata["provider"] = request.provider
        self.service.store.initialize_storage()
        self.service.store.save(operation_id, metadata, inputs=kept)
        return operation_id

    # -- what becomes of several -----------------------------------------------------------------------------------------

    @act(*Role)
    def batch(self, batch_id: str) -> list[Variant]:
        """Return the operations of a batch in the order they were asked for, those under way and those that have ended."""
        jobs = [job for job in self.service.jobs() if job.batch_id == batch_id]
        ended = [item for item in self.service.of_batch(batch_id) if item.id not in {job.id for job in jobs}]
        rows: list[tuple[int, Variant]] = []
        differs = differing(
            [*((job.parameters, job.model) for job in jobs), *((item.parameters(), item.model) for item in ended)]
        )
        for job, own in zip(jobs, differs, strict=False):
            rows.append((job.batch_index, Variant(job.id, job.state, None, job.progress.share, own, job.prompt, job.type)))
        for item, own in zip(ended, differs[len(jobs) :], strict=True):
            place = item.sidecar.get("batchIndex")
            found = Variant(item.id, item.status, item.output, None, own, item.prompt, item.type)
            rows.append((place if isinstance(place, int) else 0, found))
        return [variant for _, variant in sorted(rows, key=lambda row: (row[0], row[1].id))]

    # -- again, with changes ---------------------------------------------------------------------------------------------

    def remix(self, operation_id: str) -> Remix:
        """Return the settings of any stored operation for a new one; raise OperationNotFound or DamagedOperation."""
        return remix(self.service, operation_id)


def _storable(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON can hold of a request that may have failed for exactly that: all of it, or nothing."""
    try:
        found: dict[str, Any] = plain(value)
    except InvalidMetadata:
        return {}
    return found


def _readable(images: Sequence[bytes]) -> list[bytes]:
    """Return the images that can be kept: a request may have failed for one of them."""
    kept: list[bytes] = []
    for number, image in enumerate(images[:MAX_INPUTS], 1):
        try:
            check_image(image, number)
        except OpstoreError:
            continue
        kept.append(image)
    return kept
