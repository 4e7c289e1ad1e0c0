"""Serves scripts by addresses that tell their content: once to each browser, packed where it takes that.

They are Plotly's own, as its package has it, and that of the library's grid. They hold nothing of anybody's, so they are no part
of the interface for programs and ask nobody who they are.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opstore.ui.components import script, style

_PATH, _GRID_PATH = "/scripts/plotly.js", "/scripts/grid.js"
#: Where a page finds it; another version has another address.
PLOTLY = f"{_PATH}?v={version('plotly')}"
_HEADER = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}


def routes() -> list[Route]:
    """Return the routes of the scripts."""
    return [Route(_PATH, _plotly), Route(_GRID_PATH, _grid)]


def grid_address() -> str:
    """Return where a page finds the grid's code, with its look."""
    return f"{_GRID_PATH}?v={_grid_name()}"


def _plotly(request: Request) -> Response:
    return _answer(request, _script().read_bytes, packed)


def _grid(request: Request) -> Response:
    """Answer with the grid's code; a page of another version of it keeps nothing under the other's address."""
    is_present = request.query_params.get("v") == _grid_name()
    return _answer(request, _grid_code, _packed_grid, {} if is_present else {"cache-control": "no-store"})


def _answer(
    request: Request, plain: Callable[[], bytes], packed: Callable[[], bytes], other: Mapping[str, str] = MappingProxyType({})
) -> Response:
    coding = "gzip" if "gzip" in request.headers.get("accept-encoding", "") else "identity"
    headers = {**_HEADER, "content-encoding": coding, **other}
    return Response(packed() if coding == "gzip" else plain(), media_type="text/javascript", headers=headers)


@functools.cache
def packed() -> bytes:
    """Return Plotly's script packed, 1.4 MB of 4.8: made once a process, in a fifth of a second."""
    return gzip.compress(_script().read_bytes(), 6, mtime=0)


def _script() -> Path:
    found = importlib.util.find_spec("plotly")
    assert found and found.origin
    return Path(found.origin).parent / "package_data" / "plotly.min.js"


@functools.cache
def _grid_code() -> bytes:
    look = json.dumps(style("tiles.css", "grid.css"))
    return f"window.opstoreGridStyle = {look};\n(() => {{\n{script('grid_component.js')}\n}})();\n".encode()


@functools.cache
def _packed_grid() -> bytes:
    return gzip.compress(_grid_code(), 6, mtime=0)


@functools.cache
def _grid_name() -> str:
    return hashlib.sha256(_grid_code()).hexdigest()[:16]
