"""Text as a person typed it, made comparable: accents, case, elisions and typographic signs folded, the language guessed.

`fold` keeps every character at its place, so a span found in the folded text is the same span in the text as typed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Language = Literal["en", "fr"]

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

_FRENCH = re.compile(
    r"\b(le|la|les|un|une|des|du|de|et|en|au|aux|avec|sans|plus|moins|tres|sur|dans|puis|cette?|mon|ma|noir|blanc|image|l'|d'|"
    r"qu'|n'|ne|pas|vers|par|rends|mets|met|fais|ajoute|tourne|pivote|recadre\w*|flou\w*|bordure|cadre|legende|ecris|couleurs?|"
    r"niveaux|gris|carre|inverse[rz]?|miroir|dessin|croquis|assombri\w*|eclairci\w*|lumineu\w*|redimensionn\w*|mer|plage|ville|"
    r"montagnes?|foret|nuit|neige|fleurs?|chateau|ciel|soleil|lune|fondu|volet|gauche|droite|haut|bas|cote|grille|"
    r"mosaique|melange)\b"
)
_ENGLISH = re.compile(
    r"\b(the|a|an|and|of|to|in|on|with|without|it|this|my|make|more|less|very|then|by|at|from|into|black|white|picture|photo|"
    r"turn|rotate|add|write|blur\w*|sharp\w*|crop|border|frame|brighter|darker|grayscale|invert|mirror|sea|beach|city|"
    r"mountains?|forest|night|snow|flowers?|castle|sky|sun|moon|fade|wipe|left|right|up|down|side|grid|blend)\b"
)


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


def language_of(prompt: str) -> Language:
    """Guess whether a prompt is French or English from its small words and its accents; English where nothing tells."""
    text = compose(prompt)
    folded = fold(text)
    accents = sum(sign in "éèêëàâçùûîïôœ«»" for sign in text.lower())
    french = len(_FRENCH.findall(folded)) + 2 * accents
    return "fr" if french > len(_ENGLISH.findall(folded)) else "en"


def blank(text: str, start: int, end: int) -> str:
    """Return `text` with a span replaced by spaces, so that nothing in it is found again and all else keeps its place."""
    return text[:start] + " " * (end - start) + text[end:]
