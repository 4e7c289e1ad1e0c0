"""Drafts of tabs: kept whole and private, of one tab and one person, within limits; a clock that leaps takes none away."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from opstore import Store
from opstore.errors import InvalidInput
from opstore.storage import drafts
from opstore.storage.drafts import Drafts
from opstore.ui.opened_app import running
from opstore.ui.studio.input_pictures import Gathered
from tests.media_samples import SAMPLES
from tests.samples import PNG
from tests.told import control

TAB, OTHER = "a" * 32, "b" * 32
FORM = {"prompt": "a castle at dusk – château", "workflow": "text_to_image"}
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(drafts, "_DAY_SECONDS", 0.0)  # days pass as quickly as the test sets them
    return Clock()


@pytest.fixture
def kept(tmp_path: Path, clock: Clock) -> Drafts:
    return Drafts(Store(tmp_path), clock)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "drafts").iterdir() if not path.name.startswith("."))


def test_a_draft_comes_back_whole_and_only_in_its_tab_for_its_person(kept: Drafts, tmp_path: Path) -> None:
    pictures = list(SAMPLES.values())[:3]
    kept.save(TAB, "ada", FORM, [*pictures, pictures[0]])
    assert kept.load(TAB, "ada") == drafts.Draft(FORM, (*pictures, pictures[0]))
    assert kept.load(OTHER, "ada") is None and kept.load(TAB, "bob") is None
    assert Drafts(Store(tmp_path)).load(TAB, "ada") == kept.load(TAB, "ada"), "another process"
    kept.save(OTHER, "ada", {"prompt": "another"}, [])
    kept.save(TAB, "ada", FORM, pictures[:1])
    assert len(names(tmp_path)) == 4, "two records, one picture, the days of use"
    kept.remove(TAB, "ada")
    assert kept.load(TAB, "ada") is None and kept.load(OTHER, "ada") == drafts.Draft({"prompt": "another"}, ())
    assert len(names(tmp_path)) == 2
    kept.remove(TAB, "ada")


def test_nobody_else_on_the_machine_can_read_it(kept: Drafts, tmp_path: Path) -> None:
    kept.save(TAB, "ada", FORM, [PNG])
    assert stat.S_IMODE((tmp_path / "drafts").stat().st_mode) == 0o700
    assert {stat.S_IMODE((tmp_path / "drafts" / name).stat().st_mode) for name in names(tmp_path)} == {0o600}
    assert TAB not in "".join(names(tmp_path)), "who reads the names knows no tab"


def test_what_is_damaged_or_gone_is_passed_over(kept: Drafts, tmp_path: Path) -> None:
    pictures = [SAMPLES[kind] for kind in list(SAMPLES)[:3]]
    kept.save(TAB, "ada", FORM, pictures)
    record = next(path for path in (tmp_path / "drafts").glob("*.json") if path.name != "days.json")
    order = json.loads(record.read_bytes())["pictures"]
    (tmp_path / "drafts" / f"{record.stem}_{order[0]}.bin").write_bytes(b"changed")
    (tmp_path / "drafts" / f"{record.stem}_{order[1]}.bin").unlink()
    assert kept.load(TAB, "ada") == drafts.Draft(FORM, (pictures[2],))
    for bad in (b"", b"{", b"[]", b'{"schema": "x"}', b'{"schema": "opstore-draft/1", "form": [], "pictures": []}', b"[" * 9000):
        record.write_bytes(bad)
        assert kept.load(TAB, "ada") is None
    hostile = {"schema": "opstore-draft/1", "day": 1, "form": FORM, "pictures": ["../../x", 5, None, "0" * 64]}
    record.write_text(json.dumps(hostile))
    assert kept.load(TAB, "ada") == drafts.Draft(FORM, ())
    for tab in ("", "../x", "A" * 32, TAB + "\n", "a" * 31):
        with pytest.raises(InvalidInput):
            kept.load(tab, "ada")


def test_pictures_that_no_request_takes_are_left_out(kept: Drafts) -> None:
    kept.save(TAB, "ada", FORM, [b"", bytes(10 * 1024 * 1024 + 1), *[bytes([number]) for number in range(20)]])
    found = kept.load(TAB, "ada")
    assert found and found.pictures == tuple(bytes([number]) for number in range(8))


def test_the_longest_untouched_go_where_there_are_too_many(kept: Drafts, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MAX_DRAFTS", 3)
    tabs = [f"{number:032x}" for number in range(5)]
    for tab in tabs:
        kept.save(tab, "ada", FORM, [PNG])
        clock.now += timedelta(days=1)
    assert [tab for tab in tabs if kept.load(tab, "ada")] == tabs[2:]
    monkeypatch.setattr(drafts, "MAX_BYTES", 2100)
    kept.save(tabs[0], "ada", FORM, [bytes(2000)])
    assert [tab for tab in tabs if kept.load(tab, "ada")] == [tabs[0]], "the newest stays, whatever its size"


def test_days_of_use_make_a_draft_old_and_a_leap_of_the_clock_does_not(kept: Drafts, clock: Clock) -> None:
    kept.save(TAB, "ada", FORM, [PNG])
    for leap in (timedelta(days=4000), -timedelta(days=8000), timedelta(days=4000)):
        clock.now += leap
        kept.save(OTHER, "ada", FORM, [])
        assert kept.load(TAB, "ada")
    for day in range(drafts.MAX_DAYS + 1):
        clock.now = NOW + timedelta(days=day + 1)
        kept.save(OTHER, "ada", FORM, [])
    assert kept.load(TAB, "ada") is None and kept.load(OTHER, "ada")


def test_pictures_of_a_draft_that_was_cut_short_are_swept(kept: Drafts, tmp_path: Path) -> None:
    kept.save(TAB, "ada", FORM, [PNG])
    left = tmp_path / "drafts" / f"{'c' * 32}_{'d' * 64}.bin"
    left.write_bytes(PNG)
    (tmp_path / "drafts" / "notes.txt").write_text("somebody else's")
    kept.save(OTHER, "ada", FORM, [])
    assert "notes.txt" in names(tmp_path)
    assert kept.load(TAB, "ada")


# -- the form ------------------------------------------------------------------------------------------------------------


def page(tab: str | None = TAB) -> AppTest:
    at = AppTest.from_file("../opstore/ui/main.py", default_timeout=30)
    if tab:
        at.session_state["tab"] = {"tab": {"id": tab, "from": None}}
    at.run()
    assert not at.exception
    return at


def prompt(at: AppTest) -> Any:
    return next(area for area in at.text_area if area.key and area.key.startswith("prompt"))


def giving_of(at: AppTest) -> Gathered:
    found: Gathered = at.session_state["gathered"]
    return found


@pytest.mark.long
def test_what_was_begun_comes_back_in_a_new_session_of_its_tab_only(photo: object) -> None:
    at = page()
    assert callable(photo)
    at.file_uploader(key="upload-0").upload("cat.jpg", photo("chelsea", size=(160, 120)), "image/jpeg")
    prompt(at).set_value("make it black and white").run()
    at.session_state["wanted-type"] = "image_to_video_single"
    at.run()
    at.number_input(key="variants").set_value(3).run()
    again = page()
    assert prompt(again).value == "make it black and white"
    assert again.session_state["override"] == "image_to_video_single" and len(giving_of(again).kept) == 1
    assert control(again, "number_input", "variants").value == 3
    for other in (page(OTHER), page(None)):
        assert prompt(other).value in ("", None) and not giving_of(other).kept


@pytest.mark.long
@pytest.mark.parametrize(("name", "values"), [("outputQuality", "40; 50.5; x"), ("aspectRatio", ["4:3", "3:4"])])
def test_a_sweep_that_was_begun_comes_back(name: str, values: str | list[str]) -> None:
    at = page()
    key = f"axis-text_to_image-1-{name}"
    prompt(at).set_value("a red barn").run()
    control(at, "selectbox", "axis-text_to_image-1").set_value(name).run()
    (at.text_input(key=key).set_value(values) if isinstance(values, str) else at.multiselect(key=key).set_value(values)).run()
    again = page()
    assert control(again, "selectbox", "axis-text_to_image-1").value == name
    assert (again.text_input if isinstance(values, str) else again.multiselect)(key=key).value == values


@pytest.mark.parametrize(
    "axes",
    [
        7,
        [7, {"name": ["x"], "values": ["4:3"]}, {"name": "aspectRatio", "values": "4:3"}],
        [{"name": "aspectRatio", "values": ["9:1", None, {}]}, {"name": "model", "values": [["x"], "gone"]}],
        [{"name": "seed", "values": [1]}, {"name": "gone", "values": [1]}, {"name": "outputQuality", "values": [[1]]}],
    ],
)
def test_a_sweep_of_a_draft_that_cannot_be_chosen_is_passed_over(kept: Drafts, axes: object) -> None:
    running().service.drafts.save(TAB, "", {"prompt": "a red barn", "workflow": "text_to_image", "axes": axes}, [])
    at = page()
    assert prompt(at).value == "a red barn"
    assert control(at, "selectbox", "axis-text_to_image-1").value == ""


@pytest.mark.long
def test_an_uploaded_picture_is_still_given_when_the_person_comes_back_from_another_page(photo: object) -> None:
    at = page()
    assert callable(photo)
    at.file_uploader(key="upload-0").upload("cat.jpg", photo("chelsea", size=(160, 120)), "image/jpeg").run()
    prompt(at).set_value("invert").run()
    at.switch_page("../../pages/library.py").run()
    at.switch_page("../../pages/create.py").run()
    assert prompt(at).value == "invert" and len(giving_of(at).kept) == 1


def test_a_draft_goes_once_it_was_asked_for() -> None:
    app = running()
    try:
        at = page()
        prompt(at).set_value("The sea at sunset").run()
        assert app.service.drafts.load(TAB, "")
        at.button(key="generate").click().run()
        assert app.service.count_jobs() == 1 and app.service.drafts.load(TAB, "") is None
        prompt(at).set_value("The sea at dawn").run()
        found = app.service.drafts.load(TAB, "")
        assert found and found.form["prompt"] == "The sea at dawn"
    finally:
        app.stop()


@pytest.mark.long
def test_a_draft_is_not_removed_by_a_form_that_is_drawn_empty_and_is_by_whoever_empties_it() -> None:
    app = running()
    at = page()
    prompt(at).set_value("The sea at noon").run()
    at.switch_page("../../pages/library.py").run()
    at.session_state[prompt_key(at)] = ""
    at.switch_page("../../pages/create.py").run()
    assert prompt(at).value == "" and app.service.drafts.load(TAB, "")
    prompt(at).set_value("The sea at night").run()
    prompt(at).set_value("").run()
    assert app.service.drafts.load(TAB, "") is None


@pytest.mark.long
def test_what_only_the_browser_has_comes_back_over_what_it_was_written_over_and_over_nothing_else() -> None:
    at = page()
    prompt(at).set_value("a hill").run()
    for turn, over, text, stands in (
        (1, "a hill", "a hill in rain", "a hill in rain"),
        (2, "a lake", "a lake in rain", "a hill in rain"),
        (3, "a hill in rain", "", ""),
    ):
        at.session_state["tab"] = {"tab": {"id": TAB, "from": None, "turn": turn, "left": {"over": over, "text": text}}}
        at.run()
        assert prompt(at).value == stands
    assert running().service.drafts.load(TAB, "") is None, "it was emptied by who wrote it"
    for left in (5, {}, {"over": 5, "text": "x"}, {"over": "", "text": None}):
        at.session_state["tab"] = {"tab": {"id": TAB, "from": None, "turn": repr(left), "left": left}}
        at.run()
        assert not at.exception and prompt(at).value == ""


def prompt_key(at: AppTest) -> str:
    turns: dict[str, int] = at.session_state["turns"]
    return f"prompt-t{turns['prompt']}" if turns["prompt"] else "prompt"
