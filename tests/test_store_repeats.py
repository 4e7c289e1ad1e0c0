"""A save done again: the same content is the same act, other content is refused, and nothing changes either way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opstore import OperationExists, Store
from opstore.errors import DamagedOperation
from tests.samples import EDIT, GIF, ID, JPG, LATER, MP4, PNG, WEBP, annotate, fixed_store, plant, sidecar_file, tree


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fixed_store(tmp_path)


CHAIN: Mapping[str, Any] = {"operationId": ID, "operationType": "edit_then_video", "prompt": "p", "inputImages": [PNG]}
REPEATED: Mapping[str, tuple[Mapping[str, Any], list[dict[str, Any]]]] = {
    "edit": (
        EDIT,
        [
            *({"prompt": "other"}, {"parameters": {}}, {"operationType": "image_edit_single"}, {"origin": None}, {"new": 1}),
            *({"inputImages": [PNG, JPG]}, {"inputImages": [JPG]}, {"inputImages": [JPG, WEBP]}),
            *({"outputs": PNG}, {"outputs": [WEBP, WEBP]}, {"resultUrl": "https://x.invalid/"}),
            *({"workflowAnalysis": None}, {"error": "x"}, {"success": False}),
        ],
    ),
    "chain as one list": (
        {**CHAIN, "outputs": [PNG, MP4]},
        [{"outputs": [MP4]}, {"outputs": [JPG, MP4]}, {"outputs": [MP4, PNG]}],
    ),
    "failed chain": ({**CHAIN, "outputs": [PNG], "error": "step 2"}, [{"outputs": [JPG]}, {"error": None}, {"error": "step 1"}]),
    "failed": ({"operationId": ID, "error": "x"}, [{"error": "y"}, {"outputs": PNG}, {"inputImages": [PNG]}, {"prompt": "p"}]),
    "nothing": ({"operationId": ID}, [{"prompt": "p"}, {"error": "y"}, {"parameters": {"a": 1}}]),
}


@pytest.mark.parametrize("name", REPEATED)
def test_the_same_again_succeeds_and_other_content_changes_nothing(name: str, store: Store) -> None:
    operation, others = REPEATED[name]
    first = store.save_complete_operation(operation)
    before = tree(store.root, times=True)
    assert store.save_complete_operation(operation) == first
    assert store.save_complete_operation(dict(reversed(list(operation.items())))) == first
    for other in others:
        with pytest.raises(OperationExists, match=ID):
            store.save_complete_operation({**operation, **other})
    with pytest.raises(OperationExists):
        store.save_operation_metadata(ID, {"prompt": "other"})
    assert _without_folders(tree(store.root, times=True)) == _without_folders(before)


def _without_folders(found: Mapping[str, object]) -> dict[str, object]:
    """Leave out folders: a temp name that came and went changes their time."""
    return {name: entry for name, entry in found.items() if "." in name}


def test_a_repeat_after_tags_were_added_succeeds_and_keeps_them(store: Store) -> None:
    first = store.save_complete_operation(EDIT)
    store.rewrite(ID, annotate)
    assert store.save_complete_operation(EDIT) == first
    assert store.get_operation_metadata(ID)["annotations"]["tags"] == ["vu"]


def test_a_part_can_be_repeated_and_not_replaced(store: Store) -> None:
    for data in (PNG, PNG):
        store.save_input_image(ID, data, 1)
        store.save_output_file(ID, data, "edit_then_video")
    store.save_output_file(ID, MP4, "edit_then_video")
    before = tree(store.root)
    with pytest.raises(OperationExists):
        store.save_input_image(ID, MP4, 1)
    for data in (JPG, PNG + b"x", PNG[:-1], WEBP, b"no media"):
        with pytest.raises(OperationExists):
            store.save_input_image(ID, data, 1)
        with pytest.raises(OperationExists):
            store.save_output_file(ID, data, "text_to_image")
    with pytest.raises(OperationExists):
        store.save_output_file(ID, MP4 + b"x", "edit_then_video")
    with pytest.raises(OperationExists):
        store.save_complete_operation({**EDIT, "inputImages": [JPG, PNG]})
    assert tree(store.root) == before


def test_a_save_that_was_cut_short_is_taken_up(store: Store) -> None:
    store.save_input_image(ID, JPG, 1)
    store.save_input_image(ID, PNG, 2)
    assert store.list_operations() == []
    assert {problem.kind for problem in store.verify()} == {"orphan"}
    store.save_output_file(ID, WEBP, "image_edit_multiple")
    receipts = [store.save_complete_operation(EDIT) for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert (store.operations.path / f"{ID}.json").read_bytes() == sidecar_file("complete.json")
    assert store.verify(deep=True) == []


def test_files_of_another_attempt_are_not_taken_in(store: Store) -> None:
    store.save_input_image(ID, GIF, 3)
    before = tree(store.root)
    with pytest.raises(OperationExists):
        store.save_complete_operation(EDIT)
    assert tree(store.root) == before
    store.save_output_file(LATER, WEBP, "x", 1)
    store.save_output_file(LATER, PNG, "x", 2)
    with pytest.raises(OperationExists):
        store.save_complete_operation({**EDIT, "operationId": LATER})


def test_metadata_can_be_repeated_and_not_replaced(store: Store) -> None:
    path = store.save_operation_metadata(ID, {"prompt": "p", "x": {"a": 1}})
    before = path.read_bytes()
    assert store.save_operation_metadata(ID, {"x": {"a": 1}, "prompt": "p"}) == path
    for other in (
        {"prompt": "q", "x": {"a": 1}},
        {"prompt": "p", "x": {"a": 2}},
        {"x": {"a": 1}},
        {"prompt": "p", "outputFile": f"{ID}_out.jpg"},
    ):
        with pytest.raises(OperationExists):
            store.save_operation_metadata(ID, other)
    assert path.read_bytes() == before


def test_a_whole_operation_takes_no_more_files_but_those_it_names(store: Store) -> None:
    store.save_complete_operation(EDIT)
    before = tree(store.root)
    with pytest.raises(OperationExists):
        store.save_input_image(ID, PNG, 3)
    with pytest.raises(OperationExists):
        store.save_output_file(ID, PNG, "text_to_image", 2)
    assert store.save_input_image(ID, JPG, 1).name == f"{ID}_in_1.jpg"
    (store.operations.path / f"{ID}_in_2.png").unlink()
    with pytest.raises(OperationExists):
        store.save_input_image(ID, PNG + b"x", 2)
    with pytest.raises(OperationExists):
        store.save_complete_operation(EDIT)
    store.save_input_image(ID, PNG, 2)
    assert tree(store.root) == before, "a lost file was brought back, and nothing else was let in"
    assert store.verify(deep=True) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"operationId": "x"}'])
def test_a_damaged_sidecar_is_never_written_over(data: bytes, store: Store) -> None:
    path = plant(store, f"{ID}.json", data)
    for act in (
        lambda: store.save_complete_operation(EDIT),
        lambda: store.save_operation_metadata(ID, {}),
        lambda: store.save_input_image(ID, PNG),
    ):
        with pytest.raises(OperationExists):
            act()
    with pytest.raises(DamagedOperation):
        store.rewrite(ID, lambda sidecar: None)
    assert [found.name for found in store.operations.path.iterdir()] == [path.name]
    assert path.read_bytes() == data


def test_listeners_hear_of_every_write(store: Store) -> None:
    heard: list[str] = []
    store.listeners.append(heard.append)
    store.save_input_image(ID, JPG)
    store.save_complete_operation(EDIT)
    store.save_operation_metadata(LATER, {})
    store.rewrite(ID, annotate)
    with pytest.raises(OperationExists):
        store.save_operation_metadata(LATER, {"prompt": "other"})
    assert heard == [ID, LATER, ID]
