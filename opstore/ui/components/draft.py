"""What stands in a text area while it is being written: Streamlit tells a page only what was finished with a click elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
#: A pause of 0.4 s is a thought; shorter ones are between two keys.
_JS = """
const known = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const entry = known.get(parentElement) ?? {};
  known.set(parentElement, entry);
  entry.data = data;
  const ends = ["focusout", "pointerdown", "keydown"];
  if (!entry.listen) {
    entry.listen = event => {
      if (!event.target.closest?.(entry.data.where)) return;
      clearTimeout(entry.timer);
      entry.box = event.target;
      const text = event.target.value, over = entry.data.finished;
      entry.timer = setTimeout(() => entry.tell(over, text), 400);
    };
    entry.tell = (over, text) => {
      entry.told = { over, text };
      setStateValue("draft", { over, text, turn: Date.now() });
    };
    // Who leaves the text, or hands it in, tells the page: a draft that came after would end the run that does what was asked.
    // Not so a text area that another one has replaced: what stood in it is told by nobody else.
    entry.finish = event => {
      const hands = event.key === "Enter" && (event.ctrlKey || event.metaKey), { box, timer } = entry;
      if (event.type === "keydown" ? !hands : event.type === "focusout" && event.target !== box) return;
      setTimeout(() => {
        if (!box?.isConnected) return;
        clearTimeout(timer);
        // Taken back to what it was, a text is no news to Streamlit.
        const { over, text } = entry.told ?? {};
        if (text !== over && box.value === over && over === entry.data.finished) entry.tell(over, over);
      });
    };
    document.addEventListener("input", entry.listen);
    for (const type of ends) document.addEventListener(type, entry.finish, true);
  }
  return () => {
    if (parentElement.isConnected) return;
    clearTimeout(entry.timer);
    document.removeEventListener("input", entry.listen);
    for (const type of ends) document.removeEventListener(type, entry.finish, true);
    known.delete(parentElement);
  };
}
"""

_mount = st.components.v2.component("opstore_draft", html=_HTML, css=_CSS, js=_JS)


def draft(finished: str, *, of: str, key: str) -> str:
    """Return what stands in the text area with the key `of`, of which `finished` is what the page has been told."""
    found = _told(finished, f".st-key-{of}", key)
    known = st.session_state.setdefault(f"{key}-over", _Over(finished))
    if known.finished != finished:
        known.finished, known.turn = finished, found.get("turn")
    # A draft counts only over the text that it was written over: what came since, by whatever way, is newer. Nor does one come
    # back when that text does.
    if found.get("over") == finished and found.get("turn") != known.turn and isinstance(found.get("text"), str):
        return str(found["text"])
    return finished


def unfinished(finished: str, *, of: str, key: str) -> tuple[str, object] | None:
    """Return what was written last over another text than `finished` in a text area whose key begins with `of`, and its mark.

    It may have stood in an area that another one has replaced since, because somebody else finished a text. None where what was
    written last stands over this text, is it, or changes nothing.
    """
    found = _told(finished, f'[class*="st-key-{of}"]', key)
    over, text = found.get("over"), found.get("text")
    return (text, found.get("turn")) if isinstance(text, str) and finished not in (over, text) and text != over else None


def is_over(finished: str, *, key: str) -> bool:
    """Return whether what was written last stands over `finished`, and is another text."""
    found = _last(key)
    return found.get("over") == finished and isinstance(found.get("text"), str) and found["text"] != finished


def mark(*, key: str) -> object:
    """Return the mark of what was written last."""
    return _last(key).get("turn")


def _last(key: str) -> Mapping[str, object]:
    state = st.session_state.get(key)
    found = state.get("draft") if isinstance(state, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _told(finished: str, where: str, key: str) -> Mapping[str, object]:
    result = _mount(key=key, data={"where": where, "finished": finished}, on_draft_change=lambda: None)
    return result.draft if isinstance(result.draft, Mapping) else {}


@dataclass(slots=True)
class _Over:
    """The text that was finished last, and the draft that was over when it was."""

    finished: str
    turn: object = None
