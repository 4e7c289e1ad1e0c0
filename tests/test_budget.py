"""Money: what counts as spent, what stops a request before it is sent, and two processes that cannot both pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opstore.app import App
from opstore.errors import BudgetReached, LimitsUnsaid, SettingsDamaged, SpendingUnknown, StorageError
from opstore.generation import SmartRequest
from opstore.jobs import runner
from opstore.jobs.finalization import total_cost
from opstore.providers import Prediction
from opstore.providers.models import Cost, ModelTable
from opstore.service import NewOperation
from opstore.spending.budget import Budget, rounded_up
from opstore.spending.spent import NAME as SPENT
from opstore.spending.spent import Money, spent_on
from opstore.storage.files import Folder
from opstore.storage.operation import timestamp
from opstore.storage.trash import Trash
from tests.job_programs import CANARY, WARM, Place, admit_when_told, ask, ended, finish, folder, start, until
from tests.replicate_standin import StandIn

NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
TABLE = """
["acme/five"]
types = ["text_to_image"]
output = "image"
price = { amount = 5.0, per = "image", date = "2026-01-01" }
parameters.seed = { kind = "integer" }
["acme/unpriced"]
types = ["text_to_image"]
output = "image"
parameters.seed = { kind = "integer" }
"""
FIVE: dict[str, Any] = {"models": {"text_to_image": "acme/five"}}
UNPRICED: dict[str, Any] = {"models": {"text_to_image": "acme/unpriced"}}


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    from tests.standin import world

    schema = {"kind": "image", "output": "string", "required": ["prompt"]}
    fields = {"prompt": {"type": "string"}, "seed": {"type": "integer"}}
    for name in ("acme/five", "acme/unpriced"):
        monkeypatch.setitem(world.SCHEMAS, name, schema | {"fields": fields})
    with StandIn(token=CANARY, start=0.05, run=0.1) as running:
        yield running


@pytest.fixture
def place(standin: StandIn, tmp_path: Path) -> Place:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models.toml").write_text(TABLE)
    return Place.at(tmp_path / "data", standin)


@pytest.fixture
def app(place: Place) -> Iterator[App]:
    with place.working() as opened:
        assert not opened.service.table.problems
        yield opened


def test_the_day_s_budget_stops_a_request_before_anything_is_stored(standin: StandIn, app: App) -> None:
    app.service.change_preferences(daily_budget=12.0)
    app.runner.start()
    for _ in range(2):
        assert ended(app, ask(app, **FIVE)).sidecar["cost"]["amount"] == 5.0
    before = sorted(app.store.operations.names())
    with pytest.raises(BudgetReached) as caught:
        ask(app, **FIVE)
    told = "The budget for the day is $12.00: $10.00 are spent or under way, and this would cost about $5.00. Nothing was sent."
    assert str(caught.value).startswith(told)
    assert sorted(app.store.operations.names()) == before and app.service.jobs() == []
    assert standin.accepted == 2 and app.service.spending().today == app.service.spending().month == 10.0


def test_the_month_s_budget_and_a_raised_one(app: App) -> None:
    app.service.change_preferences(monthly_budget=5.0)
    app.runner.start()
    ended(app, ask(app, **FIVE))
    with pytest.raises(BudgetReached, match=r"The budget for the month is \$5\.00"):
        ask(app, **FIVE)
    app.service.change_preferences(monthly_budget=10.0)
    assert ended(app, ask(app, **FIVE)).status == "stored"


def test_what_was_queued_before_the_money_ran_out_ends_as_failed_and_costs_nothing(standin: StandIn, app: App) -> None:
    app.service.change_preferences(daily_budget=10.0, parallel=8)
    ids = [ask(app, **FIVE) for _ in range(6)]  # none is sent yet, so all are taken
    app.runner.start()
    ends = [ended(app, operation_id) for operation_id in ids]
    assert sorted(operation.status for operation in ends) == ["failed"] * 4 + ["stored"] * 2
    assert standin.accepted == 2 and app.service.spending().today == 10.0
    assert all("Nothing was sent" in (o.error or "") and o.sidecar["cost"]["amount"] == 0 for o in ends if o.status == "failed")


def test_a_model_without_a_price_counts_nothing_and_stops_with_the_others(standin: StandIn, app: App) -> None:
    app.service.change_preferences(daily_budget=5.0)
    app.runner.start()
    unpriced = ended(app, ask(app, **UNPRICED))
    assert unpriced.sidecar["cost"] is None and app.service.spending().today == 0.0
    assert ended(app, ask(app, **FIVE)).status == "stored"
    with pytest.raises(BudgetReached):
        ask(app, **UNPRICED)
    assert standin.accepted == 2


def test_a_budget_of_nothing_lets_only_what_is_free_pass(app: App) -> None:
    app.service.change_preferences(daily_budget=0, monthly_budget=0)
    for models in (FIVE, UNPRICED):
        with pytest.raises(BudgetReached):
            ask(app, **models)
    app.runner.start()
    free = app.service.create(NewOperation("text_to_image", "stars", provider="local"))
    operation = ended(app, free)
    assert operation.status == "stored" and operation.sidecar["cost"]["amount"] == 0


def test_damaged_settings_pay_nothing_until_they_are_mended_and_what_is_free_goes_on(
    standin: StandIn, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "REST_SECONDS", 0.05)
    app.service.change_preferences(daily_budget=5.0, retention_days=1)
    queued = ask(app, **FIVE)
    (app.store.root / "settings.json").write_bytes(b'{"daily_budget": 5.0, "mon')
    app.runner.start()
    for models in (FIVE, UNPRICED):
        with pytest.raises(SettingsDamaged, match=r"settings\.json is damaged"):
            ask(app, **models)
        with pytest.raises(SettingsDamaged):
            app.generation.execute(SmartRequest("a sea", provider="replicate", models=models["models"]))
    with pytest.raises(SettingsDamaged):
        app.service.care.retain()
    free = ended(app, app.service.create(NewOperation("text_to_image", "stars", provider="local")))
    assert free.status == "stored"
    until(lambda: "damaged" in folder(app).progress(queued).note)
    assert standin.accepted == 0 and folder(app).get(queued).state == "queued"
    app.service.change_preferences(mend=True, daily_budget=5.0)
    assert ended(app, queued).status == "stored", "asked for before, and paid when it may be"
    assert app.runner._resting.pop(queued), "it rested meanwhile"
    with pytest.raises(BudgetReached):
        ask(app, **FIVE)


def test_settings_by_hand_without_a_budget_pay_nothing_and_stop_nothing_else(standin: StandIn, app: App) -> None:
    (app.store.root / "settings.json").write_text('{"parallel": 2}')
    for models in (FIVE, UNPRICED):
        with pytest.raises(LimitsUnsaid, match=r"settings\.json does not say daily_budget"):
            ask(app, **models)
    assert isinstance(app.service.settings_damage(), LimitsUnsaid)
    app.runner.start()
    assert ended(app, app.service.create(NewOperation("text_to_image", "stars", provider="local"))).status == "stored"
    assert standin.accepted == 0 and app.service.care.retain() is None and app.service.preferences().parallel == 2


def test_what_has_a_price_is_never_counted_as_free_nor_below_nothing() -> None:
    priced = '["acme/video"]\ntypes = ["text_to_video"]\nprice = { amount = 0.1, per = "second_of_video"%s }\n'
    table = ModelTable.load(priced % ", exact = true")
    assert "acme/video" not in table.by_name and "price.exact is for what is free" in table.problems[0]
    lengths = '["acme/video".parameters]\nduration = { choices = ["auto", -1, 5], default = "auto" }\n'
    model = ModelTable.load(priced % "" + lengths).get("acme/video")
    made = Prediction("succeeded", "p", ("https://replicate.delivery/a.mp4",))
    for length in ("auto", -1):
        assert model.estimate("text_to_video", {"duration": length}) is None, "not known"
        assert model.cost("text_to_video", {"duration": length}, made) is None
    known = model.cost("text_to_video", {"duration": 5}, made)
    assert known and known.amount == 0.5


def test_a_refusal_is_told_in_amounts_that_agree_and_leaves_nothing_behind(app: App) -> None:
    app.service.change_preferences(daily_budget=5.0)
    paid(app, f"{datetime.now(UTC):%Y%m%d}000000_00000001", datetime.now(UTC), 4.9975)
    for amount, told in ((0.003, r"\$5\.00: \$5\.00 are .* would cost about \$0\.003\."), (12.001, r"about \$12\.01\.")):
        with pytest.raises(BudgetReached, match=told):
            app.service.afford([Cost(amount, "USD", "a price", True)])
    paid(app, f"{datetime.now(UTC):%Y%m%d}000000_00000002", datetime.now(UTC), 0.01)
    before = app.store.operations.names()
    for _ in range(3):
        with pytest.raises(BudgetReached, match="what this would cost is not known"):
            app.generation.execute(SmartRequest("a sea", provider="replicate", **UNPRICED))
    assert app.store.operations.names() == before
    assert [rounded_up(amount) for amount in (0.0, 0.00306, 0.3, 4.991, 1e-9)] == [0.0, 0.0031, 0.3, 5.0, 0.000001]


def test_what_was_paid_stays_paid_in_the_trash(app: App) -> None:
    app.service.change_preferences(daily_budget=5.0)
    operation_id = f"{datetime.now(UTC):%Y%m%d}000000_00000001"
    paid(app, operation_id, datetime.now(UTC), 5.0)
    app.service.curation.put_in_trash([operation_id])
    fresh = budget_at(app, datetime.now(UTC))
    assert fresh.spending().today == 5.0
    with pytest.raises(BudgetReached):
        fresh.check([about(0.1)])


def test_what_was_paid_stays_paid_when_its_operation_is_removed_for_good(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.service.change_preferences(daily_budget=5.0)
    now = datetime.now(UTC)
    ids = [f"{now:%Y%m%d}000000_0000000{number}" for number in (1, 2)]
    for operation_id, amount in zip(ids, (4.0, 1.0), strict=True):
        paid(app, operation_id, now, amount)
    paid(app, "20200101000000_00000003", now - timedelta(days=90), 7.0)
    app.service.curation.put_in_trash([*ids, "20200101000000_00000003"])
    trash = Trash(app.store)
    with monkeypatch.context() as patched:  # killed between the note and the sidecar
        patched.setattr(Folder, "remove", lambda *given: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            trash.remove(ids[0])
    assert budget_at(app, now).spending().today == 5.0, "not counted twice"
    trash.purge(timedelta(0))
    assert trash.count() == 0
    told = json.loads((app.store.root / SPENT).read_text())["gone"]
    assert {key: value[1] for key, value in told.items()} == dict(zip(ids, (4.0, 1.0), strict=True)), "of old ones nothing stays"
    for budget in (budget_at(app, now), app.service):
        assert budget.spending().today == budget.spending().month == 5.0
    with pytest.raises(BudgetReached):
        budget_at(app, now).check([about(0.1)])


@pytest.mark.parametrize("where", ["operations", "trash", "pending", "packed", SPENT, "no files"])
def test_what_cannot_be_read_is_not_nothing(app: App, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    operation_id = f"{datetime.now(UTC):%Y%m%d}000000_00000001"
    name = {"packed": f"{operation_id[:6]}.sqlite", SPENT: SPENT}.get(where, f"{operation_id}.json")
    folder = app.store.root if where == SPENT else app.store.root / ("operations" if where == "no files" else where)
    folder.mkdir(exist_ok=True)
    if where == "no files":
        paid(app, operation_id, datetime.now(UTC), 3.0)
        monkeypatch.setattr(
            type(app.store), "get_operation_metadata", lambda *given: (_ for _ in ()).throw(StorageError(reason="no files"))
        )
    else:
        (folder / name).write_text('{"schema": "opstore-')
    budget = budget_at(app, datetime.now(UTC))
    budget.check([about(1.0)])  # no budget, no question
    app.service.change_preferences(daily_budget=5.0)
    with pytest.raises(SpendingUnknown, match=name):
        budget.check([about(1.0)])
    assert budget.spending().unread and budget.spending().today == 0.0
    monkeypatch.undo()
    if where == "no files":
        assert budget.spending().today == 3.0 and not budget.spending().unread
    else:
        (folder / name).unlink()
        budget.check([about(1.0)])


def test_what_may_have_been_billed_counts_with_its_estimate(standin: StandIn, app: App) -> None:
    app.runner.start()
    standin.plan(run=30.0)
    operation_id = ask(app, **FIVE)
    until(lambda: folder(app).get(operation_id).state == "running")
    assert app.service.spending().bound == 5.0
    app.service.cancel(operation_id)
    assert ended(app, operation_id).status == "canceled"
    assert app.service.spending().today == 5.0, "canceled: nobody knows, so it counts"
    standin.plan(status="failed")
    assert ended(app, ask(app, **FIVE)).status == "failed"
    assert app.service.spending().today == 5.0, "failed, by the image: not billed"
    standin.fault(on="create", kind="json", status=422)
    assert ended(app, ask(app, **FIVE)).status == "failed"
    assert app.service.spending().today == 5.0, "refused: nothing was made"


@pytest.mark.parametrize(
    ("cost", "steps", "spent"),
    [
        ({"amount": 3.0, "currency": "a lot"}, [], Money(others=frozenset("?"))),
        ({"amount": 3.0}, [], Money(others=frozenset("?"))),
        ({"amount": 0, "currency": "EUR"}, [], Money()),
        ({"amount": 1.5, "currency": "USD"}, [], 1.5),
        (None, [{"status": "unknown", "estimate": {"amount": 2.0, "currency": "USD"}}], 2.0),
        (None, [{"status": "unknown", "estimate": None}], 0.0),
        (
            None,
            [{"cost": {"amount": 1.0, "currency": "USD"}}, {"status": None, "estimate": {"amount": 2.0, "currency": "USD"}}],
            1.0,
        ),
        ({"amount": None, "currency": "USD"}, [{"status": "canceled", "estimate": {"amount": 2.0, "currency": "USD"}}], 2.0),
        ({"amount": 3.0, "currency": "EUR"}, [], Money(others=frozenset({"EUR"}))),
        ({"amount": True, "currency": "USD"}, "no list", 0.0),
        ({"amount": -1000.0, "currency": "USD"}, [], 0.0),
        ({"amount": float("nan"), "currency": "USD"}, [], 0.0),
        ({"amount": float("inf"), "currency": "USD"}, [], 0.0),
        ("a lot", None, 0.0),
    ],
)
def test_what_a_sidecar_counts_with(cost: Any, steps: Any, spent: float | Money) -> None:
    assert spent_on({"cost": cost, "steps": steps}) == (spent if isinstance(spent, Money) else Money(spent))


def about(amount: float, currency: str = "USD") -> dict[str, Any]:
    return Cost(amount, currency, "list price", True).record()


def budget_at(app: App, moment: datetime) -> Budget:
    return Budget(app.store, folder(app), app.service.preferences, lambda: moment)


def paid(app: App, operation_id: str, ended_at: datetime | None, amount: float, currency: str = "USD") -> None:
    cost = {"amount": amount, "currency": currency}
    app.store.save(operation_id, {"operationType": "text_to_image", "cost": cost})
    path = app.store.operations.path / f"{operation_id}.json"
    sidecar = json.loads(path.read_text()) | {"completedAt": timestamp(ended_at) if ended_at else None}
    path.write_text(json.dumps(sidecar))


def test_money_counts_on_the_day_it_was_spent_not_on_the_day_it_was_asked_for(app: App) -> None:
    paid(app, "20260228233000_00000001", NOW, 1.0)  # queued before midnight, run after
    paid(app, "20260301001000_00000002", NOW, 2.0)
    paid(app, "20260228100000_00000003", NOW - timedelta(days=1), 4.0)
    paid(app, "20260301000500_00000004", None, 8.0)  # written by another program, which does not say when
    paid(app, "20260315000500_00000005", NOW + timedelta(days=14), 16.0)
    now, later = budget_at(app, NOW).spending(), budget_at(app, NOW + timedelta(days=14)).spending()
    assert (now.today, now.month) == (11.0, 27.0)
    assert (later.today, later.month) == (16.0, 27.0)


def test_the_second_step_of_a_chain_has_its_money_and_counts_the_first(app: App) -> None:
    operation_id = ask(app, "edit_then_video")
    job = folder(app).get(operation_id)
    dollars = [{"amount": amount, "currency": "USD", "estimated": True} for amount in (6.0, 3.0)]
    steps = tuple(replace(step, estimate=amount) for step, amount in zip(job.steps, dollars, strict=True))
    between = replace(job, steps=(replace(steps[0], cost=dollars[0]), steps[1]), current=1)
    folder(app).update(operation_id, lambda _: between)
    budget = budget_at(app, datetime.now(UTC))
    assert budget.spending().bound == 9.0 and budget.spending(between).bound == 6.0
    app.service.change_preferences(daily_budget=9.0)
    with budget.admitted(between):
        pass
    with pytest.raises(BudgetReached):
        budget.check([about(0.5)])
    app.service.change_preferences(daily_budget=8.0)
    with pytest.raises(BudgetReached), budget.admitted(between):
        pass


def test_of_processes_that_ask_at_one_moment_only_as_many_pass_as_there_is_money_for(place: Place, app: App) -> None:
    app.service.change_preferences(daily_budget=10.0)
    for _ in range(5):
        ask(app, **FIVE)
    gate, said = WARM.Barrier(5), WARM.Queue()
    processes = [start(admit_when_told, place, number, gate, said) for number in range(5)]
    answers = sorted(said.get(timeout=60) for _ in processes)
    assert [finish(process) for process in processes] == [0] * 5
    assert answers[:3] == [answers[0]] * 3 and "this would cost about $5.00" in answers[0]
    assert answers[3:] == ["passed", "passed"]
    assert sum(job.state == "creating" for job in folder(app).all()) == 2


# -- money that is no dollars ---------------------------------------------------------------------------------------------


def test_a_price_in_another_currency_is_let_through_by_no_budget(standin: StandIn, app: App, place: Place) -> None:
    (place.data / "models.toml").write_text(TABLE.replace("amount = 5.0", 'amount = 5.0, currency = "eur"'))
    with place.working() as euros:
        assert not euros.service.table.problems
        queued = ask(euros, **FIVE)  # while there is no budget
        for day, month in ((1_000.0, None), (None, 1_000.0)):
            euros.service.change_preferences(daily_budget=day, monthly_budget=month)
            with pytest.raises(BudgetReached, match=r"another currency \(EUR\).*nothing is converted\. Nothing was sent"):
                ask(euros, **FIVE)
            with pytest.raises(BudgetReached, match="EUR"):
                euros.generation.execute(SmartRequest("a sea", provider="replicate", models=FIVE["models"]))
        euros.runner.start()
        operation = ended(euros, queued)
        assert operation.status == "failed" and "(EUR)" in str(operation.error) and operation.sidecar["cost"]["amount"] == 0
    assert standin.accepted == 0


@pytest.mark.long
@pytest.mark.parametrize("gone", [False, True], ids=["there", "removed for good"])
def test_what_was_spent_in_another_currency_stops_what_costs_until_nobody_asks_for_it(app: App, gone: bool) -> None:
    operation_id, now = f"{datetime.now(UTC):%Y%m%d}000000_00000001", datetime.now(UTC)
    paid(app, operation_id, now, 3.0, "EUR")
    if gone:
        app.service.curation.put_in_trash([operation_id])
        Trash(app.store).purge(timedelta(0))
    assert app.service.spending().today_others == app.service.spending().month_others == {"EUR": operation_id}
    budget_at(app, now).check([about(0.1)])  # no budget, no question
    app.service.change_preferences(monthly_budget=1_000.0)
    for costs in ([about(0.1)], [None]):
        with pytest.raises(
            BudgetReached, match=rf"The budget for the month .*another currency \(EUR, operation {operation_id}\)"
        ):
            budget_at(app, now).check(costs)
    app.service.change_preferences(monthly_budget=None, daily_budget=1_000.0)
    with pytest.raises(BudgetReached, match="The budget for the day"):
        budget_at(app, now).check([about(0.1)])
    budget_at(app, now + timedelta(days=40)).check([about(0.1)])
    assert ended_free(app).status == "stored"


def ended_free(app: App) -> Any:
    app.runner.start()
    return ended(app, app.service.create(NewOperation("text_to_image", "stars", provider="local")))


def test_what_runs_in_another_currency_is_bound(app: App) -> None:
    operation_id = ask(app, **FIVE)
    euros = about(5.0, "EUR")
    folder(app).update(operation_id, lambda job: replace(job.with_step(estimate=euros, prediction_id="p"), state="running"))
    app.service.change_preferences(daily_budget=1_000.0)
    with pytest.raises(BudgetReached, match=operation_id):
        ask(app, **FIVE)


def test_two_currencies_are_never_one_sum() -> None:
    dollars, euros, free = about(2.0), about(3.0, "EUR"), about(0.0)
    assert total_cost([dollars, euros]) is None
    found = total_cost([free, euros])
    assert found and (found["amount"], found["currency"]) == (3.0, "EUR")
    steps = [{"cost": cost, "status": "succeeded"} for cost in (dollars, euros)]
    assert spent_on({"cost": None, "steps": steps}) == Money(2.0, frozenset({"EUR"}))
