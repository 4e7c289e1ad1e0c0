"""What the pages look like, in two sizes and two themes, and whether everyone can use them: names, contrast, a phone's size.

The screenshots are written to `screenshots/` for people to look at; what a program can see of them is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import PATIENCE, ROOT, Server, Theme, Visitor, Windows, box

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

Photo = Callable[..., bytes]

SHOTS = ROOT / "screenshots"
SIZES = {1440: 900, 390: 844}
THEMES: tuple[Theme, ...] = ("light", "dark")


# -- what it looks like --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_screens(filled: Server, windows: Windows, photo: Photo, width: int, theme: Theme) -> None:
    """Take the pictures that people look at; here they are only known not to be blank or wider than the window."""
    with windows.visit(filled, theme=theme, width=width, height=SIZES[width], touch=width < 500) as visitor:
        page = visitor.open("/")
        expect(page.locator("button.tile").first).to_be_attached()
        shoot(visitor, f"create-{width}-{theme}")
        visitor.upload(("astronaut.jpg", photo("astronaut")), ("coffee.jpg", photo("coffee")))
        expect(page.get_by_role("img", name="Image 2")).to_be_visible()
        shoot(visitor, f"images-{width}-{theme}")
        page.get_by_role("button", name="From the library").click()
        expect(visitor.dialog.locator("button.tile").first).to_be_visible()
        shoot(visitor, f"picker-{width}-{theme}")
        visitor.open("/library")
        expect(page.locator("button.tile").first).to_be_visible()
        shoot(visitor, f"library-{width}-{theme}")
        for name, prompt in SHOWN.items():
            visitor.tile(prompt).click()
            expect(visitor.dialog.locator(".ops-prompt")).to_have_text(prompt)
            shoot(visitor, f"{name}-{width}-{theme}")
            page.keyboard.press("Escape")
            expect(visitor.dialog).to_have_count(0)
        visitor.open("/storage")
        expect(page.locator(".js-plotly-plot .point")).not_to_have_count(0)
        shoot(visitor, f"storage-{width}-{theme}")


#: Operations whose drawers are looked at: two inputs, a video, a failed one.
SHOWN = {"drawer": "side by side", "video": "slow zoom into the picture", "failed": "make it taste better"}


def shoot(visitor: Visitor, name: str) -> None:
    """Write a screenshot for people; check that something is on it, and that nothing sticks out."""
    from PIL import Image, ImageStat

    visitor.settle()
    visitor.pictures_loaded()
    SHOTS.mkdir(exist_ok=True)
    path = SHOTS / f"{name}.png"
    visitor.page.screenshot(path=path)
    with Image.open(path) as picture:
        assert max(ImageStat.Stat(picture.convert("RGB")).stddev) > 12, f"{name} is blank"
    assert visitor.overflow() == 0, f"{name} is wider than the window"


def test_a_phone_has_every_page_and_generate_at_hand_and_covers_nothing(filled: Server, windows: Windows) -> None:
    with windows.visit(filled, width=390, height=844, touch=True) as visitor:
        page = visitor.open()
        expect(page.locator("button.tile").first).to_be_attached()
        for _ in range(2):
            place = box(page, ".st-key-generate-bar")
            assert round(place["y"] + place["height"]) == 844 and place["width"] == 390
            assert box(page, ".st-key-generate-bar button")["height"] >= 40
            page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
        last = page.locator("button.tile").last.bounding_box()
        assert last and last["y"] + last["height"] <= place["y"], "the bar covers the end of the page"
        for name, heading in (("Library", "Type"), ("Settings", "Provider"), ("Create", "What do you want to make?")):
            link = page.locator(".st-key-phone-pages").get_by_role("link", name=name)
            assert (link.bounding_box() or {"height": 0})["height"] >= 40
            link.click()
            expect(page.get_by_text(heading, exact=True).first).to_be_visible()


# -- for everyone --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES)
def test_every_picture_and_control_has_a_name_and_every_text_contrast(
    filled: Server, windows: Windows, photo: Photo, theme: Theme
) -> None:
    failed = filled.by_prompt("make it taste better")[0]["operationId"]
    edit = filled.by_prompt("side by side")[0]["operationId"]
    with windows.visit(filled, theme=theme) as visitor:
        page = visitor.open()
        visitor.upload(("astronaut.jpg", photo("astronaut")))
        expect(page.get_by_role("img", name="Image 1")).to_be_visible()
        accessible(page)
        page.get_by_role("button", name="From the library").click()
        expect(visitor.dialog.locator("button.tile").first).to_be_visible()
        accessible(page)
        for path in ("/library", f"/library?operation={edit}", f"/library?operation={failed}"):
            visitor.open(path)
            expect(page.locator("button.tile").first).to_be_visible()
            if "?" in path:
                expect(visitor.dialog.locator(".ops-prompt")).to_be_visible()
            accessible(page)


_NAMELESS = re.compile(
    r"^\s*- (button|link|textbox|searchbox|combobox|checkbox|radio|spinbutton|slider|switch|img)\s*(\[[^\]]*\]\s*)*:?$"
)


def accessible(page: Page) -> None:
    """Check names for whoever hears the page, and contrast for whoever sees it."""
    lines = page.locator("body").aria_snapshot().splitlines()
    nameless = [lines[max(0, at - 4) : at + 3] for at, line in enumerate(lines) if _NAMELESS.match(line)]
    assert not nameless, f"without a name: {nameless}"
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("video:not([aria-label])").count() == 0
    for _ in range(PATIENCE // 250):  # what the script has not sent anew yet is shown pale for a moment
        weak = page.evaluate(_CONTRAST)
        if not weak:
            break
        page.wait_for_timeout(250)
    assert not weak, f"contrast below 4.5: {weak}"


#: Every text in our own elements with its colour and ground as painted, opacities and layers included; returns the weak ones.
_CONTRAST = """() => {
  const ink = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = colour => {
    ink.clearRect(0, 0, 1, 1); ink.fillStyle = colour; ink.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = ink.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const up = item => item.parentElement ?? item.getRootNode().host ?? null;
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const roots = [document, ...[...document.querySelectorAll("*")].map(item => item.shadowRoot).filter(Boolean)];
  const ours = ".ops-facts *, .ops-note, .ops-prompt, .ops-job *, .ops-media figcaption, .title, .badge, .frame span, "
    + "[data-testid=stCaptionContainer] p, [data-testid=stBaseButton-primary] kbd, [data-testid=stBaseButton-primary] p";
  const weak = [];
  for (const item of roots.flatMap(root => [...root.querySelectorAll(ours)])) {
    if (!item.textContent.trim() || !item.getClientRects().length) continue;
    const layers = []; let opacity = 1;
    for (let at = item; at; at = up(at)) {
      layers.unshift(rgba(getComputedStyle(at).backgroundColor)); opacity *= Number(getComputedStyle(at).opacity);
    }
    const ground = layers.reduce((under, top) => over(top, under), [255, 255, 255, 1]);
    const colour = rgba(getComputedStyle(item).color); colour[3] *= opacity;
    const [one, two] = [light(over(colour, ground)), light(ground)].sort((a, b) => b - a);
    const ratio = (one + .05) / (two + .05);
    if (ratio < 4.5) weak.push(`${ratio.toFixed(2)} ${item.className || item.tagName}: ${item.textContent.trim().slice(0, 40)}`);
  }
  return weak;
}"""
