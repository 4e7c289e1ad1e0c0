"""`stats`: the figures of a period in the terminal, as JSON, or as a report in one HTML file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import opstore
from opstore.cli.common import caught_up, print_json, printable, store_of, verb
from opstore.cli.kept_answers import KeptAnswers
from opstore.storage.files import Folder

if TYPE_CHECKING:
    from opstore.index import Index
    from opstore.report import Usage

#: Raise this where the same operations come to be counted or worded in another way: answers that are kept are then found anew.
_COUNTED = 1


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    telling = verb(verbs, "stats", _stats, "show volume, success, speed, cost, prompts and storage")
    telling.add_argument("query", metavar="QUERY", nargs="*", help="of what, as for search (default: everything)")
    telling.add_argument("--since", type=_day, metavar="DAY", help="from this day on, such as 2025-11-01 (UTC)")
    telling.add_argument("--until", type=_day, metavar="DAY", help="to this day, which is included")
    telling.add_argument("--report", metavar="FILE", help="write a report instead: one HTML file, to look at, send or print")
    telling.add_argument("--language", choices=("en", "fr"), default="en", help="of the report (default en)")
    telling.add_argument("--no-pictures", action="store_true", help="leave the small pictures of results out of the report")
    telling.add_argument("--force", action="store_true", help="write over a report that exists")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2025-11-01") from None


def _stats(options: argparse.Namespace) -> int:
    from opstore.index import Index
    from opstore.index.search_language import parse

    query = " ".join(options.query)
    parse(query)  # a mistake is told at once, not after a first look at a million files
    index = Index(store_of(options))
    caught_up(index)
    now = datetime.now(UTC)
    if options.report:
        return _report(options, _usage(options, index, query, now))
    kept = KeptAnswers(index.store.cache)
    question = ["stats", options.json, query, str(options.since), str(options.until)]
    state = _state(index, now)
    answer = kept.get(question, state)
    if answer is None:
        figures = _usage(options, index, query, now)
        answer = _document(figures) if options.json else list(_lines(figures))
        caught_up(index)  # what has gone meanwhile is to be seen: the answer tells prompts
        if _state(index, now) == state:  # else nobody can tell of which of the two it is
            kept.keep(question, state, answer)
    if options.json:
        print_json({"success": True} | answer | {"asOf": now.isoformat()})
    else:
        for line in answer:
            print(line)
    return 0


def _state(index: Index, now: datetime) -> list[Any]:
    """Return all that an answer follows from beside its question: another one wherever any of it is another.

    Of the index the version that a rebuild changes too, of blind reviews their files, the day from which periods are counted, and
    who counts.
    """
    files = Folder(index.store.root / "reviews").states()
    votes = sorted([name, state.st_ino, state.st_size, state.st_mtime_ns] for name, state in files)
    return [index.version(), len(index.problems()), votes, now.date().isoformat(), opstore.__version__, _COUNTED]


def _document(figures: Usage) -> dict[str, Any]:
    from opstore.report import document

    return document(figures)


def _usage(options: argparse.Namespace, index: Index, query: str, now: datetime) -> Usage:
    from opstore.analytics.queries import Analytics
    from opstore.comparing.reviews import Reviews
    from opstore.media.thumbnails import Thumbnails
    from opstore.report import pictures, usage

    analytics = Analytics(index)
    figures = usage(
        analytics,
        query,
        since=options.since,
        until=options.until,
        now=now,
        votes=Reviews(index.store, index).rows(),
        picture=pictures(index.store, Thumbnails(index.store)) if options.report and not options.no_pictures else None,
    )
    analytics.save()
    return figures


def _report(options: argparse.Namespace, figures: Usage) -> int:
    from opstore.exports import put
    from opstore.report import DocumentFormatter, html

    size = put(
        [html(figures, DocumentFormatter(options.language, _zone())).encode()], Path(options.report), replace=options.force
    )
    if options.json:
        print_json({"success": True, "file": options.report, "bytes": size, "operations": len(figures.selection)})
    else:
        print(f"{printable(options.report)}: {len(figures.selection):,} operations. Open it in a browser; print it there as PDF.")
    return 0


def _zone() -> tzinfo:
    """Return this machine's time zone by its name, where it has one: today's offset from UTC is not that of half a year ago."""
    from babel.localtime import LOCALTZ

    return LOCALTZ if isinstance(LOCALTZ, ZoneInfo) and LOCALTZ.key else datetime.now().astimezone().tzinfo or UTC


# -- for people ----------------------------------------------------------------------------------------------------------


def _lines(figures: Usage) -> Iterator[str]:
    """Yield what a terminal shows: headline figures, then the statistics of the storage specification by name, then costs."""
    from opstore.analytics import content_tables, usage_tables
    from opstore.report import DocumentFormatter
    from opstore.report.usage import mean_seconds, mean_times, rows_of

    chosen, say = figures.selection, DocumentFormatter()
    head, money = usage_tables.headline(chosen), usage_tables.main_cost(chosen)
    bounds = usage_tables.span(chosen)
    yield f"Operations     {len(chosen):,}" + (f"   {bounds[0]:%Y-%m-%d} to {bounds[1]:%Y-%m-%d} (UTC)" if bounds else "")
    tried, good = head["tried"] or 0, head["succeeded"] or 0
    if tried:
        interval = say.interval(head["low"] or 0.0, head["high"] or 0.0)
        yield f"With a result  {say.share(good / tried)} ({good:,} of {tried:,}; 95 %: {interval})"
    mean, median = say.seconds(mean_seconds(chosen)), say.seconds(head["median_seconds"])
    yield f"Time           mean {mean}, median {median} (of {head['timed']:,})"
    spent = say.money(head["cost"], money.currency) if money.n else "unknown"
    unknown = len(chosen) - money.n - money.others
    others = f", {money.others:,} in other currencies" if money.others else ""
    yield f"Cost           {spent} (of {money.n:,}; {money.estimated:,} estimated, {unknown:,} unknown{others})"
    if figures.before is not None:
        yield f"Period before  {len(figures.before):,} operations"
    if figures.problems:
        yield f"Left out       {figures.problems:,} sidecars that cannot be read; `verify` lists them"
    kinds = usage_tables.by_category(chosen, "operation_type")
    yield from _table(
        "Operations by type, rates of success and failure",
        ("type", "operations", "success", "95 %", "failure"),
        [
            (r.operation_type, f"{r.n:,}", say.share(r.share), say.interval(r.low, r.high), say.share(1 - r.share))
            for r in rows_of(kinds)
        ],
    )
    yield from _table(
        "Mean time per operation",
        ("type", "operations", "mean", "median", "95 of 100 within"),
        [
            (r.operation_type, f"{r.n:,}", say.seconds(r.mean), say.seconds(r.median), say.seconds(r.p95))
            for r in rows_of(mean_times(chosen))
        ],
    )
    prompts = content_tables.top_prompts(chosen, 10)
    yield from _table(
        "Most used prompts",
        ("prompt", "operations", "with a result"),
        [(" ".join(str(r.prompt).split())[:70], f"{r.n:,}", f"{r.succeeded:,} of {r.tried:,}") for r in rows_of(prompts)],
    )
    yield from _table(
        "Failures by cause",
        ("cause", "operations", "for example"),
        [(r.error_kind, f"{r.n:,}", " ".join(str(r.example or "").split())[:60]) for r in rows_of(usage_tables.errors(chosen))],
    )
    yield from _table(
        "Cost by model",
        ("model", "operations", "cost", "on failures", "per result"),
        [
            (
                r.model,
                f"{r.n:,}",
                say.money(r.cost, money.currency),
                say.money(r.on_failures, money.currency),
                say.money(r.per_success, money.currency),
            )
            for r in rows_of(usage_tables.cost_by(chosen, "model"))
        ],
    )


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table under its title, nothing where it has no rows; stored text in it can do nothing to a terminal."""
    if not rows:
        return
    lines = [[printable(str(cell)) for cell in row] for row in [names, *rows]]
    widths = [max(len(line[at]) for line in lines) for at in range(len(names))]
    yield f"\n{title}"
    for line in lines:
        # Texts to the left, numbers to the right.
        texts = [at == 0 or name == "for example" for at, name in enumerate(names)]
        cells = [cell.ljust(width) if text else cell.rjust(width) for cell, width, text in zip(line, widths, texts, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()
