"""How a job ends: the sidecar that it leaves, made from its record and its results; the same for every kind of end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from opstore.clocks import seconds_since
from opstore.errors import InvalidInput, OperationExists, Said, said
from opstore.errors.failure import recorded
from opstore.errors.sentence import with_texts
from opstore.providers import Prediction, registry
from opstore.providers.models import ModelTable
from opstore.spending.spent import MAX_AMOUNT
from opstore.storage.job import Job, Step
from opstore.storage.names import EXTENSIONS, MAX_NUMBER, output_name, sidecar_name
from opstore.storage.operation import parse_time, timestamp
from opstore.storage.saving import output_extension
from opstore.storage.store import Store

#: A longer address is not fetched, so it helps nobody in a sidecar either.
_MAX_URL = 8_192
#: Of what a provider says: seconds of one run, and characters of the word for a failure.
_MAX_SECONDS, _MAX_KIND = 1e9, 60
#: What an operation cost that ended before anything left.
UNSENT: Mapping[str, Any] = {"amount": 0.0, "currency": "USD", "basis": "nothing was sent", "estimated": False}

#: Refusals that say nothing of the prediction: somebody may set another token, or add credit.
MENDABLE = ("access", "payment", "other")
ENDINGS = {
    "canceled": said("Canceled at the provider; the time it ran is billed."),
    "aborted": said("The provider gave up before it began; that is not billed."),
}
SILENT = said("The provider gave no reason.")
NOTHING = said("The provider says success and gave no result.")
BROKEN = {"image": said("what arrived is not a whole image."), "video": said("what arrived is not a whole video.")}
IN_VAIN = said("The provider accepted the request at none of many attempts; nothing was billed. Try again later.")
UNKNOWN = said(
    "The connection broke while the request was sent, and the provider's list does not tell whether it was accepted. "
    "It may have been billed. Look at your account, then run it again if it is not there."
)


def sidecar(
    job: Job, status: str, error: str | None, outputs: Sequence[bytes], now: datetime, kind: str | None = None
) -> dict[str, Any]:
    """Return the metadata of an operation that ends as `status` with these results, failed for a reason of this kind."""
    known = dict(job.operation) | recorded(error, status, kind)
    created = parse_time(job.created_at) or now
    parameters = dict(known.get("parameters", {}))
    seeds = [seed for step in job.steps if (seed := step.parameters.get("seed")) is not None]
    if seeds and parameters.get("seed") is None:
        parameters["seed"] = seeds[0]
    if len(job.steps) > job.current + 1:  # of those that never began nothing else is kept
        known["models"] = {step.operation_type: step.model for step in job.steps}
    return known | {
        "timestamp": job.created_at,
        "parameters": parameters,
        "status": status,
        "success": status == "stored",
        "resultUrl": next((url for url in job.step.urls if not url.startswith("data:") and len(url) <= _MAX_URL), None),
        "provider": job.step.provider,
        "model": job.step.model,
        "steps": _steps(job, outputs),
        "completedAt": timestamp(now),
        "elapsedSeconds": round(seconds_since(job.born, created), 3),
        "cost": _cost(job),
    }


def save(
    store: Store,
    job: Job,
    metadata: Mapping[str, Any],
    outputs: Sequence[bytes],
    check: Callable[[], object] = lambda: None,
) -> None:
    """Store the end of a job; a sidecar that is there already wins.

    Nothing is stored or removed where `check` raises, which is called when nobody else can end the operation or move it.
    """
    try:
        store.save(job.operation_id, metadata, outputs=outputs, check=check)
    except OperationExists:
        with store.operations.held([job.operation_id]):
            check()
            if store.operations.has(sidecar_name(job.operation_id)):
                return
            remove_orphaned_results(store, job)
            store.save(job.operation_id, metadata, outputs=outputs)


def remove_orphaned_results(store: Store, job: Job) -> None:
    """Remove results that an attempt left before it was killed, and that no record names: this attempt has other bytes."""
    kept = {step.output_file for step in job.steps}
    for number in range(1, MAX_NUMBER + 1):
        names = store.operations.present([output_name(job.operation_id, number, extension) for extension in EXTENSIONS])
        if not names:
            return
        store.operations.remove(job.operation_id, [name for name in names if name not in kept])


def _steps(job: Job, outputs: Sequence[bytes]) -> list[dict[str, Any]]:
    records = [step_record(step) for step in job.steps[: job.current + 1]]
    if outputs:
        records[-1]["outputFile"] = output_name(job.operation_id, 1, output_extension(outputs[0], job.step.operation_type))
    return records


def step_record(step: Step) -> dict[str, Any]:
    """Return a step as the sidecar keeps it."""
    return {
        "operationType": step.operation_type,
        "prompt": step.prompt,
        "provider": step.provider,
        "model": step.model,
        "parameters": dict(step.parameters),
        "predictionId": step.prediction_id,
        "status": step.status,
        "startedAt": step.started_at,
        "completedAt": step.completed_at,
        "predictSeconds": step.predict_seconds,
        "cost": dict(step.cost) if step.cost else None,
        "estimate": dict(step.estimate) if step.estimate else None,
        "outputFile": step.output_file,
        "webUrl": step.web_url,
        "error": step.error,
    }


def _cost(job: Job) -> dict[str, Any] | None:
    """Return what the steps that were sent cost together: one that never left costs nothing, whatever its model's price."""
    sent = [step.cost for step in job.steps[: job.current + 1] if step.creating_at]
    return total_cost(sent) if sent else dict(UNSENT)


def total_cost(costs: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """Return the cost of all steps together, None where one is not known, or in another currency: never a made-up sum."""
    amounts = [cost.get("amount") if cost else None for cost in costs]
    known = [amount for amount in amounts if isinstance(amount, int | float)]
    if not costs or len(known) < len(costs):
        return None
    priced = [cost for cost in costs if cost]
    currencies = list(dict.fromkeys(cost.get("currency") for cost in priced if cost.get("amount")))
    if len(currencies) > 1:
        return None
    return {
        "amount": round(sum(known), 6),
        "currency": currencies[0] if currencies else priced[0].get("currency"),
        "basis": "; ".join(dict.fromkeys(str(cost.get("basis")) for cost in priced)),
        "estimated": any(bool(cost.get("estimated")) for cost in priced),
    }


def cost_of(table: ModelTable, step: Step, prediction: Prediction) -> dict[str, Any] | None:
    """Return what a run cost, or None where that is not known: its model may have left the table, or changed, meanwhile."""
    if prediction.cost is not None:
        return prediction.cost.record()
    try:
        cost = table.get(step.model).cost(step.operation_type, step.parameters, prediction)
    except InvalidInput:
        return None
    return cost.record() if cost else None


def sound(prediction: Prediction) -> Prediction:
    """Return what a provider said with only what a record can hold and money can be counted by; the rest it did not say."""
    seconds, cost, kind = prediction.predict_seconds, prediction.cost, prediction.error_kind
    if cost is not None:
        currency, counts = cost.currency.upper(), cost.amount is None or 0 <= cost.amount < MAX_AMOUNT
        known = counts and len(currency) == 3 and currency.isascii() and currency.isalpha()
        cost = replace(cost, currency=currency, basis=clean(cost.basis) or "") if known else None
    return replace(
        prediction,
        cost=cost,
        predict_seconds=seconds if seconds is not None and 0 <= seconds < _MAX_SECONDS else None,
        error_kind=clean(kind, _MAX_KIND) if isinstance(kind, str) else None,
        fetch_by=prediction.fetch_by if parse_time(prediction.fetch_by) else None,
    )


def gone(provider: str) -> str:
    """Return why a result cannot be had that its provider had."""
    kept = registry.span(registry.keeps(provider))
    return said("The provider has deleted the result: it keeps results for {span}.", span=kept)


def clean(text: str | None, limit: int = _MAX_URL) -> str | None:
    """Return what a provider said as text that every file can hold: half a surrogate pair would stop the record for ever."""
    if isinstance(text, Said):
        return with_texts(text, lambda part: clean(part, limit) or "")
    return None if text is None else text[:limit].encode("utf-8", "replace").decode()
