"""Fractal noise, the stuff of clouds, waves and mountains: periodic squares, so that a texture drifts without a seam."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

#: An array of float32; numpy types what mixes it with plain numbers as any floating, so that is what is promised.
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


def cloudy(rng: np.random.Generator, side: int, roughness: float = 1.8, coarsest: float = 1.5) -> Floats:
    """Return a periodic square of fractal noise, mean 0 and deviation 1; less `roughness` (the spectral slope) is grainier.

    Waves fewer than `coarsest` over the side are left out, so that no texture is one single slope.
    """
    phase = (rng.random((side, side // 2 + 1)) * (2 * np.pi)).astype(np.float32)
    # In single precision and without exp(i·phase): a sixth of the time, and the same to one part in a million.
    waves = np.empty(phase.shape, np.complex64)
    waves.real, waves.imag = np.cos(phase), np.sin(phase)
    waves *= _amplitudes(side, roughness, coarsest)
    field = np.fft.irfft2(waves, s=(side, side))
    even: Floats = (field - field.mean()) / max(float(field.std()), 1e-9)
    return even.astype(np.float32, copy=False)


@lru_cache(maxsize=8)
def _amplitudes(side: int, roughness: float, coarsest: float) -> Floats:
    """Return how strong each wave is; 2 MB for the largest squares."""
    y = np.fft.fftfreq(side, 1 / side)[:, None]
    x = np.fft.rfftfreq(side, 1 / side)[None, :]
    wave = np.sqrt(y * y + x * x)
    wave[0, 0] = 1.0
    found: Floats = (wave**-roughness * (wave >= coarsest)).astype(np.float32)
    return found


def ridged(rng: np.random.Generator, side: int) -> Floats:
    """Return a periodic square of mountain heights, 0 to 1: sharp crests that carry finer crests, and smoother valleys."""
    total = np.zeros((side, side), dtype=np.float32)
    carry: Floats = np.ones((side, side), dtype=np.float32)
    weight, coarsest = 1.0, 1.0
    for _ in range(4):
        layer = cloudy(rng, side, 3.0, coarsest)
        crest = np.clip(1 - np.abs(layer) * 0.7, 0, 1) ** 1.5
        total += weight * crest * carry
        carry = np.clip(crest * 1.3, 0, 1).astype(np.float32)
        weight, coarsest = weight * 0.42, coarsest * 2.2
    return _unit(total)


def _unit(field: Floats) -> Floats:
    low, high = float(field.min()), float(field.max())
    return ((field - low) / max(high - low, 1e-9)).astype(np.float32)


def line(rng: np.random.Generator, width: int, coarsest: float, octaves: int = 6, gain: float = 0.5) -> Floats:
    """Return a fractal line of `width` values around 0, its widest waves `coarsest` over the width: an outline of hills."""
    total = np.zeros(width, dtype=np.float32)
    weight, cells = 1.0, coarsest
    for _ in range(octaves):
        count = max(2, int(np.ceil(cells)) + 3)
        points = Image.fromarray(rng.uniform(-1, 1, (1, count)).astype(np.float32))
        smooth = points.resize((width, 1), Image.Resampling.BICUBIC, box=(1, 0, min(1 + cells, count - 0.5), 1))
        total += weight * np.asarray(smooth)[0]
        weight, cells = weight * gain, cells * 2.03
    return total


def scaled(field: Floats, width: int, height: int) -> Floats:
    """Return a field at another size, smoothly."""
    return np.asarray(Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def smooth(low: float, high: float, values: Floats) -> Floats:
    """Return 0 below `low`, 1 above `high`, and a soft step between."""
    share: Floats = np.clip((values - low) / (high - low), 0, 1)
    step: Floats = share * share * (3 - 2 * share)
    return step.astype(np.float32)


def sampled(field: Floats, x: Floats, z: Floats) -> Floats:
    """Return a periodic field, of numbers or of colours, between its cells at columns `x` and rows `z`."""
    side = field.shape[0]
    x0, z0 = np.floor(x).astype(np.int32), np.floor(z).astype(np.int32)
    fx, fz = (x - x0).astype(np.float32), (z - z0).astype(np.float32)
    flat = field.reshape(side * side, -1)
    if field.ndim == 3:
        fx, fz = fx[..., None], fz[..., None]
    x0, x1 = x0 % side, (x0 + 1) % side
    z0, z1 = (z0 % side) * side, ((z0 + 1) % side) * side

    def at(index: Ints) -> Floats:
        values = flat.take(index.ravel(), axis=0)
        return values.reshape(*index.shape, -1) if field.ndim == 3 else values.reshape(index.shape)

    lower = at(z0 + x0) * (1 - fx) + at(z0 + x1) * fx
    upper = at(z1 + x0) * (1 - fx) + at(z1 + x1) * fx
    return (lower * (1 - fz) + upper * fz).astype(np.float32)
