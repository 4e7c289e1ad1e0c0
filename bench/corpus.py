"""A synthetic data folder for the measurements: seeded, so that two runs see the same operations; prompts follow Zipf's law.

Sidecars are written as opstore writes them (about 1 kB, indented); media files are empty, or left out.
"""

from __future__ import annotations

import bisect
import itertools
import json
import os
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2024, 1, 1, tzinfo=UTC)
#: Two years of work.
SPAN = 2 * 365 * 86_400
TYPES = (
    ("text_to_image", 0.40),
    ("image_edit_single", 0.25),
    ("image_edit_multiple", 0.10),
    ("text_to_video", 0.08),
    ("image_to_video_single", 0.10),
    ("image_to_video_transition", 0.03),
    ("edit_then_video", 0.03),
    ("unknown", 0.01),
)
MODELS = ("qwen/qwen-image", "qwen/qwen-image-edit-plus", "wan-video/wan-2.2-t2v-fast", "wan-video/wan-2.2-i2v-fast")
ERRORS = (
    "The model's safety filter refused this prompt or image (NSFW content detected)",
    "Prediction timed out after 300 seconds",
    "429 Too Many Requests",
    "Input validation failed: image is required",
    "connect ECONNRESET 104.18.1.1:443",
)
#: Words that the measured searches ask for, at their places among the commonest.
KNOWN = (
    *("la", "de", "un", "sur", "photo", "chat", "lumière", "plage", "portrait", "nuit", "mer", "rouge", "fée", "douce", "forêt"),
    *("soleil", "ville", "femme", "homme", "chien", "montagne", "aquarelle", "réaliste", "été", "hiver", "bord", "cinéma"),
)
_SYLLABLES = ("ba", "co", "dé", "fla", "gri", "jo", "lu", "mer", "no", "pla", "que", "ri", "sau", "tou", "vi", "wal", "xe", "zo")
WORDS = 30_000


class Zipf:
    """Draws ranks: the k-th commonest one time in k."""

    def __init__(self, size: int, power: float = 1.0) -> None:
        """Prepare for ranks below `size`."""
        self._sums = list(itertools.accumulate(1 / (rank + 2.7) ** power for rank in range(size)))

    def draw(self, chance: random.Random) -> int:
        """Return a rank."""
        return bisect.bisect(self._sums, chance.random() * self._sums[-1])


def vocabulary(chance: random.Random) -> list[str]:
    """Return made-up words, the known ones first."""
    words = dict.fromkeys(KNOWN)
    while len(words) < WORDS:
        words["".join(chance.choices(_SYLLABLES, k=chance.choice((2, 2, 3, 3, 4))))] = None
    return list(words)


def operations(count: int, seed: int = 4) -> Iterator[dict[str, Any]]:
    """Yield sidecars, oldest first."""
    chance = random.Random(seed)
    words, ranks = vocabulary(chance), Zipf(WORDS)
    prompts: list[str] = []
    tags, tag_ranks = [f"tag {number}" for number in range(200)], Zipf(200)
    kinds, weights = zip(*TYPES, strict=True)
    batch, left = None, 0
    parent = None
    for number in range(count):
        if left == 0:
            left = chance.choices((1, 4), (0.85, 0.15))[0]
            batch = None
        # Three of ten ask for what was asked before, what was asked often more often than what was asked once.
        if prompts and chance.random() < 0.3:
            prompt = prompts[int(len(prompts) * chance.random() ** 3)]
        else:
            prompt = " ".join(words[ranks.draw(chance)] for _ in range(chance.randint(4, 18)))
            prompts.append(prompt)
        moment = START + timedelta(seconds=int(number * SPAN / count), milliseconds=chance.randrange(1000))
        sidecar = _sidecar(chance, moment, chance.choices(kinds, weights)[0], prompt)
        if left == 4:
            batch = sidecar["operationId"]
        left -= 1
        sidecar["batchId"] = batch
        if parent and sidecar["inputCount"] and chance.random() < 0.3:
            sidecar["parents"] = [parent]
        if chance.random() < 0.15:
            chosen = sorted({tags[tag_ranks.draw(chance)] for _ in range(chance.randint(1, 3))})
            rating = chance.choice((None, 1, 2, 3, 4, 4, 5))
            sidecar["annotations"] = {"tags": chosen, "favorite": chance.random() < 0.2, "rating": rating, "note": ""}
        parent = sidecar["operationId"]
        yield sidecar


def _sidecar(chance: random.Random, moment: datetime, kind: str, prompt: str) -> dict[str, Any]:
    operation_id = f"{moment:%Y%m%d%H%M%S}_{chance.getrandbits(32):08x}"
    failed = chance.random() < 0.08
    inputs = [f"{operation_id}_in_{n + 1}.jpg" for n in range(_input_count(chance, kind))]
    video = "video" in kind
    output = None if failed else f"{operation_id}_out.{'mp4' if video else 'webp'}"
    elapsed = round(chance.lognormvariate(4.2 if video else 1.6, 0.6), 3)
    stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "operationId": operation_id,
        "timestamp": stamp,
        "operationType": kind,
        "prompt": prompt,
        "parameters": {"aspectRatio": "16:9", "outputFormat": "webp", "outputQuality": 80, "seed": chance.getrandbits(31)},
        "inputCount": len(inputs),
        "inputFiles": inputs,
        "outputFile": output,
        "resultUrl": None,
        "workflowAnalysis": {"confidence": round(chance.random(), 2)} if chance.random() < 0.1 else None,
        "error": chance.choice(ERRORS) if failed else None,
        "success": not failed,
        "duration": None,
        "schema": "opstore/1",
        "status": "failed" if failed else "stored",
        "provider": "replicate",
        "model": MODELS[(2 if video else 0) + bool(inputs)],
        "steps": [],
        "files": [_file(chance, name, "input") for name in inputs] + ([_file(chance, output, "output")] if output else []),
        "completedAt": stamp,
        "elapsedSeconds": elapsed,
        "cost": {"amount": round(elapsed * 0.002, 5) if video else 0.025, "currency": "USD", "basis": "run", "estimated": True},
        "parents": [],
        "batchId": None,
        "annotations": {"tags": [], "favorite": False, "rating": None, "note": ""},
    }


def _file(chance: random.Random, name: str, role: str) -> dict[str, Any]:
    kind = "video/mp4" if name.endswith("mp4") else f"image/{name.rsplit('.')[-1].replace('jpg', 'jpeg')}"
    size = {"bytes": chance.randint(60_000, 900_000), "sha256": f"{chance.getrandbits(256):064x}"}
    return {"name": name, "role": role, "mediaType": kind, **size, "width": 1024, "height": 768, "seconds": None}


def _input_count(chance: random.Random, kind: str) -> int:
    if kind == "image_edit_multiple":
        return chance.randint(2, 5)
    return {"image_edit_single": 1, "image_to_video_single": 1, "image_to_video_transition": 2, "edit_then_video": 1}.get(kind, 0)


def detail(sidecar: dict[str, Any], chance: random.Random) -> None:
    """Add what charts ask for: computing time, sizes of files, which type was proposed, and whether it was kept."""
    kind, elapsed = sidecar["operationType"], sidecar["elapsedSeconds"]
    sidecar["steps"] = [{"operationType": kind, "predictSeconds": round(elapsed * 0.8, 3), "status": "succeeded"}]
    files = [{"name": name, "role": "input", "bytes": chance.randrange(50_000, 4_000_000)} for name in sidecar["inputFiles"]]
    if sidecar["outputFile"]:
        size = chance.randrange(200_000, 6_000_000 if "video" in kind else 900_000)
        files.append({"name": sidecar["outputFile"], "role": "output", "bytes": size, "width": 1024, "height": 1024})
    sidecar["files"] = files
    if chance.random() < 0.4:
        sure = round(chance.betavariate(5, 2), 2)
        analysis: dict[str, Any] = {"workflow": {"id": kind, "name": kind}, "confidence": sure, "reasoning": "because"}
        if chance.random() > sure:
            analysis["overriddenTo"] = "text_to_image" if kind != "text_to_image" else "image_edit_single"
        sidecar["workflowAnalysis"] = analysis


#: What the original backend wrote of an operation, in its order.
ORIGINAL = (
    *("operationId", "timestamp", "operationType", "prompt", "parameters", "inputCount", "inputFiles", "outputFile"),
    *("resultUrl", "workflowAnalysis", "error", "success", "duration"),
)
_REASON = "L'utilisateur demande ce que montre l'image, sans en donner d'autre ; une image est faite du texte seul."


def original(sidecar: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return a sidecar as the original backend wrote it: no hash, no cost, no model, but an analysis of each, and an address."""
    kind = sidecar["operationType"]
    kept = {name: sidecar[name] for name in ORIGINAL}
    kept["parameters"] = {"aspectRatio": "16:9", "outputFormat": "webp", "outputQuality": 95, "goFast": True}
    kept["workflowAnalysis"] = {
        "workflow": {"id": kind, "name": kind.replace("_", " ").capitalize()},
        "confidence": round(chance.betavariate(5, 2), 2),
        "reasoning": _REASON,
    }
    if sidecar["outputFile"]:
        kept["resultUrl"] = f"https://replicate.delivery/xezq/{chance.getrandbits(200):050x}/output.webp"
    return kept


def write(folder: Path, count: int, seed: int = 4, media: bool = True, detailed: bool = False, is_original: bool = False) -> None:
    """Write a data folder: sidecars, and with `media` an empty file for every input and output, as names count in a listing.

    With `detailed` the sidecars also have what only charts ask for; with `is_original` they are those of the original backend.
    """
    operations_folder = folder / "operations"
    operations_folder.mkdir(parents=True, exist_ok=True)
    place = os.open(operations_folder, os.O_RDONLY)
    try:
        chance = random.Random(seed)
        for sidecar in operations(count, seed):
            if detailed:
                detail(sidecar, chance)
            if is_original:
                sidecar = original(sidecar, chance)
            names: Sequence[str] = [*sidecar["inputFiles"], *([sidecar["outputFile"]] if sidecar["outputFile"] else [])]
            for name in names if media else ():
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=place))
            data = json.dumps(sidecar, ensure_ascii=False, indent=2).encode() + b"\n"
            file = os.open(f"{sidecar['operationId']}.json", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=place)
            os.write(file, data)
            os.close(file)
    finally:
        os.close(place)
