"""What somebody does between the look and the act of another: nothing that went away comes back, nothing that came back goes.

Each act of care reads, works, then writes; here somebody moves or removes the operation in between, at one call that is known.
`tests/test_histories.py` looks for the moments that nobody thought of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.care import Rule, importing
from opstore.care.backup import Backup
from opstore.care.repair import Repair
from opstore.care.vault import LocalVault
from opstore.errors import DamagedPack, FileMissing, OperationNotFound
from opstore.media.thumbnails import Thumbnails
from opstore.storage.files import Folder
from opstore.storage.names import sidecar_name
from opstore.storage.packs import Library
from opstore.storage.packs.pack import Pack
from opstore.storage.trash import Trash
from tests.care_samples import care_of, made, old, save

ID = old(1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one operation."""
    store = made(tmp_path)
    save(store, 1)
    return store


def place(store: Store) -> str:
    """Return where the operation is, whole: in the library, in the trash, in both or nowhere."""
    found = [folder.path.name for folder in (store.operations, Trash(store).folder) if folder.has(sidecar_name(ID))]
    assert store.verify(deep=True) == [], "files without their operation"
    return " and ".join(found)


def before(patch: pytest.MonkeyPatch, owner: Any, name: str, act: Callable[[], object], *, when: int = 1) -> list[int]:
    """Do something once, just before the `when`-th call of a method; the list returned is empty when it was done."""
    original, waiting = getattr(owner, name), [*range(when)]

    def calling(*args: Any, **options: Any) -> Any:
        if waiting:
            waiting.pop()
            if not waiting:
                act()
        return original(*args, **options)

    patch.setattr(owner, name, calling)
    return waiting


def aside(act: Callable[[], object], seconds: float = 0.5) -> Future[object]:
    """Begin something in a thread of its own, and give it time: with a lock in its way it waits, without it is done by then."""
    pool = ThreadPoolExecutor(1)
    begun = pool.submit(act)
    pool.shutdown(wait=False)
    wait([begun], seconds)
    return begun


def test_what_is_removed_for_good_is_not_restored_at_the_same_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trash = Trash(store)
    trash.put(ID)
    begun: list[Future[object]] = []
    present = Library.present

    def slow(library: Library, names: Sequence[str]) -> list[str]:  # behind the look at what is to be removed
        if not begun:
            begun.append(aside(lambda: Trash(Store(store.root)).restore(ID)))
        return present(library, names)

    monkeypatch.setattr(Library, "present", slow)
    trash.remove(ID)
    assert isinstance(begun[0].exception(30), OperationNotFound) and place(store) == ""


def test_what_is_trashed_anew_while_a_purge_looks_is_not_purged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trash = Trash(store)
    trash.put(ID)
    limit = trash.find(ID).trashed_at

    def again() -> None:
        trash.restore(ID)
        time.sleep(0.02)  # a clock of the kernel's that is read every few milliseconds
        trash.put(ID)

    # Behind the purge's own look, before anything is removed.
    waiting = before(monkeypatch, Trash, "_moment", again, when=2)
    assert trash.purge(now=limit, older_than=limit - limit) == [] and not waiting
    assert place(store) == "trash"


@pytest.mark.parametrize("act", ["restore", "import"])
def test_what_was_saved_and_trashed_while_it_comes_from_elsewhere_stays_in_the_trash(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    vault, other = tmp_path / "vault", Store(tmp_path / "other")
    care_of(store).back_up(str(vault))
    care = care_of(other)

    def somebody_is_faster() -> None:
        care_of(Store(other.root)).take_in(str(store.root))
        Trash(other).put(ID)

    other.initialize_storage()
    if act == "restore":
        waiting = before(monkeypatch, LocalVault, "read", somebody_is_faster)
        assert care.restore(str(vault)).conflicts == {f"operations/{ID}.json": "it is in the trash"}
    else:
        waiting = before(monkeypatch, importing, "content", somebody_is_faster, when=2)
        assert care.take_in(str(store.root)).operations == ()
    assert not waiting and place(other) == "trash"


def test_a_file_that_a_restore_would_bring_back_does_not_outlive_its_operation(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = tmp_path / "vault"
    care_of(store).back_up(str(vault))
    (lost,) = store.operations.path.glob(f"{ID}_out*")
    lost.unlink()
    waiting = before(monkeypatch, LocalVault, "read", lambda: Trash(store).put(ID))
    care_of(store).restore(str(vault))
    assert not waiting and not lost.exists() and place(store) == "trash"


def test_an_operation_that_moves_at_every_look_is_in_the_backup(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trash, look = Trash(store), Backup._take_operation

    def moving(self: Backup, operation_id: str, place: str) -> None:
        if not store.operations.in_progress(ID):
            (trash.put if place == "operations" else trash.restore)(ID)
        look(self, operation_id, place)

    monkeypatch.setattr(Backup, "_take_operation", moving)
    assert care_of(store).back_up(str(tmp_path / "vault")).operations == 1


def test_what_is_shared_during_a_cleanup_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store, 2)
    cleanup = care_of(store).cleanup
    monkeypatch.setattr("opstore.care.cleanup._FRESH", 0.0)

    def shared() -> None:
        Folder(store.root / "reviews").create("x", [{"review.json": f'{{"pairs": ["{old(2)}"]}}'.encode()}])

    waiting = before(monkeypatch, Trash, "put", shared)  # after the plan, and after the first look
    done = cleanup.apply(cleanup.plan(Rule(30)))
    assert not waiting and done.moved == (ID,) and done.left == {old(2): "reviewed"}


def test_a_note_on_what_was_trashed_meanwhile_says_that_it_is_not_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = before(monkeypatch, Library, "replace", lambda: Trash(store).put(ID))
    with pytest.raises(OperationNotFound) as refused:
        store.rewrite(ID, lambda sidecar: sidecar["annotations"].update(note="late"))
    assert type(refused.value) is OperationNotFound and not waiting and place(store) == "trash"


def test_a_small_picture_that_is_made_while_its_operation_is_removed_does_not_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed() -> None:
        Trash(store).put(ID)
        Trash(store).remove(ID)

    waiting = before(monkeypatch, Thumbnails, "_keep", removed)  # it has been read, and painted
    with pytest.raises(FileMissing):
        Thumbnails(store).path(f"{ID}_out.png")
    assert not waiting and [path for path in store.cache.rglob("*") if path.is_file()] == []


def test_a_repair_completes_no_move_that_was_taken_back_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trash, repair = Trash(store), care_of(store).repair
    (media,) = store.operations.path.glob(f"{ID}_out*")
    kept = media.read_bytes()
    trash.put(ID)
    media.write_bytes(kept)  # what a move that was cut short did not come to take away
    waiting = before(monkeypatch, Repair, "_mend", lambda: trash.restore(ID))
    repair.apply()
    assert not waiting and place(store) == "operations"


@pytest.mark.long
def test_what_is_packed_while_a_damaged_pack_is_set_aside_is_not_set_aside_with_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    care = care_of(store)
    care.compression.apply(60)
    second = save(store, 2)
    with monkeypatch.context() as patch:
        patch.setattr(Pack, "check", _damaged)
        patch.setattr(Pack, "strangers", _damaged)
        set_aside = Folder.set_aside
        packing: list[Future[object]] = []

        def slow(folder: Folder, *args: Any) -> str:
            if folder.path.name == "packed" and not packing:
                packing.append(aside(lambda: care_of(Store(store.root)).compression.apply(60), 1.0))
            return set_aside(folder, *args)

        patch.setattr(Folder, "set_aside", slow)
        care.repair.apply(deep=True)
        packing[0].result(30)
    assert {sidecar["operationId"] for sidecar in Store(store.root).list_operations()} == {ID, second}


def _damaged(pack: Pack) -> None:
    raise DamagedPack(name=pack.path.name, reason="a page is not what it was")


def test_a_job_that_had_ended_is_not_done_again_when_its_operation_was_trashed(store: Store) -> None:
    """It was killed between its sidecar and the removal of its record: the sidecar wins, wherever it is by then."""
    store.pending.create(ID, [{sidecar_name(ID): b"{}"}])
    Trash(store).put(ID)
    assert store.pending.names() == [] and place(store) == "trash"


def test_the_locks_of_a_thread_are_its_own(store: Store) -> None:
    def other() -> None:
        with store.operations.held([ID]):
            pass

    with store.operations.held([ID]), store.operations.held([ID]):
        waiting = aside(other, 0.1)
        assert not waiting.done()
    assert waiting.result(30) is None and not store.operations.in_progress(ID)
