"""The search over HTTP as pages and other programs meet it: shapes, pages, orders, mistakes that are pointed at; never a 500."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from starlette.testclient import TestClient

from opstore.app import App, Settings
from opstore.cards import MAX_CARD_PROMPT
from opstore.curation import Edit
from opstore.storage.operation import Operation
from tests.samples import ID, JPG, LATER, MP4, PNG, SHORT, plant
from tests.test_api import client as client
from tests.test_api import client_of, refused

WORDS = ("chat", "mer", "plage", "soir", "été", "aube", "ville", "pluie")
ORDERS = ("newest", "oldest", "rating", "cost", "elapsed", "relevance")
CARD = {
    "id", "time", "type", "status", "prompt", "model", "output", "thumbnail", "video", "rating", "favorite", "tags", "batchId",
    "inputs", "stack",
}  # fmt: skip


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(Settings(data=tmp_path / "data"))
    app.index.start()
    app.index.update()
    yield app
    app.index.stop()


def invented(chance: random.Random, number: int) -> dict[str, Any]:
    """Return a sidecar of some operation; many share ratings, costs and times, so that orders have ties."""
    moment = f"202511{1 + number % 28:02}{number % 24:02}{number % 60:02}{number // 60:02}"
    sidecar: dict[str, Any] = {
        "operationId": f"{moment}_{number:08x}",
        "operationType": chance.choice(["text_to_image", "image_edit_single", "text_to_video"]),
        "prompt": " ".join(chance.choices(WORDS, k=chance.randint(1, 6))),
        "success": True,
        "outputFile": f"{moment}_{number:08x}_out.{chance.choice(['png', 'mp4'])}",
        "annotations": {"rating": chance.choice([None, None, 1, 3, 5]), "favorite": chance.random() < 0.3, "tags": ["mer"]},
        "elapsedSeconds": chance.choice([None, 1.5, 1.5, 20, 333.25]),
        "parameters": {"aspectRatio": ("16:9", "1:1", "2:3")[number % 3]},
    }
    if chance.random() < 0.6:
        sidecar["cost"] = {"amount": chance.choice([0.0, 0.02, 0.02, 0.5, 12]), "currency": "USD"}
    return sidecar


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, TestClient, dict[str, dict[str, Any]]]]:
    """240 operations, the index over them, and the sidecars by id, newest first."""
    app = App(Settings(data=tmp_path_factory.mktemp("library")))
    chance = random.Random(20251103)
    sidecars = [invented(chance, number) for number in range(240)]
    for sidecar in sidecars:
        plant(app.store, f"{sidecar['operationId']}.json", json.dumps(sidecar).encode())
    app.index.update()
    with client_of(app) as client:
        yield app, client, {sidecar["operationId"]: sidecar for sidecar in sorted(sidecars, key=_id, reverse=True)}
    app.index.stop()


def _id(sidecar: dict[str, Any]) -> str:
    return str(sidecar["operationId"])


def save(app: App, operation_id: str, inputs: Sequence[bytes] = (), outputs: Sequence[bytes] = (), **keys: Any) -> None:
    app.store.save(operation_id, {"operationType": "text_to_image", "prompt": "é"} | keys, inputs=inputs, outputs=outputs)


def ask(client: TestClient, **asked: object) -> Any:
    answer = client.get(f"/api/search?{urlencode(asked)}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(client: TestClient, limit: int, **asked: object) -> list[str]:
    """Follow the cursors to the end and return all ids; a page before the last is full."""
    found: list[str] = []
    cursor = None
    while True:
        page = ask(client, limit=limit, **asked, **({"cursor": cursor} if cursor else {}))
        found += [row["id"] for row in page["rows"]]
        assert page["next"] is None or len(page["rows"]) == limit
        cursor = page["next"]
        if cursor is None:
            assert len(found) == page["total"]["n"] and page["total"]["exact"] is True
            return found
        assert len(found) < 1_000


def test_a_total_is_not_exact_until_the_index_has_seen_all(tmp_path: Path) -> None:
    app = App(Settings(data=tmp_path))
    with client_of(app) as client:
        assert ask(client)["total"] == {"n": 0, "exact": True}, "nothing is there"
        for number in range(2):
            sidecar = invented(random.Random(number), number)
            plant(app.store, f"{sidecar['operationId']}.json", json.dumps(sidecar).encode())
        assert ask(client)["total"] == {"n": 0, "exact": False} and not app.index.progress().ready
        app.index.update()
        assert ask(client)["total"] == {"n": 2, "exact": True}
    app.index.stop()


# -- shapes --------------------------------------------------------------------------------------------------------------


def test_an_empty_library(client: TestClient) -> None:
    answer = client.get("/api/search")
    assert answer.headers["cache-control"] == "no-store" and answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert sorted(found) == ["next", "rows", "success", "total", "version"]
    assert found | {"version": ""} == {"success": True, "total": {"n": 0, "exact": True}, "next": None, "rows": [], "version": ""}
    assert client.head("/api/search").status_code == 200
    refused(client.post("/api/search"), 405)


def test_what_a_tile_is_told(app: App, client: TestClient) -> None:
    save(
        app,
        ID,
        prompt="é <b>\n" + "x" * 500,
        model="m/n",
        batchId="b-1",
        inputs=[JPG],
        outputs=[MP4],
        operationType="image_to_video_single",
    )
    app.service.curation.annotate([ID], Edit(rating=4, favorite=True, add_tags=("Mer", "aube")))
    save(app, LATER, outputs=[], success=False, error="no")
    (later, row) = ask(client)["rows"]
    assert set(row) == set(later) == CARD
    assert row == {
        "id": ID, "time": "2025-11-03T14:30:22.000Z", "type": "image_to_video_single", "status": "stored",
        "prompt": ("é <b>\n" + "x" * 500)[:MAX_CARD_PROMPT], "model": "m/n", "output": f"{ID}_out.mp4",
        "thumbnail": f"/api/thumbnails/{ID}_out.mp4", "video": True, "rating": 4, "favorite": True, "tags": ["Mer", "aube"],
        "batchId": "b-1", "inputs": 0, "stack": 1,
    } | {"inputs": row["inputs"], "tags": row["tags"]}  # fmt: skip
    assert sorted(row["tags"]) == ["Mer", "aube"] and row["inputs"] == 1
    assert (later["status"], later["output"], later["thumbnail"], later["rating"], later["tags"]) == (
        "failed",
        None,
        None,
        None,
        [],
    )


# -- pages and orders ----------------------------------------------------------------------------------------------------


def ranked(sidecars: dict[str, dict[str, Any]], order: str) -> list[str]:
    """Sort as an order says, the newest first among equals and those without a value last."""
    ids = list(sidecars)  # newest first; sorting keeps that among equals

    def value(operation_id: str) -> float:
        sidecar = sidecars[operation_id]
        found = {
            "rating": sidecar["annotations"]["rating"],
            "cost": sidecar.get("cost", {}).get("amount"),
            "elapsed": sidecar["elapsedSeconds"],
        }[order]
        return -1.0 if found is None else float(found)

    if order in ("rating", "cost", "elapsed"):
        return sorted(ids, key=value, reverse=True)
    return ids[::-1] if order == "oldest" else ids


@pytest.mark.long
@pytest.mark.parametrize("limit", [1, 7, 100, 240])
@pytest.mark.parametrize("order", ORDERS)
def test_the_pages_of_every_order_are_the_whole(library: Any, order: str, limit: int) -> None:
    _, client, sidecars = library
    assert pages(client, limit, order=order) == ranked(sidecars, order)


@pytest.mark.parametrize("order", ORDERS)
def test_the_pages_of_a_search_are_what_it_finds(library: Any, order: str) -> None:
    _, client, sidecars = library
    wanted = {
        name: sidecar
        for name, sidecar in sidecars.items()
        if "ete" in sidecar["prompt"].replace("é", "e").split() and sidecar["operationType"] != "text_to_video"
    }
    found = pages(client, 5, q="ÉTÉ -type:text_to_video", order=order)
    assert len(found) > 20
    assert sorted(found) == sorted(wanted) if order == "relevance" else found == ranked(wanted, order)


def test_totals_and_bounds(library: Any) -> None:
    _, client, sidecars = library
    assert len(ask(client)["rows"]) == 100 and ask(client)["total"] == {"n": 240, "exact": True}
    none = ask(client, limit=0)
    assert (none["rows"], none["next"], none["total"]["n"]) == ([], None, 240)
    assert len(ask(client, limit=10_000)["rows"]) == 240 and len(ask(client, limit=1)["rows"]) == 1
    for limit in ("-1", "10001", "1e3", "abc", "", " 5", "٥", "9" * 500, "5.0"):
        assert "limit" in refused(client.get(f"/api/search?limit={quote(limit)}"), 400)
    assert ask(client, order="", cursor="", q="") == ask(client)
    assert ask(client, q="rating:5", limit=3)["total"]["n"] == sum(s["annotations"]["rating"] == 5 for s in sidecars.values())


def test_a_page_begins_behind_its_cursor_whatever_came_or_went(app: App, client: TestClient) -> None:
    ids = [f"202511031430{n:02}_abc123de" for n in range(9)]
    for operation_id in ids[:8]:
        save(app, operation_id, outputs=[])
    first = ask(client, limit=3)
    assert [row["id"] for row in first["rows"]] == ids[7:4:-1]
    save(app, ids[8], outputs=[])
    app.service.curation.put_in_trash([ids[5], ids[4]])  # the one that the cursor names, and the next
    assert [row["id"] for row in ask(client, limit=3, cursor=first["next"])["rows"]] == ids[3:0:-1]


def test_of_a_search_only_what_a_mark_of_a_chart_counts_a_page_at_a_time_and_as_a_file(library: Any) -> None:
    _, client, sidecars = library
    of = {"q": "été", "mark": 'parameter:aspectRatio:"16:9"'}
    wide = [key for key, s in sidecars.items() if s["parameters"] == {"aspectRatio": "16:9"} and "été" in s["prompt"].split()]
    assert 20 < len(wide) < 80 and pages(client, 7, **of) == wide
    exported = client.get(f"/api/export?format=jsonl&{urlencode(of)}").text.splitlines()
    assert [json.loads(line)["operationId"] for line in exported] == wide
    for wrong in ({"mark": "parameter:aspectRatio:16:9"}, of | {"order": "cost"}, of | {"group": "batch"}):
        refused(client.get(f"/api/search?{urlencode(wrong)}"), 400, 422)
    refused(client.get(f"/api/export?ids={ID}&{urlencode({'mark': of['mark']})}"), 400, 422)


# -- mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "position", "length", "word"),
    [
        ("chat (mer", 5, 1, "parenthesis"), ('"mer', 0, 1, "quotation"), ("colour:red", 0, 7, "no field"),
        ("chat rating:9..x", 12, 4, ""),
        ("a or", 2, 2, ""), ("date:2025-13", 5, 7, ""), ("-", 0, 1, "minus"), ("é海🦊 **", 4, 1, "star"), ("tag:", 4, 0, "value"),
    ],
)  # fmt: skip
def test_a_mistake_is_pointed_at(library: Any, query: str, position: int, length: int, word: str) -> None:
    _, client, _ = library
    answer = client.get(f"/api/search?q={quote(query)}")
    body = answer.json()
    assert answer.status_code == 400 and sorted(body) == ["error", "length", "position", "success"] and body["success"] is False
    assert (body["position"], body["length"]) == (position, length) and word in body["error"]


@pytest.mark.parametrize("order", ["NEWEST", "id; DROP TABLE op", "\0", "é", "newest ", "x" * 3000, "op.at"])
def test_an_order_that_there_is_not(library: Any, order: str) -> None:
    _, client, _ = library
    assert len(refused(client.get(f"/api/search?order={quote(order)}"), 400, 422)) < 300


CURSORS = [
    "x", "~", "~~", "~~~", "0", "0~0", "0~0~", f"0~0~{ID}~", f"x~0~{ID}", f"0~x~{ID}", f"{ID}~0~0", "0~0~../../etc/passwd", "\0",
    f"1e3~0~{ID}", f"0~0~{ID}\n", f"0~nan~{ID}", f"0~0~{ID}' OR 1=1 --", "0~0~" + "9" * 5000, "é~é~é",
]  # fmt: skip


@pytest.mark.parametrize("cursor", CURSORS, ids=lambda cursor: ascii(cursor)[:30])
def test_a_cursor_that_is_none(library: Any, cursor: str) -> None:
    _, client, _ = library
    for order in ORDERS:
        refused(client.get(f"/api/search?order={order}&cursor={quote(cursor)}"), 400, 422)


@pytest.mark.long
def test_any_other_cursor_is_some_place(library: Any) -> None:
    """Every tier of every order, with values beyond every range, before, at and behind what there is."""
    _, client, sidecars = library
    for order in ORDERS:
        for tier in (-999_999_999, -40, *range(-24, 24, 3), 9, 10_000, 999_999_999, "-0", " 1", "1_0", "٣"):
            for value in (-(10**19), -1, 0, 20_000, 2**63, 10**19 - 1, 10**30):
                name = random.Random(f"{tier}{value}").choice([*sidecars, ID, "00000000000000_000000", "99999999999999_ffffffff"])
                answer = client.get(f"/api/search?limit=3&order={order}&cursor={quote(f'{tier}~{value}~{name}')}")
                assert answer.status_code in (200, 422), (order, tier, value, name, answer.text)


@pytest.mark.long
def test_hostile_queries_are_never_a_fault_of_the_server(library: Any) -> None:
    _, client, _ = library
    chance = random.Random(7)
    pieces = [
        *WORDS, *'"()-*:,.<>=~\\\'%;', " or ", " OR ", " AND ", " NOT ", " NEAR(", "type:", "rating:", "date:", "cost:>", "tag:",
        "id:",
        "parent:", "confidence:<", "elapsed:", "inputs:", "2025-11", "..", "9" * 400, "1e999", "nan", "inf", "-0", "\0", "\x1b",
        "\ufeff", "海", "🦊", "e\u0301", "ß", "İ", "ﬁ", "'; DROP TABLE op; --", "^", "{", "}", "+", "\n", "\u2028", ID,
        "0x5", "½", "٣",
    ]  # fmt: skip
    statuses = set()
    for number in range(700):
        query = "".join(chance.choices(pieces, k=chance.randint(1, 9)))
        answer = client.get(f"/api/search?limit=2&order={chance.choice(ORDERS)}&q={quote(query)}")
        statuses.add(answer.status_code)
        assert answer.status_code in (200, 400), (number, query, answer.text)
        if answer.status_code == 400:
            body = answer.json()
            assert 0 <= body["position"] <= len(query) and 0 <= body["length"] <= len(query) + 1, (query, body)
    assert statuses == {200, 400}


@pytest.mark.parametrize(
    "query",
    ["(" * 900, "-" * 900, "a " * 900, '"' * 900, "or " * 600, "x" * 1_999, "x" * 60_000, "tag:" + "a," * 900, "a*" * 900,
     " ".join(f"{a}{b}*" for a in "abcdefghij" for b in "abcdefghij"), "-(" * 400 + "a" + ")" * 400],
    ids=lambda query: f"{query[:6]}{len(query)}",
)  # fmt: skip
def test_a_query_that_is_too_much_is_refused_quickly(library: Any, query: str) -> None:
    _, client, _ = library
    began = time.monotonic()
    assert client.get(f"/api/search?q={quote(query)}").status_code in (200, 400)
    assert time.monotonic() - began < 20


def test_raw_bytes_in_the_address(library: Any) -> None:
    _, client, _ = library
    for raw in (
        "q=%ff%fe",
        "q=%ED%A0%80",
        "q=%00",
        "q",
        "=",
        "&&&",
        "q=a&q=(",
        "cursor=%00",
        "order=%ff",
        "%71=a",
        "q[]=a",
        "limit=%31",
    ):
        assert client.get(f"/api/search?{raw}").status_code in (200, 400, 422), raw


# -- what changes --------------------------------------------------------------------------------------------------------


def test_every_act_is_seen_at_once_and_changes_the_version(app: App, client: TestClient) -> None:
    def version() -> str:
        said = ask(client)["version"]
        assert said == client.get("/api/health").json()["version"] == ask(client, q="chat")["version"]
        return str(said)

    seen = [version()]
    curation = app.service.curation
    acts: list[tuple[Callable[[], object], str, list[str]]] = [
        (lambda: save(app, ID, prompt="chat"), "chat", [ID]),
        (lambda: save(app, LATER, prompt="chat"), "chat", [LATER, ID]),
        (lambda: curation.annotate([ID], Edit(rating=5)), "rating:5", [ID]),
        (lambda: curation.put_in_trash([ID]), "chat", [LATER]),
        (lambda: curation.restore([ID]), "rating:>=4", [ID]),
        (lambda: curation.put_in_trash([ID, LATER]), "", []),
    ]
    for act, query, expected in acts:
        assert version() == seen[-1], "nothing happened"
        act()
        seen.append(version())
        assert [row["id"] for row in ask(client, q=query)["rows"]] == expected
    assert len(set(seen)) == len(seen)
    curation.remove_for_good([ID])
    assert version() == seen[-1], "what was removed was not in it"


def test_health_says_how_far_the_index_is(app: App, client: TestClient) -> None:
    save(app, ID)
    app.index.update()
    body = client.get("/api/health").json()
    assert body == {"success": True, "jobs": 0, "version": body["version"], "index": {"done": 1, "total": 1, "ready": True}}


def test_what_does_not_say_otherwise_is_kept_by_nobody(app: App, client: TestClient) -> None:
    save(app, ID, outputs=[PNG])
    looked = ["health", "search", "jobs", "problems", "openapi.json", "history", "history/odd"]
    asked = (*looked, f"history/{ID}", f"history/{LATER}")
    for address in (*asked, "files/odd", "nothing", f"files/{ID}_out.png?download"):
        assert client.get(f"/api/{address}").headers.get_list("cache-control") == ["no-store"], address
    assert client.post("/api/history").headers["cache-control"] == "no-store"
    stored = client.get(f"/api/files/{ID}_out.png")
    assert stored.headers.get_list("cache-control") == ["private, max-age=31536000, immutable"], stored.text


@pytest.mark.long
def test_the_index_deleted_or_spoilt_under_the_server(app: App, client: TestClient) -> None:
    save(app, ID)
    for harm in (
        lambda: shutil.rmtree(app.store.cache),
        lambda: app.index.path.unlink(),
        lambda: app.index.path.write_bytes(b"junk" * 4096),
    ):
        harm()
        deadline = time.monotonic() + 15
        while [row["id"] for row in ask(client)["rows"]] != [ID]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


# -- the picture of an operation -----------------------------------------------------------------------------------------


def picture(client: TestClient, operation_id: str) -> Any:
    return client.get(f"/api/thumbnails/{operation_id}")


def test_the_picture_of_an_operation(app: App, client: TestClient, photo: Callable[..., bytes]) -> None:
    output, given = photo("astronaut", "png", (64, 48)), photo("coffee", "jpg", (48, 64))
    save(app, ID, inputs=[given], outputs=[output])
    stored = picture(client, ID)
    assert stored.status_code == 200 and stored.content == client.get(f"/api/thumbnails/{ID}_out.png").content
    assert stored.headers["content-type"].startswith("image/") and "immutable" in stored.headers["cache-control"]
    save(app, LATER, inputs=[given], outputs=[], success=False, error="refused")
    (row,) = ask(client, q=f"id:{LATER}")["rows"]
    assert row["thumbnail"] == f"/api/thumbnails/{LATER}"
    failed = client.get(row["thumbnail"])
    assert failed.status_code == 200 and failed.content == client.get(f"/api/thumbnails/{LATER}_in_1.jpg").content
    save(app, "20251103143024_abc123df", outputs=[], success=False, error="no")
    refused(picture(client, "20251103143024_abc123df"), 404)
    refused(picture(client, "20251103143029_abc123df"), 404)
    app.service.curation.put_in_trash([ID])
    refused(picture(client, ID), 404)


@pytest.mark.parametrize("harm", ["gone", "broken", "a link"])
def test_where_the_result_cannot_be_seen_its_input_is_shown(
    app: App, client: TestClient, photo: Callable[..., bytes], harm: str, tmp_path: Path
) -> None:
    save(app, ID, inputs=[photo("coffee", "jpg", (48, 64))], outputs=[PNG])
    path = app.store.operations.path / f"{ID}_out.png"
    path.unlink()
    if harm == "broken":
        path.write_bytes(b"<html>")
    elif harm == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    answer = picture(client, ID)
    assert answer.status_code == 200 and answer.content == client.get(f"/api/thumbnails/{ID}_in_1.jpg").content


def test_the_picture_of_a_damaged_operation(app: App, client: TestClient) -> None:
    plant(app.store, f"{SHORT}.json", b"{")
    refused(picture(client, SHORT), 422)
    plant(
        app.store,
        f"{ID}.json",
        json.dumps({"operationId": ID, "success": True, "outputFile": "../../x", "inputFiles": [5]}).encode(),
    )
    assert Operation.of(app.store.get_operation_metadata(ID)).outputs == ()
    refused(picture(client, ID), 404)
