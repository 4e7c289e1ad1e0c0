"""Any sequence of saves, repeats, changes and damages leaves the store as a model of dictionaries says."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from opstore import DamagedOperation, OperationExists, OperationNotFound, OpstoreError
from opstore.errors import FileMissing
from opstore.storage.operation import Operation
from tests.examples import some
from tests.samples import JPG, MP4, PNG, SHORT, WEBP, fixed_store, plant

IDS = (SHORT, "20251103143022_abc123de", "20251103143022_ffffffff", "20240101000000_00000000")
FILES = {"png": PNG, "jpg": JPG, "mp4": MP4, "webp": WEBP, "other png": PNG + b"\0", "no media": b"no media"}
EXTENSIONS = {"png": "png", "jpg": "jpg", "mp4": "mp4", "webp": "webp", "other png": "png", "no media": "jpg"}
VIDEOS = ("mp4",)
#: What is saved: prompt, error, inputs, outputs.
CONTENTS: tuple[tuple[str, str | None, tuple[str, ...], tuple[str, ...]], ...] = (
    ("a", None, ("png",), ("webp",)),
    ("a", None, ("png", "jpg"), ("webp",)),
    ("a", None, ("other png",), ("webp",)),
    ("b", None, ("png",), ("mp4",)),
    ("b", None, (), ("mp4", "webp")),
    ("b", "x", (), ()),
    ("b", "x", ("jpg",), ()),
)
FOREIGN = (".DS_Store", "notes.txt", f"{SHORT}.json.bak", "🦊", f"{SHORT}_out_1.jpg")

ids = st.sampled_from(IDS)
contents = st.sampled_from(CONTENTS)
kinds = st.sampled_from(list(FILES))


@dataclass
class Record:
    """What the model knows of an id: its files by name, and once it is saved, what it says."""

    files: dict[str, bytes] = field(default_factory=dict)
    says: tuple[str, str | None] | None = None
    tags: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    damaged: bytes | None = None

    def of(self, role: str) -> dict[str, bytes]:
        return {name: data for name, data in self.files.items() if role in name}


def place(name: str) -> tuple[str, bool]:
    """Return the place in an operation that a file takes: only one can have it."""
    stem, extension = name.split(".")
    return stem, "_out" in name and extension in VIDEOS


def named(operation_id: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> dict[str, bytes]:
    """Return the files of a save under the names that they must get."""
    files = {f"{operation_id}_in_{number}.{EXTENSIONS[kind]}": FILES[kind] for number, kind in enumerate(inputs, 1)}
    for number, kind in enumerate(outputs):
        files[f"{operation_id}_out{f'_{number + 1}' if number else ''}.{EXTENSIONS[kind]}"] = FILES[kind]
    return files


class StoreMachine(RuleBasedStateMachine):
    """A store, and beside it what it ought to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = fixed_store(self.root)
        self.model: dict[str, Record] = {}
        self.foreign: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    # -- the model's own judgement ---------------------------------------------------------------------------------------

    def _fits(self, operation_id: str, says: tuple[str, str | None], files: dict[str, bytes]) -> bool:
        """Say whether a save must succeed."""
        record = self.model.get(operation_id, Record())
        if record.damaged is not None:
            return False
        roles = [role for role in ("_in", "_out") if any(role in name for name in files)]
        if record.says is not None:
            same = all(record.of(role) == {name: data for name, data in files.items() if role in name} for role in roles)
            return record.says == says and same and not record.lost & files.keys()
        return all(files.get(name) == data for role in roles for name, data in record.of(role).items())

    def _fits_part(self, operation_id: str, name: str, data: bytes) -> bool:
        record = self.model.get(operation_id, Record())
        if record.damaged is not None or (record.says is not None and name not in record.files):
            return False
        if name in record.files:
            return record.files[name] == data
        return place(name) not in map(place, record.files)

    def _expect(self, fits: bool, act: Any) -> None:
        if fits:
            act()
        else:
            with pytest.raises(OperationExists):
                act()

    # -- what people do --------------------------------------------------------------------------------------------------

    @rule(operation_id=ids, content=contents)
    def save(self, operation_id: str, content: tuple[str, str | None, tuple[str, ...], tuple[str, ...]]) -> None:
        prompt, error, inputs, outputs = content
        files = named(operation_id, inputs, outputs)
        fits = self._fits(operation_id, (prompt, error), files)
        operation: dict[str, Any] = {"operationId": operation_id, "prompt": prompt, "operationType": "x"}
        operation |= {"error": error} if error else {}
        operation |= {"inputImages": [FILES[kind] for kind in inputs], "outputs": [FILES[kind] for kind in outputs]}
        self._expect(fits, lambda: self.store.save_complete_operation(operation))
        if fits:
            record = self.model.setdefault(operation_id, Record())
            record.files |= files
            record.says = (prompt, error)

    @rule(operation_id=ids, prompt=st.sampled_from(["a", "b"]))
    def save_metadata(self, operation_id: str, prompt: str) -> None:
        fits = self._fits(operation_id, (prompt, None), {})
        self._expect(fits, lambda: self.store.save_operation_metadata(operation_id, {"prompt": prompt, "operationType": "x"}))
        if fits:
            self.model.setdefault(operation_id, Record()).says = (prompt, None)

    @rule(operation_id=ids, kind=kinds, index=st.integers(1, 2))
    def save_input(self, operation_id: str, kind: str, index: int) -> None:
        name = f"{operation_id}_in_{index}.{EXTENSIONS[kind]}"
        self._save_part(operation_id, name, kind, lambda: self.store.save_input_image(operation_id, FILES[kind], index))

    @rule(operation_id=ids, kind=kinds)
    def save_output(self, operation_id: str, kind: str) -> None:
        name = f"{operation_id}_out.{EXTENSIONS[kind]}"
        self._save_part(operation_id, name, kind, lambda: self.store.save_output_file(operation_id, FILES[kind], "x"))

    def _save_part(self, operation_id: str, name: str, kind: str, act: Any) -> None:
        fits = self._fits_part(operation_id, name, FILES[kind])
        self._expect(fits, act)
        if fits:
            record = self.model.setdefault(operation_id, Record())
            record.files[name] = FILES[kind]
            record.lost.discard(name)

    @rule(operation_id=ids, tag=st.text(max_size=3))
    def annotate(self, operation_id: str, tag: str) -> None:
        def act() -> None:
            self.store.rewrite(operation_id, lambda sidecar: sidecar["annotations"]["tags"].append(tag))

        record = self.model.get(operation_id, Record())
        if record.damaged is not None:
            with pytest.raises(DamagedOperation):
                act()
        elif record.says is None:
            with pytest.raises(OperationNotFound):
                act()
        elif tag.encode(errors="ignore").decode() == tag:
            act()
            record.tags.append(tag)
        else:
            with pytest.raises(OpstoreError):
                act()

    @rule()
    def reopen(self) -> None:
        self.store = fixed_store(self.root)

    # -- what happens to them --------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(FOREIGN))
    def foreign_file(self, name: str) -> None:
        if name in self.foreign:
            (self.store.operations.path / name).unlink()
        else:
            plant(self.store, name, b"theirs")
        self.foreign ^= {name}

    @precondition(lambda self: any(record.says for record in self.model.values()))
    @rule(data=st.data(), junk=st.sampled_from([b"", b"{", b"[]", b'{"operationId": "x"}', b"\xff"]))
    def damage_or_repair(self, data: st.DataObject, junk: bytes) -> None:
        operation_id = data.draw(st.sampled_from([key for key, record in self.model.items() if record.says]))
        record, path = self.model[operation_id], self.store.operations.path / f"{operation_id}.json"
        if record.damaged is None:
            record.damaged = path.read_bytes()
            path.write_bytes(junk)
        else:
            path.write_bytes(record.damaged)
            record.damaged = None

    @precondition(lambda self: any(record.says and record.files for record in self.model.values()))
    @rule(data=st.data())
    def lose_or_find(self, data: st.DataObject) -> None:
        names = [name for record in self.model.values() if record.says for name in record.files]
        name = data.draw(st.sampled_from(names))
        record = next(record for record in self.model.values() if name in record.files)
        if name in record.lost:
            plant(self.store, name, record.files[name])
        else:
            (self.store.operations.path / name).unlink()
        record.lost ^= {name}

    # -- what must be true -----------------------------------------------------------------------------------------------

    @invariant()
    def lists_agree(self) -> None:
        whole = {key: record for key, record in self.model.items() if record.says and record.damaged is None}
        listed = self.store.list_operations()
        assert [sidecar["operationId"] for sidecar in listed] == sorted(whole, key=lambda key: f"{key}.json", reverse=True)
        for sidecar in listed:
            record = whole[sidecar["operationId"]]
            assert ((sidecar["prompt"], sidecar["error"]), sidecar["annotations"]["tags"]) == (record.says, record.tags)
            view = Operation.of(sidecar)
            assert {*view.inputs} == record.of("_in").keys()
            assert {*view.outputs} == record.of("_out").keys()

    @invariant()
    def each_agrees(self) -> None:
        for operation_id in IDS:
            record = self.model.get(operation_id, Record())
            wanted = None if record.says and record.damaged is None else DamagedOperation if record.says else OperationNotFound
            if wanted is None:
                assert self.store.get_operation_metadata(operation_id)["operationId"] == operation_id
            else:
                with pytest.raises(wanted):
                    self.store.get_operation_metadata(operation_id)
            for name, data in record.files.items():
                if name not in record.lost:
                    assert self.store.read_file(name) == data
                else:
                    with pytest.raises(FileMissing):
                        self.store.read_file(name)

    @invariant()
    def verify_agrees(self) -> None:
        wanted: list[tuple[str, str]] = []
        for operation_id, record in self.model.items():
            if record.damaged is not None:
                wanted.append((f"{operation_id}.json", "damaged"))
            elif record.says is None:
                wanted += [(name, "orphan") for name in record.files]
            else:
                wanted += [(name, "missing") for name in record.lost]
                if record.says[1] is None and not record.of("_out"):
                    wanted.append((f"{operation_id}.json", "missing"))
        found = self.store.verify(deep=True)
        kinds = {"unparsable": "damaged", "mismatch": "damaged"}
        assert [(problem.name, kinds.get(problem.kind, problem.kind)) for problem in found] == sorted(wanted)


StoreMachine.TestCase.settings = settings(max_examples=some(60), stateful_step_count=30, deadline=None)
TestStoreMachine = StoreMachine.TestCase
