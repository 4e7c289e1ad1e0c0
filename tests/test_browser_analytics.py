"""The Analytics page in a real browser: what is drawn is what the JSON says, a bar leads to its operations, and it follows."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from opstore.store import Store
from tests.browser import Server, Theme, Visitor, Windows
from tests.browser_library import EVIL
from tests.frame_samples import ids, usual
from tests.index_samples import plant

pytest_plugins = ("tests.browser_fixtures",)

VALUES = """key => {
  const plot = document.querySelector(`.st-key-chart-${key} .js-plotly-plot`);
  if (!plot || !plot._fullData) return null;
  const row = value => value && typeof value === 'object' ? Array.from(value) : value;
  const plain = values => values && Array.from(values, row);
  return plot._fullData.map(one => ({name: one.name, x: plain(one.x), y: plain(one.y), z: plain(one.z)}));
}"""


@pytest.fixture(scope="module")
def measured(windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over 120 operations, hostile prompts among them."""
    served = Server(tmp_path_factory.mktemp("analytics") / "data")
    chance = random.Random(3)
    store = Store(served.data)
    for number, operation_id in enumerate(ids(chance, 120)):
        sidecar = usual(chance, operation_id)
        if number % 9 == 0:
            sidecar |= {"prompt": EVIL, "model": "<b>bold</b> ![x](http://evil.invalid/m.png)"}
        plant(store, sidecar)
    served.start()
    yield served
    served.stop()


def sidecars(server: Server) -> list[dict[str, Any]]:
    """What the folder holds."""
    return [json.loads(path.read_bytes()) for path in (server.data / "operations").glob("*.json")]


def analytics(visitor: Visitor, query: str = "") -> Page:
    """Open the page and wait for its last chart."""
    page = visitor.open(f"/analytics{query}")
    expect(page.locator(".st-key-chart-storage .js-plotly-plot .point").first).to_be_attached()
    return page


def drawn(page: Page, key: str) -> list[dict[str, Any]]:
    """Return the traces that a chart draws."""
    page.locator(f".st-key-chart-{key} .js-plotly-plot .plot-container").first.wait_for()
    found: list[dict[str, Any]] = page.evaluate(VALUES, key)
    return found


def test_what_is_drawn_is_what_the_files_say_and_each_mark_leads_to_its_operations(measured: Server, windows: Windows) -> None:
    with windows.visit(measured) as visitor:
        page = analytics(visitor)
        raw = sidecars(measured)
        as_the_files_say(page, raw)
        # What failed is shown in full.
        said = Counter(one["error"] for one in raw if one.get("error") and one["status"] == "failed")
        expect(page.locator(".ops-examples")).to_contain_text(said.most_common(1)[0][0])
        bar = page.locator(".st-key-chart-by-type .barlayer .point").first
        click(page, bar)
        page.wait_for_url(re.compile("/library"))
        query = parse_qs(urlsplit(page.url).query)["q"][0]
        kind = query.removeprefix("type:")
        count = sum(one["operationType"] == kind for one in raw)
        assert count
        expect(page.get_by_text(re.compile(rf"^{count} operations")).first).to_be_visible()


def test_a_mark_without_a_search_leads_to_its_operations_all_of_them_and_is_taken_away_like_a_word(
    measured: Server, windows: Windows
) -> None:
    with windows.visit(measured) as visitor:
        page = analytics(visitor, "?q=-type:text_to_video")
        raw = [one for one in sidecars(measured) if one["operationType"] != "text_to_video"]
        hours = drawn(page, "rhythm")
        most = max(n for line in hours[0]["z"] for n in line)
        at = [n for line in hours[0]["z"] for n in line if n].index(most)
        click(page, page.locator(".st-key-chart-rhythm .scatterlayer .point").nth(at))
        page.wait_for_url(re.compile(r"/library\?.*mark=hour"))
        tiles = page.get_by_role("listbox", name="Operations").get_by_role("option")
        expect(tiles).to_have_count(most)
        page.get_by_role("button", name=re.compile("Take away .*:00")).click()
        expect(page.get_by_text(re.compile(rf"^{len(raw)} operations")).first).to_be_visible()
        page.wait_for_url(lambda url: "mark=" not in url)


def click(page: Page, mark: Locator) -> None:
    """Click into a mark, as a person does: it lies in a drawing, where no element takes the click itself."""
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2 - 2, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def as_the_files_say(page: Page, raw: list[dict[str, Any]]) -> None:
    """Compare what is drawn with what the files say."""
    expect(page.get_by_test_id("stMetricValue").first).to_have_text(str(len(raw)))
    types = drawn(page, "by-type")[0]
    assert sorted(types["x"], reverse=True) == sorted(Counter(one["operationType"] for one in raw).values(), reverse=True)
    ends = {trace["name"]: sum(trace["y"]) for trace in drawn(page, "over-time")}
    good = sum(one["success"] for one in raw)
    stopped = sum(one["status"] == "canceled" for one in raw)
    assert ends == {"with a result": good, "failed": len(raw) - good - stopped, "stopped": stopped}
    spent = sum(sum(trace["y"]) for trace in drawn(page, "cost-over-time"))
    assert spent == pytest.approx(sum(one["cost"]["amount"] for one in raw if one.get("cost")))
    stored = sum(sum(trace["y"]) for trace in drawn(page, "storage"))
    assert stored == sum(item["bytes"] for one in raw for item in one.get("files", ()))
    assert sum(sum(line) for line in drawn(page, "rhythm")[0]["z"]) == len(raw)
    expect(page.locator(".st-key-chart-by-type .ops-small")).to_contain_text(f"n = {len(raw)}.")
    # Prompts and models that mean harm are words: the window's guard would have seen any request elsewhere.
    expect(page).not_to_have_title("taken")
    assert page.locator(".st-key-chart-cost-by-model b").count() == 0


def test_a_period_narrows_all_charts_and_they_follow_what_others_write(measured: Server, windows: Windows) -> None:
    with windows.visit(measured) as visitor:
        page = analytics(visitor, "?q=date:2025-09")
        some = [one for one in sidecars(measured) if one["operationId"].startswith("202509")]
        expect(page.get_by_test_id("stMetricValue").first).to_have_text(str(len(some)))
        assert sum(drawn(page, "by-type")[0]["x"]) == len(some)
        expect(page.get_by_test_id("stMetricDelta").first).to_be_visible()
        page.get_by_role("radio", name="All").or_(page.get_by_role("button", name="All", exact=True)).first.click()
        count = len(sidecars(measured))
        expect(page.get_by_test_id("stMetricValue").first).to_have_text(str(count))
        page.wait_for_url(re.compile("/analytics$"))
        plant(Store(measured.data), usual(random.Random(77), "20251130120000_0123abcd"))
        expect(page.get_by_test_id("stMetricValue").first).to_have_text(str(count + 1))
        assert sum(drawn(page, "by-type")[0]["x"]) == count + 1


@pytest.mark.parametrize(("width", "theme", "locale"), [(390, "light", "en-US"), (1440, "dark", "fr-FR")])
def test_on_a_phone_and_in_the_dark(measured: Server, windows: Windows, width: int, theme: Theme, locale: str) -> None:
    with windows.visit(measured, width=width, theme=theme, locale=locale, touch=width < 500) as visitor:
        page = analytics(visitor)
        assert visitor.overflow() <= 0
        title = "Operations by type" if locale == "en-US" else "Opérations par type"
        expect(page.locator(".st-key-chart-by-type .ops-heading")).to_have_text(title)
        assert sum(drawn(page, "by-type")[0]["x"]) == len(sidecars(measured))
