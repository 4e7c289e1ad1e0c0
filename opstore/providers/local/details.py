"""The particulars of one named edit, read from the words around it: degrees, axis, ratio, size, colour, width, count."""

from __future__ import annotations

import re
from typing import Any

from opstore.providers.local.colours import colours_in
from opstore.providers.local.modifiers import Context

_N = r"(\d+(?:[.,]\d+)?)"
_LEFT = re.compile(
    r"\b(?:left|gauche|counter[- ]?clockwise|anti[- ]?clockwise|anti[- ]?horaire|sens inverse des aiguilles|trigonometrique)\b"
)
_ANGLE = re.compile(rf"(-)?\s?{_N} ?(?:degrees?|degres?|deg|°)")
_BARE_ANGLE = re.compile(rf"(?:by|de|of|a)?\s*(-)?\s?{_N}\b(?! ?(?:px|%|x))")
_HALF = re.compile(r"\b(?:upside[- ]down|tete en bas|a l'envers|half|demi|around)\b")
_QUARTERS = re.compile(r"\b(?:three|trois|3)[ -]+(?:quarter|quarts?)")
_VERTICAL = re.compile(
    r"\b(?:vertical\w*|upside[- ]down|top to bottom|de haut en bas|haut et (?:le )?bas|a l'envers|tete en bas)"
)
_RATIO = re.compile(r"\b(\d{1,2}) ?(?::|/|x|by|sur|par) ?(\d{1,2})\b(?! ?%)")
_SIZE = re.compile(r"\b(\d{2,5}) ?(?:px|pixels?)? ?(?:x|by|par|sur|\*) ?(\d{2,5})\b")
_PERCENT = re.compile(rf"(?:(to|a|by|de|of) )?{_N} ?(?:%|percent|pour ?cent)")
_WIDE = re.compile(
    r"(?:(?:width|wide|largeur)(?: of| de| a| to)?\s*(\d{2,5}))|(\d{2,5}) ?(?:px|pixels?)?(?: de)? ?(?:wide|large(?:ur)?)"
)
_HIGH = re.compile(
    r"(?:(?:height|high|tall|hauteur)(?: of| de| a| to)?\s*(\d{2,5}))|(\d{2,5}) ?(?:px|pixels?)?(?: de)? ?(?:high|tall|"
    r"haut(?:eur)?)\b"
)
_TIMES = re.compile(r"\b(two|three|four|deux|trois|quatre|[2-8]) (?:times|fois)|\b([2-8])x\b|\bx ?([2-8])\b")
_COUNT = {"two": 2, "deux": 2, "three": 3, "trois": 3, "four": 4, "quatre": 4}
_SMALLER = re.compile(
    r"\b(?:small\w*|shrink\w*|petite?s?|reduis\w*|reduire|reduce|retreci\w*|downs\w*|scale (?:\w+ )*down|divise[rz]?|"
    r"diminue[rz]?|less|moins)\b"
)
_LARGER = re.compile(
    r"\b(?:big\w*|larg\w+|enlarg\w*|agrandi\w*|grande?s?|up(?:scal|siz)\w*|scale (?:\w+ )*up|augmente[rz]?|double|twice)\b"
)
_HALVED = re.compile(r"\bhal(?:f|ve)|moitie")
_DOUBLED = re.compile(r"\bdouble|\btwice")
_PIXELS = re.compile(r"(\d{1,4}) ?(?:px|pixels?)\b")
_NUMBER = re.compile(r"\b(\d{1,3})\b")
_SHAPES = (
    ((1, 1), re.compile(r"\b(?:square|carree?)\b")),
    ((9, 16), re.compile(r"\b(?:story|reels?|vertical(?:e|ly)?)\b")),
    ((3, 4), re.compile(r"\bportrait\b")),
    ((4, 3), re.compile(r"\b(?:landscape|paysage)\b")),
    ((16, 9), re.compile(r"\b(?:wide(?:screen)?|panoram\w*|cinema\w*|horizontal(?:e|ly)?)\b")),
)


def detail(kind: str, named: str, context: Context) -> dict[str, Any]:
    """Return the fields of an edit of `kind`, named by the words `named`, that its context gives."""
    before, after = context.before, context.after
    around = f"{before} {named} {after}"
    match kind:
        case "rotate":
            return {"degrees": _degrees(named, before, after)}
        case "flip":
            return {"axis": "vertical" if _VERTICAL.search(f"{named} {after}") else "horizontal"}
        case "crop":
            return _crop(f"{named} {after}")
        case "resize":
            return _resize(named, before, after)
        case "border":
            return _border(before, after)
        case "posterize":
            return _levels(named, after)
        case "blur" | "pixelate":
            pixels = _PIXELS.search(around)
            return {"width": float(min(int(pixels[1]), 500))} if pixels and int(pixels[1]) else {}
        case _:
            return {}


def _value(text: str) -> float:
    return float(text.replace(",", "."))


def _degrees(named: str, before: str, after: str) -> float:
    text = f"{before} {named} {after}"
    left = _LEFT.search(text) is not None
    angle = _ANGLE.search(f"{after} | {before}") or _BARE_ANGLE.match(after)
    if angle:
        turn = _value(angle[2]) * (-1 if angle[1] else 1)
    elif _QUARTERS.search(text):
        turn = 270.0
    elif _HALF.search(text):
        turn = 180.0
    else:
        turn = 90.0
    turn = (-turn if left else turn) % 360
    return turn - 360 if turn > 180 else turn


def _crop(text: str) -> dict[str, Any]:
    size = _SIZE.search(text)
    if size and max(int(size[1]), int(size[2])) > 50:
        return {"size": (int(size[1]), int(size[2]))}
    ratio = _RATIO.search(text)
    if ratio and int(ratio[1]) and int(ratio[2]):
        return {"ratio": (int(ratio[1]), int(ratio[2]))}
    shape = next((shape for shape, pattern in _SHAPES if pattern.search(text)), None)
    percent = _PERCENT.search(text)
    if shape is None and percent:
        share = min(max(_value(percent[2]) / 100, 0.01), 0.99)
        return {"scale": share if percent[1] in ("to", "a") else 1 - share}
    return {"ratio": shape} if shape else {}


def _resize(named: str, before: str, after: str) -> dict[str, Any]:
    text = f"{named} {after}"
    stretch = re.search(r"\b(?:stretch\w*|etir\w*|deform\w*|exactly|exactement)", f"{before} {text}") is not None
    size = _SIZE.search(text)
    if size:
        return {"size": (int(size[1]), int(size[2])), "stretch": stretch}
    percent = _PERCENT.search(text) or _PERCENT.search(before)
    if percent:
        return {"scale": _scale(_value(percent[2]) / 100, percent[1], f"{before} {named}")}
    wide, high = _WIDE.search(text), _HIGH.search(text)
    if wide or high:
        return {"size": (_first(wide), _first(high)), "stretch": stretch}
    factor = _factor(f"{before} {text}")
    if factor:
        return {"scale": factor}
    pixels = re.search(r"\b(\d{2,5})\b", text)
    if pixels:
        return {"size": (int(pixels[1]), -1)}
    return {"scale": 1.5 if _LARGER.search(text) and not _SMALLER.search(text) else 0.5}


def _first(match: re.Match[str] | None) -> int:
    return int(next(g for g in match.groups() if g)) if match else 0


def _scale(share: float, word: str | None, text: str) -> float:
    """Turn "by 30 %" into a factor: of the size if nothing says smaller or larger, else the change."""
    by = word in ("by", "de", "of")
    if by and _SMALLER.search(text):
        return max(1 - share, 0.01)
    if by and _LARGER.search(text):
        return 1 + share
    return share


def _factor(text: str) -> float | None:
    if _HALVED.search(text):
        return 0.5
    if _DOUBLED.search(text):
        return 2.0
    times = _TIMES.search(text)
    if times is None:
        return None
    word = next(g for g in times.groups() if g)
    count = _COUNT.get(word) or int(word)
    return 1 / count if _SMALLER.search(text) else float(count)


def _border(before: str, after: str) -> dict[str, Any]:
    # The colour stands before the word in English ("a red border") and after it in French; the nearer side is read first.
    colours = colours_in(after) or colours_in(before)
    near = colours_in(before)
    border: dict[str, Any] = {"colour": near[-1] if near and not colours_in(after) else colours[0]} if colours else {}
    text = f"{before} {after}"
    pixels, percent = _PIXELS.search(text), _PERCENT.search(text)
    if pixels and int(pixels[1]):
        border["width"] = float(pixels[1])
    elif percent and _value(percent[2]) > 0:
        border["width"] = min(_value(percent[2]) / 100, 0.5)
    return border


def _levels(named: str, after: str) -> dict[str, Any]:
    colours = re.search(r"(\d+) (?:\w+ )?(?:colou?rs|couleurs)", f"{named} {after}")
    if colours:
        return {"colours": min(max(int(colours[1]), 2), 256)}
    number = _NUMBER.search(after)
    return {"width": float(min(max(int(number[1]), 2), 64))} if number else {}
