"""Each edit of the local engine does to the pixels of real photographs what its name says."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.local_steps import Pixels, edited, far, made, picture, pixels

Photo = Callable[..., bytes]
SIZE = (360, 240)


@pytest.fixture(scope="module")
def cat(photo: Photo) -> bytes:
    return photo("chelsea", "png", SIZE)


@pytest.fixture(scope="module")
def china(photo: Photo) -> bytes:
    return photo("china", "png", SIZE)


def energy(values: Pixels) -> float:
    """Return how much neighbours differ: what blurring lowers and sharpening raises."""
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())


def colourfulness(values: Pixels) -> float:
    return float((values.max(axis=2) - values.min(axis=2)).mean())


def test_grayscale_has_equal_channels(cat: bytes) -> None:
    grey = edited("noir et blanc", cat)
    assert (grey[:, :, 0] == grey[:, :, 1]).all() and (grey[:, :, 1] == grey[:, :, 2]).all()
    assert grey.std() > 20


def test_sepia_is_brown(cat: bytes) -> None:
    red, green, blue = edited("sepia", cat).mean(axis=(0, 1))
    assert red > green > blue


def test_inverting_twice_returns_the_picture(cat: bytes) -> None:
    once = made("image_edit_single", "invert", cat, outputFormat="png")
    assert (pixels(once) == 255 - pixels(cat)).all()
    assert (edited("négatif", once) == pixels(cat)).all()


def test_blur_lowers_and_sharpen_raises_the_energy(cat: bytes) -> None:
    levels = [energy(edited(p, cat)) for p in ("very blurry", "blur", "a bit of blur")]
    assert levels == sorted(levels) and levels[-1] < energy(pixels(cat)) < energy(edited("sharpen", cat))


@pytest.mark.parametrize(("more", "less"), [("brighter", "darker"), ("plus clair", "plus sombre")])
def test_brightness_goes_both_ways_and_keeps_black_and_white(cat: bytes, more: str, less: str) -> None:
    assert edited(less, cat).mean() + 15 < pixels(cat).mean() < edited(more, cat).mean() - 15
    assert edited(f"a bit {more}", cat).mean() < edited(f"much {more}", cat).mean()
    assert edited(more, plain((0, 0, 0))).max() == 0 and edited(less, plain((255, 255, 255))).min() == 255


def test_contrast_and_saturation_go_both_ways(cat: bytes) -> None:
    assert edited("less contrast", cat).std() < pixels(cat).std() < edited("more contrast", cat).std()
    levels = [colourfulness(edited(p, cat)) for p in ("desaturate a lot", "less saturated", "more saturated")]
    assert levels[0] < levels[1] < colourfulness(pixels(cat)) < levels[2]


def test_warmth_moves_red_against_blue(cat: bytes) -> None:
    def lean(values: Pixels) -> float:
        return float(values[:, :, 0].mean() - values[:, :, 2].mean())

    assert lean(edited("cooler", cat)) < lean(pixels(cat)) - 10 < lean(edited("warmer", cat)) - 20


def test_rotation_turns_the_right_way(cat: bytes) -> None:
    assert (edited("rotate left", cat) == np.rot90(pixels(cat))).all()
    assert (edited("un quart de tour à droite", cat) == np.rot90(pixels(cat), -1)).all()
    assert (edited("tête en bas", cat) == pixels(cat)[::-1, ::-1]).all()
    slanted = edited("rotate 30 degrees", cat)
    angle = np.radians(30)
    wide, high = SIZE
    expected = wide * np.cos(angle) + high * np.sin(angle), wide * np.sin(angle) + high * np.cos(angle)
    assert abs(slanted.shape[1] - expected[0]) <= 3 and abs(slanted.shape[0] - expected[1]) <= 3
    assert (slanted[2, 2] == 255).all()


def test_flip(cat: bytes) -> None:
    assert (edited("mirror", cat) == pixels(cat)[:, ::-1]).all()
    assert (edited("flip vertically", cat) == pixels(cat)[::-1]).all()


@pytest.mark.parametrize(("prompt", "ratio"), [("crop to 16:9", 16 / 9), ("recadre en carré", 1.0), ("recadre en 9:16", 9 / 16)])
def test_crop_keeps_the_middle_in_the_ratio(cat: bytes, prompt: str, ratio: float) -> None:
    result = edited(prompt, cat)
    high, wide = result.shape[:2]
    assert abs(wide / high - ratio) < 0.02
    left, top = (SIZE[0] - wide) // 2, (SIZE[1] - high) // 2
    assert (result == pixels(cat)[top : top + high, left : left + wide]).all()


@pytest.mark.parametrize(
    ("prompt", "size"),
    [
        ("resize to 200x200", (200, 200)),
        ("50%", None),
        ("redimensionne à 50 %", (180, 120)),
        ("half size", (180, 120)),
        ("double the size", (720, 480)),
        ("resize to 90 px wide", (90, 60)),
        ("resize to 120", (120, 80)),
    ],
)
def test_resize(cat: bytes, prompt: str, size: tuple[int, int] | None) -> None:
    if size is None:
        prompt, size = "resize 50%", (180, 120)
    assert picture(made("image_edit_single", prompt, cat)).size == size


def test_posterize_leaves_few_colours(cat: bytes) -> None:
    def count(values: Pixels) -> int:
        return len(np.unique(values.reshape(-1, 3), axis=0))

    assert count(edited("en 6 couleurs", cat)) <= 6
    levels = edited("posterize to 3 levels", cat)
    assert all(len(np.unique(levels[:, :, c])) <= 3 for c in range(3))
    assert 1 < count(edited("posterize", cat)) <= 64 < count(pixels(cat))


def test_pixelate_makes_even_blocks(cat: bytes) -> None:
    blocks = edited("pixellise avec des blocs de 20 px", cat).reshape(12, 20, 18, 20, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert far(edited("pixelate", cat), pixels(cat)) > 2


def test_sketch_is_light_and_edges_are_dark(cat: bytes) -> None:
    sketch, edges = edited("pencil sketch", cat), edited("contours", cat)
    assert sketch.mean() > 170 and edges.mean() < 90
    assert (sketch[:, :, 0] == sketch[:, :, 2]).all()
    assert sketch.std() > 10 and edges.std() > 20


def test_vignette_darkens_the_corners_only(cat: bytes) -> None:
    before, after = pixels(cat), edited("vignette", cat)
    assert far(after[100:140, 160:200], before[100:140, 160:200]) < 1.5
    assert after[:12, :12].mean() < before[:12, :12].mean() * 0.6


def test_border_has_its_colour_and_width(cat: bytes) -> None:
    framed = edited("add a red border of 20 px", cat)
    assert framed.shape == (SIZE[1] + 40, SIZE[0] + 40, 3)
    assert (framed[:20] == (214, 40, 46)).all() and (framed[:, -20:] == (214, 40, 46)).all()
    assert (framed[20:-20, 20:-20] == pixels(cat)).all()


@pytest.mark.parametrize(("prompt", "rows"), [("légende « Été »", slice(160, 240)), ("caption “Hi” at the top", slice(0, 80))])
def test_caption_changes_pixels_where_it_stands(cat: bytes, prompt: str, rows: slice) -> None:
    changed = np.abs(edited(prompt, cat) - pixels(cat)).sum(axis=2) > 30
    assert changed[rows].sum() > 150
    changed[rows] = False
    assert not changed.any()


def test_accented_letters_are_drawn_and_differ(cat: bytes) -> None:
    marks = [edited(f"caption '{text}'", cat) for text in ("e e", "é é", "œ œ", "ж ж")]
    assert all(far(one, two) > 0 for i, one in enumerate(marks) for two in marks[:i])


def test_a_long_caption_stays_inside(cat: bytes) -> None:
    changed = np.abs(edited("write " + "a long caption about everything " * 6, cat) - pixels(cat)).sum(axis=2) > 60
    assert changed[: SIZE[1] // 3].sum() == 0 and changed.sum() > 500


def test_edits_apply_in_the_order_of_the_prompt(cat: bytes) -> None:
    grey_inside = edited("red border of 10 px, then grayscale", cat)
    red_outside = edited("grayscale, then a red border of 10 px", cat)
    assert len(set(grey_inside[0, 0].tolist())) == 1 and red_outside[0, 0].tolist() == [214, 40, 46]


def test_denied_edits_leave_no_trace(cat: bytes) -> None:
    assert (edited("rotate left without blur", cat) == edited("rotate left", cat)).all()


def test_aspect_ratio_crops_the_result(cat: bytes) -> None:
    for ratio, value in {"1:1": 1.0, "2:3": 2 / 3, "16:9": 16 / 9}.items():
        wide, high = picture(made("image_edit_single", "sepia", cat, aspectRatio=ratio)).size
        assert abs(wide / high - value) < 0.02
    assert picture(made("image_edit_single", "sepia", cat, aspectRatio="match_input_image")).size == SIZE


def plain(colour: tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


EDITS = (
    "grayscale, sepia, invert, blur, sharpen, brighter, more contrast, saturated, warmer, rotate 20, flip, crop to square, "
    "half size, posterize, pixelate, sketch, edges, vignette, border, caption 'x'"
)


@pytest.mark.parametrize("prompt", EDITS.split(", "))
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (400, 1)])
def test_every_edit_takes_the_smallest_pictures_and_transparency(prompt: str, size: tuple[int, int]) -> None:
    assert picture(made("image_edit_single", prompt, plain((10, 20, 30), size=size), outputFormat="png")).mode == "RGB"
    clear = picture(made("image_edit_single", prompt, plain((10, 20, 30, 0), "RGBA", size), outputFormat="png"))
    assert clear.mode == "RGBA"


def test_a_blur_brings_nothing_to_light_of_what_is_transparent() -> None:
    sticker = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    sticker.paste((0, 0, 255, 255), (16, 16, 48, 48))
    file = io.BytesIO()
    sticker.save(file, "PNG")
    soft = np.asarray(picture(made("image_edit_single", "blur 5 px", file.getvalue(), outputFormat="png")))
    seen = soft[soft[:, :, 3] > 32]
    assert len(seen) > 32 * 32 and seen[:, 0].max() < 16 < 200 < seen[:, 2].min()


def test_transparency_is_kept_or_laid_on_white(cat: bytes) -> None:
    clear = plain((200, 0, 0, 0), "RGBA")
    assert picture(made("image_edit_single", "sepia", clear, outputFormat="webp")).mode == "RGBA"
    assert pixels(made("image_edit_single", "sepia", clear, outputFormat="jpg")).min() >= 253


def test_all_pictures_are_turned_upright_first(china: bytes) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right to see it upright
    picture(china).save(buffer, "JPEG", quality=98, exif=exif)
    result = made("image_edit_single", "resize 100%", buffer.getvalue(), outputFormat="png")
    assert picture(result).size == (SIZE[1], SIZE[0])
    assert far(pixels(result), np.rot90(pixels(china), -1)) < 6
    assert not picture(result).getexif()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK"])
def test_every_mode_of_a_file_is_read(mode: str, cat: bytes) -> None:
    source = picture(cat)
    buffer = io.BytesIO()
    if mode == "I;16":
        deep = np.asarray(source.convert("L")).astype(np.uint16) * 257
        Image.fromarray(deep).save(buffer, "PNG")
    else:
        source.convert(mode).save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    assert abs(edited("resize 100%", buffer.getvalue()).mean() - pixels(cat).mean()) < 25


class TestSeveral:
    """Blend, row, column, grid, collage and inset."""

    def several(self, prompt: str, *inputs: bytes) -> Pixels:
        return pixels(made("image_edit_multiple", prompt, *inputs, outputFormat="png"))

    def test_a_blend_lies_between_both(self, cat: bytes, china: bytes) -> None:
        one, two = pixels(cat), pixels(china)
        half = self.several("mélange les deux", cat, china)
        assert (half >= np.minimum(one, two) - 1).all() and (half <= np.maximum(one, two) + 1).all()
        quarter = self.several("blend 25%", cat, china)
        assert far(quarter, one) < far(half, one) < far(self.several("blend 75%", cat, china), one)

    def test_side_by_side_shows_both_whole(self, cat: bytes, china: bytes) -> None:
        row = self.several("côte à côte", cat, china)
        assert row.shape[0] == SIZE[1] and row.shape[1] >= 2 * SIZE[0]
        assert (row[:, : SIZE[0]] == pixels(cat)).all() and (row[:, -SIZE[0] :] == pixels(china)).all()
        column = self.several("one above the other", cat, china)
        assert (column[: SIZE[1]] == pixels(cat)).all() and (column[-SIZE[1] :] == pixels(china)).all()

    def test_sizes_that_differ_are_brought_together(self, cat: bytes, photo: Photo) -> None:
        tall = photo("astronaut", "png", (100, 300))
        assert self.several("side by side", cat, tall).shape[0] == 300
        assert self.several("grid", cat, tall, cat).shape[0] > SIZE[1]

    @pytest.mark.long
    @pytest.mark.parametrize("count", [2, 3, 4, 5])
    def test_grids_and_collages_hold_any_number(self, count: int, cat: bytes, china: bytes) -> None:
        inputs = [cat, china, cat, china, cat][:count]
        for prompt in ("grid", "mosaïque", "collage"):
            assert self.several(prompt, *inputs).std() > 20

    def test_an_inset_covers_its_corner_only(self, cat: bytes, china: bytes) -> None:
        result = self.several("incruste l’image 1 dans l’image 2", cat, china)
        assert result.shape == pixels(china).shape
        assert (result[: SIZE[1] // 4] == pixels(china)[: SIZE[1] // 4]).all()
        assert far(result[-100:, -120:], pixels(china)[-100:, -120:]) > 20
        other = self.several("put image 2 into image 1, top left", cat, china)
        assert far(other[:100, :120], pixels(cat)[:100, :120]) > 20
        assert (other[-40:] == pixels(cat)[-40:]).all()

    def test_edits_apply_to_the_result(self, cat: bytes, china: bytes) -> None:
        grey = self.several("side by side, in black and white", cat, china)
        assert (grey[:, :, 0] == grey[:, :, 2]).all() and grey.shape[1] > 2 * SIZE[0]
