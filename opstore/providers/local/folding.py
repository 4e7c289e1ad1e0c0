"""Text as a person typed it, made comparable: accents, case, elisions and typographic signs folded.

`fold` keeps every character at its place, so a span found in the folded text is the same span in the text as typed.
"""

from __future__ import annotations

import unicodedata

#: Prompts longer than this are cut before they are searched: no real prompt is, and it bounds the time of every pattern.
LONGEST = 4000

_SIGNS = {
    **dict.fromkeys("’‘ʼ`´′", "'"),
    **dict.fromkeys("‐‑‒–—−", "-"),
    **dict.fromkeys("“”„‟″", '"'),
    "×": "x",
    "œ": "o",
    "æ": "a",
    "ß": "s",
}


def _fold_one(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    kept = [c for c in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(c)]
    folded = "".join(kept).lower()[:1] or " "
    return " " if folded.isspace() else folded


def compose(text: str) -> str:
    """Return `text` with every accent joined to its letter, cut to `LONGEST`: what `fold` is given, place for place."""
    return unicodedata.normalize("NFC", text)[:LONGEST]


def fold(text: str) -> str:
    """Return composed `text` in lower case, without accents and with plain quotes: same length, same places."""
    return "".join(map(_fold_one, text))


def blank(text: str, start: int, end: int) -> str:
    """Return `text` with a span replaced by spaces, so that nothing in it is found again and all else keeps its place."""
    return text[:start] + " " * (end - start) + text[end:]
