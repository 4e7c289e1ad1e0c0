"""Which tab of the browser this is: a secret that outlives a reload, and that a duplicate of the tab does not share.

The browser copies a tab's storage into its duplicate. A lock that only one living page can hold tells the two apart, where the
browser has locks (on this machine, and by https); the duplicate takes a secret of its own and says of which tab it is a copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = """
const KEY = "opstore-tab";
const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));

// A page that is being reloaded gives its lock back a little later than the next one begins.
async function held(id) {
  if (!navigator.locks) return true;
  for (let turn = 0; turn < 10; turn += 1) {
    const got = await new Promise(done => {
      navigator.locks.request(`${KEY} ${id}`, { ifAvailable: true }, lock => {
        done(lock !== null);
        return lock && new Promise(() => {});
      });
    });
    if (got) return true;
    await pause(50);
  }
  return false;
}

async function named() {
  let id = sessionStorage.getItem(KEY), from = null;
  if (!/^[0-9a-f]{32}$/.test(id ?? "")) id = fresh();
  if (!(await held(id))) {
    from = id;
    id = fresh();
    await held(id);
  }
  sessionStorage.setItem(KEY, id);
  return { id, from };
}

export default function ({ parentElement, setStateValue }) {
  if (parentElement.asked) return;
  parentElement.asked = true;
  (window.opstoreTab ??= named()).then(tab => setStateValue("tab", tab), () => {});  // without storage there is no draft
}
"""

_mount = st.components.v2.component("opstore_tab", html=_HTML, css=_CSS, js=_JS)
_SECRET = re.compile(r"\A[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab by its secret; `copied` is that of the tab of which it is a duplicate."""

    secret: str
    copied: str | None


def ask(*, key: str) -> None:
    """Have the browser tell which tab this is; `known` returns it from the next run on."""
    _mount(key=key, on_tab_change=lambda: None)


def known(*, key: str) -> Tab | None:
    """Return which tab this is, None where the browser has not told, or cannot."""
    state = st.session_state.get(key)
    told = state.get("tab") if isinstance(state, Mapping) else None
    secret, copied = (told.get("id"), told.get("from")) if isinstance(told, Mapping) else (None, None)
    if not isinstance(secret, str) or not _SECRET.match(secret):
        return None
    return Tab(secret, copied if isinstance(copied, str) and _SECRET.match(copied) else None)
