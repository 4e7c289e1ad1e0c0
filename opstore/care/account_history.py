"""Import of an account's own history at a provider: what was made on its web site, or by other programs, becomes operations here.

Nothing is ever asked to be made. A prediction that an operation here names, also one in the trash or under way, is passed over;
the others get ids that follow from their own, so that importing twice, or from two processes at once, makes nothing twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from opstore import clocks, media
from opstore.care.importing import Imported
from opstore.care.progress import Report, quiet
from opstore.errors import FetchError, FetchTimeout, FetchUnavailable, InvalidInput, OpstoreError, said
from opstore.errors.failure import recorded
from opstore.fetch import FetchPolicy, fetch
from opstore.jobs import JobFolder, finalization
from opstore.jobs.finalization import clean, cost_of, step_record
from opstore.jobs.lookup import LOOK_BACK
from opstore.jobs.whole_results import is_whole
from opstore.providers import MARGIN, Account, Past, Prediction, registry
from opstore.providers.models import Model, ModelTable
from opstore.storage.files import digest, is_passing
from opstore.storage.job import Step
from opstore.storage.names import sidecar_name
from opstore.storage.operation import OPERATION_TYPES, STEP_TYPES, parse_time, timestamp
from opstore.storage.store import MAX_INPUT_BYTES, MAX_INPUTS, Store
from opstore.storage.trash import Trash

#: Nobody keeps results for longer.
MOST_DAYS = 365
#: Longer texts among the fields of a request are no settings.
_MAX_TEXT, _MAX_PROMPT = 2_000, 100_000


class HistoryImport:
    """One import from an account into a store."""

    def __init__(
        self,
        store: Store,
        trash: Trash,
        table: ModelTable,
        policy: FetchPolicy,
        report: Report = quiet,
        *,
        dry: bool = False,
    ) -> None:
        """Take into `store` what `policy` lets be fetched; `table` says what models make; where `dry` only look."""
        self._store = store
        self._trash = trash
        self._table = table
        self._policy = policy
        self._report = report
        self._dry = dry
        self._new: list[str] = []
        self._same = 0
        self._without = 0
        self._left: dict[str, str] = {}

    def run(self, provider: Account, since: datetime) -> Imported:
        """Import every prediction made at or after `since`; raise ProviderError where the list cannot be had."""
        questions = registry.language_models()
        history = provider.history(since)
        first = next(history, None)
        # Known after the list's first answer: whoever had what it holds made is under way by then, or has ended.
        known, unknown = self._known(since)
        for number, found in enumerate([] if first is None else itertools.chain([first], history)):
            past = replace(found, prediction=finalization.sound(found.prediction))
            unsure = min((_left(step, provider) for step in unknown), default=None)  # by the clock that the answer has told
            self._report(number, None, said("importing"))
            name = past.prediction.id
            if name is None or name in known or past.models[0] in questions:  # questions about prompts make no operation
                self._same += name in known
                continue
            try:
                self._take(name, past, unsure, provider.name)
            except OpstoreError as error:
                if is_passing(error):
                    raise
                self._left[name] = error.details.get("reason") or str(error)
        return Imported(tuple(self._new), self._same, self._left, self._without)

    def _known(self, since: datetime) -> tuple[set[str], list[Step]]:
        """Return the predictions that operations here name, and the steps under way that may have one and do not know it."""
        # Records before sidecars: one that ends meanwhile is then seen in either.
        jobs = JobFolder(self._store.pending, self._store.cache / "progress").all()
        known = {name for job in jobs for step in job.steps for name in step.ids}
        unknown = [job.step for job in jobs if (job.step.creating_at or job.step.doubts) and not job.step.ids]
        oldest = f"{since - LOOK_BACK:%Y%m%d%H%M%S}"
        before = self._trash.all()  # and once more after: what comes back meanwhile is in neither list else
        for sidecar in self._store.iterate():
            if sidecar["operationId"] < oldest:
                break
            known.update(_predictions(sidecar))
        for trashed in (*before, *self._trash.all()):
            known.update(_predictions(trashed.sidecar or {}))
        return known, unknown

    # -- one prediction --------------------------------------------------------------------------------------------------

    def _take(self, name: str, past: Past, unsure: datetime | None, provider: str) -> None:
        prediction, created = past.prediction, parse_time(past.prediction.created_at)
        model = next((self._table.by_name[name] for name in past.models if name in self._table.by_name), None)
        if not prediction.ended:
            raise InvalidInput(reason=said("it is not done yet; import again later"))
        if created is None:
            raise InvalidInput(reason=said("it does not say when it was made"))
        if unsure and created >= unsure - MARGIN:
            raise InvalidInput(reason=said("it may belong to an operation under way here; import again later"))
        if model is None and past.prediction.expired:
            raise InvalidInput(reason=said("nothing is known of it any more"))
        if model is None and prediction.status == "succeeded" and not prediction.outputs:
            raise InvalidInput(reason=said("its result is no picture or video"))
        operation_id = f"{created:%Y%m%d%H%M%S}_{digest(name.encode())[:8]}"
        if not self._dry:
            outputs, status, error = self._outputs(past, provider)
            inputs, missing = self._inputs(past, model)
            about = self._metadata(past, provider, model, created, status, error, outputs, len(inputs) + missing)
            about["imported"] = {"from": provider, "predictionId": name, "inputsMissing": missing}
            with self._store.operations.held([operation_id]):
                sidecar = sidecar_name(operation_id)
                if self._store.operations.has(sidecar) or self._trash.folder.has(sidecar):  # another import was faster
                    self._same += 1
                    return
                self._store.save(operation_id, about, inputs=inputs, outputs=outputs)
            self._without += not outputs
        self._new.append(operation_id)

    def _outputs(self, past: Past, provider: str) -> tuple[list[bytes], str, str | None]:
        """Return the results, how the operation ended, and why; raise InvalidInput for what may come later."""
        prediction = past.prediction
        if prediction.status != "succeeded":
            return [], prediction.status, clean(prediction.error)
        if not prediction.outputs:
            if prediction.expired:
                return [], "expired", _gone(provider)
            return (
                [],
                "failed",
                said("{provider} says that it succeeded, and names no result.", provider=registry.title(provider)),
            )
        results: list[bytes] = []
        for output in prediction.outputs:
            try:
                data = output if isinstance(output, bytes) else fetch(output, self._policy)
            except (FetchUnavailable, FetchTimeout) as error:
                raise InvalidInput(reason=error.sentence) from None
            except FetchError as error:
                return [], "expired", error.sentence
            kind = media.sniff(data)
            if kind is None:
                raise InvalidInput(reason=said("its result is no picture or video"))
            if not is_whole(data, kind.kind):
                raise InvalidInput(reason=said("its result came cut short; import again later"))
            results.append(data)
        return results, "stored", None

    def _inputs(self, past: Past, model: Model | None) -> tuple[list[bytes], int]:
        """Return the images that it was made from, and how many cannot be had any more."""
        images: list[bytes] = []
        addresses = list(_addresses(_images(past, model)))[:MAX_INPUTS]
        for address in addresses:
            try:
                data = fetch(address, self._policy)
            except FetchError:
                continue
            kind = media.sniff(data)
            if kind and kind.kind == "image" and len(data) <= MAX_INPUT_BYTES:
                images.append(data)
        return images, len(addresses) - len(images)

    def _metadata(
        self,
        past: Past,
        provider: str,
        model: Model | None,
        created: datetime,
        status: str,
        error: str | None,
        outputs: list[bytes],
        images: int,
    ) -> dict[str, Any]:
        prediction = past.prediction
        kind = media.sniff(outputs[0]) if outputs else None
        result = kind.kind if kind else model.output if model else "both"
        operation_type = _type_of(model, result, None if past.prediction.expired else images)
        asked = past.input.get(model.prompt_field if model else "prompt")
        prompt = clean(asked, _MAX_PROMPT) or "" if isinstance(asked, str) else ""
        parameters = _parameters(past, model)
        step = Step(operation_type, prompt, provider, model.name if model else past.models[0], parameters)
        cost = cost_of(self._table, step, prediction)
        record = step_record(step) | {
            "predictionId": prediction.id,
            "status": prediction.status,
            "startedAt": prediction.started_at,
            "completedAt": prediction.completed_at,
            "predictSeconds": prediction.predict_seconds,
            "cost": cost,
            "webUrl": prediction.web_url,
            "error": error,
        }
        return {
            "timestamp": timestamp(created),
            "completedAt": timestamp(parse_time(prediction.completed_at) or created),
            "elapsedSeconds": _elapsed(prediction, created),
            "operationType": operation_type,
            "prompt": prompt,
            "parameters": parameters,
            "provider": provider,
            "model": step.model,
            "status": status,
            "success": status == "stored",
            "steps": [record],
            "cost": cost,
        } | recorded(error, status, prediction.error_kind or "not understood")


def _gone(provider: str) -> str:
    registered = registry.find(provider)
    return registered.history.gone if registered and registered.history else finalization.gone(provider)


def _left(step: Step, provider: Account) -> datetime:
    """Return when the request of a step left, by the provider's clock where that is known."""
    since = step.sent.moment if step.sent else parse_time(step.creating_at) or clocks.now()
    return provider.there(since, step.sent.ago() if step.sent else None) or since


def since_of(days: int) -> datetime:
    """Return the moment so many days ago; raise InvalidInput for a number of days that makes no sense."""
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise InvalidInput(reason=said("the days must be a number from 1 to {most}", most=MOST_DAYS))
    return datetime.now(UTC) - timedelta(days=days)


def _predictions(sidecar: Mapping[str, Any]) -> Iterator[str]:
    steps = sidecar.get("steps")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, Mapping) and isinstance(step.get("predictionId"), str):
            yield step["predictionId"]


def _elapsed(made: Prediction, created: datetime) -> float | None:
    ended = parse_time(made.completed_at)
    return round((ended - created).total_seconds(), 3) if ended and ended >= created else None


def _type_of(model: Model | None, result: str, images: int | None) -> str:
    """Return the one type that fits: what the model makes, the kind of the result, and how many images were given."""
    types = model.types if model else STEP_TYPES
    rows = [OPERATION_TYPES[name] for name in types if name in OPERATION_TYPES]
    fitting = [
        row.name for row in rows if result in ("both", row.result) and (images is None or row.minimum <= images <= row.maximum)
    ]
    # A model that takes several pictures makes an edit of one, too; of first and last frame only its own table tells.
    return fitting[0] if len(fitting) == 1 or (model and fitting and images is not None) else "unknown"


def _images(past: Past, model: Model | None) -> list[Any]:
    """Return the fields that hold images: those that the table names, else every one."""
    if model and model.inputs.field:
        names = [model.inputs.field, *([model.inputs.last_field] if model.inputs.last_field else [])]
        return [past.input.get(name) for name in names]
    return [] if model else list(past.input.values())


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(("https://", "http://", "data:image/")):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _addresses(part)


def _parameters(past: Past, model: Model | None) -> dict[str, Any]:
    """Return the settings of a request, by opstore's names where the table has them, else by the model's own."""
    names = {item.field: item for item in model.parameters if not item.frames} if model else {}
    parameters: dict[str, Any] = {}
    for name, value in past.input.items():
        plain = isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _MAX_TEXT)
        if not plain or name == (model.prompt_field if model else "prompt") or any(_addresses(value)):
            continue
        own = names.get(name)
        told = {spoken: chosen for chosen, spoken in own.values.items()} if own else {}
        value = told.get(value, value)
        parameters[own.name if own else str(name)] = clean(value) if isinstance(value, str) else value
    return parameters
