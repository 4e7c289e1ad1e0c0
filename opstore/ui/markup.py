"""The one way from text to a page's HTML: fixed templates, filled in by `Markup.format`, which escapes every value.

`Markup` is made from constants only (a test looks), so that stored text can never become markup; nothing else calls `st.html`.
"""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

__all__ = ["Markup", "css", "show"]


def show(markup: Markup) -> None:
    """Put markup on the page."""
    st.html(markup)


def css(rules: str) -> None:
    """Add style rules to the page; raise ValueError for text that could end the style and begin something else."""
    if "<" in rules:
        raise ValueError("style rules hold no <")
    st.html(f"<style>{rules}</style>")
