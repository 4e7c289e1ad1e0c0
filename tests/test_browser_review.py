"""Voting in a real browser: by keys, blind, durable, undone; results with their intervals; from a selection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from opstore.app import App, Settings
from tests.browser import Server, Theme, Windows
from tests.browser_library import EVIL, eventually
from tests.media_samples import encoded
from tests.test_browser_looks import shoot
from tests.test_reviews import name_of

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

MODELS = ("secret/one", "secret/two", "secret/three")


@pytest.fixture(scope="module")
def served(windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with six results of two prompts by three models."""
    server = Server(tmp_path_factory.mktemp("review") / "data")
    store = App(Settings(data=server.data, provider="local")).store
    for number in range(6):
        sidecar = {"operationType": "text_to_image", "prompt": ("two boats", EVIL)[number % 2], "model": MODELS[number // 2]}
        picture = Image.new("RGB", (300, 200), (number * 40, 120, 220 - number * 30))
        store.save(name_of(number), sidecar, outputs=[encoded(picture, "PNG")])
    server.start()
    yield server
    server.stop()


def votes(server: Server) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in (server.data / "reviews").glob("*_*_*.json")]
    return [vote for record in found for vote in record["votes"]]


def test_votes_by_key_are_blind_durable_and_undone_and_the_results_say_how_sure_they_are(
    served: Server, windows: Windows
) -> None:
    with windows.visit(served) as visitor:
        page = visitor.open("/library")
        page.locator("button.tile").first.focus()
        page.keyboard.press("Control+a")
        page.get_by_role("button", name="Vote", exact=True).click()
        expect(page.get_by_text("6 chosen in the library")).to_be_visible()
        page.get_by_label("Title").fill("boats")
        page.get_by_role("button", name="Start").click()
        sides = page.locator(".sides")
        expect(sides.locator("img")).to_have_count(2)
        visitor.settle()
        for at, (key, pick) in enumerate((("1", 0), ("ArrowRight", 1), ("=", None), ("s", None)), 1):
            before = showing(page)
            assert "secret" not in page.locator("body").inner_html(), "nothing tells who made it"
            page.keyboard.press(key)
            eventually(page, lambda: len(votes(served)), at)
            cast = votes(served)[-1]
            assert [cast["left"], cast["right"]] == before
            assert cast["winner"] == (None if pick is None else before[pick]) and cast["skipped"] == (key == "s")
            eventually(page, lambda: showing(page) != before)  # noqa: B023 # called at once
        page.keyboard.press("z")
        eventually(page, lambda: len(votes(served)), 3)
        eventually(page, lambda: set(showing(page)), set(before))
        assert page.title() != "taken"
        address = page.url
        page.reload()
        expect(page.get_by_text("3 votes cast")).to_be_visible()
        page.get_by_role("radio", name="Results").click()
        expect(page.locator(".ops-standings tbody tr")).to_have_count(len(met(served)))
        expect(page.get_by_text("3 votes · 1 person")).to_be_visible()
        first = page.locator(".ops-standings tbody tr").first
        assert re.search(r"\d+\s?%\s*\d+–\d+%", first.inner_text()), first.inner_text()
        page.goto(address)
        page.get_by_label("Your name").fill("Ann")
        page.keyboard.press("Enter")
        expect(page.get_by_text("0 votes cast")).to_be_visible()


def showing(page: Page) -> list[str]:
    found = page.locator(".sides img").evaluate_all("all => all.map(item => item.src.split('/').at(-1).split('_out')[0])")
    return [str(item) for item in found]


def met(server: Server) -> set[str]:
    """Return the models that met another one in a vote that counts."""
    by_id = {name_of(number): MODELS[number // 2] for number in range(6)}
    pairs = [(by_id[vote["left"]], by_id[vote["right"]]) for vote in votes(server) if not vote["skipped"]]
    return {model for one, other in pairs if one != other for model in (one, other)}


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_screens(served: Server, windows: Windows, width: int, theme: Theme) -> None:
    reviews = App(Settings(data=served.data, provider="local")).service.reviews
    review = reviews.begin("Looks", ids=[name_of(number) for number in range(6)]).id
    with windows.visit(served, width=width, height=900 if width > 500 else 844, theme=theme, touch=width < 500) as visitor:
        page = visitor.open(f"/review?id={review}")
        expect(page.locator(".sides img")).to_have_count(2)
        shoot(visitor, f"vote-{width}-{theme}")
        cast = len(votes(served))
        page.keyboard.press("1")
        eventually(page, lambda: len(votes(served)), cast + 1)
        page.get_by_role("radio", name="Results").click()
        expect(page.locator(".ops-standings")).to_be_visible()
        shoot(visitor, f"standings-{width}-{theme}")
