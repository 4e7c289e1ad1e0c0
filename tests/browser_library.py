"""A library of a thousand operations for the tests in a browser, and how they look at its grid."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Locator, Page, expect

from opstore import Store
from opstore.app import App, Settings
from tests.browser import PATIENCE, Server, Visitor
from tests.samples import MP4

COUNT, PICTURES = 1_200, 240
#: Tiles of the sections within a screen of the window; without bounds there would be as many as were scrolled past.
MOST_TILES = 500
EVIL = "![](http://evil.invalid/x.png) <script>document.title='taken'</script> :red[x] **b**"
Photo = Callable[..., bytes]


# -- a library -----------------------------------------------------------------------------------------------------------


def name_of(number: int) -> str:
    """Return the id of operation `number`; higher ones are newer."""
    moment = datetime(2025, 9, 1, tzinfo=UTC) + timedelta(minutes=37 * number)
    return f"{moment:%Y%m%d%H%M%S}_{number:08x}"


def small(photo: Photo) -> list[bytes]:
    """Return some small real photographs."""
    from PIL import Image

    found = []
    for name in ("astronaut", "chelsea", "coffee", "rocket", "china", "flower"):
        with Image.open(io.BytesIO(photo(name))) as picture:
            for width in (240, 320):
                side = min(picture.size)
                buffer = io.BytesIO()
                picture.crop((0, 0, side, side * 2 // 3 if width == 320 else side)).resize((width, 240)).save(buffer, "JPEG")
                found.append(buffer.getvalue())
    return found


def fill(server: Server, pictures: list[bytes], count: int = COUNT, real: int = PICTURES) -> Store:
    """Write `count` operations, the newest `real` with pictures, into the server's folder."""
    store = App(Settings(data=server.data, provider="local")).store
    for number in range(count):
        sidecar: dict[str, Any] = {
            "operationType": ("text_to_image", "image_edit_single", "text_to_image", "text_to_video")[number % 4],
            "prompt": f"number {number} " + ("castle at dusk", "a cat in fog", "harbour, snow", "old bridge")[number % 4],
            "model": ("local/painter", "example/brush")[number % 2],
            "provider": "local",
        }
        if number < count - real:
            sidecar |= {"operationId": name_of(number), "success": False, "error": "no", "timestamp": "2025-09-01T00:00:00Z"}
            (store.operations.path / f"{name_of(number)}.json").write_text(json.dumps(sidecar))
            continue
        outputs = [] if number % 13 == 0 else [MP4 if number % 4 == 3 else pictures[number % len(pictures)]]
        inputs = [pictures[(number + 1) % len(pictures)]] if number % 4 == 1 else []
        wrong = {} if outputs else {"error": "The provider refused: no reason given", "success": False}
        marks = {"annotations": {"tags": ["zine"], "favorite": number % 10 == 0, "rating": number // 5 % 5 + 1, "note": ""}}
        store.save(name_of(number), sidecar | wrong | (marks if number % 5 == 0 else {}), inputs=inputs, outputs=outputs)
    return store


def library(visitor: Visitor, query: str = "") -> Page:
    """Open the library and wait for its first tile."""
    page = visitor.open(f"/library{query}")
    expect(page.locator("button.tile").first).to_be_visible()
    return page


def tile(page: Page, number: int) -> Locator:
    """Return the tile of operation `number`."""
    return page.locator(f'button.tile[data-id="{name_of(number)}"]')


def current(page: Page) -> str:
    """Return the id of the tile that has the focus, of the tile that is current without it, or nothing."""
    return str(page.evaluate(_CURRENT))


_CURRENT = """() => {
  let item = document.activeElement;
  while (item?.shadowRoot?.activeElement) item = item.shadowRoot.activeElement;
  return item?.dataset?.id ?? "";
}"""


def judged(server: Server, number: int) -> dict[str, Any]:
    """Return what the sidecar says of a tile."""
    sidecar = json.loads((server.data / "operations" / f"{name_of(number)}.json").read_text())
    return dict(sidecar.get("annotations", {}))


def eventually(page: Page, seen: Callable[[], Any], wanted: Any = True) -> None:
    """Wait until what is on disk is as wanted."""
    for _ in range(PATIENCE // 50):
        if seen() == wanted:
            return
        page.wait_for_timeout(50)
    assert (last := seen()) == wanted, f"it is {last}, and not {wanted}"


def chosen(page: Page) -> set[str]:
    """Return the ids of the tiles that are shown as chosen."""
    return set(page.locator("button.tile[aria-selected=true]").evaluate_all("tiles => tiles.map(tile => tile.dataset.id)"))


def width(item: Locator) -> float:
    """Return how wide something is."""
    found = item.bounding_box()
    assert found
    return float(found["width"])


def scroll(page: Page) -> int:
    """Return how far the page is scrolled."""
    return int(page.get_by_test_id("stMain").evaluate("main => main.scrollTop"))


def drawn(page: Page) -> None:
    """Wait until the page has been drawn as it is now."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def apart(first: bytes, second: bytes) -> float:
    """Return by how much the pictures of two screens differ, of 255, on average."""
    from PIL import Image, ImageChops, ImageStat

    one, other = (Image.open(io.BytesIO(data)).convert("L") for data in (first, second))
    return float(ImageStat.Stat(ImageChops.difference(one, other)).mean[0])
