"""What a prompt asks of the camera, and of the passage between two stills: pure text work, French and English."""

from __future__ import annotations

import re
from dataclasses import dataclass

from opstore.providers.local.folding import compose, fold
from opstore.providers.local.modifiers import contexts


@dataclass(frozen=True, slots=True)
class Move:
    """A camera move over a still: `zoom` 1 in, -1 out; `pan` where the camera goes; `turn` 1 clockwise; `amount` 1.0 as usual."""

    zoom: int = 0
    pan: tuple[int, int] = (0, 0)
    turn: int = 0
    amount: float = 1.0


@dataclass(frozen=True, slots=True)
class Passage:
    """How the first still gives way to the second: "fade", "wipe" (with the way its edge goes), "iris" or "dissolve"."""

    kind: str = "fade"
    way: tuple[int, int] = (1, 0)


_WAYS: tuple[tuple[tuple[int, int], str], ...] = (
    ((-1, 0), r"left(?:wards?)?|gauche|leftward"),
    ((1, 0), r"right(?:wards?)?|droite"),
    ((0, -1), r"up(?:wards?)?|upward|haut|monte[rz]?|top|rise"),
    ((0, 1), r"down(?:wards?)?|bas|descend\w*|bottom"),
)
_OUT = (
    r"zoom(?:ing|s)?[- ]?out|zoom\w* arriere|de-?zoom\w*|pull(?:ing)?[- ](?:back|out)|recul\w*|eloign\w*|zoom\w* (?:slowly |"
    r"gently |lentement )?out|dolly out"
)
_IN = r"zoom\w*|closer|rapproch\w*|push(?:ing)?[- ]in|dolly(?: in)?|s'approch\w*|approch\w*|gros plan"
_PAN = (
    r"pan(?:s|ning|orama|oramique)?|slid\w*|travell?ing|gliss\w*|deplac\w*|mov\w*|scroll\w*|camera|translat\w*|track\w*|tilt\w*"
)
_TURN = r"rotat\w*|spin\w*|turn\w*|tourn\w*|pivot\w*"
_LEFT_TURN = re.compile(r"\b(?:left|gauche|counter[- ]?clockwise|anti[- ]?clockwise|anti[- ]?horaire|sens inverse)\b")

_MOVES = re.compile(rf"\b(?:(?P<out>{_OUT})|(?P<turn>{_TURN})|(?P<zoom>{_IN})|(?P<pan>{_PAN}))(?!\w)")
_ANY_WAY = re.compile("|".join(rf"\b(?P<w{i}>{words})\b" for i, (_, words) in enumerate(_WAYS)))

_PASSAGES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("iris", re.compile(r"\b(?:iris|circ\w*|cercl\w*|ronde?s?|round)\b")),
    ("wipe", re.compile(r"\b(?:wip\w*|volets?|balay\w*|rideaux?|curtain|swipe|slid\w*|gliss\w*)\b")),
    ("dissolve", re.compile(r"\b(?:dissol\w*|grain\w*|spark\w*|pixel\w*|dispers\w*)\b")),
    ("fade", re.compile(r"\b(?:fad\w*|cross-?fad\w*|fondus?|enchain\w*|blend\w*|morph\w*|melang\w*)\b")),
)


def _way(text: str) -> tuple[int, int] | None:
    match = _ANY_WAY.search(text)
    return _WAYS[int((match.lastgroup or "w0")[1:])][0] if match else None


def move_of(prompt: str) -> Move | None:
    """Return the camera move that a prompt asks for, several joined; None where it names none."""
    folded = fold(compose(prompt))
    hits = list(_MOVES.finditer(folded))
    zoom, turn, pan, amount = 0, 0, (0, 0), 1.0
    for hit, context in zip(hits, contexts(folded, [h.span() for h in hits]), strict=True):
        if context.negated:
            continue
        amount = context.amount if context.amount != 1.0 else amount
        around = context.before + " " + context.after
        if hit["out"]:
            zoom = -1
        elif hit["turn"]:
            turn = -1 if _LEFT_TURN.search(around) else 1
        elif hit["zoom"]:
            zoom = -1 if re.search(r"\bout\b|\barriere\b", context.after) else 1
        way = None if hit["turn"] else _way(around)
        pan = way or pan
    if not hits:
        pan = _way(folded) or pan
    if not zoom and not turn and pan == (0, 0):
        return None
    return Move(zoom, pan, turn, amount)


def passage_of(prompt: str) -> Passage:
    """Return the passage between two stills that a prompt asks for; a cross-fade where it names none."""
    folded = fold(compose(prompt))
    found = [(match.start(), kind, match) for kind, pattern in _PASSAGES for match in pattern.finditer(folded)]
    found.sort(key=lambda hit: hit[0])
    around = contexts(folded, [match.span() for _, _, match in found])
    for (_, kind, _), context in zip(found, around, strict=True):
        if not context.negated:
            return Passage(kind, _way(context.after) or _way(context.before) or (1, 0))
    return Passage()
