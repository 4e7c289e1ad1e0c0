"""The Compare page in a real browser: each way to look is driven by mouse, touch and keys, and judged by the pixels on screen."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from opstore.app import App, Settings
from tests.browser import Server, Theme, Visitor, Windows
from tests.browser_library import EVIL, eventually
from tests.media_samples import encoded, video
from tests.test_browser_looks import shoot

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 160, 30)
Colour = tuple[int, int, int]


def name_of(number: int) -> str:
    return f"2025100112{number:02}00_{number:08x}"


EDIT, CROP, CLIP, OTHER, WORDS = (name_of(number) for number in range(1, 6))


@pytest.fixture(scope="module")
def served(windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with plain pictures: where they are on screen can be told by one pixel."""
    server = Server(tmp_path_factory.mktemp("compare") / "data")
    store = App(Settings(data=server.data, provider="local")).store
    red, blue = (encoded(Image.new("RGB", (600, 400), colour), "PNG") for colour in (RED, BLUE))
    patched = Image.new("RGB", (600, 400), RED)
    patched.paste(GREEN, (0, 0, 150, 400))
    more = {"operationType": "image_edit_single", "success": True}
    store.save(EDIT, {**more, "prompt": "red to blue", "parameters": {"seed": 1}, "model": "a/one"}, inputs=[red], outputs=[blue])
    # A middle that is another colour than the sides: only the pixels can say how the square lies on it.
    noisy = Image.effect_noise((600, 400), 80).convert("RGB")
    square = encoded(noisy.crop((100, 0, 500, 400)), "PNG")
    store.save(CROP, {**more, "prompt": EVIL}, inputs=[encoded(noisy, "PNG")], outputs=[square])
    clips = [video("mp4", shades, size=(320, 160)) for shades in ((40,) * 10 + (120,) * 10, (120,) * 10 + (40,) * 10)]
    still = encoded(Image.new("RGB", (320, 160), RED), "PNG")
    kind = {"operationType": "image_to_video_single", "prompt": "a clip"}
    store.save(CLIP, kind, inputs=[still], outputs=[clips[0]])
    store.save(OTHER, {**kind, "prompt": "another clip"}, inputs=[still], outputs=[clips[1]])
    patch = {"prompt": "red to green", "parameters": {"seed": 2}, "operationType": "text_to_image", "model": "a/two"}
    store.save(WORDS, patch, outputs=[encoded(patched, "PNG")])
    server.start()
    yield server
    server.stop()


def open_at(visitor: Visitor, query: str) -> Page:
    page = visitor.open(f"/compare?{query}")
    expect(page.locator(".stage .layer").first).to_be_attached()
    visitor.pictures_loaded()
    return page


def pane(page: Page, number: int = 0) -> dict[str, float]:
    found = page.locator(".stage .pane").nth(number).bounding_box()
    assert found
    return {"x": found["x"], "y": found["y"], "width": found["width"], "height": found["height"]}


def seen(page: Page, x: float, y: float = 0.7, number: int = 0) -> Colour:
    """Return the colour that is on screen at a place of a pane, in shares of it."""
    place = pane(page, number)
    clip = {"x": place["x"] + x * place["width"] - 2, "y": place["y"] + y * place["height"] - 2, "width": 5, "height": 5}
    with Image.open(io.BytesIO(page.screenshot(clip=clip))) as picture:  # type: ignore[arg-type]  # a TypedDict of the library's
        red, green, blue = picture.convert("RGB").crop((2, 2, 3, 3)).tobytes()
        return red, green, blue


def like(found: Colour, wanted: Colour, off: int = 14) -> bool:
    return all(abs(one - other) <= off for one, other in zip(found, wanted, strict=True))


def shows(page: Page, x: float, wanted: Colour, y: float = 0.7, number: int = 0) -> None:
    eventually(page, lambda: like(seen(page, x, y, number), wanted))


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{name}"))


# -- five ways to look ---------------------------------------------------------------------------------------------------


def test_the_slider_follows_mouse_keys_and_the_link_opens_it(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={EDIT}")
        expect(page.get_by_text("Both 600 × 400: pixel for pixel.")).to_be_visible()
        shows(page, 0.3, RED)
        shows(page, 0.7, BLUE)
        place = pane(page)
        page.mouse.move(place["x"] + place["width"] / 2, place["y"] + 60)
        page.mouse.down()
        page.mouse.move(place["x"] + place["width"] * 0.2, place["y"] + 60, steps=4)
        page.mouse.up()
        shows(page, 0.3, BLUE)
        shows(page, 0.1, RED)
        divider = page.get_by_role("slider", name="Divider")
        expect(divider).to_be_focused()
        page.keyboard.press("End")
        shows(page, 0.95, RED)
        for _ in range(3):
            page.keyboard.press("PageUp" if divider.get_attribute("aria-valuenow") != "100" else "ArrowLeft")
        page.keyboard.press("Home")
        shows(page, 0.05, BLUE)


def test_the_keys_change_the_view_and_the_address(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={EDIT}")
        page.keyboard.press("2")
        shows(page, 0.5, RED, number=0)
        shows(page, 0.5, BLUE, number=1)
        expect(page).to_have_url(re.compile("view=side"))
        page.keyboard.press("3")
        shows(page, 0.5, BLUE)
        page.keyboard.press(" ")
        shows(page, 0.5, RED)
        page.keyboard.press(" ")
        shows(page, 0.5, BLUE)
        page.keyboard.press("4")
        half: Colour = (115, 30, 115)
        shows(page, 0.5, half)
        page.get_by_role("slider", name="Opacity").fill("100")
        shows(page, 0.5, BLUE)
        page.keyboard.press("1")
        expect(page).to_have_url(re.compile("view=slider"))
        page.reload()
        expect(button(page, "Slider")).to_have_attribute("aria-pressed", "true")


def test_the_difference_shows_where_and_how_much(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={EDIT},{WORDS}&view=difference")
        expect(page.get_by_text(re.compile("100% of the pixels differ visibly"))).to_be_visible()
        page = open_at(visitor, f"ids={WORDS}&view=difference".replace(WORDS, f"{WORDS},{EDIT}"))
        expect(page.get_by_text(re.compile("structural similarity"))).to_be_visible()
        # The red side is a dimmed grey under the heat of a red to blue change, the same colour all over.
        one, other = seen(page, 0.4), seen(page, 0.9)
        assert like(one, other) and max(one) > 120
        # A picture with its own copy: nothing is hot.
        copy = open_at(visitor, f"ids={CROP}&view=difference")
        expect(copy.get_by_text(re.compile("^0% of the pixels differ"))).to_be_visible()
        expect(copy.get_by_text(re.compile("compared at 400 × 400"))).to_be_visible()


def test_zoom_and_pan_are_one_for_both_sides(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={WORDS},{EDIT}&view=side")
        shows(page, 0.1, GREEN, y=0.5)
        place = pane(page)
        page.mouse.move(place["x"] + place["width"] * 0.9, place["y"] + place["height"] / 2)
        for _ in range(4):
            page.mouse.wheel(0, -200)
        shows(page, 0.1, RED, y=0.5)  # the green quarter went out of the picture
        transforms = page.locator(".world").evaluate_all(
            "worlds => worlds.map(world => world.style.transform + world.style.width)"
        )
        assert len(transforms) == 2 and transforms[0] == transforms[1]
        page.mouse.down()
        page.mouse.move(place["x"] + place["width"] * 3, place["y"] + place["height"] / 2, steps=5)
        page.mouse.up()
        shows(page, 0.1, GREEN, y=0.5)
        page.keyboard.press("0")
        page.keyboard.press("+")
        page.keyboard.press("-")
        page.keyboard.press("0")
        shows(page, 0.1, GREEN, y=0.5)
        shows(page, 0.5, RED, y=0.5)


def test_an_opened_picture_is_looked_at_closely_and_as_it_was_before_in_the_same_place(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = visitor.open(f"/library?operation={EDIT}")
        visitor.pictures_loaded()
        page.get_by_role("button", name="Zoom").click()
        look, percent = page.get_by_role("dialog", name="Zoom"), page.locator("dialog .percent")
        fitted = percent.inner_text()
        assert like(seen(page, 0.5), BLUE), "the result"
        place = page.locator("dialog .world").bounding_box()
        page.keyboard.down("b")
        assert like(seen(page, 0.5), RED), "what it was made from"
        assert page.locator("dialog .layer").nth(1).bounding_box() == place
        page.keyboard.up("b")
        page.mouse.move(700, 400)
        page.mouse.wheel(0, -300)
        expect(percent).not_to_have_text(fitted)
        page.keyboard.press("1")
        expect(percent).to_have_text("100 %")
        page.keyboard.press("0")
        expect(percent).to_have_text(fitted)
        page.mouse.dblclick(700, 400)
        expect(percent).to_have_text("100 %")
        page.keyboard.press("Escape")
        expect(look).to_have_count(0)
        expect(visitor.dialog).to_have_count(1)


def test_other_shapes_are_laid_as_their_pixels_say_and_as_the_person_says(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={CROP}&view=overlay")
        expect(
            page.get_by_text("600 × 400 and 400 × 400: different shapes; the second is centered on the first.")
        ).to_be_visible()
        box = page.locator(".stage .layer").nth(1).evaluate("item => [item.style.left, item.style.width]")
        assert [round(float(value.rstrip("%")), 1) for value in box] == [16.7, 66.7]
        page.get_by_role("combobox", name="Alignment").select_option("whole")
        expect(page.get_by_text(re.compile("stretched onto the first"))).to_be_visible()
        expect(page).to_have_url(re.compile("fit=whole"))
        assert page.title() != "taken" and "evil" not in "".join(visitor.outside)


def test_videos_run_by_one_clock_and_step_by_frames(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={CLIP},{OTHER}&view=side")
        times = "videos => videos.map(video => video.currentTime)"
        videos = page.locator(".stage video")
        dark, bright = (40, 40, 40), (120, 120, 120)
        shows(page, 0.5, dark, number=0)
        shows(page, 0.5, bright, number=1)
        page.get_by_role("slider", name="Time").fill("750")
        shows(page, 0.5, bright, number=0)
        shows(page, 0.5, dark, number=1)
        before = videos.evaluate_all(times)
        page.keyboard.press("Tab")
        page.keyboard.press(",")
        eventually(page, lambda: [round(a - b, 3) for a, b in zip(before, videos.evaluate_all(times), strict=True)], [0.1, 0.1])
        page.keyboard.press("p")
        eventually(page, lambda: not videos.first.evaluate("video => video.paused"))
        page.keyboard.press("p")
        eventually(page, lambda: videos.first.evaluate("video => video.paused"))
        one, other = videos.evaluate_all(times)
        assert one == pytest.approx(other, abs=0.01), "a tenth of a frame"
        page.keyboard.press("5")
        expect(page.get_by_text(re.compile("of the pixels differ visibly"))).to_be_visible()


def test_a_videos_ends_stand_against_its_still(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={CLIP}")
        expect(page.locator(".stage .label", has_text="Result, first frame")).to_be_visible()
        shows(page, 0.3, RED)
        shows(page, 0.7, (40, 40, 40))
        page.get_by_role("combobox", name="Compared images").select_option("1")
        expect(page.locator(".stage .label", has_text="Result, last frame")).to_be_visible()
        shows(page, 0.7, (120, 120, 120))


# -- the ways to it ------------------------------------------------------------------------------------------------------


def test_one_click_from_an_operation_and_one_key_from_the_grid(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = visitor.open(f"/library?operation={EDIT}")
        visitor.dialog.get_by_role("button", name="Compare with input").click()
        expect(page).to_have_url(re.compile(f"compare\\?ids={EDIT}"))
        shows(page, 0.3, RED)
        page.keyboard.press("ArrowRight")  # the next older one in the library that was made from something
        expect(page.locator(".stage .label").first).to_be_visible()
        visitor.open("/library")
        page.locator(f'[data-id="{WORDS}"] .pick').click()
        page.locator(f'[data-id="{EDIT}"] .pick').click()
        page.keyboard.press("c")
        expect(page).to_have_url(re.compile(f"compare\\?ids={WORDS}%2C{EDIT}|compare\\?ids={WORDS},{EDIT}"))
        shows(page, 0.1, GREEN)
        expect(page.locator(".ops-changes del")).to_have_text(["green"])
        expect(page.locator(".ops-changes ins")).to_have_text(["blue"])
        expect(page.locator(".ops-differing tr", has_text="Seed").locator("td")).to_have_text(["2", "1"])
        page.keyboard.press("d")
        expect(page.locator(".ops-differing")).to_have_count(0)


def test_neighbours_are_those_of_the_search_it_came_from(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={CLIP}&q=clip")
        page.keyboard.press("ArrowLeft")
        expect(page).to_have_url(re.compile(OTHER))
        expect(button(page, "Previous operation")).to_be_disabled()
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile(f"ids={CLIP}"))
        expect(button(page, "Next operation")).to_be_disabled()


def test_what_is_not_there_is_said_and_the_rest_compared(served: Server, windows: Windows) -> None:
    gone = "20250101000000_00000000"
    with windows.visit(served) as visitor:
        page = open_at(visitor, f"ids={EDIT},{gone},{WORDS},<script>&view=slider")
        expect(page.get_by_text(re.compile(f"There is no operation {gone}"))).to_be_visible()
        expect(page.get_by_text(re.compile("is not an operation id"))).to_be_visible()
        shows(page, 0.9, RED)
        visitor.open(f"/compare?ids={WORDS}")
        expect(page.get_by_text("This was made from text only")).to_be_visible()
        visitor.open("/compare")
        visitor.tile("red to blue").click()
        shows(page, 0.3, RED)


# -- looks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_screens(served: Server, windows: Windows, width: int, theme: Theme) -> None:
    with windows.visit(served, width=width, height=900 if width > 500 else 844, theme=theme, touch=width < 500) as visitor:
        for query, name in ((f"ids={EDIT}", "slider"), (f"ids={EDIT},{WORDS},{CROP}", "three"), (f"ids={CLIP},{OTHER}", "clips")):
            page = open_at(visitor, query)
            shoot(visitor, f"compare-{name}-{width}-{theme}")
            stage = page.locator(".stage .panes").bounding_box()
            assert stage and stage["height"] > 300, "the picture takes the screen"
        if width < 500:
            page = open_at(visitor, f"ids={EDIT}")
            place: Any = pane(page)
            page.touchscreen.tap(place["x"] + place["width"] * 0.2, place["y"] + place["height"] / 2)
            shows(page, 0.5, BLUE, y=0.5)
            sizes = page.locator(".strip button:visible").evaluate_all(
                "all => all.map(item => item.getBoundingClientRect().height)"
            )
            assert min(sizes) >= 40
