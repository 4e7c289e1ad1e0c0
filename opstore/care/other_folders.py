"""Another opstore's folder inside a source: its operations, those in packed months and in folders of backups among them.

Of such a folder only the library is seen: its trash, work under way, cache, links and reviews are not what somebody imports. A
loose file wins over a packed one, as it does there. A source is only read: where a pack was being changed when it was copied,
and its journal says so, a copy of both is mended in `scratch` and read instead.
"""

from __future__ import annotations

import contextlib
import io
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from opstore.care.sources import FREE_BYTES, MAX_FILES, MAX_RATIO, Entry, Source, content, damage_told, moment_of
from opstore.care.vault import SUFFIX, is_content, is_snapshot, read_listing
from opstore.errors import InvalidInput, OpstoreError, StorageError, said
from opstore.storage.files import digest, is_passing, storage_errors
from opstore.storage.names import parse_name, sidecar_name
from opstore.storage.packs import FOLDER
from opstore.storage.packs.pack import Entry as Packed
from opstore.storage.packs.pack import Pack

_PACK = re.compile(r"\A(?P<month>[0-9]{6})\.sqlite\Z")
#: What of a data folder is not its library.
_ASIDE = ("trash", "pending", "cache", "shares", "reviews", "branches", "drafts", "quarantine")
#: The most bytes of a snapshot's list: 500,000 files.
_MAX_LIST = 128 * 1024 * 1024
#: Seconds after which a copy in `scratch` is nobody's any more.
_FORGOTTEN = 86_400
#: Bytes copied at a time.
_PART = 1024 * 1024


class Libraries:
    """What somebody would import of a source."""

    def __init__(self, source: Source, scratch: Path) -> None:
        """Look into `source`; packs that cannot be read where they lie are copied to `scratch`, which need not exist."""
        self._source = source
        self._scratch = scratch
        self._packs: list[Pack] = []

    def entries(self, left: dict[str, str]) -> Iterator[Entry]:
        """Yield every plain file of the libraries, and those outside of any; note in `left` what is not taken, and why."""
        by_path = {entry.path: entry for entry in self._source.entries(left)}
        roots = {root for root in map(_backups, list(by_path.values())) if root is not None}
        for root in sorted(roots):
            _take_backup(root, by_path, left)
        roots |= {root for root in map(_root, by_path.values()) if root is not None}
        for path in _unfinished(by_path):
            del by_path[path]
        yield from (entry for entry in by_path.values() if not _is_aside(entry.path, roots))
        for entry in list(by_path.values()):
            if _PACK.match(entry.name) and not _is_aside(entry.path, roots):
                yield from self._packed(entry, by_path, left)

    def close(self) -> None:
        """Let go of everything."""
        for pack in self._packs:
            pack.close()
        self._source.close()

    # -- packed months ---------------------------------------------------------------------------------------------------

    def _packed(self, entry: Entry, by_path: Mapping[str, Entry], left: dict[str, str]) -> Iterator[Entry]:
        """Yield what is packed and not loose beside it."""
        try:
            pack = self._opened(entry, by_path.get(f"{entry.path}-journal"))
            files = pack.entries()
            _check_sizes(files, entry.size)
        except OpstoreError as error:
            if is_passing(error):
                raise
            left[entry.path] = error.details.get("reason") or str(error)
            return
        for file in files:
            path = f"{_root(entry)}operations/{file.name}"
            if path not in by_path:
                read = partial(_unpacked, pack, file.name)
                yield Entry(path, file.size, moment_of(file.modified / 1e9), read, partial(_opened, read))

    def _opened(self, entry: Entry, journal: Entry | None) -> Pack:
        month = entry.name[:6]
        if entry.place is not None:
            try:
                self._packs.append(Pack(entry.place, month, read_only=True))
                return self._packs[-1]
            except StorageError:  # a change that was cut short is to be rolled back, and that would write
                if journal is None:
                    raise
        _forget_old(self._scratch)
        place = self._scratch / f"{secrets.token_hex(8)}.sqlite"
        copies = [(entry, place), *([(journal, place.with_name(f"{place.name}-journal"))] if journal else [])]
        try:
            for source, target in copies:
                _copy(source, target)
            self._packs.append(Pack(place, month))
            return self._packs[-1]
        finally:
            for _, target in copies:  # what is open is read on: whatever ends this, nothing stays behind
                target.unlink(missing_ok=True)


def _unpacked(pack: Pack, name: str) -> bytes:
    data = pack.read(name)
    if data is None:
        raise InvalidInput(reason=said("it was unpacked there at this moment; import once more"))
    return data


def _opened(read: Callable[[], bytes]) -> BinaryIO:
    return io.BytesIO(read())


def _check_sizes(files: Sequence[Packed], size: int) -> None:
    """Refuse a pack that holds far more than it has bytes for; a content that many files share counts once."""
    contents = sum({file.sha256: file.size for file in files}.values())
    if len(files) > MAX_FILES or (contents > FREE_BYTES and contents > MAX_RATIO * size):
        raise InvalidInput(reason=said("the archive would unpack to far more than it holds; it is not opened"))


def _copy(entry: Entry, target: Path) -> None:
    with storage_errors(), entry.open() as source, target.open("xb") as file:
        rest = entry.size
        while rest:
            with damage_told():
                part = source.read(min(rest, _PART))
            if not part:
                raise InvalidInput(reason=said("it is damaged in the archive"))
            file.write(part)
            rest -= len(part)


def _forget_old(folder: Path) -> None:
    """Make the folder, and remove what an import that was killed has left there."""
    with storage_errors():
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < time.time() - _FORGOTTEN:
                    path.unlink()


# -- folders of backups --------------------------------------------------------------------------------------------------


def _backups(entry: Entry) -> str | None:
    """Return the path of the folder of backups that a file is a list of, with its slash; None for any other file."""
    above = entry.above
    is_list = entry.name.endswith(SUFFIX) and is_snapshot(entry.name.removesuffix(SUFFIX))
    return above.removesuffix("snapshots") if is_list and (above == "snapshots" or above.endswith("/snapshots")) else None


def _take_backup(root: str, by_path: dict[str, Entry], left: dict[str, str]) -> None:
    """Put the files of the newest whole backup in the place of the contents that it is made of."""
    objects = {}
    lists = []
    for path in [path for path in by_path if path.startswith((f"{root}snapshots/", f"{root}objects/"))]:
        entry = by_path.pop(path)
        if _backups(entry) == root:
            lists.append(entry)
        elif is_content(entry.name):
            objects[entry.name] = entry
    for entry in sorted(lists, key=lambda entry: entry.name, reverse=True):
        try:
            listed = read_listing(content(entry, _MAX_LIST), entry.name)
        except OpstoreError as error:
            if is_passing(error):
                raise
            left[entry.path] = error.details.get("reason") or str(error)
            continue
        for path, sha256 in listed.items():
            if sha256 in objects:
                by_path[f"{root}{path}"] = _restored(f"{root}{path}", sha256, objects[sha256])
            else:
                left[f"{root}{path}"] = said("the backup does not have the content {name}", name=sha256[:12])
        return


def _restored(path: str, sha256: str, stored: Entry) -> Entry:
    def read() -> bytes:
        data = stored.read()
        if digest(data) != sha256:
            raise InvalidInput(reason=said("the backup's content {name} is damaged", name=sha256[:12]))
        return data

    return Entry(path, stored.size, stored.moment, read, stored.open)


# -- what is whose -------------------------------------------------------------------------------------------------------


def _root(entry: Entry) -> str | None:
    """Return the path of the data folder that a file is an operation's or a pack of, with its slash; None for any other file."""
    folder = FOLDER if _PACK.match(entry.name) else "operations" if parse_name(entry.name) else None
    if folder is None:
        return None
    above = entry.above
    if above == folder or above.endswith(f"/{folder}"):
        return above.removesuffix(folder)
    return f"{above}/".removeprefix("/") if folder == FOLDER else None


def _unfinished(by_path: Mapping[str, Entry]) -> list[str]:
    """Return the files of what is under way there: it is no operation yet, and nothing that somebody left behind."""
    unfinished = []
    for path, entry in by_path.items():
        parts, root = parse_name(entry.name), _root(entry)
        if parts and root is not None:
            name = sidecar_name(parts.operation_id)
            if f"{root}pending/{name}" in by_path and f"{root}operations/{name}" not in by_path:
                unfinished.append(path)
    return unfinished


def _is_aside(path: str, roots: Collection[str]) -> bool:
    """Say whether a path leads to what is in a data folder, but not in its library."""
    parts = path.split("/")
    return any(
        part in _ASIDE and "".join(f"{name}/" for name in parts[:number]) in roots for number, part in enumerate(parts[:-1])
    )
