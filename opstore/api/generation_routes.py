"""The routes that make something: an edit, or what the analysis of a request chooses; answered at once, or when it is made.

What was accepted is durable before it is acknowledged; a client that goes away while it waits ends nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opstore.access.roles import Act
from opstore.api.body import Bodies, Form
from opstore.api.route_table import OPERATION_ID, TEXT, Body, Call, Parameter, Schema, Told, done, thing
from opstore.api.shapes import ERROR, SIDECAR
from opstore.errors import Canceled, InvalidRequest, OperationNotFound, OpstoreError, ProviderError, said, shown
from opstore.generation import Generation
from opstore.generation.request import Outcome, SmartRequest
from opstore.jobs import idempotency
from opstore.service import NewOperation, Service
from opstore.smart.analysis import NAMES
from opstore.storage.operation import OPERATION_TYPES, Operation
from opstore.storage.store import MAX_INPUTS
from opstore.workflows import MAX_PROMPT, suggest

if TYPE_CHECKING:
    from opstore.app import Acting

#: The longest that `Prefer: wait=N` is followed, in seconds: a video takes one to five minutes.
MAX_WAIT = 600
#: How often an end is looked for: at first, and after a while.
_SOON, _LATER = 0.05, 0.5
MAX_EDITED = OPERATION_TYPES["image_edit_multiple"].maximum

_IMAGE: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
_PROMPT: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_PROMPT}
EDIT: Schema = {
    "type": "object",
    "properties": {
        "images": {"type": "array", "items": dict(_IMAGE), "minItems": 1, "maxItems": MAX_EDITED},
        "prompt": _PROMPT,
        "aspectRatio": {"type": "string", "description": "what the model takes, such as 16:9"},
        "outputFormat": {"type": "string", "description": "what the model takes, such as webp"},
        "outputQuality": {"type": "integer", "minimum": 0, "maximum": 100},
    },
    "required": ["images", "prompt"],
    "additionalProperties": False,
}
SMART: Schema = {
    "type": "object",
    "properties": {
        "images": {"type": "array", "items": dict(_IMAGE), "maxItems": MAX_INPUTS},
        "prompt": _PROMPT,
        "workflowId": {"enum": list(OPERATION_TYPES), "description": "without it the analysis chooses"},
        "useOptimizedPrompt": {"enum": ["true", "false"], "description": "let the language model of the settings word it better"},
    },
    "required": ["prompt"],
    "additionalProperties": False,
}
_WAIT = Parameter(
    "Prefer", f"wait=N: answer when it is made, after N seconds at the latest (at most {MAX_WAIT}; RFC 7240)", TEXT, "header"
)
_KEY = Parameter(
    "Idempotency-Key",
    "a text of the caller's own: the same request under the same key is made once",
    {"type": "string"},
    "header",
)
_LOCATION = {"Location": "the operation's address", "Preference-Applied": "wait=N, where it was asked for"}


class Making:
    """The answers over one opened app."""

    def __init__(self, app: Callable[[], Acting], bodies: Bodies) -> None:
        """Make things with what `app` returns."""
        self._app = app
        self._bodies = bodies

    def calls(self) -> tuple[Call, ...]:
        """Return the routes."""
        known = {"operationId": OPERATION_ID, "status": {"const": "queued"}}
        chosen = {"workflow": thing(id=TEXT, name=TEXT), "optimizedPrompt": {"type": ["string", "null"]}}

        def call(path: str, answer: Any, what: str, form: Schema, more: Mapping[str, Any], act: Act) -> Call:
            answers = {
                200: Told("it is made", done(operationId=OPERATION_ID, operation=SIDECAR, **more), headers=_LOCATION),
                202: Told("it is accepted", done(**known, **more), headers=_LOCATION),
                409: Told("it was canceled while the caller waited", ERROR),
                502: Told("it could not be made, and the caller waited", ERROR),
            }
            body = Body("multipart/form-data", form)
            return Call("POST", path, answer, what, answers, (_WAIT, _KEY), body, (402, 404, 408, 413, 415, 422, 503), act)

        return (
            call("/api/edit/image", self._edit, "Edit one image, or several into one", EDIT, {}, Service.create),
            call(
                "/api/smart/execute", self._smart, "Make what a prompt and its images ask for", SMART, chosen, Generation.execute
            ),
        )

    async def _edit(self, request: Request) -> Response:
        names = ("prompt", "aspectRatio", "outputFormat", "outputQuality")
        form = await self._bodies.form(request, files="images", most=MAX_EDITED, texts=names)
        operation_id, repeated = await run_in_threadpool(self._once, request, form, lambda chosen: self._edited(form, chosen))
        if repeated:  # and in the trash meanwhile, perhaps: that it is queued would not be true
            await run_in_threadpool(self._known, operation_id)
        return await self._told(request, operation_id, {})

    def _edited(self, form: Form, operation_id: str | None) -> str:
        if not form.files:
            raise InvalidRequest(reason=said("there is no image to edit; send 1 to {limit} as `images`", limit=MAX_EDITED))
        settings = {
            "aspectRatio": form.texts.get("aspectRatio") or None,
            "outputFormat": form.texts.get("outputFormat") or None,
            "outputQuality": _quality(form.texts.get("outputQuality") or None),
        }
        parameters = {name: value for name, value in settings.items() if value is not None} | {"imageCount": len(form.files)}
        kind, prompt = suggest(len(form.files)), form.texts.get("prompt", "")
        return self._app().service.create(NewOperation(kind, prompt, form.files, parameters, operation_id=operation_id))

    async def _smart(self, request: Request) -> Response:
        names = ("prompt", "workflowId", "useOptimizedPrompt")
        form = await self._bodies.form(request, files="images", most=MAX_INPUTS, texts=names)
        refusal: OpstoreError | None = None

        def execute(chosen: str | None) -> str:
            nonlocal refusal
            outcome = self._executed(form, chosen)
            refusal = outcome.error
            return outcome.ids[0]

        operation_id, repeated = await run_in_threadpool(self._once, request, form, execute)
        known = await run_in_threadpool(self._known, operation_id)
        if refusal is not None or (repeated and known.get("success") is False and not known.get("steps")):
            # Never run, and kept as an operation with its error.
            status = refusal.status if refusal is not None else InvalidRequest.status
            told = {"success": False, "error": str(refusal or known.get("error")), "operationId": operation_id}
            return JSONResponse(told, status, {"Location": f"/api/history/{operation_id}"})
        return await self._told(request, operation_id, _chosen(known))

    def _executed(self, form: Form, operation_id: str | None) -> Outcome:
        """Run a request by its analysis; return what became of it."""
        workflow, better = form.texts.get("workflowId") or None, form.texts.get("useOptimizedPrompt") or "false"
        if better not in ("true", "false"):
            raise InvalidRequest(reason=said("{key} must be {wanted}", key="useOptimizedPrompt", wanted="true, false"))
        if workflow is not None and workflow not in OPERATION_TYPES:
            reason = said(
                "there is no operation type {value}; use one of {types}", value=shown(workflow), types=tuple(OPERATION_TYPES)
            )
            raise InvalidRequest(reason=reason)
        request = SmartRequest(form.texts.get("prompt", ""), form.files, workflow, operation_id=operation_id)
        if better == "true":
            request = self._better(request)
        return self._app().generation.execute(request)

    def _once(self, request: Request, form: Form, make: Callable[[str | None], str]) -> tuple[str, bool]:
        """Make something, or find what was made under the same Idempotency-Key; say whether it was there before."""
        key = request.headers.get("idempotency-key")
        if key is None:
            return make(None), False
        fingerprint = hashlib.sha256(json.dumps([request.url.path, sorted(form.texts.items())]).encode())
        for file in form.files:
            fingerprint.update(hashlib.sha256(file).digest())
        named = idempotency.Request(key.strip('"'), fingerprint.hexdigest())
        return self._app().service.once.make(named, make)

    def _known(self, operation_id: str) -> Mapping[str, Any]:
        """Return what is known of an operation that was just asked for, and may have ended already, in a sidecar's keys."""
        app = self._app()
        job = app.service.job(operation_id)
        if job is None:
            return app.service.store.get_operation_metadata(operation_id)
        return {"operationType": job.type, "parameters": job.parameters, "workflowAnalysis": job.analysis}

    def _better(self, request: SmartRequest) -> SmartRequest:
        """Return the request in a language model's words; in its own if none is set up or answers, as everywhere."""
        generation = self._app().generation
        if generation.asker() is None or not request.prompt.strip():
            return request
        try:
            analysis = (generation.propose if request.workflow else generation.analyze)(request.prompt, request.images)
            request = replace(request, analysis=analysis)  # asked once, whatever becomes of the wording
            workflow = request.workflow or analysis.chosen
            if workflow == "edit_then_video":  # its steps are told each its own prompt: nobody pays for one of the whole
                return request
            wording, cost = generation.improve(request.prompt, workflow)
        except OpstoreError:
            return request
        return replace(request, analysis=analysis.paid(cost), optimized=wording, use_optimized=True)

    # -- answers ---------------------------------------------------------------------------------------------------------

    async def _told(self, request: Request, operation_id: str, more: Mapping[str, Any]) -> Response:
        """Answer with the operation: at once, or as it has ended where the caller wants to wait and it ends in time."""
        headers = {"Location": f"/api/history/{operation_id}", "Vary": "Prefer"}
        seconds = preferred_wait(request)
        if seconds is not None:
            headers["Preference-Applied"] = f"wait={seconds}"
            sidecar = await self._end_of(request, operation_id, seconds)
            if sidecar is not None:
                return _ended(operation_id, sidecar, more, headers)
        return JSONResponse({"success": True, "operationId": operation_id, "status": "queued", **more}, 202, headers)

    async def _end_of(self, request: Request, operation_id: str, seconds: int) -> dict[str, Any] | None:
        """Return the sidecar as soon as there is one, None where the time is up or nobody waits any more."""
        end, pause = time.monotonic() + seconds, _SOON
        while True:
            try:
                return await run_in_threadpool(self._app().service.store.get_operation_metadata, operation_id)
            except OperationNotFound:
                left = end - time.monotonic()
            if left <= 0 or await request.is_disconnected():
                return None
            await anyio.sleep(min(pause, left))
            pause = min(_LATER, pause * 1.3)


def _ended(operation_id: str, sidecar: Mapping[str, Any], more: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    operation = Operation.of(sidecar)
    told = {"success": True, "operationId": operation_id, "operation": sidecar, **more}
    if operation.status == "stored":
        return JSONResponse(told, 200, {**headers, "Content-Location": headers["Location"]})
    kind = Canceled if operation.status == "canceled" else ProviderError
    return JSONResponse(told | {"success": False, "error": operation.error or operation.status}, kind.status, headers)


def _chosen(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the workflow that an operation runs by, and the better wording it was given, if any."""
    analysis, parameters = known["workflowAnalysis"], known.get("parameters") or {}
    chosen = known["operationType"]
    names = {item["id"]: item["name"] for item in (analysis["workflow"], *analysis.get("alternatives", ()))}
    better = parameters.get("optimizedPrompt") if parameters.get("useOptimizedPrompt") else None
    return {"workflow": {"id": chosen, "name": names.get(chosen, NAMES["en"][chosen])}, "optimizedPrompt": better}


def _quality(text: str | None) -> int | None:
    """Read a quality, a whole number in per cent; what a model takes of those is its own to say."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 3:
        return int(text)
    raise InvalidRequest(reason=said("{key} must be {wanted}", key="outputQuality", wanted="0…100"))


def preferred_wait(request: Request) -> int | None:
    """Return how many seconds a caller wants to wait, None where it does not say so; what makes no sense is passed over."""
    for item in ",".join(request.headers.getlist("prefer")).split(","):
        name, _, value = item.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            text = value.strip().strip('"')
            return min(int(text[:9]), MAX_WAIT) if text.isascii() and text.isdigit() else None
    return None
