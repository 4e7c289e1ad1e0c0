"""Copies of media that may be handed on: encoded anew or remuxed, so that nothing is in them but pictures and sound.

EXIF with its place and camera, XMP, text chunks, comments, profiles, tracks of data, what stands behind the end of a file: all
of it stays behind. A picture is turned upright and brought into sRGB first, so that it looks as it did. What nobody sees is not
in a copy either: under what is transparent may lie a whole picture, first of all the one that it was cut out of. What is meant
to be in a copy is written into it by `Stamp`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from opstore.errors import UnsupportedMedia
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
    xmp,
)
from opstore.media.likeness import QUALITY, in_srgb, shown_as
from opstore.media.provenance import address

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import OutputContainer
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from PIL.Image import Image as Picture

#: An animation of more pixels in all its frames is handed on as its first frame: 0.5 GB once they are in memory.
MAX_ANIMATION = 4 * MAX_PIXELS
#: Nobody sees a pixel of this alpha or less, of 255; a video's alpha is lossy, and its nothing is up to as much as that.
UNSEEN, UNSEEN_IN_VIDEO = 2, 8
#: EXIF and XMP in a JPEG have 64 kB each, and EXIF two bytes a letter.
MAX_STAMP = 15_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a copy says of itself: all of it as XMP, its digital source type, and `parameters` as other tools read them."""

    xmp: bytes
    source: str = ""
    parameters: str = ""


def source_stamp(source: str) -> Stamp | None:
    """Return what says nothing of a copy but its source type, None where that is not known."""
    named = address(source)
    return Stamp(xmp.source_packet(named), named) if source else None


def cleaned(data: bytes, stamp: Stamp | None = None) -> bytes:
    """Return a copy of a picture or video in the type that browsers get, with nothing of what was in the file beside them.

    Raise UnsupportedMedia for what is none.
    """
    media = sniff(data)
    if media is None:
        raise UnsupportedMedia(index=1)
    with reading(1):
        copy = _remuxed(data, media, stamp) if media.kind == "video" else _encoded_anew(data, media, stamp)
    kept = shown_as(media)
    return copy if stamp is None or kept is AVIF else xmp.written(copy, kept, stamp.xmp, stamp.source)


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
    if media is WEBP and len(frames) > 1 and any(frame.mode == "RGBA" for frame in frames):
        # libwebp crops frames to what is seen of them, and then forgets to say that the rest is transparent.
        out.getbuffer()[_WEBP_FLAGS] |= _WEBP_ALPHA
    return out.getvalue()


#: In the first chunk of an extended WebP: what is in the file (WebP Container Specification).
_WEBP_FLAGS, _WEBP_ALPHA = 20, 0x10


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
    hidden = int(bool(picture.info.get("default_image")))  # of a PNG that moves: shown only if nothing moves
    for frame in islice(ImageSequence.Iterator(picture), hidden, None):
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
    picture = _without_hidden_colours(picture)
    picture.info = {}
    return picture


def _without_hidden_colours(picture: Picture) -> Picture:
    """Return the picture without the colours that lie under what is transparent, which every decoder gives back."""
    from PIL import Image

    if picture.mode != "RGBA":
        return picture
    alpha = picture.getchannel("A")
    if cast("int", alpha.getextrema()[0]) > UNSEEN:  # of one band: its least and its most
        return picture
    shown = alpha.point([0 if value <= UNSEEN else 255 for value in range(256)])
    return Image.composite(picture, Image.new("RGBA", picture.size), shown)


def _plain(picture: Picture, media: MediaType) -> Picture:
    if picture.mode.startswith("I") and picture.has_transparency_data:
        return _grey_with_alpha(picture)
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


def _grey_with_alpha(picture: Picture) -> Picture:
    """Return 16 bits of grey, one value of which is transparent, in 8 bits: Pillow's own way makes white of nearly all."""
    import numpy as np
    from PIL import Image

    values = np.asarray(picture)
    grey, alpha = (values >> 8).astype("uint8"), np.where(values == picture.info["transparency"], 0, 255).astype("uint8")
    return Image.merge("RGBA", [Image.fromarray(band) for band in (grey, grey, grey, alpha)])


def _stamped(media: MediaType, stamp: Stamp | None) -> dict[str, Any]:
    if stamp is None:
        return {}
    own = {"xmp": stamp.xmp} if media is AVIF else {}  # an item of its tables of places, which Pillow writes
    if not stamp.parameters or media is GIF:
        return own
    if media is PNG:
        from PIL.PngImagePlugin import PngInfo

        chunks = PngInfo()
        chunks.add_text("parameters", stamp.parameters)
        return {"pnginfo": chunks}
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + stamp.parameters[:MAX_STAMP].encode("utf-16-be")  # UserComment
    return {"exif": exif, **own}


# -- videos --------------------------------------------------------------------------------------------------------------


def _remuxed(data: bytes, media: MediaType, stamp: Stamp | None) -> bytes:
    """Return the same pictures and sound in a new container: other tracks, chapters and every text of the old one are left.

    Where a video is transparent its pictures are encoded anew: what lies under it would go along, and be shown by players that
    know no alpha.
    """
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
        packets = (packet for packet in source.demux(picture, *source.streams.audio) if packet.dts is not None)
        first = [] if media is MP4 else list(islice(packets, _LOOKED_AT))
        seen = _Seen(target, picture) if any(map(_has_alpha, first)) else None
        kept = [*([] if seen else [picture]), *source.streams.audio]
        streams: dict[int, Stream] = {stream.index: target.add_stream_from_template(stream) for stream in kept}
        for stream in target.streams:
            stream.metadata.clear()
        if stamp and stamp.parameters:
            target.metadata["comment"] = stamp.parameters
        for packet in chain(first, packets):
            if seen and packet.stream.index == picture.index:
                target.mux(seen.again(packet))
            else:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
        if seen:
            target.mux(seen.again(None))
    return out.getvalue()


#: Packets in which a transparent video shows that it is one: its first picture is among them.
_LOOKED_AT = 64


def _has_alpha(packet: Packet[Any]) -> bool:
    """Say whether a second picture comes with a packet: how WebM keeps alpha (Matroska's BlockAdditions)."""
    return any(side.data_type == "matroska_block_additional" for side in packet.iter_sidedata())


class _Seen:
    """Decodes the pictures of a transparent VP8 or VP9 video and encodes what is seen of them."""

    def __init__(self, target: OutputContainer, picture: VideoStream) -> None:
        import av

        if not 0 < picture.width * picture.height <= MAX_PIXELS:
            raise ValueError("pictures beyond the cap")
        codec = "libvpx-vp9" if picture.codec_context.name == "vp9" else "libvpx"  # FFmpeg's own decoders pass alpha over
        self._decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
        self._decoder.extradata = picture.codec_context.extradata
        self._decoder.options = {"max_pixels": str(MAX_PIXELS)}  # a stream may change its size on the way
        stream = target.add_stream(codec, rate=picture.average_rate or 24, options={"crf": "18", "b:v": "0", "row-mt": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuva420p"
        if picture.time_base:
            stream.codec_context.time_base = picture.time_base
        self._stream = stream

    def again(self, packet: Packet[Any] | None) -> list[Packet[Any]]:
        """Return what is to be written for a packet; None: no more come."""
        frames = [_seen_frame(frame) for frame in self._decoder.decode(packet)]
        found = [made for frame in frames for made in self._stream.encode(frame)]
        return found if packet else [*found, *self._stream.encode(None)]


def _seen_frame(frame: VideoFrame) -> VideoFrame:
    """Return a picture of a video without the colours under what is transparent."""
    import av
    import numpy as np

    pixels = np.asarray(frame.to_ndarray(format="rgba"), "uint8")
    pixels[pixels[:, :, 3] <= UNSEEN_IN_VIDEO] = 0
    made = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgba").reformat(format="yuva420p")
    made.pts, made.time_base = frame.pts, frame.time_base
    return made
