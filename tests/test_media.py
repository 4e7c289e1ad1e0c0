"""What bytes are told to be: real photographs, files of every type, and files that lie, are cut or ask for gigabytes."""

from __future__ import annotations

import io
import random
import struct
import time
import zlib
from typing import Any

import pytest
from PIL import GifImagePlugin, Image, ImageChops, ImageFile, ImageOps, ImageStat

from opstore.errors import EmptyFile, InvalidRequest, UnsupportedMedia
from opstore.media import AVIF, GIF, HEIC, JPEG, MP4, PNG, WEBM, WEBP, Facts, MediaType, check_image, facts, sniff
from opstore.media.renderings import thumbnail
from tests.media_samples import IMAGES, SAMPLES, encoded, ftyp, opened, photo, picture, short, video

# --- sniff


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.extension)
def test_types_are_told_from_the_first_bytes(kind: MediaType) -> None:
    data = SAMPLES[kind]
    assert sniff(data) is sniff(data[:4096]) is sniff(data[:64]) is kind
    assert kind.name.startswith(kind.kind)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        *((ftyp(brand), MP4) for brand in ("isom", "iso2", "iso6", "mp41", "mp42", "avc1", "M4V", "dash")),
        (ftyp("XAVC", "XAVC", "mp42", "iso2"), MP4),
        (ftyp("qt", "qt"), None),
        (ftyp("qt", "isom"), None),
        (ftyp("M4A", "isom", "mp42"), None),
        (ftyp("heic", "mif1", "heic"), HEIC),
        (ftyp("mif1", "heix", "avif"), HEIC),
        (ftyp("mif1", "avif", "isom"), AVIF),
        (ftyp("avif", "mif1", "miaf"), AVIF),
        (ftyp("avis", "iso8"), AVIF),
        (ftyp("mif1", "isom"), None),
        (ftyp("isom", "mp42", "heic"), None),
        (ftyp("crx", "crx"), None),
        (ftyp("XXXX") + b"isommp42", None),  # brands behind the box do not count
    ],
    ids=short,
)
def test_brands_of_the_mp4_family(head: bytes, expected: MediaType | None) -> None:
    assert sniff(head) is expected


@pytest.mark.parametrize(
    "head",
    [
        *(
            b"",
            b"\0",
            b"\xff\xd8",
            b"RIFF\0\0\0\0WAVEfmt ",
            b"GIF88a",
            b"\x89PNG\r\n",
            b"BM\0\0",
            b"II*\0",
            b"%PDF-1.7",
            b"%!PS-Adobe",
        ),
        *(b"<html><script>alert(1)</script>", b"<!DOCTYPE html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        *(b"<?xml version='1.0'?><svg/>", b"\xef\xbb\xbf<svg/>", b"GIF <script>", b"PK\3\4", b"#EXTM3U\nfile:///etc/passwd\n"),
        *(b"\0\0\0\x14ftyp", b"\0\0\0\0ftypisom", b"\xff\xff\xff\xffftyp"),
        *(
            b"\x1a\x45\xdf\xa3",
            b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84web",
            b"\x1a\x45\xdf\xa3" + b"\0" * 100,
            b"\x1a\x45\xdf\xa3" + b"\xff" * 100,
        ),
    ],
    ids=short,
)
def test_all_else_is_no_media(head: bytes) -> None:
    assert sniff(head) is None


@pytest.mark.parametrize("container", ["matroska", "mov"])
def test_neighbours_of_the_video_types(container: str) -> None:
    assert sniff(video(container)) is None


# --- facts


@pytest.mark.parametrize("kind", IMAGES, ids=lambda kind: kind.extension)
def test_facts_of_an_image(kind: MediaType) -> None:
    assert facts(SAMPLES[kind]) == Facts(kind.name, 80, 48, None)


@pytest.mark.parametrize(
    "options",
    [{"lossless": True}, {"lossless": False}, {"save_all": True, "append_images": [picture().rotate(90)]}, {"exif": b"Exif\0\0"}],
)
def test_facts_of_every_kind_of_webp(options: dict[str, Any]) -> None:
    assert facts(encoded(picture(), "WEBP", **options)) == Facts("image/webp", 80, 48)


@pytest.mark.parametrize("kind", [MP4, WEBM], ids=lambda kind: kind.extension)
def test_facts_of_a_video(kind: MediaType) -> None:
    found = facts(SAMPLES[kind])
    assert (found.media_type, found.width, found.height) == (kind.name, 64, 32)
    assert found.seconds == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("package", "name", "expected"),
    [
        ("sklearn", "datasets/images/china.jpg", Facts("image/jpeg", 640, 427)),
        ("skimage", "data/hubble_deep_field.jpg", Facts("image/jpeg", 1000, 872)),
        ("skimage", "data/coffee.png", Facts("image/png", 600, 400)),
        ("skimage", "data/no_time_for_that_tiny.gif", Facts("image/gif", 14, 25)),
    ],
)
def test_real_files(package: str, name: str, expected: Facts) -> None:
    data = photo(package, name)
    assert facts(data) == expected
    assert check_image(data, 1).name == expected.media_type
    small = opened(thumbnail(data))
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    assert small.format == "JPEG"
    assert max(small.size) == min(320, max(whole.size))
    difference = ImageChops.difference(small.convert("RGB"), whole.resize(small.size, Image.Resampling.LANCZOS))
    assert max(ImageStat.Stat(difference).mean) < 8


@pytest.mark.parametrize("size", [(1024, 1024), (777, 501), (31, 1000), (1, 1)])
def test_a_lossy_webp_is_the_same_small_as_whole_and_a_grey_one_stays_grey(size: tuple[int, int]) -> None:
    shades = picture().resize(size)
    for shown in (shades, shades.convert("L").convert("RGB")):
        data = encoded(shown, "WEBP", quality=90)
        assert data[12:16] == b"VP8 "
        small = opened(thumbnail(data, 480)).convert("RGB")
        whole = Image.open(io.BytesIO(data)).convert("RGB")
        assert max(small.size) == min(480, max(size))
        difference = ImageChops.difference(small, whole.resize(small.size, Image.Resampling.HAMMING))
        assert max(ImageStat.Stat(difference).mean) < 8
    red, green, blue = ImageStat.Stat(small).mean
    assert abs(red - green) < 0.7 and abs(green - blue) < 0.7


def test_facts_decode_no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object) -> Any:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", never)
    for kind in IMAGES:
        assert facts(SAMPLES[kind]).width == 80


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_orientation_is_followed(pillow_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture(), pillow_format, exif=exif)
    upright = ImageOps.exif_transpose(opened(data)).convert("RGB")
    assert (facts(data).width, facts(data).height) == upright.size
    small = opened(thumbnail(data)).convert("RGB")
    assert small.size == upright.size
    assert max(ImageStat.Stat(ImageChops.difference(small, upright)).mean) < 10


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0"]
)
def test_damaged_orientation_leaves_the_picture_usable(exif: bytes) -> None:
    data = encoded(picture(), "JPEG", exif=exif)
    assert facts(data) == Facts("image/jpeg", 80, 48)
    assert opened(thumbnail(data)).size == (80, 48)


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.extension)
def test_cut_files_are_known_by_type_and_raise_only_ours(kind: MediaType) -> None:
    data = SAMPLES[kind]
    for end in (*range(64), *range(64, len(data), max(1, len(data) // 40))):
        found = facts(data[:end])
        assert found.media_type in (kind.name, None)
        for use in (thumbnail, lambda cut: check_image(cut, 1)):
            try:
                use(data[:end])
            except (UnsupportedMedia, EmptyFile):
                continue


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_mutated_files_raise_only_ours() -> None:
    dice = random.Random(20251103)
    samples = list(SAMPLES.values())
    refused = 0
    for _ in range(1500):
        data = bytearray(dice.choice(samples))
        for _ in range(dice.choice((1, 2, 5, 30))):
            data[dice.randrange(dice.choice((min(len(data), 100), len(data))))] = dice.choice(
                (0, 127, 128, 255, dice.randrange(256))
            )
        facts(bytes(data))
        for use in (thumbnail, lambda bad: check_image(bad, 1)):
            try:
                use(bytes(data))
            except (UnsupportedMedia, InvalidRequest):
                refused += 1
    assert 300 < refused < 2900  # the mutations hit, and not all of them


# --- bombs


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that is complete: all its pixels black, in very few bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    deflate = zlib.compressobj(9)
    rows = b"".join(deflate.compress(bytes((width + 7) // 8 + 1)) for _ in range(height)) + deflate.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_header(width: int, height: int) -> bytes:
    good = SAMPLES[JPEG]
    at = good.index(b"\xff\xc0") + 5
    return good[:at] + struct.pack(">HH", height, width) + good[at + 4 :]


def gif_header(width: int, height: int) -> bytes:
    return SAMPLES[GIF][:6] + struct.pack("<HH", width, height) + SAMPLES[GIF][10:]


def webp_header(width: int, height: int) -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


BOMBS = [
    png_header(9000, 9000),
    jpeg_header(9000, 9000),
    gif_header(9000, 9000),
    webp_header(9000, 9000),
    webp_header(2**24, 2**24),
]


@pytest.mark.parametrize("bomb", BOMBS, ids=["png", "jpeg", "gif", "webp", "webp-largest"])
def test_bombs_are_refused_before_pillow_sees_them(bomb: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **kwargs: object) -> Any:
        raise AssertionError("the bomb was opened")

    monkeypatch.setattr(Image, "open", never)
    assert len(bomb) < 20_000
    with pytest.raises(InvalidRequest, match=r"image 3 has .* megapixels; at most 40 are accepted"):
        check_image(bomb, 3)
    with pytest.raises(UnsupportedMedia):
        thumbnail(bomb)
    assert facts(bomb).width in (9000, 2**24)


def test_the_largest_picture_is_accepted() -> None:
    data = png_header(8000, 5000)
    assert check_image(data, 1) is PNG
    assert opened(thumbnail(data)).size == (320, 200)
    with pytest.raises(InvalidRequest):
        check_image(png_header(8001, 5000), 1)


def test_gif_frame_larger_than_its_header_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(gif_header(1, 1))
    at = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1))  # the first frame's descriptor, behind the palette
    data[at + 5 : at + 9] = struct.pack("<HH", 9000, 9000)
    assert Image.open(io.BytesIO(data)).size == (9000, 9000)

    def never(*args: object) -> Any:
        raise AssertionError("the frame was decoded")

    monkeypatch.setattr(GifImagePlugin.GifImageFile, "load_prepare", never)
    with pytest.raises(UnsupportedMedia):
        check_image(bytes(data), 1)
    with pytest.raises(UnsupportedMedia):
        thumbnail(bytes(data))


def test_endless_markers_of_a_jpeg_take_no_time() -> None:
    start = time.process_time()
    assert facts(b"\xff\xd8" + b"\xff" * 10_000_000) == Facts("image/jpeg")
    assert time.process_time() - start < 0.3  # to the end it would be 2 s


# --- check_image


@pytest.mark.parametrize("kind", IMAGES, ids=lambda kind: kind.extension)
def test_images_pass_the_check(kind: MediaType) -> None:
    assert check_image(SAMPLES[kind], 1) is kind


def test_phone_photo_with_a_second_picture_inside_passes() -> None:
    """Phones write MPO: a JPEG with more pictures behind it, which Pillow opens under another name."""
    data = encoded(picture(), "MPO", save_all=True, append_images=[picture()])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert check_image(data, 1) is JPEG
    assert opened(thumbnail(data)).size == (80, 48)


def test_empty_input() -> None:
    with pytest.raises(EmptyFile, match="image 2"):
        check_image(b"", 2)


@pytest.mark.parametrize(
    "data",
    [
        *(b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", SAMPLES[MP4], SAMPLES[WEBM]),
        *(encoded(picture(), other) for other in ("BMP", "TIFF", "EPS", "PDF", "ICO", "TGA")),
        *(SAMPLES[kind][: len(SAMPLES[kind]) * 2 // 3] for kind in (JPEG, PNG, WEBP)),
        *(SAMPLES[kind][:40] for kind in IMAGES),
    ],
    ids=short,
)
def test_what_is_no_usable_image(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="Image 4 "):
        check_image(data, 4)
