"""A person at a window who presses things, and what the folder holds: a press comes to exactly what it promises, once.

Everything that presses can change is counted under a text that nothing else has. What a press came to is looked at until it is
what was promised; and once more before the next press, so that whatever came too much, or later, is seen.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Download, Locator, Page, expect

from opstore.app import App
from opstore.errors import OpstoreError
from opstore.language import translations
from opstore.service import Service
from opstore.storage.names import generate_operation_id
from tests.browser import PATIENCE, Visitor

#: What a press changes, by what it changes, and by how much; and acts of the care of a folder, which are counted as they end.
Changes = Mapping[str, int]
CARE = (
    "plan",
    "clean",
    "verify",
    "repair",
    "backup",
    "restore",
    "prunable",
    "prune",
    "empty",
    "rebuild",
    "import",
    "packable",
    "pack",
    "unpack",
)
#: Notes whether the mouse goes down on the button that is aimed at, or on the one that has taken its place.
_AIM = """button => {
  const { textContent, localName } = button;
  addEventListener("pointerdown", event => {
    window.aimed = event.composedPath().some(item => item === button ||
      (item.localName === localName && item.textContent === textContent));
  }, { capture: true, once: true });
}"""
#: Milliseconds that people wait before they press at most, and hold what they press.
WAIT, HELD = 800, 500
ACTS: dict[str, Act] = {}


@dataclass(frozen=True, slots=True)
class Act:
    """One press of a table: on which page, the beginnings of the keys of the buttons that it presses, and how it is done."""

    place: str
    keys: tuple[str, ...]
    do: Callable[[Person], None]


def act(place: str, *keys: str) -> Callable[[Callable[[Person], None]], Callable[[Person], None]]:
    """Put an act into the table, under the name of its function."""

    def enter(do: Callable[[Person], None]) -> Callable[[Person], None]:
        ACTS[do.__name__] = Act(place, keys, do)
        return do

    return enter


@dataclass(frozen=True, slots=True)
class Stone:
    """An operation that another program has stored, to be pressed about."""

    id: str
    prompt: str


@dataclass
class Person:
    """Somebody at a window, who presses by chance as people do, and whoever looks into the folder meanwhile."""

    visitor: Visitor
    app: App
    language: str
    chance: random.Random
    photo: Callable[..., bytes]
    pace: float = 1.0
    number: int = 0
    done: int = 0
    #: Times that the mouse went down beside a button.
    missed: int = 0
    wrong: list[str] = field(default_factory=list)
    #: Prompts for which the workflow was chosen by hand.
    chosen: set[str] = field(default_factory=set)
    #: Whether something beside words stands in the form of Create.
    used: bool = False
    #: Whose drawer was opened last.
    opened: Stone | None = None
    known: Counter[str] = field(default_factory=Counter)
    _last: str = ""
    _ended: dict[str, set[str]] = field(default_factory=dict)
    _saved: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with what the folder holds now."""
        self.page.on("download", self._note)
        self.known = self.facts()

    def leave(self) -> None:
        """Look a last time whether anything came too much."""
        self.page.remove_listener("download", self._note)
        self.still()

    def _note(self, download: Download) -> None:
        self._saved.append(download.suggested_filename)

    @property
    def page(self) -> Page:
        return self.visitor.page

    @property
    def service(self) -> Service:
        return self.app.service

    def say(self, text: str) -> str:
        """Return a text of ours in this person's language."""
        return translations.translated(text, self.language)

    def unique(self) -> str:
        """Return words that nothing else in the folder has."""
        self.number += 1
        return f"{self.language} {self.number}"

    # -- what the folder holds -------------------------------------------------------------------------------------------

    def facts(self) -> Counter[str]:
        """Count everything that presses can change."""
        held: Counter[str] = Counter()
        service, jobs = self.service, self.service.jobs()
        kinds = {item.id: (item.type, item.prompt) for item in jobs}
        stopped = {item.id: item.prompt for item in jobs if item.cancel}
        for row in service.index.search(size=1_000).rows:
            kinds[row.id] = (row.type, row.prompt)
            judged = {"rated": row.rating, "favorite": row.favorite or None, "noted": row.note or None}
            held.update(f"{name} {value}: {row.prompt}" for name, value in judged.items() if value is not None)
            held.update(f"tagged {tag}: {row.prompt}" for tag in row.tags)
            stopped |= {row.id: row.prompt} if row.status == "canceled" else {}
        held.update(f"stopped: {prompt}" for prompt in stopped.values())
        held.update(f"{kind}: {prompt}" for kind, prompt in kinds.values())
        held.update(f"trash: {(item.sidecar or {}).get('prompt')}" for item in service.curation.trashed())
        held.update(f"search {name}: {query}" for name, query in service.curation.searches().items())
        held.update(f"setting {name}: {value}" for name, value in asdict(service.preferences()).items())
        return +(held + self._records() + self._care())

    def _records(self) -> Counter[str]:
        held = Counter({"saved by the browser": len(self._saved), "branches": len(self.service.branches.all())})
        now = time.time()
        for item in self.service.shares.all():
            state = "taken back" if item.share and item.share.revoked else "open"
            held[f"link {state}: {', '.join(sorted(item.share.scope.operations)) if item.share else now}"] += 1
        for review in self.service.reviews.all():
            held[f"review: {review.title}"] += 1
            for vote in self.service.reviews.votes(review.id):
                choice = "skip" if vote.skipped else {vote.left: "left", vote.right: "right"}.get(vote.winner or "", "tie")
                held[f"vote {choice}: {review.title}"] += 1
        return held

    def _care(self) -> Counter[str]:
        care, held = self.service.care, Counter[str]()
        for kind in CARE:
            last = care.desk.last(kind)
            if last and last.ended:
                self._ended.setdefault(kind, set()).add(last.ended)
            held[f"act {kind}"] = len(self._ended.get(kind, ()))
        held["the clock leapt"] = int(care.leaps.standing() is not None)
        held["backups"] = len(care.local_snapshots(self.service.preferences().backup_target or "nowhere"))
        held.update(f"packed {month}" for month in care.compression.months())
        return held

    # -- presses ---------------------------------------------------------------------------------------------------------

    def fault(self, said: str) -> None:
        """Note what went wrong, and go on."""
        print(f"WRONG: {said}", flush=True)
        if shots := os.environ.get("PRESS_SHOTS"):
            self.page.screenshot(path=f"{shots}/{self.language}-{self.number}-{len(self.wrong)}.png")
        self.wrong.append(said)

    def makes(self, what: str, wanted: Changes, press: Callable[[], None]) -> None:
        """Press, and wait until the folder has changed by just this."""
        self.still()
        before, self._last = self.known, f"{self.number} in {self.language} ({what})"
        press()
        self.done += 1
        wanted = {name: by for name, by in wanted.items() if by}
        if not self.until(lambda: self._changes(before) == wanted):
            found = {name: by for name, by in self._changes(before).items() if wanted.get(name) != by}
            missing = {name: by for name, by in wanted.items() if self._changes(before).get(name) != by}
            said = self.page.locator(".ops-note, [role=alert], [data-testid=stToast]").all_inner_texts()
            self.fault(f"press {self._last}: wanted {missing}, found {found}; the page says {said}")
        self.known = self.facts()

    def leads(self, what: str, press: Callable[[], None], look: Callable[[], object]) -> None:
        """Press what changes only what is shown, and look whether that is what was promised."""

        def looking() -> None:
            press()
            try:
                look()
            except AssertionError as error:
                self.fault(f"press {self._last}: {str(error)[:400]}")

        self.makes(what, {}, looking)

    def still(self) -> None:
        """See to it that nothing has come since the last press."""
        if not self.until(lambda: self.facts() == self.known, 5):
            self.fault(f"after press {self._last} there came {self._changes(self.known)}")
            self.known = self.facts()

    def prepared(self, prepare: Callable[[], Any]) -> Any:
        """Let another program change the folder."""
        self.still()
        made = prepare()
        self.service.index.update()
        self.known = self.facts()
        return made

    def _changes(self, before: Counter[str]) -> dict[str, int]:
        now = self.facts()
        return {name: now[name] - before[name] for name in {*now, *before} if now[name] != before[name]}

    def until(self, found: Callable[[], bool], seconds: float = PATIENCE / 1000) -> bool:
        deadline = time.monotonic() + seconds
        while not found():
            if time.monotonic() > deadline:
                return False
            self.page.wait_for_timeout(150)  # the browser goes on meanwhile
        return True

    def pause(self) -> None:
        """Wait as long as people do before they press."""
        self.page.wait_for_timeout(self.chance.uniform(0, WAIT) * self.pace)

    def press(self, button: Locator, *, keys: Sequence[str] = ("Enter", "Space")) -> None:
        """Press a button with the mouse, held as people hold it, or with a key."""
        self.pause()
        held = self.chance.uniform(0, HELD) * self.pace
        key = self.chance.choice(keys) if keys and self.chance.random() < 0.4 else ""
        for _ in range(5):
            expect(button).to_be_enabled(timeout=PATIENCE)
            if self._struck(button, key, held) if key else self._clicked(button, held):
                return
            self.missed += 1

    def _struck(self, button: Locator, key: str, held: float) -> bool:
        """Press a key on a button; not where the focus did not get to it, since it was closed just then."""
        button.focus()
        if has_focus := button.evaluate("button => button.getRootNode().activeElement === button"):
            self.page.keyboard.press(key, delay=held)
        return bool(has_focus)

    def _clicked(self, button: Locator, held: float) -> bool:
        """Click a button; False where the mouse went down beside it, since the page has just moved: who sees that aims again."""
        button.hover()
        button.evaluate(_AIM)
        self.page.mouse.down()
        self.page.wait_for_timeout(held)
        self.page.mouse.up()
        return self.page.evaluate("window.aimed !== false") is True

    def pressing(self, button: Locator, key: str = "", *, mouse: bool = False) -> Callable[[], None]:
        """Return what presses a button, with nothing but the mouse if need be; or, where it has one, a key, half of the times."""
        if key and self.chance.random() < 0.5:
            return lambda: self.key(key)
        return lambda: self.press(button, keys=() if mouse else ("Enter", "Space"))

    def key(self, key: str) -> None:
        """Press a key where the focus is."""
        self.pause()
        self.page.keyboard.press(key, delay=self.chance.uniform(0, 60))

    def write(self, box: Locator, text: str) -> None:
        """Write with the keyboard."""
        box.click()
        box.press("Control+a")
        self.page.keyboard.type(text, delay=self.chance.choice((0, 5, 15)))

    def by(self, key: str) -> Locator:
        """Return the button of a key."""
        return self.page.locator(f".st-key-{key} button").first

    def named(self, text: str, role: Any = "button", within: Locator | None = None) -> Locator:
        """Return what has a name, said in English here."""
        name = re.compile(f"^{re.escape(self.say(text))}")
        return (within or self.page).get_by_role(role, name=name).first

    # -- where things are ------------------------------------------------------------------------------------------------

    def go(self, path: str) -> None:
        """Be on a page."""
        if self.page.url != self.visitor.address + path:
            self.visitor.open(path)

    def create(self, *, clean: bool = True) -> None:
        """Be on Create, with nothing in the form but words."""
        if (clean and self.used) or not self.visitor.prompt.count():
            self.page.evaluate("sessionStorage.clear()")  # another tab: no draft comes back
            self.visitor.open("/")
            expect(self.visitor.prompt).to_have_value("")
            self.used = False

    def form(self, prompt: str | None, pictures: int, kind: str) -> None:
        """See to it that the form of Create holds what was promised."""
        self.used = bool(pictures)
        if prompt is not None:
            expect(self.visitor.prompt).to_have_value(prompt)
        expect(self.page.get_by_role("img", name=re.compile(r"^Image \d+$"))).to_have_count(pictures)
        if kind:
            expect(self.page.locator(f'.st-key-workflow [role="radio"][data-value="{kind}"]')).to_be_checked()

    def drawer(self, stone: Stone) -> Locator:
        """Return the drawer of an operation, opened by its link."""
        listens = self.page.locator(f'[data-listens="{stone.id}"]')
        if not listens.count():
            self.visitor.open(f"/library?operation={stone.id}")
            expect(listens).to_be_attached()
        self.opened = stone
        return self.page.locator(".st-key-opened")

    def at_hand(self) -> tuple[Stone, Locator]:
        """Return the operation whose drawer is open, or another one, and its drawer."""
        stone = self.opened
        if stone is None or not self.page.locator(f'[data-listens="{stone.id}"]').count():
            stone = self.stone(inputs=self.chance.randint(0, 1))
        return stone, self.drawer(stone)

    def said(self, name: str, stone: Stone) -> str:
        """Return what is held of an operation under the beginning of a fact, nothing if there is none."""
        found = [fact for fact in self.known if fact.startswith(f"{name} ") and fact.endswith(f": {stone.prompt}")]
        return found[0] if found else ""

    def tile(self, stone: Stone) -> Locator:
        """Return the tile of an operation in the library, which comes there by itself."""
        if not self.page.url.split("?")[0].endswith("/library") or "?" in self.page.url:
            self.visitor.open("/library")
        found = self.page.locator(f'button.tile[data-id="{stone.id}"]')
        expect(found).to_be_visible()
        return found

    def stone(self, *, inputs: int = 0, parent: Stone | None = None, prompt: str = "", when: str = "") -> Stone:
        """Let another program store an operation."""
        kind = "image_edit_single" if inputs else "text_to_image"
        made = Stone(when or self._newest(), prompt or f"sepia, a stone by the lake {self.unique()}")
        pictures = [self.photo("coffee", size=(60 + at, 40)) for at in range(inputs + 1)]
        sidecar: dict[str, Any] = {"operationType": kind, "prompt": made.prompt, "provider": "local"}
        if when:
            sidecar["timestamp"] = "2025-01-05T10:15:00Z"
        if parent:
            sidecar["parents"] = [parent.id]
        self.prepared(lambda: self.app.store.save(made.id, sidecar, inputs=pictures[1:], outputs=pictures[:1]))
        return made

    def _newest(self) -> str:
        """Return an id that is newer than all: of two of one second, chance says which stands first among the latest results."""
        self.service.index.update()
        latest = next(iter(self.service.latest(1)), None)
        while latest and generate_operation_id() <= latest.id[:15] + "g":
            self.page.wait_for_timeout(100)
        return generate_operation_id()

    def made(self) -> None:
        """Wait until everything that was asked for has been made."""
        assert self.until(lambda: not self.service.jobs(), 600), "something is still under way"

    def idle(self) -> None:
        """Wait until nothing is done about the folder."""
        assert self.until(lambda: not self.service.care.desk.running(), 120), "something is still being done"

    def care(self, begin: Callable[[], None]) -> None:
        """Let another program do something about the folder."""

        def work() -> None:
            for _ in range(100):
                try:
                    begin()
                    break
                except OpstoreError:  # another act is at work
                    self.page.wait_for_timeout(100)
            self.idle()

        self.prepared(work)


def folder_of(person: Person, name: str) -> Path:
    """Return a folder beside the data folder."""
    path = person.app.store.root.parent / f"{name} {person.language}"
    path.mkdir(exist_ok=True)
    return path
