"""The acts of a window: what the next undo takes back is what was changed, and what is told of an act is what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from opstore import Store
from opstore.app import App
from opstore.curation import Edit, annotations_of
from opstore.errors import StorageError
from opstore.ui.bulk_acts import Acts
from opstore.ui.components.grid import Act
from opstore.ui.opened_app import running
from tests.samples import ID, LATER


@pytest.fixture
def app() -> Iterator[App]:
    """The app of the test's data folder, with two operations."""
    found = running()
    for operation_id in (ID, LATER):
        found.store.save(operation_id, {"operationType": "text_to_image", "prompt": "a calm sea"})
    found.index.update()
    yield found
    found.stop()


def act(kind: str, value: Any = None, *ids: str, name: str = "1") -> Act:
    return Act(name, kind, ids or (ID,), value)


def ratings(app: App) -> list[int | None]:
    return [annotations_of(app.store.get_operation_metadata(operation_id))["rating"] for operation_id in (ID, LATER)]


def test_what_changed_nothing_is_not_what_the_next_undo_takes_back(app: App) -> None:
    session = Acts()
    session.do(app.service, act("rate", 4))
    session.do(app.service, act("rate", 4, name="2"))
    session.do(app.service, act("undo", name="3"))
    assert ratings(app) == [None, None]


def test_an_undo_says_what_it_took_back_and_what_somebody_else_has_changed_since(app: App) -> None:
    session = Acts()
    session.do(app.service, act("rate", 4, ID, LATER))
    app.service.curation.annotate([ID], Edit(rating=1))
    session.do(app.service, act("undo", name="2"))
    told = session.outcome()
    assert told and (told["said"], told["failed"], told["back"]) == ("Undone for 1 operation", [ID], [LATER])
    assert ratings(app) == [1, None] and ID in session.failures()


def test_what_could_not_be_taken_back_is_what_the_next_undo_takes_back(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise StorageError(reason="the disk is full")

    session = Acts()
    session.do(app.service, act("favorite", True))
    session.do(app.service, act("rate", 4, ID, LATER, name="2"))
    with monkeypatch.context() as disk:
        disk.setattr(Store, "rewrite", full)
        session.do(app.service, act("undo", name="3"))
    assert "the disk is full" in session.failures() and ratings(app) == [4, 4]
    session.do(app.service, act("undo", name="4"))
    assert ratings(app) == [None, None]
    assert annotations_of(app.store.get_operation_metadata(ID))["favorite"] is True


def test_what_the_grid_did_is_told_of_that_though_the_drawer_did_something_since(app: App) -> None:
    session = Acts()
    session.do(app.service, act("trash", "sure"))
    session.keep(app.service.curation.annotate([LATER], Edit(rating=3)))
    told = session.outcome()
    assert told and (told["gone"], told["said"]) == ([ID], "1 moved to the trash")
