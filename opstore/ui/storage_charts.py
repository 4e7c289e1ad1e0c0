"""The charts of the page Storage: bytes by month and type, whose marks lead to the operations, and by kind of file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from opstore.storage.operation import OPERATION_TYPES
from opstore.ui import drilldown, words
from opstore.ui.chart_data import sent
from opstore.ui.components import charts as component
from opstore.ui.words import _

if TYPE_CHECKING:
    from opstore.analytics.chart import Chart
    from opstore.language.chart_formatter import ChartFormatter

HEIGHT = 340
#: Months that are drawn, the last ones; the data has all.
MONTHS = 24


def charts(look: Mapping[str, Any]) -> None:
    """Show them, where the folder that was measured holds an operation."""
    if not look["months"]:
        return
    from opstore.language.chart_formatter import ChartFormatter

    voice = ChartFormatter(words.language())
    made = (_by_month(look["months"], voice), _by_kind(look["kinds"], voice))
    component.charts(key="charts-storage", drawn=[sent(chart, voice) for chart in made], on_pick=drilldown.pick)


def _by_month(rows: Sequence[Sequence[Any]], voice: ChartFormatter) -> Chart:
    import pandas as pd

    from opstore.analytics.chart import GREY, TYPES, Chart, Drawing, Search, gap, legend, short

    sizes = {(month, kind): size for month, kind, size in rows}
    months = sorted({month for month, _kind, _size in rows})
    totals = [sum(size for (month, _kind), size in sizes.items() if month == at) for at in months]
    drawn = months[-MONTHS:]
    names = [voice.day(day, "month") if (day := _day(month)) else month for month in drawn]
    drawing = Drawing(HEIGHT, barmode="stack", legend=legend(), bargap=gap(len(drawn)))
    for kind in sorted({kind for _month, kind, _size in rows}, key=_rank):
        name = short(words.type_name(kind), 40)
        amounts = [sizes.get((month, kind), 0) for month in drawn]
        ways = [Search().narrowed(id=[month.replace("-", "")], type=[kind]) if _day(month) else None for month in drawn]
        drawing.bar(
            x=names,
            y=amounts,
            name=name,
            marker={"color": TYPES.get(kind, GREY)},
            customdata=[[way, voice.size(amount)] for way, amount in zip(ways, amounts, strict=True)],
            hovertemplate="%{x}<br>" + voice.labelled(name, "%{customdata[1]}") + "<extra></extra>",
        )
    drawing.scale(float(max(totals[-MONTHS:])), voice.size)
    marked = names[:: max(1, -(-len(names) // 4))]  # on a phone there is room for no more
    drawing.x(type="category", tickvals=marked, ticktext=marked, tickangle=0)
    last = next((total for month, total in zip(months[::-1], totals[::-1], strict=True) if _day(month)), 0)
    what = _("{total} in all, {last} of it in the last month.").format(total=voice.size(sum(totals)), last=voice.size(last))
    dated = (
        (pd.Period(day, "M") if (day := _day(month)) else month, kind, size) for month, kind, size in sorted(map(tuple, rows))
    )
    table = pd.DataFrame(dated, columns=["month", "operation_type", "bytes"])
    return Chart("by-month", _("Space by month and type"), what, drawing.figure(), table)


def _by_kind(kinds: Mapping[str, int], voice: ChartFormatter) -> Chart:
    import pandas as pd

    from opstore.analytics.chart import GREY, Chart, Drawing

    names = {
        "output": _("Results"),
        "input": _("Input images"),
        "sidecar": _("Metadata"),
        "trash": _("Trash"),
        "cache": _("Cache"),
        "other": _("Other programs’ files"),
    }
    rows = [(name, kinds[key]) for key, name in names.items() if kinds.get(key)]
    drawing = Drawing(HEIGHT)
    drawing.bar(
        y=[name for name, _size in rows],
        x=[size for _name, size in rows],
        orientation="h",
        text=[voice.size(size) for _name, size in rows],
        textposition="auto",
        insidetextfont={"color": "#161616"},  # on this grey white has 3.5 : 1
        marker={"color": GREY},
        hovertemplate=voice.labelled("%{y}", "%{text}") + "<extra></extra>",
    )
    drawing.y(autorange="reversed", type="category")
    drawing.x(visible=False, rangemode="tozero")
    what = _("How much space the files of the data folder take, by what they are for.")
    return Chart("by-kind", _("Space by kind of file"), what, drawing.figure(), pd.DataFrame(rows, columns=["kind", "bytes"]))


def _day(month: str) -> date | None:
    """Return the first day of a month, None where ids name none: their digits need not be a time."""
    try:
        return date.fromisoformat(f"{month}-01")
    except ValueError:
        return None


def _rank(kind: str) -> tuple[int, str]:
    order = list(OPERATION_TYPES)
    return (order.index(kind) if kind in order else len(order), kind)
