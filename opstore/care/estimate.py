"""About how much room packing saves, from samples: what sidecars have in common, what JPEGs give, what is there several times.

Only read: nothing is packed for it, and a month takes about a second.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opstore.errors import OpstoreError
from opstore.storage.files import Folder, digest
from opstore.storage.names import sidecar_name
from opstore.storage.operation import MAX_SIDECAR_BYTES
from opstore.storage.packs.codecs import MAX_BYTES, Codec, dictionary_of
from opstore.storage.store import Store

#: Files looked into: sidecars (0.1 ms each) and JPEGs (60 ms each) of a month.
_SAMPLED_SIDECARS, _SAMPLED_JPEGS = 400, 6
#: Bytes of a pack's tables for each file.
_ROW = 190


@dataclass(frozen=True, slots=True)
class Loose:
    """A loose file as it was looked at: its bytes, and what it takes of the disk."""

    name: str
    bytes: int
    taken: int


Operations = dict[str, list[Loose]]


def samples(loose: Folder, operations: Operations, most: int) -> list[bytes]:
    """Return the sidecars of some operations from all of the month."""
    ids = list(operations)[:: max(1, len(operations) // most)][:most]
    found = []
    for operation_id in ids:
        with contextlib.suppress(OpstoreError):
            found.append(loose.read(sidecar_name(operation_id), MAX_SIDECAR_BYTES))
    return found


def size_packed(store: Store, operations: Operations) -> int:
    """Return about how many bytes a pack of these operations would take of the disk."""
    loose = store.operations.loose
    files = [file for found in operations.values() for file in found]
    sidecars = [file for file in files if file.name.endswith(".json")]
    once = _distinct(store, operations)
    jpegs = [file for file in once if file.name.endswith(".jpg")]
    others = [file for file in once if not file.name.endswith(".jpg")]
    text = _text_ratio(loose, operations, sum(file.bytes for file in sidecars))
    pictures = _jpeg_ratio(loose, jpegs)
    after = sum(file.bytes for file in sidecars) * text + sum(_paged(file.bytes * pictures) for file in jpegs)
    return round(after + sum(_paged(file.bytes) for file in others) + _ROW * len(files))


def _distinct(store: Store, operations: Operations) -> list[Loose]:
    """Return the media of different contents; where no sidecar has the hash, those of the same size are read."""
    sizes = Counter(file.bytes for files in operations.values() for file in files)
    seen: set[str] = set()
    distinct = []
    for operation_id, files in operations.items():
        hashes: dict[object, object] = {}
        with contextlib.suppress(OpstoreError):
            listed = store.get_operation_metadata(operation_id).get("files")
            entries = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
            hashes = {entry.get("name"): entry.get("sha256") for entry in entries}
        for file in files:
            content = hashes.get(file.name)
            if not isinstance(content, str) and sizes[file.bytes] > 1:
                with contextlib.suppress(OpstoreError):
                    content = digest(store.operations.loose.read(file.name, MAX_BYTES))
            if not file.name.endswith(".json") and content not in seen:
                distinct.append(file)
            if isinstance(content, str):
                seen.add(content)
    return distinct


def _text_ratio(loose: Folder, operations: Operations, total: int) -> float:
    """Return what share of their bytes sidecars take when packed: every second of a sample with what the others share."""
    sample = samples(loose, operations, _SAMPLED_SIDECARS)
    dictionary = dictionary_of(sample[::2])
    codec, tried = Codec(dictionary), sample[1::2] or sample
    size = sum(map(len, tried))
    packed = sum(len(codec.encode(data, text=True).data) for data in tried)
    return (packed / size if size else 1.0) + (len(dictionary) / total if dictionary and total else 0.0)


def _jpeg_ratio(loose: Folder, files: Sequence[Loose]) -> float:
    before = after = 0
    codec = Codec(None)
    for file in files[:: max(1, len(files) // _SAMPLED_JPEGS)][:_SAMPLED_JPEGS]:
        with contextlib.suppress(OpstoreError):
            data = loose.read(file.name, MAX_BYTES)
            before += len(data)
            after += len(codec.encode(data, text=False).data)
    return after / before if before else 1.0


def _paged(size: float) -> float:
    """Return what a content takes in a pack: whole pages, once it does not fit beside others."""
    return -(-size // 4092) * 4096 if size > 1024 else size
