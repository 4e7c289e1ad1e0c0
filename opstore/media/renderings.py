"""Pictures of what bytes are: a smaller one, a still, a frame of a video; each is told from the bytes alone, within the caps.

Pillow and PyAV are imported where they are used.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

from opstore.errors import UnsupportedMedia
from opstore.media import MAX_PIXELS, UPRIGHT, WEBP, MediaType, header_size, opened, opened_video, orientation, reading, sniff
from opstore.media.likeness import in_srgb

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer
    from PIL.Image import Image as Picture

_BLACK = 10.0  # mean brightness, of 255, up to which a frame counts as black; a starry sky has more
_POSTER_FRAMES = 48  # frames looked at for one that is not black: 2 s at 24 a second


def thumbnail(data: bytes, side: int = 320) -> bytes:
    """Return a small picture of an image or video, its longest side at most `side`: JPEG, or WebP where parts are transparent.

    It carries no metadata of the original. Of an animation it shows the first frame, of a video the first that is not black.
    """
    media = sniff(data)
    if media is None:
        raise UnsupportedMedia(index=1)
    with reading(1):
        if media is WEBP and (small := _small_lossy(data, side)):
            return _encoded(small)
        picture = _poster(data, media) if media.kind == "video" else opened(data, media)
        return _encoded(_small(picture, side, "HAMMING"))


def still(data: bytes, side: int | None = None) -> Picture:
    """Return an image decoded and upright, RGB or RGBA, its longest side at most `side`; of an animation the first frame."""
    media = sniff(data)
    if media is None or media.kind != "image":
        raise UnsupportedMedia(index=1)
    with reading(1):
        return _small(opened(data, media), side)


def frame(data: bytes, at: float | None) -> bytes:
    """Return the frame of a video that is seen at `at` seconds, the last one for None or beyond its end, as a PNG."""
    media = sniff(data)
    if media is None or media.kind != "video":
        raise UnsupportedMedia(index=1)
    with reading(1), _frames(data, media) as (container, stream):
        seen = _frame_at(container, stream, at)
        out = io.BytesIO()
        _upright(seen).save(out, "PNG", compress_level=3)  # of 1080p: 0.2 s; the default takes three times as long
        return out.getvalue()


def _small(picture: Picture, side: int | None, by: Literal["LANCZOS", "HAMMING"] = "LANCZOS") -> Picture:
    """Scale where a `side` is given, turn upright, bring into sRGB, and reduce to RGB, or RGBA where something shows through.

    HAMMING takes half the time (7 ms of 15 for 1024 pixels to 480), and nobody measures what is shown so small.
    """
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits of grey: convert("L") would make white of all that is above 255
        picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("L", "RGB", "CMYK"):  # palettes and 1 bit would be scaled without blending
        picture = picture.convert("RGB")
    if side is not None:
        picture.thumbnail((side, side), Image.Resampling[by])  # a JPEG is decoded at 1/2, 1/4 or 1/8 for it
    turn = UPRIGHT.get(orientation(picture))
    picture = in_srgb(picture)  # a small copy names no profile, and two pictures are compared as they are seen
    if turn:
        picture = picture.transpose(Image.Transpose[turn])
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255):
        return picture
    return picture.convert("RGB")


#: Brightness and colour of a lossy WebP or a video (16 to 235, 16 to 240) as a JPEG has them: from 0 to 255, grey stays grey.
_WHOLE_RANGE = [max(0, min(255, round((value - 16) * 255 / 219))) for value in range(256)] + 2 * [
    max(0, min(255, round(128 + (value - 128) * 255 / 224))) for value in range(256)
]


def _small_lossy(data: bytes, side: int) -> Picture | None:
    """Return a plain lossy WebP, the usual result, scaled to `side` in brightness and colour; None for any other or damaged file.

    FFmpeg decodes and scales 1024 x 1024 in 14 ms where Pillow takes 30: RGB is never made, and a JPEG wants none.
    """
    end, size = 20 + int.from_bytes(data[16:20], "little"), header_size(data, WEBP)
    if data[12:16] != b"VP8 " or end > len(data) or size is None or not 0 < size[0] * size[1] <= MAX_PIXELS:
        return None
    import av
    from PIL import Image

    codec = av.CodecContext.create("vp8", "r")
    codec.thread_count = 1
    try:
        frame = codec.decode(av.Packet(data[20:end]))[0]
    except (av.FFmpegError, IndexError):
        return None  # Pillow says what is wrong with it
    if (frame.width, frame.height) != size or frame.format.name != "yuv420p":
        return None
    share = min(1.0, side / max(size))
    width, height = (max(1, round(length * share)) for length in size)
    planes = frame.reformat(width, height, format="yuv444p", interpolation="AREA").planes
    bands = [Image.frombuffer("L", (width, height), bytes(plane), "raw", "L", plane.line_size, 1) for plane in planes]
    return Image.merge("YCbCr", bands).point(_WHOLE_RANGE)


def _encoded(picture: Picture) -> bytes:
    picture.info.clear()  # Pillow would write comment, profile or EXIF that it finds there
    out = io.BytesIO()
    if picture.mode == "RGBA":
        picture.save(out, "WEBP", quality=80, method=4)
    else:
        picture.save(out, "JPEG", quality=80, optimize=True)
    return out.getvalue()


@contextmanager
def _frames(data: bytes, media: MediaType) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video whose frames are within the cap."""
    with opened_video(data, media) as (container, stream):
        if stream is None or not 0 < stream.width * stream.height <= MAX_PIXELS:
            raise ValueError("no picture in it, or one beyond the cap")
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # a stream may change its size on the way
        stream.codec_context.thread_count = 1  # one frame is wanted: more threads only decode ahead
        yield container, stream


def _poster(data: bytes, media: MediaType) -> Picture:
    """Return the first frame that is not black, or, where the beginning is all black, the first."""
    with _frames(data, media) as (container, stream):
        return _upright(_first_bright(islice(container.decode(stream), _POSTER_FRAMES)))


def _frame_at(container: InputContainer, stream: VideoStream, at: float | None) -> VideoFrame:
    """Return the last frame that begins at `at` seconds or before; decoding starts at the key frame before that."""
    if at != 0:
        end = container.duration / 1e6 if container.duration and container.duration > 0 else 0.0
        start = end if at is None else min(at, end)
        container.seek(max(0, int(start * 1e6)), backward=True)
    seen = None
    for found in container.decode(stream):
        # Times of stored clips rarely hit a frame to the microsecond: half a millisecond is granted.
        if seen is not None and at is not None and (found.time or 0.0) - _start(stream) > at + 5e-4:
            break
        seen = found
        if at == 0:
            break
    if seen is None:
        raise ValueError("no frame can be read")
    return seen


def _start(stream: VideoStream) -> float:
    return float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0


def _upright(frame: VideoFrame) -> Picture:
    return _picture(frame).rotate(frame.rotation, expand=True)  # both count counter-clockwise


def _first_bright(frames: Iterator[VideoFrame]) -> VideoFrame:
    from av import FFmpegError
    from PIL import ImageStat

    first = next(frames, None)
    if first is None:
        raise ValueError("no frame can be read")
    try:
        for frame in chain((first,), frames):
            if ImageStat.Stat(_picture(frame.reformat(width=32, height=32)).convert("L")).mean[0] > _BLACK:
                return frame
    except FFmpegError:  # damaged further on: the first frame could be read
        pass
    return first


def _picture(frame: VideoFrame) -> Picture:
    picture: Picture = frame.to_image()  # type: ignore[no-untyped-call] # PyAV's stub gives its options no types
    return picture
