"""Takes pictures from the clipboard wherever on the page they are pasted, and tells which files the upload widget has refused.

While a picture is on its way to the server, or a refused file stands in the widget, neither the key of Generate nor its button
does anything, by mouse (style.css) or by Enter: the operation would be made, and paid, without it. Only the browser knows of a
refused file.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import streamlit as st

from opstore.storage.operation import MOST_IMAGES
from opstore.ui import presses

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = (
    f"const MOST = {MOST_IMAGES + 1};"
    + """
const listeners = new WeakMap();
const REFUSED = '[data-testid="stFileChip"][aria-invalid="true"]';
const told = new WeakMap();

export default function ({ parentElement, setStateValue, setTriggerValue }) {
  listeners.get(parentElement)?.abort();
  const ended = new AbortController();
  const listen = async event => {
    if (event.defaultPrevented || event.target.closest?.('[data-testid="stFileUploader"]')) return;
    // One more than any workflow takes: none is lost unsaid.
    const files = [...(event.clipboardData?.files ?? [])].filter(file => file.type.startsWith("image/")).slice(0, MOST);
    if (!files.length) return;
    event.preventDefault();
    const pictures = await Promise.all(files.map(file => new Promise(done => {
      const reader = new FileReader();
      reader.onload = () => done(String(reader.result).split(",", 2)[1]);
      reader.readAsDataURL(file);
    })));
    setTriggerValue("pasted", pictures);
  };
  const hold = event => {
    const sends = event.type === "click" ? event.target.closest?.(".st-key-generate")
      : event.key === "Enter" && (event.ctrlKey || event.metaKey);
    const waits = `[data-testid="stFileChipIconSpinner"], ${REFUSED}`;
    if (sends && document.querySelector(waits)) event.stopImmediatePropagation();
  };
  const look = () => {
    const names = [...document.querySelectorAll(`${REFUSED} [data-testid="stFileChipName"]`)].map(chip => chip.title);
    if ((told.get(parentElement) ?? "[]") === JSON.stringify(names)) return;
    told.set(parentElement, JSON.stringify(names));
    setStateValue("refused", names);
  };
  const watch = new MutationObserver(look);
  watch.observe(document.body, { subtree: true, childList: true, attributeFilter: ["aria-invalid"] });
  ended.signal.addEventListener("abort", () => watch.disconnect());
  look();
  listeners.set(parentElement, ended);
  document.addEventListener("paste", listen, { signal: ended.signal });
  for (const type of ["keydown", "click"]) addEventListener(type, hold, { capture: true, signal: ended.signal });
  return () => {
    if (parentElement.isConnected) return;
    ended.abort();
    listeners.delete(parentElement);
  };
}
"""
)

_mount = st.components.v2.component("opstore_paste", html=_HTML, css=_CSS, js=_JS)


@dataclass(frozen=True, slots=True)
class Brought:
    """The pictures that were just pasted, as the browser gave them (checked later like any upload); names of refused files."""

    pasted: list[bytes]
    refused: list[str]


def brought(*, key: str) -> Brought:
    """Return what was just pasted anywhere on the page, and which files stand refused in its upload widget."""
    result = _mount(key=key, **presses.hear(key, "pasted"), on_refused_change=lambda: None)
    refused = result.refused if isinstance(result.refused, list) else []
    return Brought(_pasted(presses.take(presses.heard(key, "pasted"))), [str(name)[:200] for name in refused[:20]])


def _pasted(pictures: object) -> list[bytes]:
    found = []
    for picture in pictures if isinstance(pictures, list) else ():
        try:
            found.append(base64.b64decode(str(picture), validate=True))
        except (binascii.Error, ValueError):
            continue  # not what our own script sends: nothing to take
    return found
