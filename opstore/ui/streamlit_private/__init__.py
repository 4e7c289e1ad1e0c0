"""Every name of Streamlit's that is not public, in this room and nowhere else: what a new version of it can break.

Public is what its documentation names: what `import streamlit as st` gives without an underscore, `streamlit.testing`, the
settings in config.toml, `.st-key-…` for what we gave a key, `--st-…` for its theme. All the rest is here: imports and attributes,
elements and their marks in the page (`page.js`, `style.css`, `styles.py`), a storage key, addresses and files of its front end,
and what it makes and gives to nobody (`server.py`). `tests/test_streamlit_private.py` lists each, says what breaks without it,
and looks whether the Streamlit that is installed has it.
"""

from streamlit.delta_generator import DeltaGenerator as Area
from streamlit.errors import StreamlitAPIException as Refused
from streamlit.navigation.page import StreamlitPage as Page

__all__ = ["Area", "Page", "Refused"]
