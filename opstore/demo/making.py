"""Makes what the demo's plan says: the media by the local engine, in small sizes; then the sidecars, which say that it is a demo.

One session is one piece of work: what an operation is made from was made by an earlier one of the same session, or is made again
from the store after an interruption.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from opstore.demo.plan import Planned, Session
from opstore.errors import InvalidInput, OperationNotFound, ProviderError
from opstore.providers import StepRequest, registry
from opstore.providers.local import LocalEngine
from opstore.providers.models import ModelTable
from opstore.storage.names import input_name, output_name, sidecar_name
from opstore.storage.operation import Operation, encode, timestamp
from opstore.storage.store import Store
from opstore.workflows import plan

#: Longest side of a composed picture: a quarter of the engine's usual area, and of its time.
SIDE = 512
MODEL = "opstore/local"
#: The same engine, at half the side: what people compare it with in the demo's votes.
DRAFT, DRAFT_SIDE = "opstore/local-draft", SIDE // 2
#: What of a sidecar is not true to life.
INVENTED = ("timestamp", "annotations", "workflowAnalysis", "cost")
#: Steps of the original backend were called otherwise.
_OLD_TYPES = {"image_edit_single": "img_to_img", "text_to_video": "workflow_execution"}


def make_session(address: str, session: Session) -> int:
    """Make the operations of a session that are not in the data folder at `address` yet; return how many were made."""
    store = Store(Path(address))
    maker = _Maker(store)
    created = 0
    for item in session:
        name = sidecar_name(item.id)
        if not store.operations.has(name) and not store.data.folder("trash").has(name):
            # Whoever removed an operation has removed what would be made from it here, too.
            with contextlib.suppress(OperationNotFound):
                maker.make(item)
                created += 1
    return created


class _Maker:
    """The local engine, the table of prices, and the store that both work for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._engine = LocalEngine()
        self._table = ModelTable.load()

    def make(self, item: Planned) -> None:
        """Make one operation whole."""
        inputs = [_scene(text, 0, "jpg") for text in item.uploads]
        inputs += [self._output_of(parent) for parent in item.parents]
        began = time.monotonic()
        steps, outputs = ([], []) if item.error else self._run(item, inputs)
        elapsed = round(time.monotonic() - began, 3)
        error = item.error or next((step["error"] for step in steps if step["error"]), None)
        if item.old:
            self._save_old(item, inputs, outputs, error)
            return
        status = item.status if item.error or not error else "failed"
        metadata = self._metadata(item, status, error) | {
            "steps": steps,
            "completedAt": timestamp(item.moment + timedelta(seconds=elapsed)),
            "elapsedSeconds": None if item.error else elapsed,
        }
        between = outputs[0] if len(outputs) > 1 or (item.type == "edit_then_video" and error and outputs) else None
        results = [] if error else outputs[-1:]
        self._store.save(item.id, metadata, inputs=inputs, outputs=results, intermediate=between)

    def _output_of(self, operation_id: str) -> bytes:
        name = Operation.of(self._store.get_operation_metadata(operation_id)).output
        return self._store.read_file(str(name))

    # -- media -------------------------------------------------------------------------------------------------------------

    def _run(self, item: Planned, inputs: Sequence[bytes]) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Run the steps of an operation; return their records, and the results up to the first that failed."""
        records: list[dict[str, Any]] = []
        results: list[bytes] = []
        images = tuple(inputs)
        parameters = {key: value for key, value in item.parameters.items() if key != "aspectRatio" or not inputs}
        for step in plan(item.type, item.prompt, parameters, len(inputs), provider="local", table=self._table):
            began = time.monotonic()
            request = StepRequest(
                item.id, step.operation_type, step.prompt, step.parameters, images, DRAFT if item.draft else step.model.name
            )
            result, error = self._step(request)
            records.append(_record(item, step.operation_type, step.prompt, round(time.monotonic() - began, 3), error))
            if result is None:
                break
            results.append(result)
            images = (result,)
        return records, results

    def _step(self, request: StepRequest) -> tuple[bytes | None, str | None]:
        if request.operation_type == "text_to_image":
            side = DRAFT_SIDE if request.model == DRAFT else SIDE
            return _scene(
                request.prompt, request.parameters.get("seed"), "webp", request.parameters.get("aspectRatio"), side
            ), None
        try:
            made = self._engine.create(request, lambda share, what: None)
        except ProviderError as error:
            return None, str(error)
        result = made.outputs[0] if made.outputs else None
        return (result, made.error) if isinstance(result, bytes) else (None, made.error)

    # -- sidecars ----------------------------------------------------------------------------------------------------------

    def _metadata(self, item: Planned, status: str, error: str | None) -> dict[str, Any]:
        invented = [*INVENTED, *(["error", "status"] if item.error else [])]
        return {
            "operationId": item.id,
            "timestamp": timestamp(item.moment),
            "operationType": item.type,
            "prompt": item.prompt,
            "parameters": dict(item.parameters),
            "workflowAnalysis": dict(item.analysis) if item.analysis else None,
            "error": error,
            "success": error is None,
            "status": status,
            "provider": "local",
            "model": _model(item),
            "cost": self._price(item, status),
            "parents": list(item.parents),
            "batchId": item.batch,
            "annotations": _annotations(item),
            "demo": {"by": "opstore demo", "invented": invented},
        }

    def _price(self, item: Planned, status: str) -> dict[str, Any] | None:
        """Return what a provider's default models would have cost by the list, marked as nothing that was paid; or nothing."""
        if not item.priced or status not in ("stored", "failed"):
            return None
        try:
            images = len(item.uploads) + len(item.parents)
            steps = plan(item.type, item.prompt, {}, images, provider=registry.elsewhere()[0].name, table=self._table)
        except InvalidInput:
            return None
        costs = [step.model.estimate(step.operation_type, step.parameters) for step in steps]
        amounts = [cost.amount for cost in costs if cost and cost.amount is not None]
        if len(amounts) < len(costs) or not amounts:
            return None
        names = ", ".join(step.model.name for step in steps)
        # A third of the failures is billed all the same, as with models that are paid by the second.
        billed = status == "stored" or int(item.id[-8:], 16) % 3 == 0
        amount = round(sum(amounts), 6) if billed else 0.0
        return {"amount": amount, "currency": "USD", "basis": f"demo: list price of {names}; nothing was paid", "estimated": True}

    def _save_old(self, item: Planned, inputs: Sequence[bytes], outputs: Sequence[bytes], error: str | None) -> None:
        """Write an operation as the original backend did: its 13 keys, files called .jpg whatever they are, no hashes."""
        names = [input_name(item.id, number, "jpg") for number in range(1, len(inputs) + 1)]
        media = dict(zip(names, inputs, strict=True))
        output = None
        if outputs and not error and not item.lost:
            output = output_name(item.id, 1, "mp4" if "video" in item.type else "webp")
            media[output] = outputs[-1]
        sidecar = {
            "operationId": item.id,
            "timestamp": timestamp(item.moment),
            "operationType": "unknown" if error else _OLD_TYPES.get(item.type, item.type),
            "prompt": item.prompt,
            "parameters": dict(item.parameters) | {"originalPrompt": item.prompt, "useOptimizedPrompt": False},
            "inputCount": len(inputs),
            "inputFiles": names,
            "outputFile": output,
            "resultUrl": None,
            "workflowAnalysis": dict(item.analysis) if item.analysis else None,
            "error": error,
            "success": error is None,
            "duration": None,
            "annotations": _annotations(item),
            "demo": {"by": "opstore demo", "invented": [*INVENTED[:-1], *(["error"] if item.error else [])]},
        }
        self._store.operations.create(item.id, [media, {sidecar_name(item.id): encode(sidecar)}])


def _record(item: Planned, kind: str, prompt: str, seconds: float, error: str | None) -> dict[str, Any]:
    return {
        "operationType": kind,
        "prompt": prompt,
        "provider": "local",
        "model": _model(item),
        "predictionId": None,
        "status": "failed" if error else "succeeded",
        "startedAt": timestamp(item.moment),
        "completedAt": timestamp(item.moment + timedelta(seconds=seconds)),
        "predictSeconds": seconds,
        "cost": None,
        "error": error,
    }


def _model(item: Planned) -> str:
    return DRAFT if item.draft else MODEL


def _annotations(item: Planned) -> dict[str, Any]:
    return {"tags": ["demo", *item.tags], "favorite": item.favorite, "rating": item.rating, "note": item.note}


def _scene(prompt: str, seed: object, extension: str, ratio: object = "3:2", side: int = SIDE) -> bytes:
    """Return a composed picture: what the engine's own text_to_image paints, smaller."""
    from opstore.providers.local.parameters import RATIOS, read_parameters
    from opstore.providers.local.pictures import written
    from opstore.providers.local.scene_words import brief_of
    from opstore.providers.local.scenes import compose_scene

    wide, high = RATIOS.get(str(ratio), (16, 9))
    scale = side / max(wide, high)
    size = (round(wide * scale / 2) * 2, round(high * scale / 2) * 2)
    number = seed if isinstance(seed, int) else 0
    picture = compose_scene(brief_of(prompt), size, _seed(prompt, number)).frame(0.0)
    return written(picture, read_parameters({"outputFormat": extension, "outputQuality": 85}))


def _seed(prompt: str, number: int) -> int:
    from hashlib import sha256

    return int.from_bytes(sha256(f"{prompt}\0{number}".encode()).digest()[:8], "big")
