"""Water in perspective that mirrors what stands above it, bent by waves that travel."""

from __future__ import annotations

import numpy as np
from PIL import Image

from opstore.providers.local.light import Light, mix
from opstore.providers.local.noise import Floats, cloudy, smooth
from opstore.providers.local.sky import as_image

_SIDE = 512


class Water:
    """A surface from the horizon down; `frame` mirrors the picture above it."""

    def __init__(self, light: Light, rng: np.random.Generator, size: tuple[int, int], above: int, rough: float) -> None:
        """Prepare a surface of `size` under `above` rows of picture; `rough`: 0.3 a still lake, 1 the sea, 2.5 a storm."""
        self.width, self.height = size
        self.above, self.rough = above, rough
        self.one, self.two = cloudy(rng, _SIDE, 1.35, 3).ravel(), cloudy(rng, _SIDE, 1.2, 5).ravel()
        y = (np.arange(self.height, dtype=np.float32)[:, None] + 0.6) / self.height
        x = (np.arange(self.width, dtype=np.float32)[None, :] + 0.5) / self.width - 0.5
        depth = 1 / (y * 0.93 + 0.022)
        self.u = (x * depth * 150).astype(np.float32)
        self.v = np.broadcast_to(depth * 210, (self.height, self.width)).astype(np.float32)
        self.columns = np.broadcast_to(np.arange(self.width, dtype=np.float32)[None, :], self.v.shape)
        self.rows = np.arange(self.height, dtype=np.float32)[:, None] * min(0.92, above / self.height * 0.97)
        self.bend = (self.height * (0.05 + 0.065 * y**0.8) * rough).astype(np.float32)
        mirror = np.clip(0.93 - 0.62 * y**0.8 - 0.06 * rough, 0.2, 0.95)
        self.mirror = Image.fromarray(np.broadcast_to(mirror * 255, self.v.shape).astype(np.uint8))
        green = np.array([0.02, 0.2, 0.26], dtype=np.float32)
        deep = mix(light.stops[0] * 0.5, green, 0.45) * (0.35 + 0.65 * light.brightness)
        shallow = mix(deep, light.stops[2], 0.35)
        self.deep = as_image(
            np.repeat(shallow * (1 - y[:, :, None]) + deep * y[:, :, None], self.width, axis=1).astype(np.float32)
        )
        self.foam = 0.0 if rough < 1.5 else 0.8
        self.foam_colour = tuple(
            int(v)
            for v in np.clip(
                mix(light.stops[-1], np.ones(3, dtype=np.float32), 0.5) * 255 * (0.4 + 0.6 * light.brightness), 0, 255
            )
        )
        self.near = y

    def frame(self, above: Image.Image, t: float) -> Image.Image:
        """Return the water at `t` seconds under the picture `above`, which ends at the horizon."""
        pace = 16 * (0.6 + 0.5 * self.rough)
        slope = self._at(self.one, 1.0, -0.45 * pace * t, pace * t) + 0.6 * self._at(
            self.two, 2.3, pace * 0.9 * t, pace * 1.3 * t
        )
        # Waves seen flatly lift the mirrored sky far more than they sink it.
        row = self.above - 1 - self.rows - (slope + 0.5) * self.bend
        column = self.columns + slope * self.bend * 0.22
        index = np.clip(row, 0, self.above - 1).astype(np.int32) * self.width + np.clip(column, 0, self.width - 1).astype(
            np.int32
        )
        packed = np.frombuffer(above.convert("RGBX").tobytes(), dtype=np.uint32)
        mirrored = Image.frombytes("RGBX", (self.width, self.height), packed.take(index).tobytes()).convert("RGB")
        water = Image.composite(mirrored, self.deep, self.mirror)
        if self.foam:
            crest = smooth(1.55, 2.3, slope) * self.foam * (0.35 + 0.65 * self.near)
            water.paste(self.foam_colour, mask=Image.fromarray((crest * 255).astype(np.uint8)))
        return water

    def _at(self, texture: Floats, scale: float, du: float, dv: float) -> Floats:
        u = (self.u * scale + du).astype(np.int32) & (_SIDE - 1)
        v = (self.v * scale + dv).astype(np.int32) & (_SIDE - 1)
        return texture.take(v * _SIDE + u)
