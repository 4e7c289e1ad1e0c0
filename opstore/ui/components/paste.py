"""Takes pictures from the clipboard wherever on the page they are pasted; the upload widget takes them only when it has focus.

While a picture is on its way to the server the key of Generate does nothing, as its button does (style.css): the operation would
be made, and paid, without it.
"""

from __future__ import annotations

import base64
import binascii

import streamlit as st

from opstore.ui import presses

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = """
const listeners = new WeakMap();

export default function ({ parentElement, setTriggerValue }) {
  listeners.get(parentElement)?.abort();
  const ended = new AbortController();
  const listen = async event => {
    if (event.defaultPrevented || event.target.closest?.('[data-testid="stFileUploader"]')) return;
    const files = [...(event.clipboardData?.files ?? [])].filter(file => file.type.startsWith("image/")).slice(0, 5);
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
    const sends = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (sends && document.querySelector('[data-testid="stFileChipIconSpinner"]')) event.stopImmediatePropagation();
  };
  listeners.set(parentElement, ended);
  document.addEventListener("paste", listen, { signal: ended.signal });
  addEventListener("keydown", hold, { capture: true, signal: ended.signal });
  return () => {
    if (parentElement.isConnected) return;
    ended.abort();
    listeners.delete(parentElement);
  };
}
"""

_mount = st.components.v2.component("opstore_paste", html=_HTML, css=_CSS, js=_JS)


def pasted_images(*, key: str) -> list[bytes]:
    """Return the pictures that were just pasted, as the browser gave them (checked later like any upload)."""
    _mount(key=key, **presses.hear(key, "pasted"))
    pictures = presses.take(presses.heard(key, "pasted"))
    found = []
    for picture in pictures if isinstance(pictures, list) else ():
        try:
            found.append(base64.b64decode(str(picture), validate=True))
        except (binascii.Error, ValueError):
            continue  # not what our own script sends: nothing to take
    return found
