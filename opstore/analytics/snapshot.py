"""The rows of all operations as Arrow columns, newest first, and the file that keeps them: a cache that is never trusted.

The file is the checksum, then two Arrow streams: the rows, and the vocabulary that the words of prompts are numbers of. Columns
stand there as narrow as what is in them. A file that is missing, damaged or of another version counts as none. It is written
beside its place and moved there, so that processes that share it see one or the other, and one that reads keeps what it has open.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from opstore.analytics.columns import COLUMNS
from opstore.analytics.reading import SCHEMA as READ
from opstore.index.prompts import fold_word

NAME = "frame.arrow"
#: Raise this when the same columns come to hold something else.
_CONTENT = 6
_CATEGORY = pa.dictionary(pa.int32(), pa.string())
_CATEGORIES = {column.name for column in COLUMNS if column.kind == "category"}
#: The rows: read columns, categories as such, words as numbers in the vocabulary, and the number of the index's row.
SCHEMA = pa.schema(
    [
        *((field.name, _CATEGORY if field.name in _CATEGORIES else field.type) for field in READ if field.name != "words"),
        ("words", pa.list_(pa.int32())),
        ("at", pa.int64()),
    ]
)
VOCABULARY = pa.schema([("word", pa.large_string()), ("folded", pa.large_string())])
_MAGIC = b"opstore-frame-%08x\n" % (zlib.crc32(f"{_CONTENT}{SCHEMA}{VOCABULARY}".encode()))
_SUM = 4


@dataclass(frozen=True)
class Listing:
    """What the index has of every operation: its id, the number of its row, the stamp of its file."""

    ids: pa.Array
    at: pa.Array
    stamps: pa.Array

    @classmethod
    def of(cls, rows: Sequence[tuple[str, int, int]]) -> Listing:
        """Return the answer of `Index.listing`."""
        ids, at, stamps = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(pa.array(ids, pa.large_string()), pa.array(at, pa.int64()), pa.array(stamps, pa.int64()))


@dataclass(frozen=True)
class Snapshot:
    """All rows, newest first, as they were at `cursor` of the index's changes; `vocabulary` numbers the words."""

    cursor: str | None
    table: pa.Table
    vocabulary: pa.Table

    @classmethod
    def empty(cls) -> Snapshot:
        """Return one without rows."""
        return cls(None, SCHEMA.empty_table(), VOCABULARY.empty_table())

    @property
    def count(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    @classmethod
    def joined(cls, parts: Sequence[Snapshot]) -> Snapshot:
        """Return the rows of several, newest first; of an operation in more than one of them those of the first."""
        known: dict[str, int] = {}
        tables = []
        for part in parts:
            words = part.vocabulary["word"].to_pylist()
            numbers = np.array([known.setdefault(word, len(known)) for word in words], np.int32)
            lists = part.table["words"].combine_chunks()
            column = _lists(lists, numbers[lists.flatten().to_numpy()])
            tables.append(part.table.set_column(SCHEMA.get_field_index("words"), SCHEMA.field("words"), column))
        table = pa.concat_tables(tables).unify_dictionaries()
        order = pc.sort_indices(table["operation_id"], sort_keys=[("", "descending")])
        table = table.take(order).combine_chunks()
        ids = table["operation_id"]
        if table.num_rows > 1:
            is_first = pa.chunked_array([pa.array([True]), *pc.not_equal(ids[1:], ids[:-1]).chunks])
            table = table if pc.all(is_first).as_py() else table.filter(is_first).combine_chunks()
        return cls(None, table, _vocabulary(list(known)))

    def changed(self, read: pa.Table, without: Collection[str], places: Mapping[str, int], cursor: str) -> Snapshot:
        """Return a snapshot with the rows that were `read` in the place of those of the ids `without`."""
        vocabulary, fresh = self._prepared(read, places)
        kept = self._kept(without)
        if fresh.num_rows and kept.num_rows and fresh["operation_id"][-1].as_py() < kept["operation_id"][0].as_py():
            order = pc.sort_indices(pa.concat_tables([fresh, kept])["operation_id"], sort_keys=[("", "descending")])
            table = pa.concat_tables([fresh, kept]).unify_dictionaries().take(order)
        else:
            table = pa.concat_tables([fresh, kept]).unify_dictionaries()
        return Snapshot(cursor, table.combine_chunks(), vocabulary)

    def same(self, read: pa.Table, without: Collection[str]) -> bool:
        """Say whether these rows say what was known already, their stamps apart."""
        known = self.table.filter(pc.is_in(self.table["operation_id"], _ids(without))).select(_SAID)
        plain = [known[name].cast(READ.field(name).type) for name in _SAID]
        fresh = read.select(_SAID).sort_by([("operation_id", "descending")])
        return bool(pa.table(plain, names=_SAID).equals(fresh))

    def unlike(self, listing: Listing) -> tuple[list[str], list[str]]:
        """Return which operations of the index are not known, or by another stamp of their files, and which it has no more."""
        ids = self.table["operation_id"]
        known = self.table["stamp"].take(pc.index_in(listing.ids, ids))
        # A stamp of 0 says nothing: the file was that young.
        same = pc.and_(pc.fill_null(pc.equal(known, listing.stamps), False), pc.not_equal(listing.stamps, 0))
        gone = ids.filter(pc.invert(pc.is_in(ids, listing.ids)))
        return listing.ids.filter(pc.invert(same)).to_pylist(), gone.to_pylist()

    def moved(self, listing: Listing, cursor: str) -> Snapshot:
        """Return the same rows with the numbers that the index's rows have."""
        at = pc.fill_null(listing.at.take(pc.index_in(self.table["operation_id"], listing.ids)), -1)
        table = self.table.set_column(SCHEMA.get_field_index("at"), SCHEMA.field("at"), at)
        return replace(self, cursor=cursor, table=table)

    def _kept(self, without: Collection[str]) -> pa.Table:
        if not without or not self.count:
            return self.table
        gone = pc.is_in(self.table["operation_id"], _ids(without))
        return self.table.filter(pc.invert(gone)) if pc.any(gone).as_py() else self.table

    def _prepared(self, read: pa.Table, places: Mapping[str, int]) -> tuple[pa.Table, pa.Table]:
        """Return the vocabulary, longer by the words that are new, and the read rows as ours, newest first."""
        read = read.sort_by([("operation_id", "descending")]).combine_chunks()
        words: Any = read["words"].combine_chunks() if read.num_rows else pa.array([], READ.field("words").type)
        encoded = words.flatten().dictionary_encode()
        known = {word: number for number, word in enumerate(self.vocabulary["word"].to_pylist())}
        fresh = [word for word in encoded.dictionary.to_pylist() if word not in known]
        known |= {word: number for number, word in enumerate(fresh, len(known))}
        numbers = np.array([known[word] for word in encoded.dictionary.to_pylist()], np.int32)
        codes = numbers[encoded.indices.to_numpy(zero_copy_only=False)] if len(encoded) else np.array([], np.int32)
        lists = _lists(words, codes)
        at = pa.array([places.get(operation_id, -1) for operation_id in read["operation_id"].to_pylist()], pa.int64())
        columns = [
            lists if name == "words" else at if name == "at" else _coded(read[name], SCHEMA.field(name).type)
            for name in SCHEMA.names
        ]
        vocabulary = pa.concat_tables([self.vocabulary, _vocabulary(fresh)]).combine_chunks()
        return vocabulary, pa.table(columns, schema=SCHEMA)


_SAID = [field.name for field in READ if field.name not in ("words", "stamp")]


def _vocabulary(words: list[str]) -> pa.Table:
    folded = pa.array(map(fold_word, words), pa.large_string())
    return pa.table([pa.array(words, pa.large_string()), folded], schema=VOCABULARY)


def _lists(like: Any, numbers: Any) -> Any:
    """Return lists of these numbers, as many in each as another array of lists has."""
    offsets = np.asarray(like.offsets) - like.offsets[0].as_py() if len(like) else [0]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(numbers, pa.int32()))


def _coded(column: Any, kind: pa.DataType) -> Any:
    return column.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column


def _ids(ids: Collection[str]) -> pa.Array:
    return pa.array(list(ids), pa.large_string())


# -- the file ------------------------------------------------------------------------------------------------------------


def save(path: Path, snapshot: Snapshot, compression: str | None = None) -> None:
    """Write the file; raise OSError where the disk does not take it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temp, "wb") as file:
            file.write(_MAGIC + bytes(_SUM))
            sink = _Summed(file)
            metadata = {"cursor": snapshot.cursor or ""}
            options = pa.ipc.IpcWriteOptions(compression=compression)
            for table in (_narrow(snapshot.table).replace_schema_metadata(metadata), snapshot.vocabulary):
                with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema, options=options) as stream:
                    stream.write_table(table)
            file.seek(len(_MAGIC))
            file.write(sink.sum.to_bytes(_SUM))
        temp.replace(path)
    finally:
        temp.unlink(missing_ok=True)


def _narrow(table: pa.Table) -> pa.Table:
    """Return a table whose columns take no more room than what is in them: a third less in the layout of today."""
    columns = [_narrowed(column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _narrowed(column: Any) -> Any:
    if column.null_count == len(column):
        return pa.nulls(len(column))
    narrow = {pa.int64(): (pa.int8(), pa.int16(), pa.int32()), pa.large_string(): (pa.string(),)}
    for kind in narrow.get(column.type, ()):
        with contextlib.suppress(pa.ArrowInvalid):  # something does not fit
            return column.cast(kind)
    return column


def _wide(table: pa.Table) -> pa.Table:
    """Return what `_narrow` had."""
    pairs = zip(table.columns, SCHEMA, strict=True)
    return pa.table([column if column.type == field.type else _widened(column, field.type) for column, field in pairs], SCHEMA)


def _widened(column: Any, kind: pa.DataType) -> Any:
    return pa.nulls(len(column), kind) if pa.types.is_null(column.type) else column.cast(kind)


class _Summed:
    """A file that sums up what is written to it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.sum = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self.sum = zlib.crc32(data, self.sum)
        return int(self._file.write(data))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        pass


def is_there(path: Path) -> bool:
    """Say whether there seems to be a file that can be used, by its first bytes."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
    return False


def load(path: Path) -> Snapshot | None:
    """Return what the file keeps; None if there is none that can be used."""
    with contextlib.suppress(OSError, pa.ArrowException, ValueError, KeyError):
        with pa.memory_map(str(path)) as mapped:
            data = mapped.read_buffer()
        start = len(_MAGIC) + _SUM
        view = memoryview(data)
        if bytes(view[: len(_MAGIC)]) != _MAGIC or zlib.crc32(view[start:]).to_bytes(_SUM) != bytes(view[len(_MAGIC) : start]):
            return None
        source = pa.BufferReader(data.slice(start))
        table, vocabulary = (pa.ipc.open_stream(source).read_all().combine_chunks() for _ in range(2))
        cursor = (table.schema.metadata or {}).get(b"cursor", b"").decode()
        if table.column_names == SCHEMA.names and vocabulary.schema.equals(VOCABULARY):
            return Snapshot(cursor or None, _wide(table), vocabulary)
    return None
