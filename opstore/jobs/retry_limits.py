"""How long and how often a job tries its provider: by the steady clock, or two stamps of the provider's own, never the wall's.

Somebody may set the wall clock at any moment, and it may have been wrong all the time: no paid job ends on its word.
"""

from __future__ import annotations

import math
from datetime import timedelta

from opstore.errors import Said
from opstore.providers import Provider, registry
from opstore.storage.job import Job, Step
from opstore.storage.operation import parse_time

#: A request whose answer never came is looked for so long; then a person decides.
SOUGHT = timedelta(hours=1)
#: No prediction runs longer, twice what providers allow: one that nobody could ask for meanwhile is over, and its result deleted
#: once the time has passed for which the provider keeps it.
RUNS = timedelta(hours=1)
#: However long ago it was sent, it is asked for in vain so long before it is given up: a machine that wakes has no network yet.
ASKED = timedelta(minutes=10)
#: A request whose body may have arrived whole was probably accepted: its absence from the list counts so many times later, since
#: a list may be answered by a copy that lags behind.
LAG = 6
#: How often a result is fetched that cannot be read, or that its server says it does not have. What may pass is tried for as
#: long as the provider keeps it (`is_over`).
FETCH_ATTEMPTS = 5
#: How often a request is sent again that surely created nothing: the provider was not reached, or failed and has no record.
CREATE_ATTEMPTS = 12
#: How often one is sent again that was given up because no list showed it: each of these might have been accepted all the same.
DOUBTS = 3


def settling(provider: Provider, *, whole: bool) -> float:
    """Return the seconds after a request has ended until its absence from the list counts; `whole`: it may have left whole."""
    return provider.settle_seconds * (LAG if whole else 1)


def is_lost(step: Step, provider: Provider, failing: float) -> bool:
    """Say whether a prediction is given up that could not be asked for since `failing` seconds."""
    if failing < ASKED.total_seconds():
        return False
    sent, passed, begun = step.sent.ago() if step.sent else None, provider.now(), parse_time(step.started_at)
    known = [failing, sent or 0.0, (passed - begun).total_seconds() if passed and begun else 0.0]
    return max(known) > (RUNS + registry.keeps(step.provider)).total_seconds()


def is_over(step: Step, provider: Provider | None, trying: float) -> bool:
    """Say whether the provider keeps a result no longer, which was tried for in vain since `trying` seconds.

    What the provider itself has said of this result counts before what it does in general.
    """
    now, told, kept = provider.now() if provider else None, parse_time(step.fetch_by), registry.keeps(step.provider)
    if now and told:
        return now > told
    completed = parse_time(step.completed_at)
    return trying > kept.total_seconds() or bool(now and completed and now - completed > kept)


def kept_for(step: Step) -> Said:
    """Return in words for how long the provider of a step keeps results."""
    return registry.span(registry.keeps(step.provider))


def due(job: Job) -> float:
    """Return by when a job's result should be fetched, in seconds since the epoch; infinite while nobody has accepted it.

    It only puts jobs in order, so stamps of any clock will do.
    """
    step = job.step
    sent = step.sent.wall if step.sent and job.state != "queued" else None
    if told := parse_time(step.fetch_by):
        return told.timestamp()
    begun = parse_time(step.completed_at) or parse_time(step.started_at)
    since = begun.timestamp() if begun else sent
    return math.inf if since is None else since + registry.keeps(step.provider).total_seconds()
