"""Measurements of what opstore is to be fast at: each module has a `run()` that returns tables; `make bench` prints them."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """What one module measured: a title, the columns' names, the rows, and notes on how it was done."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        """Lay it out in columns: the first to the left, numbers to the right."""
        lines = [list(self.columns), *map(list, self.rows)]
        widths = [max(len(line[number]) for line in lines) for number in range(len(self.columns))]

        def laid_out(line: list[str]) -> str:
            first, *rest = line
            return "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])

        body = [laid_out(lines[0]), "  ".join("-" * width for width in widths), *map(laid_out, lines[1:])]
        return "\n".join([self.title, *body, *self.notes])


@dataclass(frozen=True)
class Line:
    """A figure beside what it is to be, and beside the yardstick that was measured in turns with it; `holds`: None if unknown."""

    name: str
    target: str
    figure: str
    yardstick: str = ""
    holds: bool | None = None


def table_of(title: str, lines: Iterable[Line], notes: Sequence[str] = ()) -> Table:
    """Lay out lines, each with whether it holds."""
    told = {True: "yes", False: "NO", None: "?"}
    rows = [(line.name, line.target, line.figure, line.yardstick, told[line.holds]) for line in lines]
    return Table(title, ("", "target", "measured", "yardstick", "holds"), rows, notes)


def count_wanted(default: int = 100_000) -> int:
    """Return how many operations the corpus is to have: a number on the command line, OPSTORE_BENCH_N, else the `default`."""
    return int(os.environ.get("OPSTORE_BENCH_N") or default)


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that `act` takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def in_turns(rounds: int, *acts: Callable[[], object]) -> list[list[float]]:
    """Return the seconds of each act, in turns: whatever else the machine does meets all. Each round begins with another one."""
    seconds: list[list[float]] = [[] for _ in acts]
    for number in range(rounds):
        for place in range(len(acts)):
            at = (place + number) % len(acts)
            seconds[at].append(timed(acts[at]))
    return seconds


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies: 0.5 is the median."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def milliseconds(seconds: float) -> str:
    """Word a time."""
    return f"{seconds * 1000:.2f} ms"


def machine() -> str:
    """Say on what it was measured."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    return f"{platform.system()} {platform.release()}, {platform.machine()}, {cores} cores, Python {platform.python_version()}"


#: Of the processors' time: with less of it idle, others are at work, and a figure says as much about them.
_ALONE = 0.9
_LOOK_SECONDS = 1.0


def company(when: str) -> str:
    """Say how busy the machine is while nothing is measured, and where it is not alone; takes a second."""
    idle, load = _idle(), os.getloadavg()[0]
    if idle is None:
        return f"{when}: load {load:.1f}"
    return f"{when}: load {load:.1f}, {idle:.0%} idle{'' if idle >= _ALONE else ' - NOT ALONE'}"


def _idle() -> float | None:
    """Return the share of the processors' time in which nobody computes, in the next second; None where Linux does not say it."""

    def told() -> list[int]:
        return [int(word) for word in Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:]]

    try:
        before = told()
        time.sleep(_LOOK_SECONDS)
        spent = [new - old for new, old in zip(told(), before, strict=True)]
    except (OSError, ValueError):
        return None
    return (spent[3] + spent[4]) / max(1, sum(spent[:8]))  # idle and waiting for a disk; of guests' time it is a part of user's


def file_system(folder: Path) -> str:
    """Say on which kind of disk a folder lies."""
    done = subprocess.run(["df", "-PT", str(folder)], capture_output=True, text=True, timeout=10, check=False)
    words = done.stdout.splitlines()[-1].split() if done.returncode == 0 else []
    return f"{words[1]} on {words[0]}" if len(words) > 1 else "an unknown file system"
