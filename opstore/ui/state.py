"""The opened app of this process, one a data folder, shared by the launcher, the routes and every session."""

from __future__ import annotations

import threading
from pathlib import Path

from opstore.app import App, Settings

_opened: dict[Path, App] = {}
_guard = threading.Lock()


def opened() -> App:
    """Return the app over the data folder that the environment names, opened on first use and not started by this."""
    settings = Settings.from_env()
    root = settings.data.resolve()
    with _guard:
        if root not in _opened:
            _opened[root] = App(settings)
        return _opened[root]
