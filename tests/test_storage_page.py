"""The page Storage and the acts behind it: begun by a button, followed from any page or process, told when they have ended."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from opstore import clocks
from opstore.app import App
from opstore.care import Rule, long_acts
from opstore.care.long_acts import Acts
from opstore.care.progress import Report
from opstore.errors import StorageError
from opstore.storage.preferences import KEEP
from opstore.ui import backups, parts, presses, storage
from opstore.ui.opened_app import opened, running
from tests.care_samples import annotated, save
from tests.samples import PNG, plant
from tests.test_pages import EVIL, MAIN, PATIENCE, sound
from tests.ticking import Window

STORAGE = "../../pages/storage.py"


@pytest.fixture
def app() -> Iterator[App]:
    found = running()
    yield found
    found.stop()


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
    return found


def idle(app: App) -> bool:
    return app.service.care.desk.running() is None


def page(app: App) -> AppTest:
    """Open the page, and once more when it has measured the folder."""
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    at.run()
    at.switch_page(STORAGE).run()
    until(lambda: idle(app))
    return sound(at.run())


def offered(at: AppTest, kind: str) -> list[Any]:
    """Return the buttons of a kind: where one does what an act has looked into, its key names that act too."""
    return [button for button in at.button if re.sub(r"-\d+\Z", "", button.key or "") == kind]


def press(app: App, at: AppTest, kind: str) -> AppTest:
    """Press a button and wait for the act that it begins, and for the folder to be measured after it."""
    offered(at, kind)[0].click().run()
    until(lambda: idle(app))
    sound(at.run())
    until(lambda: idle(app))
    return sound(at.run())


def test_a_clock_that_leapt_is_told_and_a_person_can_say_that_it_is_right(app: App) -> None:
    app.store.initialize_storage()
    seen = replace(clocks.mark(), wall=time.time() - 40 * 86_400)
    known = {"seen": asdict(seen), "leap": None, "latest": seen.wall}
    (app.store.root / "clock.json").write_text(json.dumps(known))
    at = page(app)
    assert "clock leapt from" in shown(at)
    assert "clock leapt" not in shown(press(app, at, "trust-clock")) and app.service.clock_leap() is None


def charts(at: AppTest) -> list[dict[str, Any]]:
    """What the component that draws charts is given."""
    drawn = [node.proto for node in at.get("bidi_component") if node.proto.component_name.endswith("opstore_charts")]
    return [chart for proto in drawn for chart in json.loads(proto.json)["charts"]]


def shown(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


# -- the page ------------------------------------------------------------------------------------------------------------


def test_an_empty_folder(app: App) -> None:
    at = page(app)
    assert [metric.value for metric in at.metric][1:3] == ["0", "0\u00a0bytes"] and not charts(at)
    assert "0 operations" in shown(at) and "The trash is empty." in shown(at)


@pytest.mark.long
def test_files_of_no_month_and_of_the_first_years_are_charted_too(app: App) -> None:
    for name in ("20251399000000_abcdef12_out.png", "09991231235959_abcdef12_out.png", "20251103000000_abcdef12_out.png"):
        plant(app.store, name, PNG)
    by_month = charts(page(app))[0]
    assert [row[0] for row in by_month["rows"]] == ["Dec 999", "Nov 2025", "?"]
    assert by_month["figure"]["data"][0]["x"] == ["Dec 999", "Nov 2025", "?"]
    ways = [way for way, _size in by_month["figure"]["data"][0]["customdata"]]
    assert ["id:099912" in (ways[0] or ""), "id:202511" in (ways[1] or ""), ways[2]] == [True, True, None]


@pytest.mark.long
def test_a_press_while_the_folder_is_measured_by_itself_is_done(app: App) -> None:
    at, measured = page(app), threading.Event()

    def measuring(_report: Report) -> dict[str, Any]:
        assert measured.wait(PATIENCE)
        return {}

    app.service.care.desk.acts.start("look", measuring)
    sound(at.run())
    assert not next(button for button in at.button if button.key == "verify").disabled
    threading.Timer(0.5, measured.set).start()
    press(app, at, "verify")
    assert "No problems." in shown(at)


def test_the_figures_say_of_when_they_are(app: App) -> None:
    save(app.store, 1, 3)
    at = page(app)
    file = app.store.cache / "acts" / "look.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"began": "2025-11-03T14:30:22Z", "ended": "2025-11-03T14:30:23Z"}))
    assert re.search(r"Measured \d+ \w+ ago\.", shown(sound(at.run()))) and at.metric[1].value == "1"


def test_the_index_tells_of_all_operations_where_a_search_counts_no_further(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        save(app.store, number, 3)
    monkeypatch.setattr("opstore.index.EXACT", 2)
    desk = app.service.care.desk
    desk.rebuild()
    until(lambda: idle(app))
    window = Window(lambda: storage.index(opened().service, busy=False), monkeypatch)
    assert "<td>3</td>" in shown(window.at) and "3 operations indexed" in shown(window.at)


def test_the_last_backup_is_the_one_that_there_is_also_where_a_later_one_failed(app: App, tmp_path: Path) -> None:
    save(app.store, 1, 3)
    target = str(tmp_path / "backups")
    app.service.change_preferences(backup_target=target)
    app.service.care.back_up(target)  # as the command does it
    assert [metric.value for metric in page(app).metric][4] != "none"
    app.service.care.desk.acts.start("backup", lambda report: {"n": int("no room")}).join()
    assert [metric.value for metric in page(app).metric][4] != "none"


@pytest.mark.long
def test_it_says_what_would_go_then_moves_it(app: App) -> None:
    going = save(app.store, 1, 40_000 / 1000, prompt=EVIL, operationType=EVIL)
    save(app.store, 2, 50, annotations=annotated(favorite=True))
    at = page(app)
    by_month, by_kind = charts(at)
    assert {row[1] for row in by_month["rows"]} == {EVIL, "text_to_image"}
    marks = [mark for trace in by_month["figure"]["data"] for mark in zip(trace["y"], trace["customdata"], strict=True)]
    app.service.index.catch_up()
    behind = [app.service.index.search(way).rows for size, (way, _said) in marks if size]
    assert sorted(row.type for (row,) in behind) == sorted([EVIL, "text_to_image"]), "each leads to its operation"
    assert [name for name, _bytes in by_kind["rows"]][:1] == ["Results"]
    assert "1 operation<" in shown(at) and not offered(at, "clean")
    next(button for button in at.button if button.label == "Preview clean-up").click().run()
    until(lambda: idle(app))
    sound(at.run())
    assert "1 operation can be removed" in shown(at) and "1 protected (tagged, rated, shared…)" in shown(at)
    press(app, at, "clean")
    assert "1 moved to the trash" in shown(at) and not offered(at, "clean")
    assert [item.operation_id for item in app.service.curation.trashed()] == [going]
    before = at.metric[0].value
    press(app, at, "empty")
    assert "1 removed for good" in shown(at) and app.service.curation.trashed() == []
    assert at.metric[2].value == "0\u00a0bytes" and at.metric[0].value != before, "measured again by itself"
    assert len(app.store.list_operations()) == 1


@pytest.mark.long
def test_problems_are_shown_then_mended(app: App) -> None:
    save(app.store, 1)
    plant(app.store, "20251103143029_abc123df.json", b"{")
    at = press(app, page(app), "verify")
    assert "1 problem." in shown(at) and at.dataframe[0].value.iloc[0].tolist() == [
        "Cannot be read", "20251103143029_abc123df.json", "will be moved to quarantine/",
    ]  # fmt: skip
    press(app, at, "repair")
    assert "Repaired: 1 of 1." in shown(at) and "moved to quarantine/" in str(at.dataframe[0].value.iloc[0, 2])
    assert "No problems." in shown(press(app, at, "verify"))


@pytest.mark.long
def test_a_backup_and_back(app: App, tmp_path: Path) -> None:
    operation_id = save(app.store, 1)
    at = page(app)
    at.text_input(key="backup-target").set_value(str(tmp_path / "backups")).run()
    press(app, at, "backup")
    assert "Backed up 1 operation" in shown(at) and app.service.preferences().backup_target == str(tmp_path / "backups")
    for path in app.store.operations.path.glob(f"{operation_id}*"):
        path.unlink()
    press(app, at, "compare-backup")
    assert "To restore: 1 operation; different, left as they are: 0." in shown(at) and app.store.list_operations() == []
    press(app, at, "restore")
    assert "Restored 1 operation" in shown(at) and app.store.verify(deep=True) == []
    at = press(app, at, "backup")
    for number in range(3):
        at.number_input(key=f"keep-{number}").set_value(0)
    at.toggle(key="keep-on").set_value(True)
    press(app, at, "keep-save")
    assert app.service.preferences().backup_keep == (0, 0, 0)
    at = press(app, at, "keep-look")
    assert "1 backup to remove" in shown(at) and len(list((tmp_path / "backups" / "snapshots").iterdir())) == 2
    at = press(app, at, "prune")
    assert "1 backup removed" in shown(at) and len(list((tmp_path / "backups" / "snapshots").iterdir())) == 1
    assert "1 backup removed" in shown(press(app, at, "backup"))
    (tmp_path / "backups" / "snapshots" / "20200101T000000Z.sha256").write_bytes(b"damaged")
    assert "Backed up 1 operation" in (told := shown(press(app, at, "backup"))) and "Old ones are kept: " in told


@pytest.mark.long
def test_an_import_says_first_what_would_come_in(app: App, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.png").write_bytes(PNG)
    (tmp_path / "source" / f"{EVIL[:20].replace('/', '')}.png").write_bytes(b"no picture")
    at = page(app)
    at.text_input(key="import-source").set_value(str(tmp_path / "source")).run()
    press(app, at, "import-True")
    assert "To import: 1 operation; already present: 0; files skipped: 1." in shown(at) and app.store.list_operations() == []
    press(app, at, "import-False")
    assert "Imported 1 operation" in shown(at) and len(app.store.list_operations()) == 1 and len(at.dataframe) == 1


@pytest.mark.long
def test_packing_says_first_what_it_saves_then_packs_and_brings_back(app: App) -> None:
    ids = [save(app.store, number, 200 + number) for number in range(3)]
    before = {name: app.store.operations.read(name) for name in app.store.operations.names()}
    at = page(app)
    assert not offered(at, "pack")
    at = press(app, at, "packable")
    assert "3 operations can be packed" in shown(at) and "(estimate)" in shown(at)
    at = press(app, at, "pack")
    assert "3 operations packed" in shown(at) and "Every byte was compared." in shown(at) and "1 month" in shown(at)
    assert not app.store.operations.loose.has(f"{ids[0]}.json") and not offered(at, "pack")
    at = press(app, at, "unpack")
    assert "3 operations unpacked." in shown(at)
    assert {name: app.store.operations.loose.read(name) for name in before} == before


@pytest.mark.long
def test_a_backup_that_cannot_be_is_told_and_not_remembered(app: App) -> None:
    at = page(app)
    at.text_input(key="backup-target").set_value(str(app.store.root / "x")).run()
    next(button for button in at.button if button.key == "backup").click().run()
    assert "outside the data folder" in shown(sound(at)) and app.service.preferences().backup_target == ""


@pytest.mark.long
def test_the_policy_is_set_and_taken_back(app: App) -> None:
    at = page(app)

    def saved(days: int | None, query: str) -> str:
        at.toggle(key="retention").set_value(days is not None)
        at.number_input(key="retention-days").set_value(days or 90)
        at.text_input(key="retention-query").set_value(query)
        next(button for button in at.button if button.label == "Save").click().run()
        return shown(sound(at))

    saved(90, "-draft")
    assert (app.service.preferences().retention_days, app.service.preferences().retention_query) == (90, "-draft")
    assert "rating" in saved(90, "rating:many") and app.service.preferences().retention_query == "-draft"
    saved(None, "")
    assert app.service.preferences().retention_days is None


def test_what_another_version_left_does_no_harm(app: App) -> None:
    folder = app.store.cache / "acts"
    folder.mkdir(parents=True)
    for kind, content in {
        "look": {"kind": "look", "state": "done", "began": "x", "result": {"other": 1}},
        "plan": {
            "kind": "plan",
            "state": "failed",
            "began": "x",
            "error": EVIL,
            "result": {"rule": {"days": "many", "types": 5}},
        },
        "verify": [1],
    }.items():
        (folder / f"{kind}.json").write_text(json.dumps(content))
    (folder / "backup.json").write_text("{")
    assert "The folder is being measured." in shown(page(app))


# -- two windows ---------------------------------------------------------------------------------------------------------


def test_every_window_follows_what_another_began(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    save(app.store, 1, 40)
    desk, going = app.service.care.desk, threading.Event()

    def draw() -> None:
        running = storage.progress(opened().service)
        st.text(f"{running and running.kind} {(last := desk.last('plan')) and last.state}")

    windows = [Window(draw, monkeypatch) for _ in range(2)]
    assert [window.tick() for window in windows] == [False, False], "nothing has happened"
    desk.acts.start("plan", lambda _report: {"waited": going.wait(PATIENCE)})
    for state in ("plan running", "None done"):
        assert [window.tick() for window in windows] == [True, True]
        assert [window.at.text[0].value for window in windows] == [state] * 2
        assert [window.tick() for window in windows] == [False, False]
        going.set()
        until(lambda: idle(app))


def test_what_is_done_is_what_the_window_showed_and_not_what_another_has_looked_into_since(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, days in enumerate((40, 10)):
        save(app.store, number, days)
    desk = app.service.care.desk

    def planned(days: int) -> None:
        desk.plan(Rule(days))
        until(lambda: idle(app))

    def draw() -> None:
        storage.cleanup(opened().service, None, busy=False)
        if presses.over():
            parts.too_late()

    planned(30)
    window = Window(draw, monkeypatch)
    (button,) = offered(window.at, "clean")
    assert button.label == "Move 1 operation to the trash"
    planned(5)
    button.click()
    window.look()
    until(lambda: idle(app))
    assert len(app.store.list_operations()) == 2, "two would have gone, and one was shown"
    assert "no longer available" in window.at.toast[0].value
    (button,) = offered(window.look(), "clean")
    button.click()
    window.look()
    until(lambda: idle(app))
    assert app.store.list_operations() == []


def test_what_is_moved_is_what_was_shown_however_much_a_rule_covers_by_then(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    save(app.store, 1, 40)
    desk = app.service.care.desk
    desk.plan(Rule(0))
    until(lambda: idle(app))
    window = Window(lambda: storage.cleanup(opened().service, None, busy=False), monkeypatch)
    (button,) = offered(window.at, "clean")
    assert button.label == "Move 1 operation to the trash"
    younger = save(app.store, 2, 1)
    button.click()
    window.look()
    until(lambda: idle(app))
    done = desk.last("clean")
    assert done and (done.state, done.result["count"]) == ("done", 1)
    assert [item["operationId"] for item in app.store.list_operations()] == [younger]
    listed = str((desk.last("plan") or done).result["list"])
    desk.plan(Rule(0))
    until(lambda: idle(app))
    desk.clean(Rule(0), listed)
    until(lambda: idle(app))
    done = desk.last("clean")
    assert done and done.state == "failed" and "anew meanwhile" in str(done.error) and len(app.store.list_operations()) == 1


def test_a_clock_that_was_set_back_makes_no_button_go_and_measures_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done while the clock ran ahead stands before what is looked into now."""
    save(app.store, 1, 40)
    desk = app.service.care.desk

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(days=900)

    with monkeypatch.context() as ahead:
        ahead.setattr(long_acts, "datetime", Ahead)
        for kind in ("clean", "repair", "prune", "pack"):
            desk.acts.start(kind, lambda report: {"count": 0, "bytes": 0, "months": []}).join()
    desk.plan(Rule(30))
    until(lambda: idle(app))
    desk.look()
    until(lambda: idle(app))
    assert not storage.is_stale(desk, desk.last("look"))
    window = Window(lambda: storage.cleanup(opened().service, None, busy=False), monkeypatch)
    assert len(offered(window.at, "clean")) == 1


def test_rules_that_another_window_has_stored_are_shown_and_not_saved_over(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw() -> None:
        storage._policy(opened().service)
        backups._keep_form(opened().service, busy=False)

    def shows() -> list[Any]:
        at = window.at
        return [*(item.value for item in at.toggle), *(item.value for item in at.number_input), at.text_input[0].value]

    def save(form: int) -> str:
        [button for button in window.at.button if button.label == "Save"][form].click()
        return shown(window.look())

    app.store.initialize_storage()
    window = Window(draw, monkeypatch)
    assert shows() == [False, False, 90, *KEEP, ""]
    window.at.number_input[0].set_value(7)
    theirs: Any = {"retention_days": 30, "retention_query": "-draft", "backup_keep": (1, 2, 3)}
    app.service.change_preferences(**theirs)
    assert "Nothing was saved" in save(0) and shows() == [True, True, 30, 1, 2, 3, "-draft"]
    app.service.change_preferences(backup_keep=(4, 5, 6))
    assert "Nothing was saved" in save(1) and shows() == [True, True, 30, 4, 5, 6, "-draft"]
    for days in (7, 8):
        window.at.number_input[0].set_value(days)
        assert "Nothing was saved" not in save(0)
    stored = app.service.preferences()
    assert (stored.retention_days, stored.backup_keep) == (8, (4, 5, 6))


def test_a_folder_that_cannot_be_measured_says_why_and_lets_the_page_be(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> None:
        raise StorageError(reason="No space left on device")

    monkeypatch.setattr(Acts, "start", full)
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE)
    at.run()
    assert "No space left on device" in shown(sound(at.switch_page(STORAGE).run()))
