"""Sky above a horizon: gradient, sun or moon with its glow, stars that twinkle, aurora, and clouds that drift in perspective."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops

from opstore.providers.local.cosmos import Stars, milky_way, moon_disc
from opstore.providers.local.light import Light, mix
from opstore.providers.local.noise import Floats, Ints, cloudy, smooth
from opstore.providers.local.scene_words import Brief

_TEXTURE = 1024


def as_image(colours: Floats, rng: np.random.Generator | None = None) -> Image.Image:
    """Return colours from 0 to 1 as a picture; with `rng`, half a step of grain keeps gradients from showing bands."""
    values = colours * 255
    if rng is not None:
        values = values + rng.uniform(-0.7, 0.7, colours.shape[:2]).astype(np.float32)[:, :, None]
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


class Sky:
    """The sky of one scene; `frame` paints it as it is at a time."""

    def __init__(self, light: Light, brief: Brief, rng: np.random.Generator, size: tuple[int, int], moving: bool) -> None:
        """Paint what stands still, and prepare what moves; `size` ends at the horizon."""
        self.width, self.height = size
        self.light = light
        x = np.arange(self.width, dtype=np.float32)[None, :]
        y = np.arange(self.height, dtype=np.float32)[:, None]
        self.sun = (light.sun_x * self.width, self.height * (1 - light.sun_height))
        colours = np.repeat(light.sky_at(y / self.height), self.width, axis=1)
        if brief.things & {"milky way"} and light.time == "night":
            colours += milky_way(rng, size)
        moon = "moon" in brief.things or (light.time == "night" and "aurora" not in brief.things and rng.random() < 0.7)
        if not light.storm and (moon or light.time not in ("night", "dusk")):
            colours = self._lamp(colours, x, y, rng, moon=light.dark)
        self.base = as_image(colours, rng)
        starry = light.time == "night" and not light.storm and light.cloud < 0.7
        density = 1.0 if light.time == "night" else 0.3
        self.stars = Stars(rng, size, density, fade=True) if starry or light.time == "dusk" else None
        self.aurora = _Aurora(rng, size) if "aurora" in brief.things else None
        self.clouds = Clouds(light, rng, size, self.sun, 2 if moving else 1) if light.cloud > 0.05 else None

    def _lamp(self, colours: Floats, x: Floats, y: Floats, rng: np.random.Generator, *, moon: bool) -> Floats:
        """Add the sun or moon and its glow."""
        sx, sy = self.sun
        low = self.light.time in ("sunset", "dawn")
        unit = max(self.width, self.height)
        far = np.hypot((x - sx) * (0.75 if low else 1.0), y - sy) / unit
        reach, strength = (0.055, 0.22) if moon else (0.17, 0.5) if low else (0.12, 0.45)
        glow = strength * np.exp(-far / reach) + 0.4 * strength * np.exp(-far / (reach * 0.3))
        tone = self.light.sun
        colours = colours + (1 - colours) * np.clip(glow, 0, 1)[:, :, None] * tone
        if moon:
            return moon_disc(colours, (sx, sy), unit * 0.028, tone, rng)
        radius = unit * (0.034 if low else 0.026)
        veil = 0.0 if self.light.cloud > 0.6 else 1.0
        disc = np.clip(radius - far * unit + 0.5, 0, 1)[:, :, None] * veil
        white = mix(tone, np.ones(3, dtype=np.float32), 0.7)
        lit: Floats = colours * (1 - disc) + white * disc
        return lit.astype(np.float32)

    def frame(self, t: float) -> Image.Image:
        """Return the sky at `t` seconds."""
        picture = self.base.copy()
        if self.stars is not None:
            picture = self.stars.over(picture, t)
        if self.aurora is not None:
            picture = self.aurora.over(picture, t)
        if self.clouds is not None:
            clouds = self.clouds.frame(t)
            picture.paste(clouds, mask=clouds)
        return picture


class Clouds:
    """A sheet of clouds overhead, seen in perspective, lit from the side of the sun."""

    def __init__(
        self, light: Light, rng: np.random.Generator, size: tuple[int, int], sun: tuple[float, float], reduction: int
    ) -> None:
        """Prepare the texture and, for each pixel at `1 / reduction` of the size, where it looks."""
        self.size = size
        width, height = max(2, size[0] // reduction), max(2, size[1] // reduction)
        self.texture = cloudy(rng, _TEXTURE, 1.85, 2.5).ravel()
        y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
        x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width - 0.5
        depth = 1 / (1.06 - y)
        aspect = size[0] / max(size)
        self.u = (x * depth * 330 * aspect).astype(np.float32)
        self.v = np.broadcast_to(depth * 190, (height, width)).astype(np.float32)
        toward = 1.0 if sun[0] / size[0] > 0.5 else -1.0
        self.offset = (int(9 * toward), -7 if light.sun_height > 0.4 else 9)
        self.threshold = (0.5 - light.cloud) * 2.5
        self.softness = 1.5 if light.storm else 1.15
        self.wind = float(rng.choice([-1, 1])) * (26 if light.storm else 9)
        self.fade = smooth(1.0, 0.8, y) * 0.85 + 0.15 * smooth(1.0, 0.97, y)
        self.opacity = 0.97 if light.storm else 0.9
        self.lit, self.shade = _cloud_colours(light)

    def frame(self, t: float) -> Image.Image:
        """Return the clouds at `t` seconds as RGBA."""
        u, v = (self.u + self.wind * t).astype(np.int32), (self.v + self.wind * 0.25 * t).astype(np.int32)
        density = self._at(u, v)
        toward = self._at(u + self.offset[0], v + self.offset[1])
        alpha = smooth(self.threshold, self.threshold + self.softness, density) * self.fade * self.opacity
        light = np.clip(0.62 + (density - toward) * 0.85 - 0.16 * np.clip(density - self.threshold - 0.6, 0, 2), 0, 1)
        rgba = np.empty((*alpha.shape, 4), dtype=np.uint8)
        for c in range(3):
            rgba[:, :, c] = (self.shade[c] + (self.lit[c] - self.shade[c]) * light) * 255
        rgba[:, :, 3] = alpha * 255
        picture = Image.fromarray(rgba)
        return picture if picture.size == self.size else picture.resize(self.size, Image.Resampling.BILINEAR)

    def _at(self, u: Ints, v: Ints) -> Floats:
        return self.texture.take(((v & (_TEXTURE - 1)) * _TEXTURE) + (u & (_TEXTURE - 1)))


def _cloud_colours(light: Light) -> tuple[Floats, Floats]:
    """Return the colours of clouds in the light and in their own shadow."""
    white = np.ones(3, dtype=np.float32)
    if light.storm:
        return light.stops[4] * 0.95, light.stops[0] * 0.8
    if light.time == "day":
        return mix(white, light.stops[-1], 0.12), mix(light.stops[3], np.array([0.5, 0.54, 0.6], dtype=np.float32), 0.45)
    if light.time == "night":
        return light.stops[5] * 0.85, light.stops[1]
    return mix(light.stops[-1], light.sun, 0.5), mix(light.stops[1], light.stops[2], 0.55)


class _Aurora:
    """Curtains of green and violet light that wander."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.size = size
        self.width, self.height = max(2, size[0] // 2), max(2, size[1] // 2)
        self.wave = cloudy(rng, 256, 2.2, 1.0)
        self.rays = cloudy(rng, 512, 1.0, 3.0)

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with the curtains as they hang at `t` seconds."""
        x = np.arange(self.width)
        y = np.arange(self.height, dtype=np.float32)[:, None] / self.height
        total = np.zeros((self.height, self.width, 3), dtype=np.float32)
        for i in range(3):
            along = x * (70 + 25 * i) / self.width + i * 60
            place = along + t * (1.6 - i * 0.5)
            bend = np.interp(place % 255, np.arange(256), self.wave[(i * 67) % 256])
            foot = (0.72 - 0.15 * i + bend * 0.07)[None, :].astype(np.float32)
            ray = np.interp((x * 2.2 * 180 / self.width + t * 5 + i * 99) % 511, np.arange(512), self.rays[i * 31])
            strength = (0.55 + 0.28 * np.clip(ray, -1.5, 2)) * (0.9 - 0.2 * i) * (0.75 + 0.3 * np.clip(bend, -1, 1.5))
            rise = foot - y
            body = np.where(rise > 0, np.exp(-rise / 0.16), np.exp(rise / 0.018)) * strength[None, :]
            height = np.clip(rise / 0.32, 0, 1)[:, :, None]
            tone = (
                np.array([0.16, 0.95, 0.52], dtype=np.float32) * (1 - height)
                + np.array([0.55, 0.22, 0.85], dtype=np.float32) * height
            )
            total += np.clip(body, 0, 1)[:, :, None].astype(np.float32) * tone
        glow = as_image(np.clip(total * 1.1, 0, 1)).resize(picture.size, Image.Resampling.BILINEAR)
        return ImageChops.screen(picture, glow)
