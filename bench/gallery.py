"""The library in Chromium at 100,000 operations (OPSTORE_BENCH_N=1000000 for a million): from the act to the pictures on screen.

The real server runs on a corpus whose newest operations have pictures of 1024 x 1024, with its index made and no thumbnail;
Chromium runs beside it on the same cores. A time ends when all tiles in the window have painted their pictures (or their words,
where an operation has none): first those of the first screen, which comes with the page's answer, then those of the grid, which
answers keys and clicks. OPSTORE_BENCH_DIR keeps the corpus between two runs.
"""

from __future__ import annotations

import io
import random
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page

from bench import Table, count_wanted, file_system, milliseconds, percentile, timed
from bench.index import corpus
from opstore import Store
from opstore.index import Index
from tests.browser import Server, Windows, chromium

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-headless-shell") or "chromium"
#: Operations with real pictures, and times that each act is done.
PICTURES, ROUNDS = 3_000, 8
FILTERS = ("type:text_to_image", "status:failed", "rating:>=4", "model:qwen-image", "favorite:yes", "inputs:2")
WORDS = ("chat", "plage", "lumière", "fla*", "montagne", "photo de nuit")
#: Which tiles are in the window, once all of them have their picture, or their words, and they are not those of before.
PAINTED = """before => {
  const root = [...document.querySelectorAll("*")].map(item => item.shadowRoot).find(root => root?.querySelector(".grid"));
  const tiles = [...(root?.querySelectorAll(".tile") ?? [])].filter(tile => tile.getBoundingClientRect().top < innerHeight);
  const done = tile => tile.querySelector(".frame.here, .frame .word");
  const ready = tiles.length > 0 && tiles.every(done) && tiles.map(tile => tile.dataset.id).join() !== before;
  return ready && tiles.map(tile => tile.dataset.id).join();
}"""

#: Whether the first screen has all its pictures; the grid may have taken its place already.
SHOWN = "() => Boolean(document.querySelector('#opstore-first[data-shown]')) || (PAINTED)('')".replace("PAINTED", PAINTED)


def run() -> Iterable[Table]:
    """Start the server on the corpus, and do in Chromium what a person does."""
    count = count_wanted()
    with corpus(count) as folder:
        store = Store(folder)
        index = Index(store)
        index.update()
        give_pictures(store, index)
        index.stop()
        shutil.rmtree(store.cache / "thumbnails", ignore_errors=True)
        server = Server(folder, forked=False)
        server.start()
        try:
            with chromium(CHROMIUM) as windows:
                yield measured(server, windows, f"{count:,} operations, {file_system(folder)}")
        finally:
            server.stop()


def give_pictures(store: Store, index: Index) -> None:
    """Put real pictures in the place of the newest empty ones, each of a content of its own, as results are."""
    contents = pictures(store.root)
    after, number = None, 0
    while number < PICTURES:
        page = index.search("status:stored", size=1_000, after=after)
        for row in page.rows:
            number += 1
            path = store.operations.path / str(row.output)
            data = contents[number % len(contents)] + number.to_bytes(8, "little")  # decoders stop where the picture ends
            if not path.exists() or path.stat().st_size != len(data):
                path.unlink(missing_ok=True)  # a link into another corpus, perhaps
                path.write_bytes(data)
        after = page.next
        if after is None:
            return


def pictures(folder: Path) -> list[bytes]:
    """Return some pictures of 1024 x 1024: soft shapes under noise, which decode no quicker than photographs."""
    from PIL import Image

    contents = []
    for number in range(12):
        path = folder / f"picture-{number}.webp"
        if not path.exists():
            rough = Image.frombytes("RGB", (16, 16), random.Random(number).randbytes(768)).resize(
                (1024, 1024), Image.Resampling.BICUBIC
            )
            noise = Image.frombytes("RGB", (512, 512), random.Random(number + 99).randbytes(786_432)).resize((1024, 1024))
            buffer = io.BytesIO()
            Image.blend(rough, noise, 0.12).save(buffer, "WEBP", quality=85)
            path.write_bytes(buffer.getvalue())
        contents.append(path.read_bytes())
    return contents


def measured(server: Server, windows: Windows, where: str) -> Table:
    """Do each act several times."""
    times: dict[str, list[float]] = {}
    for visit in range(1 + ROUNDS):
        who = "another visitor" if visit else "fresh server, no thumbnails, a browser that was never here"
        with windows.visit(server, afresh=True) as visitor:
            start = time.perf_counter()
            visitor.page.goto(f"{server.address}/library", wait_until="commit")
            visitor.page.wait_for_function(SHOWN, polling="raf")
            framed(visitor.page)
            times.setdefault(f"first pictures, {who}", []).append(time.perf_counter() - start)
            painted(visitor.page)
            times.setdefault(f"the grid, {who}", []).append(time.perf_counter() - start)
    with windows.visit(server) as visitor:
        page = visitor.page
        opened(page, server)
        times["a screen further (Page Down)"] = list(turned(page))
        times["a chip taken away, or a filter of the sidebar chosen"] = list(filtered(page, server))
        times["a search typed, from its last key"] = list(typed(page, server))
    aims = {"first": 1.5, "the": 1.5}
    rows = [
        (name, milliseconds(percentile(found, 0.5)), milliseconds(max(found)), f"{aims.get(name.split()[0], 0.3):.1f} s")
        for name, found in times.items()
    ]
    note = f"memory of the server after it: {memory(server):.0f} MB (aim: 400)"
    return Table(f"the library in Chromium, {where}", ("", "median", "worst", "aim"), rows, (note,))


def painted(page: Page, before: str = "") -> str:
    """Wait until all tiles in the window are other than `before` and have painted; return which they are."""
    found = page.wait_for_function(PAINTED, arg=before, polling="raf").json_value()
    framed(page)
    return str(found)


def framed(page: Page) -> None:
    """Wait until what the page shows now is on screen."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def opened(page: Page, server: Server, path: str = "/library") -> float:
    """Return the seconds from the navigation to the pictures."""
    return timed(lambda: (page.goto(f"{server.address}{path}"), painted(page)))


def turned(page: Page) -> Iterator[float]:
    """Yield the seconds from the key to the pictures of the next screen."""
    tiles = painted(page)
    page.locator("button.tile").first.focus()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        page.keyboard.press("PageDown")
        tiles = painted(page, tiles)
        yield time.perf_counter() - start


def filtered(page: Page, server: Server) -> Iterator[float]:
    """Yield the seconds from the click to the pictures of what is found then."""
    for query in FILTERS:
        opened(page, server, f"/library?q={quote(query)}")
        tiles = painted(page)
        chip = page.locator(".st-key-chips button").first
        chip.wait_for()
        page.wait_for_timeout(1_000)
        start = time.perf_counter()
        chip.click()
        painted(page, tiles)
        yield time.perf_counter() - start
    for stars in ("★★★★★", "★★★★", "★★★"):
        yield chosen(page, server, "filter-rating", stars)


def chosen(page: Page, server: Server, box: str, name: str) -> float:
    """Return the seconds from the choice in a box of the page to the pictures of what is found then."""
    opened(page, server)
    tiles = painted(page)
    page.locator(f".st-key-{box} [role=combobox], .st-key-{box} input").first.click()
    option = page.get_by_role("option", name=name, exact=False).first
    option.wait_for()
    page.wait_for_timeout(1_000)
    start = time.perf_counter()
    option.click()
    painted(page, tiles)
    return time.perf_counter() - start


def favorites(page: Page, server: Server) -> float:
    """Return the seconds from the switch to the pictures of the favourites alone."""
    opened(page, server)
    tiles = painted(page)
    page.wait_for_timeout(1_000)
    switch = page.locator(".st-key-filter-favorite label").first
    start = time.perf_counter()
    switch.click()
    painted(page, tiles)
    return time.perf_counter() - start


def typed(page: Page, server: Server) -> Iterator[float]:
    """Yield the seconds from the last letter of a search to its pictures."""
    for text in WORDS:
        opened(page, server)
        tiles = painted(page)
        page.wait_for_timeout(1_000)
        box = page.locator(".st-key-search input")
        box.fill(text[:-1])
        start = time.perf_counter()
        box.press_sequentially(text[-1])
        painted(page, tiles)
        yield time.perf_counter() - start


def memory(server: Server) -> float:
    """Return the megabytes that the server holds now."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
