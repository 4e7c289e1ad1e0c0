"""The commands that look and change nothing: list, search, show, verify."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opstore.app import models_of
from opstore.cli.common import count, print_json, printable, settings_of, store_of, verb
from opstore.errors import (
    DamagedOperation,
    InvalidQuery,
    OperationNotFound,
    OpstoreError,
    StorageError,
    UnsafeFile,
    said,
)
from opstore.spending.spent import money
from opstore.storage.data_folder import DataFolder
from opstore.storage.operation import Operation, timestamp
from opstore.storage.preferences import PreferenceFile
from opstore.storage.store import Store

if TYPE_CHECKING:
    from opstore.index import Count, Index, Row
    from opstore.index.field_entry import Written


def add(verbs: Any) -> None:
    """Add these commands to the parser."""
    listing = verb(verbs, "list", _list, "list the newest operations")
    listing.add_argument("--limit", type=count, default=50, metavar="N", help="how many at most (default 50)")
    searching = verb(verbs, "search", _search, "find operations by words and fields (docs/search.md)")
    searching.add_argument("query", metavar="QUERY", nargs="*", help="such as: sunset type:text_to_image rating:>=4")
    searching.add_argument("--limit", type=count, default=50, metavar="N", help="how many at most (default 50)")
    searching.add_argument("--order", default="newest", help="newest, oldest, rating, cost, elapsed or relevance")
    showing = verb(verbs, "show", _show, "show everything that is known of one operation")
    showing.add_argument("id", metavar="ID", help="the operation's id, such as 20251103143022_abc123de")
    checking = verb(verbs, "verify", _verify, "look for anything that is wrong in the data folder; changes nothing")
    checking.add_argument("--deep", action="store_true", help="read every file and compare its hash")


def _list(options: argparse.Namespace) -> int:
    sidecars = _newest(store_of(options), options.limit)
    if options.json:
        print_json({"success": True, "count": len(sidecars), "operations": sidecars})
        return 0
    for sidecar in sidecars:
        print(_line(Operation.of(sidecar)))
    if not sidecars:
        print("No operations yet. Start the app with `python -m opstore serve` and make the first one.")
    return 0


def _newest(store: Store, limit: int) -> list[dict[str, Any]]:
    """Return the newest sidecars: an index that once had all knows which they are, else every name in the folder is looked at."""
    if (store.cache / "index.db").is_file():
        from opstore.index import Index

        index = Index(store)
        try:
            if index.makeshift is None and index.progress().ready:
                return list(_readable(store, [row.id for row in _answered(index, "", "newest", limit)[0]]))
        except OpstoreError:
            pass  # the folder is the truth, and tells what is wrong with it
        finally:
            index.stop()
    return store.list_operations(limit)


def _search(options: argparse.Namespace) -> int:
    from opstore.index import Index
    from opstore.index.search_language import parse

    index = Index(store_of(options))
    query = " ".join(options.query)
    try:
        parse(query)  # a mistake is told at once, not after a first look at a million files
        rows, total = _answered(index, query, options.order, options.limit)
    except InvalidQuery as error:
        print(_pointed(query, error.details["position"], error.details["length"]), file=sys.stderr)
        raise
    if options.json:
        sidecars = list(_readable(index.store, [row.id for row in rows]))
        count = {"n": total.n, "exact": total.exact}
        better = None if total.n else index.meant(query)
        more = {"meant": better} if better else {}
        print_json({"success": True, "count": len(sidecars), "total": count, "operations": sidecars, **more})
        return 0
    for row in rows:
        prompt = " ".join(printable(row.prompt).split())
        print(f"{row.id}  {printable(row.type):<26} {row.status:<14} {prompt[:90]}")
    print(f"{len(rows):,} of {total}.")
    if better := None if total.n else index.meant(query):
        print(f"Did you mean: {printable(better)}", file=sys.stderr)
    return 0


def _answered(index: Index, query: str, order: str, limit: int) -> tuple[list[Row], Count]:
    """Return what a whole index answers: one that turns out to be damaged is replaced by an empty one, to be filled first."""
    from opstore.index.sqlite import Damaged

    for _ in range(3):
        with contextlib.suppress(Damaged):
            index.catch_up()
            answer = _found(index, query, order, limit)
            if index.progress().ready:
                return answer
    raise StorageError(reason=said("the index was replaced again and again"))


def _found(index: Index, query: str, order: str, limit: int) -> tuple[list[Row], Count]:
    """Return the first `limit` rows, as many pages as they take, and the total."""
    found = index.search(query, order=order, size=limit)
    rows, total = list(found.rows[:limit]), found.total
    while found.next and len(rows) < limit:
        found = index.search(query, order=order, after=found.next, size=limit - len(rows))
        rows += found.rows
    return rows, total


def _readable(store: Store, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    for operation_id in ids:
        # Removed or damaged since the index looked: `verify` lists what is there.
        with contextlib.suppress(OperationNotFound, DamagedOperation, UnsafeFile):
            yield store.get_operation_metadata(operation_id)


def _pointed(query: str, position: int, length: int) -> str:
    """Return a search with a line under it that points at the mistake, in a terminal's columns."""
    before, wrong = printable(query[:position]), printable(query[position : position + length])
    return f"{printable(query)}\n{' ' * _columns(before)}{'^' * max(1, _columns(wrong))}"


def _columns(text: str) -> int:
    """Return how wide a terminal shows `text`: accents that stand alone take no place, Chinese letters and pictures two."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _line(operation: Operation) -> str:
    prompt = " ".join(printable(operation.prompt).split())
    return f"{operation.id}  {printable(operation.type):<26} {operation.status:<14} {prompt[:90]}"


def _show(options: argparse.Namespace) -> int:
    sidecar = store_of(options).get_operation_metadata(options.id)
    if options.json:
        print_json({"success": True, "operation": sidecar})
        return 0
    from opstore.index.shown import shown_of

    for _, how, value in shown_of(Operation.of(sidecar), _FIRST):
        if value not in (None, "", ()) and (text := _WRITTEN.get(how.written, str)(value)):
            print(f"{how.name:<11} {printable(text)}")
    return 0


def _cost(cost: Mapping[str, Any]) -> str | None:
    """Return what it cost, and where that is from, as far as the sidecar says it; None where that cannot be one."""
    if money(cost) is None:
        return None
    exact = f"{cost['amount']:.6f}".rstrip("0").rstrip(".")
    currency, basis = (text if isinstance(text, str) else "" for text in (cost.get("currency"), cost.get("basis")))
    told = ("about" if cost.get("estimated") is True else "", exact, currency, f"({basis})" if basis else "")
    return " ".join(filter(None, told))


#: The fields that `show` began with, in the order that they keep; one that is none of these comes behind them.
_FIRST = (
    *("id", "moment", "type", "status", "error_text", "prompt", "provider", "model", "inputs", "output", "elapsed", "cost"),
    "parameters",
)
_WRITTEN: Mapping[Written, Callable[[Any], str | None]] = {
    "texts": ", ".join,
    "moment": timestamp,
    "flag": lambda value: "yes" if value else "no",
    "number": "{:g}".format,
    "seconds": "{:.1f} s".format,
    "cost": _cost,
    "parameters": lambda value: json.dumps(dict(value), ensure_ascii=False),
}


def _verify(options: argparse.Namespace) -> int:
    problems = store_of(options).verify(deep=options.deep)
    data = settings_of(options).data
    problems += [*PreferenceFile(DataFolder(data).top).problems(), *models_of(data).listed()]
    if options.json:
        print_json({"success": not problems, "count": len(problems), "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems:
            print(f"{problem.kind:<13} {printable(problem.name)}  {printable(problem.detail)}")
        print(f"{len(problems)} problems." if problems else "No problems.")
    return 1 if problems else 0
