"""Care of the storage: what is where, what may go, what is safe elsewhere, what is broken.

What a rule or a repair takes away goes to the trash or to `quarantine/`; for good leave only old backups, by a rule of
their own, and the trash, when somebody empties it or its time is over. Every act completes when it is repeated after a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from opstore import clocks
from opstore.access.roles import Role, part
from opstore.care.account_history import HistoryImport, since_of
from opstore.care.background import Desk
from opstore.care.backup import Backup, Taken, check_apart
from opstore.care.cleanup import Cleaned, Cleanup, Plan, Rule
from opstore.care.compression import Compressed, Compression
from opstore.care.importing import Import, Imported
from opstore.care.other_folders import Libraries
from opstore.care.progress import Report, quiet
from opstore.care.pruning import Keep, Pruned, prune
from opstore.care.remote import RemoteVault, is_remote
from opstore.care.repair import Remedy, Repair
from opstore.care.restore import Restore, Restored
from opstore.care.sources import source_of
from opstore.care.survey import Fact, Survey, survey
from opstore.care.vault import LocalVault
from opstore.clocks.leaps import Leaps
from opstore.errors import InvalidInput, said
from opstore.fetch import FetchPolicy
from opstore.index import Index
from opstore.providers import Account, registry
from opstore.providers.registry import Opened
from opstore.storage.files import digest
from opstore.storage.preferences import Preferences
from opstore.storage.store import Store
from opstore.storage.trash import Trash

__all__ = [
    "Care",
    "Cleaned",
    "Cleanup",
    "Compressed",
    "Compression",
    "Fact",
    "Imported",
    "Keep",
    "Plan",
    "Pruned",
    "Remedy",
    "Repair",
    "Report",
    "Restored",
    "Rule",
    "Survey",
    "Taken",
    "quiet",
    "survey",
]


@part(Role.ADMIN)
class Care:
    """Everything that keeps one data folder in order."""

    def __init__(
        self,
        store: Store,
        index: Index,
        trash: Trash,
        preferences: Callable[[], Preferences],
        *,
        providers: Callable[[], Opened] = Opened,
        policy: FetchPolicy | None = None,
        clock: Callable[[], datetime] = clocks.now,
    ) -> None:
        """Take care of `store`; nothing happens before it is asked for. `preferences` raises SettingsDamaged."""
        policy = policy or FetchPolicy(registry.hosts())
        self.store = store
        self.index = index
        self.trash = trash
        self.cleanup = Cleanup(store, index, trash, clock=clock)
        self.repair = Repair(store, trash, providers, policy, clock=clock)
        self.compression = Compression(store, clock=clock)
        self.leaps = Leaps(store.data.top)
        self.desk = Desk(self)
        self._preferences = preferences
        self._providers = providers
        self._policy = policy
        self._clock = clock

    def retain(self) -> Cleaned | None:
        """Do what the retention policy in the settings says, None if there is none: the daily housekeeping."""
        chosen = self._preferences()
        if chosen.retention_days is None:
            return None
        plan = self.cleanup.plan(Rule(chosen.retention_days, query=chosen.retention_query))
        return self.cleanup.apply(plan)

    # -- backups ---------------------------------------------------------------------------------------------------------

    def vault(self, target: str) -> LocalVault | RemoteVault:
        """Return where backups are kept: a folder outside the data folder, or a remote of rclone; else raise InvalidInput."""
        if not target.strip():
            raise InvalidInput(reason=said("name a folder for the backups, best on another disk, or a remote of rclone"))
        if is_remote(target):
            return RemoteVault(target, self.store.cache / "remote" / digest(target.encode())[:16])
        check_apart(self.store, Path(target))
        return LocalVault(Path(target))

    def local_snapshots(self, target: str) -> list[str]:
        """Return the backups in a folder, the newest first; none for a remote, which is slow to answer."""
        return [] if not target or is_remote(target) else self.vault(target).snapshots()

    def back_up(self, target: str, report: Report = quiet) -> Taken:
        """Take a backup; people and programs may go on writing."""
        vault = self.vault(target)
        with vault.open():
            return Backup(self.store, vault, report, clock=self._clock).take()

    def prune(
        self, target: str, keep: Keep, report: Report = quiet, *, dry: bool = False, among: Collection[str] | None = None
    ) -> Pruned:
        """Remove the backups that `keep` does not name, and what no other one needs; where `dry` only say which.

        With `among`, which a person was shown, no other backups leave.

        Raise ClockLeapt where the clock, by which backups are named, cannot be believed.
        """
        if not dry:
            self.leaps.check()
        vault = self.vault(target)
        with vault.open():
            return prune(vault, keep, report, dry=dry, among=among)

    def prune_by_rule(self, target: str, report: Report = quiet) -> Pruned | None:
        """Remove the backups that the settings do not keep, None where they keep all."""
        chosen = self._preferences().backup_keep
        return None if chosen is None else self.prune(target, Keep(*chosen), report)

    def restore(self, source: str, name: str | None = None, report: Report = quiet, *, dry: bool = False) -> Restored:
        """Bring a backup back, the newest by default, next to what is there; where `dry` only say what would come back."""
        vault = self.vault(source)
        with vault.reading():
            return Restore(self.store, vault, report, dry=dry, clock=self._clock).run(name)

    # -- import ----------------------------------------------------------------------------------------------------------

    def take_in(self, source: str, report: Report = quiet, *, dry: bool = False) -> Imported:
        """Import a folder or a zip archive; raise InvalidInput for what is neither, or is this very data folder."""
        if self.store.data.meets(Path(source)):
            raise InvalidInput(reason=said("this is the data folder itself; name another one"))
        found = Libraries(source_of(source), self.store.cache / "import")
        return Import(self.store, found, report, dry=dry).run()

    def take_history(self, name: str, days: int, report: Report = quiet, *, dry: bool = False) -> Imported:
        """Import what the account at a provider made in the last days; raise InvalidInput without a token, else ProviderError."""
        since, providers = since_of(days), self._providers()
        if name in providers.problems:
            raise InvalidInput(reason=providers.problems[name])
        if not isinstance(provider := providers.get(name), Account):
            variable = registered.token if (registered := registry.find(name)) else ""
            told = {"provider": registry.title(name), "variable": variable}
            raise InvalidInput(reason=said("no {provider} API token is set; start with the variable {variable}", **told))
        return HistoryImport(self.store, self.trash, provider.table, self._policy, report, dry=dry).run(provider, since)
