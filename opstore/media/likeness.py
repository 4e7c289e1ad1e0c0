"""A picture as others can open it: the same to the eye, in a type that every program, browser or model takes; no metadata.

What is stored stays byte for byte; a likeness is made where a picture leaves for somebody who cannot read what it is stored as.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from opstore import media
from opstore.errors import UnsupportedMedia

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

#: At this quality a likeness of a photograph is 42 to 47 dB from it (PSNR, measured): no difference that is seen.
QUALITY = 95
#: What models of the table say they take.
_FOR_MODELS = (media.JPEG, media.PNG, media.WEBP, media.GIF)


def in_srgb(picture: Picture) -> Picture:
    """Return a picture with its colours as they look, in the colours that every screen assumes where no profile is named.

    Phones write Display P3. A profile that is damaged, or for another kind of picture, is passed over, as most programs do.
    """
    from PIL import ImageCms

    profile = picture.info.get("icc_profile")
    if isinstance(profile, bytes) and picture.mode == "P":
        picture = picture.convert(_mode(picture))
    if not isinstance(profile, bytes) or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return picture
        base = picture.convert("RGB") if alpha else picture
        converted = ImageCms.profileToProfile(base, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    if converted is None:
        return picture
    if alpha:
        converted.putalpha(alpha)
    return converted


def for_model(data: bytes, index: int = 1) -> bytes:
    """Return an input as a model takes it: HEIC and AVIF as JPEG, or as PNG where something shows through; all else as it is.

    Raise UnsupportedMedia for a HEIC or AVIF that cannot be decoded.
    """
    kind = media.sniff(data)
    if kind is None or kind.kind != "image" or kind in _FOR_MODELS:
        return data
    picture, out = _seen(data, kind, index), io.BytesIO()
    if picture.mode == "RGBA":
        picture.save(out, "PNG", compress_level=3)
    else:
        picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def shown_as(kind: media.MediaType) -> media.MediaType:
    """Return the type in which browsers get what is kept as `kind`: itself, but WebP for a HEIC, which only Safari shows."""
    return media.WEBP if kind is media.HEIC else kind


def for_browser(data: bytes) -> bytes:
    """Return a picture as a WebP that every browser shows; raise UnsupportedMedia for what is none."""
    kind = media.sniff(data)
    if kind is None or kind.kind != "image":
        raise UnsupportedMedia(index=1)
    out = io.BytesIO()
    picture = _seen(data, kind, 1)
    with media.reading(1):  # a side beyond 16383 is no WebP
        picture.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()


def _seen(data: bytes, kind: media.MediaType, index: int) -> Picture:
    """Return a picture decoded, upright and in sRGB, RGB or RGBA, with nothing beside its pixels."""
    from PIL import Image

    with media.reading(index):
        picture = media.opened(data, kind)
        turn = media.UPRIGHT.get(media.orientation(picture))
        picture = in_srgb(picture if picture.mode in ("RGB", "RGBA", "CMYK") else picture.convert(_mode(picture)))
        picture = picture.convert(_mode(picture))
        if turn:
            picture = picture.transpose(Image.Transpose[turn])
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    picture.info = {}
    return picture


def _mode(picture: Picture) -> str:
    return "RGBA" if picture.has_transparency_data else "RGB"
