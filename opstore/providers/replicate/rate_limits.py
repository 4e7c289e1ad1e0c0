"""How often Replicate is asked: creates and other requests each within their limit, shared by all threads of the process.

Its limits are 600 creates and 3,000 other requests a minute, short bursts allowed. A bucket that holds a tenth and refills with
the rest keeps every single minute below them, not only the average.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from opstore.errors import RateLimited

Lane = Literal["create", "other"]

#: Replicate's limits a minute (replicate.com/docs/topics/predictions/rate-limits): of creates, and of all other requests.
CREATES, OTHERS = 600, 3000

#: Longest wait that is asked of a caller, and believed of a server: Replicate's own are 1 to 60 s, a proxy's may be a day.
MAX_RETRY_AFTER = 300.0
#: A request that would have to wait longer than this is given back as RateLimited instead of holding its thread.
MAX_WAIT = 10.0


@dataclass
class _Bucket:
    """Tokens for one lane; below zero they are owed by those who sleep."""

    capacity: float
    per_second: float
    tokens: float
    filled_at: float
    closed_until: float = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until one more token is there, after filling up to `now`."""
        self.tokens = min(self.capacity, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        return max((1.0 - self.tokens) / self.per_second, self.closed_until - now, 0.0)


@dataclass
class RateLimiter:
    """Lets requests through at a rate; one instance serves all that use the same account from this process."""

    creates_per_minute: int = CREATES
    others_per_minute: int = OTHERS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _buckets: dict[Lane, _Bucket] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Fill both buckets."""
        for lane, per_minute in (("create", self.creates_per_minute), ("other", self.others_per_minute)):
            burst = max(1.0, per_minute / 10)
            rate = max(per_minute - burst, per_minute / 2) / 60
            self._buckets[lane] = _Bucket(burst, rate, burst, self.clock())  # type: ignore[index]  # the two lanes, spelled above

    def acquire(self, lane: Lane) -> None:
        """Wait until one more request of `lane` may be sent; raise RateLimited where that is longer than MAX_WAIT."""
        with self._lock:
            bucket = self._buckets[lane]
            wait = bucket.wait(self.clock())
            if wait > MAX_WAIT:
                raise RateLimited(seconds=math.ceil(wait))
            bucket.tokens -= 1.0
        if wait > 0:
            self.sleep(wait)

    def pause(self, lane: Lane, seconds: float) -> None:
        """Send nothing of `lane` for `seconds`: the server asked for it, and asking again would only lengthen it."""
        with self._lock:
            bucket = self._buckets[lane]
            bucket.closed_until = max(bucket.closed_until, self.clock() + min(seconds, MAX_RETRY_AFTER))


@dataclass
class Polled:
    """Counts the predictions that are being polled, over the time in which each is looked at once at least."""

    _seen: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, prediction_id: str, now: float, ended: bool = False) -> None:
        """Remember that a prediction was looked at, until it has ended."""
        with self._lock:
            self._seen[prediction_id] = now
            if ended:
                del self._seen[prediction_id]

    def count(self, now: float) -> int:
        """Return how many predictions were looked at in the last 15 s: the longest delay is 6 s, for up to 200 of them."""
        with self._lock:
            self._seen = {key: seen for key, seen in self._seen.items() if now - seen < 15.0}
            return len(self._seen)


def poll_delay(age_seconds: float, jobs_running: int = 1, chance: Callable[[], float] = random.random) -> float:
    """Return the seconds until a job of this age should be looked at again.

    Half a second at first, 5 s from the age of 45 s on, and never so often that `jobs_running` jobs together need more than four
    fifths of the limit. Up to a fifth more by chance, so that jobs started together drift apart.
    """
    wanted = min(5.0, 0.5 + max(0.0, age_seconds) / 10)
    fair = max(1, jobs_running) * 60 / (OTHERS * 0.8)
    return max(wanted, fair) * (1 + 0.2 * chance())
