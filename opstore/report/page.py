"""The report as one HTML file: nothing in it runs and nothing is loaded; what is stored is only ever text in it.

Static SVG, so that it opens anywhere, prints as it looks and weighs some tens of kilobytes. The policy in its head forbids
everything but its own style.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from opstore.analytics import content_tables, usage_tables
from opstore.analytics.usage_tables import Tally
from opstore.language.document_formatter import DocumentFormatter
from opstore.report import svg
from opstore.report.usage import Usage, computed, mean_seconds, mean_times, rows_of

STYLE = Path(__file__).with_name("report.css").read_text("utf-8")
MOST_ROWS = 15
_PAGE = Markup(
    '<!doctype html>\n<html lang="{}"><head><meta charset="utf-8">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
    "<title>{}</title><style>{}</style></head>\n<body><main>{}</main></body></html>\n"
)
_SECTION = Markup('<section><h2>{}</h2><p class="says">{}</p>{}{}</section>\n')
_NOTHING = Markup('<p class="nothing">{}</p>')
_FIGURE = Markup('<div class="figure"><span>{}</span><b>{}</b><small>{}</small></div>')
_CELL, _NUMBER, _HEAD = Markup("<td>{}</td>"), Markup('<td class="number">{}</td>'), Markup('<th scope="col" class="{}">{}</th>')
_TABLE = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>")
_ROW = Markup("<tr>{}</tr>")
_PICTURE = Markup('<img alt="" src="data:image/jpeg;base64,{}">')


def document(found: Usage, speech: DocumentFormatter) -> str:
    """Return the report of a usage."""
    return str(_Report(found, speech).page())


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and whether it holds numbers."""

    name: str
    number: bool = True


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | Markup]]) -> Markup:
    """Return a table of texts, and of markup of ours."""
    head = Markup("").join(_HEAD.format("number" if column.number else "", column.name) for column in columns)
    lines = (
        Markup("").join((_NUMBER if column.number else _CELL).format(text) for column, text in zip(columns, row, strict=True))
        for row in rows
    )
    return _TABLE.format(head, Markup("").join(_ROW.format(line) for line in lines))


class _Report:
    """One report being written."""

    def __init__(self, found: Usage, speech: DocumentFormatter) -> None:
        self._found = found
        self._chosen = found.selection
        self._say = speech
        self._ = speech.say

    def page(self) -> Markup:
        title = self._("Usage report")
        body = Markup("").join([self._heading(title), self._figures(), *self._sections(), self._ending()])
        return _PAGE.format(self._say.language, f"{title} · {self._period()}", Markup(STYLE), body)

    # -- the head --------------------------------------------------------------------------------------------------------

    def _heading(self, title: str) -> Markup:
        facts = [self._period()]
        if self._found.query:
            facts.append(self._("Search: {query}").format(query=self._found.query))
        facts.append(self._("As of {moment}").format(moment=self._say.minute(self._found.now, self._say.zone)))
        lines = Markup("").join(Markup("<p>{}</p>").format(fact) for fact in facts)
        return Markup("<header><h1>{}</h1>{}</header>\n").format(title, lines)

    def _period(self) -> str:
        period = self._found.period
        if period:
            return f"{self._say.day(period.first)} – {self._say.day(period.last)} (UTC)"
        bounds = usage_tables.span(self._chosen)
        return f"{self._say.day(bounds[0])} – {self._say.day(bounds[1])} (UTC)" if bounds else self._("No operations")

    def _figures(self) -> Markup:
        now = usage_tables.headline(self._chosen)
        before = usage_tables.headline(self._found.before) if self._found.before is not None else None
        share, past = _share(now), _share(before) if before else None
        low, high = now["low"], now["high"]
        spent = self._say.money(now["cost"], self._currency())
        figures = [
            (self._("Operations"), self._say.number(now["operations"] or 0), self._change(now, before, "operations")),
            (
                self._("With a result"),
                self._say.share(share),
                " · ".join(
                    filter(
                        None,
                        [
                            self._("95%: {interval}").format(interval=self._say.interval(low, high))
                            if now["tried"] and low is not None and high is not None
                            else "",
                            self._points(share, past),
                        ],
                    )
                ),
            ),
            (
                self._("Mean time per operation"),
                self._say.seconds(mean_seconds(self._chosen)),
                self._("median {time}, of {count}").format(
                    time=self._say.seconds(now["median_seconds"]), count=self._say.number(now["timed"] or 0)
                ),
            ),
            (
                self._("Cost"),
                spent if now["priced"] else self._("unknown"),
                self._("operations counted: {count}, of these estimated: {estimates}").format(
                    count=self._say.number(now["priced"] or 0), estimates=self._say.number(now["estimated"] or 0)
                ),
            ),
        ]
        return Markup('<div class="figures">{}</div>\n').format(Markup("").join(_FIGURE.format(*figure) for figure in figures))

    def _currency(self) -> str | None:
        return usage_tables.main_cost(self._chosen).currency

    def _change(self, now: dict[str, Any], before: dict[str, Any] | None, name: str) -> str:
        if before is None:
            return ""
        return self._("previous period: {count}").format(count=self._say.number(before[name] or 0))

    def _points(self, share: float | None, past: float | None) -> str:
        if share is None or past is None:
            return ""
        return self._("previous period: {share}").format(share=self._say.share(past))

    # -- sections --------------------------------------------------------------------------------------------------------

    def _sections(self) -> Iterator[Markup]:
        if not len(self._chosen):
            yield _NOTHING.format(self._("No operations in this period."))
            return
        yield self._by_type()
        yield self._over_time()
        yield self._success()
        yield self._times()
        yield self._computed()
        yield self._cost()
        yield self._cost_time()
        yield self._prompts()
        yield self._words()
        yield self._parameters()
        yield self._errors()
        yield self._rhythm()
        yield self._routing()
        yield self._proposals()
        yield self._ratings()
        yield self._wins()
        yield self._storage()

    def _section(self, title: str, says: str, tally: Tally, chart: Markup, rows: Markup | None = None, hidden: int = 0) -> Markup:
        """Return a section; what it leaves out is said with it, and if there is nothing, that is said instead.

        `hidden` are the lines that are too many to be shown.
        """
        if not tally:
            return _SECTION.format(title, says, _NOTHING.format(self._("None of the operations records it.")), "")
        counted = self._say.ngettext("{count} operation counted", "{count} operations counted", tally.n)
        missing = self._say.ngettext("{count} does not record it", "{count} do not record it", tally.missing)
        whole = self._("{says} {counted}; {missing}.") if tally.missing else self._("{says} {counted}.")
        told = [whole.format(says=says, counted=counted, missing=missing)]
        if hidden:
            told.append(self._say.ngettext("{count} rarer one is not shown.", "{count} rarer ones are not shown.", hidden))
        return _SECTION.format(title, " ".join(told), chart, rows or "")

    def _by_type(self) -> Markup:
        tally = usage_tables.by_category(self._chosen, "operation_type")
        title = self._("Operations by type")
        found, hidden = _top(tally)
        items = [svg.Bar(self._say.type_name(row.operation_type), row.n, self._say.number(row.n)) for row in found]
        says = self._("Number of operations of each type.")
        return self._section(title, says, tally, svg.bars(title, items), hidden=hidden)

    def _over_time(self) -> Markup:
        tally = usage_tables.over_time(self._chosen)
        title = ", ".join((self._("Operations over time"), self._say.unit(tally.extra["unit"])))
        chart = self._columns(title, tally, self._say.number)
        return self._section(title, self._("Operations by date requested (UTC) and outcome."), tally, chart)

    def _columns(self, title: str, tally: Tally, label_of: Any) -> Markup:
        frame = tally.table
        ticks = [self._say.tick(moment.to_pydatetime(), tally.extra["unit"]) for moment in frame["start"]]
        names = {"succeeded": self._("with a result"), "failed": self._("failed"), "stopped": self._("stopped")}
        series = [(names[kind], kind, [float(value) for value in frame[kind]]) for kind in names]
        return svg.columns(title, ticks, series, label_of)

    def _success(self) -> Markup:
        tally = usage_tables.success(self._chosen, "operation_type")
        title = self._("Success and failure rates")
        rows, hidden = _top(tally)
        items = [
            svg.Share(
                self._say.type_name(row.operation_type),
                row.share,
                row.low,
                row.high,
                self._("{share} of {count}").format(share=self._say.share(row.share), count=self._say.number(row.tried)),
            )
            for row in rows
        ]
        says = self._(
            "Share that ended with a result, among operations that were not canceled; the line is the 95% interval (Wilson)."
        )
        return self._section(title, says, tally, svg.shares(title, items, self._say.share), hidden=hidden)

    def _times(self) -> Markup:
        tally = mean_times(self._chosen)
        title = self._("Mean time per operation")
        rows, hidden = _top(tally)
        items = [svg.Bar(self._say.type_name(row.operation_type), row.mean, self._say.seconds(row.mean)) for row in rows]
        names = (self._("Type"), self._("Operations"), self._("Mean"), self._("Median"), self._("95th percentile"))
        lines = [
            (
                self._say.type_name(row.operation_type),
                self._say.number(row.n),
                self._say.seconds(row.mean),
                self._say.seconds(row.median),
                self._say.seconds(row.p95),
            )
            for row in rows
        ]
        says = self._("Time from the request to the stored result, waiting included.")
        return self._section(title, says, tally, svg.bars(title, items), table(_columns(names), lines), hidden)

    def _cost(self) -> Markup:
        tally = usage_tables.cost_by(self._chosen, "model")
        title, currency = self._("Cost by model"), tally.extra["currency"]
        rows, hidden = _top(tally)
        items = [svg.Bar(row.model, row.cost, self._say.money(row.cost, currency)) for row in rows]
        names = (
            self._("Model"),
            self._("Operations"),
            self._("Cost"),
            self._("On failures"),
            self._("Per result"),
            self._("Estimated"),
        )
        lines = [
            (
                row.model,
                self._say.number(row.n),
                self._say.money(row.cost, currency),
                self._say.money(row.on_failures, currency),
                self._say.money(row.per_success, currency),
                self._say.number(row.estimated),
            )
            for row in rows
        ]
        says = self._in_one_currency(self._("Spending by model, from the stored costs, estimates included."), tally)
        return self._section(title, says, tally, svg.bars(title, items), table(_columns(names), lines), hidden)

    def _cost_time(self) -> Markup:
        tally = usage_tables.cost_over_time(self._chosen)
        title = ", ".join((self._("Cost over time"), self._say.unit(tally.extra["unit"])))
        chart = self._columns(title, tally, lambda value: self._say.money(value, tally.extra["currency"]))
        says = self._in_one_currency(self._("Spending by date requested (UTC) and outcome."), tally)
        return self._section(title, says, tally, chart)

    def _in_one_currency(self, says: str, tally: Tally) -> str:
        others = tally.extra["others"]
        told = self._say.ngettext(
            "{count} in another currency is not counted.", "{count} in other currencies are not counted.", others
        )
        return f"{says} {told}" if others else says

    def _prompts(self) -> Markup:
        tally = content_tables.top_prompts(self._chosen)
        title, currency = self._("Most used prompts"), tally.extra["currency"]
        names = (self._("Prompt"), self._("Operations"), self._("With a result"), self._("Rating"), self._("Cost"))
        lines = [
            (
                svg.cut(str(row.prompt), 300),
                self._say.number(row.n),
                self._("{count} of {all}").format(count=self._say.number(row.succeeded), all=self._say.number(row.tried)),
                f"{self._say.number(row.rating, 1)} ({self._say.number(row.rated)})" if row.rated else "–",
                self._say.money(row.cost, currency) if row.priced else "–",
            )
            for row in rows_of(tally)
        ]
        says = self._(
            "Prompts that differ only in case, accents or punctuation count as one; different prompts: {count}."
        ).format(count=self._say.number(tally.extra["different"]))
        if self._found.picture is None:
            return self._section(title, says, tally, table(_columns(names), lines))
        pictures = [self._picture(row.example) for row in rows_of(tally)]
        columns = [Column("", False), *_columns(names)]
        return self._section(
            title, says, tally, table(columns, [(one, *line) for one, line in zip(pictures, lines, strict=True)])
        )

    def _words(self) -> Markup:
        tally = content_tables.top_words(self._chosen, MOST_ROWS)
        title = self._("Most used words")
        items = [svg.Bar(str(row.word), row.n, self._say.number(row.n)) for row in rows_of(tally)]
        return self._section(
            title, self._("Number of prompts with the word; small words are left out."), tally, svg.bars(title, items)
        )

    def _errors(self) -> Markup:
        tally = usage_tables.errors(self._chosen)
        title = self._("Failures by cause")
        found, hidden = _top(tally)
        items = [svg.Bar(self._say.cause(row.error_kind), row.n, self._say.number(row.n)) for row in found]
        names = [Column(self._("Cause"), False), Column(self._("Operations")), Column(self._("For example"), False)]
        lines = [
            (self._say.cause(row.error_kind), self._say.number(row.n), svg.cut(str(row.example or "–"), 240)) for row in found
        ]
        says = self._("Failed operations, their errors grouped by cause.")
        return self._section(title, says, tally, svg.bars(title, items), table(names, lines), hidden)

    def _rhythm(self) -> Markup:
        tally = usage_tables.rhythm(self._chosen, self._say.zone)
        title = self._("Hours and weekdays")
        from babel.dates import get_day_names

        days = [get_day_names("abbreviated", locale=self._say.language)[day] for day in range(7)]
        cells = [[int(value) for value in row] for row in tally.table.to_numpy()]
        chart = svg.heat(title, days, [self._say.hour(hour) for hour in range(24)], cells)
        says = self._("When operations were requested, in the time zone {zone}.").format(zone=str(self._say.zone))
        return self._section(title, says, tally, chart)

    def _routing(self) -> Markup:
        tally = content_tables.calibration(self._chosen)
        title = self._("Suggestions kept, by confidence of the analysis")
        items = [
            svg.Share(
                f"{self._say.number(row.low_edge * 100)} – {self._say.share(row.low_edge + 0.1)}",
                row.share,
                row.low,
                row.high,
                self._("{share} of {count}").format(share=self._say.share(row.share), count=self._say.number(row.n)),
            )
            for row in rows_of(tally)
            if row.n
        ]
        says = self._(
            "With well-calibrated confidence, proposals at 80% are kept 80% of the time; the line is the 95% interval (Wilson)."
        )
        return self._section(title, says, tally, svg.shares(title, items, self._say.share))

    def _ratings(self) -> Markup:
        tally = content_tables.ratings(self._chosen)
        title = self._("Ratings by model")
        found, hidden = _top(tally)
        items = [
            svg.Bar(str(row.model), row.mean, f"{self._say.number(row.mean, 1)} ★ ({self._say.number(row.n)})") for row in found
        ]
        says = self._("Mean rating and number of ratings.")
        return self._section(title, says, tally, svg.bars(title, items), hidden=hidden)

    def _computed(self) -> Markup:
        tally = computed(self._chosen)
        title = self._("Median computing time")
        rows, hidden = _top(tally)
        items = [svg.Bar(self._say.type_name(row.operation_type), row.median, self._say.seconds(row.median)) for row in rows]
        names = (self._("Type"), self._("Operations"), self._("Median"), self._("95th percentile"))
        lines = [
            (
                self._say.type_name(row.operation_type),
                self._say.number(row.n),
                self._say.seconds(row.median),
                self._say.seconds(row.p95),
            )
            for row in rows
        ]
        says = self._("Computing time reported by the providers, all steps together, without waiting.")
        return self._section(title, says, tally, svg.bars(title, items), table(_columns(names), lines), hidden)

    def _parameters(self) -> Markup:
        tally = content_tables.parameters(self._chosen)
        title = self._("Parameters used")
        shown: list[Any] = list(content_tables.choices(tally, MOST_ROWS).itertuples(index=False))
        items = [svg.Bar(self._say.parameter(row.parameter, row.value), row.n, self._say.number(row.n)) for row in shown]
        says = self._("Most common values of the most common parameters; seeds and texts are not counted.")
        return self._section(title, says, tally, svg.bars(title, items), hidden=len(tally.table) - len(shown))

    def _proposals(self) -> Markup:
        tally = content_tables.workflows(self._chosen)
        title = self._("Suggestions and their confidence")
        rows = tally.table.head(MOST_ROWS)
        names = [svg.cut(self._say.type_name(str(name)), 28) for name in rows.index]
        edges = [f"{at * 10}–{at * 10 + 10}" for at in range(10)]
        cells = [[int(value) for value in row] for row in rows.to_numpy()]
        says = self._("How often each type was suggested, by confidence of the analysis, in percent.")
        chart = svg.heat(title, names, edges, cells, svg.LABEL)
        return self._section(title, says, tally, chart, hidden=len(tally.table) - len(rows))

    def _wins(self) -> Markup:
        tally = content_tables.wins(self._chosen, self._found.votes)
        title = self._("Win rates by model")
        items = [
            svg.Share(
                str(row.model),
                row.rate,
                row.low,
                row.high,
                self._("{share}, n = {count}").format(share=self._say.share(row.rate), count=self._say.number(row.votes)),
            )
            for row in rows_of(tally)[:MOST_ROWS]
        ]
        says = self._(
            "How likely a result of each model beats another model's in a blind vote, with its 95% interval, "
            "ordered by the low end; n counts votes."
        )
        if not tally:
            return _SECTION.format(title, says, _NOTHING.format(self._("No blind vote compared two models.")), "")
        return _SECTION.format(title, says, svg.shares(title, items, self._say.share), "")

    def _picture(self, operation_id: str | None) -> Markup | str:
        data = self._found.picture(operation_id) if self._found.picture and operation_id else None
        return _PICTURE.format(base64.b64encode(data).decode()) if data else ""

    def _storage(self) -> Markup:
        tally = content_tables.storage(self._chosen)
        title = self._("Stored bytes per month")
        frame = tally.table
        ticks = [self._say.tick(moment.to_pydatetime(), "month") for moment in frame["start"]]
        names = {
            "inputs": self._("input images"),
            "intermediates": self._("intermediates"),
            "images": self._("images"),
            "videos": self._("videos"),
        }
        series = [(names[kind], kind, [float(value) for value in frame[kind]]) for kind in names]
        says = self._("File sizes, from the metadata.")
        return self._section(title, says, tally, svg.columns(title, ticks, series, self._say.size))

    def _ending(self) -> Markup:
        sentences = [
            self._("All figures come from the stored operations; what they do not record is left out, never counted as zero.")
        ]
        if self._found.problems:
            sentences.append(
                self._say.ngettext(
                    "{count} metadata file could not be read and is not in this report.",
                    "{count} metadata files could not be read and are not in this report.",
                    self._found.problems,
                )
            )
        return Markup("<footer>{}</footer>").format(" ".join(sentences))


def _top(tally: Tally) -> tuple[list[Any], int]:
    """Return the rows that are shown, and how many are not."""
    found = rows_of(tally)
    return found[:MOST_ROWS], max(0, len(found) - MOST_ROWS)


def _columns(names: Sequence[str]) -> list[Column]:
    """Return columns of which the first holds texts."""
    return [Column(name, at > 0) for at, name in enumerate(names)]


def _share(head: dict[str, Any]) -> float | None:
    return head["succeeded"] / head["tried"] if head["tried"] else None
