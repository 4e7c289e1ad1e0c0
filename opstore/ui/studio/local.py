"""What the local engine is, can do, and has understood: nobody shall take it for a model."""

from __future__ import annotations

import streamlit as st

from opstore.ui import words
from opstore.ui.words import _


def note(kind: str, text: str) -> None:
    """Say what the local engine is, what it understood of an edit, and where its list of abilities is."""
    from opstore.providers.local import capabilities, understood

    st.caption(_("Local engine: classical image processing, no AI model. Add a Replicate token for real models."))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="understood"):
        if kind in ("image_edit_single", "image_edit_multiple", "edit_then_video"):
            st.caption(_("Understood:"), width="content")
            st.text(" → ".join(understood(text)) or _("nothing yet"), width="content")
        with st.popover(_("What it can do"), type="tertiary"):
            for line in capabilities("fr" if words.language() == "fr" else "en", kind if kind != "edit_then_video" else None):
                st.text(line)
