"""The check of a data folder: everything that is wrong with it, as data; it reads, and changes nothing.

Without `deep`, names, sizes and sidecars are checked; changed bytes of unchanged number are found only with `deep`, which reads
every file and compares its SHA-256 with the sidecar's (operations of other programs have none and are then only read).
Saves that are under way while it runs are no problems.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from opstore.errors import DamagedOperation, DamagedPack, FileMissing, OpstoreError, UnsafeFile, said, shown
from opstore.storage import operation
from opstore.storage.files import Folder, digest, is_passing, leftover_of
from opstore.storage.job import Job
from opstore.storage.names import is_operation_id, own_name, parse_name, sidecar_name
from opstore.storage.packs import Library, Packs

Kind = Literal[
    "leftover", "orphan", "missing", "truncated", "changed", "unparsable", "mismatch", "unsafe", "foreign name", "unusable"
]


#: Seconds for which a lock that nobody holds is taken to be one that its maker is about to take.
_FRESH = 2.0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what kind, in which file, of which operation (None if none can be told), and in words."""

    kind: Kind
    name: str
    operation_id: str | None
    detail: str
    folder: Literal["operations", "pending", "packed", "root"] = "operations"


def verify(operations: Folder, pending: Folder, *, deep: bool = False) -> list[Problem]:
    """Return the problems of the two folders, ordered by file name."""
    names = operations.names()
    underway = {name.removesuffix(".json") for name in pending.names()}
    problems = [*_leftovers(operations, names), *_of_pending(pending)]
    media: dict[str, set[str]] = defaultdict(set)
    sidecars: list[str] = []
    for name in names:
        parts = parse_name(name)
        if parts is None:
            continue
        if parts.role == "sidecar":
            sidecars.append(parts.operation_id)
        else:
            media[parts.operation_id].add(name)
    for operation_id in sidecars:
        problems += _operation_problems(operations, operation_id, media.pop(operation_id, set()), deep)
    for operation_id, orphans in media.items():
        if operation_id not in underway and _settled(operations, operation_id):
            problems += [_orphan(name, operation_id) for name in orphans]
    if isinstance(operations, Library):
        problems += [replace(problem, folder="packed") for problem in _of_packs(operations.packs, deep)]
    return sorted(problems, key=lambda problem: (problem.name, problem.kind))


def stands(folder: Folder, problem: Problem) -> bool:
    """Say whether an operation, or its record, still has a problem that was found in its files; who asks holds its lock."""
    if problem.operation_id is None or problem.kind in ("leftover", "orphan"):
        return True
    if problem.folder == "pending":
        found = _record_problems(folder, problem.name, problem.operation_id)
    else:
        found = _operation_problems(folder, problem.operation_id, set(), deep=True)
    return (problem.kind, problem.name) in ((one.kind, one.name) for one in found)


def _settled(operations: Folder, operation_id: str) -> bool:
    """Say whether media without a sidecar are really alone: nobody writes them now, and nobody has finished since."""
    return not operations.in_progress(operation_id) and not operations.has(sidecar_name(operation_id))


def _orphan(name: str, operation_id: str) -> Problem:
    return Problem("orphan", name, operation_id, said("a media file that no metadata file names"))


def _leftovers(folder: Folder, names: list[str]) -> Iterator[Problem]:
    for name in names:
        key = leftover_of(name)
        if key is None or folder.in_progress(key):
            continue
        age = folder.age(name)
        if age is None or (name.endswith(".lock") and age < _FRESH):
            continue
        operation_id = key if is_operation_id(key) else None
        yield Problem("leftover", name, operation_id, said("left behind by a save that was interrupted"))


def _of_pending(pending: Folder) -> list[Problem]:
    found = [*_leftovers(pending, pending.names()), *_broken_pending(pending)]
    return [replace(problem, folder="pending") for problem in found]


def _broken_pending(pending: Folder) -> Iterator[Problem]:
    for name in pending.names():
        parts = parse_name(name)
        if parts and parts.role == "sidecar":
            yield from _record_problems(pending, name, parts.operation_id)


def _record_problems(pending: Folder, name: str, operation_id: str) -> Iterator[Problem]:
    try:
        Job.decode(pending.read(name), operation_id)
    except FileMissing:
        return  # it has just ended
    except UnsafeFile:
        yield Problem("unsafe", name, operation_id, said("not a plain file"))
    except ValueError:
        yield Problem("unparsable", name, operation_id, said("the record of an operation under way cannot be read"))


def _of_packs(packs: Packs, deep: bool) -> Iterator[Problem]:
    """Yield what is wrong with the files of packed months themselves; what they hold is looked at with the operations."""
    yield from _leftovers(packs.folder, packs.folder.names())
    for month in packs.months():
        name = packs.name(month)
        try:
            pack = packs.pack(month)
            if pack is None:
                continue  # unpacked at this moment
            if deep:
                pack.check()
            for stranger in pack.strangers():
                yield Problem("foreign name", name, None, said("it names {name}, not a file of its own", name=shown(stranger)))
        except DamagedPack as error:
            yield Problem("unparsable", name, None, str(error))


def _operation_problems(operations: Folder, operation_id: str, present: set[str], deep: bool) -> Iterator[Problem]:
    name = sidecar_name(operation_id)
    try:
        sidecar = operation.decode(operations.read(name, operation.MAX_SIDECAR_BYTES), operation_id)
    except FileMissing:
        return
    except DamagedPack as error:
        yield Problem("unparsable", name, operation_id, str(error))
        return
    except UnsafeFile:
        yield Problem("unsafe", name, operation_id, said("not a plain file"))
        return
    except DamagedOperation as error:
        yield Problem(error.details["problem"], name, operation_id, error.details["reason"])
        return
    view = operation.Operation.of(sidecar)
    named = {*view.inputs, *view.outputs, *view.intermediates}
    yield from _foreign_names(sidecar, operation_id)
    if view.status == "result missing":
        yield Problem("missing", name, operation_id, said("it says success and has no result: the download had failed"))
    entries = _entries(sidecar)
    for file in sorted(named):
        yield from _file_problems(operations, file, operation_id, entries.get(file, {}), deep)
    for file in sorted(present - named):
        yield _orphan(file, operation_id)


def _entries(sidecar: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    files = sidecar.get("files")
    found = files if isinstance(files, list) else []
    return {entry["name"]: entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("name"), str)}


def _foreign_names(sidecar: Mapping[str, Any], operation_id: str) -> Iterator[Problem]:
    inputs, files, output = sidecar.get("inputFiles"), sidecar.get("files"), sidecar.get("outputFile")
    values: list[object] = [*(inputs if isinstance(inputs, list) else ()), *(() if output is None else (output,))]
    described = [entry.get("name") for entry in (files if isinstance(files, list) else ()) if isinstance(entry, dict)]
    for value in [*values, *(name for name in described if name not in values)]:
        if own_name(value, operation_id) is None:
            detail = said("it names {name}, not a file of its own", name=ascii(value)[:60])
            yield Problem("foreign name", sidecar_name(operation_id), operation_id, detail)


def _file_problems(folder: Folder, name: str, operation_id: str, entry: Mapping[str, Any], deep: bool) -> Iterator[Problem]:
    try:
        size = folder.size(name)
        recorded = entry.get("bytes")
        if isinstance(recorded, int) and size != recorded:
            detail = said("{count} bytes instead of {wanted}", count=size, wanted=recorded)
            yield Problem("truncated", name, operation_id, detail)
        elif size == 0:
            yield Problem("truncated", name, operation_id, said("it is empty"))
        elif deep and isinstance(entry.get("sha256"), str) and digest(folder.read(name)) != entry["sha256"]:
            yield Problem("changed", name, operation_id, said("its bytes are not those that were saved"))
        elif deep and "sha256" not in entry:
            folder.read(name)
    except FileMissing:
        yield Problem("missing", name, operation_id, said("the metadata file names it, but it is missing"))
    except DamagedPack as error:
        yield Problem("changed", name, operation_id, str(error))
    except UnsafeFile:
        yield Problem("unsafe", name, operation_id, said("not a plain file"))
    except OpstoreError as error:
        if is_passing(error):
            raise
        yield Problem("truncated", name, operation_id, str(error))
