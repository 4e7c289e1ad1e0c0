"""A stand-in of Replicate's HTTP API on real sockets: time-driven predictions, a separate delivery host, scripted faults.

In a test: `with StandIn() as standin:`, then `standin.url`, `standin.fault(on="status", kind="reset")`, `standin.report()`.
As a process that outlives the program under test: `with StandInProcess() as standin:`, or
`python -m tests.replicate_standin --port 9000`, which prints one line of JSON with its addresses and is steered by `/_control/…`.

http.server rather than an ASGI server: the faults (reset, half a body, a drip) need the socket itself.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import fields
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.standin.world import Fault, Refused, Settings, World, host_of

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], world: World) -> None:
        self.world = world
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a connection that breaks is what the tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _reply(self, status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> None:
        """Send an answer in one write: two would wait 40 ms for each other (Nagle and delayed ACK)."""
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}", f"Content-Type: {kind}"]
        if self.server.world.settings.dated:
            lines.append(f"Date: {formatdate(self.server.world.date(), usegmt=True)}")
        if status != 204:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self.wfile.write(head + (b"" if self.command == "HEAD" else body))

    def _json(self, status: int, document: Any, **headers: str) -> None:
        kind = "application/problem+json" if status >= 400 else "application/json"
        self._reply(status, json.dumps(document).encode(), kind, **headers)

    def _reset(self) -> None:
        """Break the connection with RST: closing the socket alone leaves it open in the streams made of it."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def _wait(self, seconds: float) -> None:
        self.server.world.stopping.wait(seconds)


class _Api(_Handler):
    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path.startswith("/_control/"):
            self._control(path.removeprefix("/_control/"), body)
            return
        world, (verb, key) = self.server.world, self._verb(path)
        world.count(verb)
        seen = {name.lower(): value.replace(world.settings.token, "(the token)") for name, value in self.headers.items()}
        world.seen_headers.append({"verb": verb, **seen})
        fault = world.fault(verb, key)
        if fault and not fault.after:
            self._misbehave(fault)
            if fault.kind != "slow":
                return
        try:
            status, document = self._answer(verb, key, path, body)
        except Refused as refused:
            status, document = refused.status, refused.document
            self._json(status, document, **{name.replace("-", "_"): value for name, value in refused.headers.items()})
            return
        if fault and fault.after:
            self._misbehave(fault)
            return
        limits = {"ratelimit_remaining": "1000", "ratelimit_reset": "1"}
        self._reply(204) if status == 204 else self._json(status, document, **limits)

    def _verb(self, path: str) -> tuple[str, str]:
        """Return what kind of request this is, and the prediction or file it is about."""
        parts = path.strip("/").split("/")[1:]
        post = self.command == "POST"
        if parts[:1] == ["predictions"] and len(parts) > 1:
            return ("cancel" if parts[2:] == ["cancel"] else "status"), parts[1]
        if parts[-1:] == ["predictions"]:
            return ("create", "/".join(parts[1:3]) if parts[0] == "models" else "") if post else ("list", "")
        if parts[:1] == ["files"]:
            return ("upload", "") if post else ("file", parts[1] if len(parts) > 1 else "")
        return "unknown", ""

    def _answer(self, verb: str, key: str, path: str, body: bytes) -> tuple[int, Any]:
        world = self.server.world
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if scheme not in ("Bearer", "Token") or token != world.settings.token:
            raise Refused(401, "You did not pass a valid authentication token", "Unauthenticated")
        world.check_rate(verb)
        if verb == "create":
            return 201, self._create(key, body)
        if verb == "status" and self.command == "GET":
            return 200, world.get(key)
        if verb == "cancel" and self.command == "POST":
            return 200, world.cancel(key)
        if verb == "list":
            query = parse_qs(urlsplit(self.path).query)
            return 200, world.page(int(query.get("cursor", ["0"])[0]), query.get("created_after", [None])[0])
        if verb == "upload":
            return 201, world.upload(*_multipart(self.headers.get("Content-Type", ""), body))
        if verb == "file":
            remove = self.command == "DELETE"
            return (204 if remove else 200), world.file(key, remove)
        raise Refused(404, "The requested resource could not be found.", "Not found")

    def _create(self, model: str, body: bytes) -> dict[str, Any]:
        try:
            document = json.loads(body)
        except ValueError:
            raise Refused(400, "The request body is not valid JSON.", "Bad request") from None
        version = "hidden"
        if not model:
            asked = str(document.get("version", "")) if isinstance(document, dict) else ""
            model, _, version = asked.partition(":") if "/" in asked else ("community/model", ":", asked)
            if version and (len(version) != 64 or set(version) - set("0123456789abcdef")):
                raise Refused(
                    422,
                    "The specified version does not exist (or perhaps you don't have permission to use it?)",
                    "Invalid version or not permitted",
                )
            if not version:
                document.pop("version")
                version = "hidden"
        return self.server.world.create(model, version, document, self.headers.get("Cancel-After"))

    def _misbehave(self, fault: Fault) -> None:
        """Do what a fault says instead of, or (slow) before, the proper answer."""
        if fault.kind == "slow":
            self._wait(fault.seconds)
        elif fault.kind in ("reset", "hang"):
            self._wait((fault.seconds or 3600) if fault.kind == "hang" else 0)
            self._reset()
        elif fault.kind == "rate":
            document = {"detail": "Request was throttled.", "status": 429, "retry_after": fault.retry_after}
            self._json(429, {key: value for key, value in document.items() if value is not None}, **_retry_header(fault))
        else:
            self._misanswer(fault)

    def _misanswer(self, fault: Fault) -> None:
        """Answer, but not what was asked."""
        if fault.kind == "html":
            self._reply(fault.status, HTML, "text/html")
        elif fault.kind == "empty":
            self._reply(200)
        elif fault.kind == "list":
            self._json(fault.status if fault.status != 500 else 200, ["not", "an", "object"])
        elif fault.kind == "echo":
            self._json(fault.status, {"detail": f"you sent {self.headers.get('Authorization')}", "status": fault.status})
        elif fault.kind == "redirect":
            self._reply(302, b"", "text/html", Location=fault.header or "http://127.0.0.1:9/")
        else:
            self._json(fault.status, {"title": "Fault", "detail": "A scripted fault.", "status": fault.status})

    def _control(self, what: str, body: bytes) -> None:
        try:
            if self.command == "GET":
                self._json(200, self.server.world.report())
            else:
                self._json(200, self.server.world.control(what, json.loads(body or b"{}")))
        except Refused as refused:
            self._json(refused.status, refused.document)
        except (TypeError, KeyError, ValueError) as error:
            self._json(400, {"detail": str(error)})


class _Delivery(_Handler):
    """The host that hands out results: it must never see a token."""

    def do_GET(self) -> None:
        world = self.server.world
        world.count("delivery")
        world.deliveries.append({"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}})
        fault = world.fault("delivery", self.path)
        try:
            data, kind = world.delivered(urlsplit(self.path).path)
        except Refused as refused:
            self._json(refused.status, refused.document)
            return
        if fault:
            self._misdeliver(fault, data, kind)
        else:
            self._reply(200, data, kind)

    def _misdeliver(self, fault: Fault, data: bytes, kind: str) -> None:
        if fault.kind == "not_found":
            self._json(404, {"detail": "Not found"})
        elif fault.kind == "oversized":
            self._reply(200, data * 10, kind)
        elif fault.kind == "wrong_type":
            self._reply(200, HTML, "text/html")
        elif fault.kind == "redirect":
            self._reply(302, b"", "text/html", Location=fault.header or f"http://127.0.0.1:9{self.path}")
        elif fault.kind == "html":
            self._reply(fault.status, HTML, "text/html")
        elif fault.kind == "reset":
            self._reset()
        elif fault.kind in ("truncated", "unmeasured", "drip"):
            self._partly(fault, data, kind)
        else:
            self._wait(fault.seconds or 3600)
            self._reply(200, data, kind) if fault.kind == "slow" else self._reset()

    def _partly(self, fault: Fault, data: bytes, kind: str) -> None:
        """Send half of the body; a drip sends all of it, a few bytes at a time."""
        measured = "" if fault.kind == "unmeasured" else f"Content-Length: {len(data)}\r\n"
        self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{measured}Connection: close\r\n\r\n".encode())
        if fault.kind == "drip":
            for at in range(0, len(data), 16):
                self._wait(fault.seconds or 0.05)
                self.wfile.write(data[at : at + 16])
        else:
            self.wfile.write(data[: len(data) // 2])
        self.close_connection = True


def _retry_header(fault: Fault) -> dict[str, str]:
    return {"Retry_After": fault.header} if fault.header else {}


def _multipart(content_type: str, body: bytes) -> tuple[str, str, bytes]:
    """Return name, type and bytes of the part called `content`."""
    boundary = b"--" + content_type.partition("boundary=")[2].strip('"').encode()
    for part in body.split(boundary)[1:-1]:
        head, _, payload = part.partition(b"\r\n\r\n")
        text = head.decode("utf-8", "replace")
        if 'name="content"' in text:
            name = text.partition('filename="')[2].partition('"')[0]
            kind = text.lower().partition("content-type:")[2].partition("\r\n")[0].strip()
            return name or "file", kind or "application/octet-stream", payload[:-2]
    raise Refused(400, "Missing content", "Bad request")


class Controls:
    """What a test can ask of a stand-in, in this process or another."""

    url: str
    delivery_url: str
    token: str

    def fault(self, **fault: Any) -> None:
        """Script a fault: see `Fault`."""
        self._ask("POST", "faults", fault)

    def plan(self, **plan: Any) -> None:
        """Script the next predictions: see `Plan`."""
        self._ask("POST", "plans", plan)

    def advance(self, seconds: float) -> None:
        """Set the stand-in's clock on."""
        self._ask("POST", "clock", {"advance": seconds})

    def set(self, **settings: Any) -> None:
        """Change how it behaves: see `Settings`."""
        self._ask("POST", "settings", settings)

    def clear(self) -> None:
        """Forget the faults and plans that are still to come."""
        self._ask("POST", "clear", {})

    def report(self) -> dict[str, Any]:
        """Return all that was counted."""
        found: dict[str, Any] = self._ask("GET", "report", None)
        return found

    @property
    def accepted(self) -> int:
        """Return how many creates were accepted: each is a paid run."""
        return int(self.report()["creates_accepted"])

    def _ask(self, method: str, what: str, body: Any) -> Any:
        connection = http.client.HTTPConnection(host_of(self.url), timeout=10)
        try:
            connection.request(method, f"/_control/{what}", json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        finally:
            connection.close()
        assert answer.status == 200, document
        return document


class StandIn(Controls):
    """The stand-in in threads of this process. `settings` as in `Settings`."""

    def __init__(self, port: int = 0, delivery_port: int = 0, **settings: Any) -> None:
        self.world = World(Settings(**settings))
        self._servers = [_Server(port, _Api, self.world), _Server(delivery_port, _Delivery, self.world)]
        self.url, self.delivery_url = (server.url for server in self._servers)
        self.world.settings.api = self.url
        self.world.settings.delivery = self.world.settings.delivery or self.delivery_url
        self.token = self.world.settings.token
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in self._servers]

    def __enter__(self) -> StandIn:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.world.stopping.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
            for connection in list(server.open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class StandInProcess(Controls):
    """The stand-in as a process of its own, which outlives a program under test that is killed."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self.token = str(settings.get("token", Settings.token))

    def __enter__(self) -> StandInProcess:
        command = [sys.executable, "-m", "tests.replicate_standin", "--settings", json.dumps(self._settings)]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        addresses = json.loads(self._process.stdout.readline())
        self.url, self.delivery_url = addresses["url"], addresses["delivery_url"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout
        self._process.stdout.close()


def main() -> None:
    """Run until stopped."""
    known = ", ".join(field.name for field in fields(Settings))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delivery-port", type=int, default=0)
    parser.add_argument("--settings", type=json.loads, default={}, help=f"JSON with any of {known}")
    given = parser.parse_args()
    with StandIn(given.port, given.delivery_port, **given.settings) as standin:
        print(json.dumps({"url": standin.url, "delivery_url": standin.delivery_url, "token": standin.token}), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
