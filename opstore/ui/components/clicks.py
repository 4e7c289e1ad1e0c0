"""Makes a press that is held on a button a click of that button, even where the page was drawn anew under the mouse meanwhile.

To press a button leaves the field that was being written in, and the page runs: the button may be lower, or another element, when
the mouse goes up. A browser makes no click of that. Held still, a press is meant for what it began on; where that
has gone, or can be pressed no more, the server is told which it was, and does it or says why not.
A key that is held is one press as well.
"""

from __future__ import annotations

import streamlit as st

from opstore.ui import presses

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
#: Only the mouse: a finger leaves the field after it has tapped.
_JS = """
const STILL = 8;
let down = null;

const named = button =>
  button.dataset.id ?? button.dataset.value ?? button.getAttribute("aria-label") ?? button.textContent.trim();
const keyOf = element => [...(element?.closest('[class*="st-key-"]')?.classList ?? [])].find(name => name.startsWith("st-key-"));

function identify(button) {
  const root = button.getRootNode(), shadowed = root instanceof ShadowRoot;
  const acts = !shadowed && Boolean(button.closest('[data-testid="stButton"], [data-testid="stFormSubmitButton"]'));
  return { button, name: named(button), shadowed, acts, key: keyOf(shadowed ? root.host : button) };
}

/* The button that stands for the one pressed now: itself, or else the one of its name under the same key. */
function standing({ button, name, shadowed, key }) {
  if (button.isConnected) return button;
  const places = key ? [...document.querySelectorAll("." + CSS.escape(key))] : [document];
  const roots = shadowed
    ? places.flatMap(place => [...place.querySelectorAll("*")].map(item => item.shadowRoot).filter(Boolean)) : places;
  const found = roots.flatMap(root => [...root.querySelectorAll("button")]), same = found.filter(item => named(item) === name);
  return same.length === 1 ? same[0] : found.length === 1 ? found[0] : null;
}

function listen() {
  addEventListener("pointerdown", event => {
    const button = event.composedPath().find(item => item.localName === "button");
    const meant = event.pointerType === "mouse" && event.button === 0 && button && !button.disabled;
    down = meant ? { ...identify(button), x: event.clientX, y: event.clientY, clicked: false } : null;
  }, true);
  // A key that is held repeats itself: that is one press, of the key of Generate too.
  addEventListener("keydown", event => {
    const presses = event.key === "Enter" && (event.ctrlKey || event.metaKey || event.composedPath()[0].localName === "button");
    if (presses && event.repeat) { event.preventDefault(); event.stopImmediatePropagation(); }
  }, true);
  addEventListener("pointercancel", () => { down = null; }, true);
  addEventListener("click", event => {
    if (down && event.composedPath().includes(standing(down))) down.clicked = true;
  }, true);
  addEventListener("pointerup", event => {
    const was = down;
    if (!was || event.button !== 0 || Math.hypot(event.clientX - was.x, event.clientY - was.y) > STILL) return;
    setTimeout(() => {  // the click that a browser makes comes before
      const button = was.clicked ? null : standing(was);
      if (down === was) down = null;
      if (button && !button.disabled) button.click();
      else if (was.key && was.acts && !was.clicked) window.opstoreClicks(was.key.slice("st-key-".length));
    });
  }, true);
}

export default function ({ setTriggerValue }) {
  if (!window.opstoreClicks) listen();
  window.opstoreClicks = key => setTriggerValue("gone", key);
}
"""

_mount = st.components.v2.component("opstore_clicks", html=_HTML, css=_CSS, js=_JS)


def clicks() -> None:
    """Listen, on every page, from the first one on."""
    noted = presses.noted()

    def gone() -> None:
        key = presses.told_by("clicks", "gone")
        if isinstance(key, str):
            presses.note(noted, key[:200])

    _mount(key="clicks", on_gone_change=gone)
