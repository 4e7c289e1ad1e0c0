"""The demo's story, pure and seeded: who asked for what and when over half a year, before any picture is made.

Same seed and same end, same plan. Times, ends other than the engine's own, ratings and prices are invented, and every sidecar
says so under `demo`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from opstore.demo import themes
from opstore.errors import Canceled, FetchTimeout, ProviderUnavailable, RateLimited, said
from opstore.storage.operation import OPERATION_TYPES

DAYS = 180
#: In the first weeks another program wrote the folder: the original backend, whose entries say less.
OLD_DAYS = 45
SESSIONS = 150
#: How likely work begins on a day of the week (Monday first) and in an hour, UTC.
_WEEK = (8, 9, 9, 10, 7, 3, 2)
_HOURS = (0, 0, 0, 0, 0, 0, 1, 3, 7, 10, 11, 6, 4, 8, 10, 10, 8, 5, 3, 3, 4, 4, 2, 1)

#: Ends that no local engine comes to, so that charts of errors have something to show: status and sentence.
TROUBLES: tuple[tuple[str, str], ...] = (
    ("failed", str(RateLimited(seconds=30))),
    ("failed", str(RateLimited(seconds=12))),
    ("failed", str(FetchTimeout(seconds=60))),
    ("failed", str(ProviderUnavailable(reason=said("connection refused")))),
    ("failed", "The model's safety filter refused this prompt or image (NSFW content detected)."),
    ("failed", "CUDA out of memory: tried to allocate 2.0 GiB."),
    ("failed", "402 Payment Required: insufficient credit."),
    ("canceled", str(Canceled())),
    ("canceled", "Canceled."),
    ("aborted", "The provider gave up before it began; that is not billed."),
    ("expired", "The provider has deleted the result: it keeps results for one hour."),
)
OLD_TROUBLES = (
    "Request failed with status code 429",
    "connect ECONNRESET 104.18.1.1:443",
    "timeout of 60000ms exceeded",
    "Prediction failed: NSFW content detected. Try running it again, or try a different prompt.",
)
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Planned:
    """One operation of the story. `uploads` are scenes whose pictures stand for files that a person brought along; `parents`
    are operations of the same session whose outputs are inputs.

    `error` is an invented end; None leaves the end to the engine, which refuses by itself what it cannot do. `old` is an entry as
    the original backend wrote it; `lost` one whose result it failed to download, and called a success all the same. `draft` is
    painted small and fast, under a model's name of its own.
    """

    id: str
    moment: datetime
    type: str
    prompt: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    uploads: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    status: str = "stored"
    error: str | None = None
    batch: str | None = None
    analysis: Mapping[str, Any] | None = None
    tags: tuple[str, ...] = ()
    rating: int | None = None
    favorite: bool = False
    note: str = ""
    priced: bool = True
    old: bool = False
    lost: bool = False
    draft: bool = False


Session = tuple[Planned, ...]


def planned(seed: int, end: datetime, sessions: int = SESSIONS) -> list[Session]:
    """Return the sessions up to `end`, oldest first; the two last ones lie within its last day, so that "today" has something."""
    chance = random.Random(seed)
    starts = sorted(_start(chance, end) for _ in range(max(0, sessions - 2)))
    starts += [end - timedelta(hours=20), end - timedelta(minutes=90)][-sessions:]
    # Each from a source of its own: a change in one session leaves the others as they are.
    return [_Teller(random.Random(f"{seed} {number}"), start, end).session() for number, start in enumerate(starts)]


def _start(chance: random.Random, end: datetime) -> datetime:
    """Return when work begins: more often lately than at first, on working days, in working hours."""
    while True:
        day = (end - timedelta(days=DAYS * (1 - chance.random() ** 0.6))).date()
        if chance.random() * max(_WEEK) <= _WEEK[day.weekday()]:
            break
    hour = chance.choices(range(24), _HOURS)[0]
    start = datetime(day.year, day.month, day.day, hour, chance.randrange(60), chance.randrange(60), tzinfo=end.tzinfo)
    return min(start, end - timedelta(hours=2))


class _Teller:
    """Tells one session, operation by operation."""

    def __init__(self, chance: random.Random, start: datetime, end: datetime) -> None:
        self._chance = chance
        self._moment = start
        self._theme = chance.choices(themes.THEMES, (6, 4, 4, 3, 3))[0]
        self._old = start < end - timedelta(days=DAYS - OLD_DAYS)

    def session(self) -> Session:
        tellers = (self._series, self._single, self._retouch, self._combine, self._film, self._upload_video)
        weights = (0, 6, 4, 2, 1, 0) if self._old else (30, 20, 18, 14, 6, 8)
        return tuple(self._judged(list(self._chance.choices(tellers, weights)[0]())))

    # -- the kinds of session ----------------------------------------------------------------------------------------------

    def _series(self) -> Iterator[Planned]:
        """Several variants of one prompt; the best is edited, and often set in motion."""
        first = self._scene()
        batch = first.id
        variants = [replace(self._scene(), prompt=first.prompt, parameters=self._picture_parameters()) for _ in range(2)]
        variants = [replace(item, batch=batch, draft=item is variants[-1]) for item in (first, *variants)]
        yield from variants
        best = self._chance.choice([item for item in variants if item.error is None] or variants)
        if best.error:
            return
        edited = self._edit((best.id,))
        yield edited
        if self._chance.random() < 0.4:
            source = best if edited.error or edited.prompt in themes.BEYOND else edited
            yield self._next("image_to_video_single", self._chance.choice(self._theme.moves), _clip(), parents=(source.id,))

    def _single(self) -> Iterator[Planned]:
        scene = self._scene()
        yield replace(scene, lost=self._old and scene.error is None and self._chance.random() < 0.2)

    def _retouch(self) -> Iterator[Planned]:
        """A picture of a person's own, edited once or twice; what only a model could do is tried once."""
        upload = self._chance.choice(themes.UPLOADS)
        yield self._edit((), (upload,))
        if self._chance.random() < 0.6:
            yield self._edit((), (upload,))

    def _combine(self) -> Iterator[Planned]:
        scenes = [self._scene(), self._scene()]
        yield from scenes
        whole = tuple(item.id for item in scenes if item.error is None)
        if len(whole) < 2:
            return
        beyond = self._chance.random() < 0.25
        prompt = self._chance.choice(themes.BEYOND_COMBINATIONS if beyond else themes.COMBINATIONS)
        yield self._next("image_edit_multiple", prompt, _picture(), parents=whole)
        if self._chance.random() < 0.5:
            yield self._next("image_to_video_transition", self._chance.choice(themes.PASSAGES), _clip(), parents=whole)

    def _film(self) -> Iterator[Planned]:
        yield self._next("text_to_video", self._favourite(self._theme.scenes), _clip() | {"aspectRatio": "16:9"})

    def _upload_video(self) -> Iterator[Planned]:
        """A picture of a person's own, edited and set in motion in one go."""
        prompt = f"{self._chance.choice(themes.EDITS[:4])}, {self._chance.choice(self._theme.moves)}"
        yield self._next("edit_then_video", prompt, _clip(), uploads=(self._chance.choice(themes.UPLOADS),))

    # -- operations ----------------------------------------------------------------------------------------------------------

    def _scene(self) -> Planned:
        return self._next("text_to_image", self._favourite(self._theme.scenes), self._picture_parameters())

    def _picture_parameters(self) -> dict[str, Any]:
        ratio = self._chance.choices(("16:9", "1:1", "3:2", "9:16"), (5, 3, 2, 1))[0]
        return _picture() | {"aspectRatio": ratio, "seed": self._chance.randrange(10_000)}

    def _edit(self, parents: tuple[str, ...], uploads: tuple[str, ...] = ()) -> Planned:
        beyond = self._chance.random() < (0.1 if parents else 0.22)
        prompt = self._favourite(themes.BEYOND if beyond else themes.EDITS)
        return self._next("image_edit_single", prompt, _picture(), parents=parents, uploads=uploads)

    def _favourite(self, choices: Sequence[_Item]) -> _Item:
        """Return one of `choices`, the first ones more often: people repeat themselves."""
        return choices[min(int(len(choices) * self._chance.random() ** 1.7), len(choices) - 1)]

    def _next(self, kind: str, prompt: str, parameters: dict[str, Any], **more: Any) -> Planned:
        chance, moment = self._chance, self._moment
        self._moment += timedelta(seconds=chance.randint(35, 240), milliseconds=chance.randrange(1000))
        operation = Planned(
            id=f"{moment:%Y%m%d%H%M%S}_{chance.getrandbits(32):08x}",
            moment=moment,
            type=kind,
            prompt=prompt,
            parameters={"seed": chance.randrange(10_000)} | parameters,
            tags=(self._theme.tag,) if chance.random() < 0.7 else (),
            priced=chance.random() < 0.85,
            old=self._old,
            **more,
        )
        return self._analysed(self._troubled(operation))

    def _troubled(self, operation: Planned) -> Planned:
        if self._chance.random() > (0.18 if operation.old else 0.1):
            return operation
        if operation.old:
            return replace(operation, status="failed", error=self._chance.choice(OLD_TROUBLES))
        status, error = self._chance.choice(TROUBLES)
        return replace(operation, status=status, error=error)

    def _analysed(self, operation: Planned) -> Planned:
        """Some were routed by an analysis of the request: how sure it was tells, though not perfectly, whether it was right."""
        chance = self._chance
        if chance.random() > 0.55:
            return operation
        confidence = round(min(0.99, max(0.2, chance.betavariate(5, 1.8))), 2)
        wrong = chance.random() > 0.35 + 0.63 * confidence
        chosen = chance.choice([name for name in OPERATION_TYPES if name != operation.type]) if wrong else operation.type
        analysis: dict[str, Any] = {
            "workflow": {"id": chosen, "name": chosen.replace("_", " ").capitalize()},
            "confidence": confidence,
            "reasoning": "Demo: from the number of images and the words of the prompt.",
        }
        if operation.old:
            return replace(operation, analysis={"analysis": {"confidence": confidence}, "workflow": analysis["workflow"]})
        return replace(operation, analysis=analysis | ({"overriddenTo": operation.type} if wrong else {}))

    def _judged(self, made: list[Planned]) -> Iterator[Planned]:
        chance = self._chance
        for item in made:
            beyond = item.prompt in (*themes.BEYOND, *themes.BEYOND_COMBINATIONS)
            if item.error or beyond or chance.random() > (0.2 if item.old else 0.55):
                yield item
                continue
            rating = chance.choices((1, 2, 3, 4, 5), (1, 2, 5, 6, 3) if "video" not in item.type else (2, 4, 5, 3, 1))[0]
            rating = max(1, rating - 1) if item.draft else rating
            favorite = rating == 5 and chance.random() < 0.7
            note = chance.choice(themes.NOTES) if chance.random() < 0.06 else ""
            yield replace(item, rating=rating, favorite=favorite, note=note)


def _picture() -> dict[str, Any]:
    return {"outputFormat": "webp", "outputQuality": 85}


def _clip() -> dict[str, Any]:
    return {"duration": 1.5, "framesPerSecond": 10, "resolution": "480p"}
