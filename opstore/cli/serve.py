"""`serve`: the app in the browser, and the work in the background."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from opstore.cli.common import settings_of, verb

DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard.py"


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    verb(verbs, "serve", _serve, "start the app in the browser, and the work in the background")


def _serve(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    if options.data:
        os.environ["OPSTORE_DATA"] = str(Path(options.data).resolve())
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(DASHBOARD),
        f"--server.port={settings.port}",
    ]
    os.environ["OPSTORE_DATA"] = str(Path(os.environ.get("OPSTORE_DATA") or settings.data).resolve())
    os.chdir(DASHBOARD.parent)  # where .streamlit/config.toml is: address, limits, theme
    os.execv(sys.executable, command)
