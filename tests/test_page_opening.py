"""What a page says before its script has run: the reader's language, and where its server is; of nobody else's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from opstore.ui.first_screen import First
from opstore.ui.page_opening import PageOpening, hearing, opening
from opstore.ui.streamlit_private.served import SERVER

PAGE = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
WINDOW = {"sec-fetch-dest": "document", "accept-encoding": "gzip", "if-none-match": '"page"'}


def page_of(path: str, headers: dict[str, str]) -> Any:
    """Return what a browser that sends these headers gets."""

    def shown(request: Request) -> Response:
        if request.headers.get("if-none-match") == '"page"':
            return Response(status_code=304)
        return HTMLResponse(PAGE, headers={"etag": '"page"', "cache-control": "no-cache"})

    paths = ("/library", "/", "/s/x", "/api/report")
    inner = [Middleware(First), Middleware(PageOpening), Middleware(GZipMiddleware)]
    client = TestClient(Starlette(routes=[Route(one, shown) for one in paths], middleware=inner))
    return client.get(path, headers=headers)


def test_streamlits_page_begins_as_it_is_known_to() -> None:
    assert PAGE.count('<html lang="en">') == 1


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({"accept-language": "fr-FR,fr;q=0.9,en;q=0.8"}, "fr"),
        ({"accept-language": "FR"}, "fr"),
        ({"accept-language": "de,fr;q=0.9"}, "en"),
        ({"accept-language": "frr"}, "en"),
        ({"accept-language": ""}, "en"),
        ({"accept-language": "en-US", "cookie": "a=b; opstore-language=fr"}, "fr"),
        ({"accept-language": "fr", "cookie": "opstore-language=en"}, "en"),
        ({"accept-language": "fr", "cookie": 'opstore-language=xx; "[='}, "fr"),
        ({"accept-language": "fr", "cookie": 'opstore-language="><script>'}, "fr"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/library"])
def test_a_page_says_the_language_of_its_reader_at_once(path: str, headers: dict[str, str], language: str) -> None:
    answer = page_of(path, WINDOW | {"if-none-match": '"old"'} | headers)
    said = PAGE.replace('<html lang="en">', f'<html lang="{language}">')
    assert answer.text == said.replace("</title>", f"</title>{SERVER.decode()}{hearing().decode()}")
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_page_is_a_copy_of_one_that_says_less(language: str) -> None:
    answer = page_of("/", WINDOW | {"accept-language": language})
    assert answer.status_code == 200 and "etag" not in answer.headers and answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/s/x", "/api/report"])
def test_who_says_its_own_language_is_left_alone(path: str) -> None:
    assert page_of(path, WINDOW | {"if-none-match": "", "cookie": "opstore-language=fr"}).text == PAGE


def test_below_an_address_of_a_proxy_the_page_finds_its_server_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opening(PAGE.encode(), "en").count(SERVER) == 1
    monkeypatch.setattr(streamlit, "get_option", {"server.baseUrlPath": "studio"}.get)
    assert opening(PAGE.encode(), "en") == PAGE.encode().replace(b"</title>", b"</title>" + hearing())


@pytest.mark.parametrize(("path", "kind"), [("/media/x.mp4", "video/mp4"), ("/picture", "image/svg+xml")])
def test_what_is_no_page_is_handed_on_as_it_is(path: str, kind: str) -> None:
    def given(_request: Request) -> Response:
        return Response(PAGE, media_type=kind, headers={"etag": '"media"'})

    client = TestClient(Starlette(routes=[Route(path, given)], middleware=[Middleware(PageOpening)]))
    answer = client.get(path, headers=WINDOW)
    assert answer.text == PAGE and answer.headers["etag"] == '"media"'
