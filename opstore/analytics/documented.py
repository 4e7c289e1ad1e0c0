"""The tables of docs/search.md and docs/analytics.md as the table of fields has them: the documents cannot fall behind it.

`python -m opstore.analytics.documented` writes them into the documents; a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from opstore.analytics.columns import COLUMNS
from opstore.index.fields import SEARCHES, TABLE

Lines = Callable[[], Iterator[str]]

DOCS = Path(__file__).resolve().parents[2] / "docs"


def searches() -> Iterator[str]:
    """Yield the lines of the table of fields that can be asked for."""
    yield from ("| type | and you find |", "|---|---|")
    for search in SEARCHES.values():
        yield from (f"| `{example}` | {what} |" for example, what in search.examples)


def columns() -> Iterator[str]:
    """Yield the lines of the table of the frame's columns."""
    yield from ("| column | dtype | unit | what it says | search | charts |", "|---|---|---|---|---|---|")
    asked = {field.column.name: f"`{field.search.name}:`" for field in TABLE if field.column and field.search}
    for column in COLUMNS:
        facts = (f"`{column.name}`", column.dtype, column.unit, column.what, asked.get(column.name, ""), column.groups)
        yield f"| {' | '.join(facts)} |"


def fields() -> Iterator[str]:
    """Yield the lines of the table of what else is done with a field that can be asked for."""
    yield from ("| search | instead of | counted | exported as | `opstore show` | drawer |", "|---|---|---|---|---|---|")
    for field in TABLE:
        if search := field.search:
            facts = (
                search.name,
                ", ".join((*search.called, *search.denied)),
                "yes" if search.is_facet else "",
                f"`{field.column.name}`" if field.column else "",
                f"`{field.shown.name}`" if field.shown else "",
                field.shown.label if field.shown else "",
            )
            yield f"| {' | '.join(facts)} |"


#: Each document, the heading below which its table is the first one, and the table.
TABLES: tuple[tuple[str, str, Lines], ...] = (
    ("search.md", "## Fields", searches),
    ("search.md", "## Where else a field stands", fields),
    ("analytics.md", "# The analytics frame", columns),
)


def written(page: str, heading: str, lines: Iterator[str]) -> str:
    """Return a document with these lines as the first table below a heading."""
    before, found, rest = page.partition(f"{heading}\n")
    if not found:
        raise ValueError(f"there is no heading {heading}")
    table = "".join(f"{line}\n" for line in lines)
    return before + found + re.sub(r"(?:^\|.*\n)+", lambda _: table, rest, count=1, flags=re.MULTILINE)


if __name__ == "__main__":
    for name, heading, lines in TABLES:
        path = DOCS / name
        path.write_text(written(path.read_text("utf-8"), heading, lines()), "utf-8")
