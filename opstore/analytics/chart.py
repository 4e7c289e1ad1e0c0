"""What a chart is: a figure, the sentence that says what it shows and leaves out, its data, and the search behind each mark.

Colours are Okabe and Ito's, which people who are colour-blind can tell apart, on paper and on black alike; a type of operation
and an outcome have the same one everywhere, and none is told by colour alone.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from opstore.analytics.columns import FIELDS
from opstore.analytics.selection import Selection
from opstore.analytics.usage_tables import Tally
from opstore.errors import InvalidQuery
from opstore.index.search_language import excluded, narrowed, parse, with_values
from opstore.index.terms import FIELDS as NAMED
from opstore.index.terms import Span, Text, Wrong, matches, unquoted, value_of
from opstore.language.chart_formatter import ChartFormatter
from opstore.language.formats import top_of_scale

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, YELLOW, GREY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#C9B41F", "#8A8A8A",
)  # fmt: skip
#: The colour of each operation type; others are grey.
TYPES = {
    "text_to_image": BLUE,
    "image_edit_single": ORANGE,
    "image_edit_multiple": GREEN,
    "text_to_video": PURPLE,
    "image_to_video_single": SKY,
    "image_to_video_transition": VERMILLION,
    "edit_then_video": YELLOW,
}
OUTCOME_COLOURS = {"succeeded": BLUE, "failed": VERMILLION, "stopped": GREY}
#: From nothing to much, readable on paper and on black: the ground shows through where there is nothing.
SCALE = [[0, "rgba(0,114,178,0)"], [0.001, "rgba(0,114,178,0.15)"], [1, "rgba(0,114,178,1)"]]
BAR = 30
_NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})


@dataclass(frozen=True)
class Chart:
    """One chart as it is shown: `figure` None if there is nothing to draw; then `sentence` says what is missing.

    `figure` is what Plotly draws, as plain data: `plotly.graph_objects.Figure(made.figure)` has it in a notebook.
    """

    key: str
    title: str
    sentence: str
    figure: dict[str, Any] | None
    table: pd.DataFrame
    n: int = 0


@dataclass(frozen=True)
class Search:
    """The search that a chart counts; `narrowed` is what is behind one of its marks."""

    text: str = ""
    first: Any = None
    last: Any = None

    def narrowed(self, *, without: Mapping[str, Sequence[str]] = _NOTHING, **wanted: Sequence[str]) -> str | None:
        """Return the search that also asks for one of these values of each field, and for none of those `without`.

        It finds no more than the search itself. None where the language cannot ask it.
        """
        text = self.text
        try:
            for field, values in wanted.items():
                if field == "date" and self.first:  # the days that are asked for are around these
                    text = with_values(text, field, list(values))
                else:
                    text = narrowed(text, field, _asked(field, values), _asked(field, without.get(field, ())))
            for field in without.keys() - wanted.keys():
                text = excluded(text, field, _asked(field, without[field]))
            parse(text)  # which may have become too long
        except (InvalidQuery, Wrong):
            return None
        return text

    def named(self, selection: Selection, by: str, name: str, **wanted: Sequence[str]) -> str | None:
        """Return the search for a type, model, provider or cause and nothing else: a model's name is also the end of others."""
        field, value = FIELDS[by], Text(unquoted(name))
        others = [other for other in selection.base.codes(by)[1] if other != name and matches(field, value, other)]
        return self.narrowed(without={field: others}, **{field: [name]}, **wanted)

    def period(self, start: Any, unit: str, odd: Mapping[str, Sequence[str]] = _NOTHING) -> dict[str, Any]:
        """Return the field that asks for an hour, a day, a week or a month, within the days that are asked for anyway.

        `odd` are the `Selection.odd_hours` of what is counted.
        """
        if unit == "hour":
            hour = re.sub(r"\D", "", start.isoformat()[:13])  # strftime writes a year before 1000 with fewer digits
            return {"id": [hour, *odd.get(hour, ())]}
        first = start.date()
        if unit == "day":
            return {"date": [str(first)]}
        length = monthrange(first.year, first.month)[1] if unit == "month" else 7
        last = date.fromordinal(min(first.toordinal() + length - 1, date.max.toordinal()))
        inner = max(first, self.first or first), min(last, self.last or last)
        first, last = inner if inner[0] <= inner[1] else (first, last)
        return {"date": [f"{first}..{last}"]}


def _asked(field: str, values: Sequence[str]) -> list[Text | Span]:
    """Return values as the search has them; a star at a name's end is one. Raise Wrong for what cannot be asked for."""
    terms: list[Text | Span] = []
    for value in values:
        text = unquoted(value) if NAMED[field] == "name" else value
        if not text:
            raise Wrong("")
        terms.append(Text(text) if NAMED[field] == "name" else value_of(field, text))
    return terms


class Drawing:
    """A figure as it is drawn up, without anything that carries no meaning: plain data, as Plotly's script wants them.

    Plotly's own figures check every step: with them a page of charts took four times as long, and their package a third of a
    second to load. The tests let them check each chart.
    """

    def __init__(self, height: int, **layout: Any) -> None:
        """Begin with a height in pixels."""
        axis = {"automargin": True, "fixedrange": True, "zeroline": False}
        self._data: list[dict[str, Any]] = []
        self._x, self._y = dict(axis), dict(axis)
        self._notes: list[dict[str, Any]] = []
        self._layout: dict[str, Any] = {
            "height": height,
            "margin": {"l": 0, "r": 8, "t": 8, "b": 0},
            "showlegend": "legend" in layout,
            "bargap": 0.3,
            "hoverlabel": {"align": "left"},
            "hovermode": "closest",
            "dragmode": False,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            **layout,
        }

    def bar(self, **said: Any) -> None:
        """Add bars."""
        self._data.append({"type": "bar", **said})

    def points(self, **said: Any) -> None:
        """Add points, or a line."""
        self._data.append({"type": "scatter", **said})

    def heat(self, **said: Any) -> None:
        """Add a field of cells, of a stronger colour where there is more."""
        self._data.append({"type": "heatmap", "colorscale": SCALE, "showscale": False, **said})

    def targets(self, **said: Any) -> None:
        """Add places to click on, with texts, above cells: in those Plotly writes dark on dark."""
        self._layout["hoverdistance"] = 40
        self.points(mode="markers+text", marker={"symbol": "square", "size": 24, "opacity": 0, "color": BLUE}, **said)

    def note(self, **said: Any) -> None:
        """Add a text beside a mark."""
        self._notes.append({"showarrow": False, "xanchor": "left", "align": "left", **said})

    def x(self, **said: Any) -> None:
        """Say how the x axis is."""
        self._x |= said

    def y(self, **said: Any) -> None:
        """Say how the y axis is."""
        self._y |= said

    def scale(self, most: float, told: Callable[[float], str]) -> None:
        """Let the y axis go from zero to a round number that is no smaller than `most`; `told` writes its numbers."""
        top = top_of_scale(most) if most > 0 else 1.0
        ticks = (0.0, top / 2, top)
        self.y(range=[0, top * 1.02], tickvals=ticks, ticktext=[told(value) for value in ticks])

    def room(self, right: int) -> None:
        """Leave room for texts at the right, in pixels."""
        self._layout["margin"] |= {"r": right}

    def figure(self) -> dict[str, Any]:
        """Return the finished figure."""
        layout = {**self._layout, "xaxis": self._x, "yaxis": self._y, "annotations": self._notes}
        found: dict[str, Any] = plain({"data": self._data, "layout": layout})
        return found


def plain(value: Any) -> Any:
    """Return values as JSON has them: arrays as lists, moments as texts, and nothing where a number is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, pd.Series | pd.Index | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value.isoformat() if isinstance(value, datetime) else value


def bars_height(count: int) -> int:
    """Return the height of so many horizontal bars."""
    return max(140, 60 + BAR * count)


def gap(count: int) -> float:
    """Return which share of its place stays free beside each of so many columns: a single one is no wall."""
    return max(0.15, 0.85 - count / 10)


def short(text: str, limit: int = 26) -> str:
    """Return a name that fits beside a bar; Plotly reads a few HTML tags, so there are none in it."""
    plain = " ".join(text.replace("<", "‹").replace(">", "›").split())
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"


def distinct(names: Sequence[str]) -> list[str]:
    """Return names of which no two are the same: two bars of one name would be drawn on each other."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def legend() -> dict[str, Any]:
    """Return a legend above the marks, in their order, whole however many there are: on a phone each has a line."""
    return {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "title": None, "maxheight": 1}


def intervals(
    names: Sequence[str], values: Any, low: Any, high: Any, behind: Sequence[Sequence[Any]], voice: ChartFormatter
) -> Drawing:
    """Return shares from 0 to 1 as points with their intervals; `behind` holds of each its search, its text, and its count."""
    drawing = Drawing(bars_height(len(names)))
    drawing.points(
        y=names,
        x=values,
        mode="markers",
        cliponaxis=False,
        marker={"size": 11, "color": BLUE},
        error_x={
            "type": "data", "symmetric": False, "array": high - values, "arrayminus": values - low,
            "color": BLUE, "thickness": 2, "width": 5,
        },
        customdata=behind,
        hovertemplate=voice.labelled("%{y}", "%{customdata[1]}, n = %{customdata[2]}") + "<extra></extra>",
    )  # fmt: skip
    for name, (_search, text, _n) in zip(names, behind, strict=True):
        drawing.note(x=1.03, xref="paper", y=name, text=text)
    drawing.room(110)
    drawing.y(autorange="reversed", type="category", showgrid=True)
    drawing.x(range=[-0.02, 1.02], tickvals=[0, 0.5, 1], ticktext=[voice.share(value) for value in (0, 0.5, 1)])
    return drawing


def sentence(voice: ChartFormatter, tally: Tally, what: str, lacking: str) -> str:
    """Return what a chart shows, of how many operations, and what is `lacking` of those left out, said if there are any."""
    counted = voice.say("n = {n}.").format(n=voice.number(tally.n))
    return " ".join(part for part in (what, counted, lacking if tally.missing else "") if part)


def empty(key: str, title: str, missing: str, tally: Tally) -> Chart:
    """Return a chart that has nothing to draw, and says what is missing."""
    return Chart(key, title, missing, None, tally.table)
