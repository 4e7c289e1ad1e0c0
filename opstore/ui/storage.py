"""What the page Storage shows: where the bytes are, what a rule would free, problems, trash, index; each act by button.

Nothing long happens in the page's script: a button begins an act in the background, and the page follows its state.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from opstore.care import Rule
from opstore.care.background import BackgroundCare
from opstore.care.long_acts import Act
from opstore.care.vault import Snapshot
from opstore.errors import ClockLeapt, OpstoreError, SettingsChanged
from opstore.service import Service
from opstore.storage.operation import OPERATION_TYPES, parse_time
from opstore.storage.preferences import Preferences
from opstore.ui import controls, parts, presses, words
from opstore.ui.opened_app import again, opened, stay
from opstore.ui.status_bar import BUSY, IDLE
from opstore.ui.words import _, ngettext, pgettext

#: Acts after which the folder takes other room; and how long it may take to be measured by itself: nothing else can be done then.
CHANGING = ("clean", "pack", "unpack", "empty", "import", "history", "restore", "repair")
QUICK = timedelta(seconds=5)
#: Seconds that it is said why an act could not be begun.
SAID = 20.0


def begin(act: Callable[[], None]) -> None:
    """Begin an act and show its progress, or say why it cannot begin."""
    desk, deadline = opened().service.care.desk, time.monotonic() + presses.PRESS_SECONDS
    while (running := desk.running()) and running.kind == "look" and time.monotonic() < deadline:
        time.sleep(0.05)  # the folder is being measured: nobody asked for that
    st.session_state.pop("storage-refused", None)
    try:
        act()
    except OpstoreError as error:
        st.session_state["storage-refused"] = (error, time.monotonic())
    st.rerun()


def measure(desk: BackgroundCare) -> None:
    """Measure the folder, which nobody asked for: where something else is at work by now, that is shown; else say why not."""
    try:
        desk.look()
    except OpstoreError as error:
        if desk.running() is None:
            parts.show_error(error)
            return
    st.rerun()


def stamp(act: Act) -> str:
    """Return what tells an act from others in the key of a button that does what it looked into: a press is of what it showed."""
    return "".join(filter(str.isdigit, act.began))


def progress(service: Service) -> Act | None:
    """Show the act at work, and the page anew when one has begun or ended, in whatever window; return it."""
    refused, moment = st.session_state.get("storage-refused", (None, 0.0))
    if (
        refused and time.monotonic() - moment < SAID
    ):  # the page runs anew when what hindered it has ended, and that may be at once
        parts.show_error(refused)
    shown, running = service.care.desk.states(), service.care.desk.running()

    def tick() -> None:
        stay(service)
        if service.care.desk.states() != shown:
            again()
        act = service.care.desk.running()
        if act is None:
            return
        share = min(1.0, act.done / act.total) if act.total else 0.0
        count = f" · {words.number(act.done)} / {words.number(act.total)}" if act.total else ""
        name, note = act_name(act.kind), words.stored(act.note) or "…"
        st.progress(
            share, text=f"{name}{count}" if note.casefold() == name.casefold() else f"{words.labelled(name, note)}{count}"
        )

    with st.container(key="storage-progress"):
        st.fragment(tick, run_every=BUSY if running else IDLE)()
    return running


def hinders(running: Act | None) -> bool:
    """Say whether the act at work keeps others from being begun.

    The folder is measured by itself: what were closed for that would close under the hand that presses it.
    """
    return running is not None and running.kind != "look"


def act_name(kind: str) -> str:
    """Return what an act is called."""
    names = {
        "look": _("Measuring"),
        "plan": _("Finding what can be removed"),
        "clean": _("Cleaning up"),
        "verify": _("Checking for problems"),
        "repair": _("Repairing"),
        "backup": _("Backing up"),
        "restore": _("Restoring"),
        "prunable": _("Finding which backups can be removed"),
        "prune": _("Removing old backups"),
        "empty": _("Emptying the trash"),
        "rebuild": _("Building the index"),
        **dict.fromkeys(("import", "history"), _("Importing")),
        "packable": _("Estimating savings"),
        "pack": _("Packing"),
        "unpack": _("Unpacking"),
    }
    return names.get(kind, kind)


def outcome(act: Act | None, sentence_of: Callable[[Mapping[str, Any]], str]) -> None:
    """Say what the last act of a kind came to, and when."""
    if act is None or act.state == "running":
        return
    when = words.ago(act.moment) if act.moment else ""
    if act.state == "failed":
        parts.note(f"{words.stored(act.error or '')} ({when})", bad=True)
    elif act.state == "interrupted":
        parts.note(_("It was interrupted {when}. Start it again: it resumes where it stopped.").format(when=when), bad=True)
    else:
        parts.note(f"{sentence_of(act.result)} ({when})")


def left(act: Act | None, column: str) -> None:
    """Show what an act left as it was, and why; `column` says what is left."""
    if act and act.state == "done" and act.result.get("rows"):
        rows = [{column: name, _("Reason"): words.stored(reason)} for name, reason in act.result["rows"]]
        st.dataframe(rows, hide_index=True, width="stretch")


def measured(act: Act | None) -> Mapping[str, Any] | None:
    """Return what the last look at the folder found; what another version wrote is as good as nothing."""
    whole = act is not None and act.state == "done" and {"bytes", "operations", "kinds", "months", "rules"} <= act.result.keys()
    return act.result if act and whole else None


def is_stale(desk: BackgroundCare, look: Act | None) -> bool:
    """Say whether the folder is to be measured: it never was, or an act has changed it since and measuring takes a moment."""
    if look is None:
        return True
    began, ended = parse_time(look.began), parse_time(look.ended or "")
    if began is None or ended is None or ended - began > QUICK:
        return False
    return any(act.ended and act.number > look.number for act in map(desk.last, CHANGING) if act)


def clock(service: Service) -> None:
    """Say that the clock leapt, if nothing is removed for its age because of it, and let a person say that it is right."""
    try:
        service.care.leaps.check()
    except ClockLeapt as error:
        parts.show_error(error)
        if parts.button(_("The clock is right"), key="trust-clock"):
            begin(service.care.leaps.trust)


# -- where the bytes are -------------------------------------------------------------------------------------------------


def figures(service: Service, last: Act | None, look: Mapping[str, Any]) -> None:
    """Show the headline figures, and of when they are: a large folder is measured by nobody but who asks for it."""
    kinds = look["kinds"]
    with st.container(horizontal=True, key="storage-figures"):
        st.metric(_("Everything"), words.size(look["bytes"]))
        st.metric(_("Operations"), words.number(look["operations"]))
        st.metric(_("Trash"), words.size(kinds.get("trash", 0)))
        st.metric(_("Cache"), words.size(kinds.get("cache", 0)))
        taken = _last_backup(service)
        st.metric(_("Last backup"), words.ago(taken) if taken else _("none"))
    if last and last.moment:
        parts.small(_("Measured {when}.").format(when=words.ago(last.moment)))


def _last_backup(service: Service) -> datetime | None:
    """Return when the newest backup was taken: of a folder it tells itself, whoever took it; else what was done here last."""
    act = service.care.desk.last("backup")
    with contextlib.suppress(OpstoreError):
        if names := service.care.local_snapshots(service.preferences().backup_target):
            return Snapshot(names[0], {}).moment
    return act.moment if act and act.state == "done" else None


# -- cleanup -------------------------------------------------------------------------------------------------------------


def cleanup(service: Service, look: Mapping[str, Any] | None, busy: bool) -> None:
    """Show what rules would free, one of one's own, and the policy."""
    desk = service.care.desk
    if look:
        names = {
            "old": _("Older than 30 days"),
            "failed": _("Without a result, older than 7 days"),
            "videos": _("Videos older than 90 days"),
            "large": _("Over 20 MB, older than 30 days"),
        }
        rows = {
            names[key]: f"{words.size(found['bytes'])} · {ngettext('{count} operation', '{count} operations', found['count'])}"
            for key, found in look["rules"].items()
            if key in names
        }
        parts.facts(rows)
    st.caption(
        _(
            "Operations that are tagged, rated, favorite, noted, shared or in progress are always kept, and so "
            "are those they were made from."
        )
    )
    rule = _rule_form(desk.last("plan"), busy)
    if rule:
        begin(lambda: desk.plan(rule))
    outcome(desk.last("plan"), _planned)
    _apply_button(service, busy)
    outcome(desk.last("clean"), _cleaned)
    with st.expander(_("Automatic clean-up")):
        _policy(service)


def _rule_form(last: Act | None, busy: bool) -> Rule | None:
    chosen = _rule_of(last) or Rule()
    with st.form("rule", border=False):
        left, right = st.columns(2)
        days = left.number_input(_("Older than (days)"), 0, 100_000, chosen.days)
        size = right.number_input(_("At least (MB)"), 0.0, None, chosen.larger_than / 1e6, 1.0)
        known = [name for name in chosen.types if name in OPERATION_TYPES]
        kinds = list(OPERATION_TYPES)
        types = st.multiselect(_("Operation types"), kinds, known, format_func=words.type_name, placeholder=_("all"))
        ends = {None: pgettext("operations", "all"), True: _("with a result"), False: _("without a result")}
        succeeded = st.selectbox(_("Outcome"), list(ends), list(ends).index(chosen.succeeded), format_func=ends.__getitem__)
        query = st.text_input(_("Limit to this search"), chosen.query, max_chars=1_000)
        if not parts.submit(_("Preview clean-up"), disabled=busy, key="rule-look"):
            return None
    try:
        return Rule(int(days), tuple(types), succeeded, round(size * 1e6), query)
    except OpstoreError as error:
        parts.show_error(error)
        return None


def _rule_of(act: Act | None) -> Rule | None:
    """Return the rule that was looked into last; a file of another version tells nothing."""
    stored = act.result.get("rule") if act else None
    try:
        return Rule(**{**stored, "types": tuple(stored["types"])}) if isinstance(stored, dict) else None
    except (TypeError, KeyError, OpstoreError):
        return None


def _planned(result: Mapping[str, Any]) -> str:
    count = ngettext("{count} operation can be removed", "{count} operations can be removed", result["count"])
    kept = sum(result["kept"].values())
    stays = ngettext("{count} protected (tagged, rated, shared…)", "{count} protected (tagged, rated, shared…)", kept)
    return f"{count}, {words.size(result['bytes'])}; {stays}."


def _apply_button(service: Service, busy: bool) -> None:
    """Offer what was looked into last, as long as it was not done since."""
    desk = service.care.desk
    plan, clean = desk.last("plan"), desk.last("clean")
    rule = _rule_of(plan)
    if plan is None or rule is None or plan.state != "done" or not plan.result["count"] or "list" not in plan.result:
        return
    if clean is not None and clean.number >= plan.number:
        return
    text = ngettext("Move {count} operation to the trash", "Move {count} operations to the trash", plan.result["count"])
    if parts.button(text, disabled=busy, key=f"clean-{stamp(plan)}"):
        begin(lambda: desk.clean(rule, plan.result["list"]))


def _cleaned(result: Mapping[str, Any]) -> str:
    moved = ngettext("{count} moved to the trash", "{count} moved to the trash", result["count"])
    return f"{moved}, {words.size(result['bytes'])}."


def _policy(service: Service) -> None:
    chosen = service.preferences()
    changed = controls.follow("policy", _stored_policy(chosen))
    key_of = controls.key_of
    with st.form("policy", border=False):
        on = st.toggle(_("Move older operations to the trash every day"), key=key_of("retention"))
        days = st.number_input(_("Older than (days)"), 1, 100_000, key=key_of("retention-days"))
        query = st.text_input(_("Limit to this search"), max_chars=1_000, key=key_of("retention-query"))
        if parts.submit(_("Save"), key="retention-save"):
            try:
                if changed:
                    raise SettingsChanged
                Rule(int(days), query=query)
                stored = service.change_preferences(seen=chosen, retention_days=int(days) if on else None, retention_query=query)
            except OpstoreError as error:
                parts.show_error(error)
            else:
                controls.remember("policy", _stored_policy(stored))
                st.toast(_("Saved."))


def _stored_policy(chosen: Preferences) -> dict[str, object]:
    """Return what the controls of the policy show of what is stored."""
    days = chosen.retention_days
    return {"retention": days is not None, "retention-days": days or 90, "retention-query": chosen.retention_query}


# -- problems, trash, index ------------------------------------------------------------------------------------------------


def problems(service: Service, busy: bool) -> None:
    """Show what is wrong, what would be done about it, and the buttons."""
    desk = service.care.desk
    deep = st.toggle(_("Read every file and check its hash"), key="deep")
    with st.container(horizontal=True):
        if parts.button(_("Check for problems"), disabled=busy, key="verify"):
            begin(lambda: desk.verify(deep=deep))
        found, mended = desk.last("verify"), desk.last("repair")
        open_ = found and found.state == "done" and found.result["count"] and not (mended and mended.number >= found.number)
        if found and open_ and parts.button(_("Repair"), disabled=busy, key=f"repair-{stamp(found)}"):
            begin(lambda: desk.repair(deep=deep))
    newest = mended if mended and found and mended.number >= found.number else found
    outcome(newest, _mended if newest is mended else _found)
    if newest and newest.state == "done" and newest.result.get("rows"):
        rows = [
            {
                _("Problem"): problem_name(kind),
                _("File"): name,
                _("Action"): words.stored(detail) if detail else step_name(step),
            }
            for kind, name, step, detail in newest.result["rows"]
        ]
        st.dataframe(rows, hide_index=True, width="stretch")


def _found(result: Mapping[str, Any]) -> str:
    return ngettext("{count} problem.", "{count} problems.", result["count"]) if result["count"] else _("No problems.")


def _mended(result: Mapping[str, Any]) -> str:
    return _("Repaired: {done} of {count}.").format(done=words.number(result["mended"]), count=words.number(result["count"]))


def problem_name(kind: str) -> str:
    """Return what a kind of problem is called."""
    names = {
        "leftover": _("Left behind by an interrupted save"),
        "orphan": _("Belongs to no operation"),
        "missing": _("Missing"),
        "truncated": _("Truncated"),
        "changed": _("Changed"),
        "unparsable": _("Cannot be read"),
        "mismatch": _("Another operation’s"),
        "unsafe": _("Not a plain file"),
        "foreign name": _("Refers to another operation’s file"),
        "unusable": _("Cannot be used"),
    }
    return names.get(kind, kind)


def step_name(step: str) -> str:
    """Return what would be done about a problem."""
    names = {
        "remove": _("will be removed"),
        "adopt": _("will be added to the library"),
        "finish": _("the move to the trash will be completed"),
        "fetch": _("will be downloaded again, if it still exists"),
        "quarantine": _("will be moved to quarantine/"),
        "leave": _("none: check it by hand"),
    }
    return names.get(step, step)


def trash(service: Service, look: Mapping[str, Any] | None, busy: bool) -> None:
    """Show the trash, the way to it, and how it is emptied."""
    desk = service.care.desk
    count = service.care.trash.count()
    if look and count:
        st.text(f"{ngettext('{count} operation', '{count} operations', count)} · {words.size(look['kinds'].get('trash', 0))}")
    elif not count:
        parts.note(_("The trash is empty."))
    with st.container(horizontal=True):
        st.page_link(parts.LIBRARY, label=_("View the trash"), query_params={"view": "trash"})
        if count:
            with st.popover(_("Empty the trash"), disabled=busy):
                st.text(_("This cannot be undone."))
                if parts.button(_("Remove all for good"), key="empty"):
                    begin(desk.empty_trash)
    outcome(desk.last("empty"), lambda result: ngettext("{count} removed for good", "{count} removed for good", result["count"]))


def index(service: Service, busy: bool) -> None:
    """Show how far the index is, and build it anew."""
    state = service.index.progress()
    rows = {
        _("State"): _("ready") if state.ready else _("being built"),
        _("Operations"): words.number(service.index.held()),
        _("Size"): words.size(service.index.path.stat().st_size if service.index.path.exists() else 0),
    }
    parts.facts(rows)
    if parts.button(_("Rebuild index"), disabled=busy, key="rebuild"):
        begin(service.care.desk.rebuild)
    outcome(
        service.care.desk.last("rebuild"),
        lambda result: ngettext("{count} operation indexed", "{count} operations indexed", result["count"]),
    )
