"""Two windows on one folder: each follows what the other does, and a press does what the window showed that it was made in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from opstore.app import App
from opstore.shares import Scope, Shares
from opstore.ui import parts, presses, share
from opstore.ui.opened_app import opened, running
from tests.care_samples import save
from tests.share_samples import CHEAP
from tests.ticking import Window


@pytest.fixture
def app() -> Iterator[App]:
    found = running()
    yield found
    found.stop()


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
