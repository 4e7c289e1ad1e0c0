"""What a kill -9 leaves behind at every call of a cleanup, a backup, a restore, an import and a repair: everything, and a way on.

The tables of what was seen are printed (`-rP`).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opstore import Store
from opstore.care import Keep, Rule
from opstore.care.vault import LocalVault
from opstore.storage.trash import Trash
from tests.care_samples import annotated, care_of, old, save
from tests.fault_tools import CHANGES, Fault, faults, killed, system, two_at_a_time
from tests.samples import PNG
from tests.test_backup import add_job, job
from tests.test_faults import desk as desk
from tests.test_repair import planted
from tests.test_trash_faults import show

Program = Callable[[str], str]


def command(program: str, data: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-B", "-m", "tests.care_programs", program, str(data), *map(str, arguments)]


def swept(
    strace: str, desk: Path, program: str, before: Path, check: Callable[[Path, str], str], *arguments: str
) -> list[tuple[Fault, str]]:
    """Kill a program at every call that changes something, each time on a fresh copy of `before`; return what `check` saw.

    `before/data` is the data folder; an argument that is a name becomes the path of that name beside it.
    """

    def line(place: Path) -> list[str]:
        return command(program, place / "data", *(place / name for name in arguments))

    first = desk / f"{program}-first"
    system("cp", "-a", before, first)
    calls = faults(strace, line(first), first, desk / "log")

    def case(fault: Fault) -> tuple[Fault, str]:
        place = desk / f"{program}-{fault}"
        system("cp", "-a", before, place)
        state = check(place, killed(strace, fault, line(place)))
        shutil.rmtree(place)
        return fault, state

    rows = two_at_a_time(case, [fault for fault in calls if fault.call in CHANGES])
    show(f"kill -9, {program}", rows)
    return rows


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder but those of locks and of the cache."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not path.name.startswith(".") and path.relative_to(folder).parts[0] != "cache"
    }


@pytest.mark.long
def test_killed_at_every_call_a_cleanup_leaves_every_operation_whole(program: Program, desk: Path) -> None:
    store = Store(desk / "before" / "data")
    ids = [save(store, number) for number in (1, 2)]
    kept = save(store, 3, annotations=annotated(rating=4))
    whole = contents(store.operations.path)

    def check(place: Path, said: str) -> str:
        store = Store(place / "data")
        library, trash = contents(store.operations.path), contents(store.root / "trash")
        for operation_id in (*ids, kept):
            files = {name: content for name, content in whole.items() if name.startswith(operation_id)}
            there = [all(found.get(name) == content for name, content in files.items()) for found in (library, trash)]
            assert any(there), f"{operation_id} is whole in none of the two"
        assert all(whole[name] == content for found in (library, trash) for name, content in found.items())
        moved = sum(f"{operation_id}.json" not in library for operation_id in ids)
        assert ("ACK" not in said or moved == 2) and f"{kept}.json" in library
        care = care_of(store)
        care.cleanup.apply(care.cleanup.plan(Rule()))
        # An act that was cut short behind the sidecar is completed by its repetition.
        for operation_id in ids:
            Trash(store).put(operation_id)
        assert contents(store.root / "trash") == {name: data for name, data in whole.items() if not name.startswith(kept)}
        assert store.verify(deep=True) == []
        return f"{moved} of 2 moved{', acknowledged' if 'ACK' in said else ''}"

    rows = swept(program("strace"), desk, "cleanup", desk / "before", check)
    assert {state for _, state in rows} == {"0 of 2 moved", "1 of 2 moved", "2 of 2 moved", "2 of 2 moved, acknowledged"}


def filled(data: Path) -> Store:
    """Make a store with an operation, one in the trash, a job and a saved search."""
    store = Store(data)
    ids = [save(store, number, outputs=[b"no media " * 900 + bytes([number])]) for number in (1, 2)]
    Trash(store).put(ids[1])
    add_job(store, job(old(7), "local"))
    (store.root / "searches.json").write_text('{"a": "b"}')
    return store


@pytest.mark.long
def test_killed_at_every_call_a_backup_leaves_data_and_backups_whole(program: Program, desk: Path) -> None:
    store = filled(desk / "before" / "data")
    first = care_of(store).back_up(str(desk / "before" / "vault"))
    before = contents(store.root)
    save(store, 4, outputs=[b"later " * 2_000])
    wanted = contents(store.root)

    def check(place: Path, said: str) -> str:
        store, vault = Store(place / "data"), LocalVault(place / "vault")
        assert contents(store.root) == wanted and vault.check() == {}
        names = vault.snapshots()
        assert names[-1] == first.snapshot and ("ACK" not in said or len(names) == 2)
        for name, files in zip(reversed(names), (before, wanted), strict=False):
            fresh = Store(place / name)
            care_of(fresh).restore(str(place / "vault"), name)
            assert contents(fresh.root) == files and fresh.verify(deep=True) == []
        care_of(store).back_up(str(place / "vault"))
        assert len(vault.snapshots()) == len(names) + 1 and vault.check() == {}
        return f"{len(names)} of 2 backups{', acknowledged' if 'ACK' in said else ''}"

    rows = swept(program("strace"), desk, "backup", desk / "before", check, "vault")
    assert {state for _, state in rows} == {"1 of 2 backups", "2 of 2 backups", "2 of 2 backups, acknowledged"}


def test_killed_while_old_backups_leave_those_that_stay_are_whole(program: Program, desk: Path) -> None:
    store = filled(desk / "before" / "data")
    care_of(store).back_up(str(desk / "before" / "vault"))
    Trash(store).remove(old(2))
    save(store, 4, outputs=[b"later " * 2_000])
    newest = care_of(store).back_up(str(desk / "before" / "vault")).snapshot

    def check(place: Path, said: str) -> str:
        vault = LocalVault(place / "vault")
        names = vault.snapshots()
        there, needed = vault.sizes(), [set(vault.load(name).files.values()) for name in names]
        assert names[0] == newest and all(wanted <= there.keys() for wanted in needed), "a backup that is not whole"
        assert "ACK" not in said or (names == [newest] and needed == [set(there)])
        care_of(Store(place / "data")).prune(str(vault.path), Keep(0, 0, 0))
        assert vault.snapshots() == [newest] and set(vault.sizes()) == needed[0] and vault.check() == {}
        return f"{len(names)} backups, {len(there) - len(needed[0])} contents too many"

    rows = swept(program("strace"), desk, "prune", desk / "before", check, "vault")
    ends = {state for _, state in rows}
    assert ends >= {"2 backups, 2 contents too many", "1 backups, 2 contents too many", "1 backups, 0 contents too many"}


@pytest.mark.long
def test_killed_at_every_call_a_restore_goes_on_where_it_was(program: Program, desk: Path) -> None:
    store = filled(desk / "lost")
    care_of(store).back_up(str(desk / "before" / "vault"))
    wanted = contents(store.root)
    (desk / "before" / "data").mkdir()

    def check(place: Path, said: str) -> str:
        store = Store(place / "data")
        there = contents(store.root)
        assert all(wanted[name] == content for name, content in there.items()), "a torn file"
        for sidecar in store.list_operations():
            files = [entry["name"] for entry in sidecar["files"]]
            assert all(f"operations/{name}" in there for name in files), "an operation that is not whole"
        assert "ACK" not in said or there == wanted
        done = care_of(store).restore(str(place / "vault"))
        assert contents(store.root) == wanted and not done.conflicts and not done.damaged
        assert {problem.kind for problem in store.verify(deep=True)} <= {"leftover"}
        return f"{len(there)} of {len(wanted)} files{', acknowledged' if 'ACK' in said else ''}"

    rows = swept(program("strace"), desk, "restore", desk / "before", check, "vault")
    assert {state for _, state in rows} >= {f"0 of {len(wanted)} files", f"{len(wanted)} of {len(wanted)} files, acknowledged"}


@pytest.mark.long
def test_killed_at_every_call_an_import_is_completed_by_the_next_one(program: Program, desk: Path) -> None:
    other = Store(desk / "before" / "other")
    other.save(old(1), {"prompt": "packed"}, inputs=[PNG], outputs=[b"no media " * 900])
    care_of(other).compression.apply(60)
    other.operations.packs.close()
    other.save(old(2), {"prompt": "loose"}, outputs=[b"no media " * 500])
    (other.root / "loose.png").write_bytes(PNG)
    source = contents(other.root)
    (desk / "before" / "data").mkdir()
    wanted: dict[str, bytes] = {}

    def check(place: Path, said: str) -> str:
        store = Store(place / "data")
        there = contents(store.root)
        for sidecar in store.list_operations():
            assert all(f"operations/{entry['name']}" in there for entry in sidecar["files"]), "an operation that is not whole"
        care = care_of(store)
        done = care.take_in(str(place / "other"))
        complete = contents(store.operations.path)
        wanted.update(wanted or complete)
        assert done.left == {} and len(done.operations) + done.same == 3 and complete == wanted
        assert all(complete[path.rpartition("/")[2]] == data for path, data in there.items()), "a torn file"
        again = care.take_in(str(place / "other"))
        assert (again.operations, again.same) == ((), 3) and contents(store.operations.path) == wanted
        assert "ACK" not in said or done.same == 3
        assert {problem.kind for problem in store.verify(deep=True)} <= {"leftover"}
        assert contents(place / "other") == source
        return f"{done.same} of 3 operations{', acknowledged' if 'ACK' in said else ''}"

    rows = swept(program("strace"), desk, "take_in", desk / "before", check, "other")
    ends = {state for _, state in rows}
    assert ends == {*(f"{count} of 3 operations" for count in range(4)), "3 of 3 operations, acknowledged"}
    assert {name: data for name, data in wanted.items() if name.startswith(old(1))} == {
        name: other.operations.read(name) for name in other.operations.names() if name.startswith(old(1))
    }


@pytest.mark.long
def test_killed_at_every_call_a_repair_loses_nothing_and_is_repeated(program: Program, desk: Path) -> None:
    store = Store(desk / "before" / "data")
    save(store, 1, outputs=[b"no media " * 900])
    planted(store, f"{old(2)}.json", b"{")
    planted(store, f"{old(2)}_out.png", b"alone " * 500)
    planted(store, f"{old(1)}_out.jpg", b"changed")
    planted(store, f".{old(3)}_out.png.0a1b2c3d.tmp", b"half")
    wanted = set(contents(store.root).values())

    def check(place: Path, said: str) -> str:
        store = Store(place / "data")
        assert wanted <= set(contents(store.root).values()), "bytes are gone"
        problems = len([problem for problem in store.verify(deep=True) if problem.kind != "leftover"])
        assert "ACK" not in said or problems == 1  # the result, which nobody has any more
        care_of(store).repair.apply(deep=True)
        assert wanted <= set(contents(store.root).values())
        assert [problem.kind for problem in store.verify(deep=True)] == ["missing"]
        assert store.get_operation_metadata(old(2))["adopted"]["by"] == "repair"
        return f"{problems} problems{', acknowledged' if 'ACK' in said else ''}"

    rows = swept(program("strace"), desk, "repair", desk / "before", check)
    assert {state for _, state in rows} >= {"2 problems", "1 problems", "1 problems, acknowledged"}
