"""Sidecars for the tests of analytics: what opstore writes, what the original backend wrote, and every oddity in between."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from opstore.storage.operation import encode

ID = "20251103143022_abc123de"
#: Values that no key expects.
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.just(2**70), st.just(1e300), st.floats(-10, 1e6), st.text(max_size=8),
    st.lists(st.one_of(st.integers(0, 3), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)  # fmt: skip
_NUMBER = st.one_of(ODD, st.floats(0, 500), st.integers(0, 10_000_000))
_NAMES = st.sampled_from([f"{ID}_out.webp", f"{ID}_out.mp4", f"{ID}_out_2.png", f"{ID}_in_1.jpg", "foreign.jpg", "../x", None, 5])


def _dicts(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


_FILE = _dicts(
    name=_NAMES, role=st.sampled_from(["input", "output", "intermediate", "x", 1]), bytes=_NUMBER, width=_NUMBER, height=_NUMBER
)
_NOTES = _dicts(tags=st.one_of(ODD, st.lists(st.sampled_from(["b", "a", " a ", ""]), max_size=4)), rating=ODD, favorite=ODD)
_ANALYSIS = _dicts(
    workflow=st.one_of(ODD, _dicts(id=st.one_of(ODD, st.sampled_from(["text_to_image", "edit_then_video"])))),
    workflowId=ODD,
    confidence=st.one_of(ODD, st.floats(0, 1)),
    overriddenTo=st.one_of(ODD, st.sampled_from(["text_to_image", "image_edit_single"])),
)
SIDECARS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"operationId": st.just(ID)},
    optional={
        "timestamp": st.one_of(
            ODD, st.sampled_from(["2025-11-03T14:30:22.123Z", "2025-11-03", "0001-01-01T00:00:00Z", "2025-11-03T14:30:22+05:30"])
        ),
        "operationType": st.one_of(ODD, st.sampled_from(["text_to_image", "img_to_img", "workflow_execution", "x" * 300])),
        "prompt": st.one_of(ODD, st.text(max_size=40), st.just("Un CHAT, à la plage!")),
        "parameters": st.one_of(ODD, st.dictionaries(st.sampled_from(["seed", "aspectRatio", "confidence", "x"]), ODD)),
        "inputCount": ODD,
        "inputFiles": st.one_of(ODD, st.lists(_NAMES, max_size=3)),
        "outputFile": _NAMES,
        "workflowAnalysis": st.one_of(ODD, _ANALYSIS, st.builds(lambda inner: {"analysis": inner}, _ANALYSIS)),
        "error": st.one_of(ODD, st.sampled_from(["NSFW content detected", "timed out", "???", "ENOSPC"])),
        "success": ODD,
        "duration": _NUMBER,
        "status": st.one_of(ODD, st.sampled_from(["canceled", "unknown", "weird", "expired"])),
        "errorKind": st.one_of(st.none(), st.just("storage"), st.just(3)),
        "provider": st.one_of(ODD, st.just("replicate")),
        "model": st.one_of(ODD, st.just("qwen/qwen-image")),
        "steps": st.one_of(ODD, st.lists(st.one_of(ODD, _dicts(predictSeconds=_NUMBER)), max_size=3)),
        "files": st.one_of(ODD, st.lists(st.one_of(ODD, _FILE), max_size=4)),
        "elapsedSeconds": _NUMBER,
        "cost": st.one_of(ODD, _dicts(amount=_NUMBER, currency=st.one_of(ODD, st.just("USD")), estimated=ODD)),
        "parents": st.one_of(ODD, st.lists(st.sampled_from(["20251103143022_abc123", "x", 3]), max_size=3)),
        "batchId": ODD,
        "annotations": st.one_of(ODD, _NOTES),
    },
)  # fmt: skip

KINDS = ("text_to_image", "image_edit_single", "text_to_video", "edit_then_video", "workflow_execution")
MODELS = ("qwen/qwen-image", "wan-video/wan-2.2-t2v-fast", "local/scene")
FAULTS = ("NSFW content detected", "Prediction timed out", "429 Too Many Requests", "disk full: no space left", "what?")
PROMPTS = (
    "Un chat à la plage",
    "un CHAT, à la plage!",
    "une fée dans la forêt",
    "sunset over the sea",
    "<b>x</b> ![y](http://e/x.png)",
    "=1+1",
    "",
)


def usual(chance: random.Random, operation_id: str) -> dict[str, Any]:
    """Return a sidecar as it comes from real work: some parts are always missing."""
    failed = chance.random() < 0.2
    kind = chance.choice(KINDS)
    video = "video" in kind
    out = None if failed else f"{operation_id}_out.{'mp4' if video else 'webp'}"
    elapsed = round(chance.lognormvariate(1.5, 0.7), 3)
    stamp = datetime.strptime(operation_id[:14], "%Y%m%d%H%M%S").isoformat() + ".250Z"
    sidecar: dict[str, Any] = {
        "operationId": operation_id,
        "timestamp": stamp,
        "operationType": kind,
        "prompt": chance.choice(PROMPTS),
        "parameters": {"aspectRatio": chance.choice(("16:9", "1:1")), "seed": chance.getrandbits(31), "goFast": True},
        "inputCount": 1,
        "inputFiles": [f"{operation_id}_in_1.jpg"],
        "outputFile": out,
        "workflowAnalysis": None,
        "error": chance.choice(FAULTS) if failed else None,
        "success": not failed,
        "duration": 5 if video else None,
        "status": chance.choice(("failed", "canceled")) if failed else "stored",
        "provider": "replicate",
        "model": chance.choice(MODELS),
        "batchId": None,
        "annotations": {"tags": [], "favorite": False, "rating": chance.choice((None, None, 1, 4, 5)), "note": ""},
    }
    if chance.random() < 0.8:
        sidecar["elapsedSeconds"] = elapsed
        sidecar["steps"] = [{"predictSeconds": round(elapsed * 0.7, 3)}]
    if chance.random() < 0.7:
        sidecar["cost"] = {
            "amount": round(elapsed * 0.002, 5),
            "currency": "USD",
            "basis": "run",
            "estimated": chance.random() < 0.5,
        }
    if chance.random() < 0.6:
        sidecar["files"] = [
            {"name": f"{operation_id}_in_1.jpg", "role": "input", "bytes": chance.randrange(1, 3_000_000)},
            *(
                [{"name": out, "role": "output", "bytes": chance.randrange(1, 9_000_000), "width": 512, "height": 512}]
                if out
                else []
            ),
        ]
    if chance.random() < 0.5:
        sure = round(chance.random(), 2)
        proposed = {"workflow": {"id": chance.choice(KINDS), "name": "x"}, "confidence": sure, "reasoning": "y"}
        if chance.random() < 0.3:
            proposed["overriddenTo"] = kind
        sidecar["workflowAnalysis"] = proposed if chance.random() < 0.7 else {"success": True, "analysis": proposed}
    return sidecar


def encoded(sidecar: dict[str, Any]) -> bytes:
    """Return a sidecar's bytes, whole numbers that no JSON reader holds left to the caller."""
    return encode(sidecar)


def ids(chance: random.Random, count: int) -> list[str]:
    """Return ids over some months, newest last."""
    found: set[str] = set()
    while len(found) < count:
        day, hour = chance.randrange(1, 29), chance.randrange(24)
        clock = f"{chance.randrange(60):02}{chance.randrange(60):02}"
        found.add(f"2025{chance.randrange(6, 12):02}{day:02}{hour:02}{clock}_{chance.getrandbits(32):08x}")
    return sorted(found)
