"""How often a caller may ask: a moving minute for everything, and a much smaller number of wrong tokens, from all together.

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

from opstore.errors import TooManyRequests, TooManyWrong

#: Wrong tokens that are told so at once, from one address and from all together: what names an address (`X-Forwarded-For`, where
#: a proxy passes it on) can be made up at will.
WRONG, ALL_WRONG = parse("10/minute"), parse("60/minute")
#: Beyond that a wrong one waits for its answer. The right one never does: whoever guesses must not lock its holder out.
SLOW_SECONDS = 2.0


class Rates:
    """Counts the requests of each caller."""

    def __init__(self) -> None:
        """Have counted none."""
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def count(self, rate: str, caller: str) -> None:
        """Count one request of a caller; raise TooManyRequests where that is more than `rate` allows (empty: no limit)."""
        if rate:
            self._hit(_parsed(rate), caller)

    def wrong(self, address: str) -> None:
        """Count a wrong token; raise TooManyWrong if there were too many."""
        for rate, who in ((WRONG, caller_at(address)), (ALL_WRONG, "everybody")):
            if not self._window.hit(rate, "wrong", who):
                raise TooManyWrong(seconds=self._seconds(rate, "wrong", who))

    def _hit(self, rate: RateLimitItem, caller: str) -> None:
        if not self._window.hit(rate, "all", caller):
            raise TooManyRequests(seconds=self._seconds(rate, "all", caller))

    def _seconds(self, rate: RateLimitItem, *caller: str) -> int:
        """Return how long it takes until a caller may go on."""
        return max(1, math.ceil(self._window.get_window_stats(rate, *caller).reset_time - time.time()))


@functools.cache
def _parsed(rate: str) -> RateLimitItem:
    return parse(rate)


def caller_at(address: str) -> str:
    """Return who calls from an address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:60]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def caller_with(token: str) -> str:
    """Return who calls with a token: not the token itself, which must lie in no dump of memory more than need be."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]
