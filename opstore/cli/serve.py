"""`serve`: the app in the browser, and the work in the background."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from typing import Any

from opstore.app import open_store
from opstore.cli.common import settings_of, verb
from opstore.storage.files import storage_errors


def add(verbs: Any) -> None:
    """Add this command to the parser."""
    verb(verbs, "serve", _serve, "start the app in the browser, and the work in the background")


def _serve(options: argparse.Namespace) -> int:
    from opstore.launcher import DASHBOARD

    settings = settings_of(options)
    # What is wrong with the folder is told here, in a sentence, not by a server that breaks off.
    with storage_errors():
        runners = open_store(settings).cache / "runners"
        runners.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=runners).close()
    os.environ["OPSTORE_DATA"] = str(settings.data.resolve())
    # Streamlit reads .streamlit/ beside the launcher, and that of the folder which it is started in: secrets stand there. With -P
    # nothing else in that folder becomes a module.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(DASHBOARD), f"--server.port={settings.port}"]
    os.execv(sys.executable, command)
