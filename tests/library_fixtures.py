"""Servers over a library of a thousand operations, and over one of sixty that a test may change as it likes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import Server, Windows
from tests.browser_library import Photo, fill, small


@pytest.fixture(scope="module")
def served(windows: Windows, photo: Photo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 1,200 operations, of which 240 have pictures; each test changes some of its own."""
    server = Server(tmp_path_factory.mktemp("library") / "data")
    fill(server, small(photo))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def few(windows: Windows, photo: Photo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 60 operations, all a test's own."""
    server = Server(tmp_path_factory.mktemp("few") / "data")
    fill(server, small(photo), 60, 60)
    server.start()
    yield server
    server.stop()
