"""Backups anywhere that rclone reaches: the same folder of backups, written and read through the `rclone` program.

What is sent is put into a folder of the cache first, sent, compared with what arrived, and only then is the snapshot's list sent:
over there, too, a snapshot exists only when all its contents do. opstore knows no password: remotes are set up with rclone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from opstore.care.vault import NAME, SUFFIX, LocalVault, Snapshot, free_name, is_content, is_snapshot
from opstore.errors import InvalidInput, StorageError, said
from opstore.storage.files import Folder, storage_errors

#: `name:path` or `:backend:path`, as rclone writes remotes; a name of one letter would be a drive elsewhere.
_REMOTE = re.compile(r"\A:?[A-Za-z0-9][A-Za-z0-9_.+@ -]+(?:,[^:]*)?:")
#: What waits in the cache before it is sent.
_STAGED_BYTES = 256 * 1024 * 1024
#: How much it gives way to what people wait for on this machine.
_NICE = 10
#: rclone's exit code for a folder that is not there.
_NO_FOLDER = 3


def is_remote(target: str) -> bool:
    """Say whether a target is a remote of rclone and not a folder."""
    return bool(_REMOTE.match(target)) and not Path(target).exists()


class RemoteVault:
    """Backups at a remote; the folder `cache` of this machine holds what is on its way."""

    def __init__(self, target: str, cache: Path, program: str | None = None) -> None:
        """Speak of `target`; raise InvalidInput if there is no rclone."""
        found = program or shutil.which("rclone")
        if found is None:
            raise InvalidInput(reason=said("{target} is a remote, and rclone is not installed; see rclone.org", target=target))
        self._program = found
        self._target = target.rstrip("/") if not target.endswith(":") else target
        self._stage = LocalVault(cache)
        self._waiting = 0
        self._there: dict[str, int] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Learn what is over there; what an interrupted backup left on its way is forgotten."""
        with self._stage.open():
            self._clear()
            self._there = dict(self._list("objects"))
            try:
                yield
            finally:
                self._clear()

    reading = open

    def missing(self, wanted: Mapping[str, int]) -> set[str]:
        """Return those that are not over there in that size."""
        return {name for name, size in wanted.items() if self._there.get(name) != size}

    def add(self, objects: Mapping[str, bytes]) -> None:
        """Keep contents; they are sent together with others."""
        self._stage.add(objects)
        for name, data in objects.items():
            self._there[name] = len(data)
            self._waiting += len(data)
        if self._waiting >= _STAGED_BYTES:
            self._send()

    def finish(self, files: Mapping[str, str], moment: datetime) -> Snapshot:
        """Send what waits, then the list."""
        self._send()
        free = free_name(moment, self.snapshots())
        snapshot = self._stage.finish(files, datetime.strptime(free, NAME).replace(tzinfo=UTC))
        self._run("copy", "--immutable", str(self._stage.path / "README.txt"), self._target)
        self._copy("snapshots")
        return snapshot

    def snapshots(self) -> list[str]:
        """Return the names of all snapshots, the newest first."""
        names = (name.removesuffix(SUFFIX) for name, _ in self._list("snapshots") if name.endswith(SUFFIX))
        return sorted(filter(is_snapshot, names), reverse=True)

    def load(self, name: str) -> Snapshot:
        """Return a snapshot; raise InvalidInput if there is none, or its list is not whole."""
        self._stage.lists.make()
        if (name + SUFFIX) in dict(self._list("snapshots")):
            self._run("copy", self._at("snapshots", name + SUFFIX), str(self._stage.lists.path))
        return self._stage.load(name)

    def prepare(self, wanted: Iterable[str]) -> None:
        """Bring contents near, in the place of those that were read before."""
        self._clear(lists=False)
        self._stage.objects.make()
        names = sorted(set(wanted))
        if names:
            listed = "\n".join(names).encode()
            self._run("copy", "--files-from-raw=-", self._at("objects"), str(self._stage.objects.path), content=listed)

    def read(self, sha256: str) -> bytes:
        """Return a content whose hash is right; raise StorageError for one that is damaged or not there."""
        if not self._stage.objects.has(sha256):
            self.prepare([sha256])
        return self._stage.read(sha256)

    def sizes(self) -> dict[str, int]:
        """Return every content that is over there, and its bytes."""
        return {name: size for name, size in self._there.items() if is_content(name)}

    def remove(self, snapshots: Iterable[str], contents: Iterable[str]) -> None:
        """Remove lists for good, and then contents that no other list names."""
        self._remove("snapshots", [f"{name}{SUFFIX}" for name in snapshots if is_snapshot(name)])
        self._remove("objects", [name for name in contents if is_content(name)])

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        self._copy("objects")
        self._waiting = 0
        self._clear(lists=False)

    def _copy(self, folder: str) -> None:
        """Send a folder's files, and compare what arrived by its hashes where the remote has them, else by its sizes."""
        source = str(self._stage.path / folder)
        hidden = "--exclude=.*"
        self._run("copy", "--no-traverse", hidden, source, self._at(folder))
        self._run("check", "--one-way", hidden, source, self._at(folder))

    def _remove(self, folder: str, names: Sequence[str]) -> None:
        if names:
            self._run("delete", "--files-from-raw=-", self._at(folder), content="\n".join(sorted(names)).encode())

    def _clear(self, *, lists: bool = True) -> None:
        for folder in (self._stage.objects, *((self._stage.lists,) if lists else ())):
            with storage_errors():
                shutil.rmtree(folder.path, ignore_errors=True)
            Folder(folder.path).make()

    def _list(self, folder: str) -> Iterator[tuple[str, int]]:
        for line in self._run("lsf", "--files-only", "--format=ps", "--separator=/", self._at(folder)).splitlines():
            name, _, size = line.partition("/")
            if size.isdigit():
                yield name, int(size)

    def _at(self, *below: str) -> str:
        return "/".join((self._target, *below)) if not self._target.endswith(":") else self._target + "/".join(below)

    def _run(self, *arguments: str, content: bytes | None = None) -> str:
        command = [self._program, "--ask-password=false", "--use-json-log=false", "--log-level=ERROR", *arguments]
        with storage_errors():
            pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
            with subprocess.Popen(command, stdin=pipe if content else nothing, stdout=pipe, stderr=pipe) as process:
                with suppress(OSError):  # it has ended already
                    os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
                output, errors = process.communicate(content)
        if process.returncode == _NO_FOLDER and arguments[0] == "lsf":
            return ""
        if process.returncode:
            words = (errors.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            raise StorageError(reason=said("rclone: {words}", words="".join(filter(str.isprintable, words))[:300]))
        return output.decode(errors="replace")
