"""The parameters of a request, read once and checked: what a caller wrote becomes numbers that are safe to compute with.

What is unknown is ignored; what is known and impossible is refused by name. Nothing here is larger than its bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opstore.errors import said
from opstore.providers.local.phrases import refusal
from opstore.providers.model_parameters import number_of

#: Ratios that can be asked for.
RATIOS: dict[str, tuple[int, int]] = {
    "1:1": (1, 1),
    "16:9": (16, 9),
    "9:16": (9, 16),
    "4:3": (4, 3),
    "3:4": (3, 4),
    "3:2": (3, 2),
    "2:3": (2, 3),
}
MATCH_INPUT = "match_input_image"
_FORMATS = {"webp": "WEBP", "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}
_SHORT_SIDES = {"480p": 480, "720p": 720}
#: Longest side of a composed picture.
PICTURE_SIDE = 1024


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a request asks for beside its prompt. `ratio` None means: as the input, or 16:9 if there is none."""

    ratio: tuple[int, int] | None
    format: str
    quality: int
    seed: int | None
    seconds: float
    fps: int
    short_side: int

    @property
    def frames(self) -> int:
        """Return how many frames the video has."""
        return max(1, round(self.seconds * self.fps))

    def picture_size(self) -> tuple[int, int]:
        """Return the size of a composed picture."""
        wide, high = self.ratio or (16, 9)
        scale = PICTURE_SIDE / max(wide, high)
        return _even(wide * scale), _even(high * scale)

    def video_size(self, of: tuple[int, int] | None = None) -> tuple[int, int]:
        """Return the even size of a video, in the ratio asked for, else that of a picture of size `of`, at most 3 to 1."""
        wide, high = self.ratio or of or (16, 9)
        proportion = min(max(wide / high, 1 / 3), 3.0)
        if proportion >= 1:
            return _even(self.short_side * proportion), self.short_side
        return self.short_side, _even(self.short_side / proportion)


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)


def read_parameters(parameters: Mapping[str, Any]) -> Parameters:
    """Return the parameters of a request, or raise a refusal that names the one that cannot be used."""
    reader = _Reader(parameters)
    ratio = reader.choice("aspectRatio", (MATCH_INPUT, *RATIOS), MATCH_INPUT)
    return Parameters(
        ratio=RATIOS.get(ratio),
        format=_FORMATS[reader.choice("outputFormat", tuple(_FORMATS), "webp")],
        quality=round(reader.number("outputQuality", 1, 100, 90)),
        seed=reader.seed(),
        seconds=reader.number("duration", 1, 10, 4),
        fps=round(reader.number("framesPerSecond", 8, 60, 24)),
        short_side=_SHORT_SIDES[reader.choice("resolution", tuple(_SHORT_SIDES), "480p")],
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    given: Mapping[str, Any]

    def _refuse(self, name: str, value: object, allowed: str) -> Exception:
        return refusal(
            said(
                "The parameter {parameter} cannot be {value}. Use {allowed}.",
                parameter=name,
                value=repr(value)[:40],
                allowed=allowed,
            )
        )

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.given.get(name)
        if value is None or value == "":
            return default
        if not isinstance(value, str) or value.strip().lower() not in allowed:
            raise self._refuse(name, value, ", ".join(allowed))
        return value.strip().lower()

    def number(self, name: str, low: float, high: float, default: float) -> float:
        value = self.given.get(name)
        if value is None or value == "":
            return default
        number = number_of(value)
        if number is None or not low <= number <= high:
            raise self._refuse(name, value, f"{low:g}–{high:g}")
        return number

    def seed(self) -> int | None:
        value = self.given.get("seed")
        if value is None or value == "":
            return None
        number = number_of(value)
        if number is None or number != int(number):
            raise self._refuse("seed", value, "0, 1, 2, …")
        return value if isinstance(value, int) else int(number)
