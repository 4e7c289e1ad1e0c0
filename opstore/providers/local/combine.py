"""Several pictures made one: blend, row, column, grid, collage, inset. Any sizes fit: they are scaled, never stretched."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from opstore.errors import said
from opstore.providers.local.arrangements import Arrangement
from opstore.providers.local.phrases import refusal
from opstore.providers.local.pictures import covering, flattened

#: The longest side that a combination is brought to when its parts are larger: five large photos in a row fit no format.
_LONGEST = 4096
_PAPER = (247, 245, 240)


def combine(pictures: list[Image.Image], how: Arrangement, seed: int) -> Image.Image:
    """Return the pictures as one, arranged as asked."""
    match how.kind:
        case "blend":
            return _blend(pictures, how.share)
        case "row":
            return _line(pictures, across=True)
        case "column":
            return _line(pictures, across=False)
        case "grid":
            return _grid(pictures)
        case "collage":
            return _collage(pictures, seed)
        case _:
            return _inset(pictures, how)


def _blend(pictures: list[Image.Image], share: float) -> Image.Image:
    """Weigh the pictures at the size of the first; with more than two, all count alike."""
    size = pictures[0].size
    layers = [flattened(covering(picture, size)) for picture in pictures]
    if len(layers) == 2:
        return Image.blend(layers[0], layers[1], share)
    mean = np.zeros((size[1], size[0], 3), dtype=np.float32)
    for layer in layers:
        mean += np.asarray(layer, dtype=np.float32) / len(layers)
    return Image.fromarray(np.clip(mean + 0.5, 0, 255).astype(np.uint8))


def _line(pictures: list[Image.Image], *, across: bool) -> Image.Image:
    """Set the pictures in a row of one height, or a column of one width, with a narrow gap."""
    shapes = [p.width / p.height if across else p.height / p.width for p in pictures]
    common = min(max(p.height if across else p.width for p in pictures), _LONGEST)
    gap = max(2, common // 100)
    common = max(1, min(common, int((_LONGEST * 2 - gap * len(pictures)) / sum(shapes))))
    lengths = [max(1, round(common * shape)) for shape in shapes]
    total = sum(lengths) + gap * (len(pictures) - 1)
    sheet = Image.new("RGB", (total, common) if across else (common, total), _PAPER)
    place = 0
    for picture, length in zip(pictures, lengths, strict=True):
        part = covering(flattened(picture), (length, common) if across else (common, length))
        sheet.paste(part, (place, 0) if across else (0, place))
        place += length + gap
    return sheet


def _grid(pictures: list[Image.Image]) -> Image.Image:
    """Set the pictures in equal cells of their mean proportion; a last row that is not full is stretched over the width."""
    columns = math.ceil(math.sqrt(len(pictures)))
    proportion = math.exp(sum(math.log(p.width / p.height) for p in pictures) / len(pictures))
    proportion = min(max(proportion, 0.5), 2.0)
    width = max(16, min(max(p.width for p in pictures), _LONGEST // columns))
    height = max(16, round(width / proportion))
    gap = max(2, width // 60)
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    total = columns * width + (columns - 1) * gap
    sheet = Image.new("RGB", (total, len(rows) * height + (len(rows) - 1) * gap), _PAPER)
    for r, row in enumerate(rows):
        edges = [round(i * (total + gap) / len(row)) for i in range(len(row) + 1)]
        for picture, left, right in zip(row, edges, edges[1:], strict=False):
            sheet.paste(covering(flattened(picture), (right - left - gap, height)), (left, r * (height + gap)))
    return sheet


def _collage(pictures: list[Image.Image], seed: int) -> Image.Image:
    """Lay the pictures on a table as prints with white edges and shadows, a little turned, overlapping."""
    rng = np.random.default_rng(seed)
    width = min(max(900, max(p.width for p in pictures)), 2400)
    height = round(width * 0.75)
    sheet = Image.new("RGB", (width, height), (206, 198, 186))
    columns = max(range(1, len(pictures) + 1), key=lambda count: _smallest(pictures, count, (width, height)))
    rows = math.ceil(len(pictures) / columns)
    for i, picture in enumerate(pictures):
        in_row = min(columns, len(pictures) - i // columns * columns)
        cell = width / in_row, height / rows
        x = (i % columns + 0.5) * cell[0] + rng.uniform(-0.05, 0.05) * cell[0]
        y = (i // columns + 0.5) * cell[1] + rng.uniform(-0.05, 0.05) * cell[1]
        scale = min(cell[0] * 1.02 / picture.width, cell[1] * 1.02 / picture.height) * 0.88
        _lay(sheet, _print(picture, scale, height), (x, y), float(rng.uniform(-7, 7)))
    return sheet


def _smallest(pictures: list[Image.Image], columns: int, size: tuple[int, int]) -> float:
    """Return the share of the sheet's area that the smallest print covers when they lie in so many columns."""
    across, down = size[0] / columns, size[1] / math.ceil(len(pictures) / columns)
    return min(min(across / p.width, down / p.height) ** 2 * p.width * p.height for p in pictures)


def _print(picture: Image.Image, scale: float, height: int) -> Image.Image:
    edge = max(4, height // 60)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    card = Image.new("RGBA", (size[0] + 2 * edge, size[1] + 2 * edge), (252, 251, 248, 255))
    card.paste(flattened(picture).resize(size, Image.Resampling.LANCZOS), (edge, edge))
    return card


def _lay(sheet: Image.Image, card: Image.Image, centre: tuple[float, float], degrees: float) -> None:
    turned = card.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    left, top = round(centre[0] - turned.width / 2), round(centre[1] - turned.height / 2)
    depth = max(3, sheet.height // 90)
    shade = Image.new("L", sheet.size, 0)
    shade.paste(turned.getchannel("A").point(lambda value: value * 0.5), (left + depth // 2, top + depth))
    sheet.paste((30, 24, 18), mask=shade.filter(ImageFilter.GaussianBlur(depth)))
    sheet.paste(turned, (left, top), turned.getchannel("A"))


def _inset(pictures: list[Image.Image], how: Arrangement) -> Image.Image:
    """Set one picture small into another, with a white line and a soft shadow."""
    for index in (how.inner, how.outer):
        if not 1 <= index <= len(pictures):
            raise refusal(
                said(
                    "The prompt speaks of image {index}; images given: {given}. Correct the number or add the image.",
                    index=index,
                    given=len(pictures),
                )
            )
    sheet, inner = flattened(pictures[how.outer - 1]).copy(), flattened(pictures[how.inner - 1])
    width, height = sheet.size
    scale = min(width * 0.36 / inner.width, height * 0.42 / inner.height)
    edge, margin = max(1, min(sheet.size) // 160), max(2, min(sheet.size) // 24)
    size = max(1, round(inner.width * scale)), max(1, round(inner.height * scale))
    card = Image.new("RGB", (size[0] + 2 * edge, size[1] + 2 * edge), "white")
    card.paste(inner.resize(size, Image.Resampling.LANCZOS), (edge, edge))
    right, bottom = width - card.width - margin, height - card.height - margin
    place = {
        "center": ((width - card.width) // 2, (height - card.height) // 2),
        "top left": (margin, margin),
        "top right": (right, margin),
        "bottom left": (margin, bottom),
    }.get(how.corner, (right, bottom))
    shade = Image.new("L", sheet.size, 0)
    ImageDraw.Draw(shade).rectangle((*place, place[0] + card.width, place[1] + card.height), fill=130)
    sheet.paste((0, 0, 0), mask=shade.filter(ImageFilter.GaussianBlur(margin / 3)))
    sheet.paste(card, place)
    return sheet
