"""The store's functions: what they write byte for byte, what they refuse, and that a repeat is the same act or no act at all."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from opstore import (
    InputTooLarge,
    InvalidFileName,
    InvalidInput,
    InvalidMetadata,
    InvalidOperationId,
    OperationNotFound,
    OpstoreError,
    StorageError,
    Store,
    TooManyInputs,
)
from opstore.errors import EmptyFile, FileMissing, InvalidSetting
from opstore.storage.operation import ADDED, SPECIFIED, decode
from opstore.storage.store import MAX_INPUT_BYTES
from tests import samples
from tests.samples import (
    EDIT,
    GIF,
    HOSTILE_IDS,
    ID,
    JPG,
    LATER,
    MP4,
    PNG,
    SHORT,
    UNSTORABLE,
    WEBP,
    annotate,
    fixed_store,
    plant,
    sidecar_file,
    tree,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fixed_store(tmp_path)


# -- what is written -----------------------------------------------------------------------------------------------------


def save_in_parts(store: Store) -> None:
    """Call the specification's functions one after the other, as its documents show them."""
    store.save_input_image(ID, PNG, 1)
    store.save_input_image(ID, GIF, 2)
    store.save_output_file(ID, MP4, "image_to_video_transition")
    metadata = {"operationType": "image_to_video_transition", "prompt": "fondu", "parameters": {"duration": 5}}
    store.save_operation_metadata(ID, metadata)


GOLDEN: Mapping[str, Callable[[Store], object]] = {
    "complete": lambda store: store.save_complete_operation(EDIT),
    "parts": save_in_parts,
    "failed": lambda store: store.save_complete_operation(
        {"operationId": ID, "operationType": "unknown", "prompt": "x", "parameters": {}, "inputImages": [], "error": "NSFW"}
    ),
    "chain": lambda store: store.save(
        ID, {"operationType": "edit_then_video", "prompt": "a"}, inputs=[JPG], outputs=[MP4], intermediate=PNG
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_sidecar_is_written_byte_for_byte_as_ever(name: str, store: Store) -> None:
    GOLDEN[name](store)
    data = (store.operations.path / f"{ID}.json").read_bytes()
    assert data.decode() == sidecar_file(f"{name}.json").decode()
    written = store.get_operation_metadata(ID)
    assert tuple(written)[: len(SPECIFIED) + len(ADDED)] == (*SPECIFIED, *ADDED)
    assert store.list_operations() == [written]
    assert store.verify(deep=True) == []


def test_the_functions_are_the_specifications() -> None:
    wanted = {
        "initialize_storage": [],
        "save_input_image": ["operation_id", "data", "index"],
        "save_output_file": ["operation_id", "data", "operation_type", "index"],
        "save_operation_metadata": ["operation_id", "metadata"],
        "save_complete_operation": ["operation"],
        "list_operations": ["limit"],
        "get_operation_metadata": ["operation_id"],
    }
    assert {name: list(inspect.signature(getattr(Store, name)).parameters)[1:] for name in wanted} == wanted
    defaults = {name: inspect.signature(getattr(Store, name)).parameters for name in wanted}
    assert (defaults["save_input_image"]["index"].default, defaults["list_operations"]["limit"].default) == (1, 50)


def test_parts_return_their_paths_and_keep_every_byte(store: Store) -> None:
    views: tuple[Any, Any] = bytearray(b"no media"), memoryview(b"no media")
    folder = store.initialize_storage()
    assert folder == store.root / "operations"
    assert {path.name for path in store.root.iterdir()} == {
        "operations",
        "pending",
        "branches",
        "trash",
        "shares",
        "reviews",
        "cache",
    }
    assert store.save_input_image(ID, PNG) == folder / f"{ID}_in_1.png"
    assert store.save_input_image(ID, views[0], 2) == folder / f"{ID}_in_2.jpg"
    assert store.save_output_file(ID, views[1], "text_to_video") == folder / f"{ID}_out.mp4"
    assert store.save_output_file(ID, WEBP, "text_to_video", 2) == folder / f"{ID}_out_2.webp"
    assert store.save_operation_metadata(ID, {"operationType": "x"}) == folder / f"{ID}.json"
    wanted = {f"{ID}_in_1.png": PNG, f"{ID}_in_2.jpg": b"no media", f"{ID}_out.mp4": b"no media", f"{ID}_out_2.webp": WEBP}
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"} == wanted
    assert {name: store.read_file(name) for name in wanted} == wanted
    sidecar = store.get_operation_metadata(ID)
    assert sidecar["inputFiles"] == [f"{ID}_in_1.png", f"{ID}_in_2.jpg"]
    assert (sidecar["outputFile"], sidecar["inputCount"]) == (f"{ID}_out.mp4", 2)
    assert [entry["name"] for entry in sidecar["files"]] == sorted(wanted)


def test_a_complete_save_returns_what_the_specification_says(store: Store) -> None:
    assert store.save_complete_operation(EDIT) == {
        "operationId": ID,
        "success": True,
        "inputFiles": [f"{ID}_in_1.jpg", f"{ID}_in_2.png"],
        "outputFile": f"{ID}_out.webp",
        "metadataFile": f"{ID}.json",
    }
    new = store.save_complete_operation({"operationType": "text_to_image", "prompt": "p", "outputs": [PNG, GIF]})
    assert new["operationId"].startswith("20251103143022_")
    assert new["outputFile"] == f"{new['operationId']}_out.png"
    assert len(store.list_operations()) == 2


def test_a_data_uri_is_the_result_itself(store: Store) -> None:
    uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
    for _ in range(2):
        store.save_complete_operation({"operationId": ID, "operationType": "text_to_image", "prompt": "p", "resultUrl": uri})
    sidecar = store.get_operation_metadata(ID)
    assert (sidecar["resultUrl"], sidecar["outputFile"], sidecar["success"]) == (None, f"{ID}_out.png", True)
    assert store.read_file(f"{ID}_out.png") == PNG
    store.save_complete_operation({"operationId": LATER, "resultUrl": uri, "outputs": WEBP})
    assert store.read_file(f"{LATER}_out.webp") == WEBP, "a result that is at hand is not replaced by another"


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://127.0.0.1/x", "https://127.0.0.1/x", "file:///etc/passwd", "data:,", "data:x"]
)
def test_a_result_that_cannot_be_had_is_a_failed_operation(url: str, store: Store) -> None:
    receipts = [store.save_complete_operation({**EDIT, "outputs": None, "resultUrl": url}) for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert (receipts[0]["success"], receipts[0]["outputFile"]) == (False, None)
    sidecar = store.get_operation_metadata(ID)
    assert (sidecar["success"], sidecar["status"]) == (False, "failed")
    assert sidecar["error"]
    assert store.read_file(f"{ID}_in_2.png") == PNG
    assert store.verify(deep=True) == []


def test_what_lies_in_the_folder_wins_over_what_is_said_of_it(store: Store) -> None:
    habit = {"inputFiles": [f"{ID}_in_1.jpg", f"{ID}_in_2.jpg"], "inputCount": 2, "outputFile": f"{ID}_out.jpg"}
    for _ in range(2):
        receipt = store.save_complete_operation({**EDIT, **habit})
        assert receipt["inputFiles"] == [f"{ID}_in_1.jpg", f"{ID}_in_2.png"]
        assert receipt["outputFile"] == f"{ID}_out.webp"
    assert store.verify(deep=True) == []


def test_names_without_files_are_taken_as_they_are_given(store: Store) -> None:
    given = decode(sidecar_file("specification.json"), SHORT)
    store.save_operation_metadata(SHORT, given)
    stored = store.get_operation_metadata(SHORT)
    assert {key: stored[key] for key in given} == given


# -- rewriting -----------------------------------------------------------------------------------------------------------


def test_unknown_keys_survive_a_rewrite_in_place(store: Store) -> None:
    before = sidecar_file("stranger.json")
    plant(store, f"{ID}.json", before)
    store.rewrite(ID, lambda sidecar: None)
    assert (store.operations.path / f"{ID}.json").read_bytes() == before, "nothing changed, nothing moved"
    store.rewrite(ID, annotate)
    after = (store.operations.path / f"{ID}.json").read_bytes()
    assert after.decode() == sidecar_file("stranger_annotated.json").decode()
    gone, come = (set(one.splitlines()) - set(other.splitlines()) for one, other in ((before, after), (after, before)))
    assert gone == {b'      "kept"', b'    "favorite": false'}
    assert come == {b'      "kept",', b'      "vu"', b'    "favorite": true'}


def test_a_rewrite_that_cannot_be_stored_changes_nothing(store: Store) -> None:
    store.save_complete_operation(EDIT)
    before = tree(store.root, times=True)
    for change in (
        lambda sidecar: sidecar.update(operationId=LATER),
        lambda sidecar: sidecar.pop("operationId"),
        lambda sidecar: sidecar.update(x=float("nan")),
        lambda sidecar: sidecar.update(note="x" * 5_000_000),
    ):
        with pytest.raises(InvalidMetadata):
            store.rewrite(ID, change)
    with pytest.raises(OperationNotFound):
        store.rewrite(LATER, lambda sidecar: None)
    assert tree(store.root, times=True) == before


# -- what is refused -----------------------------------------------------------------------------------------------------

PUBLIC: Mapping[str, Callable[[Store, Any], object] | None] = {
    "initialize_storage": None,
    "list_operations": None,
    "verify": None,
    "open_file": None,
    "read_file": None,
    "is_kept": None,
    "save_input_image": lambda store, value: store.save_input_image(value, PNG),
    "save_output_file": lambda store, value: store.save_output_file(value, PNG, "text_to_image"),
    "save_operation_metadata": lambda store, value: store.save_operation_metadata(value, {"prompt": "x"}),
    "save_complete_operation": lambda store, value: store.save_complete_operation({**EDIT, "operationId": value}),
    "save": lambda store, value: store.save(value, {"prompt": "x"}, inputs=[PNG], outputs=[PNG]),
    "rewrite": lambda store, value: store.rewrite(value, lambda sidecar: None),
    "iterate": lambda store, value: list(store.iterate(before=value)),
    "get_operation_metadata": lambda store, value: store.get_operation_metadata(value),
    "media_names": lambda store, value: store.media_names(value),
    "changed": lambda store, value: store.changed(value),
}
#: Here no id means: a new one, or from the newest on.
NONE_IS_FINE = ("save_complete_operation", "iterate")


def test_every_public_function_is_in_the_table() -> None:
    assert {name for name in dir(Store) if not name.startswith("_")} == set(PUBLIC)


@pytest.mark.parametrize("function", [name for name, call in PUBLIC.items() if call])
def test_hostile_ids_are_refused_and_nothing_appears_anywhere(function: str, tmp_path: Path) -> None:
    call = PUBLIC[function]
    assert call
    store = fixed_store(tmp_path / "deep" / "down")
    for made in (False, True):
        if made:
            store.save_complete_operation({**EDIT, "operationId": LATER})
        before = tree(tmp_path, times=True)
        for value in HOSTILE_IDS:
            if value is None and function in NONE_IS_FINE:
                continue
            with pytest.raises(InvalidOperationId):
                call(store, value)
        assert tree(tmp_path, times=True) == before


@pytest.mark.parametrize("value", samples.HOSTILE_NAMES, ids=lambda value: type(value).__name__)
def test_hostile_names_are_not_opened(value: Any, store: Store) -> None:
    for function in (store.open_file, store.read_file, store.is_kept):
        with pytest.raises(InvalidFileName):
            function(value)


def test_a_sly_id_is_what_it_holds(store: Store) -> None:
    store.save_complete_operation({**EDIT, "operationId": samples.Sly(ID)})
    store.rewrite(samples.Sly(ID), lambda sidecar: None)
    assert store.read_file(samples.Sly(f"{ID}_out.webp")) == WEBP
    assert {path.name.split(".")[0][:23] for path in store.operations.path.iterdir()} == {ID}
    assert {path.name for path in store.root.parent.iterdir()} == {"data"}


FOREIGN: Mapping[str, Any] = {
    "inputFiles": [["../../etc/passwd"], [f"/tmp/{ID}_in_1.jpg"], [f"{LATER}_in_1.jpg"], [f"{ID}.json"], [".."], [None], [5]],
    "outputFile": ["../../etc/passwd", f"/tmp/{ID}_out.jpg", f"{LATER}_out.jpg", f"{ID}.json", "..", "", f"{ID}_out.jpg\n", 5],
    "operationId": [LATER, f"../{ID}", f"{ID}\n", 5, "", []],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in FOREIGN.items() for value in values], ids=str)
def test_metadata_that_points_elsewhere_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    with pytest.raises(InvalidMetadata):
        store.save_operation_metadata(ID, {key: value})
    with pytest.raises(InvalidMetadata):
        store.save(ID, {key: value}, inputs=[PNG], outputs=[PNG])
    if key != "operationId":
        with pytest.raises(InvalidMetadata):
            store.save_complete_operation({**EDIT, key: value})
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("kind", UNSTORABLE)
def test_what_json_cannot_hold_is_refused_before_anything_is_written(kind: str, tmp_path: Path) -> None:
    value, word = samples.unstorable(kind)
    store = fixed_store(tmp_path)
    for metadata in ({"x": value}, {"parameters": {"x": value}}):
        with pytest.raises(InvalidMetadata, match=word):
            store.save_operation_metadata(ID, metadata)
        with pytest.raises(InvalidMetadata, match=word):
            store.save_complete_operation({**EDIT, **metadata})
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", EmptyFile), (bytearray(), EmptyFile), (b"x" * (MAX_INPUT_BYTES + 1), InputTooLarge)]
    + [(value, InvalidMetadata) for value in (None, 5, "text", [], [PNG], {}, object(), Path("x"), True)],
    ids=lambda value: type(value).__name__,
)
def test_inputs_are_bytes_of_at_most_ten_megabytes(data: Any, error: type[OpstoreError], tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    with pytest.raises(error):
        store.save_input_image(ID, data)
    with pytest.raises(error):
        store.save_complete_operation({**EDIT, "inputImages": [PNG, data]})
    if error is not InputTooLarge:
        with pytest.raises(error):
            store.save_output_file(ID, data, "text_to_image")
        with pytest.raises(error):
            store.save_complete_operation({**EDIT, "outputs": [data]})
    assert tree(tmp_path) == {}


def test_ten_megabytes_are_accepted_to_the_byte(store: Store) -> None:
    store.save_input_image(ID, b"x" * MAX_INPUT_BYTES)
    assert store.operations.size(f"{ID}_in_1.jpg") == MAX_INPUT_BYTES


def test_views_of_memory_are_read_whole_or_refused(store: Store) -> None:
    views: list[Any] = [memoryview(ctypes.c_int32(1)), memoryview(b"12345678").cast("I"), memoryview(b"12345678")[::2]]
    sizes = [store.save_input_image(ID, view, number).stat().st_size for number, view in enumerate(views, 1)]
    assert sizes == [4, 8, 4], "one without dimensions, one of numbers, one with gaps"
    released: Any = memoryview(b"gone")
    released.release()
    with pytest.raises(InvalidMetadata):
        store.save_input_image(ID, released, 4)
    with pytest.raises(InvalidMetadata):
        store.save_complete_operation({"operationId": LATER, "outputs": released})


def test_eleven_inputs_are_too_many(tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    with pytest.raises(TooManyInputs, match="images: 11 given"):
        store.save_complete_operation({"operationId": ID, "inputImages": [PNG] * 11})
    assert tree(tmp_path) == {}
    store.save_complete_operation({"operationId": ID, "inputImages": [PNG] * 10, "error": "x"})
    assert store.get_operation_metadata(ID)["inputFiles"] == [f"{ID}_in_{number}.png" for number in range(1, 11)]


@pytest.mark.parametrize(
    "index",
    [0, -1, 10_000, 10**5_000, True, 1.0, "1", None, [], "../1", float("nan")],
    ids=lambda value: ascii(value)[:9] if not isinstance(value, int) else str(value % 10**9),
)
def test_numbers_out_of_range_are_refused(index: Any, tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    with pytest.raises(InvalidInput):
        store.save_input_image(ID, PNG, index)
    with pytest.raises(InvalidInput):
        store.save_output_file(ID, PNG, "text_to_image", index)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("value", [None, 5, [], {}, b"text_to_image", object()], ids=lambda value: type(value).__name__)
def test_an_operation_type_is_text(value: Any, tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    for data in (PNG, b"no media"):
        with pytest.raises(InvalidMetadata):
            store.save_output_file(ID, data, value)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    "limit", [-1, -(10**5_000), True, 1.0, "5", None, [], float("inf")], ids=lambda value: type(value).__name__
)
def test_a_limit_is_a_whole_number(limit: Any, store: Store) -> None:
    with pytest.raises(InvalidMetadata):
        store.list_operations(limit)


@pytest.mark.parametrize("root", ["a\0b", "\ud800", b"data", 5, None, [], object()], ids=lambda value: type(value).__name__)
def test_a_root_is_a_path(root: Any) -> None:
    with pytest.raises(InvalidSetting):
        Store(root)


@pytest.mark.parametrize("root", ["x" * 300, "x/" * 3_000, "file/data", "/dev/null/data", "/proc/opstore"])
def test_a_folder_that_cannot_be_is_a_storage_error(root: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / root)
    before = tree(tmp_path)
    for act in (store.initialize_storage, lambda: store.save_complete_operation(EDIT), lambda: store.save_input_image(ID, PNG)):
        with pytest.raises(StorageError, match="Nothing was half saved"):
            act()
    assert tree(tmp_path) == before
    with contextlib.suppress(StorageError):
        assert store.list_operations() == []
    with contextlib.suppress(StorageError):
        assert store.verify() == []


def test_errors_cross_process_borders(store: Store) -> None:
    with pytest.raises(OperationNotFound) as caught:
        store.get_operation_metadata(ID)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 # its own bytes
    assert (type(again), str(again), again.details) == (OperationNotFound, str(caught.value), {"operation_id": ID})


# -- reading -------------------------------------------------------------------------------------------------------------


def test_the_newest_come_first_in_pages(store: Store) -> None:
    ids = [f"202511031430{second:02}_{'abcdef01'[: 6 + second % 3]}" for second in range(30)]
    for operation_id in [*ids[::2], *ids[1::2]]:
        store.save_operation_metadata(operation_id, {"error": "x"})
    newest = sorted(ids, reverse=True)
    for limit in (0, 1, 7, 30, 31, sys.maxsize, sys.maxsize + 1, 10**5_000):
        assert [sidecar["operationId"] for sidecar in store.list_operations(limit)] == newest[: min(limit, 99)]
    for hint in (0, 1, 10, 100):
        assert [sidecar["operationId"] for sidecar in store.iterate(hint=hint)] == newest
        assert [sidecar["operationId"] for sidecar in store.iterate(before=newest[4], hint=hint)] == newest[5:]
    assert list(store.iterate(before=newest[-1])) == []


def test_a_page_is_full_though_newer_ones_are_damaged(store: Store) -> None:
    for second in range(20):
        operation_id = f"202511031430{second:02}_abc123de"
        store.save_operation_metadata(operation_id, {"error": "x"})
        if second >= 10:
            plant(store, f"{operation_id}.json", b"{")
    assert len(store.list_operations(5)) == 5
    assert store.list_operations(5)[0]["operationId"] == "20251103143009_abc123de"
    assert len(store.list_operations(50)) == 10


def test_an_empty_store_is_empty(tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    assert (store.list_operations(), list(store.iterate()), store.verify(deep=True)) == ([], [], [])
    for act in (lambda: store.get_operation_metadata(ID), lambda: store.read_file(f"{ID}_out.jpg")):
        with pytest.raises(OperationNotFound):
            act()
    with pytest.raises(FileMissing):
        store.open_file(f"{ID}.json")
    assert tree(tmp_path) == {}, "reading makes no folders"
