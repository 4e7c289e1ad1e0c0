"""The embedded engine: the index's file, its tables and its connections; whatever happens to the file, there is one that works.

The file is a cache. One that is missing, damaged or of another version is replaced by an empty one, and the follower fills it.
Opening and replacing happen under a kernel lock, so that processes that share the file never meet half a replacement; a process
that still has the old file open notices at its next use, since the path then leads to another inode.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opstore.errors import StorageError, said
from opstore.index.beginnings import Beginnings
from opstore.index.dictionary import Kinds
from opstore.index.entry import KEPT
from opstore.storage.files import Folder

_APPLICATION = 0x6F707374  # "opst"
#: Seconds to wait for another process's transaction: 3.4 s were seen with four processes writing all the time.
TIMEOUT = 15.0

_FIELDS = ", ".join(f"{name} {kept.column}".rstrip() for name, kept in KEPT.items())
# Numbers instead of names (`word`), one copy of each prompt, no copy of the JSON. `pair` counts how often a coarse cost or time
# goes with a type or model: what never does need not be looked for, at 100 ms, in two lists of half a million each. Of the
# full-text table: `prefix` costs 60 bytes an operation and makes `pl*` 0.4 ms instead of 54 ms at a million; without `columnsize`
# it cannot rank, which nobody asks of it.
TABLES = f"""
CREATE TABLE word (id INTEGER PRIMARY KEY, field TEXT NOT NULL, text TEXT NOT NULL, n INTEGER NOT NULL, UNIQUE (field, text));
CREATE TABLE pair (size INTEGER, name INTEGER, n INTEGER NOT NULL, PRIMARY KEY (size, name)) WITHOUT ROWID;
CREATE TABLE prompt (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE prompt_hash (hash INTEGER, id INTEGER, PRIMARY KEY (hash, id)) WITHOUT ROWID;
CREATE TABLE op (
  at INTEGER PRIMARY KEY, key NOT NULL, stamp INTEGER NOT NULL, prompt INTEGER NOT NULL, {_FIELDS}
);
CREATE TABLE content (key INTEGER PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE block (n INTEGER PRIMARY KEY, is_sorted INTEGER NOT NULL, keys BLOB NOT NULL);
CREATE TABLE stray (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE problem (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, stamp INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE change (n INTEGER PRIMARY KEY, id TEXT NOT NULL);
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE body USING fts5 (
  text, content='', columnsize=0, prefix='2', tokenize='unicode61 remove_diacritics 2'
);
"""

#: What the full-text engine may hold before it writes a list in the middle of a transaction: all of one of 20,000 rows.
_HASH_BYTES = 64 * 1024 * 1024
#: Pages in the log at which they are moved into the file: the engine's own choice; and while very many rows come, of which every
#: batch touches the same thousands.
_PAGES, _MANY_PAGES = 1_000, 16_000
#: Made when there are rows (`deferred`).
COLUMN_INDEXES = {f"op_{column}": f"CREATE INDEX op_{column} ON op ({column})" for column in ("cost", "prompt", "elapsed")}

#: Raise this when the same tables come to hold something else.
_CONTENT = 9
#: A file of another number is replaced; it changes with the tables by itself.
SCHEMA = zlib.crc32(f"{_CONTENT}{TABLES}{COLUMN_INDEXES}".encode()) & 0x7FFFFFFF

# What says that the file is at fault; an error without a code is the driver's, who could not read what it got.
_DAMAGE = (
    None,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CONSTRAINT,
)
# What is an input or output error to the engine and says nothing of the file: there was no room to write, or no memory.
_PASSING = (
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_NOMEM,
)
_MISSING = ("no such table", "no such column", "no such module", "vtable constructor failed")


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code in _PASSING:
        return False
    return (code if code is None else code & 0xFF) in _DAMAGE or str(error).startswith(_MISSING)


class Damaged(Exception):
    """The index's file cannot be trusted, or is gone: try again, with the new one."""


class Connection(sqlite3.Connection):
    """A connection that remembers the numbered names (`word`): they are added to, never changed, as long as there is the file."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Open as sqlite3 does."""
        super().__init__(*args, **options)
        self.beginnings = Beginnings(self)
        self.words: dict[tuple[str, str], int] = {}
        self.names: dict[int, str] = {}
        self.kinds = Kinds(self.words)
        #: When the file was made: tells it from another one at the same path, whose numbers are others.
        self.born = 0
        self._has_indexes = False

    def has_indexes(self) -> bool:
        """Say whether the indexes of columns are there, which come at the end of a first build."""
        if not self._has_indexes:
            found = self.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('op_cost', 'op_elapsed')").fetchone()[0]
            self._has_indexes = found == 2
        return self._has_indexes

    def learn(self) -> None:
        """Read the names that have been added."""
        newest = max(self.names, default=0)
        for number, field, text in self.execute("SELECT id, field, text FROM word WHERE id > ? ORDER BY id", (newest,)):
            self.words[field, text] = number
            self.names[number] = text


class Database:
    """The index's file as the threads of this process use it."""

    def __init__(self, path: Path) -> None:
        """Speak of the file at `path`, made at the first use."""
        self.path = path
        self._idle: list[tuple[Connection, tuple[int, int], int | None]] = []
        self._lock = threading.Lock()
        #: FrameVersion by the one thread of this process that writes.
        self.write_lock = threading.RLock()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection whose every answer is of one moment, whoever writes meanwhile.

        Raise Damaged where the file turned out to be no good, and StorageError if there can be no connection.
        """
        with self._lent() as connection:
            connection.execute("BEGIN")
            yield connection

    @contextlib.contextmanager
    def _lent(self) -> Iterator[Connection]:
        connection, file = self._take()
        try:
            yield connection
        except sqlite3.Error as error:
            connection.close()
            raise self._judged(error, file) from error
        except BaseException:
            connection.close()  # whatever it was in the middle of
            raise
        self._give_back(connection, file)

    @contextlib.contextmanager
    def writing(self, relaxed: bool = False) -> Iterator[Connection]:
        """Lend a connection inside a transaction that is committed at the end, or rolled back.

        A `relaxed` one does not wait for the disk: after a power cut the follower would do it again.
        """
        with self.write_lock, self._lent() as connection:
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if relaxed else 'FULL'}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_MANY_PAGES if relaxed else _PAGES}")
            # IMMEDIATE: a transaction that reads and then writes fails at once when another process has written between.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _, _ in idle:
            connection.close()

    def install(self, rebuilt: Path) -> None:
        """Put a complete file, closed, in the place of the present one; raise StorageError where all of it is not in it."""
        if rebuilt.with_name(f"{rebuilt.name}-wal").exists():  # the engine moves it into the file at the end, if there is room
            raise StorageError(reason=said("the index cannot be made"))
        with self._guarded():
            remove(self.path)
            rebuilt.replace(self.path)
        self.close()

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _take(self) -> tuple[Connection, tuple[int, int]]:
        file, log = _identity(self.path), self._log()
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            if idle is None:
                return self._open()
            if idle[1:] == (file, log):
                return idle[:2]
            idle[0].close()  # the file was replaced or deleted meanwhile
            if idle[1] == file:
                # Only its log was, which the engine never does while somebody has it open: what stood in it is lost.
                self._throw_away(file)
                file = None

    def _give_back(self, connection: Connection, file: tuple[int, int]) -> None:
        if connection.in_transaction:
            connection.rollback()
        with self._lock:
            if len(self._idle) < 8:
                self._idle.append((connection, file, self._log()))
                return
        connection.close()

    def _log(self) -> int | None:
        found = _identity(self.path.with_name(f"{self.path.name}-wal"))
        return found[1] if found else None

    def _throw_away(self, file: tuple[int, int]) -> None:
        with self._guarded():
            if _identity(self.path) == file:  # and not one that somebody has put in its place
                remove(self.path)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        folder = Folder(self.path.parent)
        folder.make()
        with folder.locked("index"):
            yield

    def _open(self) -> tuple[Connection, tuple[int, int]]:
        with self._guarded():
            for _ in range(3):
                file = _identity(self.path)
                if file is None:
                    self._create()
                    continue
                try:
                    return _connected(self.path), file
                except Damaged:
                    remove(self.path)
                except sqlite3.Error as error:
                    raise _storage(error) from error
        raise StorageError(reason=said("the index cannot be made"))

    def _create(self) -> None:
        """Make an empty index beside its place and move it there: nobody ever opens half of one."""
        remove(self.path)  # a log that is left of a deleted file must not be taken for the new one's
        made = self.path.with_name(f".{self.path.name}.new")
        make(made)
        os.replace(made, self.path)

    def _judged(self, error: sqlite3.Error, file: tuple[int, int]) -> Exception:
        """Return what to raise for an error of the engine; a file that is at fault is thrown away, unless somebody has."""
        if isinstance(error, sqlite3.ProgrammingError):
            return error
        if not _is_damage(error) and _identity(self.path) == file:
            return _storage(error)
        self._throw_away(file)
        return Damaged(str(error))


def remove(path: Path) -> None:
    """Remove an index, and what the engine keeps beside it."""
    # The log before the file would leave, for a moment, a file without its last transactions: the file goes first.
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def make(path: Path) -> None:
    """Make an empty index at `path`; raise StorageError where there is no room for one."""
    remove(path)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {SCHEMA}; {TABLES}"
            f"INSERT INTO state VALUES ('born', {time.time_ns()}), ('changes', 0);"
            f"INSERT INTO body (body, rank) VALUES ('hashsize', {_HASH_BYTES}); COMMIT;"
        )
    except sqlite3.Error as error:
        raise _storage(error) from error
    finally:
        connection.close()


def _connected(path: Path) -> Connection:
    """Open an index; raise Damaged for a file that is none of ours, or of another version."""
    connection = sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None, check_same_thread=False, factory=Connection)
    try:
        connection.execute("PRAGMA cache_size = -32000")
        # Some builds of the engine overwrite every page that is freed: merging the lists of a million operations frees 40,000.
        connection.execute("PRAGMA secure_delete = FAST")
        version = connection.execute(
            "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version"
        ).fetchone()
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        count = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('op', 'word', 'prompt', 'body')"
        ).fetchone()[0]
        if version == (_APPLICATION, SCHEMA) and mode == "wal" and count == 4:
            connection.born = connection.execute("SELECT value FROM state WHERE key = 'born'").fetchone()[0]
            return connection
    except sqlite3.Error as error:
        connection.close()
        if _is_damage(error):
            raise Damaged(str(error)) from error
        raise
    connection.close()
    raise Damaged("another version")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(reason=os.strerror(error.errno or 0)) from error
    return state.st_dev, state.st_ino


def _storage(error: sqlite3.Error) -> StorageError:
    return StorageError(reason=said("the index: {reason}", reason=str(error)))
