"""The first screen of the Library, sent with the page's answer: to whom, with what, and when not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from opstore.ui.first_screen import First

STYLE = '<link rel="stylesheet" crossorigin href="./static/css/x.css">'
PAGE = f"<html><head><title>Streamlit</title>{STYLE}</head><body><div id=root></div></body></html>"
WINDOW = {"sec-fetch-dest": "document", "cookie": "who=anna", "accept-encoding": "gzip", "if-none-match": '"old"'}
EVIL = "</script><script>alert(1)</script><!--"
ROW = {"id": "20251103143022_abc123de", "prompt": EVIL, "thumbnail": "/api/thumbnails/x"}


def answers(asked: list[Request], rows: list[Mapping[str, Any]], status: int = 200, page: str = PAGE) -> TestClient:
    """Return a client of a library that finds these rows; its requests for them are noted in `asked`."""

    def search(request: Request) -> Response:
        asked.append(request)
        return JSONResponse({"success": status == 200, "rows": rows}, status)

    def shown(request: Request) -> Response:
        assert "if-none-match" not in request.headers or not asked, "half of the page would be an old one"
        return HTMLResponse(page, headers={"etag": '"page"', "cache-control": "no-cache", "x-kept": "yes"})

    routes = [Route("/api/search", search), Route("/library", shown), Route("/compare", shown)]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(First)]))


def test_a_window_gets_the_first_rows_of_whoever_sits_before_it_and_keeps_nothing_of_them() -> None:
    asked: list[Request] = []
    answer = answers(asked, [ROW]).get("/library", headers=WINDOW)
    [search] = asked
    assert search.headers["cookie"] == "who=anna"
    assert dict(search.query_params) == {"q": "", "order": "newest", "group": "", "limit": "60"}
    assert (answer.headers["cache-control"], answer.headers["x-kept"]) == ("no-store", "yes")
    style, picture = answer.headers["link"].split(", ")
    assert style == "</static/css/x.css>;rel=preload;as=style;crossorigin"
    assert picture == "</api/thumbnails/x>;rel=preload;as=image;fetchpriority=high"
    assert "etag" not in answer.headers and int(answer.headers["content-length"]) == len(answer.content)
    before, _, sent = answer.text.partition('firstScreen({"')
    data, _, after = sent.partition("); })()</script>")
    assert before.startswith(PAGE.partition("<link")[0]) and after == "<link" + PAGE.partition("<link")[2]
    given = json.loads('{"' + data)
    assert given["rows"] == [ROW]
    assert given["words"]["fr"]["types"]["text_to_image"] == "Créer une image"
    assert answer.text.count("<script") == 1, "what is stored cannot end the script"


@pytest.mark.parametrize(
    ("path", "headers", "rows", "status"),
    [
        ("/library", WINDOW, [ROW], 401),
        ("/library", WINDOW, [], 200),
        ("/library?q=cat", WINDOW, [ROW], 200),
        ("/library", {"sec-fetch-dest": "empty"}, [ROW], 200),
        ("/compare", WINDOW, [ROW], 200),
    ],
    ids=["refused", "nothing there", "a search", "no window", "another page"],
)
def test_whatever_else_is_asked_gets_the_page_as_it_is(path: str, headers: dict[str, str], rows: list[Any], status: int) -> None:
    asked: list[Request] = []
    client = answers(asked, rows, status)
    wanted = client.get("/compare")
    asked.clear()
    headers = {name: value for name, value in headers.items() if name != "if-none-match"}
    answer = client.get(path, headers=headers)
    assert (answer.text, answer.headers) == (wanted.text, wanted.headers)


def test_the_page_that_streamlit_has_is_completed() -> None:
    index = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    answer = answers([], [ROW], page=index).get("/library", headers=WINDOW)
    assert "as=style;crossorigin" in answer.headers["link"]
    before, _, after = answer.text.partition("firstScreen({")
    assert after and "stylesheet" not in before and "<title>Streamlit</title><style>" in before
