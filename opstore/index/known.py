"""What the index knew before a look at the folder, in 13 bytes an operation: a million ids as strings would take 200 MB."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from opstore.index import order


class Known:
    """Ids with their stamps, each of which can be taken once; what is left at the end was not met."""

    def __init__(self, rows: Iterable[tuple[str, int]]) -> None:
        """Keep `rows`, ids in ascending order with their stamps."""
        self._keys = array("q")
        self._stamps = array("i")
        self._odd: dict[str, int] = {}
        for operation_id, stamp in rows:
            key = _key(operation_id)
            if key is None or (self._keys and self._keys[-1] >= key):  # unlike ours, or not in order: kept as it is
                self._odd[operation_id] = stamp
            else:
                self._keys.append(key)
                self._stamps.append(stamp)
        self._taken = bytearray(len(self._keys))

    def __len__(self) -> int:
        """Return how many are left."""
        return self._taken.count(0) + len(self._odd)

    def take(self, operation_id: str) -> int | None:
        """Take an id and return its stamp, None where it is not known."""
        key = _key(operation_id)
        if key is not None:
            place = bisect_left(self._keys, key)
            if place < len(self._keys) and self._keys[place] == key:
                self._taken[place] = 1
                return self._stamps[place]
        return self._odd.pop(operation_id, None) if self._odd else None

    def left(self) -> Iterator[str]:
        """Yield what was not taken."""
        yield from list(self._odd)
        place = self._taken.find(0)
        while place >= 0:
            yield _id(self._keys[place])
            place = self._taken.find(0, place + 1)


def _key(operation_id: str) -> int | None:
    second = order.exact_second(operation_id) if len(operation_id) == 23 else None
    # 31 bits of seconds go as far as 2088; what lies beyond is no time that anything was made at.
    return None if second is None or not -(2**31) <= second < 2**31 else (second << 32) | int(operation_id[15:], 16)


def _id(key: int) -> str:
    return f"{order.digits_of(key >> 32)}_{key & 0xFFFFFFFF:08x}"
