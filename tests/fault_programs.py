"""What the fault tests run as child processes, to be killed, starved and refused: small programs over one store each.

`python -S -E -B -m tests.fault_programs PROGRAM DATA [ARGUMENT …]`, from the project's folder. They load nothing but the standard
library, so that a sweep over a hundred system calls takes seconds; `-S` keeps the interpreter's own start short. Each says on
standard output what it was told by the store: `ACK id`, or the error's type and words.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import stat
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import opstore
from opstore.storage.files import digest

ID = "20251103143022_abc123de"
LATER = "20251103143023_abc123df"
NOBODY = 65534


# -- what is saved -------------------------------------------------------------------------------------------------------


def operation(operation_id: str = ID, kind: str = "plain", letter: str = "a", inputs: int = 2) -> dict[str, Any]:
    """Return a whole operation as a caller gives it; its content depends on nothing but the arguments.

    `plain` bytes are no media, so that Pillow stays out; `png` are real pictures, large enough for several pages of the disk.
    """
    made = {"plain": _plain, "png": _png, "gif": _gif}[kind]
    return {
        "operationId": operation_id,
        "operationType": "image_edit_multiple",
        "prompt": f"the same in {letter}",
        "inputImages": [made(f"{letter}{number}", 6_000) for number in range(inputs)],
        "outputs": [made(f"{letter}-out", 20_000)],
    }


def variant(operation_id: str, letter: str) -> dict[str, Any]:
    """Return what the process of that letter saves: other letters, other bytes, numbers and extensions."""
    return operation(operation_id, ("plain", "png", "gif")[ord(letter) % 3], letter, 1 + ord(letter) % 4)


def _plain(seed: str, size: int) -> bytes:
    return f"no media {seed} ".encode() * (size // 16)


def _gif(seed: str, size: int) -> bytes:
    return b"GIF89a" + _plain(seed, size)


def _png(seed: str, size: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = int((size / 3) ** 0.5)
    row = b"\0" + (digest(seed.encode()).encode() * side)[: side * 3]
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * side, 0)) + chunk(b"IEND", b"")


def outcome(act: Callable[[], object]) -> str:
    """Return `done`, or the type and the words of opstore's error; any other error ends the program."""
    try:
        act()
    except opstore.OpstoreError as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def _say(words: str) -> None:
    os.write(1, f"{words}\n".encode())  # one system call, seen by the sweep as such


# -- programs ------------------------------------------------------------------------------------------------------------


def save(data: str, kind: str = "plain", *ids: str) -> None:
    """Save one operation a given id (default: one), and acknowledge each."""
    store = opstore.Store(data)
    for operation_id in ids or (ID,):
        given = operation(operation_id, kind)
        said = outcome(lambda given=given: store.save_complete_operation(given))  # type: ignore[misc] # mypy infers no default
        _say(f"ACK {operation_id}" if said == "done" else said)


def save_without_sync(data: str, of: str, kind: str = "plain", *ids: str) -> None:
    """Save as `save` does, but forget to sync `files`, `folders` or `both`: the faults that the power cuts must find."""
    sync = os.fsync

    def forgetful(file: int) -> None:
        if of != "both" and stat.S_ISDIR(os.fstat(file).st_mode) != (of == "folders"):
            sync(file)

    if of != "folders":  # it would start the writing, and now and then save the day
        os.posix_fadvise = lambda file, offset, length, advice, /: None
    os.fsync = forgetful  # type: ignore[assignment] # os.fsync also takes objects that have a fileno
    save(data, kind, *ids)


def rewrite(data: str) -> None:
    """Add a tag to the stored operation."""
    store = opstore.Store(data)
    said = outcome(lambda: store.rewrite(ID, lambda sidecar: sidecar["annotations"]["tags"].append("seen")))
    _say(f"ACK {ID}" if said == "done" else said)


def save_as_nobody(data: str) -> None:
    """Save without the right to write there."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    store = opstore.Store(data)
    for act in (
        lambda: store.save_complete_operation(operation()),
        lambda: store.save_input_image(ID, b"x"),
        store.initialize_storage,
    ):
        _say(outcome(act))


@contextmanager
def _limited(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def few_files(data: str) -> None:
    """Save, list, rewrite and verify with room for 0, 1, 2 … more open files; say what each ended with, one JSON a line."""
    store = opstore.Store(data)
    store.initialize_storage()
    store.save_complete_operation(operation(LATER))
    used = os.open("/", os.O_RDONLY)
    os.close(used)
    for room in range(12):
        listed: list[Any] = []
        with _limited(resource.RLIMIT_NOFILE, used + room):
            saved = outcome(lambda: store.save_complete_operation(operation()))
            lists = outcome(lambda: listed.extend(store.list_operations()))  # noqa: B023 # called at once
            rewritten = outcome(lambda: store.rewrite(LATER, lambda sidecar: None))
        names = os.listdir(store.operations.path)
        _say(json.dumps({"saved": saved, "lists": lists, "listed": len(listed), "rewritten": rewritten, "names": names}))
        if saved == "done":
            return


def small_files(data: str) -> None:
    """Save where no file may be larger than 0, 100 … bytes (SIGXFSZ is ignored by Python); say what each ended with."""
    store = opstore.Store(data)
    store.initialize_storage()
    for size in (0, 100, 4_096, 10_000, 1_000_000):
        with _limited(resource.RLIMIT_FSIZE, size):
            saved = outcome(lambda: store.save_complete_operation(operation()))
        _say(json.dumps({"saved": saved, "names": os.listdir(store.operations.path)}))


def no_memory(data: str, first: str, step: str) -> None:
    """Save while the n-th allocation fails, n = `first`, `first` + `step` …, until a save needs fewer than n; repeat each."""
    testing = importlib.import_module("_testcapi")  # CPython's own; it has no types

    store = opstore.Store(data)
    store.save_complete_operation(operation(LATER))  # what is imported or cached on first use is there
    counts = {"failed": 0, "failed but there": 0, "done all the same": 0}
    number, quiet = int(first), 0
    while quiet < 3:
        operation_id = f"20251104000000_{number:08x}"
        given = operation(operation_id)
        failed = False
        testing.set_nomemory(number, number + 1)
        try:
            store.save_complete_operation(given)
        except (MemoryError, TypeError, SystemError):  # the latter two are what C code of Python itself makes of it
            failed = True
        finally:
            testing.remove_mem_hooks()
        there = store.operations.has(f"{operation_id}.json")
        assert failed or there, "neither saved nor refused"
        leftovers = [problem for problem in store.verify(deep=True) if problem.kind not in ("leftover", "orphan")]
        assert not leftovers, (number, leftovers)
        store.save_complete_operation(given)
        assert [p for p in store.verify(deep=True) if p.operation_id == operation_id and p.kind != "leftover"] == [], number
        quiet = 0 if failed else quiet + 1
        counts["failed but there" if failed and there else "failed" if failed else "done all the same"] += 1
        for name in os.listdir(store.operations.path):
            os.unlink(store.operations.path / name)
        number += int(step)
    _say(json.dumps(counts | {"allocations": number}))


# -- programs that run side by side --------------------------------------------------------------------------------------


def _wait_for_start() -> None:
    _say("ready")
    sys.stdin.readline()


def save_many(data: str, letter: str, shared: str, own: str) -> None:
    """Save `shared` contested operations with content of its own, and `own` uncontested ones in between; say who won what."""
    store = opstore.Store(data)
    # Other processes save other counts and other extensions under the same id: they meet on some names and miss on others.
    said = {}
    ids = [f"20251103000000_{number:08x}" for number in range(int(shared))]
    ids += [f"2025110300000{1 + ord(letter) % 8}_{ord(letter):04x}{number:04x}" for number in range(int(own))]
    ordered = sorted(ids, key=lambda name: name[::-1])
    first = ord(letter) % 8 * len(ordered) // 8  # each begins elsewhere: on one processor the first to run would win them all
    _wait_for_start()
    for operation_id in [*ordered[first:], *ordered[:first]]:
        given = variant(operation_id, letter)
        said[operation_id] = outcome(lambda given=given: store.save_complete_operation(given)).split(":")[0]  # type: ignore[misc]
    _say(json.dumps(said))


def save_same(data: str, count: str) -> None:
    """Save `count` operations that every other process saves as well, with the same content."""
    store = opstore.Store(data)
    _wait_for_start()
    said = [outcome(lambda n=n: store.save_complete_operation(operation(f"20251103000000_{n:08x}"))) for n in range(int(count))]  # type: ignore[misc]
    _say(json.dumps(said))


def save_inputs(data: str, letter: str, count: str) -> None:
    """Save input 1 of `count` operations, with an extension and content of its own; say who won what."""
    store = opstore.Store(data)
    _wait_for_start()
    said = {}
    for number in range(int(count)):
        operation_id = f"20251103000000_{number:08x}"
        (content, *_) = variant(operation_id, letter)["inputImages"]
        said[operation_id] = outcome(lambda i=operation_id, c=content: store.save_input_image(i, c)).split(":")[0]  # type: ignore[misc]
    _say(json.dumps(said))


def append(data: str, letter: str, count: str) -> None:
    """Add `count` tags to one operation, each repeated until nobody came between; say how often somebody did."""
    store = opstore.Store(data)
    _wait_for_start()
    busy = 0
    for number in range(int(count)):
        while True:
            said = outcome(lambda n=number: store.rewrite(ID, lambda s: s["annotations"]["tags"].append(f"{letter}{n}")))  # type: ignore[misc]
            if said == "done":
                break
            assert said.startswith("OperationBusy"), said
            busy += 1
    _say(json.dumps(busy))


def _has_ended(pipe: int) -> bool:
    try:
        return os.read(pipe, 1) == b""
    except BlockingIOError:
        return False


def watch(data: str) -> None:
    """List and check until standard input ends: everything listed must be whole; say how much was seen, and what was not."""
    store = opstore.Store(data)
    looks, seen, torn = 0, set(), []
    os.set_blocking(0, False)
    _say("ready")
    while not _has_ended(0):
        listed = store.list_operations(1_000)
        looks += bool(listed)
        for sidecar in listed:
            seen.add(sidecar["operationId"])
            torn += [entry["name"] for entry in sidecar["files"] if digest(store.read_file(entry["name"])) != entry["sha256"]]
        torn += [str(problem) for problem in store.verify()]
    _say(json.dumps({"looks": looks, "seen": len(seen), "torn": torn}))


PROGRAMS: dict[str, Callable[..., None]] = {
    program.__name__: program
    for program in (
        save,
        save_without_sync,
        rewrite,
        save_as_nobody,
        few_files,
        small_files,
        no_memory,
        save_many,
        save_same,
        save_inputs,
        append,
        watch,
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
