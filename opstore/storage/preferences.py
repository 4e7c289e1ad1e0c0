"""What people chose in the settings page: one small file in the data folder, never a secret.

A file that is damaged stops what the settings guard: nothing is paid, nothing leaves by a rule, and nothing is written over it,
until somebody mends it on purpose; the damaged one is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

from opstore.errors import (
    FileMissing,
    InvalidSetting,
    OperationBusy,
    OperationExists,
    OpstoreError,
    Said,
    SettingsChanged,
    SettingsDamaged,
    said,
    shown,
)
from opstore.storage.document import Document
from opstore.storage.files import Folder, is_passing
from opstore.storage.verify import Problem

NAME, KEPT_AS = "settings.json", "settings.damaged.json"
#: More than this is not a file of settings.
MAX_BYTES = 1_000_000
#: Of how many days, weeks and months the newest backup stays if nothing else was chosen, and what can be chosen at most.
KEEP, MOST_KEPT = (7, 4, 12), 10_000


@dataclass(frozen=True, slots=True)
class Preferences:
    """Settings that people change while the program runs; budgets are in US dollars, None means no limit.

    `retention_days` None means that nothing leaves by itself; else what is older, and found by the search `retention_query`,
    goes to the trash, as `opstore.care` does it. `backup_target` is where backups are kept; `backup_keep` of how
    many days, weeks and months the newest stays there, None for all backups. `analyzer` names the language model that may be
    asked which workflow a prompt means; empty: the rules alone.
    """

    parallel: int = 4
    daily_budget: float | None = None
    monthly_budget: float | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    retention_days: int | None = None
    retention_query: str = ""
    backup_target: str = ""
    backup_keep: tuple[int, ...] | None = None
    analyzer: str = ""

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if not isinstance(self.parallel, int) or isinstance(self.parallel, bool) or not 1 <= self.parallel <= 64:
            raise InvalidSetting(name="parallel", reason=said("it must be a whole number from 1 to 64"))
        for name in ("daily_budget", "monthly_budget"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6):
                raise InvalidSetting(name=name, reason=said("it must be an amount from 0, or empty for no limit"))
        if not isinstance(self.provider, str) or len(self.provider) > 100 or not self.provider.isprintable():
            raise InvalidSetting(name="provider", reason=said("it must be the name of a provider, or empty"))
        days = self.retention_days
        if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 100_000):
            raise InvalidSetting(name="retention_days", reason=said("it must be a number of days from 1, or empty for never"))
        if not isinstance(self.retention_query, str) or len(self.retention_query) > 1_000:
            raise InvalidSetting(name="retention_query", reason=said("it must be a search of at most 1,000 characters"))
        self._check_backups()
        if not isinstance(self.analyzer, str) or len(self.analyzer) > 200:
            raise InvalidSetting(name="analyzer", reason=said("it must be the name of a language model, or empty"))
        if not isinstance(self.models, Mapping) or not all(
            isinstance(text, str) for pair in self.models.items() for text in pair
        ):
            raise InvalidSetting(name="models", reason=said("it must name a model for each type of operation"))

    def _check_backups(self) -> None:
        if not isinstance(self.backup_target, str) or len(self.backup_target) > 1_000 or not self.backup_target.isprintable():
            raise InvalidSetting(name="backup_target", reason=said("it must be a folder, or a remote of rclone"))
        if not (self.backup_keep is None or is_keep(self.backup_keep)):
            raise InvalidSetting(name="backup_keep", reason=said("it must be three numbers, of days, weeks and months, or empty"))


def is_keep(value: object) -> bool:
    """Say whether a value tells of how many days, weeks and months a backup stays."""
    numbers = value if isinstance(value, tuple) and len(value) == len(KEEP) else ("",)
    return all(isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MOST_KEPT for number in numbers)


class PreferenceFile:
    """The settings of one data folder, shared by every process that uses it."""

    def __init__(self, folder: Folder) -> None:
        """Keep the settings in `folder`, the data folder itself."""
        self._folder = folder
        self._file = Document(folder, NAME, MAX_BYTES, key="settings", private=True)

    def load(self) -> Preferences:
        """Return the settings; what is missing or cannot be used is the default."""
        return self._found().chosen

    def trusted(self) -> Preferences:
        """Return the settings for what costs money or deletes; raise SettingsDamaged where they are not what somebody chose."""
        found = self._found()
        if found.damage is not None:
            raise SettingsDamaged(name=NAME, reason=found.damage)
        return found.chosen

    def damage(self) -> str | None:
        """Return what is wrong with the file, None if nothing is."""
        return self._found().damage

    def problems(self) -> list[Problem]:
        """Return what is wrong with the file, and what is chosen in it and cannot be had here."""
        wrong = [Problem("unparsable", NAME, None, damage, "root")] if (damage := self.damage()) else []
        return [*wrong, *(Problem("unusable", NAME, None, sentence, "root") for sentence in self.absent())]

    def absent(self) -> list[Said]:
        """Return in sentences what is chosen and cannot be had here; it stays chosen, and nothing else suffers."""
        provider = self.load().provider
        if not provider or provider in _providers():
            return []
        told = {"file": NAME, "provider": shown(provider), "names": " or ".join(_providers())}
        return [said("{file} chooses the provider {provider}, who is not registered here; in Settings, choose {names}", **told)]

    def save(self, *, mend: bool = False, seen: Preferences | None = None, **changes: Any) -> Preferences:
        """Change some settings durably and return them all; raise InvalidSetting for a value that makes no sense.

        A damaged file raises SettingsDamaged, unless this is to `mend` it: then what can still be read of it stays, and the file
        itself is kept as `settings.damaged.json`. Where one of them is no longer as it was `seen`, raise SettingsChanged.
        """
        unknown = set(changes) - {item.name for item in fields(Preferences)}
        if unknown:
            raise InvalidSetting(name=min(unknown), reason=said("there is no setting of that name"))
        self._folder.make()
        with self._folder.locked("settings"):  # what is found damaged is still what is replaced
            while True:
                stored = self._found()
                if stored.damage is not None and not mend:
                    raise SettingsDamaged(name=NAME, reason=stored.damage)
                if seen is not None and any(getattr(seen, name) != getattr(stored.chosen, name) for name in changes):
                    raise SettingsChanged
                _check_provider(changes.get("provider", ""), stored.chosen.provider)
                chosen = replace(stored.chosen, **changes)
                try:
                    self._write(stored, json.dumps(asdict(chosen), indent=2).encode() + b"\n")
                    return chosen
                except (OperationExists, OperationBusy, FileMissing):
                    continue  # another program changed another setting meanwhile: both changes count

    def _write(self, stored: _Found, data: bytes) -> None:
        """Put `data` in the place of what was found; what is damaged is kept."""
        if stored.damage is not None:
            self._file.keep(KEPT_AS)
            self._file.overwrite(data)
        else:
            self._file.write(data, stored.data)

    def _found(self) -> _Found:
        try:
            data = self._file.find()
        except OpstoreError as error:
            if is_passing(error):  # a budget must not fall away because a process is short of files for a moment
                raise
            return _Found(None, Preferences(), str(error))
        return _Found(None, Preferences()) if data is None else _decoded(data)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the file holds: its bytes, the settings as far as they can be used, and what is wrong with it."""

    data: bytes | None
    chosen: Preferences
    damage: str | None = None


def _check_provider(name: object, stored: str) -> None:
    """Raise InvalidSetting for a provider that nobody can choose here; one that was chosen elsewhere stays as it is."""
    if name not in ("", stored, *_providers()):
        raise InvalidSetting(name="provider", reason=said("it must be {names} or empty", names=", ".join(_providers())))


def _providers() -> tuple[str, ...]:
    from opstore.providers import registry  # only where one is asked about: commands that list load this module too

    return registry.names()


def _decoded(data: bytes) -> _Found:
    if len(data) > MAX_BYTES:
        return _Found(data, Preferences(), said("it is too large"))
    try:
        stored = json.loads(data)
    except (ValueError, RecursionError):
        return _Found(data, Preferences(), said("it is no JSON"))
    if not isinstance(stored, dict):
        return _Found(data, Preferences(), said("it is no table of settings"))
    known, damage, names = Preferences(), None, [item.name for item in fields(Preferences)]
    for item in fields(Preferences):
        if item.name in stored:
            value: Any = stored[item.name]
            changed: dict[str, Any] = {item.name: tuple(value) if isinstance(value, list) else value}
            try:
                known = replace(known, **changed)
            except (InvalidSetting, TypeError):
                damage = damage or said("the value of {name} cannot be used", name=item.name)
    strange = sorted(name for name in stored if name not in names and _is_meant(name, names))
    if strange:
        damage = damage or said("there is no setting {name}; look how it is spelt", name=shown(strange[0]))
    return _Found(data, known, damage)


def _is_meant(name: str, names: Iterable[str]) -> bool:
    """Say whether an unknown key is one of ours misspelt, or a budget that is not known here: no limit is dropped."""
    plain = name.replace("-", "_").lower()
    return "budget" in plain or bool(get_close_matches(plain, names, 1, 0.8))
