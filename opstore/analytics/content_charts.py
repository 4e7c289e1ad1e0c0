"""The charts of what for and by which way: words, parameters, hours, routing, ratings, storage, as `usage_charts` are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta, tzinfo
from typing import Any

import pandas as pd
from babel.dates import format_date

from opstore.analytics import content_tables, usage_tables
from opstore.analytics.chart import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
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
)  # fmt: skip
from opstore.analytics.drilldown import Mark
from opstore.analytics.selection import OUTCOMES, TENTHS, UNRATED, Selection
from opstore.analytics.usage_charts import GROUPS
from opstore.index.search_language import with_words
from opstore.index.terms import parted
from opstore.language.chart_formatter import ChartFormatter

_MONDAY = date(2024, 1, 1)
_WHITE = {"textfont": {"color": "#fff"}}


def words(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """The commonest words of prompts."""
    _ = voice.say
    tally = content_tables.top_words(selection, 15)
    title = _("Words in prompts")
    if not len(tally.table):
        return empty("words", title, _("No prompt here contains words."), tally)
    drawing = Drawing(bars_height(len(tally.table)) - 40)
    drawing.bar(
        y=tally.table["word"],
        x=tally.table["n"],
        orientation="h",
        marker={"color": BLUE},
        text=[voice.number(n) for n in tally.table["n"]],
        customdata=[_of_word(word, search) for word in tally.table["word"]],
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    drawing.y(autorange="reversed", type="category")
    drawing.x(visible=False, rangemode="tozero")
    what = _("How many operations have the word in their prompt; accents do not count, small words are left out.")
    caption = sentence(voice, tally, what, voice.ngettext("{count} has no words.", "{count} have no words.", tally.missing))
    return Chart("words", title, caption, drawing.figure(), tally.table, tally.n)


def _of_word(word: str, search: Search) -> str | None:
    """Return what finds a word: not by a search where that would look for its letters, within longer words as well."""
    return with_words(search.text, word) if parted(word) == word else Mark("word", word, "").beside(search.text)


def parameters(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """Which parameters were used, with which values."""
    _ = voice.say
    tally = content_tables.parameters(selection)
    title = _("Parameters used")
    if not tally:
        return empty("parameters", title, _("No operation here has parameters."), tally)
    rows = content_tables.choices(tally, 14)
    names = [voice.parameter(name, value) for name, value in zip(rows["parameter"], rows["value"], strict=True)]
    drawing = Drawing(bars_height(len(rows)) - 40)
    colours = {
        name: colour
        for name, colour in zip(
            dict.fromkeys(rows["parameter"]), (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION) * 3, strict=False
        )
    }
    drawing.bar(
        y=distinct([short(name, 34) for name in names]),
        x=rows["n"],
        orientation="h",
        marker={"color": [colours[name] for name in rows["parameter"]]},
        text=[voice.number(n) for n in rows["n"]],
        customdata=[Mark("parameter", *pair).beside(search.text) for pair in zip(rows["parameter"], rows["value"], strict=True)],
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    drawing.y(autorange="reversed", type="category")
    drawing.x(visible=False, rangemode="tozero")
    what = _("Most common values of the most common parameters; seeds and texts are not counted.")
    caption = sentence(voice, tally, what, voice.ngettext("{count} has none.", "{count} have none.", tally.missing))
    return Chart("parameters", title, caption, drawing.figure(), tally.table, tally.n)


def mark_name(mark: Mark, voice: ChartFormatter) -> str:
    """Return what is behind a mark, as a heading."""
    if mark.kind == "parameter":
        return short(voice.parameter(mark.name, mark.value), 60)
    if mark.kind == "hour":
        day, hour = divmod(int(mark.value), 24)
        return f"{format_date(_MONDAY + timedelta(day), 'EEEE', locale=voice.language)}, {voice.hour(hour)} ({mark.name})"
    _ = voice.say
    if mark.kind in ("proposed", "sure"):
        sure = voice.interval(int(mark.value) / TENTHS, (int(mark.value) + 1) / TENTHS)
        if mark.kind == "sure":
            return _("confidence of the analysis: {sure}").format(sure=sure)
        return _("Suggested: {type}, confidence {sure}").format(type=short(voice.type_name(mark.name)), sure=sure)
    if mark.kind == "prompt":
        return _("the prompt “{prompt}”, in any spelling").format(prompt=short(mark.name, 60))
    if mark.kind == "word":
        return _("the word “{word}”, by itself").format(word=short(mark.name, 60))
    if mark.kind == "cost":
        return _("with a cost in {currency}").format(currency=short(mark.name)) if mark.name else _("with a cost in no currency")
    return {
        "predict_seconds": _("with a known computing time"),
        "inputs": _("with a known size of input images"),
        "intermediates": _("with a known size of intermediates"),
        "images": _("with a known image size"),
        "videos": _("with a known video size"),
    }[mark.name]


def _edges() -> list[str]:
    return [f"{at * 10}–{at * 10 + 10}" for at in range(TENTHS)]


def rhythm(selection: Selection, search: Search, voice: ChartFormatter, zone: tzinfo = UTC) -> Chart:
    """Hours and weekdays, in the viewer's zone."""
    _ = voice.say
    tally = usage_tables.rhythm(selection, zone)
    title = _("Hours and weekdays")
    if not tally:
        return empty("rhythm", title, _("No operation here has a date."), tally)
    days = [format_date(_MONDAY + timedelta(day), "EEE", locale=voice.language) for day in range(7)]
    drawing = Drawing(240)
    drawing.heat(
        x=list(range(24)), y=days, z=tally.table.to_numpy(), xgap=2, ygap=2, hoverinfo="skip",
    )  # fmt: skip
    held = [(day, hour, n) for day, line in enumerate(tally.table.to_numpy().tolist()) for hour, n in enumerate(line) if n]
    drawing.targets(
        x=[hour for _day, hour, _n in held],
        y=[days[day] for day, _hour, _n in held],
        customdata=[
            [Mark("hour", str(zone), str(day * 24 + hour)).beside(search.text), voice.number(n), voice.hour(hour)]
            for day, hour, n in held
        ],
        hovertemplate=voice.labelled("%{y}, %{customdata[2]}", "%{customdata[1]}") + "<extra></extra>",
    )
    drawing.y(autorange="reversed", type="category", showgrid=False)
    drawing.x(tickvals=list(range(0, 24, 3)), ticktext=[voice.hour(hour) for hour in range(0, 24, 3)], showgrid=False)
    what = _("When operations were requested, in the time zone {zone}; the stronger the color, the more.").format(zone=str(zone))
    caption = sentence(
        voice,
        tally,
        what,
        voice.ngettext("{count} without a date is not counted.", "{count} without a date are not counted.", tally.missing),
    )
    table = pd.DataFrame(
        tally.table.to_numpy(), index=pd.Index(days, name="weekday"), columns=[voice.hour(hour) for hour in range(24)]
    )
    return Chart("rhythm", title, caption, drawing.figure(), table.reset_index(), tally.n)


# -- routing -------------------------------------------------------------------------------------------------------------


def calibration(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """How sure the analysis was, against how often people kept its choice."""
    _ = voice.say
    tally = content_tables.calibration(selection)
    title = _("Is the analysis right when it is confident?")
    if not tally:
        return empty(
            "calibration",
            title,
            _("No operation here records how confident the analysis was and whether its suggestion was kept."),
            tally,
        )
    rows = tally.table[tally.table["n"] > 0]
    middle = rows["low_edge"] + 0.05
    drawing = Drawing(300, legend=legend())
    diagonal = {"dash": "dot", "color": GREY, "width": 1}
    drawing.points(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, name=_("perfectly calibrated"), hoverinfo="skip")
    texts = [voice.rate(*values) for values in rows[["kept", "n", "low", "high"]].itertuples(index=False)]
    tenths = [Mark("sure", "", str(round(low * TENTHS))) for low in rows["low_edge"]]
    searches = [mark.beside(search.text) for mark in tenths]
    tried = [mark.beside(search.narrowed(without={"status": OUTCOMES[UNRATED]})) for mark in tenths]
    drawing.points(
        x=middle,
        y=rows["share"],
        mode="markers+lines",
        name=_("suggestion kept"),
        marker={"size": 10, "color": BLUE},
        line={"color": BLUE, "width": 1},
        error_y={
            "type": "data", "symmetric": False, "array": rows["high"] - rows["share"], "arrayminus": rows["share"] - rows["low"],
            "color": BLUE,
        },
        customdata=[[q, text, voice.number(n)] for q, text, n in zip(searches, texts, rows["n"], strict=True)],
        hovertemplate=voice.labelled(_("suggestion kept"), "%{customdata[1]}, n = %{customdata[2]}") + "<extra></extra>",
    )  # fmt: skip
    ended = zip(tried, rows["succeeded"], rows["tried"], strict=True)
    drawing.points(
        x=middle,
        y=rows["success"],
        mode="markers",
        name=_("with a result"),
        marker={"symbol": "diamond-open", "size": 11, "color": GREEN, "line": {"width": 2}},
        customdata=[[q, voice.number(k), voice.number(n)] for q, k, n in ended],
        hovertemplate=voice.labelled(_("with a result"), "%{customdata[1]} / %{customdata[2]}") + "<extra></extra>",
    )  # fmt: skip
    percent = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "ticktext": [voice.share(value) for value in (0, 0.25, 0.5, 0.75, 1)]}
    drawing.x(range=[0, 1.02], title={"text": _("confidence of the analysis")}, **percent)
    drawing.y(range=[0, 1.05], **percent)
    drawing.room(24)  # else the last number of the scale has none
    what = _("Share of suggestions kept, by confidence, with its 95% interval, and the share that gave a result.")
    caption = sentence(
        voice, tally, what, voice.ngettext("{count} has no such analysis.", "{count} have no such analysis.", tally.missing)
    )
    return Chart("calibration", title, caption, drawing.figure(), tally.table, tally.n)


def workflows(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """Which types were proposed, and how surely."""
    _ = voice.say
    tally = content_tables.workflows(selection)
    title = _("Suggestions and their confidence")
    if not tally:
        return empty("workflows", title, _("No operation here records which type was suggested."), tally)
    rows = tally.table.head(GROUPS)
    edges = _edges()
    drawing = Drawing(bars_height(len(rows)) + 30)
    cells = rows.to_numpy()
    names = distinct([short(voice.type_name(str(name))) for name in rows.index])
    drawing.heat(
        x=edges, y=names, z=cells, xgap=2, ygap=2,
        hoverinfo="skip",
    )  # fmt: skip
    every = [(at, tenth, n) for at, line in enumerate(cells.tolist()) for tenth, n in enumerate(line) if n]
    dark = cells.max() * 0.3
    # On full blue only white is read; elsewhere the theme's own colour.
    for held, style in (([cell for cell in every if cell[2] <= dark], {}), ([cell for cell in every if cell[2] > dark], _WHITE)):
        drawing.targets(
            x=[edges[tenth] for _at, tenth, _n in held],
            y=[names[at] for at, _tenth, _n in held],
            text=[voice.number(n) for _at, _tenth, n in held],
            customdata=[
                [
                    Mark("proposed", str(rows.index[at]), str(tenth)).beside(search.text),
                    voice.number(n),
                    voice.interval(tenth / TENTHS, (tenth + 1) / TENTHS),
                ]
                for at, tenth, n in held
            ],
            hovertemplate=voice.labelled("%{y}, %{customdata[2]}", "%{customdata[1]}") + "<extra></extra>",
            meta={"columns": TENTHS},
            **style,
        )
    drawing.y(autorange="reversed", type="category", showgrid=False)
    drawing.x(title={"text": _("confidence, in percent")}, type="category", showgrid=False, tickvals=edges[::3], tickangle=0)
    caption = sentence(
        voice,
        tally,
        _("How often each type was suggested, by confidence of the analysis."),
        voice.ngettext("{count} has no suggestion.", "{count} have no suggestion.", tally.missing),
    )
    table = tally.table.rename_axis("workflow_id").set_axis(edges, axis=1).reset_index()
    return Chart("workflows", title, caption, drawing.figure(), table, tally.n)


# -- opinions, storage ---------------------------------------------------------------------------------------------------

STARS = ("#B35806", "#E08214", "#BDBDBD", "#8DB8DA", "#0072B2")


def ratings(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """Stars by model."""
    _ = voice.say
    tally = content_tables.ratings(selection)
    title = _("Ratings by model")
    if not tally:
        return empty("ratings", title, _("No operation here is rated."), tally)
    rows = tally.table.head(GROUPS)
    names = distinct([short(name) for name in rows["model"]])
    drawing = Drawing(bars_height(len(rows)), barmode="stack")
    for star in range(1, 6):
        drawing.bar(
            y=names,
            x=rows[f"stars_{star}"] / rows["n"],
            orientation="h",
            name=f"{star} ★",
            text=[f"{star} ★" if n else "" for n in rows[f"stars_{star}"]],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            marker={"color": STARS[star - 1]},
            customdata=[
                [search.named(selection, "model", name, rating=[str(star)]), voice.number(n)]
                for name, n in zip(rows["model"], rows[f"stars_{star}"], strict=True)
            ],
            hovertemplate=voice.labelled("%{y}, " + "★" * star, "%{customdata[1]}") + "<extra></extra>",
        )
    for name, mean, n in zip(names, rows["mean"], rows["n"], strict=True):
        text = _("mean {mean}, n = {n}").format(mean=voice.number(mean, 1), n=voice.number(n))
        drawing.note(x=1.02, xref="paper", y=name, text=text)
    drawing.room(130)
    drawing.y(autorange="reversed", type="category")
    drawing.x(range=[0, 1], visible=False)
    caption = sentence(
        voice,
        tally,
        _("Ratings given to each model's results."),
        voice.ngettext(
            "{count} without a rating or a model is not counted.",
            "{count} without a rating or a model are not counted.",
            tally.missing,
        ),
    )
    return Chart("ratings", title, caption, drawing.figure(), tally.table, tally.n)


def win_rates(selection: Selection, search: Search, voice: ChartFormatter, votes: Sequence[Mapping[str, Any]] = ()) -> Chart:
    """How likely each model wins a blind vote, with its interval."""
    _ = voice.say
    tally = content_tables.wins(selection, votes)
    title = _("Win rates by model")
    if not tally.n:
        return empty("wins", title, _("No blind vote compared two models. To vote, select operations in the Library."), tally)
    rows = tally.table.head(GROUPS)
    names = distinct([short(name) for name in rows["model"]])
    ends = rows[["low", "high"]].to_numpy("float64").tolist()
    told = [voice.interval(low, high) for low, high in ends]
    behind = [
        [search.named(selection, "model", name), text, voice.number(n)]
        for name, text, n in zip(rows["model"], told, rows["votes"], strict=True)
    ]
    drawing = intervals(names, rows["rate"], rows["low"], rows["high"], behind, voice)
    what = _(
        "How likely a result of each model beats another model's in a blind vote, with its 95% interval, "
        "ordered by the low end; n counts votes."
    )
    leads = _("A point leads to all operations of its model.")
    caption = sentence(
        voice,
        tally,
        f"{what} {leads}",
        voice.ngettext(
            "{count} vote on other operations, or between two of one model, is not counted.",
            "{count} votes on other operations, or between two of one model, are not counted.",
            tally.missing,
        ),
    )
    return Chart("wins", title, caption, drawing.figure(), tally.table, tally.n)


def _stored(kind: str, search: Search, start: Any) -> str | None:
    return Mark("says", kind, "").beside(search.narrowed(**search.period(pd.Timestamp(start), "month")))


def storage(selection: Selection, search: Search, voice: ChartFormatter) -> Chart:
    """Bytes by kind and month, and what they add up to."""
    _ = voice.say
    tally = content_tables.storage(selection)
    title = _("Storage by month")
    if not tally:
        return empty("storage", title, _("No operation here records how large its files are."), tally)
    names = {
        "inputs": _("input images"),
        "intermediates": _("intermediates"),
        "images": _("images"),
        "videos": _("videos"),
    }
    drawing = Drawing(280, barmode="stack", legend=legend(), bargap=gap(len(tally.table)))
    months = [voice.day(start, "month") for start in tally.table["start"]]
    for kind, colour in zip(content_tables.KINDS, (GREY, SKY, BLUE, PURPLE), strict=True):
        values = tally.table[kind]
        if values.any():
            drawing.bar(
                x=months,
                y=values,
                name=names[kind],
                marker={"color": colour},
                customdata=[
                    [_stored(kind, search, start), voice.size(value), voice.size(total)]
                    for start, value, total in zip(tally.table["start"], values, tally.table["total"], strict=True)
                ],
                hovertemplate="%{x}<br>"
                + voice.labelled(names[kind], "%{customdata[1]}")
                + "<br>"
                + voice.labelled(_("cumulative"), "%{customdata[2]}")
                + "<extra></extra>",
            )
    drawing.scale(float(tally.table[list(content_tables.KINDS)].sum(axis=1).max()), voice.size)
    # Four at most: on a phone there is room for no more.
    marked = months[:: max(1, -(-len(months) // 4))]
    drawing.x(type="category", tickvals=marked, ticktext=marked, tickangle=0)
    total = float(tally.table["total"].iloc[-1])
    last = float(tally.table[list(content_tables.KINDS)].iloc[-1].sum())
    what = _("{total} in all, {last} of it in the last month.").format(total=voice.size(total), last=voice.size(last))
    caption = sentence(
        voice,
        tally,
        what,
        voice.ngettext(
            "{count} without a size (or a date) is not counted.",
            "{count} without a size (or a date) are not counted.",
            tally.missing,
        ),
    )
    return Chart("storage", title, caption, drawing.figure(), tally.table, tally.n)
