"""Repair: one step for each kind of problem, planned first, idempotent, never losing a byte that somebody might want."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.care import Care, side_files
from opstore.curation import Curation
from opstore.fetch import FetchPolicy
from opstore.index import Index
from opstore.providers.registry import Opened
from opstore.providers.replicate import Replicate
from opstore.shares.signing_keys import Keys
from opstore.spending.spent import RemovedSpend
from opstore.storage.files import Folder, digest
from opstore.storage.operation import timestamp
from opstore.storage.preferences import PreferenceFile, Preferences
from opstore.storage.trash import Trash
from tests.care_samples import NOW, care_of, made, old, save
from tests.replicate_standin import StandIn
from tests.samples import GIF, JPG, MP4, PNG, WEBP, plant, record_of, tree
from tests.standin.client import request, silent, wait
from tests.test_cli import run

pytest_plugins = ("tests.standin.fixtures",)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = made(tmp_path)
    save(store, 1)
    return store


def planted(store: Store, name: str, data: bytes, seconds: float = 3_600) -> Path:
    """Write a file as another program did some time ago."""
    path = plant(store, name, data)
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def mended(store: Store, care: Care | None = None) -> dict[str, tuple[str, str, bool | None]]:
    """Mend everything: name → kind, step, whether it helped. The plan says the same before, and a repetition finds no more."""
    repair = (care or care_of(store)).repair
    before = tree(store.root)
    plan = {(item.problem.name, item.step) for item in repair.plan(deep=True)}
    assert tree(store.root) == before
    done = repair.apply(deep=True)
    assert plan <= {(item.problem.name, item.step) for item in done}
    after = tree(store.operations.path), tree(store.pending.path), tree(repair.quarantine.path)
    again = repair.apply(deep=True)
    assert not any(item.done for item in again), "a repetition did something"
    assert (tree(store.operations.path), tree(store.pending.path), tree(repair.quarantine.path)) == after
    return {item.problem.name: (item.problem.kind, item.step, item.done) for item in reversed(done)}


def aside(store: Store) -> dict[str, bytes]:
    folder = store.root / "quarantine"
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")} if folder.is_dir() else {}


# -- what an interrupted act leaves --------------------------------------------------------------------------------------


def test_a_healthy_store_is_left_alone(store: Store) -> None:
    before = tree(store.root)
    assert mended(store) == {} and tree(store.root) == before


def test_leftovers_are_removed_unless_somebody_is_at_work(store: Store) -> None:
    leftover = f".{old(5)}_out.png.0a1b2c3d.tmp"
    planted(store, leftover, b"half")
    planted(store, f".{old(5)}.lock", b"")
    (store.pending.path / f".{old(6)}.json.0a1b2c3d.tmp").write_bytes(b"half")
    with store.operations.locked(old(7)):
        planted(store, f".{old(7)}_out.png.0a1b2c3d.tmp", b"being written")
        found = mended(store)
        assert store.operations.has(f".{old(7)}_out.png.0a1b2c3d.tmp")
    assert set(found) == {leftover, f".{old(5)}.lock", f".{old(6)}.json.0a1b2c3d.tmp"}
    assert all(entry == ("leftover", "remove", True) for entry in found.values()) and aside(store) == {}


def test_media_without_a_sidecar_are_adopted_and_marked(store: Store) -> None:
    for name, data in {"_in_1.jpg": JPG, "_in_2.png": PNG, "_out.webp": WEBP, "_out_2.gif": GIF}.items():
        planted(store, f"{old(2)}{name}", data)
    planted(store, f"{old(3)}_in.jpg", JPG)
    planted(store, f"{old(4)}_out_7.png", PNG)
    found = mended(store)
    assert all(kind == "orphan" and step == "adopt" and done for kind, step, done in found.values())
    assert store.verify(deep=True) == [] and aside(store) == {}
    whole = store.get_operation_metadata(old(2))
    assert whole["adopted"]["by"] == "repair" and whole["success"] and whole["outputFile"] == f"{old(2)}_out.webp"
    assert whole["inputFiles"] == [f"{old(2)}_in_1.jpg", f"{old(2)}_in_2.png"] and whole["timestamp"].startswith("2026-08-17T12")
    assert store.get_operation_metadata(old(4))["outputFile"] == f"{old(4)}_out_7.png"
    only = store.get_operation_metadata(old(3))
    assert (only["success"], only["status"], only["inputFiles"]) == (False, "unknown", [f"{old(3)}_in.jpg"])


def test_young_media_and_work_under_way_are_left_to_who_makes_them(store: Store) -> None:
    plant(store, f"{old(2)}_in_1.jpg", JPG)
    planted(store, f"{old(3)}_in_1.jpg", JPG)
    (store.pending.path / f"{old(3)}.json").write_bytes(record_of(old(3)))
    assert mended(store) == {f"{old(2)}_in_1.jpg": ("orphan", "adopt", False)}
    assert not store.operations.has(f"{old(2)}.json") and not store.operations.has(f"{old(3)}.json")


def test_a_move_to_the_trash_that_was_cut_short_is_completed_not_adopted(store: Store) -> None:
    files = {path.name: path.read_bytes() for path in store.operations.path.iterdir()}
    Trash(store).put(old(1))
    for name, data in files.items():
        if not name.endswith(".json"):
            planted(store, name, data)
    found = mended(store)
    assert {step for _, step, _ in found.values()} == {"finish"} and store.operations.names() == []
    Trash(store).restore(old(1))
    assert {path.name: path.read_bytes() for path in store.operations.path.iterdir()} == files


def test_results_that_a_sidecar_does_not_name_are_named_and_inputs_set_aside(store: Store) -> None:
    save(store, 2, operationType="edit_then_video", outputs=[MP4])
    planted(store, f"{old(2)}_out.jpg", JPG)
    planted(store, f"{old(1)}_out_2.png", PNG + b"2")
    planted(store, f"{old(1)}_in_2.png", PNG)
    mended(store)
    roles = {entry["name"]: entry["role"] for entry in store.get_operation_metadata(old(2))["files"]}
    assert roles[f"{old(2)}_out.jpg"] == "intermediate" and roles[f"{old(2)}_out.mp4"] == "output"
    assert aside(store) == {f"{old(1)}_in_2.png": PNG} and store.verify(deep=True) == []


# -- what is broken ------------------------------------------------------------------------------------------------------


def test_a_broken_sidecar_is_set_aside_and_its_media_adopted(store: Store) -> None:
    for number, content in ((2, b"{"), (3, json.dumps({"operationId": old(1)}).encode())):
        planted(store, f"{old(number)}.json", content)
        planted(store, f"{old(number)}_out.png", PNG)
    found = mended(store)
    assert found[f"{old(2)}.json"] == ("unparsable", "quarantine", True) and found[f"{old(3)}.json"][0] == "mismatch"
    assert found[f"{old(2)}_out.png"] == ("orphan", "adopt", True) and store.verify(deep=True) == []
    assert set(aside(store)) == {f"{old(2)}.json", f"{old(3)}.json"} and aside(store)[f"{old(2)}.json"] == b"{"


def test_a_second_one_of_that_name_does_not_push_out_the_first(store: Store) -> None:
    for content in (b"{1", b"{2"):
        planted(store, f"{old(2)}.json", content)
        care_of(store).repair.apply()
    assert aside(store) == {f"{old(2)}.json": b"{1", f"{old(2)}.json.2": b"{2"}


def test_changed_and_cut_bytes_are_set_aside(store: Store) -> None:
    planted(store, f"{old(1)}_in_1.jpg", JPG[:-1] + b"x")
    planted(store, f"{old(1)}_out.png", PNG[:-5])
    found = mended(store)
    assert found[f"{old(1)}_in_1.jpg"] == ("changed", "quarantine", True) and found[f"{old(1)}_out.png"][0] == "truncated"
    assert aside(store) == {f"{old(1)}_in_1.jpg": JPG[:-1] + b"x", f"{old(1)}_out.png": PNG[:-5]}
    assert {problem.kind for problem in store.verify(deep=True)} == {"missing"}


def test_links_and_folders_are_set_aside_unopened(store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    (store.operations.path / f"{old(2)}.json").symlink_to(secret)
    (store.operations.path / f"{old(3)}.json").mkdir()
    mended(store)
    folder = store.root / "quarantine"
    assert (folder / f"{old(2)}.json").is_symlink() and (folder / f"{old(3)}.json").is_dir() and store.verify(deep=True) == []


def test_a_broken_record_is_set_aside_and_not_the_operation_of_its_name(store: Store) -> None:
    (store.pending.path / f"{old(1)}.json").write_bytes(b"{")
    assert mended(store) == {f"{old(1)}.json": ("unparsable", "quarantine", True)}
    assert store.operations.has(f"{old(1)}.json") and store.pending.names() == [] and aside(store) == {f"{old(1)}.json": b"{"}


def test_names_of_others_are_left_as_they_are(store: Store) -> None:
    planted(store, f"{old(2)}.json", json.dumps({"operationId": old(2), "inputFiles": ["../x"], "error": "no"}).encode())
    assert mended(store) == {f"{old(2)}.json": ("foreign name", "leave", False)}


# -- what Replicate still has --------------------------------------------------------------------------------------------


def made_there(store: Store, standin: StandIn, replicate: Replicate, number: int, **keys: Any) -> tuple[Care, str, bytes]:
    """Save an operation of the provider; return a care that can ask it, the result's name and bytes."""
    from opstore.fetch import fetch

    policy = FetchPolicy(hosts=(), origins=(standin.delivery_url,))
    (*_, ended) = wait(replicate, replicate.create(request(), silent))
    data = fetch(str(ended.outputs[0]), policy)
    step = {"operationType": "text_to_image", "provider": "replicate", "predictionId": ended.id, "model": "qwen/qwen-image"}
    operation_id = save(store, number, outputs=[data], steps=[step], **keys)
    chosen, opened = Preferences(), Opened({"replicate": replicate})
    care = Care(store, Index(store), Trash(store), lambda: chosen, providers=lambda: opened, policy=policy)
    return care, str(store.get_operation_metadata(operation_id)["outputFile"]), data


def test_a_missing_result_comes_back_from_replicate(store: Store, standin: StandIn, replicate: Replicate) -> None:
    care, name, data = made_there(store, standin, replicate, 2)
    (store.operations.path / name).unlink()
    assert mended(store, care) == {name: ("missing", "fetch", True)}
    assert store.read_file(name) == data and store.verify(deep=True) == [] and standin.accepted == 1


def test_a_changed_result_is_set_aside_and_comes_back(store: Store, standin: StandIn, replicate: Replicate) -> None:
    care, name, data = made_there(store, standin, replicate, 2)
    (store.operations.path / name).write_bytes(data[:-1] + b"x")
    assert mended(store, care) == {name: ("changed", "fetch", True)}
    assert store.read_file(name) == data and aside(store) == {name: data[:-1] + b"x"} and store.verify(deep=True) == []


def test_a_result_that_was_never_downloaded_is(store: Store, standin: StandIn, replicate: Replicate) -> None:
    care, name, data = made_there(store, standin, replicate, 2)

    def forget(sidecar: dict[str, Any]) -> None:
        sidecar |= {"outputFile": None, "files": [], "inputFiles": [], "inputCount": 0}

    store.rewrite(old(2), forget)
    for path in store.operations.path.glob(f"{old(2)}_*"):
        path.unlink()
    assert mended(store, care) == {f"{old(2)}.json": ("missing", "fetch", True)}
    sidecar = store.get_operation_metadata(old(2))
    assert sidecar["outputFile"] == name and sidecar["files"][0]["sha256"] == digest(data) and store.verify(deep=True) == []


def test_what_replicate_forgot_or_changed_is_not_made_up(store: Store, standin: StandIn, replicate: Replicate) -> None:
    care, name, _data = made_there(store, standin, replicate, 2)
    (store.operations.path / name).unlink()
    store.rewrite(old(2), lambda sidecar: sidecar["files"][-1].update(sha256=digest(b"another")))
    assert mended(store, care) == {name: ("missing", "fetch", False)} and not store.operations.has(name)
    standin.advance(4_000)
    assert mended(store, care) == {name: ("missing", "fetch", False)} and not store.operations.has(name)


# -- the command ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_command_plans_first(store: Store) -> None:
    assert run("repair").stdout == "No problems.\n"
    planted(store, f"{old(2)}.json", b"{")
    before = tree(store.root)
    plan = run("repair")
    assert plan.returncode == 1 and "unparsable    quarantine" in plan.stdout and "--apply" in plan.stdout
    assert run("repair", "--apply", "--dry-run").returncode == 1 and tree(store.root) == before
    done = run("repair", "--apply", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["remedies"][0]["detail"] == f"moved to quarantine/{old(2)}.json"
    assert run("repair", "--deep").returncode == 0 and NOW.year == 2026


@pytest.mark.parametrize("name", ["spent.json", "searches.json", "share-keys.json"])
@pytest.mark.parametrize("unsafe", [False, True])
def test_a_small_file_that_cannot_be_read_is_listed_and_set_aside_and_what_goes_with_it_is_said(
    store: Store, name: str, unsafe: bool
) -> None:
    path = store.root / name
    path.symlink_to("nowhere") if unsafe else path.write_text('{"schema": "opstore-')
    kind = "unsafe" if unsafe else "unparsable"
    assert [(problem.kind, problem.name, problem.folder) for problem in side_files.problems(Folder(store.root))] == [
        (kind, name, "root")
    ]
    told = run("verify", "--json", "--data", str(store.root))
    assert told.returncode == 1 and [problem["name"] for problem in json.loads(told.stdout)["problems"]] == [name]
    planned = care_of(store).repair.plan()
    assert [(item.step, item.detail) for item in planned] == [("quarantine", str(side_files.SIDE_FILES[name].forgotten))]
    assert mended(store) == {name: (kind, "quarantine", True)}
    assert not path.is_symlink() and not path.exists() and os.path.lexists(store.root / "quarantine" / name)
    assert side_files.problems(Folder(store.root)) == []


def test_settings_that_are_damaged_are_listed_and_left_for_without_them_there_is_no_limit(store: Store) -> None:
    path = store.root / "settings.json"
    path.write_text('{"daily_budget": 0')
    done = care_of(store).repair.apply()
    assert [(item.problem.name, item.step, item.done) for item in done] == [("settings.json", "leave", False)]
    assert "save them" in done[0].detail and path.read_text() == '{"daily_budget": 0'


def test_small_files_that_are_as_they_were_written_are_no_problem(store: Store) -> None:
    RemovedSpend(Folder(store.root), lambda: NOW).note(
        old(1, 0), {"completedAt": timestamp(NOW), "cost": {"amount": 2.0, "currency": "USD"}}
    )
    Keys(Folder(store.root)).rotate()
    Curation(store, Index(store), Trash(store)).save_search("mine", "a fox")
    PreferenceFile(Folder(store.root)).save(daily_budget=1.0)
    assert all((store.root / name).exists() for name in side_files.SIDE_FILES)
    assert side_files.problems(Folder(store.root)) == [] and care_of(store).repair.plan() == []
