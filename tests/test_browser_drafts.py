"""What stands in the form of Create, in a browser: files that it refuses stop Generate, and what was begun comes back."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Error, FilePayload, Locator, Page, Route, expect

from tests.browser import PATIENCE, Server, Visitor, Windows
from tests.browser_library import eventually
from tests.media_samples import heic

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

ANIMATE = "Animate an image"
Photo = Callable[..., bytes]


def test_nothing_is_made_while_a_refused_file_stands_there(server: Server, windows: Windows, photo: Photo) -> None:
    with windows.visit(server) as visitor:
        page = visitor.open()
        visitor.upload(("large.jpg", photo("astronaut") + bytes(11 * 1024 * 1024)), shown=False)
        page.locator('input[type="file"]').set_input_files({"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"})
        told = page.get_by_role("alert").filter(has_text="Remove it to continue")
        expect(told).to_contain_text(["“large.jpg” is larger than 10 MB", "“a.pdf” is not a picture"], timeout=PATIENCE)
        visitor.prompt.fill("waits until it is removed")
        place = visitor.generate.bounding_box()
        assert place
        page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        visitor.prompt.press("Control+Enter")
        visitor.settle()
        assert server.jobs() == [] and not server.by_prompt("waits until it is removed")
        for name in ("large.jpg", "a.pdf"):
            page.get_by_role("button", name=f"Remove {name}").click()
        expect(told).to_have_count(0, timeout=PATIENCE)
        visitor.upload(("photo.heic", heic("turned")), mime="image/heic")
        visitor.ask("waits until it is removed, sepia")
        sidecar = server.stored("waits until it is removed, sepia")
        assert sidecar["inputFiles"][0].endswith("_in_1.heic") and sidecar["success"]
        assert (server.data / "operations" / sidecar["inputFiles"][0]).read_bytes() == heic("turned")
        answer = page.request.get(f"{server.address}/api/files/{sidecar['inputFiles'][0]}?shown=1")
        assert answer.headers["content-type"] == "image/webp"


def on_its_way(visitor: Visitor, photo: Photo, text: str) -> list[Route]:
    """Write a prompt and give a picture, which stays on its way until what is returned goes on."""
    page = visitor.open()
    held: list[Route] = []
    visitor.prompt.fill(text)
    page.route("**/_stcore/upload_file/**", lambda route: held.append(route))
    cat: FilePayload = {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": photo("chelsea", size=(200, 150))}
    page.locator('input[type="file"]').set_input_files(cat)
    expect(page.get_by_test_id("stFileChipIconSpinner")).to_be_visible()
    eventually(page, lambda: bool(held))
    return held


@pytest.mark.parametrize("way", ["mouse", "key", "both", "Enter"])
def test_generate_waits_for_a_picture_that_is_on_its_way(server: Server, windows: Windows, photo: Photo, way: str) -> None:
    text = f"waited for, {way}"
    with windows.visit(server) as visitor:
        held = on_its_way(visitor, photo, text)
        if way in ("mouse", "both"):
            visitor.generate.click()
        if way in ("key", "both"):
            visitor.prompt.press("Control+Enter")
        if way == "Enter":
            visitor.generate.press("Enter")
        expect(visitor.page.get_by_role("status").filter(has_text="Waiting for the image")).to_be_visible()
        assert not server.by_prompt(text)
        for route in held:
            route.continue_()
        stored = server.stored(text)
        assert stored["inputCount"] == 1 and stored["operationType"] == "image_edit_single"
        assert len(server.by_prompt(text)) == 1


@pytest.mark.parametrize("way", ["writes", "takes it away"])
def test_who_does_something_else_while_a_picture_is_on_its_way_is_told_that_nothing_was_started(
    server: Server, windows: Windows, photo: Photo, way: str
) -> None:
    text = f"not yet, {way}"
    with windows.visit(server) as visitor:
        held, page = on_its_way(visitor, photo, text), visitor.page
        visitor.generate.click()
        if way == "writes":
            visitor.prompt.press_sequentially("!")
        else:
            page.get_by_test_id("stFileChip").get_by_role("button").click()
        expect(page.get_by_role("status").filter(has_text="Not started")).to_be_visible()
        for route in held:
            with contextlib.suppress(Error):  # it is not asked for any more
                route.continue_()
        visitor.settle()
        assert not server.by_prompt(text) and not server.by_prompt(f"{text}!")


def test_what_was_begun_outlives_reload_back_and_language_and_stays_in_its_tab(
    server: Server, windows: Windows, photo: Photo
) -> None:
    with windows.visit(server, afresh=True) as visitor:
        page = visitor.open()
        image = page.get_by_role("img", name="Image 1")
        visitor.upload(("cat.jpg", photo("chelsea", size=(200, 150))))
        visitor.prompt.press_sequentially("rotate it a little")  # and never left
        visitor.choose(ANIMATE)
        visitor.prompt.press_sequentially(", and back")

        def stands() -> None:
            expect(image).to_be_visible(timeout=PATIENCE)
            expect(visitor.prompt).to_have_value("rotate it a little, and back", timeout=PATIENCE)
            expect(page.get_by_role("radio", name=re.compile(f"^({ANIMATE}|Animer une image)$"))).to_be_checked(timeout=PATIENCE)

        eventually(page, functools.partial(kept, server, "rotate it a little, and back"))
        page.reload()
        stands()
        other = page.context.new_page()
        other.goto(server.address)
        expect(other.get_by_role("radio", name="Image from text")).to_be_checked(timeout=PATIENCE)
        expect(other.get_by_role("textbox", name="What do you want to make?")).to_have_value("")
        other.close()
        page.get_by_role("link", name="Library").first.click()
        expect(page).to_have_url(re.compile("/library"), timeout=PATIENCE)
        expect(page.get_by_role("searchbox").or_(page.get_by_role("combobox")).first).to_be_visible(timeout=PATIENCE)
        page.go_back()
        stands()
        for page_of_it, language, act in (("Settings", "Français", "Générer"), ("Réglages", "English", "Generate")):
            page.get_by_role("link", name=page_of_it).first.click()
            page.get_by_role("radio", name=language).click()
            page.get_by_role("link", name=re.compile("^(Créer|Create)$")).first.click()
            expect(visitor.generate).to_contain_text(act, timeout=PATIENCE)
            stands()
        visitor.settle()
        visitor.generate.click()
        assert server.stored("rotate it a little, and back")["operationType"] == "image_to_video_single"
        visitor.settle()
        page.reload()
        expect(page.get_by_role("radio", name="Image from text")).to_be_checked(timeout=PATIENCE)
        expect(visitor.prompt).to_have_value("")


def link(page: Page, name: str) -> Locator:
    """Return the link to another page that is seen: a phone has others than a desk."""
    return page.get_by_role("link", name=name, exact=True).locator("visible=true").first


def begin(server: Server, visitor: Visitor, text: str, *, pause: bool) -> Page:
    """Write a prompt, and leave the pen in it; `pause`: until the page has been told."""
    page = visitor.open()
    visitor.prompt.press_sequentially(text)
    if pause:
        eventually(page, lambda: kept(server, text))
        visitor.settle()
    return page


def kept(server: Server, text: str) -> bool:
    found = []
    for path in (server.data / "drafts").glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # it has just gone
            found.append(path.read_text())
    return any(f'"{text}"' in form for form in found)


@pytest.mark.parametrize(("touch", "pause"), [(False, True), (True, True), (False, False)])
def test_who_goes_to_another_page_with_the_pen_in_the_prompt_gets_there_and_finds_the_prompt_again(
    server: Server, windows: Windows, touch: bool, pause: bool
) -> None:
    with windows.visit(server, touch=touch, width=390 if touch else 1440) as visitor:
        text = f"a lantern in fog, {touch} {pause}"
        page = begin(server, visitor, text, pause=pause)
        for name in ("Library", "Analytics"):
            (link(page, name).tap if touch else link(page, name).click)()
            expect(page).to_have_title(re.compile(name), timeout=PATIENCE)
            expect(visitor.prompt).to_have_count(0, timeout=PATIENCE)
            visitor.settle()  # what was told too late has been heard
            expect(page).to_have_url(re.compile(f"/{name.lower()}$"))
            link(page, "Create").click()
            expect(visitor.prompt).to_have_value(text, timeout=PATIENCE)
            visitor.prompt.press("End")
            visitor.prompt.press_sequentially("!")
            text += "!"
            if pause:
                eventually(page, functools.partial(kept, server, text))
        page.reload()
        expect(visitor.prompt).to_have_value(text, timeout=PATIENCE)
        assert not server.by_prompt(text)


#: Writes as soon as a text area shows this text, before anything that came after it, and loads the page anew.
_QUICK = """text => new MutationObserver((_, watch) => {
  const box = document.querySelector('[class*="st-key-prompt"] textarea');
  if (box?.value !== text) return;
  watch.disconnect();
  box.focus();
  box.setSelectionRange(text.length, text.length);
  document.execCommand("insertText", false, "!");
  location.reload();
}).observe(document, { subtree: true, childList: true, attributes: true })"""


def test_what_is_written_before_anybody_listens_is_there_after_a_reload(server: Server, windows: Windows) -> None:
    with windows.visit(server) as visitor:
        page = begin(server, visitor, "a quick lantern", pause=True)
        link(page, "Library").click()
        expect(visitor.prompt).to_have_count(0, timeout=PATIENCE)
        visitor.settle()
        page.evaluate(_QUICK, "a quick lantern")
        with page.expect_event("load"):
            link(page, "Create").click()
        expect(visitor.prompt).to_have_value("a quick lantern!", timeout=PATIENCE)


def test_the_last_words_before_a_reload_are_there_after_it(server: Server, windows: Windows) -> None:
    with windows.visit(server) as visitor:
        page = begin(server, visitor, "a boat", pause=True)
        visitor.prompt.press_sequentially(" at the pier")
        page.reload()
        expect(visitor.prompt).to_have_value("a boat at the pier", timeout=PATIENCE)
        visitor.settle()
        visitor.generate.click()
        server.stored("a boat at the pier")
        visitor.prompt.fill("a boat under way")
        eventually(page, lambda: kept(server, "a boat under way"))
        visitor.prompt.fill("")  # who empties the box wants it empty
        page.reload()
        eventually(page, lambda: not kept(server, "a boat under way"))
        expect(visitor.prompt).to_have_value("")


def test_the_last_words_are_one_person_s_and_one_tab_s(server: Server, windows: Windows) -> None:
    with windows.visit(server) as visitor:
        page = begin(server, visitor, "nobody else reads this", pause=False)
        page.evaluate(
            """() => {
              const [name] = Object.keys(sessionStorage).filter(name => name.startsWith("opstore-draft/"));
              const is = sessionStorage[name];
              sessionStorage.clear();
              sessionStorage["opstore-draft/another/prompt"] = is;
            }"""
        )
        page.reload()
        eventually(page, lambda: page.evaluate("!sessionStorage['opstore-draft/another/prompt']"))  # it went with the person
        visitor.settle()
        expect(visitor.prompt).to_have_value("")


#: A page that is reloaded gets its lock late, where the one before it gives it back late.
_LATE = """(() => {
  const request = navigator.locks.request.bind(navigator.locks);
  navigator.locks.request = (...given) => new Promise(done => setTimeout(() => done(request(...given)), 1500));
})()"""


@pytest.mark.parametrize("delay", [10, 150])
def test_who_writes_while_the_draft_is_coming_back_writes_on(server: Server, windows: Windows, delay: int) -> None:
    text = f"a sledge, {delay}"
    with windows.visit(server, afresh=True) as visitor:
        page = begin(server, visitor, f"a boat, {delay}", pause=True)
        visitor.number("Variants", "2")
        page.add_init_script(_LATE)
        page.reload()
        visitor.prompt.focus()
        page.keyboard.type(text, delay=delay)
        expect(page.get_by_label("Variants", exact=True)).to_have_value("2", timeout=PATIENCE)  # the rest of it is back
        visitor.settle()
        expect(visitor.prompt).to_have_value(text)
        eventually(page, functools.partial(kept, server, text))  # the page goes by what stands there
        page.keyboard.press("Control+Enter")
        server.stored(text, 2)
    assert not server.by_prompt(f"a boat, {delay}")
