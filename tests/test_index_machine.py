"""Any sequence of saves, edits, removals, foreign changes and crashes leaves an index that equals a fresh one."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from opstore.errors import OpstoreError
from opstore.index import Index, Row
from opstore.storage.store import Store
from tests.examples import some
from tests.index_samples import IDS, ODD_IDS, TODAY, Queries, all_rows, clock, plant, random_sidecar, rows_of
from tests.search_oracle import matching, ordered

ids = st.sampled_from([*IDS, *ODD_IDS, *(f"20251103143022_abc123{number:02x}" for number in range(12))])
seeds = st.integers(0, 40)
BROKEN = (b"", b"{", b'{"operationId": "20010101000000_00000000"}', b"\xff\xff")


class IndexMachine(RuleBasedStateMachine):
    """A folder, an index that is told or not, and now and again a comparison with a fresh one."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = Store(self.root)
        self.store.initialize_storage()
        self.index = Index(self.store, clock=clock)
        self.store.listeners.append(self.index.refresh)  # as `start` does, without the thread
        self.crashed: list[Index] = []
        self.is_told = True

    def teardown(self) -> None:
        for index in (self.index, *self.crashed):
            index.stop()
        shutil.rmtree(self.root)

    def path(self, operation_id: str) -> Path:
        return self.store.operations.path / f"{operation_id}.json"

    @rule(operation_id=ids, seed=seeds)
    def save(self, operation_id: str, seed: int) -> None:
        sidecar = random_sidecar(random.Random(seed), operation_id)
        metadata = {"prompt": sidecar["prompt"], "operationType": sidecar["operationType"]}
        with contextlib.suppress(OpstoreError):  # taken by other content
            self.store.save_operation_metadata(operation_id, metadata)

    @rule(operation_id=ids, tags=st.lists(st.sampled_from(["mer", "x,y", "ÉTÉ"])), rating=st.none() | st.integers(1, 5))
    def annotate(self, operation_id: str, tags: list[str], rating: int | None) -> None:
        def change(sidecar: dict[str, Any]) -> None:
            sidecar["annotations"] = {"tags": tags, "rating": rating, "favorite": rating == 5}

        with contextlib.suppress(OpstoreError):  # not there, or broken
            self.store.rewrite(operation_id, change)

    @rule(operation_id=ids, seed=seeds)
    def another_program_writes(self, operation_id: str, seed: int) -> None:
        if not self.path(operation_id).is_symlink():
            plant(self.store, random_sidecar(random.Random(seed), operation_id))
            self.is_told = False

    @rule(operation_id=ids, data=st.sampled_from(BROKEN))
    def another_program_breaks(self, operation_id: str, data: bytes) -> None:
        if not self.path(operation_id).is_symlink():
            plant(self.store, data, operation_id)
            self.is_told = False

    @rule(operation_id=ids)
    def another_program_links(self, operation_id: str) -> None:
        if not self.path(operation_id).exists() and not self.path(operation_id).is_symlink():
            self.path(operation_id).symlink_to("/nowhere")
            self.is_told = False

    @rule(operation_id=ids, is_told=st.booleans())
    def remove(self, operation_id: str, is_told: bool) -> None:
        self.path(operation_id).unlink(missing_ok=True)
        if is_told:
            self.index.refresh(operation_id)
        else:
            self.is_told = False

    @rule(operation_id=ids)
    def move_to_the_trash_or_back(self, operation_id: str) -> None:
        here, there = self.path(operation_id), self.root / "trash" / f"{operation_id}.json"
        if here.exists() != there.exists():
            shutil.move(*((here, there) if here.exists() else (there, here)))
            self.index.refresh(operation_id)

    @rule()
    def crash(self) -> None:
        """What a killed process leaves: the file with its log, and an index object that nobody closed."""
        self.store.listeners.clear()
        self.crashed.append(self.index)
        self.index = Index(Store(self.root), clock=clock)
        self.index.store = self.store
        self.store.listeners.append(self.index.refresh)

    @rule(how=st.sampled_from(["delete", "garbage", "truncate", "wal", "shm"]))
    def spoil_the_file(self, how: str) -> None:
        if not self.index.path.exists():
            return
        self.index.stop()
        if how == "delete":
            self.index.path.unlink()
        elif how == "garbage":
            self.index.path.write_bytes(b"garbage" * 2000)
        elif how == "truncate":
            self.index.path.write_bytes(self.index.path.read_bytes()[:5000])
        else:
            self.index.path.with_name(f"index.db-{how}").write_bytes(b"\xa5" * 40_000)
        self.is_told = False

    @rule(seed=seeds)
    def ask(self, seed: int) -> None:
        """At any moment every search answers, and what it answers is consistent."""
        text = Queries(random.Random(seed)).text()
        page = self.index.search(text, size=3)
        assert len(page.rows) <= page.total.n
        assert matching(text, list(page.rows), TODAY) == list(page.rows)

    @precondition(lambda self: not self.is_told)
    @rule()
    def look(self) -> None:
        self.index.update()
        self.is_told = True

    @rule()
    def rebuild(self) -> None:
        self.index.rebuild()
        self.is_told = True

    @invariant()
    def equals_the_folder(self) -> None:
        if self.is_told:
            self.compare(self.index, ordered(rows_of(self.store), "newest"))

    @precondition(lambda self: self.is_told)
    @rule(seed=seeds, order=st.sampled_from(["newest", "oldest", "rating", "cost", "elapsed"]))
    def compare_a_search(self, seed: int, order: str) -> None:
        text = Queries(random.Random(seed)).text()
        expected = ordered(matching(text, rows_of(self.store), TODAY), order)
        assert all_rows(self.index, text, order, 4) == expected
        assert self.index.count(text).n == len(expected)

    def compare(self, index: Index, rows: list[Row]) -> None:
        assert all_rows(index, size=50) == rows
        broken = {problem.operation_id for problem in index.problems()}
        there = {path.name[:-5] for path in self.store.operations.path.glob("*.json")}
        assert broken == there - {row.id for row in rows}
        types = [row.type for row in rows]
        assert index.facets()["type"] == {name: types.count(name) for name in types}
        assert sum(index.facets()["rating"].values()) == sum(row.rating is not None for row in rows)


TestIndexMachine = IndexMachine.TestCase
TestIndexMachine.settings = settings(max_examples=some(40), stateful_step_count=30, deadline=None)
