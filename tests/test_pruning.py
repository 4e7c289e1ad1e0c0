"""Old backups leave by a rule, with what nobody else needs; the newest and the newest complete one never do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opstore import Store
from opstore.care import Keep
from opstore.care.backup import Backup
from opstore.care.pruning import prune
from opstore.care.vault import LocalVault
from opstore.errors import InvalidInput
from opstore.storage.preferences import Preferences
from tests.care_samples import care_of, made, save
from tests.samples import tree
from tests.test_cli import run

ALL = (
    "20260101T030000Z",
    "20260131T030000Z",
    "20261101T030000Z",
    "20261120T030000Z",
    "20261124T030000Z",
    "20261125T030000Z",
    "20261125T150000Z",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made(tmp_path)


@pytest.fixture
def vault(store: Store, tmp_path: Path) -> LocalVault:
    """Three backups; each has an operation of its own beside the first one."""
    vault = LocalVault(tmp_path / "backups")
    save(store, 1)
    for day in (1, 2, 3):
        key = save(store, 10 + day, outputs=[bytes([day]) * 5_000])
        with vault.open():
            Backup(store, vault, clock=lambda day=day: datetime(2026, 11, day, tzinfo=UTC)).take()  # type: ignore[misc]
        store.operations.remove(key, [name for name in store.operations.names() if name.startswith(key)])
    return vault


@pytest.mark.parametrize(
    ("keep", "staying"),
    [
        (Keep(0, 0, 0), {"20261125T150000Z"}),
        (Keep(2, 0, 0), {"20261125T150000Z", "20261124T030000Z"}),
        (Keep(0, 2, 0), {"20261125T150000Z", "20261120T030000Z"}),
        (Keep(0, 0, 2), {"20261125T150000Z", "20260131T030000Z"}),
        (Keep(1, 3, 1), {"20261125T150000Z", "20261120T030000Z", "20261101T030000Z"}),
        (Keep(), set(ALL) - {"20261125T030000Z"}),
    ],
)
def test_the_newest_of_each_period_stays(keep: Keep, staying: set[str]) -> None:
    assert keep.retained(ALL) == staying and keep.retained([]) == set()


@pytest.mark.long
def test_what_others_need_stays_and_the_bytes_are_told_before(store: Store, vault: LocalVault) -> None:
    third, second, first = vault.snapshots()
    vault.add({"0" * 64: b"of a backup that was cut short"})
    before = tree(vault.path)
    told = care_of(store).prune(str(vault.path), Keep(2, 0, 0), dry=True)
    assert (told.kept, told.gone) == ((third, second), (first,)) and tree(vault.path) == before
    room = sum(vault.sizes().values())
    done = care_of(store).prune(str(vault.path), Keep(2, 0, 0))
    assert done == told and room - sum(vault.sizes().values()) == told.bytes > 5_000
    assert set(vault.sizes()) == {sha256 for name in (third, second) for sha256 in vault.load(name).files.values()}
    assert vault.check() == {}
    for name in (third, second):
        fresh = Store(vault.path.parent / name)
        care_of(fresh).restore(str(vault.path), name)
        assert len(fresh.list_operations()) == 2 and fresh.verify(deep=True) == []
    again = care_of(store).prune(str(vault.path), Keep(2, 0, 0))
    assert (again.gone, again.contents) == ((), 0)


def test_no_other_backups_leave_than_were_shown(store: Store, vault: LocalVault) -> None:
    third, second, first = vault.snapshots()
    care = care_of(store)
    shown = care.prune(str(vault.path), Keep(2, 0, 0), dry=True).gone
    assert shown == (first,)
    with vault.open():
        Backup(store, vault, clock=lambda: datetime(2026, 11, 4, tzinfo=UTC)).take()
    fourth = vault.snapshots()[0]
    done = care.prune(str(vault.path), Keep(2, 0, 0), among=shown)
    assert (done.kept, done.gone) == ((fourth, third, second), (first,)) and vault.snapshots() == [fourth, third, second]
    assert vault.check() == {}


def test_the_newest_complete_one_stays_and_a_list_that_cannot_be_read_stops_all(store: Store, vault: LocalVault) -> None:
    third, second, _first = vault.snapshots()
    only = set(vault.load(third).files.values()) - set(vault.load(second).files.values())
    vault.objects.remove("x", [min(only)])
    with vault.open():
        assert prune(vault, Keep(0, 0, 0), dry=True).kept == (third, second)
    listing = vault.lists.path / f"{second}.sha256"
    listing.write_bytes(listing.read_bytes()[:-5])
    before = tree(vault.path)
    with pytest.raises(InvalidInput, match="damaged"):
        care_of(store).prune(str(vault.path), Keep(0, 0, 0))
    assert tree(vault.path) == before


def test_by_the_settings_after_a_backup_and_by_default_never(store: Store, vault: LocalVault) -> None:
    assert care_of(store).prune_by_rule(str(vault.path)) is None and len(vault.snapshots()) == 3
    done = care_of(store, Preferences(backup_keep=(1, 0, 0))).prune_by_rule(str(vault.path))
    assert done and len(done.gone) == 2 and len(vault.snapshots()) == 1


@pytest.mark.long
def test_the_command(store: Store, vault: LocalVault) -> None:
    line = ["backup", str(vault.path), "--data", str(store.root)]
    names = vault.snapshots()
    rule = ["--prune", "--keep-daily", "1", "--keep-weekly", "0", "--keep-monthly", "0"]
    told = json.loads(run(*line, *rule, "--dry-run", "--json").stdout)
    assert told["gone"] == names[1:] and told["dryRun"] and vault.snapshots() == names
    assert run(*line, *rule).returncode == 2 and run(*line, "--dry-run").returncode == 2
    done = run(*line, *rule, "--yes")
    assert done.returncode == 0 and "2 backups removed" in done.stdout and vault.snapshots() == names[:1]
