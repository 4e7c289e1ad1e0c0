"""Who can make things: one line a provider here, and all else that is known of it in its own folder, as its registration.

Nothing outside that folder knows a provider by its name: whoever needs its settings, hosts, models or texts asks here. Importing
this loads no provider, and no registration loads what makes pictures or speaks to a network.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from opstore.errors import OpstoreError, Said, said, shown
from opstore.errors.failure import KINDS

if TYPE_CHECKING:
    from opstore.providers import Asker, Provider
    from opstore.providers.models import ModelTable

log = logging.getLogger("opstore.providers")

#: One line a provider: the package that holds its `registration` and its `models.toml`.
PROVIDERS: tuple[str, ...] = (
    "opstore.providers.local",
    "opstore.providers.replicate",
)
#: Providers keep results for ten minutes at least and a week at most; of one that is registered no more, an hour is assumed.
SHORTEST, LONGEST, ASSUMED = timedelta(minutes=10), timedelta(days=7), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The grammar of a provider's model names, and how people are told of it; a name becomes part of an address."""

    pattern: re.Pattern[str]
    told: str


OWNER_AND_NAME = ModelNames(
    re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}(:[0-9a-f]{64})?\Z"),
    "a name looks like owner/name or owner/name:version (64 hex digits)",
)


@dataclass(frozen=True, slots=True)
class History:
    """What can be imported of what an account has made elsewhere: for so many days, what that is, and how the rest was lost."""

    days: int
    told: str
    gone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What is known of a provider without asking it; its `name` is its folder's.

    `token` is the environment variable without which it cannot be used, and which nobody is shown; `open` finds it, and all else
    that it reads, in the environment. `hosts` are where its results come from, `keeps` is for how long they can be fetched
    there, None where they come with the answer. One that is `free` never costs anything; one `in_process` computes here, and is
    handed bytes. `says` has, by kinds of failure, what the texts of its failures contain. `standin` is the module that plays it
    in tests. `language_models` are titles by name, for `asker`. `broken` says why nothing else of it is known.
    """

    name: str
    title: str
    open: Callable[[Mapping[str, str], ModelTable], Provider]
    model_names: ModelNames = OWNER_AND_NAME
    token: str = ""
    hosts: tuple[str, ...] = ()
    keeps: timedelta | None = None
    free: bool = False
    in_process: bool = False
    says: Mapping[str, str] = field(default_factory=dict)
    standin: str = ""
    history: History | None = None
    language_models: Callable[[], Mapping[str, str]] = dict
    asker: Callable[[Provider, str], Asker | None] = lambda provider, model: None
    broken: Said | None = None

    def __post_init__(self) -> None:
        """Refuse a time that no result can be relied on for, or that none is kept for, and a kind of failure that is none."""
        if self.keeps is not None and not SHORTEST <= self.keeps <= LONGEST:
            raise ValueError(f"{self.name}: results are kept from {SHORTEST} to {LONGEST}")
        if unknown := self.says.keys() - set(KINDS):
            raise ValueError(f"{self.name}: there are no failures of the kind {min(unknown)}")

    def is_set_up(self, environment: Mapping[str, str]) -> bool:
        """Say whether it can be used with this environment."""
        return not self.broken and (not self.token or bool(environment.get(self.token)))


class Opened(dict[str, "Provider"]):
    """The providers that are set up here and can be used, by name; `problems` says of those that cannot why, by name too."""

    def __init__(self, providers: Mapping[str, Provider] | None = None) -> None:
        """Begin with these."""
        super().__init__(providers or {})
        self.problems: dict[str, Said] = {}

    def why_not(self, name: str) -> Said:
        """Return why one that is not among these cannot be used."""
        if name in self.problems:
            return self.problems[name]
        if name in names():
            return said("{provider} is not set up here; set its API token, or choose local", provider=name)
        return said("there is no provider {provider} here; choose {names}", provider=shown(name), names=" or ".join(names()))


def registered() -> tuple[Registration, ...]:
    """Return all providers, in the order of the list."""
    return tuple(map(_registration, PROVIDERS))


@cache
def _registration(package: str) -> Registration:
    try:
        item: Registration = import_module(f"{package}.registration").REGISTRATION
        _table(package)
    except Exception as error:  # whatever is wrong with its program: the others go on
        log.warning("the provider %s cannot be loaded", package, exc_info=True)
        reason = said("Its program cannot be loaded ({error}).", error=f"{type(error).__name__}: {error}"[:300])
        name = package.rpartition(".")[2]
        return Registration(name=name, title=name, open=_never, broken=_unusable(name, reason))
    return item


def _never(environment: Mapping[str, str], table: ModelTable) -> Provider:
    raise NotImplementedError


def _unusable(title: str, reason: str) -> Said:
    return said("{provider} cannot be used. {reason}", provider=title, reason=reason)


def opened(environment: Mapping[str, str], table: ModelTable) -> Opened:
    """Return all providers that are set up in `environment`; one that cannot be opened stops no other."""
    providers = Opened()
    for item in registered():
        if item.broken:
            providers.problems[item.name] = item.broken
        elif item.is_set_up(environment):
            try:
                providers[item.name] = item.open(environment, table)
            except OpstoreError as error:
                providers.problems[item.name] = _unusable(item.title, error.sentence)
            except Exception as error:  # of its own program, whose words may hold a secret: only what kind it was is told
                log.warning("the provider %s cannot be opened (%s)", item.name, type(error).__name__)
                reason = said("Its program cannot be started ({error}).", error=type(error).__name__)
                providers.problems[item.name] = _unusable(item.title, reason)
    return providers


def models_that_ship() -> dict[str, str]:
    """Return the table of models of each provider that can be loaded, by its name, as the text of its `models.toml`."""
    usable = (package for package in PROVIDERS if not _registration(package).broken)
    return {package.rpartition(".")[2]: _table(package) for package in usable}


@cache
def _table(package: str) -> str:
    from importlib.resources import files

    return (files(package) / "models.toml").read_text(encoding="utf-8")


def names() -> tuple[str, ...]:
    """Return the name of every provider: its folder's."""
    return tuple(package.rpartition(".")[2] for package in PROVIDERS)


def find(name: object) -> Registration | None:
    """Return the provider called `name`, None if none is registered."""
    return next((_registration(package) for package in PROVIDERS if package.rpartition(".")[2] == name), None)


def is_free(name: object) -> bool:
    """Say whether a provider never costs anything; one that is registered no more may have."""
    return bool((item := find(name)) and item.free)


def computes_here(name: object) -> bool:
    """Say whether a provider computes in this process."""
    return bool((item := find(name)) and item.in_process)


def title(name: str) -> str:
    """Return what people call a provider; of one that is registered no more only its name is known."""
    return item.title if (item := find(name)) else name


def elsewhere() -> tuple[Registration, ...]:
    """Return the providers that do not compute in this process; the first is meant where an entry of a table names none."""
    return tuple(item for item in registered() if not item.in_process)


def default_registration(environment: Mapping[str, str]) -> Registration:
    """Return who makes things where nobody has chosen: the first that is set up, one that computes here only if no other is."""
    usable = [item for item in registered() if item.is_set_up(environment)]
    return min(usable or registered(), key=lambda item: item.in_process)


def hosts() -> tuple[str, ...]:
    """Return every host that results come from."""
    return tuple(dict.fromkeys(host for item in registered() for host in item.hosts))


def language_models(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the titles of all language models by name, or of those that can be asked in `environment`."""
    known = (item for item in registered() if environment is None or item.is_set_up(environment))
    return {name: title for item in known for name, title in item.language_models().items()}


def keeps(name: object) -> timedelta:
    """Return how long the results of a provider can be fetched."""
    return (item.keeps if (item := find(name)) else None) or ASSUMED


def span(time: timedelta) -> Said:
    """Return how long results are kept, in words."""
    minutes = round(time.total_seconds() / 60)
    if minutes == 60:
        return said("one hour")
    if minutes % 1440 == 0 and minutes > 1440:
        return said("{count} days", count=minutes // 1440)
    return said("{count} hours", count=minutes // 60) if minutes % 60 == 0 else said("{count} minutes", count=minutes)
