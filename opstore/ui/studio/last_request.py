"""What this session asked for last: an object that is only changed, never stored anew.

A page's run may end at any word to Streamlit, and what was asked for must not be forgotten with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st


@dataclass(slots=True)
class LastRequest:
    """What a session asked for last, and what it was told.

    `prompt` of the last request, None where its choices no longer hold; `worded`: the same for the wording of its steps;
    `sheet`: the batch that it made, if it made one; `shown`: the workflow that the page has shown last, or that was chosen
    since; `free`: what was shown would have cost nothing; `proposed`: the one that it has proposed last; `handed`: the mark of
    the request that was handed over last, and when; `refusal`: the mark of a request that was not, why, and when; `fresh`: one
    of these came in this very run.
    """

    prompt: str | None = None
    worded: str | None = None
    sheet: str | None = None
    shown: str | None = None
    free: bool = False
    proposed: str | None = None
    handed: tuple[str, float] = ("", 0.0)
    refusal: tuple[str, str, float] = ("", "", 0.0)
    fresh: bool = False


def last_request() -> LastRequest:
    """Return what this session asked for last; to be taken before something is asked for."""
    found: LastRequest = st.session_state.setdefault("asked", LastRequest())
    return found
