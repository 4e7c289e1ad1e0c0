"""Ports for servers of the tests: each is one test process's own while it lives, however many suites run on the machine.

A port is locked as a byte of a file in the system's temporary folder; the kernel lets go of it when its process ends.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import socket
import tempfile
from pathlib import Path

#: Below 32,768, where Linux takes the ports that programs have no wish about, and above those that programs are known by.
_PORTS = range(12_000, 32_000)
_ports = itertools.cycle(random.SystemRandom().sample(_PORTS, len(_PORTS)))
_claims = os.open(Path(tempfile.gettempdir()) / f"opstore-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def free_port() -> int:
    """Return a port that nobody listens on: a server that starts later, or again, still finds it free."""
    for port in itertools.islice(_ports, len(_PORTS)):
        if _claimed(port) and _is_free(port):
            return port
    raise AssertionError("every port is taken")


def _claimed(port: int) -> bool:
    try:
        fcntl.lockf(_claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(pid: int, port: int) -> bool:
    """Return whether it is this process that listens on the port of this machine; True where the system does not tell."""
    try:
        connections = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except FileNotFoundError:
        return True
    wanted = [f"0100007F:{port:04X}", "0A"]  # the address as it lies in memory, and TCP_LISTEN
    sockets = {f"socket:[{words[9]}]" for words in map(str.split, connections) if [words[1], words[3]] == wanted}
    folder = Path(f"/proc/{pid}/fd")
    return any(_points_to(path) in sockets for path in folder.iterdir())


def _points_to(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except FileNotFoundError:  # closed since it was listed
        return ""
