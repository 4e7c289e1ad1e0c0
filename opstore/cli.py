"""The command line over the service: `python -m opstore VERB`; it prints for people, or JSON with `--json`.

Exit codes: 0 done, 1 problems found or something went wrong, 2 wrong usage. Nothing heavy is loaded for a verb that does not
need it: `list` answers without a server, a picture library or a table library.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import opstore
from opstore.app import Settings
from opstore.errors import (
    DamagedOperation,
    InvalidQuery,
    InvalidSetting,
    OperationNotFound,
    OpstoreError,
    StorageError,
    UnsafeFile,
    said,
)
from opstore.operation import Operation
from opstore.store import Store

if TYPE_CHECKING:
    from opstore.index import Count, Index, Row

DASHBOARD = Path(__file__).resolve().parent.parent / "dashboard.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A terminal may speak a narrower encoding than prompts do: show what it can rather than stop.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except OpstoreError as error:
        print(json.dumps({"success": False, "error": str(error)}) if options.json else f"opstore: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `opstore list | head`: the reader has what it wanted
        _close_output()
        return 0
    except OSError as error:  # standard output is on a full disk, say
        _close_output()
        print(f"opstore: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="opstore", description="Keeps every generative-media operation as plain files.")
    parser.add_argument("--version", action="version", version=f"opstore {opstore.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _verb(verbs, "serve", _serve, "start the app in the browser, and the work in the background")
    listing = _verb(verbs, "list", _list, "list the newest operations")
    listing.add_argument("--limit", type=_count, default=50, metavar="N", help="how many at most (default 50)")
    searching = _verb(verbs, "search", _search, "find operations by words and fields (docs/search.md)")
    searching.add_argument("query", metavar="QUERY", nargs="*", help="such as: sunset type:text_to_image rating:>=4")
    searching.add_argument("--limit", type=_count, default=50, metavar="N", help="how many at most (default 50)")
    searching.add_argument("--order", default="newest", help="newest, oldest, rating, cost, elapsed or relevance")
    showing = _verb(verbs, "show", _show, "show everything that is known of one operation")
    showing.add_argument("id", metavar="ID", help="the operation's id, such as 20251103143022_abc123de")
    checking = _verb(verbs, "verify", _verify, "look for anything that is wrong in the data folder; changes nothing")
    checking.add_argument("--deep", action="store_true", help="read every file and compare its hash")
    return parser


def _verb(verbs: Any, name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    parser.add_argument("--data", metavar="DIR", help="the data folder (default: OPSTORE_DATA, else ./data)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _count(text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")


def _settings(options: argparse.Namespace) -> Settings:
    return Settings.from_env(data=options.data)


def _store(options: argparse.Namespace) -> Store:
    settings = _settings(options)
    if not settings.data.is_dir():
        reason = said("there is no folder {folder}; name one, or start with `serve`", folder=settings.data)
        raise InvalidSetting(name="--data", reason=reason)
    return Store(settings.data, policy=settings.policy)  # not `open_store`: looking at a folder makes nothing in it


# -- the verbs -----------------------------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    settings = _settings(options)
    if options.data:
        os.environ["OPSTORE_DATA"] = str(Path(options.data).resolve())
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(DASHBOARD),
        f"--server.port={settings.port}",
    ]
    os.environ["OPSTORE_DATA"] = str(Path(os.environ.get("OPSTORE_DATA") or settings.data).resolve())
    os.chdir(DASHBOARD.parent)  # where .streamlit/config.toml is: address, limits, theme
    os.execv(sys.executable, command)


def _list(options: argparse.Namespace) -> int:
    sidecars = _store(options).list_operations(options.limit)
    if options.json:
        _print_json({"success": True, "count": len(sidecars), "operations": sidecars})
        return 0
    for sidecar in sidecars:
        print(_line(Operation.of(sidecar)))
    if not sidecars:
        print("No operations yet. Start the app with `python -m opstore serve` and make the first one.")
    return 0


def _search(options: argparse.Namespace) -> int:
    from opstore.index import Index
    from opstore.index.language import parse

    index = Index(_store(options))
    query = " ".join(options.query)
    try:
        parse(query)  # a mistake is told at once, not after a first look at a million files
        rows, total = _answered(index, query, options.order, options.limit)
    except InvalidQuery as error:
        if not options.json:
            print(_pointed(query, error.details["position"], error.details["length"]), file=sys.stderr)
        raise
    if options.json:
        sidecars = list(_readable(index.store, [row.id for row in rows]))
        count = {"n": total.n, "exact": total.exact}
        _print_json({"success": True, "count": len(sidecars), "total": count, "operations": sidecars})
        return 0
    for row in rows:
        prompt = " ".join(_printable(row.prompt).split())
        print(f"{row.id}  {_printable(row.type):<26} {row.status:<14} {prompt[:90]}")
    print(f"{len(rows):,} of {total}.")
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
    before, wrong = _printable(query[:position]), _printable(query[position : position + length])
    return f"{_printable(query)}\n{' ' * _columns(before)}{'^' * max(1, _columns(wrong))}"


def _columns(text: str) -> int:
    """Return how wide a terminal shows `text`: accents that stand alone take no place, Chinese letters and pictures two."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _line(operation: Operation) -> str:
    prompt = " ".join(_printable(operation.prompt).split())
    return f"{operation.id}  {_printable(operation.type):<26} {operation.status:<14} {prompt[:90]}"


def _show(options: argparse.Namespace) -> int:
    sidecar = _store(options).get_operation_metadata(options.id)
    if options.json:
        _print_json({"success": True, "operation": sidecar})
        return 0
    operation = Operation.of(sidecar)
    elapsed = f"{operation.elapsed_seconds:.1f} s" if operation.elapsed_seconds is not None else None
    facts = {
        "id": operation.id,
        "time": sidecar.get("timestamp"),
        "type": operation.type,
        "status": operation.status,
        "error": operation.error,
        "prompt": operation.prompt,
        "provider": operation.provider,
        "model": operation.model,
        "inputs": ", ".join(operation.inputs),
        "outputs": ", ".join(operation.outputs),
        "elapsed": elapsed,
        "cost": _cost(operation),
        "parameters": json.dumps(dict(operation.parameters()), ensure_ascii=False),
    }
    for name, value in facts.items():
        if value not in (None, ""):
            print(f"{name:<11} {_printable(str(value))}")
    return 0


def _cost(operation: Operation) -> str | None:
    cost = operation.cost
    if not cost or not isinstance(cost.get("amount"), int | float):
        return None
    return f"{'about ' if cost.get('estimated') else ''}{cost['amount']:.4g} {cost.get('currency')} ({cost.get('basis')})"


def _verify(options: argparse.Namespace) -> int:
    problems = _store(options).verify(deep=options.deep)
    if options.json:
        _print_json({"success": not problems, "count": len(problems), "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems:
            print(f"{problem.kind:<13} {_printable(problem.name)}  {_printable(problem.detail)}")
        print(f"{len(problems)} problems." if problems else "No problems.")
    return 1 if problems else 0


def _close_output() -> None:
    """Let the interpreter's last flush go nowhere: it would report once more what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# -- printing ------------------------------------------------------------------------------------------------------------


def _printable(text: str) -> str:
    """Return stored text as a terminal may have it: no control characters, which could rewrite the screen."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text).replace("\n", " ")


def _print_json(value: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(value, ensure_ascii=True, indent=2))
