"""What this session asked for last: an object that is only changed, never stored anew.

A page's run may end at any word to Streamlit, and what was asked for must not be forgotten with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st


@dataclass(slots=True)
class Asked:
    """The prompt of the last request, None where its choices no longer hold; the batch that it made, if it made one."""

    prompt: str | None = None
    sheet: str | None = None


def asked() -> Asked:
    """Return what this session asked for last; to be taken before something is asked for."""
    found: Asked = st.session_state.setdefault("asked", Asked())
    return found
