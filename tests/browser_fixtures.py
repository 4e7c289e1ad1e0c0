"""What the tests in a browser share: one Chromium, one server with something of every kind, and servers that may be killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opstore.service import NewOperation
from tests.browser import CHROMIUMS, Server, Windows, chromium


@pytest.fixture(scope="session")
def windows(program: Callable[..., str]) -> Iterator[Windows]:
    with chromium(program(*CHROMIUMS)) as opened:
        yield opened


@pytest.fixture(scope="session")
def server(windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that do not end theirs; each uses prompts of its own."""
    served = Server(tmp_path_factory.mktemp("browser") / "data")
    served.start()
    yield served
    served.stop()


@pytest.fixture
def own_server(windows: Windows, tmp_path: Path) -> Iterator[Server]:
    """A server that a test may stop and kill."""
    served = Server(tmp_path / "own" / "data")
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="session")
def filled(server: Server, photo: Callable[..., bytes]) -> Server:
    """The server with something of every kind in its library."""
    astronaut = photo("astronaut")
    server.hand_in(NewOperation("text_to_image", "Snowy mountains under a starry night sky"))
    server.hand_in(NewOperation("image_edit_single", "sepia and a vignette", (photo("chelsea"),)))
    server.hand_in(NewOperation("image_edit_multiple", "side by side", (astronaut, photo("coffee"))))
    server.hand_in(NewOperation("text_to_video", "A city at dusk in blue and violet, rain", parameters={"duration": 1}))
    server.hand_in(NewOperation("image_edit_single", "make it taste better", (photo("coffee", size=(300, 200)),)))
    server.hand_in(NewOperation("image_to_video_single", "slow zoom into the picture", (astronaut,), {"duration": 1}))
    return server
