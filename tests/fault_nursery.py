"""Ready programs for the fault tests: one process has loaded them, and each run is a fork of it, not an interpreter's start.

`python [flags] -m tests.fault_nursery MODULE SOCKET`, from the project's folder. Whoever connects says in one line of JSON what
to run, is told the child's id, lets it go with one byte when a tracer holds it, and reads what it says; the last part, behind a
zero byte, is its exit code. A kill at the tenth call of a child is a kill at the tenth call of every such child: they all begin
with the same modules loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any

#: prctl: whoever wants to may trace the child; where the system lets only parents do so it could not be attached to.
_SET_PTRACER, _ANY = 0x59616D61, -1


def main(module: str, address: str) -> None:
    """Fork a child for every connection until standard input ends: the process that began this one has gone."""
    programs = importlib.import_module(module).PROGRAMS
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while listening.fileno() in select.select([listening.fileno(), 0], [], [])[0]:
            connection, _ = listening.accept()
            with connection:
                asked = json.loads(connection.makefile("rb").readline())
                for name in asked.get("load", ()):
                    with contextlib.suppress(Exception):
                        importlib.import_module(name)
                if "arguments" in asked and os.fork() == 0:
                    listening.close()
                    _attend(connection, programs, asked)


def _attend(connection: socket.socket, programs: Any, asked: dict[str, Any]) -> None:
    """Run one child, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    gate, go = os.pipe()
    stands, standing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        os.close(stands)
        _run(connection, programs, asked, gate, standing)
    os.close(standing)
    os.read(stands, 1)  # at its gate: a tracer that came earlier would count the calls of its way there
    connection.sendall(f"{child}\n".encode())
    connection.recv(1)
    os.write(go, b"!")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(f"\0{code}".encode())
    os._exit(0)


def _run(connection: socket.socket, programs: Any, asked: dict[str, Any], gate: int, standing: int) -> None:
    os.dup2(connection.fileno(), 1)
    connection.close()
    ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_ulong(_ANY), 0, 0, 0)
    os.write(standing, b"!")
    os.read(gate, 1)
    program, *arguments = asked["arguments"]
    try:
        programs[program](*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    if asked.get("teach"):
        os.write(1, "\1".join(("", *sys.modules)).encode())
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
