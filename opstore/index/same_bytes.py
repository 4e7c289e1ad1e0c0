"""Which operations hold a file of the same bytes: a table of keys, so that families are found without a declared parent.

A key is one number of eight bytes: 31 bits of the SHA-256, one bit for "was made here", and the second that the operation's id
belongs to, which no move of its row changes. Keys are only added: what is gone is told by its missing sidecar, and forgotten by
the next rebuild. A key takes 14.5 bytes where the table is written in its order. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Files of one operation that are noted.
MAX_FILES = 100
_ROLES = ("input", "output", "intermediate")
_FIRST, _LAST = -(2**31), 2**31 - 1


def code_of(sha256: str, made: bool) -> int:
    """Return the code of a content (64 hex digits): four bytes for SQLite, which counts below zero too."""
    return (int(sha256[:8], 16) & ~1 | made) - 2**31


def codes_of(sidecar: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the codes of a sidecar's files, none for those without a hash."""
    files = sidecar.get("files")
    if not isinstance(files, list):
        return ()
    codes: dict[int, None] = {}
    for entry in files[:MAX_FILES]:
        if not isinstance(entry, dict) or (role := entry.get("role")) not in _ROLES:
            continue
        sha256 = entry.get("sha256")
        if isinstance(sha256, str) and len(sha256) == 64:
            try:  # nothing that costs where nothing fails: a million files are read
                codes[code_of(sha256, role != "input")] = None
            except ValueError:
                continue
    return tuple(codes)


def keys_of(codes: Sequence[int], second: int) -> list[int]:
    """Return the keys of contents in an operation of a second; times beyond 1952 to 2088 share the first or the last one."""
    place = min(max(second, _FIRST), _LAST) - _FIRST
    return [code << 32 | place for code in codes]


def code_in(key: int) -> int:
    """Return the code of the content that a key tells of."""
    return key >> 32


def keys_from(code: int) -> tuple[int, int]:
    """Return the least and the greatest key of a content."""
    return code << 32, code << 32 | 0xFFFFFFFF


def seconds_of(key: int) -> tuple[int, int]:
    """Return the first and the last second that a key may stand for."""
    second = (key & 0xFFFFFFFF) + _FIRST
    return (-(2**39) if second == _FIRST else second), (2**39 if second == _LAST else second)
