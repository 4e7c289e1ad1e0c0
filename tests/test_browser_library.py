"""The library in a real browser: a thousand operations to scroll through and to search, by every key and on a phone."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

import pytest
from playwright.sync_api import FloatRect, Locator, Page, Route, expect

from opstore import Store
from tests.browser import ROOT, Server, Windows
from tests.browser_library import (
    COUNT,
    EVIL,
    MOST_TILES,
    apart,
    chosen,
    current,
    drawn,
    eventually,
    judged,
    library,
    name_of,
    scroll,
    tile,
    width,
)
from tests.samples import PNG

pytest_plugins = ("tests.browser_fixtures", "tests.library_fixtures")
pytestmark = pytest.mark.long

SHOTS = ROOT / "screenshots"


# -- the first screen ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wide", "high"), [(1440, 900), (390, 844)])
def test_the_first_screen_is_there_before_the_page_and_nothing_moves_when_the_page_has_come(
    served: Server, windows: Windows, wide: int, high: int
) -> None:
    with windows.visit(served, width=wide, height=high) as visitor:
        page, held = visitor.page, list[Route]()
        page.route(re.compile("/static/js/index"), lambda route: held.append(route))  # Streamlit's front end does not come
        page.goto(f"{served.address}/library", wait_until="commit")
        expect(page.locator("#opstore-first[data-shown]")).to_be_attached()
        page.evaluate("document.fonts.ready")
        left, top = (324, 188) if wide > 768 else (12, 305)
        area: FloatRect = {"x": left, "y": top, "width": wide - left - 24, "height": high - top}
        before = page.screenshot(clip=area)
        page.mouse.click(left + 60, top + 60)
        for route in held:
            route.continue_()
        page.unroute_all()  # the tab is used again
        expect(visitor.dialog).to_contain_text(f"number {COUNT - 1} ")  # what was clicked meanwhile
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)
        expect(page.locator("#opstore-first")).to_have_count(0)
        visitor.settle()
        visitor.pictures_loaded()
        page.mouse.move(2, 2)
        page.evaluate("document.activeElement.blur()")
        assert apart(before, page.screenshot(clip=area)) < 2


# -- scrolling -----------------------------------------------------------------------------------------------------------


def test_a_thousand_tiles_down_and_back_in_order_and_never_more_than_some_hundred(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = library(visitor)
        expect(page.locator(".count")).to_contain_text("1,200 operations · Sep 1, 2025 – ")
        seen: list[str] = []
        most = 0
        main = page.get_by_test_id("stMain")
        while len(seen) < 1_000:
            shown = page.locator("button.tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.id)")
            most = max(most, len(shown))
            seen = list(dict.fromkeys([*seen, *shown]))
            before = scroll(page)
            main.evaluate("main => main.scrollBy(0, main.clientHeight)")
            drawn(page)
            expect(page.locator(".blank")).to_have_count(0)  # what was not there yet has come
            assert scroll(page) > before or len(seen) >= 1_000, f"the page ended after {len(seen)} operations"
        assert seen == [name_of(COUNT - 1 - at) for at in range(len(seen))], "each once, newest first"
        assert most <= MOST_TILES
        main.evaluate("main => main.scrollTo(0, 0)")
        expect(tile(page, COUNT - 1)).to_be_in_viewport()
        assert page.locator("button.tile").count() <= MOST_TILES
        visitor.pictures_loaded()
        place = tile(page, COUNT - 1).bounding_box()
        assert place and place["y"] < 400


#: What the grid keeps of its place, a moment after it was scrolled.
_PLACES = "Object.keys(sessionStorage).filter(key => key.startsWith('opstore-place:'))"
_FORGET = f"{_PLACES}.forEach(key => sessionStorage.removeItem(key))"
_KEPT = f"{_PLACES}.length > 0"


def stands(page: Page, operation_id: str, place: FloatRect | None) -> bool:
    """Return whether a tile stands where it stood."""
    found = page.locator(f'[data-id="{operation_id}"]').bounding_box()
    return bool(found and place and abs(found["y"] - place["y"]) < 3)


def test_the_size_of_the_tiles_is_chosen_and_kept(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = library(visitor)
        wide = width(tile(page, COUNT - 1))
        page.get_by_role("slider", name="Size of the pictures").fill("100")
        narrow = width(tile(page, COUNT - 1))
        assert narrow < wide * 0.75
        page.reload()
        expect(tile(page, COUNT - 1)).to_be_visible()
        assert width(tile(page, COUNT - 1)) == narrow


def test_whoever_comes_back_finds_the_same_place(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = library(visitor, "?q=number&order=oldest")
        main = page.get_by_test_id("stMain")
        for _ in range(4):
            page.evaluate(_FORGET)
            main.evaluate("main => main.scrollBy(0, 3000)")
            page.wait_for_function(_KEPT)
            expect(page.locator(".blank")).to_have_count(0)
        middle = page.locator("button.tile").evaluate_all(
            "tiles => tiles.filter(tile => tile.getBoundingClientRect().top > 200)[0].dataset.id"
        )
        place = page.locator(f'[data-id="{middle}"]').bounding_box()
        for way in ("back", "link", "reload"):
            if way == "reload":
                page.reload()
            else:
                page.get_by_role("link", name="Create").first.click()
                expect(visitor.prompt).to_be_visible()
                if way == "back":
                    page.go_back()
                else:
                    page.get_by_role("link", name="Library").first.click()
            expect(page.locator(f'[data-id="{middle}"]')).to_be_in_viewport()
            expect(page).to_have_url(re.compile("q=number&order=oldest"))
            eventually(page, lambda: stands(page, middle, place))
        page.locator(f'[data-id="{middle}"]').click()
        expect(visitor.dialog.locator(".ops-prompt")).to_be_visible()
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)
        found = page.locator(f'[data-id="{middle}"]').bounding_box()
        assert found and place and abs(found["y"] - place["y"]) < 3, "closing the drawer leaves the grid where it was"


def test_a_drawer_that_was_closed_is_not_opened_by_going_back(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = library(visitor)
        library(visitor, "?q=castle")
        for close in ("Escape", "button", "beside"):
            page.locator("button.tile").nth(1).click()
            expect(visitor.dialog.locator(".ops-prompt")).to_be_visible()
            opened = page.url
            page.keyboard.press("ArrowRight")
            expect(page).not_to_have_url(opened)
            visitor.settle()
            if close == "Escape":
                page.keyboard.press("Escape")
            elif close == "button":
                visitor.dialog.get_by_role("button", name="Close").click()
            else:
                page.mouse.click(30, 500)
            expect(visitor.dialog).to_have_count(0)
            expect(page).to_have_url(re.compile(r"\?q=castle$"))
        page.evaluate("history.back()")  # Playwright's own waits for the first of what may be two steps
        expect(page).to_have_url(re.compile("/library$"))
        expect(visitor.dialog).to_have_count(0)


# -- keys ----------------------------------------------------------------------------------------------------------------


def test_every_key_that_moves(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = library(visitor)
        tiles, newest = page.locator("button.tile"), COUNT - 1
        tops = tiles.evaluate_all("tiles => tiles.slice(0, 30).map(tile => tile.getBoundingClientRect().top)")
        columns = next(at for at, top in enumerate(tops) if top > tops[0])
        tiles.first.focus()
        for key, wanted in (
            ("ArrowRight", 1),
            ("ArrowRight", 2),
            ("ArrowLeft", 1),
            ("ArrowDown", 1 + columns),
            ("ArrowUp", 1),
            ("Home", 0),
            ("ArrowLeft", 0),
        ):
            page.keyboard.press(key)
            expect(tile(page, newest - wanted)).to_be_focused()
        page.keyboard.press("PageDown")
        eventually(page, lambda: current(page) not in ("", name_of(newest)))
        page.keyboard.press("PageUp")
        expect(tile(page, newest)).to_be_focused()
        for _ in range(120):
            page.keyboard.press("ArrowRight")
        expect(tile(page, newest - 120)).to_be_focused()
        expect(tile(page, newest - 120)).to_be_in_viewport()
        assert tile(page, newest - 120).evaluate("tile => getComputedStyle(tile).outlineStyle") == "solid"
        page.keyboard.press("End")
        eventually(page, lambda: current(page), name_of(0))
        expect(page.locator("button.tile.current")).to_be_in_viewport()


def test_every_key_that_acts_on_one(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = library(visitor)
        first, number = tile(page, 59), 58
        first.focus()
        page.keyboard.press("ArrowRight")
        for key, stars in (("3", 3), ("5", 5), ("0", None), ("4", 4)):
            page.keyboard.press(key)
            expect(tile(page, number).locator(".rating")).to_have_text(("★" * stars + "☆" * (5 - stars)) if stars else [])
            eventually(page, lambda: judged(few, number).get("rating"), stars)
        page.keyboard.press("f")
        expect(tile(page, number).locator(".star")).to_be_visible()
        eventually(page, lambda: judged(few, number).get("favorite"))
        page.keyboard.press("t")
        page.keyboard.type("print, fog")
        page.keyboard.press("Enter")
        eventually(page, lambda: judged(few, number).get("tags"), ["print", "fog"])
        expect(tile(page, number)).to_be_focused()
        page.keyboard.press("x")
        assert chosen(page) == {name_of(number)}
        expect(page.locator(".bar")).to_contain_text("1 selected")
        page.keyboard.press("Escape")
        expect(page.locator(".bar")).to_be_hidden()
        page.keyboard.press("?")
        expect(page.locator("dialog.card")).to_contain_text("show shortcuts")
        page.keyboard.press("Escape")
        expect(tile(page, number)).to_be_focused()
        page.keyboard.press("Enter")
        expect(visitor.dialog.locator(".ops-prompt")).to_contain_text(f"number {number} ")
        page.keyboard.press("ArrowRight")
        expect(visitor.dialog.locator(".ops-prompt")).to_contain_text(f"number {number - 1} ")
        page.keyboard.press("ArrowLeft")
        expect(visitor.dialog.locator(".ops-prompt")).to_contain_text(f"number {number} ")
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)
        expect(tile(page, number)).to_be_focused()
        page.keyboard.press("Delete")
        expect(tile(page, number)).to_have_count(0)
        expect(tile(page, number - 1)).to_be_focused()
        page.keyboard.press("Control+z")
        expect(tile(page, number)).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("x")  # typed, and no key of the grid
        expect(page.get_by_role("searchbox")).to_have_value("x")
        assert not chosen(page)


def test_space_previews_the_true_pixels_and_the_arrows_go_on(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = library(visitor, "?q=type:text_to_image")
        tiles = page.locator("button.tile")
        tiles.nth(1).focus()
        name = tiles.nth(1).get_attribute("data-id")
        page.keyboard.press(" ")
        shown = page.locator("dialog.preview img")
        expect(shown).to_have_attribute("src", f"/api/files/{name}_out.jpg")
        assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") in (240, 320)
        page.keyboard.press("ArrowRight")
        second = tiles.nth(2).get_attribute("data-id")
        expect(shown).to_have_attribute("src", f"/api/files/{second}_out.jpg")
        page.keyboard.press("2")
        expect(page.locator("dialog.preview .line")).to_contain_text("★★☆☆☆ ·")
        page.keyboard.press("x")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        assert chosen(page) == {second}, "what is chosen in the preview stays so, and Escape closes the preview only"
        expect(tiles.nth(2)).to_be_focused()
        page.keyboard.press(" ")
        expect(page.locator("dialog.preview")).to_be_visible()
        page.keyboard.press(" ")
        expect(page.locator("dialog")).to_have_count(0)


# -- one state -----------------------------------------------------------------------------------------------------------


def test_query_chips_filters_and_address_are_one_state(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = library(visitor)
        box, count = page.get_by_role("searchbox"), page.locator(".count")
        box.fill("castle type:text_to_image")
        expect(page).to_have_url(re.compile(r"q=castle\+type%3Atext_to_image$"))
        expect(count).to_contain_text("300 operations")
        chips = page.locator(".st-key-chips button")
        expect(chips).to_have_count(2)
        expect(page.get_by_test_id("stSidebar").get_by_text("Image from text")).to_be_visible()

        page.get_by_role("button", name="Remove castle").click()
        expect(box).to_have_value("type:text_to_image")
        expect(count).to_contain_text("600 operations")

        page.get_by_test_id("stSidebar").get_by_text("Favorites only").click()
        expect(box).to_have_value("type:text_to_image favorite:yes")
        expect(chips).to_have_count(2)
        expect(page).to_have_url(re.compile("favorite%3Ayes"))

        page.go_back()
        expect(box).to_have_value("type:text_to_image")
        expect(count).to_contain_text("600 operations")
        expect(chips).to_have_count(1)

        library(visitor, "?q=rating:%3E%3D4%20date:2025-09-28..2025-10-01%20tag:zine&order=oldest")
        expect(box).to_have_value("rating:>=4 date:2025-09-28..2025-10-01 tag:zine")
        side = page.get_by_test_id("stSidebar")
        expect(side.get_by_role("combobox", name="Rating")).to_have_value("★★★★ or better")
        expect(side.get_by_text("zine", exact=True)).to_be_visible()
        expect(page.get_by_role("combobox", name="Order")).to_have_value("Oldest first")
        ids = page.locator("button.tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.id)")
        assert ids == sorted(ids) and len(ids) > 3


def test_the_grid_looks_at_once_for_what_was_asked_and_keeps_what_it_has_where_that_is_a_mistake(
    served: Server, windows: Windows
) -> None:
    asked = "query => dispatchEvent(new CustomEvent('opstore-source', {detail: `/api/search?q=${query}&order=newest&group=`}))"
    with windows.visit(served) as visitor:
        page = library(visitor)
        expect(tile(page, COUNT - 1)).to_be_visible()
        page.evaluate(asked, "harbour")  # as a chip does, before the page's script knows of it
        expect(tile(page, COUNT - 1)).to_have_count(0)
        expect(tile(page, COUNT - 2)).to_be_visible()
        expect(page.locator(".count")).to_have_text("300 operations")
        with page.expect_response(lambda answer: "rating:" in unquote(answer.url)) as refused:
            page.evaluate(asked, "rating:")
        refused.value.finished()
        drawn(page)
        expect(page.locator(".count")).to_have_text("300 operations")
        expect(page.locator(".notice")).to_be_hidden()

        library(visitor)
        visitor.settle()
        page.evaluate("WebSocket.prototype.send = () => {}")  # what is chosen from now on, the page's script never hears of
        side, count = page.get_by_test_id("stSidebar"), page.locator(".count")

        def found(query: str) -> str:
            return f"{served.get(f'/api/search?limit=1&q={query}')['total']['n']:,} operations"

        side.get_by_role("combobox", name="Rating").click()
        page.get_by_role("option", name="★★★★ or better").click()
        expect(count).to_have_text(found("rating:%3E=4"))
        side.get_by_text("Favorites only").click()
        expect(count).to_have_text(found("favorite:yes"))
        side.get_by_role("combobox", name="Status").fill("failed")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(count).to_have_text(found("status:failed"))


def test_variants_are_shown_as_one_and_taken_apart(few: Server, windows: Windows) -> None:
    store = Store(few.data)
    for number in range(90, 93):
        sidecar = {"operationType": "text_to_image", "prompt": f"variant {number}", "batchId": "20250901000000_0000abcd"}
        store.save(name_of(number), sidecar, outputs=[PNG])
    with windows.visit(few) as visitor:
        page = library(visitor, "?group=batch")
        expect(tile(page, 92).locator(".stack")).to_have_text("× 3")
        expect(tile(page, 91)).to_have_count(0)
        tile(page, 92).locator(".stack").click()
        expect(page.locator("button.tile")).to_have_count(3)
        expect(page.get_by_role("searchbox")).to_have_value("batch:20250901000000_0000abcd")


def test_a_mistake_is_pointed_at_and_the_last_results_stay(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = library(visitor, "?q=castle")
        expect(page.locator(".count")).to_contain_text("300 operations")
        page.get_by_role("searchbox").fill("castle rating:>=many")
        pointed = page.locator(".ops-mistake")
        expect(pointed).to_have_text(re.compile(r"castle rating:>=many\n {14}\^+$"))
        expect(page.locator(".count")).to_contain_text("300 operations")
        expect(page.locator("button.tile").first).to_be_visible()
        visitor.open("/library?q=nothing-is-called-this")
        expect(page.get_by_text("Nothing matches.")).to_be_visible()
        page.locator(".st-key-examples button").first.click()
        expect(page.locator("button.tile").first).to_be_visible()


def test_a_search_is_saved_under_a_name_and_found_again(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = library(visitor, "?q=harbour")
        page.get_by_role("button", name="Saved").click()
        page.get_by_label("Save this search as").fill(EVIL[:60])
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".st-key-saved button")).to_have_text(EVIL[:60])
        library(visitor)
        page.get_by_role("button", name="Saved").click()
        page.locator(".st-key-saved button").click()
        expect(page.get_by_role("searchbox")).to_have_value("harbour")


def test_hostile_prompts_and_tags_are_shown_literally(few: Server, windows: Windows) -> None:
    sidecar = {"operationType": "text_to_image", "prompt": EVIL, "model": EVIL, "annotations": {"tags": [EVIL]}}
    Store(few.data).save(name_of(80), sidecar, outputs=[PNG])
    with windows.visit(few) as visitor:
        library(visitor, "?q=%22evil%20invalid%22")
        expect(tile(visitor.page, 80)).to_contain_text("<script>")
        page = library(visitor, "?q=%22evil%20invalid%22")  # the index has it now, and what a page offers is its names
        expect(tile(page, 80)).to_contain_text("<script>")
        visitor.settle()
        page.get_by_test_id("stSidebar").get_by_role("combobox", name=re.compile("Tag")).fill("evil")
        page.get_by_role("option", name=re.compile("evil")).click()
        expect(page.locator(".st-key-chips button").last).to_contain_text("evil.invalid")
        tile(page, 80).click()
        expect(visitor.dialog.locator(".ops-prompt")).to_have_text(EVIL)
        assert page.title() != "taken" and page.locator('[src*="evil"]').count() == 0


# -- a phone, and looks --------------------------------------------------------------------------------------------------


def test_a_phone_chooses_by_a_long_press_and_has_room_for_fingers(few: Server, windows: Windows) -> None:
    with windows.visit(few, width=390, height=844, touch=True) as visitor:
        page = library(visitor)
        first, second = tile(page, 59).bounding_box(), tile(page, 58).bounding_box()
        assert first and second and first["y"] == second["y"] and first["width"] > 150, "two in a row"
        # Where the bar comes up under the finger: lifting it presses nothing there.
        press(page, tile(page, 55), 600, y=800)
        expect(page.locator(".bar")).to_contain_text("1 selected")
        box = page.locator(".bar").bounding_box()
        assert box and box["y"] < 800 and box["height"] < 844 * 0.15, "the pictures stay in sight"
        expect(visitor.dialog).to_have_count(0)
        expect(page.locator(".bar.held")).to_have_count(0)
        tile(page, 58).tap()
        expect(page.locator(".bar")).to_contain_text("2 selected")
        for control in page.locator(".bar button, .toolbar button:visible, .toolbar input").all():
            found = control.bounding_box()
            assert found and found["height"] >= 40 and found["width"] >= 40, control
        assert visitor.overflow() == 0
        page.screenshot(path=SHOTS / "library-chosen-390-light.png")
        page.get_by_role("button", name="Clear the selection").tap()
        tile(page, 58).tap()
        expect(visitor.dialog.locator(".ops-prompt")).to_be_visible()
        page.get_by_role("button", name="Close").first.tap()
        expect(visitor.dialog).to_have_count(0)
        page.get_by_test_id("stExpandSidebarButton").tap()
        expect(page.get_by_text("Favorites only")).to_be_in_viewport()
        page.screenshot(path=SHOTS / "library-filters-390-light.png")
        page.get_by_text("Favorites only").tap()
        page.get_by_role("button", name="Collapse sidebar").tap()
        expect(page.get_by_text("Favorites only")).not_to_be_in_viewport()
        expect(page.locator(".count")).to_contain_text("6 operations")


def press(page: Page, target: Locator, milliseconds: int, y: float) -> None:
    """Hold a finger on something, at a height of the window."""
    found = target.bounding_box()
    assert found and found["y"] < y < found["y"] + found["height"]
    point = {"x": found["x"] + found["width"] / 2, "y": y}
    client = page.context.new_cdp_session(page)
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    page.wait_for_timeout(milliseconds)
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_how_it_looks(served: Server, windows: Windows, theme: Literal["light", "dark"]) -> None:
    """Take the pictures that people look at."""
    SHOTS.mkdir(exist_ok=True)
    with windows.visit(served, theme=theme) as visitor:
        page = library(visitor, "?q=number")
        tile(page, COUNT - 3).focus()
        page.keyboard.press("x")
        page.keyboard.press("Shift+ArrowRight")
        visitor.pictures_loaded()
        page.screenshot(path=SHOTS / f"library-chosen-1440-{theme}.png")
        page.keyboard.press(" ")
        visitor.pictures_loaded()
        page.screenshot(path=SHOTS / f"library-preview-1440-{theme}.png")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        page.screenshot(path=SHOTS / f"library-keys-1440-{theme}.png")
        assert visitor.overflow() == 0
