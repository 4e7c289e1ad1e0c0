"""The kinds of land: mountains, dunes, hills and a beach, each as a transparent layer of the whole picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

from opstore.providers.local.colours import Colour
from opstore.providers.local.light import Light, mix
from opstore.providers.local.noise import Floats, cloudy, line, ridged, scaled, smooth
from opstore.providers.local.terrain import View, land, shaded

_SIDE = 1024


def _tone(red: float, green: float, blue: float) -> Floats:
    return np.array([red, green, blue], dtype=np.float32)


def _rendered(heights: Floats, colours: Floats, view: View, light: Light, size: tuple[int, int], horizon: float) -> Image.Image:
    """Render at one and a half times the size and bring it down: outlines without steps."""
    fine = 1.5
    large = round(size[0] * fine), round(size[1] * fine)
    return land(heights, colours, view, light, large, horizon * fine).resize(size, Image.Resampling.BOX)


def mountains(light: Light, rng: np.random.Generator, size: tuple[int, int], horizon: float, *, snowy: bool) -> Image.Image:
    """Return a range of mountains whose feet are at the horizon: rock, grass below, snow above."""
    heights = ridged(rng, _SIDE)
    away = np.arange(_SIDE, dtype=np.float32)[:, None]
    heights = heights * (0.05 + 0.95 * smooth(260.0, 860.0, away)) + 0.0035 * cloudy(rng, _SIDE, 1.2, 16)
    relief = 255.0
    slope = np.hypot(np.roll(heights, -1, 1) - heights, np.roll(heights, -1, 0) - heights) * relief
    patch = cloudy(rng, _SIDE, 1.5, 4)
    rock = mix(_tone(0.4, 0.38, 0.38), light.stops[2], 0.12) + patch[:, :, None] * 0.035
    grass = smooth(0.34, 0.16, heights + patch * 0.03) * smooth(1.6, 0.7, slope)
    colours = rock * (1 - grass[:, :, None]) + _tone(0.2, 0.29, 0.14) * grass[:, :, None]
    line_of_snow = 0.1 if snowy else 0.44
    snow = smooth(line_of_snow, line_of_snow + 0.16, heights + patch * 0.05) * smooth(2.3, 1.1, slope)
    colours = colours * (1 - snow[:, :, None]) + _tone(0.95, 0.97, 1.0) * snow[:, :, None]
    lit = shaded(heights, colours.astype(np.float32), relief, light, 0.36)
    view = View(near=150, far=1020, eye=24, relief=relief, focal=0.85, haze=0.36, mist=0.3, x=float(rng.uniform(0, _SIDE)))
    return _rendered(heights, lit, view, light, size, horizon)


def dunes(light: Light, rng: np.random.Generator, size: tuple[int, int], horizon: float) -> Image.Image:
    """Return a sea of dunes: sharp crests between long smooth flanks."""
    field = cloudy(rng, _SIDE, 3.0, 4)
    heights = (np.clip(1 - np.abs(field) * 0.62, 0, 1) ** 1.25 * 0.8 + 0.2 * cloudy(rng, _SIDE, 3.2, 1.0)).astype(np.float32)
    ripples = cloudy(rng, _SIDE, 1.0, 30) * 0.02
    colours = (_tone(0.86, 0.62, 0.38) + ripples[:, :, None]).astype(np.float32)
    lit = shaded(heights, colours, 80.0, light, 0.3)
    view = View(
        near=34,
        far=950,
        eye=112,
        relief=80.0,
        focal=0.95,
        haze=0.75,
        x=float(rng.uniform(0, _SIDE)),
        z=float(rng.uniform(0, _SIDE)),
    )
    return _rendered(heights, lit, view, light, size, horizon - size[1] * 0.02)


def hills(
    light: Light, rng: np.random.Generator, size: tuple[int, int], horizon: float, *, snowy: bool, colours: tuple[Colour, ...]
) -> Image.Image:
    """Return rolling hills: meadows in several greens with woods in the folds, or all under snow."""
    heights = cloudy(rng, _SIDE, 3.1, 2.5) * 0.3
    patch, fine = cloudy(rng, _SIDE, 1.9, 3), cloudy(rng, _SIDE, 0.9, 12)
    if snowy:
        own = _tone(0.9, 0.94, 1.0) + (patch * 0.012)[:, :, None]
    else:
        share = smooth(-1.0, 1.2, patch)[:, :, None]
        own = _tone(0.24, 0.4, 0.13) * (1 - share) + _tone(0.46, 0.52, 0.2) * share + (fine * 0.02)[:, :, None]
        woods = smooth(0.9, 1.25, patch * 0.6 + fine * 0.8)[:, :, None]
        own = own * (1 - woods) + _tone(0.1, 0.2, 0.08) * woods
    lit = shaded(heights, own.astype(np.float32), 70.0, light, 0.42)
    view = View(
        near=26,
        far=900,
        eye=62,
        relief=70.0,
        focal=0.9,
        haze=0.62,
        mist=0.1,
        x=float(rng.uniform(0, _SIDE)),
        z=float(rng.uniform(0, _SIDE)),
    )
    return _rendered(heights, lit, view, light, size, horizon)


def sand(light: Light, rng: np.random.Generator, size: tuple[int, int], top: float) -> Image.Image:
    """Return a beach that begins about row `top`: a wet edge that mirrors the sky, a line of foam, sand with its grain."""
    width, height = size
    lean = float(rng.choice([-1, 1])) * height * 0.05
    edge = top + np.linspace(-lean, lean, width, dtype=np.float32) + height * 0.012 * line(rng, width, 3)
    rows = np.arange(height, dtype=np.float32)[:, None]
    below = (rows - edge[None, :]) / height
    own = light.lit(_tone(0.93, 0.8, 0.6))
    grain = scaled(cloudy(rng, 512, 0.7, 8), width, height) * 0.02 + scaled(cloudy(rng, 256, 1.8, 2), width, height) * 0.025
    dry = own * (1 + grain[:, :, None])
    wet = mix(own * 0.62, light.stops[3], 0.42)
    dryness = smooth(0.02, 0.085, below + 0.008 * grain * 20)[:, :, None]
    colour = wet * (1 - dryness) + dry * dryness
    foam = np.exp(-((below / 0.0055) ** 2)) + 0.55 * np.exp(
        -(((below + 0.022 + 0.004 * line(rng, width, 6)[None, :]) / 0.004) ** 2)
    )
    colour = colour * (1 - foam[:, :, None] * 0.9) + light.lit(_tone(1, 1, 1)) * foam[:, :, None] * 0.9
    cover = np.maximum(smooth(-0.002, 0.006, below), np.clip(foam * 0.85, 0, 1))
    return Image.fromarray((np.clip(np.dstack([colour, cover]), 0, 1) * 255).astype(np.uint8))
