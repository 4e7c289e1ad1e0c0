"""What an entry of the table of fields (`fields`) says: how a field is kept, asked for, charted, exported and shown. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from opstore.index.charted import ChartReader
from opstore.index.sidecar import Reader
from opstore.storage.operation import Operation

#: What the values of a search are.
Values = Literal["name", "id", "number", "flag", "date", "seed", "size"]
#: How a value stands in its column of the index: as it is, as the number of a name or of several, or as `row_lookup` has it.
Form = Literal["plain", "flag", "name", "names", "output", "batch", "ids", "seed"]
#: Which marked words say what a value is: its name or names, a few whole numbers, that it is there (`yes`) or is not (`none`),
#: its coarse size; what has other words, or cannot be asked for by words, has none of these (`keywords`).
Mark = Literal["name", "names", "count", "yes", "none", "coarse"]
#: How a column of the frame is held.
Kind = Literal["text", "category", "moment", "flag", "whole", "number", "texts"]
#: How a value is written where an operation is shown: names as what they are called, a cost with its currency and its basis.
Written = Literal["text", "texts", "type", "status", "moment", "flag", "number", "seconds", "cost", "parameters"]
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
class Kept:
    """What the index keeps of a field: its type in an entry, what reads it, its column, and how it is marked.

    A number with a `unit` is kept as whole multiples of one part in so many, and marked by its coarse size.
    """

    type: Any
    read: Reader
    column: str
    form: Form = "plain"
    mark: Mark | None = None
    unit: int = 1


@dataclass(frozen=True, slots=True)
class Search:
    """How a field is asked for: its name, what its values are, and what docs/search.md says (an example, what it finds).

    `called` is what people of other searches, or of another language, call it, `denied` what they call what is not so: neither is
    taken, each is told what to write instead. Of a name: `names` are all there are, where these
    are known; `is_loose` says that `text-to-image`, `text_to_image` and `Text to image` are one. A star alone asks whether there
    is anything, if there `may_be_any`. A flag may say whether another search, `having`, has anything. `label` is what the
    filter over its names is called; of one that `is_rare` there is none if nothing has such a name.
    """

    name: str
    values: Values
    examples: tuple[tuple[str, str], ...]
    called: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    is_loose: bool = False
    may_be_any: bool = False
    having: str = ""
    is_facet: bool = False
    label: str = ""
    is_rare: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the frame and of exports: its name, how it is held, its unit, what it says, and what reads it: else the
    index's reading.

    `groups` is what charts that are grouped by it are called; none are where it is empty.
    """

    name: str
    kind: Kind
    unit: str
    what: str
    read: ChartReader | None = None
    groups: str = ""

    @property
    def dtype(self) -> str:
        """Return the pandas dtype, as `str(frame[name].dtype)` writes it."""
        return DTYPES[self.kind]


@dataclass(frozen=True, slots=True)
class Shown:
    """How a field is shown of one operation: its name in a terminal, how it is written, and what the page calls it.

    Without a `label` it has a part of the page of its own: the prompt, the pictures, the stars. It is read as the frame reads it,
    else as the index does, unless it is to be `read` otherwise.
    """

    name: str
    written: Written = "text"
    label: str = ""
    read: Callable[[Operation], Any] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field, and what is done with it; one with a column is exported."""

    name: str
    kept: Kept | None = None
    search: Search | None = None
    column: Column | None = None
    shown: Shown | None = None
