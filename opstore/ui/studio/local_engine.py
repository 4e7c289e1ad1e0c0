"""What the local engine is, can do, and has understood: nobody shall take it for a model."""

from __future__ import annotations

import streamlit as st

from opstore.providers import registry
from opstore.ui import words
from opstore.ui.words import _

#: Words that are named at most; more make another line.
MOST = 8


def note(kind: str, text: str) -> None:
    """Say what the local engine is, what it understood of an edit, or not of a scene, and where its abilities are listed."""
    from opstore.providers.local import capabilities, understood, unheard

    about = _("Local engine: classical image processing, no AI model. Add a {provider} API token for real models.")
    st.caption(about.format(provider=registry.elsewhere()[0].title))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="understood"):
        if kind in ("image_edit_single", "image_edit_multiple", "edit_then_video"):
            st.caption(_("Understood:"), width="content")
            st.text(" → ".join(map(words.stored, understood(text))) or _("nothing yet"), width="content")
        elif kind in ("text_to_image", "text_to_video") and (missed := unheard(text)):
            st.caption(_("Cannot be painted here:"), width="content")
            st.text(", ".join(missed[:MOST]) + (" …" if len(missed) > MOST else ""), width="content")
        with st.popover(_("What is possible"), type="tertiary"):
            for line in capabilities(kind if kind != "edit_then_video" else None):
                st.text(words.stored(line))
