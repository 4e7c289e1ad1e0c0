"""What other programs wrote into a picture about how it was made: A1111 and its kin, ComfyUI, InvokeAI, SwarmUI.

Nothing here is trusted: a text that is not what it looks like leaves the picture without metadata, never an error. What was
understood is the prompt, the model and a few parameters; the texts themselves are kept beside, as they were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opstore import media
from opstore.errors import UnsupportedMedia

#: Longer texts than this are no prompt; all kept texts together have at most as many characters.
_MAX_TEXT = 200_000
_MAX_KEPT = 1_000_000
_KEYS = ("parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata")
_USER_COMMENT, _EXIF = 0x9286, 0x8769
#: No blanks before a name: those that none follows would be walked through again from each of them.
_PAIR = re.compile(r'([A-Za-z][\w /-]{0,40}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|\Z)')
_STEPS = re.compile(r"^Steps: [0-9]+,", re.MULTILINE)
_LINKS = 50
#: What they call it, and what it is called here.
_NAMES = {
    "seed": "seed",
    "steps": "steps",
    "cfg scale": "guidance",
    "cfg": "guidance",
    "cfg_scale": "guidance",
    "cfgscale": "guidance",
    "sampler": "sampler",
    "sampler_name": "sampler",
    "scheduler": "scheduler",
    "schedule type": "scheduler",
    "denoising strength": "strength",
    "denoise": "strength",
    "size": "size",
}


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a picture says of itself; `tool` is None where it says nothing that is known here. `texts` are kept as they were."""

    tool: str | None = None
    prompt: str = ""
    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def read(data: bytes) -> Embedded:
    """Return what is written in an image; pixels are not decoded."""
    try:
        texts = _texts(data)
    except UnsupportedMedia:
        return Embedded()
    for reader in (_invoke, _swarm, _comfy, _a1111):
        try:
            embedded = reader(texts)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue
        if embedded is not None:
            kept = dict(texts) if sum(map(len, texts.values())) <= _MAX_KEPT else {}
            return Embedded(
                embedded.tool, _clean(embedded.prompt), embedded.model and _clean(embedded.model)[:300], embedded.parameters, kept
            )
    return Embedded()


def _texts(data: bytes) -> dict[str, str]:
    kind = media.sniff(data)
    if kind is None or kind.kind != "image":
        return {}
    with media.reading(1):
        picture = media.opened(data, kind)
        texts = {key: value for key, value in picture.info.items() if key in _KEYS and isinstance(value, str)}
        if not texts and kind is not media.PNG:  # of a PNG Pillow would decode all pixels for it
            comment = picture.getexif().get_ifd(_EXIF).get(_USER_COMMENT)
            if isinstance(comment, bytes):
                texts = {"parameters": _comment(comment)}
        return {key: _clean(value) for key, value in texts.items()}


def _comment(data: bytes) -> str:
    """Return an EXIF user comment: eight bytes say how it is written."""
    head, body = data[:8], data[8:]
    if head == b"UNICODE\0":
        return body.decode("utf-16-le" if body[1:2] == b"\0" else "utf-16-be", "replace")
    return body.decode("utf-8", "replace") if head in (b"ASCII\0\0\0", bytes(8)) else data.decode("utf-8", "replace")


def _clean(text: str) -> str:
    """Return a text that every file can hold, without half characters and without what ends a C string."""
    return text[:_MAX_KEPT].replace("\0", "").encode("utf-8", "replace").decode()


# -- one reader a program ------------------------------------------------------------------------------------------------


def _invoke(texts: Mapping[str, str]) -> Embedded | None:
    if "invokeai_metadata" in texts:
        metadata = json.loads(texts["invokeai_metadata"])
        model = metadata.get("model")
        name = (model.get("name") or model.get("model_name")) if isinstance(model, dict) else model
        known = _known(metadata) | _negative(metadata.get("negative_prompt"))
        return Embedded("invokeai", _string(metadata.get("positive_prompt")), _string(name) or None, known)
    if "sd-metadata" in texts:
        metadata = json.loads(texts["sd-metadata"])
        image = metadata.get("image") or {}
        prompt = image.get("prompt")
        if isinstance(prompt, list):
            prompt = " ".join(_string(part.get("prompt")) for part in prompt if isinstance(part, dict))
        return Embedded("invokeai", _string(prompt), _string(metadata.get("model_weights")) or None, _known(image))
    return None


def _swarm(texts: Mapping[str, str]) -> Embedded | None:
    text = texts.get("parameters", "")
    if not text.lstrip().startswith("{"):
        return None
    told = json.loads(text)["sui_image_params"]
    known = _known(told) | _negative(told.get("negativeprompt"))
    return Embedded("swarmui", _string(told.get("prompt")), _string(told.get("model")) or None, known)


def _a1111(texts: Mapping[str, str]) -> Embedded | None:
    text = texts.get("parameters", "")
    found = list(_STEPS.finditer(text))
    if not found or len(text) > _MAX_TEXT:
        return None
    before, last = text[: found[-1].start()], text[found[-1].start() :].split("\n", 1)[0]
    prompt, _, negative = before.rpartition("\nNegative prompt:") if "\nNegative prompt:" in before else (before, "", "")
    pairs = {name.strip().lower(): value.strip().strip('"') for name, value in _PAIR.findall(last)}
    return Embedded("a1111", prompt.strip(), pairs.get("model") or None, _known(pairs) | _negative(negative.strip()))


def _comfy(texts: Mapping[str, str]) -> Embedded | None:
    if "prompt" not in texts:
        drawn = json.loads(texts.get("workflow", "{}")).get("nodes")
        return Embedded("comfyui") if isinstance(drawn, list) else None
    graph = json.loads(texts["prompt"])
    found = ((key, node.get("inputs")) for key, node in graph.items() if isinstance(node, dict))
    nodes: dict[str, dict[str, Any]] = {key: inputs for key, inputs in found if isinstance(inputs, dict)}
    if not nodes:
        return None
    samplers = [inputs for inputs in nodes.values() if "positive" in inputs and {"seed", "noise_seed"} & inputs.keys()]
    sampler: dict[str, Any] = samplers[0] if samplers else {}
    prompt = next(_followed(nodes, sampler.get("positive"), ("text", "text_g", "string", "value", "prompt")), "")
    negative = next(_followed(nodes, sampler.get("negative"), ("text", "text_g", "string", "value", "prompt")), "")
    model = next(_followed(nodes, sampler.get("model"), ("ckpt_name", "unet_name", "model_name")), None)
    known = _known({**sampler, "seed": sampler.get("seed", sampler.get("noise_seed"))})
    return Embedded("comfyui", prompt or _any_text(nodes), model, known | _negative(negative))


def _followed(nodes: Mapping[str, Mapping[str, Any]], link: object, wanted: tuple[str, ...]) -> Iterator[str]:
    """Yield the texts of these names that a link of the graph leads to, the nearest first; circles end."""
    waiting, seen = [link], set[str]()
    while waiting and len(seen) < _LINKS:
        place = waiting.pop(0)
        key = place[0] if isinstance(place, list) and place and isinstance(place[0], str) else None
        if key is None or key in seen or key not in nodes:
            continue
        seen.add(key)
        for name in wanted:
            if isinstance(nodes[key].get(name), str) and nodes[key][name].strip():
                yield nodes[key][name]
        waiting += [value for value in nodes[key].values() if isinstance(value, list)]


def _any_text(nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the longest text of a graph without a sampler that is known here."""
    texts = [
        value
        for inputs in nodes.values()
        for name, value in inputs.items()
        if name in ("text", "prompt") and isinstance(value, str)
    ]
    return max(texts, key=len, default="")


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that have a name here, numbers as numbers; of several of one name the first."""
    parameters: dict[str, Any] = {}
    for name, value in told.items():
        known = _NAMES.get(name.lower())
        if known and known not in parameters and isinstance(value, str | int | float) and not isinstance(value, bool):
            parameters[known] = _number(value) if known not in ("size", "sampler", "scheduler") else _clean(str(value))[:100]
    return {name: value for name, value in parameters.items() if value is not None}


def _number(value: str | int | float) -> int | float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if abs(number) > 2**63 or number != number:
        return None
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.strip().lstrip("-").isdigit()) else number


def _negative(text: object) -> dict[str, str]:
    return {"negativePrompt": _clean(text)[:_MAX_TEXT]} if isinstance(text, str) and text.strip() else {}


def _string(value: object) -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) else ""
