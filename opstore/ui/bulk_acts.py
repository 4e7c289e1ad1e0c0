"""What people do with chosen operations in the grid: each act is done once, told in words, and can be taken back by the next.

An act is done before any word is said about it: what a session asks of Streamlit may end its run there, and an act that was done
must not be lost with it. It is done in a thread of its own: one that takes long goes on there, and the runs that follow tell how
far it is. What a window did stays with it when it is loaded anew, which makes another session of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from opstore.comparing.reviews import Reviews
from opstore.curation import Change, Curation, Edit
from opstore.errors import OperationBusy, OperationChanged, OperationNotFound, OpstoreError, StorageError
from opstore.exports import Exports
from opstore.service import Service
from opstore.shares import Shares
from opstore.storage.operation import OPERATION_TYPES, STATUSES
from opstore.ui import export, words
from opstore.ui.components.grid import Act, sent
from opstore.ui.words import _, ngettext

#: What the grid offers, and the act of the service that each comes to.
OFFERED: Mapping[str, Callable[..., object]] = {
    **dict.fromkeys(("rate", "favorite", "tag"), Curation.annotate),
    "undo": Curation.undo,
    "trash": Curation.put_in_trash,
    "restore": Curation.restore,
    "remove": Curation.remove_for_good,
    **dict.fromkeys(("use", "remix"), Service.create),
    "share": Shares.create,
    "export": Exports.prepare,
    "review": Reviews.vote,
}
#: Acts of a window that can be taken back, and of which it is known that they were done; and how many operations they may hold.
KEPT, KEPT_OPERATIONS = 50, 50_000
#: Windows whose acts are known when they are loaded anew.
WINDOWS = 50
#: Operations after which it can be told how far an act is; seconds that a run waits for one that an earlier run began.
PORTION, PATIENCE = 100, 1.0


@dataclass
class Acts:
    """The acts of one window: those done, what the last one came to, and how each is taken back."""

    done: list[str] = field(default_factory=list)
    last: Act | None = None
    change: Change = field(default_factory=Change)
    users: Sequence[str] = ()
    refused: OpstoreError | None = None
    undone: list[Change] = field(default_factory=list)
    #: The note that was stored last of an operation: no half of anything, whatever it was changed to since.
    notes: dict[str, str] = field(default_factory=dict)
    #: How many operations of how many are done, while an act is at work.
    working: tuple[int, int] | None = None
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def do(self, service: Service, act: Act) -> None:
        """Do an act, unless it was done already or another is still at work: it will be handed in again."""
        if act.id in self.done or not self.turn.acquire(timeout=PATIENCE):
            return
        try:
            if act.id in self.done:
                return
            self.working = (0, len(act.ids))
            self.last, self.change, self.users, self.refused = act, Change(), (), None
            try:
                self._do(service, act)
            except OpstoreError as error:
                self.refused = error
            self.done = [*self.done[-KEPT:], act.id]
        finally:
            self.working = None
            self.turn.release()

    def _do(self, service: Service, act: Act) -> None:
        curation = service.curation
        if act.kind == "undo":
            if self.undone:
                self.change = self._undo(curation, self.undone.pop())
        elif act.kind == "trash":
            self.users = curation.used_by(act.ids) if act.value != "sure" else ()
            if not self.users:
                self.change = self.keep(self._portions(act.ids, curation.put_in_trash))
        elif act.kind == "restore":
            self.change = self._portions(act.ids, curation.restore)
        elif act.kind == "remove":
            if act.value == "sure":
                self.change = self._portions(act.ids, curation.remove_for_good)
        else:
            edit = edit_of(act)
            self.change = self.keep(self._portions(act.ids, lambda ids: curation.annotate(ids, edit)))

    def _undo(self, curation: Curation, past: Change) -> Change:
        """Take a change back and return what came of it; what only the disk or a lock was in the way of is for the next undo."""
        change = self._portions(past.changed, lambda ids: curation.undo(replace(past, done=ids)))
        if not past.trashed:
            theirs = {name: OperationChanged(operation_id=name) for name in change.done if name not in change.inverse}
            change = replace(change, done=change.changed, failed={**change.failed, **theirs})
        if again := [name for name, error in change.failed.items() if type(error) in (StorageError, OperationBusy)]:
            self.undone.append(replace(past, done=tuple(again)))
        return change

    def _portions(self, ids: Sequence[str], do: Callable[[tuple[str, ...]], Change]) -> Change:
        """Do something with operations, a hundred at a time, and return what it came to in all."""
        whole = Change()
        for start in range(0, max(len(ids), 1), PORTION):
            self.working = (start, len(ids))
            part = do(tuple(ids[start : start + PORTION]))
            whole = Change(
                (*whole.done, *part.done), {**whole.failed, **part.failed}, {**whole.inverse, **part.inverse}, part.trashed
            )
        return whole

    def keep(self, change: Change) -> Change:
        """Remember what was done, to take it back where somebody asks for that."""
        if change.changed:
            self.undone = [*self.undone[-KEPT:], change]
            while sum(len(past.done) for past in self.undone[1:]) > KEPT_OPERATIONS:
                self.undone.pop(0)
        return change

    def keep_note(self, operation_id: str, note: str) -> None:
        """Remember a note that was stored; of a few operations, as a window cannot have many half written."""
        self.notes.pop(operation_id, None)
        self.notes[operation_id] = note
        while len(self.notes) > KEPT:
            del self.notes[next(iter(self.notes))]

    def outcome(self) -> dict[str, Any] | None:
        """Return what the grid must know of the last act, in the viewer's words."""
        working = self.working  # looked at first: what an act comes to is there before it is no longer at work
        act, change = self.last, self.change
        if act is None:
            return None
        if working:
            count, total = map(words.number, working)
            said = _("{count} of {total} done").format(count=count, total=total)
            return {"id": act.id, "done": [name for name in self.done if name != act.id], "busy": said}
        gone = list(change.done if act.kind in ("trash", "restore", "remove") else ())
        # What somebody else took away is not here to be chosen again either.
        gone += [name for name, error in change.failed.items() if isinstance(error, OperationNotFound)]
        failed = act.ids if self.refused else tuple(change.failed)
        told: dict[str, Any] = {"id": act.id, "done": self.done, "failed": list(failed), "gone": gone, "said": self._said()}
        told["ask"] = self._question()
        return told | ({"back": list(change.done)} if act.kind == "undo" else {})

    def failures(self) -> str:
        """Return why the last act, or a part of it, was not done; nothing where all went well."""
        errors = [self.refused] if self.refused else list(self.change.failed.values())
        if not errors:
            return ""
        count = len(self.change.failed) or len(self.last.ids if self.last else ())
        first = words.told(errors[0])
        more = ngettext("{count} operation was not changed", "{count} operations were not changed", count)
        return first if count < 2 else words.labelled(more, first)

    def _said(self) -> str:
        act, change = self.last, self.change
        # What was so already is not changed, and an undo does not take it back.
        count = len(change.done if act and act.kind in ("trash", "restore", "remove", "undo") else change.changed)
        if act and act.kind == "undo" and not count and not self.change.failed and not self.refused:
            return _("There is nothing to undo.")
        if act is None or not count:
            return ""
        sentences = {
            "trash": ngettext("{count} moved to the trash", "{count} moved to the trash", count),
            "restore": ngettext("{count} restored", "{count} restored", count),
            "remove": ngettext("{count} removed for good", "{count} removed for good", count),
            "undo": ngettext("Undone for {count} operation", "Undone for {count} operations", count),
        }
        # What a tile shows by itself needs no word, as long as it is one.
        alone = count == 1 and act.kind in ("rate", "favorite")
        return sentences.get(act.kind, "" if alone else ngettext("{count} changed", "{count} changed", count))

    def _question(self) -> dict[str, Any] | None:
        act = self.last
        if act is None or self.refused:
            return None
        if self.users:
            text = ngettext(
                "{count} other operation was made from what you are moving to the trash. It keeps its own copy.",
                "{count} other operations were made from what you are moving to the trash. They keep their own copies.",
                len(self.users),
            )
            return {"kind": "trash", "ids": list(act.ids), "text": text}
        if act.kind == "remove" and act.value != "sure":
            count = len(act.ids)
            text = ngettext(
                "Remove {count} operation and its files for good? This cannot be undone.",
                "Remove {count} operations and their files for good? This cannot be undone.",
                count,
            )
            return {"kind": "remove", "ids": list(act.ids), "text": text}
        return None


def edit_of(act: Act) -> Edit:
    """Return the change of annotations that an act asks for; what the act does not name stays."""
    if act.kind == "rate":
        return Edit(rating=act.value if isinstance(act.value, int) else 0)
    if act.kind == "favorite":
        return Edit(favorite=act.value is True)
    asked = act.value if isinstance(act.value, Mapping) else {}
    add, remove = (
        [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []
        for found in (asked.get("add"), asked.get("remove"))
    )
    return Edit(add_tags=tuple(add), remove_tags=tuple(remove))


_windows: OrderedDict[tuple[str, str], Acts] = OrderedDict()
_guard = threading.Lock()


def acts() -> Acts:
    """Return the acts of this session's window."""
    found: Acts = st.session_state.setdefault("acts", Acts())
    return found


def take(service: Service, key: str) -> None:
    """Do what has just arrived from the grid `key`."""
    act = sent(key)
    if act:
        window = _of_window(service.person.identity or service.person.name, act.window)
        worker = threading.Thread(target=window.do, args=(service, act), name=f"act {act.kind}", daemon=True)
        worker.start()
        worker.join(PATIENCE)


def _of_window(person: str, window: str) -> Acts:
    """Return the acts of a person's window, known from an earlier session of it or from now on."""
    mine = acts()
    if not window:
        return mine
    with _guard:
        known = _windows.setdefault((person, window), mine)
        _windows.move_to_end((person, window))
        while len(_windows) > WINDOWS:
            _windows.popitem(last=False)
    if known is not mine:
        known.undone += mine.undone
        known.notes |= mine.notes
        st.session_state["acts"] = known
    return known


def spoken(service: Service, types: Sequence[str] = tuple(OPERATION_TYPES)) -> dict[str, Any]:
    """Return every word that the grid says, in the viewer's language, and what it does `without`."""
    return {
        "language": words.language(),
        "types": {name: words.type_name(name) for name in types},
        "statuses": {name: words.status_name(name) for name in STATUSES},
        "help": keys(service),
        "without": [name for name, act in OFFERED.items() if not service.may(act)],
        **_plurals(),
        "name": _("Operations"),
        "selection": _("Selection"),
        "size": _("Size of the pictures"),
        "keys": _("Keyboard shortcuts"),
        "clear": _("Clear the selection"),
        "all": _("Select all"),
        "restore": _("Restore"),
        "export": _("Export"),
        "formats": export.links("ids={ids}"),
        "remove": _("Remove for good"),
        "trash": _("Move to trash"),
        "keep": _("Keep"),
        "rate": _("Rate"),
        "labelled": _("{name}: {value}"),
        "favorite": _("Favorite"),
        "tag": _("Tag or collection"),
        "share": _("Share"),
        "newtag": _("a tag, or several separated by commas"),
        "compare": _("Compare"),
        "review": _("Vote"),
        "few": _("Up to four"),
        "use": _("Use in Create"),
        "remix": _("Use these settings"),
        "untag": _("Remove the tag {tag}"),
        "add": _("Add"),
        "undo": _("Undo"),
        "close": _("Close"),
        "preview": _("Preview"),
        "previous": _("Previous"),
        "next": _("Next"),
        "zoom": _("Click: true pixels."),
        "unstack": _("Show all"),
        "lost": _("The library cannot be read just now: {reason}"),
        "unanswered": _("The server does not answer. What you did last may not be stored."),
    }


def _plurals() -> dict[str, list[str]]:
    """Return (one, many) for the browser, which counts itself; {count} is filled in there."""
    return {
        "most": forms(lambda n: ngettext("{count} selected: no more at once", "{count} selected: no more at once", n)),
        "found": forms(lambda n: ngettext("{count} operation", "{count} operations", n)),
        "selected": forms(lambda n: ngettext("{count} selected", "{count} selected", n)),
        "tagging": forms(lambda n: ngettext("Tags of {count} operation", "Tags of {count} operations", n)),
        "exporting": forms(lambda n: ngettext("Export {count} operation", "Export {count} operations", n)),
        "rated": forms(lambda n: ngettext("{count} of 5 stars", "{count} of 5 stars", n)),
        "new": forms(lambda n: ngettext("{count} new", "{count} new", n)),
    }


def forms(spoken: Callable[[int], str]) -> list[str]:
    """Return both forms of a sentence, its {count} open again."""
    return [spoken(count).replace(words.number(count), "{count}", 1) for count in (1, 2)]


def keys(service: Service) -> list[list[str]]:
    """Return the keys of the grid and what each does, of what the viewer may do."""
    known = [
        ("← → ↑ ↓", "", _("move; with Shift: extend the selection")),
        (_("Enter"), "", _("open")),
        (_("Space"), "", _("preview; the arrows move on")),
        ("1 – 5", "rate", _("rate; 0 removes the rating")),
        ("F", "favorite", _("favorite")),
        ("T", "tag", _("tags and collections")),
        ("C", "", _("compare what is selected, or one with its input")),
        ("S", "share", _("share")),
        ("U", "use", _("use the results as input images in Create")),
        ("R", "remix", _("use its settings in Create")),
        ("X", "", _("select; also a click on the corner, Ctrl or Shift and a click")),
        (_("Ctrl+A"), "", _("select all results")),
        (_("Esc"), "", _("clear the selection")),
        (_("Del"), "trash", _("move to the trash")),
        (_("Ctrl+Z"), "undo", _("undo")),
        ("/", "", _("search; ↓ goes to the pictures")),
        ("?", "", _("show shortcuts")),
    ]
    return [[key, what] for key, act, what in known if not act or service.may(OFFERED[act])]
