"""Exports of 100,000 operations (OPSTORE_BENCH_N: of others) by the command line: time, and memory against a tenth of them.

Each export is a process of its own, so that its greatest memory is its own; media are empty files, and Excel has no pictures. The
yardstick is the specification's way: reading every JSON, which is what any export must do at least.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench import Table, corpus, file_system

ROOT = Path(__file__).resolve().parents[1]
FORMATS = ("csv", "jsonl", "parquet", "xlsx", "zip")
#: Reads every sidecar and keeps none.
READING = "import sys, json, pathlib\nfor p in pathlib.Path(sys.argv[1], 'operations').glob('*.json'): json.loads(p.read_bytes())"


def run() -> Iterable[Table]:
    """Measure on the disk that the checkout lies on."""
    count = int(os.environ.get("OPSTORE_BENCH_N", "100000"))
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as place:
        yield measured(Path(place), count)


def measured(place: Path, count: int) -> Table:
    """Export a tenth of the operations and all of them in every format, and lay out what it took."""
    folders = {count // 10: place / "tenth", count: place / "all"}
    for size, folder in folders.items():
        corpus.write(folder, size)
        process([sys.executable, "-m", "opstore", "search", "--limit", "1", "--data", str(folder)])  # the index, once
    reading, _memory = process([sys.executable, "-c", READING, str(folders[count])])
    rows = [["reading every JSON", f"{reading:.1f} s", "", "", "", ""]]
    for name in FORMATS:
        out = place / f"out.{name}"
        command = [sys.executable, "-m", "opstore", "export", "--force", "--output", str(out), "--data"]
        _seconds, small = process([*command, str(folders[count // 10])])
        seconds, large = process([*command, str(folders[count])])
        written = out.stat().st_size / 1e6
        memory = f"{large:.0f} MB"
        rows.append(
            [name, f"{seconds:.1f} s", f"{seconds / reading:.1f} ×", f"{written:.1f} MB", memory, f"{large / small:.2f} ×"]
        )
    return Table(
        f"{count:,} operations exported, on {file_system(place)}",
        ("", "time", "of reading", "file", "greatest memory", "of that at a tenth"),
        rows,
    )


def process(command: list[str]) -> tuple[float, float]:
    """Run a command and return its seconds and its greatest memory in MB; raise RuntimeError where it fails."""
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _pid, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command[:5])} ended with {child.returncode}")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kB here
    return time.perf_counter() - began, used.ru_maxrss / unit
