"""The part of the page Storage about backups: take one, bring one back, and let old ones go; each says first what it would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from opstore.care import Keep
from opstore.care.long_acts import Act
from opstore.care.remote import is_remote
from opstore.care.vault import Snapshot
from opstore.errors import OpstoreError, SettingsChanged
from opstore.service import Service
from opstore.storage.preferences import KEEP, MOST_KEPT, Preferences
from opstore.ui import controls, parts, words
from opstore.ui.storage import begin, left, outcome, stamp
from opstore.ui.words import _, ngettext


def backups(service: Service, busy: bool) -> None:
    """Show where backups are kept, take one, and bring one back."""
    desk = service.care.desk
    target = st.text_input(
        _("Backup location"),
        service.preferences().backup_target,
        max_chars=1_000,
        placeholder=_("a folder on another disk, or a remote of rclone"),
        key="backup-target",
    ).strip()
    if parts.button(_("Back up now"), type="primary", disabled=busy or not target, key="backup"):
        begin(lambda: _back_up(service, target))
    outcome(desk.last("backup"), _backed)
    names = _snapshots(service, target)
    if names:
        chosen = st.selectbox(_("Backup"), names, key="snapshot", format_func=_snapshot_name)
        with st.container(horizontal=True):
            if parts.button(_("Compare with the library"), disabled=busy, key="compare-backup"):
                begin(lambda: desk.restore(target, chosen, dry=True))
            if parts.button(_("Restore what is missing"), disabled=busy, key="restore"):
                begin(lambda: desk.restore(target, chosen, dry=False))
    last = desk.last("restore")
    outcome(last, _restored)
    left(last, _("File"))
    if names or is_remote(target):
        with st.expander(_("Old backups")):
            _old(service, target, busy)


def _back_up(service: Service, target: str) -> None:
    service.care.vault(target)  # refused before it is remembered
    service.change_preferences(backup_target=target)
    service.care.desk.back_up(target)


def _snapshots(service: Service, target: str) -> list[str]:
    """Return the backups in a folder; a remote is asked by the command only, since that takes seconds."""
    try:
        return service.care.local_snapshots(target)
    except OpstoreError:
        return []


def _snapshot_name(name: str) -> str:
    return words.exact(Snapshot(name, {}).moment)


def _backed(result: Mapping[str, Any]) -> str:
    count = ngettext("{count} operation", "{count} operations", result["operations"])
    sentences = [_("Backed up {count}; {size} of new data.").format(count=count, size=words.size(result["new_bytes"]))]
    if result.get("pruned"):
        sentences.append(_pruned({"count": result["pruned"], "bytes": result["freed"]}))
    if result.get("stayed"):
        sentences.append(_("Old ones are kept: {reason}").format(reason=words.stored(result["stayed"])))
    return " ".join(sentences)


def _restored(result: Mapping[str, Any]) -> str:
    count = ngettext("{count} operation", "{count} operations", result["operations"])
    template = _("Restored {count}; different, left as they are: {differs}.")
    if result["dry"]:
        template = _("To restore: {count}; different, left as they are: {differs}.")
    return template.format(count=count, differs=words.number(result["conflicts"]))


# -- old backups ---------------------------------------------------------------------------------------------------------


def _old(service: Service, target: str, busy: bool) -> None:
    """Say which backups a rule would remove, remove them, and let that happen after every backup."""
    desk = service.care.desk
    st.caption(_("The newest backup of each of the last days, weeks and months is kept; the others are removed for good."))
    keep = _keep_form(service, busy)
    if keep:
        begin(lambda: desk.prune(target, keep))
    plan, done = desk.last("prunable"), desk.last("prune")
    newest = done if plan and done and done.number >= plan.number else plan
    outcome(newest, _pruned if newest is done else _prunable)
    if plan and newest is plan and (chosen := _planned(plan, target)):
        text = ngettext("Remove {count} backup", "Remove {count} backups", plan.result["count"])
        with st.popover(text, disabled=busy):
            st.text(_("This cannot be undone."))
            if parts.button(_("Remove for good"), key=f"prune-{stamp(plan)}"):
                begin(lambda: desk.prune(target, chosen, shown=plan.result["gone"]))


def _keep_form(service: Service, busy: bool) -> Keep | None:
    """Let people choose how many stay; save it, or return what is to be looked into."""
    chosen = service.preferences()
    changed = controls.follow("keep", _stored_keep(chosen))
    with st.form("keep", border=False):
        labels = (_("Days"), _("Weeks"), _("Months"))
        counts = [
            int(column.number_input(label, 0, MOST_KEPT, key=controls.key_of(f"keep-{number}")))
            for number, (column, label) in enumerate(zip(st.columns(3), labels, strict=True))
        ]
        on = st.toggle(_("Remove old ones after every backup made here"), key=controls.key_of("keep-on"))
        with st.container(horizontal=True):
            look = parts.submit(_("Preview removal"), disabled=busy, key="keep-look")
            save = parts.submit(_("Save"), key="keep-save")
    if save:
        try:
            if changed:
                raise SettingsChanged
            stored = service.change_preferences(seen=chosen, backup_keep=tuple(counts) if on else None)
        except OpstoreError as error:
            parts.show_error(error)
        else:
            controls.remember("keep", _stored_keep(stored))
            st.toast(_("Saved."))
    return Keep(*counts) if look else None


def _stored_keep(chosen: Preferences) -> dict[str, object]:
    """Return what the controls of what is kept show of what is stored."""
    keep = chosen.backup_keep
    return {"keep-on": keep is not None, **{f"keep-{number}": count for number, count in enumerate(keep or KEEP)}}


def _planned(plan: Act | None, target: str) -> Keep | None:
    """Return what was looked into for this place, if there is something to remove; a file of another version tells nothing."""
    if plan is None or plan.state != "done" or plan.result.get("target") != target or not plan.result.get("gone"):
        return None
    try:
        return Keep(*plan.result["keep"])
    except (KeyError, TypeError, OpstoreError):
        return None


def _prunable(result: Mapping[str, Any]) -> str:
    if not result["count"]:
        return _("No backup to remove.")
    count = ngettext("{count} backup to remove", "{count} backups to remove", result["count"])
    stays = ngettext("{count} kept", "{count} kept", result["kept"])
    return f"{count}, {words.size(result['bytes'])}; {stays}."


def _pruned(result: Mapping[str, Any]) -> str:
    count = ngettext("{count} backup removed", "{count} backups removed", result["count"])
    return _("{count}, {size} freed.").format(count=count, size=words.size(result["bytes"]))
