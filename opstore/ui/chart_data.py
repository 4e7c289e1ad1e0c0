"""A chart as a browser gets it: its figure, the beginning of its data as texts, all of it as CSV, and what failures say."""

from __future__ import annotations

import csv
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

from opstore.exports.cells import guarded
from opstore.language import translations
from opstore.ui import words
from opstore.ui.words import _

if TYPE_CHECKING:
    from opstore.analytics.chart import Chart
    from opstore.language.chart_formatter import ChartFormatter

#: Causes of which an example is shown, and how much of it.
EXAMPLES, LONGEST_EXAMPLE = 5, 240
#: Rows of a chart's data that the page shows; the file has all.
ROWS = 100


def sent(chart: Chart, voice: ChartFormatter) -> dict[str, Any]:
    """Return a chart as a browser gets it, told by `voice`."""
    table = chart.table
    head = [[_cell(value, voice) for value in row] for row in table.head(ROWS).itertuples(index=False)]
    return {
        "key": chart.key,
        "title": chart.title,
        "sentence": chart.sentence,
        "figure": chart.figure,
        "columns": [str(name) for name in table.columns],
        "rows": head,
        "count": len(table),
        "csv": csv_of(table),
        "said": _examples(table, voice) if chart.key == "errors" else [],
    }


def _examples(table: Any, voice: ChartFormatter) -> list[tuple[str, str, str]]:
    """Return what the commonest failures of each cause say, in full."""
    examples = table[table["example"].notna()].head(EXAMPLES)
    return [
        (
            translations.error_kind_name(kind, _),
            _("{count} of {all}").format(count=voice.number(n), all=voice.number(every)),
            shortened(words.stored(str(text))),
        )
        for kind, n, every, text in examples[["error_kind", "of_them", "n", "example"]].itertuples(index=False)
    ]


def shortened(text: str) -> str:
    """Return a text in one line of at most `LONGEST_EXAMPLE` letters."""
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST_EXAMPLE else f"{plain[: LONGEST_EXAMPLE - 1]}…"


def _cell(value: Any, voice: ChartFormatter) -> str | None:
    """Return a value of a table as a short text, None where there is none; a month as the reader writes it."""
    import pandas as pd

    if isinstance(value, pd.Period):
        return voice.day(value.start_time.date(), "month")
    if isinstance(value, str):
        return value[:LONGEST_EXAMPLE]
    if value is None or value != value:
        return None
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes").removesuffix("+00:00").removesuffix(" 00:00")
    if not isinstance(value, float):
        return str(value)
    if value.is_integer():
        return f"{value:.0f}"  # bytes are no 1.23457e+08
    return f"{value:.2f}" if abs(value) >= 1e5 else f"{value:.6g}"


def csv_of(table: Any) -> str:
    """Return a table as CSV that a spreadsheet reads as text and numbers: what could be a formula is made harmless."""
    lines = StringIO()
    writer = csv.writer(lines)
    writer.writerow([guarded(str(name)) for name in table.columns])
    writer.writerows([_field(value) for value in row] for row in table.itertuples(index=False))
    return lines.getvalue()


def _field(value: Any) -> Any:
    if isinstance(value, str):
        return guarded(value)
    return "" if value is None or value != value else value
