"""Import of another opstore: packed months and folders of backups, whole, once, and without a mark on what is read."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import zipfile
from pathlib import Path

import pytest

from opstore import Store
from opstore.care import Imported
from opstore.care.vault import LocalVault
from opstore.storage.trash import Trash
from tests.care_samples import care_of, made, old, save
from tests.samples import PNG, tree
from tests.test_backup import add_job, job


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Store:
    """Another opstore: two operations packed, one loose, one in the trash, one under way, and pictures in its cache."""
    other = made(tmp_path / "other")
    save(other, 1, outputs=[PNG * 3])
    save(other, 2, outputs=[b"no media " * 900])
    assert care_of(other).compression.apply(60).operations == 2
    save(other, 3)
    save(other, 4)
    Trash(other).put(old(4))
    add_job(other, job(old(5), "local"))
    other.operations.open(f"{old(1)}_out.png", again=True).close()
    assert list((other.cache / "unpacked").glob("*/*.png"))
    other.operations.packs.close()
    return other


def library(store: Store) -> dict[str, bytes]:
    """Return the files of the operations, wherever they lie, without those of what is under way."""
    underway = tuple(store.pending.names())
    return {
        name: store.operations.read(name)
        for name in store.operations.names()
        if not name.startswith(".") and f"{name[:23]}.json" not in underway
    }


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def taken(store: Store, source: Path, *, dry: bool = False) -> Imported:
    return care_of(store).take_in(str(source), dry=dry)


@pytest.mark.parametrize("archive", [False, True])
def test_packed_operations_come_as_loose_ones_do_and_nothing_else_of_a_folder(store: Store, other: Store, archive: bool) -> None:
    wanted = library(other)
    other.operations.packs.close()
    # A copy of a loose file, as a power cut while packing leaves it, and one that was annotated since: both win.
    (other.operations.path / f"{old(1)}_out.png").write_bytes(wanted[f"{old(1)}_out.png"])
    source = zipped(other.root) if archive else other.root
    before = tree(other.root)
    assert taken(store, source, dry=True).operations == (old(1), old(2), old(3)) and library(store) == {}
    done = taken(store, source)
    assert done.left == {} and library(store) == wanted
    assert tree(other.root) == before and list((store.cache / "import").glob("*")) == []
    again = taken(store, source)
    assert (again.operations, again.same, again.left) == ((), 3, {})
    care_of(store).compression.apply(60)
    assert taken(store, source).same == 3


@pytest.mark.parametrize("archive", [False, True])
def test_a_folder_of_backups_gives_the_newest_whole_one(store: Store, other: Store, tmp_path: Path, archive: bool) -> None:
    vault = LocalVault(tmp_path / "vault")
    care_of(other).back_up(str(vault.path))
    wanted = library(other)
    save(other, 6)
    care_of(other).back_up(str(vault.path))
    newest = vault.snapshots()[0]
    listing = vault.lists.path / f"{newest}.sha256"
    listing.write_bytes(listing.read_bytes()[:-9])
    content = vault.load(vault.snapshots()[1]).files[f"operations/{old(3)}_out.png"]
    damaged = [name for name, sha256 in vault.load(vault.snapshots()[1]).files.items() if sha256 == content]
    (vault.objects.path / content).chmod(0o600)
    (vault.objects.path / content).write_bytes(b"x" * len(PNG))
    assert f"operations/{old(3)}_out.png" in damaged
    done = taken(store, zipped(vault.path) if archive else vault.path)
    assert set(done.operations) == {old(1), old(2)} and len(done.left) == 2
    assert {name: data for name, data in wanted.items() if not name.startswith(old(3))} == library(store)


def test_a_pack_that_was_being_changed_is_mended_in_a_copy(store: Store, other: Store, tmp_path: Path) -> None:
    pack = next((other.root / "packed").glob("*.sqlite"))
    copy = tmp_path / "copy" / "packed" / pack.name
    copy.parent.mkdir(parents=True)
    wanted = {name: data for name, data in library(other).items() if not name.startswith(old(3))}
    other.operations.packs.close()
    with contextlib.closing(sqlite3.connect(pack, isolation_level=None)) as database:
        for words in ("PRAGMA cache_size = 1", "PRAGMA secure_delete = ON", "BEGIN IMMEDIATE", "DELETE FROM files"):
            database.execute(words)
        database.execute("DELETE FROM contents")  # its pages are on the disk, half-way, when the copy is taken
        for name in (pack.name, f"{pack.name}-journal"):
            shutil.copy(pack.with_name(name), copy.with_name(name))
        database.execute("ROLLBACK")
    before = tree(copy.parent)
    assert copy.read_bytes() != pack.read_bytes()
    done = taken(store, tmp_path / "copy")
    assert done.left == {} and library(store) == wanted and tree(copy.parent) == before


@pytest.mark.parametrize("modified", [1e300, -1e300])
def test_a_time_that_cannot_be_ends_no_import(store: Store, other: Store, modified: float) -> None:
    wanted = library(other)
    other.operations.packs.close()
    pack = next((other.root / "packed").glob("*.sqlite"))
    with contextlib.closing(sqlite3.connect(pack)) as database, database:
        database.execute("UPDATE files SET modified = ?", (modified,))
    done = taken(store, other.root)
    assert done.left == {} and library(store) == wanted


def test_what_is_no_pack_and_a_pack_that_would_fill_a_disk_are_told(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "packed").mkdir(parents=True)
    (source / "packed" / "202511.sqlite").write_bytes(b"no database")
    other = made(tmp_path / "other")
    key = save(other, 1, outputs=[b"\0" * 60_000_000])
    care_of(other).compression.apply(60)
    other.operations.packs.close()
    bomb = f"{key[:6]}.sqlite"
    shutil.copy(other.root / "packed" / bomb, source / "packed" / bomb)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted((source / "packed").iterdir()):
            archive.write(path, f"x/packed/{path.name}")
    for place, above in ((source, "packed"), (tmp_path / "a.zip", "x/packed")):
        done = taken(store, place)
        assert done.operations == () and set(done.left) == {f"{above}/202511.sqlite", f"{above}/{bomb}"}
        assert "far more than it holds" in done.left[f"{above}/{bomb}"] and "damaged" in done.left[f"{above}/202511.sqlite"]
    assert library(store) == {}
