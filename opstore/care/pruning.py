"""Old backups: which stay by a rule, and what leaves with the others; no content that a remaining backup needs ever leaves.

Of each of the last days, weeks and months that have backups the newest stays, and always the newest of all and the newest that is
complete. Lists leave first, durably, contents after: a prune that is killed leaves contents that nobody names, and the next one
removes them. Where one list cannot be read nothing leaves, since nobody knows what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from opstore.care.progress import Report, quiet
from opstore.care.vault import NAME, Vault
from opstore.errors import InvalidInput, said
from opstore.storage.preferences import KEEP, MOST_KEPT, is_keep


@dataclass(frozen=True, slots=True)
class Keep:
    """How many of the last days, weeks and months (UTC) that have backups keep their newest one."""

    daily: int = KEEP[0]
    weekly: int = KEEP[1]
    monthly: int = KEEP[2]

    def __post_init__(self) -> None:
        """Raise InvalidInput for what is no number of periods."""
        if not is_keep((self.daily, self.weekly, self.monthly)):
            raise InvalidInput(reason=said("how many backups stay is a whole number from 0 to {limit}", limit=MOST_KEPT))

    def retained(self, names: Iterable[str]) -> set[str]:
        """Return those of `names` of snapshots that stay; the newest always does."""
        ordered = sorted(names, reverse=True)
        staying = set(ordered[:1])
        periods: list[tuple[int, Callable[[datetime], object]]] = [
            (self.daily, lambda moment: moment.date()),
            (self.weekly, lambda moment: moment.isocalendar()[:2]),
            (self.monthly, lambda moment: (moment.year, moment.month)),
        ]
        for count, period in periods:
            newest: dict[object, str] = {}
            for name in ordered:
                newest.setdefault(period(datetime.strptime(name, NAME).replace(tzinfo=UTC)), name)
            staying.update(list(newest.values())[:count])
        return staying


class PrunableVault(Vault, Protocol):
    """A place of backups that old ones can leave."""

    def sizes(self) -> dict[str, int]:
        """Return every content that is there, and its bytes."""

    def remove(self, snapshots: Iterable[str], contents: Iterable[str]) -> None:
        """Remove lists for good, and then contents."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """Which backups stay and which leave, or left, the newest first; with these `contents` files of `bytes` altogether."""

    kept: tuple[str, ...]
    gone: tuple[str, ...]
    contents: int
    bytes: int


def prune(vault: PrunableVault, keep: Keep, report: Report = quiet, *, dry: bool, among: Collection[str] | None = None) -> Pruned:
    """Remove the backups that `keep` does not name, none but those `among` them, or where `dry` say which; the vault is open.

    Raise InvalidInput, with nothing done, where a list cannot be read.
    """
    names = vault.snapshots()
    needs = {}
    for number, name in enumerate(names):
        report(number, len(names), said("reading the backup"))
        needs[name] = set(vault.load(name).files.values())
    there = vault.sizes()
    staying = keep.retained(names)
    complete = next((name for name in names if needs[name] <= there.keys()), None)
    if complete:
        staying.add(complete)
    if among is not None:
        staying.update(name for name in names if name not in among)
    needed = {sha256 for name in staying for sha256 in needs[name]}
    leaving = {sha256: size for sha256, size in there.items() if sha256 not in needed}
    gone = tuple(name for name in names if name not in staying)
    if not dry:
        report(0, None, said("removing old backups"))
        vault.remove(gone, leaving)
    return Pruned(tuple(name for name in names if name in staying), gone, len(leaving), sum(leaving.values()))
