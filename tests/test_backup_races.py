"""Backup and restore of what others move or remove at the same moment: each operation is whole, or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from opstore import Store
from opstore.care.backup import Backup
from opstore.care.restore import Restore
from opstore.care.vault import LocalVault
from opstore.storage.files import Folder
from opstore.storage.trash import Trash
from tests.care_samples import care_of, old
from tests.test_backup import kept
from tests.test_backup import store as store
from tests.test_backup import vault as vault


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
    done = care.restore(str(vault))
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
    done = care_of(store).restore(str(vault))
    assert seen == [True]
    assert done.operations == ((old(4),) if removed else ())
    assert names_of(store, "trash", old(4)) == (names if removed else set())
    assert names_of(store, "operations", old(4)) == (set() if removed else names)
