"""How two pictures of other sizes or shapes lie on each other: nothing is distorted unless the pixels themselves say so.

Places are boxes in pixels of the first picture, which lies at (0, 0) in its own size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image as Picture

#: `whole`: each shows all of the same thing. `inside`: the second is the middle of the first. `around`: the first is the middle
#: of the second.
Fit = Literal["whole", "inside", "around"]
FITS: tuple[Fit, ...] = get_args(Fit)
Size = tuple[int, int]

#: Shapes that differ by less are the same: models round sides to multiples of 8.
_SAME_SHAPE = 0.006
#: Side in pixels of the small grey pictures by which a fit is judged.
_GRID = 48
#: Correlation below which two pictures have nothing to do with each other.
_RELATED = 0.4


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in pixels of the first picture."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def of(cls, size: Size) -> Box:
        """Return the box of a picture that lies at the origin."""
        return cls(0.0, 0.0, float(size[0]), float(size[1]))

    def joined(self, other: Box) -> Box:
        """Return the smallest box around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right, bottom = max(self.x + self.width, other.x + other.width), max(self.y + self.height, other.y + other.height)
        return Box(x, y, right - x, bottom - y)

    def shared(self, other: Box) -> Box:
        """Return what both cover; two boxes of one centre always share something."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.x + self.width, other.x + other.width), min(self.y + self.height, other.y + other.height)
        return Box(x, y, right - x, bottom - y)

    def within(self, frame: Box) -> tuple[float, float, float, float]:
        """Return x, y, width and height as shares of `frame`."""
        return (
            (self.x - frame.x) / frame.width,
            (self.y - frame.y) / frame.height,
            self.width / frame.width,
            self.height / frame.height,
        )

    def scaled_to(self, size: Size, place: Box) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom in the pixels of a picture of `size` that lies at `place`."""
        across, down = size[0] / place.width, size[1] / place.height
        left, top = (self.x - place.x) * across, (self.y - place.y) * down
        right, bottom = left + self.width * across, top + self.height * down
        return max(0.0, left), max(0.0, top), min(float(size[0]), right), min(float(size[1]), bottom)


def same_shape(first: Size, second: Size) -> bool:
    """Say whether two sizes have the same ratio, up to rounding."""
    ratio = first[0] * second[1] / (first[1] * second[0])
    return abs(ratio - 1) < _SAME_SHAPE


def place(first: Size, second: Size, fit: Fit) -> Box:
    """Return where the second picture lies on the first."""
    if fit == "whole":
        return Box.of(first)
    scales = first[0] / second[0], first[1] / second[1]
    scale = min(scales) if fit == "inside" else max(scales)
    width, height = second[0] * scale, second[1] * scale
    x, y = (first[0] - width) / 2, (first[1] - height) / 2
    # A crop begins at a whole pixel; half a pixel aside, every edge would differ.
    return Box(math.trunc(x), math.trunc(y), width, height) if scale == 1 else Box(x, y, width, height)


def best_fit(first: Picture, second: Picture) -> Fit:
    """Return the fit in which two pictures of different shapes agree best; `inside` where they are nothing alike.

    A model that crops, one that widens the picture and one that squeezes it leave different traces: each way the common part is
    laid side by side, small and grey, and the correlations are compared. Small pictures are enough (thumbnails).
    """
    if same_shape(first.size, second.size):
        return "whole"
    found = {fit: _likeness(first, second, fit) for fit in FITS}
    best = max(FITS, key=lambda fit: found[fit])
    return best if found[best] >= _RELATED else "inside"


def likeness(first: Picture, second: Picture) -> float:
    """Return how much two pictures agree where they agree best, small and grey: 1 the same, 0 nothing in common."""
    return max(_likeness(first, second, fit) for fit in FITS)


def _likeness(first: Picture, second: Picture, fit: Fit) -> float:
    import numpy as np

    where = place(first.size, second.size, fit)
    common = where.shared(Box.of(first.size))
    one = _grey(first, common.scaled_to(first.size, Box.of(first.size)))
    other = _grey(second, common.scaled_to(second.size, where))
    spread = float(one.std() * other.std())
    return float(np.mean((one - one.mean()) * (other - other.mean()))) / spread if spread > 1e-6 else 0.0


def _grey(picture: Picture, box: tuple[float, float, float, float]) -> ndarray:
    import numpy as np
    from PIL import Image

    small = picture.convert("L").resize((_GRID, _GRID), Image.Resampling.BOX, box=box)
    return np.asarray(small, np.float64)
