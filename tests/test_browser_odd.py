"""Every page over a folder of oddities, in both languages, in one Chromium: no page shows Streamlit's own error box.

What is odd is made in `odd_samples`, case by case, by name; without pages, the same folder is in `test_odd`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from opstore.app import App, Settings
from opstore.errors import OpstoreError
from opstore.shares.record import Scope
from opstore.storage.trash import Trash
from tests.browser import Server, Visitor, Windows
from tests.conftest import Sampled
from tests.odd_samples import lay, oddities

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

#: What Streamlit shows of an exception nobody caught, and where a component of a page has failed.
BROKEN = '[data-testid="stException"], .stException, [data-testid="stBidiComponentError"]'
PAGES = (
    *("/create", "/library", "/library?q=status:failed&order=cost", "/library?group=prompt", "/library?view=trash"),
    *("/compare", "/lineage", "/review", "/analytics", "/analytics?q=status:failed", "/storage", "/settings"),
)
BY_NAME = {oddity.name: oddity.id for oddity in oddities()}


@pytest.fixture(scope="module")
def odd(windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over all oddities, some of them in the trash."""
    served = Server(tmp_path_factory.mktemp("odd") / "data")
    lay(served.data)
    app = App(Settings(data=served.data, provider="local"))
    for oddity in oddities()[5::40]:
        with contextlib.suppress(OpstoreError):  # what cannot be read stays where it is
            Trash(app.store).put(oddity.id)
    served.start()
    yield served
    served.stop()


def whole(visitor: Visitor, address: str) -> None:
    """Open a page, down to its last chart, and see that nothing of it broke."""
    page = visitor.open(address)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    if "analytics" in address:
        expect(page.locator('[data-chart="storage"] .ops-small').first).to_contain_text("n = ")
        for chart in page.locator("[data-chart]").all():
            chart.scroll_into_view_if_needed()
            expect(chart.locator(".js-plotly-plot[aria-busy]")).to_have_count(0)
    broken = page.locator(BROKEN)
    assert broken.count() == 0, (address, broken.first.inner_text()[:800])
    text = page.locator('[data-testid="stMain"]').inner_text()
    assert not {"NaN", "nan", "NaT", "<NA>", "None", "undefined"}.intersection(text.split()), (address, text)
    assert not problems, (address, problems)


@pytest.mark.parametrize("locale", ["en-US", "fr-FR"])
def test_no_page_breaks_on_any_oddity(odd: Server, windows: Windows, sampled: Sampled, locale: str) -> None:
    ring = BY_NAME["value: parents in a ring"]
    ways = [
        *PAGES,
        f"/compare?ids={BY_NAME['media: webp in a png']},{BY_NAME['value: costs a million']}",
        f"/compare?ids={BY_NAME['old: an edit']}",
        f"/compare?ids={BY_NAME['media: cut']},{BY_NAME['media: a video in a png']}",
        f"/lineage?id={ring}",
        f"/lineage?id={BY_NAME['value: its own parent']}",
        f"/review?id={ring}",
    ]
    # Drawers of some; of the whole corpus under `make soak`.
    ways += [f"/library?operation={oddity.id}" for oddity in sampled(oddities(), 6)]
    with windows.visit(odd, locale=locale) as visitor:
        for address in ways:
            whole(visitor, address)
    assert "Traceback" not in odd.log(), odd.log()


def test_a_share_page_of_oddities_stands(odd: Server, windows: Windows, sampled: Sampled) -> None:
    app = App(Settings(data=odd.data, provider="local"))
    app.index.update()
    chosen = [oddity.id for oddity in sampled(oddities(), 40) if app.index.get(oddity.id)]
    token = app.service.shares.token(app.service.shares.create(Scope("selection", tuple(chosen))))
    page = odd.read(f"/s/{token}").decode()
    assert "<main" in page and "Traceback" not in page
    with windows.visit(odd) as visitor:
        answer = visitor.page.goto(f"{odd.address}/s/{token}")
        assert answer is not None and answer.status == 200
        expect(visitor.page.locator("main")).to_be_visible()
