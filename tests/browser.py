"""The app as a person meets it: a real server on a data folder of its own, and Chromium, which reaches this machine only."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Locator, Page, Request, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

from opstore.app import App, Settings
from opstore.service import NewOperation
from tests.fault_tools import nursery
from tests.ports import free_port, listens

ROOT = Path(__file__).resolve().parents[1]
#: The longest wait for one thing to appear, in milliseconds: a video of a second takes 1 to 5 s on two busy cores, and 30 s where
#: several suites run on them.
PATIENCE = 60_000
START_SECONDS = 40.0
#: Programs that show pages, the lighter one first: it is the same Chromium without its own windows and menus.
CHROMIUMS = ("chromium-headless-shell", "chromium")
#: Names resolve to nothing: a request that a page makes elsewhere is seen by the test and reaches nobody.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--font-render-hinting=none",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
Theme = Literal["light", "dark"]


# -- the server ----------------------------------------------------------------------------------------------------------


class Server:
    """`python -m opstore serve` on a data folder; it keeps its port over restarts, so that links stay what they are."""

    def __init__(self, data: Path, *, forked: bool = True, **settings: str) -> None:
        """Serve the folder `data`, made by the server if need be, with these variables; nothing runs before `start`.

        It is a fork of a process that has loaded the app (`tests.server_programs`) unless it shall be one of its own (`forked`).
        """
        self.data = data
        self._settings = {"OPSTORE_PROVIDER": "local", **settings}
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = data.with_name(f"{data.name}-server.log")
        self._begin = self._fork if forked else self._spawn
        self.command, self.cwd = [sys.executable, "-m", "opstore", "serve"], ROOT
        self.start_seconds = START_SECONDS
        self._running = contextlib.ExitStack()
        #: The number of its process while it runs.
        self.pid = 0

    def start(self) -> None:
        """Start, and return when it answers."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self._ended = self._begin({**os.environ, **self._settings, "OPSTORE_DATA": str(self.data), "PORT": str(self.port)})
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise

    def _fork(self, environment: dict[str, str]) -> Callable[[float], bool]:
        """Begin a fork; return whether it has ended within so many seconds."""
        serving = nursery(sys.executable, "tests.server_programs").held(["serve", json.dumps(environment), str(self._log)])
        connection, self.pid = self._running.enter_context(serving)
        connection.sendall(b"!")
        return lambda seconds: bool(select.select([connection], [], [], seconds)[0])

    def _spawn(self, environment: dict[str, str]) -> Callable[[float], bool]:
        """Begin a process; return whether it has ended within so many seconds."""
        log = self._running.enter_context(self._log.open("ab"))
        process = subprocess.Popen(self.command, cwd=self.cwd, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = process.pid

        def ended(seconds: float) -> bool:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            return process.returncode is not None

        return ended

    def _wait(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        while not (self._answers() and listens(self.pid, self.port)):
            assert not self._ended(0.05), f"the server ended: {self.log()}"
            assert time.monotonic() < deadline, f"the server does not answer: {self.log()}"

    def _answers(self) -> bool:
        try:
            return bool(self.get("/api/health")["success"])
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def stop(self) -> None:
        """Ask it to end, as a terminal or a service manager does, and wait for that."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word, as a power cut does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(self.pid, how)
            assert self._ended(20), f"the server does not end: {self.log()}"
            self.pid = 0
            self._running.close()

    def log(self) -> str:
        """Return the end of what the server said."""
        return self._log.read_text(errors="replace")[-4_000:] if self._log.exists() else ""

    def get(self, path: str) -> Any:
        """Return the JSON at `path`."""
        return json.loads(self.read(path))

    def read(self, path: str) -> bytes:
        """Return the bytes at `path`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read()

    def operations(self) -> list[dict[str, Any]]:
        """Return every stored operation, newest first."""
        found: list[dict[str, Any]] = self.get("/api/history?limit=200")["operations"]
        return found

    def by_prompt(self, prompt: str) -> list[dict[str, Any]]:
        """Return the stored operations with this prompt, newest first."""
        return [operation for operation in self.operations() if operation["prompt"] == prompt]

    def stored(self, prompt: str, count: int = 1) -> dict[str, Any]:
        """Wait until `count` operations with this prompt have ended; return the newest."""
        deadline = time.monotonic() + PATIENCE / 1000
        while len(found := self.by_prompt(prompt)) < count:
            assert time.monotonic() < deadline, f"{prompt!r} was not made: {self.jobs()} {self.log()}"
            time.sleep(0.1)
        return found[0]

    def jobs(self) -> list[dict[str, Any]]:
        """Return the records of what is under way."""
        found = []
        for path in sorted((self.data / "pending").glob("[0-9]*.json")):
            with contextlib.suppress(FileNotFoundError):  # it has just ended
                found.append(json.loads(path.read_text()))
        return found

    def hand_in(self, request: NewOperation) -> None:
        """Ask for an operation as another program on the same folder does, and wait until the server has made it."""
        App(Settings(data=self.data, provider="local")).service.create(request)
        self.stored(request.prompt)

    def files(self) -> set[str]:
        """Return the names of the stored files."""
        return {path.name for path in (self.data / "operations").iterdir()}


# -- the browser ---------------------------------------------------------------------------------------------------------


@dataclass
class Visitor:
    """One person's browser window on a server; it notes every request that would have left this machine."""

    page: Page
    address: str
    outside: list[str] = field(default_factory=list)
    #: What its consoles said that was wrong, the last of it.
    wrong: deque[str] = field(default_factory=lambda: deque(maxlen=10))

    def hear(self, message: ConsoleMessage) -> None:
        """Note what a console says is wrong."""
        if message.type == "error":
            self.wrong.append(message.text[:300])

    def explain(self) -> None:
        """Say what every window shows, for whoever reads of a test that has failed."""
        for page in self.page.context.pages:
            print(f"-- {page.url}")
            try:
                print(page.wait_for_function(_SHOWN, timeout=5_000).json_value())
            except BrowserError as error:  # it is closed, or hangs: that is said too
                print(f"(cannot be looked at: {error.message[:200]})")
        print("-- console errors:", *self.wrong, sep="\n")

    def note(self, request: Request) -> None:
        """Note a request for another machine."""
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname != "127.0.0.1":
            self.outside.append(request.url)

    def leave(self) -> None:
        """Leave the page, and close what it has opened; fail if it reached for another machine."""
        for page in self.page.context.pages:
            if page is not self.page:
                page.close()
        self.page.unroute_all()
        self.page.goto("about:blank")
        self.page.mouse.move(-9, -9)
        assert not self.outside, f"requests left this machine: {self.outside}"

    # -- going about -------------------------------------------------------------------------------------------------

    def open(self, path: str = "/") -> Page:
        """Open a page and wait until it stands."""
        self.page.goto(self.address + path)
        self.page.wait_for_function(_STANDS)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until the page's script has run and all that it drew is there: a kind of control has its code when first met."""
        self.page.wait_for_function(_SETTLED, timeout=PATIENCE)

    @property
    def prompt(self) -> Locator:
        """Return the prompt, in either language."""
        return self.page.get_by_role("textbox", name=re.compile("What do you want to make|Que voulez-vous créer"))

    @property
    def generate(self) -> Locator:
        """Return the one main act, in either language."""
        return self.page.get_by_role("button", name=re.compile("^(Generate|Générer)"))

    def tile(self, prompt: str) -> Locator:
        """Return the tile of an operation in whichever gallery shows it."""
        return self.page.locator("button.tile", has_text=prompt)

    @property
    def dialog(self) -> Locator:
        """Return the open drawer or picker."""
        return self.page.get_by_role("dialog")

    def upload(self, *pictures: tuple[str, bytes], mime: str = "image/jpeg", shown: bool = True) -> None:
        """Give files as the file dialog does, and wait until the page shows the pictures, where it shows any."""
        images = self.page.get_by_role("img", name=re.compile(r"^Image \d+$"))
        before = images.count()
        files: list[FilePayload] = [{"name": name, "mimeType": mime, "buffer": data} for name, data in pictures]
        self.page.locator('input[type="file"]').set_input_files(files)
        expect(self.page.get_by_test_id("stFileChipIconSpinner")).to_have_count(0)
        if shown:
            expect(images).to_have_count(before + len(pictures), timeout=PATIENCE)
        self.settle()

    def choose(self, workflow: str) -> None:
        """Choose a workflow by its name, and wait until the page has taken the choice: the control shows it at once."""
        choice = self.page.get_by_role("radio", name=workflow, exact=True)
        expect(choice).to_be_visible(timeout=PATIENCE)
        choice.click()
        expect(choice).to_be_checked(timeout=PATIENCE)
        expect(self.page.get_by_role("radiogroup").filter(has=choice)).to_have_attribute("aria-busy", "false", timeout=PATIENCE)
        self.settle()

    def number(self, label: str, value: str) -> None:
        """Type a number into a field and leave it."""
        box = self.page.get_by_label(label, exact=True)
        box.fill(value)
        box.press("Tab")
        self.settle()

    def ask(self, prompt: str) -> None:
        """Type a prompt and press Generate."""
        self.prompt.fill(prompt)
        self.generate.click()

    # -- looking -----------------------------------------------------------------------------------------------------

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.page.evaluate("Math.max(0, document.documentElement.scrollWidth - window.innerWidth)"))

    def pictures_loaded(self) -> None:
        """Wait until every picture near the screen has arrived."""
        self.page.wait_for_function(_LOADED, timeout=PATIENCE)


#: The bar is what every page begins with, and our style what it looks like with: before them "not running" means "not begun".
_STANDS = """() => {
  const app = document.querySelector(".stApp"), bar = document.querySelector(".st-key-bar");
  return bar && getComputedStyle(app).getPropertyValue("--ops-ground") && getComputedStyle(bar).position === "fixed";
}"""
#: A control whose code is still on its way is a grey bar, while others of the same run stand and can be used already.
_SETTLED = """() => document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
  && !document.querySelector('[data-testid="stSkeleton"]')"""
#: What a page shows, for people: whether its script runs, the files given, and its words.
_SHOWN = """() => {
  const chips = [...document.querySelectorAll('[data-testid="stFileChip"]')];
  const files = chips.map(chip => `${chip.innerText.replace(/\\s+/g, " ")}${chip.ariaInvalid ? " (refused)" : ""}`);
  const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState;
  const main = document.querySelector('[role="dialog"]') ?? document.querySelector('[data-testid="stMain"]') ?? document.body;
  return `script: ${state}; files: ${files.join(", ") || "none"}\\n${main.innerText.slice(0, 1500)}`;
}"""
#: Open shadow roots hold the components' pictures; lazy ones far below the screen may wait.
_LOADED = """() => {
  const roots = [document, ...[...document.querySelectorAll("*")].map(item => item.shadowRoot).filter(Boolean)];
  const near = item => item.getBoundingClientRect().top < innerHeight && item.getBoundingClientRect().width > 0;
  const images = roots.flatMap(root => [...root.querySelectorAll("img")]).filter(near);
  const videos = roots.flatMap(root => [...root.querySelectorAll("video")]).filter(near);
  const posters = window.opstorePosters ??= new Map();
  for (const { poster } of videos) if (!posters.has(poster)) posters.set(poster, Object.assign(new Image(), { src: poster }));
  return images.every(item => item.complete && item.naturalWidth) && [...posters.values()].every(item => item.complete)
    && videos.every(item => item.readyState > 0 && item.networkState === item.NETWORK_IDLE) && document.fonts.status === "loaded";
}"""


def box(page: Page, selector: str) -> dict[str, float]:
    """Return where an element stands."""
    found = page.locator(selector).first.bounding_box()
    assert found
    return {"x": found["x"], "y": found["y"], "width": found["width"], "height": found["height"]}


class Windows:
    """Opens windows of one Chromium, each a visitor of its own without cookies or memories.

    Tabs are used again, one after the other: what a server's scripts were compiled to stays in the tab's process, and a page
    costs 0.7 s of computing instead of 1.3 s (2.2 s where Chromium has its whole surface).
    """

    def __init__(self, browser: Browser) -> None:
        """Open windows of `browser`."""
        self._browser = browser
        self._idle: dict[tuple[str, bool], list[Page]] = {}

    @contextlib.contextmanager
    def visit(
        self,
        server: Server,
        *,
        locale: str = "en-US",
        theme: Theme = "light",
        width: int = 1440,
        height: int = 900,
        touch: bool = False,
        afresh: bool = False,
    ) -> Iterator[Visitor]:
        """Give a window on `server`; at its end it is left, and no request may have left this machine.

        `afresh`: in a tab that has never shown a page; what its profile has loaded from the server is still there.
        """
        alike = self._idle.setdefault((locale, touch), [])
        page = alike.pop() if alike else self._tab(locale, touch)
        if afresh:
            used, page = page, page.context.new_page()
            used.close()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(media="null", color_scheme=theme, reduced_motion="reduce")
        page.unroute_all()
        _forget(page, server.address)
        visitor = Visitor(page, server.address)
        context = page.context
        context.on("request", visitor.note)
        context.on("console", visitor.hear)
        try:
            yield visitor
        except BaseException:
            visitor.explain()
            context.close()
            raise
        visitor.leave()
        context.remove_listener("request", visitor.note)
        context.remove_listener("console", visitor.hear)
        alike.append(page)

    def _tab(self, locale: str, touch: bool) -> Page:
        context = self._browser.new_context(locale=locale, timezone_id="Europe/Paris", has_touch=touch, accept_downloads=True)
        context.set_default_timeout(PATIENCE)
        return context.new_page()


def _forget(page: Page, address: str) -> None:
    """Let a tab remember nothing of `address` but its files."""
    page.goto(f"{address}/_stcore/health")  # what a tab keeps for itself is cleared from inside
    page.evaluate("sessionStorage.clear()")
    page.context.clear_cookies()
    session = page.context.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": address, "storageTypes": "local_storage,indexeddb,cache_storage"})
    session.detach()


@contextlib.contextmanager
def chromium(executable: str, flags: Sequence[str] = ()) -> Iterator[Windows]:
    """Give windows of the Chromium at `executable`; nothing is downloaded."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*_FLAGS, *flags])
        try:
            yield Windows(browser)
        finally:
            browser.close()


# -- the pictures of the README ------------------------------------------------------------------------------------------

_SHOWCASE: tuple[tuple[str, str, tuple[str, ...], dict[str, Any]], ...] = (
    ("text_to_image", "A calm sea at dawn", (), {"aspectRatio": "4:3"}),
    ("image_edit_single", "pencil sketch", ("rocket",), {}),
    ("text_to_image", "Autumn forest in golden light", (), {}),
    ("image_edit_multiple", "blend the two", ("chelsea", "flower"), {}),
    ("text_to_image", "Snowy mountains under a starry night sky", (), {}),
    ("image_edit_single", "black and white, more contrast", ("astronaut",), {}),
    ("text_to_video", "A city at dusk in blue and violet", (), {"duration": 2, "aspectRatio": "1:1"}),
    ("image_edit_single", "warmer, vignette", ("coffee",), {}),
    ("text_to_image", "A desert at noon with a few clouds", (), {}),
    ("image_to_video_single", "slow zoom into the picture", ("china",), {"duration": 2}),
    ("image_edit_single", "sepia and a vignette", ("chelsea",), {}),
    ("text_to_image", "The sea at sunset, calm mood", (), {"aspectRatio": "4:3", "seed": 7}),
)


def photograph(folder: Path, scratch: Path, photo: Callable[..., bytes], executable: str) -> None:
    """Fill a library and write create.webp, library.webp and compare.webp into `folder`."""
    from PIL import Image

    server = Server(scratch / "data")
    server.start()
    try:
        with chromium(executable) as windows, windows.visit(server) as visitor:
            for kind, prompt, pictures, parameters in _SHOWCASE:
                server.hand_in(NewOperation(kind, prompt, tuple(photo(name) for name in pictures), parameters))
                time.sleep(1)  # ids count seconds: the order of the grid is the order above
            edited = server.by_prompt("black and white, more contrast")[0]["operationId"]
            pages = {"library": "/library", "create": "/", "compare": f"/compare?ids={edited}"}
            for name, address in pages.items():
                page = visitor.open(address)
                expect(page.locator("button.tile, .stage .layer").nth(1)).to_be_attached()
                if name == "compare":
                    page.wait_for_timeout(500)
                elif name == "library":
                    visitor.tile("sepia").click()
                    expect(visitor.dialog.locator(".ops-prompt")).to_be_visible()
                else:
                    visitor.prompt.fill("The same bay at night, under a full moon")
                    visitor.prompt.blur()
                    visitor.settle()
                visitor.pictures_loaded()
                with Image.open(io.BytesIO(page.screenshot())) as picture:
                    picture.convert("RGB").save(folder / f"{name}.webp", quality=88, method=6)
    finally:
        server.stop()


def _photo(name: str) -> bytes:
    """Return one of the photographs that lie in scikit-image and scikit-learn."""
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = importlib.util.find_spec(package)
        for path in (Path(str(spec and spec.origin)).parent / folder).glob(f"{name}.*"):
            return path.read_bytes()
    raise FileNotFoundError(name)


if __name__ == "__main__":  # python -m tests.browser: the README's pictures anew
    with tempfile.TemporaryDirectory() as scratch_folder:
        photograph(ROOT / "docs" / "images", Path(scratch_folder), _photo, shutil.which("chromium") or "chromium")
