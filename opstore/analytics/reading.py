"""Reads sidecars into Arrow tables: a few in this process, very many in processes of their own, which hold no lock of ours.

`python -m opstore.analytics.reading DATA` answers each line of ids with a table: its size, then an Arrow stream. A
process that cannot be started, or dies, is done without: then its ids are read in this one.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pyarrow as pa

from opstore.analytics.columns import COLUMNS, Kind
from opstore.analytics.frame_row import Row, row_of
from opstore.errors import DamagedOperation, StorageError
from opstore.index.entry import sidecar_of
from opstore.index.observed import Broken
from opstore.index.reader import THREADS, Reader
from opstore.storage.packs import Library

#: Processes are started for more operations than these: to start one takes as long as to read some thousands.
WORTHWHILE = 10_000
PROCESSES = 2
CHUNK = 2_000
_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.large_string(),
    "category": pa.string(),
    "moment": pa.timestamp("us", "UTC"),
    "flag": pa.bool_(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "texts": pa.list_(pa.string()),
}
#: What a read table holds: the frame's columns, the words of the prompt, the second of the id, the file's stamp.
SCHEMA = pa.schema(
    [
        *((column.name, _TYPES[column.kind]) for column in COLUMNS),
        ("words", pa.list_(pa.string())),
        ("second", pa.int64()),
        ("stamp", pa.int64()),
    ]
)


def read(operations: Library, ids: Sequence[str], progress: Callable[[int], None] = lambda done: None) -> pa.Table:
    """Return the rows of these operations, in their order; those without a readable sidecar are left out.

    Raise StorageError if there is no folder, or for what passes (too many open files).
    """
    chunks = [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
    tables = [SCHEMA.empty_table()]
    with contextlib.ExitStack() as stack:
        if len(ids) > WORTHWHILE:
            answers = stack.enter_context(_processes(operations))(chunks)
        else:
            reader = stack.enter_context(Reader(operations))
            answers = (_here(reader, chunk) for chunk in chunks)
        for number, table in enumerate(answers, 1):
            tables.append(table)
            progress(min(number * CHUNK, len(ids)))
    return pa.concat_tables(tables)


def table_of(rows: Sequence[tuple[Row, int]]) -> pa.Table:
    """Return rows with their stamps as a table."""
    columns = zip(*((*row, stamp) for row, stamp in rows), strict=True) if rows else [()] * len(SCHEMA)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def _here(reader: Reader, ids: Sequence[str]) -> pa.Table:
    found = (_row(reader, operation_id) for operation_id in ids)
    return table_of([pair for pair in found if pair is not None])


def _row(reader: Reader, operation_id: str) -> tuple[Row, int] | None:
    observed = reader.data(operation_id)
    if observed is None or isinstance(observed[0], Broken):
        return None
    try:
        return row_of(sidecar_of(observed[0], operation_id), operation_id), observed[1]
    except DamagedOperation:
        return None  # the index lists it among the problems


# -- processes -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _processes(operations: Library) -> Iterator[Callable[[Sequence[Sequence[str]]], Iterator[pa.Table]]]:
    """Lend what reads chunks in processes of their own, in order, two at a time."""
    idle: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
    for _ in range(PROCESSES):
        idle.put(_started(operations))

    def one(ids: Sequence[str]) -> pa.Table:
        process = idle.get()
        try:
            if process is not None:
                try:
                    return _asked(process, ids)
                except (OSError, ValueError, pa.ArrowInvalid):
                    _end(process)
                    process = None
            with Reader(operations) as reader:
                return _here(reader, ids)
        finally:
            idle.put(process)

    threads = ThreadPoolExecutor(PROCESSES, thread_name_prefix="opstore-frame")
    try:
        yield lambda chunks: threads.map(one, chunks)
    finally:
        threads.shutdown(cancel_futures=True)
        for _ in range(PROCESSES):
            process = idle.get()
            if process is not None:
                _end(process)


def _started(operations: Library) -> subprocess.Popen[bytes] | None:
    command = [sys.executable, "-m", "opstore.analytics.reading", operations.address]
    root = Path(__file__).resolve().parents[2]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root)
    except OSError:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with contextlib.suppress(OSError):
        process.communicate()


def _asked(process: subprocess.Popen[bytes], ids: Sequence[str]) -> pa.Table:
    if process.stdin is None or process.stdout is None:
        raise OSError("no pipes")
    process.stdin.write(" ".join(ids).encode() + b"\n")
    process.stdin.flush()
    size = int(process.stdout.readline())
    data = process.stdout.read(size)
    if len(data) != size:
        raise OSError("it ended")
    return pa.ipc.open_stream(data).read_all()


def main(address: str) -> None:
    """Answer the lines of the standard input until it ends."""
    with Reader(Library(Path(address))) as reader, ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin.buffer:
            ids = line.decode().split()
            pairs = threads.map(lambda operation_id: _row(reader, operation_id), ids)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, SCHEMA) as stream:
                stream.write_table(table_of([pair for pair in pairs if pair is not None]))
            data = sink.getvalue()
            sys.stdout.buffer.write(b"%d\n" % data.size)
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    with contextlib.suppress(StorageError, BrokenPipeError, KeyboardInterrupt):
        main(sys.argv[1])
