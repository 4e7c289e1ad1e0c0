"""What people do with chosen operations in the grid: each act is done once, told in words, and can be taken back by the next.

An act is done before any word is said about it: what a session asks of Streamlit may end its run there, and an act that was done
must not be lost with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from opstore.curation import Change, Edit
from opstore.errors import OpstoreError
from opstore.operation import OPERATION_TYPES
from opstore.service import Service
from opstore.ui import export, words
from opstore.ui.components.grid import Act, sent
from opstore.ui.words import _, ngettext

#: What the grid offers, and the act of the service that each comes to.
OFFERED = {
    **dict.fromkeys(("rate", "favorite", "tag"), "curation.annotate"),
    "undo": "curation.undo",
    "trash": "curation.put_in_trash",
    "restore": "curation.restore",
    "remove": "curation.remove_for_good",
    **dict.fromkeys(("use", "remix"), "create"),
    "share": "shares.create",
    "export": "exports.prepare",
    "review": "reviews.vote",
}
#: Acts of a session that can be taken back, and of which it is known that they were done.
KEPT = 50


@dataclass
class Acts:
    """The acts of one session: those done, what the last one came to, and how each is taken back."""

    done: list[str] = field(default_factory=list)
    last: Act | None = None
    change: Change = field(default_factory=Change)
    users: Sequence[str] = ()
    refused: OpstoreError | None = None
    undone: list[Change] = field(default_factory=list)

    def do(self, service: Service, act: Act) -> None:
        """Do an act, unless it was done already."""
        if act.id in self.done:
            return
        self.done = [*self.done[-KEPT:], act.id]
        self.last, self.change, self.users, self.refused = act, Change(), (), None
        try:
            self._do(service, act)
        except OpstoreError as error:
            self.refused = error

    def _do(self, service: Service, act: Act) -> None:
        curation = service.curation
        if act.kind == "undo":
            if self.undone:
                self.change = curation.undo(self.undone.pop())
        elif act.kind == "trash":
            self.users = curation.used_by(act.ids) if act.value != "sure" else ()
            if not self.users:
                self.keep(curation.put_in_trash(act.ids))
        elif act.kind == "restore":
            self.change = curation.restore(act.ids)
        elif act.kind == "remove":
            if act.value == "sure":
                self.change = curation.remove_for_good(act.ids)
        else:
            self.keep(curation.annotate(act.ids, edit_of(act)))

    def keep(self, change: Change) -> Change:
        """Remember what was done, to take it back where somebody asks for that."""
        self.change = change
        if change.done:
            self.undone = [*self.undone[-KEPT:], change]
        return change

    def outcome(self) -> dict[str, Any] | None:
        """Return what the grid must know of the last act, in the viewer's words."""
        act, change = self.last, self.change
        if act is None:
            return None
        gone = change.done if act.kind in ("trash", "restore", "remove") else ()
        failed = act.ids if self.refused else tuple(change.failed)
        told: dict[str, Any] = {"id": act.id, "done": self.done, "failed": list(failed), "gone": list(gone), "said": self._said()}
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
        return first if count < 2 else f"{more}: {first}"

    def _said(self) -> str:
        act, count = self.last, len(self.change.done)
        if act is None or not count:
            return ""
        sentences = {
            "trash": ngettext("{count} moved to the trash", "{count} moved to the trash", count),
            "restore": ngettext("{count} restored", "{count} restored", count),
            "remove": ngettext("{count} removed for good", "{count} removed for good", count),
            "undo": ngettext("Taken back for {count}", "Taken back for {count}", count),
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


def acts() -> Acts:
    """Return the acts of this session."""
    found: Acts = st.session_state.setdefault("acts", Acts())
    return found


def take(service: Service, key: str) -> None:
    """Do what has just arrived from the grid `key`."""
    act, known = sent(key), acts()
    if act:
        known.do(service, act)


def spoken(service: Service, types: Sequence[str] = tuple(OPERATION_TYPES)) -> dict[str, Any]:
    """Return every word that the grid says, in the viewer's language, and what it does `without`."""
    statuses = ("stored", "failed", "canceled", "aborted", "expired", "unknown", "result missing")
    return {
        "language": words.language(),
        "types": {name: words.type_name(name) for name in types},
        "statuses": {name: words.status_name(name) for name in statuses},
        "help": keys(service),
        "without": [name for name, act in OFFERED.items() if not service.may(act)],
        **_plurals(),
        "name": _("Operations"),
        "selection": _("Selection"),
        "size": _("Size of the pictures"),
        "keys": _("Keys"),
        "clear": _("Clear the selection"),
        "restore": _("Restore"),
        "export": _("Export"),
        "formats": export.links("ids={ids}"),
        "remove": _("Remove for good"),
        "trash": _("Move to trash"),
        "keep": _("Keep"),
        "rate": _("Rate"),
        "rated": _("{count} of 5 stars"),
        "favorite": _("Favorite"),
        "tag": _("Tag or collection"),
        "share": _("Share"),
        "newtag": _("a tag, or several with commas"),
        "compare": _("Compare"),
        "review": _("Vote"),
        "few": _("Up to four"),
        "use": _("Use in Create"),
        "remix": _("Use these settings"),
        "untag": _("Take away the tag {tag}"),
        "add": _("Add"),
        "undo": _("Undo"),
        "close": _("Close"),
        "preview": _("Preview"),
        "previous": _("Previous"),
        "next": _("Next"),
        "zoom": _("Click: true pixels."),
        "unstack": _("Show all of them"),
        "lost": _("The library cannot be read just now: {reason}"),
        "unanswered": _("The server does not answer. What you did last may not be stored."),
    }


def _plurals() -> dict[str, list[str]]:
    """Return (one, many) for the browser, which counts itself; {count} is filled in there."""
    return {
        "found": forms(lambda n: ngettext("{count} operation", "{count} operations", n)),
        "selected": forms(lambda n: ngettext("{count} selected", "{count} selected", n)),
        "tagging": forms(lambda n: ngettext("Tags of {count} operation", "Tags of {count} operations", n)),
        "exporting": forms(lambda n: ngettext("Export {count} operation", "Export {count} operations", n)),
        "new": forms(lambda n: ngettext("{count} new", "{count} new", n)),
    }


def forms(spoken: Callable[[int], str]) -> list[str]:
    """Return both forms of a sentence, its {count} open again."""
    return [spoken(count).replace(words.number(count), "{count}", 1) for count in (1, 2)]


def keys(service: Service) -> list[list[str]]:
    """Return the keys of the grid and what each does, of what the viewer may do."""
    known = [
        ("← → ↑ ↓", "", _("move; with Shift: select what lies between")),
        (_("Enter"), "", _("open")),
        (_("Space"), "", _("preview; the arrows go on")),
        ("1 – 5", "rate", _("rate; 0 takes the rating away")),
        ("F", "favorite", _("favorite")),
        ("T", "tag", _("tags and collections")),
        ("C", "", _("compare what is selected, or one with its input")),
        ("S", "share", _("share")),
        ("U", "use", _("use the results as images in Create")),
        ("R", "remix", _("use its settings in Create")),
        ("X", "", _("select; also a click on the corner, Ctrl or Shift and a click")),
        (_("Ctrl+A"), "", _("select all that is loaded")),
        (_("Esc"), "", _("clear the selection")),
        (_("Del"), "trash", _("move to the trash")),
        (_("Ctrl+Z"), "undo", _("undo")),
        ("/", "", _("search")),
        ("?", "", _("these keys")),
    ]
    return [[key, what] for key, act, what in known if not act or service.may(OFFERED[act])]
