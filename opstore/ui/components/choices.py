"""A row of small choices whose labels are other people's words: shown as text only, where a button's label would be Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from opstore.ui import presses

_HTML = '<div class="row" role="list"></div>\n<span hidden></span>'
_CSS = """
.row { display: flex; flex-wrap: wrap; gap: 8px; font-family: var(--st-font); font-size: 14px; color: var(--st-text-color); }
button { font: inherit; color: inherit; display: inline-flex; align-items: center; gap: 8px; min-height: 32px; max-width: 100%;
  padding: 2px 12px; border: 1px solid color-mix(in srgb, currentColor 18%, transparent); border-radius: 16px; cursor: pointer;
  background: var(--st-secondary-background-color); }
button span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
button:hover { border-color: currentColor; }
button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
@media (pointer: coarse) { button { min-height: 40px; border-radius: 20px; } }
"""
_JS = """
/* Buttons stay the same elements while what is offered stays: a press that waits for the grid outlives a run of the page. */
export default function ({ data, parentElement, setTriggerValue }) {
  const row = parentElement.querySelector(".row"), print = JSON.stringify(data.choices);
  row.tell = setTriggerValue;
  if (print === row.print) {
    for (const place of row.children) place.style.opacity = "";
    return;
  }
  row.print = print;
  const places = data.choices.map(({ label, name, value, source }) => {
    const place = document.createElement("div"), button = document.createElement("button"), text = document.createElement("span");
    place.setAttribute("role", "listitem"); place.style.maxWidth = "100%";
    text.textContent = label; button.type = "button"; button.append(text);
    if (name) {
      const sign = document.createElement("span");
      sign.textContent = "✕"; sign.setAttribute("aria-hidden", "true");
      button.append(sign); button.setAttribute("aria-label", name); button.title = name;
    }
    const choose = () => { if (place.isConnected || !source) row.tell("chosen", { value }); };
    button.onclick = () => {
      if (!source) { choose(); return; }
      dispatchEvent(new CustomEvent("opstore-source", { detail: source }));
      place.style.opacity = .4;
      setTimeout(choose, 150);  // the grid looks first: a run of the page would take the server's time, and this window's
    };
    place.append(button);
    return place;
  });
  row.replaceChildren(...places);
}
"""

_mount = st.components.v2.component("opstore_choices", html=_HTML, css=_CSS, js=_JS)


def choices(
    offered: Sequence[tuple[str, str, str]],
    *,
    key: str,
    on_choice: Callable[[str], None] | None = None,
    source: Callable[[str], str] | None = None,
) -> str | None:
    """Show (label, name of the click, value) as small buttons, those with a name with a ✕; return the value just chosen.

    With `on_choice` that is called with it before the page is run: one run of the page instead of two. `source` says where the
    grid finds what a choice leads to: it looks there at once, while the page is run.
    """
    shown = [
        {"label": label, "name": name, "value": value, "source": source(value) if source else None}
        for label, name, value in offered
    ]
    values = [choice[2] for choice in offered]

    def chosen() -> None:
        value = _value((st.session_state.get(key) or {}).get("chosen"), values)
        if on_choice and value is not None:
            on_choice(value)

    listening = {"on_chosen_change": chosen} if on_choice else presses.hear(key, "chosen")
    _mount(key=key, data={"choices": shown}, **listening)
    return None if on_choice else _value(presses.take(presses.heard(key, "chosen")), values)


def _value(chosen: object, values: Sequence[str]) -> str | None:
    value = chosen.get("value") if isinstance(chosen, Mapping) else None
    return value if value in values else None
