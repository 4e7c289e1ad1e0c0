"""Reads tables of models from TOML: one table a model, named by the model; a user's entries are laid over those that ship.

What is wrong in a user's file never stops the program: the entry is left out (the model keeps what it had), and a sentence says
which and why. What ships is read by the same code, and a test holds that it has no problems.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from opstore.errors import InvalidRequest, shown
from opstore.providers import registry
from opstore.providers.model_parameters import KINDS, Inputs, Parameter, Rule
from opstore.providers.models import Model
from opstore.providers.prices import UNITS, Price, Variant
from opstore.storage.operation import OPERATION_TYPES, STEP_TYPES

#: Nothing real comes near: what ships has 12 kB, and 10 MB of TOML take seconds to parse.
MAX_BYTES = 1_000_000


_Plain = TypeVar("_Plain", bool, int, str)


class _Wrong(ValueError):
    """What is wrong with an entry, as the end of a sentence."""


def read(user_text: str, shipped: Mapping[str, str]) -> tuple[dict[str, Model], list[str]]:
    """Return the models of the user's text and of each provider's by name, and what is wrong with the user's."""
    entries, known, faults = _shipped(tuple(shipped.items()))
    user, problems = _parse(user_text)
    made, wrong = _models(user, entries)
    chosen = [name for name in made if "default_for" in user[name]]
    return _with_defaults(known | made, chosen), [*problems, *wrong, *faults]


def _with_defaults(models: dict[str, Model], chosen: list[str]) -> dict[str, Model]:
    """Let the models that a user proposes first for a type be the only ones of their provider that are; of several the first."""
    first = {(models[name].provider, kind): name for name in reversed(chosen) for kind in models[name].default_for}

    def seated(name: str, model: Model) -> Model:
        kinds = tuple(kind for kind in model.default_for if first.get((model.provider, kind), name) == name)
        return model if kinds == model.default_for else replace(model, default_for=kinds)

    return {name: seated(name, model) for name, model in models.items()}


def _models(entries: Mapping[str, Any], below: Mapping[str, dict[str, Any]]) -> tuple[dict[str, Model], list[str]]:
    """Return the models that entries describe, laid over those `below`, and what is wrong with the others."""
    models: dict[str, Model] = {}
    problems: list[str] = []
    for name, entry in entries.items():
        try:
            if not isinstance(entry, dict):
                raise _Wrong("it must be a table")
            models[name] = _model(name, _laid_over(below.get(name, {}), entry))
        except _Wrong as wrong:
            problems.append(f"models.toml: the entry {shown(name)} was left out: {wrong}.")
    return models, problems


@cache
def _shipped(texts: tuple[tuple[str, str], ...]) -> tuple[dict[str, dict[str, Any]], dict[str, Model], tuple[str, ...]]:
    """Return the entries of what ships, their models, and what is wrong there: read once (15 ms), and changed by nobody."""
    entries: dict[str, dict[str, Any]] = {}
    models: dict[str, Model] = {}
    problems: list[str] = []
    for provider, text in texts:
        table, faults = _parse(text)
        own = {name: {**entry, "provider": provider} for name, entry in table.items() if isinstance(entry, dict)}
        made, wrong = _models(own, {})
        entries, models = entries | own, models | made
        problems += [f"{registry.title(provider)}: {fault}" for fault in (*faults, *wrong)]
    return entries, models, tuple(problems)


def _parse(text: str) -> tuple[dict[str, Any], list[str]]:
    if len(text) > MAX_BYTES:
        return {}, [f"models.toml was left out: it has more than {MAX_BYTES} characters."]
    try:
        return tomllib.loads(text), []
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; deep nesting ends in RecursionError
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is not valid TOML ({error})"
        return {}, [f"models.toml was left out: {reason}."]


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with the keys of `above`; only `parameters` are merged one by one, the rest is replaced whole."""
    merged = {**below, **above}
    if isinstance(above.get("parameters"), dict) and isinstance(below.get("parameters"), dict):
        merged["parameters"] = {**below["parameters"], **above["parameters"]}
    return merged


# -- one entry -----------------------------------------------------------------------------------------------------------


def _model(name: str, entry: Mapping[str, Any]) -> Model:
    provider = _text(entry.get("provider", registry.elsewhere()[0].name), "provider")
    registered = registry.find(provider)
    if registered is None:
        raise _Wrong(f"provider names {shown(provider)}, who is not registered here; write {' or '.join(registry.names())}")
    grammar = registered.model_names
    if not grammar.pattern.match(name):
        raise _Wrong(grammar.told)
    _known(entry, "title provider types output parameters inputs price note default_for rules fixed prompt_field", "the model")
    types = _types(entry.get("types"), "types")
    if not types:
        raise _Wrong("types must list at least one operation type")
    inputs = _inputs(entry.get("inputs", {}))
    if not registry.computes_here(provider):  # which is handed the bytes instead
        _reachable(types, inputs)
    return Model(
        name=name,
        title=_text(entry.get("title", name), "title"),
        provider=provider,
        types=types,
        output=_output(types, entry.get("output")),
        parameters=tuple(_parameters(_table(entry.get("parameters", {}), "parameters"))),
        inputs=inputs,
        price=_price(entry["price"]) if "price" in entry else None,
        note=_text(entry.get("note", ""), "note"),
        default_for=_types(entry.get("default_for", []), "default_for"),
        rules=tuple(_rule(rule) for rule in _list(entry.get("rules", []), "rules")),
        fixed=_fixed(_table(entry.get("fixed", {}), "fixed")),
        prompt_field=_text(entry.get("prompt_field", "prompt"), "prompt_field"),
    )


def _output(types: tuple[str, ...], given: object) -> Any:
    made = {OPERATION_TYPES[name].result for name in types}
    output = "both" if len(made) > 1 else made.pop()
    if given is not None and given != output:
        raise _Wrong(f"output must be {output} for these types")
    return output


def _reachable(types: tuple[str, ...], inputs: Inputs) -> None:
    """Raise unless every type's input images have a field to go to."""
    for name in types:
        row = OPERATION_TYPES[name]
        if row.minimum and not inputs.field:
            raise _Wrong(f"{name} needs inputs.field, where its images go")
        if name == "image_to_video_transition" and not inputs.last_field:
            raise _Wrong(f"{name} needs inputs.last_field, where its last frame goes")
        if name == "image_edit_multiple" and inputs.maximum < 2:
            raise _Wrong(f"{name} needs inputs.many = true and inputs.maximum of at least 2")


def _inputs(value: object) -> Inputs:
    entry = _table(value, "inputs")
    _known(entry, "field many maximum last_field", "inputs")
    many = _of(entry.get("many", False), bool, "inputs.many")
    maximum = _of(entry.get("maximum", 1 if entry.get("field") else 0), int, "inputs.maximum")
    if maximum > 1 and not many:
        raise _Wrong("inputs.maximum is above 1, but inputs.many is not true")
    field, last = _text(entry.get("field", ""), "inputs.field"), _text(entry.get("last_field", ""), "inputs.last_field")
    return Inputs(field, many, maximum, last)


def _parameters(entries: Mapping[str, Any]) -> list[Parameter]:
    parameters = []
    for name, value in entries.items():
        # One name may have several tables, each for its own operation types: "match the input" means nothing without one.
        for entry in value if isinstance(value, list) else [value]:
            parameters.append(_parameter(name, _table(entry, f"parameters.{name}")))
    return parameters


def _parameter(name: str, entry: Mapping[str, Any]) -> Parameter:
    where = f"parameters.{name}"
    _known(entry, "field kind default choices minimum maximum unit advanced types values frames", where)
    choices = tuple(_list(entry.get("choices", []), f"{where}.choices"))
    kind = entry.get("kind", "choice" if choices else None)
    if kind not in KINDS or (kind == "choice") != bool(choices):
        raise _Wrong(f"{where}.kind must be one of {', '.join(KINDS)}, and choices belong to kind choice")
    parameter = Parameter(
        name=name,
        field=_text(entry.get("field", name), f"{where}.field"),
        kind=kind,
        default=entry.get("default"),
        choices=choices,
        minimum=_limit(entry.get("minimum"), f"{where}.minimum"),
        maximum=_limit(entry.get("maximum"), f"{where}.maximum"),
        unit=_text(entry.get("unit", ""), f"{where}.unit"),
        advanced=_of(entry.get("advanced", False), bool, f"{where}.advanced"),
        types=_types(entry.get("types", []), f"{where}.types"),
        values=_table(entry.get("values", {}), f"{where}.values"),
        frames=_frames(entry.get("frames"), f"{where}.frames"),
    )
    return _with_default(parameter, where)


def _with_default(parameter: Parameter, where: str) -> Parameter:
    if parameter.default is None:
        return parameter
    try:
        parameter.check(parameter.default)
    except InvalidRequest as error:
        raise _Wrong(f"{where}.default does not fit: {error.details['reason']}") from None
    return parameter


def _price(value: object) -> Price:
    entry = _table(value, "price")
    _known(entry, "amount currency per date note variants types exact", "price")
    if entry.get("per") not in UNITS:
        raise _Wrong(f"price.per must be one of {', '.join(UNITS)}")
    variants = tuple(_variant(variant) for variant in _list(entry.get("variants", []), "price.variants"))
    amount = _limit(entry.get("amount"), "price.amount")
    if amount is None and not variants:
        raise _Wrong("price.amount is missing")
    if amount is not None and amount < 0:
        raise _Wrong("price.amount is below zero")
    exact = _of(entry.get("exact", False), bool, "price.exact")
    if exact and (amount or variants):
        raise _Wrong("price.exact is for what is free, with an amount of 0; leave it out")
    currency = _text(entry.get("currency", "USD"), "price.currency").upper()
    if not re.fullmatch("[A-Z]{3}", currency):
        raise _Wrong("price.currency must be three letters, such as USD")
    return Price(
        amount=amount,
        per=entry["per"],
        currency=currency,
        date=str(entry.get("date", "")),  # 2026-12 is text in TOML, 2026-12-01 a date: both are meant
        note=_text(entry.get("note", ""), "price.note"),
        variants=variants,
        types=_types(entry.get("types", []), "price.types"),
        exact=exact,
    )


def _variant(value: object) -> Variant:
    entry = _table(value, "price.variants")
    _known(entry, "when amount", "price.variants")
    amount = _limit(entry.get("amount"), "price.variants.amount")
    if amount is None or amount < 0:
        raise _Wrong("price.variants.amount must be a number that is not below zero")
    return Variant(_table(entry.get("when", {}), "price.variants.when"), amount)


def _rule(value: object) -> Rule:
    entry = _table(value, "rules")
    _known(entry, "when only", "rules")
    only = {name: tuple(_list(allowed, "rules.only")) for name, allowed in _table(entry.get("only", {}), "rules.only").items()}
    return Rule(_table(entry.get("when", {}), "rules.when"), only)


def _fixed(entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    _types(list(entry), "fixed")
    return {name: _table(fields, f"fixed.{name}") for name, fields in entry.items()}


# -- small checks --------------------------------------------------------------------------------------------------------


def _known(entry: Mapping[str, Any], names: str, where: str) -> None:
    unknown = sorted(set(entry) - set(names.split()))
    if unknown:
        raise _Wrong(f"{where} has no {shown(unknown[0])}; it may have {', '.join(names.split())}")


def _of(value: object, kind: type[_Plain], where: str) -> _Plain:
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    word = {bool: "true or false", int: "a whole number"}.get(kind, "a text")
    raise _Wrong(f"{where} must be {word}")


def _text(value: object, where: str) -> str:
    return _of(value, str, where)


def _limit(value: object, where: str) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)):
        return value
    raise _Wrong(f"{where} must be a number")


def _table(value: object, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise _Wrong(f"{where} must be a table")


def _list(value: object, where: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise _Wrong(f"{where} must be a list")


def _types(value: object, where: str) -> tuple[str, ...]:
    names = _list(value, where)
    wrong = [name for name in names if name not in STEP_TYPES]
    if wrong:
        raise _Wrong(f"{where} has {shown(wrong[0])}; operation types are {', '.join(STEP_TYPES)}")
    return tuple(names)


def _frames(value: object, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    numbers = _list(value, where)
    if (
        len(numbers) == 2
        and all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
        and 1 <= numbers[0] <= numbers[1]
    ):
        return numbers[0], numbers[1]
    raise _Wrong(f"{where} must be the fewest and the most frames, like [81, 121]")
