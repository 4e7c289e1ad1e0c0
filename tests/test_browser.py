"""The pages in a real browser: the main job from a prompt to a file on disk and back, and what a person sees on the way.

No request may leave this machine in any of these tests: a window that made one fails when it is closed.
"""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from opstore import Store
from opstore.app import App, Settings
from opstore.media.provenance import declared
from opstore.service import NewOperation
from tests.browser import PATIENCE, Server, Visitor, Windows, box

pytest_plugins = ("tests.browser_fixtures",)

Photo = Callable[..., bytes]

ANIMATE, EDIT = "Animate an image", "Edit an image"


def made(visitor: Visitor, server: Server, prompt: str) -> dict[str, Any]:
    """Wait until an operation is stored and the page shows it; return its sidecar."""
    sidecar = server.stored(prompt)
    expect(visitor.page.locator(".ops-media figcaption", has_text=prompt)).to_be_visible()
    return sidecar


# -- the main job --------------------------------------------------------------------------------------------------------


def test_the_main_job_from_a_prompt_to_the_library_after_a_restart(own_server: Server, windows: Windows, photo: Photo) -> None:
    picture, cat = photo("astronaut"), photo("chelsea", "png")
    with windows.visit(own_server) as visitor:
        visitor.open()
        expect(visitor.page.get_by_text("Your results appear here.")).to_be_visible()
        visitor.ask("A lighthouse by the sea at sunset")
        first = made(visitor, own_server, "A lighthouse by the sea at sunset")
        expect(visitor.page.get_by_role("link", name="Download")).to_be_visible()
        for action in ("Edit this", "Animate this", "View in library"):
            expect(visitor.page.get_by_role("button", name=action)).to_be_visible()

        visitor.upload(("cat.png", cat), mime="image/png")
        expect(visitor.page.get_by_role("radio", name=EDIT)).to_be_checked()  # chosen by what was given
        visitor.ask("black and white, then a white border")
        second = made(visitor, own_server, "black and white, then a white border")

        visitor.open()
        visitor.upload(("astronaut.jpg", picture))
        visitor.choose(ANIMATE)
        visitor.number("Duration (s)", "1")
        visitor.ask("zoom in slowly")
        third = made(visitor, own_server, "zoom in slowly")
        assert plays(visitor.page)

    assert [item["operationType"] for item in (first, second, third)] == [
        "text_to_image",
        "image_edit_single",
        "image_to_video_single",
    ]
    assert own_server.files() == {
        f"{first['operationId']}.json", f"{first['operationId']}_out.webp",
        f"{second['operationId']}.json", f"{second['operationId']}_in_1.png", f"{second['operationId']}_out.webp",
        f"{third['operationId']}.json", f"{third['operationId']}_in_1.jpg", f"{third['operationId']}_out.mp4",
    }  # fmt: skip
    assert (own_server.data / "operations" / f"{second['operationId']}_in_1.png").read_bytes() == cat
    assert (own_server.data / "operations" / f"{third['operationId']}_in_1.jpg").read_bytes() == picture
    assert Store(own_server.data).verify(deep=True) == []

    own_server.stop()
    own_server.start()
    assert own_server.operations() == [third, second, first]
    with windows.visit(own_server) as visitor:
        visitor.open("/library")
        expect(visitor.page.locator("button.tile")).to_have_count(3)
        for sidecar in (first, second, third):
            visitor.tile(sidecar["prompt"]).click()
            opened_well(visitor, own_server, sidecar)
            visitor.page.keyboard.press("Escape")
            expect(visitor.dialog).to_have_count(0)
            expect(visitor.page).not_to_have_url(re.compile("operation="))
        for sidecar in (first, second, third):
            visitor.open(f"/library?operation={sidecar['operationId']}")
            opened_well(visitor, own_server, sidecar, thoroughly=True)


def opened_well(visitor: Visitor, server: Server, sidecar: dict[str, Any], *, thoroughly: bool = False) -> None:
    """Check the drawer: result beside inputs, prompt, link; where asked, the JSON and the download too."""
    drawer = visitor.dialog
    expect(drawer.locator(".ops-prompt")).to_have_text(sidecar["prompt"])
    expect(visitor.page).to_have_url(re.compile(f"operation={sidecar['operationId']}"))
    tag = "video" if sidecar["outputFile"].endswith(".mp4") else "img"
    result = drawer.locator(f'{tag}[src="/api/files/{sidecar["outputFile"]}"]')
    expect(result).to_be_visible()
    for name in sidecar["inputFiles"]:
        given = drawer.locator(f'img[src="/api/files/{name}"]')
        expect(given).to_be_visible()
        left, right = result.bounding_box(), given.bounding_box()
        assert left and right and left["x"] + left["width"] <= right["x"], "the inputs stand beside the result"
    visitor.pictures_loaded()
    if thoroughly:
        if tag == "video":
            assert plays(visitor.page, '[role="dialog"] video')
        drawer.get_by_text("Metadata file (JSON)").click()
        expect(drawer.locator("code")).to_contain_text(sidecar["operationId"])
        assert json.loads(drawer.locator("code").inner_text()) == sidecar
        with visitor.page.expect_download() as download:
            drawer.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == sidecar["outputFile"]
        # The stored bytes, and with them what made them.
        saved = Path(download.value.path()).read_bytes()
        assert saved == server.read(f"/api/files/{sidecar['outputFile']}?download") and declared(io.BytesIO(saved))


def plays(page: Page, selector: str = "video") -> bool:
    """Start a video and see its time advance and its frames come."""
    video = page.locator(selector).first
    video.evaluate("video => video.play()")
    handle = video.element_handle()
    page.wait_for_function("video => video.currentTime > 0.2 && video.videoWidth > 0", arg=handle, timeout=PATIENCE)
    return True


# -- giving pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_edit_this_brings_a_picture_from_the_library_and_its_parent_is_recorded(filled: Server, windows: Windows) -> None:
    parent = filled.by_prompt("Snowy mountains under a starry night sky")[0]
    with windows.visit(filled) as visitor:
        visitor.open(f"/library?operation={parent['operationId']}")
        visitor.dialog.get_by_role("button", name="Edit this").click()
        expect(visitor.page.get_by_role("img", name="Image 1")).to_be_visible()
        expect(visitor.page.get_by_role("radio", name=EDIT)).to_be_checked()
        visitor.ask("sepia once more")
        child = made(visitor, filled, "sepia once more")
    assert child["parents"] == [parent["operationId"]]
    given = filled.data / "operations" / child["inputFiles"][0]
    assert given.read_bytes() == (filled.data / "operations" / parent["outputFile"]).read_bytes()


@pytest.mark.long
def test_a_picture_is_picked_from_the_library_on_create(filled: Server, windows: Windows) -> None:
    parent = filled.by_prompt("sepia and a vignette")[0]
    with windows.visit(filled, width=390, height=844, touch=True) as visitor:
        page = visitor.open()
        page.get_by_role("button", name="From the library").click()
        expect(visitor.dialog).to_be_visible()
        visitor.dialog.locator("button.tile", has_text="sepia and a vignette").click()
        expect(visitor.dialog).to_have_count(0)
        expect(page.get_by_role("img", name="Image 1")).to_be_visible()
        visitor.choose(ANIMATE)
        visitor.number("Duration (s)", "1")
        visitor.ask("pan to the right, picked")
        assert made(visitor, filled, "pan to the right, picked")["parents"] == [parent["operationId"]]


@pytest.mark.long
def test_a_picture_is_pasted_anywhere_on_the_page(server: Server, windows: Windows, photo: Photo) -> None:
    picture = photo("coffee", "png", size=(300, 200))
    with windows.visit(server) as visitor:
        page = visitor.open()
        page.wait_for_function(_LISTENS)
        for number, target in enumerate(("textarea", "body"), 1):
            page.locator(target).first.evaluate(_PASTE, base64.b64encode(picture).decode())
            expect(page.get_by_role("img", name=f"Image {number}", exact=True)).to_be_visible()
        page.get_by_role("button", name="Remove all images").click()
        expect(page.get_by_role("img", name="Image 1")).to_have_count(0)
        page.locator("body").evaluate(_PASTE, base64.b64encode(picture).decode())
        expect(page.get_by_role("img", name="Image 1")).to_be_visible()
        visitor.ask("invert the pasted picture")
        sidecar = made(visitor, server, "invert the pasted picture")
    assert (server.data / "operations" / f"{sidecar['operationId']}_in_1.png").read_bytes() == picture
    assert sidecar["inputFiles"] == [f"{sidecar['operationId']}_in_1.png"] and sidecar["parents"] == []


#: The component that hears of pasted pictures stands.
_LISTENS = """() => [...document.querySelectorAll(".st-key-paste *")].some(item => item.shadowRoot?.childElementCount)"""
_PASTE = """(target, data) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const clipboard = new DataTransfer();
  clipboard.items.add(new File([bytes], "image.png", { type: "image/png" }));
  target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: clipboard, bubbles: true, cancelable: true }));
}"""


@pytest.mark.long
def test_a_wrong_file_is_told_in_words_and_makes_nothing(server: Server, windows: Windows) -> None:
    page_as_photo = b"<!doctype html><script>document.title = 'taken'</script>"
    with windows.visit(server) as visitor:
        page = visitor.open()
        visitor.upload(("photo.jpg", page_as_photo), shown=False)
        expect(page.get_by_role("alert").first).to_contain_text("Image 1 is not a picture")
        visitor.ask("a wrong file")
        expect(page.get_by_role("alert").first).to_contain_text("Image 1 is not a picture")
        visitor.settle()
        assert page.title() != "taken"
    assert server.jobs() == [] and not server.by_prompt("a wrong file")
    assert not [name for name in server.files() if (server.data / "operations" / name).read_bytes() == page_as_photo]


@pytest.mark.long
# -- work under way ------------------------------------------------------------------------------------------------------


def prepare_video(visitor: Visitor, picture: bytes) -> None:
    """Fill in the page for a video that takes some seconds."""
    page = visitor.open()
    visitor.upload(("astronaut.jpg", picture))
    visitor.choose(ANIMATE)
    visitor.number("Duration (s)", "10")
    page.get_by_role("combobox", name="Resolution").click()
    page.get_by_role("option", name="720p").click()
    visitor.settle()


def begin_video(visitor: Visitor, prompt: str) -> Locator:
    """Ask for it, and wait until the page shows how far it is; return where it does."""
    visitor.ask(prompt)
    bar = visitor.page.locator(".st-key-now").get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("^([1-9]|[1-9][0-9])$"))
    return bar


@pytest.mark.long
def test_the_picker_stays_open_while_something_is_made(filled: Server, windows: Windows) -> None:
    with windows.visit(filled) as visitor:
        page = visitor.open()
        page.locator(".st-key-pick button").click()
        picker = page.get_by_role("dialog")
        expect(picker.locator("button.tile").first).to_be_visible()
        App(Settings(data=filled.data, provider="local")).service.create(
            NewOperation("text_to_video", "drops on a window", parameters={"duration": 10})
        )
        filled.stored("drops on a window")
        visitor.settle()
        expect(picker.locator("button.tile").first).to_be_visible()
        page.keyboard.press("Escape")
        expect(picker).to_have_count(0)
        visitor.settle()
        page.locator(".st-key-pick button").click()
        picker.locator("button.tile").first.click()
        expect(page.get_by_role("img", name="Image 1")).to_be_visible(timeout=PATIENCE)
        expect(picker).to_have_count(0)


@pytest.mark.long
def test_a_video_is_canceled_and_what_is_shown_does_not_jump(filled: Server, windows: Windows, photo: Photo) -> None:
    prompt = "zoom out, which is canceled"
    time.sleep(1.1)  # ids count seconds: what follows must be the newest, whatever test came before
    filled.hand_in(NewOperation("text_to_image", "A meadow to look at meanwhile"))
    with windows.visit(filled) as visitor:
        prepare_video(visitor, photo("rocket"))
        page, shown = visitor.page, visitor.page.locator(".st-key-made .ops-media").first
        expect(shown).to_be_visible()
        element = shown.element_handle()
        bar = begin_video(visitor, prompt)
        place, share = box(page, ".st-key-made .ops-media"), bar.get_attribute("aria-valuenow")
        expect(bar).not_to_have_attribute("aria-valuenow", share or "")
        assert box(page, ".st-key-made .ops-media") == place, "what is below a job moved while it progressed"
        assert element and element.evaluate("shown => shown.isConnected"), "the result that was shown was built anew"
        page.locator(".st-key-now").get_by_role("button", name="Cancel").click()
        expect(bar).to_have_count(0)
        assert filled.stored(prompt)["error"]
        page.get_by_role("link", name="Library").first.click()
        expect(visitor.tile(prompt)).to_contain_text("canceled")


@pytest.mark.long
def test_a_double_click_and_a_slow_press_make_one_operation_each(server: Server, windows: Windows) -> None:
    with windows.visit(server) as visitor:
        page = visitor.open()
        visitor.prompt.fill("Two clicks, one hill")
        visitor.generate.dblclick()
        made(visitor, server, "Two clicks, one hill")
        visitor.prompt.fill("A slow press on a red forest")
        visitor.generate.hover()
        page.mouse.down()
        page.wait_for_timeout(700)  # leaving the prompt runs the page anew under the finger: the button must still be there
        page.mouse.up()
        made(visitor, server, "A slow press on a red forest")
        visitor.settle()
    assert server.jobs() == []
    assert [len(server.by_prompt(prompt)) for prompt in ("Two clicks, one hill", "A slow press on a red forest")] == [1, 1]


# -- languages and hostile text ------------------------------------------------------------------------------------------


#: The first screen's tiles stand behind a closed door.
_OPEN_SHADOWS = """
const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function (options) { return attach.call(this, { ...options, mode: "open" }); };
"""
_TOLD = (
    "([language, cookie]) => document.documentElement.lang === language && document.cookie.includes(`opstore-language=${cookie}`)"
)


@pytest.mark.long
def test_the_browsers_language_holds_until_one_is_chosen_which_outlives_reload_tab_and_deep_link(
    filled: Server, windows: Windows
) -> None:
    with windows.visit(filled, locale="fr-FR") as visitor:
        page = visitor.open("/create")  # leads to where Create is
        expect(visitor.generate).to_contain_text("Générer")
        expect(page).to_have_title("Créer · opstore")
        page.wait_for_function("document.documentElement.lang === 'fr'")
        assert page.url == f"{filled.address}/" and "opstore-language" not in page.evaluate("document.cookie")
        visitor.open("/nothing-here")
        expect(page).to_have_title("Page inconnue · opstore")
        expect(page.get_by_role("alert")).to_contain_text("/nothing-here")
        page.get_by_role("link", name="Réglages").first.click()
        page.get_by_role("radio", name="English").click()
        page.wait_for_function(_TOLD, arg=["en", "en"])
        expect(page).to_have_title("Settings · opstore")

        other = page.context.new_page()
        other.add_init_script(_OPEN_SHADOWS)
        other.route(re.compile("/static/js/index"), lambda route: None)  # Streamlit's front end does not come
        other.goto(f"{filled.address}/library", wait_until="commit")
        expect(other.locator("#opstore-first .tile").first).to_have_attribute(
            "aria-label", re.compile("^(Image from|Edit|Animate|Video)")
        )
        other.evaluate("document.cookie = 'opstore-language=fr; path=/'")  # what is chosen there
        other.unroute_all(behavior="ignoreErrors")
        other.close()

        page.get_by_role("link", name="Library").first.click()
        expect(page).to_have_title("Library · opstore")
        page.wait_for_function(_TOLD, arg=["en", "fr"])  # a tab that was there before does not bring its choice back
        visitor.open("/library?q=sepia")
        expect(page).to_have_title("Bibliothèque\u00a0: sepia · opstore")
        page.wait_for_function(_TOLD, arg=["fr", "fr"])
    with windows.visit(filled, locale="de-DE") as visitor:
        visitor.open()
        expect(visitor.generate).to_contain_text("Generate")


HOSTILE = (
    "![x](http://evil.invalid/a.png) <img src=http://evil.invalid/b.png onerror=\"document.title='taken'\">"
    "<script>document.title='taken'</script> **bold** :red[r] $x^2$ [l](javascript:alert(1)) &lt;b&gt;"
)


@pytest.mark.long
def test_a_prompt_of_markup_is_shown_literally(server: Server, windows: Windows) -> None:
    with windows.visit(server) as visitor:
        page = visitor.open()
        visitor.ask(HOSTILE)
        sidecar = server.stored(HOSTILE)
        expect(page.locator(".ops-media figcaption", has_text="evil.invalid")).to_have_text(" ".join(HOSTILE.split())[:200])
        visitor.open("/library")
        expect(visitor.tile("evil.invalid").first).to_be_visible()
        visitor.open(f"/library?operation={sidecar['operationId']}")
        expect(visitor.dialog.locator(".ops-prompt")).to_have_text(HOSTILE)
        visitor.dialog.get_by_text("Metadata file (JSON)").click()
        expect(visitor.dialog.locator("code")).to_contain_text("evil.invalid")
        assert page.title() != "taken"
        assert page.locator('[src*="evil"], a[href^="javascript"]').count() == 0


# -- the keyboard --------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_create_by_keyboard_alone(server: Server, windows: Windows) -> None:
    with windows.visit(server) as visitor:
        page = visitor.open()
        visitor.prompt.focus()
        page.keyboard.type("A desert at noon, by keyboard")
        page.keyboard.press("Control+Enter")
        made(visitor, server, "A desert at noon, by keyboard")
        visitor.settle()
        visitor.prompt.focus()
        names, frames, places = [], [], []
        for _ in range(40):
            names.append(page.evaluate(_FOCUSED))
            frames.append(page.screenshot())
            places.append(page.evaluate(_PLACE))
            if names[-1].startswith("Generate"):
                break
            page.keyboard.press("Tab")
        wanted = [
            "What do you want",
            "Choose files",
            "From the library",
            "Image from text",
            "Aspect ratio",
            "Format",
            "Quality",
            "More parameters",
        ]
        order = [next((at for at, name in enumerate(names) if word in name), -1) for word in wanted]
        assert names[-1].startswith("Generate") and -1 not in order and order == sorted(order), names
        for at in range(len(names) - 1):
            assert differs(frames[at], frames[at + 1], places[at]), f"the focus on {names[at]!r} is not visible"
        page.keyboard.press("Enter")
        server.stored("A desert at noon, by keyboard", 2)


_FOCUSED = """() => {
  const host = document.activeElement, item = host.shadowRoot?.activeElement ?? host;
  const word = getComputedStyle(item.querySelector("p") ?? item, "::after").content;
  const label = item.getAttribute("aria-label") ?? item.labels?.[0]?.innerText;
  return label || (word.startsWith('"') ? word.slice(1, -1) : item.innerText) || item.tagName;
}"""
_PLACE = """() => {
  const host = document.activeElement, place = (host.shadowRoot?.activeElement ?? host).getBoundingClientRect();
  return [place.left, place.top, place.right, place.bottom];
}"""


def differs(one: bytes, other: bytes, place: list[float], around: int = 6) -> bool:
    """Say whether two screenshots differ in and around a place."""
    from PIL import Image, ImageChops

    left, top, right, bottom = place
    clip = (max(0, int(left) - around), max(0, int(top) - around), int(right) + around, int(bottom) + around)
    first, second = (Image.open(io.BytesIO(shot)).convert("RGB").crop(clip) for shot in (one, other))
    return ImageChops.difference(first, second).getbbox() is not None


@pytest.mark.long
def test_the_library_by_keyboard_alone(filled: Server, windows: Windows) -> None:
    with windows.visit(filled) as visitor:
        page = visitor.open("/library")
        tiles = page.locator("button.tile")
        expect(tiles.nth(3)).to_be_visible()
        tiles.first.focus()
        for key, at in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
            page.keyboard.press(key)
            expect(tiles.nth(at)).to_be_focused()
        assert tiles.nth(1).evaluate("tile => getComputedStyle(tile).outlineStyle") == "solid", "the focus is visible"
        label = tiles.nth(1).get_attribute("aria-label") or ""
        page.keyboard.press("Enter")
        expect(visitor.dialog.locator(".ops-prompt")).to_contain_text(label.split(": ", 1)[1])
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)
