"""What people can do with opstore, as acts, here and in the parts that it holds; each says beside it who may do it.

Pages and HTTP come in through `App.acting_as`, with the rights of one person; work in the background, and whoever sits at this
machine without sign-in, have all rights. Commands open the parts that they need without it: who can read the folder may.
Whatever is asked is checked whole before anything is stored; what is acknowledged is durable.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from opstore import media
from opstore.access.roles import Door, Role, act, acting, part
from opstore.analytics.queries import Analytics
from opstore.care import Care
from opstore.clocks.leaps import Leap
from opstore.comparing.kept_comparisons import Comparisons
from opstore.comparing.reviews import Reviews
from opstore.curation import Curation
from opstore.errors import (
    DamagedOperation,
    FileMissing,
    InvalidRequest,
    OperationNotFound,
    OpstoreError,
    SettingsDamaged,
    UnsupportedMedia,
    said,
)
from opstore.exports import Exports
from opstore.index import MAX_PAGE, Index, Row
from opstore.index.search_language import with_values
from opstore.jobs import Job, JobFolder
from opstore.jobs.job_view import JobView
from opstore.jobs.new_operation import NewOperation
from opstore.jobs.once import Once
from opstore.lineage.branches import Branches
from opstore.lineage.families import Lineage
from opstore.media.likeness import for_browser, shown_as
from opstore.media.provenance import Copy, Provenance
from opstore.media.thumbnails import Copies, Thumbnails
from opstore.providers.models import Cost, Model, ModelTable
from opstore.providers.registry import Opened, is_free
from opstore.shares import Shares
from opstore.spending.budget import Budget, Spending
from opstore.storage.drafts import Drafts
from opstore.storage.names import check_operation_id, parse_name
from opstore.storage.operation import Operation
from opstore.storage.preferences import PreferenceFile, Preferences
from opstore.storage.saving import check_image
from opstore.storage.store import Store
from opstore.storage.stored_file import Reader, opened
from opstore.storage.verify import Problem
from opstore.workflows import StepPlan, plan, step_types


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the library, newest first; `older` is the id to pass as `before` for the next one, None at the end."""

    operations: tuple[Operation, ...]
    older: str | None


@part()
@dataclass(kw_only=True, eq=False, repr=False)
class Service(Door):
    """The acts of people over one data folder. A part is an object that is asked directly, such as `service.curation.undo`."""

    store: Store
    table: ModelTable
    thumbnails: Thumbnails
    index: Index
    curation: Curation
    analytics: Analytics
    exports: Exports
    care: Care
    comparisons: Comparisons
    shares: Shares
    lineage: Lineage
    reviews: Reviews
    branches: Branches
    once: Once
    drafts: Drafts
    _jobs: JobFolder
    _preferences: PreferenceFile
    _budget: Budget
    #: Who makes things when a request does not say, and all who can.
    _provider: Callable[[], str]
    _providers: Opened
    _wake: Callable[[], None] = lambda: None
    _clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        """Keep what browsers show of a HEIC beside the store's other copies."""
        self._shown = Copies(self.store, "shown", "whole", for_browser)

    # -- making ----------------------------------------------------------------------------------------------------------

    @act(Role.CREATOR)
    def create(self, request: NewOperation) -> str:
        """Store a request durably and return its operation's id; the runner, here or in another process, does the rest."""
        steps = self.plan(request)
        for number, image in enumerate(request.images, 1):
            check_image(image, number)
        costs = self.estimate(steps)
        self.afford(costs)
        job = request.job(steps, costs, self._clock(), acting().recorded)
        self._keep(job, request.images)
        self._wake()
        return job.operation_id

    @act(*Role)
    def plan(self, request: NewOperation) -> tuple[StepPlan, ...]:
        """Return the provider calls that a request would make; raise InvalidRequest for one that could not run."""
        provider = request.provider or self._provider()
        if provider not in self._providers:
            # Otherwise the runner would wait minutes for a provider that cannot come.
            raise InvalidRequest(reason=self._providers.why_not(provider))
        return plan(
            request.operation_type,
            request.prompt,
            request.parameters,
            len(request.images),
            provider=provider,
            table=self.table,
            models={**self._preferred(provider), **request.models},
        )

    def _preferred(self, provider: str) -> dict[str, str]:
        """Return the preferred models that `provider` has: a choice made for one provider must not stop another."""
        chosen = self._preferences.load().models
        return {
            kind: name for kind, name in chosen.items() if name in {model.name for model in self.table.models(provider, kind)}
        }

    @act(*Role)
    def estimate(self, steps: Sequence[StepPlan]) -> list[Cost | None]:
        """Return what each step will probably cost, None where the price is not known."""
        return [step.model.estimate(step.operation_type, step.parameters) for step in steps]

    @act(*Role)
    def afford(self, costs: Sequence[Cost | None]) -> None:
        """Raise as `Budget.check` does where steps of these estimated costs must not be asked for; what is free always may."""
        if any(cost is None or cost.amount or cost.estimated for cost in costs):
            self._budget.check([cost.record() if cost else None for cost in costs])

    @act(Role.CREATOR)
    def pay(self, cost: Cost) -> None:
        """Count what is about to be paid and becomes no operation; raise as `Budget.check` does where it must not be."""
        self._budget.pay(cost.record())

    def _keep(self, job: Job, images: Sequence[bytes]) -> None:
        """Store the images of a job, then its record, which names them; where that fails, nothing stays."""
        self.store.initialize_storage()
        names: list[str] = []
        try:
            for number, image in enumerate(images, 1):
                names.append(self.store.save_input_image(job.operation_id, image, number).name)
            self._jobs.add(replace(job, operation={**job.operation, "inputCount": len(names), "inputFiles": names}))
        except OpstoreError:
            with contextlib.suppress(OpstoreError):  # nobody would ever find them: verify() lists what stays
                self.store.operations.remove(job.operation_id, names)
            raise

    @act(Role.CREATOR)
    def cancel(self, operation_id: str) -> None:
        """Ask for an operation under way to stop; raise OperationNotFound where it has ended already."""
        try:
            self._jobs.update(check_operation_id(operation_id), lambda job: replace(job, cancel=True))
        except ValueError:
            raise DamagedOperation(operation_id=operation_id, reason=said("its record in pending/ is damaged")) from None
        self._wake()

    @act(Role.CREATOR)
    def again(
        self,
        operation_id: str,
        images: tuple[bytes, ...] | None = None,
        parents: tuple[str, ...] | None = None,
        batch_id: str | None = None,
        new_id: str | None = None,
    ) -> str:
        """Run an operation once more, as a new one that names the old; return the new id. Works for old and foreign ones.

        The new one has another seed: with the same one would pay for the same picture. With `images` it is made from those,
        `parents` are theirs, and the seed stays: nothing else is to be another. `new_id` is one that somebody has chosen already.
        Raise InvalidRequest where it would be made from fewer images than it was, or paid for at a model that nobody chose.
        """
        old = self.operation(operation_id)
        provider = old.provider if old.provider in self._providers else self._provider()
        parameters = {name: value for name, value in old.parameters().items() if name != "seed" or images is not None}
        steps = step_types(old.type, len(old.inputs))
        named = named_models(old, steps)
        known = {model.name for step in steps for model in self.models(step, provider)}
        kept, count = len(old.inputs if images is None else images), images_given(old)
        if kept < count:
            reason = said("images kept: {kept} of {count}. Take its settings, and add the others.", kept=kept, count=count)
            raise InvalidRequest(reason=reason)
        if not is_free(provider if known else self._provider()):
            _check_models(named, steps, known)
        return self.create(
            NewOperation(
                operation_type=old.type,
                prompt=old.prompt,
                images=tuple(self.store.read_file(name) for name in old.inputs) if images is None else images,
                parameters=parameters,
                models={kind: name for kind, name in named.items() if name in known},
                provider=provider if known else None,
                parents=old.parents if parents is None else parents,
                batch_id=batch_id,
                retry_of=old.id,
                operation_id=new_id,
            )
        )

    @act(*Role)
    def models(self, step_type: str, provider: str | None = None) -> Sequence[Model]:
        """Return the models that do `step_type`, the one chosen in the settings first, else the table's default."""
        chosen = provider or self._provider()
        preferred = self._preferred(chosen).get(step_type)
        return sorted(self.table.models(chosen, step_type), key=lambda model: model.name != preferred)

    # -- following -------------------------------------------------------------------------------------------------------

    @act(*Role)
    def jobs(self) -> list[JobView]:
        """Return what is under way, oldest first."""
        return [self._view(job) for job in self._jobs.all()]

    @act(*Role)
    def count_jobs(self) -> int:
        """Return how many operations are under way: as many as `jobs` shows, or a page that compares the two would never rest."""
        return len(self._jobs.all())

    @act(*Role)
    def job(self, operation_id: str) -> JobView | None:
        """Return one operation under way, None where it has ended or never was."""
        try:
            return self._view(self._jobs.get(check_operation_id(operation_id)))
        except (OpstoreError, ValueError):
            return None

    def _view(self, job: Job) -> JobView:
        return JobView.of(job, self._jobs.progress(job.operation_id), self._clock())

    # -- looking ---------------------------------------------------------------------------------------------------------

    @act(*Role)
    def operation(self, operation_id: str) -> Operation:
        """Return one stored operation; raise InvalidOperationId, OperationNotFound or DamagedOperation."""
        return Operation.of(self.store.get_operation_metadata(operation_id))

    @act(*Role)
    def page(self, *, before: str | None = None, size: int = 24, types: Sequence[str] = (), statuses: Sequence[str] = ()) -> Page:
        """Return a page of stored operations, newest first, of these types and statuses (empty: of all)."""
        found = tuple(itertools.islice(self._matching(before, size, set(types), set(statuses)), size + 1))
        return Page(found[:size], found[size - 1].id if len(found) > size else None)

    def _matching(self, before: str | None, size: int, types: set[str], statuses: set[str]) -> Iterator[Operation]:
        if before is not None:
            check_operation_id(before)
        for sidecar in self.store.iterate(before=before, hint=size + 1):
            operation = Operation.of(sidecar)
            if (not types or operation.type in types) and (not statuses or operation.status in statuses):
                yield operation

    @act(*Role)
    def is_indexed(self) -> bool:
        """Say whether the index has seen all operations: until then what it finds is not all."""
        return self.index.progress().ready or self.store.operations.is_empty()

    @act(*Role)
    def latest(self, size: int = 24, status: str = "") -> list[Operation]:
        """Return the newest stored operations, of one status where given, as far as the index has seen them.

        Until it has seen all, the folder itself is listed, which takes a second for 100,000 operations.
        """
        if not self.is_indexed():
            return list(self.page(size=size, statuses=[status] if status else ()).operations)
        return self._read(self.index.search(with_values("", "status", [status] if status else []), size=size).rows)

    @act(*Role)
    def of_batch(self, batch_id: str) -> list[Operation]:
        """Return the stored operations of one batch, newest first, as far as the index has seen them."""
        return self._read(self.index.search(with_values("", "batch", [batch_id]), size=MAX_PAGE).rows)

    def _read(self, rows: Iterable[Row]) -> list[Operation]:
        found = []
        for row in rows:
            with contextlib.suppress(OpstoreError):  # trashed or damaged since
                found.append(self.operation(row.id))
        return found

    @act(*Role)
    def open_media(self, name: str, *, shown: bool = False) -> tuple[Reader, media.MediaType | None]:
        """Open a stored media file and return what its bytes are; raise InvalidFileName, FileMissing or UnsafeFile.

        With `shown` it is what every browser shows of it: itself, or its likeness where it is a HEIC; raise UnsupportedMedia for
        one that cannot be decoded. Whoever asks closes it.
        """
        file = self.store.open_file(name, again=True)
        try:
            parts = parse_name(name)
            if parts is None or parts.role == "sidecar":
                raise FileMissing(name=name)
            kind = media.sniff(file.read(4096))
            file.seek(0)
            if not shown or kind is None or shown_as(kind) is kind:
                return file, kind
            copy = self._shown.path(name)
            if copy is None:
                raise UnsupportedMedia(index=1)
            file.close()
            return opened(copy), shown_as(kind)
        except FileNotFoundError:  # the cache was deleted at this very moment
            file.close()
            raise FileMissing(name=name) from None
        except BaseException:
            file.close()
            raise

    @act(*Role)
    def media(self, name: str) -> media.MediaType | None:
        """Return what a stored media file is by its bytes, None where that is nothing known; raise as `open_media` does."""
        file, kind = self.open_media(name)
        file.close()
        return kind

    @act(*Role)
    def copy_to_save(self, name: str, *, shown: bool = False) -> Copy | None:
        """Return what `open_media` opens with the mark of what made it; None where it can leave as it is. Raise as that does."""
        parts = parse_name(name)
        if parts is None or parts.role == "sidecar":
            raise FileMissing(name=name)
        try:
            operation = Operation.of(self.store.get_operation_metadata(parts.operation_id))
        except (OperationNotFound, DamagedOperation):
            return None
        return Provenance(self.store).copy(operation, name, lambda: self.open_media(name, shown=shown)[0])

    @act(*Role)
    def expect(self, rows: Iterable[Row]) -> None:
        """Have the small pictures made of what will probably be looked at next, the nearest first, while nobody waits."""
        self.thumbnails.expect([name for row in rows if (name := shown_by(row))])

    @act(Role.ADMIN)
    def clock_leap(self) -> Leap | None:
        """Return the leap of this machine's clock for which nothing is removed for its age now, None if there is none."""
        return self.care.leaps.standing()

    @act(Role.ADMIN)
    def problems(self, *, deep: bool = False) -> list[Problem]:
        """Return everything that is wrong in the data folder."""
        return [*self.store.verify(deep=deep), *self._preferences.problems(), *self.table.listed()]

    # -- settings --------------------------------------------------------------------------------------------------------

    @act(*Role)
    def preferences(self) -> Preferences:
        """Return what people chose."""
        return self._preferences.load()

    @act(*Role)
    def settings_damage(self) -> SettingsDamaged | None:
        """Return why nothing that costs money is done now, None where the settings can be trusted."""
        try:
            self._preferences.trusted()
        except SettingsDamaged as damage:
            return damage
        return None

    @act(*Role)
    def setup_problems(self) -> list[str]:
        """Return in sentences what is wrong with the settings, the providers and the table of models, while all else works."""
        return [*self._preferences.absent(), *self._providers.problems.values(), *self.table.problems]

    @act(Role.ADMIN)
    def change_preferences(self, *, mend: bool = False, seen: Preferences | None = None, **changes: Any) -> Preferences:
        """Change settings; raise InvalidSetting for a value that makes no sense, SettingsDamaged unless it is to `mend` them.

        Raise SettingsChanged where one of them is not what was `seen` when it was chosen.
        """
        return self._preferences.save(mend=mend, seen=seen, **changes)

    @act(Role.CREATOR, Role.ANALYST)
    def spending(self) -> Spending:
        """Return what was spent today and this month, and what is bound by operations under way."""
        return self._budget.spending()

    @act(*Role)
    def provider(self) -> str:
        """Return the name of the provider that makes things now."""
        return self._provider()


def shown_by(row: Row) -> str | None:
    """Return whose small picture shows an operation: its output's, else by its id that of its inputs, or nobody's."""
    return row.output or (row.id if row.inputs else None)


def images_given(old: Operation) -> int:
    """Return from how many images an operation was made, kept or not."""
    imported = old.sidecar.get("imported")
    missing = imported.get("inputsMissing") if isinstance(imported, Mapping) else None
    counts = [len(old.inputs) + missing if isinstance(missing, int) else 0, *map(old.sidecar.get, ("inputCount", "inputsGiven"))]
    return max([len(old.inputs), *(count for count in counts if isinstance(count, int) and not isinstance(count, bool))])


def _check_models(named: Mapping[str, str], steps: Sequence[str], known: Iterable[str]) -> None:
    """Raise InvalidRequest where a step would be paid for at another model than was named; where none was, any will do."""
    if gone := [name for name in named.values() if name not in known]:
        raise InvalidRequest(reason=said("{model} is no longer on offer. Take its settings and choose a model.", model=gone[0]))
    if named and len(named) < len(steps):
        raise InvalidRequest(reason=said("it does not name the models of all its steps. Take its settings and choose them."))


def named_models(old: Operation, steps: Sequence[str]) -> dict[str, str]:
    """Return the models that an operation names for these of its steps; of a single step that is its own where none is told."""
    named = {step: name for step, name in _models_of(old).items() if step in steps}
    return {steps[0]: old.model} if not named and old.model and len(steps) == 1 else named


def _models_of(old: Operation) -> dict[str, str]:
    """Return the models of an operation's steps by type, as far as its sidecar, whoever wrote it, tells."""
    steps, asked_for = old.sidecar.get("steps"), old.sidecar.get("models")
    ran = [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
    named = list(asked_for.items()) if isinstance(asked_for, Mapping) else []
    named += [(step.get("operationType"), step.get("model")) for step in ran]
    return {kind: model for kind, model in named if isinstance(kind, str) and isinstance(model, str)}


__all__ = ["JobView", "NewOperation", "Page", "Service", "images_given", "named_models", "shown_by"]
