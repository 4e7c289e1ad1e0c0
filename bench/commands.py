"""What a shell waits for: `opstore list`, `search`, `show` and `stats` in fresh processes, beside Python itself in turns.

At 100,000 operations (OPSTORE_BENCH_N=1000000 for a million), with an index that is as new as the folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from bench import Line, Table, count_wanted, file_system, in_turns, milliseconds, percentile, table_of, timed
from bench.analytics import corpus
from opstore import Store
from opstore.index import Index

ROOT = Path(__file__).resolve().parents[1]
ROUNDS, LIMIT = 7, 0.35


def run() -> Iterable[Table]:
    """Measure over the corpus of the charts."""
    count = count_wanted()
    with corpus(count) as folder:
        yield table_of(f"commands, {count:,} operations, {file_system(folder)}", lines(folder))


def lines(folder: Path) -> Iterator[Line]:
    """Yield a line a command; of `stats` the first, which reads all, beside those that follow."""
    index = Index(Store(folder))
    index.catch_up()
    newest = index.search(size=1).rows[0].id
    index.stop()
    first = timed(lambda: asked(folder, "stats", "--since", "1900-01-01"))
    commands = {"list": ["list"], "search": ["search", "la"], "show": ["show", newest], "stats": ["stats"]}
    asked(folder, "stats")
    acts = [partial(asked, folder, *words) for words in commands.values()]
    seconds = in_turns(ROUNDS, python, *acts)
    bare = milliseconds(percentile(seconds[0], 0.5))
    for name, times in zip(commands, seconds[1:], strict=True):
        median, worst = percentile(times, 0.5), max(times)
        processor = processor_seconds(partial(asked, folder, *commands[name]))
        what = f"opstore {name}" + (", asked before" if name == "stats" else "")
        figure = f"{milliseconds(median)}, worst {milliseconds(worst)}, computing {milliseconds(processor)}"
        yield Line(what, "0.35 s", figure, f"python -c pass {bare}", median <= LIMIT)
    yield Line("opstore stats, asked for the first time", "0.35 s", milliseconds(first), "", first <= LIMIT)


def asked(folder: Path, *words: str) -> None:
    """Ask one command, and throw away what it says."""
    command = [sys.executable, "-m", "opstore", *words, "--data", str(folder)]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


def processor_seconds(act: Callable[[], object]) -> float:
    """Return the processor's time of the processes that an act starts: what it takes on a machine that has nothing else to do."""
    before = os.times()
    act()
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def python() -> None:
    """Start Python, and do nothing."""
    subprocess.run([sys.executable, "-c", "pass"], cwd=ROOT, check=True)
