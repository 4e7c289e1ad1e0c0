"""Two windows on one folder: each follows what the other does, and a press does what the window showed that it was made in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from opstore.analytics.queries import Analytics
from opstore.app import App
from opstore.care import Rule
from opstore.comparing.reviews import Pair, Voter
from opstore.lineage.branches import Branch, Branches, Step
from opstore.shares import Scope, Shares
from opstore.ui import analytics, library, lineage, parts, presses, search_results, share, storage
from opstore.ui.opened_app import opened, running
from tests.care_samples import save
from tests.share_samples import CHEAP
from tests.test_lineage import keep, picture
from tests.test_pages import MAIN, PATIENCE, sound
from tests.ticking import Window


@pytest.fixture
def app() -> Iterator[App]:
    found = running()
    yield found
    found.stop()


def shown(window: Window) -> str:
    return "\n".join(element.proto.body for element in window.at.get("html"))


def finish() -> None:
    """Do what the main script does where a page has been drawn to its end."""
    if presses.over():
        parts.too_late()


def test_who_revokes_what_another_has_revoked_keeps_its_visits(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.service.shares = Shares(app.store, cost=CHEAP)
    made = app.service.shares.create(Scope("operation", (save(app.store, 1, 3),)), lasts=timedelta(days=1))

    def draw() -> None:
        share.listing(opened().service)
        finish()

    window = Window(draw, monkeypatch)
    app.service.shares.revoke(made.id)
    window.at.button[0].click()
    assert "no longer available" in window.look().toast[0].value
    assert [item.id for item in app.service.shares.all()] == [made.id]
    (button,) = window.at.button
    assert button.label == "Remove from the list"
    button.click()
    window.look()
    assert app.service.shares.all() == []


def test_a_window_that_says_that_there_is_nothing_follows_once_there_is(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.store.initialize_storage()
    app.index.update()
    monkeypatch.setattr(st, "page_link", lambda *_given, **_options: None)  # there is no navigation here
    window = Window(lambda: search_results.results(opened().service, library.view(), {}), monkeypatch)
    assert "The library is empty." in shown(window) and not window.tick()
    save(app.store, 1, 3)
    app.index.catch_up()
    assert window.tick() and "The library is empty." not in shown(window) and not window.tick()


def test_the_trash_follows_what_others_put_there_and_take_out(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = save(app.store, 1, 3)
    window = Window(lambda: search_results.trash(opened().service), monkeypatch)
    assert "The trash is empty." in shown(window) and not window.tick()
    app.service.curation.put_in_trash([kept])
    assert window.tick() and "The trash is empty." not in shown(window) and not window.tick()
    app.service.curation.restore([kept])
    assert window.tick() and "The trash is empty." in shown(window)


def test_a_branch_is_followed_by_who_did_not_begin_it_and_its_end_shows_the_family_anew(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keep(app, 1, [5], 10)
    second = keep(app, 2, [10], 20, parents=[first])
    app.index.catch_up()
    branches = app.service.branches
    window = Window(lambda: lineage.under_way(opened().service), monkeypatch)
    ids = [branches.begin(second, first, picture(9)) for _ in range(2)]
    app.service.curation.put_in_trash([first])
    branches.turn()
    assert not window.tick() and "There is no operation" in shown(window)
    branches.forget(ids[0])
    assert window.tick(), "one has ended"
    assert not window.tick()
    branches.forget(ids[1])
    (button,) = [button for button in window.at.button if button.label == "Try again"]
    stale = Branch(ids[1], "x.png", (Step(second, ("",)),), "There is no operation")
    monkeypatch.setattr(Branches, "all", lambda _self: [stale])
    button.click()
    window.look()
    assert shown(window).count("There is no operation") == 2, "why it stands still, and why it does not go on"


def test_the_charts_follow_votes_and_the_day(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [save(app.store, number, 3) for number in range(2)]
    app.index.catch_up()
    review = app.service.reviews.begin("which", ids=ids)
    view = library.View("", "", "newest", "", trash=False, operation=None)

    def draw() -> None:
        service = opened().service
        analytics.follow(service, analytics.told(service, view))

    window = Window(draw, monkeypatch)
    assert not window.tick()
    app.service.reviews.vote(review.id, Voter("Ada"), Pair(*ids), "left")
    assert window.tick() and not window.tick()
    app.service.reviews.take_back(review.id, Voter("Ada"))
    assert window.tick() and not window.tick()
    tomorrow = app.service.analytics.today() + timedelta(1)
    monkeypatch.setattr(Analytics, "today", lambda _self: tomorrow)
    assert window.tick() and not window.tick()


def test_a_default_model_that_another_window_has_chosen_is_shown(app: App) -> None:
    at = AppTest.from_file(MAIN, default_timeout=PATIENCE).run()
    sound(at.switch_page("../../pages/settings.py").run())
    first, other, *_ = [model.name for model in app.service.table.models("replicate", "text_to_image")]
    label = "Image from text"
    (select,) = [item for item in at.selectbox if item.label == label]
    assert select.value == first
    app.service.change_preferences(models={"text_to_image": other})
    sound(at.run())
    (select,) = [item for item in at.selectbox if item.label == label]
    assert select.value == other


def test_a_rule_that_another_stores_while_one_s_own_is_being_saved_stays(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.store.initialize_storage()
    window = Window(lambda: storage._policy(opened().service), monkeypatch)
    theirs = iter([30])

    def slowly(*given: Any, **named: Any) -> Rule:
        for days in theirs:
            app.service.change_preferences(retention_days=days)
        return Rule(*given, **named)

    monkeypatch.setattr(storage, "Rule", slowly)
    window.at.number_input[0].set_value(7)
    window.at.button[0].click()
    window.look()
    assert app.service.preferences().retention_days == 30 and "Nothing was saved" in shown(window)
    assert (window.look().toggle[0].value, window.at.number_input[0].value) == (True, 30)
