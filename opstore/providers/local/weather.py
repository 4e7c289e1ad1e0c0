"""What moves through the air: rain, snow, fog, birds, fireflies, lightning. Each is painted over a picture as it is at a time."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from opstore.providers.local.light import Light
from opstore.providers.local.noise import Floats, cloudy, scaled


class Snow:
    """Flakes that fall and sway, larger and faster the nearer they are."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], light: Light) -> None:
        """Scatter the flakes over a picture of `size`."""
        self.size = size
        count = int(size[0] * size[1] / 1500)
        self.near = rng.uniform(0, 1, count) ** 2.5
        self.x, self.y = rng.uniform(0, size[0], count), rng.uniform(0, size[1], count)
        self.phase = rng.uniform(0, 6.283, count)
        self.light = 0.55 + 0.45 * light.brightness

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with the snow falling at `t` seconds."""
        width, height = self.size
        unit = max(self.size) / 1000
        pixels = np.asarray(picture).astype(np.float32)
        y = (self.y + t * (35 + 130 * self.near) * unit) % height
        x = (self.x + (np.sin(self.phase + t * 1.1) * 7 + t * 9) * unit * (0.5 + self.near)) % width
        radius = (0.8 + 2.6 * self.near) * unit
        for low, high in ((0.0, 0.25), (0.25, 0.6), (0.6, 1.01)):
            chosen = (self.near >= low) & (self.near < high)
            reach = math.ceil((0.8 + 2.6 * min(high, 1.0)) * unit * 1.5)
            self._splat(pixels, x[chosen], y[chosen], radius[chosen], reach)
        return Image.fromarray(pixels.astype(np.uint8))

    def _splat(self, pixels: Floats, x: Floats, y: Floats, radius: Floats, reach: int) -> None:
        width, height = self.size
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                column, row = x.astype(np.int32) + dx, y.astype(np.int32) + dy
                far = ((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2) / (radius * radius)
                inside = (column >= 0) & (row >= 0) & (column < width) & (row < height) & (far < 3)
                cover = (np.exp(-far[inside]) * 0.85)[:, None]
                spot = row[inside], column[inside]
                pixels[spot] = pixels[spot] * (1 - cover) + 255 * self.light * cover


class Rain:
    """Slanting streaks, fine and many, on a veil of grey."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], light: Light, *, heavy: bool) -> None:
        """Scatter the drops over a picture of `size`."""
        self.size = size
        count = int(size[0] * size[1] / (900 if heavy else 1500))
        self.x, self.y = rng.uniform(-0.2, 1.1, count) * size[0], rng.uniform(0, 1, count) * size[1]
        self.near = rng.uniform(0, 1, count) ** 1.6
        self.slant = -0.22 if heavy else -0.1
        self.tone = tuple(int(v) for v in np.clip((light.stops[-1] * 0.5 + 0.5) * 255 * (0.5 + 0.5 * light.brightness), 0, 255))

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with the rain falling at `t` seconds."""
        width, height = self.size
        unit = max(self.size) / 1000
        sheet = Image.new("L", self.size, 0)
        pen = ImageDraw.Draw(sheet)
        fall = (self.y + t * (500 + 700 * self.near) * unit) % (height * 1.15) - height * 0.1
        across = (self.x + self.slant * (fall + t * 0) + width * 0.05) % (width * 1.05)
        long = (8 + 26 * self.near) * unit
        bright = (40 + 95 * self.near).astype(int)
        for x, y, length, value in zip(across.tolist(), fall.tolist(), long.tolist(), bright.tolist(), strict=True):
            pen.line((x, y, x + self.slant * length, y + length), fill=value)
        result = picture.copy()
        result.paste(self.tone, mask=sheet.filter(ImageFilter.BoxBlur(0.6)))
        return result


class Fog:
    """Banks of mist that drift between the far and the near."""

    def __init__(
        self, rng: np.random.Generator, size: tuple[int, int], light: Light, foot: float, strength: float, travel: float
    ) -> None:
        """Prepare mist that is thickest at row `foot`; `travel` is how many seconds it will drift."""
        self.size = size
        self.speed = max(size) * 0.012
        wide = int(size[0] + self.speed * travel) + 2
        texture = scaled(cloudy(rng, 256, 2.0, 1.5)[:96], wide, size[1])
        y = np.arange(size[1], dtype=np.float32)[:, None]
        band = np.exp(-(((y - foot) / (size[1] * 0.26)) ** 2))
        alpha = np.clip(strength * band * (0.62 + 0.36 * texture) + strength * 0.12, 0, 0.92)
        self.mask = Image.fromarray((alpha * 255).astype(np.uint8))
        self.tone = tuple(int(v) for v in np.clip(light.haze * 255, 0, 255))

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with the mist where it is at `t` seconds."""
        left = min(self.speed * t, self.mask.width - self.size[0] - 1)
        mask = self.mask.transform(self.size, Image.Transform.AFFINE, (1, 0, left, 0, 1, 0), Image.Resampling.BILINEAR)
        result = picture.copy()
        result.paste(self.tone, mask=mask)
        return result


class Birds:
    """A loose flock that crosses the sky, wings beating."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], horizon: float, light: Light) -> None:
        """Gather the flock in the upper sky."""
        count = int(rng.integers(6, 12))
        centre = rng.uniform(0.25, 0.7) * size[0], rng.uniform(0.25, 0.55) * horizon
        self.x = centre[0] + rng.normal(0, 0.09, count) * size[0]
        self.y = centre[1] + rng.normal(0, 0.07, count) * horizon
        self.span = rng.uniform(0.007, 0.016, count) * max(size)
        self.phase = rng.uniform(0, 6.283, count)
        self.tone = tuple(int(v) for v in np.clip(light.stops[0] * 110, 0, 255))
        self.speed = max(size) * 0.022

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with the birds where they are at `t` seconds."""
        sheet = Image.new("L", (picture.width * 2, picture.height * 2), 0)
        pen = ImageDraw.Draw(sheet)
        for x, y, span, phase in zip(self.x + self.speed * t, self.y, self.span, self.phase, strict=True):
            lift = math.sin(phase + t * 9) * 0.5 + 0.25
            wing = [
                (x - span, y - span * lift),
                (x - span * 0.45, y - span * (0.35 + lift * 0.3)),
                (x, y),
                (x + span * 0.45, y - span * (0.35 + lift * 0.3)),
                (x + span, y - span * lift),
            ]
            pen.line([(a * 2, b * 2) for a, b in wing], fill=235, width=max(2, int(span * 0.28)), joint="curve")
        result = picture.copy()
        result.paste(self.tone, mask=sheet.reduce(2))
        return result


class Fireflies:
    """Small warm lights that glow and fade near the ground."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], top: float) -> None:
        """Scatter the lights below row `top`."""
        count = 46
        self.x, self.y = rng.uniform(0, size[0], count), rng.uniform(top, size[1] * 0.98, count)
        self.phase, self.unit = rng.uniform(0, 6.283, (3, count)), max(size) / 1000

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with the lights at `t` seconds."""
        glow = Image.new("RGB", picture.size, 0)
        pen = ImageDraw.Draw(glow)
        power = np.clip(np.sin(self.phase[0] + t * 1.7) * 0.7 + 0.45, 0, 1)
        x = self.x + np.sin(self.phase[1] + t * 0.6) * 16 * self.unit
        y = self.y + np.cos(self.phase[2] + t * 0.5) * 11 * self.unit
        for a, b, p in zip(x, y, power, strict=True):
            for radius, share in ((7.0, 0.35), (2.2, 1.0)):
                r = radius * self.unit
                pen.ellipse((a - r, b - r, a + r, b + r), fill=(int(255 * p * share), int(225 * p * share), int(110 * p * share)))
        return ImageChops.screen(picture, glow.filter(ImageFilter.GaussianBlur(2.2 * self.unit)))


class Lightning:
    """A forked bolt that stands in a still, and flashes now and then in a video."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], horizon: float) -> None:
        """Trace the bolt from the clouds to the horizon."""
        x = float(rng.uniform(0.2, 0.8)) * size[0]
        self.paths = [self._path(rng, x, 0.02 * horizon, horizon, size[0])]
        for _ in range(3):
            start = self.paths[0][int(rng.integers(3, len(self.paths[0]) - 3))]
            self.paths.append(self._path(rng, start[0], start[1], start[1] + (horizon - start[1]) * 0.5, size[0]))
        sheet = Image.new("L", size, 0)
        pen = ImageDraw.Draw(sheet)
        for i, path in enumerate(self.paths):
            pen.line(path, fill=255 if i == 0 else 170, width=max(1, round(max(size) / (420 if i == 0 else 800))), joint="curve")
        self.core = sheet.filter(ImageFilter.GaussianBlur(0.7))
        self.glow = sheet.filter(ImageFilter.GaussianBlur(max(size) / 55)).point(lambda value: min(255.0, value * 5.0))
        self.beats = (
            0.0,
            float(rng.uniform(1.3, 1.9)),
            float(rng.uniform(2.8, 3.4)),
            float(rng.uniform(5, 6)),
            float(rng.uniform(7, 9)),
        )

    @staticmethod
    def _path(rng: np.random.Generator, x: float, top: float, bottom: float, width: int) -> list[tuple[float, float]]:
        steps = 18
        drift = np.cumsum(rng.normal(0, 0.011, steps)) * width
        return [(x + float(d), top + (bottom - top) * i / (steps - 1)) for i, d in enumerate(drift)]

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with the bolt as bright as it is at `t` seconds."""
        since = min((t - beat for beat in self.beats if t >= beat), default=9.0)
        power = math.exp(-since / 0.16) * (1 if since < 0.05 or since > 0.11 else 0.4)
        if power < 0.03:
            return picture
        result = picture.copy()
        result.paste((150, 160, 235), mask=self.glow.point(lambda value: value * power * 0.55))
        result.paste((245, 244, 255), mask=self.core.point(lambda value: value * power))
        return result
