"""How many random examples a property is tried with: a third in the suite, others every time, and all under `make soak`."""

from __future__ import annotations

#: Set before the tests are loaded.
soaking = False


def some(whole: int) -> int:
    """Return how many of so many examples to try in this run, at least 10."""
    return whole if soaking else max(10, whole // 3)
