"""Reads very many sidecars in processes of their own, and makes their rows ready there: the writer and the app need the
interpreter's lock for other things.

`python -m opstore.index.parallel FOLDER` answers each question on its standard input with what was read. A process that cannot be
started, or dies, is done without: then its ids are read in this one.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from opstore.errors import StorageError
from opstore.index.dictionary import Kind, Kinds
from opstore.index.entry import Entry
from opstore.index.observed import Observed
from opstore.index.prepared import Part, ready
from opstore.index.reader import THREADS, Reader
from opstore.index.sqlite import Connection
from opstore.storage.packs import Library

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
        """Let it read; raise OSError, EOFError or ValueError where it does not answer."""
        if self.popen.stdin is None or self.popen.stdout is None:
            raise OSError("no pipes")
        if self.born != vocabulary.born:
            self.born, self.told = vocabulary.born, 0
        news = vocabulary.rows[self.told :]
        self.told += len(news)
        _send(self.popen.stdin, _Question(self.born, news, list(ids)))
        part = _ANSWER.decode(_received(self.popen.stdout))
        part.names, part.born = vocabulary.names, vocabulary.born
        return part

    def end(self) -> None:
        """Kill it."""
        self.popen.kill()
        with contextlib.suppress(OSError):
            self.popen.communicate()


class Processes:
    """Some processes that read from one folder."""

    def __init__(self, reader: Reader, operations: Library) -> None:
        """Read from `operations`, inside a `with`; `reader` is the one to fall back on."""
        self._reader = reader
        self._operations = operations
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
        command = [sys.executable, "-m", "opstore.index.parallel", self._operations.address]
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
                except (OSError, EOFError, ValueError):
                    process.end()
                    process = None
            return Part(others={operation_id: self._reader.read(operation_id) for operation_id in ids})
        finally:
            self._idle.put(process)


# -- what goes through the pipes -----------------------------------------------------------------------------------------


class _Question(msgspec.Struct, array_like=True):
    """Ids to be read, the file whose numbers are wanted, and its names that have not been told."""

    born: int
    names: list[tuple[int, str, str]]
    ids: list[str]


_LENGTH = 8
_ENCODER = msgspec.msgpack.Encoder()
_QUESTION, _ANSWER = msgspec.msgpack.Decoder(_Question), msgspec.msgpack.Decoder(Part)


def _send(pipe: IO[bytes], message: _Question | Part) -> None:
    data = _ENCODER.encode(message)
    pipe.write(len(data).to_bytes(_LENGTH))
    pipe.write(data)
    pipe.flush()


def _received(pipe: IO[bytes]) -> bytes:
    """Return a message; raise EOFError if none comes any more."""
    length = pipe.read(_LENGTH)
    data = pipe.read(int.from_bytes(length)) if length else b""
    if not data:
        raise EOFError
    return data


# -- the process ---------------------------------------------------------------------------------------------------------


def main(address: str) -> None:
    """Answer the questions on the standard input until it ends."""
    os.nice(1)  # of three processes on two processors the writer should never be the one that waits
    gc.disable()  # what is read is thrown away whole, and the process with it: a look for cycles is a tenth of its time
    numbers: dict[tuple[str, str], int] = {}
    kinds, known = Kinds(numbers), 0
    with Reader(Library(Path(address))) as reader, ThreadPoolExecutor(THREADS) as threads:
        while True:
            question = _QUESTION.decode(_received(sys.stdin.buffer))
            if question.born != known:
                numbers = {}
                kinds, known = Kinds(numbers), question.born
            numbers |= {(name, text): number for number, name, text in question.names}
            _send(sys.stdout.buffer, _part(reader.read_many(question.ids, threads), kinds))


def _part(read: Iterable[tuple[str, Observed | None]], kinds: Kinds) -> Part:
    """Return what was read: as rows where all names have numbers."""
    part = Part()
    counts: dict[Kind, int] = {}
    for operation_id, observed in read:
        if observed is not None and isinstance(item := observed[0], Entry):
            try:
                kind = kinds.of(item)
            except KeyError:
                pass
            else:
                part.ready.append(ready(item, observed[1], kind))
                counts[kind] = counts.get(kind, 0) + 1
                continue
        part.others[operation_id] = observed
    for kind, n in counts.items():
        part.tally.count(kind, n)
    return part


if __name__ == "__main__":
    with contextlib.suppress(StorageError, EOFError, BrokenPipeError, KeyboardInterrupt):
        main(sys.argv[1])
