"""What the history checker runs as child processes, to be killed at any moment: each goes on with random steps over one store.

`work FOLDER KIND NUMBER SEED`, forked from a nursery. `people` save, annotate, trash and remove; `care` packs, unpacks, backs up,
restores, imports, repairs and cleans up. Every step is written down before it begins and after it was acknowledged, each in one
call to the system, which outlives a kill: `{"kind": …, "begin": ns}`, then `{"end": ns, "result": …}`, by the monotonic clock.
"""

from __future__ import annotations

import json
import os
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import opstore.care.repair
from opstore import OpstoreError, Store
from opstore.care import Rule
from opstore.curation import Curation, Edit
from opstore.index import Index
from opstore.storage.names import parse_name
from opstore.storage.trash import Trash
from tests.care_samples import care_of, old
from tests.fault_programs import _say
from tests.samples import PNG

#: So few operations at a time that everybody meets on them.
LIVING = 12


class Worker:
    """One process at work in `FOLDER/data`."""

    def __init__(self, folder: Path, number: str, seed: str) -> None:
        """Write down what it does in a log of its own."""
        self._chance = random.Random(seed)
        self._folder = folder
        self._number = number
        self._count = 0
        self._store = Store(folder / "data")
        self._care = care_of(self._store)
        self._trash = Trash(self._store)
        self._curation = Curation(self._store, Index(self._store), self._trash)
        self._seen: list[str] = []
        self._log = os.open(folder / "logs" / number, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def go_on(self, kind: str) -> None:
        """Do one step after the other until the folder says stop."""
        acts = self._people() if kind == "people" else self._keepers()
        while not (self._folder / "stop").exists():
            act = self._chance.choices([*acts], [*acts.values()])[0]
            act()

    def _step(self, kind: str, operation_id: str | None, act: Callable[[], object], **about: object) -> None:
        self._write({"kind": kind, "id": operation_id, "begin": time.monotonic_ns(), **about})
        try:
            result: object = {"done": act()}
        except OpstoreError as error:
            result = {"error": type(error).__name__}
        self._write({"end": time.monotonic_ns(), "result": result})

    def _write(self, line: Mapping[str, object]) -> None:
        os.write(self._log, json.dumps(line).encode() + b"\n")

    # -- people ----------------------------------------------------------------------------------------------------------

    def _people(self) -> dict[Callable[[], None], int]:
        one: dict[str, Callable[[str], object]] = {
            "put": self._trash.put,
            "restore": self._trash.restore,
            "remove": self._trash.remove,
            "read": lambda operation_id: self._store.get_operation_metadata(operation_id)["annotations"]["note"],
        }
        acts = {self._on_one(kind, act): weight for (kind, act), weight in zip(one.items(), (4, 4, 1, 3), strict=True)}
        return acts | {self._save: 3, self._note: 4}

    def _on_one(self, kind: str, act: Callable[[str], object]) -> Callable[[], None]:
        def acting() -> None:
            for operation_id in self._chosen():
                self._step(kind, operation_id, lambda operation_id=operation_id: act(operation_id))  # type: ignore[misc] # as below

        return acting

    def _save(self) -> None:
        if len({*self._ids(self._store.operations.names()), *self._ids(self._trash.folder.names())}) < LIVING:
            operation_id = old(self._chance.getrandbits(32))
            made = f"no media {operation_id} ".encode() * 40

            def write() -> None:
                self._store.save(operation_id, {"prompt": "a history"}, inputs=[PNG], outputs=[made])

            self._step("save", operation_id, write)

    def _note(self) -> None:
        for operation_id in self._chosen():
            self._count += 1
            note = f"{self._number}.{self._count}"

            def write(operation_id: str = operation_id, note: str = note) -> None:
                failed = self._curation.annotate([operation_id], Edit(note=note)).failed
                for error in failed.values():
                    raise error

            self._step("note", operation_id, write, note=note)

    def _chosen(self) -> list[str]:
        """Return one operation, or none if there is none; now and then one that may be gone for good."""
        ids = sorted({*self._ids(self._store.operations.names()), *self._ids(self._trash.folder.names())})
        self._seen = [*dict.fromkeys((*self._seen, *ids))][-2 * LIVING :]
        some = ids if ids and self._chance.random() < 0.9 else self._seen
        return [self._chance.choice(some)] if some else []

    def _ids(self, names: list[str]) -> Iterator[str]:
        return (parts.operation_id for name in names if (parts := parse_name(name)) and parts.role == "sidecar")

    # -- care ------------------------------------------------------------------------------------------------------------

    def _keepers(self) -> dict[Callable[[], None], int]:
        vault = str(self._folder / "vault")
        all_: dict[str, tuple[int, Callable[[], object]]] = {
            "compress": (8, lambda: self._care.compression.apply(60) and None),
            "unpack": (3, lambda: self._care.compression.unpack() and None),
            "repair": (2, lambda: self._care.repair.apply() and None),
            "purge": (1, lambda: self._trash.purge(older_than=timedelta(0))),
            "retain": (1, lambda: self._care.cleanup.apply(self._care.cleanup.plan(Rule(30))).moved),
            "backup": (2, lambda: self._care.back_up(vault).snapshot),
            "import": (1, lambda: self._care.take_in(str(self._folder / "source")).operations),
            "list": (3, self._listed),
            "index": (1, lambda: self._care.index.update() and None),
        }
        acts: dict[Callable[[], None], int] = {self._bring_back: 2}
        for kind, (weight, act) in all_.items():
            acts[lambda kind=kind, act=act: self._step(kind, None, act)] = weight  # type: ignore[misc] # mypy infers no default
        return acts

    def _listed(self) -> dict[str, str]:
        return {found["operationId"]: found["annotations"]["note"] for found in self._store.list_operations(1_000)}

    def _bring_back(self) -> None:
        """Restore one of the newest backups."""
        vault = str(self._folder / "vault")
        names = self._care.local_snapshots(vault)[:3]
        if names:
            name = self._chance.choice(names)
            self._step("bring back", None, lambda: self._care.restore(vault, name).operations, snapshot=name)


def work(folder: str, kind: str, number: str, seed: str) -> None:
    """Go on until it is killed, or the folder says stop; say what no step should have raised."""
    opstore.care.repair._SETTLED = 0.0  # ten minutes are too long to wait for a fault
    try:
        Worker(Path(folder), number, seed).go_on(kind)
    except Exception:
        _say(traceback.format_exc())
        raise


PROGRAMS: dict[str, Callable[..., Any]] = {"work": work}
