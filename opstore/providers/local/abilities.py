"""What the local engine can do, in words: the list that a page shows, the answer to a prompt it does not understand, and the
name of each edit as it was understood. French and English stand side by side, so that neither is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

from opstore.providers.local.vocabulary import Edit
from opstore.providers.local.words import Language


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that can be asked for, with the operation types that take it."""

    key: str
    en: str
    fr: str
    types: frozenset[str]

    def told(self, language: Language) -> str:
        """Return the ability in words of `language`."""
        return self.fr if language == "fr" else self.en


_EDIT = frozenset({"image_edit_single", "image_edit_multiple"})
_SEVERAL = frozenset({"image_edit_multiple"})
_STILL = frozenset({"image_to_video_single"})
_TWO = frozenset({"image_to_video_transition"})
_TEXT = frozenset({"text_to_image", "text_to_video"})

ABILITIES: tuple[Ability, ...] = (
    Ability("blend", "blend (“blend the two, 30%”)", "mélanger (« mélange les deux, 30 % »)", _SEVERAL),
    Ability("row", "side by side", "côte à côte", _SEVERAL),
    Ability("column", "one above the other", "l’une au-dessus de l’autre", _SEVERAL),
    Ability("grid", "grid", "grille ou mosaïque", _SEVERAL),
    Ability("collage", "collage", "collage", _SEVERAL),
    Ability(
        "inset", "inset (“put image 1 into image 2, top left”)", "incrustation (« incruste l’image 1 dans l’image 2 »)", _SEVERAL
    ),
    Ability("grayscale", "black and white", "noir et blanc", _EDIT),
    Ability("sepia", "sepia", "sépia", _EDIT),
    Ability("invert", "invert the colours (negative)", "inverser les couleurs (négatif)", _EDIT),
    Ability("blur", "blur", "flouter", _EDIT),
    Ability("sharpen", "sharpen", "plus net", _EDIT),
    Ability("brightness", "brighter or darker", "plus clair ou plus sombre", _EDIT),
    Ability("contrast", "more or less contrast", "plus ou moins de contraste", _EDIT),
    Ability("saturation", "more or less saturated colours", "couleurs plus ou moins saturées", _EDIT),
    Ability("warmth", "warmer or cooler", "plus chaud ou plus froid", _EDIT),
    Ability("rotate", "rotate (degrees, left or right)", "pivoter (degrés, à gauche ou à droite)", _EDIT),
    Ability("flip", "flip horizontally or vertically", "miroir horizontal ou vertical", _EDIT),
    Ability("crop", "crop to a ratio (“crop to 16:9”)", "recadrer (« recadre en carré »)", _EDIT),
    Ability("resize", "resize (“resize to 800x600”, “50%”)", "redimensionner (« redimensionne à 50 % »)", _EDIT),
    Ability("posterize", "posterize (“to 8 colours”)", "postériser (« en 8 couleurs »)", _EDIT),
    Ability("pixelate", "pixelate", "pixelliser", _EDIT),
    Ability("sketch", "pencil sketch", "croquis au crayon", _EDIT),
    Ability("edges", "edges only", "contours seuls", _EDIT),
    Ability("vignette", "vignette", "vignettage", _EDIT),
    Ability("border", "border (“red border of 20 px”)", "bordure (« bordure rouge de 20 px »)", _EDIT),
    Ability("caption", "caption (“caption ‘Hello’ at the top”)", "légende (« légende “Bonjour” en haut »)", _EDIT),
    Ability("zoom", "zoom in or out of a still", "zoom avant ou arrière sur une image", _STILL),
    Ability("pan", "pan left, right, up or down", "travelling à gauche, à droite, vers le haut ou le bas", _STILL),
    Ability("turn", "slow rotation", "rotation lente", _STILL),
    Ability("fade", "cross-fade between two stills", "fondu enchaîné entre deux images", _TWO),
    Ability("wipe", "wipe left, right, up or down", "volet vers la gauche, la droite, le haut ou le bas", _TWO),
    Ability("iris", "iris (circle)", "iris (cercle)", _TWO),
    Ability("dissolve", "dissolve in grains", "dissolution en grains", _TWO),
    Ability(
        "scene",
        "composed scenes: sea, beach, mountains, forest, city, desert, meadow, lake, snow, space, castle, flowers, at "
        "any time of day and weather",
        "paysages composés : mer, plage, montagnes, forêt, ville, désert, prairie, lac, neige, espace, château, "
        "fleurs, à toute heure et par tout temps",
        _TEXT,
    ),
    Ability(
        "abstract",
        "abstract compositions in the colours that you name",
        "compositions abstraites dans les couleurs citées",
        _TEXT,
    ),
)


def abilities(language: Language, operation_type: str | None = None) -> list[str]:
    """Return what can be asked for, in words, of one operation type or of all."""
    return [a.told(language) for a in ABILITIES if operation_type is None or operation_type in a.types]


_PLAIN: dict[str, tuple[str, str]] = {
    "grayscale": ("black and white", "noir et blanc"),
    "sepia": ("sepia", "sépia"),
    "invert": ("inverted colours", "couleurs inversées"),
    "blur": ("blur", "flou"),
    "sharpen": ("sharper", "plus net"),
    "pixelate": ("pixelated", "pixellisation"),
    "sketch": ("pencil sketch", "croquis au crayon"),
    "edges": ("edges only", "contours seuls"),
    "vignette": ("vignette", "vignettage"),
    "posterize": ("posterized", "postérisation"),
}
_SIGNED: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "brightness": (("brighter", "plus clair"), ("darker", "plus sombre")),
    "contrast": (("more contrast", "plus de contraste"), ("less contrast", "moins de contraste")),
    "saturation": (("more saturated", "plus saturé"), ("less saturated", "moins saturé")),
    "warmth": (("warmer", "plus chaud"), ("cooler", "plus froid")),
}
_PLACES = {"top": ("at the top", "en haut"), "center": ("in the middle", "au milieu"), "bottom": ("at the bottom", "en bas")}


def describe(edit: Edit, language: Language) -> str:
    """Return an edit in words, as it will be applied: "rotate 30° to the left", "un peu plus clair"."""
    fr = language == "fr"
    match edit.kind:
        case "rotate":
            side = ("to the left", "vers la gauche") if edit.degrees < 0 else ("to the right", "vers la droite")
            return f"{'pivoter de' if fr else 'rotate'} {abs(edit.degrees):g}°" + (
                f" {side[fr]}" if abs(edit.degrees) < 180 else ""
            )
        case "flip":
            return ("miroir " if fr else "flip ") + _axis(edit.axis, fr)
        case "crop" | "resize":
            return _shape(edit, fr)
        case "caption":
            quoted = f"« {edit.text} »" if fr else f"“{edit.text}”"
            return f"{'légende' if fr else 'caption'} {quoted} {_PLACES[edit.place][fr]}"
        case "border":
            width = f" ({edit.width:g} px)" if edit.width >= 1 else f" ({edit.width:.0%})" if edit.width else ""
            return ("bordure" if fr else "border") + width
        case kind if kind in _SIGNED:
            return _strength(_SIGNED[kind][edit.amount < 0][fr], edit.amount, fr)
        case kind:
            word = _PLAIN[kind][fr]
            if edit.colours:
                word = f"{word}, {edit.colours} {'couleurs' if fr else 'colours'}"
            return _strength(word, edit.amount, fr)


def _strength(word: str, amount: float, fr: bool) -> str:
    share = abs(amount)
    if share < 0.7:
        return f"{word} ({'un peu' if fr else 'slightly'})"
    if share > 1.4:
        return f"{word} ({'fortement' if fr else 'strongly'})"
    return word


def _axis(axis: str, fr: bool) -> str:
    if axis == "vertical":
        return "vertical" if fr else "vertically"
    return "horizontal" if fr else "horizontally"


def _shape(edit: Edit, fr: bool) -> str:
    word = {"crop": ("crop", "recadrer"), "resize": ("resize", "redimensionner")}[edit.kind][fr]
    to = "en" if fr else "to"
    if edit.ratio:
        return f"{word} {to} {edit.ratio[0]}:{edit.ratio[1]}"
    if edit.size:
        sides = [str(side) if side > 0 else "…" for side in edit.size]
        return f"{word} {to} {sides[0]} × {sides[1]}"
    if edit.scale:
        return f"{word} {'à' if fr else 'to'} {edit.scale:.0%}"
    return f"{word} {'au centre' if fr else 'to the centre'}"
