"""Backup and restore of what others move or remove at the same moment: each operation is whole, or not there."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from opstore import Store
from opstore.care.backup import Backup
from opstore.care.restore import Restore
from opstore.care.vault import LocalVault
from opstore.storage.files import Folder
from opstore.storage.trash import Trash
from tests.care_samples import care_of, old
from tests.samples import PNG
from tests.test_backup import add_job, job, kept
from tests.test_backup import store as store
from tests.test_backup import vault as vault
from tests.test_meanwhile import aside


def names_of(store: Store, place: str, operation_id: str) -> set[str]:
    return {path.name for path in (store.root / place).iterdir() if path.name.startswith(operation_id)}


def test_an_operation_that_moves_meanwhile_is_followed(store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read in the library, where its media are gone by then, and is taken from the trash."""
    trash, read = Trash(store), store.operations.read
    moved: list[str] = []

    def reading(name: str, limit: int | None = None) -> bytes:
        data = read(name, limit)
        if name == f"{old(2)}.json" and not moved:
            moved.append(name)
            trash.put(old(2))
        return data

    monkeypatch.setattr(store.operations, "read", reading)
    taken = care_of(store).back_up(str(vault))
    files = LocalVault(vault).load(taken.snapshot).files
    places = {path.split("/")[0] for path in files if old(2) in path}
    assert places == {"trash"} and f"trash/{old(2)}_out.webp" in files


def test_an_operation_that_goes_and_comes_back_meanwhile_is_whole(
    store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sidecar is read in the trash; while its media are looked for it is restored, and is back before anybody asks for it."""
    trash, read, take = Trash(store), Folder.read, Backup._take_file
    moved: list[str] = []

    def reading(folder: Folder, name: str, limit: int | None = None) -> bytes:
        data = read(folder, name, limit)
        if name == f"{old(4)}.json" and not moved:
            moved.append("restored")
            trash.restore(old(4))
        return data

    def taking(backup: Backup, folder: Folder, name: str, path: str) -> bool:
        is_there = take(backup, folder, name, path)
        if not is_there and len(moved) == 1:
            moved.append("trashed")
            trash.put(old(4))
        return is_there

    monkeypatch.setattr(Folder, "read", reading)
    monkeypatch.setattr(Backup, "_take_file", taking)
    taken = care_of(store).back_up(str(vault))
    files = LocalVault(vault).load(taken.snapshot).files
    assert moved == ["restored", "trashed"]
    assert {path for path in files if old(4) in path} == {f"trash/{name}" for name in names_of(store, "trash", old(4))}


@pytest.mark.parametrize("judged", [False, True])
def test_what_a_repair_adopted_of_a_restore_that_was_killed_gets_its_own_sidecar(
    store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch, judged: bool
) -> None:
    care = care_of(store)
    care.back_up(str(vault))
    sidecar, before = f"{old(1)}.json", store.operations.read(f"{old(1)}.json")
    store.operations.remove(old(1), [sidecar])  # as far as it got
    monkeypatch.setattr("opstore.care.repair._SETTLED", 0.0)
    care.repair.apply()
    assert store.get_operation_metadata(old(1))["adopted"]
    if judged:
        store.rewrite(old(1), lambda stored: stored["annotations"].update(rating=5))
    dry, done = care.restore(str(vault), dry=True), care.restore(str(vault))
    assert dry == done and done.files == (not judged)
    assert (store.operations.read(sidecar) == before) is not judged
    assert done.operations == (() if judged else (old(1),)) and bool(done.conflicts) is judged
    assert store.verify(deep=True) == []


@pytest.mark.parametrize("place", ["operations", "trash"])
def test_what_is_being_removed_for_good_comes_back_whole(
    store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Its sidecar goes first: its media still lie there when a restore looks, and are gone when it writes the sidecar."""
    trash = Trash(store)
    if place == "operations":
        trash.restore(old(4))
    care_of(store).back_up(str(vault))
    folder = store.operations if place == "operations" else trash.folder
    names = names_of(store, place, old(4))
    folder.remove(old(4), [f"{old(4)}.json"])
    read = LocalVault.read

    def reading(backups: LocalVault, sha256: str) -> bytes:
        folder.remove(old(4), sorted(names))  # whoever removes it goes on
        return read(backups, sha256)

    monkeypatch.setattr(LocalVault, "read", reading)
    done = care_of(store).restore(str(vault))
    assert done.operations == (old(4),) and names_of(store, place, old(4)) == names
    assert done.files == len(names) and done.same == len(kept(store)) - len(names) and not done.conflicts


def test_nobody_waits_at_a_lock_for_what_comes_from_afar(store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote is asked before the operations are held, also for what has gone since they were looked at."""
    trash = Trash(store)
    care_of(store).back_up(str(vault))
    trash.folder.remove(old(4), [f"{old(4)}.json"])
    media = names_of(store, "trash", old(4))
    near: set[str] = set()
    read = LocalVault.read

    def reading(backups: LocalVault, sha256: str) -> bytes:
        assert sha256 in near, "it would be fetched now"
        trash.folder.remove(old(4), sorted(media))
        return read(backups, sha256)

    monkeypatch.setattr(LocalVault, "prepare", lambda self, wanted: near.update(wanted))
    monkeypatch.setattr(LocalVault, "read", reading)
    assert care_of(store).restore(str(vault)).operations == (old(4),)
    assert names_of(store, "trash", old(4)) == {f"{old(4)}.json", *media}


@pytest.mark.parametrize("removed", [False, True])
def test_what_goes_away_while_a_restore_looks_at_it_is_looked_at_again(
    store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    """Its sidecar was still in the trash; by the time its media are looked for it is in the library, or nowhere."""
    trash, looked = Trash(store), Restore._is_there
    care_of(store).back_up(str(vault))
    names = names_of(store, "trash", old(4))
    seen: list[bool] = []

    def looking(restore: Restore, folder: Folder, name: str, path: str) -> bool:
        is_there = looked(restore, folder, name, path)
        if path == f"trash/{old(4)}.json" and not seen:
            seen.append(is_there)
            (trash.remove if removed else trash.restore)(old(4))
        return is_there

    monkeypatch.setattr(Restore, "_is_there", looking)
    path = trash.folder.path / f"{old(4)}.json"
    path.write_bytes(path.read_bytes() + b"\n")  # what is there differs, until it is there no more
    done = care_of(store).restore(str(vault))
    assert list(done.conflicts.values()) == ([] if removed else ["it is in the library"])
    assert seen == [True]
    assert done.operations == ((old(4),) if removed else ())
    assert names_of(store, "trash", old(4)) == (names if removed else set())
    assert names_of(store, "operations", old(4)) == (set() if removed else names)


@pytest.mark.parametrize("ends", ["stored", "trashed"])
@pytest.mark.parametrize("provider", ["local", "replicate"])
def test_what_ends_here_while_a_restore_asks_for_it_is_not_begun_again(
    store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch, ends: str, provider: str
) -> None:
    """Its record goes right behind the look for its sidecar, which was not there yet."""
    add_job(store, job(old(7), provider))
    care_of(store).back_up(str(vault))
    has, others = Folder.has, list[Future[object]]()

    def end() -> None:
        store.save(old(7), {"operationType": "text_to_image"}, outputs=[PNG])
        if ends == "trashed":
            Trash(store).put(old(7))
        else:
            store.pending.remove(old(7), [f"{old(7)}.json"])

    def looking(folder: Folder, name: str) -> bool:
        found = has(folder, name)
        if (folder.path.name, name) == ("trash", f"{old(7)}.json") and store.pending.has(name) and not others:
            others.append(Future())
            others[0] = aside(end)
        return found

    monkeypatch.setattr(Restore, "_operation", lambda *given: None)
    monkeypatch.setattr(Folder, "has", looking)
    done = care_of(store).restore(str(vault))
    others[0].result(30)
    place = "operations" if ends == "stored" else "trash"
    assert store.pending.names() == [] and done.operations == () and f"{old(7)}.json" in names_of(store, place, old(7))
    assert store.verify(deep=True) == [] and (place == "operations" or not names_of(store, "operations", old(7)))


def test_what_ends_and_is_trashed_while_a_backup_is_taken_leaves_nothing_of_it_in_the_library(
    store: Store, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job(store, job(old(7), "local"))
    take = Backup._take_operations

    def taking(backup: Backup) -> None:
        store.save(old(7), {"operationType": "text_to_image"}, outputs=[PNG])
        Trash(store).put(old(7))
        take(backup)

    monkeypatch.setattr(Backup, "_take_operations", taking)
    care_of(store).back_up(str(vault))
    fresh = Store(tmp_path / "fresh")
    care_of(fresh).restore(str(vault))
    assert names_of(fresh, "operations", old(7)) == set() and fresh.verify(deep=True) == []
    assert names_of(fresh, "trash", old(7)) == names_of(store, "trash", old(7))
