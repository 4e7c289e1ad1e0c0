"""The server of this process, which Streamlit makes and gives to nobody: its settings, and the sockets that it listens on.

Both are found among all objects of the process. With the sockets every answer leaves at once: it is sent as a head and a body,
and by Nagle's rule the body waits until the head is confirmed, which the other side does after 40 ms unless it has something to
say: measured, 47 ms a thumbnail instead of 3. asyncio turns the rule off for sockets that were made as `IPPROTO_TCP`; Streamlit
makes the one it listens on without saying so. What it accepts has its options.
"""

from __future__ import annotations

import contextlib
import gc
import socket

import uvicorn


def send_at_once() -> int:
    """Turn Nagle's rule off for what the listening TCP sockets of this process accept from now on; return how many they are."""
    found = listening()
    for item in found:
        with contextlib.suppress(OSError):
            item.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return len(found)


def configs() -> list[uvicorn.Config]:
    """Return the settings of the servers of this process: of one, or of none."""
    return [item for item in gc.get_objects() if type(item) is uvicorn.Config]


def origin(config: uvicorn.Config) -> str:
    """Return where the server with these settings answers."""
    port = next((item.getsockname()[1] for item in listening()), config.port)
    return f"{'https' if config.is_ssl else 'http'}://127.0.0.1:{port}"


def listening() -> list[socket.socket]:
    """Return the listening TCP sockets of this process."""
    sockets = []
    for item in gc.get_objects():
        with contextlib.suppress(OSError, ReferenceError):
            if type(item) is socket.socket and _listens(item):
                sockets.append(item)
    return sockets


def _listens(item: socket.socket) -> bool:
    internet = item.family in (socket.AF_INET, socket.AF_INET6) and item.type == socket.SOCK_STREAM
    return internet and item.fileno() >= 0 and bool(item.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
