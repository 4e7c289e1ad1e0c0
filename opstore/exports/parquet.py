"""Parquet: the frame's columns with their types, a group of rows at a time; pandas reads it back as `load_frame` returns it."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from opstore.analytics.columns import COLUMNS
from opstore.exports.work import Sink, Work

#: Rows of a group: about 10 MB of Python objects at a time.
GROUP = 10_000
_TYPES: dict[str, Any] = {
    "text": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
    "moment": pa.timestamp("us", "UTC"),
    "flag": pa.bool_(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "texts": pa.list_(pa.string()),
}


@cache
def schema() -> Any:
    """Return the Arrow schema, with what pandas must know to give back the frame's own types."""
    import pandas as pd

    plain = pa.schema([(column.name, _TYPES[column.kind]) for column in COLUMNS])
    # Lists as plain objects: pandas 3.1 does not understand its own name for a list of texts when it reads the file.
    dtypes = {column.name: "object" if column.kind == "texts" else column.dtype for column in COLUMNS}
    empty = pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in dtypes.items()})
    described = pa.Schema.from_pandas(empty, preserve_index=False)
    return plain.with_metadata(described.metadata)


def parquet_parts(work: Work) -> Generator[bytes]:
    """Yield a Parquet file, zstd inside."""
    sink, kinds = Sink(), schema()
    rows = (row for _sidecar, row in work.rows())
    with pq.ParquetWriter(sink, kinds, compression="zstd") as writer:
        while group := list(itertools.islice(rows, GROUP)):
            columns = zip(*group, strict=True)
            arrays = [pa.array(values, field.type) for field, values in zip(kinds, columns, strict=False)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=kinds))
            yield sink.taken()
    yield sink.taken()
