"""What the tests of curation and trash run as child processes: to be killed and refused, and to work side by side.

`python -S -E -B -m tests.trash_programs PROGRAM DATA [ARGUMENT …]`, from the project's folder; nothing but the standard library
is loaded. Each says `ACK` and what it did, or the type and the words of opstore's error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import opstore
from opstore.curation import Curation, Edit
from opstore.index import Index
from opstore.storage.trash import Trash
from tests.fault_programs import ID, _say, _wait_for_start, outcome


def _do(name: str, act: Callable[[str], None]) -> None:
    said = outcome(lambda: act(ID))
    _say(f"ACK {name}" if said == "done" else said)


def put(data: str) -> None:
    """Move the operation to the trash."""
    _do("put", Trash(opstore.Store(data)).put)


def restore(data: str) -> None:
    """Move it back."""
    _do("restore", Trash(opstore.Store(data)).restore)


def remove(data: str) -> None:
    """Remove it from the trash for good."""
    _do("remove", Trash(opstore.Store(data)).remove)


def there_and_back(data: str) -> None:
    """Move it to the trash and back."""
    put(data)
    restore(data)


def tag(data: str, letter: str, count: str) -> None:
    """Add `count` tags of its own to the operation, one at a time; say which could not be added."""
    store = opstore.Store(data)
    curation = Curation(store, Index(store), Trash(store))
    _wait_for_start()
    changes = [curation.annotate([ID], Edit(add_tags=(f"{letter}{number}",))) for number in range(int(count))]
    _say(json.dumps([str(error) for change in changes for error in change.failed.values()]))


def collect(data: str, letter: str, count: str) -> None:
    """Save `count` searches of its own; say which could not be saved."""
    store = opstore.Store(data)
    curation = Curation(store, Index(store), Trash(store))
    _wait_for_start()
    said = [outcome(lambda n=number: curation.save_search(f"{letter}{n}", f"tag:{letter}{n}")) for number in range(int(count))]  # type: ignore[misc] # mypy infers no default
    _say(json.dumps([words for words in said if words != "done"]))


def throw(data: str, letter: str, count: str) -> None:
    """Move the operation to the trash and back `count` times, whoever else does; say what was answered other than expected."""
    trash = Trash(opstore.Store(data))
    _wait_for_start()
    said = {outcome(lambda act=act: act(ID)).split(":")[0] for _ in range(int(count)) for act in (trash.put, trash.restore)}  # type: ignore[misc]
    _say(json.dumps(sorted(said - {"done"})))


PROGRAMS: dict[str, Callable[..., None]] = {
    program.__name__: program for program in (put, restore, remove, there_and_back, tag, collect, throw)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
