"""What people wait for at a million operations, as one table: each line with its target, its yardstick, and whether it holds.

`make bench ARGS=speed`, or `make bench ARGS="speed 100000"` over a smaller corpus. OPSTORE_BENCH_PARTS names some of the parts,
with commas between; OPSTORE_BENCH_DIR keeps the corpus, of which the last part makes index and frame anew. Beside the grid's
figures stand those of a page of two lines in the same browser, in turns: Streamlit's own floor.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page

from bench import (
    Line,
    Table,
    analytics,
    beside,
    commands,
    company,
    count_wanted,
    file_system,
    gallery,
    in_turns,
    percentile,
    table_of,
    timed,
)
from bench import index as indexing
from opstore import Store
from opstore.analytics import load_frame
from opstore.index import Index
from tests.browser import Server, Windows, chromium

ROOT = Path(__file__).resolve().parents[1]
#: Visits of each kind with a server that has just started; and of those, with two programs beside that compute all the time.
VISITS, LOADED_VISITS = 3, 2
#: Times that each filter is chosen.
CHOICES = 3
#: The page below which no page of ours can come.
TWO_LINES = 'import streamlit as st\n\nst.write("two lines")\n'
STANDS = "() => document.body.innerText.includes('two lines')"
BUSY = (sys.executable, "-c", "while True: pass")
FRAME = "import sys; from opstore.analytics import load_frame; from opstore import Store; load_frame(Store(sys.argv[1]))"


def run() -> Iterable[Table]:
    """Measure part after part, each with how busy the machine was around it, and lay out all at the end."""
    count = count_wanted(1_000_000)
    wanted = (os.environ.get("OPSTORE_BENCH_PARTS") or ",".join(PARTS)).split(",")
    every: list[Line] = []
    notes: list[str] = []
    with analytics.corpus(count) as folder:
        where = f"{count:,} operations, {file_system(folder)}"
        for name in wanted:
            before = company("before")
            lines = []
            for line in PARTS[name](folder, count):
                print(f"{line.name}: {line.figure}; {line.yardstick}", file=sys.stderr, flush=True)  # a part takes minutes
                lines.append(line)
            around = f"{name}: {before}; {company('after')}"
            yield table_of(f"{name}, {where}", lines, (around,))
            every += lines
            notes.append(around)
    yield table_of(f"all that people wait for, {where}", every, notes)


def seconds_line(
    name: str, target: float, seconds: list[float], floor: list[float] | None = None, worst: float | None = None
) -> Line:
    """Return the line of something that is to take at most `target` seconds by its median, and its slowest `worst`."""
    median, slowest = percentile(seconds, 0.5), max(seconds)
    wanted = f"{target:g} s" + (f", worst {worst:g} s" if worst else "")
    least = percentile(floor, 0.5) if floor else None
    yardstick = f"two lines {least:.2f} s, ours {median / least:.1f} ×" if least else ""
    holds = median <= target and (worst is None or slowest <= worst)
    return Line(name, wanted, f"{median:.2f} s, worst {slowest:.2f} s", yardstick, holds)


# -- an unknown folder ---------------------------------------------------------------------------------------------------


def opening(folder: Path, count: int) -> Iterator[Line]:
    """Yield what a first opening takes: index and frame from nothing, against reading and decoding alone."""
    store = Store(folder)
    bare, built = indexing.built_in_turns(store, count, cold=False)
    (store.cache / "frame.arrow").unlink(missing_ok=True)
    frame = timed(lambda: load_frame(store))
    read = percentile(bare, 0.5)
    yardstick = f"reading and decoding {read:.1f} s"
    for name, seconds in (("the index", percentile(built, 0.5)), ("index and frame", percentile(built, 0.5) + frame)):
        yield Line(f"first opening: {name}", "2 ×", f"{seconds / read:.2f} ({seconds:.1f} s)", yardstick, seconds / read <= 2)
    size = (store.cache / "index.db").stat().st_size / count
    yield Line("the index's bytes an operation", "400", f"{size:.0f}", "", size <= 400)
    naive, fresh = in_turns(1 if count > 200_000 else 3, lambda: loop(store), lambda: fresh_frame(folder))
    one, other = percentile(naive, 0.5), percentile(fresh, 0.5)
    told = f"{one / other:.0f} × ({other:.2f} s)"
    yield Line("the frame in a fresh process", "50 × faster", told, f"json.loads in a loop {one:.1f} s", one / other >= 50)


def loop(store: Store) -> None:
    """Read and decode every sidecar in one loop, and keep nothing."""
    import json

    with os.scandir(store.operations.path) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                json.loads(Path(entry.path).read_bytes())


def fresh_frame(folder: Path) -> None:
    """Load the frame in a process of its own."""
    subprocess.run([sys.executable, "-c", FRAME, str(folder)], cwd=ROOT, check=True)


# -- charts --------------------------------------------------------------------------------------------------------------


def charts(folder: Path, count: int) -> Iterator[Line]:
    """Yield what each filter of Analytics takes, and its first opening in a fresh process."""
    store = Store(folder)
    index = Index(store)
    index.catch_up()
    load_frame(store)
    for one in analytics.filtered(index):
        name, ours = one.text or "everything", one.found + one.numbers
        times = None if one.duck is None else one.duck / ours
        yard = "" if times is None else f"DuckDB {one.duck or 0:.2f} s, {times:.1f} × ours (10)"
        figure = f"{ours * 1000:.0f} ms ({one.found * 1000:.0f} + {one.numbers * 1000:.0f})"
        yield Line(f"analytics {name}: found + numbers", "250 ms", figure, yard, ours <= 0.25 and (times is None or times >= 10))
        drawn = one.found + one.charts
        yield Line(f"analytics {name}: everything drawn", "350 ms", f"{drawn * 1000:.0f} ms", "", drawn <= 0.35)
    index.stop()
    naive = analytics.read_all(store)
    command = [sys.executable, "-c", analytics.OPENING, str(folder)]
    process = partial(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=True)
    opened = [float(process().stdout.split()[0]) for _ in range(3)]
    median = percentile(opened, 0.5)
    told = f"{naive / median:.0f} × ({median:.2f} s)"
    yield Line(
        "analytics: first opening in a fresh process", "60 × faster", told, f"every JSON {naive:.1f} s", naive / median >= 60
    )


# -- the library ---------------------------------------------------------------------------------------------------------


def grid(folder: Path, count: int) -> Iterator[Line]:
    """Yield when the grid answers, with a server that has just started: alone, and with two busy programs beside."""
    give_pictures(folder)
    with two_lines() as floor, chromium(gallery.CHROMIUM) as windows:
        for beside_, visits, factor in ((0, VISITS, 1), (2, LOADED_VISITS, 2)):
            times: dict[str, list[float]] = {}
            with busy(beside_):
                for _ in range(visits):
                    with started(folder) as server:
                        for name, seconds in visited(windows, server, floor):
                            times.setdefault(name, []).append(seconds)
            among = ", two busy programs beside" if beside_ else ""
            known, new = times["a known browser, two lines"], times["a new browser, two lines"]
            yield seconds_line(f"the grid, a known browser{among}", 1.0 * factor, times["a known browser"], known)
            yield seconds_line(f"the grid, a new browser{among}", 1.5 * factor, times["a new browser"], new)


def visited(windows: Windows, server: Server, floor: str) -> Iterator[tuple[str, float]]:
    """Yield the seconds from the navigation until the grid has painted, and the floor's, in turns: a browser's first and next."""
    context = windows._browser.new_context(locale="en-US", timezone_id="Europe/Paris", viewport={"width": 1440, "height": 900})
    context.set_default_timeout(120_000)
    try:
        for name in ("a new browser", "a known browser"):
            page = context.new_page()
            yield f"{name}, two lines", timed(lambda page=page: shown(page, floor))  # type: ignore[misc] # a loop's value
            page.close()
            page = context.new_page()
            yield name, timed(lambda page=page: painted(page, server))  # type: ignore[misc] # a loop's value
            page.close()
    finally:
        context.close()


def shown(page: Page, address: str) -> None:
    """Open the page of two lines, and wait until it stands."""
    page.goto(address, wait_until="commit")
    page.wait_for_function(STANDS, polling="raf")
    gallery.framed(page)


def painted(page: Page, server: Server) -> None:
    """Open the library, and wait until the grid has painted all tiles in the window."""
    page.goto(f"{server.address}/library", wait_until="commit")
    gallery.painted(page)


def filters(folder: Path, count: int) -> Iterator[Line]:
    """Yield what each filter takes to the painted pictures: onto pictures that were made, and that never were."""
    give_pictures(folder)
    for among in ("made", "never made"):
        with started(folder) as server, chromium(gallery.CHROMIUM) as windows, windows.visit(server) as visitor:
            page = visitor.page
            page.set_default_timeout(120_000)
            for name, act in CHOSEN.items():
                seconds = []
                for number in range(CHOICES + (among == "made")):  # the first makes them
                    if among == "never made":
                        shutil.rmtree(folder / "cache" / "thumbnails", ignore_errors=True)
                    try:
                        seconds.append(act(page, server, number))
                    except BrowserError as error:
                        yield Line(f"{name}, {among}", "0.3 s", error.message.splitlines()[0][:60])
                        break
                else:
                    yield seconds_line(f"{name}, {among}", 0.3, seconds[among == "made" :], worst=0.5)


def chip(page: Page, server: Server, number: int) -> float:
    """Return the seconds from the click on a chip to the pictures of what is found then."""
    gallery.opened(page, server, f"/library?q={('status:failed', 'rating:>=4', 'inputs:2')[number % 3]}")
    tiles = gallery.painted(page)
    page.wait_for_timeout(1_000)
    return acted(page, page.locator(".st-key-chips button").first.click, tiles)


def box(key: str, *names: str) -> Callable[[Page, Server, int], float]:
    """Return what chooses in a box, another name each time."""
    return lambda page, server, number: gallery.chosen(page, server, key, names[number % len(names)])


def days(page: Page, server: Server, number: int) -> float:
    """Return the seconds from the last key of a span of days to the pictures of it."""
    gallery.opened(page, server)
    tiles = gallery.painted(page)
    field = page.locator("[class*='st-key-filter-date'] input").first
    field.fill(f"2025/{7 + number:02}/01 – 2025/{7 + number:02}/28")
    page.wait_for_timeout(1_000)
    return acted(page, lambda: field.press("Enter"), tiles)


def acted(page: Page, act: Callable[[], None], tiles: str) -> float:
    """Return the seconds from an act until the window shows other tiles than those before, painted."""
    start = time.perf_counter()
    act()
    gallery.painted(page, tiles)
    return time.perf_counter() - start


CHOSEN: dict[str, Callable[[Page, Server, int], float]] = {
    "a chip taken away": chip,
    "the rating": box("filter-rating", "★★★★★", "★★★★", "★★★"),
    "a choice of type": box("filter-type", "Edit", "Text to video"),
    "favorites only": lambda page, server, number: gallery.favorites(page, server),
    "days": days,
    "the order": box("order", "Best rated", "Most expensive", "Slowest"),
    "stacks": box("group", "By variants", "By prompt"),
}


def page_bytes(folder: Path, count: int) -> Iterator[Line]:
    """Yield what a first visit transfers, messages of the first run and files, and the server's memory after it."""
    give_pictures(folder)
    with started(folder) as server, chromium(gallery.CHROMIUM) as windows, windows.visit(server) as visitor:
        got: list[int] = []
        plain: list[str] = []
        page = visitor.page
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: got.append(len(data))))

        def noted(response: object) -> None:
            url, headers = response.url, response.headers  # type: ignore[attr-defined]
            if "javascript" in headers.get("content-type", "") and "content-encoding" not in headers:
                plain.append(url)

        page.on("response", noted)
        gallery.opened(page, server)
        page.wait_for_timeout(2_000)
        size = sum(got) / 1000
        yield Line("the library's first run, its messages", "60 kB", f"{size:.0f} kB in {len(got)}", "", size <= 60)
        yield Line("scripts that come uncompressed", "0", f"{len(plain)}", "", not plain)
        held = gallery.memory(server)
        yield Line("memory of the server after it", "400 MB", f"{held:.0f} MB", "", held <= 400)


# -- servers -------------------------------------------------------------------------------------------------------------


def give_pictures(folder: Path) -> None:
    """Give the newest operations real pictures, and the folder an index as new as itself."""
    store = Store(folder)
    index = Index(store)
    index.catch_up()
    gallery.give_pictures(store, index)
    index.catch_up()
    index.stop()


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Server]:
    """Lend a server of the app that has just started, without small pictures."""
    shutil.rmtree(folder / "cache" / "thumbnails", ignore_errors=True)
    server = Server(folder, forked=False)
    server.start_seconds = 300.0
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def two_lines() -> Iterator[str]:
    """Lend the address of Streamlit's own server with a page of two lines."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as place:
        (Path(place) / "page.py").write_text(TWO_LINES)
        server = Server(Path(place) / "data", forked=False)
        server.command = [sys.executable, "-m", "streamlit", "run", f"{place}/page.py", f"--server.port={server.port}"]
        server.command += [
            "--server.address=127.0.0.1",
            "--server.headless=true",
            "--browser.gatherUsageStats=false",
            "--server.fileWatcherType=none",
        ]
        server.cwd = Path(place)
        server._answers = lambda: ready(server)  # type: ignore[method-assign] # it has no /api
        server.start_seconds = 300.0
        server.start()
        try:
            yield server.address
        finally:
            server.stop()


def ready(server: Server) -> bool:
    """Say whether Streamlit's own server answers."""
    with contextlib.suppress(OSError):
        return server.read("/_stcore/health") == b"ok"
    return False


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Let so many programs compute all the time."""
    programs = [subprocess.Popen(BUSY) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


#: The parts, in the order in which they are measured.
PARTS: dict[str, Callable[[Path, int], Iterable[Line]]] = {
    "commands": lambda folder, count: commands.lines(folder),
    "grid": grid,
    "filters": filters,
    "page": page_bytes,
    "charts": charts,
    "work": lambda folder, count: beside.lines(folder),
    "opening": opening,
}
