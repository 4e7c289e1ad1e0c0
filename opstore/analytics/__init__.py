"""All operations as one pandas DataFrame, and what can be told from it; the index says what has changed, the sidecars are read.

    import opstore
    frame = opstore.analytics.load_frame("data")      # or a Store

Columns, dtypes and units: `columns.COLUMNS`, docs/analytics.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opstore.analytics.columns import COLUMNS, Column

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "Column", "load_frame"]


def load_frame(source: Any = "data") -> pd.DataFrame:
    """Return one row an operation, newest first, of a data folder (a path) or a Store; columns as in COLUMNS.

    It is what reading every sidecar gives, at the cost of what has changed since somebody last asked. `frame.attrs["problems"]`
    counts the sidecars that could not be read. Raise StorageError for a folder that is not there or cannot be read.
    """
    from opstore.analytics.shared_frame import Holder
    from opstore.errors import StorageError, said
    from opstore.index import Index

    index = Index.over(source)
    if isinstance(source, str | os.PathLike) and not index.store.data.exists():
        raise StorageError(reason=said("there is no folder {folder}", folder=os.fspath(source)))
    try:
        index.catch_up()
        held = Holder(index).held()
    finally:
        index.stop()
    frame = held.frame
    frame.attrs["problems"] = held.problems
    return frame
