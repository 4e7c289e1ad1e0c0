"""What only the browser's document can be told: the language it is read in, and the one that was chosen, for the next visit."""

from __future__ import annotations

import streamlit as st

from opstore.ui import words

_HTML = "<span hidden></span>"
_CSS = """
:host { display: none; }
span { display: none; }
"""
_JS = """
export default function ({ data }) {
  document.documentElement.lang = data.language;
  const kept = document.cookie.split("; ").find(part => part.startsWith(`${data.cookie}=`));
  if ((data.keep || kept) && kept !== `${data.cookie}=${data.language}`) document.cookie = `${data.cookie}=${data.language}; path=/; max-age=31536000; SameSite=Lax`;
}
"""

_mount = st.components.v2.component("opstore_document", html=_HTML, css=_CSS, js=_JS)


def tell(*, key: str) -> None:
    """Tell the document the viewer's language; it is kept in a cookie once it is another than the browser's own."""
    language = words.language()
    keep = language != words.browsers()  # else only where there is a cookie already
    _mount(key=key, data={"language": language, "cookie": words.COOKIE, "keep": keep})
