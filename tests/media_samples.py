"""Pictures and videos that the tests of media make: small, of every type, and different from every side."""

from __future__ import annotations

import importlib.util
import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from opstore.media import AVIF, GIF, HEIC, JPEG, MP4, PNG, WEBM, WEBP, MediaType


def photo(package: str, name: str) -> bytes:
    """Return a real photograph that lies inside a package, without importing the package."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / name).read_bytes()


def picture(mode: str = "RGB", size: tuple[int, int] = (80, 48)) -> Image.Image:
    """Return a picture that looks different from every side."""
    image = Image.new("RGB", size, "red")
    width, height = size
    image.paste((0, 0, 255), (0, 0, width // 2, height // 2))
    image.paste((0, 255, 0), (width // 2, 0, width, height // 2))
    return image.convert(mode)


def encoded(image: Image.Image, pillow_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, pillow_format, **options)
    return out.getvalue()


def heic(name: str) -> bytes:
    """Return a HEIC that lies here, since nothing here writes any (made once with pillow-heif at quality 50).

    `sides` is `picture()`; `turned` is a sea at sunset of 96 x 64 pixels that is seen upright, 64 x 96; `alpha` the same, not
    turned, clear at the top and whole at the bottom.
    """
    return (Path(__file__).parent / "data" / "heic" / f"{name}.heic").read_bytes()


def video(
    container: str = "mp4", shades: tuple[int, ...] = (120,) * 10, rotation: int = 0, size: tuple[int, int] = (64, 32)
) -> bytes:
    """Return a video at 10 frames a second, one frame a shade of grey, the upper half brighter."""
    out = io.BytesIO()
    codec = {"mp4": "libx264", "webm": "libvpx-vp9", "matroska": "libx264", "mov": "libx264"}[container]
    with av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for shade in shades:
            pixels = np.full((size[1], size[0], 3), shade, "uint8")
            pixels[: size[1] // 2] = min(255, shade * 2)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        target.mux(stream.encode())
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


SAMPLES: dict[MediaType, bytes] = {
    JPEG: encoded(picture(), "JPEG"),
    PNG: encoded(picture(), "PNG"),
    WEBP: encoded(picture(), "WEBP"),
    GIF: encoded(picture(), "GIF"),
    AVIF: encoded(picture(), "AVIF"),
    HEIC: heic("sides"),
    MP4: video("mp4"),
    WEBM: video("webm"),
}
IMAGES = [JPEG, PNG, WEBP, GIF, AVIF, HEIC]


def ftyp(major: str, *compatible: str) -> bytes:
    body = b"ftyp" + b"".join(brand.encode().ljust(4) for brand in (major, "\0\0\2\0", *compatible))
    return struct.pack(">I", len(body) + 4) + body + b"\0\0\0\x08free"


def short(value: object) -> str | None:
    """Name a parameter that is a file by its beginning: the same in every process, a WebM further on is not."""
    return ascii(value[:24]) if isinstance(value, bytes) else None
