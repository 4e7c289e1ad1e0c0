"""`serve`: the app in the browser, and the work in the background."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from opstore.cli.common import settings_of, verb


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    verb(verbs, "serve", _serve, "start the app in the browser, and the work in the background")


def _serve(options: argparse.Namespace) -> int:
    from opstore.launcher import DASHBOARD

    settings = settings_of(options)
    os.environ["OPSTORE_DATA"] = str(settings.data.resolve())
    # Streamlit reads .streamlit/ beside the launcher, and that of the folder which it is started in: secrets stand there. With -P
    # nothing else in that folder becomes a module.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(DASHBOARD), f"--server.port={settings.port}"]
    os.execv(sys.executable, command)
