"""The grid's keys in the drawer: what is pressed there arrives here as an act, unless somebody is writing.

It also watches whether others change what is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from opstore.ui import presses

#: What a key can ask for; anything else that arrives is nobody's key.
KINDS = ("rate", "favorite", "trash")

_HTML = "<span hidden></span>"
_JS = """
const listening = new WeakMap(), watching = new WeakMap(), observing = new WeakMap(), WATCH = 3000;
let current = null;  // the place of the drawer that listens

/* Who goes on to the neighbour means that one by what is pressed next: it waits (grid.js) until that one listens. */
const NEIGHBOUR = { ArrowLeft: ".st-key-neighbour-left button", ArrowRight: ".st-key-neighbour-right button" };

function going(event, id) {
  const is = item => Object.values(NEIGHBOUR).some(where => item.matches?.(where));
  const clicked = event.type === "click" && event.composedPath().find(is);
  const button = clicked || document.querySelector(NEIGHBOUR[event.key] ?? "nobody");
  if (button && !button.disabled && !window.opstoreEarly?.left) goOn(id, []);
}

const goOn = (id, keys) => { window.opstoreEarly = { left: id, keys, since: Date.now() }; };

/* Do what was pressed early, in its order: what follows another step waits for that one's drawer. */
function catchUp(keys, id, asked) {
  for (let key = keys.shift(); key; key = keys.shift()) {
    const button = key in NEIGHBOUR && document.querySelector(NEIGHBOUR[key]);
    if (button && !button.disabled) { goOn(id, keys); button.click(); return; }
    if (key === "Escape") { document.querySelector('[role="dialog"] button[aria-label="Close"]')?.click(); return; }
    asked(key.toLowerCase());
    if (key === "Delete") return;  // and the drawer with it
  }
}

/* A box to write in, and a window of ours over the drawer, have their keys for themselves. */
function isTaken(event) {
  const path = event.composedPath(), at = path[0], free = ["checkbox", "radio", "range", "button"];
  if (at.isContentEditable || path.some(item => item.localName === "dialog")) return true;
  return /^(textarea|select)$/.test(at.localName ?? "") || (at.localName === "input" && !free.includes(at.type));
}

/* Escape in a box that somebody writes in leaves the box, which stores what it holds; the next one closes the drawer. */
function leave(event) {
  const at = event.composedPath()[0];
  if (event.key !== "Escape" || event.isComposing || at.localName !== "textarea" || !at.closest(".st-key-opened")) return false;
  event.preventDefault(); event.stopImmediatePropagation();
  // The drawer closes when the key comes up.
  const up = risen => {
    if (risen.key === "Escape") { risen.stopImmediatePropagation(); document.removeEventListener("keyup", up, true); }
  };
  document.addEventListener("keyup", up, true);
  const drawer = at.closest('[role="dialog"]');
  if (!drawer) { at.blur(); return true; }
  if (!drawer.hasAttribute("tabindex")) drawer.tabIndex = -1;
  drawer.focus({ preventScroll: true });  // to nowhere: the drawer holds the focus, and would give it back to the box
  return true;
}

/* Where another has changed a note, a new box takes the place of the old one, and Streamlit keeps the old one beside it while it
   has the focus and the page is not drawn to its end: the style hides it (library.css). Whoever goes on writing does so in the
   new one, for what is typed must not arrive at our keys. */
const NOTE = '.st-key-opened [class*="st-key-note-"]';
let pen = null, drawer = null;  // the box that somebody writes in, and where it stands

function handOver() {
  if (!pen || (pen.isConnected && !pen.closest("[data-retained]"))) return;
  const next = drawer.isConnected && document.querySelector(NOTE + ":not([data-retained]) textarea");
  pen = null;
  if (next) next.focus({ preventScroll: true });
}

function follow(event) {
  if (pen && !pen.isConnected) handOver();  // the dialog gives the focus to its first button
  else if ((pen = event.target.matches(NOTE + " textarea") ? event.target : null)) drawer = pen.closest(".st-key-opened");
}

/* The drawer has the focus from the beginning, and what loses it to nothing gives it back: Escape and Tab would arrive nowhere.
   Its dialog (react-aria's) takes the focus only after every transition of the page where a screen reader opened it, and lets go
   of itself half a second later. */
function hold(event) {
  const opened = event.target.closest?.('[role="dialog"]');
  if (!opened || event.relatedTarget) return;
  const lost = () => document.activeElement === document.body && opened.isConnected;
  setTimeout(() => { if (lost()) opened.focus({ preventScroll: true }); });
}

function begin() {
  const opened = document.querySelector(".st-key-opened")?.closest('[role="dialog"]');
  if (opened && !opened.contains(document.activeElement)) opened.focus({ preventScroll: true });
}

/* Look every few seconds whether the operation is still as it is shown; what somebody has written and not left yet stays. */
function watch(parentElement, data, changed) {
  const before = watching.get(parentElement), ended = new AbortController(), on = { signal: ended.signal, capture: true };
  before?.ended.abort();
  const here = { ended, writing: before?.writing };
  watching.set(parentElement, here);
  document.addEventListener("input", event => { here.writing = event.composedPath()[0]; }, on);
  document.addEventListener("focusout", () => { here.writing = null; }, on);
  const timer = setInterval(async () => {
    if (ended.signal.aborted || !parentElement.isConnected) { clearInterval(timer); ended.abort(); return; }
    if (document.visibilityState !== "visible" || here.writing?.isConnected) return;
    const answer = await fetch(`/api/history/${data.id}`).catch(() => null), state = answer?.headers.get("etag");
    if (here.writing?.isConnected || ended.signal.aborted) return;
    if (answer?.status === 404 || (state && state !== data.state)) changed();
  }, WATCH);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const told = (kind, value = null) => {
    if (data.kinds.includes(kind)) setTriggerValue("pressed", { id: data.id, kind, value, turn: Date.now() });
  };
  const asked = name => {
    const tags = document.querySelector(data.tags + " input");
    if (/^[0-5]$/.test(name)) told("rate", Number(name));
    else if (name === "f") told("favorite");
    else if (name === "delete") told("trash");
    else if (name === "t" && tags) { tags.scrollIntoView({ block: "nearest" }); tags.focus(); }
    else return false;
    return true;
  };
  const press = event => {
    if (leave(event) || event.defaultPrevented || event.repeat || isTaken(event)) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    going(event, data.id);
    if (asked(event.key.toLowerCase())) event.preventDefault();
  };
  if (!listening.has(parentElement)) begin();
  // On the way down: the drawer lets no key rise out of it.
  for (const type of ["keydown", "click"]) document.removeEventListener(type, listening.get(parentElement), true);
  const hear = event => {
    if (current !== parentElement) return;  // the one that is left stays beside the neighbour until the page is drawn
    if (event.type === "click") going(event, data.id); else press(event);
  };
  listening.set(parentElement, hear);
  for (const type of ["keydown", "click"]) document.addEventListener(type, hear, true);
  current = parentElement;
  parentElement.querySelector("span").dataset.listens = window.opstoreListens = window.opstoreSeen = data.id;
  const early = window.opstoreEarly;
  if (early && (early.id === data.id || (early.left && early.left !== data.id))) {
    window.opstoreEarly = null;
    catchUp(early.keys, data.id, asked);
  }
  document.addEventListener("focusin", follow);  // once, however often it is said
  document.addEventListener("focusout", hold, true);  // on the way down: the dialog keeps it to itself
  observing.get(parentElement)?.disconnect();
  const observer = new MutationObserver(handOver), opened = document.querySelector(".st-key-opened");
  observing.set(parentElement, observer);
  if (opened) observer.observe(opened, { childList: true, subtree: true, attributeFilter: ["data-retained"] });
  let once = false;
  watch(parentElement, data, () => { if (!once) { once = true; setTriggerValue("changed", { turn: Date.now() }); } });
  return () => {
    if (parentElement.isConnected) return;
    for (const type of ["keydown", "click"]) document.removeEventListener(type, listening.get(parentElement), true);
    if (current === parentElement) current = window.opstoreListens = null;
  };
}
"""

_mount = st.components.v2.component("opstore_keys", html=_HTML, js=_JS)


def keys(
    *, key: str, operation_id: str, state: str, tags: str, kinds: Sequence[str], on_press: Callable[[str, Any], None]
) -> None:
    """Listen to the keys of KINDS that are among `kinds`, and to T, which leads to the field with the key `tags`.

    `on_press` is called before the script runs, with the kind and its value (a rating, 0 to take it away). The script also runs
    where the operation is no longer in the `state` (its ETag) that is shown.
    """

    def pressed() -> None:
        sent = presses.told_by(key, "pressed")
        if isinstance(sent, Mapping) and sent.get("id") == operation_id and sent.get("kind") in kinds:
            on_press(str(sent["kind"]), sent.get("value"))

    given = {"id": operation_id, "state": state, "kinds": list(kinds), "tags": f".st-key-{tags}"}
    _mount(key=key, data=given, on_pressed_change=pressed, on_changed_change=lambda: None)
