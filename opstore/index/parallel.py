"""Reads very many sidecars in processes of their own: decoding holds the interpreter's lock, which the writer and the app need.

`python -m opstore.index.parallel FOLDER` answers each line of ids with a line of what was read. A process that cannot be started,
or dies, is done without: then its ids are read in this one.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from opstore.errors import StorageError
from opstore.index.reader import THREADS, Observed, Reader
from opstore.index.table import Entry
from opstore.index.writer import Broken

#: Processes are started for more operations than these: to start one takes as long as to read 5,000.
WORTHWHILE = 20_000
PROCESSES = 2
CHUNK = 250

_NAMES = tuple(field.name for field in fields(Entry))
_values = attrgetter(*_NAMES)
_LISTS = tuple(_NAMES.index(name) for name in ("tags", "parents", "contents"))

Answer = tuple[str, Observed | None]


class Processes:
    """Some processes that read from one folder."""

    def __init__(self, reader: Reader, path: Path) -> None:
        """Read from the folder at `path`, inside a `with`; `reader` is the one to fall back on."""
        self._reader = reader
        self._path = path
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(PROCESSES, thread_name_prefix="opstore-read")

    def __enter__(self) -> Self:
        """Start the processes."""
        for _ in range(PROCESSES):
            self._idle.put(self._started())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End them."""
        self._threads.shutdown(cancel_futures=True)
        for _ in range(PROCESSES):
            process = self._idle.get()
            if process is not None:
                self._end(process)

    def read_many(self, ids: Sequence[str]) -> Iterator[Answer]:
        """Begin to read in parallel, and return an iterator of every id with what was read, in the order given."""
        chunks = [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
        results = self._threads.map(self._read, chunks)
        return (pair for found in results for pair in found)

    def _started(self) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-m", "opstore.index.parallel", str(self._path.resolve())]
        root = Path(__file__).resolve().parents[2]
        try:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root)
        except OSError:
            return None

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        with contextlib.suppress(OSError):
            process.communicate()

    def _read(self, ids: Sequence[str]) -> list[Answer]:
        process = self._idle.get()
        try:
            if process is not None:
                try:
                    return _asked(process, ids)
                except (OSError, ValueError):
                    self._end(process)
                    process = None
            return [(operation_id, self._reader.read(operation_id)) for operation_id in ids]
        finally:
            self._idle.put(process)


def _asked(process: subprocess.Popen[bytes], ids: Sequence[str]) -> list[Answer]:
    if process.stdin is None or process.stdout is None:
        raise OSError("no pipes")
    process.stdin.write(" ".join(ids).encode() + b"\n")
    process.stdin.flush()
    answers = json.loads(process.stdout.readline())
    return [(operation_id, _unpacked(packed)) for operation_id, packed in zip(ids, answers, strict=True)]


def _packed(observed: Observed | None) -> list[Any] | None:
    if observed is None:
        return None
    item, stamp = observed
    return [stamp, item.id, item.kind, item.reason] if isinstance(item, Broken) else [stamp, *_values(item)]


def _unpacked(packed: list[Any] | None) -> Observed | None:
    if packed is None:
        return None
    stamp, *values = packed
    if len(values) != len(_NAMES):
        return Broken(*values), stamp
    for at in _LISTS:
        values[at] = tuple(values[at])
    return Entry(*values), stamp


def main(folder: str) -> None:
    """Answer the lines of the standard input until it ends."""
    with Reader(Path(folder)) as reader, ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin.buffer:
            found = [_packed(observed) for _, observed in reader.read_many(line.decode().split(), threads)]
            sys.stdout.buffer.write(json.dumps(found).encode() + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    with contextlib.suppress(StorageError, BrokenPipeError, KeyboardInterrupt):
        main(sys.argv[1])
