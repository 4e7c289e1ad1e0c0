"""What costs money, asked for while others move, begin, mend or remove: nothing is left out of a sum, nothing is paid twice."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.care.account_history import HistoryImport
from opstore.errors import BudgetReached
from opstore.fetch import FetchPolicy
from opstore.jobs import JobFolder
from opstore.jobs.lookup import Lookup
from opstore.jobs.new_operation import NewOperation
from opstore.providers import Past, Prediction, Search, StepRequest
from opstore.providers.models import ModelTable
from opstore.spending.budget import Budget
from opstore.storage.files import Folder
from opstore.storage.operation import timestamp
from opstore.storage.packs import Library
from opstore.storage.preferences import NAME, PreferenceFile, Preferences
from opstore.storage.trash import Trash
from opstore.workflows import plan
from tests.test_history import IMAGE, SOUND, Told
from tests.test_meanwhile import aside

NOW = datetime.now(UTC)
ID = f"{NOW:%Y%m%d%H%M%S}_00000001"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "data")
    store.initialize_storage()
    return store


def jobs_of(store: Store) -> JobFolder:
    return JobFolder(store.pending, store.cache / "progress")


def moving(store: Store, patch: pytest.MonkeyPatch, goes: str) -> None:
    """Have the operation moved when the library is listed, at the moment at which that listing lacks it."""
    trash, names = Trash(store), Library.names
    comes_back, waiting = goes == "out of the trash", [ID]
    if comes_back:
        trash.put(ID)

    def listing(library: Library) -> list[str]:
        if waiting and not comes_back:
            trash.put(waiting.pop())
        found = names(library)
        if waiting:
            trash.restore(waiting.pop())
        return found

    patch.setattr(Library, "names", listing)


@pytest.mark.parametrize("goes", ["out of the trash", "into the trash"])
def test_what_moves_while_the_budget_counts_is_counted(store: Store, monkeypatch: pytest.MonkeyPatch, goes: str) -> None:
    cost = {"amount": 5.0, "currency": "USD", "basis": "its bill", "estimated": False}
    store.save(ID, {"cost": cost, "completedAt": timestamp(NOW)})
    moving(store, monkeypatch, goes)
    budget = Budget(store, jobs_of(store), lambda: Preferences(daily_budget=6.0))
    with pytest.raises(BudgetReached):
        budget.check([cost])


def test_of_two_who_mend_the_settings_neither_takes_back_the_other_s_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, found = PreferenceFile(Folder(tmp_path)), PreferenceFile._found
    (tmp_path / NAME).write_text("{")
    others: list[Any] = []

    def finding(file: PreferenceFile) -> Any:
        stored = found(file)
        if not others:
            others.append(None)
            others.append(aside(lambda: PreferenceFile(Folder(tmp_path)).save(mend=True, daily_budget=3.0)))
        return stored

    monkeypatch.setattr(PreferenceFile, "_found", finding)
    settings.save(mend=True, parallel=2)
    others[1].result(30)
    assert (settings.trusted().daily_budget, settings.trusted().parallel) == (3.0, 2)


@pytest.mark.parametrize("goes", ["out of the trash", "into the trash"])
def test_what_moves_while_an_import_looks_is_known_to_it(store: Store, monkeypatch: pytest.MonkeyPatch, goes: str) -> None:
    store.save(ID, {"steps": [{"predictionId": SOUND["id"]}]})
    moving(store, monkeypatch, goes)
    provider: Any = Told(SOUND)
    done = HistoryImport(store, Trash(store), ModelTable.load(), FetchPolicy()).run(provider, datetime(2026, 1, 1, tzinfo=UTC))
    assert (done.operations, done.same) == ((), 1)


class Beginning(Told):
    """A provider for whom a request leaves before its list is answered, so that the list has what became of it."""

    def __init__(self, begin: Any, *records: Any) -> None:
        super().__init__(*records)
        self._begin = begin

    def there(self, since: datetime, ago: float | None = None) -> datetime:
        return since

    def history(self, since: datetime) -> Iterator[Past]:
        self._begin()
        yield from super().history(since)


@pytest.mark.parametrize("knows", [False, True], ids=["its answer is lost", "it knows its id"])
def test_what_is_asked_for_while_an_import_begins_is_left_to_who_asked(store: Store, knows: bool) -> None:
    """Taken by the import, it would be another operation's for the job that looks for it, which would then be sent again."""
    table = ModelTable.load()
    steps = plan("text_to_image", "x", {"seed": 1}, 0, provider="replicate", table=table, models={"text_to_image": IMAGE})
    job = NewOperation("text_to_image", "x").job(steps, [None], NOW, None)
    changes: dict[str, Any] = {"creating_at": timestamp(NOW), "prediction_id": "made" if knows else None}
    begun = replace(job.with_step(**changes), state="running" if knows else "creating")
    provider: Any = Beginning(lambda: jobs_of(store).add(begun), SOUND | {"id": "made", "created_at": timestamp(NOW)})
    done = HistoryImport(store, Trash(store), table, FetchPolicy()).run(provider, datetime(2026, 1, 1, tzinfo=UTC))
    assert done.operations == () and store.list_operations() == []
    assert done.same == 1 if knows else "under way here" in done.left["made"]


class Listing:
    """A provider whose list has one prediction, of another operation."""

    def find(self, request: StepRequest, since: datetime, exclude: Collection[str] = (), ago: float | None = None) -> Search:
        return Search(None if "theirs" in exclude else Prediction("succeeded", id="theirs"), complete=True)


@pytest.mark.parametrize("goes", ["out of the trash", "into the trash"])
def test_what_another_operation_was_made_by_is_not_taken_for_a_lost_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch, goes: str
) -> None:
    store.save(ID, {"steps": [{"predictionId": "theirs"}]})
    moving(store, monkeypatch, goes)
    steps = plan("text_to_image", "x", {"seed": 1}, 0, provider="replicate", table=ModelTable.load(), models={})
    job = NewOperation("text_to_image", "x").job(steps, [None], NOW, None)
    asked = StepRequest(job.operation_id, "text_to_image", "x", {"seed": 1}, (), job.step.model)
    provider: Any = Listing()
    assert Lookup(store, jobs_of(store), job.operation_id).find(provider, asked, job.step, NOW).found is None
