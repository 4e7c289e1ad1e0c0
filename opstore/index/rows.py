"""Finds rows by the ids of their operations, and reads them: row numbers are in the order of ids, whoever was written first."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from opstore.index import order
from opstore.index.table import Entry, output_of
from opstore.operation import MAX_SEED

COLUMNS = (
    "at, key, stamp, type, status, model, provider, output, inputs, rating, favorite, tags, batch, parents, elapsed, cost, "
    "currency, error, confidence, source, overridden, note, seed, size, prompt"
)

#: Seeds of 64 bits are kept as SQLite counts, which begins below zero in the middle of them.
SEEDS = MAX_SEED + 1


def seed_value(seed: int) -> int:
    """Return a seed as its column has it."""
    return seed if seed < SEEDS // 2 else seed - SEEDS


def find(connection: sqlite3.Connection, operation_id: str, has_strays: bool = True) -> int | None:
    """Return the number of an operation's row, None where there is none."""
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
    return Entry(
        id=operation_id,
        type=names[row[3]],
        status=names[row[4]],
        prompt=row[25],
        model=None if row[5] is None else names[row[5]],
        provider=None if row[6] is None else names[row[6]],
        output=output_of(row[7], operation_id),
        inputs=row[8],
        rating=row[9],
        favorite=bool(row[10]),
        tags=tuple(sorted(names[int(word)] for word in row[11].split())) if row[11] else (),
        batch=batch_of(row[12]),
        parents=_parents(row[13]),
        elapsed=row[14],
        cost=row[15],
        currency=None if row[16] is None else names[row[16]],
        error=None if row[17] is None else names[row[17]],
        confidence=row[18],
        source=row[19],
        overridden=bool(row[20]),
        note=row[21],
        seed=None if row[22] is None else row[22] % SEEDS,
        size=None if row[23] is None else names[row[23]],
    )


def batch_of(value: Any) -> str | None:
    """Return a batch as its column has it: an id as a number, any other name as it is."""
    return order.id_of_number(value) if isinstance(value, int) else value


def _parents(value: int | str | None) -> tuple[str, ...]:
    if isinstance(value, int):
        return (order.id_of_number(value),)
    return tuple(value.split()) if value else ()
