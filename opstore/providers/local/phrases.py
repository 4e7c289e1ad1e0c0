"""What the local engine answers when it cannot do what was asked: a sentence that says what to do, and the kind of failure."""

from __future__ import annotations

from opstore.errors import ProviderRefused
from opstore.errors.sentence import Said


def refusal(reason: Said, kind: str = "invalid input") -> ProviderRefused:
    """Return the error to raise; where no other `kind` is said, something was asked that cannot be done."""
    return ProviderRefused(reason=reason, kind=kind)
