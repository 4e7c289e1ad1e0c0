"""What stands around a named edit: is it wanted at all, reversed ("less"), how strong, and which numbers belong to it.

A clause ends at punctuation and at "and / then / et / puis", but never inside a named edit ("black and white").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from opstore.providers.local.folding import blank

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Context:
    """The words before and after one named edit, up to its neighbours, and what they say of it."""

    before: str
    after: str
    negated: bool
    reversed: bool
    amount: float


_BREAK = re.compile(
    r"[;!?\n]|,(?!(?<=\d,)\d)|[:.](?!\d)|"
    r"\b(?:and then|then|and|et puis|et ensuite|puis|ensuite|et|but|mais|apres|after that|also|aussi)\b"
)
_OR = re.compile(r"\b(?:or|ou|nor|ni)\b")

#: Said before these, a "not" denies nothing ("n'oublie pas de", "not only").
_NO_DENIAL = re.compile(
    r"\b(?:don't (?:forget|hesitate) to|do not (?:forget|hesitate) to|n'(?:oublie|hesite)[rz]? pas (?:de |d'|a )|not "
    r"(?:only|just)|"
    r"non seulement|pas seulement|no problem|pas mal)\b"
)
#: Said before these, it weakens ("pas trop sombre").
_WEAKENED = re.compile(
    r"(?:,? *\b(?:but|mais) )?\b(?:not (?:too|so|very|overly)(?: much)?|without too much|ne pas trop|(?:pas|sans) "
    r"(?:trop|tres|tellement)(?: d[e'])?)\b"
)
_SLIGHTLY = "\x01"

_DENIED = re.compile(
    r"\b(?:without|no|not|never|don'?t|doesn'?t|avoid|skip|except|instead of|rather than|neither|nor|"
    r"rather\b.{0,40}\bthan|plutot\b.{0,40}\bqu[e']|sans|ne|pas|ni|jamais|evite[rz]?|aucune?|au lieu d[e']|plutot "
    r"qu[e']|sauf)(?!\w)|\bn'"
)
_DENIED_AFTER = re.compile(r"^(?:[- ]?(?:la|le|les|l'image|l'|image|photo|it|them))*\s*(?:pas|jamais|plus)\b(?! (?:trop|que))")
#: What ends the reach of a denial within its clause ("not blurred with a border").
_TURN = re.compile(r"\b(?:with|avec|just|only|seulement|juste|instead)\b(?! (?:of|too|trop))")
#: Denials that list things: "without blur and rotation".
_LISTING = re.compile(r"\b(?:without|no|sans|avoid|ni|neither|pas d[e'])")
_FILLERS = re.compile(r"^(?:\s|\b(?:or|ou|nor|ni|any|the|a|an|of|de|des|du|d'|la|le|les|l'|une?|it|to)\b|')*$")

_REVERSED = re.compile(
    r"\b(?:less|moins|reduce|reducing|reduis|reduire|lower\w*|decreas\w*|diminu\w*|baisse[rz]?|remove|enleve[rz]?|"
    r"retire[rz]?|supprime[rz]?|"
    r"weaken|attenue[rz]?|too|trop|minus)\b"
)

_DEGREES: tuple[tuple[float, re.Pattern[str]], ...] = (
    (2.5, re.compile(r"\b(?:extreme\w*|maximum|max|enormement|completely|completement|totalement|a fond|as much as possible)\b")),
    (
        0.45,
        re.compile(
            rf"{_SLIGHTLY}|\b(?:slight(?:ly)?|a (?:tiny )?bit|a little|a touch|a tad|subtl[ey]|light(?:ly)?|gentl[ey]|"
            rf"soft(?:ly)?|faint(?:ly)?|somewhat|"
            r"thin|un (?:tout )?petit peu|un peu|legere?(?:ment)?|doucement|subtil(?:e|ement)?|un soupcon|a peine|fine?|"
            r"mince|discret\w*)\b"
        ),
    ),
    (
        1.8,
        re.compile(
            r"\b(?:very|much|a lot|lots|strong(?:ly|er)?|heav(?:y|ily)|really|intense(?:ly)?|hard|thick|tres|beaucoup|"
            r"fort(?:e|ement)?|vraiment|"
            r"intensement|bien plus|nettement|epaisse?|large|gros(?:se)?)\b"
        ),
    ),
)
_PERCENT = re.compile(r"(\d+(?:[.,]\d+)?) ?(?:%|percent|pour ?cent|p\. ?100)")


def _softened(folded: str) -> str:
    """Take out denials that deny nothing, keeping every place."""
    for match in list(_NO_DENIAL.finditer(folded)):
        folded = blank(folded, match.start(), match.end())
    for match in list(_WEAKENED.finditer(folded)):
        folded = blank(folded, match.start(), match.end())
        folded = folded[: match.start()] + _SLIGHTLY + folded[match.start() + 1 :]
    return folded


def _breaks(folded: str, spans: Sequence[Span]) -> list[Span]:
    inside = [m.span() for m in _BREAK.finditer(folded)]
    return [b for b in inside if not any(s < b[1] and b[0] < e for s, e in spans)]


def _amount(before: str, after: str) -> float:
    for text in (before, after):
        percent = _PERCENT.search(text)
        if percent:
            return min(max(float(percent[1].replace(",", ".")) / 50.0, 0.02), 4.0)
        for amount, pattern in _DEGREES:
            if pattern.search(text):
                return amount
    return 1.0


def contexts(folded: str, spans: Sequence[Span]) -> list[Context]:
    """Return the context of every named edit of `spans` (in their order) within the folded prompt."""
    folded = _softened(folded)
    breaks = _breaks(folded, spans)
    surroundings: list[Context] = []
    listing = reversing = False
    for i, (start, end) in enumerate(spans):
        clause = max((b[1] for b in breaks if b[1] <= start), default=0)
        stop = min((b[0] for b in breaks if b[0] >= end), default=len(folded))
        left = spans[i - 1][1] if i and spans[i - 1][1] > clause else clause
        right = spans[i + 1][0] if i + 1 < len(spans) and spans[i + 1][0] < stop else stop
        before, after, whole = folded[left:start], folded[end:right], folded[clause:start]
        continued = i > 0 and _continues(_between(folded, spans, i), _between(folded, spans, i + 1))
        reach = _TURN.split(whole)[-1]
        negated = bool(_DENIED.search(reach) or _DENIED_AFTER.match(after)) or (listing and continued)
        listing = negated and (bool(_LISTING.search(reach)) or (listing and continued))
        turned = bool(_REVERSED.search(before)) or (reversing and continued)
        reversing = turned
        surroundings.append(Context(before, after, negated, turned, _amount(before, after)))
    return surroundings


def _between(folded: str, spans: Sequence[Span], i: int) -> str:
    return folded[spans[i - 1][1] : spans[i][0]] if 0 < i < len(spans) else "."


def _continues(between: str, following: str) -> bool:
    """Say whether what governs one named edit governs the next too: "less contrast and saturation", "no blur, frame or text".

    A comma alone continues only a list that goes on to its "or" ("no blur, sepia" asks for sepia).
    """
    if "," in between and not _OR.search(between) and not (_OR.search(following) and _joining(following)):
        return False
    return _joining(between)


def _joining(between: str) -> bool:
    return bool(_FILLERS.match(re.sub(r"\b(?:and|et)\b|,", " ", between)))
