"""What was read of a sidecar: an entry, or why it cannot be read, each with its file's stamp."""

from __future__ import annotations

import json

import msgspec

from opstore.errors import OpstoreError, Said
from opstore.errors.sentence import said_again
from opstore.index.entry import Entry

#: The stamp of a file that must be looked at again.
UNSETTLED = 0


class Broken(msgspec.Struct, frozen=True, gc=False, array_like=True, tag_field="record", tag="broken"):
    """A sidecar that cannot be read: the kind of problem, and why."""

    id: str
    kind: str
    reason: str


#: What was read, and the file's stamp.
Observed = tuple[Entry | Broken, int]


def broken(operation_id: str, kind: str, error: OpstoreError) -> Broken:
    """Return the problem of an operation, its reason kept so that a page can still translate it."""
    reason = error.details.get("reason", str(error))
    known = isinstance(reason, Said)
    parts = [reason.template, reason.details] if isinstance(reason, Said) and known else [str(reason).replace("{", "{{"), {}]
    return Broken(operation_id, kind, json.dumps(parts, default=str))


def reason_of(text: str) -> Said:
    """Return the sentence that `broken` kept."""
    template, details = json.loads(text)
    return said_again(template, details)
