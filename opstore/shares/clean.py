"""Copies of media that may be handed on: encoded anew or remuxed, so that nothing is in them but pictures and sound.

EXIF with its place and camera, XMP, text chunks, comments, profiles, tracks of data, what stands behind the end of a file: all
of it stays behind. A picture is turned upright and brought into sRGB first, so that it looks as it did. What is meant to be in a
copy is written into it by `Stamp`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opstore.errors import UnsupportedMedia
from opstore.likeness import QUALITY, in_srgb, shown_as
from opstore.media import (
    AVIF,
    GIF,
    HEIC,
    JPEG,
    MAX_PIXELS,
    MP4,
    PNG,
    UPRIGHT,
    WEBP,
    MediaType,
    opened,
    opened_video,
    orientation,
    reading,
    sniff,
)

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

#: An animation of more pixels in all its frames is handed on as its first frame: 0.5 GB once they are in memory.
MAX_ANIMATION = 4 * MAX_PIXELS
#: EXIF and XMP in a JPEG have 64 kB each, and EXIF two bytes a letter.
MAX_STAMP = 15_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an exported file says of itself: `parameters` in the form that other tools read, `xmp` for all else."""

    parameters: str
    xmp: bytes


def cleaned(data: bytes, stamp: Stamp | None = None) -> bytes:
    """Return a copy of a picture or video in the type that browsers get, with nothing of what was in the file beside them.

    Raise UnsupportedMedia for what is none.
    """
    media = sniff(data)
    if media is None:
        raise UnsupportedMedia(index=1)
    with reading(1):
        return _remuxed(data, media, stamp) if media.kind == "video" else _encoded_anew(data, media, stamp)


# -- pictures ------------------------------------------------------------------------------------------------------------


def _encoded_anew(data: bytes, media: MediaType, stamp: Stamp | None) -> bytes:
    picture = opened(data, media)
    # A phone's JPEG or HEIC may hold a second picture: no animation.
    moves = media not in (JPEG, HEIC) and getattr(picture, "is_animated", False)
    media = shown_as(media)
    options = _options(data, media, picture)
    if moves:
        frames, durations = _frames(picture, media)
        if len(frames) > 1:
            options |= {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": picture.info.get("loop", 0)}
            options |= {"disposal": 2} if media is GIF else {}
    else:
        frames = [_upright(picture, media)]
    out = io.BytesIO()
    frames[0].save(
        out, {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP", GIF: "GIF", AVIF: "AVIF"}[media], **options, **_stamped(media, stamp)
    )
    return out.getvalue()


def _options(data: bytes, media: MediaType, picture: Picture) -> dict[str, Any]:
    if media is JPEG:
        from PIL.JpegImagePlugin import get_sampling

        sampling = get_sampling(picture)
        return {"quality": QUALITY, "subsampling": sampling if sampling in (0, 1, 2) else 0}
    if media is WEBP:
        return {"lossless": True} if b"VP8L" in data[:4096] else {"quality": QUALITY}
    if media is AVIF:
        return {"quality": QUALITY, "subsampling": "4:4:4"}
    return {}


def _frames(picture: Picture, media: MediaType) -> tuple[Sequence[Picture], list[int]]:
    from PIL import ImageSequence

    frames: list[Picture] = []
    durations: list[int] = []
    for frame in ImageSequence.Iterator(picture):
        frames.append(_upright(frame, media))
        durations.append(int(frame.info.get("duration") or 100))  # a WebP tells it once its pixels are read
        if len(frames) * picture.width * picture.height > MAX_ANIMATION:
            return frames[:1], durations[:1]
    return frames, durations


def _upright(picture: Picture, media: MediaType) -> Picture:
    """Return the picture alone: as seen, in sRGB, in a mode that its type can hold."""
    from PIL import Image

    turn = UPRIGHT.get(orientation(picture))
    picture = in_srgb(_plain(picture, media))
    if picture.mode == "CMYK":
        picture = picture.convert("RGB")
    if turn:
        picture = picture.transpose(Image.Transpose[turn])
    picture.info = {}
    return picture


def _plain(picture: Picture, media: MediaType) -> Picture:
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    kept = {
        JPEG: ("L", "RGB", "CMYK"),
        PNG: ("1", "L", "RGB", "I;16", "I;16B", "I"),
        WEBP: ("RGB",),
        AVIF: ("L", "RGB"),
        GIF: ("L", "RGB"),
    }
    if picture.mode in kept[media]:
        return picture.copy()
    return picture.convert("RGB")


def _stamped(media: MediaType, stamp: Stamp | None) -> dict[str, Any]:
    if stamp is None or media is GIF:
        return {}
    if media is PNG:
        from PIL.PngImagePlugin import PngInfo

        chunks = PngInfo()
        chunks.add_text("parameters", stamp.parameters)
        chunks.add_itxt("XML:com.adobe.xmp", stamp.xmp.decode())
        return {"pnginfo": chunks}
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + stamp.parameters[:MAX_STAMP].encode("utf-16-be")  # UserComment
    return {"exif": exif, "xmp": stamp.xmp}


# -- videos --------------------------------------------------------------------------------------------------------------


def _remuxed(data: bytes, media: MediaType, stamp: Stamp | None) -> bytes:
    """Return the same pictures and sound in a new container: other tracks, chapters and every text of the old one are left."""
    import av

    out = io.BytesIO()
    name = "mp4" if media is MP4 else "webm"
    # bitexact: no time of writing, no version of the writer; the same video gives the same bytes.
    with (
        opened_video(data, media) as (source, picture),
        av.open(out, "w", format=name, options={"fflags": "+bitexact"}) as target,
    ):
        if picture is None:
            raise ValueError("no picture in it")
        streams = {stream.index: target.add_stream_from_template(stream) for stream in (picture, *source.streams.audio)}
        for stream in streams.values():
            stream.metadata.clear()
        if stamp:
            target.metadata["comment"] = stamp.parameters
        for packet in source.demux():
            if packet.dts is not None and packet.stream.index in streams:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return out.getvalue()
