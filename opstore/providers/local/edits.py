"""One edit applied to one picture: RGB or RGBA in, the same mode out (corners left by a turn are white, or clear).

Every function here is pure: a new picture is returned, the given one is not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from opstore.errors import said
from opstore.providers.local.lettering import draw_caption
from opstore.providers.local.noise import Floats
from opstore.providers.local.phrases import refusal
from opstore.providers.local.pictures import check_size, covering, cropped
from opstore.providers.local.prompt_edits import Edit


def apply_edit(picture: Image.Image, edit: Edit) -> Image.Image:
    """Return `picture` with one edit applied."""
    if edit.kind == "resize":
        return _resize(picture, edit)
    if edit.kind == "crop":
        return _crop(picture, edit)
    if edit.kind == "border":
        return _border(picture, edit)
    if edit.kind == "rotate":
        return _rotate(picture, edit)
    return _OPERATIONS[edit.kind](picture, edit)


def _on_colours(picture: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply a change of colours to the red, green and blue of a picture; its transparency stays as it is."""
    if picture.mode != "RGBA":
        return change(picture)
    changed = change(picture.convert("RGB"))
    changed.putalpha(picture.getchannel("A"))
    return changed


def _with_floats(picture: Image.Image, change: Callable[[Floats], Floats]) -> Image.Image:
    def changed(rgb: Image.Image) -> Image.Image:
        values = change(np.asarray(rgb, dtype=np.float32))
        return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))

    return _on_colours(picture, changed)


def _lookup(picture: Image.Image, curve: Callable[[float], float]) -> Image.Image:
    table = [min(255, max(0, round(curve(value / 255) * 255))) for value in range(256)]
    return _on_colours(picture, lambda rgb: rgb.point(table * 3))


def _grayscale(picture: Image.Image, edit: Edit) -> Image.Image:
    return _on_colours(picture, lambda rgb: ImageOps.grayscale(rgb).convert("RGB"))


#: A faded print: warm black, brown in the middle, cream for white.
_SEPIA: tuple[tuple[int, int, int], ...] = ((28, 16, 8), (160, 118, 80), (255, 243, 217))


def _sepia(picture: Image.Image, edit: Edit) -> Image.Image:
    share = min(edit.amount, 1.0)

    def toned(rgb: Image.Image) -> Image.Image:
        brown = ImageOps.colorize(ImageOps.grayscale(rgb), black=_SEPIA[0], mid=_SEPIA[1], white=_SEPIA[2])
        return brown if share == 1 else Image.blend(rgb, brown, share)

    return _on_colours(picture, toned)


def _invert(picture: Image.Image, edit: Edit) -> Image.Image:
    return _on_colours(picture, ImageChops.invert)


def _blur(picture: Image.Image, edit: Edit) -> Image.Image:
    soft = ImageFilter.GaussianBlur(edit.width or edit.amount * max(1.5, min(picture.size) / 120))
    # By how much is seen of each colour: those under what is transparent must not run into what is not.
    return picture.convert("RGBa").filter(soft).convert("RGBA") if picture.mode == "RGBA" else picture.filter(soft)


def _sharpen(picture: Image.Image, edit: Edit) -> Image.Image:
    radius = max(1.2, min(picture.size) / 600)
    mask = ImageFilter.UnsharpMask(radius=radius, percent=round(110 * edit.amount), threshold=2)
    return _on_colours(picture, lambda rgb: rgb.filter(mask))


def _brightness(picture: Image.Image, edit: Edit) -> Image.Image:
    # A power curve keeps black black and white white, where a factor would burn the lights out.
    power = 2.0 ** (-0.62 * edit.amount)
    return _lookup(picture, lambda value: value**power)


def _contrast(picture: Image.Image, edit: Edit) -> Image.Image:
    factor = 1 + 0.4 * edit.amount if edit.amount > 0 else max(0.1, 1 + 0.4 * edit.amount)
    if edit.amount < 0:
        return _lookup(picture, lambda value: 0.5 + (value - 0.5) * factor)
    # An S-curve that meets black and white softly; at the usual strength the middle is 1.4 times as steep.
    steep = np.tanh(0.5 * factor * 1.6)
    return _lookup(picture, lambda value: float(0.5 + 0.5 * np.tanh((value - 0.5) * factor * 1.6) / steep))


def _saturation(picture: Image.Image, edit: Edit) -> Image.Image:
    factor = 1 + 0.5 * edit.amount if edit.amount > 0 else max(0.0, 1 + 0.45 * edit.amount)
    return _on_colours(picture, lambda rgb: ImageEnhance.Color(rgb).enhance(factor))


def _warmth(picture: Image.Image, edit: Edit) -> Image.Image:
    shift = max(-2.5, min(2.5, edit.amount)) * 0.12
    gains = np.array([1 + shift, 1 + shift * 0.15, 1 - shift], dtype=np.float32)
    # Dividing by the gain of grey keeps the picture as bright as it was.
    gains /= float(gains @ np.array([0.299, 0.587, 0.114], dtype=np.float32))
    table = [min(255, round(value * float(gain))) for gain in gains for value in range(256)]
    return _on_colours(picture, lambda rgb: rgb.point(table))


def _flip(picture: Image.Image, edit: Edit) -> Image.Image:
    return ImageOps.flip(picture) if edit.axis == "vertical" else ImageOps.mirror(picture)


def _posterize(picture: Image.Image, edit: Edit) -> Image.Image:
    if edit.colours:
        count = edit.colours
        return _on_colours(picture, lambda rgb: rgb.quantize(count, dither=Image.Dither.NONE).convert("RGB"))
    levels = int(edit.width) or max(2, round(4 / max(edit.amount, 0.25)))
    steps = levels - 1
    return _lookup(picture, lambda value: min(int(value * levels), steps) / steps)


def _pixelate(picture: Image.Image, edit: Edit) -> Image.Image:
    width, height = picture.size
    block = max(2.0, edit.width or edit.amount * min(width, height) / 48)
    small = picture.resize((max(1, round(width / block)), max(1, round(height / block))), Image.Resampling.BOX)
    return small.resize((width, height), Image.Resampling.NEAREST)


def _sketch(picture: Image.Image, edit: Edit) -> Image.Image:
    """Dodge the grey picture with its blurred negative, as one draws over a light table."""

    def drawn(rgb: Image.Image) -> Image.Image:
        grey = ImageOps.grayscale(rgb)
        soft = grey.filter(ImageFilter.GaussianBlur(max(2.0, min(rgb.size) / 110)))
        light, ground = np.asarray(grey, dtype=np.float32), np.asarray(soft, dtype=np.float32)
        lines = np.clip(light / np.maximum(ground, 1), 0, 1) ** (2.2 * max(edit.amount, 0.4))
        shade = 0.82 + 0.18 * np.clip(ground / 200, 0, 1)
        return Image.fromarray(np.clip(lines * shade * 255, 0, 255).astype(np.uint8)).convert("RGB")

    return _on_colours(picture, drawn)


def _edges(picture: Image.Image, edit: Edit) -> Image.Image:
    def traced(rgb: Image.Image) -> Image.Image:
        grey = ImageOps.grayscale(rgb).filter(ImageFilter.GaussianBlur(max(0.8, min(rgb.size) / 700)))
        values = np.pad(np.asarray(grey, dtype=np.float32), 1, mode="edge")
        across = values[1:-1, 2:] - values[1:-1, :-2]
        down = values[2:, 1:-1] - values[:-2, 1:-1]
        strength = np.hypot(across, down)
        scale = max(float(np.percentile(strength, 98.5)), 1.0) / max(edit.amount, 0.2)
        return Image.fromarray(np.clip(strength / scale * 255, 0, 255).astype(np.uint8)).convert("RGB")

    return _on_colours(picture, traced)


def _vignette(picture: Image.Image, edit: Edit) -> Image.Image:
    width, height = picture.size
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    fall = np.clip((np.sqrt(x * x + y * y) - 0.45) / 0.97, 0, 1)
    shade = 1 - min(0.75 * edit.amount, 1.0) * fall * fall * (3 - 2 * fall)
    return _with_floats(picture, lambda values: values * shade[:, :, None])


def _caption(picture: Image.Image, edit: Edit) -> Image.Image:
    return draw_caption(picture, edit.text, edit.place, edit.colour)


def _rotate(picture: Image.Image, edit: Edit) -> Image.Image:
    quarter = {90.0: Image.Transpose.ROTATE_270, -90.0: Image.Transpose.ROTATE_90, 180.0: Image.Transpose.ROTATE_180}
    if edit.degrees == 0:
        return picture.copy()
    if edit.degrees in quarter:
        return picture.transpose(quarter[edit.degrees])
    side = max(picture.size) * 1.42
    check_size(int(side), int(side))
    ground = (255, 255, 255, 0) if picture.mode == "RGBA" else (255, 255, 255)
    return picture.rotate(-edit.degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=ground)


def _crop(picture: Image.Image, edit: Edit) -> Image.Image:
    if edit.ratio:
        return cropped(picture, edit.ratio)
    width, height = picture.size
    wide, high = edit.size or (round(width * (edit.scale or 0.8)), round(height * (edit.scale or 0.8)))
    if wide > width or high > height or min(wide, high) < 1:
        raise refusal(said("The picture is too small to be cropped that way. Ask for a smaller crop, or resize it first."))
    left, top = (width - wide) // 2, (height - high) // 2
    return picture.crop((left, top, left + wide, top + high))


def target_size(size: tuple[int, int], edit: Edit) -> tuple[int, int]:
    """Return what a resize makes of `size`: a side of 0 follows the other, (n, -1) makes the longer side n."""
    width, height = size
    if edit.size is None:
        scale = edit.scale or 0.5
        return max(1, round(width * scale)), max(1, round(height * scale))
    wide, high = edit.size
    if high < 0:
        scale = wide / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))
    return wide or max(1, round(width * high / height)), high or max(1, round(height * wide / width))


def _resize(picture: Image.Image, edit: Edit) -> Image.Image:
    size = target_size(picture.size, edit)
    check_size(*size)
    if edit.stretch or edit.size is None or min(edit.size) <= 0:
        return picture.resize(size, Image.Resampling.LANCZOS)
    return covering(picture, size)


def _border(picture: Image.Image, edit: Edit) -> Image.Image:
    shorter = min(picture.size)
    width = edit.width if edit.width >= 1 else shorter * (edit.width or 0.04 * edit.amount)
    pixels = max(1, round(width))
    check_size(picture.width + 2 * pixels, picture.height + 2 * pixels)
    colour: Any = edit.colour or (255, 255, 255)
    return ImageOps.expand(picture, pixels, (*colour, 255) if picture.mode == "RGBA" else colour)


_OPERATIONS: dict[str, Callable[[Image.Image, Edit], Image.Image]] = {
    "grayscale": _grayscale,
    "sepia": _sepia,
    "invert": _invert,
    "blur": _blur,
    "sharpen": _sharpen,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "warmth": _warmth,
    "flip": _flip,
    "posterize": _posterize,
    "pixelate": _pixelate,
    "sketch": _sketch,
    "edges": _edges,
    "vignette": _vignette,
    "caption": _caption,
}
