"""Handing on: the form that makes a link or a bundle of operations, and the list of links with their visits, to be taken back."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

import streamlit as st

from opstore.errors import OpstoreError
from opstore.service import Service
from opstore.shares import Kind, Listed, Scope, Share, Shares, Shown, bundle
from opstore.ui import parts, presses, words
from opstore.ui.components.save import save
from opstore.ui.markup import Markup, show
from opstore.ui.opened_app import opened, stay
from opstore.ui.words import _, ngettext

#: How long a link opens, in days; 0 is without end.
DAYS = (1, 7, 30, 0)
#: Links that are listed; older ones come as these are removed, and `share list` has all.
LISTED = 100


def button(service: Service, ids: Sequence[str], kind: Kind, place: str) -> None:
    """Show the button that opens the form, to whoever may share; `place` tells it from others on the page."""
    if not service.may(Shares.create):
        return
    with st.popover(_("Share")):
        form(service, ids, kind, place)


def asked(service: Service) -> bool:
    """Open the form for what was just chosen in the grid; say whether something was."""
    ids = st.session_state.pop("sharing", None)
    if not ids or not service.may(Shares.create):
        return False

    @st.dialog(ngettext("Share {count} operation", "Share {count} operations", len(ids)), width=560)
    def show_it() -> None:
        stay(service)
        kind: Kind = "operation" if len(ids) == 1 else "selection"
        if 2 <= len(ids) <= 4:
            names = {"selection": _("Gallery"), "comparison": _("Comparison")}
            wanted = st.segmented_control(_("Layout"), list(names), default=kind, required=True, format_func=names.__getitem__)
            kind = "comparison" if wanted == "comparison" else "selection"
        form(service, ids, kind, "grid")

    show_it()
    return True


def form(service: Service, ids: Sequence[str], kind: Kind, place: str) -> None:
    """Show what can be handed on of operations, and how."""
    with st.container(horizontal=True, key=f"shown-{place}"):
        prompt = st.checkbox(_("Prompt"), True, key=f"share-prompt-{place}")
        parameters = st.checkbox(_("Model and parameters"), True, key=f"share-parameters-{place}")
        inputs = st.checkbox(_("Input images"), True, key=f"share-inputs-{place}")
    title = st.text_input(_("Title (optional)"), max_chars=120, key=f"share-title-{place}") if len(ids) > 1 else ""
    try:
        scope = Scope(kind, tuple(ids), Shown(prompt, parameters, inputs), " ".join(title.split()))
    except OpstoreError as error:
        parts.show_error(error)
        return
    left, right = st.columns(2)
    days = left.selectbox(_("Expires after"), DAYS, index=1, format_func=_days_name, key=f"share-days-{place}")
    password = right.text_input(_("Password (optional)"), type="password", key=f"share-password-{place}")
    link_key, asked_for = f"share-made-{place}", (scope, days, password)
    if parts.button(_("Make a link"), type="primary", key=f"share-{place}") and not presses.doubled(f"{link_key} {asked_for}"):
        try:
            share = service.shares.create(scope, lasts=timedelta(days=days) if days else None, password=password or None)
            st.session_state[link_key] = (asked_for, address(service, share))
        except OpstoreError as error:
            parts.show_error(error)
    shown, link = st.session_state.get(link_key, (None, ""))
    if shown == asked_for:  # a link is shown beside what it shows, and not once something else is chosen
        st.code(link, language=None, wrap_lines=True)
        if not opened().settings.share_url:
            parts.note(
                _(
                    "This link opens on this machine only. An offline page opens anywhere; docs/sharing.md says how to "
                    "publish links."
                )
            )
    _bundle(service, scope, place)


def _bundle(service: Service, scope: Scope, place: str) -> None:
    st.caption(_("Or an offline page: a zip that opens in any browser, without a server."))
    if not bundle.fits(service.shares, scope):
        parts.note(_("This is too large for a download. “python -m opstore share bundle” writes it to disk."))
        return
    if missing := len(bundle.missing(service.shares, scope)):
        text = ngettext(
            "{count} result is missing: removed, or unreadable.", "{count} results are missing: removed, or unreadable.", missing
        )
        parts.note(text, bad=True)
    with st.container(horizontal=True, vertical_alignment="center", key=f"bundle-row-{place}"):
        pressed = parts.button(_("Download the offline page"), key=f"share-bundle-{place}")
        help_text = _("As PNG text, EXIF and XMP, which other tools read. What you hide above is left out here too.")
        embed = st.checkbox(_("Include metadata in the pictures"), key=f"share-embed-{place}", help=help_text)
    if pressed:  # told until the next press: a browser that is busy shows the last of two runs only
        st.session_state[f"share-wish-{place}"] = (_bundle_address(scope, embed), secrets.token_hex(8))
    save(*st.session_state.get(f"share-wish-{place}", ("", "")), key=f"share-saved-{place}")


def _bundle_address(scope: Scope, embed: bool) -> str:
    """Return where a bundle is made, as the page shows it now: whoever asks there is asked again what they may."""
    withheld = [name for name, shown in asdict(scope.show).items() if not shown]
    asked = {"ids": ",".join(scope.operations), "kind": scope.kind, "withhold": ",".join(withheld), "title": scope.title}
    return f"/api/bundle?{urlencode({**asked, 'language': words.language(), 'embed': int(embed)})}"


def _days_name(days: int) -> str:
    return ngettext("{count} day", "{count} days", days) if days else _("never")


def address(service: Service, share: Share) -> str:
    """Return a link's address: where links are published, else where this page is."""
    settings = opened().settings
    here = urlsplit(st.context.url or "")
    local = f"{here.scheme}://{here.netloc}" if here.netloc else f"http://127.0.0.1:{settings.port}"
    return service.shares.address(share, settings.share_url or local)


# -- the list ------------------------------------------------------------------------------------------------------------


def listing(service: Service) -> None:
    """Show every link with its visits, the newest first, and a way to take it back."""
    try:
        links = service.shares.all()
    except OpstoreError as error:
        parts.show_error(error)
        return
    if not links:
        parts.note(_("No links yet. “Share” is in every open operation and in the selection bar."))
    for item in links[:LISTED]:
        with st.container(border=True, key=f"link-{item.id}"):
            _row(service, item)


def _row(service: Service, item: Listed) -> None:
    share, now = item.share, datetime.now(UTC)
    lines = Markup('<div class="ops-job"><b>{}</b></div><div class="ops-job"><span>{}</span></div>')
    show(lines.format(_name(share), " · ".join(text for text in _about(item, now) if text)))
    is_open = share is not None and not share.ended(now)
    try:
        if share and is_open:
            st.code(address(service, share), language=None, wrap_lines=True)
        # Two buttons: who revokes what another has revoked meanwhile, or what has expired, does not mean to lose its visits.
        if is_open and parts.button(_("Revoke"), key=f"revoke-{item.id}"):
            service.shares.revoke(item.id)
            st.rerun()
        if not is_open and parts.button(_("Remove from the list"), key=f"unlist-{item.id}"):
            service.shares.forget(item.id)
            st.rerun()
    except OpstoreError as error:
        parts.show_error(error)


def _name(share: Share | None) -> str:
    if share is None:
        return _("A link whose record is damaged")
    if share.scope.title:
        return share.scope.title
    count = len(share.scope.operations)
    if share.scope.kind == "comparison":
        return ngettext("Comparison of {count} operation", "Comparison of {count} operations", count)
    return ngettext("{count} operation", "{count} operations", count)


def _about(item: Listed, now: datetime) -> list[str]:
    """Return what is known of a link, in the order of what a person asks."""
    share, seen = item.share, item.visits
    facts = [_state(share, now)] if share else []
    facts.append(ngettext("{count} visit", "{count} visits", seen.count))
    if seen.last:
        facts.append(_("last {time}").format(time=words.ago(seen.last)))
    if seen.wrong:
        facts.append(ngettext("{count} wrong password", "{count} wrong passwords", seen.wrong))
    if share:
        hidden = [
            name
            for name, shown in (
                (_("Prompt"), share.scope.show.prompt),
                (_("Model and parameters"), share.scope.show.parameters),
                (_("Input images"), share.scope.show.inputs),
            )
            if not shown
        ]
        facts.append(_("hidden: {names}").format(names=", ".join(hidden)) if hidden else "")
        facts.append(_("with a password") if share.password else "")
    return facts


def _state(share: Share, now: datetime) -> str:
    if share.revoked:
        return _("revoked")
    if share.ended(now):
        return _("expired")
    return _("open until {time}").format(time=words.exact(share.expires)) if share.expires else _("never expires")
