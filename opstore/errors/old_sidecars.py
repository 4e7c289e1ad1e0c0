"""Reads sidecars that say how they failed in a sentence only, or in one of earlier releases: its parts, and what it is now.

Pure, and total: a text that nobody here wrote has no parts. Its kind: `providers.old_failures`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Sequence

#: Sentences that were said otherwise once, by what is said now: what was stored is still told in every language.
FORMER = {
    "Image {index} is not a picture that can be read here. Use JPEG, PNG, WebP or GIF.": (
        "Image {index} is not a picture that can be read here. Use JPEG, PNG, WebP, GIF, HEIC or AVIF."
    ),
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
    "it was passed on more than {count} times, last to {address}": "more than {count} redirects, the last to {address}",
    "{address} is damaged: its compression cannot be undone": "{address} is damaged: it cannot be decompressed",
    "its picture cannot be undone": "it cannot be decompressed",
    "{name} was not written as it was given": "{name} was not written correctly",
    "a media file that no sidecar names": "a media file that no metadata file names",
    "the sidecar names it and it is not there": "the metadata file names it, but it is missing",
    "its sidecar names it now": "its metadata file names it now",
    "a sidecar was written for it": "a metadata file was written for it",
    (
        "The sidecar of {operation_id} cannot be read: {reason}. The file is left as it is; `verify` lists it."
    ): "The metadata file of {operation_id} cannot be read: {reason}. The file is left as it is; `verify` lists it.",
    "the provider has deleted {address} ({status}); results are kept there for a short time only": (
        "the server does not have {address} ({status})"
    ),
    "no workflow takes {count} images; remove some": "no operation type takes {count} images; remove some",
}
#: More of a text than this tells nothing new: what went wrong stands at its beginning. No sentence of ours is as long.
_MAX_TEXT = 2_000
#: A template must say this much itself to be recognised in a sentence: "{host} is empty" would fit too many.
_TELLING = 12
_ADDRESS = re.compile(r"https?://\S+")


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
