"""Requests beside each kind of work that nobody waits for: the slowest against the slowest without, in turns, in one process.

A process of its own serves the HTTP interface over the corpus, as the app does, and works in threads of its own when it is told
to: 100,000 operations (OPSTORE_BENCH_N=1000000 for a million). One request follows another, with a pause as a person makes.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from bench import Line, Table, count_wanted, file_system, milliseconds, percentile, table_of
from bench.analytics import corpus
from opstore import giving_way
from opstore.app import App
from opstore.giving_way import ASKED_FOR, FOLLOWING, UPKEEP, Pace
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
#: Requests in a turn, turns of each, and seconds between two requests.
REQUESTS, TURNS, PAUSE = 30, 3, 0.02
ASKED = ("/api/search?q=", "/api/search?q=la", "/api/search?q=rating:%3E%3D4", "/api/search?q=status:failed")
#: The slowest beside the work, to the slowest without.
LIMIT = 1.5
TRASHED = 200
#: Behind a work's name: it shall wait for nobody.
RUDELY = ", never giving way"


def run() -> Iterable[Table]:
    """Measure over the corpus of the charts."""
    count = count_wanted()
    with corpus(count) as folder:
        notes = (
            f"{REQUESTS * TURNS} requests each, in turns of {REQUESTS}; the slowest tenth is told too, "
            "since one request in a hundred meets whatever else the machine does.",
        )
        yield table_of(f"requests beside work, {count:,} operations, {file_system(folder)}", lines(folder), notes)


def lines(folder: Path) -> Iterator[Line]:
    """Yield a line a kind of work."""
    with server(folder) as (port, tell):
        requests(port)  # the first of all
        for work in WORKS:
            alone: list[float] = []
            beside: list[float] = []
            rude: list[float] = []
            for _ in range(TURNS):
                alone += requests(port)
                for how, seconds in (("", beside), (RUDELY, rude)):
                    tell(f"{work}{how}")
                    seconds += requests(port)
                    tell("")
            slow = max(beside) / max(alone)
            figure = f"{slow:.2f}, p90 {percentile(beside, 0.9) / percentile(alone, 0.9):.2f}"
            never = f"{max(rude) / max(alone):.2f}, p90 {percentile(rude, 0.9) / percentile(alone, 0.9):.2f}"
            times = f"never giving way {never}; alone {milliseconds(max(alone))}, p90 {milliseconds(percentile(alone, 0.9))}"
            yield Line(f"slowest request beside {work}", f"{LIMIT} ×", figure, times, slow <= LIMIT)


def requests(port: int) -> list[float]:
    """Return the seconds of some requests, one after the other."""
    seconds = []
    for number in range(REQUESTS):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            start = time.perf_counter()
            connection.request("GET", ASKED[number % len(ASKED)])
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - start)
            assert answer.status == 200
        time.sleep(PAUSE)
    return seconds


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[int, Callable[[str], None]]]:
    """Lend a server over a folder, and what tells it to begin a work, or with "" to end it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT, ignore_cleanup_errors=True) as place:
        command = [sys.executable, "-m", "bench.beside", str(folder), str(port), place]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin and process.stdout
        source, target = process.stdin, process.stdout

        def tell(work: str) -> None:
            source.write(f"{work}\n")
            source.flush()
            target.readline()

        try:
            target.readline()
            yield port, tell
        finally:
            process.kill()
            process.communicate()


# -- in the process that serves ------------------------------------------------------------------------------------------


class Ended(BaseException):
    """The work was told to end."""


def serve(folder: Path, port: int, place: Path) -> None:
    """Serve until the standard input ends; a line of it names the work to begin, an empty one ends what was begun."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    from opstore.api import Answering, Api, middleware
    from opstore.app import Settings

    app = App(Settings(data=folder, provider="local", api_rate=""))
    app.index.catch_up()
    site = Starlette(routes=Api(lambda: app).routes(), middleware=[Middleware(Answering), *middleware()])
    running = uvicorn.Server(uvicorn.Config(site, port=port, log_level="error"))
    threading.Thread(target=running.run, daemon=True).start()
    while not running.started:
        time.sleep(0.05)
    print("ready", flush=True)
    ended = threading.Event()
    for line in sys.stdin:
        ended.set()
        ended = threading.Event()
        giving_way.traffic.__dict__.pop("wait", None)
        if line.strip().endswith(RUDELY):
            giving_way.traffic.wait = lambda still, longest: None  # type: ignore[method-assign] # the yardstick
        if line.strip():
            own = place / str(time.monotonic_ns())
            own.mkdir()
            threading.Thread(target=WORKS[line.strip().removesuffix(RUDELY)](app, own, ended), daemon=True).start()
            time.sleep(0.5)
        print("told", flush=True)
    os._exit(0)


def _repeated(act: Callable[[], object], pace: Pace, ended: threading.Event) -> Callable[[], None]:
    """Return what does an act at its pace, again and again, until it is told to end."""

    def work() -> None:
        with giving_way.at(pace), contextlib.suppress(Ended):
            paced = giving_way._work.get()
            assert paced is not None
            pause = paced.pause

            def pause_or_end() -> None:
                pause()
                if ended.is_set():
                    raise Ended

            paced.pause = pause_or_end  # type: ignore[method-assign] # of this one
            while not ended.wait(0.02):
                act()

    return work


def _stamps(app: App, _: Path, ended: threading.Event) -> Callable[[], None]:
    """Return the pass over all stamps, in the process that does it for the app."""
    from opstore.index.folder_diff import difference_beside

    database, path = app.index._database, app.store.operations.path
    return _repeated(lambda: difference_beside(database, path, stamps=True, breathe=giving_way.pause), FOLLOWING, ended)


def _purge(_: App, place: Path, ended: threading.Event) -> Callable[[], None]:
    """Return the purge of a trash of its own: the corpus keeps what it has."""
    from opstore import Store
    from opstore.storage.trash import Trash
    from tests.samples import PNG

    store = Store(place)
    trash = Trash(store)
    for number in range(TRASHED):
        name = f"20251103{number:06}_abc123de"
        store.save(name, {"operationType": "text_to_image", "prompt": "p"}, outputs=[PNG])
        trash.put(name)
    return _repeated(lambda: trash.purge(timedelta(0)), UPKEEP, ended)


def _retain(app: App, _: Path, ended: threading.Event) -> Callable[[], None]:
    from opstore.care import Rule

    return _repeated(lambda: app.service.care.cleanup.plan(Rule(36_500)), UPKEEP, ended)


def _verify(app: App, _: Path, ended: threading.Event) -> Callable[[], None]:
    return _repeated(app.store.verify, ASKED_FOR, ended)


def _backup(app: App, place: Path, ended: threading.Event) -> Callable[[], None]:
    return _repeated(lambda: app.service.care.back_up(str(place)), ASKED_FOR, ended)


def _pictures(_: App, place: Path, ended: threading.Event) -> Callable[[], None]:
    """Return the making of small pictures ahead, of new contents each."""
    from bench.gallery import pictures
    from opstore import Store
    from opstore.media.thumbnails import Thumbnails

    contents, store = pictures(place), Store(place / "data")
    names = []
    for number in range(100):
        names.append(f"20251103{number:06}_abc123de")
        data = contents[number % len(contents)] + number.to_bytes(8, "little")
        store.save(names[-1], {"operationType": "text_to_image"}, outputs=[data])
    small = Thumbnails(store)

    def work() -> None:
        small.start()
        small.expect(names)
        ended.wait()
        small.stop()

    return work


#: Each kind of work by its name: what it needs is made, and what does it then is returned.
WORKS: dict[str, Callable[[App, Path, threading.Event], Callable[[], None]]] = {
    "a pass over all stamps": _stamps,
    "a purge": _purge,
    "a retention's plan": _retain,
    "a look for problems": _verify,
    "a backup": _backup,
    "pictures made ahead": _pictures,
}

if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
