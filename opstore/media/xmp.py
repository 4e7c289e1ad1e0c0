"""XMP put into a file of any type where its standard wants it; not one byte of picture or sound is changed.

What is to be written is told as splices, so that a large file can be copied in pieces: (from, to, what stands there instead).
Places: XMP Specification part 3 for JPEG (APP1), PNG (iTXt), GIF (application extension) and MP4 (uuid box, as in its kin AVIF
and HEIC); the WebP container specification. Matroska names no place for XMP: a WebM file gets a tag of the property's own name.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Generator, Sequence
from typing import BinaryIO
from xml.sax.saxutils import escape

from opstore.media import AVIF, GIF, HEIC, JPEG, MP4, PNG, WEBM, WEBP, MediaType

#: Bytes from, bytes to, and what stands there instead.
Splice = tuple[int, int, bytes]
#: Makes the packet out of the one that is there (empty: none); empty where that cannot be.
Make = Callable[[bytes], bytes]
#: Segments of a JPEG, chunks of the others and boxes that are looked at; real files have some tens.
_MOST = 100_000
#: A packet that is longer is not read back to be added to.
_MOST_XMP = 1_000_000
#: Bytes of a file in memory while it is copied.
PIECE = 1024 * 1024

_IN_JPEG, _IN_PNG = b"http://ns.adobe.com/xap/1.0/\0", b"XML:com.adobe.xmp\0"
_AFTER_IHDR = 33
_WEBP_XMP, _WEBP_ALPHA = 0x04, 0x10
_IN_GIF, _GIF_LOOKED_AT = b"\x21\xff\x0bXMP DataXMP", 65_536
_SEGMENT = bytes.fromhex("18538067")
_IN_MP4 = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
#: GIF's packet has no length: readers of sub-blocks come to the end by what follows it, whatever byte they jump from.
_GIF_END = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
_NAMESPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
#: Where the description of another program's packet ends.
_END = b"</rdf:RDF>"


def source_packet(source: str) -> bytes:
    """Return a packet that says nothing but the digital source type, an address of IPTC's vocabulary."""
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        + f'<rdf:RDF xmlns:rdf="{_RDF}">'.encode()
        + _description(source)
        + b'</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def _description(source: str) -> bytes:
    name = "Iptc4xmpExt:DigitalSourceType"
    told = f"<{name}>{escape(source)}</{name}>"
    return f'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_NAMESPACE}">{told}</rdf:Description>'.encode()


def written(data: bytes, media: MediaType, packet: bytes, source: str) -> bytes:
    """Return a file with this packet in it in the place of any other; `source` for a type that takes a tag instead."""
    return spliced(data, _splices(io.BytesIO(data), media, lambda _old: packet, source))


def with_source(file: BinaryIO, media: MediaType, source: str) -> list[Splice]:
    """Return what a file needs to say its digital source type beside all that it says already; empty where it takes none."""

    def added(old: bytes) -> bytes:
        head, end, rest = old.rpartition(_END)
        return source_packet(source) if not old else head + _description(source) + end + rest if end else b""

    return _splices(file, media, added, source)


def spliced(data: bytes, splices: Sequence[Splice]) -> bytes:
    """Return data with its splices."""
    parts, at = [], 0
    for start, end, new in splices:
        parts += [data[at:start], new]
        at = end
    return b"".join([*parts, data[at:]])


def pieces(file: BinaryIO, splices: Sequence[Splice]) -> Generator[bytes]:
    """Yield a file with its splices, piece by piece."""
    at = 0
    for start, end, new in (*splices, (None, 0, b"")):
        file.seek(at)
        while part := file.read(PIECE if start is None else min(PIECE, start - at)):
            at += len(part)
            yield part
        if new:
            yield new
        at = end


def size(file: BinaryIO, splices: Sequence[Splice]) -> int:
    """Return how many bytes a file has with its splices."""
    return file.seek(0, io.SEEK_END) + sum(len(new) - (end - start) for start, end, new in splices)


def _splices(file: BinaryIO, media: MediaType, make: Make, source: str) -> list[Splice]:
    """Return the splices of a file, none where it is cut or odd: it is then handed on as it is."""
    if media is WEBM:
        return _in_webm(file, source)
    return _IN[media](file, make)


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    """Return bytes of a file, fewer at its end, none behind it: where a length that it tells leads there may be no place."""
    if at >= file.seek(0, io.SEEK_END):
        return b""
    file.seek(at)
    return file.read(count)


def _in_jpeg(file: BinaryIO, make: Make) -> list[Splice]:
    at = place = 2
    start, end, old = 0, 0, b""
    for _ in range(_MOST):
        head = _read(file, at, 4 + len(_IN_JPEG))
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xD9, 0xDA):  # the pictures begin
            break
        after = at + 2 + int.from_bytes(head[2:4], "big")
        if head[1] == 0xE1 and head[4:] == _IN_JPEG:
            start, end, old = at, after, _read(file, at + len(head), after - at - len(head))
        elif head[1] == 0xE0 or (head[1] == 0xE1 and head[4:8] == b"Exif"):
            place = after
        at = after
    packet = make(old)
    size = 2 + len(_IN_JPEG) + len(packet)
    if not packet or size > 0xFFFF:
        return []
    return [(start or place, end or place, b"\xff\xe1" + struct.pack(">H", size) + _IN_JPEG + packet)]


def _in_png(file: BinaryIO, make: Make) -> list[Splice]:
    at, start, end, old = 8, 0, 0, b""
    for _ in range(_MOST):
        head = _read(file, at, 8 + len(_IN_PNG))
        if len(head) < 8 or head[4:8] == b"IEND":
            break
        size = int.from_bytes(head[:4], "big")
        if head[4:] == b"iTXt" + _IN_PNG and size <= _MOST_XMP:
            start, end, old = at, at + 12 + size, _png_text(_read(file, at + len(head), size - len(_IN_PNG)))
        at += 12 + size
    packet = make(old)
    if not packet or (start and not old):
        return []
    chunk = b"iTXt" + _IN_PNG + bytes(4) + packet  # not packed, of no language
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return [(start or _AFTER_IHDR, end or _AFTER_IHDR, whole)]


def _png_text(rest: bytes) -> bytes:
    """Return the text of an iTXt chunk from what follows its keyword; empty where it cannot be read."""
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]  # after the language and the translated keyword
    if rest[:1] != b"\1":
        return text
    try:
        return zlib.decompressobj().decompress(text, _MOST_XMP)
    except zlib.error:
        return b""


def _in_gif(file: BinaryIO, make: Make) -> list[Splice]:
    head = _read(file, 0, _GIF_LOOKED_AT)
    packet = make(b"")
    if len(head) < 13 or _IN_GIF in head:  # who has one already is not given a second
        return []
    place = 13 + (3 * 2 ** (1 + (head[10] & 7)) if head[10] & 0x80 else 0)  # after the table of colours
    return [(3, 6, b"89a"), (place, place, _IN_GIF + packet + _GIF_END)]


def _in_webp(file: BinaryIO, make: Make) -> list[Splice]:
    head = _read(file, 0, 30)
    if len(head) < 30:
        return []
    at, stop = 12, 8 + int.from_bytes(head[4:8], "little")
    start, end, old = stop, stop, b""
    for _ in range(_MOST):
        chunk = _read(file, at, 8)
        if at + 8 > stop or len(chunk) < 8:
            break
        size = int.from_bytes(chunk[4:], "little")
        after = at + 8 + size + size % 2
        if chunk[:4] == b"XMP " and size <= _MOST_XMP:
            start, end, old = at, after, _read(file, at + 8, size)
        at = after
    packet = make(old)
    if not packet or at != stop:
        return []
    extended = head[12:16] == b"VP8X"
    first = (20, 21, bytes([head[20] | _WEBP_XMP])) if extended else (12, 12, _webp_head(head))
    new = b"XMP " + struct.pack("<I", len(packet)) + packet + bytes(len(packet) % 2)
    size = stop - 8 + len(new) - (end - start) + (0 if extended else len(first[2]))
    return [(4, 8, struct.pack("<I", size)), first, (start, end, new)]


def _webp_head(head: bytes) -> bytes:
    """Return the VP8X chunk of a plain WebP: what is in the file, and its size less one in 24 bits each."""
    flags = _WEBP_XMP
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        wide, high = bits & 0x3FFF, bits >> 14 & 0x3FFF
        flags |= _WEBP_ALPHA if bits >> 28 & 1 else 0
    else:
        wide, high = (max(0, int.from_bytes(head[at : at + 2], "little") % 0x4000 - 1) for at in (26, 28))
    return b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0]) + wide.to_bytes(3, "little") + high.to_bytes(3, "little")


def _in_mp4(file: BinaryIO, make: Make) -> list[Splice]:
    length, at = file.seek(0, io.SEEK_END), 0
    start, end, old, last = length, length, b"", []
    for _ in range(_MOST):
        head = _read(file, at, 24)
        if at == length or len(head) < 8:
            break
        size = int.from_bytes(head[:4], "big")
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if size == 0:  # up to the end of the file, which will not be its end any more
            size = length - at
            last = [(at, at + 4, struct.pack(">I", size))] if size < 2**32 else []
        if head[4:8] == b"uuid" and head[8:] == _IN_MP4 and 24 <= size <= _MOST_XMP:
            start, end, old = at, at + size, _read(file, at + 24, size - 24)
        at += max(size, 8)
    packet = make(old)
    if not packet or at != length or (end < length and len(old) != len(packet)):
        return []  # cut; or tables of places would have to be moved with what follows
    return [*last, (start, end, struct.pack(">I", 24 + len(packet)) + b"uuid" + _IN_MP4 + packet)]


def _in_webm(file: BinaryIO, source: str) -> list[Splice]:
    """Return the tag at the end of the segment, whose size is told in as many bytes as before."""
    length, head = file.seek(0, io.SEEK_END), _read(file, 0, 64)
    first, width = _sized(head, 4)
    at = 4 + width + first
    head = _read(file, at, 12)
    if head[:4] != _SEGMENT or len(head) < 12:
        return []
    size, width = _sized(head, 4)
    most = 2 ** (7 * width) - 1
    tag = _element("67c8", _element("45a3", b"DigitalSourceType") + _element("4487", source.encode()))
    tags = _element("1254c367", _element("7373", _element("63c0", b"") + tag))
    new = (length, length, tags)
    if size == most:  # not told: up to the end of the file
        return [new]
    if at + 4 + width + size != length or size + len(tags) >= most:
        return []
    told = (size + len(tags) | 1 << 7 * width).to_bytes(width, "big")
    return [(at + 4, at + 4 + width, told), new]


def _sized(data: bytes, at: int) -> tuple[int, int]:
    """Return a size of EBML, and in how many bytes it is told."""
    width = 9 - data[at].bit_length()
    return int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1, width


def _element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + (len(content) | 1 << 28).to_bytes(4, "big") + content


_IN = {JPEG: _in_jpeg, PNG: _in_png, GIF: _in_gif, WEBP: _in_webp, AVIF: _in_mp4, HEIC: _in_mp4, MP4: _in_mp4}
