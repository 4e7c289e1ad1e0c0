"""Who has signed in, for pages and HTTP alike, and the page that asks for it: Streamlit's own OpenID Connect, roles by our file.

Sign-in is set up by the part `[auth]` of Streamlit's secrets; whoever has a roles.toml wants it, so that a secrets file which is
missing or damaged lets nobody in instead of everybody.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.requests import Request

from opstore.access.people import NAME, RoleBook, RoleFile
from opstore.access.roles import LOCAL, Person
from opstore.access.signouts import SignOuts
from opstore.app import Settings
from opstore.errors import ForeignOrigin, InvalidSetting, NoRole, OpstoreError, SignInBroken, SignInWanted, said
from opstore.storage.data_folder import DataFolder
from opstore.ui import parts
from opstore.ui.markup import Markup, show
from opstore.ui.streamlit_private import signed_in
from opstore.ui.words import _

#: Whoever knows the secret of the cookie can sign in as anybody: at least as many letters.
LEAST_SECRET = 32
#: What stands in `[auth]` beside the providers.
_OWN = ("client_kwargs",)


@functools.cache
def _file(data: Path, path: Path | None) -> RoleFile:
    return RoleFile.of(DataFolder(data).top, path)


@functools.cache
def _ended(data: Path) -> SignOuts:
    """Return the sign-ins that have ended: a window that stands open, and a cookie that was copied, know nothing of it."""
    return SignOuts(DataFolder(data).top)


def _book(settings: Settings) -> RoleBook | None:
    """Return who has which roles, None where no sign-in is set up; raise SignInBroken where it is, but not wholly."""
    name = settings.roles.name if settings.roles else NAME
    auth = signed_in.settings()
    try:
        book = _file(settings.data, settings.roles).load()
    except InvalidSetting as error:
        raise SignInBroken(reason=said("{name} cannot be used: {reason}", **error.details)) from None
    if book is None and not auth and settings.roles is None:
        return None
    if not auth:
        raise SignInBroken(reason=said("the part [auth] of .streamlit/secrets.toml is missing, or cannot be read"))
    if book is None:
        raise SignInBroken(reason=said("no {name} says who may do what", name=name))
    secret = auth.get("cookie_secret")
    if not isinstance(secret, str) or len(secret) < LEAST_SECRET:
        raise SignInBroken(reason=said("cookie_secret needs {count} letters or more", count=LEAST_SECRET))
    if not signed_in.origin():
        raise SignInBroken(reason=said("redirect_uri is missing"))
    return book


def _person(book: RoleBook, claims: Mapping[str, Any] | None, settings: Settings) -> Person:
    if not claims or claims.get("is_logged_in") is not True or not _made_out_to_us(claims) or _ended(settings.data).has(claims):
        raise SignInWanted
    person = book.person(claims)
    if not person.roles:
        raise NoRole(name=str(claims.get("email") or person.name)[:200])
    return person


class _SignedIn:
    """Says who signed in with some claims, for each act: in a later run, or another thread, than they came with.

    As long as neither file has changed that is who it was: a look at each.
    """

    def __init__(self, claims: Mapping[str, Any], settings: Settings) -> None:
        self._claims = claims
        self._settings = settings
        self._file, self._ended = _file(settings.data, settings.roles), _ended(settings.data)
        self._known: tuple[object, object, Person] | None = None

    def __call__(self) -> Person:
        known, book, ended = self._known, self._read_book(), self._ended.state()
        if known and known[0] is book and known[1] is ended:
            return known[2]
        found = _book(self._settings)
        person = LOCAL if found is None else replace(_person(found, self._claims, self._settings), now=self)
        self._known = (book, ended, person)
        return person

    def _read_book(self) -> object:
        with contextlib.suppress(InvalidSetting):  # told, and refused, below
            return self._file.load()
        return object()


def _made_out_to_us(claims: Mapping[str, Any]) -> bool:
    """Say whether a token was meant for this program; Authlib checks its issuer, signature, nonce and age, but not that."""
    auth, named = signed_in.settings(), claims.get("provider")
    part = auth.get(named) if isinstance(named, str) else None
    ours = (part if isinstance(part, Mapping) else auth).get("client_id")
    meant = claims.get("aud")
    return isinstance(ours, str) and ours in (meant if isinstance(meant, list) else [meant])


def person(settings: Settings) -> Person:
    """Return who looks at this page; raise SignInWanted, NoRole or SignInBroken."""
    return LOCAL if _book(settings) is None else _SignedIn(st.user.to_dict(), settings)()


def identify(settings: Settings, request: Request) -> Person | None:
    """Return who sent a request, by the cookie of the sign-in; None if none is set up; else raise as `person` does."""
    book = _book(settings)
    if book is None:
        return None
    claims, origin = signed_in.claims(request.cookies), signed_in.origin()
    # Streamlit checks the origin of its own socket in the same way: a cookie made for another address counts for nothing.
    if not claims or claims.get("origin") != origin:
        raise SignInWanted
    if request.method not in ("GET", "HEAD") and request.headers.get("origin") != origin:
        raise ForeignOrigin
    return _SignedIn(claims, settings)()


def host() -> str | None:
    """Return the name at which people sign in, None where no sign-in is set up."""
    return urlsplit(signed_in.origin() or "").hostname


# -- on the page ---------------------------------------------------------------------------------------------------------


def gate(settings: Settings) -> Person | None:
    """Return who looks at this page; whoever has not signed in, or has no role, is shown how to, and then it is None."""
    try:
        return person(settings)
    except SignInWanted:
        _ask()
    except OpstoreError as error:
        _refuse(error, settings)
    return None


def _ask() -> None:
    with st.container(key="sign-in"):
        show(Markup('<p class="ops-mark">opstore</p>'))
        parts.small(_("Sign in to see the operations."))
        for name, label in _providers().items():
            if parts.button(label, type="primary", key=f"sign-in-{name}"):
                st.login(name or None)


def _providers() -> dict[str, str]:
    """Return the providers by name, the one without a name as empty, and what their buttons say."""
    auth = signed_in.settings()
    named = [name for name, part in auth.items() if isinstance(part, Mapping) and name not in _OWN]
    found = {"": _("Sign in")} if auth.get("client_id") else {}
    return found | {name: _("Sign in with {name}").format(name=parts.plain(name.capitalize())) for name in named}


def _refuse(error: OpstoreError, settings: Settings) -> None:
    with st.container(key="sign-in"):
        show(Markup('<p class="ops-mark">opstore</p>'))
        parts.show_error(error)
        if isinstance(error, NoRole):
            _leave(_("Sign in as somebody else"), settings)


def tell_changed_roles(who: Person) -> None:
    """Say once that somebody's roles are others than when their last page was drawn: what they were about to use may be gone."""
    before = st.session_state.get("roles", who.roles)
    st.session_state["roles"] = who.roles
    if before != who.roles:
        st.toast(_("Your roles have changed. The page shows what is open to you now."), duration="long")


def sign_out(who: Person, place: str, settings: Settings) -> None:
    """Show who has signed in, and a way out; `place` is `bar` or `page`, the one that a phone shows."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"signed-in-{place}", width="content"):
        show(Markup('<span class="ops-person">{}</span>').format(who.name))
        _leave(_("Sign out"), settings, place)


def _leave(label: str, settings: Settings, place: str = "door") -> None:
    if parts.button(label, key=f"sign-out-{place}", type="tertiary", width="content"):
        try:
            _ended(settings.data).note(st.user.to_dict())
        finally:  # this window is out, whatever stands in the way of telling the others
            st.logout()
