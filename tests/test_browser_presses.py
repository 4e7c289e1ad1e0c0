"""Presses as people make them on a busy machine: held, typed before, by mouse and by key, in both languages; each done once.

What is pressed must come to exactly one thing, of the type that its words ask for; a press that came to nothing fails with what
the page said.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from opstore.app import App, Settings
from opstore.service import NewOperation, Service
from tests.browser import PATIENCE, Server, Visitor, Windows

pytest_plugins = ("tests.browser_fixtures",)
pytestmark = pytest.mark.long

PRESSES = 500
#: How much slower the browser's processor is than the machine's, and how many other programs compute.
SLOWER, OTHERS = 3, 2
PICTURES = {"en": "a red barn number {}", "fr": "une grange rouge numéro {}"}
VIDEOS = {"en": "a video of waves, slow motion, number {}", "fr": "une vidéo de vagues au ralenti, numéro {}"}


@dataclass
class Person:
    """Somebody at a window: what they press, by chance, and what the folder must hold then."""

    visitor: Visitor
    service: Service
    language: str
    chance: random.Random
    number: int = 0
    done: int = 0
    lost: list[str] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)

    @property
    def page(self) -> Page:
        return self.visitor.page

    def write(self, box: Locator, text: str) -> None:
        """Write with the keyboard, and wait as long as people do before they press."""
        box.click()
        box.press("Control+a")
        self.page.keyboard.type(text, delay=self.chance.choice((0, 5, 15)))
        self.page.wait_for_timeout(self.chance.uniform(0, 800))

    def press(self, button: Locator) -> None:
        """Press a button with the mouse, held as people hold it, or with a key."""
        expect(button).to_be_enabled(timeout=PATIENCE)
        if self.chance.random() < 0.3:
            button.focus()
            self.page.keyboard.press("Enter")
            return
        button.scroll_into_view_if_needed()
        place = button.bounding_box()
        assert place
        self.page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        self.page.mouse.down()
        self.page.wait_for_timeout(self.chance.uniform(0, 500))
        self.page.mouse.up()

    def becomes(self, what: str, found: Callable[[], bool]) -> None:
        """Wait until the folder holds what was pressed for."""
        deadline = time.monotonic() + PATIENCE / 1000
        self.done += 1
        while not found():
            if time.monotonic() > deadline:
                said = self.page.locator(".ops-note, [role=alert], [data-testid=stToast]").all_inner_texts()
                self.lost.append(f"press {self.number} ({what}): {said}")
                return
            time.sleep(0.1)

    # -- what is pressed ---------------------------------------------------------------------------------------------

    def generate(self) -> None:
        video = self.chance.random() < 0.3
        text = (VIDEOS if video else PICTURES)[self.language].format(self.number)
        self.asked[text] = "text_to_video" if video else "text_to_image"
        if not self.visitor.prompt.count():
            self.visitor.open()
        self.write(self.visitor.prompt, text)
        if self.chance.random() < 0.4:
            self.page.keyboard.press("Control+Enter")
        else:
            self.press(self.page.locator(".st-key-generate button"))
        self.becomes("Generate", lambda: text in self.prompts())

    def prompts(self) -> list[str]:
        return [item.prompt for item in self.service.jobs()] + [item.prompt for item in self.service.latest(200)]

    def ids(self) -> set[str]:
        return {item.id for item in self.service.jobs()} | {item.id for item in self.service.latest(200)}

    def run_again(self) -> None:
        self.becomes("what was under way", lambda: not self.service.jobs())  # what is newest changes meanwhile
        self.visitor.open()
        button = self.page.locator('[class*="st-key-again-create-"] button').first
        expect(button).to_be_visible(timeout=PATIENCE)
        before = self.ids()
        self.press(button)
        self.becomes("Run again", lambda: len(self.ids() - before) == 1)

    def save_settings(self) -> None:
        self.visitor.open("/settings")
        box, wanted = self.page.locator('input[type="number"]').last, self.service.preferences().parallel % 8 + 1
        self.write(box, str(wanted))
        self.press(self.page.locator(".st-key-settings-save button"))
        self.becomes("Save of the settings", lambda: self.service.preferences().parallel == wanted)

    def save_search(self) -> None:
        name = f"search {self.language} {self.number}"
        self.visitor.open("/library?q=barn")
        self.page.get_by_role("button", name="Saved" if self.language == "en" else "Enregistrées").first.click()
        self.write(self.page.get_by_role("textbox").last, name)
        self.press(self.page.locator(".st-key-save-search-now button"))
        self.becomes("Save of a search", lambda: name in self.service.curation.searches())

    def begin_review(self) -> None:
        title = f"review {self.language} {self.number}"
        self.visitor.open("/review")
        boxes = self.page.locator(".stForm").get_by_role("textbox")
        self.write(boxes.last, "lake")
        self.write(boxes.first, title)
        self.press(self.page.locator(".st-key-begin button"))
        self.becomes("Begin of a review", lambda: [item.title for item in self.service.reviews.all()].count(title) == 1)
        review = next(item for item in self.service.reviews.all() if item.title == title)
        booth = self.page.locator(".st-key-booth button")
        expect(booth.first).to_be_visible(timeout=PATIENCE)
        self.press(booth.first)
        self.becomes("a vote", lambda: len(self.service.reviews.votes(review.id)) == 1)

    def trash(self) -> None:
        operation = next(item for item in self.service.latest(200, "stored") if item.prompt.startswith("a spare stone"))
        self.visitor.open(f"/library?operation={operation.id}")
        self.press(self.page.locator(f".st-key-trash-{operation.id} button"))
        gone = lambda: operation.id in [item.operation_id for item in self.service.curation.trashed()]  # noqa: E731
        self.becomes("Move to trash", gone)

    def look_for_problems(self) -> None:
        self.visitor.open("/storage")
        last = self.service.care.desk.last("verify")
        self.press(self.page.locator(".st-key-verify button"))
        self.becomes("Look for problems", lambda: self.began(last))

    def began(self, last: Any) -> bool:
        now = self.service.care.desk.last("verify")
        return now is not None and (last is None or now.began != last.began)


ACTS = (
    "generate",
    "generate",
    "generate",
    "run_again",
    "save_settings",
    "save_search",
    "begin_review",
    "trash",
    "look_for_problems",
)


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
        for route in arrived:
            route.continue_()
        expect(page.get_by_role("img", name="Image 1")).to_be_visible()
        visitor.settle()
        button.focus()
        page.keyboard.press("Enter")
        assert server.stored("sepia, held back")["operationType"] == "image_edit_single"
        visitor.settle()
    assert not server.jobs()
    for prompt in ("a quiet lake at dawn", "sepia, held back"):
        assert len(server.by_prompt(prompt)) == 1, prompt


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_press_is_done_exactly_once_and_is_of_the_right_type(
    language: str, own_server: Server, windows: Windows, sampled: Any, request: pytest.FixtureRequest
) -> None:
    cases = sampled(range(PRESSES // 2), 3)
    service = App(Settings(data=own_server.data, provider="local")).service
    for number in range(max(3, sum(ACTS[case % len(ACTS)] == "trash" for case in cases) + 2)):
        own_server.hand_in(NewOperation("text_to_image", f"a spare stone {number} by the lake", parameters={"seed": number}))
    locale = {"en": "en-US", "fr": "fr-FR"}[language]
    with windows.visit(own_server, locale=locale) as visitor, others(OTHERS if len(cases) > 3 else 0):
        slower = visitor.page.context.new_cdp_session(visitor.page)
        slower.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        person = Person(visitor, service, language, random.Random(f"{language} {request.config.option.seed}"))
        for case in cases:
            person.number = case
            getattr(person, ACTS[case % len(ACTS)])()
        slower.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        slower.detach()
    deadline = time.monotonic() + 60 + 10 * len(cases)
    while service.jobs() and time.monotonic() < deadline:
        time.sleep(0.2)
    made: Counter[str] = Counter()
    for item in service.index.search(size=1_000).rows:
        made[item.prompt] += 1
    print(f"{person.done} presses in {language}: {len(person.lost)} lost, {len(person.asked)} requests")
    assert person.lost == []
    again = sum(ACTS[case % len(ACTS)] == "run_again" for case in cases)
    assert sum(made[text] for text in person.asked) - len(person.asked) <= again, "nothing is done twice"
    for text, kind in person.asked.items():
        record = own_server.by_prompt(text)[-1]
        assert (record["operationType"], record["workflowAnalysis"]["overriddenTo"]) == (kind, None), text
