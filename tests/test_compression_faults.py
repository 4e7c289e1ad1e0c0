"""What a kill -9 and a power cut leave at every call of packing and unpacking: every operation, byte for byte, loose or packed.

What is annotated or removed for good after a kill stays so when the act is begun again: nothing half done brings an older one
back. The tables of what was seen are printed (`-rP`).
"""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from opstore import Store
from opstore.care import Compressed
from opstore.storage.trash import Trash
from tests.care_samples import care_of, old
from tests.conftest import Sampled
from tests.fault_tools import CHANGES, Cut, Fault, blank_image, cuts, faults, killed, mounted, system, two_at_a_time
from tests.samples import PNG
from tests.test_faults import desk as desk
from tests.test_trash_faults import show

Program = Callable[[str], str]
#: A database writes at places, and cuts and syncs its files by other calls than we do.
WRITES = CHANGES | {"pwrite64", "fdatasync", "ftruncate"}
NAMES = ("fsync", "fdatasync", "link", "linkat", "unlink", "unlinkat")
CONTENTS = (b"no media " * 900, b"RIFF of its own" * 500)


def command(program: str, data: Path) -> list[str]:
    """Return the line of a program with the installed packages: packing needs them."""
    return [sys.executable, "-B", "-m", "tests.care_programs", program, str(data)]


def everything(store: Store) -> dict[str, bytes]:
    """Return every file of the library as it is read, wherever it lies."""
    return {name: store.operations.read(name) for name in store.operations.names() if not name.startswith(".")}


def filled(data: Path) -> tuple[Store, dict[str, bytes]]:
    store = Store(data)
    for number, content in enumerate(CONTENTS, 1):
        # No JPEG: the picture library takes longer to load than all the rest.
        store.save(old(number), {"prompt": f"number {number}"}, inputs=[PNG], outputs=[content])
    return store, everything(store)


def seen(data: Path, whole: dict[str, bytes], said: str, act: str) -> str:
    """Look whether everything is there, wherever; complete the act, and undo it; return where the operations were."""
    store = Store(data)
    loose = {path.name for path in store.operations.path.iterdir() if not path.name.startswith(".")}
    held = {name for pack in store.operations.packs.readable() for name in pack.names()}
    assert everything(store) == whole, "bytes are others, or gone"
    assert all((store.operations.path / name).read_bytes() == whole[name] for name in loose), "a torn file"
    assert "ACK" not in said or not (loose if act == "pack" else held)
    assert {problem.kind for problem in store.verify(deep=True)} <= {"leftover"}
    compression = care_of(store).compression
    if act == "pack":
        assert not compression.apply(60).left and not {path.name for path in store.operations.path.iterdir()} & whole.keys()
        assert everything(store) == whole
    assert not compression.unpack().left
    assert {name: (store.operations.path / name).read_bytes() for name in whole} == whole
    assert [name for name in store.operations.packs.folder.names() if not name.startswith(".")] == []
    store.operations.packs.close()
    return f"{len(loose & whole.keys())} loose, {len(held)} packed{', acknowledged' if 'ACK' in said else ''}"


def go_on(data: Path, act: str) -> None:
    """Annotate one operation, remove another for good, finish the act, and its opposite: what was done stays done."""
    store = Store(data)
    trash, noted, removed = Trash(store), old(1), old(2)
    store.rewrite(noted, lambda sidecar: sidecar["annotations"].update(note="since then"))
    trash.put(removed)
    trash.remove(removed)
    compression = care_of(store).compression
    acts: list[Callable[[], Compressed]] = [partial(compression.apply, 60), compression.unpack]
    for again in acts if act == "pack" else acts[::-1]:
        assert not again().left
        listed = {sidecar["operationId"]: sidecar["annotations"]["note"] for sidecar in store.list_operations()}
        assert listed == {noted: "since then"} and trash.all() == []
        assert {problem.kind for problem in store.verify(deep=True)} <= {"leftover"}
    assert not [name for name in everything(store) if name.startswith(removed)]
    store.operations.packs.close()


def swept(strace: str, desk: Path, act: str, before: Path, whole: dict[str, bytes], sampled: Sampled) -> set[str]:
    """Kill an act at every call that changes something, each time on a fresh copy of `before`."""
    first = desk / "first"
    system("cp", "-a", before, first)
    calls = [fault for fault in faults(strace, command(act, first / "data"), first, desk / "log", WRITES) if fault.call in WRITES]

    def case(fault: Fault) -> tuple[Fault, str]:
        place = desk / f"{act}-{fault}"
        system("cp", "-a", before, place)
        said = killed(strace, fault, command(act, place / "data"))
        system("cp", "-a", place / "data", place / "later")
        state = seen(place / "data", whole, said, act)
        go_on(place / "later", act)
        shutil.rmtree(place)
        return fault, state

    rows = two_at_a_time(case, sampled(calls, 40))
    show(f"kill -9, {act}", rows)
    return {state for _, state in rows}


@pytest.mark.long
def test_killed_at_every_call_packing_leaves_every_operation_whole(program: Program, desk: Path, sampled: Sampled) -> None:
    whole = filled(desk / "before" / "data")[1]
    states = swept(program("strace"), desk, "pack", desk / "before", whole, sampled)
    assert states >= {"6 loose, 0 packed", "6 loose, 6 packed", "0 loose, 6 packed, acknowledged"}
    assert "3 loose, 6 packed" in states or not sampled.whole


@pytest.mark.long
def test_killed_at_every_call_unpacking_leaves_every_operation_whole(program: Program, desk: Path, sampled: Sampled) -> None:
    store, whole = filled(desk / "before" / "data")
    care_of(store).compression.apply(60)
    store.operations.packs.close()
    states = swept(program("strace"), desk, "unpack", desk / "before", whole, sampled)
    assert states >= {"0 loose, 6 packed", "6 loose, 6 packed", "6 loose, 0 packed", "6 loose, 0 packed, acknowledged"}


@pytest.mark.long
@pytest.mark.parametrize("act", ["pack", "unpack"])
def test_a_power_cut_while_packing_or_unpacking_loses_nothing(program: Program, desk: Path, act: str) -> None:
    strace, blank = program("strace"), blank_image(desk, program("mkfs.ext4"))
    with mounted(desk / "before", "-o", "loop", blank) as place:
        store, whole = filled(place / "data")
        if act == "unpack":
            care_of(store).compression.apply(60)
            store.operations.packs.close()
    # Behind what makes a name come or go, and behind every sync: in between nothing can have reached the disk in another order.
    found = cuts(blank, desk, strace, lambda data: command(act, data), NAMES)

    def case(cut: Cut) -> tuple[Fault, str]:
        with mounted(cut.image.with_suffix(""), "-o", "loop", cut.image) as place:
            state = seen(place / "data", whole, cut.said, act)
            gc.collect()  # a pack that was removed is still open, and its disk could not be taken away
        cut.image.unlink()
        return cut.fault, state

    rows = two_at_a_time(case, found)
    show(f"power cut, {act}", rows)
    ends = {"pack": "0 loose, 6 packed, acknowledged", "unpack": "6 loose, 0 packed, acknowledged"}
    begins = {"pack": "6 loose, 0 packed", "unpack": "0 loose, 6 packed"}
    assert {state for _, state in rows} >= {begins[act], "6 loose, 6 packed", ends[act]}
