"""Backup and restore: everything but the cache, consistent while others write, incremental, verified, never over anything."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opstore import Store
from opstore.care import Care, Keep
from opstore.care.vault import LocalVault, Snapshot, is_safe, listing, read_listing
from opstore.errors import InvalidInput, StorageError
from opstore.jobs import Job, JobFolder, Step
from opstore.storage.files import Folder, digest
from opstore.storage.names import parse_name
from opstore.storage.trash import Trash
from tests.care_samples import care_of, made, old, save
from tests.fault_tools import ROOT
from tests.samples import GIF, MP4, PNG, WEBP, plant, tree


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with something of every kind in it."""
    store = made(tmp_path)
    save(store, 1)
    save(store, 2, outputs=[WEBP, GIF], operationType="text_to_video")
    save(store, 3, success=False, error="no", outputs=[])
    Trash(store).put(save(store, 4, outputs=[MP4]))
    (store.root / "searches.json").write_text('{"a": "b"}')
    (store.root / "settings.json").write_text('{"parallel": 2}')
    (store.root / "shares" / "s.json").write_text("{}")
    plant(store, "notes é.txt", b"of another program")
    (store.cache / "thing").write_bytes(b"x")
    return store


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def kept(store: Store) -> dict[str, bytes]:
    """Return every file that a backup must have, by its path."""
    files = (path for path in store.root.rglob("*") if path.is_file())
    names = {str(path.relative_to(store.root)): path.read_bytes() for path in files}
    return {name: data for name, data in names.items() if not name.startswith("cache/") and "/." not in f"/{name}"}


def job(operation_id: str, provider: str, state: str = "queued", steps: int = 1, **keys: Any) -> Job:
    step = Step("text_to_image", "p", provider, "m", {"seed": 5}, **keys)
    operation = {"operationType": "text_to_image", "prompt": "p", "inputFiles": [f"{operation_id}_in_1.png"], "inputCount": 1}
    return Job(operation_id, state, "2026-11-25T11:00:00.000Z", operation, (step, *([replace(step)] * (steps - 1))))


def add_job(store: Store, job: Job) -> None:
    store.save_input_image(job.operation_id, PNG)
    JobFolder(store.pending, store.cache / "progress").add(job)


# -- there and back ------------------------------------------------------------------------------------------------------


def test_everything_but_the_cache_comes_back_byte_for_byte(store: Store, vault: Path, tmp_path: Path) -> None:
    add_job(store, job(old(7), "local"))
    taken = care_of(store).back_up(str(vault))
    assert taken.operations == 4 and taken.files == len(kept(store)) and taken.left_out == {}
    fresh = Store(tmp_path / "fresh")
    done = care_of(fresh).restore(str(vault))
    assert kept(fresh) == kept(store) and fresh.verify(deep=True) == store.verify(deep=True) == []
    assert set(done.operations) == {old(number) for number in (1, 2, 3, 4)} and done.conflicts == done.damaged == {}
    again = care_of(fresh).restore(str(vault))
    assert (again.operations, again.files, again.same, again.conflicts) == ((), 0, taken.files, {})


def test_a_second_backup_takes_what_is_new_and_both_can_be_restored(store: Store, vault: Path, tmp_path: Path) -> None:
    before = kept(store)
    first = care_of(store).back_up(str(vault))
    objects = tree(vault / "objects")
    store.rewrite(old(1), lambda sidecar: sidecar["annotations"]["tags"].append("new"))
    Trash(store).restore(old(4))
    save(store, 5, outputs=[PNG + b"5"])
    second = care_of(store).back_up(str(vault))
    assert second.new_files == 3 and second.snapshot > first.snapshot and second.new_bytes < first.new_bytes
    assert {name: value for name, value in tree(vault / "objects").items() if name in objects} == objects
    for name, wanted in ((first.snapshot, before), (None, kept(store))):
        fresh = Store(tmp_path / f"fresh-{name}")
        care_of(fresh).restore(str(vault), name)
        assert kept(fresh) == wanted
    assert care_of(store).back_up(str(vault)).new_files == 0


def test_share_links_work_after_a_restore_and_their_keys_stay_private(store: Store, vault: Path, tmp_path: Path) -> None:
    from opstore.shares.signing_keys import NAME, Keys

    token = Keys(Folder(store.root)).sign("0123456789abcdef")
    care_of(store).back_up(str(vault))
    fresh = Store(tmp_path / "fresh")
    care_of(fresh).restore(str(vault))
    assert Keys(Folder(fresh.root)).share_of(token) == "0123456789abcdef"
    assert (fresh.root / NAME).stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (vault / "objects").iterdir())


def test_the_backup_only_reads(store: Store, vault: Path) -> None:
    before = {name: value for name, value in tree(store.root, times=True).items() if not name.startswith("cache")}
    care_of(store).back_up(str(vault))
    after = tree(store.root, times=True)
    assert {name: after[name] for name in before if name != "."} == before and not list(vault.glob("**/.*"))


def test_what_changed_in_place_under_the_same_name_and_size_is_taken_again(store: Store, vault: Path) -> None:
    import os

    path = store.operations.path / f"{old(1)}_out.png"
    past = path.stat().st_mtime - 1000
    os.utime(path, (past, past))
    care_of(store).back_up(str(vault))
    path.write_bytes(PNG[:-1] + b"x")
    os.utime(path, (past, past))  # what a sly program leaves: the same size and time
    taken = care_of(store).back_up(str(vault))
    assert LocalVault(vault).load(taken.snapshot).files[f"operations/{path.name}"] == digest(PNG[:-1] + b"x")


def test_hashes_are_remembered_and_doubt_means_reading(store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opstore.care import hashes

    monkeypatch.setattr(hashes, "_SETTLED", -10.0)
    care_of(store).back_up(str(vault))
    read: list[str] = []

    def hashing(data: bytes) -> str:
        read.append("x")
        return digest(data)

    monkeypatch.setattr("opstore.care.backup.digest", hashing)
    care_of(store).back_up(str(vault))
    assert len(read) == 4  # the sidecars, which may change at any moment
    (store.cache / "hashes.db").write_bytes(b"no database at all" * 100)
    taken = care_of(store).back_up(str(vault))
    assert taken.new_files == 0 and len(read) == 4 + taken.files


def test_what_is_packed_is_in_a_backup_as_plain_files_and_not_read_again(
    store: Store, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    care = care_of(store)
    before = care.back_up(str(vault))
    assert care.compression.apply(60).operations == 3
    read: list[str] = []
    original = store.operations.packs.read

    def noted(name: str) -> bytes | None:
        read.append(name)
        return original(name)

    monkeypatch.setattr(store.operations.packs, "read", noted)
    packed = care.back_up(str(vault))
    assert (
        packed.new_files == 0 and LocalVault(vault).load(packed.snapshot).files == LocalVault(vault).load(before.snapshot).files
    )
    assert {name.rpartition(".")[2] for name in read} == {"json"}


def test_plain_tools_take_it_apart(store: Store, vault: Path, tmp_path: Path) -> None:
    taken = care_of(store).back_up(str(vault))
    readme = (vault / "README.txt").read_text()
    block = readme[readme.index("    grep") : readme.index("With opstore")]
    target = tmp_path / "by hand"
    script = block.replace("TARGET", str(target)).replace("SNAPSHOT", f"{taken.snapshot}.sha256")
    subprocess.run(["bash", "-euc", script], cwd=vault, check=True, timeout=60)
    assert kept(Store(target)) == kept(store)
    checked = ["sha256sum", "--check", "--quiet", "--strict", str(vault / "snapshots" / f"{taken.snapshot}.sha256")]
    assert subprocess.run(checked, cwd=target, check=False, timeout=60).returncode == 0


# -- into a living folder ------------------------------------------------------------------------------------------------


def test_nothing_there_is_written_over_and_what_differs_is_told(store: Store, vault: Path) -> None:
    care_of(store).back_up(str(vault))
    store.rewrite(old(1), lambda sidecar: sidecar["annotations"]["tags"].append("since"))
    (store.operations.path / f"{old(1)}_out.png").unlink()
    Trash(store).put(old(2))
    Trash(store).restore(old(4))
    (store.root / "searches.json").write_text("{}")
    shutil.rmtree(store.root / "shares")
    gone = [path for path in store.operations.path.iterdir() if old(3) in path.name]
    for path in gone:
        path.unlink()
    before = kept(store)
    dry = care_of(store).restore(str(vault), dry=True)
    assert kept(store) == before
    done = care_of(store).restore(str(vault))
    assert replace(dry, damaged={}) == done
    assert done.operations == (old(3),) and set(done.conflicts) == {
        f"operations/{old(1)}.json", f"operations/{old(2)}.json", f"trash/{old(4)}.json", "searches.json",
    }  # fmt: skip
    after = kept(store)
    assert {name: after[name] for name in before} == before and after["shares/s.json"] == b"{}"
    assert after[f"operations/{old(1)}_out.png"] == PNG and store.verify(deep=True) == []


def test_damage_in_the_backup_is_found_told_and_healed_by_the_next_one(store: Store, vault: Path, tmp_path: Path) -> None:
    taken = care_of(store).back_up(str(vault))
    (vault / "objects" / digest(WEBP)).write_bytes(WEBP[:-1] + b"x")
    fresh = Store(tmp_path / "fresh")
    done = care_of(fresh).restore(str(vault))
    assert set(done.damaged) == {f"operations/{old(2)}_out.webp"} and len(done.operations) == 4
    assert [problem.kind for problem in fresh.verify(deep=True)] == ["missing"]
    assert set(LocalVault(vault).check()) == {digest(WEBP)} and (vault / "objects" / f"{digest(WEBP)}.damaged").is_file()
    care_of(store).back_up(str(vault))
    assert LocalVault(vault).check() == {} and care_of(fresh).restore(str(vault), taken.snapshot).files == 1
    assert fresh.verify(deep=True) == []


def test_an_object_cut_short_is_replaced_by_the_next_backup(store: Store, vault: Path) -> None:
    care_of(store).back_up(str(vault))
    (vault / "objects" / digest(WEBP)).write_bytes(b"")
    care_of(store).back_up(str(vault))
    assert LocalVault(vault).check() == {}


# -- work under way ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "resumed"),
    [
        (job(old(7), "replicate"), False),
        (job(old(7), "replicate", "creating", creating_at="2026-11-25T11:00:01Z"), False),
        (job(old(7), "replicate", "running", prediction_id="p" * 26), True),
        (job(old(7), "replicate", "running", steps=2, prediction_id="p" * 26), False),
        (job(old(7), "replicate", "fetching", prediction_id="p" * 26, urls=("https://replicate.delivery/x",)), True),
        (job(old(7), "local", "running"), True),
    ],
)
def test_work_under_way_comes_back_only_where_it_cannot_be_paid_twice(
    store: Store, vault: Path, tmp_path: Path, wanted: Job, resumed: bool
) -> None:
    add_job(store, wanted)
    care_of(store).back_up(str(vault))
    fresh = Store(tmp_path / "fresh")
    done = care_of(fresh).restore(str(vault))
    assert fresh.operations.has(f"{old(7)}_in_1.png") and fresh.verify(deep=True) == []
    if resumed:
        assert JobFolder(fresh.pending, tmp_path).get(old(7)) == wanted and done.conflicts == {}
    else:
        sidecar = fresh.get_operation_metadata(old(7))
        assert fresh.pending.names() == [] and sidecar["status"] == "unknown" and sidecar["inputFiles"] == [f"{old(7)}_in_1.png"]
        assert set(done.conflicts) == {f"pending/{old(7)}.json"} and old(7) in done.operations
    assert care_of(fresh).restore(str(vault)).files == 0


def test_work_that_has_ended_since_is_not_begun_again(store: Store, vault: Path) -> None:
    add_job(store, job(old(7), "local"))
    care_of(store).back_up(str(vault))
    JobFolder(store.pending, store.cache / "progress").remove(old(7))
    store.save_operation_metadata(old(7), {"prompt": "p", "operationType": "text_to_image"})
    before = kept(store)
    care_of(store).restore(str(vault))
    assert kept(store) == before


# -- while others write --------------------------------------------------------------------------------------------------


@contextmanager
def writing(data: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Four processes that save, annotate, trash and restore until they are told to stop."""
    command = [sys.executable, "-B", "-m", "tests.care_programs", "write", str(data)]
    options: dict[str, Any] = {"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen([*command, letter], **options) for letter in "abcd"]
    try:
        for child in children:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        yield children
    finally:
        for child in children:
            child.communicate(timeout=60)


@pytest.mark.long
def test_a_backup_under_four_writing_processes_restores_to_a_store_that_verifies_deep(tmp_path: Path, vault: Path) -> None:
    store = made(tmp_path)
    ids = [save(store, number, outputs=[PNG + bytes([number])]) for number in range(40)]
    with writing(store.root) as children:
        for _ in range(2):
            care_of(store).back_up(str(vault))
        assert all(child.poll() is None for child in children), "they ended before the backups did"
    names = LocalVault(vault).snapshots()
    written = len(store.list_operations(10_000)) + len(Trash(store).all())
    assert len(names) == 2 and written > len(ids) + 4, "nothing was written meanwhile"
    for name in names:
        fresh = Store(tmp_path / name)
        care_of(fresh).restore(str(vault), name)
        assert fresh.verify(deep=True) == []
        library = {sidecar["operationId"] for sidecar in fresh.list_operations(10_000)}
        trashed = {item.operation_id for item in Trash(fresh).all()}
        assert set(ids) <= library | trashed, "what was there before is missing"
        for item in Trash(fresh).all():
            Trash(fresh).restore(item.operation_id)
        assert fresh.verify(deep=True) == []


# -- what is refused -----------------------------------------------------------------------------------------------------


def test_where_no_backup_may_lie(store: Store, tmp_path: Path) -> None:
    care = care_of(store)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for target in (store.root, store.root / "shares" / "x", tmp_path, tmp_path / "full", tmp_path / "file", ""):
        with pytest.raises(InvalidInput):
            care.back_up(str(target))
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    for source in (tmp_path / "absent", tmp_path / "full"):
        with pytest.raises(InvalidInput):
            care.restore(str(source))


HOSTILE = (
    "../x",
    "/etc/x",
    "a/../../x",
    "a//b",
    "cache/x",
    ".hidden",
    "shares/.x",
    "a\\b",
    "a\x1b[2J",
    "a\u202eb",
    "/",
    "a/" * 9 + "b",
)


@pytest.mark.parametrize("path", HOSTILE)
def test_a_list_that_names_a_place_outside_is_refused_whole(store: Store, vault: Path, tmp_path: Path, path: str) -> None:
    assert not is_safe(path.split("/"))
    taken = care_of(store).back_up(str(vault))
    whole = LocalVault(vault).load(taken.snapshot)
    (vault / "snapshots" / "20990101T000000Z.sha256").write_bytes(listing({**whole.files, path: digest(PNG)}))
    fresh = Store(tmp_path / "fresh")
    with pytest.raises(InvalidInput):
        care_of(fresh).restore(str(vault))
    assert not fresh.operations.names()


def test_a_list_is_whole_or_refused() -> None:
    files = {"operations/a.json": digest(b"a"), "searches.json": digest(b"b")}
    data = listing(files)
    assert read_listing(data, "n") == files and data.count(b"\n") == 4
    for cut in range(len(data)):
        with pytest.raises(InvalidInput):
            read_listing(data[:cut], "n")
    for place in range(0, len(data), 3):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(InvalidInput):
            read_listing(changed, "n")
    assert Snapshot("20251103T143022Z", {}).moment.year == 2025


def test_what_is_no_plain_file_is_left_out_and_told(store: Store, vault: Path) -> None:
    (store.root / "shares" / "link.json").symlink_to("/etc/passwd")
    (store.operations.path / f"{old(9)}.json").symlink_to("/etc/passwd")
    (store.root / "shares" / "line\nbreak.json").write_text("x")
    taken = care_of(store).back_up(str(vault))
    assert set(taken.left_out) == {"shares/link.json", f"operations/{old(9)}.json", "shares/line\nbreak.json"}
    assert not any(path.startswith("shares/l") for path in LocalVault(vault).load(taken.snapshot).files)


def test_a_full_disk_says_so_and_leaves_the_backups_that_were_there(store: Store, vault: Path) -> None:
    from tests.fault_tools import mounted, need_mounts

    need_mounts(vault.parent)
    with mounted(vault, "-t", "tmpfs", "-o", "size=120k", "tmpfs"):
        care = care_of(store)
        first = care.back_up(str(vault))
        save(store, 8, outputs=[bytes(range(256)) * 2_000])
        with pytest.raises(StorageError):
            care.back_up(str(vault))
        assert LocalVault(vault).snapshots() == [first.snapshot] and LocalVault(vault).check() == {}


# -- rclone --------------------------------------------------------------------------------------------------------------


def test_a_remote_without_rclone_is_a_clear_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InvalidInput, match="rclone is not installed"):
        care_of(store).back_up("mine:backups")


@pytest.mark.long
def test_a_remote_of_rclone(program: Callable[[str], str], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("rclone")
    monkeypatch.setenv("RCLONE_CONFIG", str(tmp_path / "rclone.conf"))
    (tmp_path / "rclone.conf").write_text(f"[mine]\ntype = alias\nremote = {tmp_path / 'far'}\n")
    care: Care = care_of(store)
    first = care.back_up("mine:a/b")
    assert care.back_up("mine:a/b").new_files == 0 and len(care.vault("mine:a/b").snapshots()) == 2
    assert LocalVault(tmp_path / "far" / "a" / "b").check() == {}
    fresh = Store(tmp_path / "fresh")
    assert care_of(fresh).restore("mine:a/b", first.snapshot).files == first.files
    assert kept(fresh) == kept(store) and not list((store.cache / "remote").rglob("objects/*"))
    far = LocalVault(tmp_path / "far" / "a" / "b")
    far.add({digest(b"cut short"): b"cut short"})
    newest, names = far.snapshots()[0], set(far.sizes())
    assert care.prune("mine:a/b", Keep(0, 0, 0)).gone == (first.snapshot,)
    assert far.snapshots() == [newest] and names - set(far.sizes()) == {digest(b"cut short")} and far.check() == {}
    with pytest.raises(StorageError, match="rclone"):
        care.back_up("absent:x")


def test_threads_take_turns(store: Store, vault: Path) -> None:
    failures: list[BaseException] = []

    def act() -> None:
        try:
            care_of(Store(store.root)).back_up(str(vault))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=act) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(LocalVault(vault).snapshots()) == 3 and LocalVault(vault).check() == {}
    assert all(parse_name(name) is None for name in json.loads(json.dumps(LocalVault(vault).objects.names())))
