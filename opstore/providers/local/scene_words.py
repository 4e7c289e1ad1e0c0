"""What a prompt says of a picture that is to be composed: places, time of day, weather, mood, things and colours. Pure text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from opstore.providers.local.colours import ANY_COLOUR, Colour, colours_in
from opstore.providers.local.folding import compose, fold

_PLACES: dict[str, str] = {
    "space": r"space|espace|galax\w*|planet\w*|nebul\w*|cosmos|cosmic|cosmique|universe?|univers|saturn\w*|outer space",
    "city": (
        r"city|cities|ville|skyline|town|buildings?|immeubles?|gratte-ciel|skyscrapers?|downtown|urban|urbain\w*|"
        r"metropol\w*|paris|london|londres|new york|tokyo|rues?|street"
    ),
    "castle": r"castles?|chateau\w*|fortress|forteresse|towers?|tours|palace|palais|medieval\w*|fairy ?tale|conte de fee\w*",
    "beach": (
        r"beach\w*|plages?|shore|rivage|coast\w*|cote|sand|sable|palm\w*|palmiers?|cocotiers?|tropical\w*|island|ile|lagon|"
        r"lagoon"
    ),
    "sea": r"seas?|oceans?|mer|waves?|vagues?|sailing|voilier|boat|bateau\w*|maritime|marine|horizon",
    "lake": r"lakes?|lac|river|riviere|fleuve|pond|etang|water|eau|reflection|reflets?|fjord",
    "mountain": r"mountains?|montagn\w*|peaks?|sommets?|alps?|alpes|pic|volcan\w*|himalaya|cliffs?|falaises?|pyrenees|canyon",
    "desert": r"deserts?|dunes?|sahara|oasis",
    "forest": r"forests?|foret\w*|woods?|bois|jungle|pines?|sapins?|trees?|arbres?|conifer\w*|taiga",
    "garden": (
        r"gardens?|jardins?|flowers?|fleurs?|roses\b(?= )|tulip\w*|daisy|daisies|marguerites?|poppy|poppies|coquelicots?|"
        r"blossom\w*|bouquet|fleuri\w*|sunflowers?|tournesols?|lavender|lavande"
    ),
    "meadow": (
        r"meadows?|prairies?|fields?|champs?|pre\b|hills?|collines?|grass\w*|herbe|countryside|campagne|valley|vallee|"
        r"landscape|paysage|savanna|savane|farm|ferme|steppe"
    ),
    "snow": r"snow\w*|neige\w*|enneige\w*|winter\w*|hiver\w*|ice|icy|glace|glacier|arctic|arctique|christmas|noel",
}
_TIMES: dict[str, str] = {
    "dawn": r"dawn|sunrise|aube|aurore|lever de soleil|lever du (?:soleil|jour)|(?:early )?morning|matin\w*",
    "sunset": r"sunset\w*|coucher (?:de|du) soleil|soleil couchant|golden hour|heure doree|evening|soir\w*",
    "dusk": r"dusk|twilight|crepuscul\w*|blue hour|heure bleue|tombee de la nuit|nightfall",
    "night": (
        r"nights?|nuits?|midnight|minuit|moon\w*|lune|stars?|starry|etoile\w*|nocturn\w*|aurora|boreal\w*|milky way|voie "
        r"lactee|fireflies|lucioles"
    ),
    "day": r"day\w*|jour\w*|noon|midi|sunny|ensoleill\w*|soleil|sun|summer|ete|blue sky|ciel bleu|printemps|spring|plein jour",
}
_WEATHER: dict[str, str] = {
    "storm": (
        r"storm\w*|tempete\w*|orag\w*|thunder\w*|tonnerre|lightning|eclairs?|foudre|hurricane|ouragan|rough|dechaine\w*|"
        r"agite\w*"
    ),
    "rain": r"rain\w*|pluie\w*|pluvieu\w*|drizzle|bruine|averses?|shower",
    "snowfall": r"snowing|snowfall|snowy|snow ?flakes?|flocons?|neige qui tombe|il neige|blizzard|chutes? de neige|neige",
    "fog": r"fog\w*|mist\w*|brum\w*|brouillard|haz[ey]|voile",
    "cloudy": r"cloud\w*|nuag\w*|overcast|couvert",
    "clear": r"clear sky|ciel (?:clair|degage)|cloudless|sans nuages?",
    "calm": r"calm\w*|quiet|tranquil\w*|seren\w*|peaceful|paisible\w*|still|still water|serein\w*",
}
_MOODS: dict[str, str] = {
    "happy": r"happy|joyful|joy|joyeu\w*|heureu\w*|gai\w*|cheerful|bright|lumineu\w*|vibrant|festive?",
    "sad": r"sad\w*|triste\w*|melanchol\w*|lonely|solitaire|gloomy|morne|grey|gris",
    "mysterious": (
        r"myst\w*|magic\w*|magique|enchant\w*|feerique|dream\w*|reve\w*|onirique|fantas\w*|etrange|eerie|spooky|hante\w*|"
        r"haunted|dark|sombre"
    ),
}
_THINGS: dict[str, str] = {
    "birds": r"birds?|oiseaux?|gulls?|mouettes?|hirondelles?",
    "boat": r"(?:sail)?boats?|bateau\w*|voiliers?|ships?|navires?|sailing",
    "palms": r"palm\w*|palmiers?|cocotiers?|tropical\w*|oasis|island|ile",
    "moon": r"moon\w*|lune",
    "aurora": r"auroras?|(?:aurore )?boreal\w*|northern lights",
    "planet": r"planet\w*|saturn\w*|jupiter|mars",
    "milky way": r"milky way|voie lactee|galax\w*",
    "fireflies": r"fireflies|firefly|lucioles?",
    "balloon": r"balloons?|montgolfieres?",
    "nebula": r"nebul\w*|galax\w*|cosmos|cosmic|cosmique",
}


def _table(words: dict[str, str]) -> list[tuple[str, re.Pattern[str]]]:
    return [(name, re.compile(rf"\b(?:{pattern})(?!\w)")) for name, pattern in words.items()]


_TABLES = {
    "places": _table(_PLACES),
    "times": _table(_TIMES),
    "weather": _table(_WEATHER),
    "moods": _table(_MOODS),
    "things": _table(_THINGS),
}
#: Words that name nothing to be seen, or only ask for a picture: nobody misses them.
_SMALL = re.compile(
    r"a|an|the|this|that|of|in|on|at|by|to|for|from|with|without|and|or|but|no|not|is|are|its|it|as|into|over|under|above|below|"
    r"behind|beside|near|next|there|all|one|sky|abstract\w*|art|light|colou?rs?|some|very|make|create|draw|paint|show|me|please|want|image|picture|photo\w*|video|clip|scene|view|style|"
    r"ciel|abstraite?\w*|lumiere|couleurs?|pres|loin|cote|mon|ma|mes|un|une|le|la|les|l|de|des|du|d|et|ou|en|dans|sur|sous|au|aux|avec|sans|pas|est|sont|ce|cette|tres|par|pour|qui|que|"
    r"fais|fait|cree|creer|dessine|peins|montre|moi|vue|ambiance|mood|slow|motion|lent\w*|ralenti|moving|mouvement|"
    r"beautiful|nice|beau|belle|joli\w*|small|little|big|large|great|petite?s?|grande?s?"
)
_COLOURS = re.compile(rf"\b(?:{ANY_COLOUR})(?!\w)")
_WORD = re.compile(r"[^\W\d_]{2,}")
_DENIED = re.compile(r"\b(?:without|no|not|sans|pas de|aucune?)\s+(?:any |the |la |le |une? |d'|de )?$")


@dataclass(frozen=True, slots=True)
class Brief:
    """What is to be painted. Without a place it is an abstract composition."""

    places: tuple[str, ...]
    time: str
    weather: frozenset[str]
    mood: str
    things: frozenset[str]
    colours: tuple[Colour, ...]

    def told(self) -> str:
        """Return the brief in a few English words, for a log."""
        parts = [*(self.places or ("abstract composition",)), self.time, *sorted(self.weather), self.mood, *sorted(self.things)]
        return ", ".join(part for part in parts if part)


def _found(table: str, folded: str) -> list[str]:
    hits = []
    for name, pattern in _TABLES[table]:
        places = [m.start() for m in pattern.finditer(folded) if not _DENIED.search(folded[: m.start()])]
        if places:
            hits.append((min(places), name))
    return [name for _, name in sorted(hits)]


def unheard(prompt: str) -> list[str]:
    """Return the words of a prompt that nothing of what is painted comes from, as they were written, each once."""
    text = compose(prompt)
    folded = fold(text)
    heard = bytearray(len(folded))
    for pattern in (_COLOURS, *(pattern for rows in _TABLES.values() for _, pattern in rows)):
        for match in pattern.finditer(folded):
            heard[match.start() : match.end()] = b"1" * len(match[0])
    missed: dict[str, str] = {}
    for match in _WORD.finditer(folded):
        if not _SMALL.fullmatch(match[0]) and not any(heard[match.start() : match.end()]):
            missed.setdefault(match[0], text[match.start() : match.end()])
    return list(missed.values())


def brief_of(prompt: str) -> Brief:
    """Return what a prompt says of a picture to be composed."""
    folded = fold(compose(prompt))
    places = _found("places", folded)
    times, weather = _found("times", folded), set(_found("weather", folded))
    things, moods = set(_found("things", folded)), _found("moods", folded)
    if "snowfall" in weather and "snow" not in places:
        places.append("snow")
    if "night" in times and len(times) > 1 and "day" in times:
        times.remove("day")
    if "palms" in things and "forest" in places and not re.search(r"forest|foret|wood|bois|jungle", folded):
        places.remove("forest")
    if things & {"aurora", "milky way", "fireflies"} and "night" not in times:
        times.insert(0, "night")
    if not places and (times or weather or things):
        places = ["space"] if "planet" in things else ["meadow"]
    time = "night" if "night" in times else times[0] if times else ""
    return Brief(
        tuple(places), time, frozenset(weather), moods[0] if moods else "", frozenset(things), tuple(colours_in(folded)[:5])
    )
