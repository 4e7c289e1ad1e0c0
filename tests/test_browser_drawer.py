"""The drawer of an open operation: each key is heard once, where it is meant, and a note that is written there is never lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import WebSocket, expect

from opstore import Store
from tests.browser import Server, Windows
from tests.browser_library import current, eventually, judged, library, name_of, tile

pytest_plugins = ("tests.browser_fixtures", "tests.library_fixtures")
pytestmark = pytest.mark.long


#: Presses keys in the moment in which the drawer comes into the page.
EARLY = """keys => new MutationObserver((_, watch) => {
  const drawer = document.querySelector('[role="dialog"]');
  if (!drawer) return;
  watch.disconnect();
  const how = { bubbles: true, composed: true, cancelable: true };
  for (const key of keys) drawer.dispatchEvent(new KeyboardEvent("keydown", { ...how, key }));
}).observe(document.body, { childList: true, subtree: true })"""


#: A key of somebody whose focus is on a tile still, beneath the drawer that has just come.
BENEATH = """(tile, key) =>
  tile.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true }))"""


def test_a_key_is_heard_once_where_the_focus_is_beneath_the_drawer_still(few: Server, windows: Windows) -> None:
    """Both the drawer and the grid heard it: by turns a favorite was marked, and was none again."""
    sent: list[bytes] = []

    def hear(line: WebSocket) -> None:
        line.on("framesent", lambda told: sent.append(told if isinstance(told, bytes) else told.encode()))

    with windows.visit(few) as visitor:
        visitor.page.on("websocket", hear)
        page = library(visitor)
        was = judged(few, 41).get("favorite", False)
        tile(page, 41).click()
        expect(page.locator(f'[data-listens="{name_of(41)}"]')).to_have_count(1)
        for key in ("f", "3"):
            tile(page, 41).evaluate(BENEATH, key)
        eventually(page, lambda: judged(few, 41).get("rating"), 3)
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)
        visitor.settle()
        assert judged(few, 41).get("favorite", False) is not was
        assert [len(re.findall(rb"kind\W+(?:favorite|rate)\b", told)) for told in sent if b"kind" in told] in ([1, 1], [2])


def test_keys_pressed_once_the_drawer_is_on_the_screen_are_heard_once_each(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = library(visitor)
        for number, rating in ((44, 2), (43, 5), (44, 3)):
            was = judged(few, number).get("favorite", False)
            page.evaluate(EARLY, [str(rating), "f"])
            tile(page, number).click()
            expect(page.locator(f'[data-listens="{name_of(number)}"]')).to_have_count(1)
            expect(visitor.dialog.get_by_role("switch", name="Favorite")).to_be_checked(checked=not was)
            page.keyboard.press("Escape")
            expect(visitor.dialog).to_have_count(0)
            visitor.settle()
            found = judged(few, number)
            assert (found["rating"], found["favorite"]) == (rating, not was), number


@pytest.mark.parametrize("seen", [False, True])
def test_steps_that_are_pressed_before_the_drawer_listens_are_made_in_their_turn(
    few: Server, windows: Windows, seen: bool
) -> None:
    """Right after the click, or once the drawer is on the screen: what judges means what the steps before it have led to."""
    numbers = range(31, 36)
    with windows.visit(few) as visitor:
        page = library(visitor)
        was = {number: judged(few, number) for number in numbers}
        tile(page, 35).click()
        if seen:
            visitor.dialog.wait_for()
        for key in ("ArrowRight", "5", "ArrowRight", "f", "ArrowRight", "1", "ArrowLeft", "3"):
            page.keyboard.press(key)
        wanted = {number: was[number].get("rating") for number in numbers} | {34: 5, 32: 1, 33: 3}
        eventually(page, lambda: {number: judged(few, number).get("rating") for number in numbers}, wanted)
        favorite = not was[33].get("favorite", False)
        eventually(page, lambda: judged(few, 33).get("favorite", False), favorite)
        expect(page.locator(f'[data-listens="{name_of(33)}"]')).to_have_count(1)
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)


#: Opens an operation as a screen reader's click does, while something on the page goes on and on changing its look.
UNPOINTED = """tile => {
  document.body.dispatchEvent(new TransitionEvent("transitionrun", { propertyName: "endless", bubbles: true }));
  tile.click();
}"""


def test_the_drawer_holds_the_focus_that_its_dialog_lets_go_of(few: Server, windows: Windows) -> None:
    """Half a second after it opened, react-aria's dialog lets go of itself, and finds back once no transition is under way."""
    with windows.visit(few) as visitor:
        page = library(visitor)
        tile(page, 44).evaluate(UNPOINTED)
        page.wait_for_function("document.activeElement.role === 'dialog'")
        page.evaluate("document.activeElement.blur()")  # as that does
        page.wait_for_function("document.activeElement.role === 'dialog'")
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)


@pytest.mark.parametrize("slower", [1, 6])
def test_what_is_pressed_after_going_on_is_meant_for_the_neighbour(few: Server, windows: Windows, slower: int) -> None:
    """However many steps are on their way: each key is done once, where it was meant, in its turn."""
    with windows.visit(few) as visitor:
        page = visitor.open(f"/library?operation={name_of(43)}")
        drawer = visitor.dialog
        expect(drawer.get_by_role("button", name="Next")).to_be_enabled()  # once the index knows the neighbours
        processor = page.context.new_cdp_session(page)
        processor.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        at, before = 43, {number: judged(few, number).get("rating") for number in range(30, 44)}
        for ways, rating in ((("right",), 3), (("next",), 4), (("right", "right"), 5), (("right", "left", "next"), 2)):
            for way in ways:
                at += {"right": -1, "left": 1, "next": -1}[way]
                if way == "next":
                    drawer.get_by_role("button", name="Next").click()
                else:
                    page.keyboard.press({"right": "ArrowRight", "left": "ArrowLeft"}[way])
            page.keyboard.press(str(rating))
            before[at] = rating
            eventually(page, lambda: {number: judged(few, number).get("rating") for number in range(30, 44)}, before)
            expect(page.locator(f'[data-listens="{name_of(at)}"]')).to_have_count(1)
            visitor.settle()
        for key in ("ArrowRight", "ArrowRight", "Delete"):
            page.keyboard.press(key)
        expect(drawer).to_have_count(0)
        eventually(page, lambda: (few.data / "operations" / f"{name_of(at - 2)}.json").exists(), False)
        assert all((few.data / "operations" / f"{name_of(number)}.json").exists() for number in (at, at - 1, at - 3))
        processor.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        processor.detach()  # a window is used again, and what slows it down takes the processor from all others


def test_a_step_and_escape_close_the_drawer_and_lead_to_what_it_showed_last(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = visitor.open(f"/library?operation={name_of(29)}")
        expect(visitor.dialog.get_by_role("button", name="Next")).to_be_enabled()
        expect(tile(page, 28)).to_be_attached()  # the grid has its rows, and knows where that one stands
        for key in ("ArrowRight", "Escape"):
            page.keyboard.press(key)
        expect(visitor.dialog).to_have_count(0)
        visitor.settle()
        expect(visitor.dialog).to_have_count(0)
        eventually(page, lambda: current(page), name_of(28))


#: Write into the note and press a switch before a pause could tell the page what was written.
WRITE_AND_PRESS = """box => {
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(box, "half of mine");
  box.dispatchEvent(new InputEvent("input", { bubbles: true }));
  box.closest('[role="dialog"]').querySelector('[role="switch"]').click();
}"""


#: Nobody who writes ever rests.
RESTLESS = """(() => {
  const { setTimeout } = window;
  window.setTimeout = (act, delay, ...more) => (delay === 3500 ? 0 : setTimeout(act, delay, ...more));
})()"""


@pytest.mark.parametrize("pause", [False, True])
def test_a_note_that_is_being_written_is_not_lost_when_another_s_was_stored(few: Server, windows: Windows, pause: bool) -> None:
    number, store, lines = 51 - pause, Store(few.data), list[WebSocket]()
    with windows.visit(few, afresh=True) as visitor:
        visitor.page.on("websocket", lambda line: lines.append(line))  # what is built in cannot be marked
        visitor.page.add_init_script(RESTLESS)
        page = visitor.open(f"/library?operation={name_of(number)}")
        drawer = visitor.dialog
        note = drawer.get_by_role("textbox", name="Note")
        note.click()
        favorite = not judged(few, number).get("favorite", False)
        if pause:  # in which the page is told what was written
            with lines[-1].expect_event("framesent", lambda sent: b"half of mine" in sent):
                page.keyboard.type("half of mine")
            visitor.settle()
        store.rewrite(name_of(number), lambda sidecar: sidecar.setdefault("annotations", {}).update(note="theirs"))
        if pause:
            drawer.get_by_role("switch", name="Favorite").evaluate("box => box.click()")  # a run, and nobody left the box
            eventually(page, lambda: judged(few, number).get("favorite", False), favorite)
            visitor.settle()
            expect(note).to_have_value("half of mine")  # goes on to be written
            page.keyboard.type(", and all of it")
        else:
            note.evaluate(WRITE_AND_PRESS)
            eventually(page, lambda: judged(few, number).get("favorite", False), favorite)
        visitor.settle()
        note.blur()
        expect(drawer.get_by_role("alert")).to_contain_text("half of mine, and all of it" if pause else "half of mine")
        expect(note).to_have_value("theirs")
        assert judged(few, number)["note"] == "theirs"


def test_a_note_that_is_being_written_outlives_a_reload_at_any_key(few: Server, windows: Windows) -> None:
    with windows.visit(few, afresh=True) as visitor:
        visitor.page.add_init_script(RESTLESS)
        page = visitor.open(f"/library?operation={name_of(47)}")
        note = visitor.dialog.get_by_role("textbox", name="Note")
        note.click()
        page.keyboard.type("half of it")
        page.reload()  # at once: within the pause after which a page is told what is being written
        expect(note).to_have_value("half of it")
        visitor.settle()
        assert not judged(few, 47).get("note"), "nobody has finished it"
        note.press("End")
        page.keyboard.type(", and all of it")
        note.press("Control+Enter")
        eventually(page, lambda: judged(few, 47).get("note"), "half of it, and all of it")
        visitor.settle()
        page.reload()
        expect(note).to_have_value("half of it, and all of it")
        note.click()
        page.keyboard.press("End")
        page.keyboard.type(" once more")
        Store(few.data).rewrite(name_of(47), lambda sidecar: sidecar["annotations"].update(note="theirs"))
        page.reload()
        expect(note).to_have_value("theirs")
        expect(visitor.dialog.get_by_role("alert")).to_contain_text("half of it, and all of it once more")


def test_a_note_that_came_back_with_a_reload_is_stored_by_whoever_leaves_it(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = visitor.open(f"/library?operation={name_of(49)}")
        note = visitor.dialog.get_by_role("textbox", name="Note")
        note.click()
        page.keyboard.type("written before")
        page.reload()
        expect(note).to_have_value("written before")
        expect(note).to_be_focused()
        page.keyboard.press("Escape")
        eventually(page, lambda: judged(few, 49).get("note"), "written before")


def test_a_note_is_stored_while_its_writer_rests_and_is_written_on(few: Server, windows: Windows) -> None:
    with windows.visit(few, afresh=True) as visitor:  # not in a tab that is restless
        page = visitor.open(f"/library?operation={name_of(25)}")
        note = visitor.dialog.get_by_role("textbox", name="Note")
        note.click()
        page.keyboard.type("a hill rain")
        for _ in "rain":
            page.keyboard.press("ArrowLeft")
        eventually(page, lambda: judged(few, 25).get("note"), "a hill rain")
        visitor.settle()
        expect(note).to_be_focused()
        page.keyboard.type("in ")
        expect(note).to_have_value("a hill in rain")
        eventually(page, lambda: judged(few, 25).get("note"), "a hill in rain")
        visitor.settle()
        for _ in "in ":
            page.keyboard.press("Control+z")
        expect(note).to_have_value("a hill rain")
        eventually(page, lambda: judged(few, 25).get("note"), "a hill rain")
        visitor.settle()
        expect(visitor.dialog.get_by_role("alert").filter(has_text="Somebody else")).to_have_count(0)


def test_back_stores_the_note_that_is_being_written_in_the_drawer_that_it_closes(few: Server, windows: Windows) -> None:
    with windows.visit(few, afresh=True) as visitor:
        visitor.page.add_init_script(RESTLESS)
        page = library(visitor)
        for text in ("written before Back", "written before Back, and once more"):
            tile(page, 24).click()
            note = visitor.dialog.get_by_role("textbox", name="Note")
            note.click()
            page.keyboard.press("End")
            page.keyboard.type(text.removeprefix(note.input_value()))
            page.go_back()
            eventually(page, lambda: judged(few, 24).get("note"), text)
            visitor.settle()
            expect(visitor.dialog).to_have_count(0)
            assert "operation=" not in page.url


def test_what_is_typed_on_after_a_note_was_handed_in_is_not_lost(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = visitor.open(f"/library?operation={name_of(45)}")
        drawer = visitor.dialog
        note = drawer.get_by_role("textbox", name="Note")
        note.click()
        page.keyboard.type("mine")
        Store(few.data).rewrite(name_of(45), lambda sidecar: sidecar.setdefault("annotations", {}).update(note="theirs"))
        note.press("Control+Enter")
        page.keyboard.type(" and more of mine", delay=15)

        def in_sight() -> str:
            told: list[str] = re.findall("“(.*?)”", " ".join(drawer.get_by_role("alert").all_text_contents())) or [""]
            return max(told, key=len).removeprefix("mine") + note.input_value().removeprefix("theirs")

        eventually(page, in_sight, " and more of mine")
        assert judged(few, 45)["note"] == "theirs"


def test_the_keys_of_the_grid_work_in_the_drawer(few: Server, windows: Windows) -> None:
    with windows.visit(few) as visitor:
        page = library(visitor)
        drawer = page.get_by_role("dialog")
        tile(page, 57).click()
        expect(page.locator(f'[data-listens="{name_of(57)}"]')).to_have_count(1)
        was = judged(few, 57).get("favorite", False)
        page.keyboard.press("4")
        eventually(page, lambda: judged(few, 57).get("rating"), 4)
        page.keyboard.press("f")
        eventually(page, lambda: judged(few, 57).get("favorite"), not was)
        expect(drawer.get_by_role("switch", name="Favorite")).to_be_checked(checked=not was)
        page.keyboard.press("t")  # leads to the tags, where keys write
        page.keyboard.type("dusk 5")
        page.keyboard.press("Enter")
        eventually(page, lambda: judged(few, 57).get("tags"), ["dusk 5"])
        assert judged(few, 57)["rating"] == 4
        page.keyboard.press("Tab")  # closes the list, behind which nothing else can be reached
        note = drawer.get_by_role("textbox", name="Note")
        note.fill("half written")
        note.press("Escape")  # leaves the box, and not the drawer with what was written
        eventually(page, lambda: judged(few, 57).get("note"), "half written")
        expect(drawer).to_be_visible()
        page.keyboard.press("ArrowRight")
        expect(page.locator(f'[data-listens="{name_of(56)}"]')).to_have_count(1)
        page.keyboard.press("Delete")
        expect(drawer).to_have_count(0)
        eventually(page, lambda: (few.data / "operations" / f"{name_of(56)}.json").exists(), False)
        expect(tile(page, 56)).to_have_count(0)
        expect(tile(page, 57)).to_be_visible()
