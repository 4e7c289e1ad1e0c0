"""Colour words in French and English, as red, green, blue: one table for borders, captions and composed pictures."""

from __future__ import annotations

import re

Colour = tuple[int, int, int]

_NAMES: dict[str, Colour] = {
    r"black|noire?s?": (16, 16, 20),
    r"white|blanc(?:he)?s?": (250, 250, 248),
    r"gr[ae]y|grise?s?": (128, 130, 134),
    r"silver|argente?e?s?": (192, 196, 204),
    r"dark red|rouge fonce|crimson|cramoisie?": (140, 18, 34),
    r"red|rouges?|scarlet|ecarlate": (214, 40, 46),
    r"burgundy|bordeaux|maroon": (112, 22, 46),
    r"dark blue|navy|bleu (?:fonce|marine|nuit)|midnight blue": (18, 34, 92),
    r"light blue|sky blue|bleu (?:clair|ciel)|azur[e]?": (120, 186, 236),
    r"blue|bleue?s?": (38, 92, 204),
    r"turquoise|teal|cyan|aqua": (34, 172, 178),
    r"dark green|vert fonce": (18, 78, 44),
    r"light green|vert clair|mint|menthe": (150, 216, 150),
    r"green|verte?s?|emerald|emeraude": (44, 148, 70),
    r"olive": (120, 124, 52),
    r"lime": (166, 216, 54),
    r"golden|gold|doree?s?": (226, 174, 58),
    r"yellow|jaunes?": (246, 212, 62),
    r"orange[sd]?|orangee?s?|amber|ambre": (242, 132, 38),
    r"coral|corail|salmon|saumon": (246, 126, 104),
    r"peach|peche": (250, 190, 150),
    r"light pink|rose (?:clair|pale)": (250, 206, 216),
    r"pink|roses?": (240, 128, 170),
    r"magenta|fuchsia": (214, 42, 140),
    r"purple|pourpres?|violet(?:te)?s?": (122, 58, 168),
    r"lavender|lavande|lilac|lilas|mauves?": (180, 154, 220),
    r"indigo": (62, 44, 140),
    r"brown|marron|brune?s?": (112, 74, 46),
    r"beige|sand|sable": (222, 202, 166),
    r"cream|creme|ivory|ivoire": (248, 240, 216),
    r"copper|cuivre|bronze": (178, 106, 58),
}
_PATTERNS = [(re.compile(rf"\b(?:{names})\b"), colour) for names, colour in _NAMES.items()]
_HEX = re.compile(r"#([0-9a-f]{6})\b")


def colours_in(folded: str) -> list[Colour]:
    """Return the colours that a folded text names, in its order; the longest name wins ("dark blue" is not also "blue")."""
    hits: list[tuple[int, int, Colour]] = [
        (m.start(), m.end(), (int(m[1][:2], 16), int(m[1][2:4], 16), int(m[1][4:], 16))) for m in _HEX.finditer(folded)
    ]
    hits += [(m.start(), m.end(), colour) for pattern, colour in _PATTERNS for m in pattern.finditer(folded)]
    colours: list[Colour] = []
    end = -1
    for start, stop, colour in sorted(hits, key=lambda hit: (hit[0], -hit[1])):
        if start >= end:
            colours.append(colour)
            end = stop
    return colours


#: One pattern that matches any colour name, for sentences where a colour follows ("dark" in "dark blue border").
ANY_COLOUR = "|".join(_NAMES)
