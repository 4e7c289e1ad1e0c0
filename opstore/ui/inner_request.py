"""A request that the app asks itself, as whoever sent the outer one: nobody learns by it what is refused to him elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope

#: What would make an answer a part of what it is, a compressed one, or none at all.
UNWANTED = (b"accept-encoding", b"range", b"if-none-match", b"if-modified-since")


class Answer:
    """What an application answered: whole, as it is; the status is 0 where it answered nothing."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def take(self, message: Message) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


async def asked(app: ASGIApp, scope: Scope, receive: Receive, path: str, query: bytes) -> Answer:
    """Return what `app` answers to whoever sent `scope`, at an address of ours."""
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in UNWANTED]
    inner = {**scope, "path": path, "raw_path": path.encode(), "query_string": query, "headers": headers, "extensions": {}}
    answer = Answer()
    await app(inner, receive, answer.take)
    return answer
