"""Videos of the local engine: exact length, true frames of the stills, real motion, and a file that Chromium plays."""

from __future__ import annotations

import base64
import io
import itertools
import struct
import time
from collections.abc import Callable

import av
import numpy as np
import pytest

from opstore.providers.local.lettering import font
from opstore.providers.local.pictures import covering
from tests.browser import CHROMIUMS
from tests.local_steps import ask, far, frames, made, picture, pixels
from tests.loops import run

Photo = Callable[..., bytes]


@pytest.fixture(scope="module")
def stills(photo: Photo) -> tuple[bytes, bytes]:
    return photo("china", "png", (640, 427)), photo("flower", "png", (640, 427))


def fitted(still: bytes, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return pixels(covering(picture(still), size))


@pytest.mark.long
@pytest.mark.parametrize(
    ("parameters", "size", "count", "fps"),
    [
        ({"duration": 1, "framesPerSecond": 10}, (720, 480), 10, 10),
        ({"duration": 1.3, "framesPerSecond": 25, "aspectRatio": "9:16"}, (480, 854), 32, 25),
        ({"duration": "1", "framesPerSecond": "8", "aspectRatio": "1:1", "resolution": "720p"}, (720, 720), 8, 8),
        ({"duration": 1, "framesPerSecond": 8, "aspectRatio": "4:3"}, (640, 480), 8, 8),
    ],
)
def test_length_rate_and_size_are_as_asked(
    parameters: dict[str, object], size: tuple[int, int], count: int, fps: int, stills: tuple[bytes, bytes]
) -> None:
    data = made("image_to_video_single", "zoom in", stills[0], **parameters)
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == size and float(stream.average_rate or 0) == fps
        assert len(list(container.decode(video=0))) == count == stream.frames
        assert "creation_time" not in container.metadata


@pytest.mark.long
def test_the_default_is_four_seconds_at_24(stills: tuple[bytes, bytes]) -> None:
    heard: list[str] = []
    ask("image_to_video_single", "", stills[0], report=lambda share, what: heard.append(what))
    assert [what for what in heard if what.startswith("frame")] == [f"frame {n} of 96" for n in range(1, 97)]


def test_the_index_stands_before_the_pictures(stills: tuple[bytes, bytes]) -> None:
    data = made("image_to_video_single", "", stills[0], duration=1, framesPerSecond=8)
    names, place = [], 0
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        names.append(data[place + 4 : place + 8])
        place += length
    assert names.index(b"moov") < names.index(b"mdat")


@pytest.mark.long
@pytest.mark.parametrize("prompt", ["", "cross-fade", "wipe left", "volet vers le bas", "iris", "dissolution"])
def test_a_passage_begins_and_ends_with_the_stills(prompt: str, stills: tuple[bytes, bytes]) -> None:
    shown = list(frames(made("image_to_video_transition", prompt, *stills, duration=1, framesPerSecond=12)))
    first, last = (fitted(still, (720, 480)) for still in stills)
    assert far(shown[0], first) < 5 and far(shown[-1], last) < 5
    assert far(shown[6], first) > 12 and far(shown[6], last) > 12


@pytest.mark.long
@pytest.mark.parametrize(
    ("prompt", "first_taken"),
    [
        ("wipe left", "right"),
        ("wipe right", "left"),
        ("volet vers le haut", "bottom"),
        ("volet vers le bas", "top"),
        ("iris", "middle"),
    ],
)
def test_a_wipe_goes_its_way(prompt: str, first_taken: str, stills: tuple[bytes, bytes]) -> None:
    middle = list(frames(made("image_to_video_transition", prompt, *stills, duration=1, framesPerSecond=9)))[4]
    one, two = (fitted(still, (720, 480)) for still in stills)
    places = {
        "left": np.s_[100:380, 30:90],
        "right": np.s_[100:380, 630:690],
        "top": np.s_[20:70, 200:520],
        "bottom": np.s_[410:460, 200:520],
        "middle": np.s_[200:280, 320:400],
    }
    taken = places[first_taken]
    assert far(middle[taken], two[taken]) < 10 < far(middle[taken], one[taken])
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top", "middle": "left"}[first_taken]
    kept = places[opposite]
    assert far(middle[kept], one[kept]) < 10 < far(middle[kept], two[kept])


@pytest.mark.long
@pytest.mark.parametrize("prompt", ["zoom in", "zoom out", "pan left", "travelling vers le bas", "rotate left", ""])
def test_a_still_moves_all_the_time_and_shows_no_empty_edge(prompt: str, stills: tuple[bytes, bytes]) -> None:
    shown = list(frames(made("image_to_video_single", prompt, stills[1], duration=1, framesPerSecond=8)))
    assert all(far(one, two) > 0.4 for one, two in itertools.pairwise(shown))
    darkest = min(frame[edge].mean() for frame in shown for edge in (np.s_[:2], np.s_[-2:], np.s_[:, :2], np.s_[:, -2:]))
    assert darkest > 12


def test_zoom_in_ends_closer_and_zoom_out_is_its_reverse(stills: tuple[bytes, bytes]) -> None:
    inward, outward = (
        list(frames(made("image_to_video_single", p, stills[0], duration=1, framesPerSecond=8))) for p in ("zoom in", "zoom out")
    )
    assert far(inward[0], fitted(stills[0], (720, 480))) < 6
    assert far(inward[0], outward[-1]) < 4 and far(inward[-1], outward[0]) < 4
    assert far(inward[0], inward[-1]) > 15


@pytest.mark.long
@pytest.mark.parametrize(
    "prompt", ["a calm sea", "starry night over a city", "snow falling on a forest", "blue abstract", "space", "rain"]
)
def test_scenes_are_alive(prompt: str) -> None:
    shown = list(frames(made("text_to_video", prompt, duration=1, framesPerSecond=8)))
    assert len(shown) == 8 and shown[0].shape == (480, 854, 3)
    assert all(0.15 < far(one, two) < 40 for one, two in itertools.pairwise(shown))
    assert shown[0].std() > 12


@pytest.mark.long
def test_four_seconds_do_not_take_long(stills: tuple[bytes, bytes]) -> None:
    start = time.process_time()
    made("image_to_video_single", "zoom in", *stills[:1])
    assert time.process_time() - start < 15  # 0.6 s of wall time on two idle cores; generous for a busy machine


def test_the_caption_font_has_the_letters_of_both_languages() -> None:
    face = font(40)
    missing = bytes(face.getmask("\U000e0001"))
    assert all(bytes(face.getmask(letter)) != missing for letter in "éèêàçœ«»’ùï")


PAGE = """
<video muted src="data:video/mp4;base64,{data}"></video>
<script>
  const video = document.querySelector('video');
  window.played = new Promise((resolve, reject) => {{
    video.onerror = () => reject(video.error.message);
    video.ontimeupdate = () => {{
      if (video.currentTime < 0.3) return;
      video.pause();
      const canvas = document.createElement('canvas');
      canvas.width = video.videoWidth; canvas.height = video.videoHeight;
      const context = canvas.getContext('2d');
      context.drawImage(video, 0, 0);
      const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
      let sum = [0, 0, 0];
      for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++) sum[c] += data[i + c];
      resolve([video.duration, video.videoWidth, video.videoHeight, video.currentTime, ...sum.map(s => s * 4 / data.length)]);
    }};
    video.play();
  }});
</script>
"""


@pytest.mark.long
def test_chromium_plays_it_in_its_true_colours(program: Callable[..., str], stills: tuple[bytes, bytes]) -> None:
    chromium = program(*CHROMIUMS)
    from playwright.async_api import async_playwright

    data = made("image_to_video_single", "zoom in slightly", stills[1], duration=2)

    async def played() -> list[float]:
        async with async_playwright() as playwright:
            options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
            browser = await playwright.chromium.launch(executable_path=chromium, args=options)
            page = await browser.new_page()
            await page.set_content(PAGE.format(data=base64.b64encode(data).decode()))
            found: list[float] = await page.evaluate("window.played")
            await browser.close()
            return found

    seconds, width, height, now, *mean = run(played())
    assert (seconds, width, height) == (2, 720, 480) and now >= 0.3
    shown = list(frames(data))[round(now * 24)]
    assert np.abs(shown.mean(axis=(0, 1)) - np.array(mean)).max() < 4
    assert np.abs(fitted(stills[1], (720, 480)).mean(axis=(0, 1)) - np.array(mean)).max() < 12
