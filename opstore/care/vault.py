"""The folder of backups: every content once, under its SHA-256, and one list a snapshot that says which name had which content.

```
objects/{sha256}                     the bytes; a file that did not change between two backups is there once
snapshots/{YYYYMMDDTHHMMSSZ}.sha256  lines `{sha256}  {path}`, as sha256sum writes and checks them
```
A snapshot exists when its list does, and the list is written last, when every object in it is durable; where old ones leave
(`pruning`), lists go first. Nothing is ever written over: a backup that is cut short leaves objects that the next one finds.
Names, not links, carry it, so that it survives any disk, any copy and any program; README.txt in the folder says how to take it
apart without opstore. Only this program's user may read it: the keys that sign share links are among the contents.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from opstore.care.progress import Report, quiet
from opstore.errors import FileMissing, InvalidInput, OpstoreError, StorageError, said, shown
from opstore.storage.files import Folder, digest, is_passing, storage_errors

HEAD = "# opstore-backup/1"
NEWLINE = b"\n"
SUFFIX = ".sha256"
#: How a snapshot is named after its moment, UTC.
NAME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"\A[0-9]{8}T[0-9]{6}Z\Z")
_HASH = re.compile(r"\A[0-9a-f]{64}\Z")
_LINE = re.compile(r"\A(?P<hash>[0-9a-f]{64})  (?P<path>.+)\Z")
_MAX_DEPTH = 8
README = """This folder holds backups made by opstore.

snapshots/*.sha256   one a backup: which file had which content
objects/             the contents, each under its SHA-256, each once

To look whether all contents are whole:
    cd objects && for f in *; do echo "$f  $f"; done | sha256sum --check --quiet

To take a backup apart without opstore, from inside this folder (SNAPSHOT is a name in snapshots/, TARGET an absolute path):
    grep -v '^#' snapshots/SNAPSHOT | while read -r hash path; do
      mkdir -p "TARGET/$(dirname "$path")" && cp "objects/$hash" "TARGET/$path"
    done

With opstore: python -m opstore restore THIS_FOLDER --data TARGET
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a backup holds: path below the data folder → SHA-256."""

    name: str
    files: Mapping[str, str]

    @property
    def moment(self) -> datetime:
        """Return when it was taken."""
        return datetime.strptime(self.name, NAME).replace(tzinfo=UTC)


class Vault(Protocol):
    """Where backups are kept."""

    def missing(self, wanted: Mapping[str, int]) -> set[str]:
        """Return those of `wanted` (SHA-256 → bytes) that are not there in that size."""

    def add(self, objects: Mapping[str, bytes]) -> None:
        """Keep contents, durably."""

    def finish(self, files: Mapping[str, str], moment: datetime) -> Snapshot:
        """Write a snapshot's list: from here on it exists."""

    def snapshots(self) -> list[str]:
        """Return the names of all snapshots, the newest first."""

    def load(self, name: str) -> Snapshot:
        """Return a snapshot; raise InvalidInput if there is none, or its list is not whole."""

    def prepare(self, wanted: Iterable[str]) -> None:
        """Bring contents near that will be read soon."""

    def read(self, sha256: str) -> bytes:
        """Return a content whose hash is right; raise StorageError for one that is damaged or not there."""


class LocalVault:
    """Backups in a folder of this machine."""

    def __init__(self, path: Path) -> None:
        """Speak of the folder at `path`; nothing is made before `open`."""
        self.path = path
        self.objects = Folder(path / "objects", private=True)
        self.lists = Folder(path / "snapshots", private=True)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Make the folder ready to be written to, by one backup at a time; raise InvalidInput for one that holds other things."""
        root = Folder(self.path)
        with storage_errors():
            if self.path.exists() and not self.path.is_dir():
                raise InvalidInput(reason=said("{path} is no folder", path=str(self.path)))
        strangers = {name for name in root.names() if not name.startswith(".")} - {
            "objects",
            "snapshots",
            "README.txt",
            "lost+found",
        }
        if strangers and not self.lists.path.is_dir():
            reason = said("{path} holds other files; name an empty folder, or one that holds backups", path=str(self.path))
            raise InvalidInput(reason=reason)
        for folder in (root, self.objects, self.lists):
            folder.make()
        with root.locked("backup"):
            if not root.has("README.txt"):
                root.create("readme", [{"README.txt": README.encode()}])
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let no backup leave meanwhile; where nothing can be written here, nobody removes one."""
        is_ours = self.lists.path.is_dir() and os.access(self.path, os.W_OK)
        with Folder(self.path).locked("backup") if is_ours else nullcontext():
            yield

    def missing(self, wanted: Mapping[str, int]) -> set[str]:
        """Return those that are not there in that size: one of another size is damaged, and is kept anew."""
        there = self.objects.present(list(wanted))
        return wanted.keys() - {name for name in there if self._size(name) == wanted[name]}

    def add(self, objects: Mapping[str, bytes]) -> None:
        """Keep contents, durably; a damaged one under the same name is replaced."""
        damaged = [name for name in self.objects.present(list(objects)) if self._size(name) != len(objects[name])]
        for name in damaged:
            self.objects.replace("objects", name, objects[name], None, private=True)
        fresh = {name: data for name, data in objects.items() if name not in damaged}
        self.objects.create("objects", [fresh], private=True)

    def finish(self, files: Mapping[str, str], moment: datetime) -> Snapshot:
        """Write the list; a second backup within a second is given the next one."""
        name = free_name(moment, self.snapshots())
        self.lists.create("snapshots", [{name + SUFFIX: listing(files)}], private=True)
        return Snapshot(name, dict(files))

    def snapshots(self) -> list[str]:
        """Return the names of all snapshots, the newest first."""
        names = (name.removesuffix(SUFFIX) for name in self.lists.names() if name.endswith(SUFFIX))
        return sorted(filter(is_snapshot, names), reverse=True)

    def load(self, name: str) -> Snapshot:
        """Return a snapshot; raise InvalidInput if there is none, or its list is not whole."""
        if not is_snapshot(name):
            raise InvalidInput(reason=said("{name} is not the name of a backup", name=shown(name)))
        try:
            return Snapshot(name, read_listing(self.lists.read(name + SUFFIX), name))
        except FileMissing:
            raise InvalidInput(reason=said("there is no backup {name} here", name=name)) from None

    def prepare(self, wanted: Iterable[str]) -> None:
        """Everything is near."""

    def read(self, sha256: str) -> bytes:
        """Return a content whose hash is right; raise StorageError for one that is damaged or not there."""
        try:
            data = self.objects.read(sha256)
        except FileMissing:
            raise StorageError(reason=said("the backup does not have the content {name}", name=sha256[:12])) from None
        if digest(data) != sha256:
            raise StorageError(reason=said("the backup's content {name} is damaged", name=sha256[:12]))
        return data

    def sizes(self) -> dict[str, int]:
        """Return every content that is there, and its bytes."""
        return {name: size for name, size in self.objects.sizes() if is_content(name)}

    def remove(self, snapshots: Iterable[str], contents: Iterable[str]) -> None:
        """Remove lists for good, and then contents that no other list names."""
        self.lists.remove("snapshots", [f"{name}{SUFFIX}" for name in snapshots if is_snapshot(name)])
        self.objects.remove("objects", [name for name in contents if is_content(name)])

    def check(self, report: Report = quiet) -> dict[str, str]:
        """Read every list and every content; return what is wrong, by name. Damaged contents are set aside, not removed.

        The next backup then keeps them anew, as long as the data folder still has them.
        """
        wrong: dict[str, str] = {}
        wanted: set[str] = set()
        for name in self.snapshots():
            try:
                wanted.update(self.load(name).files.values())
            except OpstoreError as error:
                wrong[name + SUFFIX] = str(error)
        names = sorted(name for name in self.objects.names() if is_content(name))
        for number, name in enumerate(names):
            report(number, len(names), said("reading the backup"))
            try:
                self.read(name)
            except OpstoreError as error:
                if is_passing(error):
                    raise
                wrong[name] = str(error)
                self.objects.set_aside(name, self.objects, f"{name}.damaged")
        for name in sorted(wanted - set(names)):
            wrong[name] = said("the backup does not have the content {name}", name=name[:12])
        return wrong

    def _size(self, name: str) -> int | None:
        try:
            return self.objects.size(name)
        except OpstoreError as error:
            if is_passing(error):
                raise
            return None


def is_snapshot(name: str) -> bool:
    """Say whether a snapshot may be called so."""
    return bool(_NAME.match(name))


def is_content(name: str) -> bool:
    """Say whether a content may be called so."""
    return bool(_HASH.match(name))


def free_name(moment: datetime, taken: Collection[str]) -> str:
    """Return the name of a snapshot of that moment; a second one within a second is given the next."""
    while (name := f"{moment.astimezone(UTC):{NAME}}") in taken:
        moment += timedelta(seconds=1)
    return name


def listing(files: Mapping[str, str]) -> bytes:
    """Return a snapshot's list; its last line has the hash of all before it, so that a list cut short is known as such."""
    body = "\n".join([HEAD, *(f"{sha256}  {path}" for path, sha256 in sorted(files.items()))]).encode() + b"\n"
    return body + _last_line(body)


def _last_line(body: bytes) -> bytes:
    return f"# {body.count(NEWLINE) - 1} files, {digest(body)}\n".encode()


def read_listing(data: bytes, name: str) -> dict[str, str]:
    """Return path → SHA-256 from a snapshot's list; raise InvalidInput for one that is not whole, or names a path outside."""
    body = data[: data.rfind(NEWLINE, 0, -1) + 1]
    if not body.startswith(HEAD.encode() + NEWLINE) or data != body + _last_line(body):
        raise InvalidInput(reason=said("the list of the backup {name} is damaged; choose another one", name=name))
    files = {}
    for line in body.decode("utf-8", "replace").rstrip("\n").split("\n")[1:]:
        found = _LINE.match(line)
        if found is None or not is_safe(found["path"].split("/")):
            raise InvalidInput(reason=said("the list of the backup {name} names what is no file of a data folder", name=name))
        files[found["path"]] = found["hash"]
    return files


def is_safe(parts: Sequence[str]) -> bool:
    """Say whether a path below the data folder is one that a backup takes and gives back: nothing hidden, nothing above."""
    plain = all(part and part.isprintable() and not part.startswith(".") and "\\" not in part for part in parts)
    return plain and len(parts) <= _MAX_DEPTH and parts[0] != "cache"
