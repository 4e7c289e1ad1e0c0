"""The presses about what is kept beside operations: searches, links, reviews, settings, and the care of the folder."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta

from playwright.sync_api import expect

from opstore.app import App, Settings
from opstore.care import Keep, Rule
from opstore.clocks.leaps import NAME
from opstore.shares import Scope
from opstore.ui.storage import stamp
from tests.pressing import Person, act, folder_of

OLD = "20250105101500_{:08x}"


# -- searches ------------------------------------------------------------------------------------------------------------


@act("searches", "save-search-now")
def save_a_search(person: Person) -> None:
    name = f"search {person.unique()}"
    person.stone()
    person.visitor.open("/library?q=stone")
    person.press(person.named("Saved"))
    person.write(person.page.locator('[data-testid="stPopoverBody"] input[type="text"]'), name)
    person.makes("Save of a search", {f"search {name}: stone": 1}, person.pressing(person.by("save-search-now"), "Enter"))


@act("searches", "forget-")
def forget_a_search(person: Person) -> None:
    name = f"search {person.unique()}"
    person.stone()
    person.prepared(lambda: person.service.curation.save_search(name, f"stone -{person.number}"))
    person.visitor.open(f"/library?q=stone -{person.number}")
    person.press(person.named("Saved"))
    forget = person.page.get_by_role("button", name=person.say("Delete “{name}”").format(name=name), exact=True)
    person.makes("Forget", {f"search {name}: stone -{person.number}": -1}, person.pressing(forget))


@act("searches")
def take_a_chip_away(person: Person) -> None:
    person.stone()
    person.visitor.open("/library?q=stone%20type:text_to_image")
    chips = person.page.locator(".st-key-chips button")
    expect(chips).to_have_count(2)
    boxes = "window.boxes = 1; new MutationObserver(() => { window.boxes = Math.max(window.boxes, ["
    boxes += "...document.querySelectorAll('.st-key-search-row [type=search]')].filter(box => box.checkVisibility()).length);"
    person.page.evaluate(boxes + " }).observe(document.body, { childList: true, subtree: true })")
    person.leads("a chip taken away", person.pressing(chips.last), lambda: expect(chips).to_have_count(1))
    expect(person.page.locator(".st-key-search-row [type=search]:visible")).to_have_value("stone")
    if person.page.evaluate("window.boxes") > 1:
        person.fault("two search boxes stood beside each other")


# -- links and bundles ---------------------------------------------------------------------------------------------------


@act("drawer", "share-")
def a_link_of_an_operation(person: Person) -> None:
    stone, drawer = person.at_hand()
    person.press(person.named("Share", within=drawer))
    button = person.by(f"share-drawer-{stone.id}")
    person.makes("Make a link", {f"link open: {stone.id}": 1}, person.pressing(button))
    person.page.keyboard.press("Escape")


@act("grid", "share-")
def a_link_of_a_tile(person: Person) -> None:
    stone = person.stone()
    person.tile(stone).focus()
    person.key("s")
    button = person.by("share-grid")
    person.makes("Make a link", {f"link open: {stone.id}": 1}, person.pressing(button))
    person.page.keyboard.press("Escape")


@act("compare", "share-")
def a_link_of_a_comparison(person: Person) -> None:
    one, other = person.stone(), person.stone()
    person.visitor.open(f"/compare?ids={one.id},{other.id}")
    person.press(person.named("Share"))
    wanted = {f"link open: {', '.join(sorted((one.id, other.id)))}": 1}
    person.makes("Make a link", wanted, person.pressing(person.by("share-compare")))


@act("drawer", "share-bundle-")
def download_the_bundle(person: Person) -> None:
    stone, drawer = person.at_hand()
    person.press(person.named("Share", within=drawer))
    button = person.by(f"share-bundle-drawer-{stone.id}")
    person.makes("Download the offline page", {"saved by the browser": 1}, person.pressing(button))
    person.page.keyboard.press("Escape")


@act("settings", "revoke-", "unlist-")
def end_a_link(person: Person) -> None:
    stone = person.stone()
    share = person.prepared(lambda: person.service.shares.create(Scope("operation", (stone.id,)), lasts=timedelta(days=1)))
    person.visitor.open("/settings")
    wanted = {f"link open: {stone.id}": -1, f"link taken back: {stone.id}": 1}
    person.makes("Revoke", wanted, person.pressing(person.by(f"revoke-{share.id}")))
    button = person.by(f"unlist-{share.id}")
    expect(button).to_be_visible()
    person.makes("Remove from the list", {f"link taken back: {stone.id}": -1}, person.pressing(button))


# -- settings ------------------------------------------------------------------------------------------------------------


def _setting(person: Person, name: str, label: str, wanted: int | float) -> None:
    person.go("/settings")
    before = getattr(person.service.preferences(), name)
    person.write(person.page.get_by_label(person.say(label), exact=True), str(wanted))
    changed = {f"setting {name}: {before}": -1, f"setting {name}: {wanted}": 1}
    person.makes(f"Save of {label}", changed, person.pressing(person.by("settings-save")))


@act("settings", "settings-save")
def save_how_many_at_a_time(person: Person) -> None:
    _setting(person, "parallel", "Operations at a time", person.service.preferences().parallel % 8 + 1)


@act("settings", "settings-save")
def save_a_budget(person: Person) -> None:
    person.number += 1
    _setting(person, "monthly_budget", "A month (US dollars)", 1_000.0 + person.number)


# -- reviews -------------------------------------------------------------------------------------------------------------


@act("review", "begin")
def begin_a_review(person: Person) -> None:
    title, query = f"review {person.unique()}", f"pair {person.number}"
    for _ in range(2):
        person.stone(prompt=f"a lake, pair {person.language} {person.number}")
    person.visitor.open("/review")
    boxes = person.page.locator(".stForm").get_by_role("textbox")
    person.write(boxes.last, query.replace("pair", f"pair {person.language}"))
    person.write(boxes.first, title)
    person.makes("Start", {f"review: {title}": 1}, person.pressing(person.by("begin")))
    expect(person.page.locator(".st-key-booth button").first).to_be_visible()


@act("review", "take-back")
def vote_and_take_it_back(person: Person) -> None:
    prompt, title = f"a lake, votes {person.unique()}", f"votes {person.number} {person.language}"
    ids = [person.stone(prompt=prompt).id for _ in range(3)]
    review = person.prepared(lambda: person.service.reviews.begin(title, ids=ids))
    person.visitor.open(f"/review?id={review.id}")
    booth = person.page.locator(".st-key-booth button")
    expect(booth.first).to_be_visible()
    choices = [_cast(person, title) for _ in range(3)]
    back = person.by("take-back")
    expect(back).to_be_visible()
    person.makes("Undo the last vote", {f"vote {choices[-1]}: {title}": -1}, person.pressing(back))
    expect(booth.last).to_be_enabled()
    person.makes("Undo of a vote", {f"vote {choices[-2]}: {title}": -1}, person.pressing(booth.last, "z"))


def _cast(person: Person, title: str) -> str:
    """Cast a vote, and return it when the next pair stands there."""
    choice = person.chance.choice(("left", "tie", "right", "skip"))
    at, key = {"left": (0, "1"), "tie": (1, "="), "right": (2, "2"), "skip": (3, "s")}[choice]
    before, button = _turn(person), person.page.locator(".st-key-booth button").nth(at)
    person.makes(f"a vote: {choice}", {f"vote {choice}: {title}": 1}, person.pressing(button, key))
    assert person.until(lambda: _turn(person) != before)
    return choice


def _turn(person: Person) -> str:
    """Return what tells the pair in the booth from the one before."""
    pair = "all => all.map(item => item.src).join() + (all[0]?.closest('.sides')?.className ?? '')"
    return str(person.page.locator(".sides img").evaluate_all(pair))


# -- the care of the folder ----------------------------------------------------------------------------------------------


def _storage(person: Person, *, anew: bool = False, expanded: str = "") -> None:
    """Be on Storage; `anew` where another program has done something that it is to show."""
    person.idle()
    if anew or expanded:
        person.visitor.open("/storage")
    else:
        person.go("/storage")
    if expanded:
        person.page.get_by_test_id("stExpander").filter(has_text=person.say(expanded)).locator("summary").click()


def _of(person: Person, button: str, kind: str) -> str:
    """Return the key of the button that does what the last act of a kind has looked into."""
    looked = person.service.care.desk.last(kind)
    assert looked, kind
    return f"{button}-{stamp(looked)}"


def _begins(person: Person, what: str, kind: str, button: str, **more: int) -> None:
    wanted = {f"act {kind}": 1, **more}
    person.makes(what, wanted, person.pressing(person.by(button)))
    person.idle()


@act("storage", "look")
def measure_again(person: Person) -> None:
    _storage(person)
    expect(person.by("look")).to_be_enabled()
    person.idle()
    desk, before = person.service.care.desk, person.service.care.desk.last("look")
    person.press(person.by("look"))
    person.done += 1
    if not person.until(lambda: desk.last("look") != before):
        person.fault("Measure again")
    person.idle()


@act("storage", "verify")
def look_for_problems(person: Person) -> None:
    _storage(person)
    _begins(person, "Check for problems", "verify", "verify")


@act("storage", "repair-")
def mend_problems(person: Person) -> None:
    person.idle()
    left = person.app.store.operations.path / f"{OLD.format(person.chance.getrandbits(31))}_out.jpg"
    left.write_bytes(person.photo("coffee", size=(50, 40)))
    long_ago = time.time() - 10 * 86_400
    os.utime(left, (long_ago, long_ago))
    person.care(person.service.care.desk.verify)
    _storage(person, anew=True)
    button = person.by(_of(person, "repair", "verify"))
    expect(button).to_be_visible()
    before = person.known
    person.press(button)
    person.done += 1
    if not person.until(lambda: person.facts()["act repair"] == before["act repair"] + 1):
        person.fault("Repair")
    person.idle()
    person.known = person.facts()  # what it has adopted is another test's


@act("storage", "rule-look")
def see_what_may_go(person: Person) -> None:
    _storage(person)
    _begins(person, "Preview clean-up", "plan", "rule-look")


@act("storage", "clean-")
def move_what_may_go(person: Person) -> None:
    stone = person.stone(when=OLD.format(person.chance.getrandbits(31)))
    person.care(lambda: person.service.care.desk.plan(Rule(30, query=f'"{stone.prompt}"')))
    _storage(person, anew=True)
    moved = {f"text_to_image: {stone.prompt}": -1, f"trash: {stone.prompt}": 1}
    _begins(person, "Move to the trash", "clean", _of(person, "clean", "plan"), **moved)


@act("storage", "retention-save")
def save_what_goes_every_day(person: Person) -> None:
    _storage(person, expanded="Automatic clean-up")
    before, wanted = person.service.preferences().retention_query, f"shed {person.unique()}"
    person.write(person.page.locator(".st-key-retention-query input"), wanted)
    changed = {f"setting retention_query: {before}": -1, f"setting retention_query: {wanted}": 1}
    person.makes("Save", changed, person.pressing(person.by("retention-save")))


@act("storage", "packable", "pack-", "unpack")
def pack_and_unpack(person: Person) -> None:
    person.stone(when=OLD.format(person.chance.getrandbits(31)))
    _storage(person, anew=True)
    _begins(person, "Estimate savings", "packable", "packable")
    button = _of(person, "pack", "packable")
    expect(person.by(button)).to_be_visible()
    _begins(person, "Pack", "pack", button, **{"packed 2025-01": 1})
    opener = person.named("Unpack")
    expect(opener).to_be_enabled()
    person.press(opener)
    _begins(person, "Bring back", "unpack", "unpack", **{"packed 2025-01": -1})


@act("storage", "backup", "compare-backup", "restore")
def back_up_and_restore(person: Person) -> None:
    _target(person)
    stone = person.stone()
    _storage(person, anew=True)
    _begins(person, "Back up now", "backup", "backup", backups=1)
    person.prepared(
        lambda: (person.service.curation.put_in_trash([stone.id]), person.service.curation.remove_for_good([stone.id]))
    )
    _storage(person, anew=True)  # the newest one is chosen
    _begins(person, "Compare with the library", "restore", "compare-backup")
    _begins(person, "Bring back", "restore", "restore", **{f"text_to_image: {stone.prompt}": 1})


def _target(person: Person) -> str:
    target = str(folder_of(person, "backups"))
    person.prepared(lambda: person.service.change_preferences(backup_target=target, backup_keep=None))
    return target


@act("storage", "keep-look", "keep-save", "prune-")
def let_old_backups_go(person: Person) -> None:
    target, keep = _target(person), Keep(1, 0, 0)
    for _ in range(2):
        person.care(lambda: person.service.care.desk.back_up(target))
    _storage(person, expanded="Old backups")
    _begins(person, "Preview removal", "prunable", "keep-look")
    days = person.chance.randint(8, 30)
    person.write(person.page.locator(".st-key-keep-0 input"), str(days))
    person.page.locator(".st-key-keep-on label").click()
    weeks = [int(person.page.locator(f".st-key-keep-{at} input").input_value()) for at in (1, 2)]
    changed = {"setting backup_keep: None": -1, f"setting backup_keep: {(days, *weeks)}": 1}
    person.makes("Save", changed, person.pressing(person.by("keep-save")))
    person.care(lambda: person.service.care.desk.prune(target, keep))
    count = len(person.service.care.local_snapshots(target)) - 1
    _storage(person, expanded="Old backups")
    person.press(
        person.page.get_by_role("button", name=str(count))
        .filter(has_text="backup" if person.language == "en" else "sauvegarde")
        .last
    )
    _begins(person, "Remove for good", "prune", _of(person, "prune", "prunable"), backups=-count)


@act("storage", "import-")
def take_in_a_folder(person: Person) -> None:
    prompt = f"from elsewhere {person.unique()}"
    source = folder_of(person, f"elsewhere {person.number}")
    other = App(Settings(data=source, provider="local")).store
    name = OLD.format(person.chance.getrandbits(31))
    other.save(name, {"operationType": "text_to_image", "prompt": prompt}, outputs=[person.photo("coffee", size=(40, 40))])
    _storage(person)
    person.write(person.page.locator(".st-key-import-source input"), str(source))
    person.page.keyboard.press("Tab")
    _begins(person, "Preview import", "import", "import-True")
    _begins(person, "Import", "import", "import-False", **{f"text_to_image: {prompt}": 1})


@act("storage", "rebuild")
def build_the_index_anew(person: Person) -> None:
    _storage(person)
    _begins(person, "Rebuild index", "rebuild", "rebuild")


@act("storage", "empty")
def empty_the_trash(person: Person) -> None:
    stone = person.stone()
    person.prepared(lambda: person.service.curation.put_in_trash([stone.id]))
    _storage(person, anew=True)
    person.press(person.named("Empty the trash"))
    gone = {name: -count for name, count in person.known.items() if name.startswith("trash: ")}
    _begins(person, "Remove all for good", "empty", "empty", **gone)


@act("storage", "trust-clock")
def say_that_the_clock_is_right(person: Person) -> None:
    person.idle()
    path, now = person.app.store.root / NAME, time.time()
    person.prepared(
        lambda: path.write_text(
            json.dumps(json.loads(path.read_text()) | {"leap": {"before": now - 1e6, "after": now, "ran": 0.0}})
        )
    )
    assert person.known["the clock leapt"]
    _storage(person, anew=True)
    person.makes("The clock is right", {"the clock leapt": -1}, person.pressing(person.by("trust-clock")))
