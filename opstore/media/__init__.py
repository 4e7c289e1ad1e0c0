"""What bytes are: their type and their dimensions, told from the bytes alone.

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
from typing import TYPE_CHECKING, Literal

from opstore.errors import EmptyFile, InvalidRequest, UnsupportedMedia, said
from opstore.media import heif

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer
    from PIL.Image import Image as Picture

#: The most pixels of an image that is decoded: about 160 MB once it is in memory.
MAX_PIXELS = 40_000_000


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
    size = header_size(data, media)
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


def header_size(data: bytes, media: MediaType) -> _Size | None:
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
    size = header_size(data, media)
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

    size = header_size(data, media)
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
