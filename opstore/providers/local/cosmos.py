"""What shines in the dark: stars that twinkle, the Milky Way, the moon, nebulae and planets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from opstore.providers.local.noise import Floats, cloudy, sampled, scaled, smooth

_TINTS = np.array([[1.0, 0.93, 0.82], [0.82, 0.9, 1.0], [1.0, 1.0, 1.0], [0.9, 0.95, 1.0]], dtype=np.float32)


class Stars:
    """A field of stars; many faint, few bright, each with its own slow twinkle."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], density: float = 1.0, *, fade: bool = False) -> None:
        """Scatter the stars; with `fade` they thin out towards the bottom, where the air is thick."""
        width, height = size
        count = max(30, int(width * height / 1100 * density))
        self.x, self.y = rng.uniform(1, width - 3, count), rng.uniform(1, height - 3, count)
        power = np.clip(rng.pareto(1.7, count) * 0.16 + 0.1, 0, 1.6)
        if fade:
            power *= np.clip(1.15 - self.y / height, 0.0, 1.0)
        self.power = power.astype(np.float32)
        self.tint = _TINTS[rng.integers(0, len(_TINTS), count)]
        self.phase, self.pace = rng.uniform(0, 6.283, count), rng.uniform(1.2, 4.5, count)
        self.shape = (height, width)
        self.scale = max(1.0, max(size) / 1000)

    def over(self, picture: Image.Image, t: float) -> Image.Image:
        """Return the picture with the stars as they shine at `t` seconds."""
        pixels = np.array(picture)
        power = self.power * (1 + 0.35 * np.sin(self.phase + self.pace * t)).astype(np.float32)
        self._splat(pixels, np.ones(len(power), dtype=bool), power, 1, 0.75 * self.scale)
        bright = self.power > 0.75
        self._splat(pixels, bright, power * 0.9, 4, 1.5 * self.scale)
        return Image.fromarray(pixels)

    def _splat(
        self, pixels: npt.NDArray[np.uint8], chosen: npt.NDArray[np.bool_], power: Floats, reach: int, radius: float
    ) -> None:
        """Add a small round spot of light for each chosen star."""
        x, y, tint = self.x[chosen], self.y[chosen], self.tint[chosen] * power[chosen][:, None] * 255
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                column, row = x.astype(np.int32) + dx, y.astype(np.int32) + dy
                inside = (column >= 0) & (row >= 0) & (column < self.shape[1]) & (row < self.shape[0])
                far = (column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2
                light = tint * np.exp(-far / (radius * radius))[:, None]
                spot = row[inside], column[inside]
                pixels[spot] = np.minimum(255, pixels[spot] + light[inside]).astype(np.uint8)


def milky_way(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Return the light of a band of far stars across the sky, with its dark lanes."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    lean = float(rng.choice([-1, 1])) * float(rng.uniform(0.5, 0.9))
    band = ((y / height - 0.5) - lean * (x / width - 0.5)) / 0.24
    grain = scaled(cloudy(rng, 512, 1.6, 3), width, height)
    lanes = scaled(cloudy(rng, 512, 1.8, 4), width, height)
    body = np.exp(-band * band) * np.clip(0.55 + 0.3 * grain, 0, 1.4)
    dark = np.exp(-((band * 2.2) ** 2)) * smooth(0.1, 1.4, lanes) * 0.75
    light = np.clip(body * (1 - dark), 0, 1)[:, :, None]
    glow: Floats = light * np.array([0.34, 0.34, 0.46], dtype=np.float32)
    glow = glow + light**3 * np.array([0.3, 0.22, 0.16], dtype=np.float32)
    return glow.astype(np.float32)


def moon_disc(colours: Floats, centre: tuple[float, float], radius: float, tone: Floats, rng: np.random.Generator) -> Floats:
    """Return the sky with a moon: a sphere with its seas, nearly full."""
    height, width = colours.shape[:2]
    left, top = max(0, int(centre[0] - radius - 3)), max(0, int(centre[1] - radius - 3))
    right, bottom = min(width, int(centre[0] + radius + 3)), min(height, int(centre[1] + radius + 3))
    if right <= left or bottom <= top:
        return colours
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    dx, dy = (x - centre[0]) / radius, (y - centre[1]) / radius
    disc = np.clip((1 - np.hypot(dx, dy)) * radius + 0.5, 0, 1)[:, :, None]
    seas = scaled(cloudy(rng, 128, 1.9, 1.5), right - left, bottom - top)
    limb = np.clip(1 - (dx * dx + dy * dy) * 0.22 - 0.14 * smooth(0.1, 1.2, seas), 0, 1)[:, :, None]
    face = np.clip((0.35 * tone + 0.65) * limb, 0, 1)
    part = colours[top:bottom, left:right]
    colours[top:bottom, left:right] = part * (1 - disc) + face * disc
    return colours


def nebula(rng: np.random.Generator, size: tuple[int, int], colours: list[Floats]) -> Floats:
    """Return glowing clouds of gas in the given colours on near black."""
    width, height = size
    total = np.full((height, width, 3), 0.0, dtype=np.float32) + np.array([0.012, 0.014, 0.035], dtype=np.float32)
    side = 1024
    high, wide = round(side * height / max(size)), round(side * width / max(size))
    y, x = np.mgrid[0:high, 0:wide].astype(np.float32)
    warp = cloudy(rng, side, 2.6)[:high, :wide] * 52, cloudy(rng, side, 2.6)[:high, :wide] * 52
    for i, colour in enumerate(colours):
        gas = sampled(cloudy(rng, side, 1.85, 1.2), x + warp[0], y + warp[1])
        density = smooth(-0.2 + 0.15 * i, 2.6, scaled(gas, width, height))
        total += density[:, :, None] * colour * (1.2 - 0.15 * i) + (density**3)[:, :, None] * 0.4
    dust = scaled(cloudy(rng, 512, 1.9, 2), width, height)
    return (total * (1 - 0.6 * smooth(0.4, 1.8, dust))[:, :, None]).astype(np.float32)


def planet(rng: np.random.Generator, diameter: int, colours: list[Floats], *, ringed: bool) -> Image.Image:
    """Return a planet lit from one side, as RGBA: bands of colour, a thin atmosphere, perhaps a ring."""
    room = diameter * (2.3 if ringed else 1.12)
    side = int(room)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    dx, dy = (x - side / 2) / (diameter / 2), (y - side / 2) / (diameter / 2)
    lean = 0.38
    across, along = dx * np.cos(lean) + dy * np.sin(lean), -dx * np.sin(lean) + dy * np.cos(lean)
    r2 = dx * dx + dy * dy
    z = np.sqrt(np.clip(1 - r2, 0, 1))
    swirl = scaled(cloudy(rng, 256, 1.9), side, side)
    band = np.sin(np.arcsin(np.clip(along, -1, 1)) * 11 + swirl * 0.55 + np.sin(along * 23) * 0.6) * 0.5 + 0.5
    base = colours[0] * (1 - band[:, :, None]) + colours[1 % len(colours)] * band[:, :, None]
    lamp = np.clip(-0.62 * dx - 0.42 * dy + 0.66 * z, 0, 1)
    edge = np.clip((1 - np.sqrt(r2)) * diameter / 2 + 0.5, 0, 1)
    lit = base * (0.03 + 1.05 * lamp[:, :, None] ** 0.8) + (np.clip(1 - z, 0, 1) ** 3 * lamp * 0.5)[:, :, None] * np.array(
        [0.6, 0.75, 1.0], dtype=np.float32
    )
    alpha = edge
    if ringed:
        lit, alpha = _ringed(lit.astype(np.float32), edge, across, along, colours[-1], rng)
    rgba = np.dstack([np.clip(lit, 0, 1), np.clip(alpha, 0, 1)])
    return Image.fromarray((rgba * 255).astype(np.uint8))


def _ringed(
    lit: Floats, edge: Floats, across: Floats, along: Floats, colour: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    far = np.hypot(across, along / 0.26)
    grooves = np.interp(far, np.linspace(1.2, 2.2, 256), 0.6 + 0.3 * cloudy(rng, 256, 0.9)[0])
    ring = smooth(1.28, 1.34, far) * smooth(2.2, 2.1, far) * np.clip(grooves, 0.08, 1) * 0.9
    in_front = along > 0
    show = ring * np.where(in_front, 1.0, 1 - edge)
    tone = (colour * 0.6 + 0.4) * np.where(across < 0, 1.0, 0.75)[:, :, None]
    mixed = lit * (1 - show[:, :, None]) + tone * show[:, :, None]
    return mixed.astype(np.float32), np.maximum(edge, show).astype(np.float32)
