"""The ways to an export: command line, HTTP on a real connection, and the page in a real browser."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.testclient import TestClient

from opstore import Store
from opstore.api import Api, middleware
from opstore.app import App, Settings
from opstore.cli import export as verb
from opstore.cli import main
from opstore.exports import FORMATS
from opstore.shares import bundle
from tests.browser import ROOT, Server, Windows
from tests.browser_library import Photo, fill, library, name_of, small, tile
from tests.samples import ID, LATER, MOMENT, PNG, plant, tree

pytest_plugins = ("tests.browser_fixtures",)

HERE = "http://127.0.0.1:8501"
SHOTS = ROOT / "screenshots"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The test's data folder, with two operations in it."""
    store = Store(tmp_path / "data", clock=lambda: MOMENT)
    store.initialize_storage()
    store.save(ID, {"operationType": "text_to_image", "prompt": "a sea"}, outputs=[PNG])
    store.save(LATER, {"operationType": "text_to_image", "prompt": "=1+1", "success": False, "error": "no"})
    return store


# -- command line --------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "opstore", "export", *arguments]
    return subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, timeout=60, check=False)


def test_the_command_knows_every_format() -> None:
    assert tuple(FORMATS) == verb.NAMES


@pytest.mark.long
def test_to_standard_output_and_to_a_file(store: Store, tmp_path: Path) -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, b"")
    lines = list(csv.reader(io.StringIO(done.stdout.decode())))
    assert [line[0] for line in lines] == ["operation_id", LATER, ID]
    found = run("sea", "--format", "jsonl", "-o", "-")
    assert json.loads(found.stdout) == store.get_operation_metadata(ID)
    for name in FORMATS:
        path = tmp_path / f"out.{name}"
        done = run("--output", str(path), "--json")
        told = json.loads(done.stdout)
        assert done.returncode == 0 and told["format"] == name and told["operations"] == 2
        assert told["bytes"] == path.stat().st_size and told["leftOut"] == []
    assert zipfile.ZipFile(tmp_path / "out.zip").testzip() is None
    again = run("--output", str(tmp_path / "out.csv"))
    assert again.returncode == 2 and b"--force" in again.stderr
    forced = run("--output", str(tmp_path / "out.csv"), "--force", "--ids", ID)
    assert forced.returncode == 0 and b"1 operations" in forced.stdout


def test_only_a_file_is_replaced(store: Store, tmp_path: Path) -> None:
    pipe, before = tmp_path / "pipe", tmp_path / "before.csv"
    os.mkfifo(pipe)
    before.write_bytes(b"x")
    for words in (["export", "--output"], ["stats", "--report"]):
        assert main([*words, str(pipe), "--force", "--data", str(store.root)]) == 2 and pipe.is_fifo()
        assert main([*words, str(before), "--force", "--data", str(store.root)]) == 0 and before.stat().st_size > 100


def test_what_is_left_out_is_told(store: Store, tmp_path: Path) -> None:
    plant(store, "20251103143029_abc123df.json", b"{")
    before = tree(store.operations.path)
    done = run("-o", str(tmp_path / "x.csv"))
    assert done.returncode == 1 and b"left out: 20251103143029_abc123df" in done.stderr and b"2 operations" in done.stdout
    assert tree(store.operations.path) == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["rating:x"], b"rating"),
        (["--ids", "../../etc/passwd"], b"not an operation id"),
        (["--format", "pdf"], b"invalid choice"),
        (["--thumbnails"], b"Excel"),
        (["-o", "nowhere/x.csv"], b"folder"),
    ],
)
def test_wrong_usage(store: Store, arguments: list[str], word: bytes) -> None:
    done = run(*arguments)
    assert done.returncode in (1, 2) and word in done.stderr and done.stdout == b""


# -- HTTP ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(store: Store) -> App:
    return App(Settings(data=store.root))


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    app.index.update()
    served = Starlette(routes=Api(lambda: app).routes(), middleware=middleware())
    with TestClient(served, base_url=HERE, client=("127.0.0.1", 50_000), raise_server_exceptions=False) as client:
        yield client


def test_a_bundle_holds_nothing_that_is_withheld(client: TestClient) -> None:
    def held(asked: str) -> bytes:
        answer = client.get(f"/api/bundle?ids={ID}{asked}")
        assert answer.status_code == 200 and answer.headers["content-disposition"] == 'attachment; filename="opstore-results.zip"'
        with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
            return b"".join(file.read(name) for name in file.namelist())

    told = held("&withhold=prompt,parameters&title=For+you&language=fr&embed=1")
    assert b"For you" in told and b'lang="fr"' in told and b"a sea" not in told
    assert b"a sea" in held("")
    for wrong in ("ids=", f"ids={ID}&withhold=promt", f"ids={ID}&kind=x", f"ids={ID}&kind=comparison", f"ids={ID}&language=de"):
        assert client.get(f"/api/bundle?{wrong}").status_code in (400, 422), wrong


def test_the_head_of_a_bundle_makes_none_and_says_what_is_missing(
    client: TestClient, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.service.curation.put_in_trash([LATER])
    assert client.get(f"/api/bundle?ids={ID},{LATER}").headers["x-opstore-missing"] == "1"
    told = client.get("/api/openapi.json").json()["paths"]["/api/bundle"]["get"]["responses"]["200"]
    assert "X-Opstore-Missing" in told["headers"], "it is described as well"
    assert "x-opstore-missing" not in client.get(f"/api/bundle?ids={ID}").headers
    monkeypatch.setattr(bundle, "_fill", lambda *given: pytest.fail("it was made"))
    answer = client.head(f"/api/bundle?ids={ID},{LATER}")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/zip", b"")
    assert answer.headers["x-opstore-missing"] == "1"
    assert client.head(f"/api/bundle?ids={LATER}").status_code == client.get(f"/api/bundle?ids={LATER}").status_code == 400


def test_only_so_many_bundles_are_made_at_a_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "PATIENCE", 0.05)
    with contextlib.ExitStack() as others:
        for _ in range(bundle.AT_A_TIME):
            others.enter_context(bundle._PLACES)
        answer = client.get(f"/api/bundle?ids={ID}")
        assert answer.status_code == 429 and "Too many requests" in answer.json()["error"]
    assert client.get(f"/api/bundle?ids={ID}").status_code == 200


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_as_a_file_to_save(client: TestClient, app: App, name: str) -> None:
    answer = client.get(f"/api/export?format={name}")
    assert answer.status_code == 200 and answer.headers["content-type"] == FORMATS[name].media_type
    assert re.fullmatch(
        rf'attachment; filename="opstore-\d{{4}}-\d\d-\d\d\.{FORMATS[name].extension}"', answer.headers["content-disposition"]
    )
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"
    head = client.head(f"/api/export?format={name}")
    assert head.status_code == 200 and head.content == b"" and head.headers["content-type"] == answer.headers["content-type"]
    if name == "jsonl":
        assert [json.loads(line) for line in answer.text.splitlines()] == app.store.list_operations()
    if name == "zip":
        assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None


def test_a_search_and_a_selection_over_http(client: TestClient) -> None:
    def ids(path: str) -> list[str]:
        return [line[0] for line in csv.reader(io.StringIO(client.get(path).text))][1:]

    assert ids("/api/export?q=sea") == [ID] and ids("/api/export?order=oldest") == [ID, LATER]
    assert ids(f"/api/export?ids={ID}") == [ID] and ids(f"/api/export?ids={LATER},{ID}") == [LATER, ID]
    assert ids("/api/export?ids=") == [], "a selection of none is none, not everything"
    # As a form: more ids than an address holds.
    many = [f"20251103{n:06}_abc12345" for n in range(5_000)]
    answer = client.post("/api/export?format=jsonl", data={"ids": ",".join([ID, *many, LATER])})
    assert [json.loads(line)["operationId"] for line in answer.text.splitlines()] == [ID, LATER]
    assert client.post("/api/export?format=jsonl", data={"ids": "../x"}).status_code == 400


def test_what_is_wrong_is_said_before_anything_is_sent(client: TestClient) -> None:
    for path, status in (
        ("?format=exe", 422),
        ("?q=rating:x", 400),
        ("?ids=../x", 400),
        (f"?q=x&ids={ID}", 422),
        ("?thumbnails=1", 422),
        ("?order=up", 422),
    ):
        answer = client.get(f"/api/export{path}")
        assert answer.status_code == status and answer.json()["success"] is False and answer.json()["error"], path
    assert client.put("/api/export").status_code == 405


def test_nobody_else_exports(app: App) -> None:
    served = Starlette(routes=Api(lambda: app).routes(), middleware=middleware())
    with TestClient(served, base_url=HERE, client=("192.0.2.1", 50_000), raise_server_exceptions=False) as stranger:
        assert stranger.get("/api/export").status_code == 401


# -- the page, and a server that streams ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(windows: Windows, photo: Photo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("exports") / "data")
    fill(server, small(photo), 200, 40)
    server.start()
    yield server
    server.stop()


def saved(page: Page, click: Any) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        click()
    download = waiting.value
    return download.suggested_filename, Path(download.path()).read_bytes()


@pytest.mark.long
def test_what_is_found_and_what_is_chosen_are_saved_from_the_page(shop: Server, windows: Windows) -> None:
    with windows.visit(shop) as visitor:
        page = library(visitor, "?q=bridge")
        page.get_by_role("button", name="Export").first.click()
        expect(page.get_by_text("50 operations as")).to_be_visible()
        visitor.settle()
        page.screenshot(path=SHOTS / "export-found.png")
        name, data = saved(page, page.get_by_role("link", name=re.compile("^CSV(?!,? )|^CSV the same")).click)
        assert name.endswith(".csv") and len(list(csv.reader(io.StringIO(data.decode())))) == 51
        page.keyboard.press("Escape")
        page.goto(f"{page.url.split('?')[0]}")
        tile(page, 199).locator(".pick").click()
        tile(page, 197).click(modifiers=["Shift"])
        expect(page.locator(".bar")).to_contain_text("3 selected")
        page.locator(".bar").get_by_role("button", name="Export").click()
        expect(page.get_by_role("heading", name="Export 3 operations")).to_be_visible()
        page.screenshot(path=SHOTS / "export-chosen.png")
        name, data = saved(page, page.get_by_role("link", name=re.compile("^Zip")).click)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sidecars = {item for item in archive.namelist() if item.endswith(".json")}
        assert sidecars == {f"operations/{name_of(number)}.json" for number in (197, 198, 199)} and name.endswith(".zip")
        expect(page.locator(".bar")).to_contain_text("3 selected")


@pytest.mark.long
def test_on_a_phone(shop: Server, windows: Windows) -> None:
    with windows.visit(shop, width=390, height=844, touch=True) as visitor:
        page = library(visitor)
        page.get_by_role("button", name="Export").first.click()
        expect(page.get_by_role("link", name=re.compile("^Parquet"))).to_be_visible()
        visitor.settle()
        assert visitor.overflow() <= 0
        page.screenshot(path=SHOTS / "export-phone.png")


@pytest.mark.long
def test_a_download_that_is_broken_off_leaves_nothing(shop: Server) -> None:
    folder = shop.data / "cache" / "exports"
    for name in ("zip", "xlsx&thumbnails=1"):
        with urllib.request.urlopen(f"{shop.address}/api/export?format={name}", timeout=30) as answer:
            answer.read(100)
        for _ in range(100):
            if not folder.exists() or not list(folder.iterdir()):
                break
            time.sleep(0.1)
        assert not folder.exists() or list(folder.iterdir()) == []
    assert shop.get("/api/health")["success"] is True


def test_two_thousand_chosen_fit_into_an_address(shop: Server) -> None:
    ids = ",".join([name_of(number) for number in range(200)] * 10)
    with urllib.request.urlopen(f"{shop.address}/api/export?format=csv&ids={ids}", timeout=30) as answer:
        assert len(answer.read().splitlines()) == 201


def counted(name: str, data: bytes) -> int:
    """Return how many operations a file holds, read by what people read it with."""
    file = io.BytesIO(data)
    if name.endswith(".zip"):
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
            return sum(item.startswith("operations/") and item.endswith(".json") for item in archive.namelist())
    if name.endswith(".jsonl"):
        return len(pd.read_json(file, lines=True, dtype=False)["operationId"].unique())
    if name.endswith(".csv"):
        heads = data.decode("utf-8-sig").partition("\n")[0]
        by = ";" if ";" in heads else ","
        return len(pd.read_csv(file, sep=by)[heads.partition(by)[0]].unique())
    reader: Any = {"xlsx": pd.read_excel, "parquet": pd.read_parquet}[name.rsplit(".", 1)[1]]
    return len(reader(file)["operation_id"].unique())


@pytest.mark.long
def test_all_that_is_chosen_is_saved_in_every_format_however_much_it_is(windows: Windows, tmp_path: Path) -> None:
    server = Server(tmp_path / "many" / "data")
    fill(server, [], 2_600, 0)
    server.start()
    try:
        with windows.visit(server) as visitor:
            page = library(visitor)
            expect(page.get_by_text(re.compile("^2,600 operations")).first).to_be_visible()
            page.locator("button.tile").first.focus()
            page.keyboard.press("Control+a")
            expect(page.locator(".bar")).to_contain_text("2,600 selected")
            for name in FORMATS:
                page.locator(".bar").get_by_role("button", name="Export").click()
                expect(page.get_by_role("heading", name="Export 2,600 operations")).to_be_visible()
                link = page.locator(f'.formats a[href="/api/export?format={name}&ids="]')
                file, data = saved(page, link.click)
                assert (file.rsplit(".", 1)[1], counted(file, data)) == (FORMATS[name].extension, 2_600)
    finally:
        server.stop()
