"""The family of an operation: what it was made from and what was made of it, by declared parents and by equal bytes.

A file that is an input here and a result there tells of a parent whether or not anybody declared one: an upload of a downloaded
result counts too. Where several operations made the same bytes, a declared one is the parent, else the last one before. What is
declared and not there any more is part of the family as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from opstore.access.roles import Role, part
from opstore.errors import OpstoreError
from opstore.index import Index
from opstore.storage.names import is_operation_id
from opstore.storage.operation import Operation
from opstore.storage.store import Store

How = Literal["declared", "content", "both"]
#: Members shown at most; beyond that a picture of it is no help.
MAX_MEMBERS = 120


@dataclass(frozen=True, slots=True)
class Link:
    """One operation's result is another's input. `inputs` are the numbers of those inputs, from 1, where their bytes tell."""

    parent: str
    child: str
    how: How
    inputs: tuple[int, ...] = ()


@dataclass(slots=True)
class Family:
    """`members` by id, None for one that is named and not there; `cut` if there are more than could be shown."""

    centre: str
    members: dict[str, Operation | None] = field(default_factory=dict)
    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    cut: bool = False

    def parents(self, operation_id: str) -> list[str]:
        """Return the members that a member was made from, oldest first."""
        return sorted(parent for parent, child in self.links if child == operation_id)

    def children(self, operation_id: str) -> list[str]:
        """Return the members that were made from a member, oldest first."""
        return sorted(child for parent, child in self.links if parent == operation_id)


@part(*Role)
class Lineage:
    """Finds families in one store."""

    def __init__(self, store: Store, index: Index) -> None:
        """Read the sidecars of `store`; `index` knows which operations hold the same bytes."""
        self._store = store
        self._index = index

    def family(self, operation_id: str, limit: int = MAX_MEMBERS) -> Family:
        """Return all ancestors and all descendants of an operation; raise OperationNotFound for one that is not there."""
        family = Family(operation_id, {operation_id: Operation.of(self._store.get_operation_metadata(operation_id))})
        known: dict[str, Operation | None] = dict(family.members)
        for upwards in (True, False):
            waiting = deque([operation_id])
            seen = {operation_id}
            while waiting:
                member = known[waiting.popleft()]
                if member is None:
                    continue
                for link in self._parents(member, known) if upwards else self._children(member, known, family):
                    other = link.parent if upwards else link.child
                    if other not in family.members and len(family.members) >= limit:
                        family.cut = True
                        continue
                    family.members[other] = self._read(other, known)
                    family.links[link.parent, link.child] = link
                    if other not in seen:
                        seen.add(other)
                        waiting.append(other)
        return family

    def _read(self, operation_id: str, known: dict[str, Operation | None]) -> Operation | None:
        if operation_id not in known:
            try:
                known[operation_id] = Operation.of(self._store.get_operation_metadata(operation_id))
            except OpstoreError:
                known[operation_id] = None  # gone, or damaged: `verify` tells which
        return known[operation_id]

    def _parents(self, child: Operation, known: dict[str, Operation | None]) -> list[Link]:
        declared = [name for name in dict.fromkeys(child.parents) if is_operation_id(name) and name != child.id]
        by_content: dict[str, list[int]] = {}
        for number, sha256 in enumerate(_hashes(child, made=False), 1):
            for parent in self._makers(sha256, child, declared, known):
                by_content.setdefault(parent, []).append(number)
        links = []
        for parent in dict.fromkeys([*declared, *by_content]):
            how: How = "content" if parent not in declared else "both" if parent in by_content else "declared"
            links.append(Link(parent, child.id, how, tuple(by_content.get(parent, ()))))
        return links

    def _makers(
        self, sha256: str | None, child: Operation, declared: Iterable[str], known: dict[str, Operation | None]
    ) -> list[str]:
        """Return the declared parents that made this content, else the last operation before that did."""
        if sha256 is None:
            return []
        named = [name for name in declared if self._made(name, sha256, known)]
        if named:
            return named
        before = [name for name in self._index.holding(sha256, results=True) if name < child.id]
        return next(([name] for name in reversed(before) if self._made(name, sha256, known)), [])

    def _made(self, operation_id: str, sha256: str, known: dict[str, Operation | None]) -> bool:
        operation = self._read(operation_id, known)
        return operation is not None and sha256 in _hashes(operation, made=True)

    def _children(self, parent: Operation, known: dict[str, Operation | None], family: Family) -> Iterator[Link]:
        """Yield the links to what was made of an operation: those whose parents, asked for theirs, name it.

        Once the family is cut only its members are asked: of one picture thousands may have been made.
        """
        ids = set(self._index.used_as_input(parent.id))
        for sha256 in _hashes(parent, made=True):
            ids |= set(self._index.holding(sha256, results=False)) if sha256 else set()
        for name in sorted(ids - {parent.id}):
            if family.cut and name not in family.members:
                continue
            if child := self._read(name, known):
                yield from (link for link in self._parents(child, known) if link.parent == parent.id)


def _hashes(operation: Operation, *, made: bool) -> list[str | None]:
    """Return the hashes of an operation's results, or those of its inputs in their order, None where one is not known."""
    files = operation.sidecar.get("files")
    entries = [entry for entry in files if isinstance(entry, Mapping)] if isinstance(files, list) else []
    if made:
        return [_hash(entry) for entry in entries if entry.get("role") in ("output", "intermediate")]
    by_name = {str(entry.get("name")): _hash(entry) for entry in entries}
    return [by_name.get(name) for name in operation.inputs]


def _hash(entry: Mapping[str, Any]) -> str | None:
    found = entry.get("sha256")
    return found if isinstance(found, str) and len(found) == 64 and all(c in "0123456789abcdef" for c in found) else None


# -- where everybody stands ----------------------------------------------------------------------------------------------


def layout(family: Family) -> dict[str, tuple[int, float]]:
    """Return each member's column, and its place in it (0 is the middle): parents stand left of children, close to them.

    A ring of declared parents (foreign data) is cut where it closes.
    """
    columns = _columns(family)
    rows: dict[int, list[str]] = {}
    for name in sorted(columns):
        rows.setdefault(columns[name], []).append(name)
    place = {name: at - (len(row) - 1) / 2 for row in rows.values() for at, name in enumerate(row)}
    order = sorted(rows)
    for turn in range(4):  # there and back twice: more changes nothing for families of this size
        for column in order if turn % 2 == 0 else reversed(order):
            nearest = {}
            for name in rows[column]:
                near = family.parents(name) if turn % 2 == 0 else family.children(name)
                nearest[name] = sum(place[other] for other in near) / len(near) if near else place[name]
            rows[column].sort(key=lambda name: (nearest[name], name))
            place |= {name: at - (len(rows[column]) - 1) / 2 for at, name in enumerate(rows[column])}
    return {name: (columns[name], place[name]) for name in columns}


def _columns(family: Family) -> dict[str, int]:
    """Return for each member the length of the longest way to it."""
    columns = dict.fromkeys(family.members, 0)
    for _ in range(len(columns)):
        moved = False
        for parent, child in family.links:
            if columns[child] <= columns[parent] < len(columns) - 1:
                columns[child], moved = columns[parent] + 1, True
        if not moved:
            break
    for name in columns:  # who came from nothing stands beside the first thing made of it: long lines run behind others
        if not family.parents(name) and (children := family.children(name)):
            columns[name] = max(columns[name], min(columns[child] for child in children) - 1)
    used = {column: at for at, column in enumerate(sorted(set(columns.values())))}
    return {name: used[column] for name, column in columns.items()}
