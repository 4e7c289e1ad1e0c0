"""Makes every answer leave at once: no connection to this server waits for the other side to confirm the part before.

An answer is sent as a head and a body. By Nagle's rule the body waits until the head is confirmed, and the other side confirms
after 40 ms unless it has something to say: measured, 47 ms a thumbnail instead of 3. asyncio turns the rule off for sockets that
were made as `IPPROTO_TCP`; Streamlit makes the one it listens on without saying so. What it accepts has its options.
"""

from __future__ import annotations

import contextlib
import gc
import socket


def send_at_once() -> int:
    """Turn Nagle's rule off for what the listening TCP sockets of this process accept from now on; return how many they are."""
    found = listening()
    for item in found:
        with contextlib.suppress(OSError):
            item.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return len(found)


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
