"""The offline bundle: a page, its media and the chosen metadata as one folder or zip that needs no server and no network.

What is withheld is in no file of it; what is missing is said in it. Media are the copies that `clean` makes, under names that say
only their place; the same page and slider as behind a link. It is whole or not there: it is written under another name first.
"""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from opstore.errors import InvalidInput, OpstoreError, TooManyRequests, UnsupportedMedia, said
from opstore.exports.cells import guarded
from opstore.media import sniff
from opstore.media.provenance import address
from opstore.shares import Scope, Shares, page
from opstore.shares.clean import cleaned
from opstore.shares.embed import stamp
from opstore.shares.redaction import Item, Picture
from opstore.storage.files import storage_errors
from opstore.storage.operation import timestamp

#: The most bytes of stored files in a bundle that is made in memory.
MAX_ZIPPED = 500_000_000
#: How many are made in memory at a time, and for how many seconds one waits for its turn.
AT_A_TIME, PATIENCE = 2, 10.0
_PLACES = threading.BoundedSemaphore(AT_A_TIME)
_COLUMNS = ("number", "type", "operationId", "timestamp", "prompt", "model", "provider", "digitalSourceType")
Put = Callable[[str, bytes], None]


def write(shares: Shares, scope: Scope, target: Path, *, language: str = "en", embed: bool = False) -> Path:
    """Write the bundle of a scope to `target`: a zip where the name ends in .zip, else a folder; return its path.

    `embed` writes the metadata into the pictures as well. Raise InvalidInput where something is there already or there is nothing
    to show, StorageError where the disk says no.
    """
    if os.path.lexists(target):
        raise InvalidInput(reason=said("there is something at {path} already; choose another name", path=target))
    items = _items(shares, scope)
    with storage_errors(), _zip(target) if target.suffix.lower() == ".zip" else _folder(target) as put:
        _fill(put, shares, scope, items, language, embed)
    return target


def fits(shares: Shares, scope: Scope) -> bool:
    """Say whether `zipped` can make this bundle: in memory, and a browser's download."""
    return shares.size(shares.items(scope)) <= MAX_ZIPPED


def missing(shares: Shares, scope: Scope) -> list[str]:
    """Return the ids of what a bundle of this scope leaves out: operations that were removed, or cannot be read."""
    there = {item.number for item in shares.items(scope)}
    return [operation_id for number, operation_id in enumerate(scope.operations, 1) if number not in there]


def zipped(shares: Shares, scope: Scope, *, language: str = "en", embed: bool = False) -> bytes:
    """Return the bundle of a scope as the bytes of a zip; raise as `check` does, and TooManyRequests while others are made."""
    items, out = check(shares, scope), io.BytesIO()
    if not _PLACES.acquire(timeout=PATIENCE):
        raise TooManyRequests(seconds=round(PATIENCE))
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
            _fill(_into(file), shares, scope, items, language, embed)
    finally:
        _PLACES.release()
    return out.getvalue()


def check(shares: Shares, scope: Scope) -> list[Item]:
    """Return what a bundle in memory would show; raise InvalidInput where that is nothing, or too large."""
    items = _items(shares, scope)
    if shares.size(items) > MAX_ZIPPED:
        limit = MAX_ZIPPED // 1_000_000
        raise InvalidInput(
            reason=said("its files have more than {limit} MB; `opstore share bundle` writes it to disk", limit=limit)
        )
    return items


def _items(shares: Shares, scope: Scope) -> list[Item]:
    items = shares.items(scope)
    if not items:
        raise InvalidInput(reason=said("none of these operations can be read"))
    return items


def _fill(put: Put, shares: Shares, scope: Scope, items: Sequence[Item], language: str, embed: bool) -> None:
    names: dict[tuple[str, bool], str] = {}
    for item in items:
        for picture in item.pictures:
            whole = _whole(shares, scope, item, picture, embed)
            if whole is None:
                continue
            names[picture.key, False] = name = f"media/{picture.key}.{picture.media.extension}"
            put(name, whole)
            small = _small(shares, scope, picture)
            kind = sniff(small) if small else None
            names[picture.key, True] = f"media/small/{picture.key}.{kind.extension}" if kind else name
            if small and kind:
                put(names[picture.key, True], small)
    shown = [_with(item, names) for item in items]
    reader = page.Reader(language, lambda picture, small: names[picture.key, small])
    put("index.html", page.gallery(scope, shown, reader, offline=True).encode())
    records = [_record(item, names) for item in shown]
    counts = {"missing": len(scope.operations) - len(items), "unreadFiles": sum(item.unread for item in shown)}
    told = {"title": scope.title, "results": records} | {name: count for name, count in counts.items() if count}
    put("metadata.json", json.dumps(told, ensure_ascii=False, indent=2).encode() + b"\n")
    put("metadata.csv", _csv(records))


def _whole(shares: Shares, scope: Scope, item: Item, picture: Picture, embed: bool) -> bytes | None:
    """Return the copy of a picture that is handed on, None where it cannot be read."""
    try:
        if embed and picture.role != "input":
            return cleaned(shares.data(picture), stamp(item, picture))
        return shares.file(scope, picture.key)[1].read_bytes()
    except (UnsupportedMedia, FileNotFoundError):
        return None
    except OpstoreError as error:
        if error.status != 404:
            raise
        return None


def _small(shares: Shares, scope: Scope, picture: Picture) -> bytes | None:
    try:
        return shares.file(scope, picture.key, "small")[1].read_bytes()
    except (OpstoreError, FileNotFoundError):
        return None  # the page shows the whole one


def _with(item: Item, names: dict[tuple[str, bool], str]) -> Item:
    pictures = tuple(picture for picture in item.pictures if (picture.key, False) in names)
    return replace(item, pictures=pictures, unread=item.unread + len(item.pictures) - len(pictures))


# -- metadata ------------------------------------------------------------------------------------------------------------


def _record(item: Item, names: dict[tuple[str, bool], str]) -> dict[str, Any]:
    """Return what the bundle says of an operation; what is withheld has no key."""
    known = {
        "number": item.number,
        "type": item.type,
        "operationId": item.id,
        "timestamp": timestamp(item.moment) if item.moment else None,
        "prompt": item.prompt,
        "model": item.model,
        "provider": item.provider,
        "parameters": item.parameters,
        "digitalSourceType": address(item.source) if item.source else None,
    }
    files = [
        {"file": names[one.key, False], "role": one.role, "mediaType": one.media.name, "width": one.width, "height": one.height}
        | ({"digitalSourceType": address(one.source)} if one.source else {})
        for one in item.pictures
    ]
    return {name: value for name, value in known.items() if value is not None} | {"files": files}


def _csv(records: Sequence[dict[str, Any]]) -> bytes:
    """Return the records as a table that Excel opens as UTF-8; no cell of it is a formula."""
    parameters = list(dict.fromkeys(name for record in records for name in record.get("parameters", ())))
    there = {name for record in records for name in record}
    plain = [name for name in _COLUMNS if name in there]
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow([*plain, *map(_cell, parameters), "files"])
    for record in records:
        chosen = record.get("parameters", {})
        files = " ".join(file["file"] for file in record["files"])
        cells = [*(record.get(name) for name in plain), *(chosen.get(name) for name in parameters), files]
        table.writerow(map(_cell, cells))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _cell(value: object) -> object:
    return guarded(value) if isinstance(value, str) else value


# -- where it goes -------------------------------------------------------------------------------------------------------


@contextmanager
def _folder(target: Path) -> Iterator[Put]:
    with _beside(target) as temp:
        temp.mkdir(parents=True)

        def put(name: str, data: bytes) -> None:
            path = temp / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        yield put


@contextmanager
def _zip(target: Path) -> Iterator[Put]:
    with _beside(target) as temp:
        temp.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(temp, "x", zipfile.ZIP_STORED) as file:
            yield _into(file)


def _into(file: zipfile.ZipFile) -> Put:
    def put(name: str, data: bytes) -> None:
        # Media are packed already: packing them again costs time and saves nothing.
        file.writestr(name, data, zipfile.ZIP_STORED if name.startswith("media/") else zipfile.ZIP_DEFLATED)

    return put


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Give a name beside `target` that becomes it at the end, and is removed if there is no end."""
    temp = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temp
        os.rename(temp, target)
    finally:
        if temp.is_dir():
            shutil.rmtree(temp, ignore_errors=True)
        else:
            temp.unlink(missing_ok=True)
