"""A French or English prompt as the list of edits it asks for, in its order, with amounts; what it says *not* to do is left out.

Pure text work: nothing here opens a picture, so a page can show what will be done while a person types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from opstore.providers.local.captions import take_captions
from opstore.providers.local.colours import ANY_COLOUR, Colour
from opstore.providers.local.details import detail
from opstore.providers.local.folding import compose, fold
from opstore.providers.local.modifiers import Context, contexts


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to a picture. `amount` is 1.0 for the usual strength; brightness, contrast, saturation and warmth carry a sign.

    `degrees` turn clockwise. `ratio`, `size` (either side may be 0: "keep the proportions") and `scale` belong to crop and
    resize; `colour`, `width` (pixels, or a share of the shorter side where below 1) and `text`, `place` to borders and captions.
    """

    kind: str
    amount: float = 1.0
    degrees: float = 0.0
    axis: str = "horizontal"
    ratio: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    scale: float | None = None
    stretch: bool = False
    colours: int = 0
    width: float = 0.0
    colour: Colour | None = None
    text: str = ""
    place: str = "bottom"


#: Kinds whose amount has a sign: "less contrast" is contrast with a negative amount.
SIGNED = frozenset({"brightness", "contrast", "saturation", "warmth"})
#: What "less blurry" and "less sharp" mean.
OPPOSITE = {"blur": "sharpen", "sharpen": "blur"}

#: Kinds that have no less: "reduce to 8 colours" and "smaller" say how, not that the edit is unwanted.
_SHAPED = frozenset({"resize", "crop", "rotate", "flip", "posterize"})

_IT = r"(?: (?:it|them|this|the (?:image|photo|picture|whole thing)|all|everything))?"
_L_IMAGE = r"(?: (?:l'image|la photo|l'ensemble|la|le|tout))?"
_NUMBER = r"\d+(?:[.,]\d+)?"

_TABLE: tuple[tuple[str, int, str], ...] = (
    (
        "grayscale",
        1,
        r"gr[ae]y[ -]?scaled?|black (?:and|&|n) white|b ?& ?w|noir (?:et|&) blanc|n ?& ?b|monochrom\w*|niveaux? de gris|"
        rf"tons? de gris|nuances? de gris|shades? of gr[ae]y|en gris|griser?|(?:turn|make){_IT} gr[ae]y|to gr[ae]y|"
        r"(?:without|remove (?:the |all )?|no|drop (?:the )?) ?colou?rs?|sans (?:aucune )?couleurs?|"
        r"(?:enleve|retire|supprime)[rz]? (?:les |la )?couleurs?|decolou?r\w*|desaturat\w* (?:completely|fully)",
    ),
    ("sepia", 1, r"sepia|vintage|old[ -]photo(?:graph)?|(?:vieille|ancienne) photo|a l'ancienne|photo ancienne"),
    (
        "invert",
        1,
        r"invert\w*|inverse[rsz]?|inversion|couleurs (?:sont )?inversees|(?:colou?r |photo(?:graphic)? )?negati(?:ve|f|"
        r"fs)|negatives",
    ),
    (
        "blur",
        1,
        r"blur\w*|flou(?:e|es|s|te|tes|ter|tez|tee?s?|tage)?|soft focus|out of focus|defocus\w*|gaussian(?: blur)?|flou gaussien",
    ),
    (
        "sharpen",
        1,
        r"sharp\w*|crisp\w*|nette?s?|net|nettete|piqu[e]|unblur\w*|deblur\w*|deflout\w*|"
        r"accentue\w* (?:les )?(?:details|contours)",
    ),
    (
        "brightness",
        1,
        r"bright\w*|lighten\w*|lighter|eclairci\w*|eclaire[rz]?|clair(?:e|es|s)?|claire?ment|lumineu\w*|luminosite|"
        r"illumin\w*|exposure|exposition",
    ),
    (
        "brightness",
        -1,
        rf"darken\w*|darker|dark(?! (?:{ANY_COLOUR}|border|frame|corners|edges))|dim(?:med|mer)?|assombri\w*|sombres?|fonce[rz]?",
    ),
    ("contrast", 1, r"contrast\w*|punch(?:y|ier)"),
    (
        "saturation",
        1,
        r"saturat\w*|satur(?:e|er|ee|ez)|vivid\w*|vibran\w*|viv(?:e|es|ids?)|colou?rful|coloree?s?|(?:bright(?:er)?|"
        r"stronger|more) colou?rs?|"
        r"(?:plus de |couleurs (?:plus )?(?:vives|eclatantes))(?:couleurs?)?|intensifie[rz]? les couleurs",
    ),
    (
        "saturation",
        -1,
        r"desatur\w*|muted?|pastel|faded(?: colou?rs)?|couleurs (?:plus )?(?:pales|ternes|passees|douces)|less "
        r"colou?rs?|moins de couleurs?",
    ),
    ("warmth", 1, r"warm\w*|chaud(?:e|es|s)?|rechauff\w*|chaleureu\w*"),
    ("warmth", -1, r"cooler|cooling|cool (?:tones?|colou?rs?|it)|cold(?:er)?|froid(?:e|es|s)?|refroidi\w*|bluer"),
    (
        "rotate",
        1,
        r"rotat\w*|pivot\w*|tilt\w*|inclin\w*|(?:turn(?:ed)?|tourne[rz]?|retourne[rz]?|spin)(?=(?:[^,;.]|[,.](?<=\d.)(?=\d))*?"
        r"(?:\d ?(?:deg|°)|\bleft\b|\bright\b|\bgauche\b|\bdroite\b|clockwise|horaire|upside|\benvers\b|around|quart|half|demi))|"
        r"(?:un |une )?demi[- ]tour|(?:a )?half[- ]turn|(?:un |trois |3 )?quarts? de tour|(?:a |three |3 )?quarter[- ]turns?|"
        r"upside[- ]down|(?:la )?tete en bas|a l'envers",
    ),
    (
        "flip",
        1,
        r"flip\w*(?: upside[- ]down)?|mirror\w*|(?:en |effet )?miroir|symetri\w*|inverse[rz]? (?:la )?gauche et (?:la )?droite|"
        r"(?:inverse[rz]?|retourne[rz]?)(?:-(?:la|le))? ?(?:l'image|la photo|l')? ?(?:horizontalement|verticalement|de "
        r"gauche a droite|de haut en bas)|"
        r"retourne[rz]?",
    ),
    (
        "crop",
        1,
        r"crop\w*|recadr\w*|rogn\w*|(?:au |en |in |to |to a )?format (?:carre|portrait|paysage|\d+ ?[:/x] ?\d+)|"
        rf"make{_IT} (?:a )?square|(?:in |to )?(?:a )?square format|rends{_L_IMAGE}-?(?:la|le)? carree?|en carre",
    ),
    (
        "resize",
        1,
        r"re-?siz\w*|re-?scal\w*|(?:up|down)scal\w*|(?:up|down)siz\w*|redimension\w*|agrandi\w*|enlarg\w*|bigger|larger|"
        r"smaller|shrink\w*|"
        rf"retreci\w*|plus (?:petite?s?|grande?s?)|scale{_IT} (?:to|by|up|down)|half (?:the |its )?(?:original )?size|"
        rf"(?:double|twice) (?:the |its )?size|"
        r"(?:double|divise|diminue|augmente|change|reduis|reduire|modifie)[rz]? (?:la |sa )?taille|(?:la )?moitie de "
        r"(?:la|sa) taille|"
        rf"(?:reduis|reduire|reduce|reduisez)(?:[ -](?:la|le|it|l'image|la photo|the (?:image|photo|picture)))? (?:size|"
        rf"de moitie|(?:de|a|to|by) {_NUMBER} ?%)|"
        r"(?:reduis|reduire|reduisez) (?:l'image|la photo)|taille \d+|(?:deux|trois|two|three|2|3|4) (?:fois|times) "
        r"(?:plus )?(?:grand|petit|bigger|smaller|larger)\w*",
    ),
    (
        "posterize",
        1,
        r"posteri[sz]\w*|poster (?:effect|style)|effet (?:affiche|poster)|(?:to |in |en |a )?\d+ (?:flat )?(?:colou?rs|couleurs)",
    ),
    (
        "pixelate",
        1,
        r"pixeli[sz]\w*|pixelli[sz]\w*|pixelat\w*|pixel[ -]?art|8[ -]?bits?|(?:gros|big) pixels|mosaic(?: effect)?|mosaique",
    ),
    ("sketch", 1, r"sketch\w*|pencil\w*|crayon\w*|croquis|esquisse\w*|dessin\w*|drawing|line[ -]?art"),
    ("edges", 1, r"edges?(?: detection)?|outlines?|contours?|detection (?:de|des) (?:contours|bords)"),
    (
        "vignette",
        1,
        r"vignett\w*|dark(?:er|en(?:ed)?)? (?:the )?(?:corners|edges)|(?:coins|bords) (?:plus )?(?:sombres|assombris)|"
        r"assombri\w* les (?:coins|bords)",
    ),
    ("border", 1, r"border\w*|frame[ds]?|framing|bordures?|cadres?|encadr\w*"),
)
#: Words that look like edits and belong to another: a shade of a colour, a sense of rotation.
_NEUTRAL = re.compile(
    rf"\b(?:sens inverse des aiguilles|(?:{ANY_COLOUR}) (?:fonce|clair|pale|vif|sombre)e?s?|(?:light|dark|bright|pale) "
    rf"(?:{ANY_COLOUR}))(?!\w)"
)
_PATTERNS = [(kind, sign, re.compile(rf"\b(?:{pattern})(?!\w)")) for kind, sign, pattern in _TABLE]

#: Every kind of edit, in the order in which the list of abilities shows them.
KINDS: tuple[str, ...] = (*dict.fromkeys(kind for kind, _, _ in _TABLE), "caption")


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in the folded prompt where an edit is named."""

    start: int
    end: int
    kind: str
    sign: int = 1
    edit: Edit | None = None


def _hits(folded: str) -> list[Hit]:
    """Find every edit named, the longest name winning where two overlap ("black and white" over "white")."""
    found = [Hit(m.start(), m.end(), kind, sign) for kind, sign, pattern in _PATTERNS for m in pattern.finditer(folded)]
    found += [Hit(m.start(), m.end(), "") for m in _NEUTRAL.finditer(folded)]
    kept: list[Hit] = []
    for hit in sorted(found, key=lambda h: (h.start - h.end, h.start)):
        if all(hit.end <= other.start or hit.start >= other.end for other in kept):
            kept.append(hit)
    return [hit for hit in kept if hit.kind]


def parse(prompt: str) -> list[Edit]:
    """Return the edits that `prompt` asks for, in its order; nothing that it says not to do."""
    text = compose(prompt)
    return parse_folded(text, fold(text))


def parse_folded(text: str, folded: str) -> list[Edit]:
    """Return the edits of `text`, of which `folded` is the folded form with what is already understood blanked out."""
    captions, folded = take_captions(text, folded)
    folded = _GROUPED.sub(_together, folded)
    hits = _hits(folded)
    hits += [Hit(c.start, c.end, "caption", 1, Edit("caption", text=c.text, place=c.place, colour=c.colour)) for c in captions]
    hits.sort(key=lambda h: h.start)
    edits: list[Edit] = []
    for hit, context in zip(hits, contexts(folded, [(h.start, h.end) for h in hits]), strict=True):
        edit = _edit(hit, context, folded)
        if edit is not None and edit not in edits:
            edits.append(edit)
    return _merged(edits)


#: Lengths of pixels as people group their digits: 1 920 × 1 080, 1,200 px.
_LENGTH = r"\d{1,2}[ ,]\d{3}|\d{2,5}"
_GROUPED = re.compile(
    rf"(?<![\d.,])({_LENGTH})( ?(?:px|pixels?)? ?(?:x|by|par|sur|\*) ?)({_LENGTH})(?!\d)|"
    r"(?<![\d.,])(\d{1,2}[ ,]\d{3})(?= ?(?:px|pixels?)\b)"
)


def _together(match: re.Match[str]) -> str:
    """Return grouped digits as one number, every place of the text kept."""
    first, second = (re.sub("[ ,]", "", length or "") for length in (match[1] or match[4], match[3]))
    between = match[2] or ""
    return (first.rjust(len(match[1] or match[4])) + between + second).ljust(len(match[0]))


def _edit(hit: Hit, context: Context, folded: str) -> Edit | None:
    if context.negated:
        return None
    if hit.edit is not None:
        return hit.edit
    kind, sign, amount = hit.kind, hit.sign, context.amount
    if context.reversed:
        if kind in SIGNED:
            sign = -sign
        elif kind in OPPOSITE:
            kind = OPPOSITE[kind]
        elif kind not in _SHAPED:
            return None
    if kind in SIGNED:
        return Edit(kind, amount=sign * amount)
    return replace(Edit(kind, amount=amount), **detail(kind, folded[hit.start : hit.end], context))


#: Two words for one act ("crop it, in square format") are merged when they follow each other.
_ONE_ACT = frozenset({"crop", "resize", "rotate", "border", "grayscale", "sepia", "blur", "sharpen", "vignette"})


def _merged(edits: list[Edit]) -> list[Edit]:
    """Join neighbours of one kind of which only one says how: "resize it to half the size" is one resize."""
    merged: list[Edit] = []
    for edit in edits:
        before = merged[-1] if merged else None
        if before is None or before.kind != edit.kind or edit.kind not in _ONE_ACT:
            merged.append(edit)
        elif plain(before):
            merged[-1] = edit
        elif not plain(edit):
            merged.append(edit)
    return merged


def plain(edit: Edit) -> bool:
    """Say whether an edit carries nothing but its name, so that its usual form is meant."""
    bare = Edit(edit.kind)
    return edit in (bare, replace(bare, degrees=90.0), replace(bare, ratio=None), replace(bare, scale=0.5))
