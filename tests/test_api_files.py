"""Parts of stored files over HTTP: one, several, none, and those that a hostile caller names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from opstore.api.file_answers import StoredFile
from opstore.app import App, Settings
from tests.samples import ID, MP4, plant
from tests.test_api import client_of


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(Settings(data=tmp_path / "data"))


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with client_of(app) as client:
        yield client


def test_parts_of_a_file(app: App, client: TestClient) -> None:
    plant(app.store, f"{ID}_out.mp4", MP4)
    url = f"/api/files/{ID}_out.mp4"
    for given, expected in (("0-99", MP4[:100]), ("100-", MP4[100:]), ("-7", MP4[-7:]), (f"5-{len(MP4) * 9}", MP4[5:])):
        answer = client.get(url, headers={"Range": f"bytes={given}"})
        assert answer.status_code == 206 and answer.content == expected and answer.headers["content-type"] == "video/mp4"
        start = MP4.index(expected)
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(MP4)}"
    assert client.get(url, headers={"Range": f"bytes={len(MP4)}-"}).status_code == 416
    etag = client.head(url).headers["etag"]
    assert client.get(url, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).content == MP4


def test_several_parts_are_one_answer(app: App, client: TestClient) -> None:
    plant(app.store, f"{ID}_out.mp4", MP4)
    answer = client.get(f"/api/files/{ID}_out.mp4", headers={"Range": "bytes=9-10, 0-4,3-6 ,-2"})
    kind, mark = answer.headers["content-type"].split("; boundary=")
    parts = [(0, 7), (9, 11), (len(MP4) - 2, len(MP4))]
    head = f"--{mark}\r\nContent-Type: video/mp4\r\nContent-Range: bytes "
    expected = [f"{head}{a}-{b - 1}/{len(MP4)}\r\n\r\n".encode() + MP4[a:b] + b"\r\n" for a, b in parts]
    assert answer.content == b"".join(expected) + f"--{mark}--".encode() and kind == "multipart/byteranges"
    assert answer.status_code == 206 and answer.headers["content-length"] == str(len(answer.content))


def test_a_file_that_goes_while_it_is_answered_arrives_whole(app: App) -> None:
    plant(app.store, name := f"{ID}_out.mp4", MP4)
    file, _ = app.service.open_media(name)
    answer = StoredFile(file, "video/mp4")
    (app.store.operations.path / name).unlink()
    assert TestClient(answer).get("/").content == MP4 and file.closed


RANGES = [
    "bytes=" + ",".join(f"{n}-" for n in range(5_000)),
    "bytes=" + ",".join("0-" for _ in range(99)),
    "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(99)),
    "bytes=" + "," * 50_000,
    "bytes=" + "9" * 50_000 + "-",
    "bytes=5-1", "bytes=-0", "bytes=--5", "bytes=a-b", "bytes", "chunks=0-5", "bytes=0-0,-1", "bytes=-", "=", "",
]  # fmt: skip


@pytest.mark.parametrize("given", RANGES, ids=lambda given: given[:20])
def test_hostile_ranges_cost_no_more_than_the_file(app: App, client: TestClient, given: str) -> None:
    plant(app.store, f"{ID}_out.mp4", MP4)
    answer = client.get(f"/api/files/{ID}_out.mp4", headers={"Range": given})
    assert answer.status_code in (200, 206, 400, 416)
    assert len(answer.content) < len(MP4) + 100 * 200, "parts that overlap are given once"
    assert answer.headers["x-content-type-options"] == "nosniff"
