"""Choosing and judging in a real browser: many at once, undone, trashed, restored, and by two people at a time."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from opstore import Store
from opstore.storage.trash import Trash
from opstore.ui.components.grid import _JS
from tests.browser import Server, Windows
from tests.browser_library import COUNT, chosen, current, eventually, judged, library, name_of, tile
from tests.samples import PNG

pytest_plugins = ("tests.browser_fixtures", "tests.library_fixtures")
pytestmark = pytest.mark.long


#: Keeps in `boxes` how many notes have been in sight at once.
BOXES = """() => {
  window.boxes = 1;
  const notes = () => [...document.querySelectorAll('[role="dialog"] textarea')].filter(box => box.checkVisibility());
  const look = () => { window.boxes = Math.max(window.boxes, notes().length); };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""


# -- choosing and acting on many -----------------------------------------------------------------------------------------


def test_ranges_corners_and_all(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = library(visitor)
        newest = COUNT - 1
        tile(page, newest - 2).locator(".pick").click()
        tile(page, newest - 6).click(modifiers=["Shift"])
        expect(page.locator(".bar")).to_contain_text("5 selected")
        assert chosen(page) == {name_of(newest - at) for at in range(2, 7)}
        tile(page, newest - 4).click(modifiers=["Control"])
        expect(page.locator(".bar")).to_contain_text("4 selected")
        page.keyboard.press("Escape")
        expect(page.locator(".bar")).to_be_hidden()
        tile(page, newest).focus()
        page.keyboard.press("ArrowRight")
        for _ in range(3):
            page.keyboard.press("Shift+ArrowRight")
        expect(page.locator(".bar")).to_contain_text("4 selected")
        assert chosen(page) == {name_of(newest - at) for at in range(1, 5)}
        page.keyboard.press("Control+a")
        expect(page.locator(".bar")).to_contain_text(f"{COUNT:,} selected")
        expect(visitor.dialog).to_have_count(0)


def test_thirty_are_rated_and_the_undo_brings_back_each_as_it_was(few: Server, windows: Windows) -> None:
    before = {number: judged(few, number).get("rating") for number in range(60)}
    others = sum(before[number] != 2 for number in range(30, 60))
    with windows.visit(few) as visitor:
        page = library(visitor)
        tile(page, 59).locator(".pick").click()
        tile(page, 30).click(modifiers=["Shift"])
        expect(page.locator(".bar")).to_contain_text("30 selected")
        page.locator(".bar").get_by_role("button", name="2 of 5 stars").click()
        expect(tile(page, 58).locator(".rating")).to_have_text("★★☆☆☆")
        expect(page.locator(".notice")).to_contain_text(f"{others} changed")
        assert [judged(few, number)["rating"] for number in range(30, 60)] == [2] * 30
        assert {number: judged(few, number).get("rating") for number in range(30)} == {n: before[n] for n in range(30)}
        page.locator(".notice").get_by_role("button", name="Undo").click()
        expect(page.locator(".notice")).to_contain_text(f"Undone for {others}")
        assert {number: judged(few, number).get("rating") for number in range(60)} == before
        expect(tile(page, 58).locator(".rating")).to_have_count(0)


def test_quick_keys_are_all_done_in_their_order(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = library(visitor)
        tile(page, 59).focus()
        for number in range(8):  # faster than the page's script runs
            page.keyboard.press(str(number % 5 + 1))
            page.keyboard.press("f")
            page.keyboard.press("ArrowRight")
        wanted = [(number % 5 + 1, (59 - number) % 10 != 0 or (59 - number) % 5 != 0) for number in range(8)]
        eventually(page, lambda: [tuple(judged(few, 59 - n).get(k) for k in ("rating", "favorite")) for n in range(8)], wanted)


def test_keys_reach_only_what_is_seen(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = library(visitor, "?q=rating:%3E%3D3")  # 45, 40, 35, 20, 15, 10
        for number in (45, 20):
            tile(page, number).locator(".pick").click()
        tile(page, 40).focus()
        page.keyboard.press("Space")
        page.keyboard.press("3")
        eventually(page, lambda: judged(few, 40).get("rating"), 3)
        page.keyboard.press("Delete")
        eventually(page, lambda: (few.data / "trash" / f"{name_of(40)}.json").exists())
        expect(page.locator("dialog.preview .line")).to_contain_text("number 35 ")
        assert [judged(few, number)["rating"] for number in (45, 20)] == [5, 5], "chosen, and behind what is seen"
        page.keyboard.press("Escape")
        expect(page.locator(".bar")).to_contain_text("2 selected")
        Trash(Store(few.data)).put(name_of(45))
        expect(page.locator(".bar")).to_contain_text("1 selected", timeout=8_000)
        page.keyboard.press("Escape")
        for shown in (False, True):  # 35 in the grid, then 20 in a preview: neither fits the search any more
            if shown:
                page.keyboard.press("Space")
            else:
                tile(page, 35).focus()
            page.keyboard.press("1")
            expect(tile(page, 20 if shown else 35)).to_have_count(0)
            if not shown:
                page.keyboard.press("5")
            page.keyboard.press("ArrowRight")
            if shown:
                expect(page.locator("dialog.preview .line")).to_contain_text("number 15 ")
            else:
                eventually(page, lambda: current(page), name_of(20))
        page.keyboard.press("4")
        eventually(page, lambda: judged(few, 15).get("rating"), 4)
        assert [judged(few, number)["rating"] for number in (35, 20)] == [1, 1]


def test_trash_undo_the_view_of_it_and_restore(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = library(visitor)
        tile(page, 59).locator(".pick").click()
        tile(page, 57).click(modifiers=["Shift"])
        page.locator(".bar").get_by_role("button", name="Move to trash").click()
        expect(page.locator(".notice")).to_contain_text("3 moved to the trash")
        expect(page.locator(".count")).to_contain_text("57 operations")
        expect(tile(page, 58)).to_have_count(0)
        assert not (few.data / "operations" / f"{name_of(58)}.json").exists()
        page.locator(".notice").get_by_role("button", name="Undo").click()
        expect(tile(page, 58)).to_be_visible()
        assert (few.data / "operations" / f"{name_of(58)}.json").exists()
        tile(page, 56).focus()
        for _ in range(2):
            page.keyboard.press("Delete")
        expect(tile(page, 55)).to_have_count(0)
        expect(page.locator(".count")).to_contain_text("58 operations")
        page.get_by_role("button", name="Trash", exact=True).click()
        expect(page.locator("button.tile")).to_have_count(2)
        expect(page).to_have_url(re.compile("view=trash"))
        visitor.pictures_loaded()
        tile(page, 56).click()
        page.locator(".bar").get_by_role("button", name="Restore").click()
        expect(page.locator("button.tile")).to_have_count(1)
        expect(page.locator(".bar")).to_be_hidden()
        eventually(page, lambda: (few.data / "operations" / f"{name_of(56)}_out.jpg").exists())
        tile(page, 55).click()
        page.locator(".bar").get_by_role("button", name="Remove for good").click()
        expect(page.locator(".notice")).to_contain_text("This cannot be undone")
        page.locator(".notice").get_by_role("button", name="Remove for good").click()
        expect(page.get_by_text("The trash is empty.")).to_be_visible()
        assert not list((few.data / "trash").glob(f"{name_of(55)}*"))
        page.get_by_role("button", name="Back to the library").click()
        expect(tile(page, 56)).to_be_visible()


def test_a_run_that_another_overtook_leaves_the_grid_alive(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = visitor.page
        page.route("**/blank", lambda route: route.fulfill(content_type="text/html", body="<div id=host></div>"))
        page.goto(f"{served.address}/blank")
        handed = page.evaluate(
            """async ([script, words]) => {
              const grid = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
              const host = document.getElementById("host"), place = host.attachShadow({ mode: "open" }), handed = [];
              place.innerHTML = "<div class=root></div>";
              const data = { words, rows: [], total: { n: 0, exact: true }, tags: [], outcome: null, trash: true };
              const mount = () => grid.default({ data, parentElement: place, setTriggerValue: (_, act) => handed.push(act.id) });
              const first = mount(), second = mount();
              first();  // as Streamlit does where the second run came before the first one's script was there
              sessionStorage.setItem("opstore-acts", JSON.stringify([{ id: "kept", kind: "trash", ids: ["x"], value: null }]));
              dispatchEvent(new Event("opstore-acts"));
              host.remove();
              second();
              return [handed, JSON.parse(sessionStorage.getItem("opstore-acts")).map(act => act.id)];
            }""",
            [_JS, {"language": "en", "found": ["{count} operation", "{count} operations"], "help": []}],
        )
        assert handed == [["kept"], ["kept"]], "handed in by the grid that stands, and kept for the next one when it goes"


def test_what_others_were_made_from_is_said_before_it_goes(few: Server, windows: Windows) -> None:
    store = Store(few.data)
    store.save(name_of(70), {"operationType": "image_edit_single", "prompt": "a child", "parents": [name_of(59)]}, outputs=[PNG])
    with windows.visit(few) as visitor:
        page = library(visitor)
        expect(tile(page, 70)).to_be_visible()
        tile(page, 59).focus()
        page.keyboard.press("Delete")
        expect(page.locator(".notice")).to_contain_text("1 other operation was made from")
        page.locator(".notice").get_by_role("button", name="Keep").click()
        expect(tile(page, 59)).to_be_focused()
        page.keyboard.press("Delete")
        page.locator(".notice").get_by_role("button", name="Move to trash").click()
        expect(tile(page, 59)).to_have_count(0)
        eventually(page, lambda: not (few.data / "operations" / f"{name_of(59)}.json").exists())


# -- two people ----------------------------------------------------------------------------------------------------------


def test_two_people_see_what_the_other_does_within_seconds(few: Server, windows: Windows) -> None:
    with windows.visit(few) as one, windows.visit(few, locale="fr-FR") as other:
        here, there = library(one), library(other)
        tile(here, 59).focus()
        here.keyboard.press("5")
        here.keyboard.press("ArrowRight")
        here.keyboard.press("Delete")
        expect(tile(there, 59).locator(".rating")).to_have_text("★★★★★")
        expect(tile(there, 58)).to_have_count(0)
        tile(there, 57).focus()
        there.keyboard.press("t")
        there.keyboard.type("expo")
        there.keyboard.press("Enter")
        eventually(there, lambda: "expo" in judged(few, 57).get("tags", []))

        def is_told() -> bool:
            here.keyboard.press("t")
            present = here.locator("dialog.card .present")
            expect(present).to_be_attached()
            if "expo" in present.inner_text():
                return True
            here.keyboard.press("Escape")
            return False

        eventually(here, is_told)
        Store(few.data).save(name_of(71), {"operationType": "text_to_image", "prompt": "by a program"}, outputs=[PNG])
        for page in (here, there):
            expect(tile(page, 71)).to_be_visible()


def test_the_drawer_stores_at_once_and_overwrites_nothing_of_others(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = visitor.open(f"/library?operation={name_of(57)}")
        drawer = visitor.dialog
        drawer.get_by_test_id("stFeedback").get_by_role("radio").nth(3).click(force=True)
        eventually(page, lambda: judged(few, 57).get("rating"), 4)
        drawer.get_by_text("Favorite", exact=True).click()
        eventually(page, lambda: judged(few, 57).get("favorite"))
        box = drawer.get_by_role("combobox", name=re.compile("Tags"))
        box.fill("poster")
        expect(page.get_by_role("option", name=re.compile("poster"))).to_be_visible()
        box.press("Enter")
        eventually(page, lambda: judged(few, 57).get("tags"), ["poster"])
        box.press("Tab")  # closes the list, behind which nothing else can be reached
        note = drawer.get_by_role("textbox", name="Note")
        note.fill("for the cover")
        note.press("Control+Enter")
        eventually(page, lambda: judged(few, 57).get("note"), "for the cover")
        visitor.settle()

        note.fill("mine")  # nobody brings this box into line while somebody writes in it
        Store(few.data).rewrite(name_of(57), lambda sidecar: sidecar["annotations"].update(note="by somebody else"))
        page.evaluate(BOXES)
        note.press("Control+Enter")
        expect(drawer.get_by_role("alert")).to_contain_text("Somebody else has changed this note")
        expect(note).to_have_value("by somebody else")
        expect(note).to_be_focused()  # what is typed on is no key of ours
        assert page.evaluate("boxes") == 1, "the old text stood beside the new one"
        assert judged(few, 57) == {"tags": ["poster"], "favorite": True, "rating": 4, "note": "by somebody else"}
        note.blur()
        Store(few.data).rewrite(name_of(57), lambda sidecar: sidecar.update(prompt="written anew by somebody else"))
        expect(drawer.locator(".ops-prompt")).to_have_text("written anew by somebody else")  # nobody did anything here
