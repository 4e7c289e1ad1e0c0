"""Each operation type of one step as bytes: what is read from the request, what is done, how far it is.

Everything heavy is reached from here; the provider class imports this module only when it has something to make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from PIL import Image

from opstore.errors import ProviderRefused, Said, said
from opstore.providers import Report, StepRequest
from opstore.providers.local.abilities import abilities, describe
from opstore.providers.local.arrangements import Arrangement, arrangement_of, needs_model
from opstore.providers.local.combine import combine
from opstore.providers.local.edits import apply_edit
from opstore.providers.local.folding import compose, fold
from opstore.providers.local.motion import between, default_move, over_still
from opstore.providers.local.moves import move_of, passage_of
from opstore.providers.local.parameters import Parameters, read_parameters
from opstore.providers.local.phrases import refusal
from opstore.providers.local.pictures import cropped, open_picture, written
from opstore.providers.local.prompt_edits import Edit, parse, parse_folded
from opstore.providers.local.scene_words import brief_of
from opstore.providers.local.scenes import compose_scene
from opstore.providers.local.video import encoded
from opstore.storage.operation import OPERATION_TYPES


@dataclass(frozen=True, slots=True)
class Made:
    """The file that a step made, and in words what was done."""

    data: bytes
    log: str


@dataclass(frozen=True, slots=True)
class Work:
    """A request with everything read and checked."""

    request: StepRequest
    parameters: Parameters
    report: Report

    @property
    def prompt(self) -> str:
        """Return what was asked."""
        return self.request.prompt

    @property
    def seed(self) -> int:
        """Return the number that decides every chance: from the prompt, and from the seed where one is given."""
        text = f"{fold(compose(self.prompt))}\0{self.parameters.seed}"
        return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "big")

    def pictures(self) -> list[Image.Image]:
        """Open all pictures of the request."""
        opened = []
        for index, data in enumerate(self.request.inputs, start=1):
            self.report(0.0, said("opening image {index}", index=index))
            opened.append(open_picture(data, index))
        return opened


def make(request: StepRequest, report: Report) -> Made:
    """Return what a request asks for, or raise a refusal."""
    if request.operation_type not in _STEPS:
        raise refusal(
            said("The local engine does not know the operation type {type}. Choose another type.", type=request.operation_type),
            "needs a model",
        )
    row = OPERATION_TYPES[request.operation_type]
    least, most = row.minimum, row.maximum
    given = len(request.inputs)
    if not least <= given <= most:
        wanted = least if least == most else f"{least}–{most}"
        raise refusal(
            said("Images needed: {wanted}; given: {given}. Add or remove images and try again.", wanted=wanted, given=given)
        )
    work = Work(request, read_parameters(request.parameters), report)
    return _STEPS[request.operation_type](work)


def _edited(work: Work, picture: Image.Image, edits: list[Edit], start: float) -> tuple[Image.Image, str]:
    """Apply the edits in order, then the ratio asked for; report from the share `start` on."""
    words = []
    for i, edit in enumerate(edits):
        words.append(describe(edit))
        work.report(start + (0.9 - start) * i / len(edits), words[-1])
        picture = apply_edit(picture, edit)
    if work.parameters.ratio:
        picture = cropped(picture, work.parameters.ratio)
    return picture, ", ".join(words)


def _saved(work: Work, picture: Image.Image, log: str) -> Made:
    work.report(0.92, said("writing the picture"))
    return Made(written(picture, work.parameters), log)


def _edit_single(work: Work) -> Made:
    edits = parse(work.prompt)
    if not edits:
        raise _not_understood(work)
    picture, log = _edited(work, work.pictures()[0], edits, 0.05)
    return _saved(work, picture, log)


def _not_understood(work: Work) -> ProviderRefused:
    return refusal(
        said(
            "The local engine has no AI model and did not find an edit that it knows in this prompt. It can do: {list}.",
            list=_listed(work),
        ),
        "needs a model",
    )


def _listed(work: Work) -> tuple[Said, ...]:
    return tuple(abilities(work.request.operation_type))


def _edit_multiple(work: Work) -> Made:
    text = compose(work.prompt)
    how, rest = arrangement_of(fold(text))
    edits = parse_folded(text, rest)
    if needs_model(fold(text)) and (how is None or how.kind != "blend"):
        raise refusal(
            said(
                "Replacing or transferring a part of one image needs an AI model, which the local engine is not. With these "
                "images it can do: {list}.",
                list=_listed(work),
            ),
            "needs a model",
        )
    if how is None and not edits:
        raise _not_understood(work)
    how = how or Arrangement("row")
    pictures = work.pictures()
    work.report(0.1, said("combining the images"))
    together = combine(pictures, how, work.seed)
    picture, log = _edited(work, together, edits, 0.5)
    return _saved(work, picture, f"{how.kind}, {log}".rstrip(", "))


def _text_to_image(work: Work) -> Made:
    _need_prompt(work)
    brief = brief_of(work.prompt)
    work.report(0.05, said("composing the scene"))
    scene = compose_scene(brief, work.parameters.picture_size(), work.seed)
    work.report(0.6, said("painting"))
    return _saved(work, scene.frame(0.0), brief.told())


def _need_prompt(work: Work) -> None:
    if not work.prompt.strip():
        raise refusal(said("The prompt is empty. Write what the picture should show, for example “a calm sea at sunset”."))


def _text_to_video(work: Work) -> Made:
    _need_prompt(work)
    parameters = work.parameters
    brief = brief_of(work.prompt)
    work.report(0.0, said("composing the scene"))
    size = parameters.video_size()
    scene = compose_scene(brief, size, work.seed, moving=parameters.seconds)
    frames = (scene.frame(i / parameters.fps) for i in range(parameters.frames))
    return _filmed(work, frames, size, brief.told())


def _filmed(work: Work, frames: Iterable[Image.Image], size: tuple[int, int], log: str) -> Made:
    count = work.parameters.frames

    def done(number: int) -> None:
        work.report(0.02 + 0.96 * number / count, said("frame {number} of {count}", number=number, count=count))

    return Made(encoded(frames, size, work.parameters.fps, done), log)


def _still_to_video(work: Work) -> Made:
    still = work.pictures()[0]
    size = work.parameters.video_size(still.size)
    move = move_of(work.prompt) or default_move(work.seed)
    frames: Iterator[Image.Image] = over_still(still, move, size, work.parameters.frames)
    return _filmed(work, frames, size, f"{move}")


def _transition(work: Work) -> Made:
    first, second = work.pictures()
    size = work.parameters.video_size(first.size)
    passage = passage_of(work.prompt)
    return _filmed(work, between(first, second, passage, size, work.parameters.frames), size, passage.kind)


_STEPS: dict[str, Callable[[Work], Made]] = {
    "text_to_image": _text_to_image,
    "image_edit_single": _edit_single,
    "image_edit_multiple": _edit_multiple,
    "text_to_video": _text_to_video,
    "image_to_video_single": _still_to_video,
    "image_to_video_transition": _transition,
}
