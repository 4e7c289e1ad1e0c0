"""Sharing in a real browser: links and bundles made by hand, opened by somebody else, sliders driven, pixels looked at."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from opstore.app import App, Settings
from opstore.shares import Scope, bundle
from tests.browser import PATIENCE, Server, Theme, Visitor, Windows
from tests.media_samples import encoded, video
from tests.share_samples import gps_photo
from tests.test_browser_looks import accessible, shoot

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

EDIT, CLIP, SQUARE = "20251103143022_abc123de", "20251103143023_abc123de", "20251103143024_abc123de"
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 150, 60)


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (480, 320)) -> bytes:
    return encoded(Image.new("RGB", size, colour), "PNG")


@pytest.fixture(scope="module")
def served(windows: Windows, photo: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over an edit from red to blue, a video, and one of another shape."""
    server = Server(tmp_path_factory.mktemp("share") / "data")
    store = App(Settings(data=server.data, provider="local")).store
    known = {"model": "example/brush", "parameters": {"seed": 7}}
    store.save(
        EDIT,
        {**known, "operationType": "image_edit_single", "prompt": "from red to blue"},
        inputs=[plain(RED)],
        outputs=[plain(BLUE)],
    )
    store.save(CLIP, {**known, "operationType": "text_to_video", "prompt": "grey"}, outputs=[video(size=(320, 240))])
    inputs = [plain(RED, (300, 300)), plain(BLUE, (300, 300))]
    store.save(
        SQUARE, {**known, "operationType": "image_edit_multiple", "prompt": "green"}, inputs=inputs, outputs=[plain(GREEN)]
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shared(served: Server) -> dict[str, str]:
    """The path of a link of each kind."""
    shares = App(Settings(data=served.data, provider="local")).service.shares
    scopes = {
        "operation": Scope("operation", (EDIT,)),
        "selection": Scope("selection", (EDIT, SQUARE, CLIP), title="For the client"),
        "comparison": Scope("comparison", (EDIT, SQUARE)),
    }
    return {name: f"/s/{shares.token(shares.create(scope))}" for name, scope in scopes.items()}


def colour_at(page: Page, pair: Locator, share: float) -> tuple[int, int, int]:
    """Return the colour of a pair, `share` of its width from the left, a quarter of its height from the top."""
    with Image.open(io.BytesIO(pair.screenshot())) as picture:
        found = picture.convert("RGB").getpixel((int(picture.width * share), picture.height // 4))
    assert isinstance(found, tuple)
    return found[0], found[1], found[2]


def close(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 12 for a, b in zip(one, other, strict=True))


def until(page: Page, script: str) -> None:
    """Wait until something holds on a page; Playwright's own wait would evaluate text there, which the page's policy forbids."""
    for _ in range(PATIENCE // 50):
        if page.evaluate(script):
            return
        page.wait_for_timeout(50)
    raise AssertionError(script)


def drive(page: Page) -> None:
    """Drag the first slider of a page, by pointer and by keys, and look at what shows on both sides of it."""
    pair, handle = page.locator(".pair").first, page.get_by_role("slider").first
    pair.scroll_into_view_if_needed()
    until(page, "[...document.querySelectorAll('.pair img')].slice(0, 2).every(item => item.complete && item.naturalWidth)")
    assert close(colour_at(page, pair, 0.3), RED) and close(colour_at(page, pair, 0.7), BLUE)
    box = pair.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.7)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.7, steps=4)
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuenow", "80")
    assert close(colour_at(page, pair, 0.7), RED) and close(colour_at(page, pair, 0.95), BLUE)
    handle.focus()
    page.keyboard.press("Home")
    assert close(colour_at(page, pair, 0.1), BLUE)
    page.keyboard.press("End")
    assert close(colour_at(page, pair, 0.9), RED)
    for _ in range(3):
        page.keyboard.press("PageDown")
    page.keyboard.press("ArrowRight")
    expect(handle).to_have_attribute("aria-valuenow", "71")
    page.get_by_role("button", name="Side by side").first.click()
    beside = pair.screenshot()
    with Image.open(io.BytesIO(beside)) as picture:
        left, right = (picture.convert("RGB").getpixel((int(picture.width * at), picture.height // 2)) for at in (0.25, 0.75))
    assert isinstance(left, tuple) and isinstance(right, tuple)
    assert close((left[0], left[1], left[2]), RED) and close((right[0], right[1], right[2]), BLUE)
    page.get_by_role("button", name="Slider").first.click()


def visit(visitor: Visitor, path: str) -> Page:
    """Open a shared page; it is none of the app's, so that nothing of the app is waited for."""
    faults: list[str] = []
    visitor.page.on("pageerror", lambda error: faults.append(str(error)))
    visitor.page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    visitor.page.goto(visitor.address + path)
    expect(visitor.page.locator("footer")).to_be_attached()
    assert faults == [] and visitor.page.locator(".stApp").count() == 0
    return visitor.page


# -- a link --------------------------------------------------------------------------------------------------------------


def test_the_slider_of_a_shared_page(served: Server, windows: Windows, shared: dict[str, str]) -> None:
    with windows.visit(served) as visitor:
        page = visit(visitor, shared["operation"])
        drive(page)
        expect(page.get_by_text("from red to blue")).to_be_visible()
        assert page.get_by_text("are shown whole").count() == 0 and page.locator(".note").first.is_hidden()


def test_by_touch_and_in_french(served: Server, windows: Windows, shared: dict[str, str]) -> None:
    with windows.visit(served, locale="fr-FR", width=390, height=844, touch=True) as visitor:
        page = visit(visitor, shared["operation"])
        box = page.locator(".pair").bounding_box()
        assert box
        page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.7)
        expect(page.get_by_role("slider")).to_have_attribute("aria-valuenow", re.compile("2[456]"))
        expect(page.get_by_text("Avant")).to_be_visible()


def test_several_inputs_are_chosen_and_other_shapes_are_said(served: Server, windows: Windows, shared: dict[str, str]) -> None:
    with windows.visit(served) as visitor:
        page = visit(visitor, shared["selection"])
        section = page.locator("#n2")
        section.scroll_into_view_if_needed()
        pair = section.locator(".pair")
        expect(section.locator(".note")).to_be_visible()
        section.get_by_role("button", name="Input image 2").click()
        expect(section.locator(".tag.l")).to_have_text("Input image 2")
        until(page, "document.querySelector('#n2 .left').complete")
        assert close(colour_at(page, pair, 0.35), BLUE) and close(colour_at(page, pair, 0.8), GREEN)
        video_at = page.locator("#n3 video")
        video_at.scroll_into_view_if_needed()
        until(page, "document.querySelector('video').seekable.length > 0")
        page.locator(".sheet a").nth(1).click()
        expect(section).to_be_in_viewport()


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_shared_pages_look_well(served: Server, windows: Windows, shared: dict[str, str], width: int, theme: Theme) -> None:
    with windows.visit(served, theme=theme, width=width, height=900 if width > 500 else 844, touch=width < 500) as visitor:
        for kind, path in shared.items():
            page = visit(visitor, path)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=shots() / f"share-{kind}-{width}-{theme}.png")
            assert visitor.overflow() == 0
            nameless_free(page)
            heights = [(button.bounding_box() or {"height": 0})["height"] for button in page.locator("button:visible").all()]
            assert min(heights) >= 40, "a control is too small for a thumb"


def shots() -> Path:
    from tests.test_browser_looks import SHOTS

    SHOTS.mkdir(exist_ok=True)
    return SHOTS


def nameless_free(page: Page) -> None:
    """Check that every control and picture has a name; small ones of the contact sheet are named by their links."""
    page.evaluate("document.querySelectorAll('.sheet img').forEach(item => item.remove())")
    accessible(page)


def test_a_link_is_made_opened_and_taken_back_by_hand(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor, windows.visit(served) as other:
        page = visitor.open(f"/library?operation={EDIT}")
        page.get_by_role("button", name="Share", exact=True).click()
        page.get_by_text("Prompt", exact=True).last.click()
        page.get_by_label("Password (optional)").fill("open sesame")
        page.get_by_role("button", name="Make a link").click()
        code = page.locator("code", has_text="/s/")
        expect(code).to_be_visible()
        link = code.inner_text().strip()
        shoot(visitor, "share-form")
        guest = other.page
        assert guest.goto(link) is not None
        guest.get_by_label("Password").fill("open barley")
        guest.get_by_role("button", name="Open").click()
        expect(guest.get_by_text("not the password")).to_be_visible()
        guest.get_by_label("Password").fill("open sesame")
        guest.keyboard.press("Enter")
        drive(guest)
        assert "from red to blue" not in guest.content()
        page.keyboard.press("Escape")
        visitor.open("/settings")
        row = page.locator("[class*=st-key-link-]", has_text="with a password")
        expect(row).to_contain_text("1 visit")
        expect(row).to_contain_text("1 wrong password")
        shoot(visitor, "share-list")
        row.get_by_role("button", name="Revoke").click()
        expect(row).to_contain_text("revoked")
        guest.reload()
        expect(guest.get_by_text("This link was revoked")).to_be_visible()


# -- a bundle ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(windows: Windows) -> Browser:
    return windows._browser


def test_a_bundle_opens_from_disk_without_a_request(served: Server, browser: Browser, tmp_path: Path) -> None:
    app = App(Settings(data=served.data, provider="local"))
    folder = bundle.write(app.service.shares, Scope("selection", (EDIT, SQUARE, CLIP)), tmp_path / "results & é")
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((folder / "index.html").as_uri())
    drive(page)
    page.locator("video").scroll_into_view_if_needed()
    until(page, "document.querySelector('video').readyState > 0")
    page.locator(".sheet img").last.wait_for()
    assert faults == [] and len(asked) > 5 and all(url.startswith(folder.as_uri()) for url in asked)
    context.close()


def test_a_selection_is_downloaded_as_a_bundle_without_what_is_withheld(served: Server, windows: Windows, tmp_path: Path) -> None:
    store = App(Settings(data=served.data, provider="local")).store
    if not store.operations.has("20251103143025_abc123de.json"):
        told = {"operationType": "image_edit_single", "prompt": "a secret place", "model": "example/brush"}
        store.save("20251103143025_abc123de", told, inputs=[gps_photo(Image.new("RGB", (320, 240), RED))], outputs=[plain(GREEN)])
    with windows.visit(served) as visitor:
        page = visitor.open("/library")
        for name in ("20251103143025_abc123de", EDIT):
            page.locator(f'button.tile[data-id="{name}"]').locator(".pick").click()
        page.keyboard.press("s")
        expect(visitor.dialog).to_contain_text("Share 2 operations")
        visitor.dialog.get_by_text("Comparison", exact=True).click()
        visitor.dialog.get_by_text("Prompt", exact=True).click()
        with page.expect_download() as download:
            visitor.dialog.get_by_role("button", name="Download the offline page").click()
        download.value.save_as(tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as file:
        everything = b"".join(file.read(name) for name in file.namelist())
        results = json.loads(file.read("metadata.json"))["results"]
    assert [result["operationId"] for result in results] == ["20251103143025_abc123de", EDIT]
    for word in (b"secret place", b"from red", b"holiday", b"Ada Owner", b"N48"):
        assert word not in everything
