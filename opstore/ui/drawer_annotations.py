"""Rating, favorite, tags, note and trash of the operation that is open: stored at once, nothing of others overwritten unseen."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from opstore.curation import MAX_NOTE, Curation, Edit, annotations_of, version_of
from opstore.errors import OperationChanged, OpstoreError
from opstore.service import Service
from opstore.storage.operation import Operation
from opstore.ui import bulk_acts, controls, parts, words
from opstore.ui.components import draft
from opstore.ui.components.drawer_keys import keys as drawer_keys
from opstore.ui.words import _, ngettext

_CONTROLS = ("rating", "favorite", "tags", "note")
#: A note that was refused so lately was finished by closing the drawer: nobody has read there that it was.
_JUST_NOW = 3.0
_TOLD = 300


def opinion(service: Service, operation: Operation) -> None:
    """Show what people said about an operation, to be changed; every change is stored at once."""
    _align(operation.id, annotations_of(operation.sidecar))
    keys = _keys(operation.id)

    def change(name: str) -> dict[str, Any]:
        args = (service, operation.id, name, keys[name])
        return {"key": keys[name], "on_change": _changed, "args": args, "disabled": not service.may(Curation.annotate)}

    with st.container(horizontal=True, vertical_alignment="center", key="opinion"):
        st.feedback(options="stars", **change("rating"))
        st.toggle(_("Favorite"), **change("favorite"))
    known = list(dict.fromkeys([*service.index.facets().get("tag", ()), *st.session_state[keys["tags"]]]))
    st.multiselect(
        _("Tags and collections"),
        known,
        accept_new_options=True,
        placeholder=_("Choose a tag, or type a new one"),
        **change("tags"),
    )
    st.text_area(_("Note"), height=72, max_chars=MAX_NOTE, **change("note"))
    _half_written(service, operation)
    # What was written and is not stored stands here for the rest of the session: nobody else has it.
    for text in [*st.session_state.pop(f"wrong-{operation.id}", ()), *st.session_state.get(f"unstored-{operation.id}", ())]:
        parts.note(text, bad=True)


def _half_written(service: Service, operation: Operation) -> None:
    """Keep what was being written when somebody else's note took the place of the box: a browser does not say it of itself."""
    under = st.session_state[f"under-{_keys(operation.id)['note']}"]
    box = f"note-{operation.id}"
    stored = bulk_acts.acts().notes.get(operation.id)
    kept = draft.kept_name(service.person, box)
    # Over another's note nobody's rest takes the pen away: who finishes his own is told.
    rests = annotations_of(operation.sidecar)["note"] == under
    written = draft.unfinished(under, of=box, key=_draft_key(operation.id), kept=kept, stored=stored, rests=rests)
    if written and written[1] != st.session_state.get(f"draft-told-{operation.id}"):
        st.session_state[f"draft-told-{operation.id}"] = written[1]
        _keep_unstored(operation.id, [_not_stored(written[0])])


def _is_written(operation_id: str, under: str) -> bool:
    """Return whether somebody is writing a note over the one that the box had `under` it: another takes its place only after."""
    key = _draft_key(operation_id)
    return draft.is_over(under, key=key) and draft.mark(key=key) != st.session_state.get(f"draft-told-{operation_id}")


def _draft_key(operation_id: str) -> str:
    return f"note-draft-{operation_id}"


def _keys(operation_id: str) -> dict[str, str]:
    """Return the keys of the controls that stand now."""
    return {name: controls.key_of(f"{name}-{operation_id}") for name in _CONTROLS}


def _align(operation_id: str, stored: dict[str, Any]) -> None:
    """Bring the controls into line with what is stored, whoever stored it."""
    seen = st.session_state.get(f"seen-{operation_id}")
    st.session_state.pop(f"pressed-{operation_id}", None)
    for name, key in _keys(operation_id).items():
        shown = stored[name] - 1 if name == "rating" and stored[name] else stored[name]
        stands, under = key in st.session_state, st.session_state.get(f"under-{key}", stored[name])
        if f"under-{key}" not in st.session_state:
            st.session_state[key] = shown
        elif stands and name == "note" and _is_written(operation_id, under):
            # Another box would take the pen away: who finishes this one is told of the other note then (`_changed`).
            stored = stored | {name: under}
            continue
        elif not stands or ((seen is None or seen[name] != stored[name]) and st.session_state[key] != shown):
            # A new one, also where none stands: a browser that came back quickly has the old one, and hands that in.
            controls.set_to(f"{name}-{operation_id}", shown)
        elif st.session_state[key] != shown:
            continue  # what somebody has just chosen is on its way
        st.session_state[f"under-{_keys(operation_id)[name]}"] = stored[name]
    st.session_state[f"seen-{operation_id}"] = stored


def _changed(service: Service, operation_id: str, name: str, key: str) -> None:
    """Store what a control was changed to, and only that: what the others show may be older than what is stored.

    A control that another one has replaced is still heard, of a browser that has not drawn the page since: what it was changed to
    is compared with what it had `under` it, and a note is stored over that one and over no other.
    """
    value, stands, under = st.session_state[key], key == _keys(operation_id)[name], st.session_state[f"under-{key}"]
    stored = _stars(value) if name == "rating" else value
    if stored == under:
        return  # what it was drawn with: Streamlit takes the last word of a control that went for a change
    if name == "note":  # whole, where what was told while it was written may be a part of it
        st.session_state[f"draft-told-{operation_id}"] = draft.mark(key=_draft_key(operation_id))
    wrong: list[str] = []
    try:
        change = bulk_acts.acts().keep(service.curation.annotate([operation_id], _edit(name, value, under)))
        wrong += [_refused(error, value if name == "note" else None) for error in change.failed.values()]
    except OpstoreError as error:
        wrong.append(_refused(error, value if name == "note" else None))
    if name == "note":
        _keep_unstored(operation_id, wrong)
        if not wrong:
            bulk_acts.acts().keep_note(operation_id, value)
    else:
        st.session_state[f"wrong-{operation_id}"] = wrong
    if not wrong:
        st.session_state[f"under-{key}"] = stored
    if stands and wrong:
        st.session_state.pop(f"seen-{operation_id}", None)  # show what is stored
    elif stands and f"seen-{operation_id}" in st.session_state:
        # Known to be stored: setting the control again would take away what is typed into it meanwhile.
        st.session_state[f"seen-{operation_id}"] |= {name: stored}


def _refused(error: OpstoreError, note: str | None) -> str:
    """Return what is told of a change that was not stored; a `note` is told whole, for its box shows what is stored again."""
    if note is None:
        return words.told(error)
    if isinstance(error, OperationChanged):
        return _not_stored(note)
    return _("{reason} What you wrote, which was not saved: “{note}”").format(reason=words.told(error), note=note)


def _keep_unstored(operation_id: str, wrong: list[str]) -> None:
    """Keep what was written in vain where its writer sees it: a note stored later may be another, or only its other half."""
    kept: list[str] = st.session_state.setdefault(f"unstored-{operation_id}", [])
    if fresh := [text for text in wrong if text not in kept]:
        st.session_state["note-refused"] = (fresh[0], time.monotonic())
    kept.extend(fresh)


def tell_refused() -> None:
    """Tell of a note that was refused as the drawer closed; to be called where none is open."""
    text, moment = st.session_state.pop("note-refused", ("", 0.0))
    if text and time.monotonic() - moment < _JUST_NOW:
        st.toast(parts.plain(text if len(text) <= _TOLD else f"{text[: _TOLD - 1]}…"), duration="long")


def _not_stored(note: str) -> str:
    return _("Somebody else has changed this note meanwhile. Yours, which was not saved: “{note}”").format(note=note)


def _edit(name: str, value: Any, under: Any) -> Edit:
    """Return the change that a control asks for."""
    if name == "rating":
        return Edit(rating=_stars(value) or 0)
    if name == "favorite":
        return Edit(favorite=value)
    if name == "note":
        return Edit(note=value, note_before=under)
    added, removed = (tuple(tag for tag in some if tag not in other) for some, other in ((value, under), (under, value)))
    return Edit(add_tags=added, remove_tags=removed)


def _stars(given: int | None) -> int | None:
    return None if given is None else given + 1


def keys(service: Service, operation: Operation, turn: int) -> None:
    """Take the keys that the grid has, too: 1 to 5 and 0 rate, F favorite, T tags, Delete to the trash; anew at each `turn`."""
    kinds = [*(("rate", "favorite") if service.may(Curation.annotate) else ())]
    kinds += ["trash"] if service.may(Curation.put_in_trash) else []

    def press(kind: str, value: Any) -> None:
        if kind == "trash":
            parts.press(f"trash-{operation.id}")
        else:
            _pressed(service, operation.id, kind, value)

    tags = controls.key_of(f"tags-{operation.id}")
    state = f'"{version_of(operation.sidecar)}"'
    drawer_keys(
        key=f"keys-{operation.id}", operation_id=operation.id, turn=turn, state=state, tags=tags, kinds=kinds, on_press=press
    )


def _pressed(service: Service, operation_id: str, kind: str, value: Any) -> None:
    """Store what a key asks for; the controls follow what is stored.

    F turns over what the drawer shows: who marks what somebody else has marked meanwhile does not unmark it.
    """
    state, pressed = st.session_state, f"pressed-{operation_id}"
    try:
        if kind == "rate":
            edit = Edit(rating=value if isinstance(value, int) and 0 <= value <= 5 else None)
        else:
            edit = Edit(favorite=not state.get(pressed, state[f"under-{_keys(operation_id)['favorite']}"]))
        change = bulk_acts.acts().keep(service.curation.annotate([operation_id], edit))
        wrong = [words.told(error) for error in change.failed.values()]
    except OpstoreError as error:
        wrong = [words.told(error)]
    if wrong:
        state[f"wrong-{operation_id}"] = wrong
    elif kind != "rate":
        state[pressed] = edit.favorite  # until it is drawn: the next F turns that over


def trash(service: Service, operation: Operation) -> None:
    """Offer to move an operation to the trash; where others were made from it, say so first."""
    if not service.may(Curation.put_in_trash):
        return
    asked = f"sure-{operation.id}"
    pressed = parts.button(_("Move to trash"), key=f"trash-{operation.id}")
    users = service.curation.used_by([operation.id]) if pressed or st.session_state.get(asked) else []
    if users and not st.session_state.get(asked):
        st.session_state[asked] = True
    if users:
        parts.note(
            ngettext(
                "{count} other operation was made from what you are moving to the trash. It keeps its own copy.",
                "{count} other operations were made from what you are moving to the trash. They keep their own copies.",
                len(users),
            )
        )
        pressed = parts.button(_("Move to trash all the same"), key=f"trash-sure-{operation.id}")
    if pressed:
        _put(service, operation.id)


def _put(service: Service, operation_id: str) -> None:
    change = bulk_acts.acts().keep(service.curation.put_in_trash([operation_id]))
    for error in change.failed.values():
        parts.show_error(error)
    if change.done:
        st.session_state.pop(f"sure-{operation_id}", None)
        st.query_params.pop("operation", None)
        st.session_state["done"] = _("Moved to the trash. Press Ctrl+Z to undo.")
        st.rerun()
