"""Places operations in time: a row's number is `(seconds since 2020) * 64 + n`, and rows in the order of their numbers are in
the order of their ids.

So pages, date ranges and newest-first search need no other index. An id with an impossible time (`…1399…`) belongs to the nearest
second before it. Pure.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_EPOCH_DAY = EPOCH.toordinal()
#: Numbers a second has. With 256 the lists of the index, which hold the steps from one row to the next, took 9 bytes an operation
#: more at a million; with fewer, operations of one second would make others move oftener.
WIDTH = 64
_HALF = 2**31


@functools.lru_cache(maxsize=4096)
def _day(digits: str) -> tuple[int, int | None]:
    """Return the first second of a day, and None; or the one second that all ids of an impossible day share, twice."""
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    if year == 0:
        return _seconds(date.min), _seconds(date.min)
    if not 1 <= month <= 12:
        second = _seconds(date(year, 1, 1)) - 1 if month == 0 else _seconds(date(year, 12, 31)) + 86_399
    else:
        last = date(year, month, 31) if month == 12 else date(year, month + 1, 1) - timedelta(1)
        if 1 <= day <= last.day:
            return _seconds(date(year, month, day)), None
        second = _seconds(date(year, month, 1)) - 1 if day == 0 else _seconds(last) + 86_399
    second = max(second, _seconds(date.min))
    return second, second


def _seconds(day: date) -> int:
    return (day.toordinal() - _EPOCH_DAY) * 86_400


def second_of(operation_id: str) -> int:
    """Return the second since 2020 that an id belongs to; never less for a greater id."""
    start, fixed = _day(operation_id[:8])
    if fixed is not None:
        return fixed
    hour, minute, second = int(operation_id[8:10]), int(operation_id[10:12]), int(operation_id[12:14])
    if hour > 23:
        return start + 86_399
    if minute > 59:
        return start + hour * 3600 + 3599
    return start + hour * 3600 + minute * 60 + min(second, 59)


def exact_second(operation_id: str) -> int | None:
    """Return the second since 2020 that an id names, None where its digits are no time."""
    start, fixed = _day(operation_id[:8])
    hour, minute, second = int(operation_id[8:10]), int(operation_id[10:12]), int(operation_id[12:14])
    if fixed is not None or hour > 23 or minute > 59 or second > 59:
        return None
    return start + hour * 3600 + minute * 60 + second


def digits_of(second: int) -> str:
    """Return the 14 digits of a second."""
    day, rest = divmod(second, 86_400)
    return f"{_day_digits(day)}{rest // 3600:02}{rest // 60 % 60:02}{rest % 60:02}"


@functools.lru_cache(maxsize=4096)
def _day_digits(number: int) -> str:
    day = date.fromordinal(_EPOCH_DAY + number)
    return f"{day.year:04}{day.month:02}{day.day:02}"


def moment_of(operation_id: str) -> datetime:
    """Return the moment in UTC that an id belongs to."""
    return EPOCH + timedelta(seconds=second_of(operation_id))


def second_of_day(day: date) -> int:
    """Return the first second of a day."""
    return _seconds(day)


def wanted(operation_id: str) -> int:
    """Return the number an id has if nothing stands in its way: within a second by its first hex digits."""
    return second_of(operation_id) * WIDTH + _within(operation_id)


def _within(operation_id: str) -> int:
    return int(operation_id[15:17], 16) * WIDTH >> 8


def short_key(operation_id: str, at: int) -> int | str:
    """Return what must be kept beside the number to tell the id: the hex digits, or all of it where the number does not say."""
    return digits_key(operation_id) if exact_second(operation_id) == at // WIDTH else operation_id


def digits_key(operation_id: str) -> int | str:
    """Return the hex digits of an id: eight, as ours have, as a number of four bytes for SQLite, which counts below zero too."""
    return int(operation_id[15:], 16) - _HALF if len(operation_id) == 23 else operation_id[15:]


def place_of(operation_id: str) -> tuple[int, int | str]:
    """Return what `wanted` and `short_key` say of an id: a million rows are made ready."""
    second = exact_second(operation_id)
    if second is None:
        at = wanted(operation_id)
        return at, short_key(operation_id, at)
    return second * WIDTH + _within(operation_id), digits_key(operation_id)


def is_whole(key: int | str) -> bool:
    """Say whether a key is all of an id."""
    return isinstance(key, str) and len(key) > 8


def id_of(at: int, key: int | str) -> str:
    """Return the id of a row from its number and its key."""
    if isinstance(key, int):
        return f"{digits_of(at // WIDTH)}_{key + _HALF:08x}"
    return key if len(key) > 8 else f"{digits_of(at // WIDTH)}_{key}"


def number_of(operation_id: str) -> int | None:
    """Return an id of a possible time and eight digits as a number of eight bytes, in their order; None for any other."""
    second = exact_second(operation_id) if len(operation_id) == 23 else None
    # 31 bits of seconds go as far as 2088; what lies beyond is no time that anything was made at.
    return None if second is None or not -_HALF <= second < _HALF else (second << 32) | int(operation_id[15:], 16)


def id_of_number(number: int) -> str:
    """Return the id that `number_of` made a number of."""
    return f"{digits_of(number >> 32)}_{number & 0xFFFFFFFF:08x}"


def spread(ids: list[str], start: int, size: int) -> list[int]:
    """Return numbers within `size` from `start` for sorted ids: the wanted ones where they fit, else evenly apart."""
    if size > WIDTH:
        return [start + number * size // len(ids) for number in range(len(ids))]
    numbers: list[int] = []
    for operation_id in ids:
        floor = numbers[-1] + 1 if numbers else start
        numbers.append(max(wanted(operation_id), floor))
    ceiling = start + size - 1
    for place in range(len(numbers) - 1, -1, -1):
        numbers[place] = min(numbers[place], ceiling)
        ceiling = numbers[place] - 1
    return numbers
