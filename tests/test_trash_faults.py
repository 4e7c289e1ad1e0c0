"""What a fault in the trash leaves behind: kill -9, refused calls and power cuts at every call of put, restore and remove.

An operation that is moved is whole in the library, or whole in the trash, or in both (then it is in the library), never in none;
the act, or its opposite, completes when it is repeated. The tables of what was seen are printed (`-rP`).
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opstore import Store
from opstore.errors import OperationNotFound
from opstore.storage.trash import Trash
from tests.fault_programs import ID, LATER, operation
from tests.fault_tools import (
    CHANGES,
    Cut,
    Fault,
    answered,
    blank_image,
    cuts,
    faults,
    killed,
    mounted,
    system,
    two_at_a_time,
)
from tests.test_faults import desk as desk

Program = Callable[[str], str]
MOVES = ("put", "restore")
OPPOSITE = {"put": "restore", "restore": "put"}


def command(program: str, data: Path) -> list[str]:
    return [sys.executable, "-B", "-m", "tests.trash_programs", program, str(data)]


def prepare(data: Path, act: str) -> dict[str, bytes]:
    """Make a store for `act`, another operation beside the one that it is done to; return that one's files."""
    store = Store(data)
    store.save_complete_operation(operation())
    store.save_complete_operation(operation(LATER))
    whole = inside(data / "operations")
    if act in ("restore", "remove"):
        Trash(store).put(ID)
    return whole


def inside(folder: Path) -> dict[str, bytes]:
    """Return the files of the operation in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob(f"{ID}*")} if folder.is_dir() else {}


def places(data: Path, whole: dict[str, bytes]) -> list[str]:
    """Return the folders that have the operation's sidecar; it must be whole in each, and each file as it was."""
    found = []
    for name in ("operations", "trash"):
        files = inside(data / name)
        assert all(whole[file] == content for file, content in files.items()), f"a torn file in {name}"
        if f"{ID}.json" in files:
            assert files == whole, f"not whole in {name}"
            found.append(name)
    assert found, "in none of the two"
    kinds = {problem.kind for problem in Store(data).verify(deep=True)}
    assert kinds <= {"leftover", "orphan"} and Store(data).get_operation_metadata(LATER)
    return found


def complete(data: Path, act: str, whole: dict[str, bytes]) -> None:
    """Repeat a move: the operation is whole in one place, and nothing lies about."""
    getattr(Trash(Store(data)), act)(ID)
    target, source = ("trash", "operations") if act == "put" else ("operations", "trash")
    assert inside(data / target) == whole and inside(data / source) == {}
    assert Store(data).verify(deep=True) == []
    assert [path.name for path in data.glob("*/.*")] == []


def show(title: str, rows: list[tuple[Fault, str]]) -> None:
    """Print how many faults ended in which state."""
    print(f"\n{title}: {len(rows)} faults")
    for state, count in Counter(state for _, state in rows).most_common():
        print(f"  {count:3}  {state}")


def calls(strace: str, desk: Path, act: str) -> list[Fault]:
    """Return every call that an unharmed run of `act` makes from the first look at its store on."""
    data = desk / "first"
    prepare(data, act)
    return faults(strace, command(act, data), data, desk / "log")


# -- kill -9 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", MOVES)
def test_killed_at_every_call_a_move_leaves_a_whole_operation(program: Program, desk: Path, act: str) -> None:
    strace = program("strace")
    whole = prepare(desk / "before", act)

    def case(fault: Fault) -> tuple[Fault, str]:
        data, copy = desk / f"{fault}/data", desk / f"{fault}/copy"
        data.parent.mkdir()
        system("cp", "-a", desk / "before", data)
        said = killed(strace, fault, command(act, data))
        found = places(data, whole)
        if "ACK" in said:
            assert found == ["trash" if act == "put" else "operations"]
        shutil.copytree(data, copy)  # files of their own, as after a restore from a backup
        complete(data, act, whole)
        complete(copy, OPPOSITE[act], whole)
        shutil.rmtree(data.parent)
        return fault, f"{' and '.join(found)}{', acknowledged' if 'ACK' in said else ''}"

    rows = two_at_a_time(case, [fault for fault in calls(strace, desk, act) if fault.call in CHANGES])
    show(f"kill -9, {act}", rows)
    source, target = ("operations", "trash") if act == "put" else ("trash", "operations")
    assert {state for _, state in rows} == {source, "operations and trash", target, f"{target}, acknowledged"}
    assert {fault.call for fault, _ in rows} >= {"fsync", "exit_group"}


def test_killed_at_every_call_a_removal_leaves_a_whole_operation_or_none(program: Program, desk: Path) -> None:
    strace = program("strace")
    whole = prepare(desk / "before", "remove")

    def case(fault: Fault) -> tuple[Fault, str]:
        data = desk / str(fault)
        system("cp", "-a", desk / "before", data)
        said = killed(strace, fault, command("remove", data))
        left = inside(data / "trash")
        there = f"{ID}.json" in left
        assert left == whole if there else all(whole[name] == content for name, content in left.items())
        assert not ("ACK" in said and left) and Store(data).verify(deep=True) == [] and inside(data / "operations") == {}
        trash = Trash(Store(data))
        assert [item.operation_id for item in trash.all()] == ([ID] if there else [])
        if there:
            trash.remove(ID)
        else:
            for act in (trash.remove, trash.restore):
                with pytest.raises(OperationNotFound):
                    act(ID)
            assert trash.purge(now=datetime.now(UTC) + timedelta(hours=2)) == []  # what nobody lists goes by the day
        assert inside(data / "trash") == {} and Store(data).get_operation_metadata(LATER)
        shutil.rmtree(data)
        return fault, f"{len(left)} of {len(whole)} files left{', acknowledged' if 'ACK' in said else ''}"

    rows = two_at_a_time(case, [fault for fault in calls(strace, desk, "remove") if fault.call in CHANGES])
    show("kill -9, remove", rows)
    assert {state for _, state in rows} >= {"4 of 4 files left", "3 of 4 files left", "0 of 4 files left, acknowledged"}


@pytest.mark.parametrize("act", MOVES)
def test_what_arrives_is_durable_before_the_next_and_before_anything_leaves(program: Program, desk: Path, act: str) -> None:
    """ext4 keeps the order in which links come and go; other disks need not: the order of the calls is the promise."""
    letters = {"link": "l", "unlink": "u", "fsync": "f"}
    trace = "".join(letters.get(fault.call.removesuffix("at"), "") for fault in calls(program("strace"), desk, act))
    locks = "uu"
    assert trace == "lllflfufuuuf" + locks, "media, sidecar; sidecar, media"


# -- refused calls -------------------------------------------------------------------------------------------------------

ANSWERS = {
    "openat": ("EMFILE", "EIO"),
    "link": ("EIO", "ENOSPC"),
    "linkat": ("EIO", "ENOSPC"),
    "fsync": ("EIO", "ENOSPC"),
    "unlink": ("EIO", "EROFS"),
    "unlinkat": ("EIO", "EROFS"),
    "mkdir": ("ENOSPC",),
    "mkdirat": ("ENOSPC",),
}


@pytest.mark.long
@pytest.mark.parametrize("act", ["put", "restore", "remove"])
def test_any_call_may_be_refused_and_it_is_said(program: Program, desk: Path, act: str) -> None:
    strace = program("strace")
    whole = prepare(desk / "before", act)

    def case(refusal: tuple[Fault, str]) -> tuple[Fault, str]:
        fault, code = refusal
        data = desk / f"{fault}-{code}"
        system("cp", "-a", desk / "before", data)
        said = answered(strace, fault, f"error={code}", command(act, data), desk / f"{fault}-{code}.log")
        if said != f"ACK {act}":
            assert said.startswith("StorageError: The storage did not do it: "), (refusal, said)
        if act == "remove":
            state = "acknowledged" if said.startswith("ACK") else "refused"
            left = inside(data / "trash")
            assert f"{ID}.json" not in left or left == whole, refusal
        else:
            found = places(data, whole)
            state = f"{' and '.join(found)}{', acknowledged' if said.startswith('ACK') else ''}"
            # Only a lock, which the next act takes over, may have been left by an act that says it was done.
            assert not said.startswith("ACK") or found == ["trash" if act == "put" else "operations"], refusal
            complete(data, act, whole)
        shutil.rmtree(data)
        return fault, f"{code}: {state}"

    cases = [(fault, code) for fault in calls(strace, desk, act) for code in ANSWERS.get(fault.call, ())]
    rows = two_at_a_time(case, cases)
    show(f"refused calls, {act}", rows)
    assert {fault.call.removesuffix("at") for fault, _ in rows} >= {"open", "fsync", "unlink"}


# -- power cut -----------------------------------------------------------------------------------------------------------


def test_a_power_cut_at_every_call_of_there_and_back_keeps_the_operation(program: Program, desk: Path) -> None:
    strace, blank = program("strace"), blank_image(desk, program("mkfs.ext4"))
    with mounted(desk / "first", "-o", "loop", blank) as disk:
        whole = prepare(disk / "data", "put")
        system("sync")
    found = cuts(blank, desk, strace, lambda data: command("there_and_back", data))

    def case(cut: Cut) -> tuple[Fault, str]:
        with mounted(cut.image.with_suffix(""), "-o", "loop", cut.image) as disk:
            found = places(disk / "data", whole)
            assert "ACK restore" not in cut.said or found == ["operations"]
            complete(disk / "data", "put" if "ACK" not in cut.said else "restore", whole)
        cut.image.unlink()
        return cut.fault, f"{' and '.join(found)}, {cut.said.count('ACK')} acknowledged"

    rows = two_at_a_time(case, found)
    show("power cut, put and restore", rows)
    states = {state for _, state in rows}
    assert {"operations, 0 acknowledged", "trash, 1 acknowledged", "operations, 2 acknowledged"} <= states
