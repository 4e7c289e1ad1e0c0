"""The part of the page Storage that packs old months and brings them back; it says first what that would save."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import streamlit as st
from babel.dates import format_skeleton

from opstore.care.long_acts import Act
from opstore.service import Service
from opstore.storage.packs import DAYS
from opstore.ui import parts, storage, words
from opstore.ui.words import _, ngettext


def packing(service: Service, busy: bool) -> None:
    """Show what packing would save, pack, say what is packed, and bring it back."""
    desk = service.care.desk
    st.caption(_("Packed, the files of old months take less space. They are found, shown and exported as before, byte for byte."))
    last = desk.last("packable")
    days = st.number_input(_("Older than (days)"), 0, 100_000, _days(last), key="pack-days")
    with st.container(horizontal=True):
        if parts.button(_("Estimate savings"), disabled=busy, key="packable"):
            storage.begin(lambda: desk.plan_packing(int(days)))
        if _is_open(last, desk.last("pack")) and last is not None:
            text = ngettext("Pack {count} operation", "Pack {count} operations", last.result["count"])
            if parts.button(text, disabled=busy, key=f"pack-{storage.stamp(last)}"):
                storage.begin(lambda: desk.pack(int(last.result["days"])))
    acts = [act for kind in ("packable", "pack", "unpack") if (act := desk.last(kind))]
    if acts:
        newest = max(acts, key=lambda act: act.number)
        storage.outcome(newest, {"packable": _planned, "pack": _packed, "unpack": _unpacked}[newest.kind])
        storage.left(newest, _("File"))
    _months(service, busy)


def _days(act: Act | None) -> int:
    found = act.result.get("days") if act else None
    return found if isinstance(found, int) and 0 <= found <= 100_000 else DAYS


def _is_open(plan: Act | None, done: Act | None) -> bool:
    """Say whether there is something to pack that was looked into, and not packed since."""
    found = plan is not None and plan.state == "done" and bool(plan.result.get("count")) and "days" in plan.result
    return found and plan is not None and (done is None or done.number < plan.number)


def _planned(result: Mapping[str, Any]) -> str:
    if not result["count"]:
        return _("There is nothing to pack.")
    count = ngettext("{count} operation can be packed", "{count} operations can be packed", result["count"])
    before = sum(row[2] for row in result["months"])
    template = _("{count}: about {saved} of {before} saved (estimate).")
    return template.format(count=count, saved=words.size(max(0, result["saved"])), before=words.size(before))


def _packed(result: Mapping[str, Any]) -> str:
    count = ngettext("{count} operation packed", "{count} operations packed", result["count"])
    before = sum(row[2] for row in result["months"])
    template = _("{count}: {saved} of {before} saved. Every byte was compared.")
    return template.format(count=count, saved=words.size(max(0, result["saved"])), before=words.size(before))


def _unpacked(result: Mapping[str, Any]) -> str:
    count = ngettext("{count} operation", "{count} operations", result["count"])
    return _("{count} unpacked.").format(count=count)


def _months(service: Service, busy: bool) -> None:
    """Say which months are packed, and offer to bring them back."""
    months = service.care.compression.months()
    if not months:
        return
    taken = words.size(sum(months.values()))
    parts.facts({_("Packed"): f"{ngettext('{count} month', '{count} months', len(months))} · {taken}"})
    with st.popover(_("Unpack"), disabled=busy):
        chosen = st.selectbox(_("Month"), [None, *reversed(months)], format_func=_month_name, key="unpack-month")
        if parts.button(_("Unpack"), key="unpack"):
            storage.begin(lambda: service.care.desk.unpack(chosen))


def _month_name(month: str | None) -> str:
    if month is None:
        return _("all")
    return format_skeleton("yMMMM", date(int(month[:4]), int(month[5:]), 1), locale=words.language())
