"""How an operation failed, as data: the kind it is counted under, and the sentence a person is told, with its parts.

A sidecar keeps the sentence in English (`error`), and beside it the kind (`errorKind`) and the parts (`errorMessage`). The
sentence is what counts: parts that do not make it any more, since another program rewrote it, are not believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opstore.errors.sentence import Said, parts, sentence_of

#: Every kind there is: what providers, errors and sidecars say, and what is searched, counted and charted.
KINDS = (
    *("nsfw", "payment", "rate limit", "access", "needs a model", "memory", "uncertain", "interrupted", "expired", "storage"),
    *("timeout", "network", "invalid input", "not found", "not understood", "crash", "canceled", "aborted", "other"),
)
#: The sidecar's keys that say how it failed.
KEYS = ("error", "errorKind", "errorMessage")
#: Ends that say themselves why; of one that is `unknown` nobody can tell whether it is paid for.
_BY_STATUS = {"canceled": "canceled", "aborted": "aborted", "expired": "expired", "unknown": "uncertain"}


def recorded(error: str | None, status: str, kind: str | None = None) -> dict[str, Any]:
    """Return what a sidecar says of an operation that ended as `status` with this sentence; nothing failed where it is None."""
    if error is None:
        return {"error": None}
    told = {"error": error, "errorKind": _BY_STATUS.get(status) or kind or "other"}
    return told | {"errorMessage": parts(error)} if isinstance(error, Said) else told


def error_of(sidecar: Mapping[str, Any]) -> str | None:
    """Return a sidecar's sentence, as one that can be translated where its parts make it."""
    error = sidecar.get("error")
    if not isinstance(error, str):
        return None
    whole = sentence_of(sidecar.get("errorMessage"))
    return whole if whole is not None and whole == error else error
