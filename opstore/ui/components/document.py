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
  const wanted = `${data.cookie}=${data.language}`;
  if ((data.keep || kept) && kept !== wanted) document.cookie = `${wanted}; path=/; max-age=31536000; SameSite=Lax`;
}
"""

_mount = st.components.v2.component("opstore_document", html=_HTML, css=_CSS, js=_JS)


def tell(*, key: str) -> None:
    """Tell the document the viewer's language; it is kept in a cookie once it is another than the browser's own."""
    language = words.language()
    keep = language != words.browsers()  # else only where there is a cookie already
    _mount(key=key, data={"language": language, "cookie": words.COOKIE, "keep": keep})
