"""A brief made a scene: which land, water, buildings, plants and weather stand where, and in which light.

Everything that chance decides comes from one seed, so the same brief and seed are the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from opstore.providers.local import built, flora, weather
from opstore.providers.local.abstract import Folds, palette_of
from opstore.providers.local.cosmos import Stars, nebula, planet
from opstore.providers.local.grounds import dunes, hills, mountains, sand
from opstore.providers.local.layers import TRAVEL, Layer, Scene, finishing, trimmed
from opstore.providers.local.light import Light, light_of, mix
from opstore.providers.local.noise import Floats, line
from opstore.providers.local.scene_words import Brief
from opstore.providers.local.sky import Sky, as_image
from opstore.providers.local.water import Water

_WATERS = {"sea", "beach", "lake"}
_FLOWERS = ("e8413c", "f4b23c", "f6e05a", "e97fb4", "9a66d0", "fbf7ef", "5b7fe0")


def compose_scene(brief: Brief, size: tuple[int, int], seed: int, moving: float = 0.0) -> Scene:
    """Return the scene of a brief at `size`; `moving` is how many seconds it will be filmed, 0 for a still."""
    rng = np.random.default_rng(seed)
    if not brief.places:
        folds = Folds(palette_of(brief.colours, brief.mood, rng), rng, size, moving > 0)
        return Scene(size, folds, size[1], moving, finish=finishing(size, rng, grain=not moving))
    if brief.places[0] == "space" and not set(brief.places) - {"space", "snow"}:
        return _outer_space(brief, rng, size, moving)
    return _Painter(brief, light_of(brief, rng), rng, size, moving).scene()


def _outer_space(brief: Brief, rng: np.random.Generator, size: tuple[int, int], moving: float) -> Scene:
    named: list[Floats] = [np.array(c, dtype=np.float32) / 255 for c in brief.colours if max(c) > 60]
    chance: list[Floats] = [
        np.array(c, dtype=np.float32)
        for c in ((0.32, 0.16, 0.62), (0.08, 0.36, 0.66), (0.75, 0.22, 0.42), (0.1, 0.5, 0.5), (0.8, 0.45, 0.2))
    ]
    chance = [chance[i] for i in rng.permutation(len(chance))]
    colours = (named or chance)[:3]
    sky = _Cosmos(as_image(np.clip(nebula(rng, size, colours), 0, 1), rng), Stars(rng, size, 2.2))
    scene = Scene(size, sky, size[1], moving, finish=finishing(size, rng, grain=not moving))
    if "planet" in brief.things or rng.random() < 0.65:
        tones = [mix(c, np.ones(3, dtype=np.float32), 0.25) for c in (named or chance[::-1])[:2]]
        world = planet(
            rng, int(min(size) * rng.uniform(0.3, 0.5)), [*tones, tones[0]], ringed="planet" in brief.things or rng.random() < 0.5
        )
        x = size[0] * float(rng.uniform(0.28, 0.72)) - world.width / 2
        scene.front.append(Layer(world, x, size[1] * float(rng.uniform(0.4, 0.6)) - world.height / 2, depth=0.7))
        moon = planet(rng, int(min(size) * 0.06), [np.full(3, 0.6, dtype=np.float32)], ringed=False)
        scene.front.append(Layer(moon, size[0] - x - world.width * 0.4, size[1] * float(rng.uniform(0.15, 0.35)), depth=0.35))
    return scene


@dataclass(slots=True)
class _Cosmos:
    base: Image.Image
    stars: Stars

    def frame(self, t: float) -> Image.Image:
        """Return the starry ground at `t` seconds."""
        return self.stars.over(self.base.copy(), t)


class _Painter:
    """Places the parts of one landscape, from far to near."""

    def __init__(self, brief: Brief, light: Light, rng: np.random.Generator, size: tuple[int, int], moving: float) -> None:
        self.brief, self.light, self.rng, self.size, self.moving = brief, light, rng, size, moving
        self.places = set(brief.places)
        self.width, self.height = size
        self.wet = bool(self.places & _WATERS)
        share = 0.6 if self.wet and self.places & {"city", "mountain", "castle", "forest", "lake"} else 0.52 if self.wet else 0.5
        if self.width < self.height:
            share += 0.04
        self.horizon = int(self.height * share)
        self.snowy = "snow" in self.places

    def scene(self) -> Scene:
        """Return the whole scene."""
        sky_height = self.horizon if self.wet else min(self.height, int(self.horizon + self.height * 0.16))
        sky = Sky(self.light, self.brief, self.rng, (self.width, sky_height), self.moving > 0)
        scene = Scene(self.size, sky, self.horizon, self.moving, finish=finishing(self.size, self.rng, grain=not self.moving))
        self._far(scene)
        if self.wet:
            self._water(scene)
        else:
            self._ground(scene)
        self._near(scene)
        self._air(scene)
        return scene

    def _pad(self, depth: float) -> int:
        return int(TRAVEL * depth * self.width / 2 + 2) if self.moving else 0

    def _wide(self, depth: float) -> tuple[int, int]:
        return self.width + 2 * self._pad(depth), self.height

    def _layer(self, picture: Image.Image, depth: float) -> Layer:
        return trimmed(picture, -self._pad(depth), 0, depth)

    def _far(self, scene: Scene) -> None:
        """Put what rises at the horizon behind water or ground."""
        if "mountain" in self.places or ("lake" in self.places and not self.places & {"city", "desert"}):
            scene.behind.append(
                self._layer(mountains(self.light, self.rng, self._wide(0.12), self.horizon, snowy=self.snowy), 0.12)
            )
        if "forest" in self.places and self.wet:
            scene.behind.append(self._layer(self._woods(0.25, self.horizon, self.height * 0.12, 0.5, 70), 0.25))
        elif "lake" in self.places and "city" not in self.places:
            scene.behind.append(self._layer(self._woods(0.25, self.horizon, self.height * 0.055, 0.45, 90), 0.25))
        if "city" in self.places:
            foot = self.horizon if self.wet else self.height * 0.9
            for depth, tall, near in ((0.1, 0.34, 0.12), (0.2, 0.4, 0.42), (0.32, 0.32, 0.8)):
                row = built.city_row(self.light, self.rng, self._wide(depth), foot + 1, tall * (1.0 if self.wet else 1.35), near)
                scene.behind.append(self._layer(row, depth))
        if "castle" in self.places and self.wet:
            scene.behind.append(self._castle_hill(self.horizon, 0.2))

    def _castle_hill(self, foot: float, depth: float) -> Layer:
        size = self._wide(depth)
        x = size[0] * (0.34 if self.light.sun_x > 0.5 else 0.66)
        tall = self.height * 0.34
        crest = foot - self.height * (0.12 if self.wet else 0.08)
        picture = built.castle(self.light, self.rng, size, x, crest + tall * 0.03, tall)
        columns = np.arange(size[0], dtype=np.float32)
        hump = (foot - crest) * np.exp(-(((columns - x) / (size[0] * 0.24)) ** 2) * 1.4) + self.height * 0.012 * line(
            self.rng, size[0], 9
        )
        green = np.array([0.22, 0.3, 0.16], dtype=np.float32) if not self.snowy else np.array([0.9, 0.93, 0.97], dtype=np.float32)
        hill = _silhouette(
            size,
            foot - np.maximum(hump, 1) + 2,
            mix(self.light.haze, self.light.lit(green), 0.75),
            self.light.haze,
            self.height * 0.4,
        )
        picture.alpha_composite(hill)
        return self._layer(picture, depth)

    def _woods(self, depth: float, foot: float, tall: float, near: float, count: int) -> Image.Image:
        """Return a band of conifers standing on row `foot`."""
        size = self._wide(depth)
        own = np.array([0.1, 0.2, 0.13], dtype=np.float32)
        colour = mix(self.light.haze, self.light.lit(own) * 0.9, near)
        sheet = flora.Sheet(size, colour)
        ground = foot - tall * 0.14 * (1 + np.clip(line(self.rng, size[0], 5), -0.95, 2))
        for x in np.sort(self.rng.uniform(-0.02, 1.02, count)) * size[0]:
            base = float(ground[int(np.clip(x, 0, size[0] - 1))]) + tall * 0.2
            tone = np.clip(colour * float(self.rng.uniform(0.82, 1.14)), 0, 1).astype(np.float32)
            flora.conifer(
                sheet,
                self.rng,
                float(x),
                min(base, foot + 1),
                tall * float(self.rng.uniform(0.5, 1.0)),
                tone,
                snow=0.7 if self.snowy and near > 0.5 else 0.0,
            )
        picture = sheet.done()
        floor = self.light.lit(np.array([0.9, 0.94, 1.0], dtype=np.float32)) if self.snowy and not self.wet else colour
        picture.alpha_composite(
            _silhouette(size, ground, floor, self.light.haze, self.height * 0.7, stop=foot if self.wet else None)
        )
        return picture

    def _water(self, scene: Scene) -> None:
        rough = 2.6 if self.light.storm else 0.35 if "lake" in self.places else 0.8 if "calm" in self.brief.weather else 1.0
        scene.water = Water(self.light, self.rng, (self.width, self.height - self.horizon), self.horizon, rough)
        if "boat" in self.brief.things or (self.brief.places[0] == "sea" and self.rng.random() < 0.35):
            tall = self.height * float(self.rng.uniform(0.1, 0.16))
            x = self.width * float(self.rng.uniform(0.2, 0.75))
            picture = built.boat(self.light, tall)
            scene.front.append(
                Layer(
                    picture,
                    x,
                    self.horizon + self.height * 0.05 - tall * 0.82,
                    0.3,
                    bob=self.height * 0.003,
                    drift=self.width * 0.004,
                )
            )

    def _ground(self, scene: Scene) -> None:
        size = self._wide(0.35)
        if "desert" in self.places:
            scene.behind.append(self._layer(dunes(self.light, self.rng, size, self.horizon), 0.35))
        elif "city" in self.places:
            scene.behind.append(self._layer(self._street(), 0.45))
        elif not ("forest" in self.places and len(self.places - {"snow"}) == 1):
            scene.behind.append(
                self._layer(hills(self.light, self.rng, size, self.horizon, snowy=self.snowy, colours=self.brief.colours), 0.35)
            )
        if "castle" in self.places:
            scene.behind.append(self._castle_hill(self.horizon + self.height * 0.1, 0.3))

    def _street(self) -> Image.Image:
        """Return a park edge before the city: a dark hedge of trees that closes the picture below."""
        size = self._wide(0.45)
        leaf = mix(self.light.lit(np.array([0.16, 0.24, 0.13], dtype=np.float32)), self.light.stops[0], 0.25)
        sheet = flora.Sheet(size, leaf)
        foot = self.height * 0.95
        for x in np.arange(-0.03, 1.06, 0.055) * size[0]:
            tall = self.height * float(self.rng.uniform(0.1, 0.17))
            flora.leafy(sheet, self.rng, float(x), foot, tall, leaf * float(self.rng.uniform(0.8, 1.1)), leaf * 0.5)
        picture = sheet.done()
        picture.alpha_composite(
            _silhouette(
                size,
                np.full(size[0], self.height * 0.935, dtype=np.float32) + 3 * line(self.rng, size[0], 12),
                leaf * 0.8,
                leaf * 0.25,
                self.height * 0.15,
            )
        )
        return picture

    def _near(self, scene: Scene) -> None:
        """Put what stands next to the camera."""
        if "beach" in self.places:
            self._beach(scene)
        if self.wet or self.places & {"desert", "city"}:
            if "palms" in self.brief.things and "beach" not in self.places:
                scene.front.append(self._palms(self.height * 0.97))
            return
        alone = "forest" in self.places
        if alone or "mountain" in self.places or self.snowy:
            rows = (
                ((0.3, 0.66, 0.24, 0.34, 60), (0.45, 0.8, 0.34, 0.55, 40), (0.7, 0.98, 0.52, 0.8, 17))
                if alone
                else ((0.45, 0.86, 0.16, 0.6, 46),)
            )
            for depth, foot, tall, near, count in rows:
                scene.front.append(self._layer(self._woods(depth, self.height * foot, self.height * tall, near, count), depth))
        self._meadow(scene, alone)

    def _meadow(self, scene: Scene, alone: bool) -> None:
        if self.snowy:
            return
        size = self._wide(0.8)
        green = np.array([0.24, 0.38, 0.12], dtype=np.float32) * (0.75 if alone else 1.0)
        sheet = flora.Sheet(size, self.light.lit(green))
        blossoming = "garden" in self.places
        top = self.height * (0.9 if alone else 0.68 if blossoming else 0.8)
        if self.places & {"meadow", "garden"} and self.rng.random() < 0.75 and not blossoming:
            leaf, wood = (
                self.light.lit(np.array([0.3, 0.44, 0.16], dtype=np.float32)),
                self.light.lit(np.array([0.24, 0.17, 0.11], dtype=np.float32)) * 0.8,
            )
            flora.leafy(
                sheet,
                self.rng,
                size[0] * (0.2 if self.light.sun_x > 0.5 else 0.8),
                self.height * 0.82,
                self.height * 0.36,
                leaf,
                wood,
            )
        flora.grass(sheet, self.rng, top, self.light.lit(green), 2600 if blossoming else 1700, dry=0.4)
        if blossoming or "meadow" in self.places:
            named: list[Floats] = [np.array(c, dtype=np.float32) / 255 for c in self.brief.colours] or [
                _hex(code) for code in self.rng.choice(_FLOWERS, 4, replace=False)
            ]
            colours = [np.clip(self.light.lit(c) * 1.12, 0, 1).astype(np.float32) for c in named]
            flora.flowers(
                sheet,
                self.rng,
                top,
                colours,
                self.light.lit(green * 0.8),
                420 if blossoming else 90,
                0.052 if blossoming else 0.02,
            )
        scene.front.append(self._layer(sheet.done(), 0.8))

    def _beach(self, scene: Scene) -> None:
        scene.front.append(self._layer(sand(self.light, self.rng, self._wide(0.0), self.height * 0.8), 0.0))
        if "palms" in self.brief.things or self.rng.random() < 0.5:
            scene.front.append(self._palms(self.height * 0.96))

    def _palms(self, foot: float) -> Layer:
        size = self._wide(0.7)
        dark = mix(self.light.lit(np.array([0.12, 0.16, 0.08], dtype=np.float32)), self.light.stops[0] * 0.3, 0.45)
        sheet = flora.Sheet(size, dark)
        side = 0.12 if self.light.sun_x > 0.5 else 0.88
        for i in range(2):
            flora.palm(
                sheet,
                self.rng,
                size[0] * (side + (0.16 if side < 0.5 else -0.16) * i),
                foot,
                self.height * (0.66 - 0.18 * i),
                dark,
            )
        return self._layer(sheet.done(), 0.7)

    def _air(self, scene: Scene) -> None:
        says, things = self.brief.weather, self.brief.things
        if self.light.fog:
            foot = self.horizon + self.height * (0.02 if self.wet else 0.08)
            scene.distant.append(weather.Fog(self.rng, self.size, self.light, foot, self.light.fog, self.moving))
            if "forest" in self.places:
                low = self.height * 0.72
                scene.air.append(weather.Fog(self.rng, self.size, self.light, low, self.light.fog * 0.6, self.moving))
        if "storm" in says:
            scene.distant.append(weather.Lightning(self.rng, self.size, self.horizon))
        if "balloon" in things:
            colours = [_hex(code) for code in self.rng.choice(_FLOWERS, 3, replace=False)]
            tall = self.height * 0.26
            lit = [np.clip(self.light.lit(c) * 1.15, 0, 1).astype(np.float32) for c in colours]
            scene.front.insert(
                0,
                Layer(
                    built.balloon(self.light, tall, lit),
                    self.width * float(self.rng.uniform(0.25, 0.65)),
                    self.height * 0.09,
                    0.3,
                    bob=self.height * 0.006,
                    drift=self.width * 0.004,
                ),
            )
        quiet = self.light.time in ("day", "dawn", "sunset") and not says & {"storm", "rain", "snowfall", "fog"}
        if "birds" in things or (quiet and self.rng.random() < 0.45):
            scene.distant.append(weather.Birds(self.rng, self.size, self.horizon, self.light))
        if "rain" in says or "storm" in says:
            scene.air.append(weather.Rain(self.rng, self.size, self.light, heavy="storm" in says))
        if "snowfall" in says:
            scene.air.append(weather.Snow(self.rng, self.size, self.light))
        if "fireflies" in things or (self.brief.mood == "mysterious" and "forest" in self.places):
            scene.air.append(weather.Fireflies(self.rng, self.size, self.height * 0.55))


def _hex(code: str) -> Floats:
    return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], dtype=np.float32)


def _silhouette(
    size: tuple[int, int], top: Floats, colour: Floats, foot_colour: Floats, depth: float, stop: float | None = None
) -> Image.Image:
    """Return all below the outline `top` as RGBA, from `colour` at the outline towards `foot_colour` over `depth` rows."""
    rows = np.arange(size[1], dtype=np.float32)[:, None]
    cover = np.clip(rows - top[None, :] + 0.5, 0, 1)
    if stop is not None:
        cover = cover * np.clip(stop + 1 - rows, 0, 1)
    share = np.clip((rows - top[None, :]) / depth, 0, 1)[:, :, None] * 0.8
    rgba = np.dstack([colour * (1 - share) + foot_colour * share, cover])
    return Image.fromarray((np.clip(rgba, 0, 1) * 255).astype(np.uint8))
