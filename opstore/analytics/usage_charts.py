"""The charts of how much, how well, how fast and how dear: from a selection to a figure with its sentence, data and searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from babel.dates import format_skeleton

from opstore.analytics import usage_tables
from opstore.analytics.chart import (
    BLUE,
    GREY,
    OUTCOME_COLOURS,
    TYPES,
    VERMILLION,
    Chart,
    Drawing,
    Search,
    bars_height,
    distinct,
    empty,
    gap,
    intervals,
    legend,
    sentence,
    short,
)
from opstore.analytics.drilldown import Mark
from opstore.analytics.selection import OUTCOMES, UNRATED, Selection
from opstore.language.chart_formatter import TOLD_AS_COUNTS, ChartFormatter
from opstore.language.translations import error_kind_name

#: Groups that are drawn; the data has all.
GROUPS = 10


def outcome_name(outcome: str, voice: ChartFormatter) -> str:
    """Return what an outcome is called."""
    _ = voice.say
    return {"succeeded": _("with a result"), "failed": _("failed"), "stopped": _("stopped")}[outcome]


def named(name: str, by: str, voice: ChartFormatter) -> str:
    """Return what a type or a model is called beside its bar."""
    return short(voice.type_name(name) if by == "operation_type" else name)


def _searches(
    selection: Selection, search: Search, by: str, names: Any, without: Sequence[str] = (), **wanted: Sequence[str]
) -> list[str | None]:
    """Return the search of each group, without some statuses; None for what the language cannot ask."""
    text = search.narrowed(without={"status": without}) if without else search.text
    if text is None:
        return [None] * len(names)
    return [replace(search, text=text).named(selection, by, name, **wanted) for name in names]


def by_type(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """Operations by type."""
    _ = voice.say
    tally = usage_tables.by_category(selection, "operation_type")
    title = _("Operations by type")
    if not tally:
        return empty("by-type", title, _("No operations."), tally)
    rows = tally.table.head(GROUPS)
    drawing = Drawing(bars_height(len(rows)))
    drawing.bar(
        y=distinct([named(name, "operation_type", voice) for name in rows["operation_type"]]),
        x=rows["n"],
        orientation="h",
        marker={"color": [TYPES.get(name, GREY) for name in rows["operation_type"]]},
        text=[voice.number(n) for n in rows["n"]],
        textposition="auto",
        customdata=_searches(selection, search, "operation_type", rows["operation_type"]),
        hovertemplate=voice.labelled("%{y}", "%{text}") + "<extra></extra>",
    )
    drawing.y(autorange="reversed", type="category")
    drawing.x(visible=False, rangemode="tozero")
    return Chart(
        "by-type",
        title,
        sentence(voice, tally, _("Number of operations of each type."), ""),
        drawing.figure(),
        tally.table,
        tally.n,
    )


def over_time(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """Operations over time, stacked by outcome."""
    _ = voice.say
    tally = usage_tables.over_time(selection)
    title = _("Operations over time")
    if not tally:
        return empty("over-time", title, _("No operations."), tally)
    drawing = _stacked(selection, tally, search, voice, [voice.number(n) for n in tally.table["n"]])
    what = {
        "hour": _("Operations per hour (UTC), by outcome."),
        "day": _("Operations per day, by outcome. Days begin at midnight UTC, as in a search."),
        "week": _("Operations per week, by outcome. Weeks begin on Monday at midnight UTC."),
        "month": _("Operations per month (UTC), by outcome."),
    }[tally.extra["unit"]]
    lacking = voice.ngettext("{count} without a date is not counted.", "{count} without a date are not counted.", tally.missing)
    return Chart("over-time", title, sentence(voice, tally, what, lacking), drawing.figure(), tally.table, tally.n)


def _stacked(
    selection: Selection,
    tally: usage_tables.Tally,
    search: Search,
    voice: ChartFormatter,
    totals: list[str],
    currency: str | None = None,
) -> Drawing:
    unit = tally.extra["unit"]
    odd = selection.odd_hours() if unit == "hour" else {}
    drawing = Drawing(280, barmode="stack", legend=legend(), bargap=gap(len(tally.table)))
    starts = [pd.Timestamp(start) for start in tally.table["start"]]
    labels = [f"{start:%H:%M}, {voice.day(start)}" if unit == "hour" else voice.day(start, unit) for start in starts]
    for outcome in OUTCOMES:
        values = tally.table[outcome]
        if values.any():
            texts = [voice.money(value, currency) if currency else voice.number(value) for value in values]
            name = outcome_name(outcome, voice)
            drawing.bar(
                x=tally.table["start"].dt.tz_localize(None),
                y=values,
                name=name,
                marker={"color": OUTCOME_COLOURS[outcome]},
                customdata=[
                    [_behind(search, search.period(start, unit, odd), outcome, currency), label, said, total]
                    for start, label, said, total in zip(starts, labels, texts, totals, strict=True)
                ],
                hovertemplate="%{customdata[1]}<br>" + voice.labelled(name, "%{customdata[2]}") + "<extra></extra>",
            )
    most = float(tally.table[list(OUTCOMES)].sum(axis=1).max())
    drawing.scale(most, (lambda value: voice.money(value, currency)) if currency else voice.number)
    marked = range(0, len(starts), max(1, -(-len(starts) // 5)))
    hours = [f"{start:%H:%M}<br>" if unit == "hour" else "" for start in starts]
    ticks = [labels[at] if unit == "month" else f"{hours[at]}{short_day(starts[at], voice)}" for at in marked]
    if unit != "month" and starts[0].year != starts[-1].year:
        ticks = [f"{tick}<br>{starts[at].year}" for at, tick in zip(marked, ticks, strict=True)]
    drawing.x(tickvals=[starts[at].tz_localize(None) for at in marked], ticktext=ticks, tickangle=0)
    return drawing


def _behind(search: Search, period: dict[str, Any], outcome: str, currency: str | None) -> str | None:
    """Return what is behind a column: the operations of a period that ended so; of a column of costs, those that have one."""
    text = search.narrowed(**period, status=OUTCOMES[outcome])
    return text if currency is None else Mark("cost", currency.strip(), "").beside(text)


def short_day(moment: pd.Timestamp, voice: ChartFormatter) -> str:
    """Return a day without its year."""
    return str(format_skeleton("MMMd", moment, locale=voice.language))


def success(selection: Selection, search: Search, voice: ChartFormatter, by: str = "operation_type") -> Chart:
    """The share that succeeded by type or model, with its interval."""
    _ = voice.say
    tally = usage_tables.success(selection, by)
    title, key = _("Success"), f"success-{by}"
    rows = tally.table.head(GROUPS)
    if not tally:
        return empty(key, title, _("No operation here has ended with a result or a failure."), tally)
    names = distinct([named(name, by, voice) for name in rows[by]])
    told = [voice.rate(*values) for values in rows[["succeeded", "tried", "low", "high"]].itertuples(index=False)]
    tried = _searches(selection, search, by, rows[by], OUTCOMES[UNRATED])
    shown = zip(tried, told, rows["tried"], strict=True)
    behind = [[q, text, voice.number(n)] for q, text, n in shown]
    drawing = intervals(names, rows["share"], rows["low"], rows["high"], behind, voice)
    what = _(
        "Share with a result among operations that were not canceled, with its 95% interval; below {few}, only counts are given."
    )
    caption = sentence(voice, tally, what.format(few=TOLD_AS_COUNTS), _lacking(by, tally.missing, voice))
    return Chart(key, title, caption, drawing.figure(), tally.table, tally.n)


def _lacking(by: str, missing: int, voice: ChartFormatter) -> str:
    if by == "model":
        return voice.ngettext("{count} without a model is not counted.", "{count} without a model are not counted.", missing)
    return voice.ngettext("{count} is not counted.", "{count} are not counted.", missing)


def errors(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """Failures by cause."""
    _ = voice.say
    tally = usage_tables.errors(selection)
    title = _("Failures by cause")
    if not tally:
        return empty("errors", title, _("No failures."), tally)
    rows = tally.table.head(12)
    drawing = Drawing(bars_height(len(rows)))
    shares = [voice.rate(n, tally.extra["of"], *map(float, usage_tables.wilson(n, tally.extra["of"]))) for n in rows["n"]]
    drawing.bar(
        y=distinct([short(error_name(kind, voice)) for kind in rows["error_kind"]]),
        x=rows["n"],
        orientation="h",
        marker={"color": OUTCOME_COLOURS["failed"]},
        text=[voice.number(n) for n in rows["n"]],
        customdata=[
            [search.named(selection, "error_kind", kind, status=OUTCOMES["failed"]), share, short(example or "–", 90)]
            for kind, share, example in zip(rows["error_kind"], shares, rows["example"], strict=True)
        ],
        hovertemplate=voice.labelled("%{y}", "%{text}") + "<br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
    )
    drawing.y(autorange="reversed", type="category")
    drawing.x(visible=False, rangemode="tozero")
    what = _("Failures by cause, from their messages; canceled operations are not counted.")
    caption = sentence(
        voice,
        tally,
        what,
        voice.ngettext(
            "{count} without a recorded cause is not counted.", "{count} without a recorded cause are not counted.", tally.missing
        ),
    )
    return Chart("errors", title, caption, drawing.figure(), tally.table, tally.n)


def error_name(kind: str, voice: ChartFormatter) -> str:
    """Return what a cause of failures is called; a foreign one keeps its name."""
    return error_kind_name(kind, voice.say)


# -- how fast ------------------------------------------------------------------------------------------------------------


def times(
    selection: Selection, search: Search, voice: ChartFormatter, by: str = "operation_type", column: str = "elapsed_seconds"
) -> Chart:
    """Median, 95th percentile and distribution of times by type or model."""
    _ = voice.say
    tally = usage_tables.times(selection, by, column)
    waited = column == "elapsed_seconds"
    title = _("Total time") if waited else _("Computing time")
    key = f"times-{column}-{by}"
    if not tally:
        missing = (
            _("No operation here records how long it took.") if waited else _("No operation here records its computing time.")
        )
        return empty(key, title, missing, tally)
    rows = tally.table.head(GROUPS)
    drawing = Drawing(bars_height(len(rows)) + 20, legend=legend())
    names = distinct([named(name, by, voice) for name in rows[by]])
    cells = np.array(rows["bins"].tolist(), float)
    used = np.flatnonzero(cells.sum(axis=0))
    low, high = max(int(used[0]) - 1, 0), int(used[-1]) + 1
    edges = np.concatenate([[usage_tables.TIME_EDGES[0] / 1.41], usage_tables.TIME_EDGES, [usage_tables.TIME_EDGES[-1] * 1.41]])
    places = np.arange(low, min(high, cells.shape[1] - 1) + 1)
    shares = cells[:, places] / cells.sum(axis=1, keepdims=True)
    drawing.heat(
        x=np.log2(np.sqrt(edges[places] * edges[places + 1])),
        y=names,
        z=shares,
        ygap=6,
        customdata=[_bins(line, places, edges, voice) for line in cells],
        hovertemplate="%{y}<br>%{customdata}<extra></extra>",
    )  # fmt: skip
    if waited:
        searches = _searches(selection, search, by, rows[by], elapsed=[">=0"])
    else:
        searches = [Mark("says", column, "").beside(text) for text in _searches(selection, search, by, rows[by])]
    line = {"width": 3, "color": VERMILLION}
    for name, symbol, label in (("median", "circle", _("median")), ("p95", "line-ns-open", _("95th percentile"))):
        drawing.points(
            x=np.log2(np.maximum(rows[name].to_numpy(float), edges[0])),
            y=names,
            mode="markers",
            name=label,
            marker={"symbol": symbol, "size": 12 if name == "median" else 18, "color": VERMILLION, "line": line},
            customdata=[
                [q, voice.seconds(value), voice.number(n)] for q, value, n in zip(searches, rows[name], rows["n"], strict=True)
            ],
            hovertemplate="%{y}<br>" + voice.labelled(label, "%{customdata[1]}, n = %{customdata[2]}") + "<extra></extra>",
        )  # fmt: skip
    ticks = [
        value for value in (0.1, 1, 5, 20, 60, 300, 1_200, 3_600, 14_400) if edges[places[0]] <= value <= edges[places[-1] + 1]
    ]
    drawing.x(tickvals=np.log2(ticks) if ticks else None, ticktext=[voice.seconds(value) for value in ticks])
    drawing.y(autorange="reversed", type="category")
    what = (
        _("Time from the request to the stored result; the stronger the color, the more operations.")
        if waited
        else _("Computing time reported by the provider; the stronger the color, the more operations.")
    )
    caption = sentence(
        voice,
        tally,
        what,
        voice.ngettext(
            "{count} without this time (or without a model) is not counted.",
            "{count} without this time (or without a model) are not counted.",
            tally.missing,
        ),
    )
    table = tally.table.drop(columns="bins")
    return Chart(key, title, caption, drawing.figure(), table, tally.n)


def _bins(line: Any, places: Any, edges: Any, voice: ChartFormatter) -> list[str]:
    """Return how many lie in each bin of times, in words."""
    ends = [voice.seconds(edge) for edge in edges[places[0] : places[-1] + 2]]
    return [
        voice.labelled(f"{low} – {high}", voice.number(n)) for low, high, n in zip(ends, ends[1:], line[places], strict=False)
    ]


# -- how dear ------------------------------------------------------------------------------------------------------------


def _about(tally: usage_tables.Tally, voice: ChartFormatter) -> str:
    """Return which part of a cost is an estimate, and what stands in other currencies."""
    _ = voice.say
    estimated, others = tally.extra["estimated"], tally.extra["others"]
    sentences = []
    if estimated:
        sentences.append(
            voice.ngettext("{count} of these costs is an estimate.", "{count} of these costs are estimates.", estimated)
        )
    if others:
        sentences.append(
            voice.ngettext("{count} in another currency is not counted.", "{count} in other currencies are not counted.", others)
        )
    return " ".join(sentences)


def cost_over_time(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """What was spent over time, on results and on failures."""
    _ = voice.say
    tally = usage_tables.cost_over_time(selection)
    title = _("Cost over time")
    if not tally:
        return empty("cost-over-time", title, _("No operation here records its cost."), tally)
    currency = tally.extra["currency"]
    totals = [voice.money(value, currency) for value in tally.table[list(OUTCOMES)].sum(axis=1)]
    drawing = _stacked(selection, tally, search, voice, totals, currency or " ")
    spent = float(tally.table[list(OUTCOMES)].to_numpy().sum())
    lost = float(tally.table["failed"].sum())
    what = _("{total} in all, {lost} of it on failures.").format(
        total=voice.money(spent, currency), lost=voice.money(lost, currency)
    )
    lacking = voice.ngettext(
        "{count} without a cost (or a date) is not counted.", "{count} without a cost (or a date) are not counted.", tally.missing
    )
    caption = " ".join(filter(None, (sentence(voice, tally, what, lacking), _about(tally, voice))))
    return Chart("cost-over-time", title, caption, drawing.figure(), tally.table, tally.n)


def cost_by_model(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """What each model cost, in all and per result."""
    _ = voice.say
    tally = usage_tables.cost_by(selection, "model")
    title = _("Cost by model")
    if not tally:
        return empty("cost-by-model", title, _("No operation here records its cost and its model."), tally)
    currency = tally.extra["currency"]
    rows = tally.table.head(GROUPS)
    drawing = Drawing(bars_height(len(rows)) + 10 * len(rows), barmode="stack", legend=legend())
    names = distinct([short(name) for name in rows["model"]])
    priced, failed, stopped = Mark("cost", currency or "", ""), OUTCOMES["failed"], OUTCOMES["stopped"]
    good = _searches(selection, search, "model", rows["model"], (*failed, *stopped))
    bad, given_up = (_searches(selection, search, "model", rows["model"], status=ends) for ends in (failed, stopped))
    parts = [
        ((rows["cost"] - rows["on_failures"] - rows["on_stopped"]).round(9).clip(lower=0), _("on results"), BLUE, good),
        (rows["on_failures"], _("on failures"), OUTCOME_COLOURS["failed"], bad),
    ]
    if rows["on_stopped"].any():
        parts.append((rows["on_stopped"], outcome_name("stopped", voice), OUTCOME_COLOURS["stopped"], given_up))
    for values, label, colour, searches in parts:
        drawing.bar(
            y=names,
            x=values,
            orientation="h",
            name=label,
            marker={"color": colour},
            customdata=[[priced.beside(q), voice.money(value, currency)] for q, value in zip(searches, values, strict=True)],
            hovertemplate="%{y}<br>" + voice.labelled(label, "%{customdata[1]}") + "<extra></extra>",
        )
    for name, total, each in zip(names, rows["cost"], rows["per_success"], strict=True):
        per = _("{money} a result").format(money=voice.money(each, currency)) if each == each else _("no result")
        drawing.note(x=1.02, xref="paper", y=name, text=f"{voice.money(total, currency)}<br>{per}")
    drawing.room(150)
    drawing.y(autorange="reversed", type="category")
    drawing.x(rangemode="tozero", visible=False)
    what = _("Spending by model and per result; the price of a result includes the failures.")
    caption = sentence(
        voice,
        tally,
        what,
        voice.ngettext(
            "{count} without a cost or a model is not counted.",
            "{count} without a cost or a model are not counted.",
            tally.missing,
        ),
    )
    return Chart(
        "cost-by-model", title, " ".join(filter(None, (caption, _about(tally, voice)))), drawing.figure(), tally.table, tally.n
    )
