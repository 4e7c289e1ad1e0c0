"""Analytics at 100,000 operations (OPSTORE_BENCH_N=1000000 for a million): numbers and charts for a changed filter, and the
first opening in a fresh process, against reading every JSON and the same group-bys in DuckDB over Parquet.

The corpus has what charts ask for: computing times, bytes, analyses. OPSTORE_BENCH_DIR names a folder to make it in, and keep.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from bench import Table, count_wanted, file_system, milliseconds, percentile, timed
from bench.corpus import write
from opstore import Store
from opstore.analytics import content_charts, content_tables, load_frame, usage_charts, usage_tables
from opstore.analytics.chart import Search
from opstore.analytics.columns import COLUMNS
from opstore.analytics.queries import Analytics
from opstore.analytics.selection import Selection
from opstore.index import Index
from opstore.language.chart_formatter import ChartFormatter

ROOT = Path(__file__).resolve().parents[1]
ZONE = ZoneInfo("Europe/Paris")
ROUNDS = 5
#: Of more sidecars than these a part is read one by one: the tables of a million take all memory.
SAMPLE = 100_000
#: Each is met for the first time in every round: nothing of it is kept.
FILTERS = ("", "-type:unknown", "date:2025", "type:text_to_image", "la", "elapsed:>10", "status:failed", "plage rating:>=4")
NUMBERS: dict[str, Callable[[Selection], object]] = {
    "headline": usage_tables.headline,
    "over time": usage_tables.over_time,
    "by type": partial(usage_tables.by_category, name="operation_type"),
    "success by model": partial(usage_tables.by_category, name="model"),
    "errors": usage_tables.errors,
    "elapsed by type": partial(usage_tables.times, by="operation_type"),
    "computed by type": partial(usage_tables.times, by="operation_type", column="predict_seconds"),
    "cost over time": usage_tables.cost_over_time,
    "cost by model": usage_tables.cost_by,
    "top prompts": content_tables.top_prompts,
    "top words": content_tables.top_words,
    "parameters": content_tables.parameters,
    "hours and weekdays": partial(usage_tables.rhythm, zone=ZONE),
    "calibration": content_tables.calibration,
    "workflows": content_tables.workflows,
    "ratings": content_tables.ratings,
    "storage": content_tables.storage,
}
CHARTS = (
    *(usage_charts.over_time, usage_charts.by_type, usage_charts.success, usage_charts.errors, usage_charts.times),
    *(
        partial(usage_charts.times, column="predict_seconds"),
        usage_charts.cost_over_time,
        usage_charts.cost_by_model,
        content_charts.words,
    ),
    *(
        content_charts.parameters,
        partial(content_charts.rhythm, zone=ZONE),
        content_charts.ratings,
        content_charts.calibration,
        content_charts.workflows,
        content_charts.storage,
    ),
)
#: The same group-bys, each as one would write it; words and parameters are left out, which favours DuckDB.
SQL = (
    "SELECT count(*), sum(CASE WHEN status = 'stored' THEN 1 END), median(elapsed_seconds), sum(cost) FROM t WHERE {w}",
    "SELECT date_trunc('month', timestamp) AS m, status, count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT operation_type, status, count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT model, status, count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT error_kind, count(*), mode(error) FROM t WHERE {w} AND status <> 'stored' GROUP BY ALL",
    "SELECT operation_type, quantile_cont(elapsed_seconds, [0.5, 0.95]), count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT operation_type, quantile_cont(predict_seconds, [0.5, 0.95]), count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT date_trunc('month', timestamp) AS m, status, sum(cost) FROM t WHERE {w} GROUP BY ALL",
    "SELECT model, status, sum(cost), count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT prompt_key, count(*) AS n, avg(rating), sum(cost), first(prompt) FROM t WHERE {w} GROUP BY ALL"
    " ORDER BY n DESC LIMIT 12",
    "SELECT dayofweek(timestamp), hour(timestamp), count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT floor(confidence * 10), overridden, status, count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT workflow_id, floor(confidence * 10), count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT model, rating, count(*) FROM t WHERE {w} GROUP BY ALL",
    "SELECT date_trunc('month', timestamp) AS m, media, sum(bytes_in), sum(bytes_between), sum(bytes_out) FROM t WHERE {w}"
    " GROUP BY ALL",
)
WHERE = {"": "true", "-type:unknown": "operation_type <> 'unknown'", "date:2025": "year(timestamp) = 2025"}
#: As the page does it: the frame is loaded beside the rest.
OPENING = """
import sys, threading, time
start = time.perf_counter()
from opstore.analytics.queries import Analytics
from opstore.index import Index
desk = Analytics(Index.over(sys.argv[1]))
loading = threading.Thread(target=desk.held)
loading.start()
from bench.analytics import drawn
loading.join()
selection = desk.select("")
drawn(selection)
print(time.perf_counter() - start, time.process_time(), len(selection))
"""


def run() -> Iterable[Table]:
    """Measure over one corpus: the first building, the openings, the filters."""
    count = count_wanted()
    with corpus(count) as folder:
        store = Store(folder)
        where = f"{count:,} operations, {file_system(folder)}"
        index = Index(store)
        try:
            index.catch_up()
            naive = read_all(store)
            yield making(store, naive, where, count)
            yield filtering(index, naive, where)
        finally:
            index.stop()


@contextlib.contextmanager
def corpus(count: int) -> Iterator[Path]:
    """Lend a data folder of so many operations with all that charts ask for."""
    kept = os.environ.get("OPSTORE_BENCH_DIR")
    with contextlib.ExitStack() as stack:
        place = Path(kept) if kept else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT)))
        folder = place / f"analytics-{count}"
        if not (folder / "made").exists():
            write(folder, count, media=False, detailed=True)
            (folder / "made").touch()
        yield folder


def told(selection: Selection) -> None:
    """Tell every number of the page."""
    for tell in NUMBERS.values():
        tell(selection)


def drawn(selection: Selection) -> None:
    """Draw every chart of the page, as the browser gets it."""
    for draw in CHARTS:
        made = draw(selection, Search(), ChartFormatter("en"))
        if made.figure is not None:
            json.dumps(made.figure)
    usage_tables.headline(selection)
    content_tables.top_prompts(selection)


def read_all(store: Store) -> float:
    """Return the seconds of the way without a snapshot: every JSON, then a table; of very many a part is read, and scaled."""
    start = time.perf_counter()
    with os.scandir(store.operations.path) as entries:
        paths = [entry.path for entry in entries if entry.name.endswith(".json")]
    listed = time.perf_counter()
    rows = []
    for path in paths[:: max(1, len(paths) // SAMPLE)]:
        with open(path, "rb") as file:
            rows.append(json.loads(file.read()))
    pd.DataFrame(rows)
    return listed - start + (time.perf_counter() - listed) * len(paths) / len(rows)


def making(store: Store, naive: float, where: str, count: int) -> Table:
    """The first building, the opening in a fresh process, and reading every JSON instead."""
    path = store.cache / "frame.arrow"
    existed = path.exists()  # in a folder that is kept; it takes minutes at a million
    first = timed(lambda: load_frame(store))
    again = [timed(lambda: load_frame(store)) for _ in range(3)]
    command = [sys.executable, "-c", OPENING, str(store.root)]
    openings = [
        float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()[0]) for _ in range(3)
    ]
    opening = percentile(openings, 0.5)
    rows = [
        ("reading every JSON into pandas", f"{naive:.1f} s", "1"),
        *([] if existed else [("first building of the frame, two processes", f"{first:.1f} s", f"{naive / first:.1f}")]),
        ("the frame from its snapshot, this process", f"{percentile(again, 0.5):.2f} s", f"{naive / percentile(again, 0.5):.0f}"),
        ("fresh process: imports, frame, every chart drawn (aim: 3 s)", f"{opening:.2f} s", f"{naive / opening:.0f}"),
    ]
    notes = (f"read one by one: {SAMPLE:,} of them, scaled",) if count > SAMPLE else ()
    note = f"the snapshot has {path.stat().st_size / len(load_frame(store)):.0f} bytes an operation"
    return Table(f"the frame, {where}", ("", "seconds", "times faster (aim: 50)"), rows, (note, *notes))


def filtering(index: Index, naive: float, where: str) -> Table:
    """All numbers of the page for a filter that was not there before, warm, and all charts with them."""
    rows = []
    for one in filtered(index):
        ours = one.found + one.numbers
        duck = ("", "") if one.duck is None else (milliseconds(one.duck), f"{one.duck / ours:.2f}")
        times = map(milliseconds, (one.found, one.numbers, one.charts))
        rows.append((one.text or "everything", f"{one.count:,}", *times, f"{naive / ours:.0f}", *duck))
    base = Analytics(index).select("").base
    told(Selection(base))
    parts = [(timed(lambda tell=tell: tell(Selection(base))), name) for name, tell in NUMBERS.items()]  # type: ignore[misc]
    parts.sort(reverse=True)
    slow = "; ".join(f"{name} {milliseconds(seconds)}" for seconds, name in parts[:6])
    notes = (
        "times faster: found + numbers against reading every JSON into pandas (aim: 50); ours: found + numbers.",
        "found + numbers: aim 250 ms together; charts: the numbers once more, and every figure as JSON.",
        f"DuckDB {version('duckdb')} over Parquet, 15 group-bys on all cores, without words, parameters and charts.",
        f"slowest numbers of everything: {slow}",
    )
    columns = ("filter", "operations", "found", "numbers", "charts", "times faster", "DuckDB", "DuckDB / ours")
    return Table(f"every number of the page for a changed filter, warm, {where}", columns, rows, notes)


@dataclass(frozen=True)
class Filtered:
    """The median seconds of one filter: to find its rows, all numbers, all charts, and the same group-bys in DuckDB."""

    text: str
    count: int
    found: float
    numbers: float
    charts: float
    duck: float | None


def filtered(index: Index) -> Iterator[Filtered]:
    """Yield what each filter takes that was not there before, warm, DuckDB in turns with ours."""
    desk = Analytics(index)
    held = desk.held()
    base = desk.select("").base
    told(Selection(base))
    with parquet(held.frame) as connection:
        for text in FILTERS:
            finding, telling, drawing, theirs, count = [], [], [], [], 0
            for _ in range(ROUNDS):
                desk._selections.clear()
                start = time.perf_counter()
                found = desk.select(text, held)
                finding.append(time.perf_counter() - start)
                count = len(found)
                telling.append(timed(lambda found=found: told(found)))  # type: ignore[misc] # a loop's value
                fresh = Selection(base, found.rows)
                drawing.append(timed(lambda fresh=fresh: drawn(fresh)))  # type: ignore[misc] # a loop's value
                if text in WHERE:
                    theirs.append(duck(connection, WHERE[text]))
            found_in, told_in, drawn_in = (percentile(times, 0.5) for times in (finding, telling, drawing))
            yield Filtered(text, count, found_in, told_in, drawn_in, percentile(theirs, 0.5) if theirs else None)


@contextlib.contextmanager
def parquet(frame: pd.DataFrame) -> Iterator[Any]:
    """Lend DuckDB over the frame as a Parquet file."""
    import duckdb  # which the page does not load

    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as place:
        path = Path(place) / "frame.parquet"
        frame[[column.name for column in COLUMNS if column.kind != "texts"]].to_parquet(path, index=False)
        connection = duckdb.connect()
        connection.execute(f"CREATE VIEW t AS SELECT * FROM read_parquet('{path}')")
        yield connection
        connection.close()


def duck(connection: Any, where: str) -> float:
    """Return the seconds of the same group-bys in DuckDB."""
    return timed(lambda: [connection.execute(sql.format(w=where)).fetchall() for sql in SQL])
