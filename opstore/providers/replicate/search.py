"""Recognises a prediction that was asked for and whose id was lost, among those that the account made lately; pure.

Replicate takes no idempotency key, so a create whose answer was lost is found again by what it asked: model, seed, prompt, time.
What cannot be told apart, or no longer be read, is never taken for absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from opstore.providers import Search
from opstore.providers.models import Model
from opstore.providers.replicate.records import prediction
from opstore.storage.operation import parse_time


def search(
    pages: Iterable[Sequence[Mapping[str, Any]]],
    model: Model,
    arguments: Mapping[str, Any],
    oldest: datetime,
    exclude: Collection[str],
) -> Search:
    """Look through `pages`, newest first, for the one made by `model` from `arguments` at or after `oldest`.

    `exclude` names predictions that are known to belong to others. `pages` raises StopIteration only where all was seen.
    """
    matching: list[Mapping[str, Any]] = []
    doubtful = False
    order = Order()
    for page in pages:
        doubtful = not order.holds(page) or doubtful
        for record in page:
            if record.get("id") in exclude or not _is_of(record, model) or _is_before(record, oldest):
                continue
            given = record.get("input")
            if record.get("data_removed") or not isinstance(record.get("id"), str) or not isinstance(given, Mapping) or not given:
                doubtful = True  # an hour after its creation a prediction no longer says what it was made from
            elif _same(given, model, arguments):
                matching.append(record)
        if not doubtful and page and _is_before(page[-1], oldest):
            break
    unique = {str(record.get("id")): record for record in matching}
    if len(unique) == 1:
        return Search(prediction(matching[0]), complete=True)
    # With several, none can be said to be the one: a person decides.
    return Search(None, complete=not (doubtful or matching))


class Order:
    """Whether a list comes newest first: in any other order nobody can tell what it lacks."""

    def __init__(self) -> None:
        """Begin before the first record."""
        self._last: datetime | None = None

    def holds(self, records: Iterable[Mapping[str, Any]]) -> bool:
        """Say whether the next records go on in order."""
        held = True
        for record in records:
            created = parse_time(record.get("created_at"))
            held = held and (created is None or self._last is None or created <= self._last)
            self._last = created or self._last
        return held


def is_recent(record: Mapping[str, Any], since: datetime) -> bool:
    """Say whether `record` was made at or after `since`; one that does not say when counts as recent."""
    return not _is_before(record, since)


def _is_before(record: Mapping[str, Any], moment: datetime) -> bool:
    created = parse_time(record.get("created_at"))
    return created is not None and created < moment


def _is_of(record: Mapping[str, Any], model: Model) -> bool:
    name, _, version = model.name.partition(":")
    # A record that does not name its model may be any model's, so it stays in the running.
    same_name = record.get("model") in (name, None)
    return same_name and (not version or record.get("version") in (version, "hidden", None))


def _same(document: Mapping[str, Any], model: Model, arguments: Mapping[str, Any]) -> bool:
    """Say whether `document` is the input document that `arguments` was sent as.

    The seed (31 random bits) and the prompt are enough; a model that takes no seed is recognised by all else that was sent, its
    images apart, which come back under other addresses.
    """
    if model.seed_field:
        compared = {model.prompt_field, model.seed_field}
    else:
        compared = set(arguments) - {model.inputs.field, model.inputs.last_field}
    return all(document.get(field) == arguments.get(field) for field in compared)
