"""A small library for the tests of care: operations of known ages, some of which people want."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opstore import Store
from opstore.care import Care
from opstore.index import Index
from opstore.storage.operation import timestamp
from opstore.storage.preferences import Preferences
from opstore.storage.trash import Trash
from tests.samples import JPG, PNG

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def old(number: int, days: float = 100) -> str:
    """Return the id of an operation made so many days ago."""
    return f"{NOW - timedelta(days=days):%Y%m%d%H%M%S}_{number:08x}"


def save(store: Store, number: int, days: float = 100, **keys: Any) -> str:
    """Save an operation of that age and return its id."""
    operation_id = old(number, days)
    outputs = keys.pop("outputs", [PNG])
    metadata: Mapping[str, Any] = {
        "timestamp": timestamp(NOW - timedelta(days=days)),
        "operationType": "text_to_image",
        "prompt": f"number {number}",
        **keys,
    }
    store.save(operation_id, metadata, inputs=[JPG], outputs=outputs)
    return operation_id


def annotated(**keys: Any) -> dict[str, Any]:
    """Return annotations as a sidecar has them."""
    return {"tags": [], "favorite": False, "rating": None, "note": ""} | keys


def care_of(store: Store, preferences: Preferences | None = None) -> Care:
    """Return the care of a store, whose clock stands at NOW."""
    chosen = preferences or Preferences()
    return Care(store, Index(store), Trash(store), lambda: chosen, clock=lambda: NOW)


def made(root: Path) -> Store:
    """Return an empty store."""
    store = Store(root / "data", clock=lambda: NOW)
    store.initialize_storage()
    return store
