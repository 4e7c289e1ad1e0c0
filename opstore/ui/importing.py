"""The part of the Storage page that takes in what was made elsewhere: a folder, an archive, an account's history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from opstore.care.account_history import MOST_DAYS
from opstore.providers import registry
from opstore.providers.registry import History, Registration
from opstore.service import Service
from opstore.ui import parts, words
from opstore.ui.opened_app import opened
from opstore.ui.storage import begin, left, outcome
from opstore.ui.words import _, ngettext


def importing(service: Service, busy: bool) -> None:
    """Take in what was made elsewhere, from a folder or an archive of the machine that opstore runs on."""
    desk = service.care.desk
    source = st.text_input(_("A folder or a zip archive on this machine"), max_chars=1_000, key="import-source").strip()
    with st.container(horizontal=True):
        for dry, label in ((True, _("Preview import")), (False, _("Import"))):
            if parts.button(label, disabled=busy or not source, key=f"import-{dry}"):
                begin(lambda dry=dry: desk.take_in(source, dry=dry))  # type: ignore[misc] # mypy infers no default
    last = desk.last("import")
    outcome(last, _taken_in)
    left(last, _("File"))
    _history(service, busy)


def _history(service: Service, busy: bool) -> None:
    """Take in what the accounts of the tokens have made elsewhere."""
    desk, settings = service.care.desk, opened().settings.environment
    for item in registry.registered():
        if item.history and item.is_set_up(settings):
            _account(service, item, item.history, busy)
        elif item.history:
            text = _("With a {provider} API token, what was made on its web site in the last {days} days can be imported here.")
            st.caption(text.format(provider=item.title, days=item.history.days))
    last = desk.last("history")
    outcome(last, _history_told)
    left(last, _("Prediction"))


def _account(service: Service, item: Registration, kept: History, busy: bool) -> None:
    desk = service.care.desk
    st.caption(_(kept.told))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        days = int(st.number_input(_("Days"), 1, MOST_DAYS, kept.days, key=f"history-{item.name}-days", width=140))
        for dry, label in ((True, _("Preview import")), (False, _("Import from {provider}").format(provider=item.title))):
            if parts.button(label, disabled=busy, key=f"history-{item.name}-{dry}"):
                begin(lambda dry=dry: desk.take_history(item.name, days, dry=dry))  # type: ignore[misc] # mypy infers no default


def _taken_in(result: Mapping[str, Any]) -> str:
    count = ngettext("{count} operation", "{count} operations", result["operations"])
    template = _("Imported {count}; already present: {same}; files skipped: {left}.")
    if result["dry"]:
        template = _("To import: {count}; already present: {same}; files skipped: {left}.")
    return template.format(count=count, same=words.number(result["same"]), left=words.number(result["left"]))


def _history_told(result: Mapping[str, Any]) -> str:
    count = ngettext("{count} operation", "{count} operations", result["operations"])
    template = _("Imported {count}, of these without a result: {without}; already present: {same}; predictions skipped: {left}.")
    if result["dry"]:
        template = _("To import: {count}; already present: {same}; predictions skipped: {left}.")
    counts = {name: words.number(result[name]) for name in ("without", "same", "left")}
    return template.format(count=count, **counts)
