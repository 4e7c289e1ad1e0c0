"""The difference of two pictures: three figures and a heat map; a picture compared with itself has none anywhere.

Colours are compared as eyes do (CIEDE2000), structure by SSIM over lightness, both by scikit-image. What shows through is judged
over white and over black, and the larger difference counts.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opstore.comparing.align import Box, Fit, place

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image as Picture

#: Pixels that are compared at most: 1.3 s and 200 MB for a million; larger pictures are scaled down for it.
MAX_COMPARED = 1_000_000
#: Longest side that a picture is decoded to before: enough for MAX_COMPARED at 4:1.
MAX_SIDE = 2_000
#: A colour difference (CIEDE2000) that eyes notice at a glance: pixels beyond it count as changed.
VISIBLE = 2.0
#: The difference that is drawn in the hottest colour.
HOTTEST = 30.0
#: Rows worked on at a time: the formula needs some twenty copies of what it is given.
_ROWS = 128
_WINDOW = 7
#: Under this name a heat map carries its figures: one file holds all of a comparison.
_FIGURES = "opstore:figures"
#: The heat map's colours from the least visible difference to the hottest: red, green, blue, opacity.
_RAMP = ((66, 10, 104, 0), (147, 38, 103, 170), (221, 81, 58, 215), (252, 165, 10, 235), (252, 255, 164, 255))


@dataclass(frozen=True, slots=True)
class Figures:
    """How far two pictures differ where both are seen.

    `changed` is the share of pixels with a visible difference, 0 to 1; `similarity` the mean SSIM, 1 for equal pictures; `colour`
    the mean difference in CIEDE2000 units. They were compared at `width` × `height`; `area` is what both show, in pixels of the
    first picture.
    """

    changed: float
    similarity: float
    colour: float
    width: int
    height: int
    area: Box

    @classmethod
    def read(cls, heat: Path) -> Figures:
        """Return the figures that a heat map carries; raise ValueError for any other picture."""
        from PIL import Image

        with Image.open(heat, formats=["PNG"]) as picture:
            record = json.loads(picture.info.get(_FIGURES, "null"))
        if not isinstance(record, dict):
            raise ValueError("no heat map")
        return cls(**{**record, "area": Box(**record["area"])})


def difference(first: Picture, second: Picture, fit: Fit, size: tuple[int, int] | None = None) -> tuple[Figures, bytes]:
    """Return the figures of two pictures laid on each other by `fit`, and a heat map of what both show as a PNG.

    The heat map is transparent where nothing differs, and carries the figures. `size` is the first picture's own, where it was
    decoded smaller.
    """
    import numpy as np

    where, whole = place(first.size, second.size, fit), Box.of(first.size)
    common = where.shared(whole)
    boxes = common.scaled_to(first.size, whole), common.scaled_to(second.size, where)
    grid = _grid(boxes)
    distance = np.zeros(grid[::-1], np.float32)
    similarity = 1.0
    grounds = (255, 0) if "RGBA" in (first.mode, second.mode) else (255,)
    for ground in grounds:
        one, other = (_colours(picture, box, grid, ground) for picture, box in zip((first, second), boxes, strict=True))
        distance = np.maximum(distance, _distance(one, other))
        similarity = min(similarity, _similarity(one[..., 0], other[..., 0]))
    scale = (size[0] / first.width) if size else 1.0
    area = Box(common.x * scale, common.y * scale, common.width * scale, common.height * scale)
    figures = Figures(
        changed=float(np.mean(distance > VISIBLE)),
        similarity=similarity,
        colour=float(distance.mean()),
        width=grid[0],
        height=grid[1],
        area=area,
    )
    return figures, _heat(distance, figures)


def _grid(boxes: tuple[tuple[float, float, float, float], ...]) -> tuple[int, int]:
    """Return the size to compare at: that of the coarser picture, within the cap."""
    width = min(right - left for left, _, right, _ in boxes)
    height = min(bottom - top for _, top, _, bottom in boxes)
    scale = min(1.0, (MAX_COMPARED / max(1.0, width * height)) ** 0.5)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _colours(picture: Picture, box: tuple[float, float, float, float], grid: tuple[int, int], ground: int) -> ndarray:
    """Return a part of a picture at the size of `grid` as Lab colours, over a grey `ground`."""
    import numpy as np
    from PIL import Image
    from skimage.color import rgb2lab

    if picture.mode == "RGBA":
        paper = Image.new("RGBA", picture.size, (ground, ground, ground, 255))
        picture = Image.alpha_composite(paper, picture)
    plain = picture.convert("RGB")
    if box != (0.0, 0.0, float(plain.width), float(plain.height)) or plain.size != grid:
        plain = plain.resize(grid, Image.Resampling.LANCZOS, box=box)
    found: ndarray = rgb2lab(np.asarray(plain, np.float32) / 255)
    return found


def _distance(one: ndarray, other: ndarray) -> ndarray:
    import numpy as np
    from skimage.color import deltaE_ciede2000

    starts = range(0, len(one), _ROWS)
    parts = [deltaE_ciede2000(one[at : at + _ROWS], other[at : at + _ROWS]) for at in starts]  # type: ignore[no-untyped-call]
    # Equal colours can come out as 1e-7 by rounding, and as nothing but zero here.
    return np.where((one == other).all(axis=2), 0.0, np.concatenate(parts)).astype(np.float32)


def _similarity(one: ndarray, other: ndarray) -> float:
    import numpy as np
    from skimage.metrics import structural_similarity

    if np.array_equal(one, other):
        return 1.0
    margins = [(0, max(0, _WINDOW - side)) for side in one.shape]  # the window needs as many pixels
    one, other = (np.pad(lightness / 100, margins, mode="edge") for lightness in (one, other))
    found = structural_similarity(one, other, data_range=1.0, win_size=_WINDOW)  # type: ignore[no-untyped-call]
    return float(found)


def _heat(distance: ndarray, figures: Figures) -> bytes:
    import numpy as np
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    steps = np.linspace(0, 255, len(_RAMP))
    ramp = np.stack([np.interp(np.arange(256), steps, channel) for channel in zip(*_RAMP, strict=True)], axis=1)
    level = np.clip(distance / HOTTEST, 0, 1) ** 0.5 * 255  # the root: faint differences are the ones that are overlooked
    levels = np.where(distance > 0, np.maximum(1, np.rint(level)), 0).astype(np.uint8)
    picture = Image.fromarray(levels, "L").convert("P")
    picture.putpalette(np.rint(ramp[:, :3]).astype(np.uint8).tobytes())
    out = io.BytesIO()
    opacity = np.rint(ramp[:, 3]).astype(np.uint8)
    opacity[1:] = np.maximum(opacity[1:], 8)  # whatever differs can be seen to
    notes = PngInfo()
    notes.add_text(_FIGURES, json.dumps(asdict(figures)))
    picture.save(out, "PNG", transparency=opacity.tobytes(), pnginfo=notes, compress_level=4)
    return out.getvalue()
