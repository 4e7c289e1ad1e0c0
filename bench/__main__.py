"""`python -m bench [NAME …]`: run every module of this folder, or those named, and print their tables."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench


def main(wanted: list[str]) -> int:
    """Print each table as soon as it is measured; 2 for a name that is not there."""
    names = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    unknown = [name for name in wanted if name not in names]
    if unknown:
        print(f"bench: there is no {unknown[0]!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    print(bench.machine())
    for name in wanted or names:
        print(f"\n{name}, {bench.company('before')}", flush=True)
        for table in importlib.import_module(f"bench.{name}").run():
            print(f"\n{name}: {table}", flush=True)
        print(f"\n{name}, {bench.company('after')}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
