"""Ctrl+Enter comes to one request, also before the button of a new page has arrived, and never under a dialog."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import Server, Visitor, Windows
from tests.browser_library import eventually

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long


def held(page: Page) -> Callable[[], None]:
    """Hold back the code of buttons, as a slow line does; return what lets it go."""
    waiting: list[Route] = []
    page.route("**/static/js/Button.*.js", lambda route: waiting.append(route))

    def let_go() -> None:
        eventually(page, lambda: bool(waiting))
        while waiting:
            waiting.pop().continue_()
        page.unroute("**/static/js/Button.*.js")

    return let_go


def written_early(visitor: Visitor, prompt: str) -> Callable[[], None]:
    """Write a wish into a page whose button is still to come; return what lets it come."""
    let_go = held(visitor.page)
    visitor.page.goto(visitor.address)
    visitor.prompt.focus()
    visitor.page.keyboard.type(prompt)
    return let_go


def test_a_wish_that_is_sent_before_the_button_has_arrived_is_made_once(own_server: Server, windows: Windows) -> None:
    with windows.visit(own_server) as visitor:
        page = visitor.page
        let_go = written_early(visitor, "a quiet lake before the button")
        for _ in range(2):  # as whoever sees nothing happen does
            page.keyboard.press("Control+Enter")
        expect(visitor.generate).to_have_count(0)
        let_go()
        own_server.stored("a quiet lake before the button")
        visitor.settle()
        page.wait_for_timeout(500)
    assert not own_server.jobs() and len(own_server.operations()) == 1


def test_what_was_sent_and_then_written_on_is_left_to_the_next_press(own_server: Server, windows: Windows) -> None:
    with windows.visit(own_server) as visitor:
        page = visitor.page
        let_go = written_early(visitor, "a quiet lake")
        page.keyboard.press("Control+Enter")
        page.keyboard.type(" in autumn")
        let_go()
        expect(visitor.generate).to_be_visible()
        visitor.settle()
        page.keyboard.press("Control+Enter")
        own_server.stored("a quiet lake in autumn")
    assert not own_server.jobs() and len(own_server.operations()) == 1


def test_the_key_sends_nothing_from_under_a_dialog(own_server: Server, windows: Windows) -> None:
    with windows.visit(own_server) as visitor:
        page = visitor.open()
        visitor.prompt.fill("sent by nobody")
        page.get_by_role("button", name="From the library").click()
        expect(visitor.dialog).to_be_visible()
        visitor.settle()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(500)
        page.keyboard.press("Escape")
        expect(visitor.dialog).to_have_count(0)
        visitor.settle()
        assert not own_server.jobs() and not own_server.operations()
        visitor.prompt.press("Control+Enter")
        own_server.stored("sent by nobody")
    assert len(own_server.operations()) == 1


def test_the_key_sends_from_within_a_part_of_the_form_that_has_opened(own_server: Server, windows: Windows) -> None:
    with windows.visit(own_server) as visitor:
        page = visitor.open()
        visitor.prompt.fill("sent beside a sweep")
        page.get_by_role("button", name="Sweep").click()
        expect(page.get_by_test_id("stPopoverBody")).to_be_visible()
        visitor.settle()
        page.keyboard.press("Control+Enter")
        own_server.stored("sent beside a sweep")
