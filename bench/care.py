"""What the care of a folder costs: the survey and a cleanup's plan, a first backup and one of nothing new, and the way back.

The yardstick of a backup is what a person would do otherwise on the same disk in the same run: `cp -a` and a `sync`, which copies
everything each time; of a second backup, `cp -a` again.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import Table, corpus, file_system
from opstore import Store
from opstore.care import Care, Rule, survey
from opstore.index import Index
from opstore.storage.preferences import Preferences
from opstore.storage.trash import Trash

OPERATIONS = 3_000
MEDIA_BYTES = 20_000


def run() -> Iterable[Table]:
    """Measure on the disk that the checkout lies on: in memory a sync would cost nothing."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path(__file__).resolve().parents[1]) as place:
        yield measured(Path(place))


def measured(folder: Path, count: int = OPERATIONS) -> Table:
    """Lay out each act's time, a time an operation, and the ratio to its yardstick."""
    store = Store(folder / "data")
    store.initialize_storage()
    corpus.write(store.root, count, media=False)
    for number, sidecar in enumerate(store.iterate()):
        for file in sidecar["files"]:
            (store.operations.path / file["name"]).write_bytes(number.to_bytes(4, "big") * (MEDIA_BYTES // 4))
    subprocess.run(["sync"], check=True)
    care = Care(store, Index(store), Trash(store), Preferences)
    target = str(folder / "vault")
    files = sum(1 for _ in store.operations.sizes())
    rows = [
        row("survey", timed(lambda: survey(store)), count),
        row("plan of a cleanup", timed(lambda: care.cleanup.plan(Rule())), count),
    ]
    copied = timed(lambda: copy(store.root, folder / "copy-1"))
    first = timed(lambda: care.back_up(target))
    time.sleep(4)  # what changed this lately is read again, and this is not what is measured
    settled = timed(lambda: care.back_up(target))
    second = timed(lambda: care.back_up(target))
    rows += [
        row("cp -a and sync", copied, count),
        row("first backup", first, count, copied),
        row("second, everything read again", settled, count, copied),
        row("third, nothing read but sidecars", second, count, copied),
    ]
    fresh = Store(folder / "fresh")
    back = Care(fresh, Index(fresh), Trash(fresh), Preferences)
    rows.append(row("restore, verified", timed(lambda: back.restore(target)), count, copied))
    notes = [f"{count:,} operations, {files:,} files, media of {MEDIA_BYTES / 1000:.0f} kB; {file_system(folder)}"]
    return Table("care of a folder", ("act", "seconds", "µs an operation", "× cp -a"), rows, notes)


def row(name: str, seconds: float, count: int, yardstick: float | None = None) -> list[str]:
    """Word one measurement."""
    return [name, f"{seconds:.2f}", f"{seconds / count * 1e6:,.0f}", f"{seconds / yardstick:.1f}" if yardstick else ""]


def timed(act: Callable[[], object]) -> float:
    """Return how many seconds an act takes."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


def copy(source: Path, target: Path) -> None:
    """Copy a folder as a person would, onto the disk."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    subprocess.run(["sync"], check=True)
