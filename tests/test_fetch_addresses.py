"""Where the downloader goes and where it does not: redirects, hosts, addresses, certificates, and the setting that rules them."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opstore.app import App, Settings
from opstore.errors import (
    FetchError,
    FetchRefused,
    FetchTimeout,
    FetchUnavailable,
    InvalidSetting,
)
from opstore.fetch import FetchPolicy, fetch, is_public
from opstore.providers import registry
from tests.hostile_server import BODY, SECRET, HostileServer, drip, http, redirect, refused

#: What is allowed if nothing is set.
USUAL = FetchPolicy(registry.hosts())


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


# --- redirects


def test_redirects_within_the_policy_are_followed_without_cookies(server: HostileServer) -> None:
    with HostileServer() as second:
        server.answers["/a/next"] = redirect(f"{second.origin}/b?{SECRET}", "Set-Cookie: session=1; Path=/")
        second.answers["/b"] = redirect("c")
        second.answers["/c"] = http(BODY)
        policy = FetchPolicy(origins=(server.origin, second.origin))
        server.answers["/start"] = redirect("a/next", "Set-Cookie: session=1; Path=/")
        assert fetch(f"{server.origin}/start", policy) == BODY
        everything = "".join(server.requests + second.requests).lower()
        assert "cookie" not in everything and "authorization" not in everything and "referer" not in everything
        assert f"Host: 127.0.0.1:{second.port}\r\n" in second.requests[0]


def test_redirect_to_another_port_of_loopback_is_refused(server: HostileServer) -> None:
    with HostileServer() as inner:
        inner.answers["/secret"] = http(BODY)
        refused(FetchRefused, server, redirect(f"{inner.origin}/secret"))
        assert inner.connections == 0


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://replicate.delivery.evil.example/x",
        "//evil.example/x",
        "file:///etc/passwd",
        "data:text/plain,hello",
        "gopher://127.0.0.1/x",
        "https://replicate.delivery:22/x",
        "https://user:pass@replicate.delivery/x",
        "http://replicate.delivery/x",
        "http://[::1/x",
        "\xff\xfe",
        "http://127.0.0.1\\@replicate.delivery/",
    ],
)
def test_redirects_out_of_the_policy(server: HostileServer, location: str, no_connections: list[Any]) -> None:
    no_connections.append(("127.0.0.1", server.port))
    refused(FetchRefused, server, redirect(location))


def test_redirect_loop_ends(server: HostileServer) -> None:
    message = refused(FetchError, server, redirect("/a/out.png"))
    assert "more than 3 redirects" in message
    assert len(server.requests) == 4


# --- where it may go


@pytest.fixture
def no_connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Fail on every connection but to the places in the list that is handed out, and on every look-up of a name."""
    allowed: list[Any] = []
    connect = socket.socket.connect

    def guarded(self: socket.socket, place: Any) -> None:
        assert place in allowed, f"a connection to {place} was tried"
        connect(self, place)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    return allowed


HOSTILE = [
    "http://replicate.delivery/x",
    "ftp://replicate.delivery/x",
    "file:///etc/passwd",
    "//replicate.delivery/x",
    "replicate.delivery/x",
    "",
    "https://",
    "https:///x",
    "https:replicate.delivery/x",
    "https://evil.example/x",
    "https://replicate.delivery.evil.example/x",
    "https://evilreplicate.delivery/x",
    "https://.replicate.delivery/x",
    "https://a..replicate.delivery/x",
    "https://replicate.delivery./x",
    "https://replicate.delivery:80/x",
    "https://replicate.delivery:0/x",
    "https://replicate.delivery:99999/x",
    "https://replicate.delivery:/x@evil.example",
    "https://replicate.delivery:443:443/x",
    "https://user@replicate.delivery/x",
    "https://user:pass@replicate.delivery/x",
    "https://replicate.delivery@evil.example/x",
    "https://evil.example#@replicate.delivery/x",
    "https://evil.example?@replicate.delivery/x",
    "https://evil.example\\@replicate.delivery/x",
    "https://evil.example\\.replicate.delivery/x",
    "https://replicate.delivery\t.evil.example/x",
    "https://replicate.delivery/x\r\nHost: evil.example",
    "https://replicate.delivery/\0",
    " https://replicate.delivery/x",
    "https://replicate.delivery/x\u2028",
    "https://replicate。delivery/x",
    "https://ｒeplicate.delivery/x",
    "https://replicate.delivery℀/x",
    "https://replicate%2edelivery/x",
    "https://rep\u212aicate.delivery/x",
    "https://replicate.delivery/\ud800",
    "https://" + "a" * 64 + ".replicate.delivery/x",
    "https://" + "a." * 130 + "replicate.delivery/x",
    "https://replicate.delivery/" + "x" * 9000,
    *(
        f"{scheme}://{host}/latest/meta-data/"
        for scheme in ("http", "https")
        for host in (
            *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "0", "0.0.0.0"),
            *("10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "224.0.0.1"),
            *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]"),
            *("[fe80::1%25eth0]", "[fd00:ec2::254]", "[::1", "localhost", "localhost.localdomain", "①②⑦.⓪.⓪.①", "１２７.0.0.1"),
        )
    ),
]


@pytest.mark.parametrize("url", HOSTILE, ids=lambda url: ascii(url)[:60])
def test_hostile_addresses_are_refused_before_anything_happens(
    url: str, no_connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*args: object, **kwargs: object) -> Any:
        raise AssertionError(f"a look-up of {args[0]} was tried")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(FetchRefused):
        fetch(url, USUAL)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://user:pass@replicate.delivery/x", "user name"),
        ("https://evil.example/x?" + SECRET, "'evil.example' is not one that results come from"),
        ("https://replicate.delivery:80/x", "port 80"),
        ("http://replicate.delivery/x", "only https"),
        ("https://replicate.delivery/" + "x" * 9000, "longer than"),
    ],
)
def test_refusals_say_why(url: str, words: str) -> None:
    with pytest.raises(FetchRefused, match=words) as caught:
        fetch(url, USUAL)
    assert SECRET not in str(caught.value) and "pass@" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 7, b"https://replicate.delivery/x", ["https://replicate.delivery/x"]])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(FetchRefused):
        fetch(value, USUAL)


class Resolver:
    """Answers for names what a test says, a different answer each time; addresses go to the real look-up."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.names: list[str] = []
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host[0].isdigit() or ":" in host:
            return self._real(host, port, *args, **kwargs)
        self.names.append(host)
        return self._real(self.answers.pop(0), port, *args, **kwargs)


NOT_PUBLIC = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.0.8", "192.0.0.9", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::2", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001::1", "2001:20::1", "2001:db8::1", "3fff::1"),
    *("100::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"),
]


@pytest.mark.parametrize("ip", [ip for ip in NOT_PUBLIC if ip != "::ffff:8.8.8.8"])
def test_allowed_host_at_a_private_address_is_refused(
    ip: str, monkeypatch: pytest.MonkeyPatch, no_connections: list[Any]
) -> None:
    resolver = Resolver(ip)
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with pytest.raises(FetchRefused, match="public address"):
        fetch("https://replicate.delivery/x", USUAL)
    assert resolver.names == ["replicate.delivery"]


@pytest.mark.parametrize("ip", NOT_PUBLIC)
def test_our_own_check_knows_them_all(ip: str) -> None:
    assert not is_public(ip)


@pytest.mark.parametrize("ip", ["8.8.8.8", "1.1.1.1", "104.16.0.1", "2606:4700::1111", "2a00:1450:4001::1"])
def test_public_addresses_are_public(ip: str) -> None:
    assert is_public(ip)


def test_unknown_host_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchUnavailable, match="cannot be found"):
        fetch("https://replicate.delivery/x", USUAL)


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    names = "subjectAltName=DNS:replicate.delivery,DNS:*.replicate.delivery"
    made = ["-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    asked = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=test",
        "-addext",
        names,
    ]
    subprocess.run([program("openssl"), "req", "-x509", *asked, *made], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix(".key").read_bytes())
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[HostileServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HostileServer(context) as running:
        running.answers["/a/out.png"] = http(BODY)
        yield running


def test_self_signed_certificate_is_refused_at_an_allowed_origin(tls_server: HostileServer) -> None:
    message = refused(FetchError, tls_server, http(BODY))
    assert "certificate" in message and "self-signed" in message
    assert tls_server.requests == []


def test_certificate_for_another_name_is_refused(
    tls_server: HostileServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert "IP address mismatch" in refused(FetchError, tls_server, http(BODY))
    assert tls_server.requests == []


@pytest.fixture
def at_public_address(tls_server: HostileServer, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the internet: 8.8.8.8:443 leads to the TLS server, all other places nowhere; lists where it was led."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    led: list[Any] = []
    connect = socket.socket.connect

    def routed(self: socket.socket, place: Any) -> None:
        led.append(place)
        assert place == ("8.8.8.8", 443)
        connect(self, ("127.0.0.1", tls_server.port))

    monkeypatch.setattr(socket.socket, "connect", routed)
    return led


def test_name_is_looked_up_once_and_the_checked_address_is_used(
    tls_server: HostileServer, at_public_address: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver("8.8.8.8", "127.0.0.1")  # what a rebinding name server answers: public first, then loopback
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    assert fetch("https://Replicate.Delivery/a/out.png", USUAL) == BODY
    assert resolver.names == ["replicate.delivery"]
    assert at_public_address == [("8.8.8.8", 443)]
    assert "Host: replicate.delivery\r\n" in tls_server.requests[0]


def test_next_hop_is_looked_up_and_checked_anew(
    tls_server: HostileServer, at_public_address: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver("8.8.8.8", "127.0.0.1"))
    tls_server.answers["/a"] = redirect("https://pbxt.replicate.delivery/a/out.png")
    with pytest.raises(FetchRefused, match="public address"):
        fetch("https://replicate.delivery/a", USUAL)
    assert at_public_address == [("8.8.8.8", 443)]


@pytest.mark.long
def test_deadline_holds_within_tls(
    tls_server: HostileServer, at_public_address: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver("8.8.8.8"))
    tls_server.answers["/slow"] = drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")
    start = time.monotonic()
    with pytest.raises(FetchTimeout):
        fetch("https://replicate.delivery/slow", FetchPolicy(USUAL.hosts, deadline_seconds=1))
    assert time.monotonic() - start < 20


def test_plain_http_behind_an_https_origin(server: HostileServer) -> None:
    origin = server.origin.replace("http:", "https:")
    with pytest.raises(FetchUnavailable, match="connection"):
        fetch(f"{origin}/x", FetchPolicy(origins=(origin,), deadline_seconds=3))


# --- the setting


def test_setting_in_its_parts() -> None:
    policy = FetchPolicy.parse(
        " Replicate.Delivery, *.replicate.delivery ,http://127.0.0.1:9000/,https://[::1],, http://model:80"
    )
    assert policy.hosts == ("replicate.delivery", "*.replicate.delivery")
    assert policy.origins == ("http://127.0.0.1:9000/", "https://[::1]", "http://model:80")
    assert policy.allows_host("replicate.delivery") and policy.allows_host("a.b.replicate.delivery")
    assert not policy.allows_host("evilreplicate.delivery")


@pytest.mark.parametrize("text", ["", "  ", ",, ,"])
def test_empty_setting_is_the_default(text: str, tmp_path: Path) -> None:
    assert Settings.from_env({"OPSTORE_DELIVERY_HOSTS": text}).policy is None
    assert App(Settings(tmp_path / "data")).runner._around.policy == USUAL


def test_wildcard_does_not_stand_for_the_name_itself() -> None:
    assert not FetchPolicy(hosts=("*.example.org",)).allows_host("example.org")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "*",
            "*.com",
            "com",
            "localhost",
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "1.2.3.0x4",
            "[::1]",
            "::1",
            "exa mple.org",
            "exämple.org",
        ),
        *(
            "a.*.org",
            "*example.org",
            "*.*.example.org",
            "example.org/path",
            "example.org:443",
            "example.org.",
            "user@example.org",
        ),
        *("http://", "http://127.1:9000", "http://2130706433", "http://h:0", "http://h:99999", "http://h/path", "http://h?q"),
        *(
            "http://u:p@h",
            "ftp://h",
            "file:///etc",
            "http://*.example.org",
            "http://[::1",
            "http://[::g]",
            "://h",
            "\0",
            "a" * 64 + ".org",
        ),
    ],
)
def test_rubbish_in_the_setting(text: str) -> None:
    with pytest.raises(InvalidSetting, match="OPSTORE_DELIVERY_HOSTS"):
        FetchPolicy.parse(f"replicate.delivery,{text}")


def test_policy_built_in_code_is_checked_too() -> None:
    with pytest.raises(InvalidSetting):
        FetchPolicy(hosts=("*",))
