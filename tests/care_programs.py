"""What the tests of care run as child processes, to be killed: each does one act over a data folder and says `ACK`.

`python -S -E -B -m tests.care_programs PROGRAM DATA [ARGUMENT …]`, from the project's folder; nothing but the standard library is
loaded, but by `pack`, `unpack` and `take_in`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import opstore
from opstore.care import Keep, Rule
from opstore.storage.trash import Trash
from tests.care_samples import care_of
from tests.fault_programs import _has_ended, _say, _wait_for_start, operation, outcome


def cleanup(data: str) -> None:
    """Move everything old to the trash."""
    care = care_of(opstore.Store(data))
    care.cleanup.apply(care.cleanup.plan(Rule()))
    _say("ACK cleanup")


def backup(data: str, vault: str) -> None:
    """Take a backup."""
    care_of(opstore.Store(data)).back_up(vault)
    _say("ACK backup")


def prune(data: str, vault: str) -> None:
    """Remove all backups but the newest."""
    care_of(opstore.Store(data)).prune(vault, Keep(0, 0, 0))
    _say("ACK prune")


def restore(data: str, vault: str) -> None:
    """Bring the newest backup back."""
    care_of(opstore.Store(data)).restore(vault)
    _say("ACK restore")


def repair(data: str) -> None:
    """Mend everything."""
    care_of(opstore.Store(data)).repair.apply(deep=True)
    _say("ACK repair")


def pack(data: str) -> None:
    """Pack every month that ended 60 days ago."""
    care_of(opstore.Store(data)).compression.apply(60)
    _say("ACK pack")


def unpack(data: str) -> None:
    """Bring back what is packed."""
    care_of(opstore.Store(data)).compression.unpack()
    _say("ACK unpack")


def take_in(data: str, source: str) -> None:
    """Import a folder."""
    care_of(opstore.Store(data)).take_in(source)
    _say("ACK import")


def write(data: str, letter: str) -> None:
    """Save, annotate, trash and restore until standard input ends."""
    store = opstore.Store(data)
    trash = Trash(store)
    _wait_for_start()
    os.set_blocking(0, False)
    number = 0
    while not _has_ended(0):
        operation_id = f"202611250000{ord(letter) - 97:02}_{number:08x}"
        store.save_complete_operation(operation(operation_id, "plain", f"{letter}{number}"))
        found = store.list_operations(12)
        other = found[number % len(found)]["operationId"]
        for act in (lambda: store.rewrite(other, _tag), lambda: trash.put(other), lambda: trash.restore(other)):  # noqa: B023
            outcome(act)
        outcome(lambda: trash.put(operation_id))  # noqa: B023 # called at once
        if number % 2:
            outcome(lambda: trash.restore(operation_id))  # noqa: B023
        number += 1
        time.sleep(0.01)  # or four of them leave a backup no turn at the disk


def _tag(sidecar: dict[str, Any]) -> None:
    sidecar["annotations"]["tags"] = [*sidecar["annotations"]["tags"][-5:], str(len(sidecar["annotations"]["tags"]))]


PROGRAMS: dict[str, Callable[..., None]] = {
    program.__name__: program for program in (cleanup, backup, prune, restore, repair, pack, unpack, take_in, write)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
