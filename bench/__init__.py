"""Measurements of what opstore is to be fast at: each module has a `run()` that returns tables; `make bench` prints them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
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
    load = os.getloadavg()[0]
    return (
        f"{platform.system()} {platform.release()}, {platform.machine()}, {cores} cores, "
        f"Python {platform.python_version()}, load {load:.1f} before the start"
    )


def file_system(folder: Path) -> str:
    """Say on which kind of disk a folder lies."""
    done = subprocess.run(["df", "-PT", str(folder)], capture_output=True, text=True, timeout=10, check=False)
    words = done.stdout.splitlines()[-1].split() if done.returncode == 0 else []
    return f"{words[1]} on {words[0]}" if len(words) > 1 else "an unknown file system"
