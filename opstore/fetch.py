"""The one downloader: a result's address in, its whole bytes out, and no connection to a place that the policy does not name.

Every hop, the first and each redirect, is checked anew: https on the default port of an allowed host, or an origin allowed
exactly. A host's name is looked up once; the connection goes to the address that was checked, which must be public. What is
sent is a bare GET: no token, cookie, referrer or `.netrc` entry. `HTTP_PROXY` and its relatives are not read either: behind a
proxy it would be the proxy that resolves the name, so the address could not be checked. Certificates are checked against the
system's store and certifi's, or the file that `SSL_CERT_FILE` names.

The bytes are whole as far as HTTP can tell: a wrong length, broken chunking or an unfinished gzip stream is refused. A server
that sends neither a length nor chunks and closes early cannot be told from one that has finished, so the caller checks that
the media can be read.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import ipaddress
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes, urljoin

from opstore.errors import FetchError, FetchRefused, FetchTimeout, FetchTooLarge, FetchUnavailable, InvalidSetting, said, shown

if TYPE_CHECKING:
    import socket
    import ssl
    from concurrent.futures import Future
    from http.client import HTTPResponse

MEBIBYTE = 1024 * 1024
SETTING = "OPSTORE_DELIVERY_HOSTS"

_PIECE = 65_536  # bytes taken from the socket, or out of the decompressor, at a time
_LONGEST = 8_192  # characters of an address; delivery addresses have about 100, signed ones up to 2,000
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_GONE = (404, 410)
_BUSY = (408, 425, 429)

# Stricter than RFC 3986 on purpose: where two parsers could read an address differently, it is refused.
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE | re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_DATA = re.compile(r"data:(?P<type>[^,]{0,256}),", re.IGNORECASE)
_PERCENT = re.compile(r"(?:[^%\x00-\x20\x7f-\U0010ffff]++|%[0-9a-fA-F]{2})*+")  # possessive: a text of 500 MB leaves no trail

_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
# Inside 2000::/3: protocol assignments with Teredo, 6to4, documentation. `is_global` calls some of them public before 3.11.10.
_NOT_GLOBAL = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """From where, how much and for how long.

    `hosts` are reached by https on port 443 and public addresses only; `*.example.org` stands for every name below
    `example.org`, not for itself. `origins` are allowed exactly as written, plain http and private addresses included.
    `max_bytes` counts decoded bytes; `deadline_seconds` covers everything from the look-up of the name to the last byte.
    """

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    max_bytes: int = 512 * MEBIBYTE
    deadline_seconds: float = 300.0
    redirects: int = 3

    def __post_init__(self) -> None:
        """Refuse entries that are no host or origin, whoever wrote them."""
        for host in self.hosts:
            _check_host_entry(host)
        for origin in self.origins:
            _origin_of(origin)

    @classmethod
    def parse(cls, text: str) -> FetchPolicy:
        """Return the policy that the setting describes: hosts, `*.` hosts and origins, comma separated; if it is empty, none."""
        entries = [entry.strip().lower() for entry in text.split(",") if entry.strip()]
        return cls(
            hosts=tuple(entry for entry in entries if "://" not in entry),
            origins=tuple(entry for entry in entries if "://" in entry),
        )

    def allows_host(self, host: str) -> bool:
        """Say whether `host` (lower case) is one of the hosts, or below one written with `*.`."""
        return any(host.endswith(entry[1:]) if entry.startswith("*.") else host == entry for entry in self.hosts)

    def too_large(self) -> FetchTooLarge:
        """Return the error for a result above `max_bytes`."""
        return _too_large(self.max_bytes)


@dataclass(frozen=True, slots=True)
class _Address:
    """An address that passed the policy, in the parts a request needs; `trusted` when its origin is allowed exactly."""

    scheme: str
    host: str
    port: int
    target: str
    trusted: bool

    @property
    def url(self) -> str:
        """Rebuild the address, as the base of a relative redirect."""
        return f"{self.scheme}://{self.host_header}{self.target}"

    @property
    def host_header(self) -> str:
        """Return the host as the request names it, with the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Name the address in a message: host and last part; queries may carry signatures and are never shown."""
        parts = self.target.partition("?")[0].split("/")
        return shown(f"{self.host_header}{'/...' if len(parts) > 2 else ''}/{parts[-1]}")


def fetch(url: str, policy: FetchPolicy) -> bytes:
    """Return the bytes behind an https address or in a data URI; whatever goes wrong is a FetchError.

    FetchUnavailable and FetchTimeout may pass by themselves; all others stay, as far as one answer tells.
    Safe to call from several threads.
    """
    if not isinstance(url, str):
        raise FetchRefused(reason=said("it is {value}, not a text", value=shown(url)))
    if url[:5].lower() == "data:":
        return decode_data_uri(url, policy.max_bytes)
    return _Download(policy).run(_checked(url, policy))


def decode_data_uri(url: str, limit: int) -> bytes:
    """Return what a data URI holds, base64 or percent-encoded; strict, and at most `limit` bytes."""
    head = _DATA.match(url)
    if head is None:
        raise FetchError(reason=said("the data address has no comma after its media type"))
    text = url[head.end() :]
    if len(text) > 4 * limit + 4:  # base64 has 4 characters for 3 bytes, percent-encoding at most 3 for one
        raise _too_large(limit)
    if not _PERCENT.fullmatch(text):
        raise FetchError(reason=said("the data address holds characters that do not belong there"))
    data = unquote_to_bytes(text)
    if head["type"].lower().endswith(";base64"):
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise FetchError(reason=said("the data address is not valid base64")) from error
    if len(data) > limit:
        raise _too_large(limit)
    if not data:
        raise FetchError(reason=said("the data address is empty"))
    return data


class _Download:
    """One download on a thread of its own, so that the deadline holds whatever the thread waits for.

    A time-out on a socket is about one read: a server that sends a byte a second, in its headers already, never trips it, and
    a look-up of a name has no time-out at all. So the caller waits here, and shuts the socket down when the time is over.
    """

    def __init__(self, policy: FetchPolicy) -> None:
        """Start the clock."""
        self._policy = policy
        self._end = time.monotonic() + policy.deadline_seconds
        self._over = Event()
        self._socket: socket.socket | None = None

    def run(self, address: _Address) -> bytes:
        """Return the body behind `address`, or raise within the deadline."""
        from concurrent.futures import Future

        result: Future[bytes] = Future()
        Thread(target=self._work, args=(address, result), name="opstore-fetch", daemon=True).start()
        try:
            return result.result(timeout=self._left())
        except TimeoutError as error:
            raise self._timeout() from error
        finally:
            self._over.set()
            self._hang_up()

    def _work(self, address: _Address, result: Future[bytes]) -> None:
        try:
            result.set_result(self._follow(address))
        except BaseException as error:  # not swallowed: it is raised again in the thread that waits
            result.set_exception(error)

    def _follow(self, address: _Address) -> bytes:
        for _ in range(self._policy.redirects + 1):
            try:
                answer = self._get(address)
            except (OSError, ValueError, zlib.error, _http_exception()) as error:
                raise self._translated(error, address) from error
            finally:
                self._close()
            if isinstance(answer, bytes):
                return answer
            address = answer
        limit = self._policy.redirects
        reason = said("more than {count} redirects, the last to {address}", count=limit, address=str(address))
        raise FetchError(reason=reason)

    def _get(self, address: _Address) -> bytes | _Address:
        """Return the body, or the address that this one leads to."""
        from http.client import HTTPConnection

        connection = HTTPConnection(address.host, address.port)
        connection.sock = self._connected(address)
        headers = {"Host": address.host_header, "User-Agent": "opstore", "Accept-Encoding": "identity", "Connection": "close"}
        connection.request("GET", address.target, headers=headers)
        with connection.getresponse() as response:
            if response.status in _REDIRECTS:
                return _redirected(address, response, self._policy)
            _check_status(response.status, address)
            return self._body(response, address)

    def _connected(self, address: _Address) -> socket.socket:
        import socket

        pinned = address.host if address.trusted else _public_address(address)
        self._register(socket.create_connection((pinned, address.port), timeout=self._left()))
        if address.scheme == "https":
            self._register(_tls_context().wrap_socket(self._open_socket(), server_hostname=address.host))
        return self._open_socket()

    def _body(self, response: HTTPResponse, address: _Address) -> bytes:
        """Read to the end. `read1` returns what one receive brings; `read` would wait for a full piece."""
        length = response.headers.get("Content-Length", "") if not response.chunked else ""
        if length and not (length.isascii() and length.isdigit()):
            raise FetchError(reason=said("{address} gave a length that is no number", address=str(address)))
        if int(length or 0) > self._policy.max_bytes:
            raise self._policy.too_large()
        pieces: Iterable[bytes] = iter(lambda: response.read1(_PIECE), b"")
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding in ("gzip", "x-gzip"):  # not asked for, but some servers compress regardless
            pieces = _gunzipped(pieces)
        elif coding != "identity":
            told = {"address": str(address), "coding": shown(coding)}
            raise FetchError(reason=said("{address} came encoded as {coding}, which was not asked for", **told))
        body = self._gathered(pieces)
        if response.length:
            name, count = str(address), response.length
            raise FetchUnavailable(reason=said("{address} broke off {count} bytes before its end", address=name, count=count))
        if not body:
            raise FetchError(reason=said("{address} is empty", address=str(address)))
        return body

    def _gathered(self, pieces: Iterable[bytes]) -> bytes:
        body = io.BytesIO()  # getvalue() shares its buffer, join() or bytes() would hold everything twice
        for piece in pieces:
            if body.tell() + len(piece) > self._policy.max_bytes:
                raise self._policy.too_large()
            body.write(piece)
        return body.getvalue()

    def _translated(self, error: Exception, address: _Address) -> FetchError:
        import ssl
        from http.client import HTTPException, IncompleteRead

        name, host = str(address), shown(address.host_header)
        if isinstance(error, TimeoutError):
            return self._timeout()
        if isinstance(error, ssl.SSLCertVerificationError):
            message = error.verify_message.rstrip(".")
            return FetchError(reason=said("the certificate of {host} is not trusted: {detail}", host=host, detail=message))
        if isinstance(error, IncompleteRead):
            return FetchUnavailable(reason=said("{address} broke off before its end", address=name))
        if isinstance(error, zlib.error):
            return FetchError(reason=said("{address} is damaged: it cannot be decompressed", address=name))
        if isinstance(error, OSError):
            detail = error.strerror or type(error).__name__
            return FetchUnavailable(reason=said("the connection to {host} failed ({detail})", host=host, detail=detail))
        kind = type(error).__name__ if isinstance(error, HTTPException) else "unreadable"
        return FetchError(reason=said("{host} did not answer with proper HTTP ({detail})", host=host, detail=kind))

    def _register(self, connected: socket.socket) -> None:
        # First registered, then the flag looked at; run() does it the other way round, so one of the two closes it.
        self._socket = connected
        if self._over.is_set():
            raise self._timeout()

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionAbortedError
        return self._socket

    def _hang_up(self) -> None:
        import socket

        if (connected := self._socket) is not None:
            with contextlib.suppress(OSError):  # closed or cut meanwhile: then there is nothing to hang up
                # Not SSLSocket.shutdown: that drops the TLS state under the thread that reads.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def _close(self) -> None:
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._timeout()
        return left

    def _timeout(self) -> FetchTimeout:
        return FetchTimeout(seconds=f"{self._policy.deadline_seconds:g}")


def _checked(url: str, policy: FetchPolicy) -> _Address:
    """Return the address in its parts if the policy lets it through. Nothing is looked up or opened here."""
    if len(url) > _LONGEST:
        raise FetchRefused(reason=said("it is longer than {count} characters", count=_LONGEST))
    if _UNSAFE.search(url) or not (match := _URL.fullmatch(url)):
        raise FetchRefused(reason=said("it is not a well-formed https address"))
    if "@" in match["authority"]:
        raise FetchRefused(reason=said("it carries a user name or password"))
    scheme, host, port = _authority(match["scheme"].lower(), match["authority"])
    target = quote((match["path"] or "/") + (match["query"] or ""), safe="%/:@!$&'()*+,;=~-._?[]")
    if not target.startswith("/"):
        target = f"/{target}"
    address = _Address(scheme, host, port, target, trusted=(scheme, host, port) in map(_origin_of, policy.origins))
    if address.trusted:
        return address
    if scheme != "https":
        raise FetchRefused(reason=said("only https addresses are fetched"))
    if not policy.allows_host(host):
        reason = said("the host {host} is not one that results come from ({setting})", host=shown(host), setting=SETTING)
        raise FetchRefused(reason=reason)
    if port != _PORTS["https"]:
        raise FetchRefused(reason=said("port {port} is not the port of https", port=str(port)))
    return address


def _authority(scheme: str, authority: str) -> tuple[str, str, int]:
    """Return scheme, bare lower-case host and port; FetchRefused for anything unusual."""
    found = _AUTHORITY.fullmatch(authority)
    port = int(found["port"] or _PORTS[scheme]) if found else 0
    if found is None or not 0 < port < 65_536:
        raise FetchRefused(reason=said("its host or port is not well formed"))
    host = found["host"].lower()
    if host.startswith("["):
        try:
            return scheme, ipaddress.IPv6Address(host[1:-1]).compressed, port
        except ValueError as error:
            raise FetchRefused(reason=said("its host is not an IPv6 address")) from error
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise FetchRefused(reason=said("its host name is not well formed"))
    return scheme, host, port


def _looks_like_ip(host: str) -> bool:
    """Say whether a resolver could take `host` for an address: 127.1, 2130706433, 0x7f.1 and 0177.0.0.1 all mean loopback."""
    last = host.rpartition(".")[2]
    return ":" in host or last.isdigit() or last.startswith("0x")


def _redirected(address: _Address, response: HTTPResponse, policy: FetchPolicy) -> _Address:
    location = response.headers.get("Location")
    if not location:
        name, status = str(address), response.status
        raise FetchError(reason=said("{address} is passed on without saying where to ({status})", address=name, status=status))
    try:
        target = location.encode("latin-1").decode("utf-8")  # http.client hands out bytes as latin-1
        if _UNSAFE.search(target):
            raise ValueError("not an address")
        return _checked(urljoin(address.url, target), policy)
    except ValueError as error:  # UnicodeError is one too
        raise FetchRefused(reason=said("the redirect does not lead to a well-formed address")) from error


def _check_status(status: int, address: _Address) -> None:
    if status == 200:
        return
    name = str(address)
    if status in _GONE:
        raise FetchError(reason=said("the server does not have {address} ({status})", address=name, status=status))
    if status >= 500 or status in _BUSY:
        busy = said("the server of {address} is in trouble or busy ({status})", address=name, status=status)
        raise FetchUnavailable(reason=busy)
    raise FetchError(reason=said("the server of {address} answered {status}", address=name, status=status))


def _public_address(address: _Address) -> str:
    """Look the host up, once, and return the one address to connect to; FetchRefused unless it is public."""
    import requests
    from requests_hardened.ip_filter import InvalidIPAddress, filter_host

    try:
        pinned = str(filter_host(address.host, address.port, allow_loopback=False)).strip("[]")
    except InvalidIPAddress as error:
        raise FetchRefused(reason=said("the host {host} is not at a public address", host=shown(address.host))) from error
    except (requests.RequestException, OSError, UnicodeError) as error:
        raise FetchUnavailable(reason=said("the host {host} cannot be found", host=shown(address.host))) from error
    if not is_public(pinned):
        raise FetchRefused(reason=said("the host {host} is not at a public address", host=shown(address.host)))
    return pinned


def is_public(text: str) -> bool:
    """Say whether an IP address is one on the open internet, and not another one in disguise (mapped, NAT64, 6to4, Teredo).

    requests-hardened 1.3.0 lets ::/96, ::ffff:0:0:0/96, fec0::/10 and all that is not yet assigned pass.
    """
    ip = ipaddress.ip_address(text)
    if ip.version == 6 and ip not in _GLOBAL_IPV6:
        return False
    if any(ip in net for net in _NOT_GLOBAL if net.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _tls_context() -> ssl.SSLContext:
    """Return the checks of a certificate: the system's authorities and certifi's, or only SSL_CERT_FILE's where that is set."""
    import os
    import ssl

    context = ssl.create_default_context()  # reads SSL_CERT_FILE itself
    if not os.environ.get("SSL_CERT_FILE"):
        import certifi

        context.load_verify_locations(certifi.where())  # slim containers have no store of their own
    return context


def _gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip `pieces` hold, at most 64 kB at a time: 100 kB of them can hold 100 MB."""
    inflate = zlib.decompressobj(wbits=31)
    for piece in pieces:
        rest = piece
        while rest:
            yield inflate.decompress(rest, _PIECE)
            rest = inflate.unconsumed_tail
            if inflate.eof and inflate.unused_data:  # several members, one after the other, are one file
                rest, inflate = inflate.unused_data, zlib.decompressobj(wbits=31)
    if not inflate.eof:
        raise zlib.error("the stream ends early")


def _check_host_entry(entry: str) -> None:
    name = entry.removeprefix("*.")
    if not _HOST.fullmatch(name) or len(name) > 253 or "." not in name or _looks_like_ip(name):
        raise InvalidSetting(
            name=SETTING,
            reason=said(
                "{entry} is no host. Write example.org, *.example.org, or an origin such as http://127.0.0.1:9000",
                entry=shown(entry),
            ),
        )


def _origin_of(entry: str) -> tuple[str, str, int]:
    """Return an origin as (scheme, host, port); InvalidSetting for anything else."""
    scheme, _, authority = entry.rstrip("/").partition("://")
    try:
        if scheme.lower() not in _PORTS:
            raise FetchRefused(reason=said("its scheme is neither http nor https"))
        origin = _authority(scheme.lower(), authority)
        if _looks_like_ip(origin[1]):
            ipaddress.ip_address(origin[1])  # 127.1 and the like are refused: each resolver reads them its own way
    except (FetchRefused, ValueError) as error:
        reason = said("{entry} is no origin. Write scheme, host and port only, such as http://127.0.0.1:9000", entry=shown(entry))
        raise InvalidSetting(name=SETTING, reason=reason) from error
    return origin


def _too_large(limit: int) -> FetchTooLarge:
    return FetchTooLarge(limit=f"{limit / MEBIBYTE:.4g}")


def _http_exception() -> type[Exception]:
    from http.client import HTTPException  # not at the top: it costs the light import 20 ms

    return HTTPException
