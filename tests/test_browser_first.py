"""The library's first screen is its grid: it hears before the page has come, and all it holds moves into the page, whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import Server, Visitor, Windows
from tests.browser_library import apart, chosen, current, eventually, judged, name_of, tile
from tests.conftest import Sampled

pytest_plugins = ("tests.browser_fixtures", "tests.library_fixtures")
pytestmark = pytest.mark.long

FIRST = "#opstore-first"
NEWEST = 59
#: All messages of the first run of the page's script together.
MOST_BYTES = 60_000


def opened_without_page(visitor: Visitor) -> Callable[[], None]:
    """Open the library, of which Streamlit's front end does not come; return what lets it come."""
    page, held = visitor.page, list[Route]()
    page.route(re.compile("/static/js/index"), lambda route: held.append(route))
    page.goto(f"{visitor.address}/library", wait_until="commit")
    expect(page.locator(f"{FIRST}[data-shown]")).to_be_attached()

    def let_go() -> None:
        for route in held:
            route.continue_()
        page.unroute_all()

    return let_go


def moved(page: Page) -> None:
    """Wait until the grid stands in the page."""
    expect(page.locator(FIRST)).to_have_count(0)
    expect(page.locator(".st-key-library button.tile").first).to_be_visible()


def test_what_is_done_before_the_page_has_come_is_done_once_and_stays(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = visitor.page
        let_go = opened_without_page(visitor)
        listbox = page.get_by_role("listbox", name="Operations")
        expect(listbox.get_by_role("option").first).to_have_attribute("aria-setsize", "60")
        for key in ("ArrowRight", "ArrowRight", "3", "f", "ArrowRight", "x", "Delete", "ArrowRight", "x", "Shift+ArrowRight"):
            page.keyboard.press(key)
        expect(tile(page, NEWEST - 1).locator(".rating")).to_have_text("★★★☆☆")
        expect(tile(page, NEWEST - 2)).to_have_count(0)
        before, taken = current(page), chosen(page)
        assert (before, taken) == (name_of(NEWEST - 5), {name_of(NEWEST - 4), name_of(NEWEST - 5)})
        expect(page.locator(".notice")).to_contain_text("kept, and done once the page has come")
        assert judged(few, NEWEST - 1).get("rating") is None, "nothing is done without the page, and whose it is"
        let_go()
        moved(page)
        assert (current(page), chosen(page)) == (before, taken)
        eventually(page, lambda: judged(few, NEWEST - 1).get("rating"), 3)
        eventually(page, lambda: judged(few, NEWEST - 1).get("favorite"))
        eventually(page, lambda: f"{name_of(NEWEST - 2)}.json" in few.files(), False)
        expect(page.locator(".notice")).to_contain_text("moved to the trash")
        page.keyboard.press("Control+z")  # each was done once: the last one is taken back by one
        expect(tile(page, NEWEST - 2)).to_be_visible()


@pytest.mark.parametrize("way", ["click", "Enter", "/"])
def test_what_leads_elsewhere_waits_for_the_page_with_what_is_pressed_after_it(
    few: Server, windows: Windows, way: Literal["click", "Enter", "/"]
) -> None:
    with windows.visit(few) as visitor:
        page = visitor.page
        let_go = opened_without_page(visitor)
        if way == "click":
            tile(page, NEWEST - 1).click()
        else:
            page.keyboard.press("ArrowRight")
            page.keyboard.press(way)
        page.keyboard.press("ArrowRight")
        if way == "/":
            page.keyboard.type("castles")
            page.keyboard.press("Backspace")
        let_go()
        if way == "/":
            expect(page.get_by_role("searchbox", name="Search")).to_have_value("castle")
            expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
            assert not chosen(page)
        else:
            expect(visitor.dialog.locator(".ops-prompt")).to_contain_text(f"number {NEWEST - (2 if way == 'click' else 1)} ")
        moved(page)


def test_an_open_preview_and_a_held_mouse_keep_the_grid_where_it_is(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = visitor.page
        let_go = opened_without_page(visitor)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press(" ")
        let_go()
        expect(page.get_by_role("searchbox")).to_be_attached()
        visitor.settle()
        page.keyboard.press("2")
        eventually(page, lambda: judged(few, NEWEST - 1).get("rating"), 2)
        expect(page.locator("dialog.preview .line")).to_contain_text("★★☆☆☆ ·")
        expect(page.locator(FIRST)).to_have_count(1)
        page.keyboard.press("Escape")
        moved(page)
        expect(tile(page, NEWEST - 1)).to_be_focused()

        let_go = opened_without_page(visitor)
        place = tile(page, NEWEST - 3).locator(".pick").bounding_box()
        assert place
        page.mouse.move(place["x"] + 20, place["y"] + 20)
        page.mouse.down()
        let_go()
        expect(page.get_by_role("searchbox")).to_be_attached()
        visitor.settle()
        page.mouse.up()
        moved(page)
        assert chosen(page) == {name_of(NEWEST - 3)}


@pytest.mark.parametrize(("wide", "high", "locale", "theme"), [(1440, 900, "fr-FR", "dark"), (390, 844, "en-US", "light")])
def test_who_has_scrolled_looks_on_at_the_same_place(
    served: Server, windows: Windows, wide: int, high: int, locale: str, theme: Literal["light", "dark"]
) -> None:
    with windows.visit(served, width=wide, height=high, locale=locale, theme=theme) as visitor:
        page = visitor.page
        let_go = opened_without_page(visitor)
        page.evaluate("document.fonts.ready")
        page.mouse.move(wide / 2, high / 2)
        page.mouse.wheel(0, 700)
        page.wait_for_function(f"document.querySelector('{FIRST}').scrollTop === 700")
        visitor.pictures_loaded()
        area: dict[str, float] = {
            "x": 326 if wide > 768 else 0,
            "y": 100,
            "width": wide - 350 if wide > 768 else wide,
            "height": high - 100,
        }
        before = page.screenshot(clip=area)  # type: ignore[arg-type]
        let_go()
        moved(page)
        assert apart(before, page.screenshot(clip=area)) < 2  # type: ignore[arg-type]
        visitor.settle()
        assert apart(before, page.screenshot(clip=area)) < 2  # type: ignore[arg-type]
        assert page.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 700


def test_a_page_that_is_no_grid_ends_the_first_screen_and_keeps_what_was_done(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = visitor.page
        let_go = opened_without_page(visitor)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("5")
        page.evaluate("history.replaceState(null, '', '/library?view=trash')")
        let_go()
        expect(page.get_by_text("The trash is empty")).to_be_visible()
        expect(page.locator(FIRST)).to_have_count(0)
        page.get_by_role("button", name="Back to the library").click()
        eventually(page, lambda: judged(few, NEWEST).get("rating"), 5)


@pytest.mark.parametrize("locale", ["en-US", "fr-FR"])
def test_the_messages_of_a_first_run_are_few(served: Server, windows: Windows, locale: str) -> None:
    with windows.visit(served, locale=locale) as visitor:
        page, sizes = visitor.page, list[int]()
        page.on("websocket", lambda socket: socket.on("framereceived", lambda payload: sizes.append(len(payload))))
        visitor.open("/library")
        moved(page)
        assert 10_000 < sum(sizes) <= MOST_BYTES, sizes


# -- presses at random moments -------------------------------------------------------------------------------------------

#: Visits of eight presses each: 200 presses.
VISITS, PRESSES = 25, 8
#: In milliseconds: within this time from the first frame, before which a browser hears nobody, the presses come.
SPAN = 2_500


@dataclass
class Wanted:
    """What the library must show, and hold, after the presses so far: the current tile by its place, the chosen, the judged."""

    at: int = -1
    chosen: set[int] = field(default_factory=set)
    judged: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Return the current operation."""
        return NEWEST - self.at

    def next(self, chance: Random, *, last: bool) -> str:
        """Return a key that means something now, or a click, which comes last as what opens something does; note what it does."""
        if self.at < 0:
            self.at = 0
            return "ArrowRight"
        if last:
            kinds = ["Enter", "click", " ", "x"]
        else:  # what judges would be for all that are chosen
            kinds = ["ArrowRight", "ArrowRight", "x", *([] if self.chosen else ["f", str(chance.randint(1, 5))])]
        key = chance.choice(kinds)
        state = self.judged.setdefault(self.number, {})
        if key == "ArrowRight":
            self.at += 1
        elif key == "x":
            self.chosen ^= {self.number}
        elif key == "f":
            state["favorite"] = not state.get("favorite")
        elif key.isdigit():
            state["rating"] = int(key)
        return key


def test_presses_at_random_moments_are_done_once(few: Server, windows: Windows, sampled: Sampled) -> None:
    with windows.visit(few) as visitor:
        for visit in sampled(range(VISITS), 2):
            moments = sorted(sampled.random.uniform(0, SPAN) for _ in range(PRESSES))
            visited(few, visitor, sampled.random, moments, f"visit {visit}")


def visited(few: Server, visitor: Visitor, chance: Random, moments: list[float], told: str) -> None:
    """Open the library, press keys at these moments, and look what has come of each."""
    page = visitor.page
    page.goto(f"{visitor.address}/_stcore/health")
    page.evaluate("sessionStorage.clear()")  # a visit begins at the top, with no tile that is the current one
    wanted = Wanted(judged={number: judged(few, number) for number in range(NEWEST - PRESSES, NEWEST + 1)})
    page.goto(f"{visitor.address}/library", wait_until="commit")
    page.wait_for_function("performance.getEntriesByType('paint').length")
    now, key = 0.0, ""
    for moment in moments:
        page.wait_for_timeout(moment - now)
        now, key = moment, wanted.next(chance, last=moment == moments[-1])
        told += f", {key!r} at {moment:.0f} ms"
        if key == "click":
            tile(page, wanted.number).click(position={"x": 60, "y": 90})
        else:
            page.keyboard.press(key)
    print(told)
    if key in ("Enter", "click"):
        expect(visitor.dialog.locator(".ops-prompt")).to_contain_text(f"number {wanted.number} ")
        moved(page)
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)
    elif key == " ":
        expect(page.locator("dialog.preview")).to_be_visible()
        page.keyboard.press("Escape")
    moved(page)
    visitor.settle()
    eventually(page, lambda: current(page), name_of(wanted.number))
    assert chosen(page) == {name_of(number) for number in wanted.chosen}, told
    for name in ("rating", "favorite"):
        for number, state in wanted.judged.items():
            eventually(page, partial(_judged, few, number, name), state.get(name) or None)


def _judged(server: Server, number: int, name: str) -> Any:
    return judged(server, number).get(name) or None
