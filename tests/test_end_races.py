"""Saves and ends of jobs that come late: what others have ended, moved or added to meanwhile stays as it is, and whole."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.app import App, Settings
from opstore.errors import OperationExists
from opstore.jobs.machine import LeaseLost, Machine
from opstore.service import NewOperation
from opstore.storage.trash import Trash
from tests.samples import GIF, JPG, PNG
from tests.test_meanwhile import aside, before

ID = "20261101120000_00000001"


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(Settings(data=tmp_path / "data"))


def leased(app: App, operation_id: str, owner: str) -> Machine:
    """Return a machine that has taken a job over from whoever had it."""
    around = app.runner._around
    return Machine(around, around.folder.update(operation_id, lambda job: job.leased(owner, 30)), owner)


def whole(store: Store, *places: str) -> None:
    """Look whether the operations are in these places alone, and whole there."""
    trash = Trash(store)
    found = [folder.path.name for folder in (store.operations, trash.folder) if any(n.endswith(".json") for n in folder.names())]
    assert found == [*places] and store.verify(deep=True) == [] and not [n for n in trash.folder.names() if "." not in n]


@pytest.mark.long
@pytest.mark.parametrize("removed", [False, True], ids=["trashed", "removed for good"])
def test_who_was_stopped_at_the_end_of_a_job_does_not_bring_it_back(
    app: App, monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    operation_id = app.service.create(NewOperation("text_to_image", "stars", provider="local"))
    late = leased(app, operation_id, "stopped")
    trash = Trash(app.store)

    def another() -> None:
        leased(app, operation_id, "another").run()
        trash.put(operation_id)
        if removed:
            trash.remove(operation_id)

    waiting = before(monkeypatch, Store, "save", another)
    with pytest.raises(LeaseLost):
        late.run()
    assert not waiting
    whole(app.store, *(() if removed else ("trash",)))


def test_a_step_s_result_that_the_record_names_is_not_taken_away_by_who_lost_the_job(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = NewOperation("edit_then_video", "make it red, then let it run", images=(PNG,), provider="local")
    operation_id = app.service.create(chain)
    late, save = leased(app, operation_id, "stopped"), Store.save_output_file
    others: list[Future[object]] = []

    def saving(store: Store, *given: Any) -> Path:
        if not others:
            others.append(Future())
            others[0] = aside(lambda: leased(app, operation_id, "another")._deliver([GIF]))
        return save(store, *given)

    monkeypatch.setattr(Store, "save_output_file", saving)
    with pytest.raises(LeaseLost):
        late._deliver([PNG])
    others[0].result(30)
    record = app.runner._around.folder.get(operation_id)
    assert record.current == 1 and app.store.read_file(str(record.steps[0].output_file)) == GIF


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a file whose operation is still to be saved."""
    store = Store(tmp_path / "data")
    store.save_output_file(ID, PNG, "text_to_image")
    return store


def test_a_file_that_is_added_while_its_operation_is_saved_is_named_in_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, added = Store._stored_media, list[Path]()

    def reading(self: Store, operation_id: str) -> dict[str, bytes]:
        found = stored(self, operation_id)
        if not added:
            added.append(store.save_output_file(ID, JPG, "text_to_image", index=2))
        return found

    monkeypatch.setattr(Store, "_stored_media", reading)
    store.save(ID, {"operationType": "text_to_image"})
    assert added and store.verify(deep=True) == []
    assert [file["name"] for file in store.get_operation_metadata(ID)["files"]] == [f"{ID}_out.png", added[0].name]


@pytest.mark.parametrize("look", [1, 2], ids=["before it is alone", "when it is alone"])
def test_a_file_that_comes_while_its_operation_is_saved_is_named_or_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    read, looks, others = Store.get_operation_metadata, list[int](), list[Future[object]]()

    def reading(self: Store, operation_id: str) -> dict[str, Any]:
        looks.append(look)
        try:
            return read(self, operation_id)
        finally:  # not there yet
            if len(looks) == look:
                others.append(aside(lambda: Store(store.root).save(ID, {"operationType": "text_to_image"})))

    monkeypatch.setattr(Store, "get_operation_metadata", reading)
    with pytest.raises(OperationExists) if look == 1 else nullcontext():
        store.save_output_file(ID, JPG, "text_to_image", index=2)
    others[0].result(30)
    assert store.verify(deep=True) == []
    assert len(store.get_operation_metadata(ID)["files"]) == look
