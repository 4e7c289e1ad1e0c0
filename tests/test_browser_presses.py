"""Presses as people make them on a busy machine: held, typed before, by mouse and by key, in both languages; each done once.

What is pressed stands in one table, `tests.pressing.ACTS`: where, by which buttons, and what the folder must hold then, exactly.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import FilePayload, Route, expect

from opstore.app import App, Settings
from tests import presses_kept, presses_made
from tests.browser import ROOT, Server, Windows
from tests.browser_library import eventually
from tests.conftest import Sampled
from tests.pressing import ACTS, Person

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

assert presses_made and presses_kept  # to be imported is to enter the table
#: Presses in each language: of a long run, and of the suite, which makes others each time.
PRESSES, FEW = 250, 4
#: Acts by name, to press just these: PRESSES="run_again cancel" make test ARGS=tests/test_browser_presses.py.
CHOSEN = os.environ.get("PRESSES", "").split()
#: How much slower the browser's processor is than the machine's in a long run, and how many other programs compute.
SLOWER, OTHERS = 3, 2
#: Buttons that change nothing, by the beginnings of their keys, and those that need what no machine here has.
SHOWING = {
    "neighbour-": "the one before or after it",
    "compare-": "another page",
    "family-": "another page",
    "see-": "another page",
    "see-sheet": "another page",
    "show-everything": "the address",
    "example-": "words in the form, while the library is empty",
    "ask-": "a question to a language model",
    "history-": "the account of a token",
    "sign-in-": "a provider of identities",
    "sign-out-": "a provider of identities",
}


@contextlib.contextmanager
def others(count: int) -> Iterator[None]:
    """Let other programs compute meanwhile."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_a_key_that_is_held_is_one_press_and_none_gets_past_a_picture_on_its_way(
    server: Server, windows: Windows, photo: Callable[..., bytes]
) -> None:
    with windows.visit(server) as visitor:
        page = visitor.open()
        visitor.prompt.fill("a quiet lake at dawn")
        page.keyboard.down("Control")
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:  # as a key repeats itself
            page.keyboard.down("Enter")
            page.wait_for_timeout(40)
        page.keyboard.up("Enter")
        page.keyboard.up("Control")
        server.stored("a quiet lake at dawn")
        arrived: list[Route] = []
        page.route("**/upload_file/**", lambda route: arrived.append(route))
        visitor.prompt.fill("sepia, held back")
        visitor.prompt.press("Tab")
        picture: FilePayload = {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": photo("coffee", size=(300, 200))}
        page.locator('input[type="file"]').set_input_files(picture)
        expect(page.get_by_test_id("stFileChipIconSpinner")).to_be_visible()
        button = page.locator(".st-key-generate button")
        button.focus()
        page.keyboard.press("Enter")
        eventually(page, lambda: bool(arrived))
        arrived[0].continue_()
        expect(page.get_by_role("img", name="Image 1")).to_be_visible()
        visitor.settle()
        button.focus()
        page.keyboard.press("Enter")
        assert server.stored("sepia, held back")["operationType"] == "image_edit_single"
        visitor.settle()
    assert not server.jobs()
    for prompt in ("a quiet lake at dawn", "sepia, held back"):
        assert len(server.by_prompt(prompt)) == 1, prompt


def _drawn() -> Iterator[str]:
    """Yield the beginnings of the keys of all buttons in the pages' source."""
    for path in itertools.chain(ROOT.glob("pages/*.py"), ROOT.glob("opstore/ui/**/*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for call in [call for call in calls if ast.unparse(call.func) in ("parts.button", "parts.submit")]:
            for key in [word.value for word in call.keywords if word.arg == "key"]:
                parts = key.values[:1] if isinstance(key, ast.JoinedStr) else [key]
                yield from [str(part.value) for part in parts if isinstance(part, ast.Constant)]


def test_every_button_that_changes_something_is_in_the_table() -> None:
    drawn, pressed = set(_drawn()), {key for act in ACTS.values() for key in act.keys}
    assert len(drawn) > 50
    assert drawn - pressed == set(SHOWING), "a new button: say what its press comes to"
    assert not pressed - drawn, "no such button any more"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_press_comes_to_exactly_what_it_promises(
    language: str, own_server: Server, windows: Windows, sampled: Sampled, photo: Callable[..., bytes]
) -> None:
    app = App(Settings(data=own_server.data, provider="local"))
    long, locale = sampled.whole, {"en": "en-US", "fr": "fr-FR"}[language]
    with windows.visit(own_server, locale=locale) as visitor, others(OTHERS if long else 0):
        slower = visitor.page.context.new_cdp_session(visitor.page)
        slower.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER if long else 1})
        person = Person(visitor, app, language, sampled.random, photo)
        for name in _order(sampled):
            began, before = time.monotonic(), person.done
            try:
                ACTS[name].do(person)
            except Exception as error:  # the others are to be seen as well
                person.fault(f"{name}: {type(error).__name__}: {str(error)[:600]}")
                visitor.page.keyboard.press("Escape")
                visitor.open("/library")
                person.used, person.known = True, person.facts()
            print(f"{name}: {person.done - before} presses, {time.monotonic() - began:.1f} s", flush=True)
            if person.done >= (PRESSES if long else FEW) and not CHOSEN:
                break
        person.made()
        person.leave()
        slower.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        slower.detach()
    print(f"{person.done} presses in {language}, {len(person.wrong)} of them wrong; aimed again {person.missed} times")
    assert person.wrong == []
    overridden = {row.prompt for row in person.service.index.search(size=1_000).rows if row.overridden}
    assert overridden <= person.chosen, "a workflow that nobody chose"


def _order(sampled: Sampled) -> Iterator[str]:
    """Yield the names of acts by chance, those of one page after each other where many are to be pressed; without end."""
    names = CHOSEN or sorted(ACTS)
    while True:
        sampled.random.shuffle(names)
        if sampled.whole:
            places = list(dict.fromkeys(ACTS[name].place for name in names))
            names.sort(key=lambda name: places.index(ACTS[name].place))
        yield from names
        if CHOSEN:
            return
