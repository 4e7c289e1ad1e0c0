"""What every test gets: a folder of its own, no settings from outside, no network but this machine; and real photographs."""

from __future__ import annotations

import importlib.util
import io
import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("opstore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opstore")

#: Set by .ci/run: there a program that a test needs is there, or the test fails.
CI = "OPSTORE_CI"


@pytest.fixture(scope="session", autouse=True)
def _sealed() -> Iterator[None]:
    """No setting of the person who runs the tests, and no other machine, before the first fixture of any scope."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            ours = name.startswith(("OPSTORE_", "REPLICATE_", "STREAMLIT_")) and name != CI
            if ours or name == "PORT" or name.lower().endswith("_proxy"):
                patch.delenv(name)
        # Programs are started some hundred times: compiled once, and not at each start (0.4 s).
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        _close_the_network(patch)
        yield


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has its own data folder."""
    monkeypatch.setenv("OPSTORE_DATA", str(tmp_path / "data"))


def _close_the_network(patch: pytest.MonkeyPatch) -> None:
    def connecting(original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _refuse_outside(address[0])
            return original(self, address)

        return guarded

    def resolving(original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(host: Any, *args: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if name and not _is_address(name):  # spelling out an address asks nobody
                _refuse_outside(name)
            return original(host, *args, **options)

        return guarded

    patch.setattr(socket.socket, "connect", connecting(socket.socket.connect))
    patch.setattr(socket.socket, "connect_ex", connecting(socket.socket.connect_ex))
    patch.setattr(socket, "getaddrinfo", resolving(socket.getaddrinfo))
    patch.setattr(socket, "gethostbyname", resolving(socket.gethostbyname))


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return False


def _refuse_outside(host: str) -> None:
    name = host.lower().rstrip(".")
    if name in ("", "localhost") or name.endswith(".localhost"):
        return
    if name.endswith(".invalid"):  # reserved for names that never resolve (RFC 6761): what a resolver would say, unasked
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if not _is_address(name) or not ipaddress.ip_address(name.partition("%")[0]).is_loopback:
        # Not an OSError: the code under test would take that for an ordinary failure, and the test would pass.
        pytest.fail(f"this test reached for {host}: tests talk to this machine only (127.0.0.1, ::1, localhost)")


@pytest.fixture(scope="session")
def photo() -> Callable[..., bytes]:
    """`photo("astronaut", "png", size=(640, 480))`: a real photograph as a file's bytes.

    Names: astronaut, chelsea (a cat), coffee, rocket; china, flower.
    """
    # Found without importing the packages: scipy and sklearn cost 2 s.
    folders = {"skimage": "data", "sklearn": "datasets/images"}

    def load(name: str = "astronaut", kind: str = "jpg", size: tuple[int, int] | None = None) -> bytes:
        from PIL import Image

        for package, folder in folders.items():
            spec = importlib.util.find_spec(package)
            assert spec and spec.origin, f"{package} is not installed: run `make test`"
            for path in (Path(spec.origin).parent / folder).glob(f"{name}.*"):
                with Image.open(path) as image:
                    picture = image.convert("RGB")
                if size:
                    picture = picture.resize(size)
                buffer = io.BytesIO()
                picture.save(buffer, "JPEG" if kind == "jpg" else kind.upper())
                return buffer.getvalue()
        raise AssertionError(f"no photograph is called {name!r}")

    return load


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """`program("strace")`: the path of a program, of the first of several that is there.

    Without one the test is skipped, or fails where CI has installed it.
    """

    def find(*names: str) -> str:
        folders = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        path = next(filter(None, (shutil.which(name, path=folders) for name in names)), None)
        if path is None and CI in os.environ:
            pytest.fail(f"{names[-1]} is not installed, and .ci/run should have done it")
        return path or pytest.skip(f"{names[-1]} is not installed")

    return find
