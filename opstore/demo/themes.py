"""What the demo's people ask for: prompts in English and French that the local engine understands, and some that it does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """A piece of work that people come back to: its tag, and what is asked for in it, the favourite prompts first."""

    tag: str
    scenes: tuple[str, ...]
    moves: tuple[str, ...]


THEMES: tuple[Theme, ...] = (
    Theme(
        "sea",
        (
            "The sea at sunset, calm mood",
            "La mer au coucher du soleil, ambiance calme",
            "A sailing boat on the sea at dawn, mist",
            "Rough sea at dusk, storm and lightning",
            "Une plage tropicale en plein jour, palmiers",
        ),
        ("slow zoom in", "pan left over the sea", "zoom avant lent"),
    ),
    Theme(
        "mountains",
        (
            "Snowy mountains under a starry night sky",
            "Montagnes enneigées sous un ciel étoilé",
            "A lake between mountains at dawn, reflections",
            "Collines vertes au printemps, nuages",
        ),
        ("pan right", "slow zoom out", "travelling vers le haut"),
    ),
    Theme(
        "city",
        (
            "A city at dusk in blue and violet, rain",
            "Une ville la nuit sous la pluie",
            "Skyline of a city at golden hour",
            "Paris à l'heure bleue, brume",
        ),
        ("slow zoom into the picture", "travelling à droite"),
    ),
    Theme(
        "forest",
        (
            "A forest in fog at dawn",
            "Une forêt enneigée, flocons",
            "A meadow with poppies on a sunny day",
            "Un jardin fleuri en été, tournesols",
        ),
        ("slow rotation", "zoom arrière lent"),
    ),
    Theme(
        "covers",
        (
            "Abstract composition in deep blue and gold",
            "Composition abstraite en rouge et noir",
            "Abstract silk in green and silver",
            "Une galaxie violette, étoiles",
            "A castle on a hill at night, full moon",
        ),
        ("slow zoom in", "rotation lente"),
    ),
)

#: Scenes that stand for pictures of a person's own, brought along to be edited.
UPLOADS = (
    "A beach on a sunny day",
    "Desert dunes at noon",
    "A snowy field in winter, clear sky",
    "Une vallée verte au matin",
    "A city in daylight, clouds",
)

EDITS = (
    "warmer, a little more contrast",
    "noir et blanc, contraste plus fort",
    "sepia and a vignette",
    "plus lumineux, couleurs plus saturées",
    "crop to 16:9",
    "pencil sketch",
    "recadre en carré",
    "légende “Bonjour” en haut",
    "white border of 24 px",
    "cooler and darker",
)
#: What only a model could do: the local engine says so, in its own words.
BEYOND = (
    "make the person smile",
    "remove the car in the background",
    "transforme-la en tableau impressionniste",
    "add a dog in the foreground",
)
COMBINATIONS = ("side by side", "côte à côte", "blend the two, 40%", "one above the other", "mélange les deux, 50 %")
BEYOND_COMBINATIONS = ("put the person of image 2 into image 1", "remplace le personnage de l’image 2 par celui de l’image 1")
PASSAGES = ("cross-fade", "fondu enchaîné", "wipe left", "iris")
NOTES = (
    "For the client, second choice.",
    "À refaire avec plus de lumière.",
    "Cover of the March issue.",
    "Trop sombre à gauche.",
)
