"""Share links as visitors and attackers meet them: every route looks at the record every time; nothing else answers to others."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from starlette.testclient import TestClient

from opstore.api.guard import FAULT
from opstore.app import App
from opstore.shares import Scope, Shares, Shown
from tests.media_samples import encoded, opened, picture
from tests.samples import HOSTILE_NAMES, ID, LATER
from tests.share_samples import ORIGIN, PASSWORD, SECRET, THIRD, TOLD, Clock, enter, made, opened_app, visitor

LAST = "20251103143025_abc123df"
#: Each route below a link, and the statuses of an answer that shows something.
ROUTES = {
    "page": ("", 200),
    "head": ("", 200),
    "file": ("/file/1-result-1", 200),
    "input": ("/file/1-input-1", 200),
    "download": ("/file/1-result-1?download", 200),
    "range": ("/file/2-result-1", 206),
    "thumbnail": ("/small/1-result-1", 200),
    "poster": ("/small/2-result-1", 200),
}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> App:
    """One app for all tests that change no operation; each makes links of its own."""
    return opened_app(tmp_path_factory.mktemp("shares"), clock)


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> App:
    """An app whose operations a test may change."""
    return opened_app(tmp_path, clock)


@pytest.fixture
def client(app: App) -> TestClient:
    return visitor(app)


def ask(client: TestClient, token: str, route: str) -> Any:
    path, _status = ROUTES[route]
    method = "HEAD" if route == "head" else "GET"
    return client.request(method, f"/s/{token}{path}", headers={"range": "bytes=10-19"} if route == "range" else {})


# -- the matrix: every route, whatever became of the link --------------------------------------------------------------------


def valid(app: App, client: TestClient, clock: Clock) -> str:
    return made(app)[1]


def expired(app: App, client: TestClient, clock: Clock) -> str:
    token = made(app, lasts=timedelta(hours=1))[1]
    assert client.get(f"/s/{token}").status_code == 200
    clock.now += timedelta(hours=1)
    return token


def revoked(app: App, client: TestClient, clock: Clock) -> str:
    share, token = made(app)
    assert client.get(f"/s/{token}").status_code == 200
    app.service.shares.revoke(share.id)
    return token


def revoked_elsewhere(app: App, client: TestClient, clock: Clock) -> str:
    """Another process takes it back: it has the folder in common with this one, and nothing else."""
    share, token = made(app)
    assert client.get(f"/s/{token}").status_code == 200
    Shares(type(app.store)(app.store.root)).revoke(share.id)
    return token


def forgotten(app: App, client: TestClient, clock: Clock) -> str:
    share, token = made(app)
    app.service.shares.forget(share.id)
    return token


def tampered(app: App, client: TestClient, clock: Clock) -> str:
    token = made(app)[1]
    return token[:-1] + ("A" if token[-1] != "A" else "E")


def other_spelling(app: App, client: TestClient, clock: Clock) -> str:
    """The last letter of a signature has two bits to spare: another letter would mean the same bytes."""
    token = made(app)[1]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) + 1]


def of_another(app: App, client: TestClient, clock: Clock) -> str:
    """The signature of one link under the id of another."""
    return f"{made(app)[0].id}.{made(app)[1].partition('.')[2]}"


def unsigned(app: App, client: TestClient, clock: Clock) -> str:
    return made(app)[0].id


def old_key(app: App, client: TestClient, clock: Clock) -> str:
    token = made(app)[1]
    app.service.shares.rotate(end_old=True)
    return token


def rotated(app: App, client: TestClient, clock: Clock) -> str:
    token = made(app)[1]
    app.service.shares.rotate()
    return token


def without_password(app: App, client: TestClient, clock: Clock) -> str:
    return made(app, password=PASSWORD)[1]


def wrong_password(app: App, client: TestClient, clock: Clock) -> str:
    token = made(app, password=PASSWORD)[1]
    assert enter(client, token, "wrong").status_code == 403
    return token


def right_password(app: App, client: TestClient, clock: Clock) -> str:
    token = made(app, password=PASSWORD)[1]
    answer = enter(client, token)
    assert answer.status_code == 303 and answer.headers["location"] == token
    return token


def password_of_another(app: App, client: TestClient, clock: Clock) -> str:
    """Let in to one link, carried over to another with the same password."""
    first, second = made(app, password=PASSWORD)[1], made(app, password=PASSWORD)[1]
    enter(client, first)
    kept = next(cookie.value for cookie in client.cookies.jar if cookie.name == "opstore-admission")
    client.cookies.clear()
    client.cookies.set("opstore-admission", kept or "")
    return second


def admission_that_is_old(app: App, client: TestClient, clock: Clock) -> str:
    token = made(app, password=PASSWORD)[1]
    enter(client, token)
    kept = next(cookie.value for cookie in client.cookies.jar if cookie.name == "opstore-admission") or ""
    secret, moment, _signature = kept.rsplit(".", 2)
    client.cookies.clear()
    client.cookies.set("opstore-admission", f"{secret}.{moment}.{'A' * 43}")
    return token


def right_password_then_revoked(app: App, client: TestClient, clock: Clock) -> str:
    token = right_password(app, client, clock)
    app.service.shares.revoke(f"{ORIGIN}/s/{token}")
    return token


#: What became of a link → the status of every route.
STATES: dict[Callable[[App, TestClient, Clock], str], int | None] = {
    valid: None, rotated: None, right_password: None,
    expired: 410, revoked: 410, revoked_elsewhere: 410, right_password_then_revoked: 410,
    forgotten: 404, tampered: 404, other_spelling: 404, of_another: 404, unsigned: 404, old_key: 404,
    without_password: 401, wrong_password: 401, password_of_another: 401, admission_that_is_old: 401,
}  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_route_looks_at_the_record(
    app: App, client: TestClient, clock: Clock, state: Callable[[App, TestClient, Clock], str], route: str
) -> None:
    token = state(app, client, clock)
    answer = ask(client, token, route)
    wanted = STATES[state]
    assert answer.status_code == (ROUTES[route][1] if wanted is None else wanted)
    if wanted is not None:
        assert answer.headers["content-type"] == "text/html; charset=utf-8" and answer.headers["cache-control"] == "no-store"
        assert not any(word in answer.content for word in TOLD), "an answer that shows nothing tells nothing"
    elif route not in ("page", "head"):
        assert answer.headers["cache-control"] == "private, no-cache", "a browser asks again before it shows it again"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        known = client.get(f"/s/{token}{ROUTES[route][0]}", headers={"if-none-match": answer.headers["etag"]})
        assert known.status_code == 304


@pytest.mark.parametrize("kind", ["file", "small"])
@pytest.mark.parametrize(
    "key",
    ["3-result-1", "0-result-1", "-1-result-1", "1-result-2", "1-input-2", "2-input-1", "1-sidecar-1", f"{ID}_out.png",
     f"{THIRD}_out.png", f"{ID}.json", "1-result-1.png", "1-result-01", "１-result-1", "1-result-1%0a", "99999-result-1", "x"],
)  # fmt: skip
def test_another_operation_or_file_is_not_behind_the_link(app: App, client: TestClient, kind: str, key: str) -> None:
    answer = client.get(f"/s/{made(app)[1]}/{kind}/{key}")
    assert answer.status_code == 404 and "image" not in answer.headers["content-type"]


@pytest.mark.long
def test_hostile_keys_and_tokens_are_nothing(app: App, client: TestClient) -> None:
    token = made(app)[1]
    for name in (name for name in HOSTILE_NAMES if isinstance(name, str) and len(name) < 2_000 and name not in ("", ".", "..")):
        text = quote(name.encode("utf-8", "surrogatepass"), safe="")
        for path in (f"/s/{text}", f"/s/{token}/file/{text}", f"/s/{token}/small/{text}", f"/s/{text}/file/1-result-1"):
            assert client.get(path).status_code == 404, path


def test_withheld_inputs_cannot_be_fetched(app: App, client: TestClient) -> None:
    token = made(app, scope=Scope("operation", (ID,), Shown(inputs=False)))[1]
    assert client.get(f"/s/{token}/file/1-result-1").status_code == 200
    for path in ("file/1-input-1", "small/1-input-1"):
        assert client.get(f"/s/{token}/{path}").status_code == 404


def test_an_operation_in_the_trash_is_gone_from_the_link(own: App) -> None:
    client = visitor(own)
    token = made(own)[1]
    assert client.get(f"/s/{token}/file/1-result-1").status_code == 200
    own.service.curation.put_in_trash([ID])
    assert client.get(f"/s/{token}/file/1-result-1").status_code == client.get(f"/s/{token}/small/1-result-1").status_code == 404
    assert "2-result-1" in client.get(f"/s/{token}").text, "the other one keeps its place"
    own.service.curation.put_in_trash([LATER])
    assert "This content was removed." in client.get(f"/s/{token}").text


# -- who else is let in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/library", "/api/health", "/api/history", f"/api/files/{ID}_out.png", "/s", "/S/x", "/media/x"]
)
def test_nothing_but_links_answers_under_the_published_name(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 400 and not any(word in answer.content for word in TOLD)


def test_a_proxy_on_this_machine_opens_nothing_but_links(app: App) -> None:
    """It calls from 127.0.0.1, which the interface trusts: only the name tells that somebody else asks."""
    client = visitor(app, host="127.0.0.1")
    assert client.get(f"/s/{made(app)[1]}").status_code == 200
    assert client.get("/api/history").status_code == 400
    assert visitor(app, base="http://127.0.0.1:8501", host="127.0.0.1").get("/api/history").status_code == 200


@pytest.mark.parametrize(
    "base", ["https://evil.example", "https://share.example.org.evil.example", "https://share.example.org:99"]
)
def test_another_name_is_refused(app: App, base: str) -> None:
    assert visitor(app, base=base).get(f"/s/{made(app)[1]}").status_code == 400


def test_without_a_published_name_links_open_here_only(own: App) -> None:
    own.settings = replace(own.settings, share_url=None)
    token = made(own)[1]
    assert visitor(own).get(f"/s/{token}").status_code == 400
    assert visitor(own, base="http://127.0.0.1:8501").get(f"/s/{token}").status_code == 200


def test_the_interface_stays_shut_to_others(app: App) -> None:
    client = visitor(app, base="http://127.0.0.1:8501")
    assert client.get(f"/s/{made(app)[1]}").status_code == 200
    assert client.get("/api/history").status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_do_nothing(app: App, client: TestClient, method: str) -> None:
    share, token = made(app)
    for path in (f"/s/{token}", f"/s/{token}/file/1-result-1", "/s/x"):
        assert client.request(method, path).status_code == 405
    assert app.service.shares.open(token) == share


# -- what is told ------------------------------------------------------------------------------------------------------------


def test_nothing_of_the_place_owner_or_name_of_a_photo_is_handed_on(app: App, client: TestClient) -> None:
    token = made(app, scope=Scope("selection", (ID, LATER), Shown(prompt=False, parameters=False)))[1]
    sent = [client.get(f"/s/{token}{path}") for path, _status in ROUTES.values()]
    ranged = client.get(f"/s/{token}/file/1-input-1", headers={"range": "bytes=0-1000000"})
    assert ranged.status_code == 206
    for answer in (*sent, ranged):
        told = str(dict(answer.headers)).encode() + answer.content
        assert not [word for word in TOLD if word in told]
    photo = opened(client.get(f"/s/{token}/file/1-input-1").content)
    assert not photo.getexif() and not photo.info.get("xmp") and photo.size == (48, 80), "turned upright, and nothing in it"
    stored = opened(app.store.read_file(f"{ID}_in_1.jpg"))
    assert stored.getexif().get_ifd(0x8825), "what is stored stays as it was received"


def test_a_range_is_a_part_of_the_copy(app: App, client: TestClient) -> None:
    address = f"/s/{made(app)[1]}/file/2-result-1"
    whole = client.get(address).content
    assert client.get(address, headers={"range": "bytes=10-19"}).content == whole[10:20]
    spans = [f"bytes={at}-{at + 499}" for at in range(0, len(whole), 500)]
    parts = [client.get(address, headers={"range": span}).content for span in spans]
    assert b"".join(parts) == whole


def test_what_is_shown_is_chosen(app: App, client: TestClient) -> None:
    everything = client.get(f"/s/{made(app)[1]}").text
    assert SECRET in everything and "brush/model" in everything and "Negative prompt" in everything and ID in everything
    hidden = client.get(f"/s/{made(app, scope=Scope('operation', (ID,), Shown(prompt=False)))[1]}").text
    assert SECRET not in hidden and "xylophone" not in hidden and "brush/model" in hidden and "16:9" in hidden and "77" in hidden
    assert "private-note" not in everything and "0.120593" not in everything and "/home/ada" not in everything


def test_a_page_is_html_that_runs_nothing_of_what_is_stored(app: App, client: TestClient) -> None:
    evil = '<script>alert(1)</script>" onerror="x'
    app.store.save(LAST, {"operationType": evil, "prompt": evil, "model": evil}, outputs=[encoded(picture(), "PNG")])
    answer = client.get(f"/s/{made(app, scope=Scope('selection', (LAST,), title=evil))[1]}")
    assert answer.text.count("<script>") == 1 and 'onerror="x' not in answer.text and "&lt;script&gt;" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["referrer-policy"] == "same-origin" and answer.headers["x-robots-tag"] == "noindex"


def test_the_page_speaks_the_visitors_language(app: App, client: TestClient) -> None:
    answer = client.get(f"/s/{made(app)[1]}", headers={"accept-language": "fr-CH, fr;q=0.9, en;q=0.8"})
    assert '<html lang="fr">' in answer.text and "2 résultats" in answer.text and "Avant" in answer.text
    lost = client.get("/s/x", headers={"accept-language": "fr"})
    assert "Ce lien ne mène à rien" in lost.text


# -- visits and faults -------------------------------------------------------------------------------------------------------


def test_visits_are_counted_once_a_browser_in_half_an_hour(app: App, clock: Clock) -> None:
    share, token = made(app, password=PASSWORD)
    for _ in range(3):
        client = visitor(app)
        client.get(f"/s/{token}")
        enter(client, token)
        for _ in range(4):
            assert client.get(f"/s/{token}").status_code == 200
            client.head(f"/s/{token}")
            client.get(f"/s/{token}/file/1-result-1")
    listed = next(item for item in app.service.shares.all() if item.id == share.id)
    assert (listed.share, listed.visits.count, listed.visits.last, listed.visits.wrong) == (share, 3, clock.now, 0)


def test_a_fault_of_the_program_is_a_page_and_the_log_has_no_link(
    app: App, client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = made(app)[1]
    monkeypatch.setattr(Shares, "items", lambda *_: 1 / 0)
    answer = client.get(f"/s/{token}")
    assert answer.status_code == 500 and str(FAULT).split("'")[0] in answer.text
    assert token not in caplog.text and "/s/…" in caplog.text.replace("\\u2026", "…")


def test_a_picture_that_cannot_be_read_is_not_there(own: App) -> None:
    client = visitor(own)
    (own.store.operations.path / f"{ID}_out.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    token = made(own)[1]
    assert client.get(f"/s/{token}").status_code == 200 and client.get(f"/s/{token}/file/1-result-1").status_code == 404
    with Image.open(io.BytesIO(client.get(f"/s/{token}/file/1-input-1").content)) as image:
        assert image.size == (48, 80)


def test_what_goes_wrong_in_the_house_is_told_without_its_names(
    own: App, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, client = made(own)[1], visitor(own)
    (own.store.cache / "shared").write_text("in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    full = client.get(f"/s/{token}/file/1-result-1")
    keys = own.store.root / "share-keys.json"
    kept = keys.read_bytes()
    keys.write_bytes(b"damaged")
    for answer in (full, client.get(f"/s/{token}")):
        assert answer.status_code == 500 and str(FAULT).split("'")[0] in answer.text
        assert not [word for word in (ID, "share-keys", "cache", str(own.store.root)) if word in answer.text.split("</style>")[1]]
    keys.write_bytes(kept)
    assert "share-keys.json" in caplog.text and client.get(f"/s/{token}").status_code == 200


def test_a_copy_that_went_at_this_very_moment_is_not_named(app: App, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    token = made(app)[1]
    gone = app.store.root / f"{ID}_out.png.clean-1"
    found = app.service.shares.file(Scope("operation", (ID,)), "1-result-1")[0]
    monkeypatch.setattr(Shares, "file", lambda *_: (found, gone))
    for path in ("file/1-result-1", "small/1-result-1"):
        answer = client.get(f"/s/{token}/{path}")
        assert answer.status_code == 404 and ID not in answer.text
