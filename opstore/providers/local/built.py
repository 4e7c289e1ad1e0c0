"""What people built: a city with lit windows, a castle on its hill, a sailing boat, a balloon."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from opstore.providers.local.flora import Sheet
from opstore.providers.local.light import Light, mix
from opstore.providers.local.noise import Floats

_WARM = [np.array(c, dtype=np.float32) for c in ((1.0, 0.82, 0.5), (1.0, 0.9, 0.68), (1.0, 0.72, 0.38), (0.85, 0.92, 1.0))]


def city_row(
    light: Light, rng: np.random.Generator, size: tuple[int, int], foot: float, tallest: float, near: float
) -> Image.Image:
    """Return a row of buildings standing on row `foot`; `near` from 0 to 1 is how little haze lies before it."""
    width, height = size
    own = np.array([0.3, 0.32, 0.38], dtype=np.float32) if not light.dark else np.array([0.16, 0.18, 0.27], dtype=np.float32)
    body = mix(light.haze, light.lit(own) * (0.9 if not light.dark else 0.75), 0.25 + 0.7 * near)
    sheet = Sheet(size, body)
    x = -width * 0.02
    while x < width * 1.02:
        wide = width * float(rng.uniform(0.026, 0.062)) * (0.65 + 0.6 * near)
        middle = 1 - abs(x / width - 0.5) * 0.9
        high = tallest * height * float(rng.uniform(0.35, 1.0)) * (0.55 + 0.45 * middle)
        if rng.random() < 0.1:
            high *= 1.3
        tone = np.clip(body * float(rng.uniform(0.86, 1.12)), 0, 1).astype(np.float32)
        _building(sheet, rng, light, (x, foot - high, wide, high), tone, near)
        x += wide * float(rng.uniform(0.82, 1.12))
    return sheet.done()


def _building(
    sheet: Sheet, rng: np.random.Generator, light: Light, box: tuple[float, float, float, float], tone: Floats, near: float
) -> None:
    x, y, wide, high = box
    foot = y + high
    style = int(rng.integers(0, 5))
    bright_side = mix(tone, light.sun, 0.16 if not light.dark else 0.03)
    dark_side = (tone * 0.82).astype(np.float32)
    split = x + wide * (0.62 if light.sun_x < 0.5 else 0.38)
    sheet.polygon([(x, y), (x + wide, y), (x + wide, foot), (x, foot)], bright_side if light.sun_x < 0.5 else dark_side)
    sheet.polygon([(split, y), (x + wide, y), (x + wide, foot), (split, foot)], dark_side if light.sun_x < 0.5 else bright_side)
    if style == 0:
        sheet.polygon(
            [
                (x + wide * 0.2, y + 1),
                (x + wide * 0.2, y - wide * 0.35),
                (x + wide * 0.8, y - wide * 0.35),
                (x + wide * 0.8, y + 1),
            ],
            tone,
        )
    elif style == 1:
        sheet.polygon([(x, y + 1), (x + wide * 0.5, y - wide * 0.7), (x + wide, y + 1)], tone)
    elif style == 2:
        sheet.stroke([(x + wide * 0.5, y), (x + wide * 0.5, y - wide * 0.9)], tone, max(0.8, wide * 0.04))
    elif style == 3:
        sheet.polygon([(x, y + 1), (x + wide, y - wide * 0.4), (x + wide, y + 1)], tone)
    _windows(sheet, rng, light, box, tone, near)


def _windows(
    sheet: Sheet, rng: np.random.Generator, light: Light, box: tuple[float, float, float, float], tone: Floats, near: float
) -> None:
    x, y, wide, high = box
    columns = max(2, int(wide / (3.2 + 3.4 * near) * 1000 / max(sheet.size) * max(sheet.size) / 1000))
    cell = wide / (columns + 0.6)
    rows = int(high / (cell * 1.35)) - 1
    lit_share = {"night": 0.42, "dusk": 0.36, "sunset": 0.16, "dawn": 0.08}.get(light.time, 0.0) * float(rng.uniform(0.4, 1.35))
    glass = mix(tone, light.stops[3], 0.28) if not light.dark else (tone * 0.8).astype(np.float32)
    chance = rng.random((max(rows, 0), columns))
    pick = rng.integers(0, len(_WARM), chance.shape)
    for r in range(rows):
        for c in range(columns):
            lit = chance[r, c] < lit_share
            if not lit and near < 0.3:
                continue
            colour = mix(light.haze, _WARM[pick[r, c]], 0.45 + 0.55 * near) if lit else glass
            left, top = x + cell * (0.5 + c), y + cell * 1.35 * (r + 0.7)
            sheet.polygon(
                [(left, top), (left + cell * 0.56, top), (left + cell * 0.56, top + cell * 0.8), (left, top + cell * 0.8)], colour
            )


def castle(light: Light, rng: np.random.Generator, size: tuple[int, int], x: float, foot: float, tall: float) -> Image.Image:
    """Return a castle of `tall` pixels around column `x` on row `foot`: keep, towers with pointed roofs, walls, flags."""
    stone = mix(light.haze, light.lit(np.array([0.62, 0.58, 0.54], dtype=np.float32)), 0.82)
    roof = mix(light.haze, light.lit(np.array([0.3, 0.34, 0.5], dtype=np.float32)), 0.85)
    sheet = Sheet(size, stone)
    _wall(sheet, light, x - tall * 0.62, x + tall * 0.62, foot, tall * 0.26, stone * 0.86)
    places = [
        (-0.34, 0.66, 0.085),
        (0.33, 0.74, 0.09),
        (0.02, 1.0, 0.12),
        (-0.14, 0.82, 0.07),
        (0.17, 0.6, 0.075),
        (-0.62, 0.42, 0.09),
        (0.62, 0.46, 0.09),
    ]
    for i, (dx, high, wide) in enumerate(places):
        tone = np.clip(stone * (0.9 + 0.05 * (i % 4)), 0, 1).astype(np.float32)
        _tower(sheet, light, rng, (x + dx * tall, foot, tall * wide, tall * high * 0.72), tone, roof)
    gate = tall * 0.07
    dark = (stone * 0.3).astype(np.float32)
    sheet.ellipse(x, foot - gate * 1.5, gate, gate, dark)
    sheet.polygon([(x - gate, foot - gate * 1.5), (x + gate, foot - gate * 1.5), (x + gate, foot), (x - gate, foot)], dark)
    return sheet.done()


def _battlements(sheet: Sheet, left: float, right: float, top: float, tooth: float, colour: Floats) -> None:
    count = max(2, int((right - left) / (tooth * 2)))
    step = (right - left) / (count * 2 - 1)
    for i in range(count):
        a = left + step * 2 * i
        sheet.polygon([(a, top + 1), (a, top - tooth), (a + step, top - tooth), (a + step, top + 1)], colour)


def _wall(sheet: Sheet, light: Light, left: float, right: float, foot: float, high: float, colour: Floats) -> None:
    colour = colour.astype(np.float32)
    sheet.polygon([(left, foot - high), (right, foot - high), (right, foot), (left, foot)], colour)
    _battlements(sheet, left, right, foot - high, high * 0.13, colour)


def _tower(
    sheet: Sheet, light: Light, rng: np.random.Generator, box: tuple[float, float, float, float], tone: Floats, roof: Floats
) -> None:
    x, foot, half, high = box
    top = foot - high
    bands = 7
    for i in range(bands):
        # A round tower is lighter on the side of the sun: vertical bands stand for its curve.
        a, b = x - half + 2 * half * i / bands, x - half + 2 * half * (i + 1) / bands + 0.6
        turn = (i + 0.5) / bands * (1 if light.sun_x > 0.5 else -1) + (0 if light.sun_x > 0.5 else 1)
        sheet.polygon(
            [(a, top), (b, top), (b, foot), (a, foot)], mix((tone * 0.62).astype(np.float32), mix(tone, light.sun, 0.25), turn)
        )
    sheet.polygon(
        [(x - half * 1.2, top), (x + half * 1.2, top), (x + half * 1.2, top + half * 0.3), (x - half * 1.2, top + half * 0.3)],
        tone,
    )
    _battlements(sheet, x - half * 1.2, x + half * 1.2, top, half * 0.22, tone)
    point = top - half * 3.1
    sheet.polygon([(x - half * 1.15, top), (x, point), (x + half * 1.15, top)], (roof * 0.8).astype(np.float32))
    lit = -1 if light.sun_x < 0.5 else 1
    sheet.polygon(
        [(x + lit * half * 1.15, top), (x, point), (x - lit * half * 0.1, top)], np.clip(roof * 1.15, 0, 1).astype(np.float32)
    )
    sheet.stroke([(x, point), (x, point - half * 0.9)], tone, max(0.8, half * 0.06))
    flag = np.clip(light.lit(np.array([0.85, 0.2, 0.22], dtype=np.float32)) * 1.1, 0, 1).astype(np.float32)
    sheet.polygon([(x, point - half * 0.9), (x + half * 0.9, point - half * 0.68), (x, point - half * 0.45)], flag)
    window = _WARM[0] if light.dark else (tone * 0.35).astype(np.float32)
    for level in np.arange(top + half * 0.9, foot - half, half * 2.3):
        if rng.random() < 0.8:
            sheet.polygon(
                [
                    (x - half * 0.16, level),
                    (x + half * 0.16, level),
                    (x + half * 0.16, level + half * 0.55),
                    (x - half * 0.16, level + half * 0.55),
                ],
                window,
            )
            sheet.ellipse(x, level, half * 0.16, half * 0.18, window)


def boat(light: Light, tall: float) -> Image.Image:
    """Return a small sailing boat, `tall` pixels high."""
    wide = tall * 0.95
    hull = light.lit(np.array([0.34, 0.2, 0.14], dtype=np.float32)) * 0.8
    sail = np.clip(mix(light.lit(np.array([0.98, 0.96, 0.9], dtype=np.float32)), light.sun, 0.3), 0, 1).astype(np.float32)
    sheet = Sheet((max(4, int(wide)), max(4, int(tall))), hull)
    x = wide * 0.48
    sheet.polygon([(x + tall * 0.02, tall * 0.02), (x + wide * 0.34, tall * 0.74), (x + tall * 0.02, tall * 0.78)], sail)
    sheet.polygon(
        [(x - tall * 0.02, tall * 0.12), (x - wide * 0.32, tall * 0.76), (x - tall * 0.02, tall * 0.78)],
        (sail * 0.86).astype(np.float32),
    )
    sheet.stroke([(x, 0), (x, tall * 0.86)], hull, tall * 0.014)
    sheet.polygon(
        [(wide * 0.08, tall * 0.83), (wide * 0.94, tall * 0.81), (wide * 0.8, tall * 0.97), (wide * 0.2, tall * 0.97)], hull
    )
    return sheet.done()


def balloon(light: Light, tall: float, colours: list[Floats]) -> Image.Image:
    """Return a striped hot-air balloon, `tall` pixels high."""
    radius = tall * 0.36
    wide = int(radius * 2 + 4)
    sheet = Sheet((wide, int(tall) + 2), colours[0])
    x, top = wide / 2, radius + 1
    stripes = 8
    for i in range(stripes):
        shade = 0.62 + 0.5 * math.sin(math.pi * (i + 0.7) / stripes)
        tone = np.clip(colours[i % len(colours)] * shade, 0, 1).astype(np.float32)
        edges = [[], []]  # type: list[list[tuple[float, float]]]
        for s in np.linspace(-1, 1, 24):
            full = math.sqrt(max(0.0, 1 - s * s)) if s < 0.1 else math.sqrt(max(0.0, 1 - s * s)) * 0.55 + 0.45 * (1 - s * 0.75)
            for k in (0, 1):
                edges[k].append((x + radius * full * -math.cos(math.pi * (i + k) / stripes), top + radius * float(s) * 1.08))
        sheet.polygon(edges[0] + edges[1][::-1], tone)
    rope = light.lit(np.array([0.25, 0.18, 0.12], dtype=np.float32))
    foot = top + radius * 1.08
    for side in (-1, 1):
        sheet.stroke([(x + side * radius * 0.22, foot), (x + side * radius * 0.11, tall * 0.9)], rope, max(0.6, tall * 0.004))
    sheet.polygon(
        [(x - radius * 0.13, tall * 0.9), (x + radius * 0.13, tall * 0.9), (x + radius * 0.1, tall), (x - radius * 0.1, tall)],
        rope,
    )
    return sheet.done()
