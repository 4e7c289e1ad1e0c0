"""What every command shares: its parser, the data folder it speaks of, and printing that no stored text can abuse."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from opstore.app import Settings
from opstore.errors import InvalidInput, InvalidSetting, said
from opstore.storage.data_folder import DataFolder
from opstore.storage.store import Store

if TYPE_CHECKING:
    from opstore.index import Index

#: The greatest age, in days.
MAX_DAYS = 100_000


def verb(
    verbs: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
    data: str = "the data folder (default: OPSTORE_DATA, else ./data)",
) -> argparse.ArgumentParser:
    """Add a command to the parser; `run` returns its exit code, `data` says what the data folder is to it."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    parser.add_argument("--data", metavar="DIR", help=data)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def count(text: str) -> int:
    """Read a whole number from 0 on the command line."""
    if text.isascii() and text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")


def days(text: str) -> int:
    """Read an age in days on the command line, none that leads out of the calendar."""
    if (number := count(text)) <= MAX_DAYS:
        return number
    raise argparse.ArgumentTypeError(f"an age is a whole number of days from 0 to {MAX_DAYS}")


def megabytes(text: str) -> float:
    """Read a size on the command line, in MB."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if 0 <= number < math.inf:
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a size: a number from 0")


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings that the environment and the options name."""
    return Settings.from_env(data=options.data)


def store_of(options: argparse.Namespace) -> Store:
    """Return the store that the options name; raise InvalidSetting if there is no such folder."""
    settings = settings_of(options)
    if not DataFolder(settings.data).exists():
        reason = said("there is no folder {folder}; name one, or start with `serve`", folder=settings.data)
        raise InvalidSetting(name="--data", reason=reason)
    return Store(settings.data, policy=settings.policy)  # not `open_store`: looking at a folder makes nothing in it


def caught_up(index: Index) -> None:
    """Let an index take in what it has not seen: one that turns out to be damaged is replaced by an empty one, filled first."""
    for _ in range(3):
        index.catch_up()
        if index.progress().ready:
            return


# -- printing ------------------------------------------------------------------------------------------------------------


def printable(text: str) -> str:
    """Return stored text as a terminal may have it: no control characters, which could rewrite the screen."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text).replace("\n", " ")


def print_json(value: Any) -> None:
    """Print a document as JSON, in ASCII: any terminal can show it."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(value, ensure_ascii=True, indent=2))


def size_text(size: float) -> str:
    """Return a number of bytes for a person."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


# -- long work -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def meter(options: argparse.Namespace) -> Iterator[Callable[[int, int | None, str], None]]:
    """Yield a report that says on standard error how far work is: ten times a second in a terminal, else every ten seconds."""
    terminal = sys.stderr.isatty()
    due = time.monotonic() + (0.2 if terminal else 10.0)
    shown = False

    def report(done: int, total: int | None, what: str) -> None:
        nonlocal due, shown
        if time.monotonic() < due or (options.json and not terminal):
            return
        due = time.monotonic() + (0.1 if terminal else 10.0)
        share = f"{done:,} of {total:,}" if total else f"{done:,}"
        print(
            f"\r\x1b[K{what}: {share}" if terminal else f"{what}: {share}",
            end="" if terminal else "\n",
            file=sys.stderr,
            flush=True,
        )
        shown = terminal

    try:
        yield report
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def confirm(options: argparse.Namespace, question: str) -> bool:
    """Ask in a terminal whether to go on, unless `--yes`; if nobody can be asked raise InvalidInput, with nothing done."""
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise InvalidInput(reason=said("nothing was done: look with --dry-run, then repeat with --yes"))
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    if options.json:
        print_json({"success": False, "error": "nothing was done: the answer was no"})
    return False
