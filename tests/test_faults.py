"""What a fault leaves behind: kill -9 and power cuts at every call of a save, full and failing disks, no memory left.

An operation is whole or absent, an acknowledged one is there, the same save again succeeds, and `verify` names what lies about.
The tables of what was seen are printed: `make test ARGS="tests/test_faults.py -rP"`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import opstore
from opstore.storage.names import parse_name
from tests.fault_programs import ID, LATER, operation
from tests.fault_tools import (
    CHANGES,
    Cut,
    Fault,
    answered,
    blank_image,
    command,
    cuts,
    faults,
    killed,
    mounted,
    need_mounts,
    run,
    system,
    two_at_a_time,
)

Program = Callable[[str], str]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory if there is one: hundreds of saves, and what they leave, cost no disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="opstore-", dir=memory) as folder:
        yield Path(folder)


def given_files(given: dict[str, object]) -> list[bytes]:
    """The media of an operation as it is given."""
    return [*given["inputImages"], *given["outputs"]]  # type: ignore[misc] # lists of bytes


def broken_promises(data: Path, given: dict[str, object], *, acknowledged: bool) -> list[str]:
    """What is wrong after a fault in a save of `given`, in words; nothing is changed."""
    store, operation_id = opstore.Store(data), str(given["operationId"])
    listed = [sidecar for sidecar in store.list_operations() if sidecar["operationId"] == operation_id]
    wrong = []
    if acknowledged and not listed:
        wrong.append("acknowledged and lost")
    try:
        assert [store.get_operation_metadata(operation_id)] == listed, "listed and stored differ"
    except opstore.OperationNotFound:
        assert not listed
    except opstore.DamagedOperation:
        wrong.append("a torn sidecar")
    for sidecar in listed:
        try:
            stored = [store.read_file(name) for name in [*sidecar["inputFiles"], sidecar["outputFile"]]]
            if stored != given_files(given) or sidecar["prompt"] != given["prompt"]:
                wrong.append("an operation with torn files")
        except opstore.FileMissing:
            wrong.append("an operation without its files")
    for path in (data / "operations").glob(f"{operation_id}*"):
        if path.suffix != ".json" and path.read_bytes() not in given_files(given):
            wrong.append("a torn file under its name")
    return wrong


def leftovers(data: Path) -> str:
    """Check that `verify` names exactly what an interrupted save leaves; return it in short."""
    names = os.listdir(data / "operations") if (data / "operations").is_dir() else []
    whole = {name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith(".")}
    media = [parts for name in names if (parts := parse_name(name)) and parts.role != "sidecar"]
    expected = [("leftover", name) for name in names if name.startswith(".")]
    expected += [("orphan", str(parts)) for parts in media if parts.operation_id not in whole]
    for lock in (name for name in names if name.endswith(".lock")):
        os.utime(data / "operations" / lock, (0, 0))  # a fresh one could belong to a save that has just begun
    found = [(problem.kind, problem.name) for problem in opstore.Store(data).verify(deep=True)]
    assert sorted(found) == sorted(expected)
    locks = sum(name.endswith(".lock") for name in names)
    temps = sum(name.endswith(".tmp") for name in names)
    return f"{'whole' if ID in whole else 'absent'}, media alone {len(expected) - temps - locks}, temps {temps}, locks {locks}"


def repeat_succeeds(data: Path, *given: dict[str, object]) -> None:
    """The same saves again: the operations are there, and nothing but old temps and locks is left to clear away."""
    store = opstore.Store(data)
    for one in given:
        store.save_complete_operation(one)
        assert broken_promises(data, one, acknowledged=True) == []
    assert {problem.kind for problem in store.verify(deep=True)} <= {"leftover"}


def show(title: str, rows: list[tuple[Fault, str]]) -> None:
    """Print what was seen: how many faults, at which calls, ended in which state."""
    print(f"\n{title}: {len(rows)} faults")
    kinds: dict[str, Counter[str]] = {}
    for fault, state in rows:
        kinds.setdefault(state, Counter())[fault.call] += 1
    for state, calls in kinds.items():
        print(f"  {sum(calls.values()):3}  {state}  ({', '.join(f'{call} {n}' for call, n in calls.items())})")


# -- kill -9 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "site"), [("plain", False), ("png", True)])
def test_killed_at_every_call_a_save_is_whole_or_absent(program: Program, desk: Path, kind: str, site: bool) -> None:
    strace, given = program("strace"), operation(ID, kind)

    def case(fault: Fault) -> tuple[Fault, str]:
        data = desk / str(fault).replace(" ", "-") / "data"
        data.parent.mkdir()
        said = killed(strace, fault, command("save", data, kind, site=site))
        acknowledged = f"ACK {ID}" in said
        assert broken_promises(data, given, acknowledged=acknowledged) == [], fault
        assert {sidecar["operationId"] for sidecar in opstore.Store(data).list_operations()} <= {ID}
        state = leftovers(data)
        repeat_succeeds(data, given)
        shutil.rmtree(data.parent)
        return fault, f"{state}{', acknowledged' if acknowledged else ''}"

    cases = faults(strace, command("save", desk / "first/data", kind, site=site), desk / "first", desk / "log")
    # Real pictures differ in what is loaded before the save; the calls that change something are enough there.
    rows = two_at_a_time(case, [fault for fault in cases if kind == "plain" or fault.call in CHANGES])
    show(f"kill -9, save ({kind})", rows)
    assert {fault.call for fault, _ in rows} >= {"write", "fsync", "exit_group"}
    assert {"acknowledged" in state for _, state in rows} == {True, False}


def test_killed_at_every_call_a_rewrite_leaves_old_or_new(program: Program, desk: Path) -> None:
    strace = program("strace")
    opstore.Store(desk / "before").save_complete_operation(operation())
    old = opstore.Store(desk / "before").get_operation_metadata(ID)
    new = old | {"annotations": old["annotations"] | {"tags": ["seen"]}}

    def case(fault: Fault) -> tuple[Fault, str]:
        data = desk / str(fault).replace(" ", "-")
        shutil.copytree(desk / "before", data)
        said = killed(strace, fault, command("rewrite", data))
        store = opstore.Store(data)
        (stored,) = store.list_operations()
        assert stored in ([new] if "ACK" in said else [old, new]), fault
        assert {problem.kind for problem in store.verify(deep=True)} <= {"leftover"}
        store.rewrite(ID, lambda sidecar: sidecar["annotations"].update(tags=["again"]))
        assert store.get_operation_metadata(ID)["annotations"]["tags"] == ["again"]
        shutil.rmtree(data)
        return fault, f"{'new' if stored == new else 'old'}{', acknowledged' if 'ACK' in said else ''}"

    shutil.copytree(desk / "before", desk / "first")
    rows = two_at_a_time(case, faults(strace, command("rewrite", desk / "first"), desk / "first", desk / "log"))
    show("kill -9, rewrite", rows)
    assert {state for _, state in rows} == {"old", "new", "new, acknowledged"}


# -- power cut -----------------------------------------------------------------------------------------------------------


def power_cuts(program: Program, desk: Path, *verb: str) -> list[tuple[Fault, str, list[str]]]:
    """Save two operations, cut the power at every call that changes something, and say what was broken by each cut."""
    strace, blank = program("strace"), blank_image(desk, program("mkfs.ext4"))

    found = cuts(blank, desk, strace, lambda data: command(verb[0], data, *verb[1:], "plain", ID, LATER))

    def case(cut: Cut) -> tuple[Fault, str, list[str]]:
        with mounted(cut.image.with_suffix(""), "-o", "loop", cut.image) as disk:
            wrong = [words for one in (ID, LATER) for words in promises_after(disk / "data", one, cut.said)]
            state = " and ".join(sorted(set(wrong))) or leftovers(disk / "data")
            if not wrong:
                repeat_succeeds(disk / "data", operation(ID), operation(LATER))
        cut.image.unlink()
        return cut.fault, f"{state}, {cut.said.count('ACK')} acknowledged", wrong

    rows = two_at_a_time(case, found)
    show(f"power cut, two saves ({' '.join(verb)})", [(fault, state) for fault, state, _ in rows])
    return rows


def promises_after(data: Path, operation_id: str, said: str) -> list[str]:
    """What is broken of one operation after a cut."""
    return broken_promises(data, operation(operation_id), acknowledged=f"ACK {operation_id}" in said)


def test_a_power_cut_at_every_call_keeps_what_was_acknowledged(program: Program, desk: Path) -> None:
    rows = power_cuts(program, desk, "save")
    assert [f"{fault}: {words}" for fault, _, wrong in rows for words in wrong] == []
    seen = {state.rpartition(", ")[2] for _, state, _ in rows}
    assert seen == {"0 acknowledged", "1 acknowledged", "2 acknowledged"}, "cuts before, between and after the acknowledgements"


@pytest.mark.long
@pytest.mark.parametrize(
    ("forgotten", "consequence"),
    [("both", "acknowledged and lost"), ("folders", "acknowledged and lost"), ("files", "torn")],
)
def test_the_power_cuts_find_a_store_that_forgets_to_sync(program: Program, desk: Path, forgotten: str, consequence: str) -> None:
    rows = power_cuts(program, desk, "save_without_sync", forgotten)
    assert any(consequence in words for _, _, wrong in rows for words in wrong)


# -- failing calls -------------------------------------------------------------------------------------------------------

#: What the system may answer to which call. Not here: close (its answer cannot change what is stored).
ANSWERS = {
    "openat": ("EMFILE", "ENOSPC", "EACCES", "EIO"),
    "mkdir": ("ENOSPC", "EROFS"),
    "mkdirat": ("ENOSPC", "EROFS"),
    "write": ("ENOSPC", "EIO"),
    "fsync": ("EIO", "ENOSPC"),
    "link": ("EIO", "ENOSPC"),
    "linkat": ("EIO", "ENOSPC"),
    "flock": ("ENOLCK",),
}


@pytest.mark.long
def test_any_call_may_fail_and_nothing_is_left_behind(program: Program, desk: Path) -> None:
    strace = program("strace")

    def case(refusal: tuple[Fault, str]) -> tuple[Fault, str]:
        fault, code = refusal
        place = desk / f"{fault.call}-{fault.number}-{code}"
        place.mkdir()
        data = place / "data"
        said = answered(strace, fault, f"error={code}", command("save", data), place / "log")
        assert said.startswith("StorageError: The storage did not do it: "), (fault, code, said)
        names = os.listdir(data / "operations") if (data / "operations").is_dir() else []
        # A lock that could not be taken may be somebody else's: it is left alone, and the next save that can take it clears it.
        assert names == ([f".{ID}.lock"] if fault.call == "flock" else []), (fault, code)
        repeat_succeeds(data, operation())
        assert opstore.Store(data).verify(deep=True) == []
        shutil.rmtree(place)
        return fault, f"{code}: {said.split(': ')[2].split(';')[0]}"

    save = faults(strace, command("save", desk / "first/data"), desk / "first", desk / "log")[:-2]  # not the words, not the end
    takes = next(fault for fault in save if fault.call == "flock")  # the second one lets go: its answer changes nothing
    cases = [(fault, code) for fault in save for code in ANSWERS.get(fault.call, ())]
    rows = two_at_a_time(case, [(fault, code) for fault, code in cases if fault.call != "flock" or fault == takes])
    show("refused calls, save", rows)
    assert {fault.call for fault, _ in rows} >= {"openat", "write", "fsync", "flock"}


#: The second fault, after an EIO: ext4 making itself read-only, one more error at the sidecar or a file, kill -9 in between.
SECOND = (
    "unlinkat:error=EROFS",
    *(f"unlinkat:error=EIO:when={number}" for number in (1, 2, 4)),
    *(f"unlinkat:signal=KILL:when={number}" for number in (1, 2, 3, 4)),
)


@pytest.mark.long
def test_where_clearing_up_fails_as_well_a_save_is_still_whole_or_absent(program: Program, desk: Path) -> None:
    strace = program("strace")

    def case(both: tuple[Fault, str]) -> tuple[Fault, str]:
        fault, second = both
        place = Path(tempfile.mkdtemp(dir=desk))
        data = place / "data"
        said = answered(strace, fault, "error=EIO", command("save", data), place / "log", second)
        assert "KILL" in second or said.startswith("StorageError: The storage did not do it: the disk reports an error"), both
        assert broken_promises(data, operation(), acknowledged=False) == [], both
        state = leftovers(data)
        repeat_succeeds(data, operation())
        shutil.rmtree(place)
        return fault, f"{second}: {state}"

    save = faults(strace, command("save", desk / "first/data"), desk / "first", desk / "log")
    writing = next(number for number, fault in enumerate(save) if fault.call == "write")
    cases = [(fault, second) for fault in save[writing:-2] for second in SECOND if fault.call in ("fsync", "linkat")]
    rows = two_at_a_time(case, cases)
    show("EIO, and a second fault while clearing up, save", rows)
    assert {state.partition(": ")[2].partition(",")[0] for _, state in rows} == {"whole", "absent"}


def test_a_lock_that_is_about_to_be_taken_is_no_leftover(desk: Path) -> None:
    store = opstore.Store(desk)
    lock = store.initialize_storage() / f".{ID}.lock"
    lock.touch()
    assert store.verify() == []
    os.utime(lock, (0, 0))
    assert [(problem.kind, problem.name) for problem in store.verify()] == [("leftover", lock.name)]


def test_what_an_attempt_with_other_inputs_left_is_not_mixed_in(desk: Path) -> None:
    store = opstore.Store(desk)
    store.save_input_image(ID, b"input 2 of an attempt that was cut short", 2)
    with pytest.raises(opstore.OperationExists):
        store.save_complete_operation(operation(ID, inputs=1))
    assert [problem.kind for problem in store.verify()] == ["orphan"]


def test_a_file_that_goes_while_it_is_being_described_is_kept(desk: Path) -> None:
    def clock() -> datetime:  # asked between the look at what is stored and the save
        stored.unlink()
        return datetime.now(UTC)

    store = opstore.Store(desk, clock=clock)
    stored = store.save_input_image(ID, b"of a save that fails at this moment and takes its files back")
    store.save_operation_metadata(ID, {"success": False, "error": "the other save"})
    assert store.verify(deep=True) == []


def test_a_write_that_lies_is_found_by_verify(program: Program, desk: Path) -> None:
    strace = program("strace")
    save = faults(strace, command("save", desk / "first/data"), desk / "first", desk / "log")
    writes = [fault for fault in save if fault.call == "write"][:-1]  # the last one is the acknowledgement
    assert len(writes) == 4
    for fault in writes:
        data = desk / f"lie-{fault.number}"
        answered(strace, fault, "retval=100", command("save", data), desk / "log")  # "100 bytes written", and none was
        (problem,) = opstore.Store(data).verify()
        assert problem.kind == ("unparsable" if problem.name.endswith(".json") else "truncated")


# -- what a machine really runs out of -----------------------------------------------------------------------------------


def lines(program: str, data: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run a program that says one JSON object a line."""
    done = run(command(program, data, *arguments))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def nothing_left(data: Path) -> None:
    """A save that failed left no trace, not even a lock."""
    assert opstore.Store(data).list_operations() == []
    assert os.listdir(data / "operations") == []


#: Room for 0, 1, 3 and 4 of 4 files: in bytes, and in inodes beside the root, seven folders and the lock.
@pytest.mark.parametrize(
    "options", ["size=4k", "size=12k", "size=36k", "nr_inodes=9", "nr_inodes=10", "nr_inodes=12", "nr_inodes=13"]
)
def test_a_full_disk_is_said_and_nothing_is_left_behind(tmp_path: Path, options: str) -> None:
    need_mounts(tmp_path)
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", options, "tmpfs") as disk:
        store = opstore.Store(disk)
        store.initialize_storage()
        with pytest.raises(opstore.StorageError, match="the disk is full; free some space"):
            store.save_complete_operation(operation())
        nothing_left(disk)
        assert store.verify() == []
        system("mount", "-o", "remount,size=1m,nr_inodes=100", disk)
        store.save_complete_operation(operation())
        assert store.verify(deep=True) == []


def test_a_full_disk_refuses_every_kind_of_save(tmp_path: Path) -> None:
    need_mounts(tmp_path)
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64k", "tmpfs") as disk:
        store = opstore.Store(disk)
        store.save_complete_operation(operation())
        before = {path.name: path.read_bytes() for path in store.operations.path.iterdir()}
        for act in (
            lambda: store.save_input_image(LATER, b"x" * 50_000),
            lambda: store.save_output_file(LATER, b"x" * 50_000, "text_to_video"),
            lambda: store.save_operation_metadata(LATER, {"prompt": "x" * 50_000}),
            lambda: store.rewrite(ID, lambda sidecar: sidecar.update(prompt="x" * 50_000)),
        ):
            with pytest.raises(opstore.StorageError, match="the disk is full"):
                act()
        assert {path.name: path.read_bytes() for path in store.operations.path.iterdir()} == before
        assert store.verify(deep=True) == []


def test_a_read_only_disk_is_said_and_still_read(tmp_path: Path) -> None:
    need_mounts(tmp_path)
    with mounted(tmp_path / "disk", "-t", "tmpfs", "tmpfs") as disk:
        store = opstore.Store(disk / "data")
        store.save_complete_operation(operation())
        system("mount", "-o", "remount,ro", disk)
        for act in (
            lambda: store.save_complete_operation(operation(LATER)),
            lambda: store.save_input_image(LATER, b"x"),
            lambda: store.rewrite(ID, lambda sidecar: None),
            lambda: opstore.Store(disk / "other").initialize_storage(),
        ):
            with pytest.raises(opstore.StorageError, match="read-only disk"):
                act()
        assert [sidecar["operationId"] for sidecar in store.list_operations()] == [ID]
        assert store.verify(deep=True) == []


def test_no_right_to_write_is_said(desk: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody without rights")
    closed = desk / "closed"
    (desk / "open").mkdir()
    closed.mkdir(mode=0o700)
    for folder in (desk, desk / "open"):
        folder.chmod(0o755)
    opstore.Store(desk / "ours").initialize_storage()
    for data in (desk / "open/data", desk / "ours", closed / "data", closed):
        done = run(command("save_as_nobody", data))
        refusal = "StorageError: The storage did not do it: this program may not write or read there"
        assert [line.startswith(refusal) for line in done.stdout.splitlines()] == [True] * 3, (data, done)
    assert opstore.Store(desk / "ours").verify() == []
    assert os.listdir(desk / "ours/operations") == os.listdir(closed) == []


def test_too_few_open_files_are_said_and_hide_nothing(desk: Path) -> None:
    rows = lines("few_files", desk / "data")
    for row in rows[:-1]:
        assert row["saved"].startswith("StorageError: The storage did not do it: too many files are open"), row
        assert not [name for name in row["names"] if name.startswith(".") or not name.startswith(LATER)], row
    for row in rows:
        for act in ("lists", "rewritten"):
            assert row[act] == "done" or row[act].startswith("StorageError: The storage did not do it: too many files"), row
        assert row["listed"] == (1 + (row["saved"] == "done") if row["lists"] == "done" else 0), row
    assert rows[0]["saved"] != "done"
    assert rows[-1]["saved"] == "done"
    assert opstore.Store(desk / "data").verify(deep=True) == []


def test_a_limit_on_file_sizes_is_said_and_nothing_is_left_behind(desk: Path) -> None:
    *refusals, last = lines("small_files", desk / "data")
    for row in refusals:
        assert row["saved"].startswith("StorageError: The storage did not do it: a file is larger than the system allows"), row
        assert row["names"] == []
    assert last["saved"] == "done"
    assert opstore.Store(desk / "data").verify(deep=True) == []


@pytest.mark.long
def test_memory_may_run_out_at_any_allocation(desk: Path) -> None:
    pytest.importorskip("_testcapi", reason="this Python was built without _testcapi, which makes allocations fail")
    (counts,) = lines("no_memory", desk / "data", "1", "7")
    print(counts)
    assert counts["failed"] > 50
