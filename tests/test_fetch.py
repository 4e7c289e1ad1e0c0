"""The downloader against real sockets: what it accepts, and that nothing else gets a connection, a token or a minute too much."""

from __future__ import annotations

import base64
import gzip
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opstore.errors import (
    FetchError,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    FetchUnavailable,
    OpstoreError,
)
from opstore.fetch import FetchPolicy, decode_data_uri, fetch
from tests.hostile_server import BODY, SECRET, HostileServer, drip, get, http, refused, short

#: Within this even a busy machine has given up, in seconds; what is met here would go on for good, or for twice as long.
WITHOUT_END = 30.0


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


# --- what is accepted


def test_body_arrives_whole_and_request_is_bare(server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # the discard port: a proxy that is asked makes this fail
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_secret")
    assert get(server, http(BODY)) == BODY
    lines = server.requests[0].rstrip().split("\r\n")
    assert lines[0] == f"GET /a/out.png?{SECRET} HTTP/1.1"
    assert {line.partition(":")[0].lower() for line in lines[1:]} == {"host", "user-agent", "accept-encoding", "connection"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(BODY, length=-1), id="no length, closed at the end"),
        pytest.param(http(gzip.compress(BODY), "Content-Encoding: gzip"), id="gzip"),
        pytest.param(
            http(gzip.compress(BODY[:70_000]) + gzip.compress(BODY[70_000:]), "Content-Encoding: GZip"), id="two members"
        ),
        pytest.param(http(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), "Transfer-Encoding: chunked", length=-1), id="chunked"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + http(BODY), id="100 first"),
        pytest.param(http(BODY, "Content-Type: text/html"), id="type is not asked"),
    ],
)
def test_accepted_forms(server: HostileServer, answer: bytes) -> None:
    assert get(server, answer) == BODY


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 131_072, 3_000_000])
def test_gzip_of_sizes_around_the_piece(server: HostileServer, size: int) -> None:
    body = b"\0" * size  # compresses so well that one receive holds many pieces
    assert get(server, http(gzip.compress(body), "Content-Encoding: gzip")) == body


def test_unicode_path_is_sent_encoded(server: HostileServer) -> None:
    server.answers["/%C3%A9t%C3%A9%20%F0%9F%8C%8A.png"] = http(BODY)
    url = f"{server.origin}/été%20🌊.png#part"
    assert fetch(url, FetchPolicy(origins=(server.origin,))) == BODY


def test_threads_share_nothing(server: HostileServer) -> None:
    bodies = {f"/{n}": os.urandom(50_000) for n in range(12)}
    server.answers |= {path: http(body) for path, body in bodies.items()}
    policy = FetchPolicy(origins=(server.origin,))
    got: dict[str, bytes] = {}
    threads = [threading.Thread(target=lambda p=path: got.update({p: fetch(server.origin + p, policy)})) for path in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == bodies


# --- too much


def test_gzip_bomb_is_stopped_at_the_cap(server: HostileServer) -> None:
    deflate = zlib.compressobj(9, wbits=31)
    bomb = b"".join(deflate.compress(b"\0" * 1_000_000) for _ in range(100)) + deflate.flush()
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        message = refused(FetchTooLarge, server, http(bomb, "Content-Encoding: gzip"), max_bytes=10 * 1024 * 1024)
        assert tracemalloc.get_traced_memory()[1] < 25_000_000  # the 10 MB let in, once more while the buffer grows
    finally:
        tracemalloc.stop()
    assert "10 MB" in message


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(b"x" * 1001), id="stated"),
        pytest.param(http(b"x" * 1001, length=-1), id="not stated"),
        pytest.param(http(b"x" * 10, length=10**30), id="absurd"),
        pytest.param(http(b"3e9\r\n%b\r\n0\r\n\r\n" % (b"x" * 1001), "Transfer-Encoding: chunked", length=-1), id="chunked"),
    ],
)
def test_one_byte_more_than_the_cap_is_refused(server: HostileServer, answer: bytes) -> None:
    refused(FetchTooLarge, server, answer, max_bytes=1000)


def test_exactly_the_cap_is_accepted(server: HostileServer) -> None:
    assert get(server, http(b"x" * 1000), max_bytes=1000) == b"x" * 1000


# --- too slow


@pytest.mark.long
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(drip(http(length=10_000), b"x"), id="body"),
        pytest.param(drip(http(b"", "Transfer-Encoding: chunked", length=-1), b"1\r\nx\r\n"), id="chunks"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"), id="one header"),
        pytest.param(drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="100 without end"),
        pytest.param(lambda connected: connected.recv(1) and None, id="silence"),
    ],
)
def test_deadline_holds_against_a_server_that_keeps_sending(server: HostileServer, answer: Any) -> None:
    start = time.monotonic()
    message = refused(FetchTimeout, server, answer, deadline_seconds=1)
    assert 0.9 < time.monotonic() - start < WITHOUT_END
    assert "1 s" in message
    end = time.monotonic() + WITHOUT_END
    while any(thread.name == "opstore-fetch" for thread in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == "opstore-fetch"]


def test_deadline_covers_the_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def slow(*args: object, **kwargs: object) -> Any:
        answered.wait(2 * WITHOUT_END)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    start = time.monotonic()
    with pytest.raises(FetchTimeout):
        fetch("https://replicate.delivery/out.png", FetchPolicy(("replicate.delivery",), deadline_seconds=0.5))
    assert time.monotonic() - start < WITHOUT_END
    answered.set()


@pytest.mark.long
def test_deadline_is_one_for_all_hops(server: HostileServer) -> None:
    def answer(connected: socket.socket) -> None:
        time.sleep(0.6)
        connected.sendall(http(b"", "Location: /a/out.png", status="302 Found"))

    refused(FetchTimeout, server, answer, deadline_seconds=1, redirects=50)


# --- broken


def reset(connected: socket.socket) -> None:
    connected.sendall(http(BODY[:1000], length=len(BODY)))
    time.sleep(0.1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


@pytest.mark.parametrize(
    ("kind", "words", "answer"),
    [
        (FetchUnavailable, "100 bytes before its end", http(BODY, length=len(BODY) + 100)),
        (FetchUnavailable, "broke off", http(b"ff\r\nabc", "Transfer-Encoding: chunked", length=-1)),
        (FetchUnavailable, "broke off", http(b"3\r\nabc\r\n", "Transfer-Encoding: chunked", length=-1)),
        (FetchUnavailable, "broke off", http(b"zz\r\nabc\r\n", "Transfer-Encoding: chunked", length=-1)),
        (FetchUnavailable, "connection", reset),
        (FetchUnavailable, "connection", b""),
        (FetchError, "is empty", http()),
        (FetchError, "is empty", http(gzip.compress(b""), "Content-Encoding: gzip")),
        (FetchError, "damaged", http(gzip.compress(BODY)[:-100], "Content-Encoding: gzip")),
        (FetchError, "damaged", http(b"no gzip at all", "Content-Encoding: gzip")),
        (FetchError, "damaged", http(gzip.compress(BODY) + b"trailer", "Content-Encoding: gzip")),
        (FetchError, "not asked for", http(BODY, "Content-Encoding: br")),
        (FetchError, "not asked for", http(BODY, "Content-Encoding: gzip, gzip")),
        (FetchError, "no number", http(BODY, "Content-Length: 12abc", length=-1)),
        (FetchError, "no number", http(BODY, "Content-Length: -5", length=-1)),
        (FetchError, "proper HTTP", http(BODY, "Content-Length: " + "9" * 5000, length=-1)),
        (FetchError, "proper HTTP", b"220 ftp ready\r\n\r\n"),
        (FetchError, "proper HTTP", http(BODY, "X-Huge: " + "x" * 70_000)),
        (FetchError, "proper HTTP", http(BODY, *[f"X-{n}: x" for n in range(200)])),
        (FetchError, "proper HTTP", b"HTTP/1.1 200 OK\r\n\x80\xff\0: \xff" + b"x" * 66_000),
        (FetchError, "answered 206", http(BODY, status="206 Partial Content")),
        (FetchError, "answered 204", http(status="204 No Content", length=-1)),
        (FetchError, "answered 403", http(b"no", status="403 Forbidden")),
        (FetchError, "does not have", http(b"gone", status="404 Not Found")),
        (FetchError, "does not have", http(b"gone", status="410 Gone")),
        (FetchUnavailable, "busy (429)", http(b"wait", status="429 Too Many Requests")),
        (FetchUnavailable, "busy (500)", http(b"oops", status="500 Internal Server Error")),
        (FetchUnavailable, "busy (503)", http(b"oops", status="503 Service Unavailable")),
        (FetchError, "without saying where", http(status="302 Found")),
    ],
    ids=short,
)
def test_broken_answers(server: HostileServer, kind: type[FetchError], words: str, answer: Any) -> None:
    message = refused(kind, server, answer)
    assert words in message, message
    assert f"127.0.0.1:{server.port}" in message


def test_messages_name_host_and_last_part_only(server: HostileServer) -> None:
    message = refused(FetchError, server, http(status="404 Not Found"))
    assert f"'127.0.0.1:{server.port}/.../out.png'" in message


def test_malformed_headers_leave_no_query_in_the_log(server: HostileServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert get(server, http(BODY, "no colon here", "X: y")) == BODY
    assert SECRET not in caplog.text


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(FetchUnavailable, match="refused"):
        fetch(f"http://127.0.0.1:{port}/x", FetchPolicy(origins=(f"http://127.0.0.1:{port}",)))


# --- data URIs


@pytest.mark.parametrize(
    ("url", "data"),
    [
        ("data:image/png;base64,aGVsbG8=", b"hello"),
        ("DATA:image/png;BASE64,aGVsbG8=", b"hello"),
        ("data:;base64,aGVsbG8%3D", b"hello"),
        ("data:image/png;charset=utf-8;base64," + base64.b64encode(BODY).decode(), BODY),
        ("data:,hello%20world%00%FF", b"hello world\0\xff"),
        ("data:text/plain,a+b,c", b"a+b,c"),
    ],
    ids=short,
)
def test_data_uris(url: str, data: bytes) -> None:
    assert fetch(url, FetchPolicy()) == data


@pytest.mark.parametrize(
    "url",
    [
        *("data:", "data:image/png;base64", "data:image/png;base64,", "data:,", "data:;base64,aGVsbG8", "data:;base64,aGVs bG8="),
        *(
            "data:;base64,aGVsbG8=\n",
            "data:;base64,aGVs*G8=",
            "data:;base64,aGVsbG8=aGVsbG8=",
            "data:;base64,-_-_",
            "data:,%",
            "data:,%zz",
        ),
        *("data:,é", "data:,a b", "data:;base64,\ud800", "data:," + "\0", "data:" + "x" * 300 + ",a"),
    ],
    ids=short,
)
def test_data_uris_that_are_damaged(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        fetch(url, FetchPolicy())
    assert type(caught.value) is FetchError


def test_data_uri_cap_counts_decoded_bytes() -> None:
    for url in ("data:;base64," + base64.b64encode(b"x" * 999).decode(), "data:," + "%78" * 999):
        assert decode_data_uri(url, 999) == b"x" * 999
        with pytest.raises(FetchTooLarge):
            decode_data_uri(url, 998)
        with pytest.raises(FetchTooLarge):
            decode_data_uri(url, 10)


def test_large_data_uri_is_read_in_linear_time() -> None:
    text = "data:;base64," + base64.b64encode(bytes(30_000_000)).decode()
    start = time.monotonic()
    assert len(decode_data_uri(text, 2**25)) == 30_000_000
    assert time.monotonic() - start < 5


def test_every_error_is_one_of_ours_and_leaves_the_light_path_light() -> None:
    assert all(issubclass(kind, OpstoreError) for kind in (FetchUnavailable, FetchRefused, FetchTimeout, FetchTooLarge))
    code = "import sys, opstore.fetch; print(sorted({'requests', 'urllib3', 'http.client', 'PIL', 'av'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
