"""What a prompt asks to do with several pictures: blend, row, column, grid, collage, or one inset in another.

Pure text work, like the vocabulary of edits; the words that it understood are blanked out, so that they name no edit too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from opstore.providers.local.folding import blank


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How several pictures become one. Numbers of pictures count from 1; `share` is the weight of the second in a blend."""

    kind: str
    share: float = 0.5
    inner: int = 1
    outer: int = 2
    corner: str = "bottom right"


_IMAGE = (
    r"(?:the |l'|la |le )?(?:(?:image|picture|photo) ?#?(\d)|(first|second|third|premiere|deuxieme|seconde|troisieme)(?: "
    r"(?:image|picture|photo|one))?)"
)
_ORDINAL = {"first": 1, "premiere": 1, "second": 2, "seconde": 2, "deuxieme": 2, "third": 3, "troisieme": 3}

_TABLE: tuple[tuple[str, str], ...] = (
    ("collage", r"collage|photo ?montage|montage|scrapbook|pele-mele"),
    ("grid", r"grid|grille|mosaic|mosaique|contact sheet|planche(?:[- ]contact)?|tiles?|tiled|damier"),
    (
        "row",
        r"side[ -]by[ -]side|cote[ -]a[ -]cote|next to (?:each other|one another)|next to|a cote (?:de|l'une? de "
        r"l'autre)|in a row|en ligne|before (?:and|/) after|avant (?:et|/) apres",
    ),
    (
        "column",
        r"one (?:above|below|under|over|on top of) the other|(?:l'une?|les unes?) (?:au-dessus|au dessus|sous|en "
        r"dessous) (?:de l'autre|des autres)|stack\w*|empile[rsz]?|vertically|in a column|en colonne|verticalement",
    ),
    (
        "inset",
        r"inset|incrust\w*|picture[ -]in[ -]picture|vignette dans|(?:insert|insere|place|put|paste|mets|met|colle|"
        r"overlay|pose|ajoute|add)[rsz]?(?= (?:the |l'|la |le )?(?:image|picture|photo|first|second|premiere|"
        r"deuxieme)\b.*?\b(?:in|into|inside|on|onto|over|dans|sur|within)\b)",
    ),
    (
        "blend",
        r"blend\w*|melang\w*|fond(?:re|s|u|us|ue|ez)|superpos\w*|overlay\w*|merg\w*|fusion\w*|mix\w*|double exposure|"
        r"double exposition|surimpression|combin\w*|morph\w*",
    ),
)
_PATTERNS = [(kind, re.compile(rf"\b(?:{pattern})(?!\w)")) for kind, pattern in _TABLE]
_NEEDS_MODEL = re.compile(
    r"\b(?:replac\w*|rempla[c]\w*|swap\w*|echang\w*|substitu\w*|transfer\w*|transfere\w*|(?:put|mets?) "
    r".{0,40}\b(?:wearing|hat|clothes|vetement)|"
    r"face|visage|style of|dans le style|wear\w*|porte(?:r|nt)?\b.{0,30}image)\b"
)
_PERCENT = re.compile(r"(\d{1,3}) ?(?:%|percent|pour ?cent)")
_TWO = re.compile(rf"{_IMAGE}.*?\b(?:in|into|inside|on|onto|over|dans|sur|within|de|of)\b.*?{_IMAGE}")
_CORNERS = (
    ("center", re.compile(r"\b(?:cent(?:er|re)|middle|milieu)\b")),
    ("top left", re.compile(r"(?=.*\b(?:top|upper|haut)\b)(?=.*\b(?:left|gauche)\b)")),
    ("top right", re.compile(r"(?=.*\b(?:top|upper|haut)\b)")),
    ("bottom left", re.compile(r"(?=.*\b(?:left|gauche)\b)")),
)
_NOT = re.compile(r"\b(?:not|no|without|don't|pas|sans|ne|n'|ni)\s+(?:\w+\s+){0,2}$")


def arrangement_of(folded: str) -> tuple[Arrangement | None, str]:
    """Return what is to be made of several pictures, if the prompt says so, and the folded prompt without those words."""
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(folded):
            if _NOT.search(folded[: match.start()]):
                continue
            rest = folded
            for used in list(pattern.finditer(folded)):
                rest = blank(rest, *used.span())
            return _arrangement(kind, folded), rest
    return None, folded


def needs_model(folded: str) -> bool:
    """Say whether a prompt asks to change a part of one picture after another, which only an AI model can."""
    return _NEEDS_MODEL.search(folded) is not None


def _arrangement(kind: str, folded: str) -> Arrangement:
    if kind == "blend":
        percent = _PERCENT.search(folded)
        return Arrangement(kind, share=min(int(percent[1]), 100) / 100 if percent else 0.5)
    if kind == "inset":
        corner = next((name for name, pattern in _CORNERS if pattern.search(folded)), "bottom right")
        inner, outer = _pair(folded)
        return Arrangement(kind, inner=inner, outer=outer, corner=corner)
    return Arrangement(kind)


def _pair(folded: str) -> tuple[int, int]:
    two = _TWO.search(folded)
    if two is None:
        return 1, 2
    inner = int(two[1]) if two[1] else _ORDINAL[two[2]]
    outer = int(two[3]) if two[3] else _ORDINAL[two[4]]
    return (inner, outer) if inner != outer else (1, 2)
