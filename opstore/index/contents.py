"""Which operations hold a file of the same bytes: a table of short codes, so that families are found without a declared parent.

A code is 31 bits of the SHA-256 and one bit for "was made here"; an operation is kept by the number that its id is, which no move
of its row changes. Rows are only added: what is gone is told by its missing sidecar, and forgotten by the next rebuild. A file
takes 24 bytes. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from opstore.index import order

#: Files of one operation that are noted.
MAX_FILES = 100


def code_of(sha256: str, made: bool) -> int:
    """Return the code of a content (64 hex digits): four bytes for SQLite, which counts below zero too."""
    return (int(sha256[:8], 16) & ~1 | made) - 2**31


def codes_of(sidecar: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the codes of a sidecar's files, none for those without a hash."""
    files = sidecar.get("files")
    entries = files if isinstance(files, list) else []
    found = (_code(entry) for entry in entries[:MAX_FILES] if isinstance(entry, dict))
    return tuple(dict.fromkeys(code for code in found if code is not None))


def _code(entry: Mapping[str, Any]) -> int | None:
    sha256, role = entry.get("sha256"), entry.get("role")
    if role not in ("input", "output", "intermediate") or not isinstance(sha256, str) or len(sha256) != 64:
        return None
    try:
        return code_of(sha256, role != "input")
    except ValueError:
        return None


def key_of(operation_id: str) -> int | str:
    """Return an id as a number; ids of another length or with an impossible time stay texts."""
    second = order.exact_second(operation_id)
    if len(operation_id) != 23 or second is None or not 0 <= second < 2**31:
        return operation_id
    return second << 32 | int(operation_id[15:], 16)


def id_of(key: int | str) -> str:
    """Return the id that `key_of` made a number of."""
    if isinstance(key, str):
        return key
    return f"{order.EPOCH + timedelta(seconds=key >> 32):%Y%m%d%H%M%S}_{key & 0xFFFFFFFF:08x}"
