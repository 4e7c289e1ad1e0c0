"""The command that takes in what was made elsewhere: import. It reads, and never asks anybody to make anything."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from opstore.cli.care import care_for
from opstore.cli.common import count, meter, print_json, printable, verb


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    what = "take in another opstore's folder, pictures made elsewhere, or an account's history (docs/care.md)"
    importing = verb(verbs, "import", _import, what)
    source = "a folder or a zip archive; it is only read. Or the name of a provider: what the account of its token has made"
    importing.add_argument("source", metavar="SOURCE", help=source)
    kept = "of a provider, from the last DAYS (default: as long as its web site keeps results)"
    importing.add_argument("--days", type=count, metavar="DAYS", help=kept)
    importing.add_argument("--dry-run", action="store_true", help="only say what would come in")


def _import(options: argparse.Namespace) -> int:
    from opstore.providers import registry

    care = care_for(options)
    # A word that is no path; a folder of that name is ./name.
    history = provider.history if (provider := registry.find(options.source)) else None
    with meter(options) as report:
        if history:
            done = care.take_history(
                options.source, history.days if options.days is None else options.days, report, dry=options.dry_run
            )
        else:
            done = care.take_in(options.source, report, dry=options.dry_run)
    if options.json:
        told = {"success": not done.left, "dryRun": options.dry_run, "count": len(done.operations)}
        print_json(told | asdict(done))
    else:
        for path, reason in done.left.items():
            print(f"left: {printable(path)}: {printable(reason)}")
        would = "would come in" if options.dry_run else "came in"
        what = "predictions" if history else "files"
        without = f", {done.without:,} of them without a result" if done.without else ""
        there = f"{done.same:,} were there already; {len(done.left):,} {what} left."
        print(f"{len(done.operations):,} operations {would}{without}; {there}")
    return 1 if done.left else 0
