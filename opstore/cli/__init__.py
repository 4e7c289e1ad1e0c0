"""The command line over the service: `python -m opstore VERB`; it prints for people, or JSON with `--json`.

With `--json` standard output is one JSON object, an error too; what is meant for people goes to standard error. Exit codes: 0
done, 1 problems found or something went wrong, 2 wrong usage. Nothing heavy is loaded for a verb that does not need it: `list`
answers without a server, a picture library or a table library.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import opstore
from opstore.cli import backup, care, completion, compress, demo, export, importing, look, repair, serve, share, stats
from opstore.cli.common import print_json
from opstore.errors import OpstoreError

#: Each adds its commands, in the order of the help.
GROUPS = (serve, look, share, care, compress, stats, export, demo, backup, repair, importing, completion)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _open_what_is_closed()
    # A terminal may speak a narrower encoding than prompts do: show what it can rather than stop.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may follow
        completion.complete(parser)
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        options = parser.parse_args(arguments)
        as_json = options.json
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except WrongUsage as error:
        return _told(str(error), 2, as_json)
    except OpstoreError as error:
        return _told(f"opstore: {error}", error.exit_code, as_json, str(error))
    except BrokenPipeError:  # `opstore list | head`: the reader has what it wanted
        _close_output()
        return 0
    except OSError as error:  # standard output is on a full disk, say
        _close_output()
        print(
            f"opstore: {'standard output is closed' if error.errno == errno.EBADF else error.strerror or error}", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        return 130


def _told(text: str, code: int, as_json: bool, error: str | None = None) -> int:
    """Tell an error to the person, and with `--json` to the program as well; return the exit code."""
    print(text, file=sys.stderr)
    if as_json:
        print_json({"success": False, "error": error or text})
        sys.stdout.flush()
    return code


class WrongUsage(Exception):
    """What was typed is no command; the text says what is."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong, so that a program is told as it asked for."""

    def error(self, message: str) -> NoReturn:
        """Raise WrongUsage."""
        raise WrongUsage(f"{self.format_usage()}{self.prog}: error: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="opstore", description="Keeps every generative-media operation as plain files.")
    parser.add_argument("--version", action="version", version=f"opstore {opstore.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for group in GROUPS:
        group.add(verbs)
    return parser


def _open_what_is_closed() -> None:
    """Let nothing else get the number of a stream that is closed: it would be written over. Only what is printed then fails."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(_at(0, os.O_RDONLY), encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(_at(2, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(_at(1, os.O_RDONLY), "w", encoding="utf-8")


def _at(number: int, mode: int) -> int:
    """Open what takes and gives nothing under this number."""
    nowhere = os.open(os.devnull, mode)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
    return number


def _close_output() -> None:
    """Let the interpreter's last flush go nowhere: it would report once more what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
