"""verify(): each kind of damage done to a healthy folder is found, named exactly, and nothing is touched."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from opstore import Problem, Store
from opstore.storage.operation import encode
from opstore.storage.verify import Kind
from tests.samples import ID, JPG, LATER, MP4, PNG, SHORT, WEBP, fixed_store, plant, record_of, tree

SIDECAR, IN_1, IN_2, OUT, BETWEEN = (f"{ID}{ending}" for ending in (".json", "_in_1.jpg", "_in_2.png", "_out.mp4", "_out.webp"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A healthy folder of four operations: a chain with all kinds of files, a failed one, one of old data, one under way."""
    store = fixed_store(tmp_path)
    store.save(ID, {"operationType": "edit_then_video"}, inputs=[JPG, PNG], outputs=[MP4], intermediate=WEBP)
    store.save_operation_metadata(LATER, {"error": "x"})
    plant(store, f"{SHORT}_out.jpg", WEBP)
    plant(store, f"{SHORT}.json", encode({"operationId": SHORT, "success": True, "outputFile": f"{SHORT}_out.jpg"}))
    store.save_input_image("20251103143024_00000000", PNG)
    (store.pending.path / "20251103143024_00000000.json").write_bytes(record_of("20251103143024_00000000"))
    return store


def change(store: Store, name: str, act: Callable[[dict[str, Any]], object]) -> None:
    """Change a sidecar as somebody with an editor would."""
    sidecar = json.loads((store.operations.path / name).read_bytes())
    act(sidecar)
    (store.operations.path / name).write_text(json.dumps(sidecar))


def replace_bytes(store: Store, name: str, act: Callable[[bytes], bytes]) -> None:
    """Change a file of the store."""
    path = store.operations.path / name
    path.write_bytes(act(path.read_bytes()))


def old(path: Path, data: bytes = b"") -> None:
    """Write a file that is an hour old."""
    path.write_bytes(data)
    os.utime(path, (time.time() - 3_600,) * 2)


def link(path: Path) -> None:
    """Put a link to nowhere in the place of a file."""
    path.unlink()
    path.symlink_to("nowhere")


TEMP, LOCK = f".{OUT}.0a1b2c3d.tmp", f".{ID}.lock"
GONE = "the metadata file names it, but it is missing"
ALONE = "a media file that no metadata file names"
LEFT = "left behind by a save that was interrupted"
UNREADABLE = "it is not complete and valid JSON"
NO_RECORD = "the record of an operation under way cannot be read"
NO_RESULT = "it says success and has no result: the download had failed"
NOT_PLAIN = "not a plain file"

Damage = tuple[Callable[[Store], object], list[Problem]]
DAMAGES: Mapping[str, Damage] = {
    "a lost input": (lambda s: (s.operations.path / IN_2).unlink(), [Problem("missing", IN_2, ID, GONE)]),
    "a lost output": (lambda s: (s.operations.path / OUT).unlink(), [Problem("missing", OUT, ID, GONE)]),
    "a lost intermediate": (lambda s: (s.operations.path / BETWEEN).unlink(), [Problem("missing", BETWEEN, ID, GONE)]),
    "a lost old file": (
        lambda s: (s.operations.path / f"{SHORT}_out.jpg").unlink(),
        [Problem("missing", f"{SHORT}_out.jpg", SHORT, GONE)],
    ),
    "a result that never was": (
        lambda s: change(s, f"{SHORT}.json", lambda sidecar: sidecar.update(outputFile=None)),
        [Problem("missing", f"{SHORT}.json", SHORT, NO_RESULT), Problem("orphan", f"{SHORT}_out.jpg", SHORT, ALONE)],
    ),
    "a file cut short": (
        lambda s: replace_bytes(s, OUT, lambda data: data[:-1]),
        [Problem("truncated", OUT, ID, f"{len(MP4) - 1} bytes instead of {len(MP4)}")],
    ),
    "a file grown": (
        lambda s: replace_bytes(s, IN_1, lambda data: data + b"x"),
        [Problem("truncated", IN_1, ID, f"{len(JPG) + 1} bytes instead of {len(JPG)}")],
    ),
    "a file emptied": (
        lambda s: replace_bytes(s, IN_1, lambda data: b""),
        [Problem("truncated", IN_1, ID, f"0 bytes instead of {len(JPG)}")],
    ),
    "an old file emptied": (
        lambda s: replace_bytes(s, f"{SHORT}_out.jpg", lambda data: b""),
        [Problem("truncated", f"{SHORT}_out.jpg", SHORT, "it is empty")],
    ),
    "a sidecar lost": (
        lambda s: (s.operations.path / SIDECAR).unlink(),
        [Problem("orphan", name, ID, ALONE) for name in (IN_1, IN_2, OUT, BETWEEN)],
    ),
    "a sidecar emptied": (
        lambda s: replace_bytes(s, SIDECAR, lambda data: b""),
        [Problem("unparsable", SIDECAR, ID, UNREADABLE)],
    ),
    "a sidecar cut": (
        lambda s: replace_bytes(s, SIDECAR, lambda data: data[:-3]),
        [Problem("unparsable", SIDECAR, ID, UNREADABLE)],
    ),
    "a sidecar of another kind": (
        lambda s: replace_bytes(s, SIDECAR, lambda data: b"[]"),
        [Problem("unparsable", SIDECAR, ID, "it is not a JSON object")],
    ),
    "a sidecar that speaks of another": (
        lambda s: replace_bytes(s, SIDECAR, lambda data: b'{"another operation": NaN}'),
        [Problem("unparsable", SIDECAR, ID, "the number at another operation is nan, which JSON does not have; use null")],
    ),
    "a sidecar renamed": (
        lambda s: (s.operations.path / SIDECAR).rename(s.operations.path / "20200101000000_00000000.json"),
        [
            Problem(
                "mismatch",
                "20200101000000_00000000.json",
                "20200101000000_00000000",
                "it names another operation than its file name does",
            ),
            *(Problem("orphan", name, ID, ALONE) for name in (IN_1, IN_2, OUT, BETWEEN)),
        ],
    ),
    "a sidecar that became a link": (lambda s: link(s.operations.path / SIDECAR), [Problem("unsafe", SIDECAR, ID, NOT_PLAIN)]),
    "a file that became a link": (lambda s: link(s.operations.path / OUT), [Problem("unsafe", OUT, ID, NOT_PLAIN)]),
    "an unnamed file": (lambda s: plant(s, f"{ID}_out_2.png", PNG), [Problem("orphan", f"{ID}_out_2.png", ID, ALONE)]),
    "a file of nobody": (
        lambda s: plant(s, "20200101000000_00000000_in.jpg", JPG),
        [Problem("orphan", "20200101000000_00000000_in.jpg", "20200101000000_00000000", ALONE)],
    ),
    "names of others": (
        lambda s: change(
            s, f"{LATER}.json", lambda sidecar: sidecar.update(inputFiles=["../../etc/passwd", f"{ID}_in_1.jpg", None])
        ),
        [
            Problem("foreign name", f"{LATER}.json", LATER, "it names '../../etc/passwd', not a file of its own"),
            Problem("foreign name", f"{LATER}.json", LATER, f"it names '{ID}_in_1.jpg', not a file of its own"),
            Problem("foreign name", f"{LATER}.json", LATER, "it names None, not a file of its own"),
        ],
    ),
    "an output of others": (
        lambda s: change(s, f"{LATER}.json", lambda sidecar: sidecar.update(outputFile=f"{LATER}.json")),
        [Problem("foreign name", f"{LATER}.json", LATER, f"it names '{LATER}.json', not a file of its own")],
    ),
    "a description of others": (
        lambda s: change(s, f"{LATER}.json", lambda sidecar: sidecar.update(files=[{"role": "output", "name": "/etc/passwd"}])),
        [Problem("foreign name", f"{LATER}.json", LATER, "it names '/etc/passwd', not a file of its own")],
    ),
    "a temp file": (lambda s: old(s.operations.path / TEMP, b"x"), [Problem("leftover", TEMP, ID, LEFT)]),
    "a lock": (lambda s: old(s.operations.path / LOCK), [Problem("leftover", LOCK, ID, LEFT)]),
    "a temp file of no operation": (lambda s: old(s.operations.path / ".x.tmp"), [Problem("leftover", ".x.tmp", None, LEFT)]),
    "a temp record": (
        lambda s: old(s.pending.path / f".{ID}.json.0a1b2c3d.tmp"),
        [Problem("leftover", f".{ID}.json.0a1b2c3d.tmp", ID, LEFT)],
    ),
    "a record emptied": (lambda s: (s.pending.path / SIDECAR).write_bytes(b""), [Problem("unparsable", SIDECAR, ID, NO_RECORD)]),
    "a record of another": (
        lambda s: (s.pending.path / SIDECAR).write_bytes(record_of(LATER)),
        [Problem("unparsable", SIDECAR, ID, NO_RECORD)],
    ),
    "a record of no known state": (
        lambda s: (s.pending.path / SIDECAR).write_bytes(record_of(ID).replace(b"queued", b"waiting")),
        [Problem("unparsable", SIDECAR, ID, NO_RECORD)],
    ),
    "a record without steps": (
        lambda s: (s.pending.path / SIDECAR).write_text(json.dumps({**json.loads(record_of(ID)), "steps": []})),
        [Problem("unparsable", SIDECAR, ID, NO_RECORD)],
    ),
    "a record too deep": (
        lambda s: (s.pending.path / SIDECAR).write_bytes(b"[" * 100_000),
        [Problem("unparsable", SIDECAR, ID, NO_RECORD)],
    ),
    "a record of too many digits": (
        lambda s: (s.pending.path / SIDECAR).write_bytes(b"9" * 100_000),
        [Problem("unparsable", SIDECAR, ID, NO_RECORD)],
    ),
    "a record that is a link": (
        lambda s: (s.pending.path / SIDECAR).symlink_to(s.operations.path / SIDECAR),
        [Problem("unsafe", SIDECAR, ID, NOT_PLAIN)],
    ),
}


def test_a_healthy_folder_has_no_problems(store: Store) -> None:
    before = tree(store.root, times=True)
    assert store.verify() == []
    assert store.verify(deep=True) == []
    assert tree(store.root, times=True) == before


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_named_exactly_and_nothing_is_touched(name: str, store: Store) -> None:
    act, wanted = DAMAGES[name]
    if "record" in name:
        wanted = [replace(problem, folder="pending") for problem in wanted]
    act(store)
    before = tree(store.root, times=True)
    for deep in (False, True):
        found = store.verify(deep=deep)
        assert sorted(found, key=repr) == sorted(wanted, key=repr)
        assert found == sorted(found, key=lambda problem: (problem.name, problem.kind))
    assert tree(store.root, times=True) == before
    assert all(problem.detail and "\n" not in problem.detail for problem in found)


def test_every_kind_of_problem_is_tried_here() -> None:
    tried = {problem.kind for _, problems in DAMAGES.values() for problem in problems}
    assert tried | {"changed", "unusable"} == set(get_args(Kind))  # what cannot be used is no file's: `test_preferences`


@pytest.mark.parametrize("name", [IN_1, IN_2, OUT, BETWEEN])
def test_one_flipped_byte_is_found_by_the_deep_check_alone(name: str, store: Store) -> None:
    path = store.operations.path / name
    data = path.read_bytes()
    for offset in {0, 1, len(data) // 3, len(data) // 2, len(data) - 2, len(data) - 1}:
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        assert store.verify() == []
        assert store.verify(deep=True) == [Problem("changed", name, ID, "its bytes are not those that were saved")]
    path.write_bytes(data)
    assert store.verify(deep=True) == []


def test_old_data_without_hashes_are_read_whole_and_taken_as_they_are(store: Store) -> None:
    replace_bytes(store, f"{SHORT}_out.jpg", lambda data: bytes([data[0] ^ 1]) + data[1:])
    assert store.verify(deep=True) == []


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"name": None},
        {"name": OUT, "role": []},
        {"name": OUT, "bytes": "5", "sha256": 5, "role": "output"},
        {"name": OUT, "bytes": 1.5},
    ],
    ids=str,
)
def test_odd_descriptions_break_nothing(entry: dict[str, Any], store: Store) -> None:
    change(store, SIDECAR, lambda sidecar: sidecar["files"].append(entry))
    assert {problem.kind for problem in store.verify(deep=True)} <= {"foreign name"}
    others: tuple[Any, ...] = (None, 5, "x", {}, [None, 5, "x", []])
    for files in others:
        change(store, SIDECAR, lambda sidecar, files=files: sidecar.update(files=files))  # type: ignore[misc] # bound now, not later
        assert {problem.name for problem in store.verify(deep=True)} == {BETWEEN}, "nobody names the intermediate now"


@pytest.mark.long
def test_many_damages_at_once_are_all_found(store: Store) -> None:
    wanted: list[Problem] = []
    for number in range(40):
        operation_id = f"202512011200{number:02}_0000000{number % 10}"
        store.save_complete_operation({"operationId": operation_id, "inputImages": [PNG], "outputs": WEBP})
        name, kind, detail = [
            (f"{operation_id}_out.webp", "missing", GONE),
            (f"{operation_id}_in_1.png", "truncated", f"1 bytes instead of {len(PNG)}"),
            (f"{operation_id}.json", "unparsable", UNREADABLE),
            (f"{operation_id}_out_7.gif", "orphan", ALONE),
        ][number % 4]
        path = store.operations.path / name
        path.unlink() if kind == "missing" else path.write_bytes(b"x")
        wanted.append(Problem(kind, name, operation_id, detail))  # type: ignore[arg-type] # a Kind, in a list with other texts
    assert store.verify() == sorted(wanted, key=lambda problem: problem.name)


def test_saves_under_way_are_no_problems(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, list[Problem]]] = []
    new = "20260101000000_00000000"
    for name in ("fsync", "link", "unlink"):
        original = getattr(os, name)

        def looking(*arguments: Any, original: Callable[..., Any] = original, **options: Any) -> Any:
            halfway = store.operations.has(f"{new}_out.webp") and not store.operations.has(f"{new}.json")
            seen.append((halfway, store.verify(deep=True)))
            return original(*arguments, **options)

        monkeypatch.setattr(os, name, looking)
    store.save_complete_operation({"operationId": new, "inputImages": [PNG], "outputs": WEBP})
    assert any(halfway for halfway, _ in seen), "there was a moment when media were there and their sidecar was not"
    assert [problems for _, problems in seen if problems] == []
    monkeypatch.undo()
    assert store.verify(deep=True) == []
