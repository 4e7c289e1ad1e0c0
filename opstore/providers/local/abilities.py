"""What the local engine can do, in words: the list that a page shows, the answer to a prompt it does not understand, and the
name of each edit as it was understood.
"""

from __future__ import annotations

from dataclasses import dataclass

from opstore.errors import Said, said
from opstore.providers.local.prompt_edits import Edit


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that can be asked for, with the operation types that take it."""

    key: str
    told: Said
    types: frozenset[str]


_EDIT = frozenset({"image_edit_single", "image_edit_multiple"})
_SEVERAL = frozenset({"image_edit_multiple"})
_STILL = frozenset({"image_to_video_single"})
_TWO = frozenset({"image_to_video_transition"})
_TEXT = frozenset({"text_to_image", "text_to_video"})

ABILITIES: tuple[Ability, ...] = (
    Ability("blend", said("blend (“blend the two, 30%”)"), _SEVERAL),
    Ability("row", said("side by side"), _SEVERAL),
    Ability("column", said("one above the other"), _SEVERAL),
    Ability("grid", said("grid"), _SEVERAL),
    Ability("collage", said("collage"), _SEVERAL),
    Ability("inset", said("inset (“put image 1 into image 2, top left”)"), _SEVERAL),
    Ability("grayscale", said("black and white"), _EDIT),
    Ability("sepia", said("sepia"), _EDIT),
    Ability("invert", said("invert the colors (negative)"), _EDIT),
    Ability("blur", said("blur"), _EDIT),
    Ability("sharpen", said("sharpen"), _EDIT),
    Ability("brightness", said("brighter or darker"), _EDIT),
    Ability("contrast", said("more or less contrast"), _EDIT),
    Ability("saturation", said("more or less saturated colors"), _EDIT),
    Ability("warmth", said("warmer or cooler"), _EDIT),
    Ability("rotate", said("rotate (degrees, left or right)"), _EDIT),
    Ability("flip", said("flip horizontally or vertically"), _EDIT),
    Ability("crop", said("crop to a ratio (“crop to 16:9”)"), _EDIT),
    Ability("resize", said("resize (“resize to 800x600”, “50%”)"), _EDIT),
    Ability("posterize", said("posterize (“to 8 colors”)"), _EDIT),
    Ability("pixelate", said("pixelate"), _EDIT),
    Ability("sketch", said("pencil sketch"), _EDIT),
    Ability("edges", said("edges only"), _EDIT),
    Ability("vignette", said("vignette"), _EDIT),
    Ability("border", said("border (“red border of 20 px”)"), _EDIT),
    Ability("caption", said("caption (“caption ‘Hello’ at the top”)"), _EDIT),
    Ability("zoom", said("zoom in or out of a still"), _STILL),
    Ability("pan", said("pan left, right, up or down"), _STILL),
    Ability("turn", said("slow rotation"), _STILL),
    Ability("fade", said("cross-fade between two stills"), _TWO),
    Ability("wipe", said("wipe left, right, up or down"), _TWO),
    Ability("iris", said("iris (circle)"), _TWO),
    Ability("dissolve", said("dissolve in grains"), _TWO),
    Ability(
        "scene",
        said(
            "composed scenes: sea, beach, mountains, forest, city, desert, meadow, lake, snow, space, castle, flowers, at "
            "any time of day and weather"
        ),
        _TEXT,
    ),
    Ability("abstract", said("abstract compositions in the colors that you name"), _TEXT),
)


def abilities(operation_type: str | None = None) -> list[Said]:
    """Return what can be asked for, in words, of one operation type or of all."""
    return [a.told for a in ABILITIES if operation_type is None or operation_type in a.types]


_PLAIN = {
    "grayscale": said("black and white"),
    "sepia": said("sepia"),
    "invert": said("inverted colors"),
    "blur": said("blur"),
    "sharpen": said("sharper"),
    "pixelate": said("pixelated"),
    "sketch": said("pencil sketch"),
    "edges": said("edges only"),
    "vignette": said("vignette"),
    "posterize": said("posterized"),
}
#: More of it, and less.
_SIGNED = {
    "brightness": (said("brighter"), said("darker")),
    "contrast": (said("more contrast"), said("less contrast")),
    "saturation": (said("more saturated"), said("less saturated")),
    "warmth": (said("warmer"), said("cooler")),
}


def describe(edit: Edit) -> Said:
    """Return an edit in words, as it will be applied: "rotate 30° to the left", "brighter (slightly)"."""
    match edit.kind:
        case "rotate":
            return _turn(edit.degrees)
        case "flip":
            return said("flip vertically") if edit.axis == "vertical" else said("flip horizontally")
        case "crop":
            return _crop(edit)
        case "resize":
            return _resize(edit)
        case "caption":
            return _caption(edit)
        case "border":
            return _border(edit.width)
        case kind if kind in _SIGNED:
            return _strength(_SIGNED[kind][edit.amount < 0], edit.amount)
        case kind:
            word = _PLAIN[kind]
            if edit.colours:
                word = said("{edit}, {count} colors", edit=word, count=edit.colours)
            return _strength(word, edit.amount)


def _turn(degrees: float) -> Said:
    if abs(degrees) >= 180:
        return said("rotate {degrees}°", degrees=f"{abs(degrees):g}")
    if degrees < 0:
        return said("rotate {degrees}° to the left", degrees=f"{-degrees:g}")
    return said("rotate {degrees}° to the right", degrees=f"{degrees:g}")


def _caption(edit: Edit) -> Said:
    if edit.place == "top":
        return said("caption “{quoted}” at the top", quoted=edit.text)
    if edit.place == "center":
        return said("caption “{quoted}” in the middle", quoted=edit.text)
    return said("caption “{quoted}” at the bottom", quoted=edit.text)


def _border(width: float) -> Said:
    if width >= 1:
        return said("border ({pixels} px)", pixels=f"{width:g}")
    return said("border ({share}%)", share=round(width * 100)) if width else said("border")


def _strength(word: Said, amount: float) -> Said:
    share = abs(amount)
    if share < 0.7:
        return said("{edit} (slightly)", edit=word)
    return said("{edit} (strongly)", edit=word) if share > 1.4 else word


def _crop(edit: Edit) -> Said:
    if size := _size(edit):
        return said("crop to {size}", size=size)
    return said("crop to {share}%", share=round(edit.scale * 100)) if edit.scale else said("crop to the center")


def _resize(edit: Edit) -> Said:
    if size := _size(edit):
        return said("resize to {size}", size=size)
    return said("resize to {share}%", share=round(edit.scale * 100)) if edit.scale else said("resize")


def _size(edit: Edit) -> str:
    if edit.ratio:
        return f"{edit.ratio[0]}:{edit.ratio[1]}"
    return " × ".join(str(side) if side > 0 else "…" for side in edit.size or ())
