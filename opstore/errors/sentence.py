"""A sentence for a person that is still data: what is shown in English can be said in another language, from its parts."""

from __future__ import annotations

from typing import Any


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


def shown(value: object, limit: int = 60) -> str:
    """Return `value` as something that is safe in a message: escaped, ASCII, at most `limit` characters."""
    # Cut before it is escaped: somebody may have given a whole file as a name.
    text = ascii(value[: limit + 1]) if isinstance(value, str) else f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
