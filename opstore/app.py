"""The one place that wires the parts together, from settings in the environment, for pages, HTTP and command line alike."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opstore import clocks
from opstore.clocks.leaps import EVERY
from opstore.errors import InvalidSetting, OpstoreError, said
from opstore.fetch import FetchPolicy
from opstore.storage.data_folder import DataFolder
from opstore.storage.store import Store

if TYPE_CHECKING:
    from opstore.access.roles import Person
    from opstore.care import Care
    from opstore.generation import Generation
    from opstore.jobs import Runner
    from opstore.providers import Asker
    from opstore.providers.models import ModelTable
    from opstore.service import Service
    from opstore.shares import Shares

log = logging.getLogger("opstore.app")

DAY_SECONDS = 24 * 3600.0
#: How long the end of the app waits for its parts; the server is ended two seconds later (`api/connections.py`).
STOP_SECONDS = 4.0
#: Operations that the first two screens of the library show.
FIRST = 50
#: A hundred a second for a minute: a person who scrolls through a library as fast as it goes asks for fewer.
API_RATE = "6000/minute"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a process; secrets are kept out of every repr, log and file."""

    data: Path = Path("data")
    provider: str = ""
    #: From where results are fetched; None: from every host that a provider has registered.
    policy: FetchPolicy | None = None
    port: int = 8501
    #: The variables of the environment that are not empty: providers find their own among them.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_token: str | None = field(default=None, repr=False)
    share_url: str | None = None
    roles: Path | None = None
    #: Requests that one caller of the HTTP interface may make; empty: as many as it likes.
    api_rate: str = API_RATE

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, data: str | None = None) -> Settings:
        """Read the documented variables; raise InvalidSetting, naming the variable, for a value that cannot be used."""
        env = os.environ if environ is None else environ
        where = data or env.get("OPSTORE_DATA") or "data"
        if "://" in where:
            raise InvalidSetting(name="OPSTORE_DATA", reason=said("this version keeps its data in a folder; give a path"))
        if env.get("OPSTORE_INDEX"):
            raise InvalidSetting(name="OPSTORE_INDEX", reason=said("this version has no other index yet; leave it empty"))
        provider = env.get("OPSTORE_PROVIDER", "").strip().lower()
        if provider:
            _check_provider(provider)
        policy = FetchPolicy.parse(env.get("OPSTORE_DELIVERY_HOSTS", ""))
        return cls(
            data=Path(where),
            provider=provider,
            policy=None if policy == FetchPolicy() else policy,
            port=_port(env.get("PORT") or "8501"),
            environment={name: value for name, value in env.items() if value},
            api_token=env.get("OPSTORE_API_TOKEN") or None,
            share_url=_origin(env.get("OPSTORE_SHARE_URL") or ""),
            roles=Path(env["OPSTORE_ROLES"]) if env.get("OPSTORE_ROLES") else None,
            api_rate=_rate(env.get("OPSTORE_API_RATE") or API_RATE),
        )


def _check_provider(name: str) -> None:
    from opstore.providers import registry

    if name not in registry.names():
        reason = said("use {names}, or leave it empty", names=" or ".join(registry.names()))
        raise InvalidSetting(name="OPSTORE_PROVIDER", reason=reason)


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536:
        return int(text)
    raise InvalidSetting(name="PORT", reason=said("it must be a number from 1 to 65535"))


def _rate(text: str) -> str:
    plain = "".join(text.lower().split())
    if plain == "off":
        return ""
    if re.fullmatch(r"[1-9][0-9]{0,7}/(second|minute|hour|day)", plain):
        return plain
    raise InvalidSetting(name="OPSTORE_API_RATE", reason=said("it must be a number a time, such as 6000/minute, or off"))


def _origin(text: str) -> str | None:
    """Return the address under which others reach share links, without a path; raise InvalidSetting for any other text."""
    if not text:
        return None
    try:
        parts = urlsplit(text.strip().rstrip("/"))
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        reason = said("it must be the address that others reach, such as https://share.example.org")
        raise InvalidSetting(name="OPSTORE_SHARE_URL", reason=reason)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"


def open_store(settings: Settings | None = None) -> Store:
    """Return the store that the settings (default: the environment) name, its folders made."""
    chosen = settings or Settings.from_env()
    store = Store(chosen.data, policy=chosen.policy)
    store.initialize_storage()
    return store


def care_of(settings: Settings, store: Store) -> Care:
    """Return what takes care of a store, for a process that does nothing else with it."""
    from opstore.care import Care
    from opstore.index import Index
    from opstore.providers import registry
    from opstore.storage.preferences import PreferenceFile
    from opstore.storage.trash import Trash

    return Care(
        store,
        Index(store),
        Trash(store),
        PreferenceFile(DataFolder(settings.data).top).trusted,
        providers=functools.cache(lambda: registry.opened(settings.environment, models_of(settings.data))),
        policy=settings.policy,
    )


def shares_of(store: Store) -> Shares:
    """Return the share links of a store, for a process that does nothing else with it."""
    from opstore.shares import Shares

    return Shares(store)


@dataclass(frozen=True, slots=True)
class Acting:
    """What one person may use of an app: pages and HTTP answers get this, and never the app itself."""

    settings: Settings
    service: Service
    generation: Generation


class App:
    """Everything that runs over one data folder in this process."""

    def __init__(self, settings: Settings) -> None:
        """Open the data folder; nothing works in the background before `start`."""
        from opstore.analytics.queries import Analytics
        from opstore.care import Care
        from opstore.comparing.kept_comparisons import Comparisons
        from opstore.comparing.reviews import Reviews
        from opstore.curation import Curation
        from opstore.exports import Exports
        from opstore.generation import Generation
        from opstore.index import Index
        from opstore.jobs import JobFolder, Runner
        from opstore.jobs.machine import Surroundings
        from opstore.jobs.once import Once
        from opstore.lineage.branches import Branches
        from opstore.lineage.families import Lineage
        from opstore.media.thumbnails import Thumbnails
        from opstore.providers import registry
        from opstore.service import Service
        from opstore.shares import Shares
        from opstore.spending.budget import Budget
        from opstore.storage.drafts import Drafts
        from opstore.storage.preferences import PreferenceFile
        from opstore.storage.trash import Trash

        self.settings = settings
        self._ended = threading.Event()
        self.store = open_store(settings)
        self._preferences = PreferenceFile(DataFolder(settings.data).top)
        table = models_of(settings.data)
        self.thumbnails = Thumbnails(self.store)
        jobs = JobFolder(self.store.pending, self.store.cache / "progress")
        self.index = Index(self.store)
        lineage = Lineage(self.store, self.index)
        self._budget = Budget(self.store, jobs, self._preferences.trusted)
        self._providers = registry.opened(settings.environment, table)
        around = Surroundings(
            store=self.store,
            folder=jobs,
            providers=self._providers,
            table=table,
            policy=settings.policy or FetchPolicy(registry.hosts()),
            stop=threading.Event(),
            admit=self._budget.admitted,
        )
        self.runner: Runner = Runner(around, self.store.cache / "runners", parallel=lambda: self._preferences.load().parallel)
        trash = Trash(self.store)
        self.service: Service = Service(
            store=self.store,
            _jobs=jobs,
            table=table,
            thumbnails=self.thumbnails,
            _preferences=self._preferences,
            _budget=self._budget,
            index=self.index,
            curation=Curation(self.store, self.index, trash),
            analytics=Analytics(self.index),
            care=Care(
                self.store,
                self.index,
                trash,
                self._preferences.trusted,
                providers=lambda: self._providers,
                policy=settings.policy,
            ),
            comparisons=Comparisons(self.store),
            exports=Exports(self.store, self.index, self.thumbnails),
            shares=Shares(self.store),
            lineage=lineage,
            reviews=Reviews(self.store, self.index),
            once=Once(self.store),
            drafts=Drafts(self.store),
            # Its operations are asked for like a person's: of the service, which is being made here.
            branches=Branches(self.store, lineage, jobs, lambda *given: self.service.again(*given)),
            _provider=self.provider,
            _providers=self._providers,
            _wake=self.runner.wake,
        )
        self.generation: Generation = Generation(self.service, self._asker)

    def acting_as(self, person: Person) -> Acting:
        """Return what `person` may use of this."""
        return Acting(self.settings, self.service.acting_as(person), self.generation.acting_as(person))

    def provider(self) -> str:
        """Return who makes things: the environment's choice, else the settings page's, else the first provider that is set up."""
        from opstore.providers import registry

        chosen = self.settings.provider or self._preferences.load().provider
        return chosen or registry.chosen(self.settings.environment).name

    def _asker(self) -> Asker | None:
        """Return the language model that the settings name, None where it is off or cannot be reached."""
        from opstore.providers import registry

        model = self._preferences.load().analyzer
        known = (item for item in registry.registered() if item.name in self._providers)
        return next((asker for item in known if (asker := item.asker(self._providers[item.name], model))), None)

    def start(self) -> None:
        """Begin to work in the background."""
        with contextlib.suppress(OpstoreError):
            self.service.care.leaps.look()  # before anything is written: the folder's own stamps may have to tell the time
        for problem in (self.service.settings_damage(), *self.service.setup_problems()):
            if problem:
                log.warning("%s", problem)
        self.index.start()
        self.thumbnails.start()
        self.runner.start()
        self.service.branches.start()
        threading.Thread(target=self._keep_house, name="opstore-housekeeping", daemon=True).start()

    def _keep_house(self) -> None:
        """Empty the trash of what has been there for its 30 days, then move there what the retention policy says: every day.

        First of all, what the library shows first gets its small pictures: somebody is probably on the way.
        """
        from opstore.care.leftovers import sweep

        if left := sweep(self.store):
            log.info("%d leftovers of killed processes were removed", left)
        with contextlib.suppress(OpstoreError):
            self.service.expect(self.index.search(size=FIRST).rows)
        acts: tuple[Callable[[], object], ...] = (self.service.curation.purge, self.service.care.retain)
        while not self._ended.is_set():
            for act in acts:
                try:
                    act()
                except OpstoreError as error:
                    log.warning("the daily housekeeping could not be done: %s", error)
            due = clocks.steady() + DAY_SECONDS
            while clocks.steady() < due and not self._ended.wait(EVERY):
                self.service.care.leaps.look()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop working in the background, waiting at most `seconds`; what is under way is taken up at the next start.

        Nothing is lost where something takes longer: every part outlives a kill at any moment.
        """
        self._ended.set()
        deadline = time.monotonic() + seconds
        # Side by side: who waits for an answer does not keep the index from hearing of the end.
        threads = [
            threading.Thread(target=end, name="opstore-end", daemon=True) for end in (self._stop_making, self._stop_reading)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _stop_making(self) -> None:
        self.service.branches.stop()
        self.runner.stop()
        self.generation.close()
        for provider in self._providers.values():
            provider.close()

    def _stop_reading(self) -> None:
        self.thumbnails.stop()
        self.index.stop()
        self.service.analytics.save()


def models_of(data: Path) -> ModelTable:
    """Return all models that can be used over a data folder."""
    from opstore.errors import FileMissing
    from opstore.providers.models import ModelTable

    try:
        return ModelTable.load(DataFolder(data).top.read("models.toml", 1_000_000).decode("utf-8", "replace"))
    except FileMissing:
        return ModelTable.load()
    except OpstoreError as error:
        table = ModelTable.load()
        return replace(table, problems=(*table.problems, f"models.toml was left out: {error}"))
