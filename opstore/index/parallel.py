"""Reads very many sidecars in processes of their own, and makes their rows ready there: the writer and the app need the
interpreter's lock for other things.

`python -m opstore.index.parallel FOLDER` answers each line, a request, with a line of what was read. A process that cannot be
started, or dies, is done without: then its ids are read in this one.
"""

from __future__ import annotations

import contextlib
import gc
import json
import queue
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from opstore.errors import StorageError
from opstore.index import order
from opstore.index.observed import Broken, Observed
from opstore.index.reader import THREADS, Reader
from opstore.index.ready import Part, Ready, Tally, ready
from opstore.index.sqlite import Connection
from opstore.index.table import Entry

#: Processes are started for more operations than these: to start one takes as long as to read 5,000.
WORTHWHILE = 20_000
PROCESSES = 2
CHUNK = 500


@dataclass(slots=True)
class Vocabulary:
    """The numbered names of one file of the index, as far as they are known here; names are only added."""

    born: int = 0
    rows: list[tuple[int, str, str]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def learn(self, connection: Connection) -> Vocabulary:
        """Return what a connection knows of its file: this one with what has been added, or another file's."""
        own = self if self.born == connection.born else Vocabulary(connection.born)
        connection.learn()
        added = [(number, *name) for name, number in connection.words.items() if number not in own.names]
        own.names |= {number: text for number, _, text in added}
        own.rows += added
        return own


@dataclass(slots=True)
class _Process:
    """A process, and how many names of which file it was told."""

    popen: subprocess.Popen[bytes]
    born: int = 0
    told: int = 0

    def ask(self, ids: Sequence[str], vocabulary: Vocabulary) -> Part:
        """Let it read; raise OSError or ValueError where it does not answer."""
        if self.popen.stdin is None or self.popen.stdout is None:
            raise OSError("no pipes")
        if self.born != vocabulary.born:
            self.born, self.told = vocabulary.born, 0
        news = vocabulary.rows[self.told :]
        self.told += len(news)
        self.popen.stdin.write(json.dumps([self.born, news, ids]).encode() + b"\n")
        self.popen.stdin.flush()
        return _unpacked(json.loads(self.popen.stdout.readline()), vocabulary)

    def end(self) -> None:
        """Kill it."""
        self.popen.kill()
        with contextlib.suppress(OSError):
            self.popen.communicate()


class Processes:
    """Some processes that read from one folder."""

    def __init__(self, reader: Reader, path: Path) -> None:
        """Read from the folder at `path`, inside a `with`; `reader` is the one to fall back on."""
        self._reader = reader
        self._path = path
        self._vocabulary = Vocabulary()
        self._idle: queue.SimpleQueue[_Process | None] = queue.SimpleQueue()
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
                process.end()

    def learn(self, connection: Connection) -> None:
        """Make the rows that are read from now on of the names that a connection knows."""
        self._vocabulary = self._vocabulary.learn(connection)

    def read_many(self, ids: Sequence[str]) -> Iterator[Part]:
        """Begin to read in parallel, and return an iterator of what was read."""
        return self._threads.map(self._read, [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)])

    def _started(self) -> _Process | None:
        command = [sys.executable, "-m", "opstore.index.parallel", str(self._path.resolve())]
        root = Path(__file__).resolve().parents[2]
        try:
            popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root)
        except OSError:
            return None
        return _Process(popen)

    def _read(self, ids: Sequence[str]) -> Part:
        process = self._idle.get()
        try:
            if process is not None:
                try:
                    return process.ask(ids, self._vocabulary)
                except (OSError, ValueError):
                    process.end()
                    process = None
            return Part(others={operation_id: self._reader.read(operation_id) for operation_id in ids})
        finally:
            self._idle.put(process)


# -- what goes through the pipe ------------------------------------------------------------------------------------------


def _packed(part: Part) -> list[Any]:
    pairs = [(*pair, n) for pair, n in part.tally.pairs.items()]
    others = [[operation_id, _packed_one(observed)] for operation_id, observed in part.others.items()]
    return [part.ready, list(part.tally.words.items()), pairs, others]


def _unpacked(answer: list[Any], vocabulary: Vocabulary) -> Part:
    rows, words, pairs, others = answer
    tally = Tally(Counter(dict(words)), Counter({(size, name): n for size, name, n in pairs}))
    found = {operation_id: _unpacked_one(packed) for operation_id, packed in others}
    return Part([Ready(*row) for row in rows], tally, found, vocabulary.names, vocabulary.born)


def _packed_one(observed: Observed | None) -> list[Any] | None:
    if observed is None:
        return None
    item, stamp = observed
    return [stamp, *(getattr(item, name) for name in item.__slots__)]


def _unpacked_one(packed: list[Any] | None) -> Observed | None:
    if packed is None:
        return None
    stamp = packed[0]
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in packed[1:]]
    return (Broken(*values) if len(values) == len(Broken.__slots__) else Entry(*values)), stamp


# -- the process ---------------------------------------------------------------------------------------------------------


def main(folder: str) -> None:
    """Answer the lines of the standard input until it ends."""
    gc.disable()  # what is read is thrown away whole, and the process with it: a look for cycles is a tenth of its time
    numbers: dict[tuple[str, str], int] = {}
    known = 0
    with Reader(Path(folder)) as reader, ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin.buffer:
            born, names, ids = json.loads(line)
            if born != known:
                known, numbers = born, {}
            numbers |= {(name, text): number for number, name, text in names}
            part = Part()
            for operation_id, observed in reader.read_many(ids, threads):
                _add(part, operation_id, observed, numbers)
            sys.stdout.buffer.write(json.dumps(_packed(part)).encode() + b"\n")
            sys.stdout.buffer.flush()


def _add(part: Part, operation_id: str, observed: Observed | None, numbers: dict[tuple[str, str], int]) -> None:
    """Add what was read, as a row where all its names have numbers."""
    if observed is not None and isinstance(item := observed[0], Entry):
        try:
            part.ready.append(ready(item, observed[1], order.wanted(operation_id), numbers, part.tally))
        except KeyError:
            pass
        else:
            return
    part.others[operation_id] = observed


if __name__ == "__main__":
    with contextlib.suppress(StorageError, BrokenPipeError, KeyboardInterrupt):
        main(sys.argv[1])
