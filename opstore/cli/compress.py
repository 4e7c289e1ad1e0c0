"""The command that packs old months, and brings them back: compress."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opstore.cli.care import care_for
from opstore.cli.common import count, meter, print_json, printable, size_text, verb
from opstore.storage.packs import DAYS

if TYPE_CHECKING:
    from opstore.care import Compressed


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    packing = verb(verbs, "compress", _compress, "pack the files of old months, or with --unpack bring them back (docs/care.md)")
    ended = f"only months that ended at least so long ago (default {DAYS})"
    packing.add_argument("--older-than", type=count, default=DAYS, metavar="DAYS", help=ended)
    packing.add_argument("--month", metavar="YYYY-MM", help="only this month, however old it is")
    packing.add_argument(
        "--unpack", nargs="?", const="", metavar="YYYY-MM", help="bring all packed months back as plain files, or this one"
    )
    packing.add_argument("--list", action="store_true", help="only say what is packed")
    packing.add_argument("--dry-run", action="store_true", help="only say what would be packed, and about how much it saves")


def _compress(options: argparse.Namespace) -> int:
    compression = care_for(options).compression
    month = options.unpack or options.month
    if options.list:
        return _told(options, compression.packed(month), "packed", "{count} operations in {months} packed months save {size}.")
    if options.unpack is not None and options.dry_run:
        return _told(
            options, compression.packed(month), "unpack", "{count} operations would come back; {size} would be used again."
        )
    with meter(options) as report:
        if options.unpack is not None:
            return _told(
                options, compression.unpack(month, report), "unpack", "{count} operations came back; {size} more are used."
            )
        if options.dry_run:
            found = compression.plan(options.older_than, options.month, report)
            return _told(options, found, "pack", "{count} operations would be packed, which saves about {size} (estimate).")
        done = compression.apply(options.older_than, options.month, report)
    return _told(options, done, "pack", "{count} operations packed in {months} months; {size} saved, every byte compared.")


def _told(options: argparse.Namespace, done: Compressed, act: str, sentence: str) -> int:
    freed = -done.saved if act == "unpack" and not options.dry_run else done.saved
    if options.json:
        rows = [asdict(month) | {"saved": month.saved} for month in done.months]
        told = {"success": not done.left, "act": act, "dryRun": options.dry_run, "estimated": act == "pack" and options.dry_run}
        print_json(told | {"count": done.operations, "saved": done.saved, "months": rows, "left": dict(done.left)})
        return 1 if done.left else 0
    for month in done.months:
        print(f"{month.month}  {month.operations:>8,} operations  {size_text(month.before):>10} → {size_text(month.after):>10}")
    for name, reason in done.left.items():
        print(f"{printable(name)} stays as it is: {printable(reason)}")
    size = size_text(freed) if freed >= 0 else f"-{size_text(-freed)}"
    print(sentence.format(count=f"{done.operations:,}", months=len(done.months), size=size))
    return 1 if done.left else 0
