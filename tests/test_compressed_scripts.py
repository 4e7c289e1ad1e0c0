"""What the front end's files look like to a browser: the same bytes, packed once a process; everything else as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from opstore.ui.compressed_scripts import CompressedScripts

STATIC = Path(streamlit.__file__).parent / "static"
SCRIPT = max((STATIC / "static" / "js").glob("*.js"), key=lambda path: path.stat().st_size)
ADDRESS = f"/static/js/{SCRIPT.name}"
PACKS = {"accept-encoding": "gzip"}


@pytest.fixture
def asked() -> list[str]:
    """What the application below was asked for."""
    return []


@pytest.fixture
def client(asked: list[str]) -> TestClient:
    def answer(request: Request) -> Response:
        asked.append(request.url.path)
        if request.url.path == ADDRESS:
            headers = {"cache-control": "public, immutable", "etag": '"x"', "x-kept": "yes"}
            return Response(SCRIPT.read_bytes(), media_type="text/javascript", headers=headers)
        return Response(b"small" if "small" in request.url.path else b"none" * 1000, 200 if "small" in request.url.path else 404)

    return TestClient(Starlette(routes=[Route("/{path:path}", answer)], middleware=[Middleware(CompressedScripts)]))


def test_a_script_is_the_same_in_a_quarter_of_the_bytes_and_packed_once(client: TestClient, asked: list[str]) -> None:
    for _ in range(3):
        found: Any = client.get(ADDRESS, headers=PACKS)
        assert found.content == SCRIPT.read_bytes() and found.headers["content-encoding"] == "gzip"
        assert int(found.headers["content-length"]) < SCRIPT.stat().st_size / 2
        assert (found.headers["cache-control"], found.headers["x-kept"]) == ("public, immutable", "yes")
        assert found.headers["vary"] == "Accept-Encoding" and "etag" not in found.headers
    assert asked == [ADDRESS]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("HEAD", ADDRESS, PACKS),
        ("GET", ADDRESS, {"accept-encoding": "identity"}),
        ("GET", ADDRESS, {**PACKS, "range": "bytes=0-9"}),
        ("GET", ADDRESS, {**PACKS, "if-none-match": '"x"'}),
        ("GET", "/static/js/small.js", PACKS),
        ("GET", "/static/js/none.js", PACKS),
        ("GET", "/api/search", PACKS),
        ("GET", "/app/static/js/x", PACKS),
    ],
)
def test_everything_else_is_passed_on_as_it_is(client: TestClient, method: str, path: str, headers: dict[str, str]) -> None:
    found = client.request(method, path, headers=headers)
    assert "content-encoding" not in found.headers and found.status_code == (
        404 if path not in (ADDRESS, "/static/js/small.js") else 200
    )
    if path == ADDRESS:
        assert found.content == (b"" if method == "HEAD" else SCRIPT.read_bytes()) and found.headers["etag"] == '"x"'
