"""Text drawn on a picture, readable on any ground: white on a soft shadow, wrapped and sized to the picture.

The font is the one that ships with Streamlit (Source Sans, with all European letters), found without importing it; where it is
missing, a common system font; last the small one inside Pillow, which lacks accents.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from opstore.providers.local.colours import Colour

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_SYSTEM_FONTS = ("DejaVuSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf", "LiberationSans-Bold.ttf", "NotoSans-Bold.ttf")
_SEMIBOLD = 600


@lru_cache(maxsize=1)
def _shipped_font() -> Path | None:
    spec = importlib.util.find_spec("streamlit")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "static" / "static" / "media"
    return min(folder.glob("SourceSansVF-Upright*.woff2"), default=None)


@lru_cache(maxsize=32)
def font(size: int) -> Font:
    """Return the font for captions at `size` pixels."""
    shipped = _shipped_font()
    if shipped is not None:
        try:
            face = ImageFont.truetype(shipped, size)
            face.set_variation_by_axes([_SEMIBOLD])
        except OSError:
            pass  # FreeType built without variable fonts or WOFF2: the next ones need neither.
        else:
            return face
    for name in _SYSTEM_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def wrapped(text: str, face: Font, width: float) -> list[str]:
    """Return `text` in lines that fit `width`; a word longer than a line stands alone and may stand over."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and face.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fitted(text: str, width: int, height: int) -> tuple[Font, list[str], int]:
    """Return the largest font, from an eleventh of the height down, at which the text fits the width and 40 % of the height."""
    size = max(10, min(height // 11, width // 12))
    while True:
        face = font(size)
        lines = wrapped(text, face, width * 0.9)
        widest = max((face.getlength(line) for line in lines), default=0)
        if size <= 8 or (widest <= width * 0.94 and len(lines) * size * 1.25 <= height * 0.4):
            return face, lines, size
        size = max(8, int(size * 0.88))


def draw_caption(picture: Image.Image, text: str, place: str = "bottom", colour: Colour | None = None) -> Image.Image:
    """Return `picture` with `text` written at the top, the bottom or in the middle ("center")."""
    width, height = picture.size
    face, lines, size = _fitted(text, width, height)
    step = size * 1.22
    block = step * len(lines)
    margin = size * 0.7
    top = {"top": margin, "center": (height - block) / 2}.get(place, height - block - margin)
    letters = Image.new("L", picture.size, 0)
    pen = ImageDraw.Draw(letters)
    for i, line in enumerate(lines):
        pen.text((width / 2, top + step * (i + 0.5)), line, font=face, fill=255, anchor="mm")
    ink = colour or (255, 255, 255)
    dark = sum(ink) < 300
    shadow = letters.filter(ImageFilter.GaussianBlur(max(1.5, size / 9))).point(lambda value: min(255.0, value * 2.2))
    opaque = picture.mode == "RGBA"
    ground = (255, 255, 255) if dark else (0, 0, 0)
    result = picture.copy()
    result.paste((*ground, 255) if opaque else ground, mask=shadow.point(lambda value: value * 0.72))
    result.paste((*ink, 255) if opaque else ink, mask=letters)
    return result
