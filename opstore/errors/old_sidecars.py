"""Reads sidecars that say how they failed in a sentence only, of earlier releases and of other programs: its kind, its parts.

Pure, and total: any text has a kind, and one that nobody here wrote has no parts.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Iterable, Iterator, Sequence

#: What an error text contains, and its kind; the first that fits counts, so the narrow come before the wide.
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("nsfw", r"nsfw|flagged as sensitive|\bE005\b|safety (?:filter|checker|system)|content polic|moderation|inappropriate"),
        (
            "payment",
            r"\b402\b|payment|billing|insufficient (?:credit|fund|balance)|spend(?:ing)? limit|budget|out of credit|quota",
        ),
        (
            "rate limit",
            r"\b429\b|rate.?limit|too many requests|throttl|high demand|overloaded|asks to wait|\bE00[34]\b"
            r"|temporarily unavailable",
        ),
        ("access", r"\b40[13]\b|unauthenticated|unauthori[sz]ed|forbidden|authentication|api.?(?:token|key)"),
        (
            "needs a model",
            r"(?:no|needs an) AI model|(?:pas de|demande un) modèle d.IA|know the operation type|le type d.opération",
        ),
        ("memory", r"out of memory|\bOOM\b|\bE1001\b|not enough memory|mémoire ne suffit pas"),
        ("uncertain", r"whether the provider accepted|is not known: |unknown outcome"),
        ("interrupted", r"interrupted|code: PA\b|\bE(?:8367|8765|98\d\d|9243|6716)\b|unexpected error handling prediction"),
        ("expired", r"expired|data.?removed|no longer (?:available|there)|\b410\b"),
        (
            "storage",
            r"ENOSPC|no space left|disk|read-only|errno (?:5|13|28|30)\b|permission denied|EACCES|storage did not"
            r"|too many open files|EMFILE|folder",
        ),
        ("timeout", r"time(?:d)?.?out|deadline|did not arrive within|took longer|ETIMEDOUT|\b504\b"),
        (
            "network",
            r"ECONN\w+|ENOTFOUND|EAI_AGAIN|connection|network|socket|getaddrinfo|\bdns\b|fetch failed|unreachable|\bTLS\b|\bSSL\b"
            r"|cannot be reached|could not be downloaded|failed to download|\b50[0-3]\b|bad gateway|name resolution",
        ),
        (
            "invalid input",
            r"\b4(?:00|15|22)\b|\bE006\b|invalid|validation|cannot identify image|unsupported|must be|could not use this input"
            r"|is required|missing (?:image|prompt|parameter)|too large|cannot be (?:run|used)|not a picture"
            # What the local engine says, in both its languages.
            r"|this needs \d+ image|il faut \d+ image|it is damaged or not|est illisible|million pixels|millions de pixels"
            r"|too small to be cropped|petite pour ce recadrage|(?:prompt|demande) (?:is empty|est vide|speaks of|parle de)"
            r"|parameter \w+ cannot|paramètre \w+ ne peut|is empty\. Choose|images were given|MB are accepted",
        ),
        ("not found", r"\b404\b|not found|does not exist|there is no (?:file|operation|model)"),
        (
            "not understood",
            r"not understood|not understand|unexpected (?:answer|response|output)|JSON|parse|unexpected token"
            r"|result's address is not|result is larger",
        ),
        (
            "crash",
            r"CUDA|cuDNN|NCCL|traceback|\b[A-Z]\w*(?:Error|Exception)\b|segmentation fault|core dumped|exit (?:code|status)"
            r"|list index|NoneType|tensor|could not make this|pas pu faire cela|could not make it",
        ),
        ("canceled", r"cancell?ed|aborted|stopped by"),
    )
)
#: More of a text than this tells nothing new: what went wrong stands at its beginning. No sentence of ours is as long.
_MAX_TEXT = 2_000
#: A template must say this much itself to be recognised in a sentence: "{host} is empty" would fit too many.
_TELLING = 12
_ADDRESS = re.compile(r"https?://\S+")


# -- the kind ------------------------------------------------------------------------------------------------------------


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
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), "other")


# -- the parts -----------------------------------------------------------------------------------------------------------


def telling(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the templates among `texts` that can be told from a sentence, those that say most first."""
    weights = {text: sum(len(literal.replace(" ", "")) for literal, _field in _pieces(text)) for text in texts if "{" in text}
    found = [template for template, weight in weights.items() if weight >= _TELLING or "{url}" in template]
    return tuple(sorted(found, key=lambda template: -weights[template]))


def read(text: str, templates: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """Return the first of `templates` that gives `text`, and the details with which it does."""
    if len(text) > _MAX_TEXT or text.isspace():
        return None
    for template in templates:
        details = _details(template, text)
        if details is not None:
            return template, details
    return None


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    return ((literal, field) for literal, field, _spec, _conversion in string.Formatter().parse(template))


def _details(template: str, text: str) -> dict[str, str] | None:
    """Return the details with which `template` gives `text`, None where it cannot; each goes to the next word that fits."""
    details: dict[str, str] = {}
    at, field = 0, None
    pieces = [*_pieces(template)]
    for number, (literal, following) in enumerate(pieces if pieces[-1][1] is None else [*pieces, ("", None)], 1):
        if field is None:
            end = at if text.startswith(literal, at) else -1
        elif number < len(pieces) or following:
            end = text.find(literal, at)
        else:  # what is last stands at the end, whatever brackets somebody's words hold before it
            end = len(text) - len(literal) if text.endswith(literal) and len(text) - len(literal) >= at else -1
        if end < 0 or (field is not None and details.setdefault(field, text[at:end]) != text[at:end]):
            return None
        at, field = end + len(literal), following
    whole = at == len(text) and ("url" not in details or _ADDRESS.fullmatch(details["url"]))
    return details if whole else None
