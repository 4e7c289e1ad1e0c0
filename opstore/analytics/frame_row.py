"""One sidecar as one row of the frame: the columns of the table of fields, then what is kept beside them; pure, and total.

Types, statuses, models, tags and error kinds are the index's own (`entry_of`), so that a search and a chart never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from opstore.analytics.columns import COLUMNS, KEPT
from opstore.index import order
from opstore.index.charted import Charted, ChartReader
from opstore.index.entry import Entry, entry_of
from opstore.index.field_entry import Column
from opstore.index.prompts import MAX_PROMPT, words_of

#: The values of COLUMNS in their order; then the words of the prompt, and the id's second.
Row = tuple[Any, ...]


def row_of(sidecar: Mapping[str, Any], operation_id: str, entry: Entry | None = None) -> Row:
    """Return the row of a decoded sidecar; `entry` is what the index keeps of it, where that is known."""
    source = Charted(sidecar, entry or entry_of(sidecar, operation_id))
    prompt = sidecar.get("prompt")
    words = words_of(prompt[:MAX_PROMPT]) if isinstance(prompt, str) else ()  # what the search knows of it
    return (*[read(source) for read in _READERS], tuple([word for _, word in words]), order.second_of(operation_id))


def _reader(column: Column) -> ChartReader:
    if column.read:
        return column.read
    kept = attrgetter(f"entry.{KEPT[column.name]}")
    return kept


_READERS = [_reader(column) for column in COLUMNS]
