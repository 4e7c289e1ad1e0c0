"""The demo: marked for what it is, the same plan for the same seed, whole after an interruption, never among other data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opstore import Operation, Store
from opstore.cli import main
from opstore.comparing.reviews import Reviews
from opstore.demo import MARK, fill
from opstore.demo.making import DRAFT, MODEL
from opstore.demo.plan import Planned, planned
from opstore.demo.voting import TITLE
from opstore.errors import NotADemo
from opstore.index import Index
from opstore.providers.old_failures import error_kind
from opstore.storage.names import sidecar_name
from opstore.storage.operation import OPERATION_TYPES, SPECIFIED
from tests.samples import ID, PNG, tree

ROOT = Path(__file__).resolve().parents[1]
END = datetime(2025, 11, 25, 15, 0, tzinfo=UTC)


def story(seed: int = 7) -> list[Planned]:
    return [item for session in planned(seed, END) for item in session]


# -- the plan ------------------------------------------------------------------------------------------------------------


def test_the_plan_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert story() == story()
    assert {item.id for item in story()}.isdisjoint(item.id for item in story(8))


def test_the_plan_has_something_of_everything() -> None:
    found = story()
    assert 300 <= len(found) <= 600 and len({item.id for item in found}) == len(found)
    assert {item.type for item in found} == set(OPERATION_TYPES)
    assert all(END - timedelta(days=182) < item.moment <= END for item in found)
    assert len({item.moment.month for item in found}) >= 6
    assert sum(END - item.moment < timedelta(days=1) for item in found) >= 2, "something is from today"
    kinds = Counter(error_kind(item.error, item.status) for item in found if item.error)
    assert len(kinds) >= 6 and sum(kinds.values()) < len(found) / 4, kinds
    assert {item.rating for item in found} == {None, 1, 2, 3, 4, 5} and any(item.favorite for item in found)
    assert any(item.old for item in found) and any(item.batch for item in found) and any(item.note for item in found)
    sure = [item for item in found if item.analysis and not item.old]
    overridden = [item for item in sure if item.analysis and "overriddenTo" in item.analysis]
    assert 0 < len(overridden) < len(sure) / 2
    working = sum(item.moment.weekday() < 5 for item in found)
    assert working > len(found) * 0.75, "people rest at the weekend"
    counted = Counter(item.prompt for item in found)
    assert counted.most_common(1)[0][1] >= 8, "people repeat themselves"


def test_every_parent_comes_before_and_has_a_result() -> None:
    before: dict[str, Planned] = {}
    for item in story():
        for parent in item.parents:
            made = before[parent]
            assert made.error is None and not made.lost and made.moment < item.moment
        before[item.id] = item


# -- the folder ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("demo") / "data")
    seen: list[tuple[int, int]] = []
    filled = fill(store, seed=47, sessions=4, now=END, report=lambda done, total: seen.append((done, total)))
    assert filled.made == filled.operations == len(store.list_operations(1_000)) >= 9
    assert seen[0] == (0, filled.operations) and seen[-1] == (filled.operations, filled.operations) and seen == sorted(seen)
    return store


@pytest.mark.long
def test_everything_is_whole_and_says_that_it_is_a_demo(demo: Store) -> None:
    assert demo.verify(deep=True) == []
    for sidecar in demo.list_operations(1_000):
        operation = Operation.of(sidecar)
        assert sidecar["demo"]["by"] == "opstore demo" and "timestamp" in sidecar["demo"]["invented"]
        assert "demo" in sidecar["annotations"]["tags"]
        if "schema" in sidecar:
            assert operation.provider == "local" and operation.model in (MODEL, DRAFT)
            cost = operation.cost
            assert cost is None or (cost["estimated"] and "nothing was paid" in cost["basis"])
        else:  # as the original backend wrote it
            assert list(sidecar)[: len(SPECIFIED)] == list(SPECIFIED) and operation.model is None
        if operation.succeeded:
            assert demo.read_file(str(operation.output))[:4] in (b"RIFF", b"\x89PNG") or str(operation.output).endswith(".mp4")


@pytest.mark.long
def test_its_people_have_voted_between_two_models(demo: Store) -> None:
    from opstore.analytics import content_tables, load_frame
    from opstore.analytics.selection import Selection

    reviews = Reviews(demo, Index(demo))
    (review,) = reviews.all()
    votes = reviews.rows()
    assert review.title == TITLE and len(votes) == len({vote["voter"] for vote in votes}) * len(review.ids) // 2 > 0
    tally = content_tables.wins(Selection.of(load_frame(demo)), votes)
    assert tally.n == len(votes) and tally.missing == 0
    assert set(tally.table["model"]) == {MODEL, DRAFT} and tally.table["model"][0] == MODEL, "drafts lose more often"
    assert fill(demo).made == 0 and len(reviews.rows()) == len(votes)


@pytest.mark.long
def test_a_second_run_changes_nothing_and_an_interrupted_one_is_completed(demo: Store) -> None:
    before = tree(demo.operations.path)
    assert fill(demo, seed=99, sessions=40).made == 0, "the folder's own mark decides, not what is asked for later"
    assert tree(demo.operations.path) == before
    stored = [item for item in demo.list_operations(1_000) if item["success"] and item.get("schema")]
    gone, judged = stored[0]["operationId"], stored[1]["operationId"]
    for path in demo.operations.path.glob(f"{gone}*.json"):
        path.unlink()
    demo.rewrite(judged, lambda sidecar: sidecar["annotations"].update(rating=1, note="mine"))
    assert fill(demo).made == 1
    assert demo.get_operation_metadata(gone)["prompt"] == stored[0]["prompt"]
    assert demo.get_operation_metadata(judged)["annotations"]["note"] == "mine", "what a person did since stays"
    (demo.root / "trash" / sidecar_name(judged)).write_bytes(b"{}")
    (demo.operations.path / sidecar_name(judged)).rename(demo.root / "aside.json")
    assert fill(demo).made == 0, "what is in the trash stays there"
    (demo.root / "aside.json").rename(demo.operations.path / sidecar_name(judged))
    (demo.root / "trash" / sidecar_name(judged)).unlink()


def test_a_folder_with_anything_else_in_it_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    mine = Store(tmp_path / "mine")
    mine.initialize_storage()
    mine.save(ID, {"operationType": "text_to_image", "prompt": "mine"}, outputs=[PNG])
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / MARK).write_text('{"schema": "opstore-demo/1", "seed": "x"}')
    for folder, named in ((mine.root, ID), (home, "letter.txt"), (broken, MARK)):
        before = tree(folder)
        with pytest.raises(NotADemo, match=named):
            fill(Store(folder), sessions=1)
        assert tree(folder) == before


@pytest.mark.long
def test_the_command(tmp_path: Path, demo: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--data", str(demo.root), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["made"] == 0 and told["operations"] == len(demo.list_operations(1_000)) and str(demo.root) in told["start"]
    mine = tmp_path / "data"
    Store(mine).initialize_storage()
    (mine / "operations" / "x").write_text("x")
    command = [sys.executable, "-m", "opstore", "demo", "--data", str(mine)]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "not a demo's" in done.stderr and "--data" in done.stderr
