"""A sentence for a person that is still data: what is shown in English can be said in another language, from its parts.

The parts as plain JSON are `{"template", "details"}`; a detail is a text, a number, a list of these, or a sentence again.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Callable, Mapping
from typing import Any

#: Sentences within sentences, characters of a template, and of all that it says: more than this nobody here wrote. A template
#: that names one field 600 times, three deep, would say 100 MB in 6 kB.
_MAX_DEPTH, _MAX_TEMPLATE, _MAX_TEXT = 8, 2_000, 20_000


class Said(str):
    """A sentence that keeps its template and details, so that a page can say it in the viewer's language."""

    __slots__ = ("details", "template")

    template: str
    details: dict[str, Any]


def said(template: str, **details: Any) -> Said:
    """Return `template` filled in with `details`, a tuple as a list in words: an English text that can still be translated."""
    return said_again(template, details)


def said_again(template: str, details: dict[str, Any]) -> Said:
    """Return what `said` returned, from a template and details that were kept."""
    listed = {name: ", ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in details.items()}
    text = Said(template.format(**listed))
    text.template, text.details = template, details
    return text


def with_texts(text: Said, change: Callable[[str], str]) -> Said:
    """Return a sentence with every text among its details changed; its templates stay."""

    def changed(value: Any) -> Any:
        if isinstance(value, Said):
            return with_texts(value, change)
        return change(value) if isinstance(value, str) else value

    return said_again(text.template, {name: changed(value) for name, value in text.details.items()})


@functools.lru_cache(maxsize=1_000)
def fields(template: str) -> tuple[str, ...]:
    """Return the names of the fields of a template."""
    return tuple(field for _literal, field, _spec, _conversion in string.Formatter().parse(template) if field is not None)


# -- parts ---------------------------------------------------------------------------------------------------------------


def parts(text: Said) -> dict[str, Any]:
    """Return the parts of a sentence as plain JSON."""
    return {"template": text.template, "details": {name: _part(text.details[name]) for name in fields(text.template)}}


def _part(value: object) -> Any:
    if isinstance(value, Said):
        return parts(value)
    if isinstance(value, tuple):
        return [_part(item) for item in value]
    return value if isinstance(value, bool | int | float) else str(value)


def sentence_of(found: object) -> Said | None:
    """Return the sentence of parts that anybody may have written; None where they are none, or do more than fill in texts."""
    try:
        return _sentence(found, 0)
    except (ValueError, KeyError, TypeError):
        return None


def _sentence(found: object, depth: int) -> Said:
    if not isinstance(found, Mapping) or depth > _MAX_DEPTH:
        raise ValueError("no sentence")
    template, details = found["template"], found["details"]
    if not isinstance(template, str) or len(template) > _MAX_TEMPLATE or not isinstance(details, Mapping):
        raise ValueError("no sentence")
    for _literal, field, spec, conversion in string.Formatter().parse(template):
        if field is not None and (spec or conversion or not field.isidentifier()):
            raise ValueError("no plain field: a stored width would fill the memory, an attribute tell what is not to be told")
    filled = {name: _detail(details[name], depth) for name in dict.fromkeys(fields(template))}
    if sum(len(str(filled[name])) for name in fields(template)) > _MAX_TEXT:
        raise ValueError("no sentence")
    return said_again(template, filled)


def _detail(value: object, depth: int) -> Any:
    if isinstance(value, list):
        return tuple(_detail(item, depth + 1) for item in value)
    if isinstance(value, Mapping):
        return _sentence(value, depth + 1)
    if isinstance(value, str | int | float):
        return value
    raise TypeError("no detail")


def shown(value: object, limit: int = 60) -> str:
    """Return `value` as something that is safe in a message: escaped, ASCII, at most `limit` characters."""
    # Cut before it is escaped: somebody may have given a whole file as a name.
    text = ascii(value[: limit + 1]) if isinstance(value, str) else f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
