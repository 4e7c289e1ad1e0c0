"""Copies that are handed on: nothing is in them but pictures and sound, looking as they did, and what was meant to be in them."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import av
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from opstore.errors import UnsupportedMedia
from opstore.media import GIF, JPEG, MP4, PNG, WEBM, WEBP, MediaType, facts, sniff
from opstore.media.likeness import shown_as
from opstore.media.provenance import TRAINED
from opstore.shares import clean
from opstore.shares.clean import UNSEEN, Stamp, cleaned, source_stamp
from opstore.shares.embed import stamp
from opstore.shares.redaction import Item, Picture
from tests.media_samples import SAMPLES, encoded, opened, picture, video
from tests.share_samples import OWNER, SECRET, TOLD, gps_photo, telling_png, telling_video


def apart(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures of one size, of 255."""
    assert one.size == other.size
    left, right = (np.asarray(image.convert("RGBA"), "int16") for image in (one, other))
    return float(np.abs(left - right).mean())


def noisy(kind: str) -> bytes:
    """Return a picture of a type with everything in it that the type can hold beside pixels."""
    exif = Image.Exif()
    exif[0x013B] = OWNER
    exif.get_ifd(0x8825)[29] = "2025:11:03"
    chunks = PngInfo()
    chunks.add_text("Comment", SECRET)
    words = {"comment": SECRET.encode()} if kind in ("JPEG", "GIF") else {}
    xmp = {"xmp": f"<x>{SECRET}</x>".encode()} if kind in ("JPEG", "WEBP") else {}
    text = {"pnginfo": chunks} if kind == "PNG" else {}
    exifs = {"exif": exif} if kind != "GIF" else {}
    return encoded(picture(), kind, **words, **xmp, **text, **exifs)


@pytest.mark.parametrize("media", SAMPLES, ids=lambda media: media.extension)
def test_a_copy_is_of_the_type_that_browsers_get_and_shows_the_same(media: MediaType) -> None:
    copy = cleaned(SAMPLES[media])
    assert sniff(copy) is shown_as(media) and cleaned(SAMPLES[media]) == copy, (
        "the same bytes for the same file: a range may come later"
    )
    assert (facts(copy).width, facts(copy).height) == (facts(SAMPLES[media]).width, facts(SAMPLES[media]).height)
    if media.kind == "image":
        assert apart(opened(copy), opened(SAMPLES[media])) < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_nothing_else_is_in_a_picture(kind: str) -> None:
    data = noisy(kind)
    assert SECRET.encode() in data or OWNER.encode() in data
    copy = cleaned(data + b"<html>" + SECRET.encode())
    assert not [word for word in TOLD if word in copy] and b"<html>" not in copy
    assert not opened(copy).getexif()


@pytest.mark.parametrize(
    "data", [gps_photo(), telling_png(), telling_video(), telling_video("webm")], ids=["jpg", "png", "mp4", "webm"]
)
def test_what_a_file_tells_is_in_no_copy(data: bytes) -> None:
    assert len([word for word in TOLD if word in data]) >= 2
    assert not [word for word in TOLD if word in cleaned(data)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_a_picture_stands_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture(size=(64, 32)), kind, exif=exif, quality=95)
    assert apart(opened(cleaned(data)), ImageOps.exif_transpose(opened(data))) < 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_a_png_survives_without_loss(mode: str) -> None:
    image = picture("RGBA" if mode in ("RGBA", "LA") else "RGB")
    if mode in ("RGBA", "LA"):
        image.putalpha(image.convert("L").point(lambda value: 255 - value))
    image = Image.fromarray(np.arange(4096, dtype="uint16").reshape(64, 64) * 16) if mode == "I;16" else image.convert(mode)
    copy = opened(cleaned(encoded(image, "PNG")))
    if mode == "I;16":
        assert (np.asarray(copy) == np.asarray(image)).all()
    else:
        assert apart(copy, image) == 0


def test_transparency_and_loss_of_a_webp_stay_as_they_were() -> None:
    image = picture("RGBA")
    image.putalpha(128)
    assert apart(opened(cleaned(encoded(image, "WEBP", lossless=True))), image) == 0
    assert apart(opened(cleaned(encoded(image, "WEBP"))), opened(encoded(image, "WEBP"))) < 3


def hiding(size: int = 64) -> np.ndarray[Any, Any]:
    """Return pixels of which a part is transparent, with a picture under it, and a part nearly so, as a soft matte leaves it."""
    pixels = np.random.default_rng(7).integers(1, 255, (size, size, 4), dtype="uint8")
    pixels[:, :, 3] = 255
    pixels[: size // 2, :, 3], pixels[size // 2 : size * 3 // 4, :, 3] = 0, UNSEEN
    return pixels


@pytest.mark.parametrize("kind", ["PNG", "APNG", "LA", "palette", "GIF", "WEBP", "lossless WEBP", "animated WEBP"])
def test_nothing_lies_under_what_is_transparent(kind: str) -> None:
    image = Image.fromarray(hiding())
    again = {"save_all": True, "append_images": [Image.fromarray(hiding()[::-1].copy())], "duration": 100}
    exact = {"exact": True}
    data = {
        "PNG": lambda: encoded(image, "PNG"),
        "APNG": lambda: encoded(image, "PNG", **again),
        "LA": lambda: encoded(image.convert("LA"), "PNG"),
        "palette": lambda: encoded(image.convert("RGB").quantize(64), "PNG", transparency=bytes(32)),
        "GIF": lambda: encoded(image, "GIF"),
        "WEBP": lambda: encoded(image, "WEBP", **exact),
        "lossless WEBP": lambda: encoded(image, "WEBP", lossless=True, **exact),
        "animated WEBP": lambda: encoded(image, "WEBP", lossless=True, **exact, **again),
    }[kind]()
    for copy in (cleaned(data), cleaned(data, source_stamp(TRAINED))):
        shown: Any = Image.open(io.BytesIO(copy))
        assert getattr(shown, "n_frames", 1) == (2 if "append_images" in again and kind in ("APNG", "animated WEBP") else 1)
        for number in range(getattr(shown, "n_frames", 1)):
            shown.seek(number)
            pixels = np.asarray(shown.convert("RGBA")).astype(int)
            under = pixels[pixels[:, :, 3] == 0][:, :3]
            assert (number or len(under) > 1000) and len(np.unique(under, axis=0)) < 40, (
                "a lossy WebP's are of one colour a block"
            )


def test_grey_of_16_bits_with_a_transparent_value_is_what_it_looks_like() -> None:
    values = (np.arange(4096, dtype="uint16") * 16).reshape(64, 64)
    copy = np.asarray(opened(cleaned(encoded(Image.fromarray(values), "PNG", transparency=int(values[5, 5])))))
    assert copy[5, 5].tolist() == [0, 0, 0, 0] and copy[63, 63].tolist() == [255, 255, 255, 255] and copy[32, 0, 0] == 128


def transparent_video(pixels: Any) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="webm") as target:
        stream = target.add_stream("libvpx-vp9", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuva420p"
        for _ in range(3):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba")))
        target.mux(stream.encode())
    return out.getvalue()


@pytest.mark.parametrize("told", [64, 32], ids=["told", "untold"])
def test_a_transparent_video_beyond_the_cap_is_not_decoded(monkeypatch: pytest.MonkeyPatch, told: int) -> None:
    data = transparent_video(hiding())
    # What the container tells of the size is looked at first; the decoder keeps to the cap where the stream has another.
    data = data.replace(b"\xb0\x81\x40\xba\x81\x40", bytes((0xB0, 0x81, told, 0xBA, 0x81, told)))
    monkeypatch.setattr(clean, "MAX_PIXELS", 64 * 64 - 1)
    with pytest.raises(UnsupportedMedia):
        cleaned(data)


def test_a_transparent_video_hides_nothing_from_any_player_nor_in_its_small_picture() -> None:
    pixels = hiding()
    pixels[32:48, :, 3] = 255
    video_of = transparent_video(pixels)

    def opaque(data: bytes) -> list[Any]:
        with av.open(io.BytesIO(data), mode="r") as found:
            return [frame.to_ndarray(format="rgb24") for frame in found.decode(video=0)]

    stored, copy = opaque(video_of), opaque(cleaned(video_of))
    assert len(stored) == len(copy) == 3
    assert all(
        one[:28].std() > 20 and other[:28].std() < 2 and other[36:].std() > 20 for one, other in zip(stored, copy, strict=True)
    )


def test_colours_of_another_profile_look_as_they_did() -> None:
    wide = ImageCms.createProfile("LAB")  # of no use to a JPEG: the picture is handed on as most programs show it
    data = encoded(picture(), "JPEG", icc_profile=ImageCms.ImageCmsProfile(wide).tobytes(), quality=95)
    assert apart(opened(cleaned(data)), opened(data)) < 3 and "icc_profile" not in opened(cleaned(data)).info
    swapped = swapped_profile()
    data = encoded(Image.new("RGB", (8, 8), (200, 40, 40)), "PNG", icc_profile=swapped)
    shown = ImageCms.profileToProfile(opened(data), io.BytesIO(swapped), ImageCms.createProfile("sRGB"), outputMode="RGB")
    copy = opened(cleaned(data))
    assert shown is not None and apart(copy, shown) == 0 and apart(copy, Image.new("RGB", (8, 8), (200, 40, 40))) > 20
    assert "icc_profile" not in copy.info
    broken = encoded(picture(), "PNG", icc_profile=b"no profile")
    assert apart(opened(cleaned(broken)), picture()) == 0


def swapped_profile() -> bytes:
    """Return an sRGB profile with red and blue exchanged, under another name: a picture in it looks different without."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data).replace(b"s\0R\0G\0B", b"s\0W\0A\0P")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_keeps_its_frames_and_pace(kind: str) -> None:
    frames = [Image.new("RGB", (24, 16), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=[100, 200, 300], loop=0, **options)
    copy: Any = Image.open(io.BytesIO(cleaned(data)))
    assert copy.n_frames == 3
    for number, frame in enumerate(frames):
        copy.seek(number)
        copy.load()
        assert copy.info["duration"] == 100 * (number + 1) and apart(copy.convert("RGB"), frame) < 3


def test_the_picture_beside_a_png_that_moves_is_not_handed_on() -> None:
    """Nobody who sees the animation sees it; it became the first frame of the copy."""
    hidden, *shown = (Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue"))
    data = encoded(hidden, "PNG", save_all=True, append_images=shown, default_image=True, duration=100)
    copy = opened(cleaned(data))
    seen = []
    for number in range(copy.n_frames):  # type: ignore[attr-defined] # of pictures that move
        copy.seek(number)
        seen.append(copy.convert("RGB").getpixel((2, 2)))
    assert seen == [(0, 255, 0), (0, 0, 255)]


def test_a_video_keeps_pictures_sound_and_the_way_up() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as target:
        pictures, sound = target.add_stream("libx264", rate=10), target.add_stream("aac", rate=8000)
        assert isinstance(pictures, av.VideoStream) and isinstance(sound, av.AudioStream)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 32, "yuv420p"
        pictures.set_display_rotation(90)
        for shade in (60, 120, 180):
            target.mux(pictures.encode(av.VideoFrame.from_ndarray(np.full((32, 64, 3), shade, "uint8"), format="rgb24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), "float32"), format="fltp", layout="mono")
        silence.sample_rate = 8000
        target.mux(sound.encode(silence))
        for stream in (pictures, sound):
            target.mux(stream.encode())
    copy = cleaned(out.getvalue())
    with av.open(io.BytesIO(copy), mode="r") as found, av.open(io.BytesIO(out.getvalue()), mode="r") as stored:
        assert [stream.type for stream in found.streams] == ["video", "audio"]
        ours, theirs = (list(one.decode(video=0)) for one in (found, stored))
        assert len(ours) == 3 and [frame.rotation for frame in ours] == [frame.rotation for frame in theirs] == [90] * 3
        assert all((a.to_ndarray() == b.to_ndarray()).all() for a, b in zip(ours, theirs, strict=True))


# Named by hand: a video is encoded by each process that runs tests, and is not always of the same length.
@pytest.mark.parametrize(
    "data",
    [b"", b"<svg/>", b"<html>", SAMPLES[PNG][:40], SAMPLES[MP4][:60], SAMPLES[WEBM][:40], b"\xff\xd8\xff"],
    ids=["nothing", "svg", "html", "cut png", "cut mp4", "cut webm", "cut jpeg"],
)
def test_what_is_no_picture_or_video_is_not_handed_on(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        cleaned(data)


# -- what is written into a copy ---------------------------------------------------------------------------------------------

PROMPT = 'une mer, l’été: 海 <&> "x"\nsecond line\x07'


def item(**changes: Any) -> Item:
    known: dict[str, Any] = {
        "prompt": PROMPT, "id": "20251103143022_abc123de", "model": "qwen/qwen-image", "provider": "replicate",
        "parameters": {"seed": 7, "steps": 28, "guidance": 3.5, "negativePrompt": "smudge, text", "aspectRatio": "16:9"},
    }  # fmt: skip
    return Item(1, "text_to_image", "stored", (), **(known | changes))


def written(media: MediaType, of: Item) -> bytes:
    one = Picture("1-result-1", "x", "result", 1, media, 80, 48)
    return cleaned(SAMPLES[media], stamp(of, one))


def parameters_of(data: bytes) -> str:
    """Return the text as other tools find it: PNG's own chunk, else EXIF's UserComment."""
    image = opened(data)
    if "parameters" in image.info:
        return str(image.info["parameters"])
    comment: bytes = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment[:8] == b"UNICODE\0"
    return comment[8:].decode("utf-16-be")


def xmp_of(data: bytes) -> ElementTree.Element:
    image = opened(data)
    found = image.info.get("xmp") or image.info["XML:com.adobe.xmp"]
    text = found.decode() if isinstance(found, bytes) else str(found)
    return ElementTree.fromstring(text[text.index("<x:xmpmeta") : text.index("</x:xmpmeta>") + 12])


@pytest.mark.parametrize("media", [PNG, JPEG, WEBP], ids=lambda media: media.extension)
def test_the_metadata_is_where_other_tools_look_for_it(media: MediaType) -> None:
    data = written(media, item())
    assert sniff(data) is media and apart(opened(data), opened(SAMPLES[media])) < 3
    *lines, last = parameters_of(data).split("\n")
    assert lines[0].startswith("une mer, l’été: 海") and lines[-1] == "Negative prompt: smudge, text"
    pairs = dict(pair.split(": ", 1) for pair in last.replace('"16:9"', "16/9").split(", "))
    assert pairs["Steps"] == "28" and pairs["CFG scale"] == "3.5" and pairs["Seed"] == "7" and pairs["Size"] == "80x48"
    assert pairs["Model"] == "qwen/qwen-image" and pairs["aspectRatio"] == "16/9" and pairs["Version"] == "opstore"
    xmp = {element.tag.rpartition("}")[2]: element.text for element in xmp_of(data).iter() if element.text}
    assert xmp["li"] == xmp["AIPromptInformation"] == PROMPT.replace("\x07", "") and xmp["AISystemUsed"] == "qwen/qwen-image"
    assert xmp["operationId"] == "20251103143022_abc123de" and "16:9" in str(xmp["parameters"])


@pytest.mark.parametrize("media", [PNG, JPEG, WEBP, MP4, GIF], ids=lambda media: media.extension)
def test_what_is_withheld_is_not_written(media: MediaType) -> None:
    data = written(media, item(prompt=None, id=None, model=None, provider=None, parameters=None))
    for word in ("une mer", "qwen", "abc123de", "smudge", "16:9"):
        assert word.encode() not in data and word.encode("utf-16-be") not in data


def test_a_video_has_it_as_its_comment() -> None:
    with av.open(io.BytesIO(written(MP4, item())), mode="r") as found:
        assert "Seed: 7" in found.metadata["comment"] and len(list(found.decode(video=0))) == 10


@pytest.mark.long
@pytest.mark.parametrize("media", [PNG, JPEG, WEBP], ids=lambda media: media.extension)
@pytest.mark.parametrize("letter", ["é", "海", "&", "\U0001f600"])
def test_a_prompt_of_any_length_fits(media: MediaType, letter: str) -> None:
    long = letter * 1_000_000
    data = written(media, item(prompt=long, model=long, parameters={"negativePrompt": long}))
    assert opened(data).size == (80, 48) and parameters_of(data).startswith(letter * 4)
    told = xmp_of(data).findtext(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}AIPromptInformation")
    assert told and set(told) == {letter} and 11_990 < len(escape(told).encode()) <= 12_000


def test_a_stamp_stands_in_the_first_picture_only_where_there_is_room_for_one() -> None:
    text = Stamp(b"<x/>", parameters="told")
    assert b"told" not in cleaned(SAMPLES[GIF], text) and b"<x/>" in cleaned(SAMPLES[GIF], text)
    assert b"told" in cleaned(video("webm"), text)
