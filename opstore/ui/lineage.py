"""The parts of the Family page: the graph of an operation's ancestors and descendants, and its branch run again."""

from __future__ import annotations

from typing import Any

import streamlit as st

from opstore.errors import OpstoreError
from opstore.lineage.branches import Branch, Branches
from opstore.lineage.families import Family, layout
from opstore.service import Service
from opstore.storage.operation import Operation
from opstore.ui import parts, presses, words
from opstore.ui.components.lineage_graph import graph
from opstore.ui.opened_app import again, stay
from opstore.ui.studio.input_pictures import PICTURE_TYPES
from opstore.ui.studio.reuse import actions
from opstore.ui.words import _, ngettext

#: Seconds between two looks at a branch under way.
EVERY = 2.0


def show_family(service: Service, operation_id: str) -> None:
    """Show the family of an operation, and what can be done with the branch that leads to it; raise OperationNotFound."""
    family = service.lineage.family(operation_id)
    centre = family.members[operation_id]
    parts.entitle(_("Family"), centre.prompt if centre else "")
    left, right = st.columns([3, 1], gap="medium")
    with left:
        _told(family)
        opened = graph(
            _members(family),
            [{"parent": link.parent, "child": link.child, "how": link.how} for link in family.links.values()],
            centre=operation_id,
            words=_spoken(),
            key="family",
        )
    if opened and opened != operation_id:
        st.query_params["id"] = opened
        st.rerun()
    with right:
        if centre:
            _about(service, family, centre)
    under_way(service)


def _told(family: Family) -> None:
    missing = sum(member is None for member in family.members.values())
    count = len(family.members) - missing
    facts = [ngettext("{count} operation", "{count} operations", count)]
    if missing:
        facts.append(ngettext("{count} no longer there", "{count} no longer there", missing))
    if family.cut:
        facts.append(_("there are more than can be shown"))
    st.caption(" · ".join(facts))
    if len(family.members) == 1:
        parts.note(_("No related operations yet. Use this result as an input image to continue."))


def _members(family: Family) -> list[dict[str, Any]]:
    places = layout(family)
    shown = []
    for name, (column, row) in sorted(places.items(), key=lambda item: item[1]):
        operation = family.members[name]
        if operation is None:
            title = _("No longer there: {id}").format(id=name)
            tile = {"title": title, "label": title, "thumbnail": None, "badge": "", "tone": ""}
        else:
            drawn = parts.tile(operation)
            kin = [len(family.parents(name)), len(family.children(name))]
            label = _("{title}; parents: {parents}, children: {children}").format(
                title=drawn.alt, parents=words.number(kin[0]), children=words.number(kin[1])
            )
            tile = {"title": drawn.title, "label": label, "thumbnail": drawn.source, "badge": drawn.badge, "tone": drawn.tone}
        shown.append({"id": name, "column": column, "row": row, "missing": operation is None, **tile})
    return shown


def _spoken() -> dict[str, str]:
    return {
        "name": _("Family"),
        "declared": _("declared parent"),
        "content": _("identical file"),
        "both": _("declared parent, identical file"),
    }


def _about(service: Service, family: Family, operation: Operation) -> None:
    for name in operation.outputs[:1]:
        parts.media(service, name, parts.tile(operation).alt, of=operation)
    parts.prompt(operation.prompt)
    actions(service, operation, "family")
    _again(service, family, operation)


# -- the branch run again ------------------------------------------------------------------------------------------------


def _again(service: Service, family: Family, operation: Operation) -> None:
    """Offer to make this operation, and what led to it, from another image."""
    starts = _starts(family, operation) if service.may(Branches.begin) else []
    if not starts:
        return
    with st.expander(_("Run again on another image")):
        start = starts[0]
        if len(starts) > 1:
            start = st.selectbox(_("Start from"), starts, format_func=lambda item: _title(item), key=f"begin-{operation.id}")
        number = 1
        if len(start.inputs) > 1:
            numbers = list(range(1, len(start.inputs) + 1))
            number = st.selectbox(_("Input to replace"), numbers, key=f"place-{start.id}")
        upload = st.file_uploader(_("Image"), type=PICTURE_TYPES, max_upload_size=10, key=f"branch-{operation.id}")
        if parts.button(_("Run again"), type="primary", disabled=upload is None, key="run-branch") and upload is not None:
            if presses.doubled(f"branch-{operation.id}"):
                st.toast(_("This was requested a moment ago. Press once more for another one."))
                return
            try:
                service.branches.begin(operation.id, start.id, upload.getvalue(), number)
            except OpstoreError as error:
                parts.show_error(error)
            else:
                st.toast(_("The branch is running. Its results will appear in the library one by one."))


def _starts(family: Family, operation: Operation) -> list[Operation]:
    """Return where a branch to this operation can begin: itself and its ancestors that have inputs, the oldest first."""
    reached, waiting = {operation.id}, [operation.id]
    while waiting:
        for parent in family.parents(waiting.pop()):
            if parent not in reached:
                reached.add(parent)
                waiting.append(parent)
    members = [family.members[name] for name in sorted(reached)]
    return [member for member in members if member is not None and member.inputs]


def _title(operation: Operation) -> str:
    return " ".join(operation.prompt.split())[:60] or words.type_name(operation.type)


def under_way(service: Service) -> None:
    """Show the branches under way, by themselves up to date, whoever began them."""
    st.fragment(_branches, run_every=EVERY)(service, set[str]())


def _branches(service: Service, seen: set[str]) -> None:
    """Show them; where one of those that this page has `seen` is no more, the family may be larger."""
    stay(service)
    found = service.branches.all()
    seen |= {branch.id for branch in found}
    if len(seen) > len(found):
        again()
    for branch in found:
        _branch(service, branch)


def _branch(service: Service, branch: Branch) -> None:
    # The one being made is not done yet: a record goes with its last operation.
    done = sum(step.made is not None for step in branch.steps)
    st.progress(
        max(0, done - 1) / len(branch.steps),
        text=_("Branch on another image: operation {number} of {count}").format(number=max(1, done), count=len(branch.steps)),
    )
    if branch.error:
        parts.note(words.stored(branch.error), bad=True)
        if not service.may(Branches.go_on):
            return
        with st.container(horizontal=True, gap="xsmall"):
            try:
                if parts.button(_("Try again"), key=f"go-on-{branch.id}"):
                    service.branches.go_on(branch.id)
                    st.rerun()
                if parts.button(_("Stop the branch"), key=f"forget-{branch.id}"):
                    service.branches.forget(branch.id)
                    st.rerun()
            except OpstoreError as error:  # another window was quicker, or the disk is full
                parts.show_error(error)
