"""The presses about operations: on Create, in the grid, the preview and the drawer, on Family; each with what it comes to."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from opstore.service import NewOperation
from tests.pressing import Person, Stone, act

PICTURES = {"en": "a red barn, {}", "fr": "une grange rouge, {}"}
VIDEOS = {"en": "a video of waves, slow motion, {}", "fr": "une vidéo de vagues au ralenti, {}"}
EDITS = {"en": "make it sepia, {}", "fr": "en sépia, {}"}


def words(person: Person, of: dict[str, str]) -> str:
    return of[person.language].format(person.unique())


def generate(person: Person) -> None:
    if person.chance.random() < 0.3:
        person.key("Control+Enter")
    else:
        person.press(person.by("generate"))


def asks(person: Person, kind: str, text: str, count: int = 1) -> None:
    """Write words, and have them made."""
    person.write(person.visitor.prompt, text)
    person.makes(f"Generate: {kind}", {f"{kind}: {text}": count}, lambda: generate(person))


# -- Create --------------------------------------------------------------------------------------------------------------


@act("create", "generate")
def a_picture_from_words(person: Person) -> None:
    person.create()
    asks(person, "text_to_image", words(person, PICTURES))


@act("create", "generate")
def a_video_from_words(person: Person) -> None:
    person.create()
    asks(person, "text_to_video", words(person, VIDEOS))


@act("create", "generate")
def an_edit_of_an_uploaded_picture(person: Person) -> None:
    person.create()
    person.used = True
    person.visitor.upload(("x.jpg", person.photo("coffee", size=(90, 60))))
    asks(person, "image_edit_single", words(person, EDITS))


@act("create", "generate")
def variants(person: Person) -> None:
    person.create()
    _variants(person, 3)
    asks(person, "text_to_image", words(person, PICTURES), 3)
    _variants(person, 1)


def _variants(person: Person, count: int) -> None:
    box = person.page.locator(".st-key-choices").get_by_label(person.say("Variants"), exact=True)
    person.write(box, str(count))
    box.press("Tab")


@act("create", "generate")
def another_workflow_than_proposed(person: Person) -> None:
    person.create()
    text = words(person, VIDEOS)
    person.write(person.visitor.prompt, text)
    choice = person.page.locator('.st-key-workflow [role="radio"][data-value="text_to_image"]')
    person.press(choice)
    person.chosen.add(text)
    person.makes("Generate: chosen", {f"text_to_image: {text}": 1}, person.pressing(person.by("generate")))


@act("create", "again-")
def run_again(person: Person) -> None:
    person.made()
    stone = person.stone()
    person.create(clean=False)
    button = person.by(f"again-create-{stone.id}")
    expect(button).to_be_visible()
    person.makes("Run again", {f"text_to_image: {stone.prompt}": 1}, person.pressing(button))


def _long(person: Person, count: int = 1) -> str:
    text = words(person, VIDEOS)
    order = NewOperation("text_to_video", text, parameters={"duration": 10})
    person.prepared(lambda: [person.service.create(order) for _ in range(count)])
    return text


@act("create", "cancel-")
def cancel(person: Person) -> None:
    person.create(clean=False)
    text = _long(person)
    job = next(job for job in person.service.jobs() if job.prompt == text)
    person.makes("Cancel", {f"stopped: {text}": 1}, person.pressing(person.by(f"cancel-create-{job.id}")))


@act("create", "generate", "cancel-sheet-")
def cancel_all_of_a_sheet(person: Person) -> None:
    person.create()
    person.used = True
    text = words(person, VIDEOS)
    person.write(person.visitor.prompt, text)
    person.page.keyboard.press("Tab")
    seconds = person.page.locator('[class*="st-key-text_to_video-duration"] input')
    person.write(seconds, "10")
    _variants(person, 4)
    person.makes("Generate: variants", {f"text_to_video: {text}": 4}, lambda: generate(person))
    batch = next(job.batch_id for job in person.service.jobs() if job.prompt == text)
    person.makes("Cancel all", {f"stopped: {text}": 4}, person.pressing(person.by(f"cancel-sheet-{batch}")))


@act("create", "pick", "remove-images")
def a_picture_from_the_library(person: Person) -> None:
    stone = person.stone()
    person.create()
    person.press(person.by("pick"))
    tile = person.visitor.dialog.locator(f'button.tile[data-id="{stone.id}"]')
    # Which workflow follows from the words that stand there.
    person.leads("From the library", lambda: person.press(tile), lambda: person.form(None, 1, ""))
    if person.chance.random() < 0.5:
        asks(person, "image_edit_single", words(person, EDITS))
    _clear(person)


def _clear(person: Person) -> None:
    """Take the pictures out of the form."""
    person.leads("Remove all images", person.pressing(person.by("remove-images")), lambda: person.form(None, 0, ""))
    person.visitor.prompt.fill("")  # else it is a draft, which comes back
    person.visitor.prompt.press("Tab")
    person.visitor.settle()


# -- from an operation to Create ---------------------------------------------------------------------------------------------


def _onwards(person: Person, what: str, button: Locator, prompt: str | None, pictures: int, kind: str) -> None:
    """Press what leads to Create, look whether the form holds what that promises, and have it made."""
    person.leads(what, lambda: person.press(button), lambda: person.form(prompt, pictures, kind))
    text = prompt or words(person, EDITS)
    if prompt is None:
        asks(person, kind, text)
    else:
        person.makes(f"Generate after {what}", {f"{kind}: {text}": 1}, person.pressing(person.by("generate")))
    _clear(person)


@act("leaving", "remix-")
def use_these_settings(person: Person) -> None:
    stone = person.stone(inputs=1)
    person.drawer(stone)
    _onwards(person, "Use these settings", person.by(f"remix-library-{stone.id}"), stone.prompt, 1, "image_edit_single")
    person.chosen.add(stone.prompt)


@act("leaving", "edit-")
def edit_this(person: Person) -> None:
    stone = person.stone()
    person.drawer(stone)
    _onwards(person, "Edit this", person.by(f"edit-library-{stone.id}"), None, 1, "image_edit_single")


@act("leaving", "animate-")
def animate_this(person: Person) -> None:
    stone = person.stone()
    person.drawer(stone)
    _onwards(person, "Animate this", person.by(f"animate-library-{stone.id}"), None, 1, "image_to_video_single")
    person.chosen.update(row.prompt for row in person.service.index.search(size=5).rows if row.overridden)
    person.chosen.update(job.prompt for job in person.service.jobs())


@act("grid")
def use_in_create(person: Person) -> None:
    stone = person.stone()
    _bar_or_key(person, stone, "Use in Create", "u")
    person.leads("Use in Create", lambda: None, lambda: person.form(None, 1, "image_edit_single"))
    asks(person, "image_edit_single", words(person, EDITS))
    _clear(person)


@act("grid")
def the_settings_of_a_tile(person: Person) -> None:
    stone = person.stone()
    _bar_or_key(person, stone, "Use these settings", "r")
    person.leads("Use these settings", lambda: None, lambda: person.form(stone.prompt, 0, "text_to_image"))
    person.makes("Generate", {f"text_to_image: {stone.prompt}": 1}, lambda: generate(person))


# -- the grid ----------------------------------------------------------------------------------------------------------------


def _bar_or_key(person: Person, stone: Stone, name: str, key: str) -> None:
    """Press a button of the selection's bar, or its key on the tile."""
    tile = person.tile(stone)
    if person.chance.random() < 0.5:
        tile.focus()
        person.key(key)
        return
    tile.locator(".pick").click()
    person.press(person.named(name, within=person.page.locator(".bar")))


def _unselect(person: Person) -> None:
    if person.page.locator(".bar").is_visible():
        person.page.locator(".bar .round").click()


@act("grid")
def rate_a_tile(person: Person) -> None:
    stone, stars = person.stone(), person.chance.randint(1, 5)
    label = person.say("{count} of 5 stars").format(count=stars)
    wanted = {f"rated {stars}: {stone.prompt}": 1}
    person.makes("a rating", wanted, lambda: _bar_or_key(person, stone, label, str(stars)))
    _unselect(person)


@act("grid")
def rate_in_the_preview(person: Person) -> None:
    stone, stars = person.stone(), person.chance.randint(1, 5)
    person.tile(stone).focus()
    person.page.keyboard.press("Space")
    expect(person.page.locator("dialog.preview")).to_be_visible()
    person.makes("a rating", {f"rated {stars}: {stone.prompt}": 1}, lambda: person.key(str(stars)))
    person.page.keyboard.press("Escape")


@act("grid")
def favor_a_tile(person: Person) -> None:
    stone = person.stone()
    wanted = {f"favorite True: {stone.prompt}": 1}
    person.makes("a favorite", wanted, lambda: _bar_or_key(person, stone, "Favorite", "f"))
    _unselect(person)


@act("grid")
def tag_and_untag_a_tile(person: Person) -> None:
    stone, tag = person.stone(), f"tag {person.unique()}"
    _bar_or_key(person, stone, "Tag or collection", "t")
    card = person.page.locator("dialog.card")
    person.page.keyboard.type(tag)
    add = card.locator("button.main")
    person.makes("a tag", {f"tagged {tag}: {stone.prompt}": 1}, person.pressing(add, "Enter"))
    _unselect(person)
    person.tile(stone).focus()
    person.page.keyboard.press("t")
    taken = card.locator(".present button")
    person.makes("a tag taken away", {f"tagged {tag}: {stone.prompt}": -1}, person.pressing(taken))
    person.page.keyboard.press("Escape")


@act("grid")
def trash_a_tile_and_take_it_back(person: Person) -> None:
    stone = person.stone()
    gone = {f"text_to_image: {stone.prompt}": -1, f"trash: {stone.prompt}": 1}
    person.makes("Move to trash", gone, lambda: _bar_or_key(person, stone, "Move to trash", "Delete"))
    undo = person.named("Undo", within=person.page.locator(".notice"))
    expect(undo).to_be_visible()
    back = {name: -by for name, by in gone.items()}
    person.makes("Undo", back, person.pressing(undo, "Control+z"))


@act("trash")
def restore(person: Person) -> None:
    stone = _trashed(person)
    wanted = {f"text_to_image: {stone.prompt}": 1, f"trash: {stone.prompt}": -1}
    _choose_in_trash(person, stone)
    person.makes("Restore", wanted, lambda: person.press(person.named("Restore", within=person.page.locator(".bar"))))


@act("trash")
def remove_for_good(person: Person) -> None:
    stone = _trashed(person)
    _choose_in_trash(person, stone)
    person.press(person.named("Remove for good", within=person.page.locator(".bar")))
    sure = person.page.locator(".notice button.danger")
    person.makes("Remove for good", {f"trash: {stone.prompt}": -1}, person.pressing(sure))


def _trashed(person: Person) -> Stone:
    stone = person.stone()
    person.prepared(lambda: person.service.curation.put_in_trash([stone.id]))
    person.visitor.open("/library?view=trash")
    return stone


def _choose_in_trash(person: Person, stone: Stone) -> None:
    person.page.locator(f'button.tile[data-id="{stone.id}"]').click()
    expect(person.page.locator(".bar")).to_be_visible()


# -- the drawer --------------------------------------------------------------------------------------------------------------


@act("drawer")
def rate_in_the_drawer(person: Person) -> None:
    stone, drawer = person.at_hand()
    before = person.said("rated", stone)
    stars = person.chance.choice([number for number in range(1, 6) if str(number) not in before[:8]])
    star = drawer.get_by_test_id("stFeedback").locator("label, button").nth(stars - 1)
    wanted = {f"rated {stars}: {stone.prompt}": 1, before: -bool(before)}
    person.makes("a rating", wanted, person.pressing(star, str(stars), mouse=True))
    expect(drawer.get_by_test_id("stFeedback").get_by_role("radio").nth(stars - 1)).to_be_checked()
    if person.chance.random() < 0.5:
        person.makes("a rating taken away", {f"rated {stars}: {stone.prompt}": -1}, lambda: person.key("0"))


@act("drawer")
def favor_in_the_drawer(person: Person) -> None:
    stone, drawer = person.at_hand()
    label, fact = drawer.locator(f'[class*="st-key-favorite-{stone.id}"] label'), f"favorite True: {stone.prompt}"
    person.makes("a favorite", {fact: -1 if person.known[fact] else 1}, person.pressing(label, "f", mouse=True))


@act("drawer")
def tag_in_the_drawer(person: Person) -> None:
    (stone, drawer), tag = person.at_hand(), f"shelf {person.unique()}"
    box = drawer.get_by_role("combobox", name=re.compile("Tags"))
    box.click()
    person.page.keyboard.type(tag)
    expect(person.page.get_by_role("option", name=re.compile(tag))).to_be_visible()
    person.makes("a tag", {f"tagged {tag}: {stone.prompt}": 1}, lambda: person.key("Enter"))
    box.press("Tab")


@act("drawer")
def note_in_the_drawer(person: Person) -> None:
    (stone, drawer), note = person.at_hand(), f"note {person.unique()}"
    before = person.said("noted", stone)
    person.write(drawer.get_by_role("textbox", name=re.compile("^(Note|Commentaire)")), note)
    ways = ("Tab", "Control+Enter", "Escape", "")
    way = person.chance.choice(ways)
    wanted = {f"noted {note}: {stone.prompt}": 1, before: -bool(before)}
    elsewhere = person.pressing(drawer.locator(".ops-prompt"), mouse=True)
    person.makes(f"a note left by {way or 'the mouse'}", wanted, (lambda: person.key(way)) if way else elsewhere)
    if way == "Control+Enter":
        drawer.locator(".ops-prompt").click()


@act("trashing", "trash-")
def trash_in_the_drawer(person: Person) -> None:
    stone = person.stone()
    person.drawer(stone)
    gone = {f"text_to_image: {stone.prompt}": -1, f"trash: {stone.prompt}": 1}
    button = person.by(f"trash-{stone.id}")
    person.makes("Move to trash", gone, person.pressing(button, "Delete"))
    expect(person.visitor.dialog).to_have_count(0)
    person.makes("Ctrl+Z", {name: -by for name, by in gone.items()}, lambda: person.key("Control+z"))


@act("trashing", "trash-", "trash-sure-")
def trash_what_others_were_made_from(person: Person) -> None:
    stone = person.stone()
    person.stone(inputs=1, parent=stone)
    person.drawer(stone)
    sure = person.by(f"trash-sure-{stone.id}")
    person.leads("Move to trash", lambda: person.press(person.by(f"trash-{stone.id}")), lambda: expect(sure).to_be_visible())
    gone = {f"text_to_image: {stone.prompt}": -1, f"trash: {stone.prompt}": 1}
    person.makes("Move to trash all the same", gone, person.pressing(sure))


@act("leaving", "again-")
def run_again_in_the_drawer(person: Person) -> None:
    stone, _drawer = person.at_hand()
    kind = person.service.operation(stone.id).type
    person.makes("Run again", {f"{kind}: {stone.prompt}": 1}, person.pressing(person.by(f"again-library-{stone.id}")))


@act("drawer")
def save_a_result(person: Person) -> None:
    _stone, drawer = person.at_hand()
    person.makes("Download", {"saved by the browser": 1}, lambda: person.press(drawer.locator("a.ops-save"), keys=("Enter",)))


# -- Family ------------------------------------------------------------------------------------------------------------------


@act("family", "run-branch")
def a_branch_on_another_image(person: Person) -> None:
    stone = person.stone(inputs=1)
    person.visitor.open(f"/lineage?id={stone.id}")
    person.page.get_by_test_id("stExpander").locator("summary").click()
    person.visitor.upload(("y.jpg", person.photo("rocket", size=(80, 50))), shown=False)
    person.makes(
        "Run again on another image", {f"image_edit_single: {stone.prompt}": 1}, person.pressing(person.by("run-branch"))
    )


@act("family", "again-")
def run_again_on_family(person: Person) -> None:
    stone = person.stone(inputs=1)
    person.visitor.open(f"/lineage?id={stone.id}")
    person.makes("Run again", {f"image_edit_single: {stone.prompt}": 1}, person.pressing(person.by(f"again-family-{stone.id}")))


@act("family", "go-on-", "forget-")
def a_branch_that_stands_still(person: Person) -> None:
    stone = person.stone(inputs=1)
    name = person.prepared(lambda: _broken(person, stone))
    person.visitor.open("/lineage")
    if person.chance.random() < 0.5:
        person.makes("Stop the branch", {"branches": -1}, person.pressing(person.by(f"forget-{name}")))
        return
    person.makes(
        "Try again", {"branches": -1, f"image_edit_single: {stone.prompt}": 1}, person.pressing(person.by(f"go-on-{name}"))
    )


def _broken(person: Person, stone: Stone) -> str:
    """Begin a branch that stands still from its beginning."""
    from opstore.lineage.branches import Branch, Step
    from opstore.storage.names import generate_operation_id, input_name

    made = Branch(generate_operation_id(), "", (Step(stone.id, ("",)),), "The disk was full.")
    made = Branch(made.id, input_name(made.id, 1, "jpg"), made.steps, made.error)
    folder = person.app.store.root / "branches"
    (folder / made.image).write_bytes(person.photo("rocket", size=(70, 50)))
    (folder / f"{made.id}.json").write_bytes(made.encode())
    return made.id
