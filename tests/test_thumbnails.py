"""Thumbnails: made as operations are saved, found by name, never a reason for a page to fail, and gone without harm."""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from opstore import Store, media
from opstore.errors import FileMissing, InvalidFileName, StorageError, UnsafeFile
from opstore.media import renderings
from opstore.media.thumbnails import SIDE, Thumbnails, small_jpeg
from tests.samples import HOSTILE_NAMES, ID, MP4, PNG, plant

Photo = Callable[..., bytes]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "data")
    store.initialize_storage()
    return store


@pytest.fixture
def small(store: Store) -> Iterator[Thumbnails]:
    thumbnails = Thumbnails(store)
    yield thumbnails
    thumbnails.stop()


def until(what: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


def cached(store: Store) -> dict[str, int]:
    """Return the copies by name, with their sizes."""
    return {path.name: path.stat().st_size for path in store.cache.glob(f"thumbnails/*/{ID[:8]}*") if path.name[0] != "."}


def wholes(store: Store) -> list[Path]:
    """Return the copies by content."""
    return [path for path in (store.cache / "thumbnails" / "content").rglob("*") if path.is_file()]


def size_of(path: Path | None) -> tuple[int, int]:
    assert path is not None
    with Image.open(path) as picture:
        return picture.size


def test_a_save_makes_them_in_the_background(store: Store, small: Thumbnails, photo: Photo) -> None:
    small.start()
    small.start()  # twice is once
    store.save(ID, {"operationType": "image_edit_single"}, inputs=[photo("chelsea")], outputs=[photo("astronaut", "png")])
    until(lambda: len(cached(store)) == 2)
    made = cached(store)
    assert set(made) == {f"{ID}_in_1.jpg.{SIDE}", f"{ID}_out.png.{SIDE}"} and all(0 < size < 100_000 for size in made.values())
    stamp = (store.cache / "thumbnails" / ID[:8] / f"{ID}_out.png.{SIDE}").stat().st_mtime_ns
    path = small.path(f"{ID}_out.png")
    assert path and path.stat().st_mtime_ns == stamp, "served, not made again"
    assert max(size_of(path)) == SIDE


def test_what_is_expected_is_made_ahead_the_nearest_first_once_nobody_waits(
    store: Store, small: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        store.save(f"202511031430{number:02}_abc123de", {"operationType": "text_to_image"}, outputs=[PNG + b"\0" * number])
    names = [f"202511031430{number:02}_abc123de_out.png" for number in range(6)]
    made: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def make(data: bytes, side: int) -> bytes:
        made.append(len(data) - len(PNG))
        begun.set()
        assert go.wait(20)
        return data

    monkeypatch.setattr(renderings, "thumbnail", make)
    small.start()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(small.path, names[5])
        assert begun.wait(20)
        small.expect(names[:2])
        small.expect([names[2], "20251103143003_abc123de"])
        assert made == [5], "somebody waits"
        go.set()
        assert asked.result() is not None
        until(lambda: len(cached(store)) == 5)
    assert made == [5, 2, 3, 0, 1], "the latest first, an operation by its id, and nothing that nobody expects"


def test_after_stop_nothing_is_made_unasked(store: Store, small: Thumbnails) -> None:
    small.start()
    small.stop()
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    time.sleep(0.2)
    assert not cached(store) and not store.listeners
    assert size_of(small.path(f"{ID}_out.png")) == (3, 2), "a small picture is not enlarged"


def test_a_video_has_a_poster(store: Store, small: Thumbnails) -> None:
    store.save(ID, {"operationType": "text_to_video"}, outputs=[MP4])
    path = small.path(f"{ID}_out.mp4")
    assert size_of(path) == (media.facts(MP4).width, media.facts(MP4).height)


@pytest.mark.parametrize("data", [b"<html><script>alert(1)</script>", b"\x89PNG\r\n\x1a\n cut", b"", b"\0" * 1000, MP4[:200]])
def test_a_failure_is_remembered(store: Store, small: Thumbnails, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{ID}_out.jpg"
    plant(store, name, data)
    assert small.path(name) is None
    tries: list[str] = []
    monkeypatch.setattr(Store, "read_file", lambda self, name: tries.append(name))
    assert small.path(name) is None and not tries
    assert set(cached(store)) == {f"{name}.{SIDE}"}


def test_a_picture_is_made_and_kept_once_whatever_operations_have_it(
    store: Store, small: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    make = renderings.thumbnail

    def counted(data: bytes, side: int) -> bytes:
        made.append(side)
        return make(data, side)

    monkeypatch.setattr(renderings, "thumbnail", counted)
    for number in range(12):
        store.save(f"202511031430{number:02}_abc123de", {"operationType": "image_edit_single"}, inputs=[PNG], outputs=[PNG])
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(small.path, sorted(path.name for path in store.operations.path.glob("*.png"))))
    assert len(made) == len(wholes(store)) == 1
    assert len({path.stat().st_ino for path in paths if path}) == 1 and len(set(paths)) == 24
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    monkeypatch.setattr("os.link", lambda *names: (_ for _ in ()).throw(OSError(31, "too many links")))
    assert size_of(small.path(f"{ID}_out.png")) == (3, 2) and len(made) == 1


def test_what_a_power_cut_leaves_of_a_copy_is_made_again(store: Store, small: Thumbnails) -> None:
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    for path in (small.path(f"{ID}_out.png"), *wholes(store)):
        assert path
        path.write_bytes(b"")
    assert size_of(small.path(f"{ID}_out.png")) == (3, 2)


def test_a_machine_short_of_memory_is_no_fault_of_the_picture(
    store: Store, small: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda *args, **options: (_ for _ in ()).throw(MemoryError()))
        assert small.path(f"{ID}_out.png") is None
    assert small.path(f"{ID}_out.png") is not None


def test_the_cache_deleted_under_a_running_app_comes_back(store: Store, small: Thumbnails) -> None:
    small.start()
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    until(lambda: cached(store))
    shutil.rmtree(store.cache)
    assert size_of(small.path(f"{ID}_out.png")) == (3, 2)
    shutil.rmtree(store.cache)
    store.save("20251103143023_abc123df", {"operationType": "text_to_image"}, outputs=[PNG])
    until(lambda: cached(store))


def test_where_the_cache_takes_nothing_copies_lie_elsewhere_and_where_nothing_does_it_is_said(
    store: Store, small: Thumbnails, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    (store.cache / "thumbnails").write_text("a file where the folder should be")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    with pytest.raises(StorageError):
        small.path(f"{ID}_out.png")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = small.path(f"{ID}_out.png")
    assert size_of(elsewhere) == (3, 2) and elsewhere and not elsewhere.is_relative_to(store.cache)
    assert small.path(f"{ID}_out.png") == elsewhere


def test_saving_goes_on_where_thumbnails_cannot(store: Store, small: Thumbnails) -> None:
    (store.cache / "thumbnails").write_text("a file where the folder should be")
    small.start()
    assert store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])["success"]


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if isinstance(name, str)], ids=lambda name: ascii(name)[:30])
def test_a_hostile_name_is_refused_and_nothing_is_made(store: Store, small: Thumbnails, name: str) -> None:
    with pytest.raises(InvalidFileName):
        small.path(name)
    assert not cached(store)


def test_a_missing_file_is_missing_each_time(store: Store, small: Thumbnails) -> None:
    for _ in range(2):
        with pytest.raises(FileMissing):
            small.path(f"{ID}_out.png")
    assert not cached(store)


def test_links_lead_nowhere(store: Store, small: Thumbnails, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(PNG)
    (store.operations.path / f"{ID}_out.png").symlink_to(outside)
    with pytest.raises(UnsafeFile):
        small.path(f"{ID}_out.png")
    (store.operations.path / f"{ID}_out.png").unlink()
    store.save(ID, {"operationType": "text_to_image"}, outputs=[PNG])
    secret = tmp_path / "secret"
    secret.write_text("secret")
    planted = store.cache / "thumbnails" / ID[:8] / f"{ID}_out.png.{SIDE}"
    planted.parent.mkdir(parents=True)
    planted.symlink_to(secret)
    path = small.path(f"{ID}_out.png")
    assert path and b"secret" not in path.read_bytes() and secret.read_text() == "secret"


def test_what_is_transparent_is_white_where_a_small_picture_must_be_a_jpeg(store: Store, small: Thumbnails) -> None:
    sticker = Image.new("RGBA", (64, 64), (200, 30, 30, 0))  # what it was cut out of lies under what nobody sees
    sticker.paste((20, 20, 200, 255), (16, 16, 48, 48))
    data = io.BytesIO()
    sticker.save(data, "PNG")
    store.save(ID, {"operationType": "text_to_image"}, outputs=[data.getvalue()])
    path = small.path(f"{ID}_out.png")
    jpeg = small_jpeg(path, 64) if path else None
    assert jpeg
    with Image.open(io.BytesIO(jpeg)) as seen:
        corner, middle = seen.getpixel((4, 4)), seen.getpixel((32, 32))
    assert isinstance(corner, tuple) and min(corner) > 240 and isinstance(middle, tuple) and middle[2] > 150 > middle[0]


def test_sixteen_at_once_get_the_same_whole_picture(store: Store, small: Thumbnails, photo: Photo) -> None:
    store.save(ID, {"operationType": "text_to_image"}, outputs=[photo(size=(640, 480))])

    def ask(_: int) -> bytes:
        path = small.path(f"{ID}_out.jpg")
        assert path is not None
        return path.read_bytes()

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(ask, range(16)))
    assert len(found) == 1 and Image.open(io.BytesIO(found.pop())).size == (480, 360)
    assert set(cached(store)) == {f"{ID}_out.jpg.{SIDE}"} and len(wholes(store)) == 1
    assert not list(store.cache.rglob("*.tmp")), "no temporary file is left"
