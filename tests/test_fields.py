"""The one table of fields: what follows from it is there, in search, facets, frame, exports and the documents."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path

import pytest

from opstore import Store
from opstore.analytics import documented, load_frame
from opstore.analytics.chart import Search
from opstore.analytics.columns import COLUMNS, FIELDS, NAMES
from opstore.analytics.frame_row import row_of
from opstore.analytics.selection import Selection
from opstore.cli import main
from opstore.errors import DamagedOperation
from opstore.exports.cells import csv_line
from opstore.exports.text_formats import Lines
from opstore.index import Index
from opstore.index.entry import KEPT, Named
from opstore.index.fields import SEARCHES, TABLE
from opstore.index.search_language import parse
from opstore.index.shown import shown_of
from opstore.index.terms import CALLED, Field
from opstore.storage.operation import Operation, decode
from tests.frame_twin import PLAIN
from tests.index_samples import plant
from tests.odd_samples import oddities
from tests.samples import ID, LATER

#: Who has which name: two share one, one has none, one has what is no name.
SAID = {"20251103143022_abc123d0": "Ada L", "20251103143022_abc123d1": "Ada L", "20251103143022_abc123d2": "bob"}
OTHERS = {"20251103143022_abc123d3": None, "20251103143022_abc123d4": 5}


@pytest.mark.parametrize(("name", "heading", "lines"), documented.TABLES)
def test_the_documents_have_the_tables(name: str, heading: str, lines: documented.Lines) -> None:
    page = (documented.DOCS / name).read_text("utf-8")
    assert documented.written(page, heading, lines()) == page, "run: python -m opstore.analytics.documented"


def test_no_two_entries_are_called_the_same() -> None:
    names = [field.name for field in TABLE]
    searches = [field.search.name for field in TABLE if field.search]
    columns = [field.column.name for field in TABLE if field.column]
    for found in (names, searches, columns, [*CALLED, *SEARCHES]):
        assert len(set(found)) == len(found)
    assert sorted(NAMES) == sorted(columns)


def test_every_example_asks_for_its_own_field() -> None:
    for name, search in SEARCHES.items():
        assert search.examples
        for example, _what in search.examples:
            root = parse(example).root
            assert isinstance(root, Field) and root.name == name


def test_what_code_names_is_kept_and_so_is_what_only_the_table_names() -> None:
    kept = [field.name for field in TABLE if field.kept]
    assert set(Named.__struct_fields__) - {"id", "prompt", "contents"} <= set(kept) == set(KEPT)


def test_what_is_kept_is_shown() -> None:
    elsewhere = {"currency": "with the cost", "seed": "among the parameters", "source": "a number that says nothing by itself"}
    assert {field.name for field in TABLE if field.kept and not field.shown} == set(elsewhere)
    assert len({field.shown.name for field in TABLE if field.shown}) == sum(field.shown is not None for field in TABLE)


def test_what_charts_are_grouped_by_can_be_asked_for() -> None:
    grouped = [column for column in COLUMNS if column.groups]
    assert [column.name for column in grouped] == ["operation_type", "model"]
    assert all(column.kind == "category" and column.name in FIELDS for column in grouped)


def test_fields_are_shown_in_order_whoever_wrote_the_sidecar() -> None:
    for oddity in oddities():
        with contextlib.suppress(DamagedOperation):
            operation = Operation.of(decode(oddity.sidecar or b"", oddity.id))
            names = [name for name, _how, _value in shown_of(operation, ("cost",), ("type",))]
            assert (names[0], names[-1]) == ("cost", "type") and sorted(names) == sorted(f.name for f in TABLE if f.shown)


def test_who_asked_and_which_kind_of_failure_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sidecar = {"operationId": LATER, "prompt": "x", "success": False, "error": "no", "errorKind": "weird", "createdBy": "Ada L"}
    plant(Store(tmp_path), sidecar)
    assert main(["show", LATER, "--data", str(tmp_path)]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (told["error"], told["errorKind"], told["createdBy"]) == ("no", "weird", "Ada L")


def test_a_star_alone_asks_every_field_of_names_whether_it_has_anything(tmp_path: Path) -> None:
    """Of two operations one says everything that can be named, the other as little as there is."""
    notes = {"tags": ["sea"], "note": "cover"}
    full = {"operationType": "odd", "model": "a/b", "provider": "p", "errorKind": "weird", "batchId": "b 1", "createdBy": "Ada"}
    plant(Store(tmp_path), {"operationId": LATER, "prompt": "x", "success": False, "error": "no", "annotations": notes, **full})
    plant(Store(tmp_path), {"operationId": ID, "success": True, "outputFile": f"{ID}_out.png"})
    index = Index(Store(tmp_path))
    index.update()
    always = {"type", "status"}
    for search in (search for search in SEARCHES.values() if search.values == "name"):
        both = {row.id for row in index.search(f"{search.name}:*").rows}
        assert both == ({ID, LATER} if search.name in always else {LATER}), search.name
        assert not index.search(f"-{search.name}:* id:{LATER}").rows
    index.stop()


@pytest.mark.parametrize("column", [column for column in FIELDS if column != "status"])
def test_whatever_is_charted_is_found_by_its_mark(column: str, tmp_path: Path) -> None:
    """Names that nobody here knows, that look like known ones, or that a search reads otherwise."""
    field = next(field for field in TABLE if field.column and field.column.name == column)
    key = {"type": "operationType", "error": "errorKind", "created_by": "createdBy"}.get(field.name, field.name)
    names = ("weird", "timeot", "nsfw", "a b", "star*", "*", "x,y", 'a "b" c', "or", "a:b", "(x)", "été", ">5", "--", "2..3")
    store = Store(tmp_path)
    for at, name in enumerate(names):
        sidecar = {"operationId": f"20251103143022_{at:08x}", "prompt": "x", "success": False, "error": "no", key: name}
        plant(store, sidecar)
    index = Index(store)
    index.update()
    chosen = Selection.of(load_frame(store))
    for name in chosen.base.codes(column)[1]:
        query = Search("x").named(chosen, column, name)
        found = {row.id for row in index.search(query or "nothing").rows}
        counted = chosen.base.frame["operation_id"][chosen.base.frame[column].astype(object) == name]
        assert query is not None and found == set(counted) and len(found) == 1, name
    index.stop()


@pytest.mark.parametrize("column", PLAIN)
def test_a_plain_name_is_found_counted_charted_and_exported(column: str, tmp_path: Path) -> None:
    key, field = PLAIN[column]
    store, sidecars = Store(tmp_path), {}
    for operation_id, value in {**SAID, **OTHERS}.items():
        sidecars[operation_id] = {"operationId": operation_id, "prompt": "x", "success": True, key: value}
        plant(store, sidecars[operation_id])
    index = Index(store)
    index.update()
    everything, ada, bob = set(sidecars), [name for name, value in SAID.items() if value == "Ada L"], "20251103143022_abc123d2"

    def found(text: str) -> set[str]:
        return {row.id for row in index.search(text).rows}

    assert found(f'{field}:"ada l"') == set(ada) if field != "batch" else found(f'{field}:"Ada L"') == set(ada)
    assert found(f"{field}:bob") == {bob} == found(f'{field}:bob -{field}:"Ada L"')
    assert found(f"-{field}:bob") == everything - {bob}
    assert found(f'{field}:bob,"Ada L"') == set(SAID)
    assert found(f"{field}:*") == set(SAID) and (field == "batch" or found(f"{field}:ad*") == set(ada))
    if SEARCHES[field].is_facet:
        assert index.facets()[field] == {"Ada L": 2, "bob": 1}
    index.stop()
    frame = load_frame(store).set_index("operation_id")[column].astype(object)
    assert {name: value for name, value in frame.items() if isinstance(value, str)} == SAID and frame.isna().sum() == len(OTHERS)
    lines = Lines()
    for operation_id in sidecars:
        lines.add(csv_line(row_of(sidecars[operation_id], operation_id)))
    rows = list(csv.DictReader(io.StringIO(lines.taken().decode())))
    assert {row["operation_id"]: row[column] for row in rows if row[column]} == SAID


@pytest.mark.parametrize(("marked", "is_one"), [(True, True), (False, False), (1, False), ("yes", False), (None, False)])
def test_a_favorite_is_what_is_marked_as_one(marked: object, is_one: bool, tmp_path: Path) -> None:
    store = Store(tmp_path)
    plant(store, {"operationId": next(iter(SAID)), "prompt": "x", "annotations": {"favorite": marked}})
    index = Index(store)
    index.update()
    assert bool(index.search("favorite:yes").rows) is is_one and bool(index.search("favorite:no").rows) is not is_one
