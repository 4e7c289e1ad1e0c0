"""What is shown of one operation, in a terminal and on its page: the fields that the table says are shown; pure, and total."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from opstore.index.charted import Charted
from opstore.index.entry import entry_of
from opstore.index.field_entry import Field, Shown
from opstore.index.fields import BY_NAME, TABLE
from opstore.index.sidecar import Source
from opstore.storage.operation import Operation

_SHOWN = [field.name for field in TABLE if field.shown]


def shown_of(operation: Operation, first: Iterable[str] = (), last: Iterable[str] = ()) -> Iterator[tuple[str, Shown, Any]]:
    """Yield each field's name, how it is shown and its value: those of `first` in this order, those of `last` at the end."""
    ends = (*first, *last)
    between = (name for name in _SHOWN if name not in ends)
    source = Source(operation.sidecar, operation.id)
    for name in (*first, *between, *last):
        field = BY_NAME[name]
        if field.shown:
            yield name, field.shown, _value(field, field.shown, operation, source)


def _value(field: Field, how: Shown, operation: Operation, source: Source) -> Any:
    if how.read:
        return how.read(operation)
    if field.column and field.column.read:
        return field.column.read(Charted(operation.sidecar, entry_of(operation.sidecar, operation.id)))
    return field.kept.read(source) if field.kept else None
