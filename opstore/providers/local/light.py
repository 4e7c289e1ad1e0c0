"""The light of a scene: sky, sun and haze for a time of day, a weather and a mood; colours that are named tint it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from opstore.providers.local.colours import Colour
from opstore.providers.local.noise import Floats
from opstore.providers.local.scene_words import Brief

_SKIES: dict[str, str] = {
    "dawn": "22335f 5a6396 b58bab f0ab9c fcd0a0 fff0cc",
    "day": "1f63b8 3f86d2 76b0e6 aed2ee dcecf4 f1f5f2",
    "sunset": "1d2450 4a3571 9a4273 df5e58 f99045 ffd07a",
    "dusk": "0b1234 1d2557 423a74 7d4c80 c26f7c f0a27e",
    "night": "03060f 071025 0d1a3a 152950 203a66 30507c",
    "storm": "15191f 252c34 3a434c 525c64 717a7e 949a98",
    "storm night": "04060a 0a0e15 121823 1b2330 27303c 363f49",
    "overcast": "5d6c7c 7a8996 97a4ae b1bbc2 c8cfd2 d9dddc",
}
_SUNS = {"dawn": "ffdca8", "day": "fff6dc", "sunset": "ffc878", "dusk": "ff9f78", "night": "dfe8ff"}
#: How high the sun or moon stands, as a share of the sky above the horizon.
_HEIGHTS = {"dawn": 0.14, "day": 0.72, "sunset": 0.12, "dusk": 0.02, "night": 0.68}


def rgb(code: str) -> Floats:
    """Return a colour written as six hex digits, 0 to 1."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], dtype=np.float32)


def mix(one: Floats, two: Floats, share: float) -> Floats:
    """Return `one` with a share of `two`."""
    return (one * (1 - share) + two * share).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Light:
    """All that painters need to know of the light; colours from 0 to 1."""

    time: str
    stops: Floats
    sun: Floats
    sun_x: float
    sun_height: float
    haze: Floats
    brightness: float
    fog: float
    cloud: float
    storm: bool

    @property
    def dark(self) -> bool:
        """Say whether windows are lit and stars are out."""
        return self.time in ("night", "dusk")

    def sky_at(self, share: Floats) -> Floats:
        """Return the clear sky's colour at heights `share`: 0 the zenith, 1 the horizon."""
        at = np.linspace(0, 1, len(self.stops))
        # Mixed in linear light, where a gradient keeps its brightness between two hues.
        linear = self.stops**2.2
        return np.stack([np.interp(share, at, linear[:, c]) ** (1 / 2.2) for c in range(3)], axis=-1).astype(np.float32)

    def lit(self, colour: Floats) -> Floats:
        """Return a surface's own colour as it looks in this light."""
        tone = mix(np.ones(3, dtype=np.float32), self.sun, 0.55) if self.time != "day" else self.sun
        seen: Floats = colour * tone * self.brightness + self.stops[2] * 0.14 * self.brightness
        return seen.astype(np.float32)


def _default_time(brief: Brief, rng: np.random.Generator) -> str:
    if brief.time:
        return brief.time
    if "space" in brief.places:
        return "night"
    if brief.mood == "mysterious":
        return "dusk"
    return str(rng.choice(["day", "day", "dawn", "sunset"]))


def light_of(brief: Brief, rng: np.random.Generator) -> Light:
    """Return the light that a brief asks for."""
    time = _default_time(brief, rng)
    storm = "storm" in brief.weather
    grey = (
        storm
        or ("rain" in brief.weather and time == "day")
        or ("snowfall" in brief.weather and time == "day")
        or brief.mood == "sad"
    )
    name = ("storm night" if time == "night" else "storm") if storm else "overcast" if grey and time == "day" else time
    stops = np.stack([rgb(code) for code in _SKIES[name].split()])
    if storm and time in ("sunset", "dawn", "dusk"):
        stops = mix(stops, np.stack([rgb(code) for code in _SKIES[time].split()]), 0.45)
    stops = _mood(_tinted(stops, _of_the_sky(brief)), brief.mood)
    brightness = {"dawn": 0.78, "day": 1.0, "sunset": 0.68, "dusk": 0.42, "night": 0.3}[time] * (0.62 if storm else 1.0)
    cloud = _cloud(brief, rng, grey=grey, storm=storm)
    return Light(
        time=time,
        stops=stops,
        sun=mix(rgb(_SUNS[time]), stops[-1], 0.25),
        sun_x=float(rng.uniform(0.24, 0.76)),
        sun_height=_HEIGHTS[time] * float(rng.uniform(0.85, 1.1)),
        haze=mix(stops[-1], stops[-2], 0.4),
        brightness=brightness,
        fog=0.75 if "fog" in brief.weather else 0.32 if brief.mood == "mysterious" or "rain" in brief.weather else 0.0,
        cloud=cloud,
        storm=storm,
    )


def _cloud(brief: Brief, rng: np.random.Generator, *, grey: bool, storm: bool) -> float:
    """Return how much of the sky is covered."""
    if storm:
        return 0.8
    if grey or "cloudy" in brief.weather:
        return 0.62
    if "clear" in brief.weather or brief.things & {"aurora", "milky way"}:
        return 0.08
    return float(rng.uniform(0.3, 0.46))


def _of_the_sky(brief: Brief) -> tuple[Colour, ...]:
    """Return the colours that are meant for the sky: not those of flowers, nor the green and brown of land."""
    if "garden" in brief.places:
        return ()
    if not set(brief.places) & {"meadow", "forest", "mountain", "desert", "castle"}:
        return brief.colours
    return tuple(c for c in brief.colours if not (c[1] > max(c[0], c[2]) or (c[0] > c[1] > c[2] and c[0] < 190)))


def _tinted(stops: Floats, colours: tuple[Colour, ...]) -> Floats:
    """Lean a sky to the colours that were named, each over its part of the height, keeping how bright it is."""
    named = [c for c in colours if max(c) - min(c) > 24]
    if not named:
        return stops
    tinted = stops.copy()
    for i, stop in enumerate(stops):
        target = named[min(i * len(named) // len(stops), len(named) - 1)]
        _, lightness, _ = colorsys.rgb_to_hls(*(float(v) for v in stop))
        named_hue, named_lightness, saturation = colorsys.rgb_to_hls(*(v / 255 for v in target))
        wanted = colorsys.hls_to_rgb(named_hue, lightness * 0.7 + named_lightness * 0.3, max(saturation, 0.45))
        tinted[i] = mix(stop, np.array(wanted, dtype=np.float32), 0.62)
    return tinted


def _mood(stops: Floats, mood: str) -> Floats:
    grey = stops @ np.array([0.3, 0.59, 0.11], dtype=np.float32)
    if mood == "happy":
        return np.clip(grey[:, None] + (stops - grey[:, None]) * 1.2 + 0.03, 0, 1).astype(np.float32)
    if mood == "sad":
        return mix(stops, np.stack([grey * 0.9, grey * 0.96, grey * 1.06], axis=-1), 0.6)
    if mood == "mysterious":
        return mix(stops, stops * np.array([0.72, 0.62, 1.05], dtype=np.float32), 0.7)
    return stops
