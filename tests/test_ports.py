"""Two suites on one machine: no port is given twice, and no server is taken for another one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests import ports

ROOT = Path(__file__).resolve().parents[1]
#: Another test process that has the same wishes, in the same order.
ASKING = """
import sys
from tests import ports
ports._ports = iter(map(int, sys.argv[1:]))
print(ports.free_port(), flush=True)
input()
"""


def test_a_port_is_given_to_one_process_while_it_lives_and_never_where_somebody_listens() -> None:
    mine, listened, third = ports.free_port(), ports.free_port(), ports.free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", listened))
        wishes = [str(port) for port in (mine, listened, third, next(ports._ports))]
        line = [sys.executable, "-c", ASKING, *wishes]
        with subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
            assert asking.stdout
            given = int(asking.stdout.readline())
            assert str(given) == wishes[-1]
            assert not ports._claimed(given)
            asking.communicate("\n")
        assert ports._claimed(given), "who has gone holds nothing"


def test_a_server_is_known_by_its_process(tmp_path: Path) -> None:
    serving = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(1, flush=True); input()"
    port = ports.free_port()
    line = [sys.executable, "-c", serving, str(port)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server, socket.socket() as idle:
        assert server.stdout and server.stdout.readline()
        idle.bind(("127.0.0.1", ports.free_port()))
        assert ports.listens(server.pid, port)
        assert not ports.listens(server.pid, idle.getsockname()[1])
        assert sys.platform != "linux" or not ports.listens(os.getpid(), port)
        server.communicate("\n")
