"""Random concurrent histories of one store, and whether they can be explained, operation by operation, as Jepsen's checkers do.

Several processes take random steps, some are killed with -9 at random moments, others begin in their place. Every operation is a
small machine of its own: it is nowhere, in the library with a note, or in the trash with a note. Steps that were acknowledged
happened once, at one moment between their begin and their end; steps that were cut short may have happened at any moment since
their begin, or not at all. What was read, listed, backed up and is there in the end is a step as well: it says what there was.
A history is right if one order of its steps, true to these times, leads from nowhere to the end: it is linearizable. Wing and
Gong's search (1993), with Lowe's memory of what was tried, finds one or shows that there is none.

Packing, unpacking, repair and the index change no operation: they have no step, so anything they change is a fault.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opstore import Store
from opstore.care.vault import LocalVault
from opstore.storage.files import Folder, digest
from opstore.storage.names import parse_name, sidecar_name
from opstore.storage.operation import decode
from opstore.storage.trash import Trash
from tests.care_samples import care_of, old, save
from tests.fault_tools import nursery

#: Where an operation is, and the note on it; None: nowhere.
State = tuple[str, str] | None
LIBRARY, TRASH = "library", "trash"
WORKERS = ("people", "people", "people", "care", "care")
IMPORTED = tuple(old(number) for number in range(4))


@dataclass(frozen=True)
class Step:
    """One step as it concerns one operation; `end` is infinite where it was cut short.

    Kinds that change: save, note, put, restore, remove (`value`: see `_shadowed`), retain, come (out of a backup or an import, as
    `value`). Kinds that see: is (exactly `value`), shown (in the library, with the note `value`), hidden (not in the library),
    there, away, bare (not in the trash).
    """

    kind: str
    begin: float
    end: float
    value: Any = None
    told: str = ""
    #: Of what comes: in the place of what a repair may have adopted of a restore that was killed.
    adopted: bool = False


#: What a step leads to that cannot have happened.
IMPOSSIBLE = ("impossible", "")
SEES = ("is", "shown", "hidden", "there", "away", "bare")


def after(state: State, step: Step) -> State:
    """Return what an operation is after a step, IMPOSSIBLE where the step cannot have happened to it then."""
    place, note = state or ("", "")
    match step.kind:
        case "save":
            return IMPOSSIBLE if state else (LIBRARY, "")
        case "come":
            return IMPOSSIBLE if state and not (step.adopted and state == (LIBRARY, "")) else step.value
        case "note":
            return (LIBRARY, step.value) if place == LIBRARY else IMPOSSIBLE
        case "put":
            return (TRASH, note) if state else IMPOSSIBLE
        case "restore":
            return (LIBRARY, note) if state else IMPOSSIBLE
        case "remove":
            # In the library too, since a move was cut short: there it stays.
            return None if place == TRASH else state if place == LIBRARY and step.value else IMPOSSIBLE
        case "retain":
            return (TRASH, "") if state == (LIBRARY, "") else IMPOSSIBLE
    seen = {
        "is": state == step.value,
        "shown": state == (LIBRARY, step.value),
        "hidden": place != LIBRARY,
        "bare": place != TRASH,
        "there": state is not None,
        "away": state is None,
    }
    return state if seen[step.kind] else IMPOSSIBLE


def is_explained(steps: Sequence[Step]) -> bool:
    """Say whether some order of the steps, true to their times, is one that can have happened."""
    ordered = sorted(steps, key=lambda step: step.begin)
    sure = sum(1 << number for number, step in enumerate(ordered) if step.end < math.inf)
    waiting: list[tuple[int, State]] = [(0, None)]
    seen = set(waiting)
    while waiting:
        done, state = waiting.pop()
        if done & sure == sure:
            return True
        for way in _next(ordered, done, state):
            if way not in seen:
                seen.add(way)
                waiting.append(way)
    return False


def _next(ordered: Sequence[Step], done: int, state: State) -> list[tuple[int, State]]:
    """Return what can come next: a step that began before each one still to come has ended."""
    found: list[tuple[int, State]] = []
    horizon = math.inf
    for number, step in enumerate(ordered):
        if done >> number & 1:
            continue
        if step.begin > horizon:
            break
        horizon = min(horizon, step.end)
        then = after(state, step)
        if then == IMPOSSIBLE:
            continue
        if step.kind in SEES:
            return [(done | 1 << number, state)]  # it can change nothing, so nothing speaks for doing it later
        if then != state or step.end < math.inf:
            found.append((done | 1 << number, then))
    return found


# -- what was written down -----------------------------------------------------------------------------------------------


@dataclass
class History:
    """What happened in one folder: the steps of every operation, and how many of each kind there were."""

    steps: dict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    #: Operations that were not whole where they were looked at.
    broken: list[str] = field(default_factory=list)

    def add(self, operation_id: str, kind: str, entry: Mapping[str, Any], value: Any = None) -> None:
        """Note a step of an operation."""
        told = " ".join(str(word) for word in (entry["worker"], entry["kind"], entry.get("result", "killed")) if word)
        self.steps[operation_id].append(Step(kind, entry["begin"], entry.get("end", math.inf), value, told[:100]))

    def unexplained(self) -> list[str]:
        """Return what is wrong, in words: the operations whose steps no order explains, each with all of them."""
        wrong = ((key, steps) for key, steps in sorted(self.steps.items()) if not is_explained([*_shadowed(steps)]))
        return self.broken + [f"{key}:\n{_told(steps)}" for key, steps in wrong]


def _shadowed(steps: Sequence[Step]) -> Iterator[Step]:
    """Mark the removals that may have met an operation in both folders, where a move was cut short before; and see `adopted`."""

    def cut(*kinds: str) -> float:
        return min((step.begin for step in steps if step.kind in kinds and step.end == math.inf), default=math.inf)

    moved, come = cut("put", "restore", "retain"), cut("come")
    for step in steps:
        if step.kind == "remove" and moved < step.end:
            yield replace(step, value=True)
        else:
            yield replace(step, adopted=True) if step.kind == "come" and come < step.end else step


def _told(steps: Sequence[Step]) -> str:
    first = min(step.begin for step in steps)
    lines = []
    for step in sorted(steps, key=lambda step: step.begin):
        begin, end = ((moment - first) / 1e6 for moment in (step.begin, step.end))
        lines.append(f"  {begin:10.2f} to {end:10.2f} ms  {step.kind} {step.value or ''}  ({step.told})")
    return "\n".join(lines)


def entries(logs: Path) -> Iterator[dict[str, Any]]:
    """Yield the steps in the logs; those that were cut short have no `end`."""
    for log in sorted(logs.iterdir()):
        begun: dict[str, Any] | None = None
        for line in log.read_text().splitlines():
            words = json.loads(line)
            if "kind" in words:
                if begun:
                    yield begun
                begun = words | {"worker": log.name}
            elif begun:
                yield begun | words
                begun = None
        if begun:
            yield begun


#: What an answer of a step on one operation says: its kind where it was done or cut short, and what a refusal saw.
_REFUSED = {
    ("note", "OperationNotFound"): "hidden",
    ("read", "OperationNotFound"): "hidden",
    ("put", "OperationNotFound"): "away",
    ("restore", "OperationNotFound"): "away",
    ("remove", "OperationNotFound"): "bare",
}


def gathered(folder: Path) -> History:
    """Return the history that was written down in a folder, and what is there in the end."""
    history = History()
    vault = LocalVault(folder / "vault")
    written = list(entries(folder / "logs"))
    known = {entry["id"] for entry in written if entry["id"]} | {*IMPORTED}
    for entry in written:
        result = entry.get("result")
        state = "cut short" if result is None else result.get("error", "done")
        history.counts[f"{entry['kind']} {state}"] += 1
        if entry["id"]:
            _one(history, entry)
        elif result is None or "done" in result:
            _many(history, entry, known, vault)
    end = {"worker": "", "kind": "the end", "begin": time.monotonic_ns(), "end": time.monotonic_ns() + 1}
    for operation_id in known:
        history.add(operation_id, "is", end, found(Store(folder / "data"), operation_id, history.broken))
    return history


def _one(history: History, entry: dict[str, Any]) -> None:
    """Note what a step on one operation was."""
    kind, key, result = entry["kind"], entry["id"], entry.get("result")
    if result is None:
        if kind != "read":
            history.add(key, kind, entry, entry.get("note"))
    elif "error" in result:
        if seen := _REFUSED.get((kind, result["error"])):
            history.add(key, seen, entry)
    elif kind == "read":
        history.add(key, "shown", entry, result["done"])
    else:
        history.add(key, kind, entry, entry.get("note"))


def _many(history: History, entry: dict[str, Any], known: set[str], vault: LocalVault) -> None:
    """Note what a step on many operations was to each of them."""
    kind, done = entry["kind"], entry.get("result", {}).get("done")
    killed = "result" not in entry
    if kind == "list" and not killed:
        for key in known:
            history.add(key, *(("shown", entry, done[key]) if key in done else ("hidden", entry)))
    elif kind == "backup" and not killed:
        held = kept(vault, done, history.broken)
        for key in known:
            history.add(key, "is", entry, held.get(key))
    elif kind in ("purge", "retain"):
        for key in known if killed else done:
            history.add(key, "remove" if kind == "purge" else "retain", entry)
    elif kind in ("import", "bring back"):
        held = kept(vault, entry["snapshot"], []) if kind == "bring back" else dict.fromkeys(IMPORTED, (LIBRARY, ""))
        for key, state in held.items():
            history.add(key, *(("come", entry, state) if killed or key in done else ("there", entry)))
            if killed:  # behind its media: a repair adopts those of the library, and nobody has judged what it adopts
                history.add(key, "come", entry, (LIBRARY, ""))


def kept(vault: LocalVault, name: str, broken: list[str]) -> dict[str, State]:
    """Return what a backup holds of each operation; note in `broken` what it does not have whole, or twice."""
    files = vault.load(name).files
    states: dict[str, State] = {}
    for path, sha256 in files.items():
        place, _, file = path.rpartition("/")
        parts = parse_name(file)
        if parts and parts.role == "sidecar" and place in ("operations", "trash"):
            sidecar = decode(vault.read(sha256), parts.operation_id)
            hashes = {f"{place}/{entry['name']}": entry["sha256"] for entry in sidecar["files"]}
            broken += [f"{file} is not whole in the backup {name}"] * (not hashes.items() <= files.items())
            broken += [f"{file} is twice in the backup {name}"] * (parts.operation_id in states)
            states[parts.operation_id] = (LIBRARY if place == "operations" else TRASH, sidecar["annotations"]["note"])
    return states


def found(store: Store, operation_id: str, broken: list[str]) -> State:
    """Return what an operation is now; note in `broken` what is not whole."""
    trash: Folder = Trash(store).folder
    for place, folder in ((LIBRARY, store.operations), (TRASH, trash)):
        if folder.has(sidecar_name(operation_id)):
            sidecar = decode(folder.read(sidecar_name(operation_id)), operation_id)
            for entry in sidecar["files"]:
                if not folder.has(entry["name"]) or digest(folder.read(entry["name"])) != entry["sha256"]:
                    broken.append(f"{entry['name']} is not whole in the {place}")
            return place, sidecar["annotations"]["note"]
    return None


# -- one run -------------------------------------------------------------------------------------------------------------


class Crowd:
    """The processes at work in one folder."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        """Begin with all of them."""
        self._folder = folder
        self._chance = chance
        self._held = contextlib.ExitStack()
        self._begun = 0
        self._working: dict[int, tuple[str, socket.socket, int, contextlib.ExitStack]] = {}
        self.kills = 0
        for kind in WORKERS:
            self._begin(kind)

    def _begin(self, kind: str) -> None:
        own = contextlib.ExitStack()
        number, seed = f"{self._begun:04}", str(self._chance.getrandbits(32))
        ready = nursery(sys.executable, "-B", "tests.history_programs")
        connection, child = own.enter_context(ready.held(["work", str(self._folder), kind, number, seed]))
        connection.sendall(b"!")
        self._working[self._begun] = kind, connection, child, own
        self._begun += 1

    def _end(self, number: int) -> tuple[int, str]:
        """Wait for one to end: its exit code, and what it said."""
        _, connection, _, own = self._working.pop(number)
        with own:
            said, _, code = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\0")
        return int(code), said.decode()

    def go_on(self, seconds: float) -> None:
        """Let them work, and kill one now and then."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, self._chance.uniform(0.02, 0.6)))
            number = self._chance.choice([*self._working])
            kind, _, child, _ = self._working[number]
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            code, said = self._end(number)
            assert code == -signal.SIGKILL, said
            self.kills += 1
            self._begin(kind)

    def stop(self) -> None:
        """Let all of them finish their step; one that does not is a fault, and so is one that ended by itself."""
        (self._folder / "stop").touch()
        for number in list(self._working):
            code, said = self._end(number)
            assert code == 0, said

    def kill(self) -> None:
        """End all that are still at work: one of them was wrong."""
        for _, _, child, own in self._working.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            own.close()


def run(folder: Path, seed: str, seconds: float) -> tuple[History, int]:
    """Make one history in a folder; return it, and how many processes were killed."""
    chance = random.Random(seed)
    for name in ("logs", "source"):
        (folder / name).mkdir(parents=True)
    source, store = Store(folder / "source" / "data"), Store(folder / "data")
    for number in range(len(IMPORTED)):
        save(source, number)
    store.initialize_storage()
    crowd = Crowd(folder, chance)
    try:
        crowd.go_on(seconds)
        crowd.stop()
    except BaseException:
        crowd.kill()
        raise
    return gathered(folder), crowd.kills


def still_wrong(folder: Path) -> list[str]:
    """Return what a check, packing everything, and the index say of a folder at rest, in words; nothing is the aim."""
    store = Store(folder / "data")
    before = _everything(store)
    wrong = [str(problem) for problem in store.verify(deep=True) if problem.kind not in ("leftover", "orphan")]
    care = care_of(store)
    care.index.update()
    rows = {row.id for row in care.index.search("", size=500).rows}
    wrong += [f"in the index or in the library: {key}" for key in rows ^ {found["operationId"] for found in store.iterate()}]
    for act in (care.compression.apply, care.compression.unpack):
        act()
        wrong += [f"packed and unpacked: {name}" for name in _differing(before, _everything(store))]
    return wrong


def _everything(store: Store) -> dict[str, bytes]:
    names: Iterable[str] = (name for name in store.operations.names() if not name.startswith("."))
    return {name: store.operations.read(name) for name in names}


def _differing(first: Mapping[str, bytes], second: Mapping[str, bytes]) -> list[str]:
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
