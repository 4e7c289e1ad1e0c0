"""What a paid job costs beyond the provider's own time: 200 queued jobs, 20 at a time, against the stand-in of Replicate's API.

The stand-in runs as a process of its own and enforces Replicate's limits (600 creates and 3,000 other requests a minute); the app
is the real one with its own pauses. "From succeeded" begins with the moment at which the prediction ended at the provider, which
the app learns of only at its next poll; "from seen" leaves that wait out: download, check, media and sidecar made durable.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench import Table, file_system, percentile
from opstore.app import App, Settings
from opstore.fetch import FetchPolicy
from opstore.providers import Prediction
from opstore.service import NewOperation
from opstore.storage.operation import parse_time
from tests.replicate_standin import StandInProcess
from tests.standin.client import set_up

JOBS, AT_ONCE = 200, 20
START, RUN = 0.5, 3.0
LONGEST = 600.0


def run() -> Iterable[Table]:
    """Measure on the disk that the checkout lies on: in memory a sync would cost nothing."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=Path(__file__).resolve().parents[1]) as place,
        StandInProcess(start=START, run=RUN, enforce_rates=True) as standin,
    ):
        yield measured(Path(place), standin)


def measured(folder: Path, standin: StandInProcess, jobs: int = JOBS, at_once: int = AT_ONCE) -> Table:
    """Queue the jobs, let the app do them, and lay out what was seen."""
    policy = FetchPolicy(hosts=(), origins=(standin.delivery_url,))
    app = App(Settings(data=folder / "data", environment=set_up(standin.token, standin.url), policy=policy))
    app.service.change_preferences(parallel=at_once)
    seen, stored = watch(app)
    ids = [app.service.create(NewOperation("text_to_image", f"a calm sea, number {n}")) for n in range(jobs)]
    began = time.monotonic()
    app.start()
    while app.service.count_jobs() and time.monotonic() - began < LONGEST:
        time.sleep(0.05)
    took = time.monotonic() - began
    app.stop()
    return laid_out(app, ids, (seen, stored), took, standin.report())


def watch(app: App) -> tuple[dict[str, float], dict[str, float]]:
    """Return two notes that fill as it goes: when each prediction was seen to have ended, and when each operation was stored."""
    seen: dict[str, float] = {}
    stored: dict[str, float] = {}
    provider = app.runner._around.providers["replicate"]
    status = provider.status

    def noting(prediction_id: str) -> Prediction:
        found = status(prediction_id)
        if found.ended:
            seen.setdefault(prediction_id, time.time())
        return found

    setattr(provider, "status", noting)  # noqa: B010 # an assignment mypy refuses: only looked at, for this run
    app.store.listeners.append(lambda operation_id: stored.update({operation_id: time.time()}))
    return seen, stored


def laid_out(
    app: App, ids: Sequence[str], times: tuple[dict[str, float], dict[str, float]], took: float, report: dict[str, Any]
) -> Table:
    """Check that every job was stored and paid once, and return the times."""
    seen, stored = times
    ends = [app.service.operation(name) for name in ids if name in stored]
    good = [operation for operation in ends if operation.status == "stored" and operation.outputs]
    from_succeeded, from_seen = [], []
    for operation in good:
        step = operation.sidecar["steps"][0]
        succeeded = parse_time(step["completedAt"])
        assert succeeded is not None
        from_succeeded.append(stored[operation.id] - succeeded.timestamp())
        from_seen.append(stored[operation.id] - seen[step["predictionId"]])
    busiest = report["busiest_minute"]
    return Table(
        title=f"{len(ids)} jobs, {app.service.preferences().parallel} at a time, {START + RUN:g} s each at the provider, "
        f"{file_system(app.store.root)}",
        columns=("until stored", "p50", "p95", "longest"),
        rows=[row("from succeeded at the provider", from_succeeded), row("from seen by the app", from_seen)],
        notes=(
            f"stored {len(good)} of {len(ids)}, creates accepted {report['creates_accepted']}, {took:.1f} s in all",
            f"busiest minute: {busiest['create']} creates (limit 600), {busiest['other']} other requests (limit 3,000); "
            f"requests in all: {', '.join(f'{count} {verb}' for verb, count in sorted(report['requests'].items()))}",
        ),
    )


def row(name: str, seconds: Sequence[float]) -> tuple[str, str, str, str]:
    """Word one line of the table."""
    shown = [percentile(seconds, share) for share in (0.5, 0.95, 1.0)] if seconds else [float("nan")] * 3
    return name, f"{shown[0]:.3f} s", f"{shown[1]:.3f} s", f"{shown[2]:.3f} s"
