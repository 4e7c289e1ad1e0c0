"""The first opening of a folder that nobody has read, in the layout of the original backend: index and frame together, against
reading and decoding each sidecar once. 100,000 operations (OPSTORE_BENCH_N=1000000 for a million).

OPSTORE_BENCH_DIR names a folder to make the corpus in once and keep; OPSTORE_BENCH_LAYOUT=own has it in the layout of today.
What processors computed is printed beside the time: on a machine that is not alone it says more.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bench import Table, file_system, percentile
from bench.corpus import write
from bench.index import ROOT, decode_all
from opstore import Store
from opstore.analytics import READING
from opstore.analytics.shared_frame import Holder
from opstore.index import Index, parallel

ROUNDS = 3


def run() -> Iterable[Table]:
    """Measure the parts in turns."""
    count = int(os.environ.get("OPSTORE_BENCH_N", "100000"))
    is_original = os.environ.get("OPSTORE_BENCH_LAYOUT") != "own"
    with corpus(count, is_original) as folder:
        layout = "the original's layout" if is_original else "today's layout"
        yield opening(Store(folder), count, f"{count:,} operations, {layout}, {file_system(folder)}")


@contextlib.contextmanager
def corpus(count: int, is_original: bool) -> Iterator[Path]:
    """Lend a data folder of so many operations."""
    kept = os.environ.get("OPSTORE_BENCH_DIR")
    with contextlib.ExitStack() as stack:
        place = Path(kept) if kept else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT)))
        folder = place / f"{'original-' if is_original else ''}{count}"
        if not (folder / "made").exists():
            write(folder, count, is_original=is_original)
            (folder / "made").touch()
        yield folder


def measured(act: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that `act` takes, and those that it and the processes it waits for compute."""
    start, before = time.perf_counter(), computed()
    act()
    return time.perf_counter() - start, computed() - before


def computed() -> float:
    """Return the seconds that this process and its children have computed."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def opening(store: Store, count: int, where: str) -> Table:
    """Reading and decoding alone; the index for itself, then the frame by reading again; both of one reading."""
    seen: dict[str, list[tuple[float, float]]] = {}

    def note(name: str, act: Callable[[], object]) -> None:
        seen.setdefault(name, []).append(measured(act))

    for _ in range(1 if count > 200_000 else ROUNDS):
        note("reading and decoding alone, 4 threads", lambda: decode_all(store))
        for program in (parallel.PROGRAM, READING):
            shutil.rmtree(store.cache, ignore_errors=True)
            index = Index(store, program=program)
            is_one = program == READING
            note("index, which reads for both" if is_one else "index, for itself", index.update)
            holder = Holder(index)
            note("then the frame, of the same reading" if is_one else "then the frame, reading again", holder.held)
            index.stop()
    times = {
        name: (percentile([one for one, _ in pairs], 0.5), percentile([it for _, it in pairs], 0.5))
        for name, pairs in seen.items()
    }
    alone, *_ = times.values()
    names = list(times)
    for label, pair in (("both, reading twice", names[1:3]), ("both, reading once (aim: 2)", names[3:5])):
        times[label] = (sum(times[name][0] for name in pair), sum(times[name][1] for name in pair))
    rows = [
        (name, f"{wall:.1f} s", f"{wall / alone[0]:.2f}", f"{work:.1f} s", f"{work / count * 1e6:.0f} µs")
        for name, (wall, work) in times.items()
    ]
    sizes = [(store.cache / name).stat().st_size / count for name in ("index.db", "frame.arrow")]
    note_of_sizes = f"index {sizes[0]:.0f}, frame {sizes[1]:.0f} bytes an operation (aim: at most 400 each)"
    columns = ("", "seconds", "ratio", "computed", "an operation")
    return Table(f"first opening, warm, {where}", columns, rows, (note_of_sizes,))
