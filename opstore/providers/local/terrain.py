"""Land in true perspective: a field of heights seen from a point above it, lit from one side, with haze that grows with distance.

For every column the heights are projected step by step away from the eye; the running highest of them is the outline, and
for each pixel the step that covers it is found by counting, not by drawing: the whole view is a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from opstore.providers.local.light import Light
from opstore.providers.local.noise import Floats, Ints, sampled

_STEPS = 380


@dataclass(frozen=True, slots=True)
class View:
    """Where the eye is and how far it sees; lengths in cells of the height field, heights in the same unit."""

    near: float = 60.0
    far: float = 900.0
    eye: float = 60.0
    relief: float = 150.0
    focal: float = 0.9
    haze: float = 1.0
    mist: float = 0.0
    x: float = 0.0
    z: float = 0.0


def shaded(heights: Floats, colours: Floats, relief: float, light: Light, ambient: float = 0.45) -> Floats:
    """Return the colours of a field of heights under the sun of `light`."""
    across = (np.roll(heights, -1, 1) - np.roll(heights, 1, 1)) * relief * 0.5
    away = (np.roll(heights, -1, 0) - np.roll(heights, 1, 0)) * relief * 0.5
    side = 0.75 if light.sun_x > 0.5 else -0.75
    rise = 0.35 + 0.5 * light.sun_height
    length = np.sqrt(across * across + away * away + 1)
    facing = (-across * side + away * -0.2 + rise) / length / float(np.sqrt(side * side + rise * rise + 0.04))
    shade = ambient + (1.25 - ambient) * np.clip(facing, 0, 1)
    # One array of colours, changed in place: this is most of what land costs.
    lit = np.multiply.outer(np.clip(shade - ambient, 0, 1), np.asarray(light.sun * 0.99, np.float32))
    lit += np.asarray((light.stops[1] + light.stops[3]) * (0.45 * ambient), np.float32)
    lit += (0.25 * shade)[:, :, None]
    lit *= colours
    lit *= np.float32(light.brightness)
    return lit.astype(np.float32, copy=False)


def land(heights: Floats, colours: Floats, view: View, light: Light, size: tuple[int, int], horizon: float) -> Image.Image:
    """Return the land as RGBA of `size`, its far end at row `horizon`; above the outline it is transparent."""
    width, height = size
    z = (view.near * (view.far / view.near) ** np.linspace(0, 1, _STEPS, dtype=np.float32))[:, None]
    slant = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None, :] * (width / max(size)) / view.focal
    h = sampled(heights, view.x + slant * z, np.broadcast_to(view.z + z, (_STEPS, width)).astype(np.float32)) * view.relief
    y = horizon + (view.eye - h) / z * view.focal * max(size)
    top = np.minimum.accumulate(y, axis=0)
    step, share = _covering(top, width, height)
    near_z = z[np.clip(step - 1, 0, _STEPS - 1), 0]
    depth = near_z + (z[np.clip(step, 0, _STEPS - 1), 0] - near_z) * share
    sample_z = (view.z + depth).astype(np.float32)
    sample_x = (view.x + slant * depth).astype(np.float32)
    seen = sampled(colours, sample_x, sample_z)
    low = 1 - np.clip(sampled(heights, sample_x, sample_z), 0, 1)
    far = 1 - np.exp(-((depth / view.far) ** 1.15) * 2.2 * view.haze)
    veil = np.clip(far + view.mist * low**2 * (depth / view.far) ** 0.5, 0, 0.97)[:, :, None]
    rgb = seen * (1 - veil) + light.haze * veil
    cover = np.clip(np.arange(height, dtype=np.float32)[:, None] + 0.5 - top[-1][None, :] + 0.5, 0, 1)
    rgba = np.dstack([np.clip(rgb, 0, 1), cover])
    return Image.fromarray((rgba * 255 + 0.5).astype(np.uint8))


def _covering(top: Floats, width: int, height: int) -> tuple[Ints, Floats]:
    """Return for each pixel the first step whose outline reaches it, and how far between that step and the one before it lies."""
    rows = np.clip(np.ceil(top - 0.5), 0, height).astype(np.int64)
    counts = np.bincount((rows * width + np.arange(width)[None, :]).ravel(), minlength=(height + 1) * width)
    reached = np.cumsum(counts.reshape(height + 1, width)[:height], axis=0)
    step = np.clip(_STEPS - reached, 0, _STEPS - 1)
    columns = np.arange(width)[None, :]
    before, here = top[np.clip(step - 1, 0, None), columns], top[step, columns]
    centre = np.arange(height, dtype=np.float32)[:, None] + 0.5
    share = np.clip((before - centre) / np.maximum(before - here, 1e-3), 0, 1)
    return step, share.astype(np.float32)
