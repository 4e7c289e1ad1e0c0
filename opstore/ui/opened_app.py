"""The opened app of this process, one a data folder: whole for the launcher, as far as a person may use it for the pages."""

from __future__ import annotations

import threading
from pathlib import Path

import streamlit as st

from opstore.app import Acting, App, Settings
from opstore.errors import OpstoreError
from opstore.service import Service
from opstore.ui import signin

#: The address that this window's page was drawn for.
_DRAWN = "address"
_opened: dict[Path, App] = {}
_guard = threading.Lock()


def running() -> App:
    """Return the app over the data folder that the environment names, opened on first use and not started by this."""
    settings = Settings.from_env()
    root = settings.data.resolve()
    with _guard:
        if root not in _opened:
            _opened[root] = App(settings)
        return _opened[root]


def opened() -> Acting:
    """Return what whoever looks at this page may use; raise SignInWanted or NoRole where that is nothing."""
    app = running()
    return app.acting_as(signin.person(app.settings))


def stay(service: Service) -> None:
    """Run the whole page anew, maybe to the door, where its viewer has other rights than the `service` that it was drawn with.

    For the parts of a page that run by themselves: they have what they were drawn with.
    """
    try:
        current = opened().service.person
    except OpstoreError:
        st.rerun()
    if current != service.person:
        st.rerun()


def drawn() -> None:
    """Remember which address the page was drawn for."""
    st.session_state[_DRAWN] = st.query_params.to_dict()


def again() -> None:
    """Run the page anew from a part that runs by itself, unless that run was asked for before the address changed.

    Such a run brings the old address along, and the page would be drawn for that. An address that comes twice is the one that
    stands.
    """
    known = st.session_state.get(_DRAWN)
    drawn()
    if st.session_state[_DRAWN] == known:
        st.rerun()
