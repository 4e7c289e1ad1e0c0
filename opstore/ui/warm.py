"""Loads, while the server starts, what the first page would otherwise wait for: a second and more on a small machine.

Nothing here is needed by anything: a page that comes earlier loads it itself.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import threading

log = logging.getLogger("opstore.ui.warm")

#: What Streamlit imports when it first meets a component's data, an icon, a page's widgets; then our own pages' rooms.
MODULES = ("pandas", "pyarrow", "PIL.Image", "streamlit.elements.lib.image_utils", "opstore.ui.results", "opstore.ui.detail")


def warm() -> threading.Thread:
    """Begin to load it in the background; return the thread, which ends by itself."""
    thread = threading.Thread(target=_load, name="opstore-warm", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:  # of another version of Streamlit, perhaps
            log.info("%s is not there: %s", name, error)
    inspect.stack()  # Streamlit asks once who called it; the first answer looks at every module, 0.3 s
