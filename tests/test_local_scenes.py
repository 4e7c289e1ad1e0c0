"""Composed pictures: every scene word leads to another picture, and colours, times of day and weather are seen in it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from opstore.providers.local import parameters
from tests.local_steps import far, made, picture, pixels

PLACES = ("sea", "beach", "mountain", "forest", "city", "desert", "meadow", "lake", "snow", "space", "castle", "flowers")
LIEUX = ("mer", "plage", "montagne", "forêt", "ville", "désert", "prairie", "lac", "neige", "espace", "château", "fleurs")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the pixels: what is painted shows in them as well."""
    monkeypatch.setattr(parameters, "PICTURE_SIDE", 512)


@pytest.mark.long
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("english", "french"), list(zip(PLACES, LIEUX, strict=True)))
def test_every_scene_is_painted_from_both_languages(english: str, french: str) -> None:
    for prompt in (f"{english} at noon", f"{french} à midi"):
        data = made("text_to_image", prompt, outputFormat="jpg")
        assert picture(data).size == (512, 288)
        assert pixels(data).std() > 20


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_scenes_differ_from_each_other() -> None:
    shown = [pixels(made("text_to_image", f"{place} at sunset", seed=1, outputFormat="jpg")) for place in PLACES[::2]]
    assert all(far(one, two) > 8 for one, two in itertools.combinations(shown, 2))


@pytest.mark.long
@pytest.mark.usefixtures("small")
def test_time_of_day_is_seen() -> None:
    day, dusk, night = (pixels(made("text_to_image", f"a meadow, {when}", seed=3)).mean() for when in ("day", "dusk", "night"))
    assert day > dusk + 25 and dusk > night + 10


@pytest.mark.usefixtures("small")
def test_a_sunset_is_warm_and_a_day_is_blue() -> None:
    def lean(prompt: str) -> float:
        sky = pixels(made("text_to_image", prompt, seed=5))[75:130]
        return float(sky[:, :, 0].mean() - sky[:, :, 2].mean())

    assert lean("sea at sunset") > 30 and lean("la mer, plein jour, ciel dégagé") < -20


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("colour", "channel"), [("red", 0), ("vert", 1), ("bleu", 2)])
def test_named_colours_rule_an_abstract_picture(colour: str, channel: int) -> None:
    mean = pixels(made("text_to_image", f"abstract {colour}")).mean(axis=(0, 1))
    assert int(np.argmax(mean)) == channel


@pytest.mark.usefixtures("small")
def test_weather_is_seen() -> None:
    def shown(prompt: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return pixels(made("text_to_image", prompt, seed=2))

    clear, storm = shown("the sea by day"), shown("stormy sea by day")
    assert storm.mean() < clear.mean() - 30
    flat, foggy = shown("a forest by day"), shown("a forest by day in thick fog")
    assert foggy[125:].std() < flat[125:].std()


@pytest.mark.usefixtures("small")
def test_prompt_and_seed_decide() -> None:
    one, two = (made("text_to_image", f"a calm sea at sunset{end}") for end in ("", "!"))
    assert one != two
    seeds = {made("text_to_image", "a calm sea at sunset", seed=seed) for seed in (0, 1, -5, 2**70)}
    assert len(seeds) == 4 and one not in seeds


@pytest.mark.long
@pytest.mark.parametrize(
    ("ratio", "size"),
    [("1:1", (1024, 1024)), ("9:16", (576, 1024)), ("3:2", (1024, 682)), ("3:4", (768, 1024)), (None, (1024, 576))],
)
def test_aspect_ratios(ratio: str | None, size: tuple[int, int]) -> None:
    assert picture(made("text_to_image", "château sur une montagne au bord d’un lac", aspectRatio=ratio)).size == size


EVERYTHING = (
    "a castle and a city by the sea with mountains, forest, palms, boats, balloons and birds in the rain at night",
    "desert with snow, fog and fireflies at dawn",
    "storm over flower fields, mysterious",
    "planet over a meadow, milky way, aurora",
    "ville, plage, désert, lac et espace",
)


@pytest.mark.long
@pytest.mark.parametrize("prompt", EVERYTHING)
@pytest.mark.parametrize("ratio", ["16:9", "9:16"])
def test_any_mixture_is_painted(prompt: str, ratio: str) -> None:
    assert pixels(made("text_to_image", prompt, aspectRatio=ratio, outputFormat="jpg")).std() > 8
