"""Cleanup: what a rule moves, and above all what it leaves: wanted, shared, worked on, built upon, younger, or not readable."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opstore import Store
from opstore.care import Rule, survey
from opstore.care.survey import ancestors
from opstore.curation import Edit
from opstore.errors import InvalidInput, InvalidQuery
from opstore.index import Index
from opstore.shares import Scope, Share, record
from opstore.storage.preferences import Preferences
from opstore.storage.trash import Trash
from tests.care_samples import NOW, annotated, care_of, made, old, save
from tests.examples import some
from tests.samples import GIF, MP4, PNG, plant, tree


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made(tmp_path)


def leaving(store: Store, rule: Rule | None = None) -> list[str]:
    return [fact.id for fact in care_of(store).cleanup.plan(rule or Rule()).leaving]


# -- what a rule covers --------------------------------------------------------------------------------------------------


def test_by_age_with_the_specification_s_default(store: Store) -> None:
    first, second, young = save(store, 1, 31), save(store, 2, 30.01), save(store, 3, 29.99)
    before = tree(store.operations.path)
    plan = care_of(store).cleanup.plan(Rule())
    assert [fact.id for fact in plan.leaving] == [first, second] and tree(store.operations.path) == before
    assert plan.bytes == sum(path.stat().st_size for path in store.operations.path.iterdir() if young not in path.name)


def test_by_type_success_size_and_search(store: Store) -> None:
    image = save(store, 1)
    video = save(store, 2, operationType="text_to_video", outputs=[MP4], prompt="a blue sea")
    failed = save(store, 3, error="no", success=False, outputs=[])
    assert leaving(store, Rule(types=("text_to_video",))) == [video]
    assert leaving(store, Rule(succeeded=False)) == [failed] and set(leaving(store, Rule(succeeded=True))) == {image, video}
    size = {fact.id: fact.bytes for fact in survey(store).facts}
    assert leaving(store, Rule(larger_than=size[video])) == [video]
    assert leaving(store, Rule(query="blue")) == [video] and set(leaving(store, Rule(query="-blue"))) == {image, failed}
    assert leaving(store, Rule(query="blue", types=("text_to_image",))) == []


def test_what_makes_no_sense_is_refused_before_anything_is_looked_at() -> None:
    for values in ({"days": -1}, {"days": True}, {"days": 1.5}, {"larger_than": -1}):
        with pytest.raises(InvalidInput):
            Rule(**values)
    with pytest.raises(InvalidQuery):
        Rule(query="rating:many")


# -- what stays whatever the rule says -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ({"tags": ["a"]}, "tagged"),
        ({"rating": 1}, "rated"),
        ({"favorite": True}, "favorite"),
        ({"note": "mine"}, "noted"),
    ],
)
def test_what_people_care_for_stays(store: Store, annotations: dict[str, Any], reason: str) -> None:
    save(store, 1, annotations=annotated(**annotations))
    plain = save(store, 2)
    plan = care_of(store).cleanup.plan(Rule(days=0))
    assert [fact.id for fact in plan.leaving] == [plain] and plan.kept == {reason: 1}


def test_what_is_shared_stays_whatever_the_record_looks_like(store: Store) -> None:
    first, second, third, free = (save(store, number) for number in range(4))
    shares = store.root / "shares"
    (shares / "a.json").write_text(json.dumps({"scope": {"ids": [first]}}))
    (shares / "b.json").write_bytes(b'{"damaged": "' + second.encode())
    (shares / f"{third}.json").write_text("{}")
    assert leaving(store) == [free]


def test_a_link_that_has_ended_shares_nothing(store: Store) -> None:
    ids = [save(store, number) for number in range(5)]
    ends = [None, NOW + timedelta(hours=1), NOW, NOW - timedelta(days=1), None]
    for number, (key, end) in enumerate(zip(ids, ends, strict=True)):
        share = Share(f"{number:016x}", Scope("operation", (key,)), NOW - timedelta(days=9), end)
        share = record.revoked(share, NOW) if number == 4 else share
        (store.root / "shares" / f"{share.id}.json").write_bytes(share.encode())
    assert leaving(store) == ids[2:]
    # Of two links to one operation the living one counts; a record whose end cannot be read may be a living link's.
    (store.root / "shares" / f"{5:016x}.json").write_bytes(Share(f"{5:016x}", Scope("operation", (ids[2],)), NOW).encode())
    ended = store.root / "shares" / f"{3:016x}.json"
    ended.write_bytes(ended.read_bytes().replace(b"T12:00:00", b"T99:00:00"))
    assert leaving(store) == [ids[4]]


@pytest.mark.parametrize(("folder", "reason"), [("reviews", "reviewed"), ("branches", "in use"), ("shares", "shared")])
def test_what_a_record_names_stays(store: Store, folder: str, reason: str) -> None:
    named, free = save(store, 0), save(store, 1)
    (store.root / folder).mkdir(exist_ok=True)
    (store.root / folder / "20260101000000_aaaaaaaa.json").write_text(json.dumps({"ids": [named]}))
    plan = care_of(store).cleanup.plan(Rule(days=0))
    assert [fact.id for fact in plan.leaving] == [free] and plan.kept == {reason: 1}


def test_what_something_kept_was_made_from_stays_all_the_way_up(store: Store) -> None:
    grandparent = save(store, 1)
    parent = save(store, 2, parents=[grandparent])
    young = save(store, 3, 1, parents=[parent, "no id", "20200101000000_00000000"])
    uncle, cousin = save(store, 4), save(store, 5, parents=[old(4)])
    plan = care_of(store).cleanup.plan(Rule())
    assert {fact.id for fact in plan.leaving} == {uncle, cousin} and plan.kept == {"ancestor": 2}
    Trash(store).put(young)
    assert set(leaving(store)) == {grandparent, parent, uncle, cousin}


def test_what_is_worked_on_or_made_from_stays(store: Store) -> None:
    source, free, running = save(store, 1), save(store, 2), old(9)
    (store.pending.path / f"{running}.json").write_text(json.dumps({"operationId": running, "operation": {"parents": [source]}}))
    twin = save(store, 3)  # its record has not gone yet
    (store.pending.path / f"{twin}.json").write_text("{}")
    store.save_input_image(running, PNG)
    plan = care_of(store).cleanup.plan(Rule(days=0))
    assert [fact.id for fact in plan.leaving] == [free]
    care_of(store).cleanup.apply(plan)
    assert store.operations.has(f"{running}_in_1.png")


def test_what_nobody_can_date_or_read_stays(store: Store) -> None:
    free = save(store, 1)
    plant(store, "99999999999999_00000001.json", b'{"operationId": "99999999999999_00000001"}')
    plant(store, f"{old(2)}.json", b"{")
    assert leaving(store, Rule(days=0)) == [free]


def test_what_somebody_begins_to_care_for_after_the_plan_stays(store: Store) -> None:
    first, second, third = save(store, 1), save(store, 2), save(store, 3)
    care = care_of(store)
    plan = care.cleanup.plan(Rule())
    store.rewrite(second, lambda sidecar: sidecar["annotations"].update(annotated(rating=5)))
    Trash(store).put(third)
    done = care.cleanup.apply(plan)
    assert done.moved == (first,) and done.left == {second: "rated"} and done.bytes == plan.leaving[0].bytes
    assert {item.operation_id for item in Trash(store).all()} == {first, third}


def test_what_something_was_made_from_after_the_plan_stays(store: Store) -> None:
    parent, other = save(store, 1), save(store, 2)
    gone = save(store, 3, 1, parents=[other])
    care = care_of(store)
    Trash(store).put(gone)
    plan = care.cleanup.plan(Rule())
    young = save(store, 4, 1, parents=[parent])
    Index(store).refresh(young, gone)
    done = care.cleanup.apply(plan)
    assert done.moved == (other,) and done.left == {parent: "ancestor"}


def test_it_comes_back_byte_for_byte_and_is_idempotent(store: Store) -> None:
    ids = [save(store, number) for number in range(3)]
    before = tree(store.operations.path)
    care = care_of(store)
    plan = care.cleanup.plan(Rule())
    assert set(care.cleanup.apply(plan).moved) == set(ids) and tree(store.operations.path) == {}
    assert care.cleanup.apply(plan).moved == () and care.cleanup.plan(Rule()).leaving == ()
    for operation_id in ids:
        Trash(store).restore(operation_id)
    assert tree(store.operations.path) == before and store.verify(deep=True) == []


@settings(max_examples=some(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 12), max_size=3)), st.sets(st.integers(0, 12)))
def test_ancestors_are_the_closure(links: dict[int, list[int]], start: set[int]) -> None:
    parents = {str(child): [str(parent) for parent in found] for child, found in links.items()}
    wanted: set[str] = set()
    for _ in range(20):
        wanted |= {parent for child in {*map(str, start), *wanted} for parent in parents.get(child, ())}
    assert ancestors(map(str, start), parents) == wanted


# -- where the bytes are -------------------------------------------------------------------------------------------------


def test_the_survey_accounts_for_every_byte(store: Store) -> None:
    save(store, 1, 100)
    save(store, 2, 10, operationType="text_to_video", outputs=[MP4])
    plant(store, f"{old(5)}_out.gif", GIF)
    plant(store, "notes.txt", b"12345")
    Trash(store).put(save(store, 3))
    found = survey(store)
    folder = sum(path.stat().st_size for path in store.operations.path.iterdir())
    assert sum(found.by_kind[kind] for kind in ("input", "output", "sidecar", "other")) == folder and found.by_kind["other"] == 5
    assert sum(found.by_month.values()) == folder - 5 and {kind for _, kind in found.by_month} == {
        "text_to_image", "text_to_video", "unknown",
    }  # fmt: skip
    assert found.by_kind["trash"] == sum(path.stat().st_size for path in (store.root / "trash").iterdir())
    assert set(found.by_month) == {("2026-08", "text_to_image"), ("2026-11", "text_to_video"), ("2026-08", "unknown")}


# -- the policy ----------------------------------------------------------------------------------------------------------


def test_the_policy_is_off_until_somebody_sets_it(store: Store) -> None:
    first, second = save(store, 1), save(store, 2, prompt="blue")
    assert care_of(store).retain() is None and len(store.list_operations()) == 2
    done = care_of(store, Preferences(retention_days=30, retention_query="blue")).retain()
    assert done is not None and done.moved == (second,) and store.list_operations()[0]["operationId"] == first
    with pytest.raises(InvalidQuery):
        care_of(store, Preferences(retention_days=30, retention_query="rating:many")).retain()


def test_the_curation_s_lock_is_the_cleanup_s(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reviewer who rates while it leaves waits, and is told that it left."""
    from opstore.curation import Curation

    operation_id = save(store, 1)
    care = care_of(store)
    curation = Curation(store, Index(store), Trash(store))
    seen: list[str] = []

    def put(wanted: str) -> None:
        seen.append("locked" if store.operations.path.parent.joinpath(f".annotating-{wanted}.lock").exists() else "open")

    monkeypatch.setattr(care.trash, "put", put)
    care.cleanup.apply(care.cleanup.plan(Rule()))
    assert seen == ["locked"] and curation.annotate([operation_id], Edit(rating=3)).done == (operation_id,)
