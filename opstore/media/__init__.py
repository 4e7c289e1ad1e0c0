"""What bytes are: their type, their dimensions, and pictures of them, told from the bytes alone.

A name, an extension or a Content-Type is never asked. Only eight types exist here; all else, SVG and HTML first, is no media. The
number of pixels is read from the header, before Pillow or FFmpeg sees the file, and again once they have: a 10 kB PNG can
ask for gigabytes. Pillow and PyAV are imported where they are used, and each is told the one format it may try.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

from opstore.errors import EmptyFile, InvalidRequest, UnsupportedMedia, said
from opstore.media import heif

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer
    from PIL.Image import Image as Picture

#: The most pixels of an image that is decoded: about 160 MB once it is in memory.
MAX_PIXELS = 40_000_000

_BLACK = 10.0  # mean brightness, of 255, up to which a frame counts as black; a starry sky has more
_POSTER_FRAMES = 48  # frames looked at for one that is not black: 2 s at 24 a second

_Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class MediaType:
    """A type of file that is stored and shown: its media type, the extension it is stored under, and what it is."""

    name: str
    extension: str
    kind: Literal["image", "video"]


JPEG = MediaType("image/jpeg", "jpg", "image")
PNG = MediaType("image/png", "png", "image")
WEBP = MediaType("image/webp", "webp", "image")
GIF = MediaType("image/gif", "gif", "image")
AVIF = MediaType("image/avif", "avif", "image")
HEIC = MediaType("image/heic", "heic", "image")
MP4 = MediaType("video/mp4", "mp4", "video")
WEBM = MediaType("video/webm", "webm", "video")

# The name under which Pillow or FFmpeg knows the one format that it may try.
_FORMATS = {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP", GIF: "GIF", AVIF: "AVIF", HEIC: "HEIF", MP4: "mp4", WEBM: "webm"}

_MP4_BRANDS = frozenset(
    (b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"mp41", b"mp42", b"avc1", b"dash", b"msdh")
) | {b"M4V ", b"M4VP", b"M4VH"}
# Files of the same family that are no MP4 video, though they may list `isom` as well: QuickTime, audio, still pictures.
_OTHER_BRANDS = heif.BRANDS | {b"qt  ", b"M4A ", b"M4B ", b"M4P "}
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers; the three are tables and an extension
_JPEG_SEGMENTS = 10_000  # markers looked at; a photo has about 10, one with a large profile a few hundred

_ORIENTATION = 0x0112  # EXIF tag; its values 2 to 8 as what Pillow has to do to see the picture upright
UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself; None where it says nothing that can be trusted."""

    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None


def sniff(head: bytes) -> MediaType | None:
    """Return the type that the first bytes (4 kB are plenty, a whole file does no harm) announce, or None for any other file."""
    head = bytes(head[:4096])
    if head[:3] == b"\xff\xd8\xff":
        return JPEG
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return PNG
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp":
        return _boxed(head)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return WEBM if _doc_type(head) == b"webm" else None
    return None


def facts(data: bytes) -> Facts:
    """Return type, size as seen and length of `data`; never raises for bad bytes, only knows less.

    Images are not decoded. A picture above MAX_PIXELS is given its size as stored, without a look at its EXIF orientation. A
    video's size is that of its coded frames.
    """
    media = sniff(data)
    if media is None:
        return Facts()
    try:
        return _image_facts(data, media) if media.kind == "image" else _video_facts(data, media)
    except UnsupportedMedia:
        return Facts(media.name)


def check_image(data: bytes, index: int) -> MediaType:
    """Return the type of input image `index` (from 1) if it can be used: a known type, at most MAX_PIXELS, decodable."""
    if not data:
        raise EmptyFile(what=said("file of image {index}", index=index))
    media = sniff(data)
    if media is None or media.kind != "image":
        raise UnsupportedMedia(index=index)
    size = _header_size(data, media)
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        reason = said(
            "image {index} has {megapixels} megapixels; at most {limit} are accepted. Save it smaller and try again",
            index=index,
            megapixels=round(size[0] * size[1] / 1e6),
            limit=MAX_PIXELS // 1_000_000,
        )
        raise InvalidRequest(reason=reason)
    with reading(index):
        opened(data, media).load()
    return media


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


def frame_rate(data: bytes) -> float | None:
    """Return how many frames a second a video has, None for anything else or where it does not say."""
    media = sniff(data)
    if media is None or media.kind != "video":
        return None
    try:
        with reading(1), opened_video(data, media) as (_, stream):
            rate = stream.average_rate if stream else None
            return float(rate) if rate else None
    except UnsupportedMedia:
        return None


def _boxed(head: bytes) -> MediaType | None:
    """Look at the brands of the `ftyp` box: the major one, then, after four bytes of version, those it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[start : start + 4] for start in (8, *range(16, end - 3, 4)) if start + 4 <= end]
    if still := heif.kind(brands):
        return AVIF if still == "avif" else HEIC
    return MP4 if _MP4_BRANDS.intersection(brands) and not _OTHER_BRANDS.intersection(brands) else None


def _doc_type(head: bytes) -> bytes | None:
    """Return the DocType of an EBML header: elements of an id, a size and a value, ids and sizes of variable length."""
    size, at = _vint(head, 4)
    end = min(at + size, len(head))
    while at < end:
        start = at
        at += max(1, 9 - head[at].bit_length())
        element = head[start:at]
        size, at = _vint(head, at)
        if element == b"\x42\x82":
            return head[at : at + size].rstrip(b"\0")
        at += size
    return None


def _vint(head: bytes, at: int) -> tuple[int, int]:
    """Return an EBML size and the place after it; its length is told by the leading zero bits of its first byte."""
    first = head[at] if at < len(head) else 0
    length = 9 - first.bit_length()  # 9 for a zero byte: no valid size, the caller runs past its end
    value = int.from_bytes(head[at : at + length], "big")
    return value & ((1 << 7 * length) - 1), at + length


def _header_size(data: bytes, media: MediaType) -> _Size | None:
    """Return width and height as an image's header states them, None where it is cut or odd."""
    try:
        if media is PNG:
            return struct.unpack(">II", data[16:24])
        if media is GIF:
            return struct.unpack("<HH", data[6:10])
        if media in (AVIF, HEIC):
            return heif.size(data)
        return _jpeg_size(data) if media is JPEG else _webp_size(data)
    except (struct.error, IndexError):
        return None


def _jpeg_size(data: bytes) -> _Size | None:
    """Go from marker to marker, over junk and fill bytes as decoders do, to the one that opens the frame."""
    at = 2
    for _ in range(_JPEG_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0:
            return None
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker == 0xFF:
            at += 1
        elif marker <= 0x01 or 0xD0 <= marker <= 0xD8:  # these stand alone, all others carry their length
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _webp_size(data: bytes) -> _Size | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _image_facts(data: bytes, media: MediaType) -> Facts:
    size = _header_size(data, media)
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        return Facts(media.name, *size)
    with reading(1):
        picture = opened(data, media)
        # Asked for the EXIF block of a PNG, Pillow decodes all pixels to see whether one stands behind them: 4 ms instead of 0.1.
        readable = media is not PNG or "exif" in picture.info or "Raw profile type exif" in picture.info
        width, height = picture.size[::-1] if readable and orientation(picture) > 4 else picture.size
        return Facts(media.name, width, height)


@contextmanager
def reading(index: int) -> Iterator[None]:
    """Turn what Pillow and FFmpeg raise for damaged or hostile files (seen in 300,000 mutated ones) into UnsupportedMedia."""
    from PIL.Image import DecompressionBombError

    try:
        yield
    except (
        *(OSError, SyntaxError, ValueError, EOFError, OverflowError, ZeroDivisionError, MemoryError),
        *(LookupError, TypeError, AttributeError, RuntimeError, struct.error, zlib.error),
        *(DecompressionBombError, Warning, _ffmpeg_error()),  # Warning: where warnings were made errors
    ) as error:
        raise UnsupportedMedia(index=index) from error


def _ffmpeg_error() -> type[Exception]:
    import av  # only asked for once something was raised

    return av.FFmpegError


def opened(data: bytes, media: MediaType) -> Picture:
    """Open an image without decoding it; the cap is checked before, and after: a GIF's frame may be larger than its header."""
    from PIL import Image

    size = _header_size(data, media)
    if size is None or not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise ValueError("no size in its header, or one beyond the cap")
    if media is HEIC:
        import pi_heif

        pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    picture = Image.open(io.BytesIO(data), formats=[_FORMATS[media]])
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError("larger than its header says")
    return picture


def orientation(picture: Picture) -> int:
    """Return the EXIF orientation, or 1 (upright) where the EXIF block is absent or damaged: the picture may still be good."""
    try:
        value = picture.getexif().get(_ORIENTATION)
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error, Warning):
        return 1
    return value if isinstance(value, int) and value in UPRIGHT else 1


def _small(picture: Picture, side: int | None, by: Literal["LANCZOS", "HAMMING"] = "LANCZOS") -> Picture:
    """Scale where a `side` is given, turn upright and reduce to RGB, or RGBA where something shows through.

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
    if turn := UPRIGHT.get(orientation(picture)):
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
    end, size = 20 + int.from_bytes(data[16:20], "little"), _header_size(data, WEBP)
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
def opened_video(data: bytes, media: MediaType) -> Iterator[tuple[InputContainer, VideoStream | None]]:
    """Open a video with the one demuxer that fits: left to guess, FFmpeg would also follow playlists to other files."""
    import av

    with av.open(io.BytesIO(data), mode="r", format=_FORMATS[media]) as container:
        yield container, container.streams.video[0] if container.streams.video else None


def _video_facts(data: bytes, media: MediaType) -> Facts:
    with reading(1), opened_video(data, media) as (container, stream):
        seconds = container.duration / 1e6 if container.duration and container.duration > 0 else None  # FFmpeg's unit: 1 µs
        if stream is None:
            return Facts(media.name, seconds=seconds)
        return Facts(media.name, stream.width or None, stream.height or None, seconds)


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
