"""The command that takes in what was made elsewhere: import."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from opstore.cli.care import care_for
from opstore.cli.common import meter, print_json, printable, verb


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    what = "take in a folder of the original backend, a folder of pictures made elsewhere, or a zip of either (docs/care.md)"
    importing = verb(verbs, "import", _import, what)
    importing.add_argument("source", metavar="SOURCE", help="a folder or a zip archive; it is only read")
    importing.add_argument("--dry-run", action="store_true", help="only say what would come in")


def _import(options: argparse.Namespace) -> int:
    care = care_for(options)
    with meter(options) as report:
        done = care.take_in(options.source, report, dry=options.dry_run)
    if options.json:
        told = {"success": not done.left, "dryRun": options.dry_run, "count": len(done.operations)}
        print_json(told | asdict(done))
    else:
        for path, reason in done.left.items():
            print(f"left: {printable(path)}: {printable(reason)}")
        would = "would come in" if options.dry_run else "came in"
        print(f"{len(done.operations):,} operations {would}; {done.same:,} were there already; {len(done.left):,} files left.")
    return 1 if done.left else 0
