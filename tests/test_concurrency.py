"""Many processes over one folder: nothing torn is ever seen, nothing acknowledged is lost, one wins and the others are told.

They are real processes that start at the same moment; what they save under one id differs in bytes, in number and in extension.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import opstore
from tests.fault_programs import ID, operation, variant
from tests.fault_tools import ROOT, command

LETTERS = "abcdefgh"
SHARED, OWN = 12, 28


@contextmanager
def started(command_line: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a program and wait until it is ready to go; it does not outlive the test."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command_line, cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload] # from a dict
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> Any:
    """Let a program go on to its end, and return what it said."""
    said, complaints = process.communicate("go\n", timeout=120)
    assert process.returncode == 0, complaints
    return json.loads(said)


def together(command_lines: Sequence[list[str]]) -> list[Any]:
    """Run the programs side by side from the same moment, and return what each said."""
    with ExitStack() as stack:
        processes = [stack.enter_context(started(line)) for line in command_lines]
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        return [ended(process) for process in processes]


def holds(store: opstore.Store, operation_id: str, given: dict[str, Any]) -> bool:
    """Whether the stored operation is `given`, to the last byte."""
    sidecar = store.get_operation_metadata(operation_id)
    stored = [store.read_file(name) for name in [*sidecar["inputFiles"], sidecar["outputFile"]]]
    return sidecar["prompt"] == given["prompt"] and stored == [*given["inputImages"], *given["outputs"]]


@pytest.mark.long
def test_eight_save_and_one_lists(tmp_path: Path) -> None:
    data = tmp_path / "data"
    opstore.Store(data).initialize_storage()
    with started(command("watch", data)) as watcher:
        saved = together([command("save_many", data, letter, str(SHARED), str(OWN), site=True) for letter in LETTERS])
        seen = ended_watch(watcher)
    print(seen)
    assert seen["torn"] == []
    assert seen["looks"] >= 5
    store = opstore.Store(data)
    contested = [operation_id for operation_id in saved[0] if operation_id in saved[1]]
    assert len(contested) == SHARED
    for operation_id in contested:
        outcomes = [said[operation_id] for said in saved]
        assert sorted(outcomes) == ["OperationExists"] * 7 + ["done"], operation_id
        assert holds(store, operation_id, variant(operation_id, LETTERS[outcomes.index("done")]))
    for letter, said in zip(LETTERS, saved, strict=True):
        alone = said.keys() - set(contested)
        assert {said[operation_id] for operation_id in alone} == {"done"}
        assert all(holds(store, operation_id, variant(operation_id, letter)) for operation_id in alone)
    assert len({letter for letter in LETTERS for i in contested if saved[LETTERS.index(letter)][i] == "done"}) > 1, "no contest"
    assert len(store.list_operations(1_000)) == SHARED + 8 * OWN
    assert store.verify(deep=True) == []
    assert not [name for name in os.listdir(data / "operations") if name.startswith(".")]


def ended_watch(watcher: subprocess.Popen[str]) -> Any:
    """End the watcher by ending its input."""
    said, complaints = watcher.communicate(timeout=60)
    assert watcher.returncode == 0, complaints
    return json.loads(said)


@pytest.mark.long
def test_eight_save_the_same_and_all_succeed(tmp_path: Path) -> None:
    data = tmp_path / "data"  # not there yet: they make the folders at the same moment as well
    saved = together([command("save_same", data, "20") for _ in LETTERS])
    assert saved == [["done"] * 20] * 8
    store = opstore.Store(data)
    assert len(store.list_operations(1_000)) == 20
    assert store.verify(deep=True) == []


@pytest.mark.long
def test_eight_save_one_input_and_one_wins(tmp_path: Path) -> None:
    data = tmp_path / "data"
    saved = together([command("save_inputs", data, letter, "25") for letter in LETTERS])
    stored: dict[str, list[str]] = {operation_id: [] for operation_id in saved[0]}
    for name in os.listdir(data / "operations"):
        stored[name[: len(ID)]].append(name)
    for operation_id, names in stored.items():
        outcomes = [said[operation_id] for said in saved]
        assert sorted(outcomes) == ["OperationExists"] * 7 + ["done"], operation_id
        winner = variant(operation_id, LETTERS[outcomes.index("done")])
        (name,) = names  # and not an in_1.jpg beside an in_1.png
        assert opstore.Store(data).read_file(name) == winner["inputImages"][0]


@pytest.mark.long
def test_four_rewrite_one_operation_and_no_change_is_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = opstore.Store(data)
    store.save_complete_operation(operation(ID))
    busy = together([command("append", data, letter, "25") for letter in "abcd"])
    tags = store.get_operation_metadata(ID)["annotations"]["tags"]
    assert sorted(tags) == sorted(f"{letter}{number}" for letter in "abcd" for number in range(25))
    for letter in "abcd":  # each process's own changes came in its own order
        assert [tag for tag in tags if tag[0] == letter] == [f"{letter}{number}" for number in range(25)]
    assert sum(busy) > 0, "they never met: this showed nothing"
    assert store.verify(deep=True) == []
