"""Curation: tags, ratings, favourites and notes, kept in the sidecars; trash; saved searches. Nothing is overwritten unseen.

Every change is a compare-and-swap on the sidecar, repeated on what is there then: two people's tags on one operation both stay.
A text that somebody wrote over another one is stored only where that one still stands; of two ratings the later one counts.
A change remembers what was before, so that it can be undone without undoing what others did since.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from opstore.access.roles import Role, act, part
from opstore.errors import (
    FileMissing,
    InvalidInput,
    OperationBusy,
    OperationChanged,
    OperationExists,
    OpstoreError,
    UnsafeFile,
    said,
)
from opstore.index import Index
from opstore.index.search_language import parse
from opstore.storage.document import Document
from opstore.storage.files import digest
from opstore.storage.names import check_operation_id
from opstore.storage.store import Store
from opstore.storage.trash import KEPT, Trash, Trashed

#: Longest tag, and most tags of one operation: beyond that it is a note.
MAX_TAG, MAX_TAGS, MAX_NOTE = 60, 100, 10_000
MAX_SEARCHES = 200
#: Room for as many searches of the greatest length, whatever JSON makes of their letters.
MAX_SEARCHES_BYTES = 4_000_000
#: Acts of a bulk act that are done side by side, and from how many on: on two cores four take 3 ms each, where one after the
#: other they took 10 (trash) and 6 (a rating).
HANDS, ALONE = 4, 8
#: Somebody else's change comes between so often only if something writes without end.
ATTEMPTS = 50
SEARCHES = "searches.json"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of annotations: what is None stays as it is; `rating` 0 takes a rating away.

    `note_before` is the note that the writer of `note` saw: where another one stands now, the change fails: OperationChanged.
    """

    rating: int | None = None
    favorite: bool | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    note: str | None = None
    note_before: str | None = None


@dataclass(frozen=True, slots=True)
class Inverse:
    """What takes a change of one operation back: `edit`, each value of it only if there is still what was `made` of it."""

    edit: Edit
    made: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What an act did: the operations done, those that failed and why, and for each one changed what `undo` puts back."""

    done: tuple[str, ...] = ()
    failed: Mapping[str, OpstoreError] = field(default_factory=dict)
    inverse: Mapping[str, Inverse] = field(default_factory=dict)
    trashed: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """Return the operations, of those done, that are not as they were: there is something to take back."""
        return tuple(name for name in self.done if self.trashed or name in self.inverse)


class _Unchanged(Exception):
    """The annotations are as they are wanted: nothing is written."""


@part()
class Curation:
    """What reviewers do with the operations of one store."""

    def __init__(self, store: Store, index: Index, trash: Trash) -> None:
        """Change the sidecars of `store`; `index` knows what is used by what."""
        self._store = store
        self._index = index
        self._trash = trash
        self._folder = store.data.top
        self._searches = Document(self._folder, SEARCHES, MAX_SEARCHES_BYTES, key="searches", private=True)

    # -- annotations -----------------------------------------------------------------------------------------------------

    @act(Role.CREATOR, Role.REVIEWER)
    def annotate(self, ids: Sequence[str], edit: Edit, versions: Collection[str] | None = None) -> Change:
        """Apply one edit to several operations; raise InvalidInput, with nothing changed, for an edit that makes no sense.

        With `versions` only an operation whose state is one of them (`version_of`) is changed; another fails: OperationChanged.
        """
        wanted = _checked(edit)
        inverse: dict[str, Inverse] = {}

        def annotate(operation_id: str) -> None:
            found = self._annotate(operation_id, wanted, versions=versions)
            if found:
                inverse[operation_id] = found

        change = _each(ids, annotate)
        return replace(change, inverse=inverse)

    @act(Role.CREATOR, Role.REVIEWER)
    def undo(self, change: Change) -> Change:
        """Take a change back; what others changed since stays. What this returns can be taken back as well."""
        if change.trashed:
            return self.restore(change.done)
        again: dict[str, Inverse] = {}

        def take_back(operation_id: str) -> None:
            past = change.inverse.get(operation_id)
            found = self._annotate(operation_id, past.edit, past.made) if past else None
            if found:
                again[operation_id] = found

        return replace(_each(change.done, take_back), inverse=again)

    def _annotate(
        self, operation_id: str, edit: Edit, applied: Mapping[str, Any] | None = None, versions: Collection[str] | None = None
    ) -> Inverse | None:
        """Change one operation and return what takes it back, None where it was so already."""
        inverse: Inverse | None = None

        def change(sidecar: dict[str, Any]) -> None:
            nonlocal inverse
            if versions is not None and version_of(sidecar) not in versions:
                raise OperationChanged(operation_id=operation_id)
            before = annotations_of(sidecar)
            if edit.note_before is not None and before["note"] not in (edit.note_before, edit.note):
                raise OperationChanged(operation_id=operation_id)
            after = _edited(before, edit if applied is None else _still(edit, before, applied))
            if after == before:
                raise _Unchanged
            inverse = Inverse(_inverse(before, after), after)
            # Keys that nobody here knows stay; the four that are known are made sound.
            known = sidecar.get("annotations")
            sidecar["annotations"] = (known if isinstance(known, dict) else {}) | after

        # Reviewers wait for each other here: without, six at work on one operation would undo each other's reading for ever.
        with self._folder.locked(f"annotating-{check_operation_id(operation_id)}"):
            for _ in range(ATTEMPTS):
                try:
                    self._store.rewrite(operation_id, change)
                    return inverse
                except _Unchanged:
                    return None
                except OperationChanged:
                    raise
                except OperationBusy:
                    continue
        raise OperationBusy(operation_id=operation_id)

    # -- trash -----------------------------------------------------------------------------------------------------------

    @act(Role.CREATOR, Role.REVIEWER)
    def put_in_trash(self, ids: Sequence[str], versions: Collection[str] | None = None) -> Change:
        """Move operations to the trash; `undo` brings them back.

        With `versions` only an operation whose state is one of them (`version_of`) is moved; another fails: OperationChanged.
        """

        def put(operation_id: str) -> None:
            def check(sidecar: dict[str, Any]) -> None:
                if versions is not None and version_of(sidecar) not in versions:
                    raise OperationChanged(operation_id=operation_id)

            self._trash.put(operation_id, None if versions is None else check)

        return replace(_each(ids, put), trashed=True)

    @act(Role.CREATOR, Role.REVIEWER)
    def restore(self, ids: Sequence[str]) -> Change:
        """Bring operations back from the trash."""
        return _each(ids, self._trash.restore)

    @act(*Role)
    def trashed(self) -> list[Trashed]:
        """Return what is in the trash, the last trashed first."""
        return self._trash.all()

    @act(*Role)
    def trashed_ids(self) -> frozenset[str]:
        """Return which operations are in the trash: a look at names."""
        return self._trash.ids()

    @act(Role.ADMIN)
    def remove_for_good(self, ids: Sequence[str]) -> Change:
        """Remove trashed operations with all their files; this cannot be undone."""
        return _each(ids, self._trash.remove)

    @act(Role.ADMIN)
    def purge(self, older_than: timedelta = KEPT) -> list[str]:
        """Remove for good what has been in the trash for longer than `older_than`; return the ids."""
        return self._trash.purge(older_than)

    @act(*Role)
    def used_by(self, ids: Iterable[str]) -> list[str]:
        """Return the operations, other than `ids`, that have an output of one of `ids` as an input."""
        chosen = {check_operation_id(operation_id) for operation_id in ids}
        users = (user for operation_id in chosen for user in self._index.used_as_input(operation_id))
        return sorted(set(users) - chosen, reverse=True)

    # -- saved searches --------------------------------------------------------------------------------------------------

    @act(*Role)
    def searches(self) -> dict[str, str]:
        """Return the saved searches, name → query, by name."""
        try:
            found, _ = self._stored_searches()
        except UnsafeFile:
            return {}  # a link or a folder of that name: saving one says so
        return dict(sorted(found.items(), key=lambda item: item[0].casefold()))

    @act(*Role)
    def save_search(self, name: str, query: str) -> None:
        """Save a search under a name, over one that has it; raise InvalidInput for a bad name, InvalidQuery for a bad query."""
        parse(query)
        if not _is_text(query):
            raise InvalidInput(reason=said("the text at {place} holds half a character (a lone surrogate)", place=SEARCHES))
        clean = _clean(name, MAX_TAG, said("a saved search needs a name of at most {limit} characters", limit=MAX_TAG))
        self._change_searches(lambda found: {**found, clean: query})

    @act(*Role)
    def remove_search(self, name: str) -> None:
        """Forget a saved search; one that is not there is passed over."""
        gone = (name, _plain(name))
        self._change_searches(lambda found: {key: query for key, query in found.items() if key not in gone})

    def _stored_searches(self) -> tuple[dict[str, str], bytes | None]:
        """Return what is saved, and the bytes that say so, None if there is no file; what makes no sense is passed over."""
        data = self._searches.find()
        if data is None:
            return {}, None
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = {}
        pairs = found.items() if isinstance(found, dict) else ()
        return {name: query for name, query in pairs if _is_text(name) and _is_text(query)}, data

    def _change_searches(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        for _ in range(ATTEMPTS):
            found, stored = self._stored_searches()
            after = change(found)
            if after == found:
                return
            if len(after) > MAX_SEARCHES:
                raise InvalidInput(reason=said("there are {limit} saved searches already; remove one first", limit=MAX_SEARCHES))
            if stored is not None and len(stored) > MAX_SEARCHES_BYTES:
                raise InvalidInput(reason=said("{name} holds more than saved searches; move it away", name=SEARCHES))
            data = json.dumps(after, ensure_ascii=False, indent=2).encode() + b"\n"
            try:
                self._searches.write(data, stored)
                return
            except (OperationBusy, OperationExists, FileMissing):
                continue  # somebody else's change came between: ours goes on top of it
        raise InvalidInput(reason=said("the saved searches are being changed by others without end; try again"))


def version_of(sidecar: Mapping[str, Any]) -> str:
    """Return a text that names this state of a sidecar: any other state of it has another (128 bits of SHA-256)."""
    return digest(json.dumps(sidecar, sort_keys=True).encode())[:32]


def annotations_of(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sidecar's annotations with all four keys, sound whatever is stored: tags, favorite, rating, note."""
    found = sidecar.get("annotations")
    stored = found if isinstance(found, Mapping) else {}
    tags, rating, note = stored.get("tags"), stored.get("rating"), stored.get("note")
    sound = isinstance(rating, int) and not isinstance(rating, bool) and 1 <= rating <= 5
    return {
        "tags": [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        "favorite": stored.get("favorite") is True,
        "rating": rating if sound else None,
        "note": note if isinstance(note, str) else "",
    }


def _each(ids: Sequence[str], act: Callable[[str], None]) -> Change:
    """Do an act on each of several operations, a few side by side: each waits for the disk most of its time."""

    def done(operation_id: str) -> OpstoreError | None:
        try:
            act(operation_id)
        except OpstoreError as error:
            return error
        return None

    each = tuple(dict.fromkeys(ids))
    if len(each) < ALONE:
        found = [done(operation_id) for operation_id in each]
    else:
        with ThreadPoolExecutor(HANDS) as hands:
            found = list(hands.map(done, each))
    failed = {operation_id: error for operation_id, error in zip(each, found, strict=True) if error is not None}
    return Change(tuple(operation_id for operation_id in each if operation_id not in failed), failed)


def _edited(before: Mapping[str, Any], edit: Edit) -> dict[str, Any]:
    gone = {_key(tag) for tag in edit.remove_tags}
    tags = [tag for tag in before["tags"] if _key(tag) not in gone]
    for tag in edit.add_tags:  # one that is there already keeps its place and its spelling
        if _key(tag) not in map(_key, tags):
            tags.append(tag)
    if len(tags) > max(MAX_TAGS, len(before["tags"])):
        raise InvalidInput(reason=said("an operation holds at most {limit} tags; remove some first", limit=MAX_TAGS))
    return {
        "tags": tags,
        "favorite": before["favorite"] if edit.favorite is None else edit.favorite,
        "rating": before["rating"] if edit.rating is None else edit.rating or None,
        "note": before["note"] if edit.note is None else edit.note,
    }


def _still(edit: Edit, now: Mapping[str, Any], applied: Mapping[str, Any]) -> Edit:
    """Return `edit` without what somebody has given another value since it was `applied`."""
    return replace(
        edit,
        rating=edit.rating if now["rating"] == applied["rating"] else None,
        favorite=edit.favorite if now["favorite"] == applied["favorite"] else None,
        note=edit.note if now["note"] == applied["note"] else None,
    )


def _inverse(before: Mapping[str, Any], after: Mapping[str, Any]) -> Edit:
    """Return the edit that takes back what led from `before` to `after`, and nothing else."""
    return Edit(
        rating=(before["rating"] or 0) if before["rating"] != after["rating"] else None,
        favorite=before["favorite"] if before["favorite"] != after["favorite"] else None,
        add_tags=tuple(tag for tag in before["tags"] if tag not in after["tags"]),
        remove_tags=tuple(tag for tag in after["tags"] if tag not in before["tags"]),
        note=before["note"] if before["note"] != after["note"] else None,
    )


def _checked(edit: Edit) -> Edit:
    whole = edit.rating is None or (isinstance(edit.rating, int) and not isinstance(edit.rating, bool))
    if not whole or (edit.rating is not None and not 0 <= edit.rating <= 5):
        raise InvalidInput(reason=said("a rating is a whole number from 1 to 5, or 0 for none"))
    if edit.favorite is not None and not isinstance(edit.favorite, bool):
        raise InvalidInput(reason=said("{key} must be {wanted}", key="favorite", wanted=said("true or false")))
    if edit.note is not None and (not _is_text(edit.note) or len(edit.note) > MAX_NOTE):
        raise InvalidInput(reason=said("a note has at most {limit} characters", limit=MAX_NOTE))
    reason = said("a tag has 1 to {limit} characters", limit=MAX_TAG)
    if not all(isinstance(tags, list | tuple) for tags in (edit.add_tags, edit.remove_tags)):
        raise InvalidInput(reason=reason)
    if not all(isinstance(tag, str) for tag in edit.remove_tags):
        raise InvalidInput(reason=reason)
    tags = tuple(dict.fromkeys(_clean(tag, MAX_TAG, reason) for tag in edit.add_tags))
    return replace(edit, add_tags=tags, remove_tags=tuple(edit.remove_tags))


def _is_text(value: object) -> bool:
    """Say whether a value is text of whole characters: half of one (a lone surrogate) can be stored nowhere."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(text: str) -> str:
    """Return a name in one spelling: NFC, single spaces."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _key(tag: str) -> str:
    """Return by what a tag is known, however it is spelt."""
    return _plain(tag).casefold()


def _clean(text: str, limit: int, reason: str) -> str:
    """Return a name in one spelling, all printable; raise InvalidInput if nothing or too much is left."""
    plain = _plain(text) if isinstance(text, str) else ""
    if not plain or len(plain) > limit or not plain.isprintable():
        raise InvalidInput(reason=reason)
    return plain
