"""Requests that their senders name by a key: one that is sent again, after whatever crash, is the same operation.

The operation's id is chosen and durable under the key before anything is made, so that a repeat completes what was cut short.
Records lie in `requests/`, named by the key's hash: a key may hold anything, and tells nobody who looks there anything.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from opstore import clocks
from opstore.access.roles import Role, part
from opstore.clocks.leaps import Leaps
from opstore.errors import FileMissing, InvalidInput, KeyReused, OpstoreError, said
from opstore.storage.files import digest
from opstore.storage.names import generate_operation_id, is_operation_id, sidecar_name
from opstore.storage.store import Store

#: A client that repeats a request does so within seconds or hours.
KEPT = timedelta(days=7)
MAX_KEY = 255
_MAX_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Request:
    """A named request: `fingerprint` is another for every other content."""

    key: str
    fingerprint: str

    def __post_init__(self) -> None:
        """Raise InvalidInput for a key that cannot be one."""
        if not (1 <= len(self.key) <= MAX_KEY and self.key.isascii() and self.key.isprintable()):
            raise InvalidInput(reason=said("an idempotency key has 1 to {limit} printable ASCII characters", limit=MAX_KEY))


@part(Role.CREATOR)
class Once:
    """The named requests of one store."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = clocks.now) -> None:
        """Keep records in the data folder's `requests/`."""
        self._store = store
        self._folder = store.data.folder("requests")
        self._trash = store.data.folder("trash")
        self._clock = clock
        self._swept = 0.0

    def make(self, request: Request, make: Callable[[str], object]) -> tuple[str, bool]:
        """Return the request's operation, and whether it was there before; else `make` it, which is given the id to use.

        Two that ask at the same moment, in whatever processes, are one. What `make` raises goes through, with nothing kept.
        Raise KeyReused where the key stands for another request.
        """
        self._folder.make()
        self._sweep()
        name = digest(request.key.encode())[:32]
        with self._folder.locked(f"asking-{name}"):
            operation_id = self._known(name, request)
            if operation_id is None:
                operation_id = generate_operation_id(self._clock())
                record = {"schema": "opstore-request/1", "operationId": operation_id, "fingerprint": request.fingerprint}
                self._folder.create(name, [{f"{name}.json": json.dumps(record).encode() + b"\n"}])
            elif self._exists(operation_id):
                return operation_id, True
            try:
                make(operation_id)
            except OpstoreError:
                if not self._exists(operation_id):
                    self._folder.remove(name, [f"{name}.json"])
                raise
        return operation_id, False

    def _known(self, name: str, request: Request) -> str | None:
        try:
            record = json.loads(self._folder.read(f"{name}.json", _MAX_BYTES))
            operation_id, fingerprint = record["operationId"], record["fingerprint"]
        except FileMissing:
            return None
        except (ValueError, TypeError, KeyError, RecursionError):
            raise KeyReused from None  # damaged: whether this was asked before cannot be known, and twice is worse than not
        if fingerprint != request.fingerprint or not is_operation_id(operation_id):
            raise KeyReused
        return str(operation_id)

    def _exists(self, operation_id: str) -> bool:
        # In the order in which an operation goes, and back.
        folders = (self._store.pending, self._store.operations, self._trash, self._store.operations)
        return any(folder.has(sidecar_name(operation_id)) for folder in folders)

    def _sweep(self) -> None:
        """Remove what is too old to be asked for again, once a day and process."""
        if self._swept and time.monotonic() - self._swept < 24 * 3600:
            return
        self._swept = time.monotonic()
        if Leaps(self._store.data.top).standing():
            return  # what is forgotten too early is made, and paid for, twice
        oldest = (self._clock() - KEPT).timestamp()
        for name in self._folder.names():
            since = self._folder.since(name) if name.endswith(".json") else None
            if since is not None and since < oldest:
                with contextlib.suppress(OpstoreError):
                    self._folder.remove(name.removesuffix(".json"), [name])
