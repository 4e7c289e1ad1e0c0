"""How often a caller may ask: a moving minute for everything, and a much smaller number of wrong tokens.

A caller is an address (of IPv6 its network of 64 bits, which one customer has to himself), or the token that it holds. Counted in
this process only: a restart forgives.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from opstore.errors import OpstoreError

#: Wrong tokens that an address may send; then none of its requests with a token is looked at, right or wrong, or it could go on.
WRONG = parse("10/minute")


class Rates:
    """Counts the requests of each caller."""

    def __init__(self) -> None:
        """Have counted none."""
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def count(self, rate: str, caller: str) -> None:
        """Count one request of a caller; raise TooManyRequests where that is more than `rate` allows (empty: no limit)."""
        if rate:
            self._hit(_parsed(rate), caller)

    def check_tries(self, address: str) -> None:
        """Raise TooManyRequests where an address has sent too many wrong tokens."""
        if not self._window.test(WRONG, "wrong", caller_at(address)):
            raise self._too_many(WRONG, "wrong", caller_at(address))

    def wrong(self, address: str) -> None:
        """Count a wrong token."""
        self._window.hit(WRONG, "wrong", caller_at(address))

    def _hit(self, rate: RateLimitItem, caller: str) -> None:
        if not self._window.hit(rate, "all", caller):
            raise self._too_many(rate, "all", caller)

    def _too_many(self, rate: RateLimitItem, *caller: str) -> TooManyRequests:
        until = self._window.get_window_stats(rate, *caller).reset_time
        return TooManyRequests(seconds=max(1, math.ceil(until - time.time())))


@functools.cache
def _parsed(rate: str) -> RateLimitItem:
    return parse(rate)


def caller_at(address: str) -> str:
    """Return who calls from an address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:60]
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(getattr(found, "ipv4_mapped", None) or found)


def caller_with(token: str) -> str:
    """Return who calls with a token: not the token itself, which must lie in no dump of memory more than need be."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


class TooManyRequests(OpstoreError):
    """Too many requests. Wait {seconds} seconds, then go on."""

    status = 429
