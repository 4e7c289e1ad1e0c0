"""The kind of a failure by its sentence, for sidecars that say no kind: what anybody says, and what providers have registered.

Total: any text has a kind.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from opstore.providers import registry

#: What anybody's text contains, by its kind; the first that fits counts, so the narrow come before the wide. What is one
#: provider's own way of saying it stands in its registration.
_SAYS: Mapping[str, str | None] = {
    "nsfw": r"content polic|inappropriate",
    "payment": r"\b402\b|payment|billing|insufficient (?:credit|fund|balance)|spend(?:ing)? limit|budget|out of credit|quota",
    "rate limit": r"\b429\b|rate.?limit|throttl|asks to wait",
    "access": r"\b40[13]\b|unauthenticated|unauthori[sz]ed|forbidden|authentication|api.?(?:token|key)",
    "needs a model": None,
    "memory": r"\bOOM\b",
    "uncertain": r"whether the provider accepted|is not known: |unknown outcome",
    "interrupted": r"interrupted",
    "expired": r"expired|data.?removed|no longer (?:available|there)|\b410\b",
    "storage": (
        r"ENOSPC|no space left|disk|read-only|errno (?:5|13|28|30)\b|permission denied|EACCES|storage did not"
        r"|too many open files|EMFILE|folder"
    ),
    "timeout": r"time(?:d)?.?out|did not arrive within|took longer|ETIMEDOUT|\b504\b",
    "network": (
        r"ECONN\w+|ENOTFOUND|EAI_AGAIN|connection|network|socket|getaddrinfo|\bdns\b|fetch failed|unreachable|\bTLS\b|\bSSL\b"
        r"|cannot be reached|could not be downloaded|failed to download|\b50[0-3]\b|bad gateway|name resolution"
    ),
    "invalid input": (
        r"\b4(?:00|15|22)\b|invalid|validation|unsupported|must be|could not use this input"
        r"|is required|missing (?:image|prompt|parameter)|too large|cannot be (?:run|used)|not a picture"
    ),
    "not found": r"\b404\b|not found|does not exist|there is no (?:file|operation|model)",
    "not understood": (
        r"not understood|not understand|unexpected (?:answer|response|output)|JSON|parse|unexpected token"
        r"|result's address is not|result is larger"
    ),
    "crash": (
        r"CUDA|cuDNN|NCCL|traceback|\b[A-Z]\w*(?:Error|Exception)\b|segmentation fault|core dumped|exit (?:code|status)"
        r"|list index|NoneType|tensor"
    ),
    "canceled": r"cancell?ed|aborted|stopped by",
}
#: What went wrong stands at the beginning of a text.
_MAX_TEXT = 2_000


def error_kind(error: str | None, status: str) -> str | None:
    """Return the kind under which an operation's failure is counted, None for one that did not fail.

    `status` is `Operation.status`: how it ended wins over what the text says, where the two are about the same thing.
    """
    if status in ("canceled", "aborted", "expired"):
        return status
    if not error:
        return "other" if status == "failed" else None
    return _kind_of(error[:_MAX_TEXT])


@functools.lru_cache(maxsize=1_000)  # 170 µs each; a service that is down says the same a thousand times
def _kind_of(text: str) -> str:
    return next((kind for kind, pattern in patterns().items() if pattern.search(text)), "other")


@functools.cache
def patterns() -> dict[str, re.Pattern[str]]:
    """Return of each kind what a text contains, whoever says it."""
    said = [_SAYS, *(item.says for item in registry.registered())]
    kinds = dict.fromkeys(kind for says in said for kind in says)
    every = {kind: "|".join(filter(None, (says.get(kind) for says in said))) for kind in kinds}
    return {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in every.items() if pattern}
