"""What a usage report tells, as numbers: the rows of a period, and the same of the period before; tables come from the analytics.

The five statistics that the storage specification names are here under its names: operations by type, mean time per operation,
most used prompts, rates of success and failure, and the report itself.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from opstore.analytics import content_tables, usage_tables
from opstore.analytics.queries import Analytics, Period
from opstore.analytics.selection import Selection
from opstore.analytics.usage_tables import Tally
from opstore.errors import InvalidRequest, OpstoreError, said
from opstore.index.search_language import parse, with_values
from opstore.media.thumbnails import Thumbnails, small_jpeg
from opstore.storage.operation import Operation
from opstore.storage.store import Store

#: Longest side of a picture in a report, in pixels: about 3 kB each.
SIDE = 96


@dataclass(frozen=True)
class Usage:
    """What a search finds. `before` is the same search in the period of the same length before, None where it has no beginning.

    `period` are the days that the search asks for (UTC), None where it asks for none; `problems` counts sidecars that could not
    be read; `votes` are rows of blind reviews; `picture` returns a small JPEG of an operation's result, None where no pictures
    are wanted.
    """

    selection: Selection
    before: Selection | None
    period: Period | None
    query: str
    problems: int
    now: datetime
    votes: Sequence[Mapping[str, Any]] = ()
    picture: Callable[[str], bytes | None] | None = None


def usage(
    analytics: Analytics,
    query: str = "",
    *,
    since: date | None = None,
    until: date | None = None,
    now: datetime,
    votes: Sequence[Mapping[str, Any]] = (),
    picture: Callable[[str], bytes | None] | None = None,
) -> Usage:
    """Return the usage that a search of the library's language finds, in the days from `since` to `until` where given.

    Raise InvalidQuery that points at a mistake in the search, InvalidRequest for a period that ends before it begins.
    """
    if since and until and since > until:
        raise InvalidRequest(reason=said("the period ends before it begins"))
    parse(query)
    if since or until:
        query = with_values(query, "date", [f"{since or ''}..{until or ''}"])
    held = analytics.held()
    before = analytics.before(query)
    return Usage(
        selection=analytics.select(query, held),
        before=None if before is None else analytics.select(before, held),
        period=analytics.period(query),
        query=query,
        problems=held.problems,
        now=now,
        votes=votes,
        picture=picture,
    )


def pictures(store: Store, thumbnails: Thumbnails) -> Callable[[str], bytes | None]:
    """Return what finds the small picture of an operation's result; what is in the trash, or cannot be read, has none."""

    def small(operation_id: str) -> bytes | None:
        with contextlib.suppress(OpstoreError):
            name = Operation.of(store.get_operation_metadata(operation_id)).output
            path = thumbnails.path(name) if name else None
            return small_jpeg(path, SIDE) if path else None
        return None

    return small


def rows_of(tally: Tally) -> list[Any]:
    """Return the rows of a table; their columns are attributes."""
    return list(tally.table.itertuples(index=False))


def mean_seconds(selection: Selection) -> float | None:
    """Return the mean elapsed time of the operations that say one, None if none does."""
    values = selection.number("elapsed_seconds")
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None


def mean_times(selection: Selection) -> Tally:
    """Return per type: n, mean, median, p95 of the elapsed time; most first."""
    found = usage_tables.times(selection, "operation_type")
    names, sums = selection.base.codes("operation_type")[1], selection.total("elapsed_seconds", "operation_type")
    table = found.table.drop(columns="bins")
    table.insert(2, "mean", [sums[names.index(name)] / n for name, n in zip(table["operation_type"], table["n"], strict=True)])
    return Tally(table, found.n, found.missing)


def computed(selection: Selection) -> Tally:
    """Return per type: n, median, p95 of the computing time that providers reported; most first."""
    found = usage_tables.times(selection, "operation_type", "predict_seconds")
    return Tally(found.table.drop(columns="bins"), found.n, found.missing)


def proposals(selection: Selection) -> Tally:
    """Return per proposed type how often it was proposed with each tenth of confidence: workflow_id, tenth_0 … tenth_9."""
    found = content_tables.workflows(selection)
    table = found.table.add_prefix("tenth_").rename_axis("workflow_id").reset_index()
    return Tally(table, found.n, found.missing)


#: What a report, and `stats --json`, tell beside the headline: name in the JSON, and the table.
TABLES: dict[str, Callable[[Selection], Tally]] = {
    "operationsByType": lambda chosen: usage_tables.by_category(chosen, "operation_type"),
    "meanTimeByType": mean_times,
    "mostUsedPrompts": content_tables.top_prompts,
    "topWords": content_tables.top_words,
    "errors": usage_tables.errors,
    "overTime": usage_tables.over_time,
    "costByModel": lambda chosen: usage_tables.cost_by(chosen, "model"),
    "costOverTime": usage_tables.cost_over_time,
    "byModel": lambda chosen: usage_tables.by_category(chosen, "model"),
    "ratingsByModel": content_tables.ratings,
    "calibration": content_tables.calibration,
    "parameters": content_tables.parameters,
    "computedByType": lambda chosen: computed(chosen),
    "confidenceByProposal": lambda chosen: proposals(chosen),
    "storageByMonth": content_tables.storage,
}


def document(figures: Usage) -> dict[str, Any]:
    """Return everything that is told as plain JSON types; what is not known is null."""
    head = dict(usage_tables.headline(figures.selection))
    head["mean_seconds"] = mean_seconds(figures.selection)
    tried, succeeded = head["tried"] or 0, head["succeeded"] or 0
    head["success_rate"] = succeeded / tried if tried else None
    head["failure_rate"] = (tried - succeeded) / tried if tried else None
    bounds = usage_tables.span(figures.selection)
    sections = {
        "asOf": figures.now.isoformat(),
        "search": figures.query,
        "first": bounds[0].isoformat() if bounds else None,
        "last": bounds[1].isoformat() if bounds else None,
        "unreadable": figures.problems,
        "headline": head,
        "before": usage_tables.headline(figures.before) if figures.before is not None else None,
    }
    for name, make in TABLES.items():
        tally = make(figures.selection)
        rows = json.loads(tally.table.to_json(orient="records", date_format="iso"))
        sections[name] = {"rows": rows, "n": tally.n, "missing": tally.missing} | tally.extra
    wins = content_tables.wins(figures.selection, figures.votes)
    sections["winRatesByModel"] = {"rows": wins.table.to_dict("records"), "n": wins.n, "missing": wins.missing}
    plain: dict[str, Any] = _plain(sections)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
