"""Loads, while the server starts, what the first page would otherwise wait for: a second and more on a small machine.

Nothing here is needed by anything: a page that comes earlier loads it itself.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import threading

#: What Streamlit imports when it first meets a component's data, then the rooms of our own pages.
MODULES = ("pandas", "pyarrow", "opstore.ui.search_results", "opstore.ui.detail")


def warm() -> threading.Thread:
    """Begin to load it in the background; return the thread, which ends by itself."""
    thread = threading.Thread(target=_load, name="opstore-warm", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    for name in MODULES:
        with contextlib.suppress(ImportError):  # where another version of Streamlit needs it no more
            importlib.import_module(name)
    from PIL import Image

    from opstore.ui.first_screen import screen

    Image.preinit()  # the page's icon
    screen([])  # catalogues are read, 0.1 s
    inspect.stack()  # Streamlit asks once who called it; the first answer looks at every module, 0.3 s
