"""The parts of a scene that stand before its sky, and how the whole becomes one picture at a time.

A layer is a little wider than the frame when the camera moves, the more the nearer it is: that is what makes depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from PIL import Image

#: How far the nearest layer travels during a video, as a share of the frame's width.
TRAVEL = 0.09


class Air(Protocol):
    """Something in the air, painted over a picture."""

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with it at `t` seconds."""
        ...


class Moving(Protocol):
    """Something that is a whole picture at a time: a sky, a field of folds."""

    def frame(self, t: float) -> Image.Image:
        """Return it at `t` seconds."""
        ...


class Surface(Protocol):
    """Something that mirrors what is above it."""

    def frame(self, above: Image.Image, t: float) -> Image.Image:
        """Return it at `t` seconds under the picture `above`."""
        ...


@dataclass(frozen=True, slots=True)
class Layer:
    """A picture with transparency at a place in the scene; `depth` 0 is the sky's distance, 1 is next to the camera."""

    picture: Image.Image
    x: float = 0.0
    y: float = 0.0
    depth: float = 0.0
    bob: float = 0.0
    drift: float = 0.0

    def onto(self, canvas: Image.Image, t: float, camera: float) -> None:
        """Paste the layer where it is at `t` seconds, the camera being at `camera` (-0.5 to 0.5 of its way)."""
        x = self.x - camera * TRAVEL * self.depth * canvas.width + self.drift * t
        y = self.y + self.bob * math.sin(t * 1.5)
        left, top = math.floor(x), math.floor(y)
        picture = self.picture
        if x != left or y != top:
            # Part of a pixel is shifted by interpolation: whole pixels would make slow motion stutter.
            shift = (1, 0, left - x, 0, 1, top - y)
            picture = picture.transform(
                (picture.width + 1, picture.height + 1), Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR
            )
        canvas.paste(picture, (left, top), picture)


@dataclass(slots=True)
class Scene:
    """Everything of one scene in the order in which it is painted."""

    size: tuple[int, int]
    sky: Moving
    horizon: int
    seconds: float = 0.0
    behind: list[Layer] = field(default_factory=list)
    distant: list[Air] = field(default_factory=list)
    water: Surface | None = None
    front: list[Layer] = field(default_factory=list)
    air: list[Air] = field(default_factory=list)
    finish: Callable[[Image.Image], Image.Image] | None = None

    def frame(self, t: float) -> Image.Image:
        """Return the scene at `t` seconds."""
        camera = t / self.seconds - 0.5 if self.seconds else 0.0
        canvas = Image.new("RGB", self.size)
        canvas.paste(self.sky.frame(t), (0, 0))
        for layer in self.behind:
            layer.onto(canvas, t, camera)
        for thing in self.distant:
            canvas = thing.over(canvas, t)
        if self.water is not None:
            above = canvas.crop((0, 0, self.size[0], self.horizon))
            canvas.paste(self.water.frame(above, t), (0, self.horizon))
        for layer in self.front:
            layer.onto(canvas, t, camera)
        for thing in self.air:
            canvas = thing.over(canvas, t)
        return self.finish(canvas) if self.finish else canvas


def trimmed(picture: Image.Image, x: float, y: float, depth: float) -> Layer:
    """Return a layer without the empty rows and columns of its picture: less to move on each frame."""
    box = picture.getchannel("A").getbbox()
    if box is None:
        return Layer(picture.crop((0, 0, 1, 1)), x, y, depth)
    return Layer(picture.crop(box), x + box[0], y + box[1], depth)


def finishing(size: tuple[int, int], rng: np.random.Generator, *, grain: bool) -> Callable[[Image.Image], Image.Image]:
    """Return the last touch: corners a little darker, and in a still a fine grain that keeps large gradients alive."""
    x = np.linspace(-1, 1, size[0], dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, size[1], dtype=np.float32)[:, None]
    fall = np.clip((np.hypot(x, y) - 0.55) / 0.9, 0, 1)
    corners = Image.fromarray((fall * fall * 88).astype(np.uint8))
    noise = rng.normal(0, 1.6, (size[1], size[0], 1)).astype(np.float32) if grain else None

    def touch(picture: Image.Image) -> Image.Image:
        picture.paste((6, 6, 14), mask=corners)
        if noise is None:
            return picture
        return Image.fromarray(np.clip(np.asarray(picture, dtype=np.float32) + noise + 0.5, 0, 255).astype(np.uint8))

    return touch
