"""How long work says how far it is; who does it never knows whether a terminal, a page or nobody listens."""

from __future__ import annotations

from collections.abc import Callable

#: Called with what is done, of how much (None: not known), and what is being done. It may raise to stop the work there.
Report = Callable[[int, int | None, str], None]


def quiet(done: int, total: int | None, what: str) -> None:
    """Tell nobody."""
