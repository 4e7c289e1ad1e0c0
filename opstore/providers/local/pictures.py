"""Pictures in and out: bytes are opened only when their size is bearable, turned upright, and written without a timestamp.

Every picture between these two ends is in mode RGB, or RGBA where it has transparency.
"""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from opstore import media
from opstore.errors import UnsupportedMedia, said
from opstore.media.likeness import in_srgb
from opstore.providers.local.parameters import Parameters
from opstore.providers.local.phrases import refusal

#: Pixels of one picture that are worked on at most: 40 million are 160 MB in memory.
MOST_PIXELS = 40_000_000
#: A header that tells a longer side than this is none of a picture.
WIDEST = 1_000_000
#: The longest side that every format written here can hold (WebP: 16383).
LONGEST_SIDE = 16_383


def open_picture(data: bytes, index: int) -> Image.Image:
    """Return the first frame of a picture file, upright, in RGB or RGBA; refuse what is damaged or too large to unpack."""
    known = media.facts(data)
    if known.width and known.height and known.width * known.height > MOST_PIXELS and max(known.width, known.height) <= WIDEST:
        megapixels, limit = known.width * known.height // 1_000_000, MOST_PIXELS // 1_000_000
        raise refusal(
            said(
                "Image {index} has {megapixels} million pixels; at most {limit} million can be worked on. "
                "Make it smaller and try again.",
                index=index,
                megapixels=megapixels,
                limit=limit,
            )
        )
    kind = media.sniff(data)
    try:
        if kind is None or kind.kind != "image":
            raise UnsupportedMedia(index=index)
        with media.reading(index):
            return _bare(_plain(in_srgb(ImageOps.exif_transpose(media.opened(data, kind)))))
    except UnsupportedMedia as error:
        raise refusal(
            said(
                "Image {index} cannot be read: it is damaged or not a JPEG, PNG, WebP, GIF, AVIF or HEIC. Open it in another "
                "program, save it again as JPEG or PNG, and retry.",
                index=index,
            )
        ) from error


def _plain(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        # 16-bit grey: Pillow's own conversion clips everything above 255 to white.
        return picture.convert("I").point(lambda value: value / 257.0).convert("L").convert("RGB")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        lowest = rgba.getchannel("A").getextrema()[0]
        return rgba if isinstance(lowest, int | float) and lowest < 255 else rgba.convert("RGB")
    return picture.convert("RGB")


def _bare(picture: Image.Image) -> Image.Image:
    """Take off what a file said beside its pixels: Pillow would write a comment or a profile on into the result."""
    picture.info = {}
    return picture


def flattened(picture: Image.Image) -> Image.Image:
    """Return a picture without transparency, on white."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def check_size(width: int, height: int) -> None:
    """Refuse a result that would be too large to make or to write."""
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        raise refusal(
            said(
                "The result would be {width} × {height} pixels; at most {limit} million pixels can be made. "
                "Ask for a smaller size.",
                width=width,
                height=height,
                limit=MOST_PIXELS // 1_000_000,
            )
        )


def cropped(picture: Image.Image, ratio: tuple[int, int]) -> Image.Image:
    """Return the largest middle part of a picture in a ratio; a picture already in it to the pixel is left as it is."""
    width, height = picture.size
    wide, high = ratio
    new_width = min(width, max(1, round(height * wide / high)))
    new_height = min(height, max(1, round(width * high / wide)))
    left, top = (width - new_width) // 2, (height - new_height) // 2
    return picture.crop((left, top, left + new_width, top + new_height))


def covering(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture scaled to fill `size` without distortion; what stands over is cut off evenly."""
    if picture.size == size:
        return picture
    return ImageOps.fit(picture, size, method=Image.Resampling.LANCZOS)


def written(picture: Image.Image, parameters: Parameters) -> bytes:
    """Return a picture as a file of the format asked for: no metadata, so the same pixels are the same bytes."""
    buffer = io.BytesIO()
    match parameters.format:
        case "JPEG":
            sampling = 0 if parameters.quality >= 90 else 2
            flattened(picture).save(buffer, "JPEG", quality=parameters.quality, optimize=True, subsampling=sampling)
        case "PNG":
            picture.save(buffer, "PNG", compress_level=6)
        case _:
            picture.save(buffer, "WEBP", quality=parameters.quality, method=3)
    return buffer.getvalue()
