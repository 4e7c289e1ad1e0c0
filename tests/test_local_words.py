"""French and English prompts as lists of edits: what is asked is found, in its order, and what is denied is not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opstore.errors import Said
from opstore.language import translations
from opstore.providers.local import capabilities, understood, unheard
from opstore.providers.local.abilities import ABILITIES, abilities, describe
from opstore.providers.local.arrangements import arrangement_of
from opstore.providers.local.captions import LONGEST_CAPTION
from opstore.providers.local.folding import compose, fold
from opstore.providers.local.moves import Move, Passage, move_of, passage_of
from opstore.providers.local.prompt_edits import KINDS, SIGNED, Edit, parse
from opstore.providers.local.scene_words import brief_of
from opstore.smart.rules import read
from tests.examples import some


def shown(edit: Edit) -> str:
    """Return an edit as the table writes it: "contrast-", "rotate -90", "crop 16:9", "caption Hello"."""
    match edit.kind:
        case "rotate":
            return f"rotate {edit.degrees:g}"
        case "flip":
            return f"flip {edit.axis}"
        case "crop" if edit.ratio:
            return f"crop {edit.ratio[0]}:{edit.ratio[1]}"
        case "resize" if edit.size:
            return f"resize {edit.size[0]}x{edit.size[1]}"
        case "resize":
            return f"resize {edit.scale:.2f}"
        case "caption":
            return f"caption {edit.text}"
        case "posterize" if edit.colours:
            return f"posterize {edit.colours}"
        case kind if kind in SIGNED:
            return kind + ("-" if edit.amount < 0 else "+")
        case kind:
            return kind


PROMPTS: tuple[tuple[str, list[str]], ...] = (
    ("grayscale", ["grayscale"]),
    ("Make it black and white", ["grayscale"]),
    ("turn it into a black & white picture", ["grayscale"]),
    ("mets la photo en noir et blanc", ["grayscale"]),
    ("Niveaux de gris", ["grayscale"]),
    ("l’image en N&B", ["grayscale"]),
    ("remove the colours", ["grayscale"]),
    ("enlève les couleurs", ["grayscale"]),
    ("sans couleur", ["grayscale"]),
    ("sepia", ["sepia"]),
    ("un effet sépia", ["sepia"]),
    ("SÉPIA !", ["sepia"]),
    ("invert the colors", ["invert"]),
    ("inverse les couleurs", ["invert"]),
    ("négatif", ["invert"]),
    ("blur", ["blur"]),
    ("floute un peu l'image", ["blur"]),
    ("light blur", ["blur"]),
    ("flou gaussien de 12 px", ["blur"]),
    ("less blurry", ["sharpen"]),
    ("moins flou", ["sharpen"]),
    ("sharpen it a lot", ["sharpen"]),
    ("rends l'image plus nette", ["sharpen"]),
    ("brighter", ["brightness+"]),
    ("augmente la luminosité de 20 %", ["brightness+"]),
    ("reduce the brightness", ["brightness-"]),
    ("baisse la luminosité", ["brightness-"]),
    ("make it darker by 30%", ["brightness-"]),
    ("assombris fortement", ["brightness-"]),
    ("the picture is too dark", ["brightness+"]),
    ("l'image est trop sombre", ["brightness+"]),
    ("slightly brighter and much more contrast", ["brightness+", "contrast+"]),
    ("un peu plus clair et beaucoup plus contrasté", ["brightness+", "contrast+"]),
    ("less contrast and saturation", ["contrast-", "saturation-"]),
    ("moins de contraste et de saturation", ["contrast-", "saturation-"]),
    ("more vivid colours", ["saturation+"]),
    ("couleurs plus vives", ["saturation+"]),
    ("désature un peu", ["saturation-"]),
    ("warmer", ["warmth+"]),
    ("des tons plus chauds", ["warmth+"]),
    ("make it cooler, then crop to portrait", ["warmth-", "crop 3:4"]),
    ("plus froid", ["warmth-"]),
    ("rotate 90 degrees left", ["rotate -90"]),
    ("rotate 30° clockwise", ["rotate 30"]),
    ("rotate -15 degrees", ["rotate -15"]),
    ("turn left", ["rotate -90"]),
    ("turn it upside down", ["rotate 180"]),
    ("tourne de 45 degrés vers la gauche", ["rotate -45"]),
    ("fais un quart de tour à droite", ["rotate 90"]),
    ("demi-tour", ["rotate 180"]),
    ("trois quarts de tour", ["rotate -90"]),
    ("tourne dans le sens inverse des aiguilles d'une montre de 10°", ["rotate -10"]),
    ("flip horizontally", ["flip horizontal"]),
    ("flip vertical", ["flip vertical"]),
    ("effet miroir", ["flip horizontal"]),
    ("retourne l'image verticalement", ["flip vertical"]),
    ("inverse horizontalement", ["flip horizontal"]),
    ("crop to 16:9", ["crop 16:9"]),
    ("recadre en carré", ["crop 1:1"]),
    ("recadre au format 4/3", ["crop 4:3"]),
    ("make it square", ["crop 1:1"]),
    ("resize to 800x600", ["resize 800x600"]),
    ("redimensionne à 50 %", ["resize 0.50"]),
    ("half size", ["resize 0.50"]),
    ("réduis de moitié", ["resize 0.50"]),
    ("réduis l'image de 30 %", ["resize 0.70"]),
    ("enlarge by 50%", ["resize 1.50"]),
    ("agrandis deux fois", ["resize 2.00"]),
    ("make it 3 times smaller", ["resize 0.33"]),
    ("resize to 640 px wide", ["resize 640x0"]),
    ("posterize", ["posterize"]),
    ("reduce to 8 colours", ["posterize 8"]),
    ("en 6 couleurs", ["posterize 6"]),
    ("pixelate", ["pixelate"]),
    ("pixellise avec des blocs de 20 px", ["pixelate"]),
    ("pencil sketch", ["sketch"]),
    ("croquis au crayon", ["sketch"]),
    ("edges", ["edges"]),
    ("les contours", ["edges"]),
    ("add a soft vignette", ["vignette"]),
    ("ajoute un vignettage léger", ["vignette"]),
    ("darken the corners", ["vignette"]),
    ("thick white frame", ["border"]),
    ("encadre en noir", ["border"]),
    ("ajoute une bordure bleu foncé de 15 pixels", ["border"]),
    ("dark blue border", ["border"]),
    ("caption 'Hello'", ["caption Hello"]),
    ("légende « Bonjour »", ["caption Bonjour"]),
    ("caption: it’s me, then sepia", ["caption it’s me", "sepia"]),
    ("write “It's blur time” at the top and blur it", ["caption It's blur time", "blur"]),
    ("write 'don't blur' in the middle in blue, then rotate 20", ["caption don't blur", "rotate 20"]),
    ("ajoute le texte Joyeux Noël, puis floute", ["caption Joyeux Noël", "blur"]),
    ("légende « Bonjour à l'école » en haut en rouge, puis noir et blanc", ["caption Bonjour à l'école", "grayscale"]),
    ('écris sur l\'image "salut"', ["caption salut"]),
    ("Noir & blanc, contraste +20%, vignette", ["grayscale", "contrast+", "vignette"]),
    ("noir et blanc avec une bordure rouge", ["grayscale", "border"]),
    ("rends-le plus lumineux et tourne-le à gauche", ["brightness+", "rotate -90"]),
    ("not only sharpen but also sepia", ["sharpen", "sepia"]),
    ("n'oublie pas de flouter", ["blur"]),
    ("not too dark", ["brightness-"]),
    ("blur it, but not too much", ["blur"]),
    # What is denied.
    ("without blur", []),
    ("sepia without blur", ["sepia"]),
    ("ne pas flouter", []),
    ("ne floute pas l'image, juste en sépia", ["sepia"]),
    ("floute pas", []),
    ("n'inverse pas les couleurs", []),
    ("no blur, just grayscale", ["grayscale"]),
    ("sans flou ni rotation, en noir et blanc", ["grayscale"]),
    ("without blur, rotation or sepia, but with a vignette", ["vignette"]),
    ("do not crop; rotate 180", ["rotate 180"]),
    ("don’t make it darker", []),
    ("sepia instead of grayscale", ["sepia"]),
    ("plutôt sépia que noir et blanc", ["sepia"]),
    ("ni flou ni sépia, mais négatif", ["invert"]),
    ("sans texte, flou", ["blur"]),
    ("add no border", []),
    # Numbers as they are written in either language.
    ("tourne de 22,5° vers la gauche", ["rotate -22.5"]),
    ("turn it 22.5 degrees", ["rotate 22.5"]),
    ("redimensionne en 1\u202f920 × 1\u202f080", ["resize 1920x1080"]),
    ("resize to 1,920 x 1,080, then blur", ["resize 1920x1080", "blur"]),
    ("redimensionne à 1 200 px de large, flou", ["resize 1200x0", "blur"]),
    ("rotate 5,resize 50%", ["rotate 5", "resize 0.50"]),
    # What is no edit at all.
    ("a cat on a sofa", []),
    ("un chat sur un canapé", []),
    ("remove the person on the left", []),
    ("", []),
)


@pytest.mark.parametrize(("prompt", "expected"), PROMPTS, ids=[p for p, _ in PROMPTS])
def test_prompts_become_the_edits_they_ask_for(prompt: str, expected: list[str]) -> None:
    assert [shown(edit) for edit in parse(prompt)] == expected


def test_every_edit_is_reached_from_both_languages() -> None:
    reached = {"en": set[str](), "fr": set[str]()}
    for prompt, _ in PROMPTS:
        for edit in parse(prompt):
            reached[read(prompt).language].add(edit.kind)
    assert set(KINDS) == reached["fr"] == reached["en"]


OTHERS = {
    "blend": ("blend the two, 30%", "mélange les deux"),
    "row": ("side by side", "côte à côte"),
    "column": ("one above the other", "l’une au-dessus de l’autre"),
    "grid": ("a grid", "une mosaïque"),
    "collage": ("make a collage", "fais un collage"),
    "inset": ("put image 1 into image 2", "incruste l’image 1 dans l’image 2"),
    "zoom": ("slowly zoom in", "zoom arrière lent"),
    "pan": ("pan to the left", "travelling vers le haut"),
    "turn": ("rotate slowly", "tourne doucement"),
    "fade": ("cross-fade", "fondu enchaîné"),
    "wipe": ("wipe left", "volet vers la droite"),
    "iris": ("an iris", "un cercle qui s’ouvre"),
    "dissolve": ("dissolve", "dissolution"),
    "scene": ("a calm sea", "une mer calme"),
    "abstract": ("blue and gold", "bleu et or"),
}


def found(key: str, prompt: str) -> bool:
    """Say whether a prompt leads to the ability `key`."""
    how, _ = arrangement_of(fold(compose(prompt)))
    move = move_of(prompt)
    return {
        "zoom": move is not None and move.zoom != 0,
        "pan": move is not None and move.pan != (0, 0),
        "turn": move is not None and move.turn != 0,
        "scene": bool(brief_of(prompt).places),
        "abstract": not brief_of(prompt).places,
    }.get(key, (how is not None and how.kind == key) or passage_of(prompt).kind == key)


def test_every_listed_capability_is_reached_from_both_languages() -> None:
    assert {ability.key for ability in ABILITIES} == set(KINDS) | set(OTHERS)
    for key, (english, french) in OTHERS.items():
        assert found(key, english), english
        assert found(key, french), french


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("zoom in and pan left", Move(zoom=1, pan=(-1, 0))),
        ("dézoome lentement", Move(zoom=-1)),
        ("recule très peu vers la droite", Move(zoom=-1, pan=(1, 0), amount=1.8)),
        ("don't zoom, rotate to the left", Move(turn=-1)),
        ("vers le bas", Move(pan=(0, 1))),
        ("a nice film", None),
    ],
)
def test_camera_words(prompt: str, expected: Move | None) -> None:
    assert move_of(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", Passage("fade")),
        ("no wipe, dissolve", Passage("dissolve")),
        ("wipe up", Passage("wipe", (0, -1))),
        ("un volet vers la gauche", Passage("wipe", (-1, 0))),
        ("un cercle", Passage("iris")),
        ("pas de volet, un fondu", Passage("fade")),
    ],
)
def test_passage_words(prompt: str, expected: Passage) -> None:
    assert passage_of(prompt) == expected


def test_amounts_follow_the_words_of_degree() -> None:
    weak, plain, strong = (parse(p)[0].amount for p in ("slightly more contrast", "more contrast", "very much more contrast"))
    assert 0 < weak < plain < strong
    weak, plain, strong = (parse(p)[0].amount for p in ("légèrement plus sombre", "plus sombre", "nettement plus sombre"))
    assert 0 > weak > plain > strong
    assert parse("brighter by 20%")[0].amount < parse("brighter by 80%")[0].amount


def test_border_and_caption_particulars() -> None:
    border = parse("add a red border of 20 px")[0]
    assert (border.width, border.colour) == (20.0, (214, 40, 46))
    assert parse("bordure bleu foncé")[0].colour == parse("dark blue border")[0].colour
    caption = parse("légende « Été » en haut en rouge")[0]
    assert (caption.text, caption.place, caption.colour) == ("Été", "top", (214, 40, 46))
    assert len(parse("write " + "long " * 500)[0].text) <= LONGEST_CAPTION


def french(text: str) -> str:
    """Return what a French page says."""
    assert isinstance(text, Said)
    return translations.told(text, "fr")


def test_what_is_understood_is_said_in_any_language_whatever_that_of_the_prompt() -> None:
    found = understood("un peu plus clair, puis tourne de 30 degrés à gauche")
    assert found == ["brighter (slightly)", "rotate 30° to the left"]
    assert [french(text) for text in found] == ["plus clair (un peu)", "pivoter de 30° vers la gauche"]
    assert understood("crop to 16:9 and strong blur") == ["crop to 16:9", "blur (strongly)"]
    assert understood("a cat") == []


def test_every_edit_of_the_table_has_words_in_both_languages() -> None:
    for prompt, _ in PROMPTS:
        for edit in parse(prompt):
            assert (told := describe(edit)) and french(told) != told


def test_capabilities_are_listed_in_both_languages() -> None:
    english = capabilities()
    assert len(english) == len(ABILITIES) == len(set(english)) == len(set(map(french, english)))
    assert "sepia" in capabilities("image_edit_single") and "grid" not in capabilities("image_edit_single")
    assert french(abilities("image_to_video_transition")[0]).startswith("fondu")


@pytest.mark.parametrize(
    ("prompt", "places", "time", "weather"),
    [
        ("une mer calme au coucher du soleil", ("sea",), "sunset", {"calm"}),
        ("a snowy mountain at night", ("snow", "mountain"), "night", {"snowfall"}),
        ("une ville sous la pluie, la nuit", ("city",), "night", {"rain"}),
        ("tropical beach without clouds", ("beach",), "", set()),
        ("Château dans la brume à l’aube", ("castle",), "dawn", {"fog"}),
        ("northern lights over a lake", ("lake",), "night", set()),
        ("red and gold", (), "", set()),
    ],
)
def test_scene_words(prompt: str, places: tuple[str, ...], time: str, weather: set[str]) -> None:
    brief = brief_of(prompt)
    assert (brief.places, brief.time, set(brief.weather)) == (places, time, weather)


@pytest.mark.long
def test_no_prompt_takes_long_to_read() -> None:
    start = time.process_time()
    for hostile in ("ne " * 5000, "'" * 5000, "rotate " * 2000, "write '" * 900, "a, " * 4000, "put image 1 " * 900, "«" * 5000):
        parse(hostile), move_of(hostile), passage_of(hostile), brief_of(hostile), arrangement_of(fold(compose(hostile)))
    assert time.process_time() - start < 5


@settings(max_examples=some(150), deadline=None)
@given(st.text(max_size=120))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    assert len(fold(compose(text))) == len(compose(text))
    for edit in parse(text):
        assert french(describe(edit))
    brief_of(text), move_of(text), passage_of(text)


@pytest.mark.parametrize(
    ("prompt", "missed"),
    [
        ("A red fox beside a windmill at sunset, calm mood", ["fox", "windmill"]),
        ("Un Renard roux près d’un moulin au coucher du soleil", ["Renard", "roux", "moulin"]),
        ("a FOX and a fox", ["FOX"]),
        ("The sea at sunset, calm mood", []),
        ("Snowy mountains under a starry night sky", []),
        ("Des montagnes enneigées sous un ciel étoilé", []),
        ("Une ville au crépuscule en bleu foncé et violet, sous la pluie", []),
        ("a video of waves, slow motion", []),
        ("", []),
    ],
)
def test_what_of_a_scene_cannot_be_painted_is_told_word_by_word(prompt: str, missed: list[str]) -> None:
    assert unheard(prompt) == missed
