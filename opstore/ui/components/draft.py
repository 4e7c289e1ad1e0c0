"""What stands in a text area while it is being written: Streamlit tells a page only what was finished with a click elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from opstore.access.roles import Person
from opstore.ui.components import script

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = script("draft.js")

_mount = st.components.v2.component("opstore_draft", html=_HTML, css=_CSS, js=_JS)


def draft(finished: str, *, of: str, key: str, kept: str = "", taken: bool | None = None) -> str:
    """Return what stands in the text area with the key `of`, of which `finished` is what the page has been told.

    Under the name `kept` the browser keeps it at every key, until that is what the page has been told; `taken`: what was kept
    there when the page was opened (`tab.known`) is not waited for any more.
    """
    answer = _told(finished, f".st-key-{of}", key, kept, taken)
    known = st.session_state.setdefault(f"{key}-over", _Over(finished))
    if known.finished != finished:
        known.finished, known.turn = finished, answer.get("turn")
    # A draft counts only over the text that it was written over: what came since, by whatever way, is newer. Nor does one come
    # back when that text does.
    if answer.get("over") == finished and answer.get("turn") != known.turn and isinstance(answer.get("text"), str):
        return str(answer["text"])
    return finished


def unfinished(
    finished: str, *, of: str, key: str, kept: str, stored: str | None, rests: bool = True
) -> tuple[str, object] | None:
    """Return what was written last over another text than `finished` in a text area whose key begins with `of`, and its mark.

    What is written there is kept under the name `kept`, and outlives a reload of the tab: it stands in the text area again, or
    is what is returned here. It may have stood in an area that another one has replaced since, because somebody else finished a
    text. None where what was written last stands over this text, is it, or changes nothing. What this window has `stored` last is
    no half of anything, whatever it was changed to since. Who `rests` for some seconds hands it in, and does not leave it.
    """
    found = _told(finished, f'[class*="st-key-{of}"]', key, kept, stored=stored, rests=rests)
    over, text = found.get("over"), found.get("text")
    return (text, found.get("turn")) if isinstance(text, str) and finished not in (over, text) and text != over else None


def kept_name(person: Person, of: str) -> str:
    """Return the name under which a browser keeps what is written in `of` for this person, and for nobody who signs in after."""
    return f"opstore-draft/{person.identity or person.name}/{of}"


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


def _told(
    finished: str,
    where: str,
    key: str,
    kept: str = "",
    taken: bool | None = None,
    stored: str | None = None,
    rests: bool | None = None,
) -> Mapping[str, object]:
    data = {"where": where, "finished": finished, "kept": kept, "taken": taken, "stored": stored, "rests": rests}
    result = _mount(key=key, data=data, on_draft_change=lambda: None)
    return result.draft if isinstance(result.draft, Mapping) else {}


@dataclass(slots=True)
class _Over:
    """The text that was finished last, and the draft that was over when it was."""

    finished: str
    turn: object = None
