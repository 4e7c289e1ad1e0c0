"""Reads sidecars that say how they failed in a sentence only, or in one of earlier releases: its kind, its parts, what it is now.

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
#: Sentences that were said otherwise once, by what is said now: what was stored is still told in every language.
FORMER = {
    "no {provider} token is set; start with the variable {variable}": (
        "no {provider} API token is set; start with the variable {variable}"
    ),
    "fetched again": "downloaded again",
    "mending": "repairing",
    (
        "It was under way when the backup was taken. Whether it was sent since, and is paid for, is not known: look at "
        "the provider's own list before you run it again."
    ): (
        "It was under way when the backup was taken. It may have been sent and billed since: look at the provider's "
        "own list before you run it again."
    ),
    "bringing operations back": "restoring operations",
    "looking at the operations": "reading the operations",
    "{count} images were given; this takes at most {limit}. Remove some and try again.": (
        "Too many images: {count} given, at most {limit} accepted. Remove some and try again."
    ),
    "The result did not arrive within {seconds} seconds.": "The result did not arrive within {seconds} s.",
    "The provider asks to wait {seconds} seconds before the next request.": (
        "The provider asks to wait {seconds} s before the next request."
    ),
    "{count} variants were asked for; 1 to {limit} can be made": "variants requested: {count}; possible: 1 to {limit}",
    "the model {model} does not do {type} here; choose another one": (
        "the model {model} does not support {type}; choose another one"
    ),
    "{type} takes {wanted} images and {count} were given": "number of images for {type}: {wanted}; given: {count}",
    "{model} does not make {type}. It makes {types}.": "{model} does not support {type}. Supported types: {types}.",
    "{count} images were given, and this model takes at most {limit}.": (
        "too many images: {count} given, and this model takes at most {limit}."
    ),
    "{count} images were given; at most {limit} are accepted": (
        "Too many images: {count} given, at most {limit} accepted. Remove some and try again."
    ),
    "{provider} is not set up here; set its token, or choose local": (
        "{provider} is not set up here; set its API token, or choose local"
    ),
    "This needs {wanted} image(s), and {given} came. Add or remove images and try again.": (
        "Images needed: {wanted}; given: {given}. Add or remove images and try again."
    ),
    "The prompt speaks of image {index}, but only {given} came. Correct the number or add the image.": (
        "The prompt speaks of image {index}; images given: {given}. Correct the number or add the image."
    ),
    "no workflow takes {count} images; remove some": "no operation type takes {count} images; remove some",
}
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


def now(template: str) -> str:
    """Return how a sentence is said now; its details are the same."""
    return FORMER.get(template, template)


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
