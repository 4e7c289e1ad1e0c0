"""Recognises a prediction that was asked for and whose id was lost, among those that the account made lately; pure.

Replicate takes no idempotency key, so a create whose answer was lost is found again by what it asked: model, seed, prompt, time.
What cannot be told apart, or no longer be read, is never taken for absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from opstore.operation import parse_time
from opstore.providers import Search
from opstore.providers.models import Model
from opstore.providers.replicate.records import prediction

#: How far this machine's clock may be ahead of Replicate's: further, a prediction would be overlooked and paid twice. Looking
#: further back costs nothing, since predictions that belong to other operations are left out by their ids.
CLOCK_SKEW = timedelta(minutes=15)


def search(
    records: Iterable[Mapping[str, Any]], model: Model, arguments: Mapping[str, Any], since: datetime, exclude: Collection[str]
) -> Search:
    """Look through `records`, newest first, for the one made by `model` from `arguments` at or after `since`.

    `exclude` names predictions that are known to belong to others. `records` raises StopIteration only where all was seen.
    """
    matching: list[Mapping[str, Any]] = []
    unreadable = False
    for record in records:
        if _is_before(record, since - CLOCK_SKEW):
            break
        if record.get("id") in exclude or not _is_of(record, model):
            continue
        given = record.get("input")
        if record.get("data_removed") or not isinstance(given, Mapping) or not given:
            unreadable = True  # an hour after its creation a prediction no longer says what it was made from
        elif _same(given, model, arguments):
            matching.append(record)
    if len(matching) == 1:
        return Search(prediction(matching[0]), complete=True)
    # With several, none can be said to be the one: a person decides.
    return Search(None, complete=not (unreadable or matching))


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


def _same(given: Mapping[str, Any], model: Model, arguments: Mapping[str, Any]) -> bool:
    """Say whether `given` is the input document that `arguments` was sent as.

    The seed (31 random bits) and the prompt are enough; a model that takes no seed is recognised by all else that was sent, its
    images apart, which come back under other addresses.
    """
    if model.seed_field:
        compared = {model.prompt_field, model.seed_field}
    else:
        compared = set(arguments) - {model.inputs.field, model.inputs.last_field}
    return all(given.get(field) == arguments.get(field) for field in compared)
