"""Style rules for Streamlit's own elements: the sheet beside this module, and those that need keys or words of a page."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

#: Streamlit says it in English only.
_DROPZONE = '[data-testid="stFileUploaderDropzone"]'
_CHOOSE = f'{_DROPZONE} [data-testid="stBaseButton-secondary"] p'
_ACCEPTED = f'{_DROPZONE} [data-testid="stFileUploaderDropzoneInstructions"] span'


@functools.cache
def sheet() -> str:
    """Return the rules that every page has."""
    return Path(__file__).with_name("style.css").read_text("utf-8")


def once(keys: Iterable[str]) -> str:
    """Return the style that shows each control with one of these keys once.

    Streamlit keeps an element whose place another one has taken until the page is drawn to its end: two search boxes, and all
    that is below them lower, under the hand that presses it.
    """
    box = '.stElementContainer[class*="st-key-{key}"]'
    rule = f".stApp:has({box}:not([data-retained])) {box}[data-retained]"
    return ", ".join(rule.format(key=key) for key in keys) + " { display: none; }"


def app(values: str) -> str:
    """Return the style that gives these values to all that a page shows."""
    return f".stApp {{ {values}}}"


def uploads(choose: str, accepted: str) -> str:
    """Return the style that has the box for files say what is done there, and which files it takes."""
    return " ".join(
        f"{where} {{ font-size: 0; }} {where}::after {{ font-size: 14px; content: {_quoted(text)}; }}"
        for where, text in ((_CHOOSE, choose), (_ACCEPTED, accepted))
    )


def _quoted(text: str) -> str:
    """Return a text of ours as a string of CSS."""
    return "".join(letter if letter.isalnum() or letter in " ,." else f"\\{ord(letter):x} " for letter in text).join('""')
