"""HEIC and AVIF: kept as they came, and a likeness of them where they leave for a model, a browser, or whoever has a link."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from opstore import media
from opstore.errors import InvalidRequest, UnsupportedMedia
from opstore.media import AVIF, HEIC, JPEG, PNG, WEBP, heif, likeness, renderings
from opstore.providers.local.pictures import open_picture
from opstore.providers.replicate import Replicate
from opstore.shares.clean import cleaned
from opstore.storage.store import Store
from tests.media_samples import SAMPLES, encoded, heic, opened, picture

ID = "20251103143022_abc123de"


def near(one: Image.Image, other: Image.Image) -> bool:
    found = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return one.size == other.size and max(ImageStat.Stat(found).mean) < 10


#: A profile made here: that of sRGB with red and green exchanged, so that its conversion cannot be missed.
def _wide() -> bytes:
    plain = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {}
    for number in range(struct.unpack(">I", plain[128:132])[0]):
        name, at, length = struct.unpack(">4sII", plain[132 + 12 * number : 144 + 12 * number])
        places[name] = (at, length)
    red, green = places[b"rXYZ"], places[b"gXYZ"]
    one, other = plain[red[0] : sum(red)], plain[green[0] : sum(green)]
    plain[red[0] : sum(red)], plain[green[0] : sum(green)] = other, one
    at, length = places[b"desc"]
    return bytes(plain[:at] + plain[at : at + length].replace(b"s\0R\0G\0B", b"w\0i\0d\0e") + plain[at + length :])


WIDE = _wide()


@pytest.mark.parametrize("kind", [HEIC, AVIF], ids=lambda kind: kind.extension)
def test_a_picture_is_kept_byte_for_byte_under_its_own_name(kind: media.MediaType, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.initialize_storage()
    saved = store.save_complete_operation(
        {"operationId": ID, "operationType": "image_edit_single", "inputImages": [SAMPLES[kind]], "outputs": [SAMPLES[kind]]}
    )
    names = [f"{ID}_in_1.{kind.extension}", f"{ID}_out.{kind.extension}"]
    assert [*saved["inputFiles"], saved["outputFile"]] == names
    assert all((tmp_path / "operations" / name).read_bytes() == SAMPLES[kind] for name in names)
    told = store.get_operation_metadata(ID)["files"][0]
    assert (told["mediaType"], told["width"], told["height"]) == (kind.name, 80, 48)
    assert not list(store.verify(deep=True))


@pytest.mark.parametrize("kind", [HEIC, AVIF], ids=lambda kind: kind.extension)
def test_everyone_sees_the_same_picture(kind: media.MediaType) -> None:
    data = SAMPLES[kind]
    shown = [likeness.for_model(data), likeness.for_browser(data), cleaned(data), renderings.thumbnail(data)]
    kinds = [media.sniff(copy) for copy in shown]
    assert kinds == [JPEG, WEBP, likeness.shown_as(kind), JPEG]
    pictures = [*map(opened, shown), open_picture(data, 1), renderings.still(data)]
    assert all(near(found, picture()) for found in pictures)


def test_a_turned_photo_is_upright_everywhere_and_turned_once() -> None:
    data = heic("turned")
    assert media.facts(data) == media.Facts("image/heic", 64, 96)
    shown = [
        opened(copy) for copy in (likeness.for_model(data), likeness.for_browser(data), cleaned(data), renderings.thumbnail(data))
    ]
    for found in [*shown, open_picture(data, 1)]:
        assert found.size == (64, 96) and near(found, renderings.still(data))
        assert media.orientation(found) == 1 and "exif" not in found.info
    avif = encoded(picture(), "AVIF", exif=_turned(6))
    assert opened(likeness.for_model(avif)).size == (48, 80)


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_what_shows_through_stays() -> None:
    for data in (heic("alpha"), encoded(Image.new("RGBA", (32, 32), (255, 0, 0, 60)), "AVIF")):
        model, browser = likeness.for_model(data), likeness.for_browser(data)
        assert media.sniff(model) is PNG and media.sniff(browser) is WEBP
        for copy in (model, browser, cleaned(data)):
            least: object = opened(copy).getchannel("A").getextrema()[0]
            assert isinstance(least, int) and least < 100
        assert open_picture(data, 1).mode == "RGBA"


def test_colours_of_a_profile_are_brought_to_what_everyone_assumes() -> None:
    data = encoded(Image.new("RGB", (32, 32), (200, 30, 30)), "AVIF", icc_profile=WIDE, quality=100)
    assert "icc_profile" in opened(data).info
    for copy in (likeness.for_model(data), cleaned(data), likeness.for_browser(data)):
        red, green, _ = ImageStat.Stat(opened(copy).convert("RGB")).mean
        assert green > 150 > 80 > red and "icc_profile" not in opened(copy).info


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_small_pictures_comparisons_and_the_local_engine_see_the_colours_of_a_profile_and_which_way_is_up(mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = Image.new("RGB", (64, 32), (200, 30, 30)).convert(mode)
    data = encoded(source, "PNG", icc_profile=WIDE, exif=exif)
    for seen in (
        opened(renderings.thumbnail(data, 32)),
        renderings.still(data, 32),
        renderings.still(data),
        open_picture(data, 1),
    ):
        red, green, _ = ImageStat.Stat(seen.convert("RGB")).mean
        assert green > 150 > 80 > red and seen.height == 2 * seen.width
    assert "icc_profile" not in opened(renderings.thumbnail(data, 32)).info


def test_what_models_take_is_handed_over_as_it_is() -> None:
    for data in (SAMPLES[JPEG], SAMPLES[PNG], SAMPLES[WEBP], b"no picture"):
        assert likeness.for_model(data) is data


def test_a_provider_is_handed_what_its_models_take() -> None:
    replicate = Replicate("r8_" + "x" * 37)
    try:
        for data in (SAMPLES[HEIC], SAMPLES[AVIF]):
            address = replicate._address(data, 1, lambda *_: None)
            head, _, body = address.partition(",")
            assert head == "data:image/jpeg;base64" and near(opened(base64.b64decode(body)), picture())
    finally:
        replicate.close()


# -- hostile files -------------------------------------------------------------------------------------------------------


def sized(data: bytes, width: int, height: int) -> bytes:
    """Return a picture whose boxes tell another size."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


@pytest.mark.parametrize("kind", [HEIC, AVIF], ids=lambda kind: kind.extension)
def test_bombs_are_refused_before_a_decoder_sees_them(kind: media.MediaType, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = sized(SAMPLES[kind], 60_000, 60_000)
    monkeypatch.setattr(Image, "open", lambda *_args, **_more: pytest.fail("a decoder saw it"))
    with pytest.raises(InvalidRequest, match="3600 megapixels; at most 40"):
        media.check_image(bomb, 1)
    for use in (renderings.thumbnail, renderings.still, likeness.for_model, likeness.for_browser, cleaned):
        with pytest.raises(UnsupportedMedia):
            use(bomb)


def test_a_heic_of_more_pixels_than_it_tells_is_refused() -> None:
    with pytest.raises(UnsupportedMedia):
        media.check_image(sized(SAMPLES[HEIC], 8, 8), 1)


@pytest.mark.parametrize("kind", [HEIC, AVIF], ids=lambda kind: kind.extension)
def test_cut_files_are_refused(kind: media.MediaType) -> None:
    data = SAMPLES[kind]
    for end in (40, len(data) // 2, len(data) - 1):
        with pytest.raises(UnsupportedMedia):
            media.check_image(data[:end], 1)


def test_boxes_that_lie_about_their_length_end_the_search() -> None:
    data = SAMPLES[HEIC]
    at = data.index(b"meta") - 4
    for length in (0, 1, 7, 2**31, 2**32 - 1):
        assert heif.size(data[:at] + struct.pack(">I", length) + data[at + 4 :]) in (None, (80, 64)), "a coded row of tiles more"
    many = struct.pack(">I", 8) + b"free"
    assert heif.size(data[:at] + many * 100_000) is None
    assert heif.size(b"") is None and heif.kind([]) is None
