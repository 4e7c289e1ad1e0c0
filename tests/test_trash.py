"""The trash as people use it and as files lie in it: out and back byte for byte, whatever the operation looks like."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.curation import Curation, Edit
from opstore.errors import FileMissing, OperationExists, OperationNotFound, StorageError
from opstore.index import Index
from opstore.media.thumbnails import Thumbnails
from opstore.storage.files import Folder
from opstore.storage.trash import KEPT, Trash
from tests.fault_tools import mounted, need_mounts
from tests.samples import EDIT, ID, JPG, LATER, MP4, PNG, SHORT, WEBP, plant, tree
from tests.test_curation import side_by_side


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "data")
    store.initialize_storage()
    store.save_complete_operation(EDIT)
    return store


@pytest.fixture
def trash(store: Store) -> Trash:
    return Trash(store)


def files(folder: Folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.path.iterdir()}


def listed(trash: Trash) -> list[str]:
    return [item.operation_id for item in trash.all()]


# -- out and back --------------------------------------------------------------------------------------------------------


def sidecar(**keys: Any) -> bytes:
    return json.dumps({"operationId": LATER, "success": True} | keys).encode()


#: Operations as other programs leave them; what `verify` says of each before is what it says after the way back.
ODD: Mapping[str, Mapping[str, bytes]] = {
    "legacy input": {
        ".json": sidecar(inputFiles=[f"{LATER}_in.jpg"], outputFile=f"{LATER}_out.webp"), "_in.jpg": JPG, "_out.webp": WEBP,
    },
    "high numbers and gaps": {
        ".json": sidecar(inputFiles=[f"{LATER}_in_{n}.png" for n in (3, 17, 9999)], outputFile=f"{LATER}_out_42.mp4"),
        "_in_3.png": PNG, "_in_17.png": PNG + b"1", "_in_9999.png": PNG + b"2", "_out_42.mp4": MP4,
    },
    "several outputs, one named": {
        ".json": sidecar(outputFile=f"{LATER}_out.jpeg"), "_out.jpeg": JPG, "_out_2.jpeg": JPG, "_out_7.gif": b"x",
    },
    "missing media": {".json": sidecar(inputFiles=[f"{LATER}_in_1.jpg"], outputFile=f"{LATER}_out.png"), "_out.png": PNG},
    "all media missing": {".json": sidecar(inputFiles=[f"{LATER}_in_1.jpg"], outputFile=f"{LATER}_out.png")},
    "names of another": {".json": sidecar(inputFiles=[f"{ID}_in_1.jpg", "../x", 5], outputFile="/etc/passwd")},
    "damaged": {".json": b'{"operationId": "', "_in.png": PNG, "_in_12.webm": MP4, "_out.png": PNG, "_out_77.mp4": MP4},
    "another's sidecar": {".json": json.dumps({"operationId": ID}).encode(), "_out.png": PNG},
    "empty": {".json": b"", "_in_1.jpg": b""},
    "no media": {".json": sidecar(success=False, error="no")},
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_operation_goes_and_comes_back_byte_for_byte(store: Store, trash: Trash, kind: str) -> None:
    for ending, data in ODD[kind].items():
        plant(store, f"{LATER}{ending}", data)
    before, problems = tree(store.root), store.verify(deep=True)
    kept = {name: data for name, data in files(store.operations).items() if name.startswith(ID)}
    trash.put(LATER)
    assert files(store.operations) == kept and store.verify(deep=True) == []
    assert files(trash.folder) == {f"{LATER}{ending}": data for ending, data in ODD[kind].items()}
    (item,) = trash.all()
    readable = kind not in ("damaged", "another's sidecar", "empty")
    assert item.operation_id == LATER and item.sidecar == (json.loads(ODD[kind][".json"]) if readable else None)
    trash.restore(LATER)
    assert tree(store.root) == before and store.verify(deep=True) == problems and trash.all() == []
    trash.put(LATER)
    trash.remove(LATER)
    assert files(trash.folder) == {} and files(store.operations) == kept


def test_a_healthy_operation_stays_healthy(store: Store, trash: Trash) -> None:
    before, stored = tree(store.root), store.get_operation_metadata(ID)
    began = datetime.now(UTC) - timedelta(seconds=1)
    trash.put(ID)
    assert store.verify(deep=True) == [] and store.list_operations() == []
    with pytest.raises(OperationNotFound):
        store.get_operation_metadata(ID)
    (item,) = trash.all()
    assert item.sidecar == stored and began < item.trashed_at <= datetime.now(UTC) + timedelta(seconds=1)
    trash.restore(ID)
    assert store.verify(deep=True) == [] and tree(store.root) == before and store.get_operation_metadata(ID) == stored


def test_the_media_of_a_longer_id_stay(store: Store, trash: Trash) -> None:
    """Ids have 6 to 8 digits, so that one may begin like another."""
    longer = f"{SHORT}de"
    assert longer == ID
    plant(store, f"{SHORT}.json", b"damaged")
    plant(store, f"{SHORT}_in.jpg", JPG)
    before = tree(store.root)
    trash.put(SHORT)
    assert store.get_operation_metadata(ID) and sorted(files(trash.folder)) == [f"{SHORT}.json", f"{SHORT}_in.jpg"]
    trash.put(ID)
    trash.restore(SHORT)
    trash.restore(ID)
    assert tree(store.root) == before


# -- what is not there, or taken -----------------------------------------------------------------------------------------


def test_ids_that_are_not_there(store: Store, trash: Trash) -> None:
    before = tree(store.root)
    for act in (trash.put, trash.restore, trash.remove):
        with pytest.raises(OperationNotFound):
            act(LATER)
    with pytest.raises(OperationNotFound):
        trash.remove(ID)  # in the library: only what was trashed can be removed
    assert tree(store.root) == before
    shutil.rmtree(trash.folder.path)
    assert trash.all() == [] and trash.purge(timedelta(0)) == []
    trash.put(ID)
    shutil.rmtree(store.operations.path)
    trash.restore(ID)
    assert store.verify(deep=True) == []


def test_an_act_that_was_done_already_is_done(store: Store, trash: Trash) -> None:
    trash.restore(ID)
    before = tree(store.root)
    trash.put(ID)
    trash.put(ID)
    trash.restore(ID)
    trash.restore(ID)
    assert tree(store.root) == before


def test_media_without_a_sidecar_are_of_an_operation_under_way_and_stay(store: Store, trash: Trash) -> None:
    store.save_input_image(LATER, JPG)
    before = tree(store.root)
    with pytest.raises(OperationNotFound):
        trash.put(LATER)
    assert tree(store.root) == before


@pytest.mark.parametrize("inputs", [[], [PNG], [JPG, PNG, WEBP]])
def test_a_taken_id_is_said_and_nothing_is_lost(store: Store, trash: Trash, inputs: list[bytes]) -> None:
    trash.put(ID)
    store.save_complete_operation({**EDIT, "prompt": "another", "inputImages": inputs, "outputs": MP4})
    before = tree(store.root)
    for act in (trash.restore, trash.put):
        with pytest.raises(OperationExists):
            act(ID)
        assert tree(store.root) == before, act
    assert store.verify(deep=True) == []
    trash.remove(ID)
    assert files(trash.folder) == {} and store.verify(deep=True) == []
    trash.put(ID)
    assert trash.all()[0].sidecar == json.loads(files(trash.folder)[f"{ID}.json"])


def test_the_same_operation_saved_again_is_another(store: Store, trash: Trash) -> None:
    trash.put(ID)
    store.save_complete_operation(EDIT)
    before = tree(store.root)
    with pytest.raises(OperationExists):
        trash.restore(ID)
    assert tree(store.root) == before


def test_a_file_in_neither_folder_is_missing_and_what_came_goes_back(store: Store, trash: Trash) -> None:
    before = tree(store.root)
    with pytest.raises(FileMissing, match=f"{ID}_in_9.jpg"):
        trash.folder.bring(store.operations, ID, [[f"{ID}_in_1.jpg", f"{ID}_in_9.jpg"], [f"{ID}.json"]])
    assert tree(store.root) == before
    with pytest.raises(FileMissing):
        trash.folder.bring(store.operations, ID, [[f"{ID}_in_1.jpg"], [f"{LATER}.json"]])
    assert tree(store.root) == before


# -- acts that were cut short --------------------------------------------------------------------------------------------


def half(source: Folder, target: Folder, gone: int = 0) -> None:
    """Leave an operation as a move leaves it that was cut short: all of it linked, `gone` of it gone, the sidecar first."""
    names = sorted(os.listdir(source.path), key=lambda name: not name.endswith(".json"))
    for name in names:
        os.link(source.path / name, target.path / name)
    for name in names[:gone]:
        os.unlink(source.path / name)


@pytest.mark.parametrize("gone", [0, 1, 2])
@pytest.mark.parametrize("act", ["put", "restore"])
def test_an_act_that_was_cut_short_is_completed_by_either(store: Store, trash: Trash, act: str, gone: int) -> None:
    whole = files(store.operations)
    half(store.operations, trash.folder, gone)
    getattr(trash, act)(ID)
    source, target = (store.operations, trash.folder) if act == "put" else (trash.folder, store.operations)
    assert files(target) == whole and files(source) == {} and store.verify(deep=True) == []


@pytest.mark.parametrize("act", ["put", "restore"])
def test_what_was_annotated_after_an_act_was_cut_short_is_kept(store: Store, trash: Trash, act: str) -> None:
    half(store.operations, trash.folder)
    curation = Curation(store, Index(store), trash)
    curation.annotate([ID], Edit(rating=5, add_tags=("since",)))
    newest = files(store.operations)
    getattr(trash, act)(ID)
    assert files(trash.folder if act == "put" else store.operations) == newest
    assert files(store.operations if act == "put" else trash.folder) == {}


def test_a_copy_of_both_folders_with_files_of_their_own_is_completed_as_well(store: Store, trash: Trash, tmp_path: Path) -> None:
    half(store.operations, trash.folder)
    copy = Store(tmp_path / "copy")
    shutil.copytree(store.root, copy.root)
    Trash(copy).put(ID)
    assert files(copy.operations) == {} and files(Trash(copy).folder) == files(trash.folder)
    shutil.copytree(store.root, tmp_path / "differs")
    other = Store(tmp_path / "differs")
    (other.root / "trash" / f"{ID}_out.webp").write_bytes(WEBP[:-1] + b"x")
    before = tree(other.root)
    for act in (Trash(other).put, Trash(other).restore):
        with pytest.raises(OperationExists):
            act(ID)
        assert tree(other.root) == before


def test_what_a_put_that_was_cut_short_left_goes_with_the_removal(store: Store, trash: Trash) -> None:
    half(store.operations, trash.folder, gone=1)
    assert {problem.kind for problem in store.verify()} == {"orphan"}
    trash.remove(ID)
    assert files(trash.folder) == files(store.operations) == {} and store.verify() == []


def test_what_others_save_meanwhile_does_not_go_with_the_removal(store: Store, trash: Trash) -> None:
    trash.put(ID)
    store.save_input_image(ID, PNG, 1)
    store.save_input_image(ID, JPG, 2)
    before = files(store.operations)
    trash.remove(ID)
    assert files(trash.folder) == {} and files(store.operations) == before


def test_while_its_sidecar_is_in_the_library_it_is_not_removed_there(store: Store, trash: Trash) -> None:
    whole = files(store.operations)
    half(store.operations, trash.folder)
    trash.remove(ID)
    assert files(trash.folder) == {} and files(store.operations) == whole and store.verify(deep=True) == []


# -- listing, removing, purging ------------------------------------------------------------------------------------------


def many(store: Store, count: int) -> list[str]:
    ids = [f"2025110314{number:04}_abc123de" for number in range(count)]
    for operation_id in ids:
        store.save(operation_id, {"prompt": operation_id}, outputs=[PNG])
    return ids


def test_the_last_trashed_is_the_first_listed(store: Store, trash: Trash) -> None:
    ids = many(store, 4)
    order = [ids[2], ids[0], ids[3]]
    for operation_id in order:
        trash.put(operation_id)
        while datetime.fromtimestamp(os.stat(trash.folder.path / f"{operation_id}.json").st_ctime, UTC) == _now(trash):
            pass  # the clock of the disk ticks in milliseconds
    assert listed(trash) == order[::-1]
    trash.restore(ids[3])
    assert listed(trash) == [ids[0], ids[2]]


def _now(trash: Trash) -> datetime:
    path = trash.folder.path / ".now"
    path.touch()
    moment = datetime.fromtimestamp(path.stat().st_ctime, UTC)
    path.unlink()
    return moment


def test_whatever_lies_in_the_trash_it_can_be_listed_and_removed(store: Store, trash: Trash, tmp_path: Path) -> None:
    trash.put(ID)
    damaged = {
        f"20251103143030_abc123d{n}": data
        for n, data in enumerate((b"", b"{", b"\xff", b"[]", b'{"operationId": "x"}', b"[" * 9999))
    }
    for operation_id, data in damaged.items():
        (trash.folder.path / f"{operation_id}.json").write_bytes(data)
    link, pipe, folder = (f"20251103143031_abc123d{n}" for n in range(3))
    (trash.folder.path / f"{link}.json").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(trash.folder.path / f"{pipe}.json")
    (trash.folder.path / f"{folder}.json").mkdir()
    for name in ("notes.txt", f".{ID}.json.0a1b2c3d.tmp", f"{LATER}_out.png", "20251103_x.json"):
        (trash.folder.path / name).write_bytes(b"x")
    (tmp_path / "elsewhere").write_bytes(b"not ours")
    assert set(listed(trash)) == {ID, *damaged, link, pipe, folder}
    assert [item.operation_id for item in trash.all() if item.sidecar] == [ID]
    gone = trash.purge(now=datetime.now(UTC) + KEPT + timedelta(minutes=1))
    assert set(gone) == {ID, *damaged, link, pipe} and listed(trash) == [folder], "what cannot be removed holds nobody up"
    with pytest.raises(StorageError):
        trash.remove(folder)
    assert (tmp_path / "elsewhere").read_bytes() == b"not ours"
    there = set(os.listdir(trash.folder.path))
    assert "notes.txt" in there and f"{LATER}_out.png" not in there, "what a removal left goes, what is no operation's stays"


def test_a_link_in_the_place_of_a_sidecar_is_moved_as_a_link(store: Store, trash: Trash, tmp_path: Path) -> None:
    (store.operations.path / f"{LATER}.json").symlink_to(tmp_path / "elsewhere")
    plant(store, f"{LATER}_out.png", PNG)
    before = tree(store.root)
    trash.put(LATER)
    assert (trash.folder.path / f"{LATER}.json").is_symlink() and store.verify() == []
    trash.restore(LATER)
    assert tree(store.root) == before


def test_purge_takes_what_is_older_than_thirty_days(store: Store, trash: Trash) -> None:
    ids = many(store, 3)
    for operation_id in ids:
        trash.put(operation_id)
    moments = {item.operation_id: item.trashed_at for item in trash.all()}
    assert trash.purge() == [] and trash.purge(now=max(moments.values()) + KEPT - timedelta(seconds=1)) == []
    assert trash.purge(timedelta(days=7), now=moments[ids[0]] + timedelta(days=7) - timedelta(microseconds=1)) == []
    gone = trash.purge(now=min(moments.values()) + KEPT)
    assert gone and set(gone) == {name for name in ids if moments[name] == min(moments.values())}
    assert set(trash.purge(timedelta(0))) == set(ids) - set(gone)
    assert os.listdir(trash.folder.path) == [] and store.list_operations()[0]["operationId"] == ID


def test_a_purge_spares_what_was_restored_or_trashed_again_meanwhile(
    store: Store, trash: Trash, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = many(store, 3)
    for operation_id in ids:
        trash.put(operation_id)
    limit = max(item.trashed_at for item in trash.all())
    remove = trash._remove
    first: list[str] = []

    def slow(operation_id: str, until: datetime | None) -> None:
        if not first:  # while the first is being removed, somebody restores the second and restores and trashes the third
            first.append(operation_id)
            restored, again = [other for other in ids if other != operation_id]
            trash.restore(restored)
            trash.restore(again)
            while _now(trash) <= limit:
                pass
            trash.put(again)
        remove(operation_id, until)

    monkeypatch.setattr(trash, "_remove", slow)
    assert trash.purge(timedelta(0), now=limit) == first
    assert len(listed(trash)) == 1 and len(store.list_operations()) == 2


@pytest.mark.long
def test_two_that_throw_and_fetch_at_the_same_moment_lose_nothing(store: Store, trash: Trash) -> None:
    whole = files(store.operations)
    assert side_by_side(store.root, "throw", *(("x", "15") for _ in range(3))) == [[], [], []]
    trash.restore(ID)
    assert files(store.operations) == whole and files(trash.folder) == {} and store.verify(deep=True) == []


def test_another_disk_is_said_and_nothing_is_moved(store: Store, trash: Trash, tmp_path: Path) -> None:
    need_mounts(tmp_path)
    whole = files(store.operations)
    trash.folder.path.rmdir()
    with mounted(trash.folder.path, "-t", "tmpfs", "tmpfs"):
        with pytest.raises(StorageError):
            trash.put(ID)
        assert files(store.operations) == whole and files(trash.folder) == {}


# -- the index and the thumbnails ----------------------------------------------------------------------------------------


def test_index_and_thumbnails_follow(store: Store, trash: Trash, photo: Callable[..., bytes]) -> None:
    store.save(LATER, {"prompt": "astronaut"}, outputs=[photo("astronaut", "png", (64, 64))], inputs=[JPG])
    index, thumbnails = Index(store), Thumbnails(store)
    index.start()
    try:
        index.update()
        name = f"{LATER}_out.png"
        path = thumbnails.path(name)
        assert path and path.is_file() and [row.id for row in index.search("astronaut").rows] == [LATER]
        trash.put(LATER)
        assert index.search("astronaut").rows == () and index.count("").n == 1
        assert thumbnails.path(name) == path, "the trash shows what is in it"
        trash.restore(LATER)
        assert [row.id for row in index.search("astronaut").rows] == [LATER] and thumbnails.path(name) == path
        trash.put(LATER)
        trash.remove(LATER)
        index.update()
        assert index.count("").n == 1 and not path.exists(), "nothing of it stays"
        with pytest.raises(FileMissing):
            thumbnails.path(name)
        assert [path for path in store.root.rglob("*") if LATER in path.name] == []
    finally:
        index.stop()
