"""Folders that others have written: the original backend's data, files of other programs, and things planted to do harm."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opstore import DamagedOperation, Operation, OperationExists, OperationNotFound, Problem, Store, media
from opstore.errors import UnsafeFile
from opstore.index import Index
from opstore.storage.operation import SPECIFIED, encode
from tests.samples import ID, JPG, LATER, MP4, PNG, SHORT, WEBP, fixed_store, nested, plant, sidecar_file, tree


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fixed_store(tmp_path)


def legacy(store: Store, operation_id: str, files: Mapping[str, bytes], **changes: Any) -> dict[str, Any]:
    """Write an operation as the original backend did: its 13 keys, no line end, media named by habit; return the sidecar."""
    names = [f"{operation_id}{ending}" for ending in files]
    sidecar = {
        "operationId": operation_id,
        "timestamp": "2025-11-03T14:30:22.123Z",
        "operationType": "image_edit_single",
        "prompt": "plus clair",
        "parameters": {"prompt": "plus clair", "useOptimizedPrompt": "true", "workflowName": None, "confidence": 0.95},
        "inputCount": sum("_in" in name for name in names),
        "inputFiles": [name for name in names if "_in" in name],
        "outputFile": next((name for name in names if "_out" in name), None),
        "resultUrl": "https://replicate.delivery/pbxt/x/out-0.webp",
        "workflowAnalysis": None,
        "error": None,
        "success": True,
        "duration": None,
    } | changes
    for name, data in zip(names, files.values(), strict=True):
        plant(store, name, data)
    plant(store, f"{operation_id}.json", json.dumps(sidecar, indent=2, ensure_ascii=False).encode())
    return sidecar


# -- the original backend ------------------------------------------------------------------------------------------------


def test_the_specifications_example_is_read_as_it_stands(store: Store) -> None:
    example = sidecar_file("specification.json")
    plant(store, f"{SHORT}.json", example)
    for number in (1, 2):
        plant(store, f"{SHORT}_in_{number}.jpg", JPG)
    plant(store, f"{SHORT}_out.jpg", WEBP)
    assert store.list_operations() == [json.loads(example)] == [store.get_operation_metadata(SHORT)]
    assert tuple(store.get_operation_metadata(SHORT)) == SPECIFIED
    assert store.verify(deep=True) == []
    assert store.read_file(f"{SHORT}_out.jpg") == WEBP


FOLDERS: Mapping[str, tuple[dict[str, bytes], dict[str, Any], str]] = {
    "an input without a number": ({"_in.jpg": JPG, "_out.jpg": JPG}, {}, "stored"),
    "the extension of the address": ({"_in_1.jpg": JPG, "_out.webp": WEBP}, {}, "stored"),
    "webp that is called jpg": ({"_in_1.jpg": WEBP, "_out.jpg": WEBP}, {}, "stored"),
    "png that is called jpeg": ({"_in_1.jpg": PNG, "_out.jpeg": PNG}, {}, "stored"),
    "a chain that ends as video": ({"_in_1.jpg": JPG, "_out.mp4": MP4}, {"operationType": "edit_then_video"}, "stored"),
    "img_to_img": ({"_in.jpg": JPG, "_out.png": PNG}, {"operationType": "img_to_img"}, "stored"),
    "a step of a chain": ({"_in_1.jpg": JPG, "_out.mp4": MP4}, {"operationType": "edit_then_video_video_step_2"}, "stored"),
    "a whole workflow": ({"_out.jpg": JPG}, {"operationType": "workflow_execution"}, "stored"),
    "a failed request": ({}, {"operationType": "unknown", "success": False, "error": "NSFW", "resultUrl": None}, "failed"),
    "time without a zone": ({"_out.jpg": JPG}, {"timestamp": "2025-11-03T14:30:22.123"}, "stored"),
    "no time": ({"_out.jpg": JPG}, {"timestamp": None}, "stored"),
    "a count that is text": ({"_in_1.jpg": JPG, "_out.jpg": JPG}, {"inputCount": "1"}, "stored"),
    "a type of another age": ({"_out.gif": PNG}, {"operationType": "Génération 🦊"}, "stored"),
}


@pytest.mark.parametrize("operation_id", [ID, SHORT, ID[:-1]], ids=["8 digits", "6 digits", "7 digits"])
@pytest.mark.parametrize("name", FOLDERS)
def test_data_of_the_original_backend_are_read_as_they_are(name: str, operation_id: str, store: Store) -> None:
    files, changes, status = FOLDERS[name]
    sidecar = legacy(store, operation_id, files, **changes)
    before = tree(store.root, times=True)
    assert store.list_operations() == [sidecar]
    assert list(store.get_operation_metadata(operation_id)) == list(sidecar)
    view = Operation.of(store.get_operation_metadata(operation_id))
    assert (view.status, view.type) == (status, sidecar["operationType"])
    assert view.moment is not None
    assert view.moment.year == 2025
    found = {name.removeprefix(operation_id): store.read_file(name) for name in (*view.inputs, *view.outputs)}
    assert found == files
    assert all(media.sniff(data) for data in found.values()), "the type comes from the bytes"
    assert store.verify(deep=True) == []
    assert tree(store.root, times=True) == before


def test_a_failed_download_is_a_missing_result(store: Store) -> None:
    legacy(store, SHORT, {"_in_1.jpg": JPG}, outputFile=None)
    view = Operation.of(store.get_operation_metadata(SHORT))
    assert (view.status, view.output, view.succeeded) == ("result missing", None, False)
    detail = "it says success and has no result: the download had failed"
    assert store.verify() == [Problem("missing", f"{SHORT}.json", SHORT, detail)]


@pytest.mark.parametrize("key", ["outputFile", "output", "intermediate"])
def test_what_is_called_an_input_is_no_result_whatever_a_sidecar_says(key: str, store: Store) -> None:
    name = f"{SHORT}_in_1.jpg"
    naming = {"outputFile": name} if key == "outputFile" else {"outputFile": None, "files": [{"name": name, "role": key}]}
    sidecar = legacy(store, SHORT, {"_in_1.jpg": JPG}, inputFiles=[])
    plant(store, f"{SHORT}.json", encode(sidecar | naming))
    view = Operation.of(store.get_operation_metadata(SHORT))
    assert (view.outputs, view.intermediates, view.status) == ((), (), "result missing")
    index = Index(store)
    index.update()
    assert [(row.output, row.status) for row in index.search().rows] == [(None, "result missing")]
    assert [problem.kind for problem in store.verify()] == ["missing"], "the file belongs to it, and stays where it is"


def test_annotating_old_data_adds_a_key_and_touches_nothing_else(store: Store) -> None:
    sidecar = legacy(store, SHORT, {"_in.jpg": WEBP, "_out.webp": WEBP}, steps=[{"outputUrl": "x", "duration": 3.5}])
    store.rewrite(SHORT, lambda stored: stored.update(annotations={"tags": ["vieux"]}))
    assert store.get_operation_metadata(SHORT) == {**sidecar, "annotations": {"tags": ["vieux"]}}
    assert list(store.get_operation_metadata(SHORT)) == [*sidecar, "annotations"]


@pytest.mark.parametrize("key", SPECIFIED[1:])
@pytest.mark.parametrize(
    "value", [None, 0, -1.5, "", "x", True, [], [[]], {}, {"a": {}}, ["../../etc/passwd"], "../../etc/passwd"], ids=str
)
def test_a_key_of_a_wrong_type_breaks_nothing(key: str, value: Any, store: Store) -> None:
    sidecar = legacy(store, SHORT, {"_in_1.jpg": JPG, "_out.jpg": JPG}) | {key: value}
    plant(store, f"{SHORT}.json", encode(sidecar))
    assert store.list_operations() == [sidecar]
    view = Operation.of(sidecar)
    assert set(view.inputs) | set(view.outputs) <= {f"{SHORT}_in_1.jpg", f"{SHORT}_out.jpg"}
    kinds = {problem.kind for problem in store.verify(deep=True)}
    assert kinds <= {"orphan", "foreign name", "missing"}
    assert bool(kinds) is (key in ("inputFiles", "outputFile")), "what is not about files is no problem of the folder"


@pytest.mark.parametrize("key", SPECIFIED[1:])
def test_a_missing_key_breaks_nothing(key: str, store: Store) -> None:
    sidecar = legacy(store, SHORT, {"_in_1.jpg": JPG, "_out.jpg": JPG})
    del sidecar[key]
    plant(store, f"{SHORT}.json", encode(sidecar))
    assert store.list_operations() == [sidecar]
    assert Operation.of(sidecar).id == SHORT
    wanted = {"inputFiles": {"orphan"}, "outputFile": {"orphan", "missing"}}.get(key, set())
    assert {problem.kind for problem in store.verify(deep=True)} == wanted
    store.rewrite(SHORT, lambda stored: None)
    assert store.get_operation_metadata(SHORT) == sidecar


# -- damaged sidecars ----------------------------------------------------------------------------------------------------

DAMAGED: Mapping[str, bytes] = {
    "empty": b"",
    "cut": b'{"operationId": "' + ID.encode(),
    "binary": bytes(range(256)),
    "zeros": bytes(4_096),
    "a picture": PNG,
    "a list": b"[]",
    "null": b"null",
    "half a character": json.dumps({"operationId": ID, "prompt": "\ud800"}).encode(),
    "half a character in raw bytes": b'{"operationId": "' + ID.encode() + b'", "prompt": "\xed\xa0\x80"}',
    "NaN": json.dumps({"operationId": ID, "duration": float("nan")}).encode(),
    "infinity": json.dumps({"operationId": ID, "duration": -float("inf")}).encode(),
    "1e999": b'{"operationId": "' + ID.encode() + b'", "duration": 1e999}',
    "100,000 digits": b'{"operationId": "' + ID.encode() + b'", "duration": ' + b"9" * 100_000 + b"}",
    "deep lists": json.dumps({"operationId": ID, "x": nested("deep lists", 900)}).encode(),
    "deeper lists": b'{"operationId": "' + ID.encode() + b'", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"operationId": "' + ID.encode() + b'", "x": ' + b'{"a":' * 1_100 + b"1" + b"}" * 1_101,
    "deep mixture": b'{"operationId": "' + ID.encode() + b'", "x": ' + b'[{"a":' * 1_100 + b"1" + b"}]" * 1_100 + b"}",
    "5 MB": b'{"operationId": "' + ID.encode() + b'", "x": "' + b"x" * 5_000_000 + b'"}',
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_sidecar_is_told_of_and_holds_nobody_up(kind: str, store: Store) -> None:
    older, newer = "20240101000000_00000000", "20260101000000_00000000"
    for operation_id in (older, newer):
        store.save_operation_metadata(operation_id, {"error": "x"})
    plant(store, f"{ID}.json", DAMAGED[kind])
    plant(store, f"{ID}_out.png", PNG)
    before = tree(store.root, times=True)
    assert [sidecar["operationId"] for sidecar in store.list_operations()] == [newer, older]
    with pytest.raises(DamagedOperation, match=ID):
        store.get_operation_metadata(ID)
    assert [(problem.kind, problem.name, problem.operation_id) for problem in store.verify(deep=True)] == [
        ("unparsable", f"{ID}.json", ID)
    ]
    assert tree(store.root, times=True) == before


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text() | st.floats(), st.lists, max_leaves=5).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_as_a_sidecar_hold_nobody_up(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = fixed_store(tmp_path_factory.getbasetemp() / "any-bytes")
    if not store.operations.has(f"{LATER}.json"):
        store.save_operation_metadata(LATER, {"error": "x"})
    plant(store, f"{ID}.json", data)
    assert [sidecar["operationId"] for sidecar in store.list_operations()] == [LATER]
    assert [problem.name for problem in store.verify()] == [f"{ID}.json"]


# -- other programs ------------------------------------------------------------------------------------------------------

OTHERS = (
    *(".DS_Store", "Thumbs.db", "desktop.ini", "._" + ID + ".json", ".gitkeep", ".nfs0000000012", "~$notes.docx", "notes.txt"),
    *(
        f"{ID}.json~",
        f"{ID}.json.bak",
        f"{ID} (1).json",
        f"{ID}.JSON",
        f"{ID}_thumb.jpg",
        f"{ID}_in_1.jpg.part",
        f"{ID}_in_1.svg",
    ),
    *(
        f"{ID}_out_1.jpg",
        f"{ID}_in_01.jpg",
        "20251103143022_ABC123DE.json",
        "20251103143022_abc12.json",
        "x" * 255,
        "🦊.json",
        " ",
        "\n",
    ),
    *(b"\xff\xfe.json", b"\xe9t\xe9.jpg", f"{ID}.json\xff".encode("latin-1"), f"{ID}\n.json", f"２{ID[1:]}.json"),
)


def test_files_of_other_programs_are_left_alone(store: Store) -> None:
    store.save_complete_operation({"operationId": ID, "inputImages": [PNG], "outputs": PNG})
    for name in OTHERS:
        plant(store, name, b"theirs")
    for name in ("sub", ".Trash-1000", "20251103143022"):
        (store.operations.path / name).mkdir()
        (store.operations.path / name / f"{LATER}.json").write_bytes(b"{}")
    before = tree(store.root, times=True)
    assert [sidecar["operationId"] for sidecar in store.list_operations()] == [ID]
    assert store.verify(deep=True) == []
    assert tree(store.root, times=True) == before
    with pytest.raises(OperationNotFound):
        store.get_operation_metadata(LATER)


# -- planted things ------------------------------------------------------------------------------------------------------


def _link(path: Path, target: str) -> None:
    path.symlink_to(target)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(path.parent, os.O_RDONLY)  # a socket's own path has at most 107 bytes
        try:
            listener.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


PLANTED: Mapping[str, Callable[[Path], None]] = {
    "link to a file outside": lambda path: _link(path, "../../secret"),
    "link to an absolute path": lambda path: _link(path, str(path.parents[2] / "secret")),
    "link to another operation": lambda path: _link(path, f"{LATER}.json"),
    "link to nothing": lambda path: _link(path, "nowhere"),
    "link to itself": lambda path: _link(path, path.name),
    "link to a folder": lambda path: _link(path, "."),
    "pipe": lambda path: os.mkfifo(path),
    "socket": _socket,
    "folder": lambda path: path.mkdir(),
}


def in_time(act: Callable[[], None]) -> None:
    """Run something that may hang; after 10 seconds the test fails instead, and leaves the thread where it hangs."""
    result: Future[None] = Future()

    def run() -> None:
        try:
            act()
            result.set_result(None)
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    result.result(10)


@pytest.mark.parametrize("ending", [".json", "_in_1.png", "_out.png", ".json pending", ".lock"])
@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_not_a_plain_file_is_never_followed(kind: str, ending: str, tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    store.initialize_storage()
    (tmp_path / "secret").write_bytes(encode({"operationId": ID, "prompt": "secret"}))
    store.save_operation_metadata(LATER, {"error": "x"})
    folder = store.pending.path if "pending" in ending else store.operations.path
    name = f"{'.' if ending == '.lock' else ''}{ID}{ending.split()[0]}"
    PLANTED[kind](folder / name)
    before = tree(tmp_path, times=True)
    problems: list[Problem] = []

    def look() -> None:
        assert [sidecar["operationId"] for sidecar in store.list_operations()] == [LATER]
        problems.extend(store.verify(deep=True))
        if folder == store.operations.path and ending != ".lock":
            with pytest.raises(UnsafeFile):
                store.open_file(name)
            with pytest.raises(UnsafeFile):
                store.read_file(name)
        if ending == ".json":
            with pytest.raises(UnsafeFile):
                store.get_operation_metadata(ID)
            with pytest.raises(UnsafeFile):
                store.rewrite(ID, lambda sidecar: None)
            with pytest.raises(OperationExists):
                store.save_operation_metadata(ID, {})
            with pytest.raises(OperationExists):
                store.save_input_image(ID, PNG)

    in_time(look)
    wanted = {".json": "unsafe", ".json pending": "unsafe", ".lock": "leftover"}.get(ending, "orphan")
    if ending == ".lock" and not problems:  # a lock of this moment may be somebody's who is about to take it
        os.utime(folder / name, ns=(time.time_ns() - 10**10,) * 2, follow_symlinks=False)
        before = tree(tmp_path, times=True)
        in_time(look)
    assert [(problem.kind, problem.name, problem.operation_id) for problem in problems] == [(wanted, name, ID)]
    assert tree(tmp_path, times=True) == before


@pytest.mark.parametrize("kind", PLANTED)
def test_a_named_file_that_is_not_plain_is_unsafe(kind: str, tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    (tmp_path / "secret").write_bytes(b"secret")
    store.save_operation_metadata(LATER, {"error": "x"})
    store.save_complete_operation({"operationId": ID, "inputImages": [PNG], "outputs": PNG})
    (store.operations.path / f"{ID}_out.png").unlink()
    PLANTED[kind](store.operations.path / f"{ID}_out.png")
    before = tree(tmp_path)

    def look() -> None:
        assert len(store.list_operations()) == 2
        for deep in (False, True):
            assert store.verify(deep=deep) == [Problem("unsafe", f"{ID}_out.png", ID, "not a plain file")]
        with pytest.raises(UnsafeFile):
            store.read_file(f"{ID}_out.png")
        with pytest.raises(OperationExists):
            store.save_complete_operation({"operationId": ID, "inputImages": [PNG], "outputs": PNG})

    in_time(look)
    assert tree(tmp_path) == before


# -- many ----------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_newest_of_a_hundred_thousand_are_found(tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    folder = store.initialize_storage()
    dice = random.Random(7)
    count = 33_334
    ids = [f"2025{dice.randrange(10**10):010}_{dice.getrandbits(32):08x}"[: 21 + number % 3] for number in range(count)]
    newest = sorted({f"{name}.json" for name in ids}, reverse=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for operation_id in ids:
            for ending in (".json", "_in_1.jpg", "_out.jpg"):
                os.close(os.open(f"{operation_id}{ending}", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    finally:
        os.close(descriptor)
    for name in newest[:70]:
        (folder / name).write_bytes(encode({"operationId": name.removesuffix(".json")}))
    assert len(store.operations.names()) == 3 * len(newest)
    wanted = [name.removesuffix(".json") for name in newest[:70]]
    assert [sidecar["operationId"] for sidecar in store.list_operations(50)] == wanted[:50]
    page = store.iterate(before=wanted[9])
    assert [next(page)["operationId"] for _ in range(50)] == wanted[10:60]
