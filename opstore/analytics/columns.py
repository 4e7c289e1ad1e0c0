"""The columns of the analytics frame: names, types, units and meanings, once, for the frame, its snapshot, exports and the docs.

A value that a sidecar does not say, or says in a way that cannot be one, is missing; nothing is ever made up, not even a zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "category", "moment", "flag", "whole", "number", "texts"]
#: How pandas holds each kind. Text lies in Arrow's memory; what repeats is a category; every kind can be missing.
DTYPES: dict[Kind, str] = {
    "text": "str",
    "category": "category",
    "moment": "datetime64[us, UTC]",
    "flag": "boolean",
    "whole": "Int64",
    "number": "float64",
    "texts": "list<item: string>[pyarrow]",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, how it is held, its unit, and what it says."""

    name: str
    kind: Kind
    unit: str
    what: str

    @property
    def dtype(self) -> str:
        """Return the pandas dtype, as `str(frame[name].dtype)` writes it."""
        return DTYPES[self.kind]


COLUMNS: tuple[Column, ...] = (
    Column("operation_id", "text", "", "the operation's id, never missing"),
    Column("timestamp", "moment", "UTC", "when it was asked for: the sidecar's `timestamp`, else the time in the id"),
    Column("operation_type", "category", "", "as stored, old and foreign types too; `unknown` where none is"),
    Column(
        "status",
        "category",
        "",
        "how it ended: `stored`, `failed`, `canceled`, `aborted`, `expired`, `unknown`, `result missing`",
    ),
    Column("success", "flag", "", "the sidecar's own `success`; whether there is a result, `status` says"),
    Column("prompt", "text", "", "the whole prompt"),
    Column("prompt_key", "whole", "", "the same number for prompts that differ in case, accents, spaces or punctuation only"),
    Column("error", "text", "", "the error's text"),
    Column("error_kind", "category", "", "the cause under which the failure counts, missing where nothing failed"),
    Column("provider", "category", "", "who made it"),
    Column("model", "category", "", "the model that made the main output"),
    Column("workflow_id", "category", "", "the type that the analysis proposed"),
    Column("confidence", "number", "0 to 1", "how sure the analysis was of it"),
    Column("overridden", "flag", "", "whether a person chose another type; missing where nothing was proposed"),
    Column("input_count", "whole", "files", "input images"),
    Column("outputs", "whole", "files", "results that the sidecar names, 0 where it names none"),
    Column("media", "category", "", "`image` or `video`: what the main output is, by its name"),
    Column("elapsed_seconds", "number", "s", "wall time from the request to the stored result; never `duration`"),
    Column("predict_seconds", "number", "s", "computing time that the provider reported, all steps together"),
    Column("clip_seconds", "number", "s", "length of clip that was asked for: the sidecar's `duration`"),
    Column("cost", "number", "`currency`", "what it cost"),
    Column("currency", "category", "", "of `cost`"),
    Column("cost_estimated", "flag", "", "whether `cost` is an estimate; missing where there is no cost or it does not say"),
    Column("bytes_in", "whole", "bytes", "stored inputs together"),
    Column("bytes_between", "whole", "bytes", "stored intermediate results together"),
    Column("bytes_out", "whole", "bytes", "stored outputs together"),
    Column("width", "whole", "pixels", "of the main output"),
    Column("height", "whole", "pixels", "of the main output"),
    Column(
        "parameters", "category", "", "what was asked for, as JSON in the order of names: without seeds, texts and nested values"
    ),
    Column("tags", "texts", "", "tags and collections, in the order of the alphabet; an empty list where there are none"),
    Column("rating", "whole", "1 to 5", "stars"),
    Column("favorite", "flag", "", "whether it is a favorite; missing where nobody said"),
    Column("batch_id", "text", "", "shared by the variants of one request"),
    Column("parents", "texts", "", "ids of operations whose output is an input here, an empty list where there are none"),
)
NAMES = tuple(column.name for column in COLUMNS)
BY_NAME = {column.name: column for column in COLUMNS}
