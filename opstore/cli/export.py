"""`export`: operations as CSV, Excel, JSON Lines, Parquet or a zip of media, to a file or to standard output."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opstore.cli.common import caught_up, meter, print_json, printable, size_text, store_of, verb
from opstore.errors import InvalidRequest, said

if TYPE_CHECKING:
    from opstore.exports import Export

#: As the table of formats has them: that table is loaded only when something is exported; a test holds the two together.
NAMES = ("csv", "csv-excel", "csv-excel-fr", "xlsx", "jsonl", "parquet", "zip")


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    exporting = verb(
        verbs, "export", _export, "write operations as a table, as JSON lines, or with their media (docs/exports.md)"
    )
    exporting.add_argument("query", metavar="QUERY", nargs="*", help="what to export, as for search (default: everything)")
    exporting.add_argument("--format", choices=NAMES, help="default: what the file's name ends in, else csv")
    exporting.add_argument("--output", "-o", metavar="FILE", default="-", help="where to; - is standard output (the default)")
    exporting.add_argument("--ids", metavar="ID,…", help="export these operations instead of what a search finds")
    exporting.add_argument("--order", default="newest", help="newest, oldest, rating, cost, elapsed or relevance")
    exporting.add_argument("--thumbnails", action="store_true", help="put small pictures into an Excel file")
    exporting.add_argument(
        "--originals", action="store_true", help="media in a zip byte for byte as stored, without the mark of what made them"
    )
    exporting.add_argument("--force", action="store_true", help="write over a file that exists")


def _export(options: argparse.Namespace) -> int:
    from opstore.exports import Exports
    from opstore.index import Index
    from opstore.index.search_language import parse

    query = " ".join(options.query)
    parse(query)  # a mistake is told at once, not after a first look at a million files
    index = Index(store_of(options))
    caught_up(index)
    with meter(options) as report:
        export = Exports(index.store, index).prepare(
            _format(options),
            query=query,
            ids=None if options.ids is None else [name for name in options.ids.split(",") if name],
            order=options.order,
            thumbnails=options.thumbnails,
            originals=options.originals,
            report=lambda done, total: report(done, total, "operations"),
        )
        size = _written(options, export)
    for name, reason in export.left_out:
        print(f"left out: {printable(name)}: {printable(reason)}", file=sys.stderr)
    if options.output != "-":
        _told(options, export, size)
    return 1 if export.left_out else 0


def _format(options: argparse.Namespace) -> str:
    ending = Path(options.output).suffix.lower().removeprefix(".")
    return options.format or (ending if ending in NAMES else "csv")


def _written(options: argparse.Namespace, export: Export) -> int:
    from opstore.exports import pour, write

    if options.output != "-":
        return write(export, Path(options.output), replace=options.force)
    if export.format.binary and sys.stdout.isatty():
        raise InvalidRequest(reason=said("a terminal cannot show this format; name a file with --output"))
    sys.stdout.flush()
    size = pour(export, sys.stdout.buffer)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.flush()
    return size


def _told(options: argparse.Namespace, export: Export, size: int) -> None:
    done = export.written
    if options.json:
        left_out = [{"name": name, "reason": reason} for name, reason in export.left_out]
        document = {"success": not left_out, "file": options.output, "format": export.format.name, "bytes": size}
        print_json(document | {"operations": done, "leftOut": left_out})
    else:
        print(f"{done:,} operations, {size_text(size)}: {printable(options.output)}")
