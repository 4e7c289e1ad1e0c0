"""The local engine behind the seam: what it promises a job, and what it answers to harm and to what it cannot do."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from opstore.errors import Canceled, ProviderRefused, Said
from opstore.providers.local import LocalEngine
from opstore.ui import catalogue
from tests.local_steps import ask, far, made, picture, pixels

Photo = Callable[..., bytes]
TYPES = (
    ("text_to_image", "a calm sea at sunset", 0),
    ("image_edit_single", "sepia, blur, caption 'Hi'", 1),
    ("image_edit_multiple", "collage, vignette", 3),
    ("text_to_video", "snow falling on mountains", 0),
    ("image_to_video_single", "", 1),
    ("image_to_video_transition", "dissolve", 2),
)
SHORT = {"duration": 1, "framesPerSecond": 8}


@pytest.fixture(scope="module")
def photos(photo: Photo) -> list[bytes]:
    return [photo("chelsea", "jpg", (300, 200)), photo("china", "jpg", (320, 214)), photo("astronaut", "jpg", (200, 200))]


@pytest.mark.long
@pytest.mark.parametrize(("kind", "prompt", "count"), TYPES, ids=[t[0] for t in TYPES])
def test_the_same_request_is_the_same_bytes(kind: str, prompt: str, count: int, photos: list[bytes]) -> None:
    one, two, other = (made(kind, prompt, *photos[:count], seed=seed, **SHORT) for seed in (7, 7, 8))
    assert one == two
    if kind in ("text_to_image", "text_to_video", "image_to_video_single"):
        assert one != other


def test_a_prediction_says_when_and_how_long(photos: list[bytes]) -> None:
    shares: list[float] = []
    prediction = ask("image_edit_single", "sepia, blur", photos[0], report=lambda share, what: shares.append(share))
    assert prediction.ended and prediction.id is None and prediction.logs == "sepia, blur"
    assert prediction.predict_seconds is not None and 0 < prediction.predict_seconds < 5
    times = [prediction.created_at, prediction.started_at, prediction.completed_at]
    assert all(t is not None and t.endswith("Z") and len(t) == 24 for t in times)
    assert datetime.fromisoformat(times[0] or "") <= datetime.fromisoformat(times[2] or "")
    assert shares == sorted(shares) and len(shares) >= 3 and shares[0] >= 0 and shares[-1] <= 1


def test_a_local_step_has_no_life_after_create() -> None:
    for call in (LocalEngine().status, LocalEngine().cancel):
        with pytest.raises(ProviderRefused):
            call("any")


@pytest.mark.parametrize("fmt", ["webp", "jpg", "png"])
def test_formats_and_quality(fmt: str, photos: list[bytes]) -> None:
    kinds = {"webp": "WEBP", "jpg": "JPEG", "png": "PNG"}
    assert picture(made("image_edit_single", "sepia", photos[0], outputFormat=fmt)).format == kinds[fmt]
    if fmt != "png":
        low, high = (made("image_edit_single", "sepia", photos[0], outputFormat=fmt, outputQuality=q) for q in (10, 95))
        assert len(low) < len(high) / 2
    assert picture(made("image_edit_single", "sepia", photos[0])).format == "WEBP"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aspectRatio", "5:1"),
        ("aspectRatio", 3),
        ("outputFormat", "tiff"),
        ("outputQuality", 0),
        ("outputQuality", "best"),
        ("outputQuality", float("nan")),
        ("seed", "x"),
        ("seed", 1.5),
        ("duration", 11),
        ("duration", -1),
        ("framesPerSecond", 1000),
        ("framesPerSecond", True),
        ("resolution", "8k"),
        ("seed", float("inf")),
    ],
)
def test_impossible_parameters_fail_by_name(name: str, value: Any) -> None:
    prediction = ask("text_to_image", "la mer", **{name: value})
    assert prediction.status == "failed" and name in (prediction.error or "") and "Use " in (prediction.error or "")


def test_unknown_and_empty_parameters_are_ignored(photos: list[bytes]) -> None:
    given: dict[str, Any] = {"guidance": object(), "aspectRatio": None, "seed": None, "outputFormat": "", "goFast": True}
    assert made("image_edit_single", "sepia", photos[0], **given) == made("image_edit_single", "sepia", photos[0])


@pytest.mark.parametrize(
    ("kind", "prompt", "count", "words"),
    [
        ("image_edit_single", "a dog with a hat", 1, "no AI model"),
        ("image_edit_single", "mets un chapeau au chien", 1, "no AI model"),
        ("image_edit_single", "", 1, "can do"),
        ("image_edit_multiple", "replace the face in image 2 by image 1", 2, "needs an AI model"),
        ("image_edit_multiple", "remplace le chat de l’image 2 par celui de l’image 1", 2, "needs an AI model"),
        ("image_edit_multiple", "quelque chose de joli", 2, "grid"),
        ("image_edit_multiple", "put image 4 into image 1", 2, "image 4"),
        ("image_edit_single", "sepia", 2, "needed: 1; given: 2"),
        ("image_edit_multiple", "grid", 1, "needed: 2–5; given: 1"),
        ("image_to_video_transition", "fade", 1, "needed: 2; given: 1"),
        ("text_to_image", "  ", 0, "empty"),
        ("text_to_video", "", 0, "empty"),
        ("text_to_music", "a song", 0, "text_to_music"),
        ("image_edit_single", "resize to 90000x90000", 1, "Ask for a smaller size"),
        ("image_edit_single", "redimensionne à 9000 %", 1, "smaller size"),
        ("image_edit_single", "crop to 3000x3000", 1, "resize it first"),
    ],
)
def test_what_cannot_be_done_fails_with_a_sentence(kind: str, prompt: str, count: int, words: str, photos: list[bytes]) -> None:
    prediction = ask(kind, prompt, *photos[:count])
    assert prediction.status == "failed" and prediction.outputs == ()
    assert words in (prediction.error or "") and (prediction.error or "").endswith(".")
    needs_a_model = any(text in words for text in ("AI model", "can do", "grid", "text_to_music"))
    assert prediction.error_kind == ("needs a model" if needs_a_model else "invalid input")
    assert isinstance(prediction.error, Said) and prediction.error.template in {message.id for message in catalogue.messages()}


def _truncated(photo: bytes) -> bytes:
    return photo[: len(photo) // 2]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"not a picture",
        b"\xff\xd8\xff\xe0" + b"\0" * 300,
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x24\0\0\0WEBPVP8 " + b"\xff" * 40,
        b"GIF89a\x01\0\x01\0",
        b"BM" + b"\0" * 200,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe",
    ],
)
def test_bytes_that_are_no_picture_fail_with_a_sentence(bad: bytes, photos: list[bytes]) -> None:
    for data in (bad, bad + photos[0][-500:]):
        prediction = ask("image_edit_multiple", "grid", photos[0], data)
        # What a header says of its size is believed before anything decodes it.
        said = ("Image 2 cannot be read", "Image 2 has 268 million pixels; at most 40 million can be worked on")
        assert prediction.status == "failed" and (prediction.error or "").startswith(said)


def test_damaged_photographs_fail_or_are_read_but_never_raise(photos: list[bytes], photo: Photo) -> None:
    for whole in (
        photos[0],
        photo("coffee", "png", (80, 60)),
        photo("coffee", "webp", (80, 60)),
        photo("coffee", "gif", (80, 60)),
    ):
        assert ask("image_edit_single", "sepia", _truncated(whole)).status == "failed"
        for place in range(12, len(whole), max(1, len(whole) // 40)):
            broken = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
            assert ask("image_edit_single", "invert", broken).ended


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few kB that unpacks to width × height pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    body = zlib.compress(b"\0" * min((width * 3 + 1) * height, 4_000_000), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8000, 5001), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_bomb_is_refused_before_it_is_unpacked(size: tuple[int, int]) -> None:
    ask("image_edit_single", "invert", bomb(10, 10))  # what the libraries themselves need is in memory now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prediction = ask("image_edit_single", "invert", bomb(*size))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert prediction.status == "failed" and (prediction.error or "").endswith(".")
    assert grown < 60_000, f"{grown} kB more memory"


@pytest.mark.parametrize("kind", ["text_to_video", "image_to_video_single", "image_to_video_transition"])
def test_canceling_stops_in_the_middle_and_leaves_nothing(
    kind: str, photos: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[str] = []

    def stop(share: float, what: str) -> None:
        seen.append(what)
        if what.startswith("frame 5 "):
            raise Canceled

    count = {"text_to_video": 0, "image_to_video_single": 1, "image_to_video_transition": 2}[kind]
    with pytest.raises(Canceled):
        ask(kind, "a calm sea", *photos[:count], report=stop)
    assert seen[-1] == "frame 5 of 96" and list(tmp_path.iterdir()) == []


def test_canceling_stops_between_two_edits(photos: list[bytes]) -> None:
    seen: list[str] = []

    def stop(share: float, what: str) -> None:
        seen.append(what)
        if what == "blur":
            raise Canceled

    with pytest.raises(Canceled):
        ask("image_edit_single", "sepia, blur, caption 'never'", photos[0], report=stop)
    assert seen[-2:] == ["sepia", "blur"]


def test_gif_and_webp_are_read(photo: Photo) -> None:
    for kind in ("gif", "webp", "png", "jpg"):
        data = photo("coffee", kind, (90, 60))
        result = pixels(made("image_edit_single", "resize 100%", data, outputFormat="png"))
        assert far(result, pixels(data)) < 1


def test_a_caption_of_braces_and_controls_is_harmless(photos: list[bytes]) -> None:
    assert made("image_edit_single", "caption '{0} {reason} %s \x00\u202e'", photos[0])


def test_the_result_carries_no_metadata_of_the_input(photos: list[bytes]) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    picture(photos[0]).save(buffer, "JPEG", exif=exif, comment=b"SecretPlace")
    for fmt in ("webp", "jpg", "png"):
        result = made("image_edit_single", "sepia", buffer.getvalue(), outputFormat=fmt)
        assert b"Secret" not in result


def test_listing_what_it_can_do_loads_no_heavy_package() -> None:
    code = (
        "import sys\nfrom opstore.providers.local import LocalEngine, capabilities, understood\n"
        "LocalEngine(), capabilities(), understood('floute')\n"
        "print([name for name in ('PIL', 'numpy', 'av', 'streamlit') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
