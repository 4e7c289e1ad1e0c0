"""Stills in motion: frames of a camera move over one still, or of the passage from one still to another.

Frames are RGB at the size asked for; the first frame of a passage is the first still, the last frame the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from opstore.providers.local.moves import Move, Passage
from opstore.providers.local.noise import Floats, cloudy
from opstore.providers.local.pictures import covering, flattened

#: How far the usual zoom goes, and how much wider than the frame the still is during a pan.
_ZOOM = 0.24
_PAN = 0.18
_TURN = 9.0


def default_move(seed: int) -> Move:
    """Return the gentle move of a prompt that names none: in or out, towards a side, as the seed says."""
    rng = np.random.default_rng(seed)
    return Move(
        zoom=int(rng.choice([1, 1, -1])),
        pan=(int(rng.integers(-1, 2)), int(rng.integers(-1, 2))),
        amount=float(rng.uniform(0.5, 0.8)),
    )


def _eased(share: float) -> float:
    """Start and stop softly, with the middle at an even pace."""
    return share + (share * share * (3 - 2 * share) - share) * 0.6


def over_still(still: Image.Image, move: Move, size: tuple[int, int], count: int) -> Iterator[Image.Image]:
    """Yield `count` frames of a camera move over one still."""
    amount = min(max(move.amount, 0.25), 2.2)
    zoom, pan, turn = _ZOOM * amount * move.zoom, _PAN * amount, math.radians(_TURN * amount * move.turn)
    widest = 1 + abs(zoom) + (pan if move.pan != (0, 0) else 0)
    # A source a little larger than the frame keeps the closest view sharp and the scaling of each frame cheap.
    source = covering(flattened(still), (math.ceil(size[0] * min(widest, 1.6)), math.ceil(size[1] * min(widest, 1.6))))
    for i in range(count):
        share = _eased(i / (count - 1)) if count > 1 else 0.0
        yield _view(source, size, _place(share, move, zoom, pan), turn * (share - 0.5))


def _place(share: float, move: Move, zoom: float, pan: float) -> tuple[float, float, float]:
    """Return the centre of the view, in shares of the still, and the share of the still that it covers."""
    nearest = 1 / (1 + (pan if move.pan != (0, 0) else 0))
    progress = share if zoom >= 0 else 1 - share
    cover = nearest / (1 + abs(zoom)) ** progress
    room = (1 - cover) / 2
    return 0.5 + move.pan[0] * room * (2 * share - 1), 0.5 + move.pan[1] * room * (2 * share - 1), cover


def _view(source: Image.Image, size: tuple[int, int], place: tuple[float, float, float], angle: float) -> Image.Image:
    x, y, cover = place
    if angle == 0:
        wide, high = source.width * cover, source.height * cover
        left = min(max(source.width * x - wide / 2, 0.0), source.width - wide)
        top = min(max(source.height * y - high / 2, 0.0), source.height - high)
        return source.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + wide, top + high))
    # While turning, the view must stay inside the still: the worst angle decides how much closer it is.
    long = max(size) / min(size)
    limit = math.radians(_TURN * 2.2) / 2
    scale = source.width * cover / size[0] / (math.cos(limit) + long * math.sin(limit))
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    shift_x = source.width * 0.5 - cos * size[0] / 2 - sin * size[1] / 2
    shift_y = source.height * 0.5 + sin * size[0] / 2 - cos * size[1] / 2
    return source.transform(size, Image.Transform.AFFINE, (cos, sin, shift_x, -sin, cos, shift_y), Image.Resampling.BICUBIC)


def between(
    first: Image.Image, second: Image.Image, passage: Passage, size: tuple[int, int], count: int
) -> Iterator[Image.Image]:
    """Yield `count` frames that lead from one still to the other."""
    one, two = covering(flattened(first), size), covering(flattened(second), size)
    order = None if passage.kind == "fade" else _order(passage, size)
    softness = {"dissolve": 0.08, "iris": 0.03}.get(passage.kind, 0.04)
    for i in range(count):
        share = i / (count - 1) if count > 1 else 0.0
        if order is None:
            yield _faded(one, two, share, size)
        else:
            eased = share * share * (3 - 2 * share)
            mask = np.clip((eased * (1 + softness) - order) / softness, 0, 1) * np.float32(255)
            yield Image.composite(two, one, Image.fromarray(mask.astype(np.uint8)))


def _faded(one: Image.Image, two: Image.Image, share: float, size: tuple[int, int]) -> Image.Image:
    """Cross-fade while the first still comes a little closer and the second settles."""
    weight = min(max((share - 0.12) / 0.76, 0.0), 1.0)
    weight = weight * weight * (3 - 2 * weight)
    near = 0.07
    return Image.blend(_closer(one, near * share, size), _closer(two, near * (1 - share), size), weight)


def _closer(still: Image.Image, share: float, size: tuple[int, int]) -> Image.Image:
    if share == 0:
        return still
    x, y = still.width * share / 2, still.height * share / 2
    return still.resize(size, Image.Resampling.BILINEAR, box=(x, y, still.width - x, still.height - y))


def _order(passage: Passage, size: tuple[int, int]) -> Floats:
    """Return for each pixel when, from 0 to 1, the second still takes it."""
    width, height = size
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    if passage.kind == "iris":
        far: Floats = np.hypot((x - 0.5) * width, (y - 0.5) * height)
        return far / float(far.max())
    if passage.kind == "dissolve":
        rng = np.random.default_rng(width * 10_000 + height)
        grain = cloudy(rng, 512, roughness=1.0)[:height, :width] if max(size) <= 512 else _grain(rng, size)
        rank = np.argsort(np.argsort(grain, axis=None)).reshape(grain.shape) / (grain.size - 1)
        return rank.astype(np.float32)
    across, down = passage.way
    line = x if across > 0 else 1 - x if across < 0 else y if down > 0 else 1 - y
    return np.broadcast_to(line, (height, width)).astype(np.float32)


def _grain(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    coarse = Image.fromarray(rng.random((size[1] // 6 + 1, size[0] // 6 + 1), dtype=np.float32))
    smooth: Floats = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
    return smooth + rng.random((size[1], size[0]), dtype=np.float32) * 0.5
