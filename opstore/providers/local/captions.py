"""Caption text in a prompt: found first and taken out, so that no word of it is taken for an edit ("write 'blur'")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from opstore.providers.local.colours import Colour, colours_in
from opstore.providers.local.folding import blank

#: Longest caption that is drawn; more would not be readable on any picture.
LONGEST_CAPTION = 200


@dataclass(frozen=True, slots=True)
class Caption:
    """A text to write on the picture, and the span of the prompt that asked for it."""

    start: int
    end: int
    text: str
    place: str
    colour: Colour | None


_CUE = re.compile(
    r"\b(?:caption(?:ed)?|titled?|subtitled?|legende[rz]?|titre|sous-titre|write|writing|ecri(?:s|re|vez)|inscri(?:s|re|"
    r"vez|ption)|"
    r"(?:add |with |put |overlay )?(?:the |a )?text|(?:ajoute[rz]? |avec |mets |place )?(?:le |un |du )?texte|"
    r"add (?:the )?words?|ajoute[rz]? (?:le mot|les mots)|that (?:says|reads)|saying|qui dit)\b"
)
_LEAD = re.compile(
    r"(?:\s|:|-|=|\b(?:the|a|le|la|un|une|text|texte|words?|mots?|it|image|photo|the picture|l'image|on it|with|avec|de|"
    r"saying|reading|that says|that reads|qui dit|dessus|below|underneath|en dessous|"
    r"(?:at|on|in) the (?:top|bottom|cent(?:er|re)|middle)|en haut|en bas|au (?:centre|milieu))\b|\b(?:l'image))*"
)
#: Before words without quotes only these are no part of the caption: "write it's me" says "it's me".
_SHORT_LEAD = re.compile(
    r"(?:\s|:|=|\b(?:the|le|un|a) (?:text|texte|words?|mots?|caption|legende|titre)\b|"
    r"\b(?:saying|reading|that says|that reads|qui dit|dessus|(?:at|on|in) the (?:top|bottom|cent(?:er|re)|middle)|on "
    r"(?:it|the (?:picture|image|photo))|"
    r"en haut|en bas|au (?:centre|milieu)|sur l'image|sur la photo)\b)*"
)
_QUOTED = re.compile(r"\"([^\"]+)\"|«\s*([^»]+?)\s*»|'(.+?)'(?!\w)")
_UNQUOTED_END = re.compile(
    r"[,;\n]|\.(?:\s|$)|\b(?:and then|then|puis|et puis|et ensuite)\b|\b(?:at the|on the) (?:top|bottom)\b|\ben (?:haut|bas)\b|$"
)
_PLACES = (
    ("top", re.compile(r"\b(?:top|above|haut|au-dessus)\b")),
    ("center", re.compile(r"\b(?:middle|cent(?:er|re)|milieu)\b")),
)
_DENIED_BEFORE = re.compile(r"\b(?:no|not|without|sans|ne|pas|any|aucune?|don'?t)\s+(?:\w+\s+){0,2}$|\bn'\w*\s*$")
_COLOUR_CUE = re.compile(r"\b(?:in|en|de couleur|colou?r(?:ed)?)\s+([\w# ]{3,24})")


def take_captions(text: str, folded: str) -> tuple[list[Caption], str]:
    """Return the captions of a prompt and its folded form with them, and every other quoted text, blanked out."""
    captions: list[Caption] = []
    position = 0
    while (cue := _CUE.search(folded, position)) is not None:
        lead = _LEAD.match(folded, cue.end())
        begin = lead.end() if lead else cue.end()
        caption, end = _caption(text, folded, cue, begin)
        position = max(end, cue.end())
        if caption is not None and caption.text:
            captions.append(caption)
            folded = blank(folded, cue.start(), end)
        elif _DENIED_BEFORE.search(folded[: cue.start()]):
            folded = blank(folded, cue.start(), cue.end())
    for quoted in list(_QUOTED.finditer(folded)):
        if quoted[1] or quoted[2]:
            folded = blank(folded, *quoted.span())
    return captions, folded


def _caption(text: str, folded: str, cue: re.Match[str], begin: int) -> tuple[Caption | None, int]:
    start, named = cue.span()
    short = _SHORT_LEAD.match(folded, named)
    bare = short.end() if short else named
    quoted = _QUOTED.match(folded, begin) or _QUOTED.match(folded, bare)
    if quoted:
        group = next(i for i in (1, 2, 3) if quoted[i] is not None)
        words, end = text[quoted.start(group) : quoted.end(group)], quoted.end()
    else:
        begin = bare
        stop = _UNQUOTED_END.search(folded, begin)
        end = stop.start() if stop else len(folded)
        words = text[begin:end]
    tail = _tail(folded, end)
    around = folded[start:begin] + " " + folded[end:tail]
    if _DENIED_BEFORE.search(folded[:start]):
        return None, end
    return Caption(start, tail, " ".join(words.split())[:LONGEST_CAPTION], _place(around), _colour(folded[end:tail])), tail


def _tail(folded: str, end: int) -> int:
    """Return where the words about a caption ("at the top, in red") stop: at the next clause that says something else."""
    tail = re.compile(
        r"(?:[\s»'\"]|\b(?:(?:at|on|in) the (?:top|bottom|cent(?:er|re)|middle)|on top|en (?:haut|bas)|au (?:centre|"
        r"milieu)|of it|below|above|"
        r"de l'image|of the (?:image|picture|photo)|(?:in|en|de couleur) (?:dark |light )?\w+(?: fonce| clair)?(?: "
        r"letters| text)?)(?!\w))*"
    ).match(folded, end)
    if tail is None:
        return end
    if colours_in(tail.group()) or _place(tail.group()) != "bottom" or not re.search(r"\b(?:in|en) ", tail.group()):
        return tail.end()
    return end


def _place(folded: str) -> str:
    return next((place for place, pattern in _PLACES if pattern.search(folded)), "bottom")


def _colour(folded: str) -> Colour | None:
    cue = _COLOUR_CUE.search(folded)
    found = colours_in(cue[1]) if cue else []
    return found[0] if found else None
