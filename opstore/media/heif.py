"""Still pictures in the boxes of ISO 14496-12, HEIC and AVIF: told apart by their brands, measured before anything decodes them.

Whatever the bytes say, only boxes that lie within them are looked into, and never more than a bounded number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

Kind = Literal["heic", "avif"]

#: Major brands that name a coding (ISO 23008-12 annex B; AV1 Image File Format 1.2, section 4), and those that leave it open.
_CODED: dict[bytes, Kind] = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "heic"),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
}
_OPEN = frozenset((b"mif1", b"msf1"))
#: Every brand of still pictures: none of them is a video, whatever else it says it is compatible with.
BRANDS = frozenset(_CODED) | _OPEN
#: Boxes looked at: a telephone's photo of 48 tiles has about 150.
_MOST_BOXES = 4096


def kind(brands: list[bytes]) -> Kind | None:
    """Return what a file with these brands is, the major one first; None for any other."""
    if not brands or brands[0] not in _OPEN:
        return _CODED.get(brands[0]) if brands else None
    return next((_CODED[brand] for brand in brands if brand in _CODED), None)


def size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of the largest picture in the file (tiles and thumbnails are others), None if none is told.

    The size is that of the pixels as they are coded, before they are turned.
    """
    found: list[tuple[int, int]] = []
    for name, start, end in _within(data, (b"meta", b"iprp", b"ipco")):
        if name == b"ispe" and end - start >= 12:
            found.append(struct.unpack(">II", data[start + 4 : start + 12]))
    return max(found, key=lambda side: side[0] * side[1], default=None)


def _within(data: bytes, path: tuple[bytes, ...]) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes in the first box that a path of names leads to, as name, start and end of their content."""
    start, end = 0, len(data)
    for name in path:
        place = next(((at, to) for found, at, to in _boxes(data, start, end) if found == name), None)
        if place is None:
            return
        start, end = place[0] + (4 if name == b"meta" else 0), place[1]  # meta has a version and flags before its boxes
    yield from _boxes(data, start, end)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 8
        if length == 1:  # the length stands behind the name, in eight bytes
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif length == 0:  # to the end of what it lies in
            length = end - at
        if length < head or at + length > end:
            return
        yield name, at + head, at + length
        at += length
