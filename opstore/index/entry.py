"""What the index keeps of an operation: read from a sidecar's bytes, as `Operation` would show it, whatever is in them.

A million sidecars are read at the first build, so this is the fast twin of `operation.decode` and `Operation.of`: where the bytes
leave any doubt the slow ones decide. `tests/test_index.py` holds the two against each other. What is kept: `fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from opstore.index.fields import BY_NAME, TABLE
from opstore.index.order import moment_of
from opstore.index.prompts import MAX_PROMPT
from opstore.index.same_bytes import codes_of
from opstore.index.sidecar import MILLION, THOUSAND, Source
from opstore.storage.operation import MAX_DEPTH, MAX_SIDECAR_BYTES, decode


class Named(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What code names of an entry; the fields that only the table names come behind.

    `cost` and `confidence` are millionths, `elapsed` milliseconds. `source` is a number for the inputs, the same for the same
    bytes in the same order; None if there are none or no hashes. `size` is the main output's in pixels: 1024x768. `contents`
    are codes of what its files hold (`same_bytes`), which the rows themselves do not keep: none in an entry of a row.
    """

    id: str
    prompt: str
    contents: tuple[int, ...]
    type: str
    status: str
    model: str | None
    provider: str | None
    output: str | None
    inputs: int
    rating: int | None
    favorite: bool
    tags: tuple[str, ...]
    batch: str | None
    parents: tuple[str, ...]
    elapsed: int | None
    cost: int | None
    currency: str | None
    error: str | None
    confidence: int | None
    source: int | None
    overridden: bool
    note: str | None
    seed: int | None
    size: str | None


if TYPE_CHECKING:
    Entry = Named
else:
    _OTHERS = [(field.name, field.kept.type) for field in TABLE if field.kept and field.name not in Named.__struct_fields__]
    Entry = msgspec.defstruct(
        "Entry", _OTHERS, bases=(Named,), frozen=True, gc=False, array_like=True, tag_field="record", tag="entry"
    )
    Entry.__doc__ = "What the index keeps of one operation."
#: The fields that are kept, in the order of an entry, which begins with what is none of them.
KEPT = {name: kept for name in Entry.__struct_fields__[3:] if (kept := BY_NAME[name].kept)}
_READERS = [kept.read for kept in KEPT.values()]


class Row(msgspec.Struct, frozen=True, gc=False):
    """What a tile shows of an operation, without a look at its files. `moment` is the time in the id, UTC."""

    id: str
    moment: datetime
    type: str
    status: str
    prompt: str
    model: str | None
    provider: str | None
    output: str | None
    inputs: int
    rating: int | None
    favorite: bool
    tags: tuple[str, ...]
    batch_id: str | None
    parents: tuple[str, ...]
    elapsed: float | None
    cost: float | None
    currency: str | None
    error_kind: str | None
    confidence: float | None
    overridden: bool
    note: str | None = None
    seed: int | None = None
    size: str | None = None

    @classmethod
    def of(cls, entry: Entry) -> Row:
        """Return the row of an entry."""
        return cls(
            id=entry.id,
            moment=moment_of(entry.id),
            type=entry.type,
            status=entry.status,
            prompt=entry.prompt,
            model=entry.model,
            provider=entry.provider,
            output=entry.output,
            inputs=entry.inputs,
            rating=entry.rating,
            favorite=entry.favorite,
            tags=entry.tags,
            batch_id=entry.batch,
            parents=entry.parents,
            elapsed=None if entry.elapsed is None else entry.elapsed / THOUSAND,
            cost=None if entry.cost is None else entry.cost / MILLION,
            currency=entry.currency,
            error_kind=entry.error,
            confidence=None if entry.confidence is None else entry.confidence / MILLION,
            overridden=entry.overridden,
            note=entry.note,
            seed=entry.seed,
            size=entry.size,
        )


# -- bytes to a sidecar --------------------------------------------------------------------------------------------------


_FAST = msgspec.json.Decoder()
#: Whole numbers of 19 digits and more may be too large; a look at the bytes costs less than a look at each number.
_DIGITS, _LONG = bytes.maketrans(b"123456789", b"000000000"), b"0" * 19


def sidecar_of(data: bytes, operation_id: str) -> dict[str, Any]:
    """Return what `operation.decode` returns, or raise what it raises, at a fifth of its cost for ordinary sidecars."""
    # Brackets may nest too deeply: the careful way looks. What else it refuses (half a character, no number), the fast one does.
    if len(data) < MAX_SIDECAR_BYTES and _LONG not in data.translate(_DIGITS):
        try:
            if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
                sidecar = _FAST.decode(data)
                if isinstance(sidecar, dict) and sidecar.get("operationId") == operation_id:
                    return sidecar
        except ValueError:
            pass
    return decode(data, operation_id)


# -- a sidecar to an entry -----------------------------------------------------------------------------------------------


def entry_of(sidecar: Mapping[str, Any], operation_id: str) -> Entry:
    """Return what the index keeps of a decoded sidecar."""
    source = Source(sidecar, operation_id)
    prompt = sidecar.get("prompt")
    return Entry(
        operation_id,
        prompt[:MAX_PROMPT] if isinstance(prompt, str) else "",
        codes_of(sidecar),
        *[read(source) for read in _READERS],
    )
