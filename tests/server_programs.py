"""The app's server for `tests.fault_nursery`: loaded once, and forked for each that a test needs (0.2 s of computing, not 1.7 s).

It is `opstore serve`, up to the line that would load Streamlit in the place of the process.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import time
from pathlib import Path

from streamlit.components.v2 import manifest_scanner
from streamlit.web import cli

from opstore.cli import main
from opstore.ui import opened_app, signin, warm_up
from opstore.ui.streamlit_private import preload

ROOT = Path(__file__).resolve().parents[1]
LOADED = (preload, signin, opened_app)  # what dashboard.py names
for name in warm_up.MODULES:
    if not name.startswith("opstore"):  # ours choose a cache by the server that is running
        importlib.import_module(name)
#: Looked for once, not by every server.
COMPONENTS = manifest_scanner.scan_component_manifests()
manifest_scanner.scan_component_manifests = lambda *_: COMPONENTS


def serve(environment: str, log: str) -> None:
    """Serve with these variables, as JSON, until a signal comes; say everything in the file `log`."""
    os.environ.clear()
    os.environ.update(json.loads(environment))
    time.tzset()
    random.seed()
    for path, mode, number in ((os.devnull, os.O_RDONLY, 0), (log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 1)):
        opened = os.open(path, mode, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    os.execv = _go_on  # type: ignore[assignment]
    sys.exit(main(["serve"]))


def _go_on(_: str, command: list[str]) -> None:
    """Run `python -P -m streamlit …` here."""
    sys.argv = command[command.index("streamlit") :]
    cli.main(prog_name="streamlit")


PROGRAMS = {"serve": serve}
