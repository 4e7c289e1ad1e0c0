"""One pack: the files of a month's operations in a SQLite file; every change is one transaction that survives a power cut.

The rollback journal (no WAL) keeps it one file that can be copied at rest. What is dropped is overwritten (`secure_delete`): who
removes an operation for good wants nothing of it to stay. Nothing in the file is trusted: tables must be tables, names must pass
the grammar and be of the month, contents must have the hash they are kept under.

The file must not be opened by other means in a process that uses it: closing it would let go of SQLite's locks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from opstore.errors import DamagedPack, said
from opstore.storage.files import storage_errors
from opstore.storage.names import parse_name
from opstore.storage.packs.codecs import Codec, Encoded, Undecodable

#: "opak" in the file's header (`PRAGMA application_id`), and the version of the format (`PRAGMA user_version`).
APPLICATION, VERSION = 0x6F70616B, 1
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE contents (
  id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, codec TEXT NOT NULL, data BLOB NOT NULL
);
CREATE TABLE files (name TEXT PRIMARY KEY, content INTEGER NOT NULL REFERENCES contents (id), modified INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE INDEX files_content ON files (content);
"""
_TABLES = {"meta", "contents", "files"}
#: Seconds for which a change waits for another one.
_PATIENCE = 30.0
#: What SQLite says where the system is to blame and not the file.
_SYSTEM = {
    "locked": errno.EBUSY,
    "busy": errno.EBUSY,
    "out of memory": errno.ENOMEM,
    "unable to open": errno.EMFILE,
    "disk I/O": errno.EIO,
    "full": errno.ENOSPC,
    "readonly": errno.EROFS,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a pack says of a file: its size and time (nanoseconds since 1970), its content's hash, and the bytes it takes."""

    name: str
    size: int
    modified: int
    sha256: bytes
    stored: int


def empty(month: str, dictionary: bytes | None) -> bytes:
    """Return the file of a pack that holds nothing yet."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.executescript(_SCHEMA)
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute(f"PRAGMA user_version = {VERSION}")
        rows = {"format": "opstore-pack/1", "month": month} | ({"dictionary": dictionary} if dictionary else {})
        database.executemany("INSERT INTO meta VALUES (?, ?)", rows.items())
        return database.serialize()


class Pack:
    """An open pack; many threads may use it. Raise DamagedPack for what cannot be read, StorageError for what passes."""

    def __init__(self, path: Path, month: str, *, read_only: bool = False) -> None:
        """Open the pack at `path`, of operations whose ids begin with the six digits `month`; `read_only` writes nothing."""
        self.path = path
        self.month = month
        self._lock = threading.Lock()
        with self._errors():
            # A change that was cut short is rolled back, even by a reader, but by one that may not write.
            address = f"file:{quote(os.fsencode(path.absolute()))}?mode={'ro' if read_only else 'rw'}"
            self._database = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None, timeout=_PATIENCE)
        try:
            with self._errors():
                self._codec = Codec(self._begin())
        except BaseException:
            self._database.close()
            raise

    def _begin(self) -> bytes | None:
        """Set the connection up, look whether this is a pack, and return its dictionary."""
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "secure_delete = ON", "cache_spill = OFF"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("PRAGMA synchronous = EXTRA")
        marks = [self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        others = self._database.execute("SELECT count(*) FROM sqlite_schema WHERE type IN ('view', 'trigger')").fetchone()[0]
        if marks != [APPLICATION, VERSION] or not tables >= _TABLES or others:
            raise DamagedPack(name=self.path.name, reason=said("it is no pack of this version"))
        found = self._database.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()
        return bytes(found[0]) if found and isinstance(found[0], bytes) else None

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._database.close()

    # -- reading ---------------------------------------------------------------------------------------------------------

    def entry(self, name: str) -> Entry | None:
        """Return what is known of a file, None where it is not here."""
        return next(iter(self._entries("WHERE name = ?", (name,))), None)

    def of(self, operation_id: str) -> list[Entry]:
        """Return the files of an operation, by name."""
        # Every name of it begins with its id and a dot or an underscore; "`" follows the underscore.
        found = self._entries("WHERE name >= ? AND name < ?", (f"{operation_id}.", f"{operation_id}`"))
        return [entry for entry in found if (parts := parse_name(entry.name)) and parts.operation_id == operation_id]

    def entries(self) -> list[Entry]:
        """Return all files, by name."""
        return self._entries("", ())

    def names(self) -> list[str]:
        """Return the names of all files, in order."""
        with self._lock, self._errors():
            rows = self._database.execute("SELECT name FROM files ORDER BY name").fetchall()
        return [name for (name,) in rows if self._is_own(name)]

    def sidecars(self) -> list[tuple[str, int, int]]:
        """Return the id of every operation, and its sidecar's size and time."""
        with self._lock, self._errors():
            query = "SELECT name, size, modified FROM files JOIN contents ON id = content WHERE name LIKE '%.json' ORDER BY name"
            rows = self._database.execute(query).fetchall()
        return [(name[:-5], int(size), int(modified)) for name, size, modified in rows if self._is_own(name)]

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, None where it is not here."""
        query = "SELECT codec, data, size, sha256 FROM files JOIN contents ON id = content WHERE name = ?"
        with self._errors(name):
            with self._lock:
                row = self._database.execute(query, (name,)).fetchone()
                if row is None:
                    return None
                encoded = Encoded(str(row[0]), _whole(row[1]), int(row[2]), _whole(row[3]))
                if encoded.codec.startswith("zstd"):
                    return self._codec.decode(encoded)
            return self._codec.decode(encoded)  # a picture takes 15 ms: others need not wait

    def raw(self, name: str) -> bytes:
        """Return a file as it is packed, for somebody to look into what cannot be read."""
        with self._lock, self._errors(name):
            row = self._database.execute(
                "SELECT data FROM files JOIN contents ON id = content WHERE name = ?", (name,)
            ).fetchone()
        return _whole(row[0]) if row else b""

    def check(self) -> None:
        """Read every page; raise DamagedPack where they do not fit together."""
        with self._lock, self._errors():
            answer = self._database.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if answer != "ok":
            raise DamagedPack(name=self.path.name, reason=said("its pages do not fit together"))

    def strangers(self) -> list[str]:
        """Return the names in it that are no names of this month's files."""
        with self._lock, self._errors():
            rows = self._database.execute("SELECT name FROM files ORDER BY name").fetchall()
        return [str(name) for (name,) in rows if not self._is_own(name)]

    # -- writing ---------------------------------------------------------------------------------------------------------

    def encode(self, name: str, data: bytes) -> Encoded:
        """Return a file's bytes as this pack would keep them."""
        return self._codec.encode(data, text=name.endswith(".json"))

    def add(self, files: Mapping[str, tuple[int, Encoded]]) -> None:
        """Keep files (name → time and content), durably and all at once; those of the same names give way."""
        with self._lock, self._errors(), self._changing() as database:
            before = self._contents_of(files)
            for name, (modified, encoded) in files.items():
                database.execute(
                    "INSERT INTO contents (sha256, size, codec, data) VALUES (?, ?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
                    (encoded.sha256, encoded.size, encoded.codec, encoded.data),
                )
                content = "(SELECT id FROM contents WHERE sha256 = ?)"
                database.execute(f"INSERT OR REPLACE INTO files VALUES (?, {content}, ?)", (name, encoded.sha256, modified))
            self._forget(before)

    def drop(self, names: Sequence[str]) -> None:
        """Let go of files, durably and all at once; contents that no other file has are overwritten."""
        with self._lock, self._errors(), self._changing() as database:
            before = self._contents_of(names)
            database.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in names])
            self._forget(before)

    def is_empty(self) -> bool:
        """Say whether no file is left."""
        with self._lock, self._errors():
            return self._database.execute("SELECT 1 FROM files LIMIT 1").fetchone() is None

    def shrink(self) -> None:
        """Give back to the disk what dropped files took."""
        with self._lock, self._errors():
            self._database.execute("PRAGMA incremental_vacuum").fetchall()

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _entries(self, where: str, values: tuple[str, ...]) -> list[Entry]:
        query = (
            f"SELECT name, size, modified, sha256, length(data) FROM files JOIN contents ON id = content {where} ORDER BY name"
        )
        with self._lock, self._errors():
            rows = self._database.execute(query, values).fetchall()
            return [Entry(row[0], int(row[1]), int(row[2]), _whole(row[3]), int(row[4])) for row in rows if self._is_own(row[0])]

    def _is_own(self, name: object) -> bool:
        parts = parse_name(name) if isinstance(name, str) else None
        return parts is not None and parts.operation_id.startswith(self.month)

    def _contents_of(self, names: Iterable[str]) -> set[int]:
        rows = (self._database.execute("SELECT content FROM files WHERE name = ?", (name,)).fetchone() for name in names)
        return {row[0] for row in rows if row}

    def _forget(self, contents: Iterable[int]) -> None:
        """Remove those of `contents` that no file has any more."""
        query = "DELETE FROM contents WHERE id = ? AND NOT EXISTS (SELECT 1 FROM files WHERE content = ?)"
        self._database.executemany(query, [(content, content) for content in contents])

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _errors(self, name: str | None = None) -> Iterator[None]:
        """Turn what goes wrong into the tree's errors."""
        try:
            yield
        except Undecodable as error:
            raise DamagedPack(name=name or self.path.name, reason=error.args[0]) from error
        except (sqlite3.Error, sqlite3.Warning) as error:
            code = next((code for words, code in _SYSTEM.items() if words in str(error)), None)
            if isinstance(error, sqlite3.OperationalError) and code is not None:
                with storage_errors():
                    raise OSError(code, str(error)) from error
            raise DamagedPack(name=name or self.path.name, reason=said("the file is damaged")) from error
        except (TypeError, ValueError) as error:  # a value that is none of its column's kind
            raise DamagedPack(name=name or self.path.name, reason=said("the file is damaged")) from error


def _whole(value: object) -> bytes:
    """Return a value that is bytes; raise TypeError for any other: of a number, `bytes` would make as many zeros."""
    if isinstance(value, bytes):
        return value
    raise TypeError(type(value).__name__)
