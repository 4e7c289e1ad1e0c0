"""`python -m bench [NAME …] [COUNT]`: run every module of this folder, or those named, and print their tables.

`python -m bench speed 100000` prints the whole table of what people wait for, over a corpus of so many operations.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

import bench

#: Tables that repeat what others measure.
ASKED_FOR = ("speed",)


def main(wanted: list[str]) -> int:
    """Print each table as soon as it is measured; 2 for a name that is not there."""
    counts = [text for text in wanted if text.isdecimal()]
    wanted = [name for name in wanted if not name.isdecimal()]
    if counts:
        os.environ["OPSTORE_BENCH_N"] = counts[-1]
    names = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    unknown = [name for name in wanted if name not in names]
    if unknown:
        print(f"bench: there is no {unknown[0]!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    print(bench.machine())
    for name in wanted or [name for name in names if name not in ASKED_FOR]:
        print(f"\n{name}, {bench.company('before')}", flush=True)
        for table in importlib.import_module(f"bench.{name}").run():
            print(f"\n{name}: {table}", flush=True)
        print(f"\n{name}, {bench.company('after')}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
