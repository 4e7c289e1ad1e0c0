"""Ports for servers of the tests: each is given once in a run, and no other program is given it by the system meanwhile."""

from __future__ import annotations

import itertools
import os
import socket

#: Below 32,768, where Linux takes the ports that programs have no wish about; a range of its own for each test process.
_FIRST, _RANGE = 12_000, 2_000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
_ports = itertools.cycle(range(_FIRST + _worker * _RANGE, _FIRST + (_worker + 1) * _RANGE))


def free_port() -> int:
    """Return a port that nobody listens on: a server that starts later, or again, still finds it free."""
    for port in itertools.islice(_ports, _RANGE):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port is taken")
