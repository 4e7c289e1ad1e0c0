"""Finds rows by the ids of their operations, and reads them: row numbers are in the order of ids, whoever was written first."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from opstore.index import order
from opstore.index.entry import KEPT, Entry
from opstore.index.field_entry import Form
from opstore.index.sidecar import output_code, output_of
from opstore.storage.names import is_operation_id
from opstore.storage.operation import MAX_SEED

#: The columns of `op` in their order; those of the fields are called what the fields are.
COLUMNS = ("at", "key", "stamp", *KEPT, "prompt")

#: Seeds of 64 bits are kept as SQLite counts, which begins below zero in the middle of them.
SEEDS = MAX_SEED + 1


def seed_value(seed: int) -> int:
    """Return a seed as its column has it."""
    return seed if seed < SEEDS // 2 else seed - SEEDS


def find(connection: sqlite3.Connection, operation_id: str, has_strays: bool = True) -> int | None:
    """Return the number of an operation's row, None if there is none."""
    first, key = order.second_of(operation_id) * order.WIDTH, order.digits_key(operation_id)
    row = connection.execute(
        "SELECT at FROM op WHERE at BETWEEN ? AND ? AND key = ?", (first, first + order.WIDTH - 1, key)
    ).fetchone()
    if row and order.id_of(row[0], key) != operation_id:
        row = None
    if row is None and has_strays:
        row = connection.execute("SELECT at FROM stray WHERE id = ?", (operation_id,)).fetchone()
    return row[0] if row else None


def ids_in(connection: sqlite3.Connection, first: int, last: int) -> list[str]:
    """Return the ids that belong to a second from `first` to `last`."""
    between = (first * order.WIDTH, (last + 1) * order.WIDTH - 1)
    rows = connection.execute("SELECT at, key FROM op WHERE at BETWEEN ? AND ?", between)
    found = {order.id_of(at, key) for at, key in rows} | {name for (name,) in connection.execute("SELECT id FROM stray")}
    return [name for name in found if first <= order.second_of(name) <= last]


def neighbours(connection: sqlite3.Connection, operation_id: str, has_strays: bool = True) -> tuple[list[int], list[int]]:
    """Return numbers of rows with lesser ids and with greater ids: those of the same second, and the nearest strays."""
    first = order.second_of(operation_id) * order.WIDTH
    lesser: list[int] = []
    greater: list[int] = []
    rows = connection.execute("SELECT at, key FROM op WHERE at BETWEEN ? AND ?", (first, first + order.WIDTH - 1))
    for at, key in rows:
        found = order.id_of(at, key)
        if found != operation_id and not order.is_whole(key):
            (lesser if found < operation_id else greater).append(at)
    if has_strays:
        below = "SELECT at FROM stray WHERE id < ? ORDER BY id DESC LIMIT 1"
        above = "SELECT at FROM stray WHERE id > ? ORDER BY id LIMIT 1"
        lesser += [at for (at,) in connection.execute(below, (operation_id,))]
        greater += [at for (at,) in connection.execute(above, (operation_id,))]
    return lesser, greater


def boundary(connection: sqlite3.Connection, operation_id: str, second: int | None = None) -> int:
    """Return a number: rows of lesser ids have lesser ones, rows of `operation_id` and greater ids this or greater ones.

    With `second`, the text is only the beginning of an id, and means the first of that second.
    """
    start = order.second_of(operation_id) if second is None else second
    first = start * order.WIDTH
    found = None if second is not None else find(connection, operation_id)
    if found is not None:
        return found
    if second is None:
        lesser, greater = neighbours(connection, operation_id)
    else:
        bound = order.digits_of(second)
        lesser = [at for (at,) in connection.execute("SELECT at FROM stray WHERE id < ? ORDER BY id DESC LIMIT 1", (bound,))]
        greater = [at for (at,) in connection.execute("SELECT at FROM stray WHERE id >= ? ORDER BY id LIMIT 1", (bound,))]
    number = max([first, *(at + 1 for at in lesser)])
    return min([number, *greater])


def entry_of_row(row: Any, names: Mapping[int, str]) -> Entry:
    """Return the entry of a row that was selected with COLUMNS and the prompt's text behind them."""
    try:
        return _entry_of_row(row, names)
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        # The engine does not see every damage; what makes no sense is one.
        raise sqlite3.DatabaseError("a row makes no sense") from error


def _entry_of_row(row: Any, names: Mapping[int, str]) -> Entry:
    operation_id = order.id_of(row[0], row[1])
    values = list(row[3:-2])
    for at in _NAMED:
        if (number := values[at]) is not None:
            values[at] = names[number]
    for at in _FLAGS:
        values[at] = values[at] == 1
    for at, read, nothing in _READ:
        value = values[at]
        values[at] = nothing if value is None else read(value, operation_id, names)
    return Entry(operation_id, row[-1], (), *values)


def values_of(entry: Entry, numbers: Sequence[object]) -> list[Any]:
    """Return the values of an entry's columns; `numbers` are those of its names (NAMED), as `dictionary` has them."""
    values = list(msgspec.structs.astuple(entry)[-len(KEPT) :])
    for at, number in zip(_NUMBERED, numbers):  # noqa: B905 # as many, by `dictionary`; each row of a million comes here
        values[at] = number
    for at, written in _WRITTEN:
        if value := values[at]:
            values[at] = written(value, entry.id)
        elif value == ():
            values[at] = None
    return values


def batch_of(value: Any) -> str | None:
    """Return a batch as its column has it: an id as a number, any other name as it is."""
    return order.id_of_number(value) if isinstance(value, int) else value


def _tags(value: str | None, names: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(sorted(names[int(word)] for word in value.split())) if value else ()


def _parents(value: int | str | None) -> tuple[str, ...]:
    if isinstance(value, int):
        return (order.id_of_number(value),)
    return tuple(value.split()) if value else ()


def _as_number(name: str) -> int | str:
    """Return an id as a number: 8 bytes instead of 23; any other name as it is."""
    number = order.number_of(name) if is_operation_id(name) else None
    return name if number is None else number


#: What is made of a column's value if there is one, of the operation's id and of the numbered names.
_READS: dict[Form, Callable[[Any, str, Mapping[int, str]], Any]] = {
    "names": lambda value, operation_id, names: _tags(value, names),
    "output": lambda value, operation_id, names: output_of(value, operation_id),
    "batch": lambda value, operation_id, names: batch_of(value),
    "ids": lambda value, operation_id, names: _parents(value),
    "seed": lambda value, operation_id, names: value % SEEDS,
}
#: What is written for a value that there is, and the operation's id.
_WRITES: dict[Form, Callable[[Any, str], Any]] = {
    "output": output_code,
    "batch": lambda value, operation_id: _as_number(value),
    "ids": lambda value, operation_id: _as_number(value[0] if len(value) == 1 else " ".join(value)),
    "seed": lambda value, operation_id: seed_value(value),
}
_FORMS = [kept.form for kept in KEPT.values()]
_NAMED = [at for at, form in enumerate(_FORMS) if form == "name"]
_FLAGS = [at for at, form in enumerate(_FORMS) if form == "flag"]
_READ = [(at, _READS[form], () if form in ("names", "ids") else None) for at, form in enumerate(_FORMS) if form in _READS]
_NUMBERED = [at for at, form in enumerate(_FORMS) if form in ("name", "names")]
_WRITTEN = [(at, _WRITES[form]) for at, form in enumerate(_FORMS) if form in _WRITES]
#: The fields that stand in their columns as numbers of names.
NAMED = [name for name, kept in KEPT.items() if kept.form in ("name", "names")]
