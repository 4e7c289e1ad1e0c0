"""How long a job waits for its provider: by the steady clock, or by two stamps of the provider's own, never by the wall's.

Somebody may set the wall clock at any moment, and it may have been wrong all the time: no paid job ends on its word.
"""

from __future__ import annotations

from datetime import timedelta

from opstore.job import Step
from opstore.operation import parse_time
from opstore.providers import Provider

#: Replicate deletes outputs of API predictions one hour after they are made.
RETENTION = timedelta(hours=1)
#: A prediction that nobody could ask for this long after it was sent is over, and its result deleted: 30 minutes it may run.
LOST = timedelta(hours=2)
#: However long ago it was sent, it is asked for in vain so long before it is given up: a machine that wakes has no network yet.
ASKED = timedelta(minutes=10)
#: A request whose body may have arrived whole was probably accepted: its absence from the list counts so many times later, since
#: a list may be answered by a copy that lags behind.
LAG = 6


def settling(provider: Provider, *, whole: bool) -> float:
    """Return the seconds after a request has ended until its absence from the list counts; `whole`: it may have left whole."""
    return provider.settle_seconds * (LAG if whole else 1)


def is_lost(step: Step, provider: Provider, failing: float) -> bool:
    """Say whether a prediction is given up that could not be asked for since `failing` seconds."""
    if failing < ASKED.total_seconds():
        return False
    sent, passed, begun = step.sent.ago() if step.sent else None, provider.now(), parse_time(step.started_at)
    known = [failing, sent or 0.0, (passed - begun).total_seconds() if passed and begun else 0.0]
    return max(known) > LOST.total_seconds()


def is_over(step: Step, provider: Provider | None, trying: float) -> bool:
    """Say whether the provider keeps a result no longer, which was tried for in vain since `trying` seconds."""
    now, completed = provider.now() if provider else None, parse_time(step.completed_at)
    return trying > RETENTION.total_seconds() or bool(now and completed and now - completed > RETENTION)
