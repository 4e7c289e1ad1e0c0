"""The command line over the service: `python -m opstore VERB`; it prints for people, or JSON with `--json`.

Exit codes: 0 done, 1 problems found or something went wrong, 2 wrong usage. Nothing heavy is loaded for a verb that does not
need it: `list` answers without a server, a picture library or a table library.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

import opstore
from opstore.cli import backup, care, compress, demo, export, importing, look, repair, serve, share, stats
from opstore.errors import OpstoreError

#: Each adds its commands, in the order of the help.
GROUPS = (serve, look, share, care, compress, stats, export, demo, backup, repair, importing)


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
    for group in GROUPS:
        group.add(verbs)
    return parser


def _close_output() -> None:
    """Let the interpreter's last flush go nowhere: it would report once more what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
