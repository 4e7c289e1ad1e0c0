"""What somebody does between the look and the act of another: nothing that went away comes back, nothing that came back goes.

Each act of care reads, works, then writes; here somebody moves or removes the operation in between, at one call that is known.
`tests/test_histories.py` looks for the moments that nobody thought of.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.care import Keep, Rule, importing
from opstore.care.backup import Backup
from opstore.care.repair import Repair
from opstore.care.vault import LocalVault
from opstore.comparing.reviews import Pair, Reviews, Voter
from opstore.errors import DamagedPack, FileMissing, OperationNotFound
from opstore.index import Index
from opstore.jobs.once import Once, Request
from opstore.media.thumbnails import Thumbnails
from opstore.shares import Scope, Shares
from opstore.storage.drafts import MAX_DAYS, Drafts
from opstore.storage.files import Folder
from opstore.storage.names import sidecar_name
from opstore.storage.packs import Library
from opstore.storage.packs.library import Packs
from opstore.storage.packs.pack import Pack
from opstore.storage.trash import Trash
from tests.care_samples import NOW, care_of, made, old, save
from tests.samples import GIF
from tests.test_backup import job

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

    def moving(self: Backup, operation_id: str, place: str, **options: bool) -> None:
        if not store.operations.in_progress(ID):
            (trash.put if place == "operations" else trash.restore)(ID)
        look(self, operation_id, place, **options)

    monkeypatch.setattr(Backup, "_take_operation", moving)
    assert care_of(store).back_up(str(tmp_path / "vault")).operations == 1


def test_what_is_shared_during_a_cleanup_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store, 2)
    cleanup = care_of(store).cleanup

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


def test_a_backup_that_is_being_restored_is_not_removed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    care, vault = care_of(store), str(tmp_path / "vault")
    oldest = care.back_up(vault).snapshot
    store.operations.remove(ID, sorted(store.operations.names()))
    save(store, 2)
    care.back_up(vault)
    begun: list[Future[object]] = []
    read = LocalVault.read

    def reading(backups: LocalVault, sha256: str) -> bytes:
        if not begun:
            begun.append(aside(lambda: care_of(store).prune(vault, Keep(0, 0, 0))))
        return read(backups, sha256)

    monkeypatch.setattr(LocalVault, "read", reading)
    done = care_of(Store(tmp_path / "other")).restore(vault, oldest)
    begun[0].result(30)
    assert done.operations == (ID,) and not done.damaged and len(care.local_snapshots(vault)) == 1


@pytest.mark.parametrize("there", ["by another import", "in the trash"])
def test_a_picture_that_comes_twice_at_once_is_one_operation(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    """Under other times, which would make other ids of it."""
    for name, moment in (("one", 1e9), ("two", 1.5e9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "picture.gif").write_bytes(GIF)
        os.utime(tmp_path / name / "picture.gif", (moment, moment))
    begun: list[Future[object]] = []
    other, trash, names = Store(store.root), Trash(store), Library.names

    def first() -> object:
        return care_of(other).take_in(str(tmp_path / "one"))

    def listing(library: Library) -> list[str]:
        found = names(library)
        if library is store.operations and not begun:
            begun.append(aside(first) if there == "by another import" else aside(lambda: trash.restore(known)))
        return found

    if there == "in the trash":
        first()
        (known,) = (sidecar["operationId"] for sidecar in other.list_operations() if sidecar["operationId"] != ID)
        trash.put(known)
    monkeypatch.setattr(Library, "names", listing)
    care_of(store).take_in(str(tmp_path / "two"))
    begun[0].result(30)
    assert len(other.list_operations()) == 2 and store.verify(deep=True) == []


def test_files_that_come_back_from_a_pack_while_somebody_looks_are_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    care_of(store).compression.apply(30)
    names = sorted(store.operations.names())
    waiting = before(monkeypatch, Packs, "entries", lambda: Store(store.root).operations.unpack([ID]))
    assert store.operations.present(names) == names and not waiting


def test_a_record_that_somebody_mends_before_a_repair_gets_to_it_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    other, repair = old(2), care_of(store).repair
    good = job(other, "local").encode()
    (store.pending.path / f"{other}.json").write_bytes(good[:40])
    waiting = before(monkeypatch, Repair, "_set_aside", lambda: (store.pending.path / f"{other}.json").write_bytes(good))
    repair.apply()
    assert not waiting and store.pending.read(f"{other}.json") == good and repair.quarantine.names() == []


def test_a_copy_of_what_is_removed_for_good_while_it_is_made_does_not_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    care_of(store).compression.apply(30)
    (name,) = (name for name in store.operations.names() if "_out" in name)
    trash, replace = Trash(Store(store.root)), os.replace

    def placing(source: Path, target: Path) -> None:  # it has been read, and is about to be there
        if "unpacked" in str(target):
            trash.put(ID)
            trash.remove(ID)
        replace(source, target)

    monkeypatch.setattr(os, "replace", placing)
    with pytest.raises(FileMissing):
        store.open_file(name, again=True)
    assert [path for path in (store.cache / "unpacked").rglob("*") if path.is_file()] == []


def test_a_small_picture_stays_in_the_cache_where_another_s_of_the_same_bytes_goes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere nobody would find it who removes its operation for good."""
    thumbnails, trash, other = Thumbnails(store), Trash(store), save(store, 2)
    thumbnails.path(f"{other}_out.png")
    trash.put(other)
    waiting = before(monkeypatch, Thumbnails, "_keep", lambda: trash.remove(other))
    found = thumbnails.path(f"{ID}_out.png")
    assert not waiting and found and found.is_file() and found.is_relative_to(store.cache)


def test_who_votes_in_a_review_that_is_removed_leaves_no_vote(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    other = save(store, 2)
    reviews = Reviews(store, Index(store))
    review = reviews.begin("which", ids=[ID, other])
    waiting = before(monkeypatch, Reviews, "_change", lambda: reviews.remove(review.id))
    with pytest.raises(OperationNotFound):
        reviews.vote(review.id, Voter("Ada"), Pair(ID, other), "left")
    assert not waiting and reviews.votes() == []


def test_a_visit_of_a_link_that_is_forgotten_leaves_nothing(store: Store) -> None:
    shares = Shares(store)
    share = shares.create(Scope("operation", (ID,)))
    opened = shares.open(shares.token(share))
    shares.forget(share.id)
    shares.visited(opened)
    assert Folder(store.root / "shares").names() == []


def test_a_draft_that_is_gone_on_with_while_the_old_ones_go_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tab, read, back = "a" * 32, Drafts._day_of, list[str]()

    def drafts(day: int) -> Drafts:
        return Drafts(store, lambda: NOW + timedelta(days=day))

    def reading(self: Drafts, key: str) -> int | None:
        day = read(self, key)
        if day == 1 and not back:
            back.append(key)
            drafts(MAX_DAYS + 1).save(tab, "", {"prompt": "new"}, [])
        return day

    drafts(0).save(tab, "", {"prompt": "old"}, [])
    for day in range(1, MAX_DAYS + 1):
        drafts(day).save("b" * 32, "", {"prompt": f"{day}"}, [])
    monkeypatch.setattr(Drafts, "_day_of", reading)
    drafts(MAX_DAYS + 1).save("b" * 32, "", {"prompt": "last"}, [])
    found = drafts(MAX_DAYS + 1).load(tab, "")
    assert back and found and found.form == {"prompt": "new"}


def test_a_request_is_known_whose_operation_comes_back_from_the_trash(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    once, request, made_ids = Once(store), Request("key", "content"), list[str]()

    def make(operation_id: str) -> None:
        made_ids.append(operation_id)
        store.save(operation_id, {})

    operation_id, _ = once.make(request, make)
    trash, has = Trash(store), Folder.has
    trash.put(operation_id)

    def looking(folder: Folder, name: str) -> bool:
        if folder.path.name == "trash" and name == sidecar_name(operation_id) and len(made_ids) == 1:
            made_ids.append("restored")
            trash.restore(operation_id)
        return has(folder, name)

    monkeypatch.setattr(Folder, "has", looking)
    assert once.make(request, make) == (operation_id, True) and made_ids == [operation_id, "restored"]
