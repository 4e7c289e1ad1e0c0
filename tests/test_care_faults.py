"""What a kill -9 leaves behind at every call of a cleanup, a backup, a restore and a repair: everything, and the way to go on.

The tables of what was seen are printed (`-rP`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from opstore import Store
from opstore.care import Rule
from opstore.trash import Trash
from tests.care_samples import annotated, care_of, save
from tests.fault_tools import CHANGES, PYTHON, Fault, faults, killed, system, two_at_a_time
from tests.test_faults import desk as desk
from tests.test_trash_faults import show

Program = Callable[[str], str]


def command(program: str, data: Path, *arguments: object) -> list[str]:
    return [PYTHON, "-S", "-E", "-B", "-m", "tests.care_programs", program, str(data), *map(str, arguments)]


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
