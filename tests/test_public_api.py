"""What other programs rely on: the names that `opstore` exports, and what docs/format.md says of the files."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import opstore
from opstore import OPERATION_TYPES, Store
from opstore.storage import files, names
from opstore.storage.operation import ADDED, MAX_DEPTH, MAX_SIDECAR_BYTES, SCHEMA, SPECIFIED, decode, encode
from tests.samples import ID, PNG, WEBP, fixed_store

FORMAT = (Path(__file__).parents[1] / "docs/format.md").read_text("utf-8")
#: Promised to other programs: never fewer than these.
PROMISED = {
    *("generate_operation_id", "Store", "open_store", "Operation", "OperationType", "OPERATION_TYPES", "Problem", "OpstoreError"),
    *("OperationNotFound", "InvalidOperationId", "InputTooLarge", "StorageError", "OperationExists", "InvalidInput"),
}


# -- names ---------------------------------------------------------------------------------------------------------------


def test_all_is_sorted_and_complete() -> None:
    exported = opstore.__all__
    assert exported == sorted(set(exported), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    here = {name for name, value in vars(opstore).items() if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert here - {"annotations", "TYPE_CHECKING", "Any"} == set(exported) - {"open_store"}
    assert set(exported) >= PROMISED


@pytest.mark.parametrize("name", opstore.__all__)
def test_each_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(opstore, name)
    assert name == "OPERATION_TYPES" or inspect.getdoc(value)
    assert name == "OPERATION_TYPES" or value.__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        opstore.nothing  # noqa: B018 # the look-up is the test
    assert re.fullmatch(r"\d+\.\d+\.\d+", opstore.__version__)


def test_a_store_opens_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSTORE_DATA", str(tmp_path / "elsewhere"))
    store = opstore.open_store()
    assert isinstance(store, Store)
    assert store.root == tmp_path / "elsewhere"
    assert store.operations.path.is_dir()


# -- the format ----------------------------------------------------------------------------------------------------------


def table(head: str) -> dict[str, list[str]]:
    """Return the rows of the table of docs/format.md whose first column is `head`: code in the first cell → the other cells."""
    found: dict[str, list[str]] = {}
    for block in re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", FORMAT, re.MULTILINE):
        for row in block.splitlines():
            first, *others = (cell.strip() for cell in row.strip("|").split("|"))
            found |= {name: others for name in re.findall(r"`([^`]+)`", first)}
    return found


def example() -> dict[str, Any]:
    """Return the sidecar that docs/format.md shows."""
    found = re.search(r"```json\n(.*?)```", FORMAT, re.DOTALL)
    assert found
    return decode(found[1].encode(), ID)


def test_the_documented_keys_are_those_of_the_code() -> None:
    assert tuple(table("key")) == (*SPECIFIED, *ADDED)
    assert all(cells[0] for cells in table("key").values()), "each has a type"


def test_the_documented_types_are_those_that_are_written(tmp_path: Path) -> None:
    kinds: dict[str, Any] = {"text": str, "number": int | float, "object": dict, "true or false": bool, "null": type(None)}
    store = fixed_store(tmp_path)
    store.save_complete_operation({"operationId": ID, "inputImages": [PNG], "outputs": WEBP})
    for sidecar in (store.get_operation_metadata(ID), example()):
        for rows, value in (("key", sidecar), *(("key of a file", entry) for entry in sidecar["files"])):
            documented = table(rows)
            assert list(value) == list(documented)
            for key, (kind, _) in documented.items():
                allowed: list[Any] = [
                    list if part.startswith("list") else kinds[part]
                    for part in kind.split(" or ")
                    if part not in ("true", "false")
                ]
                allowed += [bool] if "true or false" in kind else []
                assert any(isinstance(value[key], one) for one in allowed), key


def test_the_documented_folders_are_those_that_are_made(tmp_path: Path) -> None:
    store = fixed_store(tmp_path)
    store.initialize_storage()
    assert {f"{path.name}/" for path in store.root.iterdir()} == table("path below the data folder").keys()


def test_the_documented_names_are_those_of_the_grammar() -> None:
    documented = table("name")
    for name in documented:
        number = 2 if "_out" in name else 1
        for extension in names.EXTENSIONS:
            assert names.parse_name(name.format(id=ID, n=number, ext=extension)), name
    built = {
        names.sidecar_name(ID),
        names.input_name(ID, 1, "jpg"),
        names.output_name(ID, 1, "jpg"),
        names.output_name(ID, 2, "jpg"),
    }
    assert built | {f"{ID}_in.jpg"} == {name.format(id=ID, n=2 if "_out" in name else 1, ext="jpg") for name in documented}
    line = next(line for line in FORMAT.splitlines() if line.startswith("- `{ext}`"))
    assert set(re.findall(r"`([a-z0-9]+)`", line)) == set(names.EXTENSIONS)


def test_the_documented_pattern_is_the_one_that_is_used() -> None:
    (pattern,) = re.findall(r"`(\\A[^`]+\\Z)`", FORMAT)
    for value in (
        ID,
        ID[:-1],
        ID[:-2],
        ID[:-3],
        f"{ID}0",
        ID.upper(),
        f"{ID}\n",
        f"２{ID[1:]}",
        "",
        "x",
        "99999999999999_000000",
    ):
        assert bool(re.search(pattern, value)) is names.is_operation_id(value)


def test_the_documented_types_and_limits_are_the_codes() -> None:
    assert set(re.findall(r"`(\w+)`", table("key")["operationType"][1])) == set(OPERATION_TYPES)
    assert table("key")["schema"][1] == f"`{SCHEMA}`"
    assert f"at most {MAX_DEPTH} levels" in FORMAT
    assert f"{MAX_SIDECAR_BYTES:,} bytes" in FORMAT
    for name in (f".{ID}.json.0a1b2c3d.tmp", f".{ID}.lock"):
        assert files.leftover_of(name) == ID


def test_the_example_is_one_and_is_written_as_the_store_writes() -> None:
    sidecar = example()
    assert tuple(sidecar) == (*SPECIFIED, *ADDED)
    assert encode(sidecar).decode() in f"{FORMAT.split('```json')[1].split('```')[0].lstrip()}"
    assert json.dumps(sidecar["annotations"], sort_keys=True) == '{"favorite": false, "note": "", "rating": null, "tags": []}'
    assert f"`{sidecar['inputFiles'][0]}`" in FORMAT
    assert f"`{sidecar['outputFile']}`" in FORMAT
