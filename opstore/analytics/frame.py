"""The rows as one pandas DataFrame, typed as the table of columns says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from opstore.analytics.columns import COLUMNS, DTYPES


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a snapshot's rows as a DataFrame; texts and lists stay in Arrow's memory, numbers are copied where some miss."""
    return pd.DataFrame({column.name: _series(table[column.name], column.dtype) for column in COLUMNS}, copy=False)


def _series(values: Any, dtype: str) -> pd.Series[Any]:
    if dtype == DTYPES["category"]:
        coded: pd.Series[Any] = values.to_pandas().astype("category")
        # A dictionary may hold what no row has any more; a category that is nowhere is none.
        used = np.bincount(coded.cat.codes.to_numpy() + 1, minlength=len(coded.cat.categories) + 1)[1:]
        return coded if used.all() else coded.cat.remove_unused_categories()
    if dtype == DTYPES["text"]:
        # As they lie: the way over objects takes a second for the texts of a million.
        text: Any = pd.StringDtype(na_value=np.nan)
        return pd.Series(text.__from_arrow__(values))  # the protocol by which Arrow itself makes pandas' texts
    if dtype == DTYPES["texts"]:
        return pd.Series(pd.arrays.ArrowExtensionArray(values.cast(pa.list_(pa.string()))))
    found: pd.Series[Any] = values.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}.get)
    typed: pd.Series[Any] = found.astype(dtype)  # type: ignore[call-overload] # a dtype by its name
    return typed
