"""What grows: conifers, leafy trees, palms, grass and flowers, each drawn at twice its size and brought down for smooth edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from opstore.providers.local.noise import Floats

Point = tuple[float, float]
_FINE = 2


def ink(colour: Floats, alpha: int = 255) -> tuple[int, int, int, int]:
    """Return a colour from 0 to 1 as the drawing pen takes it."""
    red, green, blue = (int(v) for v in np.clip(colour * 255, 0, 255))
    return red, green, blue, alpha


class Sheet:
    """A transparent layer that is drawn at twice its size; coordinates are those of the finished layer."""

    def __init__(self, size: tuple[int, int], ground: Floats) -> None:
        """Open a sheet; `ground` is the colour that its transparent part has, so that edges do not darken."""
        self.size = size
        self.picture = Image.new("RGBA", (size[0] * _FINE, size[1] * _FINE), ink(ground, 0))
        self.pen = ImageDraw.Draw(self.picture)

    def polygon(self, points: Sequence[Point], colour: Floats, alpha: int = 255) -> None:
        """Fill a polygon."""
        self.pen.polygon([(x * _FINE, y * _FINE) for x, y in points], fill=ink(colour, alpha))

    def ellipse(self, x: float, y: float, across: float, down: float, colour: Floats, alpha: int = 255) -> None:
        """Fill an ellipse around a point, by its half axes."""
        box = ((x - across) * _FINE, (y - down) * _FINE, (x + across) * _FINE, (y + down) * _FINE)
        self.pen.ellipse(box, fill=ink(colour, alpha))

    def stroke(self, points: Sequence[Point], colour: Floats, width: float) -> None:
        """Draw a line through points."""
        self.pen.line([(x * _FINE, y * _FINE) for x, y in points], fill=ink(colour), width=max(1, round(width * _FINE)))

    def done(self) -> Image.Image:
        """Return the finished layer."""
        return self.picture.reduce(_FINE)


def conifer(
    sheet: Sheet, rng: np.random.Generator, x: float, foot: float, height: float, colour: Floats, snow: float = 0.0
) -> None:
    """Draw a spruce: tiers of drooping branches that narrow to a point; `snow` whitens them from above."""
    tiers = int(np.clip(height / 5, 6, 22))
    half = height * float(rng.uniform(0.14, 0.2))
    left: list[Point] = []
    right: list[Point] = []
    for i in range(1, tiers + 1):
        share = i / tiers
        y = foot - height * (1 - share * 0.94)
        wide = half * share**0.85
        for side, points in ((-1, left), (1, right)):
            reach = wide * float(rng.uniform(0.78, 1.15))
            points += [(x + side * reach, y + height * 0.03), (x + side * reach * 0.5, y - height * 0.005)]
    trunk: float = height * 0.025
    outline = [
        (x, foot - height),
        *right,
        (x + trunk, foot - height * 0.05),
        (x + trunk, foot),
        (x - trunk, foot),
        *reversed(left),
    ]
    sheet.polygon(outline, colour)
    if snow > 0:
        white = np.clip(colour * 0.3 + (colour + 0.62) * 0.7 * snow, 0, 1).astype(np.float32)
        for (lx, ly), (rx, _) in zip(left[::2], right[::2], strict=True):
            tier = height / tiers
            for tip in (lx, rx):
                reach = (tip - x) * float(rng.uniform(0.75, 1.0))
                sheet.polygon(
                    [
                        (x, ly - tier * 1.1),
                        (x + reach, ly - tier * 0.12),
                        (x + reach * 0.45, ly - tier * 0.25),
                        (x, ly - tier * 0.45),
                    ],
                    white,
                )


def leafy(sheet: Sheet, rng: np.random.Generator, x: float, foot: float, height: float, leaf: Floats, wood: Floats) -> None:
    """Draw a broad tree: a forked trunk under a crown of many small clouds of leaves, lighter towards the top left."""
    trunk = height * 0.045
    sheet.polygon(
        [(x - trunk, foot), (x + trunk, foot), (x + trunk * 0.5, foot - height * 0.55), (x - trunk * 0.5, foot - height * 0.55)],
        wood,
    )
    for lean in (-0.22, 0.2, 0.05):
        sheet.stroke([(x, foot - height * 0.35), (x + lean * height, foot - height * 0.66)], wood, trunk * 0.6)
    centre, across, down = foot - height * 0.66, height * 0.34, height * 0.3
    spots = []
    for _ in range(110):
        angle, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.uniform(0, 1))
        spots.append((x + math.cos(angle) * far * across, centre + math.sin(angle) * far * down))
    for sx, sy in sorted(spots, key=lambda spot: -spot[1]):
        light = 0.72 + 0.42 * (centre + down - sy) / (2 * down) + float(rng.uniform(-0.08, 0.08)) - 0.1 * (sx - x) / across
        size = height * float(rng.uniform(0.045, 0.085))
        sheet.ellipse(sx, sy, size, size * 0.82, np.clip(leaf * light, 0, 1).astype(np.float32))


def palm(sheet: Sheet, rng: np.random.Generator, x: float, foot: float, height: float, colour: Floats) -> None:
    """Draw a palm: a leaning trunk and arched fronds with leaflets."""
    lean = float(rng.uniform(0.12, 0.3)) * float(rng.choice([-1, 1])) * height
    bow = [(x + lean * s * s, foot - height * s) for s in np.linspace(0, 1, 14)]
    sides = [height * 0.024 * (1 - 0.5 * i / 13) for i in range(14)]
    sheet.polygon(
        [(p[0] - w, p[1]) for p, w in zip(bow, sides, strict=True)]
        + [(p[0] + w, p[1]) for p, w in reversed(list(zip(bow, sides, strict=True)))],
        colour,
    )
    top = bow[-1]
    for i in range(11):
        angle = math.pi * (-0.08 + 1.16 * i / 10) + float(rng.uniform(-0.1, 0.1))
        length = height * float(rng.uniform(0.36, 0.46))
        _frond(sheet, top, angle, length, colour)


def _frond(sheet: Sheet, top: Point, angle: float, length: float, colour: Floats) -> None:
    path = []
    for s in np.linspace(0, 1, 16):
        x = top[0] + math.cos(angle) * length * s
        y = top[1] - math.sin(angle) * length * s * 0.75 + length * 0.5 * s * s
        path.append((x, y))
    sheet.stroke(path, colour, length * 0.018)
    for i, (x, y) in enumerate(path[1:], start=1):
        hang = length * 0.2 * math.sin(math.pi * min(0.98, (i + 2) / 18))
        slant = math.cos(angle) * hang * 0.7
        sheet.polygon([(x - hang * 0.13, y), (x + hang * 0.13, y), (x + slant, y + hang)], colour)
        sheet.polygon([(x - hang * 0.1, y), (x + hang * 0.1, y), (x + slant * 1.2, y - hang * 0.32)], colour)


def grass(sheet: Sheet, rng: np.random.Generator, top: float, colour: Floats, count: int, dry: float = 0.0) -> None:
    """Draw blades from row `top` down, longer the nearer they are; far blades first."""
    width, height = sheet.size
    depth = np.sort(rng.uniform(0, 1, count) ** 0.8)
    for share, x, lean, tone in zip(
        depth, rng.uniform(0, width, count), rng.normal(0, 0.3, count), rng.uniform(0.6, 1.35, count), strict=True
    ):
        y = top + (height * 1.04 - top) * share
        long = height * (0.012 + 0.085 * share**1.5) * (0.7 + 0.6 * (tone - 0.6))
        blade = np.clip(colour * tone + np.array([0.1, 0.05, -0.02], dtype=np.float32) * dry, 0, 1).astype(np.float32)
        foot = max(0.6, long * 0.055)
        bend = lean * long
        sheet.polygon([(x - foot, y), (x + foot, y), (x + bend * 0.4 + foot * 0.4, y - long * 0.6), (x + bend, y - long)], blade)


def flowers(
    sheet: Sheet, rng: np.random.Generator, top: float, colours: Sequence[Floats], stem: Floats, count: int, largest: float
) -> None:
    """Scatter flowers from row `top` down: dots far away, blossoms with petals and a heart near by."""
    width, height = sheet.size
    depth = np.sort(rng.uniform(0.02, 1, count) ** 0.75)
    for share in depth:
        y = top + (height - top) * float(share) * 1.45 + float(rng.uniform(0, 6))
        size = height * (0.0035 + largest * float(share) ** 2.1)
        x = float(rng.uniform(-0.02, 1.02)) * width
        colour = np.clip(colours[int(rng.integers(len(colours)))] * float(rng.uniform(0.82, 1.12)), 0, 1).astype(np.float32)
        rise = size * float(rng.uniform(1.6, 3.4))
        if size > 2.2:
            sheet.stroke([(x, y), (x + size * 0.2, y - rise * 0.5), (x + size * 0.12, y - rise)], stem, max(0.8, size * 0.12))
        _blossom(sheet, rng, (x + size * 0.12, y - rise), size, colour)


def _blossom(sheet: Sheet, rng: np.random.Generator, at: Point, size: float, colour: Floats) -> None:
    if size < 3:
        sheet.ellipse(at[0], at[1], size, size * 0.75, colour)
        return
    petals, turn, flat = int(rng.integers(5, 9)), float(rng.uniform(0, 6)), float(rng.uniform(0.55, 0.95))
    for ring, tone in ((1.0, 0.82), (0.8, 1.0)):
        for i in range(petals):
            _petal(
                sheet,
                at,
                turn + (ring * 0.4 + i) * 2 * math.pi / petals,
                size * ring,
                flat,
                np.clip(colour * (tone + 0.06 * (i % 2)), 0, 1).astype(np.float32),
            )
    heart = (
        np.array([0.95, 0.75, 0.2], dtype=np.float32)
        if colour[0] < 0.92 or colour[1] < 0.7
        else np.array([0.42, 0.25, 0.1], dtype=np.float32)
    )
    sheet.ellipse(at[0], at[1], size * 0.24, size * 0.24 * flat, heart * float(np.clip(colour.max() * 1.1, 0.15, 1)))


def _petal(sheet: Sheet, at: Point, angle: float, size: float, flat: float, colour: Floats) -> None:
    points = []
    for s in np.linspace(0, 2 * math.pi, 12, endpoint=False):
        along, across = size * (0.56 + 0.46 * math.cos(s)), size * 0.27 * math.sin(s)
        points.append(
            (
                at[0] + math.cos(angle) * along - math.sin(angle) * across,
                at[1] + (math.sin(angle) * along + math.cos(angle) * across) * flat,
            )
        )
    sheet.polygon(points, colour)
