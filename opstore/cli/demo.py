"""`demo`: a data folder of its own, filled with half a year of operations, to look around in."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from opstore.cli.common import meter, print_json, verb
from opstore.storage.store import Store

FOLDER = "demo-data"


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    verb(
        verbs,
        "demo",
        _demo,
        "fill a data folder of its own with half a year of operations, to look around in",
        data=f"where the demo is to be (default: ./{FOLDER}); a folder that holds anything else is refused",
    )


def _demo(options: argparse.Namespace) -> int:
    from opstore.demo import fill

    # Never OPSTORE_DATA: that is where a person's own operations are.
    folder = Path(options.data or FOLDER)
    with meter(options) as report:
        filled = fill(Store(folder), report=lambda done, total: report(done, total, "demo operations"))
    start = f"python -m opstore serve --data {shlex.quote(str(folder))}"
    if options.json:
        print_json(
            {
                "success": True,
                "folder": str(folder.resolve()),
                "operations": filled.operations,
                "made": filled.made,
                "start": start,
            }
        )
        return 0
    print(f"{filled.operations} demo operations in {folder} ({filled.made} made now).")
    print(f"Look at them:  {start}")
    return 0
