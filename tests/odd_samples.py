"""A folder of oddities: every key of a sidecar missing, null and of every wrong type, old data, hostile texts, broken files.

Each has an id of its own and a name that says what is odd, so that a test that fails names its cause. Nothing here is random.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opstore.storage.operation import ADDED, SPECIFIED
from tests.samples import JPG, MP4, PNG, WEBP, nested

#: What no key expects; a key that is gone stands beside them.
WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "text": "banana",
    "nothing": "",
    "number": 7,
    "below zero": -3.5,
    "huge": 10**300,
    "more than 64 bits": 2**70,
    "list": ["a", 1, None],
    "object": {"a": {"b": []}},
}
#: Where a key lies in another: what stands at its end takes each wrong value too.
WITHIN: tuple[tuple[str | int, ...], ...] = (
    ("parameters", "aspectRatio"),
    ("parameters", "outputQuality"),
    ("parameters", "model"),
    ("parameters", "confidence"),
    ("parameters", "seed"),
    ("workflowAnalysis", "workflow"),
    ("workflowAnalysis", "workflow", "id"),
    ("workflowAnalysis", "confidence"),
    ("workflowAnalysis", "reasoning"),
    ("workflowAnalysis", "overriddenTo"),
    ("workflowAnalysis", "analysis"),
    ("steps", 0),
    ("steps", 0, "predictSeconds"),
    ("steps", 0, "status"),
    ("steps", 0, "cost"),
    ("files", 0),
    ("files", 0, "name"),
    ("files", 0, "role"),
    ("files", 0, "bytes"),
    ("files", 0, "width"),
    ("files", 0, "height"),
    ("files", 0, "sha256"),
    ("cost", "amount"),
    ("cost", "currency"),
    ("cost", "estimated"),
    ("annotations", "tags"),
    ("annotations", "rating"),
    ("annotations", "favorite"),
    ("annotations", "note"),
    ("inputFiles", 0),
    ("parents", 0),
)
TEXTS: dict[str, str] = {
    "right to left": "صورة قطة على الشاطئ عند الغروب",
    "mixed directions": "a \u202egnp.exe\u202c cat \u2067שלום\u2069",
    "Japanese": "夕暮れの港と灯台、油絵",
    "full width": "Ｔｈｅ　ｃａｔ",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 🦊" * 3,
    "control characters": "a\x00b\x07c\x1b[31md\x7f\x85\u2028e",
    "HTML": "<script>alert(1)</script><img src=http://evil.invalid/x onerror=alert(1)> &lt;b&gt;",
    "Markdown": "![](http://evil.invalid/x.png) **b** [l](http://evil.invalid) :red[x] $a$ :material/delete: {x} %s",
    "a formula": '=HYPERLINK("http://evil.invalid")',
    "spaces only": " \t\n\u00a0\u3000",
    "long": "palm " * 10_000,
    "one long word": "x" * 5_000,
    "marks only": "?!… — “”",
    "combining": "Z" + "\u0301" * 500,
    "private use": "\ue000\ue001 \uf8ff",
}


@dataclass(frozen=True)
class Oddity:
    """An operation as a folder may hold it: the bytes of its sidecar (None: it has none) and files by the ends of their names."""

    name: str
    id: str
    sidecar: bytes | None
    files: dict[str, bytes] = field(default_factory=dict)

    def lay(self, folder: Path) -> None:
        """Write it into a folder of operations, as another program would."""
        if self.sidecar is not None:
            (folder / f"{self.id}.json").write_bytes(self.sidecar)
        for ending, data in self.files.items():
            (folder / f"{self.id}{ending}").write_bytes(data)


def usual(operation_id: str, **changes: Any) -> dict[str, Any]:
    """Return a whole sidecar with nothing odd in it but `changes`."""
    stamp = f"{operation_id[:4]}-{operation_id[4:6]}-{operation_id[6:8]}T{operation_id[8:10]}:{operation_id[10:12]}:22.123Z"
    file = {"name": f"{operation_id}_out.png", "role": "output", "mediaType": "image/png", "bytes": len(PNG), "width": 3}
    step = {"operationType": "text_to_image", "model": "qwen/qwen-image", "status": "succeeded", "predictSeconds": 2.5}
    analysis = {"workflow": {"id": "text_to_image", "name": "Image"}, "confidence": 0.9, "reasoning": "no image"}
    return {
        "operationId": operation_id,
        "timestamp": stamp,
        "operationType": "text_to_image",
        "prompt": "a quiet harbour",
        "parameters": {"aspectRatio": "16:9", "outputQuality": 95},
        "inputCount": 0,
        "inputFiles": [],
        "outputFile": f"{operation_id}_out.png",
        "resultUrl": "https://gone.invalid/x.png",
        "workflowAnalysis": analysis,
        "error": None,
        "success": True,
        "duration": None,
        "schema": "opstore/1",
        "status": "stored",
        "provider": "replicate",
        "model": "qwen/qwen-image",
        "steps": [step],
        "files": [file | {"height": 2}],
        "completedAt": stamp,
        "elapsedSeconds": 3.5,
        "cost": {"amount": 0.025, "currency": "USD", "basis": "table", "estimated": True},
        "parents": [],
        "batchId": None,
        "annotations": {"tags": ["sea"], "favorite": True, "rating": 4, "note": "good"},
    } | changes


def _json(sidecar: Any) -> bytes:
    return json.dumps(sidecar, ensure_ascii=True).encode()


def _changed(operation_id: str, path: tuple[str | int, ...], value: Any) -> bytes:
    sidecar = usual(operation_id, inputFiles=[f"{operation_id}_in_1.jpg"], parents=["20250101000000_aaaaaaaa"])
    place: Any = sidecar
    for part in path[:-1]:
        place = place[part] if not isinstance(place, dict) or part in place else place.setdefault(part, {})
    if value is _GONE:
        place.pop(path[-1], None) if isinstance(place, dict) else place.pop(path[-1])
    else:
        place[path[-1]] = value
    return _json(sidecar)


_GONE = object()


class _Ids:
    """Ids of their own, a few hours apart from the spring of 2025 on."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        day, hour = divmod(self._count * 5, 24)
        return f"2025{3 + day // 28:02d}{1 + day % 28:02d}{hour:02d}3000_{self._count:08x}"


def oddities() -> list[Oddity]:
    """Return all of them, each under its own id."""
    ids = _Ids()
    return [*_keys(ids), *_texts(ids), *_values(ids), *_old(ids), *_broken(ids), *_media(ids), *_moments()]


def _keys(ids: _Ids) -> Iterator[Oddity]:
    """Every key, and every key in those that hold others, gone and of each wrong kind; then all at once."""
    for path in [*((key,) for key in (*SPECIFIED, *ADDED) if key != "operationId"), *WITHIN]:
        for kind, value in [("gone", _GONE), *WRONG.items()]:
            operation_id = ids()
            name = f"{'.'.join(map(str, path))}: {kind}"
            yield Oddity(name, operation_id, _changed(operation_id, path, value), {"_out.png": PNG})
    for kind, value in WRONG.items():
        operation_id = ids()
        yield Oddity(f"everything: {kind}", operation_id, _json(dict.fromkeys(usual(""), value) | {"operationId": operation_id}))
    operation_id = ids()
    yield Oddity("everything: gone", operation_id, _json({"operationId": operation_id}))


def _texts(ids: _Ids) -> Iterator[Oddity]:
    """Prompts, names, tags, notes, errors of every writing, and as bad as they come."""
    for kind, text in TEXTS.items():
        operation_id = ids()
        notes = {"tags": [text, text[:20]], "favorite": False, "rating": None, "note": text}
        analysis = {"workflow": {"id": text[:50]}, "reasoning": text, "confidence": 0.5}
        given = usual(operation_id, prompt=text, annotations=notes, workflowAnalysis=analysis, parameters={text[:40]: text[:40]})
        yield Oddity(f"text: {kind}", operation_id, _json(given), {"_out.png": PNG})
        operation_id = ids()
        failed = {"success": False, "error": text, "outputFile": None, "files": [], "status": "failed", "errorKind": text[:80]}
        names = {"operationType": text[:60], "provider": text[:60], "model": text[:60], "batchId": text[:60]}
        yield Oddity(f"failed: {kind}", operation_id, _json(usual(operation_id, prompt=text, **failed, **names)))


def _values(ids: _Ids) -> Iterator[Oddity]:
    """Values of the right kind that cannot be, or that somebody else wrote."""
    failed: dict[str, Any] = {"success": False, "outputFile": None, "files": [], "error": None, "status": "failed"}
    cases: dict[str, dict[str, Any]] = {
        "costs less than nothing": {"cost": {"amount": -5, "currency": "USD"}, "elapsedSeconds": -1, "duration": -2},
        "costs a million": {"cost": {"amount": 1e6, "currency": "XYZ"}, "elapsedSeconds": 9e8},
        "no currency": {"cost": {"amount": 0.5}},
        "a currency of many letters": {"cost": {"amount": 0.5, "currency": "dollars <b>"}},
        "in the year 1": {"timestamp": "0001-01-01T00:00:00Z"},
        "before the year 1": {"timestamp": "0001-01-01T00:00:00+14:00"},
        "in the year 9999": {"timestamp": "9999-12-31T23:59:59.999Z"},
        "after the year 9999": {"timestamp": "9999-12-31T23:59:59-12:00"},
        "a time without a zone": {"timestamp": "2025-11-03T14:30:22.123"},
        "a day": {"timestamp": "2025-11-03"},
        "foreign names": {"operationType": "workflow_execution", "provider": "acme", "model": "acme/x", "status": "weird"},
        "failed without a word": failed,
        "failed with a word": failed | {"error": "NSFW content detected"},
        "failed with an object": failed | {"error": {"detail": "no"}},
        "canceled": failed | {"status": "canceled"},
        "success without a file": {"outputFile": None, "files": []},
        "its own parent": {"parents": ["SELF"]},
        "another's file": {"outputFile": "20250101000000_aaaaaaaa_out.png", "inputFiles": ["20250101000000_aaaaaaaa_in_1.jpg"]},
        "a file above": {"outputFile": "../../secret_out.png", "inputFiles": ["/etc/passwd", "..\\x", "a\x00b"]},
        "many of everything": {
            "inputFiles": [f"SELF_in_{n}.jpg" for n in range(1, 300)],
            "parents": ["20250101000000_aaaaaaaa"] * 300,
            "steps": [{"status": "succeeded", "predictSeconds": 0.1}] * 300,
            "annotations": {"tags": [f"tag {n}" for n in range(300)]},
            "parameters": {f"p{n}": n for n in range(300)},
        },
        "deep parameters": {"parameters": {"deep": nested("deep mixture", 90)}},
        "numbers as texts and texts as numbers": {
            "parameters": {"outputQuality": 95.0, "duration": "5", "seed": "7", "goFast": 1}
        },
        "a seed of 64 bits": {"parameters": {"seed": 2**64 - 1}},
        "a seed below zero": {"parameters": {"seed": -1}},
        "a seed as a text of many digits": {"parameters": {"seed": "9" * 400}},
        "edges of numbers": {"files": [{"name": "SELF_out.png", "role": "output", "bytes": 2**62, "width": 0, "height": -1}]},
    }
    for kind, changes in cases.items():
        operation_id = ids()
        mine = json.loads(json.dumps(changes).replace("SELF", operation_id))
        yield Oddity(f"value: {kind}", operation_id, _json(usual(operation_id, **mine)), {"_out.png": PNG})
    one, other, third = ids(), ids(), ids()
    for mine, parent in ((one, other), (other, third), (third, one)):
        yield Oddity("value: parents in a ring", mine, _json(usual(mine, parents=[parent])), {"_out.png": PNG})


def _old(ids: _Ids) -> Iterator[Oddity]:
    """What the original backend wrote: 13 keys, its own types, a body's values as parameters, names by habit."""
    body = {"prompt": "plus clair", "useOptimizedPrompt": "true", "optimized": False, "imageCount": 1, "confidence": 0.95}
    whole = {
        "workflow": {"workflow": {"id": "image_edit_single", "name": "Édition"}, "confidence": 0.95, "reasoning": "…"},
        "within": {"success": True, "analysis": {"workflow": {"id": "image_edit_single"}, "confidence": 0.7}},
    }
    cases: dict[str, tuple[dict[str, Any], dict[str, bytes]]] = {
        "an edit": ({"operationType": "image_edit_single", "workflowAnalysis": whole["workflow"]}, {"_in_1.jpg": PNG}),
        "an analysis within": ({"operationType": "img_to_img", "workflowAnalysis": whole["within"]}, {"_in.jpg": JPG}),
        "a model in the parameters": ({"parameters": body | {"model": "qwen/qwen-image-edit-plus"}}, {}),
        "a failed download": ({"outputFile": None, "operationType": "text_to_video"}, {}),
        "unknown": ({"operationType": "unknown", "success": False, "error": "NSFW content", "resultUrl": None}, {}),
        "a step of a chain": ({"operationType": "edit_then_video_video_step_2", "duration": 5}, {"_out.mp4": MP4}),
    }
    for kind, (changes, files) in cases.items():
        operation_id = ids()
        output = next((ending for ending in files if "_out" in ending), "_out.webp")
        sidecar = usual(operation_id, parameters=body, outputFile=f"{operation_id}{output}", prompt="plus clair") | changes
        files = files if changes.get("outputFile", "") is None else {output: WEBP} | files
        sidecar["inputFiles"] = [f"{operation_id}{ending}" for ending in files if "_in" in ending]
        kept = {key: sidecar[key] for key in SPECIFIED}
        yield Oddity(f"old: {kind}", operation_id, json.dumps(kept, indent=2, ensure_ascii=False).encode(), files)


def _broken(ids: _Ids) -> Iterator[Oddity]:
    """Sidecars that no reader can take, and files without one."""

    def said(operation_id: str, **changes: Any) -> str:
        return json.dumps(usual(operation_id, **changes))

    operation_id = ids()
    yield Oddity("broken: BOM", operation_id, codecs.BOM_UTF8 + said(operation_id).encode())
    for encoding in ("utf-16", "latin-1"):
        operation_id = ids()
        yield Oddity(f"broken: {encoding}", operation_id, said(operation_id).replace("harbour", "h\u00e9").encode(encoding))
    texts = {"empty": "", "spaces": "  \n", "a list": "[1, 2]", "a text": '"x"', "null": "null", "half": '{"operationId": "'}
    for kind, text in (texts | {"bytes": "\x00\x01"}).items():
        yield Oddity(f"broken: {kind}", ids(), text.encode())
    for kind, old, new in (
        ("NaN", "0.025", "NaN"),
        ("NaN as a seed", '"parameters": {', '"parameters": {"seed": NaN, '),
        ("Infinity", "3.5", "-Infinity"),
        ("1e999", "0.025", "1e999"),
        ("5,000 digits", "3.5", "9" * 5_000),
        ("half a character", "a quiet harbour", "\\ud800 x"),
        ("half a character in a key", '"parameters": {', '"parameters": {"\\udc00": 1, '),
        ("another's id", "operationId", "operationid"),
    ):
        operation_id = ids()
        yield Oddity(f"broken: {kind}", operation_id, said(operation_id).replace(old, new, 1).encode())
    operation_id = ids()
    deep = json.dumps(usual(operation_id)).replace('"a quiet harbour"', "[" * 100_000 + "]" * 100_000)
    yield Oddity("broken: nested", operation_id, deep.encode())
    operation_id = ids()
    yield Oddity("broken: 10 MB", operation_id, said(operation_id, prompt="x" * 10_000_000).encode())
    operation_id = ids()
    twice = said(operation_id)[:-1] + ', "prompt": "the second", "success": false}'
    yield Oddity("broken: keys twice", operation_id, twice.encode(), {"_out.png": PNG})
    yield Oddity("no sidecar", ids(), None, {"_out.png": PNG, "_in_1.jpg": JPG})


def _media(ids: _Ids) -> Iterator[Oddity]:
    """Files that are missing, empty, cut, of another kind than their name says, or no pictures at all."""
    cases: dict[str, dict[str, bytes]] = {
        "missing": {},
        "empty": {"_out.png": b""},
        "cut": {"_out.png": PNG[: len(PNG) // 2]},
        "webp in a png": {"_out.png": WEBP},
        "a video in a png": {"_out.png": MP4},
        "HTML in a png": {"_out.png": b"<script>alert(1)</script>"},
        "a cut video": {"_out.mp4": MP4[: len(MP4) // 3]},
        "an empty video": {"_out.mp4": b""},
        "a picture in a video": {"_out.mp4": PNG},
        "an input that is missing": {"_out.png": PNG},
        "an input that is cut": {"_out.png": PNG, "_in_1.jpg": JPG[:40]},
    }
    for kind, files in cases.items():
        operation_id = ids()
        output = next(iter(files), "_out.png")
        sidecar = usual(operation_id, outputFile=f"{operation_id}{output}", files=[], inputFiles=[f"{operation_id}_in_1.jpg"])
        yield Oddity(f"media: {kind}", operation_id, _json(sidecar | {"inputCount": 1}), files)


def _moments() -> Iterator[Oddity]:
    """Ids that say moments which there are not, or nobody can have meant."""
    for operation_id in ("00000000000000_00000000", "00010101000000_abcdef", "20251399250061_abcdef", "99991231235959_ffffffff"):
        yield Oddity(f"moment: {operation_id[:14]}", operation_id, _json(usual(operation_id)), {"_out.png": PNG})


def lay(folder: Path, chosen: Sequence[Oddity] | None = None) -> None:
    """Fill a data folder with all of them, or with those that are chosen, and with names that nobody wrote on purpose."""
    operations = folder / "operations"
    operations.mkdir(parents=True, exist_ok=True)
    for oddity in oddities() if chosen is None else chosen:
        oddity.lay(operations)
    for name in ("notes.txt", ".hidden", "20250101000000_abc.json", "20250101000000_ABCDEF12.json", "a b.json", "x" * 200):
        (operations / name).write_bytes(b"{}")
    (operations / "20250102000000_abcdef12.json").mkdir()
    (operations / "20250103000000_abcdef12.json").symlink_to("/etc/passwd")
