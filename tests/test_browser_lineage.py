"""The Family page in a real browser: the graph by mouse and keys, an orphan, and a branch run again to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from opstore.app import App, Settings
from tests.browser import Server, Theme, Windows
from tests.browser_library import EVIL, current, eventually
from tests.test_browser_looks import shoot
from tests.test_lineage import keep, name_of, picture

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

Photo = Callable[..., bytes]
GONE = "20250101000000_deadbeef"
ROOT, OTHER, BOTH, LAST = (name_of(number) for number in (1, 2, 3, 4))


@pytest.fixture(scope="module")
def served(windows: Windows, photo: Photo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a family of four and a lost parent."""
    server = Server(tmp_path_factory.mktemp("family") / "data")
    app = App(Settings(data=server.data, provider="local"))
    keep(app, 1, [8], 10, parents=[GONE], prompt="warmer")
    keep(app, 2, [], 20, prompt=EVIL)
    keep(app, 3, [10, 20], 30, parents=[OTHER], prompt="blend the two")
    keep(app, 4, [30], 40, prompt="black and white")
    server.start()
    yield server
    server.stop()


def test_the_family_is_a_graph_that_keys_walk_through(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = visitor.open(f"/library?operation={BOTH}")
        visitor.dialog.get_by_role("button", name="Family").click()
        expect(page).to_have_url(re.compile(f"lineage\\?id={BOTH}"))
        members = page.locator(".graph .member")
        expect(members).to_have_count(5)
        expect(page.locator(f'.member[data-id="{GONE}"]')).to_be_disabled()
        expect(page.get_by_text("4 operations · 1 no longer there")).to_be_visible()
        expect(page.locator(".graph path")).to_have_count(4)
        expect(page.locator(".graph path.content")).to_have_count(2)  # bytes told what nobody declared
        boxes: dict[str, Any] = {
            name: page.locator(f'.member[data-id="{name}"]').bounding_box() or {} for name in (GONE, ROOT, OTHER, BOTH, LAST)
        }
        assert boxes[GONE]["x"] < boxes[ROOT]["x"] < boxes[BOTH]["x"] < boxes[LAST]["x"]
        page.locator(f'.member[data-id="{BOTH}"]').focus()
        for key, there in (("ArrowRight", LAST), ("ArrowLeft", BOTH), ("ArrowLeft", None)):
            page.keyboard.press(key)
            assert current(page) == (there or current(page))
        assert current(page) in (ROOT, OTHER)
        page.locator(f'.member[data-id="{LAST}"]').focus()
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"id={LAST}"))
        expect(page.locator(f'.member[data-id="{LAST}"]')).to_have_attribute("aria-current", "true")
        assert page.title() != "taken"


def test_a_branch_is_run_again_on_another_image(served: Server, windows: Windows) -> None:
    with windows.visit(served) as visitor:
        page = visitor.open(f"/lineage?id={LAST}")
        page.get_by_text("Run again on another image").click()
        visitor.upload(("other.png", picture(3)), mime="image/png", shown=False)
        page.get_by_test_id("stExpanderDetails").get_by_role("button", name="Run again").click()
        eventually(page, lambda: not list((served.data / "branches").glob("*.json")) and len(served.operations()) == 7)
        made = served.operations()[:3][::-1]
        assert [item["retryOf"] for item in made] == [ROOT, BOTH, LAST]
        assert (served.data / "operations" / made[0]["inputFiles"][0]).read_bytes() == picture(3)
        assert made[1]["parents"] == [made[0]["operationId"]] and made[2]["parents"] == [made[1]["operationId"]]


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_screens(served: Server, windows: Windows, width: int, theme: Theme) -> None:
    with windows.visit(served, width=width, height=900 if width > 500 else 844, theme=theme, touch=width < 500) as visitor:
        page = visitor.open(f"/lineage?id={BOTH}")

        expect(page.locator(".graph .member").first).to_be_visible()
        shoot(visitor, f"family-{width}-{theme}")
