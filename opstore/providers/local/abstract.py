"""Compositions without a subject: silk-like folds of colour from noise that bends noise, in the colours that were named."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image

from opstore.providers.local.colours import Colour
from opstore.providers.local.noise import Floats, cloudy, sampled, scaled, smooth

_SIDE = 512
_LEVELS = 1024


def palette_of(colours: tuple[Colour, ...], mood: str, rng: np.random.Generator) -> Floats:
    """Return five to seven colours, 0 to 1, dark to light: those named and their neighbours, or a harmony by chance."""
    if colours:
        named: list[Floats] = [np.array(c, dtype=np.float32) / 255 for c in colours]
        named = named if len(named) > 1 else [named[0], _shifted(named[0], 0.07), _shifted(named[0], -0.09)]
        rich = [c * k for c in named for k in (0.4, 1.0)] + [named[0] * 0.3 + 0.7]
        return np.stack([*sorted(rich, key=lambda c: float(c.sum()))]).astype(np.float32)
    start = float(rng.random()) if mood != "sad" else 0.58
    spread = float(rng.choice([0.12, 0.2, 0.42]))
    lightness = {"mysterious": 0.36, "sad": 0.42, "happy": 0.6}.get(mood, 0.5)
    fullness = {"sad": 0.28, "happy": 0.85}.get(mood, 0.62)
    steps = [(0.14, 0.0), (0.55, 0.0), (0.85, 0.5), (1.1, 1.0), (1.4, 0.6), (1.75, 0.2)]
    made = [colorsys.hls_to_rgb((start + spread * turn) % 1, min(lightness * k, 0.93), fullness) for k, turn in steps]
    return np.array(made, dtype=np.float32)


def _shifted(colour: Floats, turn: float) -> Floats:
    hue, lightness, fullness = colorsys.rgb_to_hls(*(float(v) for v in colour))
    return np.array(colorsys.hls_to_rgb((hue + turn) % 1, lightness, max(fullness, 0.3)), dtype=np.float32)


class Folds:
    """The composition: a field of folds whose colours flow along it, lit as if it were cloth."""

    def __init__(self, palette: Floats, rng: np.random.Generator, size: tuple[int, int], moving: bool) -> None:
        """Bend the field once; `frame` only lets the colours flow."""
        self.size = size
        reduction = 2 if moving else 1
        width, height = size[0] // reduction, size[1] // reduction
        extent = max(size)
        part = round(_SIDE * 0.8 * size[0] / extent), round(_SIDE * 0.8 * size[1] / extent)
        bend = [cloudy(rng, _SIDE, 3.4, 1.0) for _ in range(4)]
        y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32)

        def bent(field: Floats, dx: Floats, dy: Floats, reach: float) -> Floats:
            return sampled(field, x + dx * reach, y + dy * reach)

        first = bent(cloudy(rng, _SIDE, 3.1, 1.5), bend[0], bend[1], 46)
        second = bent(bend[2], first, bend[3], 58)
        field = scaled(np.ascontiguousarray((first * 0.55 + second * 0.8)[: part[1], : part[0]]), width, height)
        slope_y, slope_x = np.gradient(field)
        shine = (-slope_x * 0.7 - slope_y * 0.7) * extent / reduction / 4
        self.shade = (0.98 + 0.25 * np.tanh(shine) - 0.16 * smooth(0.4, 2.4, np.abs(shine).astype(np.float32)))[
            :, :, None
        ].astype(np.float32)
        self.gleam = (np.clip(np.tanh(shine * 0.8), 0, 1) ** 5 * 0.16)[:, :, None].astype(np.float32)
        self.place = ((field - field.min()) / (field.max() - field.min()) * (_LEVELS * 0.999)).astype(np.int32)
        self.table = self._table(palette)

    @staticmethod
    def _table(palette: Floats) -> Floats:
        """Return a colour for each level: there and back, so that the flow has no jump."""
        ring = np.concatenate([palette, palette[-2:0:-1], palette[:1]])
        at = np.linspace(0, 1, len(ring))
        share = np.linspace(0, 1, _LEVELS * 2, endpoint=False)
        return np.stack([np.interp(share, at, ring[:, c] ** 2.2) ** (1 / 2.2) for c in range(3)], axis=-1).astype(np.float32)

    def frame(self, t: float) -> Image.Image:
        """Return the composition at `t` seconds."""
        index = (self.place * 2.6 + t * 42).astype(np.int32) % (_LEVELS * 2)
        colours = self.table.take(index.ravel(), axis=0).reshape(*index.shape, 3)
        lit = colours * self.shade + self.gleam
        picture = Image.fromarray(np.clip(lit * 255, 0, 255).astype(np.uint8))
        return picture if picture.size == self.size else picture.resize(self.size, Image.Resampling.BICUBIC)
