"""The frame equals what reading every JSON gives, row for row, whatever is in it and however it comes to be."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import opstore
from opstore.analytics import COLUMNS, load_frame, reading, shared_frame
from opstore.analytics.columns import NAMES
from opstore.analytics.frame import frame_of
from opstore.analytics.frame_row import row_of
from opstore.analytics.reading import table_of
from opstore.analytics.shared_frame import Holder
from opstore.analytics.snapshot import Snapshot, load
from opstore.errors import StorageError
from opstore.index import Index
from opstore.index.entry import sidecar_of
from opstore.index.prompts import prompt_key, words_of
from opstore.storage.operation import encode
from opstore.storage.packs import Library
from opstore.storage.store import Store
from tests.examples import some
from tests.frame_samples import ID, SIDECARS, ids, usual
from tests.frame_twin import expected, plain, row
from tests.index_samples import folder_of, plant

ROOT = Path(__file__).resolve().parents[1]


def folder(root: Path, count: int = 60, seed: int = 1) -> Store:
    """A data folder: random oddities, and usual operations among them, and files that are none."""
    store = folder_of(root, 40, seed)
    chance = random.Random(seed)
    for operation_id in ids(chance, count):
        plant(store, usual(chance, operation_id))
    plant(store, b"{", "20250101000000_0badc0de")
    plant(store, b'{"operationId": "other"}', "20250101000001_0badc0de")
    return store


@pytest.mark.long
@settings(max_examples=some(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SIDECARS)
def test_a_row_is_what_the_sidecar_says(sidecar: dict[str, Any]) -> None:
    found = dict(zip(NAMES, row_of(sidecar_of(encode(sidecar), ID), ID), strict=False))
    wanted = row(sidecar)
    assert {name: list(found[name]) if isinstance(found[name], tuple) else found[name] for name in wanted} == wanted


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SIDECARS, min_size=1, max_size=12))
def test_a_frame_is_what_the_rows_say(sidecars: list[dict[str, Any]]) -> None:
    rows = [(row_of(sidecar, ID), 1) for sidecar in sidecars]
    table = Snapshot.empty().changed(table_of(rows), (), {ID: 1}, "1-1").table
    assert plain(frame_of(table)) == [row(sidecar) for sidecar in sidecars]


def test_the_frame_is_the_folder(tmp_path: Path) -> None:
    store = folder(tmp_path)
    for source in (tmp_path, str(tmp_path), store):
        frame = load_frame(source)
        assert plain(frame) == expected(store.operations.path)
        assert frame.attrs["problems"] == 2
    assert opstore.analytics.load_frame(tmp_path).equals(frame)


def test_every_column_has_its_documented_type(tmp_path: Path) -> None:
    for frame in (load_frame(folder(tmp_path / "full")), load_frame(Store(tmp_path / "empty"))):
        assert [(name, str(kind)) for name, kind in frame.dtypes.items()] == [(column.name, column.dtype) for column in COLUMNS]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no folder"):
        load_frame(tmp_path / "absent")


@pytest.mark.long
def test_what_is_new_changed_moved_or_gone_is_followed(tmp_path: Path) -> None:
    store = folder(tmp_path)
    index = Index(store)
    index.update()
    held = Holder(index, clock=lambda: 0.0)
    chance = random.Random(5)
    known = [path.stem for path in store.operations.path.glob("2025[01]*.json")]
    versions = {held.held().version}
    for turn in range(25):
        touched = chance.sample(known, 3)
        act = turn % 5
        if act == 0:
            fresh = ids(chance, 2)
            known += [plant(store, usual(chance, operation_id)) for operation_id in fresh]
            index.refresh(*fresh)
        elif act == 1:
            (store.operations.path / f"{touched[0]}.json").unlink()
            known.remove(touched[0])
            index.refresh(touched[0])
        elif act == 2:
            plant(store, usual(chance, touched[0]))
            index.refresh(touched[0])
        elif act == 3:  # many of one second: the index moves rows to make room
            near = [f"{touched[0][:14]}_{chance.getrandbits(8):02x}ff{number:04x}" for number in range(4)]
            known += [plant(store, usual(chance, operation_id)) for operation_id in near]
            index.refresh(*near)
        else:
            plant(store, b"?", touched[1])
            known.remove(touched[1])
            index.refresh(touched[1])
        state = held.held()
        assert plain(state.frame) == expected(store.operations.path)
        assert state.snapshot.table["at"].to_pylist() == [at for _, at, _ in index.listing()]
        assert state.version not in versions
        versions.add(state.version)
    index.stop()


def test_nothing_new_is_the_same_version(tmp_path: Path) -> None:
    store = folder(tmp_path)
    index = Index(store)
    index.update()
    held = Holder(index, clock=lambda: 0.0)
    first = held.held()
    assert not held.is_stale()
    assert held.held() is first
    # Looked at again and found to be the same: what only time has settled is no change.
    index.refresh(*(path.stem for path in store.operations.path.glob("*.json") if path.stem[0] == "2"))
    assert held.held().version == first.version
    index.stop()


def test_a_second_process_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = folder(tmp_path)
    load_frame(store)
    assert load(store.cache / shared_frame.NAME) is not None
    chance = random.Random(9)
    fresh = [plant(store, usual(chance, operation_id)) for operation_id in ids(chance, 3)]
    asked: list[str] = []
    true = reading.read

    def counted(operations: Library, wanted: Any, *rest: Any) -> Any:
        asked.extend(wanted)
        return true(operations, wanted, *rest)

    monkeypatch.setattr(shared_frame, "read", counted)
    assert plain(load_frame(store)) == expected(store.operations.path)
    young = {path.stem for path in store.operations.path.glob("*.json")}
    assert set(fresh) <= set(asked) <= young


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "flipped", "foreign", "older"])
def test_a_snapshot_that_cannot_be_trusted_is_made_anew(damage: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    load_frame(store)
    path = store.cache / shared_frame.NAME
    data = bytearray(path.read_bytes())
    if damage == "absent":
        path.unlink()
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        kept: dict[str, bytes] = {
            "empty": b"",
            "cut": bytes(data[:-200]),
            "foreign": b"x" * 5000,
            "older": bytes(data).replace(b"opstore-frame-", b"opstore-fram3-", 1),
        }
        path.write_bytes(kept[damage])
    assert plain(load_frame(store)) == expected(store.operations.path)
    assert load(path) is not None


def test_a_cache_of_another_folder_is_not_believed(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one", seed=1), folder(tmp_path / "other", seed=2)
    load_frame(one)
    load_frame(other)
    (other.cache / shared_frame.NAME).write_bytes((one.cache / shared_frame.NAME).read_bytes())
    assert plain(load_frame(other)) == expected(other.operations.path)


@pytest.mark.long
@pytest.mark.parametrize("dead", [False, True])
def test_very_many_are_read_by_processes_or_without_them(dead: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = folder(tmp_path)
    monkeypatch.setattr(reading, "WORTHWHILE", 10)
    monkeypatch.setattr(reading, "CHUNK", 20)
    if dead:
        monkeypatch.setattr(sys, "executable", "/bin/false")
    assert plain(load_frame(store)) == expected(store.operations.path)


def test_the_shared_frame_cannot_be_changed_through_a_view(tmp_path: Path) -> None:
    store = folder(tmp_path)
    index = Index(store)
    index.update()
    shared = Holder(index).held().frame
    before = shared.copy()
    mine = shared[shared["cost"].notna()].copy(deep=False)
    mine.loc[:, "cost"] = 0.0
    view = shared.copy(deep=False)
    view["prompt"] = "x"
    pd.testing.assert_frame_equal(shared, before)
    index.stop()


def test_prompts_that_differ_in_writing_only_have_one_key() -> None:
    same = ["Un chat, à la plage!", "un CHAT  a la plage", "\tUn chat à la pläge…"]
    assert len({prompt_key(text) for text in same}) == 1
    assert len({prompt_key(text) for text in ("un chat", "un chats", "", "?", "!", "日本", "日 本")}) == 7
    assert list(words_of("L'été à LA plage, l'Ete là")) == [
        ("l", "l"),
        ("ete", "été"),
        ("a", "à"),
        ("la", "la"),
        ("plage", "plage"),
    ]
