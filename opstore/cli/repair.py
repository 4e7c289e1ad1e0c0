"""The command that mends: repair, which first only says what it would do."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from opstore.cli.care import care_for
from opstore.cli.common import meter, print_json, printable, verb


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    mending = verb(verbs, "repair", _repair, "say what could be mended, or with --apply mend it (docs/care.md); deletes nothing")
    mending.add_argument("--apply", action="store_true", help="mend it")
    mending.add_argument("--dry-run", action="store_true", help="only say what would be done, as without --apply")
    mending.add_argument("--deep", action="store_true", help="read every file and compare its hash")


def _repair(options: argparse.Namespace) -> int:
    repair = care_for(options).repair
    apply = options.apply and not options.dry_run
    with meter(options) as report:
        remedies = repair.apply(deep=options.deep, report=report) if apply else repair.plan(deep=options.deep, report=report)
    left = [remedy for remedy in remedies if not remedy.done]
    if options.json:
        told = {"success": not left, "dryRun": not apply, "count": len(remedies)}
        print_json(told | {"remedies": [asdict(remedy) for remedy in remedies]})
        return 1 if left else 0
    for remedy in remedies:
        problem = remedy.problem
        detail = f": {remedy.detail}" if remedy.detail else ""
        print(f"{problem.kind:<13} {remedy.step:<11} {printable(problem.name)}{printable(detail)}")
    if not remedies:
        print("No problems.")
    elif apply:
        print(f"{len(remedies) - len(left)} of {len(remedies)} mended.")
    else:
        print(f"{len(remedies)} problems; repeat with --apply to do this.")
    return 1 if left else 0
