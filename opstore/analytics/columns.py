"""The columns of the analytics frame in their order, for frame, snapshot, exports and docs; what each is: `index.fields`.

A value that a sidecar does not say, or says in a way that cannot be one, is missing; nothing is ever made up, not even a zero.
"""

from __future__ import annotations

from opstore.index.field_entry import DTYPES, Column, Kind
from opstore.index.fields import TABLE

__all__ = ["COLUMNS", "DTYPES", "FIELDS", "KEPT", "NAMES", "Column", "Kind"]

#: The columns that exports began with, in the order that they keep; one that is none of these comes behind them.
_FIRST = (
    *("operation_id", "timestamp", "operation_type", "status", "success", "prompt", "prompt_key", "error", "error_kind"),
    *("provider", "model", "workflow_id", "confidence", "overridden", "input_count", "outputs", "media", "elapsed_seconds"),
    *("predict_seconds", "clip_seconds", "cost", "currency", "cost_estimated", "bytes_in", "bytes_between", "bytes_out"),
    *("width", "height", "parameters", "tags", "rating", "favorite", "batch_id", "parents", "created_by"),
)
_BY_NAME = {field.column.name: field for field in TABLE if field.column}
NAMES = (*_FIRST, *(name for name in _BY_NAME if name not in _FIRST))
COLUMNS: tuple[Column, ...] = tuple(column for name in NAMES if (column := _BY_NAME[name].column))
#: The field of each column whose value is what the index keeps.
KEPT = {name: field.name for name, field in _BY_NAME.items() if field.kept and field.column and not field.column.read}
#: The columns whose names a search asks for, and what it calls them.
FIELDS = {
    name: field.search.name
    for name, field in _BY_NAME.items()
    if name in KEPT and field.search and field.kept and field.kept.mark == "name"
}
