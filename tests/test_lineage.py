"""Families, by declared parents and by equal bytes, and branches run again: through crashes, once and no more."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from opstore import Store
from opstore.access.roles import Person
from opstore.app import App, Settings
from opstore.errors import InvalidRequest, OperationNotFound, OpstoreError, UnsupportedMedia
from opstore.index.order import second_of
from opstore.index.same_bytes import code_of, keys_from, keys_of, seconds_of
from opstore.lineage.branches import Branches, plan
from opstore.lineage.families import Family, Link, layout
from opstore.service import NewOperation
from opstore.storage.operation import Operation
from tests.media_samples import encoded


def name_of(number: int) -> str:
    return f"202510011200{number:02}_{number:08x}"


def picture(number: int) -> bytes:
    return encoded(Image.new("RGB", (24, 16), (number * 7 % 256, number * 31 % 256, 90)), "PNG")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    found = App(Settings(data=tmp_path / "data", provider="local"))
    yield found
    found.stop()


def keep(app: App, number: int, inputs: list[int], output: int, **more: Any) -> str:
    """Store operation `number` that made picture `output` of pictures `inputs`."""
    kind = {0: "text_to_image", 1: "image_edit_single"}.get(len(inputs), "image_edit_multiple")
    images = [picture(item) for item in inputs]
    app.store.save(
        name_of(number), {"operationType": kind, "prompt": f"p{number}", **more}, inputs=images, outputs=[picture(output)]
    )
    return name_of(number)


def links(family: Family) -> dict[tuple[str, str], tuple[str, tuple[int, ...]]]:
    return {pair: (link.how, link.inputs) for pair, link in family.links.items()}


# -- families ------------------------------------------------------------------------------------------------------------


def test_a_family_is_found_by_declared_parents_and_by_equal_bytes(app: App) -> None:
    root = keep(app, 1, [], 10)
    child = keep(app, 2, [10], 20)  # nobody declared it: the bytes tell
    other = keep(app, 3, [], 30)
    both = keep(app, 4, [20, 30], 40, parents=[child])
    last = keep(app, 5, [99], 50, parents=[both])  # declared, its bytes were changed on the way
    keep(app, 6, [77], 60)  # no kin
    app.index.catch_up()
    family = app.service.lineage.family(child)
    assert set(family.members) == {root, child, both, last}, "of `both` only what leads here and away from here"
    assert links(family) == {
        (root, child): ("content", (1,)), (child, both): ("both", (1,)), (both, last): ("declared", ()),
    }  # fmt: skip
    assert set(app.service.lineage.family(both).members) == {root, child, other, both, last}
    assert set(app.service.lineage.family(last).members) == {root, child, other, both, last}
    assert family.parents(child) == [root] and family.children(child) == [both] and not family.cut
    cut = app.service.lineage.family(child, limit=2)
    assert len(cut.members) == 2 and cut.cut


def test_of_several_that_made_the_same_bytes_the_declared_one_is_the_parent_else_the_last_before(app: App) -> None:
    one, two = keep(app, 1, [], 10), keep(app, 2, [], 10)
    free, named = keep(app, 3, [10], 20), keep(app, 4, [10], 30, parents=[one])
    keep(app, 5, [], 10)  # later: no parent of what was there before
    app.index.catch_up()
    family = app.service.lineage.family
    assert family(free).parents(free) == [two] and family(named).parents(named) == [one]
    assert family(one).children(one) == [named] and family(two).children(two) == [free]


def test_what_is_gone_is_an_orphans_parent_and_what_is_odd_breaks_nothing(app: App) -> None:
    gone = "20250101000000_deadbeef"
    first = keep(app, 1, [5], 10, parents=[gone, "../x", 7, name_of(1)])
    ring = keep(app, 2, [10], 11, parents=[first])
    app.store.rewrite(first, lambda sidecar: sidecar["parents"].append(ring))
    app.store.rewrite(ring, lambda sidecar: sidecar["files"].append({"name": 5, "role": "input", "sha256": "zz"}))
    app.index.catch_up()
    family = app.service.lineage.family(first)
    assert family.members[gone] is None and (gone, first) in family.links and {(first, ring), (ring, first)} <= set(family.links)
    assert set(layout(family)) == set(family.members)
    with pytest.raises(OperationNotFound):
        app.service.lineage.family(gone)


def test_of_thousands_made_of_one_only_as_many_are_read_as_are_shown(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    root = keep(app, 1, [], 10)
    for number in range(2, 30):
        keep(app, number, [10], 100 + number, parents=[root])
    last = keep(app, 30, [129, 10], 200, parents=[root, name_of(29)])
    app.index.catch_up()
    lineage, read = app.service.lineage, list[str]()
    whole = app.store.get_operation_metadata

    def counted(name: str) -> dict[str, Any]:
        read.append(name)
        return whole(name)

    monkeypatch.setattr(app.store, "get_operation_metadata", counted)
    family = lineage.family(root, limit=5)
    assert family.cut and len(family.members) == 5 and len(read) <= 7
    assert not lineage.family(root, limit=30).cut and set(family.links) < set(lineage.family(root).links)
    assert (name_of(29), last) in lineage.family(root).links


def test_the_trash_takes_a_member_out_and_restoring_brings_it_back(app: App) -> None:
    root, child = keep(app, 1, [], 10), keep(app, 2, [10], 20)
    app.index.catch_up()
    app.service.curation.put_in_trash([root])
    assert set(app.service.lineage.family(child).members) == {child}
    app.service.curation.restore([root])
    assert set(app.service.lineage.family(child).members) == {root, child}


@given(st.data())
def test_the_layout_has_parents_left_of_children_and_no_two_in_one_place(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    names = [name_of(number) for number in range(count)]
    family = Family(names[0], dict.fromkeys(names))
    for child in range(1, count):
        for parent in data.draw(st.sets(st.integers(0, child - 1), max_size=3)):
            family.links[names[parent], names[child]] = Link(names[parent], names[child], "declared")
    places = layout(family)
    assert len(set(places.values())) == count
    assert all(places[parent][0] < places[child][0] for parent, child in family.links)


@given(st.from_regex(r"\A[0-9]{14}_[0-9a-f]{6,8}\Z"), st.integers(-(2**31), 2**31 - 1))
def test_the_key_of_a_content_tells_the_second_of_any_id(operation_id: str, code: int) -> None:
    second = second_of(operation_id)
    (key,) = keys_of([code], second)
    first, last = keys_from(code)
    assert -(2**63) <= first <= key <= last < 2**63
    low, high = seconds_of(key)
    assert low <= second <= high and (low == high or not 1952 < int(operation_id[:4]) < 2088)


def test_a_content_fits_four_bytes_and_says_whether_it_was_made() -> None:
    codes = {code_of(f"{value:08x}" + "0" * 56, made) for value in (0, 2, 2**32 - 1) for made in (True, False)}
    assert len(codes) == 6 and all(-(2**31) <= code < 2**31 for code in codes)


# -- branches ------------------------------------------------------------------------------------------------------------


def chain(app: App) -> list[str]:
    """Make three edits of a photograph, each of the last one's result, by the local engine."""
    data, made = picture(3), list[str]()
    parents: tuple[str, ...] = ()
    app.start()
    for prompt in ("sepia", "invert the colours", "black and white"):
        made.append(app.service.create(NewOperation("image_edit_single", prompt, (data,), parents=parents)))
        stored = finished(app, made[-1])
        data, parents = app.store.read_file(stored.outputs[0]), (made[-1],)
        time.sleep(1.05)  # ids count seconds: the order of the chain is theirs
    return made


def finished(app: App, operation_id: str) -> Operation:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            return app.service.operation(operation_id)
        except OpstoreError:
            time.sleep(0.05)
    raise AssertionError(f"{operation_id} was not made")


def ended(branches: Branches) -> None:
    deadline = time.monotonic() + 40
    while branches.all():
        assert not [branch.error for branch in branches.all() if branch.error]
        assert time.monotonic() < deadline, branches.all()
        time.sleep(0.05)


def of_batch(app: App, branch_id: str) -> list[Operation]:
    app.index.catch_up()
    return [app.service.operation(row.id) for row in app.index.search(f"batch:{branch_id}", order="oldest").rows]


def die_when_asked(branches: Branches) -> None:
    """Let the process die right after an operation was asked for."""
    again = branches._again

    def asking(*given: Any) -> str:
        again(*given)
        raise KeyboardInterrupt

    branches._again = asking
    with pytest.raises(KeyboardInterrupt):
        branches.turn()
    branches._again = again


@pytest.mark.long
def test_a_branch_is_made_anew_from_another_image_through_a_restart_and_once_only(tmp_path: Path) -> None:
    app = App(Settings(data=tmp_path / "data", provider="local"))
    old = chain(app)
    fresh = encoded(Image.new("RGB", (40, 40), (10, 200, 90)), "PNG")
    app.service.branches.stop()
    branch_id = app.service.acting_as(Person("Ada", frozenset({"creator"}), None, "Ada")).branches.begin(old[-1], old[0], fresh)
    die_when_asked(app.service.branches)
    app.stop()
    again = App(Settings(data=tmp_path / "data", provider="local"))
    again.start()
    try:
        ended(again.service.branches)
        made = of_batch(again, branch_id)
        assert [item.sidecar["retryOf"] for item in made] == old, "each once, in their order"
        assert [item.sidecar["createdBy"] for item in made] == ["Ada"] * 3, "whoever began it, though nobody waits for it"
        assert again.store.read_file(made[0].inputs[0]) == fresh
        for one, other in itertools.pairwise(made):
            assert again.store.read_file(other.inputs[0]) == again.store.read_file(one.outputs[0]) and other.parents == (one.id,)
        assert [item.prompt for item in made] == ["sepia", "invert the colours", "black and white"]
        with Image.open(io.BytesIO(again.store.read_file(made[-1].outputs[0]))) as result:
            assert result.size == (40, 40)
    finally:
        again.stop()
    # When it has stopped: the record of a branch goes before its image.
    assert not [path for path in (tmp_path / "data" / "branches").iterdir() if not path.name.startswith(".")]


def test_a_branch_that_fails_stands_still_with_its_reason_and_can_go_on_or_be_forgotten(app: App) -> None:
    first = keep(app, 1, [5], 10)
    second = keep(app, 2, [10], 20, parents=[first])
    app.index.catch_up()
    branches = app.service.branches
    branch_id = branches.begin(second, first, picture(9))
    app.service.curation.put_in_trash([first])
    branches.turn()
    assert "There is no operation" in (branches.all()[0].error or "")
    branches.turn()  # it rests
    app.service.curation.restore([first])
    branches.go_on(branch_id)
    branches.turn()
    assert branches.all()[0].error is None and app.service.jobs()[0].prompt == "p1"
    branches.forget(branch_id)
    assert branches.all() == []
    for act in (branches.go_on, branches.forget):
        with pytest.raises(OperationNotFound):
            act(branch_id)


def begun(app: App) -> tuple[str, str]:
    """Begin a branch that dies when its first operation is asked for; return its id and the operation's."""
    first = keep(app, 1, [5], 10)
    second = keep(app, 2, [10], 20, parents=[first])
    app.index.catch_up()
    branch_id = app.service.branches.begin(second, first, picture(9))
    die_when_asked(app.service.branches)
    (job,) = app.service.jobs()
    return branch_id, job.id


def end(app: App, operation_id: str) -> None:
    app.store.save(operation_id, {"operationType": "image_edit_single"}, outputs=[picture(30)])
    app.store.pending.remove(operation_id, [f"{operation_id}.json"])


def test_what_a_branch_asked_for_is_not_asked_for_again_where_it_was_trashed_before_anybody_went_on(app: App) -> None:
    branch_id, made = begun(app)
    end(app, made)
    app.service.curation.put_in_trash([made])
    app.service.branches.turn()
    assert app.service.jobs() == [] and "was not made" in (app.service.branches.all()[0].error or "")
    app.service.branches.go_on(branch_id)  # a person wants another one
    app.service.branches.turn()
    (job,) = app.service.jobs()
    assert job.id != made and app.service.branches.all()[0].error is None


def test_what_ends_while_somebody_lets_a_branch_go_on_is_not_made_twice(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    branch_id, made = begun(app)
    app.service.branches.turn()
    read = Store.get_operation_metadata

    def reading(store: Store, operation_id: str) -> dict[str, Any]:
        try:
            return read(store, operation_id)
        finally:
            if operation_id == made and app.store.pending.has(f"{made}.json"):
                end(app, made)

    monkeypatch.setattr(Store, "get_operation_metadata", reading)
    app.service.branches.go_on(branch_id)
    assert [step.made for step in app.service.branches.all()[0].steps] == [made, None]


def test_a_branch_that_cannot_be_told_is_refused_before_anything_is_stored(app: App) -> None:
    root = keep(app, 1, [], 10)
    blind = keep(app, 2, [50, 51], 20, parents=[root])  # which of the two came from there?
    last = keep(app, 3, [20], 30)
    app.index.catch_up()
    branches = app.service.branches
    for centre, start, number in ((last, root, 1), (last, blind, 3), (root, last, 1), (last, name_of(9), 1)):
        with pytest.raises(InvalidRequest):
            branches.begin(centre, start, picture(4), number)
    with pytest.raises(UnsupportedMedia):
        branches.begin(last, last, b"no picture")
    assert branches.all() == []
    steps = plan(app.service.lineage.family(last), blind, 2)
    assert [(step.of, step.sources) for step in steps] == [(blind, (None, "")), (last, (blind,))]


def test_parents_are_made_before_children_whatever_their_ids_say(app: App) -> None:
    """Within one second an id says nothing of what came first, nor where a clock was set back."""
    start, between, last = name_of(8), name_of(5), name_of(2)
    keep(app, 8, [10], 20)
    keep(app, 5, [20], 30, parents=[start])
    keep(app, 2, [30], 40, parents=[between])
    app.index.catch_up()
    steps = plan(app.service.lineage.family(last), start)
    assert [(step.of, step.sources) for step in steps] == [(start, ("",)), (between, (start,)), (last, (between,))]


def test_a_record_that_is_none_is_passed_over(app: App) -> None:
    folder = app.store.root / "branches"
    folder.mkdir(exist_ok=True)
    for at, data in enumerate((b"", b"{", b"[]", b'{"id": 1}', b'{"steps": [{"of": "x"}]}')):
        (folder / f"{name_of(at)}.json").write_bytes(data)
    assert app.service.branches.all() == []
    app.service.branches.turn()
