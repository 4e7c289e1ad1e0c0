"""The Analytics page in a real browser: what is drawn is what the JSON says, a bar leads to its operations, and it follows."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, expect

from opstore.storage.store import Store
from tests.browser import Server, Theme, Visitor, Windows
from tests.browser_library import EVIL
from tests.frame_samples import ids, usual
from tests.index_samples import plant

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

VALUES = """key => {
  const plot = document.querySelector(`[data-chart="${key}"] .js-plotly-plot:not([aria-busy])`);
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
    """Open the page and wait for its last chart, or the words in its place."""
    page = visitor.open(f"/analytics{query}")
    expect(chart(page, "storage").locator(".ops-small").first).to_contain_text("n = ")
    return page


def chart(page: Page, key: str) -> Locator:
    """Return a chart with all that belongs to it."""
    return page.locator(f'[data-chart="{key}"]')


def near(page: Page, key: str) -> Locator:
    """Scroll to a chart, and return it drawn."""
    found = chart(page, key)
    found.scroll_into_view_if_needed()
    found.locator(".js-plotly-plot:not([aria-busy]) .plot-container").first.wait_for()
    return found


def drawn(page: Page, key: str) -> list[dict[str, Any]]:
    """Return the traces that a chart draws."""
    near(page, key)
    found: list[dict[str, Any]] = page.evaluate(VALUES, key)
    return found


def test_what_is_drawn_is_what_the_files_say_and_each_mark_leads_to_its_operations(measured: Server, windows: Windows) -> None:
    with windows.visit(measured) as visitor:
        page = analytics(visitor)
        raw = sidecars(measured)
        as_the_files_say(page, raw)
        # What failed is shown in full.
        said = Counter(one["error"] for one in raw if one.get("error") and one["status"] == "failed")
        expect(chart(page, "errors").locator(".ops-examples")).to_contain_text(said.most_common(1)[0][0])
        bar = near(page, "by-type").locator(".barlayer .point").first
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
        click(page, near(page, "rhythm").locator(".scatterlayer .point").nth(at))
        page.wait_for_url(re.compile(r"/library\?.*mark=hour"))
        tiles = page.get_by_role("listbox", name="Operations").get_by_role("option")
        expect(tiles).to_have_count(most)
        page.get_by_role("button", name=re.compile("Remove .*:00")).click()
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
    expect(chart(page, "by-type").locator(".ops-small")).to_contain_text(f"n = {len(raw)}.")
    # Prompts and models that mean harm are words: the window's guard would have seen any request elsewhere.
    expect(page).not_to_have_title("taken")
    assert chart(page, "cost-by-model").locator("b").count() == 0


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
        expect(chart(page, "by-type").locator(".ops-small")).to_contain_text(f"n = {count + 1}.")
        assert sum(drawn(page, "by-type")[0]["x"]) == count + 1


def test_two_windows_both_follow_what_others_write(measured: Server, windows: Windows) -> None:
    with windows.visit(measured) as first, windows.visit(measured) as second:
        pages = [analytics(visitor) for visitor in (first, second)]
        count = len(sidecars(measured))
        plant(Store(measured.data), usual(random.Random(79), "20251130120002_0123abcf"))
        for page in pages:
            expect(page.get_by_test_id("stMetricValue").first).to_have_text(str(count + 1))


def test_charts_are_drawn_when_they_come_near_and_nothing_moves(measured: Server, windows: Windows) -> None:
    with windows.visit(measured, height=700) as visitor:
        page = analytics(visitor)
        first, last = near(page, "over-time"), chart(page, "storage")
        expect(last.locator(".ops-plot")).to_have_attribute("aria-busy", "true")
        place = page.evaluate(PLACES)
        drawn(page, "storage")
        assert page.evaluate(PLACES) == place, "what is drawn takes the place that was kept for it"
        # What others write changes the figures in their places: the same element, no empty moment.
        near(page, "over-time")
        page.evaluate("document.querySelector('[data-chart=over-time] .main-svg').dataset.kept = 'yes'")
        count = len(sidecars(measured))
        plant(Store(measured.data), usual(random.Random(78), "20251130120001_0123abce"))
        expect(first.locator(".ops-small").first).to_contain_text(f"n = {count + 1}.")
        assert sum(sum(trace["y"]) for trace in drawn(page, "over-time")) == count + 1
        expect(first.locator(".main-svg[data-kept]")).to_be_attached()
        # Paper has them all.
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        expect(page.locator(".ops-plot[aria-busy]")).to_have_count(0)


PLACES = """() => [...document.querySelectorAll("[data-chart]")].map(item => {
  const { left, width, height } = item.getBoundingClientRect();
  return [item.dataset.chart, left, item.offsetTop, width, height].join();
})"""


@pytest.mark.parametrize(("locale", "result"), [("en-US", "with a result"), ("fr-FR", "avec résultat")])
def test_keys_reach_every_chart_its_marks_and_its_data(measured: Server, windows: Windows, locale: str, result: str) -> None:
    with windows.visit(measured, locale=locale) as visitor:
        page = analytics(visitor)
        # Every stop of the Tab key has a name, and is seen; each chart is one, and its data another.
        stops = list(walked(page))
        assert [stop for stop in stops if not stop["name"]] == []
        shown = page.locator("[data-chart] .ops-drawing:visible").count()
        assert [sum(stop["role"] == role for stop in stops) for role in ("listbox", "table")] == [shown, shown]
        assert shown > 12
        # The marks of one, by arrows; Escape lets go, Enter follows.
        near(page, "over-time")
        marks = chart(page, "over-time").get_by_role("listbox")
        marks.focus()
        page.keyboard.press("End")
        last = marks.get_by_role("option").inner_text()
        page.keyboard.press("Home")
        first = marks.get_by_role("option")
        assert first.inner_text() != last and result in first.inner_text()
        assert marks.get_attribute("aria-activedescendant") == first.get_attribute("id")
        expect(chart(page, "over-time").locator(".hoverlayer .hovertext")).to_be_visible()
        page.keyboard.press("Escape")
        expect(first).to_have_count(0)
        expect(chart(page, "over-time").locator(".hoverlayer .hovertext")).to_have_count(0)
        # Its data, opened and closed.
        chart(page, "by-type").get_by_role("button").press("Enter")
        rows = chart(page, "by-type").get_by_role("row")
        expect(rows).to_have_count(1 + len({one["operationType"] for one in sidecars(measured)}))
        with page.expect_download() as download:
            chart(page, "by-type").locator(".ops-csv").press("Enter")
        assert pd.read_csv(download.value.path())["n"].sum() == len(sidecars(measured))
        page.keyboard.press("Escape")
        expect(chart(page, "by-type").get_by_role("button")).to_be_focused()
        marks.focus()
        for key in ("Home", "ArrowRight", "ArrowLeft", "Enter"):
            page.keyboard.press(key)
        page.wait_for_url(re.compile(r"/library\?.*date"))
        page.go_back()
        expect(page).to_have_url(re.compile(r"/analytics$"))
        expect(page.get_by_test_id("stMetricValue").first).to_have_text(str(len(sidecars(measured))))
        expect(page).to_have_url(re.compile(r"/analytics$"))


STOP = """() => {
  let at = document.activeElement;
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  if (at === document.body) return null;
  const hex = getComputedStyle(document.querySelector(".ops-charts")).getPropertyValue("--st-primary-color");
  const accent = `rgb(${[1, 3, 5].map(from => parseInt(hex.slice(from, from + 2), 16)).join(", ")})`;
  const ring = (item, depth) => {
    const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(item);
    if (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) return true;
    if (boxShadow !== "none" || borderColor === accent) return true;
    return depth > 0 && item.parentElement ? ring(item.parentElement, depth - 1) : false;
  };
  const by = (at.getAttribute("aria-labelledby") ?? "").split(" ").map(id => document.getElementById(id)?.textContent ?? "");
  const name = at.getAttribute("aria-label") || by.join(" ").trim() || at.labels?.[0]?.textContent || at.textContent.trim();
  const role = at.classList.contains("ops-table-button") ? "table" : at.getAttribute("role") ?? at.localName;
  return { name: name.slice(0, 60), role, seen: at.localName === "main" || ring(at, 4) };
}"""


def walked(page: Page) -> Iterator[dict[str, Any]]:
    """Yield where the Tab key stops, from the search box to the end of the page."""
    page.get_by_test_id("stMetricValue").first.wait_for()
    page.locator('.st-key-search-row [data-testid="stTextInput"] input').focus()
    while stop := page.evaluate(STOP):
        if not stop["seen"]:  # a ring may still be fading in
            page.wait_for_function(f"() => ({STOP})()?.seen")
        yield stop
        page.keyboard.press("Tab")


@pytest.mark.parametrize(("width", "theme", "locale"), [(390, "light", "en-US"), (1440, "dark", "fr-FR")])
def test_on_a_phone_and_in_the_dark(measured: Server, windows: Windows, width: int, theme: Theme, locale: str) -> None:
    with windows.visit(measured, width=width, theme=theme, locale=locale, touch=width < 500) as visitor:
        page = analytics(visitor)
        assert visitor.overflow() <= 0
        title = "Operations by type" if locale == "en-US" else "Opérations par type"
        expect(chart(page, "by-type").locator(".ops-heading")).to_have_text(title)
        assert sum(drawn(page, "by-type")[0]["x"]) == len(sidecars(measured))
