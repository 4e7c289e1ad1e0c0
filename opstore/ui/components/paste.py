"""Takes pictures from the clipboard wherever on the page they are pasted, and tells which files the upload widget has refused.

While a refused file stands in the widget, neither the key of Generate nor its button does anything, by mouse (style.css) or by
Enter: the operation would be made, and paid, without it. Only the browser knows of one. A press while a picture is on its way to
the server waits for it there.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import streamlit as st

from opstore.storage.operation import MOST_IMAGES
from opstore.ui import presses
from opstore.ui.components import script
from opstore.ui.words import _

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
#: One more than any workflow takes: none is lost unsaid.
_MOST = MOST_IMAGES + 1
_JS = script("paste.js")

_mount = st.components.v2.component("opstore_paste", html=_HTML, css=_CSS, js=_JS)


@dataclass(frozen=True, slots=True)
class Brought:
    """The pictures that were just pasted, as the browser gave them (checked later like any upload); names of refused files."""

    pasted: list[bytes]
    refused: list[str]


def brought(*, key: str) -> Brought:
    """Return what was just pasted anywhere on the page, and which files stand refused in its upload widget."""
    data = {
        "most": _MOST,
        "waits": _("Waiting for the image; then it starts."),
        "dropped": _("Not started: something changed while the image was on its way. Press Generate again."),
    }
    result = _mount(key=key, data=data, **presses.hear(key, "pasted"), on_refused_change=lambda: None)
    refused = result.refused if isinstance(result.refused, list) else []
    return Brought(_pasted(presses.take(presses.heard(key, "pasted"))), [str(name)[:200] for name in refused[:20]])


def _pasted(pictures: object) -> list[bytes]:
    images = []
    for picture in pictures if isinstance(pictures, list) else ():
        try:
            images.append(base64.b64decode(str(picture), validate=True))
        except (binascii.Error, ValueError):
            continue  # not what our own script sends: nothing to take
    return images
